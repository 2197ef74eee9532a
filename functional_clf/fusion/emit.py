"""From a graph of one replicate to a C function that computes it, a block of samples at a time.

A tensor is of the replicate's kind (weights, moments, gradients: no axis of samples) or of the
samples' kind. The function has three stages: what is of the replicate's kind and needs no sum over
samples; then, block by block, all that is of the samples' kind, in memory small enough for the
first cache, adding up what is summed over samples; then the rest. So samples that are needed after
a sum over all samples (a batch normalisation) cannot be fused.

Elementwise operations are not computed where they stand but where they are read, unless they are
read more than once; that is what melts a chain of them into one loop.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from functional_clf.fusion.pointwise import c_type, expression, literal
from functional_clf.fusion.trace import SAMPLES, Graph, Node, Size, UnfusableError

BEFORE, BLOCK, AFTER = range(3)

BLOCK_BYTES = 80 * 1024
"""What the tensors of one block of samples may take: most of a core's first cache."""

UNROLLED_TERMS = 64
"""Up to so many terms a sum over features is written out where it is read."""

_MANY = 10**6  # in place of the number of samples, where sizes are compared

Index = tuple[str, ...]


class Storage(NamedTuple):
    """Where a tensor lies in memory: an array in C, and a stride for each axis.

    rows: of a block of samples, the first and the number of those it lies in; None elsewhere.
    """

    name: str
    offset: int | str
    strides: tuple[int | str, ...]
    rows: tuple[int, int] | None = None

    def at(self, index: Index) -> str:
        """The element at an index."""
        terms = [str(self.offset)] if self.offset != 0 else []
        for place, stride in zip(index, self.strides, strict=True):
            if place != "0" and stride != 0:
                terms.append(place if stride == 1 else f"{place} * {stride}")
        return f"{self.name}[{' + '.join(terms) or '0'}]"


class Access(NamedTuple):
    """One element of a block's rows that a statement reads or writes."""

    rows: tuple[int, int]
    text: str

    def clashes(self, other: "Access") -> bool:
        """Whether the two may be the same memory, other than element by element."""
        (one, ones), (two, twos) = self.rows, other.rows
        return one < two + twos and two < one + ones and self.text != other.text


@dataclass
class Loop:
    """Statements for each sample of a block, within loops over features.

    heads: of the loops over features.
    totals: variables that add up something over the samples, and their types.
    body: statements for one sample.
    end: statements after the last sample.
    reads, writes: of the block's rows.
    """

    heads: list[str]
    totals: dict[str, str] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    end: list[str] = field(default_factory=list)
    reads: list[Access] = field(default_factory=list)
    writes: list[Access] = field(default_factory=list)

    def absorbs(self, other: "Loop") -> bool:
        """Take the next loop's statements in, where that changes nothing; it saves passes."""
        mine, theirs = [*self.reads, *self.writes], [*other.reads, *other.writes]
        if self.heads != other.heads or any(
            [one.clashes(write) for one in mine for write in other.writes]
            + [write.clashes(one) for write in self.writes for one in theirs]
        ):
            return False
        self.totals |= other.totals
        for ours, more in (
            (self.body, other.body),
            (self.end, other.end),
            (self.reads, other.reads),
            (self.writes, other.writes),
        ):
            ours.extend(more)
        return True

    def lines(self) -> list[str]:
        """The loop in C."""
        sums = {
            kind: ", ".join(name for name, of in self.totals.items() if of == kind)
            for kind in self.totals.values()
        }
        pragmas = "".join(f" reduction(+ : {names})" for names in sums.values())
        return [
            *self.heads,
            "{",
            *(f"    {kind} {name} = 0;" for name, kind in self.totals.items()),
            f'    _Pragma("omp simd{pragmas}")',
            "    for (int s = 0; s < count; s++) {",
            *(f"        {line}" for line in self.body),
            "    }",
            *(f"    {line}" for line in self.end),
            "}",
        ]


class Value(NamedTuple):
    """A tensor while code is made for it: how to write one element of it, and where it lies."""

    shape: tuple[Size, ...]
    dtype: torch.dtype
    stage: int
    element: Callable[[Index], str]
    storage: Storage | None = None


