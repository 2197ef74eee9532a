"""From raw measurements to the figures of the report: pure functions of a list of records.

A record is one benchmark's `extra_info` and its `wall` seconds; `section` says which file made it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from bench.peers import CLASSIC, JAX, OURS
from bench.peers.minibatches import JAX_RECORDED, UNRECORDED

Record = Mapping[str, Any]

OVERHEAD_STAGES = ("data", "statistics", "plots", "export")
"""Stages of the process that are neither training nor getting ready for it."""

A_FEW_SECONDS = 5.0


class Matched(NamedTuple):
    """Two peers whose times are compared."""

    ours: str
    theirs: str
    words: str


FROM_THE_LOOP = Matched(OURS.name, CLASSIC.name, "the classic loop at its best")
BOTH_WITH = Matched(OURS.name, JAX_RECORDED.name, "JAX at its best, both reading learning curves")
BOTH_WITHOUT = Matched(UNRECORDED.name, JAX.name, "JAX at its best, neither reading them")

IN_BATCHES: Mapping[str, Mapping[Matched, float]] = {
    work: {FROM_THE_LOOP: factor, BOTH_WITH: 1.5, BOTH_WITHOUT: 1.5}
    for work, factor in {"breast_cancer": 15, "digits": 10, "made": 3}.items()
}
"""By work: how many times as fast as whom, who does the same work, or less of it."""


class Spread(NamedTuple):
    """The median of some rounds, and their range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Of at least one value.

        Example:
            >>> Spread.of([3.0, 1.0, 2.0])
            Spread(median=2.0, low=1.0, high=3.0)
        """
        values = list(values)
        return cls(median(values), min(values), max(values))


class PeerSpeed(NamedTuple):
    """One peer on the standard job."""

    speed: Spread  # seed-epochs a second
    ours_is: Spread | None  # times as fast as the peer, round by round
    record: Record  # of the first round: variant, probes, first_call, disagreement
    rounds: Mapping[int, float]  # the speed in each


class SeedPoint(NamedTuple):
    """Scaling at one number of seeds."""

    seconds_per_seed: Spread
    peak_memory: Spread


class Process(NamedTuple):
    """A whole process, over its rounds."""

    wall: Spread
    stages: Mapping[str, float]  # medians, by stage; "other" is what no stage accounts for
    seeds: int
    ran: str
    reason: str


class Target(NamedTuple):
    """A promise, what was measured, and whether it was kept; None where it was not measured."""

    promise: str
    measured: str | None
    met: bool | None


def section(records: Sequence[Record], name: str) -> list[Record]:
    """The records of one section."""
    return [record for record in records if record["section"] == name]


def steps(records: Sequence[Record]) -> dict[tuple[str, str], float]:
    """The median seconds of one training step, by (model, way)."""
    return {(one["model"], one["way"]): one["wall"] for one in section(records, "step")}


def standard_job(records: Sequence[Record]) -> dict[str, dict[str, PeerSpeed]]:
    """By model and peer: the speed, and the ratio to ours within each round."""
    return _contest(section(records, "standard_job"))


def minibatches(records: Sequence[Record]) -> dict[str, dict[str, PeerSpeed]]:
    """The same of the jobs in minibatches, by work and peer."""
    return _contest(section(records, "minibatches"))


def _contest(records: Sequence[Record]) -> dict[str, dict[str, PeerSpeed]]:
    speeds: dict[str, dict[str, dict[int, float]]] = {}
    first: dict[tuple[str, str], Record] = {}
    for one in records:
        of_model = speeds.setdefault(one["model"], {})
        of_model.setdefault(one["peer"], {})[one["round"]] = (
            one["seeds"] * one["epochs"] / one["wall"]
        )
        first.setdefault((one["model"], one["peer"]), one)
    summary: dict[str, dict[str, PeerSpeed]] = {}
    for model, peers in speeds.items():
        ours = peers.get(OURS.name, {})
        summary[model] = {}
        for peer, rounds in peers.items():
            summary[model][peer] = PeerSpeed(
                Spread.of(rounds.values()), _ratio(ours, rounds), first[model, peer], rounds
            )
    return summary


def _ratio(one: Mapping[int, float], other: Mapping[int, float]) -> Spread | None:
    """How many times as fast one is as the other, round by round."""
    ratios = [one[n] / speed for n, speed in other.items() if n in one]
    return Spread.of(ratios) if ratios else None


def times_as_fast(one: PeerSpeed | None, other: PeerSpeed | None) -> Spread | None:
    """How many times as fast one peer is as another, round by round, where both ran."""
    return _ratio(one.rounds, other.rounds) if one and other else None


def whole_job(one: PeerSpeed) -> Spread:
    """Seconds that a peer takes for all seeds and epochs of its job, from its speed on a round."""
    seed_epochs = one.record["job"]["seeds"] * one.record["job"]["epochs"]
    median, low, high = one.speed
    return Spread(seed_epochs / median, seed_epochs / high, seed_epochs / low)


def arithmetic(job: Mapping[str, Any]) -> float:
    """Floating-point operations of a job's products: forward, and backward twice as many.

    Of a layer 2 x fan_in x fan_out a sample, so 6 with both; the optimizer's are not counted.

    Example:
        >>> arithmetic({"layer_sizes": [2, 3], "samples": 10, "epochs": 4, "seeds": 5})
        7200.0
    """
    weights = sum(before * after for before, after in pairwise(job["layer_sizes"]))
    return 6.0 * weights * job["samples"] * job["epochs"] * job["seeds"]


def scaling(records: Sequence[Record]) -> dict[int, SeedPoint]:
    """By number of seeds: seconds a seed, and the process's peak memory in bytes."""
    points: dict[int, list[Record]] = {}
    for one in section(records, "scaling"):
        points.setdefault(one["seeds"], []).append(one)
    return {
        seeds: SeedPoint(
            Spread.of(one["seconds"] / seeds for one in rounds),
            Spread.of(one["peak_memory"] for one in rounds),
        )
        for seeds, rounds in sorted(points.items())
    }


