"""What cannot fit is refused before anything is made; what is only slow is not."""

import gzip
import os
import resource
import subprocess
import sys

import polars as pl
import pytest
import torch

from functional_clf import Recipe, Study, circles, mlp_recipe, model_0, model_1, run, sgd, table
from functional_clf.core.models import mlp
from functional_clf.core.train import STRIDE, curve_epochs, spans
from functional_clf.data import reading
from functional_clf.study import estimates, execution
from functional_clf.study.estimates import check_room
from functional_clf.support import memory
from functional_clf.support.memory import Limit, memory_limit

GIB = 2**30


@pytest.fixture
def eight(monkeypatch):
    """A machine of 8 GiB."""
    for module in (estimates, reading):
        monkeypatch.setattr(module, "memory_limit", lambda: Limit(8 * GIB, "this machine has"))


TOO_MUCH = [
    (["--chunk", "10000000"], "chunk_size is 10000000; a chunk of so many seeds needs at least"),
    (["--seeds", "1000000000"], "seeds is 1000000000; their table needs at least"),
    (["--samples", "10000000000"], "samples is 10000000000; one draw needs at least"),
    (["--model-1.hidden", "1000000", "1000000"], "model 'model_1': the training of one seed needs"),
    (["--model", "a=mlp:4", "--model", "b=mlp:9000000,9000000"], "model 'b': the training of one"),
    (["--engine", "eager", "--model-1.hidden", "1000000"], "chunk_size is 16; a chunk of so many"),
    (["--seeds", "90000000", "--chunk", "1", "--threads", "32768"], "seeds is 90000000; their"),
]


