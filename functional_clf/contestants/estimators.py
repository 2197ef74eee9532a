"""The contestant that scikit-learn, or a library of its form, fits: one replicate after another."""

import importlib
import threading
import types
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from functional_clf.contestants.base import Trained, Training
from functional_clf.contestants.fitting import (
    FAILED,
    SEED_NAMES,
    THREAD_NAMES,
    UNDEFINED,
    Aim,
    Fit,
    Job,
    Kind,
    Part,
    fit_all,
    kind_of,
)
from functional_clf.core.types import Curves, Metrics
from functional_clf.core.user_code import ONE_AT_A_TIME, UnreadableError, reading_of
from functional_clf.data.batches import ChunkData
from functional_clf.data.seeds import Replicate
from functional_clf.support.arguments import name_text, short
from functional_clf.support.errors import one_line

COMPUTING = ("sklearn.feature_selection.", "sklearn.metrics.", "sklearn.preprocessing.")
"""Where functions are that neither read nor write files, whatever they are called with."""
LIBRARIES = {"sklearn": "scikit-learn", "xgboost": "xgboost", "lightgbm": "lightgbm"}
"""The packages whose classes a run folder may name, to be made again; and what they are called."""

HERE_SECONDS = 0.05
"""Fits that take less than this together are not worth handing to another process."""

_pace: "weakref.WeakKeyDictionary[EstimatorContestant, float]" = weakref.WeakKeyDictionary()
"""About how many seconds a fit takes; decides where fits are done, never what comes out."""
_pace_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class EstimatorContestant:
    """A classifier of scikit-learn's form; `estimator` makes it, and says more.

    Args:
        name: what tables and pictures call it.
        classifier: unfitted, without seeds.
        raw: whether it is given a table's columns as they are.
        kind: what it tells of a sample.
    """

    name: str
    classifier: Any
    raw: bool
    kind: Kind

    @property
    def curve_epochs(self) -> tuple[int, ...]:
        """It has no learning curve, only a result."""
        return (0,)

    @property
    def is_own(self) -> bool:
        """Whether its code is of a known library, and needs no look before a study."""
        return type(self.classifier).__module__.partition(".")[0] in LIBRARIES

    @property
    def undefined_metrics(self) -> tuple[str, ...]:
        """The metrics that what it tells does not define."""
        return UNDEFINED[self.kind]

    @property
    def is_seeded(self) -> bool:
        """Whether there is a parameter that each seed fixes."""
        names = (key.rpartition("__")[2] for key in self.classifier.get_params())
        return any(name in SEED_NAMES for name in names)

    def describe(self) -> dict[str, Any]:
        """What identifies it, as plain values: its class, parameters, and versions of libraries.

        What is no plain value among the parameters is told by its type and a digest.
        """
        homes: set[str] = set()
        described = _described(self.classifier, homes)
        versions = {LIBRARIES.get(home, home): _version(home) for home in sorted(homes)}
        return {
            "kind": "estimator",
            "name": self.name,
            "classifier": described,
            "raw": self.raw,
            "versions": {name: version for name, version in versions.items() if version},
        }

    def train(
        self, data: ChunkData, replicates: Sequence[Replicate], training: Training
    ) -> Trained:
        """Fit a copy for each replicate, here or in processes; a repeated replicate is fitted once.

        Raises:
            RuntimeError: when a process ended in the middle of its work.
        """
        distinct = list(dict.fromkeys(replicates))
        lanes = [replicates.index(one) for one in distinct]
        fits = self._fits([self._job(data, replicates, lane) for lane in lanes], data, training)
        found = dict(zip(distinct, fits, strict=True))
        texts = dict.fromkeys(text for fit in fits for text in fit.events)
        in_lanes = [found[one] for one in replicates]
        metrics = (
            Metrics(
                # As the record keeps it, so that a fit again is held against the same number.
                torch.tensor([[fit.loss[part] for fit in in_lanes]], dtype=torch.float32),
                torch.tensor([[fit.correct[part] for fit in in_lanes]]),
            )
            for part in (0, 1)
        )
        return Trained(
            {},
            Curves(self.curve_epochs, *metrics),
            np.array([fit.has_failed for fit in in_lanes]),
            warnings=tuple(
                (text, np.array([text in fit.events for fit in in_lanes])) for text in texts
            ),
            predictions=[fit.predicted for fit in in_lanes],
        )

    def check(self, data: ChunkData, one: Replicate, metric: str) -> str | None:
        """Fit one replicate before a study: how it failed, in words; None where it did not.

        Args:
            data: its samples.
            one: the replicate.
            metric: what will be compared by.

        Raises:
            ValueError: when what it tells once fitted does not define the metric.
        """
        fit = self._here([self._job(data, [one], 0)], data, Training(None))[0]
        if fit.has_failed:
            return next(text for text in fit.events if text.startswith(FAILED))
        if metric in UNDEFINED[fit.predicted.kind]:
            raise ValueError(_lacking(self, fit.predicted.kind, metric))
        return None

    def _job(self, data: ChunkData, replicates: Sequence[Replicate], lane: int) -> Job:
        parts = [_array(part.x[lane]) for part in (data.train, data.test)]
        if self.raw and data.raw is not None:
            parts = data.raw(lane)
        labels = (_array(part.y[lane]).astype(np.int64) for part in (data.train, data.test))
        train, test = map(Part, parts, labels)
        return Job(train, test, replicates[lane].init_seed)

    def _fits(self, jobs: Sequence[Job], data: ChunkData, training: Training) -> list[Fit]:
        """Fit here what takes little time, and the rest in processes, several at once."""
        processes, done = training.processes, []
        if processes is None:
            return self._here(jobs, data, training)
        if self not in _pace:
            with _pace_lock:
                if self not in _pace:
                    done, jobs = self._here(jobs[:1], data, training), jobs[1:]
        pace = _pace[self]
        if not jobs or pace * len(jobs) < HERE_SECONDS:
            return [*done, *self._here(jobs, data, training)]
        at_once = max(1, int(HERE_SECONDS / pace))
        calls = [
            (self.classifier, jobs[first : first + at_once], _aim(data))
            for first in range(0, len(jobs), at_once)
        ]
        batches = processes.map(fit_all, calls, lambda: training.after_steps(0))
        if batches is None:
            return [*done, *self._here(jobs, data, training)]
        found = [fit for batch in batches for fit in batch]
        _pace[self] = _mean_seconds(found)
        return [*done, *found]

    def _here(self, jobs: Sequence[Job], data: ChunkData, training: Training) -> list[Fit]:
        found = []
        for job in jobs:
            with ONE_AT_A_TIME:  # filters of warnings and global generators are shared by threads
                found += fit_all(self.classifier, [job], _aim(data))
            training.after_steps(0)  # it may raise, to stop
        if found:
            _pace[self] = _mean_seconds(found)
        return found


