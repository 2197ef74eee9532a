"""Pictures of several classes, of tables and of many features."""

import dataclasses
import types

import matplotlib
import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split

from functional_clf import Study, mlp_recipe
from functional_clf.data.dataset import Dataset, Parts, Sample
from functional_clf.data.splits import Split
from functional_clf.reports import decisions, gathering, palette, plots, signature
from functional_clf.reports.class_drawing import classes_figure, confusion_figure, data_figure
from functional_clf.reports.outputs import plot_files
from functional_clf.reports.pictures import (
    ClassesPicture,
    Commission,
    ConfusionPicture,
    packed,
    unpacked,
)

FLOWERS, CANCER = load_iris(), load_breast_cancer()
TABLE = ["data", "classes", "curves", "accuracies", "confusion"]


@dataclasses.dataclass(frozen=True, eq=False)
class Stand(Dataset):
    """A table: its rows are standardised by the training part, and may lack values."""

    names: tuple = ()
    columns: tuple = ()
    is_table = True

    @property
    def is_plane(self):
        return len(self.columns) == 2

    @property
    def class_names(self):
        return self.names

    @property
    def feature_names(self):
        return self.columns

    @property
    def prepared_names(self):
        return self.columns

    @property
    def n_features(self):
        return len(self.columns)

    def sample(self, seed):
        return Sample(*(np.asarray(part, np.float32) for part in self.draw(seed)))

    def split(self, test_size, seed):
        labels = self.sample(0).y
        rows = np.arange(self.n_samples)
        n_test = self.sizes(test_size)[1]
        return Split(*train_test_split(rows, test_size=n_test, random_state=seed, stratify=labels))

    def prepared(self, drawn, rows):
        return Parts(*(Sample(self.prepared_points(drawn.x[i], rows), drawn.y[i]) for i in rows))

    def prepared_points(self, points, rows):
        x = self.sample(0).x[rows.train]
        return np.nan_to_num((points - np.nanmean(x, 0)) / np.nanstd(x, 0)).astype(np.float32)


def table(x, y, names, columns):
    names, columns = tuple(map(str, names)), tuple(map(str, columns))
    return Stand(
        "table", len(x), lambda seed: (x, y), is_fixed=True, n_classes=len(names), names=names,
        columns=columns,
    )  # fmt: skip


def iris(columns=slice(None)):
    names = FLOWERS.feature_names[columns]
    return table(FLOWERS.data[:, columns], FLOWERS.target, FLOWERS.target_names, names)


def blobs(n_classes, n_samples=120):
    def draw(seed):
        centers = 3 * np.random.default_rng(9).normal(size=(n_classes, 2))
        return make_blobs(n_samples, centers=centers, cluster_std=0.3, random_state=seed)[:2]

    return Dataset("blobs", n_samples, draw, n_classes=n_classes)


def predictions(results, recipe, place):
    """True and predicted classes of one seed's test samples."""
    study = results.study
    one = study.replicate(study.seeds[place])
    rows = study.dataset.split(study.test_size, one.split_seed)
    x, y = study.dataset.prepared(study.dataset.sample(one.data_seed), rows).test
    params = {key: torch.from_numpy(v[place]) for key, v in results.params[recipe.name][1].items()}
    logits = recipe.model.apply(params, torch.from_numpy(x)).numpy()
    return y, (logits > 0) if logits.ndim == 1 else logits.argmax(1)


def run(dataset, seeds=3, epochs=30, names=("linear", "hidden"), **changes):
    n_in, n_out = dataset.n_features, dataset.n_classes if dataset.n_classes > 2 else 1
    sizes = [(n_in, n_out), *[(n_in, 8, n_out)] * (len(names) - 1)]
    recipes = [
        mlp_recipe(name, one, "relu", "adam", 0.05, epochs=epochs)
        for name, one in zip(names, sizes, strict=True)
    ]
    results = Study(dataset, recipes, seeds=seeds, engine="eager", **changes).run()
    labels = range(dataset.n_classes)

    def confusions(model):
        recipe = next(one for one in recipes if one.name == model)
        found = (predictions(results, recipe, place) for place in range(len(results.study.seeds)))
        return np.stack([confusion_matrix(*one, labels=labels) for one in found])

    object.__setattr__(results, "confusions", confusions)
    return results


@pytest.fixture(scope="module")
def of_iris():
    return run(iris())


@pytest.fixture(scope="module")
def of_two_columns():
    return run(iris(slice(2, 4)))


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def drawn(axes):
    return np.concatenate([one.get_offsets() for one in axes.collections])


