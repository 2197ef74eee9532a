"""`functional-clf check`: a gate that a pipeline can trust."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from functional_clf import Study, circles, mlp_recipe
from functional_clf.cli import main as program
from functional_clf.cli.check import main

ROOT = Path(__file__).parents[2]
FAST = {"engine": "eager", "threads": 1}


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def write(path, scores, metric="accuracy", first=0):
    rows = "".join(f"{first + seed},{score:.6f}\n" for seed, score in enumerate(scores))
    path.write_text(f"seed,{metric}\n{rows}")
    return str(path)


def noise(n=30, seed=0, size=0.01):
    return np.random.default_rng(seed).normal(0, size, n)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Run folders of one data set: an old model, a better, a worse, and one much like the old."""
    folder = tmp_path_factory.mktemp("runs")
    old = mlp_recipe("net", hidden=(8,), epochs=80, learning_rate=0.05)
    for name, model, seeds in (
        ("old", old, 12),
        ("better", mlp_recipe("net", hidden=(16, 16), epochs=120, learning_rate=0.05), 12),
        ("worse", mlp_recipe("net", hidden=(), activation=None, epochs=25), 12),
        ("twin", mlp_recipe("net", hidden=(9,), epochs=80, learning_rate=0.05), 12),
        ("longer", old, 16),
    ):
        Study(circles(100), (model,), seeds=seeds, **FAST).run(folder / name)
    Study(circles(120), (old,), seeds=12, **FAST).run(folder / "other data")
    return folder


def test_a_pipeline_reads_exit_codes_and_junit(folders):
    """Real processes on three pairs of run folders."""
    found = {}
    for name in ("better", "worse", "twin"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "functional_clf.check", name, "--against", "old",
             "--margin", "0.01", "--junit", f"{name}.xml", "--markdown", f"{name}.md"],
            cwd=folders, env=environment(), capture_output=True, text=True,
        )  # fmt: skip
        assert done.stderr == ""
        (case,) = ET.parse(folders / f"{name}.xml").getroot().iter("testcase")
        suite = ET.parse(folders / f"{name}.xml").getroot()
        counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
        found[name] = done.returncode, [one.tag for one in case], counts
        line = done.stdout.splitlines()[0]
        assert "over 12 paired seeds" in line
        assert case.findtext("system-out").splitlines()[0] == line
        assert (folders / f"{name}.md").read_text().startswith("### ")
    counts = {"tests": "1", "failures": "0", "errors": "0", "skipped": "0"}
    assert found == {
        "better": (0, ["system-out"], counts),
        "worse": (1, ["failure", "system-out"], counts | {"failures": "1"}),
        "twin": (3, ["skipped", "system-out"], counts | {"skipped": "1"}),
    }


def test_the_line_tells_how_many_more_seeds_would_decide(tmp_path, capsys):
    old = 0.6 + noise()
    steps = noise(seed=1, size=0.1)
    run = write(tmp_path / "run.csv", old + steps)
    base = write(tmp_path / "old.csv", old)
    asked = ["--against", base, "--scope", "data"]
    assert main([run, *asked]) == 3
    line = capsys.readouterr().out.splitlines()[0]
    (more,) = re.findall(r"about (\d+) more seeds like these would decide", line)
    # And so they do, where these come again and again, and much fewer do not.
    for share, codes in ((1.0, (0, 1)), (0.8, (3,))):
        rounds = round(share * (1 + int(more) / 30) + 0.5 * (share == 1))
        write(tmp_path / "run.csv", np.tile(old + steps, rounds))
        write(tmp_path / "old.csv", np.tile(old, rounds))
        assert rounds > 5
        assert main([run, *asked]) in codes


def test_where_no_seeds_would_decide_the_line_says_it(tmp_path, capsys):
    old = 0.8 + noise()
    steps = np.tile([0.05, -0.05], 15)
    base = write(tmp_path / "old.csv", old)
    run = write(tmp_path / "run.csv", old + steps)
    sizes = ["--n-train", "80", "--n-test", "20"]
    assert main([run, "--against", base, "--scope", "split", *sizes]) == 3
    assert "no number of splits of this data set would: more data would" in capsys.readouterr().out
    at_margin = write(tmp_path / "at.csv", np.round(old, 6) + steps - 0.01)
    assert main([at_margin, "--against", base, "--scope", "data"]) == 3
    assert "if the mean is what is seen: the margin itself" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("metric", "shift", "code"),
    [
        ("log_loss", -0.2, 0),
        ("log_loss", 0.2, 1),
        ("accuracy", 0.2, 0),
        ("accuracy", -0.2, 1),
        ("neg_log_loss", -0.2, 1),
        ("neg_log_loss", 0.2, 0),
        ("brier_score", 0.2, 1),
    ],
)
@pytest.mark.parametrize("is_paired", [True, False], ids=["paired", "not paired"])
def test_what_is_worse_depends_on_the_metric(metric, shift, code, is_paired, tmp_path, capsys):
    sign = -1 if metric.startswith("neg_") else 1
    old = 0.5 * sign + noise()
    base = write(tmp_path / "old.csv", old, metric)
    run = write(tmp_path / "run.csv", old + shift + noise(seed=1), metric, 0 if is_paired else 50)
    assert main([run, "--against", base, "--scope", "data", "--margin", "0.05"]) == code
    assert ("not paired" in capsys.readouterr().out) != is_paired


