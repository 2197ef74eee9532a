import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from functional_clf.core import random
from functional_clf.core.random import (
    bernoulli,
    bits,
    fold_in,
    key,
    normal,
    permutation,
    split,
    uniform,
)


def unsigned(words):
    return words.numpy().view(np.uint32).tolist()


@pytest.mark.parametrize(
    ("key_words", "place", "expected"),
    [
        # Random123's kat_vectors, threefry 2 32 20, whose counters have an upper word of 0.
        ((0, 0), 0, (0x6B200159, 0x99BA4EFE)),
    ],
)
def test_known_answers_of_random123(key_words, place, expected):
    words = fold_in(torch.tensor(key_words, dtype=torch.int32), place)
    assert tuple(unsigned(words)) == expected


@pytest.mark.parametrize(
    ("key_words", "counter", "expected"),
    [
        ((0x0, 0x0), (0x0, 0x0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers_of_a_plain_cipher(key_words, counter, expected):
    """The plain cipher, that the next test holds the package to at any place."""
    assert plain_threefry(key_words, counter) == expected


def plain_threefry(key_words, counter):
    """Threefry-2x32-20 in Python's own integers, as the paper has it."""
    mask = 0xFFFFFFFF
    keys = [*key_words, key_words[0] ^ key_words[1] ^ 0x1BD11BDA]
    x, y = ((word + one) & mask for word, one in zip(counter, keys, strict=False))
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)
    for number in range(20):
        x = (x + y) & mask
        by = rotations[number % 8]
        y = ((y << by) | (y >> (32 - by))) & mask
        y ^= x
        if number % 4 == 3:
            group = number // 4 + 1
            x = (x + keys[group % 3]) & mask
            y = (y + keys[(group + 1) % 3] + group) & mask
    return x, y


word = st.integers(0, 2**32 - 1)


@given(seed=st.integers(0, 2**64 - 1), place=word)
def test_words_are_the_cipher_of_their_place(seed, place):
    expected = plain_threefry((seed >> 32, seed & 0xFFFFFFFF), (0, place))
    assert tuple(unsigned(fold_in(key(seed), place))) == expected


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40))
def test_bits_and_keys_are_those_of_their_places(seed, n):
    one = key(seed)
    folded = [unsigned(fold_in(one, place)) for place in range(n)]
    assert [unsigned(part) for part in split(one, n)] == folded
    assert unsigned(bits(one, (n,))) == [first ^ second for first, second in folded]


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**40 + 5])
def test_the_numbers_are_those_of_jax(seed):
    jax = pytest.importorskip("jax")
    ours, theirs = (
        key(seed),
        jax.random.wrap_key_data(np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32)),
    )
    assert (
        unsigned(fold_in(ours, 77)) == jax.random.key_data(jax.random.fold_in(theirs, 77)).tolist()
    )
    assert [unsigned(one) for one in split(ours, 3)] == jax.random.key_data(
        jax.random.split(theirs, 3)
    ).tolist()
    for n in (1, 2, 1000, 5000):
        assert unsigned(bits(ours, (n,))) == jax.random.bits(theirs, (n,), "uint32").tolist()
        assert permutation(ours, n).tolist() == jax.random.permutation(theirs, n).tolist()
        assert uniform(ours, (n,)).tolist() == jax.random.uniform(theirs, (n,), "float32").tolist()
        kept = jax.random.bernoulli(theirs, np.float32(0.3), (n,))
        assert bernoulli(ours, float(np.float32(0.3)), (n,)).tolist() == kept.tolist()
        drawn = np.asarray(jax.random.normal(theirs, (n,), "float32"))
        np.testing.assert_allclose(normal(ours, (n,)), drawn, rtol=2e-5, atol=1e-6)


def test_a_stack_of_keys_draws_what_each_draws_alone():
    keys = torch.stack([key(seed) for seed in (3, 1, 2)])

    def draws(one):
        part = fold_in(one, 5)
        return (
            bits(part, (4, 3)),
            uniform(part, (7,), torch.float64),
            permutation(part, 20),
            split(part),
        )

    together = torch.func.vmap(draws)(keys)
    for lane, one in enumerate(keys):
        for stacked, alone in zip(together, draws(one), strict=True):
            assert torch.equal(stacked[lane], alone)


def test_a_compiled_draw_is_the_same_bit_for_bit():
    keys = torch.stack([key(seed) for seed in range(3)])
    draw = torch.func.vmap(lambda one: bernoulli(fold_in(one, 9), 0.3, (5, 3)))
    assert torch.equal(torch.compile(draw, fullgraph=True)(keys), draw(keys))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distributions(dtype):
    n = 20_000
    flat = uniform(key(5), (n,), dtype).numpy()
    bell = normal(fold_in(key(5), 1), (n,), dtype).numpy()
    assert flat.min() >= 0
    assert flat.max() < 1
    assert np.isfinite(bell).all()
    assert scipy.stats.kstest(flat, "uniform").pvalue > 1e-4
    assert scipy.stats.kstest(bell, "norm").pvalue > 1e-4
    share = float(bernoulli(key(6), 0.2, (n,)).double().mean())
    assert abs(share - 0.2) < 4 * math.sqrt(0.2 * 0.8 / n)


@pytest.mark.parametrize(("p", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_a_certain_bernoulli(p, share):
    assert float(bernoulli(key(0), p, (500,)).double().mean()) == share


def test_permutations_are_uniform():
    """Each number is at each place equally often, by a chi-squared statistic."""
    n, size = 3000, 5
    orders = torch.stack([permutation(fold_in(key(11), k), size) for k in range(n)]).numpy()
    assert (np.sort(orders, 1) == np.arange(size)).all()
    counts = np.stack([np.bincount(orders[:, place], minlength=size) for place in range(size)])
    statistic = ((counts - n / size) ** 2 / (n / size)).sum()
    assert scipy.stats.chi2((size - 1) ** 2).sf(statistic) > 1e-4


def test_long_permutations_are_sorted_more_than_once():
    assert [random.permutation_rounds(n) for n in (1, 1000, 2000, 20_000)] == [0, 1, 2, 2]
    assert sorted(permutation(key(1), 3000).tolist()) == list(range(3000))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: key(-1), "seed is -1; it must be at least 0"),
        (lambda: key(2**64), "it must be at most 18446744073709551615"),
        (lambda: bernoulli(key(0), 1.5, (2,)), "p is 1.5; it must be between 0 and 1"),
        (lambda: uniform(key(0), (2,), torch.float16), "dtype is torch.float16; it must be"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
