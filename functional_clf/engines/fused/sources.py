"""The sources of programs made before, so that a recipe need not be traced to find its library.

Tracing takes half a second, most of it for what torch imports. Only what is made of this package's
own functions is found again: its digest and the versions below tell all that its source depends on.
Functions of a user's own may read what no digest covers, and are traced in every process.
"""

import functools
import hashlib
import json
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from functional_clf.engines.cache import cache_folder, open_trusted
from functional_clf.support.files import write_whole

_DIGEST = 16


def source_made_before(spec: dict[str, object], make: Callable[[], str]) -> str:
    """The source of a program: out of the cache, or made and put there.

    Args:
        spec: what it is a function of, besides this package and torch, as plain values.
        make: makes it.

    Example:
        >>> source_made_before({"doctest": 1}, lambda: "int seven(void) { return 7; }")
        'int seven(void) { return 7; }'
    """
    path = None
    with suppress(OSError):
        versions = platform.python_version(), torch.__version__, _package()
        text = json.dumps([spec, *versions, str(torch.get_default_dtype())], sort_keys=True)
        name = f"{hashlib.blake2b(text.encode(), digest_size=_DIGEST).hexdigest()}.c"
        path = cache_folder("fused", "sources") / name
        with open_trusted(path) as file:
            content = file.read()
        if content[:_DIGEST] == _digest(content[_DIGEST:]):  # all of it is there
            return content[_DIGEST:].decode()
    source = make()
    if path is not None:
        with suppress(OSError):  # a convenience
            content = source.encode()
            write_whole(path, _digest(content) + content, mode=0o600)
    return source


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()


@functools.cache
def _package() -> str:
    """A digest of this package's own files: another version makes other programs."""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    folder = Path(__file__).parents[2]
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.h")]):
        digest.update(str(path.relative_to(folder)).encode() + _digest(path.read_bytes()))
    return digest.hexdigest()
