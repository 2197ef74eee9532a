"""The command line: `python -m functional_clf.run --seeds 64`.

The only module that prints or parses arguments.
"""

import signal

if __name__ == "__main__" and hasattr(signal, "pthread_sigmask"):
    # Until main() takes over, while torch is still being imported, Ctrl-C ends without a traceback.
    # Polars installs a handler that would swallow it; the mask holds it back till that is undone.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    import polars as _  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

import contextlib
import hashlib
import io
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

import functional_clf
from functional_clf import report
from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import Recipe
from functional_clf.data import Dataset
from functional_clf.execution import Progress, timed
from functional_clf.folder import (
    check_outputs,
    file_name,
    params_files,
    plot_files,
    remove,
    start_over,
)
from functional_clf.generators import circles, moons
from functional_clf.params import write_params
from functional_clf.ranks import Rank, RankError, launched_rank
from functional_clf.replay import replay
from functional_clf.results import Results
from functional_clf.store import StoreError, WriteError, differences
from functional_clf.study import Study
from functional_clf.text import printable

logger = logging.getLogger("functional_clf")

INTERRUPTED = 130
TERMINATED = 143
CALIBRATION_SEEDS = 10
"""The fewest that self-calibration takes: twice its smallest study."""
PLAIN_PROGRESS_SECONDS = 5.0
IMPORT_SECONDS = time.perf_counter() - functional_clf.STARTED_AT
"""From the first line of the package to here: torch, above all."""


def make_dataset(
    data: Literal["circles", "moons"] = "circles", samples: int = 1000, noise: float = 0.03
) -> Dataset:
    """The data set of the command line.

    Args:
        data: which of scikit-learn's data sets.
        samples: samples in one draw.
        noise: standard deviation of the Gaussian noise on each coordinate.
    """
    return {"circles": circles, "moons": moons}[data](samples, noise)


def make_recipes(
    model_0: Annotated[Recipe, tyro.conf.arg(constructor=model_0)],
    model_1: Annotated[Recipe, tyro.conf.arg(constructor=model_1)],
    epochs: int | None = None,
) -> tuple[Recipe, ...]:
    """The two contestants of the command line.

    Args:
        model_0: the baseline.
        model_1: the challenger.
        epochs: full-batch training steps of both models; overrides each model's own.
    """
    recipes = (model_0, model_1)
    return recipes if epochs is None else tuple(replace(one, epochs=epochs) for one in recipes)


def parse_seeds(text: str) -> range:
    """Seeds out of `64` (0 to 63) or `100:200` (100 to 199).

    Raises:
        ValueError: when the text is neither.

    Example:
        >>> parse_seeds("64"), parse_seeds("100:200")
        (range(0, 64), range(100, 200))
    """
    match = re.fullmatch(r"(?:(\d+):)?(\d+)", text)
    seeds = range(int(match[1] or 0), int(match[2])) if match else range(0)
    if not seeds:
        raise ValueError(
            f"seeds is {text}; it must be a count of at least 1, as in 64, or a rising range, as "
            "in 100:200"
        )
    return seeds


SeedRange = Annotated[
    range,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="N|FROM:TO",
        instance_from_str=lambda texts: parse_seeds(texts[0]),
        is_instance=lambda value: isinstance(value, range),
        str_from_instance=lambda seeds: [
            f"{seeds.start}:{seeds.stop}" if seeds.start else str(seeds.stop)
        ],
    ),
]


@dataclass(frozen=True)
class Command(Study):
    """Is model_1 better than model_0, or was it a lucky seed? Train many seeds of both; compare.

    Args:
        dataset: what every replicate draws its samples from.
        contestants: the models to compare.
        out: the run folder. Default: one under runs/, named after the settings.
        self_calibration: also show how often studies of fewer seeds, drawn from this one, would
            have ended with another verdict.
        fresh: start over: delete what earlier runs have left in the run folder.
        replay: train this one seed of the run folder's study again, and compare every bit.
        plots: draw the pictures; --no-plots skips them.
        json: print results.json on standard output, and nothing else there.
    """

    # No defaults: tyro builds both by their constructors, whose defaults the help then shows.
    dataset: Annotated[  # pyright: ignore[reportGeneralTypeIssues]
        Dataset, tyro.conf.arg(constructor=make_dataset, name="")
    ]
    contestants: Annotated[  # pyright: ignore[reportGeneralTypeIssues]
        tuple[Recipe, ...], tyro.conf.arg(constructor=make_recipes, name="")
    ]
    seeds: SeedRange = range(64)
    out: Path | None = None
    self_calibration: bool = False
    fresh: bool = False
    replay: int | None = None
    plots: bool = True
    json: bool = False

    def __post_init__(self, chunk: int | None) -> None:
        super().__post_init__(chunk)
        if self.self_calibration:
            self._check_calibration()
        if self.replay is not None:
            for name in ("fresh", "json", "self_calibration"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name} is True; it has no meaning with replay, leave one out"
                    )

    def _check_calibration(self) -> None:
        if self.design != "paired":
            raise ValueError(f"design is {self.design!r}; self_calibration needs a paired design")
        if len(self.seeds) < CALIBRATION_SEEDS:
            raise ValueError(
                f"seeds is {len(self.seeds)}; self_calibration needs at least {CALIBRATION_SEEDS}"
            )

    def folder(self) -> Path:
        """The run folder: `out`, or one whose name the settings fix."""
        if self.out is not None:
            return self.out
        asked = [self.identity(), self.engine, self.device, self.chunk_size, self.tf32]
        name = hashlib.blake2b(json.dumps(asked).encode(), digest_size=4).hexdigest()
        kind = self.design if self.design == "crossed" else self.vary
        return Path("runs") / f"{file_name(self.dataset.name)}-{kind}-{name}"


