"""A study in a TOML file: what it says, what it may not, and the resolved one in the run folder."""

import contextlib
import io
import json
import os
import re
import tomllib

import polars as pl
import pytest

from functional_clf import run
from functional_clf.cli.run_arguments import RunArguments, parse
from functional_clf.contestants.specs import ModelSpec

STUDY = """
seeds = "2:7"
engine = "eager"
plots = false
out = "found"

[data]
name = "circles"
samples = 80

[models.line]
spec = "mlp:"
activation = "None"
epochs = 6

[models.wide]
spec = "mlp:16,epochs=6"
optimizer = "sgd"

[models."a deep one"]
spec = "mlp"
hidden = [8, 8]
epochs = 6

[compare]
baseline = "wide"
margin = 0.02
"""


def in_process(*args):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run.main([*map(str, args)])
    # Where the machine is slow, progress is told.
    return code, out.getvalue(), re.sub(r"training: .*\n", "", err.getvalue())


def results_of(out):
    return json.loads((out / "results.json").read_text())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a study.toml"
    path.write_text(STUDY)
    return path


def test_a_file_says_arguments_and_models(file, tmp_path):
    found = parse([str(file)])
    assert found.seeds == range(2, 7)
    assert (found.engine, found.plots, found.samples, found.margin) == ("eager", False, 80, 0.02)
    assert (found.data, found.out) == ("circles", tmp_path / "found")
    assert found.names == ["line", "wide", "a deep one"]
    assert found.models[0] == ModelSpec("line", "mlp", (), {"activation": None, "epochs": 6})
    assert found.models[1] == ModelSpec("wide", "mlp", (16,), {"epochs": 6, "optimizer": "sgd"})
    assert found.models[2] == ModelSpec("a deep one", "mlp", None, {"hidden": [8, 8], "epochs": 6})


def test_what_a_file_does_not_say_is_as_without_it(tmp_path):
    (tmp_path / "empty.toml").write_text("")
    found = parse([str(tmp_path / "empty.toml")])
    assert found == parse([]).__class__(study=tmp_path / "empty.toml")


@pytest.mark.parametrize("table", ["", "[run]\n"])
def test_options_stand_at_the_top_or_in_run(table, tmp_path):
    (tmp_path / "s.toml").write_text(f"{table}seeds = 3\n")
    assert parse([str(tmp_path / "s.toml")]).seeds == range(3)


BESIDE = [
    (["--seeds", "3"], "seeds", range(3)),
    (["--margin", "0.1"], "margin", 0.1),
    (["--samples", "90"], "samples", 90),
    (["--plots"], "plots", True),
    (["--no-plots"], "plots", False),
    (["--baseline", "line"], "baseline", "line"),
    (["--data", "moons"], "data", "moons"),
    (["--tf32"], "tf32", True),
    (["--no-save-params"], "save_params", False),
]


@pytest.mark.parametrize(("args", "name", "value"), BESIDE, ids=[" ".join(a) for a, *_ in BESIDE])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_arguments_beside_a_file_come_before_it(args, name, value, is_first, file):
    found = parse([str(file), *args] if is_first else [*args, str(file)])
    assert getattr(found, name) == value
    unchanged = {"seeds": range(2, 7), "margin": 0.02, "samples": 80}
    assert all(getattr(found, key) == unchanged[key] for key in set(unchanged) - {name})


def test_models_beside_a_file_replace_those_of_their_name_and_join_the_others(file):
    found = parse([str(file), "--model", "wide=mlp:64", "--model", "new=mlp:2"])
    assert found.names == ["line", "wide", "a deep one", "new"]
    assert found.models[1].values == (64,)
    with pytest.raises(ValueError, match="model new is given twice"):
        parse([str(file), "--model", "new=mlp:64", "--model", "new=mlp:2"])


@pytest.mark.parametrize(("said", "args", "asked"), [
    ("true", [], (True, False)),
    ("false", [], (False, True)),
    ("true", ["--no-stratify"], (False, True)),
    ("false", ["--stratify"], (True, False)),
])  # fmt: skip
def test_stratify_is_one_word_in_a_file(said, args, asked, tmp_path):
    (tmp_path / "s.toml").write_text(f"[data]\nname = 'iris'\nstratify = {said}\n")
    found = parse([str(tmp_path / "s.toml"), *args])
    assert (found.stratify, found.no_stratify) == asked


