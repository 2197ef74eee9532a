"""The pages that the tests of the report look at: each kind of study in small, and scores."""

from pathlib import Path

import numpy as np
import polars as pl
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from functional_clf import (
    Dataset,
    Study,
    blobs,
    circles,
    estimator,
    from_arrays,
    iris,
    mlp_recipe,
    model_0,
    model_1,
)
from functional_clf.cli.main import main
from functional_clf.reports.gathering import Gathered
from functional_clf.reports.plots import content_of
from functional_clf.reports.report_files import made_of, report_of
from functional_clf.reports.tables import results_dict

TAG = "<script>alert(1)"
IMAGE = "<img src=x onerror=alert(2)>"
CYRILLIC = "модель № 1"
EMOJI = "🦊 & \"quotes\" 'too'"
LONG = "a_model_with_a_name_of_eighty_letters_" + "x" * 42
NAMES = (TAG, IMAGE, CYRILLIC, EMOJI, LONG)


def named(names, n_features=2, n_classes=2, epochs=4):
    outputs = 1 if n_classes == 2 else n_classes
    return [
        mlp_recipe(name, (n_features, 4, outputs), "relu", "adam", 0.05, epochs=epochs)
        for name in names
    ]


def main_job():
    models = model_0(epochs=10), model_1(epochs=120)
    return Study(circles(200), models, seeds=16, engine="eager").run()


def five_models():
    models = [
        *named(("small", "large"), 4, 3),
        estimator("tree", DecisionTreeClassifier(max_depth=2)),
        estimator("naive Bayes", GaussianNB()),
        *named(("third network",), 4, 3),
    ]
    return Study(iris(), models, seeds=6, engine="eager").run()


def crossed():
    models = model_0(epochs=4), model_1(epochs=4)
    study = Study(circles(80), models, design="crossed", data_seeds=3, init_seeds=3, engine="eager")
    return study.run()


def one_model():
    return Study(blobs(90), named(["alone"], 2, 3), seeds=3, engine="eager").run()


def hostile():
    """Of names that would break a page; and of a table whose columns and classes have such, too."""
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 2))
    labels = np.where(x[:, 0] > 0, TAG, CYRILLIC)
    frame = pl.DataFrame({IMAGE: x[:, 0], EMOJI: x[:, 1]})
    data = from_arrays(frame, labels, name=f"{TAG} & {LONG}")
    return Study(data, named(NAMES), seeds=3, engine="eager").run()


def diverged():
    """One model never fails, and one diverges in some of its seeds."""

    def draw(seed):
        random = np.random.default_rng(seed)
        x = random.normal(size=(60, 2)) * (1e19 if seed % 3 == 0 else 1)
        return x, (x[:, 0] > 0).astype(int)

    models = [
        mlp_recipe("wild", (2, 4, 1), "relu", "sgd", 1e4, epochs=6),
        mlp_recipe("tame", (2, 1), None, "adam", 0.1, epochs=6),
    ]
    return Study(Dataset("sometimes huge", 60, draw), models, seeds=9, engine="eager").run()


STUDIES = {
    one.__name__: one for one in (main_job, five_models, crossed, one_model, hostile, diverged)
}


def files_of(results, study_file=""):
    """What a run would write of a report, by name."""
    told = results_dict(results)
    mark = made_of(content_of(results), told, study_file)
    return report_of(Gathered(results), told, study_file, mark)


def scores(folder):
    """The page of a score file with hostile names, by the command."""
    random = np.random.default_rng(1)
    base = 0.7 + 0.1 * random.random(20)
    columns = {"seed": range(20), TAG: base, f"{EMOJI}\u202e\x07": base + 0.05, LONG: base - 0.02}
    path = Path(folder) / "scores of & <b>.csv"
    pl.DataFrame(columns).write_csv(path)
    assert main(["report", str(path), "--scope", "data", "--metric", "accuracy"]) == 0
    return (Path(folder) / "scores of & <b>.report.html").read_text("utf-8")


def write_all(folder):
    """Write all of them into a folder, to be looked at."""
    folder = Path(folder)
    for name, study in STUDIES.items():
        (folder / f"{name}.html").write_bytes(files_of(study())["report.html"])
    (folder / "scores.html").write_text(scores(folder), "utf-8")
