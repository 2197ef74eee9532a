"""Trainings by fused Triton programs under Triton's interpreter, beside the eager engine.

The interpreter must be asked for before Triton is imported, so this is run as a process of its own:

    TRITON_INTERPRET=1 python tests/engines/fused/triton_cases.py sizes

It prints a line of JSON a case: how far the weights are from those of the eager engine in float64,
in parts of how far those went from the start, and what the learning curves have told differently.
"""

import copy
import functools
import json
import math
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.modules import module_recipe
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core import random
from functional_clf.core.models import mlp
from functional_clf.core.optim import adam, adamw, rmsprop, sgd
from functional_clf.core.schedules import cosine, one_cycle, step_decay
from functional_clf.core.tasks import Binary, MultiClass
from functional_clf.core.types import Batch, Params, StatefulModel
from functional_clf.data.batches import ChunkData
from functional_clf.engines.fused.trace import UnfusableError
from functional_clf.engines.fused.triton_programs import TritonPrograms
from functional_clf.engines.vmapped import EAGER

CPU = torch.device("cpu")
PROGRAMS = TritonPrograms()
Case = tuple[str, Recipe, ChunkData]


def data_of(width: int, samples: int, features: int, classes: int = 2, test: int = 20) -> ChunkData:
    """Rings of two classes, or clouds of several, in any number of dimensions."""
    rng = np.random.default_rng(samples + 100 * features + classes)

    def part(count: int) -> Batch:
        y = rng.integers(0, classes, size=(width, count))
        spread = 1 + y[..., None] if classes == 2 else 0.5
        x = rng.normal(size=(width, count, features)) * spread
        if classes > 2:
            x += np.eye(classes, features)[y] * 2
        return Batch(*(torch.tensor(value, dtype=torch.float32) for value in (x, y)))

    task = Binary() if classes == 2 else MultiClass(classes)
    return ChunkData(part(samples), part(test), task)


def double(tree):
    return pytree.tree_map_only(
        torch.Tensor, lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, tree
    )


def lesson() -> Iterator[Case]:
    data = data_of(3, 100, 2)
    yield "model_0", model_0(epochs=20), data
    yield "model_1", model_1(epochs=20), data
    yield "model_1 of 800", model_1(epochs=2), data_of(1, 800, 2, test=200)


def methods() -> Iterator[Case]:
    model = mlp((2, 6, 5, 1), torch.tanh)
    data = data_of(2, 70, 2)
    yield "momentum", Recipe("tanh", model, sgd(0.05, momentum=0.9), 8), data
    yield "nesterov", Recipe("tanh", model, sgd(0.05, momentum=0.9, nesterov=True), 8), data
    yield "adamw", Recipe("tanh", model, adamw(0.01, weight_decay=0.1), 8), data
    yield "rmsprop", Recipe("tanh", model, rmsprop(0.01), 8), data
    for rate in (cosine(0.1, 8), step_decay(0.1, 3, 0.5), one_cycle(0.1, 8)):
        yield "schedule", Recipe("tanh", model, sgd(rate, momentum=0.9), 8), data


def functions() -> Iterator[Case]:
    data = data_of(1, 40, 3)
    for function in (
        *(torch.sigmoid, nn.functional.gelu, nn.functional.silu, nn.functional.elu),
        *(nn.functional.softplus, nn.functional.leaky_relu, torch.sin, torch.square),
        functools.partial(nn.functional.gelu, approximate="tanh"),
        *(lambda x: x.clamp(-0.5, 0.7), torch.expm1, lambda x: (1 + x.abs()).log1p()),
    ):
        name = getattr(function, "__name__", repr(function))
        yield name, Recipe("own", mlp((3, 5, 1), function), adam(0.02), 4), data
    for layer in (nn.Softmax(-1), nn.LayerNorm(5), nn.LogSoftmax(-1), TopAway(), nn.PReLU(5)):
        template = module_recipe("own", functools.partial(with_layer, layer), adam(0.02), 4)
        yield repr(layer), template.sized(3, 2), data


