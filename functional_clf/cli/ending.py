"""How a command ends, whatever becomes of it: in one line at most, and with its exit code.

0 is for what was done, 1 for what the machine does not give (and for a replay that differs), 2 for
what was asked wrongly, 70 for a fault of the program. By what a shell makes of signals, 130 is for
Ctrl-C, 143 for SIGTERM, and 141 for a reader of the output who has gone, as with `cat` and `grep`:
so a script can tell what `| head` has cut off from what was told whole.
"""

import contextlib
import errno
import gc
import os
import platform
import re
import site
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import functional_clf
from functional_clf.cli import interrupts
from functional_clf.cli.screen import complain, complain_as
from functional_clf.cli.streams import OutputError, fill_gaps, told_streams
from functional_clf.support.errors import AskedError, MachineError, one_line
from functional_clf.workers.launch import RankError, launch_of

MACHINE, ASKED, FAULT, READER_GONE = 1, 2, 70, 141
"""Exit codes; FAULT is EX_SOFTWARE of sysexits.h."""

SHOW = "FUNCTIONAL_CLF_TRACEBACK"
"""The environment variable that has the traceback of any error shown."""


def ended(command: Callable[[], int]) -> int:
    """Run a command and have it end as all do; its exit code.

    Args:
        command: returns its exit code.

    Raises:
        SystemExit: after --help.

    Example:
        >>> ended(lambda: 0)
        0
    """
    fill_gaps()
    is_ours = interrupts.take_over()
    code = FAULT
    try:
        with told_streams():
            code = _ended(command)
        return code
    except SystemExit:
        code = 0
        raise
    finally:
        if is_ours:
            interrupts.give_back()
        else:  # they are those of the process, whose first line took them over
            interrupts.over(code)


def _ended(command: Callable[[], int]) -> int:
    # A signal raises once at most: what leaves the inner block by one, the outer catches.
    try:
        try:
            code = _flushed(command)
        except SystemExit:
            raise
        except BaseException as error:  # also panics of polars
            code = _told(error)
        if interrupts.has_come():  # and somebody took it for a failure of theirs
            interrupts.leave()
    except KeyboardInterrupt:
        interrupts.leave()
    return code


def _flushed(command: Callable[[], int]) -> int:
    try:
        code = command()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return code


def _told(error: BaseException) -> int:
    """Say what went wrong; the exit code."""
    if interrupts.has_come() or isinstance(error, KeyboardInterrupt):
        _let_go(error)
        interrupts.leave()
    if os.environ.get(SHOW):
        traceback.print_exception(error)
    code, line = _code_and_line(error)
    if code == ASKED:
        complain_as(_rank(), line)
    elif line:
        complain(line)
    return code


def _let_go(error: BaseException | None) -> None:
    """Forget what was open where it was raised: it may have come just before that was closed."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
    gc.collect()


def _rank() -> int:
    """Which of the processes that torchrun has started this one is; 0 where it is alone."""
    with contextlib.suppress(RankError):
        return 0 if (launch := launch_of()) is None else launch.index
    return 0


def _code_and_line(error: BaseException) -> tuple[int, str]:
    if isinstance(error, OutputError):
        if error.errno == errno.EPIPE:
            return READER_GONE, ""
        why = "it is closed" if error.errno == errno.EBADF else error.strerror
        return MACHINE, f"standard output cannot be written: {why}{_kept()}"
    if isinstance(error, MachineError):
        return MACHINE, str(error)
    if isinstance(error, UnicodeEncodeError):
        shown = repr(error.object) if len(error.object) <= 200 else "a text"
        lack = f"{shown} cannot be written in {error.encoding}"
        return MACHINE, f"{lack}: {error.reason}; PYTHONUTF8=1 has Python use UTF-8{_kept()}"
    if isinstance(error, AskedError | ValueError) and not isinstance(error, UnicodeError):
        return ASKED, str(error)
    if isinstance(error, RecursionError):
        return ASKED, f"what was given is nested too deep: {one_line(error)}{_kept()}"
    if _is_lack_of_memory(error):
        less = "a smaller --chunk-size or fewer --threads need less"
        return MACHINE, f"memory is short ({one_line(error)}); {less}{_kept()}"
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename is not None else ""
        return MACHINE, f"{what}{error.strerror or one_line(error)}{_kept()}"
    if isinstance(error, ImportError):
        return MACHINE, f"{error.name or 'a module'} cannot be imported: {one_line(error)}"
    return _unexpected(error)


def _is_lack_of_memory(error: BaseException) -> bool:
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # of torch, which need not be imported
        or (
            isinstance(error, RuntimeError)
            and re.search("can't allocate memory|out of memory", str(error)) is not None
        )
    )


def _unexpected(error: BaseException) -> tuple[int, str]:
    """Of what nobody has thought of: whose code it comes from, and where its traceback is."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [one for one in frames if _is_of_somebody_else(one.filename)]
    last = [*frames[-1:], *theirs[-1:]]
    where = f"{last[-1].filename}, line {last[-1].lineno}: " if last else ""
    told = one_line(error)
    what = told if told.startswith(type(error).__name__) else f"{type(error).__name__}: {told}"
    code, whose = (ASKED, "") if theirs else (FAULT, "a fault of functional_clf itself: ")
    return code, f"{whose}{where}{what}; {_where_to_see(error)}{_kept()}"


def _is_of_somebody_else(file: str) -> bool:
    """Whether code is neither this package's nor Python's nor an installed library's."""
    folders = {*sysconfig.get_paths().values(), *site.getsitepackages(), sys.prefix}
    folders.add(str(Path(functional_clf.__file__).parent))
    is_installed = any(Path(file).is_relative_to(folder) for folder in folders)
    return not file.startswith("<") and not is_installed


def _where_to_see(error: BaseException) -> str:
    if os.environ.get(SHOW):
        return "its traceback stands above"
    about = f"functional_clf {functional_clf.__version__}, Python {platform.python_version()}"
    lines = [about, repr(sys.argv), *traceback.format_exception(error)]
    try:
        descriptor, name = tempfile.mkstemp(".txt", "functional_clf-")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(lines))
    except OSError:
        return f"{SHOW}=1 shows its traceback"
    return f"its traceback is in {name}"


def _kept() -> str:
    return f"; {kept}" if (kept := interrupts.more()) else ""
