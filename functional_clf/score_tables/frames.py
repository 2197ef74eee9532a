"""Whatever holds scores (a file, a data frame, columns) as one frame that knows its lines."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from functional_clf.data.reading import line_of_row, read_table
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line
from functional_clf.support.forks import use_threads

NEEDED = "it must be a path, a data frame, or a mapping from name to column"


@dataclass(frozen=True)
class ScoreFrame:
    """A frame of scores as it came.

    Attributes:
        frame: columns of plain values.
        source: its name, for messages.
        place: of a row, counted from 0, as messages name it.
    """

    frame: pl.DataFrame
    source: str
    place: Callable[[int], str]


def frame_of(source: Any) -> ScoreFrame:
    """Whatever holds scores, as a frame.

    Args:
        source: the path of a file that `read_table` reads; a data frame of polars or pandas (an
            index that has a name is a column); or a mapping from name to column.

    Raises:
        TypeError: when it is none of these.
        ValueError: when it cannot be read, or columns are of unlike lengths.

    Example:
        >>> frame_of({"a": [0.5, 0.6], "b": [0.7, 0.7]}).frame.shape
        (2, 2)
    """
    use_threads()
    if isinstance(source, str | os.PathLike):
        return _of_file(Path(source))
    if isinstance(source, pl.LazyFrame):
        raise TypeError("frame is a LazyFrame; give what its collect() returns")
    if isinstance(source, pl.DataFrame):
        frame = source
    elif hasattr(source, "columns") and hasattr(source, "iloc"):
        frame = _of_pandas(source)
    elif isinstance(source, Mapping):
        frame = _of_mapping(source)
    else:
        raise TypeError(f"frame is {short(source)}; {NEEDED}")
    if frame.height == 0 or frame.width == 0:
        raise ValueError("frame is empty; it needs a row a model and seed, or a column a model")
    return ScoreFrame(frame, "the frame", lambda row: f"row {row} (counted from 0)")


def _of_file(path: Path) -> ScoreFrame:
    def place(row: int) -> str:
        line = line_of_row(path, row)
        return f"row {row} (counted from 0)" if line is None else f"line {line}"

    return ScoreFrame(read_table(path), str(path), place)


def _of_mapping(columns: Mapping[Any, Any]) -> pl.DataFrame:
    found = {str(name): _series(str(name), values) for name, values in columns.items()}
    lengths = {name: len(one) for name, one in found.items()}
    if len(set(lengths.values())) > 1:
        longest, shortest = (choose(lengths, key=lengths.__getitem__) for choose in (max, min))
        raise ValueError(
            f"frame has {lengths[longest]} values of {longest!r} and {lengths[shortest]} of "
            f"{shortest!r}: pairs need both; a row a model and seed says which one is "
            "missing"
        )
    return pl.DataFrame(list(found.values()))


def _of_pandas(frame: Any) -> pl.DataFrame:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"frame has two columns called {double!r}; each needs a name of its own")
    return pl.DataFrame([_series(name, frame.iloc[:, place]) for place, name in enumerate(names)])


def _series(name: str, values: Any) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.alias(name)
    if hasattr(values, "detach") and hasattr(values, "cpu"):  # a tensor
        values = values.detach().cpu().numpy()
    try:
        if hasattr(values, "isna"):  # pandas, without pyarrow
            is_plain = getattr(values.dtype, "kind", "O") in "iufb"
            values = values.to_numpy() if is_plain else values.astype(object).to_numpy()
        if getattr(getattr(values, "dtype", None), "kind", "O") == "O":
            kept = [None if value is None or value != value else value for value in values]
            kinds = {type(value) for value in kept} - {type(None)}
            if len(kinds) > 1 and str in kinds:  # told where the column is used
                kept = [None if value is None else str(value) for value in kept]
            return pl.Series(name, kept, strict=False)
        return pl.Series(name, values)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"column {name!r} cannot be read: {one_line(error)}") from error
