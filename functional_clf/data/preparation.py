"""The preparation of a table's rows, fitted on the training part of each split alone."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from functional_clf.data.layout import (
    LEAST_ROWS,
    CategoryLayout,
    Column,
    NumberLayout,
    layout_of,
    least_frequent,
)
from functional_clf.data.own_preparation import OwnPreparation
from functional_clf.data.trainable import (
    Features,
    RowNumbers,
    check_train_rows,
    checked_trainable,
)

__all__ = ["Column", "OwnPreparation", "Preparation"]

Points = Float[ndarray, "row column"]


class Preparation:
    """Numbers standardised, categories one-hot: what scikit-learn's transformers make of a table.

    - Numbers: as `SimpleImputer(strategy="median")` and `StandardScaler`, with an indicator of 0
      and 1, as `MissingIndicator`, for a column of which values are missing.
    - Categories: as `OneHotEncoder(min_frequency=max(5, 1 % of the training rows),
      handle_unknown="infrequent_if_exist")`; missing is a category like any other.
    - A feature that is constant in the training part is 0 in both parts: it says nothing there, and
      a weight that nothing has trained never meets a value.

    It is written out here, as the transformers take about three times the time and half as much
    memory again, and make another number of features of each split.

    Args:
        columns: of one length, with different names.
        trainable: rows, from the first, that may be trained on; None for all.

    Attributes:
        raw: `(row, kept column)` float64, which every split indexes.
        column_names: of the kept columns.
        feature_names: of the prepared features.
        n_features: how many there are, in every split.
        dropped: column names, and why each says nothing.
        is_plane: whether the table is points of a plane: two number columns, nothing missing.
        settings: how it prepares, as plain values.

    Raises:
        ValueError: when names or lengths do not fit, or no column says anything.

    Example:
        >>> size = Column("size", "number", np.array([1.0, 3.0, np.nan, 2.0]))
        >>> preparation = Preparation([size])
        >>> preparation.feature_names
        ('size', 'size: missing')
        >>> y, rows = np.array([0, 1, 0, 1]), np.array([0, 1])  # of mean 2 and deviation 1
        >>> preparation.fitted(rows, y)(preparation.raw)
        array([[-1.,  0.],
               [ 1.,  0.],
               [ 0.,  0.],
               [ 0.,  0.]])
    """

    def __init__(self, columns: Sequence[Column], trainable: int | None = None) -> None:
        n_rows = _check_columns(columns)
        self._trainable = checked_trainable(trainable, n_rows)
        layout = layout_of(columns, self._trainable)
        kept = [column for column in columns if column.name in layout.kept]
        if not kept:
            reasons = ", ".join(f"{name!r} ({why})" for name, why in [*layout.dropped.items()][:5])
            raise ValueError(f"no column tells one row from another: {reasons}")
        # Columns run along memory, as they are prepared one after another.
        self.raw = np.empty((n_rows, len(kept)), order="F")
        for number, column in enumerate(kept):
            self.raw[:, number] = column.values
        self._layouts = tuple(layout.kept.values())
        self.column_names = tuple(column.name for column in kept)
        self.feature_names = layout.feature_names
        self.n_features = len(self.feature_names)
        self.dropped = layout.dropped
        are_numbers = all(column.kind == "number" for column in kept)
        self.is_plane = len(kept) == 2 and are_numbers and not np.isnan(self.raw).any()
        self.settings: dict[str, Any] = {
            "numbers": "median for missing, standardised",
            "categories": "one-hot",
            "rare_below_rows": LEAST_ROWS,
            "rare_below_share": 0.01,
        }

    def fitted(self, train_rows: RowNumbers, y: ndarray) -> Callable[[Points], Features]:
        """What prepares any rows by what the training rows tell.

        Args:
            train_rows: row numbers, all of them trainable.
            y: labels; not used here.

        Returns:
            A function of rows `(m, kept column)`, as in `raw`, to features `(m, n_features)`. It
            raises ValueError when a value is too far from the training rows.

        Raises:
            ValueError: when there are no training rows, or some may not be trained on.
        """
        del y
        fits = self._fits(train_rows)

        def prepare(points: Points) -> Features:
            if points.ndim != 2 or points.shape[1] != len(self._layouts):
                raise ValueError(
                    f"the points have shape {points.shape}; it must be (point, "
                    f"{len(self._layouts)} columns)"
                )
            return self._placed(fits, points, slice(None))

        return prepare

    def parts(
        self, train_rows: RowNumbers, test_rows: RowNumbers, y: ndarray
    ) -> tuple[Features, Features]:
        """Both parts of a split, prepared by what its training rows tell.

        Args:
            train_rows: row numbers, all of them trainable.
            test_rows: row numbers.
            y: labels; not used here.

        Returns:
            Features `(row, n_features)` of the training and of the test rows, float64.

        Raises:
            ValueError: as `fitted` and the function that it returns.
        """
        del y
        fits = self._fits(train_rows)
        return self._placed(fits, self.raw, train_rows), self._placed(fits, self.raw, test_rows)

    def _fits(self, train_rows: RowNumbers) -> list["_Fit"]:
        check_train_rows(train_rows, self._trainable)
        return [
            _fit_of(layout, self.raw[train_rows, number])
            for number, layout in enumerate(self._layouts)
        ]

    def _placed(self, fits: list["_Fit"], points: Points, rows: RowNumbers | slice) -> Features:
        n_rows = len(points) if isinstance(rows, slice) else len(rows)
        placed = np.zeros((self.n_features, n_rows))  # rows along memory, as models take them
        first = 0
        for number, (layout, fit) in enumerate(zip(self._layouts, fits, strict=True)):
            width = len(layout.feature_names)
            fit(points[rows, number], placed[first : first + width])
            first += width
        return placed.T


_Fit = Callable[[Float[ndarray, " row"], Float[ndarray, "feature row"]], None]
"""Writes the features of a column's values over zeros."""


