"""The main job: `python -m functional_clf.run --seeds 64`, or `functional-clf run --seeds 64`.

Arguments are parsed before anything large is imported, so that a wrong one is told at once.
"""

import contextlib
import os
from collections.abc import Sequence

from functional_clf.cli.imports import uncollected
from functional_clf.cli.interrupts import end_quietly, hold_back, let_through, raise_again
from functional_clf.cli.run_arguments import PROGRAM, RunArguments, parse
from functional_clf.cli.screen import complain, complain_as, consoles
from functional_clf.record.names import FILE_NAME
from functional_clf.reports.draughtsmen import Draughtsmen
from functional_clf.workers.launch import RankError, launch_of


def main(args: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Parse the arguments, run the study, print its conclusion; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
        program: what the help calls the command.
    """
    stdout, stderr = consoles()
    try:
        launch = launch_of()
    except RankError as error:
        complain(error)
        return 1
    rank = 0 if launch is None else launch.index
    try:
        arguments = parse(args, program)
    except UnicodeError:
        raise  # nobody's argument, though it is a ValueError
    except ValueError as error:
        complain_as(rank, error)
        return 2
    if launch is not None:  # torch says in many lines what a RankError says in one
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    with contextlib.ExitStack() as stack:
        artists = None
        if rank == 0 and _will_draw(
            arguments
        ):  # they import matplotlib while this process imports torch
            artists = stack.enter_context(Draughtsmen())
        with uncollected():
            _import_quietly()
        from functional_clf.cli.job import run_job

        return run_job(arguments, stdout, stderr, artists)


def _will_draw(arguments: RunArguments) -> bool:
    """Whether there will be pictures to draw, as far as can be told yet."""
    if not arguments.plots or arguments.replay is not None:
        return False
    # Of a study that is there the pictures are there too, most often.
    return arguments.fresh or arguments.out is None or not (arguments.out / FILE_NAME).exists()


def _import_quietly() -> None:
    """Import what the job needs, torch above all; Ctrl-C ends that without a traceback."""
    hold_back()
    import polars as _

    end_quietly()  # polars has changed it
    let_through()
    import functional_clf.cli.job as _  # noqa: F401, F811

    raise_again()
