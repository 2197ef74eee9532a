"""Scores from anywhere, compared: what `functional_clf.stats` says of them, and every doubt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from functional_clf.score_tables.doubts import doubts_of
from functional_clf.score_tables.reading import Names, Reading, read_scores
from functional_clf.score_tables.table import ScoreTable
from functional_clf.stats import Comparison, Rules, compare_all
from functional_clf.stats.data_sets import DataSetsComparison, compare_on_data_sets
from functional_clf.stats.figures import differences_of
from functional_clf.stats.scopes import UNSAID
from functional_clf.stats.summaries import plain
from functional_clf.support.notebook import MOST_PARAGRAPHS, Bullets, panel
from functional_clf.support.text import printable, shortened

FORMAT = 1
"""Of `to_dict`; raised when a field changes its meaning or goes."""

SCOPES = ("data", "split", "init", "test_set")

_REPR_LINES, _REPR_CELLS = 6, 120
_ASKED = (
    "nobody said what each {row} redrew, so the least is claimed; --scope says it: data (new data, "
    "split and initialisation), split (splits or folds of one data set; with --n-train and "
    "--n-test), init (the initialisation only), test_set (likewise, the test set given apart)"
)


@dataclass(frozen=True)
class ScoreComparison:
    """What scores from elsewhere allow to say.

    Attributes:
        comparisons: of each pair of models, or with data sets, of the pair on each data set.
        doubts: what a reader must know of the scores, a line each.
        data_sets: the pair on several data sets and over them; None where there is one.
        source: where the scores come from.
    """

    comparisons: tuple[Comparison, ...]
    doubts: tuple[str, ...]
    data_sets: DataSetsComparison | None = None
    source: str = "the frame"

    @property
    def conclusion(self) -> str:
        """A paragraph a comparison; of several data sets that of the mean comes first."""
        if self.data_sets is not None:
            return self.data_sets.conclusion
        return "\n".join(one.conclusion for one in self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """Return it all as plain data for JSON: no NaN, no infinity."""
        found = {
            "format": FORMAT,
            "source": self.source,
            "comparisons": [one.to_dict() for one in self.comparisons],
            "doubts": list(self.doubts),
            "conclusion": self.conclusion,
            "data_sets": None,
        }
        if self.data_sets is not None:
            mean = plain(self.data_sets.mean) | {"conclusion": self.data_sets.mean.conclusion}
            found["data_sets"] = {"names": list(self.data_sets.comparisons), "mean": mean}
        return found

    def __repr__(self) -> str:
        """A few lines: the verdicts, and how many doubts there are."""
        lines = [f"Comparison of {self.source}"]
        if self.data_sets is not None:
            mean = self.data_sets.mean
            lines.append(
                f"{' - '.join(mean.names)} over {mean.n_data_sets} data sets: {mean.verdict}"
            )
        else:
            lines += [f"{c.model_a.name} - {c.model_b.name}: {c.verdict}" for c in self.comparisons]
        if len(lines) > _REPR_LINES:
            lines[_REPR_LINES:] = [f"... and {len(lines) - _REPR_LINES} more comparisons"]
        if self.doubts:
            lines.append(f"doubts: {len(self.doubts)}, in .doubts")
        return "\n".join(shortened([printable(line)], _REPR_CELLS)[0] for line in lines)

    def _repr_html_(self) -> str:
        """The same for a notebook, with the conclusion, the figures and every doubt."""
        head, *verdicts = repr(self).split("\n")
        conclusions = self.conclusion.split("\n")
        names = None if self.data_sets is None else list(self.data_sets.comparisons)
        return panel(
            head,
            verdicts[0] if len(self.comparisons) == 1 or self.data_sets else "",
            [
                *conclusions[:MOST_PARAGRAPHS],
                differences_of(self.comparisons, names),
                Bullets("Doubts:", self.doubts),
            ],
        )


def compare_scores(
    frame: Any,
    *,
    model_column: str | None = None,
    seed_column: str | None = None,
    score_column: str | None = None,
    dataset_column: str | None = None,
    baseline: str | None = None,
    scope: str | None = None,
    metric: str | None = None,
    margin: float | None = None,
    alpha: float | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
    failure_below: float | None = None,
    common_seeds: bool = False,
) -> ScoreComparison:
    """Compare the scores of two or more models, wherever they come from, and doubt them.

    A long table has a row a model and seed, a wide one a column a model and a row a seed. Columns
    are known by their usual names (model, method, classifier...; seed, split, fold, run...; score,
    value, or a metric's name), or named here. Of several data sets, each pair's effect is given,
    and the mean over data sets. The comparison itself is `functional_clf.stats.compare`'s, or for
    more models `compare_all`'s.

    Args:
        frame: a polars or pandas data frame, a mapping from name to column, or a path: of a CSV,
            TSV, Parquet or Arrow file, of a run folder, or of its seeds.csv.
        model_column: which column names the models; its rows are then a model and seed each.
        seed_column: which column says what belongs together: the seed, split, fold or run.
        score_column: which column holds the scores.
        dataset_column: which column names the data sets, where there are several.
        baseline: the model that all others are compared with; None for every pair.
        scope: "data", "split", "init" or "test_set": what each row redrew, as in `stats.Rules`.
            None claims no more than more runs made as these were; a run folder says it itself.
        metric: what the scores are, a name in `stats.METRICS`, or scikit-learn's neg_log_loss or
            neg_brier_score; None takes it from the column's name, or else takes them for shares in
            [0, 1] of which more is better.
        margin: the smallest difference that matters, in the metric's unit; 0.01 of a share, or the
            run folder's own, where None.
        alpha: share of intervals that may miss; 0.05, or the run folder's own, where None.
        n_train: training samples of each row; the split scope needs it.
        n_test: test samples of each row; the split scope needs it.
        failure_below: accuracy below which a run counts as failed.
        common_seeds: compare the seeds that all models have, where one lacks some; told as a doubt.

    Returns:
        A `ScoreComparison`: comparisons, doubts, conclusion, `to_dict()`.

    Raises:
        TypeError: for a frame or an argument of the wrong type.
        ValueError: where there is no honest comparison; the message names the place and what would
            be right.
        StoreError: for a run folder whose record cannot be used.

    Source:
        See `stats.compare`; for several data sets `stats.data_sets.mean_over_data_sets`.

    Example:
        >>> found = compare_scores(
        ...     {"seed": [0, 1, 2, 3], "deep": [0.9, 0.8, 0.9, 1.0], "flat": [0.5, 0.6, 0.4, 0.5]},
        ...     metric="accuracy", scope="data",
        ... )
        >>> found.comparisons[0].model_a.name, found.comparisons[0].verdict
        ('flat', 'worse')
        >>> found.doubts
        ('4 pairs are very few: with fewer than 6 no sign-flip test can come below .05',)
    """
    names = Names(model_column, seed_column, score_column, dataset_column)
    table = read_scores(frame, Reading(names, metric, common_seeds))
    return compare_table(
        table,
        baseline=baseline,
        scope=scope,
        margin=margin,
        alpha=alpha,
        n_train=n_train,
        n_test=n_test,
        failure_below=failure_below,
    )


def compare_table(
    table: ScoreTable,
    *,
    baseline: str | None = None,
    scope: str | None = None,
    margin: float | None = None,
    alpha: float | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
    failure_below: float | None = None,
) -> ScoreComparison:
    """Compare the models of a table, as `compare_scores` does.

    Raises:
        ValueError: for a scope that is another than the table's own, a split scope without sizes,
            or as `stats.compare_all`.
    """
    rules, more = rules_of(
        table, scope=scope, margin=margin, alpha=alpha, n_train=n_train, n_test=n_test,
        failure_below=failure_below,
    )  # fmt: skip
    if baseline is not None and baseline not in table.models:
        raise ValueError(f"baseline is {baseline!r}; it must be one of {', '.join(table.models)}")
    doubts = (*doubts_of(table), *more)
    if table.dataset is not None:
        found = _on_data_sets(table, rules, baseline)
        doubts += tuple(_data_set_doubts(table, found))
        return ScoreComparison(tuple(found.comparisons.values()), doubts, found, table.source)
    majority = None if rules.failure_below is not None else table.majority
    comparisons = compare_all(
        table.scores,
        rules,
        total=table.total,
        diverged=table.diverged,
        majority=majority,
        baseline=baseline,
    )
    return ScoreComparison(tuple(comparisons), doubts, None, table.source)


def rules_of(
    table: ScoreTable,
    *,
    scope: str | None = None,
    margin: float | None = None,
    alpha: float | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
    failure_below: float | None = None,
) -> tuple[Rules, list[str]]:
    """The rules by which a table is compared, and what has to be doubted of them.

    Raises:
        ValueError: as `compare_table`.

    Example:
        >>> table = ScoreTable({"a": np.zeros(2)}, np.arange(2))
        >>> rules_of(table, scope="data")[0].margin
        0.01
    """
    if scope is not None and scope not in SCOPES:
        raise ValueError(f"scope is {scope!r}; it must be one of {', '.join(SCOPES)}")
    if scope is not None and table.scope is not None and scope != table.scope:
        is_close = {scope, table.scope} == {"init", "test_set"} and table.identity is None
        if not is_close:  # a file of seeds does not tell these two apart
            raise ValueError(
                f"scope is {scope!r}, and {table.source} says that it is {table.scope!r}; leave it "
                "out"
            )
    settled = scope or table.scope or UNSAID.name
    doubts = []
    if settled == UNSAID.name:
        doubts.append(_ASKED.format(row="seed" if table.has_seeds else "row"))
    n_train = _agreed("n_train", n_train, table.n_train, table.source)
    told = table.n_test
    if table.total is not None and np.ndim(table.total) == 0:
        told = int(table.total)
    n_test = _agreed("n_test", n_test, told, table.source)
    lacking = [name for name, size in (("n_train", n_train), ("n_test", n_test)) if size is None]
    if settled == "split" and lacking:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in lacking)
        raise ValueError(
            f"scope is 'split', which needs the numbers of samples that each model was trained and "
            f"tested on; say {options}, as in --n-train 80 --n-test 20"
        )
    known = table.failure_below if failure_below is None else failure_below
    looks = table.looks
    alpha = table.alpha if alpha is None else alpha
    references = {}
    if table.majority is not None:
        guess = "always the largest class" if table.kind.is_share else "the class shares"
        references[guess] = float(table.majority.mean())
    return (
        Rules(
            scope=settled,
            n_train=n_train,
            n_test=n_test,
            margin=table.margin if margin is None else margin,
            alpha=Rules.alpha if alpha is None else alpha,
            failure_below=known,
            references=references,
            setting=table.setting,
            metric=table.metric,
            step=table.step,
            first_margin=looks.first_margin if looks else None,
            first_alpha=looks.first_alpha if looks else None,
            first_metric=looks.first_metric if looks else None,
            earlier_looks=looks.earlier if looks and not table.sequential else 0,
            sequential=table.sequential,
        ),
        doubts,
    )


def _agreed(name: str, given: int | None, told: int | None, source: str) -> int | None:
    if given is not None and told is not None and given != told:
        raise ValueError(f"{name} is {given}, and {source} says that it is {told}; leave it out")
    return told if given is None else given


def _on_data_sets(table: ScoreTable, rules: Rules, baseline: str | None) -> DataSetsComparison:
    if len(table.models) != 2:
        raise ValueError(
            f"{table.source} has {len(table.models)} models on several data sets; give a table of "
            "two of them, as the mean over data sets is of one pair"
        )
    later, earlier = table.models[1], table.models[0]
    if baseline == later:
        later, earlier = earlier, later
    labels = np.asarray(table.dataset)
    pairs: dict[str, Sequence[Any]] = {}
    for name in dict.fromkeys(labels.tolist()):
        own = labels == name
        pair: list[Any] = [table.scores[later][own], table.scores[earlier][own]]
        if table.total is not None:
            pair.append(table.total if np.ndim(table.total) == 0 else np.asarray(table.total)[own])
        pairs[str(name)] = pair
    return compare_on_data_sets(pairs, rules, names=(later, earlier))


def _data_set_doubts(table: ScoreTable, found: DataSetsComparison) -> list[str]:
    counts = {name: int(np.count_nonzero(which)) for name, which in table.diverged.items()}
    diverged = ", ".join(f"{count} of {name}" for name, count in counts.items() if count)
    alone = [name for name, one in found.comparisons.items() if one.n_pairs < 2]
    words = (
        [f"runs diverged, and count with the score they reached: {diverged}"] if diverged else []
    )
    if alone:
        shown = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        words.append(
            f"of {shown} there is one pair only, which shows no spread: its own interval says "
            "little, but its effect counts in the mean over data sets"
        )
    return words
