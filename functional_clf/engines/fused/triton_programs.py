"""Fused programs on CUDA: one program of the device a replicate, made by Triton.

Between two points of a learning curve the device runs one kernel, in which each replicate's state
stays in the registers of its own threads. Triton comes with torch's builds for CUDA.
"""

import functools
import importlib.util
import linecache
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.minibatches import epoch_order, steps_per_epoch
from functional_clf.core.tasks import Task
from functional_clf.core.train import fit
from functional_clf.core.types import Batch, CurvePoint, Curves, Metrics, TrainState
from functional_clf.core.user_code import ONE_AT_A_TIME
from functional_clf.data.batches import ChunkData
from functional_clf.engines.fused import print_triton
from functional_clf.engines.fused.form import Sizes
from functional_clf.engines.fused.graphs import graphs
from functional_clf.engines.fused.inputs import code_of, examples, form_of_state, sizes_of
from functional_clf.engines.fused.print_triton import Layout, TooLargeError, layouts
from functional_clf.engines.fused.trace import UnfusableError

ORDER_BYTES = 2**28
"""What the orders of batches may take that are drawn for one launch."""

OLDEST = (3, 4)
"""The version of Triton that comes with the oldest torch: no older one was tried."""


class Kernel(NamedTuple):
    """A program: its function, as Triton has it, and how it is laid out."""

    function: Any
    layout: Layout
    source: str


class TritonPrograms:
    """Programs in Triton, compiled for the device that they run on."""

    def lack(self) -> str | None:
        """What this machine lacks for them."""
        if importlib.util.find_spec("triton") is None:
            return "the triton package was not found"
        import triton

        version = tuple(int(part) for part in triton.__version__.split(".")[:2])
        if version < OLDEST:
            return f"triton is {triton.__version__}, which is older than {_dotted(OLDEST)}"
        return None

    def check(self, recipe: Recipe, data: ChunkData) -> None:
        """Make the program of a recipe, and compile it: no less tells whether it has room.

        Raises:
            UnfusableError: when the recipe holds what cannot be fused, or is too large.
        """
        _loaded_for(recipe, data)

    def prepare(self, recipes: Sequence[Recipe], data: ChunkData) -> None:
        """Have the recipes' programs compiled and loaded.

        Raises:
            UnfusableError: when a recipe holds what cannot be fused, or is too large.
        """
        for recipe in recipes:
            self.check(recipe, data)

    def count_missing(self, recipes: Sequence[Recipe], data: ChunkData) -> int:
        """None: `check` has compiled them."""
        del recipes, data
        return 0

    def train(
        self,
        recipe: Recipe,
        state: TrainState,
        data: ChunkData,
        epochs: int,
        after_steps: Callable[[int], None] = lambda steps: None,
    ) -> tuple[TrainState, Curves]:
        """Train all replicates at the same time.

        Raises:
            UnfusableError: when the recipe holds what cannot be fused, or is too large.
        """
        kernel, sizes = _loaded_for(recipe, data)
        form = form_of_state(recipe, code_of(recipe))
        leaves = form.flatten_up_to(state)  # in the program's order, whatever that of the state
        leaves = [leaf.detach().clone(memory_format=torch.contiguous_format) for leaf in leaves]
        parts = [part.contiguous() for part in (*data.train, *data.test)]
        advance = functools.partial(_advance, kernel, sizes, form, parts)
        with _on(data.train.x.device):
            return fit(
                advance,
                pytree.tree_unflatten(leaves, form),
                data.train,
                data.test,
                epochs,
                after_steps,
            )


