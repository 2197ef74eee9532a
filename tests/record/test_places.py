"""Folders that cannot be written to, file systems without hard links or locks, odd names."""

import errno
import json
import os
import sqlite3
from contextlib import closing

import pytest

from functional_clf import Study, circles, load_seed, model_0, model_1
from functional_clf import run as command_line
from functional_clf.record.database import StoreError
from functional_clf.record.names import FILE_NAME
from functional_clf.record.store import Store
from functional_clf.study.replay import replay

ARGS = ["--samples", "40", "--epochs", "2", "--engine", "eager", "--no-plots"]


def study(seeds=4):
    models = model_0(epochs=2), model_1(epochs=2)
    return Study(circles(40), models, seeds=seeds, engine="eager")


def run(*args, capsys):
    code = command_line.main([*ARGS, *map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def read_only(tmp_path, monkeypatch):
    """A folder with a study, which nobody may write to; root may everywhere, so it is only said."""
    study().run(tmp_path)

    def access(path, mode, **options):
        return not mode & os.W_OK

    monkeypatch.setattr("functional_clf.record.files.os.access", access)
    return tmp_path


def test_a_study_that_may_only_be_read_is_shown(read_only, capsys):
    before = {path: path.read_bytes() for path in read_only.iterdir()}
    code, shown, said = run("--seeds", 4, "--out", read_only, capsys=capsys)
    assert (code, said.count("\n")) == (0, 1)
    assert "may not be written to: no file is" in said
    assert "Over 4 paired seeds" in shown
    assert "Files:" not in shown
    code, shown, _ = run("--seeds", 4, "--out", read_only, "--json", capsys=capsys)
    assert json.loads(shown)["models"]["model_0"]["seeds"] == 4
    assert study().run(read_only).seeds.height == 8
    assert replay(read_only, 2).models[0].differences == ()
    assert load_seed(read_only, "model_1", 3)
    assert {path: path.read_bytes() for path in read_only.iterdir()} == before


def test_what_is_missing_where_nothing_can_be_written_is_one_line(read_only, capsys):
    code, shown, said = run("--seeds", 5, "--out", read_only, capsys=capsys)
    assert (code, shown, said.count("\n")) == (2, "", 1)
    assert "has not all of these seeds, and may not be written to" in said


def test_a_run_that_was_cut_off_is_not_missed_where_nothing_can_be_written(read_only):
    path = read_only / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE chunk SET curves = zeroblob(100000)")
        left = path.read_bytes(), path.with_name(f"{FILE_NAME}-journal").read_bytes()
        database.execute("ROLLBACK")
    path.write_bytes(left[0])
    path.with_name(f"{FILE_NAME}-journal").write_bytes(left[1])
    with pytest.raises(StoreError, match="a run was cut off while it wrote"):
        Store(read_only)
    assert path.read_bytes() == left[0]


@pytest.mark.parametrize("code", ["EPERM", "EOPNOTSUPP", "ENOSYS"])
def test_without_hard_links_a_study_begins_all_the_same(code, tmp_path, monkeypatch):
    def no_link(source, target):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr("os.link", no_link)
    assert study().run(tmp_path / "out").seeds.height == 8
    assert {path.name for path in (tmp_path / "out").iterdir()} == {FILE_NAME}


def test_without_hard_links_nobodys_study_is_replaced(tmp_path, monkeypatch):
    """Two processes begin at once: one takes the name, and the other goes on with what is there."""
    theirs = tmp_path / "theirs"
    with Store(theirs) as store:
        store.adopt({"vary": "data"}, {})
    out = tmp_path / "out"

    def no_link(source, target):
        (out / FILE_NAME).write_bytes((theirs / FILE_NAME).read_bytes())  # they were first
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.link", no_link)
    with Store(out) as store:
        assert store.configuration == {"vary": "data"}


def test_a_file_system_without_locks_is_told_as_that(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    with Store(tmp_path) as store:
        store.adopt({}, {})
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")  # to SQLite it is the same
        with pytest.raises(StoreError, match="in use by another process"):
            Store(tmp_path)

        def no_locks(*args):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "lockf", no_locks)
        with pytest.raises(StoreError, match=r"cannot be locked \(No locks available\)"):
            Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("name", ["file:x", "file:x?mode=memory", "a?b#c%20", "-", ":memory:"])
def test_a_folder_may_be_called_like_an_address(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store(tmp_path.joinpath(name).relative_to(tmp_path)) as store:
        store.adopt({"vary": "data"}, {})
    assert (tmp_path / name / FILE_NAME).stat().st_size > 0
    monkeypatch.setattr("functional_clf.record.files.os.access", lambda *args: False)
    with Store(tmp_path / name) as store:
        assert store.is_read_only
        assert store.configuration == {"vary": "data"}
