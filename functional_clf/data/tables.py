"""Tables of a user's own: one fixed data set, prepared by what each training part tells."""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from functional_clf.data import splits
from functional_clf.data.contents import Contents, contents_of
from functional_clf.data.dataset import Dataset, Parts, Sample, floating_dtype
from functional_clf.data.own_preparation import rows_of
from functional_clf.data.selection import Options
from functional_clf.data.sources import Given, given, of_arrays
from functional_clf.data.splits import Split
from functional_clf.support.arguments import name_text, short
from functional_clf.support.forks import use_threads


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
        if (groups := self.contents.groups) is not None:
            try:
                return splits.group_sizes(groups.codes, test_size)
            except ValueError:  # which names a group by its number
                return splits.group_sizes(np.array(groups.names)[groups.codes], test_size)
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
        if (groups := self.contents.groups) is not None:
            return splits.group_split(groups.codes, test_size, seed)
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

    def raw_parts(self, rows: Split) -> tuple[Any, Any]:
        """Both parts of a split as they were brought, for who prepares them by themselves.

        Columns that say nothing are left out, and what is no feature.

        Args:
            rows: from `split`.

        Returns:
            Rows of the training and of the test part: a data frame of the kind that was brought, or
            an array, `(row, column)`.
        """
        train, test = (rows_of(self._brought, part) for part in rows)
        return train, test

    @functools.cached_property
    def _brought(self) -> Any:
        return self.contents.brought(self.contents.columns)

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
        # Who makes it again has the usual preparation, unless "prepare", their argument, is here.
        prepared = (
            {"preparation": self.contents.preparation.settings}
            if self.is_own
            else {"prepare": self._prepare, "code": self.contents.preparation.code()}
        )
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
            **prepared,
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
    options = Options(target, drop, groups, stratify, split_column, prepare)
    return _made(found, tests, options, found.name or "table" if name is None else name)


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
    if isinstance(groups, str):
        raise TypeError(f"groups is {groups!r}; it must be one value a row")
    options = Options(groups=groups, stratify=stratify, prepare=prepare, class_names=class_names)
    return _made(of_arrays(x, y, feature_names), tests, options, name)


def _made(found: Given, tests: Given | None, options: Options, name: str) -> Table:
    name = name_text("a data set", name)
    contents = contents_of(found, tests, options, name)
    return Table(
        name,
        len(contents.labels),
        lambda seed: (contents.raw, contents.labels),
        is_fixed=True,
        n_classes=len(contents.class_names),
        kind="table",
        contents=contents,
    )


def _as_rows(points: ndarray, rows: Any) -> Any:
    """Points in the form of the rows that a transformer was fitted to."""
    if isinstance(rows, pl.DataFrame):
        if not all(dtype.is_numeric() for dtype in rows.dtypes):
            raise ValueError("points can be prepared only where all columns are numbers")
        return pl.DataFrame(np.asarray(points, np.float64), schema=rows.columns, orient="row")
    return type(rows)(points, columns=rows.columns) if hasattr(rows, "iloc") else points
