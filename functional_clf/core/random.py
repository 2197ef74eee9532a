"""Random numbers as pure functions of a key: the same bits on every engine, device and chunk.

A key is two words; the bits at a place are what the Threefry block cipher makes of the place under
the key, so nothing is drawn in turn and no stream is shared: a replicate's numbers cannot depend on
its neighbours. All is integer arithmetic of torch's, and so the same wherever it runs.

The functions and their numbers are those of `jax.random` (its threefry keys, partitionable).

Reference:
    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3, Threefry-2x32
    with 20 rounds.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from functional_clf.support.arguments import whole_number

Key = Int[Tensor, " word"]
"""Two words of 32 bits, as an int32 tensor of shape (2,)."""

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_UNIFORM_BITS = 23
"""Bits of a uniform float32, and of what a bernoulli compares."""


def key(seed: int) -> Key:
    """The key of a seed.

    Args:
        seed: 0 to 2**64 - 1; its high and its low 32 bits are the words.

    Returns:
        The key, on the CPU.

    Raises:
        TypeError: when the seed is not a whole number.
        ValueError: when it is outside its range.

    Example:
        >>> key(7)
        tensor([0, 7], dtype=torch.int32)
    """
    number = whole_number("seed", seed, 0, at_most=2**64 - 1)
    return torch.tensor([_signed(number >> 32), _signed(number)], dtype=torch.int32)


def fold_in(key: Key, data: int | Int[Tensor, ""]) -> Key:
    """A new key out of a key and a number, such as an epoch's.

    Args:
        key: the key.
        data: 0 to 2**32 - 1, also as a 0-d integer tensor.

    Example:
        >>> fold_in(key(0), 1).tolist() == fold_in(key(0), torch.tensor(1)).tolist()
        True
    """
    if not isinstance(data, Tensor):
        data = torch.tensor(data, dtype=torch.int64, device=key.device)
    return _folded_in(key, data)


def split(key: Key, n: int = 2) -> Int[Tensor, "n word"]:
    """Several new keys out of one.

    Args:
        key: the key.
        n: how many, at least 1.

    Returns:
        The keys, `(n, 2)`.

    Example:
        >>> split(key(0), 3).shape
        torch.Size([3, 2])
    """
    return _random_words(key, n).mT


def bits(key: Key, shape: Sequence[int]) -> Int[Tensor, "..."]:
    """32 random bits for each element.

    Args:
        key: the key.
        shape: of the result, fewer than 2**31 elements.

    Returns:
        An int32 tensor, each word as its bit pattern.

    Example:
        >>> bits(key(0), (2,))
        tensor([-224768089,  -91998574], dtype=torch.int32)
    """
    return _random_bits(key, list(shape))


def uniform(
    key: Key, shape: Sequence[int], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "..."]:
    """Uniform numbers in [0, 1), of 23 random bits in float32 and of 52 in float64.

    Args:
        key: the key.
        shape: of the result.
        dtype: float32 or float64.

    Raises:
        ValueError: when it is another type.

    Example:
        >>> uniform(key(0), (1,))
        tensor([0.9477])
    """
    if dtype == torch.float32:
        return _mantissa(bits(key, shape)).to(dtype) * 2.0**-_UNIFORM_BITS
    if dtype == torch.float64:
        words = _random_words(key, math.prod(shape)).to(torch.int64)
        high, low = words.reshape(2, *shape)
        mantissa = ((high & 0xFFFFFFFF) << 20) | ((low >> 12) & 0xFFFFF)
        return mantissa.to(dtype) * 2.0**-52
    raise ValueError(f"dtype is {dtype}; it must be torch.float32 or torch.float64")


def normal(
    key: Key, shape: Sequence[int], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "..."]:
    """Standard normal numbers, `sqrt(2) erfinv(u)` of u uniform in (-1, 1).

    Args:
        key: the key.
        shape: of the result.
        dtype: float32 or float64.

    Raises:
        ValueError: when it is another type.

    Example:
        >>> normal(key(0), (1,))
        tensor([1.6226])
    """
    low = math.nextafter(-1.0, 0.0) if dtype == torch.float64 else -1.0 + 2.0**-24
    u = (uniform(key, shape, dtype) * (1.0 - low) + low).clamp_min(low)
    return math.sqrt(2) * torch.erfinv(u)


def bernoulli(key: Key, p: float, shape: Sequence[int]) -> Bool[Tensor, "..."]:
    """Whether a uniform number is below p: the same whatever the precision of anything else.

    Args:
        key: the key.
        p: the probability of True, in [0, 1], to 23 bits.
        shape: of the result.

    Raises:
        ValueError: when p is outside its range.

    Example:
        >>> round(float(bernoulli(key(0), 0.2, (10_000,)).double().mean()), 4)
        0.2006
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}; it must be between 0 and 1")
    return _mantissa(bits(key, shape)) < math.ceil(p * 2**_UNIFORM_BITS)


