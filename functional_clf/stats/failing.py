"""Which runs failed by their score: below a stated accuracy, or worse than the majority class."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from functional_clf.stats import validation
from functional_clf.stats.metrics import ACCURACY, Metric, named
from functional_clf.stats.pairs import Pairs
from functional_clf.stats.rules import Rules
from functional_clf.stats.types import FloatArray


class Failing(NamedTuple):
    """Which runs of two models score too low, and what the majority class scores, where given."""

    a: NDArray[np.bool_]
    b: NDArray[np.bool_]
    majority: FloatArray | None = None


def failing_runs(
    rules: Rules, pairs: Pairs, columns: Mapping[str, ArrayLike], majority: ArrayLike | None
) -> Failing:
    """Return which runs score below the rules' threshold, or worse than the majority class.

    Args:
        rules: their `failure_below` is the threshold, their `metric` says what is worse.
        pairs: the scores of both models.
        columns: the same by name as they came, so that these and `majority` meet at the lowest
            precision of any; shares, where they came as counts.
        majority: (J,) scores of always predicting the majority class, or None.

    Raises:
        ValueError: for a threshold and a majority at once, or majority scores that are out of
            bounds or do not pair up.
    """
    metric, below = named(rules.metric), rules.failure_below
    if majority is None:
        return Failing(worse_than(below, pairs.a, metric), worse_than(below, pairs.b, metric))
    if below is not None:
        raise ValueError(
            f"majority and failure_below, {below:g}, are both given: a run fails by one of them, "
            "so leave one out"
        )
    shares = dataclasses.replace(metric, is_count=False)  # whatever the columns are
    validation.scores({"majority": majority}, shares)
    a, b, guesses = validation.scores({**columns, "majority": majority}, shares)
    validation.same_shape(next(iter(columns)), a, "majority", guesses)
    return Failing(worse_than(guesses, a, metric), worse_than(guesses, b, metric), guesses)


def worse_than(
    threshold: FloatArray | float | None, scores: FloatArray, metric: Metric = ACCURACY
) -> NDArray[np.bool_]:
    """Return which scores are worse than a threshold, or each than its own; none without one.

    Equal is not worse, nor is 1 - 16/50 worse than .68, which only rounding tells apart.

    >>> worse_than(0.68, np.array([1 - 16 / 50, 0.67])).tolist()
    [False, True]
    """
    if threshold is None:
        return np.zeros(scores.shape, dtype=bool)
    return np.round(metric.gains(np.asarray(threshold - scores)), validation.DECIMALS) > 0
