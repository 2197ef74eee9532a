"""What a picture was drawn from, written into its PNG file: one that holds is not drawn again.

Nothing here needs torch, polars or matplotlib.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from functional_clf.reports.pictures import NAMES
from functional_clf.support.files import open_plain

KEYWORD = b"functional_clf"
"""Of the text in a PNG file that is the signature."""
_PNG_START = b"\x89PNG\r\n\x1a\n"
_HEADER_END = 33
"""A PNG file begins with 8 bytes that say what it is, and 25 of its header."""
_DRAWN_BY = (
    *("plots", "pictures", "gathering", "decisions"),
    *("drawing", "class_drawing", "palette", "colors", "lettering", "../support/text"),
)
"""The modules whose source decides how a picture looks, from here."""


class Signature(NamedTuple):
    """What all pictures that were drawn together say of themselves.

    mark: a digest of all that they were drawn from.
    drawn: the names of those that there are.
    absent: by name, why such results do not have the others.
    """

    mark: str
    drawn: tuple[str, ...]
    absent: Mapping[str, str]


def mark(of: str) -> str:
    """A digest of what pictures are drawn from: the results, the code, matplotlib, its settings.

    Of the settings, those in a file `matplotlibrc`; not those that a program has set.

    Args:
        of: a digest of the results.

    Example:
        >>> mark("one") == mark("one"), mark("one") == mark("another")
        (True, False)
    """
    digest = hashlib.blake2b(digest_size=16)
    parts = [of.encode(), _version_of("matplotlib"), _settings()]
    parts += [(Path(__file__).parent / f"{name}.py").read_bytes() for name in _DRAWN_BY]
    for part in parts:
        digest.update(struct.pack(">Q", len(part)) + part)
    return digest.hexdigest()


def sign(png: bytes, signature: Signature) -> bytes:
    """The content of a PNG file with a signature added; what was there is as it was."""
    about = {**signature._asdict(), "rest": _digest(png)}
    text = KEYWORD + b"\0" + json.dumps(about).encode()
    chunk = b"tEXt" + text
    framed = struct.pack(">I", len(text)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:_HEADER_END] + framed + png[_HEADER_END:]


def signature_of(png: bytes) -> Signature | None:
    """The signature in a PNG file; None where there is none, or what it was put to has changed."""
    if not png.startswith(_PNG_START):
        return None
    with contextlib.suppress(struct.error, ValueError, KeyError, TypeError):
        (length,) = struct.unpack_from(">I", png, _HEADER_END)
        end = _HEADER_END + 12 + length
        kind_and_text = png[_HEADER_END + 4 : end - 4]
        keyword, _, text = kind_and_text.removeprefix(b"tEXt").partition(b"\0")
        if keyword != KEYWORD:
            return None
        about = json.loads(text)
        if about["rest"] == _digest(png[:_HEADER_END] + png[end:]):
            return Signature(str(about["mark"]), tuple(about["drawn"]), dict(about["absent"]))
    return None


def standing(folder: Path, of: str) -> Signature | None:
    """The signature of the pictures in a folder, where they are all that would be drawn now.

    Args:
        folder: where pictures may be.
        of: a digest of the results, as they were signed with.

    Returns:
        None where one is missing, was changed, or is of anything else.
    """
    found = {}
    for name in NAMES:
        try:
            with open_plain(folder / f"{name}.png") as file:
                found[name] = signature_of(file.read())
        except FileNotFoundError:
            continue
        except OSError:
            return None
    one = next(iter(found.values()), None)
    if one is None or any(other != one for other in found.values()):
        return None
    is_all = list(found) == [name for name in NAMES if name in one.drawn]
    return one if is_all and one.mark == mark(of) else None


def up_to_date(folder: Path, of: str) -> bool:
    """Whether the pictures in a folder are all that would be drawn of these results now.

    Example:
        >>> up_to_date(Path("no such folder"), "one")
        False
    """
    return standing(folder, of) is not None


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _version_of(package: str) -> bytes:
    try:
        return importlib.metadata.version(package).encode()
    except importlib.metadata.PackageNotFoundError:
        return b""


def _settings() -> bytes:
    """The content of the settings files that matplotlib may find, but for its own default."""
    found = []
    for path in _settings_files():
        with contextlib.suppress(OSError):
            if path.is_file():
                found.append(path.read_bytes())
    return b"\0".join(found)


def _settings_files() -> Iterator[Path]:
    """Where matplotlib looks for them."""
    yield Path("matplotlibrc")
    if told := os.environ.get("MATPLOTLIBRC"):
        yield Path(told)
        yield Path(told, "matplotlibrc")
    for variable, *below in (
        ("MPLCONFIGDIR",),
        ("XDG_CONFIG_HOME", "matplotlib"),
        ("LOCALAPPDATA", "matplotlib"),
    ):
        if told := os.environ.get(variable):
            yield Path(told, *below, "matplotlibrc")
    with contextlib.suppress(RuntimeError):  # this user has no home folder
        yield Path.home() / ".config" / "matplotlib" / "matplotlibrc"
        yield Path.home() / ".matplotlib" / "matplotlibrc"
