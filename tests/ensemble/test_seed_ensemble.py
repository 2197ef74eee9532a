"""The ensemble as scikit-learn wants it, and held to a loop over `nn.Module`s."""

import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import polars as pl
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine, make_classification, make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from functional_clf import Model, Recipe, SeedEnsembleClassifier, adam, mlp_recipe, sgd
from functional_clf.core.models import mlp
from functional_clf.core.stopping import EarlyStopping
from functional_clf.engines.machine import c_compiler
from functional_clf.engines.vmapped import Eager
from functional_clf.ensemble import seed_ensemble
from functional_clf.ensemble.members import make_predict, train_members
from functional_clf.ensemble.pickling import packed

needs_c = pytest.mark.skipif(c_compiler() is None, reason="no C compiler was found")
ENGINES = ["eager", pytest.param("fused", marks=needs_c)]

IRIS = load_iris(return_X_y=True)
TWO = make_classification(120, 6, random_state=3)


def small(**changed):
    """An ensemble that trains in a moment."""
    settings = {"n_seeds": 3, "hidden": (8,), "learning_rate": 0.05, "epochs": 20}
    return SeedEnsembleClassifier(**settings | {"engine": "eager", "random_state": 0} | changed)


def recipe_of(module, epochs=20, name="own"):
    """A recipe of somebody's own module, whose weights each seed draws."""
    shapes = {key: param.shape for key, param in module.named_parameters()}

    def init(generator):
        return {key: 0.3 * torch.randn(shape, generator=generator) for key, shape in shapes.items()}

    def apply(params, x):
        return torch.func.functional_call(module, params, (x,)).squeeze(-1)

    return Recipe(name, Model(init, apply), adam(0.05), epochs)


# As scikit-learn wants it.


@parametrize_with_checks([small(n_seeds=2, learning_rate=0.1, epochs=12)])
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def test_arguments_are_kept_as_they_are_given():
    given = {"hidden": [4, 4], "learning_rate": np.float32(0.1), "class_weight": {0: 1, 1: 2}}
    ensemble = SeedEnsembleClassifier(**given)
    assert all(getattr(ensemble, name) is value for name, value in given.items())
    assert clone(ensemble).get_params() == ensemble.get_params()
    assert ensemble.set_params(epochs=7).epochs == 7


def test_labels_may_be_texts_or_numbers_of_any_kind():
    x, y = IRIS
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    by_name, by_number = small().fit(x, names), small().fit(x, 10 * y - 5)
    assert by_name.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert by_number.classes_.tolist() == [-5, 5, 15]
    assert (by_name.predict_proba(x) == by_number.predict_proba(x)).all()
    assert set(by_name.predict(x)) <= set(names)
    assert by_name.score(x, names) > 0.8


def test_a_data_frame_gives_its_names():
    x, y = IRIS
    frame = pl.DataFrame(x, schema=["a", "b", "c", "d"])
    ensemble = small().fit(frame, pl.Series(y))
    assert ensemble.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert (ensemble.predict_proba(frame) == small().fit(x, y).predict_proba(x)).all()
    with pytest.raises(ValueError, match="feature names should match"):
        ensemble.predict(frame.rename({"a": "e"}))


def test_it_works_in_a_pipeline_and_in_cross_validation():
    x, y = IRIS
    pipeline = make_pipeline(MinMaxScaler(), small())
    side_by_side = cross_val_score(pipeline, x, y, cv=4, n_jobs=2)
    assert side_by_side.mean() > 0.8
    assert (cross_val_score(pipeline, x, y, cv=4) == side_by_side).all()


def test_a_grid_search_finds_the_learning_rate():
    search = GridSearchCV(small(), {"learning_rate": [1e-5, 0.05]}, cv=3, scoring="neg_log_loss")
    assert search.fit(*IRIS).best_params_ == {"learning_rate": 0.05}


def test_a_grid_search_chooses_between_recipes():
    wide = mlp_recipe("wide", hidden=(8,), epochs=20, learning_rate=0.05)
    stuck = mlp_recipe("stuck", hidden=(2,), epochs=1, learning_rate=1e-6)
    ensemble = SeedEnsembleClassifier(2, engine="eager", random_state=0)
    search = GridSearchCV(ensemble, {"recipe": [stuck, wide]}, cv=2).fit(*IRIS)
    assert search.best_params_["recipe"] == wide


