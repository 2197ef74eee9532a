"""One training step of one replicate: the classic way, and as a pure function."""

import pytest
import torch
from torch import nn

from bench.job import Job, make_job, torch_threads
from bench.peers.classic import make_optimizer
from bench.works import RECIPES
from functional_clf.core.train import init_state, make_train_step
from functional_clf.core.types import Batch

WARM_UP = {"min_rounds": 30, "warmup": True, "warmup_iterations": 20}


def classic_step(job: Job):
    module, batch = job.module(), Batch(job.data.train.x[0].contiguous(), job.data.train.y[0])
    module.load_state_dict({key: value[0] for key, value in job.start.items()})
    optimizer = make_optimizer(job, module, "for-loop")
    loss_function = nn.BCEWithLogitsLoss()

    def step():
        loss = loss_function(module(batch.x).squeeze(-1), batch.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {key: value.detach() for key, value in module.state_dict().items()}

    return step


def functional_step(job: Job):
    train_step = make_train_step(job.recipe.model, job.recipe.optimizer)
    state = init_state(job.recipe.model, job.recipe.optimizer, seed=0)
    state = state._replace(params={key: value[0] for key, value in job.start.items()})
    batch = Batch(job.data.train.x[0], job.data.train.y[0])

    @torch.no_grad()
    def step():
        nonlocal state
        state, _ = train_step(state, batch)
        return state.params

    return step


STEPS = {"nn.Module": classic_step, "pure function": functional_step}


def cases(settings):
    del settings
    return [(model, way) for model in RECIPES for way in STEPS]


@pytest.mark.benchmark(**WARM_UP)
def test_step(case, benchmark):
    model, way = case
    job = make_job(model, seeds=1, epochs=1)
    with torch_threads(1):
        ours, theirs = functional_step(job), classic_step(job)
        torch.testing.assert_close(ours(), theirs())  # before the clock
        benchmark.extra_info |= {"section": "step", "model": model, "way": way}
        benchmark(STEPS[way](job))
