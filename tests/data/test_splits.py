from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from functional_clf.data.splits import (
    group_sizes,
    group_split,
    split,
    split_sizes,
    stratified_split,
)

SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0.05, 0.9)


@pytest.mark.parametrize(("n", "test_size"), [(1000, 0.2), (10, 0.25), (7, 0.5), (33, 0.1)])
def test_splits_are_scikit_learns_and_cover_all_rows(n, test_size):
    rows = split(n, test_size, seed=5)
    train, test = train_test_split(np.arange(n), test_size=test_size, random_state=5)
    np.testing.assert_array_equal(rows.train, train)
    np.testing.assert_array_equal(rows.test, test)
    assert (len(train), len(test)) == split_sizes(n, test_size)
    assert sorted([*rows.train, *rows.test]) == list(range(n))


@pytest.mark.parametrize(("n", "test_size"), [(100, 0.0), (100, 1.5), (4, 0.99)])
def test_shares_that_leave_a_part_empty_are_refused(n, test_size):
    with pytest.raises(ValueError, match=r"^test_size is "):
        split_sizes(n, test_size)


@pytest.mark.parametrize("seed", range(5))
def test_stratified_splits_are_scikit_learns(seed):
    y = np.random.default_rng(seed).choice(3, 200, p=[0.7, 0.2, 0.1])
    rows = stratified_split(y, 0.23, seed)
    train, test = next(StratifiedShuffleSplit(1, test_size=0.23, random_state=seed).split(y, y))
    np.testing.assert_array_equal(rows.train, train)
    np.testing.assert_array_equal(rows.test, test)
    named = stratified_split(np.array(["c", "a", "b"])[y], 0.23, seed)
    assert sorted([*named.train, *named.test]) == list(range(200))


@given(st.lists(st.integers(2, 40), min_size=2, max_size=6), SHARES, SEEDS)
def test_stratified_splits_have_every_class_to_train_on(counts, test_size, seed):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    assume(test_size * len(y) <= len(y) - 1)
    n_train, n_test = split_sizes(len(y), test_size)
    if min(n_train, n_test) < len(counts):
        with pytest.raises(ValueError, match=f"^test_size is .* of {len(y)} samples it leaves"):
            stratified_split(y, test_size, seed)
        return
    rows = stratified_split(y, test_size, seed)
    assert (len(rows.train), len(rows.test)) == (n_train, n_test)
    assert sorted([*rows.train, *rows.test]) == list(range(len(y)))
    assert set(y[rows.train]) == set(y)
    again = stratified_split(y, test_size, seed)
    np.testing.assert_array_equal(again.train, rows.train)
    np.testing.assert_array_equal(again.test, rows.test)


def test_a_small_class_that_scikit_learn_leaves_out_is_trained_on():
    y = np.array([0] * 98 + [1, 1])
    theirs = next(StratifiedShuffleSplit(1, test_size=0.9, random_state=0).split(y, y))[0]
    assert 1 not in y[theirs]
    rows = [stratified_split(y, 0.9, seed) for seed in range(40)]
    assert all(y[one.train].sum() == 1 for one in rows)
    assert {98, 99} == {row for one in rows for row in one.train if y[row]}  # either of them


@pytest.mark.parametrize(
    ("y", "test_size", "words"),
    [
        ([0.0, 1, 1, 1, 1, 1], 0.5, "class 0 has 1 sample of 6; a stratified split needs 2"),
        ([0, 0, 1, 1, 2, 2], 0.2, "test_size is 0.2; of 6 samples it leaves 2 to test on"),
        ([0, 0, 1, 1, 2, 2], 0.6, "test_size is 0.6; of 6 samples it leaves 2 to train on"),
        ([0, 0, 1, 1], 1.0, "test_size is 1.0; it must be above 0"),
    ],
)
def test_classes_that_cannot_be_stratified_are_refused(y, test_size, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        stratified_split(np.array(y), test_size, 0)


GROUPS = st.lists(st.integers(1, 9), min_size=2, max_size=7)


def rows_of(sizes):
    return np.random.default_rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))


def endings(sizes, wanted):
    """With how many rows the test part ends, over all orders of the groups."""
    return {
        next(total for total in np.cumsum(order) if total >= wanted)
        for order in set(permutations(sizes))
    }


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), SHARES)
def test_sizes_of_group_splits_are_those_that_every_order_allows(sizes, test_size):
    groups = rows_of(sizes)
    wanted = int(np.ceil(test_size * len(groups)))
    assume(wanted < len(groups))
    totals = endings(sizes, wanted)
    if max(totals) == len(groups):
        with pytest.raises(ValueError, match=f" holds .* of {len(sizes)} groups, a test part of"):
            group_sizes(groups, test_size)
    else:
        assert group_sizes(groups, test_size) == (len(groups) - max(totals), min(totals))


