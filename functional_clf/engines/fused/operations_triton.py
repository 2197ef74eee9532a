"""What each elementwise operation is in Triton, on texts of it: a part of the Triton printer."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from functional_clf.engines.fused.texts import call, clamp, gelu, gelu_backward, infix
from functional_clf.engines.fused.trace import UnfusableError

_TYPES = {
    torch.float32: "tl.float32",
    torch.float64: "tl.float64",
    torch.int64: "tl.int64",
    torch.int32: "tl.int32",
    torch.bool: "tl.int1",
}


def triton_type(dtype: torch.dtype) -> str:
    """The type of a tensor's elements.

    Raises:
        UnfusableError: when no program has it.

    Example:
        >>> triton_type(torch.float32)
        'tl.float32'
    """
    if dtype not in _TYPES:
        raise UnfusableError(f"it computes in {dtype}")
    return _TYPES[dtype]


def literal(value: float | int) -> str:
    """A Python number in Triton.

    Example:
        >>> literal(0.5), literal(-math.inf), literal(True)
        ('0.5', '(-float("inf"))', '1')
    """
    if isinstance(value, bool | int):
        return str(int(value)) if value >= 0 else f"({int(value)})"
    if math.isnan(value):
        return 'float("nan")'
    if math.isinf(value):
        return 'float("inf")' if value > 0 else '(-float("inf"))'
    return repr(value) if value >= 0 else f"({value!r})"


def _signed(symbol: str) -> Callable[..., str]:
    def expression(a: str, b: str, alpha: float | int | str = 1) -> str:
        factor = alpha if isinstance(alpha, str) else literal(alpha)
        return f"({a} {symbol} {b})" if factor == "1" else f"({a} {symbol} {factor} * {b})"

    return expression


def _power(a: str, exponent: str) -> str:
    number, base = _number(exponent), _number(a)
    if number is None and base == 1.0:  # also where the exponent is no number
        return f"tl.where({exponent} == {exponent}, 1.0, 1.0)"
    if number is None and base is not None and 0 < base < math.inf:
        return f"tl.exp2({exponent} * {math.log2(base)!r})"  # of a decay, by the number of steps
    known = {
        0.5: f"tl.sqrt_rn({a})",
        1.0: a,
        2.0: f"({a} * {a})",
        3.0: f"({a} * {a} * {a})",
        -0.5: f"(1.0 / tl.sqrt_rn({a}))",
        -1.0: f"(1.0 / {a})",
    }
    if number not in known:
        raise UnfusableError(f"{a} to the power of {exponent} is not known")
    return known[number]


def _number(text: str) -> float | None:
    try:
        return float(text.strip("()"))
    except ValueError:
        return None


def _elu(a: str, alpha: str = "1.0", scale: str = "1.0", inner: str = "1.0") -> str:
    return f"tl.where({a} > 0, {scale} * {a}, {scale} * {alpha} * expm1({inner} * {a}))"


def _elu_backward(grad: str, alpha: str, scale: str, inner: str, is_result: str, a: str) -> str:
    """Its slope at a; or where a is the result, of which the exponential is told."""
    is_known = is_result == literal(True)
    below = (
        f"({a} + {scale} * {alpha})" if is_known else f"{scale} * {alpha} * tl.exp({inner} * {a})"
    )
    return f"({grad} * tl.where({a} > 0, {scale}, {inner} * {below}))"


OPERATIONS: Mapping[str, Callable[..., str]] = {
    "add": _signed("+"),
    "sub": _signed("-"),
    "rsub": lambda a, b, alpha=1: _signed("-")(b, a, alpha),
    "mul": infix("*"),
    "div": infix("/"),
    "ratio": infix("/"),
    "neg": lambda a: f"(-{a})",
    "reciprocal": lambda a: f"(1.0 / {a})",
    "square": lambda a: f"({a} * {a})",
    "pow": _power,
    "sqrt": call("tl.sqrt_rn"),
    "rsqrt": lambda a: f"(1.0 / tl.sqrt_rn({a}))",
    "abs": call("tl.abs"),
    "sign": call("sign"),
    "sgn": call("sign"),
    "floor": call("tl.floor"),
    "ceil": call("tl.ceil"),
    "exp": call("tl.exp"),
    "exp2": call("tl.exp2"),
    "expm1": call("expm1"),
    "log": call("tl.log"),
    "log2": call("tl.log2"),
    "log1p": call("log1p"),
    "sin": call("tl.sin"),
    "cos": call("tl.cos"),
    "tanh": call("tanh"),
    "erf": call("tl.erf"),
    "sigmoid": call("sigmoid"),
    "relu": call("relu"),
    "silu": lambda a: f"({a} * sigmoid({a}))",
    "gelu": gelu,
    "threshold_backward": lambda grad, a, at: f"tl.where({a} <= {at}, 0.0, {grad})",
    "softplus": lambda a, beta="1.0", threshold="20.0": f"softplus({a}, {beta}, {threshold})",
    "softplus_backward": lambda grad, a, beta, threshold: (
        f"({grad} * softplus_slope({a}, {beta}, {threshold}))"
    ),
    "tanh_backward": lambda grad, y: f"({grad} * (1.0 - {y} * {y}))",
    "sigmoid_backward": lambda grad, y: f"({grad} * ((1.0 - {y}) * {y}))",
    "log_sigmoid_forward[0]": call("log_sigmoid"),
    "log_sigmoid_forward[1]": lambda a: f"tl.exp(-tl.abs({a}))",
    "log_sigmoid_backward": lambda grad, a, e: f"({grad} * log_sigmoid_slope({a}, {e}))",
    "silu_backward": lambda grad, a: f"({grad} * silu_slope({a}))",
    "gelu_backward": gelu_backward,
    "leaky_relu": lambda a, slope="0.01": f"tl.where({a} > 0, {a}, {a} * {slope})",
    "leaky_relu_backward": lambda grad, a, slope, is_result: (
        f"tl.where({a} > 0, {grad}, {grad} * {slope})"
    ),
    "elu": _elu,
    "elu_backward": _elu_backward,
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": lambda a, high: clamp(a, None, high),
    "maximum": call("larger"),
    "minimum": call("smaller"),
    "where": lambda condition, a, b: f"tl.where({condition}, {a}, {b})",
    "masked_fill": lambda a, mask, value: f"tl.where({mask}, {value}, {a})",
    "logical_and": infix("&"),
    "logical_or": infix("|"),
    "logical_not": lambda a: f"({a} == 0)",
    "gt": infix(">"),
    "ge": infix(">="),
    "lt": infix("<"),
    "le": infix("<="),
    "eq": infix("=="),
    "ne": infix("!="),
    "clone": lambda a: a,
    "_to_copy": lambda a: a,  # each result is made of its type
    "__rshift__": infix(">>"),
    "bitwise_right_shift": infix(">>"),
    "__and__": infix("&"),
    "bitwise_and": infix("&"),
}
"""Fewer than `elementwise.OPERATIONS`: those that are left out are in no library that Triton's
interpreter has."""


def operation(
    name: str, args: Sequence[Any], settings: Mapping[str, Any], dtype: torch.dtype
) -> str:
    """An elementwise operation in Triton.

    Args:
        name: one of `elementwise.OPERATIONS`.
        args: texts of one element of each argument, words, or None.
        settings: plain values by name.
        dtype: of the result.

    Raises:
        UnfusableError: when there is none.

    Example:
        >>> operation("add", ["a", "b"], {}, torch.float32)
        '(a + b)'
    """
    if dtype == torch.bool and name == "add":  # true and true make true
        return f"({args[0]} | {args[1]})"
    if dtype == torch.bool and name == "_to_copy":
        return f"({args[0]} != 0)"
    if name not in OPERATIONS:
        raise UnfusableError(f"the operation {name} is not known on the device")
    return OPERATIONS[name](*args, **settings)
