"""The engine that runs the vmapped steps through torch's compiler: one graph a recipe and form."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop, while_loop_op
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.minibatches import Body, repeat
from functional_clf.core.tasks import Task
from functional_clf.core.train import Advance, TrainStep, fit, stepwise
from functional_clf.core.types import Batch, CurvePoint, Curves, Metrics, TrainState
from functional_clf.data.batches import ChunkData
from functional_clf.engines import graph_notes
from functional_clf.engines.base import Form, form_of
from functional_clf.engines.cache import cache_folder, torchs_default_is_trusted
from functional_clf.engines.machine import cxx_facts, why_not_compile
from functional_clf.engines.vmapped import advance_of, vmapped_steps
from functional_clf.support import stopping

Tree = TypeVar("Tree")

WHILE_LOOP = f"{while_loop_op.__module__}.{while_loop_op.__name__}"


class Compiled:
    """The engine that runs the vmapped steps compiled: one graph a recipe and form of a chunk.

    On the CPU the graph holds the loop over the steps as well, so that between two points of a
    learning curve no Python runs. On CUDA it holds one step, captured as a CUDA graph and replayed:
    there a loop in the graph would have to ask the device at each turn whether it has ended.
    """

    name = "compile"
    is_quick = False

    def facts(self) -> dict[str, Any]:
        """The C++ compiler, which torch's compiler has its code compiled by on the CPU."""
        return cxx_facts()

    def why_not(self, recipes: Sequence[Recipe], data: ChunkData) -> str | None:
        """What torch's compiler lacks on this machine, or what is not captured on CUDA."""
        device = data.train.x.device
        other = next((recipe for recipe in recipes if not recipe.is_plain), None)
        if device.type == "cuda" and other is not None:
            return f"{other.name} trains in batches or stops early, which is not captured on CUDA"
        return why_not_compile(device)

    def prepare(self, recipes: Sequence[Recipe], data: ChunkData, alone: bool = True) -> None:
        """Compile every recipe's graph, and note it; what a child cannot make is compiled here.

        Where other ranks compile too, one graph after another: where they share a cache, the first
        rank has filled it.
        """
        missing = [one for one in recipes if not graph_notes.is_cached(one, data)] if alone else []
        is_cpu = data.train.x.device.type == "cpu"
        beside = missing[1:] if is_cpu and graph_notes.compiles_side_by_side() else []
        with graph_notes.children(beside, data) as wait:
            for recipe in missing[:1]:
                self.compile_one(recipe, data)
            wait()
        for recipe in recipes:
            if recipe not in missing[:1]:
                self.compile_one(recipe, data)

    def compile_one(self, recipe: Recipe, data: ChunkData) -> None:
        """Take one compiled step of a recipe, and note that its graph is now in torch's cache."""
        stopping.check()
        with graph_notes.noting(recipe, data):
            take_steps(self, recipe, data, steps=1)

    def train(
        self,
        recipe: Recipe,
        state: TrainState,
        data: ChunkData,
        epochs: int,
        after_steps: Callable[[int], None] = lambda steps: None,
    ) -> tuple[TrainState, Curves]:
        """Train by the graph of this recipe and form, which is compiled where it is new."""
        device, task = data.train.x.device, data.task
        code = recipe.describe()["code"]  # what its functions read today; None where not to be told
        if device.type != "cuda":
            form = form_of((state, data.train, data.test))
            compiled = _compiled_advance if recipe.is_plain else _compiled_epochs
            advance = compiled(recipe, task, code, form)
            return fit(advance, state, data.train, data.test, epochs, after_steps)
        with torch.cuda.device(device):  # else the capture is of the current device
            _, eval_step = vmapped_steps(recipe, task)
            precision = torch.get_float32_matmul_precision()
            if code is None:
                raise ValueError(
                    f"{recipe.name} cannot be captured: nobody can tell whether what its functions "
                    "read has changed; use --engine eager"
                )
            form = form_of((state, data.train))
            train_step = _captured_step(recipe, task, code, form, precision)
            advance = stepwise(train_step, eval_step)
            return fit(advance, state, data.train, data.test, epochs, after_steps)


