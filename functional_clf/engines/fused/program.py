"""The whole program of a recipe: its step and its evaluations, traced, lowered and printed."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.tasks import Task
from functional_clf.core.train import EvalStep, TrainStep, make_eval_step, make_train_step
from functional_clf.core.types import Batch, Metrics, TrainState
from functional_clf.engines.fused import print_c
from functional_clf.engines.fused.form import Address, Array, Function, Keep, Program, Sizes, Tell
from functional_clf.engines.fused.lower import lower
from functional_clf.engines.fused.memory import Storage, contiguous
from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, UnfusableError, trace


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
    train_step = make_train_step(recipe.model, recipe.optimizer, task)
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

    step = trace(train_step, lambda n: (state, batch_of(n)), sizes.train)
    on_train, on_test = (
        trace(eval_step, lambda n: (state.params, batch_of(n)), samples)
        for samples in (sizes.train, sizes.test)
    )
    leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]
    n_params = len(pytree.tree_leaves(state.params))
    if on_train.written or step.written.intersection(step.inputs[len(leaves) :]):
        raise UnfusableError("its model writes into its arguments")
    if step.form != pytree.tree_structure((state, Metrics(batch.y, batch.y))):
        raise UnfusableError("its next state is another tree than its state")
    step = step.keep(step.outputs[: len(leaves)])  # the metrics are those of the evaluation
    return Program(
        leaves=[(leaf.dtype, leaf.numel()) for leaf in leaves],
        features=batch.x.shape[1],
        n_data=len(step.inputs) - len(leaves),
        take_step=_step(step, len(leaves), sizes),
        evaluate_train=_evaluation(on_train, n_params, sizes.train, sizes),
        evaluate_test=_evaluation(on_test, n_params, sizes.test, sizes),
    )


def _step(graph: Graph, n_leaves: int, sizes: Sizes) -> Function:
    """A step; each leaf of the next state is put in its place; one that is handed on is there."""
    function, outputs = _function(graph, n_leaves, sizes.train, sizes)
    for k, (node, storage) in enumerate(zip(graph.outputs, outputs, strict=True)):
        if node is graph.inputs[k]:
            continue
        if (node.shape, node.dtype) != (graph.inputs[k].shape, graph.inputs[k].dtype):
            raise UnfusableError("a part of its state changes its shape or type")
        if node.op == "input":
            raise UnfusableError("parts of its state change places")
        function.results.append(Keep(_leaf(k), storage.array))
    return function


def _evaluation(graph: Graph, n_params: int, samples: int, sizes: Sizes) -> Function:
    function, (loss, correct) = _function(graph, n_params, samples, sizes)
    function.results += [
        Tell("loss", sizes.dtype, loss.at(())),
        Tell("correct", torch.int64, correct.at(())),
    ]
    return function


def _function(
    graph: Graph, n_leaves: int, samples: int, sizes: Sizes
) -> tuple[Function, Sequence[Storage]]:
    """One graph, whose first inputs are leaves of the state and the others data."""
    padded = sizes.padded(samples)
    inputs = [
        _state_storage(k, node) if k < n_leaves else _data_storage(k - n_leaves, node, padded)
        for k, node in enumerate(graph.inputs)
    ]
    return lower(graph, inputs, samples)


def _leaf(k: int) -> Array:
    return Array("state", f"leaf{k}")


def _state_storage(k: int, node: Node) -> Storage:
    if SAMPLES in node.shape:
        raise UnfusableError("its state has an axis of samples")
    return contiguous(_leaf(k), tuple(int(size) for size in node.shape))


def _data_storage(k: int, node: Node, padded: int) -> Storage:
    """Samples lie feature by feature, labels are one row; each row in whole vectors."""
    strides = (1,) if len(node.shape) == 1 else (1, padded)
    return Storage(Address(Array("data", f"data{k}")), strides)
