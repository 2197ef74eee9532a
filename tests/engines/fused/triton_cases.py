"""Trainings by fused Triton programs under Triton's interpreter, beside the eager engine.

The interpreter must be asked for before Triton is imported, so this is run as a process of its own:

    TRITON_INTERPRET=1 python tests/engines/fused/triton_cases.py sizes

It prints a line of JSON a case: how far the weights are from those of the eager engine in float64,
in parts of how far those went from the start, and what the learning curves have told differently.
"""

import copy
import functools
import json
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.modules import module_recipe
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.models import mlp
from functional_clf.core.optim import adam, adamw, rmsprop, sgd
from functional_clf.core.schedules import cosine, one_cycle, step_decay
from functional_clf.core.tasks import Binary, MultiClass
from functional_clf.core.types import Batch
from functional_clf.data.batches import ChunkData
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


GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    group.__name__: group
    for group in (lesson, methods, functions, classes, sizes, deep_sizes, samples, batches)
}


def compared(case: Case) -> dict[str, object]:
    """How one training came out, beside the eager engine's in float64."""
    name, recipe, data = case
    width = data.train.y.shape[0]
    start = init_chunk(recipe, range(width), CPU)
    ours, our_curves = PROGRAMS.train(recipe, start, data, recipe.epochs)
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
        "is_same_alone": same,
        "moved": float(sum((v - start.params[k]).norm() for k, v in theirs.params.items())),
    }


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
