"""Limits for a difference of scores that hold near their bounds, where those of t alone do not."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import quantiles, validation
from functional_clf.stats.metrics import ACCURACY, Metric
from functional_clf.stats.pairs import paired
from functional_clf.stats.types import FloatArray, Interval

_HALVINGS = 60


class Limits(NamedTuple):
    """Ends of one interval, or of one a study."""

    low: FloatArray
    high: FloatArray


def score_t_interval(
    accuracies_a: ArrayLike,
    accuracies_b: ArrayLike,
    alpha: float = 0.05,
    variance_factor: float | None = None,
    step: float = 0.0,
    upper: float | None = 1.0,
) -> Interval | None:
    """Return the t interval for a mean paired difference of accuracies, widened by score limits.

    Near 1, a model that by luck errs little also varies little, so t looks surest when it is
    furthest off: at .9895 against .9995 it calls the models equivalent within their true
    difference in 4 % of studies, not 2.5 %. A score limit asks how much the accuracy would vary
    if the limit were the truth. With t's quantile q and the standard error e of a mean accuracy
    m, Wilson's limits are the p with

        (m - p)^2 = q^2 e^2 p (1 - p) / (m (1 - m))

    that is, Wilson's for the m (1 - m) / e^2 test samples that e is worth. Newcombe's hybrid joins
    those of a (l_a, u_a) and of b into limits for the difference, r being their correlation:

        high = m_a - m_b + sqrt((u_a - m_a)^2 - 2 r (u_a - m_a) (m_b - l_b) + (m_b - l_b)^2)

    and likewise low. Where accuracies are far from 0 and 1 or replicates many, this is t's. The
    interval returned is the smallest that holds both, so it is never narrower than t's.

    t errs likewise at any accuracy, where the models differ on few of the test samples and all to
    one side: on one fixed test set, or where one model's errors are among the other's (at .6
    against .61 by 20 new test samples, and 20 runs, t calls them equivalent within their true
    difference in 7 % of studies). Where each sample moves the difference by one `step`, whatever
    the others do, the differences' third central moment is at most step s^2, to either side. For
    that much skewness Johnson's modified t adds step (1 + 2 q^2) / (6 J) to t's half width, or
    with a variance factor in place of 1 / J as much.

    Other scores between 0 and `upper`, u, vary like accuracies or less: with mean m, their variance
    is m (u - m) at most. So p (u - p) / (m (u - m)) takes the place of the ratio above, where what
    share they have of the most there can be is taken to stay the same. A score without an upper
    bound has no such limit: its interval is t's alone.

    Nothing here allows for seeds that are hard or easy as a whole: where both models' error rates
    are multiplied, seed by seed, by an exponential variable, so that most seeds go well and a few
    badly, the models are called equivalent within their true difference in 5 % of studies,
    not 2.5 % (`python -m bench.calibration`).

    Args:
        accuracies_a: (J,) accuracies (or other scores) of the first model in [0, `upper`].
        accuracies_b: (J,) the same for the second model, on the same replicates.
        alpha: share of such intervals that may miss the mean, in (0, 1).
        variance_factor: Var(mean) / variance of one, above 0; 1 / J where not given. For splits
            that overlap, Nadeau and Bengio's 1 / J + n_test / n_train.
        step: what one test sample is worth, 1 / n_test; 0 where it is not known.
        upper: the largest score there can be; None where there is none.

    Returns:
        The interval, or None for one pair or where all differences are equal, as
        `paired_t_interval`.

    Raises:
        ValueError: for columns that are empty, unlike in length or not in [0, `upper`], or for
            alpha, variance_factor, step or upper out of range.

    Source:
        Wilson (1927), JASA 22, 209-212; Newcombe (1998), "Improved confidence intervals for the
        difference between binomial proportions based on paired data", Statistics in Medicine 17,
        2635-2650; Zou and Donner (2008), Statistics in Medicine 27, 1693-1702, for any limits and
        correlation; Korn and Graubard (1998), Survey Methodology 24, 193-201, for the effective
        number of samples with t's quantile; Johnson (1978), "Modified t tests and confidence
        intervals for asymmetrical populations", JASA 73, 536-544.

    Example:
        >>> a, b = [0.98, 0.99, 0.99, 1.0], [1.0, 1.0, 1.0, 1.0]
        >>> low, high = score_t_interval(a, b)
        >>> round(low, 4), round(high, 4)
        (-0.0335, 0.003)
    """
    columns = "accuracies_a", accuracies_a, "accuracies_b", accuracies_b, None
    pairs = paired(*columns, metric=_metric_within(upper))
    alpha = validation.alpha_level(alpha)
    factor = validation.optional(validation.real, "variance_factor", variance_factor)
    factor = 1 / pairs.a.size if factor is None else factor
    if not 0 < factor < math.inf:
        raise ValueError(f"variance_factor is {variance_factor}: a number above 0 is needed")
    step = validation.fraction("step", step, upper)
    if np.ptp(pairs.differences) == 0:
        return None
    low, high = limits(paired_estimates(pairs.a, pairs.b, factor, step, upper), alpha)
    return Interval(float(low), float(high))


class Estimates(NamedTuple):
    """What limits for a difference of scores are made of, for one study or an array of them.

    Attributes:
        mean_a: mean score of the first model, in [0, `upper`].
        mean_b: the same of the second.
        error_a: standard error of the first mean.
        error_b: of the second.
        error_difference: of their difference.
        df: degrees of freedom of t.
        skewness: bound of the difference's third central moment over its variance.
        upper: the largest score there can be; None where there is none, and t's limits are all.
    """

    mean_a: ArrayLike
    mean_b: ArrayLike
    error_a: ArrayLike
    error_b: ArrayLike
    error_difference: ArrayLike
    df: float
    skewness: float = 0.0
    upper: float | None = 1.0


def paired_estimates(
    a: FloatArray,
    b: FloatArray,
    variance_factor: float,
    step: float = 0.0,
    upper: float | None = 1.0,
) -> Estimates:
    """Return the estimates of each study: two or more replicates along the last axis."""
    differences = np.round(a - b, validation.DECIMALS)
    errors = [math.sqrt(variance_factor) * x.std(axis=-1, ddof=1) for x in (a, b, differences)]
    df, skewness = a.shape[-1] - 1, variance_factor * step
    means = a.mean(axis=-1), b.mean(axis=-1)
    return Estimates(*means, *errors, df=df, skewness=skewness, upper=upper)


def limits(estimates: Estimates, alpha: float) -> Limits:
    """Return the limits from estimates of any shape."""
    return _limits_at(quantiles.t_isf(alpha / 2, estimates.df), estimates)


def limits_pvalue(estimates: Estimates) -> float:
    """Return the smallest alpha at which the limits leave out 0, from one study's estimates.

    By bisection, as the limits move outwards with t's quantile. It is below alpha exactly where
    the limits at alpha leave out 0, and never below t's own p value, as those hold t's interval.
    """
    mean_a, mean_b, *_, error_difference, df, _, _ = estimates
    leaves_out = 0.0
    holds = abs(float(mean_a) - float(mean_b)) / float(error_difference)  # type: ignore[arg-type]
    for _ in range(_HALVINGS):
        quantile = (leaves_out + holds) / 2
        low, high = _limits_at(quantile, estimates)
        if low > 0 or high < 0:
            leaves_out = quantile
        else:
            holds = quantile
    return 2 * quantiles.t_sf(leaves_out, df)


def possible(limits: Limits | Interval, upper: float | None = 1.0) -> Interval:
    """Return the limits of one study, cut to what a difference of scores can be."""
    most = math.inf if upper is None else upper
    return Interval(max(float(limits.low), -most), min(float(limits.high), most))


def _limits_at(quantile: float, estimates: Estimates) -> Limits:
    *arrays, _, skewness, upper = estimates
    mean_a, mean_b, error_a, error_b, error_difference = (np.asarray(x, float) for x in arrays)
    difference = mean_a - mean_b
    half_width = quantile * error_difference + skewness * (1 + 2 * quantile**2) / 6
    if upper is None:
        return Limits(difference - half_width, difference + half_width)

    # In a crossed design the three errors are estimates of their own: r can leave [-1, 1].
    product = error_a * error_b
    covariance = (error_a**2 + error_b**2 - error_difference**2) / 2
    correlation = np.clip(_ratio(covariance, product), -1, 1)

    below_a, above_a = _wilson_arms(mean_a, quantile * error_a, upper)
    below_b, above_b = _wilson_arms(mean_b, quantile * error_b, upper)
    below = _joined(below_a, above_b, correlation)
    above = _joined(above_a, below_b, correlation)
    return Limits(
        difference - np.maximum(below, half_width), difference + np.maximum(above, half_width)
    )


def _wilson_arms(
    mean: FloatArray, half_width: FloatArray, upper: float
) -> tuple[FloatArray, FloatArray]:
    """Return how far Wilson's limits are below and above a mean score in [0, upper]."""
    variance = mean * (upper - mean)  # of a score that is 0 or upper; of any other it is less
    k = _ratio(half_width**2, variance)  # quantile^2 / effective number of samples
    shift = k * (upper / 2 - mean) / (1 + k)
    reach = np.sqrt(k * variance + (k * upper) ** 2 / 4) / (1 + k)
    return reach - shift, reach + shift


def _metric_within(upper: float | None) -> Metric:
    """Return what scores with such an upper bound are checked as."""
    if upper is not None and not validation.real("upper", upper) > 0:
        raise ValueError(f"upper is {upper}: a number above 0 is needed, or None for no bound")
    return ACCURACY if upper == 1 else Metric("score", "score", is_share=False, upper=upper)


def _joined(arm: FloatArray, other: FloatArray, correlation: FloatArray) -> FloatArray:
    square = arm**2 + other**2 - 2 * correlation * arm * other
    return np.sqrt(np.maximum(square, 0.0))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide, with 0 where the denominator is 0 (a model without spread, or always right)."""
    positive = denominator > 0
    return np.where(positive, numerator / np.where(positive, denominator, 1.0), 0.0)
