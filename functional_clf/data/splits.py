"""Splits of a data set into samples to learn from and samples to test on."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray


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
    check_test_size(test_size)
    n_test = int(np.ceil(test_size * n_samples))
    if n_test >= n_samples:
        raise ValueError(
            f"test_size is {test_size}; of {n_samples} samples it leaves none to train on"
        )
    return n_samples - n_test, n_test


def check_test_size(test_size: float) -> None:
    """See that a share leaves something on both sides, of enough samples.

    Raises:
        ValueError: when it is outside (0, 1).

    Example:
        >>> check_test_size(0.2)
    """
    if not 0 < test_size < 1:
        raise ValueError(f"test_size is {test_size}; it must be above 0 and below 1, as in 0.2")


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