def stems(paths):
    return [path.stem for path in paths]


def test_which_pictures_there_are_the_data_decide(of_iris, of_two_columns, tmp_path, caplog):
    folder = tmp_path / "plots"
    for results, names in (
        (of_two_columns, stems(plot_files(tmp_path))),
        (of_iris, TABLE),
        (run(blobs(3)), ["data", "curves", "accuracies", "boundaries"]),
        (of_iris, TABLE),
    ):
        of = plots.content_of(results)
        assert not signature.up_to_date(folder, of)
        assert stems(plots.write_plots(results, folder, of)) == names
        assert {path.stem for path in folder.iterdir()} == set(names)
        assert signature.up_to_date(folder, of)
        assert stems(plots.write_plots(results, folder, of)) == names
    (folder / "boundaries.png").touch()  # nobody says of what
    assert not signature.up_to_date(folder, plots.content_of(of_iris))
    plots.write_plots(of_iris, folder)
    assert {path.stem for path in folder.iterdir()} == set(TABLE)
    assert not caplog.records


def test_names_and_confusions_are_in_the_digest_of_the_results():
    found = []
    for names in (("a", "b", "c"), ("a", "b", "d")):
        results = run(table(FLOWERS.data, FLOWERS.target, names, "abcd"), epochs=1)
        found.append(plots.content_of(results))
        counts = results.confusions("linear")
        counts[0, 0] += 1
        object.__setattr__(results, "confusions", lambda model, counts=counts: counts)
        found.append(plots.content_of(results))
    assert len(set(found)) == 4


def test_samples_of_many_features_lie_on_the_components_of_the_training_part(of_iris):
    picture = gathering.data_picture(of_iris)
    dataset, one = of_iris.study.dataset, of_iris.study.replicate(0)
    rows = dataset.split(0.2, one.split_seed)
    parts = dataset.prepared(dataset.sample(one.data_seed), rows)
    reference = PCA(2).fit(parts.train.x.astype(float))
    for part, which in zip(parts, (picture.train, picture.test), strict=True):
        wanted = reference.transform(part.x.astype(float))
        np.testing.assert_allclose(abs(picture.x[which]), abs(wanted), atol=1e-5)
        np.testing.assert_array_equal(picture.y[which], part.y)
    share = 100 * reference.explained_variance_ratio_[0]
    figure = plots.data_figure(of_iris)
    axes = figure.axes[0]
    assert axes.get_xlabel() == f"principal component 1 ({share:.0f} % of the variance)"
    assert "the first 2 principal components of 4 features" in axes.get_title()
    assert legend(figure) == ["setosa", "versicolor", "virginica", "train", "test"]


def test_components_of_data_of_your_own_are_of_what_is_drawn():
    x, y = CANCER.data / CANCER.data.std(0), CANCER.target
    results = run(Dataset("own", len(x), lambda seed: (x, y), is_fixed=True), epochs=1)
    picture = gathering.data_picture(results)
    rows = results.study.dataset.split(0.2, results.study.replicate(0).split_seed)
    wanted = PCA(2).fit(x[rows.train]).transform(x)
    np.testing.assert_allclose(abs(picture.x), abs(wanted), atol=1e-3)
    assert "components of 30 features" in plots.data_figure(results).axes[0].get_title()


def test_two_columns_of_a_table_are_drawn_in_their_units_without_what_is_missing():
    x = CANCER.data[:, :2].copy()
    x[:11, 0] = np.nan
    x[5:14, 1] = np.nan
    results = run(table(x, CANCER.target, CANCER.target_names, ("radius (mm)", "texture $x$")))
    figure = plots.data_figure(results)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("radius (mm)", r"texture \$x\$")
    assert "455 samples to train on, 114 to test\n14 that lack a value left out" in axes.get_title()
    wanted = x[14:].astype(np.float32)
    np.testing.assert_array_equal(np.sort(drawn(axes)[:, 0]), np.sort(wanted[:, 0]))
    names = ["malignant, train", "benign, train", "malignant, test", "benign, test"]
    assert legend(figure) == names
    figure = plots.boundaries_figure(results)
    top, bottom = figure.axes[0], figure.axes[2]
    assert top.get_ylabel() == r"texture \$x\$"
    assert bottom.get_xlabel() == "radius (mm)"
    assert figure.axes[-1].get_xlabel() == "votes: share of seeds that predict benign"
    assert "that lack a value" in figure.get_suptitle()
    assert all(np.isfinite(one.get_offsets()).all() for one in top.collections)


