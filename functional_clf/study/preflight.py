"""What is checked of a plan before anything is trained or written.

Data that are not what they say end in a number all the same, and in a wrong one: a table that calls
itself redrawn, splits that leave a class out. What is checked of recipes is in `purity.py`.
"""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from functional_clf.contestants.base import described
from functional_clf.contestants.estimators import EstimatorContestant, weighing_warning
from functional_clf.core.same_bits import same_bits
from functional_clf.core.user_code import UnreadableError
from functional_clf.data.batches import check_all_classes, draw_chunk
from functional_clf.data.dataset import Dataset, Sample
from functional_clf.data.seeds import replicate
from functional_clf.stats import validation
from functional_clf.study.plan import Plan
from functional_clf.study.purity import check_recipe

logger = logging.getLogger("functional_clf")

TRIED_SEEDS = 16
"""Where the fits of so many seeds, from the first, all fail alike, a study is not begun."""

COMPARED_DRAWS = 12
"""So many draws are compared before a study, to see whether they are new data."""


def check_plan(plan: Plan, has_folder: bool) -> None:
    """See that data and contestants are what they say; warnings go to the log.

    Args:
        plan: what will be trained.
        has_folder: whether its results will be kept in a run folder, which must tell it from any
            other study.

    Raises:
        ValueError: when they are not, or a part cannot be told from others.
    """
    dataset = plan.dataset
    if has_folder:
        _check_identity(plan)
    count = 2 if dataset.is_own else COMPARED_DRAWS
    rows = range(plan.data_seeds) if plan.design == "crossed" else plan.seeds
    data_seeds = {replicate(row, plan.varies).data_seed: None for row in rows[:count]}
    warnings = check_drawn(dataset, list(data_seeds))
    if plan.varies != "data":
        split_seeds = ((seed, plan.replicate(seed).split_seed) for seed in plan.seeds)
        check_splits(dataset, plan.test_size, split_seeds, plan.metric == "roc_auc")
    validation.references("references", dataset.references())
    one = plan.replicate(plan.seeds.start)
    data = draw_chunk(dataset, [one, one], plan.test_size, torch.device("cpu"))
    init_seeds = [one.init_seed, one.init_seed + 3]
    must_vary = plan.varies == "init" or plan.design == "crossed"
    for recipe in plan.recipes:
        warnings += check_recipe(recipe, data, init_seeds, must_vary)
    for one in plan.contestants:
        if isinstance(one, EstimatorContestant):
            warnings += _of_estimator(one, plan)
    for warning in (*dataset.notices, *warnings):
        logger.warning("%s", warning)


def check_fits(plan: Plan) -> None:
    """See that each estimator can be fitted to one of the first seeds.

    Raises:
        ValueError: when all of a few fits fail alike, or what an estimator tells once it is fitted
            does not define the metric.
    """
    for one in plan.contestants:
        if isinstance(one, EstimatorContestant):
            failures = list(itertools.takewhile(bool, _tried(one, plan)))
            if len(failures) == len(plan.seeds[:TRIED_SEEDS]) and len(set(failures)) == 1:
                count = (
                    "its fit" if len(failures) == 1 else f"all of the first {len(failures)} fits"
                )
                raise ValueError(f"model {one.name!r}: {count} {failures[0]}")


def _tried(one: EstimatorContestant, plan: Plan) -> Iterator[str | None]:
    """Of the first seeds, how each fit failed; None where it did not."""
    for seed in plan.seeds[:TRIED_SEEDS]:
        tried = plan.replicate(seed)
        data = draw_chunk(plan.dataset, [tried], plan.test_size, torch.device("cpu"), plan.task)
        yield one.check(data, tried, plan.metric)


def _of_estimator(one: EstimatorContestant, plan: Plan) -> list[str]:
    found = [weighing_warning(one)] if plan.class_weight is not None else []
    if plan.varies == "init" and plan.design == "paired" and not one.is_seeded:
        found.append(
            f"model {one.name!r} has no random_state; with vary='init' all of its seeds are the "
            "same run"
        )
    return [line for line in found if line is not None]


