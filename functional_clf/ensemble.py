"""Many replicates at once: `train.py`'s functions under vmap, and that under torch.compile.

The only module that names either transform. A chunk is a stack of replicates of one fixed width,
trained in one go on one thread; the width is part of a result's identity, since another width
sums in another order.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop, while_loop_op
from torch.utils import _pytree as pytree

from functional_clf.cache import cache_folder, torchs_default_is_trusted
from functional_clf.data import ChunkData
from functional_clf.fusion import fused
from functional_clf.recipes import Recipe
from functional_clf.train import (
    Advance,
    EvalStep,
    TrainStep,
    fit,
    init_state,
    make_eval_step,
    make_train_step,
    stepwise,
)
from functional_clf.types import Batch, Curves, Metrics, Params, Record, TrainState
from functional_clf.user_code import ONE_AT_A_TIME, UnreadableError

EngineName = Literal["eager", "compile", "fused"]
Tree = TypeVar("Tree")
Form = tuple[tuple[Any, ...], ...]

WHILE_LOOP = f"{while_loop_op.__module__}.{while_loop_op.__name__}"


class Engine(Protocol):
    """Trains one chunk: a stacked state and its data in, the final state and curves out."""

    def __call__(
        self,
        recipe: Recipe,
        state: TrainState,
        data: ChunkData,
        epochs: int,
        after_steps: Callable[[int], None] = ...,
    ) -> tuple[TrainState, Curves]:
        """Train `epochs` epochs; `after_steps` is called now and then, and may raise to stop."""
        ...


def stack(trees: Sequence[Tree]) -> Tree:
    """Trees of tensors of the same form, stacked leaf by leaf along a new first axis.

    Example:
        >>> stack([{"w": torch.zeros(2)}, {"w": torch.ones(2)}])["w"].shape
        torch.Size([2, 2])
    """
    return pytree.tree_map(lambda *leaves: torch.stack(leaves), *trees)


def init_chunk(recipe: Recipe, init_seeds: Sequence[int], device: torch.device) -> TrainState:
    """The stacked initial state of a chunk, each replicate drawn from its own seed.

    Drawn on the CPU and then moved, so that a seed means the same weights on every device.

    Args:
        recipe: whose model and optimizer to initialise.
        init_seeds: one a replicate.
        device: where the tensors shall live.

    Example:
        >>> from functional_clf.recipes import model_1
        >>> init_chunk(model_1(), range(4), torch.device("cpu")).params["0.weight"].shape
        torch.Size([4, 16, 2])
    """
    states = [init_state(recipe.model, recipe.optimizer, seed) for seed in init_seeds]
    return pytree.tree_map(lambda leaf: leaf.to(device), stack(states))


def eager(
    recipe: Recipe,
    state: TrainState,
    data: ChunkData,
    epochs: int,
    after_steps: Callable[[int], None] = lambda steps: None,
) -> tuple[TrainState, Curves]:
    """The engine that runs the vmapped step as it is.

    With functions of a user's own threads take turns: they may share what a call changes for a
    time, such as the params of a module or torch's default dtype.

    Example:
        >>> from functional_clf.data import circles, draw_chunk, replicate
        >>> from functional_clf.recipes import model_1
        >>> cpu, chunk = torch.device("cpu"), [replicate(seed, "data") for seed in range(4)]
        >>> recipe, data = model_1(epochs=5), draw_chunk(circles(100), chunk, 0.2, cpu)
        >>> state, curves = eager(recipe, init_chunk(recipe, range(4), cpu), data, recipe.epochs)
        >>> curves.test.correct.shape  # 6 records of 4 replicates
        torch.Size([6, 4])
    """
    train_step, eval_step = _vmapped_steps(recipe)
    if _needs_turns(recipe):
        train_step, eval_step = _in_turn(train_step), _in_turn(eval_step)
    return fit(stepwise(train_step, eval_step), state, data.train, data.test, epochs, after_steps)


def _code(recipe: Recipe) -> str | None:
    """What the recipe's functions read today, or None where that cannot be told."""
    return recipe.describe()["code"]


