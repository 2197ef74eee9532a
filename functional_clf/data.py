"""Data sets, their splits, and the step from replicate seeds to a chunk's tensors."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from functional_clf.arguments import name_text, plain_settings, real_number, short, whole_number
from functional_clf.errors import one_line
from functional_clf.references import circles_references, moons_references
from functional_clf.types import Batch
from functional_clf.user_code import ONE_AT_A_TIME, UnreadableError, reading_of

Vary = Literal["data", "split", "init"]

MAX_SEED = 2**30 - 1
"""The largest replicate seed: three named seeds are derived from it, each below 2**32."""


class Sample(NamedTuple):
    """One draw of a data set, checked, in the precision in which it is trained on."""

    x: Float[ndarray, "sample feature"]
    y: Float[ndarray, " sample"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set that can be drawn again with any seed: two classes, labels 0 and 1.

    Args:
        name: what tables, pictures and folders call it.
        n_samples: rows of one draw, at least 4.
        draw: `draw(seed) -> (x, y)`, numbers `(sample, feature)` and labels `(sample,)`: arrays,
            tensors, data frames or lists. It must depend on the seed alone.
        settings: plain values (JSON) that tell this data set from another of the same name.
        references: returns what is known of the best accuracies, in [0, 1], by name.
        is_fixed: whether it is one table, whatever the seed: then nothing can be claimed of new
            data, only of new splits and new training runs.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when n_samples is below 4, or the name or the settings cannot be kept.

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

    def __post_init__(self) -> None:
        name_text("a data set", self.name)
        object.__setattr__(self, "n_samples", whole_number("samples", self.n_samples, 1))
        if self.n_samples < 4:
            raise ValueError(
                f"samples is {self.n_samples}; it must be at least 4, two for each class"
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
        reserved = {"name", "n_samples", "is_fixed", "content", "code"} & set(self.settings)
        if reserved:
            raise ValueError(f"settings holds {reserved.pop()!r}, which a data set says by itself")

    def sample(self, seed: int) -> Sample:
        """One draw, checked: the one way in which samples enter a study.

        Args:
            seed: decides the draw.

        Returns:
            x and y in torch's default floating-point type.

        Raises:
            ValueError: when the draw is not of numbers `(n_samples, feature)`, all finite, with
                labels `(n_samples,)` that are exactly 0 and 1, both there.
        """
        where = f"data set {self.name!r}, drawn with seed {seed}"
        try:
            with ONE_AT_A_TIME:  # it may seed a generator that another thread draws from
                drawn = self.draw(seed)
        except Exception as error:  # a user's function may fail in any way
            raise ValueError(f"{where}: draw failed: {one_line(error)}") from error
        try:
            return _checked(drawn, self.n_samples)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error

    def describe(self) -> dict[str, Any]:
        """What identifies this data set, as plain values.

        Its settings, what seed 0 draws, and for one that is redrawn by a function of a user's own
        that function's code, which is None where it cannot be told.
        """
        digest = hashlib.blake2b(digest_size=12)
        for part in self.sample(0):
            digest.update(repr(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        return {
            "name": self.name,
            "n_samples": self.n_samples,
            **self.settings,
            "is_fixed": self.is_fixed,
            "content": digest.hexdigest(),
            **({} if self.is_fixed or self.is_own else {"code": self._code()}),
        }

    @property
    def is_own(self) -> bool:
        """Whether its settings say all of it: it is one of this package's generators."""
        try:
            return reading_of(self.draw).is_own
        except UnreadableError:
            return False

    def _code(self) -> str | None:
        try:
            return reading_of(self.draw).digest
        except UnreadableError:
            return None

    def __str__(self) -> str:
        """As a call: `circles(1000, noise 0.03, factor 0.8)`."""
        settings = "".join(f", {key} {value}" for key, value in self.settings.items())
        return f"{self.name}({self.n_samples}{settings})"


def _checked(drawn: Any, n_samples: int) -> Sample:
    if not isinstance(drawn, tuple | list) or len(drawn) != 2:
        raise ValueError(f"draw returned {short(drawn)}; it must return (x, y)")
    # Of pandas; the index of a list is a method.
    indices: list[Any] = [getattr(part, "index", None) for part in drawn]
    if all(hasattr(index, "equals") for index in indices) and not indices[0].equals(indices[1]):
        raise ValueError("x and y have different indices; bring their rows into one order")
    dtype = floating_dtype()
    x, y = (_plain_array(name, part) for name, part in zip("xy", drawn, strict=True))
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
    return Sample(cast, _labels(y).astype(dtype))


