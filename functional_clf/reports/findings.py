"""What a report tells, whatever it was found in: a study, or scores from elsewhere.

Everything that is made to be sent on (the page, the tables for papers, the paragraph of methods) is
made of these values, so that all of it says the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from functional_clf.stats import Comparison, CrossedComparison, Interval, clauses
from functional_clf.stats.data_sets import MeanOverDataSets
from functional_clf.stats.metrics import METRICS, Metric, named
from functional_clf.stats.scopes import CROSSED, UNSAID, Scope
from functional_clf.stats.scopes import named as scope_named
from functional_clf.stats.summaries import Distribution, describe

if TYPE_CHECKING:
    from functional_clf.score_tables.comparing import ScoreComparison
    from functional_clf.score_tables.table import ScoreTable
    from functional_clf.study.results import Results

AnyComparison = Comparison | CrossedComparison


class ModelFigures(NamedTuple):
    """One model over all its runs.

    name: the model's.
    n: runs.
    scores: of the test samples, by the metric of the report; None where no run defines it.
    interval: of their mean; None where none can be given.
    failed: runs that diverged, or whose score is worse than the threshold.
    diverged: runs that diverged.
    """

    name: str
    n: int
    scores: Distribution | None
    interval: Interval | None
    failed: int
    diverged: int


@dataclass(frozen=True)
class Findings:
    """What was found of some models, and what may be said of it.

    Attributes:
        source: the data set, or the file or folder that the scores are from.
        replicates: how many there are of what, as in "64 seeds".
        metric: what the models are compared by.
        margin: the smallest difference that matters, in the metric's unit.
        alpha: one minus the confidence of all intervals together.
        models: in the order of the study or of the table.
        comparisons: of each pair, adjusted for their number; with data sets, of the pair on each.
            Empty where there is one model.
        conclusion: a paragraph a comparison, as the command prints it.
        claim: what the verdicts reach, and so what they may not be used for; empty without any.
        doubts: what a reader must know of the scores, a line each.
        data_sets: names of the data sets, one a comparison; empty where there is one data set.
        mean: of the pair over the data sets; None where there is one data set.
        best: what is known of the data, by name, as the accuracy of the best possible classifier.
        scope: what each replicate redrew; known of one model, too.
        failure: what a failed run is, as a sentence without its full stop; empty where nobody said.
    """

    source: str
    replicates: str
    metric: Metric
    margin: float
    alpha: float
    models: tuple[ModelFigures, ...]
    comparisons: tuple[AnyComparison, ...]
    conclusion: str
    claim: str = ""
    doubts: tuple[str, ...] = ()
    data_sets: tuple[str, ...] = ()
    mean: MeanOverDataSets | None = None
    best: tuple[tuple[str, float], ...] = ()
    scope: Scope = UNSAID
    failure: str = ""

    @property
    def title(self) -> str:
        """Whom it is of, and on what.

        Example:
            >>> import numpy as np
            >>> from functional_clf.score_tables.comparing import compare_table
            >>> from functional_clf.score_tables.table import ScoreTable
            >>> scores = {"flat": np.array([0.5, 0.6, 0.5]), "deep": np.array([0.9, 0.8, 0.9])}
            >>> table = ScoreTable(scores, np.arange(3), source="scores.csv")
            >>> findings_of_scores(table, compare_table(table)).title
            'flat and deep on scores.csv'
        """
        names = [model.name for model in self.models]
        if len(names) > 1:
            names[-2:] = [f"{names[-2]} and {names[-1]}"]
        return f"{', '.join(names)} on {self.source}"


def findings_of(results: "Results") -> Findings:
    """What a study found.

    Example:
        >>> from functional_clf import Study, circles, model_0
        >>> results = Study(circles(60), [model_0(epochs=2)], 2, engine="eager").run()
        >>> found = findings_of(results)
        >>> found.replicates, [model.n for model in found.models], found.comparisons
        ('2 seeds', [2], ())
    """
    study = results.study
    replicates, scope = f"{len(study.seeds)} seeds", scope_named(results.rules.scope)
    if study.design == "crossed":
        scope = CROSSED
        replicates = f"{study.data_seeds} data seeds x {study.init_seeds} initialisation seeds"
    comparisons = tuple(results.comparisons())
    return Findings(
        source=str(study.dataset),
        replicates=replicates,
        metric=METRICS[study.metric],
        margin=results.rules.settled_margin,
        alpha=study.alpha,
        models=tuple(_figures(results, name) for name in study.names),
        comparisons=comparisons,
        conclusion=results.conclusion,
        claim=_claim(comparisons),
        doubts=(results.mixture,) if results.mixture else (),
        best=tuple(
            (name.replace("_", " "), best) for name, best in study.dataset.references().items()
        ),
        scope=scope,
        failure=_failure(
            study.failure_threshold,
            results.majority_scores(study.metric) is not None,
            METRICS[study.metric],
        ),
    )


def findings_of_scores(table: "ScoreTable", found: "ScoreComparison") -> Findings:
    """What scores from elsewhere allow to say.

    Args:
        table: the scores.
        found: `compare_table` of them.

    Example:
        >>> import numpy as np
        >>> from functional_clf.score_tables.comparing import compare_table
        >>> from functional_clf.score_tables.table import ScoreTable
        >>> scores = {"flat": np.array([0.5, 0.6, 0.5]), "deep": np.array([0.9, 0.8, 0.9])}
        >>> table = ScoreTable(scores, np.arange(3))
        >>> findings_of_scores(table, compare_table(table)).replicates
        '3 pairs'
    """
    first = found.comparisons[0]
    data_sets = () if found.data_sets is None else tuple(found.data_sets.comparisons)
    return Findings(
        source=found.source,
        replicates=f"{len(table)} pairs" + (f" on {len(data_sets)} data sets" * bool(data_sets)),
        metric=named(first.metric),
        margin=first.margin,
        alpha=first.alpha * first.n_comparisons,
        models=tuple(_scored(table, found, name) for name in table.models),
        comparisons=tuple(found.comparisons),
        conclusion=found.conclusion,
        claim=_claim(found.comparisons),
        doubts=tuple(found.doubts),
        data_sets=data_sets,
        mean=None if found.data_sets is None else found.data_sets.mean,
        scope=first.scope,
        failure=_failure(first.failure_below, first.majority is not None, named(first.metric)),
    )


def _figures(results: "Results", name: str) -> ModelFigures:
    metric = results.study.metric
    scores = results.scores(name, metric)
    defined = scores[np.isfinite(scores)]
    failed, diverged = results.failures(name)
    return ModelFigures(
        name,
        len(scores),
        describe(defined) if len(defined) else None,
        results.mean_interval(name, metric=metric),
        failed,
        len(diverged),
    )


def _scored(table: "ScoreTable", found: "ScoreComparison", name: str) -> ModelFigures:
    summaries = [
        model
        for one in found.comparisons
        for model in (one.model_a, one.model_b)
        if model.name == name
    ]
    if not found.data_sets:  # each of them is of all the pairs
        summaries = summaries[:1]
    failed = sum(summary.failures.count for summary in summaries)
    diverged = sum(summary.failures.diverged for summary in summaries)
    scores = table.shares(name)
    return ModelFigures(name, len(scores), describe(scores), None, failed, diverged)


def _failure(below: float | None, is_against_majority: bool, metric: Metric) -> str:
    if below is None and is_against_majority:
        return clauses.failure_against_majority(metric)
    return "".join(clauses.failure_meaning(below))


def _claim(comparisons: Sequence[AnyComparison]) -> str:
    return comparisons[0].to_dict()["claim"] if comparisons else ""
