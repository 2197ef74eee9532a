"""Two columns (or tables) of scores, paired and checked."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import validation
from functional_clf.stats.metrics import ACCURACY, Metric
from functional_clf.stats.types import FloatArray


class Pairs(NamedTuple):
    """Scores of two models on the same replicates, and their differences, all one shape."""

    a: FloatArray
    b: FloatArray
    differences: FloatArray

    @property
    def mean_difference(self) -> float:
        """The mean of the differences; 0 where only rounding noise would give it a sign."""
        return float(np.round(self.differences.mean(), validation.DECIMALS)) + 0.0

    @property
    def correlation(self) -> float | None:
        """Of the two columns; None where one of them does not vary."""
        if self.a.size < 2 or np.ptp(self.a) == 0 or np.ptp(self.b) == 0:
            return None
        if min(self.a.var(), self.b.var()) < np.finfo(np.float64).tiny:  # too small to divide by
            return None
        return float(np.clip(np.corrcoef(self.a, self.b)[0, 1], -1, 1))

    @property
    def variance_ratio(self) -> float | None:
        """Var(a - b) / (Var a + Var b), below 1 where pairing helped; None without variance."""
        if self.a.size < 2:
            return None
        separate = self.a.var(ddof=1) + self.b.var(ddof=1)
        return float(self.differences.var(ddof=1) / separate) if separate > 0 else None


def paired(
    name_a: str,
    a: ArrayLike,
    name_b: str,
    b: ArrayLike,
    total: ArrayLike | None,
    ndim: int = 1,
    metric: Metric = ACCURACY,
) -> Pairs:
    """Pair two columns of scores, or with `total`, of counts of correct predictions."""
    if total is None:
        scores_a, scores_b = validation.scores({name_a: a, name_b: b}, metric, ndim)
        validation.same_shape(name_a, scores_a, name_b, scores_b)
        d = np.round(scores_a - scores_b, validation.DECIMALS)
        return Pairs(scores_a, scores_b, d)
    if not metric.is_count:
        raise ValueError(
            f"total is {validation.shown(total)}: counts tell the accuracy alone, and the metric "
            f"is {metric.words}; give its scores, and n_test in place of total"
        )
    whole = validation.totals("total", total, validation.array(name_a, a).shape)
    counts_a = validation.counts(name_a, a, whole, ndim)
    counts_b = validation.counts(name_b, b, whole, ndim)
    validation.same_shape(name_a, counts_a, name_b, counts_b)
    d = np.round((counts_a - counts_b) / whole, validation.DECIMALS)
    return Pairs(counts_a / whole, counts_b / whole, d)
