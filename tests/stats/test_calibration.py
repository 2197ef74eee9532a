"""A small, fast version of `python -m bench.calibration`: bounds give way by 4 standard errors."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.tree import DecisionTreeClassifier

PATH = Path(__file__).parents[2] / "bench" / "calibration.py"


@pytest.fixture(scope="module")
def calibration():
    if not PATH.exists():
        pytest.skip("bench/ is not part of an installed package")
    spec = importlib.util.spec_from_file_location("calibration_under_test", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize(
    ("study", "repetitions"),
    [
        ("data_scope_at_the_ceiling", 200),
        ("data_scope_at_the_margin", 200),
        ("split_scope", 200),
        ("rare_collapse", 100),
        ("crossed_mean", 300),
        ("crossed_variances", 100),
        ("superiority", 200),
        ("crossed_few_levels", 60),
        ("near_the_ceiling", 200),
        ("errors_among_the_others", 100),
        ("hard_and_easy_seeds", 100),
        ("on_one_test_set", 100),
        ("near_the_ceiling_over_splits", 100),
        ("near_the_ceiling_crossed", 100),
        ("collapses_unseen", 50),
    ],
)
def test_rates_are_within_their_bounds(calibration, study, repetitions):
    rows = getattr(calibration, study)(repetitions, np.random.default_rng(0))
    assert rows
    for row in rows:
        # The error at the bound, as a rate of 0 or 1 would seem to have none.
        for bound, beyond in (
            (row.low, row.low - row.measured),
            (row.high, row.measured - row.high),
        ):
            allowed = 4 * np.sqrt(bound * (1 - bound) / repetitions)
            assert beyond <= allowed + 1e-12, row


def test_rows_fail_when_a_promise_is_broken(calibration):
    assert not calibration.count("study", "rejects", [True] * 10, high=0.065).passed
    assert calibration.count("study", "covers", [True] * 10, low=0.95).passed
    assert not calibration.covers(None, 0.0)


def test_the_quick_stump_is_scikit_learns(calibration):
    rng = np.random.default_rng(0)
    for seed in range(5):
        x, y = make_moons(100, noise=0.3, random_state=seed)
        train = rng.random((20, 100)) < 0.8
        x = x.astype(np.float32).astype(float)  # what the trees compute in
        quick = calibration.stump_accuracies(x, y, train)
        for rows, accuracy in zip(train, quick, strict=True):
            stump = DecisionTreeClassifier(max_depth=1, random_state=0).fit(x[rows], y[rows])
            assert accuracy == stump.score(x[~rows], y[~rows])
