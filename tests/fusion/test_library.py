import ctypes
import shutil
import subprocess
import sys

import pytest

from functional_clf.fusion import library
from functional_clf.fusion.library import BuildError, is_built, load
from functional_clf.machine import c_compiler

SEVEN = "int number(void) { return 7; }"
EIGHT = "int number(void) { return 8; }"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
    return folder


def libraries(cache):
    return sorted(cache.rglob("*.so"))


def run_python(code):
    """Run it in a process of its own: a broken library may end the process that loads it."""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


LOAD = f"from functional_clf.fusion.library import load; print(load({SEVEN!r}).number())"


def test_a_source_becomes_a_library():
    assert not is_built(SEVEN)
    assert load(SEVEN).number() == 7
    assert is_built(SEVEN)


def test_another_source_is_another_library(cache):
    assert (load(SEVEN).number(), load(EIGHT).number()) == (7, 8)
    assert len(libraries(cache)) == 2


def test_a_cached_library_is_found_by_the_next_load(monkeypatch):
    load(SEVEN)

    def run(*args, **kwargs):
        raise AssertionError("it compiled again")

    monkeypatch.setattr(library.subprocess, "run", run)
    assert load(SEVEN).number() == 7


def test_nothing_but_the_library_is_left_in_the_cache(cache):
    load(SEVEN)
    assert [path.suffix for path in cache.rglob("*") if not path.is_dir()] == [".so"]
    assert not list(cache.rglob("tmp*"))


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"no library at all\n" * 100])
def test_a_file_that_is_no_library_is_built_anew(content, cache, monkeypatch):
    path = moved(cache, monkeypatch)
    path.write_bytes(content)
    assert load(SEVEN).number() == 7
    assert path.stat().st_size > len(content)


def test_a_library_that_is_cut_off_is_built_anew(cache, monkeypatch):
    path = moved(cache, monkeypatch)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    process = run_python(LOAD)
    told, error = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "7\n"), error
    assert path.stat().st_size == len(whole)


def moved(cache, monkeypatch):
    """The path of a built library that this process has not loaded from there."""
    load(SEVEN)
    (path,) = libraries(cache)
    elsewhere = cache.with_name("elsewhere")
    shutil.copytree(cache, elsewhere)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(elsewhere))
    return elsewhere / path.relative_to(cache)


def test_a_compiler_that_does_not_exist_is_no_compiler(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    assert c_compiler() is None
    with pytest.raises(BuildError, match="no C compiler was found"):
        load(SEVEN)


def test_a_path_without_any_compiler_has_none(monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert c_compiler() is None
    with pytest.raises(BuildError, match="no C compiler was found"):
        load(SEVEN)


def test_the_compiler_may_come_with_options_of_its_own(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    (command,) = c_compiler()
    monkeypatch.setenv("CC", f"{command} -DNUMBER=9")
    assert c_compiler() == [command, "-DNUMBER=9"]
    assert load("int number(void) { return NUMBER; }").number() == 9


def test_an_empty_choice_of_compiler_is_none(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    default = c_compiler()
    monkeypatch.setenv("CC", "")
    assert c_compiler() == default


@pytest.mark.parametrize("folder", ["cache", "errors"])
def test_what_is_wrong_is_told_in_the_compilers_words(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / folder))
    with pytest.raises(BuildError, match=r"error: .*nonsense") as caught:
        load("int number(void) { return nonsense; }")
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / folder).rglob("*") if not path.is_dir()]


def test_a_compiler_that_fails_without_a_word_is_told_of(monkeypatch):
    monkeypatch.setenv("CC", "false")
    with pytest.raises(BuildError, match="gave no reason"):
        load(SEVEN)


def test_mathematics_is_linked():
    found = load("#include <math.h>\ndouble root(double a) { return sqrt(a) + cbrt(a); }").root
    found.restype, found.argtypes = ctypes.c_double, [ctypes.c_double]
    assert found(64.0) == 12.0


def test_two_processes_may_build_the_same_library_at_once(cache):
    processes = [run_python(LOAD) for _ in range(2)]
    for process in processes:
        told, error = process.communicate(timeout=120)
        assert (process.returncode, told) == (0, "7\n"), error
    assert len(libraries(cache)) == 1
