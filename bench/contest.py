"""Preparing a peer for the clock: does it agree, and which of its variants is the fastest?"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bench.job import Job, check_agreement, make_job, reference
from bench.peers.base import Peer, Train
from bench.works import WORKS, WorkName
from functional_clf.core.types import Params

PROBE_SHARE = 0.1
"""Share of a round's epochs on which variants are compared."""


class Probe(NamedTuple):
    """One variant: what its first call took, how it agreed, and its time for a seed-epoch."""

    first_call: float
    disagreement: float
    seconds: float


@dataclass(frozen=True)
class Contestant:
    """A peer in its best variant, with the job that one round gives it.

    Attributes:
        job: of one round.
        train: the job, prepared.
        variant: the fastest one's name.
        probes: what each variant did on the short job.
    """

    job: Job
    train: Train
    variant: str
    probes: dict[str, Probe]

    def describe(self) -> dict[str, object]:
        """What the report says of it, as plain values."""
        return {
            "seeds": len(self.job.seeds),
            "epochs": self.job.recipe.epochs,
            "variant": self.variant,
            "disagreement": max(probe.disagreement for probe in self.probes.values()),
            "first_call": max(probe.first_call for probe in self.probes.values()),
            "probes": {name: probe.seconds for name, probe in self.probes.items()},
        }


def enter(
    peer: Peer,
    name: WorkName,
    seeds: int,
    epochs: int,
    device: str = "cpu",
    most_variants: int | None = None,
) -> Contestant:
    """Check and time every variant of a peer on short jobs; prepare the fastest for a round.

    Args:
        peer: who trains.
        name: of the work, in `WORKS`.
        seeds: of the job; the peer may take fewer.
        epochs: of the job; the peer may take a share.
        device: "cpu" or "cuda".
        most_variants: try this many of the peer's variants at most, the first ones.

    Raises:
        AssertionError: when the outputs of a variant disagree with the reference.
    """
    seeds = min(peer.seeds or seeds, seeds)
    epochs = max(1, round(peer.epochs_share * epochs))
    work = WORKS[name]
    check_epochs = min(work.check_epochs, epochs)
    check_samples = None if peer.draws else work.check_samples
    check_job = make_job(name, seeds, check_epochs, device, samples=check_samples)
    optimizer = peer.optimizers.get(check_job.settings["optimizer"])
    start, expected = reference(name, seeds, check_epochs, optimizer, check_samples)
    probe_job = make_job(name, seeds, max(1, round(PROBE_SHARE * epochs)), device)

    variants = dict(list(peer.variants(device).items())[:most_variants])
    probes, best = {}, math.inf
    for title, variant in variants.items():
        train = variant(check_job)
        first, params = timed(train)
        apart = check_agreement(params, expected, start)
        again, _ = timed(train)

        if len(variants) == 1:  # there is nothing to choose from
            probes[title] = Probe(max(0.0, first - again), apart, again / (seeds * check_epochs))
            break
        train = variant(probe_job)
        train()
        seconds, _ = timed(train)
        if seconds < 2 * best:  # it may be the fastest yet
            seconds = min(seconds, timed(train)[0], timed(train)[0])
        best = min(best, seconds)
        steps = seeds * probe_job.recipe.epochs
        probes[title] = Probe(max(0.0, first - again), apart, seconds / steps)
    fastest = min(probes, key=lambda title: probes[title].seconds)
    job = make_job(name, seeds, epochs, device)
    return Contestant(job, variants[fastest](job), fastest, probes)


def timed(train: Callable[[], Params]) -> tuple[float, Params]:
    """The seconds that a call takes, and what it returns."""
    started = time.perf_counter()
    params = train()
    return time.perf_counter() - started, params
