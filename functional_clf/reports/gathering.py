"""What the pictures of a study show, gathered from its results as plain values.

Torch is not imported before it is needed.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from functional_clf.reports.decisions import decisions_of, plane_around
from functional_clf.reports.pictures import (
    NAMES,
    AccuraciesPicture,
    BoundariesPicture,
    ClassesPicture,
    ConfusionPicture,
    CurvesPicture,
    DataPicture,
    ModelCurves,
    NotPicturedError,
    Picture,
)

if TYPE_CHECKING:
    from functional_clf.data.dataset import Dataset, Sample
    from functional_clf.data.splits import Split
    from functional_clf.study.results import Results

DRAWN_SAMPLES = 2000
"""Of a table, or of more than two features, so many samples are drawn at most."""
SHOWN_CLASSES = 12
"""So many classes are told apart by their looks and named in a legend; the others look alike."""


def names_of(results: "Results") -> tuple[str, ...]:
    """The names of the pictures that such results have, in order; the data decide."""
    dataset = results.study.dataset
    if not dataset.is_table:
        return tuple(name for name in NAMES if name not in ("classes", "confusion"))
    return tuple(name for name in NAMES if name != "boundaries" or dataset.is_plane)


def data_picture(results: "Results") -> DataPicture:
    """What the picture of the first seed's samples shows."""
    dataset, seed = results.study.dataset, results.study.seeds[0]
    drawn, rows = _draw(results, seed)
    columns = _columns(dataset, drawn, rows)
    train, test = (np.asarray(part)[np.isfinite(columns.x[part]).all(axis=1)] for part in rows)
    n_missing = len(rows.train) + len(rows.test) - len(train) - len(test)
    if dataset.is_table or columns.is_projected:
        train, test = _selected(train, test)
    return DataPicture(
        **_named(results), seed=seed, class_names=dataset.class_names,
        shown=_shown(drawn.y, dataset.n_classes), is_table=dataset.is_table, labels=columns.labels,
        n_features=columns.n_features, is_projected=columns.is_projected, x=columns.x, y=drawn.y,
        train=train, test=test, n_train=len(rows.train), n_test=len(rows.test),
        n_missing=n_missing,
    )  # fmt: skip


def classes_picture(results: "Results") -> ClassesPicture:
    """What the picture of the first seed's classes shows."""
    dataset, seed = results.study.dataset, results.study.seeds[0]
    drawn, rows = _draw(results, seed)
    counts = np.stack([_counts(drawn.y[part], dataset.n_classes) for part in rows])
    return ClassesPicture(
        **_named(results), seed=seed, class_names=dataset.class_names, counts=counts
    )


def curves_picture(results: "Results") -> CurvesPicture:
    """What the picture of learning curves shows."""
    curves = []
    study = results.study
    for name in study.names:
        bands, table = results.curves[name], results.of(name)
        parts = {}
        for part in ("train", "test"):
            percent = 100 / table[f"n_{part}"][0]
            parts[f"{part}_loss"] = np.stack(bands[f"{part}_loss"])
            correct = bands[f"{part}_correct"]
            parts[f"{part}_accuracy"] = np.stack([percent * values for values in correct])
        curves.append(ModelCurves(np.array(results.curve_epochs(name)), **parts))
    return CurvesPicture(
        **_named(results), n_seeds=len(study.seeds), loss=study.task.loss_name,
        curves=tuple(curves),
    )  # fmt: skip


def accuracies_picture(results: "Results") -> AccuraciesPicture:
    """What the picture of every seed's test accuracy shows."""
    tables = [results.of(name) for name in results.study.names]
    correct = np.stack([table["test_correct"].to_numpy() for table in tables])
    return AccuraciesPicture(**_named(results), correct=correct, n_test=tables[0]["n_test"][0])


