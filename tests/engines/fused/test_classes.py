"""Several classes on the fused engine, beside plain loops of torch.autograd and torch's own."""

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.models import affine
from functional_clf.core.optim import adam, sgd
from functional_clf.core.tasks import MultiClass
from functional_clf.core.types import Batch, Model, StatefulModel
from functional_clf.data.batches import ChunkData
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.fused.trace import UnfusableError

CPU = torch.device("cpu")
INF, NAN = math.inf, math.nan


def layers(*sizes, activation=torch.relu):
    """A perceptron with a logit for each class; it computes in columns."""
    pairs = [*itertools.pairwise(sizes)]

    def init(generator):
        params = {}
        for k, (fan_in, fan_out) in enumerate(pairs):
            params[f"w{k}"] = torch.empty(fan_out, fan_in).uniform_(-0.9, 0.9, generator=generator)
            params[f"b{k}"] = torch.empty(fan_out).uniform_(-0.9, 0.9, generator=generator)
        return params

    def apply(p, x):
        columns = x.mT
        for k in range(len(pairs)):
            columns = affine(p[f"w{k}"], p[f"b{k}"], activation(columns) if k else columns)
        return columns.mT

    return Model(init, apply)


def chunk(replicates, train, test, features, classes, dtype=torch.float64, test_classes=None):
    generator = torch.Generator().manual_seed(train + classes)

    def batch(samples, classes):
        x = torch.randn(replicates, samples, features, generator=generator)
        y = torch.randint(0, classes, (replicates, samples), generator=generator)
        return Batch((x + 0.5 * y[..., None].cos()).to(dtype), y.to(dtype))

    return ChunkData(
        batch(train, classes), batch(test, test_classes or classes), MultiClass(classes)
    )


def walk(recipe, start, data, lane):
    """A plain loop for one replicate: its weights at the end, and its losses and counts there."""
    state = pytree.tree_map(lambda leaf: leaf[lane].clone(), start)
    train, test = (Batch(*(part[lane] for part in batch)) for batch in data[:2])
    params, opt_state = dict(state.params), state.opt_state
    for _ in range(recipe.epochs):
        leaves = {name: param.clone().requires_grad_() for name, param in params.items()}
        loss = nn.functional.cross_entropy(recipe.model.apply(leaves, train.x), train.y.long())
        found = torch.autograd.grad(
            loss, list(leaves.values()), allow_unused=True, materialize_grads=True
        )
        grads = dict(zip(leaves, found, strict=True))
        updates, opt_state = recipe.optimizer.update(grads, opt_state, params)
        params = {name: param + updates[name] for name, param in params.items()}
    metrics = []
    for x, y in (train, test):
        logits = recipe.model.apply(params, x)
        correct = (logits.argmax(-1) == y.long()).sum()
        metrics.append((nn.functional.cross_entropy(logits, y.long()), correct))
    return params, metrics


def assert_as_in_a_plain_loop(recipe, data, near=1e-9, count_within=0):
    start = init_chunk(recipe, range(data.train.y.shape[0]), CPU)
    state, curves = FUSED.train(recipe, start, data, recipe.epochs)
    for lane in range(data.train.y.shape[0]):
        params, metrics = walk(recipe, start, data, lane)
        for name, param in params.items():
            moved = (param - start.params[name][lane]).norm()
            assert (state.params[name][lane] - param).norm() <= near * moved, (name, lane)
        for ours, (loss, correct) in zip((curves.train, curves.test), metrics, strict=True):
            torch.testing.assert_close(ours.loss[-1, lane], loss, rtol=near, atol=near)
            assert abs(int(ours.correct[-1, lane]) - int(correct)) <= count_within


def recipe_of(model, epochs=50, optimizer=None):
    return Recipe("classes", model, optimizer or adam(0.01), epochs)


@pytest.mark.parametrize("samples", [(120, 33), (97, 7), (7, 97), (2, 1), (1603, 401)])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_network_of_classes_equals_a_plain_loop(classes, samples, float64):
    data = chunk(2, *samples, 4, classes)
    assert_as_in_a_plain_loop(recipe_of(layers(4, 16, classes)), data)


@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_so_it_does_on_narrow_vectors(vector_bytes, monkeypatch, float64):
    monkeypatch.setattr("functional_clf.engines.fused.inputs.vector_bytes", lambda: vector_bytes)
    data = chunk(2, 97, 21, 4, 5)
    assert_as_in_a_plain_loop(recipe_of(layers(4, 9, 5, activation=torch.tanh)), data)


@pytest.mark.parametrize("classes", [3, 10])
def test_in_float32_it_is_near(classes):
    data = chunk(2, 120, 40, 4, classes, torch.float32)
    assert_as_in_a_plain_loop(recipe_of(layers(4, 16, classes)), data, near=2e-3, count_within=1)


