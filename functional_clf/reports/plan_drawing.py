"""The picture of a plan: half-width and power against the number of seeds."""

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from functional_clf.reports.colors import MODEL_COLORS
from functional_clf.reports.drawing import DPI
from functional_clf.reports.lettering import drawable, fonts_for, no_formula
from functional_clf.reports.palette import columns_of
from functional_clf.stats.metrics import named
from functional_clf.stats.planning import SeedPlan

MOST_PAIRS = len(MODEL_COLORS)


def plan_png(plans: Sequence[SeedPlan]) -> bytes | None:
    """The picture as the content of a PNG file; None where no pair has a spread to draw by.

    Of more pairs than there are colours, the first are drawn.
    """
    drawn = [one for one in plans if one.standard_deviation is not None][:MOST_PAIRS]
    if not drawn:
        return None
    families = fonts_for("".join("".join(one.names) for one in drawn))
    with matplotlib.rc_context({"font.family": families, "text.usetex": False}):
        figure = plan_figure(drawn, families)
        content = io.BytesIO()
        FigureCanvasAgg(figure)
        figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()


def plan_figure(plans: Sequence[SeedPlan], families: list[str]) -> Figure:
    """Half-width and power against seeds: lines at the pilot's spread, bands to its limit."""
    metric, first = named(plans[0].metric), plans[0]
    scale, unit = (100, "percentage points") if metric.is_share else (1, metric.words)
    numbers = [n for one in plans for n in (*one.for_half_width, *one.for_power) if n is not None]
    most = max(64, 2 * max(numbers, default=500))
    seeds = np.unique(np.geomspace(3, most, 120).astype(int))
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    width, power = figure.subplots(1, 2)
    for number, one in enumerate(plans):
        color = MODEL_COLORS[number] if len(plans) > 1 else "#0072B2"
        a, b = (no_formula(drawable(name, families))[:30] for name in one.names)
        spreads = [one.standard_deviation, one.upper_standard_deviation or one.standard_deviation]
        widths = [[scale * one.half_width_of(n, s or 0.0) for n in seeds] for s in spreads]
        powers = [[100 * one.power_of(n, s or 0.0) for n in seeds] for s in spreads]
        for axes, (at_estimate, at_limit) in ((width, widths), (power, powers)):
            axes.fill_between(seeds, at_estimate, at_limit, color=color, alpha=0.2, linewidth=0)
            axes.plot(seeds, at_estimate, color=color, linewidth=2, label=f" {a} against {b}")
    width.axhline(scale * first.margin, color="black", linestyle=":", label="margin")
    if first.half_width != first.margin:
        width.axhline(scale * first.half_width, color="0.4", linestyle="--", label="asked for")
    power.axhline(100 * first.power, color="0.4", linestyle="--", label="power asked for")
    width.set(ylabel=f"half-width ({unit})", title="Half-width of the interval", yscale="log")
    size = f"{100 * first.margin:g} pp" if metric.is_share else f"{first.margin:g}"
    power.set(
        ylabel="studies that tell it (%)", ylim=(0, 102),
        title=f"Power to tell a difference of {size} from none",
    )  # fmt: skip
    what = "seeds" if first.scope.independent else "splits"
    ticks = [n for k in range(9) for n in (10**k, 3 * 10**k) if 3 <= n <= most]
    for axes in (width, power):
        axes.set(xlabel=what, xscale="log", xlim=(3, most))
        axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    low, high = width.get_ylim()
    high_ticks = [m * 10.0**k for k in range(-9, 6) for m in (1, 2, 5)]
    shown = [tick for tick in high_ticks if low <= tick <= high]
    width.set_yticks(shown, [f"{tick:g}" for tick in shown])
    width.minorticks_off()
    found = dict(zip(*reversed(width.get_legend_handles_labels()), strict=True))
    found |= dict(zip(*reversed(power.get_legend_handles_labels()), strict=True))
    figure.legend(
        list(found.values()), list(found), loc="outside lower center", frameon=False,
        ncols=columns_of(list(found), widest=4),
    )  # fmt: skip
    pilot = f"a pilot of {first.n_pilot} {what}" if first.n_pilot else "a standard deviation"
    figure.suptitle(
        f"From {pilot}: at its spread (line), and up to the spread's upper 80 % limit (band)"
    )
    return figure
