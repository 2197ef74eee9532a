"""Multilayer perceptrons as pure functions of a flat parameter dict."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from functional_clf.core.types import Model, Params
from functional_clf.support.arguments import short, whole_number

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: Mapping[str, tuple[Activation, type[nn.Module]]] = {
    "relu": (torch.relu, nn.ReLU),
    "tanh": (torch.tanh, nn.Tanh),
    "sigmoid": (torch.sigmoid, nn.Sigmoid),
    "silu": (nn.functional.silu, nn.SiLU),
    "gelu": (nn.functional.gelu, nn.GELU),
    "leaky_relu": (nn.functional.leaky_relu, nn.LeakyReLU),
    "elu": (nn.functional.elu, nn.ELU),
}
"""Activations by name: the function that `mlp` takes, and the module that equals it."""

NARROW_FAN_IN = 4
"""Up to this fan-in a layer is a sum of broadcast products (see `affine`)."""


def affine(
    weight: Float[Tensor, "fan_out fan_in"],
    bias: Float[Tensor, " fan_out"],
    columns: Float[Tensor, "fan_in sample"],
) -> Float[Tensor, "fan_out sample"]:
    """One linear layer on samples as columns, `weight @ columns + bias`.

    Samples come last, so that they run along memory: a compiler vectorises over them, however
    narrow the layer. And a narrow layer needs no matmul, which with an inner or outer dimension of
    1 or 2 leaves a BLAS kernel mostly idle and is a barrier that a compiler cannot fuse across; as
    multiply-add it melts into its neighbours. The numbers are the same up to rounding.

    Args:
        weight: `(fan_out, fan_in)`, as in `nn.Linear`.
        bias: `(fan_out,)`.
        columns: inputs, `(fan_in, sample)`.

    Returns:
        `(fan_out, sample)`.

    Example:
        >>> affine(torch.tensor([[10.0, 1.0]]), torch.tensor([0.5]), torch.tensor([[1.0], [2.0]]))
        tensor([[12.5000]])
    """
    fan_out, fan_in = weight.shape
    if fan_in <= NARROW_FAN_IN:
        products = (weight[:, i, None] * columns[i] for i in range(fan_in))
        return sum(products, start=bias[:, None])
    if fan_out == 1:
        return (weight[0, :, None] * columns).sum(0, keepdim=True) + bias[:, None]
    return weight @ columns + bias[:, None]


def mlp(layer_sizes: Sequence[int], activation: Activation | None = None) -> Model:
    """A multilayer perceptron: linear layers with an activation between them.

    The parameter dict has the keys and shapes of `nn.Sequential(nn.Linear(...), activation, ...)`,
    so weights swap freely with the module, both ways; with `activation=None` the linear layers
    stand next to each other. `init` draws what `nn.Linear` draws by default, uniform on
    `+-1/sqrt(fan_in)`, in the module's order: the same generator seed gives the same bits.

    Args:
        layer_sizes: inputs, hidden widths and outputs, as in `(2, 16, 16, 1)`: one logit for two
            classes, or a logit for each of several.
        activation: elementwise function between the layers, or None for linear layers only.

    Returns:
        `Model(init, apply)`; `apply(params, x)` maps `(sample, feature)` to logits: `(sample,)`
        where the last size is 1, else `(sample, class)`.

    Raises:
        TypeError: when an argument is of the wrong type.
        ValueError: when the sizes are not two or more positive integers. `apply` raises one when
            the data have another number of features.

    Example:
        >>> model = mlp((2, 16, 1), torch.relu)
        >>> params = model.init(torch.Generator().manual_seed(0))
        >>> {key: tuple(value.shape) for key, value in params.items()}
        {'0.weight': (16, 2), '0.bias': (16,), '2.weight': (1, 16), '2.bias': (1,)}
        >>> model.apply(params, torch.zeros(5, 2)).shape
        torch.Size([5])
    """
    if not isinstance(layer_sizes, Sequence) or isinstance(layer_sizes, str):
        raise TypeError(f"layer_sizes is {short(layer_sizes)}; it must be sizes, as in (2, 16, 1)")
    sizes = tuple(whole_number("layer_sizes", size, 0) for size in layer_sizes)
    if activation is not None and not callable(activation):
        raise TypeError(
            f"activation is {short(activation)}; it must be a function, as torch.relu, or None"
        )
    if len(sizes) < 2 or any(size < 1 for size in sizes):
        raise ValueError(
            f"layer_sizes is {sizes}; it needs at least two positive sizes, as in (2, 16, 1)"
        )
    stride = 1 if activation is None else 2  # an activation takes an index of its own
    names = [str(stride * layer) for layer in range(len(sizes) - 1)]

    def init(generator: Generator) -> Params:
        params = {}
        for name, fan_in, fan_out in zip(names, sizes, sizes[1:], strict=False):
            bound = fan_in**-0.5
            for kind, shape in (("weight", (fan_out, fan_in)), ("bias", (fan_out,))):
                uniform = torch.empty(shape).uniform_(-bound, bound, generator=generator)
                params[f"{name}.{kind}"] = uniform
        return params

    def apply(params: Params, x: Float[Tensor, "sample feature"]) -> Float[Tensor, "sample ..."]:
        if x.shape[-1] != sizes[0]:
            raise ValueError(
                f"layer_sizes is {sizes}, made for {sizes[0]} features; the data have "
                f"{x.shape[-1]}, so it must begin with {x.shape[-1]}"
            )
        columns = x.mT
        for name in names:
            if activation is not None and name != names[0]:
                columns = activation(columns)
            columns = affine(params[f"{name}.weight"], params[f"{name}.bias"], columns)
        return columns.squeeze(0) if sizes[-1] == 1 else columns.mT

    return Model(init, apply)


def sequential(layer_sizes: Sequence[int], activation: str | None = None) -> nn.Sequential:
    """The `nn.Sequential` whose state_dict has the keys and shapes of `mlp`'s params.

    Args:
        layer_sizes: as for `mlp`.
        activation: a name in `ACTIVATIONS`, or None.

    Returns:
        A module with fresh weights; `load_state_dict(params)` makes it the trained classifier.

    Example:
        >>> params = mlp((2, 16, 1), torch.relu).init(torch.Generator().manual_seed(0))
        >>> sequential((2, 16, 1), "relu").load_state_dict(params)
        <All keys matched successfully>
    """
    modules: list[nn.Module] = []
    for fan_in, fan_out in pairwise(layer_sizes):
        if modules and activation is not None:
            modules.append(ACTIVATIONS[activation][1]())
        modules.append(nn.Linear(fan_in, fan_out))
    return nn.Sequential(*modules)
