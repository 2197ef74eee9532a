"""What a type checker, and an import, see of the package from outside."""

import importlib
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import functional_clf

ROOT = Path(__file__).parents[1]
STUB = (ROOT / "functional_clf" / "__init__.pyi").read_text(encoding="utf-8")

FORMER_NAMES = [
    *("Batch", "Comparison", "Curves", "Dataset", "Metrics", "Model", "Optimizer", "Params"),
    *("Recipe", "Record", "Results", "StoreError", "Study", "TrainState", "adam", "apply_updates"),
    *("bce_with_logits", "circles", "compare", "count_correct", "fit", "init_state", "load_seed"),
    *("make_eval_step", "make_train_step", "mlp", "mlp_recipe", "model_0", "model_1", "moons"),
    *("sequential", "sgd", "stepwise"),
]
"""The public names before the package was laid out in rooms."""

RIGHT = """\
from functional_clf import Comparison, Dataset, Recipe, Results, Study, circles, compare, model_1

data: Dataset = circles(n_samples=200)
recipe: Recipe = model_1(layer_sizes=(2, 8, 1), activation="tanh", epochs=5)
study = Study(data, (recipe,), seeds=4, vary="split", margin=0.02)
more: range = Study(data, (recipe,), seeds=range(4, 8)).seeds
results: Results = study.run("runs/small")
comparison: Comparison = compare([0.9, 0.8], [0.7, 0.7], scope="data", margin=0.02)
reveal_type(Study)
reveal_type(circles)
reveal_type(comparison.verdict)
"""

WRONG = {
    "Study(nonsense=3)": "nonsense",
    "Study(circles(), vary='everything')": "everything",
    "Study(circles(), seeds='many')": "seeds",
    "circles(n_sample=3)": "n_sample",
    "model_1(activation='step')": "step",
    "compare([0.1], [0.2], nonsense=1)": "nonsense",
    "compare([0.1], [0.2], margin='wide')": "margin",
    "Study().run().verdict": "verdict",
    "from functional_clf import nonsense": "nonsense",
}


def checked(script, folder):
    """What pyright says of a script: a line for each thing it reveals or finds wrong."""
    if find_spec("pyright") is None:
        pytest.skip("pyright is not installed; the lint extra brings it")
    path = folder / "script.py"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(path)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "script.py" in done.stdout or "0 errors" in done.stdout, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "script.py:" in line]


@pytest.fixture
def user(tmp_path):
    """A user's folder, whose checker finds the package here, wherever it is installed."""
    settings = f'[tool.pyright]\nextraPaths = ["{ROOT.as_posix()}"]\n'
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    return tmp_path


def test_a_script_of_a_user_types_right(user):
    said = checked(RIGHT, user)
    assert len(said) == 3, said
    assert all("information" in line for line in said)
    assert 'Type of "Study" is "type[Study]"' in said[0]
    assert (
        '"(n_samples: int = 1000, noise: float = 0.03, factor: float = 0.8) -> Dataset"' in said[1]
    )
    assert "better" in said[2]


def test_wrong_calls_are_errors_for_a_type_checker(user):
    first = "from functional_clf import Study, circles, compare, model_1\n"
    said = checked(first + "\n".join(WRONG), user)
    errors = {int(line.split(":")[1]): line for line in said if " - error: " in line}
    assert sorted(errors) == [number + 2 for number in range(len(WRONG))], said
    for number, about in enumerate(WRONG.values()):
        assert about in errors[number + 2]


def test_every_public_name_imports_and_is_in_the_stub():
    told = re.findall(r"^from \S+ import \w+ as (\w+)$", STUB, re.MULTILINE)
    assert sorted(functional_clf.__all__) == sorted(told)
    assert set(told) <= set(dir(functional_clf))
    for name in functional_clf.__all__:
        assert getattr(functional_clf, name) is not None


@pytest.mark.parametrize("name", FORMER_NAMES)
def test_a_former_public_name_still_imports(name):
    assert name in functional_clf.__all__
    assert getattr(functional_clf, name) is not None


def test_the_version_is_that_of_the_installed_package():
    from importlib.metadata import version

    assert functional_clf.__version__ == version("functional_clf")


def test_what_is_no_public_name_is_refused():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = functional_clf.nonsense


@pytest.mark.parametrize(
    ("room", "name"),
    [("data", "Dataset"), ("data", "circles"), ("data", "ChunkData"), ("study", "Study")],
)
def test_a_room_gives_what_a_module_of_its_name_gave(room, name):
    found = getattr(importlib.import_module(f"functional_clf.{room}"), name)
    assert found.__module__.startswith(f"functional_clf.{room}.")
