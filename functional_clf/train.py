"""Training of ONE replicate, as pure functions: the specification of everything that runs.

No seed axis anywhere. `functional_clf.ensemble` puts `torch.func.vmap` around the steps made here.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from functional_clf.losses import bce_with_logits, count_correct
from functional_clf.optim import apply_updates
from functional_clf.types import Batch, Curves, Metrics, Model, Optimizer, Params, TrainState

TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
EvalStep = Callable[[Params, Batch], Metrics]
Evaluate = Callable[[Sequence[Params], Batch], Metrics]

CURVE_RECORDS = 32
"""A learning curve has about this many points, whatever the number of epochs."""

SNAPSHOTS = 4
"""Weights held back for the learning curve before they are evaluated together."""


def init_state(model: Model, optimizer: Optimizer, seed: int) -> TrainState:
    """Initial weights drawn from `seed`, and the optimizer's state for them.

    Args:
        model: what to initialise.
        optimizer: whose state to prepare.
        seed: seeds a generator of its own; the global one is not touched.

    Returns:
        The state before the first step, on the CPU.

    Example:
        >>> from functional_clf.models import mlp
        >>> from functional_clf.optim import sgd
        >>> state = init_state(mlp((2, 1)), sgd(0.1), seed=0)
        >>> state.params["0.weight"].shape
        torch.Size([1, 2])
    """
    params = model.init(torch.Generator().manual_seed(seed))
    return TrainState(params, optimizer.init(params))


def make_train_step(model: Model, optimizer: Optimizer) -> TrainStep:
    """The full-batch training step: forward, loss, backward, update.

    Args:
        model: the classifier.
        optimizer: the gradient method.

    Returns:
        `train_step(state, batch) -> (state, metrics)`; the metrics are those of the state that
        went in, which the forward pass yields for nothing.

    Example:
        >>> from functional_clf.models import mlp
        >>> from functional_clf.optim import sgd
        >>> model, optimizer = mlp((1, 1)), sgd(0.1)
        >>> batch = Batch(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0]))
        >>> step = make_train_step(model, optimizer)
        >>> state, before = step(init_state(model, optimizer, seed=0), batch)
        >>> state, after = step(state, batch)
        >>> bool(after.loss < before.loss)
        True
    """

    def objective(params: Params, batch: Batch) -> tuple[Tensor, Metrics]:
        metrics = _metrics(model, params, batch)
        return metrics.loss, metrics

    gradient = torch.func.grad(objective, has_aux=True)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        grads, metrics = gradient(state.params, batch)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        return TrainState(apply_updates(state.params, updates), opt_state), metrics

    return train_step


def make_eval_step(model: Model) -> EvalStep:
    """The evaluation step: the forward pass and its metrics.

    Args:
        model: the classifier.

    Returns:
        `eval_step(params, batch) -> metrics`.

    Example:
        >>> from functional_clf.models import mlp
        >>> batch = Batch(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0]))
        >>> params = {"0.weight": torch.ones(1, 1), "0.bias": torch.zeros(1)}
        >>> make_eval_step(mlp((1, 1)))(params, batch)
        Metrics(loss=tensor(0.3133), correct=tensor(2))
    """

    def eval_step(params: Params, batch: Batch) -> Metrics:
        return _metrics(model, params, batch)

    return eval_step


def one_by_one(eval_step: EvalStep) -> Evaluate:
    """The plain way to evaluate snapshots of the weights: one after the other.

    Args:
        eval_step: from `make_eval_step`.

    Returns:
        `evaluate(snapshots, batch) -> metrics` with a leading `record` axis.
    """

    def evaluate(snapshots: Sequence[Params], batch: Batch) -> Metrics:
        records = [eval_step(params, batch) for params in snapshots]
        return Metrics(*(torch.stack(values) for values in zip(*records, strict=True)))

    return evaluate


def curve_epochs(epochs: int) -> tuple[int, ...]:
    """The numbers of finished epochs at which a learning curve is read: 0, evenly on, and the last.

    Example:
        >>> curve_epochs(3)
        (0, 1, 2, 3)
        >>> curve_epochs(1000)[:4], len(curve_epochs(1000))
        ((0, 32, 64, 96), 33)
    """
    interval = -(-epochs // CURVE_RECORDS)
    return (*range(0, epochs, interval), epochs)


def fit(
    train_step: TrainStep,
    evaluate: Evaluate,
    state: TrainState,
    train: Batch,
    test: Batch,
    epochs: int,
    after_step: Callable[[], None] = lambda: None,
) -> tuple[TrainState, Curves]:
    """The training loop: `epochs` full-batch steps, with a learning curve read along the way.

    Nothing in it waits for the device. The loss and accuracy on the training data come with the
    steps; for the test data, weights are held back (nothing changes them in place) and evaluated a
    few at a time. The curve's last point is the result of the training.

    Args:
        train_step: from `make_train_step`, or the same under vmap.
        evaluate: metrics of snapshots of the weights, as from `one_by_one`.
        state: where to start.
        train: samples to learn from.
        test: samples only looked at.
        epochs: steps to take, at least 1.
        after_step: called after each step; what it raises ends the training.

    Returns:
        The final state, and the curves with a leading `record` axis.

    Example:
        >>> from functional_clf.models import mlp
        >>> from functional_clf.optim import sgd
        >>> model, optimizer = mlp((1, 1)), sgd(1.0)
        >>> batch = Batch(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0]))
        >>> state, curves = fit(
        ...     make_train_step(model, optimizer), one_by_one(make_eval_step(model)),
        ...     init_state(model, optimizer, seed=0), batch, batch, epochs=20,
        ... )
        >>> int(curves.train.correct[-1]), len(curves.epochs)
        (2, 21)
    """
    record_at = curve_epochs(epochs)
    train_records: list[Metrics] = []
    test_records: list[Metrics] = []
    snapshots: list[Params] = []
    with torch.no_grad():
        for epoch in range(epochs):
            next_state, metrics = train_step(state, train)
            if epoch == record_at[len(train_records)]:
                train_records.append(Metrics(metrics.loss[None], metrics.correct[None]))
                snapshots.append(state.params)
            if len(snapshots) == SNAPSHOTS:
                test_records.append(evaluate(snapshots, test))
                snapshots = []
            state = next_state
            after_step()
        train_records.append(evaluate([state.params], train))
        test_records.append(evaluate([*snapshots, state.params], test))
    return state, Curves(record_at, _concatenate(train_records), _concatenate(test_records))


def _metrics(model: Model, params: Params, batch: Batch) -> Metrics:
    logits = model.apply(params, batch.x)
    return Metrics(bce_with_logits(logits, batch.y), count_correct(logits, batch.y))


def _concatenate(records: Sequence[Metrics]) -> Metrics:
    return Metrics(*(torch.cat(values) for values in zip(*records, strict=True)))
