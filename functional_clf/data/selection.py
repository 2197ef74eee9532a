"""What the arguments of a table name: columns that are there, and that go together."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from functional_clf.data.notices import listed
from functional_clf.data.sources import Given
from functional_clf.data.splits import Split
from functional_clf.support.arguments import short

TRAIN_WORDS, TEST_WORDS = ("train", "training"), ("test", "testing")
"""What a row may say of itself, in letters of any size."""


class Options(NamedTuple):
    """The arguments of a table; `tables.table` explains each."""

    target: str | None = None
    drop: Iterable[str] = ()
    groups: Any = None
    stratify: bool | None = None
    split_column: str | None = None
    prepare: Any = None
    class_names: Sequence[str] | None = None


class Used(NamedTuple):
    """What the columns of a table are for."""

    target: str | None
    features: list[str]
    groups: str | None
    split: str | None


def used_columns(found: Given, options: Options) -> Used:
    """What each column is for.

    Args:
        found: what was given.
        options: what names columns.

    Raises:
        TypeError: when something is no name.
        ValueError: when there is no such column, or it is named for two things, or none is left
            to learn from.

    Example:
        >>> from functional_clf.data.sources import of_arrays
        >>> found = of_arrays([[1, 2], [3, 4]], [0, 1], ["a", "b"])
        >>> used_columns(found, Options(drop="a")).features
        ['b']
    """
    names = found.frame.columns
    for name in names:
        if not name.strip():
            raise ValueError(f"{found.what}: column {names.index(name) + 1} has no name")
    target = options.target
    if found.y is None and target is None:
        raise ValueError(
            f"target is None; it must name the column to predict, one of {listed(map(repr, names))}"
        )
    if found.y is not None and target is not None:
        raise ValueError(f"target is {short(target)}, and labels come apart; give one of the two")
    named: dict[str, str] = {}
    for argument, value in (
        ("target", target),
        ("groups", options.groups if isinstance(options.groups, str | int) else None),
        ("split_column", options.split_column),
    ):
        if value is not None:
            column = _column(found, argument, value)
            if column in named.values():
                other = next(one for one, name in named.items() if name == column)
                raise ValueError(f"{argument} is {column!r}, which is the {other}, too")
            named[argument] = column
    drop = options.drop
    if not isinstance(drop, Iterable):
        raise TypeError(f"drop is {short(drop)}; it must be names of columns, as in ('id',)")
    dropped = [_column(found, "drop", one) for one in ([drop] if isinstance(drop, str) else drop)]
    for argument, column in named.items():
        if column in dropped:
            raise ValueError(f"drop holds {column!r}, which is the {argument}")
    apart = {*dropped, *named.values()}
    features = [name for name in names if name not in apart]
    if not features:
        raise ValueError(f"{found.what} has no column left to learn from")
    return Used(named.get("target"), features, named.get("groups"), named.get("split_column"))


def _column(found: Given, argument: str, value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TypeError(f"{argument} is {short(value)}; it must be the name of a column")
    names, name = found.frame.columns, str(value)
    if name in names:
        return name
    folded = {one.casefold(): one for one in reversed(names)}
    near = difflib.get_close_matches(name.casefold(), folded, 1)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"it has {listed(map(repr, names))}"
    raise ValueError(f"{argument} is {value!r}; {found.what} has no such column ({hint})")


def check_together(options: Options, has_test: bool) -> None:
    """See that the arguments that decide splits do not contradict each other.

    Args:
        options: the arguments.
        has_test: whether test rows are given apart.

    Raises:
        TypeError: when `stratify` is no flag.
        ValueError: when two contradict each other.

    Example:
        >>> check_together(Options(groups="hospital"), has_test=False)
    """
    stratify = options.stratify
    if stratify is not None and not isinstance(stratify, bool | np.bool_):
        raise TypeError(f"stratify is {short(stratify)}; it must be True, False or None")
    given_apart = "test" if has_test else "split_column"
    has_own_test = has_test or options.split_column is not None
    if has_test and options.split_column is not None:
        raise ValueError("test and split_column both say which rows are the test rows; give one")
    if has_own_test and options.groups is not None:
        raise ValueError(f"groups keep rows together in splits; with {given_apart} none is drawn")
    if stratify and has_own_test:
        raise ValueError(f"stratify is True, but with {given_apart} no split is drawn")
    if stratify and options.groups is not None:
        raise ValueError(
            "stratify is True, and groups are given; whole groups cannot be stratified"
        )


def split_places(values: pl.Series, name: str) -> Split:
    """The training and the test rows by the words of a column.

    Args:
        values: "train" or "test" in each row.
        name: of the column.

    Raises:
        ValueError: when a row says anything else, or none says one of the two.

    Example:
        >>> split_places(pl.Series(["train", "Test", "TRAIN"]), "part")
        Split(train=array([0, 2]), test=array([1]))
    """
    what = f"split_column {name!r}"
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise ValueError(f"{what} holds no words; each row must say 'train' or 'test'")
    words = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    sides = [words.is_in(known).fill_null(False) for known in (TRAIN_WORDS, TEST_WORDS)]
    if not (sides[0] | sides[1]).all():
        strange = values.cast(pl.String).filter(~(sides[0] | sides[1]))[0]
        held = "missing values" if strange is None else short(strange)
        raise ValueError(f"{what} holds {held}; each row must say 'train' or 'test'")
    for word, side in zip(("train", "test"), sides, strict=True):
        if not side.any():
            raise ValueError(f"{what} says {word!r} of no row; it must hold 'train' and 'test'")
    return Split(*(np.flatnonzero(side.to_numpy()) for side in sides))
