import ctypes
import functools
import getpass
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from functional_clf.engines import machine
from functional_clf.engines.cache import NAME, VARIABLE
from functional_clf.engines.fused import library
from functional_clf.engines.fused.library import BuildError, is_built
from functional_clf.engines.machine import c_compiler, c_compiler_version, why_no_c_compiler

SEVEN = "int number(void) { return 7; }"
EIGHT = "int number(void) { return 8; }"
NOBODY = 65534

load = functools.partial(library.load, entry="number")
needs_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can act as another user"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def libraries(cache):
    return sorted(cache.rglob("*.so"))


def run_python(code):
    """Run it in a process of its own: a broken library may end the process that loads it."""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


LOAD = (
    "from functional_clf.engines.fused.library import load; "
    f"print(load({SEVEN!r}, 'number').number())"
)


def test_a_source_becomes_a_library():
    assert not is_built(SEVEN)
    assert load(SEVEN).number() == 7
    assert is_built(SEVEN)


def test_another_source_is_another_library(cache):
    assert (load(SEVEN).number(), load(EIGHT).number()) == (7, 8)
    assert len(libraries(cache)) == 2


def test_many_libraries_are_told_apart(cache):
    """They are loaded through descriptors of the same number, which is a name to the loader."""
    sources = [f"int number(void) {{ return {number}; }}" for number in range(12)]
    assert [load(source).number() for source in sources] == list(range(12))
    assert [load(source).number() for source in reversed(sources)] == list(range(11, -1, -1))
    descriptors = [os.readlink(link) for link in Path("/proc/self/fd").glob("*") if link.exists()]
    assert not [path for path in descriptors if path.startswith(str(cache))]


def test_where_descriptors_have_no_path_a_copy_is_loaded(cache, monkeypatch):
    monkeypatch.setattr(library, "_DESCRIPTORS", "/proc/none")
    assert (load(SEVEN).number(), load(EIGHT).number(), load(SEVEN).number()) == (7, 8, 7)
    assert sorted(path.suffix for path in cache.rglob("*") if not path.is_dir()) == [".so"] * 2
    assert not list(cache.rglob("tmp*"))


def test_a_cached_library_is_found_by_the_next_load(monkeypatch):
    load(SEVEN)

    def run(*args, **kwargs):
        raise AssertionError("it compiled again")

    monkeypatch.setattr(library, "run_watched", run)
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
    monkeypatch.setenv(VARIABLE, str(elsewhere))
    return elsewhere / path.relative_to(cache)


def test_a_compiler_that_does_not_exist_is_no_compiler(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    assert c_compiler() is None
    with pytest.raises(BuildError, match=r"no C compiler was found \(CC is 'no-such-compiler"):
        load(SEVEN)


def test_a_quotation_without_an_end_is_told_with_the_name_of_the_setting(monkeypatch):
    monkeypatch.setenv("CC", "gcc 'x")
    assert c_compiler() is None
    with pytest.raises(BuildError, match=r"found \(CC is \"gcc 'x\": No closing quotation\)"):
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
    monkeypatch.setenv(VARIABLE, str(tmp_path / folder))
    with pytest.raises(BuildError, match=r"error: .*nonsense") as caught:
        load("int number(void) { return nonsense; }")
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / folder).rglob("*") if not path.is_dir()]


def test_a_compiler_that_fails_without_a_word_is_told_of(monkeypatch):
    monkeypatch.setenv("CC", "false")
    with pytest.raises(BuildError, match="gave no reason"):
        load(SEVEN)


def test_mathematics_is_linked():
    source = "#include <math.h>\ndouble root(double a) { return sqrt(a) + cbrt(a); }"
    found = library.load(source, entry="root").root
    found.restype, found.argtypes = ctypes.c_double, [ctypes.c_double]
    assert found(64.0) == 12.0


def test_two_processes_may_build_the_same_library_at_once(cache):
    processes = [run_python(LOAD) for _ in range(2)]
    for process in processes:
        told, error = process.communicate(timeout=120)
        assert (process.returncode, told) == (0, "7\n"), error
    assert len(libraries(cache)) == 1


