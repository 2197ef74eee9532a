"""Do the statistics keep their promises? Simulate studies whose truth is known, and count.

    python -m bench.calibration

prints a table and writes it to bench/results/CALIBRATION.md. Each row simulates studies in which
the truth is known, runs the public functions on them, and counts rejections or coverage.
"""

import argparse
import itertools
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_moons
from sklearn.tree import DecisionTreeClassifier

from bench import learners
from functional_clf.stats import (
    METRICS,
    betting_interval,
    compare,
    compare_crossed,
    corrected_t_test,
    crossed_interval,
    paired_t_interval,
    probability_of_superiority,
    score_t_interval,
    variance_components,
)
from functional_clf.stats.time_uniform import first_settled, rejected_after
from functional_clf.stats.types import Interval
from functional_clf.stats.verdicts import decide

SIZES = (8, 32)
MIXTURES = ((1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 0.0, 1.0))  # sd of rows, columns, interaction
FEW_LEVELS = ((2, 8), (2, 16), (2, 32), (3, 16), (4, 4), (4, 16), (16, 2), (16, 3))
EFFECTS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (3.0, 0.0), (0.0, 3.0), (3.0, 3.0))
CEILINGS = (  # the models' accuracies, test samples a run, runs
    (0.9895, 0.9995, 200, 5),
    (0.9895, 0.9995, 200, 10),
    (0.9895, 0.9995, 200, 20),
    (0.9895, 0.9995, 200, 50),
    (0.9895, 0.9995, 1000, 5),
    (0.99, 1.0, 20, 20),
    (0.99, 1.0, 50, 20),
    (0.99, 1.0, 200, 3),
    (0.98, 0.99, 20, 10),
    (0.98, 0.99, 20, 20),
    (0.995, 0.995, 200, 10),
)
NESTED = (  # model a's accuracy, the share of its errors that b makes too, test samples, runs
    (0.6, 0.975, 20, 20),
    (0.6, 0.975, 20, 64),
    (0.6, 0.975, 50, 20),
    (0.6, 0.975, 200, 10),
    (0.95, 0.8, 200, 20),
)
HARD_AND_EASY = (  # the models' accuracies, test samples a run, runs
    (0.95, 1.0, 200, 10),
    (0.95, 1.0, 1000, 20),
    (0.9895, 0.9995, 1000, 10),
    (0.98, 0.99, 1000, 10),
)
SHUFFLED = (  # a bundled data set, and the metric
    (load_breast_cancer, "balanced_accuracy"),
    (load_wine, "balanced_accuracy"),
    (load_iris, "accuracy"),  # its classes are of one size
    (load_digits, "balanced_accuracy"),
)
FEW_SEEDS = (3, 5, 10)
REPORT = Path(__file__).parent / "results" / "CALIBRATION.md"


class Row(NamedTuple):
    """One rate: how often something happened, and how often it may."""

    study: str
    rate: str
    measured: float
    standard_error: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the measured rate is within its bounds."""
        return self.low <= self.measured <= self.high


def count(study: str, rate: str, hits: Iterable[bool], low: float = 0.0, high: float = 1.0) -> Row:
    seen = np.fromiter(hits, dtype=bool)
    measured = float(seen.mean())
    error = float(np.sqrt(measured * (1 - measured) / seen.size))
    return Row(study, rate, measured, error, low, high)


def covers(interval: Interval | None, truth: float) -> bool:
    return interval is not None and interval.low <= truth <= interval.high


def data_scope_at_the_ceiling(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Both models all but perfect, so differences are few, discrete and skewed."""
    study = "data scope, null: both Binomial(200, .995), J = 64"
    correct = rng.binomial(200, 0.995, size=(repetitions, 2, 64))
    results = [compare(a, b, total=200) for a, b in correct]
    return [
        count(study, "t rejects", [not covers(c.interval, 0) for c in results], high=0.065),
        count(
            study,
            "sign-flip rejects",
            [(c.sign_flip_pvalue or 0) < 0.05 for c in results],
            0,
            0.065,
        ),
    ]


