"""What a contestant returns of a chunk: checked here, once, before any of it is kept."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from functional_clf.contestants.base import Trained
from functional_clf.contestants.fitting import Predicted
from functional_clf.core.types import Curves, Metrics
from functional_clf.data.batches import ChunkData
from functional_clf.study.purity import RESERVED_KEYS
from functional_clf.support.arguments import short


class Outcome(NamedTuple):
    """A trained chunk as arrays.

    points: learning curves by name, `(point, replicate)`.
    params: weights by name, each with a leading replicate axis.
    diverged: `(replicate,)`, also where a loss on the curves is not finite, but is told.
    logits: of the test samples, `(replicate, sample)` or with a last class axis; None of none.
    predictions: of each replicate, in place of logits; None where these tell.
    warned: by text, which replicates it is said of, `(replicate,)`.
    counts: whole numbers of each replicate by name, `(replicate,)`, as the epochs that it took.
    """

    points: dict[str, np.ndarray]
    params: dict[str, np.ndarray]
    diverged: np.ndarray
    logits: np.ndarray | None = None
    predictions: Sequence[Predicted] | None = None
    warned: Mapping[str, np.ndarray] = MappingProxyType({})
    counts: Mapping[str, np.ndarray] = MappingProxyType({})


def checked_outcome(
    name: str, curve_epochs: tuple[int, ...], trained: Any, data: ChunkData
) -> Outcome:
    """What a contestant returned, where it is what it should be.

    Args:
        name: the contestant's.
        curve_epochs: where its curves are read, as it says.
        trained: what its `train` returned.
        data: what it was trained on, for the sizes.

    Raises:
        ValueError: when it is anything else; the message names the contestant.

    Example:
        >>> import torch
        >>> from functional_clf.core.types import Batch
        >>> batch = Batch(torch.zeros(1, 4, 2), torch.zeros(1, 4))
        >>> metrics = Metrics(torch.tensor([[0.5]]), torch.tensor([[3]]))
        >>> trained = Trained({}, Curves((0,), metrics, metrics), np.array([False]))
        >>> checked_outcome("m", (0,), trained, ChunkData(batch, batch)).points["test_correct"]
        array([[3]], dtype=int32)
    """
    model = f"model {name!r}"
    _check_form(model, trained)
    if tuple(trained.curves.epochs) != curve_epochs:
        raise ValueError(
            f"{model}: its curves are of the epochs {short(trained.curves.epochs)}, and its "
            f"curve_epochs are {short(curve_epochs)}"
        )
    width = len(data.train.y)
    wanted = len(curve_epochs), width
    points: dict[str, np.ndarray] = {}
    diverged = _array(f"{model}: diverged", trained.diverged)
    if diverged.dtype != np.bool_ or diverged.shape != (width,):
        raise ValueError(
            f"{model}: diverged is of {diverged.dtype} and shape {diverged.shape}; it must be True "
            f"or False of each replicate, {(width,)}"
        )
    predictions = _predictions(model, trained.predictions, data)
    is_told = np.array([one.kind == "probabilities" for one in predictions or ()] or [True])
    parts = {"train": (trained.curves.train, data.train), "test": (trained.curves.test, data.test)}
    for part, (metrics, batch) in parts.items():
        loss = _array(f"{model}: its {part} loss", metrics.loss)
        correct = _array(f"{model}: its {part} correct", metrics.correct)
        for key, values in (("loss", loss), ("correct", correct)):
            if values.shape != wanted:
                raise ValueError(
                    f"{model}: its {part} {key} has shape {values.shape}; it must be "
                    f"(point, replicate), {wanted}"
                )
        n_samples = batch.y.shape[1]
        if loss.dtype.kind != "f":
            raise ValueError(f"{model}: its {part} loss is of {loss.dtype}; it must be floats")
        if correct.dtype.kind not in "iu" or correct.min() < 0 or correct.max() > n_samples:
            raise ValueError(
                f"{model}: its {part} correct must be counts between 0 and {n_samples}"
            )
        diverged = diverged | (is_told & ~np.isfinite(loss).all(0))
        points |= {f"{part}_loss": loss, f"{part}_correct": correct.astype(np.int32)}
    logits = None if trained.logits is None else _logits(model, trained.logits, data)
    warned = _warned(model, trained.warnings, width)
    params = _params(model, trained.params, width)
    counts = {
        name: _count(f"{model}: its {name}", value, width)
        for name in ("epochs", "best_epoch")
        if (value := getattr(trained, name)) is not None
    }
    return Outcome(points, params, diverged, logits, predictions, warned, counts)


def _predictions(model: str, predictions: Any, data: ChunkData) -> Sequence[Predicted] | None:
    if predictions is None:
        return None
    width, n_samples = data.test.y.shape
    forms = {None, (n_samples, data.task.n_classes)}
    is_fine = isinstance(predictions, Sequence) and len(predictions) == width
    if not is_fine or not all(
        isinstance(one, Predicted)
        and (one.labels is None or np.shape(one.labels) == (n_samples,))
        and (None if one.values is None else np.shape(one.values)) in forms
        for one in predictions
    ):
        raise ValueError(
            f"{model}: its predictions are {short(predictions)}; they must be {width} Predicted, "
            f"with labels ({n_samples},) and values ({n_samples}, {data.task.n_classes})"
        )
    return predictions


def _warned(model: str, warnings: Any, width: int) -> dict[str, np.ndarray]:
    found = {}
    for text, which in warnings:
        array = _array(f"{model}: its warning {short(text)}", which)
        if not isinstance(text, str) or array.dtype != np.bool_ or array.shape != (width,):
            raise ValueError(
                f"{model}: a warning is {short(text)} of {array.dtype} and shape {array.shape}; it "
                f"must be a text, and True or False of each replicate, {(width,)}"
            )
        found[text] = array
    return found


def _count(what: str, value: Any, width: int) -> np.ndarray:
    array = _array(what, value)
    if array.dtype.kind not in "iu" or array.shape != (width,) or array.min() < 0:
        raise ValueError(
            f"{what} is of {array.dtype} and shape {array.shape}; it must be a count of each "
            f"replicate, {(width,)}"
        )
    return array.astype(np.int32)


def _logits(model: str, logits: Any, data: ChunkData) -> np.ndarray:
    array = _array(f"{model}: its logits", logits)
    n_classes = data.task.n_classes
    wanted = (*data.test.y.shape, *(() if n_classes == 2 else (n_classes,)))
    if array.dtype.kind != "f" or array.shape != wanted:
        raise ValueError(
            f"{model}: its logits are of {array.dtype} and shape {array.shape}; they must be "
            f"floats of the test samples, {wanted}"
        )
    return array


def _check_form(model: str, trained: Any) -> None:
    if not (
        isinstance(trained, Trained)
        and isinstance(trained.params, Mapping)
        and isinstance(trained.curves, Curves)
        and isinstance(trained.curves.epochs, tuple)
        and all(isinstance(part, Metrics) for part in (trained.curves.train, trained.curves.test))
    ):
        raise ValueError(
            f"{model}: train returned {short(trained)}; it must return "
            "Trained(params, curves, diverged), with Metrics in its curves"
        )


def _params(model: str, params: Mapping[str, Any], width: int) -> dict[str, np.ndarray]:
    found = {}
    for key, value in params.items():
        if not isinstance(key, str) or key in RESERVED_KEYS:
            raise ValueError(
                f"{model}: a param has the key {key!r}; it must be a text, not "
                f"{' or '.join(RESERVED_KEYS)}"
            )
        array = _array(f"{model}: its param {key!r}", value)
        if array.shape[:1] != (width,) or array.dtype.kind not in "fiub":
            raise ValueError(
                f"{model}: its param {key!r} is of {array.dtype} and shape {array.shape}; it must "
                f"be numbers with one entry a replicate, ({width}, ...)"
            )
        found[key] = array
    return found


def _array(what: str, value: Any) -> np.ndarray:
    try:
        if isinstance(value, Tensor):
            return value.detach().cpu().numpy()
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{what} is {short(value)}; it must be an array or a tensor") from error
