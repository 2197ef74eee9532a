"""Planes of two features: samples in the looks of their classes, and what models decide there."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from functional_clf.reports.charts.axes import Frame, below, beside, room_beside
from functional_clf.reports.charts.contours import zero_lines
from functional_clf.reports.charts.looks import Look, class_looks, mark
from functional_clf.reports.charts.png import CLEAR, Color, data_uri, rgba
from functional_clf.reports.charts.scales import Scale, linear
from functional_clf.reports.charts.svg import (
    LINE,
    WIDTH,
    chart,
    dots,
    element,
    entry,
    fitted,
    identity,
    label,
    path,
    svg,
    wrapped,
)
from functional_clf.reports.colors import CLASS_COLORS, NAME_CELLS, OTHERS_COLOR, named_classes
from functional_clf.reports.pictures import BoundariesPicture, DataPicture, ModelDecisions

HEIGHT = 270
LOWEST, HIGHEST = 150, 360
"""Of what is drawn in a panel, where both axes have the same scale."""
MOST_SAMPLES = 500
"""Of the samples over a plane of decisions, so many are drawn, evenly chosen."""
LEVELS = 16
"""Of votes, that colours tell apart for each class."""
ALIKE = 5
"""Both axes have one scale where neither feature reaches so many times farther."""
_ROW = 30
_BLACK_ON_BLACK = "#6B6B6B"
"""Of regions of the class that is black: seen on a light ground and on a dark one."""


def data_chart(picture: DataPicture) -> str:
    """The samples of the study's first seed, training and test apart."""
    classes = named_classes(picture.class_names)
    looks = class_looks(len(classes), picture.shown)
    x, y = picture.x.astype(float), picture.y.astype(int)
    rows = np.concatenate([picture.train, picture.test]).astype(int)
    heading = _lines(f"Seed {picture.seed}: {_counts(picture)}")
    top = LINE * len(heading) + 24
    title = f"Samples of {picture.dataset}, seed {picture.seed}"
    described = f"{_counts(picture)}; classes {', '.join(classes[:20])}"
    described += f" and {len(classes) - 20} more." if len(classes) > 20 else "."
    body = _heading(heading)
    if x.shape[1] == 1:
        spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(y))
        x = np.stack([x[:, 0], y + spread], 1)
        height = min(max(_ROW * len(classes), 90), 600)
        vertical = Scale(-0.6, len(classes) - 0.4, top + height, top)
        short = fitted(classes, 90)
        every = max(1, -(-len(classes) * LINE // height))
        left = 100
        frame = Frame(left, top, WIDTH - 12, top + height)
        body += [
            label(left - 6, vertical.place(place) + 4, short[place], "end", "soft", classes[place])
            for place in range(0, len(classes), every)
        ]
        edge = f"M{left} {top}V{top + height}"
        body.append(element("path", d=edge, class_="axis"))
        across = linear(x[rows, 0].tolist(), left, frame.right)
    else:
        drawn = x[rows]
        low, high = (drawn.min(0), drawn.max(0)) if len(drawn) else (np.zeros(2), np.ones(2))
        is_alike = _is_alike(high - low, picture.is_table and not picture.is_projected)
        frame, across, vertical = _frame(low, high, top, is_alike, room=0.05)
        body.append(beside(vertical, frame, picture.labels[1]))
    body.append(below(across, frame, picture.labels[0], has_grid=False))
    name = identity(title, described)
    for part, chosen in (("train", picture.train), ("test", picture.test)):
        body += _samples(x, y, np.asarray(chosen, int), looks, across, vertical, name, part)
    panel = svg(frame.bottom + 2 * LINE + 6, title, described, body)
    legend = [
        *_class_entries(classes, looks),
        entry(_sample("train"), "train"),
        entry(_sample("test"), "test"),
    ]
    return chart([panel], legend, _selection(picture), kind="chart-data")


def boundaries_chart(picture: BoundariesPicture) -> str:
    """Each model's decisions: those of its median seed, and the votes of all seeds."""
    classes = named_classes(picture.class_names)
    looks = class_looks(len(classes), picture.shown)
    panels = []
    beyond = drawn = given = 0
    for one in picture.decisions:
        name = picture.models[one.model]
        rows, outside = _rows_on(picture.plane, one)
        beyond, drawn, given = beyond + outside, drawn + len(rows), given + len(one.y)
        panels.append(_decisions_panel(picture, one, name, looks, rows))
        if one.share.size:
            panels.append(_votes_panel(picture, one, name, classes))
    legend = _class_entries(classes, looks)
    note = "Dots: test samples of the seed"
    if picture.has_missing:
        note += "; those that lack a value are left out"
    if drawn + beyond < given:
        note += f"; {drawn} of {given} drawn"
    if beyond:
        note += f"; {beyond} beyond the plane are not drawn"
    note += ". Votes: the stronger a colour, the more of the seeds predict that class."
    return chart(panels, legend, note, kind="chart-boundaries")


def _decisions_panel(
    picture: BoundariesPicture, one: ModelDecisions, name: str, looks: Sequence[Look],
    rows: ndarray,
) -> str:  # fmt: skip
    told = f"median seed ({one.seed}), test accuracy {one.accuracy:.1f} %"
    frame, across, vertical, body = _plane(picture, name, told)
    chosen = _chosen(one.logits)
    if (chosen < 0).all():
        middle = (frame.left + frame.right) / 2
        words = "diverged: it predicts nothing"
        body.append(label(middle, (frame.top + frame.bottom) / 2, words, "middle"))
        told += "; diverged: it predicts nothing"
    else:
        body.append(_image(_regions(chosen, picture.shown, len(looks)), frame, "decisions"))
        body.append(_borders(one.logits, chosen, frame))
    title = f"Decisions of {name} on {picture.dataset}, {told}"
    described = f"{_shares(chosen, picture)}. {len(rows)} test samples are drawn over it."
    name = identity(title, described)
    body += _samples(
        one.x.astype(float), one.y.astype(int), rows, looks, across, vertical, name, "halo"
    )
    return svg(frame.bottom + 2 * LINE + 6, title, described, body)


def _votes_panel(
    picture: BoundariesPicture, one: ModelDecisions, name: str, classes: Sequence[str]
) -> str:
    diverged = f", {one.diverged} diverged" if one.diverged else ""
    told = f"votes of {one.votes} seeds{diverged}"
    frame, _, _, body = _plane(picture, name, told)
    if len(classes) == 2:
        share = one.share.astype(float)
        winner, strength = (share > 0.5).astype(int), np.abs(2 * share - 1)
    else:
        lowest = 1 / len(classes)
        winner = one.winner.astype(int)
        strength = np.clip((one.share.astype(float) - lowest) / (1 - lowest), 0, 1)
    body.append(_image(_votes(winner, strength, picture.shown, len(classes)), frame, "votes"))
    title = f"Votes for {name} on {picture.dataset}: {told}"
    sure = 100 * float((strength > 0.999).mean())
    described = f"{told}; over {sure:.0f} % of the plane all of them agree."
    return svg(frame.bottom + 2 * LINE + 6, title, described, body)


def _plane(
    picture: BoundariesPicture, name: str, told: str
) -> tuple[Frame, Scale, Scale, list[str]]:
    """A panel with its headings and axes, as wide and high as the plane."""
    grid = picture.plane.astype(float)
    low, high = grid.min((1, 2)), grid.max((1, 2))
    # A point of the grid is the middle of its pixel.
    half = (high - low) / (2 * (np.array(grid.shape[:0:-1]) - 1))
    short = fitted([name], (WIDTH - 4) / 1.08)[0]
    lines = _lines(told)
    top = LINE * (1 + len(lines)) + 24
    is_alike = _is_alike(picture.reach, picture.is_table)
    frame, across, vertical = _frame(low - half, high + half, top, is_alike, room=0)
    body = [label(2, LINE - 2, short, kind="bold", full=name)]
    body += [label(2, LINE * (2 + place) - 2, line) for place, line in enumerate(lines)]
    body.append(beside(vertical, frame, picture.labels[1]))
    body.append(below(across, frame, picture.labels[0], has_grid=False))
    return frame, across, vertical, body


def _is_alike(reach: ndarray, is_table: bool) -> bool:
    """Whether equal lengths are equal: columns of a table have units that nothing compares."""
    return not is_table and bool(max(reach) <= ALIKE * min(reach))


def _frame(
    low: ndarray, high: ndarray, top: float, is_alike: bool, room: float
) -> tuple[Frame, Scale, Scale]:
    vertical = linear([float(low[1]), float(high[1])], top + HEIGHT, top, room=room)
    left, right = room_beside(vertical, HEIGHT), WIDTH - 12.0
    across = linear([float(low[0]), float(high[0])], left, right, room=room)
    if not is_alike:
        return Frame(left, top, right, top + HEIGHT), across, vertical
    ratio = (vertical.high - vertical.low) / (across.high - across.low)
    height = min(max((right - left) * ratio, LOWEST), HIGHEST)
    right = min(left + height / ratio, right)
    bottom = top + height
    return (
        Frame(left, top, right, bottom),
        across._replace(end=right),
        vertical._replace(start=bottom),
    )


def _rows_on(plane: ndarray, one: ModelDecisions) -> tuple[ndarray, int]:
    """Which samples are drawn, and how many lie beyond the plane."""
    low, high = plane.min((1, 2)), plane.max((1, 2))
    inside = np.flatnonzero(((one.x >= low) & (one.x <= high)).all(1))
    beyond = len(one.y) - len(inside)
    if len(inside) > MOST_SAMPLES:
        inside = inside[np.linspace(0, len(inside) - 1, MOST_SAMPLES).astype(int)]
    return inside, beyond


def _chosen(logits: ndarray) -> ndarray:
    """The class with the largest logit at each point; -1 where one is not a number."""
    if logits.ndim == 2:
        return np.where(np.isnan(logits), -1, np.where(np.isnan(logits), 0, logits) > 0)
    is_nothing = np.logical_or.reduce(np.isnan(logits))
    return np.where(is_nothing, -1, np.where(is_nothing, 0, logits).argmax(0))


def _borders(logits: ndarray, chosen: ndarray, frame: Frame) -> str:
    """Lines where the decision changes."""
    bounded = np.clip(logits.astype(float), -1e6, 1e6)
    if logits.ndim == 2:
        fields = [bounded]
    else:
        bounded = np.where(chosen < 0, np.nan, bounded)
        first, second = bounded.max(0), np.sort(bounded, 0)[-2]
        present = np.unique(chosen[chosen >= 0]).tolist()
        # Each border is that of two classes: all but the last have every one.
        fields = [bounded[one] - np.where(chosen == one, second, first) for one in present[:-1]]
    rows, columns = chosen.shape
    wide, high = (frame.right - frame.left) / columns, (frame.bottom - frame.top) / rows
    d = "".join(
        path(
            (frame.left + (column + 0.5) * wide, frame.bottom - (row + 0.5) * high)
            for column, row in line
        )
        for field in fields
        for line in zero_lines(field)
    )
    return element("path", d=d, class_="border") if d else ""


def _regions(chosen: ndarray, shown: Sequence[int], n_classes: int) -> tuple[ndarray, list[Color]]:
    """Numbers of colours, and the colours: hatched where there are more classes than colours."""
    place = _places(shown, n_classes)
    colors: list[Color] = [CLEAR]
    for one in range(len(shown) + 1):
        again, color = _color(one, len(shown))
        colors += [rgba(color, 0.35), rgba(color, 0.7 if again else 0.35)]
    hatched = 1 + 2 * place[np.maximum(chosen, 0)] + _hatch(chosen.shape)
    return np.where(chosen < 0, 0, hatched), colors


def _votes(
    winner: ndarray, strength: ndarray, shown: Sequence[int], n_classes: int
) -> tuple[ndarray, list[Color]]:
    place = _places(shown, n_classes)
    colors = [
        rgba(_color(one, len(shown))[1], 0.9 * level / (LEVELS - 1))
        for one in range(len(shown) + 1)
        for level in range(LEVELS)
    ]
    is_again = np.array([_color(one, len(shown))[0] for one in range(len(shown) + 1)])
    is_paler = is_again[place[winner]] & _hatch(winner.shape)
    levels = np.rint(np.where(is_paler, 0.5, 1.0) * strength * (LEVELS - 1)).astype(int)
    return place[winner] * LEVELS + levels, colors


def _hatch(shape: tuple[int, ...]) -> ndarray:
    up, across = np.indices(shape)
    return (up + across) % 6 < 2


def _places(shown: Sequence[int], n_classes: int) -> ndarray:
    """Of each class its place among those that are told apart; the others share the last one."""
    places = np.full(n_classes, len(shown))
    places[list(shown)] = np.arange(len(shown))
    return places


def _color(place: int, n_shown: int) -> tuple[bool, str]:
    """Whether a class has a colour that another had before, and the colour."""
    if place == n_shown:
        return False, OTHERS_COLOR
    color = CLASS_COLORS[place % len(CLASS_COLORS)]
    return place >= len(CLASS_COLORS), _BLACK_ON_BLACK if color == "#000000" else color


def _image(drawn: tuple[ndarray, list[Color]], frame: Frame, kind: str) -> str:
    numbers, colors = drawn
    return element(
        "image", href=data_uri(numbers[::-1], colors), x=frame.left, y=frame.top,
        width=frame.right - frame.left, height=frame.bottom - frame.top,
        preserveAspectRatio="none", class_=kind,
    )  # fmt: skip


def _samples(
    x: ndarray, y: ndarray, rows: ndarray, looks: Sequence[Look], across: Scale, vertical: Scale,
    name: str, kind: str,
) -> list[str]:  # fmt: skip
    """Samples in the looks of their classes, those that are told apart above the others."""
    by_look: dict[Look, list[int]] = {}
    for row in rows.tolist():
        by_look.setdefault(looks[int(y[row])], []).append(row)
    parts = []
    for place, look in enumerate(sorted(by_look, key=lambda look: (look.color != "ko", look))):
        d = dots(
            (across.place(float(x[row, 0])), vertical.place(float(x[row, 1])))
            for row in by_look[look]
        )
        parts.append(_dotted(d, look, kind, f"{name}-{kind}-{place}"))
    return parts


def _dotted(d: str, look: Look, kind: str, name: str) -> str:
    square = " square" if look.mark == "square" else ""
    if kind == "train":
        dot = element("path", d=d, class_=f"dots train{square} {look.color}")
        return element("g", dot, transform="scale(.5)")
    under = element("use", href=f"#{name}", class_=f"dots {kind} under{square} {look.color}")
    over = element("use", href=f"#{name}", class_=f"dots {kind}{square} {look.color}")
    defined = element("defs", element("path", d=d, id=name))
    return element("g", defined + under + over, transform="scale(.5)")


def _sample(kind: str) -> str:
    dot = element("path", d="M0 0h0", class_=f"dots {kind} ko")
    under = element("path", d="M0 0h0", class_=f"dots {kind} under ko")
    return element(
        "g", dot if kind == "train" else under + dot, transform="translate(14 7)scale(.8)"
    )


def _class_entries(classes: Sequence[str], looks: Sequence[Look]) -> list[str]:
    short = fitted(classes, 1e9, most=NAME_CELLS)
    found = [
        entry(mark(look, 14, 7, 5), short[place], classes[place])
        for place, look in enumerate(looks)
        if look.color != "ko"
    ]
    if others := len(looks) - len(found):
        found.append(entry(mark(Look("ko", "circle"), 14, 7, 5), f"and {others} more"))
    return found


def _shares(chosen: ndarray, picture: BoundariesPicture) -> str:
    classes = named_classes(picture.class_names)
    numbers, counts = np.unique(chosen, return_counts=True)
    largest = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), reverse=True)[:12]
    told = [
        f"{classes[one] if one >= 0 else 'nothing'} on {100 * count / chosen.size:.0f} %"
        for count, one in largest
    ]
    return f"Of the plane it decides for {', '.join(told)}"


def _counts(picture: DataPicture) -> str:
    return f"{picture.n_train} samples to train on, {picture.n_test} to test"


def _selection(picture: DataPicture) -> str:
    """What of the samples is drawn, where that is not all of them."""
    parts = []
    if picture.is_projected:
        parts.append(f"the first 2 principal components of {picture.n_features} features")
    complete = picture.n_train + picture.n_test - picture.n_missing
    n_drawn = len(picture.train) + len(picture.test)
    if n_drawn < complete:
        parts.append(f"{n_drawn} of {complete} samples drawn")
    if picture.n_missing:
        parts.append(f"{picture.n_missing} that lack a value left out")
    told = "; ".join(parts)
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _lines(text: str) -> list[str]:
    return wrapped(text, WIDTH - 4)


def _heading(lines: Sequence[str]) -> list[str]:
    return [label(2, LINE * (place + 1) - 2, line) for place, line in enumerate(lines)]