@dataclass
class Function:
    """The C of one graph.

    members: of the struct in which it works, by name, their type and length.
    before, block, after: statements of the three stages.
    kernels: functions that the block calls, by name.
    rows: of samples that its block needs at once.
    outputs: where each output lies after the last stage; an input that is handed on lies there.
    """

    members: dict[str, tuple[str, int]] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    block: list[str | Loop] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    kernels: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    outputs: list[Storage] = field(default_factory=list)

    def block_lines(self) -> list[str]:
        """The statements of a block; neighbouring loops are one where they can be."""
        merged: list[str | Loop] = []
        for one in self.block:
            last = merged[-1] if merged else None
            if isinstance(one, str) or not isinstance(last, Loop) or not last.absorbs(one):
                merged.append(one)
        return [line for one in merged for line in ([one] if isinstance(one, str) else one.lines())]


def emit(name: str, graph: Graph, inputs: Sequence[Storage], samples: int) -> Function:
    """Make the C of a graph.

    Args:
        name: of the function.
        graph: of one replicate.
        inputs: where each input lies; a name for each, an axis of samples has stride 1.
        samples: how many there are.

    Raises:
        UnfusableError: when it holds what cannot be fused.
    """
    return _Emitter(name, graph, inputs, samples).function


class _Emitter:
    def __init__(
        self, name: str, graph: Graph, inputs: Sequence[Storage], samples: int
    ) -> None:
        self.function = Function()
        self._name = name
        self._samples = samples
        self._outputs = set(graph.outputs)
        self._place = {node: place for place, node in enumerate(graph.nodes)}
        self._readers = _readers(graph)
        self._values: dict[Node, Value] = {}
        self._last_use: dict[str, int] = {}  # by the array's name, the last statement that reads it
        self._slots = _Slots()
        self._reads: list[Access] = []  # elements in the expression that is being written
        for node, storage in zip(graph.inputs, inputs, strict=True):
            stage = BLOCK if SAMPLES in node.shape else BEFORE
            self._values[node] = self._stored(node.shape, node.dtype, stage, storage)
        for node in graph.nodes:
            self._values[node] = self._make(node)
        for node in graph.outputs:
            storage = self._values[node].storage
            if SAMPLES in node.shape or storage is None:
                raise UnfusableError("a result has an axis of samples")
            self.function.outputs.append(storage)
        self.function.rows = self._slots.peak

    # What becomes of a node.

    def _make(self, node: Node) -> Value:
        name = node.op.partition(".")[0]
        arguments = [self._values[arg] for arg in node.inputs()]
        if (view := _view(name, node, arguments)) is not None:
            value = self._viewed(arguments[0], view, node.shape)
            return self._realise(node, value) if node in self._outputs else value
        if name in ("mm", "addmm", "mv"):
            return self._matmul(node, name, arguments)
        if name in ("sum", "mean"):
            return self._sum(node, name, arguments[0])
        if (constant := _constant(name, node)) is not None:
            text = self._literal(constant)
            value = Value(node.shape, node.dtype, BEFORE, lambda index: text)
        elif name == "select_backward":
            value = self._selected_backward(node, arguments[0])
        else:
            value = self._elementwise(node)
        must = node in self._outputs or (constant is None and self._is_read_often(node))
        return self._realise(node, value) if must else value

    def _elementwise(self, node: Node) -> Value:
        arguments = [self._values[arg] for arg in node.inputs()]

        def element(index: Index) -> str:
            def of(arg: Any) -> Any:
                if isinstance(arg, Node):
                    return self._broadcast(self._values[arg], index)
                return arg if arg is None or isinstance(arg, str) else self._literal(arg)

            args = [of(arg) for arg in node.args]
            args = [self._literal(arg) if arg == SAMPLES else arg for arg in args]
            found = expression(node.op, args, node.kwargs, node.dtype)
            if found is None:
                raise UnfusableError(f"the operation {node.op} is not known to it")
            return found

        element(("0",) * len(node.shape))  # raises at once what it will raise
        return Value(node.shape, node.dtype, self._stage(node.shape, arguments), element)

    def _selected_backward(self, node: Node, grad: Value) -> Value:
        dim, chosen = node.args[2] % len(node.shape), node.args[3]
        if node.shape[dim] == SAMPLES:
            raise UnfusableError("it picks single samples")

        def element(index: Index) -> str:
            inner = grad.element(index[:dim] + index[dim + 1 :])
            if index[dim].isdecimal():
                return inner if int(index[dim]) == chosen else "0"
            return f"({index[dim]} == {chosen} ? {inner} : 0)"

        return Value(node.shape, node.dtype, self._stage(node.shape, [grad]), element)

    def _viewed(self, source: Value, view: "_View", shape: tuple[Size, ...]) -> Value:
        def element(index: Index) -> str:
            return source.element(view.source_index(index, source.shape))

        storage = source.storage and view.storage(source.storage, source.shape)
        return Value(shape, source.dtype, source.stage, element, storage)

    # Sums.

    def _sum(self, node: Node, name: str, source: Value) -> Value:
        rank = len(source.shape)
        dims, keep = _summed_dims(node, rank)
        count = math.prod(self._size(source.shape[dim]) for dim in dims)

        def source_index(index: Index, summed: Mapping[int, str]) -> Index:
            kept = iter(index)
            found = []
            for dim in range(rank):
                if dim in dims:
                    found.append(summed[dim])
                    if keep:
                        next(kept)
                else:
                    found.append(next(kept))
            return tuple(found)

        if any(source.shape[dim] == SAMPLES for dim in dims):
            value = self._sum_over_samples(node, source, dims, source_index)
        else:
            if count > UNROLLED_TERMS:
                raise UnfusableError(f"it sums {count} features, above {UNROLLED_TERMS}")
            places = [range(self._size(source.shape[dim])) for dim in dims]

            def element(index: Index) -> str:
                terms = [
                    source.element(source_index(index, dict(zip(dims, map(str, at), strict=True))))
                    for at in _grid(places)
                ]
                return f"({' + '.join(terms)})"

            value = Value(node.shape, node.dtype, self._stage(node.shape, [source]), element)
        if name == "mean":
            value = Value(
                node.shape,
                node.dtype,
                value.stage,
                lambda index, sum_of=value.element: f"({sum_of(index)} / {literal(float(count))})",
            )
        must = node in self._outputs or self._is_read_often(node)
        return self._realise(node, value) if must and value.storage is None else value

    def _sum_over_samples(
        self,
        node: Node,
        source: Value,
        dims: Sequence[int],
        source_index: Callable[[Index, Mapping[int, str]], Index],
    ) -> Value:
        kind, place = c_type(node.dtype), self._place[node]
        storage = self._new_array("total", node, node.shape, kind)
        self.function.before.append(f"memset({storage.name}, 0, sizeof {storage.name});")
        inner = {dim: f"j{dim}" for dim in dims if source.shape[dim] != SAMPLES}
        summed = {dim: inner.get(dim, "s") for dim in dims}
        index, heads = _loops(node.shape)
        heads += [f"for (int j{dim} = 0; j{dim} < {source.shape[dim]}; j{dim}++)" for dim in inner]
        self._reads = []
        term = source.element(source_index(index, summed))
        self.function.block.append(
            Loop(
                heads,
                # a block's share of a count fits into an int, of which a vector holds more
                totals={f"sum{place}": "int" if source.dtype == torch.bool else kind},
                body=[f"sum{place} += {term};"],
                end=[f"{storage.at(index)} += sum{place};"],
                reads=list(self._reads),
            )
        )
        self._slots.free(place)
        return self._stored(node.shape, node.dtype, AFTER, storage)

    def _matmul(self, node: Node, name: str, arguments: Sequence[Value]) -> Value:
        if name == "addmm":
            if node.kwargs:
                raise UnfusableError("it scales the parts of an addmm")
            bias, *arguments = arguments
            product = self._product(node, *arguments)
            value = Value(
                node.shape,
                node.dtype,
                max(product.stage, bias.stage),
                lambda index: f"({product.element(index)} + {self._broadcast(bias, index)})",
            )
            must = node in self._outputs or self._is_read_often(node)
            return self._realise(node, value) if must else value
        if name == "mv":
            column = _View((0, None), {}, {})
            matrix, vector = arguments
            vector = self._viewed(vector, column, (*vector.shape, 1))
            product = self._product(node, matrix, vector, (*node.shape, 1))
            return self._viewed(product, _View((0,), {1: 0}, {}), node.shape)
        return self._product(node, *arguments)

    def _product(
        self, node: Node, a: Value, b: Value, shape: tuple[Size, ...] | None = None
    ) -> Value:
        shape = shape or node.shape
        (rows, inner), columns = a.shape, b.shape[1]
        if a.storage is None or b.storage is None:
            raise UnfusableError("a factor of a matmul does not lie in memory")
        if inner == SAMPLES:
            return self._contract(node, shape, a.storage, b.storage)
        if SAMPLES not in (rows, columns):
            raise UnfusableError("it multiplies matrices that have no samples")
        if rows == columns:
            raise UnfusableError("it compares samples with samples")
        if columns == SAMPLES:
            out = self._new_rows(node, shape)
            fans = (rows, inner)
            weight, by_out, by_in = a.storage, a.storage.strides[0], a.storage.strides[1]
            columns_in, in_row, out_row = b.storage, b.storage.strides[0], out.strides[0]
        else:
            out = self._new_rows(node, shape)
            fans = (columns, inner)
            weight, by_out, by_in = b.storage, b.storage.strides[1], b.storage.strides[0]
            columns_in, in_row, out_row = a.storage, a.storage.strides[1], out.strides[1]
        origin = ("0", "0")
        kernel = self._kernel(
            "project",
            "const real *weight, const real *in, real *out, const int samples",
            f"{fans[0]}, {fans[1]}, weight, {by_out}, {by_in}, in, {in_row}, out, {out_row}, "
            "samples",
        )
        self.function.block.append(
            f"{kernel}(&{weight.at(origin)}, &{columns_in.at(origin)}, &{out.at(origin)}, whole);"
        )
        self._slots.free(self._place[node])
        return self._stored(shape, node.dtype, BLOCK, out)

    def _contract(
        self, node: Node, shape: tuple[Size, ...], a: Storage, b: Storage
    ) -> Value:
        fan_out, fan_in = (self._size(size) for size in shape)
        lanes = f"lanes{self._place[node]}"
        self.function.members[lanes] = ("real", f"{fan_out * fan_in} * LANES")
        storage = self._new_array("product", node, shape, "real")
        self.function.before.append(f"memset(w->{lanes}, 0, sizeof w->{lanes});")
        origin, rows = ("0", "0"), ((a, fan_out, a.strides[0]), (b, fan_in, b.strides[1]))
        for part, fan, row in rows:
            if part.rows is not None:  # what lies there is of an earlier block
                self.function.block.append(
                    f"clear_rest({fan}, {row}, count, whole, &{part.at(origin)});"
                )
        (_, _, a_row), (_, _, b_row) = rows
        kernel = self._kernel(
            "contract",
            "const real *a, const real *b, real *lanes, const int samples",
            f"{fan_out}, {fan_in}, a, {a_row}, b, {b_row}, lanes, samples",
        )
        self.function.block.append(
            f"{kernel}(&{a.at(origin)}, &{b.at(origin)}, w->{lanes}, whole);"
        )
        self.function.after.append(f"add_lanes({fan_out * fan_in}, w->{lanes}, {storage.name});")
        self._slots.free(self._place[node])
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
        index, heads = _loops(value.shape)
        self._reads = []
        text = value.element(index)
        if SAMPLES in value.shape:
            if c_type(value.dtype) == "long":
                raise UnfusableError("it keeps a whole number for each sample")
            storage = self._new_rows(node, value.shape, self._reads, index)
            written = storage.at(index)
            self.function.block.append(
                Loop(
                    heads,
                    body=[f"{written} = {text};"],
                    reads=list(self._reads),
                    writes=[Access(storage.rows or (0, 0), written)],
                )
            )
            self._slots.free(self._place[node])
        else:
            storage = self._new_array("value", node, value.shape, c_type(value.dtype))
            stage = self.function.before if value.stage == BEFORE else self.function.after
            stage.append(" ".join([*heads, f"{storage.at(index)} = {text};"]))
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
        """Rows of a block of samples; those of a tensor that is read here for the last time, and
        only in the same places, are taken over."""
        features = [size for size in shape if size != SAMPLES]
        count, place = math.prod(features), self._place[node]
        strides, left = [], features
        for size in shape:
            if size == SAMPLES:
                strides.append(1)
            else:
                left = left[1:]
                strides.append(f"{math.prod(left)} * BLOCK")
        last = self._last_place(node)
        for slot in self._slots.ending(place, count):
            taken = _rows(slot, count, strides)
            here = {read.text for read in reads if read.rows == taken.rows}
            if here and here == {taken.at(index)}:
                self._slots.take_over(slot, last)
                return taken
        return _rows(self._slots.new(count, last), count, strides)

    def _last_place(self, node: Node) -> int:
        """The last statement that reads a node, directly or in an expression."""
        places = [self._place[node]]
        for reader in self._readers.get(node, ()):
            places.append(self._read_at(reader))
        return max(places)

    def _read_at(self, reader: Node) -> int:
        if self._stands(reader):
            return self._place[reader]
        return self._last_place(reader)

    def _stands(self, node: Node) -> bool:
        """Whether a node has a statement of its own."""
        name = node.op.partition(".")[0]
        if name in ("mm", "mv", "addmm") or node in self._outputs:
            return True
        if name in ("sum", "mean") and SAMPLES in node.inputs()[0].shape:
            dims, _ = _summed_dims(node, len(node.inputs()[0].shape))
            if any(node.inputs()[0].shape[dim] == SAMPLES for dim in dims):
                return True
        return not _is_view(name, node) and self._is_read_often(node)

    def _is_read_often(self, node: Node) -> bool:
        readers = self._readers.get(node, ())
        own = math.prod(_count(size) for size in node.shape)
        return len(readers) > 1 or any(
            reader.op.partition(".")[0] in ("mm", "mv", "addmm") or _space(reader) > own
            for reader in readers
        )

    # Small things.

    def _stage(self, shape: tuple[Size, ...], arguments: Sequence[Value]) -> int:
        stage = max((value.stage for value in arguments), default=BEFORE)
        if SAMPLES not in shape:
            return stage
        if stage == AFTER:
            raise UnfusableError("it needs the samples again after a sum over all of them")
        return BLOCK

    def _broadcast(self, value: Value, index: Index) -> str:
        own = index[len(index) - len(value.shape) :]
        return value.element(
            tuple("0" if size == 1 else at for size, at in zip(value.shape, own, strict=True))
        )

    def _literal(self, number: Any) -> str:
        return literal(float(self._samples) if number == SAMPLES else number)

    def _size(self, size: Size) -> int:
        return self._samples if size == SAMPLES else size


