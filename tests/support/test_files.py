import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from functional_clf.support import files
from functional_clf.support.files import open_plain, remove, remove_unfinished, write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="no links, or none without a right to them")


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "theirs"
    path.write_text("theirs")
    yield path
    assert path.read_text() == "theirs"
    assert not path.is_symlink()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    return path


def begun(folder):
    return sorted(folder.glob(".functional_clf-*.part"))


@posix
@pytest.mark.parametrize("how", ["before it is written", "after it is written"])
def test_a_link_put_in_place_of_what_is_begun_leads_nowhere(how, folder, theirs):
    """As whoever may write to the folder does in the right moment: of 22 s, once."""
    (folder / "note").write_text("before")

    def write(file):
        if how == "after it is written":
            file.write(b"ours")
        (part,) = begun(folder)
        part.unlink()
        part.symlink_to(theirs)
        if how == "before it is written":
            file.write(b"ours")

    with pytest.raises(PermissionError, match="taken away"):
        write_whole(folder / "note", write)
    assert [path.name for path in folder.iterdir()] == ["note"]
    assert (folder / "note").read_text() == "before"


@posix
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "file"])
def test_what_has_the_name_already_is_replaced_and_never_written_to(kind, folder, theirs):
    path = folder / "note"
    makers = {
        "link": lambda: path.symlink_to(theirs),
        "hard link": lambda: path.hardlink_to(theirs),
        "pipe": lambda: os.mkfifo(path),
        "file": lambda: path.write_text("before"),
    }
    makers[kind]()
    write_whole(path, b"ours")
    assert path.read_text() == "ours"
    assert path.lstat().st_nlink == 1


@posix
def test_a_folder_swapped_for_a_link_while_it_is_written_to_changes_nothing_there(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "note").write_text("theirs")

    def write(file):
        folder.rename(tmp_path / "moved")
        folder.symlink_to(elsewhere)
        file.write(b"ours")

    write_whole(folder / "note", write)
    assert [path.read_text() for path in elsewhere.iterdir()] == ["theirs"]
    assert (tmp_path / "moved" / "note").read_text() == "ours"


@posix
def test_a_linked_folder_is_written_to_only_where_it_may_be_one(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    write_whole(link / "note", b"ours")
    for refused in (
        lambda: write_whole(link / "other", b"ours", through_link=False),
        lambda: remove(link / "note", through_link=False),
    ):
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            refused()
    assert [path.name for path in folder.iterdir()] == ["note"]
    remove(link / "note")
    assert not list(folder.iterdir())


@posix
def test_a_folder_that_may_be_written_to_and_not_read_will_do(folder):
    folder.chmod(0o300)
    try:
        write_whole(folder / "note", b"ours")
    finally:
        folder.chmod(0o700)
    assert (folder / "note").read_text() == "ours"


@pytest.mark.skipif(os.name != "posix", reason="no modes")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_its_mode_is_as_asked_for_less_the_umask(umask, folder):
    before = os.umask(umask)
    try:
        for name, mode in (("note", 0o666), ("own", 0o600)):
            path = write_whole(folder / name, b"", mode)
            assert stat.S_IMODE(path.stat().st_mode) == mode & ~umask
    finally:
        os.umask(before)


def test_two_that_write_the_same_at_once_do_not_meet(folder):
    """Each has its own beginning; the last to end is what stays, and whole."""
    meet = threading.Barrier(2)

    def write(letter):
        def put(file):
            file.write(letter * 1000)
            meet.wait(10)
            file.write(letter * 1000)

        write_whole(folder / "note", put)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (folder / "note").read_bytes() in (b"a" * 2000, b"b" * 2000)
    assert len(list(folder.iterdir())) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from functional_clf.support.files import write_whole

def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

write_whole(Path(sys.argv[1]), write)
"""


@posix
def test_what_a_killed_process_has_begun_is_removed_and_what_others_write_is_not(folder, theirs):
    ran = subprocess.run([sys.executable, "-c", KILLED, folder / "note"], check=False)
    assert ran.returncode == -9
    (left,) = begun(folder)
    assert left.read_text() == "half"
    (folder / ".functional_clf-0123456789abcdef.part").symlink_to(theirs)
    (folder / ".functional_clf-ordinary.part").write_text("not one of ours")

    def write(file):
        remove_unfinished(folder)  # as another process does that starts now
        file.write(b"ours")

    write_whole(folder / "note", write)
    assert not left.exists()
    assert sorted(path.name for path in folder.iterdir()) == [
        ".functional_clf-0123456789abcdef.part",
        ".functional_clf-ordinary.part",
        "note",
    ]


@posix
@pytest.mark.parametrize("when", ["always", "at first"])
def test_what_is_taken_for_a_dead_process_s_before_it_is_locked_is_begun_anew(
    when, folder, monkeypatch
):
    taken = []

    def lock(descriptor, if_none=True):
        if when == "always" or not taken:
            (part,) = begun(folder)
            part.unlink()
            taken.append(part)
        return True

    monkeypatch.setattr(files, "_lock", lock)
    if when == "always":
        with pytest.raises(PermissionError, match="taken away"):
            write_whole(folder / "note", b"ours")
        assert not list(folder.iterdir())
    else:
        assert write_whole(folder / "note", b"ours").read_text() == "ours"


@posix
def test_where_there_are_no_locks_files_are_written_and_none_is_removed(folder, monkeypatch):
    import fcntl

    def none(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    left = folder / ".functional_clf-0123456789abcdef.part"
    left.write_text("")
    write_whole(folder / "note", b"ours")
    remove_unfinished(folder)
    assert left.exists()


def test_where_no_file_is_relative_to_a_folder_it_is_written_by_its_path(folder, monkeypatch):
    monkeypatch.setattr(files.os, "supports_dir_fd", set())
    assert write_whole(folder / "note", b"ours").read_text() == "ours"
    remove(folder / "note")
    assert not list(folder.iterdir())


@posix
@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device", "nothing"])
def test_nothing_but_a_plain_file_is_opened_and_none_waits(kind, folder, theirs):
    path = folder / "note"
    makers = {
        "link": lambda: path.symlink_to(theirs),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: None,
        "nothing": lambda: None,
    }
    makers[kind]()
    with pytest.raises(OSError, match="Errno"):
        open_plain(Path("/dev/zero") if kind == "device" else path)


def _swap(part_of, target, stop):
    """Put links in place of whatever is begun, as fast as one can."""
    while not stop.is_set():
        for part in Path(part_of).glob(".*.part"):
            try:
                part.unlink()
                part.symlink_to(target)
            except OSError:
                continue


@posix
@pytest.mark.slow
def test_a_shared_folder_under_attack_loses_no_file_elsewhere(folder, theirs):
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    attacker = spawn.Process(target=_swap, args=(str(folder), str(theirs), stop))
    attacker.start()
    try:
        written = 0
        for number in range(20_000):
            try:
                write_whole(folder / "note", lambda file, n=number: file.write(b"%d" % n * 500))
                written += 1
            except OSError:
                continue
    finally:
        stop.set()
        attacker.join()
    assert written > 0
