"""Recipes for multilayer perceptrons: out of plain values, and the two of the worked example."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, overload

from functional_clf.contestants.base import Template
from functional_clf.contestants.methods import (
    given_beside,
    needs_steps,
    optimizer_of,
    said_of_method,
    training_of,
)
from functional_clf.contestants.recipe import Recipe
from functional_clf.contestants.settings import (
    LESSON_HIDDEN,
    MODEL_0,
    MODEL_1,
    STANDARD_OPTIMIZER,
    STANDARD_RATE,
    ActivationName,
    MlpSettings,
    OptimizerName,
    ScheduleName,
)
from functional_clf.core.models import ACTIVATIONS, mlp, sequential
from functional_clf.core.stopping import EarlyStopping
from functional_clf.core.types import Optimizer
from functional_clf.support.arguments import name_text, short, whole_number

OptimizerLike = OptimizerName | Optimizer | Callable[[int], Optimizer]
"""A method's name, a method, or what makes one out of the number of steps of the training."""


@overload
def mlp_recipe(
    name: str,
    layer_sizes: Sequence[int],
    activation: ActivationName | None = "relu",
    optimizer: OptimizerLike = STANDARD_OPTIMIZER,
    learning_rate: float | None = None,
    momentum: float = 0.0,
    epochs: int = 1000,
    *,
    hidden: None = None,
    nesterov: bool = False,
    weight_decay: float | None = None,
    schedule: ScheduleName = "constant",
    warmup: float = 0.0,
    clip: float | None = None,
    label_smoothing: float = 0.0,
    batch_size: int | None = None,
    drop_last: bool = False,
    patience: int | None = None,
    validation: float = 0.15,
    min_delta: float = 0.0,
    stop: EarlyStopping | Mapping[str, Any] | None = None,
    steps: int | None = None,
) -> Recipe: ...


@overload
def mlp_recipe(
    name: str,
    layer_sizes: None = None,
    activation: ActivationName | None = "relu",
    optimizer: OptimizerLike = STANDARD_OPTIMIZER,
    learning_rate: float | None = None,
    momentum: float = 0.0,
    epochs: int = 1000,
    *,
    hidden: Sequence[int],
    nesterov: bool = False,
    weight_decay: float | None = None,
    schedule: ScheduleName = "constant",
    warmup: float = 0.0,
    clip: float | None = None,
    label_smoothing: float = 0.0,
    batch_size: int | None = None,
    drop_last: bool = False,
    patience: int | None = None,
    validation: float = 0.15,
    min_delta: float = 0.0,
    stop: EarlyStopping | Mapping[str, Any] | None = None,
    steps: int | None = None,
) -> Template: ...