def _rows(start: int, count: int, strides: Sequence[int | str]) -> Storage:
    return Storage("w->rows", f"{start} * BLOCK", tuple(strides), (start, count))


class _Slots:
    """Rows of a block, handed out and taken back."""

    def __init__(self) -> None:
        self.peak = 0
        self._taken: dict[int, tuple[int, int]] = {}  # first row: rows, last statement

    def new(self, rows: int, last: int) -> int:
        start = 0
        for taken, (length, _) in sorted(self._taken.items()):
            if taken - start >= rows:
                break
            start = taken + length
        self._taken[start] = (rows, last)
        self.peak = max(self.peak, start + rows)
        return start

    def ending(self, place: int, rows: int) -> list[int]:
        return [
            start for start, (length, last) in self._taken.items() if last == place and length == rows
        ]

    def take_over(self, start: int, last: int) -> None:
        self._taken[start] = (self._taken[start][0], last)

    def free(self, place: int) -> None:
        self._taken = {start: one for start, one in self._taken.items() if one[1] > place}


class _View(NamedTuple):
    """The same elements in another shape.

    dims: for each axis, the source's axis, or None where it is new.
    fixed: by the source's axis, the place that is picked.
    starts: by axis, where a slice begins.
    """

    dims: tuple[int | None, ...]
    fixed: Mapping[int, int]
    starts: Mapping[int, int]

    def source_index(self, index: Index, shape: tuple[Size, ...]) -> Index:
        found = ["0"] * len(shape)
        for dim, place in self.fixed.items():
            found[dim] = str(place)
        for axis, (dim, at) in enumerate(zip(self.dims, index, strict=True)):
            if dim is not None and shape[dim] != 1:
                start = self.starts.get(axis, 0)
                found[dim] = f"({at} + {start})" if start else at
        return tuple(found)

    def storage(self, source: Storage, shape: tuple[Size, ...]) -> Storage:
        offset = str(source.offset)
        for dim, place in self.fixed.items():
            if place:
                offset += f" + {place} * {source.strides[dim]}"
        for axis, start in self.starts.items():
            offset += f" + {start} * {source.strides[self.dims[axis] or 0]}"
        strides = tuple(
            0 if dim is None or shape[dim] == 1 else source.strides[dim] for dim in self.dims
        )
        return Storage(source.name, offset if offset != "0" else 0, strides, source.rows)