def test_there_may_be_a_single_sample_to_train_on(float64):
    """Of which autograd makes no sum; a program is made of the step on two."""
    assert_as_in_a_plain_loop(recipe_of(layers(4, 3)), chunk(2, 1, 5, 4, 3))


@pytest.mark.parametrize("sizes", [{"batch_size": 1}, {"batch_size": 3}, {}])
def test_a_model_that_trains_otherwise_on_a_single_sample_is_refused(sizes):
    def train_apply(params, buffers, x, key):
        return (x if len(x) > 1 else 2 * x) @ params["w"].mT, buffers

    model = StatefulModel(
        lambda generator: ({"w": torch.ones(3, 4)}, {"b": torch.zeros(1)}),
        lambda weights, x: x @ weights["w"].mT,
        train_apply,
    )
    recipe = Recipe("own", model, sgd(0.1), 2, **sizes)
    data = chunk(1, 7 if sizes else 1, 5, 4, 3, torch.float32)
    assert "depend on the number of samples" in (FUSED.why_not([recipe], data) or "")


def test_a_class_may_be_absent(float64):
    data = chunk(2, 60, 11, 3, 6, test_classes=2)
    assert data.test.y.max() < 2
    assert_as_in_a_plain_loop(recipe_of(layers(3, 6)), data)


def test_a_width_of_the_number_of_samples_is_no_number_of_samples(float64):
    assert_as_in_a_plain_loop(recipe_of(layers(4, 16, 10)), chunk(2, 10, 12, 4, 10))


# Single numbers: a replicate is one sample, whose features are the logits, for a model that has
# next to nothing to train.


def of_rows(rows, y, dtype, task):
    x = torch.tensor(rows, dtype=dtype)[:, None]
    batch = Batch(x, torch.as_tensor(y, dtype=dtype).expand(len(rows))[:, None].contiguous())
    return ChunkData(batch, batch, task)


@dataclass(frozen=True)
class OfFeatures:
    """A task whose loss is something that is taken of the logits."""

    name: str

    def loss(self, logits, y):
        return OF_FEATURES[self.name](logits).mean()

    def count_correct(self, logits, y):
        return (y > 0.5).sum()


THREE = MultiClass(3)


def seen(rows, y, dtype, task=THREE):
    """The loss and the count of each row of logits."""

    def init(generator):
        return {"w": torch.zeros((), dtype=dtype)}

    recipe = recipe_of(Model(init, lambda p, x: x + p["w"].detach()), 1, sgd(0.1))
    data = of_rows(rows, y, dtype, task)
    _, curves = FUSED.train(recipe, init_chunk(recipe, range(len(rows)), CPU), data, 1)
    return curves.train.loss[0], curves.train.correct[0]


