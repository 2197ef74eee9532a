"""Whatever holds a table (polars, pandas, arrays, lists) as columns of numbers or of words."""

import datetime
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray

from functional_clf.data.dataset import plain_array
from functional_clf.data.preparation import Column
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line

ALLOWED = "it must be numbers, words, dates, or true and false"


def frame_of_pandas(frame: Any) -> pl.DataFrame:
    """A pandas data frame as polars', without pyarrow; its index is left out.

    Args:
        frame: known by its methods, as pandas itself is not needed here.

    Raises:
        ValueError: when a column cannot be read, or two have one name.
    """
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two columns are called {double!r}; give them different names")
    return pl.DataFrame(
        [
            series_of(frame.iloc[:, place], f"column {name!r}").alias(name)
            for place, name in enumerate(names)
        ]
    )


def frame_of_array(x: Any, names: Sequence[str] | None, what: str = "x") -> pl.DataFrame:
    """Numbers `(row, column)` of any kind as a data frame of float64; NaN where missing.

    Args:
        x: an array, a tensor, a sparse array or nested lists.
        names: of the columns; None for their numbers.
        what: the argument's name, for messages.

    Raises:
        ValueError: when these are no numbers in two dimensions, or names do not fit.

    Example:
        >>> frame_of_array([[1, 2], [3, 4]], None).columns
        ['feature 0', 'feature 1']
    """
    found = plain_array(what, x)
    if found.ndim != 2 or found.shape[1] == 0:
        raise ValueError(f"{what} has shape {found.shape}; it must be (row, column)")
    if found.dtype.kind == "O":
        found = _numbers_of_objects(found, what)
    if found.dtype.kind not in "biuf":
        raise ValueError(
            f"{what} holds {short(found.flat[0].item()) if found.size else found.dtype}; it must "
            "be numbers (a table with words comes as a data frame)"
        )
    if names is None:
        names = [f"feature {number}" for number in range(found.shape[1])]
    names = [str(name) for name in names]
    if len(names) != found.shape[1]:
        raise ValueError(f"feature_names holds {len(names)}; {what} has {found.shape[1]} columns")
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"feature_names holds {double!r} twice; give each a name of its own")
    return pl.DataFrame(
        [
            pl.Series(name, np.ascontiguousarray(found[:, place], np.float64))
            for place, name in enumerate(names)
        ]
    )


def series_of(values: Any, what: str) -> pl.Series:
    """One column of any kind as polars' series.

    Args:
        values: a series of polars or pandas, an array, a tensor or a list.
        what: how messages name it.

    Raises:
        ValueError: when it is not one column, or holds what no column can.

    Example:
        >>> series_of(np.array([True, None], dtype=object), "y").to_list()
        [True, None]
        >>> series_of([3, float("nan")], "y").to_list()
        [3, None]
    """
    if isinstance(values, pl.Series):
        return values
    if hasattr(values, "isna") and hasattr(values, "dtype"):  # pandas
        kind = getattr(values.dtype, "kind", "O")
        if kind == "f":
            return pl.Series(values.to_numpy(dtype="float64", na_value=np.nan))
        if kind in "Mm":
            unit = "datetime64[ns]" if kind == "M" else "timedelta64[ns]"
            return pl.Series(values.to_numpy(dtype=unit))
        missing = np.asarray(values.isna(), dtype=bool)
        if kind in "iu" and not missing.any():
            return pl.Series(values.to_numpy(dtype="int64" if kind == "i" else "uint64"))
        kept = zip(values.tolist(), missing.tolist(), strict=True)
        return _series_of_objects([None if gone else value for value, gone in kept], what)
    if isinstance(values, list | tuple):  # an array of them would turn numbers into words
        found = np.empty(len(values), dtype=object)
        for place, value in enumerate(values):
            found[place] = value
    else:
        found = plain_array(what, values)
    if found.ndim != 1:
        raise ValueError(f"{what} has shape {found.shape}; it must be (row,)")
    if found.dtype.kind in "biufMm":
        return pl.Series(found.astype(np.float32) if found.dtype == np.float16 else found)
    return _series_of_objects(found.tolist(), what)


def plain(series: pl.Series, what: str) -> pl.Series:
    """A column as float64 or words; dates and times are days since 1970, null is missing.

    Args:
        series: of any type.
        what: how messages name it.

    Raises:
        ValueError: when it holds anything else, such as lists.

    Example:
        >>> plain(pl.Series([1, None]), "column 'a'").to_list()
        [1.0, None]
        >>> plain(pl.Series([True, False]), "column 'b'").to_list()
        ['True', 'False']
    """
    dtype = series.dtype
    if dtype == pl.Null or series.null_count() == len(series):
        return pl.Series([None] * len(series), dtype=pl.Float64)
    if dtype.is_numeric():
        return series.cast(pl.Float64).fill_nan(None)
    if dtype == pl.Boolean:
        return plain(series.cast(pl.String), what)
    if dtype.is_temporal():
        return _days(series)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        words = series.cast(pl.String)
        words = words.set(words == "", None)
        # Beside another word, a file's true is no truth value: it is called as one all the same.
        for truth in ("True", "False"):
            words = words.set(words.str.to_lowercase() == truth.lower(), truth)
        return plain(words, what) if words.null_count() == len(words) else words
    kinds = "lists" if dtype.is_nested() else "bytes" if dtype == pl.Binary else "objects"
    raise ValueError(f"{what} holds {kinds} ({dtype}); {ALLOWED}")


