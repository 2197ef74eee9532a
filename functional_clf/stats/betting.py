"""A guaranteed interval for the mean of bounded values, by betting against each candidate."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import validation
from functional_clf.stats.types import FloatArray, Interval

# Largest share of the capital put at risk in one bet. Any fixed value below 1 keeps the
# guarantee; the paper names 1/2 and 3/4. Values that all but agree (what accuracies do) are
# bounded by this cap: 0.9 gives intervals 40 % shorter than 1/2 on them, and up to 15 %
# longer ones on values that keep jumping between the two bounds.
LARGEST_STAKE = 0.9
_HALVINGS = 50
_MANY, _STEPS, _APART = 4096, 8, 1e-12  # of so many values each look at a candidate takes a while


def betting_interval(
    values: ArrayLike, lower: float, upper: float, alpha: float = 0.05
) -> Interval:
    """Return an interval that covers the mean of bounded values at any n, whatever their law.

    For x_i = (value_i - lower) / (upper - lower) and a candidate mean m, a gambler who bets that
    the mean is above m ends with the capital

        K+(m) = prod_i (1 + min(l_i, c/m) (x_i - m)),    l_i = sqrt(2 log(2/alpha) / (n v_{i-1}))

    where v_{i-1} is the variance of the values before i (regularised as in the paper) and c = 0.9.
    If m is the mean, K+ has expectation 1 and exceeds 2/alpha with probability at most alpha/2.
    So the m with K+(m) >= 2/alpha are rejected, and likewise from above, betting on 1 - x. K+
    falls in m, so what is left is an interval and bisection finds its ends. Unlike t, it stays
    valid where a rare value far from the rest has not shown up yet.

    Args:
        values: (n,) independent values in [lower, upper], in the order they were drawn: bets
            look back, so do not sort them.
        lower: what no value can fall below.
        upper: what no value can exceed.
        alpha: share of such intervals that may miss the mean, in (0, 1).

    Returns:
        The interval; it always holds the sample mean (widening it to do so is safe).

    Raises:
        ValueError: for empty or non-finite values, values outside the bounds, lower >= upper, or
            alpha outside (0, 1).

    Source:
        Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting",
        JRSS B 86, 1-27, section 4 (hedged capital, theorem 3) at a fixed n, without the running
        intersection.

    Example:
        >>> low, high = betting_interval([0.5] * 64, 0, 1)
        >>> round(low, 3), round(high, 3)
        (0.468, 0.532)
    """
    y, lower, upper, alpha = checked_values(values, lower, upper, alpha)
    width = upper - lower
    x = (y - lower) / width
    bets = _bets(x, alpha)
    low = _largest_rejected(x, bets, alpha)
    high = 1 - _largest_rejected(1 - x, bets, alpha)
    mean = float(y.mean())
    return Interval(min(lower + width * low, mean), max(lower + width * high, mean))


def constant_intervals(
    values: FloatArray, n: int, lower: float, upper: float, alpha: float
) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the betting intervals of each value `(k,)`, as often as n in a row.

    Studies without spread have no other interval, and many of them are asked for at once.

    >>> low, high = constant_intervals(np.array([0.5, 1.0]), 64, 0, 1, 0.05)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.468, 0.938], [0.532, 1.0])
    """
    y = np.repeat(values[:, None], n, axis=1)
    width = upper - lower
    x = (y - lower) / width
    bets = _bets(x, alpha)
    low, high = _all_rejected(x, bets, alpha), 1 - _all_rejected(1 - x, bets, alpha)
    mean = y.mean(axis=1)
    return np.minimum(lower + width * low, mean), np.maximum(lower + width * high, mean)


def bounds_tests(
    values: ArrayLike, lower: float, upper: float, alpha: float = 0.05
) -> tuple[Callable[[float], bool], Callable[[float], bool]]:
    """Return whether all of the betting interval lies above a limit, and whether below one.

    One look at one candidate tells, where the interval itself takes a hundred.

    >>> is_above, is_below = bounds_tests([0.5] * 64, 0, 1)
    >>> is_above(0.46), is_above(0.47), is_below(0.54)
    (True, False, True)
    """
    y, lower, upper, alpha = checked_values(values, lower, upper, alpha)
    x = (y - lower) / (upper - lower)
    bets, mean = _bets(x, alpha), float(y.mean())

    def excludes(x: FloatArray, share: float) -> bool:
        # The next candidate above it that bisection would come to.
        m = (math.floor(share * 2.0**_HALVINGS) + 1) / 2.0**_HALVINGS
        return m <= 0 or (m < 1 and _excess(x, bets, alpha, m) >= 0)

    def is_above(limit: float) -> bool:
        return mean > limit and excludes(x, (limit - lower) / (upper - lower))

    def is_below(limit: float) -> bool:
        return mean < limit and excludes(1 - x, (upper - limit) / (upper - lower))

    return is_above, is_below


