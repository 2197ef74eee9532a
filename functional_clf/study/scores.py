"""Scores of predictions besides accuracy, by scikit-learn's definitions, of each replicate."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from functional_clf.contestants.fitting import UNDEFINED, Predicted, log_loss
from functional_clf.stats.metrics import METRICS

SCORED = tuple(name for name, metric in METRICS.items() if not metric.is_count)
"""The metrics that are worked out of logits; accuracy is told by counts."""

EPSILON = float(np.finfo(np.float64).eps)


class Scores(NamedTuple):
    """What test predictions are worth.

    metrics: by name (`SCORED`), one a replicate; NaN where the test samples do not define it.
    confusion: `[t, p]`, samples of class t predicted as class p.
    """

    metrics: dict[str, Float[ndarray, " replicate"]]
    confusion: Int[ndarray, "true predicted replicate"]


def scores_of(
    logits: Float[ndarray, "replicate sample ..."],
    y: Float[ndarray, "replicate sample"],
    n_classes: int,
) -> Scores:
    """Score the test predictions of each replicate.

    Probabilities are the softmax of the logits, in float64; of two classes the logit is the log
    odds of class 1. A replicate with a logit that is not finite predicts nothing, and has the worst
    score that there is.

    Args:
        logits: `(replicate, sample)` for two classes, else `(replicate, sample, class)`.
        y: class numbers.
        n_classes: how many classes there are.

    Returns:
        The scores. ROC AUC, one class against the rest and averaged over classes, is NaN where a
        class has no test sample.

    Example:
        >>> logits = np.array([[-2.0, 1.0, 3.0, -1.0]])
        >>> scores = scores_of(logits, np.array([[0.0, 1.0, 1.0, 1.0]]), n_classes=2)
        >>> scores.metrics["roc_auc"], scores.confusion[..., 0].tolist()
        (array([1.]), [[1, 0], [1, 2]])
    """
    logits = logits.astype(np.float64)
    labels = y.astype(np.int64)
    metrics = {name: np.empty(len(y)) for name in SCORED}
    confusion = np.zeros((n_classes, n_classes, len(y)), np.int32)
    for lane, (one, truth) in enumerate(zip(logits, labels, strict=True)):
        if not np.isfinite(one).all():
            found = _worst(n_classes)
        else:
            shares = _shares(one)
            # As counts of correct predictions have it: of equal logits the first.
            predicted = (one > 0).astype(np.int64) if one.ndim == 1 else one.argmax(-1)
            counts = confusion[..., lane] = _confusion(truth, predicted, n_classes)
            found = _scores(truth, shares, counts)
        for name, value in found.items():
            metrics[name][lane] = value
    return Scores(metrics, confusion)


def scores_of_predictions(
    predictions: Sequence[Predicted], y: Float[ndarray, "replicate sample"], n_classes: int
) -> Scores:
    """Score what is predicted where no logits tell: classes, and maybe values of each.

    Args:
        predictions: of each replicate. One that predicts nothing has the worst score that there
            is, where its kind defines one.
        y: class numbers.
        n_classes: how many classes there are.

    Returns:
        The scores, as `scores_of`; NaN also where the kind of a prediction does not define one.

    Example:
        >>> told = Predicted(np.array([0, 1, 1]), None, "labels")
        >>> scores = scores_of_predictions([told], np.array([[0.0, 1.0, 0.0]]), n_classes=2)
        >>> scores.metrics["balanced_accuracy"], scores.metrics["log_loss"]
        (array([0.75]), array([nan]))
    """
    labels = y.astype(np.int64)
    metrics = {name: np.full(len(y), np.nan) for name in SCORED}
    confusion = np.zeros((n_classes, n_classes, len(y)), np.int32)
    for lane, (one, truth) in enumerate(zip(predictions, labels, strict=True)):
        if one.labels is None:
            found = _worst(n_classes)
        else:
            counts = confusion[..., lane] = _confusion(truth, one.labels, n_classes)
            found = _scores_of_classes(counts)
            if one.values is not None:
                is_ranked = len(np.unique(truth)) == n_classes
                found["roc_auc"] = _roc_auc(truth, one.values) if is_ranked else math.nan
            if one.values is not None and one.kind == "probabilities":
                found["log_loss"] = log_loss(truth, one.values)
                found["brier_score"] = _brier_score(truth, one.values.astype(np.float64))
        for name in found.keys() - UNDEFINED[one.kind]:
            metrics[name][lane] = found[name]
    return Scores(metrics, confusion)


def majority_scores(
    y_train: Float[ndarray, "replicate sample"],
    y_test: Float[ndarray, "replicate sample"],
    n_classes: int,
) -> dict[str, Float[ndarray, " replicate"]]:
    """Score whoever always predicts the largest class of the training part.

    Its probabilities are the shares of the classes there: scikit-learn's
    `DummyClassifier(strategy="prior")`.

    Args:
        y_train: class numbers of the training samples, every class among them.
        y_test: of the test samples.
        n_classes: how many classes there are.

    Returns:
        By name, accuracy among them, one a replicate.

    Example:
        >>> majority_scores(np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 1.0]]), 2)["accuracy"]
        array([0.5])
    """
    found = []
    for train, test in zip(y_train.astype(np.int64), y_test.astype(np.int64), strict=True):
        counts = np.bincount(train, minlength=n_classes)
        predicted = np.full(len(test), counts.argmax())
        shares = np.tile(counts / counts.sum(), (len(test), 1))
        accuracy = {"accuracy": float((test == predicted).mean())}
        found.append(accuracy | _scores(test, shares, _confusion(test, predicted, n_classes)))
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def _shares(logits: ndarray) -> ndarray:
    """Probabilities, `(sample, class)`."""
    import scipy.special

    if logits.ndim == 1:
        return np.stack([scipy.special.expit(-logits), scipy.special.expit(logits)], -1)
    return scipy.special.softmax(logits, -1)


def _scores(truth: ndarray, shares: ndarray, counts: ndarray) -> dict[str, float]:
    """The scores of one replicate.

    Written out, as scikit-learn takes 30 times as long to check what is known here.

    Args:
        truth: class numbers, `(sample,)`.
        shares: probabilities, `(sample, class)`.
        counts: the confusion matrix, as in `Scores`.
    """
    return {
        **_scores_of_classes(counts),
        "log_loss": log_loss(truth, shares),
        "brier_score": _brier_score(truth, shares),
        "roc_auc": _roc_auc(truth, shares) if counts.any(1).all() else math.nan,
    }


def _scores_of_classes(counts: ndarray) -> dict[str, float]:
    """The scores that predicted classes tell, by the confusion matrix."""
    right, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    there, named = true > 0, true + predicted > 0
    return {
        "balanced_accuracy": float((right[there] / true[there]).mean()),
        "f1_macro": float((2 * right[named] / (true + predicted)[named]).mean()),
    }


def _confusion(truth: ndarray, predicted: ndarray, n_classes: int) -> ndarray:
    counts = np.bincount(n_classes * truth + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def _brier_score(truth: ndarray, shares: ndarray) -> float:
    """Of several classes the squared distances of all are added up; of two, half of that.

    Source: Brier (1950), Monthly Weather Review 78, 1-3.
    """
    distances = shares - (truth[:, None] == np.arange(shares.shape[1]))
    total = (distances**2).sum(-1).mean()
    return float(total / 2 if shares.shape[1] == 2 else total)


def _roc_auc(truth: ndarray, shares: ndarray) -> float:
    """The mean over classes of how often a sample of the class outranks another; ties are half.

    Source: Mann and Whitney (1947), Annals of Mathematical Statistics 18, 50-60.
    """
    import scipy.stats

    is_of = truth[:, None] == np.arange(shares.shape[1])
    if shares.shape[1] == 2:  # class 0 against class 1 is the same
        shares, is_of = shares[:, 1:], is_of[:, 1:]
    own = is_of.sum(0)
    above = (scipy.stats.rankdata(shares, axis=0) * is_of).sum(0) - own * (own + 1) / 2
    return float((above / (own * (len(truth) - own))).mean())


def _worst(n_classes: int) -> dict[str, float]:
    """The score of no predictions; log loss is cut off as scikit-learn does it."""
    return {
        "balanced_accuracy": 0.0,
        "log_loss": float(-np.log(EPSILON)),
        "brier_score": 1.0 if n_classes == 2 else 2.0,
        "roc_auc": 0.0,
        "f1_macro": 0.0,
    }
