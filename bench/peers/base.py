"""What a peer is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.job import Job
from functional_clf.core.types import Optimizer, Params

Train = Callable[[], Params]
"""Trains a job from its start. Returns the stacked final params on the CPU, so the device has
finished when it returns."""

Variant = Callable[[Job], Train]
"""Prepares a job, off the clock: whatever a peer needs in its own form before training."""


@dataclass(frozen=True)
class Peer:
    """One way to train many replicates.

    Args:
        name: what tables and pictures call it.
        variants: by name, the settings that may be its best on a device ("cpu" or "cuda").
        missing: why it cannot run on a device, or None where it can.
        seeds: how many seeds a round trains; None for all. A loop over seeds takes time
            proportional to their number, so a few of them show its speed.
        epochs_share: share of the epochs that a round trains, likewise.
        compiles: whether its first call compiles.
        draws: whether it draws the samples itself, and so cannot be checked on a part of them.
        optimizers: where one differs in a way that is known ("adam" or "sgd"): the same in this
            package's terms, out of the learning rate, for the reference that it is checked against.
    """

    name: str
    variants: Callable[[str], Mapping[str, Variant]]
    missing: Callable[[str], str | None] = lambda device: None
    seeds: int | None = None
    epochs_share: float = 1.0
    compiles: bool = False
    draws: bool = False
    optimizers: Mapping[str, Callable[[float], Optimizer]] = field(default_factory=dict)
