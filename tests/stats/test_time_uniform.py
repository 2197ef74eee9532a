"""The interval that may be looked at after every seed: its guarantee, and the stop it makes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_clf.stats import Rules, compare, compare_all, first_settled, mean_interval
from functional_clf.stats.time_uniform import (
    seeds_to_settle,
    settled_at,
    time_uniform_interval,
)
from functional_clf.stats.verdicts import decide

CONCLUSIVE = {"better", "worse", "equivalent", "better but negligible", "worse but negligible"}


def by_hand(values, m, alpha):
    """The largest capital of the gambler who bets on a mean above m, one value at a time."""
    capital, largest, total, squares = 1.0, 0.0, 0.0, 0.0
    variance = 0.25
    for i, x in enumerate(values, 1):
        bet = np.sqrt(2 * np.log(2 / alpha) / (variance * i * np.log(i + 1)))
        capital *= 1 + min(bet, 0.9 / m) * (x - m)
        largest = max(largest, capital)
        total += x
        squares += (x - (0.5 + total) / (i + 1)) ** 2
        variance = (0.25 + squares) / (i + 1)
    return largest


def test_the_ends_are_where_the_capital_reaches_its_goal():
    values = np.random.default_rng(0).beta(8, 2, size=60)
    low, high = time_uniform_interval(values, 0, 1, 0.05)
    assert by_hand(values, low, 0.05) == pytest.approx(40, rel=1e-9)
    assert by_hand(1 - values, 1 - high, 0.05) == pytest.approx(40, rel=1e-9)


def test_it_keeps_what_was_once_ruled_out():
    values = np.r_[np.full(200, 0.9), np.full(200, 0.882)]
    low = [time_uniform_interval(values[:n], 0, 1).low for n in (200, 250, 300, 400)]
    assert low == sorted(low)  # though the values have fallen
    assert low[0] > 0.88


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_it_moves_with_its_bounds(scale):
    values = np.random.default_rng(1).random(40)
    plain, moved = (
        time_uniform_interval(values, 0, 1),
        time_uniform_interval(scale * values - 1, -1, scale - 1),
    )
    assert [scale * end - 1 for end in plain] == pytest.approx(list(moved))


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.004, 0.03, 0.5]), st.floats(0.001, 0.1))
def test_the_stop_is_the_first_conclusive_verdict(seed, effect, spread):
    rng = np.random.default_rng(seed)
    gains = np.clip(np.round(rng.normal(effect, spread, 60), 3), -1, 1)
    margin = float(rng.choice([0.0, 0.01, 0.1]))
    verdicts = [
        decide(time_uniform_interval(gains[:n], -1, 1), margin) for n in range(1, len(gains) + 1)
    ]
    conclusive = [n for n, verdict in enumerate(verdicts, 1) if verdict in CONCLUSIVE]
    assert first_settled([gains], margin, 0.05, 1.0) == (conclusive[0] if conclusive else None)
    flags = settled_at(gains, margin, 0.05, 1.0)
    assert flags.tolist() == [verdict in CONCLUSIVE for verdict in verdicts]


def test_several_verdicts_are_waited_for():
    rng = np.random.default_rng(2)
    quick, slow = rng.normal(0.5, 0.02, 900), rng.normal(0.03, 0.02, 900)
    first, last = (first_settled([one], 0.01, 0.05, 1.0) for one in (quick, slow))
    assert first < last
    assert first_settled([quick, slow], 0.01, 0.05, 1.0) == last
    assert first_settled([slow[:20]], 0.01, 0.05, 1.0) is None


@pytest.mark.parametrize(
    ("mean", "spread", "median"),
    [(0.54, 0.02, 10), (0.05, 0.03, 107), (0.02, 0.02, 422), (0.0, 0.02, 442), (0.003, 0.01, 584)],
)
def test_seeds_to_a_verdict_are_those_of_the_contract(mean, spread, median):
    rng = np.random.default_rng(3)
    stops = [
        first_settled([np.clip(rng.normal(mean, spread, 3000), -1, 1)], 0.01, 0.05, 1.0)
        for _ in range(60)
    ]
    assert np.median(stops) == pytest.approx(median, rel=0.2)


def test_what_is_seen_again_and_again_tells_when_it_settles():
    assert seeds_to_settle(np.full(3, 0.02), 0.01, 0.05, 1.0) == first_settled(
        [np.full(1000, 0.02)], 0.01, 0.05, 1.0
    )
    assert seeds_to_settle(np.full(3, 0.01), 0.01, 0.05, 1.0) is None


@pytest.mark.parametrize("law", ["ceiling", "collapse", "skewed", "two points"])
def test_it_hardly_ever_misses_at_any_number(law):
    """2000 seeds, looked at after each: at most 5 % of 300 runs and 3 standard errors."""
    rng = np.random.default_rng(4)
    n, misses = 2000, 0
    for _ in range(300):
        if law == "ceiling":
            values, mean = rng.binomial(200, 0.995, n) / 200, 0.995
        elif law == "collapse":
            values = np.where(rng.random(n) < 0.02, 0.5, 1.0)
            mean = 0.99
        elif law == "skewed":
            values, mean = rng.beta(0.1, 2, n), 0.1 / 2.1
        else:
            values, mean = (rng.random(n) < 0.3).astype(float), 0.3
        low, high = time_uniform_interval(values, 0, 1)
        misses += not low <= mean <= high  # what was once ruled out stays so
    assert misses / 300 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_a_comparison_of_what_was_looked_at_as_it_came():
    rng = np.random.default_rng(5)
    a, b = rng.binomial(200, 0.99, 300), rng.binomial(200, 0.95, 300)
    found = compare(a, b, total=200, sequential=True, names=("deep", "flat"), failure_below=0.9)
    assert found.verdict == "better"
    assert found.method == "time-uniform"
    assert found.interval == found.bounded_interval == time_uniform_interval((a - b) / 200, -1, 1)
    assert found.pvalue is found.t_pvalue is found.t_statistic is None
    failed = (b / 200 < 0.9).astype(float)
    assert found.model_b.failures.interval == time_uniform_interval(failed, 0, 1)
    assert "95 % time-uniform CI" in found.conclusion
    assert "sign-flip" not in found.conclusion
    assert found.to_dict()["sequential"] is True
    young = compare(a[:20], b[:20], total=200, sequential=True)
    assert young.verdict == "inconclusive"
    assert "would settle it at about" in young.conclusion


def test_a_lower_loss_is_better_there_too():
    a, b = np.full(900, 0.1), np.full(900, 0.3)
    rules = Rules(metric="brier_score", margin=0.05, sequential=True)
    found = compare(a, b, rules)
    assert found.verdict == "better"
    assert found.interval.high < -0.05


def test_several_comparisons_share_alpha_without_p():
    rng = np.random.default_rng(6)
    columns = {
        name: rng.binomial(200, p, 400) for name, p in zip("abc", (0.9, 0.95, 0.99), strict=True)
    }
    found = compare_all(columns, total=200, sequential=True)
    assert [one.holm_pvalue for one in found] == [None] * 3
    alone = compare(columns["b"], columns["a"], total=200, sequential=True, alpha=0.05 / 3)
    assert found[0].interval == alone.interval
    assert "over all 3 comparisons together" in found[0].conclusion


def test_a_mean_has_its_interval_too():
    scores = np.random.default_rng(7).random(50)
    assert mean_interval(scores, Rules(metric="roc_auc", sequential=True)) == time_uniform_interval(
        scores, 0, 1
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scope": "split", "n_train": 8, "n_test": 2}, "scope is 'split': splits of one data set"),
        (
            {"metric": "log_loss", "margin": 0.1},
            "metric is 'log_loss': log loss has no upper bound",
        ),
    ],
)
def test_what_has_no_such_interval_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Rules(sequential=True, **settings)


def test_a_wrong_type_is_refused_wrong_type():
    with pytest.raises(TypeError, match="sequential is 1: True or False"):
        Rules(sequential=1)
