"""The few types that every part of the statistics shares."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

Verdict = Literal[
    "better",
    "worse",
    "equivalent",
    "better but negligible",
    "worse but negligible",
    "inconclusive",
]


class Interval(NamedTuple):
    """A closed interval, `low <= high`."""

    low: float
    high: float


class TTest(NamedTuple):
    """A two-sided t test of "the mean is zero", with the interval it inverts.

    Attributes:
        statistic: estimate / standard error; None where there is no spread to scale it by.
        pvalue: two-sided; 1 where the estimate is exactly 0, None where it cannot be given.
        df: degrees of freedom.
        standard_error: of the mean; None where there is no spread.
        interval: for the mean; None where there is no spread.
    """

    statistic: float | None
    pvalue: float | None
    df: float
    standard_error: float | None
    interval: Interval | None
