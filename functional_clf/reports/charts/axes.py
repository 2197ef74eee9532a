"""Axes: lines, ticks and words along the sides of a panel."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from functional_clf.reports.charts.scales import Scale, Tick, ticks
from functional_clf.reports.charts.svg import LINE, SIZE, WIDTH, element, fitted, label, text_width

GAP = 10
"""Between two labels side by side."""


class Frame(NamedTuple):
    """Where a panel draws, in units; y grows downward."""

    left: float
    top: float
    right: float
    bottom: float


def below(
    scale: Scale, frame: Frame, name: str, *, has_grid: bool = True, is_whole: bool = False
) -> str:
    """A horizontal axis at the bottom of a frame, with its ticks and its name below.

    It needs 34 units below the frame.
    """
    parts = []
    for tick in spread_ticks(scale, is_whole):
        x = scale.place(tick.value)
        top = frame.top if has_grid else frame.bottom - 4
        parts.append(element("path", d=f"M{x:.1f} {top:.1f}V{frame.bottom:.1f}", class_="grid"))
        half = text_width(tick.words) / 2 + 1
        at = min(max(x, half), WIDTH - half)  # a label at the very end stays on the chart
        parts.append(label(at, frame.bottom + SIZE + 2, tick.words, "middle", "soft tick-x"))
    parts.append(_line(frame.left, frame.bottom, frame.right, frame.bottom))
    x, anchor, words = (frame.left + frame.right) / 2, "middle", name
    if text_width(name) > frame.right - frame.left:
        x, anchor, words = frame.right, "end", fitted([name], frame.right - 2, most=80)[0]
    parts.append(label(x, frame.bottom + 2 * LINE, words, anchor, "soft", name))
    return "".join(parts)


def beside(scale: Scale, frame: Frame, name: str = "") -> str:
    """A vertical axis at the left of a frame; its name, if any, stands above it."""
    parts = []
    most = max(2, int((frame.bottom - frame.top) // 34))
    for tick in ticks(scale, most):
        y = scale.place(tick.value)
        parts.append(
            element("path", d=f"M{frame.left:.1f} {y:.1f}H{frame.right:.1f}", class_="grid")
        )
        parts.append(label(frame.left - 5, y + 4, tick.words, "end", "soft tick-y"))
    parts.append(_line(frame.left, frame.top, frame.left, frame.bottom))
    if name:
        words, full = cut(name, frame.right)
        parts.append(label(0, frame.top - 8, words, kind="soft", full=full))
    return "".join(parts)


def room_beside(scale: Scale, height: float) -> float:
    """How wide the labels of a vertical axis are."""
    found = ticks(scale, max(2, int(height // 34)))
    return max((text_width(tick.words) for tick in found), default=0.0) + 7


def spread_ticks(scale: Scale, is_whole: bool = False, most: int = 7) -> list[Tick]:
    """As many ticks of a horizontal axis as have room side by side."""
    for count in range(most, 1, -1):
        found = ticks(scale, count, is_whole)
        if not overlap(found, scale):
            return found
    return ticks(scale, 2, is_whole)[:1]


def overlap(found: Sequence[Tick], scale: Scale) -> bool:
    """Whether labels of ticks side by side touch."""
    ends = [
        (scale.place(tick.value) - text_width(tick.words) / 2,
         scale.place(tick.value) + text_width(tick.words) / 2)
        for tick in found
    ]  # fmt: skip
    return any(after[0] - before[1] < GAP for before, after in pairwise(ends))


def cut(name: str, room: float) -> tuple[str, str]:
    """A name as it is shown, and all of it."""
    return fitted([name], room, most=80)[0], name


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return element("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", class_="axis")
