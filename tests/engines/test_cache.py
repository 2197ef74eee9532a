import getpass
import logging
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from functional_clf.engines.cache import (
    NAME,
    VARIABLE,
    CacheError,
    _looked_through,
    _umask,
    cache_folder,
    open_trusted,
    torchs_default_is_trusted,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no other users")
needs_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can act as another user"
)
NOBODY = 65534


@pytest.fixture(autouse=True)
def private(tmp_path, monkeypatch):
    """This user's own cache folder, and no other setting."""
    folder = tmp_path / "own"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    return folder / NAME / "torchinductor"


@pytest.fixture
def shared(monkeypatch):
    """A temporary folder of all users, as /tmp is."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def default(shared):
    """Torch's cache in it, which is not there yet."""
    return shared / f"torchinductor_{getpass.getuser()}"


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def as_nobody(*commands):
    for command in commands:
        subprocess.run(command, check=True, user=NOBODY, group=NOBODY, extra_groups=[])


def test_it_lies_in_torchs_cache_and_torch_is_told(default):
    assert cache_folder() == default / NAME
    assert os.environ[VARIABLE] == str(default)
    assert [mode(default), mode(cache_folder())] == [0o700, 0o700]


def test_it_lies_where_torch_is_told_to_keep_its_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "there" / "deep"))
    assert cache_folder() == tmp_path / "there" / "deep" / NAME


@pytest.mark.parametrize("setting", ["", "."])
def test_no_folder_is_made_that_could_be_taken_for_the_package(
    setting, shared, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, setting)
    monkeypatch.setenv("XDG_CACHE_HOME", setting)
    cache_folder("fused")
    assert not [path.name for path in tmp_path.iterdir() if path.name.isidentifier()]


def test_a_relative_setting_is_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "there")
    assert cache_folder() == tmp_path / "there" / NAME


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_folders_of_ours_are_ours_alone_whatever_the_umask(umask, default, private, monkeypatch):
    before = os.umask(umask)
    try:
        cache_folder()
        monkeypatch.setenv(VARIABLE, "/proc/none")
        cache_folder()
    finally:
        os.umask(before)
    made = [default, default / NAME]
    made += [private.parents[1], private.parent, private, private / NAME]
    assert [mode(path) for path in made] == [0o700] * 6


def test_a_folder_that_others_may_only_read_is_closed_to_them(default):
    (default / NAME / "fused").mkdir(parents=True, mode=0o755)
    assert mode(cache_folder("fused")) == 0o700
    assert mode(default / NAME) == 0o700


def test_what_others_may_write_to_is_refused_in_one_line(default, private, caplog):
    default.mkdir()
    for bits in (0o775, 0o757, 0o777, 0o1777, 0o2770):
        default.chmod(bits)
        os.environ.pop(VARIABLE, None)
        caplog.clear()
        assert cache_folder() == private / NAME
        assert os.environ[VARIABLE] == str(private)
        assert caplog.messages == [
            f"compiled code is kept in {private}: {default} is not used, since others may write "
            f"to {default} (its mode is {bits:03o})"
        ]
        assert caplog.record_tuples[0][:2] == ("functional_clf", logging.WARNING)
        assert not list(default.iterdir())
    caplog.clear()
    cache_folder()
    assert not caplog.messages  # once is enough


def test_whether_torchs_default_is_trusted_is_asked_apart(default, tmp_path, monkeypatch):
    """Torch keeps its precompiled headers there even where it is told of another folder."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "there"))
    assert torchs_default_is_trusted()
    default.chmod(0o777)
    assert not torchs_default_is_trusted()
    assert cache_folder() == tmp_path / "there" / NAME


def test_a_folder_in_it_that_others_may_write_to_is_refused(default, private):
    """As an earlier version made it under umask 000: what lies in it may be anybody's."""
    for name in (f"{NAME}/fused", NAME):
        (default / name).mkdir(parents=True, exist_ok=True)
        (default / name).chmod(0o777)
        os.environ.pop(VARIABLE, None)
        assert cache_folder("fused") == private / NAME / "fused"
        assert mode(default / name) == 0o777


def test_a_folder_on_the_way_that_others_may_write_to_is_refused(tmp_path, private, monkeypatch):
    (tmp_path / "open" / "mine").mkdir(parents=True)
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "open" / "mine"))
    assert cache_folder() == private / NAME
    (tmp_path / "open").chmod(0o1777)  # now what lies in it is its owner's
    monkeypatch.setenv(VARIABLE, str(tmp_path / "open" / "mine"))
    assert cache_folder() == tmp_path / "open" / "mine" / NAME


