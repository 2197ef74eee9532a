"""What a graph's operations are to lowering, and who reads what: how often, and when last."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from functional_clf.engines.fused.form import Folding
from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, Size, UnfusableError
from functional_clf.engines.fused.views import VIEWS

MATMULS = ("mm", "mv")

REDUCTIONS: dict[str, tuple[Folding, bool]] = {
    "sum": ("sum", False),
    "mean": ("sum", True),
    "prod": ("product", False),
    **dict.fromkeys(("amax", "max", "max[0]"), ("largest", False)),
    **dict.fromkeys(("amin", "min", "min[0]"), ("smallest", False)),
    "all": ("all", False),
    "any": ("any", False),
}
"""How each makes one number of many, and whether it divides that by how many they are."""

_LARGEST_COUNT = 2**24  # whole numbers that a float holds
_MANY = 10**6  # in place of the number of samples, where sizes are compared


class Reading:
    """Who reads what in a graph.

    place: of each node in the order of computation.
    outputs: the graph's.
    """

    def __init__(self, graph: Graph) -> None:
        self.place = {node: place for place, node in enumerate(graph.nodes)}
        self.outputs = frozenset(graph.outputs)
        self._readers: dict[Node, list[Node]] = {}  # directly or through views
        for node in reversed(graph.nodes):
            is_view = node.name in VIEWS and node not in self.outputs
            through = self._readers.get(node, []) if is_view else [node]
            for arg in node.inputs():
                self._readers.setdefault(arg, []).extend(through)

    def is_often(self, node: Node) -> bool:
        """Whether to compute it once, and not where it is read; a factor must lie in memory."""
        readers, own = self._readers.get(node, ()), _count(node.shape)
        return len(readers) > 1 or any(
            reader.name in MATMULS or _count(_space(reader)) > own for reader in readers
        )

    def last_place(self, node: Node) -> int:
        """The last statement that reads a node, directly or in an expression."""
        places = (
            self.place[one] if self._has_statement(one) else self.last_place(one)
            for one in self._readers.get(node, ())
        )
        return max([self.place[node], *places])

    def _has_statement(self, node: Node) -> bool:
        if node.name in MATMULS or node.name == "cat" or node in self.outputs:
            return True
        if node.name in REDUCTIONS:
            shape = node.inputs()[0].shape
            if any(shape[dim] == SAMPLES for dim in reduced_dims(node, len(shape))[0]):
                return True
        return self.is_often(node)

    def largest(self, node: Node) -> float:
        """What a tensor of whole numbers is at most, up to its sign; infinity where unknown."""
        if node.dtype == torch.bool:
            return 1
        if node.name in VIEWS or node.name in ("clone", "_to_copy"):
            return self.largest(node.inputs()[0]) if node.inputs() else math.inf
        if node.name == "sum":
            (source,) = node.inputs()
            dims = reduced_dims(node, len(source.shape))[0]
            return self.largest(source) * _count([source.shape[dim] for dim in dims])
        if node.name in ("add", "sub", "mul") and len(node.args) == 2 and not node.kwargs:
            one, other = (
                self.largest(arg) if isinstance(arg, Node) else _size_of(arg) for arg in node.args
            )
            return one * other if node.name == "mul" else one + other
        return math.inf


def constant_of(node: Node) -> Any:
    """The value of a tensor that is filled with one number, or None where it is not."""
    if node.name in ("zeros", "zeros_like", "new_zeros", "empty_like"):
        return 0.0 if node.dtype.is_floating_point else 0
    if node.name in ("ones", "ones_like", "new_ones"):
        return 1.0 if node.dtype.is_floating_point else 1
    if node.name == "constant":
        is_one = len(set(map(repr, node.args[0]))) == 1  # by repr: 0 is not -0, a NaN is a NaN
        return node.args[0][0] if is_one else None
    if node.name in ("full", "full_like", "new_full", "fill"):
        return None if isinstance(node.args[-1], Node) else node.args[-1]
    return node.args[0] if node.name == "scalar_tensor" else None


def counting_of(node: Node) -> tuple[int, int]:
    """The first number of an `arange` and the step to the next.

    Raises:
        UnfusableError: when it counts samples, or not in whole numbers that a float holds.
    """
    if SAMPLES in (*node.shape, *node.args):
        raise UnfusableError("it counts the samples")
    args = (0, *node.args) if len(node.args) == 1 else node.args
    start, end, step = (*args, 1)[:3]
    if any(number != int(number) or abs(number) > _LARGEST_COUNT for number in (start, end, step)):
        raise UnfusableError("it counts in other than whole numbers")
    return int(start), int(step)


def reduced_dims(node: Node, rank: int) -> tuple[list[int], bool]:
    """The axes over which a reduction goes, and whether it keeps them."""
    args = node.args[1:]
    dims = args[0] if args else None
    if isinstance(dims, int):
        dims = [dims]
    elif not dims:
        if dims is not None and node.name in ("all", "any"):
            raise UnfusableError(f"{node.name} over a list of no axes is not known")
        dims = range(rank)
    return sorted({dim % max(rank, 1) for dim in dims} if rank else []), len(args) > 1 and bool(
        args[1]
    )


def _size_of(number: Any) -> float:
    return math.inf if number == SAMPLES else abs(number)


def _space(node: Node) -> tuple[Size, ...]:
    """The shape over which a node reads its arguments."""
    if node.name == "cat":  # part by part
        return max((part.shape for part in node.inputs()), key=_count)
    return node.inputs()[0].shape if node.name in REDUCTIONS else node.shape


def _count(shape: Sequence[Size]) -> int:
    return math.prod(_MANY if size == SAMPLES else size for size in shape)
