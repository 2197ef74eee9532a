"""Recipes for multilayer perceptrons: out of plain values, and the two of the worked example."""

from collections.abc import Sequence
from typing import get_args

from functional_clf.contestants.recipe import Recipe
from functional_clf.contestants.settings import MODEL_0, MODEL_1, ActivationName, OptimizerName
from functional_clf.core.models import ACTIVATIONS, mlp, sequential
from functional_clf.core.optim import adam, sgd


def mlp_recipe(
    name: str,
    layer_sizes: Sequence[int],
    activation: ActivationName | None,
    optimizer: OptimizerName,
    learning_rate: float,
    momentum: float = 0.0,
    epochs: int = 1000,
) -> Recipe:
    """A recipe for a multilayer perceptron, from plain values.

    Args:
        name: what tables and pictures call it.
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class.
        activation: a name in `models.ACTIVATIONS`, or None for linear layers only.
        optimizer: "sgd" or "adam".
        learning_rate: step size, above 0.
        momentum: of SGD, in [0, 1).
        epochs: full-batch training steps, at least 1.

    Returns:
        The recipe, whose `settings` are these values.

    Raises:
        ValueError: when an argument is outside its range, or momentum is given to Adam.

    Example:
        >>> mlp_recipe("wide", (2, 64, 1), "tanh", "adam", 0.01).describe()["layer_sizes"]
        [2, 64, 1]
    """
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(
            f"activation is {activation!r}; it must be None or one of {', '.join(ACTIVATIONS)}"
        )
    if optimizer == "sgd":
        method = sgd(learning_rate, momentum)
    elif optimizer == "adam":
        if momentum:
            raise ValueError(f"momentum is {momentum}; Adam takes none, so it must be 0")
        method = adam(learning_rate)
    else:
        choices = ", ".join(get_args(OptimizerName))
        raise ValueError(f"optimizer is {optimizer!r}; it must be one of {choices}")
    settings = {
        "layer_sizes": list(layer_sizes),
        "activation": activation,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "momentum": momentum,
    }
    function = None if activation is None else ACTIVATIONS[activation][0]
    return Recipe(
        name,
        mlp(layer_sizes, function),
        method,
        epochs,
        settings,
        kind="mlp",
        as_module=lambda: sequential(layer_sizes, activation),
    )


def model_0(
    layer_sizes: tuple[int, ...] = MODEL_0.layer_sizes,
    activation: ActivationName | None = MODEL_0.activation,
    optimizer: OptimizerName = MODEL_0.optimizer,
    learning_rate: float = MODEL_0.learning_rate,
    momentum: float = MODEL_0.momentum,
    epochs: int = MODEL_0.epochs,
) -> Recipe:
    """The lesson's failing model: linear layers only, SGD.

    Args:
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class.
        activation: between the layers; None for linear layers only.
        optimizer: sgd or adam.
        learning_rate: step size, above 0.
        momentum: of SGD, in [0, 1).
        epochs: full-batch training steps, at least 1.

    Example:
        >>> model_0().describe()["activation"] is None
        True
    """
    return mlp_recipe(
        "model_0", layer_sizes, activation, optimizer, learning_rate, momentum, epochs
    )


def model_1(
    layer_sizes: tuple[int, ...] = MODEL_1.layer_sizes,
    activation: ActivationName | None = MODEL_1.activation,
    optimizer: OptimizerName = MODEL_1.optimizer,
    learning_rate: float = MODEL_1.learning_rate,
    momentum: float = MODEL_1.momentum,
    epochs: int = MODEL_1.epochs,
) -> Recipe:
    """The lesson's succeeding model: ReLU between the layers, Adam.

    Args:
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class.
        activation: between the layers; None for linear layers only.
        optimizer: sgd or adam.
        learning_rate: step size, above 0.
        momentum: of SGD, in [0, 1).
        epochs: full-batch training steps, at least 1.

    Example:
        >>> model_1(epochs=10).describe()["optimizer"]
        'adam'
    """
    return mlp_recipe(
        "model_1", layer_sizes, activation, optimizer, learning_rate, momentum, epochs
    )
