"""Files in a run folder: written whole or not at all, never outside it, and cleared on request."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from functional_clf.store import FILE_NAME, DamagedError, Store, StoreError, WriteError

EXPORTS = ("results.json", "seeds.csv", "seeds.parquet")
PLOTS = ("data.png", "boundaries.png", "curves.png", "accuracies.png")


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
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        # Made anew: where somebody put a link, nothing is written through it.
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        write(unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise WriteError(
            f"{path} cannot be written: {error.strerror or error}; finished chunks are kept, and "
            "the same command continues"
        ) from error
    return path


def subfolder(folder: Path, name: str) -> Path:
    """A folder in the run folder, made where there is none.

    Raises:
        StoreError: when it is a link or a file.
        WriteError: when it cannot be made.
    """
    path = folder / name
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise StoreError(f"{path} is not a folder; remove it, or give another --out")
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path} cannot be made: {error.strerror}") from error
    return path


def params_name(model: str) -> str:
    """The file name of a model's weights; no name leads out of the folder.

    Example:
        >>> params_name("model_1"), params_name("../x")
        ('model_1.safetensors', '..%2Fx.safetensors')
    """
    return f"{quote(model, safe=' ')}.safetensors"


def start_over(folder: Path, models: Iterable[str], announce: Callable[[str], bool]) -> None:
    """Delete what earlier runs have left in a run folder: what is ours by name, and nothing else.

    Args:
        folder: the run folder; nothing happens where it does not exist.
        models: whose exported weights to delete.
        announce: told in one line what will be deleted; False keeps it all.

    Raises:
        StoreError: when it is in use, or somebody else's, or deleting was declined.
        WriteError: when a file cannot be deleted.
    """
    if not (folder / FILE_NAME).exists():
        return
    names = [f"{FILE_NAME}{ending}" for ending in ("", "-journal")]
    names += [*EXPORTS, *(f"plots/{name}" for name in PLOTS)]
    names += [f"params/{params_name(model)}" for model in models]
    paths = [folder / name for name in names]
    # What a linked folder holds is not in this one.
    ours = [path for path in paths if path.is_file() and not path.parent.is_symlink()]
    try:
        with Store(folder, must_exist=True) as store:  # nobody else, while it is deleted
            what = f"{len(store.finished_seeds())} finished seeds"
            _delete(ours, f"--fresh deletes {what} in {folder}", announce)
    except DamagedError:
        _delete(ours, f"--fresh deletes the damaged study in {folder}", announce)


def _delete(paths: list[Path], line: str, announce: Callable[[str], bool]) -> None:
    if not announce(line):
        raise StoreError("nothing was deleted; without --fresh the same command continues")
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise WriteError(f"{path} cannot be deleted: {error.strerror}") from error
