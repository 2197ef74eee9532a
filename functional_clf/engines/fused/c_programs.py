"""Fused programs on the CPU: replicates trained one after another by C.

A replicate's whole training, learning curve and all, is one call without any Python in it, in
memory that stays in a core's own caches.
"""

import ctypes
import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.tasks import Binary, MultiClass, Task
from functional_clf.core.train import STRIDE, curve_epochs
from functional_clf.core.types import Batch, Curves, Metrics, TrainState
from functional_clf.core.user_code import ONE_AT_A_TIME
from functional_clf.data.batches import ChunkData
from functional_clf.engines.cache import cache_folder
from functional_clf.engines.fused.form import Sizes
from functional_clf.engines.fused.inputs import code_of, examples, form_of_state, sizes_of
from functional_clf.engines.fused.library import is_built, load
from functional_clf.engines.fused.program import program
from functional_clf.engines.fused.sources import source_made_before
from functional_clf.engines.machine import why_no_c_compiler
from functional_clf.support import stopping

_AfterSteps = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_long)


class CPrograms:
    """Programs in C, compiled by this machine's compiler."""

    def lack(self) -> str | None:
        """What this machine lacks for them."""
        return why_no_c_compiler()

    def check(self, recipe: Recipe, data: ChunkData) -> None:
        """Make the program of a recipe, but do not compile it.

        Raises:
            UnfusableError: when the recipe holds what cannot be fused.
        """
        _source_for(recipe, data)

    def prepare(self, recipes: Sequence[Recipe], data: ChunkData) -> None:
        """Have the recipes' programs compiled and loaded.

        Raises:
            UnfusableError: when a recipe holds what cannot be fused.
            BuildError: when there is no C compiler, or it fails.
        """
        over, is_unwanted = threading.Event(), stopping.asked()

        def load_one(recipe: Recipe) -> None:
            load(_source_for(recipe, data), is_over=lambda: over.is_set() or is_unwanted())

        with ThreadPoolExecutor(max(1, len(recipes))) as pool:  # each waits for a C compiler
            try:
                list(pool.map(load_one, recipes))
            finally:
                over.set()  # after Ctrl-C, or where one has failed, the others stop at once

    def count_missing(self, recipes: Sequence[Recipe], data: ChunkData) -> int:
        """How many of the recipes' programs are not in the cache."""
        return sum(not is_built(_source_for(recipe, data)) for recipe in recipes)

    def train(
        self,
        recipe: Recipe,
        state: TrainState,
        data: ChunkData,
        epochs: int,
        after_steps: Callable[[int], None],
    ) -> tuple[TrainState, Curves]:
        """Train the replicates one after another.

        Raises:
            UnfusableError: when the recipe holds what cannot be fused.
            BuildError: when there is no C compiler, or it fails.
        """
        sizes, code = sizes_of(recipe, state, data), code_of(recipe)
        library = _library(recipe, data.task, code, sizes, data.train.x.shape[2], cache_folder())
        form = form_of_state(recipe, code)
        leaves = form.flatten_up_to(state)  # in the program's order, whatever that of the state
        leaves = [leaf.detach().clone(memory_format=torch.contiguous_format) for leaf in leaves]
        width, read_at = data.train.y.shape[0], curve_epochs(epochs)
        batches = [_padded(batch, sizes) for batch in (data.train, data.test)]
        train, test = (
            Metrics(
                data.train.y.new_empty(len(read_at), width),
                torch.empty(len(read_at), width, dtype=torch.int64, device="cpu"),
            )
            for _ in range(2)
        )
        raised: list[BaseException] = []
        taken = 0

        def after_replicate_steps(steps: int) -> int:
            nonlocal taken
            before, taken = taken // width, taken + steps
            try:
                after_steps(taken // width - before)
            except BaseException as error:  # C knows none: it stops, and it is raised below
                raised.append(error)
            return len(raised)

        arguments = (
            ctypes.c_long(width),
            ctypes.c_long(len(read_at)),
            _longs([end - start for start, end in pairwise((*read_at, epochs))]),
            ctypes.c_long(STRIDE),
            (ctypes.c_void_p * len(leaves))(*(leaf.data_ptr() for leaf in leaves)),
            *(_pointer(part) for batch in batches for part in batch),
            *(_pointer(part) for metrics in (train, test) for part in metrics),
            _AfterSteps(after_replicate_steps),
        )
        failed = _off_the_main_thread(lambda: library.fit(*arguments), raised.append)
        if raised:
            raise raised[0]
        if failed:
            raise MemoryError("a fused program got no memory")
        return pytree.tree_unflatten(leaves, form), Curves(read_at, train, test)


def _off_the_main_thread(
    call: Callable[[], int], interrupt: Callable[[BaseException], None]
) -> int:
    """Call C where no signal arrives: Python would have nowhere to raise a Ctrl-C in it."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call)
        try:
            return future.result()
        except BaseException as error:
            interrupt(error)  # its next call of `after_steps` ends it
            raise


@functools.lru_cache(maxsize=64)
def _library(
    recipe: Recipe, task: Task, code: str, sizes: Sizes, features: int, cache: Path
) -> ctypes.CDLL:
    del cache  # a key: another cache is another library
    return load(_source(recipe, task, code, sizes, features))


def _source_for(recipe: Recipe, data: ChunkData) -> str:
    """The program for weights as the recipe draws them."""
    sizes = sizes_of(recipe, recipe.initial_state(0), data)
    return _source(recipe, data.task, code_of(recipe), sizes, data.train.x.shape[2])


@functools.lru_cache(maxsize=64)
def _source(recipe: Recipe, task: Task, code: str, sizes: Sizes, features: int) -> str:
    state, batch = examples(recipe, sizes, features)

    def make() -> str:
        with ONE_AT_A_TIME:
            return program(recipe, task, state, batch, sizes)

    tasks = task, recipe.training_task(task)
    if not recipe.is_own or any(type(one) not in (Binary, MultiClass) for one in tasks):
        return make()
    forms = [[str(leaf.dtype), list(leaf.shape)] for leaf in pytree.tree_leaves(state)]
    spec = {"code": code, "task": repr(tasks), "sizes": repr(sizes), "features": features}
    return source_made_before({**spec, "forms": forms}, make)


def _padded(batch: Batch, sizes: Sizes) -> Batch:
    """Samples as the program takes them: along memory, each row in whole vectors."""
    missing = sizes.padded(batch.y.shape[1]) - batch.y.shape[1]
    if not missing:  # large data are not copied
        return Batch(batch.x.mT.contiguous(), batch.y.contiguous())
    rows = (torch.nn.functional.pad(part, (0, missing)) for part in (batch.x.mT, batch.y))
    return Batch(*(part.contiguous() for part in rows))


def _pointer(tensor: Tensor) -> Any:
    return ctypes.c_void_p(tensor.data_ptr())


def _longs(numbers: Sequence[int]) -> Any:
    return (ctypes.c_long * len(numbers))(*numbers)
