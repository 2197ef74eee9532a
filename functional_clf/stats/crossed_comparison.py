"""Compare two models over a crossed design: every data seed with every initialisation seed."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import cautions, clauses, validation, wording
from functional_clf.stats.crossed import Component, crossed_t_test, variance_components
from functional_clf.stats.failing import worse_than
from functional_clf.stats.figures import figures_of
from functional_clf.stats.metrics import ACCURACY
from functional_clf.stats.pairs import Pairs, paired
from functional_clf.stats.rules import CrossedSettings, Rules, chosen
from functional_clf.stats.scopes import CROSSED, DATA
from functional_clf.stats.score_limits import Estimates, limits, limits_pvalue, possible
from functional_clf.stats.summaries import (
    Distribution,
    ModelSummary,
    describe,
    describe_model,
    plain,
)
from functional_clf.stats.types import FloatArray, Interval, TTest, Verdict
from functional_clf.stats.verdicts import decide, verdict_words
from functional_clf.support.notebook import panel


class Spread(NamedTuple):
    """Where a table's variance comes from, data seeds down and initialisation seeds across.

    `interaction` holds any residual noise too: with one run a cell they cannot be told apart.
    """

    data: Component
    training: Component
    interaction: Component


@dataclasses.dataclass(frozen=True)
class CrossedComparison:
    """Everything there is to report about model a against model b on a crossed grid.

    Cells of one row share their data and cells of one column their initialisation seed, so counts
    of cells carry no interval. Units are those of `Comparison`, and the rules are fields here too.

    Attributes:
        model_a: accuracies and failures of the first model.
        model_b: accuracies and failures of the second.
        n_data_seeds: rows.
        n_init_seeds: columns.
        estimate: mean of accuracy_a - accuracy_b.
        interval: for it, over new data and new initialisations; None without spread.
        method: what made the interval.
        standard_error: of the estimate; None without spread.
        df: degrees of freedom of t, one less than the fewer of rows and columns.
        t_statistic: estimate / standard error; None without spread.
        t_pvalue: two-sided, of the t statistic alone, without score limits; None where that cannot
            be given.
        pvalue: two-sided, of the interval, which score limits widen: the smallest alpha at which it
            leaves out 0; 1 where all differences are 0, None where it cannot be given.
        wins: cells where a is more accurate.
        ties: cells without a difference.
        losses: cells where b is more accurate.
        differences: quantiles of the cells' differences.
        components_a: where the first model's variance comes from.
        components_b: where the second model's comes from.
        components_difference: where the variance of their difference comes from.
        verdict: one of six; see `verdicts.decide`.
    """

    model_a: ModelSummary
    model_b: ModelSummary
    setting: str
    n_data_seeds: int
    n_init_seeds: int
    estimate: float
    interval: Interval | None
    method: str
    standard_error: float | None
    df: float
    t_statistic: float | None
    t_pvalue: float | None
    pvalue: float | None
    wins: int
    ties: int
    losses: int
    differences: Distribution
    components_a: Spread
    components_b: Spread
    components_difference: Spread
    failure_below: float | None
    references: Mapping[str, float]
    alpha: float
    margin: float
    verdict: Verdict
    first_margin: float | None = None
    first_alpha: float | None = None
    earlier_looks: int = 0
    first_metric: str | None = None

    @property
    def conclusion(self) -> str:
        """One paragraph: estimate, interval, p, counts, spread, verdict, cautions, and scope."""
        seen = {"data seeds": self.n_data_seeds, "initialisation seeds": self.n_init_seeds}
        sentences = [
            self._estimate_words(),
            *clauses.failure_meaning(self.failure_below),
            self._spread_words(),
            self._verdict_words(),
            *cautions.unseen_words(self.interval, self.margin, seen, self.alpha),
            *cautions.look_words(
                (self.margin, self.alpha),
                (self.first_margin, self.first_alpha),
                self.earlier_looks,
                first_metric=self.first_metric,
            ),
            f"Scope: {CROSSED.claim(self.setting)}",
        ]
        return " ".join(CROSSED.sentence(text) for text in sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return it all as plain data for JSON: no NaN or infinity, None for what is undefined."""
        fields = plain(self)
        added = {"first_metric": fields.pop("first_metric")}  # last in JSON, as it came last
        return (
            fields
            | {
                "scope": CROSSED.name,
                "claim": CROSSED.sentence(CROSSED.claim(self.setting)),
                "conclusion": self.conclusion,
            }
            | added
        )

    def _repr_html_(self) -> str:
        """Return the verdict, the conclusion and a table of the figures, for a notebook."""
        return panel(
            f"{self.model_a.name} against {self.model_b.name}",
            CROSSED.sentence(self._verdict_words()),
            [self.conclusion, figures_of(self, (self.wins, self.ties, self.losses))],
        )

    def _verdict_words(self) -> str:
        names = self.model_a.name, self.model_b.name
        return f"Verdict: {verdict_words(self.interval, self.margin, *names)}"

    def _estimate_words(self) -> str:
        ahead = clauses.difference(
            self.model_a.name, self.model_b.name, self.estimate, self.interval, self.margin
        )
        interval = "no interval, as all differences are equal"
        if self.interval is not None:
            ends = clauses.ends(self.interval, self.estimate, self.margin)
            interval = f"{wording.confidence(self.alpha)} {ends}"
        details = [
            interval,
            f"crossed t {wording.p_value(self.pvalue)}",
            clauses.outcomes(self.wins, self.ties, self.losses),
            *clauses.failures(
                (self.model_a, self.model_b), self.failure_below is not None, self.alpha
            ),
        ]
        return (
            f"Over {wording.plural(self.n_data_seeds, 'data seed')} crossed with "
            f"{wording.plural(self.n_init_seeds, 'initialisation seed')}, {ahead} "
            f"({'; '.join(details)})"
        )

    def _spread_words(self) -> str:
        parts = self.components_difference
        if parts.data.share is None:
            return "The difference does not vary over the grid"
        shares = [
            f"{wording.percent(part.share or 0.0)} % {name}"
            for name, part in zip(("data", "training", "their interaction"), parts, strict=True)
        ]
        return f"Of the difference's variance {', '.join(shares)} (with any residual noise)"


