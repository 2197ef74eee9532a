import numpy as np
import pytest
import torch
from sklearn.datasets import make_circles, make_moons
from sklearn.model_selection import train_test_split

from functional_clf.data import (
    MAX_SEED,
    Dataset,
    circles,
    draw_chunk,
    moons,
    replicate,
    split,
    split_sizes,
)

CPU = torch.device("cpu")


def test_data_sets_are_scikit_learns():
    for ours, theirs in (
        (circles(50, 0.1, 0.5), make_circles(50, noise=0.1, factor=0.5, random_state=3)),
        (moons(50, 0.1), make_moons(50, noise=0.1, random_state=3)),
    ):
        for drawn, expected in zip(ours.draw(3), theirs, strict=True):
            np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(("n", "test_size"), [(1000, 0.2), (10, 0.25), (7, 0.5), (33, 0.1)])
def test_splits_are_scikit_learns_and_cover_all_rows(n, test_size):
    rows = split(n, test_size, seed=5)
    train, test = train_test_split(np.arange(n), test_size=test_size, random_state=5)
    np.testing.assert_array_equal(rows.train, train)
    np.testing.assert_array_equal(rows.test, test)
    assert (len(train), len(test)) == split_sizes(n, test_size)
    assert sorted([*rows.train, *rows.test]) == list(range(n))


def test_vary_says_which_seeds_move():
    def moved(vary):
        one, two = replicate(1, vary), replicate(2, vary)
        return [name for name in one._fields if getattr(one, name) != getattr(two, name)]

    assert moved("data") == ["seed", "data_seed", "split_seed", "init_seed"]
    assert moved("split") == ["seed", "split_seed", "init_seed"]
    assert moved("init") == ["seed", "init_seed"]


def test_no_two_named_seeds_are_equal():
    named = [number for seed in range(1000) for number in replicate(seed, "data")[1:]]
    assert len(set(named)) == len(named)
    assert max(replicate(MAX_SEED, "data")) < 2**32


def test_a_chunk_stacks_what_each_seed_draws():
    dataset, seeds = circles(60), [4, 9, 4]
    chunk = [replicate(seed, "data") for seed in seeds]
    data = draw_chunk(dataset, chunk, 0.25, CPU)
    for lane, one in enumerate(chunk):
        x, y = dataset.draw(one.data_seed)
        rows = split(60, 0.25, one.split_seed)
        np.testing.assert_array_equal(data.train.x[lane], x[rows.train].astype(np.float32))
        np.testing.assert_array_equal(data.test.y[lane], y[rows.test].astype(np.float32))
    assert data.train.x.mT.is_contiguous()  # samples along memory, as the layers take them
    assert torch.equal(data.train.x[0], data.train.x[2])
    assert not torch.equal(data.train.x[0], data.train.x[1])


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: circles(3), "samples"),
        (lambda: circles(noise=-1.0), "noise"),
        (lambda: circles(noise=float("nan")), "noise"),
        (lambda: circles(factor=1.0), "factor"),
        (lambda: moons(noise=float("inf")), "noise"),
        (lambda: split_sizes(100, 0.0), "test_size"),
        (lambda: split_sizes(100, 1.5), "test_size"),
        (lambda: split_sizes(4, 0.99), "test_size"),
    ],
)
def test_arguments_outside_their_range_are_refused(build, name):
    with pytest.raises(ValueError, match=f"^{name} is "):
        build()


def test_a_data_set_of_ones_own():
    own = Dataset("own", 6, lambda seed: (np.full((6, 3), seed), np.arange(6) % 2), {"v": 2})
    assert draw_chunk(own, [replicate(1, "data")], 0.5, CPU).train.x.shape == (1, 3, 3)
    assert own.describe() == {"name": "own", "n_samples": 6, "v": 2}