@pytest.mark.parametrize("dumped", ["pickle", "joblib"])
@pytest.mark.parametrize(
    "recipe",
    [
        None,
        mlp_recipe("deep", hidden=(4, 4), epochs=5),
        mlp_recipe("sized", (6, 4, 1), "tanh", "sgd", 0.1, epochs=5),
        Recipe("parts", mlp((6, 4, 1), torch.tanh), sgd(0.1), epochs=5),
        recipe_of(nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)), epochs=5),
    ],
    ids=["arguments", "template", "recipe", "parts", "module"],
)
def test_a_fitted_ensemble_is_pickled_and_predicts_the_same(dumped, recipe):
    x, y = TWO
    settings = {"engine": "eager"} | ({} if recipe else {"hidden": (4,), "epochs": 5})
    ensemble = SeedEnsembleClassifier(2, recipe=recipe, random_state=0, **settings).fit(x, y)
    file = io.BytesIO()
    (pickle if dumped == "pickle" else joblib).dump(ensemble, file)
    file.seek(0)
    again = (pickle if dumped == "pickle" else joblib).load(file)
    assert (again.predict_proba(x) == ensemble.predict_proba(x)).all()
    assert (again.fit(x, y).predict_proba(x) == ensemble.predict_proba(x)).all()


def test_what_is_not_found_by_its_place_is_left_to_whoever_pickles_the_rest():
    model = mlp((6, 1))
    init, apply = (lambda g: model.init(g)), (lambda p, x: model.apply(p, x))
    recipe = Recipe("lambdas", Model(init, apply), sgd(0.1), epochs=2)
    assert packed(recipe) is recipe
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(SeedEnsembleClassifier(recipe=recipe))


def test_a_pickled_recipe_that_computes_something_else_today_is_refused():
    recipe = mlp_recipe("sized", (6, 4, 1), "tanh", "sgd", 0.1, epochs=5)
    state = SeedEnsembleClassifier(2, recipe=recipe, engine="eager").__getstate__()
    again = SeedEnsembleClassifier()
    again.__setstate__(state)
    assert again.recipe.describe() == recipe.describe()
    packed = state["recipe"]
    state["recipe"] = packed._replace(description=packed.description | {"code": "another"})
    with pytest.raises(ValueError, match="computes something else than its settings say"):
        again.__setstate__(state)


def test_fitting_changes_no_global_generator():
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    small().fit(*IRIS).predict(IRIS[0])
    assert (torch.get_rng_state() == before[0]).all()
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_statistics_still_need_no_torch():
    script = "import sys, functional_clf.stats; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


# What it computes.


