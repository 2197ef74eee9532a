"""What `compare` would decide on in each of many studies of one size, drawn from a larger one."""

import math

import numpy as np
from numpy.typing import NDArray

from functional_clf.stats.betting import constant_intervals
from functional_clf.stats.design import Design
from functional_clf.stats.metrics import Metric
from functional_clf.stats.pairs import Pairs
from functional_clf.stats.score_limits import Estimates, Limits, limits, paired_estimates
from functional_clf.stats.types import FloatArray, Interval


def drawn_intervals(
    pairs: Pairs, drawn: NDArray[np.int64], design: Design, metric: Metric, alpha: float
) -> list[Interval | None]:
    """Return the interval of each study, a row of `drawn` being its seeds; None without any."""
    differences, size = pairs.differences[drawn], drawn.shape[1]
    varies = np.ptp(differences, axis=1) > 0
    estimates = None
    if varies.any():
        a, b = (column[drawn[varies]] for column in (pairs.a, pairs.b))
        estimates = paired_estimates(a, b, design.variance_factor(size), design.step, metric.upper)
    ends = decided_on(estimates, varies, differences[:, 0], size, design, metric, alpha)
    return [
        None if math.isnan(low) else Interval(float(low), float(high))
        for low, high in zip(*ends, strict=True)
    ]


def decided_on(
    estimates: Estimates | None,
    varies: NDArray[np.bool_],
    first: FloatArray,
    size: int,
    design: Design,
    metric: Metric,
    alpha: float,
) -> Limits:
    """Return the ends of each study's interval; NaN where none can be given.

    It is t's with score limits where the differences vary, and where they do not the bounded
    interval, if replicates are independent and scores have a bound.

    Args:
        estimates: of the studies that vary, in their order; None where none does.
        varies: (studies,) whether a study's differences vary.
        first: (studies,) one difference of each.
        size: seeds a study.
        design: what seeds redraw.
        metric: what the scores are.
        alpha: share of such intervals that may miss.
    """
    low, high = np.full(len(varies), np.nan), np.full(len(varies), np.nan)
    upper = metric.upper
    if estimates is not None:
        most = math.inf if upper is None else upper  # what a difference of scores can be
        found = limits(estimates, alpha)
        low[varies], high[varies] = np.maximum(found.low, -most), np.minimum(found.high, most)
    if design.scope.independent and upper is not None and not varies.all():
        values, of_study = np.unique(first[~varies], return_inverse=True)
        ends = constant_intervals(values, size, -upper, upper, alpha)
        low[~varies], high[~varies] = (end[of_study] for end in ends)
    return Limits(low, high)
