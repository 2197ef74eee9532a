"""Studies with classifiers of scikit-learn among the models, from the data to the reports."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch.distributed as dist
from polars.testing import assert_frame_equal
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.ensemble._base import _set_random_states
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

import functional_clf as fc
from functional_clf import Study, blobs, circles, estimator, from_arrays, mlp_recipe, model_1, table
from functional_clf.contestants import estimators
from functional_clf.contestants.base import described
from functional_clf.data.dataset import Dataset
from functional_clf.record.database import StoreError
from functional_clf.reports import tables as report
from functional_clf.reports.plots import write_plots
from functional_clf.study.replay import replay
from functional_clf.workers.processes import Processes
from functional_clf.workers.ranks import Rank

ROOT = Path(__file__).parents[2]
FOREST = RandomForestClassifier(n_estimators=5)


def rows_of_two_kinds(n_rows=90, n_classes=2):
    rng = np.random.default_rng(3)
    y = rng.permutation(np.arange(n_rows) % n_classes)
    colour = np.where(rng.random(n_rows) < 0.7, y, rng.integers(0, n_classes, n_rows))
    return pl.DataFrame(
        {
            "size": 1e3 * (y + rng.normal(0, 1.5, n_rows)),
            "colour": [("red", "green", "blue")[one] for one in colour],
            "label": y,
        }
    )


def study_of(seeds=6, contestants=None, **changes):
    contestants = contestants or (estimator("forest", FOREST), model_1(epochs=6))
    settings = {"dataset": circles(60), "contestants": contestants, "engine": "eager"} | changes
    return Study(seeds=seeds, **settings)


@pytest.fixture
def in_processes(monkeypatch):
    """However little time a fit takes."""
    monkeypatch.setattr(estimators, "HERE_SECONDS", 0.0)


def test_the_example_of_the_readme(tmp_path):
    boosting = fc.estimator("boosting", HistGradientBoostingClassifier(max_iter=5))
    data = table(rows_of_two_kinds(), "label", name="churn")
    mlp = mlp_recipe("mlp", None, "relu", "adam", 0.01, epochs=10, hidden=(4,))
    results = fc.Study(data, (boosting, mlp), seeds=4, engine="eager").run(tmp_path)
    assert "mlp" in results.compare("mlp", "boosting", metric="roc_auc").conclusion


@pytest.mark.parametrize("n_classes", [2, 3])
def test_rows_and_scores_are_those_of_a_plain_loop(n_classes):
    data = table(rows_of_two_kinds(90, n_classes), "label", name="things")
    results = Study(data, (estimator("forest", FOREST),), seeds=4, engine="eager").run()
    for place, row in enumerate(results.of("forest").iter_rows(named=True)):
        train, test = data.prepared(data.sample(0), data.split(0.2, row["split_seed"]))
        plain = clone(FOREST)
        _set_random_states(plain, row["init_seed"])
        plain.fit(np.ascontiguousarray(train.x), train.y.astype(int))
        shares, predicted = plain.predict_proba(test.x), plain.predict(test.x)
        ranked = shares[:, 1] if n_classes == 2 else shares
        assert row["train_correct"] == (plain.predict(train.x) == train.y).sum()
        assert row["test_correct"] == (predicted == test.y).sum()
        log_loss = metrics.log_loss(test.y, shares, labels=range(n_classes))
        assert row["log_loss"] == pytest.approx(log_loss, rel=1e-12)
        assert row["test_loss"] == np.float32(row["log_loss"])
        assert row["roc_auc"] == pytest.approx(
            metrics.roc_auc_score(test.y, ranked, multi_class="ovr"), rel=1e-12
        )
        brier = ((shares - np.eye(n_classes)[test.y.astype(int)]) ** 2).sum(1).mean()
        assert row["brier_score"] == pytest.approx(brier / (2 if n_classes == 2 else 1))
        assert row["f1_macro"] == pytest.approx(
            metrics.f1_score(test.y, predicted, average="macro")
        )
        assert row["balanced_accuracy"] == pytest.approx(
            metrics.balanced_accuracy_score(test.y, predicted)
        )
        wanted = metrics.confusion_matrix(test.y, predicted)
        np.testing.assert_array_equal(results.confusions("forest")[place], wanted)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_decisions_are_ranked_as_they_are(n_classes):
    rng = np.random.default_rng(0)
    y = np.arange(90) % n_classes
    data = from_arrays(y[:, None] + rng.normal(0, 1, (90, 2)), y)
    one = make_pipeline(StandardScaler(), LinearSVC(C=1.0))
    results = Study(data, (estimator("svm", one),), seeds=3, metric="roc_auc", engine="eager").run()
    for row in results.of("svm").iter_rows(named=True):
        train, test = data.prepared(data.sample(0), data.split(0.2, row["split_seed"]))
        plain = clone(one)
        _set_random_states(plain, row["init_seed"])
        values = plain.fit(np.ascontiguousarray(train.x), train.y.astype(int)).decision_function(
            test.x
        )
        if n_classes == 2:
            wanted = metrics.roc_auc_score(test.y, values)
        else:
            wanted = np.mean([metrics.roc_auc_score(test.y == k, values[:, k]) for k in range(3)])
        assert row["roc_auc"] == pytest.approx(wanted, rel=1e-12)


class FarAway(ClassifierMixin, BaseEstimator):
    """Decides by values that are so large that as log odds all would be certain."""

    def fit(self, X, y):  # noqa: N803
        self.inner_ = RidgeClassifier().fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def decision_function(self, X):  # noqa: N803
        return 1e4 * self.inner_.decision_function(X)

    def predict(self, X):  # noqa: N803
        return self.inner_.predict(X)


def test_decisions_far_from_0_are_no_ties():
    ridge = RidgeClassifier()
    data = from_arrays(*_overlapping())
    contestants = estimator("far", FarAway()), estimator("near", ridge)
    results = Study(data, contestants, seeds=3, metric="roc_auc", engine="eager").run()
    np.testing.assert_allclose(*(results.scores(name, "roc_auc") for name in ("far", "near")))


def _overlapping(n_rows=80):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n_rows) % 2)
    return y[:, None] + rng.normal(0, 1, (n_rows, 2)), y


def test_what_is_not_told_is_undefined_and_no_divergence(tmp_path):
    data = table(rows_of_two_kinds(), "label", name="things")
    svm = estimator("svm", LinearSVC())
    hard = estimator("hard", SVC(decision_function_shape="ovo"))
    soft = estimator("soft", CalibratedClassifierCV(LinearSVC()))
    results = Study(data, (svm, hard, soft), seeds=3, engine="eager").run(tmp_path)
    for name, lacking in (
        ("svm", {"log_loss", "brier_score"}),
        ("hard", {"log_loss", "brier_score", "roc_auc"}),
        ("soft", set()),
    ):
        rows = results.of(name)
        assert not rows["diverged"].any()
        assert (rows["test_correct"] > 0).all()
        for metric in ("log_loss", "brier_score", "roc_auc", "f1_macro", "balanced_accuracy"):
            assert rows[metric].is_null().all() == (metric in lacking), (name, metric)
        assert rows["test_loss"].is_null().all() == (name != "soft")
        assert results.failures(name)[1] == []
    with pytest.raises(ValueError, match=r"seed 0 of svm it is not defined.*do not tell it"):
        results.compare("soft", "svm", metric="log_loss", margin=0.1)
    assert results.compare("soft", "svm", metric="f1_macro").n_pairs == 3

    report.write_tables(results, tmp_path)
    report.write_results(results, tmp_path)
    told = json.loads((tmp_path / "results.json").read_text())["models"]["svm"]
    assert told["test_loss"] is None
    assert told["test_scores"]["log_loss"] is None
    assert told["test_scores"]["roc_auc"]["undefined"] == 0
    assert "nan" not in (tmp_path / "seeds.csv").read_text().lower()
    write_plots(results, tmp_path / "plots")
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert drawn == {"data", "classes", "curves", "accuracies", "confusion"}
    again = Study(data, (svm, hard, soft), seeds=3, engine="eager").run(tmp_path)
    assert_frame_equal(again.seeds, results.seeds, check_exact=True)


@pytest.mark.parametrize(
    ("classifier", "metric", "words"),
    [
        (LinearSVC(), "log_loss", "needs probabilities, and model 'm' (LinearSVC) has no predict_"),
        (RidgeClassifier(), "brier_score", "wrap it, as in CalibratedClassifierCV(RidgeClass"),
        (SVC(decision_function_shape="ovo"), "roc_auc", "needs more than classes"),
    ],
    ids=str,
)
def test_a_metric_that_cannot_be_had_is_refused_before_anything(classifier, metric, words):
    with pytest.raises(ValueError, match=f"metric is '{metric}', which ") as caught:
        study_of(contestants=(estimator("m", classifier),), metric=metric, margin=0.1)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_seed_is_itself_whatever_was_run_beside_it():
    whole = study_of(40).run().of("forest")
    assert whole["test_correct"].n_unique() > 3
    for seeds, changes in (
        (7, {}),
        (range(30, 40), {}),
        (40, {"chunk_size": 3}),
        (40, {"chunk_size": 1}),
        (40, {"chunk_size": 64}),
        (40, {"threads": 2, "chunk_size": 4}),
    ):
        rows = study_of(seeds, **changes).run().of("forest")
        assert_frame_equal(rows, whole.filter(whole["seed"].is_in(rows["seed"])), check_exact=True)


@pytest.mark.usefixtures("in_processes")
@pytest.mark.parametrize("threads", [1, 2])
def test_processes_give_the_same_bits(threads, monkeypatch, caplog):
    data = blobs(80, n_classes=3)
    contestants = (
        estimator("forest", FOREST),
        estimator("boosting", HistGradientBoostingClassifier(max_iter=3)),
        estimator("lr", LogisticRegression(max_iter=3)),
        mlp_recipe("mlp", None, "relu", "adam", 0.01, epochs=3, hidden=(4,)),
    )
    settings = {"dataset": data, "contestants": contestants, "metric": "roc_auc"}
    beside = study_of(20, threads=threads, **settings).run()
    monkeypatch.setattr(estimators, "HERE_SECONDS", 1e9)
    monkeypatch.setattr(Processes, "map", lambda *_: pytest.fail("not asked for"))
    here = study_of(20, threads=threads, **settings).run()
    assert_frame_equal(here.seeds, beside.seeds, check_exact=True)
    assert here.warnings == beside.warnings
    assert list(here.warnings["lr"].values()) == [20]
    assert "20 of 20 fits warned ConvergenceWarning: lbfgs failed to converge" in caplog.text


@pytest.mark.usefixtures("in_processes")
def test_where_no_process_can_be_had_fits_are_done_here(monkeypatch, caplog):
    def fails(count):
        raise OSError("no room for a semaphore")

    monkeypatch.setattr("functional_clf.workers.processes._executor", fails)
    wanted = study_of(8).run()
    assert caplog.text.count("(no room for a semaphore)") == 1
    monkeypatch.undo()
    assert_frame_equal(study_of(8).run().seeds, wanted.seeds, check_exact=True)


@pytest.mark.usefixtures("in_processes")
def test_what_cannot_be_sent_to_a_process_is_done_here(caplog):
    class Unsendable(GaussianNB):
        def __reduce__(self):
            raise TypeError("not to be sent")

        def __deepcopy__(self, memo):
            return self

    results = study_of(contestants=(estimator("m", Unsendable()),)).run()
    assert "models are fitted in this process" in caplog.text
    wanted = study_of(contestants=(estimator("m", GaussianNB()),)).run()
    assert_frame_equal(results.seeds, wanted.seeds, check_exact=True)


def test_it_is_kept_resumed_replayed_and_compared(tmp_path):
    class Interrupted(BaseException):
        pass

    def interrupt(progress):
        if progress.seeds_done >= 16:
            raise Interrupted

    with pytest.raises(Interrupted):
        study_of(40).run(tmp_path, interrupt)
    resumed = study_of(40).run(tmp_path)
    at_once = study_of(40).run()
    assert_frame_equal(resumed.seeds, at_once.seeds, check_exact=True)
    assert resumed.compare("model_1", "forest").n_pairs == 40
    assert [one.differences for one in replay(tmp_path, 33).models] == [(), ()]
    other = estimator("forest", RandomForestClassifier(n_estimators=6))
    study = study_of(40, contestants=(other, model_1(epochs=6)))
    with pytest.raises(StoreError, match=r"n_estimators is 5 there, 6 asked"):
        study.run(tmp_path)
    with pytest.raises(ValueError, match="model is 'forest', which has no weights"):
        fc.load_seed(tmp_path, "forest", 0)


def test_a_complete_study_fits_nothing(tmp_path, monkeypatch):
    before = study_of(4).run(tmp_path)
    monkeypatch.setattr(estimators, "fit_all", lambda *_: pytest.fail("fitted again"))
    again = study_of(4).run(tmp_path)
    assert_frame_equal(again.seeds, before.seeds, check_exact=True)


def test_weights_of_its_neighbour_are_added_later(tmp_path, monkeypatch):
    monkeypatch.setattr("functional_clf.study.execution.PICTURED_SEEDS", 2)
    contestants = estimator("lr", LogisticRegression(max_iter=2)), model_1(epochs=2)
    before = study_of(6, contestants, chunk_size=2).run(tmp_path)
    after = study_of(6, contestants, chunk_size=2, save_params=True).run(tmp_path)
    assert after.params["lr"][1] == {}
    assert fc.load_seed(tmp_path, "model_1", 5)
    assert after.warnings == before.warnings
    assert before.warnings["lr"]


def test_a_crossed_design_takes_it():
    results = study_of(64, design="crossed", data_seeds=3, init_seeds=2).run()
    assert results.of("forest").height == 6
    assert results.compare("model_1", "forest").n_data_seeds == 3
    rows = results.of("forest").to_dicts()
    plain = study_of(1, vary="data").run().of("forest").to_dicts()[0]
    assert rows[0] == plain  # the first cell is the first seed


def test_pictures_are_drawn(tmp_path):
    results = study_of(4).run(tmp_path)
    write_plots(results, tmp_path / "plots")
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert drawn == {"data", "curves", "accuracies", "boundaries"}


def test_several_ranks_fit_it_to_the_same_bits(tmp_path):
    store = dist.HashStore()
    leading, other = (Rank(index, 2, index, 2, store) for index in range(2))
    lr = estimator("lr", LogisticRegression(max_iter=2))
    study = study_of(60, (lr, estimator("svm", LinearSVC())), chunk_size=2, threads=1)
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(study.assist, other)
        results = study.run(tmp_path, rank=leading)
        assert code.result(120) == 0
    alone = study.run()
    assert_frame_equal(results.seeds, alone.seeds, check_exact=True)
    assert results.warnings == alone.warnings


class Luckless(GaussianNB):
    """Fails where the first sample is of class 1, and warns where the last one is."""

    def __init__(self, always=False, told="no luck"):
        self.always, self.told = always, told
        self.priors, self.var_smoothing = None, 1e-9

    def fit(self, X, y):  # noqa: N803
        if self.always or y[0] == 1:
            raise ValueError(self.told)
        if y[-1] == 1:
            warnings.warn("Nearly.\nOr so", ConvergenceWarning, 2)
        return GaussianNB.fit(self, X, y)


def test_a_failed_fit_is_a_diverged_seed_and_is_told_again(tmp_path, caplog):
    contestants = estimator("unlucky", Luckless()), estimator("bayes", GaussianNB())
    study = study_of(24, contestants, dataset=from_arrays(*_overlapping()))
    results = study.run(tmp_path)
    rows = results.of("unlucky")
    count = rows["diverged"].sum()
    assert 3 < count < 21
    failed = rows.filter(rows["diverged"])
    assert (failed["train_correct"] == 0).all()
    assert (failed["test_correct"] == 0).all()
    assert failed["test_loss"].is_null().all()
    assert (failed["log_loss"] > 36).all()  # the worst there is
    assert (failed["roc_auc"] == 0).all()
    bayes = results.of("bayes").filter(~rows["diverged"]).drop("model")
    assert_frame_equal(rows.filter(~rows["diverged"]).drop("model"), bayes, check_exact=True)
    lines = [f"model 'unlucky': {count} of 24 fits failed: ValueError: no luck"]
    (warned,) = (one for text, one in results.warnings["unlucky"].items() if "Nearly" in text)
    lines += [f"model 'unlucky': {warned} of 24 fits warned ConvergenceWarning: Nearly"]
    assert all(line in caplog.text for line in lines)
    assert f"unlucky failed {count} of 24" in results.conclusion

    caplog.clear()
    again = study.run(tmp_path)
    assert all(line in caplog.text for line in lines)
    assert again.warnings == results.warnings
    report.write_results(again, tmp_path)
    told = json.loads((tmp_path / "results.json").read_text())["models"]
    assert told["unlucky"]["warnings"] == dict(results.warnings["unlucky"])
    assert "warnings" not in told["bayes"]
    few = study_of(5, contestants, dataset=study.dataset).run(tmp_path)
    assert sum(few.warnings["unlucky"].values()) < sum(results.warnings["unlucky"].values())


def test_where_the_first_fits_fail_alike_nothing_is_begun(tmp_path):
    data = circles(60)
    for contestant, words in (
        (estimator("nb", MultinomialNB()), "model 'nb': all of the first 5 fits failed: ValueErr"),
        (estimator("u", Luckless(always=True)), "fits failed: ValueError: no luck"),
        (estimator("svm", SVC(C=-1)), "failed: InvalidParameterError: The 'C' parameter"),
    ):
        with pytest.raises(ValueError, match=r"^model ") as caught:
            study_of(5, (contestant, model_1(epochs=2)), dataset=data).run(tmp_path / "run")
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists()


def test_where_all_fits_fail_in_the_end_it_is_one_line(monkeypatch):
    monkeypatch.setattr("functional_clf.study.execution.check_fits", lambda plan: None)
    with pytest.raises(ValueError, match=r"^model 'u': all 5 fits failed: ValueError: no luck$"):
        study_of(5, (estimator("u", Luckless(always=True)), model_1(epochs=2))).run()


def test_a_failed_seed_is_replayed_as_it_was(tmp_path):
    lr = estimator("lr", LogisticRegression(max_iter=2))
    study = study_of(3, (lr, estimator("nb", GaussianNB())), dataset=blobs(60))
    study.run(tmp_path)
    assert [one.differences for one in replay(tmp_path, 1).models] == [(), ()]


def test_classes_are_weighed_by_its_own_argument(caplog):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [70, 20])
    data = from_arrays(y[:, None] + rng.normal(0, 1.5, (90, 2)), y)
    plain = estimator("plain", LogisticRegression())
    own = estimator("own", LogisticRegression(class_weight="balanced"))
    bayes = estimator("bayes", GaussianNB())
    results = Study(
        data, (plain, own, bayes), seeds=3, class_weight="balanced", engine="eager"
    ).run()
    told = [line for line in caplog.messages if "class_weight" in line]
    assert len(told) == 2
    assert "model 'plain'" in told[0]
    assert "give it class_weight='balanced'" in told[0]
    assert "it has no argument class_weight" in told[1]
    # The loss of the record is weighed like everyone's; the score is not.
    weights = np.array([90 / 2 / 70, 90 / 2 / 20])
    for row in results.of("own").iter_rows(named=True):
        train, test = data.prepared(data.sample(0), data.split(0.2, row["split_seed"]))
        fitted = LogisticRegression(class_weight="balanced").fit(
            np.ascontiguousarray(train.x), train.y.astype(int)
        )
        own_share = fitted.predict_proba(test.x)[np.arange(len(test.y)), test.y.astype(int)]
        loss = -(weights[test.y.astype(int)] * np.log(own_share)).mean()
        assert row["test_loss"] == pytest.approx(loss, rel=1e-5)
        assert row["log_loss"] == pytest.approx(-np.log(own_share).mean(), rel=1e-5)


def test_what_no_seed_changes_is_told_where_only_seeds_differ(caplog):
    contestants = estimator("bayes", GaussianNB()), estimator("forest", FOREST)
    results = study_of(5, contestants, vary="init").run()
    assert results.of("bayes")["test_correct"].n_unique() == 1
    assert results.of("forest")["train_correct"].n_unique() > 1
    (line,) = (line for line in caplog.messages if "vary='init'" in line)
    assert line.startswith("model 'bayes' has no random_state")


def test_a_pipeline_of_its_own_is_given_the_columns_as_they_are(tmp_path):
    frame = rows_of_two_kinds()
    shuffled = frame.with_columns(pl.lit("same").alias("says_nothing")).select(
        "label", "colour", "says_nothing", "size"
    )
    pipeline = make_pipeline(
        ColumnTransformer([("c", OneHotEncoder(), ["colour"]), ("s", StandardScaler(), ["size"])]),
        LogisticRegression(),
    )
    data = table(shuffled, "label", name="things")
    one = estimator("own", pipeline, raw=True)
    results = Study(data, (one,), seeds=4, engine="eager").run(tmp_path)
    for row in results.of("own").iter_rows(named=True):
        rows = data.split(0.2, row["split_seed"])
        train, test = (frame[part] for part in rows)
        columns = ["colour", "size"]
        plain = clone(pipeline).fit(train[columns], train["label"].to_numpy())
        predicted = plain.predict(test[columns])
        assert row["test_correct"] == (predicted == test["label"].to_numpy()).sum()
        shares = plain.predict_proba(test[columns])
        wanted = metrics.log_loss(test["label"].to_numpy(), shares)
        assert row["log_loss"] == pytest.approx(wanted, rel=1e-12)
    assert described(one) != described(estimator("own", pipeline))
    (found,) = replay(tmp_path, 2, dataset=data).models
    assert found.differences == ()


@pytest.mark.usefixtures("in_processes")
def test_raw_rows_reach_processes_too():
    pipeline = make_pipeline(
        ColumnTransformer([("c", OneHotEncoder(), ["colour"])], remainder="passthrough"), FOREST
    )
    data = table(rows_of_two_kinds(), "label", name="things")
    contestants = (estimator("own", pipeline, raw=True),)
    results = Study(data, contestants, seeds=5, engine="eager").run()
    estimators.HERE_SECONDS = 1e9
    assert_frame_equal(Study(data, contestants, seeds=5, engine="eager").run().seeds, results.seeds)


def test_raw_samples_that_are_drawn_are_as_they_are():
    def draw(seed):
        x, y = np.random.default_rng(seed).normal(size=(40, 2)), np.arange(40) % 2
        return x, y

    contestants = (
        estimator("raw", GaussianNB(), raw=True),
        estimator("plain", GaussianNB()),
    )
    rows = study_of(3, contestants, dataset=Dataset("drawn", 40, draw)).run()
    assert rows.of("raw").drop("model").equals(rows.of("plain").drop("model"))


def test_rows_of_an_array_with_gaps_are_raw_with_gaps():
    x, y = _overlapping()
    x[3, 1] = np.nan
    data = from_arrays(x, y)
    one = estimator("boosting", HistGradientBoostingClassifier(max_iter=3), raw=True)
    results = Study(data, (one,), seeds=2, engine="eager").run()
    row = results.of("boosting").row(0, named=True)
    train, test = data.split(0.2, row["split_seed"])
    plain = HistGradientBoostingClassifier(max_iter=3)
    _set_random_states(plain, row["init_seed"])
    plain.fit(x[train], y[train])
    assert row["test_correct"] == (plain.predict(x[test]) == y[test]).sum()


SLOW = """
import sys, time
import functional_clf as fc
from functional_clf.contestants import estimators
from sklearn.naive_bayes import GaussianNB