def test_the_folder_of_all_users_itself_is_refused(shared, private, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(shared))
    assert cache_folder() == private / NAME
    assert not list(shared.iterdir())


@pytest.mark.parametrize(("umask", "is_used"), [(0o022, True), (0o002, False), (0o000, False)])
def test_a_folder_that_others_enter_is_refused_where_they_could_write_to_what_torch_makes(
    umask, is_used, default, private, caplog
):
    default.mkdir(mode=0o755)
    before = os.umask(umask)
    try:
        folder = cache_folder()
    finally:
        os.umask(before)
    assert folder.parent == (default if is_used else private)
    told = f"others may enter it, and write to what torch puts there (the umask is {umask:03o})"
    assert [told in message for message in caplog.messages] == ([] if is_used else [True])
    default.chmod(0o700)  # now nobody enters
    os.environ.pop(VARIABLE)
    os.umask(umask)
    try:
        assert cache_folder().parent == default
    finally:
        os.umask(before)


def test_the_umask_is_told_where_there_is_no_proc_too(monkeypatch):
    before = os.umask(0o027)
    try:
        assert _umask() == 0o027
        monkeypatch.setattr(Path, "read_text", lambda path, **how: "nothing of it")
        assert _umask() == 0o027
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("what", ["an open file", "an open folder", "a file of two names"])
def test_torch_uses_no_cache_in_which_others_could_have_put_something(
    what, default, private, tmp_path, caplog
):
    """It was open to others once, and what they put there stays: torch unpickles and runs it."""
    inside = default / "fxgraph" / "ab"
    inside.mkdir(parents=True, mode=0o755)
    (inside / "graph").write_bytes(b"graph")
    assert cache_folder(for_torch=True).parent == default
    _looked_through.clear()  # the next process
    if what == "an open file":
        (inside / "graph").chmod(0o666)
    elif what == "an open folder":
        inside.chmod(0o777)
    else:
        (tmp_path / "elsewhere").hardlink_to(inside / "graph")
    assert cache_folder().parent == default  # what is ours is looked at file by file
    assert not caplog.messages
    assert cache_folder(for_torch=True).parent == private
    (line,) = caplog.messages
    assert line.startswith(f"compiled code is kept in {private}: {default} is not used, since ")


@needs_root
def test_torch_uses_no_cache_that_holds_another_users_file(default, private):
    (default / "fxgraph").mkdir(parents=True)
    (default / "fxgraph" / "graph").write_bytes(b"graph")
    os.chown(default / "fxgraph" / "graph", NOBODY, NOBODY)
    assert cache_folder(for_torch=True).parent == private


def test_headers_in_torchs_default_that_others_could_have_made_are_not_trusted(default):
    assert torchs_default_is_trusted()
    (default / "precompiled_headers").mkdir()
    (default / "precompiled_headers").chmod(0o777)
    _looked_through.clear()
    assert not torchs_default_is_trusted()


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no access lists to be set here")
def test_a_folder_that_an_access_list_opens_to_another_user_is_refused(default, private):
    """Its mode shows so, as the rights of the group."""
    default.mkdir()
    entries = [(1, 7, -1), (2, 7, NOBODY), (4, 0, -1), (16, 7, -1), (32, 0, -1)]
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(default, "system.posix_acl_access", struct.pack("<I", 2) + packed)
    except OSError:
        pytest.skip("this file system has no access lists")
    assert cache_folder().parent == private


def test_a_link_of_ours_that_has_another_name_is_refused(shared, default, private, tmp_path):
    """Where the system lets them, others may give any link of ours a name in /tmp."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "ours")
    os.link(tmp_path / "link", default, follow_symlinks=False)
    assert cache_folder().parent == private
    assert not list((tmp_path / "ours").iterdir())


def test_a_folder_that_changes_hands_is_not_used_from_then_on(default, private):
    assert cache_folder().parent == default
    default.chmod(0o777)
    assert cache_folder().parent == private


ATTACK = """
while :; do
    mkdir -m 777 "$0" && mkdir -m 777 "$0/$1" && : > "$0/$1/evil"
    rm -rf "$0"; ln -s "$2" "$0"; rm -rf "$0"; ln "$3" "$0"; rm -f "$0"; : > "$0"; rm -f "$0"
