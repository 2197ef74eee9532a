"""What another rank sends of a chunk is held against the chunk that it was dealt."""

import json
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from torch import nn

from functional_clf import (
    EarlyStopping,
    Study,
    blobs,
    circles,
    estimator,
    from_arrays,
    module_recipe,
)
from functional_clf.contestants.base import Trained
from functional_clf.contestants.mlp import mlp_recipe, model_0, model_1
from functional_clf.core.types import Curves, Metrics
from functional_clf.record.rows import SEED_COLUMNS
from functional_clf.study.answers import answer_check

SEEDS = [0, 1, 2]


class Unlucky(GaussianNB):
    """Fails where the first sample is of class 1, and warns where the last one is."""

    def fit(self, X, y):  # noqa: N803
        if y[0] == 1:
            raise ValueError("no luck")
        if y[-1] == 1:
            warnings.warn("Nearly", ConvergenceWarning, 2)
        return GaussianNB.fit(self, X, y)


@dataclass(frozen=True)
class Guess:
    """A contestant of somebody's own, with weights, curves, and a loss of its own."""

    name: str = "guess"
    curve_epochs = (0, 4)

    def describe(self):
        return {"kind": "guess", "name": self.name}

    def train(self, data, replicates, training):
        def measure(batch):
            width = len(batch.y)
            loss = torch.tensor([-1.0, torch.inf])[:, None].expand(2, width)
            return Metrics(loss, (batch.y == 0).sum(1).expand(2, width))

        curves = Curves(self.curve_epochs, measure(data.train), measure(data.test))
        width = len(replicates)
        epochs = np.arange(width)
        return Trained({"w": torch.ones(width, 3)}, curves, np.zeros(width, bool), epochs=epochs)


def table():
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 3))
    return from_arrays(x, (x[:, 0] + random.normal(size=90) > 0).astype(int), name="table")


def normed(n_features, n_classes):
    return nn.Sequential(nn.Linear(n_features, 4), nn.BatchNorm1d(4), nn.Linear(4, n_classes))


def studies():
    eager = {"engine": "eager", "seeds": 6, "chunk_size": 3}
    crossed = {"engine": "eager", "design": "crossed", "data_seeds": 3, "init_seeds": 2}
    stop = EarlyStopping(patience=2, validation=0.2)
    mlp = mlp_recipe("stopping", hidden=(4,), epochs=6, batch_size=16, stop=stop)
    batch = module_recipe("normed", normed, epochs=2, batch_size=16)
    wild = mlp_recipe("wild", hidden=(4,), learning_rate=1e30, epochs=4)
    fits = estimator("lr", LogisticRegression(max_iter=1)), estimator("svm", LinearSVC())
    lesson = model_0(epochs=4), model_1(epochs=4)
    return {
        "the lesson": Study(circles(60), lesson, **eager),
        "crossed": Study(circles(60), lesson, chunk_size=3, **crossed),
        "diverging": Study(circles(60), (wild,), **eager),
        "classes": Study(blobs(60), (mlp_recipe("wide", hidden=(4,), epochs=3),), **eager),
        "metrics": Study(circles(60), lesson, metric="log_loss", margin=0.1, **eager),
        "a table": Study(table(), (*fits, estimator("bad", Unlucky()), mlp, batch), **eager),
        "somebody's own": Study(circles(60), (Guess(), model_1(epochs=4)), **eager),
        "of a table": Study(table(), (Guess(), mlp), **eager),
    }


STUDIES = studies()
RESULTS = {}


def of(name):
    if name not in RESULTS:
        RESULTS[name] = STUDIES[name].retrain(SEEDS)[0]
    return STUDIES[name], RESULTS[name]


def sent(result, **changes):
    """As it arrives, but for what was changed."""
    return result._replace(
        rows=[tuple(row) for row in json.loads(json.dumps(result.rows))], **changes
    )


def with_curve(result, key, array):
    return sent(result, curves={**result.curves, key: array})


@pytest.mark.parametrize("name", STUDIES)
def test_an_honest_answer_passes(name):
    study, result = of(name)
    answer_check(study, lambda seeds: True)(SEEDS, sent(result))
    answer_check(study, lambda seeds: False)(SEEDS, sent(result, params={}))


def test_the_answers_here_hold_what_answers_can_hold():
    found = {
        key.partition("/")[2].partition("/")[0] for name in STUDIES for key in of(name)[1].curves
    }
    assert found >= {"train_loss", "scores", "majority", "confusion", "counts", "warned"}
    assert any(np.isnan(row[-2]) for row in of("a table")[1].rows)
    assert any(row[-1] for row in of("diverging")[1].rows)


