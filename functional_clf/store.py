"""The run folder's record: one SQLite file, one transaction a chunk.

SQLite brings atomicity, locking and crash recovery, so none of it is written here. What SQLite does
not bring is a checksum: each record carries a digest of its own, verified whenever it is read back.
Weights and curves are safetensors, which hold numbers and can run no code.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
import safetensors
import safetensors.numpy

FILE_NAME = "study.sqlite"
APPLICATION_ID = 0x66636C66  # "fclf", in SQLite's header: the file is one of ours
FORMAT = 1

SEED_COLUMNS: Mapping[str, Any] = {
    "model": pl.String,
    "seed": pl.Int64,
    "data_seed": pl.Int64,
    "split_seed": pl.Int64,
    "init_seed": pl.Int64,
    "train_correct": pl.Int64,
    "n_train": pl.Int64,
    "test_correct": pl.Int64,
    "n_test": pl.Int64,
    "train_loss": pl.Float32,
    "test_loss": pl.Float32,
    "diverged": pl.Boolean,
}
"""Columns of the table of seeds: one tidy row a (model, seed); a NaN loss is null."""

CURVES = ("train_loss", "train_correct", "test_loss", "test_correct")
"""The learning curves kept of every seed."""

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


class StoreError(Exception):
    """The run folder cannot be used as asked; the message says why and what to do."""


class ChunkRecord(NamedTuple):
    """What one finished chunk leaves behind, padding already removed.

    rows: values of `SEED_COLUMNS`, one a (model, seed).
    curves: by "model/curve", arrays `(record, replicate)`.
    params: by "model/key", arrays with a leading replicate axis; empty where weights are not kept.
    """

    rows: Sequence[tuple[Any, ...]]
    curves: Mapping[str, np.ndarray]
    params: Mapping[str, np.ndarray]


class Store:
    """A study's record, in a run folder or in memory; a context manager.

    Holds the database's lock from opening to closing: a second process is told so at once.

    Args:
        folder: the run folder, made where there is none; None for a record in memory.

    Raises:
        StoreError: when the folder is in use, damaged, of another format, or cannot be written.

    Example:
        >>> with Store(None) as store:
        ...     store.adopt({"vary": "data"}, environment={"torch": "2.13.0"})
        ...     store.configuration, store.finished_seeds()
        ({'vary': 'data'}, set())
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.configuration: dict[str, Any] | None = None
        self._session = 0
        self._path = None if folder is None else folder / FILE_NAME
        with self._errors():
            if folder is not None:
                _make_folder(folder)
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

    def adopt(self, configuration: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Begin a session: make the study this one, or see that it already is.

        Args:
            configuration: what identifies the study, as plain values (JSON).
            environment: what the session runs on, kept for the reader.

        Raises:
            StoreError: when the folder holds a study of another configuration.
        """
        asked = json.loads(json.dumps(configuration))  # what JSON makes of tuples
        with self._errors(), self._transaction():
            if self.configuration is None:
                self._write_meta("configuration", json.dumps(asked))
                self.configuration = asked
            elif different := differences(self.configuration, asked):
                raise StoreError(
                    f"{self.folder} holds another study: {different}. Give another --out, or the "
                    "settings it has"
                )
            self._session = self._database.execute(
                "INSERT INTO session (environment) VALUES (?) RETURNING id",
                (json.dumps(environment),),
            ).fetchone()[0]

    def finished_seeds(self) -> set[int]:
        """The seeds whose results are here, of all models."""
        return {seed for (seed,) in self._query("SELECT DISTINCT seed FROM replicate")}

    def write_chunk(self, record: ChunkRecord) -> None:
        """Add a finished chunk, whole or not at all.

        Raises:
            StoreError: when it cannot be written (a full disk, say); the record is as before.
        """
        curves = safetensors.numpy.save(dict(record.curves))
        params = safetensors.numpy.save(dict(record.params)) if record.params else None
        lanes = _lanes(record.rows)
        rows = [(*row, lane) for row, lane in zip(record.rows, lanes, strict=True)]
        with self._errors(), self._transaction():
            (chunk,) = self._database.execute(
                "INSERT INTO chunk (session, curves, params, digest) VALUES (?, ?, ?, ?) "
                "RETURNING id",
                (self._session, curves, params, _chunk_digest(rows, curves, params)),
            ).fetchone()
            places = ", ".join("?" * (len(SEED_COLUMNS) + 2))
            self._database.executemany(
                f"INSERT INTO replicate VALUES ({places})",
                [(*row[:-1], chunk, row[-1]) for row in rows],
            )

    def seeds(self, seeds: range) -> pl.DataFrame:
        """The table of seeds (`SEED_COLUMNS`), in order of model and seed.

        Args:
            seeds: which ones.
        """
        rows = self._query(
            f"SELECT {', '.join(SEED_COLUMNS)} FROM replicate WHERE seed BETWEEN ? AND ? "
            "ORDER BY model, seed",
            (seeds.start, seeds.stop - 1),
        )
        return pl.DataFrame(rows, schema=dict(SEED_COLUMNS), orient="row")

    def curves(self, model: str, seeds: range) -> dict[str, np.ndarray]:
        """The learning curves of one model, by name (`CURVES`), arrays `(record, seed)`."""
        return self._gather("curves", model, seeds, names=CURVES, axis=1)

    def params(self, model: str, seeds: range) -> tuple[list[int], dict[str, np.ndarray]]:
        """The weights kept of one model: the seeds that have them, and their stacked params."""
        where = "model = ? AND seed BETWEEN ? AND ? AND params IS NOT NULL"
        rows = self._query(
            f"SELECT seed FROM replicate JOIN chunk ON chunk = id WHERE {where} ORDER BY seed",
            (model, seeds.start, seeds.stop - 1),
        )
        return [seed for (seed,) in rows], self._gather("params", model, seeds, names=None, axis=0)

    def _gather(
        self,
        column: str,
        model: str,
        seeds: range,
        names: Sequence[str] | None,
        axis: int,
    ) -> dict[str, np.ndarray]:
        """Arrays of one model out of the chunks' blobs, in order of seed."""
        parts: dict[str, list[np.ndarray]] = {}
        order: list[int] = []
        chunks = self._query(
            "SELECT chunk, json_group_array(json_array(seed, lane)) FROM replicate "
            "WHERE model = ? AND seed BETWEEN ? AND ? GROUP BY chunk",
            (model, seeds.start, seeds.stop - 1),
        )
        for chunk, members in chunks:
            blob = self._database.execute(
                f"SELECT {column} FROM chunk WHERE id = ?", (chunk,)
            ).fetchone()[0]
            if blob is None:
                continue
            arrays = safetensors.numpy.load(blob)
            own = [key for key in arrays if key.startswith(f"{model}/")]
            found, lanes = zip(*json.loads(members), strict=True)
            order += found
            for key in own:
                name = key.removeprefix(f"{model}/")
                parts.setdefault(name, []).append(np.take(arrays[key], lanes, axis))
        if not order:
            return {}
        by_seed = np.argsort(order)
        keep = parts if names is None else {name: parts[name] for name in names}
        return {
            name: np.take(np.concatenate(arrays, axis), by_seed, axis)
            for name, arrays in keep.items()
        }

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
                f"functional_clf reads format {FORMAT}; update it, or give another --out"
            )
        self._verify()
        found = self._query("SELECT value FROM meta WHERE key = 'configuration'")
        if found:
            self.configuration = json.loads(found[0][0])

    def _verify(self) -> None:
        """Compare every record with its digest."""
        (verdict,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._damaged(verdict)
        for key, value, digest in self._query("SELECT key, value, digest FROM meta"):
            if digest != _digest(key.encode(), value.encode()):
                raise self._damaged(f"its {key} does not match its checksum")
        columns = ", ".join(SEED_COLUMNS)
        for chunk, curves, params, digest in self._database.execute(
            "SELECT id, curves, params, digest FROM chunk"
        ):
            rows = self._query(
                f"SELECT {columns}, lane FROM replicate WHERE chunk = ? ORDER BY model, lane",
                (chunk,),
            )
            if digest != _chunk_digest(rows, curves, params):
                raise self._damaged(f"chunk {chunk} does not match its checksum")

    def _damaged(self, how: str) -> StoreError:
        return StoreError(
            f"{self._path} is damaged ({how}); nothing was changed. Restore a copy, or start over "
            "in another --out"
        )

    def _write_meta(self, key: str, value: str) -> None:
        digest = _digest(key.encode(), value.encode())
        self._database.execute("INSERT INTO meta VALUES (?, ?, ?)", (key, value, digest))

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
            raise StoreError(f"{self._path}: {error}") from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error


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
            raise StoreError(
                f"{path} is damaged (it has {path.stat().st_size} bytes); nothing was changed. "
                "Restore a copy, or remove it to start over"
            )
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
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
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _write_schema(database: sqlite3.Connection) -> None:
    database.executescript(
        f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
        f"PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def _lanes(rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """Each row's position among the rows of its model."""
    seen: dict[str, int] = {}
    lanes = []
    for model, *_ in rows:
        lanes.append(seen.get(model, 0))
        seen[model] = lanes[-1] + 1
    return lanes


def _chunk_digest(rows: Sequence[tuple[Any, ...]], curves: bytes, params: bytes | None) -> bytes:
    # NaN is NULL in SQLite, and True is 1: what will be read back is what is digested.
    plain = [
        [
            None if value != value else int(value) if isinstance(value, bool) else value
            for value in row
        ]
        for row in sorted(rows, key=lambda row: (row[0], row[-1]))
    ]
    return _digest(json.dumps(plain).encode(), curves, params or b"")


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Where two configurations differ, in words; empty where they do not.

    Example:
        >>> differences({"vary": "data", "chunk": 16}, {"vary": "init", "chunk": 16})
        "vary is 'data' there, 'init' asked"
    """
    return "; ".join(_differences(found, json.loads(json.dumps(asked))))


def _differences(found: Any, asked: Any, name: str = "") -> Iterator[str]:
    """Where two configurations differ, as `name is found there, asked here`."""
    if isinstance(found, dict) and isinstance(asked, dict):
        for key in found | asked:
            yield from _differences(found.get(key), asked.get(key), f"{name}.{key}".lstrip("."))
    elif found != asked:
        yield f"{name} is {found!r} there, {asked!r} asked"
