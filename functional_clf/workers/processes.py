"""Processes beside the worker threads, for what holds the interpreter's lock, such as fits."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, wait
from contextlib import contextmanager, suppress
from pickle import PicklingError
from types import TracebackType
from typing import Any, Self, TypeVar

from functional_clf.support.errors import MachineError, one_line
from functional_clf.support.processes import child_environment, serve
from functional_clf.workers.threads import TICK_SECONDS

logger = logging.getLogger("functional_clf")

T = TypeVar("T")

IDLE_SECONDS = 300
"""A process with nothing to do for so long ends by itself; joblib's own choice."""
THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS"),
)


SAFE_PATH = "PYTHONSAFEPATH"


class FitProcessError(MachineError, RuntimeError):
    """A process that fits models ended in the middle of its work, most often for want of memory."""


class Processes:
    """Processes of joblib's, started when they are first used; a context manager that ends them.

    Args:
        count: how many, at least 1.

    Example:
        >>> with Processes(count=2) as processes:
        ...     processes.map(abs, [(-1,), (2,), (-3,)])
        [1, 2, 3]
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = threading.Lock()
        self._executor: Any = None
        self._is_over = False
        self._cannot_start = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._is_over = True
            executor, self._executor = self._executor, None
        if executor is not None:
            _end(executor)

    @property
    def have_started(self) -> bool:
        """Whether there are processes already."""
        return self._executor is not None

    def map(
        self,
        function: Callable[..., T],
        arguments: Sequence[tuple[Any, ...]],
        on_tick: Callable[[], None] = lambda: None,
    ) -> list[T] | None:
        """Call a function with each of some arguments, in the processes, and wait for all results.

        Args:
            function: of a module that the processes can import, or of the user's script.
            arguments: a tuple a call.
            on_tick: called here about ten times a second; what it raises ends the waiting.

        Returns:
            One a call, in their order; None where no other process can do it, which is logged.

        Raises:
            FitProcessError: when a process ended in the middle of its work.
        """
        futures = self._submitted(function, arguments)
        try:
            running = set(futures or ())
            while running:
                running = wait(running, TICK_SECONDS).not_done
                on_tick()
            if futures is not None:
                return [future.result() for future in futures]
        except (BrokenExecutor, PicklingError) as error:
            if self._is_over:
                raise RuntimeError("these processes have been ended") from None
            if type(error).__name__ == "TerminatedWorkerError":  # killed, or by a fault in C
                raise FitProcessError(
                    "a process that fits models ended in the middle of its work; was there too "
                    "little memory? Finished chunks are kept"
                ) from error
            self._do_without(error)  # what is to be done cannot be told to another process
        finally:
            for future in futures or ():
                future.cancel()
        return None

    def _submitted(self, function: Any, arguments: Sequence[tuple[Any, ...]]) -> list[Any] | None:
        """The calls under way; None where there can be no processes."""
        with self._lock:
            if self._is_over:
                raise RuntimeError("these processes have been ended")
            if self._cannot_start:
                return None
            try:
                with _safe_path(), _deaf_children():
                    self._executor = self._executor or _executor(self.count)
                    return [self._executor.submit(function, *one) for one in arguments]
            except (OSError, ImportError, ValueError, NotImplementedError, BrokenExecutor) as error:
                failure = error
        self._do_without(failure)
        return None

    def _do_without(self, error: BaseException) -> None:
        with self._lock:
            is_told, self._cannot_start = self._cannot_start, True
        if not is_told and not self._is_over:
            logger.warning(
                "models are fitted in this process, as others cannot do it (%s)", one_line(error)
            )


@contextmanager
def _safe_path() -> Iterator[None]:
    """Have Python processes that start meanwhile import nothing of the current folder.

    joblib and multiprocessing start processes that would, also where this one does not: what
    somebody has put there under a module's name would be run. Once they are up, they are told this
    process's own path.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Have processes that start meanwhile leave Ctrl-C to this one, from their first line on.

    They share the terminal or the notebook with it, and would each end with a traceback of theirs.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _executor(count: int) -> Any:
    from joblib.externals.loky import ProcessPoolExecutor

    variables = {"PYTHONPATH": child_environment()["PYTHONPATH"], SAFE_PATH: "1"}
    return ProcessPoolExecutor(
        count,
        timeout=IDLE_SECONDS,
        initializer=serve,
        initargs=(os.getpid(),),
        env=variables | dict.fromkeys(THREAD_VARIABLES, "1"),
    )


def _end(executor: Any) -> None:
    """End an executor's processes and what they started, whatever they are doing.

    joblib's own `kill_workers` has its thread die with a traceback where calls wait or were
    cancelled (loky 3.6), which a process that is found dead does not.
    """
    from joblib.externals.loky.backend.utils import kill_process_tree

    for process in list(executor._processes.values()):
        with suppress(ProcessLookupError):
            kill_process_tree(process)
    executor.shutdown(wait=True)
