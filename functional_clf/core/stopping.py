"""Early stopping: a part of the training samples is held out, and tells which epoch was the best.

The test samples are never looked at. Written for ONE replicate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.core import random
from functional_clf.core.minibatches import take
from functional_clf.core.train import VALIDATION, EvalStep, needed
from functional_clf.core.types import Batch, Params, TrainState
from functional_clf.support.arguments import real_number, whole_number

Tree = TypeVar("Tree")


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the loss on held-out training samples gets no better; keep the best weights.

    Args:
        patience: epochs without a better loss after which training stops, at least 1.
        validation: share of the training samples that is held out, in (0, 1); at least one is.
        min_delta: a loss is better where it is lower by more than this, at least 0.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when one is outside its range.

    Reference:
        Prechelt 1998, "Early stopping, but when?", in the variant of a fixed patience.

    Example:
        >>> EarlyStopping(patience=5).n_held_out(100)
        15
    """

    patience: int = 10
    validation: float = 0.15
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", whole_number("patience", self.patience, 1))
        for name in ("validation", "min_delta"):
            object.__setattr__(self, name, real_number(name, getattr(self, name)))
        if not 0 < self.validation < 1:
            raise ValueError(
                f"validation is {self.validation}; it must be a share, above 0 and below 1"
            )
        if not 0 <= self.min_delta < math.inf:
            raise ValueError(f"min_delta is {self.min_delta}; it must be at least 0 and finite")

    def n_held_out(self, n_train: int) -> int:
        """How many of the training samples are held out.

        Raises:
            ValueError: when none would be left to learn from.
        """
        held_out = max(1, round(self.validation * n_train))
        if held_out >= n_train:
            raise ValueError(
                f"validation is {self.validation}; of {n_train} training samples it leaves none to "
                "learn from"
            )
        return held_out


class StoppingState(NamedTuple):
    """What early stopping carries along.

    best: the weights of the best epoch: params and buffers.
    best_loss: their mean loss on the held-out samples; infinite before the first epoch.
    best_epoch: how many epochs had been trained then.
    epoch: how many were trained at all.
    """

    best: Params
    best_loss: Tensor
    best_epoch: Tensor
    epoch: Tensor


def begin(state: TrainState) -> TrainState:
    """An initial state with what early stopping carries along.

    Example:
        >>> begin(TrainState({"w": torch.ones(1)}, ())).stopping.best_loss
        tensor(inf)
    """
    best = {name: weight.clone() for name, weight in {**state.params, **state.buffers}.items()}
    param = next(iter(state.params.values()))
    none = torch.zeros((), dtype=torch.int64)
    loss = torch.tensor(math.inf, dtype=param.dtype)
    return state._replace(stopping=StoppingState(best, loss, none, none.clone()))


def is_stopped(state: TrainState, stop: EarlyStopping) -> Tensor:
    """Whether a replicate has stopped, a 0-d bool; of a stack of them, one each."""
    return state.stopping.epoch - state.stopping.best_epoch >= stop.patience


def held_apart(state: TrainState, train: Batch, stop: EarlyStopping) -> tuple[Batch, Batch]:
    """The training samples that are learned from, and those held out, drawn by the key.

    Example:
        >>> from functional_clf.core.random import key
        >>> state = TrainState({"w": torch.ones(1)}, (), key=key(0))
        >>> parts = held_apart(state, Batch(torch.zeros(20, 2), torch.zeros(20)), EarlyStopping())
        >>> [len(part.y) for part in parts]
        [17, 3]
    """
    n_train = train.y.shape[-1]
    n_held_out = stop.n_held_out(n_train)
    rows = random.permutation(random.fold_in(needed(state.key), VALIDATION), n_train)
    return take(train, rows[n_held_out:]), take(train, rows[:n_held_out])


def make_judge(
    eval_step: EvalStep, stop: EarlyStopping
) -> Callable[[TrainState, TrainState, Batch], TrainState]:
    """What follows an epoch: is it the best yet?

    Args:
        eval_step: from `make_eval_step`.
        stop: when to stop.

    Returns:
        `judge(before, after, held_out) -> state`: that after the epoch, with the best weights; or
        that before it, where training had stopped already.

    Example:
        >>> from functional_clf.core.types import Metrics
        >>> judge = make_judge(lambda w, batch: Metrics(w["w"].sum(), batch.y), EarlyStopping())
        >>> before = begin(TrainState({"w": torch.ones(1)}, ()))
        >>> after = judge(before, before, Batch(torch.zeros(1, 1), torch.zeros(1)))
        >>> int(after.stopping.best_epoch), float(after.stopping.best_loss)
        (1, 1.0)
    """

    def judge(before: TrainState, after: TrainState, held_out: Batch) -> TrainState:
        so_far = before.stopping
        weights = {**after.params, **after.buffers}
        loss = eval_step(weights, held_out).loss
        epoch = so_far.epoch + 1
        found = StoppingState(weights, loss, epoch, epoch)
        is_better = loss < so_far.best_loss - stop.min_delta  # and not where it is NaN
        judged = after._replace(stopping=_chosen(is_better, found, so_far._replace(epoch=epoch)))
        return _chosen(is_stopped(before, stop), before, judged)

    return judge


def _chosen(condition: Tensor, one: Tree, other: Tree) -> Tree:
    return pytree.tree_map(lambda a, b: torch.where(condition, a, b), one, other)
