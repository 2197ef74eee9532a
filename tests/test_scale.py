import errno
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import functional_clf
from functional_clf import circles, model_0, model_1, run
from functional_clf.core.train import curve_epochs
from functional_clf.record.database import StoreError, WriteError
from functional_clf.record.folder import start_over, write_whole
from functional_clf.record.names import params_name
from functional_clf.record.rows import ChunkResult
from functional_clf.record.store import Store
from functional_clf.study.curves import bands
from functional_clf.study.execution import Execution
from functional_clf.study.study import Study

JOB = ["--samples", "20", "--epochs", "4", "--engine", "eager", "--no-plots"]


def command(*args):
    return [sys.executable, "-W", "error", "-m", "functional_clf.run", *map(str, [*JOB, *args])]


def in_process(*args, capsys):
    code = run.main([*map(str, [*JOB, *args])])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def limited(*args, file_bytes):
    """A run to which a file may grow only so far: what a full disk looks like."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    return subprocess.run(
        command(*args), capture_output=True, text=True, timeout=120, preexec_fn=limit
    )


def test_a_run_killed_at_random_moments_and_continued_ends_with_the_same_bytes(tmp_path):
    args = ["--seeds", 500, "--threads", 1]
    started = time.monotonic()
    subprocess.run(command(*args, "--out", tmp_path / "whole"), check=True, capture_output=True)
    whole = time.monotonic() - started
    generator, sizes = random.Random(0), [0]
    for _ in range(2):
        process = subprocess.Popen(
            command(*args, "--out", tmp_path / "out"), stderr=subprocess.DEVNULL
        )
        time.sleep(generator.uniform(0.4, 0.9) * whole)
        process.kill()
        process.wait()
        sizes.append(kept(tmp_path / "out"))
    assert sizes == sorted(sizes)  # nothing is lost
    assert sizes[-1] > 0
    subprocess.run(command(*args, "--out", tmp_path / "out"), check=True, capture_output=True)
    tables = [(tmp_path / name / "seeds.csv").read_bytes() for name in ("out", "whole")]
    assert tables[0] == tables[1]


def kept(out):
    with Store(out) as store:
        return len(store.finished_seeds())


def test_a_disk_that_fills_is_one_line_and_the_same_command_continues(tmp_path, capsys):
    args = ["--seeds", 300, "--out", tmp_path / "out"]
    full = limited(*args, file_bytes=150_000)
    assert full.returncode == 1
    assert full.stdout == ""
    assert re.fullmatch(
        r"error: \S+study.sqlite: .*; finished chunks are kept, and the same command continues "
        r"once there is room",
        full.stderr.splitlines()[-1],  # on a slow machine progress is told before it
    )
    after_full = kept(tmp_path / "out")
    assert 0 < after_full < 300
    assert in_process(*args, capsys=capsys)[0] == 0

    assert in_process(*args[:3], tmp_path / "whole", capsys=capsys)[0] == 0
    tables = [(tmp_path / name / "seeds.csv").read_bytes() for name in ("out", "whole")]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("name", ["results.json", "seeds.parquet", "model_1.safetensors"])
def test_a_disk_that_fills_while_exporting_leaves_the_exports_as_they_were(
    name, tmp_path, capsys, monkeypatch
):
    args = ["--save-params", "--out", tmp_path, "--seeds"]
    assert in_process(*args, 20, capsys=capsys)[0] == 0
    names = ("seeds.csv", "seeds.parquet", "params/model_1.safetensors", "results.json")
    before = {name: (tmp_path / name).read_bytes() for name in names}

    def full(unfinished, path, **folders):
        if Path(path).name == Path(name).name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.rename(unfinished, path, **folders)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        code, printed, complaint = in_process(*args, 30, capsys=capsys)
    assert (code, printed, complaint.count("\n")) == (1, "", 1)
    assert f"{name} cannot be written: No space left on device" in complaint
    for other in names[names.index(next(one for one in names if one.endswith(name))) :]:
        assert (tmp_path / other).read_bytes() == before[other]
    assert not list(tmp_path.rglob("*.part"))
    assert in_process(*args, 30, capsys=capsys)[0] == 0
    assert pl.read_csv(tmp_path / "seeds.csv").height == 60


def synthetic(seeds, records=33):
    """A chunk's record as training would leave it, made up."""
    generator = np.random.default_rng(seeds[0])
    rows, curves = [], {}
    for model in ("model_0", "model_1"):
        correct = generator.integers(5, 17, len(seeds)).tolist()
        rows += [
            (model, seed, 3 * seed, 3 * seed + 1, 3 * seed + 2, 50, 64, right, 16, 0.5, 0.25, False)
            for seed, right in zip(seeds, correct, strict=True)
        ]
        for part in ("train", "test"):
            curves[f"{model}/{part}_loss"] = generator.random((records, len(seeds)), np.float32)
            curves[f"{model}/{part}_correct"] = np.ones((records, len(seeds)), np.int32)
    return ChunkResult(rows, curves, {})


