"""Loops over the samples of a block, and which of them can be one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from functional_clf.engines.fused.memory import Index
from functional_clf.engines.fused.trace import SAMPLES, Size


class Access(NamedTuple):
    """One element of a block's rows that a statement reads or writes."""

    rows: tuple[int, int]
    text: str

    def clashes(self, other: "Access") -> bool:
        """Whether the two may be the same memory, other than element by element.

        Example:
            >>> Access((0, 4), "a[s]").clashes(Access((3, 2), "b[s]"))
            True
        """
        (one, ones), (two, twos) = self.rows, other.rows
        return one < two + twos and two < one + ones and self.text != other.text


@dataclass
class Loop:
    """Statements for each sample of a block, within loops over features.

    heads: of the loops over features.
    totals: variables that add up something over the samples, and their types.
    body: statements for one sample.
    end: statements after the last sample.
    reads, writes: of the block's rows.
    """

    heads: list[str]
    totals: dict[str, str] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    end: list[str] = field(default_factory=list)
    reads: list[Access] = field(default_factory=list)
    writes: list[Access] = field(default_factory=list)

    def absorbs(self, other: "Loop") -> bool:
        """Take the next loop's statements in, where that changes nothing: it saves a pass."""
        mine, theirs = [*self.reads, *self.writes], [*other.reads, *other.writes]
        if self.heads != other.heads or any(
            [one.clashes(write) for one in mine for write in other.writes]
            + [write.clashes(one) for write in self.writes for one in theirs]
        ):
            return False
        self.totals |= other.totals
        self.body += other.body
        self.end += other.end
        self.reads += other.reads
        self.writes += other.writes
        return True

    def lines(self) -> list[str]:
        """The loop in C, which says that it may be done in vectors."""
        kinds = dict.fromkeys(self.totals.values())
        sums = {kind: [name for name, of in self.totals.items() if of == kind] for kind in kinds}
        reductions = "".join(f" reduction(+ : {', '.join(names)})" for names in sums.values())
        return [
            *self.heads,
            "{",
            *(f"    {kind} {name} = 0;" for name, kind in self.totals.items()),
            f'    _Pragma("omp simd{reductions}")',
            # In whole vectors: what is computed behind the last sample, nobody reads.
            "    for (int s = 0; s < whole; s++) {",
            *(f"        {line}" for line in self.body),
            "    }",
            *(f"    {line}" for line in self.end),
            "}",
        ]


def merged(statements: Sequence[str | Loop]) -> list[str]:
    """Statements in C; neighbouring loops are one where they can be."""
    found: list[str | Loop] = []
    for one in statements:
        last = found[-1] if found else None
        if isinstance(one, str) or not isinstance(last, Loop) or not last.absorbs(one):
            found.append(one)
    return [line for one in found for line in ([one] if isinstance(one, str) else one.lines())]


def nest(shape: Sequence[Size]) -> tuple[Index, list[str]]:
    """An index that runs over a shape, and the heads of its loops but that over samples.

    Example:
        >>> nest((16, 1, "samples"))
        (('i0', '0', 's'), ['for (int i0 = 0; i0 < 16; i0++)'])
    """
    index, heads = [], []
    for dim, size in enumerate(shape):
        if size == SAMPLES:
            index.append("s")
        elif size == 1:
            index.append("0")
        else:
            index.append(f"i{dim}")
            heads.append(f"for (int i{dim} = 0; i{dim} < {size}; i{dim}++)")
    return tuple(index), heads
