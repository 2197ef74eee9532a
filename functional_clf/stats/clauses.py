"""The clauses that conclusions are made of."""

from functional_clf.stats import wording
from functional_clf.stats.metrics import ACCURACY, Metric
from functional_clf.stats.summaries import ModelSummary
from functional_clf.stats.types import Interval


def difference(
    name_a: str,
    name_b: str,
    estimate: float,
    interval: Interval | None,
    margin: float,
    metric: Metric = ACCURACY,
) -> str:
    """Return which model is ahead in the sample, and by how much.

    What the score is goes without saying for accuracy alone. Where a score is no share, "exceeds"
    would be read as praise, so the better side is named.
    """
    decimals = wording.decimals(interval, margin, metric) if interval else None
    decimals = wording.decimals_shown(estimate, decimals, metric)
    size = f"by {wording.amount(abs(estimate), decimals, metric)}"
    if not metric.is_share:
        if estimate == 0:
            return f"the {metric.words} of {name_a} and that of {name_b} differ {size} on average"
        side = "lower" if estimate < 0 else "higher"
        praise = "better" if (estimate > 0) == metric.higher_is_better else "worse"
        return f"{name_a}'s {metric.words} is {side} ({praise}) than {name_b}'s {size} on average"
    what = "" if metric == ACCURACY else f" in {metric.words}"
    if estimate == 0:
        return f"{name_a} and {name_b} differ{what} {size} pp on average"
    verb = "falls short of" if estimate < 0 else "exceeds"
    return f"{name_a} {verb} {name_b}{what} {size} pp on average"


def ends(
    interval: Interval, estimate: float, margin: float | None = None, metric: Metric = ACCURACY
) -> str:
    """Return an interval in the metric's unit, mirrored where the estimate is worded as less.

    It shows as many decimals as it needs against a margin; one, where none is given.
    """
    low, high = (-interval.high, -interval.low) if estimate < 0 else interval
    decimals = 1 if margin is None else wording.decimals(interval, margin, metric)
    return f"{wording.amount(low, decimals, metric)} to {wording.amount(high, decimals, metric)}"


def outcomes(wins: int, ties: int, losses: int) -> str:
    """Return the counts of wins, ties and losses."""
    return ", ".join(
        [
            wording.plural(wins, "win"),
            wording.plural(ties, "tie"),
            wording.plural(losses, "loss", "losses"),
        ]
    )


def failures(models: tuple[ModelSummary, ModelSummary], stated: bool, alpha: float) -> list[str]:
    """Return how many runs of each model failed, with the limits of the rate where it has any.

    Where nobody stated which score is a failure, only runs that diverged are spoken of, if any.
    """
    if not stated and not any(model.failures.diverged for model in models):
        return []
    words = []
    for model in models:
        f = model.failures
        seeds = f"{f.count} of {f.n}"
        if f.interval is not None:
            seeds = wording.rate(f.count, f.n, f.interval, alpha)
        if not stated:
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


def failure_against_majority(metric: Metric) -> str:
    """Return what a failed run is, where it is one worse than the majority class."""
    what = "" if metric == ACCURACY else f" in {metric.words}"
    # Scores of probabilities are held against those of the classes' shares.
    guess = "largest class" if metric.is_share else "class shares"
    return (
        f"Failed means worse{what} than always predicting the {guess} of the training part, or "
        "diverged"
    )
