"""Whether a recipe fits the data and its functions are pure, before anything is trained.

A study of functions that are not what they say ends in a number all the same, and in a wrong one: a
model that writes into its samples, a schedule that counts its calls. So each function runs a few
times on a few samples, and what it did is looked at.
"""

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe
from functional_clf.core import random as keys
from functional_clf.core import stopping
from functional_clf.core.same_bits import clone, same_bits
from functional_clf.core.train import evaluated, make_train_step, stack
from functional_clf.core.types import Batch, Params, StatefulModel, TrainState
from functional_clf.core.user_code import Reading, UnreadableError, reading_of
from functional_clf.data.batches import ChunkData
from functional_clf.engines.vmapped import EAGER
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line

RESERVED_KEYS = ("seeds", "__metadata__")
"""No param can have these names: a file of weights uses them itself."""


def check_recipe(
    recipe: Recipe, data: ChunkData, init_seeds: Sequence[int], must_vary: bool = False
) -> list[str]:
    """See that a recipe fits the data, and that its functions are pure.

    A recipe of this package's own functions is pure; of any other each function runs a few times.

    Args:
        recipe: whose functions to look at.
        data: the samples of two replicates, on the CPU.
        init_seeds: theirs, different ones.
        must_vary: whether a study is about nothing where weights are alike for every seed.

    Returns:
        Warnings, a line each.

    Raises:
        ValueError: when a function fails, does not return what it should, or is not pure; the
            message names the recipe and the function.

    Example:
        >>> from functional_clf.data.batches import draw_chunk
        >>> from functional_clf.contestants.mlp import model_1
        >>> from functional_clf.data.generators import circles
        >>> from functional_clf.data.seeds import replicate
        >>> two = [replicate(seed, "data") for seed in range(2)]
        >>> data = draw_chunk(circles(100), two, 0.2, torch.device("cpu"))
        >>> check_recipe(model_1(), data, [2, 5])
        []
        >>> check_recipe(model_1(layer_sizes=(3, 16, 1)), data, [2, 5])
        Traceback (most recent call last):
            ...
        ValueError: recipe 'model_1': model.apply failed: layer_sizes is (3, 16, 1), made for ...
    """
    if recipe.is_own:
        batch = Batch(*(part[0, :2] for part in data.train))  # only its form matters
        with _blaming(recipe, "model.init"):
            weights = evaluated(recipe.initial_state(init_seeds[0]))
        with _blaming(recipe, "model.apply"):
            data.task.loss(recipe.model.apply(weights, batch.x), batch.y)
        return []
    return _Check(recipe, data, init_seeds, must_vary).warnings