def compare_crossed(
    table_a: ArrayLike,
    table_b: ArrayLike,
    rules: Rules | None = None,
    *,
    total: ArrayLike | None = None,
    names: tuple[str, str] = ("model a", "model b"),
    diverged_a: ArrayLike | None = None,
    diverged_b: ArrayLike | None = None,
    **settings: Unpack[CrossedSettings],
) -> CrossedComparison:
    """Compare two models trained on every data seed with every initialisation seed.

    The interval pays for both new data and new initialisations, and the variance of each model and
    of their difference is split into data, training and interaction.

    Args:
        table_a: (data seed, init seed) accuracies of the first model in [0, 1], or with `total`
            integer counts of correct predictions; at least 2 x 2.
        table_b: the same for the second model, on the same cells.
        rules: what is the same for all pairs of a study. Its `scope` stays "data" and its `metric`
            "accuracy"; sizes and the seed of random signs are not looked at.
        total: test samples a run, where the tables are counts.
        names: of the two models.
        diverged_a: True where the first model's run diverged: it counts as failed.
        diverged_b: the same for the second model.
        settings: in place of `rules`, its fields one by one, but `scope`, `n_train`, `n_test`,
            `metric`, `step` and `seed`.

    Returns:
        A `CrossedComparison`; its `conclusion` is a paragraph, its `to_dict()` plain data.

    Raises:
        ValueError: for an argument out of range; the message names it and the value.
        TypeError: for an argument of the wrong type, or unknown, or rules and settings at once.

    Source:
        As `crossed_interval`, `score_t_interval` and `variance_components`.

    Example:
        >>> a = [[0.99, 1.00, 0.98], [0.97, 0.99, 0.97], [1.00, 1.00, 0.99]]
        >>> b = [[0.51, 0.50, 0.52], [0.48, 0.47, 0.50], [0.52, 0.50, 0.50]]
        >>> compare_crossed(a, b).verdict
        'better'
    """
    rules = chosen("compare_crossed", rules, settings, CrossedSettings.__optional_keys__)
    if rules.scope != DATA.name:
        raise ValueError(
            f"rules have scope {rules.scope!r}: a crossed design speaks of new data and new "
            f"initialisations alone, for which it stays {DATA.name!r}"
        )
    if rules.metric != ACCURACY.name:
        raise ValueError(
            f"rules have metric {rules.metric!r}: a crossed design is compared by accuracy alone"
        )
    name_a, name_b = validation.model_names(names)
    if rules.sequential:
        raise ValueError(
            "rules are sequential: a crossed design has as many cells as were asked for; leave "
            "sequential out"
        )
    pairs = paired("table_a", table_a, "table_b", table_b, total, ndim=2)
    d = pairs.differences
    test = crossed_t_test(d, rules.alpha)
    interval, pvalue = _score_t_test(pairs, test, rules.alpha)
    mask_a = validation.mask("diverged_a", diverged_a, d.shape)
    mask_b = validation.mask("diverged_b", diverged_b, d.shape)
    validation.same_labels(
        table_a=table_a, table_b=table_b, total=total, diverged_a=diverged_a, diverged_b=diverged_b
    )
    below, margin = rules.failure_below, rules.settled_margin
    return CrossedComparison(
        model_a=describe_model(name_a, pairs.a, mask_a, worse_than(below, pairs.a), None),
        model_b=describe_model(name_b, pairs.b, mask_b, worse_than(below, pairs.b), None),
        setting=rules.setting,
        n_data_seeds=d.shape[0],
        n_init_seeds=d.shape[1],
        estimate=pairs.mean_difference,
        interval=interval,
        method="crossed t with score limits" if interval else "none",
        standard_error=test.standard_error,
        df=test.df,
        t_statistic=test.statistic,
        t_pvalue=test.pvalue,
        pvalue=pvalue,
        wins=int(np.count_nonzero(d > 0)),
        ties=int(np.count_nonzero(d == 0)),
        losses=int(np.count_nonzero(d < 0)),
        differences=describe(d),
        components_a=_spread(pairs.a, rules.alpha),
        components_b=_spread(pairs.b, rules.alpha),
        components_difference=_spread(d, rules.alpha),
        failure_below=below,
        references=dict(rules.references or {}),
        alpha=rules.alpha,
        margin=margin,
        verdict=decide(interval, margin),
        first_margin=rules.first_margin,
        first_alpha=rules.first_alpha,
        earlier_looks=rules.earlier_looks,
        first_metric=rules.first_metric,
    )


def _score_t_test(pairs: Pairs, test: TTest, alpha: float) -> tuple[Interval | None, float | None]:
    """Return the crossed t interval, widened by score limits as `score_t_interval` is, and its p.

    Without spread there is no interval, and t's p value, if there is one, stands.
    """
    if test.standard_error is None:
        return None, test.pvalue
    error_a, error_b = (crossed_t_test(t).standard_error or 0.0 for t in (pairs.a, pairs.b))
    errors = error_a, error_b, test.standard_error
    estimates = Estimates(pairs.a.mean(), pairs.b.mean(), *errors, df=test.df)
    return possible(limits(estimates, alpha)), limits_pvalue(estimates)


def _spread(table: FloatArray, alpha: float) -> Spread:
    parts = variance_components(table, alpha)
    return Spread(data=parts.rows, training=parts.columns, interaction=parts.interaction)
