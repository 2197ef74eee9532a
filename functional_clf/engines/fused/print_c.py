"""A fused program in C.

Its fixed parts are `kernels.h`, the matmuls and the functions that C has not, and `training.h`, the
loops over replicates and epochs.
"""

import importlib.resources
from collections.abc import Sequence

import torch

from functional_clf.engines.fused.form import (
    Add,
    Address,
    Apply,
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
    Heads,
    Keep,
    Load,
    Loop,
    Member,
    Number,
    Pass,
    Place,
    Program,
    Project,
    RowsApart,
    Sizes,
    Store,
    Stride,
    Tell,
    Total,
)
from functional_clf.engines.fused.operations_c import c_type, folded, literal, operation

BLOCK_BYTES = 80 * 1024
"""What the tensors of one block of samples may take. Twice a core's first cache (measured: 40 KiB
is 8 % slower, for the sums at the end of each block, and 160 KiB 3 %)."""

LARGE_BLOCK_BYTES = 160 * 1024
"""The same for a function with large matmuls, which read all weights once a block."""

LARGE = 512
"""From so many weights on a matmul is a loop over tiles (`large_matmuls.h`)."""

_PREFIXES = {"state": "q->", "data": "", "member": "w->", "rows": "w->"}


def source(program: Program, sizes: Sizes) -> str:
    """The C source of a program.

    Args:
        program: what it does.
        sizes: what it is for.
    """
    functions = [program.take_step, program.evaluate_train, program.evaluate_test]
    if program.batches and program.batches.take_rest:
        functions.append(program.batches.take_rest)
    has_large = program.batches or any(map(_has_large, functions))
    is_random = program.batches or any(function.draws for function in functions)
    parts = [
        "/* Made by functional_clf: one recipe's training, fused. */",
        f"#define REAL_IS_DOUBLE {int(sizes.dtype == torch.float64)}",
        f"#define VECTOR_BYTES {sizes.vector_bytes}",
        _text("kernels.h"),
        *([_text("large_matmuls.h")] if has_large else []),
        *([_text("random.h")] if is_random else []),
        _state(program, sizes),
        *_steps(program, sizes),
        _Printer("evaluate_train", program, program.evaluate_train, sizes.train, sizes).text(),
        _Printer("evaluate_test", program, program.evaluate_test, sizes.test, sizes).text(),
        _text("training.h"),
    ]
    return "\n".join(parts)


def _steps(program: Program, sizes: Sizes) -> list[str]:
    """The training step; on batches, its parts and what makes an epoch of them."""
    batches = program.batches
    if batches is None or sizes.batch_size is None:
        return [_Printer("take_step", program, program.take_step, sizes.train, sizes).text()]
    rest = batches.take_rest
    constants = {
        "TRAIN_SAMPLES": sizes.train,
        "BATCH": sizes.batch_size,
        "BATCHES": sizes.train // sizes.batch_size,
        "REST": sizes.rest,
        "BATCH_ROW": sizes.spread(sizes.batch_size),
        "REST_ROW": sizes.spread(sizes.rest),
        "ORDER": batches.order,
        "ROUNDS": batches.rounds,
        "KEY": f"leaf{batches.key}",
        "STEP": f"leaf{batches.step}",
    }
    return [
        _Printer("take_batch", program, program.take_step, sizes.batch_size, sizes).text(),
        *([_Printer("take_rest", program, rest, sizes.rest, sizes).text()] if rest else []),
        *(f"#define {name} {value}" for name, value in constants.items()),
        _text("batches.h"),
    ]


def _text(name: str) -> str:
    return (
        importlib.resources.files("functional_clf.engines.fused")
        .joinpath(name)
        .read_text(encoding="utf-8")
    )


def _state(program: Program, sizes: Sizes) -> str:
    """The struct of one replicate's state, and what else `training.h` asks for."""
    leaves = [(k, c_type(dtype), count) for k, (dtype, count) in enumerate(program.leaves)]
    lines = [
        "struct state {",
        *(f"    {kind} leaf{k}[{count}] ALIGNED;" for k, kind, count in leaves),
        "};",
        "static const struct { size_t offset, bytes; } places[] = {",
        *(
            f"    {{offsetof(struct state, leaf{k}), {count} * sizeof({kind})}},"
            for k, kind, count in leaves
        ),
        "};",
        f"enum {{ LEAVES = {len(leaves)}, FEATURES = {program.features}, "
        f"TRAIN_ROW = {sizes.padded(sizes.train)}, TEST_ROW = {sizes.padded(sizes.test)} }};",
        "",
    ]
    return "\n".join(lines)


