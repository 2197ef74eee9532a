"""How often would a few lucky seeds have named the wrong model? Draws of few seeds from a study."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from functional_clf.stats import metrics, validation, wording
from functional_clf.stats.comparison import compare
from functional_clf.stats.design import Design, paired_design
from functional_clf.stats.drawn_studies import decided_on
from functional_clf.stats.metrics import Metric
from functional_clf.stats.pairs import Pairs, paired
from functional_clf.stats.rules import PairedSettings, Rules, chosen
from functional_clf.stats.scopes import Scope
from functional_clf.stats.score_limits import Estimates
from functional_clf.stats.summaries import plain
from functional_clf.stats.types import FloatArray, Interval, Verdict
from functional_clf.support.notebook import Table, panel

LARGEST_SIZE = 1000
"""Nobody calls so many seeds few, and drawing more from a huge study takes long."""

_SIZES, _SMALL = 60, 20
_CELLS = 2**14  # of a batch of draws: what a processor's cache holds
_TOLD = 1, 5, 20


@dataclasses.dataclass(frozen=True)
class LuckySeeds:
    """What n seeds out of this very study would have said, for each n from 1 on.

    All seeds of the study stand for the answer: a draw of n seeds is wrong where its mean
    difference points to one model and that of all seeds does not. So where the mean of all is
    exactly 0, every draw that points to a model is wrong. Where the interval of all seeds holds 0,
    the study itself does not know which model is better: a draw is then "wrong" in no other sense
    than that it disagrees with the study, and the conclusion says so.

    Attributes:
        names: model and baseline.
        n_pairs: seeds of the study.
        estimate: mean of score_model - score_baseline over all of them, in the metric's unit; of a
            metric that is better when lower, a negative one speaks for the model.
        verdict: of all seeds, on the model against the baseline.
        metric: what the scores are, a name in `METRICS`.
        margin: of the verdict, as in `Rules`.
        alpha: of all intervals, as in `Rules`.
        scope: of the study and of the draws.
        repetitions: draws of each size.
        sizes: seeds a draw, growing from 1 on to at most half of all; all columns below have one
            entry for each.
        wrong: share of the draws whose mean difference points to another model than that of all
            seeds; ties do not count.
        tied: share whose mean difference is exactly 0.
        width: median full width of the interval that `compare` would decide on, in the metric's
            unit; None where half of the draws or more allow none.
        undecided: share whose interval holds 0, or that allow none.
        misled: share whose interval leaves out 0 on a side where the mean of all seeds is not.
        interval: of the mean over all seeds; None where none can be given.
    """

    names: tuple[str, str]
    n_pairs: int
    estimate: float
    verdict: Verdict
    metric: str
    margin: float
    alpha: float
    scope: Scope
    repetitions: int
    sizes: tuple[int, ...]
    wrong: tuple[float, ...]
    tied: tuple[float, ...]
    width: tuple[float | None, ...]
    undecided: tuple[float, ...]
    misled: tuple[float, ...]
    interval: Interval | None = None

    @property
    def winner(self) -> str | None:
        """The model that the mean of all seeds points to; None where that is exactly 0."""
        if self.estimate == 0:
            return None
        ahead = (self.estimate > 0) == metrics.named(self.metric).higher_is_better
        return self.names[0] if ahead else self.names[1]

    @property
    def is_settled(self) -> bool:
        """Whether all seeds together tell which model is better: their interval leaves out 0."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high

    @property
    def conclusion(self) -> str:
        """Who is ahead, how often few seeds say otherwise, and how wide their interval is."""
        sentences = [self._shares_words(), self._interval_words()]
        if not self.is_settled:
            sentences.insert(
                1,
                f"All {self.n_pairs} seeds do not settle which of the two is better, so that a "
                "draw which disagrees with them may be right",
            )
        reach = f", {self.scope.counts_reach}" if self.scope.counts_reach else ""
        return " ".join(self.scope.sentence(text + reach) for text in sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return it all as plain data for JSON."""
        own = {"winner": self.winner, "is_settled": self.is_settled, "conclusion": self.conclusion}
        return plain(self) | {"scope": self.scope.name} | own

    def _repr_html_(self) -> str:
        """Return the conclusion and a table of some sizes, for a notebook."""
        largest = self.sizes[-1]
        rows = []
        for size in dict.fromkeys((1, 2, 5, 10, 20, 50, largest)):
            if size in self.sizes:
                k = self.sizes.index(size)
                shares = (self.wrong[k], self.tied[k], self.undecided[k], self.misled[k])
                wrong, tied, undecided, misled = map(wording.percent, shares)
                rows.append((str(size), wrong, tied, self._width_words(k), undecided, misled))
        level = wording.confidence(self.alpha)
        heads = (
            *("seeds a draw", "point to the other, %", "tie, %"),
            *(f"median width of the {level}", "it holds 0, %", "on the wrong side of 0, %"),
        )
        return panel(
            f"Lucky seeds: {self.names[0]} against {self.names[1]}",
            self.scope.sentence(f"All {self.n_pairs} seeds say: {self.verdict}"),
            [self.conclusion, Table(heads, rows)],
        )

    def _width_words(self, k: int) -> str:
        """How wide the intervals of the size at a place are."""
        width, metric = self.width[k], metrics.named(self.metric)
        if width is None:
            return "none"
        # As many decimals as tell it from 0.
        decimals = wording.decimals(Interval(0.0, width), self.margin, metric)
        return wording.amount(width, decimals, metric) + (" pp" if metric.is_share else "")

    def _shares_words(self) -> str:
        metric = metrics.named(self.metric)
        what = "" if metric == metrics.ACCURACY else f" in {metric.words}"
        told = [size for size in _TOLD if size in self.sizes]
        shares = []
        for size in told:
            k = self.sizes.index(size)
            tied = f" ({wording.percent(self.tied[k])} % tie)" if self.tied[k] else ""
            shares.append(f"{wording.percent(self.wrong[k])} % of draws of {size}{tied}")
        first, *rest = shares
        listed = " and ".join(filter(None, [", ".join([first, *rest[:-1]]), *rest[-1:]]))
        of_draws = listed.replace("draws of 1", "single seeds", 1)
        if self.winner is None:
            return (
                f"Over all {self.n_pairs} seeds {self.names[0]} and {self.names[1]} are equal"
                f"{what} on average; to one of them as the better point {of_draws}"
            )
        loser = next(name for name in self.names if name != self.winner)
        return (
            f"Over all {self.n_pairs} seeds {self.winner} is better{what} on average; to {loser} "
            f"point {of_draws}"
        )

    def _interval_words(self) -> str:
        level = wording.confidence(self.alpha)
        k = max(i for i, size in enumerate(self.sizes) if size <= _TOLD[1])
        size = wording.plural(self.sizes[k], "seed")
        if self.width[k] is None:
            return f"{size} give no {level} in half of the draws or more"
        return (
            f"The {level} of {size} is {self._width_words(k)} wide (median), holds 0 in "
            f"{wording.percent(self.undecided[k])} % of draws, and lies on the wrong side of it in "
            f"{wording.percent(self.misled[k])} %"
        )


def lucky_seeds(
    accuracies_a: ArrayLike,
    accuracies_b: ArrayLike,
    rules: Rules | None = None,
    *,
    total: ArrayLike | None = None,
    names: tuple[str, str] = ("model", "baseline"),
    repetitions: int = 2000,
    seed: int = 0,
    **settings: Unpack[PairedSettings],
) -> LuckySeeds:
    """Draw n seeds from a study, for each n from 1 on, and count how often they mislead.

    Each draw is n of the study's N pairs without replacement. The mean of all pairs stands for the
    answer, which is why a draw may hold at most half of them: larger ones would agree because they
    are the same seeds. The draws of different sizes are the beginnings of the same random orders,
    so that a curve over sizes is smooth; each share alone has the standard error
    sqrt(share (1 - share) / repetitions).

    Args:
        accuracies_a: (N,) accuracies of the model in [0, 1], or with `total` counts, or scores of
            `rules.metric`.
        accuracies_b: (N,) the same for the baseline, on the same seeds.
        rules: what draws and study are judged by: its `scope`, sizes, `margin`, `alpha`, `metric`
            and `step`.
        total: test samples a run, where the columns are counts.
        names: of model and baseline.
        repetitions: draws of each size.
        seed: of the draws.
        settings: in place of `rules`, those of its fields one by one.

    Returns:
        A `LuckySeeds` with an entry a size: all sizes up to 20, and about 60 in all up to the
        largest, which is N / 2, or 1000 if that is less.

    Raises:
        ValueError: for fewer than 2 seeds, sequential rules, or as `compare`.
        TypeError: for an argument of the wrong type.

    Source:
        Sampling without replacement from a finite population, as in Cochran (1977), Sampling
        Techniques, chapter 2: the mean of n has the variance (1 - n / N) s^2 / n.

    Example:
        >>> a, b = [0.9, 0.8, 0.9, 0.7] * 10, [0.8, 0.9, 0.7, 0.6] * 10
        >>> lucky = lucky_seeds(a, b, names=("deep", "flat"))
        >>> lucky.sizes[:3], lucky.winner, lucky.wrong[19] < lucky.wrong[0]
        ((1, 2, 3), 'deep', True)
        >>> print(lucky.conclusion.split(";")[0])
        Over all 40 seeds deep is better on average
    """
    repetitions = validation.integer("repetitions", repetitions, 1)
    rng = np.random.default_rng(validation.integer("seed", seed, 0))
    rules = chosen("lucky_seeds", rules, settings, PairedSettings.__optional_keys__)
    if rules.sequential:
        raise ValueError(
            "rules are sequential: draws of fixed sizes are judged; leave sequential out"
        )
    model, baseline = validation.model_names(names)
    whole = compare(accuracies_a, accuracies_b, rules, total=total, names=names)
    metric = metrics.named(rules.metric)
    pairs = paired("accuracies_a", accuracies_a, "accuracies_b", accuracies_b, total, metric=metric)
    n = pairs.differences.size
    if n < 2:
        raise ValueError(f"accuracies_a has {n} value: at least 2 are needed")
    design = paired_design(rules, total, pairs.a.shape)
    sizes = _sizes(n // 2)
    drawn = _drawn(pairs, sizes, repetitions, metric.upper, rng)
    columns = [
        _shares(drawn, k, int(size), whole.estimate, design, metric, rules.alpha)
        for k, size in enumerate(sizes)
    ]
    wrong, tied, width, undecided, misled = zip(*columns, strict=True)
    return LuckySeeds(
        names=(model, baseline),
        n_pairs=n,
        estimate=whole.estimate,
        verdict=whole.verdict,
        metric=metric.name,
        margin=rules.settled_margin,
        alpha=rules.alpha,
        scope=design.scope,
        repetitions=repetitions,
        sizes=tuple(sizes.tolist()),
        wrong=wrong,
        tied=tied,
        width=width,
        undecided=undecided,
        misled=misled,
        interval=whole.interval,
    )


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """What is known of each draw, `(size, draw)`: means and spreads of a, b and their difference.

    same: (draw,) how many of its first differences are equal.
    first: (draw,) its first difference.
    """

    difference: FloatArray
    means: tuple[FloatArray, FloatArray]
    spreads: tuple[FloatArray, FloatArray, FloatArray]
    same: NDArray[np.int64]
    first: FloatArray


def _sizes(half: int) -> NDArray[np.int64]:
    """Return all small sizes, and a growing way apart those up to the largest."""
    largest = min(half, LARGEST_SIZE)
    if largest <= _SIZES:
        return np.arange(1, largest + 1)
    apart = np.geomspace(_SMALL + 1, largest, _SIZES - _SMALL)
    return np.unique(np.concatenate([np.arange(1, _SMALL + 1), np.round(apart).astype(int)]))


def _orders(
    n: int, length: int, count: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield the beginnings of so many random orders of n seeds, in batches `(length, order)`."""
    in_full = n <= 2 * LARGEST_SIZE
    batch = max(1, _CELLS // (n if in_full else length))
    for begin in range(0, count, batch):
        rows = min(batch, count - begin)
        if in_full:
            orders = rng.permuted(np.tile(np.arange(n), (rows, 1)), axis=1)[:, :length]
        else:  # to put all of a huge study in order takes longer
            orders = np.stack([rng.choice(n, length, replace=False) for _ in range(rows)])
        yield np.ascontiguousarray(orders.T)  # sums along the first axis are the quick ones


def _drawn(
    pairs: Pairs,
    sizes: NDArray[np.int64],
    count: int,
    upper: float | None,
    rng: np.random.Generator,
) -> _Drawn:
    """Draw, and sum up to each size: no draw is looked at twice."""
    begins, per_size = np.concatenate([[0], sizes[:-1]]), sizes[:, None]

    def sums(values: FloatArray) -> FloatArray:
        return np.add.reduceat(values, begins, axis=0).cumsum(axis=0)

    def mean_and_spread(values: FloatArray, centre: float) -> tuple[FloatArray, FloatArray]:
        from_centre = values - centre
        total, squares = sums(from_centre), sums(from_centre**2)
        mean = total / per_size
        variance = (squares - total * mean) / np.maximum(per_size - 1, 1)
        return mean + centre, np.sqrt(np.maximum(variance, 0))

    # From its bound, sums of a score that never leaves it are exactly 0, and that has its own
    # limits. A difference's spread needs a centre in the middle, however far a few lie.
    bound, middle = upper or 0.0, float(np.median(pairs.differences))
    parts = []
    for order in _orders(pairs.a.size, int(sizes[-1]), count, rng):
        a, b, d = (column.take(order) for column in (pairs.a, pairs.b, pairs.differences))
        differs = d != d[0]
        same = np.where(differs.any(axis=0), differs.argmax(axis=0), len(d))
        mean = np.round(sums(d) / per_size, validation.DECIMALS)
        of_a, of_b = mean_and_spread(a, bound), mean_and_spread(b, bound)
        parts.append((mean, *of_a, *of_b, mean_and_spread(d, middle)[1], same, d[0]))
    joined = [np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)]
    mean, mean_a, spread_a, mean_b, spread_b, spread, same, first = joined
    return _Drawn(mean, (mean_a, mean_b), (spread_a, spread_b, spread), same, first)


def _shares(
    drawn: _Drawn,
    k: int,
    size: int,
    estimate: float,
    design: Design,
    metric: Metric,
    alpha: float,
) -> tuple[float, float, float | None, float, float]:
    """Return the entries of one size: wrong, tied, width, undecided, misled."""
    varies = drawn.same < size
    estimates = None
    if varies.any():
        factor = design.variance_factor(size)
        of = slice(None) if varies.all() else varies
        means = [mean[k][of] for mean in drawn.means]
        errors = [math.sqrt(factor) * spread[k][of] for spread in drawn.spreads]
        estimates = Estimates(
            *means, *errors, df=size - 1, skewness=factor * design.step, upper=metric.upper
        )
    low, high = decided_on(estimates, varies, drawn.first, size, design, metric, alpha)
    side = np.sign(drawn.difference[k])
    claimed = np.where(low > 0, 1, np.where(high < 0, -1, 0))  # NaN claims nothing
    seen = np.sign(estimate)
    width = float(np.median(np.where(np.isnan(low), np.inf, high - low)))
    return (
        float(np.mean((side != seen) & (side != 0))),
        float(np.mean(side == 0)),
        width if math.isfinite(width) else None,
        float(np.mean(claimed == 0)),
        float(np.mean((claimed != seen) & (claimed != 0))),
    )
