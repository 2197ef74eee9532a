"""The run folder's database: one SQLite file, one transaction a chunk.

SQLite brings atomicity, locking and crash recovery, so none of it is written here. What SQLite does
not bring is a checksum: each entry carries a digest of its own, verified whenever it is read back.
Weights and curves are safetensors, which hold numbers and can run no code.
"""

import hashlib
import json
import os
import secrets
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

from functional_clf.forks import use_threads

FILE_NAME = "study.sqlite"
APPLICATION_ID = 0x66636C66  # "fclf", in SQLite's header: the file is one of ours
FORMAT = 3

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

ROWS_AT_ONCE = 8192
BLOCK_BYTES = 2**24
"""About as much of the learning curves is in memory at once."""

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


class DamagedError(StoreError):
    """The database is not what was once written."""


class WriteError(StoreError):
    """The disk is full, or failing; what was finished is kept, and the same command continues."""


class ChunkResult(NamedTuple):
    """What one finished chunk leaves behind, padding already removed.

    rows: values of `SEED_COLUMNS`, one a (model, seed).
    curves: by "model/curve", arrays `(point, replicate)`.
    params: by "model/key", arrays with a leading replicate axis; empty where weights are not kept.
    """

    rows: Sequence[tuple[Any, ...]]
    curves: Mapping[str, np.ndarray]
    params: Mapping[str, np.ndarray]


class Looks(NamedTuple):
    """How the results of a study were looked at before.

    first_margin: the margin of the first look; None where there was none.
    first_alpha: its alpha, likewise.
    earlier: how many looks there were at other seeds before the first one at these.
    """

    first_margin: float | None = None
    first_alpha: float | None = None
    earlier: int = 0


