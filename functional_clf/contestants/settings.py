"""The plain values of a multilayer perceptron's recipe; needs no torch, as a command line does."""

from dataclasses import dataclass
from typing import Literal

ActivationName = Literal["relu", "tanh", "sigmoid", "silu", "gelu"]
OptimizerName = Literal["sgd", "adam"]


@dataclass(frozen=True, kw_only=True)
class MlpSettings:
    """What `mlp_recipe` makes a recipe of, but its name.

    Args:
        hidden: hidden widths; inputs and outputs follow the data.
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class; in
            place of `hidden`.
        activation: between the layers; None for linear layers only.
        optimizer: sgd or adam.
        learning_rate: step size, above 0.
        momentum: of SGD, in [0, 1).
        epochs: full-batch training steps, at least 1.
    """

    hidden: tuple[int, ...] | None = None
    layer_sizes: tuple[int, ...] | None = None
    activation: ActivationName | None
    optimizer: OptimizerName
    learning_rate: float
    momentum: float = 0.0
    epochs: int = 1000


MODEL_0 = MlpSettings(activation=None, optimizer="sgd", learning_rate=0.1)
"""The baseline: linear layers only."""

MODEL_1 = MlpSettings(activation="relu", optimizer="adam", learning_rate=0.01)
"""The challenger."""

LESSON_HIDDEN = {"model_0": (5,), "model_1": (16, 16)}
"""Hidden widths of the lesson, whose data are drawn: the failing model and the succeeding one."""

TABLE_HIDDEN = {"model_0": (), "model_1": (16, 16)}
"""Hidden widths for a table: without any, linear layers are multinomial logistic regression."""
