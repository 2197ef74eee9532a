"""What went wrong, in one line, out of what an exception or a compiler says in many."""


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
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    complaints = [line for line in lines if " error: " in line]
    sentences = [line for line in lines if not line.endswith(":")]
    return next(iter([*complaints, *sentences, *lines]), None)
