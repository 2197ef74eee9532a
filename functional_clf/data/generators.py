"""Data sets that are drawn anew with every seed."""

import numpy as np
from numpy import ndarray

from functional_clf.data.best_accuracies import (
    blobs_references,
    circles_references,
    moons_references,
    spiral,
    spirals_references,
)
from functional_clf.data.dataset import Dataset
from functional_clf.support.arguments import real_number, whole_number

MOST_NOISE = 1e36
"""Of more some draw is beyond the range of float32, and a picture of it further."""


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
        kind="circles",
        n_columns=2,
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
        kind="moons",
        n_columns=2,
    )


def blobs(n_samples: int = 1000, noise: float = 0.5, n_classes: int = 3) -> Dataset:
    """scikit-learn's `make_blobs`: Gaussian clusters around centres evenly on the unit circle.

    Args:
        n_samples: rows of one draw, at least 2 a class; classes are as equally frequent as can be.
        noise: standard deviation of the clusters on each coordinate, at least 0; at 0 every draw
            holds the same points, so that the data set is fixed.
        n_classes: clusters, 2 to 100; of two, the centres are (1, 0) and (-1, 0).

    Returns:
        The data set.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when an argument is outside its range.

    Example:
        >>> x, y = blobs(90).draw(seed=0)
        >>> x.shape, np.bincount(y).tolist()
        ((90, 2), [30, 30, 30])
    """
    n_samples, noise, n_classes = _several(n_samples, noise, n_classes)

    def draw(seed: int) -> tuple[ndarray, ndarray]:
        from sklearn.datasets import make_blobs

        angles = 2 * np.pi * np.arange(n_classes) / n_classes
        centers = np.stack([np.cos(angles), np.sin(angles)], 1)
        x, y, *_ = make_blobs(n_samples, centers=centers, cluster_std=noise, random_state=seed)
        return np.asarray(x), np.asarray(y)

    return Dataset(
        "blobs",
        n_samples,
        draw,
        {"noise": noise},
        lambda: blobs_references(noise, n_classes)._asdict(),
        is_fixed=noise == 0,
        n_classes=n_classes,
        kind="blobs",
        n_columns=2,
    )


def spirals(n_samples: int = 1000, noise: float = 0.03, n_classes: int = 3) -> Dataset:
    """Interleaving arms of a spiral around the origin, one a class.

    Args:
        n_samples: rows of one draw, at least 2 a class; classes are as equally frequent as can be.
        noise: standard deviation of the Gaussian noise on each coordinate, at least 0; also at 0
            every draw holds other points of the arms.
        n_classes: arms, 2 to 100.

    Returns:
        The data set.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when an argument is outside its range.

    Example:
        >>> x, y = spirals(90).draw(seed=0)
        >>> x.shape, np.bincount(y).tolist()
        ((90, 2), [30, 30, 30])
    """
    n_samples, noise, n_classes = _several(n_samples, noise, n_classes)

    def draw(seed: int) -> tuple[ndarray, ndarray]:
        random = np.random.default_rng(seed)
        y = random.permutation(np.arange(n_samples) % n_classes)
        x = spiral(random.random(n_samples), 2 * np.pi * y / n_classes)
        return x + random.normal(0, noise, x.shape), y

    return Dataset(
        "spirals",
        n_samples,
        draw,
        {"noise": noise},
        lambda: spirals_references(noise, n_classes)._asdict(),
        n_classes=n_classes,
        kind="spirals",
        n_columns=2,
    )


def _several(n_samples: int, noise: float, n_classes: int) -> tuple[int, float, int]:
    """The arguments, checked, as Python's own numbers; `Dataset` sees that samples are enough."""
    n_classes = whole_number("n_classes", n_classes, 2)
    if n_classes > 100:
        raise ValueError(f"n_classes is {n_classes}; it must be at most 100")
    _check_noise(noise)
    return whole_number("samples", n_samples, 1), real_number("noise", noise), n_classes


def _check_noise(noise: float) -> None:
    if not 0 <= real_number("noise", noise) <= MOST_NOISE:
        raise ValueError(f"noise is {noise}; it must be at least 0 and at most {MOST_NOISE:g}")
