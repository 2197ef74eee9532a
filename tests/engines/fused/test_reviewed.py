"""What a reviewer found to be fused wrongly, or refused by a crash."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.base import collect
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.optim import sgd
from functional_clf.core.types import Batch, Model, Optimizer
from functional_clf.data.batches import ChunkData, draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.engines.fused import inputs, library
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.fused.trace import UnfusableError
from functional_clf.engines.vmapped import EAGER

fused, eager = FUSED.train, EAGER.train

SHAPES = {"w": (4, 2), "b": (4,), "v": (4,), "u": (4, 4), "pos": (500,)}


def init(generator):
    return {key: torch.randn(shape, generator=generator) for key, shape in SHAPES.items()}


def hidden(p, x):
    return torch.tanh(x @ p["w"].T + p["b"])


def trained(engine, apply, optimizer=None, samples=61):
    recipe = Recipe("own", Model(init, apply), optimizer or sgd(0.1), epochs=5)
    chunk = [replicate(seed, "data") for seed in range(2)]
    data = draw_chunk(circles(samples), chunk, 0.2, torch.device("cpu"))
    state = init_chunk(recipe, [2, 5], torch.device("cpu"))
    return recipe, data, lambda: engine(recipe, state, data, recipe.epochs)


@pytest.mark.parametrize(
    "apply",
    [
        lambda p, x: torch.addmm(torch.tanh(x[:, :1]), hidden(p, x), p["u"]) @ p["v"],
        lambda p, x: torch.tanh(torch.addmm(hidden(p, x), hidden(p, x), p["u"])) @ p["v"],
        lambda p, x: hidden(p, x) @ p["v"] * (1.0 if len(x) < 40 else 0.5),
        lambda p, x: hidden(p, x) @ p["v"] * p["b"].mean().sum(0),
        lambda p, x: hidden(p, x) @ p["v"] * (2 + p["b"]).square().pow(-1).sum(),
    ],
    ids=["addmm", "addmm of itself", "depends on samples", "sum of a number", "inverse"],
)
def test_it_equals_the_eager_engine(apply):
    (state, curves), (wanted, wanted_curves) = (
        trained(engine, apply)[2]() for engine in (fused, eager)
    )
    for key, value in wanted.params.items():
        torch.testing.assert_close(state.params[key], value, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(curves.test.loss, wanted_curves.test.loss, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(curves.train.loss, wanted_curves.train.loss, rtol=1e-4, atol=1e-6)


class Counter(NamedTuple):
    n: Tensor


def counting(start, add):
    def update(grads, state, params):
        n = state.n + add(grads)
        return {key: -0.1 * grad for key, grad in grads.items()}, Counter(n)

    return Optimizer(lambda params: Counter(start), update)


@pytest.mark.parametrize(
    ("apply", "optimizer", "reason"),
    [
        (lambda p, x: (hidden(p, x) + p["v"].expand(len(x), 4) @ p["u"]) @ p["v"], None, "repeats"),
        (
            lambda p, x: hidden(p, x) @ p["v"] + p["pos"].detach()[: len(x)],
            None,
            "as many weights as there are samples",
        ),
        (
            lambda p, x: hidden(p, x) @ p["v"],
            counting(torch.tensor(0), lambda grads: 1.0),
            "changes its shape or type",
        ),
        (
            lambda p, x: hidden(p, x) @ p["v"],
            counting(torch.tensor(0.0), lambda grads: grads["b"]),
            "changes its shape or type",
        ),
    ],
    ids=["expanded factor", "weights a sample", "type", "shape"],
)
def test_it_is_refused_in_one_line(apply, optimizer, reason):
    recipe, data, train = trained(fused, apply, optimizer)
    assert reason in (FUSED.why_not([recipe], data) or "")
    with pytest.raises(UnfusableError, match=reason):
        train()


def test_a_model_that_cannot_be_traced_is_told_in_one_line():
    def apply(p, x):
        if torch.is_grad_enabled():
            raise RuntimeError("not today\nnor tomorrow")
        return hidden(p, x) @ p["v"]

    recipe, data, _ = trained(fused, apply)
    assert FUSED.why_not([recipe], data) == "own cannot be traced (not today)"


# What is one tensor when a recipe is traced need not stay one.


def adamw():
    """AdamW under a cosine, by hand: both moments begin as one tensor."""

    def init(params):
        zero = {key: torch.zeros_like(param) for key, param in params.items()}
        return {"m": zero, "v": dict(zero), "steps": torch.zeros(())}

    def update(grads, state, params):
        m = {key: 0.9 * state["m"][key] + 0.1 * grad for key, grad in grads.items()}
        v = {key: 0.99 * state["v"][key] + 0.01 * grad.square() for key, grad in grads.items()}
        rate = 0.05 * (1 + torch.cos(0.1 * state["steps"]))
        updates = {
            key: -rate * (m[key] / (v[key].sqrt() + 1e-3) + 0.01 * params[key]) for key in grads
        }
        return updates, {"m": m, "v": v, "steps": state["steps"] + 1}

    return Optimizer(init, update)


def averaging():
    """SGD that is drawn to a running average of the weights, which begins as the weights."""

    def update(grads, state, params):
        average = {key: 0.9 * state[key] + 0.1 * params[key] for key in grads}
        pull = {key: average[key] - params[key] for key in grads}
        return {key: 0.5 * pull[key] - 0.1 * grad for key, grad in grads.items()}, average

    return Optimizer(lambda params: params, update)


def anchored():
    """SGD that is drawn to where the weights began."""

    def update(grads, state, params):
        pull = {key: state[key] - params[key] for key in grads}
        return {key: 0.5 * pull[key] - 0.1 * grad for key, grad in grads.items()}, state

    return Optimizer(lambda params: params, update)


def assert_as_eager(recipe, data):
    start = init_chunk(recipe, [2, 5], torch.device("cpu"))
    (ours, curves), (wanted, wanted_curves) = (
        engine(recipe, start, data, recipe.epochs) for engine in (fused, eager)
    )
    for found, value in zip(*map(pytree.tree_leaves, (ours, wanted)), strict=True):
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(curves.train.loss, wanted_curves.train.loss, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", [adamw, averaging, anchored])
def test_leaves_of_a_state_that_begin_as_one_tensor_are_two(optimizer):
    recipe, data, _ = trained(fused, lambda p, x: hidden(p, x) @ p["v"])
    assert_as_eager(replace(recipe, optimizer=optimizer(), epochs=20), data)


def test_weights_that_begin_as_one_tensor_are_two():
    def tied(generator):
        one = torch.randn(4, 4, generator=generator)
        return init(generator) | {"u": one, "u2": one, "u3": one.mT}

    def apply(p, x):
        return torch.tanh(torch.tanh(hidden(p, x) @ p["u"]) @ p["u2"]) @ p["u3"] @ p["v"]

    recipe, data, _ = trained(fused, apply)
    assert_as_eager(replace(recipe, model=Model(tied, apply)), data)


def test_a_model_that_writes_into_its_data_is_refused():
    def apply(p, x):
        x -= 0.05
        return hidden(p, x) @ p["v"]

    recipe, data, train = trained(fused, apply)
    assert "writes into its arguments" in (FUSED.why_not([recipe], data) or "")
    with pytest.raises(UnfusableError, match="writes into its arguments"):
        train()


# gcc's bug 110702: a sum over exactly one vector of samples was lost.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("vectors", [16, 32, 64])
@pytest.mark.parametrize(("features", "width"), [(1, 8), (1, 16), (2, 8)])
def test_a_sum_over_one_vector_of_samples_is_kept(features, width, vectors, dtype, monkeypatch):
    if vectors > library.vector_bytes():
        pytest.skip(f"this machine has no vectors of {vectors} bytes")

    def draw(generator):
        shapes = {"w": (features, width), "b": (width,), "head": (1, width), "c": (1,)}
        return {
            key: torch.empty(shape, dtype=dtype).uniform_(-0.6, 0.6, generator=generator)
            for key, shape in shapes.items()
        }

    def apply(p, x):
        return ((x @ p["w"] + p["b"]) @ p["head"].mT + p["c"]).squeeze(-1)

    monkeypatch.setattr(inputs, "vector_bytes", lambda: vectors)
    samples, generator = vectors // dtype.itemsize, torch.Generator().manual_seed(1)
    batch = Batch(
        torch.randn(2, samples, features, generator=generator).to(dtype),
        (torch.rand(2, samples, generator=generator) > 0.5).to(dtype),
    )
    recipe = Recipe("linear", Model(draw, apply), sgd(0.1), epochs=3)
    start = init_chunk(recipe, [3, 4], torch.device("cpu"))
    wanted, found = (
        train(recipe, start, ChunkData(batch, batch), 3)[0].params for train in (eager, fused)
    )
    for key, value in start.params.items():
        moved = (wanted[key] - value).norm()
        assert (found[key] - wanted[key]).norm() <= 1e-4 * moved


# The caller's own modes of torch.


@pytest.mark.parametrize(
    "mode",
    [torch.inference_mode, torch.no_grad, torch.enable_grad, lambda: torch.autocast("cpu")],
    ids=["inference_mode", "no_grad", "enable_grad", "autocast"],
)
@pytest.mark.parametrize("is_made_inside", [False, True])
def test_the_callers_mode_changes_no_bit(mode, is_made_inside):
    _, _, train = trained(fused, lambda p, x: hidden(p, x) @ p["v"])
    wanted, _ = train()
    with mode():
        if is_made_inside:
            _, _, train = trained(fused, lambda p, x: hidden(p, x) @ p["v"])
        state, curves = train()
    for key, value in wanted.params.items():
        assert torch.equal(state.params[key], value)
    assert torch.isfinite(curves.test.loss).all()


def test_a_default_type_of_another_precision_changes_no_bit(request):
    recipe, data, train = trained(fused, lambda p, x: hidden(p, x) @ p["v"])
    wanted, start = train()[0], init_chunk(recipe, [2, 5], torch.device("cpu"))
    request.getfixturevalue("float64")
    again = replace(recipe)  # a recipe that is not in any cache
    state, curves = FUSED.train(again, start, data, again.epochs)
    assert curves.train.loss.dtype == torch.float32
    for key, value in wanted.params.items():
        assert torch.equal(state.params[key], value)


def test_a_default_device_changes_no_bit():
    recipe, data, train = trained(fused, lambda p, x: hidden(p, x) @ p["v"])
    wanted, start = train()[0], init_chunk(recipe, [2, 5], torch.device("cpu"))
    with torch.device("meta"):
        state, curves = FUSED.train(recipe, start, data, recipe.epochs)
    assert curves.test.correct.device.type == "cpu"
    for key, value in wanted.params.items():
        assert torch.equal(state.params[key], value)


def test_weights_that_require_grad_are_trained_like_others():
    def learnable(generator):
        return {key: torch.nn.Parameter(value) for key, value in init(generator).items()}

    recipe, data, train = trained(fused, lambda p, x: hidden(p, x) @ p["v"])
    wanted, _ = train()
    recipe = replace(recipe, model=recipe.model._replace(init=learnable))
    start = init_chunk(recipe, [2, 5], torch.device("cpu"))
    assert start.params["w"].requires_grad
    data = pytree.tree_map_only(Tensor, lambda part: part.clone().requires_grad_(), data)
    trained_, curves = collect(*FUSED.train(recipe, start, data, recipe.epochs))[:2]
    assert not curves.train.loss.requires_grad
    for key, value in wanted.params.items():
        assert torch.equal(trained_[key], value)
        assert not trained_[key].requires_grad


@pytest.mark.parametrize("part", ["x", "y"])
def test_data_of_another_type_than_the_weights_are_refused(part):
    recipe, data, _ = trained(fused, lambda p, x: hidden(p, x) @ p["v"])
    batch = data.train._replace(**{part: getattr(data.train, part).long()})
    with pytest.raises(UnfusableError, match="data torch"):
        FUSED.train(
            recipe, init_chunk(recipe, [0, 1], torch.device("cpu")), data._replace(train=batch), 1
        )
