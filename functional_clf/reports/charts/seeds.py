"""Scores seed by seed: a strip of dots a model, lines that join a seed's, and differences."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from functional_clf.reports.charts.axes import Frame, below
from functional_clf.reports.charts.looks import Look, model_look
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
    number,
    svg,
    wrapped,
)
from functional_clf.reports.colors import DRAWN_SEEDS
from functional_clf.reports.figures import figure_of, unit_of
from functional_clf.stats import Interval, wording
from functional_clf.stats.metrics import ACCURACY, Metric

NAMES_WIDTH = 124
"""At the left, for names, in two lines where need be, and the means below them."""
ROW = 58
SPREAD = 9
"""Ties are common, as accuracies are counts: dots are spread up and down to be seen."""
BINS = 30
CROWDED = 100
"""Dots of more seeds are smaller."""
JOINED = 300
"""So many seeds' dots are joined; more lines are but a haze."""


class _Strip(NamedTuple):
    """One model's row: `(seed,)` values in the chart's unit, and which of them failed how."""

    name: str
    short: str
    look: Look
    values: ndarray
    failed: ndarray
    diverged: ndarray
    interval: Interval | None
    y: float


def seeds_chart(
    names: Sequence[str],
    values: ArrayLike,
    metric: Metric = ACCURACY,
    *,
    intervals: Sequence[Interval | None] = (),
    failed: ArrayLike | None = None,
    diverged: ArrayLike | None = None,
    is_paired: bool = True,
    baseline: int = 0,
    source: str = "",
    replicate: str = "seed",
) -> str:
    """Every seed's test score under each model, one line a seed, and the paired differences.

    Args:
        names: of 1 to 8 models, or more.
        values: their scores `(model, seed)`, as the metric has them; NaN where one is not defined.
        metric: what they are.
        intervals: of each model's mean; none where there are none.
        failed: which runs failed `(model, seed)`; none where nothing is told.
        diverged: which of them diverged.
        is_paired: whether a column is the same seed of every model; else nothing joins them.
        baseline: the model that the others are held against.
        source: what the data are called.
        replicate: what a column is, in a word.

    Returns:
        A chart.

    Raises:
        ValueError: when shapes do not fit, or there is no seed.
    """
    unit = 100 if metric.is_share else 1
    scores = unit * np.asarray(values, float)
    if scores.ndim != 2 or len(scores) != len(names) or not scores.size:
        raise ValueError(
            f"values have the shape {scores.shape}; for {len(names)} models it must be "
            f"({len(names)}, seeds), with at least one seed"
        )
    has_failed, has_diverged = (
        np.zeros(scores.shape, bool) if told is None else np.asarray(told, bool)
        for told in (failed, diverged)
    )
    if has_failed.shape != scores.shape or has_diverged.shape != scores.shape:
        raise ValueError(f"failed and diverged must have the shape of values, {scores.shape}")
    n_seeds = scores.shape[1]
    drawn = np.unique(np.linspace(0, n_seeds - 1, min(n_seeds, DRAWN_SEEDS)).astype(int))
    of_means = list(intervals) or [None] * len(names)
    short = _short(names)
    strips = [
        _Strip(
            name, short[place], model_look(place), scores[place], has_failed[place],
            has_diverged[place], _scaled(of_means[place], unit), LINE + 8 + ROW * (place + 0.5),
        )
        for place, name in enumerate(names)
    ]  # fmt: skip
    panels = [_strips_panel(strips, drawn, metric, is_paired, source, replicate)]
    if is_paired and len(names) > 1:
        panels.append(_differences_panel(strips, baseline, metric, source, replicate))
    subset = "" if len(drawn) == n_seeds else f" ({len(drawn)} of {n_seeds} drawn)"
    of = f" (of {JOINED} of them)" if len(drawn) > JOINED else ""
    joined = f"; a thin line joins the same {replicate}{of}" * (is_paired and len(names) > 1)
    note = f"A dot: a {replicate}{subset}{joined}; upright bar: the mean"
    if any(strip.interval is not None for strip in strips):
        note += ", with its interval"
    return chart(panels, _legend(strips), note=f"{note}.", kind="chart-seeds")


