"""The standard job, by every peer in turn."""

from functools import lru_cache

import pytest

from bench.contest import Contestant, enter
from bench.peers import PEERS
from bench.works import RECIPES


def cases(settings):
    return [(model, n, peer) for model in RECIPES for n in range(settings.rounds) for peer in PEERS]


@lru_cache
def contestant(peer, model, seeds, epochs, device) -> Contestant:
    return enter(PEERS[peer], model, seeds, epochs, device)


def test_standard_job(case, benchmark, settings):
    model, n, name = case
    if reason := PEERS[name].missing(settings.device):
        benchmark.extra_info["missing"] = reason
        pytest.skip(f"{name}: {reason}")
    one = contestant(name, model, settings.seeds, settings.epochs, settings.device)
    benchmark.extra_info |= {"section": "standard_job", "model": model, "peer": name, "round": n}
    benchmark.extra_info |= one.describe()
    # The same work again, off the clock, where a peer compiles for the number of epochs.
    benchmark.pedantic(one.train, rounds=1, warmup_rounds=1 if n == 0 else 0)