def lying_compiler(tmp_path, monkeypatch, lines):
    """A compiler that does what the lines of a shell script say, and reports success."""
    script = tmp_path / "cc"
    real = shutil.which(c_compiler()[0])
    find = 'for word; do [ "$before" = -o ] && out=$word; before=$word; done'
    start = f'#!/bin/sh\n[ "$1" = --version ] && exit\n{find}\nreal={real}\n'
    script.write_text(f"{start}{lines}\nexit 0\n")
    script.chmod(0o700)
    monkeypatch.setenv("CC", str(script))


LIES = {
    "nothing": ("true", "No such file"),
    "an empty file": (': > "$out"', "file too short"),
    "junk": ('head -c 5000 "$0" "$0" > "$out"', "invalid ELF header|too short"),
    "a folder": ('mkdir "$out"', "not a file"),
    "a link": ('"$real" "$@"; mv "$out" "$out.so"; ln -s "$out.so" "$out"', "symbolic links"),
    "a link to no end": ('ln -s /dev/zero "$out"', "symbolic links"),
    "a pipe": ('mkfifo "$out"', "not a file"),
    "a huge file": ('truncate -s 1T "$out"', "too large"),
    "an old file": (
        'echo "int number(void) { return 8; }" > "$out.c" && "$real" -shared "$out.c" -o "$out"',
        "undefined symbol: made_of",
    ),
    "a library that ends whoever loads it": (
        'echo "#include <unistd.h>" > "$out.c"; echo "__attribute__((constructor)) '
        'static void run(void) { _exit(0); } int number;" >> "$out.c"; '
        '"$real" -shared -fPIC "$out.c" -o "$out"',
        "ends with code 0",
    ),
    "half a library": (
        '"$real" "$@" && head -c 9000 "$out" > "$out.half" && mv "$out.half" "$out"',
        "too short|ends with code|cannot",
    ),
    "another library": (
        'echo "int other;" > "$out.c" && "$real" -shared "$out.c" -o "$out"',
        "undefined symbol: number",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_a_lying_compiler_leaves_is_not_kept(lie, cache, tmp_path, monkeypatch):
    lines, why = LIES[lie]
    with monkeypatch.context() as lying:
        lying_compiler(tmp_path, lying, lines)
        with pytest.raises(BuildError, match=f"reported success, but .*({why})") as caught:
            load(SEVEN)
        assert "\n" not in str(caught.value)
        assert not is_built(SEVEN)
        assert not list((cache / NAME / "fused").iterdir())
    assert load(SEVEN).number() == 7


def test_a_compiler_that_lied_once_under_the_same_name_is_asked_again(cache, tmp_path, monkeypatch):
    lying_compiler(tmp_path, monkeypatch, '[ -e "$0.told" ] && "$real" "$@"; : > "$0.told"')
    with pytest.raises(BuildError, match="No such file"):
        load(SEVEN)
    assert load(SEVEN).number() == 7


def test_a_compiler_that_is_another_under_the_same_name_and_version_is_asked_again(
    cache, tmp_path, monkeypatch
):
    """As a wrapper to which somebody adds an option."""
    source = "int number(void) { return NUMBER; }"
    for number in (1, 2):
        with monkeypatch.context() as other:
            lying_compiler(tmp_path, other, f'"$real" "$@" -DNUMBER={number}')
            assert load(source).number() == number
    assert len(libraries(cache)) == 2


def test_a_whole_library_under_another_s_name_is_not_run(cache, monkeypatch):
    """As a file that was renamed, or put back from a copy under a wrong name."""
    path = moved(cache, monkeypatch)
    assert load(EIGHT).number() == 8
    shutil.copy(library._path(EIGHT), path)
    assert load(SEVEN).number() == 7


def test_a_compiler_s_version_may_be_of_any_letters(tmp_path, monkeypatch):
    script = tmp_path / "cc"
    script.write_text("#!/bin/sh\nprintf 'gcc \\351 \\033[31m'; head -c 5000 /dev/zero\n")
    script.chmod(0o700)
    monkeypatch.setenv("CC", str(script))
    version = c_compiler_version()
    assert version is not None
    assert version.startswith("gcc \\xe9 ")
    assert len(version) <= 200
    assert why_no_c_compiler() is None


@pytest.mark.parametrize(
    ("does", "line"),
    [
        ("printf 'g++ \\351'", "torch cannot read .* version .CXX is .*: use LC_ALL=C"),
        ("exec sleep 1000", "the C.. compiler does not work .*has not ended within 0.3 s"),
        ("echo g++", None),
    ],
    ids=["not UTF-8", "hanging", "sound"],
)
def test_of_a_c_plus_plus_compiler_that_torch_cannot_use_a_line_is_told(
    does, line, tmp_path, monkeypatch
):
    script = tmp_path / "c++"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o700)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setattr(machine, "ANSWER_SECONDS", 0.3 if line and "0.3" in line else 60)
    told = machine.why_not_compile(torch.device("cpu"))
    assert (told is None) if line is None else re.match(line, str(told))


def test_a_compiler_that_hangs_when_asked_for_its_version_is_none(tmp_path, monkeypatch):
    script = tmp_path / "cc"
    script.write_text("#!/bin/sh\nexec sleep 1000\n")
    script.chmod(0o700)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setattr(machine, "ANSWER_SECONDS", 0.2)
    line = f"the C compiler does not work ({script} has not ended within 0.2 s)"
    assert why_no_c_compiler() == line
    with pytest.raises(BuildError) as caught:
        load(SEVEN)
    assert str(caught.value) == line
    assert c_compiler_version() is None


def test_a_compiler_that_hangs_is_stopped_and_leaves_nothing(cache, tmp_path, monkeypatch):
    lying_compiler(tmp_path, monkeypatch, "sleep 1000 & wait")
    monkeypatch.setattr(library, "LONGEST_SECONDS", 0.5)
    with pytest.raises(BuildError, match=r"cc has not ended within 0\.5 s"):
        load(SEVEN)
    assert not list((cache / NAME / "fused").iterdir())


def test_a_compilation_that_is_no_longer_wanted_ends_at_once(tmp_path, monkeypatch):
    lying_compiler(tmp_path, monkeypatch, f": > {tmp_path}/begun; sleep 1000")
    with pytest.raises(BuildError, match="was stopped"):
        load(SEVEN, is_over=(tmp_path / "begun").exists)


def test_what_a_compiler_keeps_meanwhile_goes_with_it(cache, tmp_path, monkeypatch):
    lying_compiler(tmp_path, monkeypatch, f'echo "$TMPDIR" > {tmp_path}/told; "$real" "$@"')
    assert load(SEVEN).number() == 7
    folder = Path((tmp_path / "told").read_text().strip())
    assert folder.is_relative_to(cache)
    assert not folder.exists()


def test_what_was_being_compiled_when_the_machine_went_off_is_removed(cache):
    assert load(SEVEN).number() == 7
    folder = cache / NAME / "fused"
    for name in ("tmpold", "tmpnew"):
        (folder / name).mkdir()
        (folder / name / "program.c").write_text(SEVEN)
    os.utime(folder / "tmpold", (0, 0))
    assert load(EIGHT).number() == 8
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["tmpnew"]


def test_an_old_assembler_makes_no_small_vectors(cache, tmp_path, monkeypatch):
    old = (
        'case "$*" in *-muse-unaligned*) echo "as: unrecognized option -muse-unaligned-vector-move'
    )
    lines = f'{old}" >&2; exit 1;; *-fno-tree-slp*) "$real" "$@";; esac'
    lying_compiler(tmp_path, monkeypatch, lines)
    assert load(SEVEN).number() == 7


def test_a_compiler_that_cannot_be_started_is_told_of_in_one_line(tmp_path, monkeypatch):
    script = tmp_path / "cc"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o700)
    monkeypatch.setenv("CC", str(script))
    with pytest.raises(BuildError, match="No such file or directory"):
        load(SEVEN)


