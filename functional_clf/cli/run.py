"""The main job: `python -m functional_clf.run --seeds 64`, or `functional-clf run --seeds 64`.

Arguments are parsed before anything large is imported, so that a wrong one is told at once.
"""

import os
import signal
import threading
from collections.abc import Sequence

from functional_clf.cli.run_arguments import PROGRAM, parse
from functional_clf.cli.screen import complain, consoles


def main(args: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Parse the arguments, run the study, print its conclusion; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
        program: what the help calls the command.
    """
    stdout, stderr = consoles()
    try:
        arguments = parse(args, program)
    except UnicodeError:
        raise  # nobody's argument, though it is a ValueError
    except ValueError as error:
        if os.environ.get("RANK", "0") == "0":  # other ranks find the same wrong
            complain(error)
        return 2
    _import_quietly()
    from functional_clf.cli.job import run_job

    return run_job(arguments, stdout, stderr)


def _import_quietly() -> None:
    """Import what the job needs, torch above all; Ctrl-C ends that without a traceback."""
    if threading.current_thread() is threading.main_thread():
        # Polars installs a handler that would swallow Ctrl-C; the mask holds it back till that is
        # undone.
        held_back = {signal.SIGINT} if hasattr(signal, "pthread_sigmask") else None
        if held_back:
            signal.pthread_sigmask(signal.SIG_BLOCK, held_back)
        import polars as _

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if held_back:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, held_back)
    import functional_clf.cli.job as _  # noqa: F401

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