def trained_by_hand(x, y, seed, sizes, task_loss, epochs, learning_rate):
    """The classic loop: one module, torch's Adam; probabilities of each class, and the way gone."""
    torch.manual_seed(seed)
    layers = [nn.Linear(sizes[0], sizes[1]), nn.ReLU(), nn.Linear(sizes[1], sizes[2])]
    network = nn.Sequential(*layers)
    start = [param.detach().clone() for param in network.parameters()]
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    for _ in range(epochs):
        optimizer.zero_grad()
        task_loss(network(x), y).backward()
        optimizer.step()
    way = [param.detach() - at for param, at in zip(network.parameters(), start, strict=True)]
    with torch.no_grad():
        logits = network(x)
    if sizes[2] == 1:
        return torch.cat([1 - torch.sigmoid(logits), torch.sigmoid(logits)], 1).numpy(), start, way
    return torch.softmax(logits, 1).numpy(), start, way


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("data", "outputs", "weighted"), [(IRIS, 3, False), (TWO, 1, False), (TWO, 1, True)]
)
def test_it_equals_a_loop_over_modules_in_float64(engine, data, outputs, weighted):
    x, y = data
    rows = np.r_[:45, 50:70, 100:120] if outputs == 3 else np.r_[:90]
    x, y = x[rows], y[rows]
    weights = compute_class_weight("balanced", classes=np.unique(y), y=y)
    ensemble = small(
        n_seeds=3, epochs=30, engine=engine, class_weight="balanced" if weighted else None
    ).fit(x, y)
    scaled = torch.tensor(StandardScaler().fit_transform(x))
    labels = torch.tensor(y)

    def loss(logits, labels):
        if outputs == 3:
            return nn.functional.cross_entropy(logits, labels)
        each = nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], labels.double(), reduction="none"
        )
        return (each * torch.tensor(weights if weighted else [1.0, 1.0])[labels]).mean()

    by_hand = []
    for place, seed in enumerate(ensemble.seeds_):
        found, start, way = trained_by_hand(
            scaled, labels, int(seed), (x.shape[1], 8, outputs), loss, 30, 0.05
        )
        by_hand.append(found)
        assert max(float(moved.abs().max()) for moved in way) > 0.1
        for value, at, moved in zip(ensemble.weights_.values(), start, way, strict=True):
            assert np.abs(value[place] - at.numpy() - moved.numpy()).max() < 1e-9
    each = ensemble.predict_proba_of_seeds(x)
    np.testing.assert_allclose(each, by_hand, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ensemble.predict_proba(x), np.mean(by_hand, 0), rtol=0, atol=1e-9)
    assert (ensemble.predict(x) == ensemble.classes_[np.mean(by_hand, 0).argmax(1)]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_random_state_gives_the_same_bits_on_any_number_of_threads(engine):
    x, y = TWO
    one, two = (
        small(n_seeds=18, epochs=6, engine=engine, n_jobs=n_jobs).fit(x, y) for n_jobs in (1, 2)
    )
    assert one.weights_.keys() == two.weights_.keys()
    assert all((one.weights_[name] == two.weights_[name]).all() for name in one.weights_)
    tall = np.tile(x, (20, 1))  # more rows than are predicted at once
    assert (one.predict_proba(tall) == two.predict_proba(tall)).all()
    other = small(n_seeds=18, epochs=6, engine=engine, random_state=1).fit(x, y)
    assert not set(one.seeds_) & set(other.seeds_)


def test_a_random_state_is_what_scikit_learn_means_by_it():
    x, y = TWO
    stream = np.random.RandomState(5)
    first, second = (small(epochs=2, random_state=stream).fit(x, y).seeds_ for _ in range(2))
    assert (first == small(epochs=2, random_state=5).fit(x, y).seeds_).all()
    assert not set(first) & set(second)
    ensemble = small(epochs=2)
    assert (ensemble.fit(x, y).seeds_ == ensemble.fit(x, y).seeds_).all()
    ensemble = small(epochs=2, random_state=None)
    assert not set(ensemble.fit(x, y).seeds_) & set(ensemble.fit(x, y).seeds_)


def test_more_seeds_begin_with_those_of_fewer():
    x, y = TWO
    few, more = (small(n_seeds=n, epochs=2).fit(x, y).seeds_ for n in (3, 20))
    assert len(set(more)) == 20
    assert (more[:3] == few).all()


def test_an_ensemble_of_one_seed_is_that_seed():
    x, y = IRIS
    ensemble = small(n_seeds=1).fit(x, y)
    assert (ensemble.predict_proba(x) == ensemble.predict_proba_of_seeds(x)[0]).all()


def test_a_rows_prediction_does_not_depend_on_the_other_rows(monkeypatch):
    x, y = IRIS
    ensemble = small().fit(x, y)
    whole = ensemble.predict_proba(x)
    np.testing.assert_allclose(whole, np.vstack([ensemble.predict_proba(row[None]) for row in x]))
    monkeypatch.setattr(seed_ensemble, "ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(whole, ensemble.predict_proba(x), rtol=1e-12)
    assert ensemble.predict_proba_of_seeds(x).shape == (3, 150, 3)
    np.testing.assert_allclose(whole.sum(1), 1, rtol=1e-12)


def test_samples_of_low_precision_are_predicted_as_the_same_numbers():
    x, y = IRIS
    low = x.astype(np.float32)
    ensemble = small().fit(low, y)
    assert (ensemble.predict_proba(low) == ensemble.predict_proba(low.astype(float))).all()


def test_features_are_scaled_unless_they_shall_not_be():
    x, y = IRIS
    far = 1e4 + 100 * x
    scaled = small().fit(far, y)
    np.testing.assert_allclose(scaled.predict_proba(far), small().fit(x, y).predict_proba(x), 1e-4)
    plain = small(scale=False).fit(far, y)
    assert plain.scaler_ is None
    assert plain.score(far, y) < scaled.score(far, y)


def test_a_class_weight_moves_predictions_towards_its_class():
    x, y = make_classification(200, 4, weights=[0.85], flip_y=0.2, random_state=0)
    plain, balanced, heavy = (
        small(epochs=40, class_weight=weight).fit(x, y).predict_proba(x)[:, 1].mean()
        for weight in (None, "balanced", {0: 1.0, 1: 100.0})
    )
    assert plain < balanced < heavy


def test_the_mean_of_seeds_predicts_better_than_a_seed_does():
    x, y = make_moons(1500, noise=0.35, random_state=0)
    x_test, y_test, rows = x[150:], y[150:], np.arange(1350)
    gains = []
    for random_state in range(3):
        ensemble = small(n_seeds=8, hidden=(16, 16), epochs=100, random_state=random_state)
        ensemble.fit(x[:150], y[:150])
        single = -np.log(ensemble.predict_proba_of_seeds(x_test)[:, rows, y_test])
        together = -np.log(ensemble.predict_proba(x_test)[rows, y_test])
        assert (together <= single.mean(0) + 1e-12).all()  # Jensen
        gains.append(single.mean(0) - together)
    gain = np.mean(gains, 0)
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(len(gain))


@needs_c
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_the_defaults_do_well(load):
    x, y = load(return_X_y=True)
    scores = cross_val_score(SeedEnsembleClassifier(random_state=0, n_jobs=2), x, y, cv=3)
    assert scores.mean() > 0.94


# Recipes of one's own.


def test_a_recipe_stands_for_the_arguments():
    x, y = IRIS
    arguments = small().fit(x, y)
    template = mlp_recipe("it", hidden=(8,), learning_rate=0.05, epochs=20)
    by_template = SeedEnsembleClassifier(3, recipe=template, engine="eager", random_state=0)
    assert (by_template.fit(x, y).predict_proba(x) == arguments.predict_proba(x)).all()
    with pytest.raises(ValueError, match=r"learning_rate is 0.1, but a recipe is given"):
        by_template.set_params(learning_rate=0.1).fit(x, y)


def test_a_module_of_ones_own_is_a_member():
    x, y = TWO
    network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1))
    ensemble = SeedEnsembleClassifier(
        4, recipe=recipe_of(network), engine="eager", random_state=0
    ).fit(x, y)
    assert ensemble.score(x, y) > 0.8
    each = ensemble.predict_proba_of_seeds(x)
    by_hand = []
    for place in range(4):
        weights = {key: torch.tensor(value[place]) for key, value in ensemble.weights_.items()}
        network.load_state_dict(weights)
        scaled = torch.tensor(ensemble.scaler_.transform(x), dtype=torch.float32)
        by_hand.append(torch.sigmoid(network(scaled))[:, 0].detach().numpy())
    np.testing.assert_allclose(each[:, :, 1], by_hand, rtol=1e-5)


