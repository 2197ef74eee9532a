"""A run fails by a stated accuracy, or by the majority class, and never by both."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from functional_clf.stats import Rules, clopper_pearson, compare, compare_all

MAJORITY = [0.6, 0.6, 0.7, 0.65]


def counts(result):
    return result.model_a.failures.count, result.model_b.failures.count


def test_worse_than_the_majority_class_is_failed_and_equal_is_not():
    result = compare([0.6, 0.5, 0.9, 0.9], [0.61, 0.6, 0.7, 0.6], majority=MAJORITY)
    assert counts(result) == (1, 1)
    assert result.model_a.failures.interval == clopper_pearson(1, 4)
    assert (result.majority.minimum, result.majority.maximum) == (0.6, 0.7)
    assert result.failure_below is None
    assert (
        "Failed means worse than always predicting the largest class of the training part, or "
        "diverged."
    ) in result.conclusion
    assert result.conclusion.count("failed 1 of 4, 95 % CI") == 2


def test_diverged_runs_fail_whatever_they_score():
    mask = [True, False, False, False]
    result = compare([0.9] * 4, [0.8] * 4, majority=MAJORITY, diverged_a=mask)
    assert counts(result) == (1, 0)
    assert "(1 diverged)" in result.conclusion


def test_of_losses_the_higher_one_is_worse():
    result = compare(
        [0.6, 0.69, 0.7], [0.8, 0.69, 0.1], metric="log_loss", margin=0.01, majority=[0.69] * 3
    )
    assert counts(result) == (1, 1)
    assert "Failed means worse in log loss than always predicting the class shares" in (
        result.conclusion
    )
    auc = compare([0.4, 0.5, 0.6], [0.9] * 3, metric="roc_auc", majority=[0.5] * 3)
    assert counts(auc) == (1, 0)
    assert "Failed means worse in ROC AUC than always predicting the largest class" in (
        auc.conclusion
    )


def test_what_only_rounding_tells_apart_is_equal():
    assert 1 - 16 / 50 < 0.68
    assert counts(compare([1 - 16 / 50] * 3, [0.9] * 3, majority=[0.68] * 3)) == (0, 0)
    thirds = np.full(3, 2 / 3)
    for kinds in ((np.float32, np.float64), (np.float64, np.float32), (np.float16, np.float64)):
        column, majority = (thirds.astype(kind) for kind in kinds)
        assert counts(compare(column, column, majority=majority)) == (0, 0)
    assert counts(compare([2, 1], [2, 3], total=3, majority=np.float32([2 / 3] * 2))) == (1, 0)


def test_a_majority_changes_nothing_but_failures():
    rng = np.random.default_rng(0)
    a, b = rng.binomial(200, 0.9, (2, 20))
    plain = compare(a, b, total=200).to_dict()
    held = compare(a, b, total=200, majority=np.float32([0.5] * 20)).to_dict()
    for name in ("estimate", "interval", "bounded_interval", "verdict", "differences", "pvalue"):
        assert plain[name] == held[name]
    assert plain["majority"] is None
    assert held["majority"]["mean"] == 0.5


def test_scores_of_the_majority_class_as_scikit_learn_has_them():
    y = np.array([0, 0, 0, 1, 1])
    shares = np.tile([0.6, 0.4], (5, 1))
    guess = np.zeros(5, dtype=int)
    made = {
        "accuracy": accuracy_score(y, guess),
        "balanced_accuracy": balanced_accuracy_score(y, guess),
        "log_loss": log_loss(y, shares),
        "roc_auc": roc_auc_score(y, shares[:, 1]),
    }
    for metric, score in made.items():
        same = compare([score] * 4, [score] * 4, metric=metric, margin=0.1, majority=[score] * 4)
        assert counts(same) == (0, 0)


def test_one_majority_is_held_against_all_models():
    columns = {"a": [0.5, 0.6, 0.9, 0.9], "b": [0.7] * 4, "c": [0.1] * 4}
    found = {}
    for one in compare_all(columns, majority=MAJORITY):
        for model in (one.model_a, one.model_b):
            found.setdefault(model.name, set()).add(model.failures.count)
    assert found == {"a": {1}, "b": {0}, "c": {4}}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"majority": [0.5]}, ValueError, "accuracies_a has 2 values and majority 1: pairs need"),
        ({"majority": [0.5, 1.5]}, ValueError, r"majority\[1\] is 1.5: accuracy lies in \[0, 1\]"),
        ({"majority": [0.5, np.nan]}, ValueError, r"majority\[1\] is nan"),
        ({"majority": 0.5}, ValueError, r"majority has shape \(\)"),
        ({"majority": ["x", "y"]}, TypeError, "majority holds <U1 values"),
        (
            {"majority": [0.5, 0.5], "failure_below": 0.75},
            ValueError,
            "majority and failure_below, 0.75, are both given: a run fails by one of them",
        ),
    ],
)
def test_wrong_majorities_are_refused_in_one_line(options, error, message):
    for columns in ({}, {"total": 10}):
        scores = [[5, 6], [7, 8]] if columns else [[0.5, 0.6], [0.7, 0.8]]
        with pytest.raises(error, match=f"^{message}") as caught:
            compare(*scores, **columns, **options)
        assert "\n" not in str(caught.value)


def test_a_threshold_in_the_rules_is_not_overridden():
    with pytest.raises(ValueError, match=r"^majority and failure_below, 0.5, are both given"):
        compare_all({"a": [0.5], "b": [0.6]}, Rules(failure_below=0.5), majority=[0.5])
