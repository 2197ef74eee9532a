"""The work that every peer is given, and the check that they all did the same."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.models import sequential
from functional_clf.core.types import Optimizer, Params
from functional_clf.data.batches import ChunkData, draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.engines.vmapped import EAGER

ModelName = Literal["model_0", "model_1"]
RECIPES = {"model_0": model_0, "model_1": model_1}
DATASET = circles()
TEST_SIZE = 0.2

TOLERANCE = 1e-4
"""Largest difference from the reference, as a share of how far its weights moved, that three seeds
in four must keep. After 20 epochs in float32 they keep 1e-5. The fourth may have met a sample just
where a ReLU switches, and go its own way; a learning rate that is wrong by 0.1 % takes all of them
beyond 1e-4."""


@dataclass(frozen=True, eq=False)
class Job:
    """Replicates to train: identical initial weights and data for every peer.

    Args:
        recipe: model, optimizer and number of epochs.
        seeds: the replicates.
        start: the stacked initial params, on the device.
        data: the stacked samples, on the device.
        device: where to train.
    """

    recipe: Recipe
    seeds: range
    start: Params
    data: ChunkData
    device: torch.device

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's plain values: layer_sizes, activation, optimizer, learning_rate."""
        return dict(self.recipe.settings)

    def module(self) -> nn.Sequential:
        """The `nn.Module` that peers of the classic kind train."""
        return sequential(self.settings["layer_sizes"], self.settings["activation"])


def make_job(
    model: ModelName,
    seeds: int,
    epochs: int,
    device: str = "cpu",
    learning_rate: float | None = None,
) -> Job:
    """The job of training seeds 0 to `seeds - 1` of one of the two models.

    Args:
        model: "model_0" or "model_1".
        seeds: how many replicates.
        epochs: full-batch training steps.
        device: where to train.
        learning_rate: another one than the model's own.

    Example:
        >>> job = make_job("model_1", seeds=3, epochs=10)
        >>> job.data.train.x.shape, job.start["2.weight"].shape
        (torch.Size([3, 800, 2]), torch.Size([3, 16, 16]))
    """
    changes: dict[str, Any] = {} if learning_rate is None else {"learning_rate": learning_rate}
    recipe = RECIPES[model](epochs=epochs, **changes)
    replicates = [replicate(seed, "data") for seed in range(seeds)]
    where = torch.device(device)
    data = draw_chunk(DATASET, replicates, TEST_SIZE, where)
    start = init_chunk(recipe, [one.init_seed for one in replicates], where).params
    return Job(recipe, range(seeds), start, data, where)


@lru_cache
def reference(
    model: ModelName,
    seeds: int,
    epochs: int,
    optimizer: Callable[[float], Optimizer] | None = None,
) -> tuple[Params, Params]:
    """The initial and the final params that a job shall yield, computed in float64.

    The package's own training function under vmap, not compiled. In float64 its rounding is out
    of the picture, so a peer's difference from it is the peer's own.

    Args:
        model: "model_0" or "model_1".
        seeds: how many replicates.
        epochs: full-batch training steps.
        optimizer: another one than the model's own, out of its learning rate.
    """
    job = make_job(model, seeds, epochs)
    recipe = job.recipe
    if optimizer is not None:
        recipe = replace(recipe, optimizer=optimizer(job.settings["learning_rate"]))
    init_seeds = [replicate(seed, "data").init_seed for seed in job.seeds]
    state, data = pytree.tree_map_only(
        Tensor,
        lambda leaf: leaf.double() if leaf.is_floating_point() else leaf,
        (init_chunk(recipe, init_seeds, job.device), job.data),
    )
    final, _ = EAGER.train(recipe, state, data, epochs)
    return state.params, final.params


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
