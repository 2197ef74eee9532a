"""From C source to a loaded library: compiled once, kept in a cache beside torch's."""

import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from functional_clf.machine import c_compiler, c_compiler_version, cache_folder

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


_SEAL = 16
"""Bytes behind a library that tell whether all of it is there."""


class BuildError(Exception):
    """The C compiler failed; the message is its first complaint."""


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
    return _is_whole(_path(source))


def load(source: str) -> ctypes.CDLL:
    """The library of a source, compiled where the cache does not hold it.

    Calls into it release the interpreter's lock, so that several threads work at once.

    Raises:
        BuildError: when there is no C compiler, or it fails.

    Example:
        >>> load("int seven(void) { return 7; }").seven()
        7
    """
    path = _path(source)
    if not _is_whole(path):
        _build(source, path)
    return ctypes.CDLL(str(path))


def _is_whole(path: Path) -> bool:
    """Whether a library is there, and all of it: loading a part of one kills the process."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return content[-_SEAL:] == _seal(content[:-_SEAL])


def _seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SEAL).digest()


def _build(source: str, path: Path) -> None:
    command = c_compiler()
    if command is None:
        raise BuildError("no C compiler was found")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        code, library = Path(folder) / "program.c", Path(folder) / "program.so"
        code.write_text(source, encoding="utf-8")
        ran = subprocess.run(
            [*command, *_options(), str(code), "-o", str(library), "-lm"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
        if ran.returncode:
            lines = ran.stderr.splitlines()
            complaints = [line for line in lines if "error: " in line]
            silence = f"{command[0]} ended with code {ran.returncode} and gave no reason"
            raise BuildError((complaints or lines or [silence])[0])
        with library.open("ab") as file:  # what follows a library does not disturb its loading
            file.write(_seal(library.read_bytes()))
        os.replace(library, path)  # another process finds all of it or nothing


def _options() -> list[str]:
    machine = platform.machine().lower()
    native = {"x86_64": ["-march=native"], "aarch64": ["-mcpu=native"], "arm64": []}
    wide = ["-mprefer-vector-width=512"] if vector_bytes() == 64 and _is_gcc() else []
    return [*OPTIONS, *native.get(machine, []), *wide]


def _is_gcc() -> bool:
    return "clang" not in Path((c_compiler() or [""])[0]).name and sys.platform != "darwin"


def _path(source: str) -> Path:
    compiler = [*(c_compiler() or []), c_compiler_version() or ""]
    text = "\n".join([source, *_options(), *compiler, *platform.libc_ver(), _processor()])
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return cache_folder() / "fused" / f"{digest}.so"


@functools.cache
def _processor() -> str:
    """What instructions there are: a cache may be shared by machines of several kinds."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(dict.fromkeys(told))
