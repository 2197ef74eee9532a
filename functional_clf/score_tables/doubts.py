"""What a table of scores makes one doubt: a line each, and none where nothing is odd."""

import itertools

import numpy as np

from functional_clf.score_tables.table import ScoreTable
from functional_clf.stats.metrics import SCORE
from functional_clf.stats.types import FloatArray

FEW_PAIRS = 6
"""Of fewer no sign-flip test can come below .05."""

_LOOKED_AT = 1000
"""Repeated values; whether they have many digits is told by some of them."""


def doubts_of(table: ScoreTable) -> list[str]:
    """What a reader of a comparison of these scores must know, a line each.

    Example:
        >>> scores = {"a": np.array([0.5, 0.625, 0.5]), "b": np.array([0.5, 0.625, 0.5])}
        >>> for doubt in doubts_of(ScoreTable(scores, np.arange(3), "roc_auc")):
        ...     print(doubt)
        a and b have the same score on every seed: was one copied from the other?
        3 pairs are very few: with fewer than 6 no sign-flip test can come below .05
    """
    words = list(table.doubts)
    if table.metric == SCORE.name:
        words.append(
            "nobody said what the scores are: they are taken for shares in [0, 1] of which more is "
            "better; --metric says it"
        )
    key = "seed" if table.has_seeds else "row"
    columns = {name: table.shares(name) for name in table.models}
    for (name, one), (other_name, other) in itertools.combinations(columns.items(), 2):
        if np.array_equal(one, other):
            words.append(
                f"{name} and {other_name} have the same score on every {key}: was one copied from "
                "the other?"
            )
    if not table.kind.is_count and table.identity is None:  # a record's seeds were all trained
        for name, scores in columns.items():
            words += _repeated(table, name, scores, key)
    n_pairs = len(table)
    if len(columns) == 1 and n_pairs < FEW_PAIRS:
        words.append(f"there are {n_pairs} runs of {next(iter(columns))}, which are very few")
    elif table.dataset is None and n_pairs < FEW_PAIRS:
        pairs = "1 pair is" if n_pairs == 1 else f"{n_pairs} pairs are"
        words.append(
            f"{pairs} very few: with fewer than {FEW_PAIRS} no sign-flip test can come below .05"
        )
    return words


def _repeated(table: ScoreTable, name: str, scores: FloatArray, key: str) -> list[str]:
    """Two seeds with one score to the last of six digits or more, and more than by chance."""
    distinct, counts = np.unique(scores, return_counts=True)
    again = np.flatnonzero(counts > 1)
    long = [at for at in again[:_LOOKED_AT].tolist() if len(_digits(float(distinct[at]))) >= 6]
    if not long:
        return []
    n_repeated = int((counts[again] - 1).sum())
    # By chance two of n scores on a grid of so many decimals are one.
    places = max(len(repr(float(x)).partition(".")[2]) for x in distinct[:_LOOKED_AT].tolist())
    width = float(np.ptp(scores))
    by_chance = len(scores) ** 2 / 2 * 10.0**-places / width if width else 0.0
    if n_repeated <= 10 * by_chance:
        return []
    value = distinct[long[0]]
    found = table.keys[np.flatnonzero(scores == value)[:2]].tolist()
    which = f"{key}s {found[0]} and {found[1]}"
    if table.dataset is not None:
        sets = table.dataset[np.flatnonzero(scores == value)[:2]].tolist()
        which = f"{key} {found[0]} of {sets[0]} and {key} {found[1]} of {sets[1]}"
    more = f" ({n_repeated} such repetitions)" if n_repeated > 1 else ""
    fine = ""
    if table.metric == SCORE.name:
        fine = "; of a count, such as accuracy, that is usual: --metric accuracy says it"
    elif table.kind.is_share:
        fine = "; where test parts are small that can be chance"
    return [
        f"{which} of {name} have the same score to the last digit, {float(value)!r}{more}: was a "
        f"run copied?{fine}"
    ]


def _digits(value: float) -> str:
    """The significant digits of a number, as Python writes it."""
    return repr(value).partition("e")[0].replace(".", "").strip("-0")
