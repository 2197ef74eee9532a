"""The run folder's database: one SQLite file, opened by one process at a time and verified.

SQLite brings atomicity, locking and crash recovery, so none of it is written here. What SQLite does
not bring is a checksum: each entry carries a digest of its own, verified whenever it is read back.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from functional_clf.record.names import FILE_NAME
from functional_clf.record.rows import SEED_COLUMNS, chunk_digest, digest_of
from functional_clf.support.errors import AskedError, MachineError

APPLICATION_ID = 0x66636C66  # "fclf", in SQLite's header: the file is one of ours
FORMAT = 3

_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE session (id INTEGER PRIMARY KEY, environment TEXT NOT NULL);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session,
    curves BLOB NOT NULL,
    params BLOB,
    digest BLOB NOT NULL
);
CREATE TABLE replicate (
    {", ".join(SEED_COLUMNS)},
    chunk INTEGER NOT NULL REFERENCES chunk,
    lane INTEGER NOT NULL,
    PRIMARY KEY (model, seed)
) WITHOUT ROWID;
CREATE INDEX replicate_of_chunk ON replicate (chunk, model, lane);
"""


class StoreError(AskedError):
    """The run folder cannot be used as asked; the message says why and what to do."""


class DamagedError(StoreError):
    """The database is not what was once written."""


class WriteError(StoreError, MachineError):
    """The disk is full, or failing; what was finished is kept, and the same command continues."""


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
        self._session = 0
        self._path = None if folder is None else folder / FILE_NAME
        with self._errors():
            if folder is not None:
                if must_exist and not (folder / FILE_NAME).exists():
                    raise StoreError(f"{folder} holds no study: there is no {FILE_NAME} in it")
                _make_folder(folder)
                _refuse_links(folder)
                _clean_up(folder)
                _make_database(folder / FILE_NAME)
            self._database = sqlite3.connect(
                ":memory:" if self._path is None else self._path,
                timeout=0,
                isolation_level=None,
            )
            try:
                if self._path is None:
                    _write_schema(self._database)
                self._open()
            except BaseException:
                self._database.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()

    def _open(self) -> None:
        # Exclusive: the lock, once taken, is held until the connection closes.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            pass  # takes the lock before anything is believed
        if self._pragma("application_id") != APPLICATION_ID:
            raise StoreError(f"{self._path} is not a functional_clf study; give another --out")
        if self._pragma("user_version") != FORMAT:
            raise StoreError(
                f"{self._path} has format {self._pragma('user_version')}, this version of "
                f"functional_clf reads format {FORMAT}; use the version that wrote it, or give "
                "another --out"
            )
        self._verify()
        found = self._query("SELECT value FROM meta WHERE key = 'configuration'")
        if found:
            self.configuration = json.loads(found[0][0])

    def _verify(self) -> None:
        """Compare every entry with its digest."""
        (verdict,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._damaged(verdict)
        for key, value, digest in self._query("SELECT key, value, digest FROM meta"):
            if digest != digest_of(key.encode(), value.encode()):
                raise self._damaged(f"its {key} does not match its checksum")
        columns = ", ".join(SEED_COLUMNS)
        for chunk, curves, params, digest in self._database.execute(
            "SELECT id, curves, params, digest FROM chunk"
        ):
            rows = self._query(
                f"SELECT {columns}, lane FROM replicate WHERE chunk = ? ORDER BY model, lane",
                (chunk,),
            )
            if digest != chunk_digest(rows, curves, params):
                raise self._damaged(f"chunk {chunk} does not match its checksum")

    def _damaged(self, how: str) -> DamagedError:
        return DamagedError(
            f"{self._path} is damaged ({how}); nothing was changed. Restore a copy, or start over "
            "with --fresh"
        )

    def _write_meta(self, key: str, value: str) -> None:
        digest = digest_of(key.encode(), value.encode())
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (key, value, digest))

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
            if error.sqlite_errorname in ("SQLITE_BUSY", "SQLITE_LOCKED"):
                raise StoreError(
                    f"{self._path} is in use by another process; wait for it, or give another --out"
                ) from error
            if error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
                raise WriteError(
                    f"{self._path}: {error}; finished chunks are kept, and the same command "
                    "continues once there is room"
                ) from error
            raise StoreError(f"{self._path}: {error}") from error
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}; give another --out") from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error

    def _numbers(self, statement: str, values: Sequence[Any]) -> np.ndarray:
        """The integers that a query of one column finds, eight bytes each."""
        with self._errors():
            found = self._database.execute(statement, values)
            return np.fromiter((number for (number,) in found), np.int64)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise StoreError(f"--out {folder} is a file; it must be a folder, or not exist") from None
    except OSError as error:
        raise StoreError(f"--out {folder} cannot be made: {error.strerror}") from error


def _make_database(path: Path) -> None:
    """Make an empty database where there is none; it appears whole, or not at all.

    So a file that is empty or short was not left by a run that was killed: it is damaged.
    """
    if path.exists():
        if path.stat().st_size < 512:
            raise DamagedError(
                f"{path} is damaged (it has {path.stat().st_size} bytes); nothing was changed. "
                "Restore a copy, or start over with --fresh"
            )
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        unfinished.unlink(missing_ok=True)
        database = sqlite3.connect(unfinished, isolation_level=None)
        try:
            _write_schema(database)
        finally:
            database.close()
        os.link(unfinished, path)
    except FileExistsError:
        pass  # another process was first: its database is as good
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _refuse_links(folder: Path) -> None:
    """Refuse a folder whose database, or a file that SQLite keeps beside it, lies elsewhere."""
    for ending in ("", "-journal", "-wal", "-shm"):
        path = folder / f"{FILE_NAME}{ending}"
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise StoreError(f"{path} is not a regular file; remove it, or give another --out")


def _clean_up(folder: Path) -> None:
    """Remove the beginnings of databases that killed processes have left."""
    for path in folder.glob(f".{FILE_NAME}.*.part*"):
        owner = path.name.removeprefix(f".{FILE_NAME}.").partition(".")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # somebody else's
    return True


def _write_schema(database: sqlite3.Connection) -> None:
    database.executescript(
        f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
        f"PRAGMA user_version = {FORMAT}; COMMIT;"
    )
