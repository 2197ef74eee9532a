"""The contestant that is trained by gradients: a model, an optimizer, and for how long.

A recipe's functions must be *pure*: what they return depends on their arguments alone, and they
change nothing, neither their arguments nor anything outside. `functional_clf.study.purity` sees to
it before a study begins.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from functional_clf.contestants.base import Trained, Training, collect
from functional_clf.core.train import curve_epochs, init_state, stack
from functional_clf.core.types import Model, Optimizer, Params, TrainState
from functional_clf.core.user_code import ONE_AT_A_TIME, Reading, UnreadableError, reading_of
from functional_clf.data.batches import ChunkData
from functional_clf.data.seeds import Replicate
from functional_clf.support.arguments import name_text, plain_settings, short, whole_number


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
        kind: in the registry of contestants, the factory that makes it out of its settings.
        as_module: makes an `nn.Module` of the same function, whose state_dict has the names of the
            params; None where there is none.

    Raises:
        TypeError: when an argument is of the wrong type, such as an `nn.Module` for a model.
        ValueError: when epochs is below 1, or the name or the settings cannot be kept.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> Recipe("tiny", mlp((2, 1)), sgd(0.1), epochs=10).epochs
        10
    """

    name: str
    model: Model
    optimizer: Optimizer
    epochs: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    as_module: Callable[[], nn.Module] | None = None

    def __post_init__(self) -> None:
        name_text("a recipe", self.name)
        object.__setattr__(self, "model", _functions("model", self.model, Model))
        object.__setattr__(self, "optimizer", _functions("optimizer", self.optimizer, Optimizer))
        object.__setattr__(self, "epochs", whole_number("epochs", self.epochs, 1))
        plain_settings(self.settings)
        if reserved := {"kind", "name", "epochs", "code"} & set(self.settings):
            raise ValueError(f"settings holds {reserved.pop()!r}, which a recipe says by itself")

    @property
    def curve_epochs(self) -> tuple[int, ...]:
        """The epochs after which its learning curve is read."""
        return curve_epochs(self.epochs)

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
        overridden = () if type(self) is Recipe else (type(self).train,)
        return reading_of(*self.functions.values(), *overridden)

    @property
    def is_own(self) -> bool:
        """Whether its functions are this package's own, which are pure."""
        try:
            return type(self) is Recipe and self.reading().is_own
        except UnreadableError:
            return False

    def describe(self) -> dict[str, Any]:
        """What identifies this recipe, as plain values; `code` is None where it cannot be told."""
        code = None
        with contextlib.suppress(UnreadableError):
            code = self.reading().digest
        return {
            "kind": self.kind,
            "name": self.name,
            "epochs": self.epochs,
            **self.settings,
            "code": code,
        }

    def train(
        self, data: ChunkData, replicates: Sequence[Replicate], training: Training
    ) -> Trained:
        """Train the replicates of a chunk together, by an engine."""
        init_seeds = [one.init_seed for one in replicates]
        state = init_chunk(self, init_seeds, data.train.x.device)
        state, curves = training.engine.train(self, state, data, self.epochs, training.after_steps)
        trained = collect(state, curves)
        if not training.wants_logits:
            return trained
        return trained._replace(logits=self._logits(state.params, data.test.x))

    def _logits(self, params: Params, x: Tensor) -> Tensor:
        with torch.no_grad(), ONE_AT_A_TIME if not self.is_own else contextlib.nullcontext():
            return torch.func.vmap(self.model.apply)(params, x).cpu()


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


def init_chunk(recipe: Recipe, init_seeds: Sequence[int], device: torch.device) -> TrainState:
    """The stacked initial state of a chunk, each replicate drawn from its own seed.

    Drawn on the CPU and then moved, so that a seed means the same weights on every device.

    Args:
        recipe: whose model and optimizer to initialise.
        init_seeds: one a replicate.
        device: where the tensors shall live.

    Example:
        >>> from functional_clf.contestants.mlp import model_1
        >>> init_chunk(model_1(), range(4), torch.device("cpu")).params["0.weight"].shape
        torch.Size([4, 16, 2])
    """
    states = [init_state(recipe.model, recipe.optimizer, seed) for seed in init_seeds]
    return pytree.tree_map(lambda leaf: leaf.to(device), stack(states))
