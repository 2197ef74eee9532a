"""What holds for every engine."""

import pytest
import torch
from torch.utils import _pytree as pytree

from functional_clf.contestants.base import collect
from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import init_chunk
from functional_clf.core.train import fit, init_state, make_eval_step, make_train_step, stepwise
from functional_clf.core.types import Batch
from functional_clf.data.batches import draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.registry import ENGINES

CPU = torch.device("cpu")
RECIPES = {recipe.name: recipe for recipe in (model_0(epochs=40), model_1(epochs=40))}


def chunk_of(seeds, samples=100):
    return draw_chunk(circles(samples), [replicate(s, "data") for s in seeds], 0.2, CPU)


def mapped(function, tree):
    """A tree with a function of its tensors, whatever else is in it."""
    return pytree.tree_map_only(torch.Tensor, function, tree)


def leaves_of(*trees):
    return [leaf for leaf in pytree.tree_leaves(trees) if isinstance(leaf, torch.Tensor)]


def take(tree, lanes):
    return mapped(lambda leaf: leaf[..., lanes], tree)


def train(engine, recipe, state, data):
    """Final params and curves, with lanes on the last axis of each."""
    state, curves = ENGINES[engine].train(recipe, state, data, recipe.epochs)
    params = {key: value.movedim(0, -1) for key, value in state.params.items()}
    return params, curves.train, curves.test


def same_bits(one, other):
    pairs = zip(leaves_of(one), leaves_of(other), strict=True)
    return all(torch.equal(x.nan_to_num(7.0), y.nan_to_num(7.0)) for x, y in pairs)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_chunk_equals_one_seed_at_a_time(name, engine, float64):
    recipe, seeds = RECIPES[name], range(5)
    data = mapped(torch.Tensor.double, chunk_of(seeds))
    params, _, test = train(engine, recipe, init_chunk(recipe, seeds, CPU), data)
    advance = stepwise(
        make_train_step(recipe.model, recipe.optimizer), make_eval_step(recipe.model)
    )
    for lane, seed in enumerate(seeds):
        start = init_state(recipe.model, recipe.optimizer, seed)
        batches = (Batch(part.x[lane], part.y[lane]) for part in (data.train, data.test))
        alone, curves = fit(advance, start, *batches, recipe.epochs)
        for key, value in alone.params.items():
            moved, apart = value - start.params[key], params[key][..., lane] - value
            assert apart.norm() <= 1e-9 * moved.norm()
        torch.testing.assert_close(test.loss[:, lane], curves.test.loss, rtol=1e-9, atol=0)
        assert torch.equal(test.correct[:, lane], curves.test.correct)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("samples", "width"), [(100, 16), (77, 5)])
def test_a_lane_knows_neither_its_place_nor_its_neighbours(name, engine, samples, width):
    recipe, seeds = RECIPES[name], list(range(width))
    data, start = chunk_of(seeds, samples), init_chunk(recipe, seeds, CPU)
    whole = train(engine, recipe, start, data)

    order = torch.randperm(width, generator=torch.Generator().manual_seed(0))
    shuffled = mapped(lambda leaf: leaf[order], (start, data))
    assert same_bits(take(whole, order), train(engine, recipe, *shuffled))

    others = [seeds[0], *(100 + seed for seed in seeds[1:])]
    elsewhere = train(engine, recipe, init_chunk(recipe, others, CPU), chunk_of(others, samples))
    assert same_bits(take(whole, [0]), take(elsewhere, [0]))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_diverged_lane_changes_no_bit_of_its_neighbours(name, engine):
    recipe, seeds = RECIPES[name], list(range(16))
    data, start = chunk_of(seeds), init_chunk(recipe, seeds, CPU)
    calm = train(engine, recipe, start, data)

    learning_rate = start.opt_state.learning_rate.clone()
    learning_rate[3] = 1e30
    wild_start = start._replace(opt_state=start.opt_state._replace(learning_rate=learning_rate))
    state, curves = ENGINES[engine].train(recipe, wild_start, data, recipe.epochs)
    assert collect(state, curves).diverged.tolist() == [lane == 3 for lane in seeds]
    wild = train(engine, recipe, wild_start, data)
    rest = [lane for lane in seeds if lane != 3]
    assert same_bits(take(calm, rest), take(wild, rest))
