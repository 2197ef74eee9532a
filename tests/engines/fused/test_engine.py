import threading
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from functional_clf.contestants.base import collect
from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.models import mlp
from functional_clf.core.optim import adam, sgd
from functional_clf.core.train import curve_epochs
from functional_clf.core.types import Batch, Model, Optimizer
from functional_clf.data.batches import draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.fused.trace import UnfusableError
from functional_clf.engines.vmapped import EAGER

CPU = torch.device("cpu")
RECIPES = {
    "model_0": model_0(epochs=40),
    "model_1": model_1(epochs=40),
    "silu": Recipe("silu", mlp((2, 6, 5, 1), torch.nn.functional.silu), adam(0.01), epochs=40),
}


def chunk_of(seeds, samples=77):
    return draw_chunk(circles(samples), [replicate(s, "data") for s in seeds], 0.2, CPU)


def leaves_of(*trees):
    return [leaf for leaf in pytree.tree_leaves(trees) if isinstance(leaf, Tensor)]


def same_bits(one, other):
    pairs = zip(leaves_of(one), leaves_of(other), strict=True)
    return all(torch.equal(x.nan_to_num(7.0), y.nan_to_num(7.0)) for x, y in pairs)


def train(recipe, start, data):
    """Final state and curves, with lanes on the first axis of each."""
    state, curves = FUSED.train(recipe, start, data, recipe.epochs)
    return state, [(metrics.loss.mT, metrics.correct.mT) for metrics in (curves.train, curves.test)]


def take(tree, lanes):
    return pytree.tree_map_only(Tensor, lambda leaf: leaf[lanes], tree)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("width", [1, 3, 7])
def test_the_width_changes_no_bit(name, width):
    recipe, seeds = RECIPES[name], range(7)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    whole = train(recipe, start, data)
    for first in range(0, 7, width):
        lanes = list(seeds[first : first + width])
        assert same_bits(take(whole, lanes), train(recipe, take(start, lanes), take(data, lanes)))


@pytest.mark.parametrize("name", RECIPES)
def test_neither_neighbours_nor_the_place_change_a_bit(name):
    recipe, seeds = RECIPES[name], list(range(5))
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    whole = train(recipe, start, data)
    order = [3, 0, 4, 2, 1]
    assert same_bits(take(whole, order), train(recipe, take(start, order), take(data, order)))
    others = [0, 101, 102, 103, 104]
    elsewhere = train(recipe, init_chunk(recipe, others, CPU), chunk_of(others))
    assert same_bits(take(whole, [0]), take(elsewhere, [0]))


def test_how_samples_lie_in_memory_changes_no_bit():
    recipe, seeds = RECIPES["model_1"], range(3)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    in_rows = pytree.tree_map_only(Tensor, Tensor.contiguous, data)
    assert data.train.x.stride() != in_rows.train.x.stride()
    assert same_bits(train(recipe, start, data), train(recipe, start, in_rows))


