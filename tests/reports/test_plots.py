import dataclasses
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.font_manager import fontManager

from functional_clf import Study, circles, mlp_recipe
from functional_clf.data.dataset import Dataset
from functional_clf.reports import drawing, gathering, plots, signature
from functional_clf.reports.lettering import drawable, fonts_for

FILES = {"data.png", "curves.png", "accuracies.png", "boundaries.png"}
"""Of data that are no table."""


def own(n_features, scale=1.0):
    def draw(seed):
        x = np.random.default_rng(seed).normal(size=(60, n_features))
        return x * [scale, *np.ones(n_features - 1)], (x[:, -1] > 0).astype(int)

    return Dataset("own", 60, draw)


def study(dataset, names=("base", "new"), seeds=3):
    n_features = dataset.draw(0)[0].shape[1]
    recipes = [mlp_recipe(name, (n_features, 4, 1), "relu", "sgd", 0.1, epochs=6) for name in names]
    return Study(dataset, recipes, seeds=seeds, engine="eager").run()


def named(dataset, names):
    """A study of models of these names, as no check of names would let pass."""
    results = study(dataset)
    for recipe, name in zip(results.study.recipes, names, strict=True):
        for one in (results.curves, results.params):
            one[name] = one.pop(recipe.name)
        table = results.seeds.with_columns(model=results.seeds["model"].replace(recipe.name, name))
        object.__setattr__(results, "_table", table)
        object.__setattr__(recipe, "name", name)
    return results


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("n_features", [1, 2, 3, 5])
def test_data_of_any_number_of_features_are_drawn(n_features, tmp_path, caplog):
    results = study(own(n_features))
    written = {path.name for path in plots.write_plots(results, tmp_path / "plots")}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == written
    skipped = [] if n_features == 2 else ["boundaries.png"]
    assert written == FILES - set(skipped)
    assert [record.getMessage() for record in caplog.records] == [
        f"{name} is not drawn: the data have {n_features} features, and a plane has 2"
        for name in skipped
    ]
    axes = plots.data_figure(results).axes[0]
    labels = {1: ("feature 0, the only one", "class"), 2: ("feature 0", "feature 1")}
    if n_features <= 2:
        assert (axes.get_xlabel(), axes.get_ylabel()) == labels[n_features]
    projected = f"the first 2 principal components of {n_features} features"
    assert (projected in axes.get_title()) == (n_features > 2)
    drawn = [points for points in axes.collections if len(points.get_offsets())]
    assert sum(len(points.get_offsets()) for points in drawn) == 60
    x, y = results.study.dataset.sample(0)
    across = np.concatenate([points.get_offsets()[:, 0] for points in drawn])
    if n_features <= 2:
        assert sorted(across) == sorted(x[:, 0])
    if n_features == 1:
        up = np.concatenate([points.get_offsets()[:, 1] for points in drawn])
        assert sorted(up.round()) == sorted(y)


def test_features_of_different_scales_fill_the_picture():
    assert plots.data_figure(study(own(2))).axes[0].get_aspect() == 1
    assert plots.data_figure(study(own(2, scale=1e4))).axes[0].get_aspect() == "auto"


def test_models_that_diverge_are_drawn_as_such(tmp_path):
    results = study(circles(60))
    for model, seeds in (("base", [0, 1, 2]), ("new", [1])):
        for value in results.params[model][1].values():
            value[seeds] = np.nan
    assert len(plots.write_plots(results, tmp_path / "plots")) == len(FILES)
    top, _, bottom, other, *_ = plots.boundaries_figure(results).axes
    assert [text.get_text() for text in top.texts] == ["diverged: it predicts nothing"]
    assert bottom.get_title() == "base\nvotes of 0 seeds, 3 diverged"
    assert not bottom.images
    assert other.get_title() == "new\nvotes of 2 seeds, 1 diverged"


@pytest.mark.parametrize("error", [RuntimeError("no\nfont"), OSError()])
def test_a_picture_that_fails_costs_no_other_and_leaves_none_of_before(
    error, tmp_path, monkeypatch, caplog
):
    def fail(picture):
        raise error

    results = study(circles(60))
    plots.write_plots(results, tmp_path / "plots")
    monkeypatch.setattr(drawing, "curves_figure", fail)
    written = {path.name for path in plots.write_plots(results, tmp_path / "plots")}
    assert written == FILES - {"curves.png"}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == written
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("curves.png is not drawn: ")
    assert line.endswith(" ".join(str(error).split()) or "OSError")


def test_where_matplotlib_cannot_be_had_one_line_says_so(tmp_path, monkeypatch, caplog):
    results = study(own(3))
    plots.write_plots(results, tmp_path / "plots")
    caplog.clear()
    monkeypatch.setitem(sys.modules, "functional_clf.reports.drawing", None)
    assert plots.write_plots(results, tmp_path / "plots") == []
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("no pictures are drawn: matplotlib fails (")
    assert not list((tmp_path / "plots").iterdir())


def test_pictures_of_the_same_results_are_left_as_they_are(tmp_path, monkeypatch, caplog):
    results, folder = study(own(3)), tmp_path / "plots"
    of = plots.content_of(results)
    written = plots.write_plots(results, folder, of)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["boundaries.png is not drawn: the data have 3 features, and a plane has 2"]
    assert [path.name for path in written] == ["data.png", "curves.png", "accuracies.png"]
    before = {path: path.stat().st_ino for path in written}
    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "functional_clf.reports.drawing", None)
        assert plots.write_plots(results, folder, of) == written
    assert [record.getMessage() for record in caplog.records] == said
    assert {path: path.stat().st_ino for path in written} == before

    written[1].unlink()
    assert not signature.up_to_date(folder, of)
    assert plots.write_plots(results, folder, of) == written
    assert signature.up_to_date(folder, of)
    assert all(path.stat().st_ino != before[path] for path in written)
    other = plots.content_of(study(own(3, scale=2.0)))
    assert other != of
    assert not signature.up_to_date(folder, other)
    # Nobody says of what results these are.
    plots.write_plots(results, folder)
    assert not signature.up_to_date(folder, of)


