"""One chunk from its seeds to its result: draw, train, and keep what matters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from functional_clf.contestants.base import Contestant, Training
from functional_clf.contestants.estimators import EstimatorContestant
from functional_clf.contestants.recipe import Recipe
from functional_clf.core.same_bits import clone
from functional_clf.core.tasks import Task
from functional_clf.core.user_code import ONE_AT_A_TIME
from functional_clf.data.batches import ChunkData, draw_chunk
from functional_clf.data.dataset import Dataset
from functional_clf.data.seeds import Replicate
from functional_clf.record.rows import WARNED, ChunkResult
from functional_clf.stats.metrics import ACCURACY
from functional_clf.study.outcomes import Outcome, checked_outcome
from functional_clf.study.scores import majority_scores, scores_of, scores_of_predictions


class Chunks(Sequence[list[int]]):
    """Seeds in chunks of one size, the last one maybe smaller; made when looked at.

    Args:
        seeds: what to train, 8 bytes each however many there are.
        chunk_size: seeds a chunk, at least 1.
        more: further chunks, made already.

    Example:
        >>> list(Chunks(np.array([3, 5, 6, 9, 11]), chunk_size=2, more=[[1, 2]]))
        [[3, 5], [6, 9], [11], [1, 2]]
    """

    def __init__(
        self, seeds: np.ndarray, chunk_size: int, more: Sequence[Sequence[int]] = ()
    ) -> None:
        self.seeds, self.chunk_size, self.more = seeds, chunk_size, more

    def __len__(self) -> int:
        return self._n_whole() + len(self.more)

    def _n_whole(self) -> int:
        return -(-len(self.seeds) // self.chunk_size)

    def __getitem__(self, index: int) -> list[int]:  # pyright: ignore[reportIncompatibleMethodOverride] - no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index >= self._n_whole():
            return list(self.more[index - self._n_whole()])
        return self.seeds[index * self.chunk_size : (index + 1) * self.chunk_size].tolist()


@dataclass(frozen=True)
class ChunkTrainer:
    """Trains chunks of one study, all of one size: a short chunk is padded with its last seed.

    Args:
        dataset: what every replicate draws its samples from.
        contestants: the models to train, all on the same data.
        replicate: the named seeds that a replicate's seed fixes.
        test_size: share of the samples held out for testing, in (0, 1).
        chunk_size: replicates trained together.
        device: where to train.
        task: what the labels are, and how classes weigh; None for the data set's own.
        metrics: whether predictions are scored by more than accuracy.
        metric: what will be concluded about, and so must be there.

    Example:
        >>> from functional_clf.contestants.mlp import model_0
        >>> from functional_clf.data.generators import circles
        >>> from functional_clf.registry import ENGINES
        >>> from functional_clf.data.seeds import replicate
        >>> trainer = ChunkTrainer(
        ...     circles(100), (model_0(epochs=2),), lambda seed: replicate(seed, "data"),
        ...     test_size=0.2, chunk_size=4, device=torch.device("cpu"),
        ... )
        >>> training = Training(ENGINES["eager"])
        >>> result = trainer.train(training, seeds=[0, 1, 2], keep_params=False)
        >>> len(result.rows), result.curves["model_0/test_loss"].shape
        (3, (3, 3))
    """

    dataset: Dataset
    contestants: tuple[Contestant, ...]
    replicate: Callable[[int], Replicate]
    test_size: float
    chunk_size: int
    device: torch.device
    task: Task | None = None
    metrics: bool = False
    metric: str = ACCURACY.name

    def train(self, training: Training, seeds: Sequence[int], keep_params: bool) -> ChunkResult:
        """Train every contestant on one chunk of at most `chunk_size` seeds.

        Raises:
            ValueError: when a contestant does not return what it should.
        """
        replicates, data = self._draw(seeds)
        n_kept = len(seeds)  # the rest is padding
        training = training._replace(wants_logits=self.metrics)
        majority, y_test = {}, np.empty(0)
        if self.metrics:
            y_train, y_test = (part.y[:n_kept].cpu().numpy() for part in (data.train, data.test))
            majority = majority_scores(y_train, y_test, data.task.n_classes)
        rows: list[tuple[Any, ...]] = []
        curves: dict[str, np.ndarray] = {}
        params: dict[str, np.ndarray] = {}
        for one in self.contestants:
            trained = self._train(one, data, replicates, training)
            kept = checked_outcome(one.name, one.curve_epochs, trained, data)
            rows += _rows(one.name, kept, replicates[:n_kept], data)
            for key, value in kept.points.items():
                curves[f"{one.name}/{key}"] = np.ascontiguousarray(value[:, :n_kept])
            for text, which in kept.warned.items():
                if which[:n_kept].any():
                    curves[f"{one.name}/{WARNED}{text}"] = which[:n_kept]
            is_scored = kept.logits is not None or kept.predictions is not None
            if not is_scored and self.metric != ACCURACY.name:
                raise ValueError(
                    f"model {one.name!r}: train returned no logits, which the metric "
                    f"{self.metric!r} is worked out of"
                )
            scored: dict[str, np.ndarray] = {}
            if self.metrics and is_scored:
                scored = _scored(kept, y_test, data.task)
            scored |= {f"majority/{metric}": values for metric, values in majority.items()}
            scored |= {f"counts/{name}": values[:n_kept] for name, values in kept.counts.items()}
            curves |= {f"{one.name}/{key}": values for key, values in scored.items()}
            for key, value in kept.params.items() if keep_params else ():
                params[f"{one.name}/{key}"] = value[:n_kept]
        return ChunkResult(rows, curves, params)

    def _train(
        self,
        contestant: Contestant,
        data: ChunkData,
        replicates: Sequence[Replicate],
        training: Training,
    ) -> Any:
        """Train one contestant.

        Of our own it is known that they are pure. Any other may change what it meets; nobody else
        shall see it.
        """
        if type(contestant) in (Recipe, EstimatorContestant):
            return contestant.train(data, replicates, training)
        dtype = torch.get_default_dtype()
        with ONE_AT_A_TIME:  # it may seed a generator that another thread draws from
            try:
                return contestant.train(clone(data), tuple(replicates), training)
            finally:
                torch.set_default_dtype(dtype)

    def draw(self, seeds: Sequence[int]) -> ChunkData:
        """The samples of one chunk."""
        return self._draw(seeds)[1]

    def _draw(self, seeds: Sequence[int]) -> tuple[list[Replicate], ChunkData]:
        padded = [*seeds, *[seeds[-1]] * (self.chunk_size - len(seeds))]
        replicates = [self.replicate(seed) for seed in padded]
        return replicates, draw_chunk(
            self.dataset, replicates, self.test_size, self.device, self.task
        )


def _scored(kept: Outcome, y: np.ndarray, task: Task) -> dict[str, np.ndarray]:
    """Scores and confusion matrices as a record keeps them, replicates last; of those in `y`."""
    if kept.predictions is not None:
        found = scores_of_predictions(kept.predictions[: len(y)], y, task.n_classes)
    else:
        assert kept.logits is not None
        found = scores_of(kept.logits[: len(y)], y, task.n_classes)
    scores = {f"scores/{metric}": values for metric, values in found.metrics.items()}
    return {**scores, "confusion": found.confusion}


def _rows(
    name: str,
    kept: Outcome,
    replicates: Sequence[Replicate],
    data: ChunkData,
) -> list[tuple[Any, ...]]:
    """A row a replicate, of the last point of its curves."""
    n_train, n_test = data.train.y.shape[1], data.test.y.shape[1]
    last = {key: values[-1].tolist() for key, values in kept.points.items()}
    return [
        (
            name,
            *one,
            last["train_correct"][lane],
            n_train,
            last["test_correct"][lane],
            n_test,
            last["train_loss"][lane],
            last["test_loss"][lane],
            bool(kept.diverged[lane]),
        )
        for lane, one in enumerate(replicates)
    ]