def test_where_no_row_is_whole_there_is_nothing_to_draw_on():
    x = FLOWERS.data[:, :2].copy()
    x[::2, 0], x[1::2, 1] = np.nan, np.nan
    results = run(table(x, FLOWERS.target, FLOWERS.target_names, "ab"), epochs=1)
    with pytest.raises(ValueError, match="every sample lacks one of its two values"):
        plots.boundaries_figure(results)
    assert "150 that lack a value" in plots.data_figure(results).axes[0].get_title()


def test_of_many_samples_a_selection_is_drawn():
    x = np.random.default_rng(0).normal(size=(2500, 3))
    y = (x[:, 0] > 0).astype(int)
    results = run(table(x, y, ("no", "yes"), "abc"), epochs=1, seeds=2)
    axes = plots.data_figure(results).axes[0]
    assert "2000 samples to train on, 500 to test" in axes.get_title()
    assert axes.get_title().endswith("2000 of 2500 samples drawn")
    assert len(drawn(axes)) == len(np.unique(drawn(axes), axis=0)) == 2000
    picture = gathering.data_picture(results)
    assert 350 < len(picture.test) < 450
    again = gathering.data_picture(results)
    np.testing.assert_array_equal(picture.train, again.train)


def test_one_column_of_a_table_has_a_row_a_class():
    axes = plots.data_figure(run(iris(slice(0, 1)), epochs=1)).axes[0]
    assert axes.get_xlabel() == "sepal length (cm), as models are given it"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(FLOWERS.target_names)


def data_of(n_classes, n_samples=600):
    y = np.arange(n_samples) % n_classes
    y[:30] = n_classes - 1  # the last is the largest
    x = np.random.default_rng(0).normal(size=(n_samples, 2))
    dataset = Dataset("many", n_samples, lambda seed: (x, y), is_fixed=True, n_classes=n_classes)
    results = types.SimpleNamespace(study=Study(dataset, seeds=1))
    return gathering.data_picture(results)


@pytest.mark.parametrize("n_classes", [2, 3, 7, 8, 12, 13, 100])
def test_a_colour_is_in_the_legend_or_grey(n_classes):
    picture = data_of(n_classes)
    figure = data_figure(picture)
    shown = min(n_classes, 12)
    names = legend(figure)
    if n_classes == 2:
        assert names == ["class 0, train", "class 1, train", "class 0, test", "class 1, test"]
        return
    assert len(names) == shown + (n_classes > 12) + 2
    assert (f"and {n_classes - 12} more" in names) == (n_classes > 12)
    assert f"class {n_classes - 1}" in names
    handles = figure.legends[0].legend_handles[:shown]
    assert len({(one.get_color(), one.get_marker()) for one in handles}) == shown
    named = {one.get_color() for one in handles}
    (axes,) = figure.axes
    assert sum(len(one.get_offsets()) for one in axes.collections) == 600
    for one in axes.collections:
        color = matplotlib.colors.to_hex(one.get_facecolor()[0]).upper()
        assert color in named | {palette.OTHERS_COLOR}


def test_classes_are_counted_in_either_part():
    y = np.repeat([0, 1, 2], (70, 20, 10))
    x = np.random.default_rng(0).normal(size=(100, 3))
    results = run(table(x, y, ("common", "_rare$", "m" * 90), "abc"), epochs=1)
    picture = gathering.classes_picture(results)
    assert picture.counts.tolist() == [[56, 16, 8], [14, 4, 2]]  # stratified
    figure = plots.classes_figure(results)
    train, test = figure.axes
    assert [text.get_text().strip() for text in train.texts] == [
        "56 (70.0 %)", "16 (20.0 %)", "8 (10.0 %)",
    ]  # fmt: skip
    assert [bar.get_width() for bar in test.patches] == pytest.approx([70, 20, 10])
    assert (train.get_title(), test.get_title()) == ("80 samples to train on", "20 samples to test")
    names = [tick.get_text() for tick in train.get_yticklabels()]
    assert names[:2] == ["common", r"_rare\$"]
    assert len(names[2]) == palette.NAME_CELLS


