"""Drawing what shows classes: samples, their balance, decisions on a plane, and confusions."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from functional_clf.reports.colors import CLASS_COLORS, OTHERS_COLOR, named_classes
from functional_clf.reports.fitting import inches_of, legend_columns, wrapped
from functional_clf.reports.palette import (
    SHARE_COLORS,
    Look,
    Words,
    columns_of,
    in_legend,
    lettered,
    looks,
    pale,
)
from functional_clf.reports.pictures import (
    BoundariesPicture,
    ClassesPicture,
    ConfusionPicture,
    DataPicture,
    ModelDecisions,
)

NAMED_CLASSES = 100
"""Above this many classes, axes have some of their numbers instead of all names."""
CELLS_WITH_NUMBERS = 12
"""Up to this many classes, each cell of a matrix of confusions has its number."""
SIDE_LETTERS, HANDLE_LETTERS = 84, 6
"""What a legend as wide as one plane has room for side by side; and how many a marker takes."""
TITLE_SIZE = 12
"""Of the letters of titles, in points."""
PLANES_ABREAST, PLANE = 4, 4.3
"""So many models' decisions stand side by side at most, each so many inches wide."""
AGREEMENT_COLORS = LinearSegmentedColormap.from_list("agreement", ("#FFFFFF", "#404040"))
CONFUSION_COLORS = LinearSegmentedColormap.from_list(
    "confusion", ("#FFFFFF", CLASS_COLORS[4], "#08306B")
).with_extremes(bad="#D9D9D9")
PERCENT_TICKS = (0, 1, 5, 10, 25, 50, 75, 100)
"""On a scale that spreads small shares: most confusions are rare."""


@lettered
def data_figure(picture: DataPicture, words: Words) -> Figure:
    """The samples of the study's first seed, training and test apart.

    Of more than two features their first two principal components are drawn; of one, each class has
    a row.
    """
    x, y, classes = picture.x, picture.y, named_classes(words.classes)
    is_row = x.shape[1] == 1
    if is_row:
        # Spread up and down, so that samples of the same value are seen.
        spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(y))
        x = np.stack([x[:, 0], y + spread], 1)
    styles = looks(len(classes), picture.shown)
    handles = [] if len(classes) == 2 else _class_handles(classes, styles, is_of_parts=True)
    columns = _columns(handles, 7.2) if handles else 1
    rows_of_legend = math.ceil(len(handles) / columns) if handles else 1
    height = 6.4 + 0.2 * max(rows_of_legend - 2, 0)
    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.add_subplot()
    for part, rows, marker, size, alpha, edge in (
        ("train", picture.train, "o", 16, 0.45, "none"),
        ("test", picture.test, "^", 34, 1.0, "black"),
    ):
        labels = None if handles else [in_legend(f"{name}, {part}") for name in classes]
        if len(classes) > len(CLASS_COLORS):  # there, a marker is a class's
            marker, size = None, 20 if part == "train" else 28
        _scatter(axes, x, y, rows, styles, marker, size=size, alpha=alpha, labels=labels, edge=edge)
    if is_row:
        axes.set(xlabel=words.labels[0], ylabel="class")
        axes.set_ylim(-0.6, len(classes) - 0.4)
        if len(classes) <= NAMED_CLASSES:
            size = _font_size(5.0 / len(classes))
            axes.set_yticks(range(len(classes)), words.classes, fontsize=size)
        axes.spines[["top", "right"]].set_visible(False)
    else:
        drawn = x[np.concatenate([picture.train, picture.test])]
        reach = np.ptp(drawn, 0) if len(drawn) else np.ones(2)
        _dress_plane(axes, reach, words.labels, picture.is_table)
        if picture.is_projected and reach.max() <= 2.5 * reach.min():
            axes.set_aspect("equal", adjustable="datalim")
        elif picture.is_projected:
            axes.set_aspect("auto")
    dataset = wrapped(words.dataset, 6.2, TITLE_SIZE)
    axes.set_title(
        f"{dataset}\nseed {picture.seed}: "
        f"{picture.n_train} samples to train on, {picture.n_test} to test" + _selection(picture)
    )
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    else:
        named = axes.get_legend_handles_labels()[1]
        is_row = sum(map(len, named)) + 4 * HANDLE_LETTERS <= SIDE_LETTERS
        columns = legend_columns(named, 4 if is_row else 2, 7.2)
        figure.legend(loc="outside lower center", ncols=columns, frameon=False)
    return figure


