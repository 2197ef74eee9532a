"""One fit of a scikit-learn classifier after another, in this process or in one of its own.

Needs no torch, so that a process that fits starts in little time.
"""

import math
import random
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from functional_clf.support.errors import one_line

Kind = Literal["probabilities", "decisions", "labels"]
"""What a classifier tells of a sample: probabilities, decision values, or only a class."""

UNDEFINED: dict[Kind, tuple[str, ...]] = {
    "probabilities": (),
    "decisions": ("log_loss", "brier_score"),
    "labels": ("log_loss", "brier_score", "roc_auc"),
}
"""The metrics that cannot be had where no more than this is told."""

FAILED = "failed: "
"""Before what a fit failed by."""

SEED_NAMES = ("random_state", "seed", "random_seed")
THREAD_NAMES = ("n_jobs", "nthread", "num_threads", "thread_count")
LONGEST_TEXT = 160


class Part(NamedTuple):
    """Samples of one replicate: features `(sample, feature)`, or raw rows; and class numbers."""

    x: Any
    y: Int[ndarray, " sample"]


class Job(NamedTuple):
    """One fit: what to learn from, what to be tested on, and the seed of whatever is random."""

    train: Part
    test: Part
    seed: int


class Aim(NamedTuple):
    """What is asked of every fit.

    n_classes: classes are 0 to `n_classes - 1`.
    class_weights: what a sample of each class weighs in the loss that is told; None for 1 each.
    """

    n_classes: int
    class_weights: tuple[float, ...] | None = None


class Predicted(NamedTuple):
    """What is predicted of the test samples of one replicate.

    labels: class numbers; None where nothing could be predicted.
    values: `(sample, class)` by `kind`: probabilities, or decision values, of which the larger is
        the more likely; None where there are no such.
    kind: what is told.
    """

    labels: Int[ndarray, " sample"] | None
    values: Float[ndarray, "sample class"] | None
    kind: Kind


class Fit(NamedTuple):
    """What is kept of one fit.

    correct: of the training and of the test samples, how many are predicted correctly.
    loss: the log loss on either; NaN where no probabilities are told.
    predicted: of the test samples.
    events: what it warned of or failed by, a text each.
    has_failed: whether it ended in an exception.
    seconds: how long it took.
    """

    correct: tuple[int, int]
    loss: tuple[float, float]
    predicted: Predicted
    events: tuple[str, ...]
    has_failed: bool
    seconds: float


def kind_of(classifier: Any) -> Kind:
    """What a classifier tells of a sample; it may be fitted or not.

    Example:
        >>> from sklearn.svm import LinearSVC
        >>> kind_of(LinearSVC())
        'decisions'
    """
    # Of a stack the last one speaks, which is a logistic regression where none is given.
    is_stack = hasattr(classifier, "final_estimator") and not hasattr(classifier, "classes_")
    if hasattr(classifier, "predict_proba") or (is_stack and classifier.final_estimator is None):
        return "probabilities"
    # Values of pairs of classes cannot be told from those of classes where there are three.
    of_pairs = any(
        key.endswith("decision_function_shape") and value == "ovo"
        for key, value in classifier.get_params().items()
    )
    is_decided = hasattr(classifier, "decision_function") and not of_pairs
    return "decisions" if is_decided else "labels"


def seeded(classifier: Any, seed: int) -> Any:
    """An unfitted copy whose random numbers are fixed by a seed, and that uses one thread.

    Every parameter `random_state`, of the classifier or of one inside it, is drawn from the seed,
    as scikit-learn's ensembles do it for their members.

    Args:
        classifier: stays as it is.
        seed: 0 to 2**32 - 1.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> [seeded(DecisionTreeClassifier(), seed).random_state for seed in (0, 1)]
        [209652396, 1791095845]
    """
    from sklearn.base import clone

    copy: Any = clone(classifier)
    draw = np.random.RandomState(seed)
    found: dict[str, int] = {}
    params = copy.get_params()
    for key in sorted(params):
        inside, _, name = key.rpartition("__")
        owner = params[inside] if inside else copy
        if name in SEED_NAMES:
            found[key] = int(draw.randint(np.iinfo(np.int32).max))
        elif name in THREAD_NAMES and not type(owner).__module__.startswith("sklearn."):
            found[key] = 1  # None, as it is in a copy, means one to scikit-learn, but not to others
    return copy.set_params(**found)


def fit_all(classifier: Any, jobs: Sequence[Job], aim: Aim) -> list[Fit]:
    """Fit a copy of a classifier for each job, one after another, each from its own seed alone.

    Whatever draws from NumPy's or Python's global generator without a seed draws from the job's.

    Args:
        classifier: unfitted; it stays as it is.
        jobs: of different seeds.
        aim: what is asked of each.

    Returns:
        One a job; one that failed says by what.

    Raises:
        MemoryError: when there is not enough memory, of which no seed is to blame.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> part = Part(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1]))
        >>> fit_all(GaussianNB(), [Job(part, part, seed=2)], Aim(2))[0].correct
        (4, 4)
    """
    with _plain_surroundings():
        return [_fit(classifier, job, aim) for job in jobs]


