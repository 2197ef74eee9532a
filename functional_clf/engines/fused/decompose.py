"""Softmax and its kin, matmuls of stacks, and places of the largest as simpler operations.

    softmax(x) = e / s, log_softmax(x) = x - m - log(s), logsumexp(x) = m + log(s)

with m the largest of x along an axis, e = exp(x - m) and s = sum(e): as torch computes them, so a
NaN or an infinity does the same. Their gradients take e and s again instead of another exponential.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch.utils import _pytree as pytree

from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, Size, UnfusableError
from functional_clf.engines.fused.views import VIEWS


def decomposed(graph: Graph) -> Graph:
    """The same graph without the operations of this module.

    Raises:
        UnfusableError: when one of them computes in another precision than its argument's.

    Example:
        >>> from functional_clf.engines.fused.trace import trace
        >>> graph = trace(lambda x: x.softmax(1).sum(), lambda n: (torch.zeros(n, 3),), samples=9)
        >>> [node.name for node in decomposed(graph).nodes]
        ['amax', 'sub', 'exp', 'sum', 'div', 'sum']
    """
    if not any(node.name in _PARTS for node in graph.nodes):
        return graph
    rewriting = _Rewriting(graph)
    outputs = [rewriting.new(node) for node in graph.outputs]
    return replace(graph, nodes=list(rewriting.nodes.values())).keep(outputs)


class _Rewriting:
    """A graph that is made anew, node by node.

    nodes: of the new graph, each by what it computes.
    exponentials: by a softmax or its logarithm, its e and s.
    """

    def __init__(self, graph: Graph) -> None:
        self.nodes: dict[Any, Node] = {}
        self.exponentials: dict[Node, tuple[Node, Node]] = {}
        self._news: dict[Node, Node] = {}
        for node in graph.nodes:
            args, kwargs = pytree.tree_map_only(Node, self.new, (node.args, node.kwargs))
            if node.name in _PARTS:
                made = _PARTS[node.name](self, node, *args)
            else:
                made = self.add(node.op, args, node.shape, node.dtype, kwargs)
            self._news[node] = made

    def new(self, node: Node) -> Node:
        """What a node of the old graph has become."""
        return self._news.get(node, node)

    def add(
        self,
        op: str,
        args: Sequence[Any],
        shape: tuple[Size, ...],
        dtype: torch.dtype,
        kwargs: Mapping[str, Any] = MappingProxyType({}),
    ) -> Node:
        """An operation on nodes of the new graph; the same one is done once."""
        args = tuple(args)
        named = pytree.tree_map_only(Node, lambda arg: f"node {id(arg)}", (args, dict(kwargs)))
        key = (op, repr(named), shape, dtype)
        if key not in self.nodes:
            self.nodes[key] = Node(op, args, kwargs, shape, dtype)
        return self.nodes[key]

    def like(self, op: str, x: Node, *others: Any, dtype: torch.dtype | None = None) -> Node:
        """An elementwise operation with the shape of its first argument."""
        return self.add(op, (x, *others), x.shape, dtype or x.dtype)

    def along(self, op: str, x: Node, dims: Sequence[int]) -> Node:
        """A reduction that keeps its axes."""
        kept = {dim % len(x.shape) for dim in dims or range(len(x.shape))}
        shape: tuple[Size, ...] = tuple(
            1 if dim in kept else size for dim, size in enumerate(x.shape)
        )
        return self.add(op, (x, sorted(kept), True), shape, x.dtype)


def _check(node: Node, x: Node) -> None:
    if node.dtype != x.dtype or not x.shape:
        raise UnfusableError(f"{node.op} of a single number, or in {node.dtype}, is not known")


def _shifted(rewriting: _Rewriting, node: Node, x: Node, dim: int) -> tuple[Node, Node, Node]:
    """Of a softmax of x: x - m, e and s."""
    _check(node, x)
    shifted = rewriting.like("sub.Tensor", x, rewriting.along("amax.default", x, [dim]))
    e = rewriting.like("exp.default", shifted)
    return shifted, e, rewriting.along("sum.dim_IntList", e, [dim])


def _softmax(rewriting: _Rewriting, node: Node, x: Node, dim: int, half_to_float: bool) -> Node:
    _, e, s = _shifted(rewriting, node, x, dim)
    return rewriting.like("div.Tensor", e, s)


def _log_softmax(rewriting: _Rewriting, node: Node, x: Node, dim: int, half_to_float: bool) -> Node:
    shifted, e, s = _shifted(rewriting, node, x, dim)
    made = rewriting.like("sub.Tensor", shifted, rewriting.like("log.default", s))
    rewriting.exponentials[made] = (e, s)
    return made


def _softmax_backward(
    rewriting: _Rewriting, node: Node, grad: Node, y: Node, dim: int, dtype: torch.dtype
) -> Node:
    product = rewriting.like("mul.Tensor", grad, y)
    total = rewriting.along("sum.dim_IntList", product, [dim])
    return rewriting.like("mul.Tensor", rewriting.like("sub.Tensor", grad, total), y)


def _log_softmax_backward(
    rewriting: _Rewriting, node: Node, grad: Node, y: Node, dim: int, dtype: torch.dtype
) -> Node:
    total = rewriting.along("sum.dim_IntList", grad, [dim])
    if y in rewriting.exponentials:
        e, s = rewriting.exponentials[y]
        share = rewriting.like("div.Tensor", e, s)
    else:
        share = rewriting.like("exp.default", y)
    return rewriting.like("sub.Tensor", grad, rewriting.like("mul.Tensor", share, total))


def _logsumexp(
    rewriting: _Rewriting, node: Node, x: Node, dims: Sequence[int], keepdim: bool = False
) -> Node:
    _check(node, x)
    largest = rewriting.along("amax.default", x, dims)
    size = rewriting.like("abs.default", largest)
    is_infinite = rewriting.like("eq.Scalar", size, math.inf, dtype=torch.bool)
    largest = rewriting.like("masked_fill.Scalar", largest, is_infinite, 0.0)
    e = rewriting.like("exp.default", rewriting.like("sub.Tensor", x, largest))
    s = rewriting.along("sum.dim_IntList", e, dims)
    made = rewriting.like("add.Tensor", rewriting.like("log.default", s), largest)
    return rewriting.add("view.default", (made, list(node.shape)), node.shape, node.dtype)


# Matmuls of stacks, and of weights.

_MOST_FACTORS = 32
"""Up to so many matmuls a stack of them is taken one by one."""


def _view(rewriting: _Rewriting, x: Node, shape: tuple[Size, ...]) -> Node:
    return rewriting.add("view.default", (x, list(shape)), shape, x.dtype)


def _written_out(rewriting: _Rewriting, a: Node, b: Node) -> Node:
    """(..., i, k) by (..., k, j): the sum of products, term by term."""
    *stack, rows, inner = a.shape
    columns = b.shape[-1]
    left = _view(rewriting, a, (*stack, rows, inner, 1))
    right = _view(rewriting, b, (*stack, 1, inner, columns))
    shape = (*stack, rows, inner, columns)
    product = rewriting.add("mul.Tensor", (left, right), shape, a.dtype)
    return rewriting.add(
        "sum.dim_IntList", (product, [len(shape) - 2], False), (*stack, rows, columns), a.dtype
    )


def _bmm(rewriting: _Rewriting, node: Node, a: Node, b: Node) -> Node:
    count, rows, inner = a.shape
    columns = b.shape[2]
    if count == SAMPLES or SAMPLES not in (rows, inner, columns):
        return _written_out(rewriting, a, b)
    if count > _MOST_FACTORS:
        raise UnfusableError(f"it multiplies a stack of {count} matrices")
    products: list[Node] = []
    for k in range(count):
        factors = [
            rewriting.add("select.int", (one, 0, k), one.shape[1:], one.dtype) for one in (a, b)
        ]
        product = rewriting.add("mm.default", factors, (rows, columns), node.dtype)
        products.append(_view(rewriting, product, (1, rows, columns)))
    if len(products) == 1:
        return products[0]
    return rewriting.add("cat.default", (products, 0), node.shape, node.dtype)


def _mm(rewriting: _Rewriting, node: Node, a: Node, b: Node) -> Node:
    if SAMPLES in (*a.shape, *b.shape):
        return rewriting.add(node.op, (a, b), node.shape, node.dtype)
    return _written_out(rewriting, a, b)


def _mv(rewriting: _Rewriting, node: Node, a: Node, b: Node) -> Node:
    if SAMPLES in (*a.shape, *b.shape):
        return rewriting.add(node.op, (a, b), node.shape, node.dtype)
    product = _written_out(rewriting, a, _view(rewriting, b, (*b.shape, 1)))
    return _view(rewriting, product, node.shape)


# The place of the largest, as a float: it stands where torch has a whole number.


def _counted(rewriting: _Rewriting, x: Node, dim: int) -> Node:
    """0, 1, 2, ... along an axis of a tensor."""
    size = x.shape[dim]
    if size == SAMPLES:
        raise UnfusableError("it looks for a sample")
    counts = rewriting.add("arange.default", (size,), (size,), x.dtype)
    shape = tuple(size if one == dim % len(x.shape) else 1 for one in range(len(x.shape)))
    return _view(rewriting, counts, shape)


def _place_of_top(top: str) -> Callable[..., Node]:
    def made(
        rewriting: _Rewriting, node: Node, x: Node, dim: int | None = None, keepdim: bool = False
    ) -> Node:
        if dim is None or not x.shape or not x.dtype.is_floating_point:
            raise UnfusableError(f"{node.op} of all of a tensor is not known")
        most = rewriting.along(top, x, [dim])
        is_most = rewriting.like("eq.Tensor", x, most, dtype=torch.bool)
        is_nan = rewriting.like("ne.Tensor", x, x, dtype=torch.bool)
        is_found = rewriting.like("logical_or.default", is_most, is_nan)
        counts, size = _counted(rewriting, x, dim), float(x.shape[dim])
        places = rewriting.add("where.self", (is_found, counts, size), x.shape, x.dtype)
        first = rewriting.along("amin.default", places, [dim])
        return _view(rewriting, first, node.shape)

    return made


def _scatter(rewriting: _Rewriting, node: Node, x: Node, dim: int, index: Node, src: Any) -> Node:
    root = index
    while root.name in VIEWS:
        root = root.inputs()[0]
    has_src = isinstance(src, Node) and src.shape == index.shape
    if index.shape[dim] != 1 or root.dtype != x.dtype or not has_src:
        raise UnfusableError(f"{node.op} is not known")
    counts = _counted(rewriting, x, dim)
    is_there = rewriting.add("eq.Tensor", (index, counts), node.shape, torch.bool)
    return rewriting.add("where.self", (is_there, src, x), node.shape, node.dtype)


_PARTS: dict[str, Callable[..., Node]] = {
    "bmm": _bmm,
    "mm": _mm,
    "mv": _mv,
    "scatter": _scatter,
    **dict.fromkeys(("max[1]", "argmax"), _place_of_top("amax.default")),
    **dict.fromkeys(("min[1]", "argmin"), _place_of_top("amin.default")),
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "_softmax_backward_data": _softmax_backward,
    "_log_softmax_backward_data": _log_softmax_backward,
    "logsumexp": _logsumexp,
}