class Store:
    """A study's database, in a run folder or in memory; a context manager.

    Holds the database's lock from opening to closing: a second process is told so at once.

    Args:
        folder: the run folder, made where there is none; None for one in memory.
        must_exist: refuse a folder without a study.

    Raises:
        StoreError: when the folder is in use, damaged, of another format, or cannot be written.

    Example:
        >>> with Store(None) as store:
        ...     store.adopt({"vary": "data"}, environment={"torch": "2.13.0"})
        ...     store.configuration, store.finished_seeds()
        ({'vary': 'data'}, set())
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

    def adopt(self, configuration: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Begin a session: make the study this one, or see that it already is.

        Args:
            configuration: what identifies the study, as plain values (JSON).
            environment: what the session runs on, kept for the reader.

        Raises:
            StoreError: when the folder holds a study of another configuration.
        """
        self.refuse_other(configuration)
        asked = json.loads(json.dumps(configuration))  # what JSON makes of tuples
        with self._errors(), self._transaction():
            if self.configuration is None:
                self._write_meta("configuration", json.dumps(asked))
                self.configuration = asked
            self._session = self._database.execute(
                "INSERT INTO session (environment) VALUES (?) RETURNING id",
                (json.dumps(environment),),
            ).fetchone()[0]

    def refuse_other(self, configuration: Mapping[str, Any]) -> None:
        """See that the study here, if any, is this one.

        Raises:
            StoreError: when it is another.
        """
        if self.configuration is None:
            return
        if different := differences(self.configuration, configuration):
            raise StoreError(
                f"{self.folder} holds another study: {different}. Give another --out, or the "
                "settings it has"
            )

    def look(self, seeds: range, margin: float, alpha: float) -> Looks:
        """Note that the results of these seeds are looked at, by these rules.

        Looking again at the same seeds by the same rules is the same look.

        Args:
            seeds: which ones.
            margin: the accuracy difference that is said to matter.
            alpha: one minus the confidence.

        Returns:
            How they were looked at before.

        Example:
            >>> with Store(None) as store:
            ...     _ = store.look(range(8), margin=0.01, alpha=0.05)
            ...     store.look(range(64), margin=0.02, alpha=0.05)
            Looks(first_margin=0.01, first_alpha=0.05, earlier=1)
        """
        found = self._query("SELECT value FROM meta WHERE key = 'looks'")
        looks: list[list[Any]] = json.loads(found[0][0]) if found else []
        this = [seeds.start, seeds.stop, margin, alpha]
        if this not in looks:
            looks.append(this)
            with self._errors(), self._transaction():
                self._write_meta("looks", json.dumps(looks))
        seen = list(dict.fromkeys((start, stop) for start, stop, *_ in looks))
        return Looks(looks[0][2], looks[0][3], seen.index((seeds.start, seeds.stop)))

    def finished_seeds(self) -> set[int]:
        """The seeds whose results are here, of all models."""
        return {seed for (seed,) in self._query("SELECT DISTINCT seed FROM replicate")}

    def missing_seeds(self, seeds: range) -> np.ndarray:
        """Which of these seeds have no results here, in order."""
        found = self._numbers(
            "SELECT DISTINCT seed FROM replicate WHERE seed BETWEEN ? AND ?",
            (seeds.start, seeds.stop - 1),
        )
        return np.setdiff1d(np.arange(seeds.start, seeds.stop, dtype=np.int64), found)

    def environment_of(self, seed: int) -> dict[str, Any]:
        """What the session ran on that trained this seed; empty where it is not here."""
        found = self._query(
            "SELECT environment FROM session JOIN chunk ON session = session.id "
            "JOIN replicate ON chunk = chunk.id WHERE seed = ? LIMIT 1",
            (seed,),
        )
        return json.loads(found[0][0]) if found else {}

    def write_chunk(self, result: ChunkResult) -> None:
        """Add a finished chunk, whole or not at all.

        Raises:
            StoreError: when it cannot be written (a full disk, say); the database is as before.
        """
        curves = safetensors.numpy.save(dict(result.curves))
        params = safetensors.numpy.save(dict(result.params)) if result.params else None
        rows = _rows_with_lanes(result)
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

    def chunks_without_params(self, seeds: range) -> list[list[int]]:
        """The seeds of each chunk that has no weights and has one of these seeds, lane by lane."""
        chunks = self._query(
            "SELECT chunk, MIN(model) FROM replicate JOIN chunk ON chunk = id "
            "WHERE params IS NULL AND seed BETWEEN ? AND ? GROUP BY chunk",
            (seeds.start, seeds.stop - 1),
        )
        members = "SELECT seed FROM replicate WHERE chunk = ? AND model = ? ORDER BY lane"
        return [[seed for (seed,) in self._query(members, chunk)] for chunk in chunks]

    def add_params(self, result: ChunkResult) -> None:
        """Add the weights to a chunk that was written without them, and is now trained again.

        Raises:
            StoreError: when the result is another than the one here, or it cannot be written.
        """
        curves = safetensors.numpy.save(dict(result.curves))
        params = safetensors.numpy.save(dict(result.params))
        rows = _rows_with_lanes(result)
        (chunk, digest) = self._query(
            "SELECT id, digest FROM chunk JOIN replicate ON chunk = id "
            "WHERE model = ? AND seed = ?",
            rows[0][:2],
        )[0]
        if digest != _chunk_digest(rows, curves, None):
            raise StoreError(
                f"{self._path} has other results of seed {rows[0][1]} than this machine gets, so "
                "its weights cannot be added; give another --out"
            )
        with self._errors(), self._transaction():
            self._database.execute(
                "UPDATE chunk SET params = ?, digest = ? WHERE id = ?",
                (params, _chunk_digest(rows, curves, params), chunk),
            )

    def seeds(self, seeds: range) -> pl.DataFrame:
        """The table of seeds (`SEED_COLUMNS`), in order of model and seed.

        Args:
            seeds: which ones.
        """
        use_threads()  # polars'
        statement = (
            f"SELECT {', '.join(SEED_COLUMNS)} FROM replicate WHERE seed BETWEEN ? AND ? "
            "ORDER BY model, seed"
        )
        schema = dict(SEED_COLUMNS)
        parts = [pl.DataFrame(schema=schema)]
        with self._errors():
            # A row is ten times larger as Python's objects than in the table: a few at a time.
            cursor = self._database.execute(statement, (seeds.start, seeds.stop - 1))
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                parts.append(pl.DataFrame(rows, schema=schema, orient="row"))
        return pl.concat(parts, rechunk=True)

    def curve_blocks(self, model: str, seeds: range) -> Iterator[dict[str, np.ndarray]]:
        """The learning curves of one model, some points at a time, however many the seeds.

        Args:
            model: whose.
            seeds: which ones.

        Yields:
            By name (`CURVES`), arrays `(point, seed)` of the next points; seeds in no order.
        """
        lanes = self._lanes_by_chunk(model, seeds)
        n_seeds = sum(len(members) for _, members in lanes)
        start, n_points = 0, 1
        at_once = max(1, BLOCK_BYTES // max(1, 4 * len(CURVES) * n_seeds))
        while lanes and start < n_points:
            parts: dict[str, list[np.ndarray]] = {name: [] for name in CURVES}
            for chunk, members in lanes:
                arrays = safetensors.numpy.load(self._blob("curves", chunk))
                for name in CURVES:
                    whole = arrays[f"{model}/{name}"]
                    n_points = len(whole)
                    parts[name].append(whole[start : start + at_once, members])
            yield {name: np.concatenate(arrays, 1) for name, arrays in parts.items()}
            start += at_once

    def params_blocks(
        self, model: str, seeds: range
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """The weights kept of one model, a chunk at a time: its seeds, and their stacked params."""
        for chunk, members in self._lanes_by_chunk(model, seeds):
            if (blob := self._blob("params", chunk)) is None:
                continue
            found = self._numbers(
                "SELECT seed FROM replicate WHERE chunk = ? AND model = ? ORDER BY lane",
                (chunk, model),
            )
            arrays = safetensors.numpy.load(blob)
            yield (
                found[members],
                {
                    key.removeprefix(f"{model}/"): array[members]
                    for key, array in sorted(arrays.items())
                    if key.startswith(f"{model}/")
                },
            )

    def seeds_with_params(self, model: str, seeds: range) -> np.ndarray:
        """Which of these seeds have weights of one model here, in order."""
        return self._numbers(
            "SELECT seed FROM replicate JOIN chunk ON chunk = id WHERE model = ? "
            "AND seed BETWEEN ? AND ? AND params IS NOT NULL ORDER BY seed",
            (model, seeds.start, seeds.stop - 1),
        )

    def curves(self, model: str, seeds: range) -> dict[str, np.ndarray]:
        """The learning curves of one model, by name (`CURVES`), arrays `(point, seed)`."""
        return self._gather("curves", model, seeds, names=CURVES, axis=1)

    def params(self, model: str, seeds: range) -> tuple[list[int], dict[str, np.ndarray]]:
        """The weights kept of one model: the seeds that have them, and their stacked params."""
        found = self.seeds_with_params(model, seeds).tolist()
        return found, self._gather("params", model, seeds, names=None, axis=0)

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
            if (blob := self._blob(column, chunk)) is None:
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
        # safetensors hands keys out in no order.
        keep = {name: parts[name] for name in names or sorted(parts)}
        return {
            name: np.take(np.concatenate(arrays, axis), by_seed, axis)
            for name, arrays in keep.items()
        }

    def _blob(self, column: str, chunk: int) -> Any:
        return self._query(f"SELECT {column} FROM chunk WHERE id = ?", (chunk,))[0][0]

    def _lanes_by_chunk(self, model: str, seeds: range) -> list[tuple[int, np.ndarray]]:
        """The chunks that hold these seeds, and the lanes in which they do."""
        with self._errors():
            cursor = self._database.execute(
                "SELECT chunk, json_group_array(lane) FROM replicate "
                "WHERE model = ? AND seed BETWEEN ? AND ? GROUP BY chunk",
                (model, seeds.start, seeds.stop - 1),
            )
            return [(chunk, np.array(json.loads(lanes), np.int32)) for chunk, lanes in cursor]

    def _numbers(self, statement: str, values: Sequence[Any]) -> np.ndarray:
        """The integers that a query of one column finds, eight bytes each."""
        with self._errors():
            found = self._database.execute(statement, values)
            return np.fromiter((number for (number,) in found), np.int64)

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

    def _damaged(self, how: str) -> DamagedError:
        return DamagedError(
            f"{self._path} is damaged ({how}); nothing was changed. Restore a copy, or start over "
            "with --fresh"
        )

    def _write_meta(self, key: str, value: str) -> None:
        digest = _digest(key.encode(), value.encode())
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


def _rows_with_lanes(result: ChunkResult) -> list[tuple[Any, ...]]:
    """The rows, each with its position among the rows of its model."""
    seen: dict[str, int] = {}
    rows = []
    for row in result.rows:
        rows.append((*row, seen.get(row[0], 0)))
        seen[row[0]] = rows[-1][-1] + 1
    return rows


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
        >>> differences({"vary": "data", "chunk_size": 16}, {"vary": "init", "chunk_size": 16})
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
