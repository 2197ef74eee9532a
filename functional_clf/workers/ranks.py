"""Several processes on one study, started by torchrun: which of them this one is."""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import os
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist

from functional_clf.support.errors import one_line
from functional_clf.support.processes import available_cores
from functional_clf.workers.launch import Launch, RankError, launch_of

CONNECT_SECONDS = 60.0
LOST_AFTER_SECONDS = 60.0
"""A rank without a pulse for so long is given up: what it was training is dealt out again."""


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
        secret: what they sign with; None where rank 0 makes one, and keeps it in a file.
    """

    index: int
    size: int
    local_index: int
    local_size: int
    store: dist.Store
    restarts: int = 0
    secret: bytes | None = field(default=None, repr=False)

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
        if self.restarts > 0 or self.store.check(["started"]):
            return False
        self.store.set("started", "")
        return True


def launched_rank(environ: Mapping[str, str] = os.environ) -> Rank | None:
    """Which of several processes this one is; None where torchrun did not start several.

    Args:
        environ: the environment variables, as torchrun sets them.

    Raises:
        RankError: when the others cannot be reached, or the environment is not torchrun's.

    Example:
        >>> launched_rank({}) is None
        True
    """
    launch = launch_of(environ)
    if launch is None:
        return None
    # torchrun's own process keeps the store, unless it was told not to.
    keeps_store = launch.index == 0 and not launch.has_store
    place = f"rank {launch.index} cannot reach torchrun's store, {launch.address}:{launch.port}"
    if not keeps_store:
        _wait_for(launch, place)
    try:
        store = _connected(launch, keeps_store)
    except (dist.DistError, ValueError) as error:
        raise RankError(f"{place}: {one_line(error)}") from error
    if store is None:
        raise RankError(f"{place}: what listens there says nothing")
    return Rank(
        index=launch.index,
        size=launch.size,
        local_index=launch.local_index,
        local_size=launch.local_size,
        store=store,
        restarts=launch.restarts,
        secret=launch.secret,
    )


def _connected(launch: Launch, keeps_store: bool) -> dist.Store | None:
    """The store; None where nobody answers, for which torch would wait for ever."""
    found: Future[dist.Store] = Future()

    def connect() -> None:
        try:
            found.set_result(
                dist.TCPStore(
                    launch.address,
                    launch.port,
                    is_master=keeps_store,
                    timeout=timedelta(seconds=CONNECT_SECONDS),
                    wait_for_workers=False,
                )
            )
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=connect, daemon=True).start()
    return found.result() if wait([found], 2 * CONNECT_SECONDS).done else None


def _wait_for(launch: Launch, place: str) -> None:
    """Wait until the store's port is open: torch would say at length that it is not."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            socket.create_connection((launch.address, launch.port), CONNECT_SECONDS).close()
            return
        except (OSError, UnicodeError) as error:
            if time.monotonic() > deadline:
                raise RankError(f"{place}: {error}") from error
        time.sleep(0.2)
