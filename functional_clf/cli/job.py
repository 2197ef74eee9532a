"""What the main job does once its arguments are known."""

import functools
import hashlib
import inspect
import json
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

import functional_clf
from functional_clf.cli.imports import import_for_new_data
from functional_clf.cli.interrupts import say_more
from functional_clf.cli.resolved import check_study_file, study_text, write_study
from functional_clf.cli.run_arguments import RunArguments
from functional_clf.cli.screen import shown_notices, shown_progress
from functional_clf.contestants.mlp import mlp_recipe, of_settings
from functional_clf.contestants.named import Named, made, said
from functional_clf.contestants.settings import LESSON_HIDDEN, TABLE_HIDDEN, MlpSettings
from functional_clf.contestants.specs import ModelSpec
from functional_clf.data.dataset import Dataset
from functional_clf.data.tables import table
from functional_clf.record.environments import all_differences
from functional_clf.record.files import can_be_written
from functional_clf.record.folder import check_outputs, remove, start_over, write_whole
from functional_clf.record.names import FILE_NAME, file_name
from functional_clf.record.weights import write_params
from functional_clf.registry import DATASETS
from functional_clf.reports import tables as report
from functional_clf.reports.draughtsmen import Draughtsmen
from functional_clf.reports.gathering import Gathered
from functional_clf.reports.outputs import derived_files, params_files, plot_files, report_files
from functional_clf.reports.plots import content_of, write_plots
from functional_clf.reports.report_files import is_standing, made_of, report_of
from functional_clf.stats import SelfCalibration
from functional_clf.study.estimates import check_room
from functional_clf.study.execution import timed
from functional_clf.study.options import Options
from functional_clf.study.replay import replay
from functional_clf.study.results import Results
from functional_clf.study.study import Study
from functional_clf.support.arguments import short
from functional_clf.support.text import printable
from functional_clf.workers.ranks import Rank, launched_rank

logger = logging.getLogger("functional_clf")

IMPORT_SECONDS = time.perf_counter() - functional_clf.STARTED_AT
"""From the first line of the package to here: torch, above all."""


def run_job(
    arguments: RunArguments, stdout: Console, stderr: Console, artists: Draughtsmen | None = None
) -> int:
    """Run a study or replay one of its seeds; the exit code.

    Args:
        arguments: what was asked for.
        stdout: for what was found.
        stderr: for progress and notices.
        artists: who draws the pictures; None draws them in this process.
    """
    rank = launched_rank()
    dataset = data_of(arguments)
    models = models_of(arguments, dataset.is_table)
    study = _study(arguments, dataset, models)
    folder = run_folder(study, arguments.out)
    if arguments.replay is not None:
        if rank is not None and rank.index > 0:
            return 0
        return _replay(folder, arguments, stdout, study)
    if rank is not None and rank.index > 0:
        return study.assist(rank)
    say_more(functools.partial(_kept, folder))
    with shown_notices(stderr):
        _run(study, folder, arguments, models, stdout, stderr, rank, artists)
    return 0


def study_of(arguments: RunArguments) -> Study:
    """The study that the arguments ask for.

    Raises:
        ValueError: when it is none; the message names the argument.

    Example:
        >>> study_of(RunArguments(epochs=5)).contestants[0].curve_epochs
        (0, 1, 2, 3, 4, 5)
    """
    dataset = data_of(arguments)
    return _study(arguments, dataset, models_of(arguments, dataset.is_table))


def _study(arguments: RunArguments, dataset: Dataset, models: Mapping[str, Named]) -> Study:
    options = {name: getattr(arguments, name) for name in Options.__dataclass_fields__}
    if arguments.baseline is None and len(models) > 2:
        options["baseline"] = next(iter(models))
    contestants = tuple(one.contestant for one in models.values())
    return Study(dataset, contestants, arguments.all_seeds, **options)


