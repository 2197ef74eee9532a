"""What is damaged is never believed: every reading of a record ends in a StoreError or the truth.

FUZZ_FLIPS says of how many flipped bits, FUZZ_SEED which; both as of the other fuzzers.
"""

import functools
import json
import os
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import safetensors.numpy

from functional_clf.record.database import StoreError
from functional_clf.record.names import FILE_NAME
from functional_clf.record.rows import ChunkResult, chunk_digest
from functional_clf.record.store import Store

FLIPS = int(os.environ.get("FUZZ_FLIPS", "2000"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0")) * 10**6
PARTS = 8
MODELS = ("a", "b")
CONFIGURATION = {"vary": "data", "noise": 0.03, "models": {"a": {}, "b": {}}, "chunk_size": 4}
EVERYTHING = range(20)


def result_of(seeds, has_params):
    """All that a chunk can leave."""
    n, numbers = len(seeds), np.array(seeds)
    rows, curves, params = [], {}, {}
    for model in MODELS:
        rows += [
            (model, seed, 3 * seed, 3 * seed + 1, 3 * seed + 2, 70 - seed, 80, 15, 20, 0.5,
             float("nan"), seed == 3)
            for seed in seeds
        ]  # fmt: skip
        for part in ("train", "test"):
            curves[f"{model}/{part}_loss"] = np.tile(numbers / 7, (3, 1)).astype(np.float32)
            curves[f"{model}/{part}_correct"] = np.tile(numbers, (3, 1)).astype(np.int32)
        curves |= {
            f"{model}/scores/roc_auc": numbers / 20,
            f"{model}/majority/accuracy": np.full(n, 0.5),
            f"{model}/confusion": np.full((2, 2, n), 5, np.int32),
            f"{model}/counts/epochs": np.full(n, 9, np.int32),
            f"{model}/counts/best_epoch": np.full(n, 7, np.int32),
            f"{model}/warned/ConvergenceWarning: slowly": numbers == 4,
        }
        if has_params:
            params[f"{model}/0.weight"] = np.tile(numbers, (6, 1)).T.astype(np.float32)
    return ChunkResult(rows, curves, params)


def write_record(folder, page_size=4096, noise=0.03):
    configuration = CONFIGURATION | {"noise": noise}
    with Store(folder) as store:
        store.adopt(configuration, {"torch": "1"})
        store.write_chunk(result_of([5, 3, 0, 1], has_params=True))
    with Store(folder) as store:
        store.adopt(configuration, {"torch": "2"})
        store.write_chunk(result_of([4, 2], has_params=False))
        store.write_chunk(result_of([6, 8, 7, 9], has_params=True))
        store.look(range(10), 0.01, 0.05)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as database:
        database.execute(f"PRAGMA page_size = {page_size}")
        database.execute("VACUUM")
    return (folder / FILE_NAME).read_bytes()


@pytest.fixture(scope="module", params=[512, 4096])
def record(request, tmp_path_factory):
    """The bytes of a record in small pages, of which there are many, or in usual ones."""
    return write_record(tmp_path_factory.mktemp("record"), request.param)


def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def contents(folder):
    """All that can be read of a record, by every way there is."""
    with Store(folder) as store:
        found = [
            store.configuration,
            sorted(store.finished_seeds()),
            store.missing_seeds(EVERYTHING),
            store.chunks_without_params(EVERYTHING),
            store.environments(EVERYTHING),
            [store.environment_of(seed) for seed in EVERYTHING],
            store.seeds(EVERYTHING).rows(),
            store.look(range(10), 0.01, 0.05),
        ]
        for model in MODELS:
            found += [
                store.curves(model, EVERYTHING),
                store.scores(model, EVERYTHING),
                store.warnings(model, EVERYTHING),
                store.params(model, EVERYTHING),
                store.seeds_with_params(model, EVERYTHING),
                list(store.curve_blocks(model, EVERYTHING)),
                list(store.params_blocks(model, EVERYTHING)),
            ]
        store.adopt(CONFIGURATION, {})
        with pytest.raises(StoreError, match="another study: noise is 0"):
            store.adopt(CONFIGURATION | {"noise": 0.5}, {})
        return plain(found)


def is_detected(folder, damaged, expected):
    """Whether a damaged record is refused; where it is not, all that is read is as it was."""
    (folder / FILE_NAME).write_bytes(damaged)
    found = told = None
    try:
        found = contents(folder)
    except StoreError as error:
        told = str(error)
    assert found == expected or (told is not None and "\n" not in told)
    return told is not None


@functools.cache
def expected_of(record, folder):
    (folder / FILE_NAME).write_bytes(record)
    return contents(folder)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_flipped_bit_is_never_believed(part, record, tmp_path):
    expected = expected_of(record, tmp_path)
    generator = np.random.default_rng(FIRST_SEED + part)
    detected = 0
    for bit in generator.integers(8 * len(record), size=FLIPS // (2 * PARTS)):
        damaged = bytearray(record)
        damaged[bit // 8] ^= 1 << (bit % 8)
        detected += is_detected(tmp_path, damaged, expected)
    assert detected > FLIPS // (20 * PARTS)  # the rest hit nothing: the empty part of a page


def test_a_bit_of_an_index_is_never_believed(tmp_path):
    """Results that an index does not name, or a configuration that it loses, are not lost."""
    record = write_record(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        roots = database.execute("SELECT rootpage FROM sqlite_master WHERE type = 'index'")
        pages = [page for (page,) in roots]
    assert len(pages) == 2
    expected = expected_of(record, tmp_path)
    generator = np.random.default_rng(FIRST_SEED)
    detected = 0
    for page in pages:
        start = 4096 * (page - 1)
        used = np.flatnonzero(np.frombuffer(record[start : start + 4096], np.uint8))
        for byte in generator.choice(used, 60):
            damaged = bytearray(record)
            damaged[start + byte] ^= 1 << generator.integers(8)
            detected += is_detected(tmp_path, damaged, expected)
    assert detected > 100


@pytest.mark.parametrize("how", ["swapped", "duplicated", "cut", "emptied", "older"])
def test_pages_in_the_wrong_place_are_never_believed(how, tmp_path):
    record = write_record(tmp_path, page_size=512)
    with Store(tmp_path) as store:
        store.adopt(CONFIGURATION, {"torch": "3"})
        store.write_chunk(result_of([11, 13], has_params=True))
    newer = (tmp_path / FILE_NAME).read_bytes()
    n = len(record) // 512
    pages = [record[512 * i : 512 * (i + 1)] for i in range(n)]
    expected = expected_of(record, tmp_path)
    generator = np.random.default_rng(FIRST_SEED)
    detected = 0
    for _ in range(120):
        i, j = generator.choice(n, 2, replace=False)
        damaged = list(pages)
        if how == "swapped":
            damaged[i], damaged[j] = pages[j], pages[i]
        elif how == "duplicated":
            damaged[i] = pages[j]
        elif how == "cut":
            damaged = pages[:i]
        elif how == "emptied":
            damaged[i] = bytes(512)
        else:
            damaged[i] = newer[512 * i : 512 * (i + 1)]
        detected += is_detected(tmp_path, b"".join(damaged), expected)
    assert detected > 20


@pytest.mark.parametrize(
    "forged", ["trigger", "view", "configuration", "models", "chunks", "looks"]
)
def test_what_somebody_put_into_a_database_is_not_taken_for_a_study(forged, tmp_path):
    write_record(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as database:
        if forged == "trigger":
            database.execute(
                "CREATE TRIGGER more AFTER INSERT ON chunk BEGIN DELETE FROM session; END"
            )
        elif forged == "view":
            database.execute("CREATE VIEW more AS SELECT * FROM replicate")
        elif forged == "chunks":
            database.execute("DELETE FROM meta")
        else:
            from functional_clf.record.rows import digest_of

            key = "looks" if forged == "looks" else "configuration"
            value = {
                "configuration": "[" * 10**5,
                "models": json.dumps(CONFIGURATION | {"models": [1]}),
                "looks": json.dumps([[0, "x", 0.1, 0.05]]),
            }[forged]
            database.execute(
                "UPDATE meta SET value = ?, digest = ? WHERE key = ?",
                (value, digest_of(key.encode(), value.encode()), key),
            )
    with pytest.raises(StoreError, match="damaged"):
        contents(tmp_path)


def header(**tensors):
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


def tensor(kind, shape, end=0):
    return header(**{"a/train_loss": {"dtype": kind, "shape": shape, "data_offsets": [0, end]}})


BLOBS = {
    "empty": b"",
    "text": "not bytes",
    "short": b"\x00" * 7,
    "large header": (10**15).to_bytes(8, "little") + b"{",
    "a bomb": tensor("F32", [2**62, 0]),
    "another bomb": tensor("F32", [10**12], 4 * 10**12),
    "deep": tensor("F32", [0] * 4000),
    "a kind of its own": tensor("F8_E4M3", [0]),
}

ARRAYS = {
    "missing": {"a/test_loss": None},
    "too few": {"a/train_correct": np.zeros((3, 3), np.int32)},
    "too many": {"b/train_loss": np.zeros((3, 5), np.float32)},
    "other points": {"a/test_loss": np.zeros((2, 4), np.float32)},
    "no points": {
        f"a/{name}": np.zeros((0, 4), np.int32 if name.endswith("t") else np.float32)
        for name in ("train_loss", "train_correct", "test_loss", "test_correct")
    },
    "one axis": {"a/test_correct": np.zeros(4, np.int32)},
    "a count that is none": {"a/test_correct": np.full((3, 4), np.nan, np.float32)},
    "below zero": {"a/test_correct": np.full((3, 4), -1, np.int32)},
    "a score above all": {"a/scores/roc_auc": np.full(4, 1.5)},
    "an infinite score": {"a/scores/roc_auc": np.full(4, np.inf)},
    "scores of others": {"a/scores/roc_auc": np.zeros(3)},
    "whole scores": {"a/scores/roc_auc": np.zeros(4, np.int64)},
    "a score less": {"a/scores/roc_auc": None},
    "no square": {"a/confusion": np.zeros((2, 3, 4), np.int32)},
    "other classes": {"a/confusion": np.zeros((3, 3, 4), np.int32)},
    "broken epochs": {"a/counts/epochs": np.full(4, np.nan)},
    "epochs below zero": {"a/counts/epochs": np.full(4, -3, np.int32)},
    "a best epoch that was not": {"a/counts/best_epoch": np.full(4, 10, np.int32)},
    "a warning of nobody": {"a/warned/x": np.zeros(0, np.bool_)},
    "a warning of numbers": {"a/warned/x": np.zeros(4, np.float32)},
    "what nobody keeps": {"a/more": np.zeros(4, np.float32)},
}


def forge(folder, column, blob):
    """Put a blob into the first chunk, with a digest to match."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as database:
        rows = database.execute(
            "SELECT model, seed, data_seed, split_seed, init_seed, train_correct, n_train, "
            "test_correct, n_test, train_loss, test_loss, diverged, lane FROM replicate "
            "WHERE chunk = 1 ORDER BY model, lane"
        ).fetchall()
        blobs = dict(
            zip(
                ("curves", "params"),
                database.execute("SELECT curves, params FROM chunk WHERE id = 1").fetchone(),
                strict=True,
            )
        )
        blobs[column] = blob
        digest = b""
        if isinstance(blob, bytes):
            digest = chunk_digest(rows, blobs["curves"], blobs["params"], '{"torch": "1"}')
        database.execute(f"UPDATE chunk SET {column} = ?, digest = ? WHERE id = 1", (blob, digest))


@pytest.mark.parametrize("column", ["curves", "params"])
@pytest.mark.parametrize("name", BLOBS)
def test_a_blob_that_is_none_is_refused(name, column, tmp_path):
    write_record(tmp_path)
    forge(tmp_path, column, BLOBS[name])
    with pytest.raises(StoreError, match="damaged"):
        contents(tmp_path)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_no_training_leaves_are_refused(name, tmp_path):
    write_record(tmp_path)
    curves = dict(result_of([5, 3, 0, 1], has_params=True).curves)
    for key, array in ARRAYS[name].items():
        if array is None:
            del curves[key]
        else:
            curves[key] = array
    forge(tmp_path, "curves", safetensors.numpy.save(curves))
    with pytest.raises(StoreError, match="damaged"):
        contents(tmp_path)


@pytest.mark.parametrize(
    "array", [np.zeros(()), np.zeros((3, 6), np.float32), np.zeros((4, 5), np.float32)]
)
def test_weights_of_other_shapes_are_refused(array, tmp_path):
    write_record(tmp_path)
    params = dict(result_of([5, 3, 0, 1], has_params=True).params) | {"b/0.weight": array}
    forge(tmp_path, "params", safetensors.numpy.save(params))
    with pytest.raises(StoreError, match="damaged"):
        contents(tmp_path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("test_correct", 21),
        ("test_correct", -1),
        ("test_correct", 12.5),
        ("n_test", 0),
        ("seed", -5),
        ("data_seed", 2**62),
        ("train_loss", "low"),
        ("train_loss", b"low"),
        ("diverged", 2),
        ("lane", 9),
        ("model", "c"),
    ],
)
def test_a_row_that_no_training_leaves_is_refused(column, value, tmp_path):
    write_record(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as database:
        database.execute(
            f"UPDATE replicate SET {column} = ? WHERE model = 'a' AND seed = 3", (value,)
        )
        (curves,) = database.execute("SELECT curves FROM chunk WHERE id = 1").fetchone()
    if not isinstance(value, bytes):
        forge(tmp_path, "curves", curves)
    with pytest.raises(StoreError, match="damaged"):
        contents(tmp_path)


def interrupted(folder):
    """A database and its journal, as a run leaves them that is cut off while it writes."""
    path = folder / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = 2")
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE meta SET value = value || 'x'")
        database.execute("UPDATE chunk SET curves = zeroblob(30000)")
        database.execute("UPDATE replicate SET train_correct = 0")
        found = path.read_bytes(), path.with_name(f"{FILE_NAME}-journal").read_bytes()
        database.execute("ROLLBACK")
    return found


@pytest.fixture
def cut_off(tmp_path):
    """A folder in which a run was cut off, the journal that it left, and what the record holds."""
    record = write_record(tmp_path)
    expected = contents(tmp_path)
    database, journal = interrupted(tmp_path)
    assert database != record
    (tmp_path / FILE_NAME).write_bytes(database)
    return tmp_path, journal, expected


def journal_of(folder):
    return folder / f"{FILE_NAME}-journal"


def test_a_run_that_was_cut_off_is_taken_back(cut_off):
    folder, journal, expected = cut_off
    journal_of(folder).write_bytes(journal)
    assert contents(folder) == expected
    assert {path.name for path in folder.iterdir()} == {FILE_NAME}


def test_without_its_journal_what_was_cut_off_is_refused(cut_off):
    folder, journal, _ = cut_off
    for length in (0, 100, 512, 700, len(journal) // 2):
        before = (folder / FILE_NAME).read_bytes()
        journal_of(folder).write_bytes(journal[:length])
        with pytest.raises(StoreError, match="damaged"):
            contents(folder)
        assert (folder / FILE_NAME).read_bytes() == before


def test_a_journal_of_another_study_changes_nothing(tmp_path):
    for name, noise in (("ours", 0.03), ("theirs", 0.5)):
        (tmp_path / name).mkdir()
        write_record(tmp_path / name, noise=noise)
    _, journal = interrupted(tmp_path / "theirs")
    before = (tmp_path / "ours" / FILE_NAME).read_bytes()
    journal_of(tmp_path / "ours").write_bytes(journal[:-2000])
    with pytest.raises(StoreError):
        contents(tmp_path / "ours")
    assert (tmp_path / "ours" / FILE_NAME).read_bytes() == before
    assert journal_of(tmp_path / "ours").exists()  # nothing was changed


def test_a_journal_cannot_have_another_file_deleted(cut_off, tmp_path_factory):
    """SQLite deletes the file that a journal names as that of several databases."""
    folder, journal, _ = cut_off
    theirs = tmp_path_factory.mktemp("elsewhere") / "theirs"
    theirs.write_text("theirs")
    name = os.fsencode(theirs)
    record = (0x40000000 // 4096 + 1).to_bytes(4, "big") + name
    record += len(name).to_bytes(4, "big") + (sum(name) % 2**32).to_bytes(4, "big")
    record += bytes.fromhex("d9d505f920a163d7")
    journal_of(folder).write_bytes(journal[:-8] + record)
    before = (folder / FILE_NAME).read_bytes()
    with pytest.raises(StoreError, match="its journal names another file"):
        Store(folder)
    assert theirs.read_text() == "theirs"
    assert (folder / FILE_NAME).read_bytes() == before


def test_a_log_that_no_run_leaves_is_refused(tmp_path):
    record = write_record(tmp_path)
    (tmp_path / "theirs").mkdir()
    write_record(tmp_path / "theirs", noise=0.5)
    path = tmp_path / "theirs" / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE chunk SET curves = zeroblob(30000)")
        log = path.with_name(f"{FILE_NAME}-wal").read_bytes()
    (tmp_path / f"{FILE_NAME}-wal").write_bytes(log)
    with pytest.raises(StoreError, match=r"study.sqlite-wal lies beside it, which no run leaves"):
        Store(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == record


def test_a_journal_of_a_study_that_is_open_here_does_not_let_go_of_its_lock(tmp_path):
    record = write_record(tmp_path)
    _, journal = interrupted(tmp_path)
    with Store(tmp_path) as store:
        journal_of(tmp_path).write_bytes(journal)
        with pytest.raises(StoreError, match="in use"):
            Store(tmp_path)
        journal_of(tmp_path).unlink()
        assert store.finished_seeds() == set(range(10))
    assert (tmp_path / FILE_NAME).read_bytes() == record
