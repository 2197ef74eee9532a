"""Operations whose texts are the same in C and in Triton."""

from collections.abc import Callable


def clamp(a: str, low: str | None = None, high: str | None = None) -> str:
    """At least one bound and at most another."""
    if low is not None:
        a = f"larger({a}, {low})"
    return a if high is None else f"smaller({a}, {high})"


def gelu(a: str, approximate: str = "none") -> str:
    """The one or the other form of it."""
    return f"{'gelu' if approximate == 'none' else 'gelu_tanh'}({a})"


def gelu_backward(grad: str, a: str, approximate: str = "none") -> str:
    """A gradient times the slope of it."""
    return f"({grad} * {'gelu_slope' if approximate == 'none' else 'gelu_tanh_slope'}({a}))"


def call(name: str) -> Callable[..., str]:
    """What calls a function of a name."""
    return lambda *args: f"{name}({', '.join(args)})"


def infix(symbol: str) -> Callable[..., str]:
    """What puts a sign between two."""
    return lambda a, b: f"({a} {symbol} {b})"
