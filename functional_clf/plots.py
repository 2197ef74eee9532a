"""Pictures of a study: its data, decision boundaries, learning curves and accuracies.

Each function returns a matplotlib Figure; none touches pyplot's global state. Colours are Okabe and
Ito's, distinct under every common colour blindness; lines also differ in style.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from functional_clf.curves import Band
from functional_clf.data import split
from functional_clf.folder import subfolder, write_whole
from functional_clf.machine import one_torch_thread
from functional_clf.study import Results

CLASS_COLORS = ("#0072B2", "#E69F00")
MODEL_COLORS = ("#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#000000")
SHARE_COLORS = LinearSegmentedColormap.from_list(
    "share", (CLASS_COLORS[0], "#FFFFFF", CLASS_COLORS[1])
)
GRID = 100
"""Points along each side of the grid on which decisions are drawn."""
DRAWN_SEEDS = 500
"""Above this many seeds, the picture of accuracies draws an evenly spaced selection."""


def data_figure(results: Results) -> Figure:
    """The samples of the study's first seed, training and test apart."""
    study = results.study
    x, y, rows = _draw(results, study.seeds[0])
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    axes = figure.add_subplot()
    _scatter(axes, x, y, rows.train, "o", size=16, alpha=0.45, label="train")
    _scatter(axes, x, y, rows.test, "^", size=34, alpha=1.0, label="test", edge="black")
    _dress_plane(axes)
    axes.set_title(
        f"{study.dataset}\nseed {study.seeds[0]}: "
        f"{len(rows.train)} samples to train on, {len(rows.test)} to test"
    )
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def boundaries_figure(results: Results) -> Figure:
    """Each model's decisions: those of its median seed, and the share of seeds voting class 1."""
    study = results.study
    recipes = [recipe for recipe in study.recipes if results.params[recipe.name][0]]
    figure = Figure(figsize=(0.8 + 4.3 * len(recipes), 10.0), layout="constrained")
    panels = figure.subplots(2, len(recipes), squeeze=False, sharex=True, sharey=True)
    plane = _plane(_draw(results, study.seeds[0])[0])
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
        top.set_title(
            f"{recipe.name}, median seed ({seeds[median]})\n"
            f"test accuracy {100 * accuracies[median]:.1f} %"
        )
        _draw_votes(bottom, plane, (logits > 0).mean(0))
        bottom.set_title(f"{recipe.name}, votes of {len(seeds)} seeds")
        for axes in (top, bottom):
            _dress_plane(axes, (plane[0].min(), plane[0].max()), (plane[1].min(), plane[1].max()))
            axes.label_outer()
    figure.colorbar(
        ScalarMappable(Normalize(0, 1), SHARE_COLORS), ax=panels, location="bottom",
        shrink=0.6, aspect=40,
        label="votes: share of seeds that predict class 1",
    )  # fmt: skip
    figure.suptitle(f"Decision boundaries on {study.dataset}; dots: the seed's test samples")
    return figure


def curves_figure(results: Results) -> Figure:
    """Loss and accuracy along training: the median over seeds, and the middle 90 % as a band."""
    study = results.study
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for color, recipe in zip(MODEL_COLORS, study.recipes, strict=False):
        curves, epochs = results.curves[recipe.name], results.curve_epochs(recipe.name)
        table = results.of(recipe.name)
        for part, style in (("train", "--"), ("test", "-")):
            label = f"{recipe.name}, {part}"
            percent = 100 / table[f"n_{part}"][0]
            correct = Band(*(percent * values for values in curves[f"{part}_correct"]))
            _band(loss, epochs, curves[f"{part}_loss"], color, style, label)
            _band(accuracy, epochs, correct, color, style, None)
    loss.set(xlabel="epoch", ylabel="loss (binary cross-entropy)", yscale="log", title="Loss")
    accuracy.set(xlabel="epoch", ylabel="accuracy (%)", title="Accuracy")
    for axes in (loss, accuracy):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"Learning curves over {len(study.seeds)} seeds: median (line), 5 % to 95 % (band)"
    )
    return figure