def data_scope_at_the_margin(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The true difference is the margin itself, so neither "better" nor "equivalent" is true."""
    study = "data scope, true difference = margin: Binomial(200, .99 and .98), J = 64"
    a = rng.binomial(200, 0.99, size=(repetitions, 64))
    b = rng.binomial(200, 0.98, size=(repetitions, 64))
    verdicts = [compare(x, y, total=200, margin=0.01).verdict for x, y in zip(a, b, strict=True)]
    within = ("equivalent", "better but negligible", "worse but negligible")
    return [
        count(study, 'verdict "better"', [v == "better" for v in verdicts], high=0.0375),
        count(study, "verdict within the margin", [v in within for v in verdicts], high=0.0375),
    ]


def side_misses(study: str, intervals: Iterable[Interval | None], truth: float) -> list[Row]:
    """Each side may miss 2.5 %; 3.75 is this file's bound for a verdict that should not be.

    Where the truth is a margin below 0, to be above it is what "equivalent" needs, and to be below
    it what "worse" needs. Without an interval there is no verdict to be wrong.
    """
    intervals = list(intervals)
    ends = [interval for interval in intervals if interval is not None]
    missing = [False] * (len(intervals) - len(ends))
    above, below = [i.low > truth for i in ends], [i.high < truth for i in ends]
    return [
        count(study, "interval wholly above the truth", above + missing, high=0.0375),
        count(study, "interval wholly below the truth", below + missing, high=0.0375),
    ]


def decided_on(
    a: NDArray[np.float64], b: NDArray[np.float64], n_test: int
) -> list[Interval | None]:
    """The intervals that `compare` decides on in its data scope, one a row."""
    return [
        score_t_interval(x, y, step=1 / n_test) or betting_interval(x - y, -1, 1)
        for x, y in zip(a, b, strict=True)
    ]


def near_the_ceiling(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Few errors: a model that by luck makes fewer also varies less, and t believes it."""
    rows = []
    for p_a, p_b, n_test, n_runs in CEILINGS:
        study = f"Binomial({n_test}, {p_a} and {p_b}), J = {n_runs}"
        a = rng.binomial(n_test, p_a, size=(repetitions, n_runs)) / n_test
        b = rng.binomial(n_test, p_b, size=(repetitions, n_runs)) / n_test
        intervals = decided_on(a, b, n_test)
        truth = p_a - p_b
        rows += side_misses(study, intervals, truth)
        if (n_test, n_runs) == (20, 20) and p_b == 1:
            t = [paired_t_interval(d) for d in a - b]
            above = [i is not None and i.low > truth for i in t]
            rows.append(count(study, "t alone wholly above (it must: teeth)", above, low=0.05))
    return rows


def errors_among_the_others(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Model b errs only where a does, so the differences are few and all to one side."""
    rows = []
    for p_a, shared, n_test, n_runs in NESTED:
        study = f"b errs on {100 * shared:g} % of a's errors, Binomial({n_test}, {1 - p_a:.3g}), "
        study += f"J = {n_runs}"
        wrong = rng.binomial(n_test, 1 - p_a, size=(repetitions, n_runs))
        a, b = 1 - wrong / n_test, 1 - rng.binomial(wrong, shared) / n_test
        truth = -(1 - p_a) * (1 - shared)
        rows += side_misses(study, decided_on(a, b, n_test), truth)
        if (n_test, n_runs) == (20, 20):
            without = [score_t_interval(x, y) for x, y in zip(a, b, strict=True)]
            above = [i is not None and i.low > truth for i in without]
            name = "above without the step (it must: teeth)"
            rows.append(count(study, name, above, low=0.05))
    return rows


def hard_and_easy_seeds(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """A seed's difficulty multiplies the error rates; it is exponential, and nothing allows for it.

    Most seeds go well and a few badly, in both models alike.
    """
    rows = []
    for p_a, p_b, n_test, n_runs in HARD_AND_EASY:
        difficulty = rng.exponential(size=(repetitions, n_runs))
        a, b = (
            1 - rng.binomial(n_test, np.minimum(1, (1 - p) * difficulty)) / n_test
            for p in (p_a, p_b)
        )
        study = f"error rates {1 - p_a:.3g} and {1 - p_b:.3g} times Exp(1) a seed, "
        study += f"{n_test} tested, J = {n_runs}"
        above = [i is not None and i.low > p_a - p_b for i in decided_on(a, b, n_test)]
        rows.append(count(study, "interval wholly above the truth", above))
    return rows


def on_one_test_set(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The init scope: few of the test samples are in doubt, the rest always right or wrong.

    Model b errs on 1 in 1000 of ten samples, and on the samples that are wrong for both.
    """
    rows = []
    for always_wrong, in_doubt, p_wrong, n_runs in (
        (0, 55, 0.04, 5),
        (1, 55, 0.02, 10),
        (20, 55, 0.02, 10),
        (20, 55, 0.04, 5),
        (5, 55, 0.98, 10),
    ):
        study = f"init scope, {always_wrong} of 200 test samples always misclassified, {in_doubt} "
        study += f"in {100 * p_wrong:g} % of runs, J = {n_runs}"
        wrong_a = rng.binomial(in_doubt, p_wrong, size=(repetitions, n_runs))
        wrong_b = rng.binomial(10, 0.001, size=(repetitions, n_runs))
        counts_a, counts_b = 200 - always_wrong - wrong_a, 200 - always_wrong - wrong_b
        intervals = [
            compare(a, b, total=200, scope="init").interval
            for a, b in zip(counts_a, counts_b, strict=True)
        ]
        rows += side_misses(study, intervals, (10 * 0.001 - in_doubt * p_wrong) / 200)
    return rows


def near_the_ceiling_over_splits(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The split scope: the errors are points of the data set, in whichever part they fall."""
    rows = []
    for n_splits in (15, 64):
        study = f"split scope, 1000 points, 800/200: errors at .0105 and .0005, J = {n_splits}"
        intervals = []
        for _ in range(repetitions):
            wrong = rng.random((2, 1000)) < np.array([[0.0105], [0.0005]])
            tested = rng.permuted(np.tile(np.arange(1000), (n_splits, 1)), axis=1)[:, :200]
            a, b = 200 - wrong[:, tested].sum(axis=-1)
            result = compare(a, b, total=200, n_train=800, scope="split")
            intervals.append(result.interval)
        rows += side_misses(study, intervals, -0.01)
    return rows


def near_the_ceiling_crossed(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The crossed design: a data seed's errors are the same for every initialisation."""
    study = "crossed 8 x 8, 200 tested: errors of the data at .0105 and .0005"
    intervals = []
    for _ in range(repetitions):
        wrong = rng.binomial(200, [[[0.0105]], [[0.0005]]], size=(2, 8, 1))
        a, b = np.broadcast_to(200 - wrong, (2, 8, 8))
        intervals.append(compare_crossed(a, b, total=200).interval)
    return side_misses(study, intervals, -0.01)


def split_differences(n_splits: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Train two stump classifiers on splits of one data set that treats them alike.

    1000 points of two classes with two features of the same law; model a sees one feature, model
    b the other, each thresholds half way between its training class means. Over data sets, by
    symmetry, neither is better.
    """
    n, n_train = 1000, 800
    y = np.repeat([0, 1], n // 2)
    x = rng.normal(size=(2, n)) + 2 * y
    order = np.argsort(rng.random((n_splits, n)), axis=1)
    train = np.zeros((n_splits, n))
    np.put_along_axis(train, order[:, :n_train], 1.0, axis=1)
    accuracy = []
    for feature in x:
        means = [(train @ (feature * (y == c))) / (train @ (y == c)) for c in (0, 1)]
        right = (feature > ((means[0] + means[1]) / 2)[:, None]) == y
        accuracy.append((right * (1 - train)).sum(axis=1) / (n - n_train))
    return accuracy[0] - accuracy[1]


def split_scope(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Splits of one data set overlap; a plain t takes them for new data sets."""
    rows = []
    for n_splits in (15, 64, 256):
        study = f"split scope, null: 1000 points, 800/200, J = {n_splits}"
        studies = [split_differences(n_splits, rng) for _ in range(repetitions)]
        corrected = [(corrected_t_test(d, 800, 200).pvalue or 0) < 0.05 for d in studies]
        naive = [not covers(paired_t_interval(d), 0) for d in studies]
        rows.append(count(study, "corrected t rejects", corrected, 0.035, 0.065))
        rows.append(count(study, "naive t rejects (it must: teeth)", naive, 0.25))
    return rows


def stump_accuracies(
    x: NDArray[np.float64], y: NDArray[np.int64], train: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Test accuracy of `DecisionTreeClassifier(max_depth=1)` for each row of `train`, at once."""
    n_train = train.sum(axis=1)
    ones = (train * y).sum(axis=1)
    rows = np.arange(len(train))
    best = np.full(len(train), np.inf)
    right = np.zeros(train.shape, dtype=bool)
    for values in x.T:
        order = np.argsort(values)
        z, seen = values[order], train[:, order]
        left = np.cumsum(seen, axis=1)
        left_ones = np.cumsum(seen * y[order], axis=1)
        rest, rest_ones = n_train[:, None] - left, ones[:, None] - left_ones
        impurity = left_ones * (left - left_ones) / np.maximum(left, 1)
        impurity += rest_ones * (rest - rest_ones) / np.maximum(rest, 1)
        impurity[~seen | (rest == 0)] = np.inf
        cut = impurity.argmin(axis=1)
        following = (seen & (np.arange(z.size) > cut[:, None])).argmax(axis=1)
        threshold = (z[cut] + z[following]) / 2
        low_is_one = 2 * left_ones[rows, cut] > left[rows, cut]
        high_is_one = 2 * rest_ones[rows, cut] > rest[rows, cut]
        below = values <= threshold[:, None]
        predicted = np.where(below, low_is_one[:, None], high_is_one[:, None])
        better = impurity[rows, cut] < best
        right[better] = (predicted == y)[better]
        best = np.minimum(best, impurity[rows, cut])
    return (right & ~train).sum(axis=1) / (~train).sum(axis=1)


def tree_accuracies(
    x: NDArray[np.float64], y: NDArray[np.int64], train: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Test accuracy of a fully grown `DecisionTreeClassifier` for each row of `train`."""
    inputs = x.astype(np.float32)  # what the trees compute in
    tree = DecisionTreeClassifier(random_state=0)
    fitted = (tree.fit(inputs[rows], y[rows], check_input=False) for rows in train)
    right = np.array([model.predict(inputs, check_input=False) == y for model in fitted])
    return (right & ~train).sum(axis=1) / (~train).sum(axis=1)


def split_scope_of_real_learners(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """How far off Nadeau and Bengio's approximation is on learners as people use them.

    A tree against a stump over splits of 100 points from two moons. The truth is the mean over all
    the studies, each of which has a data set of its own.
    """
    rows = []
    for share in (0.2, 0.1, 0.05):
        n_test = round(100 * share)
        studies = np.empty((repetitions, 64))
        for study in studies:
            moons = make_moons(100, noise=0.3, random_state=int(rng.integers(2**31)))
            x, y = np.asarray(moons[0]), np.asarray(moons[1])
            train = np.argsort(rng.random((64, 100)), axis=1) >= n_test
            study[:] = tree_accuracies(x, y, train) - stump_accuracies(x, y, train)
        truth = float(studies.mean())
        for n_splits in (15, 64):
            tests = [corrected_t_test(d, 100 - n_test, n_test) for d in studies[:, :n_splits]]
            name = f"split scope, tree against stump on moons(100), test share {share}"
            missed = [t.interval is not None and not covers(t.interval, truth) for t in tests]
            rows.append(count(f"{name}, J = {n_splits}", "corrected t misses", missed))
    return rows


def rare_collapse(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Model a is a little better, but 2 % of its seeds collapse to guessing: equal on average."""
    rows = []
    a_mean = 0.98 * 0.995 + 0.02 * 0.5
    for n in (16, 64, 256, 1024):
        study = f"rare collapse, null: 2 % of seeds at .5, n = {n}"
        collapsed = rng.random((repetitions, n)) < 0.02
        a = rng.binomial(200, np.where(collapsed, 0.5, 0.995)) / 200
        d = a - rng.binomial(200, a_mean, size=a.shape) / 200
        bounded = [covers(betting_interval(row, -1, 1), 0) for row in d]
        t = [covers(paired_t_interval(row), 0) for row in d]
        rows.append(count(study, "betting interval covers", bounded, low=0.95))
        rows.append(count(study, "t interval covers (no promise)", t))
    return rows


def collapses(
    shape: tuple[int, ...], share: float, b: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of 200: a is at .995, but a share of its seeds collapse by 50 pp; b never does."""
    collapsed = rng.random(shape[-1:]) < share
    a = rng.binomial(200, np.where(collapsed, 0.495, 0.995), size=shape)
    return a, rng.binomial(200, b, size=shape)


def collapses_unseen(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """What a sample cannot tell: in a small study often no seed has collapsed.

    No interval but the bounded one allows for what was not seen, so only that one has a bound.
    These rows show how far a verdict can be trusted where seeds may collapse.
    """
    drawn = range(repetitions)
    within = ("equivalent", "better but negligible")
    crossed = [compare_crossed(*collapses((4, 4), 0.1, 0.995, rng), total=200) for _ in drawn]
    splits = {"scope": "split", "n_train": 800, "total": 200}
    split = [compare(*collapses((15,), 0.05, 0.995, rng), **splits) for _ in drawn]
    rows = [
        count(study, "verdict within the margin", [c.verdict in within for c in results])
        for study, results in (
            ("crossed 4 x 4, 10 % of initialisation seeds collapse: truth -5 pp", crossed),
            ("split scope, 5 % of seeds collapse: truth -2.5 pp, J = 15", split),
        )
    ]
    for n in (10, 64):
        study = f"data scope, 2 % of seeds collapse, +1 pp otherwise: truth 0, J = {n}"
        results = [compare(*collapses((n,), 0.02, 0.985, rng), total=200) for _ in drawn]
        excluded = [not covers(c.interval, 0.0) for c in results]
        bounded = [not covers(c.bounded_interval, 0.0) for c in results]
        rows.append(count(study, "interval excludes the truth", excluded))
        rows.append(count(study, "bounded interval excludes the truth", bounded, high=0.05))
    return rows


def crossed_tables(
    shape: tuple[int, int],
    sds: tuple[float, float, float],
    repetitions: int,
    rng: np.random.Generator,
) -> Iterator[NDArray[np.float64]]:
    for _ in range(repetitions):
        yield (
            sds[0] * rng.normal(size=(shape[0], 1))
            + sds[1] * rng.normal(size=(1, shape[1]))
            + sds[2] * rng.normal(size=shape)
        )


def crossed_mean(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The interval pays for rows and columns; without any effect it is meant to be cautious.

    At 8 x 8 without effects there is no upper bound: what keeps the promise on grids with few
    levels, min(a, b) - 1 degrees of freedom, covers 99 % there, and that is safe.
    """
    rows = []
    for size, sds in itertools.product(SIZES, MIXTURES):
        tables = crossed_tables((size, size), sds, repetitions, rng)
        hits = [covers(crossed_interval(t), 0) for t in tables]
        high = 1.0 if size == 8 and not any(sds[:2]) else 0.975
        rows.append(count(crossed_name(size, sds), "crossed interval covers", hits, 0.935, high))
    return rows


def crossed_few_levels(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """With few levels a lucky mean square must not pass for no effect: the worst mixture counts.

    The bound is 5 % and two standard errors.
    """
    high = 0.05 + 2 * float(np.sqrt(0.05 * 0.95 / repetitions))
    rows = []
    for shape in FEW_LEVELS:
        mixtures = []
        for effects in EFFECTS:
            sds = (*effects, 1.0)
            tables = crossed_tables(shape, sds, repetitions, rng)
            missed = [not covers(crossed_interval(t), 0) for t in tables]
            study = f"crossed {shape[0]} x {shape[1]}, worst of {len(EFFECTS)} mixtures: "
            study += f"sd of data, training, interaction {sds}"
            mixtures.append(count(study, "crossed interval misses", missed, high=high))
        rows.append(max(mixtures, key=lambda row: row.measured))
    return rows


def crossed_variances(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Intervals for where the variance comes from: 97.5 % where a component is absent."""
    rows = []
    for size, sds in itertools.product(SIZES, MIXTURES):
        parts = [
            variance_components(t) for t in crossed_tables((size, size), sds, repetitions, rng)
        ]
        for name, sd in zip(("rows", "columns", "interaction"), sds, strict=True):
            hits = [covers(getattr(part, name).interval, sd**2) for part in parts]
            what = f"variance interval covers, {name}"
            rows.append(count(crossed_name(size, sds), what, hits, 0.935, 0.985))
    return rows


def crossed_name(size: int, sds: tuple[float, float, float]) -> str:
    return f"crossed {size} x {size}, sd of data, training, interaction {sds}"


def superiority(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Half a win for a tie is not Clopper and Pearson's case; the promise must still hold."""
    rows = []
    for win, tie, loss in ((0.5, 0.0, 0.5), (0.3, 0.4, 0.3), (0.02, 0.97, 0.01), (0.9, 0.1, 0.0)):
        study = f"superiority, win {win}, tie {tie}, J = 64"
        outcomes = rng.choice([1, 0, -1], p=[win, tie, loss], size=(repetitions, 64))
        truth = win + tie / 2
        hits = [covers(probability_of_superiority(row).interval, truth) for row in outcomes]
        rows.append(count(study, "interval covers", hits, low=0.95))
    return rows


def looked_at_as_they_come(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The time-uniform interval may be looked at after each of 10 000 seeds."""
    n, rows = 10_000, []
    laws: dict[str, tuple[Callable[[], NDArray[np.float64]], float]] = {
        "both Binomial(200, .995)": (
            lambda: (rng.binomial(200, 0.995, n) - rng.binomial(200, 0.995, n)) / 200,
            0.0,
        ),
        "2 % of seeds collapse to -.5, else 0": (
            lambda: np.where(rng.random(n) < 0.02, -0.5, 0.0),
            -0.01,
        ),
        "skewed: 2 Beta(.1, 2) - 1": (lambda: 2 * rng.beta(0.1, 2, n) - 1, 0.2 / 2.1 - 1),
        "1 with probability .3, else -1": (lambda: np.where(rng.random(n) < 0.3, 1.0, -1.0), -0.4),
    }
    for name, (draw, mean) in laws.items():
        missed = (bool(rejected_after(draw(), -1, 1, mean)[-1]) for _ in range(repetitions))
        study = f"differences {name}, looked at after each of 10 000"
        rows.append(count(study, "time-uniform interval ever misses", missed, high=0.05))
    return rows


def looked_at_naively(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """What the time-uniform interval is for: t at every number of seeds, until it tells."""
    t = np.arange(1, 1001)
    quantile = student.ppf(0.975, np.maximum(t - 1, 1))
    alarms = []
    for _ in range(repetitions):
        d = (rng.binomial(200, 0.995, t.size) - rng.binomial(200, 0.995, t.size)) / 200
        mean, square = np.cumsum(d) / t, np.cumsum(d**2) / t
        error = np.sqrt(np.maximum(square - mean**2, 0) / np.maximum(t - 1, 1))
        alarms.append(bool((np.abs(mean) > quantile * error)[9:].any()))
    study = "null: both Binomial(200, .995), looked at after each of seeds 10 to 1000"
    return [count(study, "plain t ever leaves out 0 (it must: teeth)", alarms, low=0.25)]


def until_decided_at_the_margin(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The true difference is the margin, so that any verdict that it stops at is wrong."""
    rows = []
    for name, draw in (
        (
            "Binomial(200, .99 and .98)",
            lambda: rng.binomial(200, 0.99, 4096) / 200 - rng.binomial(200, 0.98, 4096) / 200,
        ),
        ("normal, sd 2 pp", lambda: np.clip(rng.normal(0.01, 0.02, 4096), -1, 1)),
        (
            "2 % of seeds collapse by 50 pp, else 2.04 pp",
            lambda: np.where(rng.random(4096) < 0.02, -0.5, 0.02 / 0.98),
        ),
    ):
        stops = (first_settled([draw()], 0.01, 0.05, 1.0) is not None for _ in range(repetitions))
        study = f"until decided, true difference = margin of 1 pp: {name}, at most 4096 seeds"
        rows.append(count(study, "stops at a verdict, a wrong one", stops, high=0.05))
    return rows


def seeds_until_decided(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """How many seeds a verdict takes against a margin of 1 pp, beside what was simulated once."""
    rows = []
    laws: list[tuple[str, int, Callable[[], NDArray[np.float64]]]] = [
        (
            f"{100 * mean:g} pp (sd {100 * sd:g})",
            median,
            lambda mean=mean, sd=sd: np.clip(rng.normal(mean, sd, 8000), -1, 1),
        )
        for mean, sd, median in (
            (0.54, 0.02, 10),
            (0.05, 0.03, 107),
            (0.02, 0.02, 422),
            (0.0, 0.02, 442),
            (0.003, 0.01, 584),
        )
    ]
    laws.append(
        (
            "both Binomial(200, .995)",
            419,
            lambda: (rng.binomial(200, 0.995, 8000) - rng.binomial(200, 0.995, 8000)) / 200,
        )
    )
    for name, median, draw in laws:
        stops = np.array(
            [first_settled([draw()], 0.01, 0.05, 1.0) or 8000 for _ in range(repetitions)]
        )
        measured, error = np.median(stops) / median, 1.25 * stops.std() / len(stops) ** 0.5 / median
        study = f"until decided, difference {name}: median of {np.median(stops):g} seeds"
        rows.append(Row(study, f"median in per cent of {median}", measured, error, 0.8, 1.2))
    return rows


def shuffled_labels(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The split scope on real features with labels that mean nothing: no model is the better one.

    Splits are stratified, so a test sample is of each class by a known chance, whatever a model
    predicts: by balanced accuracy any two models are equal in truth, and by accuracy where the
    classes are of one size. By accuracy of unequal classes they are not: who says the largest class
    more often is better. Left out are trees of one split, which say the largest class of almost
    every sample here, and so have no spread.
    """
    rows = []
    for load, metric in SHUFFLED:
        x, y = load(return_X_y=True)
        x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
        order = learners.neighbours(x)
        n_test = -(-len(x) // 5)
        studies = np.empty((repetitions, 3, 100))
        for study in studies:
            y = rng.permutation(y)
            train = learners.stratified(y, n_test, 100, rng)
            predicted = (
                learners.ridge(x, y, train),
                learners.naive_bayes(x, y, train),
                learners.nearest_of(order, y, train),
            )
            score = learners.accuracies
            if metric != "accuracy":
                score = learners.balanced_accuracies
            study[:] = [score(one, y, train) for one in predicted]
        step, of_classes = 1 / n_test, METRICS[metric].step
        if of_classes is not None:
            step = of_classes(np.floor(np.bincount(y) * n_test / len(x)))
        name = load.__name__.removeprefix("load_")
        for number, other in ((1, "naive Bayes"), (2, "nearest neighbour")):
            for n_splits in (10, 30, 100):
                what = (
                    f"split scope, {name}, labels shuffled: ridge against {other}, J = {n_splits}"
                )
                factor = 1 / n_splits + n_test / (len(x) - n_test)
                false, corrected, naive = [], [], []
                for scores in studies[:, :, :n_splits]:
                    a, b = scores[0], scores[number]
                    interval = score_t_interval(a, b, variance_factor=factor, step=step)
                    false.append(interval is not None and not covers(interval, 0))
                    test = corrected_t_test(a - b, len(x) - n_test, n_test)
                    corrected.append((test.pvalue or 0) < 0.05)
                    naive.append(not covers(paired_t_interval(a - b), 0))
                rows.append(count(what, "interval excludes 0", false, high=0.07))
                rows.append(count(what, "corrected t alone rejects", corrected))
                must = n_splits == 100
                rate = f"naive t rejects{' (it must: teeth)' if must else ''}"
                rows.append(count(what, rate, naive, low=0.25 if must else 0.0))
    return rows


def mean_over_data_sets(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The t interval for the mean effect over data sets, which differ in effect and in noise."""
    rows = []
    for n_sets in (5, 20):
        for law, effects in (
            ("equal", np.zeros((repetitions, n_sets))),
            ("normal, sd 2 pp", rng.normal(0, 0.02, (repetitions, n_sets))),
            ("skewed, sd 2 pp", 0.02 * (rng.exponential(size=(repetitions, n_sets)) - 1)),
        ):
            noise = rng.choice([0.002, 0.005, 0.02], size=effects.shape)
            seen = effects + noise * rng.normal(size=effects.shape)
            study = f"mean over {n_sets} data sets, true effects {law}, standard errors .2 to 2 pp"
            hits = [covers(paired_t_interval(row), 0) for row in seen]
            low = 0.0 if law.startswith("skewed") else 0.935
            rows.append(count(study, "t interval covers", hits, low))
    return rows


def few_seeds(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Verdicts of very small studies: how often one is given that is wrong.

    Where there is no difference, to say that one model is better is wrong, by more than the margin
    or less; where the difference is the margin, it is wrong that it is more, and that it is less.
    """
    rows = []
    within = ("equivalent", "better but negligible", "worse but negligible")
    for n_runs, truth in itertools.product(FEW_SEEDS, (0.0, 0.01)):
        for law, a, b in few_runs((repetitions, n_runs), truth, rng):
            study = f"data scope, J = {n_runs}, {law}, true difference {100 * truth:g} pp"
            intervals = decided_on(a / 1000, b / 1000, 1000)
            verdicts = [decide(interval, 0.01) for interval in intervals]
            if truth == 0:
                wrong = [not covers(interval, 0) for interval in intervals]
                rows.append(count(study, "better or worse is said, at all", wrong, high=0.065))
                beyond = [verdict in ("better", "worse") for verdict in verdicts]
                rows.append(count(study, 'verdict "better" or "worse"', beyond, high=0.05))
            else:
                better = [verdict == "better" for verdict in verdicts]
                less = [verdict in within for verdict in verdicts]
                high = 1.0 if law.startswith("skewed") else 0.0375
                rows.append(count(study, 'verdict "better"', better, high=high))
                rows.append(count(study, "verdict within the margin", less, high=high))
    return rows


def few_runs(
    shape: tuple[int, int], truth: float, rng: np.random.Generator
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Counts of 1000 of two models by law, of which the first is the better one by `truth`.

    Mean accuracies are about .9, at the ceiling .9995 for the first; error rates of .03 are
    multiplied, seed by seed, by an exponential variable, which is the same for both models.
    """
    normal = rng.normal(0, 0.02, (2, *shape))
    yield (
        "normal, sd 2 pp",
        rng.binomial(1000, np.clip(0.9 + normal[0] + truth, 0, 1)),
        rng.binomial(1000, np.clip(0.9 + normal[1], 0, 1)),
    )
    yield (
        "at the ceiling",
        rng.binomial(1000, 0.9995, size=shape),
        rng.binomial(1000, 0.9995 - truth, size=shape),
    )
    skewed = rng.exponential(size=shape)
    yield (
        "skewed: hard and easy seeds",
        rng.binomial(1000, 1 - np.minimum(1, (0.03 - truth) * skewed)),
        rng.binomial(1000, 1 - np.minimum(1, 0.03 * skewed)),
    )


STUDIES: dict[Callable[[int, np.random.Generator], list[Row]], int] = {
    data_scope_at_the_ceiling: 4000,
    data_scope_at_the_margin: 4000,
    split_scope: 4000,
    rare_collapse: 4000,
    crossed_variances: 4000,
    superiority: 10000,
    crossed_mean: 40000,
    crossed_few_levels: 8000,
    near_the_ceiling: 10000,
    on_one_test_set: 4000,
    near_the_ceiling_over_splits: 4000,
    near_the_ceiling_crossed: 4000,
    collapses_unseen: 4000,
    split_scope_of_real_learners: 2000,
    errors_among_the_others: 10000,
    hard_and_easy_seeds: 4000,
    shuffled_labels: 2000,
    mean_over_data_sets: 10000,
    few_seeds: 10000,
    looked_at_as_they_come: 2000,
    looked_at_naively: 2000,
    until_decided_at_the_margin: 2000,
    seeds_until_decided: 2000,
}


def report(seed: int, scale: float = 1.0) -> str:
    """Run every study and return the report."""
    started = time.process_time()
    lines = []
    failed = 0
    for index, (study, repetitions) in enumerate(STUDIES.items()):
        repetitions = max(1, round(repetitions * scale))
        for row in study(repetitions, np.random.default_rng([seed, index])):
            failed += not row.passed
            lines.append(
                f"| {row.study} | {row.rate} | {bounds(row)} | {100 * row.measured:.2f} "
                f"± {100 * row.standard_error:.2f} | {repetitions} | "
                f"{'pass' if row.passed else 'FAIL'} |"
            )
            print(lines[-1], flush=True)
    seconds = time.process_time() - started
    summary = f"Rows that fail: {failed}." if failed else "Every row passes."
    command = "python -m bench.calibration" + (f" --seed {seed}" if seed else "")
    command += f" --scale {scale}" if scale != 1 else ""
    return "\n".join(
        [
            "# Calibration of the statistics",
            "",
            f"Made by `{command}`: each study draws from `default_rng([{seed}, its position])`; "
            f"rates in per cent ± one standard error; intervals and tests at the 5 % level. "
            f"{seconds:.0f} s on one core, Python {platform.python_version()}, "
            f"NumPy {np.__version__}, SciPy {scipy.__version__}, "
            f"scikit-learn {sklearn.__version__}. {summary}",
            "",
            "The bounds of the null, rare-collapse and crossed-mean rows are the project's "
            "contract, but for the upper one, 97.5, where 8 x 8 has no effects: 99 is safe, and "
            "what keeps grids of few levels within 5 % gives that. The other bounds are this "
            "file's. Rows without bounds are measured, not promised.",
            "",
            "Three limits are in those rows. The corrected t of the split scope is an "
            "approximation: by learner and test share it misses more or less often than the 5 % "
            "it is meant to. Tree against stump on 100 points, it was seen to miss 5 % at a test "
            "share of .2, 7 to 9 % at .1 and 8 to 10 % at .05. Where seeds are hard or easy as a "
            "whole, so that a few go much worse than most, an interval may miss on the side of "
            "the luckier studies more often than it should. And where seeds may collapse, a small "
            "study often has seen no collapse: its interval then knows nothing of them; only the "
            "bounded one allows for them.",
            "",
            "Of real features with labels that mean nothing, on which no model is better than "
            "another (four bundled data sets, a straight line by least squares against naive "
            "Bayes and against the nearest neighbour, test share .2), the split scope's interval "
            "left out 0 in at most 2.6 % of studies of 10, 30 and 100 splits, and the corrected t "
            "alone in at most 5 %: there it is cautious. The naive t did in up to 70 %. "
            "For the mean over data sets t keeps its level but where few of them carry most of the "
            "effect: of skewed effects it covers 92.6 % over 5 data sets and 93.8 % over 20.",
            "",
            "Whoever looks after each seed and stops at a verdict needs the time-uniform interval: "
            "it hardly ever misses at any of 10 000 numbers of seeds, where plain t sees a "
            "difference that is not there in nearly every second study of at most 1000.",
            "",
            "| study | rate | bounds % | measured % | repetitions | |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def bounds(row: Row) -> str:
    low, high = f"{100 * row.low:.3g}", f"{100 * row.high:.3g}"
    if row.low > 0 and row.high != 1:
        return f"{low} to {high}"
    if row.high < 1:
        return f"at most {high}"
    return f"at least {low}" if row.low > 0 else "none"


def main() -> None:
    """Run the calibration and write its report."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="repetitions, as a multiple")
    parser.add_argument("--out", type=Path, default=REPORT)
    arguments = parser.parse_args()
    text = report(arguments.seed, arguments.scale)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text, encoding="utf-8")
    print(f"\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
