"""Which modules a command loads: what keeps it quick to start, on any machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGE = {"torch", "sklearn", "scipy", "polars", "matplotlib"}
TRACING = {"sympy", "torch._inductor", "torch._dynamo"}
SMALL = ["--samples", "80", "--epochs", "12", "--seeds", "4", "--out", "out"]

REPORT = """
import atexit, os, sys

def report(out=os.dup(2)):
    os.write(out, "\\n".join(["", "LOADED", *sys.modules]).encode())

atexit.register(report)
"""
RUN = (
    REPORT
    + """
import runpy
sys.argv[0] = "run"
runpy.run_module("functional_clf.run", run_name="__main__", alter_sys=True)
"""
)


def loaded(code, *args, folder, expect=0):
    """The modules that a process has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    said, _, modules = done.stderr.partition("\nLOADED\n")
    assert done.returncode == expect, said
    found = set(modules.splitlines())
    assert "functional_clf" in found
    return found


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--help"], 0),
        (["--seed", "3"], 2),
        (["--seeds", "none"], 2),
        (["--seeds", "0"], 2),
        (["--alpha", "2"], 2),
        (["--engine", "magic"], 2),
        (["--vary", "split", "--design", "crossed"], 2),
        (["--fresh", "--replay", "3"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_help_and_wrong_arguments_load_nothing_large(args, code, tmp_path):
    assert not loaded(RUN, *args, folder=tmp_path, expect=code) & LARGE


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--help"],
        ["--version"],
        ["walk"],
        ["run", "--seeds", "0"],
        ["compare", "--help"],
        ["compare", "scores.csv", "--alpha", "2"],
        ["check", "--help"],
        ["check", "runs/new"],
    ],
    ids=" ".join,
)
def test_the_console_script_loads_nothing_large_either(args, tmp_path):
    code = REPORT + "from functional_clf.cli.main import main\nsys.exit(main())"
    wrong = 0 if "--help" in args or len(args) < 1 or args == ["--version"] else 2
    assert not loaded(code, *args, folder=tmp_path, expect=wrong) & LARGE


def test_the_package_itself_loads_nothing_large(tmp_path):
    code = REPORT + "import functional_clf; dir(functional_clf); functional_clf.__version__"
    assert not loaded(code, folder=tmp_path) & LARGE


def test_the_statistics_load_nothing_of_training(tmp_path):
    code = REPORT + "from functional_clf.stats import compare; compare([0.9, 0.8], [0.7, 0.7])"
    found = loaded(code, folder=tmp_path)
    assert not found & (LARGE - {"scipy"} | {"scipy.stats"})


def test_a_command_with_nothing_left_to_train_neither_draws_data_nor_compiles(tmp_path):
    args = [*SMALL, "--engine", "eager", "--no-plots"]
    first = loaded(RUN, *args, folder=tmp_path)
    assert "sklearn" in first
    again = loaded(RUN, *args, folder=tmp_path)
    assert not again & (TRACING | {"sklearn", "matplotlib"})


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A folder in which the main job in small has run, fused programs and all."""
    from functional_clf.engines import machine

    if machine.c_compiler() is None:
        pytest.skip("fused programs need a C compiler")
    folder = tmp_path_factory.mktemp("warm")
    loaded(RUN, *SMALL, "--engine", "fused", folder=folder)
    return folder


@pytest.mark.parametrize("more", [[], ["--fresh"]], ids=["the same again", "trained again"])
def test_a_warm_main_job_traces_nothing(warm, more):
    found = loaded(RUN, *SMALL, "--engine", "fused", *more, folder=warm)
    assert not found & (TRACING | {"matplotlib"})  # child processes draw
    assert (warm / "out" / "plots" / "boundaries.png").stat().st_size > 0
