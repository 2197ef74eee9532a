import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.dummy import DummyClassifier

from functional_clf.stats.metrics import METRICS
from functional_clf.study.scores import SCORED, majority_scores, scores_of


def sample(n_classes, n_samples, seed, levels=None):
    """Random logits of two replicates, and labels with every class; few levels make many ties."""
    rng = np.random.default_rng(seed)
    shape = (2, n_samples) if n_classes == 2 else (2, n_samples, n_classes)
    logits = 3 * rng.normal(size=shape)
    if levels:
        logits = np.round(logits * levels) / levels
    y = np.stack([rng.permutation(np.arange(n_samples) % n_classes) for _ in range(2)])
    return logits, y.astype(np.float32)


def by_scikit_learn(logits, truth, n_classes):
    if n_classes == 2:
        shares = np.stack([1 - scipy.special.expit(logits), scipy.special.expit(logits)], 1)
        predicted, ranked = (logits > 0).astype(int), shares[:, 1]
    else:
        shares = ranked = scipy.special.softmax(logits, 1)
        predicted = logits.argmax(1)
    truth = truth.astype(int)
    one_hot = np.eye(n_classes)[truth]
    return {
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "log_loss": metrics.log_loss(truth, shares, labels=range(n_classes)),
        "brier_score": (
            metrics.brier_score_loss(truth, ranked)
            if n_classes == 2
            else ((shares - one_hot) ** 2).sum(1).mean()
        ),
        "roc_auc": metrics.roc_auc_score(truth, ranked, multi_class="ovr", average="macro"),
        "f1_macro": metrics.f1_score(truth, predicted, average="macro", zero_division=0.0),
    }


def test_all_metrics_but_the_counted_one_are_worked_out():
    assert set(SCORED) == set(METRICS) - {"accuracy"}


@settings(max_examples=40, deadline=None)
@given(
    n_classes=st.sampled_from([2, 3, 4, 10]),
    n_samples=st.integers(20, 90),
    seed=st.integers(0, 10**6),
    levels=st.sampled_from([None, 1, 2]),
)
def test_scores_are_scikit_learns_to_the_last_digits(n_classes, n_samples, seed, levels):
    logits, y = sample(n_classes, n_samples, seed, levels)
    found = scores_of(logits, y, n_classes)
    for lane in range(2):
        wanted = by_scikit_learn(logits[lane], y[lane], n_classes)
        for name, value in wanted.items():
            assert found.metrics[name][lane] == pytest.approx(value, rel=1e-12, abs=1e-14), name


def test_the_brier_score_of_several_classes_is_scikit_learns_where_it_has_one():
    logits, y = sample(3, 60, seed=1)
    shares = scipy.special.softmax(logits[0], 1)
    try:
        wanted = metrics.brier_score_loss(y[0].astype(int), shares)
    except (TypeError, ValueError):
        pytest.skip("this scikit-learn has none of several classes")
    assert scores_of(logits, y, 3).metrics["brier_score"][0] == pytest.approx(wanted, rel=1e-12)


def test_the_confusion_matrix_is_scikit_learns():
    logits, y = sample(4, 50, seed=2)
    found = scores_of(logits, y, 4).confusion
    for lane in range(2):
        wanted = metrics.confusion_matrix(y[lane], logits[lane].argmax(1))
        np.testing.assert_array_equal(found[..., lane], wanted)


def test_probabilities_of_0_and_1_have_a_finite_log_loss_as_in_scikit_learn():
    logits, y = np.array([[1e4, -1e4]]), np.array([[0.0, 1.0]])
    wanted = metrics.log_loss([0, 1], [[0.0, 1.0], [1.0, 0.0]])
    assert scores_of(logits, y, 2).metrics["log_loss"][0] == pytest.approx(wanted)


def test_a_class_without_a_test_sample_leaves_the_area_undefined_and_nothing_else():
    logits, y = sample(3, 30, seed=3)
    y[0, y[0] == 2] = 0
    found = scores_of(logits, y, 3).metrics
    assert np.isnan(found["roc_auc"][0])
    assert np.isfinite(found["roc_auc"][1])
    truth, predicted = y[0].astype(int), logits[0].argmax(1)
    recall = metrics.recall_score(truth, predicted, labels=[0, 1], average="macro")
    assert found["balanced_accuracy"][0] == pytest.approx(recall)
    assert found["f1_macro"][0] == pytest.approx(
        metrics.f1_score(truth, predicted, average="macro", zero_division=0.0)
    )


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_who_predicts_nothing_has_the_worst_score_and_touches_no_neighbour(broken):
    logits, y = sample(3, 30, seed=4)
    alone = scores_of(logits[1:], y[1:], 3)
    logits[0, 5, 1] = broken
    found = scores_of(logits, y, 3)
    for name, metric in METRICS.items():
        if name in SCORED:
            worst = 0.0 if metric.higher_is_better else (metric.upper or -np.log(2.0**-52))
            assert found.metrics[name][0] == pytest.approx(worst), name
            assert found.metrics[name][1] == alone.metrics[name][0]
    assert found.confusion[..., 0].sum() == 0


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_largest_class_is_scored_as_a_dummy_classifier(n_classes):
    rng = np.random.default_rng(5)
    y_train = rng.choice(n_classes, size=(1, 80), p=[0.6, 0.4, 0.0][:2] if n_classes == 2 else
                         [0.5, 0.3, 0.2])  # fmt: skip
    y_test = rng.permutation(np.arange(40) % n_classes)[None]
    found = majority_scores(y_train.astype(float), y_test.astype(float), n_classes)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((80, 1)), y_train[0])
    shares, predicted = (call(np.zeros((40, 1))) for call in (dummy.predict_proba, dummy.predict))
    assert found["accuracy"][0] == metrics.accuracy_score(y_test[0], predicted)
    assert found["log_loss"][0] == pytest.approx(metrics.log_loss(y_test[0], shares))
    assert found["roc_auc"][0] == 0.5
    assert found["balanced_accuracy"][0] == pytest.approx(1 / n_classes)
    wanted = metrics.f1_score(y_test[0], predicted, average="macro", zero_division=0.0)
    assert found["f1_macro"][0] == pytest.approx(wanted)
