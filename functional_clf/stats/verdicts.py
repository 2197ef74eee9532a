"""What an interval settles against a margin set beforehand: claims, the verdict, and its words."""

from typing import Literal

from functional_clf.stats import wording
from functional_clf.stats.metrics import ACCURACY, Metric
from functional_clf.stats.types import Interval, Verdict

Claim = Literal["better", "worse", "beyond the margin", "within the margin"]


def settled(interval: Interval | None, margin: float) -> frozenset[Claim]:
    """Return the claims about a mean difference that are true all over its interval.

    Verdict and words are made of these alone, so whatever is said can be checked claim by claim.

    >>> sorted(settled(Interval(0.002, 0.008), margin=0.01))
    ['better', 'within the margin']
    """
    if interval is None:
        return frozenset()
    low, high = interval
    truths: dict[Claim, bool] = {
        "better": low > 0,
        "worse": high < 0,
        "beyond the margin": low > margin or high < -margin,
        "within the margin": -margin < low and high < margin,
    }
    return frozenset(claim for claim, true in truths.items() if true)


def decide(interval: Interval | None, margin: float) -> Verdict:
    """Return the verdict on a mean difference.

    | the interval | verdict |
    |---|---|
    | lies above +margin | better |
    | lies below -margin | worse |
    | lies between 0 and +margin, neither included | better but negligible |
    | lies between -margin and 0, neither included | worse but negligible |
    | lies between -margin and +margin otherwise | equivalent |
    | is none of these, or there is none | inconclusive |

    "Better" claims more than the margin; an interval above 0 that straddles the margin is
    inconclusive against it, and the words say which sign is settled. A 95 % interval within the
    margin is a test of equivalence at 2.5 % a side (two one-sided tests), stricter than usual.
    Swapping the models swaps better and worse, and nothing else.

    Args:
        interval: for the mean difference, with the sign that says "better" where it is plus; None
            where none can be given.
        margin: the smallest difference that matters, in the metric's unit.

    Returns:
        The verdict.

    Source:
        Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680, for
        equivalence; Walker and Nowacki (2011), Journal of General Internal Medicine 26, 192-196.

    Example:
        >>> decide(Interval(0.002, 0.008), margin=0.01)
        'better but negligible'
    """
    claims = settled(interval, margin)
    if "within the margin" in claims:
        if "better" in claims:
            return "better but negligible"
        return "worse but negligible" if "worse" in claims else "equivalent"
    if "beyond the margin" in claims:
        return "better" if "better" in claims else "worse"
    return "inconclusive"


def verdict_words(
    interval: Interval | None, margin: float, name_a: str, name_b: str, metric: Metric = ACCURACY
) -> str:
    """Return the verdict as a clause about `name_a` against `name_b`, as `decide` gives it."""
    points = f"{wording.margin_size(margin, metric)} margin"
    verdict = decide(interval, margin)
    if verdict in ("better", "worse"):
        return f"{verdict}, by more than the {points}"
    if verdict in ("better but negligible", "worse but negligible"):
        return f"{verdict}, by less than the {points}"
    if verdict == "equivalent":
        return f"equivalent within the {points}"
    if interval is None:
        return "inconclusive, as no interval can be given"
    claims = settled(interval, margin)
    if claims:
        side = "better" if "better" in claims else "worse"
        return (
            f"inconclusive against the {points}, {name_a} being {side} than {name_b} but not "
            "surely by as much as the margin"
        )
    return (
        f"inconclusive, as both no difference and one as large as the {points} are within the "
        "interval"
    )
