"""The peers on minibatches: the classic loop, JAX, and this package.

All of them go through the samples in the same order. The others find it ready when the clock
starts; this package draws it while it trains.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import product
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from bench.job import Job, orders, split_lanes, torch_threads
from bench.peers.base import Peer, Train, Variant
from bench.peers.classic import CLASSIC, STYLES
from bench.peers.jax_scan import JAX, in_chunks, why_not_jax
from bench.peers.vmapped import OURS, VMAP_EAGER, study
from functional_clf.contestants.base import Training
from functional_clf.core import train as core_train
from functional_clf.core.train import stack
from functional_clf.core.types import Params
from functional_clf.data.batches import ChunkData
from functional_clf.engines import choice
from functional_clf.engines.base import Engine
from functional_clf.engines.fused import c_programs
from functional_clf.engines.machine import fitting_chunk_size, keep_freed_memory
from functional_clf.engines.vmapped import EAGER
from functional_clf.workers.threads import Workers


def classic_loop(threads: int, style: str) -> Variant:
    """The loop as it is taught, over seeds, epochs and batches.

    An epoch's samples are put in order at once and its batches are views of them: to index each
    batch by itself takes as long.

    Args:
        threads: of torch, within an operation.
        style: of `torch.optim.AdamW`, a key of `STYLES`.
    """

    def prepare(job: Job) -> Train:
        options: Any = STYLES[style]
        module, settings, order = job.module().to(job.device), job.settings, orders(job)
        is_binary = job.data.task.n_classes == 2
        loss_function = nn.BCEWithLogitsLoss() if is_binary else nn.CrossEntropyLoss()
        x, y = job.data.train.x.contiguous(), job.data.train.y
        y = y[..., None] if is_binary else y.long()
        size = job.recipe.batch_size or y.shape[1]

        def train_one(lane: int) -> Params:
            module.load_state_dict({key: value[lane] for key, value in job.start.items()})
            optimizer = torch.optim.AdamW(
                module.parameters(),
                lr=settings["learning_rate"],
                weight_decay=settings["weight_decay"],
                **options,
            )
            for rows in order[lane].to(job.device):
                batches = zip(x[lane][rows].split(size), y[lane][rows].split(size), strict=True)
                for batch_x, batch_y in batches:
                    loss = loss_function(module(batch_x), batch_y)
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    optimizer.step()
            return {
                key: value.detach().to("cpu", copy=True)
                for key, value in module.state_dict().items()
            }

        def train() -> Params:
            with torch_threads(threads):
                return stack([train_one(lane) for lane in job.seeds])

        return train

    return prepare


def jax_scan(
    samples_last: bool, at_once: bool, width: int | None, threads: int, is_recorded: bool = False
) -> Variant:
    """`lax.scan` over the epochs, and within it over the batches.

    Args:
        samples_last: activations are `(feature, sample)` and not `(sample, feature)`.
        at_once: an epoch's samples are put in order before its steps; else each step takes its own.
        width: seeds in a call; None for all of them.
        threads: calls at the same time.
        is_recorded: whether it reads the learning curves that this package reads.
    """

    def prepare(job: Job) -> Train:
        fit = jax_fit(job, samples_last, at_once, is_recorded)
        return in_chunks(job, fit, jax_inputs(job, samples_last), width, threads)

    return prepare


def jax_inputs(job: Job, samples_last: bool) -> list[torch.Tensor]:
    """What `jax_fit` takes beside the weights."""
    parts = []
    for x, y in (job.data.train, job.data.test):
        parts += [x.mT if samples_last else x, y if job.data.task.n_classes == 2 else y.int()]
    return [*parts, orders(job).int()]


def jax_fit(
    job: Job, samples_last: bool, at_once: bool, is_recorded: bool
) -> Callable[..., dict[str, Any]]:
    """The training of one replicate: `fit(params, x, y, test_x, test_y, orders) -> params`.

    With learning curves, `train_loss`, `train_correct`, `test_loss` and `test_correct` are there
    too, a number for each epoch of the curves.
    """
    import jax  # pyright: ignore[reportMissingImports] - optional
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports] - optional
    import optax  # pyright: ignore[reportMissingImports] - optional

    settings, is_binary = job.settings, job.data.task.n_classes == 2
    size = job.recipe.batch_size or job.data.train.y.shape[1]
    names = sorted({key.partition(".")[0] for key in job.start}, key=int)
    optimizer = optax.adamw(settings["learning_rate"], weight_decay=settings["weight_decay"])
    read_at = np.array(core_train.curve_epochs(job.recipe.epochs))

    def logits_of(params: Any, x: Any) -> Any:
        for name in names:
            weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
            x = x if name == names[0] else jax.nn.relu(x)
            x = weight @ x + bias[:, None] if samples_last else x @ weight.T + bias
        if is_binary:
            return x.reshape(-1)
        return x.T if samples_last else x

    def loss_of(logits: Any, y: Any) -> Any:
        if is_binary:
            return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, y))
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y))

    def loss(params: Any, x: Any, y: Any) -> Any:
        return loss_of(logits_of(params, x), y)

    def metrics(params: Any, x: Any, y: Any) -> tuple[Any, Any]:
        logits = logits_of(params, x)
        guess = logits > 0 if is_binary else jnp.argmax(logits, -1)
        return loss_of(logits, y), jnp.sum(guess == y)

    def step(carry: Any, x: Any, y: Any) -> Any:
        params, opt_state = carry
        updates, opt_state = optimizer.update(jax.grad(loss)(params, x, y), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def take(x: Any, rows: Any) -> Any:
        return x[:, rows] if samples_last else x[rows]

    def fit(params: Any, x: Any, y: Any, test_x: Any, test_y: Any, orders: Any) -> Any:
        whole, rest = divmod(len(y), size)

        def read(carry: Any) -> tuple[Any, ...]:
            return *metrics(carry[0], x, y), *metrics(carry[0], test_x, test_y)

        def one_by_one(carry: Any, order: Any) -> Any:
            batches = order[: whole * size].reshape(whole, size)
            carry, _ = jax.lax.scan(
                lambda carry, rows: (step(carry, take(x, rows), y[rows]), None), carry, batches
            )
            if rest:
                rows = order[whole * size :]
                carry = step(carry, take(x, rows), y[rows])
            return carry, None

        def in_order(carry: Any, order: Any) -> Any:
            ordered_x, ordered_y = take(x, order), y[order]
            parts = ordered_x[..., : whole * size] if samples_last else ordered_x[: whole * size]
            if samples_last:
                parts = parts.reshape(-1, whole, size).transpose(1, 0, 2)
            else:
                parts = parts.reshape(whole, size, -1)
            labels = ordered_y[: whole * size].reshape(whole, size)
            carry, _ = jax.lax.scan(
                lambda carry, batch: (step(carry, *batch), None), carry, (parts, labels)
            )
            if rest:
                last = ordered_x[..., -rest:] if samples_last else ordered_x[-rest:]
                carry = step(carry, last, ordered_y[-rest:])
            return carry, None

        take_epoch = in_order if at_once else one_by_one

        def read_and_take(carry: Any, epoch: Any) -> Any:
            order, is_read = epoch
            nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(read, carry))
            values = jax.lax.cond(is_read, read, lambda carry: nothing, carry)
            return take_epoch(carry, order)[0], values

        carry = (params, optimizer.init(params))
        if not is_recorded:
            (params, _), _ = jax.lax.scan(take_epoch, carry, orders)
            return params
        is_read = np.isin(np.arange(len(orders)), read_at)  # one for all replicates: no `vmap`
        carry, curves = jax.lax.scan(read_and_take, carry, (orders, is_read))
        ends = read(carry)
        names = ("train_loss", "train_correct", "test_loss", "test_correct")
        read_there = (
            jnp.append(curve[read_at[:-1]], end) for curve, end in zip(curves, ends, strict=True)
        )
        return carry[0] | dict(zip(names, read_there, strict=True))

    return fit


def default_engine(job: Job) -> Engine:
    """What `auto` takes for the job."""
    chunks, threads = _chunks(job), _threads(job.device.type)
    data = next(iter(chunks.values()))
    return choice.choose(choice.Job([job.recipe], data, len(chunks), threads)).engine


def training(engine: Engine | None, is_recorded: bool = True) -> Variant:
    """Chunk by chunk on a thread a core, as a study trains them, from prepared samples on.

    Unlike the other peers it also draws the initial weights and the order of batches, and reads
    the learning curves: the metrics of all training and test samples, about 20 times.

    Args:
        engine: that trains; None for the one that `auto` takes.
        is_recorded: whether it reads learning curves; else the metrics at both ends alone.
    """

    def prepare(job: Job) -> Train:
        chunks, taken = _chunks(job), list[Engine]()
        keep_freed_memory()

        def train_chunk(lanes: Sequence[int], after_steps: Callable[[int], None]) -> Params:
            replicates = [job.replicates[lane] for lane in lanes]
            return job.recipe.train(
                chunks[tuple(lanes)], replicates, Training(taken[0], after_steps)
            ).params

        def train() -> Params:
            if not taken:
                taken.append(engine or default_engine(job))
            reading = nullcontext() if is_recorded else _ends_only()
            with reading, Workers(_threads(job.device.type)) as workers:
                futures = [workers.submit(train_chunk, lanes) for lanes in chunks]
                parts = [future.result() for future in futures]
            return {key: torch.cat([part[key] for part in parts]) for key in job.start}

        return train

    return prepare


def _chunks(job: Job) -> dict[tuple[int, ...], ChunkData]:
    """The job's samples by the replicates of a chunk."""
    slices = split_lanes(len(job.seeds), fitting_chunk_size(job.device, 0))
    return {tuple(job.seeds[lanes]): job.lanes(lanes) for lanes in slices}


