"""The figures of comparisons, as small tables that a notebook shows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from functional_clf.stats import metrics, wording
from functional_clf.stats.metrics import ACCURACY, Metric
from functional_clf.support.notebook import Table

if TYPE_CHECKING:
    from functional_clf.stats.comparison import Comparison
    from functional_clf.stats.crossed_comparison import CrossedComparison

    AnyComparison = Comparison | CrossedComparison

_QUANTILES = {"mean": "mean", "min": "minimum", "median": "median", "max": "maximum"}


def figures_of(one: "AnyComparison", outcomes: tuple[int, int, int]) -> Table:
    """Both models and their difference: means, extremes, interval, counts.

    Args:
        one: the comparison.
        outcomes: wins, ties and losses.

    Returns:
        A row a figure.

    Example:
        >>> from functional_clf.stats import compare
        >>> table = figures_of(compare([0.9, 0.8, 0.9], [0.7, 0.7, 0.8]), (3, 0, 0))
        >>> table.rows[0]
        ('mean', '86.67', '73.33', '+13.3')
    """
    metric, models = metric_of(one), (one.model_a, one.model_b)
    estimate, ends = wording.signed_difference(one.estimate, one.interval, one.margin, metric)
    rows = []
    for name, field in _QUANTILES.items():
        found = (getattr(model.accuracy, field) for model in models)
        difference = getattr(one.differences, field)
        shown, _ = wording.signed_difference(difference, one.interval, one.margin, metric)
        rows.append((name, *(wording.score(score, metric) for score in found), shown))
    rows[0] = (*rows[0][:3], estimate)
    rows.insert(1, (_level(one), "", "", ends))
    bounded = getattr(one, "bounded_interval", None)
    if bounded is not None and bounded != one.interval:
        _, ends = wording.signed_difference(one.estimate, bounded, one.margin, metric)
        rows.insert(2, ("bounded CI", "", "", ends))
    rows.append(("wins, ties, losses", "", "", ", ".join(map(str, outcomes))))
    failures = [model.failures for model in models]
    if any(failure.count for failure in failures) or one.failure_below is not None:
        rows.append(("failed", *(f"{one.count} of {one.n}" for one in failures), ""))
    names = (model.name for model in models)
    unit = " (pp)" if metric.is_share else ""
    return Table((f"test {metric.words}{unit_of(metric)}", *names, f"difference{unit}"), rows)


def differences_of(
    comparisons: Sequence["AnyComparison"], names: Sequence[str] | None = None
) -> Table:
    """A row a comparison: the difference, its interval, p, and the verdict.

    Args:
        comparisons: by one metric, one at least.
        names: of the rows, where the models are the same in all of them.

    Example:
        >>> from functional_clf.stats import compare
        >>> one = compare([0.9, 0.8, 0.9], [0.7, 0.7, 0.8], names=("deep", "flat"))
        >>> differences_of([one]).rows
        [('deep - flat', '+13.3', '-4.0 to +27.7', '.250', 'inconclusive')]
    """
    first = comparisons[0]
    metric = metric_of(first)
    is_adjusted = any(getattr(one, "holm_pvalue", None) is not None for one in comparisons)
    unit = ", pp" if metric.is_share else ""
    rows = []
    names = names or [f"{one.model_a.name} - {one.model_b.name}" for one in comparisons]
    for name, one in zip(names, comparisons, strict=True):
        holm = getattr(one, "holm_pvalue", None)
        p = one.pvalue if holm is None else holm
        rows.append(
            (
                name,
                *wording.signed_difference(one.estimate, one.interval, one.margin, metric),
                "-" if one.pvalue is None or p is None else _p_alone(p),
                one.verdict,
            )
        )
    heads = (
        f"test {metric.words}{unit}",
        "difference",
        _level(first),
        "Holm p" if is_adjusted else "p",
        "verdict",
    )
    return Table(heads, rows)


def metric_of(one: "AnyComparison") -> Metric:
    """What is compared: of a crossed design, always accuracies."""
    return metrics.named(getattr(one, "metric", ACCURACY.name))


def unit_of(metric: Metric) -> str:
    """What follows a metric's name where its figures are percentages.

    >>> unit_of(ACCURACY)
    ' (%)'
    """
    return " (%)" if metric.is_share else ""


def _level(one: "AnyComparison") -> str:
    """What its interval is, of several the level of all of them together."""
    together = getattr(one, "n_comparisons", 1)
    level = wording.confidence(one.alpha * together)
    if one.method == "bounded":
        level = level.replace("CI", "bounded CI")
    elif getattr(one, "sequential", False):
        level = level.replace("CI", "time-uniform CI")
    return f"{level} (all together)" if together > 1 else level


def _p_alone(p: float) -> str:
    return wording.p_value(p).removeprefix("p ").removeprefix("= ")
