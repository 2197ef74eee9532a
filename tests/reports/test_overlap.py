"""Names of any length and number overlap nothing, and nothing leaves the picture."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from functional_clf.reports import drawing
from functional_clf.reports.fitting import inches_of, legend_columns, wrapped
from functional_clf.reports.palette import style_of
from functional_clf.reports.pictures import (
    AccuraciesPicture,
    BoundariesPicture,
    ClassesPicture,
    ConfusionPicture,
    CurvesPicture,
    DataPicture,
    ModelCurves,
    ModelDecisions,
)

DATASET = "W" * 80
EVERY_NUMBER = range(1, 9)
NAMES = {
    "short": lambda number: f"model {number}",
    "long": lambda number: f"a network of {number} layers, whose name goes on and on, no. {number}",
    "wide": lambda number: f"{'W' * 78}{number:02d}",
    "formulas": lambda number: f"{'$' * 79}{number}",
}


def names(kind, count):
    return tuple(NAMES[kind](number) for number in range(count))


def curves(models):
    epochs, low = np.arange(0, 50, 5), np.geomspace(1, 0.1, 10)
    band = np.stack([low, 1.1 * low, 1.2 * low])
    one = ModelCurves(epochs, band, 1.1 * band, 100 - 50 * band[::-1], 98 - 50 * band[::-1])
    return CurvesPicture(DATASET, models, 64, "binary cross-entropy", (one,) * len(models))


def accuracies(models):
    rates = np.linspace(0.98, 0.9, len(models))[:, None]
    correct = np.random.default_rng(0).binomial(200, rates, (len(models), 64))
    return AccuraciesPicture(DATASET, models, correct, 200)


def confusions(models, n_classes=3):
    shares = np.full((len(models), n_classes, n_classes), 1 / n_classes)
    classes, nothing = models[:n_classes], np.zeros((len(models), n_classes))
    classes += tuple("xyz"[: n_classes - len(classes)])
    return ConfusionPicture(DATASET, models, 30, classes, shares, nothing)


def boundaries(models, n_classes=2):
    plane = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)))
    x = np.random.default_rng(0).uniform(-1, 1, (6, 2))
    logits, winner = plane[0], np.zeros(0)
    if n_classes > 2:
        logits = np.stack([plane[0], plane[1], -plane[0]])
        winner = logits.argmax(0)
    share = np.full(plane[0].shape, 0.7)
    decisions = tuple(
        ModelDecisions(i, 7, 97.5, x, np.arange(6) % 2, logits, 64, 3, winner, share)
        for i in range(len(models))
    )
    classes = ("0", "1") if n_classes == 2 else tuple(NAMES["wide"](i) for i in range(3))
    shown = tuple(range(n_classes))
    return BoundariesPicture(
        DATASET, models, classes, shown, False, ("feature 0", "feature 1"), False,
        np.array([2.0, 2.0]), plane, decisions,
    )  # fmt: skip


def samples(classes):
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % len(classes)
    rows = np.arange(60)
    shown = tuple(range(len(classes)))
    return DataPicture(
        DATASET, ("a",), 0, classes, shown, False, ("feature 0", "feature 1"), 2, False, x, y,
        rows[:40], rows[40:], 40, 20, 0,
    )  # fmt: skip


def balance(classes):
    return ClassesPicture(DATASET, ("a",), 0, classes, np.full((2, len(classes)), 30))


def texts_of(figure):
    """Every text that is drawn, with its box in inches."""
    figure.set_dpi(50)
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    renderer, found = figure.canvas.get_renderer(), []
    beyond = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    for text in set(figure.findobj(Text)) - beyond:
        box = text.get_window_extent(renderer)
        axes = text.axes
        is_drawn = text.get_visible() and text.get_text().strip()
        if not is_drawn or (axes is not None and not axes.get_visible()):
            continue
        found.append((text.get_text(), box.extents / 50))
    return found


def overlap(one, other, slack=0.03):
    """Whether two boxes overlap by more than what is left of a letter's own room."""
    return bool((np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]) > slack).all())


