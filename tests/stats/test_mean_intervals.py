"""The interval of one model's mean score."""

import numpy as np
import pytest
from scipy import stats

from functional_clf.stats import Interval, Rules, mean_interval, score_t_interval

SCORES = [0.9, 0.85, 0.97, 1.0, 0.92]


@pytest.mark.parametrize("scope", ["data", "split", "init", "test_set"])
@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
def test_of_shares_it_is_the_difference_from_nothing(scope, metric):
    rules = Rules(scope=scope, n_train=80, n_test=20, metric=metric, alpha=0.1)
    overlap = 20 / 80 if scope == "split" else 0
    low, high = score_t_interval(SCORES, [0.0] * 5, 0.1, 1 / 5 + overlap, step=1 / 20)
    assert mean_interval(SCORES, rules) == Interval(max(low, 0.0), min(high, 1.0))
    told = Rules(scope=scope, n_train=80, n_test=20, metric=metric, step=0.1)
    low, high = score_t_interval(SCORES, [0.0] * 5, 0.05, 1 / 5 + overlap, step=0.1)
    assert mean_interval(SCORES, told) == Interval(max(low, 0.0), min(high, 1.0))


def test_near_the_ceiling_it_reaches_no_further():
    low, high = mean_interval([1.0, 1.0, 0.99, 1.0], Rules())
    assert 0 < low < 0.9975 < high == 1
    assert mean_interval([0.0, 0.0, 0.9], Rules()).low == 0


@pytest.mark.parametrize("scope", ["data", "split"])
def test_of_log_loss_it_is_ts(scope):
    scores = np.array([0.3, 0.5, 1.9, 0.2, 0.4])
    rules = Rules(metric="log_loss", margin=0.01, scope=scope, n_train=80, n_test=20)
    factor = 1 / 5 + (20 / 80 if scope == "split" else 0)
    reach = stats.t.isf(0.025, 4) * np.sqrt(factor) * scores.std(ddof=1)
    low, high = mean_interval(scores, rules)
    assert low == max(0.0, scores.mean() - reach) == 0
    assert high == pytest.approx(scores.mean() + reach)
    far = mean_interval(scores + 100, rules)
    assert far == pytest.approx((scores.mean() + 100 - reach, scores.mean() + 100 + reach))


def test_of_the_brier_score_it_keeps_to_two():
    low, high = mean_interval([1.9, 2.0, 1.2], Rules(metric="brier_score", margin=0.01))
    assert 0 < low < 1.7 < high == 2
    low, high = mean_interval(SCORES, Rules(metric="brier_score", margin=0.01))
    halves = mean_interval(np.array(SCORES) / 2, Rules())
    assert (low, high) == pytest.approx((2 * halves.low, 2 * halves.high))


@pytest.mark.parametrize("scores", [[0.5], [0.5] * 9, [0.0] * 3, [1.0] * 3, [0.0, 1e-200]])
@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "brier_score"])
def test_without_spread_there_is_none(scores, metric):
    rules = Rules(metric=metric, margin=0.01, scope="split", n_train=80, n_test=20)
    assert mean_interval(scores, rules) is None


def test_wrong_scores_are_named():
    with pytest.raises(ValueError, match=r"^scores\[1\] is 1.2: accuracies lie in \[0, 1\]"):
        mean_interval([0.5, 1.2], Rules())
    with pytest.raises(ValueError, match=r"^scores is empty"):
        mean_interval([], Rules())
    with pytest.raises(ValueError, match=r"^n_train is None: the split scope needs both"):
        mean_interval([0.5, 0.6], Rules(scope="split"))