def _labels(y: ndarray) -> ndarray:
    needed = "the labels must be exactly 0 and 1, both there"
    if y.dtype.kind not in "biuf":
        raise ValueError(f"y holds {_kind(y)}; {needed}")
    is_one = y == 1
    if not (is_one | (y == 0)).all() or is_one.all() or not is_one.any():
        found = np.unique(y)
        some = ", ".join(f"{value:g}" for value in found[:5].tolist())
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        only = "only " if len(found) == 1 else ""
        raise ValueError(f"y holds {only}{some}{more}; {needed}")
    return y


def _plain_array(name: str, value: Any) -> ndarray:
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


def circles(n_samples: int = 1000, noise: float = 0.03, factor: float = 0.8) -> Dataset:
    """scikit-learn's `make_circles`: class 0 on the unit circle, class 1 on a smaller one inside.

    Args:
        n_samples: rows of one draw, at least 4.
        noise: standard deviation of the Gaussian noise on each coordinate, at least 0; at 0
            every draw holds the same points, so that the data set is fixed.
        factor: radius of the inner circle, in [0, 1).

    Returns:
        The data set.

    Raises:
        ValueError: when an argument is outside its range.

    Example:
        >>> x, y = circles(100).draw(seed=0)
        >>> x.shape, y.mean().item()
        ((100, 2), 0.5)
    """
    _check_noise(noise)
    if not 0 <= real_number("factor", factor) < 1:
        raise ValueError(f"factor is {factor}; it must be at least 0 and below 1")

    def draw(seed: int) -> tuple[ndarray, ndarray]:
        from sklearn.datasets import make_circles

        x, y = make_circles(n_samples, noise=noise, factor=factor, random_state=seed)
        return np.asarray(x), np.asarray(y)

    return Dataset(
        "circles",
        n_samples,
        draw,
        {"noise": noise, "factor": factor},
        lambda: circles_references(noise, factor)._asdict(),
        is_fixed=noise == 0,
    )


def moons(n_samples: int = 1000, noise: float = 0.03) -> Dataset:
    """scikit-learn's `make_moons`: two interleaving half circles.

    Args:
        n_samples: rows of one draw, at least 4.
        noise: standard deviation of the Gaussian noise on each coordinate, at least 0; at 0
            every draw holds the same points, so that the data set is fixed.

    Returns:
        The data set.

    Raises:
        ValueError: when an argument is outside its range.

    Example:
        >>> x, y = moons(100).draw(seed=0)
        >>> x.shape, y.mean().item()
        ((100, 2), 0.5)
    """
    _check_noise(noise)

    def draw(seed: int) -> tuple[ndarray, ndarray]:
        from sklearn.datasets import make_moons

        x, y = make_moons(n_samples, noise=noise, random_state=seed)
        return np.asarray(x), np.asarray(y)

    return Dataset(
        "moons",
        n_samples,
        draw,
        {"noise": noise},
        lambda: moons_references(noise)._asdict(),
        is_fixed=noise == 0,
    )


class Split(NamedTuple):
    """Row numbers of the training and of the test samples."""

    train: Int[ndarray, " train_sample"]
    test: Int[ndarray, " test_sample"]


def split_sizes(n_samples: int, test_size: float) -> tuple[int, int]:
    """`(n_train, n_test)`: the test part is rounded up, as scikit-learn does.

    Args:
        n_samples: rows to split.
        test_size: share of the rows held out for testing, in (0, 1).

    Raises:
        ValueError: when test_size is outside (0, 1) or leaves a part empty.

    Example:
        >>> split_sizes(1000, 0.2)
        (800, 200)
    """
    if not 0 < test_size < 1:
        raise ValueError(f"test_size is {test_size}; it must be above 0 and below 1, as in 0.2")
    n_test = int(np.ceil(test_size * n_samples))
    if n_test >= n_samples:
        raise ValueError(
            f"test_size is {test_size}; of {n_samples} samples it leaves none to train on"
        )
    return n_samples - n_test, n_test


def split(n_samples: int, test_size: float, seed: int) -> Split:
    """A random split, the one of scikit-learn's `train_test_split`, which `seed` fixes.

    Args:
        n_samples: rows to split.
        test_size: share of the rows held out for testing, in (0, 1).
        seed: random state, 0 to 2**32 - 1.

    Returns:
        Row numbers of both parts.

    Raises:
        ValueError: as `split_sizes`.

    Example:
        >>> parts = split(10, 0.2, seed=0)
        >>> len(parts.train), len(parts.test)
        (8, 2)
    """
    from sklearn.model_selection import ShuffleSplit

    n_train, n_test = split_sizes(n_samples, test_size)
    splits = ShuffleSplit(1, train_size=n_train, test_size=n_test, random_state=seed)
    return Split(*next(splits.split(np.empty(n_samples))))


