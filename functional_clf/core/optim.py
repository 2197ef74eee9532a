"""Gradient methods as pure (init, update) pairs, in `torch.optim`'s arithmetic.

Each file position is the same: builder, state, init, update. The learning rate and the step count
are 0-d tensors inside the state: a Python number would be frozen into the compiled graph, and a
tensor may differ from replicate to replicate. A schedule sets the learning rate in the state before
each step, as torch's schedulers set that of a parameter group.

A study's folder knows these methods by the names of the functions below and by what they enclose:
what is asked for by an argument that is not at its default is put around the plain method, or made
by functions of its own, so that the plain ones stay what they were.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from functional_clf.core.schedules import Schedule
from functional_clf.core.types import Optimizer, OptState, Params
from functional_clf.support.arguments import real_number, short


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


def sgd(
    learning_rate: float | Schedule,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Stochastic gradient descent, `v <- momentum v + g`, `update = -learning_rate v`.

    With Nesterov's momentum, `update = -learning_rate (g + momentum v)`.

    Args:
        learning_rate: step size, above 0; or a schedule of it, as `cosine(0.1, steps=1000)`.
        momentum: share of the velocity kept from step to step, in [0, 1).
        nesterov: whether to look ahead along the velocity, which needs momentum.
        weight_decay: L2 penalty: this share of the params is added to their gradients, at least 0.

    Returns:
        `Optimizer(init, update)`, equal to `torch.optim.SGD` of the same arguments.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when an argument is outside its range, or nesterov is asked without momentum.

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
    if callable(learning_rate):
        return _scheduled(lambda rate: sgd(rate, momentum, nesterov, weight_decay), learning_rate)
    _check_learning_rate(learning_rate)
    _check_decay("momentum", momentum)
    if _flag("nesterov", nesterov) and not momentum:
        raise ValueError(f"nesterov is {nesterov} and momentum {momentum}; it needs some above 0")
    if _is_some_weight_decay(weight_decay):
        return _with_l2(sgd(learning_rate, momentum, nesterov), weight_decay)

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

    def nesterov_update(grads: Params, state: SGDState, params: Params) -> tuple[Params, SGDState]:
        del params
        velocity = {key: momentum * state.velocity[key] + grad for key, grad in grads.items()}
        updates = {
            key: -state.learning_rate * (grad + momentum * velocity[key])
            for key, grad in grads.items()
        }
        return updates, state._replace(velocity=velocity)

    return Optimizer(init, nesterov_update if nesterov else update)


class AdamState(NamedTuple):
    """The learning rate, the steps taken, and the running moments of each param's gradient."""

    learning_rate: Tensor
    count: Tensor  # pyright: ignore[reportIncompatibleMethodOverride] - the field's own name
    mu: Params
    nu: Params