_VIEWS = {
    *("transpose", "t", "permute", "unsqueeze", "squeeze", "select", "slice", "expand"),
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "alias", "detach"),
}


def _is_view(name: str, node: Node) -> bool:
    del node
    return name in _VIEWS


def _view(name: str, node: Node, arguments: Sequence[Value]) -> _View | None:
    if name not in _VIEWS:
        return None
    shape, args = arguments[0].shape, node.args[1:]
    rank = len(shape)
    dims: list[int | None] = list(range(rank))
    fixed: dict[int, int] = {}
    starts: dict[int, int] = {}
    if name in ("transpose", "t"):
        one, other = args or ((0, 1) if rank == 2 else (0, 0))
        if rank:
            dims[one % rank], dims[other % rank] = dims[other % rank], dims[one % rank]
    elif name == "permute":
        dims = [dim % rank for dim in args[0]]
    elif name == "unsqueeze":
        dims.insert(args[0] % (rank + 1), None)
    elif name == "select":
        dim, place = args[0] % rank, args[1]
        if shape[dim] == SAMPLES:
            raise UnfusableError("it picks single samples")
        dims.remove(dim)
        fixed[dim] = place % shape[dim]
    elif name == "slice":
        dim, start, end, step = (*args, *(0, None, None, 1)[len(args) :])
        size = shape[dim % rank]
        whole = not start and (end is None or end == SAMPLES or end >= 2**62 or end == size)
        if step != 1 or (size == SAMPLES and not whole) or (start or 0) < 0:
            raise UnfusableError("it slices by steps, from the end, or along the samples")
        if start:
            starts[dim % rank] = start
    elif name == "expand":
        dims = [None] * (len(node.shape) - rank) + dims
    elif name in ("alias", "detach"):
        pass
    else:  # squeeze, view and their kin: only axes of length 1 may come and go
        dims = _unit_axes_changed(shape, node.shape)
    return _View(tuple(dims), fixed, starts)


