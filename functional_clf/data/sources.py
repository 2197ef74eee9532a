"""What a user brings as a table (a path, a data frame, arrays, a Bunch) in one form."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from functional_clf.data.columns import frame_of_array, frame_of_pandas, series_of
from functional_clf.data.reading import read_table
from functional_clf.support.arguments import short
from functional_clf.support.text import printable


class Given(NamedTuple):
    """A table as it was given.

    Attributes:
        frame: its rows; with a column of labels, where these do not come apart.
        y: labels that come apart, as in (X, y).
        own: a pandas data frame as brought, which a transformer of the user's may need.
        is_array: whether the rows came as an array, without names.
        class_names: of labels 0, 1 and so on, where a Bunch names them.
        name: of its file, without the ending.
        what: how messages name it.
    """

    frame: pl.DataFrame
    y: pl.Series | None = None
    own: Any = None
    is_array: bool = False
    class_names: Sequence[str] | None = None
    name: str | None = None
    what: str = "the table"


def given(source: Any, argument: str) -> Given:
    """A source of rows, whatever its kind.

    Args:
        source: a path, a data frame of polars or pandas, (X, y), or a Bunch of scikit-learn.
        argument: its name, for messages.

    Raises:
        TypeError: when it is none of these.
        ValueError: when it cannot be read.

    Example:
        >>> found = given(([[1, 2], [3, 4]], ["no", "yes"]), "source")
        >>> found.frame.shape, found.y.to_list()
        ((2, 2), ['no', 'yes'])
    """
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        file = Path(path).name
        stem = Path(file[:-3] if file.lower().endswith(".gz") else file).stem
        name = printable(stem).strip()[:200].strip() or None
        return Given(read_table(path), name=name, what=repr(path))
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return Given(source)
    if _is_pandas(source):
        return Given(frame_of_pandas(source), own=source)
    if isinstance(source, tuple) and len(source) == 2:
        return of_arrays(*source)
    if isinstance(source, Mapping) and "data" in source and "target" in source:
        found = of_arrays(source["data"], source["target"], _texts(source.get("feature_names")))
        return found._replace(class_names=source.get("target_names"))
    raise TypeError(
        f"{argument} is {short(source)}; it must be a path, a data frame, (X, y), or a Bunch of "
        "scikit-learn"
    )


def of_arrays(x: Any, y: Any, feature_names: Sequence[str] | None = None) -> Given:
    """Rows and labels that come apart.

    Args:
        x: `(row, column)`: an array of numbers, or a data frame.
        y: `(row,)`, of any type.
        feature_names: of an array's columns; None for their numbers.

    Raises:
        ValueError: when they are not of one length and order, or no such things.

    Example:
        >>> of_arrays([[1.0], [2.0]], [True, False], ["age"]).frame.columns
        ['age']
    """
    own, is_array = None, False
    if isinstance(x, pl.DataFrame):
        frame = x
    elif _is_pandas(x):
        frame, own = frame_of_pandas(x), x
        index: Any = getattr(y, "index", None)
        if hasattr(index, "equals") and not x.index.equals(index):
            raise ValueError("x and y have different indices; bring their rows into one order")
    else:
        frame, is_array = frame_of_array(x, feature_names), True
    labels = series_of(y, "y")
    if len(labels) != frame.height:
        raise ValueError(f"x has {frame.height} rows, and y has {len(labels)}")
    return Given(frame, labels, own, is_array)


def _is_pandas(source: Any) -> bool:
    return all(hasattr(source, name) for name in ("iloc", "columns", "dtypes", "index"))


def _texts(names: Any) -> list[str] | None:
    """Names that scikit-learn may hold as an array."""
    return None if names is None else [str(name) for name in names]
