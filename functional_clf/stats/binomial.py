"""Counts of seeds: exact intervals for a rate, and how often one model beats the other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import quantiles, validation
from functional_clf.stats.types import Interval


class Superiority(NamedTuple):
    """How often the first model of a pair wins.

    Attributes:
        wins: pairs with a positive difference.
        ties: pairs without a difference.
        losses: pairs with a negative difference.
        probability: (wins + ties / 2) / pairs.
        interval: for that probability.
    """

    wins: int
    ties: int
    losses: int
    probability: float
    interval: Interval


def clopper_pearson(count: int, n: int, alpha: float = 0.05) -> Interval:
    """Return the exact interval for a rate of which `count` in `n` was seen.

    Args:
        count: how many of the n, between 0 and n.
        n: how many were looked at, at least 1.
        alpha: share of such intervals that may miss the rate, in (0, 1).

    Returns:
        The interval, within [0, 1].

    Raises:
        ValueError: for a count outside 0 to n, n below 1, or alpha outside (0, 1).

    Source:
        Clopper and Pearson (1934), Biometrika 26, 404-413.

    Example:
        >>> round(clopper_pearson(0, 64).high, 7)
        0.0560091
    """
    n = validation.integer("n", n, 1)
    count = validation.integer("count", count, 0)
    if count > n:
        raise ValueError(f"count is {count}: at most n, {n}, is possible")
    return _beta_interval(count, n, validation.alpha_level(alpha))


def probability_of_superiority(differences: ArrayLike, alpha: float = 0.05) -> Superiority:
    """Return how often the difference is positive, a tie counting as half.

    The interval is Clopper and Pearson's with the half-integer count wins + ties / 2. A tie
    varies less than the win or loss it is counted between, so ties make it conservative.

    Args:
        differences: (J,) independent paired differences.
        alpha: share of such intervals that may miss the probability, in (0, 1).

    Returns:
        A `Superiority`: wins, ties, losses, probability, interval.

    Raises:
        ValueError: for empty or non-finite differences, or alpha outside (0, 1).

    Source:
        Vargha and Delaney (2000), Journal of Educational and Behavioral Statistics 25, 101-132,
        for the measure; here for pairs.

    Example:
        >>> probability_of_superiority([0.1, 0.2, 0.0, -0.1]).probability
        0.625
    """
    d = validation.differences("differences", differences)
    alpha = validation.alpha_level(alpha)
    wins, losses = int(np.count_nonzero(d > 0)), int(np.count_nonzero(d < 0))
    ties = d.size - wins - losses
    score = wins + ties / 2
    return Superiority(wins, ties, losses, score / d.size, _beta_interval(score, d.size, alpha))


def _beta_interval(count: float, n: int, alpha: float) -> Interval:
    low = quantiles.beta_ppf(alpha / 2, count, n - count + 1) if count > 0 else 0.0
    high = quantiles.beta_isf(alpha / 2, count + 1, n - count) if count < n else 1.0
    return Interval(low, high)
