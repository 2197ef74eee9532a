import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from functional_clf.stats import clopper_pearson, probability_of_superiority


def test_known_intervals():
    assert clopper_pearson(0, 64) == pytest.approx((0, 0.0560091), abs=5e-8)
    assert clopper_pearson(10, 10_000) == pytest.approx((4.796e-4, 1.8383e-3), abs=5e-8)


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_agrees_with_scipy(case):
    count, n = case
    expected = stats.binomtest(count, n).proportion_ci(0.9, method="exact")
    assert clopper_pearson(count, n, 0.1) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((5, 4), ValueError, "count is 5: at most n, 4"),
        ((-1, 4), ValueError, "count is -1"),
        ((0, 0), ValueError, "n is 0"),
        ((1, 4, 0.0), ValueError, "alpha is 0.0"),
        ((0.5, 4), TypeError, "count is 0.5: an integer"),
        ((True, 4), TypeError, "count is True: an integer"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        clopper_pearson(*arguments)


def test_superiority_counts_a_tie_as_half():
    result = probability_of_superiority([0.1, 0.2, 0.0, -0.1])
    assert result[:4] == (2, 1, 1, 0.625)
    assert result.interval.low < 0.625 < result.interval.high


def test_superiority_without_ties_is_clopper_pearson():
    assert probability_of_superiority([1.0] * 7 + [-1.0] * 3).interval == clopper_pearson(7, 10)


def test_superiority_takes_rounding_noise_for_a_tie():
    assert probability_of_superiority([0.1 + 0.2 - 0.3]).ties == 1


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=40))
def test_superiority_mirrors(d):
    one, other = probability_of_superiority(d), probability_of_superiority(np.negative(d))
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    assert one.probability == pytest.approx(1 - other.probability)
    assert one.interval == pytest.approx((1 - other.interval.high, 1 - other.interval.low))
