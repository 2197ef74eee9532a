"""A compiler that does not end: of a command, what is seen; of all that it started, the end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from functional_clf import Study, circles, mlp_recipe
from functional_clf.engines.cache import VARIABLE
from functional_clf.engines.fused import library

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="who is alive is read in /proc"
)
SMALL = ["--samples", "40", "--epochs", "2", "--seeds", "2", "--no-plots"]


@pytest.fixture(autouse=True)
def hanging(tmp_path, monkeypatch):
    """Told by CC; each one that compiles notes its number."""
    script = tmp_path / "cc"
    pids = tmp_path / "pids"
    start = '#!/bin/sh\n[ "$1" = --version ] && echo cc 1.0 && exit\n'
    script.write_text(f"{start}echo $$ >> {pids}\nsleep 1000 & echo $! >> {pids}\nwait\n")
    script.chmod(0o700)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return pids


def alive(pids):
    found = []
    for process in pids.read_text().split():
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":  # one that has ended, and nobody has asked for
            found.append(process)
    return found


def soon(condition, seconds):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize(
    ("sign", "engine", "code"),
    [("SIGINT", "fused", 130), ("SIGTERM", "auto", 143), ("SIGKILL", "fused", -9)],
)
def test_a_signal_ends_a_hanging_compilation_at_once_and_nothing_is_left(
    sign, engine, code, hanging, tmp_path
):
    command = [sys.executable, "-m", "functional_clf.run", *SMALL, "--engine", engine]
    process = subprocess.Popen(
        [*command, "--out", tmp_path / "out"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert soon(lambda: hanging.exists() and hanging.read_text().count("\n") == 4, 120)
        start = time.monotonic()
        process.send_signal(getattr(signal, sign))
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - start < 20
    assert process.returncode == code
    assert "Traceback" not in said
    assert soon(lambda: not alive(hanging), 20)
    fused = tmp_path / "cache"
    assert soon(lambda: not list(fused.rglob("tmp*")), 20)
    assert not list(fused.rglob("program.c"))


def test_auto_goes_on_with_eager_after_the_time_limit_and_says_so_in_a_line(
    hanging, monkeypatch, caplog
):
    monkeypatch.setattr(library, "LONGEST_SECONDS", 0.3)
    recipe = mlp_recipe("m", (2, 1), None, "sgd", 0.1, epochs=1)
    results = Study(circles(20), (recipe,), seeds=2, engine="auto").run()
    assert results.engine.ran == "eager"
    (line,) = caplog.messages
    cc = os.environ["CC"]
    assert line == f"engine: eager, because compiling failed ({cc} has not ended within 0.3 s)"
    assert not alive(hanging)
    with pytest.raises(
        ValueError, match=r"engine is .fused., but compiling failed .*within 0\.3 s"
    ):
        Study(circles(20), (recipe,), seeds=2, engine="fused").run()
