"""A study of more than two models: every verdict allows for the number of comparisons."""

import pytest

from functional_clf import Study, circles, mlp_recipe

MODELS = tuple(
    mlp_recipe(name, hidden=hidden, activation=None if not hidden else "relu", epochs=40)
    for name, hidden in (("line", ()), ("wide", (16,)), ("deep", (8, 8)))
)


def run(**options):
    return Study(circles(120), MODELS, seeds=6, engine="eager", **options).run()


@pytest.fixture(scope="module")
def every():
    return run()


@pytest.fixture(scope="module")
def against_wide():
    return run(baseline="wide")


def test_a_baseline_leaves_fewer_comparisons_and_the_same_seeds(every, against_wide):
    assert every.seeds.equals(against_wide.seeds)
    assert every.study.identity() == against_wide.study.identity()
    pairs = [(one.model_a.name, one.model_b.name) for one in every.comparisons()]
    assert pairs == [("wide", "line"), ("deep", "line"), ("deep", "wide")]
    pairs = [(one.model_a.name, one.model_b.name) for one in against_wide.comparisons()]
    assert pairs == [("line", "wide"), ("deep", "wide")]
    assert "over all 2 comparisons together" in against_wide.conclusion


def test_one_pair_is_adjusted_as_among_all_of_them(every, against_wide):
    for results in (every, against_wide):
        for one in results.comparisons():
            assert results.compare(one.model_a.name, one.model_b.name) == one
    # In the other direction it is the same, mirrored.
    there, back = every.compare("deep", "line"), every.compare("line", "deep")
    assert back.n_comparisons == 3
    assert back.estimate == pytest.approx(-there.estimate)
    assert back.holm_pvalue == pytest.approx(there.holm_pvalue)
    assert back.interval.low == pytest.approx(-there.interval.high)
    # A pair without the baseline was not asked for: it is one of all.
    assert against_wide.compare("deep", "line").n_comparisons == 3


def test_a_wrong_baseline_is_told(every):
    with pytest.raises(ValueError, match="baseline is 'x'; it must be one of line, wide, deep"):
        run(baseline="x")
    with pytest.raises(ValueError, match="model is 'x'; it must be one of"):
        every.compare("x", "line")
    with pytest.raises(ValueError, match="model is 'line' and so is baseline; they must differ"):
        every.compare("line", "line")


def test_of_a_crossed_design_the_baseline_says_the_direction():
    options = {"design": "crossed", "data_seeds": 2, "init_seeds": 2, "engine": "eager"}
    one, other = (
        Study(circles(120), MODELS[:2], baseline=name, **options).run().comparisons()[0]
        for name in ("line", "wide")
    )
    assert (one.model_a.name, other.model_a.name) == ("wide", "line")
    assert one.estimate == pytest.approx(-other.estimate)
