"""An interval that holds at every number of seeds at once, so that looking early costs nothing."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from functional_clf.stats.betting import LARGEST_STAKE, checked_values, variances_before
from functional_clf.stats.summaries import ModelSummary
from functional_clf.stats.types import FloatArray, Interval
from functional_clf.stats.verdicts import decide

_HALVINGS = 50
_MOST_SEEDS = 100_000  # further ahead nobody looks


def time_uniform_interval(
    values: ArrayLike, lower: float, upper: float, alpha: float = 0.05
) -> Interval:
    """Return an interval for the mean of bounded values that may be looked at after every one.

    As in `betting_interval` a gambler bets against each candidate mean m, now by bets that do not
    hang on how many values there will be,

        K+_t(m) = prod_{i <= t} (1 + min(l_i, c/m) (x_i - m)),
        l_i = sqrt(2 log(2/alpha) / (v_{i-1} i log(i + 1))),   c = 0.9

    and m is out for good once the capital has reached 2/alpha at any t, from above or from below.
    With probability 1 - alpha the mean is in the intervals of all t = 1, 2, ... together, so one
    may stop whenever one likes, as at the first that settles a verdict, and go on later. The price
    is an interval that is most often wider than `betting_interval`'s at a number fixed beforehand.

    Args:
        values: (n,) independent values in [lower, upper], in the order they were drawn.
        lower: what no value can fall below.
        upper: what no value can exceed.
        alpha: chance that the mean is ever outside, in (0, 1).

    Returns:
        The interval after the last value; it always holds the sample mean (widening it to do so
        is safe).

    Raises:
        ValueError: as `betting_interval`.

    Source:
        Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting",
        JRSS B 86, 1-27, section 4 (hedged capital, theorem 3, predictable plug-in bets).

    Example:
        >>> low, high = time_uniform_interval([0.5] * 64, 0, 1)
        >>> round(low, 3), round(high, 3)
        (0.469, 0.531)
    """
    y, lower, upper, alpha = checked_values(values, lower, upper, alpha)
    x = (y - lower) / (upper - lower)
    bets = _bets(x, alpha)
    low, high = _smallest_kept(x, bets, alpha), 1 - _smallest_kept(1 - x, bets, alpha)
    width, mean = upper - lower, float(y.mean())
    return Interval(min(lower + width * low, mean), max(lower + width * high, mean))


def rejected_after(
    values: FloatArray, lower: float, upper: float, mean: float, alpha: float = 0.05
) -> NDArray[np.bool_]:
    """Return after which of some values a candidate for their mean is out for good.

    Args:
        values: (n,) in [lower, upper], in the order they were drawn.
        lower: as of `time_uniform_interval`.
        upper: as of `time_uniform_interval`.
        mean: the candidate.
        alpha: chance that the true mean is ever out.

    Returns:
        (n,) False as long as it is in.

    Example:
        >>> int(np.argmax(rejected_after(np.full(50, 0.9), 0, 1, mean=0.5))) + 1
        7
    """
    x, m = (values - lower) / (upper - lower), (mean - lower) / (upper - lower)
    bets = _bets(x, alpha)
    return _is_rejected(x, bets, m, alpha) | _is_rejected(1 - x, bets, 1 - m, alpha)


def settled_at(gains: FloatArray, margin: float, alpha: float, upper: float) -> NDArray[np.bool_]:
    """Return after which of some differences the time-uniform interval settles the verdict.

    Args:
        gains: (n,) differences in [-upper, upper], plus for better, in the order they were drawn.
        margin: the smallest difference that matters.
        alpha: as of the interval.
        upper: the largest difference there can be.

    Returns:
        (n,) True where `decide` of the interval after that many would be conclusive.

    Example:
        >>> found = settled_at(np.full(500, 0.02), margin=0.01, alpha=0.05, upper=1.0)
        >>> int(np.argmax(found)) + 1
        416
    """
    x = (gains + upper) / (2 * upper)
    margins = (upper + margin) / (2 * upper), (upper - margin) / (2 * upper)
    bets = _bets(x, alpha)
    means = np.cumsum(gains) / np.arange(1, gains.size + 1)
    above_margin, above_minus = (_is_rejected(x, bets, m, alpha) for m in margins)
    below_margin, below_minus = (_is_rejected(1 - x, bets, 1 - m, alpha) for m in margins)
    better = above_margin & (means > margin)
    worse = below_minus & (means < -margin)
    within = below_margin & above_minus & (np.abs(means) < margin)
    return better | worse | within


def first_settled(
    columns: Sequence[FloatArray], margin: float, alpha: float, upper: float
) -> int | None:
    """Return after how many seeds the time-uniform intervals first settle all of some verdicts.

    Args:
        columns: (n,) differences of each comparison, as for `settled_at`.
        margin: the smallest difference that matters.
        alpha: of each comparison: its part, where there are several.
        upper: the largest difference there can be.

    Returns:
        The number of seeds, at most n; None where they settle not all.

    Example:
        >>> first_settled([np.full(500, 0.02), np.full(500, 0.5)], 0.01, 0.05, 1.0)
        416
    """
    flags = np.logical_and.reduce([settled_at(one, margin, alpha, upper) for one in columns])
    for place in np.flatnonzero(flags).tolist():
        ends = [time_uniform_interval(one[: place + 1], -upper, upper, alpha) for one in columns]
        # The last bit of an end may say otherwise than the bet against the margin itself.
        if all(decide(interval, margin) != "inconclusive" for interval in ends):
            return place + 1
    return None


def seeds_to_settle(gains: FloatArray, margin: float, alpha: float, upper: float) -> int | None:
    """Return how many seeds like these, in their order again and again, would settle the verdict.

    None where 100 000 are not enough.

    Example:
        >>> seeds_to_settle(np.array([0.02, 0.02]), margin=0.01, alpha=0.05, upper=1.0)
        416
    """
    return first_settled([np.resize(gains, _MOST_SEEDS)], margin, alpha, upper)


def with_time_uniform_rate(
    summary: ModelSummary, failed: NDArray[np.bool_], alpha: float
) -> ModelSummary:
    """Return a model's summary whose limits of the failure rate hold at every number of runs."""
    interval = time_uniform_interval(failed.astype(np.float64), 0, 1, alpha)
    failures = dataclasses.replace(summary.failures, interval=interval)
    return dataclasses.replace(summary, failures=failures)


def _bets(x: FloatArray, alpha: float) -> FloatArray:
    """Bet more the less the values seen so far have varied, and ever less as time goes by."""
    t = np.arange(1, x.size + 1)
    return np.sqrt(2 * math.log(2 / alpha) / (variances_before(x) * t * np.log(t + 1)))


def _is_rejected(x: FloatArray, bets: FloatArray, m: float, alpha: float) -> NDArray[np.bool_]:
    """Whether betting on a mean above m has been won, after each value."""
    if m <= 0:
        return np.zeros(x.size, dtype=bool)
    capital = np.cumsum(np.log1p(np.minimum(bets, LARGEST_STAKE / m) * (x - m)))
    return np.maximum.accumulate(capital) >= math.log(2 / alpha)


def _smallest_kept(x: FloatArray, bets: FloatArray, alpha: float) -> float:
    """Bisect for the smallest candidate that betting on a larger mean has never rejected."""
    rejected, kept = 0.0, 1.0
    for _ in range(_HALVINGS):
        m = (rejected + kept) / 2
        if _is_rejected(x, bets, m, alpha)[-1]:
            rejected = m
        else:
            kept = m
    return kept if rejected > 0 else 0.0
