"""Names of files in a run folder."""

import hashlib
import os
import stat
from pathlib import Path
from urllib.parse import quote

FILE_NAME = "study.sqlite"
"""Of the database."""

NAME_BYTES = 200
"""File systems allow 255 for a file's name, of which endings take some."""


NAME_MAX, PATH_MAX = 255, 4095
"""Bytes of a name, and of a path, that file systems allow."""


def params_name(model: str) -> str:
    """The file name of a model's weights; no name leads out of the folder, or is too long for it.

    Example:
        >>> params_name("model_1"), params_name("../x")
        ('model_1.safetensors', '..%2Fx.safetensors')
    """
    return f"{file_name(model)}.safetensors"


def file_name(name: str) -> str:
    """A name as part of a file's: of plain letters, and where it was cut, with a digest of it all.

    Example:
        >>> file_name("réseau 1"), len(file_name(500 * "x"))
        ('r%C3%A9seau 1', 200)
    """
    plain = quote(name, safe=" ", errors="surrogatepass")
    if len(plain) <= NAME_BYTES:
        return plain
    digest = hashlib.blake2b(plain.encode(), digest_size=8).hexdigest()
    return f"{plain[: NAME_BYTES - len(digest) - 1]}-{digest}"


def check_place(folder: Path) -> None:
    """See that a run folder is one, or can be made, before there is anything to keep in it.

    Raises:
        ValueError: when a file is where it or a folder above it must be, it is out of reach, or its
            path is too long for the files in it.

    Example:
        >>> check_place(Path("runs"))
    """
    longest = len(f"plots/.{NAME_BYTES * 'x'}.safetensors.part")
    parts = [len(os.fsencode(part)) for part in folder.parts]
    if max(parts, default=0) > NAME_MAX or len(os.fsencode(folder.absolute())) + longest > PATH_MAX:
        raise ValueError(
            f"out is a path of {len(str(folder))} characters; it is too long for a file system"
        )
    for place in (folder, *folder.parents):
        try:
            mode = place.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue  # the latter names itself further up
        except OSError as error:
            raise ValueError(f"out is {str(folder)!r}; {place} {error.strerror}") from error
        if not stat.S_ISDIR(mode):
            kind = "a file" if stat.S_ISREG(mode) else "no folder"
            raise ValueError(
                f"out is {str(folder)!r}, and {place} is {kind}; it must be a folder, or not exist"
            )
        return
