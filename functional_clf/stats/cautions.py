"""What a conclusion has to add: collapses nobody saw, approximations, and looks taken before."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from functional_clf.stats import wording
from functional_clf.stats.betting import bounds_tests
from functional_clf.stats.binomial import clopper_pearson
from functional_clf.stats.metrics import ACCURACY, Metric, named
from functional_clf.stats.more_splits import MOST_SPLITS, SplitSpread, splits_to_settle
from functional_clf.stats.searching import smallest_enough
from functional_clf.stats.types import FloatArray, Interval
from functional_clf.stats.verdicts import Claim, settled

_MOST_SEEDS = 100_000  # of more seeds the number is not worth the time to find it
_UNSEEN = "The interval does not allow for rare collapses that these seeds may have missed"
_PARTS: dict[Claim, str] = {
    "better": "the sign",
    "worse": "the sign",
    "beyond the margin": "the margin",
    "within the margin": "the margin",
}


def seeds_to_settle(
    differences: FloatArray,
    claims: frozenset[Claim],
    margin: float,
    alpha: float,
    upper: float = 1.0,
) -> int | None:
    """Return how many seeds like these the bounded interval needs to settle some claims.

    The differences, of scores in [0, `upper`], are repeated, in their order, until it does. None
    where 100 000 seeds (or twice those given, if more) are not enough.

    >>> seeds_to_settle(np.zeros(5), frozenset({"within the margin"}), margin=0.01, alpha=0.05)
    423
    """

    def enough(n: int) -> bool:
        is_above, is_below = bounds_tests(np.resize(differences, n), -upper, upper, alpha)
        truths: dict[Claim, Callable[[], bool]] = {
            "better": lambda: is_above(0),
            "worse": lambda: is_below(0),
            "beyond the margin": lambda: is_above(margin) or is_below(-margin),
            "within the margin": lambda: is_above(-margin) and is_below(margin),
        }
        return all(truths[claim]() for claim in claims)

    most = max(_MOST_SEEDS, 2 * differences.size)
    return smallest_enough(enough, above=0, first=differences.size, most=most)


def bounded_words(
    interval: Interval | None, bounded: Interval, margin: float, needed: int | None
) -> list[str]:
    """Return what the bounded interval does not settle of what is said, and the seeds it needs."""
    said, sure = settled(interval, margin), settled(bounded, margin)
    if said <= sure:
        return []
    seeds = f"more than {_MOST_SEEDS}" if needed is None else _about(needed)
    kept = [_PARTS[claim] for claim in said & sure]
    settles = f"settles only {kept[0]}: for the rest it" if kept else "does not settle this: it"
    return [
        "The bounded CI, which also allows for rare collapses that these seeds may have missed, "
        f"{settles} would need {seeds} seeds like these"
    ]


def more_seeds_words(needed: int | None) -> list[str]:
    """Return how many seeds settle the verdict where the bounded interval has to decide."""
    if needed is None:
        return []
    return [
        f"The bounded CI, which decides here, would need {_about(needed)} seeds like these to "
        "settle it"
    ]


def sequential_words(n_seeds: int, needed: int | None) -> list[str]:
    """Return why looking on the way does no harm, and how many seeds would settle the verdict.

    >>> sequential_words(40, 310)[1]
    'Seeds like these would settle it at about 310'
    """
    words = [
        "The time-uniform CI holds at every number of seeds at once, so it does no harm that they "
        "were looked at as they came"
    ]
    if needed is not None and needed > n_seeds:
        words.append(f"Seeds like these would settle it at {_about(needed)}")
    return words


def unbounded_words(
    interval: Interval | None, margin: float, n_seeds: int, alpha: float
) -> list[str]:
    """Return how rare a collapse may be and unseen, where a score has no bound.

    A collapse can then cost any amount, so it could overturn whatever is said.
    """
    if not settled(interval, margin):
        return []
    rate = wording.percent(clopper_pearson(0, n_seeds, alpha).high)
    return [f"{_UNSEEN}, in at most {rate} % of seeds ({n_seeds} seen)"]


def unseen_words(
    interval: Interval | None, margin: float, seen: Mapping[str, int], alpha: float
) -> list[str]:
    """Return how rare a collapse may be and unseen, where it could overturn what is said.

    For a crossed design, whose seeds are draws from what the claim reaches. Without a bounded
    interval nothing allows for such a collapse. It costs most where each collapse is a difference
    of 1 or -1; what stands even then needs no words.

    Args:
        interval: what the words are made of.
        margin: the smallest difference that matters.
        seen: how many independent draws there were of what may collapse.
        alpha: share of intervals that may miss.
    """
    rates = {what: clopper_pearson(0, n, alpha).high for what, n in seen.items()}
    rate = min(1.0, sum(rates.values()))
    if interval is None:
        return []
    worst = Interval((1 - rate) * interval.low - rate, (1 - rate) * interval.high + rate)
    if settled(interval, margin) <= settled(worst, margin):
        return []
    limits = [f"{wording.percent(r)} % of {what} ({seen[what]} seen)" for what, r in rates.items()]
    return [f"{_UNSEEN}, in at most {' or '.join(limits)}"]


def one_data_set_words(
    interval: Interval | None, margin: float, n_splits: int, alpha: float
) -> list[str]:
    """Return that one data set was seen, wherever its splits are taken to settle anything.

    However many the splits, whether models collapse on other data sets they cannot tell: the limit
    they give is one for splits of this data set only.
    """
    if not settled(interval, margin):
        return []
    rate = wording.percent(clopper_pearson(0, n_splits, alpha).high)
    return [
        f"{_UNSEEN}: in at most {rate} % of the splits of this data set ({n_splits} seen), and in "
        "an unknown share of other data sets, as only this one was seen"
    ]


def more_splits_words(
    seen: SplitSpread, margin: float, alpha: float, n_splits: int, metric: Metric = ACCURACY
) -> list[str]:
    """Return whether more splits like these could settle a verdict that is still open.

    The Nadeau-Bengio standard error has a floor. A larger test share would not lower it: where the
    variance of a test score goes as 1 / n_test, as it does of correct predictions, the floor goes
    as 1 / n_train; what training adds to the variance raises it further.
    """
    needed = splits_to_settle(seen, margin, alpha, n_splits)
    if needed is None:
        size = f"{100 * seen.least_error:.2g} pp" if metric.is_share else f"{seen.least_error:.2g}"
        return [
            f"More splits cannot decide this: with {seen.n_train} samples for training and "
            f"{seen.n_test} for testing, and a spread as seen here, the standard error does not "
            f"fall below {size}, however many splits there are; only more data would help"
        ]
    splits = f"more than {MOST_SPLITS}" if math.isinf(needed) else _about(int(needed))
    return [f"More splits could decide this: if they show the same mean and spread, {splits} would"]


def test_share_words(n_train: int, n_test: int) -> list[str]:
    """Return that the Nadeau-Bengio approximation fails where the test share is small.

    On moons(100, noise .3), tree against stump, its 95 % intervals missed at test shares of .2,
    .1 and .05 in 5.0, 6.4 and 8.5 % of 1500 data sets with 15 splits, and in 6.4, 8.9 and 12.3 %
    of 800 with 64. A share of .1 counts as such also where the test part was rounded up to whole
    samples, as 57 of 569.
    """
    if 10 * (n_test - 1) >= n_train + n_test:
        return []
    return [
        f"With as small a test share as {100 * n_test / (n_train + n_test):.2g} % the "
        "Nadeau-Bengio interval can miss twice as often as it says, or more"
    ]


def look_words(
    rules: tuple[float, float],
    first_rules: tuple[float | None, float | None],
    earlier_looks: int,
    metric: Metric = ACCURACY,
    first_metric: str | None = None,
) -> list[str]:
    """Return what was looked at before this conclusion was drawn.

    Margins of two metrics are in two units, so nothing is said of those.

    Args:
        rules: margin and alpha, as the user set them.
        first_rules: those of the first look; None where not known.
        earlier_looks: how often results were looked at before.
        metric: of these results.
        first_metric: name of that of the first look; None where not known.
    """
    (margin, alpha), (first_margin, first_alpha) = rules, first_rules
    sentences = []
    if first_metric is not None and first_metric != metric.name:
        sentences.append(
            f"The metric was changed after looking: it was {named(first_metric).words} at first"
        )
    elif first_margin is not None and first_margin != margin:
        first = wording.margin_size(first_margin, metric)
        sentences.append(f"The margin was changed after looking: it was {first} at first")
    if first_alpha is not None and not math.isclose(first_alpha, alpha):  # divided and multiplied
        level = wording.confidence(first_alpha).removesuffix(" CI")
        sentences.append(f"The confidence was changed after looking: it was {level} at first")
    if earlier_looks:
        times = "once" if earlier_looks == 1 else f"{earlier_looks} times"
        sentences.append(
            f"Results of this study were looked at {times} before, with fewer or other seeds: "
            "looking until something shows raises false alarms"
        )
    return sentences


def _about(n: int) -> str:
    """Two digits, rounded up."""
    unit = 10 ** max(0, math.floor(math.log10(n)) - 1)
    return f"about {math.ceil(n / unit) * unit}"
