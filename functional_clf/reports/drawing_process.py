"""A process that draws pictures: `draughtsmen` starts it, and sends it what to draw.

It has matplotlib imported when the first picture comes. For each picture it forks, so that those
are drawn side by side, and all with what has been imported once. Where a process cannot be forked
safely it draws them one after another.
"""

import builtins
import contextlib
import gc
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from functional_clf.reports.pictures import (
    Commission,
    Drawn,
    Said,
    packed,
    reason_of,
    receive,
    send,
    unpacked,
)

FORKS = hasattr(os, "fork") and sys.platform != "darwin"
"""Apple's libraries may start threads, which a forked process lacks."""


def serve(commissions: BinaryIO, answers: BinaryIO, at_once: int) -> None:
    """Draw what is asked for until no more is, and answer.

    The first answer has no name: what was said while matplotlib was imported.

    Args:
        commissions: where they come from.
        answers: where to send what came of each; not before all have come, since nobody reads them.
        at_once: pictures to draw at the same time.
    """
    with _listening() as said:
        from functional_clf.reports.drawing import practise

        practise()
    finished = [packed(Drawn("", None, said=tuple(said)))]
    gc.freeze()  # nothing of it is to be looked through again
    team: dict[int, BinaryIO] = {}
    while content := receive(commissions):
        commission = unpacked(content)
        if not FORKS:
            finished.append(packed(_drawn(commission)))
            continue
        if len(team) == at_once:
            finished.append(_next_finished(team))
        _begin(commission, team)
    for content in filter(None, finished):
        send(answers, content)
    while team:
        if content := _next_finished(team):
            send(answers, content)
    send(answers, b"")


def _begin(commission: Commission, team: dict[int, BinaryIO]) -> None:
    """Fork a process that draws a picture; the file by its number is what it will answer."""
    paper = tempfile.TemporaryFile()  # noqa: SIM115 - closed where it is read
    child = os.fork()
    if child:
        team[child] = paper
        return
    code = 1
    try:
        paper.write(packed(_drawn(commission)))
        paper.flush()
        code = 0
    finally:
        os._exit(code)


def _next_finished(team: dict[int, BinaryIO]) -> bytes:
    """The answer of the next process to end; empty where it has none."""
    child, status = os.wait()
    with team.pop(child) as paper:
        paper.seek(0)
        return b"" if status else paper.read()


def _drawn(commission: Commission) -> Drawn:
    from functional_clf.reports.drawing import png_of

    png, reason = None, ""
    with _listening() as said:
        try:
            png = png_of(commission.picture)
        except Exception as error:  # matplotlib fails in many ways
            reason = reason_of(error)
    return Drawn(commission.name, png, reason, tuple(said))


@contextlib.contextmanager
def _listening() -> Iterator[list[Said]]:
    """Collect what is logged, and at the end also the warnings."""
    said: list[Said] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(
                Said(False, record.name, str(record.levelno), record.lineno, record.getMessage())
            )

    ear = Ear(logging.WARNING)
    logging.getLogger().addHandler(ear)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")  # whoever hears it has filters
            yield said
    finally:
        logging.getLogger().removeHandler(ear)
    said += [
        Said(True, one.filename, _built_in(one.category), one.lineno, str(one.message))
        for one in caught
    ]


def _built_in(category: type[Warning]) -> str:
    """The nearest class of a warning that every process knows."""
    names = (one.__name__ for one in category.__mro__ if getattr(builtins, one.__name__, 0) is one)
    return next(names)


def main() -> None:
    """Serve whoever has started this process, on its standard streams."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anybody prints is no answer
    serve(sys.stdin.buffer, channel, int(sys.argv[1]))


if __name__ == "__main__":
    main()