def means_of(values: ndarray) -> float | None:
    """The mean of what is defined; None where nothing is.

    Example:
        >>> means_of(np.array([1.0, np.nan, 2.0])), means_of(np.array([np.inf]))
        (1.5, None)
    """
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else None


def _scaled(interval: Interval | None, unit: float) -> Interval | None:
    return None if interval is None else Interval(unit * interval[0], unit * interval[1])


def _short(names: Sequence[str]) -> list[str]:
    """Names for the left of the strips: each takes two lines at most."""
    for cells in range(2 * 20, 8, -1):
        short = fitted(names, 1e9, most=cells)
        if all(len(_lines(name)) <= 2 for name in short):
            return short
    return fitted(names, NAMES_WIDTH)


def _lines(name: str) -> list[str]:
    return wrapped(name, NAMES_WIDTH - 10)


def _strips_panel(
    strips: Sequence[_Strip], drawn: ndarray, metric: Metric, is_paired: bool, source: str,
    replicate: str,
) -> str:  # fmt: skip
    frame = Frame(NAMES_WIDTH, LINE + 8, WIDTH - 12, LINE + 8 + ROW * len(strips))
    ends = [end for strip in strips for end in strip.interval or ()]
    shown = np.concatenate([strip.values for strip in strips])
    scale = linear([*shown.tolist(), *ends], frame.left + 6, frame.right)
    spread = np.random.default_rng(0).uniform(-SPREAD, SPREAD, len(drawn))
    body = [label(2, LINE - 2, f"Test {metric.words} of each {replicate}", kind="bold")]
    name = f"test {metric.words}" + (" (%)" if metric.is_share else "")
    body.append(below(scale, frame, name))
    if is_paired and len(strips) > 1:
        body.append(_joins(strips, drawn, spread, scale))
    title = f"Test {metric.words} of each {replicate}" + (f" on {source}" if source else "")
    described = _told(strips, metric)
    mark = identity(title, described)
    for place, strip in enumerate(strips):
        body += _strip(strip, drawn, spread, scale, f"{mark}-{place}")
        body += _named(strip, metric)
    return svg(frame.bottom + 2 * LINE + 6, title, described, body)


def _strip(strip: _Strip, drawn: ndarray, spread: ndarray, scale: Scale, mark: str) -> list[str]:
    """The dots: hollow where a run failed, square where it diverged; and the mean."""
    values, parts = strip.values[drawn], []
    failed, diverged = strip.failed[drawn], strip.diverged[drawn]
    color, many = strip.look.color, " many" if len(values) > CROWDED else ""
    for kind, chosen in (
        ("", ~failed & ~diverged), ("failed", failed & ~diverged), ("diverged", diverged),
    ):  # fmt: skip
        which = np.flatnonzero(chosen & np.isfinite(values))
        if not len(which):
            continue
        d = dots([(scale.place(float(values[one])), strip.y + spread[one]) for one in which])
        if not kind:
            parts.append(element("path", d=d, transform="scale(.5)", class_=f"dots{many} {color}"))
            continue
        name, shape = f"{mark}-{kind}", "dots odd square" if kind == "diverged" else "dots odd"
        parts.append(element("defs", element("path", d=d, id=name)))
        under = element("use", href=f"#{name}", class_=f"{shape} {color}")
        over = element("use", href=f"#{name}", class_=f"{shape} hole")
        parts.append(element("g", under + over, transform="scale(.5)", class_=kind))
    mean = means_of(strip.values)
    if mean is not None:
        x, y = scale.place(mean), strip.y
        if strip.interval is not None:
            low, high = map(scale.place, strip.interval)
            parts.append(
                element("path", d=f"M{low:.1f} {y + 17:.1f}H{high:.1f}", class_="whisker interval")
            )
        parts.append(
            element("path", d=f"M{x:.1f} {y - 14:.1f}V{y + 21:.1f}", class_="whisker mean")
        )
    return parts


