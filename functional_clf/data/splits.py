"""Splits of a data set into samples to learn from and samples to test on."""

import functools
from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from functional_clf.support.arguments import short


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


def stratified_split(y: ndarray, test_size: float, seed: int) -> Split:
    """A random split with the classes' shares in both parts, which `seed` fixes.

    It is the one of scikit-learn's `StratifiedShuffleSplit`. Where that leaves a class out of the
    training part, as it may a small one, a random row of it changes places with one of the class
    that has the most training rows.

    Args:
        y: `(row,)` class labels.
        test_size: share of the rows held out for testing, in (0, 1).
        seed: random state, 0 to 2**32 - 1.

    Returns:
        Row numbers of both parts, of the sizes of `split_sizes`; every class is in the training
        part.

    Raises:
        ValueError: as `split_sizes`; when a class has one row, or a part fewer rows than there are
            classes.

    Example:
        >>> y = np.array([0, 1, 2] * 8)
        >>> np.bincount(y[stratified_split(y, 0.25, seed=0).test])
        array([2, 2, 2])
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    n_train, n_test = split_sizes(len(y), test_size)
    classes, numbers, counts = np.unique(y, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        lonely = classes[counts.argmin()].item()
        name = f"{lonely:g}" if isinstance(lonely, float) else short(lonely)
        raise ValueError(
            f"class {name} has 1 sample of {len(y)}; a stratified split needs 2 of each class"
        )
    for part, size in (("train", n_train), ("test", n_test)):
        if size < len(classes):
            raise ValueError(
                f"test_size is {test_size}; of {len(y)} samples it leaves {size} to {part} on, and "
                f"a stratified split needs one for each of {len(classes)} classes"
            )
    splits = StratifiedShuffleSplit(1, train_size=n_train, test_size=n_test, random_state=seed)
    train, test = next(splits.split(np.empty(len(y)), numbers))
    _bring_all_classes(numbers, train, test, seed)
    return Split(train, test)


def group_sizes(groups: ndarray, test_size: float) -> tuple[int, int]:
    """`(n_train, n_test)` of `group_split`, the same for every seed.

    Groups are put into the test part until it has its share. The fewest rows that this can end with
    are `n_test`, and the most leave `n_train`; up to about the largest group is in neither. The
    most is reached when a largest group comes last: whatever other one came last could change
    places with it, and the sum would be no smaller.

    Args:
        groups: `(row,)` labels, of the group that each row belongs to.
        test_size: share of the rows held out for testing, in (0, 1).

    Raises:
        ValueError: when test_size is outside (0, 1), or there are too few groups, or too large
            ones, for two parts.

    Example:
        >>> group_sizes(np.repeat(np.arange(10), 7), 0.2)
        (56, 14)
        >>> group_sizes(np.array([0, 0, 0, 1, 1, 1, 1, 2, 2]), 0.3)  # ends with 3, 4, 5 or 6
        (3, 3)
    """
    split_sizes(len(groups), test_size)
    return _group_sizes(*_numbered(groups), groups, test_size)


def group_split(groups: ndarray, test_size: float, seed: int) -> Split:
    """A random split of whole groups, which `seed` fixes: none has rows on both sides.

    Groups in a random order are put into the test part until it has its share of the rows; then
    both parts are thinned at random to the sizes that all seeds have in common.

    Args:
        groups: `(row,)` labels, of the group that each row belongs to.
        test_size: share of the rows held out for testing, in (0, 1).
        seed: random state, 0 to 2**32 - 1.

    Returns:
        Row numbers of both parts, in a random order, of the sizes of `group_sizes`.

    Raises:
        ValueError: as `group_sizes`.

    Example:
        >>> groups = np.array(["ann", "bob", "cid", "ann", "bob", "cid"])
        >>> parts = group_split(groups, 0.3, seed=0)
        >>> set(groups[parts.train]) & set(groups[parts.test])
        set()
    """
    from sklearn.utils import check_random_state

    _, wanted = split_sizes(len(groups), test_size)
    numbers, counts = _numbered(groups)
    n_train, n_test = _group_sizes(numbers, counts, groups, test_size)
    random = check_random_state(seed)
    order = random.permutation(len(counts))
    filled = np.cumsum(counts[order])
    n_groups = np.searchsorted(filled, wanted) + 1
    is_test = np.zeros(len(counts), bool)
    is_test[order[:n_groups]] = True
    rows = random.permutation(len(groups))
    in_test = is_test[numbers[rows]]
    return Split(rows[~in_test][:n_train], rows[in_test][:n_test])


def _bring_all_classes(numbers: ndarray, train: ndarray, test: ndarray, seed: int) -> None:
    """Exchange rows, in place, until the training part has every class."""
    counts = np.bincount(numbers[train], minlength=numbers.max() + 1)
    if counts.all():
        return
    from sklearn.utils import check_random_state

    random = check_random_state(seed)
    for lacking in np.flatnonzero(counts == 0):
        # With as many training rows as classes, one that lacks leaves another with two.
        most = counts.argmax()
        given = random.choice(np.flatnonzero(numbers[train] == most))
        taken = random.choice(np.flatnonzero(numbers[test] == lacking))
        train[given], test[taken] = test[taken], train[given]
        counts[most] -= 1
        counts[lacking] += 1


def _numbered(groups: ndarray) -> tuple[ndarray, ndarray]:
    """The number of each row's group, by first appearance, and the rows of each group."""
    if groups.dtype.kind == "O":  # labels that may have no order
        found: dict[object, int] = {}
        numbers = np.array([found.setdefault(one, len(found)) for one in groups], np.intp)
        return numbers, np.bincount(numbers)
    numbers, counts = groups, np.zeros(1)
    if groups.dtype.kind in "iu" and 0 <= groups.min() <= groups.max() < len(groups):
        counts = np.bincount(groups)
    if not counts.all():
        numbers = np.unique(groups, return_inverse=True)[1]
        counts = np.bincount(numbers)
    first = np.empty(len(counts), np.intp)
    first[numbers[::-1]] = np.arange(len(groups))[::-1]  # of equal indices the last one counts
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place[numbers], counts[order]


