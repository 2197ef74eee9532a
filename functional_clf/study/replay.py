"""A study out of its record: its results, or one of its seeds trained again, bit for bit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from functional_clf.contestants.base import Contestant
from functional_clf.data.dataset import Dataset
from functional_clf.data.seeds import MAX_SEED
from functional_clf.record.rows import SEED_COLUMNS, ChunkResult, differences
from functional_clf.record.store import Store
from functional_clf.registry import CONTESTANTS, DATASETS, made_again
from functional_clf.stats.metrics import ACCURACY
from functional_clf.study.options import Options
from functional_clf.study.results import Results
from functional_clf.study.study import Study


class Replay(NamedTuple):
    """What training one seed of a model again has shown.

    model: whose.
    differences: in words, where it differs from the record; empty where every bit is the same.
    has_params: whether the record holds weights to compare.
    """

    model: str
    differences: tuple[str, ...]
    has_params: bool


class Replays(NamedTuple):
    """A seed trained again: a `Replay` a model, and where the record was made and remade."""

    models: tuple[Replay, ...]
    recorded_on: Mapping[str, Any]
    replayed_on: Mapping[str, Any]


def replay(
    folder: Path,
    seed: int,
    dataset: Dataset | None = None,
    contestants: Sequence[Contestant] = (),
) -> Replays:
    """Train one seed of a study again, as its record says, and compare every bit.

    Args:
        folder: the run folder.
        seed: one of its seeds.
        dataset: what it was trained on; asked for only where that cannot be made again out of what
            is recorded, as a table from a file.
        contestants: what was trained, likewise; of those named as in the record.

    Returns:
        What was found.

    Raises:
        StoreError: when there is no study, or it is in use or damaged.
        ValueError: when it has no such seed, or cannot be made again from what it records.

    Example:
        >>> import tempfile
        >>> from functional_clf import circles, model_0
        >>> with tempfile.TemporaryDirectory() as name:
        ...     _ = Study(circles(80), (model_0(epochs=2),), seeds=3, engine="eager").run(name)
        ...     replay(Path(name), seed=2).models
        (Replay(model='model_0', differences=(), has_params=True),)
    """
    with Store(folder, must_exist=True) as store:
        only = range(seed, seed + 1)
        is_possible = 0 <= seed <= MAX_SEED
        if not (store.configuration and is_possible) or len(store.missing_seeds(only)):
            raise ValueError(f"seed is {seed}; {folder} has no results of it")
        try:
            study = study_of(store.configuration, seed, dataset, contestants)
        except ValueError as error:
            raise ValueError(f"{folder} cannot be replayed: {error}") from error
        recorded_on = store.environment_of(seed)
        names = study.names
        curves = {
            f"{name}/{key}": value
            for name in names
            for key, value in (store.curves(name, only) | store.scores(name, only)).items()
        }
        params = {
            f"{name}/{key}": value
            for name in names
            for key, value in store.params(name, only)[1].items()
        }
        recorded = ChunkResult(store.seeds(only).rows(), curves, params)
    again, replayed_on = study.retrain([seed])
    return Replays(
        tuple(
            Replay(name, tuple(_differences(recorded, again, name)), bool(params)) for name in names
        ),
        recorded_on,
        replayed_on,
    )


class Asked(NamedTuple):
    """By what a study is looked at, where that is another way than the last time.

    None stands for how it was looked at the last time, or for the usual.
    """

    metric: str | None = None
    margin: float | None = None
    alpha: float | None = None
    baseline: str | None = None
    failure_below: float | None = None


class NotMadeAgainError(ValueError):
    """Data or a model that the record does not make again, as they are somebody's own.

    Args:
        what: is not made again, and why.
        hint: what a replay can do about it.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}; {hint}" if hint else what)
        self.what = what


def recorded_results(
    folder: Path, asked: Asked | None = None, dataset: Dataset | None = None
) -> Results:
    """The results that a run folder holds, as they were last looked at; nothing is trained.

    Args:
        folder: the run folder.
        asked: how to look at them; another way than before is another look, and noted.
        dataset: what was trained on; asked for only where the record does not make it again.

    Raises:
        StoreError: when there is no study, or it is in use or damaged.
        NotMadeAgainError: when its data or models cannot be made again out of the record.
        ValueError: when seeds of it are missing, or the metric is not recorded.

    Example:
        >>> import tempfile
        >>> from functional_clf import circles, model_0
        >>> with tempfile.TemporaryDirectory() as name:
        ...     _ = Study(circles(80), (model_0(epochs=2),), seeds=3, engine="eager").run(name)
        ...     recorded_results(Path(name)).study.seeds
        range(0, 3)
    """
    asked = asked or Asked()
    with Store(folder, must_exist=True) as store:
        configuration, is_sequential = store.configuration, store.is_sequential
        finished = sorted(store.finished_seeds())
        if configuration is None or not finished:
            raise ValueError(f"{folder} holds no finished seed yet; run its study first")
        seeds, look = store.last_seen(), store.last_look()
        if seeds is None:  # the run was cut off, and may have been one of a fixed size
            seeds = range(finished[0], finished[-1] + 1)
        if not is_sequential and len(missing := store.missing_seeds(seeds)):
            raise ValueError(f"{folder} lacks seed {missing[0]}; the same command trains it")
        if is_sequential and look is None:
            raise ValueError(f"{folder} was cut off before its end; the same command goes on")
    study = study_of(configuration, seeds[-1], dataset)
    is_same = look is not None and asked.metric in (None, look.metric)
    metric = asked.metric or (look.metric if look else ACCURACY.name)
    if metric != ACCURACY.name and not (study.has_metrics or "metrics" in configuration):
        raise ValueError(f"metric is {metric!r}; {folder} records accuracy only, leave it out")
    margin = look.margin if look is not None and is_same else None
    study = replace(
        study,
        seeds=seeds,
        until_decided=is_sequential,
        metric=metric,
        margin=margin if asked.margin is None else asked.margin,
        alpha=asked.alpha or (look.alpha if look else Options.alpha),
        baseline=asked.baseline,
        failure_below=asked.failure_below if metric == ACCURACY.name else None,
    )
    return study.run(folder)


