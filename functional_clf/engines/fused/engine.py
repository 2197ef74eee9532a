"""The engine that trains each replicate by a fused program: C on the CPU, Triton on CUDA.

No replicate meets another in it, so neither the width of a chunk nor its neighbours can matter.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.types import Curves, TrainState
from functional_clf.data.batches import ChunkData
from functional_clf.engines.fused.c_programs import CPrograms
from functional_clf.engines.fused.trace import UnfusableError
from functional_clf.engines.fused.triton_programs import TritonPrograms
from functional_clf.engines.machine import c_facts
from functional_clf.support.errors import one_line


@runtime_checkable
class Programs(Protocol):
    """How programs are made and run on one kind of device."""

    def lack(self) -> str | None:
        """What this machine lacks for them, or None."""
        ...

    def check(self, recipe: Recipe, data: ChunkData) -> None:
        """Raise `UnfusableError` where there is no program for such data."""
        ...

    def prepare(self, recipes: Sequence[Recipe], data: ChunkData) -> None:
        """Have the programs of recipes compiled and loaded."""
        ...

    def count_missing(self, recipes: Sequence[Recipe], data: ChunkData) -> int:
        """How many of them must be compiled."""
        ...

    def train(
        self,
        recipe: Recipe,
        state: TrainState,
        data: ChunkData,
        epochs: int,
        after_steps: Callable[[int], None],
    ) -> tuple[TrainState, Curves]:
        """Train a chunk."""
        ...


_PROGRAMS: dict[str, Programs] = {"cpu": CPrograms(), "cuda": TritonPrograms()}


class Fused:
    """The engine that runs each replicate's training as one fused program."""

    name = "fused"
    is_quick = True
    width_matters = False  # replicates are trained one after another, or apart

    def facts(self) -> dict[str, Any]:
        """The C compiler, which rounds as it likes."""
        return c_facts()

    def why_not(self, recipes: Sequence[Recipe], data: ChunkData) -> str | None:
        """What keeps recipes from being fused for a chunk of data, or None where nothing does."""
        if (programs := _PROGRAMS.get(data.train.x.device.type)) is None:
            return "fused programs run on the CPU and on CUDA"
        if lack := programs.lack():
            return lack
        reasons = (_why_not_fuse(programs, recipe, data) for recipe in recipes)
        return next((reason for reason in reasons if reason), None)

    def prepare(self, recipes: Sequence[Recipe], data: ChunkData, alone: bool = True) -> None:
        """Have the recipes' programs compiled and loaded.

        Raises:
            UnfusableError: when a recipe holds what cannot be fused.
            BuildError: when there is no compiler, or it fails.
        """
        del alone
        _programs(data).prepare(recipes, data)

    def count_missing(self, recipes: Sequence[Recipe], data: ChunkData) -> int:
        """How many of the recipes' programs must be compiled."""
        return _programs(data).count_missing(recipes, data)

    def train(
        self,
        recipe: Recipe,
        state: TrainState,
        data: ChunkData,
        epochs: int,
        after_steps: Callable[[int], None] = lambda steps: None,
    ) -> tuple[TrainState, Curves]:
        """Train the replicates, each by itself.

        Raises:
            UnfusableError: when the recipe holds what cannot be fused.
            BuildError: when there is no compiler, or it fails.
        """
        if data.train.y.ndim != 2 or data.test.y.ndim != 2:
            raise ValueError(
                f"the labels have shape {tuple(data.train.y.shape)}; "
                "they must be (replicate, sample)"
            )
        return _programs(data).train(recipe, state, data, epochs, after_steps)


FUSED = Fused()


def _programs(data: ChunkData) -> Programs:
    device: torch.device = data.train.x.device
    if device.type not in _PROGRAMS:
        raise UnfusableError(f"there are no fused programs for {device.type}")
    return _PROGRAMS[device.type]


def _why_not_fuse(programs: Programs, recipe: Recipe, data: ChunkData) -> str | None:
    try:
        programs.check(recipe, data)
    except UnfusableError as error:
        return f"{recipe.name} cannot be fused ({error})"
    except Exception as error:  # a function of a user's own may fail in any way when traced
        return f"{recipe.name} cannot be traced ({one_line(error)})"
    return None
