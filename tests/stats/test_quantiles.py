"""The quantiles against `scipy.stats`, closed forms, and the tails they are to leave."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from functional_clf.stats import clopper_pearson, quantiles

SMALL = 1e-12

tails = st.floats(-12.3, -0.31).map(lambda exponent: 10**exponent)  # half an alpha
degrees = st.floats(0, 6).map(lambda exponent: int(10**exponent))
fewer = st.floats(0, 4).map(lambda exponent: int(10**exponent))
many = settings(derandomize=True, deadline=None, max_examples=400)


def same(found, expected, rel=SMALL):
    return found == pytest.approx(expected, rel=rel, abs=0)


@many
@given(tails, degrees)
def test_t(q, df):
    quantile = quantiles.t_isf(q, df)
    assert same(quantile, stats.t.isf(q, df))
    assert same(quantile, -stats.t.ppf(q, df))
    assert same(quantiles.t_sf(quantile, df), stats.t.sf(quantile, df))
    assert same(quantiles.t_sf(quantile, df), q)
    assert same(quantiles.t_sf(-quantile, df), 1 - q)


@pytest.mark.parametrize("q", [0.3, 0.025, 1e-6, 5e-13])
def test_t_in_closed_form(q):
    assert same(quantiles.t_isf(q, 1), 1 / math.tan(math.pi * q))
    assert same(quantiles.t_isf(q, 2), (1 - 2 * q) / math.sqrt(2 * q * (1 - q)))
    assert same(quantiles.t_sf(1 / math.tan(math.pi * q), 1), q)
    assert same(quantiles.t_isf(q, math.inf), stats.norm.isf(q))


def test_far_tails_of_t_are_not_lost_to_rounding():
    assert quantiles.t_sf(1e6, 9) == pytest.approx(stats.t.sf(1e6, 9), rel=SMALL)
    assert 0 < quantiles.t_sf(1e6, 9) < 1e-45
    assert quantiles.t_sf(0.0, 9) == 0.5


@many
@given(tails, st.integers(0, 3000).flatmap(lambda k: st.tuples(st.just(k), st.integers(k, 3000))))
def test_beta(q, case):
    k, n = case  # of n, in halves
    a, b = (k + 1) / 2, (n - k + 1) / 2
    assert same(quantiles.beta_ppf(q, a, b), stats.beta.ppf(q, a, b))
    assert same(quantiles.beta_isf(q, a, b), stats.beta.isf(q, a, b))


@many
@given(tails, st.floats(0, 6).map(lambda exponent: int(10**exponent)))
def test_clopper_and_pearsons_ends_in_closed_form(q, n):
    none, all_of_them = clopper_pearson(0, n, 2 * q), clopper_pearson(n, n, 2 * q)
    assert none.low == 0
    assert all_of_them.high == 1
    assert same(none.high, -math.expm1(math.log(q) / n))
    assert same(all_of_them.low, math.exp(math.log(q) / n))


@many
@given(tails, fewer)
def test_chi_square(q, df):
    assert same(quantiles.chi_square_ppf(q, df), stats.chi2.ppf(q, df))
    assert same(quantiles.chi_square_isf(q, df), stats.chi2.isf(q, df))
    assert same(stats.chi2.sf(quantiles.chi_square_isf(q, df), df), q, rel=1e-10)


@many
@given(tails, fewer, fewer)
def test_f(q, df, df_below):
    assert same(quantiles.f_ppf(q, df, df_below), stats.f.ppf(q, df, df_below))
    # `stats.f.isf` is the quantile of 1 - q, which has lost the digits of a small q.
    assert same(stats.f.sf(quantiles.f_isf(q, df, df_below), df, df_below), q, rel=1e-10)
    if q > 1e-3:
        assert same(quantiles.f_isf(q, df, df_below), stats.f.isf(q, df, df_below), rel=1e-10)


@many
@given(tails, fewer)
def test_an_f_of_one_degree_is_the_square_of_t(q, df):
    assert same(quantiles.f_isf(2 * min(q, 0.25), 1, df), quantiles.t_isf(min(q, 0.25), df) ** 2)


def test_plain_numbers_come_back():
    found = [
        quantiles.t_isf(0.025, 9),
        quantiles.t_sf(2.0, 9),
        quantiles.beta_ppf(0.025, 1, 9),
        quantiles.beta_isf(0.025, 1, 9),
        quantiles.chi_square_ppf(0.025, 9),
        quantiles.chi_square_isf(0.025, 9),
        quantiles.f_ppf(0.025, 3, 9),
        quantiles.f_isf(0.025, 3, 9),
    ]
    assert {type(value) for value in found} == {float}
    assert np.isfinite(found).all()
