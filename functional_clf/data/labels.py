"""Labels of any type as class numbers, with the classes' names; groups likewise."""

from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from functional_clf.data.columns import plain
from functional_clf.support.arguments import short

MOST_CLASSES = 100
"""More different labels are taken for numbers to predict."""

MISSING = -1


class Labels(NamedTuple):
    """Numbers of the classes, -1 where missing, and what the classes are called, in order."""

    codes: Int[ndarray, " row"]
    names: tuple[str, ...]


def labels_of(values: pl.Series, what: str) -> Labels:
    """The classes of a column: sorted as numbers where they are such, else as text.

    Args:
        values: numbers, words, dates or true and false.
        what: how messages name it.

    Raises:
        ValueError: when it holds anything else, or infinite numbers, or nothing.

    Example:
        >>> labels_of(pl.Series([10.0, 9.0, None]), "y")
        Labels(codes=array([ 1,  0, -1]), names=('9', '10'))
    """
    keys = _keys(values, what)
    found = keys.drop_nulls().unique().sort()
    if not len(found):
        raise ValueError(f"{what} holds only missing values")
    codes = keys.replace_strict(
        found, pl.Series(range(len(found))), default=None, return_dtype=pl.Int64
    )
    return Labels(codes.fill_null(MISSING).to_numpy(), tuple(map(str, found.to_list())))


def labels_among(values: pl.Series, names: tuple[str, ...], what: str) -> Int[ndarray, " row"]:
    """Labels as numbers of classes that are known by name, -1 where missing.

    Args:
        values: as in `labels_of`.
        names: of the known classes, from there.
        what: how the message names it.

    Raises:
        ValueError: when there is another one.

    Example:
        >>> labels_among(pl.Series(["no", "yes", None]), ("no", "yes"), "y")
        array([ 0,  1, -1])
    """
    codes, found = labels_of(values, f"{what} of the test rows")
    if values.dtype.is_float() and not set(found) <= set(names):
        found = tuple(str(float(name)) for name in found)  # as they are among broken numbers
    if strange := [name for name in found if name not in names]:
        raise ValueError(
            f"{what} of the test rows holds {short(strange[0])}; no training row has this label"
        )
    numbers = np.array([names.index(name) for name in found] + [MISSING])
    return numbers[codes]


def check_classes(labels: Labels, what: str) -> None:
    """See that there are classes to tell apart, with rows for both parts of a split.

    Args:
        labels: of the training rows, without missing ones.
        what: how messages name them.

    Raises:
        ValueError: when there is one class, or more than `MOST_CLASSES`, or one with a single row.

    Example:
        >>> check_classes(Labels(np.array([0, 1, 0, 1]), ("no", "yes")), "y")
    """
    names = labels.names
    if len(names) == 1:
        raise ValueError(f"{what} holds only {names[0]!r}; it needs two classes at least")
    if len(names) > MOST_CLASSES:
        raise ValueError(
            f"{what} has {len(names)} different values, and {MOST_CLASSES} classes are the most; "
            "to predict a number is not what this is for"
        )
    counts = np.bincount(labels.codes, minlength=len(names))
    if counts.min() < 2:
        raise ValueError(
            f"{what}: class {names[counts.argmin()]!r} has {counts.min()} row; each needs at least "
            "2: drop it, or merge it with another"
        )


def _keys(values: pl.Series, what: str) -> pl.Series:
    """What is sorted and shown: whole numbers as such, dates as text."""
    dtype = values.dtype
    if dtype.is_integer():
        return values
    if dtype in (pl.Date, pl.Datetime):
        return values.cast(pl.String)
    keys = plain(values, what)
    if keys.dtype == pl.Float64:
        if keys.is_infinite().any():
            raise ValueError(f"{what} holds infinite numbers; labels must be finite")
        is_whole = (keys == keys.round()).all() and (keys.abs() <= 2.0**53).all()
        return keys.cast(pl.Int64) if is_whole else keys
    return keys
