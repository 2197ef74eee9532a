"""Training of ONE replicate, as pure functions: the specification of everything that runs.

No seed axis anywhere. `functional_clf.engines` puts `torch.func.vmap` around the steps made here.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.core import random
from functional_clf.core.optim import apply_updates
from functional_clf.core.tasks import Binary, Task
from functional_clf.core.types import (
    Batch,
    CurvePoint,
    Curves,
    Metrics,
    Model,
    Optimizer,
    Params,
    StatefulModel,
    TrainState,
)
from functional_clf.core.user_code import ONE_AT_A_TIME

TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
EvalStep = Callable[[Params, Batch], Metrics]
Tree = TypeVar("Tree")
Advance = Callable[[TrainState, Batch, Batch, int], tuple[CurvePoint, TrainState]]

BINARY = Binary()

CURVE_POINTS = 20
"""A learning curve has about this many points, whatever the number of epochs."""

STRIDE = 256
"""Steps taken at once, at most: after them the training can be stopped."""

ORDER, NOISE, VALIDATION = range(3)
"""What a replicate's key is used for: each draws from a key of its own, this number folded in."""


def init_state(
    model: Model | StatefulModel, optimizer: Optimizer, seed: int, is_keyed: bool = False
) -> TrainState:
    """Initial weights drawn from `seed`, and the optimizer's state for them.

    Args:
        model: what to initialise.
        optimizer: whose state to prepare.
        seed: seeds a generator of its own; the global one is not touched.
        is_keyed: whether training draws numbers of its own, as for the order of batches; that of a
            `StatefulModel` always may.

    Returns:
        The state before the first step, on the CPU.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> state = init_state(mlp((2, 1)), sgd(0.1), seed=0)
        >>> state.params["0.weight"].shape
        torch.Size([1, 2])
    """
    with ONE_AT_A_TIME:  # init may seed a generator that another thread draws from
        generator = torch.Generator().manual_seed(seed)
        if isinstance(model, StatefulModel):
            params, buffers = model.init(generator)
        else:
            params, buffers = model.init(generator), {}
        state = TrainState(params, optimizer.init(params), buffers)
    if is_keyed or isinstance(model, StatefulModel):
        state = state._replace(key=random.key(seed), step=torch.zeros((), dtype=torch.int64))
    return state


def make_train_step(
    model: Model | StatefulModel, optimizer: Optimizer, task: Task = BINARY
) -> TrainStep:
    """The training step on a batch: forward, loss, backward, update.

    Args:
        model: the classifier.
        optimizer: the gradient method.
        task: whose loss and score.

    Returns:
        `train_step(state, batch) -> (state, metrics)`; the metrics are those of the state that
        went in, which the forward pass yields for nothing.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> model, optimizer = mlp((1, 1)), sgd(0.1)
        >>> batch = Batch(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0]))
        >>> step = make_train_step(model, optimizer)
        >>> state, before = step(init_state(model, optimizer, seed=0), batch)
        >>> state, after = step(state, batch)
        >>> bool(after.loss < before.loss)
        True
    """

    def objective(
        params: Params, state: TrainState, batch: Batch
    ) -> tuple[Tensor, tuple[Metrics, Params]]:
        logits, buffers = _train_logits(model, params, state, batch)
        metrics = _metrics(task, logits, batch)
        return metrics.loss, (metrics, buffers)

    gradient = torch.func.grad(objective, has_aux=True)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        grads, (metrics, buffers) = gradient(state.params, state, batch)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        after = state._replace(
            params=apply_updates(state.params, updates),
            opt_state=_in_order_of(state.opt_state, opt_state),
            buffers=buffers,
        )
        if isinstance(state.step, Tensor):
            after = after._replace(step=state.step + 1)
        return after, metrics

    return train_step


def make_eval_step(model: Model | StatefulModel, task: Task = BINARY) -> EvalStep:
    """The evaluation step: the forward pass and its metrics.

    Args:
        model: the classifier.
        task: whose loss and score.

    Returns:
        `eval_step(weights, batch) -> metrics`; weights are the params, and the buffers where there
        are any.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> batch = Batch(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0]))
        >>> params = {"0.weight": torch.ones(1, 1), "0.bias": torch.zeros(1)}
        >>> make_eval_step(mlp((1, 1)))(params, batch)
        Metrics(loss=tensor(0.3133), correct=tensor(2))
    """

    def eval_step(params: Params, batch: Batch) -> Metrics:
        return _metrics(task, model.apply(params, batch.x), batch)

    return eval_step


def needed(part: Tensor | tuple[()]) -> Tensor:
    """The key or the step of a state, for a training that needs it.

    Raises:
        ValueError: when the state has none.

    Example:
        >>> needed(torch.tensor(3))
        tensor(3)
    """
    if not isinstance(part, Tensor):
        raise ValueError("the state has no key and step; begin with init_state(..., is_keyed=True)")
    return part


def evaluated(state: TrainState) -> Params:
    """The weights that a state is evaluated by, and that are kept of it: params and buffers.

    With early stopping those of the best epoch yet.

    Example:
        >>> evaluated(TrainState({"w": torch.ones(1)}, ()))
        {'w': tensor([1.])}
    """
    if state.stopping:
        return state.stopping.best
    return {**state.params, **state.buffers} if state.buffers else state.params