def estimator(name: str, classifier: Any, raw: bool = False) -> EstimatorContestant:
    """A classifier of scikit-learn's form as a contestant: scikit-learn's, XGBoost's, LightGBM's.

    Every replicate fits a clone to its own training samples. Every parameter `random_state`, of the
    classifier or of one inside it, is drawn from the replicate's init seed, as scikit-learn's
    ensembles do it for their members; NumPy's global generator, from which draws what has no such
    parameter, is seeded with it. A fit uses one thread, whatever `n_jobs` says: several replicates
    are fitted at once, in processes. So a seed's result is its own.

    Counts of correct predictions are those of the classifier's `predict`. Its loss, and the scores
    of probabilities, are those of `predict_proba`; for the log loss they are cut off at the
    resolution of their type (2e-16 of 0 and 1 in float64), as scikit-learn's log_loss does it. Of a
    classifier without `predict_proba` ROC AUC is that of its `decision_function`; what it does not
    tell is not recorded.

    A fit that ends in an exception is a diverged run of that seed: it stays in the table and counts
    as a failure. What fits warn of is counted and told at the end.

    A study's `class_weight` is for the losses of recipes: give the classifier its own argument.

    Args:
        name: what tables and pictures call it.
        classifier: an instance, as in `RandomForestClassifier(n_estimators=50)`; it stays as it is.
        raw: give it a table's columns as they were brought (a data frame, or an array) rather than
            prepared, for a pipeline that prepares them itself; columns that say nothing are left
            out. Drawn samples are raw as they are.

    Returns:
        The contestant, for `Study`.

    Raises:
        TypeError: when it is no classifier's instance, or cannot be cloned.
        ValueError: when a random_state is a generator, which a seed cannot fix.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from functional_clf import Study, circles, model_0
        >>> bayes = estimator("bayes", GaussianNB())
        >>> results = Study(circles(100), (model_0(epochs=5), bayes), seeds=4).run()
        >>> results.accuracies("bayes").shape
        (4,)
    """
    name = name_text("a model", name)
    if not isinstance(raw, bool | np.bool_):
        raise TypeError(f"raw is {short(raw)}; it must be True or False")
    _check_classifier(classifier)
    from sklearn.base import clone

    try:
        copy: Any = clone(classifier)
        plain = {}
        for key, value in copy.get_params().items():
            last = key.rpartition("__")[2]
            if last in SEED_NAMES:
                _check_seed(key, value)
                plain[key] = None
            elif last in THREAD_NAMES:
                plain[key] = None
            elif isinstance(value, np.generic):  # which a run folder holds as Python's own
                plain[key] = value.item()
        copy.set_params(**plain)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise TypeError(
            f"classifier is {short(classifier)}, which cannot be cloned: {one_line(error)}"
        ) from error
    return EstimatorContestant(name, copy, bool(raw), kind_of(copy))