def accuracies_figure(results: Results) -> Figure:
    """Every seed's test accuracy under each model, one line a seed, and the paired differences."""
    study = results.study
    recipes = study.recipes
    values = {
        recipe.name: 100
        * (results.of(recipe.name)["test_correct"] / results.of(recipe.name)["n_test"]).to_numpy()
        for recipe in recipes
    }
    n_seeds = len(study.seeds)
    drawn = np.unique(np.linspace(0, n_seeds - 1, min(n_seeds, DRAWN_SEEDS)).astype(int))
    # Ties are common (accuracies are counts), so points are spread sideways to be seen.
    spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(drawn))

    figure = Figure(figsize=(10.5, 5.2), layout="constrained")
    pairs, gaps = figure.subplots(1, 2, width_ratios=(1.25, 1))
    places = np.arange(len(recipes))[:, None] + spread
    heights = np.stack([values[recipe.name][drawn] for recipe in recipes])
    pairs.plot(places, heights, color="0.5", linewidth=0.5, alpha=max(0.06, 0.4 - len(drawn) / 800))
    for column, (color, recipe) in enumerate(zip(MODEL_COLORS, recipes, strict=False)):
        pairs.scatter(
            places[column], heights[column], s=16, color=color, edgecolors="white",
            linewidths=0.3, zorder=3,
        )  # fmt: skip
        mean = values[recipe.name].mean()
        pairs.plot(
            column + np.array([-0.22, 0.22]), [mean, mean], color="black", linewidth=2, zorder=4
        )
        pairs.annotate(
            f"mean {mean:.1f}", (column + 0.24, mean), va="center", fontsize=9, zorder=5,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    pairs.set_xticks(range(len(recipes)), [recipe.name for recipe in recipes])
    pairs.set_xlim(-0.5, len(recipes) - 0.35)
    subset = "" if len(drawn) == n_seeds else f" ({len(drawn)} of {n_seeds} drawn)"
    pairs.set(ylabel="test accuracy (%)", title=f"One line a seed{subset}")

    baseline, *others = recipes
    for color, recipe in zip(MODEL_COLORS[1:], others, strict=False):
        differences = values[recipe.name] - values[baseline.name]
        gaps.hist(
            differences, bins="auto" if np.ptp(differences) > 0 else 1, color=color, alpha=0.75,
            edgecolor="white", label=f"{recipe.name} - {baseline.name}",
        )  # fmt: skip
        gaps.axvline(differences.mean(), color="black", linewidth=2,
                     label=f"mean {differences.mean():+.1f} pp")  # fmt: skip
    gaps.axvline(0, color="0.4", linestyle=":", linewidth=1.5, label="no difference")
    gaps.set(
        xlabel="paired difference (percentage points)",
        ylabel="seeds",
        title="Difference, seed by seed",
    )
    gaps.yaxis.set_major_locator(MaxNLocator(integer=True))
    gaps.legend(frameon=False, fontsize=9)
    for axes in (pairs, gaps):
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Test accuracy of {n_seeds} seeds on {study.dataset}")
    return figure


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Draw every picture into `folder` as a PNG, and return their paths."""
    figures = {"data": data_figure, "curves": curves_figure, "accuracies": accuracies_figure}
    if any(seeds for seeds, _ in results.params.values()):
        figures["boundaries"] = boundaries_figure
    folder = subfolder(folder.parent, folder.name)
    return [
        write_whole(
            folder / f"{name}.png",
            lambda path, draw=draw: draw(results).savefig(path, format="png", dpi=120),
        )
        for name, draw in figures.items()
    ]


def _draw(results: Results, seed: int):
    """One seed's samples and split, drawn again: a seed fixes them."""
    study = results.study
    one = study.replicate(seed)
    x, y = study.dataset.draw(one.data_seed)
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
    room = 0.12 * (high - low)
    sides = [np.linspace(low[i] - room[i], high[i] + room[i], GRID) for i in range(2)]
    across, up = np.meshgrid(*sides)
    return across, up


def _logits(apply, params: Mapping[str, ndarray], plane: tuple[ndarray, ndarray]) -> ndarray:
    """Each seed's logit at each point of the plane, `(seed, GRID, GRID)`."""
    points = torch.from_numpy(np.stack([side.ravel() for side in plane], 1).astype(np.float32))
    stacked = {key: torch.from_numpy(value) for key, value in params.items()}
    seeds = next(iter(stacked.values())).shape[0]
    # Into one piece of memory: a small result kept from each of many large sums splits the heap.
    logits = torch.empty(seeds, len(points))
    with torch.no_grad(), one_torch_thread():
        for seed in range(seeds):
            logits[seed] = apply({key: value[seed] for key, value in stacked.items()}, points)
    return logits.numpy().reshape(seeds, GRID, GRID)


def _draw_decisions(axes: Axes, plane: tuple[ndarray, ndarray], logits: ndarray) -> None:
    bounded = np.clip(logits, -1e6, 1e6)
    axes.contourf(*plane, bounded, levels=[-2e6, 0.0, 2e6], colors=CLASS_COLORS, alpha=0.35)
    if np.nanmin(bounded) < 0 < np.nanmax(bounded):
        axes.contour(*plane, bounded, levels=[0.0], colors="black", linewidths=1.2)


def _draw_votes(axes: Axes, plane: tuple[ndarray, ndarray], share: ndarray) -> None:
    across, up = plane
    axes.imshow(
        share, origin="lower", extent=(across.min(), across.max(), up.min(), up.max()),
        cmap=SHARE_COLORS, vmin=0, vmax=1, aspect="equal", interpolation="bilinear",
    )  # fmt: skip


def _dress_plane(axes: Axes, xlim=None, ylim=None) -> None:
    axes.set(xlabel="feature 0", ylabel="feature 1", aspect="equal", xlim=xlim, ylim=ylim)
    axes.spines[["top", "right"]].set_visible(False)


def _band(axes: Axes, epochs, band: Band, color: str, style: str, label: str | None) -> None:
    """Median and middle 90 % over seeds."""
    median = np.where(np.isfinite(band.median), band.median, np.nan)
    axes.plot(epochs, median, style, color=color, label=label)
    finite = np.isfinite(band.high)
    axes.fill_between(
        epochs, band.low, band.high, where=finite, color=color, alpha=0.18, linewidth=0
    )
