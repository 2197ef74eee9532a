"""What each elementwise operation is in C, on texts of C: a part of the C printer."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from functional_clf.engines.fused.form import Folding


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


def _clamp(a: str, low: str | None = None, high: str | None = None) -> str:
    if low is not None:
        a = f"larger({a}, {low})"
    return a if high is None else f"smaller({a}, {high})"


def _gelu(a: str, approximate: str = "none") -> str:
    return f"{'gelu' if approximate == 'none' else 'gelu_tanh'}({a})"


def _gelu_backward(grad: str, a: str, approximate: str = "none") -> str:
    return f"({grad} * {'gelu_slope' if approximate == 'none' else 'gelu_tanh_slope'}({a}))"


def _elu(a: str, alpha: str = "R(1.0)", scale: str = "R(1.0)", inner: str = "R(1.0)") -> str:
    return f"choose({a} > 0, {scale} * {a}, {scale} * {alpha} * EXPM1({inner} * {a}))"


def _elu_backward(grad: str, alpha: str, scale: str, inner: str, is_result: str, a: str) -> str:
    """Its slope at a; or where a is the result, of which the exponential is told."""
    is_known = is_result == literal(True)
    below = f"({a} + {scale} * {alpha})" if is_known else f"{scale} * {alpha} * EXP({inner} * {a})"
    return f"({grad} * choose({a} > 0, {scale}, {inner} * {below}))"


def _compare(symbol: str) -> Callable[..., str]:
    return lambda a, b: f"({a} {symbol} {b})"


def _call(name: str) -> Callable[..., str]:
    return lambda *args: f"{name}({', '.join(args)})"


OPERATIONS: Mapping[str, Callable[..., str]] = {
    "add": _alpha("+"),
    "sub": _alpha("-"),
    "rsub": lambda a, b, alpha=1: _alpha("-")(b, a, alpha),
    "mul": lambda a, b: f"({a} * {b})",
    "div": lambda a, b: f"((real){a} / {b})",
    "ratio": lambda a, b: f"({a} / {b})",
    "neg": lambda a: f"(-{a})",
    "reciprocal": lambda a: f"(R(1.0) / {a})",
    "square": _call("square"),
    "pow": _power,
    "sqrt": _call("SQRT"),
    "rsqrt": lambda a: f"(R(1.0) / SQRT({a}))",
    "abs": _call("ABS"),
    "sign": _call("sign"),
    "sgn": _call("sign"),
    "floor": _call("FN(floor)"),
    "exp": _call("EXP"),
    "expm1": _call("EXPM1"),
    "log": _call("LOG"),
    "log1p": _call("LOG1P"),
    "sin": _call("SIN"),
    "cos": _call("COS"),
    "tanh": _call("TANH"),
    "erf": _call("ERF"),
    "sigmoid": _call("sigmoid"),
    "relu": _call("relu"),
    "silu": _call("silu"),
    "gelu": _gelu,
    "threshold_backward": _call("threshold_backward"),
    "softplus": lambda a, beta="1", threshold="20": f"softplus({a}, {beta}, {threshold})",
    "softplus_backward": lambda grad, a, beta, threshold: (
        f"({grad} * softplus_slope({a}, {beta}, {threshold}))"
    ),
    "tanh_backward": lambda grad, y: f"({grad} * (R(1.0) - square({y})))",
    "sigmoid_backward": lambda grad, y: f"({grad} * sigmoid_slope({y}))",
    "log_sigmoid_forward[0]": _call("log_sigmoid"),
    "log_sigmoid_forward[1]": lambda a: f"EXP(-ABS({a}))",
    "log_sigmoid_backward": lambda grad, a, e: f"({grad} * log_sigmoid_slope({a}, {e}))",
    "silu_backward": lambda grad, a: f"({grad} * silu_slope({a}))",
    "gelu_backward": _gelu_backward,
    "leaky_relu": lambda a, slope="R(0.01)": f"leaky_relu({a}, {slope})",
    "leaky_relu_backward": lambda grad, a, slope, is_result: (
        f"choose({a} > 0, {grad}, {grad} * {slope})"
    ),
    "elu": _elu,
    "elu_backward": _elu_backward,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda a, high: _clamp(a, None, high),
    "maximum": _call("larger"),
    "minimum": _call("smaller"),
    "where": _call("choose"),
    "masked_fill": lambda a, mask, value: f"choose({mask}, {value}, {a})",
    "logical_and": _compare("&&"),
    "logical_or": _compare("||"),
    "logical_not": lambda a: f"(!{a})",
    "gt": _compare(">"),
    "ge": _compare(">="),
    "lt": _compare("<"),
    "le": _compare("<="),
    "eq": _compare("=="),
    "ne": _compare("!="),
    "clone": lambda a: a,
    "__rshift__": _compare(">>"),
    "bitwise_right_shift": _compare(">>"),
    "__and__": _compare("&"),
    "bitwise_and": _compare("&"),
    "random_bits": _call("random_bits"),
    "fold_in": _call("fold_in"),
    # Of C's own, by the name that they have in this precision.
    **{name: _call(f"FN({name})") for name in ("tan", "asin", "acos", "atan", "sinh", "cosh")},
    **{name: _call(f"FN({name})") for name in ("asinh", "acosh", "atanh", "erfc", "log2", "log10")},
    **{name: _call(f"FN({name})") for name in ("exp2", "hypot", "atan2", "floor", "ceil", "trunc")},
    "round": _call("FN(rint)"),  # halves to the even number, as torch has it
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
