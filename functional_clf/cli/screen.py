"""What a command shows while it works: progress and notices, on standard error."""

import contextlib
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from functional_clf.study.progress import Pace, Progress
from functional_clf.support.text import printable

logger = logging.getLogger("functional_clf")

PLAIN_PROGRESS_SECONDS = 5.0
SAME_WRONG_SECONDS = 5.0
"""Within these rank 0 has found what is wrong for all, and torchrun has noticed that it ended."""

MOST_LETTERS = 1500
"""Of an error's line, about."""


def consoles() -> tuple[Console, Console]:
    """Standard output and standard error, for texts of which none is markup: names are text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal has no letter for, it escapes
            stream.reconfigure(errors="backslashreplace")
    stdout, stderr = (
        Console(stderr=is_error, markup=False, emoji=False, highlight=False)
        for is_error in (False, True)
    )
    return stdout, stderr


def complain(error: Exception | str) -> None:
    """Say what went wrong in one line, whatever a file or a model in it is called."""
    line = printable(f"error: {error}")
    if len(line) > MOST_LETTERS:  # of an argument, most likely, that was repeated
        line = f"{line[: MOST_LETTERS // 2]} [...] {line[-MOST_LETTERS // 2 :]}"
    print(line, file=sys.stderr)


def complain_as(rank: int, error: Exception | str) -> None:
    """Say what went wrong on one of several processes; of what all find wrong, rank 0 speaks.

    Args:
        rank: of this process. One that is not 0 waits: torchrun ends it when rank 0 has ended.
        error: what went wrong.
    """
    if rank == 0:
        return complain(error)
    time.sleep(SAME_WRONG_SECONDS)
    return complain(f"rank {rank}: {error}")


@contextlib.contextmanager
def shown_progress(stderr: Console) -> Iterator[Callable[[Progress], None]]:
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
def shown_notices(stderr: Console) -> Iterator[None]:
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