def test_batches_are_each_members_own_on_any_number_of_threads():
    x, y = TWO
    whole, one, two = (
        small(n_seeds=18, epochs=3, batch_size=batch_size, n_jobs=n_jobs).fit(x, y)
        for batch_size, n_jobs in ((None, 1), (50, 1), (50, 2))
    )
    assert all((one.weights_[name] == two.weights_[name]).all() for name in one.weights_)
    assert (one.seeds_ == whole.seeds_).all()
    assert np.abs(one.predict_proba(x) - whole.predict_proba(x)).max() > 0.01
    alike = np.isclose(one.weights_["0.weight"][:, None], one.weights_["0.weight"][None]).all(
        (2, 3)
    )
    assert alike.sum() == 18  # each is like itself alone
    with pytest.raises(ValueError, match="batch_size is 121; there are 120 training samples"):
        small(batch_size=121).fit(x, y)


def test_training_stops_where_a_recipe_says_so():
    x, y = TWO
    stop = EarlyStopping(patience=3, validation=0.2)
    recipe = Recipe("stops", mlp((6, 8, 1), torch.relu), adam(0.1), 200, batch_size=32, stop=stop)
    ensemble = SeedEnsembleClassifier(3, recipe=recipe, engine="eager", random_state=0).fit(x, y)
    assert 3 < ensemble.n_iter_ < 200
    assert ensemble.score(x, y) > 0.85


