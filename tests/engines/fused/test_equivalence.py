"""The fused engine beside the eager one, on identical weights and data, in float64."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils import _pytree as pytree

from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.models import ACTIVATIONS, mlp
from functional_clf.core.optim import adam, sgd
from functional_clf.core.types import Model
from functional_clf.data.batches import draw_chunk
from functional_clf.data.dataset import Dataset
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.vmapped import EAGER

CPU = torch.device("cpu")
OPTIMIZERS = {
    "sgd": lambda: sgd(0.1),
    "momentum": lambda: sgd(0.05, momentum=0.9),
    "adam": lambda: adam(0.01),
    "adam without memory": lambda: adam(0.01, b1=0.0, b2=0.0, eps=1e-3),
}


def function_of(activation):
    return None if activation is None else ACTIVATIONS[activation][0]


def blobs(samples, features):
    """Two classes in as many dimensions as one likes, of different spreads."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        y = np.arange(samples) % 2
        return rng.normal(size=(samples, features)) * (1 + y[:, None]) + 0.1, y

    return Dataset("blobs", samples, draw)


def double(tree):
    return pytree.tree_map_only(
        torch.Tensor, lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, tree
    )


def chunk_of(width, samples, features, test_size=0.2):
    dataset = circles(samples) if features == 2 else blobs(samples, features)
    return draw_chunk(dataset, [replicate(s, "data") for s in range(width)], test_size, CPU)


def assert_equivalent(recipe, start, data):
    """Final params by how far they are apart, beside how far they went; curves number by number."""
    theirs, their_curves = EAGER.train(recipe, start, data, recipe.epochs)
    ours, our_curves = FUSED.train(recipe, start, data, recipe.epochs)
    for key, value in theirs.params.items():
        assert ours.params[key].dtype == value.dtype
        moved, apart = (value - start.params[key]), (ours.params[key] - value)
        for lane in range(len(value)):
            assert apart[lane].norm() <= 1e-9 * moved[lane].norm(), (key, lane)
    assert our_curves.epochs == their_curves.epochs
    for our, their in (
        (our_curves.train, their_curves.train),
        (our_curves.test, their_curves.test),
    ):
        torch.testing.assert_close(our.loss, their.loss, rtol=1e-9, atol=0)
        assert torch.equal(our.correct, their.correct)
    opt_states = (pytree.tree_leaves(one.opt_state) for one in (ours, theirs))
    for our, their in zip(*opt_states, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_every_activation_under_every_optimizer_equals_the_eager_engine(
    activation, optimizer, float64
):
    model = mlp((2, 6, 5, 1), function_of(activation))
    recipe = Recipe("model", model, OPTIMIZERS[optimizer](), epochs=30)
    assert_equivalent(recipe, init_chunk(recipe, range(3), CPU), double(chunk_of(3, 77, 2)))


@pytest.mark.parametrize(
    ("layer_sizes", "activation", "optimizer", "samples", "width"),
    [
        ((2, 1), None, "adam", 21, 1),
        ((2, 1), None, "sgd", 100, 5),
        ((1, 1), None, "momentum", 10, 2),
        ((2, 5, 1), None, "sgd", 1003, 5),
        ((2, 5, 1), "gelu", "adam without memory", 21, 5),
        ((2, 16, 16, 1), "relu", "adam", 1003, 1),
        ((2, 16, 16, 1), "relu", "adam", 4, 2),
        ((3, 7, 5, 1), "silu", "momentum", 77, 5),
        ((3, 7, 5, 1), None, "adam", 100, 1),
        ((5, 1, 1, 1), "tanh", "adam", 33, 2),
        ((5, 4, 3, 2, 1), "sigmoid", "adam", 40, 2),
        ((6, 17, 33, 1), "relu", "adam", 100, 5),
        ((6, 17, 33, 1), "tanh", "momentum", 21, 1),
        ((70, 3, 1), "tanh", "sgd", 30, 2),
        ((2, 64, 1), "relu", "adam", 50, 2),
        ((2, 65, 1), "relu", "adam", 50, 2),
        ((2, 70, 1), "tanh", "adam", 100, 2),
        ((2, 70, 1), "relu", "sgd", 21, 1),
    ],
)
def test_networks_of_every_shape_equal_the_eager_engine(
    layer_sizes, activation, optimizer, samples, width, float64
):
    model = mlp(layer_sizes, function_of(activation))
    recipe = Recipe("model", model, OPTIMIZERS[optimizer](), epochs=30)
    data = double(chunk_of(width, samples, layer_sizes[0]))
    assert_equivalent(recipe, init_chunk(recipe, range(width), CPU), data)


@pytest.mark.parametrize(
    ("samples", "test_size"), [(4, 0.25), (16, 0.5), (21, 0.7), (997, 0.01), (1603, 0.2)]
)
def test_samples_need_not_fill_vectors_or_blocks(samples, test_size, float64):
    recipe = Recipe("model", mlp((2, 8, 8, 1), torch.tanh), adam(0.01), epochs=20)
    data = double(chunk_of(2, samples, 2, test_size))
    assert_equivalent(recipe, init_chunk(recipe, range(2), CPU), data)


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=3).map(lambda layers: (*layers, 1)),
    st.sampled_from([None, *ACTIVATIONS]),
    st.sampled_from(list(OPTIMIZERS)),
    st.integers(4, 90),
)
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
def test_any_network_equals_the_eager_engine(layer_sizes, activation, optimizer, samples):
    model = mlp(layer_sizes, function_of(activation))
    recipe = Recipe("model", model, OPTIMIZERS[optimizer](), epochs=10)
    start = double(init_chunk(recipe, range(2), CPU))
    assert_equivalent(recipe, start, double(chunk_of(2, samples, layer_sizes[0])))


