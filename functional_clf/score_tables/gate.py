"""A gate for pipelines: is a run not worse than a baseline, by the margin that matters?"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from functional_clf.record.rows import differences
from functional_clf.score_tables.comparing import rules_of
from functional_clf.score_tables.doubts import doubts_of
from functional_clf.score_tables.table import ScoreTable
from functional_clf.stats import Comparison, Interval, Rules, clauses, compare, scopes, wording
from functional_clf.stats.betting import bounds_tests
from functional_clf.stats.metrics import SCORE, Metric, named
from functional_clf.stats.quantiles import t_isf
from functional_clf.stats.searching import smallest_enough
from functional_clf.stats.summaries import plain
from functional_clf.stats.time_uniform import time_uniform_interval
from functional_clf.stats.types import FloatArray
from functional_clf.stats.unpaired import unpaired_interval

Outcome = Literal["not worse", "worse", "undecided"]

CODES: dict[Outcome, int] = {"not worse": 0, "worse": 1, "undecided": 3}
"""Exit codes; 2 is for what was asked wrongly."""

MOST_SEEDS = 1_000_000
"""Of more the number is not worth telling."""

_SAME_DATA = ("design", "dataset", "vary", "test_size")


class Side(NamedTuple):
    """What is held against what: a table, and one of its models."""

    table: ScoreTable
    model: str

    @property
    def label(self) -> str:
        """The model and where its scores come from."""
        return f"{self.model} of {self.table.source}"


@dataclass(frozen=True)
class GateResult:
    """Whether a run passes.

    Attributes:
        outcome: "not worse" where all of the interval is above minus the margin, "worse" where all
            of it is below, else "undecided".
        run: what is looked at, a model and its source.
        baseline: what it is held against.
        estimate: mean score of the run minus that of the baseline, in the metric's unit.
        interval: for it; None where none can be given.
        margin: the smallest difference that matters.
        alpha: share of intervals that may miss.
        metric: what the scores are.
        is_paired: whether it is seed by seed.
        how: in words, what was held against what.
        n_run: seeds of the run that were looked at.
        n_baseline: of the baseline.
        more_seeds: about how many more of these would decide; None where it is decided, and where
            none would, or more than a million.
        advice: what would decide, where it is not decided; else empty.
        scope: what the claim reaches.
        doubts: what a reader must know of the scores, a line each.
        comparison: the whole comparison, where it is paired.
    """

    outcome: Outcome
    run: str
    baseline: str
    estimate: float
    interval: Interval | None
    margin: float
    alpha: float
    metric: str
    is_paired: bool
    how: str
    n_run: int
    n_baseline: int
    more_seeds: int | None
    advice: str
    scope: str
    doubts: tuple[str, ...] = ()
    comparison: Comparison | None = None

    @property
    def code(self) -> int:
        """The exit code."""
        return CODES[self.outcome]

    @property
    def line(self) -> str:
        """All of it in a line."""
        metric = named(self.metric)
        ahead = clauses.difference(
            self.run, self.baseline, self.estimate, self.interval, self.margin, metric
        )
        ends = "no interval"
        if self.interval is not None:
            level = wording.confidence(self.alpha)
            ends = f"{level} {clauses.ends(self.interval, self.estimate, self.margin, metric)}"
        margin = wording.margin_size(self.margin, metric)
        verdict = {
            "not worse": f"not worse by the {margin} margin",
            "worse": f"worse, by more than the {margin} margin",
            "undecided": f"undecided against the {margin} margin",
        }[self.outcome]
        advice = f"; {self.advice}" if self.advice else ""
        return f"{verdict}: {ahead} ({ends}), {self.how}{advice}. Scope: {self.scope}"

    def to_dict(self) -> dict[str, Any]:
        """Return it all as plain data for JSON: no NaN, no infinity."""
        fields = plain(replace(self, comparison=None))
        whole = None if self.comparison is None else self.comparison.to_dict()
        return {"format": 1, **fields, "code": self.code, "line": self.line, "comparison": whole}


def side_of(table: ScoreTable, model: str | None, option: str) -> Side:
    """The model of a table that is asked for, or its only one.

    Args:
        table: of scores.
        model: which; None where there is one.
        option: that names it, for messages.

    Raises:
        ValueError: when there is no such model, or several to choose from.

    Example:
        >>> side_of(ScoreTable({"a": np.zeros(2)}, np.arange(2)), None, "--model").model
        'a'
    """
    names = ", ".join(table.models)
    if model is None and len(table.models) > 1:
        raise ValueError(f"{table.source} has the models {names}; say by {option} which one")
    if model is not None and model not in table.models:
        raise ValueError(
            f"{option} is {model!r}; it must be one of {names}, the models of {table.source}"
        )
    return Side(table, model or next(iter(table.scores)))


def gate(run: Side, baseline: Side, **settings: Any) -> GateResult:
    """Hold one model's scores against another's, paired where they belong together.

    They are paired where the seeds are the same, and of two run folders also the data, `vary` and
    the test size. Else they are two independent groups (see `unpaired_interval`), and the result
    says so.

    Args:
        run: what is looked at.
        baseline: what it is held against.
        settings: margin, alpha, scope, n_train, n_test, failure_below, as of `compare_table`.

    Returns:
        The result.

    Raises:
        ValueError: when these are scores of two metrics or two scopes, or splits of one data set
            that do not belong together.

    Example:
        >>> table = ScoreTable({"old": 0.5 + np.arange(9) / 50, "new": 0.7 + np.arange(9) / 60},
        ...     np.arange(9), scope="data")
        >>> gate(Side(table, "new"), Side(table, "old")).outcome
        'not worse'
    """
    if run.table.metric != baseline.table.metric:
        metrics = [side.table.metric for side in (run, baseline)]
        told = " and ".join("not known" if one == SCORE.name else one for one in metrics)
        raise ValueError(f"the metrics of the two sides are {told}; say by --metric which one")
    scopes = [side.table.scope for side in (run, baseline)]
    if settings.get("scope") is None and len(set(scopes)) > 1:
        known = " and ".join(str(scope or "not known") for scope in scopes)
        raise ValueError(f"the scopes of the two sides are {known}; a gate needs one of both")
    if run.label == baseline.label:
        raise ValueError(f"both sides are {run.label}; hold it against another")
    places, why = _pairing(run.table, baseline.table)
    table = _joined(run, baseline, places)
    rules, more = rules_of(table, **settings)
    doubts = (*_doubts(run, baseline, table if places else None), *more)
    if places is None:
        return _unpaired(run, baseline, rules, settings, doubts, why)
    return _paired(run, baseline, table, rules, doubts, why)


def _pairing(
    run: ScoreTable, baseline: ScoreTable
) -> tuple[tuple[np.ndarray, np.ndarray] | None, str]:
    """The places of both tables that belong together, or None; and in words, how or why not."""
    every = np.arange(len(run))
    if run.source == baseline.source and np.array_equal(run.keys, baseline.keys):
        return (every, every), f"over {wording.plural(len(run), 'pair')}"
    if not (run.has_seeds and baseline.has_seeds):
        return None, "as no column of seeds tells which of their rows belong together"
    if run.identity is not None and baseline.identity is not None:
        both = baseline.identity, run.identity
        parts = [{key: one.get(key) for key in _SAME_DATA} for one in both]
        if told := differences(*parts):
            return None, f"as their data differ ({told.replace(' asked', ' here')})"
    if np.array_equal(run.keys, baseline.keys):
        return (every, every), f"over {wording.plural(len(run), 'paired seed')}"
    common = np.intersect1d(run.keys, baseline.keys)
    # A record holds every seed that ran. Of a file, those that failed may be missing.
    is_record = run.identity is not None and baseline.identity is not None
    if is_record and len(common) == min(len(run), len(baseline)):
        places = tuple(np.flatnonzero(np.isin(one.keys, common)) for one in (run, baseline))
        return (places[0], places[1]), f"over the {len(common)} seeds that both have, paired"
    return None, "as their seeds are not the same"


def _joined(run: Side, baseline: Side, places: tuple[np.ndarray, np.ndarray] | None) -> ScoreTable:
    """One table of the two models, as far as both say the same; of the run's own where unpaired."""
    sides = (run, baseline)
    own = places or (np.arange(len(run.table)),)
    labels = _labels(run, baseline)
    totals = [
        None if side.table.total is None else np.broadcast_to(side.table.total, len(side.table))[at]
        for side, at in zip(sides, own, strict=False)
    ]
    is_counted = (
        len(totals) == 2
        and totals[0] is not None
        and totals[1] is not None
        and np.array_equal(totals[0], totals[1])
    )
    scores, diverged = {}, {}
    for label, side, at in zip(labels, sides, own, strict=False):
        column = side.table.scores[side.model] if is_counted else side.table.shares(side.model)
        scores[label] = column[at]
        if side.model in side.table.diverged:
            diverged[label] = side.table.diverged[side.model][at]
    total: int | np.ndarray | None = None
    if is_counted and totals[0] is not None:
        total = int(totals[0][0]) if np.ptp(totals[0]) == 0 else totals[0]
    steps = [side.table.step for side in sides if side.table.step is not None]
    sizes = {
        name: _same([_size(side.table, name) for side in sides]) for name in ("n_train", "n_test")
    }
    return replace(
        run.table,
        scores=scores,
        keys=run.table.keys[own[0]],
        total=total,
        diverged=diverged,
        majority=None,
        step=max(steps, default=None),
        margin=None,
        alpha=None,
        looks=None,
        failure_below=run.table.failure_below,
        sequential=any(side.table.sequential for side in sides),
        setting=" and ".join(dict.fromkeys(filter(None, (one.table.setting for one in sides)))),
        doubts=(),
        **sizes,
    )