@pytest.mark.parametrize("n_classes", [2, 10, 100, 300])
@pytest.mark.parametrize("n_models", [1, 2, 5])
def test_any_number_of_classes_and_models_is_drawn(n_classes, n_models, tmp_path):
    names = tuple(f"class of number {i}" for i in range(n_classes))
    counts = np.random.default_rng(0).integers(1, 99, (2, n_classes))
    models = tuple(f"model {i}" for i in range(n_models))
    figure = classes_figure(ClassesPicture("data", models, 0, names, counts))
    shares = np.tile(np.eye(n_classes), (n_models, 1, 1))
    nothing = np.zeros((n_models, n_classes))
    picture = ConfusionPicture("data", models, 3, names, shares, nothing)
    back = unpacked(packed(Commission("confusion", picture))).picture
    np.testing.assert_array_equal(back.shares, shares)
    matrices = confusion_figure(back)
    assert [axes.get_title() for axes in matrices.axes[:n_models]] == list(models)
    for one in (figure, matrices):
        if n_classes <= 10:
            one.savefig(tmp_path / "one.png")
        width, height = one.get_size_inches()
        assert width < 40
        assert height < 40


def test_confusions_are_means_over_seeds_of_shares():
    counts = {
        "sure": np.array([[[3, 1], [0, 6]], [[8, 0], [2, 0]]]),  # the second seed: 8 and 2
        "lost": np.array([[[0, 0], [0, 0]], [[4, 4], [1, 1]]]),  # the first seed diverged
    }
    rows = {1: Split(np.arange(10), np.arange(10, 20)), 4: Split(np.arange(10), np.arange(10))}
    y = np.repeat([0, 1, 0, 1], [8, 2, 4, 6]).astype(np.float32)
    dataset = types.SimpleNamespace(
        n_classes=2, class_names=("no", "yes"), is_table=True,
        sample=lambda seed: Sample(np.zeros((20, 1)), y), split=lambda size, seed: rows[seed],
    )  # fmt: skip
    study = types.SimpleNamespace(
        dataset=dataset, names=["sure", "lost"], seeds=range(2), sizes=(10, 10), test_size=0.5,
        replicate=lambda seed: types.SimpleNamespace(data_seed=0, split_seed=3 * seed + 1),
    )  # fmt: skip
    results = types.SimpleNamespace(study=study, confusions=counts.get)
    picture = gathering.confusion_picture(results)
    assert picture.shares[0].tolist() == [[7 / 8, 1 / 8], [1 / 2, 1 / 2]]
    assert picture.shares[1].tolist() == [[1 / 4, 1 / 4], [1 / 4, 1 / 4]]
    assert picture.nothing.tolist() == [[0, 0], [1 / 2, 1 / 2]]
    figure = confusion_figure(picture)
    first, second = figure.axes[:2]
    assert [text.get_text() for text in first.texts] == ["87.5", "12.5", "0", "50.0", "50.0", "0"]
    assert second.get_xticklabels()[-1].get_text() == "(nothing)"
    assert [text.get_text() for text in second.texts][2] == "50.0"
    # A class that a seed does not test says nothing of it.
    counts["sure"][0] = [[0, 0], [1, 9]]
    assert gathering.confusion_picture(results).shares[0].tolist() == [[1, 0], [0.55, 0.45]]
    counts["sure"][1] = [[0, 0], [10, 0]]
    picture = gathering.confusion_picture(results)
    assert np.isnan(picture.shares[0, 0]).all()
    figure = confusion_figure(picture)
    assert "grey: no seed tests samples of it" in figure.get_suptitle()
    assert len(figure.axes[0].texts) == 3  # a class that is tested


def test_shares_of_confusions_are_those_of_the_results(of_iris):
    picture = gathering.confusion_picture(of_iris)
    np.testing.assert_allclose(picture.shares.sum(2), 1)
    for shares, name in zip(picture.shares, of_iris.study.names, strict=True):  # stratified
        assert np.trace(shares) / 3 == pytest.approx(of_iris.accuracies(name).mean())
    of_drawn = run(blobs(3), epochs=1)
    object.__delattr__(of_drawn, "confusions")  # as it is without the stand-in
    with pytest.raises(ValueError, match="predictions are not scored"):
        plots.confusion_figure(of_drawn)
    assert len(plots.confusion_figure(of_iris).axes[0].texts) == 9


