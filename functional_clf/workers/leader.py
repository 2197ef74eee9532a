"""Rank 0 of several processes: deals out chunks, all train them.

Rank 0 alone opens the run folder, so it alone knows what is missing. It deals the chunks out one by
one, as the others finish theirs, and collects the results.

The store outlives its workers when torchrun restarts them, so each life of rank 0 is a *session*
with keys of its own, and each life of a worker has an id of its own: neither believes what a dead
one has left behind. What a worker sends is believed where it is signed, answers what was dealt to
that worker, and fits it.
"""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch.distributed as dist

from functional_clf.record.rows import ChunkResult
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line
from functional_clf.workers import session as sessions
from functional_clf.workers.launch import RankError
from functional_clf.workers.mail import POLL_SECONDS, Beat, Inbox, Outbox, Pulse, PulseReader
from functional_clf.workers.ranks import LOST_AFTER_SECONDS, Rank
from functional_clf.workers.session import Session
from functional_clf.workers.threads import Work, Workers

Check = Callable[[Sequence[int], ChunkResult], None]
"""Raises a ValueError where a result is none of these seeds."""

BEATS_TO_MISS = 3
"""After so many beats of its reader, a message that is neither there nor read was deleted."""


class Leader:
    """Rank 0: deals chunks out to itself and to whoever joins; a context manager.

    Leaving it without an `end` tells the others that the job has failed.

    Args:
        rank: of this process.
        lost_after: seconds without a pulse after which a worker is given up.

    Example:
        >>> rank = Rank(0, 2, 0, 2, dist.HashStore(), secret=bytes(32))
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
        with _reached():
            self._session = sessions.begin(rank.store, rank.secret)
            self._pulse = Pulse(self._session, "pulse/0", self._beat)

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
        with contextlib.suppress(dist.DistError):
            # Who is late needs the secret to learn that the job has ended.
            late = any(not self._session.has(f"join/{one}") for one in range(1, self.rank.size))
            if self.rank.secret is None and not late:
                sessions.end(self._session)

    def _beat(self) -> tuple[int, int, int]:
        sessions.renew(self._session)
        return 0, 0, 0

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
            self._session.set("end", str(code).encode())

    def team(self, workers: Workers, check: Check = lambda seeds, result: None) -> "Team":
        """All ranks as one.

        Args:
            workers: the threads of this rank.
            check: of what others send.
        """
        return Team(self, workers, check)

    def members(self) -> Iterator["_Member"]:
        """Everyone who has joined; a restarted worker takes the place of its former life.

        Raises:
            RankError: when somebody else says to be one.
        """
        for index in range(1, self.rank.size):
            member = self._members.get(index)
            if member is None or not member.is_alive:
                joined = self._session.get(f"join/{index}")
                name, threads = (None, 0) if joined is None else json.loads(joined)
                if name is not None and (member is None or member.name != name):
                    self._members[index] = _Member(self._session, index, name, threads)
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
        check: of what others send.
    """

    def __init__(self, leader: Leader, workers: Workers, check: Check) -> None:
        self._leader, self._workers, self._check = leader, workers, check
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
            RankError: when the store does not answer, or holds what cannot be believed.
        """
        waiting = deque(range(len(chunks)))
        unfinished = set(waiting)
        own: dict[Future[ChunkResult], int] = {}
        with _reached():
            while unfinished:
                members = list(self._leader.members())
                self._deal(work, chunks, waiting, own, members)
                results = [one for member in members for one in member.delivered(self._check)]
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
                self._others_steps = sum(member.pulse.last.steps for member in members)
                on_tick()

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
                member.deal(index := waiting.popleft(), chunks[index])

    def _lost(self, members: Sequence["_Member"]) -> list[int]:
        """Give up who shows no pulse any more, and return what they were training."""
        lost: list[int] = []
        for member in members:
            member.is_alive = self._leader.hears(member)
            if member.is_alive:
                member.see_that_mail_arrives()
            else:
                lost += sorted(member.training)
                member.training.clear()
        return lost


@dataclass
class _Member:
    """Rank 0's view of another rank."""

    session: Session
    index: int
    name: str
    threads: int
    is_alive: bool = True
    training: set[int] = field(default_factory=set)
    """What it has in its hands, as far as is known."""
    dealt: dict[int, Sequence[int]] = field(default_factory=dict)
    """The seeds of what it has not answered, be it thought lost."""
    missed: Beat | None = None
    """When a message was first found to be missing."""

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.session, f"from/{self.name}")
        self.outbox = Outbox(self.session, f"to/{self.name}")
        self.pulse = PulseReader(self.session, f"pulse/{self.name}")

    def deal(self, chunk: int, seeds: Sequence[int]) -> None:
        """Have it train a chunk."""
        self.training.add(chunk)
        self.dealt[chunk] = seeds
        self.outbox.send({"chunk": chunk, "seeds": seeds})

    def delivered(self, check: Check) -> Iterator[tuple[int, ChunkResult]]:
        """The chunks it has finished since the last look.

        Raises:
            RankError: when one is not what was dealt.
        """
        while (message := self.inbox.receive()) is not None:
            chunk, rows = message.header.get("chunk"), message.header.get("rows")
            if type(chunk) is not int or chunk not in self.dealt:
                raise RankError(
                    f"rank {self.index} sent chunk {short(chunk)}, which it was not dealt"
                )
            if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
                raise RankError(f"rank {self.index} sent chunk {chunk} without rows")
            result = ChunkResult([tuple(row) for row in rows], message.curves, message.params)
            try:
                check(self.dealt.pop(chunk), result)
            except ValueError as error:
                raise RankError(
                    f"rank {self.index} sent another result than of the chunk it was dealt: {error}"
                ) from error
            self.training.discard(chunk)
            yield chunk, result

    def see_that_mail_arrives(self) -> None:
        """Raise a RankError where messages vanish, since who waits for one waits for ever."""
        last = self.pulse.last
        is_lost = self.outbox.has_lost(last.received) or self.inbox.has_lost(last.sent)
        if not is_lost or self.missed is None or self.missed.received != last.received:
            self.missed = last if is_lost else None
        elif last.number - self.missed.number >= BEATS_TO_MISS:
            raise RankError(
                f"a message between rank 0 and rank {self.index} has vanished from torchrun's "
                "store: somebody else deletes there"
            )


@contextlib.contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except dist.DistError as error:
        raise RankError(f"torchrun's store does not answer: {one_line(error)}") from error
