"""One chunk from its seeds to its result: draw, train, and keep what matters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from functional_clf.contestants.base import Contestant, Trained, Training
from functional_clf.contestants.recipe import Recipe
from functional_clf.core.same_bits import clone
from functional_clf.core.types import Curves, Metrics
from functional_clf.data.batches import ChunkData, draw_chunk
from functional_clf.data.dataset import Dataset
from functional_clf.data.seeds import Replicate
from functional_clf.record.rows import ChunkResult
from functional_clf.support.arguments import short


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

    def train(self, training: Training, seeds: Sequence[int], keep_params: bool) -> ChunkResult:
        """Train every contestant on one chunk of at most `chunk_size` seeds.

        Raises:
            ValueError: when a contestant does not return what it should.
        """
        replicates, data = self._draw(seeds)
        n_kept = len(seeds)  # the rest is padding
        rows: list[tuple[Any, ...]] = []
        curves: dict[str, np.ndarray] = {}
        params: dict[str, np.ndarray] = {}
        for one in self.contestants:
            # Of a recipe it is known that it changes nothing; another may, and the next shall not
            # see it.
            own = data if isinstance(one, Recipe) else clone(data)
            trained = _trained(one, one.train(own, replicates, training))
            points = _points(one, trained, data)
            rows += _rows(one.name, points, trained, replicates[:n_kept], data)
            curves |= {f"{one.name}/{key}": value[:, :n_kept] for key, value in points.items()}
            if keep_params:
                for key, value in trained.params.items():
                    params[f"{one.name}/{key}"] = np.asarray(value[:n_kept])
        return ChunkResult(
            rows, {key: np.ascontiguousarray(value) for key, value in curves.items()}, params
        )

    def draw(self, seeds: Sequence[int]) -> ChunkData:
        """The samples of one chunk."""
        return self._draw(seeds)[1]

    def _draw(self, seeds: Sequence[int]) -> tuple[list[Replicate], ChunkData]:
        padded = [*seeds, *[seeds[-1]] * (self.chunk_size - len(seeds))]
        replicates = [self.replicate(seed) for seed in padded]
        return replicates, draw_chunk(self.dataset, replicates, self.test_size, self.device)


def _trained(contestant: Contestant, value: Any) -> Trained:
    """What a contestant's `train` returned, which has the form that it should have."""
    if not (
        isinstance(value, Trained)
        and isinstance(value.params, Mapping)
        and isinstance(value.curves, Curves)
        and all(isinstance(part, Metrics) for part in (value.curves.train, value.curves.test))
    ):
        raise ValueError(
            f"model {contestant.name!r}: train returned {short(value)}; it must return "
            "Trained(params, curves, diverged), with Metrics in its curves"
        )
    return value


def _points(contestant: Contestant, trained: Trained, data: ChunkData) -> dict[str, np.ndarray]:
    """The learning curves by name, arrays `(point, replicate)`, checked."""
    kept: dict[str, np.ndarray] = {}
    n_points, width = len(contestant.curve_epochs), len(data.train.y)
    for part, metrics, batch in (
        ("train", trained.curves.train, data.train),
        ("test", trained.curves.test, data.test),
    ):
        loss, correct = np.asarray(metrics.loss), np.asarray(metrics.correct)
        for key, values in (("loss", loss), ("correct", correct)):
            if values.shape != (n_points, width):
                raise ValueError(
                    f"model {contestant.name!r}: its {part} {key} has shape {values.shape}; it "
                    f"must be (point, replicate), {(n_points, width)}"
                )
        n_samples = batch.y.shape[1]
        if correct.dtype.kind not in "iu" or correct.min() < 0 or correct.max() > n_samples:
            raise ValueError(
                f"model {contestant.name!r}: its {part} correct must be counts between 0 and "
                f"{n_samples}"
            )
        kept |= {f"{part}_loss": loss, f"{part}_correct": correct.astype(np.int32)}
    if np.shape(trained.diverged) != (width,) or any(
        np.shape(value)[:1] != (width,) for value in trained.params.values()
    ):
        raise ValueError(
            f"model {contestant.name!r}: diverged and params must have one entry a replicate"
        )
    return kept


def _rows(
    name: str,
    points: dict[str, np.ndarray],
    trained: Trained,
    replicates: Sequence[Replicate],
    data: ChunkData,
) -> list[tuple[Any, ...]]:
    """A row a replicate, of the last point of its curves."""
    n_train, n_test = data.train.y.shape[1], data.test.y.shape[1]
    last = {key: values[-1].tolist() for key, values in points.items()}
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
            bool(trained.diverged[lane]),
        )
        for lane, one in enumerate(replicates)
    ]
