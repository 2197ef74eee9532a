"""Learning curves: the median over seeds as a line, and the middle 90 % as a band."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from functional_clf.reports.charts.axes import Frame, below, beside, room_beside
from functional_clf.reports.charts.looks import Look, mark, model_look
from functional_clf.reports.charts.scales import Scale, linear, logarithmic
from functional_clf.reports.charts.svg import (
    LINE,
    WIDTH,
    chart,
    element,
    entry,
    fitted,
    label,
    path,
    svg,
)
from functional_clf.reports.colors import NAME_CELLS
from functional_clf.reports.pictures import CurvesPicture, ModelCurves

HEIGHT = 220
"""Of what is drawn in a panel."""
MOST_POINTS = 120
"""Of a line; of more, evenly spaced ones are drawn."""
CROWDED = 3
"""Of more models, bands are paler, as they lie on each other."""
MARKS = 5
"""About so many on a line."""
DEEPEST = 1e4
"""A band is drawn down to so much less than the smallest median loss, and up to so much more than
the largest, so that a few stray seeds do not press all the rest together."""


def curves_chart(picture: CurvesPicture) -> str:
    """Loss and accuracy along training, a model each; of what is not finite nothing is drawn."""
    panels = [
        _panel(picture, "loss", f"Loss ({picture.loss})", "loss, logarithmic"),
        _panel(picture, "accuracy", "Accuracy (%)", "accuracy in %"),
    ]
    legend = []
    kind = "chart-curves crowded" if len(picture.curves) > CROWDED else "chart-curves"
    short = fitted(picture.models, 1e9, most=NAME_CELLS)
    for place, (name, full) in enumerate(zip(short, picture.models, strict=True)):
        look = model_look(place)
        sample = element("path", d="M0 7H28", class_=f"line {look.color}") + mark(look, 14, 7)
        legend.append(entry(sample, name, full))
    for part, dashes in (("train", "line dashed"), ("test", "line")):
        legend.append(entry(element("path", d="M0 7H28", class_=f"{dashes} ki"), part))
    seeds = "1 seed" if picture.n_seeds == 1 else f"{picture.n_seeds} seeds"
    note = f"Over {seeds}: median (line), 5 % to 95 % (band)."
    return chart(panels, legend, note, kind=kind)


def _panel(picture: CurvesPicture, kind: str, heading: str, words: str) -> str:
    curves = picture.curves
    top = LINE + 12
    bottom = top + HEIGHT
    vertical = _vertical(curves, kind, top, bottom)
    left = room_beside(vertical, HEIGHT)
    frame = Frame(left, top, WIDTH - 12, bottom)
    epochs = [float(epoch) for one in curves if len(one.epochs) > 1 for epoch in one.epochs]
    body = [label(2, LINE - 2, *_cut(heading), kind="bold"), beside(vertical, frame)]
    if epochs:
        across = linear(epochs, left, frame.right, room=0.02)
        body.append(below(across, frame, "epoch", has_grid=False, is_whole=True))
    else:  # no model is trained in epochs: levels have no axis
        across = Scale(0, 1, left, frame.right)
        edge = f"M{left:.1f} {bottom:.1f}H{frame.right:.1f}"
        body.append(element("path", d=edge, class_="axis"))
    drawn = [(model_look(place), one) for place, one in enumerate(curves)]
    for part in ("train", "test"):
        for look, one in drawn:
            body.append(_band(getattr(one, f"{part}_{kind}"), one.epochs, look, across, vertical))
    for part, dashes in (("train", " dashed"), ("test", "")):
        for place, (look, one) in enumerate(drawn):
            band = getattr(one, f"{part}_{kind}")
            body.append(_line(band[1], one.epochs, look, across, vertical, dashes, place))
    title = f"Learning curves, {words}, over {picture.n_seeds} seeds on {picture.dataset}"
    described = "; ".join(
        f"{name}: median test {kind} {_ends(getattr(one, f'test_{kind}')[1], kind)}"
        for name, one in zip(picture.models, curves, strict=True)
    )
    return svg(bottom + 2 * LINE + 6, title, f"{described}.", body)


def _cut(heading: str) -> tuple[str, ...]:
    return (fitted([heading], (WIDTH - 4) / 1.08, most=80)[0],)


def _vertical(curves: Sequence[ModelCurves], kind: str, top: float, bottom: float) -> Scale:
    bands = [getattr(one, f"{part}_{kind}") for one in curves for part in ("train", "test")]
    if kind == "accuracy":
        values = np.concatenate([band.ravel() for band in bands]).astype(float)
        return linear(values.tolist(), bottom, top, least=1.0)
    values = np.concatenate([band.ravel() for band in bands]).astype(float)
    medians = np.concatenate([band[1] for band in bands]).astype(float)
    usual = medians[np.isfinite(medians) & (medians > 0)]
    if len(usual):
        lowest, highest = usual.min() / DEEPEST, min(usual.max() * DEEPEST, 1e300)
        values = values[np.isfinite(values) & (values > 0)].clip(lowest, highest)
    return logarithmic(values.tolist(), bottom, top)


def _is_drawn(values: ndarray, scale: Scale) -> ndarray:
    with np.errstate(invalid="ignore"):
        return np.isfinite(values) & ((values > 0) | (not scale.is_log))


def _chosen(count: int) -> ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def _runs(places: ndarray, is_there: ndarray) -> list[ndarray]:
    """Places without a gap between them."""
    kept = [one for one in np.split(places, np.flatnonzero(np.diff(is_there)) + 1) if len(one)]
    return [one for one in kept if is_there[np.searchsorted(places, one[0])]]


def _band(band: ndarray, epochs: ndarray, look: Look, across: Scale, vertical: Scale) -> str:
    low, high = band[0].astype(float), band[2].astype(float)
    if len(epochs) == 1:
        if not _is_drawn(high, vertical)[0]:
            return ""
        top, floor = vertical.place(high[0]), _floor(low[0], vertical)
        return element(
            "rect", x=across.start, y=top, width=across.end - across.start,
            height=max(floor - top, 0.1), class_=f"area {look.color}",
        )  # fmt: skip
    places = _chosen(len(epochs))
    outlines = []
    for run in _runs(places, _is_drawn(high[places], vertical)):
        if len(run) < 2:
            continue
        upper = [
            (across.place(float(epochs[one])), vertical.place(float(high[one]))) for one in run
        ]
        lower = [
            (across.place(float(epochs[one])), _floor(float(low[one]), vertical))
            for one in run[::-1]
        ]
        outlines.append(path([*upper, *lower]) + "z")
    return element("path", d="".join(outlines), class_=f"area {look.color}") if outlines else ""


def _floor(value: float, scale: Scale) -> float:
    """Where a band begins; where its lower edge is not there, at the end of the scale."""
    is_there = np.isfinite(value) and (value > 0 or not scale.is_log)
    return scale.place(value) if is_there else scale.start


def _line(
    median: ndarray, epochs: ndarray, look: Look, across: Scale, vertical: Scale, dashes: str,
    place: int,
) -> str:  # fmt: skip
    median = median.astype(float)
    kind = f"line{dashes} {look.color}"
    if len(epochs) == 1:  # not trained in epochs: its result is a level
        if not _is_drawn(median, vertical)[0]:
            return ""
        y = vertical.place(median[0])
        level = element("path", d=f"M{across.start:.1f} {y:.1f}H{across.end:.1f}", class_=kind)
        if dashes:
            return level
        x = across.start + (across.end - across.start) * (place + 1) / 9
        return level + mark(look, x, y)
    places = _chosen(len(epochs))
    is_there = _is_drawn(median[places], vertical)

    def point(one: int) -> tuple[float, float]:
        return across.place(float(epochs[one])), vertical.place(float(median[one]))

    runs = [[point(one) for one in run] for run in _runs(places, is_there)]
    found = element("path", d="".join(path(run) for run in runs), class_=kind) if runs else ""
    if dashes:
        return found
    points = [one for run in runs for one in run]
    every = max(1, len(points) // MARKS)
    # Each model begins at another place, so that marks of like curves stand beside each other.
    chosen = points[place % every :: every] if len(points) > 1 else points
    return found + "".join(mark(look, *one) for one in chosen)


def _ends(median: ndarray, kind: str) -> str:
    """Of the first and the last record, in words."""

    def words(value: float) -> str:
        if not np.isfinite(value):
            return "not finite"
        return f"{value:.1f} %" if kind == "accuracy" else f"{value:.4g}"

    last = words(float(median[-1]))
    return last if len(median) == 1 else f"from {words(float(median[0]))} to {last}"