def _size(table: ScoreTable, name: str) -> int | None:
    if name == "n_test" and table.total is not None and np.ndim(table.total) == 0:
        return int(table.total)
    return getattr(table, name)


def _same(sizes: list[int | None]) -> int | None:
    return sizes[0] if sizes[0] == sizes[1] else None


def _labels(run: Side, baseline: Side) -> tuple[str, str]:
    if run.model != baseline.model:
        return run.model, baseline.model
    return run.label, baseline.label


def _doubts(run: Side, baseline: Side, pair: ScoreTable | None) -> list[str]:
    told = [one for side in (run, baseline) for one in side.table.doubts]
    tables = [pair] if pair is not None else []
    if pair is None:
        for side in (run, baseline):
            own = {side.label: side.table.scores[side.model]}
            tables.append(replace(side.table, scores=own, diverged={}, doubts=()))
    elif run.table.source != baseline.table.source and not _are_records(run, baseline):
        told.append(
            "pairs are made by seed, but nobody said that both sides met the same data with it"
        )
    return list(dict.fromkeys([*told, *(one for table in tables for one in doubts_of(table))]))


def _paired(
    run: Side, baseline: Side, table: ScoreTable, rules: Rules, doubts: tuple[str, ...], how: str
) -> GateResult:
    names = _labels(run, baseline)
    found = compare(
        table.scores[names[0]],
        table.scores[names[1]],
        rules,
        total=table.total,
        names=names,
        diverged_a=table.diverged.get(names[0]),
        diverged_b=table.diverged.get(names[1]),
    )
    metric = named(rules.metric)
    gain = metric.gain_interval(found.interval)
    gains = metric.gains(table.shares(names[0]) - table.shares(names[1]))
    outcome = _outcome(gain, found.margin)
    more, advice = None, ""
    if outcome == "undecided":
        floor = 0.0
        if not found.scope.independent:
            floor = (found.n_test or 0) / (found.n_train or 1)
        is_bounded = found.method == "bounded"
        more, advice = _what_would_decide(gains, gain, found, metric, floor, is_bounded)
    return GateResult(
        outcome,
        *names,
        estimate=found.estimate,
        interval=found.interval,
        margin=found.margin,
        alpha=found.alpha,
        metric=found.metric,
        is_paired=True,
        how=how,
        n_run=found.n_pairs,
        n_baseline=found.n_pairs,
        more_seeds=more,
        advice=advice,
        scope=found.scope.sentence(found.scope.claim(found.setting)),
        doubts=doubts,
        comparison=found,
    )


