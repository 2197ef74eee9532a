"""The plain values that a recipe is made of; needs no torch, as a command line does."""

from dataclasses import dataclass
from typing import Literal

ActivationName = Literal["relu", "tanh", "sigmoid", "silu", "gelu", "leaky_relu", "elu"]
OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop"]
ScheduleName = Literal["constant", "cosine", "one_cycle", "step"]

STANDARD_OPTIMIZER: OptimizerName = "adam"
STANDARD_RATE = 0.01


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained.

    Args:
        optimizer: the gradient method.
        learning_rate: step size, above 0; of a schedule the largest one.
        momentum: of sgd and rmsprop, in [0, 1).
        nesterov: have the momentum of sgd look ahead.
        weight_decay: at least 0; None for 0.01 of adamw, whose decay is decoupled, and 0 of others.
        schedule: of the learning rate, over all steps: constant; cosine, down to 0; one_cycle, up
            and down again; step, a tenth after each third.
        warmup: share of the steps in which the learning rate first climbs from 0, in [0, 1).
        clip: the largest norm of all gradients together; None for any.
        label_smoothing: share of a label that training spreads over all classes, in [0, 1).
        epochs: times that the training samples are gone through, at least 1.
        batch_size: samples in a batch, drawn anew in each epoch; None for all of them, a step an
            epoch.
        drop_last: leave out the last batch of an epoch where it is shorter.
        patience: stop after so many epochs without a better loss on training samples held out;
            None for never.
        validation: share of the training samples that is held out where there is a patience.
        min_delta: a loss is better where it is lower by more than this.
    """

    optimizer: OptimizerName = STANDARD_OPTIMIZER
    learning_rate: float = STANDARD_RATE
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | None = None
    schedule: ScheduleName = "constant"
    warmup: float = 0.0
    clip: float | None = None
    label_smoothing: float = 0.0
    epochs: int = 1000
    batch_size: int | None = None
    drop_last: bool = False
    patience: int | None = None
    validation: float = 0.15
    min_delta: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Layers:
    """Has the help begin with what a network is."""

    hidden: tuple[int, ...] | None = None
    layer_sizes: tuple[int, ...] | None = None
    activation: ActivationName | None


@dataclass(frozen=True, kw_only=True)
class MlpSettings(TrainingSettings, _Layers):
    """What `mlp_recipe` makes a recipe of, but its name.

    Args:
        hidden: hidden widths; inputs and outputs follow the data.
        layer_sizes: inputs, hidden widths and outputs: 1 for two classes, else one a class; in
            place of `hidden`.
        activation: between the layers; None for linear layers only.
    """


MODEL_0 = MlpSettings(activation=None, optimizer="sgd", learning_rate=0.1)
"""The baseline: linear layers only."""

MODEL_1 = MlpSettings(activation="relu", optimizer="adam", learning_rate=0.01)
"""The challenger."""

LESSON_HIDDEN = {"model_0": (5,), "model_1": (16, 16)}
"""Hidden widths of the lesson, whose data are drawn: the failing model and the succeeding one."""

TABLE_HIDDEN = {"model_0": (), "model_1": (16, 16)}
"""Hidden widths for a table: without any, linear layers are multinomial logistic regression."""