def _unit_axes_changed(source: tuple[Size, ...], shape: tuple[Size, ...]) -> list[int | None]:
    left = [dim for dim, size in enumerate(source) if size != 1]
    if [source[dim] for dim in left] != [size for size in shape if size != 1]:
        raise UnfusableError(f"it reshapes {source} to {shape}")
    return [None if size == 1 else left.pop(0) for size in shape]


def _constant(name: str, node: Node) -> Any:
    """The value of a tensor that is filled with one number, or None where it is not."""
    if name in ("zeros", "zeros_like", "new_zeros", "empty_like"):
        return 0.0 if node.dtype.is_floating_point else 0
    if name in ("ones", "ones_like", "new_ones"):
        return 1.0 if node.dtype.is_floating_point else 1
    if name in ("full", "full_like", "new_full", "fill"):
        return node.args[-1]
    return node.args[0] if name == "scalar_tensor" else None


def _readers(graph: Graph) -> dict[Node, list[Node]]:
    """By node, the nodes that compute with it, directly or through views of it."""
    readers: dict[Node, list[Node]] = {}
    for node in reversed(graph.nodes):
        through = (
            readers.get(node, [])
            if node.op.partition(".")[0] in _VIEWS and node not in graph.outputs
            else [node]
        )
        for arg in node.inputs():
            readers.setdefault(arg, []).extend(through)
    return readers


def _summed_dims(node: Node, rank: int) -> tuple[list[int], bool]:
    args = node.args[1:]
    dims = args[0] if args and args[0] else range(rank)
    return sorted(dim % rank for dim in dims), bool(args[1]) if len(args) > 1 else False


def _space(node: Node) -> int:
    """How many times a node reads each of its arguments' elements at the most."""
    shape = node.shape
    if node.op.partition(".")[0] in ("sum", "mean"):
        shape = node.inputs()[0].shape
    return math.prod(_count(size) for size in shape)


def _count(size: Size) -> int:
    return _MANY if size == SAMPLES else size


def _loops(shape: tuple[Size, ...]) -> tuple[Index, list[str]]:
    """An index that runs over a shape, and the heads of its loops; that over samples is not one."""
    index, heads = [], []
    for dim, size in enumerate(shape):
        if size == SAMPLES:
            index.append("s")
        elif size == 1:
            index.append("0")
        else:
            index.append(f"i{dim}")
            heads.append(f"for (int i{dim} = 0; i{dim} < {size}; i{dim}++)")
    return tuple(index), heads


def _grid(places: Sequence[range]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for place in places:
        found = [(*left, at) for left in found for at in place]
    return found