def processes(records: Sequence[Record]) -> dict[tuple[str, str], Process]:
    """By ("cold", "warm" or "large") and engine: the wall time and its stages."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for one in section(records, "process"):
        groups.setdefault((one["state"], one["engine"]), []).append(one)
    found = {}
    for key, rounds in groups.items():
        names = dict.fromkeys(stage for one in rounds for stage in one["timings"])
        stages = {name: median(one["timings"].get(name, 0.0) for one in rounds) for name in names}
        stages["other"] = median(one["wall"] - sum(one["timings"].values()) for one in rounds)
        found[key] = Process(
            Spread.of(one["wall"] for one in rounds),
            stages,
            rounds[0]["seeds"],
            rounds[0]["ran"],
            rounds[0]["reason"],
        )
    return found


class Line(NamedTuple):
    """A process's wall time as `fixed + per_seed * seeds`."""

    fixed: float
    per_seed: float


def line(process: Process) -> Line | None:
    """The fixed part is everything but the "train" stage; None where that stage was not timed.

    Example:
        >>> line(Process(Spread(10, 9, 11), {"train": 8.0, "other": 2.0}, 4, "eager", ""))
        Line(fixed=2.0, per_seed=2.0)
    """
    if "train" not in process.stages:
        return None
    train = process.stages["train"]
    fixed = process.wall.median - train
    return Line(fixed, train / process.seeds)


def break_even(one: Line, other: Line) -> float | None:
    """The number of seeds from which `one` ends first: 0 where it always does, None where never.

    Example:
        >>> break_even(Line(fixed=10.0, per_seed=0.25), Line(fixed=4.0, per_seed=0.5))
        24.0
    """
    if one.per_seed >= other.per_seed:
        return 0.0 if one.fixed < other.fixed and one.per_seed == other.per_seed else None
    return max(0.0, (one.fixed - other.fixed) / (other.per_seed - one.per_seed))


