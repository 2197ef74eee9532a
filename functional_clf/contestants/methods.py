"""How a network is trained, out of plain values: the optimizer, its schedule, and when to stop."""

import functools
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args

from functional_clf.contestants.settings import OptimizerName, ScheduleName, TrainingSettings
from functional_clf.core.optim import adam, adamw, chain, clip_by_global_norm, rmsprop, sgd
from functional_clf.core.schedules import Schedule, cosine, linear_warmup, one_cycle, step_decay
from functional_clf.core.stopping import EarlyStopping
from functional_clf.core.types import Optimizer
from functional_clf.support.arguments import real_number, short, whole_number

_TITLES = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}
_DECAYS = {"adamw": 0.01}
_ALWAYS = ("optimizer", "learning_rate", "momentum")
_OF_THE_METHOD = ("nesterov", "weight_decay", "schedule", "warmup", "clip")
_STANDARD = {field.name: field.default for field in fields(TrainingSettings)}


def needs_steps(settings: TrainingSettings) -> bool:
    """Whether the optimizer depends on the number of steps of the whole training.

    Example:
        >>> needs_steps(TrainingSettings()), needs_steps(TrainingSettings(schedule="cosine"))
        (False, True)
    """
    return settings.schedule != "constant" or settings.warmup != 0


def optimizer_of(settings: TrainingSettings, steps: int) -> Optimizer:
    """The optimizer that settings ask for.

    A warm-up takes `round(warmup * steps)` steps, at least one and not the last one; the schedule
    is made for those that remain. "step" divides the learning rate by ten after each third of them.

    Args:
        settings: plain values.
        steps: of the whole training, at least 1; of no matter where `needs_steps` says no.

    Raises:
        TypeError: when a setting is of the wrong type.
        ValueError: when one is outside its range, or is none of the method.

    Example:
        >>> import torch
        >>> optimizer = optimizer_of(TrainingSettings(learning_rate=0.5, schedule="cosine"), 100)
        >>> optimizer.init({"w": torch.zeros(1)}).method.learning_rate
        tensor(0.5000)
    """
    name, momentum, nesterov = settings.optimizer, settings.momentum, settings.nesterov
    if name not in get_args(OptimizerName):
        raise ValueError(
            f"optimizer is {short(name)}; it must be one of {', '.join(get_args(OptimizerName))}"
        )
    if momentum and name not in ("sgd", "rmsprop"):
        raise ValueError(f"momentum is {momentum}; {_TITLES[name]} takes none, so it must be 0")
    if nesterov and name != "sgd":
        raise ValueError(f"nesterov is {nesterov}; {_TITLES[name]} takes none, so leave it out")
    rate = _rate_of(settings, whole_number("steps", steps, 1))
    decay = settings.weight_decay
    if decay is None:
        decay = _DECAYS.get(name, 0.0)
    if name == "sgd":
        method = sgd(rate, momentum, nesterov, decay)
    elif name == "rmsprop":
        method = rmsprop(rate, weight_decay=decay, momentum=momentum)
    else:
        method = (adam if name == "adam" else adamw)(rate, weight_decay=decay)
    if settings.clip is None:
        return method
    if not 0 < real_number("clip", settings.clip) < math.inf:
        raise ValueError(
            f"clip is {settings.clip}; it must be above 0 and finite, or None for no clipping"
        )
    return chain(clip_by_global_norm(settings.clip), method)


def training_of(settings: TrainingSettings) -> dict[str, Any]:
    """What settings say of a recipe's training: arguments of `Recipe`, by name.

    Raises:
        TypeError: when a setting is of the wrong type.
        ValueError: when one is outside its range, or does nothing beside the others.

    Example:
        >>> training_of(TrainingSettings(epochs=5, batch_size=32, patience=2))["stop"]
        EarlyStopping(patience=2, validation=0.15, min_delta=0.0)
    """
    optimizer: Optimizer | Callable[[int], Optimizer] = optimizer_of(settings, 1)
    if needs_steps(settings):  # else that was it; here it has said what is wrong
        names = (*_ALWAYS, *_OF_THE_METHOD)  # all that it reads, and so is known by
        method = TrainingSettings(**{name: getattr(settings, name) for name in names})
        optimizer = functools.partial(optimizer_of, method)
    return {
        "optimizer": optimizer,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "drop_last": settings.drop_last,
        "stop": _stop_of(settings),
        "label_smoothing": settings.label_smoothing,
    }


def said_of_method(settings: TrainingSettings) -> dict[str, Any]:
    """The plain values that say in a record which method settings ask for.

    A recipe says the rest of its training by itself. What is at its default is left out, but for
    the values that records have always held.

    Example:
        >>> said_of_method(TrainingSettings(clip=1.0))
        {'optimizer': 'adam', 'learning_rate': 0.01, 'momentum': 0.0, 'clip': 1.0}
    """
    values = {name: getattr(settings, name) for name in (*_ALWAYS, *_OF_THE_METHOD)}
    return {
        name: value for name, value in values.items() if name in _ALWAYS or value != _STANDARD[name]
    }


def given_beside(settings: TrainingSettings) -> dict[str, Any]:
    """The settings of a method that are not at their defaults, the optimizer's name aside.

    Example:
        >>> given_beside(TrainingSettings(momentum=0.9))
        {'momentum': 0.9}
    """
    said = said_of_method(settings)
    return {key: said[key] for key in said if key != "optimizer" and said[key] != _STANDARD[key]}


def _rate_of(settings: TrainingSettings, steps: int) -> float | Schedule:
    rate, name, warmup = settings.learning_rate, settings.schedule, settings.warmup
    if name not in get_args(ScheduleName):
        raise ValueError(
            f"schedule is {short(name)}; it must be one of {', '.join(get_args(ScheduleName))}"
        )
    if not 0 <= real_number("warmup", warmup) < 1:
        raise ValueError(f"warmup is {warmup}; it must be a share of the steps, in [0, 1)")
    if warmup and name == "one_cycle":
        raise ValueError(f"warmup is {warmup}; one_cycle climbs by itself, so it must be 0")
    if not 0 < real_number("learning_rate", rate) < math.inf:  # whatever the schedule calls it
        raise ValueError(f"learning_rate is {rate}; it must be above 0 and finite")
    climb = min(max(1, round(warmup * steps)), steps - 1) if warmup else 0
    left = steps - climb
    found: float | Schedule = rate
    if name == "cosine":
        found = cosine(rate, left)
    elif name == "one_cycle":
        found = one_cycle(rate, left)
    elif name == "step":
        found = step_decay(rate, every=-(-left // 3), factor=0.1)
    return linear_warmup(found, climb) if climb else found


def _stop_of(settings: TrainingSettings) -> EarlyStopping | None:
    patience, validation, min_delta = settings.patience, settings.validation, settings.min_delta
    if patience is not None:
        return EarlyStopping(patience, validation, min_delta)
    for name, value in (("validation", validation), ("min_delta", min_delta)):
        if value != _STANDARD[name]:
            raise ValueError(f"{name} is {short(value)}, but nothing stops early; give a patience")
    return None
