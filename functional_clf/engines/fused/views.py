"""Tensors that are the elements of another one in another shape."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from functional_clf.engines.fused.form import ZERO, Index, Place, Stride
from functional_clf.engines.fused.memory import Storage
from functional_clf.engines.fused.trace import SAMPLES, Node, Size, UnfusableError

VIEWS = {
    *("transpose", "t", "permute", "unsqueeze", "squeeze", "select", "slice", "expand"),
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "alias", "detach"),
}
"""Operations that only look at a tensor in another way."""


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
    if step != 1 or start == SAMPLES or start < 0 or (size == SAMPLES and not is_whole):
        raise UnfusableError("it slices by steps, from the end, or along the samples")
    return View(dims, starts={dim: start} if start else {})


def _unit_axes_changed(source: tuple[Size, ...], shape: tuple[Size, ...]) -> list[int | None]:
    left = [dim for dim, size in enumerate(source) if size != 1]
    if [source[dim] for dim in left] != [size for size in shape if size != 1]:
        raise UnfusableError(f"it reshapes {source} to {shape}")
    return [None if size == 1 else left.pop(0) for size in shape]
