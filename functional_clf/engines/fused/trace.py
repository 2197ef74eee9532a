"""From a function of one replicate to its graph of tensor operations, for any number of samples.

The function runs on two inputs that differ in nothing but the number of samples, and what it does
is written down. A size or a number that is the same in both is a constant; one that follows
the number of samples is that number; any other tells that the graph would not hold for all sizes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from functional_clf.engines.fused.simpler import BY_PLACES, SIMPLER, OfManyAxes

SAMPLES: Literal["samples"] = "samples"
"""Stands for the number of samples, as a size and as a number."""

Size = int | Literal["samples"]

_OF_SHAPE_ONLY = {
    *("empty_like", "zeros_like", "ones_like", "full_like"),
    *("new_zeros", "new_ones", "new_full"),
}


LARGEST_CONSTANT = 4096
"""Up to so many numbers a constant tensor of a function's own is a part of its graph."""

_HANDED_ON = {"detach", "alias", "clone", "lift_fresh_copy"}
"""What makes a constant of a constant."""


class UnfusableError(Exception):
    """This function cannot be fused; the message says why."""


@dataclass(frozen=True, eq=False)
class Node:
    """One tensor: an input, or what an operation makes of its arguments.

    Args:
        op: the operation's name, as in "mul.Tensor", or "input", or "constant", whose argument is a
            tuple of all its numbers.
        args: nodes, numbers, sizes and lists of them.
        kwargs: the same by name.
        shape: of the result, one replicate's.
        dtype: of the result.
    """

    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    shape: tuple[Size, ...]
    dtype: torch.dtype

    @property
    def name(self) -> str:
        """The operation's name without its overload, as in "mul"."""
        return self.op.partition(".")[0]

    def inputs(self) -> list["Node"]:
        """The nodes whose values it needs."""
        if self.name in _OF_SHAPE_ONLY or self.op == "fill.Scalar":
            return []
        return [leaf for leaf in pytree.tree_leaves(self.args) if isinstance(leaf, Node)]


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they can be computed; only those that the outputs need.

    form: the tree whose leaves the outputs are.
    written: the inputs into which the function writes.
    """

    inputs: Sequence[Node]
    nodes: Sequence[Node]
    outputs: Sequence[Node]
    form: pytree.TreeSpec
    written: frozenset[Node] = frozenset()

    def keep(self, outputs: Sequence[Node]) -> "Graph":
        """The same for some of the outputs."""
        needed, stack = set(), list(outputs)
        while stack:
            node = stack.pop()
            if node not in needed:
                needed.add(node)
                stack += node.inputs()
        return replace(self, nodes=[node for node in self.nodes if node in needed], outputs=outputs)


def trace(
    function: Callable[..., Any], make_inputs: Callable[[int], tuple[Any, ...]], samples: int
) -> Graph:
    """The graph of a function of one replicate.

    The graph is the same in whatever mode of torch's the caller is (`torch.inference_mode`,
    `torch.no_grad`, `torch.autocast`), and each leaf of the arguments is an input of its own, also
    where two of them are one tensor, or share its memory.

    Args:
        function: from trees of tensors to a tree of tensors.
        make_inputs: arguments for it, with so many samples.
        samples: how many there will be.

    Returns:
        The graph, whose inputs and outputs are the leaves of the arguments and of the result.

    Raises:
        UnfusableError: when it differs for another number of samples by more than sizes, or
            reads a tensor that is not among its arguments.

    Example:
        >>> graph = trace(lambda x: 2 * x.mean(), lambda n: (torch.zeros(n),), samples=100)
        >>> [(node.op, node.shape) for node in graph.nodes]
        [('mean.default', ()), ('mul.Tensor', ())]
    """
    probes = (samples, samples + 2)
    few, many = (_Recording(function, make_inputs(n), n) for n in probes)
    if [call.op for call in few.calls] != [call.op for call in many.calls]:
        raise UnfusableError("its operations depend on the number of samples")
    nodes: dict[int, Node] = {}  # by the place of the tensor in a recording
    same: dict[Any, Node] = {}  # the same operation on the same arguments is done once
    for place, (one, other) in enumerate(zip(few.calls, many.calls, strict=True)):
        args, kwargs, shape = (
            _merge(*pair, nodes, probes)
            for pair in (
                (one.args, other.args),
                (one.kwargs, other.kwargs),
                (one.shape, other.shape),
            )
        )
        node = Node(one.op, args, kwargs, shape, one.dtype)
        if one.op == "input":
            key = place
        else:
            named = pytree.tree_map_only(Node, lambda arg: f"node {id(arg)}", (args, kwargs))
            key = (one.op, repr(named), shape, one.dtype)
        nodes[place] = same.setdefault(key, node)
    ordered = list(dict.fromkeys(nodes.values()))
    inputs = [node for node in ordered if node.op == "input"]
    if few.form != many.form:
        raise UnfusableError("its result depends on the number of samples")
    places = zip(few.outputs, many.outputs, strict=True)
    outputs = [_merge(*pair, nodes, probes) for pair in places]
    computed = [node for node in ordered if node.op != "input"]
    written = frozenset(nodes[place.number] for place in few.written)
    return Graph(inputs, computed, [], few.form, written).keep(outputs)


@dataclass(frozen=True)
class _Place:
    """A tensor in a recording, by the number of the call that made it."""

    number: int


@dataclass(frozen=True)
class _Call:
    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[int, ...]
    dtype: torch.dtype


class _Recording(TorchDispatchMode):
    """What a function does, operation by operation."""

    def __init__(self, function: Callable[..., Any], inputs: tuple[Any, ...], samples: int) -> None:
        super().__init__()
        self.calls: list[_Call] = []
        self.written: list[_Place] = []
        self._places: dict[int, _Place] = {}
        self._alive: list[Tensor] = []  # else an id could be used twice
        self._constants: dict[int, Tensor] = {}  # made of numbers that the function writes down
        with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
            # A tensor is known by its identity here. Two leaves of an initial state may be one
            # tensor, or one that the function also holds as a constant; their values need not stay
            # the same. So each leaf becomes a tensor of its own.
            inputs = pytree.tree_map_only(Tensor, _own, inputs)
            for leaf in pytree.tree_leaves(inputs):
                self._add("input", (), {}, leaf)
            with self, OfManyAxes(samples):
                result = torch.func.functionalize(function)(*inputs)
        leaves, self.form = pytree.tree_flatten(result)
        self.outputs = [self._place_of(leaf) for leaf in leaves]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name, overload = func.overloadpacket.__name__, func._overloadname
        is_new = name == "lift_fresh" and id(args[0]) not in self._places
        if is_new or (name in _HANDED_ON and id(args[0]) in self._constants):
            return self._constant(func(*args, **kwargs))
        if (simpler := self._simpler(name, args, kwargs)) is not NotImplemented:
            return simpler
        if name == "view" and overload == "dtype":
            raise UnfusableError("it reads the bits of numbers as those of another type")
        result = func(*args, **kwargs)
        places, named = pytree.tree_map_only(Tensor, self._place_of, (args, kwargs))
        if name == "copy_" and self.calls[places[0].number].op == "input":
            self.written.append(places[0])  # how `functionalize` ends a write into an argument
            return result
        if func._schema.is_mutable:
            self._check_unseen(name, args)
            name = name.removesuffix("_")
        if name == "addmm" and not kwargs:  # as its two parts
            bias, *factors = places
            product = torch.mm(*args[1:])
            self._add("mm.default", tuple(factors), {}, product)
            self._add("add.Tensor", (self._place_of(product), bias), {}, result)
        elif isinstance(result, Tensor):
            self._add(f"{name}.{overload}", places, named, result)
        elif isinstance(result, tuple) and all(isinstance(one, Tensor) for one in result):
            for k, one in enumerate(result):
                self._add(f"{name}[{k}].{overload}", places, named, one)
        else:
            raise UnfusableError(f"{name}.{overload} does not return a tensor")
        return result

    def _check_unseen(self, name: str, args: tuple[Any, ...]) -> None:
        """Whether nothing but an operation's result is changed by writing into its first argument.

        So do some of torch's own operations with what they hold between their steps.
        """
        target = args[0] if args and isinstance(args[0], Tensor) else None
        if target is None or not name.endswith("_") or id(target) in self._constants:
            raise UnfusableError(f"{name} writes into a tensor")
        memory = target.untyped_storage().data_ptr()
        others = [one for one in self._alive if one is not target]
        if self.calls[self._place_of(target).number].op == "input" or any(
            one.untyped_storage().data_ptr() == memory for one in others
        ):
            raise UnfusableError(f"{name} writes into a tensor that is seen elsewhere")

    def _constant(self, tensor: Tensor) -> Tensor:
        self._constants[id(tensor)] = tensor
        self._alive.append(tensor)
        return tensor

    def _simpler(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The results of an operation, made by simpler ones that are recorded."""
        if name in BY_PLACES:

            def listed(arg: Any) -> Any:
                """The places that a constant holds."""
                is_list = id(arg) in self._constants and arg.ndim == 1 and arg.dtype == torch.int64
                return arg.tolist() if is_list else arg

            known = pytree.tree_map_only(Tensor, listed, (args, kwargs))
            if sum(map(_is_places, pytree.tree_leaves(known, _is_places))) != 1:
                return NotImplemented
            args, kwargs = known
        elif name not in SIMPLER or (name == "addmm" and not kwargs):
            return NotImplemented
        with self:
            return {**SIMPLER, **BY_PLACES}[name](*args, **kwargs)

    def _add(self, op: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        self._places[id(result)] = _Place(len(self.calls))
        self._alive.append(result)
        self.calls.append(_Call(op, args, kwargs, tuple(result.shape), result.dtype))

    def _place_of(self, tensor: Any) -> _Place:
        if id(tensor) in self._constants and id(tensor) not in self._places:
            if tensor.numel() > LARGEST_CONSTANT or tensor.is_complex():
                raise UnfusableError(f"it holds a constant of {tensor.numel()} numbers")
            self._add("constant", (tuple(tensor.flatten().tolist()),), {}, tensor)
        if id(tensor) not in self._places:
            raise UnfusableError("it reads a tensor that is not among its arguments")
        return self._places[id(tensor)]


def _is_places(arg: Any) -> bool:
    return isinstance(arg, list) and bool(arg) and all(type(one) is int for one in arg)


def _own(leaf: Tensor) -> Tensor:
    """The same values in memory of their own, without what torch knows of where they are from."""
    return leaf.detach().clone(memory_format=torch.contiguous_format)


def _merge(one: Any, other: Any, nodes: Mapping[int, Node], probes: tuple[int, int]) -> Any:
    """What two recordings, of so many samples, say at the same place."""
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            raise UnfusableError("a shape depends on the number of samples")
        return type(one)(_merge(*pair, nodes, probes) for pair in zip(one, other, strict=True))
    if isinstance(one, dict):
        return {key: _merge(value, other[key], nodes, probes) for key, value in one.items()}
    if isinstance(one, _Place):
        if one != other:
            raise UnfusableError("its operations depend on the number of samples")
        return nodes[one.number]
    if type(one) is type(other) and (one == other or (one != one and other != other)):
        return one  # also a NaN, which is not equal to itself
    if (one, other) == probes:
        return SAMPLES
    raise UnfusableError(
        f"a number follows the number of samples in a way of its own ({one} becomes {other})"
    )
