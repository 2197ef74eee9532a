"""Files in a run folder: whole or not there, never outside it, removed when out of date."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from polars.exceptions import PolarsError

from functional_clf.record.errors import DamagedError, StoreError, WriteError
from functional_clf.record.files import BESIDE
from functional_clf.record.names import FILE_NAME
from functional_clf.record.store import Store


def write_whole(path: Path, write: Callable[[Path], Any]) -> Path:
    """Have a file written so that it appears whole or not at all; returns its path.

    Args:
        path: where it shall be.
        write: writes a file of the name it is given.

    Raises:
        WriteError: when it cannot be written; what was there before is there still.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(Path(folder) / "note", lambda path: path.write_text("x")).read_text()
        'x'
    """
    unfinished = _unfinished(path)
    try:
        unfinished.unlink(missing_ok=True)
        # Made anew: where somebody put a link, nothing is written through it.
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        write(unfinished)
        os.replace(unfinished, path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if not isinstance(error, OSError | PolarsError):  # the latter from a full disk
            raise
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise WriteError(
            f"{path} cannot be written: {why}; finished chunks are kept, and the same command "
            "continues"
        ) from error
    return path


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

    Args:
        folder: the run folder; it need not exist.
        outputs: the files that may be written, in it or in a subfolder.

    Raises:
        StoreError: when something else is where a file or a subfolder must be, or this may not be
            written to.
    """
    outputs = list(outputs)
    for path in dict.fromkeys(output.parent for output in outputs if output.parent != folder):
        _refuse_other_than_folder(path)
        if os.path.exists(path) and not os.access(path, os.W_OK | os.X_OK):
            raise StoreError(f"{path} may not be written to; allow it, or give another --out")
    for path in outputs:
        for taken in (path, _unfinished(path)):
            if os.path.isdir(taken) and not os.path.islink(taken):
                raise StoreError(f"{taken} is a folder; remove it, or give another --out")


def remove(paths: Iterable[Path]) -> None:
    """Remove those of these files that are there and in the run folder itself.

    Raises:
        WriteError: when one cannot be removed.
    """
    for path in filter(_is_ours, paths):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
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
            _delete(paths, f"--fresh deletes {what} in {folder}", announce)
    except DamagedError:
        _delete(paths, f"--fresh deletes the damaged study in {folder}", announce)


def _delete(paths: list[Path], line: str, announce: Callable[[str], bool]) -> None:
    if not announce(line):
        raise StoreError("nothing was deleted; without --fresh the same command continues")
    remove(paths)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _is_ours(path: Path) -> bool:
    # What a linked folder holds is not in this one.
    return os.path.isfile(path) and not os.path.islink(path.parent)


def _refuse_other_than_folder(path: Path) -> None:
    # os.path's, since they are quiet about a folder that may not be searched.
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isdir(path)):
        raise StoreError(f"{path} is not a folder; remove it, or give another --out")
