"""Processes of this package's own: on how many cores, and with which modules."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

GROUPS: set[int] = set()
"""Groups of processes that have nothing to tidy up, and end with this one."""


def available_cores() -> int:
    """Cores that this process may run on.

    Example:
        >>> available_cores() >= 1
        True
    """
    with suppress(AttributeError, OSError):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def child_environment() -> dict[str, str]:
    """Environment variables of a child process that shall import this very package.

    Example:
        >>> str(Path(__file__).parents[2]) in child_environment()["PYTHONPATH"]
        True
    """
    package = sys.modules[__name__.partition(".")[0]]
    folder = str(Path(package.__file__ or "").parents[1])
    paths = [folder, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def end_children(until: float = 0.0) -> None:
    """End the processes of this one's session that it has started, and those of `GROUPS`.

    Whoever starts a session of its own sees to its end.

    Args:
        until: when to kill those that have not ended, by `time.monotonic()`.
    """
    for group in GROUPS:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    found = _descendants()
    _send(found, signal.SIGTERM)  # compilers remove their files
    while found and time.monotonic() < until:
        time.sleep(0.01)
        found = _descendants()
    _send(found, signal.SIGKILL)


def _send(processes: Iterable[int], number: int) -> None:
    for process in processes:
        with suppress(OSError):
            os.kill(process, number)


def _descendants() -> list[int]:
    """Processes below this one that run, as Linux tells; but joblib's keepers, which tidy up."""
    parents: dict[int, int] = {}
    with suppress(OSError):
        session = os.getsid(0)
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                told = Path(f"/proc/{name}/stat").read_text("utf-8", "replace")
                state, parent, _, its_session = told.rpartition(")")[2].split()[:4]
                if state not in "ZX" and int(its_session) == session:
                    parents[int(name)] = int(parent)
    found = [os.getpid()]
    for one in found:  # which grows
        found += [child for child, parent in parents.items() if parent == one]
    return [one for one in found[1:] if not _is_keeper(one)]


def _is_keeper(process: int) -> bool:
    with suppress(OSError):
        return b"resource_tracker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def serve(parent: int) -> None:
    """Have this process end with the one that started it, and leave Ctrl-C to that one.

    Args:
        parent: its number.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:  # whoever is left alone is given another parent
        time.sleep(1)
    os._exit(1)
