"""Data sets, their splits, and the step from replicate seeds to a chunk's tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Shaped
from numpy import ndarray

from functional_clf.references import circles_references, moons_references
from functional_clf.types import Batch

Vary = Literal["data", "split", "init"]

MAX_SEED = 2**30 - 1
"""The largest replicate seed: three named seeds are derived from it, each below 2**32."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set that can be drawn again with any seed: two classes, labels 0 and 1.

    Args:
        name: what tables, pictures and folders call it.
        n_samples: rows of one draw, at least 4.
        draw: `draw(seed) -> (x, y)`, arrays `(sample, feature)` and `(sample,)`.
        settings: plain values (JSON) that tell this data set from another of the same name.
        references: returns what is known of the best accuracies, in [0, 1], by name.

    Raises:
        ValueError: when n_samples is below 4.

    Example:
        >>> coin = Dataset("coin", 8, lambda seed: (np.eye(8), np.arange(8) % 2))
        >>> coin.draw(0)[0].shape
        (8, 8)
    """

    name: str
    n_samples: int
    draw: Callable[[int], tuple[ndarray, ndarray]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    references: Callable[[], Mapping[str, float]] = dict

    def __post_init__(self) -> None:
        if self.n_samples < 4:
            raise ValueError(
                f"samples is {self.n_samples}; it must be at least 4, two for each class"
            )

    def describe(self) -> dict[str, Any]:
        """What identifies this data set, as plain values."""
        return {"name": self.name, "n_samples": self.n_samples, **self.settings}

    def __str__(self) -> str:
        """As a call: `circles(1000, noise 0.03, factor 0.8)`."""
        settings = "".join(f", {key} {value}" for key, value in self.settings.items())
        return f"{self.name}({self.n_samples}{settings})"


def circles(n_samples: int = 1000, noise: float = 0.03, factor: float = 0.8) -> Dataset:
    """scikit-learn's `make_circles`: class 0 on the unit circle, class 1 on a smaller one inside.

    Args:
        n_samples: rows of one draw, at least 4.
        noise: standard deviation of the Gaussian noise on each coordinate, at least 0.
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
    if not 0 <= factor < 1:
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
    )


def moons(n_samples: int = 1000, noise: float = 0.03) -> Dataset:
    """scikit-learn's `make_moons`: two interleaving half circles.

    Args:
        n_samples: rows of one draw, at least 4.
        noise: standard deviation of the Gaussian noise on each coordinate, at least 0.

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
        float32 tensors: x `(replicate, sample, feature)`, y `(replicate, sample)`.

    Example:
        >>> chunk = [replicate(seed, "data") for seed in range(3)]
        >>> data = draw_chunk(circles(100), chunk, 0.2, torch.device("cpu"))
        >>> data.train.x.shape, data.test.y.shape
        (torch.Size([3, 80, 2]), torch.Size([3, 20]))
    """
    # Replicates may share their data, and padding shares all.
    draws = {seed: dataset.draw(seed) for seed in {one.data_seed for one in replicates}}
    splits = {
        seed: split(dataset.n_samples, test_size, seed)
        for seed in {one.split_seed for one in replicates}
    }
    parts = [(*draws[one.data_seed], splits[one.split_seed]) for one in replicates]
    return ChunkData(
        _stack(
            [x[rows.train] for x, _, rows in parts], [y[rows.train] for _, y, rows in parts], device
        ),
        _stack(
            [x[rows.test] for x, _, rows in parts], [y[rows.test] for _, y, rows in parts], device
        ),
    )


def _stack(
    x: Sequence[Shaped[ndarray, "sample feature"]], y: Sequence[ndarray], device: torch.device
) -> Batch:
    # Samples run along memory, as the models' layers take them; the shape is unchanged.
    columns = np.stack([one.T for one in x]).astype(np.float32, order="C")
    return Batch(
        torch.from_numpy(columns).to(device).mT,
        torch.from_numpy(np.stack(y).astype(np.float32)).to(device),
    )


def _check_noise(noise: float) -> None:
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is {noise}; it must be at least 0 and finite")
