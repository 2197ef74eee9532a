"""Tables of a user's own: one fixed data set, prepared by what each training part tells."""

import difflib
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from numpy import ndarray

from functional_clf.data import splits
from functional_clf.data.columns import column_of, plain, series_of
from functional_clf.data.dataset import Dataset, Parts, Sample, floating_dtype
from functional_clf.data.labels import Labels, check_classes, labels_among, labels_of
from functional_clf.data.preparation import Column, OwnPreparation, Preparation
from functional_clf.data.sources import Given, given, of_arrays
from functional_clf.data.splits import Split
from functional_clf.support.arguments import short
from functional_clf.support.forks import use_threads

SHOWN = 5
"""So many names stand in a message before "and 3 more"."""


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
        groups: `(row,)` numbers of groups, whose rows stay together; None where there are none.
        stratify: whether splits keep the shares of the classes.
        n_own_test: rows at the end that are always the test rows; 0 where splits are drawn.
        digest: of all that determines results.
        notices: what a user should know, a line each.
        dropped: columns that say nothing, and why.
        is_own: whether the rows are prepared by this package.
        described: the rest of what `describe` tells.
    """

    raw: Float[ndarray, "row column"]
    columns: tuple[str, ...]
    labels: Int[ndarray, " row"]
    class_names: tuple[str, ...]
    preparation: Any
    groups: Int[ndarray, " row"] | None
    stratify: bool
    n_own_test: int
    digest: str
    notices: tuple[str, ...]
    dropped: dict[str, str]
    is_own: bool
    described: dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Table(Dataset):
    """A table: one fixed data set; `table` and `from_arrays` make it.

    Args:
        contents: its rows, checked.
    """

    contents: Contents = field(kw_only=True)

    def sample(self, seed: int) -> Sample:
        """All rows, raw: the same arrays whatever the seed.

        Args:
            seed: decides nothing here.

        Returns:
            x `(row, column)` in float64, NaN where missing, categories as codes; y class numbers
            in torch's default floating-point type. They cannot be written to.
        """
        del seed
        return self._samples(floating_dtype())

    def _samples(self, dtype: np.dtype) -> Sample:
        if dtype not in self._held:
            y = self.contents.labels.astype(dtype)
            y.flags.writeable = False
            self._held[dtype] = Sample(self.contents.raw, y)
        return self._held[dtype]

    @functools.cached_property
    def _held(self) -> dict[np.dtype, Sample]:
        return {}

    @property
    def n_features(self) -> int:
        """How many numbers a model is given of a row."""
        return self.contents.preparation.n_features

    @property
    def class_names(self) -> tuple[str, ...]:
        """What its classes are called, in the order of their numbers."""
        return self.contents.class_names

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What its columns are called, as `sample` gives them."""
        return self.contents.columns

    @property
    def prepared_names(self) -> tuple[str, ...]:
        """What the features are called that a model is given."""
        return tuple(self.contents.preparation.feature_names)

    @property
    def dropped(self) -> dict[str, str]:
        """Columns that say nothing, and why."""
        return dict(self.contents.dropped)

    @property
    def is_table(self) -> bool:
        """Whether it is a table, whose rows are prepared by what a training part tells."""
        return True

    @property
    def is_plane(self) -> bool:
        """Whether its rows are points of a plane."""
        return bool(self.contents.preparation.is_plane)

    @property
    def is_own(self) -> bool:
        """Whether all that is done to the rows is this package's doing."""
        return self.contents.is_own

    @property
    def has_own_test(self) -> bool:
        """Whether the test rows are given apart, so that no split is drawn."""
        return self.contents.n_own_test > 0

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know of it, a line each."""
        return self.contents.notices

    def sizes(self, test_size: float) -> tuple[int, int]:
        """`(n_train, n_test)`, the same in every split.

        Args:
            test_size: share of the rows held out for testing, in (0, 1); without a meaning where
                the test rows are given apart.

        Raises:
            ValueError: when it is outside (0, 1) or leaves a part without a row, a group or, where
                splits keep their shares, a class.
        """
        if self.has_own_test:
            n_test = self.contents.n_own_test
            return self.n_samples - n_test, n_test
        if self.contents.groups is not None:
            return splits.group_sizes(self.contents.groups, test_size)
        n_train, n_test = splits.split_sizes(self.n_samples, test_size)
        if self.contents.stratify and min(n_train, n_test) < self.n_classes:
            raise ValueError(
                f"test_size is {test_size}; of {self.n_samples} rows it leaves {n_train} to train "
                f"on and {n_test} to test on, too few for {self.n_classes} classes in both (or "
                "stratify=False)"
            )
        return n_train, n_test

    def split(self, test_size: float, seed: int) -> Split:
        """A split of its rows, which the seed fixes: whole groups, or with the classes' shares.

        Args:
            test_size: share of the rows held out for testing, in (0, 1).
            seed: random state, 0 to 2**32 - 1; without a meaning where the test rows are given
                apart.

        Raises:
            ValueError: as `sizes`.
        """
        n_train, _ = self.sizes(test_size)
        if self.has_own_test:
            return Split(np.arange(n_train), np.arange(n_train, self.n_samples))
        if self.contents.groups is not None:
            return splits.group_split(self.contents.groups, test_size, seed)
        if self.contents.stratify:
            return splits.stratified_split(self.contents.labels, test_size, seed)
        return splits.split(self.n_samples, test_size, seed)

    def prepared(self, drawn: Sample, rows: Split) -> Parts:
        """Both parts of a split as models are given them, by what the training rows tell.

        Args:
            drawn: from `sample`.
            rows: from `split`.

        Returns:
            Samples in torch's default floating-point type, of `n_features` each.

        Raises:
            ValueError: when a transformer of the user's fails, or a feature is not finite in this
                type.
        """
        try:
            found = self.contents.preparation.parts(rows.train, rows.test, self.contents.labels)
        except ValueError as error:
            raise ValueError(f"data set {self.name!r}: {error}") from error
        return Parts(
            *(Sample(self._cast(x), drawn.y[part]) for x, part in zip(found, rows, strict=True))
        )

    def prepared_points(self, points: ndarray, rows: Split) -> ndarray:
        """Any points as models are given them that were trained on a split.

        Args:
            points: `(point, column)`, in the units of what `sample` draws.
            rows: from `split`.

        Returns:
            `(point, n_features)`, in torch's default floating-point type.

        Raises:
            ValueError: as `prepared`.
        """
        preparation = self.contents.preparation
        like = points if self.contents.is_own else _as_rows(points, preparation.raw)
        return self._cast(preparation.fitted(rows.train, self.contents.labels)(like))

    def describe(self) -> dict[str, Any]:
        """What identifies this table, as plain values: whichever file or frame it came from.

        Raises:
            ValueError: as `prepared`.
        """
        return {
            "kind": self.kind,
            "name": self.name,
            "n_samples": self.n_samples,
            "n_classes": self.n_classes,
            "is_fixed": self.is_fixed,
            "content": self.contents.digest,
            "columns": list(self.contents.columns),
            "classes": list(self.class_names),
            "stratify": self.contents.stratify,
            "own_test": self.has_own_test,
            **self.contents.described,
            "prepare": None if self.is_own else self._prepare,
        }

    @functools.cached_property
    def _prepare(self) -> dict[str, Any]:
        """A transformer of the user's, and what it makes of the rows that may be trained on."""
        preparation = self.contents.preparation
        n_train = self.n_samples - self.contents.n_own_test
        rows, every = np.arange(n_train), np.arange(self.n_samples)
        found = preparation.parts(rows, every, self.contents.labels)
        digest = hashlib.blake2b(digest_size=12)
        for part in found:
            digest.update(np.ascontiguousarray(part, np.float32).tobytes())
        return {**preparation.settings, "outcome": digest.hexdigest()}

    def _cast(self, x: Float[ndarray, "row feature"]) -> Float[ndarray, "row feature"]:
        dtype = floating_dtype()
        with np.errstate(over="ignore"):  # told below
            cast = x.astype(dtype)
        if not np.isfinite(cast).all():
            row, feature = np.argwhere(~np.isfinite(cast))[0]
            raise ValueError(
                f"data set {self.name!r}: feature {self.prepared_names[feature]!r} is "
                f"{x[row, feature]:g} once prepared, beyond the range of {dtype.name}; take its "
                "logarithm, or leave it out"
            )
        return cast

    def __str__(self) -> str:
        """With its size: `patients(569 rows, 30 columns)`."""
        count = len(self.contents.columns)
        return f"{self.name}({self.n_samples} rows, {count} column{'s' if count > 1 else ''})"

    __repr__ = __str__