def mlp_recipe(
    name: str,
    layer_sizes: Sequence[int] | None = None,
    activation: ActivationName | None = "relu",
    optimizer: OptimizerLike = STANDARD_OPTIMIZER,
    learning_rate: float | None = None,
    momentum: float = 0.0,
    epochs: int = 1000,
    *,
    hidden: Sequence[int] | None = None,
    nesterov: bool = False,
    weight_decay: float | None = None,
    schedule: ScheduleName = "constant",
    warmup: float = 0.0,
    clip: float | None = None,
    label_smoothing: float = 0.0,
    batch_size: int | None = None,
    drop_last: bool = False,
    patience: int | None = None,
    validation: float = 0.15,
    min_delta: float = 0.0,
    stop: EarlyStopping | Mapping[str, Any] | None = None,
    steps: int | None = None,
) -> Recipe | Template:
    """A recipe for a multilayer perceptron.

    Args:
        name: what tables and pictures call it.
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class.
        activation: a name in `models.ACTIVATIONS`, or None for linear layers only.
        optimizer: "sgd", "adam", "adamw" or "rmsprop"; or an `Optimizer`, as from `adamw(3e-3)`, or
            a function that makes one out of the number of steps of the whole training, as
            `lambda steps: adamw(cosine(3e-3, steps))`. These have the next arguments inside, up to
            clip, and a run folder of such a recipe cannot be replayed.
        learning_rate: step size, above 0; of a schedule the largest one. None for 0.01.
        momentum: of SGD and RMSprop, in [0, 1).
        epochs: times that the training samples are gone through, at least 1.
        hidden: hidden widths, in place of `layer_sizes`: inputs and outputs follow the data.
        nesterov: have the momentum of SGD look ahead.
        weight_decay: at least 0; None for 0.01 of AdamW, whose decay is decoupled, and 0 of others.
        schedule: of the learning rate over all steps: "constant"; "cosine", down to 0; "one_cycle",
            up and down again; "step", a tenth after each third.
        warmup: share of the steps in which the learning rate first climbs from 0, in [0, 1).
        clip: the largest norm of all gradients together; None for any.
        label_smoothing: share of a label that training spreads over all classes, in [0, 1).
        batch_size: samples in a batch, drawn anew in each epoch; None for all of them, a step an
            epoch.
        drop_last: leave out the last batch of an epoch where it is shorter.
        patience: stop after so many epochs without a better loss on training samples held out; None
            for never.
        validation: share of the training samples that is held out where there is a patience.
        min_delta: a loss is better where it is lower by more than this.
        stop: an `EarlyStopping`, or its values by name, in place of the last three.
        steps: of the whole training, for what depends on them; None for what the data make them.

    Returns:
        The recipe, whose `settings` are these values; of `hidden` widths what a study makes it of.

    Raises:
        ValueError: when an argument is outside its range, or does nothing beside the others, as a
            momentum of Adam.
        TypeError: when an argument is of the wrong type, or there are not either layer_sizes or
            hidden.

    Example:
        >>> mlp_recipe("wide", (2, 64, 1), "tanh", "adam", 0.01).describe()["layer_sizes"]
        [2, 64, 1]
        >>> deep = mlp_recipe("deep", hidden=(64, 64), optimizer="adamw", schedule="cosine")
        >>> deep.sized(n_features=30, n_classes=3).describe()["layer_sizes"]
        [30, 64, 64, 3]
    """
    if optimizer is None:  # which would be taken for a name's
        raise TypeError(
            "optimizer is None; it must be a name, as in 'adam', or an Optimizer, as adam(0.01)"
        )
    method = cast(OptimizerName, optimizer) if isinstance(optimizer, str) else None
    settings = MlpSettings(
        hidden=_widths("hidden", hidden),
        layer_sizes=_widths("layer_sizes", layer_sizes),
        activation=activation,
        optimizer=STANDARD_OPTIMIZER if method is None else method,
        learning_rate=STANDARD_RATE if learning_rate is None else learning_rate,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        schedule=schedule,
        warmup=warmup,
        clip=clip,
        label_smoothing=label_smoothing,
        epochs=epochs,
        batch_size=batch_size,
        drop_last=drop_last,
        patience=patience,
        validation=validation,
        min_delta=min_delta,
    )
    given = {} if learning_rate is None else {"learning_rate": learning_rate}
    if method is None and (given := given | given_beside(settings)):
        key, value = next(iter(given.items()))
        raise ValueError(
            f"{key} is {short(value)} beside an optimizer that was made already; give it there"
        )
    if isinstance(stop, Mapping):
        stop = EarlyStopping(**stop)
    if stop is not None and settings.patience is not None:
        raise ValueError(f"patience is {patience} and stop is {stop}; give one of them")
    own = _Own(None if isinstance(optimizer, str) else optimizer, stop, steps)
    return _of_settings(name, settings, own)


@dataclass(frozen=True)
class _Own:
    """What a recipe has beside plain values: a method, when to stop; and steps that are known."""

    optimizer: Optimizer | Callable[[int], Optimizer] | None = None
    stop: EarlyStopping | None = None
    steps: int | None = None


