"""Files in a run folder: whole or not there, never outside it, removed when out of date."""

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from polars.exceptions import PolarsError

from functional_clf.record.errors import DamagedError, StoreError, WriteError
from functional_clf.record.files import BESIDE
from functional_clf.record.names import FILE_NAME
from functional_clf.record.store import Store
from functional_clf.support import files

logger = logging.getLogger("functional_clf")


def write_whole(
    path: Path, content: bytes | Callable[[BinaryIO], Any], in_subfolder: bool = False
) -> Path:
    """Have a file written so that it appears whole or not at all; returns its path.

    Args:
        path: where it shall be.
        content: what it shall hold, or what writes that to the file it is given.
        in_subfolder: whether it lies in one of the run folder's own folders, which is no link.

    Raises:
        WriteError: when it cannot be written; what was there before is there still.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(Path(folder) / "note", b"x").read_text()
        'x'
    """
    try:
        return files.write_whole(path, content, through_link=not in_subfolder)
    except (OSError, PolarsError) as error:  # the latter from a full disk
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise WriteError(
            f"{path} cannot be written: {why}; finished chunks are kept, and the same command "
            "continues"
        ) from error


def subfolder(folder: Path, name: str) -> Path:
    """A folder in the run folder, made where there is none.

    Raises:
        StoreError: when it is a link or a file.
        WriteError: when it cannot be made.
    """
    path = folder / name
    _refuse_other_than_folder(path)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path} cannot be made: {error.strerror}") from error
    return path


def check_outputs(folder: Path, outputs: Iterable[Path]) -> None:
    """See, before anything is trained, that what a run will write can have its place.

    What killed runs have begun to write is removed.

    Args:
        folder: the run folder; it need not exist.
        outputs: the files that may be written, in it or in a subfolder.

    Raises:
        StoreError: when something else is where a file or a subfolder must be, or this may not be
            written to.
    """
    outputs = list(outputs)
    _warn_of_others(folder)
    for path in dict.fromkeys(output.parent for output in outputs if output.parent != folder):
        _refuse_other_than_folder(path)
        if os.path.exists(path) and not os.access(path, os.W_OK | os.X_OK):
            raise StoreError(f"{path} may not be written to; allow it, or give another --out")
    for path in outputs:
        if os.path.isdir(path) and not os.path.islink(path):
            raise StoreError(f"{path} is a folder; remove it, or give another --out")
    for path in dict.fromkeys(output.parent for output in outputs):
        files.remove_unfinished(path)


def remove(folder: Path, paths: Iterable[Path]) -> None:
    """Remove those of these files that are there; nothing through a link in the run folder.

    Args:
        folder: the run folder.
        paths: files in it or in a subfolder.

    Raises:
        WriteError: when one cannot be removed.
    """
    for path in paths:
        try:
            files.remove(path, through_link=path.parent == folder)
        except OSError as error:
            if path.parent != folder and error.errno in (errno.ELOOP, errno.ENOTDIR):
                continue  # what a linked folder holds is not in this one
            raise WriteError(f"{path} cannot be deleted: {error.strerror}") from error


def start_over(folder: Path, outputs: Iterable[Path], announce: Callable[[str], bool]) -> None:
    """Delete what earlier runs have left in a run folder: what is ours by name, and nothing else.

    Args:
        folder: the run folder; nothing happens where it does not exist.
        outputs: the files that runs leave in it besides the database.
        announce: told in one line what will be deleted; False keeps it all.

    Raises:
        StoreError: when it is in use, or somebody else's, or deleting was declined.
        WriteError: when a file cannot be deleted.
    """
    if not (folder / FILE_NAME).exists():
        return
    paths = [folder / f"{FILE_NAME}{ending}" for ending in ("", *BESIDE)]
    paths += outputs
    try:
        with Store(folder, must_exist=True) as store:  # nobody else, while it is deleted
            what = f"{len(store.finished_seeds())} finished seeds"
            _delete(folder, paths, f"--fresh deletes {what} in {folder}", announce)
    except DamagedError:
        _delete(folder, paths, f"--fresh deletes the damaged study in {folder}", announce)


def _delete(folder: Path, paths: list[Path], line: str, announce: Callable[[str], bool]) -> None:
    if not announce(line):
        raise StoreError("nothing was deleted; without --fresh the same command continues")
    remove(folder, paths)


def _refuse_other_than_folder(path: Path) -> None:
    # os.path's, since they are quiet about a folder that may not be searched.
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isdir(path)):
        raise StoreError(f"{path} is not a folder; remove it, or give another --out")


def _warn_of_others(folder: Path) -> None:
    """Say in a line where other users may change a run folder.

    Nothing in it is run, and nothing is written through a link in it: so the harm is that results
    there may be theirs. Folders of a group, and those that containers are lent, are used like that
    on purpose; they are not refused.
    """
    if not hasattr(os, "geteuid") or not os.path.isdir(folder):
        return
    about = folder.stat()
    if about.st_uid not in (0, os.geteuid()):
        who = "another user, to whom it belongs,"
    elif about.st_mode & stat.S_IWOTH:
        who = "every user of this machine"
    else:
        return
    logger.warning("%s may change what is in %s, results too", who, folder)
