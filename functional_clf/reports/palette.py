"""What pictures have in common: colours, markers, and words as matplotlib draws them.

Colours are Okabe and Ito's, distinct under every common colour blindness; lines also differ in
style.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import matplotlib
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from functional_clf.reports.colors import (
    CLASS_COLORS,
    MODEL_COLORS,
    NAME_CELLS,
    OTHERS_COLOR,
)
from functional_clf.reports.lettering import drawable, fonts_for, no_formula
from functional_clf.reports.pictures import Picture
from functional_clf.support.text import shortened

P = TypeVar("P", bound=Picture)

CLASS_MARKERS = ("o", "s")
"""Where there are more classes than colours."""
MORE_MODEL_COLORS = ("#0072B2", "#E69F00", "#882255")
"""Of the sixth model and on; the first two are colours of classes, where there are few models."""
MARKERS = ("", "o", "s", "^", "D", "v")
"""Where there are more models than colours."""
SHARE_COLORS = LinearSegmentedColormap.from_list(
    "share", (CLASS_COLORS[0], "#FFFFFF", CLASS_COLORS[1])
)
TITLE_CELLS = 48
"""Longer names of data sets are cut, as other names at `NAME_CELLS`."""
LEGEND_LETTERS = 90
"""What the legend of a wide picture has room for side by side."""


class Words(NamedTuple):
    """What a picture writes, as matplotlib draws it.

    dataset: what it is called, and the models, the classes, and what is along the axes.
    """

    dataset: str
    models: tuple[str, ...]
    classes: tuple[str, ...]
    labels: tuple[str, ...]


class Style(NamedTuple):
    """How one of the models is drawn, in the order of the study."""

    color: str
    marker: str


class Look(NamedTuple):
    """How the samples of a class are drawn, and whether its regions are hatched.

    is_shown: whether it is told apart from all others.
    """

    color: str
    marker: str
    hatch: str
    is_shown: bool


def lettered(draw: Callable[[P, Words], Figure]) -> Callable[[P], Figure]:
    """Give a drawing function its words, and the fonts that have their letters."""

    @functools.wraps(draw)
    def figure(picture: P) -> Figure:
        classes, labels = getattr(picture, "class_names", ()), getattr(picture, "labels", ())
        families = fonts_for("".join([picture.dataset, *picture.models, *classes, *labels]))

        def cut(names: Sequence[str], cells: int) -> tuple[str, ...]:
            short = shortened([drawable(name, families) for name in names], cells)
            return tuple(map(no_formula, short))

        words = Words(
            cut([picture.dataset], TITLE_CELLS)[0],
            cut(picture.models, NAME_CELLS),
            cut(classes, NAME_CELLS),
            cut(labels, TITLE_CELLS),
        )
        # Whatever a user's own settings say of other pictures.
        with matplotlib.rc_context({"font.family": families, "text.usetex": False}):
            return draw(picture, words)

    return figure


def style_of(number: int) -> Style:
    """How one of the models is drawn."""
    colors = MODEL_COLORS + MORE_MODEL_COLORS
    again, color = divmod(number, len(colors))
    return Style(colors[color], MARKERS[again % len(MARKERS)])


def looks(n_classes: int, shown: Sequence[int]) -> list[Look]:
    """How each class is drawn.

    Args:
        n_classes: how many there are.
        shown: the numbers of those that are told apart; 14 have looks of their own.

    Example:
        >>> [look.color for look in looks(3, shown=[0, 2])]
        ['#0072B2', '#A8A8A8', '#E69F00']
    """
    found = [Look(OTHERS_COLOR, "o", "", False)] * n_classes
    for place, number in enumerate(shown):
        again, color = divmod(place, len(CLASS_COLORS))
        marker = CLASS_MARKERS[again % len(CLASS_MARKERS)]
        found[number] = Look(CLASS_COLORS[color], marker, "////" if again % 2 else "", True)
    return found


def pale(color: str, strength: float) -> tuple[float, float, float]:
    """A colour mixed with white: at strength 0 white, at 1 itself."""
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(color))
    return red, green, blue


def in_legend(text: str) -> str:
    """A label that is shown: matplotlib leaves out what begins with an underscore."""
    return f" {text}" if text.startswith("_") else text


def columns_of(labels: Sequence[str], widest: int, letters: int = LEGEND_LETTERS) -> int:
    """How many of these labels a legend has room for side by side."""
    return max(1, min(widest, letters // max(map(len, labels))))
