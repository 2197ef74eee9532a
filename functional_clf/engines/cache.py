"""Where compiled code is kept: in a folder where only this user and root can put anything.

What lies in the cache is run, and its name can be guessed. So no other user may own a folder on the
way to it, nor write there. A folder of all users, such as /tmp, may be on the way where it is
sticky: there nobody can rename or delete what belongs to another.
"""

import atexit
import errno
import getpass
import logging
import os
import re
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from functional_clf.support.files import open_plain
from functional_clf.support.text import printable

logger = logging.getLogger("functional_clf")

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Torch's setting for where it keeps compiled graphs."""
NAME = "functional-clf"
"""No module's name: in the current folder it would be taken for this package."""

_MAX_LINKS = 40
"""As many as Linux follows on the way to a file."""
_choosing = threading.Lock()
_asking = threading.Lock()
_looked_through: set[Path] = set()
_of_this_process: set[Path] = set()


class CacheError(OSError):
    """There is no folder that only this user and root can write to."""


def cache_folder(*below: str, for_torch: bool = False, lasting: bool = False) -> Path:
    """Where what was compiled is kept: in torch's cache, so that both are cleared together.

    Where torch's cache cannot be written to, or another user could write to it or change where it
    is, it moves to this user's own cache folder (`XDG_CACHE_HOME`, else `~/.cache`), else to a
    temporary folder of this process; one line of the log says so. Torch is told in either case: it
    runs what it finds in its cache, too.

    Args:
        below: names of folders in it, where one of them is wanted.
        for_torch: whether torch is to use its cache now; then nothing in it may be another user's.
        lasting: whether other processes of this user must find it, too: none of this process alone.

    Returns:
        A folder that this user can write to, and nobody else but root; without links.

    Raises:
        CacheError: when there is none.

    Example:
        >>> cache_folder("fused").parts[-2:]
        ('functional-clf', 'fused')
    """
    with _choosing:
        refused = []
        for place in (_wanted, _private) if lasting else (_wanted, _private, _temporary):
            try:
                folder = torchs = _trusted(place())
                if lasting and folder in _of_this_process:
                    raise CacheError(f"{folder} is not used, since it goes with this process")
                _check_what_torch_makes(torchs)
                if for_torch:
                    _check_what_is_in(torchs)
                for name in (NAME, *below):
                    folder = _closed(_trusted(folder / name))
            except OSError as error:
                refused.append(str(error))
                continue
            if refused:
                reasons = printable("; ".join(refused))
                logger.warning("compiled code is kept in %s: %s", printable(str(torchs)), reasons)
            if os.environ.get(VARIABLE) != str(torchs):
                os.environ[VARIABLE] = str(torchs)
            return folder
    raise CacheError(f"compiled code can be kept nowhere: {'; '.join(refused)}")


def torchs_default_is_trusted() -> bool:
    """Whether only this user and root can write to the folder that torch uses by default.

    Torch keeps precompiled headers there whatever it is told.

    Example:
        >>> torchs_default_is_trusted() in (True, False)
        True
    """
    try:
        folder = _trusted(_torchs_default())
        _check_what_torch_makes(folder)
        _check_what_is_in(folder / "precompiled_headers")
    except OSError:
        return False
    return True


