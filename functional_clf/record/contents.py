"""What stands in a chunk's blobs: arrays by name, of the shapes and kinds that a chunk leaves.

A blob whose digest fits may still be of somebody's making. What is handed on has been looked at, so
that nobody further up meets an array that no training could have left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from functional_clf.record.rows import CURVES, WARNED
from functional_clf.stats.metrics import METRICS


def unpacked(blob: Any) -> dict[str, np.ndarray]:
    """The arrays that a blob holds, by name.

    Raises:
        ValueError: when it is no such blob.

    Example:
        >>> list(unpacked(safetensors.numpy.save({"a": np.zeros(2)})))
        ['a']
    """
    try:
        return safetensors.numpy.load(blob)
    # Of a kind that NumPy has not, of a size that no memory holds, or no bytes at all.
    except (safetensors.SafetensorError, *_UNREADABLE) as error:
        raise ValueError(f"its arrays cannot be read ({error})") from error


_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError)


def check_curves(arrays: Mapping[str, np.ndarray], lanes: int) -> None:
    """See that these are one model's curves, scores, counts and warnings, by name.

    Args:
        arrays: as `ChunkResult.curves` has them, without the name of the model.
        lanes: how many seeds the chunk has.

    Raises:
        ValueError: when one is missing, or is of another shape or kind, or outside its range.

    Example:
        >>> check_curves({}, lanes=16)
        Traceback (most recent call last):
        ValueError: train_loss is missing
    """
    points: set[int] = set()
    for name in CURVES:
        if name not in arrays:
            raise ValueError(f"{name} is missing")
        kinds = "f" if name.endswith("_loss") else "iu"
        _check(name, arrays[name], kinds, lanes, ndim=2)
        points.add(len(arrays[name]))
        if kinds == "iu":
            _see(name, arrays[name] >= 0)
    if len(points) != 1 or 0 in points:
        raise ValueError(f"its curves have {sorted(points)} points")
    for name, array in arrays.items():
        kind, _, rest = name.partition("/")
        if kind in ("scores", "majority"):
            _check(name, array, "f", lanes)
            metric = METRICS.get(rest)
            upper = np.inf if metric is None or metric.upper is None else metric.upper
            _see(name, np.isnan(array) | ((array >= 0) & (array <= upper + _ROUNDING)))
        elif kind == "counts":
            _check(name, array, "iu", lanes)
            _see(name, array >= 0)
        elif name == "confusion":
            _check(name, array, "iu", lanes, ndim=3)
            if array.shape[0] != array.shape[1]:
                raise ValueError(f"{name} has the shape {array.shape}")
            _see(name, array >= 0)
        elif name.startswith(WARNED):
            _check(name, array, "b", lanes)
        elif name not in CURVES:
            raise ValueError(f"{name} is nothing that is kept")
    if {"counts/epochs", "counts/best_epoch"} <= arrays.keys():
        _see("counts/best_epoch", arrays["counts/best_epoch"] <= arrays["counts/epochs"])


_ROUNDING = 1e-9


def check_params(arrays: Mapping[str, np.ndarray], lanes: int) -> None:
    """See that these are weights of so many seeds.

    Raises:
        ValueError: when one is not.
    """
    for name, array in arrays.items():
        is_of_seeds = array.ndim > 0 and len(array) == lanes
        if not is_of_seeds or array.dtype.kind not in "fiub" or name == "seeds":
            raise ValueError(f"{name} is of {array.dtype} and shape {array.shape}")


def _check(name: str, array: np.ndarray, kinds: str, lanes: int, ndim: int = 1) -> None:
    if array.dtype.kind not in kinds or array.ndim != ndim or array.shape[-1] != lanes:
        raise ValueError(f"{name} is of {array.dtype} and shape {array.shape}")


def _see(name: str, is_fine: np.ndarray) -> None:
    if not is_fine.all():
        raise ValueError(f"{name} is outside its range")


def joined(parts: Sequence[Mapping[str, np.ndarray]], axis: int) -> dict[str, np.ndarray]:
    """Arrays of several chunks, each name's one after another.

    Raises:
        ValueError: when one is not in every chunk, or of another shape or kind there.

    Example:
        >>> joined([{"a": np.zeros(2)}, {"a": np.ones(1)}], axis=0)
        {'a': array([0., 0., 1.])}
    """
    names = parts[0].keys() if parts else {}.keys()
    if any(part.keys() != names for part in parts):
        raise ValueError("its chunks hold different things")
    found = {}
    for name in names:
        arrays = [part[name] for part in parts]
        if len({one.dtype for one in arrays}) != 1:
            raise ValueError(f"{name} is not of one kind")
        try:
            found[name] = np.concatenate(arrays, axis)
        except ValueError as error:
            raise ValueError(f"{name} is not of one shape") from error
    return found
