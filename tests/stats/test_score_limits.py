import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from functional_clf.stats import compare, paired_t_interval, score_t_interval
from functional_clf.stats.score_limits import Estimates, limits


def test_newcombes_published_difference():
    # Newcombe (1998), "Interval estimation for the difference between independent proportions",
    # table II: 56/70 against 48/80, method 10 (hybrid score) .0524 to .3339; the upper end of the
    # method 1 (Wald) interval, .0575 to .3425, is further out and stays.
    a, b = 56 / 70, 48 / 80
    errors = np.sqrt(a * (1 - a) / 70), np.sqrt(b * (1 - b) / 80)
    estimates = Estimates(a, b, *errors, np.hypot(*errors), df=np.inf)
    low, high = limits(estimates, alpha=0.05)
    assert low == pytest.approx(0.0524, abs=5e-5)
    assert high == pytest.approx(0.3425, abs=5e-5)


def test_against_a_model_that_never_errs_the_limit_is_wilsons():
    a = np.array([0.98, 0.99, 0.99, 1.0, 0.97])
    low, high = score_t_interval(a, np.ones(5))
    t, mean, error = stats.t.isf(0.025, 4), a.mean(), a.std(ddof=1) / np.sqrt(5)
    p = 1 + low  # the accuracy that would be as far from the mean as t allows, were it the truth
    allowed = t * error * np.sqrt(p * (1 - p) / (mean * (1 - mean)))
    assert mean - p == pytest.approx(allowed)
    assert high == pytest.approx(paired_t_interval(a - 1).high)


def test_one_error_in_400_does_not_prove_fewer_than_four():
    # With 1 error of 20 runs of 20 samples, t alone says at most .8 pp; 3.4 % of studies in which
    # the truth is 1.25 pp see one error only.
    a = np.ones(20)
    a[7] = 0.95
    assert paired_t_interval(a - 1).low > -0.008
    assert score_t_interval(a, np.ones(20)).low < -0.0125
    assert compare(a, np.ones(20)).verdict == "inconclusive"


@pytest.mark.parametrize(("p", "widest"), [(0.7, 1.02), (0.9, 1.05), (0.95, 1.08)])
def test_it_hardly_widens_ordinary_studies(p, widest):
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(50):
        a, b = rng.binomial(200, p, (2, 10)) / 200
        widened, plain = score_t_interval(a, b), paired_t_interval(a - b)
        ratios.append((widened.high - widened.low) / (plain.high - plain.low))
    assert 1 <= np.mean(ratios) < widest


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30),
    st.sampled_from([0.01, 0.05, 0.5]),
)
def test_it_holds_ts_interval_mirrors_and_stays_possible(pairs, alpha):
    a, b = np.array(pairs).T / 20
    interval, plain = score_t_interval(a, b, alpha), paired_t_interval(a - b, alpha)
    assert (interval is None) == (plain is None)
    if interval is not None:
        assert interval.low <= plain.low + 1e-12
        assert interval.high >= plain.high - 1e-12
        assert min(plain.low, -1) - 1e-12 <= interval.low
        assert interval.high <= max(plain.high, 1) + 1e-12
        mirrored = score_t_interval(b, a, alpha)
        assert interval == pytest.approx((-mirrored.high, -mirrored.low))


@pytest.mark.parametrize(
    ("a", "b"), [([1.0], [0.5]), ([1.0] * 9, [1.0] * 9), ([0.9, 0.8, 0.95], [0.6, 0.5, 0.65])]
)
def test_without_spread_there_is_no_interval(a, b):
    assert score_t_interval(a, b) is None


def test_many_runs_far_from_the_ends_are_ts():
    a, b = np.random.default_rng(0).binomial(1000, [[0.6], [0.55]], (2, 500)) / 1000
    assert score_t_interval(a, b) == pytest.approx(paired_t_interval(a - b), abs=1e-5)


def test_variance_factor_widens():
    a, b = [0.9, 0.8, 0.85], [0.7, 0.75, 0.7]
    assert score_t_interval(a, b) == score_t_interval(a, b, variance_factor=1 / 3)
    assert score_t_interval(a, b, variance_factor=1.0).low < score_t_interval(a, b).low


def test_on_one_test_set_johnsons_t_solves_for_the_ends():
    # Each end is the mean whose modified t, with a third moment of step s^2, is t's quantile (to
    # first order: (mean - end)^2 is taken to be t^2 s^2 / J).
    a, b = np.array([0.9, 0.905, 0.895, 0.9]), np.full(4, 0.8)
    interval = score_t_interval(a, b, step=1 / 200)
    t, s = stats.t.isf(0.025, 3), (a - b).std(ddof=1)
    moment = s**2 / 200
    for end, skew, sign in ((interval.high, moment, 1), (interval.low, -moment, -1)):
        corrected = 0.1 - end + skew / (6 * s**2 * 4) + skew / (3 * s**4) * t**2 * s**2 / 4
        assert corrected / (s / 2) == pytest.approx(-sign * t)


@pytest.mark.parametrize("scope", ["data", "split", "init"])
def test_what_one_test_sample_is_worth_counts_where_it_is_known(scope):
    a, b = np.array([180, 181, 179, 180]), np.array([160, 160, 161, 160])
    factor = 1 / 4 + 200 / 800 if scope == "split" else 1 / 4
    options = {"scope": scope, "n_train": 800}
    interval = compare(a, b, total=200, **options).interval
    assert interval == score_t_interval(a / 200, b / 200, 0.05, factor, step=1 / 200)
    assert compare(a, b, total=[200] * 4, **options).interval == interval
    assert compare(a / 200, b / 200, n_test=200, **options).interval == interval
    if scope != "split":
        unknown = compare(a / 200, b / 200, **options).interval
        assert unknown == score_t_interval(a / 200, b / 200)


def test_errors_among_the_other_models_errors_prove_no_equivalence():
    # One difference among 400 test samples; where it is 1 pp, 9 % of such studies have one or none.
    a = np.full(20, 12)
    b = a + np.eye(20, dtype=int)[0]
    result = compare(a, b, total=20)
    assert paired_t_interval((a - b) / 20).low > -0.01
    assert result.verdict == "inconclusive"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.9, 1.1], [0.9, 0.8]), r"accuracies_a\[1\] is 1.1"),
        (([0.9, 0.8], [0.9]), "accuracies_a has 2 values and accuracies_b 1"),
        (([0.9], [0.9], 0.0), "alpha is 0.0"),
        (([0.9, 0.8], [0.9, 0.9], 0.05, 0.0), "variance_factor is 0.0: a number above 0"),
        (([0.9, 0.8], [0.9, 0.9], 0.05, 0.5, 200), "step is 200"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        score_t_interval(*arguments)
