"""The classic loop of the lesson: one `nn.Module` after another, a `torch.optim` optimizer each."""

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from bench.job import Job, torch_threads
from bench.peers.base import Peer, Train, Variant
from functional_clf.core.models import sequential
from functional_clf.core.train import stack
from functional_clf.core.types import Batch, Params
from functional_clf.engines.machine import why_not_compile

STYLES: Mapping[str, Mapping[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
"""The implementations that a `torch.optim` optimizer offers."""


def train_one(
    module: nn.Module,
    forward: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    epochs: int,
) -> Params:
    """The training loop as it is taught: forward, loss, zero_grad, backward, step.

    Args:
        module: whose parameters the optimizer holds.
        forward: the module itself, or it compiled.
        optimizer: of the module's parameters.
        batch: all training samples.
        epochs: full-batch steps.

    Returns:
        A copy of the final weights, on the CPU.
    """
    loss_function = nn.BCEWithLogitsLoss()
    module.train()
    for _ in range(epochs):
        logits = forward(batch.x).squeeze(-1)
        loss = loss_function(logits, batch.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {key: value.detach().to("cpu", copy=True) for key, value in module.state_dict().items()}


def make_optimizer(job: Job, module: nn.Module, style: str) -> torch.optim.Optimizer:
    """The job's optimizer out of `torch.optim`, in one of `STYLES`."""
    kind: Any = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[job.settings["optimizer"]]
    return kind(module.parameters(), lr=job.settings["learning_rate"], **STYLES[style])


def loop(threads: int, style: str, compiled: bool) -> Variant:
    """The loop over the seeds of a job.

    Args:
        threads: of torch, within an operation.
        style: of the optimizer, a key of `STYLES`.
        compiled: train through `torch.compile(module)`.
    """

    def prepare(job: Job) -> Train:
        form = (tuple(job.settings["layer_sizes"]), job.settings["activation"], str(job.device))
        module = _module(*form)
        forward = _compiled(*form, threads) if compiled else module
        # Row by row in memory, as a lesson has it; the job's samples lie as this package likes.
        x, y = job.data.train.x.contiguous(), job.data.train.y

        def train() -> Params:
            finals = []
            with torch_threads(threads):
                for lane in range(len(job.seeds)):
                    module.load_state_dict({key: value[lane] for key, value in job.start.items()})
                    batch = Batch(x[lane], y[lane])
                    optimizer = make_optimizer(job, module, style)
                    finals.append(train_one(module, forward, optimizer, batch, job.recipe.epochs))
            return stack(finals)

        return train

    return prepare


@lru_cache
def _module(layer_sizes: tuple[int, ...], activation: str | None, device: str) -> nn.Module:
    return sequential(layer_sizes, activation).to(device)


@lru_cache
def _compiled(
    layer_sizes: tuple[int, ...], activation: str | None, device: str, threads: int
) -> Callable[[Tensor], Tensor]:
    """The compiled module: one for all seeds, since another instance would compile again.

    One for each number of threads, as the generated loops are made for one number.
    """
    del threads
    # fullgraph: past the limit of recompiles it raises, and does not quietly run eager.
    return torch.compile(_module(layer_sizes, activation, device), fullgraph=True, dynamic=False)


def _variants(compiled: bool) -> Callable[[str], Mapping[str, Variant]]:
    def variants(device: str) -> Mapping[str, Variant]:
        threads = sorted({1, os.cpu_count() or 1}) if device == "cpu" else [1]
        return {
            f"{n} thread{'s' * (n > 1)}, {style} optimizer": loop(n, style, compiled)
            for n, style in product(threads, STYLES)
        }

    return variants


CLASSIC = Peer("nn.Module loop", _variants(compiled=False), seeds=4)
COMPILED_MODULE = Peer(
    "compiled nn.Module loop",
    _variants(compiled=True),
    missing=lambda device: why_not_compile(torch.device(device)),
    compiles=True,
    seeds=4,
)