# Expressions.


def written(expression: Expression) -> str:
    """An expression in C.

    Example:
        >>> one = Load(Address(Array("member", "value3"), offset=1, terms=(("i0", 2),)))
        >>> written(Apply("add", (one, Number(0.5)), {}, torch.float32))
        '(w->value3[i0 * 2 + 1] + R(0.5))'
    """
    match expression:
        case Number(value):
            return literal(value)
        case Load(address):
            return _at(address)
        case Count(Place(None, start), dtype):
            return literal(float(start) if dtype.is_floating_point else start)
        case Count(place, dtype):
            return f"(({c_type(dtype)}){_place(place)})"
        case Apply(name, args, settings, dtype):
            texts = [written(arg) if isinstance(arg, Expression) else arg for arg in args]
            return operation(name, texts, settings, dtype)
        case Fold(how, terms, dtype):
            return folded(how, [written(term) for term in terms], dtype)
        case AtPlace(place, chosen, value):
            return f"({_place(place)} == {chosen} ? {written(value)} : 0)"


def _place(place: Place) -> str:
    if place.counter is None:
        return str(place.start)
    return f"({place.counter} + {place.start})" if place.start else place.counter


def _name(array: Array) -> str:
    return _PREFIXES[array.kind] + array.name


def _at(address: Address) -> str:
    terms = [f"{address.row} * BLOCK"] if address.array.kind == "rows" else []
    for counter, stride in address.terms:
        terms.append(counter if stride == 1 else f"{counter} * {_stride(stride)}")
    if address.offset:
        terms.append(str(address.offset))
    return f"{_name(address.array)}[{' + '.join(terms) or '0'}]"


def _stride(stride: Stride) -> str:
    return f"{stride.rows} * BLOCK" if isinstance(stride, RowsApart) else str(stride)


# Statements.


def _heads(heads: Heads) -> list[str]:
    return [f"for (int {name} = 0; {name} < {size}; {name}++)" for name, size in heads]


def _loop(loop: Loop) -> list[str]:
    """A loop that says that it may be done in vectors."""
    adds = [line for line in loop.body if isinstance(line, Add)]
    by_kind: dict[str, list[str]] = {}
    for add in adds:
        by_kind.setdefault(c_type(add.dtype), []).append(add.name)
    reductions = "".join(f" reduction(+ : {', '.join(names)})" for names in by_kind.values())
    return [
        *_heads(loop.heads),
        "{",
        *(f"    {c_type(add.dtype)} {add.name} = 0;" for add in adds),
        f'    _Pragma("omp simd{reductions}")',
        # In whole vectors: what is computed behind the last sample, nobody reads.
        "    for (int s = 0; s < whole; s++) {",
        *(f"        {_of_one_sample(line)}" for line in loop.body),
        "    }",
        *(f"    {_at(add.target)} += {add.name};" for add in adds),
        "}",
    ]


def _of_one_sample(line: Store | Add) -> str:
    if isinstance(line, Store):
        return f"{_at(line.target)} = {written(line.value)};"
    return f"{line.name} += s < count ? {written(line.value)} : 0;"


def _is_large(one: Project | Contract) -> bool:
    return one.fan_out * one.fan_in >= LARGE


def _has_large(function: Function) -> bool:
    return any(isinstance(one, Project | Contract) and _is_large(one) for one in function.block)


def _lanes(array: Array) -> str:
    """Where a contraction adds up, each lane of its vectors for itself, until it is finished.

    That of a large one holds whole sums, each row of them in whole vectors.
    """
    return f"w->{array.name.replace('product', 'lanes')}"


