"""Drawing: what a picture shows, as plain values, onto a matplotlib Figure and into a PNG file.

Nothing here touches pyplot's global state, torch or a study, so that a process of its own can draw.
What shows classes is drawn by `class_drawing`.
"""

import io
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

TICK_LETTERS = 36
"""What the names below the accuracies have room for side by side."""
DPI = 120


@lettered
def curves_figure(picture: CurvesPicture, words: Words) -> Figure:
    """Loss and accuracy along training: the median over seeds, and the middle 90 % as a band."""
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for number, (name, curves) in enumerate(zip(words.models, picture.curves, strict=True)):
        style = style_of(number)
        for part, line in (("train", "--"), ("test", "-")):
            losses, accuracies = (
                getattr(curves, f"{part}_{kind}") for kind in ("loss", "accuracy")
            )
            _band(loss, curves.epochs, losses, style, line, in_legend(f"{name}, {part}"))
            _band(accuracy, curves.epochs, accuracies, style, line, None)
    loss.set(xlabel="epoch", ylabel=f"loss ({picture.loss})", yscale="log", title="Loss")
    accuracy.set(xlabel="epoch", ylabel="accuracy (%)", title="Accuracy")
    for axes in (loss, accuracy):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    named = loss.get_legend_handles_labels()[1]
    figure.legend(loc="outside lower center", ncols=columns_of(named, widest=4), frameon=False)
    figure.suptitle(
        f"Learning curves over {picture.n_seeds} seeds: median (line), 5 % to 95 % (band)"
    )
    return figure


@lettered
def accuracies_figure(picture: AccuraciesPicture, words: Words) -> Figure:
    """Every seed's test accuracy under each model, one line a seed, and the paired differences."""
    names, correct, percent = words.models, picture.correct, 100 / picture.n_test
    n_models, n_seeds = correct.shape
    drawn = np.unique(np.linspace(0, n_seeds - 1, min(n_seeds, DRAWN_SEEDS)).astype(int))
    # Ties are common (accuracies are counts), so points are spread sideways to be seen.
    spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(drawn))

    crowd = max(n_models - 2, 0)
    figure = Figure(figsize=(10.5 + 0.8 * crowd, 5.2 + 0.4 * crowd), layout="constrained")
    pairs, gaps = figure.subplots(1, 2, width_ratios=(1.25, 1))
    places = np.arange(n_models)[:, None] + spread
    heights = percent * correct[:, drawn]
    pairs.plot(places, heights, color="0.5", linewidth=0.5, alpha=max(0.06, 0.4 - len(drawn) / 800))
    for column in range(n_models):
        pairs.scatter(
            places[column], heights[column], s=16, color=style_of(column).color,
            edgecolors="white", linewidths=0.3, zorder=3,
        )  # fmt: skip
        mean = percent * correct[column].mean()
        pairs.plot(
            column + np.array([-0.22, 0.22]), [mean, mean], color="black", linewidth=2, zorder=4
        )
        pairs.annotate(
            f"mean {mean:.1f}", (column + 0.24, mean), va="center", fontsize=9, zorder=5,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    pairs.set_xticks(range(n_models), names)
    if len(names) * max(map(len, names)) > TICK_LETTERS:
        pairs.tick_params("x", rotation=30)
        for tick in pairs.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    pairs.set_xlim(-0.5, n_models - 0.35)
    subset = "" if len(drawn) == n_seeds else f" ({len(drawn)} of {n_seeds} drawn)"
    pairs.set(ylabel="test accuracy (%)", title=f"One line a seed{subset}")

    for number in range(1, n_models):
        # Of counts: equal differences stay equal, so that none is spread over countless bins.
        counts = correct[number] - correct[0]
        name = f"{names[number]} - {names[0]}"
        gaps.hist(
            percent * counts, bins="auto" if np.ptp(counts) > 0 else 1,
            color=style_of(number).color, alpha=0.75, edgecolor="white", label=in_legend(name),
        )  # fmt: skip
        mean = percent * counts.mean()
        gaps.axvline(mean, color="black", linewidth=2, label=f"mean {mean:+.1f} pp")
    gaps.axvline(0, color="0.4", linestyle=":", linewidth=1.5, label="no difference")
    gaps.set(
        xlabel="paired difference (percentage points)",
        ylabel="seeds",
        title="Difference, seed by seed",
    )
    gaps.yaxis.set_major_locator(MaxNLocator(integer=True))
    handles, named = gaps.get_legend_handles_labels()
    figure.legend(
        handles, named, loc="outside lower right", frameon=False, fontsize=9,
        ncols=columns_of(named, widest=3),
    )  # fmt: skip
    for axes in (pairs, gaps):
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Test accuracy of {n_seeds} seeds on {words.dataset}")
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
