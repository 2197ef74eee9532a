import sqlite3

import numpy as np
import pytest

from functional_clf.record.database import StoreError
from functional_clf.record.names import FILE_NAME
from functional_clf.record.rows import SEED_COLUMNS, ChunkResult
from functional_clf.record.store import Store


def record_of(seeds, models=("a", "b"), records=3):
    n = len(seeds)
    rows = [
        (
            model,
            seed,
            3 * seed,
            3 * seed + 1,
            3 * seed + 2,
            70,
            80,
            15,
            20,
            0.5,
            float("nan"),
            False,
        )
        for model in models
        for seed in seeds
    ]
    curves = {
        f"{model}/{part}_{what}": np.tile(np.array(seeds, dtype), (records, 1))
        for model in models
        for part in ("train", "test")
        for what, dtype in (("loss", np.float32), ("correct", np.int32))
    }
    params = {f"{model}/0.weight": np.array(seeds, np.float32).reshape(n, 1) for model in models}
    return ChunkResult(rows, curves, params)


@pytest.fixture
def folder(tmp_path):
    with Store(tmp_path) as store:
        store.adopt({"vary": "data"}, {"torch": "x"})
        store.write_chunk(record_of([5, 3]))
        store.write_chunk(record_of([4, 9]))
    return tmp_path


def reopened(folder):
    with Store(folder) as store:
        store.adopt({"vary": "data"}, {"torch": "y"})
        return store.finished_seeds()


def test_what_is_written_is_read_back_in_order_of_model_and_seed(folder):
    with Store(folder) as store:
        assert store.configuration == {"vary": "data"}
        assert store.finished_seeds() == {3, 4, 5, 9}
        table = store.seeds(range(3, 6))
        assert table.columns == list(SEED_COLUMNS)
        assert table["model"].to_list() == ["a"] * 3 + ["b"] * 3
        assert table["seed"].to_list() == [3, 4, 5] * 2
        assert table["test_loss"].null_count() == 6  # NaN is no number: null
        np.testing.assert_array_equal(
            store.curves("a", range(3, 10))["train_loss"][0], [3, 4, 5, 9]
        )
        seeds, params = store.params("b", range(4, 10))
        assert seeds == [4, 5, 9]
        np.testing.assert_array_equal(params["0.weight"][:, 0], [4, 5, 9])


def test_weights_that_were_not_kept_are_not_there(tmp_path):
    with Store(tmp_path) as store:
        store.adopt({}, {})
        store.write_chunk(record_of([0, 1])._replace(params={}))
        assert store.params("a", range(2)) == ([], {})
        assert store.curves("a", range(2))["test_loss"].shape == (3, 2)


def test_a_chunk_is_written_whole_or_not_at_all(folder):
    with Store(folder) as store:
        with pytest.raises(StoreError):
            store.write_chunk(record_of([11, 9]))  # 9 is there already
        assert store.finished_seeds() == {3, 4, 5, 9}
        store.write_chunk(record_of([11]))
    assert reopened(folder) == {3, 4, 5, 9, 11}


def test_another_study_is_refused_with_what_differs(folder):
    with Store(folder) as store, pytest.raises(StoreError, match="vary is 'data' there, 'init'"):
        store.adopt({"vary": "init"}, {})
    assert reopened(folder) == {3, 4, 5, 9}


def test_a_second_opening_is_refused_while_the_first_lasts(folder):
    with Store(folder), pytest.raises(StoreError, match="in use by another process"):
        Store(folder)
    reopened(folder)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(StoreError, match="file"):
            Store(path)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_database_of_someone_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is not a functional_clf study"):
        Store(tmp_path)
    assert path.read_bytes() == before


def test_a_newer_format_is_refused(folder):
    database = sqlite3.connect(folder / FILE_NAME)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match="format 99"):
        Store(folder)


@pytest.mark.parametrize("size", [0, 1, 100, 600, 5000])
def test_a_truncated_database_is_detected(folder, size):
    path = folder / FILE_NAME
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match=FILE_NAME):
        Store(folder)
    assert len(path.read_bytes()) == size


def test_a_flipped_bit_is_never_silently_believed(folder):
    path = folder / FILE_NAME
    whole = path.read_bytes()

    def contents():
        with Store(folder) as store:
            store.adopt({"vary": "data"}, {})
            everything = range(20)
            tables = [store.seeds(everything).rows()]
            for model in ("a", "b"):
                curves = store.curves(model, everything)
                seeds, params = store.params(model, everything)
                tables += [seeds, *(value.tolist() for value in (curves | params).values())]
            return tables

    expected = contents()
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    detected = 0
    for bit in generator.choice(8 * len(whole), 400, replace=False):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            assert contents() == expected  # the bit held nothing
        except StoreError:
            detected += 1
    assert detected > 20  # most of a small database is empty pages
