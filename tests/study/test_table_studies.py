"""A study of a table against scikit-learn, by splits, preparation and scores made by hand."""

import json
import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
import scipy.special
import torch
from polars.testing import assert_frame_equal
from sklearn import metrics
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB

from functional_clf import (
    Curves,
    Dataset,
    Metrics,
    Study,
    Trained,
    circles,
    from_arrays,
    iris,
    load_seed,
    mlp_recipe,
    model_0,
    model_1,
    table,
)
from functional_clf.reports import tables as report
from functional_clf.stats.metrics import METRICS

N = 96
SIZES = {2: [60, 36], 3: [50, 30, 16]}


def mixed(n_classes):
    """Numbers with gaps, words with gaps, a yes or no, and names of classes; of uneven sizes."""
    rng = np.random.default_rng(n_classes)
    names = np.array(["ash", "beech", "cedar"])
    number = rng.permutation(np.repeat(np.arange(n_classes), SIZES[n_classes]))
    frame = pl.DataFrame(
        {
            "girth": number + rng.normal(0, 1.2, N),
            "height": rng.normal(20, 5, N),
            "bark": rng.choice(["rough", "smooth", "none"], N),
            "evergreen": rng.random(N) < 0.4 + 0.1 * number,
            "tree": names[number],
        }
    )
    gap = pl.Series(rng.random(N) < 0.15)
    return frame.with_columns(pl.when(~gap).then(pl.col(name)) for name in ("girth", "bark"))


