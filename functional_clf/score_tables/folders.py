"""The scores that a run folder's record holds, without torch: exports are not believed."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from functional_clf.record.errors import StoreError
from functional_clf.record.names import FILE_NAME
from functional_clf.record.rows import Look, Looks
from functional_clf.record.store import Store
from functional_clf.registry import DATASETS
from functional_clf.score_tables.table import ScoreTable
from functional_clf.stats.metrics import ACCURACY, METRICS, named

_NOT_SETTINGS = {"kind", "name", "n_samples", "n_classes", "is_fixed", "content", "code"}


def is_run_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a run folder: whether there is a record in it.

    Example:
        >>> is_run_folder(".")
        False
    """
    return (Path(path) / FILE_NAME).is_file()


def scores_of_folder(path: str | os.PathLike[str], metric: str | None = None) -> ScoreTable:
    """The test scores of all seeds of a run folder, out of its record, once that is verified.

    Nothing is written, and no look is noted. Margin, alpha and, where none is asked for, the metric
    are those of the last look at the study.

    Args:
        path: of the run folder.
        metric: a name in `stats.METRICS`; None for the one that the study was last compared by.

    Returns:
        Counts of correct predictions, or the scores of another metric.

    Raises:
        ValueError: when the folder holds no study, or one of a crossed design, or the metric is not
            recorded of every seed.
        StoreError: when the record is damaged, or another process uses it.

    Example:
        >>> scores_of_folder("runs/none")
        Traceback (most recent call last):
        ValueError: runs/none holds no study: there is no study.sqlite in it
    """
    folder = Path(path)
    if not is_run_folder(folder):
        raise ValueError(f"{folder} holds no study: there is no {FILE_NAME} in it")
    if metric is not None and metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; it must be one of {', '.join(METRICS)}")
    with Store(folder, must_exist=True) as store:
        identity, seeds = store.configuration, sorted(store.finished_seeds())
        if identity is None or not seeds:
            raise ValueError(f"{folder} holds no finished seed yet; run its study first")
        if identity.get("design") == "crossed":
            raise ValueError(
                f"{folder} is of a crossed design, whose cells are no pairs; its results.json has "
                "the comparison"
            )
        last = store.last_look()
        metric = metric or (last.metric if last else ACCURACY.name)
        every = range(seeds[0], seeds[-1] + 1)
        table = store.seeds(every)
        names = [str(name) for name in identity["models"]]
        recorded = {name: store.scores(name, every) for name in names}
        looks, is_sequential = store.looks(every), store.is_sequential
    try:
        found = _table(folder, identity, table, recorded, metric, last, looks)
        return replace(found, sequential=is_sequential)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise StoreError(
            f"{folder} does not say of its study what any run says ({error!r}); it was not made by "
            "this version of functional_clf"
        ) from error


def _table(
    folder: Path,
    identity: Mapping[str, Any],
    table: pl.DataFrame,
    recorded: Mapping[str, Mapping[str, np.ndarray]],
    metric: str,
    last: Look | None,
    looks: Looks,
) -> ScoreTable:
    dataset, names = identity["dataset"], list(recorded)
    columns = {name: table.filter(pl.col("model") == name) for name in names}
    seeds = columns[names[0]]["seed"].to_numpy()
    n_train, n_test = (_one_number(folder, table[f"n_{part}"]) for part in ("train", "test"))
    is_accuracy = metric == ACCURACY.name
    if is_accuracy:
        scores = {name: own["test_correct"].to_numpy() for name, own in columns.items()}
    else:
        scores = {name: _scores(folder, name, own, metric, seeds) for name, own in recorded.items()}
    majority = recorded[names[0]].get(f"majority/{metric}")
    doubts = []
    missing = int(seeds[-1] - seeds[0]) + 1 - len(seeds)
    if missing:
        doubts.append(
            f"{folder}: {missing} of the seeds {seeds[0]} to {seeds[-1]} are missing, as the run "
            "was cut off; the same command as before trains them"
        )
    failure_below = None
    if is_accuracy and majority is None:
        failure_below = _failure_threshold(dataset)
        if failure_below is None:
            doubts.append(
                f"{folder} does not keep which accuracy is a failure; say it by --failure-below"
            )
    return ScoreTable(
        scores,
        seeds,
        metric,
        str(folder),
        total=n_test if is_accuracy else None,
        diverged={name: own["diverged"].to_numpy() for name, own in columns.items()},
        majority=majority,
        scope="test_set" if dataset.get("own_test") else _varied(identity),
        n_train=n_train,
        n_test=n_test,
        setting=_called(dataset),
        step=_step(metric, recorded),
        failure_below=failure_below,
        margin=last.margin if last and last.metric == metric else None,
        alpha=last.alpha if last else None,
        looks=looks,
        identity=identity,
        doubts=tuple(doubts),
    )


def _one_number(folder: Path, column: pl.Series) -> int:
    if column.n_unique() != 1:
        raise StoreError(f"{folder}: {column.name} is not the same for all seeds")
    return int(column[0])


def _varied(identity: Mapping[str, Any]) -> str:
    vary = identity["vary"]
    if vary not in ("data", "split", "init"):
        raise KeyError(f"vary {vary!r}")
    return vary


def _scores(
    folder: Path, model: str, recorded: Mapping[str, np.ndarray], metric: str, seeds: np.ndarray
) -> np.ndarray:
    found = recorded.get(f"scores/{metric}")
    if found is None:
        told = [name.removeprefix("scores/") for name in recorded if name.startswith("scores/")]
        raise ValueError(
            f"metric is {metric!r}, which {folder} does not record of {model}; it must be one of "
            f"{', '.join([ACCURACY.name, *told])}"
        )
    lacking = np.isnan(found)
    if lacking.any():
        raise ValueError(
            f"metric is {metric!r}; of seed {seeds[lacking][0]} of {model} it is not defined in "
            f"{folder}, as a class has no test sample, or its predictions do not tell it"
        )
    return found


def _step(metric: str, recorded: Mapping[str, Mapping[str, np.ndarray]]) -> float | None:
    """How much one test sample can change a score, by the smallest classes that were tested."""
    step = named(metric).step
    confusion = next((one["confusion"] for one in recorded.values() if "confusion" in one), None)
    if step is None or confusion is None:
        return None
    sizes = confusion.sum(1)  # of each class and seed; all 0 where nothing is predicted
    steps = [step(one[one > 0]) for one in sizes.T if np.count_nonzero(one) > 1]
    return max(steps, default=None)


def _failure_threshold(dataset: Mapping[str, Any]) -> float | None:
    """Half way from guessing to perfect, of this package's generators; None of other data."""
    if "own_test" in dataset or dataset.get("kind") not in DATASETS:
        return None
    return (1 / dataset["n_classes"] + 1) / 2


def _called(dataset: Mapping[str, Any]) -> str:
    """A data set as it calls itself, by what it says of itself."""
    if "columns" in dataset:
        count = len(dataset["columns"])
        return f"{dataset['name']}({dataset['n_samples']} rows, {count} column{'s'[: count > 1]})"
    told = {key: value for key, value in dataset.items() if key not in _NOT_SETTINGS}
    if dataset["n_classes"] > 2:
        told["n_classes"] = dataset["n_classes"]
    settings = "".join(f", {key} {value}" for key, value in told.items())
    return f"{dataset['name']}({dataset['n_samples']}{settings})"