def of_settings(name: str, settings: MlpSettings) -> Recipe | Template:
    """The recipe of such settings; of hidden widths, what a study makes it of.

    Raises:
        ValueError: when a setting is outside its range.
        TypeError: when there are not either layer_sizes or hidden.

    Example:
        >>> of_settings("m", MlpSettings(
        ...     layer_sizes=(2, 1), activation=None, optimizer="sgd", learning_rate=0.1
        ... )).name
        'm'
    """
    return _of_settings(name, settings, _Own())


def _of_settings(name: str, settings: MlpSettings, own: _Own) -> Recipe | Template:
    layer_sizes, hidden = settings.layer_sizes, settings.hidden
    if hidden is not None and layer_sizes is None:
        return MlpTemplate(name, settings, own)
    if layer_sizes is not None and hidden is None:
        return _of_sizes(name, layer_sizes, settings, own)
    raise TypeError(
        f"layer_sizes is {layer_sizes} and hidden is {hidden}; give one of them, as in "
        "hidden=(16, 16)"
    )


def _widths(name: str, widths: Any) -> tuple[int, ...] | None:
    if widths is None:
        return None
    if isinstance(widths, str) or not isinstance(widths, Iterable):
        raise TypeError(f"{name} is {short(widths)}; it must be whole numbers, as in (16, 16)")
    return tuple(widths)


def _of_sizes(name: str, layer_sizes: tuple[int, ...], asked: MlpSettings, own: _Own) -> Recipe:
    activation = asked.activation
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(
            f"activation is {activation!r}; it must be None or one of {', '.join(ACTIVATIONS)}"
        )
    training = training_of(asked)
    settings: dict[str, Any] = {"layer_sizes": list(layer_sizes), "activation": activation}
    if own.optimizer is None:
        settings |= said_of_method(asked)
    else:
        training["optimizer"] = own.optimizer
    if own.stop is not None:
        training["stop"] = own.stop
    if own.steps is not None:
        if own.optimizer is not None or not needs_steps(asked):
            raise ValueError(f"steps is {own.steps}, but nothing here depends on it; leave it out")
        training["optimizer"] = optimizer_of(asked, own.steps)
        settings = {"steps": own.steps, **settings}
    function = None if activation is None else ACTIVATIONS[activation][0]
    return Recipe(
        name,
        mlp(layer_sizes, function),
        settings=settings,
        kind="mlp" if own.optimizer is None else None,
        as_module=lambda: sequential(layer_sizes, activation),
        **training,
    )


@dataclass(frozen=True)
class MlpTemplate:
    """A multilayer perceptron whose inputs and outputs follow the data.

    Args:
        name: what tables and pictures call it.
        settings: plain values, hidden widths among them.
        own: what is no plain value.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when an argument is outside its range.

    Example:
        >>> linear = MlpTemplate("linear", MlpSettings(
        ...     hidden=(), activation=None, optimizer="adam", learning_rate=0.01
        ... ))
        >>> linear.sized(n_features=4, n_classes=2).describe()["layer_sizes"]
        [4, 1]
    """

    name: str
    settings: MlpSettings
    own: _Own = _Own()

    def __post_init__(self) -> None:
        name_text("a recipe", self.name)
        for width in self.settings.hidden or ():
            whole_number("hidden", width, 1)
        self.sized(1, 2)  # says what is wrong of the rest

    def sized(self, n_features: int, n_classes: int) -> Recipe:
        """The recipe for such data: one output for two classes, else one a class."""
        outputs = 1 if n_classes == 2 else n_classes
        layer_sizes = (n_features, *(self.settings.hidden or ()), outputs)
        return _of_sizes(self.name, layer_sizes, self.settings, self.own)


@overload
def model_0(
    layer_sizes: tuple[int, ...] | None = None,
    activation: ActivationName | None = MODEL_0.activation,
    optimizer: OptimizerName = MODEL_0.optimizer,
    learning_rate: float = MODEL_0.learning_rate,
    momentum: float = MODEL_0.momentum,
    epochs: int = MODEL_0.epochs,
) -> Recipe: ...


