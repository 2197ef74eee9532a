import functools

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from functional_clf import Study, circles, estimator, iris, mlp_recipe, model_0, model_1
from functional_clf.reports.findings import findings_of, findings_of_scores
from functional_clf.score_tables.comparing import compare_table
from functional_clf.score_tables.table import ScoreTable

HOSTILE = (
    r"\input{/etc/passwd}$&#^_~%{}",
    "[x] *b* `c` |d| <script>alert(1)</script>",
    'quo"te\'s `` -- --- ,, ?` !` "a',
    "модель 中文 😀 é Ł \u2011",
    "a\nb\x1b[31m\u202e # c",
    "1. item_" + "long" * 20,
)


def _lesson():
    return model_0(epochs=15), model_1(epochs=15)


def _nets(*widths):
    return [mlp_recipe(f"net {w}", (4, w, 3), "relu", "adam", 0.05, epochs=15) for w in widths]


def _tables(n_sets=1, **more):
    rng = np.random.default_rng(5)
    n = 12
    good = np.round(rng.uniform(0.80, 0.95, n), 3)
    flat = np.round(rng.uniform(0.50, 0.65, n), 3)
    sets = np.repeat([f"set_{i}" for i in range(n_sets)], n // n_sets)
    dataset = sets if n_sets > 1 else None
    return ScoreTable(
        {"flat": flat, "deep": good}, np.arange(n), source="a_file.csv", dataset=dataset, **more
    )


def _hostile():
    rng = np.random.default_rng(3)
    scores = {name: np.round(rng.uniform(0.5, 0.9, 8), 3) for name in HOSTILE}
    return ScoreTable(scores, np.arange(8), source=HOSTILE[0], setting=HOSTILE[1])


_STUDIES = {
    "two models": lambda: Study(circles(60), _lesson(), 6, engine="eager"),
    "one model": lambda: Study(circles(60), [model_1(epochs=15)], 6, engine="eager"),
    "one of splits": lambda: Study(iris(), _nets(3), 5, engine="eager"),
    "one seed": lambda: Study(circles(60), _lesson(), 1, engine="eager"),
    "initialisations": lambda: Study(circles(60), _lesson(), 6, vary="init", engine="eager"),
    "crossed": lambda: Study(
        circles(60), _lesson(), design="crossed", data_seeds=4, init_seeds=3, engine="eager"
    ),
    "five models": lambda: Study(
        iris(),
        [estimator("tree_2", DecisionTreeClassifier(max_depth=2)), *_nets(2, 3, 4, 5)],
        5,
        engine="eager",
    ),
    "baseline": lambda: Study(iris(), _nets(2, 3, 4), 5, baseline="net 3", engine="eager"),
    "log loss": lambda: Study(
        iris(), _nets(2, 3), 5, metric="log_loss", margin=0.02, engine="eager"
    ),
    "until decided": lambda: Study(
        circles(200), (model_0(epochs=5), model_1(epochs=150)), 32, until_decided=True,
        engine="eager",
    ),
    "diverged": lambda: Study(
        circles(60),
        [model_0(epochs=15), mlp_recipe("wild", (2, 8, 1), "relu", "sgd", 1e30, epochs=5)],
        6,
        engine="eager",
    ),
}  # fmt: skip
_SCORES = {
    "score file": lambda: (_tables(), {}),
    "scores of splits": lambda: (_tables(scope="split"), {"n_train": 80, "n_test": 20}),
    "several data sets": lambda: (_tables(3), {}),
    "two equal columns": lambda: (
        ScoreTable({"a": np.full(6, 0.9), "b": np.full(6, 0.7)}, np.arange(6)), {},
    ),
    "hostile names": lambda: (_hostile(), {}),
}  # fmt: skip

KINDS = (*_STUDIES, *_SCORES)


@functools.cache
def _made(kind):
    if kind in _STUDIES:
        results = _STUDIES[kind]().run()
        return findings_of(results), results
    table, settings = _SCORES[kind]()
    return findings_of_scores(table, compare_table(table, **settings)), None


@pytest.fixture(params=KINDS)
def each_kind(request):
    """Of every kind of findings: its name, the findings, and the results where it is a study."""
    return request.param, *_made(request.param)


@pytest.fixture
def made():
    """The findings and the results, or None, of a kind by its name."""
    return _made