def test_a_recipe_that_is_not_pure_is_refused():
    x, y = TWO
    network = nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.5), nn.Linear(5, 1))
    with pytest.raises(ValueError, match="draws from a global random generator"):
        SeedEnsembleClassifier(2, recipe=recipe_of(network), engine="eager").fit(x, y)


def test_weights_that_are_alike_for_every_seed_are_told():
    x, y = TWO
    fixed = mlp((6, 3, 1), torch.relu).init(torch.Generator().manual_seed(0))
    recipe = Recipe(
        "alike",
        Model(
            lambda generator: {key: value.clone() for key, value in fixed.items()},
            mlp((6, 3, 1), torch.relu).apply,
        ),
        sgd(0.1),
        epochs=3,
    )
    with pytest.warns(UserWarning, match="the same weights for every seed"):
        SeedEnsembleClassifier(2, recipe=recipe, engine="eager").fit(x, y)


# Divergence.


def exploding(share):
    """A recipe some of whose seeds begin with weights that make nothing of the training."""
    model = mlp((6, 4, 1), torch.relu)

    def init(generator):
        params = model.init(generator)
        is_bad = torch.rand((), generator=generator) < share
        return {key: torch.where(is_bad, torch.inf, value) for key, value in params.items()}

    return Recipe("exploding", Model(init, model.apply), sgd(0.1), epochs=4)


def test_seeds_that_diverge_are_left_out_with_a_warning():
    x, y = TWO
    ensemble = SeedEnsembleClassifier(12, recipe=exploding(0.4), engine="eager", random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"\d of 12 seeds diverged and are left out"):
        ensemble.fit(x, y)
    kept = ~ensemble.diverged_
    assert 0 < kept.sum() < 12
    each = ensemble.predict_proba_of_seeds(x)
    assert np.isnan(each[~kept]).all()
    np.testing.assert_allclose(ensemble.predict_proba(x), each[kept].mean(0), rtol=1e-12)
    assert np.isfinite(ensemble.loss_)


def test_nothing_is_predicted_where_every_seed_diverged():
    with pytest.raises(ValueError, match="all 2 seeds diverged"):
        small(n_seeds=2, optimizer="sgd", learning_rate=1e37).fit(*TWO)


# What is refused.


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"n_seeds": 0}, ValueError, "n_seeds is 0; it must be at least 1"),
        ({"n_seeds": 2.5}, TypeError, "n_seeds is 2.5; it must be a whole number"),
        ({"hidden": 8}, TypeError, "hidden is 8; it must be whole numbers"),
        ({"hidden": (0,)}, ValueError, "hidden is 0; it must be at least 1"),
        ({"activation": "step"}, ValueError, "activation is 'step'"),
        ({"optimizer": "newton"}, ValueError, "optimizer is 'newton'"),
        ({"learning_rate": 0}, ValueError, "learning_rate is 0"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate is 'fast'; it must be a number"),
        ({"batch_size": 0}, ValueError, "batch_size is 0; it must be at least 1"),
        ({"epochs": 0}, ValueError, "epochs is 0; it must be at least 1"),
        ({"recipe": nn.Linear(2, 1)}, TypeError, "recipe is .*; it must be a recipe"),
        ({"scale": "no"}, TypeError, "scale is 'no'; it must be True or False"),
        ({"class_weight": {0: 1.0, 1: -1.0}}, ValueError, "class_weights is .*above 0"),
        ({"engine": "steam"}, ValueError, "engine is 'steam'; it must be one of auto, eager"),
        ({"random_state": "x"}, ValueError, "'x' cannot be used to seed"),
    ],
)
def test_a_wrong_argument_is_told_in_a_line(changed, error, message):
    with pytest.raises(error, match=message) as raised:
        small(**changed).fit(*TWO)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.zeros((4, 2)), ["a"] * 4, ValueError, "y has 1 class only, 'a'; a classifier needs 2"),
        (np.zeros((4, 2)), [0.1, 0.2, 0.3, 0.4], ValueError, "Unknown label type"),
        (np.full((4, 2), np.nan), [0, 1, 0, 1], ValueError, "NaN"),
        (np.array([[1e300], [-1e300]]), [0, 1], ValueError, "X holds 1e.300, too large a number"),
        (scipy.sparse.eye(4).tocsr(), [0, 1, 0, 1], TypeError, "[Ss]parse"),
        (np.zeros((4, 2)), [0, 1, 0], ValueError, "inconsistent"),
    ],
)
def test_samples_that_cannot_be_learned_from_are_refused(x, y, error, message):
    with pytest.raises(error, match=message):
        small().fit(x, y)