def _needs_turns(recipe: Recipe) -> bool:
    try:
        return not recipe.reading().is_own
    except UnreadableError:
        return True


def _in_turn(step: Callable[..., Tree]) -> Callable[..., Tree]:
    def in_turn(*args: Any) -> Tree:
        with ONE_AT_A_TIME:
            return step(*args)

    return in_turn


def compiled(
    recipe: Recipe,
    state: TrainState,
    data: ChunkData,
    epochs: int,
    after_steps: Callable[[int], None] = lambda steps: None,
) -> tuple[TrainState, Curves]:
    """The engine that runs the vmapped steps compiled: one graph a recipe and form of a chunk.

    On the CPU the graph holds the loop over the steps as well, so that between two points of a
    learning curve no Python runs. On CUDA it holds one step, captured as a CUDA graph and replayed:
    there a loop in the graph would have to ask the device at each turn whether it has ended.
    """
    device = data.train.x.device
    if device.type != "cuda":
        advance = _compiled_advance(recipe, _code(recipe), _form((state, data)))
        return fit(advance, state, data.train, data.test, epochs, after_steps)
    with torch.cuda.device(device):  # a capture is of the current device, which may be another
        _, eval_step = _vmapped_steps(recipe)
        precision = torch.get_float32_matmul_precision()
        code = _code(recipe)
        if code is None:
            raise ValueError(
                f"{recipe.name} cannot be captured: nobody can tell whether what its functions "
                "read has changed; use --engine eager"
            )
        train_step = _captured_step(recipe, code, _form((state, data.train)), precision)
        advance = stepwise(train_step, eval_step)
        return fit(advance, state, data.train, data.test, epochs, after_steps)


ENGINES: Mapping[EngineName, Engine] = {"eager": eager, "compile": compiled, "fused": fused}
"""The engines by name; another one is a function of the same form beside them."""


def _vmapped_steps(recipe: Recipe) -> tuple[TrainStep, EvalStep]:
    train_step = torch.func.vmap(make_train_step(recipe.model, recipe.optimizer))
    return train_step, torch.func.vmap(make_eval_step(recipe.model))


def _form(tree: Any) -> Form:
    """What a compiled graph is made for: where its tensors lie, and how, but not their values."""
    leaves = [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]
    return tuple((leaf.shape, leaf.stride(), leaf.dtype, leaf.device) for leaf in leaves)


