import getpass
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from functional_clf.engines.cache import (
    VARIABLE,
    CacheError,
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
    return folder / "functional_clf" / "torchinductor"


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
    assert cache_folder() == default / "functional_clf"
    assert os.environ[VARIABLE] == str(default)
    assert [mode(default), mode(cache_folder())] == [0o700, 0o700]


def test_it_lies_where_torch_is_told_to_keep_its_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "there" / "deep"))
    assert cache_folder() == tmp_path / "there" / "deep" / "functional_clf"


def test_a_relative_setting_is_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "there")
    assert cache_folder() == tmp_path / "there" / "functional_clf"


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_folders_of_ours_are_ours_alone_whatever_the_umask(umask, default, private, monkeypatch):
    before = os.umask(umask)
    try:
        cache_folder()
        monkeypatch.setenv(VARIABLE, "/proc/none")
        cache_folder()
    finally:
        os.umask(before)
    made = [default, default / "functional_clf"]
    made += [private.parents[1], private.parent, private, private / "functional_clf"]
    assert [mode(path) for path in made] == [0o700] * 6


def test_a_folder_that_others_may_only_read_is_closed_to_them(default):
    (default / "functional_clf" / "fused").mkdir(parents=True, mode=0o755)
    assert mode(cache_folder("fused")) == 0o700
    assert mode(default / "functional_clf") == 0o700


def test_what_others_may_write_to_is_refused_in_one_line(default, private, caplog):
    default.mkdir()
    for bits in (0o775, 0o757, 0o777, 0o1777, 0o2770):
        default.chmod(bits)
        os.environ.pop(VARIABLE, None)
        caplog.clear()
        assert cache_folder() == private / "functional_clf"
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
    assert cache_folder() == tmp_path / "there" / "functional_clf"


def test_a_folder_in_it_that_others_may_write_to_is_refused(default, private):
    """As an earlier version made it under umask 000: what lies in it may be anybody's."""
    for name in ("functional_clf/fused", "functional_clf"):
        (default / name).mkdir(parents=True, exist_ok=True)
        (default / name).chmod(0o777)
        os.environ.pop(VARIABLE, None)
        assert cache_folder("fused") == private / "functional_clf" / "fused"
        assert mode(default / name) == 0o777


def test_a_folder_on_the_way_that_others_may_write_to_is_refused(tmp_path, private, monkeypatch):
    (tmp_path / "open" / "mine").mkdir(parents=True)
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "open" / "mine"))
    assert cache_folder() == private / "functional_clf"
    (tmp_path / "open").chmod(0o1777)  # now what lies in it is its owner's
    monkeypatch.setenv(VARIABLE, str(tmp_path / "open" / "mine"))
    assert cache_folder() == tmp_path / "open" / "mine" / "functional_clf"


def test_the_folder_of_all_users_itself_is_refused(shared, private, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(shared))
    assert cache_folder() == private / "functional_clf"
    assert not list(shared.iterdir())


@needs_root
@pytest.mark.parametrize("bits", [0o700, 0o755, 0o777])
def test_another_users_folder_is_refused(bits, default, private, caplog):
    as_nobody(["mkdir", "-m", f"{bits:o}", default])
    assert cache_folder() == private / "functional_clf"
    assert caplog.messages == [
        f"compiled code is kept in {private}: {default} is not used, since {default} belongs to "
        "the user nobody"
    ]


@needs_root
def test_a_folder_below_or_above_that_is_another_users_is_refused(tmp_path, private, monkeypatch):
    for owned in ("a", "a/b", "a/b/functional_clf"):
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        (tmp_path / "a/b/functional_clf").mkdir(parents=True)
        os.chown(tmp_path / owned, NOBODY, NOBODY)
        monkeypatch.setenv(VARIABLE, str(tmp_path / "a/b"))
        assert cache_folder() == private / "functional_clf"


@needs_root
def test_another_users_link_is_refused_even_to_a_folder_of_ours(default, private, tmp_path):
    (tmp_path / "ours").mkdir()
    as_nobody(["ln", "-s", tmp_path / "ours", default])
    assert cache_folder() == private / "functional_clf"
    assert not list((tmp_path / "ours").iterdir())


@needs_root
def test_a_link_through_another_users_folder_is_refused(shared, default, private, tmp_path):
    (tmp_path / "ours").mkdir()
    theirs = shared / "theirs"
    as_nobody(["mkdir", theirs], ["ln", "-s", tmp_path / "ours", theirs / "link"])
    default.symlink_to(theirs / "link")
    assert cache_folder() == private / "functional_clf"


@pytest.mark.parametrize("target", ["elsewhere/deep", "../{name}/elsewhere/deep"])
def test_a_link_of_ours_is_followed_where_all_of_its_way_is_ours(target, shared, default):
    (shared / "elsewhere" / "deep").mkdir(parents=True)
    for link in (target.format(name=shared.name), shared / "elsewhere" / "deep"):
        default.unlink(missing_ok=True)
        default.symlink_to(link)
        os.environ.pop(VARIABLE, None)
        assert cache_folder() == shared.resolve() / "elsewhere" / "deep" / "functional_clf"
        assert os.environ[VARIABLE] == str(shared.resolve() / "elsewhere" / "deep")


def test_a_link_of_ours_to_what_others_may_write_to_is_refused(shared, default, private):
    (shared / "open").mkdir()
    (shared / "open").chmod(0o777)
    default.symlink_to(shared / "open")
    assert cache_folder() == private / "functional_clf"


def test_links_in_a_ring_are_refused(shared, default, private):
    default.symlink_to(shared / "back")
    (shared / "back").symlink_to(default)
    assert cache_folder() == private / "functional_clf"


@pytest.mark.parametrize("setting", ["/proc/none", "/dev/null", "/dev/null/below", "/" + "x" * 300])
def test_a_folder_that_cannot_be_made_is_not_used(setting, private, monkeypatch, caplog):
    monkeypatch.setenv(VARIABLE, setting)
    assert cache_folder() == private / "functional_clf"
    assert f"{setting} is not used, since " in caplog.text


@needs_root
def test_a_folder_of_roots_is_not_used_by_those_who_can_only_read_it(shared, monkeypatch):
    (shared / "roots" / "functional_clf").mkdir(parents=True)
    monkeypatch.setenv(VARIABLE, str(shared / "roots"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared / "own"))
    os.seteuid(NOBODY)
    try:
        folder = cache_folder()
    finally:
        os.seteuid(0)
    assert folder == shared / "own" / "functional_clf" / "torchinductor" / "functional_clf"
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
    own = tmp_path / ".cache" / "functional_clf" / "torchinductor"
    assert cache_folder() == own / "functional_clf"


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