def permutation(key: Key, n: int) -> Int[Tensor, " n"]:
    """The numbers 0 to n - 1 in random order.

    Sorted by random bits, often enough that two of the same bits hardly matter.

    Args:
        key: the key.
        n: how many.

    Example:
        >>> permutation(key(0), 5)
        tensor([0, 1, 4, 3, 2])
    """
    order = torch.arange(n, device=key.device)
    for _ in range(permutation_rounds(n)):
        key, subkey = split(key)
        # Words are compared as numbers without a sign.
        words = bits(subkey, (n,)) ^ -(2**31)
        order = order[torch.sort(words, stable=True).indices]
    return order


def permutation_rounds(n: int) -> int:
    """How many times `permutation` sorts.

    Example:
        >>> permutation_rounds(1000), permutation_rounds(20_000)
        (1, 2)
    """
    return math.ceil(3 * math.log(max(1, n)) / math.log(2**32 - 1))


def _signed(word: int) -> int:
    """A word of 32 bits as the int32 of the same bits."""
    word &= 0xFFFFFFFF
    return word - 2**32 if word >= 2**31 else word


def _mantissa(words: Tensor) -> Tensor:
    """The upper 23 bits of each word, as a number from 0 on."""
    return (words >> (32 - _UNIFORM_BITS)) & (2**_UNIFORM_BITS - 1)


def _rotated(words: Tensor, by: int) -> Tensor:
    # The sign bit is drawn along by a shift to the right, and masked away.
    return (words << by) | ((words >> (32 - by)) & ((1 << by) - 1))


def _threefry(key: tuple[Tensor, Tensor], place: Tensor) -> tuple[Tensor, Tensor]:
    """The cipher's two words for a place below 2**32, whose upper word is 0; int32, wrapping."""
    first, second = key
    keys = (first, second, first ^ second ^ _PARITY)
    x, y = keys[0], keys[1] + place
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = _rotated(y, rotation) ^ x
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + (group + 1)
    return x, y


def _of_places(key: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The cipher's words for the places 0 to n - 1, as a last axis."""
    places = torch.arange(n, dtype=torch.int32, device=key.device)
    return _threefry((key[..., :1], key[..., 1:]), places)


# As operators of torch's own kind: a compiler, and who writes down what a function does, meet one
# call, where the cipher's rounds are hundreds; torch's compiler takes minutes for those.


@torch.library.custom_op("functional_clf::random_words", mutates_args=())
def _random_words(key: Tensor, n: int) -> Tensor:
    """The cipher's words `(word, place)` for the places 0 to n - 1."""
    return torch.stack(_of_places(key, n), -2)


@torch.library.custom_op("functional_clf::random_bits", mutates_args=())
def _random_bits(key: Tensor, shape: Sequence[int]) -> Tensor:
    """A word for each element: both of the cipher's as one."""
    first, second = _of_places(key, math.prod(shape))
    return (first ^ second).reshape((*key.shape[:-1], *shape))


@torch.library.custom_op("functional_clf::fold_in", mutates_args=())
def _folded_in(key: Tensor, data: Tensor) -> Tensor:
    """The cipher's words for one place, which are a key again."""
    words = _threefry((key[..., 0], key[..., 1]), data.to(torch.int32))
    return torch.stack(words, -1)


@_random_words.register_fake
def _(key: Tensor, n: int) -> Tensor:
    return key.new_empty(*key.shape, n)


@_random_bits.register_fake
def _(key: Tensor, shape: Sequence[int]) -> Tensor:
    return key.new_empty(*key.shape[:-1], *shape)


@_folded_in.register_fake
def _(key: Tensor, data: Tensor) -> Tensor:
    return key.new_empty(*torch.broadcast_shapes(key.shape[:-1], data.shape), 2)


def _stacked(info: Any, dims: Sequence[int | None], key: Tensor) -> Tensor:
    """Keys with the replicates first, however they lie."""
    return key.expand(info.batch_size, *key.shape) if dims[0] is None else key.movedim(dims[0], 0)


@_random_words.register_vmap
def _(info: Any, dims: Any, key: Tensor, n: int) -> tuple[Tensor, int]:
    return _random_words(_stacked(info, dims, key), n), 0


@_random_bits.register_vmap
def _(info: Any, dims: Any, key: Tensor, shape: Sequence[int]) -> tuple[Tensor, int]:
    return _random_bits(_stacked(info, dims, key), shape), 0


@_folded_in.register_vmap
def _(info: Any, dims: Any, key: Tensor, data: Tensor) -> tuple[Tensor, int]:
    return _folded_in(_stacked(info, dims, key), _stacked(info, dims[1:], data)), 0