@functools.lru_cache(maxsize=64)
def _compiled_advance(recipe: Recipe, code: str | None = None, form: Form = ()) -> Advance:
    """The vmapped steps and the loop over them in one graph, for the CPU."""
    del code, form  # keys of the cache: for other code or another form it is another graph
    train_step, eval_step = _vmapped_steps(recipe)

    def take_steps(
        state: TrainState, train: Batch, test: Batch, steps: Tensor
    ) -> tuple[Record, TrainState]:
        record = Record(eval_step(state.params, train), eval_step(state.params, test))
        leaves, form = pytree.tree_flatten(state)

        def is_on(step: Tensor, *leaves: Tensor) -> Tensor:
            del leaves
            return step < steps

        def take_step(step: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
            after, _ = train_step(pytree.tree_unflatten(leaves, form), train)
            # The loop's form does not allow to hand on a leaf as it is.
            new = zip(leaves, pytree.tree_leaves(after), strict=True)
            return step + 1, *(leaf.clone() if leaf is old else leaf for old, leaf in new)

        _, *leaves = while_loop(is_on, take_step, (torch.zeros_like(steps), *leaves))
        return record, pytree.tree_unflatten(leaves, form)

    compiled_steps = _compile(take_steps, for_cpu=True)

    def advance(
        state: TrainState, train: Batch, test: Batch, steps: int
    ) -> tuple[Record, TrainState]:
        return compiled_steps(state, train, test, torch.tensor(steps))

    return advance


def _compile(function: Callable[..., Tree], for_cpu: bool) -> Callable[..., Tree]:
    # Dynamo counts recompiles, and searches its graphs, a code object: one of its own for each
    # recipe and form keeps a study of many recipes, and studies of many sizes, below the limit.
    function.__code__ = function.__code__.replace()
    cache_folder()  # torch runs what it finds in its cache: it is told of one that can be trusted
    options = _cpu_options() if for_cpu else None
    return torch.compile(function, fullgraph=True, dynamic=False, options=options)


@functools.lru_cache(maxsize=64)
def _captured_step(recipe: Recipe, code: str, form: Form, precision: str) -> TrainStep:
    """The compiled step as a CUDA graph, captured at its first call and replayed ever after.

    Launching a step's kernels one by one takes longer than running them. A graph reads and writes
    fixed memory, so the state is copied in and out, which keeps the step a pure function.
    """
    del code, form, precision  # keys of the cache: for any other it is another graph
    train_step, _ = _vmapped_steps(recipe)

    def one_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        return train_step(state, batch)

    compiled_step = _compile(one_step, for_cpu=False)
    captured: list[Any] = []

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        if not captured:
            captured.append(_capture(compiled_step, state, batch))
        graph, inputs, outputs = captured[0]
        leaves, order = pytree.tree_flatten(inputs)
        pairs = (leaves, order.flatten_up_to((state, batch)))
        torch._foreach_copy_(*pairs)  # pyright: ignore[reportPrivateImportUsage]
        graph.replay()
        return pytree.tree_map_only(Tensor, torch.clone, outputs)

    return step


def _capture(step: TrainStep, state: TrainState, batch: Batch) -> Any:
    """A CUDA graph of one step, with the fixed memory that it reads and that it writes."""
    inputs = pytree.tree_map_only(Tensor, torch.clone, (state, batch))
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # compiles, and lets libraries allocate, before the capture
        for _ in range(3):
            step(*inputs)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = step(*inputs)
    return graph, inputs, outputs


def _cpu_options() -> dict[str, Any]:
    options: dict[str, Any] = {
        # The compiled steps release the GIL, so that chunks train on several threads at once.
        "cpp_wrapper": True,
        # torch caches graphs with a loop between processes only where it is told that it may: its
        # key covers what is in the loop (a test sees to that).
        "unsafe_marked_cacheable_functions": {WHILE_LOOP: torch.__version__},
    }
    if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"):
        # torch has found these instructions; it need not compile and run a test of each again.
        options["cpp.vec_isa_ok"] = True
    if not torchs_default_is_trusted():  # precompiled headers lie there whatever torch is told
        options["cpp_cache_precompile_headers"] = False
    return {
        name: value for name, value in options.items() if name in torch._inductor.list_options()
    }


class Trained(NamedTuple):
    """A trained chunk, on the CPU: what is kept of it."""

    params: Params
    curves: Curves
    diverged: Bool[np.ndarray, " replicate"]


def collect(state: TrainState, curves: Curves) -> Trained:
    """Bring a trained chunk to the CPU, and mark the replicates that diverged.

    A replicate diverged when a weight or a recorded loss is NaN or infinite.

    Example:
        >>> from functional_clf.types import Metrics
        >>> metrics = Metrics(torch.tensor([[0.5, torch.nan]]), torch.tensor([[3, 0]]))
        >>> state = TrainState({"w": torch.zeros(2, 1)}, None)
        >>> collect(state, Curves((1,), metrics, metrics)).diverged
        array([False,  True])
    """
    params, curves = pytree.tree_map_only(Tensor, lambda leaf: leaf.cpu(), (state.params, curves))
    finite = torch.isfinite(curves.train.loss).all(0) & torch.isfinite(curves.test.loss).all(0)
    for param in params.values():
        finite &= torch.isfinite(param).reshape(len(param), -1).all(1)
    return Trained(params, curves, ~finite.numpy())
