"""Cells of a frame as scores, counts or labels; the first that is none is told with its place."""

import re

import numpy as np
import polars as pl

from functional_clf.score_tables.frames import ScoreFrame
from functional_clf.stats.metrics import SCORE, named
from functional_clf.stats.types import FloatArray
from functional_clf.stats.validation import LARGEST_SCORE

_COMMA = re.compile(r"\s*[-+]?\d*,\d+\s*")
_PERCENT = re.compile(r"\s*[-+]?[\d.,]+\s*%\s*")
_ROUNDING = 1e-9
"""As far as sums and quotients stray out of bounds."""


def scores_of(
    source: ScoreFrame, column: pl.Series, rows: np.ndarray, metric: str, is_negated: bool = False
) -> FloatArray:
    """A column of scores as floats, each within its metric's bounds.

    Args:
        source: where the column comes from, for messages.
        column: as it came.
        rows: of each cell, its row in the source.
        metric: what the scores are.
        is_negated: whether they have the other sign, as scikit-learn gives losses.

    Raises:
        ValueError: when a cell is missing, no number or out of bounds.

    Example:
        >>> from functional_clf.score_tables.frames import frame_of
        >>> source = frame_of({"a": [-0.5, -0.25]})
        >>> scores_of(source, source.frame["a"], np.arange(2), "log_loss", is_negated=True).tolist()
        [0.5, 0.25]
    """
    values = _numbers(source, column, rows)
    if is_negated:
        _refuse(
            source, column, rows, values, values > _ROUNDING,
            f"scikit-learn's neg_{metric} is at most 0; if it is the {metric} itself, say so",
        )  # fmt: skip
        values = 0.0 - values
    kind = named(metric)
    upper = LARGEST_SCORE if kind.upper is None else kind.upper
    inside = np.clip(values, 0, upper)
    outside = np.abs(values - inside) > _ROUNDING
    if outside.any():
        needed = f"{kind.words} lies in [0, {upper:g}]"
        if kind.upper is None:
            needed = f"{kind.words} is at least 0"
            needed += "; scikit-learn's neg_log_loss has the other sign: say --metric neg_log_loss"
        elif kind.is_share:
            what = "a share" if kind == SCORE else kind.words
            needed = f"{what} lies in [0, 1]"
            above = values[values > 1 + _ROUNDING]
            if len(above) and above.max() <= 100 and values.min() >= 0:
                is_all = len(above) > len(values) / 2
                told = "these seem to be percentages" if is_all else "is it a percentage"
                needed += f"; {told}{'' if is_all else '?'}, divide them by 100"
            elif kind == SCORE:
                needed += ", and nobody said what the scores are: say it by --metric"
            if kind == SCORE and len(above) and above.max() > 100:
                needed += "; if they are no scores, say by --seed-column or leave the column out"
        elif values.min() < 0:
            needed += f"; scikit-learn's neg_{metric} has the other sign: say it by --metric"
        _refuse(source, column, rows, values, outside, needed)
    return inside