def _check_identity(plan: Plan) -> None:
    """See that every part can be told from another of the same name."""
    hint = (
        "so that a run folder could not tell it from another one; run it without a folder, or let "
        "it read plain values"
    )
    if plan.dataset.describe().get("code", "") is None:
        raise ValueError(
            f"data set {plan.dataset.name!r}: what its draw reads cannot be told, {hint}"
        )
    for recipe in plan.recipes:
        try:
            recipe.reading()
        except UnreadableError as error:
            raise ValueError(f"recipe {recipe.name!r} reads {error}, {hint}") from error
    for one in plan.contestants:
        if described(one)["code"] is None:
            raise ValueError(f"model {one.name!r}: what its train reads cannot be told, {hint}")


def check_drawn(dataset: Dataset, data_seeds: Sequence[int]) -> list[str]:
    """See that a data set is what it says: decided by the seed, and redrawn or fixed.

    Args:
        dataset: what to draw.
        data_seeds: some that a study draws, all different; a fixed data set has one.

    Returns:
        Warnings, a line each.

    Raises:
        ValueError: when it is fixed and says that it is not, or not decided by the seed.

    Example:
        >>> from functional_clf.data.generators import circles
        >>> check_drawn(circles(100), (0, 3))
        []
    """
    draws = [dataset.sample(seed) for seed in data_seeds]
    if not same_bits(tuple(draws[0]), tuple(dataset.sample(data_seeds[0]))):
        raise ValueError(
            f"data set {dataset.name!r} drew other samples when the same seed was drawn again; "
            "draw must depend on its seed alone"
        )
    counted = [_counted_rows(draw) for draw in draws]
    shared = [_shared(*pair) for pair in itertools.combinations(counted, 2)]
    n = dataset.n_samples
    if shared and min(shared) == n:
        raise ValueError(
            f"data set {dataset.name!r} draws the same samples whatever the seed: it is one fixed "
            "table, of which vary='data' would claim new data. Make it "
            "Dataset(..., is_fixed=True), whose vary is 'split'"
        )
    # Where there are few distinct samples at all, draws share them by chance.
    if shared and 4 * max(shared) > n and 2 * len(counted[0][0]) > n:
        return [
            f"data set {dataset.name!r}: {max(shared)} of {n} samples of one draw are in another "
            "one, too; where draws are parts of one table, or of a few, vary='data' claims too much"
        ]
    return []


def _counted_rows(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """The different samples with their labels, each as one opaque value, and how often each is."""
    table = np.ascontiguousarray(np.column_stack([*sample])) + 0.0  # one zero, not two
    rows = table.view(np.dtype((np.void, table.itemsize * table.shape[1]))).ravel()
    return np.unique(rows, return_counts=True)


def _shared(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> int:
    """How many samples of one draw are in another, each counted as often as it is in both."""
    (rows, counts), (others, other_counts) = one, other
    if rows.dtype != others.dtype:  # of another number of features
        return 0
    _, here, there = np.intersect1d(rows, others, assume_unique=True, return_indices=True)
    return int(np.minimum(counts[here], other_counts[there]).sum())


def check_splits(
    dataset: Dataset,
    test_size: float,
    split_seeds: Iterable[tuple[int, int]],
    all_in_test: bool = False,
) -> None:
    """See that each split of a fixed data set leaves all classes to train on.

    Args:
        dataset: of which seed 0 is drawn.
        test_size: share of the samples held out for testing.
        split_seeds: of each replicate its seed, and that of its split.
        all_in_test: whether the test part must have all classes, too.

    Raises:
        ValueError: when one does not; the message names its replicate seed.

    Example:
        >>> from functional_clf.data.generators import circles
        >>> check_splits(circles(100), 0.2, [(0, 1), (1, 4)])
    """
    y = dataset.sample(0).y
    n_train, n_test = dataset.sizes(test_size)
    _, counts = np.unique(y, return_counts=True)
    is_safe = counts.min() > len(y) - n_train  # more than could be left out of the training part
    is_safe &= not all_in_test or counts.min() > len(y) - n_test
    if is_safe:
        return
    for seed, split_seed in split_seeds:
        rows, where = (
            dataset.split(test_size, split_seed),
            f"data set {dataset.name!r}, seed {seed}",
        )
        check_all_classes(y[rows.train], dataset.n_classes, where)
        lacking = np.setdiff1d(np.arange(dataset.n_classes), y[rows.test])
        if all_in_test and len(lacking):
            raise ValueError(
                f"{where}: no test sample is of class {dataset.class_names[lacking[0]]}, so that "
                "roc_auc is not defined; it needs more samples of it, another test_size, or "
                "another metric"
            )