def open_trusted(path: Path) -> BufferedReader:
    """Open a file in the cache for reading, if only this user and root can have written it.

    Raises:
        OSError: when it is another user's, or others may write to it, or it is no plain file.

    Example:
        >>> open_trusted(Path("/dev/null"))
        Traceback (most recent call last):
        OSError: [Errno 22] it is not a file: '/dev/null'
    """
    file = open_plain(path)
    try:
        _check(path, os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def _wanted() -> Path:
    told = os.environ.get(VARIABLE)
    return Path(told).absolute() if told else _torchs_default()


def _torchs_default() -> Path:
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user may have a number only
        user = f"uid_{os.getuid()}" if hasattr(os, "getuid") else "unknown_user"
    name = re.sub(r'[\\/:*?"<>|]', "_", user)
    return Path(tempfile.gettempdir()).absolute() / f"torchinductor_{name}"


def _private() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as its specification has it
        base = os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        raise CacheError("this user has no home folder")
    return Path(base) / NAME / "torchinductor"


def _temporary() -> Path:
    folder = tempfile.mkdtemp(prefix=f"{NAME}_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _of_this_process.add(Path(folder).resolve())
    return Path(folder)


def _closed(folder: Path) -> Path:
    if folder.stat().st_mode & 0o077:  # an earlier version let others read
        folder.chmod(0o700)
    return folder


def _trusted(folder: Path) -> Path:
    """A folder that only this user and root can write to, made where it is missing, without links.

    Raises:
        CacheError: when there is no such folder; the message says why.
    """
    if not hasattr(os, "getuid"):  # Windows: a user's temporary folder is the user's own
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    try:
        found = _walked(folder)
    except OSError as error:
        raise CacheError(f"{folder} is not used, since {error}") from error
    as_effective = os.access in os.supports_effective_ids
    if not os.access(found, os.R_OK | os.W_OK | os.X_OK, effective_ids=as_effective):
        raise CacheError(f"{folder} is not used, since it cannot be written to")
    return found


def _walked(folder: Path) -> Path:
    """Go down to a folder, checking each element of its path and making those that are missing.

    From the root down: what is checked, and lies in a checked folder, can be changed or replaced by
    nobody else, not even between this look and the use.
    """
    here, left, links = Path(folder.anchor), list(folder.parts[:0:-1]), 0
    _check(here, here.lstat())
    while left:
        name = left.pop()
        if name == "..":
            here = here.parent
            continue
        path = here / name
        about = _found_or_made(path)
        _check(path, about, may_be_sticky=True)
        if stat.S_ISLNK(about.st_mode):
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
            target = path.readlink()
            if target.is_absolute():
                here = Path(target.anchor)
                target = target.relative_to(here)
            left += reversed(target.parts)
        elif stat.S_ISDIR(about.st_mode):
            here = path
        else:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    _check(here, here.lstat())  # in a sticky folder anybody may be the first to take a name
    return here


def _check_what_torch_makes(folder: Path) -> None:
    """Raise where others could write to what torch will put into a folder, which the umask tells.

    Raises:
        CacheError: when they can.
    """
    if not hasattr(os, "getuid") or not folder.stat().st_mode & 0o011:  # nobody can enter it
        return
    umask = _umask()
    if umask & 0o022 != 0o022:
        raise CacheError(
            f"{folder} is not used, since others may enter it, and write to what torch puts there "
            f"(the umask is {umask:03o})"
        )


def _umask() -> int:
    with suppress(OSError, ValueError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("\nUmask:")[2].split("\n")[0], base=8)
    with _asking:  # elsewhere it is told only to whom sets another
        umask = os.umask(0o077)
        os.umask(umask)
        return umask


def _check_what_is_in(folder: Path) -> None:
    """Raise where anything in a folder is another user's, or others may write to it.

    It may have been open to others once. Torch runs what it finds there, and looks at no owner.

    Raises:
        CacheError: when there is such a thing.
    """
    if folder in _looked_through or not hasattr(os, "getuid"):
        return
    for path in _all_in(str(folder)):
        try:
            _check(path, os.lstat(path))
        except FileNotFoundError:  # another process was tidying up
            continue
        except CacheError as error:
            raise CacheError(f"{folder} is not used, since {error}") from error
    _looked_through.add(folder)


def _all_in(folder: str) -> Iterator[str]:
    yield folder
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _all_in(entry.path)
            else:
                yield entry.path


def _found_or_made(path: Path) -> os.stat_result:
    with suppress(FileNotFoundError):
        return path.lstat()
    with suppress(FileExistsError):  # another process was faster, and that is looked at below
        path.mkdir(mode=0o700)
    return path.lstat()


def _check(path: Path | str, about: os.stat_result, may_be_sticky: bool = False) -> None:
    """Raise where another user could change a file or folder.

    A group counts as others: who is in it cannot be known for sure. And what others could write to
    is not made trusted by taking the right away, since what they put there stays.
    """
    if not hasattr(os, "getuid"):
        return
    if about.st_uid not in (0, os.geteuid()):
        raise CacheError(f"{path} belongs to {_user(about.st_uid)}")
    if about.st_nlink > 1 and not stat.S_ISDIR(about.st_mode):
        raise CacheError(f"{path} has another name, maybe where others put it")
    if stat.S_ISLNK(about.st_mode) or (may_be_sticky and about.st_mode & stat.S_ISVTX):
        return
    if about.st_mode & 0o022:
        raise CacheError(
            f"others may write to {path} (its mode is {stat.S_IMODE(about.st_mode):03o})"
        )


def _user(number: int) -> str:
    import pwd  # only where there are such users

    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"