WRONG = [
    ("seed = 3", "seed at the top is nothing that a study has; did you mean seeds or max_seeds?"),
    ("qqq = 3", "qqq at the top is nothing that a study has; it must be one of [run], [data], "),
    ("[model.a]\nspec = 'mlp:'", "nothing that a study has; did you mean models?"),
    ("[compare]\nbase = 'a'", "base in [compare] is nothing that a study has; did you mean"),
    ("[compare]\nseeds = 3", "seeds stands in [compare]; it belongs in [run]"),
    ("metric = 'accuracy'", "metric stands at the top; it belongs in [compare]"),
    ("[run]\ntarget = 'x'", "target stands in [run]; it belongs in [data]"),
    ("fresh = true", "fresh stands at the top; it is for the command line alone"),
    ("seeds = 3\n[run]\nseeds = 4", "seeds is given at the top and in [run]; leave one out"),
    ("seeds = 1.5", "seeds is 1.5; it must be a count, as in 64, or a rising range"),
    ("seeds = 'x'", "seeds is x; it must be a count of at least 1"),
    ("seeds = true", "seeds is True; it must be a count"),
    ("threads = 'x'", "threads is 'x'; it must be a whole number"),
    ("plots = 1", "plots is 1; it must be true or false"),
    ("engine = 'warp'", "engine is 'warp'; it must be one of auto, eager"),
    ("vary = 3", "vary is 3; it must be one of"),
    ("out = 3", "out is 3; it must be the text of a path"),
    ("test_size = '0.2'", "test_size is '0.2'; it must be a number"),
    ("data = 'iris'", "data is 'iris'; it must be a table, [data]"),
    ("models = 3", "models is 3; it must be a table, [models]"),
    ("[data]\nname = 'iris'\npath = 'x.csv'", "data.name and data.path are both given"),
    ("[data]\nname = 3", "data.name is 3; it must be a text"),
    ("[data]\nsampels = 3", "sampels in [data] is nothing that a study has; did you mean samples?"),
    ("[data]\ndrop = 'id'", "data.drop is 'id'; it must be a list of texts"),
    ("[data]\nstratify = 'yes'", "data.stratify is 'yes'; it must be true or false"),
    ("[compare]\nmetric = 'auc'", "metric is 'auc'; it must be one of accuracy"),
    ("[models.a]\nhidden = [3]", "[models.a] holds no spec; it must say what the model is"),
    ("[models.a]\nkind = 'mlp'", "kind may be meant for it"),
    ("[models.a]\nspec = 3", "spec is 3; it must be a text"),
    ("[models.a]\nspec = 'mlp:[3'", "model 'a': a closing ] is missing"),
    ("[models.a]\nspec = 'mlp:3,epochs=1'\nepochs = 2", "model 'a': epochs is given twice"),
    ("[models.a]\nspec = 'm:f'\nday = 2020-01-01", "models.a.day is 2020-01-01; a setting is no"),
    ("seeds = ", "it is no TOML: Invalid value"),
    ("a = 1\na = 2", "it is no TOML: Cannot overwrite a value"),
    (b"a = '\xff'", "it cannot be read: it is not UTF-8"),
    ("out = ''", "out is '', which is empty; it must be a path"),
    ("out = 'a\\u0000b'".replace("'", '"'), "no path holds a zero byte"),
    ("[data]\npath = ''\ntarget = 'y'", "data.path is '', which is empty; it must be a path"),
    (f"[compare]\nalpha = {'9' * 400}", "digits; it is too large for a number"),
    (f"a = {'[' * 5000}", "it is no study: brackets in it are nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "gist"), WRONG, ids=[gist for _, gist in WRONG])
def test_a_wrong_file_is_one_line_that_names_it_and_leaves_nothing(
    text, gist, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    code, printed, complaint = in_process("s.toml")
    assert (code, printed, complaint.count("\n")) == (2, "", 1)
    assert complaint.startswith("error: s.toml: ")
    assert gist in complaint
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


@pytest.mark.parametrize(("args", "gist"), [
    (["none.toml"], "none.toml: it cannot be read: No such file or directory"),
    (["stray"], "study is stray; it must be the path of a TOML file"),
    (["a.toml", "b.toml"], "study is a.toml and b.toml; give one file"),
])  # fmt: skip
def test_a_file_that_is_none_is_one_line(args, gist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, complaint = in_process(*args)
    assert (code, complaint.count("\n")) == (2, 1)
    assert gist in complaint


def test_a_run_of_the_resolved_file_is_the_same_study(file, tmp_path, monkeypatch):
    code, printed, _ = in_process(file)
    assert code == 0
    out = tmp_path / "found"
    resolved = (out / "study.toml").read_text()
    content = tomllib.loads(resolved)
    assert content["run"]["seeds"] == "2:7"
    assert content["run"]["vary"] == "data"
    assert content["run"]["out"] == "."
    assert content["data"] == {"name": "circles", "samples": 80, "noise": 0.03}
    assert content["models"]["line"]["activation"] == "None"
    assert content["models"]["line"]["learning_rate"] == 0.01
    assert content["compare"] == (
        {"baseline": "wide", "metric": "accuracy", "margin": 0.02, "alpha": 0.05}
    )
    before = results_of(out)
    monkeypatch.chdir("/")
    monkeypatch.setattr(
        "functional_clf.study.chunks.ChunkTrainer.train", None
    )  # nothing is trained
    code, again, said = in_process(out / "study.toml")
    assert (code, said) == (0, "")
    assert again == printed
    assert (out / "study.toml").read_text() == resolved
    after = results_of(out)
    assert after["config"] == before["config"]
    assert after["comparisons"] == before["comparisons"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes")
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "device.toml").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        code, printed, said = in_process(tmp_path / f"{name}.toml")
        assert (code, printed) == (2, "")
        assert said.endswith(f"{name}.toml: it is no plain file of at most 16 MiB\n")


def test_a_run_without_a_file_leaves_one_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--samples", 80, "--epochs", 5, "--engine", "eager", "--seeds", 3]
    code, printed, _ = in_process(*small)
    (out,) = (tmp_path / "runs").iterdir()
    code, again, said = in_process(out / "study.toml", "--no-plots")
    assert (code, said) == (0, "")
    assert again.replace(str(out), str(out.relative_to(tmp_path))) == printed
    # More seeds go on in the same folder.
    code, _, _ = in_process(out / "study.toml", "--no-plots", "--seeds", 5)
    assert code == 0
    assert tomllib.loads((out / "study.toml").read_text())["run"]["seeds"] == 5
    assert results_of(out)["models"]["model_0"]["seeds"] == 5


def test_paths_begin_at_the_file_and_move_with_it(tmp_path, monkeypatch):
    place = tmp_path / "place"
    (place / "data").mkdir(parents=True)
    rows = {"x": [i / 7 % 1 for i in range(40)], "y": ["a", "b"] * 20, "id": list(range(40))}
    pl.DataFrame(rows).write_csv(place / "data" / "rows.csv")
    (place / "s.toml").write_text(
        "seeds = 3\nout = 'out'\nengine = 'eager'\nplots = false\nepochs = 4\n"
        "[data]\npath = 'data/rows.csv'\ntarget = 'y'\ndrop = ['id']\nstratify = false\n"
    )
    monkeypatch.chdir(tmp_path)
    code, printed, _ = in_process("place/s.toml")
    assert code == 0
    content = tomllib.loads((place / "out" / "study.toml").read_text())
    assert content["data"] == (
        {"path": "../data/rows.csv", "target": "y", "drop": ["id"], "stratify": False}
    )
    assert content["models"]["model_1"]["spec"] == "mlp:16,16"
    place.rename(tmp_path / "moved")
    code, again, said = in_process("moved/out/study.toml")
    assert (code, said) == (0, "")
    assert again.replace("moved/", "place/") == printed


def test_a_file_of_somebodys_own_is_never_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY.replace('"found"', '"."'))
    for args in ([], ["--fresh"]):
        code, printed, complaint = in_process("study.toml", *args)
        assert (code, printed, complaint.count("\n")) == (2, "", 1)
        assert "study.toml is not of this run" in complaint
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_fresh_keeps_the_file_that_asks_for_it(file, tmp_path):
    assert in_process(file)[0] == 0
    out = tmp_path / "found"
    before = (out / "study.toml").read_text()
    code, _, said = in_process(out / "study.toml", "--fresh")
    assert code == 0
    assert said.startswith("--fresh deletes 5 finished seeds")
    assert (out / "study.toml").read_text() == before


def test_every_argument_has_its_place_in_a_file():
    from dataclasses import fields

    from functional_clf.cli.study_file import ACTS, COMPARE, DATA, run_keys

    placed = {*ACTS, *COMPARE, *DATA, *run_keys(RunArguments)}
    models = {"study", "data", "no_stratify", "model", "spec_0", "spec_1", "model_0", "model_1"}
    assert placed | models == {one.name for one in fields(RunArguments)}
    assert not placed & models
