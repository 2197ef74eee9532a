"""Two independent groups: coverage, and what has no spread."""

import numpy as np
import pytest

from functional_clf.stats.unpaired import unpaired_interval

REPETITIONS = 600


def coverage(draw_a, draw_b, difference, **settings):
    random = np.random.default_rng(7)
    found = [
        unpaired_interval(draw_a(random), draw_b(random), **settings) for _ in range(REPETITIONS)
    ]
    return np.mean([low <= difference <= high for low, high in found])


@pytest.mark.parametrize("sizes", [(10, 10), (30, 30), (10, 30)], ids=str)
def test_normal_scores_are_covered(sizes):
    n, m = sizes
    covered = coverage(
        lambda random: random.normal(0.7, 0.02, n),
        lambda random: random.normal(0.6, 0.03, m),
        0.1,
    )
    assert 0.93 < covered < 0.99  # of few seeds it is wide


@pytest.mark.parametrize("n", [10, 30])
@pytest.mark.parametrize("shares", [(0.995, 0.995), (0.99, 0.999), (0.5, 0.995)], ids=str)
def test_scores_near_their_bound_are_covered(n, shares):
    p, q = shares
    covered = coverage(
        lambda random: random.binomial(200, p, n) / 200,
        lambda random: random.binomial(200, q, n) / 200,
        p - q,
        step_a=1 / 200,
        step_b=1 / 200,
    )
    assert covered > 0.94


def test_swapped_groups_have_the_mirrored_interval():
    random = np.random.default_rng(0)
    a, b = random.uniform(0.8, 1, 12), random.uniform(0.6, 0.9, 9)
    low, high = unpaired_interval(a, b)
    assert unpaired_interval(b, a) == pytest.approx((-high, -low))
    assert unpaired_interval(3 * a, 3 * b, upper=None) is not None


def test_a_group_without_spread_is_surer_of_nothing():
    low, high = unpaired_interval([1.0] * 10, [0.5, 0.52, 0.48, 0.5])
    assert low < 0.5 < high
    assert low < 0.45  # ten runs do not tell that none ever fails
    assert unpaired_interval([1.0], [0.5]).low >= -1
    assert unpaired_interval([1.0, 1.0], [0.5, 0.6], upper=None) is None
    assert unpaired_interval([1.0, 1.0], [1.0, 1.0]) is not None


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([], [0.5], "scores_a is empty"),
        ([0.5], [1.5], r"scores_b\[0\] is 1.5"),
        ([0.5], [np.nan], "fin"),
    ],
)
def test_scores_that_are_none_are_one_line(a, b, message):
    with pytest.raises(ValueError, match=message):
        unpaired_interval(a, b)
