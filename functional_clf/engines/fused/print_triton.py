"""A fused program in Triton: one program of the device a replicate, its whole state in registers.

A tensor of the graph is a tensor of Triton's, each axis of a power of two as Triton demands; what
lies behind the real size is never read: a sum or a product over such an axis leaves it out. The
axis of samples is a block of them, over which the kernel loops.

A sum over samples is added up element by element, each sample of a block for itself, as long as
there are registers for it: then the threads exchange what they have once a step, not once a block.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from functional_clf.engines.fused.decompose import decomposed
from functional_clf.engines.fused.elementwise import OPERATIONS, apply
from functional_clf.engines.fused.form import Folding, Sizes
from functional_clf.engines.fused.graphs import Graphs
from functional_clf.engines.fused.operations_triton import literal, operation, triton_type
from functional_clf.engines.fused.reading import (
    MATMULS,
    REDUCTIONS,
    constant_of,
    counting_of,
    reduced_dims,
)
from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, Size, UnfusableError
from functional_clf.engines.fused.values import AFTER, BEFORE, BLOCK, SAMPLES_AGAIN
from functional_clf.engines.fused.views import RESHAPES, VIEWS, can_reshape, changes_unit_axes_only

DOT_SIZE = 16
"""The least size of each axis of a matmul of Triton's own; smaller ones are sums of products."""

THREADS = 32
"""In a warp."""

LAZY_REGISTERS = 16
"""Up to so many numbers a thread, a sum over samples is kept for each sample of a block."""

MOST_PRODUCTS = 2**10
"""Up to so many multiplications a thread and block are written out (all of them are): with more,
their factors find no registers (measured by compiling), and compiling takes tens of seconds."""


LARGEST_TENSOR = 2**20
"""Up to so many numbers Triton has a tensor."""


class TooLargeError(UnfusableError):
    """A program has no room on the device; with another layout it may have."""


class Layout(NamedTuple):
    """How a program is laid out on the device.

    Args:
        block: samples that are looked at together, a power of 2.
        warps: of threads that train one replicate.
        precision: of matmuls: "ieee" or "tf32".
    """

    block: int
    warps: int
    precision: str


LAYOUTS = ((32, 4), (32, 8), (16, 8))
"""Blocks and warps to try, until there is room: each needs fewer registers of a thread than the one
before, and has the threads exchange more often what they have."""


def power_of_two(size: int) -> int:
    """The next power of two.

    Example:
        >>> power_of_two(1), power_of_two(33)
        (1, 64)
    """
    return 1 << (size - 1).bit_length()


def layouts(precision: str) -> list[Layout]:
    """The layouts of a program, the best one first.

    Args:
        precision: "ieee" or "tf32"; where no program with TF32 has room, one with float32 may: its
            matmuls need not be of 16 x 16 numbers a warp.

    Example:
        >>> layouts("ieee")[0]
        Layout(block=32, warps=4, precision='ieee')
    """
    precisions = dict.fromkeys((precision, "ieee"))
    return [Layout(*how, precision) for precision in precisions for how in LAYOUTS]


def source(traced: Graphs, sizes: Sizes, layout: Layout) -> str:
    """The source of a program: a module whose function `fit` is the kernel.

    Args:
        traced: one replicate's training.
        sizes: what it is for.
        layout: how it is laid out.

    Raises:
        TooLargeError: when it has no room in this layout.
        UnfusableError: when a graph holds what cannot be done so.
    """
    leaves = [f"leaf{k}" for k in range(len(traced.leaves))]
    data = ["x_train", "y_train", "x_test", "y_test"]
    told = ["train_loss", "train_correct", "test_loss", "test_correct"]
    order = ["order"] if sizes.batch_size is not None else []
    parameters = ", ".join([*(f"{leaf}_at" for leaf in leaves), *data, *told, *order, "steps"])
    lines = [
        "import triton",
        "import triton.language as tl",
        "from functional_clf.engines.fused.triton_functions import (",
        *(f"    {name}," for name in _FUNCTIONS),
        ")",
        "",
        "@triton.jit(do_not_specialize=['steps'])",
        f"def fit({parameters}):",
        *_indented(_body(traced, sizes, layout, leaves)),
        "",
    ]
    return "\n".join(lines)


