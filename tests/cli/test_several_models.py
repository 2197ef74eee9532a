"""Models by name on the command line: two or more, held against one of them."""

import contextlib
import io
import json
import re
import sys

import pytest

from functional_clf import run

SMALL = ["--samples", "80", "--epochs", "12", "--engine", "eager", "--no-plots"]
THREE = [
    "--model",
    "line=mlp:,activation=None",
    "--model",
    "wide=mlp:32",
    "--model",
    "deep=mlp:8,8",
]


def in_process(*args):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run.main([*map(str, args)])
    # Where the machine is slow, progress is told.
    return code, out.getvalue(), re.sub(r"training: .*\n", "", err.getvalue())


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A run of three models; what it printed, and its folder."""
    out = tmp_path_factory.mktemp("runs") / "three"
    code, printed, said = in_process(*SMALL, *THREE, "--seeds", 8, "--out", out)
    assert (code, said) == (0, "")
    return printed, out


def results_of(out):
    return json.loads((out / "results.json").read_text())


def test_all_are_compared_with_the_first_and_adjusted(three):
    printed, out = three
    found = results_of(out)
    assert list(found["models"]) == ["line", "wide", "deep"]
    assert found["config"]["baseline"] == "line"
    pairs = [(c["model_a"]["name"], c["model_b"]["name"]) for c in found["comparisons"]]
    assert pairs == [("wide", "line"), ("deep", "line")]
    for one in found["comparisons"]:
        assert one["n_comparisons"] == 2
        assert one["alpha"] == pytest.approx(0.025)
        assert one["holm_pvalue"] >= one["pvalue"]
    raw = sorted(one["pvalue"] for one in found["comparisons"])
    adjusted = sorted(one["holm_pvalue"] for one in found["comparisons"])
    assert adjusted == pytest.approx([min(2 * raw[0], 1), min(max(2 * raw[0], raw[1]), 1)])
    assert found["conclusion"].count("Verdict: ") == 2
    assert found["conclusion"].count("over all 2 comparisons together") == 2
    assert found["conclusion"] in printed


def test_another_model_may_be_the_baseline(three):
    _, out = three
    code, printed, _ = in_process(*SMALL, *THREE, "--seeds", 8, "--out", out, "--baseline", "deep")
    assert code == 0
    pairs = [(c["model_a"]["name"], c["model_b"]["name"]) for c in results_of(out)["comparisons"]]
    assert pairs == [("line", "deep"), ("wide", "deep")]
    assert "and its difference from deep (CI of all 2 together)" in printed


@pytest.mark.parametrize("columns", [80, 200])
def test_the_table_has_each_model_its_difference_and_its_verdict(columns, three, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out = three
    _, printed, _ = in_process(*SMALL, *THREE, "--seeds", 8, "--out", out)
    assert "\x1b" not in printed
    head = printed.split("Reference accuracies")[0]
    assert max(map(len, head.splitlines())) <= min(columns, 90)
    title = head[head.index("Test accuracy") :]
    assert title.startswith(
        "Test accuracy, %, and its difference from line (CI of all 2 together)\n"
    )
    rows = {line.split()[0]: line for line in title.splitlines() if re.match(r" \w", line)}
    assert list(rows) == ["model", "line", "wide", "deep"]
    assert rows["model"].split() == (
        ["model", "mean", "95", "%", "CI", "diff", "95", "%", "CI", "Holm", "p", "verdict"]
    )
    assert rows["line"].split()[-1] == "baseline"
    found = results_of(out)
    for one in found["comparisons"]:
        row = rows[one["model_a"]["name"]]
        assert f"{100 * one['estimate']:+.1f}" in row
        assert one["verdict"].split()[0] in row
        assert f"{one['holm_pvalue']:.3f}".lstrip("0") in row or "< .001" in row or " 1 " in row


def test_a_narrow_screen_has_it_in_lines(three, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    _, printed, _ = in_process(*SMALL, *THREE, "--seeds", 8, "--out", three[1])
    head = printed.split("Reference accuracies")[0]
    assert max(map(len, head.splitlines())) <= 40
    assert "verdict" in head


def test_two_models_by_name_are_reported_as_two_always_were(tmp_path):
    two = ["--model", "model_0=mlp:5,activation=None,optimizer=sgd,learning_rate=0.1"]
    two += ["--model", "model_1=mlp:16,16"]
    named, plain = (
        in_process(*SMALL, *models, "--seeds", 4, "--out", tmp_path / name)
        for name, models in (("a", two), ("b", []))
    )
    assert named[1].replace("a/", "b/") == plain[1].replace("a/", "b/")
    assert (tmp_path / "a/seeds.csv").read_bytes() == (tmp_path / "b/seeds.csv").read_bytes()
    configs = [results_of(tmp_path / name)["config"]["models"] for name in "ab"]
    assert configs[0] == configs[1]


def test_the_former_options_take_a_model_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = [*SMALL, "--seeds", 3, "--out", "out", "--model-0.hidden", 4]
    code, printed, _ = in_process(*args, "--model-1", "mlp:32,activation=tanh")
    assert code == 0
    models = results_of(tmp_path / "out")["config"]["models"]
    assert models["model_0"]["layer_sizes"] == [2, 4, 1]
    assert models["model_1"]["layer_sizes"] == [2, 32, 1]
    assert models["model_1"]["activation"] == "tanh"
    assert "model_1 exceeds model_0" in printed or "model_0" in printed


def test_a_contestant_in_a_file_runs_replays_and_is_known_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine_of_test.py").write_text(
        "import torch\n"
        "from functional_clf import Recipe, adam, mlp\n"
        "NET = Recipe('net', mlp((2, 4, 1), torch.tanh), adam(0.01), epochs=6)\n"
    )
    args = ["--samples", 80, "--engine", "eager", "--no-plots", "--seeds", 4, "--out", "out"]
    args += ["--model", "line=mlp:,epochs=5", "--model", "net=mine_of_test.py:NET"]
    code, _, said = in_process(*args)
    assert (code, said) == (0, "")
    assert results_of(tmp_path / "out")["config"]["models"]["net"]["epochs"] == 6
    code, printed, _ = in_process(*args, "--replay", 2)
    assert code == 0
    assert re.search(r"net, seed 2: identical", printed)
    # With another content it is another study.
    source = (tmp_path / "mine_of_test.py").read_text()
    (tmp_path / "mine_of_test.py").write_text(source.replace("tanh", "relu"))
    code, _, said = in_process(*args)
    assert (code, said.count("\n")) == (2, 1)
    sys.modules.pop("mine_of_test", None)


WRONG = [
    (["--model", "a=mlp:4"], "model is a; a comparison needs two or more"),
    (["--model", "a=mlp:4", "--model", "a=mlp:8"], "model a is given twice"),
    (["--model", "mlp:4", "--model", "b=mlp:8"], "model is 'mlp:4'; it must begin with a name"),
    (["--model", "a=mlp:4", "--model", "b=mpl:8"], "model 'b': there is no module 'mpl'"),
    (["--model", "a=mlp:4", "--model", "b=no.py:net"], "model 'b': there is no file"),
    (["--model", "a=mlp:4,epoch=3", "--model", "b=mlp:8"], "did you mean epochs?"),
    (["--model", "a=mlp:[4", "--model", "b=mlp:8"], "model 'a': a closing ] is missing"),
    (["--model", "a=mlp:4", "b=mlp:8"], "study is b=mlp:8; it must be the path"),
    ([*THREE, "--baseline", "lin"], "baseline is 'lin'; it must be one of line, wide, deep"),
    (["--baseline", "wide"], "baseline is 'wide'; it must be one of model_0, model_1"),
    ([*THREE, "--design", "crossed"], "design is 'crossed'; it is of two models"),
    ([*THREE, "--self-calibration", "--seeds", "20"], "self_calibration is True; it is of two"),
    ([*THREE, "--model-0.hidden", "4"], "model is line, wide, deep, and --model-0 is given, too"),
    ([*THREE, "--model-1", "mlp:4"], "and --model-1 is given, too; say all models by --model"),
    (["--model-1", "mlp:4", "--model-1.epochs", "3"], "it takes none of the options --model-1.*"),
    (["--model-1", "no.py:net"], "model 'model_1': there is no file 'no.py'"),
    (["--model-1", "x=mlp:4"], "model 'model_1': there is no module 'x=mlp'"),
]


@pytest.mark.parametrize(("args", "gist"), WRONG, ids=[" ".join(args[-2:]) for args, _ in WRONG])
def test_a_wrong_model_is_one_line_and_leaves_nothing(args, gist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed, complaint = in_process(*SMALL, "--out", "out", *args)
    assert (code, printed, complaint.count("\n")) == (2, "", 1)
    assert complaint.startswith("error: ")
    assert gist in complaint
    assert not list(tmp_path.iterdir())