class Replicate(NamedTuple):
    """What one replicate seed fixes: the seeds of the data draw, the split and the weights."""

    seed: int
    data_seed: int
    split_seed: int
    init_seed: int


def replicate(seed: int, vary: Vary) -> Replicate:
    """The three named seeds of one replicate.

    Each is a number of its own (`3 seed`, `3 seed + 1`, `3 seed + 2`), so no generator ever repeats
    another's stream. What `vary` holds fixed is that of seed 0.

    Args:
        seed: the replicate's seed, 0 to `MAX_SEED`.
        vary: "data" redraws data, split and weights; "split" keeps the data; "init" keeps data and
            split.

    Returns:
        The replicate.

    Example:
        >>> replicate(7, "split")
        Replicate(seed=7, data_seed=0, split_seed=22, init_seed=23)
    """
    data_of = seed if vary == "data" else 0
    split_of = 0 if vary == "init" else seed
    return Replicate(seed, 3 * data_of, 3 * split_of + 1, 3 * seed + 2)


def crossed_replicate(seed: int, n_init_seeds: int) -> Replicate:
    """The named seeds of one cell of a crossed grid, data seeds down and init seeds across.

    Row `seed // n_init_seeds` draws data and split, column `seed % n_init_seeds` the weights.

    Args:
        seed: the cell's number, row by row.
        n_init_seeds: columns of the grid.

    Example:
        >>> crossed_replicate(17, n_init_seeds=16)
        Replicate(seed=17, data_seed=3, split_seed=4, init_seed=5)
    """
    row, column = divmod(seed, n_init_seeds)
    return Replicate(seed, 3 * row, 3 * row + 1, 3 * column + 2)


class ChunkData(NamedTuple):
    """The samples of a chunk of replicates: batches with a leading `replicate` axis."""

    train: Batch
    test: Batch


def draw_chunk(
    dataset: Dataset, replicates: Sequence[Replicate], test_size: float, device: torch.device
) -> ChunkData:
    """Draw and split the data of each replicate, and stack them.

    Args:
        dataset: what to draw.
        replicates: the chunk, in order.
        test_size: share of the rows held out for testing, in (0, 1).
        device: where the tensors shall live.

    Returns:
        Tensors of torch's default floating-point type: x `(replicate, sample, feature)`, y
        `(replicate, sample)`.

    Raises:
        ValueError: as `Dataset.sample`, or when a training part has one class only.

    Example:
        >>> chunk = [replicate(seed, "data") for seed in range(3)]
        >>> data = draw_chunk(circles(100), chunk, 0.2, torch.device("cpu"))
        >>> data.train.x.shape, data.test.y.shape
        (torch.Size([3, 80, 2]), torch.Size([3, 20]))
    """
    # Replicates may share their data, and padding shares all.
    draws = {seed: dataset.sample(seed) for seed in {one.data_seed for one in replicates}}
    splits = {
        seed: split(dataset.n_samples, test_size, seed)
        for seed in {one.split_seed for one in replicates}
    }
    if len(features := {sample.x.shape[1] for sample in draws.values()}) > 1:
        raise ValueError(
            f"data set {dataset.name!r} draws {min(features)} features with one seed and "
            f"{max(features)} with another"
        )
    trains, tests = [], []
    for one in replicates:
        (x, y), rows = draws[one.data_seed], splits[one.split_seed]
        check_both_classes(y[rows.train], f"data set {dataset.name!r}, seed {one.seed}")
        trains.append((x[rows.train], y[rows.train]))
        tests.append((x[rows.test], y[rows.test]))
    return ChunkData(_stack(trains, device), _stack(tests, device))


def check_both_classes(y: ndarray, where: str) -> None:
    """See that a training part has both classes.

    Raises:
        ValueError: when all its labels are the same; the message begins with `where`.
    """
    if y.min() == y.max():
        raise ValueError(
            f"{where}: all {len(y)} training samples are of class {y[0]:g}; it needs more samples "
            "of the other class, or another test_size"
        )


def _stack(samples: Sequence[tuple[ndarray, ndarray]], device: torch.device) -> Batch:
    # Samples run along memory, as the models' layers take them; the shape is unchanged.
    columns = np.ascontiguousarray(np.stack([x.T for x, _ in samples]))
    return Batch(
        torch.from_numpy(columns).to(device).mT,
        torch.from_numpy(np.stack([y for _, y in samples])).to(device),
    )


def _check_noise(noise: float) -> None:
    if not 0 <= real_number("noise", noise) < np.inf:
        raise ValueError(f"noise is {noise}; it must be at least 0 and finite")
