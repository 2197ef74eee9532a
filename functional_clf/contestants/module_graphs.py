"""The forward pass of an `nn.Module` as a graph of pure operations, recorded once per form.

A module keeps state, asks whether it is in training, draws noise from a global generator and writes
into its buffers. Its recording does none of that: parameters, buffers, samples and a key go in,
logits and new buffers come out. A graph runs under every engine alike, and what a module does that
no graph can say is found while it is recorded, and told by the name of the submodule that does it.
"""

import contextlib
import logging
import random as pythons_random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, cast

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch._decomp import get_decompositions
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch._guards import tracing
from torch._subclasses.functional_tensor import FunctionalTensorMode, dispatch_functionalize
from torch.fx.experimental.proxy_tensor import get_proxy_mode, make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from functional_clf.contestants.keyed_noise import DROPOUTS, kept
from functional_clf.support.errors import one_line

Tensors = dict[str, Tensor]

aten = torch.ops.aten
_KEPT = (aten.bernoulli_.float, aten.bernoulli.p)
_NOISE = (*_KEPT, aten.native_dropout.default)
# What a vmap would run one replicate after another is recorded as what it is made of.
_TAKEN_APART = (
    *(aten._native_batch_norm_legit_functional, aten._native_batch_norm_legit_no_training),
    *(aten._native_batch_norm_legit.no_stats, aten.cudnn_batch_norm, aten._batch_norm_with_update),
    *(aten._batch_norm_no_update, aten._batch_norm_with_update_functional),
    *(aten._native_batch_norm_legit.default, aten.native_batch_norm),
)

_ASKS_FOR_A_VALUE = (
    "{where} asks for the value of a tensor in Python (a branch as in `if x.sum() > 0`, float(x), "
    "x.item()), which differs from seed to seed; use torch.where"
)
_HAS_NO_FIXED_SHAPE = (
    "{where} makes a tensor whose shape depends on values (a boolean mask, torch.nonzero), which "
    "differs from seed to seed; use torch.where"
)


class Form(NamedTuple):
    """What a graph is recorded for: a batch's form, and whether it is for training."""

    training: bool
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    weights: torch.dtype


class Graph(NamedTuple):
    """A recorded forward pass.

    run: `(*params, *buffers, x, key) -> [output, *buffers]`, in the order of the names.
    draws: how often it draws noise from the key.
    """

    run: fx.GraphModule
    draws: int


class UnrecordableError(ValueError):
    """A module does what cannot be trained for many replicates at once; one line says what."""


class _RefusedError(Exception):
    pass


class Watcher:
    """Looks at a module while it runs: which submodule is on, and who asks for random numbers.

    Args:
        module: whose submodules to name.

    Example:
        >>> module = nn.Sequential(nn.Linear(2, 1))
        >>> watcher = Watcher(module)
        >>> watcher.where()
        'the module (Sequential)'
    """

    def __init__(self, module: nn.Module) -> None:
        self._stack = [("", module)]
        self._in_dropout = 0
        for name, part in module.named_modules():
            if name:
                part.register_forward_pre_hook(self._entering(name))
                part.register_forward_hook(self._leaving)

    def where(self) -> str:
        """The submodule that runs, or in which something has just failed."""
        name, module = self._stack[-1]
        kind = type(module).__name__
        return f"submodule {name!r} ({kind})" if name else f"the module ({kind})"

    @contextlib.contextmanager
    def watching(self, noise: Callable[[Any, tuple[Any, ...]], Any]) -> Iterator[None]:
        """Within it, `noise(operation, arguments)` does what draws a dropout's noise."""
        with _Dropouts(self), _Operations(self, noise):
            yield

    def refuse_randomness(self, what: str) -> NoReturn:
        """Raise what says that the submodule which runs draws random numbers of its own."""
        raise _RefusedError(
            f"{self.where()} draws random numbers of its own ({what}), which no seed decides; "
            "dropout layers draw from each seed's own key: use one, or leave it out"
        )

    def refuse_dropout(self) -> NoReturn:
        """Raise what says that the submodule which runs has noise in its evaluation form."""
        raise _RefusedError(
            f"{self.where()} drops out in evaluation, too; give its dropout training=self.training"
        )

    def _entering(self, name: str) -> Callable[..., None]:
        def entering(module: nn.Module, inputs: Any) -> None:
            del inputs
            self._stack.append((name, module))

        return entering

    def _leaving(self, module: nn.Module, inputs: Any, output: Any) -> None:
        del module, inputs, output
        self._stack.pop()