def test_memory_does_not_grow_with_the_number_of_seeds(tmp_path):
    """The peak of a whole command over many seeds that are there, and over few."""
    peaks = {}
    configuration = Study(
        dataset=circles(80), contestants=(model_0(epochs=32), model_1(epochs=32)), engine="eager"
    )
    for n_seeds in (1_000, 20_000):
        out = tmp_path / str(n_seeds)
        with Store(out) as store:
            trainer = Execution(configuration)._trainer(torch.device("cpu"))
            store.adopt(
                Execution(configuration)._configuration(configuration.identity(), trainer, "eager"),
                {},
            )
            for start in range(0, n_seeds, 16):
                chunk = range(start, min(start + 16, n_seeds))
                store.write_chunk(synthetic(chunk, records=len(curve_epochs(32))))
        script = (
            "import resource, sys; from functional_clf import run; code = run.main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
        )
        done = subprocess.run(
            [
                sys.executable, "-c", script, "--samples", "80", "--epochs", "32", "--engine",
                "eager", "--seeds", str(n_seeds), "--out", str(out),
            ],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        peaks[n_seeds] = int(done.stdout.split()[-1])
        assert pl.read_parquet(out / "seeds.parquet").height == 2 * n_seeds
    assert peaks[20_000] < 1.2 * peaks[1_000]


def test_bands_of_blocks_are_the_bands_of_everything(tmp_path, monkeypatch):
    monkeypatch.setattr("functional_clf.record.store.BLOCK_BYTES", 5_000)
    with Store(None) as store:
        store.adopt({}, {})
        for start in (32, 0, 16):
            store.write_chunk(synthetic(range(start, start + 16)))
        seeds = range(5, 41)
        blocks = list(store.curve_blocks("model_1", seeds))
        assert len(blocks) > 4
        found = bands(blocks)
        for name, whole in store.curves("model_1", seeds).items():
            expected = np.quantile(whole, (0.05, 0.5, 0.95), axis=1, method="nearest")
            np.testing.assert_array_equal(np.stack(found[name]), expected)
        assert list(store.curve_blocks("model_1", range(90, 95))) == []


def test_the_table_of_seeds_is_read_in_pieces_into_the_same_table(monkeypatch):
    with Store(None) as store:
        store.adopt({}, {})
        for start in range(0, 64, 16):
            store.write_chunk(synthetic(range(start, start + 16)))
        whole = store.seeds(range(64))
        monkeypatch.setattr("functional_clf.record.store.ROWS_AT_ONCE", 7)
        pieces = store.seeds(range(64))
        assert pieces.equals(whole)
        assert pieces.n_chunks() == 1
        assert store.seeds(range(90, 95)).height == 0


def test_fresh_starts_over_and_deletes_nothing_else(tmp_path, capsys):
    out = tmp_path / "out"
    args = ["--out", out, "--seeds"]
    assert in_process(*args, 30, "--save-params", capsys=capsys)[0] == 0
    (out / "notes.txt").write_text("mine")
    (out / "plots").mkdir()
    (out / "plots" / "mine.png").write_text("mine")
    (out / "plots" / "data.png").write_text("old")
    code, _, complaint = in_process(*args, 5, "--fresh", "--vary", "init", capsys=capsys)
    assert (code, complaint) == (0, f"--fresh deletes 30 finished seeds in {out}\n")
    assert kept(out) == 5
    assert (out / "notes.txt").read_text() == (out / "plots" / "mine.png").read_text() == "mine"
    assert not (out / "plots" / "data.png").exists()
    assert list((out / "params").iterdir()) == []
    # Where there is nothing, there is nothing to say.
    assert in_process("--fresh", "--seeds", 2, "--out", tmp_path / "new", capsys=capsys)[2] == ""


def test_fresh_can_be_declined_and_leaves_what_is_not_ours_or_in_use(tmp_path):
    study = Study(circles(20), (model_0(epochs=1),), seeds=2, engine="eager")
    study.run(tmp_path)
    with pytest.raises(StoreError, match="nothing was deleted"):
        start_over(tmp_path, ["model_0"], lambda line: False)
    with Store(tmp_path), pytest.raises(StoreError, match="in use by another process"):
        start_over(tmp_path, ["model_0"], lambda line: True)
    assert kept(tmp_path) == 2

    import sqlite3

    theirs = tmp_path / "theirs"
    theirs.mkdir()
    database = sqlite3.connect(theirs / "study.sqlite")
    database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(StoreError, match="is not a functional_clf study"):
        start_over(theirs, ["model_0"], lambda line: True)
    assert (theirs / "study.sqlite").exists()


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "newer", "noise"])
def test_a_damaged_folder_is_named_left_alone_and_can_be_started_over(damage, tmp_path, capsys):
    args = ["--seeds", 20, "--out", tmp_path]
    assert in_process(*args, capsys=capsys)[0] == 0
    path = tmp_path / "study.sqlite"
    whole = bytearray(path.read_bytes())
    if damage == "flipped":
        place = whole.index(b"model_1/test_loss")
        whole[place + 3] ^= 4
    if damage == "newer":
        whole[60:64] = (99).to_bytes(4, "big")  # SQLite's user_version
    if damage == "noise":
        whole = bytearray(np.random.default_rng(0).bytes(50_000))
    path.write_bytes({"empty": b"", "short": whole[:5000]}.get(damage, bytes(whole)))
    before = path.read_bytes()
    code, printed, complaint = in_process(*args, capsys=capsys)
    assert (code, printed, complaint.count("\n")) == (2, "", 1)
    assert str(path) in complaint
    assert path.read_bytes() == before
    code, _, complaint = in_process(*args, "--fresh", capsys=capsys)
    if damage == "newer":  # not damaged: somebody can read it
        assert (code, path.read_bytes()) == (2, before)
    else:
        assert (code, complaint) == (0, f"--fresh deletes the damaged study in {tmp_path}\n")


