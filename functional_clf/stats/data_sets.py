"""One pair of models on several data sets: the effect on each, and the mean over data sets."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import clauses, metrics, validation, wording
from functional_clf.stats.betting import betting_interval
from functional_clf.stats.comparison import Comparison, compare
from functional_clf.stats.metrics import Metric
from functional_clf.stats.multiplicity import holm
from functional_clf.stats.rules import Rules, RuleSettings, chosen
from functional_clf.stats.score_limits import possible
from functional_clf.stats.student import t_test
from functional_clf.stats.types import FloatArray, Interval, Verdict
from functional_clf.stats.verdicts import decide, verdict_words

_CLAIM = "new data sets like these {k}, if they may count as drawn at random from such"


@dataclasses.dataclass(frozen=True)
class MeanOverDataSets:
    """The mean of the effects on k data sets, each of which counts as one.

    Effects are score of model a minus score of model b, in the metric's unit.

    Attributes:
        names: of the two models.
        n_data_sets: k.
        effects: (k,) the mean paired difference on each data set.
        estimate: their mean.
        interval: for the mean over data sets like these; None where none can be given.
        method: what made the interval: "t over data sets", or "bounded" where the effects show no
            spread and the metric has an upper bound.
        standard_error: of the estimate; None without spread.
        df: k - 1.
        pvalue: of t, two-sided; None without spread, unless all effects are 0.
        margin: the smallest difference that matters.
        alpha: share of intervals that may miss.
        verdict: as `compare` words it.
        metric: what the scores are.
    """

    names: tuple[str, str]
    n_data_sets: int
    effects: tuple[float, ...]
    estimate: float
    interval: Interval | None
    method: str
    standard_error: float | None
    df: float
    pvalue: float | None
    margin: float
    alpha: float
    verdict: Verdict
    metric: str

    @property
    def conclusion(self) -> str:
        """A paragraph: estimate, interval, p, verdict, and what it reaches."""
        metric = metrics.named(self.metric)
        ahead = clauses.difference(*self.names, self.estimate, self.interval, self.margin, metric)
        details = self._interval_words(metric)
        if self.pvalue is not None:
            details.append(f"t {wording.p_value(self.pvalue)}")
        gains = metric.gains(np.array(self.effects))
        better, worse = int((gains > 0).sum()), int((gains < 0).sum())
        details.append(
            f"better on {better}, equal on {self.n_data_sets - better - worse}, worse on {worse} "
            "of them"
        )
        verdict = verdict_words(
            metric.gain_interval(self.interval), self.margin, *self.names, metric
        )
        sets = wording.plural(self.n_data_sets, "data set")
        return " ".join(
            [
                f"Over {sets}, each of which counts as one, {ahead} ({'; '.join(details)}).",
                f"Verdict: {verdict}.",
                f"Scope: {_CLAIM.format(k=self.n_data_sets)}.",
            ]
        )

    def _interval_words(self, metric: Metric) -> list[str]:
        level, words = wording.confidence(self.alpha), []
        if self.standard_error is None:
            alone = "one data set shows no spread"
            reason = alone if self.n_data_sets == 1 else "all effects are equal"
            words.append(f"no t interval, as {reason}")
        if self.interval is not None:
            kind = "bounded CI" if self.method == "bounded" else "CI"
            ends = clauses.ends(self.interval, self.estimate, self.margin, metric)
            words.append(f"{level.removesuffix('CI')}{kind} {ends}")
        return words


@dataclasses.dataclass(frozen=True)
class DataSetsComparison:
    """One pair of models on several data sets.

    Attributes:
        comparisons: by data set, that of its pairs; intervals hold together, p values are Holm's.
        mean: over data sets.
    """

    comparisons: Mapping[str, Comparison]
    mean: MeanOverDataSets

    @property
    def conclusion(self) -> str:
        """That of the mean, and below it a line a data set."""
        lines = [self.mean.conclusion]
        lines += [f"{name}: {one.conclusion}" for name, one in self.comparisons.items()]
        return "\n".join(lines)


def mean_over_data_sets(
    effects: ArrayLike,
    rules: Rules | None = None,
    *,
    names: tuple[str, str] = ("model a", "model b"),
    **settings: Unpack[RuleSettings],
) -> MeanOverDataSets:
    """Give the mean effect over data sets, with a t interval over data sets.

    mean(e) +- t(1 - alpha/2; k - 1) s_e / sqrt(k)

    What is noisy in an effect, as its seeds are few, is part of the spread s_e, so nothing need be
    known of it. Each data set weighs the same. Where the effects show no spread t has no scale;
    then the bounded interval decides, which with few data sets is wide.

    Args:
        effects: (k,) mean paired difference of scores, a data set each.
        rules: `margin`, `alpha` and `metric` are looked at.
        names: of the two models.
        settings: in place of `rules`, its fields one by one.

    Returns:
        A `MeanOverDataSets`.

    Raises:
        ValueError: for effects that are empty, not finite or out of the metric's bounds.
        TypeError: for arguments of the wrong type.

    Source:
        Student (1908), Biometrika 6, 1-25; Waudby-Smith and Ramdas (2024), JRSS B 86, 1-27, for
        the bounded interval.

    Example:
        >>> mean = mean_over_data_sets([0.03, 0.02, 0.05, 0.04, 0.03], names=("deep", "linear"))
        >>> round(mean.estimate, 3), mean.verdict
        (0.034, 'better')
        >>> mean_over_data_sets([0.03]).verdict
        'inconclusive'
    """
    rules = chosen("mean_over_data_sets", rules, settings)
    name_a, name_b = validation.model_names(names)
    metric, margin = metrics.named(rules.metric), rules.settled_margin
    found = validation.differences("effects", effects)
    upper = validation.LARGEST_SCORE if metric.upper is None else metric.upper
    if (outside := found[np.abs(found) > upper]).size:
        raise ValueError(f"effects hold {outside[0]}: they lie between -{upper:g} and {upper:g}")
    test = t_test(found, 1 / found.size, rules.alpha)
    interval, method = None, "none"
    if test.interval is not None:
        interval, method = possible(test.interval, metric.upper), "t over data sets"
    elif metric.upper is not None:
        interval = betting_interval(found, -metric.upper, metric.upper, rules.alpha)
        method = "bounded"
    return MeanOverDataSets(
        names=(name_a, name_b),
        n_data_sets=found.size,
        effects=tuple(found.tolist()),
        estimate=float(np.round(found.mean(), validation.DECIMALS)) + 0.0,
        interval=interval,
        method=method,
        standard_error=test.standard_error,
        df=test.df,
        pvalue=test.pvalue,
        margin=margin,
        alpha=rules.alpha,
        verdict=decide(metric.gain_interval(interval), margin),
        metric=metric.name,
    )


def compare_on_data_sets(
    pairs: Mapping[str, Sequence[Any]],
    rules: Rules | None = None,
    *,
    names: tuple[str, str] = ("model a", "model b"),
    **settings: Unpack[RuleSettings],
) -> DataSetsComparison:
    """Compare two models on each of several data sets, and over them.

    With k data sets each one's interval is given at alpha / k, Bonferroni's level, so that all of
    them hold together, and each p value is adjusted by Holm's method. The mean over data sets is a
    claim of its own, at alpha.

    Args:
        pairs: by data set, the (J,) scores of model a and of model b, and where these are counts,
            their total.
        rules: what is the same for all data sets.
        names: of the two models.
        settings: in place of `rules`, its fields one by one, as in `compare`.

    Returns:
        A `DataSetsComparison`.

    Raises:
        ValueError: for no data set, or as `compare`.
        TypeError: as `compare`.

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6, 65-70; Bonferroni's inequality.

    Example:
        >>> pairs = {"iris": ([0.9, 0.95], [0.8, 0.9]), "wine": ([0.99, 0.97], [0.9, 0.9])}
        >>> found = compare_on_data_sets(pairs, names=("deep", "linear"))
        >>> [one.n_comparisons for one in found.comparisons.values()], found.mean.n_data_sets
        ([2, 2], 2)
    """
    rules = chosen("compare_on_data_sets", rules, settings)
    if not pairs:
        raise ValueError("pairs is empty: at least one data set is needed")
    each = rules.for_each_of(len(pairs))
    found = {
        name: compare(a, b, each, total=total[0] if total else None, names=names)
        for name, (a, b, *total) in pairs.items()
    }
    if len(pairs) > 1:
        found = dict(zip(found, _with_holm(list(found.values())), strict=True))
    effects: FloatArray = np.array([one.estimate for one in found.values()])
    return DataSetsComparison(found, mean_over_data_sets(effects, rules, names=names))


def _with_holm(comparisons: list[Comparison]) -> list[Comparison]:
    pvalues = [1.0 if one.pvalue is None else one.pvalue for one in comparisons]
    smallest = [1.0 if one.smallest_pvalue is None else one.smallest_pvalue for one in comparisons]
    return [
        dataclasses.replace(
            one,
            n_comparisons=len(comparisons),
            holm_pvalue=adjusted,
            smallest_holm_pvalue=None if one.smallest_pvalue is None else least,
        )
        for one, adjusted, least in zip(
            comparisons, holm(pvalues).tolist(), holm(smallest).tolist(), strict=True
        )
    ]
