"""Rank 0 of several processes: deals out chunks, all train them.

Rank 0 alone opens the run folder, so it alone knows what is missing. It deals the chunks out one by
one, as the others finish theirs, and collects the results.

The store outlives its workers when torchrun restarts them, so each life of rank 0 is a *session*
with keys of its own, and each life of a worker has an id of its own: neither believes what a dead
one has left behind.
"""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import contextlib
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch.distributed as dist

from functional_clf.record.rows import ChunkResult
from functional_clf.workers.mail import POLL_SECONDS, Inbox, Outbox, Pulse, PulseReader, result_of
from functional_clf.workers.ranks import LOST_AFTER_SECONDS, Rank, RankError
from functional_clf.workers.threads import Work, Workers


class Leader:
    """Rank 0: deals chunks out to itself and to whoever joins; a context manager.

    Leaving it without an `end` tells the others that the job has failed.

    Args:
        rank: of this process.
        lost_after: seconds without a pulse after which a worker is given up.

    Example:
        >>> rank = Rank(0, 2, 0, 2, dist.HashStore())
        >>> result = ChunkResult([("m", 0)], {}, {})
        >>> with Leader(rank) as leader, Workers(threads=1) as workers:
        ...     leader.start({"engine": "eager"})
        ...     results = leader.team(workers).map(lambda seeds, after_steps: result, [[0]])
        ...     list(results) == [result]
        ...     leader.end(0)
        True
    """

    def __init__(self, rank: Rank, lost_after: float = LOST_AFTER_SECONDS) -> None:
        self.rank = rank
        self._lost_after = lost_after
        self._members: dict[int, _Member] = {}
        self._job: Mapping[str, Any] = {}
        self._ended = False
        session = secrets.token_hex(8)
        self._store = dist.PrefixStore(session, rank.store)
        self._pulse = Pulse(self._store, "pulse/0", lambda: 0)
        rank.store.set("session", session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(1)
        self._pulse.stop()

    def start(self, job: Mapping[str, Any]) -> None:
        """From now on, tell everyone who joins what the job is.

        Args:
            job: plain values (JSON).
        """
        self._job = job

    def end(self, code: int) -> None:
        """Let the others leave, with this exit code; only the first call counts."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(dist.DistError):  # they are gone already
            self._store.set("end", str(code))

    def team(self, workers: Workers) -> "Team":
        """All ranks as one; `workers` are the threads of this one."""
        return Team(self, workers)

    def members(self) -> Iterator["_Member"]:
        """Everyone who has joined; a restarted worker takes the place of its former life."""
        for index in range(1, self.rank.size):
            member, key = self._members.get(index), f"join/{index}"
            if (member is None or not member.is_alive) and self._store.check([key]):
                name, threads = json.loads(self._store.get(key))
                if member is None or member.name != name:
                    self._members[index] = _Member(self._store, name, threads)
                    self._members[index].outbox.send(self._job)
            if index in self._members:
                yield self._members[index]

    def hears(self, member: "_Member") -> bool:
        """Whether a worker has shown a pulse of late."""
        return member.pulse.silence() <= self._lost_after


class Team:
    """All ranks of a job, as one `Workers`: what this rank does not train, another does.

    Args:
        leader: rank 0.
        workers: its threads.
    """

    def __init__(self, leader: Leader, workers: Workers) -> None:
        self._leader, self._workers = leader, workers
        self._others_steps = 0

    @property
    def steps_done(self) -> int:
        """Training steps taken by all ranks."""
        return self._workers.steps_done + self._others_steps

    def map(
        self,
        work: Work[ChunkResult],
        chunks: Sequence[Sequence[int]],
        on_tick: Callable[[], None] = lambda: None,
    ) -> Iterator[ChunkResult]:
        """Have every chunk trained, here or elsewhere; yields each result as it is ready.

        Args:
            work: trains one chunk.
            chunks: what to train.
            on_tick: called now and then from this thread.

        Raises:
            RankError: when the store does not answer.
        """
        waiting = deque(range(len(chunks)))
        unfinished = set(waiting)
        own: dict[Future[ChunkResult], int] = {}
        try:
            while unfinished:
                members = list(self._leader.members())
                self._deal(work, chunks, waiting, own, members)
                results = [one for member in members for one in member.delivered()]
                if own:
                    done = wait(own, 0 if results else POLL_SECONDS, FIRST_COMPLETED).done
                    results += [(own.pop(future), future.result()) for future in done]
                elif not results:
                    time.sleep(POLL_SECONDS)
                for index, result in results:
                    # One that was thought lost may deliver after all: the same bits, too late.
                    if index in unfinished:
                        unfinished.remove(index)
                        yield result
                waiting.extendleft(index for index in self._lost(members) if index in unfinished)
                self._others_steps = sum(member.pulse.steps for member in members)
                on_tick()
        except dist.DistError as error:
            raise RankError(f"torchrun's store does not answer: {error}") from error

    def _deal(
        self,
        work: Work[ChunkResult],
        chunks: Sequence[Sequence[int]],
        waiting: deque[int],
        own: dict[Future[ChunkResult], int],
        members: Sequence["_Member"],
    ) -> None:
        """Give each rank what it can train, and one more ahead while there is plenty."""
        present = [member for member in members if member.is_alive]
        threads = self._workers.threads + sum(member.threads for member in present)

        def has_room(busy: int, rank_threads: int) -> bool:
            ahead = 1 if len(waiting) > threads else 0
            return bool(waiting) and busy < rank_threads + ahead

        while has_room(len(own), self._workers.threads):
            index = waiting.popleft()
            own[self._workers.submit(work, chunks[index])] = index
        for member in present:
            while has_room(len(member.training), member.threads):
                index = waiting.popleft()
                member.training.add(index)
                member.outbox.send({"chunk": index, "seeds": chunks[index]})

    def _lost(self, members: Sequence["_Member"]) -> list[int]:
        """Give up who shows no pulse any more, and return what they were training."""
        lost: list[int] = []
        for member in members:
            member.is_alive = self._leader.hears(member)
            if not member.is_alive:
                lost += sorted(member.training)
                member.training.clear()
        return lost


@dataclass
class _Member:
    """Rank 0's view of another rank."""

    store: dist.Store
    name: str
    threads: int
    is_alive: bool = True
    training: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.store, f"from/{self.name}")
        self.outbox = Outbox(self.store, f"to/{self.name}")
        self.pulse = PulseReader(self.store, f"pulse/{self.name}")

    def delivered(self) -> Iterator[tuple[int, ChunkResult]]:
        """The chunks it has finished since the last look."""
        while (message := self.inbox.receive()) is not None:
            self.training.discard(message.header["chunk"])
            yield message.header["chunk"], result_of(message)
