"""What more splits of the same data set could decide, and what no number of them can."""

import math
from typing import NamedTuple

from functional_clf.stats.score_limits import Estimates, limits, possible
from functional_clf.stats.types import Interval
from functional_clf.stats.verdicts import decide

MOST_SPLITS = 100_000
"""Of more the number is not worth knowing."""


class SplitSpread(NamedTuple):
    """What splits of one data set have shown, and of what sizes they are.

    Attributes:
        mean_a: mean score of the first model.
        mean_b: the same of the second.
        sd_a: standard deviation of the first's scores over splits.
        sd_b: of the second's.
        sd_difference: of the paired differences.
        n_train: training samples of a split.
        n_test: test samples of a split.
        step: what one test sample is worth; 0 where it is not known.
        upper: the largest score there can be; None where there is none.
    """

    mean_a: float
    mean_b: float
    sd_a: float
    sd_b: float
    sd_difference: float
    n_train: int
    n_test: int
    step: float = 0.0
    upper: float | None = 1.0

    @property
    def least_error(self) -> float:
        """Below this the Nadeau-Bengio standard error of the mean difference never falls."""
        return math.sqrt(self.n_test / self.n_train) * self.sd_difference

    def interval(self, n_splits: float, alpha: float) -> Interval:
        """Return what `compare` would decide on if so many splits showed the same.

        Args:
            n_splits: 2 or more; infinity gives what all intervals of more splits hold.
            alpha: share of intervals that may miss, in (0, 1).

        Example:
            >>> seen = SplitSpread(0.92, 0.9, 0.02, 0.02, 0.02, n_train=800, n_test=200)
            >>> low, high = seen.interval(math.inf, alpha=0.05)
            >>> round(low, 4), round(high, 4)
            (-0.0002, 0.0397)
        """
        factor = 1 / n_splits + self.n_test / self.n_train
        root = math.sqrt(factor)
        estimates = Estimates(
            self.mean_a,
            self.mean_b,
            root * self.sd_a,
            root * self.sd_b,
            root * self.sd_difference,
            df=n_splits - 1,
            skewness=factor * self.step,
            upper=self.upper,
        )
        return possible(limits(estimates, alpha), self.upper)


def splits_to_settle(
    seen: SplitSpread, margin: float, alpha: float, n_splits: int = 2
) -> float | None:
    """Return how many splits would settle the verdict if they showed the same mean and spread.

    Intervals of more splits lie within those of fewer, so the first number that settles it is
    found by bisection.

    Args:
        seen: mean and spread.
        margin: the smallest difference that matters.
        alpha: share of intervals that may miss, in (0, 1).
        n_splits: the fewest to try.

    Returns:
        The number; infinity where it is more than `MOST_SPLITS`; None where no number is enough,
        as the interval that infinitely many would give leaves the verdict open.

    Example:
        >>> seen = SplitSpread(0.92, 0.9, 0.01, 0.01, 0.01, n_train=800, n_test=200)
        >>> splits_to_settle(seen, margin=0.01, alpha=0.05)
        334
        >>> splits_to_settle(seen._replace(sd_difference=0.02), margin=0.01, alpha=0.05) is None
        True
    """

    def enough(n: float) -> bool:
        # Which of the models is the better one makes no difference to whether it is settled.
        return decide(seen.interval(n, alpha), margin) != "inconclusive"

    if not enough(math.inf):
        return None
    too_few, n = n_splits - 1, n_splits
    while not enough(n):
        if n >= MOST_SPLITS:
            return math.inf
        too_few, n = n, min(2 * n, MOST_SPLITS)
    while n - too_few > 1:
        middle = (too_few + n) // 2
        too_few, n = (too_few, middle) if enough(middle) else (middle, n)
    return n