def study_of(
    configuration: Mapping[str, Any],
    seed: int,
    dataset: Dataset | None = None,
    contestants: Sequence[Contestant] = (),
) -> Study:
    """The study that a run folder records, around one of its seeds.

    Args:
        configuration: as in the folder's record.
        seed: the only seed, or in a crossed design one of the cells.
        dataset: as in `replay`.
        contestants: as in `replay`.

    Raises:
        NotMadeAgainError: when its data or models are of nobody's making here.

    Example:
        >>> from functional_clf import circles
        >>> recorded = Study(circles(80), engine="eager")
        >>> configuration = {**recorded.identity(), "engine": "eager", "device": "cpu",
        ...                  "tf32": False, "chunk_size": 16}
        >>> study_of(configuration, seed=3).seeds
        range(3, 4)
    """
    settings = dict(configuration)
    try:
        grid: dict[str, Any] = {"seeds": range(seed, seed + 1)}
        if settings.get("design") == "crossed":
            columns = settings["init_seeds"]
            grid = {
                "design": "crossed",
                "init_seeds": columns,
                "data_seeds": max(2, seed // columns + 1),
            }
        study = Study(
            dataset=_data_of(settings["dataset"], dataset),
            contestants=tuple(
                _contestant_of(model, contestants) for model in settings["models"].values()
            ),
            engine=settings["engine"],
            device=settings["device"],
            **{key: settings[key] for key in ("vary", "test_size", "tf32", "chunk_size")},
            class_weight=settings.get("class_weight"),
            # Which of them does not matter: it has all of them recorded.
            metric="roc_auc" if "metrics" in settings else "accuracy",
            **grid,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its configuration cannot be read ({error!r})") from error
    recorded = {key: settings.get(key) for key in study.identity()}
    if different := differences(recorded, study.identity()):
        raise ValueError(f"what it records is not what is made here: {different}")
    return study


def _contestant_of(description: Mapping[str, Any], offered: Sequence[Contestant]) -> Contestant:
    """The contestant that is recorded: made again, or where nothing makes it what is offered."""
    try:
        return made_again(CONTESTANTS, description)
    except ValueError as error:
        named = [one for one in offered if one.name == description.get("name")]
        if not named:
            hint = "give it again, by --model or by the study.toml beside the record"
            raise NotMadeAgainError(str(error), hint) from None
        return named[0]


def _data_of(description: Mapping[str, Any], offered: Dataset | None) -> Dataset:
    """The data set that is recorded: made again where a factory makes it, else what is offered."""
    kind = description.get("kind")
    if kind in DATASETS:
        try:
            return made_again(DATASETS, description)
        except ValueError as error:
            raise NotMadeAgainError(str(error)) from error
    if offered is None or offered.kind != kind:
        raise NotMadeAgainError(
            f"its data set {description.get('name')!r} is of somebody's own making",
            "give it again, a table by --data and --target",
        )
    return offered


def _differences(recorded: ChunkResult, again: ChunkResult, model: str) -> list[str]:
    """Where two results of one seed differ, in words."""
    found = []
    rows = (
        dict(zip(SEED_COLUMNS, row, strict=True))
        for one in (recorded, again)
        for row in one.rows
        if row[0] == model
    )
    there, here = rows
    for column in SEED_COLUMNS:
        if _plain(there[column]) != _plain(here[column]):
            found.append(f"{column} is {there[column]} there, {here[column]} here")
    for kind, old, new in (
        ("learning curve", recorded.curves, again.curves),
        ("weights", recorded.params, again.params),
    ):
        for key, value in old.items():
            if not key.startswith(f"{model}/"):
                continue
            name = key.removeprefix(f"{model}/")
            if key not in new:
                found.append(f"{kind} {name} are there, not here")
            elif value.dtype != new[key].dtype or value.shape != new[key].shape:
                found.append(f"{kind} {name} are of another shape")
            elif value.tobytes() != new[key].tobytes():
                found.append(f"{kind} {name} differ")
    return found


def _plain(value: Any) -> Any:
    return None if value != value else value  # the record holds null for NaN
