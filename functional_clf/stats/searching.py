"""The smallest number that is enough: how many seeds decide a question."""

from collections.abc import Callable


def smallest_enough(
    is_enough: Callable[[int], bool], *, above: int, first: int, most: int
) -> int | None:
    """Return the smallest number that is enough, by doubling and bisection.

    Above a number that is enough all are taken to be so. Where that does not hold, the answer is a
    number that is enough and whose predecessor is not, or `first` where it follows `above`.

    Args:
        is_enough: asked some 2 log2(most) times.
        above: a number that is known, or taken, to be too few.
        first: the first that is asked about, above `above`.
        most: the largest that is asked about.

    Returns:
        The number; None where the largest is not enough.

    Example:
        >>> smallest_enough(lambda n: n * n >= 2000, above=0, first=1, most=100)
        45
        >>> smallest_enough(lambda n: n * n >= 2000, above=0, first=1, most=44) is None
        True
    """
    too_few, n = above, min(first, most)
    while not is_enough(n):
        if n >= most:
            return None
        too_few, n = n, min(2 * n, most)
    while n - too_few > 1:
        middle = (too_few + n) // 2
        too_few, n = (too_few, middle) if is_enough(middle) else (middle, n)
    return n
