"""Early stopping against a loop that is written out, and what it must never look at."""

import math

import pytest
import torch

from functional_clf.contestants.recipe import Recipe
from functional_clf.core import random
from functional_clf.core.models import mlp
from functional_clf.core.optim import sgd
from functional_clf.core.stopping import EarlyStopping
from functional_clf.core.train import VALIDATION, make_eval_step, make_train_step
from functional_clf.core.types import Batch
from functional_clf.data.batches import ChunkData, draw_chunk
from functional_clf.data.generators import moons
from functional_clf.data.seeds import replicate
from functional_clf.engines.vmapped import EAGER

CPU = torch.device("cpu")
SEEDS = (2, 5, 11)


def trained(recipe, data, seeds=SEEDS, engine=EAGER):
    replicates = [replicate(seed, "data") for seed in seeds]
    states = [recipe.initial_state(one.init_seed) for one in replicates]
    from functional_clf.core.train import stack

    return engine.train(recipe, stack(states), data, recipe.epochs)


def chunk(seeds=SEEDS):
    return draw_chunk(moons(60, 0.4), [replicate(seed, "data") for seed in seeds], 0.2, CPU)


def by_hand(recipe, seed, batch):
    """One replicate, epoch by epoch, in plain Python."""
    stop = recipe.stop
    state = recipe.initial_state(replicate(seed, "data").init_seed)
    rows = random.permutation(random.fold_in(state.key, VALIDATION), len(batch.y))
    n_held_out = max(1, round(stop.validation * len(batch.y)))
    held_out, learned = (
        Batch(batch.x[part], batch.y[part]) for part in (rows[:n_held_out], rows[n_held_out:])
    )
    step = make_train_step(recipe.model, recipe.optimizer)
    read = make_eval_step(recipe.model)
    best, best_loss, best_epoch = state.params, math.inf, 0
    for epoch in range(1, recipe.epochs + 1):
        state, _ = step(state, learned)
        loss = float(read(state.params, held_out).loss)
        if loss < best_loss - stop.min_delta:
            best, best_loss, best_epoch = state.params, loss, epoch
        if epoch - best_epoch >= stop.patience:
            break
    return best, best_epoch, epoch


@pytest.mark.parametrize("patience", [1, 4])
@pytest.mark.parametrize("min_delta", [0.0, 0.003])
def test_it_keeps_the_best_weights_and_stops(patience, min_delta, float64):
    stop = EarlyStopping(patience, validation=0.3, min_delta=min_delta)
    recipe = Recipe("r", mlp((2, 16, 1), torch.relu), sgd(1.0, 0.9), 60, stop=stop)
    data = chunk()
    state, curves = trained(recipe, data)
    epochs = []
    for lane, seed in enumerate(SEEDS):
        batch = Batch(data.train.x[lane], data.train.y[lane])
        best, best_epoch, epoch = by_hand(recipe, seed, batch)
        epochs.append(epoch)
        assert int(state.stopping.best_epoch[lane]) == best_epoch
        assert int(state.stopping.epoch[lane]) == epoch
        for name, param in best.items():
            torch.testing.assert_close(
                state.stopping.best[name][lane], param, rtol=1e-9, atol=1e-12
            )
        tested = make_eval_step(recipe.model)(best, Batch(data.test.x[lane], data.test.y[lane]))
        assert int(curves.test.correct[-1][lane]) == int(tested.correct)
    assert min(epochs) < recipe.epochs, "it never stopped, so nothing was tested"


def test_the_test_part_is_never_looked_at():
    """Other test labels, and other test samples: the same weights, bit for bit."""
    recipe = Recipe(
        *("r", mlp((2, 16, 1), torch.relu), sgd(1.0, 0.9), 40),
        batch_size=16,
        stop=EarlyStopping(patience=3),
    )
    data = chunk()
    other = ChunkData(data.train, Batch(data.test.x * 3 - 1, 1 - data.test.y), data.task)
    (one, one_curves), (again, curves) = trained(recipe, data), trained(recipe, other)
    assert not torch.equal(one_curves.test.correct, curves.test.correct)
    for name, best in one.stopping.best.items():
        assert torch.equal(best, again.stopping.best[name])
    assert torch.equal(one.stopping.epoch, again.stopping.epoch)


def test_a_stopped_replicate_does_not_wait_for_its_neighbours():
    recipe = Recipe(
        *("r", mlp((2, 16, 1), torch.relu), sgd(1.0, 0.9), 60),
        stop=EarlyStopping(patience=2, validation=0.3),
    )
    together, _ = trained(recipe, chunk())
    assert len(set(together.stopping.epoch.tolist())) > 1
    for lane, seed in enumerate(SEEDS):
        alone, _ = trained(recipe, chunk([seed] * 3), [seed] * 3)
        for name, best in together.stopping.best.items():
            assert torch.equal(best[lane], alone.stopping.best[name][0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"patience": 0}, ValueError, "patience is 0; it must be at least 1"),
        ({"patience": 1.5}, TypeError, "patience is 1.5"),
        ({"validation": 0.0}, ValueError, "validation is 0.0; it must be a share"),
        ({"validation": 1.0}, ValueError, "validation is 1.0; it must be a share"),
        ({"min_delta": -1}, ValueError, "min_delta is -1"),
        ({"min_delta": math.nan}, ValueError, "min_delta is nan"),
    ],
)
def test_wrong_input(arguments, error, message):
    with pytest.raises(error, match=message):
        EarlyStopping(**arguments)


def test_samples_must_be_left_to_learn_from():
    with pytest.raises(ValueError, match="of 2 training samples it leaves none to learn from"):
        EarlyStopping(validation=0.9).n_held_out(2)
