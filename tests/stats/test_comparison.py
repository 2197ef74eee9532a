import dataclasses
import json
import re
import time
import tracemalloc
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from functional_clf.stats import (
    Verdict,
    betting_interval,
    clopper_pearson,
    compare,
    compare_all,
    compare_crossed,
    corrected_t_test,
    score_t_interval,
    sign_flip_test,
)
from functional_clf.stats.clauses import outcomes
from functional_clf.stats.wording import p_value

SCOPES = ("data", "split", "init", "test_set")
SIZES = {"n_train": 800, "n_test": 200}
VERDICTS = set(get_args(Verdict))


def columns(n=64, seed=0):
    rng = np.random.default_rng(seed)
    return rng.binomial(200, 0.995, n), rng.binomial(200, 0.55, n)


def assert_sound(result):
    """What must hold of any comparison, however odd the data."""
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["verdict"] == result.verdict
    assert result.verdict in VERDICTS
    assert not re.search(r"\b(nan|inf|None)\b", result.conclusion, flags=re.IGNORECASE)
    assert result.conclusion.endswith(".")
    assert "\n" not in result.conclusion
    if result.interval is not None:
        assert -1 <= result.interval.low <= result.estimate <= result.interval.high <= 1


def test_conclusion_in_full():
    a, b = columns()
    result = compare(
        a,
        b,
        total=200,
        names=("model_1", "model_0"),
        setting="circles(1000, noise 0.03)",
        failure_below=0.75,
    )
    assert result.conclusion == (
        "Over 64 paired seeds (each redraws data, split and initialisation), model_1 exceeds "
        "model_0 by 44.8 pp on average (95 % CI 43.8 to 45.8; bounded CI 35.7 to 48.9; sign-flip "
        "p < .001; 64 wins, 0 ties, 0 losses; model_1 failed 0 of 64, at most 5.6 %; model_0 "
        "failed 64 of 64, at least 94.4 %). Failed means below 75 % accuracy, or diverged. "
        "Verdict: better, by more than the 1 pp margin. Scope: new data from circles(1000, noise "
        "0.03), these training settings."
    )


def test_it_is_made_of_the_pieces():
    a, b = columns()
    d = (a - b) / 200
    result = compare(a, b, total=200, failure_below=0.75)
    assert result.estimate == pytest.approx(d.mean())
    assert result.interval == score_t_interval(a / 200, b / 200, step=1 / 200)
    assert result.sign_flip_pvalue == sign_flip_test(d).pvalue
    assert result.bounded_interval == betting_interval(np.round(d, 12), -1, 1)
    assert result.t_pvalue == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert result.correlation == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert result.variance_ratio == pytest.approx(
        d.var(ddof=1) / ((a / 200).var(ddof=1) + (b / 200).var(ddof=1))
    )
    assert result.model_b.failures == (
        dataclasses.replace(result.model_b.failures, count=64, interval=clopper_pearson(64, 64))
    )
    assert result.differences.median == pytest.approx(np.median(d))
    assert result.guaranteed


def test_split_scope_is_corrected_and_keeps_to_what_holds_there():
    a, b = columns()
    result = compare(a, b, total=200, n_train=800, scope="split")
    assert result.n_test == 200
    assert result.interval == score_t_interval(
        a / 200, b / 200, 0.05, 1 / 64 + 200 / 800, step=1 / 200
    )
    corrected = corrected_t_test((a - b) / 200, 800, 200)
    assert (result.t_pvalue, result.standard_error) == (corrected.pvalue, corrected.standard_error)
    assert result.pvalue == result.interval_pvalue >= result.t_pvalue
    assert result.sign_flip_pvalue is None
    assert result.bounded_interval is None
    assert "sign-flip" not in result.conclusion
    assert "on new splits of this one data set only." in result.conclusion


@pytest.mark.parametrize("scope", SCOPES)
def test_counts_and_accuracies_agree(scope):
    a, b = columns()
    counts = compare(a, b, total=200, scope=scope, **SIZES)
    for dtype in (np.float64, np.float32):
        floats = compare((a / 200).astype(dtype), (b / 200).astype(dtype), scope=scope, **SIZES)
        assert floats == counts
    assert compare(a, b, total=[200] * 64, scope=scope, **SIZES) == counts