class _Check:
    """Runs a recipe's functions on copies of their arguments, and looks at what they did."""

    def __init__(
        self, recipe: Recipe, data: ChunkData, init_seeds: Sequence[int], must_vary: bool
    ) -> None:
        self.recipe, self.task = recipe, data.task
        self.warnings: list[str] = []
        states = [self._initial_state(seed) for seed in init_seeds]
        self._check_varies([state.params for state in states], must_vary)
        batch = Batch(*(part[0] for part in data.train))
        self._check_logits(states[0], batch)
        self._check_step(states[0], batch)
        self._check_vmapped(states, data)
        self._warn_of_the_unreadable()

    def _refuse(self, function: str, what: str) -> NoReturn:
        raise ValueError(f"recipe {self.recipe.name!r}: {function} {what}")

    def _observed(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns; refuses it where it is not pure."""
        random_before = _random_states()
        copies = [clone(arguments) for _ in range(2)]
        with _blaming(self.recipe, name):
            first = function(*copies[0])
            # What a first call keeps for later ones, such as a cache, does no harm.
            readings = self._readings()
            again = function(*copies[1])
        if _random_states() != random_before:
            self._refuse(
                name,
                "draws from a global random generator (a dropout in training mode?), so that no "
                "seed would be itself; leave it out, or put the module in eval mode",
            )
        if not all(same_bits(copy, arguments) for copy in copies):
            self._refuse(name, "changes its arguments in place; it must return new tensors")
        if not same_bits(first, again):
            self._refuse(
                name,
                "returns other numbers when it is called again with the same arguments (a counter "
                "outside?); what changes from step to step belongs into the optimizer's state",
            )
        after = self._readings()
        # What functions share changes for all of them: it was this one that ran.
        for changed in (name, *after):
            if changed in after and after[changed] != readings[changed]:
                self._refuse(
                    changed,
                    "changes something outside of it (a counter, a list, the buffers of a module, "
                    "as of a batch normalisation in training mode); it must be pure",
                )
        return first

    def _readings(self) -> dict[str, Reading | None]:
        found: dict[str, Reading | None] = {}
        for name, function in self.recipe.functions.items():
            found[name] = None
            with contextlib.suppress(UnreadableError):
                found[name] = reading_of(function)
        return found

    def _warn_of_the_unreadable(self) -> None:
        for name, function in self.recipe.functions.items():
            try:
                reading_of(function)
            except UnreadableError as error:
                self.warnings.append(
                    f"recipe {self.recipe.name!r}: {name} reads {error}, of which nobody can tell "
                    "whether it changes; it must not"
                )

    def _initial_state(self, seed: int) -> TrainState:
        (params, buffers), again = self._drawn(seed), self._drawn(seed)
        if not same_bits((params, buffers), again):
            self._refuse(
                "model.init",
                "draws other weights when the same seed is drawn again; it must draw from the "
                "generator that it is given, as in torch.randn(3, generator=generator)",
            )
        opt_state = self._observed("optimizer.init", self.recipe.optimizer.init, params)
        for leaf in pytree.tree_leaves(opt_state):
            if not isinstance(leaf, Tensor):
                right = "() for nothing" if leaf is None else f"a tensor: torch.tensor({leaf!r})"
                self._refuse(
                    "optimizer.init", f"returned a state with {short(leaf)} in it; make it {right}"
                )
            if leaf.requires_grad:
                self._refuse("optimizer.init", "returned a state that requires grad; detach it")
        state = TrainState(params, opt_state, buffers)
        if self.recipe.is_keyed:
            state = state._replace(key=keys.key(seed), step=torch.zeros((), dtype=torch.int64))
        return stopping.begin(state) if self.recipe.stop else state

    def _drawn(self, seed: int) -> tuple[Params, Params]:
        """Params and buffers, which are what they should be."""
        with _blaming(self.recipe, "model.init"):
            drawn = self.recipe.model.init(torch.Generator().manual_seed(seed))
        if not isinstance(self.recipe.model, StatefulModel):
            return self._checked_params(drawn), {}
        found: Any = drawn
        if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], dict):
            self._refuse(
                "model.init", f"returned {short(found)}; it must be two dicts: params, buffers"
            )
        params, buffers = self._checked_params(found[0]), found[1]
        for key, value in buffers.items():
            if not isinstance(key, str) or key in RESERVED_KEYS or key in params:
                self._refuse(
                    "model.init",
                    f"returned a buffer with the key {key!r}; it must be a text that names no "
                    f"param, not {' or '.join(RESERVED_KEYS)}",
                )
            if not isinstance(value, Tensor) or value.requires_grad:
                self._refuse(
                    "model.init",
                    f"returned a buffer {key!r} that is {short(value)}; it must be a tensor that "
                    "requires no grad",
                )
        return params, buffers

    def _checked_params(self, params: Any) -> Params:
        if not isinstance(params, dict) or not params:
            self._refuse("model.init", f"returned {short(params)}; it must be a dict of tensors")
        for key, value in params.items():
            if wrong := _wrong_with_param(key, value):
                self._refuse("model.init", f"returned params of which {wrong}")
        for (key, value), (other, tied) in itertools.combinations(params.items(), 2):
            if _overlap(value, tied):
                self._refuse(
                    "model.init",
                    f"returned one tensor as {key!r} and as {other!r}, which training would make "
                    "two; return it once, and use it twice in apply",
                )
        return params

    def _check_logits(self, state: TrainState, batch: Batch) -> None:
        apply = self.recipe.model.apply
        logits = self._observed("model.apply", apply, evaluated(state), batch.x)
        if not isinstance(logits, Tensor):
            self._refuse("model.apply", f"returned {short(logits)}; it must return logits")
        with _blaming(self.recipe, "model.apply"):
            self.task.loss(logits, batch.y)
        if self._returns_probabilities(state, batch.x):
            self.warnings.append(
                f"recipe {self.recipe.name!r}: model.apply seems to return probabilities; the loss "
                "takes logits, so leave out the sigmoid or softmax at the end"
            )

    def _returns_probabilities(self, state: TrainState, x: Tensor) -> bool:
        """Whether the outputs lie in [0, 1] whatever the weights.

        Of a `StatefulModel` for two classes within [-1, 1], as what parts two shares of a softmax.
        """
        stateful = isinstance(self.recipe.model, StatefulModel)
        least = -1 if stateful and self.task.n_classes == 2 else 0
        generator = torch.Generator().manual_seed(0)
        for scale in (1.0, 3.0, 10.0, 30.0):
            drawn = {
                key: scale * torch.randn(param.shape, generator=generator)
                for key, param in state.params.items()
            }
            try:
                outputs = self.recipe.model.apply({**drawn, **clone(state.buffers)}, x.clone())
            except Exception:  # weights that training never meets; nothing is known then
                return False
            if not bool(((outputs >= least) & (outputs <= 1)).all()):
                return False
        return True

    def _check_step(self, state: TrainState, batch: Batch) -> None:
        task = self.recipe.training_task(self.task)
        step = make_train_step(self.recipe.model, self.recipe.optimizer, task)
        after, _ = self._observed("optimizer.update", step, state, batch)
        for old, new in zip(pytree.tree_leaves(state), pytree.tree_leaves(after), strict=True):
            if (old.shape, old.dtype) != (new.shape, new.dtype):
                self._refuse(
                    "optimizer.update",
                    f"made of a {old.dtype} tensor of shape {tuple(old.shape)} one of {new.dtype} "
                    f"and {tuple(new.shape)}; params and state must keep their form",
                )

    def _check_vmapped(self, states: Sequence[TrainState], data: ChunkData) -> None:
        with _blaming(self.recipe, "its training step, under torch.func.vmap,"):
            EAGER.train(self.recipe, stack(states), clone(data), epochs=1)

    def _check_varies(self, params: Sequence[Params], must_vary: bool) -> None:
        forms = [{key: tuple(value.shape) for key, value in one.items()} for one in params]
        if forms[0] != forms[1]:
            self._refuse(
                "model.init", f"returned {forms[0]} with one seed, {forms[1]} with another"
            )
        if not same_bits(*params):
            return
        alike = "gives the same weights for every seed: it ignores its generator"
        if must_vary:
            self._refuse("model.init", f"{alike}, so that no seed differs from another")
        self.warnings.append(f"recipe {self.recipe.name!r}: model.init {alike}")


@contextlib.contextmanager
def _blaming(recipe: Recipe, function: str) -> Iterator[None]:
    """Name the function in which something failed."""
    try:
        yield
    except Exception as error:  # a user's function may fail in any way
        raise ValueError(f"recipe {recipe.name!r}: {function} failed: {one_line(error)}") from error


def _wrong_with_param(key: Any, value: Any) -> str | None:
    dtype = torch.get_default_dtype()
    if not isinstance(key, str) or key in RESERVED_KEYS:
        return f"one has the key {key!r}; it must be a text, not {' or '.join(RESERVED_KEYS)}"
    if isinstance(value, Mapping):
        return f"{key!r} is a dict; params are one flat dict, as {{'{key}.weight': ...}}"
    if not isinstance(value, Tensor):
        return f"{key!r} is {short(value)}; it must be a tensor"
    if value.requires_grad:
        return f"{key!r} requires grad; return it detached, as weight.detach()"
    if value.dtype != dtype:
        return (
            f"{key!r} is {value.dtype}; what is trained must be of torch's default dtype, {dtype} "
            "(buffers, as of a batch normalisation, cannot be kept)"
        )
    return None


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors share an element."""
    if one.untyped_storage().data_ptr() != other.untyped_storage().data_ptr():
        return False
    return bool(np.intersect1d(_places(one), _places(other)).size)


def _places(tensor: Tensor) -> np.ndarray:
    """Where in its storage the elements of a tensor lie."""
    places = np.array([int(tensor.storage_offset())])
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        places = (places[:, None] + int(stride) * np.arange(int(size))).ravel()
    return places


def _random_states() -> tuple[Any, ...]:
    """The states of the global random generators."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - to see that nobody uses it
    return (
        torch.get_rng_state().numpy().tobytes(),
        (name, np.asarray(keys).tobytes(), *rest),
        random.getstate(),
    )