def main(args: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the study, print its conclusion; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal has no letter for, it escapes
            stream.reconfigure(errors="backslashreplace")
    # Nothing that is printed here is markup: names are text.
    stdout, stderr = (
        Console(stderr=is_error, markup=False, emoji=False, highlight=False)
        for is_error in (False, True)
    )
    rank = None
    try:
        rank = launched_rank()
        command = parse(args)
        if command.replay is not None:
            return 0 if rank is not None and rank.index > 0 else _replay(command, stdout)
        if rank is not None and rank.index > 0:
            return _assist(command, rank)
        with _notices(stderr):
            run(command, stdout, stderr, rank)
    except (RankError, WriteError) as error:
        _complain(error)
        return 1
    except UnicodeError:
        raise  # nobody's argument, though it is a ValueError
    except (ValueError, StoreError) as error:
        if rank is None or rank.index == 0:  # the others find the same wrong
            _complain(error)
        return 2
    return 0


def parse(args: Sequence[str] | None) -> Command:
    """A command out of arguments.

    Raises:
        ValueError: when an argument is wrong; the message is one line.
        SystemExit: after --help.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                Command,
                prog="python -m functional_clf.run",
                args=args,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if stop.code:
            raise ValueError(_one_line(complaint.getvalue())) from None
        raise


def run(command: Command, stdout: Console, stderr: Console, rank: Rank | None = None) -> None:
    """Run a study, write its files, and print what it found."""
    folder = command.folder()
    names = [recipe.name for recipe in command.contestants]
    check_outputs(folder, names)
    if command.fresh and (rank is None or rank.is_first_start()):
        start_over(folder, names, lambda line: _announce(line, ask=rank is None))
    _on_terminate(folder)
    try:
        with _progress(stderr) as on_progress:
            results = command.run(folder, on_progress, rank)
    except KeyboardInterrupt:
        _leave(folder, "interrupted", INTERRUPTED)
    results = replace(results, timings={"import": IMPORT_SECONDS, **results.timings})
    calibration = None
    with timed(results.timings, "statistics"):
        _ = results.conclusion
        if command.self_calibration:
            calibration = results.self_calibration("model_1", "model_0")
    with timed(results.timings, "export"):
        if report.write_tables(results, folder):
            remove([] if command.plots else plot_files(folder))
            remove([] if command.save_params else params_files(folder, names))
        if command.save_params:
            write_params(folder, names, command.seeds)
    try:
        with timed(results.timings, "plots"):
            if command.plots:
                _draw(results, folder)
    finally:
        report.write_results(results, folder, calibration)
    if command.json:
        print((folder / "results.json").read_text(encoding="utf-8"), end="")
        return
    stdout.print(report.models_table(results))
    if command.design == "crossed":
        stdout.print(report.components_table(results))
    if calibration is not None:
        stdout.print(report.calibration_table(calibration))
    stdout.print(report.references_line(results), soft_wrap=True)
    # One line where a program may read it; a terminal gets it wrapped at words.
    stdout.print(printable(results.conclusion, keep="\n"), soft_wrap=not stdout.is_terminal)
    stdout.print(printable(f"Files: {folder}/"), soft_wrap=True)


def _draw(results: Results, folder: Path) -> None:
    """Draw the pictures, where matplotlib can be had with the settings that it finds."""
    try:
        from functional_clf.plots import write_plots
    except Exception as error:
        logger.warning("no pictures are drawn: matplotlib fails (%s)", error)
        remove(plot_files(folder))
    else:
        write_plots(results, folder / "plots")


def _replay(command: Command, stdout: Console) -> int:
    """Train one seed again and say what came of it, a line a model; 0 where every bit is equal."""
    found = replay(command.folder(), command.replay or 0)
    for model in found.models:
        what = "losses, counts, learning curves" + (" and weights" if model.has_params else "")
        verdict = f"DIFFERS: {'; '.join(model.differences)}" if model.differences else "identical"
        line = f"{model.model}, seed {command.replay}: {verdict} ({what} compared)"
        stdout.print(printable(line), soft_wrap=True)
    if not any(model.differences for model in found.models):
        return 0
    if changed := differences(found.recorded_on, found.replayed_on):
        stdout.print(printable(f"Recorded elsewhere: {changed}"), soft_wrap=True)
    return 1


def _complain(error: Exception) -> None:
    """In one line, whatever a file or a model in it is called."""
    print(printable(f"error: {error}"), file=sys.stderr)


def _announce(line: str, ask: bool) -> bool:
    """Say what will be deleted; on a terminal, whether it shall be."""
    print(printable(line), file=sys.stderr)
    if not (ask and sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    print("Delete it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _assist(command: Command, rank: Rank) -> int:
    """Be one of rank 0's workers; silent, unless what is wrong is this rank's own."""
    try:
        return command.assist(rank)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)


@contextlib.contextmanager
def _progress(stderr: Console) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, plain lines elsewhere."""
    if not stderr.is_terminal:
        yield _plain_progress(stderr)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("seeds{task.fields[speed]}"),
    )
    pace = Pace()
    with Bar(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task("starting", total=None, speed="")

        def show(progress: Progress) -> None:
            words = pace.words(progress)
            bar.update(
                task,
                description=progress.stage,
                total=progress.seeds_total,
                completed=int(progress.share * progress.seeds_total),
                speed=words and f", {words}",
            )

        yield show


class Pace:
    """Seeds per second since training began, and the time left at that speed."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None

    def words(self, progress: Progress, now: float | None = None) -> str:
        """As `12.5 seeds/s, 0:01:20 left`; empty until there is something to say.

        Args:
            progress: how far the training is.
            now: seconds on any clock; None reads it.

        Example:
            >>> pace = Pace()
            >>> for now, share in ((100.0, 0.0), (110.0, 0.5)):
            ...     words = pace.words(Progress("training", 0, 1000, share), now)
            >>> words
            '50.0 seeds/s, 0:00:10 left'
        """
        now = time.monotonic() if now is None else now
        if progress.stage != "training" or self._start is None:
            self._start = (now, progress.share)
        start, share_then = self._start
        share = progress.share - share_then
        if now - start < 1 or share <= 0:
            return ""
        left = round((1 - progress.share) / share * (now - start))
        speed = share * progress.seeds_total / (now - start)
        return f"{speed:.1f} seeds/s, {timedelta(seconds=max(left, 0))} left"


def _plain_progress(stderr: Console) -> Callable[[Progress], None]:
    shown_at = time.monotonic()
    pace = Pace()

    def show(progress: Progress) -> None:
        nonlocal shown_at
        speed = pace.words(progress)
        if time.monotonic() - shown_at < PLAIN_PROGRESS_SECONDS:
            return
        shown_at = time.monotonic()
        print(
            f"{progress.stage}: {progress.seeds_done} of {progress.seeds_total} seeds done"
            + (f", {speed}" if speed else ""),
            file=sys.stderr,
        )

    return show


@contextlib.contextmanager
def _notices(stderr: Console) -> Iterator[None]:
    """The package's log lines, on standard error, above the progress bar."""

    class Notice(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            stderr.print(printable(record.getMessage()), soft_wrap=True)

    handler = Notice()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _leave(folder: Path, why: str, code: int) -> NoReturn:
    """End at once: a compilation in another thread would hold the interpreter for seconds."""
    print(
        printable(f"{why}: finished chunks are kept in {folder}; the same command continues"),
        file=sys.stderr,
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _on_terminate(folder: Path) -> None:
    """Let SIGTERM, by which torchrun and schedulers stop a process, say the same as Ctrl-C."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: _leave(folder, "stopped", TERMINATED))


def _one_line(box: str) -> str:
    r"""The gist of tyro's boxed complaint: its text up to the first rule, without the frame.

    Example:
        >>> print(_one_line("╭ Value error ──╮\n│ Error parsing --samples: │\n│ not a number │"))
        --samples: not a number
        >>> print(_one_line(" Value error \n ---- \n  not a number \n  ---- \n  See --help"))
        not a number
    """
    lines = [line.strip("╭╮╰╯│ ") for line in box.splitlines()]
    text = []
    for line in lines[1:]:
        if line.strip("─-"):  # the latter where the encoding is ASCII
            text.append(line)
        elif line and text:
            break
    gist = " ".join(" ".join(text).split())
    # Where it was our own check that failed, its message already names the argument.
    return re.sub(r"^Error parsing (?:\S+: (?=\w+ is ))?", "", gist)


if __name__ == "__main__":
    sys.exit(main())
