"""Learners that fit many splits at once predict what scikit-learn's own do."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from bench import learners

OWN = {
    learners.naive_bayes: GaussianNB(),
    learners.ridge: RidgeClassifier(),
    learners.nearest: KNeighborsClassifier(1),
}
SOURCES = {
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
    "iris": load_iris,
    "wine": load_wine,
}


def drawn(source, n_splits=6):
    """Standardised features, shuffled labels, and splits."""
    x, y = SOURCES[source](return_X_y=True)
    x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    rng = np.random.default_rng(0)
    x += 1e-6 * rng.normal(size=x.shape)  # no two rows alike, as some of iris are
    y = rng.permutation(y)
    return x, y, learners.stratified(y, -(-len(y) // 5), n_splits, rng)


@pytest.mark.parametrize("learner", OWN, ids=lambda learner: learner.__name__)
@pytest.mark.parametrize("source", SOURCES)
def test_each_predicts_as_its_original_does(learner, source):
    x, y, train = drawn(source)
    predicted = learner(x, y, train)
    for row, rows in zip(predicted, train, strict=True):
        expected = OWN[learner].fit(x[rows], y[rows]).predict(x)
        np.testing.assert_array_equal(row[~rows], expected[~rows])


@pytest.mark.parametrize("source", SOURCES)
def test_splits_have_their_size_and_each_class_its_share(source):
    _, y, train = drawn(source, 50)
    n_test = -(-len(y) // 5)
    assert ((~train).sum(1) == n_test).all()
    shares = np.bincount(y) * n_test / len(y)
    for rows in train:
        assert (abs(np.bincount(y[~rows]) - shares) < 1).all()
    assert len(np.unique(train, axis=0)) == 50


def test_scores_are_those_of_their_names():
    x, y, train = drawn("wine")
    predicted = learners.naive_bayes(x, y, train)
    for score, balanced, row, rows in zip(
        learners.accuracies(predicted, y, train),
        learners.balanced_accuracies(predicted, y, train),
        predicted,
        train,
        strict=True,
    ):
        assert score == (row == y)[~rows].mean()
        assert balanced == pytest.approx(balanced_accuracy_score(y[~rows], row[~rows]))