@pytest.mark.parametrize(("args", "gist"), TOO_MUCH, ids=[" ".join(args) for args, _ in TOO_MUCH])
def test_too_much_is_one_line_with_the_estimate_and_leaves_nothing(
    args, gist, eight, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert run.main(["--no-plots", *args]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"error: {gist}")
    assert complaint.endswith(" of memory, and this machine has 8.0 GiB\n")
    assert complaint.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_study_file_is_told_the_same(eight, tmp_path, capsys):
    (tmp_path / "study.toml").write_text("chunk_size = 10_000_000\nout = 'out'\nplots = false\n")
    assert run.main([str(tmp_path / "study.toml")]) == 2
    assert "chunk_size is 10000000; a chunk" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("study", "gist"),
    [
        (lambda: Study(circles(10**12)), "samples is 1000000000000"),
        (lambda: Study(chunk_size=10**8), "chunk_size is 100000000"),
        (lambda: Study(seeds=2**30), "seeds is 1073741824"),
        (
            lambda: Study(contestants=(model_0(), mlp_recipe("wide", hidden=(10**6, 10**6)))),
            "model 'wide'",
        ),
    ],
    ids=["samples", "chunk", "seeds", "weights"],
)
def test_in_python_it_is_a_value_error(study, gist, eight, tmp_path):
    with pytest.raises(ValueError, match=f"^{gist}.* at least .* of memory"):
        study().run(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_recipe_of_ones_own_is_measured_once_it_is_known_to_be_pure(eight, tmp_path):
    own = Recipe("own", mlp((2, 1000, 1), lambda x: torch.relu(x) + 0), sgd(0.1), epochs=1)
    with pytest.raises(ValueError, match="chunk_size is 400000; a chunk of so many seeds needs"):
        Study(circles(20), (own,), seeds=2, chunk_size=400_000).run(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_fresh_deletes_nothing_before_a_refusal(eight, tmp_path, capsys):
    args = ["--no-plots", "--out", str(tmp_path / "out"), "--samples", "40", "--engine", "eager"]
    args += ["--epochs", "2", "--seeds", "2"]
    assert run.main(args) == 0
    before = (tmp_path / "out" / "study.sqlite").read_bytes()
    assert run.main([*args, "--fresh", "--chunk", "100000000"]) == 2
    assert (tmp_path / "out" / "study.sqlite").read_bytes() == before
    assert "chunk_size is 100000000" in capsys.readouterr().err


def test_memory_that_is_short_all_the_same_is_one_line(tmp_path, monkeypatch, capsys):
    def draw(*_):
        raise MemoryError("Unable to allocate 1. GiB for an array")

    monkeypatch.setattr(execution, "draw_chunk", draw)
    monkeypatch.setattr("functional_clf.study.chunks.draw_chunk", draw)
    args = ["--no-plots", "--engine", "eager", "--seeds", "2", "--out", str(tmp_path / "out")]
    assert run.main(args) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: memory is short (Unable to allocate 1. GiB for an array)")
    assert complaint.count("\n") == 1


def test_a_disk_without_room_is_told_before_anything_is_made(tmp_path, monkeypatch, capsys):
    usage = estimates.shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(estimates.shutil, "disk_usage", lambda place: usage)
    out = tmp_path / "a" / "out"
    assert run.main(["--seeds", "10000", "--no-plots", "--out", str(out)]) == 2
    assert "10000 of them need at least 7.2 MiB on the disk of" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_works_is_not_refused(eight):
    check_room(Study(seeds=100_000), n_missing=100_000)
    check_room(Study(circles(20_000), seeds=1000), n_missing=1000)
    wide = mlp_recipe("wide", hidden=(256, 256))
    check_room(Study(circles(1000), (model_0(), wide), engine="eager"), n_missing=64)
    slow = model_0(epochs=10**18), model_1(epochs=10**18)
    check_room(Study(contestants=slow, seeds=10**7), n_missing=10**7)
    # A finished study is shown wherever it is.
    check_room(Study(circles(10**12)), n_missing=0)


def test_a_limit_of_the_process_is_known(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (GIB, GIB))
    limit = memory_limit()
    assert limit is not None
    assert limit.bytes <= GIB
    if limit.bytes == GIB:
        assert limit.what == "its limit (RLIMIT_AS) allows"


def test_limits_of_control_groups_are_read_up_to_the_root(monkeypatch, tmp_path):
    class Places(type(tmp_path)):
        """Paths of the kernel's, in a folder of the test."""

    def path(text):
        return Places(f"{tmp_path}{text}")

    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:cpu,memory:/job/part\n0::/new\n1:name=x:/\n")
    for place, text in (
        ("memory/job/part/memory.limit_in_bytes", "9223372036854771712"),
        ("memory/job/memory.limit_in_bytes", "5000"),
        ("new/memory.max", "max"),
        ("memory.max", "7000"),
    ):
        file = tmp_path / "sys/fs/cgroup" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    monkeypatch.setattr(memory, "Path", path)
    assert memory._of_groups() == [9223372036854771712, 5000, 7000]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such limit")
def test_a_process_with_little_address_space_is_told_so(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (6 * GIB, 6 * GIB))

    words = [sys.executable, "-W", "error", "-m", "functional_clf.run", "--chunk", "1000000"]
    done = subprocess.run(
        [*words, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limit,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: chunk_size is 1000000; a chunk of so many seeds needs")
    assert not list(tmp_path.iterdir())


def test_a_huge_number_of_epochs_takes_no_more_memory_than_a_few():
    steps = spans(10**18)
    assert [next(steps).steps for _ in range(3)] == [STRIDE] * 3
    assert len(curve_epochs(10**18)) == 21
    for epochs in (1, 19, 20, 21, 255, 256, 257, 5120, 5121, 100_003):
        found = list(spans(epochs))
        assert sum(one.steps for one in found) == epochs
        assert max(one.steps for one in found) <= STRIDE
        assert sum(one.is_read for one in found) == len(curve_epochs(epochs))
        assert found[-1] == (0, True)


def test_a_file_larger_than_memory_is_not_read(eight, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n1,0\n")
    os.truncate(file, 2**40)  # of which the disk holds nothing
    with pytest.raises(ValueError, match=r"is too large: it needs at least 1\.0 TiB of memory"):
        table(file, "y")


def test_a_file_that_unpacks_to_more_than_memory_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "memory_limit", lambda: Limit(2**25, "this machine has"))
    file = tmp_path / "rows.csv.gz"
    with gzip.open(file, "wb", 9) as packed:
        packed.write(b"x,y\n")
        for _ in range(32):
            packed.write(2**20 * b"\n")
    with pytest.raises(ValueError, match=r"is too large: it needs at least .* MiB of memory"):
        table(file, "y")


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_a_file_that_declares_too_many_rows_is_not_read(ending, tmp_path, monkeypatch):
    file = tmp_path / f"rows{ending}"
    rows = pl.DataFrame({"x": range(1000), "y": [0, 1] * 500})
    rows.write_parquet(file) if ending == ".parquet" else rows.write_ipc(file, compression="zstd")
    assert table(file, "y").n_samples == 1000
    size = file.stat().st_size
    # The file itself fits, and what it stands for does not.
    rows = pl.DataFrame({"x": [1.0] * 10**6, "y": [0, 1] * (10**6 // 2)})
    rows.write_parquet(file) if ending == ".parquet" else rows.write_ipc(file, compression="zstd")
    limit = max(file.stat().st_size, size) + 1
    assert limit < 10**6
    monkeypatch.setattr(reading, "memory_limit", lambda: Limit(limit, "this machine has"))
    with pytest.raises(ValueError, match="is too large: its 1000000 rows need at least"):
        table(file, "y")
