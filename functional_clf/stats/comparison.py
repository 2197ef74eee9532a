"""Compare two models over paired seeds, and say no more than the seeds allow."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import clauses, scopes, validation, wording
from functional_clf.stats.betting import betting_interval
from functional_clf.stats.binomial import Superiority, probability_of_superiority
from functional_clf.stats.pairs import Pairs, paired
from functional_clf.stats.scopes import Scope
from functional_clf.stats.score_limits import score_t_interval
from functional_clf.stats.sign_flips import sign_flip_test
from functional_clf.stats.student import t_test
from functional_clf.stats.summaries import (
    Distribution,
    ModelSummary,
    describe,
    describe_model,
    plain,
)
from functional_clf.stats.types import Interval, Verdict
from functional_clf.stats.verdicts import decide, verdict_words

FAILURE_BELOW = 0.75  # half way from guessing between two balanced classes to perfect


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Everything there is to report about model a against model b.

    Accuracies and their differences are fractions in [0, 1] and [-1, 1], not percentage points.

    Attributes:
        model_a: accuracies and failures of the first model.
        model_b: accuracies and failures of the second.
        scope: what each replicate redrew, which owns the words of the claim.
        setting: where the data come from, for the claim; may be empty.
        n_pairs: replicates.
        estimate: mean of accuracy_a - accuracy_b.
        interval: what the verdict is decided on; None where none can be given.
        method: what made the interval.
        standard_error: of the estimate; None where the differences have no spread.
        df: degrees of freedom of t.
        t_statistic: estimate / standard error; None where the differences have no spread.
        t_pvalue: two-sided, of the t statistic; None where that cannot be given.
        sign_flip_pvalue: two-sided; None in the split scope, where it would reject a true null.
        bounded_interval: guaranteed for the mean at any number of pairs; None in the split scope.
        superiority: wins, ties, losses and how often a wins, with its interval.
        differences: quantiles of the paired differences.
        correlation: of the two accuracies over pairs; None where one of them does not vary.
        variance_ratio: Var(a - b) / (Var a + Var b), below 1 where pairing helped; None without
            variance.
        failure_below: the accuracy below which a run counts as failed.
        references: accuracies to hold the models against, by name.
        n_train: training samples a run, where given.
        n_test: test samples a run, where given.
        alpha: share of intervals that may miss.
        margin: the smallest difference that matters, set beforehand.
        verdict: one of five; see `verdicts.decide`.
        guaranteed: whether the bounded interval alone gives the same verdict.
        n_comparisons: how many comparisons share the error rate `alpha` * `n_comparisons`.
        holm_pvalue: the scope's p value, Holm-adjusted over those comparisons; None for one.
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
    sign_flip_pvalue: float | None
    bounded_interval: Interval | None
    superiority: Superiority
    differences: Distribution
    correlation: float | None
    variance_ratio: float | None
    failure_below: float
    references: Mapping[str, float]
    n_train: int | None
    n_test: int | None
    alpha: float
    margin: float
    verdict: Verdict
    guaranteed: bool
    n_comparisons: int = 1
    holm_pvalue: float | None = None

    @property
    def pvalue(self) -> float | None:
        """The p value that fits the scope: sign-flip, or for splits the corrected t's."""
        return self.sign_flip_pvalue if self.scope.independent else self.t_pvalue

    @property
    def conclusion(self) -> str:
        """One paragraph: estimate, intervals, p, counts, verdict with its margin, and scope."""
        sentences = [self._estimate_words()]
        if self.scope.counts_reach:
            sentences.append(f"{self._count_words()}, {self.scope.counts_reach}")
        sentences.append(clauses.failure_meaning(self.failure_below))
        names = self.model_a.name, self.model_b.name
        words = verdict_words(self.verdict, self.interval, self.margin, *names)
        sentences.append(f"Verdict: {words}")
        if self._needs_caution():
            sentences.append(
                "The bounded CI, which also allows for rare collapses that these seeds may have "
                "missed, does not settle this on its own"
            )
        sentences.append(f"Scope: {self.scope.claim(self.setting)}")
        return " ".join(self.scope.sentence(text) for text in sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return it all as plain data for JSON: no NaN or infinity, None for what is undefined."""
        return plain(self) | {
            "scope": self.scope.name,
            "claim": self.scope.sentence(self.scope.claim(self.setting)),
            "counts_claim": self.scope.counts_reach or self.scope.claim(self.setting),
            "pvalue": self.pvalue,
            "conclusion": self.conclusion,
        }

    def _estimate_words(self) -> str:
        ahead = clauses.difference(
            self.model_a.name, self.model_b.name, self.estimate, self.interval, self.margin
        )
        details = [*self._interval_words(), self._p_words()]
        if not self.scope.counts_reach:
            details.append(self._count_words())
        return (
            f"Over {wording.plural(self.n_pairs, 'paired seed')} ({self.scope.replicate}), "
            f"{ahead} ({'; '.join(details)})"
        )

    def _interval_words(self) -> list[str]:
        level = wording.confidence(self.alpha)
        if self.n_comparisons > 1:
            together = wording.confidence(self.alpha * self.n_comparisons)
            level = f"{together} over all {self.n_comparisons} comparisons together"
        words = []
        if self.standard_error is None:
            reason = (
                "one pair shows no spread" if self.n_pairs == 1 else "all differences are equal"
            )
            words.append(f"no t interval, as {reason}")
        elif self.interval is not None:
            words.append(f"{level} {clauses.ends(self.interval, self.estimate, self.margin)}")
            level = ""
        if self.bounded_interval is not None:
            ends = clauses.ends(self.bounded_interval, self.estimate, self.margin)
            words.append(
                f"{level} bounded CI {ends}".replace("CI bounded CI", "bounded CI").strip()
            )
        return words

    def _p_words(self) -> str:
        name = "sign-flip" if self.scope.independent else "corrected t"
        words = f"{name} {wording.p_value(self.pvalue)}"
        if self.holm_pvalue is not None:
            words += f", Holm-adjusted {wording.p_value(self.holm_pvalue)}"
        return words

    def _count_words(self) -> str:
        s = self.superiority
        return "; ".join(
            [
                clauses.outcomes(s.wins, s.ties, s.losses),
                clauses.failures(self.model_a, self.alpha),
                clauses.failures(self.model_b, self.alpha),
            ]
        )

    def _needs_caution(self) -> bool:
        conclusive = self.verdict != "inconclusive"
        return conclusive and self.scope.independent and not self.guaranteed


def compare(
    accuracies_a: ArrayLike,
    accuracies_b: ArrayLike,
    *,
    scope: str = "data",
    n_train: int | None = None,
    n_test: int | None = None,
    margin: float = 0.01,
    alpha: float = 0.05,
    total: ArrayLike | None = None,
    names: tuple[str, str] = ("model a", "model b"),
    diverged_a: ArrayLike | None = None,
    diverged_b: ArrayLike | None = None,
    failure_below: float = FAILURE_BELOW,
    references: Mapping[str, float] | None = None,
    setting: str = "",
    seed: int = 0,
) -> Comparison:
    """Compare two models' test accuracies over seeds, paired by seed.

    The estimate is mean(accuracy_a - accuracy_b). What each seed redrew, the scope, decides the
    standard error and the words of the claim:

    | scope | each pair redraws | standard error |
    |---|---|---|
    | data | data, split, initialisation | s / sqrt(J) |
    | split | split and initialisation of ONE data set | sqrt((1/J + n_test/n_train) s^2) |
    | init | initialisation only | s / sqrt(J), for this split only |

    The verdict is decided on the t interval with that standard error, widened by score limits,
    which tell near an accuracy of 1 and on one fixed test set (see `score_t_interval` and
    `verdicts.decide`).
    Where the differences have no spread (one pair, or all equal) t has no scale, and the bounded
    interval decides in its place; in the split scope, whose replicates are not independent, there
    is then no interval and the verdict is inconclusive. The sign-flip test and the bounded
    interval are left out of the split scope: both would speak of one data set only.

    Args:
        accuracies_a: (J,) accuracies of the first model in [0, 1], or with `total` integer counts
            of correct predictions. A run that diverged stays in, with the accuracy it reached
            (0 if it cannot predict), marked in `diverged_a`.
        accuracies_b: (J,) the same for the second model, on the same seeds.
        scope: "data", "split" or "init": what each pair redrew.
        n_train: training samples a run; needed for the split scope.
        n_test: test samples a run; needed for the split scope (a single `total` will do).
        margin: the smallest difference that matters, in [0, 1]; 0.01 is one percentage point.
        alpha: share of intervals that may miss, in (0, 1).
        total: test samples a run, one number or (J,), where the columns are counts.
        names: of the two models.
        diverged_a: (J,) True where the first model's run diverged: it counts as failed.
        diverged_b: (J,) the same for the second model.
        failure_below: accuracy below which a run counts as failed.
        references: accuracies to hold the models against, such as {"best possible": 0.99957}.
        setting: where the data come from, for the scope sentence, such as "circles(1000)".
        seed: of the random signs, where the sign-flip test is not exact.

    Returns:
        A `Comparison`; its `conclusion` is a paragraph, its `to_dict()` plain data for JSON.

    Raises:
        ValueError: for an argument out of range; the message names it and the value.
        TypeError: for an argument of the wrong type.

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
    chosen = scopes.named(scope)
    alpha = validation.alpha_level(alpha)
    margin = validation.margin_size(margin)
    failure_below = validation.fraction("failure_below", failure_below)
    name_a, name_b = validation.model_names(names)
    pairs = paired("accuracies_a", accuracies_a, "accuracies_b", accuracies_b, total)
    mask_a = validation.mask("diverged_a", diverged_a, pairs.a.shape)
    mask_b = validation.mask("diverged_b", diverged_b, pairs.b.shape)
    if n_test is None and total is not None and np.ndim(total) == 0:
        n_test = int(np.asarray(total))
    n_train = None if n_train is None else validation.integer("n_train", n_train, 1)
    n_test = None if n_test is None else validation.integer("n_test", n_test, 1)

    d = pairs.differences
    factor = variance_factor(chosen, d.size, n_train, n_test)
    test = t_test(d, factor, alpha)
    step = sample_step(chosen, n_test if total is None else total)
    score_t = score_t_interval(pairs.a, pairs.b, alpha, factor, step)
    bounded = betting_interval(d, -1, 1, alpha) if chosen.independent else None
    if score_t is not None:
        interval = possible(score_t)
        method = f"{'paired' if chosen.independent else 'corrected'} t with score limits"
    else:
        interval = bounded
        method = "bounded" if bounded else "none"
    verdict = decide(interval, margin)
    return Comparison(
        model_a=describe_model(name_a, pairs.a, mask_a, failure_below, alpha),
        model_b=describe_model(name_b, pairs.b, mask_b, failure_below, alpha),
        scope=chosen,
        setting=validation.text("setting", setting),
        n_pairs=d.size,
        estimate=float(d.mean()),
        interval=interval,
        method=method,
        standard_error=test.standard_error,
        df=test.df,
        t_statistic=test.statistic,
        t_pvalue=test.pvalue,
        sign_flip_pvalue=sign_flip_test(d, seed=seed).pvalue if chosen.independent else None,
        bounded_interval=bounded,
        superiority=probability_of_superiority(d, alpha),
        differences=describe(d),
        correlation=_correlation(pairs),
        variance_ratio=_variance_ratio(pairs),
        failure_below=failure_below,
        references=checked_references(references),
        n_train=n_train,
        n_test=n_test,
        alpha=alpha,
        margin=margin,
        verdict=verdict,
        guaranteed=bounded is not None and decide(bounded, margin) == verdict,
    )


def variance_factor(scope: Scope, n_pairs: int, n_train: int | None, n_test: int | None) -> float:
    """Return Var(mean) / s^2."""
    if scope.independent:
        return 1 / n_pairs
    if n_train is None or n_test is None:
        missing = "n_train" if n_train is None else "n_test"
        raise ValueError(f"{missing} is None: the split scope needs both n_train and n_test")
    return 1 / n_pairs + n_test / n_train


def sample_step(scope: Scope, n_test: ArrayLike | None) -> float:
    """Return what one test sample is worth where all runs share them; 0 where not, or unknown."""
    return 1 / float(np.min(n_test)) if scope is scopes.INIT and n_test is not None else 0.0


def checked_references(references: Mapping[str, float] | None) -> dict[str, float]:
    """Return reference accuracies, each in [0, 1]."""
    return {
        name: validation.fraction(f"references[{name!r}]", value)
        for name, value in (references or {}).items()
    }


def possible(interval: Interval) -> Interval:
    """Cut an interval for a difference of accuracies to what such a difference can be."""
    return Interval(max(interval.low, -1.0), min(interval.high, 1.0))


def _correlation(pairs: Pairs) -> float | None:
    if pairs.a.size < 2 or np.ptp(pairs.a) == 0 or np.ptp(pairs.b) == 0:
        return None
    return float(np.clip(np.corrcoef(pairs.a, pairs.b)[0, 1], -1, 1))


def _variance_ratio(pairs: Pairs) -> float | None:
    if pairs.a.size < 2:
        return None
    separate = pairs.a.var(ddof=1) + pairs.b.var(ddof=1)
    return float(pairs.differences.var(ddof=1) / separate) if separate > 0 else None