def checked_values(
    values: ArrayLike, lower: float, upper: float, alpha: float
) -> tuple[FloatArray, float, float, float]:
    """Return values, their bounds and alpha, checked."""
    y = validation.numbers("values", values)
    low, high = validation.numbers("lower and upper", [lower, upper]).tolist()
    alpha = validation.alpha_level(alpha)
    if not low < high:
        raise ValueError(f"lower is {lower} and upper {upper}: lower must be below upper")
    outside = y[(y < low) | (y > high)]
    if outside.size:
        raise ValueError(f"values hold {outside[0]}: they must lie in [{lower}, {upper}]")
    return y, low, high, alpha


def variances_before(x: FloatArray) -> FloatArray:
    """Return the variance of the values in [0, 1] before each, along the last axis.

    The first sees none. It is regularised as by one value at 1/2 and a variance of 1/4.
    """
    seen = np.arange(1, x.shape[-1] + 1)
    means = (0.5 + np.cumsum(x, axis=-1)) / (seen + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2, axis=-1)) / (seen + 1)
    return np.concatenate([np.full((*x.shape[:-1], 1), 0.25), variances[..., :-1]], axis=-1)


def _bets(x: FloatArray, alpha: float) -> FloatArray:
    """Bet more the less the values seen so far have varied; the first bet sees none."""
    return np.sqrt(2 * math.log(2 / alpha) / (x.shape[-1] * variances_before(x)))


def _largest_rejected(x: FloatArray, bets: FloatArray, alpha: float) -> float:
    """Bisect for the largest candidate that betting on a larger mean rejects; 0 if none."""
    surely_rejected, surely_kept = 0.0, 1.0
    if x.size >= _MANY:
        surely_rejected, surely_kept = _bracket(x, bets, alpha)
    rejected, kept = 0.0, 1.0
    for _ in range(_HALVINGS):
        m = (rejected + kept) / 2
        is_known = m <= surely_rejected or m >= surely_kept
        if m <= surely_rejected if is_known else _excess(x, bets, alpha, m) >= 0:
            rejected = m
        else:
            kept = m
    return rejected


def _all_rejected(x: FloatArray, bets: FloatArray, alpha: float) -> FloatArray:
    """Bisect as `_largest_rejected` does, for each row."""
    rejected, kept = np.zeros(len(x)), np.ones(len(x))
    for _ in range(_HALVINGS):
        m = (rejected + kept) / 2
        capital = np.log1p(np.minimum(bets, LARGEST_STAKE / m[:, None]) * (x - m[:, None]))
        is_rejected = capital.sum(axis=1) - math.log(2 / alpha) >= 0
        rejected, kept = np.where(is_rejected, m, rejected), np.where(is_rejected, kept, m)
    return rejected


def _excess(x: FloatArray, bets: FloatArray, alpha: float, m: float) -> float:
    """Return by how much the log capital that bets against `m` end with exceeds its goal."""
    capital = np.log1p(np.minimum(bets, LARGEST_STAKE / m) * (x - m)).sum()
    return float(capital) - math.log(2 / alpha)


def _bracket(x: FloatArray, bets: FloatArray, alpha: float) -> tuple[float, float]:
    """Return a candidate that is rejected and one that is kept, close together.

    The excess falls in m, nearly as a line, so false position finds its zero in a few steps, where
    each halving takes a step. Where it does not, all that is known is that 0 is rejected and 1 is
    kept.
    """
    kept = float(x.mean())
    if not 0 < kept < 1:
        return 0.0, 1.0
    stakes = np.minimum(bets, LARGEST_STAKE / kept).sum()
    rejected = kept - 4 * math.log(2 / alpha) / float(stakes)
    if rejected <= 0:
        return 0.0, 1.0
    above, below = (_excess(x, bets, alpha, m) for m in (rejected, kept))
    if above < 0 or below >= 0:
        return 0.0, 1.0
    for _ in range(_STEPS):
        m = rejected + (kept - rejected) * above / (above - below)
        # Beyond the zero, so that both ends come close to it.
        for aim in (m - _APART, m + _APART):
            if rejected < aim < kept:
                excess = _excess(x, bets, alpha, aim)
                if excess >= 0:
                    rejected, above = aim, excess
                else:
                    kept, below = aim, excess
        if kept - rejected <= 4 * _APART:
            break
    return rejected, kept
