"""What is kept of a study: a row a seed and model, learning curves, weights; and its digests."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from functional_clf.stats.metrics import ACCURACY

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


WARNED = "warned/"
"""Before what was warned of, in the names of arrays that say of which seeds."""


class ChunkResult(NamedTuple):
    """What one finished chunk leaves behind, padding already removed.

    rows: values of `SEED_COLUMNS`, one a (model, seed).
    curves: by "model/curve", arrays `(point, replicate)`; and where predictions are scored, by
        "model/scores/metric" and "model/majority/metric" arrays `(replicate,)`, and by
        "model/confusion" one of `(true, predicted, replicate)`; with early stopping, by
        "model/counts/epochs" and "model/counts/best_epoch", arrays `(replicate,)`; and by
        "model/warned/TEXT" of whom that was said, `(replicate,)`.
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
    first_metric: by what models were compared at the first look.
    """

    first_margin: float | None = None
    first_alpha: float | None = None
    earlier: int = 0
    first_metric: str = ACCURACY.name


class Look(NamedTuple):
    """By what rules results were looked at."""

    margin: float
    alpha: float
    metric: str = ACCURACY.name


def stored_rows(result: ChunkResult) -> list[tuple[Any, ...]]:
    """The rows as the database holds them, each with its position among those of its model.

    In order of model and position; NaN is NULL in SQLite, and True is 1.
    """
    seen: dict[str, int] = {}
    rows = []
    for row in result.rows:
        lane = seen.get(row[0], 0)
        seen[row[0]] = lane + 1
        plain = (
            None if value != value else int(value) if isinstance(value, bool) else value
            for value in row
        )
        rows.append((*plain, lane))
    return sorted(rows, key=lambda row: (row[0], row[-1]))


def chunk_digest(
    rows: Sequence[tuple[Any, ...]], curves: bytes, params: bytes | None, environment: str | None
) -> bytes:
    """The digest of what a chunk's entry in the database holds.

    Args:
        rows: as `stored_rows` has them.
        curves: as they are kept.
        params: likewise.
        environment: of the session that trained it, as it is kept; None as format 3 had it, whose
            digests did not cover it.
    """
    told = () if environment is None else (environment.encode(),)
    return digest_of(json.dumps(rows).encode(), curves, params or b"", *told)


def digest_of(*parts: bytes) -> bytes:
    """A digest of some parts, each with its length."""
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