estimators.HERE_SECONDS = 0.0

class Slow(GaussianNB):
    def fit(self, X, y):
        time.sleep(0.5)
        return super().fit(X, y)

fc.Study(fc.circles(60), (fc.estimator("slow", Slow()),), seeds=200, threads=2).run(sys.argv[1])
"""


def _children(pid):
    """All processes below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *_children(child)]
    return found


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_a_study_that_is_stopped_leaves_no_processes(how, tmp_path):
    job = subprocess.Popen(
        [sys.executable, "-c", SLOW, tmp_path / "run"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        deadline = time.monotonic() + 240
        children = []
        while len(children) < 3:  # two, and joblib's keeper of resources
            assert time.monotonic() < deadline
            assert job.poll() is None
            time.sleep(0.2)
            children = _children(job.pid)
        job.send_signal(how)
        assert job.wait(60) != 0
        deadline = time.monotonic() + 30
        while any(map(_is_alive, children)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        job.kill()


@pytest.mark.usefixtures("in_processes")
def test_a_process_that_is_killed_ends_the_study_in_one_line(tmp_path):
    with pytest.raises(RuntimeError, match="a process that fits models ended in the middle"):
        study_of(4, (estimator("m", KillsItself()),)).run(tmp_path)


class KillsItself(GaussianNB):
    """Ends its process, where that is another one than the tests'."""

    parent = os.getpid()

    def __reduce__(self):
        return _kills_itself, (os.getpid(),)


def _kills_itself(parent):
    return os.kill(os.getpid(), signal.SIGKILL) if os.getpid() != parent else KillsItself()
