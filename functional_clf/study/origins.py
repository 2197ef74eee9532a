"""Where results are trained: what their bits depend on besides the configuration."""

import hashlib
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import torch
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.data.batches import ChunkData
from functional_clf.engines.base import Engine
from functional_clf.engines.machine import bits_of_torch, environment
from functional_clf.record.environments import FIRST_STEPS
from functional_clf.study.plan import Plan

PROBE_EPOCHS = 2


def origin(plan: Plan, engine: Engine, device: torch.device) -> dict[str, Any]:
    """The environment for the record, with what the bits of this plan's results depend on.

    Example:
        >>> from functional_clf.registry import ENGINES
        >>> cpu = torch.device("cpu")
        >>> "c_compiler" in origin(Plan(), ENGINES["eager"], cpu)["bits"]
        False
        >>> "c_compiler" in origin(Plan(), ENGINES["fused"], cpu)["bits"]
        True
    """
    bits = bits_of_torch(device)
    if plan.recipes and device.type == "cpu":  # elsewhere no compiler of this machine is at work
        bits |= _facts(engine)
    if len(plan.recipes) < len(plan.contestants):  # classifiers that compute with these
        bits |= {name: metadata.version(name) for name in ("numpy", "scipy")}
    return {**environment(device), "bits": bits}


def with_first_steps(
    environment: dict[str, Any], engine: Engine, recipes: Sequence[Recipe], data: ChunkData
) -> dict[str, Any]:
    """The environment with the bits in which a few steps of training end here.

    A compiler may be told more than it says: by a wrapper of its name, by a file of its own. So
    where an engine has this machine's compiler at work, a few steps show what it makes.

    Args:
        environment: as `origin` has it.
        engine: prepared.
        recipes: what it trains.
        data: a chunk of always the same seeds.

    Returns:
        The same, where there is no compiler, or nothing to train.
    """
    on_cpu = data.train.x.device.type == "cpu"
    if not (recipes and on_cpu and _facts(engine)):
        return environment
    digest = hashlib.blake2b(digest_size=8)
    for recipe in recipes:
        width, device = len(data.train.y), data.train.y.device
        state = init_chunk(recipe, range(width), device)
        found = engine.train(recipe, state, data, min(PROBE_EPOCHS, recipe.epochs))
        for leaf in pytree.tree_leaves(found):
            if isinstance(leaf, torch.Tensor):
                digest.update(leaf.detach().contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return {**environment, "bits": {**environment["bits"], FIRST_STEPS: digest.hexdigest()}}


def _facts(engine: Engine) -> dict[str, Any]:
    facts = getattr(engine, "facts", None)  # it may be left out
    return {} if facts is None else facts()