def _named(strip: _Strip, metric: Metric) -> list[str]:
    """The name, and what there is to say of all its seeds, at the left of a strip."""
    lines = _lines(strip.short)
    mean = means_of(strip.values)
    unit = 100 if metric.is_share else 1
    told = "not defined" if mean is None else f"mean {figure_of(mean / unit, metric)}"
    top = strip.y - (LINE * len(lines)) / 2 + 4
    parts = [
        label(2, top + LINE * place, words, kind="name", full=strip.name)
        for place, words in enumerate(lines)
    ]
    words = fitted([told], NAMES_WIDTH - 10)[0]
    parts.append(label(2, top + LINE * len(lines), words, kind="soft figures"))
    return parts


def _joins(strips: Sequence[_Strip], drawn: ndarray, spread: ndarray, scale: Scale) -> str:
    """A line a seed through its dots, to a whole unit: the dots say where exactly."""
    parts = []
    chosen = np.linspace(0, len(drawn) - 1, min(len(drawn), JOINED)).astype(int)
    for place, seed in zip(chosen, drawn[chosen], strict=True):
        before = None
        for strip in strips:
            value = strip.values[seed]
            if not np.isfinite(value):
                before = None
                continue
            here = round(scale.place(float(value))), round(strip.y + float(spread[place]))
            if before is None:
                parts.append(f"M{here[0]} {here[1]}")
            else:
                across, down = here[0] - before[0], here[1] - before[1]
                parts.append(f"l{across} {down}")
            before = here
    opacity = max(0.1, 0.45 - len(chosen) / 800)
    return element("path", d="".join(parts), class_="join", opacity=f"{opacity:.2f}")


def _differences_panel(
    strips: Sequence[_Strip], baseline: int, metric: Metric, source: str, replicate: str
) -> str:
    """How many seeds differ by how much from the baseline, a histogram a model."""
    base = strips[baseline]
    others = [strip for strip in strips if strip is not base]
    gaps = [strip.values - base.values for strip in others]
    heading = wrapped(f"Difference from {fitted([base.name], 200)[0]}, {replicate} by {replicate}",
                      WIDTH / 1.08 - 4)  # fmt: skip
    top = LINE * len(heading) + 8
    frame = Frame(NAMES_WIDTH, top, WIDTH - 12, top + ROW * len(others))
    defined = [gap[np.isfinite(gap)] for gap in gaps]
    scale = linear([0.0, *np.concatenate(defined).tolist()], frame.left + 6, frame.right)
    unit = " (percentage points)" if metric.is_share else ""
    body = [
        label(2, LINE * (place + 1) - 2, words, kind="bold", full=base.name)
        for place, words in enumerate(heading)
    ]
    body.append(below(scale, frame, f"paired difference{unit}"))
    zero = scale.place(0.0)
    body.append(element("path", d=f"M{zero:.1f} {frame.top:.1f}V{frame.bottom:.1f}", class_="zero"))
    told = []
    shown = 1 if metric.is_share else 4
    for place, (strip, gap) in enumerate(zip(others, defined, strict=True)):
        moved = strip._replace(y=top + ROW * (place + 0.5))
        mean = float(gap.mean()) if len(gap) else None
        words = "not defined" if mean is None else f"mean {_signed(mean, shown)}"
        body += _histogram(moved, gap, scale)
        body += _beside(moved, words)
        if mean is not None:
            x = scale.place(mean)
            line = f"M{x:.1f} {moved.y - 22:.1f}V{moved.y + 25:.1f}"
            body.append(element("path", d=line, class_="whisker mean"))
        ahead = int((metric.gains(gap) > 0).sum())
        tied = int((gap == 0).sum())
        told.append(
            f"{strip.name}: {words}, better on {ahead}, equal on {tied}, "
            f"worse on {len(gap) - ahead - tied} of {len(gap)}"
        )
    title = f"Difference in test {metric.words} from {base.name}, {replicate} by {replicate}"
    title += f" on {source}" if source else ""
    return svg(frame.bottom + 2 * LINE + 6, title, "; ".join(told) + ".", body)


