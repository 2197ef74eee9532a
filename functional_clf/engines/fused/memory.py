"""Where tensors lie in the memory of a C program."""

from collections.abc import Sequence
from typing import NamedTuple

Index = tuple[str, ...]
"""An element of a tensor: a C expression for each axis."""


class Storage(NamedTuple):
    """Where a tensor lies: an array in C, and a stride for each axis.

    rows: of a block of samples, the first and the number of those it lies in; None elsewhere.
    """

    name: str
    offset: int | str
    strides: tuple[int | str, ...]
    rows: tuple[int, int] | None = None

    def at(self, index: Index) -> str:
        """The element at an index.

        Example:
            >>> Storage("w->value3", 0, (2, 1)).at(("i0", "1"))
            'w->value3[i0 * 2 + 1]'
        """
        terms = [str(self.offset)] if self.offset != 0 else []
        for place, stride in zip(index, self.strides, strict=True):
            if place != "0" and stride != 0:
                terms.append(place if stride == 1 else f"{place} * {stride}")
        return f"{self.name}[{' + '.join(terms) or '0'}]"

    def first(self) -> str:
        """The address of the first element."""
        return f"&{self.at(('0',) * len(self.strides))}"


class Rows:
    """Rows of one block of samples, handed out and taken back.

    Example:
        >>> rows = Rows()
        >>> rows.new(16, last=4), rows.new(3, last=9)
        (0, 16)
        >>> rows.free(4)
        >>> rows.new(5, last=9), rows.peak
        (0, 19)
    """

    def __init__(self) -> None:
        self.peak = 0
        self._taken: dict[int, tuple[int, int]] = {}  # by the first row: how many, the last reader

    def new(self, count: int, last: int) -> int:
        """Take `count` rows until statement `last`; returns the first of them."""
        start = 0
        for taken, (length, _) in sorted(self._taken.items()):
            if taken - start >= count:
                break
            start = taken + length
        self._taken[start] = (count, last)
        self.peak = max(self.peak, start + count)
        return start

    def ending(self, place: int, count: int) -> list[int]:
        """Where `count` rows lie that are read by statement `place` for the last time."""
        return [start for start, taken in self._taken.items() if taken == (count, place)]

    def take_over(self, start: int, last: int) -> None:
        """Keep rows for another tensor, until statement `last`."""
        self._taken[start] = (self._taken[start][0], last)

    def free(self, place: int) -> None:
        """Take back what no statement after `place` reads."""
        self._taken = {start: one for start, one in self._taken.items() if one[1] > place}


def rows_storage(start: int, count: int, strides: Sequence[int | str]) -> Storage:
    """A tensor in `count` rows of a block."""
    return Storage("w->rows", f"{start} * BLOCK", tuple(strides), (start, count))