def _threads(device: str) -> int:
    return (os.cpu_count() or 1) if device == "cpu" else 1


@contextmanager
def _ends_only() -> Iterator[None]:
    """Learning curves of two points, the beginning and the end."""
    with ExitStack() as stack:
        for module in (core_train, c_programs):
            patch = mock.patch.object(module, "curve_epochs", lambda epochs: (0, epochs))
            stack.enter_context(patch)
        yield


def _classic_variants(device: str) -> Mapping[str, Variant]:
    threads = sorted({1, _threads(device)})
    return {
        f"{n} thread{'s' * (n > 1)}, {style} optimizer": classic_loop(n, style)
        for n, style in product(threads, ("fused", "foreach", "for-loop"))
    }


def _jax_variants(device: str, is_recorded: bool) -> Mapping[str, Variant]:
    cores, variants = _threads(device), {}
    widths = (8, 1, 16, 32, 4) if device == "cpu" else ()
    calls: dict[str, tuple[int | None, int]] = {
        f"{f'chunks of {width}' if width > 1 else 'seed by seed'} on {cores} threads": (
            width,
            cores,
        )
        for width in widths
    }
    calls["one call"] = (None, 1)
    all_calls = list(calls.items())
    for layout, samples_last, at_once, few in (
        ("rows of samples, ordered by epochs", False, True, all_calls),
        ("rows of samples, taken by steps", False, False, all_calls),
        ("samples last, taken by steps", True, False, all_calls[:1]),
    ):
        for call, sizes in few:
            variants[f"{layout}, {call}"] = jax_scan(samples_last, at_once, *sizes, is_recorded)
    return variants


