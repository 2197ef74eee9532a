import json
import time

import numpy as np
import pytest

from functional_clf.stats import compare, self_calibration


def large_run(n=1000):
    rng = np.random.default_rng(0)
    return rng.binomial(200, 0.98, n), rng.binomial(200, 0.96, n)


def test_more_seeds_agree_more_often():
    result = self_calibration(*large_run(), total=200, sizes=[5, 50, 500])
    another = [study.another for study in result.studies]
    assert result.verdict == "better"
    assert another[0] > another[1] > another[2]
    for study in result.studies:
        assert sum(study.verdicts.values()) == pytest.approx(1)
        assert study.contradicting <= study.another
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("margin", [0.0, 0.02])  # near the ceiling t alone would say otherwise
@pytest.mark.parametrize("scope", ["data", "split", "init"])
def test_each_small_study_is_judged_as_compare_would(scope, margin):
    a, b = np.array([200, 199, 200, 200, 198, 200]), np.array([199, 199, 200, 199, 198, 200])
    options = {"total": 200, "scope": scope, "n_train": 800, "margin": margin}
    n = 3000
    result = self_calibration(a, b, sizes=[3], repetitions=n, **options)
    subsets = [[i, j, k] for i in range(6) for j in range(i) for k in range(j)]
    verdicts = [compare(a[s], b[s], **options).verdict for s in subsets]
    for verdict, share in result.studies[0].verdicts.items():
        expected = verdicts.count(verdict) / len(subsets)
        error = np.sqrt(expected * (1 - expected) / n)
        assert share == pytest.approx(expected, abs=4 * error + 1e-9)


def test_sizes_default_to_what_fits():
    result = self_calibration(*large_run(64), total=200, repetitions=10)
    assert [study.size for study in result.studies] == [5, 10, 20]


def test_deterministic_and_fast():
    started = time.perf_counter()
    first = self_calibration(*large_run(), total=200)
    assert time.perf_counter() - started < 10
    assert first == self_calibration(*large_run(), total=200)
    assert first != self_calibration(*large_run(), total=200, seed=1)


def test_every_sentence_keeps_to_the_scope():
    said = self_calibration(*large_run(64), total=200, scope="init", repetitions=10).conclusion
    assert said.count(", on this split only.") == 4


def test_without_spread():
    result = self_calibration([1.0] * 20, [1.0] * 20, sizes=[1, 5], repetitions=10)
    assert all(study.verdicts["inconclusive"] == 1 for study in result.studies)


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (20, {"sizes": [11]}, "sizes hold 11: at most half of 20 seeds, 10"),
        (20, {"sizes": [0]}, "sizes is 0"),
        (8, {}, "accuracies_a has 8 values: at least 10"),
        (20, {"repetitions": 0}, "repetitions is 0"),
        (20, {"scope": "world"}, "scope is 'world'"),
    ],
)
def test_wrong_arguments_are_named(n, options, message):
    with pytest.raises(ValueError, match=message):
        self_calibration([0.5] * n, [0.5] * n, **options)
