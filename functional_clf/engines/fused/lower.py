"""From a graph of one replicate to what a program does for it, a block of samples at a time.

A tensor is of the replicate's kind (weights, moments, gradients: no axis of samples) or of the
samples' kind, whose blocks lie in memory that stays in a core's own caches. So samples that are
needed after a sum over all samples (a batch normalisation) cannot be fused.

Elementwise operations are not computed where they stand but where they are read, unless they are
read more than once; that is what melts a chain of them into one loop. So are sums and the like
over features, which are written out, term by term.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from functional_clf.engines.fused.decompose import decomposed
from functional_clf.engines.fused.elementwise import OPERATIONS, apply
from functional_clf.engines.fused.form import (
    SAMPLE,
    SAMPLE_OF_ALL,
    ZERO,
    Add,
    Address,
    Array,
    Assign,
    AtPlace,
    Clear,
    Contract,
    Count,
    Expression,
    Finish,
    Fold,
    Function,
    Index,
    Loop,
    Matrix,
    Member,
    Number,
    Place,
    Project,
    Store,
    Total,
    loads,
)
from functional_clf.engines.fused.loops import merged, nest
from functional_clf.engines.fused.memory import Rows, Storage, contiguous, in_rows, rows_of
from functional_clf.engines.fused.reading import (
    MATMULS,
    REDUCTIONS,
    Reading,
    constant_of,
    counting_of,
    reduced_dims,
)
from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, Size, UnfusableError
from functional_clf.engines.fused.values import (
    AFTER,
    BEFORE,
    BLOCK,
    SAMPLES_AGAIN,
    Value,
    as_whole,
    broadcast,
    constant_value,
    stage_of,
    stored,
    viewed,
)
from functional_clf.engines.fused.views import (
    RESHAPES,
    VIEWS,
    View,
    can_reshape,
    changes_unit_axes_only,
    reshaped,
    view_of,
)

UNROLLED_TERMS = 256
"""Up to so many terms a sum over features is written out where it is read."""

LARGEST_MATMUL = 256 * 256
"""Up to so many weights a matmul has its kernel here; for larger ones a BLAS is the better one."""

LARGEST_IN_ROWS = 2**24
"""Whole numbers up to this one are exact in a row, which holds floats."""


def lower(
    graph: Graph, inputs: Sequence[Storage], samples: int
) -> tuple[Function, Sequence[Storage]]:
    """What computes a graph.

    Args:
        graph: of one replicate.
        inputs: where each input lies; an axis of samples has stride 1.
        samples: how many there are.

    Returns:
        The function, without its results, and where each output lies after its last stage: one that
        is an input lies where that does.

    Raises:
        UnfusableError: when it holds what cannot be fused.
    """
    lowering = _Lowering(decomposed(graph), inputs, samples)
    return lowering.function, lowering.outputs


class _Lowering:
    def __init__(self, graph: Graph, inputs: Sequence[Storage], samples: int) -> None:
        self.function = Function()
        self.outputs: list[Storage] = []
        self._samples = samples
        self._real = graph.inputs[0].dtype  # a weight's
        self._reading = Reading(graph)
        self._values: dict[Node, Value] = {}
        self._rows = Rows()
        for node, storage in zip(graph.inputs, inputs, strict=True):
            stage = BLOCK if SAMPLES in node.shape else BEFORE
            self._values[node] = stored(node.shape, node.dtype, stage, storage)
        for node in graph.nodes:
            if node.shape.count(SAMPLES) > 1:
                raise UnfusableError("it has two axes of samples")
            is_own = node.dtype in (self._real, torch.int64, torch.int32, torch.bool)
            if not is_own and node.name != "constant":
                raise UnfusableError(f"it computes in {node.dtype} beside {self._real}")
            value = self._make(node)
            if self._must_lie_in_memory(node, value):
                value = self._realise(node, value)
            self._values[node] = value
        for node in graph.outputs:
            storage = self._values[node].storage
            if SAMPLES in node.shape or storage is None:
                raise UnfusableError("a result has an axis of samples")
            self.outputs.append(storage)
        self.function.rows = self._rows.peak
        self.function.block = merged(self.function.block)

    def _make(self, node: Node) -> Value:
        arguments = [self._values[arg] for arg in node.inputs()]
        if node.name in VIEWS:
            if node.name in RESHAPES and not changes_unit_axes_only(arguments[0].shape, node.shape):
                return self._reshaped(node, arguments[0])
            return viewed(arguments[0], view_of(node, arguments[0].shape), node.shape)
        if node.name == "cat":
            return self._cat(node)
        if node.name in MATMULS:
            return self._matmul(node, arguments)
        if node.name in REDUCTIONS:
            return self._reduction(node, arguments[0])
        if node.name == "select_backward":
            return self._select_backward(node, arguments[0])
        if node.name == "arange":
            return self._arange(node)
        if node.name == "random_bits":
            return self._random_bits(node, arguments[0])
        if node.name == "random_words":
            return self._random_words(node, arguments[0])
        if node.name == "fold_in":
            return self._fold_in(node, *arguments)
        if (number := constant_of(node)) is not None:
            if node.dtype == torch.int64 and number != SAMPLES:
                number = int(number)
            return constant_value(node, self._number(number, node.dtype))
        if node.name == "constant":
            return self._constant(node)
        return self._elementwise(node, arguments)

    def _must_lie_in_memory(self, node: Node, value: Value) -> bool:
        if node in self._reading.outputs:
            return value.storage is None or node.name in VIEWS
        if value.storage is not None or value.is_free or node.name in VIEWS:
            return False
        if node.dtype == torch.int32 and SAMPLES in node.shape:
            return False  # a row holds floats, and a float too few bits
        return self._reading.is_often(node)

    # Elementwise: an expression.

    def _elementwise(self, node: Node, arguments: Sequence[Value]) -> Value:
        def lowered(arg: Any, index: Index) -> Expression | str | None:
            if isinstance(arg, Node):
                found = broadcast(self._values[arg], index)
                is_place = node.dtype == torch.int64 and arg.dtype.is_floating_point
                return as_whole(found) if is_place and node.name != "_to_copy" else found
            is_word = arg is None or (isinstance(arg, str) and arg != SAMPLES)
            return arg if is_word else self._number(arg, node.dtype)

        settings = {
            key: self._number(value, node.dtype).value if value == SAMPLES else value
            for key, value in node.kwargs.items()
        }

        def element(index: Index) -> Expression:
            args = [lowered(arg, index) for arg in node.args]
            return apply(node.name, args, settings, node.dtype)

        if node.name not in OPERATIONS:
            raise UnfusableError(f"the operation {node.op} is not known")
        first = element((ZERO,) * len(node.shape))  # raises at once what it will raise
        if arguments and all(value.is_constant for value in arguments):
            return constant_value(node, first)
        return Value(node.shape, node.dtype, stage_of(node.shape, arguments), element)

    def _arange(self, node: Node) -> Value:
        start, step = counting_of(node)

        def element(index: Index) -> Expression:
            if step == 1:
                return Count(Place(index[0].counter, index[0].start + start), node.dtype)
            steps = Count(index[0], node.dtype)
            scaled = apply("mul", [steps, Number(step)], {}, node.dtype)
            return apply("add", [scaled, Number(start)], {}, node.dtype)

        return Value(node.shape, node.dtype, BEFORE, element, is_free=True)

    def _select_backward(self, node: Node, grad: Value) -> Value:
        """Zero, but for one place of an axis, which is `grad`."""
        dim, chosen = node.args[2] % len(node.shape), node.args[3]
        size = node.shape[dim]
        if size == SAMPLES:
            raise UnfusableError("it picks single samples")

        def element(index: Index) -> Expression:
            inner = grad.element(index[:dim] + index[dim + 1 :])
            if index[dim].counter is None:
                return inner if index[dim].start == chosen % size else Number(0)
            return AtPlace(index[dim], chosen % size, inner)

        return Value(node.shape, node.dtype, stage_of(node.shape, [grad]), element)

    # Random numbers.

    def _random_bits(self, node: Node, key: Value) -> Value:
        """Those of `core.random.bits`: a function of the key and of the element's place."""
        sizes = [self._size(size) for size in node.shape]
        if math.prod(sizes) >= 2**31:
            raise UnfusableError(f"it draws {math.prod(sizes)} numbers at once")
        words = self._words(node, key)

        def element(index: Index) -> Expression:
            place: Expression = Number(0)
            for at, size in zip(index, sizes, strict=True):
                number = Count(SAMPLE_OF_ALL if at == SAMPLE else at, torch.int32)
                rows = apply("mul", [place, Number(size)], {}, torch.int32)
                place = apply("add", [rows, number], {}, torch.int32)
            return apply("random_bits", [*words, place], {}, torch.int32)

        return Value(node.shape, node.dtype, stage_of(node.shape, [key]), element)

    def _words(self, node: Node, key: Value) -> list[Expression]:
        if key.shape != (2,):
            raise UnfusableError("it draws with several keys at once")
        self.function.draws = True
        self.function.counts_samples |= SAMPLES in node.shape
        return [key.element((Place(None, word),)) for word in range(2)]

    def _random_words(self, node: Node, key: Value) -> Value:
        words = self._words(node, key)

        def element(index: Index) -> Expression:
            place = SAMPLE_OF_ALL if index[1] == SAMPLE else index[1]
            args = [*words, Count(place, torch.int64), Count(index[0], torch.int64)]
            return apply("fold_in", args, {}, torch.int32)

        return Value(node.shape, node.dtype, stage_of(node.shape, [key]), element)

    def _fold_in(self, node: Node, key: Value, data: Value) -> Value:
        words = self._words(node, key)
        if data.shape:
            raise UnfusableError("it draws with several keys at once")

        def element(index: Index) -> Expression:
            args = [*words, data.element(()), Count(index[0], torch.int64)]
            return apply("fold_in", args, {}, torch.int32)

        return Value(node.shape, node.dtype, stage_of(node.shape, [key, data]), element)

    # Tensors that are made part by part.

    def _cat(self, node: Node) -> Value:
        """Parts one behind another along an axis of features: each is stored where it belongs."""
        parts: Sequence[Node] = [part for part in node.args[0] if part.shape != (0,)]
        dim = (node.args[1] if len(node.args) > 1 else 0) % len(node.shape)
        if node.shape[dim] == SAMPLES or any(part.shape[dim] == SAMPLES for part in parts):
            raise UnfusableError("it puts samples one behind another")
        if any(part.dtype != node.dtype for part in parts):
            raise UnfusableError("it puts tensors of several types one behind another")
        values = [self._values[part] for part in parts]
        stage = stage_of(node.shape, values)
        if stage == BLOCK:
            if node.dtype == torch.int64 and self._reading.largest(node) > LARGEST_IN_ROWS:
                raise UnfusableError("it keeps a whole number for each sample")
            storage = self._new_rows(node, node.shape)
        else:
            storage = self._new_member("value", node, node.shape, node.dtype)
        begin = 0
        for value in values:
            index, heads = nest(value.shape)
            place = index[dim]
            target = storage.at(
                (*index[:dim], Place(place.counter, place.start + begin), *index[dim + 1 :])
            )
            expression = value.element(index)
            if stage == BLOCK:
                self.function.block.append(Loop(heads, [Store(target, expression)]))
            else:
                lines = self.function.before if stage == BEFORE else self.function.after
                lines.append(Assign(heads, target, expression))
            begin += self._size(value.shape[dim])
        self._rows.free(self._reading.place[node])
        return stored(node.shape, node.dtype, stage, storage)

    def _constant(self, node: Node) -> Value:
        """Numbers that a function writes down."""
        dtype = self._real if node.dtype.is_floating_point else node.dtype
        sizes = tuple(self._size(size) for size in node.shape)
        if SAMPLES in node.shape or SAMPLES in node.args[0]:
            raise UnfusableError("it holds a constant for each sample")
        storage = self._new_member("value", node, node.shape, dtype)
        for places, number in zip(
            itertools.product(*(range(size) for size in sizes)), node.args[0], strict=True
        ):
            target = storage.at(tuple(Place(None, place) for place in places))
            self.function.before.append(Assign((), target, self._number(number)))
        return stored(node.shape, dtype, BEFORE, storage)

    def _reshaped(self, node: Node, source: Value) -> Value:
        """Another shape of the same elements in their order: where they lie, or copied in order."""
        if not can_reshape(source.shape, node.shape):
            raise UnfusableError(f"it reshapes {source.shape} to {node.shape}")
        found = source.storage and reshaped(source.shape, source.storage.strides, node.shape)
        if source.storage is None or found is None:
            source = self._realise(node, source)
            assert source.storage is not None
            found = reshaped(source.shape, source.storage.strides, node.shape)
        assert source.storage is not None
        assert found is not None
        storage = Storage(source.storage.first, found)
        return stored(node.shape, source.dtype, source.stage, storage)

    # Sums and the like.

    def _reduction(self, node: Node, source: Value) -> Value:
        how, divides = REDUCTIONS[node.name]
        dims, keep = reduced_dims(node, len(source.shape))
        count = math.prod(self._size(source.shape[dim]) for dim in dims)

        def source_index(index: Index, inner: Mapping[int, Place]) -> Index:
            kept = iter(at for dim, at in enumerate(index) if not (keep and dim in dims))
            return tuple(
                inner[dim] if dim in inner else next(kept) for dim in range(len(source.shape))
            )

        if any(source.shape[dim] == SAMPLES for dim in dims):
            if how != "sum":
                raise UnfusableError(f"it takes the {how} over all samples")
            total = self._sum_over_samples(node, source, dims, source_index)
        elif count > UNROLLED_TERMS and how == "sum" and SAMPLES not in source.shape:
            total = self._total(node, source, dims, source_index)
        elif count > UNROLLED_TERMS:
            raise UnfusableError(f"it sums {count} features, above {UNROLLED_TERMS}")
        elif how == "product" and source.dtype != node.dtype:
            raise UnfusableError(f"it takes the product of {source.dtype} in {node.dtype}")
        elif how in ("largest", "smallest") and source.dtype != self._real:
            raise UnfusableError(f"it takes the {how} of {source.dtype}")
        else:
            places = [range(self._size(source.shape[dim])) for dim in dims]

            def element(index: Index) -> Expression:
                terms = [
                    source.element(
                        source_index(
                            index, {dim: Place(None, k) for dim, k in zip(dims, at, strict=True)}
                        )
                    )
                    for at in itertools.product(*places)
                ]
                folded = Fold(how, tuple(terms), source.dtype)
                return as_whole(folded) if node.dtype == torch.int64 else folded

            total = Value(node.shape, node.dtype, stage_of(node.shape, [source]), element)
        if not divides:
            return total
        divisor = Number(float(count))
        return Value(
            *(node.shape, node.dtype, total.stage),
            element=lambda index: apply("ratio", [total.element(index), divisor], {}, node.dtype),
        )

    def _total(
        self,
        node: Node,
        source: Value,
        dims: Sequence[int],
        source_index: Callable[[Index, Mapping[int, Place]], Index],
    ) -> Value:
        """A sum over many weights."""
        storage = self._new_member("sum", node, node.shape, node.dtype)
        index, heads = nest(node.shape)
        inner = {dim: Place(f"j{dim}") for dim in dims}
        inner_heads = tuple((f"j{dim}", self._size(source.shape[dim])) for dim in dims)
        value = source.element(source_index(index, inner))
        total = Total(heads, inner_heads, storage.at(index), value, node.dtype)
        (self.function.before if source.stage == BEFORE else self.function.after).append(total)
        return stored(node.shape, node.dtype, source.stage, storage)

    def _sum_over_samples(
        self,
        node: Node,
        source: Value,
        dims: Sequence[int],
        source_index: Callable[[Index, Mapping[int, Place]], Index],
    ) -> Value:
        if source.stage == AFTER:
            raise UnfusableError(SAMPLES_AGAIN)
        place = self._reading.place[node]
        storage = self._new_member("total", node, node.shape, node.dtype)
        self.function.before.append(Clear(storage.array))
        features = {
            dim: (f"j{dim}", self._size(source.shape[dim]))
            for dim in dims
            if source.shape[dim] != SAMPLES
        }
        index, heads = nest(node.shape)
        inner = {dim: Place(features[dim][0]) if dim in features else SAMPLE for dim in dims}
        # A block's share of a count fits into an int, of which a vector holds more.
        dtype = torch.bool if source.dtype == torch.bool else node.dtype
        term = source.element(source_index(index, inner))
        add = Add(f"sum{place}", dtype, storage.at(index), term)
        self.function.block.append(Loop((*heads, *features.values()), [add]))
        self._rows.free(place)
        return stored(node.shape, node.dtype, AFTER, storage)

    # Matmuls.

    def _matmul(self, node: Node, arguments: Sequence[Value]) -> Value:
        if node.name == "mm":
            return self._product(node, node.shape, *arguments)
        matrix, vector = arguments
        column = viewed(vector, View((0, None)), (*vector.shape, 1))
        product = self._product(node, (*node.shape, 1), matrix, column)
        return viewed(product, View((0,), fixed={1: 0}), node.shape)

    def _product(self, node: Node, shape: tuple[Size, ...], a: Value, b: Value) -> Value:
        if node.dtype != self._real:
            raise UnfusableError(f"it multiplies matrices of {node.dtype}")
        (rows, inner), (_, columns) = a.shape, b.shape
        a, b = self._in_memory("left", node, a), self._in_memory("right", node, b)
        assert a.storage is not None
        assert b.storage is not None
        if max(a.stage, b.stage) == AFTER:
            raise UnfusableError(SAMPLES_AGAIN)
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
            weight, samples, fan_out, in_row, out_row = a.storage, b.storage, rows, 0, 0
            by_row, by_column = weight.strides
        else:
            weight, samples, fan_out, in_row, out_row = b.storage, a.storage, columns, 1, 1
            by_column, by_row = weight.strides
        self.function.block.append(
            Project(
                *(self._size(fan_out), self._size(inner)),
                Matrix(weight.first, by_row, by_column),
                (samples.first, samples.strides[in_row]),
                (out.first, out.strides[out_row]),
            )
        )
        self._rows.free(self._reading.place[node])
        return stored(shape, node.dtype, BLOCK, out)

    def _contract(self, node: Node, shape: tuple[Size, ...], a: Storage, b: Storage) -> Value:
        """A product of samples with samples: one number a pair of features."""
        fan_out, fan_in = (self._size(size) for size in shape)
        storage = self._new_member("product", node, shape, node.dtype, is_contracted=True)
        self.function.before.append(Clear(storage.array))
        factors = (a.first, a.strides[0]), (b.first, b.strides[1])
        self.function.block.append(Contract(fan_out, fan_in, *factors, storage.array))
        self.function.after.append(Finish(storage.array))
        self._rows.free(self._reading.place[node])
        return stored(shape, node.dtype, AFTER, storage)

    # Memory.

    def _in_memory(self, kind: str, node: Node, value: Value) -> Value:
        """A factor that is computed for a matmul only, such as one of constants."""
        if value.storage is not None:
            return value
        index, heads = nest(value.shape)
        place, expression = self._reading.place[node], value.element(index)
        if SAMPLES in value.shape:
            count = math.prod(self._size(size) for size in value.shape if size != SAMPLES)
            storage = in_rows(self._rows.new(count, place), value.shape)
            self.function.block.append(Loop(heads, [Store(storage.at(index), expression)]))
        else:
            storage = self._new_member(kind, node, value.shape, self._real)
            assign = Assign(heads, storage.at(index), expression)
            (self.function.before if value.stage == BEFORE else self.function.after).append(assign)
        return stored(value.shape, self._real, value.stage, storage)

    def _realise(self, node: Node, value: Value) -> Value:
        """Compute a value where it stands, into memory of its own."""
        index, heads = nest(value.shape)
        expression = value.element(index)
        if SAMPLES in value.shape:
            if value.dtype == torch.int64 and self._reading.largest(node) > LARGEST_IN_ROWS:
                raise UnfusableError("it keeps a whole number for each sample")
            storage = self._new_rows(node, value.shape, loads(expression), (index, heads))
            self.function.block.append(Loop(heads, [Store(storage.at(index), expression)]))
            self._rows.free(self._reading.place[node])
        else:
            storage = self._new_member("value", node, value.shape, value.dtype)
            assign = Assign(heads, storage.at(index), expression)
            (self.function.before if value.stage == BEFORE else self.function.after).append(assign)
        return stored(value.shape, value.dtype, value.stage, storage)

    def _new_member(
        self,
        kind: str,
        node: Node,
        shape: tuple[Size, ...],
        dtype: torch.dtype,
        is_contracted: bool = False,
    ) -> Storage:
        name = f"{kind}{self._reading.place[node]}"
        sizes = tuple(self._size(size) for size in shape)
        self.function.members[name] = Member(dtype, math.prod(sizes), is_contracted)
        return contiguous(Array("member", name), sizes)

    def _new_rows(
        self,
        node: Node,
        shape: tuple[Size, ...],
        reads: Sequence[Address] = (),
        at: tuple[Index, tuple[tuple[str, int], ...]] = ((), ()),
    ) -> Storage:
        """Rows of a block for a node.

        Those of a tensor are taken over that is read here for the last time, in the same places.
        """
        count = math.prod(self._size(size) for size in shape if size != SAMPLES)
        place, last = self._reading.place[node], self._reading.last_place(node)
        index, heads = at
        for start in self._rows.ending(place, count):
            taken = in_rows(start, shape)
            here = {
                read
                for read in reads
                if set(rows_of(read, dict(heads))) & set(range(start, start + count))
            }
            if here and here == {taken.at(index)}:
                self._rows.take_over(start, last)
                return taken
        return in_rows(self._rows.new(count, last), shape)

    def _number(self, number: Any, dtype: torch.dtype = torch.float64) -> Number:
        """A number of this type: a float has no more digits than the weights."""
        if number == SAMPLES:
            return Number(self._samples if dtype == torch.int64 else float(self._samples))
        return Number(number)

    def _size(self, size: Size) -> int:
        return self._samples if size == SAMPLES else size
