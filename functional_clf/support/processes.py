"""Processes of this package's own: on how many cores, and with which modules."""

import os
import signal
import sys
import threading
import time
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
