"""The run folder's database: one SQLite file, opened by one process at a time and verified.

SQLite brings atomicity, locking and crash recovery, so none of it is written here. What SQLite does
not bring is a checksum: each entry carries a digest of its own, verified whenever it is read back.
"""

import errno
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from functional_clf.record.errors import DamagedError, StoreError, WriteError, damaged, in_use
from functional_clf.record.files import (
    can_be_written,
    check_size,
    clean_up,
    connect,
    make_database,
    make_folder,
    refuse_links,
    rehearse,
    why_no_locks,
)
from functional_clf.record.names import FILE_NAME
from functional_clf.record.rows import digest_of
from functional_clf.record.schema import APPLICATION_ID, FORMAT, READABLE, write_schema
from functional_clf.record.verification import Contents, verified

__all__ = ["DamagedError", "Database", "StoreError", "WriteError"]

_open: weakref.WeakSet["Database"] = weakref.WeakSet()


class Database:
    """A study's database file, or one in memory; a context manager.

    Holds the database's lock from opening to closing: a second process is told so at once.

    Args:
        folder: the run folder, made where there is none; None for one in memory.
        must_exist: refuse a folder without a study.

    Raises:
        StoreError: when the folder is in use, damaged, of another format, or cannot be written.

    Example:
        >>> with Database(None) as database:
        ...     database.configuration is None
        True
    """

    def __init__(self, folder: Path | None, must_exist: bool = False) -> None:
        self.folder = folder
        self.configuration: dict[str, Any] | None = None
        self.is_read_only = False
        self._session: int | None = None
        self._environment = "{}"
        self._meta: Mapping[str, str] = {}
        self._lanes: dict[int, int] = {}
        self._path = None if folder is None else folder / FILE_NAME
        with self._errors():
            if folder is not None and self._path is not None:
                if must_exist and not self._path.exists():
                    raise StoreError(f"{folder} holds no study: there is no {FILE_NAME} in it")
                self.is_read_only = self._path.exists() and not can_be_written(folder)
                self._prepare(folder, self._path)
            self._database = connect(self._path, self.is_read_only)
            try:
                if self._path is None:
                    write_schema(self._database)
                self._open()
            except BaseException:
                self._database.close()
                raise
        _open.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _open.discard(self)
        self._database.close()

    def _prepare(self, folder: Path, path: Path) -> None:
        """See that there is a database, and that nothing beside it would change it unseen."""
        make_folder(folder)
        refuse_links(path)
        if self.is_read_only:
            check_size(path)
        else:
            clean_up(path)
            make_database(path)
        # Closing a file that is open here a second time would let go of its lock.
        if _is_open_here(path):
            raise in_use(path)
        if (wal := path.with_name(f"{path.name}-wal")).exists():
            raise damaged(path, f"{wal.name} lies beside it, which no run leaves")
        if not self.is_read_only:  # else SQLite refuses a journal that it would have to use
            rehearse(path, self._verify)

    def _open(self) -> None:
        # Exclusive: the lock, once taken, is held until the connection closes.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA trusted_schema = OFF")
        if self.is_read_only:
            self._database.execute("BEGIN")
            self._database.execute("SELECT * FROM sqlite_master LIMIT 1").fetchall()
        else:
            with self._transaction():
                pass  # takes the lock before anything is believed
        self._check_format()
        found = self._verify(self._database)
        self.configuration, self._meta, self._lanes = found

    def _check_format(self) -> None:
        if self._pragma("application_id") != APPLICATION_ID:
            raise StoreError(f"{self._path} is not a functional_clf study; give another --out")
        if self._pragma("user_version") not in READABLE:
            raise StoreError(
                f"{self._path} has format {self._pragma('user_version')}, this version of "
                f"functional_clf reads format {FORMAT}; use the version that wrote it, or give "
                "another --out"
            )

    def _verify(self, database: sqlite3.Connection) -> Contents:
        """Compare every entry with its digest."""
        return verified(database, self._path)

    def damaged(self, how: str) -> DamagedError:
        """The error that says that the database is not what was once written."""
        return damaged(self._path, how)

    def _write_meta(self, key: str, value: str) -> None:
        digest = digest_of(key.encode(), value.encode())
        with self._errors(), self._transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (key, value, digest)
            )
        self._meta = {**self._meta, key: value}

    def _pragma(self, name: str) -> int:
        return self._database.execute(f"PRAGMA {name}").fetchone()[0]

    def _query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into one line that names the file."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._told(error) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise self._not_written(error.strerror) from error
            raise StoreError(f"{self._path}: {error.strerror}; give another --out") from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise damaged(self._path, str(error)) from error

    def _told(self, error: sqlite3.OperationalError) -> StoreError:
        # Python's own complaints, as of a text that is no UTF-8, have no name.
        name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR_LOCK")):
            if self.folder is not None and (why := why_no_locks(self.folder)) is not None:
                return StoreError(
                    f"{self._path} cannot be locked ({why}): its file system could not tell two "
                    "runs apart; give an --out on another, as on a local disk"
                )
            return in_use(self._path)
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            return self._not_written(str(error))
        if self.is_read_only and name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return StoreError(
                f"{self._path} may not be written to, and a run was cut off while it wrote: have "
                "it opened once where it can be, or copy its folder with all files"
            )
        if name in ("SQLITE_CORRUPT", "SQLITE_ERROR"):
            return damaged(self._path, str(error))
        return StoreError(f"{self._path}: {error}")

    def _not_written(self, why: str | None) -> WriteError:
        return WriteError(
            f"{self._path}: {why}; finished chunks are kept, and the same command continues once "
            "there is room"
        )

    def _numbers(self, statement: str, values: Sequence[Any]) -> np.ndarray:
        """The integers that a query of one column finds, eight bytes each."""
        with self._errors():
            found = self._database.execute(statement, values)
            return np.fromiter((number for (number,) in found), np.int64)


def _is_open_here(path: Path) -> bool:
    paths = (one._path for one in list(_open))
    return any(one is not None and one.exists() and one.samefile(path) for one in paths)
