"""Where tensors lie in the memory of a fused program."""

from collections.abc import Mapping
from typing import NamedTuple

from functional_clf.engines.fused.form import ROWS, Address, Array, Index, RowsApart, Stride
from functional_clf.engines.fused.trace import SAMPLES, Size


class Storage(NamedTuple):
    """Where a tensor lies: its first element, and a stride for each axis."""

    first: Address
    strides: tuple[Stride, ...]

    @property
    def array(self) -> Array:
        """What it is a part of."""
        return self.first.array

    def at(self, index: Index) -> Address:
        """The element at an index.

        Example:
            >>> from functional_clf.engines.fused.form import Place
            >>> value = Storage(Address(Array("member", "value3")), (2, 1))
            >>> found = value.at((Place("i0", 5), Place(None, 1)))
            >>> found.offset, found.terms
            (11, (('i0', 2),))
        """
        offset, row = self.first.offset, self.first.row
        terms: list[tuple[str, Stride]] = []
        for place, stride in zip(index, self.strides, strict=True):
            if isinstance(stride, RowsApart):
                row += place.start * stride.rows
            else:
                offset += place.start * stride
            if place.counter is not None and stride != 0:
                terms.append((place.counter, stride))
        return Address(self.array, offset, row, (*self.first.terms, *terms))

    def starting(self, index: Index, strides: tuple[Stride, ...]) -> "Storage":
        """A part of it, from an index on, with strides of its own."""
        return Storage(self.at(index), strides)


def contiguous(array: Array, sizes: tuple[int, ...]) -> Storage:
    """A tensor of these sizes, its last axis side by side.

    Example:
        >>> contiguous(Array("member", "value3"), (5, 2)).strides
        (2, 1)
    """
    strides, left = [], 1
    for size in reversed(sizes):
        strides.insert(0, left)
        left *= size
    return Storage(Address(array), tuple(strides))


def in_rows(start: int, shape: tuple[Size, ...]) -> Storage:
    """A tensor in rows of a block, from one of them on.

    Example:
        >>> in_rows(7, (5, "samples", 2)).strides
        (RowsApart(rows=2), 1, RowsApart(rows=1))
    """
    strides: list[Stride] = []
    left = 1
    for size in reversed(shape):
        strides.insert(0, 1 if size == SAMPLES else RowsApart(left))
        left *= 1 if size == SAMPLES else size
    return Storage(Address(ROWS, row=start), tuple(strides))


def rows_of(address: Address, sizes: Mapping[str, int]) -> range:
    """The rows of a block that an address may be in, its counters being below these sizes.

    Example:
        >>> rows_of(Address(ROWS, row=7, terms=(("i0", RowsApart(2)), ("s", 1))), {"i0": 5})
        range(7, 16)
    """
    if address.array != ROWS:
        return range(0)
    steps = [
        (sizes[counter] - 1) * stride.rows
        for counter, stride in address.terms
        if isinstance(stride, RowsApart)
    ]
    return range(address.row, address.row + sum(steps) + 1)


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