TABLES = st.tuples(st.integers(2, 5), st.integers(2, 5), st.sampled_from([10, 200])).flatmap(
    lambda sizes: st.tuples(
        st.just(sizes[2]),
        *[arrays(np.int64, sizes[:2], elements=st.integers(0, 6)) for _ in range(2)],
        st.sampled_from([0, sizes[2] - 6]),
    )
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(TABLES, st.sampled_from([0.3, 0.05, 0.001]))
def test_p_is_below_alpha_exactly_where_the_interval_leaves_out_zero(tables, alpha):
    total, a, b, least = tables
    a, b = a + least, b + least
    options = {"total": total, "alpha": alpha}
    split = compare(a.ravel(), b.ravel(), scope="split", n_train=4 * total, **options)
    for result in (split, compare_crossed(a, b, **options)):
        if result.interval is None:
            assert result.pvalue == result.t_pvalue
            continue
        assert (result.pvalue < alpha) == (result.interval.low > 0 or result.interval.high < 0)
        assert result.t_pvalue * (1 - 1e-9) <= result.pvalue <= 1


def test_near_the_ceiling_the_p_value_is_not_ts():
    # t alone would say p = .005 beside an interval that holds 0.
    options = {"total": 20, "scope": "split", "n_train": 80}
    result = compare([20, 18, 20], [13, 12, 14], **options)
    assert result.t_pvalue == pytest.approx(0.00481, abs=1e-5)
    assert result.interval.low < 0 < result.interval.high
    assert f"corrected t {p_value(result.pvalue)})." in result.conclusion
    grid = np.tile([20, 18, 20], (3, 1)), np.tile([13, 12, 14], (3, 1))
    crossed = compare_crossed(*grid, total=20)
    assert crossed.t_pvalue < 0.03 < crossed.pvalue
    assert f"crossed t {p_value(crossed.pvalue)};" in crossed.conclusion


def test_small_unsigned_counts_do_not_wrap_around():
    a, b = columns()
    small = compare(b.astype(np.uint8), a.astype(np.uint8), total=np.uint8(200))
    assert small == compare(b, a, total=200)
    assert small.estimate < 0


def sentences(text):
    return re.split(r"(?<=\.) (?=[A-Z0-9])", text)


@pytest.mark.parametrize("shift", [-60, 0, 1, 60])
@pytest.mark.parametrize("spread", [0, 3])
@pytest.mark.parametrize("n", [1, 2, 40])
def test_init_restricts_every_sentence(shift, spread, n):
    rng = np.random.default_rng(0)
    b = 100 + rng.integers(-spread, spread + 1, size=n)
    result = compare(
        b + shift,
        b,
        total=200,
        scope="init",
        setting="circles(1000)",
        failure_below=0.75,
        first_margin=0.02,
        earlier_looks=1,
    )
    parts = sentences(result.conclusion)
    assert len(parts) >= 6
    for part in parts:
        assert part.endswith(", on this split only.")
    assert "new data" not in result.conclusion
    assert result.to_dict()["claim"].endswith("on this split only.")


def test_only_the_data_and_split_scopes_speak_of_new_data():
    a, b = columns()
    said = {s: compare(a, b, total=200, scope=s, **SIZES).to_dict() for s in SCOPES}
    assert said["data"]["claim"].startswith("new data from")
    assert said["split"]["claim"].startswith("new data sets of this size from")
    assert "new data" not in said["init"]["conclusion"]
    assert [said[s]["scope"] for s in SCOPES] == list(SCOPES)


DEGENERATE = {
    "one pair": ([1.0], [0.5]),
    "one tie": ([0.5], [0.5]),
    "two pairs": ([1.0, 0.9], [0.5, 0.6]),
    "two equal differences": ([1.0, 0.9], [0.5, 0.4]),
    "all at 1": ([1.0] * 64, [1.0] * 64),
    "all at 0": ([0.0] * 64, [0.0] * 64),
    "identical models": ([0.9, 0.8, 0.95] * 20, [0.9, 0.8, 0.95] * 20),
    "equal differences": ([0.9, 0.8, 0.95] * 20, [0.6, 0.5, 0.65] * 20),
    "largest difference": ([1.0] * 64, [0.0] * 64),
    "one constant": ([0.5] * 20, list(np.linspace(0, 1, 20))),
    "one odd seed": ([1.0] * 63 + [0.5], [1.0] * 64),
}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_data(case, scope):
    a, b = DEGENERATE[case]
    result = compare(a, b, scope=scope, **SIZES)
    assert_sound(result)
    assert_sound(compare(b, a, scope=scope, **SIZES))
    if len(set(np.round(np.subtract(a, b), 12))) == 1:
        # Nothing varied: t has no scale, so it may not pretend to certainty.
        assert result.standard_error is None
        assert "no t interval" in result.conclusion
        assert result.interval == result.bounded_interval
        assert result.t_pvalue in (None, 1.0)


def test_ties_alone_are_no_proof_of_equivalence_until_there_are_many():
    few, many = (compare([1.0] * n, [1.0] * n) for n in (64, 2000))
    assert few.verdict == "inconclusive"
    assert few.sign_flip_pvalue == 1
    assert few.superiority[:4] == (0, 64, 0, 0.5)
    assert many.verdict == "equivalent"
    assert few.correlation is None
    assert few.variance_ratio is None


def test_equal_large_differences_are_decided_by_the_guaranteed_interval():
    result = compare([0.9] * 64, [0.6] * 64)
    assert result.method == "bounded"
    assert result.verdict == "better"
    assert result.guaranteed


def test_a_verdict_that_an_unseen_collapse_could_overturn_says_so():
    rng = np.random.default_rng(0)
    a, b = rng.binomial(200, 0.995, 64), rng.binomial(200, 0.96, 64)
    result = compare(a, b, total=200)
    assert result.verdict == "better"
    assert not result.guaranteed
    assert "does not settle this: it would need about 150 seeds" in result.conclusion
    assert "does not settle" not in compare(a, b - 100, total=200).conclusion


def test_diverged_seeds_stay_in_the_averages_and_count_as_failed():
    a = np.array([0.99] * 9 + [0.8])
    diverged = np.arange(10) == 9
    result = compare(a, [0.5] * 10, diverged_a=diverged, failure_below=0.75)
    assert result.model_a.accuracy.mean == pytest.approx(a.mean())
    assert (result.model_a.failures.count, result.model_a.failures.diverged) == (1, 1)
    assert "failed 1 of 10, 95 % CI 0.25 to 44.5 % (1 diverged)" in result.conclusion


def test_without_a_threshold_only_diverged_runs_are_spoken_of():
    a, b = [0.3, 0.4, 0.35, 0.2], [0.1, 0.2, 0.1, 0.15]
    for result in (compare(a, b), compare_all({"b": b, "a": a})[0]):
        assert "fail" not in result.conclusion.lower()
        assert "diverged" not in result.conclusion
        assert result.model_a.failures.count == 0
        assert result.to_dict()["failure_below"] is None
    diverged = compare(a, b, diverged_a=[True, True, False, False])
    assert diverged.model_a.failures.count == 2
    assert "fail" not in diverged.conclusion.lower()
    assert (
        "model a diverged in 2 of 4, 95 % CI 6.8 to 93.2 %; model b diverged in 0 of 4, at most "
        "60.2 %)"
    ) in diverged.conclusion


def test_a_mean_that_is_zero_but_for_rounding_has_no_sign():
    a = np.array([0.1, 0.2, 0.3, 0.7])
    result = compare(a, np.roll(a, 1), names=("x", "y"))
    assert np.mean(a - np.roll(a, 1)) != 0
    assert result.estimate == 0
    assert "x and y differ by 0.0 pp" in result.conclusion


def test_failures_are_below_the_threshold_not_at_it():
    result = compare([0.75, 0.7, 1.0], [1.0, 1.0, 0.9], failure_below=0.75)
    assert (result.model_a.failures.count, result.model_b.failures.count) == (1, 0)
    rounded = compare([1 - 16 / 50] * 3, [0.9] * 3, failure_below=0.68)
    assert 1 - 16 / 50 < 0.68
    assert rounded.model_a.failures.count == 0


def test_a_threshold_is_told_from_one():
    said = compare([0.9] * 3, [0.8] * 3, failure_below=0.99999).conclusion
    assert "Failed means below 99.999 % accuracy" in said


def test_alpha_and_margin_reach_the_words():
    a, b = columns()
    result = compare(a, b, total=200, alpha=0.01, margin=0.6)
    assert "99 % CI" in result.conclusion
    assert result.verdict == "better but negligible"
    assert "60 pp margin" in result.conclusion


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30),
    st.sampled_from(SCOPES),
    st.sampled_from([0.0, 0.01, 0.3]),
)
def test_any_counts_give_a_sound_comparison_that_mirrors(pairs, scope, margin):
    a, b = np.array(pairs).T
    options = {"scope": scope, "total": 20, "n_train": 80, "margin": margin}
    one = compare(a, b, names=("x", "y"), **options)
    other = compare(b, a, names=("y", "x"), **options)
    assert_sound(one)
    assert one.estimate == -other.estimate
    assert one.pvalue == pytest.approx(other.pvalue)
    assert other.verdict == mirrored_words(one.verdict)
    for ends in ("interval", "bounded_interval"):
        here, there = getattr(one, ends), getattr(other, ends)
        assert (here is None) == (there is None)
        assert here is None or here == pytest.approx((-there.high, -there.low), abs=1e-12)
    assert (one.sign_flip_pvalue, one.smallest_pvalue) == (
        other.sign_flip_pvalue,
        other.smallest_pvalue,
    )
    assert (one.guaranteed, one.seeds_needed) == (other.guaranteed, other.seeds_needed)
    if one.estimate:  # without a sign it is worded as the first minus the second
        assert other.conclusion == mirrored_words(one.conclusion)
    else:
        assert verdict_sentence(other) == mirrored_words(verdict_sentence(one))