def test_a_sealed_file_that_is_no_library_is_built_anew(cache, monkeypatch):
    """As earlier versions kept it of a compiler that lied."""
    path = moved(cache, monkeypatch)
    content = library._path(EIGHT.replace("number", "other"))
    library.load(EIGHT.replace("number", "other"), entry="other")
    for kept in (library._seal(b""), content.read_bytes()):
        path.unlink()  # it is loaded: what is written into it would be run
        path.write_bytes(kept)
        assert load(SEVEN).number() == 7


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_library_is_ours_alone_whatever_the_umask(umask, cache):
    before = os.umask(umask)
    try:
        assert load(SEVEN).number() == 7
        (path,) = libraries(cache)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert is_built(SEVEN)
    finally:
        os.umask(before)


def test_without_a_folder_to_trust_nothing_is_loaded_and_one_line_says_why(tmp_path, monkeypatch):
    for name in (VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert not is_built(SEVEN)
    with pytest.raises(BuildError, match="compiled code can be kept nowhere: /dev/null is not"):
        load(SEVEN)


@pytest.fixture
def planted(cache, tmp_path):
    """A whole, sealed library of the right name with a constructor that leaves a mark."""
    mark = tmp_path / "mark"
    evil = f"""
        #include <stdio.h>
        int number(void) {{ return 666; }}
        __attribute__((constructor)) static void run(void) {{ fclose(fopen("{mark}", "w")); }}
        const int {library._mark(SEVEN)} = 1;
    """
    assert load(evil).number() == 666
    assert mark.exists()
    mark.unlink()
    (path,) = libraries(cache)
    copy = tmp_path / "planted"
    shutil.copy(path, copy)
    copy.chmod(0o644)
    path.unlink()
    yield copy
    assert not mark.exists()


def test_what_is_planted_would_be_run(cache, planted, tmp_path):
    """Without the checks, that is: as this user's own file it passes them."""
    path = library._path(SEVEN)
    shutil.copy(planted, path)
    path.chmod(0o600)
    assert load(SEVEN).number() == 666
    (tmp_path / "mark").unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["others may write", "link", "pipe"])
