"""The work that every peer is given, and the check that they all did the same."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from bench.works import WORKS, Work, WorkName
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core import random
from functional_clf.core.models import sequential
from functional_clf.core.train import ORDER
from functional_clf.core.types import Batch, Optimizer, Params
from functional_clf.data.batches import ChunkData, draw_chunk
from functional_clf.data.seeds import Replicate, replicate
from functional_clf.engines.vmapped import EAGER

TEST_SIZE = 0.2

REFERENCE_WIDTH = 8
"""Replicates in a chunk of the reference: what it holds in float64 grows with it."""

TOLERANCE = 1e-4
"""Largest difference from the reference, as a share of how far its weights moved, that three seeds
in four must keep. After the epochs of a check they keep 1e-5 in float32. The fourth may have met a
sample just where a ReLU switches, and go its own way; a learning rate that is wrong by 0.1 % takes
all of them beyond 1e-4."""


@dataclass(frozen=True, eq=False)
class Job:
    """Replicates to train: identical initial weights, data and batches for every peer.

    Args:
        name: of the work, in `WORKS`.
        recipe: model, optimizer and number of epochs.
        replicates: with their named seeds.
        start: the stacked initial params, on the device.
        data: the stacked samples, on the device.
        device: where to train.
    """

    name: WorkName
    recipe: Recipe
    replicates: Sequence[Replicate]
    start: Params
    data: ChunkData
    device: torch.device

    @property
    def seeds(self) -> range:
        """The replicates' numbers."""
        return range(len(self.replicates))

    @property
    def init_seeds(self) -> tuple[int, ...]:
        """The seeds of initial weights and of the order of batches."""
        return tuple(one.init_seed for one in self.replicates)

    @property
    def work(self) -> Work:
        """What is trained."""
        return WORKS[self.name]

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's plain values: layer_sizes, activation, optimizer, learning_rate."""
        return dict(self.recipe.settings)

    def lanes(self, lanes: slice) -> ChunkData:
        """The samples of some of its replicates."""
        return pytree.tree_map_only(Tensor, lambda leaf: leaf[lanes], self.data)

    def module(self) -> nn.Sequential:
        """The `nn.Module` that peers of the classic kind train."""
        return sequential(self.settings["layer_sizes"], self.settings["activation"])


def make_job(
    name: WorkName,
    seeds: int,
    epochs: int,
    device: str = "cpu",
    learning_rate: float | None = None,
    samples: int | None = None,
) -> Job:
    """The job of training seeds 0 to `seeds - 1`.

    Args:
        name: what to train, in `WORKS`.
        seeds: how many replicates.
        epochs: times that the training samples are gone through.
        device: where to train.
        learning_rate: another one than the work's own.
        samples: train on this many of the training samples, the first ones; None for all.

    Example:
        >>> job = make_job("model_1", seeds=3, epochs=10)
        >>> job.data.train.x.shape, job.start["2.weight"].shape
        (torch.Size([3, 800, 2]), torch.Size([3, 16, 16]))
    """
    where = torch.device(device)
    replicates = [replicate(seed, WORKS[name].vary) for seed in range(seeds)]
    data = _drawn(name, seeds, device)
    data = data._replace(train=Batch(*(part[:, :samples] for part in data.train)))
    classes = data.task.n_classes
    recipe = WORKS[name].recipe(epochs, data.train.x.shape[-1], classes, learning_rate)
    recipe = recipe.for_samples(data.train.y.shape[1])
    start = init_chunk(recipe, [one.init_seed for one in replicates], where).params
    return Job(name, recipe, replicates, start, data, where)


@lru_cache(maxsize=16)
def _drawn(name: WorkName, seeds: int, device: str) -> ChunkData:
    """Drawn once: splits of a table take longer to prepare than some peers to train."""
    replicates = [replicate(seed, WORKS[name].vary) for seed in range(seeds)]
    return draw_chunk(WORKS[name].dataset(), replicates, TEST_SIZE, torch.device(device))