def test_a_picture_that_failed_is_tried_again(tmp_path, monkeypatch):
    def fail(picture):
        raise MemoryError

    results, folder = study(circles(60)), tmp_path / "plots"
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "curves_figure", fail)
        assert len(plots.write_plots(results, folder, "these")) == 3
    assert not signature.up_to_date(folder, "these")
    with monkeypatch.context() as patch:
        patch.setitem(gathering.GATHER, "data", fail)
        assert len(plots.write_plots(results, folder, "these")) == 3
    assert not signature.up_to_date(folder, "these")
    assert len(plots.write_plots(results, folder, "these")) == 4
    assert signature.up_to_date(folder, "these")


def test_whatever_a_picture_shows_is_in_the_digest_of_the_results():
    results = study(circles(60))
    digests = {plots.content_of(results)}
    fewer = {model: (seeds[:2], params) for model, (seeds, params) in results.params.items()}
    digests.add(plots.content_of(dataclasses.replace(results, params=fewer)))
    next(iter(results.params["new"][1].values()))[0] += 1
    digests.add(plots.content_of(results))
    results.curves["base"]["test_loss"].median[0] += 1
    digests.add(plots.content_of(results))
    table = results.seeds.with_columns(test_correct=results.seeds["test_correct"] - 1)
    digests.add(plots.content_of(dataclasses.replace(results, _table=table)))
    assert len(digests) == 5


NAMES = [
    ("_base", r"$\foo$"),
    ("模型一", "b\u202e\x1b\n😀\u0301"),
    ("__$" + "m" * 60 + "$1", "__$" + "m" * 60 + "$2"),
]


@pytest.mark.parametrize("names", NAMES, ids=ascii)
def test_any_name_is_drawn_letter_by_letter(names, tmp_path):
    dataset = circles(60)
    object.__setattr__(dataset, "name", f"{names[1]} $x$ {names[0]}")
    results = named(dataset, names)
    assert len(plots.write_plots(results, tmp_path / "plots")) == len(FILES)
    shown = legend(plots.curves_figure(results))
    assert len(shown) == len(set(shown)) == 4
    assert not any(matplotlib.cbook.is_math_text(text) for text in shown)
    if names[0] == "_base":
        assert shown == [" _base, train", " _base, test", "\\$\\foo\\$, train", "\\$\\foo\\$, test"]


def test_each_of_many_models_is_drawn_and_told_apart():
    results = study(circles(60), [f"model number {i}" for i in range(12)])
    figure = plots.curves_figure(results)
    lines = figure.axes[0].lines
    assert len({(one.get_color(), one.get_marker(), one.get_linestyle()) for one in lines}) == 24
    assert len(legend(figure)) == 24
    pairs, gaps = plots.accuracies_figure(results).axes
    last = [tick.get_text() for tick in pairs.get_xticklabels()][-1].split()
    assert last[:4] == ["model", "number", "11", "mean"]
    assert len(pairs.collections) == 12
    assert len(gaps.patches) == 11


def test_equal_differences_fall_into_one_bin():
    """In floating point 60 % - 50 % and 80 % - 70 % differ, and split into countless bins."""
    results = study(circles(50), seeds=2)
    counts = np.array([5, 7, 6, 8])
    table = results.seeds.with_columns(test_correct=counts)
    object.__setattr__(results, "_table", table)
    gaps = plots.accuracies_figure(results).axes[1]
    assert [bar.get_height() for bar in gaps.patches] == [2]


def test_a_users_settings_of_matplotlib_do_not_reach_the_pictures(tmp_path):
    results = study(circles(60))
    with matplotlib.rc_context({"text.usetex": True, "font.family": "cmex10"}):
        assert len(plots.write_plots(results, tmp_path / "plots")) == len(FILES)


def test_letters_come_from_a_font_that_has_them_or_are_escaped(tmp_path):
    assert fonts_for("模型") == ["DejaVu Sans"]
    assert drawable("模型", fonts_for("模型")) == r"\u6a21\u578b"
    path = tmp_path / "small.ttf"
    make_font(path, "模")
    before = list(fontManager.ttflist)
    fontManager.addfont(path)
    try:
        families = fonts_for("模型")
        assert families == ["DejaVu Sans", "Small"]
        assert drawable("模型", families) == r"模\u578b"
        results = named(circles(60), ["模", "型"])
        figure = plots.curves_figure(results)
        figure.savefig(tmp_path / "curves.png")  # a letter without a glyph would warn
        assert legend(figure)[0] == "模, train"
    finally:
        fontManager.ttflist = before


def make_font(path, letters):
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((500, 0), (500, 500), (0, 500)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    names = [".notdef", *(f"uni{ord(letter):04X}" for letter in letters)]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(one): name for one, name in zip(letters, names[1:], strict=True)})
    font.setupGlyf(dict.fromkeys(names, square))
    font.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Small", "styleName": "Regular"})
    font.setupOS2(usWeightClass=400)
    font.setupPost()
    font.save(path)
