"""The mean over data sets: known answers, few data sets, and what it says."""

import numpy as np
import pytest

from functional_clf.stats import compare
from functional_clf.stats.data_sets import compare_on_data_sets, mean_over_data_sets
from functional_clf.stats.student import paired_t_interval


def test_the_mean_is_student_s_over_data_sets():
    effects = [0.03, 0.01, 0.05, -0.01, 0.02]
    mean = mean_over_data_sets(effects, alpha=0.1)
    low, high = paired_t_interval(effects, alpha=0.1)
    assert (mean.interval.low, mean.interval.high) == (low, high)
    assert (mean.df, mean.n_data_sets, mean.method) == (4, 5, "t over data sets")
    assert mean.estimate == pytest.approx(0.02)


def test_few_data_sets_and_equal_effects_have_a_defined_answer():
    for effects, verdict in (
        ([0.05], "inconclusive"),
        ([0.0], "inconclusive"),
        ([0.05, 0.06], "inconclusive"),  # t with one degree of freedom
        ([0.05, 0.05, 0.05], "inconclusive"),
        ([0.0] * 5, "inconclusive"),
        ([0.05] * 200, "better"),
        ([0.0] * 500, "equivalent"),
    ):
        mean = mean_over_data_sets(effects)
        assert mean.verdict == verdict
        assert mean.interval.low <= mean.estimate <= mean.interval.high
        assert "nan" not in mean.conclusion
        assert "inf" not in mean.conclusion
    assert "one data set shows no spread" in mean_over_data_sets([0.05]).conclusion
    assert "all effects are equal" in mean_over_data_sets([0.05, 0.05]).conclusion
    unbounded = mean_over_data_sets([0.2], metric="log_loss", margin=0.1)
    assert (unbounded.interval, unbounded.method, unbounded.verdict) == (
        None,
        "none",
        "inconclusive",
    )
    assert "no interval can be given" in unbounded.conclusion


def test_less_is_better_where_it_is():
    mean = mean_over_data_sets([-0.3, -0.31, -0.29], metric="log_loss", margin=0.1)
    assert mean.verdict == "better"
    assert "better on 3, equal on 0, worse on 0 of them" in mean.conclusion


def test_the_verdicts_on_data_sets_share_alpha_and_their_p_values_are_holm_s():
    random = np.random.default_rng(0)
    pairs = {name: (random.uniform(0.8, 0.9, 8), random.uniform(0.7, 0.85, 8)) for name in "xyz"}
    found = compare_on_data_sets(pairs, names=("new", "old"))
    alone = {name: compare(*pair, alpha=0.05 / 3) for name, pair in pairs.items()}
    smallest = min(alone, key=lambda name: alone[name].pvalue)
    for name, one in found.comparisons.items():
        assert (one.interval, one.verdict) == (alone[name].interval, alone[name].verdict)
        assert one.holm_pvalue >= one.pvalue
        assert "over all 3 comparisons together" in one.conclusion
    first = found.comparisons[smallest]
    assert first.holm_pvalue == pytest.approx(min(1, 3 * first.pvalue))
    counts = compare_on_data_sets({"x": ([18, 19], [10, 12], 20)})
    assert counts.comparisons["x"].n_test == 20
    assert counts.comparisons["x"].holm_pvalue is None


@pytest.mark.parametrize(
    ("effects", "message"),
    [([], "effects is empty"), ([2.0], "effects hold 2.0"), ([np.nan], "finite numbers")],
)
def test_effects_that_are_none_are_one_line(effects, message):
    with pytest.raises(ValueError, match=message):
        mean_over_data_sets(effects)


def test_no_data_set_is_one_line():
    with pytest.raises(ValueError, match="pairs is empty"):
        compare_on_data_sets({})


def test_the_interval_covers_the_mean_over_data_sets():
    """Effects differ between data sets, and are seen with the noise of a few seeds."""
    random = np.random.default_rng(1)
    for k in (3, 8):
        effects = random.normal(0.02, 0.03, (1000, k)) + random.normal(0, 0.02, (1000, k))
        ends = [mean_over_data_sets(one).interval for one in effects]
        covered = np.mean([low <= 0.02 <= high for low, high in ends])
        assert 0.93 < covered < 0.97
