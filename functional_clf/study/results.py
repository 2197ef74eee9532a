"""What a study found: its table of seeds, and what may be said of it."""

import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from functional_clf.record.environments import other_bits
from functional_clf.record.rows import Looks
from functional_clf.stats import (
    Comparison,
    CrossedComparison,
    Interval,
    LuckySeeds,
    Rules,
    SelfCalibration,
    compare_all,
    compare_crossed,
    crossed_interval,
    lucky_seeds,
    mean_interval,
    metrics,
    self_calibration,
    wording,
)
from functional_clf.stats.failing import worse_than
from functional_clf.stats.figures import differences_of, unit_of
from functional_clf.study.curves import Band
from functional_clf.study.options import check_choice
from functional_clf.study.plan import Plan
from functional_clf.study.until import Stopping
from functional_clf.support.forks import use_threads
from functional_clf.support.notebook import MOST_PARAGRAPHS, Bullets, Table, panel
from functional_clf.support.text import printable, shortened

AnyComparison = Comparison | CrossedComparison

PICTURED_SEEDS = 256
"""Weights are kept of this many seeds even where nobody asks: the pictures are drawn from them."""

COUNTS = ("epochs", "best_epoch")
"""Columns of the table of seeds where training stops early: epochs taken, and the best one."""

REPR_LINES, REPR_CELLS = 5, 120
"""How large a `Results` may appear in a notebook; a line more says what was left out."""


class EngineReport(NamedTuple):
    """The engine that was asked for, the one that ran, and why."""

    requested: str
    ran: str
    reason: str


