"""Any rank but 0: trains what rank 0 deals to it."""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import json
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any, Self

import torch.distributed as dist

from functional_clf.record.rows import ChunkResult
from functional_clf.workers.mail import POLL_SECONDS, Inbox, Outbox, Pulse, PulseReader
from functional_clf.workers.ranks import LOST_AFTER_SECONDS, Rank, RankError
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
            RankError: when rank 0 does not answer.
        """
        session = b""
        asked = time.monotonic()
        try:
            while True:
                store = self._rank.store
                found = store.get("session") if store.check(["session"]) else b""
                if found != session:
                    session = found
                    self._enter(found.decode())
                if session:
                    if (message := self._inbox.receive()) is not None:
                        return message.header
                    if self._end_code() == 0:
                        return None
                    asked = max(asked, time.monotonic() - self._leader_pulse.silence())
                if time.monotonic() - asked > self._lost_after:
                    raise RankError(f"rank {self._rank.index}: rank 0 does not answer")
                time.sleep(POLL_SECONDS)
        except dist.DistError as error:
            raise self._unreachable(error) from error

    def serve(self, work: Work[ChunkResult]) -> int:
        """Train chunks until rank 0 ends the job; returns the exit code it gave.

        Raises:
            RankError: when rank 0 does not answer.
        """
        own: dict[Future[ChunkResult], int] = {}
        try:
            while (code := self._end_code()) is None:
                while (message := self._inbox.receive()) is not None:
                    future = self._workers.submit(work, message.header["seeds"])
                    own[future] = message.header["chunk"]
                if not own:
                    time.sleep(POLL_SECONDS)
                for future in wait(own, POLL_SECONDS, FIRST_COMPLETED).done:
                    result = future.result()
                    header = {"chunk": own.pop(future), "rows": result.rows}
                    self._outbox.send(header, result.curves, result.params)
                if self._leader_pulse.silence() > self._lost_after:
                    raise RankError(f"rank {self._rank.index}: rank 0 does not answer")
        except dist.DistError as error:
            raise self._unreachable(error) from error
        return code

    def _enter(self, session: str) -> None:
        if self._own_pulse is not None:
            self._own_pulse.stop()
        self._store = dist.PrefixStore(session, self._rank.store)
        self._inbox = Inbox(self._store, f"to/{self._name}")
        self._outbox = Outbox(self._store, f"from/{self._name}")
        self._leader_pulse = PulseReader(self._store, "pulse/0")
        self._own_pulse = Pulse(
            self._store, f"pulse/{self._name}", lambda: self._workers.steps_done
        )
        self._store.set(f"join/{self._rank.index}", json.dumps([self._name, self._workers.threads]))

    def _end_code(self) -> int | None:
        return int(self._store.get("end")) if self._store.check(["end"]) else None

    def _unreachable(self, error: Exception) -> RankError:
        return RankError(f"rank {self._rank.index}: torchrun's store does not answer: {error}")