def test_runs_of_other_seeds_or_data_are_two_groups_and_the_line_says_it(folders, tmp_path, capsys):
    asked = ["--against", str(folders / "old"), "--json"]
    assert main([str(folders / "other data"), *asked]) in (0, 1, 3)
    found = json.loads(capsys.readouterr().out)
    assert not found["is_paired"]
    assert "as two independent groups, not paired, as their data differ" in found["line"]
    assert "n_samples is 100 there, 120 here" in found["line"]
    assert "circles(120" in found["scope"]
    assert found["comparison"] is None
    # All seeds of the shorter run are in the longer one, and nothing else differs.
    assert main([str(folders / "longer"), *asked]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["is_paired"]
    assert "over the 12 seeds that both have, paired" in found["line"]
    assert found["estimate"] == 0


def test_two_models_of_one_folder_are_paired(tmp_path, capsys):
    models = [mlp_recipe(name, hidden=(8,), epochs=n) for name, n in (("a", 2), ("b", 60))]
    Study(circles(60), models, seeds=6, **FAST).run(tmp_path / "run")
    folder = str(tmp_path / "run")
    assert main([folder, "--against", folder, "--model", "a"]) == 2
    assert "both sides are a of" in capsys.readouterr().err
    assert main([folder, "--against", folder]) == 2
    assert "has the models a, b; say by --model which one" in capsys.readouterr().err
    assert main([folder, "--against", folder, "--model", "a", "--against-model", "b"]) in (0, 1, 3)
    assert "over 6 pairs" in capsys.readouterr().out


def test_a_gate_gives_what_the_comparison_gives(folders, capsys):
    asked = [str(folders / "twin"), "--against", str(folders / "old"), "--json"]
    assert program.main(["check", *asked]) == 3
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found["interval"] == found["comparison"]["interval"]
    assert found["comparison"]["n_test"] == 20
    assert found["comparison"]["scope"] == "data"
    assert (found["outcome"], found["code"]) == ("undecided", 3)


def test_splits_that_cannot_be_paired_are_refused(tmp_path, capsys):
    run = write(tmp_path / "run.csv", 0.8 + noise(), first=30)
    base = write(tmp_path / "old.csv", 0.8 + noise(seed=1))
    sizes = ["--n-train", "80", "--n-test", "20"]
    assert main([run, "--against", base, "--scope", "split", *sizes]) == 2
    assert "cannot be paired, as their seeds are not the same" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--against"),
        (["--against", "none.csv"], "there is no file"),
        (["--against", "old.csv", "--model", "x"], "--model is 'x'; it must be one of run"),
        (["--against", "old.csv", "--against-model", "x"], "--against-model is 'x'"),
        (["--against", "loss.csv"], "the metrics of the two sides are accuracy and log_loss"),
        (["--against", "old.csv", "--junit", "no/where.xml"], "there is no folder no"),
        (["--against", "old.csv", "--junit", "."], "a folder; it must be a file"),
        (["--against", "old.csv", "--junit", "x", "--markdown", "x"], "name two files"),
        (["--against", "old.csv", "--scope", "split"], "say --n-train and --n-test"),
        (["--against", "run.csv"], "both sides are run of"),
        (["--against", "."], "holds no study"),
        (["--against", "old.csv", "--margin", "2"], "margin is 2"),
    ],
)
def test_what_is_asked_wrongly_is_one_line_and_leaves_no_file(
    options, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write(Path("run.csv"), 0.8 + noise())
    write(Path("old.csv"), 0.8 + noise(seed=1))
    write(Path("loss.csv"), 0.8 + noise(seed=1), "log_loss")
    before = sorted(os.listdir())
    junit = [] if "--junit" in options else ["--junit", "junit.xml"]
    assert main(["run.csv", *options, *junit]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert sorted(os.listdir()) == before


def test_files_are_whole_whatever_the_names_hold(tmp_path, capsys):
    text = "model,seed,accuracy\n" + "".join(
        f"{model},{seed},{0.8 + 0.01 * (seed % 3)}\n"
        for model in ("a|<b>", "c\x07")
        for seed in range(6)
    )
    (tmp_path / "s.csv").write_text(text)
    path, junit, markdown = (str(tmp_path / name) for name in ("s.csv", "j.xml", "m.md"))
    asked = [path, "--against", path, "--model", "a|<b>", "--against-model", "c\x07"]
    assert main([*asked, "--junit", junit, "--markdown", markdown]) == 3
    (case,) = ET.parse(junit).getroot().iter("testcase")
    assert case.get("name") == r"a|<b> is not worse than c\x07"
    assert "a\\|\\<b\\>" in Path(markdown).read_text()


def test_no_torch_is_needed(folders):
    code = (
        "import sys; from functional_clf.cli.check import main; "
        "code = main(['better', '--against', 'old']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folders, env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
