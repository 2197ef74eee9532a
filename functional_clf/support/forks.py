"""Forked processes: they have none of their parent's threads, and wait for them for ever.

Polars and torch start threads where they are first used and expect to find them from then on.
"""

import os

_owner: int | None = None
"""The process that such threads were started in; a fork inherits the number and not the threads."""


def use_threads() -> None:
    """Say that polars' or torch's threads are needed now.

    Raises:
        RuntimeError: in a process forked from one that has said so.

    Example:
        >>> use_threads()
    """
    global _owner
    if _owner is None:
        _owner = os.getpid()
    if _owner != os.getpid():
        raise RuntimeError(
            "this process was forked from one that had run a study, whose threads it lacks; start "
            'it with multiprocessing\'s "spawn" or "forkserver" method'
        )
