"""What a run folder's record says, against what its study says of itself."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from functional_clf import Dataset, Study, circles, from_arrays, mlp_recipe
from functional_clf.record.errors import StoreError
from functional_clf.score_tables.folders import is_run_folder, scores_of_folder
from functional_clf.score_tables.table import ScoreTable

FAST = {"engine": "eager", "threads": 1}
MODELS = (
    mlp_recipe("line", hidden=(), activation=None, epochs=3),
    mlp_recipe("wide", hidden=(8,), epochs=3),
)


def rows(n=60, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3))
    return x, (x[:, 0] + random.normal(size=n) > 0).astype(int)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A study of data that are drawn, and its folder."""
    folder = tmp_path_factory.mktemp("drawn") / "run"
    return Study(circles(60), MODELS, seeds=6, **FAST).run(folder), folder


@pytest.fixture(scope="module")
def of_table(tmp_path_factory):
    """A study of a table, compared by another metric than accuracy, and its folder."""
    folder = tmp_path_factory.mktemp("table") / "run"
    data = from_arrays(*rows(), name="people")
    study = Study(data, MODELS, seeds=6, metric="log_loss", margin=0.05, alpha=0.1, **FAST)
    return study.run(folder), folder


def test_a_record_gives_what_the_study_compares(drawn):
    results, folder = drawn
    table = scores_of_folder(folder)
    assert is_run_folder(folder)
    assert table.models == ("line", "wide")
    assert table.keys.tolist() == list(range(6))
    for name in table.models:
        assert table.scores[name].tolist() == results.of(name)["test_correct"].to_list()
        assert table.shares(name).tolist() == results.accuracies(name).tolist()
        assert not table.diverged[name].any()
    assert (table.total, table.n_train, table.n_test) == (12, 48, 12)
    assert (table.scope, table.setting) == ("data", "circles(60, noise 0.03, factor 0.8)")
    assert (table.metric, table.margin, table.alpha) == ("accuracy", 0.01, 0.05)
    assert table.failure_below == results.study.failure_threshold == 0.75
    assert table.majority is None
    assert table.doubts == ()


def test_a_table_s_record_has_its_metrics_and_its_majority(of_table):
    results, folder = of_table
    table = scores_of_folder(folder)
    assert (table.metric, table.margin, table.alpha) == ("log_loss", 0.05, 0.1)
    assert (table.scope, table.setting) == ("split", str(results.study.dataset))
    assert table.total is None
    np.testing.assert_array_equal(table.scores["wide"], results.scores("wide", "log_loss"))
    np.testing.assert_array_equal(table.majority, results.majority_scores("log_loss"))
    balanced = scores_of_folder(folder, "balanced_accuracy")
    assert balanced.step == results._step("balanced_accuracy")
    assert balanced.margin is None  # it was looked at by another metric
    by_counts = scores_of_folder(folder, "accuracy")
    np.testing.assert_array_equal(by_counts.majority, results.majority_scores("accuracy"))
    assert by_counts.failure_below is None


def test_a_test_set_given_apart_is_a_scope_of_its_own(tmp_path):
    data = from_arrays(*rows(), test=rows(20, seed=1), name="people")
    Study(data, MODELS, seeds=2, **FAST).run(tmp_path / "run")
    assert scores_of_folder(tmp_path / "run").scope == "test_set"


def test_earlier_looks_are_told_and_none_is_noted(tmp_path):
    folder = tmp_path / "run"
    for seeds, margin in ((3, 0.02), (5, 0.01)):
        Study(circles(60), MODELS, seeds=seeds, margin=margin, **FAST).run(folder)
    for _ in range(2):
        looks = scores_of_folder(folder).looks
        assert (looks.first_margin, looks.earlier) == (0.02, 1)


def test_seeds_that_are_missing_are_told(tmp_path):
    for seeds in (range(2), range(4, 6)):
        Study(circles(60), MODELS, seeds=seeds, **FAST).run(tmp_path / "run")
    table = scores_of_folder(tmp_path / "run")
    assert table.keys.tolist() == [0, 1, 4, 5]
    (doubt,) = table.doubts
    assert "2 of the seeds 0 to 5 are missing" in doubt


def test_what_the_record_does_not_keep_is_told(tmp_path):
    own = Dataset("own", 60, lambda seed: rows(seed=seed))
    Study(own, MODELS, seeds=2, failure_below=0.9, **FAST).run(tmp_path / "run")
    table = scores_of_folder(tmp_path / "run")
    assert table.failure_below is None
    assert "which accuracy is a failure" in table.doubts[0]


def test_a_crossed_design_is_refused(tmp_path):
    study = Study(circles(60), MODELS, design="crossed", data_seeds=2, init_seeds=2, **FAST)
    study.run(tmp_path / "run")
    with pytest.raises(ValueError, match="crossed design, whose cells are no pairs"):
        scores_of_folder(tmp_path / "run")


def test_exports_are_not_believed(drawn):
    _, folder = drawn
    before = scores_of_folder(folder).shares("wide")
    pl.DataFrame({"model": ["wide"], "seed": [0], "test_correct": [12]}).write_csv(
        folder / "seeds.csv"
    )
    (folder / "results.json").write_text(json.dumps({"config": {"margin": 0.5}}))
    np.testing.assert_array_equal(scores_of_folder(folder).shares("wide"), before)
    assert scores_of_folder(folder).margin == 0.01


def test_what_is_no_record_of_scores_is_refused_in_a_line(drawn, tmp_path):
    _, folder = drawn
    with pytest.raises(ValueError, match="holds no study"):
        scores_of_folder(tmp_path)
    with pytest.raises(ValueError, match="metric is 'r2'; it must be one of"):
        scores_of_folder(folder, "r2")
    with pytest.raises(ValueError, match=r"does not record of line; it must be one of accuracy$"):
        scores_of_folder(folder, "roc_auc")
    (tmp_path / "study.sqlite").write_bytes(b"SQLite format 3\0" + bytes(2000))
    with pytest.raises(StoreError):
        scores_of_folder(tmp_path)


def test_columns_of_unlike_lengths_are_no_table():
    with pytest.raises(ValueError, match="scores of b has 1 entries, and there are 2 keys"):
        ScoreTable({"a": np.zeros(2), "b": np.zeros(1)}, np.arange(2))


def test_no_torch_is_needed_to_read_a_record(drawn):
    _, folder = drawn
    code = (
        "import sys; from functional_clf.score_tables.folders import scores_of_folder; "
        "print(len(scores_of_folder(sys.argv[1]))); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["6", "False"]
