"""Preparing a peer for the clock: which variant is its best, does it agree, what did compiling cost."""

import time
from dataclasses import dataclass
from typing import NamedTuple

from bench.job import Job, ModelName, check_agreement, make_job, reference
from bench.peers.base import Peer, Train

PROBE_EPOCHS = 50
"""Epochs of the short job on which variants are checked and compared."""


class Probe(NamedTuple):
    """One variant on the short job, in seconds a seed-epoch once it is warm."""

    seconds: float
    first_call: float
    disagreement: float


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

    @property
    def seed_epochs(self) -> int:
        """The training steps of one round, over all its seeds."""
        return len(self.job.seeds) * self.job.recipe.epochs

    def describe(self) -> dict[str, object]:
        """What the report says of it, as plain values."""
        best = self.probes[self.variant]
        return {
            "seeds": len(self.job.seeds),
            "epochs": self.job.recipe.epochs,
            "variant": self.variant,
            "disagreement": max(probe.disagreement for probe in self.probes.values()),
            "first_call": best.first_call,
            "probes": {name: probe.seconds for name, probe in self.probes.items()},
        }


def enter(
    peer: Peer, model: ModelName, seeds: int, epochs: int, device: str = "cpu"
) -> Contestant:
    """Try every variant of a peer on a short job, and prepare the fastest for a round.

    Args:
        peer: who trains.
        model: which model.
        seeds: of the standard job; the peer may take fewer.
        epochs: of the standard job; the peer may take a share.
        device: "cpu" or "cuda".

    Raises:
        AssertionError: when the outputs of a variant disagree with the reference.
    """
    seeds = min(peer.seeds or seeds, seeds)
    epochs = max(1, round(peer.epochs_share * epochs))
    short = make_job(model, seeds, min(PROBE_EPOCHS, epochs), device)
    variants = peer.variants(device)
    probes = {}
    for name, variant in variants.items():
        train = variant(short)
        started = time.perf_counter()
        params = train()
        first_call = time.perf_counter() - started
        apart = check_agreement(params, *_expected(model, short))
        started = time.perf_counter()
        train()
        seconds = time.perf_counter() - started
        steps = len(short.seeds) * short.recipe.epochs
        probes[name] = Probe(seconds / steps, max(0.0, first_call - seconds), apart)
    best = min(probes, key=lambda name: probes[name].seconds)
    job = make_job(model, seeds, epochs, device)
    return Contestant(job, variants[best](job), best, probes)


def _expected(model: ModelName, job: Job):
    start, final = reference(model, len(job.seeds), job.recipe.epochs)
    return final, start
