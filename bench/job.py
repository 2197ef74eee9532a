"""The work that every peer is given, and the check that they all did the same."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from functional_clf.data import ChunkData, circles, draw_chunk, replicate
from functional_clf.ensemble import eager, init_chunk
from functional_clf.models import sequential
from functional_clf.recipes import Recipe, model_0, model_1
from functional_clf.types import Params

ModelName = Literal["model_0", "model_1"]
RECIPES = {"model_0": model_0, "model_1": model_1}
DATASET = circles()
TEST_SIZE = 0.2

TOLERANCE = 1e-3
"""Largest difference from the reference, as a share of how far its weights moved. Peers sum in
float32 and in orders of their own, which shows in the fifth digit after 50 epochs or so; a
learning rate that is wrong by one per cent shows in the second."""


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
    changes = {} if learning_rate is None else {"learning_rate": learning_rate}
    recipe = RECIPES[model](epochs=epochs, **changes)
    replicates = [replicate(seed, "data") for seed in range(seeds)]
    where = torch.device(device)
    data = draw_chunk(DATASET, replicates, TEST_SIZE, where)
    start = init_chunk(recipe, [one.init_seed for one in replicates], where).params
    return Job(recipe, range(seeds), start, data, where)


@lru_cache
def reference(model: ModelName, seeds: int, epochs: int) -> tuple[Params, Params]:
    """The initial and the final params that a job shall yield, computed in float64.

    The package's own training function under vmap, not compiled. In float64 its rounding is out
    of the picture, so a peer's difference from it is the peer's own.
    """
    job = make_job(model, seeds, epochs)
    init_seeds = [replicate(seed, "data").init_seed for seed in job.seeds]
    state, data = pytree.tree_map_only(
        Tensor,
        lambda leaf: leaf.double() if leaf.is_floating_point() else leaf,
        (init_chunk(job.recipe, init_seeds, job.device), job.data),
    )
    final, _ = eager(job.recipe, state, data, epochs)
    return state.params, final.params


def disagreement(params: Params, expected: Params, start: Params) -> float:
    """The worst replicate's distance from where it should be, as a share of how far it moved.

    Args:
        params: stacked final params of a peer.
        expected: those of the reference.
        start: those from which both started.

    Returns:
        0.0 where they are equal; NaN where a weight is not finite.

    Example:
        >>> start, expected = {"w": torch.zeros(2, 1)}, {"w": torch.ones(2, 1)}
        >>> disagreement({"w": torch.tensor([[1.0], [1.5]])}, expected, start)
        0.5
    """
    if params.keys() != expected.keys():
        raise ValueError(f"params are {sorted(params)}, expected {sorted(expected)}")

    def distances(one: Params, other: Params) -> Tensor:
        parts = [(one[key].double() - other[key].double()).flatten(1) for key in expected]
        return torch.cat(parts, dim=1).norm(dim=1)

    return (distances(params, expected) / distances(expected, start)).max().item()


def check_agreement(params: Params, expected: Params, start: Params) -> float:
    """`disagreement`, where it is small.

    Raises:
        AssertionError: when it is above `TOLERANCE`, or a weight is not finite.
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


def shortened(job: Job, epochs: int) -> Job:
    """The same job with another number of epochs."""
    return replace(job, recipe=replace(job.recipe, epochs=epochs))
