"""The whole C program of a recipe: its steps, its evaluations, and the training around them."""

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.tasks import Task
from functional_clf.core.train import make_eval_step, make_train_step
from functional_clf.core.types import Batch, Metrics, TrainState
from functional_clf.engines.fused.emit import Function, emit
from functional_clf.engines.fused.loops import merged
from functional_clf.engines.fused.memory import Storage
from functional_clf.engines.fused.pointwise import c_type
from functional_clf.engines.fused.trace import SAMPLES, Graph, Node, UnfusableError, trace

BLOCK_BYTES = 80 * 1024
"""What the tensors of one block of samples may take. Twice a core's first cache (measured: 40 KiB
is 8 % slower, for the sums at the end of each block, and 160 KiB 3 %)."""


@dataclass(frozen=True)
class Sizes:
    """What a program is made for besides the recipe.

    Args:
        train: number of training samples.
        test: number of test samples.
        dtype: of the weights, float32 or float64.
        vector_bytes: of the machine's vector registers.
    """

    train: int
    test: int
    dtype: torch.dtype
    vector_bytes: int

    @property
    def lanes(self) -> int:
        """Numbers in a vector register."""
        return self.vector_bytes // self.dtype.itemsize

    def padded(self, samples: int) -> int:
        """A number of samples, in whole vectors."""
        return -(-samples // self.lanes) * self.lanes


def program(recipe: Recipe, task: Task, state: TrainState, batch: Batch, sizes: Sizes) -> str:
    """The C source that trains replicates of a recipe, one after another.

    Args:
        recipe: whose model and optimizer to fuse.
        task: whose loss and score.
        state: of one replicate.
        batch: samples of one replicate, of any number.
        sizes: what the program is for.

    Raises:
        UnfusableError: when the recipe cannot be fused.
    """

    def batch_of(samples: int) -> Batch:
        return Batch(*(part.new_zeros(samples, *part.shape[1:]) for part in batch))

    train_step = make_train_step(recipe.model, recipe.optimizer, task)
    step = trace(train_step, lambda n: (state, batch_of(n)), sizes.train)
    on_train, on_test = (
        trace(make_eval_step(recipe.model, task), lambda n: (state.params, batch_of(n)), samples)
        for samples in (sizes.train, sizes.test)
    )
    leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]
    n_params = len(pytree.tree_leaves(state.params))
    if on_train.written or step.written.intersection(step.inputs[len(leaves) :]):
        raise UnfusableError("its model writes into its arguments")
    if step.form != pytree.tree_structure((state, Metrics(batch.y, batch.y))):
        raise UnfusableError("its next state is another tree than its state")
    step = step.keep(step.outputs[: len(leaves)])  # the metrics are those of the evaluation
    parts = [
        "/* Made by functional_clf: one recipe's training, fused. */",
        f"#define REAL_IS_DOUBLE {int(sizes.dtype == torch.float64)}",
        f"#define VECTOR_BYTES {sizes.vector_bytes}",
        _text("kernels.h"),
        _state(leaves, batch.x.shape[1], sizes),
        _function("take_step", step, len(leaves), sizes.train, sizes),
        _function("evaluate_train", on_train, n_params, sizes.train, sizes),
        _function("evaluate_test", on_test, n_params, sizes.test, sizes),
        _text("training.h"),
    ]
    return "\n".join(parts)


def _text(name: str) -> str:
    return (
        importlib.resources.files("functional_clf.engines.fused")
        .joinpath(name)
        .read_text(encoding="utf-8")
    )


def _state(leaves: Sequence[Tensor], features: int, sizes: Sizes) -> str:
    """The struct of one replicate's state, and what else `training.h` asks for."""
    members = [
        f"    {c_type(leaf.dtype)} leaf{k}[{leaf.numel()}] ALIGNED;"
        for k, leaf in enumerate(leaves)
    ]
    places = [
        f"    {{offsetof(struct state, leaf{k}), {leaf.numel()} * sizeof({c_type(leaf.dtype)})}},"
        for k, leaf in enumerate(leaves)
    ]
    lines = [
        *("struct state {", *members, "};"),
        *("static const struct { size_t offset, bytes; } places[] = {", *places, "};"),
        f"enum {{ LEAVES = {len(leaves)}, FEATURES = {features}, "
        f"TRAIN_ROW = {sizes.padded(sizes.train)}, TEST_ROW = {sizes.padded(sizes.test)} }};",
        "",
    ]
    return "\n".join(lines)