def orders(job: Job) -> Int[Tensor, "replicate epoch sample"]:
    """The order in which each epoch goes through the training samples, batch after batch.

    Drawn from the replicate's key, as `core.minibatches` does it.

    Example:
        >>> job = make_job("breast_cancer", seeds=2, epochs=3)
        >>> orders(job).shape, bool((orders(job).sort().values == torch.arange(455)).all())
        (torch.Size([2, 3, 455]), True)
    """
    return _orders(job.init_seeds, job.recipe.epochs, job.data.train.y.shape[1])


@lru_cache(maxsize=16)
def _orders(init_seeds: tuple[int, ...], epochs: int, n_samples: int) -> Tensor:
    def of_epoch(key: Tensor, epoch: Tensor) -> Tensor:
        return random.permutation(random.fold_in(random.fold_in(key, ORDER), epoch), n_samples)

    of_epochs = torch.func.vmap(of_epoch, (None, 0))
    return torch.stack([of_epochs(random.key(seed), torch.arange(epochs)) for seed in init_seeds])


@lru_cache
def reference(
    name: WorkName,
    seeds: int,
    epochs: int,
    optimizer: Callable[[float], Optimizer] | None = None,
    samples: int | None = None,
) -> tuple[Params, Params]:
    """The initial and the final params that a job shall yield, computed in float64.

    The package's own training function under vmap, not compiled. In float64 its rounding is out
    of the picture, so a peer's difference from it is the peer's own.

    Args:
        name: what to train, in `WORKS`.
        seeds: how many replicates.
        epochs: times that the training samples are gone through.
        optimizer: another one than the model's own, out of its learning rate.
        samples: as `make_job`.
    """
    job = make_job(name, seeds, epochs, samples=samples)
    recipe = job.recipe
    if optimizer is not None:
        recipe = replace(recipe, optimizer=optimizer(job.settings["learning_rate"]))
    starts, finals = [], []
    for lanes in split_lanes(seeds, REFERENCE_WIDTH):
        state, data = pytree.tree_map_only(
            Tensor,
            lambda leaf: leaf.double() if leaf.is_floating_point() else leaf,
            (init_chunk(recipe, job.init_seeds[lanes], job.device), job.lanes(lanes)),
        )
        final, _ = EAGER.train(recipe, state, data, epochs)
        starts.append(state.params)
        finals.append(final.params)
    return _joined(starts), _joined(finals)


def _joined(parts: Sequence[Params]) -> Params:
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def disagreement(params: Params, expected: Params, start: Params) -> float:
    """Each replicate's distance from where it should be, as a share of how far it moved.

    Args:
        params: stacked final params of a peer.
        expected: those of the reference.
        start: those from which both started.

    Returns:
        What three replicates in four do not exceed: 0.0 where they are equal; infinity where more
        than a quarter have a weight that is not finite.

    Example:
        >>> start, expected = {"w": torch.zeros(4, 1)}, {"w": torch.ones(4, 1)}
        >>> disagreement({"w": torch.tensor([[1.0], [1.5], [1.0], [9.0]])}, expected, start)
        0.5
    """
    if params.keys() != expected.keys():
        raise ValueError(f"params are {sorted(params)}, expected {sorted(expected)}")

    def distances(one: Params, other: Params) -> Tensor:
        parts = [(one[key].double() - other[key].double()).flatten(1) for key in expected]
        return torch.cat(parts, dim=1).norm(dim=1)

    shares = distances(params, expected) / distances(expected, start)
    return shares.nan_to_num(nan=torch.inf).quantile(0.75, interpolation="lower").item()


def check_agreement(params: Params, expected: Params, start: Params) -> float:
    """`disagreement`, where it is small.

    Raises:
        AssertionError: when it is above `TOLERANCE`.
    """
    apart = disagreement(params, expected, start)
    if not apart <= TOLERANCE:
        raise AssertionError(
            f"the outputs disagree: {apart:.2g} of the distance moved, above {TOLERANCE:g}; "
            "different work is not timed"
        )
    return apart


def split_lanes(seeds: int, width: int) -> Sequence[slice]:
    """Slices of at most `width` replicates.

    Example:
        >>> split_lanes(5, 2)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + width, seeds)) for start in range(0, seeds, width)]


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use this many threads for one operation, and restore what was set."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
