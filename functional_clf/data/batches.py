"""From replicate seeds to a chunk's tensors: draw, split, stack."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy import ndarray

from functional_clf.core.tasks import Binary, Task
from functional_clf.core.types import Batch
from functional_clf.data.dataset import Dataset, Sample
from functional_clf.data.seeds import Replicate


class ChunkData(NamedTuple):
    """The samples of a chunk of replicates, with a leading `replicate` axis, and their task.

    raw: of a table, makes of a place in the chunk the rows of its training and of its test part as
        they were brought; None where samples are raw as they are.
    """

    train: Batch
    test: Batch
    task: Task = Binary()
    raw: Callable[[int], tuple[Any, Any]] | None = None


def draw_chunk(
    dataset: Dataset,
    replicates: Sequence[Replicate],
    test_size: float,
    device: torch.device,
    task: Task | None = None,
) -> ChunkData:
    """Draw and split the data of each replicate, and stack them.

    Args:
        dataset: what to draw.
        replicates: the chunk, in order.
        test_size: share of the rows held out for testing, in (0, 1).
        device: where the tensors shall live.
        task: what the labels are; None for the data set's own.

    Returns:
        Tensors of torch's default floating-point type: x `(replicate, sample, feature)`, y
        `(replicate, sample)`.

    Raises:
        ValueError: as `Dataset.sample`, or when a training part lacks a class.

    Example:
        >>> from functional_clf.data.generators import circles
        >>> from functional_clf.data.seeds import replicate
        >>> chunk = [replicate(seed, "data") for seed in range(3)]
        >>> data = draw_chunk(circles(100), chunk, 0.2, torch.device("cpu"))
        >>> data.train.x.shape, data.test.y.shape
        (torch.Size([3, 80, 2]), torch.Size([3, 20]))
    """
    # Replicates may share their data, and padding shares all.
    draws = {seed: dataset.sample(seed) for seed in {one.data_seed for one in replicates}}
    splits = {
        seed: dataset.split(test_size, seed) for seed in {one.split_seed for one in replicates}
    }
    if len(features := {sample.x.shape[1] for sample in draws.values()}) > 1:
        raise ValueError(
            f"data set {dataset.name!r} draws {min(features)} features with one seed and "
            f"{max(features)} with another"
        )
    lane_of: dict[tuple[int, int], int] = {}  # of each draw and split, the first
    stacks: list[_Stack] = []
    for lane, one in enumerate(replicates):
        which = one.data_seed, one.split_seed
        if which in lane_of:
            for stack in stacks:
                stack.repeat(lane, lane_of[which])
            continue
        lane_of[which] = lane
        drawn, rows = draws[one.data_seed], splits[one.split_seed]
        where = f"data set {dataset.name!r}, seed {one.seed}"
        check_all_classes(drawn.y[rows.train], dataset.n_classes, where)
        parts = dataset.prepared(drawn, rows)
        stacks = stacks or [_Stack(len(replicates), part) for part in parts]
        for stack, part in zip(stacks, parts, strict=True):
            stack.put(lane, part)
    train, test = (stack.batch(device) for stack in stacks)

    def raw(lane: int) -> tuple[Any, Any]:
        return dataset.raw_parts(splits[replicates[lane].split_seed])

    return ChunkData(train, test, task or dataset.task, raw if dataset.is_table else None)


def check_all_classes(y: ndarray, n_classes: int, where: str) -> None:
    """See that a training part has all classes.

    Args:
        y: its labels, class numbers.
        n_classes: how many classes there are.
        where: what the message begins with.

    Raises:
        ValueError: when there is one that no label names.

    Example:
        >>> check_all_classes(np.array([0.0, 1.0, 1.0]), 2, "the table")
    """
    found = np.unique(y)
    if len(found) == 1:
        others = "the other class" if n_classes == 2 else "the other classes"
        raise ValueError(
            f"{where}: all {len(y)} training samples are of class {y[0]:g}; it needs more samples "
            f"of {others}, or another test_size"
        )
    if len(found) < n_classes:
        lacking = np.setdiff1d(np.arange(n_classes), found)[0]
        raise ValueError(
            f"{where}: none of the {len(y)} training samples is of class {lacking:g}; it needs "
            "more samples of it, or another test_size"
        )


class _Stack:
    """Samples of many replicates, put together one by one: a table's are large.

    Samples run along memory, as the models' layers take them.
    """

    def __init__(self, width: int, like: Sample) -> None:
        self._columns = np.empty((width, *like.x.T.shape), like.x.dtype)
        self._y = np.empty((width, len(like.y)), like.y.dtype)

    def put(self, lane: int, part: Sample) -> None:
        self._columns[lane], self._y[lane] = part.x.T, part.y

    def repeat(self, lane: int, other: int) -> None:
        self._columns[lane], self._y[lane] = self._columns[other], self._y[other]

    def batch(self, device: torch.device) -> Batch:
        """Tensors, x `(replicate, sample, feature)`."""
        columns = torch.from_numpy(self._columns).to(device)
        return Batch(columns.mT, torch.from_numpy(self._y).to(device))
