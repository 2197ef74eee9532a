"""What a table holds: rows, labels and columns out of whatever was given, checked."""

import hashlib
import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from numpy import ndarray

from functional_clf.data.columns import column_of, plain, series_of
from functional_clf.data.labels import Labels, check_classes, labels_among, labels_of
from functional_clf.data.notices import dropped_reasons, listed, noticed
from functional_clf.data.preparation import Column, OwnPreparation, Preparation
from functional_clf.data.selection import (
    Options,
    Used,
    check_together,
    split_places,
    used_columns,
)
from functional_clf.data.sources import Given
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line


@dataclass(frozen=True, eq=False)
class Contents:
    """What a table holds, checked.

    Args:
        raw: `(row, column)` float64: numbers and codes of categories, NaN where missing. Rows
            that may be trained on come first.
        columns: names of the columns.
        labels: class numbers `(row,)`.
        class_names: in the order of the numbers.
        preparation: makes features of the rows.
        groups: of each row, whose like stay together in splits; None where there are none.
        stratify: whether splits keep the shares of the classes.
        n_own_test: rows at the end that are always the test rows; 0 where splits are drawn.
        digest: of all that determines results.
        notices: what a user should know, a line each.
        dropped: columns that say nothing, and why.
        is_own: whether the rows are prepared by this package.
        described: the rest of what `describe` tells.
        brought: makes of names of columns all rows as they were brought, in the order of `raw`.
    """

    raw: Float[ndarray, "row column"]
    columns: tuple[str, ...]
    labels: Int[ndarray, " row"]
    class_names: tuple[str, ...]
    preparation: Any
    groups: Labels | None
    stratify: bool
    n_own_test: int
    digest: str
    notices: tuple[str, ...]
    dropped: dict[str, str]
    is_own: bool
    described: dict[str, Any]
    brought: Callable[[Sequence[str]], Any]


def contents_of(found: Given, tests: Given | None, options: Options, name: str) -> Contents:
    """A table's contents, checked.

    Args:
        found: what was given.
        tests: rows that are always the test rows; None where these are split off.
        options: the arguments of `tables.table`.
        name: the data set's, for messages.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when no model can learn from it, or arguments contradict each other.

    Example:
        >>> from functional_clf.data.sources import of_arrays
        >>> found = of_arrays([[1.0], [2.0], [3.0], [4.0]], ["a", "b", "a", "b"])
        >>> contents_of(found, None, Options(), "arrays").labels
        array([0, 1, 0, 1])
    """
    check_together(options, tests is not None)
    used = used_columns(found, options)
    label_name = "y" if used.target is None else f"target {used.target!r}"
    train, test = _parts(found, tests, used, options.groups)
    labels = labels_of(train.y, label_name)
    train, codes, notices = _labelled(train, labels.codes)
    labels = labels._replace(codes=codes)
    check_classes(labels, label_name)
    if test is not None:
        test_codes = labels_among(test.y, labels.names, label_name)
        test, test_codes, more = _labelled(test, test_codes)
        notices += more
        codes = np.concatenate([codes, test_codes])
    groups = None if train.groups is None else _groups(train.groups, options)
    trainable = len(train.rows)
    columns = _as_columns(train, test, used.features)
    preparation = _preparation(columns, train, test, options, found.is_array, codes, name)
    is_own = options.prepare is None
    raw = preparation.raw if is_own else np.column_stack([one.values for one in columns])
    raw.flags.writeable = codes.flags.writeable = False  # one and the same for every seed
    dropped = dropped_reasons(columns, preparation.dropped, trainable)
    notices += noticed(columns, codes[:trainable], dropped)
    kept = [column for column in columns if column.name not in dropped]
    stratify = options.stratify
    return Contents(
        raw=raw,
        columns=tuple(column.name for column in kept),
        labels=codes,
        class_names=_class_names(labels, found, options),
        preparation=preparation,
        groups=groups,
        stratify=test is None and groups is None if stratify is None else bool(stratify),
        n_own_test=len(codes) - trainable,
        digest=_digest(kept, labels._replace(codes=codes), groups, trainable),
        notices=tuple(f"data set {name!r}: {notice}" for notice in notices),
        dropped=dropped,
        is_own=is_own,
        described={
            "target": used.target,
            "groups": used.groups or (None if groups is None else "groups"),
        },
        brought=lambda names: _own_rows(train, test, list(names), found.is_array),
    )


