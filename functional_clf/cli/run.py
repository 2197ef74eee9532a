"""The main job: `python -m functional_clf.run --seeds 64`, or `functional-clf run --seeds 64`.

Arguments are parsed before anything large is imported, so that a wrong one is told at once.
"""

import contextlib
import os
from collections.abc import Sequence

from functional_clf.cli import interrupts
from functional_clf.cli.ending import ended
from functional_clf.cli.imports import uncollected
from functional_clf.cli.run_arguments import PROGRAM, RunArguments, parse
from functional_clf.cli.screen import consoles
from functional_clf.record.names import FILE_NAME
from functional_clf.reports.draughtsmen import Draughtsmen
from functional_clf.workers.launch import launch_of


def main(args: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Parse the arguments, run the study, print its conclusion; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
        program: what the help calls the command.
    """
    return ended(lambda: _run(args, program))


def _run(args: Sequence[str] | None, program: str) -> int:
    stdout, stderr = consoles()
    launch = launch_of()
    is_first = launch is None or launch.index == 0
    if not is_first:
        interrupts.say_nothing()
    arguments = parse(args, program)
    if launch is not None:  # torch says in many lines what a RankError says in one
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    with contextlib.ExitStack() as stack:
        artists = None
        if is_first and _will_draw(
            arguments
        ):  # they import matplotlib while this process imports torch
            artists = stack.enter_context(Draughtsmen())
        with uncollected():
            import functional_clf.cli.job as job
        interrupts.take_over_again()  # polars has a handler of its own
        with interrupts.raising():
            return job.run_job(arguments, stdout, stderr, artists)


def _will_draw(arguments: RunArguments) -> bool:
    """Whether there will be pictures to draw, as far as can be told yet."""
    if not arguments.plots or arguments.replay is not None:
        return False
    # Of a study that is there the pictures are there too, most often.
    return arguments.fresh or arguments.out is None or not (arguments.out / FILE_NAME).exists()
