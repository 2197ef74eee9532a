import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from functional_clf.stats import sign_flip_test, sign_flips

DARWIN = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]


def test_darwins_maize():
    result = sign_flip_test(DARWIN)
    assert result.exact
    assert result.pvalue == 1726 / 2**15
    assert result.resamples == 2**15


def test_agrees_with_scipy():
    expected = stats.permutation_test(
        (np.array(DARWIN),), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_test(DARWIN).pvalue == pytest.approx(expected.pvalue)


def by_hand(counts):
    """All signs, in integers, so that ties are exact."""
    nonzero = [c for c in counts if c]
    sums = [
        sum(s * c for s, c in zip(signs, nonzero, strict=True))
        for signs in itertools.product((1, -1), repeat=len(nonzero))
    ]
    return sum(abs(s) >= abs(sum(nonzero)) for s in sums) / len(sums)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(-200, 200), min_size=1, max_size=9))
def test_float_accuracies_tie_as_their_counts_do(counts):
    # k / 200 is no binary fraction: 0.015 and 0.005 + 0.01 differ in their last bits.
    assert sign_flip_test(np.array(counts) / 200).pvalue == by_hand(counts)
    a = 0.3 + np.array(counts) / 400
    b = 0.3 - np.array(counts) / 400
    assert sign_flip_test(a - b).pvalue == by_hand(counts)


def test_zeros_are_harmless_and_twenty_others_are_exact():
    d = [*DARWIN, *range(1, 6)]
    assert sign_flip_test(d + [0] * 100).pvalue == sign_flip_test(d).pvalue
    assert sign_flip_test(d + [0] * 100).exact
    assert not sign_flip_test([*d, 7]).exact
    assert sign_flip_test([0.0] * 30).pvalue == 1.0


def test_random_signs_estimate_the_exact_p():
    # 21 equal differences, 6 of them negative: the exact p is a binomial tail.
    d = np.array([1.0] * 15 + [-1.0] * 6)
    exact = stats.binomtest(15, 21).pvalue
    result = sign_flip_test(d, resamples=40_000)
    assert result.pvalue == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 40_000))
    assert result == sign_flip_test(d, resamples=40_000)
    assert result.pvalue != sign_flip_test(d, resamples=40_000, seed=1).pvalue


def test_random_signs_never_give_zero():
    result = sign_flip_test(np.arange(1.0, 1001.0), resamples=99)
    assert result.pvalue == result.smallest == 1 / 100


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_the_smallest_p_is_that_of_differences_of_one_sign(n):
    same = np.arange(1.0, n + 1)
    assert sign_flip_test(same).pvalue == sign_flip_test(same).smallest == 2 / 2**n
    signs = (-1.0) ** np.arange(n)
    assert sign_flip_test(np.append(same * signs, np.zeros(7))).smallest == 2 / 2**n
    assert sign_flip_test(np.zeros(n)).smallest == 1


def test_memory_does_not_grow_with_the_pairs():
    peaks = []
    for n in (2_000, 20_000):
        d = np.random.default_rng(0).normal(size=n)
        tracemalloc.start()
        sign_flip_test(d, resamples=999)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000  # 999 x 20 000 signs would be 20 MB at a byte each


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="resamples is 0"):
        sign_flip_test([1.0], resamples=0)
    with pytest.raises(ValueError, match=r"differences\[0\] is inf"):
        sign_flip_test([float("inf")])
    with pytest.raises(TypeError, match="differences holds <U1 values"):
        sign_flip_test(["a"])


@pytest.mark.parametrize("kind", ["continuous", "counts", "equal", "heavy"])
def test_many_differences_give_the_p_value_that_all_signs_give(kind, monkeypatch):
    """Sums of very many are drawn by another method, of the same law."""
    random = np.random.default_rng(3)
    n = 40_000
    d = {
        "continuous": random.normal(0, 0.02, n),
        "counts": random.binomial(200, 0.5, n) / 200 - 0.5,
        "equal": random.choice([-0.01, 0.01], n),
        "heavy": random.standard_cauchy(n) / 1e5,
    }[kind]
    for shift in (0.0, 1.3, 2.2):  # in standard errors
        moved = d - d.mean() + shift * math.sqrt((d**2).sum()) / n
        if kind != "continuous":  # else all sizes would be other ones
            moved = d.copy()
            moved[np.flatnonzero(d < 0)[: round(shift * math.sqrt(n) / 2)]] *= -1
        fast = sign_flip_test(moved, seed=1).pvalue
        with monkeypatch.context() as patch:
            patch.setattr(sign_flips, "_ALL_DRAWN_UP_TO", n)
            slow = sign_flip_test(moved, seed=2).pvalue
        assert abs(fast - slow) < 5 * math.sqrt(2 * slow * (1 - slow) / 10_000) + 1e-3
