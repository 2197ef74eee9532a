"""The few types that every module speaks in.

Everything is written for ONE replicate: no shape below has a seed axis. `functional_clf.engines`
adds that axis with `torch.func.vmap`.

Axes, in annotations: `sample` (rows of a data set), `feature` (columns of x), `fan_in` and
`fan_out` (a layer's inputs and outputs), `class` (what a label may be), `point` (epochs at which a
learning curve was read).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Float, Int
from torch import Generator, Tensor

Params = dict[str, Tensor]
"""Weights by name; the keys and shapes are those of the equivalent `nn.Sequential`'s state_dict."""

OptState = Any
"""An optimizer's own NamedTuple of tensors: whatever its next update needs."""


class Model(NamedTuple):
    """A classifier as two pure functions.

    Pure: what they return depends on their arguments alone, and they change nothing, neither their
    arguments nor anything outside. `init` draws from the generator that it is given.
    Logits are `(sample,)` for two classes, and `(sample, class)` for several.
    """

    init: Callable[[Generator], Params]
    apply: Callable[[Params, Float[Tensor, "sample feature"]], Float[Tensor, "sample ..."]]


class StatefulModel(NamedTuple):
    """A classifier with buffers and with noise in training, as three pure functions.

    Buffers are what training changes without a gradient, as the running statistics of a batch
    normalisation; their names are none of a param's. `weights` are both in one dict, as a module's
    state_dict has them.

    init: draws params and buffers from the generator that it is given.
    apply: the logits of the evaluation, which `Model.apply` gives alike.
    train_apply: the logits of a training step, and the buffers after it. What it draws, as for a
        dropout, it draws from its key (`functional_clf.core.random`).
    """

    init: Callable[[Generator], tuple[Params, Params]]
    apply: Callable[[Params, Float[Tensor, "sample feature"]], Float[Tensor, "sample ..."]]
    train_apply: Callable[
        [Params, Params, Float[Tensor, "sample feature"], Tensor],
        tuple[Float[Tensor, "sample ..."], Params],
    ]


class Optimizer(NamedTuple):
    """A gradient method as two pure functions; `updates` are added to the params.

    What changes from step to step, such as a learning rate or a count, is a tensor in the state.
    """

    init: Callable[[Params], OptState]
    update: Callable[[Params, OptState, Params], tuple[Params, OptState]]


class Batch(NamedTuple):
    """Samples and their labels: class numbers from 0 on, in the type of the samples."""

    x: Float[Tensor, "sample feature"]
    y: Float[Tensor, " sample"]


class TrainState(NamedTuple):
    """What continues: all that the next training step needs, and nothing else.

    params: what gradients change.
    opt_state: the optimizer's own.
    buffers: of a `StatefulModel`.
    key: the replicate's, of which the order of batches and all noise are drawn; else ().
    step: how many steps were taken, a 0-d int64 tensor; () where nobody asks.
    stopping: what early stopping keeps (`functional_clf.core.stopping`).
    """

    params: Params
    opt_state: OptState
    buffers: Params = {}  # noqa: RUF012 - nobody writes into a state
    key: Tensor | tuple[()] = ()
    step: Tensor | tuple[()] = ()
    stopping: Any = ()


class Metrics(NamedTuple):
    """What one looks at: the mean loss, and the number of samples classified correctly."""

    loss: Float[Tensor, ""]
    correct: Int[Tensor, ""]


class CurvePoint(NamedTuple):
    """One point of a learning curve: the metrics of one state on train and test data."""

    train: Metrics
    test: Metrics


Record = CurvePoint
"""The former name of `CurvePoint`."""


class Curves(NamedTuple):
    """A learning curve: `Metrics` on train and test data after `epochs[i]` epochs, stacked."""

    epochs: tuple[int, ...]
    train: Metrics
    test: Metrics
