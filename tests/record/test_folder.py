import os

import numpy as np
import pytest
from safetensors.numpy import load_file

from functional_clf import Study, circles, load_seed, mlp_recipe
from functional_clf.cli.resolved import check_study_file
from functional_clf.record.database import StoreError
from functional_clf.record.folder import check_outputs, remove, write_whole
from functional_clf.record.names import file_name
from functional_clf.record.weights import write_params
from functional_clf.reports import signature
from functional_clf.reports.outputs import derived_files, params_files
from functional_clf.reports.tables import write_results, write_tables


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, UnicodeError])
def test_whatever_stops_a_file_from_being_written_nothing_unfinished_stays(error, tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_whole(path, fail)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "before"


def test_any_name_fits_into_a_file_name_and_none_is_anothers():
    names = ["a", "模" * 200, "模" * 199 + "型", "x" * 5000, "..", "a/b", "\udc80", "~", "a b"]
    found = [file_name(name) for name in names]
    assert len(set(found)) == len(names)
    for name in found:
        assert len(f".{name}.safetensors.part".encode()) <= 255
        assert "/" not in name


def test_the_weights_of_a_model_with_a_long_name_are_exported_and_read(tmp_path):
    name = "模型" * 99
    recipe = mlp_recipe(name, (2, 1), None, "sgd", 0.1, epochs=1)
    Study(circles(20), (recipe,), seeds=2, engine="eager", save_params=True).run(tmp_path)
    (path,) = write_params(tmp_path, [name], range(2))
    assert [path] == params_files(tmp_path, [name])
    bias = load_file(path)["0.bias"][1]
    np.testing.assert_array_equal(bias, load_seed(tmp_path, name, 1)[0].bias.detach())


def test_nothing_is_removed_through_a_link(tmp_path):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    (theirs / "m.safetensors").write_text("theirs")
    (ours / "params").symlink_to(theirs)
    remove(ours, [*params_files(ours, ["m"]), ours / "nothing"])
    assert (theirs / "m.safetensors").read_text() == "theirs"


def test_what_is_removed_from_a_linked_run_folder_is_gone(tmp_path):
    """The folder that is asked for may be a link; those in it may not."""
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "seeds.csv").write_text("ours")
    remove(tmp_path / "link", [tmp_path / "link" / "seeds.csv"])
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no other users")
@pytest.mark.parametrize(("bits", "is_told"), [(0o755, False), (0o775, False), (0o777, True)])
def test_a_folder_that_everybody_may_write_to_is_told_of_in_a_line(bits, is_told, tmp_path, caplog):
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(bits)
    check_outputs(tmp_path / "out", derived_files(tmp_path / "out", ["m"]))
    line = f"every user of this machine may change what is in {tmp_path / 'out'}, results too"
    assert caplog.messages == ([line] if is_told else [])


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away"
)
def test_a_folder_of_another_user_is_told_of_in_a_line(tmp_path, caplog):
    os.chown(tmp_path, 65534, 65534)
    check_outputs(tmp_path, derived_files(tmp_path, ["m"]))
    assert caplog.messages == [
        f"another user, to whom it belongs, may change what is in {tmp_path}, results too"
    ]


def test_the_beginnings_that_killed_runs_have_left_are_removed_before_the_next(tmp_path):
    for place in (tmp_path, tmp_path / "plots", tmp_path / "params"):
        place.mkdir(exist_ok=True)
        (place / ".functional_clf-0123456789abcdef.part").write_text("half")
    (tmp_path / "plots" / "of_mine.part").write_text("mine")
    check_outputs(tmp_path, derived_files(tmp_path, ["m"]))
    assert [path.name for path in tmp_path.rglob("*.part")] == ["of_mine.part"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["study.toml", "seeds.csv", "results.json", "plots/data.png"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(name, tmp_path):
    recipe = mlp_recipe("m", (2, 1), None, "sgd", 0.1, epochs=1)
    results = Study(circles(20), (recipe,), seeds=2, engine="eager").run()
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    if name == "study.toml":
        with pytest.raises(StoreError, match="is not of this run"):
            check_study_file(tmp_path)
    else:
        write_tables(results, tmp_path)
        write_results(results, tmp_path)
        assert signature.standing(tmp_path / "plots", "one") is None
    assert path.is_fifo() == (name in ("study.toml", "plots/data.png"))