def stepwise(
    train_step: Callable[[TrainState, Batch], tuple[TrainState, Any]], eval_step: EvalStep
) -> Advance:
    """Evaluate, then take steps one by one: the plain way to advance.

    Args:
        train_step: from `make_train_step`.
        eval_step: from `make_eval_step`.

    Returns:
        `advance(state, train, test, steps) -> (point, state)`: the metrics of the state that goes
        in, and the state after `steps` (0 or more) training steps.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> model, optimizer = mlp((1, 1)), sgd(0.1)
        >>> batch = Batch(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0]))
        >>> advance = stepwise(make_train_step(model, optimizer), make_eval_step(model))
        >>> before, state = advance(init_state(model, optimizer, seed=0), batch, batch, 9)
        >>> after, _ = advance(state, batch, batch, 0)
        >>> bool(after.test.loss < before.test.loss)
        True
    """

    def advance(
        state: TrainState, train: Batch, test: Batch, steps: int
    ) -> tuple[CurvePoint, TrainState]:
        weights = evaluated(state)
        point = CurvePoint(eval_step(weights, train), eval_step(weights, test))
        for _ in range(steps):
            state, _ = train_step(state, train)
        return point, state

    return advance


def curve_epochs(epochs: int) -> tuple[int, ...]:
    """The numbers of finished epochs at which a learning curve is read: 0, evenly on, and the last.

    Example:
        >>> curve_epochs(3)
        (0, 1, 2, 3)
        >>> curve_epochs(1000)[:4], len(curve_epochs(1000))
        ((0, 50, 100, 150), 21)
    """
    interval = -(-epochs // CURVE_POINTS)
    return (*range(0, epochs, interval), epochs)


class Span(NamedTuple):
    """Some steps of a training that are taken at once.

    steps: how many it takes; 0 at the end of the training.
    is_read: whether the learning curve has a point before it.
    """

    steps: int
    is_read: bool


def spans(epochs: int) -> Iterator[Span]:
    """A training in spans of at most `STRIDE` steps, which begin where the curve is read.

    Made when looked at, as epochs may be more than memory could hold.

    Example:
        >>> list(spans(1))
        [Span(steps=1, is_read=True), Span(steps=0, is_read=True)]
        >>> [span.steps for span in spans(6000)][:3]
        [256, 44, 256]
    """
    for start, end in pairwise((*curve_epochs(epochs), epochs)):
        yield Span(min(STRIDE, end - start), is_read=True)
        for at in range(start + STRIDE, end, STRIDE):
            yield Span(min(STRIDE, end - at), is_read=False)


def fit(
    advance: Advance,
    state: TrainState,
    train: Batch,
    test: Batch,
    epochs: int,
    after_steps: Callable[[int], None] = lambda steps: None,
) -> tuple[TrainState, Curves]:
    """The training loop: `epochs` full-batch steps, with a learning curve read along the way.

    Nothing in it waits for the device. The curve's last point is the result of the training.

    Args:
        advance: takes steps, as from `stepwise`, or the same for many replicates.
        state: where to start.
        train: samples to learn from.
        test: samples only looked at.
        epochs: steps to take, at least 1.
        after_steps: called with a number of steps just taken; what it raises ends the training.

    Returns:
        The final state, and the curves with a leading `point` axis.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> model, optimizer = mlp((1, 1)), sgd(1.0)
        >>> batch = Batch(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0]))
        >>> state, curves = fit(
        ...     stepwise(make_train_step(model, optimizer), make_eval_step(model)),
        ...     init_state(model, optimizer, seed=0), batch, batch, epochs=20,
        ... )
        >>> int(curves.train.correct[-1]), len(curves.epochs)
        (2, 21)
    """
    points: list[CurvePoint] = []
    with torch.no_grad():
        for span in spans(epochs):
            point, state = advance(state, train, test, span.steps)
            if span.is_read:
                points.append(point)
            after_steps(span.steps)
    return state, Curves(
        curve_epochs(epochs), *(_stack(metrics) for metrics in zip(*points, strict=True))
    )


def stack(trees: Sequence[Tree]) -> Tree:
    """Trees of tensors of the same form, stacked leaf by leaf along a new first axis.

    Example:
        >>> stack([{"w": torch.zeros(2)}, {"w": torch.ones(2)}])["w"].shape
        torch.Size([2, 2])
    """
    return pytree.tree_map(lambda *leaves: torch.stack(leaves), *trees)


def _in_order_of(before: Tree, after: Any) -> Tree:
    """The state after a step, the keys of its dicts in the order that they had before.

    Engines hold a state as a list of leaves: in another order they would be taken for each other.
    """
    leaves, form = pytree.tree_flatten(before)
    try:
        ordered = form.flatten_up_to(after)
    except ValueError:
        ordered = []
    if len(ordered) != len(leaves) or not all(isinstance(leaf, Tensor) for leaf in ordered):
        raise ValueError(
            "optimizer.update returned a state of another form than it was given: the same keys "
            "and tensors are needed"
        )
    return pytree.tree_unflatten(ordered, form)


def _train_logits(
    model: Model | StatefulModel, params: Params, state: TrainState, batch: Batch
) -> tuple[Tensor, Params]:
    """The logits of a training step, and the buffers after it."""
    if isinstance(model, StatefulModel):
        key = random.fold_in(random.fold_in(needed(state.key), NOISE), needed(state.step))
        return model.train_apply(params, state.buffers, batch.x, key)
    return model.apply(params, batch.x), state.buffers


def _metrics(task: Task, logits: Tensor, batch: Batch) -> Metrics:
    return Metrics(task.loss(logits, batch.y), task.count_correct(logits, batch.y))


def _stack(points: Sequence[Metrics]) -> Metrics:
    return Metrics(*(torch.stack(values) for values in zip(*points, strict=True)))
