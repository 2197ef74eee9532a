import os
import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing, os, sys, time, warnings

warnings.simplefilter("ignore")  # Python 3.12 and newer warn of forks beside threads
from pathlib import Path

from functional_clf import Study, circles, load_seed, model_0, model_1
from functional_clf.study.replay import replay

folder, engine, first = sys.argv[1:]


def study():
    recipes = model_0(epochs=3), model_1(epochs=3)
    return Study(circles(40), recipes, seeds=2, engine=engine)


results = study().run(folder) if first == "run" else None
ways = {
    "run": lambda: study().run(),
    "retrain": lambda: study().retrain([1]),
    "seeds": lambda: results.seeds.filter(model="model_0"),
    "accuracies": lambda: results.accuracies("model_0"),
    "conclusion": lambda: results.conclusion,
    "repr": lambda: repr(results),
    "replay": lambda: replay(Path(folder), 1),
    "load_seed": lambda: load_seed(folder, "model_0", 1),
}


def child(way):
    sys.stderr = sys.stdout
    try:
        ways[way]()
    except RuntimeError as error:
        print(f"{way}: {error}", flush=True)
    else:
        print(f"{way}: done", flush=True)
    os._exit(0)


for way in ways if first == "run" else ["run"]:
    process = multiprocessing.get_context("fork").Process(target=child, args=(way,))
    process.start()
    process.join(30)
    if process.is_alive():
        process.kill()
        print(f"{way}: HANGS", flush=True)
"""


def forked(*args):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, args)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_fork_of_a_process_that_has_run_a_study_is_refused_and_does_not_hang(engine, tmp_path):
    said = forked(tmp_path / "out", engine, "run")
    refused = ["run", "retrain", "seeds", "accuracies", "conclusion", "replay"]
    assert {way: said.pop(way) for way in refused} == dict.fromkeys(
        refused,
        "this process was forked from one that had run a study, whose threads it lacks; start it "
        'with multiprocessing\'s "spawn" or "forkserver" method',
    )
    assert said == {"repr": "done", "load_seed": "done"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_before_any_run_may_run_one(tmp_path):
    assert forked(tmp_path, "eager", "fork") == {"run": "done"}