class _Dropouts(TorchFunctionMode):
    """Notes while one of torch's dropouts runs."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self._watcher = watcher

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        is_dropout = getattr(func, "__name__", None) in DROPOUTS
        self._watcher._in_dropout += is_dropout
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self._watcher._in_dropout -= is_dropout


class _Operations(TorchDispatchMode):
    """Sees every operation, below autograd."""

    def __init__(self, watcher: Watcher, noise: Callable[[Any, tuple[Any, ...]], Any]) -> None:
        super().__init__()
        self._watcher, self._noise = watcher, noise

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in func.tags:
            if func in _NOISE and self._watcher._in_dropout:
                return self._noise(func, args)
            # A dropout of 0, and attention without one, draw nothing.
            if not (func.name().startswith("aten::_scaled_dot") or _draws_nothing(func, args)):
                self._watcher.refuse_randomness(func.name().removeprefix("aten::"))
        mode = get_proxy_mode()
        if mode is None:
            return func(*args, **kwargs)
        root = mode.tracer.graph._root
        last = root._prev
        result = func(*args, **kwargs)
        if isinstance(result, torch.SymInt | torch.SymFloat | torch.SymBool):
            raise _RefusedError(_ASKS_FOR_A_VALUE.format(where=self._watcher.where()))
        if isinstance(result, Tensor) and any(isinstance(n, torch.SymInt) for n in result.shape):
            raise _RefusedError(_HAS_NO_FIXED_SHAPE.format(where=self._watcher.where()))
        if not torch.is_grad_enabled():
            node = root._prev
            while node is not last and node is not root:
                node.meta["no_grad"] = True
                node = node._prev
        return result


def _draws_nothing(func: Any, args: tuple[Any, ...]) -> bool:
    return func is aten.rrelu_with_noise.default and not (len(args) > 4 and args[4])


def run_once(
    module: nn.Module,
    watcher: Watcher,
    tensors: tuple[Tensors, Tensors],
    x: Tensor,
    noise: Callable[[Any, tuple[Any, ...]], Any],
) -> tuple[Any, Tensors, Tensors]:
    """One forward pass of the module itself, with other params and buffers than its own.

    Args:
        module: in training or in evaluation form.
        watcher: of this module.
        tensors: params and buffers by name; the buffers may be written into.
        x: the samples; may be written into.
        noise: as in `Watcher.watching`.

    Returns:
        What the module returned, and params and buffers as they are afterwards.

    Raises:
        UnrecordableError: when it fails, or does what cannot be recorded; the line names the
            submodule.
    """
    params, buffers = tensors
    merged = {**params, **buffers}
    state = _other_states()
    try:
        with watcher.watching(noise):
            output = torch.func.functional_call(module, merged, (x,), tie_weights=True)
        if _other_states() != state:
            watcher.refuse_randomness("Python's random or numpy.random")
    except _RefusedError as error:
        raise UnrecordableError(str(error)) from error
    except Exception as error:  # a user's module may fail in any way
        raise UnrecordableError(_told(watcher.where(), error)) from error
    return output, {name: merged[name] for name in params}, {name: merged[name] for name in buffers}


def record(
    module: nn.Module, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], form: Form
) -> Graph:
    """Record a module's forward pass.

    Args:
        module: one that nothing else uses; it is left in any state.
        params: tensors of the names, shapes and types that it will be given.
        buffers: likewise.
        form: of the batch.

    Returns:
        The graph: pure operations, whatever the module writes into.

    Raises:
        UnrecordableError: when the module does what cannot be recorded; the line names the
            submodule.

    Example:
        >>> module = nn.Sequential(nn.Linear(2, 1), nn.Dropout(0.5))
        >>> form = Form(True, (7, 2), torch.float32, torch.device("cpu"), torch.float32)
        >>> graph = record(module, dict(module.named_parameters()), {}, form)
        >>> graph.draws
        1
    """
    module.train(form.training)
    _count_by_tensors(module)
    watcher = Watcher(module)
    names, states = list(params), list(buffers)

    def noise(func: Any, args: tuple[Any, ...]) -> Any:
        if not form.training:
            watcher.refuse_dropout()
        return func(*args)  # told by its name, and replaced below

    def forward(*flat: Tensor) -> list[Tensor]:
        inputs = dict(zip(names, flat, strict=False))
        kept_states = dict(zip(states, flat[len(names) : -2], strict=True))
        copies = {name: value.clone() for name, value in kept_states.items()}
        output, after, new = run_once(module, watcher, (inputs, copies), flat[-2].clone(), noise)
        if not isinstance(output, Tensor):
            raise UnrecordableError(
                f"the module returned a {type(output).__name__}; it must return one tensor of "
                "logits"
            )
        for name, value in new.items():
            _check_form_kept(name, kept_states[name], value)
        return [output, *new.values(), *after.values()]

    with plain_torch():
        device = form.device
        examples = [
            torch.empty(
                value.shape,
                dtype=form.weights if value.is_floating_point() else value.dtype,
                device=device,
            )
            for value in (*params.values(), *buffers.values())
        ]
        examples.append(torch.empty(form.shape, dtype=form.dtype, device=device))
        examples.append(torch.empty(2, dtype=torch.int32, device=device))
        run = make_fx(
            dispatch_functionalize(forward, FunctionalTensorMode()),
            decomposition_table=cast(Any, get_decompositions(_TAKEN_APART)),
            tracing_mode="fake",
            _allow_non_fake_inputs=True,
        )(*examples)
    return _cleaned(run, names, states)


def _cleaned(run: fx.GraphModule, names: list[str], states: list[str]) -> Graph:
    """The graph with its noise drawn from the key, without what it need not do."""
    graph = run.graph
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    key = inputs[-1]
    output = next(iter(reversed(graph.nodes)))
    results = list(output.args[0])
    n_kept = 1 + len(states)
    for name, node, after in zip(names, inputs, results[n_kept:], strict=False):
        if after is not node:
            raise UnrecordableError(
                f"forward changes the parameter {name!r} in place; only the optimizer may, so make "
                "a new tensor of it (a buffer may be changed)"
            )
    output.args = (results[:n_kept],)
    draws = 0
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target in _NOISE:
            with graph.inserting_before(node):
                _keyed(graph, node, key, draws)
            graph.erase_node(node)
            draws += 1
        elif node.target is aten.copy.default and _are_alike(*node.all_input_nodes[:2]):
            # What a tensor holds after something was written into it.
            node.replace_all_uses_with(node.args[1])
            graph.erase_node(node)
        elif node.target is aten.clone.default and _is_copy_of_input(node):
            # Copies were made so that writing into them does no harm; a graph writes into nothing.
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    _stop_gradients(graph)
    graph.eliminate_dead_code()
    graph.lint()
    # Of the plain class, which torch's compiler can look into.
    return Graph(fx.GraphModule(run, graph, "Recorded"), draws)


def _is_copy_of_input(node: fx.Node) -> bool:
    return not node.kwargs and node.all_input_nodes[0].op == "placeholder"


def _are_alike(*nodes: fx.Node) -> bool:
    values = [node.meta.get("val") for node in nodes]
    forms = [(value.shape, value.dtype) for value in values if isinstance(value, Tensor)]
    return len(forms) == 2 and forms[0] == forms[1]


def _keyed(graph: fx.Graph, node: fx.Node, key: fx.Node, number: int) -> None:
    """Put a draw from the key in the place of one from a global generator."""
    value = node.meta["val"]
    if node.target in _KEPT:
        like, share = value, node.args[1] if len(node.args) > 1 else 0.5
    else:
        like, share = value[0], 1.0 - float(cast(Any, node.args[1]))
    shape = tuple(map(int, like.shape))
    drawn = graph.call_function(kept, (key, number, share, shape, like.dtype))
    drawn.meta["val"] = like
    if node.target in _KEPT:
        node.replace_all_uses_with(drawn)
        return
    scaled = graph.call_function(aten.div.Tensor, (drawn, share))
    result = graph.call_function(aten.mul.Tensor, (node.all_input_nodes[0], scaled))
    for user in list(node.users):  # of the pair (result, mask)
        user.replace_all_uses_with(result if cast(Any, user.args)[1] == 0 else drawn)
        graph.erase_node(user)


def _stop_gradients(graph: fx.Graph) -> None:
    """What was made without gradients passes none: a graph does not say so by itself."""
    for node in list(graph.nodes):
        if not node.meta.get("no_grad") or not isinstance(node.meta.get("val"), Tensor):
            continue
        outside = [user for user in node.users if not user.meta.get("no_grad")]
        if outside:
            with graph.inserting_after(node):
                stopped = graph.call_function(aten.detach.default, (node,))
            for user in outside:
                user.replace_input_with(node, stopped)


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Torch as outside of all transforms and tracers, with attention as plain operations."""
    fast = torch.backends.mha.get_fastpath_enabled()
    onednn = torch._C._get_mkldnn_enabled()
    # What fails is told in a line of ours; torch would log a page before it.
    noisy = logging.getLogger("torch._subclasses.fake_tensor")
    level = noisy.level
    noisy.setLevel(logging.CRITICAL)
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)  # else an LSTM is one operation that has no vmap
    try:
        with (
            temporarily_clear_interpreter_stack(),
            _disable_current_modes(),
            tracing(None),
            torch.enable_grad(),
            sdpa_kernel(SDPBackend.MATH),
        ):
            yield
    finally:
        noisy.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fast)
        torch._C._set_mkldnn_enabled(onednn)