_FUNCTIONS = (
    *("larger", "smaller", "relu", "sign", "log1p", "expm1", "tanh", "sigmoid", "log_sigmoid"),
    *("log_sigmoid_slope", "softplus", "softplus_slope", "silu_slope", "gelu", "gelu_slope"),
    *("gelu_tanh", "gelu_tanh_slope", "random_bits", "first_word", "second_word", "product_of"),
)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _body(traced: Graphs, sizes: Sizes, layout: Layout, leaves: Sequence[str]) -> Iterator[str]:
    features = traced.batch.x.shape[1]
    yield "replicate = tl.program_id(0).to(tl.int64)"
    for part, samples in (("train", sizes.train), ("test", sizes.test)):
        yield f"x_{part} += replicate * {samples * features}"
        yield f"y_{part} += replicate * {samples}"
    for leaf, tensor in zip(leaves, traced.leaves, strict=True):
        if math.prod(map(power_of_two, tensor.shape)) > LARGEST_TENSOR:
            raise TooLargeError(f"a part of its state has {tensor.numel()} numbers")
        yield f"{leaf} = {_loaded(leaf, tensor)}"
    weights = [leaves[k] for k in traced.weights]
    for part, graph, samples in (
        ("train", traced.evaluate_train, sizes.train),
        ("test", traced.evaluate_test, sizes.test),
    ):
        printer = _Printer(f"{part}_", graph, weights, samples, layout, sizes.dtype)
        loss, correct = printer.outputs
        yield from printer.lines(_Data(f"x_{part}", f"y_{part}", features))
        yield f"tl.store({part}_loss + replicate, {loss})"
        yield f"tl.store({part}_correct + replicate, {correct})"
    yield "for epoch in range(steps):"
    yield from _indented(_epoch(traced, sizes, layout, leaves, features))
    for leaf, tensor in zip(leaves, traced.leaves, strict=True):
        yield _stored(leaf, tensor)


def _epoch(
    traced: Graphs, sizes: Sizes, layout: Layout, leaves: Sequence[str], features: int
) -> Iterator[str]:
    def step(graph: Graph, samples: int, order: str | None) -> list[str]:
        printer = _Printer("t", graph, leaves, samples, layout, sizes.dtype)
        pairs = zip(leaves, printer.outputs, strict=True)
        return [
            *printer.lines(_Data("x_train", "y_train", features, order)),
            *(f"{leaf} = {after}" for leaf, after in pairs if leaf != after),
        ]

    if sizes.batch_size is None:
        yield from step(traced.take_step, sizes.train, None)
        return
    # The order of an epoch lies behind that of the epoch before, a replicate's behind another's.
    yield f"orders = order + (replicate * steps + epoch) * {sizes.train}"
    whole = sizes.train // sizes.batch_size
    yield f"for batch in range({whole}):"
    yield f"    taken = orders + batch * {sizes.batch_size}"
    yield from _indented(step(traced.take_step, sizes.batch_size, "taken"))
    if traced.take_rest is not None:
        yield f"taken = orders + {whole * sizes.batch_size}"
        yield from step(traced.take_rest, sizes.rest, "taken")


def _places(shape: Sequence[int]) -> tuple[str, list[str]]:
    """Where the numbers of a tensor lie in memory, and what tells the real ones."""
    terms, masks, stride = [], [], 1
    for dim in reversed(range(len(shape))):
        counter = f"tl.arange(0, {power_of_two(shape[dim])}){_along(dim, len(shape))}"
        terms.append(counter if stride == 1 else f"{counter} * {stride}")
        if power_of_two(shape[dim]) != shape[dim]:
            masks.append(f"({counter} < {shape[dim]})")
        stride *= shape[dim]
    return " + ".join(reversed(terms)), masks


def _loaded(leaf: str, tensor: torch.Tensor) -> str:
    at, masks = _places(tensor.shape)
    begin = f"{leaf}_at + replicate * {tensor.numel()}"
    mask = f", mask={' & '.join(masks)}, other=0" if masks else ""
    return f"tl.load({begin} + {at}{mask})" if at else f"tl.load({begin})"


