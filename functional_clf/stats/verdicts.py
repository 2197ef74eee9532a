"""One of five verdicts from an interval and a margin set beforehand, and its words."""

from functional_clf.stats.types import Interval, Verdict


def decide(interval: Interval | None, margin: float) -> Verdict:
    """Return the verdict on a mean difference.

    | the interval | verdict |
    |---|---|
    | lies above +margin | better |
    | lies below -margin | worse |
    | lies between 0 and +margin, neither included | better but negligible |
    | lies between -margin and +margin otherwise | equivalent |
    | is none of these, or there is none | inconclusive |

    "Better" claims more than the margin; an interval above 0 that straddles the margin is
    inconclusive against it, and the words say which sign is settled. A 95 % interval within the
    margin is a test of equivalence at 2.5 % a side (two one-sided tests), stricter than usual.

    Args:
        interval: for the mean difference; None where none can be given.
        margin: the smallest difference that matters, in accuracy units.

    Returns:
        The verdict.

    Source:
        Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680, for
        equivalence; Walker and Nowacki (2011), Journal of General Internal Medicine 26, 192-196.

    Example:
        >>> decide(Interval(0.002, 0.008), margin=0.01)
        'better but negligible'
    """
    if interval is None:
        return "inconclusive"
    low, high = interval
    if low > margin:
        return "better"
    if high < -margin:
        return "worse"
    if -margin < low and high < margin:
        return "better but negligible" if low > 0 else "equivalent"
    return "inconclusive"


def verdict_words(
    verdict: Verdict, interval: Interval | None, margin: float, name_a: str, name_b: str
) -> str:
    """Return the verdict as a clause about `name_a` against `name_b`."""
    points = f"{100 * margin:g} pp margin"
    if verdict in ("better", "worse"):
        return f"{verdict}, by more than the {points}"
    if verdict == "better but negligible":
        return f"better but negligible, by less than the {points}"
    if verdict == "equivalent":
        if interval is not None and interval.high < 0:
            return f"equivalent within the {points}, {name_a} being worse but by less than that"
        return f"equivalent within the {points}"
    if interval is None:
        return "inconclusive, as no interval can be given"
    if interval.low > 0 or interval.high < 0:
        side = "better" if interval.low > 0 else "worse"
        return (
            f"inconclusive against the {points}, {name_a} being {side} than {name_b} but not "
            "surely by as much as the margin"
        )
    return (
        f"inconclusive, as both no difference and one as large as the {points} are within the "
        "interval"
    )
