"""Names that stand for a network's factory, or for a classifier."""

import sys

import pytest

from functional_clf import Study, circles, contestant_of, module_recipe
from functional_clf.contestants.named import made
from functional_clf.contestants.specs import spec_of

MODELS = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

def net(n_features, n_classes, width=8):
    return nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_classes))

def one(n_features):
    return nn.Linear(n_features, 2)

def three(n_features, n_classes, other):
    return nn.Linear(n_features, n_classes)

def nothing(n_features, n_classes):
    return None

def failing(n_features, n_classes):
    raise RuntimeError("no such net")

def clashing(n_features, n_classes, epochs):
    return nn.Linear(n_features, n_classes)

class Line(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.line = nn.Linear(n_features, n_classes)

    def forward(self, x):
        return self.line(x)

class Mine:
    def fit(self, x, y): ...
    def predict(self, x): ...

PIPELINE = make_pipeline(StandardScaler(), LogisticRegression())
"""
FILE = "networks_of_test.py"


@pytest.fixture(autouse=True)
def _models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / FILE).write_text(MODELS)
    yield
    sys.modules.pop("networks_of_test", None)


@pytest.mark.parametrize("name", ["net", "Line"])
def test_a_factory_is_trained_as_module_recipe_does_it(name):
    found = contestant_of("m", f"{FILE}:{name}").sized(2, 2)
    factory = getattr(sys.modules["networks_of_test"], name)
    plain = module_recipe("m", factory).sized(2, 2)
    contestants = (found, module_recipe("plain", factory))
    assert found.epochs == plain.epochs
    results = Study(circles(80), contestants, seeds=3, engine="eager").run()
    accuracies = results.accuracies("m"), results.accuracies("plain")
    assert (accuracies[0] == accuracies[1]).all()
    assert (results.of("m")["test_loss"] == results.of("plain")["test_loss"]).all()


def test_settings_of_the_training_and_arguments_of_the_factory_go_where_they_belong():
    text = f"{FILE}:net,width=4,epochs=9,batch_size=16,optimizer=adamw,schedule=cosine,patience=3"
    found = made(spec_of("m", text))
    recipe = found.contestant.sized(2, 2)
    assert recipe.as_module()[0].out_features == 4
    assert (recipe.epochs, recipe.batch_size, recipe.stop.patience) == (9, 16, 3)
    assert recipe.describe()["optimizer"] == "adamw"
    assert found.settings["width"] == 4
    assert found.settings["learning_rate"] == 1e-3
    again = contestant_of("m", found.target, **found.settings).sized(2, 2)
    assert again.describe() == recipe.describe()
    assert made(spec_of("m", text), epochs=5).contestant.epochs == 5


def test_a_class_of_classifiers_takes_its_own_arguments():
    found = made(spec_of("m", "sklearn.linear_model:LogisticRegression,C=0.5"))
    assert found.contestant.classifier.C == 0.5
    assert found.settings["C"] == 0.5
    assert found.settings["fit_intercept"] is True
    again = contestant_of("m", found.target, **found.settings)
    assert again.describe() == found.contestant.describe()


def test_an_object_is_copied_with_other_parameters():
    found = contestant_of("m", f"{FILE}:PIPELINE", logisticregression__C=0.5)
    assert found.classifier["logisticregression"].C == 0.5
    assert sys.modules["networks_of_test"].PIPELINE["logisticregression"].C == 1.0
    assert contestant_of("m", f"{FILE}:PIPELINE,raw=true").raw is True


WRONG = [
    ("FILE:one", "FILE:one takes (n_features); it must take two arguments, (n_features"),
    ("FILE:three", "it must take two arguments"),
    ("FILE:net,widht=4", "widht is no setting of FILE:net; did you mean width? It takes width,"),
    ("FILE:net,optimizer=adm", "optimizer is 'adm'; it must be one of"),
    ("FILE:net,epochs=0", "epochs is 0; it must be at least 1"),
    ("FILE:net,patience=x", "patience is 'x'; it must be a whole number"),
    ("FILE:clashing,epochs=3", "epochs is an argument of FILE:clashing and a setting of its"),
    ("FILE:Mine", "has no get_params"),
    ("FILE:PIPELINE,C=1", "C is no setting of FILE:PIPELINE; did you mean logisticregression__C?"),
    ("sklearn.svm:SVC,c=1", "c is no setting of sklearn.svm:SVC; did you mean C? It takes C, "),
    ("sklearn.svm:SVR", "predicts numbers, as a regressor does; it must be a classifier, as SVC"),
    ("sklearn.cluster:KMeans", "is no classifier"),
    ("sklearn.ensemble:VotingClassifier", "missing 1 required positional argument: 'estimators'"),
    ("sklearn.base:ClassifierMixin", "it must take two arguments"),
    ("estimator:x", "estimator takes no values"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "gist"), WRONG, ids=[spec for spec, _ in WRONG])
def test_what_is_wrong_is_told_in_one_line(spec, gist):
    with pytest.raises(ValueError, match=r"^model 'm': [^\n]*$") as caught:
        contestant_of("m", spec.replace("FILE", FILE))
    assert gist.replace("FILE", FILE) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "gist"), [("nothing", "returned None"), ("failing", "no such net")]
)
def test_a_factory_that_makes_no_module_is_told_once_the_data_are_known(name, gist):
    with pytest.raises(ValueError, match=gist):
        contestant_of("m", f"{FILE}:{name}").sized(2, 2)
