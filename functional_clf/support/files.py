"""Files that appear whole or not at all, whoever else may write to the folder they lie in.

A file is begun under a random name that nobody else can have taken, and written through the
descriptor that made it; the folder is named by a descriptor, too. So a link put in the way of any
name leads nowhere, and two processes that write the same file do not meet. What a killed process
has begun is known by its name, and that nobody holds its lock.
"""

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

_BEGUN = re.compile(r"\.functional_clf-[0-9a-f]{16}\.part")
_NEW = ("O_RDWR", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_BINARY")
_ATTEMPTS = 10


def write_whole(
    path: Path,
    content: bytes | Callable[[BinaryIO], Any],
    mode: int = 0o666,
    through_link: bool = True,
) -> Path:
    """Have a file written so that it appears whole or not at all; returns its path.

    Args:
        path: where it shall be; a link that is there is replaced, and not followed.
        content: what it shall hold, or what writes that to the file it is given.
        mode: who may read and write it, where the umask allows it.
        through_link: whether the folder may be a link.

    Raises:
        OSError: when it cannot be written; what was there before is there still.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(Path(folder) / "note", b"x").read_bytes()
        b'x'
    """
    with _opened(path.parent, through_link) as folder:
        begun, file = _begin(folder, path.parent, mode)
        try:
            with closing(file):
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    content(file)
                file.flush()
                if not _is_there(folder, path.parent, begun, file.fileno()):
                    raise PermissionError(errno.EPERM, "what was written was taken away")
                if os.name == "nt":  # where an open file cannot be renamed
                    file.close()
                names = (_at(folder, path.parent, name) for name in (begun, path.name))
                os.replace(*names, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(_at(folder, path.parent, begun), dir_fd=folder)
            raise
    return path


def remove(path: Path, through_link: bool = True) -> None:
    """Remove a file or a link, where there is one; a folder stays.

    Args:
        path: the file.
        through_link: whether the folder that it is in may be a link; nothing is removed where not.

    Raises:
        OSError: when it cannot be removed.

    Example:
        >>> remove(Path("no such file"))
    """
    with suppress(FileNotFoundError), _opened(path.parent, through_link) as at:
        name = _at(at, path.parent, path.name)
        if not stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=at)


def open_plain(path: Path) -> BufferedReader:
    """Open a file for reading; not a link to one, nor a pipe, which would wait for a writer.

    Raises:
        OSError: when it is anything else.

    Example:
        >>> open_plain(Path("/dev/null"))
        Traceback (most recent call last):
        OSError: [Errno 22] it is not a file: '/dev/null'
    """
    flags = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    descriptor = os.open(path, os.O_RDONLY | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return os.fdopen(descriptor, "rb")


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes have begun to write in a folder, as far as that can be.

    Example:
        >>> remove_unfinished(Path("no such folder"))
    """
    with suppress(OSError):
        for name in filter(_BEGUN.fullmatch, os.listdir(folder)):
            with suppress(OSError):
                _remove_unlocked(folder / name)


@contextmanager
def _opened(folder: Path, through_link: bool) -> Iterator[int | None]:
    """A descriptor of a folder; None where the system has no files relative to one."""
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_DIRECTORY"):
        yield None
        return
    follow = 0 if through_link else os.O_NOFOLLOW
    # It need not be readable to be written to.
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | follow
    descriptor = os.open(folder, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _at(folder: int | None, path: Path, name: str) -> str:
    return str(path / name) if folder is None else name


def _begin(folder: int | None, path: Path, mode: int) -> tuple[str, BinaryIO]:
    """A new file of a random name, locked where that can be; its name and the file."""
    flags = sum(getattr(os, flag, 0) for flag in _NEW)
    for attempt in range(_ATTEMPTS):
        name = f".functional_clf-{secrets.token_hex(8)}.part"
        try:
            descriptor = os.open(_at(folder, path, name), flags, mode, dir_fd=folder)
        except FileExistsError:
            continue
        # Whoever tidies up may have taken it for a dead process's before it was locked.
        if _lock(descriptor) and _is_there(folder, path, name, descriptor):
            return name, os.fdopen(descriptor, "w+b")
        if attempt == _ATTEMPTS - 1:
            return name, os.fdopen(descriptor, "w+b")
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(_at(folder, path, name), dir_fd=folder)
    raise FileExistsError(errno.EEXIST, f"no new file can be made in {path}")


def _is_there(folder: int | None, path: Path, name: str, descriptor: int) -> bool:
    with suppress(OSError):
        there = os.stat(_at(folder, path, name), dir_fd=folder, follow_symlinks=False)
        return os.path.samestat(there, os.fstat(descriptor))
    return False


def _remove_unlocked(path: Path) -> None:
    flags = sum(getattr(os, flag, 0) for flag in ("O_RDWR", "O_NOFOLLOW", "O_NONBLOCK"))
    descriptor = os.open(path, flags)
    try:
        is_plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if is_plain and _lock(descriptor, if_none=False):
            path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, if_none: bool = True) -> bool:
    """Whether a file could be locked; it is unlocked when its process ends, however it ends.

    Args:
        descriptor: of the file.
        if_none: the answer where there are no locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows, where nobody can remove an open file
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return if_none
    return True
