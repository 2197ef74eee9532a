"""The whole program of a recipe in C: its graphs, lowered and printed."""

from collections.abc import Sequence

import torch

from functional_clf.contestants.recipe import Recipe
from functional_clf.core import random
from functional_clf.core.tasks import Task
from functional_clf.core.train import ORDER
from functional_clf.core.types import Batch, TrainState
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
from functional_clf.engines.fused.graphs import Graphs, graphs
from functional_clf.engines.fused.lower import lower
from functional_clf.engines.fused.memory import Storage, contiguous
from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, UnfusableError
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
    return print_c.source(lowered(graphs(recipe, task, state, batch, sizes), sizes), sizes)


def lowered(traced: Graphs, sizes: Sizes) -> Program:
    """What a program does, statement by statement.

    Args:
        traced: one replicate's training.
        sizes: what the program is for.

    Raises:
        UnfusableError: when a graph holds what cannot be fused.
    """

    def step(graph: Graph, samples: int, row: int) -> Function:
        return _step(graph, range(len(traced.leaves)), samples, row, sizes)

    batches = None
    if sizes.batch_size is None:
        take_step = step(traced.take_step, sizes.train, sizes.padded(sizes.train))
    else:
        take_step = step(traced.take_step, sizes.batch_size, sizes.spread(sizes.batch_size))
        rest = traced.take_rest
        batches = Batches(
            step(rest, sizes.rest, sizes.spread(sizes.rest)) if rest else None,
            *(traced.key, traced.key + 1),
            order=ORDER,
            rounds=random.permutation_rounds(sizes.train),
        )
    on_train, on_test = (
        _evaluation(graph, traced.weights, samples, sizes)
        for graph, samples in (
            (traced.evaluate_train, sizes.train),
            (traced.evaluate_test, sizes.test),
        )
    )
    return Program(
        leaves=[(leaf.dtype, leaf.numel()) for leaf in traced.leaves],
        features=traced.batch.x.shape[1],
        n_data=len(traced.batch),
        take_step=take_step,
        evaluate_train=on_train,
        evaluate_test=on_test,
        batches=batches,
    )


def _step(graph: Graph, leaves: Sequence[int], samples: int, row: int, sizes: Sizes) -> Function:
    """A step; each leaf of the next state is put in its place; one that is handed on is there."""
    function, outputs = _function(graph, leaves, samples, row, sizes)
    for k, (node, storage) in enumerate(zip(graph.outputs, outputs, strict=True)):
        if node is not graph.inputs[k]:
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
