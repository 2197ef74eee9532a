"""Drawing: what a picture shows, as plain values, onto a matplotlib Figure and into a PNG file.

Nothing here touches pyplot's global state, torch or a study, so that a process of its own can draw.
What shows classes is drawn by `class_drawing`.
"""

import io
import math
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from functional_clf.reports.class_drawing import (
    boundaries_figure,
    classes_figure,
    confusion_figure,
    data_figure,
)
from functional_clf.reports.colors import DRAWN_SEEDS
from functional_clf.reports.fitting import legend_columns, wrapped
from functional_clf.reports.lettering import OWN_FONT
from functional_clf.reports.palette import Style, Words, columns_of, in_legend, lettered, style_of
from functional_clf.reports.pictures import (
    AccuraciesPicture,
    BoundariesPicture,
    ClassesPicture,
    ConfusionPicture,
    CurvesPicture,
    DataPicture,
    Picture,
)

DPI = 120
WIDTH, TITLE_SIZE = 10.5, 12
"""Of a picture with two panels, in inches; and of the letters of titles, in points."""
PARTS = {"train": "--", "test": "-"}
"""How either part's learning curves are drawn."""
MOST_BINS = 60
"""Of a row of differences."""


@lettered
def curves_figure(picture: CurvesPicture, words: Words) -> Figure:
    """Loss and accuracy along training: the median over seeds, and the middle 90 % as a band."""
    named = [in_legend(f"{name}, {part}") for name in words.models for part in PARTS]
    columns = legend_columns(named, columns_of(named, widest=4), WIDTH)
    rows_of_legend = math.ceil(len(named) / columns)
    height = 4.8 + 0.2 * max(rows_of_legend - 2, 0)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for number, curves in enumerate(picture.curves):
        style = style_of(number)
        for label, (part, line) in zip(named[2 * number :], PARTS.items(), strict=False):
            losses, accuracies = (
                getattr(curves, f"{part}_{kind}") for kind in ("loss", "accuracy")
            )
            _band(loss, curves.epochs, losses, style, line, label)
            _band(accuracy, curves.epochs, accuracies, style, line, None)
    loss.set(xlabel="epoch", ylabel=f"loss ({picture.loss})", yscale="log", title="Loss")
    accuracy.set(xlabel="epoch", ylabel="accuracy (%)", title="Accuracy")
    for axes in (loss, accuracy):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=columns, frameon=False)
    figure.suptitle(
        f"Learning curves over {picture.n_seeds} seeds: median (line), 5 % to 95 % (band)"
    )
    return figure


@lettered
def accuracies_figure(picture: AccuraciesPicture, words: Words) -> Figure:
    """Every seed's test accuracy under each model, one line a seed, and the paired differences.

    Differences are from the first model: of two models a histogram, of more one a row each.
    """
    n_models, n_seeds = picture.correct.shape
    crowd = max(n_models - 2, 0)
    width = 6.2 if n_models == 1 else WIDTH + 0.8 * crowd
    figure = Figure(figsize=(width, 5.2 + 0.4 * crowd), layout="constrained")
    if n_models == 1:
        panels = [figure.subplots()]
    else:
        panels = list(figure.subplots(1, 2, width_ratios=(1.25, 1)))
        draw = _histogram if n_models == 2 else _histograms
        draw(panels[1], picture, words.models, 0.4 * width)
        handles, named = panels[1].get_legend_handles_labels()
        columns = legend_columns(named, columns_of(named, widest=3), width, size=9)
        figure.legend(
            handles, named, loc="outside lower right", frameon=False, fontsize=9, ncols=columns
        )
    _seed_by_seed(panels[0], picture, words.models, 0.5 * width if crowd else 5.2)
    for axes in panels:
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if crowd:
        panels[1].grid(visible=False)
        panels[1].spines["left"].set_visible(False)
    title = f"Test accuracy of {n_seeds} seeds on {words.dataset}"
    figure.suptitle(wrapped(title, width, TITLE_SIZE))
    return figure


