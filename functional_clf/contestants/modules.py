"""Recipes out of any `nn.Module`: a factory makes it, and each seed has weights of its own."""

import contextlib
import inspect
import random as pythons_random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Generator, Tensor, fx, nn
from torch._C._functorch import peek_interpreter_stack
from torch._subclasses.fake_tensor import FakeTensor

from functional_clf.contestants.base import Template
from functional_clf.contestants.keyed_noise import kept
from functional_clf.contestants.module_graphs import (
    Form,
    Tensors,
    UnrecordableError,
    Watcher,
    aten,
    plain_torch,
    record,
    run_once,
)
from functional_clf.contestants.recipe import Recipe
from functional_clf.core import random
from functional_clf.core.optim import adam
from functional_clf.core.same_bits import clone, same_bits
from functional_clf.core.stopping import EarlyStopping
from functional_clf.core.types import Optimizer, StatefulModel
from functional_clf.core.user_code import ONE_AT_A_TIME, UnreadableError, reading_of
from functional_clf.support.arguments import name_text, short, whole_number
from functional_clf.support.errors import one_line

Factory = Callable[[int, int], nn.Module]

COMPARED_SAMPLES = 128
"""So many samples go through a module itself, to be compared with what was recorded of it."""

_KERNELS_BY_WIDTH = (nn.modules.conv._ConvNd, nn.MultiheadAttention)

_RESERVED = ("seeds", "__metadata__")  # a file of weights uses them itself
_SCALARS = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)


def module_recipe(
    name: str,
    factory: Factory,
    optimizer: Optimizer | Callable[[int], Optimizer] | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    drop_last: bool = False,
    stop: EarlyStopping | None = None,
    label_smoothing: float = 0.0,
    settings: Mapping[str, Any] | None = None,
) -> Template:
    """A recipe for any `nn.Module`.

    The module's parameters become the params. Its buffers are part of the state, so that a batch
    normalisation has running statistics; frozen parameters stand beside them. Dropout layers draw
    from the replicate's own key. Training runs the module's training form, all else its evaluation
    form.

    Args:
        name: what tables and pictures call it.
        factory: makes the module out of the numbers of features and of classes. It runs under the
            replicate's seed, as if `torch.manual_seed(seed)` stood before it, and must make a new
            module at each call. The module takes `(batch, n_features)` and returns logits:
            `(batch, n_classes)`, for two classes also `(batch, 1)` or `(batch,)`.
        optimizer: as from `adam`, or a function of the number of steps of the whole training.
            Default: `adam(1e-3)`.
        epochs: times that the training samples are gone through, at least 1.
        batch_size: samples in a batch, at least 1; None for all of them.
        drop_last: leave out the last batch of an epoch where it is shorter.
        stop: when to stop before the last epoch; None for never.
        label_smoothing: share of a label that training spreads over all classes, in [0, 1).
        settings: plain values (JSON) that say more of it to a reader of the record.

    Returns:
        What a study makes the recipe of, once the data are known.

    Raises:
        TypeError: when an argument is of the wrong type, such as a module for a factory.
        ValueError: when a number is outside its range. `sized` raises one when the factory fails,
            makes no module, or makes one that replicates would share; running the recipe when the
            module does what cannot be trained for many seeds at once: a Python branch on values,
            writing into a parameter, random numbers of its own.

    Example:
        >>> def net(n_features, n_classes):
        ...     return nn.Sequential(
        ...         nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2),
        ...         nn.Linear(8, n_classes),
        ...     )
        >>> recipe = module_recipe("bn", net, epochs=5, batch_size=16).sized(2, 2)
        >>> params, buffers = recipe.model.init(torch.Generator().manual_seed(0))
        >>> list(params), list(buffers)  # doctest: +NORMALIZE_WHITESPACE
        (['0.weight', '0.bias', '1.weight', '1.bias', '4.weight', '4.bias'],
         ['1.running_mean', '1.running_var', '1.num_batches_tracked'])
    """
    return ModuleTemplate(
        name,
        factory,
        adam(1e-3) if optimizer is None else optimizer,
        epochs,
        batch_size,
        drop_last,
        stop,
        label_smoothing,
        settings or {},
    )


