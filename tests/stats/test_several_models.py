import json

import numpy as np
import pytest

from functional_clf.stats import compare, compare_all, holm


def three_models(n=40):
    rng = np.random.default_rng(0)
    rates = {"m0": 0.9, "m1": 0.91, "m2": 0.99}
    return {name: rng.binomial(200, rate, n) for name, rate in rates.items()}


@pytest.mark.parametrize("scope", ["data", "split", "init"])
def test_intervals_are_joint_and_p_values_holms(scope):
    models = three_models()
    options = {"total": 200, "scope": scope, "n_train": 800}
    results = compare_all(models, **options)
    alone = compare(models["m1"], models["m0"], alpha=0.05 / 3, names=("m1", "m0"), **options)
    assert results[0].interval == alone.interval
    assert [r.holm_pvalue for r in results] == holm([r.pvalue for r in results]).tolist()
    for result in results:
        assert "95 % CI over all 3 comparisons together" in result.conclusion
        assert "Holm-adjusted p" in result.conclusion
        json.dumps(result.to_dict(), allow_nan=False)


def test_two_models_need_no_adjustment():
    models = three_models()
    del models["m2"]
    (result,) = compare_all(models, total=200)
    assert result == compare(models["m1"], models["m0"], total=200, names=("m1", "m0"))


def test_a_p_value_that_cannot_be_given_counts_as_one():
    models = {"a": [0.5] * 5, "b": [0.6] * 5, "c": [0.5, 0.6, 0.7, 0.6, 0.5]}
    results = compare_all(models, scope="split", n_train=80, n_test=20)
    assert results[0].pvalue is None
    assert results[0].holm_pvalue == 1


def test_the_level_holds_over_all_comparisons_whichever_interval_decides():
    equal, _, spread = compare_all({"a": [0.5] * 5, "b": [0.7] * 5, "c": [0.9, 0.8, 0.9, 0.9, 0.9]})
    assert "95 % bounded CI over all 3 comparisons together -60.2 to 91.2;" in equal.conclusion
    assert "(95 % CI over all 3 comparisons together 7.9 to 25.9; bounded CI" in spread.conclusion


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="accuracies holds 1 models"):
        compare_all({"a": [0.5]})
    with pytest.raises(ValueError, match="diverged names 'z'"):
        compare_all({"a": [0.5], "b": [0.5]}, diverged={"z": [True]})
