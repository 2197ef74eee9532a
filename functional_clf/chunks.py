"""One chunk from its seeds to its record: draw, initialise, train, and keep what matters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from functional_clf.data import ChunkData, Dataset, Replicate, draw_chunk
from functional_clf.ensemble import Engine, Trained, collect, init_chunk
from functional_clf.recipes import Recipe
from functional_clf.store import ChunkRecord


class Chunks(Sequence[list[int]]):
    """Seeds in chunks of one width, the last one maybe shorter; made when looked at.

    Args:
        seeds: what to train, 8 bytes each however many there are.
        width: seeds a chunk, at least 1.
        more: further chunks, made already.

    Example:
        >>> list(Chunks(np.array([3, 5, 6, 9, 11]), width=2, more=[[1, 2]]))
        [[3, 5], [6, 9], [11], [1, 2]]
    """

    def __init__(self, seeds: np.ndarray, width: int, more: Sequence[Sequence[int]] = ()) -> None:
        self.seeds, self.width, self.more = seeds, width, more

    def __len__(self) -> int:
        return self._n_whole() + len(self.more)

    def _n_whole(self) -> int:
        return -(-len(self.seeds) // self.width)

    def __getitem__(self, index: int) -> list[int]:  # pyright: ignore[reportIncompatibleMethodOverride] - no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index >= self._n_whole():
            return list(self.more[index - self._n_whole()])
        return self.seeds[index * self.width : (index + 1) * self.width].tolist()


@dataclass(frozen=True)
class ChunkTrainer:
    """Trains chunks of one study, all of one width: a short chunk is padded with its last seed.

    Args:
        dataset: what every replicate draws its samples from.
        recipes: the models to train, all on the same data.
        replicate: the named seeds that a replicate's seed fixes.
        test_size: share of the samples held out for testing, in (0, 1).
        width: replicates trained together.
        device: where to train.

    Example:
        >>> from functional_clf.data import circles, replicate
        >>> from functional_clf.ensemble import ENGINES
        >>> from functional_clf.recipes import model_0
        >>> trainer = ChunkTrainer(
        ...     circles(100), (model_0(epochs=2),), lambda seed: replicate(seed, "data"),
        ...     test_size=0.2, width=4, device=torch.device("cpu"),
        ... )
        >>> record = trainer.train(ENGINES["eager"], seeds=[0, 1, 2], keep_params=False)
        >>> len(record.rows), record.curves["model_0/test_loss"].shape
        (3, (3, 3))
    """

    dataset: Dataset
    recipes: tuple[Recipe, ...]
    replicate: Callable[[int], Replicate]
    test_size: float
    width: int
    device: torch.device

    def train(
        self,
        engine: Engine,
        seeds: Sequence[int],
        keep_params: bool,
        after_steps: Callable[[int], None] = lambda steps: None,
    ) -> ChunkRecord:
        """Train every recipe on one chunk of at most `width` seeds."""
        replicates, data = self._draw(seeds)
        trained = {}
        for recipe in self.recipes:
            state = init_chunk(recipe, [one.init_seed for one in replicates], self.device)
            trained[recipe.name] = collect(*engine(recipe, state, data, recipe.epochs, after_steps))
        return _record(trained, replicates[: len(seeds)], data, keep_params)

    def draw(self, seeds: Sequence[int]) -> ChunkData:
        """The samples of one chunk."""
        return self._draw(seeds)[1]

    def _draw(self, seeds: Sequence[int]) -> tuple[list[Replicate], ChunkData]:
        padded = [*seeds, *[seeds[-1]] * (self.width - len(seeds))]
        replicates = [self.replicate(seed) for seed in padded]
        return replicates, draw_chunk(self.dataset, replicates, self.test_size, self.device)


def _record(
    trained: Mapping[str, Trained],
    replicates: Sequence[Replicate],
    data: ChunkData,
    keep_params: bool,
) -> ChunkRecord:
    """What is kept of a trained chunk: its first `len(replicates)` lanes; the rest is padding."""
    n = len(replicates)
    n_train, n_test = data.train.y.shape[1], data.test.y.shape[1]
    rows: list[tuple[Any, ...]] = []
    curves: dict[str, np.ndarray] = {}
    params: dict[str, np.ndarray] = {}
    for name, (model_params, model_curves, diverged) in trained.items():
        kept = {
            "train_loss": model_curves.train.loss,
            "train_correct": model_curves.train.correct.to(torch.int32),
            "test_loss": model_curves.test.loss,
            "test_correct": model_curves.test.correct.to(torch.int32),
        }
        last = {key: values[-1].tolist() for key, values in kept.items()}
        for key, values in kept.items():
            curves[f"{name}/{key}"] = values[:, :n].contiguous().numpy()
        if keep_params:
            params |= {f"{name}/{key}": value[:n].numpy() for key, value in model_params.items()}
        rows += [
            (
                name,
                *one,
                last["train_correct"][lane],
                n_train,
                last["test_correct"][lane],
                n_test,
                last["train_loss"][lane],
                last["test_loss"][lane],
                bool(diverged[lane]),
            )
            for lane, one in enumerate(replicates)
        ]
    return ChunkRecord(rows, curves, params)
