"""What this machine offers: devices, a compiler, and its description for the record."""

import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from functional_clf.support.errors import one_line
from functional_clf.support.processes import run_watched
from functional_clf.version import VERSION

CPU_CHUNK = 16
PER_MULTIPROCESSOR = 8
"""Replicates that keep one multiprocessor of a GPU busy: a program of four warps each."""

ANSWER_SECONDS = 10.0
"""A compiler says its version within milliseconds."""
_VERSION_LETTERS = 200
_DIGESTED_BYTES = 2**21


def resolve_device(name: str) -> torch.device:
    """The torch device of a name: cpu, cuda, cuda:N, or auto (cuda where there is one).

    Raises:
        ValueError: when there is no such device here.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
        raise ValueError(f"device is {name!r}; it must be auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {name!r}, but torch finds no CUDA here; use --device cpu")
    if index and int(index) >= torch.cuda.device_count():
        raise ValueError(
            f"device is {name!r}, but torch finds {torch.cuda.device_count()} CUDA devices here"
        )
    return torch.device(name)


def fitting_chunk_size(device: torch.device, bytes_per_replicate: int) -> int:
    """How many replicates to train together: 16 on the CPU; on CUDA as many as keep it busy.

    On the CPU a chunk shall fit into one core's cache. On CUDA it is the largest power of two of at
    most 8 replicates a multiprocessor (1024 on an H200); where the free memory is short of twice
    what a chunk needs, it is halved until it is not.

    Args:
        device: where to train.
        bytes_per_replicate: what one replicate needs, roughly.

    Example:
        >>> fitting_chunk_size(torch.device("cpu"), bytes_per_replicate=10**6)
        16
    """
    if device.type == "cpu":
        return CPU_CHUNK
    free, _ = torch.cuda.mem_get_info(device)
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    size = max(CPU_CHUNK, 1 << (PER_MULTIPROCESSOR * processors).bit_length() - 1)
    while size > CPU_CHUNK and 2 * size * bytes_per_replicate > free:
        size //= 2
    return size


def why_not_compile(device: torch.device) -> str | None:
    """What `torch.compile` lacks on this machine for `device`, or None where it can work.

    Example:
        >>> reason = why_not_compile(torch.device("cpu"))
        >>> reason is None or "compiler" in reason
        True
    """
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "the triton package was not found"
    if device.type != "cpu":
        return None
    told = os.environ.get("CXX")
    command = _default_cxx() if told is None else told
    of_whom = f" (CXX is {told!r})" if told else ""
    if shutil.which(command) is None:
        return f"no C++ compiler was found{of_whom}"
    answer = _asked((command,), _digest_of(command))
    if answer.failure is None and not answer.is_utf8:
        return f"torch cannot read what the C++ compiler says of its version{of_whom}: use LC_ALL=C"
    return answer.failure and f"the C++ compiler does not work ({answer.failure})"


def c_compiler() -> list[str] | None:
    """The command of the C compiler: that of the environment variable CC, else gcc, clang or cc.

    Example:
        >>> command = c_compiler()
        >>> command is None or len(command) > 0
        True
    """
    try:
        wanted = shlex.split(os.environ.get("CC", ""))
    except ValueError:  # a quotation without an end
        return None
    if wanted:
        return wanted if shutil.which(wanted[0]) else None
    return next(([name] for name in ("gcc", "clang", "cc") if shutil.which(name)), None)


def why_no_c_compiler() -> str | None:
    """What is wrong with the C compiler, or None where there is one that answers.

    Example:
        >>> reason = why_no_c_compiler()
        >>> reason is None or "compiler" in reason
        True
    """
    told = os.environ.get("CC", "")
    if (command := c_compiler()) is not None:
        failure = _asked(tuple(command), _digest_of(command[0])).failure
        return failure and f"the C compiler does not work ({failure})"
    if not told.strip():
        return "no C compiler was found"
    try:
        shlex.split(told)
    except ValueError as error:
        return f"no C compiler was found (CC is {told!r}: {error})"
    return f"no C compiler was found (CC is {told!r})"


def c_compiler_version() -> str | None:
    """The first line of what the C compiler says of its version, or None where there is none.

    Example:
        >>> version = c_compiler_version()
        >>> version is None or len(version.splitlines()) == 1
        True
    """
    command = c_compiler()
    return None if command is None else _asked(tuple(command), _digest_of(command[0])).version


def c_compiler_digest() -> str:
    """Of the compiler's own file: a wrapper that is changed gives the version that it gave before.

    Example:
        >>> c_compiler_digest() == c_compiler_digest()
        True
    """
    command = c_compiler()
    return "" if command is None else _digest_of(command[0])


class _Answer(NamedTuple):
    version: str | None
    failure: str | None
    is_utf8: bool = True


def c_facts() -> dict[str, Any]:
    """What the bits of a C program depend on: its compiler, what that is told, and the library."""
    return _compiler_facts("c_compiler", c_compiler() or [])


def cxx_facts() -> dict[str, Any]:
    """The same of what torch's compiler has compiled on the CPU."""
    return _compiler_facts("cxx_compiler", [os.environ.get("CXX", _default_cxx())])


