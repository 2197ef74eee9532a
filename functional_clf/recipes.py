"""What to train and for how long: the two contestants of the worked example, and a way to more.

A recipe's functions must be *pure*: what they return depends on their arguments alone, and they
change nothing, neither their arguments nor anything outside. `functional_clf.preflight` sees to it
before a study begins.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from torch import nn

from functional_clf.arguments import name_text, plain_settings, short, whole_number
from functional_clf.models import ACTIVATIONS, mlp
from functional_clf.optim import adam, sgd
from functional_clf.types import Model, Optimizer
from functional_clf.user_code import Reading, UnreadableError, reading_of

ActivationName = Literal["relu", "tanh", "sigmoid", "silu", "gelu"]
OptimizerName = Literal["sgd", "adam"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """A model, the optimizer that trains it, and the number of full-batch epochs.

    Args:
        name: what tables and pictures call it.
        model: `Model(init, apply)`.
        optimizer: `Optimizer(init, update)`.
        epochs: full-batch training steps, at least 1.
        settings: plain values (JSON) that say for a reader of the record what this recipe is. What
            tells it from another is the code of its functions, and all that they read.

    Raises:
        TypeError: when an argument is of the wrong type, such as an `nn.Module` for a model.
        ValueError: when epochs is below 1, or the name or the settings cannot be kept.

    Example:
        >>> Recipe("tiny", mlp((2, 1)), sgd(0.1), epochs=10).epochs
        10
    """

    name: str
    model: Model
    optimizer: Optimizer
    epochs: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name_text("a recipe", self.name)
        object.__setattr__(self, "model", _functions("model", self.model, Model))
        object.__setattr__(self, "optimizer", _functions("optimizer", self.optimizer, Optimizer))
        object.__setattr__(self, "epochs", whole_number("epochs", self.epochs, 1))
        plain_settings(self.settings)
        if reserved := {"name", "epochs", "code"} & set(self.settings):
            raise ValueError(f"settings holds {reserved.pop()!r}, which a recipe says by itself")

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """Its four functions, by the names that messages call them."""
        return {
            "model.init": self.model.init,
            "model.apply": self.model.apply,
            "optimizer.init": self.optimizer.init,
            "optimizer.update": self.optimizer.update,
        }

    def reading(self) -> Reading:
        """What its functions read, as of now.

        Raises:
            UnreadableError: when that cannot be told.
        """
        return reading_of(*self.functions.values())

    def describe(self) -> dict[str, Any]:
        """What identifies this recipe, as plain values; `code` is None where it cannot be told."""
        code = None
        with contextlib.suppress(UnreadableError):
            code = self.reading().digest
        return {"name": self.name, "epochs": self.epochs, **self.settings, "code": code}


def _functions(name: str, value: Any, form: type[Any]) -> Any:
    """A pair of functions as the named tuple that it is meant to be."""
    wanted = f"{form.__name__}({', '.join(form._fields)})"
    is_pair = type(value) in (tuple, form) and len(value) == 2 and all(map(callable, value))
    if not is_pair:
        hint = ""
        if isinstance(value, nn.Module):
            hint = (
                "; of a module make lambda params, x: "
                "torch.func.functional_call(module, params, (x,)).squeeze(-1)"
            )
        raise TypeError(f"{name} is {short(value)}; it must be {wanted}, two functions{hint}")
    return form(*value)


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
        layer_sizes: inputs, hidden widths and the single output.
        activation: a name in `functional_clf.models.ACTIVATIONS`, or None for linear layers only.
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
    return Recipe(name, mlp(layer_sizes, function), method, epochs, settings)


def recipe_again(description: Mapping[str, Any]) -> Recipe:
    """The recipe that `Recipe.describe` described, where that says all of it.

    Args:
        description: as a run folder records it.

    Raises:
        ValueError: when it is not one of `mlp_recipe`, or comes out as another one.

    Example:
        >>> recipe_again(model_0(epochs=7).describe()).epochs
        7
    """
    values = {key: value for key, value in description.items() if key != "code"}
    if "layer_sizes" not in values:
        raise ValueError(f"its model {values['name']!r} is not one of layer sizes")
    try:
        recipe = mlp_recipe(**values)
    except TypeError as error:
        raise ValueError(
            f"the settings of its model {values['name']!r} do not say it: {error}"
        ) from error
    if recipe.describe()["code"] != description["code"]:
        raise ValueError(f"its model {recipe.name!r} computes something else than its settings say")
    return recipe


def model_0(
    layer_sizes: tuple[int, ...] = (2, 5, 1),
    activation: ActivationName | None = None,
    optimizer: OptimizerName = "sgd",
    learning_rate: float = 0.1,
    momentum: float = 0.0,
    epochs: int = 1000,
) -> Recipe:
    """The lesson's failing model: linear layers only, SGD.

    Args:
        layer_sizes: inputs, hidden widths and the single output.
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
    layer_sizes: tuple[int, ...] = (2, 16, 16, 1),
    activation: ActivationName | None = "relu",
    optimizer: OptimizerName = "adam",
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    epochs: int = 1000,
) -> Recipe:
    """The lesson's succeeding model: ReLU between the layers, Adam.

    Args:
        layer_sizes: inputs, hidden widths and the single output.
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
