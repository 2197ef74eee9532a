"""What a name stands for, and how each wrong one is told."""

import sys

import pytest

from functional_clf import Study, circles, contestant_of, mlp_recipe
from functional_clf.contestants.named import made
from functional_clf.contestants.specs import spec_of

MODELS = '''
import abc
from torch import nn
from functional_clf import mlp_recipe
from helper_of_models import WIDTH

def net(n_features, n_classes, width=WIDTH):
    return nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_classes))

class Line(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.line = nn.Linear(n_features, n_classes)

    def forward(self, x):
        return self.line(x)

class Abstract(abc.ABC):
    @abc.abstractmethod
    def fit(self): ...
    @abc.abstractmethod
    def predict(self): ...

class Mean:
    """A contestant of no dataclass."""
    def __init__(self, name, share=0.5):
        self.name, self.share = name, share
        self.curve_epochs = (0,)
    def describe(self):
        return {"kind": "mean", "share": self.share}
    def train(self, data, replicates, training): ...

MODULE = nn.Linear(2, 1)
NUMBER = 3
RECIPE = mlp_recipe("recipe", (2, 4, 1), epochs=7)
TEMPLATE = mlp_recipe("template", hidden=(4,), epochs=7)
MEAN = Mean("mean")
'''


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A file of models that nothing else in this process has imported; its stem."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "helper_of_models.py").write_text("WIDTH = 8\n")
    (tmp_path / "models_of_test.py").write_text(MODELS)
    yield "models_of_test"
    for name in ("helper_of_models", "models_of_test", "other_of_test"):
        sys.modules.pop(name, None)


def test_a_kind_of_the_registry_is_what_its_factory_makes():
    named = contestant_of("m", "mlp:64,64", epochs=5).sized(4, 3)
    plain = mlp_recipe("m", hidden=(64, 64), epochs=5).sized(4, 3)
    assert named.describe() == plain.describe()
    assert contestant_of("m", "mlp:").sized(4, 2).describe()["layer_sizes"] == [4, 1]


def test_all_settings_are_told_with_their_defaults():
    found = made(spec_of("m", "mlp:8,activation=None"), epochs=3)
    assert found.target == "mlp"
    assert found.settings | {"hidden": [8], "activation": None, "epochs": 3} == found.settings
    assert found.settings["learning_rate"] == 0.01
    assert "layer_sizes" not in found.settings
    again = contestant_of("m", found.target, **found.settings)
    assert again.sized(4, 3).describe() == found.contestant.sized(4, 3).describe()


@pytest.mark.parametrize("place", ["{}.py", "./{}.py", "{}"])
def test_a_contestant_in_a_file_or_a_module_is_taken_as_it_is(place, models):
    place = place.format(models)
    assert contestant_of("recipe", f"{place}:RECIPE") is sys.modules[models].RECIPE
    assert contestant_of("mean", f"{place}:MEAN") is sys.modules[models].MEAN
    renamed = contestant_of("other", f"{place}:RECIPE,epochs=3")
    assert (renamed.name, renamed.epochs) == ("other", 3)
    mean = made(spec_of("mine", f"{place}:Mean,share=0.3"))
    assert (mean.contestant.name, mean.contestant.share) == ("mine", 0.3)
    assert mean.settings == {"share": 0.3}


def test_a_file_is_one_module_under_its_own_name(models, tmp_path):
    first = contestant_of("recipe", f"{models}.py:RECIPE")
    assert contestant_of("recipe", str(tmp_path / f"{models}.py") + ":RECIPE") is first
    assert sys.modules[models].net.__module__ == models
    assert not (tmp_path / "__pycache__" / f"{models}.cpython-311.pyc").exists()
    # A file that has changed is read anew.
    (tmp_path / f"{models}.py").write_text(MODELS.replace("epochs=7", "epochs=8"))
    assert contestant_of("recipe", f"{models}.py:RECIPE").epochs == 8
    # One that fails leaves the module that there was.
    before = sys.modules[models]
    (tmp_path / f"{models}.py").write_text("1 / 0")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        contestant_of("recipe", f"{models}.py:RECIPE")
    assert sys.modules[models] is before


def test_the_source_of_a_file_is_part_of_what_a_study_is(models, tmp_path):
    def identity():
        study = Study(circles(80), (mlp_recipe("a", (2, 1), None), contestant_of("b", FACTORY)))
        return study.identity()["models"]["b"]

    (tmp_path / "other_of_test.py").write_text(OWN.format(share=2.0))
    FACTORY = "other_of_test.py:RECIPE"  # noqa: N806
    one = identity()
    assert identity() == one
    (tmp_path / "other_of_test.py").write_text(OWN.format(share=3.0))
    assert identity()["code"] != one["code"]


