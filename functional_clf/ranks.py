"""Several processes on one study, started by torchrun: rank 0 deals out chunks, all train them.

Rank 0 alone opens the run folder, so it alone knows what is missing. It deals the chunks out one by
one, as the others finish theirs, and collects the results. Everything goes through the key-value
store that torchrun keeps for its workers (c10d), as JSON and safetensors: no collective operation,
so a slow rank holds up nobody, and no pickle.

The store outlives its workers when torchrun restarts them, so each life of rank 0 is a *session*
with keys of its own, and each life of a worker has an id of its own: neither believes what a dead
one has left behind.
"""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import contextlib
import json
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, NamedTuple, Self

import safetensors.numpy
import torch
import torch.distributed as dist

from functional_clf.store import ChunkResult
from functional_clf.workers import Workers

POLL_SECONDS = 0.02
"""How often a rank looks for mail: a small part of the time that a chunk takes."""
PULSE_SECONDS = 1.0
LOST_AFTER_SECONDS = 60.0
"""A rank without a pulse for so long is given up: what it was training is dealt out again."""
CONNECT_SECONDS = 60.0

Work = Callable[[Sequence[int], Callable[[int], None]], ChunkResult]


class RankError(Exception):
    """What keeps one rank from its work, and is no fault of the study; the message names it."""