def adam(
    learning_rate: float | Schedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Adam: steps along the running mean gradient, scaled by its running root mean square.

    `mu <- b1 mu + (1 - b1) g`, `nu <- b2 nu + (1 - b2) g^2`,
    `update = -learning_rate (mu / (1 - b1^t)) / (sqrt(nu / (1 - b2^t)) + eps)`.

    Args:
        learning_rate: step size, above 0; or a schedule of it, as `cosine(0.01, steps=1000)`.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added to the denominator, at least 0.
        weight_decay: L2 penalty: this share of the params is added to their gradients, at least 0.
            `adamw` shrinks the params themselves.

    Returns:
        `Optimizer(init, update)`, equal to `torch.optim.Adam(lr, (b1, b2), eps, weight_decay)`.

    Raises:
        TypeError: when an argument is of the wrong type.
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
    if callable(learning_rate):
        return _scheduled(lambda rate: adam(rate, b1, b2, eps, weight_decay), learning_rate)
    _check_learning_rate(learning_rate)
    _check_decay("b1", b1)
    _check_decay("b2", b2)
    _check_eps(eps)
    if _is_some_weight_decay(weight_decay):
        return _with_l2(adam(learning_rate, b1, b2, eps), weight_decay)

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


def adamw(
    learning_rate: float | Schedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> Optimizer:
    """Adam with decoupled weight decay: `update = adam's - learning_rate weight_decay params`.

    Args:
        learning_rate: step size, above 0; or a schedule of it, as `cosine(0.01, steps=1000)`.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added to the denominator, at least 0.
        weight_decay: the params, all of them, shrink by `learning_rate weight_decay` a step; at
            least 0.

    Returns:
        `Optimizer(init, update)`, equal to `torch.optim.AdamW(lr, (b1, b2), eps, weight_decay)`.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when an argument is outside its range.

    Reference:
        Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2, in the
        variant of `torch.optim.AdamW` (the learning rate multiplies the decay).

    Example:
        >>> params, grads = {"w": torch.ones(1)}, {"w": torch.tensor([2.0])}
        >>> optimizer = adamw(learning_rate=0.1, weight_decay=0.5)
        >>> updates, state = optimizer.update(grads, optimizer.init(params), params)
        >>> apply_updates(params, updates)
        {'w': tensor([0.8500])}
    """
    if callable(learning_rate):
        return _scheduled(lambda rate: adamw(rate, b1, b2, eps, weight_decay), learning_rate)
    method = adam(learning_rate, b1, b2, eps)
    if not _is_some_weight_decay(weight_decay):
        return method

    def update(grads: Params, state: AdamState, params: Params) -> tuple[Params, AdamState]:
        updates, after = method.update(grads, state, params)
        share = state.learning_rate * weight_decay
        return {key: one - share * params[key] for key, one in updates.items()}, after

    return Optimizer(method.init, update)


class RMSpropState(NamedTuple):
    """The learning rate, the running moments of each param's gradient, and its velocity.

    mean and velocity are empty where the method needs none.
    """

    learning_rate: Tensor
    mean_square: Params
    mean: Params
    velocity: Params


def rmsprop(
    learning_rate: float | Schedule,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> Optimizer:
    """RMSprop: the gradient scaled by its running root mean square.

    `s <- alpha s + (1 - alpha) g^2`, `v <- momentum v + g / (sqrt(s) + eps)`,
    `update = -learning_rate v`; centered, with `sqrt(s - m^2)` in place of `sqrt(s)`, where
    `m <- alpha m + (1 - alpha) g`.

    Args:
        learning_rate: step size, above 0; or a schedule of it, as `cosine(0.01, steps=1000)`.
        alpha: decay of the moments, in [0, 1).
        eps: added to the denominator, at least 0.
        weight_decay: L2 penalty: this share of the params is added to their gradients, at least 0.
        momentum: share of the velocity kept from step to step, in [0, 1).
        centered: whether to scale by the standard deviation about the running mean.

    Returns:
        `Optimizer(init, update)`, equal to `torch.optim.RMSprop` of the same arguments; but where a
        rounding makes a variance negative it counts as 0, of which torch makes a NaN.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when an argument is outside its range.

    Reference:
        Tieleman and Hinton 2012, "Neural networks for machine learning", lecture 6.5; centered:
        Graves 2013, "Generating sequences with recurrent neural networks", equations 38 to 45.

    Example:
        >>> params, grads = {"w": torch.ones(1)}, {"w": torch.tensor([2.0])}
        >>> optimizer = rmsprop(learning_rate=0.01)
        >>> updates, state = optimizer.update(grads, optimizer.init(params), params)
        >>> apply_updates(params, updates)
        {'w': tensor([0.9000])}
    """
    if callable(learning_rate):
        return _scheduled(
            lambda rate: rmsprop(rate, alpha, eps, weight_decay, momentum, centered), learning_rate
        )
    _check_learning_rate(learning_rate)
    _check_decay("alpha", alpha)
    _check_eps(eps)
    _check_decay("momentum", momentum)
    _flag("centered", centered)
    if _is_some_weight_decay(weight_decay):
        method = rmsprop(learning_rate, alpha, eps, momentum=momentum, centered=centered)
        return _with_l2(method, weight_decay)

    def init(params: Params) -> RMSpropState:
        mean_square, mean, velocity = (
            {key: torch.zeros_like(param) for key, param in params.items()} if is_kept else {}
            for is_kept in (True, centered, momentum)
        )
        return RMSpropState(_scalar(learning_rate, params), mean_square, mean, velocity)

    def update(grads: Params, state: RMSpropState, params: Params) -> tuple[Params, RMSpropState]:
        del params
        rate, mean, velocity = state.learning_rate, state.mean, state.velocity
        mean_square = {
            key: alpha * state.mean_square[key] + (1 - alpha) * grad.square()
            for key, grad in grads.items()
        }
        variance = mean_square
        if centered:
            mean = {key: alpha * mean[key] + (1 - alpha) * grad for key, grad in grads.items()}
            variance = {key: (mean_square[key] - mean[key].square()).clamp(min=0) for key in grads}
        steps = {key: grad / (variance[key].sqrt() + eps) for key, grad in grads.items()}
        if momentum:
            steps = velocity = {key: momentum * velocity[key] + steps[key] for key in grads}
        updates = {key: -rate * step for key, step in steps.items()}
        return updates, RMSpropState(rate, mean_square, mean, velocity)

    return Optimizer(init, update)


class GradientTransformation(NamedTuple):
    """What changes gradients before a method takes them: a part of a `chain`, no method itself.

    The same two functions as an `Optimizer`, whose updates are gradients still: added to the params
    they would lead uphill.
    """

    init: Callable[[Params], OptState]
    update: Callable[[Params, OptState, Params], tuple[Params, OptState]]


def clip_by_global_norm(max_norm: float) -> GradientTransformation:
    """Gradients that are too long together are made shorter: `g min(1, max_norm / (norm + 1e-6))`.

    The norm is that of all the gradients in one vector. Where it is infinite, finite gradients
    become 0 and infinite ones NaN; where it is NaN, all of them become NaN.

    Args:
        max_norm: the largest norm that is let through, above 0.

    Returns:
        A part of a `chain`, before the method: the arithmetic of `torch.nn.utils.clip_grad_norm_`.

    Raises:
        TypeError: when max_norm is not a number.
        ValueError: when it is not above 0.

    Reference:
        Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", algorithm 1.

    Example:
        >>> optimizer = chain(clip_by_global_norm(1.0), sgd(0.1))
        >>> params, grads = {"w": torch.zeros(2)}, {"w": torch.tensor([300.0, 400.0])}
        >>> optimizer.update(grads, optimizer.init(params), params)[0]
        {'w': tensor([-0.0600, -0.0800])}
    """
    if not 0 < real_number("max_norm", max_norm) < math.inf:
        raise ValueError(f"max_norm is {max_norm}; it must be above 0 and finite")

    def init(params: Params) -> tuple[()]:
        del params
        return ()

    def update(grads: Params, state: tuple[()], params: Params) -> tuple[Params, tuple[()]]:
        del params
        squares = [grad.square().sum() for grad in grads.values()]
        norm = sum(squares[1:], start=squares[0]).sqrt()
        factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        return {key: grad * factor for key, grad in grads.items()}, state

    return GradientTransformation(init, update)


def chain(*parts: Optimizer | GradientTransformation) -> Optimizer:
    """Parts one after another: each one's updates are the next one's gradients.

    Args:
        parts: a method, and what changes the gradients that it is given. What stands behind the
            method changes its updates.

    Returns:
        `Optimizer(init, update)`, whose state is a tuple of theirs, as `optax.chain` has it.

    Raises:
        TypeError: when a part is neither a method nor a `GradientTransformation`.
        ValueError: when there is not one method among them: with none or two of them the updates
            lead uphill.

    Example:
        >>> optimizer = chain(clip_by_global_norm(1.0), adamw(1e-3))
        >>> params, grads = {"w": torch.ones(1)}, {"w": torch.tensor([20.0])}
        >>> updates, state = optimizer.update(grads, optimizer.init(params), params)
        >>> apply_updates(params, updates)
        {'w': tensor([0.9990])}
    """
    for part in parts:
        if not isinstance(part, Optimizer | GradientTransformation):
            raise TypeError(
                f"parts holds {short(part)}; a part of a chain must be an Optimizer, as "
                "adam(0.01), or a GradientTransformation, as clip_by_global_norm(1.0)"
            )
    if (n_methods := sum(isinstance(part, Optimizer) for part in parts)) != 1:
        raise ValueError(
            f"parts holds {n_methods} optimizers; a chain must have one, as in "
            "chain(clip_by_global_norm(1.0), adam(0.01))"
        )

    def init(params: Params) -> tuple[OptState, ...]:
        return tuple(part.init(params) for part in parts)

    def update(
        grads: Params, state: tuple[OptState, ...], params: Params
    ) -> tuple[Params, tuple[OptState, ...]]:
        states: list[OptState] = []
        for part, own in zip(parts, state, strict=True):
            grads, own = part.update(grads, own, params)
            states.append(own)
        return grads, tuple(states)

    return Optimizer(init, update)


class ScheduledState(NamedTuple):
    """The steps taken, and the method's own state, in which is the last step's learning rate."""

    count: Tensor  # pyright: ignore[reportIncompatibleMethodOverride] - the field's own name
    method: Any


def _scheduled(make: Callable[[float], Optimizer], schedule: Schedule) -> Optimizer:
    """A method whose learning rate a schedule sets before each step."""
    method = make(1.0)  # which is never the rate of a step

    def init(params: Params) -> ScheduledState:
        param = next(iter(params.values()))
        count = torch.zeros((), dtype=torch.int64, device=param.device)
        rate = _scheduled_rate(schedule, count, param)
        return ScheduledState(count, method.init(params)._replace(learning_rate=rate))

    def update(
        grads: Params, state: ScheduledState, params: Params
    ) -> tuple[Params, ScheduledState]:
        rate = _scheduled_rate(schedule, state.count, next(iter(params.values())))
        own = state.method._replace(learning_rate=rate)
        updates, own = method.update(grads, own, params)
        return updates, ScheduledState(state.count + 1, own)

    return Optimizer(init, update)


def _scheduled_rate(schedule: Schedule, count: Tensor, like: Tensor) -> Tensor:
    """A schedule's answer in the type of a param, in which all of a method computes."""
    rate = schedule(count.to(like.dtype))
    if not isinstance(rate, Tensor) or rate.shape != count.shape:
        found = (
            f"a tensor of shape {tuple(rate.shape)}" if isinstance(rate, Tensor) else short(rate)
        )
        raise TypeError(
            f"learning_rate is a schedule that returned {found}; it must return a 0-d tensor that "
            "it computes from the step, as in lambda step: 0.1 / (1 + step)"
        )
    return rate.to(like.dtype)


def _with_l2(method: Optimizer, weight_decay: float) -> Optimizer:
    """A method on the loss with an L2 penalty, `weight_decay / 2` times the params' square."""

    def update(grads: Params, state: OptState, params: Params) -> tuple[Params, OptState]:
        grads = {key: grad + weight_decay * params[key] for key, grad in grads.items()}
        return method.update(grads, state, params)

    return Optimizer(method.init, update)


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


def _check_eps(eps: float) -> None:
    if not real_number("eps", eps) >= 0:
        raise ValueError(f"eps is {eps}; it must be at least 0")


def _is_some_weight_decay(weight_decay: float) -> bool:
    if not 0 <= real_number("weight_decay", weight_decay) < math.inf:
        raise ValueError(f"weight_decay is {weight_decay}; it must be at least 0 and finite")
    return weight_decay > 0


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {short(value)}; it must be True or False")
    return value


def _check_decay(name: str, value: float) -> None:
    if not 0 <= real_number(name, value) < 1:
        raise ValueError(f"{name} is {value}; it must be at least 0 and below 1")
