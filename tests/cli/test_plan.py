"""The command that plans: from a pilot there is, and from one that it runs."""

import json
import struct

import numpy as np
import pytest

from functional_clf.cli.main import main
from functional_clf.stats import plan

JOB = ["--data", "circles", "--samples", "60", "--epochs", "3", "--engine", "eager"]


@pytest.fixture
def scores(tmp_path):
    a, b = np.random.default_rng(0).normal(0.8, 0.02, (2, 16)).round(4)
    rows = [f"{i},{x},{y}" for i, (x, y) in enumerate(zip(a, b, strict=True))]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["seed,first,second", *rows]))
    return path, b - a


def test_a_table_of_scores_is_a_pilot(scores, capsys, tmp_path):
    path, differences = scores
    picture = tmp_path / "picture.png"
    asked = ["--metric", "accuracy", "--scope", "data", "--json", "--plot", str(picture)]
    assert main(["plan", str(path), *asked]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = plan(differences, scope="data")
    assert said["plans"][0]["for_power"] == expected.to_dict()["for_power"]
    assert said["plans"][0]["names"] == ["second", "first"]
    assert said["seeds"] % 16 == 0
    assert 0 <= said["seeds"] - expected.advised < 16
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    assert (width, height) == (1260, 576)


def test_splits_that_cannot_decide_are_told_so(scores, capsys):
    path, _ = scores
    sizes = ["--metric", "accuracy", "--scope", "split", "--n-train", "80", "--n-test", "20"]
    assert main(["plan", str(path), *sizes]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "is beyond any number of splits" in out
    assert "only more data would help" in out
    assert "Next:" not in out


def test_a_pilot_is_run_where_the_study_goes_on(capsys, tmp_path):
    folder = tmp_path / "run"
    job = [*JOB, "--out", str(folder)]
    assert main(["plan", *job, "--pilot-seeds", "4"]) == 0
    out = capsys.readouterr().out
    assert (folder / "plan.png").read_bytes().startswith(b"\x89PNG")
    following = next(line for line in out.splitlines() if line.startswith("Next: "))
    assert "--seeds " in following
    assert "measured on the pilot of 4" in " ".join(out.split())
    assert main(["plan", str(folder), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["plans"][0]["n_pilot"] == 4
    assert main(["run", *job, "--seeds", "6", "--no-plots"]) == 0
    assert main(["plan", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("Files:")[-1].split("\n", 1)[1])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["runs/none"], "runs/none"),
        (["--pilot-seeds", "1"], "pilot_seeds is 1"),
        (["--power", "2", *JOB, "--out", "X"], "power is 2.0"),
        (["--half-width", "0", *JOB, "--out", "X"], "half_width is 0.0"),
        (["--margin", "0", *JOB, "--out", "X"], "half_width is None"),
        ([*JOB, "--seeds", "4"], "--seeds is given; a pilot has --pilot-seeds"),
    ],
)
def test_what_is_wrong_is_one_line(args, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", *args]) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert message in err[-1]
    assert len(err) == 1
    assert not list(tmp_path.iterdir())


def test_the_function_keeps_its_name():
    import functional_clf.plan

    assert functional_clf.plan is plan
