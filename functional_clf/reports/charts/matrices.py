"""Classes: what samples of each are taken for, and how many there are."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from functional_clf.reports.charts.axes import Frame, below
from functional_clf.reports.charts.png import CLEAR, data_uri, rgba
from functional_clf.reports.charts.scales import Scale
from functional_clf.reports.charts.svg import (
    LINE,
    SIZE,
    WIDTH,
    chart,
    element,
    entry,
    fitted,
    label,
    svg,
    text_width,
)
from functional_clf.reports.pictures import ClassesPicture, ConfusionPicture

NAMED_CLASSES = 100
"""Above this many classes, axes have some of their numbers instead of all names."""
CELLS_WITH_NUMBERS = 12
"""Up to this many classes, each cell of a matrix of confusions has its number."""
CELLS_WITH_DECIMALS = 7
"""Up to this many, the number has a decimal: more have no room for it on a phone."""
CELLS_OF_THEIR_OWN = 30
"""Above this many classes, the cells are one picture."""
DEEPEST = 0.45
"""How opaque a cell of all samples is: letters are legible on it, in light and in dark."""
SIDE = 300
NAMES_WIDTH = 110
"""Of names beside the bars and the cells, at most."""
BAR = 18
BARS_HEIGHT = 420
"""Of all bars, where there are too many for a name each."""
_FIELD_COLOR = "#2F6FB3"
"""Of cells in one picture: seen on a light ground and on a dark one."""


def confusion_chart(picture: ConfusionPicture) -> str:
    """What each model takes the test samples of each class for: mean shares over seeds."""
    has_nothing = bool(np.nansum(picture.nothing) > 0)
    columns = [*picture.class_names, *(["(nothing)"] if has_nothing else [])]
    panels = []
    for place, name in enumerate(picture.models):
        shares = picture.shares[place].astype(float)
        if has_nothing:
            shares = np.concatenate([shares, picture.nothing[place].astype(float)[:, None]], 1)
        panels.append(_matrix(picture, name, shares, columns))
    note = (
        "Share of the test samples of the true class (row) that are taken for a class (column), "
        f"in %; means over {picture.n_seeds} seeds. The scale spreads small shares."
    )
    if np.isnan(picture.shares).any():
        note += " Crossed out: no seed tests samples of it."
    return chart(panels, _scale_entries(), note, kind="chart-confusion")


def classes_chart(picture: ClassesPicture) -> str:
    """How many samples of each class the study's first seed trains on and tests on."""
    panels = [_bars(picture, place, part) for place, part in enumerate(("train on", "test"))]
    return chart(panels, note=f"Of seed {picture.seed}.", kind="chart-classes")


def percent_words(value: float, has_decimal: bool = True) -> str:
    """A share of 100, with a digit after the point where it is neither none nor all.

    Example:
        >>> [percent_words(value) for value in (0.0, 0.01, 12.34, 99.99, 100.0)]
        ['0', '<0.1', '12.3', '>99.9', '100']
        >>> [percent_words(value, has_decimal=False) for value in (0.01, 12.34, 99.99)]
        ['<1', '12', '>99']
    """
    if value in (0.0, 100.0):
        return f"{value:.0f}"
    if not has_decimal:
        if value < 0.5:
            return "<1"
        return ">99" if value >= 99.5 else f"{value:.0f}"
    if value < 0.05:
        return "<0.1"
    return ">99.9" if value >= 99.95 else f"{value:.1f}"


