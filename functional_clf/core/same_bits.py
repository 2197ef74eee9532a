"""Whether two trees of tensors are the same in every bit, and copies of them."""

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Tree = TypeVar("Tree")


def clone(tree: Tree) -> Tree:
    """The same tree of tensors, each in memory of its own."""
    return pytree.tree_map_only(Tensor, torch.clone, tree)


def same_bits(one: Any, other: Any) -> bool:
    """Whether two trees of tensors or arrays are equal in form and in every bit."""
    leaves, form = pytree.tree_flatten(one)
    other_leaves, other_form = pytree.tree_flatten(other)
    return form == other_form and all(
        _bits(leaf) == _bits(other_leaf)
        for leaf, other_leaf in zip(leaves, other_leaves, strict=True)
    )


def _bits(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        plain = leaf.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        return leaf.dtype, tuple(leaf.shape), plain.numpy().tobytes()
    return (leaf.dtype, leaf.shape, leaf.tobytes()) if isinstance(leaf, np.ndarray) else leaf
