"""Classifiers of scikit-learn as contestants, held against scikit-learn itself."""

import json
import random
import re
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.ensemble._base import _set_random_states
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from functional_clf import Training, blobs, circles, estimator
from functional_clf.contestants.base import described
from functional_clf.contestants.estimators import remade
from functional_clf.contestants.fitting import Aim, Job, Part, fit_all, kind_of, log_loss, seeded
from functional_clf.data.batches import draw_chunk
from functional_clf.data.seeds import replicate
from functional_clf.registry import CONTESTANTS, made_again

FOREST = RandomForestClassifier(n_estimators=5)


def without_places(value):
    """A test's name, the same in each process."""
    return re.sub(" at 0x[0-9a-fA-F]+", "", str(value))


def part(n_samples=60, n_classes=2, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_samples) % n_classes)
    return Part((y[:, None] + rng.normal(0, 1, (n_samples, 3))).astype(dtype), y)


def fit(classifier, n_classes=2, seed=5, dtype=np.float64):
    job = Job(part(60, n_classes, 1, dtype), part(40, n_classes, 2, dtype), seed)
    return fit_all(classifier, [job], Aim(n_classes))[0], job


def chunk_of(dataset, seeds, vary="data"):
    chunk = [replicate(seed, vary) for seed in seeds]
    return chunk, draw_chunk(dataset, chunk, 0.25, torch.device("cpu"))


def trained(one, dataset, seeds, **settings):
    chunk, data = chunk_of(dataset, seeds)
    return one.train(data, chunk, Training(None, **settings)), data, chunk


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "classifier",
    [FOREST, GaussianNB(), LogisticRegression(), KNeighborsClassifier()],
    ids=lambda one: type(one).__name__,
)
def test_a_fit_is_scikit_learns_in_every_bit(classifier, n_classes, dtype):
    found, job = fit(classifier, n_classes, dtype=dtype)
    plain = clone(classifier)
    _set_random_states(plain, 5)
    plain.fit(*job.train)
    np.testing.assert_array_equal(found.predicted.labels, plain.predict(job.test.x))
    shares = plain.predict_proba(job.test.x)
    assert found.predicted.values.dtype == shares.dtype
    np.testing.assert_array_equal(found.predicted.values, shares)
    assert found.correct == tuple((plain.predict(x) == y).sum() for x, y in job[:2])
    wanted = [metrics.log_loss(y, plain.predict_proba(x)) for x, y in job[:2]]
    assert found.loss == pytest.approx(wanted, rel=1e-5 if dtype == np.float32 else 1e-12)
    assert found.predicted.kind == "probabilities"
    assert not found.has_failed
    assert found.events == ()


def test_seeds_are_set_as_scikit_learns_ensembles_set_them():
    nested = make_pipeline(
        SelectKBest(k=2), BaggingClassifier(DecisionTreeClassifier(), n_estimators=3)
    )
    for classifier in (FOREST, nested, VotingClassifier([("a", FOREST), ("b", SVC())])):
        wanted = clone(classifier)
        _set_random_states(wanted, 11)
        found = seeded(estimator("m", classifier).classifier, 11)
        seeds = [
            {key: value for key, value in one.get_params().items() if "random_state" in key}
            for one in (wanted, found)
        ]
        assert seeds[0] == seeds[1]
        assert set(seeds[0].values()) != {None}
    assert FOREST.random_state is None  # what was given stays as it is


def test_a_seed_or_threads_of_the_users_own_decide_nothing():
    given = RandomForestClassifier(n_estimators=5, random_state=7, n_jobs=2)
    assert estimator("m", given).describe() == estimator("m", FOREST).describe()
    assert (given.random_state, given.n_jobs) == (7, 2)


