"""What ranks tell each other: numbered messages and pulses, through torchrun's key-value store.

Messages are JSON and safetensors, signed: no collective operation, so a slow rank holds up nobody,
and no pickle.
"""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy
import torch.distributed as dist

from functional_clf.support.errors import one_line
from functional_clf.workers.launch import RankError
from functional_clf.workers.session import Session

POLL_SECONDS = 0.02
"""How often a rank looks for mail: a small part of the time that a chunk takes."""
PULSE_SECONDS = 1.0


class Message(NamedTuple):
    """Plain values, and arrays by name."""

    header: dict[str, Any]
    curves: dict[str, np.ndarray]
    params: dict[str, np.ndarray]


class Outbox:
    """Messages to one reader, numbered; a box has one writer."""

    def __init__(self, session: Session, name: str) -> None:
        self._session, self._name = session, name
        self.sent = 0

    def send(
        self,
        header: Mapping[str, Any],
        curves: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Send plain values, and arrays by name."""
        parts = (
            json.dumps(header).encode(),
            safetensors.numpy.save(dict(curves)) if curves else b"",
            safetensors.numpy.save(dict(params)) if params else b"",
        )
        packed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
        self._session.set(f"{self._name}/{self.sent}", packed)
        self.sent += 1

    def has_lost(self, received: int) -> bool:
        """Whether what the reader must read next, after so many, is there no more."""
        return received < self.sent and not self._session.has(f"{self._name}/{received}")


class Inbox:
    """The other end of an `Outbox`: what is read is deleted."""

    def __init__(self, session: Session, name: str) -> None:
        self._session, self._name = session, name
        self.received = 0

    def receive(self) -> Message | None:
        """The next message, or None where there is none yet.

        Raises:
            RankError: when it is not from who it should be, or is no message.
        """
        name = f"{self._name}/{self.received}"
        packed = self._session.get(name)
        if packed is None:
            return None
        self._session.delete(name, len(packed))
        self.received += 1
        try:
            return _unpacked(packed)
        except (ValueError, KeyError, RecursionError, safetensors.SafetensorError) as error:
            raise RankError(f"{name} is no message of this version ({one_line(error)})") from error

    def has_lost(self, sent: int) -> bool:
        """Whether the next of so many messages is there no more."""
        return self.received < sent and not self._session.has(f"{self._name}/{self.received}")


def _unpacked(packed: bytes) -> Message:
    parts, start = list[bytes](), 0
    while start < len(packed):
        stop = start + 8 + int.from_bytes(packed[start : start + 8], "little")
        parts.append(packed[start + 8 : stop])
        start = stop
    header, *arrays = parts
    curves, params = (safetensors.numpy.load(part) if part else {} for part in arrays)
    if not isinstance(found := json.loads(header), dict):
        raise ValueError("its header is no object")
    return Message(found, curves, params)


class Beat(NamedTuple):
    """What a pulse tells: its number, training steps taken, and messages received and sent."""

    number: int = 0
    steps: int = 0
    received: int = 0
    sent: int = 0


class Pulse:
    """A thread that shows that its process lives, and how far it is."""

    def __init__(
        self, session: Session, name: str, tell: Callable[[], tuple[int, int, int]]
    ) -> None:
        self._stop = threading.Event()
        self._session, self._name, self._tell = session, name, tell
        self._show(0)
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _show(self, number: int) -> None:
        self._session.set(self._name, json.dumps(Beat(number, *self._tell())).encode())

    def _beat(self) -> None:
        number = 0
        while not self._stop.wait(PULSE_SECONDS):
            number += 1
            try:
                self._show(number)
            except dist.DistError:
                return  # whoever uses the store next says so

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()


class PulseReader:
    """Watches the pulse of another process."""

    def __init__(self, session: Session, name: str) -> None:
        self._session, self._name = session, name
        self._last, self._read_at = Beat(-1), 0.0
        self._changed_at = time.monotonic()

    @property
    def last(self) -> Beat:
        """The last beat."""
        return self._last

    def silence(self) -> float:
        """Seconds since the last beat was noticed; one that is written again is none."""
        now = time.monotonic()
        if now - self._read_at > PULSE_SECONDS:
            self._read_at = now
            found = self._session.get(self._name)
            if found is not None and (beat := Beat(*json.loads(found))).number > self._last.number:
                self._last, self._changed_at = beat, now
        return now - self._changed_at
