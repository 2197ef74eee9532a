"""The verdict in a picture: each interval against the margin and against no difference."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from functional_clf.reports.charts.axes import Frame, below
from functional_clf.reports.charts.scales import Scale, linear
from functional_clf.reports.charts.svg import (
    LINE,
    WIDTH,
    chart,
    element,
    fitted,
    label,
    svg,
    text_width,
    wrapped,
)
from functional_clf.reports.figures import difference_of
from functional_clf.stats import Interval, wording
from functional_clf.stats.metrics import Metric

if TYPE_CHECKING:
    from functional_clf.reports.findings import AnyComparison, Findings
    from functional_clf.stats.data_sets import MeanOverDataSets

STRIP = 26
"""Height of what is drawn in a row."""
BETWEEN = 14
"""Below a row."""
SIDE = 10
"""Left free at either side, for arrows of intervals that go on."""
LONGEST = 5
"""More rows stand in two panels, side by side where there is room."""
FARTHEST = 6
"""Ends of an interval that are so many times farther off than is usual are beyond the axis."""


class _Row(NamedTuple):
    names: tuple[str, ...]
    estimate: float
    interval: Interval | None
    figures: str
    verdict: str
    is_mean: bool = False


def intervals_chart(findings: "Findings") -> str:
    """Each difference and its interval against the margin, a row a comparison.

    With data sets, a row each, and below them the mean over data sets.

    Args:
        findings: of at least two models; of one there is nothing to compare.

    Returns:
        A chart; empty where there is no comparison.
    """
    rows = _rows(findings)
    if not rows:
        return ""
    unit = 100 if findings.metric.is_share else 1
    margin = unit * findings.margin
    scale = _scale(rows, margin)
    pair = _pair(findings)
    heading = [] if pair is None else wrapped(" minus ".join(fitted(pair, 150)), WIDTH - 4)
    shared = _Shared(findings, scale, margin, heading, pair)
    per_panel = math.ceil(len(rows) / 2) if len(rows) > LONGEST else len(rows)
    panels = [
        _panel(shared, rows[start : start + per_panel], rows)
        for start in range(0, len(rows), per_panel)
    ]
    return chart(panels, note=_note(findings, rows, scale), kind="chart-intervals")


class _Shared(NamedTuple):
    """What is the same in all panels."""

    findings: "Findings"
    scale: Scale
    margin: float
    heading: list[str]
    pair: tuple[str, str] | None


def _panel(shared: _Shared, rows: Sequence[_Row], all_rows: Sequence[_Row]) -> str:
    findings, scale, margin, heading, pair = shared
    metric = findings.metric
    top = LINE * len(heading) + (6 if heading else 0)
    sides = top + LINE
    first = sides + 8
    body = [
        label(2, LINE * (place + 1) - 2, words, kind="bold", full=" minus ".join(pair or ()))
        for place, words in enumerate(heading)
    ]
    body += _sides(sides, metric, _subject(all_rows, pair))
    bottom = first
    for row in rows:
        parts, bottom = _drawn(row, scale, margin, bottom)
        body += parts
    frame = Frame(SIDE, first, WIDTH - SIDE, bottom)
    name = f"difference in {metric.words}" + (", percentage points" if metric.is_share else "")
    body.append(below(scale, frame, name, has_grid=False))
    title = f"Difference in {metric.words}, interval and margin: {findings.title}"
    return svg(bottom + 2 * LINE + 6, title, _told(findings, rows), body)


def _rows(findings: "Findings") -> list[_Row]:
    names: Sequence[tuple[str, ...]] = [
        (one.model_a.name, one.model_b.name) for one in findings.comparisons
    ]
    if findings.data_sets:
        names = [(name,) for name in findings.data_sets]
    rows = [
        _row(told, one, findings.metric)
        for told, one in zip(names, findings.comparisons, strict=True)
    ]
    if findings.mean is not None:
        mean = findings.mean
        rows.append(
            _row((f"mean over {mean.n_data_sets} data sets",), mean, findings.metric, is_mean=True)
        )
    return rows


def _row(
    names: tuple[str, ...], one: "AnyComparison | MeanOverDataSets", metric: Metric,
    is_mean: bool = False,
) -> _Row:  # fmt: skip
    difference, ends = difference_of(one, metric)
    figures = f"{difference} ({ends})" if one.interval is not None else f"{difference}, no interval"
    unit = 100 if metric.is_share else 1
    interval = None
    if one.interval is not None:
        interval = Interval(unit * one.interval.low, unit * one.interval.high)
    return _Row(names, unit * one.estimate, interval, figures, one.verdict, is_mean)


def _pair(findings: "Findings") -> tuple[str, str] | None:
    """The two models, where each row is theirs."""
    if not findings.data_sets:
        return None
    first = findings.comparisons[0]
    return first.model_a.name, first.model_b.name


def _subject(rows: Sequence[_Row], pair: tuple[str, str] | None) -> str:
    """Of whom "better" is said; empty where rows differ in that."""
    subjects = {row.names[0] for row in rows} if pair is None else {pair[0]}
    return subjects.pop() if len(subjects) == 1 else ""


def _scale(rows: Sequence[_Row], margin: float) -> Scale:
    """From the least to the largest of what is drawn, but for ends that are far off.

    One interval in many that is much wider than the others would leave these no room.
    """
    ends = [end for row in rows for end in row.interval or () if math.isfinite(end)]
    inner = [0.0, -margin, margin, *(row.estimate for row in rows)]
    reach = [
        max(map(abs, row.interval))
        for row in rows
        if row.interval is not None and all(map(math.isfinite, row.interval))
    ]
    if reach:
        far = FARTHEST * max(float(np.median(reach)), *map(abs, inner))
        ends = [min(max(end, -far), far) for end in ends]
    return linear([*inner, *ends], SIDE, WIDTH - SIDE)


def _sides(y: float, metric: Metric, subject: str) -> list[str]:
    """Which side speaks for the first model of a row."""
    words = ("worse", "better") if metric.higher_is_better else ("better", "worse")
    found, who = [], subject or "the first"
    for word, x, anchor in ((words[0], 2, "start"), (words[1], WIDTH - 2, "end")):
        arrow = "← {}" if anchor == "start" else "{} →"
        room = WIDTH / 2 - 8 - text_width(arrow.format(f" {word}"))
        told = f"{fitted([who], room)[0]} {word}"
        found.append(label(x, y, arrow.format(told), anchor, "soft", arrow.format(f"{who} {word}")))
    return found


def _drawn(row: _Row, scale: Scale, margin: float, top: float) -> tuple[list[str], float]:
    """A row from its top on, and where it ends."""
    names, parts = row.names, []
    if len(names) == 2:
        each = (WIDTH - 4 - text_width(" minus ")) / 2 / 1.08  # of bold letters
        told = " minus ".join(fitted(names, each))
    else:
        told = fitted(names, (WIDTH - 4) / 1.08)[0]
    parts.append(label(2, top + LINE, told, kind="bold", full=" minus ".join(names)))
    line = top + 2 * LINE
    parts.append(label(2, line, row.verdict, kind="verdict"))
    if text_width(row.verdict) + text_width(row.figures) > WIDTH - 14:
        line += LINE
    for place, figures in enumerate(wrapped(row.figures, WIDTH - 4)):
        line += LINE * (place > 0)
        parts.append(label(WIDTH - 2, line, figures, "end", "figures"))
    above, under = line + 6, line + 6 + STRIP
    middle = (above + under) / 2
    if margin > 0:
        low, high = scale.place(-margin), scale.place(margin)
        parts.append(
            element("rect", x=low, y=above, width=max(high - low, 0.1), height=STRIP, class_="band")
        )
        parts.append(
            element(
                "path",
                d=f"M{low:.1f} {above:.1f}V{under:.1f}M{high:.1f} {above:.1f}V{under:.1f}",
                class_="edge",
            )
        )
    zero = scale.place(0)
    parts.append(element("path", d=f"M{zero:.1f} {above:.1f}V{under:.1f}", class_="zero"))
    if row.interval is not None:
        parts += _whiskers(row.interval, scale, middle)
    x = scale.place(row.estimate)
    if row.is_mean:
        shape = f"M{x - 6:.1f} {middle:.1f}l6-6l6 6l-6 6z"
        parts.append(element("path", d=shape, class_="ink estimate"))
    else:
        parts.append(element("circle", cx=x, cy=middle, r=4, class_="ink estimate"))
    return parts, under + BETWEEN


def _whiskers(interval: Interval, scale: Scale, y: float) -> list[str]:
    """The interval as a line, with an end where it ends and an arrow where it goes on."""
    places, tips = [], []
    for end, way in ((interval.low, -1), (interval.high, 1)):
        if scale.holds(end):
            x = scale.place(end)
            tips.append(f"M{x:.1f} {y - 5:.1f}v10")
        else:
            x = scale.end + 8 if way > 0 else scale.start - 8
            tips.append(f"M{x - 5 * way:.1f} {y - 4:.1f}l{5 * way} 4l{-5 * way} 4")
        places.append(x)
    line = f"M{places[0]:.1f} {y:.1f}H{places[1]:.1f}"
    return [
        element("path", d=line, class_="whisker interval"),
        element("path", d="".join(tips), class_="whisker"),
    ]


def _note(findings: "Findings", rows: Sequence[_Row], scale: Scale) -> str:
    level = wording.confidence(findings.alpha)
    n_together = len(findings.comparisons)
    together = f" (all {n_together} together)" if n_together > 1 else ""
    parts = [f"Dot: the difference seen; line: its {level}{together}"]
    if findings.mean is not None:
        parts.append(f"diamond: the mean over data sets, {level}")
    size = wording.margin_size(findings.margin, findings.metric)
    if findings.margin > 0:
        parts.append(f"shaded: smaller than {size}, the smallest difference that matters")
    else:
        parts.append("no margin is set: any difference matters")
    ends = [end for row in rows for end in row.interval or ()]
    if not all(map(scale.holds, ends)):
        parts.append("arrow: it goes on beyond the axis")
    return "; ".join(parts) + "."


def _told(findings: "Findings", rows: Sequence[_Row]) -> str:
    level = wording.confidence(findings.alpha)
    pair = _pair(findings)
    of = "" if pair is None else f"{' minus '.join(pair)}, by data set. "
    told = [f"{' minus '.join(row.names)}: {row.figures}, {row.verdict}" for row in rows]
    unit = "percentage points" if findings.metric.is_share else findings.metric.words
    size = wording.margin_size(findings.margin, findings.metric)
    return f"{of}{'; '.join(told)}. In {unit}, with the {level}; the margin is {size}."
