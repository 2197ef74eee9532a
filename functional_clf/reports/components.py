"""Principal components: the plane on which samples of many features are drawn."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

BLOCK = 4096
"""Samples taken at once: in double precision all of them might not fit into memory."""


class Components(NamedTuple):
    """The two directions of largest variance among samples.

    mean: of the samples, where the directions start.
    axes: orthogonal and of length 1, the one of larger variance first.
    shares: of the variance, along either; NaN where there is none at all.
    """

    mean: Float[ndarray, " feature"]
    axes: Float[ndarray, "2 feature"]
    shares: Float[ndarray, "2"]

    def places(self, x: Float[ndarray, "sample feature"]) -> Float[ndarray, "sample 2"]:
        """Where samples lie along both axes."""
        return np.concatenate([(block - self.mean) @ self.axes.T for block in _blocks(x)])


def principal_components(x: Float[ndarray, "sample feature"]) -> Components:
    """The first two principal components, each turned so that its largest entry is positive.

    Args:
        x: finite; at least two samples of at least two features.

    Returns:
        In double precision.

    Source:
        Jolliffe, I. T. (2002). Principal Component Analysis, section 3.5. Springer.

    Example:
        >>> found = principal_components(np.array([[0.0, 0, 5], [2, 0, 5], [4, 1, 5], [6, 1, 5]]))
        >>> found.shares.round(2).tolist(), found.places(np.array([[3.0, 0.5, 5]])).tolist()
        ([0.99, 0.01], [[0.0, 0.0]])
    """
    mean = x.mean(0, dtype=np.float64)
    # Of values divided by the largest, squares neither overflow nor vanish.
    scale = max(float(abs(block - mean).max()) for block in _blocks(x)) or 1.0
    if len(x) < x.shape[1]:
        _, lengths, rows = np.linalg.svd((x - mean) / scale, full_matrices=False)
        variances = lengths**2
    else:
        scaled = ((block - mean) / scale for block in _blocks(x))
        rising, vectors = np.linalg.eigh(sum(block.T @ block for block in scaled))
        variances, rows = np.maximum(rising[::-1], 0.0), vectors.T[::-1]
    axes, total = rows[:2], variances.sum()
    shares = variances[:2] / total if total > 0 else np.full(2, np.nan)
    largest = axes[[0, 1], abs(axes).argmax(1)]
    return Components(mean, axes * np.sign(largest)[:, None], shares)


def _blocks(x: ndarray) -> list[ndarray]:
    return np.array_split(x, -(-len(x) // BLOCK) or 1)