@dataclass(frozen=True, eq=False)
class ModuleTemplate:
    """A module whose inputs and outputs follow the data; the arguments are `module_recipe`'s.

    Example:
        >>> template = ModuleTemplate("line", nn.Linear, adam(0.1), epochs=3)
        >>> template.sized(n_features=4, n_classes=2).describe()["factory"]
        'torch.nn.modules.linear:Linear'
    """

    name: str
    factory: Factory
    optimizer: Optimizer | Callable[[int], Optimizer]
    epochs: int
    batch_size: int | None = None
    drop_last: bool = False
    stop: EarlyStopping | None = None
    label_smoothing: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name_text("a recipe", self.name)
        if isinstance(self.factory, nn.Module):
            raise TypeError(
                f"factory is a {type(self.factory).__name__}, one module, whose weights all seeds "
                "would share; it must be a function (n_features, n_classes) that makes one"
            )
        if not callable(self.factory):
            raise TypeError(
                f"factory is {short(self.factory)}; it must be a function (n_features, n_classes) "
                "that returns an nn.Module"
            )
        _check_arguments(self.factory)
        if "factory" in self.settings:
            raise ValueError("settings holds 'factory', which a recipe says by itself")
        self._recipe(StatefulModel(_nothing, _nothing, _nothing))  # says what is wrong of the rest

    def sized(self, n_features: int, n_classes: int) -> Recipe:
        """The recipe for such data.

        Raises:
            ValueError: when the factory fails, makes no module, or one that replicates would share.
        """
        try:
            forms = ModuleForms(self.factory, n_features, n_classes)
            forms.check_factory()
        except ValueError as error:
            raise ValueError(f"recipe {self.name!r}: {error}") from error
        return self._recipe(
            StatefulModel(forms.init, forms.apply, forms.train_apply),
            forms.as_module,
            not forms.has_kernels_by_width(),
        )

    def _recipe(
        self,
        model: StatefulModel,
        as_module: Callable[[], nn.Module] | None = None,
        together: bool = True,
    ) -> Recipe:
        return Recipe(
            self.name,
            model,
            cast(Any, self.optimizer),
            self.epochs,
            {"factory": factory_name(self.factory), **self.settings},
            as_module=as_module,
            batch_size=self.batch_size,
            drop_last=self.drop_last,
            stop=self.stop,
            label_smoothing=self.label_smoothing,
            together=together,
        )


def factory_name(factory: Any) -> str:
    """What a factory is called in a record: `module:qualname`.

    Example:
        >>> factory_name(nn.Linear)
        'torch.nn.modules.linear:Linear'
    """
    while hasattr(factory, "func"):  # of a functools.partial
        factory = factory.func
    named = factory if hasattr(factory, "__qualname__") else type(factory)
    return f"{named.__module__}:{named.__qualname__}"


