"""What a fused program is made of and for: a recipe's code and state, and the sizes of its data."""

import functools

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.types import Batch, TrainState
from functional_clf.core.user_code import UnreadableError
from functional_clf.data.batches import ChunkData
from functional_clf.engines.fused.form import Sizes
from functional_clf.engines.fused.library import vector_bytes
from functional_clf.engines.fused.trace import UnfusableError


def code_of(recipe: Recipe) -> str:
    """What the recipe's functions read today: a program made of yesterday's would be another.

    Raises:
        UnfusableError: when nobody can tell.
    """
    try:
        return recipe.reading().digest
    except UnreadableError as error:
        raise UnfusableError(f"its functions read {error}, which may change unseen") from error


def sizes_of(recipe: Recipe, state: TrainState, data: ChunkData) -> Sizes:
    """What a program must be for that trains a recipe on such data.

    Raises:
        UnfusableError: when there is no such program.
    """
    if recipe.stop is not None:
        raise UnfusableError("early stopping is not fused")
    dtype = next(iter(state.params.values())).dtype
    types = {tensor.dtype for tensor in (*data.train, *data.test)}
    if dtype not in (torch.float32, torch.float64) or types != {dtype}:
        raise UnfusableError(f"weights are {dtype} and data {', '.join(map(str, types))}")
    known, keyless = {dtype, torch.int64}, state._replace(key=())
    if others := {leaf.dtype for leaf in pytree.tree_leaves(keyless)} - known:
        raise UnfusableError(f"its state has {others.pop()} beside weights of {dtype}")
    n_train, n_test = data.train.y.shape[1], data.test.y.shape[1]
    if recipe.batch_size is not None and recipe.batch_size > n_train:
        raise UnfusableError(f"a batch of {recipe.batch_size} is more than {n_train} samples")
    return Sizes(n_train, n_test, dtype, vector_bytes(), recipe.batch_size, recipe.drop_last)


@functools.lru_cache(maxsize=64)
def form_of_state(recipe: Recipe, code: str) -> pytree.TreeSpec:
    """The tree of a recipe's state, whose leaves a program holds in this order."""
    del code  # a key
    return pytree.tree_structure(recipe.initial_state(0))


def examples(recipe: Recipe, sizes: Sizes, features: int) -> tuple[TrainState, Batch]:
    """One replicate's state and two samples, of the types that a program is for."""
    state = pytree.tree_map_only(
        Tensor,
        lambda leaf: leaf.to(sizes.dtype) if leaf.is_floating_point() else leaf,
        recipe.initial_state(0),
    )
    weight = next(iter(state.params.values()))
    return state, Batch(weight.new_zeros(2, features), weight.new_zeros(2))