def _unpaired(
    run: Side,
    baseline: Side,
    rules: Rules,
    settings: dict[str, Any],
    doubts: tuple[str, ...],
    why: str,
) -> GateResult:
    if rules.scope == "split":
        raise ValueError(
            f"{run.table.source} and {baseline.table.source} redraw splits of one data set and "
            f"cannot be paired, {why}: how far their means move together nothing tells; run both "
            "with the same seeds, data and test size"
        )
    metric, margin = named(rules.metric), rules.settled_margin
    sides = (run, baseline)
    a, b = (side.table.shares(side.model) for side in sides)
    steps = [_step(side.table, metric, settings.get("n_test")) for side in sides]
    if rules.sequential and metric.upper is not None:  # two that hold at every number of seeds
        of_a, of_b = (
            time_uniform_interval(one, 0, metric.upper, rules.alpha / 2) for one in (a, b)
        )
        interval = Interval(of_a.low - of_b.high, of_a.high - of_b.low)
    else:
        interval = unpaired_interval(a, b, rules.alpha, *steps, upper=metric.upper)
    estimate = float(np.round(a.mean() - b.mean(), 12)) + 0.0
    gain = metric.gain_interval(interval)
    outcome = _outcome(gain, margin)
    more, advice = None, ""
    if outcome == "undecided":
        mean_gain = float(metric.gains(np.array(estimate)))
        n_least = min(len(a), len(b))
        more, advice = _by_width(mean_gain, gain, margin, n_least, rules.alpha, 0.0, " of each")
    scope = scopes.named(rules.scope)
    return GateResult(
        outcome,
        *_labels(run, baseline),
        estimate=estimate,
        interval=interval,
        margin=margin,
        alpha=rules.alpha,
        metric=metric.name,
        is_paired=False,
        how=f"of {len(a)} and {len(b)} seeds as two independent groups, not paired, {why}",
        n_run=len(a),
        n_baseline=len(b),
        more_seeds=more,
        advice=advice,
        scope=scope.sentence(scope.claim(rules.setting)),
        doubts=doubts,
    )


