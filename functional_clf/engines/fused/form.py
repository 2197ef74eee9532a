"""What a fused program does, in no language: what lowering makes and a printer writes out.

A tensor is of the replicate's kind (weights, moments, gradients: no axis of samples) or of the
samples' kind. A function has three stages: what is of the replicate's kind and needs no sum over
samples; then, block by block, all that is of the samples' kind, adding up what is summed over
samples; then the rest. A block is some neighbouring samples, how many is the printer's choice; a
row is one number for each sample of a block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch

# Where numbers lie.


class Place(NamedTuple):
    """Where along an axis: at the value of a loop's counter, if any, plus a number."""

    counter: str | None
    start: int = 0


ZERO = Place(None)
SAMPLE = Place("s")
"""At the sample that a loop over a block is at."""
SAMPLE_OF_ALL = Place("(first + s)")
"""The same as a number: which of all samples that one is, where a function `counts_samples`."""

Index = tuple[Place, ...]
"""An element of a tensor: a place on each axis."""


class RowsApart(NamedTuple):
    """A stride of so many rows of a block."""

    rows: int


Stride = int | RowsApart

CACHE_LINE = 64


@dataclass(frozen=True)
class Array:
    """Memory with a name.

    kind: "state" (a leaf of the replicate's state), "data" (that it is trained on), "member" (of
        the function's own memory) or "rows" (those of the block).
    """

    kind: Literal["state", "data", "member", "rows"]
    name: str


ROWS = Array("rows", "rows")


@dataclass(frozen=True)
class Address:
    """One number in memory: its place is `offset` + `row` rows + the sum of counters by strides."""

    array: Array
    offset: int = 0
    row: int = 0
    terms: tuple[tuple[str, Stride], ...] = ()


# Expressions: one number each.


@dataclass(frozen=True)
class Number:
    """A number that is known; a float is of the precision of the weights."""

    value: float | int | bool


@dataclass(frozen=True)
class Load:
    """What lies in memory."""

    address: Address


@dataclass(frozen=True)
class Count:
    """The value of a loop's counter plus a number, as a number of this type."""

    place: Place
    dtype: torch.dtype


@dataclass(frozen=True)
class Apply:
    """An elementwise operation.

    name: as in `elementwise.OPERATIONS`.
    args: expressions, None where an argument is left out, or a word.
    settings: plain values by name.
    dtype: of the result.
    """

    name: str
    args: tuple["Expression | str | None", ...]
    settings: Mapping[str, Any]
    dtype: torch.dtype


Folding = Literal["sum", "product", "largest", "smallest", "all", "any"]


