"""Texts of pictures, measured: broken into lines where they are wider than their place."""

import functools
import re
import unicodedata
from collections.abc import Sequence

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

_SPARE = 1.04  # between widths as measured here and at a picture's own resolution
_HANDLE, _GAP = 2.8, 2.0  # of a legend, by font sizes: an entry's line, and between columns


def inches_of(text: str, size: float) -> float:
    """How wide a line of text is, in the fonts that are set, in inches.

    Args:
        text: one line, as matplotlib is given it: without formulas.
        size: of its letters, in points.

    Example:
        >>> 0.05 < inches_of("W", 10) < 0.2
        True
    """
    return _measured(text, size, tuple(matplotlib.rcParams["font.family"]))


def wrapped(text: str, inches: float, size: float) -> str:
    r"""A text broken into lines that are no wider than this, at spaces where that can be.

    Args:
        text: one or more lines, as matplotlib is given them.
        inches: how wide a line may be; a letter at least stands in each.
        size: of the letters, in points.

    Example:
        >>> wrapped("gradient boosting", 1.0, 10)
        'gradient\nboosting'
        >>> wrapped("gradient boosting", 2.0, 10)
        'gradient boosting'
    """
    return "\n".join("\n".join(_lines(line, inches, size)) for line in text.split("\n"))


def legend_columns(labels: Sequence[str], most: int, inches: float, size: float = 10.0) -> int:
    """How many of these labels a legend has room for side by side.

    Args:
        labels: in their order; a column is filled before the next.
        most: columns at most.
        inches: how wide the legend may be.
        size: of its letters, in points.

    Example:
        >>> legend_columns(["a", "b", "c"], 3, 10.0), legend_columns(["W" * 40] * 3, 3, 10.0)
        (3, 1)
    """
    widths = [inches_of(label, size) for label in labels]
    for columns in range(most, 1, -1):
        full, left = divmod(len(labels), columns)
        heights = [full + (number < left) for number in range(columns)]
        ends = [sum(heights[: number + 1]) for number in range(columns)]
        widest = [
            max(widths[end - height : end], default=0.0)
            for end, height in zip(ends, heights, strict=True)
        ]
        around = (_HANDLE * columns + _GAP * (columns - 1) + 1) * size / 72
        if sum(widest) + around <= inches:
            return columns
    return 1


def _lines(line: str, inches: float, size: float) -> list[str]:
    if inches_of(line, size) <= inches:
        return [line]
    lines, current = [], ""
    for word in re.findall(r"\S+\s*", line):
        if current and inches_of((current + word).rstrip(), size) > inches:
            lines.append(current.rstrip())
            current = ""
        if inches_of(word.rstrip(), size) <= inches:
            current += word
            continue
        for letter in _letters(word):
            if current and inches_of(current + letter.rstrip(), size) > inches:
                lines.append(current)
                current = ""
            current += letter
    return [*lines, current.rstrip()] if current.strip() else lines or [line]


def _letters(word: str) -> list[str]:
    """What must not be torn apart: an escaped dollar sign, a letter and the marks on it."""
    letters: list[str] = []
    for letter in re.findall(r"\\\$|.", word):
        if letters and unicodedata.combining(letter[-1]):
            letters[-1] += letter
        else:
            letters.append(letter)
    return letters


@functools.lru_cache(maxsize=4096)
def _measured(text: str, size: float, families: tuple[str, ...]) -> float:
    font = FontProperties(family=list(families), size=size)
    shown = text.replace(r"\$", "$")
    width = _renderer().get_text_width_height_descent(shown, font, ismath=False)[0]
    return _SPARE * width / 72


@functools.cache
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, 72)
