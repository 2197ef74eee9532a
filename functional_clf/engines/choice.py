"""Which engine ends first, for "auto" to pick it.

A fused program compiles in a second or two and is the fastest, so it is picked where it can be.
Else the choice is between the eager engine and torch's compiler, which takes many seconds: what is
known of its cache, and a few eager steps, tell which of the two ends first.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from functional_clf.contestants.recipe import Recipe
from functional_clf.data.batches import ChunkData
from functional_clf.engines.base import Engine
from functional_clf.engines.compiled import COMPILE, take_steps
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.graph_notes import compile_seconds, is_cached
from functional_clf.engines.vmapped import EAGER

SPEED_UP = 12.0
"""How many times as fast compiled training is (measured: 11 to 14 on both models together)."""
EAGER_SCALING = 0.7
"""Share of each further thread's time that eager chunks use: they hold the interpreter's lock."""
PATIENCE = 3.0
"""Seconds that a compilation may end later than eager would: the next run finds its graphs."""
PROBE_STEPS = 3

PLAIN: Engine = EAGER
"""What "auto" goes on with where compiling for another engine fails: it can always."""


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


class Choice(NamedTuple):
    """The engine that ends first, and why, in words."""

    engine: Engine
    reason: str


def choose(job: Job) -> Choice:
    """Which engine to take: fused where it can be, else the one that ends first.

    Args:
        job: the work to be done.

    Returns:
        The engine, and why.

    Example:
        >>> import torch
        >>> from functional_clf.data.batches import draw_chunk
        >>> from functional_clf.contestants.mlp import model_0
        >>> from functional_clf.data.generators import circles
        >>> from functional_clf.data.seeds import replicate
        >>> data = draw_chunk(circles(100), [replicate(0, "data")], 0.2, torch.device("cpu"))
        >>> choose(Job([model_0()], data, chunks=1, threads=1)).engine.name in ("fused", "eager")
        True
    """
    if not job.recipes:
        return Choice(PLAIN, "there is no recipe among the models")
    hindrance = FUSED.why_not(job.recipes, job.data)
    if hindrance is None:
        count, missing = len(job.recipes), FUSED.count_missing(job.recipes, job.data)
        return Choice(FUSED, f"it is the fastest ({missing} of {count} programs are new)")
    if (apart := next((one for one in job.recipes if not one.together), None)) is not None:
        return Choice(PLAIN, f"{hindrance}; {apart.name} is trained one seed after another")
    if lack := COMPILE.why_not(job.recipes, job.data):
        return Choice(PLAIN, f"{hindrance}; {lack}")
    ends_first = forecast(job)
    return ends_first._replace(reason=f"{hindrance}; {ends_first.reason}")


def for_one_chunk(recipes: Sequence[Recipe], data: ChunkData) -> Engine:
    """The engine for a single chunk, which is not worth more compiling than a fused program's."""
    return PLAIN if FUSED.why_not(recipes, data) else FUSED


def forecast(job: Job) -> Choice:
    """Which engine ends first without fused programs: eager at once, or torch's after compiling.

    Takes a few eager steps to know this machine's pace.

    Args:
        job: the work to be done.

    Returns:
        The compiler's where it ends before eager, or within `PATIENCE` of it.

    Example:
        >>> import torch
        >>> from functional_clf.data.batches import draw_chunk
        >>> from functional_clf.contestants.mlp import model_0
        >>> from functional_clf.data.generators import circles
        >>> from functional_clf.data.seeds import replicate
        >>> one = [replicate(0, "data")]
        >>> data = draw_chunk(circles(100), one, 0.2, torch.device("cpu"))
        >>> forecast(Job([model_0(epochs=2)], data, chunks=1, threads=1)).engine.name
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
    return Choice(COMPILE if compiled <= eager + PATIENCE else EAGER, words)


def _eager_step_seconds(recipe: Recipe, data: ChunkData) -> float:
    take_steps(EAGER, recipe, data, steps=1)
    start = time.perf_counter()
    take_steps(EAGER, recipe, data, PROBE_STEPS)
    return (time.perf_counter() - start) / PROBE_STEPS
