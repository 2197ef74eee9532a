"""What torchrun tells a process that it starts; needs no torch: what is amiss is told at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from functional_clf.support.errors import MachineError

SECRET_VARIABLE = "FUNCTIONAL_CLF_JOB_SECRET"
"""What ranks sign their messages with; ranks of one machine need none, see `workers.session`."""
SECRET_LENGTH = 32
"""A shorter one could be guessed from the messages, by whoever reads them."""


class RankError(MachineError):
    """What keeps one rank from its work, and is no fault of the study; the message names it."""


@dataclass(frozen=True)
class Launch:
    """One of several processes of a torchrun job.

    Args:
        index: its number, from 0; rank 0 leads.
        size: how many there are.
        local_index: its number on its machine.
        local_size: how many there are on its machine.
        address: of torchrun's store.
        port: likewise.
        has_store: whether torchrun keeps the store, and not rank 0.
        restarts: how often torchrun has restarted them.
        secret: what they sign with; None where rank 0 makes one, and keeps it in a file.
    """

    index: int
    size: int
    local_index: int
    local_size: int
    address: str
    port: int
    has_store: bool
    restarts: int
    secret: bytes | None = field(repr=False)


def launch_of(environ: Mapping[str, str] = os.environ) -> Launch | None:
    """Which of several processes this one is; None where torchrun did not start several.

    Args:
        environ: the environment variables, as torchrun sets them.

    Raises:
        RankError: when they are not as torchrun sets them, or a secret is missing or short.

    Example:
        >>> launch_of({}) is None
        True
        >>> launch_of({"TORCHELASTIC_RUN_ID": "job", "WORLD_SIZE": "2"})
        Traceback (most recent call last):
        functional_clf.workers.launch.RankError: TORCHELASTIC_RUN_ID is set, but RANK is not; \
torchrun sets both, and whoever starts without it must set neither
    """
    if "TORCHELASTIC_RUN_ID" not in environ:
        return None
    size = _number(environ, "WORLD_SIZE", 1, default="1")
    if size == 1:
        return None
    index = _number(environ, "RANK", 0, size - 1)
    local_size = _number(environ, "LOCAL_WORLD_SIZE", 1, size)
    return Launch(
        index=index,
        size=size,
        local_index=_number(environ, "LOCAL_RANK", 0, local_size - 1),
        local_size=local_size,
        address=_text(environ, "MASTER_ADDR"),
        port=_number(environ, "MASTER_PORT", 1, 65535),
        has_store=environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        restarts=_number(environ, "TORCHELASTIC_RESTART_COUNT", 0, default="0"),
        secret=_secret(environ, index, is_one_machine=size == local_size),
    )


def _text(environ: Mapping[str, str], name: str, default: str | None = None) -> str:
    found = environ.get(name, default)
    if not found:
        raise RankError(
            f"TORCHELASTIC_RUN_ID is set, but {name} is not; torchrun sets both, and whoever "
            "starts without it must set neither"
        )
    return found


def _number(
    environ: Mapping[str, str],
    name: str,
    low: int,
    high: int = 10**6,
    default: str | None = None,
) -> int:
    text = _text(environ, name, default)
    if not (text.isascii() and text.isdigit() and len(text) < 8 and low <= int(text) <= high):
        raise RankError(f"{name} is {text[:40]!r}; it must be a number from {low} to {high}")
    return int(text)


def _secret(environ: Mapping[str, str], index: int, is_one_machine: bool) -> bytes | None:
    secret = environ.get(SECRET_VARIABLE, "").strip()
    if not secret and is_one_machine:
        return None
    if len(secret) < SECRET_LENGTH:
        wrong = f"has {len(secret)} characters" if secret else "is not set"
        raise RankError(
            f"rank {index}: {SECRET_VARIABLE} {wrong}; on several machines it must be the same "
            f"{SECRET_LENGTH} or more characters that nobody can guess, as of "
            "python -c 'import secrets; print(secrets.token_hex())'"
        )
    return os.fsencode(secret)
