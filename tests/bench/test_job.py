import pytest
import torch

from bench.job import TOLERANCE, check_agreement, disagreement, make_job, orders, reference
from bench.peers.vmapped import one_chunk
from bench.works import RECIPES

SEEDS, EPOCHS = 8, 20


@pytest.mark.parametrize("model", RECIPES)
@pytest.mark.parametrize(("factor", "agrees"), [(1.0, True), (1.001, False)])
def test_a_learning_rate_that_is_wrong_by_a_thousandth_is_noticed(model, factor, agrees):
    rate = RECIPES[model]().settings["learning_rate"]
    job = make_job(model, SEEDS, EPOCHS, learning_rate=factor * rate)
    start, expected = reference(model, SEEDS, EPOCHS)
    assert (disagreement(one_chunk(1)(job)(), expected, start) <= TOLERANCE) == agrees


def test_weights_under_the_wrong_seeds_are_noticed():
    start, expected = reference("model_1", SEEDS, EPOCHS)
    order = [1, 0, 3, 2, *range(4, SEEDS)]
    swapped = {key: value[order] for key, value in expected.items()}
    assert check_agreement(expected, expected, start) == 0
    with pytest.raises(AssertionError, match="disagree"):
        check_agreement(swapped, expected, start)


def test_weights_that_are_not_finite_are_noticed():
    start, expected = reference("model_0", SEEDS, EPOCHS)
    broken = {key: torch.full_like(value, torch.nan) for key, value in expected.items()}
    with pytest.raises(AssertionError, match="disagree"):
        check_agreement(broken, expected, start)


def test_the_order_of_batches_is_jax_s():
    jax = pytest.importorskip("jax")
    job = make_job("breast_cancer", seeds=2, epochs=3)
    for seed, lane in zip(job.init_seeds, orders(job), strict=True):
        key = jax.random.fold_in(jax.random.key(seed), 0)
        for epoch, order in enumerate(lane):
            theirs = jax.random.permutation(jax.random.fold_in(key, epoch), len(order))
            assert order.tolist() == theirs.tolist()
