"""The whole program of a recipe: its step and its evaluations, traced, lowered and printed."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core import random
from functional_clf.core.tasks import Task
from functional_clf.core.train import (
    ORDER,
    EvalStep,
    TrainStep,
    evaluated,
    make_eval_step,
    make_train_step,
)
from functional_clf.core.types import Batch, Metrics, TrainState
from functional_clf.engines.fused import print_c
from functional_clf.engines.fused.form import (
    Address,
    Array,
    Batches,
    Function,
    Keep,
    Program,
    Sizes,
    Tell,
)
from functional_clf.engines.fused.lower import lower
from functional_clf.engines.fused.memory import Storage, contiguous
from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, UnfusableError, trace
from functional_clf.engines.fused.updates import with_updates_in_place


def program(recipe: Recipe, task: Task, state: TrainState, batch: Batch, sizes: Sizes) -> str:
    """The C source that trains replicates of a recipe, one after another.

    Args:
        recipe: whose model and optimizer to fuse.
        task: whose loss and score.
        state: of one replicate.
        batch: samples of one replicate, of any number.
        sizes: what the program is for.

    Raises:
        UnfusableError: when the recipe cannot be fused.
    """
    train_step = make_train_step(recipe.model, recipe.optimizer, recipe.training_task(task))
    eval_step = make_eval_step(recipe.model, task)
    return print_c.source(lowered(train_step, eval_step, state, batch, sizes), sizes)


def lowered(
    train_step: TrainStep, eval_step: EvalStep, state: TrainState, batch: Batch, sizes: Sizes
) -> Program:
    """What a program does that takes these steps.

    Args:
        train_step: one replicate's training step.
        eval_step: one replicate's evaluation.
        state: of one replicate.
        batch: samples of one replicate, of any number.
        sizes: what the program is for.

    Raises:
        UnfusableError: when a step cannot be fused.
    """

    def batch_of(samples: int) -> Batch:
        return Batch(*(part.new_zeros(samples, *part.shape[1:]) for part in batch))

    leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]
    # In the order of the state's fields.
    n_params, n_opt, n_buffers = (
        len(pytree.tree_leaves(part)) for part in (state.params, state.opt_state, state.buffers)
    )
    weights = [*range(n_params), *range(n_params + n_opt, n_params + n_opt + n_buffers)]
    key = n_params + n_opt + n_buffers

    def step_on(samples: int, row: int) -> Function:
        probed = samples
        if samples == 1 and sizes.batch_size is not None:
            # Autograd does for a single sample what it does for no other number; a model may not.
            trace(eval_step, lambda n: (evaluated(state), batch_of(n)), samples)
            probed = 2
        step = trace(train_step, lambda n: (state, batch_of(n)), probed)
        if step.written.intersection(step.inputs[len(leaves) :]):
            raise UnfusableError("its model writes into its arguments")
        if step.form != pytree.tree_structure((state, Metrics(batch.y, batch.y))):
            raise UnfusableError("its next state is another tree than its state")
        step = step.keep(step.outputs[: len(leaves)])  # the metrics are those of the evaluation
        return _step(step, range(len(leaves)), samples, row, sizes)

    def evaluation_on(samples: int) -> Function:
        graph = trace(eval_step, lambda n: (evaluated(state), batch_of(n)), samples)
        if graph.written:
            raise UnfusableError("its model writes into its arguments")
        return _evaluation(graph, weights, samples, sizes)

    batches = None
    if sizes.batch_size is None:
        take_step = step_on(sizes.train, sizes.padded(sizes.train))
    else:
        take_step = step_on(sizes.batch_size, sizes.spread(sizes.batch_size))
        batches = Batches(
            step_on(sizes.rest, sizes.spread(sizes.rest)) if sizes.rest else None,
            *(key, key + 1),
            order=ORDER,
            rounds=random.permutation_rounds(sizes.train),
        )
    on_train, on_test = (evaluation_on(samples) for samples in (sizes.train, sizes.test))
    return Program(
        leaves=[(leaf.dtype, leaf.numel()) for leaf in leaves],
        features=batch.x.shape[1],
        n_data=len(batch),
        take_step=take_step,
        evaluate_train=on_train,
        evaluate_test=on_test,
        batches=batches,
    )


def _step(graph: Graph, leaves: Sequence[int], samples: int, row: int, sizes: Sizes) -> Function:
    """A step; each leaf of the next state is put in its place; one that is handed on is there."""
    function, outputs = _function(graph, leaves, samples, row, sizes)
    for k, (node, storage) in enumerate(zip(graph.outputs, outputs, strict=True)):
        if node is graph.inputs[k]:
            continue
        if (node.shape, node.dtype) != (graph.inputs[k].shape, graph.inputs[k].dtype):
            raise UnfusableError("a part of its state changes its shape or type")
        if node.op == "input":
            raise UnfusableError("parts of its state change places")
        function.results.append(Keep(_leaf(k), storage.array))
    return with_updates_in_place(function)


def _evaluation(graph: Graph, leaves: Sequence[int], samples: int, sizes: Sizes) -> Function:
    function, outputs = _function(graph, leaves, samples, sizes.padded(samples), sizes)
    loss, correct = outputs
    function.results += [
        Tell("loss", sizes.dtype, loss.at(())),
        Tell("correct", torch.int64, correct.at(())),
    ]
    return function


def _function(
    graph: Graph, leaves: Sequence[int], samples: int, row: int, sizes: Sizes
) -> tuple[Function, Sequence[Storage]]:
    """One graph, whose first inputs are these leaves of the state and the others data.

    row: how far apart the rows of the data are.
    """
    state, data = graph.inputs[: len(leaves)], graph.inputs[len(leaves) :]
    inputs = [_state_storage(k, node) for k, node in zip(leaves, state, strict=True)]
    inputs += [_data_storage(k, node, row) for k, node in enumerate(data)]
    return lower(graph, inputs, samples)


def _leaf(k: int) -> Array:
    return Array("state", f"leaf{k}")


def _state_storage(k: int, node: Node) -> Storage:
    if SAMPLES in node.shape:
        raise UnfusableError("its state has an axis of samples")
    return contiguous(_leaf(k), tuple(int(size) for size in node.shape))


def _data_storage(k: int, node: Node, row: int) -> Storage:
    """Samples lie feature by feature, labels are one row; each row in whole vectors."""
    strides = (1,) if len(node.shape) == 1 else (1, row)
    return Storage(Address(Array("data", f"data{k}")), strides)