class _Printer:
    """One function in C.

    kernels: a matmul of one size is a function of its own, so that it has all registers to itself.
    """

    def __init__(
        self, name: str, program: Program, function: Function, samples: int, sizes: Sizes
    ) -> None:
        self._name = name
        self._data = [f"data{k}" for k in range(program.n_data)]
        self._function = function
        self._samples = samples
        self._sizes = sizes
        self._kernels: dict[str, str] = {}
        self._is_large = _has_large(function)
        contracts = [one for one in function.block if isinstance(one, Contract)]
        self._large = {one.total.name: one for one in contracts if _is_large(one)}
        self._is_one_block = False

    def text(self) -> str:
        name, function, rows = self._name, self._function, max(self._function.rows, 1)
        parameters = ", ".join(f"const real *restrict {one}" for one in self._data)
        head = f"(struct {name} *restrict w, const struct state *restrict q, {parameters}"
        first = ", const int first" if function.counts_samples else ""
        block, calls, blocks = self._blocks(rows, head + first)
        # Then nothing has to be added to what an earlier one left.
        self._is_one_block = block >= self._samples
        fans = [one.fan_in for one in self._large.values()]
        block_lines = [line for one in function.block for line in self._block_statement(one)]
        size, hidden = "count", []
        if self._samples % self._sizes.lanes:
            # Knowing where the last sample is, gcc would split a loop there, and do what is left of
            # it sample by sample: in 223 samples that takes four times as long as all the others.
            size = "samples"
            hidden = ["    int count = samples;", '    __asm__("" : "+r"(count));']
        turned = [f"    real turned[BLOCK * SPREAD({max(fans)})] ALIGNED;"] if fans else []
        told = "".join(f", {c_type(one.dtype)} *{one.name}" for one in self._tells())
        lines = [
            f"#define BLOCK {self._spread(block)}",
            f"struct {name} {{",
            *(line for one in function.members.items() for line in self._member(*one)),
            *turned,
            f"    real rows[{rows} * BLOCK] ALIGNED;",
            "};",
            *(f"NOINLINE {kernel}{body}" for kernel, body in self._kernels.items()),
            f"INLINE void {name}_block{head}{first}, const int {size})",
            "{",
            f"    const int whole = ({size} + LANES - 1) / LANES * LANES;",
            *hidden,
            *(f"    {line}" for line in block_lines),
            "}",
            *blocks,
            f"static void {name}(struct {name} *restrict w, struct state *restrict q, {parameters}"
            f"{told})",
            "{",
            *(f"    {text}" for one in function.before if (text := self._statement(one))),
            *calls,
            *(f"    {text}" for one in function.after if (text := self._statement(one))),
            *(f"    {_result(one)}" for one in function.results),
            "}",
            "#undef BLOCK",
            "",
        ]
        return "\n".join(lines)

    def _tells(self) -> Sequence[Tell]:
        return [one for one in self._function.results if isinstance(one, Tell)]

    def _blocks(self, rows: int, head: str) -> tuple[int, list[str], list[str]]:
        """The size of a block, the loops over blocks, and a function for each size there is."""
        name, lanes = self._name, self._sizes.lanes
        most_bytes = LARGE_BLOCK_BYTES if self._is_large else BLOCK_BYTES
        most = max(most_bytes // (rows * self._sizes.dtype.itemsize) // lanes, 1)
        block = _block_size(self._samples, most, lanes)
        whole, rest = divmod(self._samples, block)
        moved = ", ".join(f"{one} + start" for one in self._data)
        passed = f"w, q, {', '.join(self._data)}"
        if self._function.counts_samples:
            moved, passed = f"{moved}, start", f"{passed}, first"
        calls, blocks = [], []
        for size, start, end in (
            (block, 0, whole * block),
            (rest, whole * block, self._samples),
        ):
            if end > start:
                blocks.append(
                    f"NOINLINE {name}_block{size}{head}) {{ {name}_block({passed}, {size}); }}"
                )
                calls.append(f"    for (int start = {start}; start < {end}; start += {size})")
                calls.append(f"        {name}_block{size}(w, q, {moved});")
        return block, calls, blocks

    def _spread(self, block: int) -> int:
        """How far apart the rows of a block are: as `SPREAD` has it where many are read at once."""
        return self._sizes.spread(block) if self._is_large else block

    def _statement(self, one: Assign | Clear | Finish | Pass | Total) -> str:
        match one:
            case Pass(heads, body):
                lines = (f"{_at(part.target)} = {written(part.value)};" for part in body)
                return " ".join(['_Pragma("omp simd")', *_heads(heads), "{", *lines, "}"])
            case Total(heads, inner, target, value, dtype):
                lines = [
                    *(*_heads(heads), "{", f"{c_type(dtype)} total = 0;", *_heads(inner[:-1])),
                    *('_Pragma("omp simd reduction(+ : total)")', *_heads(inner[-1:])),
                    *(f"total += {written(value)};", f"{_at(target)} = total;", "}"),
                ]
                return " ".join(lines)
            case Assign(heads, target, value):
                return " ".join([*_heads(heads), f"{_at(target)} = {written(value)};"])
            case Clear(array):
                if array.name in self._large and self._is_one_block:
                    return ""
                cleared = _lanes(array) if self._has_lanes(array.name) else _name(array)
                return f"memset({cleared}, 0, sizeof {cleared});"
            case Finish(array) if not self._has_lanes(array.name):
                return ""
            case Finish(array) if array.name in self._large:
                large = self._large[array.name]
                fans = f"{large.fan_out}, {large.fan_in}"
                return f"without_padding({fans}, {_lanes(array)}, {_name(array)});"
            case Finish(array):
                count = self._function.members[array.name].count
                return f"add_lanes({count}, {_lanes(array)}, {_name(array)});"

    def _block_statement(self, one: Loop | Project | Contract) -> list[str]:
        match one:
            case Loop():
                return _loop(one)
            case Project():
                return [self._project(one)]
            case Contract():
                return self._contract(one)

    def _project(self, one: Project) -> str:
        (source, in_row), (out, out_row) = one.source, one.out
        strides = f"{_stride(one.weight.by_row)}, {_stride(one.weight.by_column)}"
        large = _is_large(one)
        kernel = self._kernel(
            "large_project" if large else "project",
            "const real *weight, const real *in, real *out, const int samples",
            f"{'0, ' if large else ''}{one.fan_out}, {one.fan_in}, weight, {strides}, in, "
            f"{_stride(in_row)}, out, {_stride(out_row)}, samples",
        )
        return f"{kernel}(&{_at(one.weight.first)}, &{_at(source)}, &{_at(out)}, whole);"

    def _contract(self, one: Contract) -> list[str]:
        (a, a_row), (b, b_row) = one.a, one.b
        lines = [
            f"clear_rest({fan}, {_stride(row)}, count, whole, &{_at(part)});"
            for part, fan, row in ((a, one.fan_out, a_row), (b, one.fan_in, b_row))
            if part.array.kind == "rows"  # behind the last sample lies what an earlier block left
        ]
        if one.total.name in self._large:
            kernel = self._kernel(
                "large_contract",
                "const real *a, const real *b, real *turned, real *sums, const int samples",
                f"{int(not self._is_one_block)}, {one.fan_out}, {one.fan_in}, a, "
                f"{_stride(a_row)}, b, {_stride(b_row)}, turned, sums, samples",
            )
            total = _lanes(one.total) if self._has_lanes(one.total.name) else _name(one.total)
            return [*lines, f"{kernel}(&{_at(a)}, &{_at(b)}, w->turned, {total}, whole);"]
        kernel = self._kernel(
            "contract",
            "const real *a, const real *b, real *lanes, const int samples",
            f"{one.fan_out}, {one.fan_in}, a, {_stride(a_row)}, b, {_stride(b_row)}, lanes, "
            "samples",
        )
        return [*lines, f"{kernel}(&{_at(a)}, &{_at(b)}, {_lanes(one.total)}, whole);"]

    def _has_lanes(self, name: str) -> bool:
        """Whether a sum over samples is made elsewhere first; a large one may need no padding."""
        if name in self._large:
            return self._large[name].fan_in % self._sizes.lanes != 0
        return self._function.members[name].is_contracted

    def _member(self, name: str, member: Member) -> list[str]:
        kind = c_type(member.dtype)
        lines = [f"    {kind} {name}[{member.count}] ALIGNED;"]
        if self._has_lanes(name):
            lanes, count = name.replace("product", "lanes"), f"{member.count} * LANES"
            if name in self._large:
                large = self._large[name]
                count = str(large.fan_out * self._sizes.padded(large.fan_in))
            lines.insert(0, f"    {kind} {lanes}[{count}] ALIGNED;")
        return lines

    def _kernel(self, kind: str, parameters: str, arguments: str) -> str:
        body = f"({parameters}) {{ {kind}({arguments}); }}"
        found = next((name for name, other in self._kernels.items() if other == body), None)
        name = found or f"{self._name}_{kind}{len(self._kernels)}"
        self._kernels[name] = body
        return name


def _result(one: Keep | Tell) -> str:
    match one:
        case Keep(leaf, source):
            return f"memcpy({_name(leaf)}, {_name(source)}, sizeof {_name(leaf)});"
        case Tell(name, _, address):
            return f"*{name} = {_at(address)};"


def _block_size(samples: int, most: int, lanes: int) -> int:
    """Samples in a block, at most `most` vectors: equal blocks, where there are such."""
    vectors = -(-samples // lanes)
    fewest = -(-vectors // most)
    even = [n for n in range(fewest, 2 * fewest) if samples % (n * lanes) == 0]
    blocks = even[0] if even else fewest
    return -(-vectors // blocks) * lanes