def _group_sizes(
    numbers: ndarray, counts: ndarray, groups: ndarray, test_size: float
) -> tuple[int, int]:
    n_rows = len(groups)
    _, wanted = split_sizes(n_rows, test_size)
    largest = counts.argmax()
    label = short(groups[numbers == largest][:1].tolist()[0])
    if len(counts) < 2:
        raise ValueError(
            f"all {n_rows} samples are of group {label}; a split by groups needs two groups at "
            "least, and better many"
        )
    sizes = tuple(sorted(Counter(counts.tolist()).items()))
    fewest, most = _fillings(sizes, wanted)
    if most >= n_rows:
        raise ValueError(
            f"group {label} holds {counts[largest] / n_rows:.0%} of the samples "
            f"({counts[largest]} of {n_rows}); of {len(counts)} groups, a test part of at least "
            f"{wanted} samples may leave none to train on: it needs a smaller test_size, or more "
            "and smaller groups"
        )
    return n_rows - most, fewest


@functools.lru_cache(maxsize=16)
def _fillings(sizes: tuple[tuple[int, int], ...], wanted: int) -> tuple[int, int]:
    """The fewest and the most rows with which a part that takes groups until `wanted` can end.

    Args:
        sizes: `(rows, groups of so many)`, rising.
        wanted: rows, at most all there are.
    """
    largest, limit = sizes[-1][0], wanted + sizes[-1][0]
    sums = 1  # bit k: some groups, without one of the largest, have k rows in all
    for size, count in sizes:
        left, step = count - (size == largest), 1
        while left > 0:  # 1, 2, 4, ... of them add up to any number
            together = size * min(step, left)
            if together < limit:
                sums |= (sums << together) & ((1 << limit) - 1)
            left, step = left - step, 2 * step
    most = (sums & ((1 << wanted) - 1)).bit_length() - 1 + largest
    enough = (sums | sums << largest) >> wanted
    return wanted + (enough & -enough).bit_length() - 1, most