class ModuleForms:
    """The pure functions of a factory's module: `init`, `apply` and `train_apply`.

    Each form of a batch is recorded once, as a graph (`module_graphs`), which then runs for every
    replicate and every engine. What identifies it is the factory's code and all that this reads.

    Args:
        factory: makes the module.
        n_features: its first argument.
        n_classes: its second one.

    Raises:
        ValueError: when the factory fails, or makes no module that can be trained.

    Example:
        >>> forms = ModuleForms(nn.Linear, 3, 2)
        >>> params, buffers = forms.init(torch.Generator().manual_seed(0))
        >>> forms.apply(params, torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(self, factory: Factory, n_features: int, n_classes: int) -> None:
        self.factory = factory
        self.n_features = whole_number("n_features", n_features, 1)
        self.n_classes = whole_number("n_classes", n_classes, 2)
        self._what = f"factory {factory_name(factory)}"
        self._name_of = _constant(self)
        self._renew(self._code())

    def __reduce_ex__(self, protocol: Any) -> Any:
        """What it is made of; graphs are no part of what it is."""
        del protocol
        return ModuleForms, (self.factory, self.n_features, self.n_classes)

    def _renew(self, code: str | None) -> None:
        self._made_by, self._is_checked = code, False
        self._names: dict[Form, str] = {}
        self._graphs = _Graphs()
        params, buffers = self._weights(self._made(0))
        self._params, self._buffers = tuple(params), tuple(buffers)
        self._example = clone((params, buffers))

    def _code(self) -> str | None:
        with contextlib.suppress(UnreadableError):
            return reading_of(self.factory).digest
        return None

    def init(self, generator: Generator) -> tuple[Tensors, Tensors]:
        """Params and buffers of a new module, made under the generator's state.

        They are those that `torch.manual_seed(seed)` before the factory gives, for a generator that
        has just been seeded so.
        """
        with ONE_AT_A_TIME:
            # A factory may read what has changed since it was recorded.
            if (code := self._code()) != self._made_by:
                self._renew(code)
            with _seeded(generator):
                module = self._called()
            params, buffers = self._weights(module)
        if (tuple(params), tuple(buffers)) != (self._params, self._buffers):
            raise ValueError(
                f"{self._what} makes another module for another seed: {sorted(params)} and "
                f"{sorted(self._params)}"
            )
        return params, buffers

    def apply(self, weights: Tensors, x: Tensor) -> Tensor:
        """Logits in the evaluation form."""
        x = x.contiguous()  # samples lie in memory feature by feature, which no view could take
        if _is_plain(x):
            self._check(weights, x)
        graph = self._graph(False, x)
        inputs = [weights[name] for name in (*self._params, *self._buffers)]
        key = torch.zeros(2, dtype=torch.int32, device=x.device)
        return self._logits(graph(*inputs, x, key)[0], x)

    def train_apply(
        self, params: Tensors, buffers: Tensors, x: Tensor, key: Tensor
    ) -> tuple[Tensor, Tensors]:
        """Logits in the training form, and the new buffers."""
        x = x.contiguous()
        graph = self._graph(True, x)
        inputs = [params[name] for name in self._params]
        inputs += [buffers[name] for name in self._buffers]
        output, *new = graph(*inputs, x, key)
        return self._logits(output, x), dict(zip(self._buffers, new, strict=True))

    def has_kernels_by_width(self) -> bool:
        """Whether a vectorised call would take other kernels for another number of replicates.

        So it is of convolutions, which become one of many groups, and of products of batches of
        matrices, as in attention. Where that cannot be told, it counts as so.
        """
        found = [type(part) for part in self._made(0).modules()]
        return any(issubclass(kind, _KERNELS_BY_WIDTH) for kind in found) or self._has_operations()

    def _has_operations(self) -> bool:
        form = Form(
            *(True, (4, self.n_features), torch.get_default_dtype(), torch.device("cpu")),
            torch.get_default_dtype(),
        )
        try:
            graph = getattr(self._graphs, self.recorded(form))
        except Exception:  # a forward pass may fail in any way, as on few samples; so nobody knows
            return True
        return any(
            str(node.target).startswith(
                ("aten.convolution", "aten.bmm", "aten.baddbmm", "aten._sc")
            )
            for node in graph.graph.nodes
        )

    def as_module(self) -> nn.Module:
        """A module of the factory's, in evaluation mode; weights are loaded by their names."""
        return self._made(0).eval()

    def check_factory(self) -> None:
        """See that two seeds have modules of one form, and share no weights.

        Raises:
            ValueError: when they do not.
        """
        one, other = self._made(0), self._made(1)
        if one is other:
            raise ValueError(
                f"{self._what} returned the same module twice, whose weights all seeds would share;"
                " it must make a new one at each call"
            )
        theirs = [self._weights(module, copied=False) for module in (one, other)]
        (params, _), (others, _) = theirs
        forms = [
            {name: tuple(value.shape) for name, value in (first | second).items()}
            for first, second in theirs
        ]
        if forms[0] != forms[1]:
            differing = sorted(name for name, _ in forms[0].items() ^ forms[1].items())
            raise ValueError(
                f"{self._what} made modules of different forms for two seeds: {differing[0]!r}"
            )
        places = {_place(value): name for name, value in others.items() if value.numel()}
        for name, value in params.items():
            if value.numel() and _place(value) in places:
                raise ValueError(
                    f"{self._what} returned modules that share the parameter {name!r}, so that "
                    "seeds would train each other's; it must make new ones at each call"
                )
        if same_bits(params, others) and not all(_is_constant(value) for value in params.values()):
            raise ValueError(
                f"{self._what} made the same weights for two seeds; it must draw them from torch's "
                "generator, which each seed seeds, and seed none itself"
            )
        if different := _different(one, other):
            raise ValueError(
                f"{self._what} drew {different} anew for another seed, but it is no parameter or "
                "buffer, so that all seeds would share one; make it one by register_buffer"
            )

    def _logits(self, output: Tensor, x: Tensor) -> Tensor:
        """What the task takes: for two classes the log-odds of class 1, else a logit a class."""
        n, shape = x.shape[0], tuple(output.shape)
        if self.n_classes > 2:
            if shape == (n, self.n_classes):
                return output
            wanted = f"({n}, {self.n_classes})"
        else:
            if shape == (n,):
                return output
            if shape == (n, 1):
                return output[:, 0]
            if shape == (n, 2):  # whose cross-entropy is that of the difference
                return output[:, 1] - output[:, 0]
            wanted = f"({n}, 2), ({n}, 1) or ({n},)"
        raise ValueError(
            f"the module returned the shape {shape} for {n} samples of {self.n_classes} classes; "
            f"it must be {wanted}"
        )

    def _made(self, seed: int) -> nn.Module:
        with ONE_AT_A_TIME, plain_torch(), _seeded(Generator().manual_seed(seed)):
            return self._called()

    def _called(self) -> nn.Module:
        try:
            module = self.factory(self.n_features, self.n_classes)
        except (Exception, SystemExit) as error:  # a user's function may fail in any way
            raise ValueError(
                f"{self._what} failed for {self.n_features} features and {self.n_classes} classes: "
                f"{one_line(error)}"
            ) from error
        if not isinstance(module, nn.Module):
            raise ValueError(f"{self._what} returned {short(module)}; it must return an nn.Module")
        return module

    def _weights(self, module: nn.Module, copied: bool = True) -> tuple[Tensors, Tensors]:
        """Trainable parameters, and all other tensors of a module's state."""
        trained: Tensors = {}
        others: Tensors = {}
        for name, value in (*module.named_parameters(), *module.named_buffers()):
            if nn.parameter.is_lazy(value):
                raise ValueError(
                    f"{self._what}: the parameter {name!r} has no size yet; give the layer its "
                    "size, as nn.Linear(n_features, ...) in place of nn.LazyLinear(...)"
                )
            if name in _RESERVED:
                raise ValueError(f"{self._what}: a parameter or buffer cannot be called {name!r}")
            is_trained = isinstance(value, nn.Parameter) and value.requires_grad
            if is_trained and not value.is_floating_point():
                raise ValueError(
                    f"{self._what}: the parameter {name!r} is {value.dtype}; what is trained must "
                    "be real floating-point numbers"
                )
            into = trained if is_trained else others
            into[name] = self._copied(value) if copied else value
        if not trained:
            raise ValueError(f"{self._what} made a module without a parameter to train")
        return trained, others

    def _copied(self, value: Tensor) -> Tensor:
        dtype = torch.get_default_dtype() if value.is_floating_point() else value.dtype
        plain = value.detach().to("cpu", dtype, copy=True)
        return plain.contiguous()

    def _graph(self, training: bool, x: Tensor) -> fx.GraphModule:
        name = self._name_of(training, tuple(x.shape), x.dtype, x.device)
        return getattr(self._graphs, name)

    def recorded(self, form: Form) -> str:
        """The name of the graph for a form of a batch, which is recorded where there is none."""
        if form in self._names:  # most often, and then no thread need wait for another
            return self._names[form]
        with ONE_AT_A_TIME:
            if form not in self._names:
                with plain_torch():
                    module = self._made(0).to(form.device)
                    graph = record(module, *self._example, form)
                name = f"graph_{len(self._names)}"
                setattr(self._graphs, name, graph.run)
                self._names[form] = name
            return self._names[form]

    def _check(self, weights: Tensors, x: Tensor) -> None:
        """Hold the graphs against the module itself, once, on these samples."""
        if self._is_checked:
            return
        with ONE_AT_A_TIME, plain_torch():
            given = (
                {name: weights[name] for name in self._params},
                {name: weights[name] for name in self._buffers},
            )
            for training in (False, True):
                _compare(self, training, *given, x[:COMPARED_SAMPLES])
        self._is_checked = True


