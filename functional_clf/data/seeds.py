"""What one replicate seed fixes: the named seeds of its data, its split and its weights."""

from typing import Literal, NamedTuple

from functional_clf.support.arguments import short, whole_number

Vary = Literal["data", "split", "init"]

MAX_SEED = 2**30 - 1
"""The largest replicate seed: three named seeds are derived from it, each below 2**32."""


class Replicate(NamedTuple):
    """What one replicate seed fixes: the seeds of the data draw, the split and the weights."""

    seed: int
    data_seed: int
    split_seed: int
    init_seed: int


def replicate(seed: int, vary: Vary) -> Replicate:
    """The three named seeds of one replicate.

    Each is a number of its own (`3 seed`, `3 seed + 1`, `3 seed + 2`), so no generator ever repeats
    another's stream. What `vary` holds fixed is that of seed 0.

    Args:
        seed: the replicate's seed, 0 to `MAX_SEED`.
        vary: "data" redraws data, split and weights; "split" keeps the data; "init" keeps data and
            split.

    Returns:
        The replicate.

    Example:
        >>> replicate(7, "split")
        Replicate(seed=7, data_seed=0, split_seed=22, init_seed=23)
    """
    data_of = seed if vary == "data" else 0
    split_of = 0 if vary == "init" else seed
    return Replicate(seed, 3 * data_of, 3 * split_of + 1, 3 * seed + 2)


def crossed_replicate(seed: int, n_init_seeds: int) -> Replicate:
    """The named seeds of one cell of a crossed grid, data seeds down and init seeds across.

    Row `seed // n_init_seeds` draws data and split, column `seed % n_init_seeds` the weights.

    Args:
        seed: the cell's number, row by row.
        n_init_seeds: columns of the grid.

    Example:
        >>> crossed_replicate(17, n_init_seeds=16)
        Replicate(seed=17, data_seed=3, split_seed=4, init_seed=5)
    """
    row, column = divmod(seed, n_init_seeds)
    return Replicate(seed, 3 * row, 3 * row + 1, 3 * column + 2)


def as_seeds(seeds: int | range) -> range:
    """A range of replicate seeds out of a count or a range.

    Raises:
        TypeError: when it is neither.
        ValueError: when it is empty, has gaps, or leaves 0 to `MAX_SEED`.

    Example:
        >>> as_seeds(64)
        range(0, 64)
    """
    wanted = "it must be a count of at least 1, as in 64, or a rising range, as in 100:200"
    as_range = seeds
    if not isinstance(as_range, range):
        try:
            as_range = range(whole_number("seeds", seeds, 0))
        except TypeError:
            raise TypeError(f"seeds is {short(seeds)}; {wanted}") from None
    if not as_range or as_range.step != 1:
        raise ValueError(f"seeds is {seeds}; {wanted}")
    if as_range.start < 0 or as_range.stop - 1 > MAX_SEED:
        raise ValueError(f"seeds is {seeds}; seeds lie between 0 and {MAX_SEED}")
    return as_range
