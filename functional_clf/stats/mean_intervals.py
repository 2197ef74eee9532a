"""How well one model does by itself: the interval of its mean score."""

import math

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import metrics, validation
from functional_clf.stats.design import paired_design
from functional_clf.stats.rules import Rules
from functional_clf.stats.score_limits import limits, paired_estimates
from functional_clf.stats.time_uniform import time_uniform_interval
from functional_clf.stats.types import Interval


def mean_interval(scores: ArrayLike, rules: Rules) -> Interval | None:
    """Return the interval of one model's mean score, which reaches as far as the rules' scope.

    It is that of the difference from a score of 0 everywhere (see `score_t_interval`), cut to what
    a score can be. Where the metric has no upper bound it is t's alone; where runs were looked at
    as they came, it is the time-uniform one.

    Args:
        scores: (J,) scores of `rules.metric`, one a replicate; no counts.
        rules: their `scope`, sizes, `alpha`, `metric` and `step` are looked at.

    Returns:
        The interval, or None for one score or where all are equal.

    Raises:
        ValueError: for scores that are empty or out of the metric's bounds, or for the split scope
            without both sizes.
        TypeError: for scores that are no numbers.

    Source:
        As `score_t_interval`; in the split scope with the variance of `corrected_t_test`.

    Example:
        >>> low, high = mean_interval([0.9, 0.8, 0.85, 0.8], Rules(metric="roc_auc"))
        >>> round(low, 3), round(high, 3)
        (0.748, 0.914)
    """
    metric = metrics.named(rules.metric)
    (values,) = validation.scores({"scores": scores}, metric)
    if rules.sequential and metric.upper is not None:
        return time_uniform_interval(values, 0, metric.upper, rules.alpha)
    design = paired_design(rules, None, values.shape)
    factor = design.variance_factor(values.size)
    if np.ptp(np.round(values, validation.DECIMALS)) == 0:
        return None
    nothing = np.zeros_like(values)
    estimates = paired_estimates(values, nothing, factor, design.step, metric.upper)
    low, high = limits(estimates, rules.alpha)
    most = math.inf if metric.upper is None else metric.upper
    return Interval(max(float(low), 0.0), min(float(high), most))
