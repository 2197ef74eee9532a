"""How much memory and disk a study needs, before anything of it is made.

All are lower bounds: what is refused could not have ended. What is only slow runs.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.data.dataset import floating_dtype
from functional_clf.engines.machine import CPU_CHUNK
from functional_clf.record.rows import CURVES
from functional_clf.study.plan import Plan
from functional_clf.support.memory import amount, memory_limit

ROW_BYTES = 88
"""Of the table of seeds in memory: a row a model and seed."""
ROW_BYTES_ON_DISK = 40
"""Of the same in the database, whose numbers take as many bytes as they need."""
CURVE_BYTES = 4 * len(CURVES)
"""Of a point of the learning curves, of a model and seed."""

ENGINES_IN_LAYERS = ("eager", "compile")
"""They hold what each layer makes of all samples of a chunk; a fused program, of a few of one."""


class Need(NamedTuple):
    """What is needed, and of what."""

    bytes: int
    what: str


def check_room(
    plan: Plan, n_missing: int, folder: Path | None = None, is_checked: bool = False
) -> None:
    """See that a study fits into memory, and what it leaves on the disk.

    Args:
        plan: what will be trained.
        n_missing: how many of its seeds are still to be trained.
        folder: the run folder; None where the disk is of no matter yet.
        is_checked: whether functions of somebody's own are known to be what they should be, so that
            one replicate's weights can be drawn.

    Raises:
        ValueError: when it does not; the message names the argument, what it needs and the limit.

    Example:
        >>> from functional_clf import circles
        >>> check_room(Plan(circles(100), seeds=4), n_missing=4)
        >>> check_room(Plan(circles(10**15), seeds=4), n_missing=4)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: samples is 1000000000000000; one draw needs at least 10.7 PiB of memory, and ...
    """
    if (limit := memory_limit()) is not None:
        for need in _needs(plan, n_missing, limit.bytes, is_checked):
            if need.bytes > limit.bytes:
                raise ValueError(
                    f"{need.what} at least {amount(need.bytes)} of memory, and {limit.what} "
                    f"{amount(limit.bytes)}"
                )
    if folder is not None and n_missing:
        _check_disk(plan, n_missing, folder)


def _needs(plan: Plan, n_missing: int, limit: int, is_checked: bool) -> Iterator[Need]:
    """What is needed at the same time, part by part: the first that is too much is told."""
    n_seeds = len(plan.seeds)
    table = n_seeds * (8 + len(plan.contestants) * ROW_BYTES)
    yield Need(table, f"seeds is {n_seeds}; their table needs")
    if not n_missing:
        return
    dataset = plan.dataset
    n_columns = dataset.n_features if dataset.is_table else dataset.n_columns or 1
    samples = sum(plan.sizes) * (n_columns + 1) * floating_dtype().itemsize
    kind = f"the {dataset.n_samples} rows of {dataset.name} need"
    if not dataset.is_table:
        kind = f"samples is {dataset.n_samples}; one draw needs"
    yield Need(samples, kind)
    training = 0
    for one in plan.recipes:
        training = max(training, own := _training_bytes(one, plan, is_checked))
        yield Need(samples + own, f"model {one.name!r}: the training of one seed needs")
    chunk = plan.chunk_size or CPU_CHUNK
    lanes = chunk * (samples + training)
    yield Need(table + lanes, f"chunk_size is {chunk}; a chunk of so many seeds needs")
    if plan.device != "cpu" and torch.cuda.is_available():
        return
    threads = min(plan.threads or torch.get_num_threads(), -(-n_missing // chunk))
    yield Need(table + threads * lanes, f"threads is {threads}; so many chunks at once need")


def _training_bytes(recipe: Recipe, plan: Plan, is_checked: bool) -> int:
    """Of one replicate: its state twice, as drawn and as trained; and what layers make of samples.

    0 where it cannot be told.
    """
    if recipe.kind != "mlp":
        if not is_checked:
            return 0
        leaves = pytree.tree_leaves(recipe.initial_state(0))
        return 2 * sum(leaf.nbytes for leaf in leaves)
    item, sizes = floating_dtype().itemsize, recipe.settings["layer_sizes"]
    state = 2 * item * _n_weights(recipe) * (1 + _n_moments(recipe))
    if plan.engine not in ENGINES_IN_LAYERS and recipe.stop is None:
        return state
    n_train, _ = plan.sizes
    n_held_out = recipe.stop.n_held_out(n_train) if recipe.stop else 0
    at_once = min(recipe.batch_size or n_train, n_train - n_held_out)
    return state + item * at_once * sum(sizes[1:-1])


def _n_weights(recipe: Recipe) -> int:
    sizes = recipe.settings["layer_sizes"]
    return sum((before + 1) * after for before, after in pairwise(sizes))


def _n_moments(recipe: Recipe) -> int:
    """How many numbers a method keeps of each weight, at least."""
    method = recipe.settings["optimizer"]
    has_momentum = bool(recipe.settings.get("momentum"))
    return {"adam": 2, "adamw": 2, "rmsprop": 1 + has_momentum}.get(method, int(has_momentum))


def _check_disk(plan: Plan, n_missing: int, folder: Path) -> None:
    one = 0
    for contestant in plan.contestants:
        one += ROW_BYTES_ON_DISK + CURVE_BYTES * len(contestant.curve_epochs)
        if plan.save_params and isinstance(contestant, Recipe) and contestant.kind == "mlp":
            one += floating_dtype().itemsize * _n_weights(contestant)
    place = next((at for at in (folder, *folder.absolute().parents) if os.path.isdir(at)), None)
    if place is None:
        return
    with suppress(OSError):
        total, _, free = shutil.disk_usage(place)
        if total and free < n_missing * one:  # what is no disk has no room to tell of
            raise ValueError(
                f"seeds is {len(plan.seeds)}; {n_missing} of them need at least "
                f"{amount(n_missing * one)} on the disk of {place}, of which {amount(free)} are "
                "free"
            )