def split_by_hand(y, seed):
    n_test = -(-len(y) // 5)
    splits = StratifiedShuffleSplit(
        1, train_size=len(y) - n_test, test_size=n_test, random_state=seed
    )
    return next(splits.split(np.zeros(len(y)), y))


def prepared_by_hand(frame, names, train):
    """Features by name: what the training rows tell, and nothing of the others."""
    girth = frame["girth"].to_numpy()
    filled = np.where(np.isnan(girth), np.nanmedian(girth[train]), girth)
    columns = {"girth: missing": np.isnan(girth).astype(float)}
    for name, values in (("girth", filled), ("height", frame["height"].to_numpy())):
        columns[name] = (values - values[train].mean()) / values[train].std()
    for name in ("bark", "evergreen"):
        words = np.array([str(word) for word in frame[name].to_list()])
        for word in {*words.tolist()} - {"None"}:
            columns[f"{name} = {word}"] = (words == word).astype(float)
        columns[f"{name}: rare or unknown"] = np.zeros(N)
        columns[f"{name}: missing"] = (words == "None").astype(float)
    assert set(names) <= set(columns)
    assert all(not columns[name].any() for name in set(columns) - set(names))
    return np.stack([columns[name] for name in names], 1)


def scores_by_hand(logits, truth, n_classes):
    if n_classes == 2:
        ranked = scipy.special.expit(logits[:, 0])
        shares, predicted = np.stack([1 - ranked, ranked], 1), (logits[:, 0] > 0).astype(int)
    else:
        shares = ranked = scipy.special.softmax(logits, 1)
        predicted = logits.argmax(1)
    brier = ((shares - np.eye(n_classes)[truth]) ** 2).sum(1).mean()
    return predicted, {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "log_loss": metrics.log_loss(truth, shares, labels=range(n_classes)),
        "brier_score": brier / 2 if n_classes == 2 else brier,
        "roc_auc": metrics.roc_auc_score(truth, ranked, multi_class="ovr"),
        "f1_macro": metrics.f1_score(truth, predicted, average="macro", zero_division=0.0),
    }


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_every_seed_are_scikit_learns_on_the_weights_that_are_kept(n_classes, tmp_path):
    frame = mixed(n_classes)
    data = table(frame, "tree", name="trees")
    models = (model_0(hidden=(), epochs=25), model_1(hidden=(8,), epochs=25))
    results = Study(data, models, seeds=4, engine="eager", save_params=True).run(tmp_path)
    y = np.searchsorted(data.class_names, frame["tree"].to_numpy())
    for name in ("model_0", "model_1"):
        confusions = results.confusions(name)
        for place, row in enumerate(results.of(name).iter_rows(named=True)):
            train, test = split_by_hand(y, row["split_seed"])
            x = prepared_by_hand(frame, data.prepared_names, train)
            module = load_seed(tmp_path, name, row["seed"])
            with torch.no_grad():
                logits = module(torch.from_numpy(x).float()).double().numpy()
            right = scores_by_hand(logits[train], y[train], n_classes)[0] == y[train]
            assert row["train_correct"] == right.sum()
            predicted, wanted = scores_by_hand(logits[test], y[test], n_classes)
            assert row["test_correct"] / row["n_test"] == wanted["accuracy"]
            for metric in METRICS:
                found = results.scores(name, metric)[place]
                assert found == pytest.approx(wanted[metric], rel=1e-5), metric
                if metric != "accuracy":
                    assert row[metric] == found
            by_hand = metrics.confusion_matrix(y[test], predicted, labels=range(n_classes))
            np.testing.assert_array_equal(confusions[place], by_hand)


def test_the_standard_models_of_a_table_are_regression_and_a_network():
    found = {one.name: one.describe() for one in Study(iris()).contestants}
    assert found["model_0"]["layer_sizes"] == [4, 3]
    assert found["model_1"]["layer_sizes"] == [4, 16, 16, 3]
    assert found["model_0"]["activation"] is None
    of_two = Study(table(mixed(2), "tree")).contestants
    assert [one.describe()["layer_sizes"][-1] for one in of_two] == [1, 1]


MODELS = (model_0(hidden=(), epochs=10), model_1(hidden=(6,), epochs=10))


def trees(seeds, models=MODELS, **settings):
    return Study(table(mixed(3), "tree"), models, seeds=seeds, engine="eager", **settings).run()


def test_a_seed_is_itself_whatever_is_run_beside_it():
    whole = trees(6, chunk_size=2, threads=1)
    columns = [*METRICS][1:]
    assert whole.seeds.select(columns).null_count().sum_horizontal().item() == 0
    assert whole.seeds["log_loss"].n_unique() == 12
    for other in (
        trees(3, chunk_size=2),
        trees(range(3, 6), chunk_size=2),
        trees(6, chunk_size=2, threads=2),
        trees(6, MODELS[::-1], chunk_size=2),
        trees(6, MODELS[:1], chunk_size=2),
    ):
        some = other.seeds.sort("model", "seed")
        names, seeds = some["model"].unique().to_list(), some["seed"].unique().to_list()
        wanted = whole.seeds.filter(pl.col("model").is_in(names) & pl.col("seed").is_in(seeds))
        assert_frame_equal(some, wanted.sort("model", "seed"), check_exact=True)
        for name in names:
            places = [*whole.study.seeds].index(other.study.seeds[0])
            part = slice(places, places + len(seeds))
            np.testing.assert_array_equal(other.confusions(name), whole.confusions(name)[part])


def test_what_varies_is_the_split_and_with_test_rows_apart_the_weights():
    data = table(mixed(3), "tree")
    assert Study(data, MODELS).vary == "split"
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3
    apart = from_arrays(x[:40], y[:40], test=(x[40:], y[40:]))
    study = Study(apart, MODELS, seeds=3, engine="eager")
    assert (study.vary, study.sizes) == ("init", (40, 20))
    results = study.run()
    assert results.conclusion.endswith(", on this test set only.")
    assert results.seeds["split_seed"].n_unique() == 1
    assert results.of("model_1")["test_loss"].n_unique() == 3
    with pytest.raises(ValueError, match="vary is 'split', but the test samples of"):
        Study(apart, MODELS, vary="split")


@pytest.mark.parametrize("data", [table(mixed(3), "tree"), iris()], ids=["table", "iris"])
def test_new_data_of_a_table_are_refused(data):
    for asked in ({"vary": "data"}, {"design": "crossed"}):
        with pytest.raises(ValueError, match="is one fixed data set, of which nothing") as caught:
            Study(data, MODELS, **asked)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("asked", [{}, {"vary": "data"}, {"design": "crossed", "data_seeds": 3}])
def test_new_data_of_a_draw_that_ignores_its_seed_are_refused(asked, tmp_path):
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    own = Dataset("own", 40, lambda seed: (x, y))
    models = (model_0(epochs=2), model_1(epochs=2))
    with pytest.raises(ValueError, match="draws the same samples whatever the seed") as caught:
        Study(own, models, engine="eager", **asked).run(tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def noise(n=60):
    """Labels that features do not tell; the larger class is the better guess."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3)), np.where(rng.random(n) < 0.6, "yes", "no")


def test_failures_are_those_that_a_dummy_beats():
    x, labels = noise()
    data = from_arrays(x, labels, stratify=False)
    models = (model_0(hidden=(), epochs=20), model_1(hidden=(16,), epochs=60))
    results = Study(data, models, seeds=12, engine="eager").run()
    y = (labels == "yes").astype(int)
    most, prior = [], []
    for row in results.of("model_0").iter_rows(named=True):
        rows = data.split(0.2, row["split_seed"])
        dummies = [
            DummyClassifier(strategy=strategy).fit(x[rows.train], y[rows.train])
            for strategy in ("most_frequent", "prior")
        ]
        most.append(dummies[0].score(x[rows.test], y[rows.test]))
        prior.append(metrics.log_loss(y[rows.test], dummies[1].predict_proba(x[rows.test])))
    assert results.majority_scores("accuracy").tolist() == pytest.approx(most)
    assert results.majority_scores("log_loss").tolist() == pytest.approx(prior)
    counted = [int((results.accuracies(f"model_{i}") < np.array(most)).sum()) for i in (0, 1)]
    assert 0 < counted[1] < 12
    assert [results.failures(f"model_{i}")[0] for i in (0, 1)] == counted
    compared = results.comparisons()[0]
    assert [compared.model_b.failures.count, compared.model_a.failures.count] == counted
    shown = report.results_dict(results)
    assert [shown["models"][f"model_{i}"]["failed"] for i in (0, 1)] == counted
    assert shown["data"]["largest_class"]["accuracy"] == pytest.approx(np.mean(most))

    by_loss = Study(data, models, seeds=12, engine="eager", metric="log_loss", margin=0.05).run()
    counted = [
        int((by_loss.scores(f"model_{i}", "log_loss") > np.array(prior)).sum()) for i in (0, 1)
    ]
    assert counted[1] > 0
    assert [by_loss.failures(f"model_{i}")[0] for i in (0, 1)] == counted


def test_models_are_compared_by_another_metric_and_it_is_said():
    results = trees(5)
    before = results.conclusion
    for metric, margin in (("roc_auc", None), ("log_loss", 0.1), ("brier_score", 0.1)):
        found = results.compare("model_1", "model_0", metric, margin)
        gains = results.scores("model_1", metric) - results.scores("model_0", metric)
        assert found.estimate == pytest.approx(gains.mean())
        assert found.metric == metric
        said = "The metric was changed after looking: it was accuracy at first"
        assert said in found.conclusion
        assert "new data from" not in found.conclusion
    assert results.conclusion == before
    for metric in ("log_loss", "brier_score"):
        with pytest.raises(ValueError, match=f"margin is None; {metric} has no usual one"):
            results.compare("model_1", "model_0", metric)
    with pytest.raises(ValueError, match="metric is 'luck'; it must be one of"):
        results.compare("model_1", "model_0", "luck")


@dataclass(frozen=True)
class Bayes:
    """scikit-learn's naive Bayes, which tells classes and no logits."""

    name: str = "bayes"

    @property
    def curve_epochs(self):
        return (0,)

    def describe(self):
        return {"code": "1"}

    def train(self, data, replicates, training):
        fitted = [
            GaussianNB(var_smoothing=1e-3).fit(x, y)
            for x, y in zip(data.train.x.numpy(), data.train.y.numpy(), strict=True)
        ]
        found = []
        for batch in (data.train, data.test):
            counts = [
                int((one.predict(x) == y).sum())
                for one, x, y in zip(fitted, batch.x.numpy(), batch.y.numpy(), strict=True)
            ]
            found.append(Metrics(torch.ones(1, len(fitted)), torch.tensor([counts])))
        return Trained({}, Curves((0,), *found), np.zeros(len(fitted), bool))


def test_a_model_that_tells_no_logits_is_compared_by_accuracy_alone(tmp_path):
    data = iris()
    study = Study(data, (MODELS[0], Bayes()), seeds=3, engine="eager")
    results = study.run(tmp_path / "run")
    counts = []
    for row in results.of("bayes").iter_rows(named=True):
        rows = data.split(0.2, row["split_seed"])
        train, test = data.prepared(data.sample(0), rows)
        model = GaussianNB(var_smoothing=1e-3).fit(train.x, train.y)
        counts.append(int((model.predict(test.x) == test.y).sum()))
    assert results.of("bayes")["test_correct"].to_list() == counts
    assert "bayes" in results.conclusion
    assert results.of("bayes")["roc_auc"].null_count() == 3
    assert results.of("model_0")["roc_auc"].null_count() == 0
    json.dumps(report.results_dict(results), allow_nan=False)
    for ask in (
        lambda: results.scores("bayes", "roc_auc"),
        lambda: results.compare("bayes", "model_0", "roc_auc"),
        lambda: results.confusions("bayes"),
    ):
        with pytest.raises(ValueError, match="bayes") as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_model_that_diverges_has_the_worst_scores_and_no_nan(n_classes, tmp_path):
    wild = mlp_recipe("wild", None, None, "sgd", 1e9, epochs=30, hidden=(8, 8))
    data = table(mixed(n_classes), "tree")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = Study(data, (MODELS[0], wild), seeds=4, engine="eager").run(tmp_path)
    assert results.of("wild")["diverged"].all()
    worst = {
        "balanced_accuracy": 0.0,
        "log_loss": -np.log(np.finfo(float).eps),
        "brier_score": 1.0 if n_classes == 2 else 2.0,
        "roc_auc": 0.0,
        "f1_macro": 0.0,
    }
    for metric, score in worst.items():
        assert results.scores("wild", metric).tolist() == pytest.approx([score] * 4)
    assert results.failures("wild") == (4, [0, 1, 2, 3])
    report.write_results(results, tmp_path)
    text = (tmp_path / "results.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["models"]["wild"]["diverged_seeds"] == [0, 1, 2, 3]
    for metric, margin in (("log_loss", 0.1), ("roc_auc", None)):
        found = results.compare("wild", "model_0", metric, margin)
        json.dumps(found.to_dict(), allow_nan=False)
        assert "4 diverged" in found.conclusion


def test_a_model_without_logits_is_told_when_the_metric_needs_them(tmp_path):
    study = Study(iris(), (Bayes(),), seeds=2, metric="roc_auc")
    words = "train returned no logits, which the metric 'roc_auc' is worked out of"
    with pytest.raises(ValueError, match=words):
        study.run()


def test_an_area_that_some_split_does_not_define_is_told_before_anything_is_written(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) < 4
    data = from_arrays(x, y, stratify=False)
    folder = tmp_path / "out"
    with pytest.raises(ValueError, match="no test sample is of class True, so that roc_auc is not"):
        Study(data, MODELS, seeds=20, engine="eager", metric="roc_auc").run(folder)
    assert not folder.exists()


def test_a_class_that_groups_keep_out_of_training_is_told_before_anything_is_written(tmp_path):
    groups = np.r_[np.zeros(45, int), np.arange(1, 56)]
    data = from_arrays(np.random.default_rng(0).normal(size=(100, 2)), groups == 0, groups=groups)
    folder = tmp_path / "out"
    with pytest.raises(ValueError, match="all 36 training samples are of class 0"):
        Study(data, MODELS, seeds=64, engine="eager").run(folder)
    assert not folder.exists()


def test_another_margin_is_that_of_a_crossed_comparison_too():
    models = model_0(epochs=3), model_1(epochs=3)
    crossed = {"design": "crossed", "data_seeds": 2, "init_seeds": 2}
    results = Study(circles(60), models, engine="eager", **crossed).run()
    assert results.compare("model_1", "model_0", margin=0.3).margin == 0.3
    assert results.compare("model_1", "model_0").margin == 0.01