def _advance(
    kernel: Kernel,
    sizes: Sizes,
    form: pytree.TreeSpec,
    parts: Sequence[Tensor],
    state: TrainState,
    train: Batch,
    test: Batch,
    steps: int,
) -> tuple[CurvePoint, TrainState]:
    """Evaluate and take steps in one launch, or several where the order of batches takes room."""
    del test
    leaves, width = form.flatten_up_to(state), train.y.shape[0]
    at_once = steps
    if sizes.batch_size is not None:
        at_once = max(1, min(steps, ORDER_BYTES // (4 * width * sizes.train)))
    told: list[Tensor] = []
    for start in range(0, max(steps, 1), max(at_once, 1)):
        now = min(at_once, steps - start)
        metrics = [
            train.y.new_empty(width)
            if is_loss
            else torch.empty(width, dtype=torch.int64, device=train.y.device)
            for is_loss in (True, False, True, False)
        ]
        orders = [_orders(state, sizes, now)] if sizes.batch_size is not None else []
        _launch(kernel, width, [*leaves, *parts, *metrics, *orders], now)
        told = told or metrics  # what a later launch of the same span reads is not asked for
    return CurvePoint(Metrics(*told[:2]), Metrics(*told[2:])), state


def _orders(state: TrainState, sizes: Sizes, epochs: int) -> Tensor:
    """The orders of the samples in the epochs that come: (replicate, epoch, sample)."""
    assert sizes.batch_size is not None
    assert isinstance(state.step, Tensor)
    assert isinstance(state.key, Tensor)
    steps = steps_per_epoch(sizes.train, sizes.batch_size, sizes.drop_last)
    width, device = state.step.shape[0], state.step.device
    found = torch.empty(width, max(epochs, 1), sizes.train, dtype=torch.int32, device=device)
    of_all = torch.func.vmap(
        lambda key, step: epoch_order(TrainState({}, (), key=key, step=step), sizes.train, steps)
    )
    for epoch in range(epochs):
        found[:, epoch] = of_all(state.key, state.step + epoch * steps)
    return found


def options(layout: Layout) -> dict[str, Any]:
    """How Triton compiles a program.

    Products are added to sums in one operation, as Triton does by default up to version 3.9.
    """
    return {"num_warps": layout.warps, "num_stages": 1, "enable_fp_fusion": True}


def _launch(kernel: Kernel, width: int, tensors: Sequence[Tensor], steps: int) -> None:
    kernel.function[(width,)](*tensors, steps, **options(kernel.layout))


def _loaded_for(recipe: Recipe, data: ChunkData) -> tuple[Kernel, Sizes]:
    sizes = sizes_of(recipe, recipe.initial_state(0), data)
    precision = "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"
    kernel = _loaded(
        *(recipe, data.task, code_of(recipe), sizes, data.train.x.shape[2], precision),
        data.train.x.device,
    )
    return kernel, sizes


@functools.lru_cache(maxsize=64)
def _loaded(
    recipe: Recipe,
    task: Task,
    code: str,
    sizes: Sizes,
    features: int,
    precision: str,
    device: torch.device,
) -> Kernel:
    """A program on its device, in the first layout in which it has room."""
    del code  # a key
    reason = ""
    for make in kernels(recipe, task, sizes, features, precision):
        try:
            kernel = make()
            if device.type == "cuda":
                _compile(kernel, recipe, sizes, device)
        except TooLargeError as error:
            reason = str(error)
        else:
            return kernel
    raise TooLargeError(reason)


def kernels(
    recipe: Recipe, task: Task, sizes: Sizes, features: int, precision: str
) -> list[Callable[[], Kernel]]:
    """What makes a recipe's program, not compiled yet, in one layout after another.

    Args:
        recipe: whose training it is.
        task: whose loss and score.
        sizes: what it is for.
        features: of a sample.
        precision: of matmuls: "ieee" or "tf32".

    Raises:
        UnfusableError: when the recipe holds what cannot be fused; what is returned raises a
            `TooLargeError` where there is no room.
    """
    if sizes.dtype != torch.float32:
        raise UnfusableError(f"its weights are {sizes.dtype}, and the device's are float32")
    state, batch = examples(recipe, sizes, features)
    with ONE_AT_A_TIME:
        traced = graphs(recipe, task, state, batch, sizes)

    def make(layout: Layout) -> Kernel:
        source = print_triton.source(traced, sizes, layout)
        return Kernel(_function(source), layout, source)

    return [functools.partial(make, layout) for layout in layouts(precision)]


def _function(source: str) -> Any:
    """The kernel of a source: Triton reads it again, where Python says that it is written."""
    name = f"<functional_clf {hash(source) & (2**64 - 1):016x}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "functional_clf.fused"}
    exec(compile(source, name, "exec", dont_inherit=True), namespace)
    return namespace["fit"]


def _compile(kernel: Kernel, recipe: Recipe, sizes: Sizes, device: torch.device) -> None:
    """Compile a program, and see whether it has room.

    Raises:
        TooLargeError: when it has not.
    """
    from triton.runtime.errors import OutOfResources

    state, _ = examples(recipe, sizes, 1)
    types = [leaf.dtype for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]
    types += [sizes.dtype] * 4 + [sizes.dtype, torch.int64] * 2
    if sizes.batch_size is not None:
        types.append(torch.int32)
    with _on(device):
        compiled = kernel.function.warmup(*types, 2, grid=(1,), **options(kernel.layout))
        try:
            compiled._init_handles()
        except OutOfResources as error:
            raise TooLargeError(f"its program does not fit on the device: {error}") from error
    if compiled.n_spills:
        raise TooLargeError(
            f"its state and its samples are too many for the device's registers: "
            f"{compiled.n_spills} numbers of a thread have no room"
        )


def _on(device: torch.device) -> torch.cuda.device:
    """Let launches go to a device; on the CPU, where Triton's interpreter runs, to none."""
    return torch.cuda.device(device if device.type == "cuda" else -1)


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