def table(
    source: Any,
    target: str | None = None,
    *,
    drop: Iterable[str] = (),
    groups: Any = None,
    stratify: bool | None = None,
    test: Any = None,
    split_column: str | None = None,
    prepare: Any = None,
    name: str | None = None,
) -> Table:
    """A data set out of a table: a file, a data frame, (X, y) or a Bunch of scikit-learn.

    Numbers are standardised and categories one-hot, by what each training part tells; missing
    values are welcome. It is one fixed data set: splits of it are redrawn, not the data.

    Args:
        source: the path of a .csv, .tsv, .parquet, .arrow, .feather or .ipc file, a data frame of
            polars or pandas, (X, y), or a Bunch.
        target: the column of labels, of any type; None where labels come apart.
        drop: columns that are no features.
        groups: the column whose rows of one value stay on one side of each split, such as
            patients; or its values `(row,)`. It is no feature.
        stratify: whether each split keeps the shares of the classes; None for yes, unless there
            are groups or test rows of their own.
        test: rows that are always the test rows: the same kind of thing as `source`.
        split_column: the column that says "train" or "test" of each row.
        prepare: a transformer of scikit-learn's kind, fitted to each training part, in place of
            the usual preparation.
        name: what tables, pictures and folders call it; None for that of the file.

    Returns:
        The data set.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when the file cannot be read, a column is not there or holds what no model can
            learn from, or arguments contradict each other.

    Example:
        >>> rows = {"age": [31, 47, None, 52], "sex": ["f", "m", "m", "f"], "sick": [0, 1, 0, 1]}
        >>> patients = table(pl.DataFrame(rows), "sick", name="patients")
        >>> print(patients, patients.feature_names, patients.class_names)
        patients(4 rows, 1 column) ('age',) ('0', '1')
        >>> patients.dropped
        {'sex': 'no value is frequent enough'}
    """
    use_threads()
    found = given(source, "source")
    tests = None if test is None else given(test, "test")
    return _made(
        found,
        tests,
        _Options(target, drop, groups, stratify, split_column, prepare),
        name=found.name or "table" if name is None else name,
    )