class _Part(NamedTuple):
    """The training or the test rows of what was given; `rows` are their numbers, from 1."""

    frame: pl.DataFrame
    y: pl.Series
    groups: pl.Series | None
    own: Any
    rows: Int[ndarray, " row"]
    what: str

    def taken(self, places: ndarray) -> "_Part":
        """Only these rows."""
        return _Part(
            self.frame[places],
            self.y[places],
            None if self.groups is None else self.groups[places],
            None if self.own is None else self.own.iloc[places],
            self.rows[places],
            self.what,
        )


def _parts(
    found: Given, tests: Given | None, used: Used, groups: Any
) -> tuple[_Part, _Part | None]:
    train = _part(found, used, groups)
    if tests is not None:
        return train, _part(_like(found, tests, used), used, None)
    if used.split is None:
        return train, None
    places = split_places(found.frame[used.split], used.split)
    return train.taken(places.train), train.taken(places.test)


def _part(found: Given, used: Used, groups: Any) -> _Part:
    y = found.frame[used.target] if used.target is not None else found.y
    assert y is not None
    n_rows = found.frame.height
    if used.groups is not None:
        groups = found.frame[used.groups]
    elif groups is not None:
        groups = series_of(groups, "groups")
        if len(groups) != n_rows:
            raise ValueError(f"groups holds {len(groups)} values; there are {n_rows} rows")
    return _Part(found.frame, y, groups, found.own, np.arange(1, n_rows + 1), found.what)


def _like(found: Given, tests: Given, used: Used) -> Given:
    """Test rows, once it is seen that their columns are those of the table."""
    if (found.y is None) != (tests.y is None) or (found.own is None) != (tests.own is None):
        raise ValueError("test is of another kind than source; it must come as source does")
    if found.is_array and tests.frame.width != found.frame.width:
        raise ValueError(
            f"test has {tests.frame.width} columns; the training rows have {found.frame.width}"
        )
    there, what = tests.frame.columns, tests.what if tests.name else "test"
    wanted = [*used.features, *([] if used.target is None else [used.target])]
    if lacking := [name for name in wanted if name not in there]:
        raise ValueError(f"{what} has no column {listed(map(repr, lacking))}, which the table has")
    if more := [name for name in there if name not in found.frame.columns]:
        raise ValueError(f"{what} has a column {listed(map(repr, more))}, which the table has not")
    return tests._replace(what=what)


def _labelled(part: _Part, codes: ndarray) -> tuple[_Part, ndarray, list[str]]:
    """The rows that have a label, with these, and a notice of the others."""
    has_label = codes >= 0
    if has_label.all():
        return part, codes, []
    count = len(codes) - np.count_nonzero(has_label)
    have, are = ("has", "is") if count == 1 else ("have", "are")
    notice = f"{count} of {len(codes)} rows of {part.what} {have} no label and {are} left out"
    return part.taken(np.flatnonzero(has_label)), codes[has_label], [notice]


def _groups(values: pl.Series, options: Options) -> Labels:
    what = f"groups {options.groups!r}" if isinstance(options.groups, str) else "groups"
    groups = labels_of(values, what)
    if n_missing := np.count_nonzero(groups.codes < 0):
        raise ValueError(
            f"{what}: {n_missing} row{'s have' if n_missing > 1 else ' has'} no group; fill it in, "
            "or leave the rows out"
        )
    if len(groups.names) < 2:
        raise ValueError(
            f"{what} holds only {listed(map(repr, groups.names))}; a split needs two groups"
        )
    return groups


def _preparation(
    columns: Sequence[Column],
    train: _Part,
    test: _Part | None,
    options: Options,
    is_array: bool,
    codes: ndarray,
    name: str,
) -> Any:
    try:
        if options.prepare is None:
            return Preparation(columns, len(train.rows))
        rows = _own_rows(train, test, [column.name for column in columns], is_array)
        return OwnPreparation(options.prepare, rows, len(train.rows), codes)
    except ValueError as error:
        raise ValueError(f"data set {name!r}: {error}") from error


