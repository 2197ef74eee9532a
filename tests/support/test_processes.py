import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from functional_clf.support import processes
from functional_clf.support.processes import HEARD_BYTES, run_watched

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no shell")


def shell(line):
    return ["/bin/sh", "-c", line]


def is_alive(process):
    """Whether it runs: one that has ended may be kept by a parent that does not ask."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def soon(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def test_what_it_says_and_how_it_ends_is_told():
    assert run_watched(shell("echo a; echo b >&2; exit 3"), 60) == (3, b"a\n", b"b\n")
    assert run_watched(shell("printf 'gcc \\351'"), 60).out == b"gcc \xe9"
    assert run_watched(shell("kill -9 $$"), 60).code == -9
    assert run_watched(shell("read line; echo $?"), 60).out == b"1\n"  # there is no input


def test_one_that_cannot_be_started_is_told_as_by_the_system():
    with pytest.raises(FileNotFoundError):
        run_watched(["/no/such/program"], 60)


@pytest.mark.parametrize("line", ["sleep 1000", "sleep 1000 & wait", "exec >&- 2>&-; sleep 1000"])
def test_one_that_does_not_end_is_ended_with_all_that_it_started(line):
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"/bin/sh has not ended within 0\.3 s"):
        run_watched(shell(line), 0.3)
    assert time.monotonic() - start < 10


def test_what_it_leaves_running_ends_with_it(tmp_path):
    run_watched(shell(f"sleep 1000 & echo $! > {tmp_path}/pid"), 60)
    left = int((tmp_path / "pid").read_text())
    assert soon(lambda: not is_alive(left))


@pytest.mark.skipif(not Path("/usr/bin/setsid").exists(), reason="there is no setsid")
def test_nobody_waits_for_a_pipe_that_something_else_holds_open():
    start = time.monotonic()
    assert run_watched(shell("setsid sleep 20 & echo a"), 60).out == b"a\n"
    assert time.monotonic() - start < 15


def test_of_one_that_speaks_without_end_the_beginning_is_kept():
    ran = run_watched(shell("yes | head -c 9000000"), 60)
    assert ran.out == b"y\n" * (HEARD_BYTES // 2)
    with pytest.raises(TimeoutError):
        run_watched(["yes"], 0.5)


def test_one_that_is_no_longer_wanted_ends():
    with pytest.raises(InterruptedError, match="/bin/sh was stopped"):
        run_watched(shell("sleep 1000"), 60, is_over=lambda: True)


def test_without_a_shell_to_watch_it_it_runs_all_the_same(monkeypatch):
    popen = subprocess.Popen

    def refuse(command, **settings):
        if command[1:3] == ["-c", processes._WATCH]:
            raise FileNotFoundError
        return popen(command, **settings)

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert run_watched(shell("echo a"), 60).out == b"a\n"


PARENT = """
import sys
from pathlib import Path
from functional_clf.support.processes import run_watched
folder = Path(sys.argv[1])
line = f"(echo $$; exec sleep 1000) & echo $! > {folder}/pids; echo $$ >> {folder}/pids; wait"
run_watched(["/bin/sh", "-c", line], 600, folder / "work")
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
def test_it_dies_with_this_process_and_its_folder_goes(how, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "program.c").write_text("")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], stderr=subprocess.DEVNULL)
    try:
        pids = tmp_path / "pids"
        assert soon(lambda: pids.exists() and pids.read_text().count("\n") == 2, seconds=60)
        parent.send_signal(getattr(signal, how))
        assert parent.wait(10) != 0
    finally:
        parent.kill()
    for process in map(int, pids.read_text().split()):
        assert soon(lambda process=process: not is_alive(process))
    # Where this process could still end it by itself, the folder is its caller's.
    if how != "SIGINT":
        assert soon(lambda: not (tmp_path / "work").exists())
