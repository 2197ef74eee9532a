import pytest
import torch
from torch import nn

from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.core.models import sequential
from functional_clf.core.train import (
    STRIDE,
    curve_epochs,
    fit,
    init_state,
    make_eval_step,
    make_train_step,
    stack,
    stepwise,
)
from functional_clf.core.types import Batch, CurvePoint, Metrics
from functional_clf.data.batches import draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate

STEPS = 200
CASES = {
    "model_0": (
        model_0(),
        lambda: sequential((2, 5, 1)),
        lambda leaves: torch.optim.SGD(leaves, lr=0.1),
    ),
    "model_1": (
        model_1(),
        lambda: sequential((2, 16, 16, 1), "relu"),
        lambda leaves: torch.optim.Adam(leaves, lr=0.01),
    ),
}


def a_batch(seed=0):
    data = draw_chunk(circles(200), [replicate(seed, "data")], 0.2, torch.device("cpu"))
    return Batch(data.train.x[0].double(), data.train.y[0].double())


def classic_loop(module, make_optimizer, batch, steps):
    optimizer, losses = make_optimizer(module.parameters()), []
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(module(batch.x).squeeze(-1), batch.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return module.state_dict(), losses


def relative_displacement_error(ours, theirs, start):
    moved = torch.cat([(theirs[key] - start[key]).ravel() for key in start])
    apart = torch.cat([(ours[key] - theirs[key]).ravel() for key in start])
    return (apart.norm() / moved.norm()).item()


@pytest.mark.parametrize("name", CASES)
def test_functional_steps_equal_the_classic_loop(name, float64):
    recipe, make_module, make_optimizer = CASES[name]
    batch, state = a_batch(), init_state(recipe.model, recipe.optimizer, seed=1)
    start, module = state.params, make_module()
    module.load_state_dict(start)
    theirs, their_losses = classic_loop(module, make_optimizer, batch, STEPS)

    train_step, losses = make_train_step(recipe.model, recipe.optimizer), []
    for _ in range(STEPS):
        state, metrics = train_step(state, batch)
        losses.append(metrics.loss.item())
    assert relative_displacement_error(state.params, theirs, start) < 1e-9
    assert losses == pytest.approx(their_losses, rel=1e-9)


def test_the_equivalence_test_has_teeth(float64):
    recipe, make_module, _ = CASES["model_1"]
    batch, state = a_batch(), init_state(recipe.model, recipe.optimizer, seed=1)
    module = make_module()
    module.load_state_dict(state.params)
    slower = lambda leaves: torch.optim.Adam(leaves, lr=0.01 * (1 + 1e-6))  # noqa: E731
    theirs, _ = classic_loop(module, slower, batch, STEPS)
    start, train_step = state.params, make_train_step(recipe.model, recipe.optimizer)
    for _ in range(STEPS):
        state, _ = train_step(state, batch)
    assert relative_displacement_error(state.params, theirs, start) > 1e-9


def test_fit_records_the_curve_it_says(float64):
    recipe, batch = model_1(epochs=70), a_batch()
    train_step = make_train_step(recipe.model, recipe.optimizer)
    eval_step = make_eval_step(recipe.model)
    start = init_state(recipe.model, recipe.optimizer, seed=0)
    test = a_batch(seed=1)
    state, curves = fit(stepwise(train_step, eval_step), start, batch, test, recipe.epochs)

    by_hand = start
    for epoch in range(recipe.epochs + 1):
        if epoch in curves.epochs:
            record = curves.epochs.index(epoch)
            for part, samples in ((curves.train, batch), (curves.test, test)):
                metrics = eval_step(by_hand.params, samples)
                torch.testing.assert_close(part.loss[record], metrics.loss, rtol=1e-12, atol=0)
                assert part.correct[record] == metrics.correct
        if epoch < recipe.epochs:
            by_hand, _ = train_step(by_hand, batch)
    assert all(torch.equal(state.params[key], by_hand.params[key]) for key in state.params)


@pytest.mark.parametrize("epochs", [1, 2, 31, 32, 33, 64, 65, 999, 1000, 100_000])
def test_curves_have_a_sensible_number_of_points(epochs):
    points = curve_epochs(epochs)
    assert points[0] == 0
    assert points[-1] == epochs
    assert sorted(set(points)) == list(points)
    assert min(epochs + 1, 17) <= len(points) <= 34


def test_what_after_steps_raises_ends_the_training():
    recipe, batch = model_0(), a_batch()
    taken = []

    def after_steps(steps):
        taken.append(steps)
        if len(taken) == 3:
            raise KeyboardInterrupt

    torch.set_default_dtype(torch.float32)
    state = init_state(recipe.model, recipe.optimizer, seed=0)
    single = Batch(batch.x.float(), batch.y.float())
    advance = stepwise(
        make_train_step(recipe.model, recipe.optimizer), make_eval_step(recipe.model)
    )
    with pytest.raises(KeyboardInterrupt):
        fit(advance, state, single, single, 10, after_steps)
    assert taken == [1, 1, 1]


@pytest.mark.parametrize("epochs", [1, 33, 1000, 100_000])
def test_training_can_be_stopped_often_and_all_steps_are_told_of(epochs):
    metrics = Metrics(torch.zeros(()), torch.zeros((), dtype=torch.int64))
    batch = Batch(torch.zeros(4, 2), torch.zeros(4))
    start, taken = init_state(model_0().model, model_0().optimizer, seed=0), []

    def advance(state, train, test, steps):
        return CurvePoint(metrics, metrics), state

    fit(advance, start, batch, batch, epochs, taken.append)
    assert sum(taken) == epochs
    assert max(taken) <= STRIDE


def test_stack_puts_replicates_first():
    states = [init_state(model_1().model, model_1().optimizer, seed) for seed in range(3)]
    stacked = stack(states)
    assert stacked.params["2.weight"].shape == (3, 16, 16)
    assert torch.equal(stacked.params["2.weight"][1], states[1].params["2.weight"])
    assert stacked.opt_state.count.shape == (3,)