def test_what_draws_from_a_global_generator_is_seeded_and_leaves_it_as_it_was():
    # The splitter draws from NumPy's own generator where it has no random_state.
    class Chancy(GridSearchCV):
        def predict(self, X):  # noqa: N803
            return super().predict(X) ^ (np.random.rand(len(X)) < 0.3)  # noqa: NPY002

    one = Chancy(DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=KFold(3, shuffle=True))
    np.random.seed(4)  # noqa: NPY002
    random.seed(4)
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    found = [fit(one, seed=seed)[0] for seed in (3, 4, 3)]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert random.getstate() == before[1]
    np.testing.assert_array_equal(found[0].predicted.labels, found[2].predicted.labels)
    assert (found[0].predicted.labels != found[1].predicted.labels).any()


def test_counts_are_of_predict_where_that_is_no_argmax():
    class Cautious(ClassifierMixin, BaseEstimator):
        """Names class 1 only where it is sure."""

        def fit(self, X, y):  # noqa: N803
            self.inner_ = GaussianNB().fit(X, y)
            self.classes_ = self.inner_.classes_
            return self

        def predict_proba(self, X):  # noqa: N803
            return self.inner_.predict_proba(X)

        def predict(self, X):  # noqa: N803
            return (self.predict_proba(X)[:, 1] > 0.99).astype(int)

    found, job = fit(Cautious())
    plain = GaussianNB().fit(*job.train)
    is_sure = plain.predict_proba(job.test.x)[:, 1] > 0.99
    assert found.correct[1] == (is_sure == job.test.y).sum()
    assert found.correct[1] != (plain.predict(job.test.x) == job.test.y).sum()
    assert found.loss[1] == pytest.approx(
        metrics.log_loss(job.test.y, plain.predict_proba(job.test.x))
    )


