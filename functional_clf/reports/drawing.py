"""Drawing: what a picture shows, as plain values, onto a matplotlib Figure and into a PNG file.

Nothing here touches pyplot's global state, torch or a study, so that a process of its own can draw.
Colours are Okabe and Ito's, distinct under every common colour blindness; lines also differ in
style.
"""

import functools
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from functional_clf.reports.lettering import OWN_FONT, drawable, fonts_for, no_formula
from functional_clf.reports.pictures import (
    AccuraciesPicture,
    BoundariesPicture,
    CurvesPicture,
    DataPicture,
    Picture,
)
from functional_clf.support.text import shortened

P = TypeVar("P", bound=Picture)

CLASS_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MODEL_COLORS = ("#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#000000")
MARKERS = ("", "o", "s", "^", "D", "v")
"""Where there are more models than colours."""
SHARE_COLORS = LinearSegmentedColormap.from_list(
    "share", (CLASS_COLORS[0], "#FFFFFF", CLASS_COLORS[1])
)
DRAWN_SEEDS = 500
"""Above this many seeds, the picture of accuracies draws an evenly spaced selection."""
NAME_CELLS, TITLE_CELLS = 24, 48
"""Longer names of models and data sets are cut; as wide as so many Latin letters."""
LEGEND_LETTERS, TICK_LETTERS = 90, 36
"""What a legend, and the names below the accuracies, have room for side by side."""
DPI = 120


class Words(NamedTuple):
    """What a picture writes, as matplotlib draws it: the data set, and each model."""

    dataset: str
    models: tuple[str, ...]


def _lettered(draw: Callable[[P, Words], Figure]) -> Callable[[P], Figure]:
    """Give a drawing function its words, and the fonts that have their letters."""

    @functools.wraps(draw)
    def figure(picture: P) -> Figure:
        families = fonts_for("".join([picture.dataset, *picture.models]))
        [dataset] = shortened([drawable(picture.dataset, families)], TITLE_CELLS)
        short = shortened([drawable(name, families) for name in picture.models], NAME_CELLS)
        words = Words(no_formula(dataset), tuple(map(no_formula, short)))
        # Whatever a user's own settings say of other pictures.
        with matplotlib.rc_context({"font.family": families, "text.usetex": False}):
            return draw(picture, words)

    return figure


@_lettered
def data_figure(picture: DataPicture, words: Words) -> Figure:
    """The samples of the study's first seed, training and test apart.

    Of more than two features the first two are drawn; of one, each class has a row.
    """
    x, y, n_features = picture.x, picture.y, picture.n_features
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    axes = figure.add_subplot()
    if n_features == 1:
        # Spread up and down, so that samples of the same value are seen.
        spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(y))
        x = np.stack([x[:, 0], y + spread], 1)
    _scatter(axes, x, y, picture.train, "o", size=16, alpha=0.45, label="train")
    _scatter(axes, x, y, picture.test, "^", size=34, alpha=1.0, label="test", edge="black")
    if n_features == 1:
        count = _n_classes(y)
        axes.set(xlabel="feature 0, the only one", ylabel="class")
        axes.set(yticks=range(count), ylim=(-0.6, count - 0.4))
        axes.spines[["top", "right"]].set_visible(False)
    else:
        _dress_plane(axes, np.ptp(x, 0))
    selection = f"\nthe first 2 of {n_features} features" if n_features > 2 else ""
    axes.set_title(
        f"{words.dataset}\nseed {picture.seed}: "
        f"{len(picture.train)} samples to train on, {len(picture.test)} to test{selection}"
    )
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


@_lettered
def boundaries_figure(picture: BoundariesPicture, words: Words) -> Figure:
    """Each model's decisions: those of its median seed, and the share of seeds voting class 1."""
    decisions, plane = picture.decisions, picture.plane
    figure = Figure(figsize=(0.8 + 4.3 * max(len(decisions), 1.5), 10.0), layout="constrained")
    panels = figure.subplots(2, len(decisions), squeeze=False, sharex=True, sharey=True)
    for column, one in enumerate(decisions):
        top, bottom = panels[:, column]
        name = words.models[one.model]
        _draw_decisions(top, plane, one.logits)
        rows = np.arange(len(one.y))
        _scatter(top, one.x, one.y, rows, "o", size=18, alpha=1.0, edge="white")
        top.set_title(f"{name}\nmedian seed ({one.seed}), test accuracy {one.accuracy:.1f} %")
        _draw_votes(bottom, plane, one.share)
        diverged = f", {one.diverged} diverged" if one.diverged else ""
        bottom.set_title(f"{name}\nvotes of {one.votes} seeds{diverged}")
        for axes in (top, bottom):
            _dress_plane(axes, picture.reach)
            axes.set(xlim=(plane[0].min(), plane[0].max()), ylim=(plane[1].min(), plane[1].max()))
            axes.label_outer()
    figure.colorbar(
        ScalarMappable(Normalize(0, 1), SHARE_COLORS), ax=panels, location="bottom",
        shrink=0.6, aspect=40,
        label="votes: share of seeds that predict class 1",
    )  # fmt: skip
    figure.suptitle(f"Decision boundaries on {words.dataset}\ndots: the seed's test samples")
    return figure