@lettered
def classes_figure(picture: ClassesPicture, words: Words) -> Figure:
    """How many samples of each class the study's first seed trains on and tests on."""
    n_classes = picture.counts.shape[1]
    row = min(0.4, max(0.15, 8 / n_classes)) if n_classes <= NAMED_CLASSES else 15 / n_classes
    figure = Figure(figsize=(10.5, 1.8 + max(row * n_classes, 1.2)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    places, fontsize = np.arange(n_classes), _font_size(row)
    shares = 100 * picture.counts / picture.counts.sum(1, keepdims=True)
    texts = [
        [f" {count} ({share:.1f} %)" for count, share in zip(*part, strict=True)]
        for part in zip(picture.counts, shares, strict=True)
    ]
    # Room for the text beyond the longest bar, a panel having some 50 letters.
    longest = shares.max() / (1 - max(len(text) for part in texts for text in part) / 45)
    for number, axes in enumerate(panels):
        axes.barh(places, shares[number], height=0.75, color=CLASS_COLORS[4])
        axes.set(xlabel="share (%)", xlim=(0, longest), ylim=(n_classes - 0.4, -0.6))
        axes.set_xticks([tick for tick in axes.get_xticks() if tick <= min(100, longest)])
        part = ("train on", "test")[number]
        axes.set_title(f"{picture.counts[number].sum()} samples to {part}")
        axes.spines[["top", "right"]].set_visible(False)
        if n_classes <= NAMED_CLASSES:
            axes.tick_params("y", length=0)
            for place, text in enumerate(texts[number]):
                axes.text(shares[number, place], place, text, va="center", fontsize=fontsize)
    if n_classes <= NAMED_CLASSES:
        panels[0].set_yticks(places, words.classes, fontsize=fontsize)
    panels[0].set_ylabel("class")
    title = f"Classes of {words.dataset}, seed {picture.seed}"
    figure.suptitle(wrapped(title, figure.get_figwidth(), TITLE_SIZE))
    return figure


@lettered
def boundaries_figure(picture: BoundariesPicture, words: Words) -> Figure:
    """Each model's decisions: those of its median seed, and the votes of all seeds.

    Of two classes, votes are drawn as the share of those for class 1; of more, each point has the
    colour of the class with most votes, the paler the fewer there are.
    """
    decisions, plane = picture.decisions, picture.plane
    classes = named_classes(words.classes)
    styles = looks(len(classes), picture.shown)
    is_binary = len(classes) == 2
    has_names = not is_binary or tuple(classes) != tuple(f"class {i}" for i in range(2))
    abreast = min(len(decisions), PLANES_ABREAST)
    bands = math.ceil(len(decisions) / abreast)
    figure = Figure(
        figsize=(0.8 + PLANE * max(abreast, 1.5), 10.0 + 8.4 * (bands - 1)), layout="constrained"
    )
    panels = figure.subplots(2 * bands, abreast, squeeze=False, sharex=True, sharey=True)
    for left_over in panels[-2:, len(decisions) - abreast * (bands - 1) :].flat:
        left_over.set_visible(False)
    for number, one in enumerate(decisions):
        band, column = divmod(number, abreast)
        top, bottom = panels[2 * band : 2 * band + 2, column]
        name = wrapped(words.models[one.model], PLANE, TITLE_SIZE)
        if is_binary:
            _draw_decisions(top, plane, one.logits)
            _draw_votes(bottom, plane, one.share)
        else:
            _draw_regions(top, plane, one.logits, styles)
            _draw_winners(bottom, plane, one, styles)
        rows = np.arange(len(one.y))
        _scatter(top, one.x, one.y, rows, styles, None, size=18, alpha=1.0, edge="white")
        top.set_title(f"{name}\nmedian seed ({one.seed}), test accuracy {one.accuracy:.1f} %")
        diverged = f", {one.diverged} diverged" if one.diverged else ""
        bottom.set_title(f"{name}\nvotes of {one.votes} seeds{diverged}")
        for axes in (top, bottom):
            _dress_plane(axes, picture.reach, words.labels, picture.is_table)
            axes.set(xlim=(plane[0].min(), plane[0].max()), ylim=(plane[1].min(), plane[1].max()))
            axes.label_outer()
        if number + abreast >= len(decisions):  # nothing stands below it
            bottom.tick_params("x", labelbottom=True)
            bottom.set_xlabel(words.labels[0])
    lowest, colors, voted_for = 1 / len(classes), AGREEMENT_COLORS, "the class with most votes"
    if is_binary:
        lowest, colors, voted_for = 0, SHARE_COLORS, classes[1]
    figure.colorbar(
        ScalarMappable(Normalize(lowest, 1), colors), ax=panels, location="bottom",
        shrink=0.6, aspect=40, fraction=0.15 if bands == 1 else 0.05, pad=0.05 / bands,
        label=f"votes: share of seeds that predict {voted_for}",
    )  # fmt: skip
    if has_names:
        handles = _class_handles(classes, styles)
        columns = _columns(handles, figure.get_figwidth())
        figure.legend(handles=handles, loc="outside lower center", frameon=False, ncols=columns)
    missing = "; those that lack a value are left out" if picture.has_missing else ""
    title = f"Decision boundaries on {words.dataset}\ndots: the seed's test samples{missing}"
    figure.suptitle(wrapped(title, figure.get_figwidth(), TITLE_SIZE))
    return figure


@lettered
def confusion_figure(picture: ConfusionPicture, words: Words) -> Figure:
    """What each model takes the test samples of each class for: mean shares over seeds."""
    n_models, n_classes, _ = picture.shares.shape
    across, down, side = _panels(n_models, n_classes)
    has_names = n_classes <= NAMED_CLASSES
    has_nothing = bool(np.nansum(picture.nothing) > 0)
    columns = [*words.classes, *(["(nothing)"] if has_nothing else [])]
    cell = side / len(columns)
    fontsize = _font_size(cell)
    longest = _longest(columns, fontsize)
    is_upright = longest > 0.95 * cell
    below = (longest if is_upright else 0.2) if has_names else 0.3
    if is_upright and has_names and n_models % across and down > 1:
        below *= 2  # a panel that nothing stands below has names, too
    titles = [wrapped(name, side + 0.15, TITLE_SIZE) for name in words.models]
    above = 0.35 + 0.2 * max(title.count("\n") for title in titles)
    width = 1.3 + longest + (side + 0.2) * across
    lacking = "\ngrey: no seed tests samples of it" if np.isnan(picture.shares).any() else ""
    title = f"Confusions on {words.dataset}\nmeans over {picture.n_seeds} seeds{lacking}"
    lines = wrapped(title, width, TITLE_SIZE)
    height = 1.1 + below + (side + above) * down
    # Beyond what short names have room for anyway.
    height += 0.2 * (lines.count("\n") - title.count("\n")) + 0.3 * (longest > 2)
    figure = Figure(figsize=(width, height), layout="constrained")
    if longest > 2:  # matplotlib misses how far down such names reach by a little
        low = 0.2 / height
        figure.set_layout_engine("constrained", rect=(0, low, 1, 1 - low))
    panels = figure.subplots(down, across, squeeze=False)
    scale = PowerNorm(0.5, 0, 100)
    for number, axes in enumerate(panels.flat):
        if number >= n_models:
            axes.set_visible(False)
            continue
        shares = 100 * picture.shares[number]
        if has_nothing:
            shares = np.concatenate([shares, 100 * picture.nothing[number][:, None]], 1)
            axes.axvline(n_classes - 0.5, color="black", linewidth=1)
        axes.imshow(
            shares, cmap=CONFUSION_COLORS, norm=scale, aspect="equal", interpolation="nearest"
        )
        if n_classes <= CELLS_WITH_NUMBERS:
            _write_cells(axes, shares, scale, fontsize)
        axes.set_title(titles[number])
        if has_names:
            rotation = 90 if is_upright else 0
            axes.set_xticks(range(len(columns)), columns, fontsize=fontsize, rotation=rotation)
            axes.set_yticks(range(n_classes), words.classes, fontsize=fontsize)
            axes.tick_params(length=0)
        is_lowest, is_first = number + across >= n_models, number % across == 0
        axes.tick_params("x", labelbottom=is_lowest)
        axes.tick_params("y", labelleft=is_first)
        axes.set_xlabel("predicted class" if is_lowest else "")
        axes.set_ylabel("true class" if is_first else "")
    bar = figure.colorbar(
        ScalarMappable(scale, CONFUSION_COLORS), ax=panels, location="right", aspect=30,
        label="share of the test samples of the true class (%)", ticks=PERCENT_TICKS,
    )  # fmt: skip
    bar.ax.set_yticklabels(map(str, PERCENT_TICKS))
    figure.suptitle(lines)
    return figure


def _selection(picture: DataPicture) -> str:
    """What of the samples is drawn, where that is not all of them; lines of a title."""
    lines = []
    if picture.is_projected:
        lines.append(f"the first 2 principal components of {picture.n_features} features")
    complete = picture.n_train + picture.n_test - picture.n_missing
    n_drawn = len(picture.train) + len(picture.test)
    drawn = [f"{n_drawn} of {complete} samples drawn"] if n_drawn < complete else []
    if picture.n_missing:
        drawn.append(f"{picture.n_missing} that lack a value left out")
    return "".join(f"\n{line}" for line in [*lines, ", ".join(drawn)] if line)


def _scatter(
    axes: Axes, x: ndarray, y: ndarray, rows: ndarray, styles: Sequence[Look], marker: str | None,
    *, size: float, alpha: float, edge: str, labels: Sequence[str] | None = None,
) -> None:  # fmt: skip
    """Samples in the looks of their classes, those that are told apart above the others."""
    for number in sorted(range(len(styles)), key=lambda number: styles[number].is_shown):
        look = styles[number]
        chosen = rows[y[rows] == number]
        axes.scatter(
            x[chosen, 0], x[chosen, 1], s=size, marker=marker or look.marker, color=look.color,
            alpha=alpha, edgecolors=edge, linewidths=0.6, label=labels and labels[number],
        )  # fmt: skip


def _class_handles(
    names: Sequence[str], styles: Sequence[Look], is_of_parts: bool = False
) -> list[Line2D]:
    """What a legend shows: classes that are told apart, how many others, and the two parts."""

    def handle(label: str, color: str, marker: str, **more) -> Line2D:
        return Line2D([], [], color=color, marker=marker, linestyle="", label=label, **more)

    handles = [
        handle(in_legend(name), look.color, look.marker)
        for name, look in zip(names, styles, strict=True)
        if look.is_shown
    ]
    if others := len(names) - len(handles):
        handles.append(handle(f"and {others} more", OTHERS_COLOR, "o"))
    if is_of_parts:
        marker = "^" if len(names) <= len(CLASS_COLORS) else "o"
        handles.append(handle("train", "0.6", "o", markeredgecolor="none", markersize=5))
        handles.append(handle("test", "0.6", marker, markeredgecolor="black", markersize=7))
    return handles


def _columns(handles: Sequence[Artist], inches: float) -> int:
    """How many of them a legend as wide as this has room for side by side."""
    names = [str(handle.get_label()) for handle in handles]
    labels = [f"{name}{HANDLE_LETTERS * ' '}" for name in names]
    letters = int(SIDE_LETTERS * inches / 7.2)
    is_row = sum(map(len, labels)) <= letters
    most = len(labels) if is_row else columns_of(labels, widest=7, letters=letters)
    return legend_columns(names, most, inches)


def _draw_decisions(axes: Axes, plane: ndarray, logits: ndarray) -> None:
    bounded = np.clip(logits, -1e6, 1e6)
    if np.isnan(bounded).all():
        _say_diverged(axes)
        return
    axes.contourf(*plane, bounded, levels=[-2e6, 0.0, 2e6], colors=CLASS_COLORS[:2], alpha=0.35)
    if np.nanmin(bounded) < 0 < np.nanmax(bounded):
        axes.contour(*plane, bounded, levels=[0.0], colors="black", linewidths=1.2)


def _draw_regions(axes: Axes, plane: ndarray, logits: ndarray, styles: Sequence[Look]) -> None:
    """Where each class has the largest logit; where one is not a number, no class has."""
    is_nothing = np.logical_or.reduce(np.isnan(logits))
    if is_nothing.all():
        _say_diverged(axes)
        return
    bounded = np.where(is_nothing, 0.0, np.clip(logits, -1e6, 1e6))
    chosen = bounded.argmax(0)
    first = bounded.max(0)
    second = np.sort(bounded, 0)[-2]
    # Below the smooth regions, so that no gap shows where three of them meet.
    colors = np.array([pale(look.color, 0.35) for look in styles])
    picture = np.where(is_nothing[..., None], 1.0, colors[chosen])
    _show(axes, plane, picture, "nearest")
    for number in np.unique(chosen[~is_nothing]).tolist():
        ahead = bounded[number] - np.where(chosen == number, second, first)
        ahead = np.where(is_nothing, np.nan, ahead)
        axes.contourf(
            *plane, ahead, levels=[0.0, 4e6], colors=[colors[number]],
            hatches=[styles[number].hatch],
        )  # fmt: skip
        if np.nanmin(ahead) < 0:
            axes.contour(*plane, ahead, levels=[0.0], colors="black", linewidths=0.8)


def _draw_votes(axes: Axes, plane: ndarray, share: ndarray) -> None:
    if not share.size:
        return
    across, up = plane
    axes.imshow(
        share, origin="lower", extent=(across.min(), across.max(), up.min(), up.max()),
        cmap=SHARE_COLORS, vmin=0, vmax=1, aspect="equal", interpolation="bilinear",
    )  # fmt: skip


def _draw_winners(
    axes: Axes, plane: ndarray, decisions: ModelDecisions, styles: Sequence[Look]
) -> None:
    """The class with most votes, the paler the fewer there are."""
    if not decisions.share.size:
        return
    lowest = 1 / len(styles)
    strength = np.clip((decisions.share - lowest) / (1 - lowest), 0, 1)[..., None]
    colors = np.array([pale(look.color, 1) for look in styles])[decisions.winner]
    _show(axes, plane, 1 - strength * (1 - colors), "bilinear")
    for number in np.unique(decisions.winner):
        if styles[number].hatch:
            axes.contourf(
                *plane, decisions.winner == number, levels=[0.5, 1.5], colors="none",
                hatches=[styles[number].hatch],
            )  # fmt: skip


def _show(axes: Axes, plane: ndarray, colors: ndarray, interpolation: str) -> None:
    across, up = plane
    axes.imshow(
        colors, origin="lower", extent=(across.min(), across.max(), up.min(), up.max()),
        aspect="equal", interpolation=interpolation,
    )  # fmt: skip


def _say_diverged(axes: Axes) -> None:
    axes.text(0.5, 0.5, "diverged: it predicts nothing", transform=axes.transAxes, ha="center")


def _dress_plane(axes: Axes, reach: ndarray, labels: Sequence[str], is_table: bool) -> None:
    """Labels, and the same scale along both axes where both features are of one order.

    Columns of a table have units of their own, which nothing compares.
    """
    across, up = reach
    alike = not is_table and max(across, up) <= 5 * min(across, up)
    axes.set(xlabel=labels[0], ylabel=labels[1], aspect="equal" if alike else "auto")
    axes.spines[["top", "right"]].set_visible(False)


def _panels(n_models: int, n_classes: int) -> tuple[int, int, float]:
    """How many matrices stand side by side and below each other, and how wide one is, in inches."""
    across = max(min(n_models, 3 if n_classes <= 5 else 2), math.isqrt(n_models))
    has_numbers = n_classes <= CELLS_WITH_NUMBERS
    side = max(3.2, 0.55 * n_classes) if has_numbers else max(5.5, 0.095 * n_classes)
    return across, math.ceil(n_models / across), min(side, 9.5, 40 / across)


def _longest(names: Sequence[str], size: float) -> float:
    """How long the longest name is, in inches, by its letters; as measured where those are wide."""
    longest = max(names, key=len)
    by_letters = 0.0085 * size * len(longest)
    measured = max(inches_of(name, size) for name in names)
    return measured if measured > 1.25 * by_letters else by_letters


def _write_cells(axes: Axes, percents: ndarray, scale: Normalize, fontsize: float) -> None:
    for (row, column), percent in np.ndenumerate(percents):
        if not np.isnan(percent):
            color = "white" if scale(percent) > 0.6 else "black"
            axes.text(
                column, row, _percent(percent), color=color, fontsize=fontsize, ha="center",
                va="center",
            )  # fmt: skip


def _percent(value: float) -> str:
    """With a digit after the point where it is neither none nor all.

    Example:
        >>> [_percent(value) for value in (0.0, 0.01, 12.34, 99.99, 100.0)]
        ['0', '<0.1', '12.3', '>99.9', '100']
    """
    if value in (0.0, 100.0):
        return f"{value:.0f}"
    if value < 0.05:
        return "<0.1"
    return ">99.9" if value >= 99.95 else f"{value:.1f}"


def _font_size(inches: float) -> float:
    """Of names a line each, so many inches apart."""
    return min(10.0, 0.75 * 72 * inches)
