import importlib.util
import time

import pytest
import torch

from bench import contest
from bench.contest import enter
from bench.job import check_agreement, make_job, reference
from bench.peers import CLASSIC, JAX, PEERS, Peer
from bench.peers.jax_scan import scan
from bench.peers.sklearn_mlp import SKLEARN
from bench.peers.vmapped import VMAP_EAGER
from bench.works import RECIPES

SEEDS, EPOCHS = 4, 20


def check(variant, model, optimizer=None):
    start, expected = reference(model, SEEDS, EPOCHS, optimizer)
    train = variant(make_job(model, SEEDS, EPOCHS))
    before = torch.get_num_threads()
    check_agreement(train(), expected, start)
    check_agreement(train(), expected, start)  # a second call starts anew
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("model", RECIPES)
@pytest.mark.parametrize("peer", [CLASSIC, VMAP_EAGER, SKLEARN], ids=lambda peer: peer.name)
def test_every_variant_does_the_same_work(peer, model):
    optimizer = peer.optimizers.get(RECIPES[model]().settings["optimizer"])
    for variant in peer.variants("cpu").values():
        check(variant, model, optimizer)


@pytest.mark.parametrize("model", RECIPES)
@pytest.mark.parametrize(
    ("samples_last", "multiply_add", "width", "threads"),
    [(False, False, None, 1), (False, True, 3, 2), (True, False, 3, 1), (True, True, None, 1)],
)
def test_jax_does_the_same_work(model, samples_last, multiply_add, width, threads):
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    check(scan(samples_last, multiply_add, width, threads), model)


def test_a_peer_that_is_not_installed_says_so_in_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert JAX.missing("cpu") == "the jax package is not installed"


def test_the_fastest_variant_is_entered():
    def delayed(seconds):
        def prepare(job):
            train = PEERS[CLASSIC.name].variants("cpu")["1 thread, for-loop optimizer"](job)

            def slow():
                time.sleep(seconds)
                return train()

            return slow

        return prepare

    peer = Peer("two", lambda device: {"slow": delayed(0.3), "fast": delayed(0.0)}, seeds=1)
    entered = enter(peer, "model_0", seeds=3, epochs=20)
    assert entered.variant == "fast"
    assert set(entered.probes) == {"slow", "fast"}
    assert len(entered.job.seeds) == 1
    assert entered.job.recipe.epochs == 20


def test_different_work_is_not_entered(monkeypatch):
    original = contest.make_job
    monkeypatch.setattr(
        contest,
        "make_job",
        lambda *arguments, **options: original(*arguments, **options, learning_rate=0.101),
    )
    with pytest.raises(AssertionError, match="disagree"):
        enter(CLASSIC, "model_0", seeds=4, epochs=20)
