"""Scores out of a frame: long or wide, its columns by name or as they are usually called.

Whatever a column might mean besides is asked for, never guessed: an error says which argument to
give.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from functional_clf.record.names import FILE_NAME
from functional_clf.score_tables.cells import counts_of, labels_of, refuse_text, scores_of
from functional_clf.score_tables.folders import scores_of_folder
from functional_clf.score_tables.frames import ScoreFrame, frame_of
from functional_clf.score_tables.table import ScoreTable
from functional_clf.stats.metrics import ACCURACY, METRICS, SCORE

MODEL_NAMES = ("model", "method", "algorithm", "classifier", "estimator", "learner")
SEED_NAMES = (
    "seed", "split", "fold", "run", "replicate", "repeat", "trial", "iteration",
)  # fmt: skip
SCORE_NAMES = ("score", "value")
METRIC_NAMES = ("metric", "measure", "scoring")
DATASET_NAMES = ("dataset", "data_set", "data set", "dataset_name")
NOT_SCORES = ("fit_time", "score_time", "n_train", "n_test", "test_correct", "train_correct")
"""Columns beside scores that are none; the latter are understood where they are needed."""

NEGATED = {"neg_log_loss": "log_loss", "neg_brier_score": "brier_score"}
"""scikit-learn's names of scores with the other sign."""

MOST_MODELS = 100
"""Of more there are thousands of pairs: a column of so many names is most likely no model's."""


class Names(NamedTuple):
    """The columns that somebody named."""

    model: str | None = None
    seed: str | None = None
    score: str | None = None
    dataset: str | None = None


@dataclass(frozen=True)
class Reading:
    """How a frame is read.

    Attributes:
        names: columns that were named.
        metric: what the scores are, as it was named, or scikit-learn's name of it; None where
            nobody said.
        common_seeds: whether seeds that not all models have are left out, and told.
        at_least: models; one will do for a side of a gate.
    """

    names: Names = field(default_factory=Names)
    metric: str | None = None
    common_seeds: bool = False
    at_least: int = 2


def read_scores(source: Any, reading: Reading | None = None) -> ScoreTable:
    """The scores that a file, a frame or a run folder holds, as far as they can be trusted.

    Args:
        source: a run folder's path, or whatever `frame_of` takes.
        reading: how to read it.

    Returns:
        The table, its columns paired; what has to be doubted is in its `doubts`.

    Raises:
        TypeError: when the source is none.
        ValueError: where there is no honest table in it: the message names the place and what
            would be right.
        StoreError: when it is a run folder whose record cannot be used.

    Example:
        >>> table = read_scores({"seed": [2, 1], "a": [0.6, 0.5], "b": [0.7, 0.9]})
        >>> table.keys.tolist(), table.scores["b"].tolist()
        ([1, 2], [0.9, 0.7])
    """
    reading = reading or Reading()
    if isinstance(source, str | os.PathLike) and Path(source).is_dir():
        return _of_folder(Path(source), reading)
    if isinstance(source, str | os.PathLike) and Path(source).name == FILE_NAME:
        return _of_folder(Path(source).parent, reading)
    table = _Reader(frame_of(source), reading).table()
    if (
        isinstance(source, str | os.PathLike)
        and (folder := Path(source).parent / FILE_NAME).exists()
    ):
        doubt = (
            f"{source} lies in a run folder, whose record tells more, as whether its seeds were "
            f"looked at as they came; {folder.parent} in its place compares that"
        )
        table = replace(table, doubts=(*table.doubts, doubt))
    return table


def metric_of(name: str) -> tuple[str, bool] | None:
    """The metric that a name means, and whether it has the other sign; None where it means none.

    Example:
        >>> metric_of("test_neg_log_loss"), metric_of("ROC_AUC"), metric_of("r2")
        (('log_loss', True), ('roc_auc', False), None)
    """
    plain = name.strip().lower().replace(" ", "_").removeprefix("test_")
    if plain in NEGATED:
        return NEGATED[plain], True
    return (plain, False) if plain in METRICS else None