def test_the_smallest_test_part_is_the_smallest_sum_of_groups_at_or_above_its_share():
    random = np.random.default_rng(3)
    sizes = random.integers(1, 60, 14)
    groups, wanted = rows_of(sizes), int(np.ceil(0.3 * sizes.sum()))
    sums = {sum(some) for k in range(1, 15) for some in combinations(sizes.tolist(), k)}
    n_train, n_test = group_sizes(groups, 0.3)
    assert n_test == min(one for one in sums if one >= wanted)
    assert n_train >= len(groups) - wanted - sizes.max() + 1


@given(GROUPS, SHARES, SEEDS)
def test_no_group_is_on_both_sides(sizes, test_size, seed):
    groups = rows_of(sizes)
    try:
        n_train, n_test = group_sizes(groups, test_size)
    except ValueError:
        with pytest.raises(ValueError, match=r"^(group|test_size)"):
            group_split(groups, test_size, seed)
        return
    rows = group_split(groups, test_size, seed)
    assert (len(rows.train), len(rows.test)) == (n_train, n_test)
    assert n_test >= split_sizes(len(groups), test_size)[1]
    assert not set(groups[rows.train]) & set(groups[rows.test])
    used = [*rows.train, *rows.test]
    assert len(set(used)) == len(used)
    again = group_split(groups, test_size, seed)
    np.testing.assert_array_equal(again.train, rows.train)
    np.testing.assert_array_equal(again.test, rows.test)


def test_of_groups_of_one_size_nothing_is_left_out():
    groups = rows_of([7] * 10)
    assert group_sizes(groups, 0.2) == (56, 14)
    assert group_sizes(groups, 0.21) == (49, 21)  # the exact multiple above
    singles = np.arange(50)
    assert group_sizes(singles, 0.13) == split_sizes(50, 0.13)


def test_what_groups_are_called_does_not_matter():
    codes = rows_of([3, 1, 4, 1, 5])
    expected = group_split(codes, 0.3, 7)
    words = np.array(["ann", "bob", "cid", "dan", "eve"])
    labels = [
        *(words[codes], words[::-1][codes], words[codes].astype(object)),
        *(codes * 1000 - 5, codes + 0.5, codes.astype(np.int8), (codes + 3).astype(np.uint16)),
        np.array([1, "b", None, ("c", 2), 2.5, 0], object)[codes],
    ]
    for one in labels:
        found = group_split(one, 0.3, 7)
        np.testing.assert_array_equal(found.train, expected.train)
        np.testing.assert_array_equal(found.test, expected.test)


def test_every_row_is_trained_on_and_tested_on_and_equal_groups_as_often():
    sizes = [4] * 6 + [1] * 8 + [9]
    groups, n_seeds = rows_of(sizes), 3000
    tested, trained = np.zeros(len(groups)), np.zeros(len(groups))
    group_tested = np.zeros(len(sizes))
    for seed in range(n_seeds):
        rows = group_split(groups, 0.3, seed)
        tested[rows.test] += 1
        trained[rows.train] += 1
        group_tested[np.unique(groups[rows.test])] += 1
    assert tested.min() > 0
    assert trained.min() > 0
    for size in (4, 1):
        members = [number for number, one in enumerate(sizes) if one == size]
        for counts in (
            group_tested[members],
            *(part[np.isin(groups, members)] for part in (tested, trained)),
        ):
            share = counts.mean() / n_seeds
            low, high = binom.interval(1 - 1e-5, n_seeds, share)
            assert low <= counts.min()
            assert counts.max() <= high


def test_many_groups_are_quick_to_size():
    random = np.random.default_rng(0)
    groups = np.concatenate([np.arange(100_000), random.integers(0, 100_000, 200_000)])
    n_train, n_test = group_sizes(groups, 0.2)
    assert n_test == 60_000
    assert 240_000 - n_train < np.bincount(groups).max()


@pytest.mark.parametrize(
    ("groups", "test_size", "words"),
    [
        (["x"] * 6 + ["y"] * 4, 0.5, "group 'x' holds 60% of the samples (6 of 10); of 2 groups"),
        (["x"] * 6, 0.5, "all 6 samples are of group 'x'; a split by groups needs two groups"),
        ([3, 3, 3, 3, 5], 0.3, "group 3 holds 80% of the samples (4 of 5)"),
        ([], 0.5, "test_size is 0.5; of 0 samples it leaves none"),
        ([1, 2, 3], -1.0, "test_size is -1.0"),
    ],
)
def test_groups_that_cannot_be_split_are_refused(groups, test_size, words):
    for attempt in (group_sizes, lambda *given: group_split(*given, seed=0)):
        with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
            attempt(np.array(groups), test_size)
        assert str(caught.value).startswith(words)
