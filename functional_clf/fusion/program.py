"""The whole C program of a recipe: its steps, its evaluations, and the training around them."""

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.fusion.emit import BLOCK_BYTES, Function, Storage, emit
from functional_clf.fusion.pointwise import c_type
from functional_clf.fusion.trace import SAMPLES, Graph, Node, UnfusableError, trace
from functional_clf.recipes import Recipe
from functional_clf.train import make_eval_step, make_train_step
from functional_clf.types import Batch, TrainState


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


def program(recipe: Recipe, state: TrainState, batch: Batch, sizes: Sizes) -> str:
    """The C source that trains replicates of a recipe, one after another.

    Args:
        recipe: whose model and optimizer to fuse.
        state: of one replicate.
        batch: samples of one replicate, of any number.
        sizes: what the program is for.

    Raises:
        UnfusableError: when the recipe cannot be fused.
    """
    def batch_of(samples: int) -> Batch:
        return Batch(*(part.new_zeros(samples, *part.shape[1:]) for part in batch))

    step = trace(
        make_train_step(recipe.model, recipe.optimizer), lambda n: (state, batch_of(n))
    )
    evaluation = trace(make_eval_step(recipe.model), lambda n: (state.params, batch_of(n)))
    leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]
    n_params = len(pytree.tree_leaves(state.params))
    step = step.keep(step.outputs[: len(leaves)])  # the metrics are those of the evaluation
    parts = [
        "/* Made by functional_clf: one recipe's training, fused. */",
        f"#define REAL_IS_DOUBLE {int(sizes.dtype == torch.float64)}",
        f"#define VECTOR_BYTES {sizes.vector_bytes}",
        importlib.resources.files(__package__).joinpath("kernels.h").read_text(encoding="utf-8"),
        _state_struct(leaves),
        _function("take_step", step, len(leaves), sizes.train, sizes),
        _function("evaluate_train", evaluation, n_params, sizes.train, sizes),
        _function("evaluate_test", evaluation, n_params, sizes.test, sizes),
        _fit(leaves, batch),
    ]
    return "\n".join(parts)


def _state_struct(leaves: Sequence[Tensor]) -> str:
    members = [
        f"    {c_type(leaf.dtype)} leaf{k}[{leaf.numel()}] ALIGNED;" for k, leaf in enumerate(leaves)
    ]
    return "\n".join(["struct state {", *members, "};", ""])


def _function(name: str, graph: Graph, n_leaves: int, samples: int, sizes: Sizes) -> str:
    """One graph as a C function; its first inputs are leaves of the state, the others data."""
    padded = sizes.padded(samples)
    inputs = []
    for k, node in enumerate(graph.inputs):
        if k < n_leaves:
            inputs.append(_leaf(k, node))
        else:
            inputs.append(_data(k - n_leaves, node, padded))
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
            blocks.append(f"NOINLINE {name}_block{size}{head}) {{ {name}_block({passed}, {size}); }}")
            calls.append(f"    for (int start = {start}; start < {end}; start += {size})")
            calls.append(f"        {name}_block{size}(w, q, {moved});")
    results = _results(name, graph, function, n_leaves)
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
        "    (void)whole;",
        *(f"    {line}" for line in function.block_lines()),
        "}",
        *blocks,
        f"static void {name}(struct {name} *restrict w, struct state *restrict q, {parameters}"
        + ("" if name == "take_step" else ", real *loss, long *correct")
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


def _results(name: str, graph: Graph, function: Function, n_leaves: int) -> list[str]:
    if name != "take_step":
        loss, correct = function.outputs
        return [f"*loss = {loss.at(())};", f"*correct = {correct.at(())};"]
    del n_leaves
    return [
        f"memcpy(q->leaf{k}, {storage.name}, sizeof q->leaf{k});"
        for k, (node, storage) in enumerate(zip(graph.outputs, function.outputs, strict=True))
        if node is not graph.inputs[k]
    ]


def _leaf(k: int, node: Node) -> Storage:
    if SAMPLES in node.shape:
        raise UnfusableError("its state has an axis of samples")
    strides, left = [], 1
    for size in reversed(node.shape):
        strides.insert(0, left)
        left *= int(size)
    return Storage(f"q->leaf{k}", 0, tuple(strides))


def _data(k: int, node: Node, padded: int) -> Storage:
    """x lies feature by feature, y is one row; each row in whole vectors."""
    return Storage(f"data{k}", 0, (1,) if len(node.shape) == 1 else (1, padded))


def _fit(leaves: Sequence[Tensor], batch: Batch) -> str:
    """The training of some replicates in place: what the library is called for."""
    features = batch.x.shape[1]
    places = [
        (f"state->leaf{k}", f"({c_type(leaf.dtype)} *)leaves[{k}] + r * {leaf.numel()}")
        for k, leaf in enumerate(leaves)
    ]
    get = [f"        memcpy({ours}, {theirs}, sizeof {ours});" for ours, theirs in places]
    put = [f"        memcpy({theirs}, {ours}, sizeof {ours});" for ours, theirs in places]
    return "\n".join(
        [
            "struct work {",
            "    struct state state;",
            "    struct take_step take_step;",
            "    struct evaluate_train evaluate_train;",
            "    struct evaluate_test evaluate_test;",
            "};",
            "",
            "/* Trains each replicate for `spans` spans of steps, in place; before each span that is",
            " * marked it records the metrics. Returns 1 when `after_steps` asks to stop, 2 when",
            " * memory is short, else 0. */",
            "int fit(const long replicates, const long spans, const long *restrict steps,",
            "        const long *restrict is_recorded, void *const *restrict leaves,",
            "        const real *x_train, const real *y_train, const real *x_test,",
            "        const real *y_test, const long padded_train, const long padded_test,",
            "        real *train_loss, long *train_correct, real *test_loss, long *test_correct,",
            "        int (*after_steps)(long))",
            "{",
            "    struct work *work = aligned_alloc(64, (sizeof *work + 63) / 64 * 64);",
            "    if (work == NULL) return 2;",
            "    memset(work, 0, sizeof *work);",
            "    struct state *state = &work->state;",
            "    int stop = 0;",
            "    for (long r = 0; r < replicates && !stop; r++) {",
            *get,
            f"        const real *xa = x_train + r * {features} * padded_train;",
            f"        const real *xb = x_test + r * {features} * padded_test;",
            "        const real *ya = y_train + r * padded_train, *yb = y_test + r * padded_test;",
            "        long record = r;",
            "        for (long span = 0; span < spans && !stop; span++) {",
            "            if (is_recorded[span]) {",
            "                evaluate_train(&work->evaluate_train, state, xa, ya,",
            "                               train_loss + record, train_correct + record);",
            "                evaluate_test(&work->evaluate_test, state, xb, yb,",
            "                              test_loss + record, test_correct + record);",
            "                record += replicates;",
            "            }",
            "            for (long step = 0; step < steps[span]; step++)",
            "                take_step(&work->take_step, state, xa, ya);",
            "            stop = after_steps(steps[span]);",
            "        }",
            *put,
            "    }",
            "    free(work);",
            "    return stop;",
            "}",
            "",
        ]
    )