def test_beginnings_of_databases_are_cleaned_up_when_their_process_is_dead(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    left = tmp_path / f".study.sqlite.{int(dead.stdout)}.part"
    living = tmp_path / f".study.sqlite.{os.getppid()}.part"
    other = tmp_path / ".study.sqlite.notes.part"
    for path in (left, Path(f"{left}-journal"), living, other):
        path.write_text("x")
    Store(tmp_path).__exit__(None, None, None)
    assert {path.name for path in tmp_path.iterdir()} == {
        living.name, other.name, "study.sqlite",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["study.sqlite", "study.sqlite-journal", "plots", "params"])
def test_nothing_is_written_through_a_link_in_the_folder(name, tmp_path, capsys):
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    if name in ("plots", "params"):
        outside.mkdir()
    else:
        outside.write_text("theirs")
    (out / name).symlink_to(outside)
    arguments = ["--samples", "20", "--epochs", "2", "--engine", "eager", "--save-params"]
    code = run.main([*arguments, "--seeds", "2", "--out", str(out)])
    complaint = capsys.readouterr().err
    assert (code, complaint.count("\n")) == (2, 1)
    assert str(out / name) in complaint
    assert list(outside.iterdir()) == [] if outside.is_dir() else outside.read_text() == "theirs"


def test_an_export_replaces_a_link_and_does_not_follow_it(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "seeds.csv").symlink_to(tmp_path / "theirs")
    write_whole(tmp_path / "seeds.csv", b"ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "seeds.csv").read_text() == "ours"
    assert not (tmp_path / "seeds.csv").is_symlink()
    with pytest.raises(WriteError, match="cannot be written"):
        write_whole(tmp_path / "nowhere" / "x", b"ours")


@pytest.mark.parametrize("name", ["../../x", "..", ".", "/etc/x", "a\\b", "~", "a\0b", "é"])
def test_no_model_name_leads_out_of_the_folder(name, tmp_path):
    path = tmp_path / "params" / params_name(name)
    assert path.parent.resolve() == path.resolve().parent == tmp_path / "params"


def test_a_study_made_by_hand_with_a_path_for_a_name_writes_nothing_outside(tmp_path, capsys):
    from functional_clf import load_seed
    from functional_clf.record.weights import write_params

    out = tmp_path / "a" / "b" / "out"
    record = synthetic(range(4))
    name = "../../x"
    weights = {f"{name}/../../../y": np.zeros((4, 1), np.float32)}
    rows = [(name, *row[1:]) for row in record.rows if row[0] == "model_0"]
    curves = {f"{name}/{key.partition('/')[2]}": value for key, value in record.curves.items()}
    with Store(out) as store:
        store.adopt({"models": {name: {"name": name}}, "vary": "data"}, {})
        store.write_chunk(ChunkResult(rows, curves, weights))
    (path,) = write_params(out, [name], range(4))
    assert path.parent == out / "params"
    with pytest.raises(ValueError, match="whose network cannot be made again"):
        load_seed(out, name, 0)
    code, printed, complaint = in_process("--replay", 0, "--out", out, capsys=capsys)
    assert (code, printed, complaint.count("\n")) == (2, "", 1)
    code, printed, complaint = in_process("--seeds", 4, "--out", out, capsys=capsys)
    assert (code, printed, complaint.count("\n")) == (2, "", 1)
    assert "holds another study" in complaint
    files = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()}
    assert files == {
        "a/b/out/study.sqlite",
        f"a/b/out/params/{params_name(name)}",
    }


def test_nothing_in_the_package_can_turn_data_into_code():
    package = Path(functional_clf.__file__).parent
    forbidden = re.compile(
        r"\bpickle\b|\bshelve\b|\bmarshal\b|\bjoblib\b|torch\.(load|save)\b|allow_pickle|np\.load\b"
        r"|\b(eval|exec|__import__)\(|yaml\.load|broadcast_object|all_gather_object|shell=True"
    )
    prose = re.compile(r'""".*?"""|#[^\n]*', re.DOTALL)
    harmless = re.compile(
        "from joblib import effective_n_jobs\n|from pickle import PicklingError\n"
        # Processes of our own, which are handed functions and what they return.
        "|from joblib.externals.loky import ProcessPoolExecutor\n"
        "|from joblib.externals.loky.backend.utils import kill_process_tree\n"
        # Of a module; and the one place where a file is run that a user asks for, as FILE.py:NAME.
        r'|\.eval\(\)|exec\(compile\(source, str\(path\), "exec", dont_inherit=True\)'
        # Of a program for a GPU, which has just been printed of known operations and numbers.
        r'|exec\(compile\(source, name, "exec", dont_inherit=True\), namespace\)'
    )
    # An estimator of scikit-learn's can be pickled. Whoever unpickles one trusts what it is in.
    estimators = package / "ensemble" / "pickling.py"
    for path in set(package.rglob("*.py")) - {estimators}:
        text = harmless.sub("", prose.sub("", path.read_text(encoding="utf-8")))
        assert not forbidden.search(text), path
