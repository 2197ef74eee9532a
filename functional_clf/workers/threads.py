"""Chunks trained side by side on threads, each on one core, and handed back as they finish."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self, TypeVar

import torch

from functional_clf.support import stopping

T = TypeVar("T")

Work = Callable[[Sequence[int], Callable[[int], None]], T]
"""Trains the seeds of one chunk, and tells now and then how many steps it has taken."""

TICK_SECONDS = 0.1
"""How often the waiting thread reports progress and notices Ctrl-C."""


class Stopped(Exception):  # noqa: N818 - a signal inside the workers, not an error
    """Raised in a worker thread to end its chunk early."""


class Workers:
    """Worker threads with one core each; a context manager that stops them when it is left.

    Args:
        threads: how many chunks to train at the same time.

    Example:
        >>> with Workers(threads=2) as workers:
        ...     sorted(workers.map(lambda chunk, after_steps: 10 * chunk, [1, 2, 3]))
        [10, 20, 30]
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.steps_done = 0
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        # Also in this thread: what is compiled here must not be compiled for more.
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(self.threads, initializer=self._begin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        torch.set_num_threads(self._threads_before)

    def submit(self, work: Work[T], chunk: Sequence[int]) -> Future[T]:
        """Queue `work(chunk, after_steps)`; `after_steps` counts, and raises when it shall stop."""
        return self._pool.submit(work, chunk, self._after_steps)

    def call(self, work: Callable[[], T], on_tick: Callable[[], None] = lambda: None) -> T:
        """Run one piece of work on a worker, calling `on_tick` here while it lasts."""
        future = self._pool.submit(work)
        while not wait([future], TICK_SECONDS).done:
            on_tick()
        return future.result()

    def map(
        self,
        work: Work[T],
        chunks: Sequence[Sequence[int]],
        on_tick: Callable[[], None] = lambda: None,
    ) -> Iterator[T]:
        """Run `work(chunk, after_steps)` on every chunk; yields each result here as it is ready.

        Work calls `after_steps` now and then: it counts, and it raises when the workers shall stop.
        """
        waiting = iter(chunks)
        running: set[Future[T]] = set()
        while True:
            # A few ahead of the threads, so that none waits, and few results at a time.
            while len(running) < 2 * self.threads and (chunk := next(waiting, None)) is not None:
                running.add(self.submit(work, chunk))
            if not running:
                return
            done, running = wait(running, TICK_SECONDS, FIRST_COMPLETED)
            for future in done:
                yield future.result()
            on_tick()

    def _begin(self) -> None:
        torch.set_num_threads(1)
        stopping.ask(self._stop.is_set)

    def _after_steps(self, steps: int) -> None:
        self.steps_done += steps  # only for progress: an update lost between threads does no harm
        if self._stop.is_set():
            raise Stopped