def figure_of(picture: Picture) -> Figure:
    """The figure of any kind of picture.

    Raises:
        KeyError: when there is no such kind.
    """
    figures: dict[type[Picture], Callable[[Any], Figure]] = {
        DataPicture: data_figure,
        ClassesPicture: classes_figure,
        CurvesPicture: curves_figure,
        AccuraciesPicture: accuracies_figure,
        BoundariesPicture: boundaries_figure,
        ConfusionPicture: confusion_figure,
    }
    return figures[type(picture)](picture)


def png_of(picture: Picture) -> bytes:
    """A picture as the content of a PNG file."""
    content = io.BytesIO()
    with matplotlib.rc_context({"text.usetex": False}):
        figure = figure_of(picture)
        # Laid out here: to lay out, savefig would draw all of it once more, in vain.
        FigureCanvasAgg(figure)
        figure.set_dpi(DPI)
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
        # Not "none": a stand-in for an engine would have savefig do so still.
        with matplotlib.rc_context(
            {"figure.autolayout": False, "figure.constrained_layout.use": False}
        ):
            figure.set_layout_engine(None)
        figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()


def practise() -> None:
    """Draw a letter and a formula, which loads the font and the grammar that pictures need."""
    figure = Figure(figsize=(1, 1))
    with matplotlib.rc_context({"font.family": [OWN_FONT], "text.usetex": False}):
        figure.text(0, 0, "a")
        figure.text(0, 0, r"$\mathdefault{10^{-1}}$")
        FigureCanvasAgg(figure).draw()


