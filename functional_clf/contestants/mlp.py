"""Recipes for multilayer perceptrons: out of plain values, and the two of the worked example."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args, overload

from functional_clf.contestants.base import Template
from functional_clf.contestants.recipe import Recipe
from functional_clf.contestants.settings import (
    LESSON_HIDDEN,
    MODEL_0,
    MODEL_1,
    ActivationName,
    MlpSettings,
    OptimizerName,
)
from functional_clf.core.models import ACTIVATIONS, mlp, sequential
from functional_clf.core.optim import adam, sgd
from functional_clf.support.arguments import name_text, short, whole_number


@overload
def mlp_recipe(
    name: str,
    layer_sizes: Sequence[int],
    activation: ActivationName | None,
    optimizer: OptimizerName,
    learning_rate: float,
    momentum: float = 0.0,
    epochs: int = 1000,
) -> Recipe: ...


@overload
def mlp_recipe(
    name: str,
    layer_sizes: None = None,
    activation: ActivationName | None = "relu",
    optimizer: OptimizerName = "adam",
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    epochs: int = 1000,
    *,
    hidden: Sequence[int],
) -> Template: ...


def mlp_recipe(
    name: str,
    layer_sizes: Sequence[int] | None = None,
    activation: ActivationName | None = "relu",
    optimizer: OptimizerName = "adam",
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    epochs: int = 1000,
    *,
    hidden: Sequence[int] | None = None,
) -> Recipe | Template:
    """A recipe for a multilayer perceptron, from plain values.

    Args:
        name: what tables and pictures call it.
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class.
        activation: a name in `models.ACTIVATIONS`, or None for linear layers only.
        optimizer: "sgd" or "adam".
        learning_rate: step size, above 0.
        momentum: of SGD, in [0, 1).
        epochs: full-batch training steps, at least 1.
        hidden: hidden widths, in place of `layer_sizes`: inputs and outputs follow the data.

    Returns:
        The recipe, whose `settings` are these values; of `hidden` widths what a study makes it of.

    Raises:
        ValueError: when an argument is outside its range, or momentum is given to Adam.
        TypeError: when there are not either layer_sizes or hidden.

    Example:
        >>> mlp_recipe("wide", (2, 64, 1), "tanh", "adam", 0.01).describe()["layer_sizes"]
        [2, 64, 1]
        >>> deep = mlp_recipe("deep", hidden=(64, 64)).sized(n_features=30, n_classes=3)
        >>> deep.describe()["layer_sizes"]
        [30, 64, 64, 3]
    """
    settings = MlpSettings(
        hidden=_widths("hidden", hidden),
        layer_sizes=_widths("layer_sizes", layer_sizes),
        activation=activation,
        optimizer=optimizer,
        learning_rate=learning_rate,
        momentum=momentum,
        epochs=epochs,
    )
    return of_settings(name, settings)


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
    layer_sizes, hidden = settings.layer_sizes, settings.hidden
    if hidden is not None and layer_sizes is None:
        return MlpTemplate(name, settings)
    if layer_sizes is not None and hidden is None:
        return _of_sizes(name, layer_sizes, settings)
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


def _of_sizes(name: str, layer_sizes: tuple[int, ...], asked: MlpSettings) -> Recipe:
    activation, optimizer, momentum = asked.activation, asked.optimizer, asked.momentum
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(
            f"activation is {activation!r}; it must be None or one of {', '.join(ACTIVATIONS)}"
        )
    if optimizer == "sgd":
        method = sgd(asked.learning_rate, momentum)
    elif optimizer == "adam":
        if momentum:
            raise ValueError(f"momentum is {momentum}; Adam takes none, so it must be 0")
        method = adam(asked.learning_rate)
    else:
        choices = ", ".join(get_args(OptimizerName))
        raise ValueError(f"optimizer is {optimizer!r}; it must be one of {choices}")
    settings = {
        "layer_sizes": list(layer_sizes),
        "activation": activation,
        "optimizer": optimizer,
        "learning_rate": asked.learning_rate,
        "momentum": momentum,
    }
    function = None if activation is None else ACTIVATIONS[activation][0]
    return Recipe(
        name,
        mlp(layer_sizes, function),
        method,
        asked.epochs,
        settings,
        kind="mlp",
        as_module=lambda: sequential(layer_sizes, activation),
    )


@dataclass(frozen=True)
class MlpTemplate:
    """A multilayer perceptron whose inputs and outputs follow the data.

    Args:
        name: what tables and pictures call it.
        settings: plain values, hidden widths among them.

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

    def __post_init__(self) -> None:
        name_text("a recipe", self.name)
        for width in self.settings.hidden or ():
            whole_number("hidden", width, 1)
        self.sized(1, 2)  # says what is wrong of the rest

    def sized(self, n_features: int, n_classes: int) -> Recipe:
        """The recipe for such data: one output for two classes, else one a class."""
        outputs = 1 if n_classes == 2 else n_classes
        layer_sizes = (n_features, *(self.settings.hidden or ()), outputs)
        return _of_sizes(self.name, layer_sizes, self.settings)


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