def from_arrays(
    x: Any,
    y: Any,
    *,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    groups: Any = None,
    stratify: bool | None = None,
    test: tuple[Any, Any] | None = None,
    prepare: Any = None,
    name: str = "arrays",
) -> Table:
    """A data set out of arrays; see `table`.

    Args:
        x: `(row, column)`: numbers, NaN where missing; an array, a tensor, a sparse array, lists.
        y: labels `(row,)` of any type.
        feature_names: of the columns; None for their numbers.
        class_names: of the classes, in the order of the sorted labels; None for the labels.
        groups: `(row,)`: rows of one value stay on one side of each split.
        stratify: whether each split keeps the shares of the classes; None for yes, unless there
            are groups or test rows of their own.
        test: (x, y) of rows that are always the test rows.
        prepare: a transformer of scikit-learn's kind in place of the usual preparation.
        name: what tables, pictures and folders call it.

    Returns:
        The data set.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when no model can learn from it, or arguments contradict each other.

    Example:
        >>> data = from_arrays(np.arange(12.0).reshape(6, 2), ["no", "yes"] * 3)
        >>> print(data, data.class_names, data.sizes(0.3))
        arrays(6 rows, 2 columns) ('no', 'yes') (4, 2)
    """
    use_threads()
    tests = None
    if test is not None:
        if not isinstance(test, tuple) or len(test) != 2:
            raise TypeError(f"test is {short(test)}; it must be (x, y)")
        tests = of_arrays(*test, feature_names)
    return _made(
        of_arrays(x, y, feature_names),
        tests,
        _Options(None, (), groups, stratify, None, prepare, class_names),
        name=name,
    )


class _Options(NamedTuple):
    target: str | None
    drop: Iterable[str]
    groups: Any
    stratify: bool | None
    split_column: str | None
    prepare: Any
    class_names: Sequence[str] | None = None


class _Columns(NamedTuple):
    """What the columns of a table are for."""

    target: str | None
    features: list[str]
    groups: str | None
    split: str | None


