"""What ranks tell each other: numbered messages and pulses, through torchrun's key-value store.

Messages are JSON and safetensors: no collective operation, so a slow rank holds up nobody, and no
pickle.
"""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import safetensors.numpy
import torch.distributed as dist

from functional_clf.record.rows import ChunkResult

POLL_SECONDS = 0.02
"""How often a rank looks for mail: a small part of the time that a chunk takes."""
PULSE_SECONDS = 1.0


class Message(NamedTuple):
    """Plain values, and arrays as safetensors."""

    header: dict[str, Any]
    curves: bytes
    params: bytes


class Outbox:
    """Messages to one reader, numbered; a box has one writer."""

    def __init__(self, store: dist.Store, name: str) -> None:
        self._store, self._name, self._sent = store, name, 0

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
        self._store.set(f"{self._name}/{self._sent}", packed)  # pyright: ignore[reportArgumentType] - bytes pass, NULs and all
        self._sent += 1


class Inbox:
    """The other end of an `Outbox`: what is read is deleted."""

    def __init__(self, store: dist.Store, name: str) -> None:
        self._store, self._name, self._read = store, name, 0

    def receive(self) -> Message | None:
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
        return Message(json.loads(header), curves, params)


class Pulse:
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
        """End the thread."""
        self._stop.set()
        self._thread.join()


class PulseReader:
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


def result_of(message: Message) -> ChunkResult:
    """The result of a chunk that a message holds."""
    curves, params = (
        safetensors.numpy.load(part) if part else {} for part in (message.curves, message.params)
    )
    return ChunkResult([tuple(row) for row in message.header["rows"]], curves, params)
