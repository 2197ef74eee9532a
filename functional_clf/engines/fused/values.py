"""Tensors while they are lowered: how to compute one element of each, and where it lies."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from functional_clf.engines.fused.elementwise import apply
from functional_clf.engines.fused.form import ROWS, ZERO, Expression, Index, Load
from functional_clf.engines.fused.memory import Storage
from functional_clf.engines.fused.trace import SAMPLES, Node, Size, UnfusableError
from functional_clf.engines.fused.views import View

BEFORE, BLOCK, AFTER = range(3)
"""The stages of a function."""

SAMPLES_AGAIN = "it needs the samples again after a sum over all of them"


class Value(NamedTuple):
    """A tensor while it is lowered: how to compute one element of it, and where it lies.

    is_constant: each element is the same number.
    is_free: it costs nothing to compute, so it need not lie in memory.
    """

    shape: tuple[Size, ...]
    dtype: torch.dtype
    stage: int
    element: Callable[[Index], Expression]
    storage: Storage | None = None
    is_constant: bool = False
    is_free: bool = False


def stored(shape: tuple[Size, ...], dtype: torch.dtype, stage: int, storage: Storage) -> Value:
    """A tensor that lies in memory."""

    def element(index: Index) -> Expression:
        found = Load(storage.at(index))
        is_float_of_whole = dtype == torch.int64 and storage.array == ROWS
        return as_whole(found) if is_float_of_whole else found

    return Value(shape, dtype, stage, element, storage)


def as_whole(expression: Expression) -> Expression:
    """A whole number of what may be held as a float."""
    return apply("_to_copy", [expression], {}, torch.int64)


def constant_value(node: Node, expression: Expression) -> Value:
    """A tensor of which each element is the same number."""
    return Value(
        *(node.shape, node.dtype, BEFORE, lambda index: expression),
        is_constant=True,
        is_free=True,
    )


def viewed(source: Value, view: View, shape: tuple[Size, ...]) -> Value:
    """Another tensor's elements in another shape."""

    def element(index: Index) -> Expression:
        return source.element(view.source_index(index, source.shape))

    for size, dim in zip(shape, view.dims, strict=True):
        if size == SAMPLES and dim is not None and source.shape[dim] not in (SAMPLES, 1):
            raise UnfusableError("it takes as many weights as there are samples")
    storage = source.storage and view.storage(source.storage, source.shape)
    return source._replace(shape=shape, element=element, storage=storage)


def broadcast(value: Value, index: Index) -> Expression:
    """An element of a tensor that is broadcast to a larger shape."""
    own = index[len(index) - len(value.shape) :]
    places = (ZERO if size == 1 else at for size, at in zip(value.shape, own, strict=True))
    return value.element(tuple(places))


def stage_of(shape: tuple[Size, ...], arguments: Sequence[Value]) -> int:
    """The stage in which a tensor of this shape can be computed.

    Raises:
        UnfusableError: when there is none.
    """
    latest = max((value.stage for value in arguments), default=BEFORE)
    if SAMPLES not in shape:
        return latest
    if latest == AFTER:
        raise UnfusableError(SAMPLES_AGAIN)
    return BLOCK