def _function(name: str, graph: Graph, n_leaves: int, samples: int, sizes: Sizes) -> str:
    """One graph as a C function; its first inputs are leaves of the state, the others data."""
    padded = sizes.padded(samples)
    inputs = [
        _leaf(k, node) if k < n_leaves else _data(k - n_leaves, node, padded)
        for k, node in enumerate(graph.inputs)
    ]
    function = emit(name, graph, inputs, samples)
    row_bytes = max(function.rows, 1) * sizes.dtype.itemsize
    block = _block_size(samples, max(BLOCK_BYTES // row_bytes // sizes.lanes, 1), sizes.lanes)
    whole, rest = divmod(samples, block)
    data = [f"data{k}" for k in range(len(graph.inputs) - n_leaves)]
    parameters = ", ".join(f"const real *restrict {one}" for one in data)
    moved = ", ".join(f"{one} + start" for one in data)
    members = [f"    {kind} {n}[{size}] ALIGNED;" for n, (kind, size) in function.members.items()]
    head = f"(struct {name} *restrict w, const struct state *restrict q, {parameters}"
    passed = f"w, q, {', '.join(data)}"
    calls, blocks = [], []
    for size, start, end in ((block, 0, whole * block), (rest, whole * block, samples)):
        if end > start:
            blocks.append(
                f"NOINLINE {name}_block{size}{head}) {{ {name}_block({passed}, {size}); }}"
            )
            calls.append(f"    for (int start = {start}; start < {end}; start += {size})")
            calls.append(f"        {name}_block{size}(w, q, {moved});")
    is_step = name == "take_step"
    results = _next_state(graph, function) if is_step else _metrics(function)
    lines = [
        f"#define BLOCK {block}",
        f"struct {name} {{",
        *members,
        f"    real rows[{max(function.rows, 1)} * BLOCK] ALIGNED;",
        "};",
        *(f"NOINLINE {kernel}{body}" for kernel, body in function.kernels.items()),
        f"INLINE void {name}_block{head}, const int count)",
        "{",
        "    const int whole = (count + LANES - 1) / LANES * LANES;",
        *(f"    {line}" for line in merged(function.block)),
        "}",
        *blocks,
        f"static void {name}(struct {name} *restrict w, struct state *restrict q, {parameters}"
        + ("" if is_step else ", real *loss, long *correct")
        + ")",
        "{",
        *(f"    {line}" for line in function.before),
        *calls,
        *(f"    {line}" for line in function.after),
        *(f"    {line}" for line in results),
        "}",
        "#undef BLOCK",
        "",
    ]
    return "\n".join(lines)


def _block_size(samples: int, most: int, lanes: int) -> int:
    """Samples in a block, at most `most` vectors: equal blocks, where there are such."""
    vectors = -(-samples // lanes)
    fewest = -(-vectors // most)
    even = [n for n in range(fewest, 2 * fewest) if samples % (n * lanes) == 0]
    blocks = even[0] if even else fewest
    return -(-vectors // blocks) * lanes


def _next_state(graph: Graph, function: Function) -> list[str]:
    """Put each leaf of the next state in its place; one that is handed on is there."""
    lines = []
    for k, (node, storage) in enumerate(zip(graph.outputs, function.outputs, strict=True)):
        if node is graph.inputs[k]:
            continue
        if (node.shape, node.dtype) != (graph.inputs[k].shape, graph.inputs[k].dtype):
            raise UnfusableError("a part of its state changes its shape or type")
        if node.op == "input":
            raise UnfusableError("parts of its state change places")
        lines.append(f"memcpy(q->leaf{k}, {storage.name}, sizeof q->leaf{k});")
    return lines


def _metrics(function: Function) -> list[str]:
    loss, correct = function.outputs
    return [f"*loss = {loss.at(())};", f"*correct = {correct.at(())};"]


def _leaf(k: int, node: Node) -> Storage:
    if SAMPLES in node.shape:
        raise UnfusableError("its state has an axis of samples")
    strides, left = [], 1
    for size in reversed(node.shape):
        strides.insert(0, left)
        left *= int(size)
    return Storage(f"q->leaf{k}", 0, tuple(strides))


def _data(k: int, node: Node, padded: int) -> Storage:
    """Samples lie feature by feature, labels are one row; each row in whole vectors."""
    return Storage(f"data{k}", 0, (1,) if len(node.shape) == 1 else (1, padded))
