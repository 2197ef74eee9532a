"""The preparation of a table's rows, fitted on the training part of each split alone."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from functional_clf.core.user_code import ONE_AT_A_TIME
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
    """Numbers standardised, categories one-hot, by scikit-learn's transformers.

    One `ColumnTransformer` is fitted on each training part:

    - Numbers: `SimpleImputer(strategy="median")` and `StandardScaler`, with a `MissingIndicator`,
      of 0 and 1, for a column of which values are missing.
    - Categories: `OneHotEncoder(min_frequency=max(5, 1 % of the training rows),
      handle_unknown="infrequent_if_exist")` of their codes; missing is a category like any other.

    It makes another number of features of each split, and a model needs one. So each goes to its
    place in the layout of the table, and what a training part lacks is 0.

    A feature that is constant in the training part is 0 in both parts: it says nothing there, and
    a weight that nothing has trained never meets a value. Numbers are constant where
    `StandardScaler` takes them for that and does not scale them: where their deviation drowns in
    the rounding of their mean (below about `n_rows * 2e-16` of it), or its square is 0 (below
    about 1e-162).

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
        self._groups = _Groups(tuple(layout.kept.values()))
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

    def fitted(self, train_rows: RowNumbers, y: ndarray | None) -> Callable[[Points], Features]:
        """What prepares any rows by what the training rows tell.

        Args:
            train_rows: row numbers, all of them trainable.
            y: labels; not used here.

        Returns:
            A function of rows `(m, kept column)`, as in `raw`, to features `(m, n_features)`. It
            raises ValueError when a value is too far from the training rows.

        Raises:
            ValueError: when there are no training rows, or some may not be trained on, or their
                numbers are too large.
        """
        del y
        fit, _ = self._fit(train_rows)

        def prepare(points: Points) -> Features:
            if points.ndim != 2 or points.shape[1] != len(self.column_names):
                raise ValueError(
                    f"the points have shape {points.shape}; it must be (point, "
                    f"{len(self.column_names)} columns)"
                )
            return fit(points)

        return prepare

    def parts(
        self, train_rows: RowNumbers, test_rows: RowNumbers, y: ndarray | None
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
        fit, x_train = self._fit(train_rows)
        return x_train, fit(self.raw[test_rows])

    def _fit(self, train_rows: RowNumbers) -> tuple["_Fit", Features]:
        check_train_rows(train_rows, self._trainable)
        fit = _Fit(self.column_names, self._groups)
        return fit, fit.learn(self.raw[train_rows])


class _Groups:
    """The columns that each transformer takes, and the places of their features."""

    def __init__(self, layouts: Sequence[NumberLayout | CategoryLayout]) -> None:
        widths = [len(layout.feature_names) for layout in layouts]
        self.firsts = [0, *itertools.accumulate(widths)]
        numbers = {
            column: layout
            for column, layout in enumerate(layouts)
            if isinstance(layout, NumberLayout)
        }
        self.categories = {
            column: layout
            for column, layout in enumerate(layouts)
            if isinstance(layout, CategoryLayout)
        }
        self.values = [column for column, layout in numbers.items() if layout.has_value]
        self.gaps = [column for column, layout in numbers.items() if layout.has_indicator]
        # An indicator is the last feature of its column.
        self.value_places = [self.firsts[column] for column in self.values]
        self.gap_places = [self.firsts[column + 1] - 1 for column in self.gaps]

    def known(self, points: Points) -> Points:
        """Points of which all codes are known to the encoder, which may warn of others."""
        if not self.categories:
            return points
        points, columns = points.copy(), [*self.categories]
        of_none = [layout.codes[-2] for layout in self.categories.values()]
        points[:, columns] = np.minimum(points[:, columns], of_none)
        return points


class _Fit:
    """A `ColumnTransformer` for a training part, and the places of what it makes."""

    def __init__(self, names: Sequence[str], groups: _Groups) -> None:
        self._names, self._groups = names, groups

    def learn(self, train: Points) -> Features:
        """Fit on the training rows, and give their features.

        Raises:
            ValueError: when a column's numbers are too large.
        """
        groups = self._groups
        known = train[:, groups.values]
        # Of numbers that are all missing the extremes are NaN.
        self._lows, self._highs = np.fmin.reduce(known), np.fmax.reduce(known)
        self._transformer = _transformer_of(groups, len(train))
        outcome = _plainly(self._transformer.fit_transform, train)
        self._places = [*groups.value_places, *groups.gap_places, *self._category_places()]
        self._varies = np.ones(groups.firsts[-1], bool)
        if groups.values:
            scaler = self._transformer.named_transformers_["value"][-1]
            self._check_sizes(scaler.var_)
            # Else the scale is 1, as for a constant.
            self._varies[groups.value_places] = scaler.scale_ == np.sqrt(scaler.var_)
        x_train = self._placed(outcome)
        self._varies &= x_train.min(0) < x_train.max(0)
        x_train[:, ~self._varies] = 0
        return x_train

    def __call__(self, points: Points) -> Features:
        """The features of any rows.

        Raises:
            ValueError: when a value is too far from the training rows.
        """
        if not len(points):  # which scikit-learn refuses
            return np.zeros((0, len(self._varies)))
        x = self._placed(_plainly(self._transformer.transform, self._groups.known(points)))
        if not np.isfinite(x).all():
            row, feature = np.argwhere(~np.isfinite(x))[0]
            number = self._groups.value_places.index(feature)
            column = self._groups.values[number]
            raise ValueError(
                f"column {self._names[column]!r} holds {points[row, column]:g}, too far from its "
                f"training rows, {self._range(number)}"
            )
        return x

    def _category_places(self) -> list[int]:
        """Of a column's frequent categories in the order of their codes, then of all others."""
        categories = self._groups.categories
        if not categories:
            return []
        encoder = self._transformer.named_transformers_["category"]
        places = []
        for (column, layout), codes, rare in zip(
            categories.items(), encoder.categories_, encoder.infrequent_categories_, strict=True
        ):
            slots = np.delete(layout.slots, np.searchsorted(codes, rare))
            places += (self._groups.firsts[column] + np.append(slots, layout.rare)).tolist()
        return places

    def _check_sizes(self, variances: Float[ndarray, " value"]) -> None:
        wrong = ~np.isfinite(variances) & (self._lows < self._highs)
        if wrong.any():
            number = int(wrong.argmax())
            raise ValueError(
                f"column {self._names[self._groups.values[number]]!r} holds numbers too large to "
                f"be standardised in its training rows, {self._range(number)}"
            )

    def _range(self, number: int) -> str:
        low, high = self._lows[number], self._highs[number]
        return f"which lie between {low:g} and {high:g}; take its logarithm, or leave it out"

    def _placed(self, outcome: Float[ndarray, "row output"]) -> Features:
        placed = np.zeros((len(self._varies), len(outcome)))  # rows along memory, as models take
        for place, values in zip(self._places, outcome.T, strict=True):
            if self._varies[place]:
                # A small training part has more frequent categories than the layout, all rare ones.
                placed[place] += values
        return placed.T


def _transformer_of(groups: _Groups, n_train: int) -> Any:
    """What is to be fitted; of its parts, those without columns are skipped."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    # A column may be all missing in a training part.
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    codes: Any = [layout.codes for layout in groups.categories.values()]
    encoder = OneHotEncoder(
        categories=codes,
        min_frequency=least_frequent(n_train),
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    )
    return ColumnTransformer(
        [
            ("value", make_pipeline(imputer, StandardScaler()), groups.values),
            ("missing", MissingIndicator(features="all", error_on_new=False), groups.gaps),
            ("category", encoder, [*groups.categories]),
        ]
    )


def _plainly(transform: Callable[[Points], Any], points: Points) -> Float[ndarray, "row output"]:
    """An array, without a warning; what is not finite is for the caller to tell."""
    from sklearn import config_context

    # scikit-learn runs the parts of a `ColumnTransformer` under `warnings.catch_warnings`, which
    # replaces what all threads share.
    with (
        ONE_AT_A_TIME,
        np.errstate(all="ignore"),
        config_context(
            assume_finite=True, skip_parameter_validation=True, transform_output="default"
        ),
    ):
        return transform(points)


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
