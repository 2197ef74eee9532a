"""Which engine ends first, for "auto" to pick it, and what must be compiled for an engine.

A fused program compiles in a second or two and is the fastest, so it is picked where it can be.
Else the choice is between the eager engine and torch's compiler, which takes many seconds. A
compiled graph is cached by torch between processes. Beside torch's cache a small note is kept for
each graph of ours: that it is there, and how long it took. From that, and from a few eager steps,
follows which engine ends first. Where several graphs are missing and there are more than two cores,
all but the first are compiled in child processes at the same time; this process then finds them in
the cache.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch

from functional_clf.cache import cache_folder, open_trusted
from functional_clf.data import ChunkData
from functional_clf.ensemble import ENGINES, EngineName, init_chunk
from functional_clf.fusion import compile_program, is_compiled, why_not_fuse
from functional_clf.machine import why_not_compile
from functional_clf.recipes import Recipe, recipe_again
from functional_clf.types import Batch

COLD_SECONDS = (16.0, 9.0)
"""Compiling the first graph of a process, and each further one (2 cores, torch 2.13)."""
WARM_SECONDS = (4.0, 2.5)
"""The same with the graph in torch's cache."""
SPEED_UP = 12.0
"""How many times as fast compiled training is (measured: 11 to 14 on both models together)."""
EAGER_SCALING = 0.7
"""Share of each further thread's time that eager chunks use: they hold the interpreter's lock."""
PATIENCE = 3.0
"""Seconds that a compilation may end later than eager would: the next run finds its graphs."""
PROBE_STEPS = 3


class Job(NamedTuple):
    """The work that is to be done by one engine or the other.

    recipes: what to train, each on every chunk.
    data: one chunk's samples, for their shapes.
    chunks: how many there are.
    threads: how many are trained at the same time.
    """

    recipes: Sequence[Recipe]
    data: ChunkData
    chunks: int
    threads: int


class Forecast(NamedTuple):
    """The engine that ends first, and why, in words."""

    engine: EngineName
    reason: str


def choose(job: Job) -> Forecast:
    """Which engine to take: fused where it can be, else the one that ends first.

    Args:
        job: the work to be done.

    Returns:
        The engine, and why.

    Example:
        >>> from functional_clf.data import circles, draw_chunk, replicate
        >>> from functional_clf.recipes import model_0
        >>> data = draw_chunk(circles(100), [replicate(0, "data")], 0.2, torch.device("cpu"))
        >>> choose(Job([model_0()], data, chunks=1, threads=1)).engine in ("fused", "eager")
        True
    """
    hindrance = why_none_fused(job.recipes, job.data)
    if hindrance is None:
        count = len(job.recipes)
        missing = sum(not is_compiled(recipe, job.data) for recipe in job.recipes)
        return Forecast("fused", f"it is the fastest ({missing} of {count} programs are new)")
    if lack := why_not_compile(job.data.train.x.device):
        return Forecast("eager", f"{hindrance}; {lack}")
    ends_first = forecast(job)
    return ends_first._replace(reason=f"{hindrance}; {ends_first.reason}")


def why_none_fused(recipes: Sequence[Recipe], data: ChunkData) -> str | None:
    """What keeps recipes from running as fused programs, or None where nothing does."""
    reasons = (why_not_fuse(recipe, data) for recipe in recipes)
    return next((reason for reason in reasons if reason), None)


def forecast(job: Job) -> Forecast:
    """Which engine ends first without fused programs: eager at once, or torch's after compiling.

    Takes a few eager steps to know this machine's pace.

    Args:
        job: the work to be done.

    Returns:
        "compile" where it ends before eager, or within `PATIENCE` of it.

    Example:
        >>> from functional_clf.data import circles, draw_chunk, replicate
        >>> from functional_clf.recipes import model_0
        >>> one = [replicate(0, "data")]
        >>> data = draw_chunk(circles(100), one, 0.2, torch.device("cpu"))
        >>> forecast(Job([model_0(epochs=2)], data, chunks=1, threads=1)).engine
        'eager'
    """
    at_once = min(job.threads, job.chunks)
    rounds = job.chunks / (1 + EAGER_SCALING * (at_once - 1))
    eager = rounds * sum(one.epochs * _eager_step_seconds(one, job.data) for one in job.recipes)
    missing = [one for one in job.recipes if not is_cached(one, job.data)]
    compiling = compile_seconds(len(job.recipes), len(missing))
    compiled = compiling + eager / SPEED_UP
    graphs = f"{len(missing)} of {len(job.recipes)} graphs are new"
    words = (
        f"eager would take about {eager:.0f} s, and compile {compiled:.0f} s, of which "
        f"{compiling:.0f} s to begin with ({graphs})"
    )
    return Forecast("compile" if compiled <= eager + PATIENCE else "eager", words)


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
    if _compiles_side_by_side():  # then read from the cache
        return cold + WARM_SECONDS[1] * (graphs - 1)
    return cold + COLD_SECONDS[1] * (missing - 1) + WARM_SECONDS[1] * (graphs - missing)


