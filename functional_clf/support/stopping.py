"""Whether what a thread does is still wanted: whoever works for long asks now and then.

A thread cannot be ended from outside. What waits for a compiler is told here that nobody wants it
any more, however deep below it is called.
"""

import threading
from collections.abc import Callable

_of = threading.local()


def ask(is_over: Callable[[], bool]) -> None:
    """Say whom this thread shall ask from now on.

    Args:
        is_over: whether its work is no longer wanted.
    """
    _of.is_over = is_over


def asked() -> Callable[[], bool]:
    """Whom this thread asks, for threads that it starts; nobody ends what asks nobody.

    Example:
        >>> asked()()
        False
    """
    return getattr(_of, "is_over", lambda: False)


def check() -> None:
    """See that the work of this thread is still wanted.

    Raises:
        InterruptedError: when it is not.

    Example:
        >>> check()
    """
    if asked()():
        raise InterruptedError("this was stopped")