@pytest.mark.parametrize(
    ("classifier", "kind"),
    [
        (LinearSVC(), "decisions"),
        (RidgeClassifier(), "decisions"),
        (SVC(), "decisions"),
        (SVC(decision_function_shape="ovo"), "labels"),
        (make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")), "labels"),
        (make_pipeline(StandardScaler(), LinearSVC()), "decisions"),
        (VotingClassifier([("a", GaussianNB())], voting="hard"), "labels"),
        (VotingClassifier([("a", GaussianNB())], voting="soft"), "probabilities"),
        (StackingClassifier([("a", GaussianNB())]), "probabilities"),
        (StackingClassifier([("a", GaussianNB())], final_estimator=LinearSVC()), "decisions"),
        (CalibratedClassifierCV(LinearSVC()), "probabilities"),
        (GridSearchCV(LinearSVC(), {"C": [1, 2]}), "decisions"),
    ],
    ids=str,
)
def test_what_it_tells_is_known_before_and_after_a_fit(classifier, kind):
    assert kind_of(classifier) == kind
    found, job = fit(estimator("m", classifier).classifier, n_classes=3)
    assert found.events == ()
    assert found.predicted.kind == kind
    assert np.isnan(found.loss).all() == (kind != "probabilities")
    if kind == "labels":
        assert found.predicted.values is None
    if kind == "decisions":
        plain = clone(classifier)
        _set_random_states(plain, 5)
        wanted = plain.fit(*job.train).decision_function(job.test.x)
        np.testing.assert_array_equal(found.predicted.values, wanted)


def test_two_classes_decide_by_one_value():
    found, job = fit(RidgeClassifier())
    wanted = RidgeClassifier().fit(*job.train).decision_function(job.test.x)
    np.testing.assert_array_equal(found.predicted.values, np.stack([-wanted, wanted], 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_of_0_and_1_are_cut_off_as_scikit_learn_does(dtype):
    shares = np.array([[1, 0], [0, 1], [0.25, 0.75]], dtype)
    y = np.array([1, 1, 0])
    wanted = metrics.log_loss(y, shares)
    assert log_loss(y, shares) == pytest.approx(wanted, rel=1e-6)
    assert np.isfinite(wanted)
    weights = metrics.log_loss(y, shares, sample_weight=[3, 3, 0.5]) * 6.5 / 3
    assert log_loss(y, shares, (0.5, 3)) == pytest.approx(weights, rel=1e-6)


def test_what_a_fit_warns_of_is_told_once_and_is_no_warning_here():
    class Warner(GaussianNB):
        def fit(self, X, y):  # noqa: N803
            for number in range(3):
                warnings.warn(f"gap {number / 7} is large.\nsee there", ConvergenceWarning, 2)
            warnings.warn("old", FutureWarning, 2)
            return super().fit(X, y)

    found, _ = fit(Warner())
    assert found.events == (
        "warned ConvergenceWarning: gap # is large", "warned FutureWarning: old",
    )  # fmt: skip
    assert not found.has_failed


class Fails(GaussianNB):
    """Fails in any way that it is told."""

    def __init__(self, error=None, labels=None, shares=None, classes=None):
        self.error, self.labels, self.shares, self.classes = error, labels, shares, classes

    def fit(self, X, y):  # noqa: N803
        if self.error is not None:
            raise self.error
        super().__init__()
        super().fit(X, y)
        if self.classes is not None:
            self.classes_ = self.classes
        return self

    def predict(self, X):  # noqa: N803
        return super().predict(X) if self.labels is None else self.labels

    def predict_proba(self, X):  # noqa: N803
        return super().predict_proba(X) if self.shares is None else self.shares(len(X))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"error": ValueError("no luck\nat all")}, "ValueError: no luck"),
        ({"error": KeyError("x")}, "KeyError: 'x'"),
        ({"labels": np.full(60, 7)}, "ValueError: its predict returned other than 60 classes"),
        ({"labels": np.zeros(3)}, "ValueError: its predict returned other than 60 classes"),
        ({"shares": lambda n: np.full((n, 3), 1 / 3)}, r"array of shape \(60, 3\), not \(60, 2\)"),
        ({"shares": lambda n: np.full((n, 2), np.nan)}, "what are no probabilities"),
        ({"shares": lambda n: np.full((n, 2), 0.9)}, "that do not add up to 1"),
        ({"classes": np.array([0, 5])}, r"its classes_ are array\(\[0, 5\]\) once fitted"),
    ],
    ids=without_places,
)
def test_a_fit_that_fails_in_any_way_says_by_what(settings, told):
    job = Job(part(), part(), 3)
    found = fit_all(_Given(Fails(**settings)), [job], Aim(2))[0]
    assert found.has_failed
    assert found.correct == (0, 0)
    assert np.isnan(found.loss).all()
    assert found.predicted == (None, None, "probabilities")
    (event,) = found.events
    assert event.startswith("failed: ")
    import re

    assert re.search(told, event)


class _Given(BaseEstimator):
    """Passes on what no clone may copy."""

    def __init__(self, one):
        self.one = one

    def __sklearn_clone__(self):
        return self

    def fit(self, X, y):  # noqa: N803
        return self.one.fit(X, y)

    def predict(self, X):  # noqa: N803
        return self.one.predict(X)

    def predict_proba(self, X):  # noqa: N803
        return self.one.predict_proba(X)

    def set_params(self, **params):
        return self


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("full")], ids=repr)
def test_what_is_no_fault_of_the_fit_passes_through(error):
    with pytest.raises(type(error)):
        fit_all(_Given(Fails(error=error)), [Job(part(), part(), 3)], Aim(2))


def test_a_chunk_is_a_plain_loop():
    one = estimator("forest", FOREST)
    found, data, chunk = trained(one, circles(80), range(4), wants_logits=True)
    for lane, seeds in enumerate(chunk):
        x_train, x_test = (side.x[lane].numpy() for side in (data.train, data.test))
        y_train, y_test = (side.y[lane].numpy().astype(int) for side in (data.train, data.test))
        plain = clone(FOREST)
        _set_random_states(plain, seeds.init_seed)
        plain.fit(x_train, y_train)
        assert found.curves.train.correct[0, lane] == (plain.predict(x_train) == y_train).sum()
        assert found.curves.test.correct[0, lane] == (plain.predict(x_test) == y_test).sum()
        np.testing.assert_array_equal(found.predictions[lane].values, plain.predict_proba(x_test))
    assert found.params == {}
    assert not found.diverged.any()


