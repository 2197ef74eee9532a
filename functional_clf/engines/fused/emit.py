"""From a graph of one replicate to a C function that computes it, a block of samples at a time.

A tensor is of the replicate's kind (weights, moments, gradients: no axis of samples) or of the
samples' kind. The function has three stages: what is of the replicate's kind and needs no sum over
samples; then, block by block, all that is of the samples' kind, in memory that stays in a core's
own caches, adding up what is summed over samples; then the rest. So samples that are needed after
a sum over all samples (a batch normalisation) cannot be fused.

Elementwise operations are not computed where they stand but where they are read, unless they are
read more than once; that is what melts a chain of them into one loop.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from functional_clf.engines.fused.loops import Access, Loop, nest
from functional_clf.engines.fused.memory import Index, Rows, Storage, rows_storage
from functional_clf.engines.fused.pointwise import c_type, expression, is_elementwise, literal
from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, Size, UnfusableError
from functional_clf.engines.fused.views import VIEWS, View, view_of

BEFORE, BLOCK, AFTER = range(3)

UNROLLED_TERMS = 256
"""Up to so many terms a sum over features is written out where it is read."""

LARGEST_MATMUL = 256 * 256
"""Up to so many weights a matmul has its kernel here; for larger ones a BLAS is the better one."""

_MATMULS = ("mm", "mv")
_MANY = 10**6  # in place of the number of samples, where sizes are compared


class Value(NamedTuple):
    """A tensor while code is made for it: how to write one element of it, and where it lies."""

    shape: tuple[Size, ...]
    dtype: torch.dtype
    stage: int
    element: Callable[[Index], str]
    storage: Storage | None = None
    is_constant: bool = False


@dataclass
class Function:
    """The C of one graph.

    members: of the struct in which it works, by name, their type and length.
    kernels: functions that the block calls, by name.
    before, block, after: statements of the three stages.
    rows: of samples that its block needs at once.
    outputs: where each output lies after the last stage; an input that is handed on lies there.
    """

    members: dict[str, tuple[str, int | str]] = field(default_factory=dict)
    kernels: dict[str, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    block: list[str | Loop] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    rows: int = 0
    outputs: list[Storage] = field(default_factory=list)


def emit(name: str, graph: Graph, inputs: Sequence[Storage], samples: int) -> Function:
    """Make the C of a graph.

    Args:
        name: of the function.
        graph: of one replicate.
        inputs: where each input lies; an axis of samples has stride 1.
        samples: how many there are.

    Raises:
        UnfusableError: when it holds what cannot be fused.
    """
    return _Emitter(name, graph, inputs, samples).function


class _Emitter:
    def __init__(self, name: str, graph: Graph, inputs: Sequence[Storage], samples: int) -> None:
        self.function = Function()
        self._name = name
        self._samples = samples
        self._real = graph.inputs[0].dtype  # a weight's
        self._outputs = set(graph.outputs)
        self._place = {node: place for place, node in enumerate(graph.nodes)}
        self._readers = _readers(graph)
        self._values: dict[Node, Value] = {}
        self._rows = Rows()
        self._reads: list[Access] = []  # in the expression that is being written
        for node, storage in zip(graph.inputs, inputs, strict=True):
            stage = BLOCK if SAMPLES in node.shape else BEFORE
            self._values[node] = self._stored(node.shape, node.dtype, stage, storage)
        for node in graph.nodes:
            if node.dtype not in (self._real, torch.int64, torch.bool):
                raise UnfusableError(f"it computes in {node.dtype} beside {self._real}")
            value = self._make(node)
            if self._must_lie_in_memory(node, value):
                value = self._realise(node, value)
            self._values[node] = value
        for node in graph.outputs:
            storage = self._values[node].storage
            if SAMPLES in node.shape or storage is None:
                raise UnfusableError("a result has an axis of samples")
            self.function.outputs.append(storage)
        self.function.rows = self._rows.peak

    def _make(self, node: Node) -> Value:
        arguments = [self._values[arg] for arg in node.inputs()]
        if node.name in VIEWS:
            return self._viewed(arguments[0], view_of(node, arguments[0].shape), node.shape)
        if node.name in _MATMULS:
            return self._matmul(node, arguments)
        if node.name in ("sum", "mean"):
            return self._sum(node, arguments[0])
        if node.name == "select_backward":
            return self._select_backward(node, arguments[0])
        if (constant := _constant(node)) is not None:
            return self._constant(node, self._literal(constant))
        return self._elementwise(node, arguments)

    def _must_lie_in_memory(self, node: Node, value: Value) -> bool:
        if node in self._outputs:
            return value.storage is None or node.name in VIEWS
        if value.storage is not None or value.is_constant or node.name in VIEWS:
            return False
        return self._is_read_often(node)

    # Elementwise: an expression.

    def _elementwise(self, node: Node, arguments: Sequence[Value]) -> Value:
        def written(arg: Any, index: Index) -> Any:
            if isinstance(arg, Node):
                return self._broadcast(self._values[arg], index)
            is_word = arg is None or (isinstance(arg, str) and arg != SAMPLES)
            return arg if is_word else self._literal(arg)

        def element(index: Index) -> str:
            args = [written(arg, index) for arg in node.args]
            return expression(node.name, args, node.kwargs, node.dtype)

        if not is_elementwise(node.name):
            raise UnfusableError(f"the operation {node.op} is not known")
        text = element(("0",) * len(node.shape))  # raises at once what it will raise
        if arguments and all(value.is_constant for value in arguments):
            return self._constant(node, text)
        return Value(node.shape, node.dtype, self._stage(node.shape, arguments), element)

    def _constant(self, node: Node, text: str) -> Value:
        return Value(node.shape, node.dtype, BEFORE, lambda index: text, is_constant=True)

    def _select_backward(self, node: Node, grad: Value) -> Value:
        """Zero, but for one place of an axis, which is `grad`."""
        dim, chosen = node.args[2] % len(node.shape), node.args[3]
        size = node.shape[dim]
        if size == SAMPLES:
            raise UnfusableError("it picks single samples")

        def element(index: Index) -> str:
            inner = grad.element(index[:dim] + index[dim + 1 :])
            if index[dim].isdecimal():
                return inner if int(index[dim]) == chosen % size else "0"
            return f"({index[dim]} == {chosen % size} ? {inner} : 0)"

        return Value(node.shape, node.dtype, self._stage(node.shape, [grad]), element)

    def _viewed(self, source: Value, view: View, shape: tuple[Size, ...]) -> Value:
        def element(index: Index) -> str:
            return source.element(view.source_index(index, source.shape))

        for size, dim in zip(shape, view.dims, strict=True):
            if size == SAMPLES and dim is not None and source.shape[dim] not in (SAMPLES, 1):
                raise UnfusableError("it takes as many weights as there are samples")
        storage = source.storage and view.storage(source.storage, source.shape)
        return Value(shape, source.dtype, source.stage, element, storage, source.is_constant)

    def _broadcast(self, value: Value, index: Index) -> str:
        own = index[len(index) - len(value.shape) :]
        return value.element(
            tuple("0" if size == 1 else at for size, at in zip(value.shape, own, strict=True))
        )

    def _stage(self, shape: tuple[Size, ...], arguments: Sequence[Value]) -> int:
        stage = max((value.stage for value in arguments), default=BEFORE)
        if SAMPLES not in shape:
            return stage
        if stage == AFTER:
            raise UnfusableError("it needs the samples again after a sum over all of them")
        return BLOCK

    # Sums.

    def _sum(self, node: Node, source: Value) -> Value:
        dims, keep = _summed_dims(node, len(source.shape))
        count = math.prod(self._size(source.shape[dim]) for dim in dims)

        def source_index(index: Index, summed: Mapping[int, str]) -> Index:
            kept = iter(at for dim, at in enumerate(index) if not (keep and dim in dims))
            return tuple(
                summed[dim] if dim in summed else next(kept) for dim in range(len(source.shape))
            )

        if any(source.shape[dim] == SAMPLES for dim in dims):
            total = self._sum_over_samples(node, source, dims, source_index)
        elif count > UNROLLED_TERMS:
            raise UnfusableError(f"it sums {count} features, above {UNROLLED_TERMS}")
        else:
            places = [range(self._size(source.shape[dim])) for dim in dims]

            def element(index: Index) -> str:
                terms = [
                    source.element(source_index(index, dict(zip(dims, map(str, at), strict=True))))
                    for at in itertools.product(*places)
                ]
                return f"({' + '.join(terms)})"

            total = Value(node.shape, node.dtype, self._stage(node.shape, [source]), element)
        if node.name == "sum":
            return total
        divisor = literal(float(count))
        return Value(
            *(node.shape, node.dtype, total.stage),
            element=lambda index: f"({total.element(index)} / {divisor})",
        )

    def _sum_over_samples(
        self,
        node: Node,
        source: Value,
        dims: Sequence[int],
        source_index: Callable[[Index, Mapping[int, str]], Index],
    ) -> Value:
        if source.stage == AFTER:
            raise UnfusableError("it needs the samples again after a sum over all of them")
        place, kind = self._place[node], c_type(node.dtype)
        storage = self._new_array("total", node, node.shape, kind)
        self.function.before.append(f"memset({storage.name}, 0, sizeof {storage.name});")
        features = {dim: f"j{dim}" for dim in dims if source.shape[dim] != SAMPLES}
        index, heads = nest(node.shape)
        heads += [
            f"for (int {name} = 0; {name} < {source.shape[dim]}; {name}++)"
            for dim, name in features.items()
        ]
        self._reads = []
        term = source.element(source_index(index, {dim: features.get(dim, "s") for dim in dims}))
        self.function.block.append(
            Loop(
                heads,
                # A block's share of a count fits into an int, of which a vector holds more.
                totals={f"sum{place}": "int" if source.dtype == torch.bool else kind},
                body=[f"sum{place} += s < count ? {term} : 0;"],
                end=[f"{storage.at(index)} += sum{place};"],
                reads=self._reads,
            )
        )
        self._reads = []
        self._rows.free(place)
        return self._stored(node.shape, node.dtype, AFTER, storage)

    # Matmuls: kernels of kernels.h.

    def _matmul(self, node: Node, arguments: Sequence[Value]) -> Value:
        if node.name == "mm":
            return self._product(node, node.shape, *arguments)
        matrix, vector = arguments
        column = self._viewed(vector, View((0, None)), (*vector.shape, 1))
        product = self._product(node, (*node.shape, 1), matrix, column)
        return self._viewed(product, View((0,), fixed={1: 0}), node.shape)

    def _product(self, node: Node, shape: tuple[Size, ...], a: Value, b: Value) -> Value:
        (rows, inner), (_, columns) = a.shape, b.shape
        if a.storage is None or b.storage is None:
            raise UnfusableError("a factor of a matmul does not lie in memory")
        if max(a.stage, b.stage) == AFTER:
            raise UnfusableError("it needs the samples again after a sum over all of them")
        strides = zip((*a.shape, *b.shape), (*a.storage.strides, *b.storage.strides), strict=True)
        if any(size == SAMPLES and stride != 1 for size, stride in strides):
            raise UnfusableError("a factor of a matmul repeats weights along the samples")
        if math.prod(size for size in (rows, inner, columns) if size != SAMPLES) > LARGEST_MATMUL:
            raise UnfusableError(f"its matmuls have more than {LARGEST_MATMUL} weights")
        if inner == SAMPLES:
            return self._contract(node, shape, a.storage, b.storage)
        if (rows == SAMPLES) == (columns == SAMPLES):
            raise UnfusableError("it multiplies matrices of which none or each has samples")
        out = self._new_rows(node, shape)
        if columns == SAMPLES:
            (by_out, by_in), in_row, out_row = a.storage.strides, b.storage.strides[0], 0
            fan_out, weight, samples = rows, a.storage, b.storage
        else:
            (by_in, by_out), in_row, out_row = b.storage.strides, a.storage.strides[1], 1
            fan_out, weight, samples = columns, b.storage, a.storage
        kernel = self._kernel(
            "project",
            "const real *weight, const real *in, real *out, const int samples",
            f"{fan_out}, {inner}, weight, {by_out}, {by_in}, in, {in_row}, out, "
            f"{out.strides[out_row]}, samples",
        )
        self.function.block.append(
            f"{kernel}({weight.first()}, {samples.first()}, {out.first()}, whole);"
        )
        self._rows.free(self._place[node])
        return self._stored(shape, node.dtype, BLOCK, out)

    def _contract(self, node: Node, shape: tuple[Size, ...], a: Storage, b: Storage) -> Value:
        """A product of samples with samples: one number a pair of features."""
        fan_out, fan_in = (self._size(size) for size in shape)
        lanes = f"lanes{self._place[node]}"
        self.function.members[lanes] = ("real", f"{fan_out * fan_in} * LANES")
        self.function.before.append(f"memset(w->{lanes}, 0, sizeof w->{lanes});")
        storage = self._new_array("product", node, shape, "real")
        a_row, b_row = a.strides[0], b.strides[1]
        for part, fan, row in ((a, fan_out, a_row), (b, fan_in, b_row)):
            if part.rows is not None:  # behind the last sample lies what an earlier block left
                self.function.block.append(
                    f"clear_rest({fan}, {row}, count, whole, {part.first()});"
                )
        kernel = self._kernel(
            "contract",
            "const real *a, const real *b, real *lanes, const int samples",
            f"{fan_out}, {fan_in}, a, {a_row}, b, {b_row}, lanes, samples",
        )
        self.function.block.append(f"{kernel}({a.first()}, {b.first()}, w->{lanes}, whole);")
        self.function.after.append(f"add_lanes({fan_out * fan_in}, w->{lanes}, {storage.name});")
        self._rows.free(self._place[node])
        return self._stored(shape, node.dtype, AFTER, storage)

    def _kernel(self, kind: str, parameters: str, arguments: str) -> str:
        """A matmul of one size as a function of its own, so that it has all registers to itself."""
        body = f"({parameters}) {{ {kind}({arguments}); }}"
        kernels = self.function.kernels
        found = next((name for name, other in kernels.items() if other == body), None)
        name = found or f"{self._name}_{kind}{len(kernels)}"
        kernels[name] = body
        return name

    # Memory.

    def _realise(self, node: Node, value: Value) -> Value:
        """Compute a value where it stands, into memory of its own."""
        index, heads = nest(value.shape)
        self._reads = []
        text = value.element(index)
        if SAMPLES in value.shape:
            if c_type(value.dtype) == "long":
                raise UnfusableError("it keeps a whole number for each sample")
            storage = self._new_rows(node, value.shape, self._reads, index)
            target = storage.at(index)
            writes = [Access(storage.rows or (0, 0), target)]
            self.function.block.append(
                Loop(heads, body=[f"{target} = {text};"], reads=self._reads, writes=writes)
            )
            self._rows.free(self._place[node])
        else:
            storage = self._new_array("value", node, value.shape, c_type(value.dtype))
            stage = self.function.before if value.stage == BEFORE else self.function.after
            stage.append(" ".join([*heads, f"{storage.at(index)} = {text};"]))
        self._reads = []
        return self._stored(value.shape, value.dtype, value.stage, storage)

    def _stored(
        self, shape: tuple[Size, ...], dtype: torch.dtype, stage: int, storage: Storage
    ) -> Value:
        def element(index: Index) -> str:
            found = storage.at(index)
            if storage.rows is not None:
                self._reads.append(Access(storage.rows, found))
            return found

        return Value(shape, dtype, stage, element, storage)

    def _new_array(self, kind: str, node: Node, shape: tuple[Size, ...], c_kind: str) -> Storage:
        name = f"{kind}{self._place[node]}"
        sizes = [self._size(size) for size in shape]
        self.function.members[name] = (c_kind, math.prod(sizes))
        return Storage(f"w->{name}", 0, tuple(math.prod(sizes[k + 1 :]) for k in range(len(sizes))))

    def _new_rows(
        self,
        node: Node,
        shape: tuple[Size, ...],
        reads: Sequence[Access] = (),
        index: Index = (),
    ) -> Storage:
        """Rows of a block for a node.

        Those of a tensor are taken over that is read here for the last time, in the same places.
        """
        features = [self._size(size) for size in shape if size != SAMPLES]
        strides, within = [], features
        for size in shape:
            if size != SAMPLES:
                within = within[1:]
            strides.append(1 if size == SAMPLES else f"{math.prod(within)} * BLOCK")
        count, place, last = math.prod(features), self._place[node], self._last_place(node)
        for start in self._rows.ending(place, count):
            taken = rows_storage(start, count, strides)
            here = {read.text for read in reads if read.rows == taken.rows}
            if here and here == {taken.at(index)}:
                self._rows.take_over(start, last)
                return taken
        return rows_storage(self._rows.new(count, last), count, strides)

    def _last_place(self, node: Node) -> int:
        """The last statement that reads a node, directly or in an expression."""
        readers = self._readers.get(node, ())
        places = (
            self._place[one] if self._has_statement(one) else self._last_place(one)
            for one in readers
        )
        return max([self._place[node], *places])

    def _has_statement(self, node: Node) -> bool:
        if node.name in _MATMULS or node in self._outputs:
            return True
        if node.name in ("sum", "mean"):
            shape = node.inputs()[0].shape
            if any(shape[dim] == SAMPLES for dim in _summed_dims(node, len(shape))[0]):
                return True
        return self._is_read_often(node)

    def _is_read_often(self, node: Node) -> bool:
        """Whether to compute it once, and not where it is read; a factor must lie in memory."""
        readers, own = self._readers.get(node, ()), _count(node.shape)
        return len(readers) > 1 or any(
            reader.name in _MATMULS or _count(_space(reader)) > own for reader in readers
        )

    def _literal(self, number: Any) -> str:
        return literal(float(self._samples) if number == SAMPLES else number)

    def _size(self, size: Size) -> int:
        return self._samples if size == SAMPLES else size


def _constant(node: Node) -> Any:
    """The value of a tensor that is filled with one number, or None where it is not."""
    if node.name in ("zeros", "zeros_like", "new_zeros", "empty_like"):
        return 0.0 if node.dtype.is_floating_point else 0
    if node.name in ("ones", "ones_like", "new_ones"):
        return 1.0 if node.dtype.is_floating_point else 1
    if node.name in ("full", "full_like", "new_full", "fill"):
        return None if isinstance(node.args[-1], Node) else node.args[-1]
    return node.args[0] if node.name == "scalar_tensor" else None


def _readers(graph: Graph) -> dict[Node, list[Node]]:
    """By node, the nodes that compute with it, directly or through views of it."""
    readers: dict[Node, list[Node]] = {}
    for node in reversed(graph.nodes):
        is_view = node.name in VIEWS and node not in graph.outputs
        through = readers.get(node, []) if is_view else [node]
        for arg in node.inputs():
            readers.setdefault(arg, []).extend(through)
    return readers


def _summed_dims(node: Node, rank: int) -> tuple[list[int], bool]:
    """The axes that a sum or a mean adds up, and whether it keeps them."""
    args = node.args[1:]
    dims = args[0] if rank and args and args[0] else range(rank)
    return sorted(dim % rank for dim in dims), len(args) > 1 and bool(args[1])


def _space(node: Node) -> tuple[Size, ...]:
    """The shape over which a node reads its arguments."""
    return node.inputs()[0].shape if node.name in ("sum", "mean") else node.shape


def _count(shape: Sequence[Size]) -> int:
    return math.prod(_MANY if size == SAMPLES else size for size in shape)