done 2> /dev/null
"""


@needs_root
def test_another_user_who_races_for_the_folder_never_has_a_say_in_it(
    shared, default, private, tmp_path
):
    theirs = shared / "theirs"
    as_nobody(["mkdir", "-m", "777", theirs])
    ours = shared / "file"
    ours.write_text("ours")
    attacker = subprocess.Popen(
        ["/bin/sh", "-c", ATTACK, default, NAME, theirs, ours],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )
    try:
        for _ in range(300):
            os.environ.pop(VARIABLE, None)
            folder = cache_folder("fused")
            assert folder.is_relative_to(default) or folder.is_relative_to(private)
            for path in (folder, folder.parent, folder.parent.parent):
                assert (path.lstat().st_uid, mode(path)) == (0, 0o700)
            assert not list(folder.iterdir())
            if default.is_dir() and not default.is_symlink() and default.stat().st_uid == 0:
                shutil.rmtree(default)
    finally:
        attacker.kill()
        attacker.wait()
    assert not list(theirs.iterdir())


ATTEMPTS = [
    'ls "$0"',
    'cat "$0/library"',
    ': > "$0/new"',
    'echo evil >> "$0/library"',
    'rm -f "$0/library"',
    'mv "$0/library" "$0/other"',
    'ln "$0/library" "$1/library"',
    'ln -s /dev/null "$0/link"',
    'chmod 777 "$0"',
    'mv "$0" "$1/moved"',
    'rmdir "$0"',
    'mv "$2" "$2.moved"',
]


@needs_root
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_another_user_can_do_nothing_in_a_cache_made_under_umask_000(attempt, shared, default):
    before = os.umask(0)
    try:
        folder = cache_folder("fused")
        (folder / "library").write_text("ours")
        theirs = shared / "theirs"
        as_nobody(["mkdir", theirs])
    finally:
        os.umask(before)
    ran = subprocess.run(
        ["/bin/sh", "-c", attempt, folder, theirs, default],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        check=False,
    )
    there = [path.name for path in folder.iterdir()]
    assert (ran.returncode != 0 or attempt.startswith("rm -f"), there) == (True, ["library"])
    assert (folder / "library").read_text() == "ours"


@pytest.mark.parametrize(
    "home",
    ["\udcff", "a\nb", "x" * 300, "~", "link", "file"],
    ids=["a byte", "two lines", "too long", "tilde", "link", "file"],
)
def test_an_odd_cache_home_is_one_or_none(home, shared, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "/dev/null")
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / home))
    folder = cache_folder()
    if home in ("x" * 300, "file"):
        assert folder.parents[1] == shared.resolve()
    else:
        assert folder.is_relative_to((tmp_path / home).resolve())
    assert mode(folder) == 0o700


@needs_root
@pytest.mark.parametrize("bits", [0o700, 0o755, 0o777])
def test_another_users_folder_is_refused(bits, default, private, caplog):
    as_nobody(["mkdir", "-m", f"{bits:o}", default])
    assert cache_folder() == private / NAME
    assert caplog.messages == [
        f"compiled code is kept in {private}: {default} is not used, since {default} belongs to "
        "the user nobody"
    ]


@needs_root
def test_a_folder_below_or_above_that_is_another_users_is_refused(tmp_path, private, monkeypatch):
    for owned in ("a", "a/b", f"a/b/{NAME}"):
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        (tmp_path / f"a/b/{NAME}").mkdir(parents=True)
        os.chown(tmp_path / owned, NOBODY, NOBODY)
        monkeypatch.setenv(VARIABLE, str(tmp_path / "a/b"))
        assert cache_folder() == private / NAME


@needs_root
def test_another_users_link_is_refused_even_to_a_folder_of_ours(default, private, tmp_path):
    (tmp_path / "ours").mkdir()
    as_nobody(["ln", "-s", tmp_path / "ours", default])
    assert cache_folder() == private / NAME
    assert not list((tmp_path / "ours").iterdir())


@needs_root
def test_a_link_through_another_users_folder_is_refused(shared, default, private, tmp_path):
    (tmp_path / "ours").mkdir()
    theirs = shared / "theirs"
    as_nobody(["mkdir", theirs], ["ln", "-s", tmp_path / "ours", theirs / "link"])
    default.symlink_to(theirs / "link")
    assert cache_folder() == private / NAME


@pytest.mark.parametrize("target", ["elsewhere/deep", "../{name}/elsewhere/deep"])
def test_a_link_of_ours_is_followed_where_all_of_its_way_is_ours(target, shared, default):
    (shared / "elsewhere" / "deep").mkdir(parents=True)
    for link in (target.format(name=shared.name), shared / "elsewhere" / "deep"):
        default.unlink(missing_ok=True)
        default.symlink_to(link)
        os.environ.pop(VARIABLE, None)
        assert cache_folder() == shared.resolve() / "elsewhere" / "deep" / NAME
        assert os.environ[VARIABLE] == str(shared.resolve() / "elsewhere" / "deep")


def test_a_link_of_ours_to_what_others_may_write_to_is_refused(shared, default, private):
    (shared / "open").mkdir()
    (shared / "open").chmod(0o777)
    default.symlink_to(shared / "open")
    assert cache_folder() == private / NAME


def test_links_in_a_ring_are_refused(shared, default, private):
    default.symlink_to(shared / "back")
    (shared / "back").symlink_to(default)
    assert cache_folder() == private / NAME


@pytest.mark.parametrize("setting", ["/proc/none", "/dev/null", "/dev/null/below", "/" + "x" * 300])
def test_a_folder_that_cannot_be_made_is_not_used(setting, private, monkeypatch, caplog):
    monkeypatch.setenv(VARIABLE, setting)
    assert cache_folder() == private / NAME
    assert f"{setting} is not used, since " in caplog.text


@needs_root
def test_a_folder_of_roots_is_not_used_by_those_who_can_only_read_it(shared, monkeypatch):
    (shared / "roots" / NAME).mkdir(parents=True)
    monkeypatch.setenv(VARIABLE, str(shared / "roots"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared / "own"))
    os.seteuid(NOBODY)
    try:
        folder = cache_folder()
    finally:
        os.seteuid(0)
    assert folder == shared / "own" / NAME / "torchinductor" / NAME
    assert (folder.stat().st_uid, mode(folder)) == (NOBODY, 0o700)


@pytest.mark.parametrize("home", ["relative", "", None])
def test_a_cache_home_that_is_no_whole_path_is_the_one_in_the_home_folder(
    home, tmp_path, monkeypatch
):
    monkeypatch.setenv(VARIABLE, "/proc/none")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME")
    if home is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", home)
    own = tmp_path / ".cache" / NAME / "torchinductor"
    assert cache_folder() == own / NAME


@pytest.mark.parametrize("home", ["/proc/none", "not/whole", None])
def test_without_any_place_of_its_own_a_process_has_a_temporary_one(
    home, shared, monkeypatch, caplog
):
    monkeypatch.setenv(VARIABLE, "/dev/null")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", home or "")
    if home is None:  # nor does the system know of one
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    folder = cache_folder()
    assert folder.parents[1] == shared.resolve()
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)
    assert len(caplog.messages) == 1
    assert cache_folder() == folder


def test_a_temporary_folder_is_gone_with_its_process(shared):
    code = "from functional_clf.engines.cache import cache_folder; print(cache_folder().is_dir())"
    settings = {VARIABLE: "/dev/null", "XDG_CACHE_HOME": "/dev/null", "TMPDIR": str(shared)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "True\n"
    assert not list(shared.iterdir())


def test_where_no_folder_is_safe_there_is_none(shared, monkeypatch):
    shared.chmod(0o777)  # not sticky: anybody may put another folder in its place
    monkeypatch.setenv(VARIABLE, "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(CacheError, match=r"nowhere: /dev/null is not used.*; .*others may write"):
        cache_folder()


@pytest.mark.parametrize("error", [KeyError("uid not found: 12345"), OSError("no name")])
def test_a_user_without_a_name_has_a_cache(error, shared, tmp_path, monkeypatch):
    def unknown():
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert cache_folder().parent == shared / f"torchinductor_uid_{os.getuid()}"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "there"))
    assert cache_folder().parent == tmp_path / "there"


def test_a_users_name_leads_to_no_other_folder(shared, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "../a user")
    assert cache_folder().parent == shared / "torchinductor_.._a user"


def test_only_plain_files_that_others_cannot_write_to_are_opened(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with open_trusted(path) as file:
        assert file.read() == b"content"
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    for other in ("link", "pipe", ".", "missing"):
        with pytest.raises(OSError, match=str(tmp_path)):
            open_trusted(tmp_path / other)
    for bits in (0o620, 0o602):
        path.chmod(bits)
        with pytest.raises(CacheError, match="others may write to"):
            open_trusted(path)


@needs_root
def test_another_users_file_is_not_opened(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(CacheError, match="belongs to the user nobody"):
        open_trusted(path)
    os.chown(path, 12345, 0)
    with pytest.raises(CacheError, match="belongs to user 12345"):
        open_trusted(path)
