"""Checks of arguments: each failure is one line that names the argument and what would be right."""

import decimal
import math
import numbers as kinds
import operator
from collections.abc import Callable, Mapping
from typing import Any, SupportsIndex, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from functional_clf.stats.metrics import ACCURACY, Metric
from functional_clf.stats.types import FloatArray

# Accuracies are fractions of at most some millions of samples, so nothing below this is a true
# difference: rounding to it makes .995 - .99 and .99 - .985 the tie that their counts are.
DECIMALS = 12

LARGEST_SCORE = 1e100
"""Of a metric without an upper bound: the square of a larger one is soon too large for a float."""

_ROUNDING = 4 * float(np.finfo(np.float64).eps)  # how far sums and quotients stray out of bounds
_SMALLEST_ALPHA = 1e-12  # of less some quantiles are infinite, and no study could use it
_BFLOAT16_BITS = 8  # of significance
_Value = TypeVar("_Value")


def array(name: str, values: ArrayLike, *, flags: bool = False) -> NDArray:
    """Return `values` as an array of numbers, or with `flags` of True and False, as given.

    Every array from outside passes here. NumPy alone would read a masked entry as a number and
    True among numbers as 1, and cannot read a tensor that carries gradients. Tensors and labelled
    columns are known by their methods, so neither PyTorch nor pandas is imported.
    """
    try:
        readable = _readable(name, values)
    except RecursionError:
        raise ValueError(f"{name} is a list that holds itself: numbers are needed") from None
    try:
        found = np.asarray(readable)
    except ValueError:
        needed = "a list, or a table with rows of one length, is needed"
        raise ValueError(f"{name} has rows of unlike lengths: {needed}") from None
    if found.dtype.kind in "iuf" and _holds_flags(readable):
        raise TypeError(f"{name} holds True or False among its numbers: numbers are needed")
    return _of_one_kind(name, found, flags) if found.dtype.kind == "O" else found


def numbers(name: str, values: ArrayLike, ndim: int = 1) -> FloatArray:
    """Return `values` as a non-empty array of finite floats with `ndim` axes."""
    found = array(name, values)
    if found.dtype.kind not in "iuf" and found.size:
        raise TypeError(f"{name} holds {found.dtype} values: numbers are needed")
    if found.ndim != ndim:
        kind = "a list" if ndim == 1 else "a table"
        raise ValueError(f"{name} has shape {found.shape}: {kind} with {ndim} axes is needed")
    if found.size == 0:
        raise ValueError(f"{name} is empty: at least one value is needed")
    floats = found.astype(np.float64)
    _refuse(name, floats, ~np.isfinite(floats), "finite numbers are needed")
    return floats


def differences(name: str, values: ArrayLike, ndim: int = 1) -> FloatArray:
    """Return `values` as finite floats, free of the rounding noise of a subtraction."""
    return np.round(numbers(name, values, ndim), DECIMALS)


def scores(
    columns: Mapping[str, ArrayLike], metric: Metric = ACCURACY, ndim: int = 1
) -> list[FloatArray]:
    """Return columns (or tables) that will be paired as floats between a metric's bounds.

    A float32 0.995 becomes 0.995, as it was meant. Columns of unlike precision meet at the lowest:
    two thirds are the same number in all of them. What left the bounds by rounding alone goes back.
    """
    upper = LARGEST_SCORE if metric.upper is None else metric.upper
    needed = _score_bounds(metric)
    bits = min(_significant_bits(name, values) for name, values in columns.items())
    rounding = _ROUNDING * 2.0 ** (53 - bits) if bits >= 24 else _ROUNDING  # float32, at least
    rounding *= 1.0 if metric.upper is None else metric.upper
    checked = []
    for name, values in columns.items():
        found = _at_precision(numbers(name, values, ndim), bits)
        inside = np.clip(found, 0, upper)
        found = np.where(np.abs(found - inside) <= rounding, inside, found)
        _refuse(name, found, found != inside, needed)
        checked.append(found)
    return checked


