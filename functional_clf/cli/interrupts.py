"""Ctrl-C, before and while large libraries are imported.

Polars installs a handler while it is imported that would swallow it. So it is held back from the
start of the process, in all threads that libraries start, until polars' handler is undone.
"""

import signal
import threading


def end_quietly() -> None:
    """Have Ctrl-C end the process at once, without a traceback."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_again() -> None:
    """Have Ctrl-C raise a KeyboardInterrupt, as it does by default."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def hold_back() -> None:
    """Keep Ctrl-C waiting, in this thread and in those that it starts from now on."""
    _mask("SIG_BLOCK")


def let_through() -> None:
    """Let Ctrl-C through, also one that has waited."""
    _mask("SIG_UNBLOCK")


def _mask(how: str) -> None:
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(getattr(signal, how), {signal.SIGINT})
