"""Names and messages as a screen or a picture can show them: harmless, and short where need be.

Names are free text. What would move a cursor, turn the writing direction, start another line or
cannot be encoded is written as Python would escape it.
"""

from collections.abc import Sequence
from functools import partial

from rich.cells import cell_len, set_cell_size


def printable(text: str, encoding: str = "utf-8", keep: str = "") -> str:
    r"""A text with everything escaped that a screen cannot show as one letter.

    Args:
        text: any.
        encoding: of whoever shows it.
        keep: letters that are left as they are, such as a newline between paragraphs.

    Example:
        >>> printable("réseau\n\x1b[31m"), printable("réseau", encoding="ascii")
        ('réseau\\n\\x1b[31m', 'r\\xe9seau')
    """
    shown = "".join(
        letter if letter.isprintable() or letter in keep else escaped(letter) for letter in text
    )
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def shortened(names: Sequence[str], width: int, ellipsis: str = "…") -> list[str]:
    """Names cut to a width, all different where they were: the middle goes, or what they share.

    Args:
        names: of printable letters.
        width: cells of a terminal, at least 8; East Asian letters take two.
        ellipsis: stands for what is left out.

    Returns:
        One a name, in their order.

    Example:
        >>> shortened(["small", "a_very_long_name_of_a_model"], 12)
        ['small', 'a_very…model']
        >>> shortened(["a_very_long_name_1_of_a_model", "a_very_long_name_2_of_a_model"], 12)
        ['…_1_of_a_mo…', '…_2_of_a_mo…']
    """
    if all(cell_len(name) <= width for name in names):
        return list(names)
    shared = _shared_start(names)
    for cut in (_middle, partial(_around, shared=shared)):
        short = [name if cell_len(name) <= width else cut(name, width, ellipsis) for name in names]
        if len(set(short)) == len(set(names)):
            return short
    return [
        f"{_end(name, width - len(number), ellipsis)}{number}"
        for name, number in zip(names, (f"#{i}" for i in range(1, len(names) + 1)), strict=True)
    ]


def escaped(letter: str) -> str:
    r"""A letter as Python's source may name it.

    Example:
        >>> print(escaped("é"))
        \xe9
    """
    return letter.encode("unicode_escape").decode("ascii")


def _shared_start(names: Sequence[str]) -> int:
    """Letters that all names begin with."""
    return next(
        (place for place, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1),
        min(map(len, names)),
    )


def _middle(name: str, width: int, ellipsis: str) -> str:
    end = _last_cells(name, (width - cell_len(ellipsis)) // 2)
    start = set_cell_size(name, width - cell_len(ellipsis) - cell_len(end)).rstrip()
    return f"{start}{ellipsis}{end}"


def _around(name: str, width: int, ellipsis: str, shared: int) -> str:
    """The name from shortly before the place where the names begin to differ."""
    rest = name[max(shared - 1, 0) :]
    if len(rest) == len(name):
        return _end(name, width, ellipsis)
    room = width - cell_len(ellipsis)
    return ellipsis + (rest if cell_len(rest) <= room else _end(rest, room, ellipsis))


def _end(name: str, width: int, ellipsis: str) -> str:
    if cell_len(name) <= width:
        return name
    return set_cell_size(name, width - cell_len(ellipsis)).rstrip() + ellipsis


def _last_cells(name: str, width: int) -> str:
    start = len(name)
    while start and cell_len(name[start - 1 :]) <= width:
        start -= 1
    return name[start:]
