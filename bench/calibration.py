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
from numpy.typing import NDArray

from functional_clf.stats import (
    betting_interval,
    compare,
    corrected_t_test,
    crossed_interval,
    paired_t_interval,
    probability_of_superiority,
    variance_components,
)
from functional_clf.stats.types import Interval

SIZES = (8, 32)
MIXTURES = ((1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 0.0, 1.0))  # sd of rows, columns, interaction
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


def crossed_tables(
    size: int, sds: tuple[float, float, float], repetitions: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    for _ in range(repetitions):
        yield (
            sds[0] * rng.normal(size=(size, 1))
            + sds[1] * rng.normal(size=(1, size))
            + sds[2] * rng.normal(size=(size, size))
        )


def crossed_mean(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """The interval pays for rows and columns; without any effect it is meant to be cautious.

    Many repetitions, as the 8 x 8 tables without effects come out close to their bound.
    """
    rows = []
    for size, sds in itertools.product(SIZES, MIXTURES):
        hits = [covers(crossed_interval(t), 0) for t in crossed_tables(size, sds, repetitions, rng)]
        rows.append(count(crossed_name(size, sds), "crossed interval covers", hits, 0.935, 0.975))
    return rows


def crossed_variances(repetitions: int, rng: np.random.Generator) -> list[Row]:
    """Intervals for where the variance comes from: 97.5 % where a component is absent."""
    rows = []
    for size, sds in itertools.product(SIZES, MIXTURES):
        parts = [variance_components(t) for t in crossed_tables(size, sds, repetitions, rng)]
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


STUDIES: dict[Callable[[int, np.random.Generator], list[Row]], int] = {
    data_scope_at_the_ceiling: 4000,
    data_scope_at_the_margin: 4000,
    split_scope: 4000,
    rare_collapse: 4000,
    crossed_variances: 4000,
    superiority: 10000,
    crossed_mean: 40000,
}


def report(seed: int, scale: float = 1.0) -> str:
    """Run every study and return the report."""
    started = time.perf_counter()
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
    seconds = time.perf_counter() - started
    summary = f"{failed} rows fail." if failed else "Every row passes."
    command = "python -m bench.calibration" + (f" --seed {seed}" if seed else "")
    command += f" --scale {scale}" if scale != 1 else ""
    return "\n".join(
        [
            "# Calibration of the statistics",
            "",
            f"Made by `{command}`: each study draws from `default_rng([{seed}, its position])`; "
            f"rates in per cent ± one standard error; intervals and tests at the 5 % level. "
            f"{seconds:.0f} s on one core, Python {platform.python_version()}, "
            f"NumPy {np.__version__}, SciPy {scipy.__version__}. {summary}",
            "",
            "The bounds of the null, rare-collapse and crossed-mean rows are the project's "
            "contract; those at the margin, of the variances and of superiority are this file's. "
            "Where the contract asks nothing the bounds say none.",
            "",
            "| study | rate | bounds % | measured % | repetitions | |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def bounds(row: Row) -> str:
    low, high = f"{100 * row.low:g}", f"{100 * row.high:g}"
    if row.low > 0 and row.high < 1:
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
