"""Tensors that are the elements of another one in another shape."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from functional_clf.engines.fused.form import ZERO, Index, Place, RowsApart, Stride
from functional_clf.engines.fused.memory import Storage
from functional_clf.engines.fused.trace import SAMPLES, Node, Size, UnfusableError

RESHAPES = {"view", "_unsafe_view", "reshape", "_reshape_alias"}

VIEWS = {
    *("transpose", "t", "permute", "unsqueeze", "squeeze", "select", "slice", "expand"),
    *("alias", "detach", *RESHAPES),
}
"""Operations that only look at a tensor in another way."""


_SOME = -1  # in place of the number of samples


class View(NamedTuple):
    """The same elements in another shape.

    dims: for each axis, the source's axis, or None where it is new.
    fixed: by the source's axis, the place that is picked.
    starts: by axis, where a slice begins.
    """

    dims: Sequence[int | None]
    fixed: Mapping[int, int] = {}
    starts: Mapping[int, int] = {}

    def source_index(self, index: Index, shape: Sequence[Size]) -> Index:
        """The index into the source, of this shape, for one into the view.

        Example:
            >>> View((1, 0), starts={0: 2}).source_index((Place("i"), Place("j")), (5, 7))
            (Place(counter='j', start=0), Place(counter='i', start=2))
        """
        found = [ZERO] * len(shape)
        for dim, chosen in self.fixed.items():
            found[dim] = Place(None, chosen)
        for axis, (dim, at) in enumerate(zip(self.dims, index, strict=True)):
            if dim is not None and shape[dim] != 1:
                found[dim] = Place(at.counter, at.start + self.starts.get(axis, 0))
        return tuple(found)

    def storage(self, source: Storage, shape: Sequence[Size]) -> Storage:
        """Where the view lies, for a source that lies in memory."""
        strides: list[Stride] = [
            0 if dim is None or shape[dim] == 1 else source.strides[dim] for dim in self.dims
        ]
        start = self.source_index((ZERO,) * len(self.dims), shape)
        return source.starting(start, tuple(strides))


def view_of(node: Node, shape: tuple[Size, ...]) -> View:
    """The view that a node is of its first argument, which has this shape.

    Raises:
        UnfusableError: when it picks single samples, or reshapes but for axes of length 1.
    """
    name, args, rank = node.name, node.args[1:], len(shape)
    dims: list[int | None] = list(range(rank))
    if name in ("transpose", "t"):
        if rank > 1:
            one, other = args or (0, 1)
            dims[one % rank], dims[other % rank] = dims[other % rank], dims[one % rank]
        return View(dims)
    if name == "permute":
        return View([dim % rank for dim in args[0]])
    if name == "unsqueeze":
        dims.insert(args[0] % (rank + 1), None)
        return View(dims)
    if name == "select":
        dim, place = args[0] % rank, args[1]
        size = shape[dim]
        if size == SAMPLES or place == SAMPLES:
            raise UnfusableError("it picks single samples")
        dims.remove(dim)
        return View(dims, fixed={dim: place % size})
    if name == "slice":
        return _slice(args, dims, shape)
    if name == "expand":
        return View([None] * (len(node.shape) - rank) + dims)
    if name in ("alias", "detach"):
        return View(dims)
    return View(_unit_axes_changed(shape, node.shape))


def _slice(args: Sequence[Any], dims: list[int | None], shape: tuple[Size, ...]) -> View:
    dim, start, end, step = (*args, *(0, None, None, 1)[len(args) :])
    dim, start = (dim or 0) % len(shape), start or 0
    size = shape[dim]
    is_whole = start == 0 and (end is None or end in (size, SAMPLES) or end >= 2**62)
    if step != 1 or start == SAMPLES or (size == SAMPLES and not is_whole):
        raise UnfusableError("it slices by steps or along the samples")
    if size != SAMPLES:
        start = min(max(start + size if start < 0 else start, 0), size)
    return View(dims, starts={dim: start} if start else {})


def reshaped(
    shape: tuple[Size, ...], strides: Sequence[Stride], new: tuple[Size, ...]
) -> tuple[Stride, ...] | None:
    """The strides of a tensor in memory in another shape, or None where it must be copied.

    Args:
        shape: of the tensor.
        strides: of its axes.
        new: a shape that `can_reshape` allows.

    Example:
        >>> reshaped((6, "samples"), (RowsApart(1), 1), (2, 3, "samples"))
        (RowsApart(rows=3), RowsApart(rows=1), 1)
        >>> reshaped((2, 3), (1, 2), (6,)) is None
        True
    """
    found: list[Stride] = []
    sizes = [_SOME if size == SAMPLES else size for size in shape]
    old = [pair for pair in zip(sizes, strides, strict=True) if pair[0] != 1]
    left = [_SOME if size == SAMPLES else size for size in new]
    while left:
        if left[0] in (1, _SOME):
            found.append(0 if left.pop(0) == 1 else old.pop(0)[1])
            continue
        size, stride = old.pop(0)
        wanted = [left.pop(0)]
        while math.prod(wanted) != size:  # until both end at the same place
            if math.prod(wanted) < size:
                wanted.append(left.pop(0))
            else:
                inner, inner_stride = old.pop(0)
                if stride != _times(inner_stride, inner):
                    return None
                size, stride = size * inner, inner_stride
        found += [
            _times(stride, math.prod(wanted[k + 1 :])) if one != 1 else 0
            for k, one in enumerate(wanted)
        ]
    return tuple(found)


def can_reshape(source: tuple[Size, ...], shape: tuple[Size, ...]) -> bool:
    """Whether the axis of samples, if any, stays by itself.

    Example:
        >>> can_reshape(("samples", 6), ("samples", 2, 3))
        True
        >>> can_reshape((2, "samples"), ("samples", 2))
        False
    """
    ends = [
        math.prod(sizes[: sizes.index(SAMPLES)]) if SAMPLES in sizes else -1
        for sizes in (source, shape)
    ]
    return ends[0] == ends[1]


def _times(stride: Stride, count: int) -> Stride:
    return RowsApart(stride.rows * count) if isinstance(stride, RowsApart) else stride * count


def changes_unit_axes_only(source: tuple[Size, ...], shape: tuple[Size, ...]) -> bool:
    """Whether two shapes differ in axes of length 1 alone."""
    return [size for size in source if size != 1] == [size for size in shape if size != 1]


def _unit_axes_changed(source: tuple[Size, ...], shape: tuple[Size, ...]) -> list[int | None]:
    left = [dim for dim, size in enumerate(source) if size != 1]
    if not changes_unit_axes_only(source, shape):
        raise UnfusableError(f"it reshapes {source} to {shape}")
    return [None if size == 1 else left.pop(0) for size in shape]
