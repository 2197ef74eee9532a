"""Training in minibatches on tables, by every peer in turn."""

from functools import lru_cache

import pytest

from bench.contest import Contestant, enter
from bench.peers.minibatches import MINIBATCH_PEERS, OURS_IN_BATCHES, default_engine
from bench.works import MINIBATCH_WORKS


def cases(settings):
    rounds = range(settings.minibatch_rounds)
    return [(work, n, peer) for work in MINIBATCH_WORKS for n in rounds for peer in MINIBATCH_PEERS]


@lru_cache
def contestant(peer, work, seeds, epochs, device, most_variants) -> Contestant:
    return enter(MINIBATCH_PEERS[peer], work, seeds, epochs, device, most_variants)


def test_minibatches(case, benchmark, settings):
    work, n, name = case
    if reason := MINIBATCH_PEERS[name].missing(settings.device):
        benchmark.extra_info["missing"] = reason
        pytest.skip(f"{name}: {reason}")
    which = list(MINIBATCH_WORKS).index(work)
    seeds, epochs = settings.minibatch_seeds[which], settings.minibatch_epochs[which]
    one = contestant(
        name, work, seeds, epochs, settings.device, settings.minibatch_variants or None
    )
    benchmark.extra_info |= {"section": "minibatches", "model": work, "peer": name, "round": n}
    benchmark.extra_info |= one.describe()
    data, sizes = one.job.data, one.job.settings["layer_sizes"]
    benchmark.extra_info |= {
        "job": {
            "seeds": seeds,
            "epochs": epochs,
            "samples": data.train.y.shape[1],
            "layer_sizes": sizes,
            "batch_size": one.job.recipe.batch_size,
        }
    }
    if name == OURS_IN_BATCHES.name:
        benchmark.extra_info["engine"] = default_engine(one.job).name
    benchmark.pedantic(one.train, rounds=1, warmup_rounds=1 if n == 0 else 0)
