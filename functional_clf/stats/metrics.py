"""What a model may be scored by, and what must be known of a score to compare two."""

import dataclasses
from collections.abc import Callable, Mapping

from functional_clf.stats.types import FloatArray, Interval


@dataclasses.dataclass(frozen=True)
class Metric:
    """A score of a model's predictions on test samples.

    Attributes:
        name: as arguments and files name it: scikit-learn's, where it has one.
        words: as sentences name it.
        is_share: whether it is a share, shown in percent and its differences in points.
        higher_is_better: whether the larger of two scores is the better one.
        upper: the largest there can be; None where there is no such. The smallest is 0.
        default_margin: the difference that is said to matter where nobody says; None where none
            fits, and one must be given.
        is_count: whether it is a number of samples by that of all, so that equal scores are equal.
        step: how much one test sample can change it at most, by the sizes of the classes in the
            test part `(class,)`; None for `upper` by the number of all.
    """

    name: str
    words: str
    is_share: bool = True
    higher_is_better: bool = True
    upper: float | None = 1.0
    default_margin: float | None = 0.01
    is_count: bool = False
    step: Callable[[FloatArray], float] | None = None

    def gains(self, differences: FloatArray) -> FloatArray:
        """Return differences of scores with the sign that says "better" where it is plus."""
        return differences if self.higher_is_better else 0.0 - differences

    def gain_interval(self, interval: Interval | None) -> Interval | None:
        """Return the interval of such a gain from that of a difference, or the other way.

        >>> METRICS["log_loss"].gain_interval(Interval(-0.5, 0.25))
        Interval(low=-0.25, high=0.5)
        """
        if interval is None or self.higher_is_better:
            return interval
        return Interval(0.0 - interval.high, 0.0 - interval.low)


def _step_of_recall(sizes: FloatArray) -> float:
    """A sample is a part of the recall of its class, which counts as one of all classes."""
    return float(1 / sizes.min() / len(sizes))


def _step_of_f1(sizes: FloatArray) -> float:
    """Another prediction changes the F1 of two classes."""
    return 2 * _step_of_recall(sizes)


def _step_of_auc(sizes: FloatArray) -> float:
    """A sample is a part of its class, and of the rest that every other class is held against."""
    if len(sizes) == 2:
        return float(1 / sizes.min())
    rest = sizes.sum() - sizes.max()
    return float((1 / sizes.min() + (len(sizes) - 1) / rest) / len(sizes))


ACCURACY = Metric("accuracy", "accuracy", is_count=True)

METRICS: Mapping[str, Metric] = {
    one.name: one
    for one in (
        ACCURACY,
        Metric("balanced_accuracy", "balanced accuracy", step=_step_of_recall),
        Metric(
            "log_loss", "log loss", is_share=False, higher_is_better=False, upper=None,
            default_margin=None,
        ),
        # Of several classes, the squared distances of all of them are added up: 2 at most.
        Metric(
            "brier_score", "Brier score", is_share=False, higher_is_better=False, upper=2.0,
            default_margin=None,
        ),
        Metric("roc_auc", "ROC AUC", step=_step_of_auc),
        Metric("f1_macro", "macro F1", step=_step_of_f1),
    )
}  # fmt: skip
"""All metrics by name; accuracy first, which counts of correct predictions tell."""

SCORE = Metric("score", "score")
"""Scores from elsewhere that nobody named: taken for shares of which more is better."""

_KNOWN = {**METRICS, SCORE.name: SCORE}


def named(name: str) -> Metric:
    """Return the metric of a name.

    Raises:
        ValueError: when there is no such.

    Example:
        >>> named("roc_auc").words
        'ROC AUC'
    """
    if not isinstance(name, str) or name not in _KNOWN:
        raise ValueError(f"metric is {name!r}; it must be one of {', '.join(METRICS)}")
    return _KNOWN[name]