@dataclass(frozen=True)
class Results:
    """What a study found.

    Attributes:
        study: the description that was run.
        curves: by model and name, the band of all seeds; losses are means, correct are counts.
        params: by model, the seeds whose weights are kept and their stacked params.
        engine: what ran, and why.
        environment: versions and machine, where the seeds were trained (the first of them).
        environments: where they were trained, if in several whose bits may differ: each one, and
            its seeds in order.
        timings: seconds by stage, of this run.
        looks: how the results were looked at before.
        stopping: why there are as many seeds, where they were trained until a verdict was settled.
        warnings: by model, what its training warned of, and of how many seeds.
    """

    study: Plan
    _table: pl.DataFrame
    curves: Mapping[str, Mapping[str, Band]]
    params: Mapping[str, tuple[list[int], dict[str, np.ndarray]]]
    engine: EngineReport
    device: str
    chunk_size: int
    environment: Mapping[str, Any]
    timings: dict[str, float]
    looks: Looks = field(default_factory=Looks)
    _scores: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    warnings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    environments: Sequence[tuple[Mapping[str, Any], np.ndarray]] = ()
    stopping: Stopping | None = None

    @property
    def seeds(self) -> pl.DataFrame:
        """One tidy row a (model, seed); see `functional_clf.record.store.SEED_COLUMNS`.

        Where predictions are scored, a column a metric follows; a score that the test samples do
        not define is null.

        Raises:
            RuntimeError: in a process forked from one that has run a study.
        """
        use_threads()  # polars waits for them for ever where they are missing
        return self._table

    @property
    def mixture(self) -> str:
        """A sentence on the places where the seeds were trained; empty where there is one."""
        if len(self.environments) < 2:
            return ""
        (first, _), *others = self.environments
        counts = ", ".join(str(len(seeds)) for _, seeds in self.environments)
        ways = "; or ".join(other_bits(first, one) for one, _ in others)
        return (
            f"The seeds were trained in {len(self.environments)} environments ({counts} of them), "
            f"whose results may differ in their last digits: {ways}."
        )

    def __repr__(self) -> str:
        """A few lines: what was run, over which seeds, and the verdicts."""
        study = self.study
        seeds = f"seeds {study.seeds.start} to {study.seeds.stop - 1}"
        if study.design == "crossed":
            seeds = f"{study.data_seeds} data seeds x {study.init_seeds} init seeds"
        lines = [
            f"Results of {', '.join(study.names)}",
            f"on {study.dataset}, {seeds}, vary {study.vary}, engine {self.engine.ran}",
        ]
        with suppress(ValueError, RuntimeError):  # no verdict can be had, or not in this process
            found = self.comparisons()
            lines += [f"{one.model_a.name} - {one.model_b.name}: {one.verdict}" for one in found]
        if len(lines) > REPR_LINES:
            lines[REPR_LINES:] = [f"... and {len(lines) - REPR_LINES} more comparisons"]
        if self.mixture:
            lines.append(self.mixture)
        return "\n".join(shortened([printable(line)], REPR_CELLS)[0] for line in lines)

    def _repr_html_(self) -> str:
        """The same for a notebook, with the conclusions and tables of the figures."""
        head, about, *verdicts = repr(self).split("\n")
        parts: list[str | Table | Bullets] = [*verdicts]
        with suppress(ValueError, RuntimeError):  # as above
            found, conclusions = self.comparisons(), self.conclusion.split("\n")
            parts = [*verdicts[:1]] if len(found) == 1 else []
            if len(found) > 1:
                parts.append(differences_of(found))
            if len(found) > MOST_PARAGRAPHS:
                stopped = conclusions[len(found) :]
                conclusions = [f"Scope: {found[0].to_dict()['claim']}", *stopped]
            parts += [*conclusions, *filter(None, [self.mixture]), self._models_table()]
        return panel(head, about, parts)

    def _models_table(self) -> Table:
        """Each model's test scores over the seeds, and how many failed."""
        metric = metrics.named(self.study.metric)
        rows = []
        for name in self.study.names:
            scores, (failed, _) = self.scores(name, metric.name), self.failures(name)
            defined, interval = (
                scores[np.isfinite(scores)],
                self.mean_interval(name, "test", metric.name),
            )
            figures = (
                [f(defined) for f in (np.mean, np.min, np.median, np.max)] if len(defined) else []
            )
            mean, *others = [wording.score(float(one), metric) for one in figures] or ["-"] * 4
            ends = "-"
            if interval is not None:
                ends = " to ".join(wording.score(end, metric) for end in interval)
            rows.append((name, mean, ends, *others, f"{failed} of {len(scores)}"))
        what = f"test {metric.words}{unit_of(metric)}"
        confidence = wording.confidence(self.study.alpha)
        return Table((what, "mean", confidence, "min", "median", "max", "failed"), rows)

    def of(self, model: str) -> pl.DataFrame:
        """The rows of one model, in order of seed.

        Raises:
            ValueError: when there is no such model.
            RuntimeError: in a process forked from one that has run a study.
        """
        names = self.study.names
        if model not in names:
            raise ValueError(f"model is {model!r}; it must be one of {', '.join(names)}")
        return self.seeds.filter(pl.col("model") == model)

    def curve_epochs(self, model: str) -> tuple[int, ...]:
        """The epochs at which the learning curves of one model were read.

        Raises:
            ValueError: when there is no such model.
        """
        self.of(model)
        return next(one.curve_epochs for one in self.study.contestants if one.name == model)

    def accuracies(self, model: str, part: Literal["train", "test"] = "test") -> np.ndarray:
        """The accuracy of each seed of one model, in [0, 1], in order of seed."""
        check_choice("part", part, ("train", "test"))
        table = self.of(model)
        return (table[f"{part}_correct"] / table[f"n_{part}"]).to_numpy()

    def scores(self, model: str, metric: str) -> np.ndarray:
        """The test score of each seed of one model by a metric, in order of seed.

        Args:
            model: whose.
            metric: a name in `stats.METRICS`.

        Returns:
            Floats in the metric's unit; NaN where the test samples do not define it.

        Raises:
            ValueError: when there is no such model or metric, or it is not recorded.
        """
        if metrics.named(metric) == metrics.ACCURACY:
            return self.accuracies(model)
        self.of(model)
        found = self._scores.get(model, {}).get(f"scores/{metric}")
        if found is None:
            raise ValueError(
                f"metric is {metric!r}, which is not recorded of {model}; it is of tables, and "
                f"where a study is asked for it: Study(..., metric={metric!r})"
            )
        return found

    def majority_scores(self, metric: str) -> np.ndarray | None:
        """What always predicting the largest class of the training part scores, seed by seed.

        Args:
            metric: a name in `stats.METRICS`.

        Returns:
            In order of seed; None where predictions are not scored.
        """
        metrics.named(metric)
        recorded = next(iter(self._scores.values()), {})
        return recorded.get(f"majority/{metric}")

    def confusions(self, model: str) -> np.ndarray:
        """Of each seed, test samples by class and prediction of one model.

        Returns:
            Counts `(seed, true, predicted)`.

        Raises:
            ValueError: when there is no such model, or its predictions are not scored.
        """
        self.of(model)
        found = self._scores.get(model, {}).get("confusion")
        if found is None:
            raise ValueError(
                f"model is {model!r}; its predictions are not scored, as those of models on tables "
                "are that give logits"
            )
        return np.moveaxis(found, -1, 0)

    def compare(
        self, model: str, baseline: str, metric: str | None = None, margin: float | None = None
    ) -> AnyComparison:
        """Compare two models seed by seed, as the difference `model - baseline` of test scores.

        In a study of more than two, interval and p value allow for its number of comparisons: those
        with its baseline where `baseline` is that one, else those of every pair.

        Args:
            model: the challenger's name.
            baseline: whom it challenges.
            metric: what to compare by; the study's by default. Of another one the conclusion says
                that it was chosen after looking.
            margin: the difference that matters, in the unit of such another metric; by default its
                usual one.

        Returns:
            The comparison, whose claim reaches as far as the study's `vary` or `design` allows.

        Raises:
            ValueError: when there is no such model, both are one, the metric is not recorded, or it
                has no usual margin and none is given.
        """
        for name in (model, baseline):
            self.of(name)
        if model == baseline:
            raise ValueError(f"model is {model!r} and so is baseline; they must differ")
        metric = metric or self.study.metric
        if margin is None and metric != self.study.metric:
            margin = metrics.named(metric).default_margin
            if margin is None:
                raise ValueError(
                    f"margin is None; {metric} has no usual one, so it must be the difference that "
                    "matters, as in 0.01"
                )
        others = [name for name in self.study.names if name not in (model, baseline)]
        if metric != self.study.metric:
            others = [name for name in others if self._is_scored(name, metric)]
        is_with_baseline = baseline == self.study.baseline
        found = self._compare(
            (baseline, model, *others), baseline if is_with_baseline else None, metric, margin
        )
        return found[0]

    def comparisons(self) -> Sequence[AnyComparison]:
        """Each model minus the baseline, or where there is none every pair, later minus earlier.

        More than one are adjusted for their number. Empty where the study has one model.
        """
        return self._comparisons

    @functools.cached_property
    def _comparisons(self) -> Sequence[AnyComparison]:
        names = self.study.names
        return self._compare(names, self.study.baseline) if len(names) > 1 else []

    @property
    def conclusion(self) -> str:
        """The conclusion of each comparison, a line each, and why it stopped, where it did."""
        lines = [comparison.conclusion for comparison in self.comparisons()]
        if self.stopping is not None:
            lines.append(self.stopping.words)
        return "\n".join(lines) or "One model: there is nothing to compare it with."

    def self_calibration(self, model: str, baseline: str) -> SelfCalibration:
        """How often smaller studies of these models would have ended with another verdict.

        Draws many studies of fewer seeds from this one, whose verdict stands for the answer.

        Raises:
            ValueError: when there is no such model, the design is crossed, or seeds are few.
        """
        columns = self._columns_to_draw_from("self-calibration", model, baseline)
        return self_calibration(*columns, rules=self.rules, total=self._total(self.study.metric))

    def lucky_seeds(self, model: str, baseline: str) -> LuckySeeds:
        """How often one seed of this study, or a few, would have named another model than all do.

        Raises:
            ValueError: when there is no such model, the design is crossed, the number of seeds
                hung on what was seen, or there is one seed.
        """
        columns = self._columns_to_draw_from("lucky seeds", model, baseline)
        total = self._total(self.study.metric)
        return lucky_seeds(*columns, rules=self.rules, total=total, names=(model, baseline))

    def _columns_to_draw_from(self, what: str, model: str, baseline: str) -> list[Any]:
        if self.study.design == "crossed":
            raise ValueError(f"design is 'crossed'; {what} needs a paired design")
        if self.study.until_decided:
            raise ValueError(
                f"until_decided is True; {what} draws studies of fixed sizes out of one whose "
                "size was fixed, too"
            )
        return [self._scored(name, self.study.metric) for name in (model, baseline)]

    def mean_interval(
        self, model: str, part: Literal["train", "test"] = "test", metric: str = "accuracy"
    ) -> Interval | None:
        """The interval of one model's mean score; None without any spread.

        Args:
            model: whose.
            part: of which samples; of those to train on, accuracy alone is recorded.
            metric: a name in `stats.METRICS`.

        Raises:
            ValueError: when there is no such model, part or metric, or it is not recorded.
        """
        if part == "train" and metric != metrics.ACCURACY.name:
            raise ValueError(f"metric is {metric!r}; of training samples only accuracy is recorded")
        is_accuracy = metric == metrics.ACCURACY.name
        scores = self.accuracies(model, part) if is_accuracy else self.scores(model, metric)
        if self.study.design == "crossed":
            interval = crossed_interval(self._grid(scores), self.study.alpha)
            return interval and Interval(max(interval.low, 0.0), min(interval.high, 1.0))
        has_none = self.study.until_decided and metrics.named(metric).upper is None
        if has_none or not np.isfinite(scores).all():
            return None
        n_train, n_test = self.study.sizes
        step = 1 / (n_train if part == "train" else n_test) if is_accuracy else self._step(metric)
        return mean_interval(scores, self._rules(metric, step))

    def failures(self, model: str) -> tuple[int, list[int]]:
        """How many seeds of one model failed or diverged, and which of them diverged."""
        failed, diverged = self.failed_runs(model)
        return int(failed.sum()), self._column(model, "seed")[diverged].tolist()

    def failed_runs(self, model: str) -> tuple[np.ndarray, np.ndarray]:
        """Which seeds of one model failed or diverged, and which of them diverged.

        Returns:
            Two masks `(seed,)`, in order of seed.

        Raises:
            ValueError: when there is no such model.
        """
        diverged = self._column(model, "diverged")
        threshold, metric = self.study.failure_threshold, metrics.named(self.study.metric)
        if threshold is None:
            threshold = self.majority_scores(metric.name)
        return diverged | worse_than(threshold, self.scores(model, metric.name), metric), diverged

    @functools.cached_property
    def rules(self) -> Rules:
        """What every comparison of this study is held to."""
        return self._rules(self.study.metric, self._step(self.study.metric))

    def _rules(self, metric: str, step: float | None, margin: float | None = None) -> Rules:
        study, (n_train, n_test) = self.study, self.study.sizes
        if margin is None:
            is_asked = metric == study.metric
            margin = study.margin if is_asked else metrics.named(metric).default_margin or 0.0
        return Rules(
            scope="test_set" if study.dataset.has_own_test else study.varies,
            n_train=n_train,
            n_test=n_test,
            metric=metric,
            step=step,
            margin=margin,
            alpha=study.alpha,
            failure_below=study.failure_threshold if metric == study.metric else None,
            references=self._references(metric),
            setting=str(study.dataset),
            first_margin=self.looks.first_margin,
            first_alpha=self.looks.first_alpha,
            earlier_looks=0 if study.until_decided else self.looks.earlier,
            first_metric=self.looks.first_metric,
            sequential=study.until_decided,
        )

    def _references(self, metric: str) -> dict[str, float]:
        """Scores to hold the models against, by name."""
        known = self.study.dataset.references() if metric == metrics.ACCURACY.name else {}
        named = {name.replace("_", " "): accuracy for name, accuracy in known.items()}
        if (majority := self.majority_scores(metric)) is not None and np.isfinite(majority).all():
            is_of_shares = not metrics.named(metric).is_share
            guess = "the class shares" if is_of_shares else "always the largest class"
            named[guess] = float(majority.mean())
        return named

    def _step(self, metric: str) -> float | None:
        """How much one test sample can change a score; None for a share of all of them."""
        step = metrics.named(metric).step
        scored = (one["confusion"] for one in self._scores.values() if "confusion" in one)
        confusion = next(scored, None)
        if step is None or confusion is None:
            return None
        sizes = confusion.sum(1)  # of each class and seed; all 0 where nothing is predicted
        steps = [step(one[one > 0]) for one in sizes.T if np.count_nonzero(one) > 1]
        return max(steps, default=None)

    def _compare(
        self,
        names: Sequence[str],
        baseline: str | None,
        metric: str | None = None,
        margin: float | None = None,
    ) -> Sequence[AnyComparison]:
        metric = metric or self.study.metric
        scored = {name: self._scored(name, metric) for name in names}
        diverged = {name: self._column(name, "diverged") for name in names}
        total = self._total(metric)
        if self.study.design == "paired":
            rules = self._rules(metric, self._step(metric), margin)
            majority = None if rules.failure_below is not None else self.majority_scores(metric)
            return compare_all(
                scored, rules, total=total, diverged=diverged, majority=majority, baseline=baseline
            )
        earlier, later = names
        baseline, model = (later, earlier) if baseline == later else (earlier, later)
        crossed = compare_crossed(
            self._grid(scored[model]),
            self._grid(scored[baseline]),
            self._rules(metric, None, margin),
            total=total,
            names=(model, baseline),
            diverged_a=self._grid(diverged[model]),
            diverged_b=self._grid(diverged[baseline]),
        )
        return [crossed]

    def _is_scored(self, model: str, metric: str) -> bool:
        """Whether a metric is recorded of a model, and defined in all its seeds."""
        try:
            self._scored(model, metric)
        except ValueError:
            return False
        return True

    def _scored(self, model: str, metric: str) -> np.ndarray:
        """What is compared: counts of correct predictions, or scores.

        Raises:
            ValueError: when a score is not defined.
        """
        if metric == metrics.ACCURACY.name:
            return self._column(model, "test_correct")
        scores = self.scores(model, metric)
        if (lacking := np.isnan(scores)).any():
            seed = self._column(model, "seed")[lacking][0]
            raise ValueError(
                f"metric is {metric!r}; of seed {seed} of {model} it is not defined, as a class "
                "has no test sample, or its predictions do not tell it"
            )
        return scores

    def _total(self, metric: str) -> int | None:
        return self.study.sizes[1] if metric == metrics.ACCURACY.name else None

    def _column(self, model: str, column: str) -> np.ndarray:
        return self.of(model)[column].to_numpy()

    def _grid(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(self.study.data_seeds, self.study.init_seeds)


def with_scores(
    table: pl.DataFrame, scores: Mapping[str, Mapping[str, np.ndarray]]
) -> pl.DataFrame:
    """The table of seeds with a column for what else is recorded of each: counts and scores.

    Args:
        table: in order of model and seed.
        scores: by model and name, as `Store.scores` has them.
    """
    found = {name for one in scores.values() for name in one}
    columns = [f"counts/{name}" for name in COUNTS] + [f"scores/{name}" for name in metrics.METRICS]
    names = [name for name in columns if name in found]
    parts = []
    for (model,), part in table.group_by("model", maintain_order=True):
        own = scores[str(model)]
        parts.append(part.with_columns(_column(name, own.get(name), part.height) for name in names))
    return pl.concat(parts) if names else table


def with_environments(
    table: pl.DataFrame, environments: Sequence[tuple[Mapping[str, Any], np.ndarray]]
) -> pl.DataFrame:
    """The table of seeds with a column of where each was trained, if in several places.

    Args:
        table: of seeds.
        environments: as `Store.environments` has them; the column has their places, from 0.
    """
    if len(environments) < 2:
        return table
    seeds = np.concatenate([seeds for _, seeds in environments])
    places = np.repeat(np.arange(len(environments)), [len(seeds) for _, seeds in environments])
    order = np.argsort(seeds)
    found = order[np.searchsorted(seeds[order], table["seed"].to_numpy())]
    return table.with_columns(pl.Series("environment", places[found], pl.Int64))


def _column(name: str, values: np.ndarray | None, height: int) -> pl.Series:
    """A column of what is recorded of a model; null where nothing is, or it is not defined."""
    kind, _, column = name.partition("/")
    dtype = pl.Int64 if kind == "counts" else pl.Float64
    if values is None:
        return pl.Series(column, [None] * height, dtype)
    found = pl.Series(column, values, dtype)
    return found if kind == "counts" else found.fill_nan(None)
