"""What another process sends of a chunk, held against what was asked for."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from functional_clf.contestants.base import Contestant
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.train import evaluated
from functional_clf.record.rows import CURVES, SEED_COLUMNS, WARNED, ChunkResult
from functional_clf.stats.metrics import METRICS
from functional_clf.study.plan import Plan
from functional_clf.study.scores import SCORED
from functional_clf.support.arguments import short

ROUNDING = 1e-6
"""A score may lie so far outside its range."""


class Form(NamedTuple):
    """What an array must be: kinds of dtypes, a shape, and between what its numbers lie.

    A NaN is in any range: it says that there is no such number.
    """

    kinds: str
    shape: tuple[int, ...]
    low: float = -math.inf
    high: float = math.inf


def answer_check(
    plan: Plan, keeps_params: Callable[[Sequence[int]], bool]
) -> Callable[[Sequence[int], ChunkResult], None]:
    """A check of the results that others send of chunks of a plan.

    Args:
        plan: what is trained.
        keeps_params: whether the weights of a chunk of these seeds are kept.

    Returns:
        A function of the seeds and the result; it raises a ValueError that says what is wrong.

    Example:
        >>> check = answer_check(Plan(seeds=4), lambda seeds: False)
        >>> check([0, 1], ChunkResult([("model_0", 0)], {}, {}))
        Traceback (most recent call last):
        ValueError: it has 1 rows; they must be 4
    """
    weights: dict[str, Mapping[str, tuple[int, ...]]] = {}

    def shapes_of(recipe: Recipe) -> Mapping[str, tuple[int, ...]]:
        if recipe.name not in weights:
            first = evaluated(init_chunk(recipe, [0], torch.device("cpu")))
            weights[recipe.name] = {key: tuple(value.shape[1:]) for key, value in first.items()}
        return weights[recipe.name]

    def check(seeds: Sequence[int], result: ChunkResult) -> None:
        n_rows = len(plan.contestants) * len(seeds)
        if len(result.rows) != n_rows:
            raise ValueError(f"it has {len(result.rows)} rows; they must be {n_rows}")
        curves, params = dict(result.curves), dict(result.params)
        for index, one in enumerate(plan.contestants):
            own = _taken(curves, one.name)
            _check_arrays(one.name, own, *_forms(plan, one, len(seeds)))
            _check_rows(
                plan, one, seeds, result.rows[index * len(seeds) : (index + 1) * len(seeds)], own
            )
            kept = _taken(params, one.name)
            if keeps_params(seeds):
                shapes = shapes_of(one) if isinstance(one, Recipe) else None
                _check_params(one.name, kept, shapes, len(seeds))
            elif kept:
                raise ValueError(f"model {one.name!r}: weights came that are not kept")
        if curves or params:
            raise ValueError(f"it holds {short(next(iter([*curves, *params])))}, of no model here")

    return check


def _taken(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays of one model, by their names without its own; they are taken out."""
    keys = [key for key in arrays if key.startswith(f"{name}/")]
    return {key.removeprefix(f"{name}/"): arrays.pop(key) for key in keys}


def _forms(
    plan: Plan, contestant: Contestant, n_seeds: int
) -> tuple[dict[str, Form], list[dict[str, Form]]]:
    """The arrays that must be there, and those of which all or none of a group may be."""
    (n_train, n_test), n_classes = plan.sizes, plan.dataset.n_classes
    points = len(contestant.curve_epochs), n_seeds
    must = {key: Form("f", points) for key in CURVES}
    must["train_correct"] = Form("i", points, 0, n_train)
    must["test_correct"] = Form("i", points, 0, n_test)
    upper = {name: METRICS[name].upper for name in ("accuracy", *SCORED)}
    scores = {
        name: Form("f", (n_seeds,), -ROUNDING, math.inf if high is None else high + ROUNDING)
        for name, high in upper.items()
    }
    scored = {f"scores/{name}": scores[name] for name in SCORED}
    scored["confusion"] = Form("i", (n_classes, n_classes, n_seeds), 0, n_test)
    last = contestant.curve_epochs[-1] if isinstance(contestant, Recipe) else math.inf
    counts = [
        {f"counts/{name}": Form("i", (n_seeds,), 0, last)} for name in ("epochs", "best_epoch")
    ]
    may = []
    if plan.has_metrics:
        must |= {f"majority/{name}": form for name, form in scores.items()}
        may.append(scored)
    if not isinstance(contestant, Recipe):
        may += counts
    elif contestant.stop is not None:
        must |= counts[0] | counts[1]
    return must, may