def check(picture):
    figure = drawing.figure_of(picture)
    found = texts_of(figure)
    for (said, box), (other, other_box) in itertools.combinations(found, 2):
        assert not overlap(box, other_box), (said, other)
    width, height = figure.get_size_inches()
    for said, (left, low, right, high) in found:
        inside = left > -0.05 and low > -0.05 and right < width + 0.05 and high < height + 0.05
        assert inside, (said, (left, low, right, high), (width, height))
    return found


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("count", EVERY_NUMBER)
def test_names_of_models_overlap_nothing_in_curves_and_accuracies(count, kind):
    models = names(kind, count)
    labels = [said for said, _ in check(curves(models))]
    assert sum(said.endswith((", train", ", test")) for said in labels) == 2 * count
    said = " ".join(said for said, _ in check(accuracies(models)))
    means = 100 * accuracies(models).correct.mean(1) / 200
    assert all(f"mean {mean:.1f}" in said for mean in means)


@pytest.mark.parametrize("kind", ["short", "wide"])
@pytest.mark.parametrize("count", EVERY_NUMBER)
def test_names_of_models_overlap_nothing_in_confusions(count, kind):
    check(confusions(names(kind, count)))


@pytest.mark.parametrize("kind", ["short", "wide"])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_names_of_models_overlap_nothing_beside_boundaries(count, kind):
    check(boundaries(names(kind, count), n_classes=2 if kind == "short" else 3))


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("count", [2, 3, 8])
def test_names_of_classes_overlap_nothing(count, kind):
    check(samples(names(kind, count)))
    check(balance(names(kind, count)))


def test_means_of_several_models_are_told_where_no_point_is():
    for count in range(3, 9):
        figure = drawing.figure_of(accuracies(names("short", count)))
        pairs, gaps = figure.axes
        assert not pairs.texts
        ticks = [tick.get_text() for tick in pairs.get_xticklabels()]
        assert all("\nmean " in tick for tick in ticks)
        assert len(gaps.texts) == count - 1


def test_eight_models_have_colours_of_their_own():
    assert len({style_of(number).color for number in range(8)}) == 8
    assert len({style_of(number) for number in range(40)}) == 40


def test_differences_of_several_models_are_rows_that_share_their_bins():
    picture = accuracies(names("short", 4))
    gaps = drawing.figure_of(picture).axes[1]
    rows = [patch.get_data() for patch in gaps.patches]
    assert len(rows) == 3
    for number, (values, edges, floor) in enumerate(rows, start=1):
        np.testing.assert_array_equal(edges, rows[0].edges)
        assert floor == 3 - number
        heights = values - floor
        assert 0 <= heights.min() <= heights.max() < 0.7
        counts = np.histogram((picture.correct[number] - picture.correct[0]) / 2, edges)[0]
        np.testing.assert_allclose(heights / heights.sum(), counts / 64)


def test_rows_of_differences_that_are_all_equal_or_far_apart_are_drawn():
    correct = np.array([[5] * 4, [5] * 4, [9] * 4])
    gaps = drawing.figure_of(AccuraciesPicture("d", ("a", "b", "c"), correct, 10)).axes[1]
    assert [patch.get_data().values.max() for patch in gaps.patches] == [1.62, 0.62]
    correct = np.array([[0] * 9, [0] * 8 + [10**7], [3] * 9])
    gaps = drawing.figure_of(AccuraciesPicture("d", ("a", "b", "c"), correct, 10**7)).axes[1]
    assert len(gaps.patches[0].get_data().values) <= drawing.MOST_BINS + 1


def test_one_model_has_no_differences():
    figure = drawing.figure_of(accuracies(("alone",)))
    assert [axes.get_title() for axes in figure.axes] == ["One point a seed"]


@pytest.mark.parametrize("text", ["W" * 40, "two words of it", r"\$" * 30, "e\u0301" * 30])
def test_lines_are_as_wide_as_asked_and_lose_no_letter(text):
    lines = wrapped(text, 0.8, 10).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(inches_of(line, 10) <= 0.8 for line in lines)
    assert not any(line.startswith(("$", "\u0301")) for line in lines)


def test_a_place_too_narrow_for_a_letter_has_one_a_line():
    assert wrapped("WWW", 0.01, 10) == "W\nW\nW"


def test_a_legend_has_a_column_at_least():
    assert legend_columns(["W" * 200], 4, 1.0) == 1
    assert legend_columns(["a", "b"], 1, 100.0) == 1