@dataclass(frozen=True)
class Rank:
    """One of several processes of a torchrun job.

    Args:
        index: its number, from 0; rank 0 leads.
        size: how many there are.
        local_index: its number on its machine.
        local_size: how many there are on its machine.
        store: what they talk through.
        restarts: how often torchrun has restarted them.
    """

    index: int
    size: int
    local_index: int
    local_size: int
    store: dist.Store
    restarts: int = 0

    def threads(self) -> int:
        """This rank's share of the machine's cores.

        torchrun sets OMP_NUM_THREADS to 1 where nobody has; a larger number is somebody's wish.
        """
        return max(torch.get_num_threads(), available_cores() // self.local_size)

    def device(self, name: str) -> str:
        """This rank's own device, of those that `name` (cpu, cuda, cuda:N or auto) allows.

        Raises:
            RankError: when the machine has fewer devices than ranks.
        """
        if name not in ("auto", "cuda") or not torch.cuda.is_available():
            return name
        devices = torch.cuda.device_count()
        if self.local_index >= devices:
            raise RankError(
                f"rank {self.index} finds no device of its own among {devices} CUDA devices; give "
                f"torchrun --nproc-per-node {devices}"
            )
        return f"cuda:{self.local_index}"

    def is_first_start(self) -> bool:
        """Whether the job starts now, and is not restarted; true once."""
        return self.restarts == 0 and self.store.add("started", 1) == 1


def launched_rank(environ: Mapping[str, str] = os.environ) -> Rank | None:
    """Which of several processes this one is; None where torchrun did not start several.

    Args:
        environ: the environment variables, as torchrun sets them.

    Raises:
        RankError: when the others cannot be reached.

    Example:
        >>> launched_rank({}) is None
        True
    """
    if "TORCHELASTIC_RUN_ID" not in environ or int(environ.get("WORLD_SIZE", 1)) == 1:
        return None
    index = int(environ["RANK"])
    try:
        # torchrun's own process keeps the store, unless it was told not to.
        store = dist.TCPStore(
            environ["MASTER_ADDR"],
            int(environ["MASTER_PORT"]),
            is_master=index == 0 and environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
            timeout=timedelta(seconds=CONNECT_SECONDS),
            wait_for_workers=False,
        )
    except dist.DistError as error:
        raise RankError(f"rank {index} cannot reach torchrun's store: {error}") from error
    return Rank(
        index=index,
        size=int(environ["WORLD_SIZE"]),
        local_index=int(environ["LOCAL_RANK"]),
        local_size=int(environ["LOCAL_WORLD_SIZE"]),
        store=store,
        restarts=int(environ.get("TORCHELASTIC_RESTART_COUNT", 0)),
    )


def available_cores() -> int:
    """Cores that this process may run on.

    Example:
        >>> available_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
        self._pulse = _Pulse(self._store, "pulse/0", lambda: 0)
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
        work: Work,
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
        work: Work,
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
        self._own_pulse: _Pulse | None = None

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

    def serve(self, work: Work) -> int:
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
        self._inbox = _Inbox(self._store, f"to/{self._name}")
        self._outbox = _Outbox(self._store, f"from/{self._name}")
        self._leader_pulse = _PulseReader(self._store, "pulse/0")
        self._own_pulse = _Pulse(
            self._store, f"pulse/{self._name}", lambda: self._workers.steps_done
        )
        self._store.set(f"join/{self._rank.index}", json.dumps([self._name, self._workers.threads]))

    def _end_code(self) -> int | None:
        return int(self._store.get("end")) if self._store.check(["end"]) else None

    def _unreachable(self, error: Exception) -> RankError:
        return RankError(f"rank {self._rank.index}: torchrun's store does not answer: {error}")


@dataclass
class _Member:
    """Rank 0's view of another rank."""

    store: dist.Store
    name: str
    threads: int
    is_alive: bool = True
    training: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.inbox = _Inbox(self.store, f"from/{self.name}")
        self.outbox = _Outbox(self.store, f"to/{self.name}")
        self.pulse = _PulseReader(self.store, f"pulse/{self.name}")

    def delivered(self) -> Iterator[tuple[int, ChunkResult]]:
        """The chunks it has finished since the last look."""
        while (message := self.inbox.receive()) is not None:
            self.training.discard(message.header["chunk"])
            yield message.header["chunk"], _result_of(message)


class _Message(NamedTuple):
    header: dict[str, Any]
    curves: bytes
    params: bytes


class _Outbox:
    """Messages to one reader, numbered; a box has one writer."""

    def __init__(self, store: dist.Store, name: str) -> None:
        self._store, self._name, self._sent = store, name, 0

    def send(
        self,
        header: Mapping[str, Any],
        curves: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        parts = (
            json.dumps(header).encode(),
            safetensors.numpy.save(dict(curves)) if curves else b"",
            safetensors.numpy.save(dict(params)) if params else b"",
        )
        packed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
        self._store.set(f"{self._name}/{self._sent}", packed)  # pyright: ignore[reportArgumentType] - bytes pass, NULs and all
        self._sent += 1


class _Inbox:
    """The other end of an `_Outbox`: what is read is deleted."""

    def __init__(self, store: dist.Store, name: str) -> None:
        self._store, self._name, self._read = store, name, 0

    def receive(self) -> _Message | None:
        """The next message, or None where there is none yet."""
        key = f"{self._name}/{self._read}"
        if not self._store.check([key]):
            return None
        packed = self._store.get(key)
        self._store.delete_key(key)
        self._read += 1
        parts, start = [], 0
        while start < len(packed):
            stop = start + 8 + int.from_bytes(packed[start : start + 8], "little")
            parts.append(packed[start + 8 : stop])
            start = stop
        header, curves, params = parts
        return _Message(json.loads(header), curves, params)


class _Pulse:
    """A thread that shows that its process lives, and how many steps it has taken."""

    def __init__(self, store: dist.Store, key: str, steps: Callable[[], int]) -> None:
        self._stop = threading.Event()
        store.set(key, "0 0")
        self._thread = threading.Thread(target=self._beat, args=(store, key, steps), daemon=True)
        self._thread.start()

    def _beat(self, store: dist.Store, key: str, steps: Callable[[], int]) -> None:
        beats = 0
        while not self._stop.wait(PULSE_SECONDS):
            beats += 1
            try:
                store.set(key, f"{beats} {steps()}")
            except dist.DistError:
                return  # whoever uses the store next says so

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class _PulseReader:
    """Watches the pulse of another process."""

    def __init__(self, store: dist.Store, key: str) -> None:
        self._store, self._key = store, key
        self._last, self._read_at = b"", 0.0
        self._changed_at = time.monotonic()

    @property
    def steps(self) -> int:
        """Steps taken, as of the last beat."""
        return int(self._last.split()[1]) if self._last else 0

    def silence(self) -> float:
        """Seconds since the last beat was noticed."""
        now = time.monotonic()
        if now - self._read_at > PULSE_SECONDS:
            self._read_at = now
            found = self._store.get(self._key) if self._store.check([self._key]) else b""
            if found != self._last:
                self._last, self._changed_at = found, now
        return now - self._changed_at


def _result_of(message: _Message) -> ChunkResult:
    curves, params = (
        safetensors.numpy.load(part) if part else {} for part in (message.curves, message.params)
    )
    return ChunkResult([tuple(row) for row in message.header["rows"]], curves, params)
