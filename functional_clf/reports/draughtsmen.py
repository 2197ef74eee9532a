"""Child processes that draw, while this one is busy with other things.

They are started before torch is imported, and import matplotlib meanwhile; so this module needs
neither, nor polars.
"""

import builtins
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

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
from functional_clf.support.processes import (
    GROUPS,
    available_cores,
    child_environment,
    kill_group,
)

if TYPE_CHECKING:
    from functional_clf.study.results import Results

# Nothing out of the current folder.
PROGRAM = ("-P", "-m", "functional_clf.reports.drawing_process")
LONGEST_SECONDS = 120.0
"""Whoever has not drawn all by then is given up; the pictures are drawn in this process."""


class Draughtsmen:
    """Draw pictures in child processes, a picture on each core; a context manager.

    The children share what the first of them has imported. Where there is one core, or no child can
    be started, or one ends too early, pictures are drawn in this process.

    Example:
        >>> from functional_clf import Study, circles, model_0
        >>> import tempfile
        >>> with Draughtsmen() as artists, tempfile.TemporaryDirectory() as folder:
        ...     results = Study(circles(60), [model_0(epochs=2)], 2, engine="eager").run()
        ...     [path.name for path in artists.write(results, Path(folder) / "plots")]
        ['data.png', 'curves.png', 'accuracies.png', 'boundaries.png']
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._has_ended = False

    def __enter__(self) -> Self:
        if available_cores() > 1:
            with suppress(OSError):
                self._child = _start(available_cores())
                GROUPS.add(self._child.pid)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if self._has_ended:  # by itself, so that matplotlib can tidy up
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=1)
        kill_group(child)
        GROUPS.discard(child.pid)
        for stream in _streams(child):
            with suppress(OSError):  # of what a child that has ended did not read
                stream.close()
        child.wait()

    def write(self, results: "Results", folder: Path, of: str | None = None) -> list[Path]:
        """Draw every picture into `folder`; as `reports.plots.write_plots`, but faster."""
        from functional_clf.reports.plots import write_plots

        return write_plots(results, folder, of, self)

    def draw(self, commissions: Iterable[Commission]) -> dict[str, Drawn]:
        """Draw each picture as it comes.

        Args:
            commissions: what to draw; each is sent off before the next is asked for.

        Returns:
            By name, what came of it; those are missing that could not be drawn in child processes.
        """
        child = self._child
        if child is None or self._has_ended:
            return {}
        patience = threading.Timer(LONGEST_SECONDS, kill_group, [child])
        patience.daemon = True
        patience.start()
        try:
            return self._drawn(commissions, *_streams(child))
        except (OSError, ValueError):  # a child that has ended, or says what makes no sense
            return {}
        finally:
            patience.cancel()

    def _drawn(
        self, commissions: Iterable[Commission], to: IO[bytes], by: IO[bytes]
    ) -> dict[str, Drawn]:
        for commission in commissions:
            send(to, packed(commission))
        send(to, b"")
        drawn: dict[str, Drawn] = {}
        heard: set[Said] = set()
        while content := receive(by):
            one = unpacked(content)
            try:
                for said in one.said:
                    if said not in heard:
                        heard.add(said)
                        _say_again(said)
            except Warning as warning:  # warnings are errors in this process
                if not one.name:  # of an import: it fails here, too
                    return {}
                one = Drawn(one.name, None, reason_of(warning))
            if one.name:
                drawn[one.name] = one
        self._has_ended = True
        return drawn


def _start(at_once: int) -> subprocess.Popen[bytes]:
    # Threads of a matrix library do not help, and a process that has some should not fork.
    one_thread = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
        "1",
    )
    return subprocess.Popen(
        [sys.executable, *PROGRAM, str(at_once)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment() | one_thread,
        start_new_session=True,  # Ctrl-C is for this process; and all of them can be killed
    )


def _streams(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert child.stdin is not None
    assert child.stdout is not None
    return child.stdin, child.stdout


def _say_again(said: Said) -> None:
    if said.is_warning:
        category = getattr(builtins, said.kind)
        warnings.warn_explicit(said.text, category, said.source, said.line)
    else:
        logging.getLogger(said.source).log(int(said.kind), "%s", said.text)
