"""The contestant that is trained by gradients: a model, an optimizer, and for how long.

A recipe's functions must be *pure*: what they return depends on their arguments alone, and they
change nothing, neither their arguments nor anything outside. `functional_clf.study.purity` sees to
it before a study begins.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from functional_clf.contestants.base import Trained, Training, collect
from functional_clf.core import stopping
from functional_clf.core.minibatches import steps_per_epoch
from functional_clf.core.stopping import EarlyStopping
from functional_clf.core.tasks import Task, smoothing_share
from functional_clf.core.train import curve_epochs, evaluated, init_state, stack
from functional_clf.core.types import Model, Optimizer, Params, StatefulModel, TrainState
from functional_clf.core.user_code import ONE_AT_A_TIME, Reading, UnreadableError, reading_of
from functional_clf.data.batches import ChunkData
from functional_clf.data.seeds import Replicate
from functional_clf.support.arguments import (
    name_text,
    plain_settings,
    short,
    whole_number,
)


@dataclass(frozen=True, eq=False)
class Recipe:
    """A model, the optimizer that trains it, and for how long.

    Args:
        name: what tables and pictures call it.
        model: `Model(init, apply)`, or `StatefulModel(init, apply, train_apply)`.
        optimizer: `Optimizer(init, update)`, or a function that makes it out of the number of steps
            of the whole training, as a learning rate's schedule may need it.
        epochs: times that the training samples are gone through, at least 1.
        settings: plain values (JSON) that say for a reader of the record what this recipe is. What
            tells it from another is the code of its functions, and all that they read.
        kind: in the registry of contestants, the factory that makes it out of its settings.
        as_module: makes an `nn.Module` of the same function, whose state_dict has the names of the
            params; None where there is none.
        batch_size: samples in a batch, at least 1; None for all of them, a step an epoch. Batches
            are drawn anew in each epoch, from the replicate's own key.
        drop_last: leave out the last batch of an epoch where it is shorter.
        stop: when to stop before the last epoch; None for never.
        label_smoothing: share of a label that training spreads over all classes, in [0, 1).
        together: whether replicates may be trained in one vectorised call. False where the bits of
            one would depend on how many there are, as with convolutions, whose kernels are chosen
            by the number: then one after another.

    Raises:
        TypeError: when an argument is of the wrong type, such as an `nn.Module` for a model.
        ValueError: when a number is outside its range, or the name or the settings cannot be kept.

    Example:
        >>> from functional_clf.core.models import mlp
        >>> from functional_clf.core.optim import sgd
        >>> Recipe("tiny", mlp((2, 1)), sgd(0.1), epochs=10).epochs
        10
    """

    name: str
    model: Model | StatefulModel
    optimizer: Optimizer
    epochs: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    as_module: Callable[[], nn.Module] | None = None
    batch_size: int | None = None
    drop_last: bool = False
    stop: EarlyStopping | None = None
    label_smoothing: float = 0.0
    together: bool = True

    def __post_init__(self) -> None:
        name_text("a recipe", self.name)
        form = StatefulModel if isinstance(self.model, StatefulModel) else Model
        object.__setattr__(self, "model", _functions("model", self.model, form))
        if isinstance(self.optimizer, tuple | type) or not callable(self.optimizer):
            pair = _functions("optimizer", self.optimizer, Optimizer)
            object.__setattr__(self, "optimizer", pair)
        object.__setattr__(self, "epochs", whole_number("epochs", self.epochs, 1))
        self._check_training()
        plain_settings(self.settings)
        if reserved := {"kind", "name", "epochs", "code", *_TRAINING} & set(self.settings):
            raise ValueError(f"settings holds {reserved.pop()!r}, which a recipe says by itself")

    def _check_training(self) -> None:
        if self.batch_size is not None:
            object.__setattr__(self, "batch_size", whole_number("batch_size", self.batch_size, 1))
        for name in ("drop_last", "together"):
            if not isinstance(value := getattr(self, name), bool):
                raise TypeError(f"{name} is {short(value)}; it must be True or False")
        if self.drop_last and self.batch_size is None:
            raise ValueError(
                "drop_last is True, but there are no batches; batch_size must be given"
            )
        if self.stop is not None and not isinstance(self.stop, EarlyStopping):
            raise TypeError(
                f"stop is {short(self.stop)}; it must be an EarlyStopping, as in "
                "EarlyStopping(patience=10)"
            )
        object.__setattr__(self, "label_smoothing", smoothing_share(self.label_smoothing))

    @property
    def is_keyed(self) -> bool:
        """Whether its training draws numbers, so that a replicate's state has a key."""
        return (
            self.batch_size is not None
            or self.stop is not None
            or isinstance(self.model, StatefulModel)
        )

    @property
    def is_plain(self) -> bool:
        """Whether it takes a full-batch step an epoch, to the last."""
        return self.batch_size is None and self.stop is None

    def for_samples(self, n_train: int) -> "Recipe":
        """The recipe for so many training samples, with an optimizer for as many steps.

        Raises:
            TypeError: when its function of the number of steps returns no optimizer.
            ValueError: when there are too few for a batch, or to hold some out.
        """
        n_learned = n_train - (self.stop.n_held_out(n_train) if self.stop else 0)
        batch_size = self.batch_size or n_learned
        if batch_size > n_learned:
            held_out = f" ({n_train - n_learned} are held out)" if self.stop else ""
            raise ValueError(
                f"model {self.name!r}: batch_size is {batch_size}; there are {n_learned} training "
                f"samples{held_out}, so it must be at most {n_learned}"
            )
        if isinstance(self.optimizer, Optimizer):
            return self
        steps = self.epochs * steps_per_epoch(n_learned, batch_size, self.drop_last)
        optimizer = _functions("optimizer", self.optimizer(steps), Optimizer)
        # Said, so that the same can be made again without the data.
        return replace(self, optimizer=optimizer, settings={"steps": steps, **self.settings})

    def training_task(self, task: Task) -> Task:
        """The task whose loss is trained on; that of the evaluation is the task itself."""
        return task.smoothed(self.label_smoothing) if self.label_smoothing else task

    @property
    def curve_epochs(self) -> tuple[int, ...]:
        """The epochs after which its learning curve is read."""
        return curve_epochs(self.epochs)

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """Its functions, by the names that messages call them."""
        found = {f"model.{name}": part for name, part in self.model._asdict().items()}
        if not isinstance(self.optimizer, Optimizer):
            return {**found, "optimizer": self.optimizer}
        return {
            **found,
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
        training = {
            "batch_size": self.batch_size,
            "drop_last": self.drop_last,
            "stop": None if self.stop is None else asdict(self.stop),
            "label_smoothing": self.label_smoothing,
        }
        return {
            "kind": self.kind,
            "name": self.name,
            "epochs": self.epochs,
            # What is new is named where it is used: older folders go on.
            **{key: value for key, value in training.items() if value},
            **self.settings,
            "code": code,
        }

    def initial_state(self, init_seed: int) -> TrainState:
        """The state of one replicate before its training, on the CPU."""
        state = init_state(self.model, self.optimizer, init_seed, self.is_keyed)
        return stopping.begin(state) if self.stop else state

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
        return trained._replace(logits=self._logits(evaluated(state), data.test.x))

    def _logits(self, params: Params, x: Tensor) -> Tensor:
        with torch.no_grad(), ONE_AT_A_TIME if not self.is_own else contextlib.nullcontext():
            at_once = None if self.together else 1
            return torch.func.vmap(self.model.apply, chunk_size=at_once)(params, x).cpu()


_TRAINING = ("batch_size", "drop_last", "stop", "label_smoothing")


def _functions(name: str, value: Any, form: type[Any]) -> Any:
    """Some functions as the named tuple that they are meant to be."""
    wanted = f"{form.__name__}({', '.join(form._fields)})"
    count = len(form._fields)
    is_one = type(value) in (tuple, form) and len(value) == count and all(map(callable, value))
    if not is_one:
        hint = ""
        if isinstance(value, nn.Module):
            hint = "; of a module module_recipe(name, factory) makes a recipe"
        raise TypeError(
            f"{name} is {short(value)}; it must be {wanted}, {'two' if count == 2 else count} "
            f"functions{hint}"
        )
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
    states = [recipe.initial_state(seed) for seed in init_seeds]
    return pytree.tree_map(lambda leaf: leaf.to(device), stack(states))
