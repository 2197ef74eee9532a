"""What a study found: its table of seeds, and what may be said of it."""

import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from functional_clf.record.rows import Looks
from functional_clf.stats import (
    Comparison,
    CrossedComparison,
    Interval,
    Rules,
    SelfCalibration,
    compare_all,
    compare_crossed,
    crossed_interval,
    score_t_interval,
    self_calibration,
)
from functional_clf.study.curves import Band
from functional_clf.study.options import check_choice
from functional_clf.study.plan import Plan
from functional_clf.support.forks import use_threads
from functional_clf.support.text import printable, shortened

AnyComparison = Comparison | CrossedComparison

PICTURED_SEEDS = 256
"""Weights are kept of this many seeds even where nobody asks: the pictures are drawn from them."""

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
        environment: versions and machine.
        timings: seconds by stage, of this run.
        looks: how the results were looked at before.
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

    @property
    def seeds(self) -> pl.DataFrame:
        """One tidy row a (model, seed); see `functional_clf.record.store.SEED_COLUMNS`.

        Raises:
            RuntimeError: in a process forked from one that has run a study.
        """
        use_threads()  # polars waits for them for ever where they are missing
        return self._table

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
        return "\n".join(shortened([printable(line)], REPR_CELLS)[0] for line in lines)

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

    def compare(self, model: str, baseline: str) -> AnyComparison:
        """Compare two models seed by seed, as the difference `model - baseline` in test accuracy.

        Args:
            model: the challenger's name.
            baseline: whom it challenges.

        Returns:
            The comparison, whose claim reaches as far as the study's `vary` or `design` allows.

        Raises:
            ValueError: when there is no such model.
        """
        return self._compare((baseline, model))[0]

    def comparisons(self) -> Sequence[AnyComparison]:
        """Every pair of models, later minus earlier; with more than two, adjusted for their number.

        Empty where the study has one model.
        """
        return self._comparisons

    @functools.cached_property
    def _comparisons(self) -> Sequence[AnyComparison]:
        names = self.study.names
        return self._compare(names) if len(names) > 1 else []

    @property
    def conclusion(self) -> str:
        """The conclusion of each comparison, a line each."""
        lines = [comparison.conclusion for comparison in self.comparisons()]
        return "\n".join(lines) or "One model: there is nothing to compare it with."

    def self_calibration(self, model: str, baseline: str) -> SelfCalibration:
        """How often smaller studies of these models would have ended with another verdict.

        Draws many studies of fewer seeds from this one, whose verdict stands for the answer.

        Raises:
            ValueError: when there is no such model, the design is crossed, or seeds are few.
        """
        if self.study.design == "crossed":
            raise ValueError("design is 'crossed'; self-calibration needs a paired design")
        columns = [self._column(name, "test_correct") for name in (model, baseline)]
        return self_calibration(*columns, rules=self.rules, total=self.study.sizes[1])

    def mean_interval(self, model: str, part: Literal["train", "test"] = "test") -> Interval | None:
        """The interval of one model's mean accuracy, in [0, 1]; None without any spread."""
        accuracies, alpha = self.accuracies(model, part), self.study.alpha
        if self.study.design == "crossed":
            interval = crossed_interval(self._grid(accuracies), alpha)
        else:
            n_train, n_test = self.study.sizes
            overlap = n_test / n_train if self.study.varies == "split" else 0
            interval = score_t_interval(  # of its difference from 0
                accuracies,
                np.zeros_like(accuracies),
                alpha,
                variance_factor=1 / len(accuracies) + overlap,
                step=1 / (n_train if part == "train" else n_test),
            )
        return interval and Interval(max(interval.low, 0.0), min(interval.high, 1.0))

    def failures(self, model: str) -> tuple[int, list[int]]:
        """How many seeds of one model failed or diverged, and which of them diverged."""
        diverged = self._column(model, "diverged")
        # Rounded, as 1 - 16 / 50 is not .68 to the last bit.
        lacking = np.round(self.study.failure_threshold - self.accuracies(model), 12) > 0
        failed = diverged | lacking
        return int(failed.sum()), self._column(model, "seed")[diverged].tolist()

    @functools.cached_property
    def rules(self) -> Rules:
        """What every comparison of this study is held to."""
        study, (n_train, n_test) = self.study, self.study.sizes
        known = study.dataset.references().items()
        return Rules(
            scope=study.varies,
            n_train=n_train,
            n_test=n_test,
            margin=study.margin,
            alpha=study.alpha,
            failure_below=study.failure_threshold,
            references={name.replace("_", " "): accuracy for name, accuracy in known},
            setting=str(study.dataset),
            first_margin=self.looks.first_margin,
            first_alpha=self.looks.first_alpha,
            earlier_looks=self.looks.earlier,
        )

    def _compare(self, names: Sequence[str]) -> Sequence[AnyComparison]:
        correct = {name: self._column(name, "test_correct") for name in names}
        diverged = {name: self._column(name, "diverged") for name in names}
        total = self.study.sizes[1]
        if self.study.design == "paired":
            return compare_all(correct, self.rules, total=total, diverged=diverged)
        baseline, model = names
        crossed = compare_crossed(
            self._grid(correct[model]),
            self._grid(correct[baseline]),
            self.rules,
            total=total,
            names=(model, baseline),
            diverged_a=self._grid(diverged[model]),
            diverged_b=self._grid(diverged[baseline]),
        )
        return [crossed]

    def _column(self, model: str, column: str) -> np.ndarray:
        return self.of(model)[column].to_numpy()

    def _grid(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(self.study.data_seeds, self.study.init_seeds)