COMPILE = Compiled()


def take_steps(engine: Any, recipe: Recipe, data: ChunkData, steps: int) -> None:
    """Train a chunk for some steps from its initial state, and wait until they are done."""
    width, device = data.train.y.shape[0], data.train.y.device
    engine.train(recipe, init_chunk(recipe, range(width), device), data, steps)
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@functools.lru_cache(maxsize=64)
def _compiled_advance(
    recipe: Recipe, task: Task, code: str | None = None, form: Form = ()
) -> Advance:
    """The vmapped steps and the loop over them in one graph, for the CPU."""
    del code, form  # keys of the cache: for other code or another form it is another graph
    train_step, eval_step = vmapped_steps(recipe, task)

    def take_steps(
        state: TrainState, train: Batch, test: Batch, steps: Tensor
    ) -> tuple[CurvePoint, TrainState]:
        point = CurvePoint(eval_step(state.params, train), eval_step(state.params, test))
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
        return point, pytree.tree_unflatten(leaves, form)

    compiled_steps = _compile(take_steps, for_cpu=True)

    def advance(
        state: TrainState, train: Batch, test: Batch, steps: int
    ) -> tuple[CurvePoint, TrainState]:
        return compiled_steps(state, train, test, torch.tensor(steps))

    return advance


@functools.lru_cache(maxsize=64)
def _compiled_epochs(
    recipe: Recipe, task: Task, code: str | None = None, form: Form = ()
) -> Advance:
    """An epoch in one graph, with the loop over its batches, and one for the curve; on the CPU."""
    del code, form  # keys of the cache, as above

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def one_graph(*arguments: Any) -> Any:
            return function(*arguments)

        return _compile(one_graph, for_cpu=True)

    return advance_of(recipe, task, wrap, loop=_loop_in_graph)


def _loop_in_graph(body: Body, n: int, state: TrainState) -> TrainState:
    """A loop of the graph's own, not one step after another: that would take minutes to compile."""
    if n <= 1:
        return repeat(body, n, state)
    leaves, form = pytree.tree_flatten(state)

    def is_on(number: Tensor, *leaves: Tensor) -> Tensor:
        del leaves
        return number < n

    def step(number: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        after = body(number, pytree.tree_unflatten(leaves, form))
        new = zip(leaves, pytree.tree_leaves(after), strict=True)
        return number + 1, *(leaf.clone() if leaf is old else leaf for old, leaf in new)

    start = torch.zeros((), dtype=torch.int64, device=leaves[0].device)
    _, *leaves = while_loop(is_on, step, (start, *leaves))
    return pytree.tree_unflatten(leaves, form)


def _compile(function: Callable[..., Tree], for_cpu: bool) -> Callable[..., Tree]:
    # Dynamo counts recompiles, and searches its graphs, a code object: one of its own for each
    # recipe and form keeps a study of many recipes, and studies of many sizes, below the limit.
    function.__code__ = function.__code__.replace()
    # Torch runs what it finds in its cache: it is told of one that can be trusted.
    cache_folder(for_torch=True)
    options = _cpu_options() if for_cpu else None
    return torch.compile(function, fullgraph=True, dynamic=False, options=options)


@functools.lru_cache(maxsize=64)
def _captured_step(recipe: Recipe, task: Task, code: str, form: Form, precision: str) -> TrainStep:
    """The compiled step as a CUDA graph, captured at its first call and replayed ever after.

    Launching a step's kernels one by one takes longer than running them. A graph reads and writes
    fixed memory, so the state is copied in and out, which keeps the step a pure function.
    """
    del code, form, precision  # keys of the cache: for any other it is another graph
    train_step, _ = vmapped_steps(recipe, task)

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
