"""A database's file: made whole, opened for what it may be used for, and what lies beside it.

What SQLite finds beside a database it believes: it writes a journal's pages back into it, and
deletes the file that a journal names. So a journal is tried on a copy before.
"""

import contextlib
import errno
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from functional_clf.record.errors import StoreError, WriteError, damaged, in_use
from functional_clf.record.names import FILE_NAME
from functional_clf.record.schema import write_schema
from functional_clf.record.verification import Contents

BESIDE = ("-journal", "-wal", "-shm")
"""Endings of the files that SQLite keeps beside a database; a run has the first of them only."""

LEAST_BYTES = 512
"""The smallest page of a database."""

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_LOCK_START, _LOCK_BYTES = 0x40000000, 512  # where SQLite locks a database's file
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def make_folder(folder: Path) -> None:
    """Make a run folder where there is none.

    Raises:
        StoreError: when it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise StoreError(f"--out {folder} is a file; it must be a folder, or not exist") from None
    except OSError as error:
        raise StoreError(f"--out {folder} cannot be made: {error.strerror}") from error


def can_be_written(folder: Path) -> bool:
    """Whether a run folder's record can be written to, as it cannot on a read-only mount.

    Example:
        >>> can_be_written(Path("/nowhere"))
        False
    """
    path = folder / FILE_NAME
    return os.access(folder, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))


def connect(path: Path | None, is_read_only: bool = False) -> sqlite3.Connection:
    """Open a database, or one in memory where there is no path; a second user is told at once."""
    # The whole path, since SQLite takes one that begins with "file:" for an address.
    name = ":memory:" if path is None else os.path.abspath(path)
    if path is not None and is_read_only:
        name = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(name, timeout=0, isolation_level=None, uri=is_read_only)


def make_database(path: Path) -> None:
    """Make an empty database where there is none; it appears whole, or not at all.

    So a file that is empty or short was not left by a run that was killed: it is damaged.

    Raises:
        DamagedError: when there is a file, but no database in it.
        WriteError: when it cannot be made.
    """
    if path.exists():
        check_size(path)
        return
    unfinished = _beside(path)
    try:
        unfinished.unlink(missing_ok=True)
        database = connect(unfinished)
        try:
            write_schema(database)
        finally:
            database.close()
        _put(unfinished, path)
    except FileExistsError:
        pass  # another process was first: its database is as good
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _put(unfinished: Path, path: Path) -> None:
    """Give a file its name, if that is free.

    Raises:
        FileExistsError: when it is not.
    """
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links, as FAT. The name is taken first, by one process only;
        # who ends between the two lines leaves an empty file, which nobody takes for a study.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        os.replace(unfinished, path)


def check_size(path: Path) -> None:
    """See that a file can hold a database.

    Raises:
        DamagedError: when it is too short.
    """
    if (size := path.stat().st_size) < LEAST_BYTES:
        raise damaged(path, f"it has {size} bytes")


def refuse_links(path: Path) -> None:
    """Refuse a database that lies elsewhere, or of which a file that SQLite keeps beside it does.

    Raises:
        StoreError: when one of them is no regular file.
    """
    for ending in ("", *BESIDE):
        one = path.with_name(f"{path.name}{ending}")
        if one.is_symlink() or (one.exists() and not one.is_file()):
            raise StoreError(f"{one} is not a regular file; remove it, or give another --out")


def clean_up(path: Path) -> None:
    """Remove the beginnings of databases that killed processes have left beside this one."""
    for one in path.parent.glob(f".{path.name}.*.part*"):
        owner = one.name.removeprefix(f".{path.name}.").partition(".")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            one.unlink(missing_ok=True)


def rehearse(path: Path, verify: Callable[[sqlite3.Connection], Contents]) -> None:
    """Where a run was cut off in writing, see what its journal would make of the database.

    Args:
        path: the database's, which no other thread of this process has open.
        verify: what a database holds; raises where it is damaged.

    Raises:
        StoreError: when the journal is not to be used, or the database is in use.
        OSError: when there is no room for a copy.
    """
    journal = path.with_name(f"{path.name}-journal")
    try:
        with journal.open("rb") as file:
            is_hot = file.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC
            file.seek(max(file.seek(0, os.SEEK_END) - len(_JOURNAL_MAGIC), len(_JOURNAL_MAGIC)))
            names_another = file.read() == _JOURNAL_MAGIC
    except FileNotFoundError:
        return
    if not is_hot:
        return
    with _locked(path):
        if names_another:
            raise damaged(path, "its journal names another file, which those of a run never do")
        copy = _beside(path)
        try:
            shutil.copyfile(path, copy)
            before = None
            with contextlib.suppress(StoreError, sqlite3.Error):  # it was in the middle of writing
                before = _held(copy, verify)
            shutil.copyfile(journal, f"{copy}-journal")
            after = _held(copy, verify)
        except sqlite3.DatabaseError as error:
            raise damaged(path, f"its journal does not fit: {error}") from error
        finally:
            copy.unlink(missing_ok=True)
            Path(f"{copy}-journal").unlink(missing_ok=True)
    if before is not None and not _is_step_back(before, after):
        raise damaged(path, "its journal is not of its last run")


def _held(path: Path, verify: Callable[[sqlite3.Connection], Contents]) -> Contents:
    with contextlib.closing(connect(path)) as database:
        return verify(database)


def _is_step_back(before: Contents, after: Contents) -> bool:
    """Whether taking one transaction back leads from one to the other: a chunk is one."""
    is_same = before.configuration == after.configuration or not before.lanes
    return is_same and len(before.lanes.keys() - after.lanes.keys()) <= 1


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a database against every other process, as SQLite would.

    Raises:
        StoreError: when another one has it.
    """
    fcntl = _fcntl()
    if fcntl is None:
        yield
        return
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_BYTES, _LOCK_START)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise in_use(path) from error
        yield


def why_no_locks(folder: Path) -> str | None:
    """What keeps files in a folder from being locked; None where nothing does, as far as is known.

    SQLite says of a lock that cannot be had the same, whether another process has it or the file
    system keeps none, as a network's may.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     why_no_locks(Path(folder))
    """
    fcntl = _fcntl()
    if fcntl is None:
        return None
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.strerror if error.errno in _NO_LOCKS else None
    return None


def _fcntl() -> ModuleType | None:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    return fcntl


def _beside(path: Path) -> Path:
    """A name that this process alone uses, and that `clean_up` knows."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # somebody else's
    return True
