"""How many replicates there are of what, and how large: what their spread makes of the mean's."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import metrics, scopes, validation
from functional_clf.stats.rules import Rules
from functional_clf.stats.scopes import Scope


class Design(NamedTuple):
    """What paired replicates redraw, and of how many samples they are.

    Attributes:
        scope: what each replicate redraws.
        n_train: training samples a run, where given.
        n_test: test samples a run, where given or told by the counts' total.
        step: what one test sample is worth, in the smallest test part; 0 where that is unknown, or
            where there is no bound to it.
    """

    scope: Scope
    n_train: int | None
    n_test: int | None
    step: float

    def variance_factor(self, n_pairs: int) -> float:
        """Return Var(mean) / s^2 of so many replicates."""
        if self.scope.independent:
            return 1 / n_pairs
        if self.n_train is None or self.n_test is None:
            missing = "n_train" if self.n_train is None else "n_test"
            raise ValueError(f"{missing} is None: the split scope needs both n_train and n_test")
        return 1 / n_pairs + self.n_test / self.n_train


def paired_design(rules: Rules, total: ArrayLike | None, shape: tuple[int, ...]) -> Design:
    """Return the design of columns of a shape, by the rules and by the total of their counts."""
    scope, n_test, smallest = scopes.named(rules.scope), rules.n_test, rules.n_test
    if total is not None:
        totals = validation.totals("total", total, shape)
        smallest = int(totals.min())
        if np.ptp(totals) == 0:
            if n_test not in (None, smallest):
                needed = f"counts of total={smallest} need n_test={smallest}"
                raise ValueError(f"n_test is {n_test}: {needed}")
            n_test = smallest
    step = rules.step
    if step is None:
        upper = metrics.named(rules.metric).upper
        step = 0.0 if smallest is None or upper is None else upper / smallest
    return Design(scope, rules.n_train, n_test, step)
