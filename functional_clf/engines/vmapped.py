"""The engine that runs the steps of one replicate under `torch.func.vmap`, as they are."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.minibatches import EpochStep, Loop, make_epoch_step, repeat
from functional_clf.core.stopping import held_apart, is_stopped, make_judge
from functional_clf.core.tasks import Task
from functional_clf.core.train import (
    Advance,
    EvalStep,
    TrainStep,
    evaluated,
    fit,
    make_eval_step,
    make_train_step,
    stepwise,
)
from functional_clf.core.types import Batch, CurvePoint, Curves, TrainState
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
        alone = _as_it_is if recipe.is_own else _in_turn

        def wrap(function: Callable[..., T]) -> Callable[..., T]:
            call = alone(function)

            def stoppable(*args: Any) -> T:
                after_steps(0)  # between two points of a learning curve there may be seconds
                return call(*args)

            return stoppable

        advance = advance_of(recipe, data.task, wrap)
        return fit(advance, state, data.train, data.test, epochs, after_steps)


EAGER = Eager()


Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def advance_of(recipe: Recipe, task: Task, wrap: Wrap, loop: Loop = repeat) -> Advance:
    """How a stack of replicates of a recipe is advanced, epoch by epoch.

    Args:
        recipe: what to train.
        task: whose loss and score.
        wrap: put around each function that is called again and again.
        loop: repeats the steps of an epoch.
    """
    train_step, eval_step = vmapped_steps(recipe, task)
    read = wrap(eval_step)
    if recipe.is_plain:
        return stepwise(wrap(train_step), read)
    epoch_step = vmapped_epoch(recipe, task, loop)
    if recipe.stop is None:
        one_epoch = wrap(epoch_step)
        return stepwise(lambda state, train: (one_epoch(state, train), None), read)
    stop, judge = (
        recipe.stop,
        _each(recipe)(make_judge(make_eval_step(recipe.model, task), recipe.stop), 0),
    )
    apart = torch.func.vmap(lambda state, train: held_apart(state, train, stop))
    one_epoch = wrap(
        lambda state, learned, held_out: judge(state, epoch_step(state, learned), held_out)
    )

    def advance(
        state: TrainState, train: Batch, test: Batch, steps: int
    ) -> tuple[CurvePoint, TrainState]:
        weights = evaluated(state)
        point = CurvePoint(read(weights, train), read(weights, test))
        parts = apart(state, train) if steps else ()
        for _ in range(steps):
            if bool(is_stopped(state, stop).all()):
                break
            state = one_epoch(state, *parts)
        return point, state

    return advance


def vmapped_steps(recipe: Recipe, task: Task) -> tuple[TrainStep, EvalStep]:
    """The steps of one replicate, for a stack of them."""
    train_step = make_train_step(recipe.model, recipe.optimizer, recipe.training_task(task))
    each = _each(recipe)
    return each(train_step, 0), each(make_eval_step(recipe.model, task), 0)


def vmapped_epoch(recipe: Recipe, task: Task, loop: Loop = repeat) -> EpochStep:
    """One epoch of a recipe, for a stack of replicates."""
    train_step = make_train_step(recipe.model, recipe.optimizer, recipe.training_task(task))
    if recipe.batch_size is None:
        whole = _each(recipe)(train_step, 0)
        return lambda state, train: whole(state, train)[0]
    return make_epoch_step(
        train_step,
        recipe.batch_size,
        recipe.drop_last,
        _each(recipe),
        loop,
    )


def _each(recipe: Recipe) -> Callable[[Callable[..., Any], Any], Callable[..., Any]]:
    """How a function of one replicate is applied to many: at once, or to one after another."""
    at_once = None if recipe.together else 1
    return lambda function, dims: torch.func.vmap(function, dims, chunk_size=at_once)


def _as_it_is(function: Callable[..., T]) -> Callable[..., T]:
    return function


def _in_turn(step: Callable[..., T]) -> Callable[..., T]:
    def in_turn(*args: Any) -> T:
        with ONE_AT_A_TIME:
            return step(*args)

    return in_turn
