"""What one column of scores looks like, and how results become plain data."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from functional_clf.stats.binomial import clopper_pearson
from functional_clf.stats.types import FloatArray, Interval


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Mean, spread and quantiles of a column; `standard_deviation` is None for one value."""

    mean: float
    standard_deviation: float | None
    minimum: float
    quantile_05: float
    median: float
    quantile_95: float
    maximum: float


@dataclasses.dataclass(frozen=True)
class Failures:
    """Runs that diverged, or whose score is worse than the threshold, where one was stated.

    `interval` is for the failure rate; None where runs are not independent (a crossed design).
    """

    count: int
    n: int
    interval: Interval | None
    diverged: int


@dataclasses.dataclass(frozen=True)
class ModelSummary:
    """One model of a comparison; `accuracy` holds its scores, whichever the metric."""

    name: str
    accuracy: Distribution
    failures: Failures


def describe(values: FloatArray) -> Distribution:
    """Summarise the values of an array of any shape."""
    quantiles = np.quantile(values, [0, 0.05, 0.5, 0.95, 1])
    spread = float(values.std(ddof=1)) if values.size > 1 else None
    return Distribution(float(values.mean()), spread, *(float(q) for q in quantiles))


def describe_model(
    name: str,
    scores: FloatArray,
    diverged: NDArray[np.bool_],
    low: NDArray[np.bool_],
    alpha: float | None,
) -> ModelSummary:
    """Summarise one model; `alpha` None stands for runs that are not independent.

    Failed are the runs that diverged and those whose score is too `low`.
    """
    n = scores.size
    failed = int(np.count_nonzero(diverged | low))
    interval = None if alpha is None else clopper_pearson(failed, n, alpha)
    failures = Failures(failed, n, interval, int(np.count_nonzero(diverged)))
    return ModelSummary(name, describe(scores), failures)


def plain(value: Any) -> Any:
    """Return dicts, lists, strings, numbers and None only: what JSON can hold.

    >>> plain(Interval(0.0, float("inf")))
    {'low': 0.0, 'high': None}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
