"""What a user should know of a table's columns, a line each."""

import shlex
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy import ndarray

from functional_clf.data.preparation import Column

SHOWN = 5
"""So many names stand in a message before "and 3 more"."""


def listed(texts: Iterable[str]) -> str:
    """A few of many texts.

    Example:
        >>> listed("abcdefgh")
        'a, b, c, d, e and 3 more'
    """
    shown = list(texts)
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more


def noticed(columns: Sequence[Column], y: ndarray, dropped: Mapping[str, str]) -> list[str]:
    """What may be wrong with the columns, a line each.

    Args:
        columns: of a table.
        y: class numbers of the rows, from the first, that may be trained on.
        dropped: columns that say nothing, and why.

    Example:
        >>> y = np.array([0, 1, 1])
        >>> noticed([Column("cured", "category", 1.0 - y, ("no", "yes"))], y, {})[0][:44]
        "column 'cured' is the target by another name"
    """
    notices = []
    for column in columns:
        if column.name not in dropped and _is_renamed(column.values[: len(y)], y):
            notices.append(
                f"column {column.name!r} is the target by another name: each of its values has "
                "one label, and each label one value; drop it with --drop "
                f"{shlex.quote(column.name)}"
            )
        elif column.kind == "category" and (odd := _odd_words(column)):
            notices.append(
                f"column {column.name!r} is taken for words, though all but {listed(odd)} are "
                "numbers; is this how missing values are written?"
            )
        if column.kind == "category" and 2 * (unknown := _unknown(column, len(y))) > (
            n_test := len(column.values) - len(y)
        ):
            notices.append(
                f"column {column.name!r}: {unknown} of {n_test} test rows hold a value that no "
                "training row has; are both written alike?"
            )
    if dropped:
        reasons = [f"{name!r} ({why})" for name, why in dropped.items()]
        notices.append(f"columns left out, as they say nothing: {listed(reasons)}")
    return notices


def _unknown(column: Column, trainable: int) -> int:
    """How many test rows hold a category that no row has that may be trained on."""
    return int((column.values[trainable:] >= len(column.categories)).sum())


def dropped_reasons(
    columns: Sequence[Column], dropped: Mapping[str, str], trainable: int
) -> dict[str, str]:
    """Why columns are left out, where one can say more than that no value is frequent.

    Args:
        columns: of a table.
        dropped: by the preparation, and why.
        trainable: rows, from the first, that may be trained on.

    Example:
        >>> names = Column("name", "category", np.arange(3.0), ("ann", "bob", "cid"))
        >>> dropped_reasons([names], {"name": "no value is frequent enough"}, 3)
        {'name': 'an identifier, another one in each row'}
    """
    reasons = dict(dropped)
    for column in columns:
        is_identifier = column.kind == "category" and len(column.categories) == trainable
        if column.name in dropped and is_identifier:
            reasons[column.name] = "an identifier, another one in each row"
    return reasons


def _is_renamed(values: ndarray, y: ndarray) -> bool:
    n_classes = int(y.max()) + 1
    # A first look at few rows, as most columns need no other.
    for rows in (slice(0, 1000), slice(None)):
        seen, which = np.unique(values[rows], return_inverse=True)
        pairs = np.unique(which * n_classes + y[rows])
        classes = len(np.unique(y[rows]))
        if not len(seen) == classes == len(pairs):
            return False
    return True


def _odd_words(column: Column) -> list[str]:
    """The few categories that are no numbers, where nearly all are."""
    names = pl.Series(column.categories, dtype=pl.String)
    odd = names.filter(names.cast(pl.Float64, strict=False).is_null())
    if len(names) < 10 or not 0 < len(odd) <= 0.1 * len(names):
        return []
    return [repr(word) for word in odd.to_list()]