def test_numbers_beyond_the_precision_are_refused_without_scaling():
    x = np.array([[1e39], [0.0], [1.0], [2.0]])
    with pytest.raises(ValueError, match=r"X holds 1e\+39, too large a number for float32"):
        small(scale=False).fit(x, [0, 1, 0, 1])


def test_predictions_of_numbers_far_too_large_are_refused():
    x, y = TWO
    with pytest.raises(ValueError, match=r"X holds 1e\+308, too large a number for float64"):
        small().fit(x / 100, y).predict(np.full((1, 6), 1e308))
    network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1))  # trained in float32
    ensemble = SeedEnsembleClassifier(1, recipe=recipe_of(network), engine="eager").fit(x, y)
    with pytest.raises(ValueError, match="output for a row of X is not finite"):
        ensemble.predict(np.full((1, 6), 1e45))


def test_outputs_that_are_not_finite_are_no_probabilities():
    recipe = mlp_recipe("linear", (1, 1), None, "sgd", 0.1)
    weights = {"0.weight": np.full((1, 1, 1), 1e200), "0.bias": np.zeros((1, 1))}
    with pytest.raises(ValueError, match="output for a row of X is not finite"):
        make_predict(recipe, weights)(np.full((1, 1), 1e200))


def test_nothing_is_predicted_before_fitting():
    with pytest.raises(NotFittedError):
        small().predict(IRIS[0])
    with pytest.raises(NotFittedError):
        small().predict_proba_of_seeds(IRIS[0])


def test_a_compiler_that_fails_is_passed_by_unless_it_was_asked_for(monkeypatch):
    x, y = TWO

    class Broken(Eager):
        width_matters = False

        def prepare(self, recipes, data, alone=True):
            raise OSError("no space left")

    from functional_clf.ensemble import members

    monkeypatch.setattr(members, "for_one_chunk", lambda recipes, data: Broken())
    monkeypatch.setattr(members, "ENGINES", {"fused": Broken()})
    assert small(engine="auto").fit(x, y).engine_ == "eager"
    with pytest.raises(ValueError, match=r"engine is .fused., but compiling failed .no space left"):
        small(engine="fused").fit(x, y)


def test_the_members_of_a_padded_chunk_are_those_asked_for():
    from functional_clf.core.tasks import Binary

    x, y = TWO[0].astype(np.float32), TWO[1].astype(np.float32)
    recipe = mlp_recipe("it", (6, 4, 1), "relu", "adam", 0.05, epochs=3)
    seeds = list(range(100, 117))  # two chunks of nine, of which one place is padding
    members = train_members(recipe, x, y, Binary(), seeds, engine="eager")
    assert members.weights["0.weight"].shape == (17, 4, 6)
    assert members.epochs.tolist() == [3] * 17
    alone = train_members(recipe, x, y, Binary(), seeds[-1:], engine="eager")
    np.testing.assert_allclose(members.weights["0.weight"][-1], alone.weights["0.weight"][0], 1e-4)