def verdict_sentence(result):
    return result.conclusion.split("Verdict: ")[1]


def mirrored_words(text):
    """The same said of y against x instead of x against y."""
    text = re.sub(r"(\d+ wins?), (\d+ ties?), (\d+) loss(es)?", _swap_outcomes, text)
    swaps = {"x": "y", "exceeds": "falls short of", "better": "worse"}
    swaps |= {there: here for here, there in swaps.items()}
    return re.sub(rf"\b({'|'.join(swaps)})\b", lambda m: swaps[m[0]], text)


def _swap_outcomes(match):
    wins, ties, losses = (int(found.split()[0]) for found in match.groups()[:3])
    return outcomes(losses, ties, wins)


def test_a_hundred_thousand_pairs_take_seconds_and_flat_memory():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=(2, 100_000))
    started = time.perf_counter()
    result = compare(a, b)
    assert time.perf_counter() - started < 10
    assert_sound(result)
    tracemalloc.start()
    compare(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000  # a 9 999 x 100 000 array of bytes would be 1 GB


GOOD = [0.9, 0.8, 0.7]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"accuracies_a": [0.9, 0.8]}, ValueError, "accuracies_a has 2 values and accuracies_b 3"),
        ({"accuracies_a": [0.9, 1.2, 0.7]}, ValueError, r"accuracies_a\[1\] is 1.2: .*\[0, 1\]"),
        ({"accuracies_b": [0.9, -0.1, 0.7]}, ValueError, r"accuracies_b\[1\] is -0.1"),
        ({"accuracies_a": [0.9, 0.8, np.nan]}, ValueError, r"accuracies_a\[2\] is nan"),
        ({"accuracies_a": [], "accuracies_b": []}, ValueError, "accuracies_a is empty"),
        ({"accuracies_a": [GOOD]}, ValueError, r"accuracies_a has shape \(1, 3\)"),
        ({"accuracies_a": ["a", "b", "c"]}, TypeError, "accuracies_a holds <U1 values"),
        ({"accuracies_a": [0.9, None, 0.7]}, TypeError, r"accuracies_a\[1\] is None: a number"),
        ({"accuracies_a": [[0.9], [0.8, 0.7]]}, ValueError, "accuracies_a has rows of unlike"),
        ({"total": 200}, TypeError, "accuracies_a holds float64 values: with total="),
        ({"total": 0}, ValueError, "total is 0: a total is at least 1"),
        ({"total": 2.5}, TypeError, "total holds float64 values"),
        ({"total": [5, 5]}, ValueError, r"total has shape \(2,\)"),
        ({"alpha": 0}, ValueError, r"alpha is 0: a number in \(0, 1\)"),
        ({"alpha": float("nan")}, ValueError, "alpha is nan"),
        ({"alpha": "0.05"}, TypeError, "alpha is '0.05': a number"),
        ({"margin": -0.01}, ValueError, "margin is -0.01"),
        ({"margin": float("inf")}, ValueError, "margin is inf"),
        ({"scope": "world"}, ValueError, "scope is 'world': one of data, split, init"),
        ({"scope": "crossed"}, ValueError, "needs compare_crossed"),
        ({"scope": "split"}, ValueError, "n_train is None: the split scope needs both"),
        ({"scope": "split", "n_train": 8}, ValueError, "n_test is None"),
        ({"n_train": 0}, ValueError, "n_train is 0: an integer of at least 1"),
        ({"n_test": 1.5}, TypeError, "n_test is 1.5: an integer"),
        ({"diverged_a": [True]}, ValueError, r"diverged_a has shape \(1,\)"),
        ({"diverged_b": [0, 1, 0]}, TypeError, "diverged_b holds int64 values"),
        ({"failure_below": 75}, ValueError, "failure_below is 75"),
        ({"references": {"best": 99}}, ValueError, r"references\['best'\] is 99"),
        ({"names": ("x", "x")}, ValueError, "two different names"),
        ({"names": "xy"}, TypeError, "two strings"),
        ({"setting": None}, TypeError, "setting is None"),
        ({"seed": -1}, ValueError, "seed is -1"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(change, error, message):
    arguments = {"accuracies_a": GOOD, "accuracies_b": GOOD} | change
    with pytest.raises(error, match=message) as caught:
        compare(arguments.pop("accuracies_a"), arguments.pop("accuracies_b"), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([201, 5, 5], r"accuracies_a\[0\] is 201: a count lies between 0 and its total, 200"),
        ([5, 5, -1], r"accuracies_a\[2\] is -1: a count lies between 0 and its total, 200"),
    ],
)
def test_counts_keep_within_their_totals(counts, message):
    with pytest.raises(ValueError, match=message):
        compare(counts, [5, 5, 5], total=200)
