"""`functional-clf report FOLDER|FILE`: one page to send on, made anew without any training."""

import json
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from functional_clf.cli import interrupts
from functional_clf.cli.ending import ended
from functional_clf.cli.imports import uncollected
from functional_clf.cli.report_arguments import PROGRAM, ReportArguments, parse_report
from functional_clf.cli.screen import consoles, shown_notices
from functional_clf.support.errors import one_line
from functional_clf.support.files import open_plain, write_whole
from functional_clf.support.text import printable

logger = logging.getLogger("functional_clf")

_OF_SCORES = (
    *("scope", "n_train", "n_test", "model_column", "seed_column", "score_column"),
    *("dataset_column", "common_seeds"),
)
"""Arguments that a run folder has no need of."""


def main(args: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Make a page of a run folder or of scores, and say where it is; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
        program: what the help calls the command.
    """
    return ended(lambda: _run(list(sys.argv[1:] if args is None else args), program))


def _run(args: list[str], program: str) -> int:
    stdout, stderr = consoles()
    return _report(parse_report(args, program), args, program, stdout, stderr)


def _report(
    arguments: ReportArguments, args: list[str], program: str, stdout: Console, stderr: Console
) -> int:
    # Not sooner: polars takes longer than a wrong argument should.
    with uncollected():
        from functional_clf.reports.report_files import named_files
        from functional_clf.score_tables.folders import is_run_folder
    interrupts.take_over_again()  # polars has a handler of its own
    with interrupts.raising(), shown_notices(stderr):
        source, again = arguments.source, f"{program} {shlex.join(args)}"
        if is_run_folder(source):
            files = _of_folder(arguments, again)
            page = arguments.out or source / "report.html"
        else:
            files = _of_scores(arguments, again)
            page = arguments.out or source.with_name(f"{source.stem}.report.html")
        if page.exists() and source.exists() and page.samefile(source):
            raise ValueError(f"out is {page}, which is what the report is of; give another")
        written = named_files(page, files, papers=arguments.papers)
        for path in written:
            if path.is_dir():
                raise ValueError(f"{path} is a folder; give another --out")
        for path, content in written.items():
            write_whole(path, content)
        stdout.print(printable(f"Report: {page}"), soft_wrap=True)
    return 0


def _of_folder(arguments: ReportArguments, again: str) -> Mapping[str, bytes]:
    """The files of a run folder's report; where its study cannot be made again, of its scores."""
    folder = arguments.source
    for name in _OF_SCORES:
        if value := getattr(arguments, name):
            raise ValueError(f"{name} is {value}; a run folder says that by itself, leave it out")
    from functional_clf.record.errors import StoreError

    with uncollected():
        from functional_clf.reports.gathering import Gathered
        from functional_clf.reports.plots import content_of
        from functional_clf.reports.report_files import made_of, report_of
        from functional_clf.reports.tables import results_dict
        from functional_clf.study.replay import NotMadeAgainError, recorded_results
    asked = _asked(arguments)
    try:
        results = recorded_results(folder, asked, _data_of(folder))
    except NotMadeAgainError as error:
        lacking = (
            f"This page is made of the scores alone, without learning curves and pictures of the "
            f"models: {error.what}. The command or program that made the study makes the "
            "whole page.",
        )
        try:
            files = _of_scores(arguments, again, lacking, asked)
        except ValueError as of_scores:
            raise ValueError(
                f"{error.what}, and there is no page of the scores alone: "
                f"{one_line(of_scores)}; the program that made the study makes one: "
                "functional_clf.write_report(results, folder)"
            ) from of_scores
        logger.warning("the page is made of the scores alone: %s", error.what)
        return files
    told = results_dict(results)
    text = _study_text(folder)
    mark = made_of(content_of(results), told, text)
    files = report_of(Gathered(results), told, text, mark)
    if not files:
        raise StoreError(f"no report of {folder} can be made; the line above says why")
    return files


def _of_scores(
    arguments: ReportArguments, again: str, lacking: Sequence[str] = (), asked: Any = None
) -> Mapping[str, bytes]:
    with uncollected():
        from functional_clf.reports.page import Again, scores_page
        from functional_clf.reports.report_files import scores_files
        from functional_clf.score_tables.comparing import compare_table
        from functional_clf.score_tables.reading import Names, Reading, read_scores
    names = Names(
        arguments.model_column,
        arguments.seed_column,
        arguments.score_column,
        arguments.dataset_column,
    )
    reading = Reading(names, arguments.metric, arguments.common_seeds)
    table = read_scores(arguments.source, reading)
    baseline = arguments.baseline or (asked.baseline if asked is not None else None)
    found = compare_table(table, baseline=baseline, **arguments.rules)
    words = "Where the scores lie, this makes the page again:"
    return scores_files(table, found, scores_page(table, found, Again(words, (again,)), lacking))


def _asked(arguments: ReportArguments) -> Any:
    """How to look at a study: as asked now, or as its results.json says that it was asked then."""
    from functional_clf.study.replay import Asked

    told: dict[str, Any] = {}
    try:
        with open_plain(arguments.source / "results.json") as file:
            config = json.loads(file.read())["config"]
        if isinstance(config["baseline"], str) and config["baseline"] in config["models"]:
            told["baseline"] = config["baseline"]
        if isinstance(config["failure_below"], float) and 0 <= config["failure_below"] <= 1:
            told["failure_below"] = config["failure_below"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass  # it was never written, or by somebody else
    for name in Asked._fields:
        if (value := getattr(arguments, name)) is not None:
            told[name] = value
    return Asked(**told)


def _study_text(folder: Path) -> str:
    """What stands in a folder's study.toml; empty where there is none of ours."""
    from functional_clf.cli.resolved import HEADER
    from functional_clf.reports.outputs import STUDY_FILE

    try:
        with open_plain(folder / STUDY_FILE) as file:
            text = file.read(2**20).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text.startswith(HEADER) else ""


def _data_of(folder: Path) -> Any:
    """The table that a folder's study.toml names, where it is there; no code of anybody is run."""
    from functional_clf.cli.run_arguments import RunArguments
    from functional_clf.cli.study_file import read_study
    from functional_clf.data.tables import table
    from functional_clf.registry import DATASETS
    from functional_clf.reports.outputs import STUDY_FILE

    if not _study_text(folder):
        return None
    try:
        told = dict(read_study(folder / STUDY_FILE, RunArguments).values)
        if told.get("data") in DATASETS or "data" not in told:
            return None
        names = ("target", "drop", "groups", "stratify", "test", "split_column")
        return table(told["data"], **{name: told[name] for name in names if name in told})
    except (ValueError, TypeError, OSError):
        return None  # what lacks is said where it is asked for