def counts(name: str, values: ArrayLike, total: ArrayLike, ndim: int = 1) -> NDArray[np.int64]:
    """Return `values` as integer counts between 0 and `total`."""
    numbers(name, values, ndim)
    found = array(name, values)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {found.dtype} values: with total=, give integer counts")
    above = np.broadcast_to(total, found.shape)
    outside = (found < 0) | (found > above)
    limit = above[outside].flat[0] if outside.any() else None
    _refuse(name, found, outside, f"a count lies between 0 and its total, {limit}")
    return found.astype(np.int64)


def totals(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return one positive integer total, or one for each entry of `shape`."""
    found = array(name, values)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {found.dtype} values: positive integers are needed")
    if found.ndim and found.shape != shape:
        raise ValueError(f"{name} has shape {found.shape}: one number or shape {shape} is needed")
    _refuse(name, found, found < 1, "a total is at least 1")
    return found.astype(np.int64)


def mask(name: str, values: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a boolean array of `shape`; all False where `values` is None."""
    if values is None:
        return np.zeros(shape, dtype=bool)
    found = array(name, values, flags=True)
    if found.dtype.kind != "b":
        raise TypeError(f"{name} holds {found.dtype} values: True or False is needed")
    if found.shape != shape:
        raise ValueError(f"{name} has shape {found.shape}: shape {shape} is needed")
    return found


def same_shape(name_a: str, a: NDArray, name_b: str, b: NDArray) -> None:
    """Refuse a pair of columns that cannot be paired."""
    if a.shape != b.shape:
        sizes = (f"{a.size}", f"{b.size}") if a.ndim == 1 else (f"shape {a.shape}", f"{b.shape}")
        raise ValueError(f"{name_a} has {sizes[0]} values and {name_b} {sizes[1]}: pairs need both")


def same_labels(**columns: object) -> None:
    """Refuse labelled columns (pandas Series, say) whose labels are not the same all along.

    Pairing them by position would hold one seed against another, and pairing them by label would
    guess: a default index says nothing of seeds. Only the caller knows.
    """
    first, expected = "", None
    for name, values in columns.items():
        labels = _labels(values)
        if labels is not None and expected is None:
            first, expected = name, labels
        elif labels is not None and labels != expected:
            raise ValueError(
                f"{name} has other labels than {first}, or another order of them: align them "
                f"first, as with {name}.reindex_like({first}), or give plain arrays"
            )


def named_columns(name: str, values: object) -> dict[str, ArrayLike]:
    """Return columns by name, from a mapping or a data frame."""
    if not isinstance(values, Mapping) and not hasattr(values, "columns"):
        kind = type(values).__name__
        raise TypeError(f"{name} is a {kind}: a mapping from model name to column is needed")
    table = cast(Any, values)
    return {column: table[column] for column in getattr(table, "columns", table)}


def optional(
    check: Callable[[str, _Value], _Value], name: str, value: _Value | None
) -> _Value | None:
    """Return what a check returns, or None for None."""
    return None if value is None else check(name, value)


def integer(name: str, value: object, minimum: int) -> int:
    """Return an integer of at least `minimum`."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {shown(value)}: an integer is needed")
    try:
        number = operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise TypeError(f"{name} is {shown(value)}: an integer is needed") from None
    if number < minimum:
        raise ValueError(f"{name} is {number}: an integer of at least {minimum} is needed")
    return number


def positive_integer(name: str, value: int) -> int:
    """Return an integer of at least 1."""
    return integer(name, value, 1)


def shown(value: object) -> str:
    """Return a value as an error's one line shows it."""
    return " ".join(repr(value).split())


def text(name: str, value: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {shown(value)}: a string is needed")
    return value


def model_names(names: tuple[str, str]) -> tuple[str, str]:
    """Return two different names."""
    pair = isinstance(names, tuple | list) and len(names) == 2
    if not pair or not all(isinstance(n, str) for n in names):
        raise TypeError(f"names is {shown(names)}: two strings are needed")
    if names[0] == names[1]:
        raise ValueError(f"names is {shown(names)}: two different names are needed")
    return names[0], names[1]


def alpha_level(alpha: float, n_comparisons: int = 1, name: str = "alpha") -> float:
    """Return alpha, the share of intervals that may miss, in (0, 1), and not all but 0.

    Each of several comparisons gets its part of alpha, which must not be too small either.
    """
    value = real(name, alpha)
    if not 0 < value < 1:
        raise ValueError(f"{name} is {alpha}: a number in (0, 1), such as 0.05, is needed")
    if value / n_comparisons < _SMALLEST_ALPHA:
        among = f" for {n_comparisons} comparisons" if n_comparisons > 1 else ""
        least = f"{_SMALLEST_ALPHA * n_comparisons:g}"
        raise ValueError(f"{name} is {alpha}: at least {least} is needed{among}")
    return value


def first_alpha(alpha: float | None) -> float | None:
    """Return the alpha of the first look, or None where none is given."""
    return None if alpha is None else alpha_level(alpha, name="first_alpha")


def margin_size(name: str, margin: float | None, metric: Metric = ACCURACY) -> float:
    """Return a margin, a difference of two scores; the metric's usual one where none is given."""
    if margin is None:
        if metric.default_margin is None:
            raise ValueError(
                f"{name} is None: {metric.words} has no usual one; give the difference that "
                f"matters, as in {name}=0.01"
            )
        return metric.default_margin
    return fraction(name, margin, metric.upper, " (0.01 is one point)" if metric.is_share else "")


def fraction(name: str, value: float, upper: float | None = 1.0, hint: str = "") -> float:
    """Return a number in [0, 1], or in [0, `upper`]; None stands for no upper bound."""
    number = real(name, value)
    if upper is None and not 0 <= number <= LARGEST_SCORE:
        raise ValueError(f"{name} is {value}: a finite number of at least 0 is needed{hint}")
    if upper is not None and not 0 <= number <= upper:
        raise ValueError(f"{name} is {value}: a number in [0, {upper:g}] is needed{hint}")
    return number


def references(
    name: str, values: Mapping[str, float], metric: Metric = ACCURACY
) -> dict[str, float]:
    """Return reference scores by name, each between the metric's bounds."""
    if not isinstance(values, Mapping):
        kind = f"a mapping from name to {metric.words}"
        raise TypeError(f"{name} is {shown(values)}: {kind} is needed")
    return {
        text(f"a name in {name}", reference): fraction(
            f"{name}[{reference!r}]", value, metric.upper
        )
        for reference, value in values.items()
    }


def real(name: str, value: object) -> float:
    """Return one real number of any kind, nan for any that no finite float holds.

    Of float32 and float16 their shortest decimal is meant: 0.01, not 0.009999999776.
    """
    wrong = f"{name} is {shown(value)}: a number is needed"
    try:
        found = array(name, cast(ArrayLike, value))
    except ValueError:
        if isinstance(value, int | kinds.Rational | decimal.Decimal):
            return math.nan  # too large, or a signalling nan
        raise TypeError(wrong) from None
    except TypeError:
        raise TypeError(wrong) from None
    if found.dtype.kind not in "iuf" or found.ndim:
        raise TypeError(wrong)
    number = float(_shortest_decimals(found))
    return number if math.isfinite(number) else math.nan


def _score_bounds(metric: Metric) -> str:
    if metric.is_count:
        return "accuracies lie in [0, 1] (for counts of correct, give total=)"
    if metric.upper is None:
        return f"{metric.words} lies between 0 and {LARGEST_SCORE:g}"
    return f"{metric.words} lies in [0, {metric.upper:g}]"


def _readable(name: str, values: Any) -> Any:
    """Return what NumPy reads as it is meant: tensors as arrays, in lists too; nothing masked."""
    if isinstance(values, list | tuple):
        if any(_labels(row) is not None for row in values):
            raise TypeError(f"{name} is a list of labelled columns: plain rows are needed")
        return [_readable(name, value) for value in values]
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.getmaskarray(values).any():
            raise ValueError(f"{name} has masked entries: a number is needed for each pair")
        return values.data
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        return _from_tensor(name, values)
    return values


def _from_tensor(name: str, values: Any) -> NDArray:
    try:
        tensor = values.detach().cpu()
        return (tensor.double() if _is_bfloat16(tensor) else tensor).numpy()
    except (TypeError, RuntimeError):
        layout = f"{getattr(values, 'layout', '')} tensor of {getattr(values, 'dtype', '')}"
        raise TypeError(f"{name} is a {layout}: NumPy cannot read it") from None


def _is_bfloat16(values: object) -> bool:
    return str(getattr(values, "dtype", "")).endswith("bfloat16")


def _holds_flags(values: Any) -> bool:
    if isinstance(values, list):
        return any(_holds_flags(value) for value in values)
    return _is_flag(values) or getattr(values, "dtype", None) == np.bool_


def _of_one_kind(name: str, objects: NDArray, flags: bool) -> NDArray:
    """Return an array of Python objects as one of flags, or of integers or floats."""
    for index, entry in np.ndenumerate(objects):
        if isinstance(entry, decimal.Decimal) and entry.is_snan():
            raise ValueError(f"{name} holds a signalling nan: finite numbers are needed")
        if not (_is_flag(entry) if flags else _is_number(entry)):
            place = f"{name}[{', '.join(map(str, index))}]" if index else name
            plain = entry is None or isinstance(entry, bool | float | str | bytes | complex)
            found = repr(entry) if plain else f"a {type(entry).__name__}"
            needed = "True or False" if flags else "a number"
            raise TypeError(f"{place} is {found}: {needed} is needed")
    whole = all(isinstance(e, int | np.integer) and abs(int(e)) < 2**63 for e in objects.flat)
    try:
        return objects.astype(np.bool_ if flags else np.int64 if whole else np.float64)
    except OverflowError:
        raise ValueError(f"{name} holds a number too large for a float") from None


def _is_flag(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_number(value: object) -> bool:
    return isinstance(value, kinds.Real | decimal.Decimal) and not _is_flag(value)


def _labels(values: object) -> list[list] | None:
    """Return the labels along the axes of a Series, data frame or the like; None without any."""
    axes = getattr(values, "axes", None)
    if axes is None:
        axes = getattr(values, "indexes", {}).values()
    return [list(axis) for axis in axes] or None


def _significant_bits(name: str, values: ArrayLike) -> int:
    if _is_bfloat16(values):
        return _BFLOAT16_BITS
    dtype = array(name, values).dtype
    return min(np.finfo(dtype).nmant, 52) + 1 if dtype.kind == "f" else 53


def _at_precision(values: FloatArray, bits: int) -> FloatArray:
    """Return floats as a type of so many significant bits holds them, and as they were meant."""
    if bits >= 53:
        return values
    mantissas, exponents = np.frexp(values)
    held: FloatArray = np.ldexp(np.round(np.ldexp(mantissas, bits)), exponents - bits)
    if bits == _BFLOAT16_BITS:  # two digits, too few to tell accuracies apart: taken as they are
        return held
    kind = np.float16 if bits == 11 else np.float32
    fits = np.abs(held) <= float(np.finfo(kind).max)  # a log loss of another column may not
    return np.where(fits, _shortest_decimals(np.where(fits, held, 0.0).astype(kind)), held)


def _shortest_decimals(values: NDArray) -> FloatArray:
    """Return numbers of low precision as the shortest decimals that they are nearest to."""
    if values.dtype.kind != "f" or values.dtype.itemsize >= 8:
        return values.astype(np.float64)
    return values.astype(str).astype(np.float64)


def _refuse(name: str, values: NDArray, wrong: NDArray[np.bool_], needed: str) -> None:
    if not wrong.any():
        return
    position = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
    value = values[wrong].flat[0] if values.ndim else values[()]
    place = f"{name}[{position}]" if values.ndim else name
    raise ValueError(f"{place} is {value}: {needed}")
