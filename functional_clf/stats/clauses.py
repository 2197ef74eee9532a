"""The clauses that conclusions are made of."""

from functional_clf.stats import wording
from functional_clf.stats.summaries import ModelSummary
from functional_clf.stats.types import Interval


def difference(
    name_a: str, name_b: str, estimate: float, interval: Interval | None, margin: float
) -> str:
    """Return which model is ahead in the sample, and by how much."""
    decimals = wording.point_decimals(interval, margin) if interval else 1
    size = f"by {wording.points(abs(estimate), decimals)} pp on average"
    if estimate == 0:
        return f"{name_a} and {name_b} differ {size}"
    return f"{name_a} {'falls short of' if estimate < 0 else 'exceeds'} {name_b} {size}"


def ends(interval: Interval, estimate: float, margin: float | None = None) -> str:
    """Return an interval in points, mirrored where the estimate is worded as a shortfall.

    It shows as many decimals as it needs against a margin; one, where none is given.
    """
    low, high = (-interval.high, -interval.low) if estimate < 0 else interval
    decimals = 1 if margin is None else wording.point_decimals(interval, margin)
    return f"{wording.points(low, decimals)} to {wording.points(high, decimals)}"


def outcomes(wins: int, ties: int, losses: int) -> str:
    """Return the counts of wins, ties and losses."""
    return ", ".join(
        [
            wording.plural(wins, "win"),
            wording.plural(ties, "tie"),
            wording.plural(losses, "loss", "losses"),
        ]
    )


def failures(
    models: tuple[ModelSummary, ModelSummary], failure_below: float | None, alpha: float
) -> list[str]:
    """Return how many runs of each model failed, with the limits of the rate where it has any.

    Where nobody said which accuracy is a failure, only runs that diverged are spoken of, if any.
    """
    if failure_below is None and not any(model.failures.diverged for model in models):
        return []
    words = []
    for model in models:
        f = model.failures
        seeds = f"{f.count} of {f.n}"
        if f.interval is not None:
            seeds = wording.rate(f.count, f.n, f.interval, alpha)
        if failure_below is None:
            words.append(f"{model.name} diverged in {seeds}")
        else:
            diverged = f" ({f.diverged} diverged)" if f.diverged else ""
            words.append(f"{model.name} failed {seeds}{diverged}")
    return words


def failure_meaning(failure_below: float | None) -> list[str]:
    """Return what a failed run is, where that was said."""
    if failure_below is None:
        return []
    return [f"Failed means below {wording.threshold(failure_below)} % accuracy, or diverged"]
