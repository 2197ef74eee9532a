import json

import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from functional_clf.contestants.estimators import estimator
from functional_clf.contestants.mlp import mlp_recipe, model_0, model_1
from functional_clf.data.bundled import breast_cancer, digits, iris, wine
from functional_clf.data.dataset import Dataset
from functional_clf.data.generators import blobs, circles, moons, spirals
from functional_clf.engines.base import Engine
from functional_clf.registry import CONTESTANTS, DATASETS, ENGINES, Registry, made_again

MADE = {
    "circles": (DATASETS, [circles(), circles(60, noise=0.1, factor=0.5), circles(60, noise=0)]),
    "moons": (DATASETS, [moons(), moons(44, noise=0.2)]),
    "blobs": (DATASETS, [blobs(), blobs(44, noise=0.2, n_classes=2), blobs(60, noise=0)]),
    "spirals": (DATASETS, [spirals(), spirals(44, noise=0, n_classes=7)]),
    "iris": (DATASETS, [iris(), iris(stratify=False)]),
    "wine": (DATASETS, [wine()]),
    "breast_cancer": (DATASETS, [breast_cancer()]),
    "digits": (DATASETS, [digits()]),
    "mlp": (
        CONTESTANTS,
        [
            model_0(),
            model_1(epochs=7),
            mlp_recipe("of three", (4, 16, 3), "tanh", "sgd", 0.05, momentum=0.9, epochs=3),
            mlp_recipe("π [1]", [2, 1], None, "adam", 1e-3),
        ],
    ),
    "estimator": (
        CONTESTANTS,
        [
            estimator("svm", SVC(C=3, class_weight={0: 1.0, 1: 2.0})),
            estimator("own", make_pipeline(StandardScaler(), GaussianNB()), raw=True),
        ],
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_what_a_factory_made_is_made_again_from_its_record(kind):
    registry, things = MADE[kind]
    for thing in things:
        recorded = json.loads(json.dumps(thing.describe()))
        assert recorded["kind"] == kind
        again = made_again(registry, recorded)
        assert type(again) is type(thing)
        assert json.loads(json.dumps(again.describe())) == recorded


def test_every_factory_is_tried_above():
    assert set(MADE) == {*DATASETS, *CONTESTANTS}


def test_a_made_data_set_draws_the_same_samples():
    one, again = moons(40), made_again(DATASETS, moons(40).describe())
    for theirs, ours in zip(one.sample(9), again.sample(9), strict=True):
        assert theirs.tobytes() == ours.tobytes()


@pytest.mark.parametrize(
    ("registry", "thing", "lies"),
    [
        (CONTESTANTS, model_1(), {"code": "0" * 24}),
        (CONTESTANTS, model_1(), {"code": None}),
        (CONTESTANTS, model_1(), {"activation": "tanh"}),  # of which the code tells
        (CONTESTANTS, model_1(), {"epochs": "7"}),
        (CONTESTANTS, model_1(), {"layer_sizes": "wide"}),
        (CONTESTANTS, model_1(), {"layer_sizes": None}),
        (CONTESTANTS, model_1(), {"activation": ["relu"]}),
        (CONTESTANTS, model_1(), {"more": 1}),
        (CONTESTANTS, model_1(), {"kind": "circles"}),
        (CONTESTANTS, model_1(), {"kind": None}),
        (CONTESTANTS, model_1(), {"kind": ["mlp"]}),
        (CONTESTANTS, model_1(), {"kind": "os:system"}),
        (CONTESTANTS, estimator("svm", SVC()), {"classifier": {}}),
        (CONTESTANTS, estimator("svm", SVC()), {"classifier": "SVC"}),
        (CONTESTANTS, estimator("svm", SVC()), {"classifier": {"class": "os.system"}}),
        (CONTESTANTS, estimator("svm", SVC()), {"versions": {"scikit-learn": "0.1"}}),
        (DATASETS, circles(), {"code": "0" * 24}),
        (DATASETS, circles(), {"name": "rings"}),
        (DATASETS, circles(), {"n_classes": 3}),
        (DATASETS, circles(), {"is_fixed": True}),
        (DATASETS, circles(), {"noise": "0.1"}),
        (DATASETS, circles(), {"kind": "moons"}),
    ],
)
def test_a_description_that_lies_is_refused_in_one_line(registry, thing, lies):
    name = {**thing.describe(), **lies}["name"]
    with pytest.raises(ValueError, match=rf"its {registry.kind} '{name}' ") as caught:
        made_again(registry, {**thing.describe(), **lies})
    assert "\n" not in str(caught.value)


def test_what_somebody_else_made_is_not_made_again():
    own = Dataset("circles", 40, circles(40).draw)  # by name alone it would be ours
    with pytest.raises(ValueError, match=r"'circles' is of somebody's own making; only circles, "):
        made_again(DATASETS, own.describe())
    with pytest.raises(ValueError, match="its data set None is of somebody's own making"):
        made_again(DATASETS, {})


def test_engines_bear_the_names_by_which_they_are_found():
    for name, engine in ENGINES.items():
        assert engine.name == name
        assert isinstance(engine.is_quick, bool)
        for method in ("why_not", "prepare", "train"):
            assert callable(getattr(engine, method))
        assert set(vars(Engine)) >= {"why_not", "prepare", "train"}


def test_names_are_known_before_anything_is_imported():
    nowhere = Registry("thing", {"one": "nowhere.at_all:one"})
    assert list(nowhere) == ["one"]
    assert "one" in nowhere
    assert "two" not in nowhere
    assert len(nowhere) == 1
    with pytest.raises(KeyError):
        nowhere["two"]
    with pytest.raises(ModuleNotFoundError):
        nowhere["one"]
