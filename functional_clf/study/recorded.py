"""Whether what a record holds of a study is what its plan says: sizes, seeds, epochs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import torch

from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.train import evaluated
from functional_clf.core.types import Params
from functional_clf.study.curves import Band
from functional_clf.study.plan import Plan


def misfit(
    plan: Plan,
    table: pl.DataFrame,
    scores: Mapping[str, Mapping[str, np.ndarray]],
    curves: Mapping[str, Mapping[str, Band]],
    params: Mapping[str, tuple[list[int], Mapping[str, np.ndarray]]],
) -> str | None:
    """In words, what a record has that no run of its plan leaves; None where all fits.

    Args:
        plan: of the record's configuration.
        table: of seeds, in order of model and seed.
        scores: by model and name, as `Store.scores` has them.
        curves: by model and name, of all seeds.
        params: by model, the seeds whose weights are kept and these, stacked.
    """
    n_train, n_test = plan.sizes
    if table.height != len(plan.names) * len(plan.seeds):
        return f"it has {table.height} rows of {len(plan.names)} models and {len(plan.seeds)} seeds"
    for name, size in (("n_train", n_train), ("n_test", n_test)):
        if (table[name] != size).any():
            return f"{name} is not {size} in all rows"
    named = ["seed", "data_seed", "split_seed", "init_seed"]
    first = table.head(len(plan.seeds)).select(named).to_numpy()
    if (first != [plan.replicate(seed) for seed in plan.seeds]).any():
        return "its seeds are not those of the study"
    for one in plan.contestants:
        points = {len(band.median) for band in curves[one.name].values()}
        if points != {len(one.curve_epochs)}:
            return f"the curves of {one.name} have other points than it is read at"
        found = scores[one.name]
        epochs = found.get("counts/epochs")
        # What somebody else's counts as an epoch, and how many there may be, only they know.
        is_recipe = isinstance(one, Recipe)
        if is_recipe and epochs is not None and (epochs > one.curve_epochs[-1]).any():
            return f"{one.name} was trained for more epochs than it has"
        confusion = found.get("confusion")
        if confusion is not None and not _is_of(confusion, plan.dataset.n_classes, n_test):
            return f"the confusions of {one.name} are not of {n_test} samples"
        seeds, weights = params[one.name]
        if is_recipe and seeds and _shapes(weights) != _shapes(_initial(one)):
            return f"the weights of {one.name} are not of its shapes"
    return None


def _shapes(stacked: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape[1:]) for key, value in stacked.items()}


def _initial(recipe: Recipe) -> Params:
    return evaluated(init_chunk(recipe, [0], torch.device("cpu")))


def _is_of(confusion: np.ndarray, n_classes: int, n_test: int) -> bool:
    counts = confusion.sum((0, 1))  # none, where nothing is predicted
    return len(confusion) == n_classes and bool(np.isin(counts, (0, n_test)).all())