def _check_arrays(
    model: str,
    arrays: Mapping[str, np.ndarray],
    must: Mapping[str, Form],
    may: Sequence[Mapping[str, Form]],
) -> None:
    wanted = dict(must)
    for group in may:
        if arrays.keys() & group.keys():
            wanted |= group
    if lacking := sorted(wanted.keys() - arrays.keys()):
        raise ValueError(f"model {model!r}: its {lacking[0]} is not there")
    n_seeds = must[CURVES[0]].shape[1]
    for key, array in arrays.items():
        is_warning = key.startswith(WARNED)
        if key not in wanted and not is_warning:
            raise ValueError(f"model {model!r}: it has {short(key)}, which nobody asked for")
        _check_form(model, key, array, Form("b", (n_seeds,)) if is_warning else wanted[key])


def _check_form(model: str, key: str, array: np.ndarray, form: Form) -> None:
    if array.dtype.kind not in form.kinds or array.shape != form.shape:
        raise ValueError(
            f"model {model!r}: its {short(key)} is of {array.dtype} and shape {array.shape}; the "
            f"shape must be {form.shape}"
        )
    numbers = array[~np.isnan(array)]
    if not ((numbers >= form.low) & (numbers <= form.high)).all():
        raise ValueError(
            f"model {model!r}: its {short(key)} has values outside {form.low} to {form.high}"
        )


def _check_rows(
    plan: Plan,
    contestant: Contestant,
    seeds: Sequence[int],
    rows: Sequence[tuple[Any, ...]],
    curves: Mapping[str, np.ndarray],
) -> None:
    """Each row is of its seed, and says of the last point what the curves say."""
    n_train, n_test = plan.sizes
    last = {key: curves[key][-1].tolist() for key in CURVES}
    losses = np.concatenate([curves["train_loss"], curves["test_loss"]])
    finite = np.all(np.isfinite(losses), axis=0)
    for lane, (seed, row) in enumerate(zip(seeds, rows, strict=True)):
        wanted = (
            *(contestant.name, *plan.replicate(seed)),
            *(last["train_correct"][lane], n_train, last["test_correct"][lane], n_test),
            *(last["train_loss"][lane], last["test_loss"][lane]),
        )
        if len(row) != len(SEED_COLUMNS) or not all(map(_is_same, row, wanted)):
            differing = next(_differing(row, wanted), "the number of columns")
            raise ValueError(
                f"model {contestant.name!r}, seed {seed}: its row differs in {differing}"
            )
        diverged = row[-1]
        if not isinstance(diverged, bool) or (
            isinstance(contestant, Recipe) and not finite[lane] and not diverged
        ):
            raise ValueError(
                f"model {contestant.name!r}, seed {seed}: diverged is {short(diverged)}"
            )


def _differing(row: Sequence[Any], wanted: Sequence[Any]) -> Iterator[str]:
    for name, found, asked in zip(SEED_COLUMNS, row, wanted, strict=False):
        if not _is_same(found, asked):
            yield f"{name}, {short(found)} in place of {short(asked)}"


def _is_same(found: Any, wanted: Any) -> bool:
    if type(found) is not type(wanted):
        return False
    return found == wanted or (found != found and wanted != wanted)


def _check_params(
    model: str,
    params: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]] | None,
    n_seeds: int,
) -> None:
    """The weights are those of its network; of a contestant that is none, numbers of each seed."""
    if shapes is not None and params.keys() != shapes.keys():
        raise ValueError(f"model {model!r}: its weights are {short(sorted(params))}")
    for key, array in params.items():
        shape = array.shape[1:] if shapes is None else shapes[key]
        _check_form(model, key, array, Form("fiub", (n_seeds, *shape)))
