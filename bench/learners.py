"""Learners of scikit-learn, fitted to many splits of one data set at once.

A calibration of splits fits some hundred thousand times; so it takes seconds instead of hours. The
predictions are those of scikit-learn's own (`tests/bench/test_learners.py`). Here `x` is
`(row, feature)`, `y` are `(row,)` class numbers from 0 on, `train` is `(split, row)`, True where a
row is trained on, and each learner returns the `(split, row)` class numbers it predicts.
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

NEIGHBOURS = 24
"""How many of the nearest rows are looked through for one that is trained on."""


def naive_bayes(x: Floats, y: Numbers, train: Masks) -> Numbers:
    """`GaussianNB()`."""
    classes = np.eye(y.max() + 1)[y]
    rows = train.astype(np.float64)
    counts = rows @ classes  # (split, class)
    of_classes = (classes[:, :, None] * np.hstack([x, x**2])[:, None, :]).reshape(len(x), -1)
    sums = (rows @ of_classes).reshape(*counts.shape, 2, x.shape[1]) / counts[:, :, None, None]
    means, squares = sums[:, :, 0], sums[:, :, 1]
    all_means = (rows @ x) / rows.sum(1, keepdims=True)
    spread = (rows @ x**2) / rows.sum(1, keepdims=True) - all_means**2
    variances = np.maximum(squares - means**2, 0) + 1e-9 * spread.max(1)[:, None, None]
    weights = np.concatenate([means / variances, -0.5 / variances], axis=-1)
    constants = np.log(counts) - 0.5 * (np.log(variances) + means**2 / variances).sum(-1)
    return _best(np.hstack([x, x**2]), weights, constants)


def ridge(x: Floats, y: Numbers, train: Masks) -> Numbers:
    """`RidgeClassifier()`: a straight line by least squares, with alpha = 1."""
    targets = 2 * np.eye(y.max() + 1)[y] - 1
    ones = np.hstack([x, np.ones((len(x), 1))])
    size = ones.shape[1]
    products = (ones[:, :, None] * np.hstack([ones, targets])[:, None, :]).reshape(len(x), -1)
    moments = (train.astype(np.float64) @ products).reshape(len(train), size, -1)
    penalty = np.diag([1.0] * (size - 1) + [0.0])
    weights = np.linalg.solve(moments[:, :, :size] + penalty, moments[:, :, size:])
    return _best(ones, weights.transpose(0, 2, 1), np.zeros(1))


def nearest(x: Floats, y: Numbers, train: Masks) -> Numbers:
    """`KNeighborsClassifier(1)`."""
    return nearest_of(neighbours(x), y, train)


def nearest_of(order: Numbers, y: Numbers, train: Masks) -> Numbers:
    """As `nearest`, by the `neighbours` of each row."""
    first = train[:, order].argmax(axis=-1)  # (split, row)
    return y[np.take_along_axis(order, first.T, axis=1).T]


def neighbours(x: Floats) -> Numbers:
    """The rows nearest to each row, the nearest first; of some thousand rows at most."""
    squares = (x**2).sum(1)
    distances = squares[:, None] + squares - 2 * x @ x.T
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]


def stratified(y: Numbers, n_test: int, n_splits: int, rng: np.random.Generator) -> Masks:
    """Training rows of random splits in which each class has its share of the test part.

    Shares that are no whole number of rows are rounded to the nearest, at random where that does
    not add up, as `StratifiedShuffleSplit` does.
    """
    sizes = np.bincount(y)
    keys = rng.random((n_splits, len(y)))
    train = np.ones((n_splits, len(y)), bool)
    shares = sizes * n_test / len(y)
    whole = np.floor(shares).astype(int)
    ties = rng.random((n_splits, len(sizes)))
    rest = np.round(shares - whole, 9) - 1e-6 * ties
    ranks = np.argsort(np.argsort(-rest, axis=1), axis=1)
    tested = whole + (ranks < n_test - whole.sum())
    for number in range(len(sizes)):
        rows = np.flatnonzero(y == number)
        places = np.argsort(np.argsort(keys[:, rows], axis=1), axis=1)
        train[:, rows] = places >= tested[:, number, None]
    return train


def accuracies(predicted: Numbers, y: Numbers, train: Masks) -> Floats:
    """`(split,)` shares of test rows that are predicted right."""
    right = (predicted == y) & ~train
    return right.sum(1) / (~train).sum(1)


def balanced_accuracies(predicted: Numbers, y: Numbers, train: Masks) -> Floats:
    """`(split,)` means over classes of the share of their test rows that are predicted right."""
    classes = np.eye(y.max() + 1)[y]
    right = ((predicted == y) & ~train) @ classes
    return (right / (~train @ classes)).mean(1)


def _best(x: Floats, weights: NDArray[np.floating], constants: NDArray[np.floating]) -> Numbers:
    """The class of the largest score `x @ weights + constants`, of `(split, class, feature)`."""
    n_splits, n_classes, size = weights.shape
    scores = x @ weights.reshape(-1, size).T
    scores = scores.reshape(len(x), n_splits, n_classes) + constants
    return scores.argmax(-1).T