OWN = """
import torch
from functional_clf import Model, Recipe, adam, mlp

def scaled(params, x):
    return {share} * base.apply(params, x)

base = mlp((2, 4, 1), torch.tanh)
RECIPE = Recipe("b", Model(base.init, scaled), adam(0.01), epochs=3)
"""

WRONG = [
    ("mlp", "mlp has no hidden widths; give them as in mlp:64,64"),
    ("mlp,hiden=8", "hiden is no setting of mlp; did you mean hidden?"),
    ("mlp:x", "hidden is 'x'; it must be a whole number"),
    ("mlp:0", "hidden is 0; it must be at least 1"),
    ("mlp:8,hidden=[4]", "hidden is given twice"),
    ("mlp:8,epoch=3", "epoch is no setting of mlp; did you mean epochs? It takes layer_sizes,"),
    ("mlp:8,epochs=x", "epochs is 'x'; it must be a whole number"),
    ("mlp:8,optimizer=adm", "optimizer is 'adm'; it must be one of"),
    ("mlp:8,name=x", "name is no setting of mlp"),
    ("mpl:8", "there is no module 'mpl'; did you mean mlp?"),
    ("nonsense", "'nonsense' is no model; it must be like mlp:64,64"),
    ("FILE.py", "FILE.py names a file alone; it must be FILE.py:NAME"),
    ("FILE.py:", "'FILE.py:' is no model"),
    ("FILE:", "'FILE:' is no model"),
    ("FILEs.py:net", "there is no file 'FILEs.py'; did you mean FILE.py?"),
    ("no/such.py:net", "there is no file 'no/such.py'"),
    ("no.such.module:net", "there is no module 'no'"),
    ("sklearn.svn:SVC", "there is no module 'sklearn.svn'"),
    ("FILE.py:nett", "FILE.py has no 'nett'; did you mean net?"),
    ("FILE.py:Line.x", "FILE.py:Line has no 'x'"),
    ("FILE:NETS", "FILE has no 'NETS'; did you mean net?"),
    ("FILE.py:MODULE", "FILE.py:MODULE is a module, a Linear; name a function of"),
    ("FILE.py:NUMBER", "FILE.py:NUMBER is 3; it must be a classifier with fit and predict"),
    ("FILE.py:Abstract", "FILE.py:Abstract is an abstract class, without fit, predict"),
    ("FILE.py:RECIPE,momentum=1", "is a contestant, which is taken as it is; leave momentum out"),
    ("FILE.py:RECIPE,epochs=x", "epochs is 'x'; it must be a whole number"),
    ("FILE.py:TEMPLATE,epochs=3", "epochs of another number cannot be given to it"),
    ("FILE.py:MEAN", "FILE.py:MEAN calls itself 'mean'; give it that name"),
    ("FILE.py:Mean,shar=1", "shar is no setting of FILE.py:Mean; did you mean share? It takes"),
]


@pytest.mark.parametrize(("spec", "gist"), WRONG, ids=[spec for spec, _ in WRONG])
def test_what_is_wrong_is_told_in_one_line(spec, gist, models):
    with pytest.raises(ValueError, match=r"^model 'm': [^\n]*$") as caught:
        contestant_of("m", spec.replace("FILE", models))
    assert gist.replace("FILE", models) in str(caught.value)


BROKEN = [
    ("import nothing_there_at_all", "ModuleNotFoundError: No module named 'nothing_there_at_all'"),
    ("def f(:\n", "SyntaxError: invalid syntax (line 1)"),
    ("x = 1\n\n1 / 0", "ZeroDivisionError: division by zero (other_of_test.py, line 3)"),
    ("raise SystemExit(3)", "SystemExit: 3 (other_of_test.py, line 1)"),
    ("raise KeyError('a\\nb')", "KeyError"),
]


@pytest.mark.parametrize(("source", "gist"), BROKEN, ids=[gist for _, gist in BROKEN])
def test_a_file_that_fails_says_why_and_where(source, gist, models, tmp_path):
    (tmp_path / "other_of_test.py").write_text(source)
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        contestant_of("m", "other_of_test.py:net")
    assert str(caught.value).startswith("model 'm': importing other_of_test.py fails: ")
    assert gist in str(caught.value)
    assert "other_of_test" not in sys.modules


def test_a_file_that_takes_the_name_of_another_module_is_refused(models, tmp_path):
    for name, gist in (("json.py", "another module is called 'json'"), ("a-b.py", "its name must")):
        (tmp_path / name).write_text(MODELS)
        with pytest.raises(ValueError, match=gist):
            contestant_of("m", f"{name}:net")