class _Part(NamedTuple):
    """The training or the test rows of what was given."""

    frame: pl.DataFrame
    y: pl.Series
    own: Any
    rows: Int[ndarray, " row"]
    what: str

    def taken(self, places: ndarray) -> "_Part":
        """Only these rows."""
        own = None if self.own is None else self.own.iloc[places]
        return _Part(self.frame[places], self.y[places], own, self.rows[places], self.what)


def _made(found: Given, tests: Given | None, options: _Options, name: str) -> Table:
    stratify = options.stratify
    if stratify is not None and not isinstance(stratify, bool | np.bool_):
        raise TypeError(f"stratify is {short(stratify)}; it must be True, False or None")
    used = _columns(found, options)
    has_own_test = tests is not None or used.split is not None
    has_groups = options.groups is not None
    _check_together(options, tests is not None)
    label_name = "y" if used.target is None else f"target {used.target!r}"
    train, test = _parts(found, tests, used)
    groups, notices = _groups(found, options, used), []
    train, n_gone = _labelled(train)
    if n_gone is not None:
        total = len(n_gone)
        notices.append(_left_out(total - len(train.rows), total, label_name))
        groups = None if groups is None else groups.filter(pl.Series(n_gone))
    labels = labels_of(train.y, label_name)
    check_classes(labels, label_name)
    codes = labels.codes
    if test is not None:
        test, n_gone = _labelled(test)
        if n_gone is not None:
            gone = len(n_gone) - len(test.rows)
            notices.append(_left_out(gone, len(n_gone), label_name, "test rows"))
        if not len(test.rows):
            raise ValueError("test holds no row with a label; it needs one at least")
        codes = np.concatenate([codes, labels_among(test.y, labels.names, label_name)])
    columns = _as_columns(train, test, used.features)
    trainable = len(train.rows)
    if options.prepare is None:
        try:
            preparation = Preparation(columns, trainable)
        except ValueError as error:
            raise ValueError(f"data set {name!r}: {error}") from error
        raw = preparation.raw
    else:
        rows = _own_rows(train, test, used.features, found.is_array)
        preparation = OwnPreparation(options.prepare, rows, trainable, codes)
        raw = np.column_stack([column.values for column in columns])
    raw.flags.writeable = False
    kept = [column for column in columns if column.name not in preparation.dropped]
    notices += _noticed(columns, codes, trainable)
    dropped = _dropped(columns, preparation.dropped, trainable)
    if dropped:
        reasons = [f"{column!r} ({why})" for column, why in dropped.items()]
        notices.append(f"columns left out, as they say nothing: {_listed(reasons)}")
    group_codes = None if groups is None else _group_codes(groups, options)
    class_names = _class_names(labels, found, options)
    contents = Contents(
        raw=raw,
        columns=tuple(column.name for column in kept),
        labels=codes,
        class_names=class_names,
        preparation=preparation,
        groups=group_codes,
        stratify=bool(stratify) if stratify is not None else not (has_groups or has_own_test),
        n_own_test=0 if test is None else len(test.rows),
        digest=_digest(kept, codes, labels.names, group_codes, trainable),
        notices=tuple(f"data set {name!r}: {notice}" for notice in notices),
        dropped=dropped,
        is_own=options.prepare is None,
        described={
            "target": used.target,
            "groups": used.groups or ("groups" if has_groups else None),
        },
    )
    return Table(
        name,
        len(codes),
        lambda seed: (raw, codes),
        is_fixed=True,
        n_classes=len(class_names),
        kind="table",
        contents=contents,
    )


# --- What the arguments name