def is_cached(recipe: Recipe, data: ChunkData) -> bool:
    """Whether a recipe's graph was compiled before, for data of this shape, in torch's cache.

    Example:
        >>> from functional_clf.data import circles, draw_chunk, replicate
        >>> from functional_clf.models import mlp
        >>> from functional_clf.optim import sgd
        >>> one = [replicate(0, "data")]
        >>> data = draw_chunk(circles(100), one, 0.2, torch.device("cpu"))
        >>> is_cached(Recipe("new", mlp((2, 1)), sgd(0.123), epochs=1), data)
        False
    """
    return _read(_note_name(recipe, data)) is not None


def compile_all(engine: EngineName, recipes: Sequence[Recipe], data: ChunkData) -> None:
    """Compile for an engine what it needs for every recipe and data of this shape.

    Args:
        engine: which one; "eager" needs nothing.
        recipes: what to compile.
        data: one chunk's samples.
    """
    if engine == "fused":
        with ThreadPoolExecutor(len(recipes)) as pool:  # each waits for a C compiler
            list(pool.map(lambda recipe: compile_program(recipe, data), recipes))
    elif engine == "compile":
        _compile_graphs(recipes, data)


def _compile_graphs(recipes: Sequence[Recipe], data: ChunkData) -> None:
    """Compile every recipe's graph, and note it; what a child cannot make is compiled here."""
    missing = [one for one in recipes if not is_cached(one, data)]
    is_cpu = data.train.x.device.type == "cpu"
    beside = missing[1:] if is_cpu and _compiles_side_by_side() else []
    with _children([_spec(one, data) for one in beside if _can_be_made_again(one)]) as wait:
        for recipe in missing[:1]:
            compile_one(recipe, data)
        wait()
    for recipe in recipes:
        if recipe not in missing[:1]:
            compile_one(recipe, data)


def compile_one(recipe: Recipe, data: ChunkData) -> None:
    """Take one compiled step of a recipe, and note that its graph is now in torch's cache."""
    was_cached = is_cached(recipe, data)
    start = time.perf_counter()
    _step("compile", recipe, data, steps=1)
    if not was_cached:
        text = json.dumps({"seconds": time.perf_counter() - start})
        with contextlib.suppress(OSError):  # a note is a convenience
            note = cache_folder() / _note_name(recipe, data)
            note.touch(mode=0o600)  # whatever the umask
            note.write_text(text)


def _compiles_side_by_side() -> bool:
    """Whether child processes help: a compilation keeps nearly two cores busy by itself."""
    return (os.cpu_count() or 1) > 2


def _eager_step_seconds(recipe: Recipe, data: ChunkData) -> float:
    _step("eager", recipe, data, steps=1)
    start = time.perf_counter()
    _step("eager", recipe, data, PROBE_STEPS)
    return (time.perf_counter() - start) / PROBE_STEPS


def _step(engine: EngineName, recipe: Recipe, data: ChunkData, steps: int) -> None:
    width, device = data.train.y.shape[0], data.train.y.device
    ENGINES[engine](recipe, init_chunk(recipe, range(width), device), data, steps)
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _spec(recipe: Recipe, data: ChunkData) -> dict[str, Any]:
    """What a graph depends on, as plain values."""
    return {
        "recipe": {**recipe.describe(), "name": "graph", "epochs": 1},
        "train": list(data.train.x.shape),
        "test": list(data.test.x.shape),
        "dtype": str(data.train.x.dtype).removeprefix("torch."),
        "device": data.train.x.device.type,
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def _can_be_made_again(recipe: Recipe) -> bool:
    try:
        recipe_again(recipe.describe())
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


@contextlib.contextmanager
def _children(specs: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    """Child processes that compile into torch's cache; yields what waits for them."""
    # The package of this process, and nothing out of the current folder.
    command = [sys.executable, "-P", "-m", "functional_clf.compilation"]
    paths = [str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    children = [
        subprocess.Popen(
            [*command, json.dumps(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        for spec in specs
    ]
    try:
        yield lambda: [child.wait() for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()


def _compile_spec(spec: Mapping[str, Any]) -> None:
    """Compile the graph of a spec; what a child process does."""
    torch.set_num_threads(1)
    torch.set_default_dtype(getattr(torch, spec["dtype"]))
    compile_one(
        recipe_again(spec["recipe"]), ChunkData(_zeros(spec["train"]), _zeros(spec["test"]))
    )


def _zeros(shape: Sequence[int]) -> Batch:
    """Samples of a shape, laid out in memory as those of a drawn chunk."""
    width, samples, features = shape
    return Batch(torch.zeros(width, features, samples).mT, torch.zeros(width, samples))


if __name__ == "__main__":
    _compile_spec(json.loads(sys.argv[1]))
