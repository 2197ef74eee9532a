"""Would fewer seeds have said the same? Small studies drawn from one large run."""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import metrics, validation, wording
from functional_clf.stats.comparison import compare
from functional_clf.stats.design import paired_design
from functional_clf.stats.drawn_studies import drawn_intervals
from functional_clf.stats.metrics import ACCURACY
from functional_clf.stats.pairs import paired
from functional_clf.stats.rules import PairedSettings, Rules, chosen
from functional_clf.stats.scopes import Scope
from functional_clf.stats.summaries import plain
from functional_clf.stats.types import Verdict
from functional_clf.stats.verdicts import decide

_DEFAULT_SIZES = (5, 10, 20, 50, 100, 200, 500)


@dataclasses.dataclass(frozen=True)
class SmallStudies:
    """What studies of one size would have concluded.

    Attributes:
        size: seeds a study.
        verdicts: share of the studies with each verdict.
        another: share with another verdict than the large run's.
        contradicting: share that was conclusive, and not with the large run's verdict.
        standard_error: largest of these shares' standard errors.
    """

    size: int
    verdicts: dict[str, float]
    another: float
    contradicting: float
    standard_error: float


@dataclasses.dataclass(frozen=True)
class SelfCalibration:
    """How often small studies of one's own pipeline mislead.

    Attributes:
        n_pairs: seeds of the large run.
        verdict: the large run's, taken as the answer.
        scope: of the studies and of the large run.
        margin: of all verdicts, as in `Rules`.
        alpha: of all intervals, as in `Rules`.
        repetitions: studies drawn for each size.
        studies: one entry a size.
        metric: what the scores are.
    """

    n_pairs: int
    verdict: Verdict
    scope: Scope
    margin: float
    alpha: float
    repetitions: int
    studies: tuple[SmallStudies, ...]
    metric: str = ACCURACY.name

    @property
    def conclusion(self) -> str:
        """One sentence a size, each held to the scope."""
        words = metrics.named(self.metric).words
        what = "" if self.metric == ACCURACY.name else f" in {words}"
        sentences = [f"All {self.n_pairs} seeds say: {self.verdict}{what}"]
        sentences += [
            f"Of studies of {s.size} seeds, {wording.percent(s.another)} % end with another "
            f"verdict, {wording.percent(s.contradicting)} % with a conclusive one"
            for s in self.studies
        ]
        return " ".join(self.scope.sentence(text) for text in sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return it all as plain data for JSON."""
        fields = plain(self)
        added = {"metric": fields.pop("metric")}  # last in JSON, as it came last
        return fields | {"scope": self.scope.name, "conclusion": self.conclusion} | added


def self_calibration(
    accuracies_a: ArrayLike,
    accuracies_b: ArrayLike,
    rules: Rules | None = None,
    *,
    sizes: ArrayLike | None = None,
    repetitions: int = 2000,
    total: ArrayLike | None = None,
    seed: int = 0,
    **settings: Unpack[PairedSettings],
) -> SelfCalibration:
    """Draw many small studies from one large run and count what they would have concluded.

    Each study is J of the large run's seeds without replacement, judged as `compare` would. The
    large run's own verdict stands for the truth, which is why a study may hold at most half of it:
    larger ones would agree because they are the same seeds.

    Args:
        accuracies_a: (N,) accuracies of the first model in [0, 1], or with `total` counts, or
            scores of `rules.metric`.
        accuracies_b: (N,) the same for the second model, on the same seeds.
        rules: what studies and large run are judged by: its `scope`, sizes, `margin`, `alpha`,
            `metric` and `step`.
        sizes: seeds a study, each between 1 and N / 2; those of 5, 10, 20, 50, ... 500 that fit,
            where not given.
        repetitions: studies a size.
        total: test samples a run, where the columns are counts.
        seed: of the draws.
        settings: in place of `rules`, those of its fields one by one.

    Returns:
        A `SelfCalibration` with one entry a size.

    Raises:
        ValueError: for a size above N / 2, fewer than 2 seeds, or as `compare`.

    Example:
        >>> a, b = [0.99, 1.0, 0.98, 0.97] * 10, [0.51, 0.49, 0.55, 0.5] * 10
        >>> result = self_calibration(a, b, sizes=[5, 20], repetitions=200)
        >>> result.verdict, [s.another for s in result.studies]
        ('better', [0.0, 0.0])
    """
    repetitions = validation.integer("repetitions", repetitions, 1)
    rng = np.random.default_rng(validation.integer("seed", seed, 0))
    rules = chosen("self_calibration", rules, settings, PairedSettings.__optional_keys__)
    if rules.sequential:
        raise ValueError(
            "rules are sequential: studies of fixed sizes are drawn; leave sequential out"
        )
    large = compare(accuracies_a, accuracies_b, rules, total=total)
    metric = metrics.named(rules.metric)
    pairs = paired("accuracies_a", accuracies_a, "accuracies_b", accuracies_b, total, metric=metric)
    n = pairs.differences.size
    design = paired_design(rules, total, pairs.a.shape)
    studies = []
    for size in _checked_sizes(sizes, n):
        drawn = np.stack([rng.choice(n, size, replace=False) for _ in range(repetitions)])
        intervals = drawn_intervals(pairs, drawn, design, metric, rules.alpha)
        gains = map(metric.gain_interval, intervals)
        verdicts: list[Verdict] = [decide(gain, rules.settled_margin) for gain in gains]
        studies.append(_count(size, verdicts, large.verdict))
    return SelfCalibration(
        n_pairs=n,
        verdict=large.verdict,
        scope=design.scope,
        margin=rules.settled_margin,
        alpha=rules.alpha,
        repetitions=repetitions,
        studies=tuple(studies),
        metric=metric.name,
    )


def _checked_sizes(sizes: ArrayLike | None, n_pairs: int) -> list[int]:
    largest = n_pairs // 2
    if sizes is None:
        fitting = [size for size in _DEFAULT_SIZES if size <= largest]
        if not fitting:
            needed = 2 * _DEFAULT_SIZES[0]
            raise ValueError(f"accuracies_a has {n_pairs} values: at least {needed} are needed")
        return fitting
    wanted = [
        validation.integer("sizes", size, 1)
        for size in np.atleast_1d(validation.array("sizes", sizes))
    ]
    for size in wanted:
        if size > largest:
            raise ValueError(f"sizes hold {size}: at most half of {n_pairs} seeds, {largest}, fits")
    return wanted


def _count(size: int, verdicts: Sequence[Verdict], answer: Verdict) -> SmallStudies:
    counts = Counter(verdicts)
    n = len(verdicts)
    shares: dict[str, float] = {verdict: counts[verdict] / n for verdict in get_args(Verdict)}
    another = n - counts[answer]
    undecided = 0 if answer == "inconclusive" else counts["inconclusive"]
    error = max(math.sqrt(share * (1 - share) / n) for share in [another / n, *shares.values()])
    return SmallStudies(size, shares, another / n, (another - undecided) / n, error)
