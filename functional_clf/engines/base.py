"""The form that all engines have."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.types import Curves, TrainState
from functional_clf.data.batches import ChunkData

Form = tuple[tuple[Any, ...], ...]


@runtime_checkable
class Engine(Protocol):
    """Trains chunks of a recipe: a stack of replicates of one fixed width, in one go.

    The width is part of a result's identity, since another width sums in another order.

    name: by which it is asked for, and recorded.
    is_quick: whether `prepare` takes seconds at most; then it is done before anything is written.
    width_matters: False says that a replicate's bits are the same in a chunk of any width; it may
        be left out where they are not.
    facts: a method without arguments that tells, as plain values by name, on what its bits depend
        besides torch and the processor, as on a compiler; it may be left out where there is
        nothing. A study that goes on where they are others is refused.
    """

    name: str
    is_quick: bool

    def why_not(self, recipes: Sequence[Recipe], data: ChunkData) -> str | None:
        """What keeps it from training these recipes on such data here; None where nothing does."""
        ...

    def prepare(self, recipes: Sequence[Recipe], data: ChunkData, alone: bool = True) -> None:
        """Compile what it needs for every recipe and data of this shape.

        Args:
            recipes: what will be trained.
            data: one chunk's samples.
            alone: whether it has the machine to itself; else other ranks do the same now.
        """
        ...

    def train(
        self,
        recipe: Recipe,
        state: TrainState,
        data: ChunkData,
        epochs: int,
        after_steps: Callable[[int], None] = ...,
    ) -> tuple[TrainState, Curves]:
        """Train `epochs` epochs; `after_steps` is called now and then, and may raise to stop.

        Args:
            recipe: what to train.
            state: the stacked initial states.
            data: the chunk's samples.
            epochs: how many, at least 1.
            after_steps: told how many steps were taken.

        Returns:
            The stacked final states, and the learning curves.
        """
        ...


def form_of(tree: Any) -> Form:
    """What a compiled graph is made for: where its tensors lie, and how, but not their values.

    Example:
        >>> import torch
        >>> form_of({"w": torch.zeros(2, 3)})[0][:2]
        (torch.Size([2, 3]), (3, 1))
    """
    leaves = [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]
    return tuple((leaf.shape, leaf.stride(), leaf.dtype, leaf.device) for leaf in leaves)
