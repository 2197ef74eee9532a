"""Pieces of SVG as plain text: elements, letters that fit, and a chart that tells itself in words.

A chart is some 380 units wide, so that its letters of 12 units have 11 pixels or more on a phone.
"""

import hashlib
import html
from collections.abc import Iterable, Sequence
from functools import cache

from rich.cells import cell_len

from functional_clf.support.text import printable, shortened

WIDTH = 380
SIZE = 12
"""Of letters, in units."""
LINE = 15
"""From one line of text to the next."""
LEAST_CELLS = 8
"""Names are not cut shorter."""
# Of DejaVu Sans, a wide font, in hundredths of its size: from the space on to the tilde.
_WIDTHS = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79,
    60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63,
    63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
)  # fmt: skip
_WIDE_BY_CELLS = (0.0, 0.9, 1.3)
"""Of any other letter, which takes so many cells of a terminal: emoji are the widest."""


def number(value: float) -> str:
    """A coordinate, to a tenth.

    Example:
        >>> number(3.04), number(-0.01), number(2.25)
        ('3', '0', '2.2')
    """
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def element(tag: str, content: str = "", **attributes: object) -> str:
    """An element; numbers are coordinates, and an underscore in a name is a hyphen.

    Example:
        >>> element("line", x1=0, y1=2.25, class_="axis", stroke_width=2)
        '<line x1="0" y1="2.2" class="axis" stroke-width="2"/>'
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None and value != ""
    )
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def escape(text: str) -> str:
    r"""A stranger's text, harmless in HTML and in SVG; its writing direction stays its own.

    Example:
        >>> escape('<b> & "x"'), escape("\x1b")
        ('&lt;b&gt; &amp; &quot;x&quot;', '\\x1b')
    """
    return html.escape(printable(text))


def label(
    x: float, y: float, words: str, anchor: str = "start", kind: str = "", full: str = "",
    **more: object,
) -> str:  # fmt: skip
    """A line of text; where it is cut, `full` is what it stands for."""
    told = element("title", escape(full)) if full and full != words else ""
    return element(
        "text", told + escape(words), x=x, y=y,
        text_anchor="" if anchor == "start" else anchor, class_=kind, **more,
    )  # fmt: skip


def text_width(text: str, size: float = SIZE) -> float:
    """How wide a text is at most, in units, in the fonts of usual screens.

    Example:
        >>> text_width("mean"), text_width("")
        (34.0, 0.0)
    """
    return round(size * sum(map(_letter_width, text), 0.0), 1)


def fitted(names: Sequence[str], room: float, size: float = SIZE, most: int = 60) -> list[str]:
    """Names cut so that each has room, all different where they were.

    Example:
        >>> fitted(["a", "a_very_long_name_of_a_model"], room=100)
        ['a', 'a_very_…_model']
    """
    shown = [printable(name) for name in names]
    for cells in range(most, LEAST_CELLS, -1):
        short = shortened(shown, cells)
        if all(text_width(name, size) <= room for name in short):
            return short
    return shortened(shown, LEAST_CELLS)


def wrapped(text: str, room: float, size: float = SIZE) -> list[str]:
    """A text in lines that have room; a word that has none is broken.

    Example:
        >>> wrapped("what every report is made of", room=100)
        ['what every', 'report is made', 'of']
    """
    lines = [""]
    for word in text.split(" "):
        grown = f"{lines[-1]} {word}" if lines[-1] else word
        if text_width(grown, size) <= room:
            lines[-1] = grown
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and text_width(lines[-1] + letter, size) > room:
                lines.append("")
            lines[-1] += letter
    return lines


def identity(*told: str) -> str:
    """An id that is the same for the same chart, whatever else is on its page."""
    content = "\0".join(told).encode("utf-8", "backslashreplace")
    return f"chart-{hashlib.blake2b(content, digest_size=6).hexdigest()}"


def svg(
    height: float, title: str, described: str, body: Iterable[str], width: float = WIDTH
) -> str:
    """A chart that scales with its width, and tells what it shows in words."""
    mark = identity(title, described)
    return element(
        "svg",
        element("title", escape(title), id=f"{mark}-title")
        + element("desc", escape(described), id=f"{mark}-desc")
        + "".join(body),
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_labelledby=f"{mark}-title",
        aria_describedby=f"{mark}-desc",
    )


def chart(panels: Sequence[str], legend: Sequence[str] = (), note: str = "", kind: str = "") -> str:
    """Panels side by side where there is room, else below each other, and what explains them.

    Args:
        panels: of `svg`.
        legend: entries of `entry`.
        note: a sentence below.
        kind: a class more.
    """
    content = element("div", "".join(panels), class_="chart-panels")
    if legend:
        content += element("ul", "".join(legend), class_="chart-legend")
    if note:
        content += element("p", escape(note), class_="chart-note")
    return element("div", content, class_=f"chart {kind}".rstrip())


def entry(sample: str, words: str, full: str = "") -> str:
    """An entry of a legend: what is drawn, in 28 by 14 units around (14, 7), and what it is."""
    drawn = element("svg", sample, viewBox="0 0 28 14", aria_hidden="true") if sample else ""
    title = full if full and full != words else ""
    return element("li", drawn + element("span", escape(words), title=title))


def path(points: Iterable[tuple[float, float]]) -> str:
    """Points joined by straight lines, as the `d` of a path.

    Example:
        >>> path([(0, 0), (1.25, 3), (2, 1)])
        'M0 0L1.2 3L2 1'
    """
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def dots(points: Iterable[tuple[float, float]], scale: int = 2) -> str:
    """Dots as one short path of parts without length, to be drawn with round ends.

    Args:
        points: in units.
        scale: the path's coordinates are so many times larger.

    Example:
        >>> dots([(2, 1), (1, 1)])
        'M2 2h0m2 0h0'
    """
    placed = sorted((round(scale * x), round(scale * y)) for x, y in points)
    parts, before = [], (0, 0)
    for x, y in placed:
        down = y - before[1]
        parts.append(f"m{x - before[0]}{down if down < 0 else f' {down}'}h0")
        before = (x, y)
    return "".join(parts).replace("m", "M", 1)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _value(value: object) -> str:
    if isinstance(value, int | float):
        return number(value)
    return html.escape(str(value))


@cache
def _letter_width(letter: str) -> float:
    place = ord(letter) - 32
    if 0 <= place < len(_WIDTHS):
        return _WIDTHS[place] / 100
    return _WIDE_BY_CELLS[cell_len(letter)]