OURS_IN_BATCHES = Peer(OURS.name, lambda device: {"training": training(None)}, compiles=True)
UNRECORDED = Peer(
    "without learning curves (ours)",
    lambda device: {"training": training(None, is_recorded=False)},
    compiles=True,
)
WHOLE_STUDY = Peer(
    "the whole Study.run (ours)",
    lambda device: {"Study.run": study("auto")},
    compiles=True,
    draws=True,
)
EAGER_IN_BATCHES = Peer(
    VMAP_EAGER.name, lambda device: {"training": training(EAGER)}, epochs_share=0.2
)
CLASSIC_IN_BATCHES = Peer(CLASSIC.name, _classic_variants, seeds=4)
JAX_IN_BATCHES = Peer(
    JAX.name, partial(_jax_variants, is_recorded=False), why_not_jax, compiles=True
)
JAX_RECORDED = Peer(
    f"{JAX.name}, learning curves too",
    partial(_jax_variants, is_recorded=True),
    why_not_jax,
    compiles=True,
)

MINIBATCH_PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        OURS_IN_BATCHES,
        UNRECORDED,
        WHOLE_STUDY,
        EAGER_IN_BATCHES,
        JAX_IN_BATCHES,
        JAX_RECORDED,
        CLASSIC_IN_BATCHES,
    )
}
"""Every peer by name, ours first."""
