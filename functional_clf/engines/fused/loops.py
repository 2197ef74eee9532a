"""Loops over features and samples, and which of them can be one."""

from collections.abc import Sequence
from typing import TypeVar

from functional_clf.engines.fused.form import (
    SAMPLE,
    ZERO,
    Address,
    Heads,
    Index,
    Loop,
    Place,
    Store,
    loads,
)
from functional_clf.engines.fused.memory import rows_of
from functional_clf.engines.fused.trace import SAMPLES, Size

Statement = TypeVar("Statement")


def nest(shape: Sequence[Size]) -> tuple[Index, Heads]:
    """An index that runs over a shape, and the heads of its loops but that over samples.

    Example:
        >>> nest((16, 1, "samples"))[1]
        (('i0', 16),)
    """
    index, heads = [], []
    for dim, size in enumerate(shape):
        if size == SAMPLES:
            index.append(SAMPLE)
        elif size == 1:
            index.append(ZERO)
        else:
            index.append(Place(f"i{dim}"))
            heads.append((f"i{dim}", size))
    return tuple(index), tuple(heads)


def merged(statements: Sequence[Statement | Loop]) -> list[Statement | Loop]:
    """The same with neighbouring loops as one, where that changes nothing: it saves passes."""
    found: list[Statement | Loop] = []
    for one in statements:
        last = found[-1] if found else None
        if isinstance(one, Loop) and isinstance(last, Loop) and _can_be_one(last, one):
            found[-1] = Loop(last.heads, [*last.body, *one.body])
        else:
            found.append(one)
    return found


def _can_be_one(first: Loop, then: Loop) -> bool:
    if first.heads != then.heads:
        return False
    sizes = dict(first.heads)

    def clash(one: Address, other: Address) -> bool:
        """Whether the two may be the same memory, other than element by element."""
        ones, others = rows_of(one, sizes), rows_of(other, sizes)
        return ones.start < others.stop and others.start < ones.stop and one != other

    def accesses(loop: Loop) -> tuple[list[Address], list[Address]]:
        """What it reads and writes, and what it writes, of the block's rows."""
        writes = [line.target for line in loop.body if isinstance(line, Store)]
        return [*(read for line in loop.body for read in loads(line.value)), *writes], writes

    (touched, written), (then_touched, then_written) = accesses(first), accesses(then)
    return not any(clash(one, write) for one in touched for write in then_written) and not any(
        clash(write, one) for write in written for one in then_touched
    )