def data_of(arguments: RunArguments) -> Dataset:
    """The data set that the arguments ask for.

    Raises:
        ValueError: when there is none such; the message names the argument.

    Example:
        >>> data_of(RunArguments(data="iris")).class_names
        ('setosa', 'versicolor', 'virginica')
    """
    asked = {
        "n_samples": arguments.samples,
        "noise": arguments.noise,
        "n_classes": arguments.classes,
        "target": arguments.target,
        "drop": arguments.drop or None,
        "groups": arguments.groups,
        "stratify": True if arguments.stratify else False if arguments.no_stratify else None,
        "test": arguments.test,
        "split_column": arguments.split_column,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    is_named = arguments.data in DATASETS
    factory = DATASETS[arguments.data] if is_named else functools.partial(table, arguments.data)
    known = inspect.signature(factory).parameters
    for name, value in given.items():
        if name not in known:
            argument = {"n_samples": "samples", "n_classes": "classes"}.get(name, name)
            what = arguments.data if is_named else "a table"
            raise ValueError(f"{argument} is {short(value)}; {what} takes none, leave it out")
    if not is_named and arguments.target is None:
        raise ValueError(
            f"target is None; of {arguments.data} it must be the column that holds the labels"
        )
    return factory(**given)


def models_of(arguments: RunArguments, is_of_table: bool) -> dict[str, Named]:
    """The models that the arguments ask for, by name, in order.

    Args:
        arguments: what was asked for.
        is_of_table: whether the data are a table, for which other widths are usual.

    Raises:
        ValueError: when there is none such; the message names it.

    Example:
        >>> models_of(RunArguments(), is_of_table=False)["model_0"].settings["hidden"]
        (5,)
    """
    epochs = arguments.epochs
    found = {}
    for name, asked in zip(arguments.names, arguments.models, strict=True):
        if isinstance(asked, ModelSpec):
            found[name] = made(asked, epochs)
        else:
            found[name] = _standard(*asked, epochs, is_of_table)
    if epochs is not None and not any("epochs" in one.settings for one in found.values()):
        raise ValueError(f"epochs is {epochs}; no model here is trained by epochs, leave it out")
    return found


def _standard(name: str, settings: MlpSettings, epochs: int | None, is_of_table: bool) -> Named:
    if epochs is not None:
        settings = replace(settings, epochs=epochs)
    if settings.hidden is None and settings.layer_sizes is None:
        standard = TABLE_HIDDEN if is_of_table else LESSON_HIDDEN
        settings = replace(settings, hidden=standard[name])
    return Named(of_settings(name, settings), "mlp", said(mlp_recipe, asdict(settings)))


def run_folder(study: Study, out: Path | None) -> Path:
    """The run folder: `out`, or one whose name the settings fix.

    Example:
        >>> run_folder(Study(seeds=4), None).parts[0]
        'runs'
    """
    if out is not None:
        return out
    asked = [study.identity(), study.engine, study.device, study.chunk_size, study.tf32]
    name = hashlib.blake2b(json.dumps(asked).encode(), digest_size=4).hexdigest()
    kind = study.design if study.design == "crossed" else study.vary
    return Path("runs") / f"{file_name(study.dataset.name)}-{kind}-{name}"


def _run(
    study: Study,
    folder: Path,
    arguments: RunArguments,
    models: Mapping[str, Named],
    stdout: Console,
    stderr: Console,
    rank: Rank | None,
    artists: Draughtsmen | None,
) -> None:
    """Run a study, write its files, and print what it found."""
    names = study.names
    outputs = derived_files(folder, names)
    is_shown_only = (folder / FILE_NAME).exists() and not can_be_written(folder)
    if not is_shown_only:
        check_outputs(folder, outputs)
        check_study_file(folder)
    if arguments.fresh and rank is not None and not rank.is_first_start():
        logger.info("--fresh is done: this job has been started before, and is continued")
    elif arguments.fresh:
        check_room(study, n_missing=len(study.seeds))  # before anything is deleted
        # The file that this run was asked by is written anew at its end, and must last until then.
        stale = [path for path in outputs if not _is_same(path, arguments.study)]
        start_over(folder, stale, lambda line: _announce(line, ask=rank is None))
    if not (folder / FILE_NAME).exists():
        import_for_new_data()
    with shown_progress(stderr) as on_progress:
        results = study.run(folder, on_progress, rank)
    results = replace(results, timings={"import": IMPORT_SECONDS, **results.timings})
    calibration = None
    with timed(results.timings, "statistics"):
        _ = results.conclusion
        if arguments.self_calibration:
            calibration = results.self_calibration(*_pair(study))
    if is_shown_only:
        logger.warning(
            "%s may not be written to: no file is, and nobody will know that it was looked at",
            folder,
        )
    else:
        _export(results, folder, arguments, models, calibration, artists)
    if arguments.json:
        path = folder / "results.json"
        said = (
            report.results_text(results, calibration) if is_shown_only else path.read_text("utf-8")
        )
        print(said, end="")
        return
    stdout.print(report.models_table(results))
    if study.has_metrics:
        stdout.print(report.metrics_table(results))
    if study.design == "crossed":
        stdout.print(report.components_table(results))
    if calibration is not None:
        stdout.print(report.calibration_table(calibration))
    if len(study.names) > 2:
        stdout.print(report.comparisons_table(results))
    stdout.print(report.references_line(results), soft_wrap=True)
    # One line where a program may read it; a terminal gets it wrapped at words.
    stdout.print(printable(results.conclusion, keep="\n"), soft_wrap=not stdout.is_terminal)
    if results.mixture:
        stdout.print(printable(results.mixture), soft_wrap=True)
    if not is_shown_only:
        stdout.print(printable(f"Files: {folder}/"), soft_wrap=True)


def _export(
    results: Results,
    folder: Path,
    arguments: RunArguments,
    models: Mapping[str, Named],
    calibration: SelfCalibration | None,
    artists: Draughtsmen | None,
) -> None:
    """Write what a run leaves beside its record."""
    study, names = results.study, results.study.names
    with timed(results.timings, "export"):
        if report.write_tables(results, folder):
            remove(folder, [] if arguments.plots else plot_files(folder))
            remove(folder, [] if study.save_params else params_files(folder, names))
        if study.save_params:
            write_params(folder, names, study.seeds)
    study_file = study_text(results, arguments, models, folder)
    try:
        _write_pictures(results, folder, arguments, study_file, artists)
    finally:
        report.write_results(results, folder, calibration)
        write_study(study_file, folder)


def _write_pictures(
    results: Results,
    folder: Path,
    arguments: RunArguments,
    study_file: str,
    artists: Draughtsmen | None,
) -> None:
    """Write pictures and report; the report is made while others draw the pictures."""
    gathered, content = Gathered(results), content_of(results)
    told = report.results_dict(results)
    mark = made_of(content, told, study_file)
    is_up_to_date = is_standing(folder, mark)
    made: dict[str, bytes] = {}

    def make() -> None:
        if arguments.report and not is_up_to_date and not made:
            with timed(results.timings, "report"):
                made.update(report_of(gathered, told, study_file, mark))

    with timed(results.timings, "plots"):
        if arguments.plots:
            write_plots(results, folder / "plots", content, artists, gathered, make)
    make()  # where no picture was drawn
    if is_up_to_date:
        return
    for path in report_files(folder):
        if path.name in made:
            write_whole(path, made[path.name])
        else:  # of other results, or asked for no more
            remove(folder, [path])


def _is_same(path: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and path.exists() and path.samefile(other)


def _pair(study: Study) -> tuple[str, str]:
    """The model and the baseline of a study of two."""
    first, second = study.names
    return (first, second) if study.baseline == second else (second, first)


def _replay(folder: Path, arguments: RunArguments, stdout: Console, study: Study) -> int:
    """Train one seed again and say what came of it, a line a model; 0 where every bit is equal."""
    seed = arguments.replay or 0
    found = replay(folder, seed, study.dataset, study.contestants)
    for model in found.models:
        what = "losses, counts, learning curves" + (" and weights" if model.has_params else "")
        verdict = f"DIFFERS: {'; '.join(model.differences)}" if model.differences else "identical"
        line = f"{model.model}, seed {seed}: {verdict} ({what} compared)"
        stdout.print(printable(line), soft_wrap=True)
    if not any(model.differences for model in found.models):
        return 0
    if changed := all_differences(found.recorded_on, found.replayed_on):
        stdout.print(printable(f"Recorded elsewhere: {changed}"), soft_wrap=True)
    return 1


def _announce(line: str, ask: bool) -> bool:
    """Say what will be deleted; on a terminal, whether it shall be."""
    print(printable(line), file=sys.stderr)
    if not (ask and sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    print("Delete it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _kept(folder: Path) -> str:
    """What to say where the job ends too early."""
    if not (folder / FILE_NAME).exists():
        return ""
    return printable(f"finished chunks are kept in {folder}; the same command continues")