def _compiler_facts(name: str, command: list[str]) -> dict[str, Any]:
    found = _asked(tuple(command), _digest_of(command[0])).version if command else None
    if found is not None:  # it begins with the name that it is called by
        found = found.removeprefix(f"{os.path.basename(command[0])} ")
    return {
        name: found,
        f"{name}_options": " ".join(command[1:]),
        "libc": " ".join(platform.libc_ver()),
    }


def _default_cxx() -> str:
    return "clang++" if sys.platform == "darwin" else "g++"


@functools.cache
def processor() -> str:
    """The processor's name, as far as it tells.

    Example:
        >>> processor() == processor()
        True
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = [line.partition(":") for line in file]
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in reversed(lines)}  # of the first core
    parts = [told[key] for key in ("CPU implementer", "CPU part") if key in told]
    return told.get("model name") or " ".join(parts) or platform.processor() or platform.machine()


def bits_of_torch(device: torch.device) -> dict[str, Any]:
    """What the bits of all that torch computes here depend on.

    Example:
        >>> sorted(bits_of_torch(torch.device("cpu")))
        ['cpu_capability', 'device_name', 'processor', 'torch']
    """
    told = environment(device)
    names = ["torch", "device_name", "cpu_capability"]
    if device.type == "cpu":  # else it draws and moves data only
        names.append("processor")
    found = {name: told[name] for name in names}
    if device.type == "cuda":  # whose code all compilers but torch's own are in the end
        found["triton"] = triton_version()
    return found


def triton_version() -> str | None:
    """The version of Triton, which makes code for GPUs, or None where it is not installed.

    Example:
        >>> version = triton_version()
        >>> version is None or "." in version
        True
    """
    try:
        return importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def _asked(command: tuple[str, ...], digest: str) -> _Answer:
    """What a compiler says when it is asked for its version."""
    del digest  # a key: another file is another compiler
    try:
        ran = run_watched([*command, "--version"], ANSWER_SECONDS)
    except OSError as error:
        return _Answer(None, one_line(error))
    text = ran.out.decode(errors="backslashreplace")
    version = next(iter(text.splitlines()), "unknown")[:_VERSION_LETTERS]
    return _Answer(version, None, is_utf8=text.encode() == ran.out)


def _digest_of(program: str) -> str:
    """Of a program's file, or of the beginning of a large one."""
    digest = hashlib.blake2b(digest_size=16)
    with contextlib.suppress(OSError), open(shutil.which(program) or "", "rb") as file:
        digest.update(str(os.fstat(file.fileno()).st_size).encode() + file.read(_DIGESTED_BYTES))
    return digest.hexdigest()


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep freed memory for the next step; False where there is none.

    By default it hands a chunk's larger tensors back to the kernel after use and gets them again
    page by page: tens of page faults a step of model_1, hundreds an evaluation, a sixth of the
    time. What is kept is at most what was in use at once.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(mmap_threshold, 2**25) and mallopt(trim_threshold, 2**29))


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch work on one thread: on small tensors more are slower, above all on a busy machine.

    Example:
        >>> with one_torch_thread():
        ...     torch.get_num_threads()
        1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and machine, for the record.

    Example:
        >>> environment(torch.device("cpu"))["torch"] == torch.__version__
        True
    """
    is_cuda = device.type == "cuda"
    return {
        "functional_clf": VERSION,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "device_name": torch.cuda.get_device_name(device) if is_cuda else platform.machine(),
        "processor": processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "c_compiler": c_compiler_version(),
    }
