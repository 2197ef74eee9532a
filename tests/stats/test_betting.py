import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_clf.stats import betting, betting_interval
from functional_clf.stats.betting import bounds_tests


def slow_interval(values, lower, upper, alpha, grid=2001):
    """The hedged capital of Waudby-Smith and Ramdas, one candidate and one value at a time."""
    x = [(v - lower) / (upper - lower) for v in values]
    n = len(x)
    bets, total, squares = [], 0.5, 0.25
    for i, xi in enumerate(x):
        bets.append(math.sqrt(2 * math.log(2 / alpha) / (n * squares / (i + 1))))
        total += xi
        squares += (xi - total / (i + 2)) ** 2
    kept = []
    for m in np.linspace(0, 1, grid)[1:-1]:
        above = below = 1.0
        for xi, bet in zip(x, bets, strict=True):
            above *= 1 + min(bet, 0.9 / m) * (xi - m)
            below *= 1 - min(bet, 0.9 / (1 - m)) * (xi - m)
        if max(above, below) / 2 < 1 / alpha:
            kept.append(m)
    return lower + (upper - lower) * min(kept), lower + (upper - lower) * max(kept)


@pytest.mark.parametrize("n", [1, 2, 16, 64, 300])
@pytest.mark.parametrize("kind", ["near 1", "wide", "two-valued", "constant"])
def test_agrees_with_a_slow_independent_implementation(n, kind):
    rng = np.random.default_rng(n)
    values = {
        "near 1": rng.binomial(200, 0.995, n) / 200,
        "wide": rng.uniform(-1, 1, n),
        "two-valued": np.where(rng.random(n) < 0.2, 1.0, -1.0),
        "constant": np.full(n, 0.25),
    }[kind]
    for alpha in (0.05, 0.3):
        expected = slow_interval(values, -1, 1, alpha)
        assert betting_interval(values, -1, 1, alpha) == pytest.approx(expected, abs=2 * 2 / 2000)


bounded = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=50)


@settings(derandomize=True, deadline=None)
@given(bounded, st.sampled_from([0.001, 0.05, 0.5, 0.999]))
def test_is_an_interval_that_holds_the_mean_within_the_bounds(values, alpha):
    low, high = betting_interval(values, -1, 1, alpha)
    assert -1 <= low <= np.mean(values) <= high <= 1


@settings(derandomize=True, deadline=None)
@given(bounded)
def test_mirrors_scales_and_narrows_with_alpha(values):
    low, high = betting_interval(values, -1, 1)
    mirrored = betting_interval(np.negative(values), -1, 1)
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)
    points = betting_interval(100 * np.array(values), -100, 100)
    assert points == pytest.approx((100 * low, 100 * high), abs=1e-7)
    strict = betting_interval(values, -1, 1, 0.001)
    assert strict.low <= low + 1e-9
    assert strict.high >= high - 1e-9


def test_constant_values_keep_the_width_that_an_unseen_collapse_needs():
    # A rate of collapses that 64 seeds miss with probability alpha / 2 moves the mean this far.
    unseen = 1 - (0.05 / 2) ** (1 / 64)
    low, high = betting_interval([1.0] * 64, 0, 1)
    assert high == 1
    assert 1 - 1.35 * unseen < low < 1 - unseen


def test_extremes_are_finite():
    for value in (0.0, 1.0):
        low, high = betting_interval([value], 0, 1)
        assert 0 <= low <= value <= high <= 1
    assert betting_interval([0.0] * 1000, 0, 1).low == 0


def test_many_values_narrow_it():
    d = np.random.default_rng(0).uniform(-1, 1, size=100_000)
    low, high = betting_interval(d, -1, 1)
    assert high - low < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 0, 1), "values is empty"),
        (([0.5, 1.5], 0, 1), r"values hold 1.5: they must lie in \[0, 1\]"),
        (([0.5], 1, 0), "lower is 1 and upper 0"),
        (([0.5], 0, 1, 0), "alpha is 0"),
        (([float("nan")], 0, 1), r"values\[0\] is nan"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        betting_interval(*arguments)


@pytest.mark.parametrize("kind", ["agreeing", "spread", "two bounds", "rare collapse", "all 1"])
@pytest.mark.parametrize("n", [4096, 5000])
def test_the_quick_way_to_the_ends_gives_the_same_ends(kind, n, monkeypatch):
    random = np.random.default_rng(n)
    values = {
        "agreeing": random.normal(0.01, 0.001, n),
        "spread": random.uniform(-1, 1, n),
        "two bounds": random.choice([-1.0, 1.0], n),
        "rare collapse": np.where(random.random(n) < 0.002, -0.9, 0.02),
        "all 1": np.ones(n),
    }[kind]
    quick = [betting_interval(values, -1, 1, alpha) for alpha in (0.05, 1e-6)]
    monkeypatch.setattr(betting, "_MANY", n + 1)
    assert quick == [betting_interval(values, -1, 1, alpha) for alpha in (0.05, 1e-6)]


@pytest.mark.parametrize("n", [3, 64, 500])
def test_one_look_at_a_limit_tells_what_the_interval_tells(n):
    random = np.random.default_rng(n)
    for _ in range(20):
        values = np.clip(random.normal(random.uniform(-0.5, 0.5), 0.05, n), -1, 1)
        interval = betting_interval(values, -1, 1)
        is_above, is_below = bounds_tests(values, -1, 1)
        for limit in (-0.99, -0.5, -0.01, 0.0, 0.01, 0.3, *interval, values.mean()):
            near = [end for end in interval if abs(end - limit) < 1e-12]
            if not near:
                assert is_above(limit) == (interval.low > limit)
                assert is_below(limit) == (interval.high < limit)
