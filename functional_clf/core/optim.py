"""Gradient methods as pure (init, update) pairs, in `torch.optim`'s arithmetic.

Each file position is the same: builder, state, init, update. The learning rate and the step count
are 0-d tensors inside the state: a Python number would be frozen into the compiled graph, and a
tensor may differ from replicate to replicate.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from functional_clf.core.types import Optimizer, Params
from functional_clf.support.arguments import real_number


def apply_updates(params: Params, updates: Params) -> Params:
    """New params, `params + updates`, key by key.

    Raises:
        ValueError: when the updates have other keys.

    Example:
        >>> apply_updates({"w": torch.ones(2)}, {"w": torch.full((2,), -0.5)})
        {'w': tensor([0.5000, 0.5000])}
    """
    if updates.keys() != params.keys():
        raise ValueError(
            f"the updates have the keys {sorted(updates)}; the params have {sorted(params)}"
        )
    return {key: param + updates[key] for key, param in params.items()}


class SGDState(NamedTuple):
    """The learning rate, and the velocity of each param (empty without momentum)."""

    learning_rate: Tensor
    velocity: Params


def sgd(learning_rate: float, momentum: float = 0.0) -> Optimizer:
    """Stochastic gradient descent, `v <- momentum v + g`, `update = -learning_rate v`.

    Args:
        learning_rate: step size, above 0.
        momentum: share of the velocity kept from step to step, in [0, 1).

    Returns:
        `Optimizer(init, update)`, equal to `torch.optim.SGD(lr, momentum)`.

    Raises:
        ValueError: when an argument is outside its range.

    Reference:
        Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning",
        section 2, in the variant of `torch.optim.SGD` (the learning rate multiplies the velocity).

    Example:
        >>> params, grads = {"w": torch.ones(1)}, {"w": torch.tensor([2.0])}
        >>> optimizer = sgd(learning_rate=0.1)
        >>> updates, state = optimizer.update(grads, optimizer.init(params), params)
        >>> apply_updates(params, updates)
        {'w': tensor([0.8000])}
    """
    _check_learning_rate(learning_rate)
    _check_decay("momentum", momentum)

    def init(params: Params) -> SGDState:
        velocity = {key: torch.zeros_like(param) for key, param in params.items()}
        return SGDState(_scalar(learning_rate, params), velocity if momentum else {})

    def update(grads: Params, state: SGDState, params: Params) -> tuple[Params, SGDState]:
        del params
        if not momentum:
            return {key: -state.learning_rate * grad for key, grad in grads.items()}, state
        velocity = {key: momentum * state.velocity[key] + grad for key, grad in grads.items()}
        updates = {key: -state.learning_rate * v for key, v in velocity.items()}
        return updates, state._replace(velocity=velocity)

    return Optimizer(init, update)


class AdamState(NamedTuple):
    """The learning rate, the steps taken, and the running moments of each param's gradient."""

    learning_rate: Tensor
    count: Tensor  # pyright: ignore[reportIncompatibleMethodOverride] - the field's own name
    mu: Params
    nu: Params


def adam(learning_rate: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam: steps along the running mean gradient, scaled by its running root mean square.

    `mu <- b1 mu + (1 - b1) g`, `nu <- b2 nu + (1 - b2) g^2`,
    `update = -learning_rate (mu / (1 - b1^t)) / (sqrt(nu / (1 - b2^t)) + eps)`.

    Args:
        learning_rate: step size, above 0.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added to the denominator, at least 0.

    Returns:
        `Optimizer(init, update)`, equal to `torch.optim.Adam(lr, (b1, b2), eps)`.

    Raises:
        ValueError: when an argument is outside its range.

    Reference:
        Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.

    Example:
        >>> params, grads = {"w": torch.ones(1)}, {"w": torch.tensor([2.0])}
        >>> optimizer = adam(learning_rate=0.1)
        >>> updates, state = optimizer.update(grads, optimizer.init(params), params)
        >>> apply_updates(params, updates)
        {'w': tensor([0.9000])}
    """
    _check_learning_rate(learning_rate)
    _check_decay("b1", b1)
    _check_decay("b2", b2)
    if not real_number("eps", eps) >= 0:
        raise ValueError(f"eps is {eps}; it must be at least 0")

    def init(params: Params) -> AdamState:
        count = torch.zeros((), dtype=torch.int64, device=next(iter(params.values())).device)
        mu = {key: torch.zeros_like(param) for key, param in params.items()}
        nu = {key: torch.zeros_like(param) for key, param in params.items()}
        return AdamState(_scalar(learning_rate, params), count, mu, nu)

    def update(grads: Params, state: AdamState, params: Params) -> tuple[Params, AdamState]:
        del params
        count = state.count + 1
        step_size = state.learning_rate / _bias_correction(b1, count, state.learning_rate)
        nu_scale = _bias_correction(b2, count, state.learning_rate).rsqrt()
        mu = {key: b1 * state.mu[key] + (1 - b1) * grad for key, grad in grads.items()}
        nu = {key: b2 * state.nu[key] + (1 - b2) * grad.square() for key, grad in grads.items()}
        updates = {key: -step_size * mu[key] / (nu[key].sqrt() * nu_scale + eps) for key in grads}
        return updates, AdamState(state.learning_rate, count, mu, nu)

    return Optimizer(init, update)


def _bias_correction(decay: float, count: Tensor, like: Tensor) -> Tensor:
    """`1 - decay^count`; through expm1, since in float32 the difference loses half its digits."""
    if decay == 0:
        return torch.ones_like(like)
    return -torch.expm1(count.to(like.dtype) * math.log(decay))


def _scalar(value: float, params: Params) -> Tensor:
    """A 0-d tensor of the params' dtype, on their device."""
    param = next(iter(params.values()))
    return torch.tensor(value, dtype=param.dtype, device=param.device)


def _check_learning_rate(learning_rate: float) -> None:
    if not 0 < real_number("learning_rate", learning_rate) < math.inf:
        raise ValueError(f"learning_rate is {learning_rate}; it must be above 0 and finite")


def _check_decay(name: str, value: float) -> None:
    if not 0 <= real_number(name, value) < 1:
        raise ValueError(f"{name} is {value}; it must be at least 0 and below 1")
