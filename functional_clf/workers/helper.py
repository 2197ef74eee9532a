"""Any rank but 0: trains what rank 0 deals to it."""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import contextlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any, Self

import torch.distributed as dist

from functional_clf.data.seeds import MAX_SEED
from functional_clf.record.rows import ChunkResult
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line
from functional_clf.workers import session as sessions
from functional_clf.workers.launch import SECRET_VARIABLE, RankError
from functional_clf.workers.mail import POLL_SECONDS, Inbox, Outbox, Pulse, PulseReader
from functional_clf.workers.ranks import LOST_AFTER_SECONDS, Rank
from functional_clf.workers.session import Session
from functional_clf.workers.threads import Work, Workers


class Helper:
    """Any rank but 0: trains what rank 0 deals to it; a context manager.

    Args:
        rank: of this process.
        workers: the threads of this rank.
        lost_after: seconds without a pulse after which rank 0 is given up.
    """

    def __init__(
        self, rank: Rank, workers: Workers, lost_after: float = LOST_AFTER_SECONDS
    ) -> None:
        self._rank = rank
        self._workers = workers
        self._lost_after = lost_after
        self._name = f"{rank.index}-{secrets.token_hex(8)}"
        self._own_pulse: Pulse | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._own_pulse is not None:
            self._own_pulse.stop()

    def join(self) -> Mapping[str, Any] | None:
        """Wait for rank 0, and return the job; None where there is nothing left to do.

        Raises:
            RankError: when rank 0 does not answer, or the store holds what cannot be believed.
        """
        entered = ""
        asked = time.monotonic()
        with self._named():
            while True:
                found = sessions.current(self._rank.store, self._rank.secret)
                if found is not None and found.name != entered:
                    entered = found.name
                    self._enter(found)
                if entered:
                    if (message := self._inbox.receive()) is not None:
                        return message.header
                    if self._end_code() == 0:
                        return None
                    asked = max(asked, time.monotonic() - self._leader_pulse.silence())
                if time.monotonic() - asked > self._lost_after:
                    raise RankError("rank 0 does not answer" + self._hint())
                time.sleep(POLL_SECONDS)

    def serve(self, work: Work[ChunkResult]) -> int:
        """Train chunks until rank 0 ends the job; returns the exit code it gave.

        Raises:
            RankError: when rank 0 does not answer, or the store holds what cannot be believed.
        """
        own: dict[Future[ChunkResult], int] = {}
        with self._named():
            while (code := self._end_code()) is None:
                while (message := self._inbox.receive()) is not None:
                    chunk, seeds = _dealt(message.header)
                    own[self._workers.submit(work, seeds)] = chunk
                if not own:
                    time.sleep(POLL_SECONDS)
                for future in wait(own, POLL_SECONDS, FIRST_COMPLETED).done:
                    result = future.result()
                    header = {"chunk": own.pop(future), "rows": result.rows}
                    self._outbox.send(header, result.curves, result.params)
                if self._leader_pulse.silence() > self._lost_after:
                    raise RankError("rank 0 does not answer")
        return code

    def _enter(self, session: Session) -> None:
        if self._own_pulse is not None:
            self._own_pulse.stop()
        self._session = session
        inbox = self._inbox = Inbox(session, f"to/{self._name}")
        outbox = self._outbox = Outbox(session, f"from/{self._name}")
        self._leader_pulse = PulseReader(session, "pulse/0")
        self._own_pulse = Pulse(
            session,
            f"pulse/{self._name}",
            lambda: (self._workers.steps_done, inbox.received, outbox.sent),
        )
        told = json.dumps([self._name, self._workers.threads])
        session.set(f"join/{self._rank.index}", told.encode())

    def _end_code(self) -> int | None:
        code = self._session.get("end")
        return None if code is None else int(code)

    def _hint(self) -> str:
        """What may be the matter where no session could be entered."""
        if self._own_pulse is not None or not self._rank.store.check(["session"]):
            return ""
        return f", or its secret is not found here; set {SECRET_VARIABLE} for all ranks"

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Have errors name this rank."""
        try:
            yield
        except dist.DistError as error:
            raise RankError(
                f"rank {self._rank.index}: torchrun's store does not answer: {one_line(error)}"
            ) from error
        except RankError as error:
            raise RankError(f"rank {self._rank.index}: {error}") from error


def _dealt(header: Mapping[str, Any]) -> tuple[int, list[int]]:
    chunk, seeds = header.get("chunk"), header.get("seeds")
    if isinstance(chunk, int) and isinstance(seeds, list) and seeds:
        numbers: list[Any] = [chunk, *seeds]
        if all(type(one) is int and 0 <= one <= MAX_SEED for one in numbers):
            return chunk, seeds
    raise RankError(f"rank 0 dealt chunk {short(chunk)} with the seeds {short(seeds)}")
