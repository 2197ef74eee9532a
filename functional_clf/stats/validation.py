"""Checks of arguments: each failure is one line that names the argument and what would be right."""

import math
import operator
from typing import SupportsIndex, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from functional_clf.stats.types import FloatArray

# Accuracies are fractions of at most some millions of samples, so nothing below this is a true
# difference: rounding to it makes .995 - .99 and .99 - .985 the tie that their counts are.
DECIMALS = 12


def numbers(name: str, values: ArrayLike, ndim: int = 1) -> FloatArray:
    """Return `values` as a non-empty array of finite floats with `ndim` axes."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} has rows of unlike lengths: {ndim} axes are needed") from None
    if array.dtype.kind not in "iuf" and array.size:
        raise TypeError(f"{name} holds {array.dtype} values: numbers are needed")
    if array.ndim != ndim:
        kind = "a list" if ndim == 1 else "a table"
        raise ValueError(f"{name} has shape {array.shape}: {kind} with {ndim} axes is needed")
    if array.size == 0:
        raise ValueError(f"{name} is empty: at least one value is needed")
    array = array.astype(np.float64)
    _refuse(name, array, ~np.isfinite(array), "finite numbers are needed")
    return array


def differences(name: str, values: ArrayLike, ndim: int = 1) -> FloatArray:
    """Return `values` as finite floats, free of the rounding noise of a subtraction."""
    return np.round(numbers(name, values, ndim), DECIMALS)


def accuracies(name: str, values: ArrayLike, ndim: int = 1) -> FloatArray:
    """Return `values` as floats in [0, 1]; a float32 0.995 becomes 0.995, as it was meant."""
    array = numbers(name, values, ndim)
    dtype = np.asarray(values).dtype
    if dtype.kind == "f" and dtype.itemsize < array.itemsize:
        array = np.round(array, np.finfo(dtype).precision)
    outside = (array < 0) | (array > 1)
    _refuse(name, array, outside, "accuracies lie in [0, 1] (for counts of correct, give total=)")
    return array


def counts(name: str, values: ArrayLike, total: ArrayLike, ndim: int = 1) -> NDArray[np.int64]:
    """Return `values` as integer counts between 0 and `total`."""
    numbers(name, values, ndim)
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {array.dtype} values: with total=, give integer counts")
    above = np.broadcast_to(total, array.shape)
    outside = (array < 0) | (array > above)
    limit = above[outside].flat[0] if outside.any() else None
    _refuse(name, array, outside, f"a count lies between 0 and its total, {limit}")
    return array.astype(np.int64)


def totals(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return one positive integer total, or one for each entry of `shape`."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {array.dtype} values: positive integers are needed")
    if array.ndim and array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}: one number or shape {shape} is needed")
    _refuse(name, array, array < 1, "a total is at least 1")
    return array.astype(np.int64)


def mask(name: str, values: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a boolean array of `shape`; all False where `values` is None."""
    if values is None:
        return np.zeros(shape, dtype=bool)
    array = np.asarray(values)
    if array.dtype.kind != "b":
        raise TypeError(f"{name} holds {array.dtype} values: True or False is needed")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}: shape {shape} is needed")
    return array


def same_shape(name_a: str, a: NDArray, name_b: str, b: NDArray) -> None:
    """Refuse a pair of columns that cannot be paired."""
    if a.shape != b.shape:
        sizes = (f"{a.size}", f"{b.size}") if a.ndim == 1 else (f"shape {a.shape}", f"{b.shape}")
        raise ValueError(f"{name_a} has {sizes[0]} values and {name_b} {sizes[1]}: pairs need both")


def integer(name: str, value: object, minimum: int) -> int:
    """Return an integer of at least `minimum`."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}: an integer is needed")
    try:
        number = operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise TypeError(f"{name} is {value!r}: an integer is needed") from None
    if number < minimum:
        raise ValueError(f"{name} is {number}: an integer of at least {minimum} is needed")
    return number


def text(name: str, value: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}: a string is needed")
    return value


def model_names(names: tuple[str, str]) -> tuple[str, str]:
    """Return two different names."""
    if isinstance(names, str) or len(names) != 2 or not all(isinstance(n, str) for n in names):
        raise TypeError(f"names is {names!r}: two strings are needed")
    if names[0] == names[1]:
        raise ValueError(f"names is {names!r}: two different names are needed")
    return names[0], names[1]


def alpha_level(alpha: float) -> float:
    """Return alpha, the share of intervals that may miss, in (0, 1)."""
    value = _real("alpha", alpha)
    if not 0 < value < 1:
        raise ValueError(f"alpha is {alpha}: a number in (0, 1), such as 0.05, is needed")
    return value


def margin_size(margin: float) -> float:
    """Return the margin, an accuracy difference in [0, 1]."""
    value = _real("margin", margin)
    if not 0 <= value <= 1:
        raise ValueError(f"margin is {margin}: a number in [0, 1] is needed (0.01 is one point)")
    return value


def fraction(name: str, value: float) -> float:
    """Return a number in [0, 1]."""
    number = _real(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is {value}: a number in [0, 1] is needed")
    return number


def _real(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} is {value!r}: a number is needed")
    return float(value) if math.isfinite(value) else math.nan


def _refuse(name: str, array: NDArray, wrong: NDArray[np.bool_], needed: str) -> None:
    if not wrong.any():
        return
    position = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
    value = array[wrong].flat[0] if array.ndim else array[()]
    place = f"{name}[{position}]" if array.ndim else name
    raise ValueError(f"{place} is {value}: {needed}")
