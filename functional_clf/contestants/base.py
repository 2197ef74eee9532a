"""The form that all contestants have, and what is kept of one that was trained."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.fitting import Predicted
from functional_clf.core.train import evaluated
from functional_clf.core.types import Curves, Params, TrainState
from functional_clf.core.user_code import UnreadableError, reading_of
from functional_clf.data.batches import ChunkData
from functional_clf.data.seeds import Replicate
from functional_clf.support.arguments import plain_settings, short


class Trained(NamedTuple):
    """A trained chunk, on the CPU: what is kept of it.

    params: the final weights by name, with a leading replicate axis; empty where there are none.
    curves: metrics `(point, replicate)` on train and test data; the last point is the result.
    diverged: of each replicate, whether its training has come to nothing.
    logits: of the test samples after training, `(replicate, sample)` for two classes, else with a
        last class axis; None where nobody wants them, or it has none.
    epochs: of each replicate, how many epochs were trained; None where as many as asked for.
    best_epoch: of each replicate, how many epochs had been trained when its weights were the best,
        which are kept; None where the last ones are.
    warnings: what was warned of, or went wrong, a text each, as in "warned ConvergenceWarning:
        lbfgs failed to converge"; and of which replicates, `(replicate,)`.
    predictions: of each replicate, what it predicts of the test samples, where logits do not tell.
        Where that is no probabilities, a loss that is NaN says nothing of a divergence.
    """

    params: Params
    curves: Curves
    diverged: Bool[np.ndarray, " replicate"]
    logits: Tensor | None = None
    epochs: Int[np.ndarray, " replicate"] | None = None
    best_epoch: Int[np.ndarray, " replicate"] | None = None
    warnings: tuple[tuple[str, Bool[np.ndarray, " replicate"]], ...] = ()
    predictions: Sequence[Predicted] | None = None


class Training(NamedTuple):
    """What a contestant trains with.

    engine: runs what is a pure function of one replicate for many (`engines.base.Engine`).
    after_steps: to be called with a number of training steps just taken, for the progress shown;
        what it raises must end the training.
    wants_logits: whether the test samples' logits are asked for, to be scored by other metrics
        than accuracy.
    processes: what is no pure function of tensors may be done in these
        (`workers.processes.Processes`); None for in this one.
    """

    engine: Any
    after_steps: Callable[[int], None] = lambda steps: None
    wants_logits: bool = False
    processes: Any = None


@runtime_checkable
class Contestant(Protocol):
    """Something that can be trained on a replicate's samples and compared with another.

    A seed's result must depend on the replicate's own seeds and samples alone: not on how many
    others are in the chunk, nor on which.
    """

    @property
    def name(self) -> str:
        """What tables and pictures call it."""
        ...

    @property
    def curve_epochs(self) -> tuple[int, ...]:
        """Epochs after which its learning curve is read, rising; `(0,)` where there are none."""
        ...

    def describe(self) -> dict[str, Any]:
        """All that determines its results, as plain values (JSON)."""
        ...

    def train(
        self, data: ChunkData, replicates: Sequence[Replicate], training: Training
    ) -> Trained:
        """Train on each replicate's training samples; the test samples are only looked at.

        Args:
            data: the chunk's samples, with a leading replicate axis.
            replicates: their named seeds; initial weights are drawn from `init_seed`.
            training: what to train with.
        """
        ...


@runtime_checkable
class Template(Protocol):
    """A contestant that is made once the data are known, whose sizes follow theirs."""

    @property
    def name(self) -> str:
        """What the contestant will be called."""
        ...

    def sized(self, n_features: int, n_classes: int) -> Contestant:
        """The contestant for such data.

        Args:
            n_features: numbers that it is given of a sample.
            n_classes: labels are the numbers 0 to `n_classes - 1`.
        """
        ...


def described(contestant: Contestant) -> dict[str, Any]:
    """What identifies a contestant, as plain values, its code among them.

    `code` is a digest of what its `train` reads, where it tells none itself; None where that cannot
    be told.

    Raises:
        TypeError: when its `describe` does not return plain values.

    Example:
        >>> from functional_clf.contestants.mlp import model_0
        >>> described(model_0(epochs=7))["epochs"]
        7
    """
    found = contestant.describe()
    try:
        plain_settings(found)
    except TypeError as error:
        raise TypeError(
            f"model {contestant.name!r}: describe() returned {short(found)}; it must return a dict "
            "of plain values (JSON)"
        ) from error
    if "code" in found:
        return {**found, "name": contestant.name}
    code = None
    with contextlib.suppress(UnreadableError):
        code = reading_of(contestant.train).digest
    return {"kind": None, **found, "name": contestant.name, "code": code}


def collect(state: TrainState, curves: Curves) -> Trained:
    """Bring a trained chunk to the CPU, and mark the replicates that diverged.

    A replicate diverged when a weight or a loss on its curves is NaN or infinite, or, where some
    samples were held out, each loss on them.

    Example:
        >>> from functional_clf.core.types import Metrics
        >>> metrics = Metrics(torch.tensor([[0.5, torch.nan]]), torch.tensor([[3, 0]]))
        >>> state = TrainState({"w": torch.zeros(2, 1)}, None)
        >>> collect(state, Curves((1,), metrics, metrics)).diverged
        array([False,  True])
    """
    state, curves = pytree.tree_map_only(Tensor, lambda leaf: leaf.cpu(), (state, curves))
    params = evaluated(state)
    finite = torch.isfinite(curves.train.loss).all(0) & torch.isfinite(curves.test.loss).all(0)
    for param in params.values():
        finite &= torch.isfinite(param).reshape(len(param), -1).all(1)
    if not state.stopping:
        return Trained(params, curves, ~finite.numpy())
    finite &= torch.isfinite(state.stopping.best_loss)
    return Trained(
        params,
        curves,
        ~finite.numpy(),
        epochs=state.stopping.epoch.numpy(),
        best_epoch=state.stopping.best_epoch.numpy(),
    )
