"""The plain values of a multilayer perceptron's recipe; needs no torch, as a command line does."""

from dataclasses import dataclass
from typing import Literal

ActivationName = Literal["relu", "tanh", "sigmoid", "silu", "gelu"]
OptimizerName = Literal["sgd", "adam"]


@dataclass(frozen=True, kw_only=True)
class MlpSettings:
    """What `mlp_recipe` makes a recipe of, but its name.

    Args:
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class.
        activation: between the layers; None for linear layers only.
        optimizer: sgd or adam.
        learning_rate: step size, above 0.
        momentum: of SGD, in [0, 1).
        epochs: full-batch training steps, at least 1.
    """

    layer_sizes: tuple[int, ...]
    activation: ActivationName | None
    optimizer: OptimizerName
    learning_rate: float
    momentum: float = 0.0
    epochs: int = 1000


MODEL_0 = MlpSettings(layer_sizes=(2, 5, 1), activation=None, optimizer="sgd", learning_rate=0.1)
"""The lesson's failing model."""

MODEL_1 = MlpSettings(
    layer_sizes=(2, 16, 16, 1), activation="relu", optimizer="adam", learning_rate=0.01
)
"""The lesson's succeeding model."""