def _histogram(strip: _Strip, gap: ndarray, scale: Scale) -> list[str]:
    """Bars of counts, the highest as high as the row; equal values stand in one bar."""
    if not len(gap):
        return []
    least = (scale.high - scale.low) / 120
    if np.ptp(gap) < least:
        edges = np.array([gap.mean() - 2 * least, gap.mean() + 2 * least])
    else:
        n_bins = min(BINS, max(4, len(np.histogram_bin_edges(gap, "auto")) - 1))
        edges = np.linspace(gap.min(), gap.max(), n_bins + 1)
    counts = np.histogram(gap, edges)[0]
    floor, height = strip.y + 22, 42
    bars = [
        f"M{number(scale.place(low))} {number(floor)}V{number(floor - height * share)}"
        f"H{number(scale.place(high))}V{number(floor)}z"
        for (low, high), share in zip(pairwise(edges), counts / counts.max(), strict=True)
        if share
    ]
    return [element("path", d="".join(bars), class_=f"bar {strip.look.color}")]


def _beside(strip: _Strip, words: str) -> list[str]:
    lines = _lines(strip.short)
    top = strip.y - (LINE * len(lines)) / 2 + 4
    parts = [
        label(2, top + LINE * place, line, kind="name", full=strip.name)
        for place, line in enumerate(lines)
    ]
    parts.append(
        label(2, top + LINE * len(lines), fitted([words], NAMES_WIDTH - 10)[0], kind="soft figures")
    )
    return parts


def _signed(value: float, decimals: int) -> str:
    written = (
        f"{round(value, decimals) + 0.0:+.{decimals}f}" if abs(value) < 1e6 else f"{value:+.4g}"
    )
    return written


def _legend(strips: Sequence[_Strip]) -> list[str]:
    """What marks of runs that failed mean, and how many there are."""
    found = []
    for kind, words in (("failed", "failed"), ("diverged", "diverged")):
        diverged = sum(int(strip.diverged.sum()) for strip in strips)
        count = (
            diverged
            if kind == "diverged"
            else sum(int((strip.failed & ~strip.diverged).sum()) for strip in strips)
        )
        if not count:
            continue
        shape = "dots odd square" if kind == "diverged" else "dots odd"
        sample = element(
            "g",
            element("path", d="M0 0h0", class_=f"{shape} ko")
            + element("path", d="M0 0h0", class_=f"{shape} hole"),
            transform="translate(14 7)scale(.8)",
        )
        found.append(entry(sample, f"{words}: {wording.plural(count, 'run')}"))
    lacking = sum(int((~np.isfinite(strip.values)).sum()) for strip in strips)
    if lacking:
        found.append(entry("", f"{wording.plural(lacking, 'score')} not defined, and not drawn"))
    return found


def _told(strips: Sequence[_Strip], metric: Metric) -> str:
    unit = 100 if metric.is_share else 1
    told = []
    for strip in strips:
        defined = strip.values[np.isfinite(strip.values)]
        if not len(defined):
            told.append(f"{strip.name}: not defined")
            continue
        mean, low, high = (
            figure_of(value / unit, metric)
            for value in (defined.mean(), defined.min(), defined.max())
        )
        words = f"{strip.name}: mean {mean}, from {low} to {high}"
        if strip.interval is not None:
            ends = " to ".join(figure_of(end / unit, metric) for end in strip.interval)
            words += f", interval of the mean {ends}"
        if count := int(strip.failed.sum()):
            words += f", {count} failed"
        if count := int(strip.diverged.sum()):
            words += f", {count} diverged"
        told.append(words)
    return f"{'; '.join(told)}{unit_of(metric)}."
