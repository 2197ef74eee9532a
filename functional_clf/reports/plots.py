"""Pictures of a study: its data, decision boundaries, learning curves and accuracies.

Each function returns a matplotlib Figure; none touches pyplot's global state. Colours are Okabe and
Ito's, distinct under every common colour blindness; lines also differ in style.
"""

import functools
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from functional_clf.data.splits import split
from functional_clf.engines.machine import one_torch_thread
from functional_clf.record.folder import remove, subfolder, write_whole
from functional_clf.reports.lettering import drawable, fonts_for, no_formula
from functional_clf.study.curves import Band
from functional_clf.study.results import Results
from functional_clf.support.text import shortened

logger = logging.getLogger("functional_clf")

CLASS_COLORS = ("#0072B2", "#E69F00")
MODEL_COLORS = ("#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#000000")
MARKERS = ("", "o", "s", "^", "D", "v")
"""Where there are more models than colours."""
SHARE_COLORS = LinearSegmentedColormap.from_list(
    "share", (CLASS_COLORS[0], "#FFFFFF", CLASS_COLORS[1])
)
GRID = 100
"""Points along each side of the grid on which decisions are drawn."""
DRAWN_SEEDS = 500
"""Above this many seeds, the picture of accuracies draws an evenly spaced selection."""
NAME_CELLS, TITLE_CELLS = 24, 48
"""Longer names of models and data sets are cut; as wide as so many Latin letters."""
LEGEND_LETTERS, TICK_LETTERS = 90, 36
"""What a legend, and the names below the accuracies, have room for side by side."""


class Words(NamedTuple):
    """What pictures of a study write, as matplotlib draws it.

    dataset: the data set.
    models: by name, each model.
    """

    dataset: str
    models: Mapping[str, str]


def _lettered(draw: Callable[[Results, Words], Figure]) -> Callable[[Results], Figure]:
    """Give a drawing function its words, and the fonts that have their letters."""

    @functools.wraps(draw)
    def figure(results: Results) -> Figure:
        names = [recipe.name for recipe in results.study.recipes]
        families = fonts_for("".join([str(results.study.dataset), *names]))
        [dataset] = shortened([drawable(str(results.study.dataset), families)], TITLE_CELLS)
        short = shortened([drawable(name, families) for name in names], NAME_CELLS)
        words = Words(no_formula(dataset), dict(zip(names, map(no_formula, short), strict=True)))
        # Whatever a user's own settings say of other pictures.
        with matplotlib.rc_context({"font.family": families, "text.usetex": False}):
            return draw(results, words)

    return figure


@_lettered
def data_figure(results: Results, words: Words) -> Figure:
    """The samples of the study's first seed, training and test apart.

    Of more than two features the first two are drawn; of one, each class has a row.
    """
    study = results.study
    x, y, rows = _draw(results, study.seeds[0])
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    axes = figure.add_subplot()
    if (n_features := x.shape[1]) == 1:
        # Spread up and down, so that samples of the same value are seen.
        spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(y))
        x = np.stack([x[:, 0], y + spread], 1)
    _scatter(axes, x, y, rows.train, "o", size=16, alpha=0.45, label="train")
    _scatter(axes, x, y, rows.test, "^", size=34, alpha=1.0, label="test", edge="black")
    if n_features == 1:
        axes.set(xlabel="feature 0, the only one", ylabel="class", yticks=[0, 1], ylim=(-0.6, 1.6))
        axes.spines[["top", "right"]].set_visible(False)
    else:
        _dress_plane(axes, x)
    selection = f"\nthe first 2 of {n_features} features" if n_features > 2 else ""
    axes.set_title(
        f"{words.dataset}\nseed {study.seeds[0]}: "
        f"{len(rows.train)} samples to train on, {len(rows.test)} to test{selection}"
    )
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


