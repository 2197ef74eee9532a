"""Processes of this package's own: on how many cores, with which modules, and until when."""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

HEARD_BYTES = 2**20
"""Of what a child says, so much is kept."""
_TICK_SECONDS = 0.05
_READS = 32
# It ends when its input does, as when this process is gone, however it went.
_WATCH = """
read child
read done && exit
[ "$child" ] && kill -9 "-$child"
[ "$1" ] && rm -rf -- "$1"
"""


class Ran(NamedTuple):
    """What came of a child process: its exit code, and what it said."""

    code: int
    out: bytes
    err: bytes


GROUPS: set[int] = set()
"""Groups of processes that have nothing to tidy up, and end with this one."""


def available_cores() -> int:
    """Cores that this process may run on.

    Example:
        >>> available_cores() >= 1
        True
    """
    with suppress(AttributeError, OSError):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def child_environment() -> dict[str, str]:
    """Environment variables of a child process that shall import this very package.

    Example:
        >>> str(Path(__file__).parents[2]) in child_environment()["PYTHONPATH"]
        True
    """
    package = sys.modules[__name__.partition(".")[0]]
    folder = str(Path(package.__file__ or "").parents[1])
    paths = [folder, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_watched(
    command: Sequence[str],
    seconds: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> Ran:
    """Run a command that ends in time, and with this process; so does all that it starts.

    It has no input, and Ctrl-C is not for it. Where this process is killed, a shell that waits for
    its end kills the command's group of processes, and removes the folder.

    Args:
        command: a program and its arguments.
        seconds: how long it may take.
        folder: where it works; removed where nobody else can do it.
        environment: its variables; None for those of this process.
        is_over: asked now and then; True ends it.

    Raises:
        TimeoutError: when it took too long.
        InterruptedError: when it was ended.
        OSError: when it cannot be started.

    Example:
        >>> run_watched([sys.executable, "-c", "print(7)"], seconds=60).out.strip()
        b'7'
    """
    variables: Any = None if environment is None else dict(environment)
    with _watch(folder) as tell_of:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=variables,
            start_new_session=True,
        )
        try:
            tell_of(child.pid)
            out, err = _heard(child, seconds, is_over)
        except (InterruptedError, TimeoutError) as error:
            raise type(error)(f"{command[0]} {error}") from None
        finally:
            kill_group(child)
            child.wait()
            for stream in (child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
    return Ran(child.returncode, out, err)


@contextmanager
def _watch(folder: Path | None) -> Iterator[Callable[[int], None]]:
    """A shell that waits for the end of this process; yields what tells it whom to end then."""
    watcher: subprocess.Popen[bytes] | None = None
    with suppress(OSError):  # there is no such shell
        watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "watch", "" if folder is None else str(folder.absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )

    def tell(line: str) -> None:
        if watcher is not None and watcher.stdin is not None:
            with suppress(OSError):  # it was killed
                watcher.stdin.write(f"{line}\n".encode())

    try:
        yield lambda child: tell(str(child))
    finally:
        tell("done")
        if watcher is not None and watcher.stdin is not None:
            watcher.stdin.close()
            watcher.wait()


def _heard(
    child: "subprocess.Popen[bytes]", seconds: float, is_over: Callable[[], bool]
) -> tuple[bytes, bytes]:
    """What a child says until it ends: not until its pipes do, which others may hold open."""
    streams = [stream for stream in (child.stdout, child.stderr) if stream is not None]
    heard, until = [bytearray() for _ in streams], time.monotonic() + seconds
    with selectors.DefaultSelector() as waiting:
        for stream, kept in zip(streams, heard, strict=True):
            os.set_blocking(stream.fileno(), False)
            waiting.register(stream, selectors.EVENT_READ, kept)
        while True:
            has_ended = child.poll() is not None
            for key in list(waiting.get_map().values()):
                if not _drain(key.fd, key.data):
                    waiting.unregister(key.fileobj)
            if has_ended:
                return bytes(heard[0]), bytes(heard[1])
            if is_over():
                raise InterruptedError("was stopped")
            if time.monotonic() > until:
                raise TimeoutError(f"has not ended within {seconds:g} s")
            if waiting.get_map():
                waiting.select(_TICK_SECONDS)
            else:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_TICK_SECONDS)


def _drain(descriptor: int, kept: bytearray) -> bool:
    """Read what there is now, and keep the first of it; whether more may come."""
    for _ in range(_READS):  # more than a pipe holds; whoever speaks without end is not waited for
        try:
            read = os.read(descriptor, 2**16)
        except BlockingIOError:
            return True
        if not read:
            return False
        kept += read[: max(0, HEARD_BYTES - len(kept))]
    return True


def kill_group(child: "subprocess.Popen[bytes]") -> None:
    """End a child that leads a session of its own, and all that it has started.

    Args:
        child: started with `start_new_session`.
    """
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # ended; the latter on macOS
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()


def end_children(until: float = 0.0) -> None:
    """End the processes of this one's session that it has started, and those of `GROUPS`.

    Whoever starts a session of its own sees to its end.

    Args:
        until: when to kill those that have not ended, by `time.monotonic()`.
    """
    for group in GROUPS:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    found = _descendants()
    _send(found, signal.SIGTERM)  # compilers remove their files
    while found and time.monotonic() < until:
        time.sleep(0.01)
        found = _descendants()
    _send(found, signal.SIGKILL)


def _send(processes: Iterable[int], number: int) -> None:
    for process in processes:
        with suppress(OSError):
            os.kill(process, number)


def _descendants() -> list[int]:
    """Processes below this one that run, as Linux tells; but joblib's keepers, which tidy up."""
    parents: dict[int, int] = {}
    with suppress(OSError):
        session = os.getsid(0)
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                told = Path(f"/proc/{name}/stat").read_text("utf-8", "replace")
                state, parent, _, its_session = told.rpartition(")")[2].split()[:4]
                if state not in "ZX" and int(its_session) == session:
                    parents[int(name)] = int(parent)
    found = [os.getpid()]
    for one in found:  # which grows
        found += [child for child, parent in parents.items() if parent == one]
    return [one for one in found[1:] if not _is_keeper(one)]


def _is_keeper(process: int) -> bool:
    with suppress(OSError):
        return b"resource_tracker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def serve(parent: int) -> None:
    """Have this process end with the one that started it, and leave Ctrl-C to that one.

    Args:
        parent: its number.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:  # whoever is left alone is given another parent
        time.sleep(1)
    if hasattr(os, "getpgrp") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with all that it has started
    os._exit(1)
