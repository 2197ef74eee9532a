"""Data sets that are drawn anew with every seed."""

import numpy as np
from numpy import ndarray

from functional_clf.data.best_accuracies import circles_references, moons_references
from functional_clf.data.dataset import Dataset
from functional_clf.support.arguments import real_number


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


def _check_noise(noise: float) -> None:
    if not 0 <= real_number("noise", noise) < np.inf:
        raise ValueError(f"noise is {noise}; it must be at least 0 and finite")
