import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from functional_clf.stats import corrected_t_test, paired_t_interval

DARWIN = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]


def test_paired_t_interval_agrees_with_scipy():
    rng = np.random.default_rng(0)
    for alpha in (0.01, 0.05, 0.32):
        d = rng.normal(0.1, 1, size=23)
        expected = stats.ttest_1samp(d, 0).confidence_interval(1 - alpha)
        np.testing.assert_allclose(paired_t_interval(d, alpha), expected, rtol=1e-9)


def test_darwins_paired_t():
    # With no test samples at all there is nothing to correct for: the limit is the paired t.
    plain = corrected_t_test(DARWIN, n_train=10**15, n_test=1)
    assert plain.pvalue == pytest.approx(0.0497029, abs=5e-8)
    assert plain.df == 14
    assert plain.interval == pytest.approx(paired_t_interval(DARWIN))


def test_corrected_t_reproduces_the_published_example():
    # scikit-learn's example "Statistical comparison of models using grid search" prints
    # t = 0.750 and a right-tailed p = 0.227 for its two best kernels.
    x, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), x, y, scoring="roc_auc", cv=folds)
        for kernel in ("rbf", "linear")
    )
    result = corrected_t_test(rbf - linear, n_train=90, n_test=10)
    assert result.statistic == pytest.approx(0.750, abs=5e-4)
    assert result.pvalue == pytest.approx(2 * 0.227, abs=1e-3)
    assert result.df == 99


@pytest.mark.parametrize("differences", [[0.3], [0.1] * 5, [0.1 + 0.2 - 0.3, 0.0]])
def test_without_spread_there_is_no_interval(differences):
    result = corrected_t_test(differences, n_train=80, n_test=20)
    assert paired_t_interval(differences) is None
    assert result.interval is None
    assert result.standard_error is None
    # A zero difference is no evidence at all; t cannot weigh any other.
    is_zero = round(differences[0], 12) == 0
    assert (result.statistic, result.pvalue) == ((0.0, 1.0) if is_zero else (None, None))


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.integers(-200, 200), min_size=2, max_size=40).filter(lambda d: len(set(d)) > 1),
    st.integers(1, 1000),
    st.integers(1, 1000),
)
def test_correction_widens_and_mirrors(counts, n_train, n_test):
    d = np.array(counts) / 200
    corrected = corrected_t_test(d, n_train, n_test)
    mirrored = corrected_t_test(-d, n_train, n_test)
    plain = paired_t_interval(d)
    assert corrected.interval.low < plain.low <= d.mean() <= plain.high < corrected.interval.high
    assert mirrored.interval.low == pytest.approx(-corrected.interval.high)
    assert mirrored.pvalue == pytest.approx(corrected.pvalue)
    assert (corrected.pvalue < 0.05) == (corrected.interval.low > 0 or corrected.interval.high < 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 80, 20), "differences is empty"),
        (([0.1, float("nan")], 80, 20), r"differences\[1\] is nan"),
        (([0.1, 0.2], 0, 20), "n_train is 0: an integer of at least 1"),
        (([0.1, 0.2], 80, -1), "n_test is -1"),
        (([[0.1], [0.2]], 80, 20), r"differences has shape \(2, 1\)"),
        (([0.1, 0.2], 80, 20, 1.0), r"alpha is 1.0: a number in \(0, 1\)"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        corrected_t_test(*arguments)
