"""From C source to a loaded library: compiled once, kept in a cache beside torch's.

What a compiler has made is believed as little as what lies in the cache: each library must name the
source that it was made of.
"""

import ctypes
import functools
import hashlib
import itertools
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from functional_clf.engines.cache import cache_folder, open_trusted
from functional_clf.engines.machine import (
    c_compiler,
    c_compiler_digest,
    c_compiler_version,
    why_no_c_compiler,
)
from functional_clf.support.errors import one_line, telling_line
from functional_clf.support.files import open_plain
from functional_clf.support.processes import run_watched

OPTIONS = (
    *("-O3", "-std=gnu11", "-shared", "-fPIC", "-fopenmp-simd"),
    # Nobody asks for errno or for the processor's exception flags; NaN and infinity stay what
    # they are, and nothing is summed in another order than written but where the source says so.
    *("-fno-math-errno", "-fno-trapping-math"),
    # gcc 12 writes the address of some loops as 0 plus an index, takes that for a null pointer, and
    # what stands behind it for never reached: sums over a single vector were lost (its bug 110702).
    # Told that something may lie at 0, it draws no such conclusion.
    "-fno-delete-null-pointer-checks",
)

UNALIGNED_MOVES = "-Wa,-muse-unaligned-vector-move"
NO_SMALL_VECTORS = "-fno-tree-slp-vectorize"
"""gcc 12 moves vectors as if they were aligned where they are not, where it makes some of small
unrolled loops that begin within an array, as those over weights of 3 x 9: the process dies. The
assembler can write each move as one that may be unaligned, which is as fast; one before binutils
2.38 cannot, and then no such vectors are made."""

_SEAL = 16
"""Bytes behind a library that tell whether all of it is there; whose it is, its owner tells."""
LONGEST_SECONDS = 180.0
"""A compiler that takes longer is stopped: the largest programs take some seconds."""
_LARGEST_BYTES = 2**28
_FORGOTTEN_SECONDS = 86_400.0
_LOADED = "it is loaded"
_LOAD = f"""
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
for name in sys.argv[2:]:
    getattr(library, name)
print("{_LOADED}")
"""
_DESCRIPTORS = "/proc/self/fd"
_loads = itertools.count(1)


class BuildError(Exception):
    """There is no library; the message is the C compiler's first complaint, or what else failed."""


def vector_bytes() -> int:
    """The width of this machine's vector registers, as torch uses them.

    Example:
        >>> vector_bytes() in (16, 32, 64)
        True
    """
    capability = torch.backends.cpu.get_cpu_capability()
    return {"AVX512": 64, "AVX2": 32}.get(capability, 16)


def is_built(source: str) -> bool:
    """Whether a source's library lies in the cache."""
    try:
        with open_trusted(_path(source)) as file:
            return _is_whole(file.read())
    except OSError:
        return False


def load(
    source: str, entry: str = "fit", is_over: Callable[[], bool] = lambda: False
) -> ctypes.CDLL:
    """The library of a source, compiled where the cache does not hold it.

    Calls into it release the interpreter's lock, so that several threads work at once.

    Args:
        source: the C program.
        entry: a function in it; a library without it is none.
        is_over: asked now and then while it is compiled; True ends that.

    Raises:
        BuildError: when there is no C compiler, or it fails or takes too long, or was ended, or its
            library cannot be kept.

    Example:
        >>> load("int seven(void) { return 7; }", entry="seven").seven()
        7
    """
    try:
        path = _path(source)
        names = entry, _mark(source)
        library = _cached(path, names)
        if library is None:
            _build(source, names, path, is_over)
            library = _cached(path, names)
    except OSError as error:
        raise BuildError(one_line(error)) from error
    if library is None:
        raise BuildError(f"{path} cannot be read back")
    return library


def _cached(path: Path, names: tuple[str, ...]) -> ctypes.CDLL | None:
    """The library in the cache, if it is one: that very file is checked and then loaded."""
    try:
        with open_trusted(path) as file:
            content = file.read()
            if _is_whole(content):
                library = _loaded(file.fileno(), content, path)
                return library if all(hasattr(library, name) for name in names) else None
    except OSError:  # not there, not ours alone, or no library
        pass
    return None


def _loaded(descriptor: int, content: bytes, path: Path) -> ctypes.CDLL:
    # glibc takes a name that it has met for the library it met it with, and the numbers of
    # descriptors come again: slashes and dots spell this name as none before it.
    spelling = "".join("./" if bit == "1" else "/" for bit in f"{next(_loads):b}")
    name = f"{_DESCRIPTORS}/{spelling}{descriptor}"
    if os.path.exists(name):
        return ctypes.CDLL(name)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(content)
        return ctypes.CDLL(str(copy))