def _seed_by_seed(
    axes: Axes, picture: AccuraciesPicture, names: tuple[str, ...], inches: float
) -> None:
    """A point for every seed and model, a line for every seed; the axes are so many inches wide.

    Of two models, means are written beside their points; of more, there is no room but below.
    """
    correct, percent = picture.correct, 100 / picture.n_test
    n_models, n_seeds = correct.shape
    drawn = np.unique(np.linspace(0, n_seeds - 1, min(n_seeds, DRAWN_SEEDS)).astype(int))
    # Ties are common (accuracies are counts), so points are spread sideways to be seen.
    spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(drawn))
    places = np.arange(n_models)[:, None] + spread
    heights = percent * correct[:, drawn]
    axes.plot(places, heights, color="0.5", linewidth=0.5, alpha=max(0.06, 0.4 - len(drawn) / 800))
    size = 10 if n_models <= 2 else 9
    ticks = [wrapped(name, 0.92 * inches / n_models, size) for name in names]
    for column in range(n_models):
        axes.scatter(
            places[column], heights[column], s=16, color=style_of(column).color,
            edgecolors="white", linewidths=0.3, zorder=3,
        )  # fmt: skip
        mean = percent * correct[column].mean()
        axes.plot(
            column + np.array([-0.22, 0.22]), [mean, mean], color="black", linewidth=2, zorder=4
        )
        if n_models > 2:
            ticks[column] += f"\nmean {mean:.1f}"
            continue
        axes.annotate(
            f"mean {mean:.1f}", (column + 0.24, mean), va="center", fontsize=9, zorder=5,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    axes.set_xticks(range(n_models), ticks, fontsize=size)
    axes.set_xlim(-0.5, n_models - (0.35 if n_models <= 2 else 0.5))
    subset = "" if len(drawn) == n_seeds else f" ({len(drawn)} of {n_seeds} drawn)"
    kind = "point" if n_models == 1 else "line"
    axes.set(ylabel="test accuracy (%)", title=f"One {kind} a seed{subset}")


def _histogram(
    axes: Axes, picture: AccuraciesPicture, names: tuple[str, ...], inches: float
) -> None:
    """How many seeds have each difference between two models."""
    percent = 100 / picture.n_test
    # Of counts: equal differences stay equal, so that none is spread over countless bins.
    counts = picture.correct[1] - picture.correct[0]
    axes.hist(
        percent * counts, bins="auto" if np.ptp(counts) > 0 else 1, color=style_of(1).color,
        alpha=0.75, edgecolor="white", label=in_legend(f"{names[1]} - {names[0]}"),
    )  # fmt: skip
    mean = percent * counts.mean()
    axes.axvline(mean, color="black", linewidth=2, label=f"mean {mean:+.1f} pp")
    axes.axvline(0, color="0.4", linestyle=":", linewidth=1.5, label="no difference")
    axes.set(
        xlabel="paired difference (percentage points)",
        ylabel="seeds",
        title="Difference, seed by seed",
    )
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _histograms(
    axes: Axes, picture: AccuraciesPicture, names: tuple[str, ...], inches: float
) -> None:
    """How many seeds have each difference of a model from the first, a row a model."""
    percent = 100 / picture.n_test
    counts = picture.correct[1:] - picture.correct[0]
    edges = _edges(counts)
    seeds = np.stack([np.histogram(row, edges)[0] for row in counts])
    most, n_rows = seeds.max(), len(counts)
    for number, row in enumerate(seeds, start=1):
        floor = n_rows - number
        axes.stairs(
            floor + 0.62 * row / most, percent * edges, baseline=floor, fill=True, alpha=0.75,
            color=style_of(number).color,
        )  # fmt: skip
        axes.axhline(floor, color="0.8", linewidth=0.8, zorder=0)
        mean = percent * counts[number - 1].mean()
        label = "mean" if number == 1 else None
        axes.plot([mean, mean], [floor, floor + 0.66], color="black", linewidth=2, label=label)
        said = f": mean {mean:+.1f} pp"
        axes.text(
            0.0, floor + 0.82, f"{names[number]}{said}", fontsize=9, va="center",
            transform=axes.get_yaxis_transform(),
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    axes.axvline(0, color="0.4", linestyle=":", linewidth=1.5, label="no difference")
    below = wrapped(f"difference from {names[0]} (percentage points)", inches, 10)
    axes.set(
        xlabel=below,
        ylabel=f"seeds (highest bar: {most})",
        title="Difference, seed by seed",
        ylim=(-0.05, n_rows + 0.05),
        yticks=[],
    )


def _edges(counts: ndarray) -> ndarray:
    """The bins of all rows of counts: equally wide, each around as many whole numbers."""
    widths = [
        np.diff(np.histogram_bin_edges(row, "auto")[:2]).item() if np.ptp(row) > 0 else 1.0
        for row in counts
    ]
    low, high = int(counts.min()), int(counts.max())
    width = max(1, math.ceil(np.median(widths)), math.ceil((high - low + 1) / MOST_BINS))
    first = width * math.floor(low / width)
    return np.arange(first, high + width + 1, width) - 0.5


def _band(
    axes: Axes, epochs: ndarray, band: ndarray, style: Style, line: str, named: str | None
) -> None:
    """Median and middle 90 % over seeds."""
    low, middle, high = band
    if len(epochs) == 1:  # not trained in epochs: its result is a level
        if np.isfinite(middle[0]):
            axes.axhline(middle[0], linestyle=line, color=style.color, label=named)
        else:  # a loss that most seeds do not have still tells the line of the accuracy beside it
            axes.plot([], [], line, color=style.color, label=named)
        if np.isfinite(high[0]):
            axes.axhspan(low[0], high[0], color=style.color, alpha=0.18, linewidth=0)
        return
    median = np.where(np.isfinite(middle), middle, np.nan)
    axes.plot(
        epochs, median, line, color=style.color, marker=style.marker, markersize=4,
        markevery=max(1, len(epochs) // 10), label=named,
    )  # fmt: skip
    finite = np.isfinite(high)
    axes.fill_between(epochs, low, high, where=finite, color=style.color, alpha=0.18, linewidth=0)