def remade(name: str, classifier: Mapping[str, Any], raw: bool = False) -> EstimatorContestant:
    """The contestant that a run folder describes, where its classes are of a known library.

    Args:
        name: as recorded.
        classifier: its class and parameters, as `describe` tells them.
        raw: as recorded.

    Raises:
        ValueError: when a class is of another library, or a parameter is no plain value.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> told = estimator("bayes", GaussianNB(var_smoothing=1e-6)).describe()
        >>> remade(told["name"], told["classifier"]).classifier
        GaussianNB(var_smoothing=1e-06)
    """
    return estimator(name, _made(classifier), raw)


def check_metric(contestant: Any, metric: str) -> None:
    """See that a metric can be had of a contestant, as far as it tells before it is trained.

    Args:
        contestant: of any kind.
        metric: a name in `stats.METRICS`.

    Raises:
        ValueError: when it cannot.

    Example:
        >>> from sklearn.svm import LinearSVC
        >>> check_metric(estimator("svm", LinearSVC()), "roc_auc")
    """
    if isinstance(contestant, EstimatorContestant) and metric in contestant.undefined_metrics:
        raise ValueError(_lacking(contestant, contestant.kind, metric))


def weighing_warning(contestant: EstimatorContestant) -> str | None:
    """What to say where a study weighs classes and a contestant does not, by its own argument."""
    params = contestant.classifier.get_params()
    own = [key for key in params if key.rpartition("__")[2] == "class_weight"]
    if any(params[key] is not None for key in own):
        return None
    hint = f"give it {own[0]}='balanced'" if own else "it has no argument class_weight"
    return (
        f"model {contestant.name!r}: the study's class_weight weighs classes in the training loss "
        f"of recipes, not for an estimator, which does so by its own argument: {hint}"
    )


def _lacking(contestant: EstimatorContestant, kind: Kind, metric: str) -> str:
    of = type(contestant.classifier).__name__
    if kind == "decisions":
        lack, hint = "needs probabilities", f"wrap it, as in CalibratedClassifierCV({of}(...)), or"
        has_not = "no predict_proba"
    else:
        lack, hint = "needs more than classes", "take another classifier, or"
        has_not = "neither predict_proba nor a decision_function of each class"
    return (
        f"metric is {metric!r}, which {lack}, and model {contestant.name!r} ({of}) has {has_not}; "
        f"{hint} compare by accuracy"
    )


def _check_classifier(classifier: Any) -> None:
    wanted = "it must be a classifier's instance, as in RandomForestClassifier()"
    if isinstance(classifier, type):
        raise TypeError(
            f"classifier is the class {classifier.__name__}; make an instance of it: "
            f"{classifier.__name__}()"
        )
    methods = ("fit", "get_params", "set_params")  # a stack has no predict before it is fitted
    if lacking := [one for one in methods if not callable(getattr(classifier, one, None))]:
        raise TypeError(f"classifier is {short(classifier)}, which has no {lacking[0]}; {wanted}")
    from sklearn.base import is_classifier

    try:
        is_fine = is_classifier(classifier)
    except Exception:  # of another library, which scikit-learn does not know
        is_fine = getattr(classifier, "_estimator_type", "classifier") == "classifier"
    if not is_fine:
        raise TypeError(f"classifier is {short(classifier)}, which is no classifier; {wanted}")