def _fit_of(layout: NumberLayout | CategoryLayout, train: Float[ndarray, " row"]) -> _Fit:
    if isinstance(layout, NumberLayout):
        return _fit_number(layout, train)
    return _fit_category(layout, train)


class _Scale(NamedTuple):
    """Standardises numbers of any size: by a power of two into the range of 1, centred, then so.

    The square of a large number would overflow, that of a small one vanish, and a spread that is
    small beside the offset would drown in the rounding of the mean.
    """

    factor: float
    centre: float
    mean: float
    deviation: float

    def __call__(self, values: ndarray) -> ndarray:
        scaled = _in_range(values, self.factor, self.centre)
        scaled -= self.mean
        scaled /= self.deviation
        return scaled


def _fit_number(layout: NumberLayout, train: Float[ndarray, " row"]) -> _Fit:
    is_missing = np.isnan(train)
    n_missing = np.count_nonzero(is_missing)
    indicates = layout.has_indicator and 0 < n_missing < len(train)
    # Of numbers that are all missing the extremes are NaN, and not ordered.
    low, high = float(np.fmin.reduce(train)), float(np.fmax.reduce(train))
    scale, median = None, 0.0
    if layout.has_value and low < high:
        half_range = max(high / 2 - low / 2, np.finfo(float).smallest_normal)
        factor = float(2.0 ** -np.frexp(half_range)[1])
        centre = (low / 2 + high / 2) * factor
        scaled = _in_range(train, factor, centre)
        median = float(np.median(scaled[~is_missing] if n_missing else scaled))
        scaled[is_missing] = median
        scale = _Scale(factor, centre, float(scaled.mean()), float(scaled.std()))
        median = (median - scale.mean) / scale.deviation

    def place(values: ndarray, out: ndarray) -> None:
        is_missing = np.isnan(values)
        if scale is not None:
            with np.errstate(over="ignore", invalid="ignore"):  # told below
                out[0] = scale(values)
            out[0][is_missing] = median
            if not np.isfinite(out[0]).all():
                value = values[int(np.argmin(np.isfinite(out[0])))]
                raise ValueError(
                    f"column {layout.name!r} holds {value:g}, too far from its training rows, "
                    f"which lie between {low:g} and {high:g}; take its logarithm, or leave it out"
                )
        if indicates:
            out[-1] = is_missing

    return place


def _in_range(values: ndarray, factor: float, centre: float) -> ndarray:
    scaled = values * factor
    scaled -= centre
    return scaled


def _fit_category(layout: CategoryLayout, train: Float[ndarray, " row"]) -> _Fit:
    n_slots = len(layout.feature_names)
    counts = np.bincount(layout.slots_of(train), minlength=n_slots)
    is_frequent = counts >= least_frequent(len(train))
    slot_of = np.where(is_frequent, np.arange(n_slots), layout.rare)
    counts = np.bincount(slot_of, counts, n_slots)
    varies = (counts > 0) & (counts < len(train))

    def place(values: ndarray, out: ndarray) -> None:
        slots = slot_of[layout.slots_of(values)]
        rows = np.flatnonzero(varies[slots])
        out[slots[rows], rows] = 1

    return place


def _check_columns(columns: Sequence[Column]) -> int:
    if not columns:
        raise ValueError("the table has no columns")
    names, n_rows = set(), len(columns[0].values)
    for column in columns:
        if column.name in names:
            raise ValueError(f"two columns are called {column.name!r}; give them different names")
        names.add(column.name)
        if len(column.values) != n_rows:
            raise ValueError(
                f"column {column.name!r} has {len(column.values)} rows, and "
                f"{columns[0].name!r} has {n_rows}"
            )
    return n_rows
