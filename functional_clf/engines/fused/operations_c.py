"""What each elementwise operation is in C, on texts of C: a part of the C printer."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from functional_clf.engines.fused.form import Folding
from functional_clf.engines.fused.texts import call, clamp, gelu, gelu_backward, infix


def literal(value: float | int) -> str:
    """A Python number in C; floats in the precision of the weights."""
    if isinstance(value, bool | int):
        return str(int(value)) if value >= 0 else f"(-{-value})"
    if math.isnan(value):
        return "((real)NAN)"
    if math.isinf(value):
        return "((real)INFINITY)" if value > 0 else "(-(real)INFINITY)"
    return f"R({value!r})" if value >= 0 else f"(-R({-value!r}))"


def c_type(dtype: torch.dtype) -> str:
    """The type of a tensor's elements; floats are of one precision in all of a graph."""
    if dtype.is_floating_point:
        return "real"
    return "int" if dtype in (torch.bool, torch.int32) else "long"


def _alpha(symbol: str) -> Callable[..., str]:
    def expression(a: str, b: str, alpha: float | int | str = 1) -> str:
        factor = alpha if isinstance(alpha, str) else literal(alpha)
        return f"({a} {symbol} {b})" if factor == "1" else f"({a} {symbol} {factor} * {b})"

    return expression


def _power(a: str, exponent: str) -> str:
    known = {"1": a, "2": f"square({a})", "3": f"cube({a})"}
    known |= {f"R({float(key)!r})": value for key, value in list(known.items())}
    known |= {
        "R(0.5)": f"SQRT({a})",
        "(-R(0.5))": f"(R(1.0) / SQRT({a}))",
        "(-1)": f"(R(1.0) / {a})",
    }
    return known.get(exponent, f"POW({a}, {exponent})")


def _elu(a: str, alpha: str = "R(1.0)", scale: str = "R(1.0)", inner: str = "R(1.0)") -> str:
    return f"choose({a} > 0, {scale} * {a}, {scale} * {alpha} * EXPM1({inner} * {a}))"


def _elu_backward(grad: str, alpha: str, scale: str, inner: str, is_result: str, a: str) -> str:
    """Its slope at a; or where a is the result, of which the exponential is told."""
    is_known = is_result == literal(True)
    below = f"({a} + {scale} * {alpha})" if is_known else f"{scale} * {alpha} * EXP({inner} * {a})"
    return f"({grad} * choose({a} > 0, {scale}, {inner} * {below}))"


