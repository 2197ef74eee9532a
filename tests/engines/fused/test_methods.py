"""Every gradient method and schedule as a fused program, beside the eager engine."""

import pytest
import torch

from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.models import mlp
from functional_clf.core.optim import (
    adam,
    adamw,
    chain,
    clip_by_global_norm,
    rmsprop,
    sgd,
)
from functional_clf.core.schedules import (
    constant,
    cosine,
    linear_warmup,
    one_cycle,
    step_decay,
)
from functional_clf.core.tasks import Binary
from functional_clf.core.types import Batch
from functional_clf.data.batches import ChunkData
from functional_clf.registry import ENGINES

METHODS = {
    "nesterov": sgd(0.1, 0.9, nesterov=True, weight_decay=1e-2),
    "adam with decay": adam(0.01, weight_decay=1e-2),
    "adamw": adamw(linear_warmup(cosine(0.01, 25, 1e-4), 5, 0.1)),
    "rmsprop": rmsprop(one_cycle(0.01, 40)),
    "rmsprop centered": rmsprop(0.01, 0.97, 1e-3, 1e-3, 0.7, centered=True),
    "steps": sgd(step_decay(0.1, 7, 0.3)),
    "constant": sgd(constant(0.1), 0.9),
    "own": sgd(lambda step: 0.1 / (1 + step)),
    "clipped": chain(clip_by_global_norm(0.05), adamw(cosine(0.01, 30))),
    "clipped now and then": chain(clip_by_global_norm(0.1), sgd(0.1, 0.9)),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_fused_and_move_as_in_the_eager_engine(name, float64):
    recipe = Recipe("m", mlp((4, 6, 1), torch.tanh), METHODS[name], 40)
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(3, 53, 4, generator=generator)
    batch = Batch(x, (x[..., 0] > x[..., 1]).double())
    data = ChunkData(batch, batch, Binary())
    assert ENGINES["fused"].why_not([recipe], data) is None
    start = init_chunk(recipe, range(3), torch.device("cpu"))
    eager, fused = (ENGINES[name].train(recipe, start, data, 40)[0] for name in ("eager", "fused"))
    for key, before in start.params.items():
        moved = eager.params[key] - before
        assert moved.abs().max() > 1e-4
        torch.testing.assert_close(
            fused.params[key] - before, moved, rtol=1e-9, atol=1e-11 * moved.abs().max().item()
        )
    leaves = [torch.utils._pytree.tree_leaves(state.opt_state) for state in (eager, fused)]
    for one, other in zip(*leaves, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-12)