def _matrix(picture: ConfusionPicture, name: str, shares: ndarray, columns: Sequence[str]) -> str:
    n_rows, n_columns = shares.shape
    short = fitted(columns, NAMES_WIDTH - 8)
    # Names are cut, but the space for them is what they need.
    left = LINE + 8 + max(map(text_width, short))
    side = min(WIDTH - 8 - left, SIDE)
    cell = side / n_columns
    is_upright = max(map(text_width, short)) > cell - 4
    every = max(1, int(np.ceil((SIZE + 1) / cell)))
    top = LINE + 8
    bottom = top + cell * n_rows
    heading, full = fitted([name], (WIDTH - 4) / 1.08)[0], name
    body = [label(2, LINE - 2, heading, kind="bold", full=full)]
    body.append(_cells(shares, left, top, cell))
    if n_rows <= CELLS_WITH_NUMBERS:
        body += _figures(shares, left, top, cell)
    for place in range(0, n_rows, every):
        y = top + cell * (place + 0.5) + 4
        body.append(label(left - 5, y, short[place], "end", "row-name", columns[place]))
    for place in range(0, n_columns, every):
        x = left + cell * (place + 0.5)
        if is_upright:
            body.append(
                label(
                    0, 0, short[place], "end", "column-name", columns[place],
                    transform=f"translate({x + 4:.1f} {bottom + 5:.1f})rotate(-90)",
                )
            )  # fmt: skip
        else:
            body.append(label(x, bottom + SIZE + 2, short[place], "middle", "column-name",
                              columns[place]))  # fmt: skip
    names_end = bottom + (max(map(text_width, short)) + 8 if is_upright else SIZE + 6)
    body.append(label(left + side / 2, names_end + SIZE, "predicted class", "middle", "soft"))
    middle = (top + bottom) / 2
    turned = f"translate({SIZE} {middle:.1f})rotate(-90)"
    # Upright beside a low matrix, it would stand out of the chart.
    if bottom - top > text_width("true class"):
        body.append(label(0, 0, "true class", "middle", "soft", transform=turned))
    frame = f"M{left:.1f} {top:.1f}h{side:.1f}v{bottom - top:.1f}h{-side:.1f}z"
    body.append(element("path", d=frame, class_="frame"))
    if n_columns > n_rows:  # beside the classes, nothing
        line = f"M{left + cell * n_rows:.1f} {top:.1f}V{bottom:.1f}"
        body.append(element("path", d=line, class_="axis"))
    title = f"Confusions of {name} on {picture.dataset}"
    return svg(names_end + LINE + 6, title, _told(shares, columns), body)


def _cells(shares: ndarray, left: float, top: float, cell: float) -> str:
    """Colours of the square root of a share: most confusions are rare."""
    n_rows, n_columns = shares.shape
    if max(n_rows, n_columns) > CELLS_OF_THEIR_OWN:
        levels = np.rint(255 * np.sqrt(np.clip(np.nan_to_num(shares), 0, 1))).astype(int)
        colors = [CLEAR, *(rgba(_FIELD_COLOR, level / 255) for level in range(1, 256))]
        return element(
            "image", href=data_uri(levels, colors), x=left, y=top, width=cell * n_columns,
            height=cell * n_rows, preserveAspectRatio="none", image_rendering="pixelated",
        )  # fmt: skip
    parts = []
    for (row, column), share in np.ndenumerate(shares):
        x, y = left + cell * column, top + cell * row
        if np.isnan(share):
            if column == 0:
                line = f"M{x:.1f} {y + cell / 2:.1f}h{cell * (n_columns):.1f}"
                parts.append(element("path", d=line, class_="edge"))
        elif share > 0:
            opacity = DEEPEST * float(np.sqrt(min(share, 1)))
            parts.append(
                element(
                    "rect", x=x, y=y, width=cell, height=cell, class_="heat",
                    fill_opacity=f"{opacity:.3f}",
                )
            )  # fmt: skip
    return "".join(parts)


def _figures(shares: ndarray, left: float, top: float, cell: float) -> list[str]:
    has_decimal = shares.shape[1] <= CELLS_WITH_DECIMALS
    return [
        label(
            left + cell * (column + 0.5), top + cell * (row + 0.5) + 4,
            percent_words(100 * float(share), has_decimal), "middle", "cell",
        )
        for (row, column), share in np.ndenumerate(shares)
        if not np.isnan(share)
    ]  # fmt: skip