OPERATIONS: Mapping[str, Callable[..., str]] = {
    "add": _alpha("+"),
    "sub": _alpha("-"),
    "rsub": lambda a, b, alpha=1: _alpha("-")(b, a, alpha),
    "mul": lambda a, b: f"({a} * {b})",
    "div": lambda a, b: f"((real){a} / {b})",
    "ratio": lambda a, b: f"({a} / {b})",
    "neg": lambda a: f"(-{a})",
    "reciprocal": lambda a: f"(R(1.0) / {a})",
    "square": call("square"),
    "pow": _power,
    "sqrt": call("SQRT"),
    "rsqrt": lambda a: f"(R(1.0) / SQRT({a}))",
    "abs": call("ABS"),
    "sign": call("sign"),
    "sgn": call("sign"),
    "floor": call("FN(floor)"),
    "exp": call("EXP"),
    "expm1": call("EXPM1"),
    "log": call("LOG"),
    "log1p": call("LOG1P"),
    "sin": call("SIN"),
    "cos": call("COS"),
    "tanh": call("TANH"),
    "erf": call("ERF"),
    "sigmoid": call("sigmoid"),
    "relu": call("relu"),
    "silu": call("silu"),
    "gelu": gelu,
    "threshold_backward": call("threshold_backward"),
    "softplus": lambda a, beta="1", threshold="20": f"softplus({a}, {beta}, {threshold})",
    "softplus_backward": lambda grad, a, beta, threshold: (
        f"({grad} * softplus_slope({a}, {beta}, {threshold}))"
    ),
    "tanh_backward": lambda grad, y: f"({grad} * (R(1.0) - square({y})))",
    "sigmoid_backward": lambda grad, y: f"({grad} * sigmoid_slope({y}))",
    "log_sigmoid_forward[0]": call("log_sigmoid"),
    "log_sigmoid_forward[1]": lambda a: f"EXP(-ABS({a}))",
    "log_sigmoid_backward": lambda grad, a, e: f"({grad} * log_sigmoid_slope({a}, {e}))",
    "silu_backward": lambda grad, a: f"({grad} * silu_slope({a}))",
    "gelu_backward": gelu_backward,
    "leaky_relu": lambda a, slope="R(0.01)": f"leaky_relu({a}, {slope})",
    "leaky_relu_backward": lambda grad, a, slope, is_result: (
        f"choose({a} > 0, {grad}, {grad} * {slope})"
    ),
    "elu": _elu,
    "elu_backward": _elu_backward,
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": lambda a, high: clamp(a, None, high),
    "maximum": call("larger"),
    "minimum": call("smaller"),
    "where": call("choose"),
    "masked_fill": lambda a, mask, value: f"choose({mask}, {value}, {a})",
    "logical_and": infix("&&"),
    "logical_or": infix("||"),
    "logical_not": lambda a: f"(!{a})",
    "gt": infix(">"),
    "ge": infix(">="),
    "lt": infix("<"),
    "le": infix("<="),
    "eq": infix("=="),
    "ne": infix("!="),
    "clone": lambda a: a,
    "__rshift__": infix(">>"),
    "bitwise_right_shift": infix(">>"),
    "__and__": infix("&"),
    "bitwise_and": infix("&"),
    "random_bits": call("random_bits"),
    "fold_in": call("fold_in"),
    # Of C's own, by the name that they have in this precision.
    **{name: call(f"FN({name})") for name in ("tan", "asin", "acos", "atan", "sinh", "cosh")},
    **{name: call(f"FN({name})") for name in ("asinh", "acosh", "atanh", "erfc", "log2", "log10")},
    **{name: call(f"FN({name})") for name in ("exp2", "hypot", "atan2", "floor", "ceil", "trunc")},
    "round": call("FN(rint)"),  # halves to the even number, as torch has it
}


def operation(
    name: str, args: Sequence[Any], settings: Mapping[str, Any], dtype: torch.dtype
) -> str:
    """An elementwise operation in C.

    Args:
        name: one of `elementwise.OPERATIONS`.
        args: C expressions of one element of each argument, words, or None.
        settings: plain values by name.
        dtype: of the result.

    Example:
        >>> operation("add", ["a", "b"], {}, torch.float32)
        '(a + b)'
    """
    if dtype == torch.bool and name in ("add", "_to_copy"):  # true and true make true
        return f"({' + '.join(args[:2])} != 0)"
    if name == "_to_copy":
        return f"(({c_type(dtype)}){args[0]})"
    return OPERATIONS[name](*args, **settings)


_SIGNS = {"sum": " + ", "product": " * "}
_OF_TWO = {"largest": "larger", "smallest": "smaller", "all": "both", "any": "either"}


def folded(how: Folding, terms: Sequence[str], dtype: torch.dtype) -> str:
    """Several numbers made one, in C.

    Args:
        how: what is made of them.
        terms: C expressions.
        dtype: of the terms.

    Example:
        >>> folded("largest", ["a", "b", "c"], torch.float32)
        'larger(larger(a, b), c)'
    """
    if how in _SIGNS:
        return f"({_SIGNS[how].join(terms)})"
    if how in ("all", "any"):
        # A bool in a row is 0 or 1; of other numbers all but 0 are true.
        terms = [f"({term} != 0)" if dtype != torch.bool else term for term in terms]
    return functools.reduce(lambda one, other: f"{_OF_TWO[how]}({one}, {other})", terms)