@pytest.mark.parametrize("make", [model_0, model_1])
def test_in_float32_it_is_as_near_to_float64_as_can_be(make):
    recipe, seeds, data = make(epochs=20), range(4), chunk_of(4, 200, 2)
    start = init_chunk(recipe, seeds, CPU)
    exact, exact_curves = EAGER.train(recipe, double(start), double(data), recipe.epochs)
    ours, curves = FUSED.train(recipe, start, data, recipe.epochs)
    for key, value in exact.params.items():
        moved, apart = value - start.params[key], ours.params[key] - value
        assert ours.params[key].dtype == torch.float32
        for lane in seeds:
            assert apart[lane].norm() <= 1e-4 * moved[lane].norm()
    torch.testing.assert_close(
        curves.train.loss.double(), exact_curves.train.loss, rtol=1e-5, atol=0
    )


# Models that are not made by `mlp`: apply(params, x), x (sample, feature); w (7, 3), b (7,),
# u (7, 7), v (7,), row (1, 7), scale ().

HIDDEN = 7


def affine(p, x):
    return x @ p["w"].T + p["b"]


def of_hidden(*functions):
    """A model with each of the functions applied to a hidden layer."""

    def apply(p, x):
        h = affine(p, x)
        return sum(function(h) for function in functions) @ p["v"]

    return apply


def layer_norm_by_hand(h):
    h = h - h.mean(1, keepdim=True)
    return h * torch.rsqrt(h.square().mean(1, keepdim=True) + 1e-5)


def gated(p, x):
    h = affine(p, x)
    return (torch.sigmoid(h) * torch.tanh(h @ p["u"].T)) @ p["v"]


def shared_weights(p, x):
    h = torch.tanh(affine(p, x))
    for _ in range(3):
        h = h + 0.5 * torch.tanh(h @ p["u"])
    return h @ p["v"]


def in_columns(p, x):
    h = torch.tanh(p["w"] @ x.T + p["b"].unsqueeze(1))
    return (p["row"] @ torch.tanh(p["u"] @ h)).squeeze(0)


def linear_layers(p, x):
    h = nn.functional.silu(nn.functional.linear(x, p["w"], p["b"]))
    return nn.functional.linear(h, p["row"], p["scale"].reshape(1)).squeeze(-1)


def normalised_weights(p, x):
    w = p["w"] / p["w"].square().sum(1, keepdim=True).sqrt()
    return torch.tanh(x @ w.T) @ p["v"]


def sine_features(p, x):
    return torch.sin(3 * x) @ p["w"][0] + torch.cos(2 * x) @ p["w"][1]


def two_means(p, x):
    h = torch.tanh(affine(p, x))
    return (h * p["v"]).sum(-1) + h.mean(1) * p["scale"]


