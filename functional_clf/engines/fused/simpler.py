"""Operations as simpler ones, while a function is recorded.

Each is written in torch's own operations, which are recorded in its place: of many kinds of
operations few are left that lowering must know. They compute what torch computes, to rounding, and
are what torch is where a NaN or an infinity comes in.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MOST_PARTS = 256
"""Up to so many places along an axis are taken one by one."""

Part = tuple[int, int]
Simpler = Any
"""A tensor, or several; `NotImplemented` where it cannot be made of simpler operations."""


def parts_of(x: Tensor, places: Sequence[int], dim: int) -> Simpler:
    """The places of an axis in another order, as neighbours that are put one behind another.

    Example:
        >>> parts_of(torch.arange(5), [4, 0, 1, 1], 0)
        tensor([4, 0, 1, 1])
    """
    runs: list[Part] = []
    for place in places:
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    if len(runs) > MOST_PARTS:
        return NotImplemented
    slices = [torch.ops.aten.slice(x, dim, start, end) for start, end in runs]
    return slices[0] if len(slices) == 1 else torch.cat(slices, dim)


def _dims(dim: Any, rank: int) -> list[int]:
    dims = [dim] if isinstance(dim, int) else list(dim or range(rank))
    return sorted({one % rank for one in dims}) if rank else []


def _count(x: Tensor, dims: Sequence[int]) -> int:
    return math.prod(x.shape[dim] for dim in dims)


# Where things lie.


def _flip(x: Tensor, dims: Sequence[int]) -> Simpler:
    for dim in _dims(dims, x.ndim) if dims else []:
        if x.shape[dim] > MOST_PARTS:
            return NotImplemented
        x = parts_of(x, range(x.shape[dim])[::-1], dim)
    return x


def _roll(x: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Simpler:
    if not dims or not x.numel():
        return NotImplemented
    for shift, dim in zip(shifts, dims, strict=True):
        size = x.shape[dim]
        x = parts_of(x, [(place - shift) % size for place in range(size)], dim)
    return x


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return torch.cat([one.unsqueeze(dim) for one in tensors], dim)


def _unbind(x: Tensor, dim: int = 0) -> Simpler:
    if x.shape[dim] > MOST_PARTS:
        return NotImplemented
    return tuple(x.select(dim, place) for place in range(x.shape[dim]))


def _split(x: Tensor, size: int, dim: int = 0) -> Simpler:
    whole = x.shape[dim]
    starts = range(0, max(whole, 1), max(size, 1))
    if len(starts) > MOST_PARTS:
        return NotImplemented
    return tuple(torch.ops.aten.slice(x, dim, at, min(at + size, whole)) for at in starts)


def _split_with_sizes(x: Tensor, sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    pairs = zip(ends, sizes, strict=True)
    return tuple(torch.ops.aten.slice(x, dim, end - size, end) for end, size in pairs)


def _slice(
    x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Simpler:
    places = range(x.shape[dim])[start:end:step]
    if step == 1 or not 0 < len(places) <= MOST_PARTS:
        return NotImplemented
    return parts_of(x, places, dim)


def _slice_backward(
    grad: Tensor, sizes: Sequence[int], dim: int, start: int, end: int, step: int
) -> Tensor:
    found = range(sizes[dim])[start:end:step]
    if step == 1 and found:
        shapes = [[*grad.shape], [*grad.shape]]
        shapes[0][dim], shapes[1][dim] = found[0], sizes[dim] - found[-1] - 1
        before, after = ([grad.new_zeros(one)] if one[dim] else [] for one in shapes)
        parts = [*before, grad, *after]
        return grad if len(parts) == 1 else torch.cat(parts, dim)
    return _placed(grad, [*found], sizes[dim], dim)


def _placed(grad: Tensor, places: Sequence[int], size: int, dim: int) -> Simpler:
    """Zero, but for the places that a part of an axis was taken from; those taken twice add up."""
    if not grad.numel() or max(size, len(places)) > MOST_PARTS:
        return NotImplemented
    parts: list[Tensor] = []
    taken = [[k for k, place in enumerate(places) if place == at] for at in range(size)]
    at = 0
    while at < size:
        begin = at
        if not taken[at]:
            while at < size and not taken[at]:
                at += 1
            shape = list(grad.shape)
            shape[dim] = at - begin
            parts.append(grad.new_zeros(shape))
            continue
        if len(taken[at]) == 1:
            while at + 1 < size and taken[at + 1] == [taken[at][0] + 1]:
                at += 1
            at += 1
            first, last = taken[begin][0], taken[at - 1][0]
            parts.append(torch.ops.aten.slice(grad, dim, first, last + 1))
            continue
        terms = [torch.ops.aten.slice(grad, dim, k, k + 1) for k in taken[at]]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        parts.append(total)
        at += 1
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _pad(x: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    for k in range(len(pad) // 2):
        dim, (before, after) = x.ndim - 1 - k, pad[2 * k : 2 * k + 2]
        x = torch.ops.aten.slice(x, dim, max(-before, 0), x.shape[dim] - max(-after, 0))

        def filled(count: int, like: Tensor, dim: int = dim) -> list[Tensor]:
            shape = list(like.shape)
            shape[dim] = count
            return [like.new_full(shape, value)] if count > 0 else []

        parts = [*filled(before, x), x, *filled(after, x)]
        x = x if len(parts) == 1 else torch.cat(parts, dim)
    return x


def _repeat(x: Tensor, repeats: Sequence[int]) -> Simpler:
    while x.ndim < len(repeats):
        x = x.unsqueeze(0)
    for dim, count in enumerate(repeats):
        if count > MOST_PARTS or count == 0:
            return NotImplemented
        if count > 1:
            x = torch.cat([x] * count, dim)
    return x


def _diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Simpler:
    one, other = dim1 % x.ndim, dim2 % x.ndim
    start = (max(-offset, 0), max(offset, 0))
    count = min(x.shape[one] - start[0], x.shape[other] - start[1])
    if not 0 < count <= MOST_PARTS:
        return NotImplemented
    high, low = max(one, other), min(one, other)
    begin = start if one < other else start[::-1]
    found = [x.select(high, begin[1] + k).select(low, begin[0] + k) for k in range(count)]
    return _stack(found, -1)


def _diagonal_backward(
    grad: Tensor, sizes: Sequence[int], offset: int, dim1: int, dim2: int
) -> Tensor:
    rows, columns = sizes[dim1], sizes[dim2]
    above = max(-offset, 0)
    wide = _pad(grad, (above, rows - grad.shape[-1] - above)).unsqueeze(-1)
    places = [torch.arange(size, dtype=grad.dtype) for size in (rows, columns)]
    is_there = places[1][None] - places[0][:, None] == offset
    placed = torch.where(is_there, wide, 0.0)  # the two axes are its last ones
    others = iter(range(len(sizes) - 2))
    last = {dim1 % len(sizes): len(sizes) - 2, dim2 % len(sizes): len(sizes) - 1}
    return placed.permute([last[dim] if dim in last else next(others) for dim in range(len(sizes))])


def _triangle(is_kept: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def made(x: Tensor, diagonal: int = 0) -> Tensor:
        rows = torch.arange(x.shape[-2], dtype=x.dtype)
        columns = torch.arange(x.shape[-1], dtype=x.dtype)
        return torch.where(
            is_kept(columns[None] - rows[:, None], rows.new_full((), diagonal)), x, 0
        )

    return made


def _cumulated(of_two: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def made(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Simpler:
        if dtype not in (None, x.dtype) or not x.ndim or not 0 < x.shape[dim] <= MOST_PARTS:
            return NotImplemented
        if not x.dtype.is_floating_point:
            return NotImplemented
        slices = [torch.ops.aten.slice(x, dim, k, k + 1) for k in range(x.shape[dim])]
        found = slices[:1]
        for one in slices[1:]:
            found.append(of_two(found[-1], one))
        return found[0] if len(found) == 1 else torch.cat(found, dim)

    return made


# By places that are constants; `None` for axes of which all is taken.


def indexed(x: Tensor, indices: Sequence[list[int] | None]) -> Tensor:
    """`x[:, [2, 0]]` and the like, of one axis."""
    (dim,) = [dim for dim, one in enumerate(indices) if one is not None]
    size = x.shape[dim]
    return parts_of(x, [place % size for place in indices[dim] or ()], dim)


def index_put(
    x: Tensor, indices: Sequence[list[int] | None], values: Tensor, accumulate: bool = False
) -> Simpler:
    """Zeros to which values are added at some places of one axis."""
    (dim,) = [dim for dim, one in enumerate(indices) if one is not None]
    return index_add(x, dim, indices[dim] or [], values) if accumulate else NotImplemented


def index_add(x: Tensor, dim: int, index: list[int], source: Tensor, alpha: float = 1) -> Simpler:
    """`x` plus `source` at places of an axis."""
    size = x.shape[dim]
    if source.shape[dim] != len(index) or source.ndim != x.ndim or alpha != 1:
        return NotImplemented
    placed = _placed(source, [place % size for place in index], size, dim)
    return placed if placed is NotImplemented else x + placed


BY_PLACES: Mapping[str, Callable[..., Tensor]] = {
    "index": indexed,
    "index_put": index_put,
    "index_select": lambda x, dim, index: parts_of(
        x, [place % x.shape[dim] for place in index], dim
    ),
    "index_add": index_add,
}
"""By name, those that take places from constants."""


# Norms and the like.


def _centred(x: Tensor, dims: list[int]) -> Tensor:
    return x - x.mean(dims, True)


def _var(
    x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    dims = _dims(dim, x.ndim)
    left = max(_count(x, dims) - (1 if correction is None else correction), 0)
    total = _centred(x, dims).square().sum(dims, keepdim)
    return total / float(left) if left else total * math.inf  # 0 by 0 is NaN, all else infinite


def _std(x: Tensor, dim: Any = None, **named: Any) -> Tensor:
    return _var(x, dim, **named).sqrt()


def _var_mean(x: Tensor, dim: Any = None, **named: Any) -> tuple[Tensor, Tensor]:
    mean = x.mean(_dims(dim, x.ndim), named.get("keepdim", False))
    # Torch takes both in one go, in which an infinity makes both a NaN.
    return _var(x, dim, **named), torch.where(mean.abs() == math.inf, math.nan, mean)


def _vector_norm(
    x: Tensor,
    order: float = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Simpler:
    if dtype not in (None, x.dtype):
        return NotImplemented
    dims = _dims(dim, x.ndim)
    if order == math.inf:
        return x.abs().amax(dims, keepdim)
    if order == -math.inf:
        return x.abs().amin(dims, keepdim)
    if order == 1:
        return x.abs().sum(dims, keepdim)
    if order == 2:
        return (x * x).sum(dims, keepdim).sqrt()
    if order == 0:
        return NotImplemented
    return x.abs().pow(order).sum(dims, keepdim).pow(1 / order)


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    dims = range(x.ndim - len(shape), x.ndim)
    mean = x.mean([*dims], True)
    centred = x - mean
    rstd = torch.rsqrt(centred.square().mean([*dims], True) + eps)
    y = centred * rstd
    y = y if weight is None else y * weight
    return y if bias is None else y + bias, mean, rstd


def _layer_norm_backward(
    grad: Tensor,
    x: Tensor,
    shape: Sequence[int],
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mask: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    inner = [*range(x.ndim - len(shape), x.ndim)]
    outer = [*range(x.ndim - len(shape))]
    normed = (x - mean) * rstd
    g = grad if weight is None else grad * weight
    of_x = (g - g.mean(inner, True) - normed * (g * normed).mean(inner, True)) * rstd
    of_weight = (grad * normed).sum(outer) if outer else grad * normed
    of_bias = grad.sum(outer) if outer else grad
    found = (of_x, of_weight, of_bias)
    return tuple(one if is_asked else None for one, is_asked in zip(found, mask, strict=True))


def _group_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    samples: int,
    channels: int,
    places: int,
    groups: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """In groups, each of an axis of its own."""
    wide = x.view(x.shape[0], groups, channels // groups, places)
    y, mean, rstd = _layer_norm(wide, wide.shape[2:], None, None, eps)
    y = y.view(x.shape)
    shape = (1, channels, *(1 for _ in x.shape[2:]))
    y = y if weight is None else y * weight.view(shape)
    y = y if bias is None else y + bias.view(shape)
    flat = (x.shape[0], groups)
    return y, mean.view(flat), rstd.view(flat)


# Elementwise. What torch makes of a NaN in whole vectors and of one behind the last of them may
# differ: here it is what it makes of one in whole vectors.


def _elu(x: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    below = torch.expm1(x * input_scale) * (alpha * scale)
    return torch.where(x > 0, x * scale, below)


def _elu_backward(
    grad: Tensor, alpha: float, scale: float, input_scale: float, is_result: bool, x: Tensor
) -> Tensor:
    if is_result:
        below = grad * input_scale * (x + alpha * scale)
    else:
        below = grad * (input_scale * alpha * scale) * torch.exp(x * input_scale)
    return torch.where(x > 0, grad * scale, below)


def _hardtanh_backward(grad: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    return torch.where(torch.logical_and(x > low, x < high), grad, 0.0)


_SIXTH = 0.1666666716337204  # torch has it in float32 for float64, too


def _hardsigmoid_backward(grad: Tensor, x: Tensor) -> Tensor:
    return torch.where(torch.logical_and(x > -3, x < 3), grad * _SIXTH, 0.0)


def _hardswish_backward(grad: Tensor, x: Tensor) -> Tensor:
    inside = grad * (x / 3 + 0.5)
    return torch.where(x <= -3, 0.0, torch.where(x >= 3, grad, inside))


def _mish(x: Tensor) -> Tensor:
    return x * torch.tanh(torch.log1p(torch.exp(x)))


def _mish_backward(grad: Tensor, x: Tensor) -> Tensor:
    t = torch.tanh(torch.nn.functional.softplus(x))
    return grad * (t + x * torch.sigmoid(x) * (1 - t * t))


def _shrink_backward(grad: Tensor, x: Tensor, size: float) -> Tensor:
    return torch.where(torch.logical_or(x < -size, x > size), grad, 0.0)


def _softshrink(x: Tensor, size: float = 0.5) -> Tensor:
    # A NaN times 0 is NaN.
    return torch.where(x > size, x - size, torch.where(x < -size, x + size, x * 0.0))


def _hardshrink(x: Tensor, size: float = 0.5) -> Tensor:
    return torch.where(torch.logical_and(x >= -size, x <= size), 0.0, x)


def _prelu_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(x > 0, grad, weight * grad), torch.where(x > 0, 0.0, x * grad)


def _lerp(a: Tensor, b: Tensor, weight: Any) -> Tensor:
    if isinstance(weight, Tensor):
        near, far = a + weight * (b - a), b - (b - a) * (1 - weight)
        return torch.where(weight.abs() < 0.5, near, far)
    return a + weight * (b - a) if abs(weight) < 0.5 else b - (b - a) * (1 - weight)


def _logaddexp(a: Tensor, b: Tensor) -> Tensor:
    most = torch.maximum(a, b)
    found = most + torch.log1p(torch.exp(-(a - b).abs()))
    return torch.where(torch.logical_and(a == b, a.abs() == math.inf), a, found)


def _nan_to_num(
    x: Tensor, nan: float | None = None, high: float | None = None, low: float | None = None
) -> Tensor:
    limits = torch.finfo(x.dtype)
    high, low = limits.max if high is None else high, limits.min if low is None else low
    x = torch.where(x == math.inf, high, torch.where(x == -math.inf, low, x))
    return torch.where(x != x, 0.0 if nan is None else nan, x)


def _glu(x: Tensor, dim: int = -1) -> Tensor:
    a, b = _split(x, x.shape[dim] // 2, dim)
    return a * torch.sigmoid(b)


def _glu_backward(grad: Tensor, x: Tensor, dim: int) -> Tensor:
    a, b = _split(x, x.shape[dim] // 2, dim)
    share = torch.sigmoid(b)
    return torch.cat([grad * share, grad * a * share * (1 - share)], dim)


def _of_bools(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def made(*args: Any) -> Simpler:
        if any(not isinstance(arg, Tensor) or arg.dtype != torch.bool for arg in args):
            return NotImplemented
        return function(*args)

    return made


# Products.


def _addmm(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    product = torch.mm(a, b)
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return product + (bias if beta == 1 else bias * beta)


SIMPLER: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "flip": _flip,
        "roll": _roll,
        "stack": _stack,
        "unbind": _unbind,
        "split": _split,
        "split_with_sizes": _split_with_sizes,
        "slice": _slice,
        "repeat": _repeat,
        "slice_backward": _slice_backward,
        "constant_pad_nd": _pad,
        "diagonal": _diagonal,
        "diagonal_backward": _diagonal_backward,
        "tril": _triangle(torch.le),
        "triu": _triangle(torch.ge),
        "cumsum": _cumulated(torch.add),
        "cumprod": _cumulated(torch.mul),
        "var": _var,
        "std": _std,
        "var_mean": _var_mean,
        "linalg_vector_norm": _vector_norm,
        "native_layer_norm": _layer_norm,
        "native_layer_norm_backward": _layer_norm_backward,
        "native_group_norm": _group_norm,
        "elu": _elu,
        "elu_backward": _elu_backward,
        "hardtanh_backward": _hardtanh_backward,
        "celu": lambda x, alpha=1: torch.where(x > 0, x, alpha * torch.expm1(x * (1 / alpha))),
        "hardtanh": lambda x, low=-1, high=1: x.clamp(low, high),
        "hardsigmoid": lambda x: (x + 3).clamp(0, 6) / 6,
        "hardsigmoid_backward": _hardsigmoid_backward,
        "hardswish": lambda x: x * (x + 3).clamp(0, 6) / 6,
        "hardswish_backward": _hardswish_backward,
        "mish": _mish,
        "softshrink": _softshrink,
        "mish_backward": _mish_backward,
        "softshrink_backward": _shrink_backward,
        "hardshrink": _hardshrink,
        "hardshrink_backward": _shrink_backward,
        "lerp": _lerp,
        "_prelu_kernel": lambda x, weight: torch.where(x > 0, x, weight * x),
        "_prelu_kernel_backward": _prelu_backward,
        "threshold": lambda x, at, value: torch.where(x <= at, float(value), x),
        "addcmul": lambda x, a, b, *, value=1: x + (a * b if value == 1 else value * a * b),
        "addcdiv": lambda x, a, b, *, value=1: x + (a / b if value == 1 else value * a / b),
        "logaddexp": _logaddexp,
        "nan_to_num": _nan_to_num,
        "glu": _glu,
        "glu_backward": _glu_backward,
        "addmm": _addmm,
        "isnan": lambda x: x != x,
        "dot": lambda a, b: (a * b).sum(),
        "bitwise_and": _of_bools(torch.logical_and),
        "bitwise_or": _of_bools(torch.logical_or),
        "bitwise_not": _of_bools(torch.logical_not),
    }
)
"""By name: what makes the results of the operation, or `NotImplemented` where it cannot."""


# Matmuls of more than two axes. Torch puts axes together for them, samples and others, and parts
# them again; a size that is a multiple of the number of samples is not known here.

_MOST_LAYERS = 32


class OfManyAxes(TorchFunctionMode):
    """Does matmuls of more than two axes without putting axes together.

    Args:
        samples: how many there are: that axis is not taken place by place.
    """

    def __init__(self, samples: int) -> None:
        super().__init__()
        self._samples = samples

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, made = kwargs or {}, NotImplemented
        if func is torch.nn.functional.linear:
            made = self._linear(*args, **kwargs)
        elif func in (torch.matmul, Tensor.matmul, Tensor.__matmul__) and not kwargs:
            made = self._matmul(*args)
        elif func is Tensor.__rmatmul__:
            made = self._matmul(*args[::-1])
        elif func is torch.einsum and not kwargs:
            made = _einsum(*args)
        elif func is torch.nn.functional.scaled_dot_product_attention:
            made = self._attention(*args, **kwargs)
        return func(*args, **kwargs) if made is NotImplemented else made

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Simpler:
        if x.ndim < 3 or weight.ndim != 2:
            return NotImplemented
        if bias is None:
            return self._layers(x, lambda part: torch.nn.functional.linear(part, weight))
        return self._layers(x, lambda part: torch.nn.functional.linear(part, weight, bias))

    def _layers(self, x: Tensor, layer: Callable[[Tensor], Simpler]) -> Simpler:
        """A layer on the last axis of a tensor, on slices with an axis of samples beside it."""
        if x.ndim == 2:
            return layer(x)
        dim = 1 if x.shape[0] == self._samples else 0
        if not 0 < x.shape[dim] <= _MOST_LAYERS:
            return NotImplemented
        parts = [self._layers(x.select(dim, k), layer) for k in range(x.shape[dim])]
        return NotImplemented if NotImplemented in parts[:1] else torch.stack(parts, dim)

    def _matmul(self, a: Tensor, b: Tensor) -> Simpler:
        if not isinstance(a, Tensor) or not isinstance(b, Tensor) or min(a.ndim, b.ndim) < 2:
            return NotImplemented
        if a.ndim > 2 and b.ndim == 2:
            return self._layers(a, lambda part: torch.matmul(part, b))
        if max(a.ndim, b.ndim) > 3 or (a.ndim == 2 and b.ndim == 3 and b.shape[2] > 1):
            return (a.unsqueeze(-1) * b.unsqueeze(-3)).sum(-2)
        return NotImplemented

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Simpler:
        if attn_mask is not None or dropout_p or is_causal or enable_gqa or query.ndim < 3:
            return NotImplemented

        def product(a: Tensor, b: Tensor) -> Tensor:
            return (a.unsqueeze(-1) * b.unsqueeze(-3)).sum(-2)

        scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        return product((product(query, key.mT) * scale).softmax(-1), value)


def _einsum(equation: Any, *operands: Any) -> Simpler:
    if not isinstance(equation, str) or len(operands) != 2:
        return NotImplemented
    terms, arrow, out = equation.replace(" ", "").partition("->")
    names = terms.split(",")
    if not arrow or len(names) != 2 or any(not name.isalpha() for name in (*names, out + "a")):
        return NotImplemented
    if any(len(set(name)) != len(name) for name in (*names, out)):
        return NotImplemented
    if [len(name) for name in names] != [one.ndim for one in operands] or max(map(len, names)) < 3:
        return NotImplemented
    every = out + "".join(sorted({*names[0], *names[1]} - {*out}))
    if not {*out} <= {*names[0], *names[1]}:
        return NotImplemented
    factors = []
    for name, one in zip(names, operands, strict=True):
        ordered = one.permute([name.index(letter) for letter in every if letter in name])
        for dim, letter in enumerate(every):
            if letter not in name:
                ordered = ordered.unsqueeze(dim)
        factors.append(ordered)
    product = factors[0] * factors[1]
    summed = [*range(len(out), len(every))]
    return product.sum(summed) if summed else product
