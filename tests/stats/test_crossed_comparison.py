import json
import re

import numpy as np
import pytest

from functional_clf.stats import compare_crossed, crossed_interval, variance_components


def tables(seed=0, shape=(8, 6)):
    rng = np.random.default_rng(seed)
    return rng.binomial(200, 0.99, shape), rng.binomial(200, 0.55, shape)


def test_it_is_made_of_the_pieces():
    a, b = tables()
    result = compare_crossed(a, b, total=200, failure_below=0.75)
    d = (a - b) / 200
    plain = crossed_interval(d)
    assert result.interval.low <= plain.low < plain.high <= result.interval.high
    assert result.interval == pytest.approx(tuple(plain), abs=1e-3)
    assert result.components_difference.data.variance == pytest.approx(
        variance_components(d).rows.variance
    )
    assert result.components_a.training.interval == pytest.approx(
        variance_components(a / 200).columns.interval
    )
    assert (result.n_data_seeds, result.n_init_seeds) == (8, 6)
    assert result.verdict == "better"
    assert result.model_b.failures.count == 48
    assert result.model_b.failures.interval is None


def test_conclusion_pays_for_both_and_says_so():
    a, b = tables()
    result = compare_crossed(a, b, total=200, names=("model_1", "model_0"), setting="circles(1000)")
    said = result.conclusion
    assert said.startswith("Over 8 data seeds crossed with 6 initialisation seeds, model_1 exceeds")
    assert "their interaction (with any residual noise)" in said
    assert "Verdict: better, by more than the 1 pp margin." in said
    assert said.endswith(
        "Scope: new data from circles(1000) and new initialisations, these training settings."
    )
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(plain["components_difference"]) == {"data", "training", "interaction"}
    assert plain["scope"] == "crossed"


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.9, 0.6), (0.0, 1.0)])
def test_tables_without_spread(a, b):
    result = compare_crossed(np.full((2, 2), a), np.full((2, 2), b))
    assert result.verdict == "inconclusive"
    assert result.interval is None
    assert "no interval, as all differences are equal" in result.conclusion
    json.dumps(result.to_dict(), allow_nan=False)


def test_mirrors():
    a, b = tables()
    one, other = compare_crossed(a, b, total=200), compare_crossed(b, a, total=200)
    assert other.verdict == "worse"
    assert one.interval == pytest.approx((-other.interval.high, -other.interval.low))
    assert (one.wins, one.losses) == (other.losses, other.wins)


@pytest.mark.parametrize("gain", [-3, -2, 0, 1, 2])
def test_each_verdict_mirrors(gain):
    rng = np.random.default_rng(0)
    b = rng.binomial(200, 0.9, (6, 6))
    a = b + gain + rng.integers(-1, 2, (6, 6))
    one = compare_crossed(a, b, total=200, names=("x", "y"))
    other = compare_crossed(b, a, total=200, names=("y", "x"))
    swaps = {"x": "y", "y": "x", "better": "worse", "worse": "better"}

    def mirrored(text):
        return re.sub(r"\b(x|y|better|worse)\b", lambda m: swaps[m[0]], text)

    assert other.verdict == mirrored(one.verdict)
    verdicts = [result.conclusion.split("Verdict: ")[1] for result in (one, other)]
    assert verdicts[1] == mirrored(verdicts[0])


def test_diverged_cells_count_as_failed():
    a, b = tables()
    diverged = np.zeros(a.shape, dtype=bool)
    diverged[0, 0] = True
    result = compare_crossed(a, b, total=200, diverged_a=diverged, failure_below=0.75)
    assert "model a failed 1 of 48 (1 diverged)" in result.conclusion


def test_without_a_threshold_only_diverged_cells_are_spoken_of():
    a, b = tables()
    assert "fail" not in compare_crossed(a, b, total=200).conclusion.lower()
    diverged = np.zeros(a.shape, dtype=bool)
    diverged[0, :2] = True
    said = compare_crossed(a, b, total=200, diverged_b=diverged).conclusion
    assert "model a diverged in 0 of 48; model b diverged in 2 of 48)" in said
    assert "fail" not in said.lower()


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([[0.5, 0.5]], [[0.5, 0.5]], {}, "at least 2 rows and 2 columns"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5]] * 3, {}, r"table_a has shape \(2, 2\) .*table_b \(3, 2\)"),
        ([[0.5, 1.5]] * 2, [[0.5, 0.5]] * 2, {}, r"table_a\[0, 1\] is 1.5"),
        ([[5, 21]] * 2, [[5, 5]] * 2, {"total": 20}, r"table_a\[0, 1\] is 21"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5]] * 2, {"margin": -1}, "margin is -1"),
    ],
)
def test_wrong_arguments_are_named(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        compare_crossed(a, b, **options)
