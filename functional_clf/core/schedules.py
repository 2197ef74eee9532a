"""Learning rates that change from step to step, as pure functions of the step.

A schedule is called with the number of steps taken so far, 0 for the first one: a 0-d tensor, which
methods give it in the params' floating type (whole numbers up to 16 million are exact in float32).
It answers with a 0-d tensor of that type. Of a tensor of integers these here make one of torch's
default type. The numbers that a schedule is made with are constants of the graph.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from functional_clf.support.arguments import real_number, short, whole_number

Schedule = Callable[[Tensor], Tensor]
"""From the number of steps taken so far to the learning rate of the next one."""


def constant(value: float) -> Schedule:
    """The same learning rate at every step; a number as the learning rate does the same.

    Args:
        value: the learning rate, above 0.

    Raises:
        ValueError: when an argument is outside its range.

    Example:
        >>> constant(0.5)(torch.tensor(7.0))
        tensor(0.5000)
    """
    value = _rate("value", value)

    def schedule(step: Tensor) -> Tensor:
        return torch.full_like(_floating(step), value)

    return schedule


def cosine(peak: float, steps: int, floor: float = 0.0) -> Schedule:
    """Half a cosine from `peak` down to `floor`, which is held from then on.

    `floor + (peak - floor) (1 + cos(pi t / steps)) / 2` of step t up to `steps`: without restarts.

    Args:
        peak: learning rate of the first step, above 0.
        steps: after how many of them `floor` is reached, at least 1: those of the whole training.
        floor: the last learning rate, from 0 to `peak`.

    Returns:
        The schedule of `torch.optim.lr_scheduler.CosineAnnealingLR(T_max=steps, eta_min=floor)`,
        which rises again after `steps`: this one does not.

    Raises:
        TypeError: when steps is not a whole number.
        ValueError: when an argument is outside its range.

    Reference:
        Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", eq. 5.

    Example:
        >>> rate = cosine(peak=0.5, steps=100)
        >>> [round(rate(torch.tensor(float(step))).item(), 3) for step in (0, 50, 100, 200)]
        [0.5, 0.25, 0.0, 0.0]
    """
    peak, steps = _rate("peak", peak), whole_number("steps", steps, 1)
    if not 0 <= (floor := real_number("floor", floor)) <= peak:
        raise ValueError(f"floor is {floor}; it must be at least 0 and at most the peak, {peak}")

    def schedule(step: Tensor) -> Tensor:
        left = steps - _floating(step).clamp(max=steps)
        return floor + (peak - floor) * _rise(left / steps)

    return schedule


def linear_warmup(
    schedule_or_value: Schedule | float, steps: int, start_factor: float = 0.0
) -> Schedule:
    """A straight climb to a schedule's first learning rate, and then this schedule from its start.

    Of step t below `steps`: `(start_factor + (1 - start_factor) t / steps) schedule(0)`; then
    `schedule(t - steps)`. So a schedule that shall end with the training is made for its steps
    without those of the climb.

    Args:
        schedule_or_value: what follows: a schedule, or a learning rate that stays as it is.
        steps: of the climb, at least 1.
        start_factor: share of the first learning rate that the climb begins with, in [0, 1]. With 0
            the first step moves nothing.

    Returns:
        The schedule of `torch.optim.lr_scheduler.SequentialLR` of a `LinearLR(start_factor,
        total_iters=steps)` and what follows, with `steps` as the milestone. `LinearLR` has other
        defaults: a third to begin with, and 5 steps.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when an argument is outside its range.

    Reference:
        Goyal et al. 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour", sec. 2.2.

    Example:
        >>> rate = linear_warmup(cosine(peak=0.5, steps=90), steps=10)
        >>> [round(rate(torch.tensor(float(step))).item(), 3) for step in (0, 5, 10, 55, 100)]
        [0.0, 0.25, 0.5, 0.25, 0.0]
    """
    if callable(schedule_or_value):
        following: Schedule = schedule_or_value
    else:
        following = constant(_rate("schedule_or_value", schedule_or_value))
    steps = whole_number("steps", steps, 1)
    if not 0 <= (start_factor := real_number("start_factor", start_factor)) <= 1:
        raise ValueError(f"start_factor is {start_factor}; it must be at least 0 and at most 1")

    def schedule(step: Tensor) -> Tensor:
        step = _floating(step)
        left = (steps - step).clamp(min=0)  # so that the factor is exactly 1 at the end
        factor = 1 - (1 - start_factor) * (left / steps)
        return factor * following((step - steps).clamp(min=0))

    return schedule


def step_decay(value: float, every: int, factor: float) -> Schedule:
    """A learning rate that is multiplied by a factor now and then: `value factor^floor(t / every)`.

    Args:
        value: learning rate of the first step, above 0.
        every: after how many steps it is multiplied, at least 1.
        factor: by what, above 0 and at most 1.

    Returns:
        The schedule of `torch.optim.lr_scheduler.StepLR(step_size=every, gamma=factor)`.

    Raises:
        TypeError: when every is not a whole number.
        ValueError: when an argument is outside its range.

    Example:
        >>> rate = step_decay(0.5, every=10, factor=0.1)
        >>> [round(rate(torch.tensor(float(step))).item(), 4) for step in (0, 9, 10, 20)]
        [0.5, 0.5, 0.05, 0.005]
    """
    value, every = _rate("value", value), whole_number("every", every, 1)
    if not 0 < (factor := real_number("factor", factor)) <= 1:
        raise ValueError(f"factor is {factor}; it must be above 0 and at most 1")

    def schedule(step: Tensor) -> Tensor:
        # The half keeps a quotient that is rounded away from the whole numbers.
        times = torch.floor((_floating(step) + 0.5) / every)
        return value * torch.pow(factor, times)

    return schedule


def one_cycle(
    peak: float,
    steps: int,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Half a cosine up from `peak / div_factor` to `peak`, and one down to almost nothing.

    The learning rates only: momentum stays what the method has, which `OneCycleLR` moves the other
    way unless told `cycle_momentum=False`.

    Args:
        peak: the largest learning rate, above 0.
        steps: of the whole training, at least 1; the last learning rate is held from then on.
        pct_start: share of the steps that it rises for, at least 0 and below 1.
        div_factor: `peak / div_factor` is the first learning rate; at least 1.
        final_div_factor: the first one divided by this is the last one; at least 1.

    Returns:
        The schedule of `torch.optim.lr_scheduler.OneCycleLR(max_lr=peak, total_steps=steps)`.

    Raises:
        TypeError: when steps is not a whole number.
        ValueError: when an argument is outside its range.

    Reference:
        Smith and Topin 2018, "Super-convergence: very fast training of neural networks using large
        learning rates", in the variant of `OneCycleLR(anneal_strategy="cos")`.

    Example:
        >>> rate = one_cycle(peak=0.5, steps=101, pct_start=0.3)
        >>> [round(rate(torch.tensor(float(step))).item(), 3) for step in (0, 29, 30, 100)]
        [0.02, 0.5, 0.5, 0.0]
    """
    peak, steps = _rate("peak", peak), whole_number("steps", steps, 1)
    if not 0 <= (pct_start := real_number("pct_start", pct_start)) < 1:
        raise ValueError(f"pct_start is {pct_start}; it must be at least 0 and below 1")
    for name, divisor in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
        if not 1 <= real_number(name, divisor) < math.inf:
            raise ValueError(f"{name} is {divisor}; it must be at least 1 and finite")
    first = peak / div_factor
    last = first / final_div_factor
    top = pct_start * steps - 1  # the step of the peak, as torch has it: seldom a whole one
    end = steps - 1

    def schedule(step: Tensor) -> Tensor:
        step = _floating(step)
        falling = last + (peak - last) * _rise((end - step.clamp(max=end)) / (end - top))
        if top <= 0:
            return falling
        rising = first + (peak - first) * _rise(step / top)
        return torch.where(step <= top, rising, falling)

    return schedule


def _rise(share: Tensor) -> Tensor:
    """From 0 to 1 along half a cosine, `(1 - cos(pi share)) / 2`, without losing digits near 0."""
    return torch.sin(math.pi / 2 * share).square()


def _floating(step: Tensor) -> Tensor:
    return step if step.is_floating_point() else step.to(torch.get_default_dtype())


def _rate(name: str, value: object) -> float:
    if not 0 < (rate := real_number(name, value)) < math.inf:
        raise ValueError(f"{name} is {short(value)}; it must be above 0 and finite")
    return rate