@contextmanager
def _plain_surroundings() -> Iterator[None]:
    """The same in every process and thread: one thread, default settings, global generators kept.

    A context of one thread at a time: filters of warnings are shared by all.
    """
    import threadpoolctl
    from sklearn import config_context

    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with (
            threadpoolctl.threadpool_limits(1),
            np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
            config_context(
                assume_finite=False, transform_output="default", enable_metadata_routing=False,
                array_api_dispatch=False, skip_parameter_validation=False,
            ),
        ):  # fmt: skip
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def _fit(classifier: Any, job: Job, aim: Aim) -> Fit:
    start = time.perf_counter()
    events: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            outcome = _outcome(classifier, job, aim)
        except MemoryError:
            raise
        except Exception as error:  # a classifier may fail in any way
            told = one_line(error).removeprefix(f"{type(error).__name__}: ")
            events.append(f"{FAILED}{type(error).__name__}: {_first_line(told)}")
            nothing = Predicted(None, None, kind_of(classifier))
            outcome = (0, 0), (math.nan, math.nan), nothing
    for warning in caught:
        events.append(f"warned {warning.category.__name__}: {_first_line(str(warning.message))}")
    correct, loss, predicted = outcome
    return Fit(
        correct, loss, predicted,
        events=tuple(dict.fromkeys(events)),
        has_failed=predicted.labels is None,
        seconds=time.perf_counter() - start,
    )  # fmt: skip


def _outcome(
    classifier: Any, job: Job, aim: Aim
) -> tuple[tuple[int, int], tuple[float, float], Predicted]:
    random.seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002 - of a splitter without a random_state, say
    fitted = seeded(classifier, job.seed).fit(job.train.x, job.train.y)
    classes = getattr(fitted, "classes_", None)
    if classes is not None and not np.array_equal(classes, np.arange(aim.n_classes)):
        raise ValueError(f"its classes_ are {classes!r} once fitted, not 0 to {aim.n_classes - 1}")
    kind = kind_of(fitted)
    sides = [_side(fitted, part, kind, aim) for part in (job.train, job.test)]
    correct, losses, predicted = zip(*sides, strict=True)
    return correct, losses, predicted[1]


def _side(fitted: Any, part: Part, kind: Kind, aim: Aim) -> tuple[int, float, Predicted]:
    """Of training or test samples: how many are predicted correctly, the loss, and predictions."""
    size = len(part.y), aim.n_classes
    labels = _labels(fitted.predict(part.x), *size)
    loss, values = math.nan, None
    if kind == "probabilities":
        values = _probabilities(fitted.predict_proba(part.x), *size)
        loss = log_loss(part.y, values, aim.class_weights)
    elif kind == "decisions":
        values = _decisions(fitted.decision_function(part.x), *size)
    told: Kind = "labels" if values is None else kind
    return int((labels == part.y).sum()), loss, Predicted(labels, values, told)


def log_loss(
    y: Int[ndarray, " sample"],
    shares: Float[ndarray, "sample class"],
    class_weights: Sequence[float] | None = None,
) -> float:
    """The mean of `-w_y log(p_y)`, probabilities cut off as scikit-learn cuts them off.

    That is at the resolution of their type: 2e-16 of 0 and 1 in float64, 1e-7 in float32.

    Args:
        y: class numbers.
        shares: probabilities, in [0, 1].
        class_weights: one a class; None for 1 each.

    Example:
        >>> log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]))
        0.6931471805599453
    """
    epsilon = np.finfo(shares.dtype).eps
    own = np.take_along_axis(shares, y[:, None], -1)[:, 0]
    losses = -np.log(np.clip(own, epsilon, 1 - epsilon).astype(np.float64))
    if class_weights is not None:
        losses = np.asarray(class_weights)[y] * losses
    return float(losses.mean())


def _labels(found: Any, n_samples: int, n_classes: int) -> ndarray:
    labels = np.asarray(found)
    if labels.shape == (n_samples, 1):  # as some libraries give them
        labels = labels[:, 0]
    is_fine = labels.shape == (n_samples,) and labels.dtype.kind in "biuf"
    if not is_fine or not np.isin(labels, np.arange(n_classes)).all():
        raise ValueError(f"its predict returned other than {n_samples} classes it was shown")
    return labels.astype(np.int64)


def _probabilities(found: Any, n_samples: int, n_classes: int) -> ndarray:
    shares = _floats(found)
    if shares.shape != (n_samples, n_classes):
        raise ValueError(
            f"its predict_proba returned an array of shape {shares.shape}, not "
            f"{(n_samples, n_classes)}"
        )
    if not (np.isfinite(shares).all() and shares.min() >= 0 and shares.max() <= 1 + 1e-6):
        raise ValueError("its predict_proba returned what are no probabilities")
    if abs(shares.sum(1, dtype=np.float64) - 1).max() > 1e-3:
        raise ValueError("its predict_proba returned probabilities that do not add up to 1")
    return shares


def _decisions(found: Any, n_samples: int, n_classes: int) -> ndarray | None:
    """Decision values of each class; None where they are of something else, such as pairs."""
    values = _floats(found)
    if n_classes == 2 and values.shape in ((n_samples,), (n_samples, 1)):
        values = np.stack([-values.reshape(-1), values.reshape(-1)], -1)
    if values.shape != (n_samples, n_classes):
        return None
    if not np.isfinite(values).all():
        raise ValueError("its decision_function returned what are no finite numbers")
    return values


def _floats(found: Any) -> ndarray:
    array = np.asarray(found)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _first_line(text: str) -> str:
    """The first line of a text, fit for a sentence; without numbers that differ from fit to fit."""
    line = next(iter(text.strip().splitlines()), "")
    line = re.sub(r"\d+\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+", "#", line).strip(" .:")
    line = "".join(one if one.isprintable() else " " for one in line)
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}..."
