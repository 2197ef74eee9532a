"""How many seeds a study needs, from the spread that a pilot has shown."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import metrics, quantiles, scopes, validation, wording
from functional_clf.stats.cautions import seeds_to_settle
from functional_clf.stats.metrics import Metric
from functional_clf.stats.rules import PairedSettings, Rules, chosen
from functional_clf.stats.scopes import Scope
from functional_clf.stats.searching import smallest_enough
from functional_clf.stats.summaries import plain
from functional_clf.stats.types import Interval
from functional_clf.stats.verdicts import settled
from functional_clf.support.notebook import Table, panel

MOST_SEEDS = 10_000_000
"""Of more the number is not worth knowing."""

_FAR = 6.0  # the other tail is then below 1e-9, whatever the degrees of freedom

SPREAD_CONFIDENCE = 0.8
"""Of the upper limit of a pilot's standard deviation."""


class Needed(NamedTuple):
    """How many seeds one criterion needs; None where no number is known to be enough.

    Attributes:
        estimate: at the standard deviation as the pilot has it.
        upper: at its upper 80 % limit; None also where there is no such.
    """

    estimate: int | None
    upper: int | None


@dataclass(frozen=True)
class SeedPlan:
    """How many seeds (or splits) a comparison of two models needs.

    Attributes:
        names: of the two models.
        scope: what each seed redraws.
        n_pilot: paired seeds of the pilot; None where a standard deviation was given.
        estimate: mean difference of the pilot; None without one.
        standard_deviation: of the paired differences, in the metric's unit; None where the pilot
            has no spread.
        upper_standard_deviation: its upper 80 % limit; None where it was given.
        half_width: of the interval that is asked for.
        power: share of studies that shall tell a difference of one margin from none.
        margin: the smallest difference that matters.
        alpha: share of intervals that may miss; of several comparisons, this one's part.
        n_comparisons: how many comparisons share the error rate.
        for_half_width: seeds for a t interval of that half-width.
        for_power: seeds for that power.
        for_bounded: seeds with which the bounded interval settles the verdict, if they are all like
            those of a pilot without spread; None where that is not the case, or no number is.
        least_error: what the standard error never falls below; 0 where seeds are independent.
        n_train: training samples a seed.
        n_test: test samples a seed.
        metric: what the scores are.
    """

    names: tuple[str, str]
    scope: Scope
    n_pilot: int | None
    estimate: float | None
    standard_deviation: float | None
    upper_standard_deviation: float | None
    half_width: float
    power: float
    margin: float
    alpha: float
    n_comparisons: int
    for_half_width: Needed
    for_power: Needed
    for_bounded: int | None
    least_error: float
    n_train: int | None
    n_test: int | None
    metric: str

    @property
    def advised(self) -> int | None:
        """Seeds that meet both criteria at the upper limit, or else at the estimate.

        The bounded interval's number where the pilot has no spread; None where no number is known.
        """
        if self.standard_deviation is None:
            return self.for_bounded
        pairs = zip(self.for_half_width, self.for_power, strict=True)
        estimate, upper = (None if None in pair else max(pair) for pair in pairs)  # type: ignore
        return estimate if upper is None else upper

    @property
    def conclusion(self) -> str:
        """What is needed, in words."""
        return " ".join(f"{sentence}." for sentence in self._sentences())

    def half_width_of(self, n_seeds: float, standard_deviation: float) -> float:
        """Return the half-width of the interval of so many seeds with such a spread."""
        return half_width_of(n_seeds, standard_deviation, self.alpha, self._floor_factor)

    def power_of(self, n_seeds: float, standard_deviation: float) -> float:
        """Return the power of so many seeds with such a spread."""
        return power_of(n_seeds, standard_deviation, self.margin, self.alpha, self._floor_factor)

    def to_dict(self) -> dict[str, Any]:
        """Return it all as plain data for JSON: no NaN or infinity, None for what is undefined."""
        return plain(self) | {
            "scope": self.scope.name,
            "advised": self.advised,
            "conclusion": self.conclusion,
        }

    @property
    def _floor_factor(self) -> float:
        if self.scope.independent or self.n_train is None or self.n_test is None:
            return 0.0
        return self.n_test / self.n_train

    @property
    def _metric(self) -> Metric:
        return metrics.named(self.metric)

    def rows(self) -> list[tuple[str, str, str]]:
        """Return each criterion with its numbers, in words."""
        goals = (
            (f"half-width {self._size(self.half_width)}", self.for_half_width),
            (f"power {wording.threshold(self.power)} % at {self._size(self.margin)}",
             self.for_power),
        )  # fmt: skip
        return [(goal, self._number(n.estimate), self._number(n.upper)) for goal, n in goals]

    def _repr_html_(self) -> str:
        """Return what is advised, why, and both criteria's numbers, for a notebook."""
        a, b = self.names
        seeds = "seeds" if self.scope.independent else "splits"
        advised = "No number is known to be enough."
        if self.advised is not None:
            advised = f"Advised: {self.advised} {seeds}."
        table = Table(("", seeds, "at the upper limit of the spread"), self.rows())
        return panel(f"How many {seeds}: {a} against {b}", advised, [self.conclusion, table])

    def _number(self, needed: int | None) -> str:
        if needed is not None:
            return str(needed)
        if self.standard_deviation is None:
            return "unknown"
        return f"more than {MOST_SEEDS}" if self.scope.independent else "no number"

    def _size(self, value: float) -> str:
        return f"{100 * value:.3g} pp" if self._metric.is_share else f"{value:.3g}"

    def _sentences(self) -> list[str]:
        seeds = "seeds" if self.scope.independent else "splits"
        a, b = self.names
        if self.standard_deviation is None:
            return self._without_spread(seeds)
        spread = f"a standard deviation of {self._size(self.standard_deviation)}"
        start = f"{a} against {b}: with {spread} of the paired differences"
        if self.upper_standard_deviation is not None:
            start += f", as {self.n_pilot} pilot {seeds} have it (at most "
            start += f"{self._size(self.upper_standard_deviation)}, with 80 % confidence)"
        level = wording.confidence(self.alpha * self.n_comparisons).removesuffix(" CI")
        if self.n_comparisons > 1:
            level += f" (over all {self.n_comparisons} comparisons together)"
        width = self._words_of(self.for_half_width, seeds)
        power = self._words_of(self.for_power, seeds)
        percent = wording.threshold(self.power)
        sentences = [
            f"{start}, a {level} t interval of ±{self._size(self.half_width)} {width}",
            f"To tell a difference of {self._size(self.margin)} from none in {percent} % of "
            f"studies {power}",
        ]
        if not self.scope.independent and None in (self.for_half_width[0], self.for_power[0]):
            sentences.append(
                f"No number can: with {self.n_train} samples "
                f"for training and {self.n_test} for testing, the standard error does not fall "
                f"below {self._size(self.least_error)}; only more data would help"
            )
        return sentences

    def _words_of(self, needed: Needed, seeds: str) -> str:
        if needed.estimate is None:
            if self.scope.independent:
                return f"needs {self._number(None)} {seeds}"
            return f"is beyond any number of {seeds}"
        words = f"needs {needed.estimate} {seeds}"
        if self.upper_standard_deviation is not None:
            words += f" ({self._number(needed.upper)} at that limit)"
        return words

    def _without_spread(self, seeds: str) -> list[str]:
        start = f"{self.names[0]} against {self.names[1]}"
        if self.n_pilot == 1:
            return [f"{start}: one pilot seed shows no spread to plan by; take 16"]
        sentence = f"{start}: all {self.n_pilot} differences of the pilot are equal, so there is "
        sentence += "no spread to plan by"
        if self.for_bounded is None:
            return [f"{sentence}, and no number of {seeds} like these is known to decide"]
        return [sentence, f"The bounded CI would decide with {self.for_bounded} {seeds} like these"]


