"""A record that somebody made, with digests to match: a study is not shown by it."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import safetensors.numpy
import torch

from functional_clf import EarlyStopping, Study, circles, load_seed, mlp_recipe
from functional_clf import run as command_line
from functional_clf.contestants.base import Trained
from functional_clf.core.types import Curves, Metrics
from functional_clf.record.database import StoreError
from functional_clf.record.names import FILE_NAME
from functional_clf.record.rows import SEED_COLUMNS, chunk_digest
from functional_clf.record.weights import write_params
from functional_clf.study.replay import replay

COLUMNS = ", ".join((*SEED_COLUMNS, "lane"))


def study():
    models = (
        mlp_recipe("a", (2, 4, 1), "relu", "adam", 0.03, epochs=3, stop=EarlyStopping(1)),
        mlp_recipe("b", (2, 1), None, "sgd", 0.1, epochs=3),
    )
    return Study(
        circles(40), models, seeds=3, engine="eager", metric="roc_auc", chunk_size=2,
        save_params=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("record")
    study().run(folder)
    return (folder / FILE_NAME).read_bytes()


def forge(folder, change_rows=None, curves=(), params=()):
    """Change the first chunk, and make its digest anew; an array of None is left out."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as database:
        if change_rows:
            database.execute(f"UPDATE replicate SET {change_rows} WHERE chunk = 1")
        rows = database.execute(
            f"SELECT {COLUMNS} FROM replicate WHERE chunk = 1 ORDER BY model, lane"
        ).fetchall()
        found = database.execute("SELECT curves, params FROM chunk WHERE id = 1").fetchone()
        blobs = []
        for blob, changes in zip(found, (curves, params), strict=True):
            arrays = safetensors.numpy.load(blob) | dict(changes)
            whole = {key: array for key, array in arrays.items() if array is not None}
            blobs.append(safetensors.numpy.save(whole))
        (environment,) = database.execute("SELECT environment FROM session").fetchone()
        database.execute(
            "UPDATE chunk SET curves = ?, params = ?, digest = ? WHERE id = 1",
            (*blobs, chunk_digest(rows, *blobs, environment)),
        )


@pytest.mark.parametrize(
    "forged",
    [
        {"change_rows": "n_test = 9, test_correct = 0"},
        {"change_rows": "n_train = 999"},
        {"change_rows": "data_seed = data_seed + 3"},
        {"curves": {"a/counts/epochs": np.array([1, 4], np.int32)}},
        {"curves": {"a/confusion": np.full((2, 2, 2), 7, np.int32)}},
        {"curves": {"a/confusion": None}},
        {"curves": {"a/scores/roc_auc": np.full(2, -1.0)}},
        {"curves": {"a/majority/accuracy": np.zeros(7)}},
    ],
    ids=["n_test", "n_train", "data", "epochs", "confusion", "missing", "score", "majority"],
)
def test_no_conclusion_is_made_of_what_no_run_leaves(forged, record, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(record)
    forge(tmp_path, **forged)
    with pytest.raises(StoreError, match="damaged"):
        study().run(tmp_path)


def test_other_points_than_the_curves_are_read_at_are_refused(record, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(record)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as database:
        (environment,) = database.execute("SELECT environment FROM session").fetchone()
        for chunk, blob, params in database.execute(
            "SELECT id, curves, params FROM chunk"
        ).fetchall():
            arrays = {
                key: array[:-1] if array.ndim == 2 else array
                for key, array in safetensors.numpy.load(blob).items()
            }
            curves = safetensors.numpy.save(
                {key: np.ascontiguousarray(array) for key, array in arrays.items()}
            )
            rows = database.execute(
                f"SELECT {COLUMNS} FROM replicate WHERE chunk = ? ORDER BY model, lane", (chunk,)
            ).fetchall()
            database.execute(
                "UPDATE chunk SET curves = ?, digest = ? WHERE id = ?",
                (curves, chunk_digest(rows, curves, params, environment), chunk),
            )
    with pytest.raises(StoreError, match="the curves of a have other points"):
        study().run(tmp_path)


@pytest.mark.parametrize(
    "weights",
    [
        {"b/0.weight": np.zeros((2, 5, 5), np.float32)},
        {"b/0.weight": None},
        {"b/more": np.zeros((2, 1), np.float32)},
        {"b/0.bias": np.zeros(2, np.int64)},
    ],
    ids=["shape", "missing", "more", "kind"],
)
def test_weights_that_are_no_networks_are_refused(weights, record, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(record)
    forge(tmp_path, params=weights)
    if weights.keys() != {"b/0.bias"}:  # whole numbers are numbers
        with pytest.raises(StoreError, match="the weights of b are not its own"):
            load_seed(tmp_path, "b", 0)
    with pytest.raises(StoreError, match="damaged"):
        write_params(tmp_path, ["b"], range(3))
    with pytest.raises(StoreError, match="damaged"):
        study().run(tmp_path)


def test_weights_of_another_network_in_all_chunks_are_refused(record, tmp_path):
    models = (study().contestants[0], mlp_recipe("b", (2, 1), None, "sgd", 0.1, epochs=3))
    small = Study(circles(40), models, seeds=2, engine="eager")
    small.run(tmp_path)
    forge(tmp_path, params={"b/0.weight": np.zeros((2, 5, 5), np.float32)})
    with pytest.raises(StoreError, match="the weights of b are not of its shapes"):
        small.run(tmp_path)


def test_a_replay_names_what_is_there_and_is_not_made_again(record, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(record)
    forge(
        tmp_path,
        curves={"a/counts/pauses": np.zeros(2, np.int32)},
        params={"a/more": np.zeros((2, 3), np.float32)},
    )
    found = replay(tmp_path, 0).models[0].differences
    assert "learning curve counts/pauses are there, not here" in found
    assert "weights more are there, not here" in found


def test_a_forged_record_is_one_line_on_the_command_line(tmp_path, capsys):
    args = ["--samples", "40", "--epochs", "2", "--engine", "eager", "--no-plots", "--seeds", "2"]
    args += ["--out", str(tmp_path)]
    assert command_line.main(args) == 0
    forge(tmp_path, curves={"model_1/test_loss": np.zeros(3, np.float32)})
    before = (tmp_path / "results.json").read_bytes()
    capsys.readouterr()
    for more in ([], ["--json"], ["--replay", "1"], ["--save-params"]):
        code = command_line.main([*args, *more])
        shown = capsys.readouterr()
        assert (code, shown.out, shown.err.count("\n")) == (2, "", 1)
        assert "model_1: test_loss is of float32 and shape (3,)" in shown.err
    assert (tmp_path / "results.json").read_bytes() == before
    assert json.loads(before)


class Own:
    """A contestant without a learning curve, that tells how long it trained."""

    name = "own"
    curve_epochs = (0,)

    def describe(self):
        return {"name": "own"}

    def train(self, data, replicates, training):
        width = len(replicates)
        metrics = [
            Metrics(torch.zeros(1, width), torch.ones(1, width, dtype=torch.int64)) for _ in "ab"
        ]
        epochs = np.full(width, 37)
        return Trained({}, Curves((0,), *metrics), np.zeros(width, bool), epochs=epochs)


def test_of_a_contestant_without_a_curve_any_number_of_epochs_is_believed(tmp_path):
    stopping = mlp_recipe("a", (2, 4, 1), "relu", "adam", 0.03, epochs=3, stop=EarlyStopping(1))
    for _ in range(2):  # trained, then shown
        results = Study(circles(40), (stopping, Own()), seeds=2, engine="eager").run(tmp_path)
    assert results.seeds.filter(model="own")["epochs"].to_list() == [37, 37]
