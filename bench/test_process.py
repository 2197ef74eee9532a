"""The whole process, `python -m functional_clf.run`, from the start of Python to its end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
"""Where compiled code is kept; a fresh folder in each makes a process a cold one."""


def cases(settings):
    cold = [("cold", engine, 0) for engine in ("auto", "compile")]
    engines = ("auto", "eager", "compile")
    warm = [("warm", engine, n) for n in range(settings.process_rounds) for engine in engines]
    return [*cold, *warm, ("large", "auto", 0)]


@pytest.fixture(scope="session")
def caches(tmp_path_factory) -> Path:
    """A folder of caches, one an engine: none finds what another one left."""
    return tmp_path_factory.mktemp("caches")


def test_process(case, benchmark, settings, caches, tmp_path):
    state, engine, n = case
    cache = caches / engine  # empty at first, which is what "cold" means
    seeds = settings.large_seeds if state == "large" else settings.process_seeds
    command = [sys.executable, "-m", "functional_clf.run"]
    command += ["--seeds", str(seeds), "--engine", engine, "--device", settings.device]
    command += ["--out", str(tmp_path / "run")]
    environment = {**os.environ, **{name: str(cache / name) for name in CACHES}}

    def run():
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    finished = benchmark.pedantic(run, rounds=1)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["conclusion"] in finished.stdout
    benchmark.extra_info |= {
        "section": "process",
        "state": state,
        "engine": engine,
        "round": n,
        "seeds": seeds,
        "ran": results["engine"]["ran"],
        "reason": results["engine"]["reason"],
        "timings": results["timings"],
    }