class _Graphs:
    """Recorded graphs, each an attribute: torch's compiler reads attributes when it needs them."""


def _constant(forms: ModuleForms) -> Callable[..., str]:
    """The name of the graph for a form of a batch, which torch's compiler takes as a constant."""

    def name_of(
        training: bool, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> str:
        sizes = tuple(map(int, shape))
        return forms.recorded(
            Form(training, sizes, dtype, torch.device(device), torch.get_default_dtype())
        )

    # What the compiler's own assume_constant_result notes, without importing the compiler.
    name_of._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]
    return name_of


def _nothing(*args: Any) -> Any:
    raise NotImplementedError(args)


def _check_arguments(factory: Factory) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # some that are made in C tell nothing
        return
    try:
        signature.bind(2, 2)
    except TypeError as error:
        raise TypeError(
            f"factory {factory_name(factory)} takes {signature}; it must take two arguments, "
            "(n_features, n_classes)"
        ) from error


@contextlib.contextmanager
def _seeded(generator: Generator) -> Iterator[None]:
    """The global generators in the state of this one, which goes on where they end."""
    seed = generator.initial_seed() % 2**32
    states = torch.get_rng_state(), np.random.get_state(), pythons_random.getstate()  # noqa: NPY002
    torch.set_rng_state(generator.get_state())
    np.random.seed(seed)  # noqa: NPY002 - a factory may draw from it
    pythons_random.seed(seed)
    try:
        yield
        generator.set_state(torch.get_rng_state())
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        pythons_random.setstate(states[2])


