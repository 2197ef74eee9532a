"""Columns of a table, and the features that they can become: the same ones for every split.

Models need one width, so the layout is decided from all rows that may be trained on. It says only
which features there are, never a value of one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

LEAST_ROWS = 5
"""A category that fewer training rows have is rare, whatever their number."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table.

    Args:
        name: the user's.
        kind: whether its values are numbers or codes of categories.
        values: `(n,)` float64: numbers, or codes 0 to `len(categories) - 1`; NaN where missing. A
            code of `len(categories)` or more is of a category that no trainable row has.
        categories: what the codes stand for; none for numbers.

    Raises:
        TypeError: when the values are not float64 in one dimension.
        ValueError: when a number is infinite, or a code not whole or below 0.

    Example:
        >>> Column("colour", "category", np.array([0.0, 1.0, np.nan]), ("red", "green")).name
        'colour'
    """

    name: str
    kind: Literal["number", "category"]
    values: ndarray
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("number", "category"):
            raise ValueError(f"kind is {self.kind!r}; it must be 'number' or 'category'")
        if self.values.ndim != 1 or self.values.dtype != np.float64:
            raise TypeError(
                f"column {self.name!r} has values of type {self.values.dtype} and shape "
                f"{self.values.shape}; they must be float64 of shape (row,)"
            )
        infinite = np.isinf(self.values)
        if infinite.any():
            row = int(infinite.argmax())
            raise ValueError(
                f"column {self.name!r} holds {self.values[row]} at row {row}; it must be finite "
                "numbers, or missing"
            )
        if self.kind == "category":
            wrong = (self.values < 0) | (self.values != np.floor(self.values))
            wrong &= ~np.isnan(self.values)
            if wrong.any():
                row = int(wrong.argmax())
                raise ValueError(
                    f"column {self.name!r} holds {self.values[row]:g} at row {row}; a category's "
                    "code must be a whole number of at least 0"
                )


class NumberLayout(NamedTuple):
    """The features of a number column: its value and whether it is missing, where these vary."""

    name: str
    has_value: bool
    has_indicator: bool

    @property
    def feature_names(self) -> tuple[str, ...]:
        """In their order."""
        value = (self.name,) if self.has_value else ()
        return (*value, f"{self.name}: missing") if self.has_indicator else value


class CategoryLayout(NamedTuple):
    """The features of a category column, one each of its slots.

    name: the column's.
    categories: of the first slots; "rare or unknown" has the next one.
    slots: the slot of each of `codes`.
    has_missing: whether missing ones have a slot of their own, the last.
    """

    name: str
    categories: tuple[str, ...]
    slots: Int[ndarray, " code"]
    has_missing: bool

    @property
    def rare(self) -> int:
        """The slot of all that is rare or unknown."""
        return len(self.categories)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """In the order of the slots."""
        frequent = (f"{self.name} = {category}" for category in self.categories)
        rare = f"{self.name}: rare or unknown"
        return (*frequent, rare, *([f"{self.name}: missing"] if self.has_missing else []))

    @property
    def codes(self) -> Float[ndarray, " code"]:
        """Of each category of the column, then one of none, then NaN for missing ones.

        No training row has the code of none: whatever is unknown is as rare as that.
        """
        return np.append(np.arange(len(self.slots) - 1.0), np.nan)


class Layout(NamedTuple):
    """What becomes of each column of a table: features, or why it is left out."""

    kept: dict[str, NumberLayout | CategoryLayout]
    dropped: dict[str, str]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Of all kept columns, in their order."""
        return tuple(name for column in self.kept.values() for name in column.feature_names)


def layout_of(columns: Iterable[Column], trainable: int) -> Layout:
    """The features that a table can give, whichever of its trainable rows are trained on.

    A category has a feature where `max(5, 1 % of the training rows)` could have it, in a training
    part of at least half of the trainable rows; in a smaller one the others stay rare as well.

    Args:
        columns: all of one length.
        trainable: rows, from the first, that may be trained on; at least 1.

    Raises:
        ValueError: when a trainable row has a code that no category goes with.

    Example:
        >>> size = Column("size", "number", np.array([1.0, np.nan] * 6))
        >>> colour = Column("colour", "category", np.arange(12.0) % 2, ("red", "green"))
        >>> layout_of([size, colour], 12).feature_names  # sizes that are known are all 1
        ('size: missing', 'colour = red', 'colour = green', 'colour: rare or unknown')
    """
    kept, dropped = {}, {}
    for column in columns:
        place = _number if column.kind == "number" else _category
        found = place(column, column.values[:trainable])
        if isinstance(found, str):
            dropped[column.name] = found
        else:
            kept[column.name] = found
    return Layout(kept, dropped)


def least_frequent(n_train: int) -> int:
    """The fewest training rows that make a category a frequent one: 1 % of them, and 5 at least.

    Example:
        >>> least_frequent(100), least_frequent(1001)
        (5, 11)
    """
    return max(LEAST_ROWS, -(-n_train // 100))


def _number(column: Column, values: ndarray) -> NumberLayout | str:
    n_missing = int(np.count_nonzero(np.isnan(values)))
    if n_missing == len(values):
        return "all missing"
    varies = bool(np.fmin.reduce(values) < np.fmax.reduce(values))
    if not varies and not n_missing:
        return "constant"
    return NumberLayout(column.name, varies, bool(n_missing))


def _category(column: Column, values: ndarray) -> CategoryLayout | str:
    missing = np.isnan(values)
    codes = values[~missing].astype(np.intp)
    n_missing, n_categories = len(values) - len(codes), len(column.categories)
    if not len(codes):
        return "all missing"
    if codes.max() >= n_categories:
        row = int(np.nanargmax(values))
        raise ValueError(
            f"column {column.name!r} has code {codes.max()} at row {row}, which may be trained "
            f"on, and {n_categories} categories"
        )
    counts = np.bincount(codes, minlength=n_categories)
    if not n_missing and np.count_nonzero(counts) == 1:
        return "constant"
    least = least_frequent(-(-len(values) // 2))
    frequent = np.flatnonzero(counts >= least)
    has_missing = bool(n_missing >= least)
    if not len(frequent) and not has_missing:
        return "no value is frequent enough"
    slots = np.full(n_categories + 2, len(frequent))
    slots[frequent] = np.arange(len(frequent))
    slots[-1] += has_missing
    names = tuple(column.categories[code] for code in frequent)
    return CategoryLayout(column.name, names, slots, has_missing)
