"""Several processes on one study, started by torchrun: which of them this one is."""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from functional_clf.support.errors import MachineError
from functional_clf.support.processes import available_cores

CONNECT_SECONDS = 60.0
LOST_AFTER_SECONDS = 60.0
"""A rank without a pulse for so long is given up: what it was training is dealt out again."""


class RankError(MachineError):
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