def _scale_entries() -> list[str]:
    found = []
    for percent in (0, 1, 10, 50, 100):
        opacity = DEEPEST * (percent / 100) ** 0.5
        drawn = element("rect", x=1, y=1, width=26, height=12, class_="heat",
                        fill_opacity=f"{opacity:.3f}")  # fmt: skip
        frame = element("path", d="M1 1h26v12h-26z", class_="frame")
        found.append(entry(drawn + frame, f"{percent} %"))
    return found


def _told(shares: ndarray, columns: Sequence[str]) -> str:
    """The share that is right of each class, and the largest confusions."""
    n_rows = len(shares)
    right = [
        f"{columns[one]} {percent_words(100 * float(shares[one, one]))} %"
        for one in range(min(n_rows, 12))
        if not np.isnan(shares[one, one])
    ]
    wrong = np.nan_to_num(shares.copy())
    wrong[np.arange(n_rows), np.arange(n_rows)] = 0
    largest = []
    for place in np.argsort(-wrong, axis=None, kind="stable")[:3].tolist():
        row, column = divmod(place, wrong.shape[1])
        if wrong[row, column] > 0:
            words = percent_words(100 * float(wrong[row, column]))
            largest.append(f"{columns[row]} taken for {columns[column]} {words} %")
    more = f" and of {n_rows - 12} more classes" if n_rows > 12 else ""
    told = f"Right of each class: {', '.join(right)}{more}."
    return told + (f" Most confused: {', '.join(largest)}." if largest else "")


def _bars(picture: ClassesPicture, place: int, part: str) -> str:
    counts = picture.counts[place].astype(float)
    total, n_classes = counts.sum(), len(counts)
    shares = 100 * counts / total if total else counts
    is_named = n_classes <= NAMED_CLASSES
    height = BAR * n_classes if is_named else BARS_HEIGHT
    row = height / n_classes
    top = LINE + 8
    short = fitted(picture.class_names, NAMES_WIDTH)
    figures = [f"{count:.0f} ({share:.1f} %)" for count, share in zip(counts, shares, strict=True)]
    left = 4 + (max(map(text_width, short)) + 6 if is_named else 40)
    room = max(map(text_width, figures)) + 8 if is_named else 12
    right = WIDTH - room
    longest = float(shares.max()) or 1.0
    across = Scale(0, longest, left, right)
    frame = Frame(left, top, right, top + height)
    heading = f"{total:.0f} samples to {part}"
    body = [label(2, LINE - 2, heading, kind="bold"), below(across, frame, "share (%)")]
    gap = min(2.0, row / 8)
    d = "".join(
        f"M{left:.1f} {top + row * one + gap:.1f}H{across.place(float(share)):.1f}"
        f"v{row - 2 * gap:.1f}H{left:.1f}z"
        for one, share in enumerate(shares)
    )
    body.append(element("path", d=d, class_="bar k4"))
    if is_named:
        for one, share in enumerate(shares):
            y = top + row * (one + 0.5) + 4
            body.append(label(left - 5, y, short[one], "end", "name", picture.class_names[one]))
            body.append(label(across.place(float(share)) + 4, y, figures[one], kind="figures"))
    else:
        every = int(np.ceil(n_classes / 20))
        for one in range(0, n_classes, every):
            body.append(label(left - 5, top + row * (one + 0.5) + 4, str(one), "end", "soft"))
    title = f"Classes of {picture.dataset}, seed {picture.seed}: {heading}"
    told = [f"{name} {words}" for name, words in zip(picture.class_names, figures, strict=True)]
    more = f"; and {n_classes - 30} more classes" if n_classes > 30 else ""
    return svg(frame.bottom + 2 * LINE + 6, title, f"{'; '.join(told[:30])}{more}.", body)