def _stored(leaf: str, tensor: torch.Tensor) -> str:
    at, masks = _places(tensor.shape)
    begin = f"{leaf}_at + replicate * {tensor.numel()}"
    mask = f", mask={' & '.join(masks)}" if masks else ""
    return f"tl.store({begin} + {at}, {leaf}{mask})" if at else f"tl.store({begin}, {leaf})"


def _along(dim: int, rank: int) -> str:
    """How a row of numbers becomes one along an axis of a tensor."""
    if rank == 1:
        return ""
    return f"[{', '.join(':' if axis == dim else 'None' for axis in range(rank))}]"


class _Data(NamedTuple):
    """Where samples lie: a row of features after another, in their order or in one of its own."""

    x: str
    y: str
    features: int
    order: str | None = None


class _Printer:
    """One graph of a replicate in Triton.

    outputs: the names of what it makes.
    """

    def __init__(
        self,
        prefix: str,
        graph: Graph,
        leaves: Sequence[str],
        samples: int,
        layout: Layout,
        real: torch.dtype,
    ) -> None:
        self._prefix = prefix
        self._samples = samples
        self._layout = layout
        self._real = real
        self._graph = graph = decomposed(graph)
        self._has_rest = samples % layout.block != 0
        names = [*leaves, f"{prefix}x", f"{prefix}y"]
        self._names = dict(zip(graph.inputs, names, strict=True))
        self._stages = {node: BLOCK if SAMPLES in node.shape else BEFORE for node in graph.inputs}
        for node in (*graph.inputs, *graph.nodes):
            if node.shape.count(SAMPLES) > 1:
                raise UnfusableError("it has two axes of samples")
        for node in graph.nodes:
            self._stages[node] = self._stage(node)
        self._put_off()
        self._texts: list[list[str]] = [[], [], []]  # of each stage
        self._products = 0
        for number, node in enumerate(graph.nodes):
            self._check_size(self._padded(node.shape))
            self._names[node] = f"{prefix}{number}"
            self._write(node)
        threads = layout.warps * THREADS
        if self._products > MOST_PRODUCTS * threads:
            raise TooLargeError(f"its matmuls are {self._products // threads} products a thread")
        if any(SAMPLES in node.shape for node in graph.outputs):
            raise UnfusableError("a result has an axis of samples")
        self.outputs = [self._names[node] for node in graph.outputs]

    def lines(self, data: _Data) -> Iterator[str]:
        """The statements: before the blocks of samples, in the loop over them, behind it."""
        before, block, after = self._texts
        size, prefix = self._layout.block, self._prefix
        yield from before
        if self._samples <= size:
            yield f"{prefix}first = 0"
            yield from self._samples_of_block(data)
            yield from block
        else:
            yield f"for {prefix}first in range(0, {self._samples}, {size}):"
            yield from _indented([*self._samples_of_block(data), *block])
        yield from after

    def _samples_of_block(self, data: _Data) -> Iterator[str]:
        prefix, size = self._prefix, power_of_two(data.features)
        rows = f"{prefix}rows"
        yield f"{rows} = {prefix}first + tl.arange(0, {self._layout.block})"
        masks, mask = [], ""
        if self._has_rest:
            yield f"{prefix}real = {rows} < {self._samples}"
            masks.append(f"{prefix}real[:, None]")
            mask = f", mask={prefix}real, other=0"
        if data.order is not None:
            yield f"{rows} = tl.load({data.order} + {rows}{mask})"
        if size != data.features:
            masks.append(f"(tl.arange(0, {size}) < {data.features})[None, :]")
        place = f"{rows}[:, None] * {data.features} + tl.arange(0, {size})[None, :]"
        x_mask = f", mask={' & '.join(masks)}, other=0" if masks else ""
        yield f"{prefix}x = tl.load({data.x} + {place}{x_mask})"
        yield f"{prefix}y = tl.load({data.y} + {rows}{mask})"

    # Stages.

    def _stage(self, node: Node) -> int:
        latest = max((self._stages[arg] for arg in node.inputs()), default=BEFORE)
        if self._sums_samples(node):
            if latest == AFTER:
                raise UnfusableError(SAMPLES_AGAIN)
            return AFTER
        if SAMPLES not in node.shape:
            return latest
        if latest == AFTER:
            raise UnfusableError(SAMPLES_AGAIN)
        return BLOCK

    def _sums_samples(self, node: Node) -> bool:
        if node.name in MATMULS:
            return node.inputs()[0].shape[1] == SAMPLES
        if node.name in REDUCTIONS:
            (source,) = node.inputs()
            return any(
                source.shape[dim] == SAMPLES for dim in reduced_dims(node, len(source.shape))[0]
            )
        return False

    def _put_off(self) -> None:
        """What no block needs is computed behind them, and needs no register till then."""
        needed: set[Node] = set()
        for node in reversed(self._graph.nodes):
            if node in needed or self._stages[node] == BLOCK or self._sums_samples(node):
                needed.update(node.inputs())
            if self._stages[node] == BEFORE and node not in needed:
                self._stages[node] = AFTER

    # Shapes.

    def _size(self, size: Size) -> int:
        """How many there are."""
        return self._samples if size == SAMPLES else size

    def _check_size(self, padded: Sequence[int]) -> None:
        if math.prod(padded) > LARGEST_TENSOR:
            raise TooLargeError(f"it has a tensor of {math.prod(padded)} numbers")

    def _padded(self, shape: Sequence[Size]) -> tuple[int, ...]:
        """The axes of Triton's tensor."""
        return tuple(
            self._layout.block if size == SAMPLES else power_of_two(size) for size in shape
        )

    def _masks(self, shape: Sequence[Size], dims: Sequence[int], rank: int, at: int = 0) -> str:
        """What tells the real numbers along some axes, which are axes `at` on of such a tensor."""
        masks = []
        for dim in dims:
            size = shape[dim]
            if size == SAMPLES:
                if self._has_rest:
                    masks.append(f"{self._prefix}real{_along(at + dim, rank)}")
            elif power_of_two(size) != size:
                row = f"(tl.arange(0, {power_of_two(size)}) < {size})"
                masks.append(f"{row}{_along(at + dim, rank)}")
        return " & ".join(masks)

    def _clean(self, text: str, shape: Sequence[Size], dims: Sequence[int], rest: str) -> str:
        """The same, with `rest` behind what is real along some axes."""
        masks = self._masks(shape, dims, len(shape))
        return f"tl.where({masks}, {text}, {rest})" if masks else text

    # Statements.

    def _write(self, node: Node) -> None:
        if node.name in MATMULS:
            self._matmul(node)
        elif node.name in REDUCTIONS:
            self._reduction(node)
        else:
            self._define(node, self._text(node))

    def _define(self, node: Node, text: str) -> None:
        self._texts[self._stages[node]].append(f"{self._names[node]} = {text}")

    def _text(self, node: Node) -> str:
        names = [self._names[arg] for arg in node.inputs()]
        kind = triton_type(self._own_type(node))
        if node.name in VIEWS:
            return self._view(node, names[0])
        if (number := constant_of(node)) is not None:
            number = self._number(number, self._own_type(node))
            return f"tl.full({self._padded(node.shape)}, {literal(number)}, {kind})"
        if node.name == "arange":
            start, step = counting_of(node)
            (size,) = self._padded(node.shape)
            return f"(tl.arange(0, {size}) * {step} + {start}).to({kind})"
        if node.name == "select_backward":
            dim, chosen = node.args[2] % len(node.shape), node.args[3]
            if node.shape[dim] == SAMPLES:
                raise UnfusableError("it picks single samples")
            grad = f"tl.expand_dims({names[0]}, {dim})"
            is_there = self._is_place(node.shape, dim, chosen % self._size(node.shape[dim]))
            return f"tl.where({is_there}, {grad}, 0.0).to({kind})"
        if node.name in ("random_bits", "random_words", "fold_in"):
            return self._random(node)
        return self._elementwise(node, kind)

    def _own_type(self, node: Node) -> torch.dtype:
        """Its type; a constant that a function writes down is of the weights' precision."""
        is_constant = node.name == "constant" and node.dtype.is_floating_point
        if not is_constant and node.dtype.is_floating_point and node.dtype != self._real:
            raise UnfusableError(f"it computes in {node.dtype} beside {self._real}")
        return self._real if is_constant else node.dtype

    def _elementwise(self, node: Node, kind: str) -> str:
        if node.name not in OPERATIONS:
            raise UnfusableError(f"the operation {node.op} is not known")
        settings = {
            key: self._samples if value == SAMPLES else value for key, value in node.kwargs.items()
        }
        applied = apply(node.name, [], settings, node.dtype)  # raises what it raises
        conditions = {"where": 0, "masked_fill": 1}
        args = [
            self._argument(node, arg, conditions.get(node.name) == k)
            for k, arg in enumerate(node.args)
        ]
        return f"{operation(node.name, args, applied.settings, node.dtype)}.to({kind})"

    def _argument(self, node: Node, arg: Any, is_condition: bool) -> str | None:
        if isinstance(arg, Node):
            text = self._names[arg]
            missing = len(node.shape) - len(arg.shape)
            if missing and arg.shape:
                text += f"[{', '.join(['None'] * missing + [':'] * len(arg.shape))}]"
            if is_condition or node.name.startswith("logical_"):
                return text if arg.dtype == torch.bool else f"({text} != 0)"
            # The place of the largest is held as a float where torch has a whole number.
            is_place = node.dtype == torch.int64 and arg.dtype.is_floating_point
            is_whole = node.dtype.is_floating_point and not arg.dtype.is_floating_point
            is_cast = is_whole or (is_place and node.name != "_to_copy")
            return f"{text}.to({triton_type(node.dtype)})" if is_cast else text
        if arg is None or (isinstance(arg, str) and arg != SAMPLES):
            return arg
        arg = self._samples if arg == SAMPLES else arg
        return literal(float(arg) if type(arg) is int and node.dtype.is_floating_point else arg)

    def _number(self, number: Any, dtype: torch.dtype) -> float | int:
        """A number that fills a tensor of this type."""
        number = self._samples if number == SAMPLES else number
        if dtype.is_floating_point:
            return float(number)
        return bool(number) if dtype == torch.bool else int(number)

    # Views.

    def _is_place(self, shape: Sequence[Size], dim: int, place: int) -> str:
        size = self._padded(shape)[dim]
        return f"(tl.arange(0, {size}) == {place}){_along(dim, len(shape))}"

    def _view(self, node: Node, name: str) -> str:
        (source,) = node.inputs()
        shape, rank, args = source.shape, len(source.shape), node.args[1:]
        new = self._padded(node.shape)
        if node.name in ("transpose", "t", "permute"):
            if node.name == "permute":
                dims = [dim % rank for dim in args[0]]
            else:
                dims = list(range(rank))
                one, other = (args or (0, 1)) if rank > 1 else (0, 0)
                if rank:
                    dims[one % rank], dims[other % rank] = dims[other % rank], dims[one % rank]
            return name if dims == sorted(dims) else f"tl.permute({name}, {tuple(dims)})"
        if node.name == "select":
            dim, place = args[0] % rank, args[1]
            if shape[dim] == SAMPLES or place == SAMPLES:
                raise UnfusableError("it picks single samples")
            there = self._is_place(shape, dim, place % self._size(shape[dim]))
            kind = triton_type(node.dtype)
            if node.dtype == torch.bool:
                return f"(tl.sum(tl.where({there}, {name}.to(tl.int32), 0), axis={dim}) != 0)"
            return f"tl.sum(tl.where({there}, {name}, 0), axis={dim}).to({kind})"
        if node.name == "slice" and node.shape != shape:
            raise UnfusableError("it takes a part of an axis")
        if node.name in ("alias", "detach", "slice"):
            return name
        if node.name == "expand":
            added = len(new) - rank
            if added and rank:
                name += f"[{', '.join(['None'] * added + [':'] * rank)}]"
            return f"tl.broadcast_to({name}, {new})" if rank else self._filled(node, name)
        return self._reshaped(node, source, name)

    def _reshaped(self, node: Node, source: Node, name: str) -> str:
        shape, new = source.shape, self._padded(node.shape)
        if not changes_unit_axes_only(shape, node.shape):
            is_whole = node.name in RESHAPES and all(
                size == SAMPLES or power_of_two(size) == size for size in (*shape, *node.shape)
            )
            if not is_whole or not can_reshape(shape, node.shape):
                raise UnfusableError(f"it reshapes {shape} to {node.shape}")
        if self._padded(shape) == new:
            return name
        if not new:  # all axes are of length 1
            for _ in shape:
                name = f"tl.sum({name}, axis=0)"
            return f"{name}.to({triton_type(node.dtype)})"
        return f"tl.reshape({name}, {new})" if shape else self._filled(node, name)

    def _filled(self, node: Node, name: str) -> str:
        """A tensor of which each element is the same number, which is known when it runs."""
        kind, zero = triton_type(node.dtype), "False" if node.dtype == torch.bool else "0"
        return f"(tl.full({self._padded(node.shape)}, {zero}, {kind}) + {name}).to({kind})"

    # Random numbers.

    def _random(self, node: Node) -> str:
        key, *data = node.inputs()
        if key.shape != (2,) or any(one.shape for one in data):
            raise UnfusableError("it draws with several keys at once")
        words = [
            f"tl.sum(tl.where(tl.arange(0, 2) == {word}, {self._names[key]}, 0), axis=0)"
            for word in range(2)
        ]
        if node.name == "random_words":
            raise UnfusableError("it draws numbers of 52 bits")
        if node.name == "fold_in":
            place = f"{self._names[data[0]]}.to(tl.int32)"
            first, second = (
                f"{name}({', '.join(words)}, {place})" for name in ("first_word", "second_word")
            )
            return f"tl.where(tl.arange(0, 2) == 0, {first}, {second})"
        sizes = [self._size(size) for size in node.shape]
        if math.prod(sizes) >= 2**31:
            raise UnfusableError(f"it draws {math.prod(sizes)} numbers at once")
        terms, stride = [], 1
        for dim in reversed(range(len(sizes))):
            counter = f"tl.arange(0, {self._padded(node.shape)[dim]})"
            if node.shape[dim] == SAMPLES:
                counter = f"({self._prefix}first + {counter})"
            terms.append(f"{counter}{_along(dim, len(sizes))} * {stride}")
            stride *= sizes[dim]
        place = " + ".join(terms) or "tl.full((), 0, tl.int32)"
        return f"random_bits({', '.join(words)}, {place})"

    # Sums and the like.

    def _reduction(self, node: Node) -> None:
        (source,) = node.inputs()
        how, divides = REDUCTIONS[node.name]
        dims, keep = reduced_dims(node, len(source.shape))
        count = math.prod(self._size(source.shape[dim]) for dim in dims)
        over = f" / {literal(float(count))}" if divides else ""
        kind = triton_type(node.dtype)
        text = self._names[source]
        if how == "product" and source.dtype != node.dtype:
            raise UnfusableError(f"it takes the product of {source.dtype} in {node.dtype}")
        if how == "sum" and source.dtype == torch.bool:
            text = f"{text}.to(tl.int32)"
        elif how == "sum" and source.dtype != node.dtype:
            text = f"{text}.to({kind})"
        if not self._sums_samples(node):
            self._define(node, f"({self._folded(how, text, source, dims, keep)}{over}).to({kind})")
            return
        if how != "sum":
            raise UnfusableError(f"it takes the {how} over all samples")
        term = self._clean(text, source.shape, dims, "0")
        acc_type = "tl.int32" if source.dtype == torch.bool else kind
        padded = self._padded(source.shape)
        if self._is_lazy(padded, acc_type):
            acc = self._accumulator(node, padded, acc_type, f" += {term}")
            whole = self._summed(acc, dims, keep)
        else:
            summed = self._summed(term, dims, keep)
            acc = self._accumulator(
                node, self._padded(node.shape), kind, f" += {summed}.to({kind})"
            )
            whole = acc
        self._define(node, f"({whole}{over}).to({kind})")

    def _is_lazy(self, padded: Sequence[int], kind: str) -> bool:
        size = 2 if kind.endswith("64") else 1
        return math.prod(padded) * size <= LAZY_REGISTERS * self._layout.warps * THREADS

    def _accumulator(self, node: Node, padded: Sequence[int], kind: str, how: str) -> str:
        acc = f"{self._names[node]}_sum"
        self._texts[BEFORE].append(f"{acc} = tl.full({tuple(padded)}, 0, {kind})")
        self._texts[BLOCK].append(f"{acc}{how}")
        return acc

    def _summed(self, text: str, dims: Sequence[int], keep: bool = False) -> str:
        for dim in sorted(dims, reverse=True):
            text = f"tl.sum({text}, axis={dim}, keep_dims={keep})"
        return text

    def _folded(
        self, how: Folding, text: str, source: Node, dims: Sequence[int], keep: bool
    ) -> str:
        if how == "sum":
            return self._summed(self._clean(text, source.shape, dims, "0"), dims, keep)
        if how in ("all", "any"):
            is_true = text if source.dtype == torch.bool else f"({text} != 0)"
            least, function = ("1", "tl.min") if how == "all" else ("0", "tl.max")
            cleaned = self._clean(f"{is_true}.to(tl.int32)", source.shape, dims, least)
            return f"({self._over(function, cleaned, dims, keep)} != 0)"
        if source.dtype != self._real:
            raise UnfusableError(f"it takes the {how} of {source.dtype}")
        if how == "product":
            cleaned = self._clean(text, source.shape, dims, "1.0")
            for dim in sorted(dims, reverse=True):
                cleaned = f"tl.reduce({cleaned}, {dim}, product_of, keep_dims={keep})"
            return cleaned
        # The device's own have no NaN where another number is beside it.
        function, rest = ("max", '-float("inf")') if how == "largest" else ("min", 'float("inf")')
        cleaned = self._clean(text, source.shape, dims, rest)
        is_nan = self._clean(f"({text} != {text}).to(tl.int32)", source.shape, dims, "0")
        top = self._over(f"tl.{function}", cleaned, dims, keep)
        return f'tl.where({self._over("tl.max", is_nan, dims, keep)} != 0, float("nan"), {top})'

    def _over(self, function: str, text: str, dims: Sequence[int], keep: bool) -> str:
        for dim in sorted(dims, reverse=True):
            text = f"{function}({text}, axis={dim}, keep_dims={keep})"
        return text

    # Matmuls.

    def _matmul(self, node: Node) -> None:
        a, b = node.inputs()
        if node.dtype != self._real:
            raise UnfusableError(f"it multiplies matrices of {node.dtype}")
        kind = triton_type(node.dtype)
        left, right = (
            self._clean(self._names[one], one.shape, [dim], "0.0") for one, dim in ((a, 1), (b, 0))
        )
        (rows, inner), columns = self._padded(a.shape), self._padded(b.shape)[1:]
        self._products += rows * inner * math.prod(columns)
        contracts = self._stages[node] == AFTER and self._sums_samples(node)
        if columns and min(rows, inner, *columns) >= DOT_SIZE and node.dtype == torch.float32:
            how = f"input_precision={self._layout.precision!r}"
            if contracts:
                acc = f"{self._names[node]}_sum"
                self._accumulator(
                    node, (rows, *columns), kind, f" = tl.dot({left}, {right}, {acc}, {how})"
                )
                self._define(node, acc)
            else:
                self._define(node, f"tl.dot({left}, {right}, {how})")
            return
        right = f"{right}[None, :, :]" if columns else f"{right}[None, :]"
        left = f"{left}[:, :, None]" if columns else left
        self._check_size((rows, inner, *columns))
        product = f"{left} * {right}"
        if not contracts:
            self._define(node, f"tl.sum({product}, axis=1).to({kind})")
        elif self._is_lazy((rows, inner, *columns), kind):
            acc = self._accumulator(node, (rows, inner, *columns), kind, f" += {product}")
            self._define(node, f"tl.sum({acc}, axis=1).to({kind})")
        else:
            acc = self._accumulator(
                node, (rows, *columns), kind, f" += tl.sum({product}, axis=1).to({kind})"
            )
            self._define(node, acc)
