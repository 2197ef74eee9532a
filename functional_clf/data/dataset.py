"""Data sets: what a user brings, checked once where it enters."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from functional_clf.core.tasks import Task, task_of
from functional_clf.core.user_code import ONE_AT_A_TIME, UnreadableError, reading_of
from functional_clf.data.splits import Split, split, split_sizes
from functional_clf.support.arguments import name_text, plain_settings, short, whole_number
from functional_clf.support.errors import one_line


class Sample(NamedTuple):
    """One draw of a data set, checked, in the precision in which it is trained on."""

    x: Float[ndarray, "sample feature"]
    y: Float[ndarray, " sample"]


class Parts(NamedTuple):
    """The samples that one replicate learns from and those it is tested on, ready for a model."""

    train: Sample
    test: Sample


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set that can be drawn again with any seed; labels are the numbers of its classes.

    Args:
        name: what tables, pictures and folders call it.
        n_samples: rows of one draw, at least 4.
        draw: `draw(seed) -> (x, y)`, numbers `(sample, feature)` and labels `(sample,)`: arrays,
            tensors, data frames or lists. It must depend on the seed alone.
        settings: plain values (JSON) that tell this data set from another of the same name.
        references: returns what is known of the best accuracies, in [0, 1], by name.
        is_fixed: whether it is one table, whatever the seed: then nothing can be claimed of new
            data, only of new splits and new training runs.
        n_classes: labels are 0 to `n_classes - 1`, in every draw all of them; 2 or more.
        kind: in the registry of data sets, the factory that makes it out of its settings.
        n_columns: numbers in a sample; None where a draw has to tell.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when n_samples is below 4 or n_classes below 2, or the name or the settings
            cannot be kept.

    Example:
        >>> table = np.eye(8), np.arange(8) % 2
        >>> coin = Dataset("coin", 8, lambda seed: table, is_fixed=True)
        >>> coin.sample(0).x.shape
        (8, 8)
    """

    name: str
    n_samples: int
    draw: Callable[[int], tuple[Any, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    references: Callable[[], Mapping[str, float]] = dict
    is_fixed: bool = False
    n_classes: int = 2
    kind: str | None = None
    n_columns: int | None = None

    def __post_init__(self) -> None:
        name_text("a data set", self.name)
        object.__setattr__(self, "n_samples", whole_number("samples", self.n_samples, 1))
        object.__setattr__(self, "n_classes", whole_number("n_classes", self.n_classes, 2))
        if self.n_samples < 2 * self.n_classes:
            raise ValueError(
                f"samples is {self.n_samples}; it must be at least {2 * self.n_classes}, two for "
                "each class"
            )
        for name in ("draw", "references"):
            if not callable(getattr(self, name)):
                raise TypeError(
                    f"{name} is {short(getattr(self, name))}; it must be a function, as in "
                    "draw=lambda seed: (x, y)"
                )
        if not isinstance(self.is_fixed, bool | np.bool_):
            raise TypeError(f"is_fixed is {short(self.is_fixed)}; it must be True or False")
        object.__setattr__(self, "is_fixed", bool(self.is_fixed))
        plain_settings(self.settings)
        reserved = {"kind", "name", "n_samples", "n_classes", "is_fixed", "content", "code"}
        if reserved := reserved & set(self.settings):
            raise ValueError(f"settings holds {reserved.pop()!r}, which a data set says by itself")

    def sample(self, seed: int) -> Sample:
        """One draw, checked: the one way in which samples enter a study.

        Args:
            seed: decides the draw.

        Returns:
            x and y in torch's default floating-point type.

        Raises:
            ValueError: when the draw is not of numbers `(n_samples, feature)`, all finite, with
                labels `(n_samples,)` that are exactly 0 to `n_classes - 1`, all there.
        """
        where = f"data set {self.name!r}, drawn with seed {seed}"
        try:
            with ONE_AT_A_TIME:  # it may seed a generator that another thread draws from
                drawn = self.draw(seed)
        except Exception as error:  # a user's function may fail in any way
            raise ValueError(f"{where}: draw failed: {one_line(error)}") from error
        try:
            return _checked(drawn, self.n_samples, self.n_classes)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error

    @property
    def n_features(self) -> int:
        """How many numbers a model is given of a sample."""
        return self.n_columns or self.sample(0).x.shape[1]

    @property
    def class_names(self) -> tuple[str, ...]:
        """What its classes are called, in the order of their numbers."""
        return tuple(map(str, range(self.n_classes)))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the columns of a draw are called."""
        return tuple(f"feature {number}" for number in range(self.n_features))

    @property
    def prepared_names(self) -> tuple[str, ...]:
        """What the features are called that a model is given."""
        return self.feature_names

    @property
    def is_plane(self) -> bool:
        """Whether its rows are points of a plane, as they were brought: two numbers each."""
        return self.n_features == 2

    @property
    def is_table(self) -> bool:
        """Whether it is a table, whose rows are prepared by what a training part tells."""
        return False

    @property
    def has_own_test(self) -> bool:
        """Whether the test samples are given apart, so that no split is drawn."""
        return False

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know of it, a line each."""
        return ()

    def sizes(self, test_size: float) -> tuple[int, int]:
        """`(n_train, n_test)`, the same in every split.

        Args:
            test_size: share of the rows held out for testing, in (0, 1).

        Raises:
            ValueError: when it is outside (0, 1) or leaves a part empty.
        """
        return split_sizes(self.n_samples, test_size)

    def split(self, test_size: float, seed: int) -> Split:
        """A split of its rows, which the seed fixes.

        Args:
            test_size: share of the rows held out for testing, in (0, 1).
            seed: random state, 0 to 2**32 - 1.

        Raises:
            ValueError: as `sizes`.
        """
        return split(self.n_samples, test_size, seed)

    def prepared(self, drawn: Sample, rows: Split) -> Parts:
        """Both parts of a split as models are given them.

        Args:
            drawn: from `sample`.
            rows: from `split`.

        Returns:
            Samples in torch's default floating-point type, of `n_features` each.
        """
        return Parts(*(Sample(drawn.x[part], drawn.y[part]) for part in rows))

    def raw_parts(self, rows: Split) -> tuple[Any, Any]:
        """Both parts of a split as they were brought, for who prepares them by themselves.

        Args:
            rows: from `split`.

        Returns:
            Rows of the training and of the test part: an array or a data frame `(row, column)`.

        Raises:
            TypeError: when it is no table: its samples are raw as they are drawn.
        """
        raise TypeError(f"data set {self.name!r} is no table; its samples are raw as they are")

    def prepared_points(self, points: ndarray, rows: Split) -> ndarray:
        """Any points as models are given them that were trained on a split.

        Args:
            points: `(point, column)`, in the units of what `sample` draws.
            rows: from `split`.

        Returns:
            `(point, n_features)`.
        """
        del rows  # nothing is fitted to a training part here
        return points

    def describe(self) -> dict[str, Any]:
        """What identifies this data set, as plain values.

        A digest of the code that draws it tells a data set from another one, and where that is not
        this package's own, a digest of what seed 0 draws; a fixed table is told by its content
        alone. The code of one that is redrawn is None where it cannot be told.

        Raises:
            ValueError: as `sample`.
        """
        return {
            "kind": self.kind,
            "name": self.name,
            "n_samples": self.n_samples,
            **self.settings,
            "n_classes": self.n_classes,
            "is_fixed": self.is_fixed,
            **({} if self.is_own else {"content": self._content()}),
            **({} if self.is_fixed and not self.is_own else {"code": self._code()}),
        }

    @property
    def task(self) -> Task:
        """What its labels are."""
        return task_of(self.n_classes)

    @property
    def is_own(self) -> bool:
        """Whether it is one of this package's generators, whose settings say all of it."""
        try:
            is_plain = type(self) is Dataset and self.kind is not None
            return is_plain and reading_of(self.draw).is_own
        except UnreadableError:
            return False

    def _content(self) -> str:
        digest = hashlib.blake2b(digest_size=12)
        for part in self.sample(0):
            digest.update(repr(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def _code(self) -> str | None:
        try:
            overridden = () if type(self) is Dataset else (type(self).sample,)
            return reading_of(self.draw, *overridden).digest
        except UnreadableError:
            return None

    def __str__(self) -> str:
        """As a call: `circles(1000, noise 0.03, factor 0.8)`, with the number of many classes."""
        told = dict(self.settings)
        if self.n_classes > 2:
            told["n_classes"] = self.n_classes
        settings = "".join(f", {key} {value}" for key, value in told.items())
        return f"{self.name}({self.n_samples}{settings})"


def _checked(drawn: Any, n_samples: int, n_classes: int) -> Sample:
    if not isinstance(drawn, tuple | list) or len(drawn) != 2:
        raise ValueError(f"draw returned {short(drawn)}; it must return (x, y)")
    # Of pandas; the index of a list is a method.
    indices: list[Any] = [getattr(part, "index", None) for part in drawn]
    if all(hasattr(index, "equals") for index in indices) and not indices[0].equals(indices[1]):
        raise ValueError("x and y have different indices; bring their rows into one order")
    dtype = floating_dtype()
    x, y = (plain_array(name, part) for name, part in zip("xy", drawn, strict=True))
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(
            f"x has shape {x.shape}; it must be (sample, feature), as {(n_samples, 1)}"
        )
    if y.ndim != 1:
        raise ValueError(f"y has shape {y.shape}; it must be (sample,), as in {(n_samples,)}")
    for name, part in (("x", x), ("y", y)):
        if len(part) != n_samples:
            raise ValueError(f"{name} has {len(part)} rows; n_samples says {n_samples}")
    if x.dtype.kind not in "biuf":
        raise ValueError(f"x holds {_kind(x)}; it must be numbers")
    with np.errstate(over="ignore"):  # what overflows is infinite, and told below
        cast = x.astype(dtype)
    if not np.isfinite(cast).all():
        row, column = np.argwhere(~np.isfinite(cast))[0]
        raise ValueError(
            f"x holds {x[row, column]} at row {row}, feature {column}; it must be finite numbers"
            + ("" if not np.isfinite(x[row, column]) else f" within the range of {dtype.name}")
        )
    return Sample(cast, _labels(y, n_classes).astype(dtype))


def _labels(y: ndarray, n_classes: int) -> ndarray:
    names = "0 and 1, both there" if n_classes == 2 else f"0 to {n_classes - 1}, all there"
    needed = f"the labels must be exactly {names}"
    if y.dtype.kind not in "biuf":
        raise ValueError(f"y holds {_kind(y)}; {needed}")
    found = np.unique(y)
    if not np.array_equal(found, np.arange(n_classes)):
        some = ", ".join(f"{value:g}" for value in found[:5].tolist())
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        only = "only " if len(found) == 1 else ""
        raise ValueError(f"y holds {only}{some}{more}; {needed}")
    return y


def plain_array(name: str, value: Any) -> ndarray:
    """What a user may bring (tensors, data frames, lists) as an array."""
    if isinstance(value, torch.Tensor):
        try:
            value = value.detach().cpu()
            return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        except (RuntimeError, TypeError, NotImplementedError) as error:
            raise ValueError(
                f"{name} is a tensor that cannot be read: {one_line(error)}"
            ) from error
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries; fill them in")
    if hasattr(value, "toarray"):  # SciPy's sparse arrays
        value = value.toarray()
    elif hasattr(value, "to_numpy"):  # data frames and series
        value = value.to_numpy()
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} has rows of unlike lengths") from None


def _kind(array: ndarray) -> str:
    if array.dtype.kind in "US":
        return f"text, such as {str(array.flat[0])!r}"
    if array.dtype.kind == "O":
        values = (one for one in array.flat if not isinstance(one, int | float | np.number))
        return f"objects, such as {short(next(values, array.flat[0]))}"
    return f"values of type {array.dtype}"


def floating_dtype() -> np.dtype:
    """Torch's default floating-point type, in which data are held and weights are drawn.

    Raises:
        ValueError: when it is neither float32 nor float64.

    Example:
        >>> floating_dtype()
        dtype('float32')
    """
    dtype = torch.get_default_dtype()
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"torch's default dtype is {dtype}; it must be float32 or float64")
    return np.dtype(str(dtype).removeprefix("torch."))
