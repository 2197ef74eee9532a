"""Compare two models over paired seeds, and say no more than the seeds allow."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import cautions, clauses, metrics, time_uniform, validation, wording
from functional_clf.stats.betting import betting_interval
from functional_clf.stats.binomial import Superiority, probability_of_superiority
from functional_clf.stats.design import paired_design
from functional_clf.stats.failing import failing_runs
from functional_clf.stats.figures import figures_of
from functional_clf.stats.metrics import ACCURACY, Metric
from functional_clf.stats.more_splits import SplitSpread
from functional_clf.stats.pairs import paired
from functional_clf.stats.rules import Rules, RuleSettings, chosen
from functional_clf.stats.scopes import Scope
from functional_clf.stats.score_limits import (
    limits_pvalue,
    paired_estimates,
    possible,
    score_t_interval,
)
from functional_clf.stats.sign_flips import sign_flip_test
from functional_clf.stats.student import t_test
from functional_clf.stats.summaries import (
    Distribution,
    ModelSummary,
    describe,
    describe_model,
    plain,
)
from functional_clf.stats.time_uniform import time_uniform_interval, with_time_uniform_rate
from functional_clf.stats.types import Interval, Verdict
from functional_clf.stats.verdicts import decide, settled, verdict_words
from functional_clf.support.notebook import panel

_OWN_NAMES = {"accuracy": "scores"}  # of a model's summary, where the metric is another
_OF_METRICS = (
    "metric",
    "step",
    "majority",
    "first_metric",
    "sequential",
)  # last in JSON, as they came last


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Everything there is to report about model a against model b.

    Accuracies and their differences are fractions in [0, 1] and [-1, 1], not percentage points;
    other scores are in the metric's own unit. Differences are always a minus b: of a metric that is
    better when lower, a negative one speaks for a. Wins and the verdict say who is better.
    The rules it was made by are fields too, named and explained as in `Rules`.

    Attributes:
        model_a: scores (named `accuracy`) and failures of the first model.
        model_b: the same of the second.
        scope: what each replicate redrew, which owns the words of the claim.
        n_pairs: replicates.
        estimate: mean of score_a - score_b.
        interval: what the verdict is decided on; None where none can be given.
        method: what made the interval.
        standard_error: of the estimate; None where the differences have no spread.
        df: degrees of freedom of t.
        t_statistic: estimate / standard error; None where the differences have no spread.
        t_pvalue: two-sided, of the t statistic alone, without score limits; None where that cannot
            be given.
        interval_pvalue: two-sided, of the split scope's interval, which score limits widen: the
            smallest alpha at which it leaves out 0; 1 where all differences are 0, None where it
            cannot be given and in the other scopes, whose p value is the sign-flip test's.
        sign_flip_pvalue: two-sided; None in the split scope, where it would reject a true null.
        smallest_pvalue: the smallest sign-flip p that so many non-zero differences can give; None
            in the split scope.
        bounded_interval: guaranteed for the mean at any number of pairs; None in the split scope,
            and for a metric without an upper bound.
        superiority: wins, ties, losses and how often a is the better, with its interval.
        differences: quantiles of the paired differences.
        correlation: of the two scores over pairs; None where one of them does not vary.
        variance_ratio: Var(a - b) / (Var a + Var b), below 1 where pairing helped; None without
            variance.
        n_test: test samples a run, by the rules or by the total of the counts.
        alpha: share of intervals that may miss; of several comparisons, this one's part.
        verdict: one of six; see `verdicts.decide`.
        guaranteed: whether the bounded interval alone settles all that the verdict's words claim.
        seeds_needed: how many seeds like these the bounded interval would need for that, or, where
            it is what decides, for a verdict on the mean seen; None where it needs no more, where
            100 000 are not enough, and where there is no bounded interval.
        n_comparisons: how many comparisons share the error rate `alpha` * `n_comparisons`.
        holm_pvalue: the scope's p value, Holm-adjusted over those comparisons; None for one.
        smallest_holm_pvalue: as `smallest_pvalue`, Holm-adjusted.
        metric: what the scores are.
        step: how much one test sample can change a score; None where that is not known.
        majority: the scores of always predicting the majority class, below which a run failed;
            None where they were not given.
        first_metric: metric of the first look.
        sequential: whether all intervals hold at every number of pairs at once, as `Rules` says.
    """

    model_a: ModelSummary
    model_b: ModelSummary
    scope: Scope
    setting: str
    n_pairs: int
    estimate: float
    interval: Interval | None
    method: str
    standard_error: float | None
    df: float
    t_statistic: float | None
    t_pvalue: float | None
    interval_pvalue: float | None
    sign_flip_pvalue: float | None
    smallest_pvalue: float | None
    bounded_interval: Interval | None
    superiority: Superiority
    differences: Distribution
    correlation: float | None
    variance_ratio: float | None
    failure_below: float | None
    references: Mapping[str, float]
    n_train: int | None
    n_test: int | None
    alpha: float
    margin: float
    verdict: Verdict
    guaranteed: bool
    seeds_needed: int | None
    first_margin: float | None = None
    first_alpha: float | None = None
    earlier_looks: int = 0
    n_comparisons: int = 1
    holm_pvalue: float | None = None
    smallest_holm_pvalue: float | None = None
    metric: str = ACCURACY.name
    step: float | None = None
    majority: Distribution | None = None
    first_metric: str | None = None
    sequential: bool = False

    @property
    def pvalue(self) -> float | None:
        """The p value that fits the scope: sign-flip, or for splits that of the interval.

        None where pairs were looked at as they came.
        """
        return self.sign_flip_pvalue if self.scope.independent else self.interval_pvalue

    @property
    def conclusion(self) -> str:
        """One paragraph: estimate, intervals, p, counts, verdict, its cautions, and scope."""
        sentences = [self._estimate_words()]
        if self.scope.counts_reach:
            sentences.append(f"{self._count_words()}, {self.scope.counts_reach}")
        sentences += [
            *self._failure_meaning(),
            self._verdict_words(),
            *self._cautions(),
            *cautions.look_words(
                (self.margin, self.alpha * self.n_comparisons),
                (self.first_margin, self.first_alpha),
                self.earlier_looks,
                self._metric,
                self.first_metric,
            ),
            f"Scope: {self.scope.claim(self.setting)}",
        ]
        return " ".join(self.scope.sentence(text) for text in sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return it all as plain data for JSON: no NaN or infinity, None for what is undefined."""
        fields = plain(self)
        added = {name: fields.pop(name) for name in _OF_METRICS}
        if self._metric != ACCURACY:
            for model in ("model_a", "model_b"):
                fields[model] = {_OWN_NAMES.get(k, k): v for k, v in fields[model].items()}
        return (
            fields
            | {
                "scope": self.scope.name,
                "claim": self.scope.sentence(self.scope.claim(self.setting)),
                "counts_claim": self.scope.counts_reach or self.scope.claim(self.setting),
                "pvalue": self.pvalue,
                "conclusion": self.conclusion,
            }
            | added
            | {
                "higher_is_better": self._metric.higher_is_better,
                "largest_score": self._metric.upper,
            }
        )

    def _repr_html_(self) -> str:
        """Return the verdict, the conclusion and a table of the figures, for a notebook."""
        s = self.superiority
        return panel(
            f"{self.model_a.name} against {self.model_b.name}",
            self.scope.sentence(self._verdict_words()),
            [self.conclusion, figures_of(self, (s.wins, s.ties, s.losses))],
        )

    @property
    def _metric(self) -> Metric:
        return metrics.named(self.metric)

    @property
    def _gain(self) -> Interval | None:
        """The interval with the sign that says "better" where it is plus."""
        return self._metric.gain_interval(self.interval)

    @property
    def _failure_stated(self) -> bool:
        return self.failure_below is not None or self.majority is not None

    def _failure_meaning(self) -> list[str]:
        if self.majority is not None:
            return [clauses.failure_against_majority(self._metric)]
        return clauses.failure_meaning(self.failure_below)

    def _verdict_words(self) -> str:
        names = self.model_a.name, self.model_b.name
        return f"Verdict: {verdict_words(self._gain, self.margin, *names, self._metric)}"

    def _estimate_words(self) -> str:
        ahead = clauses.difference(
            self.model_a.name,
            self.model_b.name,
            self.estimate,
            self.interval,
            self.margin,
            self._metric,
        )
        details = self._interval_words()
        if not self.sequential:
            details.append(self._p_words())
        if not self.scope.counts_reach:
            details.append(self._count_words())
        return (
            f"Over {wording.plural(self.n_pairs, 'paired seed')} ({self.scope.replicate}), "
            f"{ahead} ({'; '.join(details)})"
        )

    def _interval_words(self) -> list[str]:
        level, together = wording.confidence(self.alpha * self.n_comparisons), ""
        if self.n_comparisons > 1:
            together = f" over all {self.n_comparisons} comparisons together"
        words = []
        if self.sequential and self.interval is not None:
            ends = clauses.ends(self.interval, self.estimate, self.margin, self._metric)
            return [f"{level.removesuffix('CI')}time-uniform CI{together} {ends}"]
        if self.standard_error is None:
            reason = (
                "one pair shows no spread" if self.n_pairs == 1 else "all differences are equal"
            )
            words.append(f"no t interval, as {reason}")
        elif self.interval is not None:
            ends = clauses.ends(self.interval, self.estimate, self.margin, self._metric)
            words.append(f"{level}{together} {ends}")
        if self.bounded_interval is not None:
            ends = clauses.ends(self.bounded_interval, self.estimate, self.margin, self._metric)
            if self.standard_error is None:
                words.append(f"{level.removesuffix('CI')}bounded CI{together} {ends}")
            else:  # of the same level
                words.append(f"bounded CI {ends}")
        if self._metric.upper is None:
            words.append(f"no guaranteed interval, as {self._metric.words} has no upper bound")
        return words

    def _p_words(self) -> str:
        name = "sign-flip" if self.scope.independent else "corrected t"
        words = f"{name} {wording.p_value(self.pvalue)}"
        p, smallest = self.pvalue, self.smallest_pvalue
        if self.holm_pvalue is not None:
            words += f", Holm-adjusted {wording.p_value(self.holm_pvalue)}"
            p, smallest = self.holm_pvalue, self.smallest_holm_pvalue
        differing = self.superiority.wins + self.superiority.losses
        if differing and smallest is not None and smallest > self.alpha * self.n_comparisons:
            exact = self.smallest_pvalue == 2.0 ** (1 - differing)
            signs = wording.plural(differing, "non-zero difference") if exact else "random signs"
            if p == smallest:
                words += f", the least that {signs} can give"
            else:
                words += f", and {signs} can give no less than {wording.p_number(smallest)}"
        return words

    def _count_words(self) -> str:
        s = self.superiority
        return "; ".join(
            [
                clauses.outcomes(s.wins, s.ties, s.losses),
                *clauses.failures((self.model_a, self.model_b), self._failure_stated, self.alpha),
            ]
        )

    def _cautions(self) -> list[str]:
        gain = self._gain
        if self.sequential:
            return cautions.sequential_words(self.n_pairs, self.seeds_needed)
        if not self.scope.independent:
            words = cautions.one_data_set_words(gain, self.margin, self.n_pairs, self.alpha)
            if self.interval and self.n_train is not None and self.n_test is not None:
                words += self._more_splits_words(self.n_train, self.n_test)
                words += cautions.test_share_words(self.n_train, self.n_test)
            return words
        bounded = self._metric.gain_interval(self.bounded_interval)
        if bounded is None:
            return cautions.unbounded_words(gain, self.margin, self.n_pairs, self.alpha)
        if self.method == "bounded":
            return cautions.more_seeds_words(self.seeds_needed) if self.n_pairs > 1 else []
        return cautions.bounded_words(gain, bounded, self.margin, self.seeds_needed)

    def _more_splits_words(self, n_train: int, n_test: int) -> list[str]:
        columns = self.model_a.accuracy, self.model_b.accuracy, self.differences
        spreads = [column.standard_deviation for column in columns]
        if self.verdict != "inconclusive" or None in spreads:
            return []
        seen = SplitSpread(
            self.model_a.accuracy.mean,
            self.model_b.accuracy.mean,
            *(spread or 0.0 for spread in spreads),
            n_train=n_train,
            n_test=n_test,
            step=self.step or 0.0,
            upper=self._metric.upper,
        )
        return cautions.more_splits_words(seen, self.margin, self.alpha, self.n_pairs, self._metric)


def compare(
    accuracies_a: ArrayLike,
    accuracies_b: ArrayLike,
    rules: Rules | None = None,
    *,
    total: ArrayLike | None = None,
    names: tuple[str, str] = ("model a", "model b"),
    diverged_a: ArrayLike | None = None,
    diverged_b: ArrayLike | None = None,
    majority: ArrayLike | None = None,
    **settings: Unpack[RuleSettings],
) -> Comparison:
    """Compare two models' test accuracies, or scores of another metric, paired by seed.

    The estimate is mean(score_a - score_b). What each seed redrew, the scope, decides the
    standard error and the words of the claim:

    | scope | each pair redraws | standard error |
    |---|---|---|
    | data | data, split, initialisation | s / sqrt(J) |
    | split | split and initialisation of ONE data set | sqrt((1/J + n_test/n_train) s^2) |
    | init | initialisation only | s / sqrt(J), for this split only |
    | test_set | initialisation only, test set apart | s / sqrt(J), for this test set only |

    The verdict is decided on the t interval with that standard error, widened by score limits,
    which tell near an accuracy of 1, and by what one test sample is worth, which tells where the
    models differ on few of them (see `score_t_interval` and `verdicts.decide`).
    Where the differences have no spread (one pair, or all equal) t has no scale, and the bounded
    interval decides in its place; in the split scope, whose replicates are not independent, there
    is then no interval and the verdict is inconclusive. The sign-flip test and the bounded
    interval are left out of the split scope: both would speak of one data set only. Whatever the
    words claim and no bounded interval settles has its caution: a collapse rarer than these seeds
    can show may overturn it.

    Where pairs were looked at as they came (`rules.sequential`), the time-uniform interval alone
    decides, and the limits of rates and counts are time-uniform, too.

    Scores of `rules.metric` other than accuracy are compared likewise. Bounded ones get every
    interval. Log loss has no upper bound, so t's interval stands alone, and nothing guarantees it.

    Args:
        accuracies_a: (J,) accuracies of the first model in [0, 1], or with `total` integer counts
            of correct predictions: a list, an array, a tensor or a Series. With another
            `rules.metric` its scores, in [0, its upper bound]. Two Series must have the same
            labels in the same order. A run that diverged stays in, with the score it reached (of
            accuracy 0 if it cannot predict), marked in `diverged_a`.
        accuracies_b: (J,) the same for the second model, on the same seeds.
        rules: what is the same for all pairs of a study: scope, margin, alpha and more.
        total: test samples a run, one number or (J,), where the columns are counts: of accuracy.
        names: of the two models.
        diverged_a: (J,) True where the first model's run diverged: it counts as failed.
        diverged_b: (J,) the same for the second model.
        majority: (J,) scores, never counts, of always predicting the largest class of the training
            part, with the class shares as probabilities. A run that scores worse counts as failed;
            in place of `rules.failure_below`.
        settings: in place of `rules`, its fields one by one; see `Rules`, which explains each.

    Returns:
        A `Comparison`; its `conclusion` is a paragraph, its `to_dict()` plain data for JSON.

    Raises:
        ValueError: for an argument out of range; the message names it and the value.
        TypeError: for an argument of the wrong type, or unknown, or rules and settings at once.

    Source:
        Each piece names its own: `score_t_interval`, `corrected_t_test`, `sign_flip_test`,
        `betting_interval`, `clopper_pearson`, `probability_of_superiority`.

    Example:
        >>> a, b = [0.99, 1.0, 0.98, 1.0, 0.99], [0.51, 0.49, 0.55, 0.48, 0.50]
        >>> result = compare(a, b, names=("deep", "linear"))
        >>> round(result.estimate, 3), result.verdict
        (0.486, 'better')
        >>> result.conclusion.split(', deep')[0]
        'Over 5 paired seeds (each redraws data, split and initialisation)'
    """
    rules = chosen("compare", rules, settings)
    name_a, name_b = validation.model_names(names)
    metric = metrics.named(rules.metric)
    pairs = paired("accuracies_a", accuracies_a, "accuracies_b", accuracies_b, total, metric=metric)
    mask_a = validation.mask("diverged_a", diverged_a, pairs.a.shape)
    mask_b = validation.mask("diverged_b", diverged_b, pairs.b.shape)
    validation.same_labels(
        accuracies_a=accuracies_a,
        accuracies_b=accuracies_b,
        total=total,
        diverged_a=diverged_a,
        diverged_b=diverged_b,
        majority=majority,
    )
    columns = {"accuracies_a": accuracies_a, "accuracies_b": accuracies_b}
    if total is not None:
        columns = {"accuracies_a": pairs.a, "accuracies_b": pairs.b}
    failing = failing_runs(rules, pairs, columns, majority)
    design = paired_design(rules, total, pairs.a.shape)
    independent, alpha, margin = design.scope.independent, rules.alpha, rules.settled_margin
    upper = metric.upper

    d, gains = pairs.differences, metric.gains(pairs.differences)
    factor = design.variance_factor(d.size)
    test = t_test(d, factor, alpha)
    score_t = score_t_interval(pairs.a, pairs.b, alpha, factor, design.step, upper)
    bounded = None  # this and `gain` have the sign that says "better" where it is plus
    if independent and upper is not None:
        of_bounded = time_uniform_interval if rules.sequential else betting_interval
        bounded = of_bounded(gains, -upper, upper, alpha)
    if rules.sequential:
        gain, method = bounded, "time-uniform"
    elif score_t is not None:
        gain = metric.gain_interval(possible(score_t, upper))
        method = f"{'paired' if independent else 'corrected'} t"
        method += "" if upper is None else " with score limits"
    else:
        gain = bounded
        method = "bounded" if bounded else "none"
    estimate = pairs.mean_difference
    if method == "bounded":  # it may leave open what the mean seen is, against the margin
        seen = metric.gain_interval(Interval(estimate, estimate))
        claims = settled(seen, margin) - {"better", "worse"}
    else:
        claims = settled(gain, margin)
    needed = None
    if rules.sequential and upper is not None:
        if decide(gain, margin) == "inconclusive":
            needed = time_uniform.seeds_to_settle(gains, margin, alpha, upper)
    elif bounded is not None and upper is not None and not claims <= settled(bounded, margin):
        needed = cautions.seeds_to_settle(gains, claims, margin, alpha, upper)
    interval_pvalue = None
    if not independent:
        estimates = None
        if score_t is not None:
            estimates = paired_estimates(pairs.a, pairs.b, factor, design.step, upper)
        interval_pvalue = limits_pvalue(estimates) if estimates else test.pvalue
    has_p = independent and not rules.sequential
    sign_flip = sign_flip_test(d, seed=rules.seed) if has_p else None
    summaries = (
        describe_model(name_a, pairs.a, mask_a, failing.a, alpha),
        describe_model(name_b, pairs.b, mask_b, failing.b, alpha),
    )
    superiority = probability_of_superiority(gains, alpha)
    if rules.sequential:
        summaries = (
            with_time_uniform_rate(summaries[0], mask_a | failing.a, alpha),
            with_time_uniform_rate(summaries[1], mask_b | failing.b, alpha),
        )
        wins = np.where(gains == 0, 0.5, gains > 0)
        superiority = superiority._replace(interval=time_uniform_interval(wins, 0, 1, alpha))
    return Comparison(
        model_a=summaries[0],
        model_b=summaries[1],
        scope=design.scope,
        setting=rules.setting,
        n_pairs=d.size,
        estimate=estimate,
        interval=metric.gain_interval(gain),
        method=method,
        standard_error=test.standard_error,
        df=test.df,
        t_statistic=None if rules.sequential else test.statistic,
        t_pvalue=None if rules.sequential else test.pvalue,
        interval_pvalue=interval_pvalue,
        sign_flip_pvalue=sign_flip.pvalue if sign_flip else None,
        smallest_pvalue=sign_flip.smallest if sign_flip else None,
        bounded_interval=metric.gain_interval(bounded),
        superiority=superiority,
        differences=describe(d),
        correlation=pairs.correlation,
        variance_ratio=pairs.variance_ratio,
        failure_below=rules.failure_below,
        references=dict(rules.references or {}),
        n_train=design.n_train,
        n_test=design.n_test,
        alpha=alpha,
        margin=margin,
        verdict=decide(gain, margin),
        guaranteed=bounded is not None and settled(gain, margin) <= settled(bounded, margin),
        seeds_needed=needed,
        first_margin=rules.first_margin,
        first_alpha=rules.first_alpha,
        earlier_looks=rules.earlier_looks,
        metric=metric.name,
        step=design.step or None,
        majority=None if failing.majority is None else describe(failing.majority),
        first_metric=rules.first_metric,
        sequential=rules.sequential,
    )
