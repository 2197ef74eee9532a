"""What a reviewer found to be fused wrongly, or refused by a crash."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from functional_clf.data import circles, draw_chunk, replicate
from functional_clf.ensemble import eager, init_chunk
from functional_clf.fusion import UnfusableError, fused, why_not_fuse
from functional_clf.optim import sgd
from functional_clf.recipes import Recipe
from functional_clf.types import Model, Optimizer

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


class Velocities(NamedTuple):
    values: dict[str, Tensor]


class Counter(NamedTuple):
    n: Tensor


def reordering():
    def update(grads, state, params):
        values = {key: 0.9 * state.values[key] + grads[key] for key in reversed(grads)}
        return {key: -0.1 * values[key] for key in grads}, Velocities(values)

    return Optimizer(lambda p: Velocities({k: torch.zeros_like(v) for k, v in p.items()}), update)


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
        (lambda p, x: hidden(p, x) @ p["v"], reordering(), "another tree"),
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
    ids=["expanded factor", "weights a sample", "order of keys", "type", "shape"],
)
def test_it_is_refused_in_one_line(apply, optimizer, reason):
    recipe, data, train = trained(fused, apply, optimizer)
    assert reason in (why_not_fuse(recipe, data) or "")
    with pytest.raises(UnfusableError, match=reason):
        train()


def test_a_model_that_cannot_be_traced_is_told_in_one_line():
    def apply(p, x):
        if torch.is_grad_enabled():
            raise RuntimeError("not today\nnor tomorrow")
        return hidden(p, x) @ p["v"]

    recipe, data, _ = trained(fused, apply)
    assert why_not_fuse(recipe, data) == "own cannot be traced (not today)"


@pytest.mark.parametrize("part", ["x", "y"])
def test_data_of_another_type_than_the_weights_are_refused(part):
    recipe, data, _ = trained(fused, lambda p, x: hidden(p, x) @ p["v"])
    batch = data.train._replace(**{part: getattr(data.train, part).long()})
    with pytest.raises(UnfusableError, match="data torch"):
        fused(
            recipe, init_chunk(recipe, [0, 1], torch.device("cpu")), data._replace(train=batch), 1
        )