def _count_by_tensors(module: nn.Module) -> None:
    """Let batch normalisations with a cumulative average reckon its weight as a tensor."""
    for part in module.modules():
        is_plain = isinstance(part, nn.modules.batchnorm._BatchNorm) and (
            type(part).forward is nn.modules.batchnorm._BatchNorm.forward
        )
        if is_plain and part.momentum is None and part.track_running_stats:
            cast(Any, part).forward = _CumulativeForward(part)


class _CumulativeForward:
    """`nn.BatchNorm` with momentum=None, whose own forward asks for the count as a number."""

    def __init__(self, norm: Any) -> None:
        self._norm = norm

    def __call__(self, x: Tensor) -> Tensor:
        norm = self._norm
        norm._check_input_dim(x)
        affine = (norm.weight, norm.bias)
        if not norm.training:
            return nn.functional.batch_norm(
                x, norm.running_mean, norm.running_var, *affine, False, 0.0, norm.eps
            )
        norm.num_batches_tracked.add_(1)
        mean, var = norm.running_mean.clone(), norm.running_var.clone()
        result = nn.functional.batch_norm(x, mean, var, *affine, True, 1.0, norm.eps)
        share = 1.0 / norm.num_batches_tracked.to(mean.dtype)
        norm.running_mean.mul_(1 - share).add_(share * mean)
        norm.running_var.mul_(1 - share).add_(share * var)
        return result


