"""What is known of compiled graphs: which lie in torch's cache, and how long compiling takes.

Torch caches a compiled graph between processes. Beside its cache a small note is kept for each of
ours: that it is there, and how long it took. Where several graphs are missing and there are more
than two cores, all but the first are compiled in child processes at the same time; this process
then finds them in the cache.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.tasks import task_of
from functional_clf.core.types import Batch
from functional_clf.data.batches import ChunkData
from functional_clf.engines.cache import cache_folder, open_trusted
from functional_clf.registry import CONTESTANTS, ENGINES, made_again
from functional_clf.support import stopping
from functional_clf.support.files import write_whole
from functional_clf.support.processes import child_environment, kill_group, serve

COLD_SECONDS = (16.0, 9.0)
"""Compiling the first graph of a process, and each further one (2 cores, torch 2.13)."""
WARM_SECONDS = (4.0, 2.5)
"""The same with the graph in torch's cache."""

TICK_SECONDS = 0.05
LONGEST_SECONDS = 600.0
"""A child that takes longer is given up."""


def compile_seconds(graphs: int, missing: int) -> float:
    """How long it takes to have `graphs` graphs ready, `missing` of them not in torch's cache.

    Example:
        >>> compile_seconds(2, missing=0) < compile_seconds(2, missing=2)
        True
    """
    warm = WARM_SECONDS[0] + WARM_SECONDS[1] * (graphs - 1)
    if not missing:
        return warm
    cold = _remembered_seconds() or COLD_SECONDS[0]
    if compiles_side_by_side():  # then read from the cache
        return cold + WARM_SECONDS[1] * (graphs - 1)
    return cold + COLD_SECONDS[1] * (missing - 1) + WARM_SECONDS[1] * (graphs - missing)


def is_cached(recipe: Recipe, data: ChunkData) -> bool:
    """Whether a recipe's graph was compiled before, for data of this shape, in torch's cache.

    Example:
        >>> from functional_clf.data.batches import draw_chunk
        >>> from functional_clf.data.generators import circles
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> from functional_clf.data.seeds import replicate
        >>> one = [replicate(0, "data")]
        >>> data = draw_chunk(circles(100), one, 0.2, torch.device("cpu"))
        >>> is_cached(Recipe("new", mlp((2, 1)), sgd(0.123), epochs=1), data)
        False
    """
    return _read(_note_name(recipe, data)) is not None


@contextlib.contextmanager
def noting(recipe: Recipe, data: ChunkData) -> Iterator[None]:
    """Note, after a block that compiles a graph, that it is in the cache and how long it took."""
    was_cached = is_cached(recipe, data)
    start = time.perf_counter()
    yield
    if not was_cached:
        text = json.dumps({"seconds": time.perf_counter() - start})
        with contextlib.suppress(OSError):  # a note is a convenience
            write_whole(cache_folder() / _note_name(recipe, data), text.encode(), mode=0o600)


def compiles_side_by_side() -> bool:
    """Whether child processes help: a compilation keeps nearly two cores busy by itself.

    Example:
        >>> compiles_side_by_side() in (True, False)
        True
    """
    return (os.cpu_count() or 1) > 2


@contextlib.contextmanager
def children(recipes: Sequence[Recipe], data: ChunkData) -> Iterator[Callable[[], None]]:
    """Child processes that compile graphs into torch's cache; yields what waits for them.

    Args:
        recipes: whose; those that their description does not make again are left out.
        data: one chunk's samples, for their shapes.
    """
    # The package of this process, and nothing out of the current folder.
    command = [sys.executable, "-P", "-m", __name__]
    started = [
        subprocess.Popen(
            [*command, json.dumps(_spec(recipe, data)), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            start_new_session=True,  # so that its compilers can be ended with it
        )
        for recipe in recipes
        if _can_be_made_again(recipe)
    ]

    def wait() -> None:
        until = time.monotonic() + LONGEST_SECONDS
        while any(child.poll() is None for child in started) and time.monotonic() < until:
            stopping.check()
            time.sleep(TICK_SECONDS)

    try:
        yield wait
    finally:
        for child in started:
            kill_group(child)
            child.wait()


def _spec(recipe: Recipe, data: ChunkData) -> dict[str, Any]:
    """What a graph depends on, as plain values."""
    return {
        "recipe": {**recipe.describe(), "name": "graph", "epochs": 1},
        "n_classes": data.task.n_classes,
        "train": list(data.train.x.shape),
        "test": list(data.test.x.shape),
        "dtype": str(data.train.x.dtype).removeprefix("torch."),
        "device": data.train.x.device.type,
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def _can_be_made_again(recipe: Recipe) -> bool:
    try:
        made_again(CONTESTANTS, recipe.describe())
    except ValueError:
        return False
    return True


def _note_name(recipe: Recipe, data: ChunkData) -> str:
    text = json.dumps(_spec(recipe, data), sort_keys=True)
    return f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}.json"


def _read(name: str) -> bytes | None:
    """A note in the cache, or None where there is none, or none that can be trusted."""
    with contextlib.suppress(OSError), open_trusted(cache_folder() / name) as file:
        return file.read()
    return None


def _remembered_seconds() -> float | None:
    """The longest cold compilation that this machine's notes tell of."""
    seconds = []
    with contextlib.suppress(OSError):
        for path in cache_folder().glob("*.json"):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                seconds.append(float(json.loads(_read(path.name) or b"")["seconds"]))
    return max(seconds, default=None)


def _compile_spec(spec: Mapping[str, Any]) -> None:
    """Compile the graph of a spec; what a child process does."""
    torch.set_num_threads(1)
    torch.set_default_dtype(getattr(torch, spec["dtype"]))
    task = task_of(spec["n_classes"])
    data = ChunkData(_zeros(spec["train"]), _zeros(spec["test"]), task)
    ENGINES["compile"].compile_one(made_again(CONTESTANTS, spec["recipe"]), data)


def _zeros(shape: Sequence[int]) -> Batch:
    """Samples of a shape, laid out in memory as those of a drawn chunk."""
    width, samples, features = shape
    return Batch(torch.zeros(width, features, samples).mT, torch.zeros(width, samples))


if __name__ == "__main__":
    serve(int(sys.argv[2]))
    _compile_spec(json.loads(sys.argv[1]))