@dataclass(frozen=True)
class Fold:
    """Several numbers made one, from the first to the last; a NaN is larger and smaller than any.

    dtype: of the terms.
    """

    how: Folding
    terms: tuple["Expression", ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class AtPlace:
    """`value` where a place is the chosen one, and 0 elsewhere."""

    place: Place
    chosen: int
    value: "Expression"


Expression = Number | Load | Count | Apply | Fold | AtPlace


def loads(expression: Expression) -> list[Address]:
    """What an expression reads, in order.

    Example:
        >>> one = Load(Address(Array("data", "data0")))
        >>> [found.array.name for found in loads(Fold("sum", (one, Number(2)), torch.float32))]
        ['data0']
    """
    match expression:
        case Load(address):
            return [address]
        case Apply(args=parts) | Fold(terms=parts):
            return [
                found for part in parts if isinstance(part, Expression) for found in loads(part)
            ]
        case AtPlace(value=value):
            return loads(value)
    return []


# Statements.

Heads = tuple[tuple[str, int], ...]
"""Loops, the outermost first: each one's counter, which runs from 0 on, and how far."""


@dataclass(frozen=True)
class Assign:
    """Store an expression, for all values of the loops' counters."""

    heads: Heads
    target: Address
    value: Expression


@dataclass(frozen=True)
class Pass:
    """Several such statements in one loop, over the same numbers: element by element."""

    heads: Heads
    body: Sequence[Assign]


@dataclass(frozen=True)
class Total:
    """Store, for all values of the counters in `heads`, a sum over those in `inner`."""

    heads: Heads
    inner: Heads
    target: Address
    value: Expression
    dtype: torch.dtype


@dataclass(frozen=True)
class Clear:
    """Begin a sum over samples: a member's numbers are 0."""

    array: Array


@dataclass(frozen=True)
class Finish:
    """End a sum over samples that `Contract` made: its member holds it from here on."""

    array: Array


@dataclass(frozen=True)
class Store:
    """In a loop over samples: store an expression."""

    target: Address
    value: Expression


@dataclass(frozen=True)
class Add:
    """In a loop over samples: add an expression, of the block's real samples, to `target`.

    name: of the sum over one block.
    dtype: of that sum; a bool's is a whole number, which is small.
    """

    name: str
    dtype: torch.dtype
    target: Address
    value: Expression


@dataclass
class Loop:
    """Statements for each sample of a block, within loops over features."""

    heads: Heads
    body: list[Store | Add]


@dataclass(frozen=True)
class Matrix:
    """A matrix in memory, of numbers or of rows: its first element, and how far apart they are."""

    first: Address
    by_row: Stride
    by_column: Stride


@dataclass(frozen=True)
class Project:
    """out[o][s] = sum over i of weight[o][i] in[i][s]: weights by rows of samples.

    source, out: the strides from row to row; samples lie side by side.
    """

    fan_out: int
    fan_in: int
    weight: Matrix
    source: tuple[Address, Stride]
    out: tuple[Address, Stride]


@dataclass(frozen=True)
class Contract:
    """total[o][i] += sum over s of a[o][s] b[i][s], of the block's real samples."""

    fan_out: int
    fan_in: int
    a: tuple[Address, Stride]
    b: tuple[Address, Stride]
    total: Array


@dataclass(frozen=True)
class Member:
    """Numbers in a function's own memory.

    is_contracted: it is a sum that `Contract` makes.
    """

    dtype: torch.dtype
    count: int
    is_contracted: bool = False


@dataclass(frozen=True)
class Keep:
    """At the end: a leaf of the state is what lies in an array."""

    leaf: Array
    source: Array


@dataclass(frozen=True)
class Tell:
    """At the end: a number that the function returns."""

    name: str
    dtype: torch.dtype
    address: Address


@dataclass
class Function:
    """One graph of a replicate.

    members: its own memory, by name.
    before, block, after: statements of the three stages.
    rows: that its block needs at once.
    results: what it leaves.
    draws: whether it draws random numbers.
    counts_samples: whether a block needs to know how many samples are before it.
    """

    members: dict[str, Member] = field(default_factory=dict)
    before: list[Assign | Clear | Total] = field(default_factory=list)
    block: list[Loop | Project | Contract] = field(default_factory=list)
    after: list[Assign | Finish | Pass | Total] = field(default_factory=list)
    rows: int = 0
    results: list[Keep | Tell] = field(default_factory=list)
    draws: bool = False
    counts_samples: bool = False


@dataclass(frozen=True)
class Sizes:
    """What a program is made for besides the recipe.

    Args:
        train: number of training samples.
        test: number of test samples.
        dtype: of the weights, float32 or float64.
        vector_bytes: of the machine's vector registers.
        batch_size: samples in a training step, at most all of them; None for all, in their order.
        drop_last: whether the last batch of an epoch is left out where it is shorter.
    """

    train: int
    test: int
    dtype: torch.dtype
    vector_bytes: int
    batch_size: int | None = None
    drop_last: bool = False

    @property
    def rest(self) -> int:
        """Samples in the shorter last batch of an epoch; 0 where there is none."""
        return 0 if self.batch_size is None or self.drop_last else self.train % self.batch_size

    @property
    def lanes(self) -> int:
        """Numbers in a vector register."""
        return self.vector_bytes // self.dtype.itemsize

    def padded(self, samples: int) -> int:
        """A number of samples, in whole vectors."""
        return -(-samples // self.lanes) * self.lanes

    def spread(self, samples: int) -> int:
        """Numbers in a row of a block or a batch: rows that begin at different places of a cache.

        Example:
            >>> Sizes(100, 50, torch.float32, 32).spread(64)
            80
        """
        lines = -(-samples * self.dtype.itemsize // CACHE_LINE)
        return (lines | 1) * CACHE_LINE // self.dtype.itemsize


@dataclass(frozen=True)
class Batches:
    """What the steps of an epoch need where they are on batches.

    take_rest: the step on the shorter last one, where there is one.
    key, step: which leaves of the state the order of the samples hangs on.
    order: what the key is folded with for it.
    rounds: how often the samples are sorted by random numbers.
    """

    take_rest: Function | None
    key: int
    step: int
    order: int
    rounds: int


@dataclass(frozen=True)
class Program:
    """A recipe's training: a step, and an evaluation on the training and on the test data.

    leaves: of a replicate's state, their types and sizes.
    features: of a sample.
    n_data: how many arrays of data a function is given.
    batches: where `take_step` is on a batch; else it is on all samples.
    """

    leaves: Sequence[tuple[torch.dtype, int]]
    features: int
    n_data: int
    take_step: Function
    evaluate_train: Function
    evaluate_test: Function
    batches: Batches | None = None
