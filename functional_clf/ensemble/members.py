"""The members of an ensemble: replicates of one recipe on the same samples, and what they predict.

They differ in their seeds alone: in their initial weights, and in the batches and the noise of
their training where a recipe has such.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from functional_clf.contestants.base import Trained, Training
from functional_clf.contestants.recipe import Recipe
from functional_clf.core.tasks import Task
from functional_clf.core.types import Batch
from functional_clf.core.user_code import ONE_AT_A_TIME
from functional_clf.data.batches import ChunkData
from functional_clf.data.seeds import Replicate
from functional_clf.engines.base import Engine
from functional_clf.engines.cache import CacheError, cache_folder
from functional_clf.engines.choice import PLAIN, for_one_chunk
from functional_clf.engines.machine import CPU_CHUNK
from functional_clf.registry import ENGINES
from functional_clf.study.purity import check_recipe
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line
from functional_clf.workers.threads import Workers

logger = logging.getLogger("functional_clf")

Predict = Callable[[Float[ndarray, "sample feature"]], Float[ndarray, "member sample class"]]


class Members(NamedTuple):
    """Trained members, a leading axis of members in each array.

    weights: by name, those that predictions are made with.
    losses: mean loss on the training samples, after training.
    diverged: whether a weight or a loss is NaN or infinite.
    epochs: that each was trained.
    engine: the name of the one that trained them.
    """

    weights: dict[str, ndarray]
    losses: Float[ndarray, " member"]
    diverged: Bool[ndarray, " member"]
    epochs: Int[ndarray, " member"]
    engine: str


def train_members(
    recipe: Recipe,
    x: Float[ndarray, "sample feature"],
    y: Float[ndarray, " sample"],
    task: Task,
    seeds: Sequence[int],
    engine: str = "auto",
    threads: int = 1,
) -> Members:
    """Train a member a seed, all on the same samples.

    How many are trained together depends on how many there are and on the engine, not on the
    threads: the same seeds give the same bits on any number of them.

    Args:
        recipe: what each member is.
        x: finite numbers, in torch's default floating-point type.
        y: class numbers from 0 on, in the type of x.
        task: what the labels are.
        seeds: of the initial weights, and of all else that is drawn in training; one a member.
        engine: "auto", or a name in `registry.ENGINES`. Auto takes a fused program where the recipe
            can be one and there is a C compiler, else the eager engine.
        threads: on which members are trained side by side.

    Returns:
        The members, in the order of the seeds.

    Raises:
        ValueError: when the recipe does not fit the samples or is not pure, or the engine cannot
            train it.

    Example:
        >>> from functional_clf.contestants.mlp import model_1
        >>> from functional_clf.core.tasks import Binary
        >>> x = np.array([[-1.0, 0.0], [1.0, 0.0], [-2.0, 1.0], [2.0, 1.0]], np.float32)
        >>> y = np.array([0, 1, 0, 1], np.float32)
        >>> members = train_members(model_1(epochs=5), x, y, Binary(), [3, 4], engine="eager")
        >>> members.weights["0.weight"].shape
        (2, 16, 2)
    """
    with contextlib.suppress(CacheError):  # before torch asks for its own
        cache_folder()
    with Workers(min(threads, len(seeds))) as workers:
        two = _same_for_all(x, y, task, 2)
        for warning in check_recipe(recipe, two, [seeds[0], seeds[0] + 1]):
            warnings.warn(warning, UserWarning, stacklevel=3)
        chosen = _engine(engine, recipe, two)
        width = _width(chosen, len(seeds))
        data = _same_for_all(x, y, task, width)
        try:
            workers.call(partial(chosen.prepare, [recipe], data))
        except Exception as error:  # a compiler may fail in many ways
            failed = f"compiling failed ({one_line(error)})"
            if engine != "auto":
                raise ValueError(f"engine is {engine!r}, but {failed}") from error
            logger.warning("engine: %s, because %s", PLAIN.name, failed)
            chosen = PLAIN
            width = _width(chosen, len(seeds))
            data = _same_for_all(x, y, task, width)

        def train(
            chunk: Sequence[int], after_steps: Callable[[int], None]
        ) -> tuple[Sequence[int], Trained]:
            padded = [*chunk, *[chunk[-1]] * (width - len(chunk))]
            replicates = [Replicate(place, 0, 0, seeds[place]) for place in padded]
            return chunk, recipe.train(data, replicates, Training(chosen, after_steps))

        chunks = [range(at, min(at + width, len(seeds))) for at in range(0, len(seeds), width)]
        done = sorted(workers.map(train, chunks), key=lambda one: one[0][0])
    return _joined(done, recipe, chosen.name)


def make_predict(recipe: Recipe, weights: Mapping[str, ndarray]) -> Predict:
    """What members take for the probability of each class.

    This package's own networks are evaluated in float64, in which it does not show how many samples
    are predicted together; any other in the precision in which it was trained.

    Args:
        recipe: what each member is.
        weights: of the members, as in `Members`.

    Returns:
        `predict(x) -> probabilities`, of finite numbers `(sample, feature)` in float64
        `(member, sample, class)`; those of a sample sum to 1. It raises a ValueError where a
        member's output is not finite.

    Example:
        >>> from functional_clf.contestants.mlp import model_1
        >>> weights = {"0.weight": np.zeros((2, 1, 1)), "0.bias": np.array([[0.0], [np.log(3)]])}
        >>> predict = make_predict(model_1(layer_sizes=(1, 1)), weights)
        >>> predict(np.ones((1, 1)))[:, 0]
        array([[0.5 , 0.5 ],
               [0.25, 0.75]])
    """
    is_own = recipe.is_own
    turns = contextlib.nullcontext() if is_own else ONE_AT_A_TIME
    held = {name: torch.tensor(value) for name, value in weights.items()}
    kinds = (value.dtype for value in held.values() if value.is_floating_point())
    dtype = torch.float64 if is_own else next(kinds, torch.get_default_dtype())
    held = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in held.items()
    }
    apply = torch.func.vmap(recipe.model.apply, in_dims=(0, None))

    def predict(x: ndarray) -> ndarray:
        samples = torch.from_numpy(np.ascontiguousarray(x.T)).to(dtype).mT
        with torch.no_grad(), turns:
            logits = apply(held, samples).double()
        if not bool(torch.isfinite(samples).all() and torch.isfinite(logits).all()):
            raise ValueError(
                "the network's output for a row of X is not finite; are its numbers as large as "
                "those that it was fitted on?"
            )
        if logits.ndim == 2:
            return torch.sigmoid(torch.stack([-logits, logits], -1)).numpy()
        return torch.softmax(logits, -1).numpy()

    return predict


def _same_for_all(x: ndarray, y: ndarray, task: Task, width: int) -> ChunkData:
    """The same samples for each replicate of a chunk, held once.

    There are none to test on; an engine has the first sample to look at.
    """
    columns = torch.from_numpy(np.ascontiguousarray(x.T))  # samples run along memory
    batch = Batch(columns.mT.expand(width, *x.shape), torch.from_numpy(y).expand(width, len(y)))
    return ChunkData(batch, Batch(batch.x[:, :1], batch.y[:, :1]), task)


def _engine(asked: str, recipe: Recipe, data: ChunkData) -> Engine:
    if asked == "auto":
        return for_one_chunk([recipe], data)
    if not isinstance(asked, str) or asked not in ENGINES:
        choices = ", ".join(("auto", *ENGINES))
        raise ValueError(f"engine is {short(asked)}; it must be one of {choices}")
    engine = ENGINES[asked]
    if lack := engine.why_not([recipe], data):
        raise ValueError(f"engine is {asked!r}, but {lack}")
    return engine


def _width(engine: Engine, n_members: int) -> int:
    """How many members are trained together, the last chunk padded by as few as can be.

    Where members do not meet each other, each is alone: no core waits for another.
    """
    at_most = CPU_CHUNK if getattr(engine, "width_matters", True) else 1
    return -(-n_members // -(-n_members // at_most))


def _joined(done: Sequence[tuple[Sequence[int], Trained]], recipe: Recipe, engine: str) -> Members:
    """The members of all chunks, without the padding."""
    weights: dict[str, list[ndarray]] = {}
    losses, diverged, epochs = [], [], []
    for chunk, trained in done:
        count = len(chunk)
        for name, value in trained.params.items():
            weights.setdefault(name, []).append(value[:count].numpy())
        losses.append(trained.curves.train.loss[-1, :count].double().numpy())
        diverged.append(trained.diverged[:count])
        taken = trained.epochs
        epochs.append(np.full(count, recipe.epochs) if taken is None else taken[:count])
    joined = {name: np.concatenate(parts) for name, parts in weights.items()}
    return Members(
        joined, np.concatenate(losses), np.concatenate(diverged), np.concatenate(epochs), engine
    )
