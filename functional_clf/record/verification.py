"""Whether a study's database is what was once written: every entry against its digest.

SQLite compares its tables with its indices, so that it does not matter by which of them a thing is
read; what stands in the tables, digests tell. They are no signatures: who can write to the file can
make them. So what is read is looked at, too.
"""

import itertools
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from functional_clf.record.errors import damaged
from functional_clf.record.rows import SEED_COLUMNS, chunk_digest, digest_of
from functional_clf.record.schema import has_schema

_COLUMNS = (*SEED_COLUMNS, "lane")
_LOSSES = ("train_loss", "test_loss")


class Contents(NamedTuple):
    """What a verified database holds, as far as the rest must fit it.

    configuration: the study's; None where none has begun.
    meta: all entries by key, the configuration among them, as texts.
    lanes: of each chunk, how many seeds it has.
    """

    configuration: dict[str, Any] | None
    meta: Mapping[str, str]
    lanes: dict[int, int]


def verified(database: sqlite3.Connection, path: Path | None) -> Contents:
    """Compare every entry of a database with its digest, and see that each belongs to another.

    Args:
        database: open, and locked.
        path: its name in messages.

    Raises:
        DamagedError: when it is not what was once written.
        sqlite3.Error: when SQLite itself finds that.

    Example:
        >>> from functional_clf.record.schema import write_schema
        >>> database = sqlite3.connect(":memory:", isolation_level=None)
        >>> write_schema(database)
        >>> verified(database, None)
        Contents(configuration=None, meta={}, lanes={})
        >>> database.close()
    """
    try:
        return _verified(database)
    except _MismatchError as error:
        raise damaged(path, str(error)) from error


class _MismatchError(Exception):
    """What does not fit, in words."""


def _verified(database: sqlite3.Connection) -> Contents:
    verdict = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != ("ok",):
        raise _MismatchError(str(verdict and verdict[0]))
    if not has_schema(database):
        raise _MismatchError("its tables are not those of a study")
    meta = _meta(database)
    configuration = _configuration(meta.get("configuration"))
    lanes = _chunks(database, (configuration or {}).get("models"))
    if lanes and configuration is None:
        raise _MismatchError("it has results, but does not say of what study")
    return Contents(configuration, meta, lanes)


def _meta(database: sqlite3.Connection) -> dict[str, str]:
    found = {}
    for key, value, digest in database.execute("SELECT key, value, digest FROM meta"):
        is_text = isinstance(key, str) and isinstance(value, str)
        if not is_text or digest != digest_of(key.encode(), value.encode()):
            raise _MismatchError(f"its {key} does not match its checksum")
        found[key] = value
    return found


def _configuration(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _MismatchError("its configuration is none")
    models, size = found.get("models", {}), found.get("chunk_size", 1)
    if not isinstance(models, dict) or not all(isinstance(one, dict) for one in models.values()):
        raise _MismatchError("its configuration names no models")
    if type(size) is not int or size < 1:
        raise _MismatchError(f"its configuration has the chunk_size {size!r}")
    return found


def _chunks(database: sqlite3.Connection, models: Mapping[str, Any] | None) -> dict[int, int]:
    """How many seeds each chunk has, once its digest and its rows are looked at."""
    environments = dict(database.execute("SELECT id, environment FROM session"))
    rows = database.execute(
        f"SELECT {', '.join(_COLUMNS)}, chunk FROM replicate ORDER BY chunk, model, lane"
    )
    grouped = itertools.groupby(rows, itemgetter(-1))
    chunks = database.execute("SELECT id, session, curves, params, digest FROM chunk ORDER BY id")
    lanes: dict[int, int] = {}
    wanted = None if models is None else sorted(models)
    for chunk, session, curves, params, digest in chunks:
        number, group = next(grouped, (None, ()))
        if number != chunk:
            raise _MismatchError(f"chunk {chunk} and its seeds do not belong together")
        own = [row[:-1] for row in group]
        if not _matches(digest, own, curves, params, environments.get(session)):
            raise _MismatchError(f"chunk {chunk} does not match its checksum")
        try:
            lanes[chunk] = _checked_rows(own, wanted)
        except (ValueError, TypeError) as error:
            raise _MismatchError(
                f"chunk {chunk} has rows that no training leaves: {error}"
            ) from error
    if next(grouped, None) is not None:
        raise _MismatchError("there are seeds of no chunk")
    return lanes


def _matches(digest: Any, rows: Sequence[Any], curves: Any, params: Any, environment: Any) -> bool:
    is_typed = (
        isinstance(curves, bytes)
        and isinstance(params, bytes | None)
        and isinstance(environment, str)
    )
    if not is_typed:
        return False
    try:
        return any(
            digest == chunk_digest(rows, curves, params, told)
            for told in (environment, None)  # of format 3 it was none
        )
    except TypeError:  # a blob in place of a number
        return False


def _checked_rows(rows: Sequence[tuple[Any, ...]], models: list[str] | None) -> int:
    """How many seeds there are in rows that go together.

    Raises:
        ValueError: when they do not, or a value is none of its column.
    """
    columns = dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True))
    names = columns.pop("model")
    for name, values in columns.items():
        kinds = {float, type(None)} if name in _LOSSES else {int}
        if not set(map(type, values)) <= kinds:
            raise ValueError(f"{name} is no number")
    distinct = list(dict.fromkeys(names))
    if not all(isinstance(name, str) for name in distinct):
        raise ValueError("model is no text")
    if models is not None and distinct != models:
        raise ValueError(f"models are {', '.join(distinct)}")
    n = len(rows) // len(distinct)
    if columns["lane"] != tuple(range(n)) * len(distinct):
        raise ValueError("lanes do not follow each other")
    for name in ("seed", "data_seed", "split_seed", "init_seed"):
        if columns[name] != columns[name][:n] * len(distinct):
            raise ValueError(f"models have not the same {name}")
        if min(columns[name]) < 0:
            raise ValueError(f"{name} is {min(columns[name])}")
    for part in ("train", "test"):
        _check_counts(part, columns[f"{part}_correct"], columns[f"n_{part}"])
    if not set(columns["diverged"]) <= {0, 1}:
        raise ValueError("diverged is neither true nor false")
    return n


def _check_counts(part: str, correct: Iterable[int], totals: Iterable[int]) -> None:
    for right, total in zip(correct, totals, strict=True):
        if not 0 <= right <= total or total < 1:
            raise ValueError(f"{part}_correct is {right} of {total}")