def _is_whole(content: bytes) -> bool:
    """Whether it is a library, and all of it: loading a part of one kills the process."""
    return content[-_SEAL:] == _seal(content[:-_SEAL])


def _seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SEAL).digest()


def _mark(source: str) -> str:
    """A name in a library that tells of which source it is."""
    return f"made_of_{hashlib.blake2b(source.encode(), digest_size=16).hexdigest()}"


def _build(source: str, names: tuple[str, ...], path: Path, is_over: Callable[[], bool]) -> None:
    command = c_compiler()
    if command is None or why_no_c_compiler():
        raise BuildError(why_no_c_compiler())
    _remove_forgotten(path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, ignore_cleanup_errors=True) as folder:
        code, library = Path(folder) / "program.c", Path(folder) / "program.so"
        code.write_text(f"{source}\nconst int {_mark(source)} = 1;\n", encoding="utf-8")

        def run(command: list[str], options: list[str]) -> tuple[int, str]:
            """Run a command in plain English; its exit code, and all that it says."""
            # What it keeps meanwhile goes with the folder, too.
            variables = {**os.environ, "LC_ALL": "C", "TMPDIR": folder}
            ran = run_watched(
                [*command, *options], LONGEST_SECONDS, Path(folder), variables, is_over
            )
            return ran.code, (ran.out + ran.err).decode(errors="backslashreplace")

        files = [str(code), "-o", str(library), "-lm"]
        failed, told = run(command, [*_options(), *files])
        if failed and UNALIGNED_MOVES.partition("-m")[2] in told:
            options = [NO_SMALL_VECTORS if one == UNALIGNED_MOVES else one for one in _options()]
            failed, told = run(command, [*options, *files])
        if failed:
            silence = f"{command[0]} ended with code {failed} and gave no reason"
            raise BuildError(telling_line(told) or silence)
        lie = f"{command[0]} reported success, but made no library to use"
        try:
            content = _content(library)
        except OSError as error:
            raise BuildError(f"{lie} ({error.strerror or error})") from error
        sealed = Path(folder) / path.name
        sealed.touch(mode=0o600)  # whatever the umask
        sealed.write_bytes(content + _seal(content))  # what follows it does not disturb its loading
        # Loaded by another process first: a part of a library kills the one that loads it.
        failed, told = run([sys.executable, "-P", "-S", "-c", _LOAD, str(sealed)], [*names])
        if failed or _LOADED not in told:
            last = next(reversed(told.splitlines()), f"loading it ends with code {failed}")
            why = last.partition("Error: ")[2].replace(str(sealed), library.name) or last
            raise BuildError(f"{lie} ({why})")
        os.replace(sealed, path)  # another process finds all of it or nothing


def _content(library: Path) -> bytes:
    """What a compiler has made: itself, and not what a link leads to."""
    with open_plain(library) as file:
        if os.fstat(file.fileno()).st_size > _LARGEST_BYTES:
            raise OSError("it is too large")
        return file.read()


def _remove_forgotten(folder: Path) -> None:
    """Remove what was being compiled when the machine, or all of this user's processes, ended."""
    with suppress(OSError):
        for path in folder.glob("tmp*"):
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > _FORGOTTEN_SECONDS:
                    shutil.rmtree(path)


def _options() -> list[str]:
    machine = platform.machine().lower()
    native = {"x86_64": ["-march=native"], "aarch64": ["-mcpu=native"], "arm64": []}
    wide = ["-mprefer-vector-width=512"] if vector_bytes() == 64 and _is_gcc() else []
    moves = [UNALIGNED_MOVES] if machine == "x86_64" and _is_gcc() else []
    return [*OPTIONS, *native.get(machine, []), *wide, *moves]


def _is_gcc() -> bool:
    return "clang" not in Path((c_compiler() or [""])[0]).name and sys.platform != "darwin"


def _path(source: str) -> Path:
    compiler = [*(c_compiler() or []), c_compiler_version() or "", c_compiler_digest()]
    text = "\n".join([source, *_options(), *compiler, *platform.libc_ver(), _processor()])
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return cache_folder("fused") / f"{digest}.so"


@functools.cache
def _processor() -> str:
    """What instructions there are: a cache may be shared by machines of several kinds."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(dict.fromkeys(told))
