"""Several models held against one of them."""

import numpy as np
import pytest

from functional_clf.stats import compare, compare_all, holm

RNG = np.random.default_rng(5)
BASE = RNG.uniform(0.6, 0.8, 12)
COLUMNS = {
    "a": BASE.round(3),
    "b": (BASE + RNG.normal(0.02, 0.02, 12)).round(3),
    "c": (BASE + RNG.normal(0.01, 0.02, 12)).round(3),
    "d": (BASE + RNG.normal(0, 0.02, 12)).round(3),
}


@pytest.mark.parametrize("baseline", COLUMNS)
def test_with_a_baseline_each_other_model_is_compared_with_it_alone(baseline):
    found = compare_all(COLUMNS, baseline=baseline, alpha=0.06)
    others = [name for name in COLUMNS if name != baseline]
    assert [(one.model_a.name, one.model_b.name) for one in found] == (
        [(name, baseline) for name in others]
    )
    singles = [
        compare(COLUMNS[name], COLUMNS[baseline], alpha=0.02, names=(name, baseline))
        for name in others
    ]
    assert [one.interval for one in found] == [one.interval for one in singles]
    assert [one.holm_pvalue for one in found] == holm([one.pvalue for one in singles]).tolist()
    assert {one.n_comparisons for one in found} == {3}


def test_fewer_comparisons_are_adjusted_less_than_every_pair():
    few = {one.model_a.name: one for one in compare_all(COLUMNS, baseline="a")}
    every = {one.model_a.name: one for one in compare_all(COLUMNS) if one.model_b.name == "a"}
    for name, one in few.items():
        assert one.alpha == pytest.approx(0.05 / 3)
        assert every[name].alpha == pytest.approx(0.05 / 6)
        assert one.holm_pvalue <= every[name].holm_pvalue
        assert one.interval.low > every[name].interval.low


def test_two_models_need_no_adjustment_whichever_is_the_baseline():
    two = {name: COLUMNS[name] for name in "ab"}
    (plain,), (same,), (other,) = (
        compare_all(two, **given) for given in ({}, {"baseline": "a"}, {"baseline": "b"})
    )
    assert plain == same
    assert (other.estimate, other.holm_pvalue) == (-plain.estimate, None)


def test_a_baseline_that_is_no_model_is_refused():
    with pytest.raises(ValueError, match="baseline is 'x': it is not among accuracies"):
        compare_all(COLUMNS, baseline="x")
