"""What recording the learning curves costs: a chunk trained with it and without, in turn."""

from contextlib import nullcontext
from functools import lru_cache
from unittest import mock

import torch

from bench.job import make_job, torch_threads
from bench.works import RECIPES
from functional_clf.contestants.recipe import init_chunk
from functional_clf.core import train
from functional_clf.engines.choice import Job, choose
from functional_clf.engines.machine import fitting_chunk_size, keep_freed_memory


def last_only(epochs):
    """In place of `curve_epochs`: read nothing along the way, only the result."""
    return (epochs,)


def cases(settings):
    return [
        (model, n, what)
        for model in RECIPES
        for n in range(settings.recording_rounds)
        for what in ("recorded", "unrecorded")
    ]


@lru_cache
def chunk_of(model, epochs, device):
    width = fitting_chunk_size(torch.device(device), 0)
    return make_job(model, width, epochs, device)


def test_recording(case, benchmark, settings):
    model, n, what = case
    job = chunk_of(model, settings.recording_epochs, settings.device)
    engine = choose(Job([job.recipe], job.data, chunks=1000, threads=1)).engine
    state = init_chunk(job.recipe, job.init_seeds, job.device)

    def fit():
        final, curves = engine.train(job.recipe, state, job.data, job.recipe.epochs)
        next(iter(final.params.values())).cpu()  # waits for the device
        return curves

    plain = mock.patch.multiple(train, curve_epochs=last_only, STRIDE=job.recipe.epochs)
    keep_freed_memory()
    with torch_threads(1), plain if what == "unrecorded" else nullcontext():
        curves = benchmark.pedantic(fit, rounds=1, warmup_rounds=1 if n == 0 else 0)
    records = len(curves.epochs)
    assert (records == 1) == (what == "unrecorded")
    benchmark.extra_info |= {"section": "recording", "model": model, "round": n, "what": what}
    benchmark.extra_info |= {"records": records, "seeds": len(job.seeds)}