def plan(
    differences: ArrayLike | None = None,
    rules: Rules | None = None,
    *,
    standard_deviation: float | None = None,
    half_width: float | None = None,
    power: float = 0.8,
    names: tuple[str, str] = ("model a", "model b"),
    n_comparisons: int = 1,
    **settings: Unpack[PairedSettings],
) -> SeedPlan:
    """Return how many seeds a study needs, from a pilot's differences or a standard deviation.

    With s the standard deviation and f(n) = 1 / n (in the split scope 1 / n + n_test / n_train),
    the numbers are the smallest n of 2 and more with

        t(1 - alpha/2; n - 1) s sqrt(f(n)) <= half_width
        P(|T| > t(1 - alpha/2; n - 1)) >= power,  T noncentral t, n - 1 df, margin / (s sqrt(f(n)))

    each at s as the pilot has it, and at its upper 80 % limit, s sqrt((J - 1) / chi2(.2; J - 1)),
    as a small pilot's s is too small as often as too large. They are those of Student's t: the
    intervals of `compare` are somewhat wider where scores are near their bounds, and the bounded
    interval needs more.

    Args:
        differences: (J,) paired differences of a pilot, in the metric's unit (shares, not points).
        rules: the study's `scope`, sizes, `margin`, `alpha` and `metric`.
        standard_deviation: of the differences, above 0, in place of a pilot.
        half_width: of the interval, in the metric's unit; the margin where not given.
        power: in (alpha, 1).
        names: of the two models.
        n_comparisons: how many share `alpha`, by Bonferroni.
        settings: in place of `rules`, those of its fields one by one.

    Returns:
        A `SeedPlan`. Of a pilot without spread it has the number of the bounded interval.

    Raises:
        ValueError: for a value out of range, neither or both of pilot and standard deviation, or
            sizes that are missing in the split scope.
        TypeError: for a value of the wrong type.

    Source:
        Cohen (1988), "Statistical power analysis for the behavioral sciences", chapter 2; Browne
        (1995), "On the use of a pilot sample for sample size determination", Statistics in
        Medicine 14, 1933-1940, for the upper 80 % limit; Nadeau and Bengio (2003) for splits.

    Example:
        >>> plan(standard_deviation=0.02).for_power.estimate
        34
        >>> plan(standard_deviation=0.02, scope="split", n_train=80, n_test=20).for_power.estimate
    """
    rules = chosen("plan", rules, settings, PairedSettings.__optional_keys__)
    rules = rules.for_each_of(validation.positive_integer("n_comparisons", n_comparisons))
    metric, scope = metrics.named(rules.metric), scopes.named(rules.scope)
    margin, alpha = rules.settled_margin, rules.alpha
    names = validation.model_names(names)
    width = margin if half_width is None else validation.real("half_width", half_width)
    if not 0 < width < math.inf:
        raise ValueError(f"half_width is {half_width}: a number above 0 is needed")
    if not alpha < validation.real("power", power) < 1:
        raise ValueError(f"power is {power}: a number above alpha and below 1, as 0.8, is needed")
    if (differences is None) == (standard_deviation is None):
        raise ValueError("differences or standard_deviation is needed, and not both")
    ratio = 0.0
    if not scope.independent:
        for name, size in (("n_train", rules.n_train), ("n_test", rules.n_test)):
            if size is None:
                raise ValueError(f"{name} is None: the split scope needs both n_train and n_test")
        ratio = (rules.n_test or 0) / (rules.n_train or 1)
    n_pilot = estimate = upper = bounded = None
    sd: float | None
    if differences is None:
        sd = validation.real("standard_deviation", standard_deviation)
        if not 0 < sd < math.inf:
            raise ValueError(
                f"standard_deviation is {standard_deviation}: a number above 0 is needed"
            )
    else:
        d = validation.differences("differences", differences)
        most = math.inf if metric.upper is None else metric.upper
        if np.abs(d).max() > most:
            raise ValueError(
                f"differences hold {d[np.abs(d).argmax()]}: of {metric.words} they lie in "
                f"[-{most:g}, {most:g}]"
            )
        n_pilot, estimate = d.size, float(d.mean())
        sd = None
        if np.ptp(d) > 0:
            sd = float(d.std(ddof=1))
            df = d.size - 1
            upper = sd * math.sqrt(df / quantiles.chi_square_ppf(1 - SPREAD_CONFIDENCE, df))
        elif d.size > 1 and scope.independent and metric.upper is not None:
            seen = metric.gain_interval(Interval(estimate, estimate))
            claims = settled(seen, margin) - {"better", "worse"}
            if claims:
                gains = metric.gains(d)
                bounded = seeds_to_settle(gains, claims, margin, alpha, metric.upper)
    spreads = (sd, upper)
    return SeedPlan(
        names=names,
        scope=scope,
        n_pilot=n_pilot,
        estimate=estimate,
        standard_deviation=sd,
        upper_standard_deviation=upper,
        half_width=width,
        power=float(power),
        margin=margin,
        alpha=alpha,
        n_comparisons=n_comparisons,
        for_half_width=Needed(*(seeds_for_half_width(s, width, alpha, ratio) for s in spreads)),
        for_power=Needed(*(seeds_for_power(s, margin, power, alpha, ratio) for s in spreads)),
        for_bounded=bounded,
        least_error=math.sqrt(ratio) * (sd or 0.0),
        n_train=rules.n_train,
        n_test=rules.n_test,
        metric=metric.name,
    )