def _check_seed(key: str, value: Any) -> None:
    if value is not None and not isinstance(value, int | np.integer):
        raise ValueError(
            f"{key} is {short(value)}, which no seed can fix; leave it out: it is drawn from each "
            "replicate's seed"
        )


def _mean_seconds(fits: Sequence[Fit]) -> float:
    return sum(fit.seconds for fit in fits) / len(fits)


def _aim(data: ChunkData) -> Aim:
    return Aim(data.task.n_classes, getattr(data.task, "class_weights", None))


def _array(tensor: Tensor) -> np.ndarray:
    """A copy of its own, rows along memory."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def _described(value: Any, homes: set[str]) -> Any:
    """A value as plain ones; the packages of its classes are added to `homes`."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if np.isfinite(value) else {"float": repr(value)}
    if type(value) is list:
        return [_described(one, homes) for one in value]
    if type(value) is tuple:
        return {"tuple": [_described(one, homes) for one in value]}
    if type(value) is dict:
        pairs = value.items()
        return {"dict": [[_described(one, homes) for one in pair] for pair in pairs]}
    if isinstance(value, type) and issubclass(value, np.generic):
        return {"dtype": np.dtype(value).name}
    if isinstance(value, types.FunctionType) and _is_findable(value):
        homes.add(value.__module__.partition(".")[0])
        return {"function": f"{value.__module__}.{value.__qualname__}"}
    kind: type[Any] = type(value)
    homes.add(kind.__module__.partition(".")[0])
    where = f"{kind.__module__}.{kind.__qualname__}"
    if hasattr(value, "get_params") and not isinstance(value, type):
        estimator: Any = value
        params = sorted(estimator.get_params(deep=False).items())
        return {"class": where, "params": {key: _described(one, homes) for key, one in params}}
    try:
        digest = reading_of(value).digest
    except UnreadableError:
        digest = None  # so that `code` is None, too: no run folder takes it
    return {"type": where, "digest": digest}


def _made(description: Any) -> Any:
    """The value that was described."""
    if isinstance(description, list):
        return [_made(one) for one in description]
    if not isinstance(description, Mapping):
        return description
    kind, value = next(iter(description.items()), ("", ""))
    if kind == "float":
        return float(value)
    if kind == "tuple":
        return tuple(_made(one) for one in value)
    if kind == "dict":
        return {_made(key): _made(one) for key, one in value}
    if kind == "dtype":
        return np.dtype(value).type
    if kind == "function":
        return _function_found(value)
    if kind != "class" or not isinstance(description.get("params"), Mapping):
        what = description.get("type", "something else")
        raise ValueError(f"a parameter is of type {what}, which only its maker can give")
    params = {str(key): _made(one) for key, one in description["params"].items()}
    if isinstance(params.get("memory"), str):  # what lies there is unpickled, and so run
        raise ValueError("a parameter memory names a folder, which only its maker can give")
    return _class_found(value)(**params)


def _is_findable(function: Any) -> bool:
    """Whether a function of a known library is found by its name."""
    try:
        return _found(f"{function.__module__}.{function.__qualname__}") is function
    except ValueError:
        return False


def _found(path: Any) -> Any:
    """What of a known library a run folder names: nothing else is imported."""
    module, _, name = str(path).rpartition(".")
    home = module.partition(".")[0]
    if home not in LIBRARIES:
        raise ValueError(
            f"its class {path} is of another library than {', '.join(LIBRARIES.values())}; only "
            "its maker can give it"
        )
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"its class {path} is not there: {one_line(error)}") from error


def _class_found(path: Any) -> Any:
    """The class of an estimator.

    Nothing else is called: whoever can write to a run folder could have any file written over.
    """
    from sklearn.base import BaseEstimator

    found = _found(path)
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        raise ValueError(f"{path} is no estimator's class")
    return found


def _function_found(path: Any) -> Any:
    """A function that does nothing but compute, as a parameter may be."""
    module = str(path).rpartition(".")[0]
    if not f"{module}.".startswith(COMPUTING):
        raise ValueError(f"{path} is no function of {' or '.join(COMPUTING)}")
    found = _found(path)
    if not (isinstance(found, types.FunctionType) and found.__module__ == module):
        raise ValueError(f"{path} is no function")
    return found


def _version(home: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(LIBRARIES.get(home, home))
    except metadata.PackageNotFoundError:  # the user's own
        return None