def wrong_values(value):
    if isinstance(value, bool):
        return [int(value), None, str(value)]
    if isinstance(value, int):
        return [value + 1, -1, float(value), None, str(value), [value], 2**70]
    if isinstance(value, float):
        return [0.5 if value != value or value > 1e30 else value + 0.125, None, str(value), 7]
    return [f"{value}x", 3, None]


@pytest.mark.parametrize("name", STUDIES)
def test_a_row_that_says_anything_else_is_refused(name):
    study, result = of(name)
    check = answer_check(study, lambda seeds: True)
    rows = sent(result).rows
    for index, row in enumerate(rows):
        for column, value in enumerate(row):
            for wrong in wrong_values(value):
                changed = (*row[:column], wrong, *row[column + 1 :])
                told = rf"seed {SEEDS[index % 3]}: .*(row|diverged)"
                with pytest.raises(ValueError, match=told):
                    check(SEEDS, result._replace(rows=[*rows[:index], changed, *rows[index + 1 :]]))
    for wrong in (rows[:-1], [*rows, rows[0]], [], [rows[1], rows[0], *rows[2:]], [()] * len(rows)):
        with pytest.raises(ValueError, match=r"rows|row differs"):
            check(SEEDS, result._replace(rows=wrong))
    assert len(rows[0]) == len(SEED_COLUMNS)


@pytest.mark.parametrize("seeds", [[0, 1, 3], [3, 4, 5], [0, 1], [0, 1, 2, 3], [2, 1, 0]])
def test_the_answer_to_another_chunk_is_refused(seeds):
    study, result = of("the lesson")
    with pytest.raises(ValueError, match=r"rows|row differs in seed"):
        answer_check(study, lambda _: True)(seeds, sent(result))


def wrong_arrays(array):
    yield array[..., :-1]
    yield np.concatenate([array, array])
    yield array[None]
    yield array.astype("S8")
    yield array.astype(np.complex64)
    yield array.astype(np.uint8 if array.dtype.kind == "f" else np.float64)
    yield np.zeros((), array.dtype)


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_an_array_of_another_form_is_refused(name):
    study, result = of(name)
    check = answer_check(study, lambda seeds: True)
    for key, array in result.curves.items():
        for wrong in wrong_arrays(array):
            with pytest.raises(ValueError, match=r"of .* and shape|is not there"):
                check(SEEDS, with_curve(result, key, wrong))
        numbers = []
        if array.dtype.kind == "i":
            # Of how many epochs somebody's own training takes, nobody knows.
            numbers = [-1] if key.startswith("guess/counts") else [-1, 10**6]
        elif "scores/" in key or "majority/" in key:
            numbers = [-0.5]
        for number in numbers:
            with pytest.raises(ValueError, match="outside"):
                check(SEEDS, with_curve(result, key, np.full_like(array, number)))
    some = next(iter(result.curves.values()))
    for more in ("model_9/train_loss", "x", "", "lr/other", f"{study.names[0]}/scores/other"):
        with pytest.raises(ValueError, match=r"nobody asked|of no model"):
            check(SEEDS, with_curve(result, more, some))


@pytest.mark.parametrize("name", ["the lesson", "classes", "metrics"])
def test_no_array_of_a_network_may_lack(name):
    study, result = of(name)
    check = answer_check(study, lambda seeds: True)
    for kind in ("curves", "params"):
        arrays = getattr(result, kind)
        assert arrays
        for key in arrays:
            left = {one: value for one, value in arrays.items() if one != key}
            with pytest.raises(ValueError, match=r"is not there|its weights are"):
                check(SEEDS, sent(result, **{kind: left}))


def test_weights_are_those_of_the_network_and_sent_where_they_are_kept():
    study, result = of("the lesson")
    check = answer_check(study, lambda seeds: True)
    for key, array in result.params.items():
        for wrong in (array[:-1], array[..., None], array.astype("S4")):
            with pytest.raises(ValueError, match=r"of .* and shape"):
                check(SEEDS, sent(result, params={**result.params, key: wrong}))
    for more in ("model_1/9.weight", "x"):
        with pytest.raises(ValueError, match=r"its weights are|of no model"):
            check(SEEDS, sent(result, params={**result.params, more: np.zeros(3)}))
    with pytest.raises(ValueError, match="not kept"):
        answer_check(study, lambda seeds: False)(SEEDS, sent(result))