def counts_of(
    source: ScoreFrame, frame: pl.DataFrame, rows: np.ndarray, correct: str, total: str
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of correct predictions and their totals.

    Args:
        source: where they come from, for messages.
        frame: the rows of one model.
        rows: of each, its row in the source.
        correct: the column of counts.
        total: the column of totals.

    Raises:
        ValueError: when one is missing, no whole number or out of bounds.

    Example:
        >>> from functional_clf.score_tables.frames import frame_of
        >>> source = frame_of({"test_correct": [17, 18], "n_test": [20, 20]})
        >>> counts_of(source, source.frame, np.arange(2), "test_correct", "n_test")
        (array([17, 18]), array([20, 20]))
    """
    found = []
    for name in (correct, total):
        values = _numbers(source, frame[name], rows)
        broken = values != np.round(values)
        _refuse(source, frame[name], rows, values, broken, "a count is a whole number")
        found.append(values.astype(np.int64))
    counts, totals = found
    few = totals < 1
    _refuse(source, frame[total], rows, totals, few, "a total is at least 1")
    outside = (counts < 0) | (counts > totals)
    limit = int(totals[outside][0]) if outside.any() else 0
    needed = f"a count lies between 0 and its {total}, {limit}"
    _refuse(source, frame[correct], rows, counts, outside, needed)
    return counts, totals


def labels_of(
    source: ScoreFrame,
    name: str,
    what: str,
    column: pl.Series | None = None,
    rows: np.ndarray | None = None,
) -> pl.Series:
    """A column that names models, seeds or data sets: words, or whole numbers.

    Args:
        source: where it comes from.
        name: of the column.
        what: it names, for messages.
        column: some of its cells; None for all.
        rows: of these, their rows in the source.

    Raises:
        ValueError: when a cell is missing, or is neither.

    Example:
        >>> from functional_clf.score_tables.frames import frame_of
        >>> labels_of(frame_of({"fold": [0.0, 1.0]}), "fold", "seed").to_list()
        [0, 1]
    """
    column = source.frame[name] if column is None else column
    rows = np.arange(len(column)) if rows is None else rows
    if column.dtype.is_float():
        column = column.fill_nan(None)
    if column.null_count():
        row = int(rows[column.is_null().arg_true()[0]])
        raise ValueError(f"{source.source}: {source.place(row)} has no {what} ({name!r} is empty)")
    if column.dtype.is_float():
        if (column != column.round()).any() and what == "seed":
            at = int((column != column.round()).arg_true()[0])
            raise ValueError(
                f"{source.source}: {source.place(int(rows[at]))} has the {what} {column[at]}; it "
                f"must be a whole number or a word: say by --{what}-column which column it is"
            )
        whole = (column == column.round()).all() and bool((column.abs() < 2**53).all())
        column = column.cast(pl.Int64 if whole else pl.String)
    elif column.dtype in (pl.Categorical, pl.Enum, pl.Boolean) or column.dtype.is_temporal():
        column = column.cast(pl.String)
    if column.dtype.is_integer():
        return column.cast(pl.String) if what != "seed" else column.cast(pl.Int64)
    if column.dtype != pl.String:
        raise ValueError(
            f"{source.source}: the column {name!r} holds {column.dtype}; a {what} is a word or a "
            "whole number"
        )
    stripped = column.str.strip_chars()
    if (stripped == "").any():
        row = int(rows[(stripped == "").arg_true()[0]])
        raise ValueError(f"{source.source}: {source.place(row)} has no {what} ({name!r} is empty)")
    return stripped


def _numbers(source: ScoreFrame, column: pl.Series, rows: np.ndarray) -> FloatArray:
    """A column as finite floats."""
    name = column.name
    if column.dtype == pl.Boolean:
        raise ValueError(
            f"{source.source}: the column {name!r} holds true and false; it must be scores"
        )
    refuse_text(source, column, rows)
    missing = column.is_null()
    if column.dtype.is_float():
        missing |= column.is_nan().fill_null(True)
    if missing.any():
        row = int(rows[missing.arg_true()[0]])
        raise ValueError(
            f"{source.source}: {source.place(row)} has no {name!r} (it is missing or nan); a run "
            "that failed stays in, with the score that it reached"
        )
    kind = column.dtype
    values = column.cast(pl.Float64).to_numpy()
    if kind == pl.Float32:  # 0.01 is meant, not 0.009999999776
        values = values.astype(np.float32).astype(str).astype(np.float64)
    _refuse(source, column, rows, values, ~np.isfinite(values), "a score is a finite number")
    return values


def refuse_text(source: ScoreFrame, column: pl.Series, rows: np.ndarray) -> None:
    """Say which cell of a column is no number, and what it seems to be.

    Raises:
        ValueError: when the column holds anything but numbers.

    Example:
        >>> from functional_clf.score_tables.frames import frame_of
        >>> source = frame_of({"a": [0.5, 0.6]})
        >>> refuse_text(source, source.frame["a"], np.arange(2))
    """
    if column.dtype.is_numeric() or column.dtype in (pl.Null, pl.Boolean):
        return
    if column.dtype != pl.String:
        raise ValueError(
            f"{source.source}: the column {column.name!r} holds {column.dtype}; it must be scores"
        )
    wrong = (column.str.strip_chars().cast(pl.Float64, strict=False).is_null()) & (
        column.is_not_null()
    )
    at = int(wrong.arg_true()[0]) if wrong.any() else 0
    cell = str(column[at])
    if _COMMA.fullmatch(cell):
        hint = "it has a decimal comma; write a point, as in 0.95"
    elif _PERCENT.fullmatch(cell):
        hint = "it is a percentage; write a share, as in 0.95"
    else:
        hint = "a score is a number, as in 0.95"
    shown = cell if len(cell) <= 40 else f"{cell[:40]}..."
    raise ValueError(
        f"{source.source}: {source.place(int(rows[at]))} has {shown!r} as {column.name!r}; {hint}"
    )


def _refuse(
    source: ScoreFrame,
    column: pl.Series,
    rows: np.ndarray,
    values: np.ndarray,
    wrong: np.ndarray,
    needed: str,
) -> None:
    if not wrong.any():
        return
    at = int(np.flatnonzero(wrong)[0])
    raise ValueError(
        f"{source.source}: {source.place(int(rows[at]))} has {values[at]:.12g} as {column.name!r}; "
        f"{needed}"
    )
