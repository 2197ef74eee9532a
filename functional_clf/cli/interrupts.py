"""Ctrl-C and SIGTERM, from the first line of the program on: one line, and exit code 130 or 143.

While a job runs, a signal raises KeyboardInterrupt in the main thread, as Python's own Ctrl-C does,
so that whatever is open is closed on the way up. Anywhere else, as while torch is imported, which
would take an exception for a failure of its own, it ends the process at once. Only the first signal
counts: nothing disturbs the ending, and the ending lasts a few seconds at most.
"""

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from functional_clf.cli.streams import fill_gaps
from functional_clf.support.processes import end_children

WHY = {"SIGINT": "interrupted", "SIGTERM": "stopped", "SIGHUP": "hung up"}
"""The signals that end a command, and what is said then; the exit code is 128 and the number."""

LONGEST_ENDING_SECONDS = 4.0
"""So long may what is open take to close; then the process ends without it."""
PATIENCE_SECONDS = 0.5
"""So long children may take to end, and threads to remove what they have half made."""


class _State:
    """Of the process, as signals are.

    handlers: those that were there before ours, by signal; None where ours are not.
    hooks: likewise, for exceptions that nobody catches.
    pipe: where Python writes the number of a signal at once, whatever the main thread does.
    come: the signal that has come.
    raises: whether one raises KeyboardInterrupt, or ends the process at once.
    code: that of a command that is over.
    more: what is said besides.
    is_silent: whether nothing is said.
    leaving: held by the thread that ends the process.
    """

    handlers: dict[int, Any] | None = None
    hooks: tuple[Any, ...] = ()
    pipe: tuple[int, ...] = ()
    come: int | None = None
    raises = False
    code: int | None = None
    is_silent = False

    def __init__(self) -> None:
        self.more: Callable[[], str] = lambda: ""
        self.leaving = _thread.allocate_lock()


_state = _State()


def take_over() -> bool:
    """Have signals end this process in one line; whether they did not before.

    Only the main thread can have that.
    """
    global _state
    if _state.handlers is not None or threading.current_thread() is not threading.main_thread():
        return False
    fill_gaps()  # before the pipe takes the number of a stream
    _state = _State()
    _state.handlers = handlers = dict[int, Any]()
    for name in WHY:
        number = getattr(signal, name, None)
        # Who starts a process under nohup wants it to outlive the terminal.
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue
        handlers[number] = signal.signal(number, _on_signal)
    _state.hooks = sys.unraisablehook, threading.excepthook
    sys.unraisablehook, threading.excepthook = _on_unraisable, _on_failed_thread
    with contextlib.suppress(OSError):
        _state.pipe = os.pipe()
        os.set_blocking(_state.pipe[1], False)
        signal.set_wakeup_fd(_state.pipe[1], warn_on_full_buffer=False)
        _thread.start_new_thread(_watch, (_state.pipe[0],))
    return True


def take_over_again() -> None:
    """Put a library's handler away that came before ours, and called it."""
    for number in _state.handlers or ():
        signal.signal(number, _on_signal)


def give_back() -> None:
    """Have signals do what they did before `take_over`."""
    handlers, _state.handlers = _state.handlers, None
    if handlers is None:
        return
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
    sys.unraisablehook, threading.excepthook = _state.hooks
    if _state.pipe:
        signal.set_wakeup_fd(-1)
        os.close(_state.pipe[1])  # which ends the thread that reads


@contextlib.contextmanager
def raising(is_so: bool = True) -> Iterator[None]:
    """Have a signal raise KeyboardInterrupt, or end the process at once where it would do harm."""
    before, _state.raises = _state.raises, is_so
    try:
        yield
    finally:
        _state.raises = before


def has_come() -> bool:
    """Whether a signal has come that ends the command."""
    return _state.come is not None


def say_more(more: Callable[[], str]) -> None:
    """Have something follow the word that is said: what is kept, once it is known."""
    _state.more = more


def more() -> str:
    """What follows the word; empty where nothing is known."""
    return _state.more()


def say_nothing() -> None:
    """End without a word: of several processes one speaks for all."""
    _state.is_silent = True


def over(code: int) -> None:
    """Say that the command is over: whatever comes now, the process ends with its exit code."""
    _state.code = code


def leave() -> NoReturn:
    """End the process for the signal that has come, or for Ctrl-C where none has.

    Threads are not waited for long: one that compiles would hold the interpreter for seconds.
    """
    number = signal.Signals(_state.come or signal.SIGINT)
    _state.come = int(number)
    while not _state.leaving.acquire(blocking=False):  # another thread does
        time.sleep(1)
    until = time.monotonic() + PATIENCE_SECONDS
    end_children(until)
    while _has_busy_threads() and time.monotonic() < until:
        time.sleep(0.01)
    end_children()  # what those have started meanwhile
    if not _state.is_silent:
        line = ": ".join(filter(None, (WHY[number.name], more()))) + "\n"
        with contextlib.suppress(OSError):  # not by sys.stderr, which may be in use
            os.write(2, line.encode(getattr(sys.stderr, "encoding", "ascii"), "backslashreplace"))
    os._exit(128 + number)


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _state.code is not None:
        os._exit(_state.code)
    if _state.come is not None:
        return
    _state.come = number
    if not _state.raises:
        leave()
    raise KeyboardInterrupt


def _watch(pipe: int) -> None:
    """End the process when that takes long, or the main thread takes no notice."""
    with open(pipe, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            if _state.code is None and number[0] in (_state.handlers or ()):
                time.sleep(LONGEST_ENDING_SECONDS)
                if _state.code is None and _state.handlers is not None:
                    _state.come = _state.come or number[0]
                    leave()


def _has_busy_threads() -> bool:
    return any(
        not one.daemon and one is not threading.main_thread() and one.is_alive()
        for one in threading.enumerate()
    )


def _on_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    if _state.come is None:
        _state.hooks[0](unraisable)
    elif unraisable.exc_type is KeyboardInterrupt and _state.raises:
        _thread.start_new_thread(_send_again, (_state.come,))  # it was raised where it is lost
        _state.come = None


def _send_again(number: int) -> None:
    time.sleep(0.01)
    os.kill(os.getpid(), number)


def _on_failed_thread(failure: "threading.ExceptHookArgs") -> None:
    if _state.come is None:  # else something was taken from under it
        _state.hooks[1](failure)