def test_features_are_of_the_studys_type_and_rows_along_memory():
    seen = []

    class Looks(GaussianNB):
        def fit(self, X, y):  # noqa: N803
            seen.append((X.dtype, X.flags.c_contiguous, X.flags.writeable, y.dtype, X.base is None))
            X[:] = X  # some work in place
            return super().fit(X, y)

    trained(estimator("m", Looks()), circles(60), range(1))
    assert seen == [(np.float32, True, True, np.int64, True)]


def test_a_repeated_replicate_is_fitted_once():
    fitted = []

    class Counts(GaussianNB):
        def fit(self, X, y):  # noqa: N803
            fitted.append(len(y))
            warnings.warn("odd", UserWarning, 2)
            return super().fit(X, y)

    found, *_ = trained(estimator("m", Counts()), circles(60), [0, 1, 1, 1])
    assert len(fitted) == 2
    ((text, which),) = found.warnings
    assert text == "warned UserWarning: odd"
    assert which.tolist() == [True] * 4
    assert found.curves.test.correct[0, 1] == found.curves.test.correct[0, 3]


def test_stopping_ends_a_chunk_between_fits():
    class Stop(Exception):  # noqa: N818
        pass

    taken = []

    def after_steps(steps):
        taken.append(steps)
        if len(taken) == 2:
            raise Stop

    with pytest.raises(Stop):
        trained(estimator("m", GaussianNB()), circles(60), range(9), after_steps=after_steps)
    assert taken == [0, 0]


@pytest.mark.parametrize(
    ("classifier", "error", "message"),
    [
        (GaussianNB, TypeError, r"classifier is the class GaussianNB; make an instance of it"),
        (LinearRegression(), TypeError, "LinearRegression.*which is no classifier; it must be"),
        (KMeans(), TypeError, "which is no classifier"),
        (OneClassSVM(), TypeError, "which is no classifier"),
        (StandardScaler(), TypeError, "which is no classifier"),
        ("forest", TypeError, "classifier is 'forest', which has no fit"),
        (None, TypeError, "classifier is None, which has no fit"),
        (
            RandomForestClassifier(random_state=np.random.RandomState(0)),
            ValueError,
            "random_state is .*, which no seed can fix; leave it out",
        ),
        (
            make_pipeline(StandardScaler(), SVC(random_state=np.random.RandomState(0))),
            ValueError,
            "svc__random_state is",
        ),
    ],
    ids=without_places,
)
def test_what_is_no_classifier_is_refused_in_one_line(classifier, error, message):
    with pytest.raises(error, match=message) as caught:
        estimator("m", classifier)
    assert "\n" not in str(caught.value)


def test_names_and_flags_are_checked():
    with pytest.raises(ValueError, match="name is ''"):
        estimator("", GaussianNB())
    with pytest.raises(TypeError, match="raw is 1; it must be True or False"):
        estimator("m", GaussianNB(), raw=1)


def test_a_fitted_one_is_taken_without_what_it_learned():
    fitted = GaussianNB().fit(*part())
    one = estimator("m", fitted)
    assert not hasattr(one.classifier, "classes_")
    assert hasattr(fitted, "classes_")


MAKEABLE = [
    FOREST,
    HistGradientBoostingClassifier(class_weight={0: 1.0, 1: 2.5}, categorical_features=[0]),
    make_pipeline(StandardScaler(), LogisticRegression(C=np.float64(0.5))),
    VotingClassifier([("a", GaussianNB()), ("b", SVC(kernel="linear"))], weights=(1, 2)),
    GridSearchCV(SVC(), {"C": [1, 10]}, cv=3),
    make_pipeline(ColumnTransformer([("one", OneHotEncoder(), [0])]), GaussianNB(priors=None)),
]


