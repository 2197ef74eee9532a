"""A preparation of a user's own: a scikit-learn transformer, fitted on each training part alone."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from functional_clf.core.user_code import ONE_AT_A_TIME, UnreadableError, reading_of
from functional_clf.data.trainable import (
    Features,
    RowNumbers,
    check_train_rows,
    checked_trainable,
)
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line


class OwnPreparation:
    """A user's scikit-learn transformer, fitted anew on the training part of each split.

    Its width must be known before a split is drawn, and the same whichever split is drawn first:
    it is learned by a fit on all trainable rows, of which nothing else is kept. A second such fit
    shows whether it depends on chance.

    Args:
        transformer: with `fit`, `transform` and `get_params`; it is cloned, and stays as it is.
        rows: `(row, column)`: a data frame of pandas or polars, or an array.
        trainable: rows, from the first, that may be trained on; None for all.
        y: labels `(row,)`, where they are known by now: then it is tried at once.

    Attributes:
        raw: the rows as given.
        column_names: of the rows.
        dropped: empty.
        is_plane: False.
        settings: the transformer's class and parameters, as text.

    Raises:
        TypeError: when it is no such transformer, or the rows have no such shape.
        ValueError: when y is given, as `parts`.

    Example:
        >>> from sklearn.preprocessing import MinMaxScaler
        >>> table = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 7.0]])
        >>> preparation = OwnPreparation(MinMaxScaler(), table)
        >>> y, train, test = np.array([0, 1, 1]), np.array([0, 1]), np.array([2])
        >>> preparation.parts(train, test, y)[1]
        array([[2., 2.]])
        >>> preparation.feature_names
        ('x0', 'x1')
    """

    def __init__(
        self,
        transformer: Any,
        rows: Any,
        trainable: int | None = None,
        y: ndarray | None = None,
    ) -> None:
        methods = ("fit", "transform", "get_params")
        if isinstance(transformer, type) or not all(hasattr(transformer, one) for one in methods):
            raise TypeError(
                f"prepare is {short(transformer)}; it must be a transformer of scikit-learn's "
                "kind, as in StandardScaler()"
            )
        self.raw = rows if hasattr(rows, "shape") else np.asarray(rows)
        if len(self.raw.shape) != 2:
            raise TypeError(f"the rows have shape {self.raw.shape}; it must be (row, column)")
        n_rows, n_columns = self.raw.shape
        self._trainable = checked_trainable(trainable, n_rows)
        self._transformer = _cloned(transformer)
        self._feature_names: tuple[str, ...] | None = None
        names = getattr(rows, "columns", [f"column {number}" for number in range(n_columns)])
        self.column_names = tuple(map(str, names))
        self.dropped: dict[str, str] = {}
        self.is_plane = False
        kind = type(transformer)
        self.settings: dict[str, Any] = {
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "parameters": _parameters_text(transformer),
        }
        if y is not None:
            self._learn(y)

    def code(self) -> str | None:
        """A digest of the transformer's code and all that it reads; None where that is untold."""
        try:
            unfitted = _cloned(self._transformer)
            return reading_of(unfitted.fit, unfitted.transform).digest
        except UnreadableError:
            return None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the transformer calls its features, else their numbers.

        Raises:
            ValueError: as `parts`; also when no labels were given and it needs some.
        """
        return self._learn(None)

    @property
    def n_features(self) -> int:
        """How many features it makes.

        Raises:
            ValueError: as `feature_names`.
        """
        return len(self.feature_names)

    def fitted(self, train_rows: RowNumbers, y: ndarray | None) -> Callable[[Any], Features]:
        """What prepares any rows by what the training rows tell; these too, as if they were new.

        Args:
            train_rows: row numbers, all of them trainable.
            y: labels `(row,)` of all rows.

        Returns:
            A function of rows, as in `raw`, to features `(m, n_features)`; it raises as `parts`.

        Raises:
            ValueError: as `parts`.
        """
        transformer, _ = self._fit(train_rows, y)

        def prepare(points: Any) -> Features:
            # A copy, as some transformers work in place.
            copy = rows_of(points, np.arange(points.shape[0]))
            return self._transformed(transformer, copy, "points")

        return prepare

    def parts(
        self, train_rows: RowNumbers, test_rows: RowNumbers, y: ndarray | None
    ) -> tuple[Features, Features]:
        """Both parts of a split, prepared by what its training rows tell.

        The training rows are those of `fit_transform`, which for some transformers are others than
        those of `transform`: a `TargetEncoder` keeps a row's own label out of its features.

        Args:
            train_rows: row numbers, all of them trainable.
            test_rows: row numbers.
            y: labels `(row,)` of all rows.

        Returns:
            Features `(row, n_features)` of the training and of the test rows, float64.

        Raises:
            ValueError: when there are no training rows, or some may not be trained on; when the
                transformer fails, depends on chance, or makes what are no finite numbers, one row
                each and as many features of every split.
        """
        transformer, x_train = self._fit(train_rows, y)
        test = rows_of(self.raw, test_rows)
        return x_train, self._transformed(transformer, test, "the test rows of a split")

    def _fit(self, train_rows: RowNumbers, y: ndarray | None) -> tuple[Any, Features]:
        check_train_rows(train_rows, self._trainable)
        self._learn(y)
        labels = None if y is None else y[train_rows]
        fitted, x = self._fit_anew(train_rows, labels, "the training rows of a split")
        self._check_width(x)
        return fitted, x

    def _learn(self, y: ndarray | None) -> tuple[str, ...]:
        """The names of the features, by two fits on all trainable rows."""
        with ONE_AT_A_TIME:
            if self._feature_names is None:
                rows = np.arange(self._trainable)
                labels = None if y is None else y[rows]
                where = f"the {len(rows)} rows that may be trained on"
                fitted, x = self._fit_anew(rows, labels, where)
                if not np.array_equal(x, self._fit_anew(rows, labels, where)[1]):
                    raise ValueError(
                        "prepare gives another outcome when it is fitted again on the same rows; "
                        "give what is random in it a random_state, or a cv that has one"
                    )
                self._feature_names = _names_of(fitted, x.shape[1])
            return self._feature_names

    def _fit_anew(
        self, row_numbers: RowNumbers, labels: ndarray | None, where: str
    ) -> tuple[Any, Features]:
        rows = rows_of(self.raw, row_numbers)
        with ONE_AT_A_TIME:  # what it is made of may be shared with other threads
            fitted = _cloned(self._transformer)
            try:
                if hasattr(fitted, "fit_transform"):
                    outcome = fitted.fit_transform(rows, labels)
                else:
                    outcome = fitted.fit(rows, labels).transform(rows)
            except Exception as error:  # a user's class may fail in any way
                raise ValueError(f"prepare failed on {where}: {one_line(error)}") from error
        return fitted, _numbers(outcome, len(row_numbers), where)

    def _transformed(self, transformer: Any, points: Any, where: str) -> Features:
        with ONE_AT_A_TIME:
            try:
                outcome = transformer.transform(points)
            except Exception as error:
                raise ValueError(f"prepare failed on {where}: {one_line(error)}") from error
        x = _numbers(outcome, points.shape[0], where)
        self._check_width(x)
        return x

    def _check_width(self, x: Features) -> None:
        if x.shape[1] != self.n_features:
            raise ValueError(
                f"prepare makes {x.shape[1]} features of one split and {self.n_features} of all "
                f"{self._trainable} rows; a model needs as many of each: name its categories, or "
                "fix its number of components"
            )


def _cloned(transformer: Any) -> Any:
    from sklearn.base import clone

    try:
        return clone(transformer)
    except Exception as error:
        raise TypeError(
            f"prepare is {short(transformer)}, which cannot be cloned: {one_line(error)}"
        ) from error


def _parameters_text(transformer: Any) -> dict[str, str]:
    # Addresses differ from one process to the next.
    return {
        str(name): re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
        for name, value in sorted(transformer.get_params().items())
    }


def rows_of(table: Any, rows: RowNumbers) -> Any:
    """Some rows of a data frame of pandas or polars, or of an array, as a copy.

    Example:
        >>> rows_of(np.eye(3), np.array([2]))
        array([[0., 0., 1.]])
    """
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]


def _names_of(fitted: Any, width: int) -> tuple[str, ...]:
    try:
        names = tuple(map(str, fitted.get_feature_names_out()))
    except Exception:  # many transformers have none
        names = ()
    if len(names) != width:
        return tuple(f"feature {number}" for number in range(width))
    return names


def _numbers(outcome: Any, n_rows: int, where: str) -> Features:
    """What a transformer returned (sparse, or a data frame) as an array of finite numbers."""
    if hasattr(outcome, "toarray"):
        outcome = outcome.toarray()
    elif hasattr(outcome, "to_numpy"):
        outcome = outcome.to_numpy()
    try:
        x = np.asarray(outcome)
        x = x.astype(np.float64, copy=False) if x.dtype.kind in "biufO" else x
    except (TypeError, ValueError):
        x = np.asarray("texts")
    if x.dtype != np.float64:
        raise ValueError(f"prepare makes of {where} what are no numbers; encode its categories")
    if x.ndim != 2 or x.shape[0] != n_rows or x.shape[1] == 0:
        raise ValueError(
            f"prepare makes of {where} an array of shape {x.shape}; it must be ({n_rows}, feature)"
        )
    if not np.isfinite(x).all():
        row, feature = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(
            f"prepare makes of {where} {x[row, feature]} in feature {feature}; it must make "
            "finite numbers, as with a SimpleImputer"
        )
    return x