def half_width_of(n: float, sd: float, alpha: float, ratio: float = 0.0) -> float:
    """Return the half-width of the t interval of n seeds; `ratio` is n_test / n_train of splits.

    >>> round(half_width_of(16, 1.0, 0.05), 4)
    0.5329
    """
    return quantiles.t_isf(alpha / 2, n - 1) * sd * math.sqrt(1 / n + ratio)


def power_of(n: float, sd: float, margin: float, alpha: float, ratio: float = 0.0) -> float:
    """Return how often n seeds tell a difference of `margin` from none, by the two-sided t test.

    >>> round(power_of(34, 1.0, 0.5, 0.05), 4)
    0.8078
    """
    quantile = quantiles.t_isf(alpha / 2, n - 1)
    shift = margin / (sd * math.sqrt(1 / n + ratio))
    above = 1 - quantiles.noncentral_t_cdf(quantile, n - 1, shift)
    if shift > _FAR:  # SciPy gives nan for some of those tails
        return above
    return above + quantiles.noncentral_t_cdf(-quantile, n - 1, shift)


def seeds_for_half_width(
    sd: float | None, half_width: float, alpha: float, ratio: float = 0.0
) -> int | None:
    """Return the fewest seeds for a t interval so narrow; None where no number is known.

    >>> seeds_for_half_width(1.0, 0.5, 0.05)
    18
    """
    if sd is None:
        return None
    return _fewest(lambda n: half_width_of(n, sd, alpha, ratio) <= half_width, ratio)


def seeds_for_power(
    sd: float | None, margin: float, power: float, alpha: float, ratio: float = 0.0
) -> int | None:
    """Return the fewest seeds for such a power; None where no number is known.

    >>> seeds_for_power(1.0, 0.5, 0.8, 0.05)
    34
    """
    if sd is None:
        return None
    return _fewest(lambda n: power_of(n, sd, margin, alpha, ratio) >= power, ratio)


def _fewest(enough: Callable[[float], bool], ratio: float) -> int | None:
    """The first of 2, 3, ... that is enough; where splits overlap, no number of them may be."""
    if ratio > 0 and not enough(math.inf):
        return None
    return smallest_enough(enough, above=1, first=2, most=MOST_SEEDS)
