"""An epoch in minibatches: the training samples once, in an order drawn from the replicate's key.

Written for ONE replicate. An engine that trains many says by `each` how a function of one replicate
is applied to them, and by `loop` how steps are repeated.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from functional_clf.core import random
from functional_clf.core.train import ORDER, TrainStep, needed
from functional_clf.core.types import Batch, TrainState

EpochStep = Callable[[TrainState, Batch], TrainState]
Each = Callable[[Callable[..., Any], tuple[int | None, ...]], Callable[..., Any]]
Body = Callable[[Any, TrainState], TrainState]
Loop = Callable[[Body, int, TrainState], TrainState]


def repeat(body: Body, n: int, state: TrainState) -> TrainState:
    """Do `body(number, state) -> state` for the numbers 0 to n - 1.

    Example:
        >>> repeat(lambda number, state: state, 3, TrainState({}, ())).params
        {}
    """
    for number in range(n):
        state = body(number, state)
    return state


def steps_per_epoch(n_samples: int, batch_size: int, drop_last: bool = False) -> int:
    """How many steps an epoch has: one a batch, and one for what is left over.

    Args:
        n_samples: training samples.
        batch_size: samples in a batch.
        drop_last: whether what is left over is left out.

    Example:
        >>> steps_per_epoch(100, 32), steps_per_epoch(100, 32, drop_last=True)
        (4, 3)
    """
    whole, rest = divmod(n_samples, batch_size)
    return whole + (rest > 0 and not drop_last)


def epoch_order(
    state: TrainState, n_samples: int, steps: int
) -> Int[Tensor, " sample"]:  # fmt: skip
    """The order of the samples in the epoch that a state is at.

    Args:
        state: before the first step of the epoch.
        n_samples: training samples.
        steps: in an epoch.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> from functional_clf.core.train import init_state
        >>> state = init_state(mlp((2, 1)), sgd(0.1), seed=0, is_keyed=True)
        >>> sorted(epoch_order(state, 4, steps=2).tolist())
        [0, 1, 2, 3]
    """
    epoch = needed(state.step) // steps
    return random.permutation(random.fold_in(random.fold_in(needed(state.key), ORDER), epoch),
                              n_samples)  # fmt: skip


def take(batch: Batch, rows: Int[Tensor, " row"]) -> Batch:
    """Some of the samples.

    Example:
        >>> batch = Batch(torch.zeros(3, 2), torch.tensor([0.0, 1.0, 1.0]))
        >>> take(batch, torch.tensor([2, 0])).y
        tensor([1., 0.])
    """
    # Features first, as samples lie in memory and as the models' layers take them.
    return Batch(batch.x.mT.index_select(1, rows).mT, batch.y.index_select(0, rows))


def make_epoch_step(
    train_step: TrainStep,
    batch_size: int,
    drop_last: bool = False,
    each: Each = lambda function, dims: function,
    loop: Loop = repeat,
) -> EpochStep:
    """One epoch of minibatches.

    In each epoch the samples are put in a new order, drawn from the replicate's key; a batch is
    `batch_size` of them in turn. The last one is shorter where they do not come out even.

    Args:
        train_step: from `make_train_step`.
        batch_size: samples in a batch, at least 1 and at most as many as there are.
        drop_last: leave the shorter last batch out.
        each: applies a function of one replicate, given the axis of replicates in each argument.
        loop: repeats `body(number, state) -> state` so many times.

    Returns:
        `epoch_step(state, train) -> state`; the state needs a key and a step.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> from functional_clf.core.train import init_state, make_train_step
        >>> model, optimizer = mlp((2, 1)), sgd(0.1)
        >>> epoch_step = make_epoch_step(make_train_step(model, optimizer), batch_size=4)
        >>> state = init_state(model, optimizer, seed=0, is_keyed=True)
        >>> epoch_step(state, Batch(torch.randn(10, 2), torch.zeros(10))).step
        tensor(3)
    """

    def on_rows(
        state: TrainState, train: Batch, order: Tensor, start: int | Tensor, size: int
    ) -> TrainState:
        places = start + torch.arange(size, device=order.device)
        state, _ = train_step(state, take(train, order.index_select(0, places)))
        return state

    def epoch_step(state: TrainState, train: Batch) -> TrainState:
        n_samples = train.y.shape[-1]
        whole, rest = divmod(n_samples, batch_size)
        steps = steps_per_epoch(n_samples, batch_size, drop_last)
        order = each(lambda state: epoch_order(state, n_samples, steps), (0,))(state)
        on_whole = each(
            lambda state, train, order, start: on_rows(state, train, order, start, batch_size),
            (0, 0, 0, None),
        )
        state = loop(
            lambda number, state: on_whole(state, train, order, number * batch_size), whole, state
        )
        if steps > whole:
            on_rest = each(
                lambda state, train, order: on_rows(state, train, order, n_samples - rest, rest),
                (0, 0, 0),
            )
            state = on_rest(state, train, order)
        return state

    return epoch_step