def _of_folder(folder: Path, reading: Reading) -> ScoreTable:
    for what, name in reading.names._asdict().items():
        if name is not None:
            raise ValueError(
                f"--{what}-column is {name!r}; {folder} is a run folder, whose columns are known: "
                "leave it out"
            )
    asked = None
    if reading.metric is not None:
        asked, _ = _asked_metric(reading.metric)
    return scores_of_folder(folder, asked)


def _asked_metric(name: str) -> tuple[str, bool]:
    found = metric_of(name)
    if found is None:
        known = ", ".join([*METRICS, *NEGATED])
        raise ValueError(f"metric is {name!r}; it must be one of {known}")
    return found


class _Column(NamedTuple):
    """What is read of one model, a value a key."""

    keys: np.ndarray
    rows: np.ndarray
    scores: np.ndarray
    total: np.ndarray | None
    diverged: np.ndarray | None


class _Reader:
    """One frame on its way to a table."""

    def __init__(self, source: ScoreFrame, reading: Reading) -> None:
        self.source, self.frame, self.reading = source, source.frame, reading
        self.doubts: list[str] = []
        self.metric, self.is_negated = SCORE.name, False
        if reading.metric is not None:
            self.metric, self.is_negated = _asked_metric(reading.metric)
        for what, name in reading.names._asdict().items():
            if name is not None and name not in self.frame.columns:
                raise ValueError(
                    f"--{what}-column is {name!r}; the columns of {source.source} are "
                    f"{_few(self.frame.columns)}"
                )
        named = [name for name in reading.names if name is not None]
        if len(set(named)) < len(named):
            raise ValueError(f"the column {named[0]!r} is named for two things; each has its own")
        self.model = reading.names.model or self._known(MODEL_NAMES, "model")
        self.seed = reading.names.seed or self._known(SEED_NAMES, "seed")
        self.dataset = reading.names.dataset

    def table(self) -> ScoreTable:
        self._refuse_crossed()
        if self.model is not None or self.reading.names.score is not None:
            columns = self._long()
        else:
            columns = self._wide()
        return self._paired(columns)

    # Which columns are what

    def _known(self, names: Sequence[str], what: str) -> str | None:
        """The one column that is called as such a one usually is."""
        taken = set(self.reading.names)
        found = [
            column
            for column in self.frame.columns
            if column not in taken and column.strip().lower() in names
        ]
        if len(found) > 1:
            exact = [one for one in found if one.strip().lower() == what]
            if len(exact) == 1 and what == "seed":
                return exact[0]  # beside it, "run" or "fold" is a note
            raise ValueError(
                f"{self.source.source} has the columns {_few(found)}; say by --{what}-column which "
                f"one holds the {what}s"
            )
        return found[0] if found else None

    def _others(self) -> list[str]:
        """Columns that are neither the model, the seed nor the data set."""
        used = {self.model, self.seed, self.dataset}
        return [name for name in self.frame.columns if name not in used]

    def _score_column(self) -> str:
        """The column that holds the scores of a long table."""
        if (named := self.reading.names.score) is not None:
            return named
        others = self._others()
        lower = {name: name.strip().lower() for name in others}
        if {"test_correct", "n_test"} <= set(others) and self.metric in (SCORE.name, ACCURACY.name):
            return "test_correct"
        by_metric = [one for one in others if metric_of(one) is not None]
        if self.reading.metric is not None:
            of_it = [
                one for one in by_metric if metric_of(one) == _asked_metric(self.reading.metric)
            ]
            of_it = of_it or [
                one for one in by_metric if (metric_of(one) or ("",))[0] == self.metric
            ]
            if len(of_it) == 1:
                return of_it[0]
        plain = [one for one in others if lower[one].removeprefix("test_") in SCORE_NAMES]
        found = plain if self.reading.metric is not None else [*plain, *by_metric]
        if not found:
            found = [one for one in others if self._is_of_numbers(one) and one not in by_metric]
        if len(found) == 1:
            return found[0]
        if not found:
            raise ValueError(
                f"{self.source.source} has no column of scores that could be told; its columns are "
                f"{_few(self.frame.columns)}: say by --score-column which one it is"
            )
        raise ValueError(
            f"{self.source.source} has the columns {_few(found)}; say by --score-column which one "
            "holds the scores"
        )

    def _is_of_numbers(self, name: str) -> bool:
        return self.frame[name].dtype.is_numeric() and name.strip().lower() not in NOT_SCORES

    def _learn_metric(self, column: str) -> None:
        """What a column's name says of the scores in it."""
        said = metric_of(column) or self._metric_in_cells()
        if column == "test_correct":
            said = (ACCURACY.name, False)
        if said is None:
            return
        if self.reading.metric is None:
            self.metric, self.is_negated = said
        elif said[0] != self.metric:
            raise ValueError(
                f"metric is {self.reading.metric!r}, and the scores in the column {column!r} are "
                f"{said[0]}; say that metric, or another --score-column"
            )
        else:
            self.is_negated = said[1]

    def _metric_in_cells(self) -> tuple[str, bool] | None:
        """The metric that a column of its own names, the same in all rows."""
        for name in self._others():
            if name.strip().lower() not in METRIC_NAMES or self.frame[name].dtype != pl.String:
                continue
            found = self.frame[name].unique(maintain_order=True).to_list()
            if len(found) > 1:
                raise ValueError(
                    f"the column {name!r} of {self.source.source} names {_few(found)}; keep the "
                    "rows of one metric"
                )
            said = metric_of(str(found[0]))
            if said is None and self.reading.metric is None:
                raise ValueError(
                    f"the column {name!r} of {self.source.source} names {found[0]!r}; the scores "
                    f"must be one of {', '.join([*METRICS, *NEGATED])}: say by --metric which of "
                    "these it is"
                )
            return said
        return None

    def _refuse_crossed(self) -> None:
        """A grid of data seeds by initialisation seeds is no list of pairs."""
        grid = ("data_seed", "init_seed")
        if not set(grid) <= set(self.frame.columns) or self.model is None:
            return
        counts = [self.frame[name].n_unique() for name in grid]
        models = self.frame[self.model].n_unique()
        if min(counts) > 1 and counts[0] * counts[1] * models == self.frame.height:
            raise ValueError(
                f"{self.source.source} is of a crossed design: {counts[0]} data seeds, each with "
                f"{counts[1]} init seeds, are no pairs; `stats.compare_crossed` takes "
                "its two tables"
            )

    # The columns of the models

    def _long(self) -> dict[str, _Column]:
        score = self._score_column()
        self._learn_metric(score)
        refuse_text(self.source, self.frame[score], np.arange(self.frame.height))
        if self.model is None:
            return {
                self._only_name(): self._column(self.frame, np.arange(self.frame.height), score)
            }
        labels = labels_of(self.source, self.model, "model")
        names = labels.unique(maintain_order=True).to_list()
        if len(names) > MOST_MODELS:
            raise ValueError(
                f"the column {self.model!r} holds {len(names)} names, such as {_few(names[:3])}; "
                f"it must be at most {MOST_MODELS} models: say by --model-column which one it is"
            )
        found = {}
        for name in names:
            rows = (labels == name).arg_true().to_numpy()
            found[name] = self._column(self.frame[rows], rows, score)
        return found

    def _only_name(self) -> str:
        name = self.source.source
        return name if name == "the frame" else Path(name).name.split(".")[0]

    def _column(self, own: pl.DataFrame, rows: np.ndarray, score: str) -> _Column:
        total = None
        if score == "test_correct" and "n_test" in own.columns:
            scores, total = counts_of(self.source, own, rows, score, "n_test")
        else:
            scores = scores_of(self.source, own[score], rows, self.metric, self.is_negated)
        diverged = None
        if "diverged" in own.columns and own["diverged"].dtype == pl.Boolean:
            diverged = own["diverged"].fill_null(False).to_numpy()
        return _Column(self._keys(own, rows), rows, scores, total, diverged)

    def _wide(self) -> dict[str, _Column]:
        others = [
            name
            for name in self._others()
            if name.strip().lower() not in NOT_SCORES and name not in self._notes()
        ]
        metrics = [name for name in others if metric_of(name) is not None]
        counted = {"test_correct", "n_test"} <= set(self._others())
        if (metrics and metrics == others) or (counted and not others):
            return self._long()  # one model, a column a metric
        if not others:
            raise ValueError(
                f"{self.source.source} has no column of scores; its columns are "
                f"{_few(self.frame.columns)}"
            )
        texts = [name for name in others if self.frame[name].dtype == pl.String]
        numbers = [name for name in others if self.frame[name].dtype.is_numeric()]
        words = [name for name in texts if not self._holds_digits(name)]
        if words and len(numbers) <= 1:
            raise ValueError(
                f"{self.source.source} has the columns {_few(self.frame.columns)}; say by "
                "--model-column which one names the models"
            )
        if words:
            raise ValueError(
                f"the column {words[0]!r} holds words, such as "
                f"{_few(self.frame[words[0]].drop_nulls().head(1).to_list())}; of a table with a "
                "column a model it must be numbers: say by --model-column or --dataset-column what "
                "it is, or leave it out"
            )
        rows = np.arange(self.frame.height)
        keys = self._keys(self.frame, rows)
        return {
            name: _Column(
                keys,
                rows,
                scores_of(self.source, self.frame[name], rows, self.metric, self.is_negated),
                None,
                None,
            )
            for name in others
        }

    def _holds_digits(self, name: str) -> bool:
        """Whether words seem to be numbers that are written oddly, told where they are read."""
        return bool(self.frame[name].drop_nulls().head(20).str.contains(r"^\s*[-+.]?\d").any())

    def _notes(self) -> set[str]:
        """Columns that only a file of this package has beside its scores."""
        return {"data_seed", "split_seed", "init_seed", "diverged"} & set(self.frame.columns)

    # Keys, and pairs

    def _keys(self, own: pl.DataFrame, rows: np.ndarray) -> np.ndarray:
        """What pairs the rows: numbers of seeds, or places of rows where no column tells."""
        if self.seed is not None:
            return labels_of(self.source, self.seed, "seed", own[self.seed], rows).to_numpy()
        if self.dataset is None:
            return np.arange(len(rows))
        counter = pl.int_range(pl.len()).over(self.dataset)
        return own.select(counter.alias("place"))["place"].to_numpy()

    def _datasets(self, rows: np.ndarray) -> np.ndarray | None:
        if self.dataset is None:
            return None
        own = self.frame[self.dataset][rows]
        return labels_of(self.source, self.dataset, "dataset", own, rows).to_numpy()

    def _paired(self, columns: dict[str, _Column]) -> ScoreTable:
        if len(columns) < self.reading.at_least:
            hint = "" if self.model else ", or say by --model-column which column names the models"
            raise ValueError(
                f"{self.source.source} has one model, {next(iter(columns))!r}; a comparison needs "
                f"two{hint}"
            )
        codes = self._codes(columns)
        for name, column in columns.items():
            self._refuse_twice(name, column, codes[name])
        first = next(iter(columns))
        kept = codes[first]
        if any(not np.array_equal(np.sort(one), np.sort(kept)) for one in codes.values()):
            kept = self._common(columns, codes)
        order = self._order(columns[first], codes[first], kept)
        wanted = codes[first][order]
        places = {}
        for name, one in codes.items():
            by_code = np.argsort(one, kind="stable")
            places[name] = by_code[np.searchsorted(one[by_code], wanted)]
        self._doubt_rows(columns)
        chosen = {name: column.scores[places[name]] for name, column in columns.items()}
        rows = columns[first].rows[order]
        total = self._total(columns, places)
        return ScoreTable(
            chosen,
            columns[first].keys[order],
            self.metric,
            self.source.source,
            total=total,
            dataset=self._datasets(rows),
            diverged={
                name: column.diverged[places[name]]
                for name, column in columns.items()
                if column.diverged is not None
            },
            scope=self._scope(),
            n_train=self._size("n_train", rows),
            n_test=None if total is not None else self._size("n_test", rows),
            has_seeds=self.seed is not None,
            doubts=tuple(self.doubts),
        )

    def _codes(self, columns: dict[str, _Column]) -> dict[str, np.ndarray]:
        """Whole numbers that are equal where the data set and the seed are."""
        keys = [column.keys for column in columns.values()]
        if any(one.dtype.kind not in "iu" for one in keys):
            whole = pl.concat([pl.Series("key", one) for one in keys])
            numbers = whole.rank("dense").cast(pl.Int64).to_numpy() - 1
            keys = np.split(numbers, np.cumsum([len(one) for one in keys])[:-1])
        if self.dataset is None:
            return dict(zip(columns, keys, strict=True))
        labels = labels_of(self.source, self.dataset, "dataset")
        sets = labels.unique(maintain_order=True)
        numbers = labels.replace_strict(sets, np.arange(len(sets))).to_numpy()
        distinct, places = np.unique(np.concatenate(keys), return_inverse=True)
        keys = np.split(places, np.cumsum([len(one) for one in keys])[:-1])
        return {
            name: numbers[column.rows] * len(distinct) + own
            for (name, column), own in zip(columns.items(), keys, strict=True)
        }

    def _refuse_twice(self, name: str, column: _Column, codes: np.ndarray) -> None:
        order = np.argsort(codes, kind="stable")
        again = np.flatnonzero(np.diff(codes[order]) == 0)
        if not len(again):
            return
        row = int(column.rows[order[again[0] + 1]])
        key = column.keys[order[again[0]]]
        hint = ""
        if self.dataset is None:
            known = [one for one in self.frame.columns if one.strip().lower() in DATASET_NAMES]
            known = known or [one for one in self._others() if self.frame[one].dtype == pl.String]
            if known:
                hint = f"; if {known[0]!r} names data sets, say --dataset-column {known[0]}"
        of = "" if self.dataset is None else f" of {self.dataset} {self.frame[self.dataset][row]!r}"
        model = f" of {name!r}" if self.model is not None else ""
        raise ValueError(
            f"{self.source.source}: {self.source.place(row)} has the {self.seed} {key}{of}{model} "
            f"for the second time; a seed stands once for each model{hint}"
        )

    def _common(self, columns: dict[str, _Column], codes: dict[str, np.ndarray]) -> np.ndarray:
        """The keys that all models have; without leave, those that one lacks are an error."""
        every = np.unique(np.concatenate(list(codes.values())))
        shown = {}  # how a code is called
        for name in columns:
            missing = np.setdiff1d(every, codes[name])
            if len(missing):
                shown[name] = missing
        common = every
        for one in codes.values():
            common = np.intersect1d(common, one)
        lacks = "; ".join(
            f"{name!r} lacks {self._called(columns, codes, missing)}"
            for name, missing in list(shown.items())[:3]
        )
        what = self.seed or "row"
        if self.seed is None:
            sizes = ", ".join(f"{name!r} has {len(one.keys)}" for name, one in columns.items())
            raise ValueError(
                f"{self.source.source}: rows do not pair up ({sizes}), and no column tells which "
                "belong together; say by --seed-column which one does"
            )
        if not self.reading.common_seeds:
            raise ValueError(
                f"{self.source.source}: rows do not pair up by {what!r}: {lacks}. Runs that failed "
                "must not vanish: give the score that they reached, or compare only the "
                f"{len(common)} that all have by --common-seeds"
            )
        if not len(common):
            raise ValueError(f"{self.source.source}: no {what} is common to all models: {lacks}")
        self.doubts.append(
            f"only the {len(common)} of {len(every)} {what}s that all models have are compared: "
            f"{lacks}; if runs are missing because they failed, this is too kind to their "
            "model"
        )
        return common

    def _called(
        self, columns: dict[str, _Column], codes: dict[str, np.ndarray], wanted: np.ndarray
    ) -> str:
        """Keys by their codes, a few of them."""
        found = []
        for code in wanted[:3]:
            for name, own in codes.items():
                at = np.flatnonzero(own == code)
                if len(at):
                    key = columns[name].keys[at[0]]
                    row = int(columns[name].rows[at[0]])
                    of = "" if self.dataset is None else f"{self.frame[self.dataset][row]}: "
                    found.append(f"{of}{key}")
                    break
        more = len(wanted) - len(found)
        return ", ".join(found) + (f" and {more} more" if more else "")

    def _order(self, first: _Column, codes: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Places of the kept keys: seeds that are numbers in their order, others as they came."""
        places = np.arange(len(codes))
        if len(kept) != len(codes):
            places = places[np.isin(codes, kept)]
        if self.seed is None or first.keys.dtype.kind not in "iu":
            return places
        return places[np.argsort(codes[places], kind="stable")]

    def _doubt_rows(self, columns: dict[str, _Column]) -> None:
        if self.seed is not None:
            return
        self.doubts.append(
            "no column says which rows belong together, so they are paired in the order in which "
            "they stand; --seed-column says it"
        )
        series = [column.scores for column in columns.values()]
        if len(series[0]) >= 5 and len(series) > 1 and all(_is_sorted(one) for one in series):
            self.doubts.append(
                "the scores of every model are sorted: pairs may be lost, and then neither the "
                "interval nor the p value is right"
            )

    def _total(
        self, columns: dict[str, _Column], places: dict[str, np.ndarray]
    ) -> int | np.ndarray | None:
        totals = {
            name: column.total[places[name]]
            for name, column in columns.items()
            if column.total is not None
        }
        if not totals:
            return None
        (first, total), *others = totals.items()
        for name, other in others:
            unlike = np.flatnonzero(total != other)
            if len(unlike):
                rows = (columns[one].rows[places[one]][unlike[0]] for one in (first, name))
                where = " and ".join(self.source.place(int(row)) for row in rows)
                raise ValueError(
                    f"{self.source.source}: n_test is {total[unlike[0]]} of {first!r} and "
                    f"{other[unlike[0]]} of {name!r} ({where}); a pair has the same samples"
                )
        return int(total[0]) if np.ptp(total) == 0 else total

    def _size(self, name: str, rows: np.ndarray) -> int | None:
        """A number of samples that a column says, where it is the same all along."""
        if name not in self.frame.columns or not self.frame[name].dtype.is_integer():
            return None
        own = self.frame[name][rows]
        return int(own[0]) if own.n_unique() == 1 and own[0] is not None else None

    def _scope(self) -> str | None:
        """What the named seeds in this package's own table say that each row redrew."""
        named = ("data_seed", "split_seed", "init_seed")
        if not set(named) <= set(self.frame.columns) or self.seed is None:
            return None
        n_seeds = self.frame[self.seed].n_unique()
        is_redrawn = {name: self.frame[name].n_unique() == n_seeds > 1 for name in named}
        scope = next(
            (one for one in ("data", "split", "init") if is_redrawn[f"{one}_seed"]),
            None,
        )
        if scope is not None:
            self.doubts.append(
                f"the scope is {scope!r}, as the columns {', '.join(named)} say; this file is "
                "an export, and its run folder says it for sure"
            )
        return scope


def _is_sorted(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool((steps >= 0).all() or (steps <= 0).all()) and bool(steps.any())


def _few(names: Iterable[Any]) -> str:
    """Some names in a message."""
    every = [repr(name) for name in names]
    more = f" and {len(every) - 8} more" if len(every) > 8 else ""
    return ", ".join(every[:8]) + more
