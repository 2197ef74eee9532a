"""Planned numbers are the fewest that do what they are planned for."""

import json
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from functional_clf.stats import betting_interval, paired_t_interval, plan
from functional_clf.stats.planning import half_width_of, power_of

SPLIT = {"scope": "split", "n_train": 800, "n_test": 200}


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_power_is_that_of_the_published_numbers(effect, n):
    # Paired t, two-sided .05, power .8: Faul et al. (2007), G*Power 3, whose effects are Cohen's.
    assert plan(standard_deviation=0.01 / effect).for_power.estimate == n


@pytest.mark.parametrize("sd", [0.004, 0.02, 0.1])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("ratio", [0.0, 0.0001])
def test_the_numbers_are_the_fewest(sd, alpha, ratio):
    sizes = {"scope": "split", "n_train": 10_000, "n_test": 1} if ratio else {}
    found = plan(standard_deviation=sd, alpha=alpha, half_width=0.005, **sizes)
    n = found.for_half_width.estimate
    assert half_width_of(n, sd, alpha, ratio) <= 0.005
    assert n == 2 or half_width_of(n - 1, sd, alpha, ratio) > 0.005
    n = found.for_power.estimate
    assert power_of(n, sd, 0.01, alpha, ratio) >= 0.8
    assert n == 2 or power_of(n - 1, sd, 0.01, alpha, ratio) < 0.8


def test_power_and_width_are_those_of_simulated_studies():
    rng = np.random.default_rng(0)
    n = plan(standard_deviation=0.02).for_power.estimate
    draws = rng.normal(0.01, 0.02, (4000, n))
    intervals = [paired_t_interval(row) for row in draws]
    seen = np.mean([low > 0 or high < 0 for low, high in intervals])
    assert seen == pytest.approx(power_of(n, 0.02, 0.01, 0.05), abs=0.02)
    d = rng.normal(0, 0.02, 23)
    low, high = paired_t_interval(d)
    assert (high - low) / 2 == pytest.approx(half_width_of(23, d.std(ddof=1), 0.05))


def test_a_pilot_is_too_narrow_only_one_time_in_five():
    rng = np.random.default_rng(0)
    pilots = rng.normal(0, 0.02, (1000, 16))
    upper = [plan(row).upper_standard_deviation for row in pilots]
    assert np.mean(np.array(upper) < 0.02) == pytest.approx(0.2, abs=0.04)
    d = pilots[0]
    expected = d.std(ddof=1) * math.sqrt(15 / scipy_stats.chi2.ppf(0.2, 15))
    assert upper[0] == pytest.approx(expected)


def test_splits_have_a_floor_that_no_number_passes():
    never = plan(standard_deviation=0.02, **SPLIT)
    assert never.for_power == never.for_half_width == (None, None)
    assert never.advised is None
    assert never.least_error == pytest.approx(0.01)
    assert "the standard error does not fall below 1 pp; only more data" in never.conclusion
    assert half_width_of(math.inf, 0.02, 0.05, 0.25) > 0.01
    assert power_of(math.inf, 0.02, 0.01, 0.05, 0.25) < 0.8
    enough = plan(standard_deviation=0.006, **SPLIT)
    assert enough.for_power.estimate > plan(standard_deviation=0.006).for_power.estimate
    assert "No number" not in enough.conclusion


def test_a_pilot_without_spread_plans_by_the_bounded_interval():
    found = plan([0.0] * 16)
    assert found.advised == found.for_bounded == 423
    low, high = betting_interval([0.0] * 423, -1, 1)
    assert -0.01 < low < high < 0.01
    assert "The bounded CI would decide with 423 seeds like these" in found.conclusion
    for none in (plan([0.0] * 4, **SPLIT), plan([0.0] * 4, metric="log_loss", margin=0.1)):
        assert none.advised is None
        assert "no number of" in none.conclusion
    at_the_margin = plan([0.01] * 8)
    assert at_the_margin.advised is None
    one = plan([0.2])
    assert (one.advised, one.standard_deviation) == (None, None)
    assert "one pilot seed shows no spread to plan by" in one.conclusion


@pytest.mark.parametrize("pilot", [[0.1], [0.0, 0.0], [0.1, 0.2], [-1.0, 1.0], [0.0] * 5 + [1e-9]])
@pytest.mark.parametrize("rules", [{}, SPLIT, {"metric": "log_loss", "margin": 0.1}])
def test_it_is_plain_data_whatever_the_pilot(pilot, rules):
    found = plan(pilot, **rules)
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.conclusion.endswith(".")
    assert found.conclusion.count("nan") == 0
    assert "<table>" in found._repr_html_()


def test_several_comparisons_share_alpha():
    alone, shared = (plan(standard_deviation=0.02, n_comparisons=k) for k in (1, 3))
    assert shared.alpha == pytest.approx(0.05 / 3)
    assert shared.for_power.estimate > alone.for_power.estimate
    assert "95 % (over all 3 comparisons together)" in shared.conclusion


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "differences or standard_deviation is needed, and not both"),
        ({"standard_deviation": 0.0}, "standard_deviation is 0.0: a number above 0 is needed"),
        ({"standard_deviation": 0.1, "power": 1}, "power is 1: a number above alpha and below 1"),
        ({"standard_deviation": 0.1, "half_width": 0}, "half_width is 0: a number above 0"),
        ({"standard_deviation": 0.1, "margin": 0}, "half_width is None: a number above 0"),
        ({"standard_deviation": 0.1, "scope": "split"}, "n_train is None: the split scope needs"),
        ({"differences": [0.1, 2.0]}, r"differences hold 2.0: of accuracy they lie in \[-1, 1\]"),
        ({"differences": []}, "differences is empty"),
    ],
)
def test_what_is_wrong_is_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan(**arguments)


def test_power_is_a_share_that_rises_whatever_the_spread():
    for alpha in (0.05, 0.001):
        for sd in np.geomspace(1e-6, 10, 40):
            for ratio in (0.0, 0.25):
                sizes = (2, 3, 5, 10, 100, 10_000, 10_000_000)
                powers = [power_of(n, sd, 0.01, alpha, ratio) for n in sizes]
                assert all(alpha * 0.999 <= power <= 1 + 1e-9 for power in powers)
                assert (np.diff(powers) > -1e-9).all()
