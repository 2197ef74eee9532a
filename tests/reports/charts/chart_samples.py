"""What charts are drawn of in these tests, small and the same every time."""

import numpy as np

from functional_clf.reports.findings import Findings, ModelFigures, findings_of_scores
from functional_clf.reports.pictures import (
    BoundariesPicture,
    ClassesPicture,
    ConfusionPicture,
    CurvesPicture,
    DataPicture,
    ModelCurves,
    ModelDecisions,
)
from functional_clf.score_tables.comparing import compare_table
from functional_clf.score_tables.table import ScoreTable
from functional_clf.stats import METRICS, compare
from functional_clf.stats.lucky_seeds import LuckySeeds
from functional_clf.stats.scopes import DATA
from functional_clf.stats.summaries import describe

LONG = tuple(f"a_model_whose_name_is_very_long_{place}_{'of_many' * 8}" for place in range(8))
HOSTILE = (
    "<script>alert(1)</script>", 'a & "b" \'c\'', "плоская модель", "😀😀😀", "אבג\u202edef",
    "x\x1b[31m\ny", "</svg><img src=x onerror=alert(2)>", "]]><!-- &lt;",
)  # fmt: skip


def scores_of(n_models, n_seeds, seed=1):
    random = np.random.default_rng(seed)
    means = 0.6 + 0.04 * np.arange(n_models)[:, None]
    return np.clip(random.normal(means, 0.05, (n_models, n_seeds)), 0, 1)


def findings_of_models(names, n_seeds=12, **rules):
    scores = dict(zip(names, scores_of(len(names), n_seeds), strict=True))
    table = ScoreTable(scores, np.arange(n_seeds), source="scores.csv")
    return findings_of_scores(table, compare_table(table, **rules))


def findings_by_hand(comparisons, metric="accuracy", margin=0.01, **more):
    models = tuple(
        ModelFigures(name, 2, describe(np.array([0.5, 0.6])), None, 0, 0)
        for name in dict.fromkeys(
            name for one in comparisons for name in (one.model_a.name, one.model_b.name)
        )
    )
    return Findings(
        "data", "2 pairs", METRICS[metric], margin, 0.05, models, tuple(comparisons), "", **more
    )


def compared(a, b, names=("new", "old"), **rules):
    return compare(a, b, names=names, **rules)


def curves_of(names, epochs=(1, 10, 100, 1000), spoil=None):
    found = []
    for place in range(len(names)):
        steps = np.linspace(0, 1, len(epochs))
        loss = np.exp(-(2 + 0.2 * place) * steps)
        accuracy = 50 + (30 + 2 * place) * steps
        one = ModelCurves(
            np.array(epochs), *(np.stack([0.8 * loss, loss, 1.3 * loss]) * k for k in (1, 1.2)),
            *(np.stack([accuracy - 3, accuracy, accuracy + 4]) - k for k in (0, 2)),
        )  # fmt: skip
        found.append(one if spoil is None else spoil(one))
    return CurvesPicture("circles", tuple(names), 64, "binary cross-entropy", tuple(found))


def boundaries_of(names, n_classes=2, is_table=False, diverged=False):
    random = np.random.default_rng(0)
    side = np.linspace(-1.5, 1.5, 40)
    plane = np.stack(np.meshgrid(side, side))
    classes = tuple(str(place) for place in range(n_classes))
    decisions = []
    for place in range(len(names)):
        x = random.uniform(-1.4, 1.4, (60, 2))
        y = random.integers(0, n_classes, 60)
        if n_classes == 2:
            logits, winner = 1 - np.hypot(*plane), np.zeros(0, int)
            share = np.clip(0.5 + logits, 0, 1)
        else:
            angles = np.linspace(0, 2 * np.pi, n_classes, endpoint=False)
            logits = np.stack([plane[0] * np.cos(a) + plane[1] * np.sin(a) for a in angles])
            winner, share = logits.argmax(0), np.full(plane.shape[1:], 0.8)
        if diverged:
            logits = np.full(logits.shape, np.nan)
        decisions.append(ModelDecisions(place, 3, 97.5, x, y, logits, 64, place, winner, share))
    return BoundariesPicture(
        "circles", tuple(names), classes, tuple(range(min(n_classes, 12))), is_table,
        ("x", "y"), False, np.array([2.4, 2.4]), plane, tuple(decisions),
    )  # fmt: skip


def data_of(n_classes=2, n_features=2, n=80, names=None, labels=("width", "height")):
    random = np.random.default_rng(0)
    rows = np.arange(n)
    return DataPicture(
        "table", ("a",), 0, names or tuple(map(str, range(n_classes))),
        tuple(range(min(n_classes, 12))), False, labels[:n_features], n_features, False,
        random.normal(size=(n, n_features)), random.integers(0, n_classes, n),
        rows[: n // 2], rows[n // 2 :], n // 2, n - n // 2, 0,
    )  # fmt: skip


def confusion_of(models, classes, nothing=0.0, untested=()):
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(len(classes)), (len(models), len(classes))) * (1 - nothing)
    lost = np.full(shares.shape[:2], nothing)
    for place in untested:
        shares[:, place], lost[:, place] = np.nan, np.nan
    return ConfusionPicture("table", tuple(models), 64, tuple(classes), shares, lost)


def classes_of(classes):
    counts = np.random.default_rng(0).integers(1, 40, (2, len(classes)))
    return ClassesPicture("table", ("a",), 0, tuple(classes), counts)


def lucky_of(names=("new", "old"), n_pairs=20, **more):
    sizes = tuple(range(1, n_pairs // 2 + 1))
    wrong = tuple(0.5 / size for size in sizes)
    told = {
        "names": names, "n_pairs": n_pairs, "estimate": 0.03, "verdict": "better",
        "metric": "accuracy", "margin": 0.01, "alpha": 0.05, "scope": DATA,
        "repetitions": 2000, "sizes": sizes, "wrong": wrong, "tied": (0.01,) * len(sizes),
        "width": (None, *(0.4 / size for size in sizes[1:])),
        "undecided": tuple(1 - share for share in wrong), "misled": (0.0,) * len(sizes),
    }  # fmt: skip
    return LuckySeeds(**(told | more))
