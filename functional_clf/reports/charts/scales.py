"""From values to places on a chart and back, and ticks at round values."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

SMALLEST_SPAN = 1e-9
"""Of a scale, as a share of its largest value; below, ticks would all read alike."""


class Scale(NamedTuple):
    """Values from low to high on places from start to end.

    is_log: whether equal ratios, not equal differences, are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value is; one beyond an end is at that end.

        Example:
            >>> Scale(0, 10, 100, 200).place(2.5), Scale(1, 100, 0, 10, is_log=True).place(10)
            (125.0, 5.0)
        """
        low, high, inside = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, inside = math.log10(low), math.log10(high), math.log10(inside)
        return self.start + (self.end - self.start) * (inside - low) / (high - low)

    def holds(self, value: float) -> bool:
        """Whether a value is between the ends."""
        return self.low <= value <= self.high

    def value(self, place: float) -> float:
        """What is at a place.

        Example:
            >>> Scale(0, 10, 100, 200).value(125)
            2.5
        """
        share = (place - self.start) / (self.end - self.start)
        if self.is_log:
            return self.low * (self.high / self.low) ** share
        return self.low + share * (self.high - self.low)


class Tick(NamedTuple):
    """A round value and how it is written."""

    value: float
    words: str


def linear(
    values: Iterable[float], start: float, end: float, *, room: float = 0.05, least: float = 0.0
) -> Scale:
    """A scale that holds all finite values, with room beyond either end.

    Args:
        values: any; where none is finite, 0 and 1 are taken.
        start: place of its lower end.
        end: place of its upper end.
        room: share of its span.
        least: a span that is smaller is widened to so much.

    Example:
        >>> linear([0, 10, float("nan")], 0, 100, room=0.1)
        Scale(low=-1.0, high=11.0, start=0, end=100, is_log=False)
        >>> linear([3.0], 0, 100).holds(3.1)
        True
    """
    low, high = _reach(values) or (0.0, 1.0)
    largest = max(abs(low), abs(high))
    if high - low <= SMALLEST_SPAN * largest or high == low:
        least = max(least, 0.1 * largest or 1.0)
    if (lacking := least - (high - low)) > 0:
        low, high = low - lacking / 2, high + lacking / 2
    beyond = room * (high - low)
    return Scale(low - beyond, high + beyond, start, end)


def logarithmic(values: Iterable[float], start: float, end: float, *, room: float = 0.04) -> Scale:
    """A scale that holds all finite values above 0.

    Example:
        >>> found = logarithmic([0.1, 10, 0.0, float("inf")], 0, 100, room=0)
        >>> round(found.low, 9), round(found.high, 9)
        (0.1, 10.0)
    """
    low, high = _reach(value for value in values if value > 0) or (0.1, 1.0)
    if high < 1.2 * low:
        low, high = low / 1.1, min(high * 1.1, 1.5e308)
    beyond = (high / low) ** room
    return Scale(max(low / beyond, 5e-324), min(high * beyond, 1.7e308), start, end, True)


def ticks(scale: Scale, most: int = 6, is_whole: bool = False) -> list[Tick]:
    """Round values on a scale: 1, 2 and 5 times powers of ten.

    Args:
        scale: linear or logarithmic.
        most: so many at most; at least 2 where the numbers allow it.
        is_whole: whether there is nothing between whole numbers, such as seeds.

    Example:
        >>> [tick.words for tick in ticks(Scale(48.2, 57.1, 0, 1))]
        ['50', '52', '54', '56']
        >>> [tick.words for tick in ticks(Scale(0.02, 3000, 0, 1, is_log=True))]
        ['0.1', '1', '10', '100', '1000']
    """
    if scale.is_log:
        found = [one for one in _log_ticks(scale, most) if one.value >= 1 or not is_whole]
        if len(found) > 1:
            return found
    span = scale.high - scale.low
    step = _step(max(span / most, 1.0 if is_whole else 0.0))
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    while last - first + 1 > most:
        step = _step(step * 1.01)
        first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    if first > last and not is_whole:  # the scale lies between two multiples: of the next smaller
        step = _step(step / 2.5)  # step it holds one or two
        first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    is_long = max(abs(scale.low), abs(scale.high)) >= 1e6 or decimals > 6
    values = [float(f"{place * step:.12g}") for place in range(first, last + 1)]
    return [Tick(value, written(value) if is_long else f"{value:.{decimals}f}") for value in values]


def written(value: float) -> str:
    """A round value, short.

    Example:
        >>> written(1000.0), written(1e-07), written(2e20), written(0.001)
        ('1000', '1e-7', '2e20', '0.001')
    """
    digits = f"{value:.6g}"
    if "e" not in digits and not 0 < abs(value) < 1e-3:
        return digits
    lead, _, power = f"{value:.3e}".partition("e")
    lead = lead.rstrip("0").rstrip(".")
    return f"{lead}e{int(power)}" if value else "0"


def _reach(values: Iterable[float]) -> tuple[float, float] | None:
    found = np.fromiter(values, float)
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if len(found) else None


def _step(least: float) -> float:
    """The next of 1, 2 and 5 times powers of ten."""
    power = math.floor(math.log10(least))
    for lead in (1, 2, 5, 10):
        if (step := float(f"{lead}e{power}")) >= least * (1 - 1e-9):
            return step
    return float(f"1e{power + 1}")


def _log_ticks(scale: Scale, most: int) -> list[Tick]:
    low, high = math.log10(scale.low), math.log10(scale.high)
    first, last = math.ceil(low), math.floor(high)
    if last - first >= 1:
        every = math.ceil((last - first + 1) / most)
        powers = range(-(-first // every) * every, last + 1, every)
        found = [float(f"1e{power}") for power in powers]
    else:
        found = [
            float(f"{lead}e{power}")
            for power in range(first - 1, last + 2)
            for lead in (1, 2, 5)
            if low <= math.log10(lead) + power <= high
        ][:most]
    return [Tick(value, written(value)) for value in found if scale.holds(value)]