def _check_form_kept(name: str, before: Tensor, after: Any) -> None:
    if not isinstance(after, Tensor):
        raise UnrecordableError(f"forward makes the buffer {name!r} a {type(after).__name__}")
    if (before.shape, before.dtype) != (after.shape, after.dtype):
        raise UnrecordableError(
            f"forward makes the buffer {name!r} of {tuple(before.shape)} and {before.dtype} one of "
            f"{tuple(after.shape)} and {after.dtype}; it must keep its form"
        )


def _told(where: str, error: Exception) -> str:
    """What went wrong in a submodule, in one line."""
    told = one_line(error)
    if type(error).__name__ == "DynamicOutputShapeException":
        return _HAS_NO_FIXED_SHAPE.format(where=where)
    asks = ("DataDependentOutputException", "GuardOnDataDependentSymNode")
    if type(error).__name__ in asks or "value out of a tracing tensor" in told:
        return _ASKS_FOR_A_VALUE.format(where=where)
    if "numpy" in told.lower() and "tensor" in told.lower():
        return f"{where} leaves torch for NumPy, which no seed's gradient passes; use torch"
    if "more than 1 value per channel" in told:
        return (
            f"{where} was given a batch of one sample ({told}): choose another batch_size, or "
            "drop_last=True, which leaves the rest of an epoch out"
        )
    return f"{where} failed: {told}"


def _other_states() -> tuple[Any, ...]:
    """The states of the global generators that are not torch's."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - to see that nobody uses it
    return name, np.asarray(keys).tobytes(), *rest, pythons_random.getstate()