VALUES = (-INF, -1e30, -200.0, -1.0, 0.0, -0.0, 1.0, 1.5, 200.0, 1e30, INF, NAN)
ROWS = [*itertools.product(VALUES, repeat=3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("label", [0, 1, 2])
def test_ties_nan_and_infinities_are_taken_as_torch_takes_them(label, dtype):
    loss, correct = seen(ROWS, label, dtype)
    logits = torch.tensor(ROWS, dtype=dtype)
    labels = torch.full((len(ROWS),), label)
    exact = nn.functional.cross_entropy(logits, labels, reduction="none")
    near = {torch.float32: 2e-6, torch.float64: 1e-14}[dtype]
    torch.testing.assert_close(loss, exact, rtol=near, atol=near, equal_nan=True)
    named = (logits.argmax(-1) == labels) & ~logits.isnan().any(-1)
    assert correct.tolist() == named.int().tolist()
    assert 0 < int(named.sum()) < len(ROWS)


OF_FEATURES = {
    "softmax": lambda x: x.softmax(1)[:, 0],
    "log_softmax": lambda x: x.log_softmax(1)[:, 1],
    "logsumexp": lambda x: x.logsumexp(1),
    "logsumexp kept": lambda x: torch.logsumexp(x, (1,), keepdim=True)[:, 0],
    "amax": lambda x: x.amax(1),
    "amin": lambda x: x.amin(-1, keepdim=True).squeeze(-1),
    "max": lambda x: x.max(1).values,
    "min": lambda x: x.min(1, keepdim=True).values[:, 0],
    "prod": lambda x: x.prod(1),
    "all": lambda x: (x > 0).all(1).to(x.dtype),
    "any": lambda x: (x > 0).any(1, keepdim=True)[:, 0].to(x.dtype),
    "all of floats": lambda x: x.all(1).to(x.dtype),
    "any of floats": lambda x: x.any(1).to(x.dtype),
    "a sum of bools": lambda x: (x > 0).sum(1).to(x.dtype) / 3,
    "a sum of bools read twice": lambda x: (lambda n: x[:, 0] * n + n * (n - 2))((x > 0).sum(1)),
    "the share of a count": lambda x: (x * (x > 0) / (x > 0).sum(1, keepdim=True))[:, 2],
    "counting": lambda x: (x * torch.arange(3, dtype=x.dtype)).sum(1),
    "counting in steps": lambda x: (x + torch.arange(5, -1, -2, dtype=x.dtype)).sum(1),
    "counting in whole numbers": lambda x: (torch.arange(3) * x).sum(1),
    "a part of counting": lambda x: x[:, 0] + torch.arange(4, dtype=x.dtype)[2],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OF_FEATURES)
def test_what_is_taken_of_features_is_as_torch_takes_it(name, dtype):
    found, _ = seen(ROWS, 0, dtype, OfFeatures(name))
    expected = OF_FEATURES[name](torch.tensor(ROWS, dtype=dtype))
    near = {torch.float32: 2e-6, torch.float64: 1e-14}[dtype]
    torch.testing.assert_close(found, expected, rtol=near, atol=near, equal_nan=True)


INSIDE = {  # of h, (sample, 5), and weights, (5, 4)
    "softmax": lambda h, v: h.softmax(1) @ v,
    "softmax of columns": lambda h, v: (v.T @ h.T).softmax(0).T,
    "attention": lambda h, v: (h * (h.tanh() * 3).softmax(1)) @ v,
    "log_softmax": lambda h, v: h.log_softmax(-1) @ v,
    "logsumexp": lambda h, v: (h * h.logsumexp(1, keepdim=True)) @ v,
    "the largest": lambda h, v: (h - h.amax(1, keepdim=True)) @ v,
    "the smallest": lambda h, v: (h * h.amin(1)[:, None]) @ v,
    "masked by the largest": lambda h, v: (h * (h == h.amax(1, keepdim=True))) @ v,
    "a count": lambda h, v: (h / (1 + (h > 0).sum(1, keepdim=True))) @ v,
    "any": lambda h, v: (h * (h > 0.5).any(1, keepdim=True)) @ v,
    "positions": lambda h, v: (h * torch.arange(5, dtype=h.dtype)) @ v,
    "a detached product": lambda h, v: (h * h.detach().prod(1, keepdim=True)) @ v,
    "softmax of weights": lambda h, v: h @ v.softmax(0),
    "the largest weights": lambda h, v: h @ (v - v.amax(0)),
}


@pytest.mark.parametrize("name", INSIDE)
def test_networks_with_such_layers_equal_a_plain_loop(name, float64):
    base = layers(3, 5)

    def init(generator):
        draw = {"u": (4, 4), "v": (5, 4)}
        return base.init(generator) | {
            key: torch.empty(shape).uniform_(-0.9, 0.9, generator=generator)
            for key, shape in draw.items()
        }

    def apply(p, x):
        return INSIDE[name](torch.tanh(base.apply(p, x)), p["v"]) @ p["u"]

    assert_as_in_a_plain_loop(recipe_of(Model(init, apply), 20), chunk(2, 45, 20, 3, 4))


REFUSED = {
    "softmax over samples": (lambda h: h.softmax(0), "over all samples"),
    "largest of samples": (lambda h: h - h.amax(0), "over all samples"),
    "any sample": (lambda h: h * (h > 0).any(0), "over all samples"),
    "sorting": (lambda h: h * h.argsort(1), "sort"),
    "the largest two": (lambda h: h * h.topk(1, 1).values, "scatter"),
    "index of the largest sample": (lambda h: h * h.argmax(0), "looks for a sample"),
    "counting samples": (lambda h: h * torch.arange(len(h))[:, None], "counts the samples"),
    "counting in fractions": (lambda h: h * torch.arange(0, 2, 0.5), "other than whole numbers"),
    "whole numbers": (
        lambda h: h * ((h > 0).long() + 1).amax(1, keepdim=True),
        "largest of torch.int64",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_in_a_line(name):
    apply, told = REFUSED[name]
    base = layers(3, 4)
    model = Model(base.init, lambda p, x: apply(base.apply(p, x)))
    recipe, data = recipe_of(model, 2), chunk(2, 20, 10, 3, 4, torch.float32)
    assert told in (FUSED.why_not([recipe], data) or "")
    with pytest.raises(UnfusableError, match=told):
        FUSED.train(recipe, init_chunk(recipe, range(2), CPU), data, 2)


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_a_kind_of_a_known_task_has_a_program_of_its_own(scale):
    @dataclass(frozen=True)
    class Scaled(MultiClass):
        def loss(self, logits, y):
            return scale * super().loss(logits, y)

    recipe, data = recipe_of(layers(4, 3), 5), chunk(2, 20, 10, 4, 3, torch.float32)
    start = init_chunk(recipe, range(2), CPU)
    _, plain = FUSED.train(recipe, start, data, 1)
    _, scaled = FUSED.train(recipe, start, data._replace(task=Scaled(3)), 1)
    torch.testing.assert_close(scaled.train.loss[0], scale * plain.train.loss[0])
