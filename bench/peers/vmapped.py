"""This package: its engines, each as the whole of `Study.run`."""

import os
from collections.abc import Mapping

import torch

from bench.job import TEST_SIZE, Job, torch_threads
from bench.peers.base import Peer, Train, Variant
from functional_clf.contestants.recipe import init_chunk
from functional_clf.core.types import Params
from functional_clf.engines.machine import why_not_compile
from functional_clf.engines.vmapped import EAGER
from functional_clf.study.study import Study


def study(engine: str) -> Variant:
    """`Study.run` at its default settings but for the engine.

    More than the other peers do: it also draws the data and the weights, records the learning
    curves and stores the results.
    """

    def prepare(job: Job) -> Train:
        dataset = job.work.dataset()
        if job.data.train.y.shape[1] != dataset.sizes(TEST_SIZE)[0]:
            raise ValueError("a study trains on all samples of a split, and the job has a part")
        described = Study(
            dataset,
            (job.recipe,),
            job.seeds,
            vary=job.work.vary,
            test_size=TEST_SIZE,
            engine=engine,
            device=job.device.type,
        )

        def train() -> Params:
            _, params = described.run().params[job.recipe.name]
            return {key: torch.as_tensor(value) for key, value in params.items()}

        return train

    return prepare


def one_chunk(threads: int) -> Variant:
    """All seeds as one chunk on the eager engine, torch's threads within an operation."""

    def prepare(job: Job) -> Train:
        def train() -> Params:
            with torch_threads(threads):
                state = init_chunk(job.recipe, job.init_seeds, job.device)
                state, _ = EAGER.train(job.recipe, state, job.data, job.recipe.epochs)
            return {key: value.cpu() for key, value in state.params.items()}

        return train

    return prepare


def _eager_variants(device: str) -> Mapping[str, Variant]:
    threads = sorted({1, os.cpu_count() or 1}) if device == "cpu" else [1]
    chunks = {f"one chunk, {n} thread{'s' * (n > 1)}": one_chunk(n) for n in threads}
    return {"Study.run": study("eager"), **chunks}


OURS = Peer("functional_clf (ours)", lambda device: {"Study.run": study("auto")}, compiles=True)
VMAP_COMPILED = Peer(
    "vmap compiled (ours)",
    lambda device: {"Study.run": study("compile")},
    missing=lambda device: why_not_compile(torch.device(device)),
    compiles=True,
)
VMAP_EAGER = Peer("vmap eager (ours)", _eager_variants, epochs_share=0.2)
