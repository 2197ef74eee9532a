"""Student's t for a mean of paired differences, plain and corrected for overlapping splits."""

import math

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import quantiles, validation
from functional_clf.stats.types import FloatArray, Interval, TTest


def paired_t_interval(differences: ArrayLike, alpha: float = 0.05) -> Interval | None:
    """Return the t interval for the mean of independent paired differences.

    mean(d) +- t(1 - alpha/2; J - 1) s / sqrt(J)

    Args:
        differences: (J,) paired differences.
        alpha: share of such intervals that may miss the mean, in (0, 1).

    Returns:
        The interval, or None for one difference or where all are equal: without spread in the
        sample, t has no scale, and an interval of no width would claim certainty.

    Raises:
        ValueError: for empty or non-finite differences, or alpha outside (0, 1).

    Source:
        Student (1908), Biometrika 6, 1-25.

    Example:
        >>> low, high = paired_t_interval([0.02, 0.03, 0.01, 0.02])
        >>> round(low, 4), round(high, 4)
        (0.007, 0.033)
        >>> paired_t_interval([0.02, 0.02]) is None
        True
    """
    d = validation.differences("differences", differences)
    return t_test(d, 1 / d.size, validation.alpha_level(alpha)).interval


def corrected_t_test(
    differences: ArrayLike, n_train: int, n_test: int, alpha: float = 0.05
) -> TTest:
    """Test a mean difference over random splits of one data set, two-sided.

    t = mean(d) / sqrt((1/J + n_test/n_train) s^2),  J - 1 degrees of freedom

    Training sets of random splits overlap, so the differences are correlated and s^2 / J is far
    too small. The correction takes the correlation to be n_test / (n_train + n_test).

    That is an approximation: the true correlation depends on the learners and on the test share,
    and the smaller the share the less the correction pays. Simulated on 100 points, the 95 %
    interval of a decision tree against a stump missed the mean over data sets in 5 % of studies at
    a test share of .2, in 7 to 9 % at .1 and in 8 to 10 % at .05 (15 and 64 splits;
    `python -m bench.calibration`). Where half of all errors were training noise it missed in .6 %.

    Args:
        differences: (J,) paired differences, one a split.
        n_train: samples each model was trained on.
        n_test: samples each model was tested on.
        alpha: share of such intervals that may miss the mean, in (0, 1).

    Returns:
        A `TTest`: statistic, pvalue, df, standard_error, interval.

    Raises:
        ValueError: for empty or non-finite differences, sizes below 1, or alpha outside (0, 1).

    Source:
        Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52,
        239-281, section 3: the corrected resampled t test.

    Example:
        >>> result = corrected_t_test([0.02, 0.03, 0.01, 0.02], n_train=80, n_test=20)
        >>> round(result.statistic, 3), result.df
        (3.464, 3)
    """
    d = validation.differences("differences", differences)
    n_train = validation.integer("n_train", n_train, 1)
    n_test = validation.integer("n_test", n_test, 1)
    return t_test(d, 1 / d.size + n_test / n_train, validation.alpha_level(alpha))


def t_test(differences: FloatArray, variance_factor: float, alpha: float) -> TTest:
    """Test a zero mean, where Var(mean) = variance_factor * s^2."""
    df = differences.size - 1
    if df == 0 or np.ptp(differences) == 0:
        is_zero = differences[0] == 0
        return TTest(0.0 if is_zero else None, 1.0 if is_zero else None, df, None, None)
    standard_error = math.sqrt(variance_factor) * float(differences.std(ddof=1))
    return t_test_from_error(float(differences.mean()), standard_error, df, alpha)


def t_test_from_error(estimate: float, standard_error: float, df: float, alpha: float) -> TTest:
    """Test a zero mean from an estimate and its positive standard error."""
    statistic = estimate / standard_error
    half_width = quantiles.t_isf(alpha / 2, df) * standard_error
    return TTest(
        statistic=statistic,
        pvalue=2 * quantiles.t_sf(abs(statistic), df),
        df=df,
        standard_error=standard_error,
        interval=Interval(estimate - half_width, estimate + half_width),
    )