def column_of(name: str, values: pl.Series, n_known: int) -> Column:
    """A plain column as numbers, or as codes of its categories, sorted.

    Args:
        name: its name.
        values: from `plain`.
        n_known: rows, from the first, whose categories are known; others' come behind these.

    Example:
        >>> column = column_of("colour", pl.Series(["red", None, "blue", "green"]), 3)
        >>> column.categories, column.values
        (('blue', 'red'), array([ 1., nan,  0.,  2.]))
    """
    if values.dtype == pl.Float64:
        return Column(name, "number", _floats(values))
    known = values[:n_known].drop_nulls().unique().sort()
    new = values[n_known:].drop_nulls().unique()
    new = new.filter(~new.is_in(known.implode())).sort()
    codes = values.cast(pl.Enum(pl.concat([known, new]))).to_physical()
    return Column(name, "category", _floats(codes.cast(pl.Float64)), tuple(known.to_list()))


def _floats(values: pl.Series) -> ndarray:
    return values.fill_null(float("nan")).to_numpy(writable=True)


def _days(series: pl.Series) -> pl.Series:
    per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}
    dtype = series.dtype
    if dtype == pl.Date:
        return series.to_physical().cast(pl.Float64)
    unit = dtype.time_unit if isinstance(dtype, pl.Datetime | pl.Duration) else "ns"
    per_day = 86400 * per_second[unit or "us"]
    # Days and their rest apart, as the whole would be rounded, and in each unit otherwise.
    ticks = series.to_physical().cast(pl.Int64)
    days = ticks // per_day
    return days.cast(pl.Float64) + (ticks - days * per_day).cast(pl.Float64) / per_day


def _series_of_objects(values: list[Any], what: str) -> pl.Series:
    """Python's values of one kind, and None."""
    kept = [None if _is_missing(value) else value for value in values]
    kinds: dict[type, Any] = {}
    for value in kept:
        kinds.setdefault(type(value), value)
    kinds.pop(type(None), None)
    wanted = next((to for kind, to in _KINDS if _are(kinds, kind)), None)
    if wanted is None:
        odd = [value for kind, value in kinds.items() if not _are([kind], _SCALARS)]
        if odd:
            raise ValueError(f"{what} holds objects, such as {short(odd[0])}; {ALLOWED}")
        first, second, *_ = kinds.values()
        raise ValueError(
            f"{what} holds {short(first)} and {short(second)}; it must be of one kind: all "
            "numbers, all words, or all dates"
        )
    if wanted is int and any(value is not None and abs(int(value)) >= 2**126 for value in kept):
        wanted = float
    try:
        return pl.Series([None if value is None else wanted(value) for value in kept])
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{what} holds a value out of range: {one_line(error)}") from error


def _same(value: Any) -> Any:
    return value


_NUMBERS = int | float | np.number | Decimal
_SCALARS = str | _NUMBERS | np.bool_ | datetime.date | datetime.timedelta | datetime.time
_KINDS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (bool | np.bool_, bool),
    (str, str),
    (int | np.integer, int),
    (_NUMBERS, float),
    (datetime.datetime, _same),
    (datetime.timedelta, _same),
    (datetime.time, _same),
    (datetime.date, _same),
)
"""What values of one kind become, the first that fits; true and false are no numbers."""


def _are(kinds: Iterable[type], wanted: Any) -> bool:
    # True counts as 1 to Python, and a point of time as a date.
    for apart in (bool | np.bool_, datetime.datetime):
        if len({issubclass(kind, apart) for kind in kinds}) > 1:
            return False
    return all(issubclass(kind, wanted) for kind in kinds)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | Decimal) and value != value


def _numbers_of_objects(array: ndarray, what: str) -> ndarray:
    numbers = np.empty(array.shape)
    for place in range(array.shape[1]):
        series = _series_of_objects(array[:, place].tolist(), f"{what}, column {place},")
        if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null)):
            raise ValueError(
                f"{what} holds {short(series.drop_nulls()[0])} in column {place}; it must be "
                "numbers (a table with words comes as a data frame)"
            )
        numbers[:, place] = _floats(series.cast(pl.Float64))
    return numbers
