"""What the pictures of a study show, as plain values that can be sent to another process.

Nothing here needs torch, polars or matplotlib.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import IO, Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy import ndarray

NAMES = ("data", "classes", "curves", "accuracies", "boundaries", "confusion")
"""Of all pictures that any results have; the file is named so, with `.png`."""


class NotPicturedError(ValueError):
    """A picture that such results do not have, however often it is asked for; the text says why."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What every picture names.

    dataset: the data set.
    models: all of the study, in its order.
    """

    dataset: str
    models: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DataPicture(Picture):
    """The samples of one seed, `(sample, column)`, one or two columns, and the rows of either part.

    class_names: of all classes, in order of their numbers.
    shown: those of the classes that are told apart by their looks.
    is_table: whether the data are one, whose columns have units of their own.
    labels: what the columns are.
    n_features: how many there are.
    is_projected: whether the columns are principal components of the features.
    n_train, n_test: samples of either part, drawn or not.
    n_missing: how many of them lack a value, and so are not drawn.
    """

    seed: int
    class_names: tuple[str, ...]
    shown: tuple[int, ...]
    is_table: bool
    labels: tuple[str, ...]
    n_features: int
    is_projected: bool
    x: ndarray
    y: ndarray
    train: ndarray
    test: ndarray
    n_train: int
    n_test: int
    n_missing: int


@dataclass(frozen=True, eq=False)
class ClassesPicture(Picture):
    """How many samples of each class one seed trains on and tests on, `(2, class)`."""

    seed: int
    class_names: tuple[str, ...]
    counts: ndarray


@dataclass(frozen=True, eq=False)
class ModelCurves:
    """One model's learning curves: each `(3, record)`, low, median and high; accuracies in %."""

    epochs: ndarray
    train_loss: ndarray
    test_loss: ndarray
    train_accuracy: ndarray
    test_accuracy: ndarray


@dataclass(frozen=True, eq=False)
class CurvesPicture(Picture):
    """Learning curves over all seeds, a model each.

    loss: what the loss is called.
    """

    n_seeds: int
    loss: str
    curves: tuple[ModelCurves, ...]


@dataclass(frozen=True, eq=False)
class AccuraciesPicture(Picture):
    """Counts of correct test predictions, `(model, seed)`, and how many each seed tests."""

    correct: ndarray
    n_test: int


@dataclass(frozen=True, eq=False)
class ConfusionPicture(Picture):
    """What the test samples of each class are taken for; means over seeds of shares in [0, 1].

    shares: `(model, true class, predicted class)`; NaN for a class that no seed tests.
    nothing: `(model, true class)`, for which a model that diverged predicts nothing.
    """

    n_seeds: int
    class_names: tuple[str, ...]
    shares: ndarray
    nothing: ndarray


@dataclass(frozen=True, eq=False)
class ModelDecisions:
    """One model's decisions on the plane.

    model: its number in the study.
    seed: the median one, with its accuracy in %, its test samples, and its logits: one at each
        point where there are two classes, else `(class, row, column)`.
    votes, diverged: how many seeds predict something, and how many nothing.
    winner: the class with most votes at each point; of two classes, empty.
    share: of the votes, at each point, that are for it, or of two classes for class 1; of no votes,
        empty.
    """

    model: int
    seed: int
    accuracy: float
    x: ndarray
    y: ndarray
    logits: ndarray
    votes: int
    diverged: int
    winner: ndarray
    share: ndarray


@dataclass(frozen=True, eq=False)
class BoundariesPicture(Picture):
    """Decisions on a plane of points, `(2, row, column)`.

    class_names, shown, is_table, labels: as of `DataPicture`.
    has_missing: whether test samples that lack a value are not drawn.
    reach: from the least to the largest value of either feature in the samples of one seed.
    """

    class_names: tuple[str, ...]
    shown: tuple[int, ...]
    is_table: bool
    labels: tuple[str, ...]
    has_missing: bool
    reach: ndarray
    plane: ndarray
    decisions: tuple[ModelDecisions, ...]