def recording(records: Sequence[Record]) -> dict[str, Spread]:
    """By model: the cost of recording, as a share of the time without, round by round."""
    walls: dict[str, dict[int, dict[str, float]]] = {}
    for one in section(records, "recording"):
        of_round = walls.setdefault(one["model"], {}).setdefault(one["round"], {})
        of_round[one["what"]] = one["wall"]
    return {
        model: Spread.of(both["recorded"] / both["unrecorded"] - 1 for both in rounds.values())
        for model, rounds in walls.items()
    }


def overhead_share(process: Process) -> float | None:
    """Share of the wall time in `OVERHEAD_STAGES`; None where the run does not time them all."""
    if not all(stage in process.stages for stage in OVERHEAD_STAGES):
        return None
    return sum(process.stages[stage] for stage in OVERHEAD_STAGES) / process.wall.median


def targets(records: Sequence[Record]) -> list[Target]:
    """What the engine promises on a 2-core machine, each with the figure measured here."""
    job = standard_job(records).get("model_1", {})
    points, process, cost = scaling(records), processes(records), recording(records)
    large, in_batches = process.get(("large", "auto")), minibatches(records)

    def ratio_to(peer: str, peers: Mapping[str, PeerSpeed] = job) -> float | None:
        found = peers.get(peer)
        return found.ours_is.median if found and found.ours_is else None

    def at_seeds(value: Callable[[SeedPoint], float]) -> float | None:
        if 512 not in points or 4096 not in points:
            return None
        return value(points[4096]) / value(points[512])

    def walls(state: str, engine: str) -> float | None:
        found = process.get((state, engine))
        return found.wall.median if found else None

    warm_auto, cold_auto, eager = (
        walls("warm", "auto"),
        walls("cold", "auto"),
        walls("warm", "eager"),
    )
    return [
        _target("model_1: at least 1.8 times as fast as JAX's best variant",
                ratio_to(JAX.name), lambda x: x >= 1.8, "{:.2f} times"),
        _target("model_1: at least 15 times as fast as the classic loop at its best",
                ratio_to(CLASSIC.name), lambda x: x >= 15, "{:.1f} times"),
        _target("time per seed at 4096 seeds within 10 % of that at 512",
                at_seeds(lambda point: point.seconds_per_seed.median),
                lambda x: x <= 1.1, "{:.2f} of it"),
        _target("peak memory at 4096 seeds within 20 % of that at 512",
                at_seeds(lambda point: point.peak_memory.median),
                lambda x: x <= 1.2, "{:.2f} of it"),
        _target("warm main job, engine auto: at most 0.6 of the eager engine's time",
                warm_auto / eager if warm_auto and eager else None,
                lambda x: x <= 0.6, "{:.2f} of it"),
        _target(f"cold main job, engine auto: at most {A_FEW_SECONDS:g} s slower than eager",
                cold_auto - eager if cold_auto and eager else None,
                lambda x: x <= A_FEW_SECONDS, "{:+.1f} s"),
        _target("recording learning curves: at most 3 % of the training time",
                max(one.median for one in cost.values()) if cost else None,
                lambda x: x <= 0.03, "{:.1%}"),
        _target("data, statistics, plots and export: under 15 % of the process at 4096 seeds",
                overhead_share(large) if large and large.seeds == 4096 else None,
                lambda x: x < 0.15, "{:.1%}"),
        *(
            _at_least(work, whom, factor, in_batches.get(work, {}))
            for work, factors in IN_BATCHES.items()
            for whom, factor in factors.items()
        ),
    ]  # fmt: skip


def _at_least(work: str, whom: "Matched", factor: float, peers: Mapping[str, PeerSpeed]) -> Target:
    ratio = times_as_fast(peers.get(whom.ours), peers.get(whom.theirs))
    promise = f"minibatches, {work}: at least {factor:g} times as fast as {whom.words}"
    return _target(promise, ratio and ratio.median, lambda x: x >= factor, "{:.2f} times")


def _target(promise: str, value: float | None, keeps: Callable[[float], bool], form: str) -> Target:
    if value is None:
        return Target(promise, None, None)
    return Target(promise, form.format(value), keeps(value))