def test_regions_of_several_classes_are_of_the_largest_logit():
    results = run(blobs(3))
    picture = gathering.boundaries_picture(results)
    points = torch.from_numpy(picture.plane.reshape(2, -1).T).float()
    recipe = results.study.recipes[1]
    params = results.params["hidden"][1]
    logits = np.stack(
        [
            recipe.model.apply({k: torch.from_numpy(v[i]) for k, v in params.items()}, points)
            for i in range(3)
        ]
    )
    found = picture.decisions[1]
    assert found.votes == 3
    np.testing.assert_allclose(
        found.logits.reshape(3, -1).T, logits[found.seed], rtol=1e-5, atol=1e-5
    )
    votes = np.stack([(logits.argmax(2) == one).sum(0) for one in range(3)])
    np.testing.assert_allclose(found.share.ravel(), votes.max(0) / 3)
    is_clear = votes.max(0) > 1
    np.testing.assert_array_equal(found.winner.ravel()[is_clear], votes.argmax(0)[is_clear])
    figure = plots.boundaries_figure(results)
    assert legend(figure) == ["class 0", "class 1", "class 2"]
    middle, up = (int(side) for side in np.unravel_index(found.share.argmax(), found.share.shape))
    shown = figure.axes[3].images[0].get_array()[middle, up]
    wanted = matplotlib.colors.to_rgb(palette.CLASS_COLORS[found.winner[middle, up]])
    np.testing.assert_allclose(shown, wanted, atol=1e-6)


def test_seeds_of_several_classes_that_diverge_do_not_vote(tmp_path):
    results = run(blobs(9))
    for model, seeds in (("linear", [0, 1, 2]), ("hidden", [1])):
        for value in results.params[model][1].values():
            value[seeds] = np.nan
    figure = plots.boundaries_figure(results)
    figure.savefig(tmp_path / "one.png")
    top, _, bottom, other, *_ = figure.axes
    assert [text.get_text() for text in top.texts] == ["diverged: it predicts nothing"]
    assert bottom.get_title() == "linear\nvotes of 0 seeds, 3 diverged"
    assert not bottom.images
    assert other.get_title() == "hidden\nvotes of 2 seeds, 1 diverged"


def test_a_plane_of_a_table_is_prepared_by_each_seeds_own_training_part(of_two_columns):
    results = of_two_columns
    study, dataset = results.study, results.study.dataset
    picture = gathering.boundaries_picture(results)
    assert picture.labels == ("petal length (cm)", "petal width (cm)")
    low, high = FLOWERS.data[:, 2:].min(0), FLOWERS.data[:, 2:].max(0)
    np.testing.assert_allclose(picture.reach, high - low, rtol=1e-6)
    assert (picture.plane.min((1, 2)) < low).all()
    assert (picture.plane.max((1, 2)) > high).all()
    points = picture.plane.reshape(2, -1).T
    recipe, params = study.recipes[0], results.params["linear"][1]
    chosen = []
    for place, seed in enumerate(study.seeds):
        rows = dataset.split(study.test_size, study.replicate(seed).split_seed)
        x = FLOWERS.data[rows.train][:, 2:]
        given = torch.from_numpy((points - x.mean(0)) / x.std(0)).float()
        one = {key: torch.from_numpy(value[place]) for key, value in params.items()}
        chosen.append(recipe.model.apply(one, given).argmax(1).numpy())
    votes = np.stack([(np.stack(chosen) == one).sum(0) for one in range(3)])
    found = picture.decisions[0]
    assert (found.share.ravel() == votes.max(0) / 3).mean() > 0.999  # but for rounding
    median = dataset.split(study.test_size, study.replicate(found.seed).split_seed)
    np.testing.assert_array_equal(found.x, dataset.sample(0).x[median.test])
    # Training and drawing agree: the test samples' own points are decided as they were counted.
    assert found.accuracy == pytest.approx(100 * np.median(results.accuracies("linear")))


def test_where_seeds_share_a_split_it_is_prepared_once(monkeypatch):
    calls = []
    original = Stand.prepared_points

    def counted(self, points, rows):
        calls.append(len(points))
        return original(self, points, rows)

    results = run(iris(slice(2, 4)), epochs=1, names=("linear",), vary="init")
    monkeypatch.setattr(Stand, "prepared_points", counted)
    gathering.boundaries_picture(results)
    assert calls == [decisions.GRID**2]


def test_a_table_of_more_columns_has_no_boundaries(of_iris):
    with pytest.raises(ValueError, match="the table has other than two columns of numbers"):
        plots.boundaries_figure(of_iris)


def test_long_names_of_classes_are_cut_and_differ():
    names = [f"a class of a very long name, which is cut, {i}" for i in range(3)]
    results = run(table(FLOWERS.data[:, :2], FLOWERS.target, names, "ab"), epochs=1)
    for figure in (plots.data_figure(results), plots.boundaries_figure(results)):
        found = legend(figure)[:3]
        assert len(set(found)) == 3
        assert max(map(len, found)) <= palette.NAME_CELLS
    ticks = [tick.get_text() for tick in plots.confusion_figure(results).axes[0].get_yticklabels()]
    assert len(set(ticks)) == 3
