"""What went wrong, in one line, out of what an exception or a compiler says in many."""

import re


class AskedError(Exception):
    """What was asked for cannot be done; the message is one line, and says what can."""


class MachineError(Exception):
    """What the machine does not give, as where a disk is full; the message is one line."""


def one_line(error: BaseException) -> str:
    r"""The line of an exception's text that tells the cause; its type where it says nothing.

    Example:
        >>> one_line(RuntimeError("backend='inductor' raised:\nOSError: no space left\n\nSet ..."))
        'OSError: no space left'
        >>> one_line(KeyError("epochs")), one_line(MemoryError())
        ("KeyError: 'epochs'", 'MemoryError')
    """
    told = telling_line(str(error))
    if told is None:
        return type(error).__name__
    # The text of a KeyError is the key, and says nothing of what is the matter with it.
    return f"{type(error).__name__}: {told}" if isinstance(error, KeyError) else told


def telling_line(text: str) -> str | None:
    r"""The line that tells the cause: a compiler's first error, else the first that is no heading.

    Example:
        >>> telling_line("a.c: In function 'fit':\na.c:1:2: error: expected ';'")
        "a.c:1:2: error: expected ';'"
        >>> telling_line(" \n") is None
        True
    """
    _, traceback, told = text.rpartition("Traceback (most recent call last):")
    lines = [line for line in told.splitlines() if line.strip()]
    if traceback:  # the exception stands below the indented lines
        lines = [line for line in lines if not line[0].isspace()]
    lines = [line.strip() for line in lines]
    complaints = [line for line in lines if re.search(r"\berror: ", line)]
    sentences = [line for line in lines if not line.endswith(":")]
    return next(iter([*complaints, *sentences, *lines]), None)
