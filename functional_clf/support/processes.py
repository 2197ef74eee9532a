"""Processes of this package's own: on how many cores, and with which modules."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path


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


def leave_interrupts() -> None:
    """Leave Ctrl-C to the process that started this one, which will end it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