MODELS = {
    "rows": lambda p, x: (torch.tanh(affine(p, x)) @ p["row"].T).squeeze(1),
    "linear": linear_layers,
    "linear without bias": lambda p, x: nn.functional.linear(
        torch.relu(nn.functional.linear(x, p["w"])), p["row"]
    ).squeeze(-1),
    "mv": lambda p, x: torch.tanh(affine(p, x)) @ p["v"],
    "mv of columns": lambda p, x: torch.tanh(p["w"] @ x.T + p["b"][:, None]).T @ p["v"],
    "mv of the inputs": lambda p, x: x @ p["w"][0] + p["scale"],
    "columns": in_columns,
    "permute": lambda p, x: torch.tanh(p["w"] @ x.permute(1, 0)).permute(1, 0) @ p["v"],
    "sines": of_hidden(lambda h: torch.sin(3 * h), lambda h: torch.cos(2 * h)),
    "sine features": sine_features,
    "kinks": of_hidden(
        lambda h: nn.functional.leaky_relu(h, 0.2),
        lambda h: torch.clamp(4 * h, 0, 6),
        lambda h: h.clamp(-0.5, 0.5),
        lambda h: h.clamp_min(0.1),
        lambda h: h.clamp_max(0.3),
    ),
    "maximum": of_hidden(lambda h: torch.maximum(h, 0.5 - h)),
    "minimum": of_hidden(lambda h: torch.minimum(h, 0.5 - h)),
    "masks": of_hidden(
        lambda h: torch.where(h > 0.1, h, 0.1 * h - 0.5), lambda h: h * (h > 0).to(h.dtype)
    ),
    "masks multiplied": of_hidden(lambda h: h * ((h > 0) * (h < 0.5))),
    "masks added": of_hidden(lambda h: h * ((h > 0) + (h > 0.5))),
    "powers": of_hidden(
        torch.square,
        lambda h: h**3,
        lambda h: 0.1 * h**4,
        lambda h: torch.sqrt(1 + h.square()),
        lambda h: 1 / (1 + h.square()),
        lambda h: h / (1 + torch.sqrt(h * h + 0.01)),
    ),
    "exponentials": of_hidden(
        lambda h: torch.exp(-h.square()),
        lambda h: torch.log1p(torch.exp(h)),
        lambda h: torch.log(1 + h.square()),
        lambda h: torch.expm1(0.3 * h),
        torch.erf,
    ),
    "logsigmoid": of_hidden(nn.functional.logsigmoid),
    "gelu_tanh": of_hidden(lambda h: nn.functional.gelu(h, approximate="tanh")),
    "differences": lambda p, x: torch.sub(1 - torch.tanh(affine(p, x)), p["b"], alpha=2) @ p["v"],
    "rsub with alpha": of_hidden(lambda h: torch.rsub(torch.tanh(h), 1.5, alpha=2)),
    "a product of features": lambda p, x: (lambda h: h[:, 0] * h[:, 1] - h[:, 6])(affine(p, x)),
    "the last feature": lambda p, x: (lambda h: h[:, 0] * h[:, -1])(torch.tanh(affine(p, x))),
    "the last weights": lambda p, x: x @ p["w"][-1] + p["b"][-2],
    "sums of features": two_means,
    "scaled weights": lambda p, x: torch.tanh(x @ (p["w"] * p["scale"].exp()).T) @ p["v"],
    "normalised weights": normalised_weights,
    "a weight that multiplies itself": lambda p, x: torch.tanh(affine(p, x)) @ (p["v"] * p["v"]),
    "layer norm": of_hidden(layer_norm_by_hand),
    "gated": gated,
    "shared weights": shared_weights,
    "the number of samples": lambda p, x: torch.tanh(affine(p, x)) @ p["v"] * len(x) / 50,
    "ones": lambda p, x: torch.tanh(affine(p, x)) @ p["v"] + torch.ones_like(x[:, 0]) * p["scale"],
    "minus a constant": lambda p, x: affine(p, x) @ p["v"] + -torch.full_like(x[:, 0], -1),
    "detached": of_hidden(lambda h: h.detach() * torch.sigmoid(h)),
    "in place": lambda p, x: affine(p, x).mul_(2).add_(1).tanh() @ p["v"],
}


def model_of(apply):
    def init(generator):
        shapes = {
            "w": (HIDDEN, 3),
            "b": (HIDDEN,),
            "u": (HIDDEN, HIDDEN),
            "v": (HIDDEN,),
            "row": (1, HIDDEN),
            "scale": (),
        }
        return {
            key: torch.empty(shape).uniform_(-0.9, 0.9, generator=generator)
            for key, shape in shapes.items()
        }

    return Model(init, apply)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_ones_own_equal_the_eager_engine(name, float64):
    recipe = Recipe(name, model_of(MODELS[name]), sgd(0.05), epochs=10)
    assert_equivalent(recipe, init_chunk(recipe, range(2), CPU), double(chunk_of(2, 45, 3)))
