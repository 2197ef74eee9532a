"""The graphs that a fused program is made of: a recipe's step and its evaluations, traced."""

from typing import NamedTuple

from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.tasks import Task
from functional_clf.core.train import (
    EvalStep,
    TrainStep,
    evaluated,
    make_eval_step,
    make_train_step,
    needed,
)
from functional_clf.core.types import Batch, Metrics, StatefulModel, TrainState
from functional_clf.engines.fused.form import Sizes
from functional_clf.engines.fused.trace import Graph, UnfusableError, trace


class Graphs(NamedTuple):
    """What one replicate's training does.

    Args:
        leaves: of its state.
        weights: which of them an evaluation reads, in its order.
        key: which of them is the replicate's key, where it has one; its step is the next.
        batch: samples, for the shapes of their parts.
        take_step: from the leaves and a batch (of all samples where the recipe has no batches) to
            the leaves of the next state.
        take_rest: the same on the last batch of an epoch, where that is shorter.
        evaluate_train: from the weights and the training samples to the loss, and how many of them
            are told right.
        evaluate_test: the same of the test samples.
    """

    leaves: list[Tensor]
    weights: list[int]
    key: int
    batch: Batch
    take_step: Graph
    take_rest: Graph | None
    evaluate_train: Graph
    evaluate_test: Graph


def graphs(recipe: Recipe, task: Task, state: TrainState, batch: Batch, sizes: Sizes) -> Graphs:
    """What a recipe's training does.

    Args:
        recipe: whose model and optimizer to fuse.
        task: whose loss and score.
        state: of one replicate.
        batch: samples of one replicate, of any number.
        sizes: what the program is for.

    Raises:
        UnfusableError: when the recipe cannot be fused.
    """
    model = recipe.model
    if isinstance(model, StatefulModel) and 1 in (sizes.batch_size or sizes.train, sizes.rest):
        # Of a step on a single sample only the evaluation is looked at, which may be another.
        trace(
            lambda state, batch: model.train_apply(
                state.params, state.buffers, batch.x, needed(state.key)
            ),
            lambda n: (state, _batch_of(batch, n)),
            samples=1,
        )
    train_step = make_train_step(model, recipe.optimizer, recipe.training_task(task))
    return graphs_of_steps(train_step, make_eval_step(model, task), state, batch, sizes)


def graphs_of_steps(
    train_step: TrainStep, eval_step: EvalStep, state: TrainState, batch: Batch, sizes: Sizes
) -> Graphs:
    """What a training does that takes these steps.

    Args:
        train_step: one replicate's training step.
        eval_step: one replicate's evaluation.
        state: of one replicate.
        batch: samples of one replicate, of any number.
        sizes: what the program is for.

    Raises:
        UnfusableError: when a step cannot be fused.
    """
    leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]
    # In the order of the state's fields.
    n_params, n_opt, n_buffers = (
        len(pytree.tree_leaves(part)) for part in (state.params, state.opt_state, state.buffers)
    )

    def step_on(samples: int) -> Graph:
        probed = samples
        if samples == 1:
            # Autograd does for a single sample what it does for no other number; a model may not.
            trace(eval_step, lambda n: (evaluated(state), _batch_of(batch, n)), samples)
            probed = 2
        step = trace(train_step, lambda n: (state, _batch_of(batch, n)), probed)
        if step.written.intersection(step.inputs[len(leaves) :]):
            raise UnfusableError("its model writes into its arguments")
        if step.form != pytree.tree_structure((state, Metrics(batch.y, batch.y))):
            raise UnfusableError("its next state is another tree than its state")
        step = step.keep(step.outputs[: len(leaves)])  # the metrics are those of the evaluation
        _check_next_state(step)
        return step

    def evaluation_on(samples: int) -> Graph:
        graph = trace(eval_step, lambda n: (evaluated(state), _batch_of(batch, n)), samples)
        if graph.written:
            raise UnfusableError("its model writes into its arguments")
        return graph

    return Graphs(
        leaves,
        weights=[*range(n_params), *range(n_params + n_opt, n_params + n_opt + n_buffers)],
        key=n_params + n_opt + n_buffers,
        batch=batch,
        take_step=step_on(sizes.batch_size or sizes.train),
        take_rest=step_on(sizes.rest) if sizes.rest else None,
        evaluate_train=evaluation_on(sizes.train),
        evaluate_test=evaluation_on(sizes.test),
    )


def _batch_of(batch: Batch, samples: int) -> Batch:
    return Batch(*(part.new_zeros(samples, *part.shape[1:]) for part in batch))


def _check_next_state(step: Graph) -> None:
    """Whether each leaf of the next state can be put in the place of the one before."""
    for node, before in zip(step.outputs, step.inputs, strict=False):
        if node is before:
            continue
        if (node.shape, node.dtype) != (before.shape, before.dtype):
            raise UnfusableError("a part of its state changes its shape or type")
        if node.op == "input":
            raise UnfusableError("parts of its state change places")