def _is_plain(x: Tensor) -> bool:
    """Whether a tensor holds numbers of one replicate, outside of all transforms and tracers."""
    if torch.compiler.is_compiling():
        return False
    return (
        peek_interpreter_stack() is None
        and torch._C._len_torch_dispatch_stack() == 0
        and type(x) is Tensor
        and not isinstance(x, FakeTensor)
    )


def _place(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


def _is_constant(value: Tensor) -> bool:
    return value.numel() == 0 or bool((value == value.flatten()[0]).all())


def _different(one: nn.Module, other: nn.Module) -> str | None:
    """An attribute in which two modules of one factory differ, in words."""
    others = dict(other.named_modules())
    for name, part in one.named_modules():
        there = others.get(name)
        where = f"submodule {name!r}" if name else "the module"
        # A parametrization makes a class of its own for each module.
        if type(there).__qualname__ != type(part).__qualname__:
            return f"the class of {where}"
        for key, value in _attributes(part).items():
            if not _alike(value, _attributes(there).get(key)):
                return f"the attribute {key!r} of {where} ({type(part).__name__})"
    return None


def _attributes(module: Any) -> dict[str, Any]:
    """What a module holds besides parameters, buffers, submodules and hooks."""
    return {
        key: value
        for key, value in vars(module).items()
        if not (key.startswith("_") and key in vars(nn.Module()))
    }


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are equal, as far as that can be told."""
    if isinstance(one, nn.Parameter):  # also held elsewhere, as by a recurrent layer
        return True
    if isinstance(one, Tensor | np.ndarray) and isinstance(other, type(one)):
        return same_bits(*(torch.as_tensor(value).detach() for value in (one, other)))
    if isinstance(one, _SCALARS):
        return type(one) is type(other) and (one == other or one != one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(map(str, one)) == list(map(str, other)) and all(
            map(_alike, one.values(), other.values())
        )
    return type(one) is type(other)


def _compare(forms: ModuleForms, training: bool, params: Tensors, buffers: Tensors, x: Any) -> None:
    """Hold one form's graph against the module: numbers, gradients and buffers.

    A graph knows nothing of a backward pass that a module defines by itself.
    """
    graph = forms._graph(training, x)
    key = random.key(0).to(x.device)
    module = forms._made(0).to(x.device).train(training)
    watcher = Watcher(module)
    found = []
    for own in (True, False):
        learned = {name: value.clone().requires_grad_() for name, value in params.items()}
        states = {name: value.clone() for name, value in buffers.items()}
        if own:
            output, after, new = _own_run(module, watcher, (learned, states), x.clone(), key)
            for name, value in after.items():
                if value is not learned[name] or not same_bits(value, params[name]):
                    raise UnrecordableError(
                        f"forward changes the parameter {name!r} in place; only the optimizer may, "
                        "so make a new tensor of it"
                    )
        else:
            output, *rest = graph(*learned.values(), *states.values(), x.clone(), key)
            new = dict(zip(states, rest, strict=True))
        gradients = _gradients(output, list(learned.values()))
        states = {name: value.detach().clone() for name, value in new.items()}
        found.append((output.detach(), states, gradients))
    (output, states, gradients), (again, recorded, of_graph) = found
    form = "training" if training else "evaluation"
    if not _near(output, again):
        raise UnrecordableError(f"the module returns other numbers than its recorded {form} form")
    for name, value in states.items():
        if not _near(value, recorded[name]):
            raise UnrecordableError(
                f"the buffer {name!r} becomes another one than in the recorded form"
            )
    largest = max((float(one.abs().max()) for one in gradients if one is not None), default=0.0)
    for name, one, other in zip(params, gradients, of_graph, strict=True):
        pair = (_or_zeros(gradient, params[name]) for gradient in (one, other))
        # One that is zero but for rounding, as of a bias before a normalisation, tells nothing.
        if not _near(*pair, floor=1e-3 * largest):
            raise UnrecordableError(
                f"the gradient of the parameter {name!r} is not that of the forward pass (a "
                "torch.autograd.Function or a hook of its own?); write it with torch's operations, "
                "as x + (y - x).detach()"
            )


def _gradients(output: Tensor, weights: list[Tensor]) -> list[Tensor | None]:
    """Of a sum of the outputs in which each has a weight of its own."""
    if not output.requires_grad:
        return [None] * len(weights)
    parts = torch.arange(output.numel(), device=output.device, dtype=output.dtype).sin()
    try:
        return list(torch.autograd.grad(output.reshape(-1) @ parts, weights, allow_unused=True))
    except RuntimeError as error:
        raise UnrecordableError(
            f"the backward pass of the module failed: {one_line(error)}"
        ) from error


def _own_run(
    module: nn.Module, watcher: Watcher, tensors: tuple[Tensors, Tensors], x: Tensor, key: Tensor
) -> tuple[Any, Tensors, Tensors]:
    """The module's own forward pass, its noise drawn from the key as a graph draws it."""
    count = 0

    def noise(func: Any, args: tuple[Any, ...]) -> Any:
        nonlocal count
        number, count = count, count + 1
        target = args[0]
        if func is aten.native_dropout.default:
            share = 1.0 - float(args[1])
            mask = kept(key, number, share, tuple(target.shape), target.dtype)
            return target * (mask / share), mask.bool()
        share = args[1] if len(args) > 1 else 0.5
        mask = kept(key, number, share, tuple(target.shape), target.dtype)
        return target.copy_(mask) if func is aten.bernoulli_.float else mask

    result = run_once(module, watcher, tensors, x, noise)
    count = 0
    first = _kept_state(module)
    again = clone({name: value.detach() for name, value in tensors[0].items()})
    run_once(module, watcher, (again, clone(tensors[1])), x.clone(), noise)
    # What a first call keeps for later ones, such as a cache, does no harm.
    for (where, key_), value in _kept_state(module).items():
        if not _alike(first.get((where, key_), value), value):
            raise UnrecordableError(
                f"{where} changes its attribute {key_!r} whenever it runs, which no seed has for "
                "itself; make it a buffer by register_buffer"
            )
    return result


def _kept_state(module: nn.Module) -> dict[tuple[str, str], Any]:
    """Plain attributes of all submodules, copied as far as they can change."""
    found = {}
    for name, part in module.named_modules():
        where = f"submodule {name!r}" if name else "the module"
        for key, value in _attributes(part).items():
            is_held = isinstance(value, list | dict)
            found[f"{where} ({type(part).__name__})", key] = (
                type(value)(value) if is_held else value
            )
    return found


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def _near(one: Tensor, other: Tensor, floor: float = 0.0) -> bool:
    """Whether two tensors are equal up to rounding in other orders of summation."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not one.is_floating_point():
        return bool((one == other).all())
    size = float(one.abs().nan_to_num(0, 0, 0).max()) if one.numel() else 0.0
    tolerance = 1e-2 if one.dtype != torch.float64 else 1e-6
    slack = max(floor, tolerance * size)
    return torch.allclose(one, other, rtol=tolerance, atol=slack, equal_nan=True)