def _columns(found: Given, options: _Options) -> _Columns:
    names = found.frame.columns
    for name in names:
        if not name.strip():
            raise ValueError(f"{found.what}: column {names.index(name) + 1} has no name")
    target = options.target
    if found.y is None and target is None:
        raise ValueError(
            f"target is None; it must name the column to predict, one of {_listed(map(repr, names))}"
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
    return _Columns(named.get("target"), features, named.get("groups"), named.get("split_column"))


def _column(found: Given, argument: str, value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TypeError(f"{argument} is {short(value)}; it must be the name of a column")
    names, name = found.frame.columns, str(value)
    if name in names:
        return name
    folded = {one.casefold(): one for one in reversed(names)}
    near = difflib.get_close_matches(name.casefold(), folded, 1)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"it has {_listed(map(repr, names))}"
    raise ValueError(f"{argument} is {value!r}; {found.what} has no such column ({hint})")


def _check_together(options: _Options, has_test: bool) -> None:
    given_apart = "test" if has_test else "split_column"
    has_own_test = has_test or options.split_column is not None
    if has_test and options.split_column is not None:
        raise ValueError("test and split_column both say which rows are the test rows; give one")
    if has_own_test and options.groups is not None:
        raise ValueError(f"groups keep rows together in splits; with {given_apart} none is drawn")
    if options.stratify and has_own_test:
        raise ValueError(f"stratify is True, but with {given_apart} no split is drawn")
    if options.stratify and options.groups is not None:
        raise ValueError(
            "stratify is True, and groups are given; whole groups cannot be stratified"
        )


# --- Rows


def _parts(found: Given, tests: Given | None, used: _Columns) -> tuple[_Part, _Part | None]:
    train = _part(found, used)
    if tests is not None:
        return train, _part(_like(found, tests, used), used)
    if used.split is None:
        return train, None
    values = found.frame[used.split]
    what = f"split_column {used.split!r}"
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise ValueError(f"{what} holds no words; each row must say 'train' or 'test'")
    side = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    places = []
    known = {"train": ("train", "training"), "test": ("test", "testing")}
    for words in known.values():
        places.append(np.flatnonzero(side.is_in(words).fill_null(False).to_numpy()))
    if len(places[0]) + len(places[1]) < len(side):
        strange = side.filter(~side.is_in(sum(known.values(), ())).fill_null(False))[0]
        held = "missing values" if strange is None else repr(strange)
        raise ValueError(f"{what} holds {held}; each row must say 'train' or 'test'")
    for word, rows in zip(known, places, strict=True):
        if not len(rows):
            raise ValueError(f"{what} says {word!r} of no row; it must hold 'train' and 'test'")
    return train.taken(places[0]), train.taken(places[1])


def _part(found: Given, used: _Columns) -> _Part:
    y = found.frame[used.target] if used.target is not None else found.y
    assert y is not None
    rows = np.arange(1, found.frame.height + 1)
    return _Part(found.frame, y, found.own, rows, found.what)


def _like(found: Given, tests: Given, used: _Columns) -> Given:
    """Test rows, once it is seen that their columns are those of the table."""
    if (found.y is None) != (tests.y is None):
        raise ValueError("test is of another kind than source: labels must be in both, or apart")
    wanted = [*used.features, *([] if used.target is None else [used.target])]
    if found.is_array and tests.frame.width != found.frame.width:
        raise ValueError(f"test has {tests.frame.width} columns; the table has {found.frame.width}")
    if lacking := [name for name in wanted if name not in tests.frame.columns]:
        raise ValueError(f"test lacks the columns {_listed(map(repr, lacking))}")
    if more := [name for name in tests.frame.columns if name not in found.frame.columns]:
        raise ValueError(f"test has columns that the table lacks: {_listed(map(repr, more))}")
    what = "test" if tests.what == "the table" else tests.what
    own = tests.own
    if (own is None) != (found.own is None):
        raise ValueError("test is of another kind than source; both must be frames of one library")
    return tests._replace(what=what)


def _labelled(part: _Part) -> tuple[_Part, ndarray | None]:
    """The rows that have a label, and which these are, unless all are."""
    y = part.y.fill_nan(None) if part.y.dtype.is_float() else part.y
    if y.dtype == pl.String:
        y = y.set((y == "").fill_null(False), None)
    has_label = y.is_not_null().to_numpy()
    if has_label.all() or not has_label.any():  # the latter is told where labels are read
        return part, None
    return part.taken(np.flatnonzero(has_label)), has_label


def _left_out(count: int, total: int, label_name: str, rows: str = "rows") -> str:
    return f"{count} of {total} {rows} have no label ({label_name}) and are left out"


def _groups(found: Given, options: _Options, used: _Columns) -> pl.Series | None:
    if options.groups is None:
        return None
    if used.groups is not None:
        return found.frame[used.groups]
    groups = series_of(options.groups, "groups")
    if len(groups) != found.frame.height:
        raise ValueError(f"groups holds {len(groups)} values; there are {found.frame.height} rows")
    return groups


def _group_codes(groups: pl.Series, options: _Options) -> ndarray:
    what = f"groups {options.groups!r}" if isinstance(options.groups, str) else "groups"
    codes, names = labels_of(groups, what)
    if codes.min() < 0:
        raise ValueError(
            f"{what}: {np.count_nonzero(codes < 0)} rows have no group; fill it in, as a row of its "
            "own group may stand anywhere"
        )
    if len(names) < 2:
        raise ValueError(f"{what} has only one value, {names[0]!r}; a split needs two groups")
    return codes


def _own_rows(train: _Part, test: _Part | None, features: list[str], is_array: bool) -> Any:
    """The rows in what the user brought them in: a transformer is told columns by their names."""
    parts = [train] if test is None else [train, test]
    if train.own is not None:
        places = [list(map(str, train.own.columns)).index(name) for name in features]
        frames = [part.own for part in parts]
        frames[1:] = [frame[train.own.columns[places]] for frame in frames[1:]]
        frames[0] = frames[0].iloc[:, places]
        if test is None:
            return frames[0]
        import importlib

        library = importlib.import_module(type(train.own).__module__.partition(".")[0])
        return library.concat(frames, ignore_index=True)
    rows = pl.concat([part.frame.select(features) for part in parts], how="vertical_relaxed")
    return rows.to_numpy() if is_array else rows


def _as_rows(points: ndarray, rows: Any) -> Any:
    """Points in the form of the rows that a transformer was fitted to."""
    if isinstance(rows, pl.DataFrame):
        if not all(dtype.is_numeric() for dtype in rows.dtypes):
            raise ValueError("points can be prepared only where all columns are numbers")
        return pl.DataFrame(np.asarray(points, np.float64), schema=rows.columns, orient="row")
    return type(rows)(points, columns=rows.columns) if hasattr(rows, "iloc") else points


# --- Columns


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
                    kinds = [
                        "numbers" if one.dtype == pl.Float64 else "words"
                        for one in (others, values)
                    ]
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


def _noticed(columns: Sequence[Column], codes: ndarray, trainable: int) -> list[str]:
    """What may be wrong with the columns, a line each."""
    notices = []
    y = codes[:trainable]
    for column in columns:
        values = column.values[:trainable]
        if _is_renamed(values, y):
            notices.append(
                f"column {column.name!r} is the target by another name: each of its values has "
                f"one label, each label one value; drop it with --drop {column.name}"
            )
        elif column.kind == "category" and (odd := _odd_words(column)):
            notices.append(
                f"column {column.name!r} is taken for words, though all but {_listed(odd)} are "
                "numbers; is this how missing values are written?"
            )
    return notices


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


def _dropped(columns: Sequence[Column], dropped: dict[str, str], trainable: int) -> dict[str, str]:
    reasons = dict(dropped)
    for column in columns:
        values = column.values[:trainable]
        is_identifier = column.kind == "category" and len(column.categories) == trainable
        if column.name in dropped and is_identifier and not np.isnan(values).any():
            reasons[column.name] = "an identifier: another value in each row"
    return reasons


# --- Names and identity


def _class_names(labels: Labels, found: Given, options: _Options) -> tuple[str, ...]:
    if options.class_names is not None:
        names = tuple(map(str, options.class_names))
        if len(names) != len(labels.names):
            raise ValueError(
                f"class_names holds {len(names)}; y has {len(labels.names)} different labels: "
                f"{_listed(map(repr, labels.names))}"
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
    codes: ndarray,
    names: tuple[str, ...],
    groups: ndarray | None,
    trainable: int,
) -> str:
    head = {
        "columns": [(column.name, column.kind, column.categories) for column in columns],
        "classes": names,
        "rows": [len(codes), trainable],
        "has_groups": groups is not None,
    }
    digest = hashlib.blake2b(json.dumps(head).encode(), digest_size=12)
    for column in columns:
        values = column.values + 0.0  # one zero, not two
        values[np.isnan(values)] = np.nan  # and one of the many NaNs
        digest.update(values.astype("<f8", copy=False).tobytes())
    for numbers in (codes, groups):
        if numbers is not None:
            digest.update(numbers.astype("<i8", copy=False).tobytes())
    return digest.hexdigest()


def _listed(texts: Iterable[str]) -> str:
    shown = list(texts)
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more
