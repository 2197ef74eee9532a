"""When to stop: after which seed the verdicts of a study are first settled."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from functional_clf.record.rows import SEED_COLUMNS, ChunkResult
from functional_clf.record.store import Store
from functional_clf.stats import Rules, metrics, settled_after
from functional_clf.study.plan import Plan

_COLUMNS = list(SEED_COLUMNS)
_MODEL, _SEED, _CORRECT = (_COLUMNS.index(name) for name in ("model", "seed", "test_correct"))

_LOOKED_AT_AGAIN = 1 / 128
"""After so many more seeds, as a share: what is found is the same, and long studies stay quick."""


class Stopping(NamedTuple):
    """Why a study ended with as many seeds as it has.

    Attributes:
        n_seeds: how many there are.
        max_seeds: how many there might have been.
        is_settled: whether all verdicts are.
    """

    n_seeds: int
    max_seeds: int
    is_settled: bool

    @property
    def words(self) -> str:
        """A sentence that says it.

        >>> Stopping(107, 4096, True).words
        'Stopped after 107 seeds, the first number that settles it, of at most 4096.'
        """
        if self.is_settled:
            return (
                f"Stopped after {self.n_seeds} seeds, the first number that settles it, of at most "
                f"{self.max_seeds}."
            )
        return f"Stopped after {self.n_seeds} seeds, the most that were allowed: it is not settled."


class Watch:
    """What each seed of a study scored, looked at in the order of their numbers.

    Seeds may come in any order; the answer depends on their scores alone.

    Args:
        plan: of the study; its seeds are the most there may be.
        store: whose seeds count, too.
    """

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._rules = Rules(
            margin=plan.margin, alpha=plan.alpha, metric=plan.metric, sequential=True
        )
        self._is_count = plan.metric == metrics.ACCURACY.name
        self._scores = {name: np.full(len(plan.seeds), np.nan) for name in plan.names}
        self._is_here = np.zeros(len(plan.seeds), dtype=bool)
        self._looked_at = 0
        self.n_settled: int | None = None
        """After how many seeds all verdicts are settled; None as long as they are not."""
        self._take(store)
        self._look(at_once=True)

    def add(self, result: ChunkResult) -> None:
        """Take the scores of a chunk, and see whether they settle the verdict."""
        for name in self._plan.names:
            rows = [row for row in result.rows if row[_MODEL] == name]
            scores = [row[_CORRECT] for row in rows]
            if not self._is_count:
                scores = result.curves[f"{name}/scores/{self._plan.metric}"]
            self._put(name, np.array([row[_SEED] for row in rows]), np.asarray(scores))
        self._look(at_once=False)

    def end(self) -> Stopping:
        """Look at what is left to look at, and say why the study ends."""
        self._look(at_once=True)
        most = len(self._plan.seeds)
        return Stopping(self.n_settled or most, most, self.n_settled is not None)

    def _take(self, store: Store) -> None:
        """Take the seeds that are there already."""
        plan = self._plan
        table = store.seeds(plan.seeds)
        for name in plan.names:
            own = table.filter(table["model"] == name)
            scores = own["test_correct"].to_numpy()
            if not self._is_count and own.height:
                recorded = store.scores(name, plan.seeds).get(f"scores/{plan.metric}")
                if recorded is None:
                    continue
                if len(recorded) != own.height:
                    raise store.damaged(f"{name} has not one {plan.metric} a seed")
                scores = recorded
            self._put(name, own["seed"].to_numpy(), scores)

    def _put(self, name: str, seeds: np.ndarray, scores: np.ndarray) -> None:
        places = seeds - self._plan.seeds.start
        inside = (places >= 0) & (places < len(self._is_here))  # a chunk may hold more
        self._scores[name][places[inside]] = scores[inside]
        if name == self._plan.names[-1]:  # the models of a chunk come together
            self._is_here[places[inside]] = True

    def _look(self, at_once: bool) -> None:
        if self.n_settled is not None:
            return
        n_here = len(self._is_here) if self._is_here.all() else int(np.argmin(self._is_here))
        if n_here <= self._looked_at * (1 + (0 if at_once else _LOOKED_AT_AGAIN)):
            return
        self._looked_at = n_here
        self.n_settled = settled_after(
            self._columns(n_here),
            self._rules,
            total=self._plan.sizes[1] if self._is_count else None,
            baseline=self._plan.baseline,
        )

    def _columns(self, n: int) -> Mapping[str, np.ndarray]:
        columns = {name: scores[:n] for name, scores in self._scores.items()}
        for name, column in columns.items():
            if (lacking := np.isnan(column)).any():
                seed = self._plan.seeds[int(np.argmax(lacking))]
                raise ValueError(
                    f"metric is {self._plan.metric!r}; of seed {seed} of {name} it is not defined, "
                    "so the verdict cannot be settled; leave until_decided out"
                )
        return {
            name: column.astype(np.int64) if self._is_count else column
            for name, column in columns.items()
        }
