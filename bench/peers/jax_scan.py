"""JAX: `jit(vmap(scan))` with optax, in several layouts, of which the fastest is quoted.

What matters: samples as the last axis, narrow layers as multiply-add, and chunks of seeds called
from one thread a core. What was tried besides and changes less than the noise: chunks of 4, 8 or
32 seeds in place of 16; `unroll` of 2 and 4; vmap inside of scan; the XLA flags for one Eigen
thread, for vectors of 512 bits, for fast-math, and against the concurrency-optimised scheduler.
"""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import torch

from bench.job import Job, split_lanes
from bench.peers.base import Peer, Train, Variant
from functional_clf.core.types import Params

NARROW = 4
"""Up to this fan-in a layer may be multiply-adds, as in `functional_clf.core.models`."""


WIDTH = 16
"""Seeds in a chunk, as in this package."""


def scan(samples_last: bool, multiply_add: bool, width: int | None, threads: int) -> Variant:
    """All epochs in one compiled call for each chunk of seeds.

    Args:
        samples_last: activations are `(feature, sample)` and not `(sample, feature)`.
        multiply_add: narrow layers are sums of broadcast products and not matmuls.
        width: seeds in a call; None for all of them.
        threads: calls at the same time.
    """

    def prepare(job: Job) -> Train:
        x, y = job.data.train
        fit = _make_fit(job, samples_last, multiply_add)
        return in_chunks(job, fit, (x.mT if samples_last else x, y), width, threads)

    return prepare


def in_chunks(
    job: Job,
    fit: Callable[..., dict[str, Any]],
    inputs: Sequence[torch.Tensor],
    width: int | None,
    threads: int,
) -> Train:
    """The training of one replicate, compiled for chunks of them.

    Args:
        job: whose replicates to train.
        fit: `fit(params, *inputs) -> params` of one replicate.
        inputs: with a leading replicate axis.
        width: replicates in a call; None for all of them, and 1 for one without `vmap`.
        threads: calls at the same time.
    """
    import jax  # pyright: ignore[reportMissingImports] - optional

    device = jax.local_devices(backend="gpu" if job.device.type == "cuda" else "cpu")[0]
    width = width or len(job.seeds)

    def to_jax(leaf: torch.Tensor) -> Any:
        return jax.device_put(np.asarray(leaf.cpu()), device)

    chunks = []
    for lanes in split_lanes(len(job.seeds), width):
        place = lanes if width > 1 else lanes.start
        start = {key: to_jax(value[place]) for key, value in job.start.items()}
        chunks.append((start, *(to_jax(part[place]) for part in inputs)))
    compiled = jax.jit(jax.vmap(fit) if width > 1 else fit)

    def run(chunk: Any) -> dict[str, np.ndarray]:
        return {key: np.array(value) for key, value in compiled(*chunk).items()}

    def train() -> Params:
        if threads == 1:
            finals = [run(chunk) for chunk in chunks]
        else:
            with ThreadPoolExecutor(threads) as pool:
                finals = list(pool.map(run, chunks))
        join = np.concatenate if width > 1 else np.stack
        return {key: torch.from_numpy(join([final[key] for final in finals])) for key in job.start}

    return train


def _make_fit(
    job: Job, samples_last: bool, multiply_add: bool
) -> Callable[[dict[str, Any], Any, Any], dict[str, Any]]:
    """The training of one replicate: `fit(params, x, y) -> params`."""
    import jax  # pyright: ignore[reportMissingImports] - optional
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports] - optional
    import optax  # pyright: ignore[reportMissingImports] - optional

    settings = job.settings
    names = sorted({key.partition(".")[0] for key in job.start}, key=int)
    activation = getattr(jax.nn, settings["activation"] or "identity", lambda x: x)
    optimizer = getattr(optax, settings["optimizer"])(settings["learning_rate"])

    def rows(x: Any, weight: Any, bias: Any) -> Any:
        fan_out, fan_in = weight.shape
        if multiply_add and fan_in <= NARROW:
            return sum((x[:, i, None] * weight[:, i] for i in range(fan_in)), start=bias)
        if multiply_add and fan_out == 1:
            return (x * weight[0]).sum(-1, keepdims=True) + bias
        return x @ weight.T + bias

    def columns(x: Any, weight: Any, bias: Any) -> Any:
        fan_out, fan_in = weight.shape
        if multiply_add and fan_in <= NARROW:
            return sum((weight[:, i, None] * x[i] for i in range(fan_in)), start=bias[:, None])
        if multiply_add and fan_out == 1:
            return (weight[0][:, None] * x).sum(0, keepdims=True) + bias
        return weight @ x + bias[:, None]

    affine = columns if samples_last else rows

    def loss(params: Any, x: Any, y: Any) -> Any:
        for name in names:
            if name != names[0]:
                x = activation(x)
            x = affine(x, params[f"{name}.weight"], params[f"{name}.bias"])
        return jnp.mean(optax.sigmoid_binary_cross_entropy(x.reshape(-1), y))

    def fit(params: Any, x: Any, y: Any) -> Any:
        def step(carry: Any, _: None) -> Any:
            params, opt_state = carry
            updates, opt_state = optimizer.update(jax.grad(loss)(params, x, y), opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), None

        carry = (params, optimizer.init(params))
        (params, _), _ = jax.lax.scan(step, carry, length=job.recipe.epochs)
        return params

    return fit


def _variants(device: str) -> Mapping[str, Variant]:
    cores = os.cpu_count() or 1
    calls: dict[str, tuple[int | None, int]] = {"one call": (None, 1)}
    if device == "cpu" and cores > 1:
        calls[f"chunks of {WIDTH} on {cores} threads"] = (WIDTH, cores)
    layouts = {"rows of samples": False, "samples last": True}
    layers = {"matmuls": False, "narrow layers multiply-add": True}
    return {
        f"{layout}, {layer}, {call}": scan(layouts[layout], layers[layer], *calls[call])
        for layout, layer, call in product(layouts, layers, calls)
    }


def why_not_jax(device: str) -> str | None:
    """Why JAX cannot run on a device, or None where it can."""
    for package in ("jax", "optax"):
        if importlib.util.find_spec(package) is None:
            return f"the {package} package is not installed"
    if device == "cuda":
        import jax  # pyright: ignore[reportMissingImports] - optional

        if jax.default_backend() != "gpu":
            return "the installed JAX finds no GPU"
    return None


JAX = Peer("JAX jit(vmap(scan))", _variants, why_not_jax, compiles=True)