def _own_rows(train: _Part, test: _Part | None, features: list[str], is_array: bool) -> Any:
    """The rows in what the user brought them in: a transformer is told columns by their names."""
    parts = [train] if test is None else [train, test]
    if train.own is not None:
        return _pandas_rows([part.own for part in parts], features)
    try:
        rows = pl.concat([part.frame.select(features) for part in parts], how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise ValueError(
            f"test has columns of other types than the table: {one_line(error)}"
        ) from error
    return rows.to_numpy() if is_array else rows


def _pandas_rows(frames: Sequence[Any], features: Sequence[str]) -> Any:
    columns = frames[0].columns
    places = {str(name): place for place, name in enumerate(columns)}
    wanted = columns[[places[name] for name in features]]
    if len(frames) == 1:
        return frames[0][wanted]
    # Its library is known by its frames; a class derived from them may be of anywhere.
    homes = (kind.__module__.partition(".")[0] for kind in type(frames[0]).__mro__)
    library: Any = next(
        module for home in homes if hasattr(module := importlib.import_module(home), "concat")
    )
    return library.concat([frame[wanted] for frame in frames], ignore_index=True)


def _as_columns(train: _Part, test: _Part | None, features: list[str]) -> list[Column]:
    columns = []
    for name in features:
        what = f"column {name!r}"
        values = plain(train.frame[name], what)
        _check_finite(values, what, train)
        if test is not None:
            others = plain(test.frame[name], what)
            _check_finite(others, what, test)
            if others.dtype != values.dtype:
                # One that is all missing is of any kind.
                if others.null_count() == len(others):
                    others = others.cast(values.dtype)
                elif values.null_count() == len(values):
                    values = values.cast(others.dtype)
                else:
                    numbers_first = others.dtype == pl.Float64
                    kinds = ("numbers", "words") if numbers_first else ("words", "numbers")
                    raise ValueError(
                        f"{what} holds {kinds[0]} in the test rows and {kinds[1]} in the training "
                        "rows; it must be of one kind"
                    )
            values = pl.concat([values, others])
        columns.append(column_of(name, values, len(train.rows)))
    return columns


def _check_finite(values: pl.Series, what: str, part: _Part) -> None:
    if values.dtype != pl.Float64:
        return
    infinite = values.is_infinite().fill_null(False)
    if infinite.any():
        place = infinite.arg_max()
        assert place is not None
        raise ValueError(
            f"{what} holds {values[place]} at row {part.rows[place]} of {part.what}; it must be "
            "finite numbers, or missing"
        )


def _class_names(labels: Labels, found: Given, options: Options) -> tuple[str, ...]:
    if options.class_names is not None:
        names = tuple(map(str, options.class_names))
        if len(names) != len(labels.names):
            raise ValueError(
                f"class_names holds {len(names)}; y has {len(labels.names)} different labels: "
                f"{listed(map(repr, labels.names))}"
            )
        if len(set(names)) < len(names) or "" in names:
            raise ValueError(f"class_names is {short(names)}; each class needs a name of its own")
        return names
    if found.class_names is not None:  # of labels that are numbers of names, as Bunches have them
        known = list(map(str, found.class_names))
        numbers = {str(number): name for number, name in enumerate(known)}
        if set(labels.names) <= set(numbers) and len(set(known)) == len(known):
            return tuple(numbers[name] for name in labels.names)
    return labels.names


def _digest(
    columns: Sequence[Column],
    labels: Labels,
    groups: Labels | None,
    trainable: int,
) -> str:
    head = {
        "columns": [(column.name, column.kind, column.categories) for column in columns],
        "classes": labels.names,
        "rows": [len(labels.codes), trainable],
        "groups": None if groups is None else len(groups.names),
    }
    digest = hashlib.blake2b(json.dumps(head).encode(), digest_size=12)
    for column in columns:
        values = column.values + 0.0  # one zero, not two
        values[np.isnan(values)] = np.nan  # and one of the many NaNs
        digest.update(values.astype("<f8", copy=False).tobytes())
    for part in (labels, groups):
        if part is not None:
            digest.update(part.codes.astype("<i8", copy=False).tobytes())
    return digest.hexdigest()
