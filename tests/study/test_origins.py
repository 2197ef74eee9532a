"""A folder goes on where its seeds were trained, or marks them: torch, processor, compiler."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import polars as pl
import pytest
import torch

from functional_clf import Study, circles, model_0, model_1
from functional_clf import run as command_line
from functional_clf.engines import machine
from functional_clf.engines.fused import c_programs, engine
from functional_clf.record.database import StoreError
from functional_clf.record.names import FILE_NAME
from functional_clf.record.rows import chunk_digest
from functional_clf.registry import ENGINES
from functional_clf.study import origins
from functional_clf.study.plan import Plan
from functional_clf.study.replay import replay

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
ARGS = ["--samples", "40", "--epochs", "3", "--no-plots", "--device", "cpu"]


def run_study(folder, seeds, **options):
    models = model_0(epochs=3), model_1(epochs=3)
    study = Study(circles(40), models, seeds=seeds, device="cpu", **{"engine": "eager"} | options)
    return study.run(folder)


def command(*args, capsys):
    code = command_line.main([*ARGS, *map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def elsewhere(monkeypatch, **facts):
    """Have this machine say other things of itself."""
    known = machine.environment

    def environment(device):
        return known(device) | facts

    for module in ("functional_clf.engines.machine", "functional_clf.study.origins"):
        monkeypatch.setattr(f"{module}.environment", environment)


@pytest.mark.parametrize(
    "fact", [{"torch": "1.0"}, {"processor": "Z80"}, {"cpu_capability": "none"}]
)
def test_another_torch_or_processor_is_refused_and_named(fact, tmp_path, monkeypatch):
    run_study(tmp_path, 4)
    before = (tmp_path / FILE_NAME).read_bytes()
    elsewhere(monkeypatch, **fact)
    ((key, value),) = fact.items()
    with pytest.raises(
        StoreError, match=rf"trained elsewhere: {key} is '.*' there, '{value}' here\. Go on there"
    ):
        run_study(tmp_path, 5)
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert run_study(tmp_path, 4).environment[key] != value  # where it was trained, not shown
    assert not run_study(tmp_path, 4).mixture


@pytest.mark.parametrize(
    "fact", [{"c_compiler": "tcc 1.0"}, {"platform": "Plan 9"}, {"python": "4"}, {"cores": 99}]
)
def test_what_no_bit_of_eager_depends_on_is_not_asked(fact, tmp_path, monkeypatch):
    run_study(tmp_path, 4)
    elsewhere(monkeypatch, **fact)
    monkeypatch.setattr(machine, "c_compiler_version", lambda: "tcc 1.0")
    assert not run_study(tmp_path, 5).mixture


def test_a_moved_folder_goes_on(tmp_path):
    run_study(tmp_path / "here", 4)
    (tmp_path / "here").rename(tmp_path / "there")
    assert run_study(tmp_path / "there", 5).seeds.height == 10


@needs_gcc
def test_another_compiler_is_refused_where_it_makes_the_programs(tmp_path, monkeypatch):
    run_study(tmp_path, 4, engine="fused")
    monkeypatch.setattr(engine, "c_facts", lambda: {"c_compiler": "gcc 99"})
    with pytest.raises(StoreError, match=r"c_compiler is '.*' there, 'gcc 99' here"):
        run_study(tmp_path, 5, engine="fused")


@pytest.fixture
def wrapped_compiler(tmp_path, monkeypatch):
    """A compiler that calls itself the same, and rounds otherwise; to be used when told."""
    # Not -ffast-math: loading what it makes has the processor round otherwise from then on.
    options = "-ffp-contract=off -fassociative-math -fno-signed-zeros -freciprocal-math"
    wrapper = tmp_path / "bin" / "gcc"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("gcc")} {options} "$@"\n')
    wrapper.chmod(0o755)

    def use():
        monkeypatch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "another_cache"))
        c_programs._library.cache_clear()

    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    yield use
    c_programs._library.cache_clear()


@needs_gcc
def test_options_that_a_compiler_does_not_tell_show_in_its_programs(
    wrapped_compiler, tmp_path, capsys
):
    out = tmp_path / "out"
    args = "--engine", "fused", "--out", out, "--seeds"
    assert command(*args, 4, capsys=capsys)[0] == 0
    assert command(*args, 5, capsys=capsys)[0] == 0  # the same compiler goes on
    first = pl.read_csv(out / "seeds.csv")
    assert "environment" not in first.columns
    wrapped_compiler()
    code, shown, said = command(*args, 7, capsys=capsys)
    assert (code, shown, said.count("\n")) == (2, "", 1)
    assert "programs that end in other bits, though it calls itself the same" in said
    assert "--other-environment" in said

    code, shown, said = command(*args, 7, "--other-environment", capsys=capsys)
    assert code == 0
    sentence = "The seeds were trained in 2 environments (5, 2 of them)"
    assert sentence in shown
    assert sentence in said
    table = pl.read_csv(out / "seeds.csv")
    assert table["environment"].to_list() == 2 * [*5 * [0], *2 * [1]]
    assert table.drop("environment").filter(pl.col("seed") < 5).equals(first)
    told = json.loads((out / "results.json").read_text())
    assert [one["seeds"] for one in told["environments"]] == [5, 2]
    assert told["mixture"].startswith(sentence)

    # Each seed is held against the place where it was trained.
    for seed, is_here in ((3, False), (6, True)):
        found = replay(out, seed)
        there, here = (one["bits"]["first_steps"] for one in (found.recorded_on, found.replayed_on))
        assert (there == here) is is_here
    assert all(not one.differences for one in replay(out, 6).models)


def make_old(folder):
    """Make a folder of one chunk what a version that wrote format 3 leaves; its environment."""
    old = json.dumps({"torch": machine.environment(machine.resolve_device("cpu"))["torch"]})
    columns = (
        "model, seed, data_seed, split_seed, init_seed, train_correct, n_train, test_correct, "
        "n_test, train_loss, test_loss, diverged, lane"
    )
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as database:
        rows = database.execute(f"SELECT {columns} FROM replicate ORDER BY model, lane").fetchall()
        blobs = database.execute("SELECT curves, params FROM chunk").fetchone()
        database.execute("UPDATE chunk SET digest = ?", (chunk_digest(rows, *blobs, None),))
        database.execute("UPDATE session SET environment = ?", (old,))
        database.execute("PRAGMA user_version = 3")
    return json.loads(old)


def format_of(folder):
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        return database.execute("PRAGMA user_version").fetchone()[0]


def test_a_folder_of_format_3_goes_on_and_then_is_of_format_4(tmp_path, monkeypatch):
    run_study(tmp_path, 4)
    old = make_old(tmp_path)
    assert run_study(tmp_path, 4).environment == old
    assert format_of(tmp_path) == 3
    with monkeypatch.context() as patch:
        elsewhere(patch, torch="1.0")
        with pytest.raises(StoreError, match=r"torch is '.*' there, '1\.0' here"):
            run_study(tmp_path, 5)
    assert run_study(tmp_path, 5, save_params=True).seeds.height == 10
    assert format_of(tmp_path) == 4
    assert all(not one.differences for one in replay(tmp_path, 2).models)


def test_a_compiler_is_the_same_under_another_name_of_it(tmp_path, monkeypatch):
    told = []
    for name in ("first-cc", "other-cc"):
        path = tmp_path / name
        path.write_text('#!/bin/sh\necho "$(basename "$0") (Distribution) 12.2.0"\n')
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))
        told.append(machine.c_facts()["c_compiler"])
    assert told == ["(Distribution) 12.2.0"] * 2


def test_on_a_gpu_no_compiler_of_the_machine_is_asked_for(monkeypatch):
    monkeypatch.setattr(origins, "environment", lambda device: {})
    monkeypatch.setattr(origins, "bits_of_torch", lambda device: {"torch": "x"})
    told = origins.origin(Plan(), ENGINES["compile"], torch.device("cuda"))
    assert told == {"bits": {"torch": "x"}}


def test_a_folder_of_format_3_that_is_given_weights_is_of_format_4(tmp_path):
    run_study(tmp_path, 4, save_params=False)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as database:
        database.execute("UPDATE chunk SET params = NULL")
    make_old(tmp_path)
    assert len(run_study(tmp_path, 4, save_params=True).params["model_0"][0]) == 4
    assert format_of(tmp_path) == 4


@needs_gcc
def test_an_old_session_does_not_vouch_for_another_compiler(wrapped_compiler, tmp_path):
    out = tmp_path / "out"
    run_study(out, 4, engine="fused")
    make_old(out)
    assert not run_study(out, 5, engine="fused").mixture  # nothing speaks against it
    wrapped_compiler()
    with pytest.raises(StoreError, match="programs that end in other bits"):
        run_study(out, 7, engine="fused")
    found = run_study(out, 7, engine="fused", other_environment=True)
    assert "in 2 environments (5, 2 of them)" in found.mixture
    assert "programs that end in other bits" in found.mixture
    assert not run_study(out, 8, engine="fused").seeds.is_empty()  # where its last ones were
