"""Trained weights on disk and back: one safetensors file a model, and single seeds out of a study.

The file holds `seeds` `(seed,)` and, by the names of the module's state_dict, the weights of all
seeds stacked: `(seed, ...)`. It is written chunk by chunk, so that it may be larger than memory.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import nn

from functional_clf.data.seeds import MAX_SEED
from functional_clf.record.errors import damaged
from functional_clf.record.folder import subfolder, write_whole
from functional_clf.record.names import FILE_NAME, params_name
from functional_clf.record.store import Store
from functional_clf.registry import CONTESTANTS, made_again
from functional_clf.support.arguments import short, whole_number
from functional_clf.support.errors import one_line

_DTYPES = {
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "bool": "BOOL",
    **{f"int{bits}": f"I{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"U{bits}" for bits in (8, 16, 32, 64)},
}


def write_params(folder: str | os.PathLike[str], models: Iterable[str], seeds: range) -> list[Path]:
    """Write the weights kept of these seeds as `params/<model>.safetensors` in a run folder.

    Args:
        folder: the run folder, a path.
        models: whose.
        seeds: of which seeds; those without weights are left out.

    Returns:
        The files written: none of a model that has no weights.

    Raises:
        StoreError: when there is no study, or it is in use or damaged.
        WriteError: when one cannot be written; each appears whole or not at all.
    """
    folder = Path(folder)
    with Store(folder, must_exist=True) as store:
        return [
            write_whole(
                subfolder(folder, "params") / params_name(model),
                lambda file, model=model: _write(store, model, seeds, file),
                in_subfolder=True,
            )
            for model in models
            if _has_weights(store, model, seeds)
        ]


def load_seed(folder: str | os.PathLike[str], model: str, seed: int) -> nn.Module:
    """The trained classifier of one seed, as a plain module.

    Args:
        folder: the run folder of a study run with `--save-params` (of the first seeds, any study).
        model: the name of one of its models.
        seed: one of its seeds.

    Returns:
        A module whose output is a logit `(sample, 1)`, above 0 where it predicts class 1, or for
        several classes a logit each, `(sample, class)`.

    Raises:
        StoreError: when there is no study, or it is in use or damaged.
        TypeError: when an argument is of the wrong type.
        ValueError: when it has no such model or seed, or no weights of it, or its network
            cannot be made again from what the folder says of it.

    Example:
        >>> import tempfile
        >>> from functional_clf import Study, circles, model_1
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Study(circles(80), (model_1(epochs=2),), seeds=2, engine="eager").run(folder)
        ...     load_seed(folder, "model_1", seed=1)(torch.zeros(5, 2)).shape
        torch.Size([5, 1])
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(
            f"folder is {short(folder)}; it must be the path of a run folder, as in 'runs/small'"
        )
    seed = min(whole_number("seed", seed, 0), MAX_SEED + 1)  # of which there is no study
    with Store(Path(folder), must_exist=True) as store:
        models = (store.configuration or {}).get("models", {})
        if model not in models:
            raise ValueError(f"model is {model!r}; {folder} has {', '.join(models) or 'none'}")
        if len(store.missing_seeds(range(seed, seed + 1))):
            raise ValueError(f"seed is {seed}; {folder} has no results of it")
        found, params = store.params(model, range(seed, seed + 1))
    if not found:
        raise ValueError(
            f"seed is {seed}; {folder} has results of it, but not its weights: the same study "
            "with save_params=True (--save-params) adds them"
        )
    if not params:
        raise ValueError(f"model is {model!r}, which has no weights: there is nothing to load")
    try:
        as_module = getattr(made_again(CONTESTANTS, models[model]), "as_module", None)
        if as_module is None:
            raise ValueError("it is no nn.Module")
    except ValueError as error:
        raise ValueError(
            f"model is {model!r}, whose network cannot be made again ({error}); "
            f"functional_clf.record.weights.write_params({str(folder)!r}, [{model!r}], "
            f"range({seed}, {seed + 1})) writes its weights to params/{params_name(model)}"
        ) from error
    module = as_module()
    weights = {key: torch.from_numpy(np.asarray(value[0])) for key, value in params.items()}
    first = next(iter(weights.values()))
    try:
        (module.to(first.dtype) if first.is_floating_point() else module).load_state_dict(weights)
    except RuntimeError as error:  # it tells what is missing, and what is of another shape
        path = Path(folder) / FILE_NAME
        raise damaged(path, f"the weights of {model} are not its own: {one_line(error)}") from error
    return module


def _has_weights(store: Store, model: str, seeds: range) -> bool:
    """Whether a model is one that has weights, though maybe none of these seeds are kept."""
    first = next(store.params_blocks(model, seeds), None)
    return first is None or bool(first[1])


def _write(store: Store, model: str, seeds: range, file: BinaryIO) -> None:
    """A safetensors file, each chunk's seeds put into their places."""
    order = store.seeds_with_params(model, seeds)
    places = {"seeds": _Place(np.int64, (len(order),))}
    for _, params in store.params_blocks(model, seeds):
        for key, value in sorted(params.items()):
            places[key] = _Place(value.dtype, (len(order), *value.shape[1:]))
        break  # the first chunk tells the shapes
    _write_header(file, places)
    places["seeds"].write(file, np.arange(len(order)), order)
    for found, params in store.params_blocks(model, seeds):
        rows = np.searchsorted(order, found)
        if {key: places[key].form for key in places if key != "seeds"} != {
            key: (value.dtype, value.shape[1:]) for key, value in params.items()
        }:
            raise store.damaged("its weights are not of the same shapes in all chunks")
        for key, value in params.items():
            places[key].write(file, rows, value)


class _Place:
    """Where in the file a tensor lies."""

    def __init__(self, dtype: Any, shape: tuple[int, ...]) -> None:
        self.dtype, self.shape = np.dtype(dtype), shape
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        self.start = 0

    @property
    def form(self) -> tuple[Any, tuple[int, ...]]:
        """Of one row: its type and its shape."""
        return self.dtype, self.shape[1:]

    def write(self, file: BinaryIO, rows: np.ndarray, values: np.ndarray) -> None:
        """Write these rows of the tensor, neighbours together."""
        for run in _runs(rows):
            file.seek(self.start + int(rows[run[0]]) * self.row_bytes)
            file.write(np.ascontiguousarray(values[run]).tobytes())


def _runs(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Positions whose rows follow each other."""
    order = np.argsort(rows)
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(rows[order]) != 1) + 1)


def _write_header(file: BinaryIO, places: dict[str, _Place]) -> None:
    header: dict[str, Any] = {}
    end = 0
    for key, place in places.items():
        start, end = end, end + place.shape[0] * place.row_bytes
        place.start = start
        dtype = _DTYPES[place.dtype.name]
        header[key] = {"dtype": dtype, "shape": place.shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format aligns what follows
    file.write(len(text).to_bytes(8, "little") + text)
    for place in places.values():
        place.start += 8 + len(text)
    file.truncate(8 + len(text) + end)