class TopAway(nn.Module):
    """x without the largest of its features."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.amax(1, keepdim=True)


def with_layer(layer: nn.Module, n_features: int, n_classes: int) -> nn.Module:
    del n_classes
    return nn.Sequential(nn.Linear(n_features, 5), copy.deepcopy(layer), nn.Linear(5, 1))


def classes() -> Iterator[Case]:
    for count in (3, 10):
        model = mlp((4, 12, count), torch.relu)
        data = data_of(1, 70, 4, count)
        yield f"{count} classes", Recipe("classes", model, adam(0.02), 6), data
        smooth = Recipe("classes", model, adam(0.02), 4, label_smoothing=0.1)
        yield f"{count} classes, smoothed", smooth, data


def sizes() -> Iterator[Case]:
    for width in range(1, 34):
        model = mlp((2, width, 1), torch.relu)
        yield f"width {width}", Recipe("wide", model, adam(0.01), 3), data_of(1, 20, 2)


def deep_sizes() -> Iterator[Case]:
    for widths in ((3, 17, 33, 1), (1, 1, 1, 1), (5, 16, 16, 1), (33, 7, 1), (6, 32, 9, 1)):
        model = mlp(widths, torch.tanh)
        yield f"{widths}", Recipe("deep", model, adam(0.01), 5), data_of(2, 70, widths[0])


def samples() -> Iterator[Case]:
    for count in (1, 2, 15, 16, 17, 63, 64, 65, 129, 200):
        recipe = Recipe("net", mlp((2, 5, 1), torch.tanh), adam(0.01), 4)
        yield f"{count} samples", recipe, data_of(2, count, 2, test=1 + count % 7)


def batches() -> Iterator[Case]:
    model, data = mlp((3, 8, 1), torch.relu), data_of(3, 50, 3)
    for size, drop_last in ((16, False), (16, True), (50, False), (7, False)):
        recipe = Recipe("net", model, adam(0.01), 3, batch_size=size, drop_last=drop_last)
        yield f"batches of {size}, drop_last {drop_last}", recipe, data
    for size in (None, 20):
        template = module_recipe("net", with_dropout, adam(0.01), 3, batch_size=size)
        yield f"dropout, batches of {size}", template.sized(3, 2), data


def with_dropout(n_features: int, n_classes: int) -> nn.Module:
    del n_classes
    return nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def stateful(make: Callable[[Params, Tensor, Tensor], Tensor], buffer: Tensor) -> Recipe:
    """A linear network that makes a buffer anew in each step, of the buffer, samples and a key."""

    def init(generator: torch.Generator) -> tuple[Params, Params]:
        return {"w": torch.randn(3, generator=generator)}, {"b": buffer.clone()}

    def train(params: Params, buffers: Params, x: Tensor, key: Tensor) -> tuple[Tensor, Params]:
        return x @ params["w"], {"b": make(buffers["b"], x, key)}

    model = StatefulModel(init, lambda weights, x: x @ weights["w"], train)
    return Recipe("stateful", model, sgd(0.1), epochs=1)


# What a program must make as torch does, or refuse: a buffer of the buffer, the samples and a key.
WHOLE = (torch.arange(9.0).reshape(3, 3) * 7) % 5
ODD: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], Tensor]] = {
    "samples by samples": (lambda b, x, k: (x @ x.T).mean() + 0 * b, torch.zeros(())),
    "pairs of samples": (
        lambda b, x, k: (x[:, None] - x[None]).square().sum(-1).mean() + b,
        torch.zeros(()),
    ),
    "a square of samples": (
        lambda b, x, k: x[:, 0].expand(len(x), len(x)).mean() + b,
        torch.zeros(()),
    ),
    "bits for pairs": (
        lambda b, x, k: random.bernoulli(k, 0.3, (len(x), len(x))).float().mean() + 0 * b,
        torch.zeros(()),
    ),
    "bits of floats": (lambda b, x, k: b.view(torch.int32).float(), WHOLE),
    "floats of bits": (
        lambda b, x, k: random.bits(k, (4,)).view(torch.float32).nan_to_num(),
        torch.zeros(4),
    ),
    "a whole product": (
        lambda b, x, k: (x * 3).prod(1, dtype=torch.int64).sum().float() + 0 * b,
        torch.zeros(()),
    ),
    "keys of a list": (
        lambda b, x, k: random.fold_in(k, torch.arange(2))[1].float() + 0 * b,
        torch.zeros(2),
    ),
    "a stack of one key": (
        lambda b, x, k: random.fold_in(k[None], torch.tensor(3)).float() + 0 * b,
        torch.zeros(1, 2),
    ),
    "bits of a stack": (lambda b, x, k: random.bits(k[None], (3,)).float() + 0 * b, WHOLE[:1]),
    "one number": (lambda b, x, k: random.uniform(k, ()) + 0 * b, torch.zeros(())),
    "whole matrices": (
        lambda b, x, k: ((x * 30000).long().T @ (x * 20000).long()).float() + 0 * b,
        torch.zeros(3, 3),
    ),
    "times the samples": (
        lambda b, x, k: (
            ((x[:, 0] * 30000).long() * len(x) * 100001).sum()
            - ((x[:, 0] * 30000).long() * 100001).sum() * len(x)
            + b
        ),
        torch.zeros(()),
    ),
    "more than the samples": (
        lambda b, x, k: (x * 20 > len(x)).float().mean() + (b < len(x)).float(),
        torch.full((), 3.0),
    ),
    "as often as samples": (
        lambda b, x, k: (
            torch.add(torch.full((3,), 1), (b * 100003).long(), alpha=len(x))
            - torch.full((3,), 100003) * len(x)
        ).float(),
        torch.full((3,), 1.0),
    ),
    "large places": (
        lambda b, x, k: (b.argmax(1) + 16777217 - 16777216).float()[:, None] + 0 * b,
        WHOLE,
    ),
    "places times": (
        lambda b, x, k: (b.argmax(1) * 100000007 - 100000000 * b.argmax(1)).float() + 0 * b,
        WHOLE,
    ),
    "signs": (lambda b, x, k: b.sign(), torch.tensor([math.nan, 1.0, -2.0, 0.0])),
    "powers of one": (lambda b, x, k: 1.0**b, torch.tensor([math.nan, math.inf, 2.0])),
    "how many": (lambda b, x, k: torch.tensor(len(x)) * 1.0 + 0 * b, torch.zeros(())),
    "twice as many": (lambda b, x, k: torch.full((), len(x)) * 2 + 0 * b, torch.zeros(())),
    "whole twos": (
        lambda b, x, k: torch.full((3,), 2.0, dtype=torch.int64) * 16777217 - 33554430 + 0 * b,
        torch.zeros(3),
    ),
    "scattered": (lambda b, x, k: b.scatter(1, b.argmax(1, True), 0.0), WHOLE),
    "many products": (lambda b, x, k: b @ b, torch.eye(70)),
}


def odd() -> Iterator[Case]:
    for name, (make, buffer) in ODD.items():
        for count in (5, 70):
            yield f"{name}, {count} samples", stateful(make, buffer), data_of(1, count, 3)


GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    group.__name__: group
    for group in (lesson, methods, functions, classes, sizes, deep_sizes, samples, batches, odd)
}


def compared(case: Case) -> dict[str, object]:
    """How one training came out, beside the eager engine's in float64."""
    name, recipe, data = case
    width = data.train.y.shape[0]
    start = init_chunk(recipe, range(width), CPU)
    try:
        ours, our_curves = PROGRAMS.train(recipe, start, data, recipe.epochs)
    except UnfusableError as error:
        return {"case": name, "refused": str(error)}
    torch.set_default_dtype(torch.float64)
    theirs, their_curves = EAGER.train(recipe, double(start), double(data), recipe.epochs)
    torch.set_default_dtype(torch.float32)
    alone, _ = PROGRAMS.train(recipe, *_only_last(start, data), recipe.epochs)
    apart = max(
        float(
            (ours.params[key] - value).norm() / (value - start.params[key]).norm().clamp_min(1e-3)
        )
        for key, value in theirs.params.items()
    )
    losses = [
        float((our.loss - their.loss).abs().max())
        for our, their in zip(our_curves[1:], their_curves[1:], strict=True)
    ]
    corrects = [
        int((our.correct - their.correct).abs().max())
        for our, their in zip(our_curves[1:], their_curves[1:], strict=True)
    ]
    same = all(
        torch.equal(one[-1:], other)
        for one, other in zip(*(pytree.tree_leaves(state) for state in (ours, alone)), strict=True)
    )
    return {
        "case": name,
        "apart": apart,
        "loss": max(losses),
        "correct": max(corrects),
        "buffers": differences(ours.buffers, recipe, start, data),
        "is_same_alone": same,
        "moved": float(sum((v - start.params[k]).norm() for k, v in theirs.params.items())),
    }


def differences(buffers, recipe, start, data) -> list[str]:
    """The buffers that are others than the eager engine's of the same precision."""
    theirs, _ = EAGER.train(recipe, start, data, recipe.epochs)
    return [
        f"{key}: {buffers[key].tolist()} for {value.tolist()}"
        for key, value in theirs.buffers.items()
        if not torch.allclose(buffers[key], value, rtol=2e-5, atol=2e-6, equal_nan=True)
    ]


def _only_last(start, data):
    """The last replicate by itself."""
    state = pytree.tree_map_only(torch.Tensor, lambda leaf: leaf[-1:], start)
    parts = (Batch(*(part[-1:] for part in batch)) for batch in (data.train, data.test))
    return state, ChunkData(*parts, data.task)


def main() -> None:
    torch.set_num_threads(1)
    for case in GROUPS[sys.argv[1]]():
        print(json.dumps(compared(case)), flush=True)


if __name__ == "__main__":
    main()