def test_two_threads_at_once_change_no_bit():
    recipe = RECIPES["model_1"]
    chunks = [range(8), range(100, 108)]
    work = [(init_chunk(recipe, seeds, CPU), chunk_of(seeds, 201)) for seeds in chunks]
    alone = [train(recipe, *one) for one in work]
    found, start = [[], []], threading.Barrier(2)

    def again(place):
        start.wait()
        for _ in range(3):
            found[place].append(train(recipe, *work[place]))

    threads = [threading.Thread(target=again, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, results in zip(alone, found, strict=True):
        assert len(results) == 3
        assert all(same_bits(expected, result) for result in results)


def test_two_threads_may_make_the_same_program_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    recipe, found = model_0(epochs=3), []
    state, data = init_chunk(recipe, range(2), CPU), chunk_of(range(2))
    threads = [
        threading.Thread(target=lambda: found.append(train(recipe, state, data))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert same_bits(*found)


@pytest.mark.parametrize("name", RECIPES)
def test_a_diverged_lane_is_marked_and_changes_no_bit_of_its_neighbours(name):
    recipe, seeds = RECIPES[name], list(range(5))
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    learning_rate = start.opt_state.learning_rate.clone()
    learning_rate[3] = 1e30
    wild = start._replace(opt_state=start.opt_state._replace(learning_rate=learning_rate))
    state, curves = FUSED.train(recipe, wild, data, recipe.epochs)
    assert collect(state, curves).diverged.tolist() == [lane == 3 for lane in seeds]
    rest = [0, 1, 2, 4]
    calm = train(recipe, start, data)
    assert same_bits(take(calm, rest), take(train(recipe, wild, data), rest))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_lane_whose_data_are_not_finite_is_counted_as_by_the_eager_engine(value):
    recipe, seeds = RECIPES["model_1"], range(3)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    spoilt = data.train.x.clone()
    spoilt[1, 5, 0] = value
    data = data._replace(train=data.train._replace(x=spoilt))
    ours, curves = FUSED.train(recipe, start, data, recipe.epochs)
    theirs, their_curves = EAGER.train(recipe, start, data, recipe.epochs)
    assert collect(ours, curves).diverged.tolist() == [False, True, False]
    assert torch.equal(curves.train.correct[:, 1], their_curves.train.correct[:, 1])
    assert torch.equal(curves.train.loss[:, 1].isnan(), their_curves.train.loss[:, 1].isnan())
    for key, value in theirs.params.items():
        assert torch.equal(ours.params[key][1].isnan(), value[1].isnan())


@pytest.mark.parametrize("epochs", [1, 3, 20, 21, 50, 300])
def test_curves_have_the_form_of_the_eager_engines(epochs):
    recipe, seeds = RECIPES["model_0"], range(2)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds, 20)
    _, ours = FUSED.train(recipe, start, data, epochs)
    _, theirs = EAGER.train(recipe, start, data, epochs)
    assert ours.epochs == theirs.epochs == curve_epochs(epochs)
    for our, their in zip(leaves_of(ours), leaves_of(theirs), strict=True):
        assert (our.shape, our.dtype) == (their.shape, their.dtype)
    torch.testing.assert_close(ours.test.loss, theirs.test.loss, rtol=1e-3, atol=0)


def test_the_last_of_the_curve_is_of_the_final_state():
    recipe, seeds = RECIPES["model_1"], range(2)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    state, curves = FUSED.train(recipe, start, data, 7)
    _, again = FUSED.train(recipe, state, data, 7)
    assert torch.equal(curves.train.loss[-1], again.train.loss[0])
    assert torch.equal(curves.test.correct[-1], again.test.correct[0])


def test_a_training_may_go_on_where_another_ended():
    recipe, seeds = RECIPES["model_1"], range(2)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    whole, _ = FUSED.train(recipe, start, data, 30)
    half, _ = FUSED.train(recipe, start, data, 13)
    assert same_bits(whole, FUSED.train(recipe, half, data, 17)[0])
    assert half.opt_state.count.tolist() == [13, 13]


@pytest.mark.parametrize("width", [1, 3, 5])
@pytest.mark.parametrize("epochs", [1, 7, 700])
def test_the_steps_that_are_told_add_up_to_the_epochs(width, epochs):
    recipe, seeds = RECIPES["model_0"], range(width)
    told = []
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds, 20)
    FUSED.train(recipe, start, data, epochs, told.append)
    assert sum(told) == epochs
    assert min(told) >= 0


class StoppedError(BaseException):
    pass


@pytest.mark.parametrize("error", [StoppedError, KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("call", [1, 2, 4])
def test_what_is_raised_after_some_steps_ends_the_training(error, call):
    recipe, seeds = RECIPES["model_0"], range(4)
    told = []

    def after_steps(steps):
        told.append(steps)
        if len(told) == call:
            raise error("that is enough")

    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds, 20)
    with pytest.raises(error, match="that is enough"):
        FUSED.train(recipe, start, data, 400_000, after_steps)  # long enough for several calls
    assert len(told) == call


def test_the_state_that_goes_in_is_not_changed():
    recipe, seeds = RECIPES["model_1"], range(3)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    before = pytree.tree_map_only(Tensor, Tensor.clone, (start, data))
    after, _ = FUSED.train(recipe, start, data, 5)
    assert same_bits(before, (start, data))
    assert not same_bits(after.params, start.params)
    assert type(after) is type(start)
    assert type(after.opt_state) is type(start.opt_state)


def test_a_learning_rate_may_lie_once_in_memory_for_all_lanes():
    recipe, seeds = RECIPES["model_1"], range(3)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds)
    shared = start.opt_state._replace(learning_rate=torch.tensor(0.01).expand(3))
    assert same_bits(
        train(recipe, start, data), train(recipe, start._replace(opt_state=shared), data)
    )


def test_a_program_is_compiled_once_for_a_form_of_data(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    recipe, start = model_0(epochs=3), init_chunk(model_0(), range(2), CPU)
    assert FUSED.count_missing([recipe], chunk_of(range(2), 30)) == 1
    FUSED.train(recipe, start, chunk_of(range(2), 30), 3)
    assert FUSED.count_missing([recipe], chunk_of(range(2, 4), 30)) == 0
    assert FUSED.count_missing([model_0(epochs=5)], chunk_of(range(2), 30)) == 0
    assert FUSED.count_missing([recipe], chunk_of(range(2), 40)) == 1


# What cannot be fused. w is (4, 2), b (4,), v (4,).


def model_of(apply):
    def init(generator):
        shapes = {"w": (4, 2), "b": (4,), "v": (4,)}
        return {
            key: torch.empty(s).uniform_(-1, 1, generator=generator) for key, s in shapes.items()
        }

    return Model(init, apply)


def hidden(p, x):
    return torch.tanh(x @ p["w"].T + p["b"])


CLOSURE = torch.tensor(0.5)
UNFUSABLE = {
    "batch normalisation of inputs": lambda p, x: hidden(p, x - x.mean(0)) @ p["v"],
    "batch normalisation": lambda p, x: (
        lambda h: ((h - h.mean(0)) * torch.rsqrt(h.square().mean(0) + 1e-5)) @ p["v"]
    )(hidden(p, x)),
    "weights scaled by the batch": lambda p, x: (
        hidden({"w": p["w"] / x.square().mean(0), "b": p["b"]}, x) @ p["v"]
    ),
    "whitening": lambda p, x: hidden(p, x @ (x.T @ x / len(x))) @ p["v"],
    "the mean sample for all": lambda p, x: (
        hidden(p, x) @ p["v"] + x.mean(0, keepdim=True).expand(len(x), 2) @ p["w"][0]
    ),
    "a mean over all": lambda p, x: (lambda h: h @ p["v"] - h.mean())(hidden(p, x)),
    "dropout": lambda p, x: (lambda h: (h * (torch.rand(h.shape) > 0.5)) @ p["v"])(hidden(p, x)),
    "noise": lambda p, x: hidden(p, x + torch.randn_like(x)) @ p["v"],
    "sorted features": lambda p, x: torch.sort(hidden(p, x), 1)[0] @ p["v"],
    "sorted samples": lambda p, x: torch.sort(x, 0)[0] @ p["w"][0],
    "the largest sample": lambda p, x: hidden(p, x - x.amax(0)) @ p["v"],
    "cumulative sums": lambda p, x: hidden(p, x).cumsum(0) @ p["v"],
    "samples turned round": lambda p, x: hidden(p, x.flip(0)) @ p["v"],
    "one sample": lambda p, x: hidden(p, x - x[0]) @ p["v"],
    "half of the samples": lambda p, x: (
        torch.cat([hidden(p, x[: len(x) // 2]), hidden(p, x[len(x) // 2 :])]) @ p["v"]
    ),
    "samples beside samples": lambda p, x: torch.tanh(x @ x.T) @ (x @ p["w"][0]),
    "a loop over samples": lambda p, x: torch.stack([row @ p["w"][0] for row in x]),
    "a closure": lambda p, x: hidden(p, CLOSURE * x) @ p["v"],
    "floor division": lambda p, x: hidden(p, torch.div(x, 0.1, rounding_mode="floor")) @ p["v"],
    "a softmax over samples": lambda p, x: torch.softmax(hidden(p, x), 0) @ p["v"],
}


@pytest.mark.parametrize("name", UNFUSABLE)
def test_what_cannot_be_fused_is_refused_and_told_in_a_line(name):
    recipe = Recipe("strange", model_of(UNFUSABLE[name]), sgd(0.1), epochs=2)
    state, data = init_chunk(recipe, range(2), CPU), chunk_of(range(2), 40)
    with pytest.raises(UnfusableError):
        FUSED.train(recipe, state, data, 2)
    told = FUSED.why_not([recipe], data)
    assert told is not None
    assert told.startswith("strange cannot be fused (")
    assert "\n" not in told


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_is_told_of_what_can_be_fused(name):
    recipe = RECIPES[name]
    assert FUSED.why_not([recipe], chunk_of([0])) is None


def test_a_missing_compiler_is_told_of(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    recipe = RECIPES["model_0"]
    told = FUSED.why_not([recipe], chunk_of([0]))
    assert told == "no C compiler was found (CC is 'no-such-compiler')"


class Counting(NamedTuple):
    learning_rate: Tensor
    steps: Tensor


def counting_sgd(steps, learning_rate):
    """SGD that counts its steps, in a type of number of its own choice."""

    def update(grads, state, params):
        del params
        updates = {key: (-state.learning_rate * grad).to(grad.dtype) for key, grad in grads.items()}
        return updates, Counting(state.learning_rate, (state.steps + 1).to(steps.dtype))

    return Optimizer(lambda params: Counting(learning_rate.clone(), steps.clone()), update)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool, torch.float64])
def test_an_optimizers_state_of_any_type_is_taken_rightly_or_refused(dtype):
    steps, learning_rate = torch.zeros((), dtype=dtype), torch.tensor(0.1)
    recipe = Recipe("typed", mlp((2, 3, 1)), counting_sgd(steps, learning_rate), epochs=5)
    start, data = init_chunk(recipe, range(2), CPU), chunk_of(range(2), 20)
    expected, _ = EAGER.train(recipe, start, data, 5)
    try:
        found, _ = FUSED.train(recipe, start, data, 5)
    except UnfusableError:
        return
    assert torch.equal(found.opt_state.steps, expected.opt_state.steps)
    for key, value in expected.params.items():
        torch.testing.assert_close(found.params[key], value)


def test_data_of_another_precision_than_the_weights_are_taken_rightly_or_refused():
    recipe, seeds = RECIPES["model_0"], range(2)
    start, data = init_chunk(recipe, seeds, CPU), chunk_of(seeds, 20)
    double = Batch(*(part.double() for part in data.train)), Batch(*(p.double() for p in data.test))
    data = type(data)(*double)
    expected, _ = EAGER.train(recipe, start, data, 5)
    try:
        found, _ = FUSED.train(recipe, start, data, 5)
    except (UnfusableError, TypeError, ValueError):
        return
    for key, value in expected.params.items():
        torch.testing.assert_close(found.params[key].double(), value.double(), rtol=1e-4, atol=1e-6)