def test_a_planted_library_is_not_run(how, cache, planted):
    path = library._path(SEVEN)
    if how == "link":
        path.symlink_to(planted)
    elif how == "pipe":
        os.mkfifo(path)
    else:
        shutil.copy(planted, path)
        path.chmod(0o666)
    assert not is_built(SEVEN)
    assert load(SEVEN).number() == 7
    assert load(SEVEN).number() == 7


@needs_root
def test_another_users_library_in_our_folder_is_not_run(cache, planted):
    path = library._path(SEVEN)
    shutil.copy(planted, path)
    os.chown(path, NOBODY, NOBODY)
    assert load(SEVEN).number() == 7


@needs_root
@pytest.mark.parametrize("how", ["their folder", "our open folder", "their link"])
def test_a_library_that_another_user_plants_in_a_shared_folder_is_not_run(
    how, planted, tmp_path, monkeypatch, caplog
):
    """As another user made /tmp/torchinductor_<name> first, and put a library there."""
    name = library._path(SEVEN).name
    shared = Path(tempfile.mkdtemp())
    shared.chmod(0o1777)
    source = shutil.copy(planted, shared / "source")
    default = shared / f"torchinductor_{getpass.getuser()}"
    folder = shared / "theirs" if how == "their link" else default
    if how == "our open folder":
        default.mkdir()
        default.chmod(0o777)
    inside = folder / NAME / "fused"
    commands = [f"mkdir -p {inside}", f"cp {source} {inside}/{name}"]
    if how == "their link":
        commands.append(f"ln -s {folder} {default}")
    for command in commands:
        subprocess.run(command.split(), check=True, user=NOBODY, group=NOBODY, extra_groups=[])
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    try:
        assert load(SEVEN).number() == 7
        assert library._path(SEVEN).is_relative_to(tmp_path / "own")
        assert [message for message in caplog.messages if str(default) in message]
        assert [path.name for path in inside.iterdir()] == [name]
    finally:
        shutil.rmtree(shared)
