"""Quantiles and tails of the laws that intervals and tests are read from.

They are `scipy.stats`'s own, taken where it takes them: `scipy.special` loads in a fraction of the
time, and SciPy itself puts that off until a quantile is asked for. Upper tails are asked for as
such, never as one minus the rest: at the small alphas of many comparisons nothing would be left.
"""

import math

import numpy as np
import scipy


def t_isf(q: float, df: float) -> float:
    """Return what Student's t exceeds with probability `q`.

    >>> round(t_isf(0.025, 14), 4)
    2.1448
    """
    return -float(scipy.special.stdtrit(df, q))


def t_sf(value: float, df: float) -> float:
    """Return the probability that Student's t exceeds a value.

    >>> f"{t_sf(40.0, 14):.3g}"
    '3.88e-16'
    """
    return float(scipy.special.stdtr(df, -value))


def beta_ppf(q: float, a: float, b: float) -> float:
    """Return what a beta variable falls below with probability `q`.

    >>> round(beta_ppf(0.025, 10, 9991), 7)
    0.0004796
    """
    return float(scipy.special.betaincinv(a, b, q))


def beta_isf(q: float, a: float, b: float) -> float:
    """Return what a beta variable exceeds with probability `q`.

    >>> round(beta_isf(0.025, 1, 64), 7)
    0.0560091
    """
    return float(scipy.special.betainccinv(a, b, q))


def chi_square_ppf(q: float, df: float) -> float:
    """Return what chi-square falls below with probability `q`.

    >>> round(chi_square_ppf(0.025, 4), 4)
    0.4844
    """
    return 2 * float(scipy.special.gammaincinv(df / 2, q))


def chi_square_isf(q: float, df: float) -> float:
    """Return what chi-square exceeds with probability `q`.

    >>> round(chi_square_isf(0.025, 4), 4)
    11.1433
    """
    return 2 * float(scipy.special.gammainccinv(df / 2, q))


def f_ppf(q: float, df: float, df_below: float) -> float:
    """Return what F, of so many degrees of freedom above and below, falls below.

    >>> round(f_ppf(0.025, 2, 4), 4)
    0.0255
    """
    # F is df_below/df times the odds of a beta variable; either share of it keeps all its digits.
    share = scipy.special.betaincinv(df / 2, df_below / 2, q)
    rest = scipy.special.betainccinv(df_below / 2, df / 2, q)
    return df_below / df * float(share / rest)


def f_isf(q: float, df: float, df_below: float) -> float:
    """Return what F, of so many degrees of freedom above and below, exceeds.

    >>> round(f_isf(0.025, 2, 4), 4)
    10.6491
    """
    return 1 / f_ppf(q, df_below, df)


def noncentral_t_cdf(value: float, df: float, shift: float) -> float:
    """Return the probability that noncentral t falls to a value or below.

    >>> round(noncentral_t_cdf(2.0345, 33, 2.9155), 3)
    0.192
    """
    if df == float("inf"):
        return float(scipy.special.ndtr(value - shift))
    share = float(scipy.special.nctdtr(df, shift, value))
    if math.isnan(share):  # of some arguments SciPy does not find it: the mean over chi's quantiles
        shares = (np.arange(20_000) + 0.5) / 20_000
        scales = np.sqrt(2 * scipy.special.gammaincinv(df / 2, shares) / df)
        return float(scipy.special.ndtr(value * scales - shift).mean())
    return share