@dataclass(frozen=True)
class Said:
    """A line of matplotlib's log or one of its warnings, to be said again in another process.

    source: the logger, or the file that warns.
    kind: the level, or the name of the warning's nearest built-in class.
    """

    is_warning: bool
    source: str
    kind: str
    line: int
    text: str


@dataclass(frozen=True)
class Drawn:
    """A picture as the content of a PNG file, or the reason why there is none."""

    name: str
    png: bytes | None
    reason: str = ""
    said: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Commission:
    """A picture to be drawn."""

    name: str
    picture: Picture


def reason_of(error: Exception) -> str:
    r"""Why something is not drawn, in one line.

    Example:
        >>> reason_of(ValueError("no\nroom")), reason_of(OSError())
        ('no room', 'OSError')
    """
    return " ".join(str(error).split()) or type(error).__name__


def packed(value: Any) -> bytes:
    """Plain values as bytes: classes of this module, tuples, texts, numbers, bytes and arrays.

    Example:
        >>> unpacked(packed(Drawn("data", b"png"))).png
        b'png'
    """
    arrays: list[ndarray] = []
    tree = json.dumps(_tree(value, arrays)).encode()
    named = {str(number): np.ascontiguousarray(array) for number, array in enumerate(arrays)}
    return struct.pack(">Q", len(tree)) + tree + safetensors.numpy.save(named)


def unpacked(content: bytes) -> Any:
    """What was packed.

    Raises:
        ValueError: when it is something else.
    """
    try:
        (size,) = struct.unpack_from(">Q", content)
        start = struct.calcsize(">Q")
        tree = json.loads(content[start : start + size])
        named = safetensors.numpy.load(content[start + size :])
        return _grown(tree, [named[str(number)] for number in range(len(named))])
    except (
        *(struct.error, KeyError, TypeError, IndexError, ValueError),
        safetensors.SafetensorError,
    ) as error:
        raise ValueError(f"these are no values of a picture: {reason_of(error)}") from error


def send(stream: IO[bytes], content: bytes) -> None:
    """Write one message; an empty one ends the conversation."""
    stream.write(struct.pack(">Q", len(content)))
    stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read one message; empty at the end, and also where the other side has ended in its midst.

    Example:
        >>> import io
        >>> stream = io.BytesIO()
        >>> send(stream, b"hello")
        >>> receive(io.BytesIO(stream.getvalue())), receive(io.BytesIO(stream.getvalue()[:-1]))
        (b'hello', b'')
    """
    size = stream.read(8)
    if len(size) < 8:
        return b""
    (length,) = struct.unpack(">Q", size)
    content = stream.read(length)
    return content if len(content) == length else b""


_CLASSES = {
    one.__name__: one
    for one in (
        DataPicture, ClassesPicture, ModelCurves, CurvesPicture, AccuraciesPicture,
        ConfusionPicture, ModelDecisions, BoundariesPicture, Said, Drawn, Commission,
    )
}  # fmt: skip


def _tree(value: Any, arrays: list[ndarray]) -> Any:
    if type(value).__name__ in _CLASSES and is_dataclass(value):
        named = {one.name: _tree(getattr(value, one.name), arrays) for one in fields(value)}
        return {"class": type(value).__name__, "fields": named}
    if isinstance(value, bytes | ndarray):
        is_bytes = isinstance(value, bytes)
        arrays.append(np.frombuffer(value, np.uint8) if is_bytes else value)
        return {"bytes" if is_bytes else "array": len(arrays) - 1}
    if isinstance(value, tuple):
        return [_tree(one, arrays) for one in value]
    return value


def _grown(tree: Any, arrays: Sequence[ndarray]) -> Any:
    if isinstance(tree, list):
        return tuple(_grown(one, arrays) for one in tree)
    if not isinstance(tree, dict):
        return tree
    if "class" in tree:
        named = {name: _grown(one, arrays) for name, one in tree["fields"].items()}
        return _CLASSES[tree["class"]](**named)
    return arrays[tree["bytes"]].tobytes() if "bytes" in tree else arrays[tree["array"]]
