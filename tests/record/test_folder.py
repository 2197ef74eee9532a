import numpy as np
import pytest
from safetensors.numpy import load_file

from functional_clf import Study, circles, load_seed, mlp_recipe
from functional_clf.record.folder import remove, write_whole
from functional_clf.record.names import file_name
from functional_clf.record.weights import write_params
from functional_clf.reports.outputs import params_files


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, UnicodeError])
def test_whatever_stops_a_file_from_being_written_nothing_unfinished_stays(error, tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def fail(unfinished):
        unfinished.write_text("half")
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
    remove([*params_files(ours, ["m"]), ours / "nothing"])
    assert (theirs / "m.safetensors").read_text() == "theirs"
