"""The engine that runs the steps of one replicate under `torch.func.vmap`, as they are."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.tasks import Task
from functional_clf.core.train import (
    EvalStep,
    TrainStep,
    fit,
    make_eval_step,
    make_train_step,
    stepwise,
)
from functional_clf.core.types import Curves, TrainState
from functional_clf.core.user_code import ONE_AT_A_TIME
from functional_clf.data.batches import ChunkData

T = TypeVar("T")


class Eager:
    """The engine that runs the vmapped step as it is.

    With functions of a user's own threads take turns: they may share what a call changes for a
    time, such as the params of a module or torch's default dtype.

    Example:
        >>> from functional_clf.data.batches import draw_chunk
        >>> from functional_clf.contestants.mlp import model_1
        >>> from functional_clf.contestants.recipe import init_chunk
        >>> from functional_clf.data.generators import circles
        >>> from functional_clf.data.seeds import replicate
        >>> cpu, chunk = torch.device("cpu"), [replicate(seed, "data") for seed in range(4)]
        >>> recipe, data = model_1(epochs=5), draw_chunk(circles(100), chunk, 0.2, cpu)
        >>> state = init_chunk(recipe, range(4), cpu)
        >>> state, curves = EAGER.train(recipe, state, data, recipe.epochs)
        >>> curves.test.correct.shape  # 6 points of 4 replicates
        torch.Size([6, 4])
    """

    name = "eager"
    is_quick = True

    def why_not(self, recipes: Sequence[Recipe], data: ChunkData) -> str | None:
        """It can always."""
        del recipes, data
        return None

    def prepare(self, recipes: Sequence[Recipe], data: ChunkData, alone: bool = True) -> None:
        """There is nothing to compile."""

    def train(
        self,
        recipe: Recipe,
        state: TrainState,
        data: ChunkData,
        epochs: int,
        after_steps: Callable[[int], None] = lambda steps: None,
    ) -> tuple[TrainState, Curves]:
        """Train step by step."""
        train_step, eval_step = vmapped_steps(recipe, data.task)
        if not recipe.is_own:
            train_step, eval_step = _in_turn(train_step), _in_turn(eval_step)
        advance = stepwise(train_step, eval_step)
        return fit(advance, state, data.train, data.test, epochs, after_steps)


EAGER = Eager()


def vmapped_steps(recipe: Recipe, task: Task) -> tuple[TrainStep, EvalStep]:
    """The steps of one replicate, for a stack of them."""
    train_step = torch.func.vmap(make_train_step(recipe.model, recipe.optimizer, task))
    return train_step, torch.func.vmap(make_eval_step(recipe.model, task))


def _in_turn(step: Callable[..., T]) -> Callable[..., T]:
    def in_turn(*args: Any) -> T:
        with ONE_AT_A_TIME:
            return step(*args)

    return in_turn
