import numpy as np
import pytest
import torch

from bench.job import TOLERANCE, check_agreement, disagreement, make_job, reference
from bench.peers.minibatches import classic_loop, jax_fit, jax_inputs, jax_scan, training
from bench.peers.vmapped import study
from bench.works import MINIBATCH_WORKS
from functional_clf.contestants.base import Training
from functional_clf.core.train import CURVE_POINTS
from functional_clf.engines.vmapped import EAGER

SEEDS, EPOCHS = 4, 2
SAMPLES = {"breast_cancer": 150, "digits": 300, "made": 300}
"""Some batches and a shorter last one."""


def check(variant, work):
    start, expected = reference(work, SEEDS, EPOCHS, samples=SAMPLES[work])
    job = make_job(work, SEEDS, EPOCHS, samples=SAMPLES[work])
    assert job.recipe.batch_size
    assert SAMPLES[work] % job.recipe.batch_size
    before = torch.get_num_threads()
    train = variant(job)
    check_agreement(train(), expected, start)
    check_agreement(train(), expected, start)  # a second call starts anew
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("work", MINIBATCH_WORKS)
@pytest.mark.parametrize("style", ["for-loop", "foreach", "fused"])
def test_the_classic_loop_does_the_same_work(work, style):
    check(classic_loop(1, style), work)


@pytest.mark.parametrize("work", MINIBATCH_WORKS)
@pytest.mark.parametrize("is_recorded", [True, False])
def test_the_engines_do_the_same_work(work, is_recorded):
    check(training(None, is_recorded), work)
    check(training(EAGER, is_recorded), work)


@pytest.mark.parametrize("work", ["breast_cancer", "digits"])
@pytest.mark.parametrize(
    ("samples_last", "at_once", "width", "threads"),
    [(False, True, 1, 2), (False, False, 3, 2), (True, True, None, 1), (True, False, 3, 1)],
)
def test_jax_does_the_same_work(work, samples_last, at_once, width, threads):
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    check(jax_scan(samples_last, at_once, width, threads), work)
    check(jax_scan(samples_last, at_once, width, threads, is_recorded=True), work)


def test_a_whole_study_does_the_same_work():
    start, expected = reference("breast_cancer", SEEDS, EPOCHS)
    params = study("auto")(make_job("breast_cancer", SEEDS, EPOCHS))()
    check_agreement(params, expected, start)


def test_other_batches_are_noticed():
    start, expected = reference("breast_cancer", SEEDS, EPOCHS, samples=SAMPLES["breast_cancer"])
    job = make_job("breast_cancer", SEEDS, EPOCHS, samples=SAMPLES["breast_cancer"] - 1)
    assert disagreement(classic_loop(1, "fused")(job)(), expected, start) > 100 * TOLERANCE


@pytest.mark.parametrize("work", ["breast_cancer", "digits"])
@pytest.mark.parametrize("samples_last", [False, True])
def test_jax_reads_the_same_learning_curves(work, samples_last):
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    epochs = CURVE_POINTS + 3  # some of them are not read
    job = make_job(work, SEEDS, epochs, samples=SAMPLES[work])
    fit = jax_fit(job, samples_last, at_once=True, is_recorded=True)
    start = {key: value.numpy() for key, value in job.start.items()}
    inputs = [part.numpy() for part in jax_inputs(job, samples_last)]
    found = jax.jit(jax.vmap(fit))(start, *inputs)

    curves = job.recipe.train(job.data, job.replicates, Training(EAGER, lambda steps: None)).curves
    assert curves is not None
    assert len(curves.epochs) < epochs
    for part, expected in (("train", curves.train), ("test", curves.test)):
        loss = np.asarray(found[f"{part}_loss"]).T
        np.testing.assert_allclose(loss, expected.loss.numpy(), rtol=2e-3)
        correct = np.asarray(found[f"{part}_correct"]).T
        assert abs(correct - expected.correct.numpy()).max() <= 1
        assert (correct == expected.correct.numpy()).mean() > 0.9