@pytest.mark.parametrize("classifier", MAKEABLE, ids=lambda one: type(one).__name__)
def test_what_is_described_can_be_made_again(classifier):
    one = estimator("m", classifier, raw=True)
    told = json.loads(json.dumps(described(one), allow_nan=False))
    assert told["kind"] == "estimator"
    assert told["versions"]["scikit-learn"]
    assert told["code"]
    again = made_again(CONTESTANTS, told)
    assert again.raw
    assert described(again) == described(one)


def test_parameters_are_part_of_what_it_is():
    told = [
        described(estimator("m", RandomForestClassifier(max_depth=depth))) for depth in (2, 3, 2)
    ]
    assert told[0] == told[2]
    assert told[0] != told[1]
    assert told[0]["code"] != told[1]["code"]


def test_code_of_the_users_own_is_told_by_a_digest():
    def function(factor):
        return make_pipeline(FunctionTransformer(lambda x: factor * x), GaussianNB())

    one, again, other = (described(estimator("m", function(factor))) for factor in (2, 2, 3))
    assert one == again
    assert one["code"] != other["code"]
    with pytest.raises(ValueError, match=r"is of type builtins\.function, which only"):
        made_again(CONTESTANTS, one)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("os.system", "its class os.system is of another library than scikit-learn"),
        ("functional_clf.study.study.Study", "is of another library"),
        ("sklearn.naive_bayes.Nothing", "is not there"),
        ("sklearn.nowhere.GaussianNB", "is not there"),
        ("sklearn.base.np", "is no estimator's class"),
        ("sklearn", "is of another library"),
        (3, "is of another library"),
    ],
)
def test_a_run_folder_cannot_have_anything_else_imported(path, message):
    with pytest.raises(ValueError, match=message):
        remade("m", {"class": path, "params": {}})


def test_a_run_folder_cannot_have_a_function_called(tmp_path):
    """Whoever may write to it could have a file written over, or one fetched and put anywhere."""
    path = tmp_path / "theirs"
    write = "sklearn.datasets._svmlight_format_io.dump_svmlight_file"
    called = {"class": write, "params": {"X": [[1.0]], "y": [1], "f": str(path)}}
    words = {"dict": [["y", [1]], ["f", str(path)]]}
    params = {"func": {"function": write}, "kw_args": words}
    fitted = {"class": "sklearn.preprocessing._function_transformer.FunctionTransformer"}
    for one, message in [
        (called, "is no estimator's class"),
        ({**fitted, "params": params}, "is no function of sklearn.feature_selection. or"),
    ]:
        with pytest.raises(ValueError, match=message):
            remade("m", one)
    assert not path.exists()


def test_a_run_folder_cannot_have_what_lies_elsewhere_unpickled(tmp_path):
    """As joblib does with whatever lies where results are remembered."""
    one = estimator("m", make_pipeline(StandardScaler(), GaussianNB(), memory=str(tmp_path)))
    with pytest.raises(ValueError, match="memory names a folder, which only its maker can give"):
        made_again(CONTESTANTS, described(one))


def test_functions_that_only_compute_are_made_again():
    one = estimator("m", make_pipeline(SelectKBest(f_classif, k=1), GaussianNB()))
    assert described(made_again(CONTESTANTS, described(one))) == described(one)


def test_the_process_that_fits_needs_no_torch():
    import subprocess
    import sys
    from pathlib import Path

    code = (
        "import sys\n"
        "import functional_clf.contestants.fitting, functional_clf.support.processes\n"
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    root = str(Path(__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_blobs_of_three_classes_have_values_of_each():
    found, *_ = trained(estimator("m", LinearSVC()), blobs(90, n_classes=3), range(2))
    assert found.predictions[0].values.shape[1] == 3
    assert np.isnan(found.curves.test.loss.numpy()).all()
