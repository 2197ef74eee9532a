"""Which elementwise operations a printer must know, and with what settings."""

from collections.abc import Mapping, Sequence

import torch

from functional_clf.engines.fused.form import Apply, Expression
from functional_clf.engines.fused.trace import UnfusableError

OF_KEYS = {"__rshift__", "bitwise_right_shift", "__and__", "bitwise_and", "random_bits", "fold_in"}
"""Those on the words of a replicate's key."""

OPERATIONS = OF_KEYS | {
    *("add", "sub", "rsub", "mul", "div", "neg", "reciprocal", "square", "pow", "sqrt", "rsqrt"),
    *("abs", "sign", "sgn", "floor", "exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf"),
    *("sigmoid", "relu", "silu", "gelu", "softplus", "leaky_relu", "log_sigmoid_forward[0]"),
    *("threshold_backward", "softplus_backward", "tanh_backward", "sigmoid_backward"),
    *("log_sigmoid_forward[1]", "log_sigmoid_backward", "silu_backward", "gelu_backward"),
    *("leaky_relu_backward", "clamp", "clamp_min", "clamp_max", "maximum", "minimum", "where"),
    *("elu", "elu_backward"),
    *("masked_fill", "logical_and", "logical_or", "logical_not"),
    *("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erfc", "log2"),
    *("log10", "exp2", "hypot", "atan2", "floor", "ceil", "trunc", "round"),
    *("gt", "ge", "lt", "le", "eq", "ne", "clone", "_to_copy"),
    "ratio",
}
"""Torch's by its names, and "ratio", the quotient of a float by a float, for means."""

_SETTINGS = {
    **{name: {"alpha"} for name in ("add", "sub", "rsub")},
    **{name: {"approximate"} for name in ("gelu", "gelu_backward")},
}
_OF_WORDS = OF_KEYS | {"add", "mul"}
_EXACT_FOR_INTEGERS = {"add", "sub", "rsub", "mul", "neg", "clone", "_to_copy"}
_LAYOUT_ONLY = {"memory_format", "layout", "device", "pin_memory", "non_blocking", "dtype"}


def apply(
    name: str,
    args: Sequence[Expression | str | None],
    settings: Mapping[str, object],
    dtype: torch.dtype,
) -> Apply:
    """An elementwise operation as an expression.

    Args:
        name: the operation's, as in "mul".
        args: expressions of one element of each argument, None or words.
        settings: plain values by name; those that say how a tensor lies in memory are left out.
        dtype: of the result.

    Raises:
        UnfusableError: when it or a setting of it is not known here, or not its whole numbers.

    Example:
        >>> from functional_clf.engines.fused.form import Number
        >>> apply("neg", [Number(2.0)], {"memory_format": None}, torch.float32).settings
        {}
    """
    if dtype == torch.int64 and name not in _EXACT_FOR_INTEGERS:
        raise UnfusableError(f"{name} of whole numbers is not known")
    if dtype == torch.int32 and name not in _OF_WORDS:
        raise UnfusableError(f"{name} of words of 32 bits is not known")
    if dtype not in (torch.int32, torch.bool) and name in OF_KEYS:
        raise UnfusableError(f"{name} of {dtype} is not known")
    relevant = {key: value for key, value in settings.items() if key not in _LAYOUT_ONLY}
    if unknown := set(relevant) - _SETTINGS.get(name, set()):
        raise UnfusableError(f"the {unknown.pop()} of {name} is not known")
    return Apply(name, tuple(args), relevant, dtype)