@_lettered
def curves_figure(picture: CurvesPicture, words: Words) -> Figure:
    """Loss and accuracy along training: the median over seeds, and the middle 90 % as a band."""
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for number, (name, curves) in enumerate(zip(words.models, picture.curves, strict=True)):
        style = _style(number)
        for part, line in (("train", "--"), ("test", "-")):
            losses, accuracies = (
                getattr(curves, f"{part}_{kind}") for kind in ("loss", "accuracy")
            )
            _band(loss, curves.epochs, losses, style, line, _in_legend(f"{name}, {part}"))
            _band(accuracy, curves.epochs, accuracies, style, line, None)
    loss.set(xlabel="epoch", ylabel=f"loss ({picture.loss})", yscale="log", title="Loss")
    accuracy.set(xlabel="epoch", ylabel="accuracy (%)", title="Accuracy")
    for axes in (loss, accuracy):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    named = loss.get_legend_handles_labels()[1]
    figure.legend(loc="outside lower center", ncols=_columns(named, widest=4), frameon=False)
    figure.suptitle(
        f"Learning curves over {picture.n_seeds} seeds: median (line), 5 % to 95 % (band)"
    )
    return figure


@_lettered
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
            places[column], heights[column], s=16, color=_style(column).color,
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
            color=_style(number).color, alpha=0.75, edgecolor="white", label=_in_legend(name),
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
        ncols=_columns(named, widest=3),
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
        CurvesPicture: curves_figure,
        AccuraciesPicture: accuracies_figure,
        BoundariesPicture: boundaries_figure,
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


def _scatter(axes: Axes, x, y, rows, marker, *, size, alpha, label=None, edge="none") -> None:
    for value in range(_n_classes(y)):
        color = CLASS_COLORS[value % len(CLASS_COLORS)]
        chosen = rows[y[rows] == value]
        axes.scatter(
            x[chosen, 0], x[chosen, 1], s=size, marker=marker, color=color, alpha=alpha,
            edgecolors=edge, linewidths=0.6, label=label and f"class {value}, {label}",
        )  # fmt: skip


def _n_classes(y: ndarray) -> int:
    return max(2, int(y.max(initial=0)) + 1)


def _draw_decisions(axes: Axes, plane: ndarray, logits: ndarray) -> None:
    bounded = np.clip(logits, -1e6, 1e6)
    if np.isnan(bounded).all():
        axes.text(0.5, 0.5, "diverged: it predicts nothing", transform=axes.transAxes, ha="center")
        return
    axes.contourf(*plane, bounded, levels=[-2e6, 0.0, 2e6], colors=CLASS_COLORS[:2], alpha=0.35)
    if np.nanmin(bounded) < 0 < np.nanmax(bounded):
        axes.contour(*plane, bounded, levels=[0.0], colors="black", linewidths=1.2)


def _draw_votes(axes: Axes, plane: ndarray, share: ndarray) -> None:
    if not share.size:
        return
    across, up = plane
    axes.imshow(
        share, origin="lower", extent=(across.min(), across.max(), up.min(), up.max()),
        cmap=SHARE_COLORS, vmin=0, vmax=1, aspect="equal", interpolation="bilinear",
    )  # fmt: skip


def _dress_plane(axes: Axes, reach: ndarray) -> None:
    """Labels, and the same scale along both axes where both features are of one order."""
    across, up = reach
    alike = max(across, up) <= 5 * min(across, up)
    axes.set(xlabel="feature 0", ylabel="feature 1", aspect="equal" if alike else "auto")
    axes.spines[["top", "right"]].set_visible(False)


class Style(NamedTuple):
    """How one of the models is drawn, in the order of the study."""

    color: str
    marker: str


def _style(number: int) -> Style:
    again, color = divmod(number, len(MODEL_COLORS))
    return Style(MODEL_COLORS[color], MARKERS[again % len(MARKERS)])


def _in_legend(text: str) -> str:
    """A label that is shown: matplotlib leaves out what begins with an underscore."""
    return f" {text}" if text.startswith("_") else text


def _columns(labels: Sequence[str], widest: int) -> int:
    """How many of these labels a legend has room for side by side."""
    return max(1, min(widest, LEGEND_LETTERS // max(map(len, labels))))


def _band(
    axes: Axes, epochs: ndarray, band: ndarray, style: Style, line: str, named: str | None
) -> None:
    """Median and middle 90 % over seeds."""
    low, middle, high = band
    if len(epochs) == 1:  # not trained in epochs: its result is a level
        axes.axhline(middle[0], linestyle=line, color=style.color, label=named)
        axes.axhspan(low[0], high[0], color=style.color, alpha=0.18, linewidth=0)
        return
    median = np.where(np.isfinite(middle), middle, np.nan)
    axes.plot(
        epochs, median, line, color=style.color, marker=style.marker, markersize=4,
        markevery=max(1, len(epochs) // 10), label=named,
    )  # fmt: skip
    finite = np.isfinite(high)
    axes.fill_between(epochs, low, high, where=finite, color=style.color, alpha=0.18, linewidth=0)
