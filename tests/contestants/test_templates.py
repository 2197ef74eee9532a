import pytest

from functional_clf import Study, circles, mlp_recipe, model_0, model_1
from functional_clf.contestants.base import Template
from functional_clf.contestants.mlp import of_settings
from functional_clf.contestants.settings import MlpSettings


@pytest.mark.parametrize(
    ("hidden", "n_features", "n_classes", "sizes"),
    [((), 4, 3, [4, 3]), ((8,), 30, 2, [30, 8, 1]), ((64, 32), 5, 10, [5, 64, 32, 10])],
)
def test_inputs_and_outputs_follow_the_data(hidden, n_features, n_classes, sizes):
    template = mlp_recipe("m", hidden=hidden, learning_rate=0.1, epochs=7)
    assert isinstance(template, Template)
    recipe = template.sized(n_features, n_classes)
    assert recipe.describe()["layer_sizes"] == sizes
    assert (recipe.name, recipe.epochs, recipe.describe()["learning_rate"]) == ("m", 7, 0.1)


def test_a_study_sizes_templates_by_its_data_and_is_the_same_study():
    named = Study(circles(100), (model_0(hidden=(5,)), model_1(hidden=(16, 16))), seeds=2)
    assert named.identity() == Study(circles(100), (model_0(), model_1()), seeds=2).identity()
    assert named.identity() == Study(circles(100), seeds=2).identity()


def test_a_list_of_contestants_will_do():
    assert Study(circles(100), [model_0(hidden=())], seeds=2).names == ["model_0"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, TypeError, "layer_sizes is None and hidden is None; give one of them"),
        ({"layer_sizes": (2, 1), "hidden": (3,)}, TypeError, "give one of them"),
        ({"hidden": (0,)}, ValueError, "hidden is 0; it must be at least 1"),
        ({"hidden": (2.5,)}, TypeError, "hidden is 2.5; it must be a whole number"),
        ({"hidden": 16}, TypeError, r"hidden is 16; it must be whole numbers, as in \(16, 16\)"),
        ({"hidden": (3,), "activation": "step"}, ValueError, "activation is 'step'"),
        ({"hidden": (3,), "optimizer": "lamb"}, ValueError, "optimizer is 'lamb'"),
        ({"hidden": (3,), "learning_rate": -1.0}, ValueError, "learning_rate is -1.0"),
        ({"hidden": (3,), "epochs": 0}, ValueError, "epochs is 0"),
    ],
)
def test_what_makes_no_network_is_refused_at_once(arguments, error, words):
    with pytest.raises(error, match=words):
        mlp_recipe("m", **arguments)


def test_settings_of_both_kinds_are_refused():
    both = MlpSettings(
        hidden=(3,), layer_sizes=(2, 1), activation=None, optimizer="sgd", learning_rate=0.1
    )
    with pytest.raises(TypeError, match="give one of them"):
        of_settings("m", both)


def test_a_template_alone_is_not_a_list_of_contestants():
    with pytest.raises(TypeError, match=r"contestants is .*; it must be a tuple of contestants"):
        Study(circles(100), model_0(hidden=()))