def boundaries_picture(results: "Results") -> BoundariesPicture:
    """What the picture of each model's decisions shows.

    Raises:
        NotPicturedError: when the data have other than two features, or no weights are kept.
    """
    study = results.study
    dataset = study.dataset
    x, y = _draw(results, study.seeds[0])[0]
    if dataset.is_table and not dataset.is_plane:
        raise NotPicturedError("the table has other than two columns of numbers, and a plane has 2")
    if x.shape[1] != 2:
        raise NotPicturedError(f"the data have {x.shape[1]} features, and a plane has 2")
    kept = [one for one in study.recipes if results.params[one.name][0]]
    if not kept:
        raise NotPicturedError("no weights of these seeds are kept")
    complete = x[np.isfinite(x).all(1)]
    if not len(complete):
        raise NotPicturedError("every sample lacks one of its two values")
    plane = plane_around(complete)
    return BoundariesPicture(
        **_named(results), class_names=dataset.class_names, shown=_shown(y, dataset.n_classes),
        is_table=dataset.is_table, labels=dataset.feature_names,
        has_missing=len(complete) < len(x),
        reach=np.ptp(complete, 0), plane=plane,
        decisions=tuple(decisions_of(results, recipe, plane) for recipe in kept),
    )  # fmt: skip


def confusion_picture(results: "Results") -> ConfusionPicture:
    """What the picture of each model's confusions shows.

    Raises:
        NotPicturedError: when the predictions of a model are not scored.
    """
    study = results.study
    try:
        found = [_confusion(results, results.confusions(name)) for name in study.names]
    except ValueError as error:
        raise NotPicturedError(str(error)) from error
    shares, nothing = map(np.stack, zip(*found, strict=True))
    return ConfusionPicture(
        **_named(results), n_seeds=len(study.seeds), class_names=study.dataset.class_names,
        shares=shares, nothing=nothing,
    )  # fmt: skip


GATHER: Mapping[str, Callable[["Results"], Picture]] = {
    "data": data_picture,
    "classes": classes_picture,
    "curves": curves_picture,
    "accuracies": accuracies_picture,
    "boundaries": boundaries_picture,
    "confusion": confusion_picture,
}
"""By name of the picture, what gathers what it shows."""


class Gathered:
    """What the pictures of some results show, each gathered once, when it is first asked for.

    Args:
        results: of the study.

    Example:
        >>> from functional_clf import Study, circles, model_0
        >>> results = Study(circles(60), [model_0(epochs=2)], 2, engine="eager").run()
        >>> gathered = Gathered(results)
        >>> gathered.names, gathered("data") is gathered("data")
        (('data', 'curves', 'accuracies', 'boundaries'), True)
    """

    def __init__(self, results: "Results") -> None:
        self.results = results
        self.names = names_of(results)
        self._found: dict[str, Picture | Exception] = {}

    def __call__(self, name: str) -> Picture | Exception:
        """What one of the pictures shows, or why it cannot be had."""
        if name not in self._found:
            try:
                self._found[name] = GATHER[name](self.results)
            except Exception as error:  # of the data's draw or of a model: whatever it is
                self._found[name] = error
        return self._found[name]


def _named(results: "Results") -> dict[str, Any]:
    study = results.study
    return {
        "dataset": str(study.dataset),
        "models": tuple(study.names),
    }


def _draw(results: "Results", seed: int) -> tuple["Sample", "Split"]:
    """One seed's samples and split, drawn again: a seed fixes them."""
    study = results.study
    one = study.replicate(seed)
    drawn = study.dataset.sample(one.data_seed)
    return drawn, study.dataset.split(study.test_size, one.split_seed)


class _Columns(NamedTuple):
    """What is drawn of samples: one or two numbers each, in the order of their rows."""

    x: ndarray
    labels: tuple[str, ...]
    n_features: int
    is_projected: bool