@overload
def model_0(
    layer_sizes: None = None,
    activation: ActivationName | None = MODEL_0.activation,
    optimizer: OptimizerName = MODEL_0.optimizer,
    learning_rate: float = MODEL_0.learning_rate,
    momentum: float = MODEL_0.momentum,
    epochs: int = MODEL_0.epochs,
    *,
    hidden: Sequence[int],
) -> Template: ...


def model_0(
    layer_sizes: tuple[int, ...] | None = None,
    activation: ActivationName | None = MODEL_0.activation,
    optimizer: OptimizerName = MODEL_0.optimizer,
    learning_rate: float = MODEL_0.learning_rate,
    momentum: float = MODEL_0.momentum,
    epochs: int = MODEL_0.epochs,
    *,
    hidden: Sequence[int] | None = None,
) -> Recipe | Template:
    """The lesson's failing model: linear layers only, SGD.

    Args:
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class. By
            default the lesson's, of two features and two classes.
        activation: between the layers; None for linear layers only.
        optimizer: sgd or adam.
        learning_rate: step size, above 0.
        momentum: of SGD, in [0, 1).
        epochs: full-batch training steps, at least 1.
        hidden: hidden widths, in place of `layer_sizes`: inputs and outputs follow the data.

    Example:
        >>> model_0().describe()["activation"] is None
        True
    """
    if layer_sizes is None and hidden is None:
        layer_sizes = (2, *LESSON_HIDDEN["model_0"], 1)
    settings = MlpSettings(
        hidden=_widths("hidden", hidden),
        layer_sizes=layer_sizes,
        activation=activation,
        optimizer=optimizer,
        learning_rate=learning_rate,
        momentum=momentum,
        epochs=epochs,
    )
    return of_settings("model_0", settings)


@overload
def model_1(
    layer_sizes: tuple[int, ...] | None = None,
    activation: ActivationName | None = MODEL_1.activation,
    optimizer: OptimizerName = MODEL_1.optimizer,
    learning_rate: float = MODEL_1.learning_rate,
    momentum: float = MODEL_1.momentum,
    epochs: int = MODEL_1.epochs,
) -> Recipe: ...


@overload
def model_1(
    layer_sizes: None = None,
    activation: ActivationName | None = MODEL_1.activation,
    optimizer: OptimizerName = MODEL_1.optimizer,
    learning_rate: float = MODEL_1.learning_rate,
    momentum: float = MODEL_1.momentum,
    epochs: int = MODEL_1.epochs,
    *,
    hidden: Sequence[int],
) -> Template: ...


def model_1(
    layer_sizes: tuple[int, ...] | None = None,
    activation: ActivationName | None = MODEL_1.activation,
    optimizer: OptimizerName = MODEL_1.optimizer,
    learning_rate: float = MODEL_1.learning_rate,
    momentum: float = MODEL_1.momentum,
    epochs: int = MODEL_1.epochs,
    *,
    hidden: Sequence[int] | None = None,
) -> Recipe | Template:
    """The lesson's succeeding model: ReLU between the layers, Adam.

    Args:
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class. By
            default the lesson's, of two features and two classes.
        activation: between the layers; None for linear layers only.
        optimizer: sgd or adam.
        learning_rate: step size, above 0.
        momentum: of SGD, in [0, 1).
        epochs: full-batch training steps, at least 1.
        hidden: hidden widths, in place of `layer_sizes`: inputs and outputs follow the data.

    Example:
        >>> model_1(epochs=10).describe()["optimizer"]
        'adam'
        >>> model_1(hidden=(64, 64)).sized(n_features=30, n_classes=2).describe()["layer_sizes"]
        [30, 64, 64, 1]
    """
    if layer_sizes is None and hidden is None:
        layer_sizes = (2, *LESSON_HIDDEN["model_1"], 1)
    settings = MlpSettings(
        hidden=_widths("hidden", hidden),
        layer_sizes=layer_sizes,
        activation=activation,
        optimizer=optimizer,
        learning_rate=learning_rate,
        momentum=momentum,
        epochs=epochs,
    )
    return of_settings("model_1", settings)
