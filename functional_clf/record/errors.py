"""What can be wrong with a run folder."""

from pathlib import Path

from functional_clf.support.errors import AskedError, MachineError


class StoreError(AskedError):
    """The run folder cannot be used as asked; the message says why and what to do."""


class DamagedError(StoreError):
    """The database is not what was once written."""


class WriteError(StoreError, MachineError):
    """The disk is full, or failing; what was finished is kept, and the same command continues."""


def damaged(path: Path | None, how: str) -> DamagedError:
    """The error that says how a database is damaged, and what to do.

    Example:
        >>> str(damaged(Path("study.sqlite"), "it has 0 bytes"))[:57]
        'study.sqlite is damaged (it has 0 bytes); nothing was cha'
    """
    words = " ".join(how.split())  # SQLite tells it in several lines
    return DamagedError(
        f"{path} is damaged ({words}); nothing was changed. Restore a copy, or start over with "
        "--fresh"
    )


def in_use(path: Path | None) -> StoreError:
    """The error that says that somebody else has a database open."""
    return StoreError(f"{path} is in use by another process; wait for it, or give another --out")
