"""What the kept weights of a study decide on a plane of points."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from functional_clf.reports.pictures import ModelDecisions

if TYPE_CHECKING:
    from functional_clf.contestants.recipe import Recipe
    from functional_clf.study.results import Results

GRID = 100
"""Points along each side of the grid on which decisions are drawn."""


def plane_around(x: ndarray) -> ndarray:
    """Points around samples `(sample, 2)`, as `(2, GRID, GRID)`."""
    low, high = x.min(0), x.max(0)
    room = np.where(high > low, 0.12 * (high - low), 1.0)  # also around a constant feature
    sides = [np.linspace(low[i] - room[i], high[i] + room[i], GRID) for i in range(2)]
    return np.stack(np.meshgrid(*sides))


def decisions_of(results: "Results", recipe: "Recipe", plane: ndarray) -> ModelDecisions:
    """One model's decisions on a plane.

    Args:
        results: of the study.
        recipe: one of its, of which weights are kept.
        plane: points in the units of what the data set draws, `(2, row, column)`.
    """
    study = results.study
    seeds, params = results.params[recipe.name]
    table = results.of(recipe.name).filter(results.of(recipe.name)["seed"].is_in(seeds))
    accuracies = (table["test_correct"] / table["n_test"]).to_numpy()
    median = int(np.argsort(accuracies, kind="stable")[(len(seeds) - 1) // 2])
    one = study.replicate(seeds[median])
    x, y = study.dataset.sample(one.data_seed)
    tested = study.dataset.split(study.test_size, one.split_seed).test
    tested = tested[np.isfinite(x[tested]).all(1)]
    points = _points_of(results, plane)
    found = _decided(
        recipe.model.apply, params, lambda seed: points(seeds[seed]), median,
        study.dataset.n_classes,
    )  # fmt: skip
    is_binary = study.dataset.n_classes == 2
    counts = found.votes[1:] if is_binary else found.votes
    form = plane.shape[1:]
    has_voted = found.n_voting > 0
    return ModelDecisions(
        model=study.names.index(recipe.name),
        seed=seeds[median],
        accuracy=100 * float(accuracies[median]),
        x=x[tested],
        y=y[tested],
        logits=np.moveaxis(found.logits, 0, -1).reshape(*found.logits.shape[1:], *form),
        votes=found.n_voting,
        diverged=len(seeds) - found.n_voting,
        winner=np.empty(0) if is_binary or not has_voted else counts.argmax(0).reshape(form),
        share=(counts.max(0) / found.n_voting).reshape(form) if has_voted else np.empty(0),
    )


class _Decided(NamedTuple):
    """Logits of one seed, votes of all, `(class, point)`, and how many seeds vote at all."""

    logits: ndarray
    votes: ndarray
    n_voting: int


def _points_of(results: "Results", plane: ndarray) -> Callable[[int], ndarray]:
    """By seed, the plane's points as the models of that seed are given them."""
    study = results.study
    points = np.stack([side.ravel() for side in plane], 1)

    @functools.lru_cache(1)  # where only the initial weights vary, all seeds share a split
    def prepared(split_seed: int) -> ndarray:
        rows = study.dataset.split(study.test_size, split_seed)
        return study.dataset.prepared_points(points, rows)

    if not study.dataset.is_table:
        return lambda seed: points
    return lambda seed: prepared(study.replicate(seed).split_seed)


def _decided(
    apply: Any,
    params: Mapping[str, ndarray],
    points_of: Callable[[int], ndarray],
    median: int,
    n_classes: int,
) -> _Decided:
    """What stacked weights decide; logits that are not numbers vote for no class."""
    import torch

    from functional_clf.engines.machine import one_torch_thread

    stacked = {key: torch.from_numpy(value) for key, value in params.items()}
    weight = next(iter(stacked.values()))
    kept, votes, n_voting = np.empty(0), np.empty(0, int), 0
    classes = np.arange(n_classes)[:, None]
    with torch.no_grad(), one_torch_thread():
        for seed in range(len(weight)):
            points = torch.tensor(points_of(seed), dtype=weight.dtype)  # may be read-only
            one = {key: value[seed] for key, value in stacked.items()}
            logits = apply(one, points).to(torch.get_default_dtype()).numpy()
            if seed == median:
                kept = logits.copy()
            is_nothing = np.isnan(logits) if n_classes == 2 else np.isnan(logits).any(1)
            chosen = logits > 0 if n_classes == 2 else logits.argmax(1)
            is_vote = (chosen == classes) & ~is_nothing
            votes = is_vote + votes if votes.size else is_vote.astype(int)
            n_voting += not is_nothing.all()
    return _Decided(kept, votes, n_voting)
