"""The processes that fit classifiers: nothing that another user could put somewhere is run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import functional_clf
from functional_clf.cli.main import main
from functional_clf.workers.processes import FitProcessError, Processes

PLANTED = (
    *("joblib", "multiprocessing", "numpy", "sklearn", "pickle", "cloudpickle", "struct"),
    *("threadpoolctl", "functional_clf", "subprocess", "tempfile", "argparse"),
)

WORK = """
import os, sys
import numpy as np
from functional_clf.workers.processes import Processes

def seen(array):
    return float(array.sum()), os.listdir(os.environ["JOBLIB_TEMP_FOLDER"]), os.getpid(), sys.path

if __name__ == "__main__":
    with Processes(2) as processes:
        # So large that joblib's own Parallel would put it into a file.
        found = processes.map(seen, [(np.full(2**20, one),) for one in (1.0, 2.0)])
    assert [one[0] for one in found] == [2.0**20, 2.0**21]
    assert all(one[1] == [] and one[2] != os.getpid() for one in found)
    assert all(os.getcwd() not in one[3] and "" not in one[3] for one in found)
    assert "PYTHONSAFEPATH" not in os.environ
    print("done")
"""


@pytest.fixture(autouse=True)
def _interrupts():
    """A command takes Ctrl-C over; give it back."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_nothing_in_the_current_or_the_temporary_folder_is_run_or_read(tmp_path):
    places = [tmp_path / name for name in ("scripts", "here", "temporary")]
    for place in places:
        place.mkdir()
    scripts, here, temporary = places
    (scripts / "work.py").write_text(WORK)
    for name in PLANTED:
        (here / f"{name}.py").write_text(f"open('ran', 'a').write('{name} ')")
    package = str(Path(functional_clf.__file__).parents[1])
    told = {"PYTHONPATH": package, "JOBLIB_TEMP_FOLDER": str(temporary), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, scripts / "work.py"],
        cwd=here, env={**os.environ, **told}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert not (here / "ran").exists()


def test_an_end_amid_calls_that_wait_is_silent(capfd):
    class EndedError(Exception):
        pass

    def end():
        raise EndedError

    for _ in range(4):
        with pytest.raises(EndedError), Processes(2) as processes:
            processes.map(time.sleep, [(0.01,)] * 200, end)
    assert capfd.readouterr() == ("", "")


def test_a_fit_that_ends_its_process_is_told_in_a_line(monkeypatch, capsys, tmp_path):
    def ended(self, *args):
        raise FitProcessError("a process that fits models ended in the middle of its work")

    monkeypatch.setattr(Processes, "map", ended)
    models = "lr=sklearn.linear_model:LogisticRegression", "nb=sklearn.naive_bayes:GaussianNB"
    arguments = ["--data", "iris", "--seeds", "16", "--no-plots"]
    arguments += [part for model in models for part in ("--model", model)]
    code = main(["run", *arguments, "--out", str(tmp_path / "out"), "--threads", "2"])
    complaint = capsys.readouterr().err
    assert code == 1
    assert complaint.count("error: ") == 1
    assert "error: a process that fits models ended in the middle" in complaint


def test_the_environment_is_as_it_was(monkeypatch):
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    with Processes(1) as processes:
        assert processes.map(abs, [(-1,)]) == [1]
    assert os.environ["PYTHONSAFEPATH"] == ""
    with Processes(1) as processes, pytest.raises(TypeError):
        processes.map(abs, [("x",)])
