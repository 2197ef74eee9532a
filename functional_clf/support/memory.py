"""How much memory this process can have at all, and amounts of it in words."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Limit(NamedTuple):
    """The most memory that a process can have, and by what."""

    bytes: int
    what: str


def memory_limit() -> Limit | None:
    """The least of what the machine, its control groups and this process' own limits allow.

    Whatever others use of it is not looked at: it may be free again a moment later.

    Returns:
        None where no limit is known.

    Example:
        >>> limit = memory_limit()
        >>> limit is None or limit.bytes > 2**20
        True
    """
    found = []
    swap = _swap()
    with suppress(AttributeError, ValueError, OSError):
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found.append(Limit(pages + swap, "this machine has"))
    found += [Limit(limit + swap, "its control group allows") for limit in _of_groups()]
    found += [Limit(limit, f"its limit ({name}) allows") for name, limit in _of_process()]
    return min(found, key=lambda one: one.bytes, default=None)


def amount(n_bytes: int) -> str:
    """So many bytes in words.

    Example:
        >>> amount(3 * 2**29), amount(10**30)
        ('1.5 GiB', '867,361,737,988 EiB')
    """
    units = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    power = min(max((n_bytes.bit_length() - 1) // 10, 1), len(units))
    value = n_bytes / 2 ** (10 * power)
    return f"{value:,.1f} {units[power - 1]}" if value < 100 else f"{value:,.0f} {units[power - 1]}"


def _swap() -> int:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        line = next(line for line in lines if line.startswith("SwapTotal:"))
        return int(line.split()[1]) * 1024
    return 0


def _of_groups() -> list[int]:
    """The limits of this process' control groups and of those above them, of either version."""
    found, root = [], Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            base, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the path may be that of the host; then the base is the group itself.
        folder = base / path.lstrip("/")
        for place in (folder, *folder.parents):
            with suppress(OSError, ValueError):  # the latter of "max"
                found.append(int((place / name).read_text()))
            if place == base:
                break
    return found


def _of_process() -> list[tuple[str, int]]:
    try:
        import resource
    except ImportError:  # Windows
        return []
    limits = [(name, resource.getrlimit(getattr(resource, name))[0]) for name in _LIMITS]
    return [(name, limit) for name, limit in limits if limit != resource.RLIM_INFINITY]


_LIMITS = ("RLIMIT_AS", "RLIMIT_DATA")
