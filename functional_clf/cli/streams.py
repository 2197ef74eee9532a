"""Standard streams that fail as those of well-kept tools do.

What standard output does not take is an error of its own, `OutputError`, and told once. What nobody
hears on standard error is no reason to end: it is dropped. A stream that is closed when the process
starts must not become the next file that is opened: its number is taken at once.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class OutputError(OSError):
    """Standard output takes no more; `errno` says why."""


def fill_gaps() -> None:
    """Open the standard streams that are closed: reading is at its end, writing fails.

    Output to what can only be read fails as output to a closed file does; what is said on standard
    error goes nowhere, above all not to standard output.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # It takes the lowest number that is free; and children have it, too.
            os.set_inheritable(os.open(os.devnull, mode), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115


@contextlib.contextmanager
def told_streams() -> Iterator[None]:
    """Have standard output fail by `OutputError`, and standard error never."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _over(sys.stdout, _Output), _over(sys.stderr, _Notices)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Output(io.FileIO):
    """A file whose first failure is raised; what is written after it is dropped."""

    has_failed = False

    def write(self, data: Any) -> int:
        if self.has_failed:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self.has_failed = True
            raise OutputError(error.errno, error.strerror) from error


class _Notices(io.FileIO):
    """A file that takes everything, and drops what it cannot keep."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def _over(stream: TextIO, kind: type[io.FileIO]) -> TextIO:
    """A stream of the same file that fails differently; itself, where it is no plain file."""
    raw = getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None))
    if not isinstance(stream, io.TextIOWrapper) or type(raw) is not io.FileIO:
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(kind(raw.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",  # what there is no letter for, is escaped
        line_buffering=stream.line_buffering or stream.write_through,  # the latter under -u
    )