def _columns(dataset: "Dataset", drawn: "Sample", rows: "Split") -> _Columns:
    """Two raw columns of a table that has no more; else what models are given, or its plane."""
    if dataset.is_table and dataset.is_plane:
        return _Columns(drawn.x, dataset.feature_names, 2, False)
    parts = dataset.prepared(drawn, rows)
    n_features = parts.train.x.shape[1]
    plane, labels = None, tuple(f"feature {number}" for number in range(n_features))
    if n_features > 2:
        plane = _principal_plane(parts.train.x)
        labels = tuple(map(_component_label, (1, 2), plane.shares))
    elif dataset.is_table:
        labels = tuple(f"{name}, as models are given it" for name in dataset.prepared_names)
    elif n_features == 1:
        labels = (f"{dataset.feature_names[0]}, the only one",)
    else:
        labels = dataset.feature_names
    x = np.full((len(drawn.y), min(n_features, 2)), np.nan, parts.train.x.dtype)
    for part, which in zip(parts, rows, strict=True):
        x[which] = part.x if plane is None else plane.places(part.x)
    return _Columns(x, labels, n_features, plane is not None)


class _Plane(NamedTuple):
    """Where samples lie along two axes, and the share of the variance along either."""

    places: Callable[[ndarray], ndarray]
    shares: ndarray


def _principal_plane(x: ndarray) -> _Plane:
    """The first two principal components of samples; shares are NaN where nothing varies."""
    from sklearn.decomposition import PCA

    # Of values divided by the largest, squares neither overflow nor vanish.
    scale = float(abs(x).max()) or 1.0
    with np.errstate(invalid="ignore"):
        fitted = PCA(2, svd_solver="full").fit(x.astype(np.float64) / scale)
    return _Plane(
        lambda points: scale * fitted.transform(points.astype(np.float64) / scale),
        fitted.explained_variance_ratio_,
    )


def _component_label(number: int, share: float) -> str:
    of_all = "" if np.isnan(share) else f" ({100 * share:.0f} % of the variance)"
    return f"principal component {number}{of_all}"


def _selected(train: ndarray, test: ndarray) -> tuple[ndarray, ndarray]:
    """Of more samples than can be told apart in a picture, a random selection."""
    count = len(train) + len(test)
    if count <= DRAWN_SAMPLES:
        return train, test
    chosen = np.zeros(count, bool)
    chosen[np.random.default_rng(0).choice(count, DRAWN_SAMPLES, replace=False)] = True
    return train[chosen[: len(train)]], test[chosen[len(train) :]]


def _counts(y: ndarray, n_classes: int) -> ndarray:
    return np.bincount(y.astype(int), minlength=n_classes)


def _shown(y: ndarray, n_classes: int) -> tuple[int, ...]:
    """The classes of most samples, as many as can be told apart; in order of their numbers."""
    largest_first = np.argsort(-_counts(y, n_classes), kind="stable")
    return tuple(sorted(largest_first[:SHOWN_CLASSES].tolist()))


def _confusion(results: "Results", counts: ndarray) -> tuple[ndarray, ndarray]:
    """Of one model's confusions `(seed, true class, predicted class)`, the means of shares.

    Returns:
        Shares `(true class, predicted class)`, and `(true class,)` those without a prediction.
    """
    study = results.study

    @functools.lru_cache(1)  # most tables are drawn once
    def labels(data_seed: int) -> ndarray:
        return study.dataset.sample(data_seed).y

    tested = counts.sum(2)
    n_test = study.sizes[1]
    for place in np.flatnonzero(tested.sum(1) < n_test):  # some samples are predicted nothing
        one = study.replicate(study.seeds[place])
        rows = study.dataset.split(study.test_size, one.split_seed)
        tested[place] = _counts(labels(one.data_seed)[rows.test], study.dataset.n_classes)
    is_tested = tested > 0
    n_seeds = np.where(is_tested.any(0), is_tested.sum(0), np.nan)  # that test a class
    shares = counts / np.where(is_tested, tested, 1)[..., None]
    without = (tested - counts.sum(2)) / np.where(is_tested, tested, 1)
    return shares.sum(0) / n_seeds[:, None], without.sum(0) / n_seeds