def _are_records(run: Side, baseline: Side) -> bool:
    return run.table.identity is not None and baseline.table.identity is not None


def _step(table: ScoreTable, metric: Metric, n_test: int | None) -> float:
    if table.step is not None:
        return table.step
    n_test = n_test or _size(table, "n_test")
    return 0.0 if n_test is None or metric.upper is None else metric.upper / n_test


def _outcome(gain: Interval | None, margin: float) -> Outcome:
    if gain is None:
        return "undecided"
    return "not worse" if gain.low > -margin else "worse" if gain.high < -margin else "undecided"


def _what_would_decide(
    gains: FloatArray,
    gain: Interval | None,
    found: Comparison,
    metric: Metric,
    floor: float,
    is_bounded: bool,
) -> tuple[int | None, str]:
    mean = float(metric.gains(np.array(found.estimate)))
    if not is_bounded:
        return _by_width(mean, gain, found.margin, found.n_pairs, found.alpha, floor, "")
    if mean == -found.margin:
        return None, "no number of seeds would, if the mean is what is seen: the margin itself"
    upper = metric.upper or 1.0

    def is_enough(n: int) -> bool:
        is_above, is_below = bounds_tests(np.resize(gains, n), -upper, upper, found.alpha)
        return is_above(-found.margin) if mean > -found.margin else is_below(-found.margin)

    needed = _smallest(is_enough, len(gains), 100_000)
    return _told(None if needed is None else needed - len(gains), "")


def _by_width(
    mean: float,
    gain: Interval | None,
    margin: float,
    n: int,
    alpha: float,
    floor: float,
    of: str,
) -> tuple[int | None, str]:
    """How many more seeds make the interval short enough, if mean and spread stay as they are."""
    if gain is None:
        return None, "there is no interval, as the differences show no spread"
    distance = abs(mean + margin)
    if distance <= 1e-12:
        return None, "no number of seeds would, if the mean is what is seen: the margin itself"
    arm = mean - gain.low if mean > -margin else gain.high - mean

    def width(seeds: int) -> float:
        return t_isf(alpha / 2, max(seeds, 2) - 1) * math.sqrt(1 / seeds + floor)

    now = width(max(n, 2))
    if floor and arm * t_isf(alpha / 2, 1e9) * math.sqrt(floor) / now >= distance:
        return None, (
            "no number of splits of this data set would: more data would, or a larger share of it "
            "for testing"
        )
    needed = _smallest(lambda seeds: arm * width(seeds) / now < distance, n, MOST_SEEDS)
    return _told(None if needed is None else needed - n, of)


def _smallest(is_enough: Callable[[int], bool], n: int, most: int) -> int | None:
    """The smallest number above n that is enough, where all above it are; None above the most."""
    return smallest_enough(is_enough, above=n, first=max(2 * n, 2), most=most)


def _told(more: int | None, of: str) -> tuple[int | None, str]:
    if more is None:
        return None, f"more seeds{of} than anybody trains would be needed to decide"
    unit = 10 ** max(0, math.floor(math.log10(max(more, 1))) - 1)
    about = math.ceil(more / unit) * unit
    return about, f"about {about} more seeds{of} like these would decide"
