"""The difference of two means whose runs do not belong together, pair by pair."""

import math

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import validation
from functional_clf.stats.betting import betting_interval
from functional_clf.stats.metrics import Metric
from functional_clf.stats.score_limits import limits, paired_estimates, possible
from functional_clf.stats.types import FloatArray, Interval


def unpaired_interval(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    alpha: float = 0.05,
    step_a: float = 0.0,
    step_b: float = 0.0,
    upper: float | None = 1.0,
) -> Interval | None:
    """Return an interval for the difference of the means of two independent groups of runs.

    With each group's own interval (l, u) of its mean m, which near 0 and `upper` is widened by
    score limits (see `mean_interval`), these are joined by the method of variance estimates
    recovery:

        low  = m_a - m_b - sqrt((m_a - l_a)^2 + (u_b - m_b)^2)
        high = m_a - m_b + sqrt((u_a - m_a)^2 + (m_b - l_b)^2)

    A group without spread takes its betting interval, as t has no scale there.

    Args:
        scores_a: (J,) scores of the first group in [0, `upper`], independent runs.
        scores_b: (K,) the same of the second, of any other size.
        alpha: share of such intervals that may miss the difference, in (0, 1).
        step_a: what one test sample is worth in the first group, 1 / n_test; 0 where unknown.
        step_b: in the second.
        upper: the largest score there can be; None where there is none.

    Returns:
        The interval, or None where a group has no spread and its scores no upper bound.

    Raises:
        ValueError: for scores that are empty or not in [0, `upper`], or alpha out of range.
        TypeError: for scores that are no numbers.

    Source:
        Zou and Donner (2008), "Construction of confidence limits about effect measures: a general
        approach", Statistics in Medicine 27, 1693-1702.

    Example:
        >>> low, high = unpaired_interval([0.90, 0.91, 0.89, 0.90], [0.80, 0.82, 0.78, 0.80, 0.81])
        >>> round(low, 3), round(high, 3)
        (0.075, 0.121)
    """
    alpha = validation.alpha_level(alpha)
    metric = Metric("score", "score", is_share=False, upper=upper)
    a, b = validation.scores({"scores_a": scores_a, "scores_b": scores_b}, metric)
    own_a, own_b = _own(a, alpha, step_a, upper), _own(b, alpha, step_b, upper)
    if own_a is None or own_b is None:
        return None
    (low_a, high_a), (low_b, high_b) = own_a, own_b
    mean_a, mean_b = float(a.mean()), float(b.mean())
    below = math.hypot(mean_a - low_a, high_b - mean_b)
    above = math.hypot(high_a - mean_a, mean_b - low_b)
    return possible(Interval(mean_a - mean_b - below, mean_a - mean_b + above), upper)


def _own(values: FloatArray, alpha: float, step: float, upper: float | None) -> Interval | None:
    """The interval of one group's mean."""
    if values.size < 2 or np.ptp(np.round(values, validation.DECIMALS)) == 0:
        return None if upper is None else betting_interval(values, 0, upper, alpha)
    nothing = np.zeros_like(values)
    low, high = limits(paired_estimates(values, nothing, 1 / values.size, step, upper), alpha)
    return Interval(float(low), float(high))