@_lettered
def boundaries_figure(results: Results, words: Words) -> Figure:
    """Each model's decisions: those of its median seed, and the share of seeds voting class 1.

    Raises:
        ValueError: when the data have other than two features, or no weights are kept.
    """
    study = results.study
    recipes = [recipe for recipe in study.recipes if results.params[recipe.name][0]]
    points = _draw(results, study.seeds[0])[0]
    if points.shape[1] != 2:
        raise ValueError(f"the data have {points.shape[1]} features, and a plane has 2")
    if not recipes:
        raise ValueError("no weights of these seeds are kept")
    figure = Figure(figsize=(0.8 + 4.3 * max(len(recipes), 1.5), 10.0), layout="constrained")
    panels = figure.subplots(2, len(recipes), squeeze=False, sharex=True, sharey=True)
    plane = _plane(points)
    for column, recipe in enumerate(recipes):
        seeds, params = results.params[recipe.name]
        table = results.of(recipe.name).filter(results.of(recipe.name)["seed"].is_in(seeds))
        accuracies = (table["test_correct"] / table["n_test"]).to_numpy()
        median = int(np.argsort(accuracies, kind="stable")[(len(seeds) - 1) // 2])
        logits = _logits(recipe.model.apply, params, plane)

        top, bottom = panels[:, column]
        x, y, rows = _draw(results, seeds[median])
        _draw_decisions(top, plane, logits[median])
        _scatter(top, x, y, rows.test, "o", size=18, alpha=1.0, edge="white")
        name = words.models[recipe.name]
        top.set_title(
            f"{name}\nmedian seed ({seeds[median]}), test accuracy {100 * accuracies[median]:.1f} %"
        )
        votes = logits[~np.isnan(logits).all((1, 2))]
        _draw_votes(bottom, plane, votes)
        diverged = f", {len(seeds) - len(votes)} diverged" if len(votes) < len(seeds) else ""
        bottom.set_title(f"{name}\nvotes of {len(votes)} seeds{diverged}")
        for axes in (top, bottom):
            _dress_plane(axes, points)
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
def curves_figure(results: Results, words: Words) -> Figure:
    """Loss and accuracy along training: the median over seeds, and the middle 90 % as a band."""
    study = results.study
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for number, recipe in enumerate(study.recipes):
        curves, epochs = results.curves[recipe.name], results.curve_epochs(recipe.name)
        table = results.of(recipe.name)
        style = _style(number)
        for part, line in (("train", "--"), ("test", "-")):
            percent = 100 / table[f"n_{part}"][0]
            correct = Band(*(percent * values for values in curves[f"{part}_correct"]))
            named = _in_legend(f"{words.models[recipe.name]}, {part}")
            _band(loss, epochs, curves[f"{part}_loss"], style, line, named)
            _band(accuracy, epochs, correct, style, line, None)
    loss.set(xlabel="epoch", ylabel="loss (binary cross-entropy)", yscale="log", title="Loss")
    accuracy.set(xlabel="epoch", ylabel="accuracy (%)", title="Accuracy")
    for axes in (loss, accuracy):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    named = loss.get_legend_handles_labels()[1]
    figure.legend(loc="outside lower center", ncols=_columns(named, widest=4), frameon=False)
    figure.suptitle(
        f"Learning curves over {len(study.seeds)} seeds: median (line), 5 % to 95 % (band)"
    )
    return figure


@_lettered
def accuracies_figure(results: Results, words: Words) -> Figure:
    """Every seed's test accuracy under each model, one line a seed, and the paired differences."""
    study = results.study
    recipes = study.recipes
    correct = {one.name: results.of(one.name)["test_correct"].to_numpy() for one in recipes}
    percent = 100 / results.of(recipes[0].name)["n_test"][0]
    n_seeds = len(study.seeds)
    drawn = np.unique(np.linspace(0, n_seeds - 1, min(n_seeds, DRAWN_SEEDS)).astype(int))
    # Ties are common (accuracies are counts), so points are spread sideways to be seen.
    spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(drawn))

    crowd = max(len(recipes) - 2, 0)
    figure = Figure(figsize=(10.5 + 0.8 * crowd, 5.2 + 0.4 * crowd), layout="constrained")
    pairs, gaps = figure.subplots(1, 2, width_ratios=(1.25, 1))
    places = np.arange(len(recipes))[:, None] + spread
    heights = np.stack([percent * correct[recipe.name][drawn] for recipe in recipes])
    pairs.plot(places, heights, color="0.5", linewidth=0.5, alpha=max(0.06, 0.4 - len(drawn) / 800))
    for column, recipe in enumerate(recipes):
        pairs.scatter(
            places[column], heights[column], s=16, color=_style(column).color,
            edgecolors="white", linewidths=0.3, zorder=3,
        )  # fmt: skip
        mean = percent * correct[recipe.name].mean()
        pairs.plot(
            column + np.array([-0.22, 0.22]), [mean, mean], color="black", linewidth=2, zorder=4
        )
        pairs.annotate(
            f"mean {mean:.1f}", (column + 0.24, mean), va="center", fontsize=9, zorder=5,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    names = [words.models[recipe.name] for recipe in recipes]
    pairs.set_xticks(range(len(recipes)), names)
    if len(names) * max(map(len, names)) > TICK_LETTERS:
        pairs.tick_params("x", rotation=30)
        for tick in pairs.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    pairs.set_xlim(-0.5, len(recipes) - 0.35)
    subset = "" if len(drawn) == n_seeds else f" ({len(drawn)} of {n_seeds} drawn)"
    pairs.set(ylabel="test accuracy (%)", title=f"One line a seed{subset}")

    baseline, *others = recipes
    for number, recipe in enumerate(others, 1):
        # Of counts: equal differences stay equal, so that none is spread over countless bins.
        counts = correct[recipe.name] - correct[baseline.name]
        name = f"{words.models[recipe.name]} - {words.models[baseline.name]}"
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


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Draw every picture into `folder` as a PNG, and return the paths of those drawn.

    One that cannot be drawn costs no other: a line of the log says why, and none of an earlier run
    is left in its place.

    Raises:
        StoreError: when the folder is a link or a file.
        WriteError: when a picture cannot be written.
    """
    figures = {
        "data": data_figure,
        "curves": curves_figure,
        "accuracies": accuracies_figure,
        "boundaries": boundaries_figure,
    }
    folder = subfolder(folder.parent, folder.name)
    written = []
    for name, draw in figures.items():
        path = folder / f"{name}.png"
        picture = io.BytesIO()
        try:
            with matplotlib.rc_context({"text.usetex": False}):
                draw(results).savefig(picture, format="png", dpi=120)
        except (
            Exception
        ) as error:  # of matplotlib, of the data's draw or of a model: whatever it is
            reason = " ".join(str(error).split()) or type(error).__name__
            logger.warning("%s is not drawn: %s", path.name, reason)
            remove([path])
            continue
        content = picture.getvalue()
        written.append(write_whole(path, lambda path, content=content: path.write_bytes(content)))
    return written


def _draw(results: Results, seed: int):
    """One seed's samples and split, drawn again: a seed fixes them."""
    study = results.study
    one = study.replicate(seed)
    x, y = study.dataset.sample(one.data_seed)
    return x, y, split(study.dataset.n_samples, study.test_size, one.split_seed)


def _scatter(axes: Axes, x, y, rows, marker, *, size, alpha, label=None, edge="none") -> None:
    for value, color in enumerate(CLASS_COLORS):
        chosen = rows[y[rows] == value]
        axes.scatter(
            x[chosen, 0], x[chosen, 1], s=size, marker=marker, color=color, alpha=alpha,
            edgecolors=edge, linewidths=0.6, label=label and f"class {value}, {label}",
        )  # fmt: skip


def _plane(x: ndarray) -> tuple[ndarray, ndarray]:
    low, high = x.min(0), x.max(0)
    room = np.where(high > low, 0.12 * (high - low), 1.0)  # also around a constant feature
    sides = [np.linspace(low[i] - room[i], high[i] + room[i], GRID) for i in range(2)]
    across, up = np.meshgrid(*sides)
    return across, up


def _logits(apply, params: Mapping[str, ndarray], plane: tuple[ndarray, ndarray]) -> ndarray:
    """Each seed's logit at each point of the plane, `(seed, GRID, GRID)`."""
    stacked = {key: torch.from_numpy(value) for key, value in params.items()}
    weight = next(iter(stacked.values()))
    points = torch.from_numpy(np.stack([side.ravel() for side in plane], 1)).to(weight.dtype)
    seeds = len(weight)
    # Into one piece of memory: a small result kept from each of many large sums splits the heap.
    logits = torch.empty(seeds, len(points))
    with torch.no_grad(), one_torch_thread():
        for seed in range(seeds):
            logits[seed] = apply({key: value[seed] for key, value in stacked.items()}, points)
    return logits.numpy().reshape(seeds, GRID, GRID)


def _draw_decisions(axes: Axes, plane: tuple[ndarray, ndarray], logits: ndarray) -> None:
    bounded = np.clip(logits, -1e6, 1e6)
    if np.isnan(bounded).all():
        axes.text(0.5, 0.5, "diverged: it predicts nothing", transform=axes.transAxes, ha="center")
        return
    axes.contourf(*plane, bounded, levels=[-2e6, 0.0, 2e6], colors=CLASS_COLORS, alpha=0.35)
    if np.nanmin(bounded) < 0 < np.nanmax(bounded):
        axes.contour(*plane, bounded, levels=[0.0], colors="black", linewidths=1.2)


def _draw_votes(axes: Axes, plane: tuple[ndarray, ndarray], logits: ndarray) -> None:
    if not len(logits):
        return
    across, up = plane
    share = (logits > 0).mean(0)
    axes.imshow(
        share, origin="lower", extent=(across.min(), across.max(), up.min(), up.max()),
        cmap=SHARE_COLORS, vmin=0, vmax=1, aspect="equal", interpolation="bilinear",
    )  # fmt: skip


def _dress_plane(axes: Axes, x: ndarray) -> None:
    """Labels, and the same scale along both axes where both features are of one order."""
    across, up = np.ptp(x[:, :2], 0)
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


def _band(axes: Axes, epochs, band: Band, style: Style, line: str, named: str | None) -> None:
    """Median and middle 90 % over seeds."""
    median = np.where(np.isfinite(band.median), band.median, np.nan)
    axes.plot(
        epochs, median, line, color=style.color, marker=style.marker, markersize=4,
        markevery=max(1, len(epochs) // 10), label=named,
    )  # fmt: skip
    finite = np.isfinite(band.high)
    axes.fill_between(
        epochs, band.low, band.high, where=finite, color=style.color, alpha=0.18, linewidth=0
    )
