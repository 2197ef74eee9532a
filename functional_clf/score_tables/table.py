"""The table of scores that everything here works on, whatever it was read from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from functional_clf.record.rows import Looks
from functional_clf.stats.metrics import ACCURACY, Metric, named
from functional_clf.stats.types import FloatArray


@dataclass(frozen=True)
class ScoreTable:
    """Scores of some models on the same seeds: a column a model, an entry a seed.

    Attributes:
        scores: (J,) of each model by name, in its order; floats in the metric's unit, or where
            `total` is given, integer counts of correct predictions.
        keys: (J,) the seeds (or rows, or data sets' rows) that the columns are paired by.
        metric: what the scores are, a name that `stats.metrics.named` knows.
        source: where they come from, for messages.
        total: test samples of a seed, where scores are counts: one number, or (J,).
        dataset: (J,) which data set each entry is of; None where there is one.
        diverged: (J,) True where a run diverged, by model; a model that is not named has none.
        majority: (J,) scores of always predicting the largest class of the training part.
        scope: what each seed redrew, as `stats.Rules` names it; None where nobody said.
        n_train: training samples of a seed; None where unknown.
        n_test: test samples of a seed; None where unknown.
        setting: where the data come from, for the scope sentence.
        step: how much one test sample can change a score, where it is not 1 / `n_test`.
        failure_below: accuracy below which a run failed, where that is known.
        margin: the last one that these scores were looked at by; None where nobody has.
        alpha: likewise.
        looks: how they were looked at before.
        identity: a run folder's configuration; None of anything else.
        has_seeds: whether keys are seeds, and not only places of rows.
        doubts: what a reader must know of them, a line each.

    Raises:
        ValueError: when the columns are not all of one length.

    Example:
        >>> table = ScoreTable({"a": np.array([17, 18])}, np.arange(2), total=20)
        >>> table.shares("a").tolist()
        [0.85, 0.9]
    """

    scores: Mapping[str, np.ndarray]
    keys: np.ndarray
    metric: str = ACCURACY.name
    source: str = "the frame"
    total: int | np.ndarray | None = None
    dataset: np.ndarray | None = None
    diverged: Mapping[str, np.ndarray] = field(default_factory=dict)
    majority: np.ndarray | None = None
    scope: str | None = None
    n_train: int | None = None
    n_test: int | None = None
    setting: str = ""
    step: float | None = None
    failure_below: float | None = None
    margin: float | None = None
    alpha: float | None = None
    looks: Looks | None = None
    identity: Mapping[str, Any] | None = None
    has_seeds: bool = True
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        columns: dict[str, Any] = {f"scores of {name}": one for name, one in self.scores.items()}
        columns |= {f"diverged of {name}": one for name, one in self.diverged.items()}
        columns |= {"dataset": self.dataset, "majority": self.majority}
        if isinstance(self.total, np.ndarray) and self.total.ndim:
            columns["total"] = self.total
        for name, column in columns.items():
            if column is not None and len(column) != len(self.keys):
                raise ValueError(
                    f"{name} has {len(column)} entries, and there are {len(self)} keys"
                )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def models(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self.scores)

    @property
    def kind(self) -> Metric:
        """What is known of the metric."""
        return named(self.metric)

    def shares(self, model: str) -> FloatArray:
        """The scores of one model as floats, those of counts as shares of their totals."""
        column = self.scores[model]
        return (column if self.total is None else column / self.total).astype(np.float64)
