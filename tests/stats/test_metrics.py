"""Two models by any metric: what is better, in which unit, and how sure it can be."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from functional_clf.stats import (
    METRICS,
    Interval,
    Rules,
    betting_interval,
    compare,
    compare_all,
    compare_crossed,
    paired_t_interval,
    score_t_interval,
    self_calibration,
    sign_flip_test,
)
from functional_clf.stats.metrics import named
from functional_clf.stats.verdicts import decide

SCOPES = ("data", "split", "init", "test_set")
SIZES = {"n_train": 800, "n_test": 200}
MARGINS = {name: 0.01 if one.is_share else 0.02 for name, one in METRICS.items()}
LOWER = [name for name, one in METRICS.items() if not one.higher_is_better]
OPPOSITE = {
    "better": "worse",
    "worse": "better",
    "better but negligible": "worse but negligible",
    "worse but negligible": "better but negligible",
}


def losses(n=64, seed=0, gap=0.05):
    """Log losses over seeds, skewed as such are, the first model's the lower."""
    rng = np.random.default_rng(seed)
    shared = rng.gamma(2, 0.1, n)
    return shared + rng.gamma(2, 0.02, n), shared + gap + rng.gamma(2, 0.02, n)


def assert_sound(result):
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(text)["metric"] == result.metric
    assert not re.search(r"\b(nan|inf|None)\b", result.conclusion, flags=re.IGNORECASE)
    if result.interval is not None:
        assert result.interval.low <= result.estimate <= result.interval.high
        gain = named(result.metric).gain_interval(result.interval)
        assert result.verdict == decide(gain, result.margin)


def test_log_loss_in_full():
    a, b = losses()
    result = compare(
        a,
        b,
        metric="log_loss",
        margin=0.01,
        names=("model_1", "model_0"),
        majority=[np.sort(b)[-2:].mean()] * 64,
        setting="moons(1000)",
        **SIZES,
    )
    d = a - b
    low, high = -(d.mean() + stats.t.isf(0.025, 63) * d.std(ddof=1) / 8 * np.array([1, -1]))
    assert result.conclusion == (
        "Over 64 paired seeds (each redraws data, split and initialisation), model_1's log loss "
        f"is lower (better) than model_0's by {-d.mean():.3f} on average (95 % CI {low:.3f} to "
        f"{high:.3f}; no guaranteed interval, as log loss has no upper bound; sign-flip p < .001; "
        f"{(d < 0).sum()} wins, 0 ties, {(d > 0).sum()} losses; model_1 failed "
        "0 of 64, at most 5.6 %; model_0 failed 1 of 64, 95 % CI 0.04 to 8.4 %). Failed means "
        "worse in log loss than always predicting the class "
        "shares of the training part, or diverged. Verdict: better, by more than the 0.01 margin. "
        "The interval does not allow for rare collapses that these seeds may have missed, in at "
        "most 5.6 % of seeds (64 seen). Scope: new data from moons(1000), these training settings."
    )
    assert result.interval == pytest.approx((-high, -low))
    assert result.interval == pytest.approx(paired_t_interval(d))
    assert (result.bounded_interval, result.guaranteed, result.seeds_needed) == (None, False, None)
    assert result.sign_flip_pvalue == sign_flip_test(d).pvalue
    assert result.method == "paired t"
    kept = result.to_dict()
    assert (kept["higher_is_better"], kept["largest_score"]) == (False, None)
    assert kept["model_a"]["scores"]["mean"] == pytest.approx(a.mean())
    assert "accuracy" not in kept["model_a"]


def test_log_loss_over_splits_is_nadeau_and_bengios():
    a, b = losses(15)
    result = compare(a, b, metric="log_loss", margin=0.01, scope="split", **SIZES)
    d = a - b
    error = np.sqrt((1 / 15 + 200 / 800) * d.var(ddof=1))
    t = stats.t.isf(0.025, 14)
    assert result.interval == pytest.approx((d.mean() - t * error, d.mean() + t * error))
    assert result.pvalue == pytest.approx(2 * stats.t.sf(abs(d.mean()) / error, 14))
    assert result.method == "corrected t"
    assert "no guaranteed interval, as log loss has no upper bound" in result.conclusion
    assert "sign-flip" not in result.conclusion
    claimed = bool(result.verdict != "inconclusive" or "being" in result.conclusion)
    assert ("as only this one was seen" in result.conclusion) == claimed


@pytest.mark.parametrize("name", [name for name, one in METRICS.items() if one.is_share])
def test_shares_are_told_in_points_and_by_name(name):
    a, b = [0.91, 0.92, 0.9, 0.93], [0.88, 0.885, 0.872, 0.9]
    said = compare(a, b, metric=name, names=("x", "y")).conclusion
    words = "" if name == "accuracy" else f" in {METRICS[name].words}"
    assert f"x exceeds y{words} by 3.1 pp on average" in said
    assert "1 pp margin" in said
    less = compare(b, a, metric=name, names=("y", "x")).conclusion
    assert f"y falls short of x{words} by 3.1 pp on average" in less
    equal = compare(a, a, metric=name, names=("x", "y")).conclusion
    assert f"x and y differ{words} by 0.0 pp on average" in equal


def test_other_scores_are_told_in_their_own_unit():
    a, b = losses(40, gap=0.08)
    better = compare(a / 2, b / 2, metric="brier_score", margin=0.01, names=("x", "y"))
    worse = compare(b / 2, a / 2, metric="brier_score", margin=0.01, names=("y", "x"))
    size = f"{(b - a).mean() / 2:.3f}"
    assert f"x's Brier score is lower (better) than y's by {size} on average" in better.conclusion
    assert f"y's Brier score is higher (worse) than x's by {size} on average" in worse.conclusion
    assert " pp" not in better.conclusion + worse.conclusion
    assert "by more than the 0.01 margin" in better.conclusion
    assert (better.verdict, worse.verdict) == ("better", "worse")
    equal = compare(a, a, metric="log_loss", margin=0.1, names=("x", "y")).conclusion
    assert "the log loss of x and that of y differ by 0.000 on average" in equal


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e9])
def test_small_and_large_losses_show_their_digits(scale):
    d = scale * np.array([0.9, 1.0, 1.1, 1.05])
    said = compare(d, np.zeros(4), metric="log_loss", margin=0.5 * scale).conclusion
    low, high = map(float, re.search(r"CI (\S+) to ([^;]+);", said).groups())
    assert (low, high) == pytest.approx(paired_t_interval(d), rel=0.05)
    assert 0.5 * scale < low < high


def test_a_difference_that_is_not_zero_never_looks_like_it():
    result = compare([0.3] * 5, [0.30004] * 5, metric="log_loss", margin=0.1)
    assert "lower (better) than model b's by 0.00004 on average" in result.conclusion


numbers = st.integers(0, 20).map(lambda k: k / 20)
tables = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(tables, st.sampled_from(list(METRICS)), st.sampled_from(SCOPES))
def test_swapping_the_models_swaps_the_verdict(pairs, name, scope):
    a, b = np.array(pairs).T
    options = {"metric": name, "margin": MARGINS[name], "scope": scope, **SIZES}
    one, other = (
        compare(*columns, names=names, **options)
        for columns, names in [((a, b), ("x", "y")), ((b, a), ("y", "x"))]
    )
    for result in (one, other):
        assert_sound(result)
    assert other.verdict == OPPOSITE.get(one.verdict, one.verdict)
    assert other.estimate == -one.estimate
    assert other.superiority[:3] == one.superiority[2::-1]
    assert (other.guaranteed, other.seeds_needed) == (one.guaranteed, one.seeds_needed)
    assert other.pvalue == pytest.approx(one.pvalue)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(tables, st.sampled_from(SCOPES), st.sampled_from([0.0, 0.01, 0.2]))
def test_lower_scores_are_better_as_higher_ones_of_their_opposite(pairs, scope, margin):
    # Brier scores halved lie in [0, 1], and one minus that is a share that is better when higher.
    a, b = np.array(pairs).T
    brier = compare(2 * a, 2 * b, metric="brier_score", margin=2 * margin, scope=scope, **SIZES)
    share = compare(1 - a, 1 - b, metric="f1_macro", margin=margin, scope=scope, **SIZES)
    assert brier.verdict == share.verdict
    assert brier.superiority == share.superiority
    assert brier.estimate == pytest.approx(-2 * share.estimate, abs=1e-11)
    for ends in ("interval", "bounded_interval"):
        here, there = getattr(brier, ends), getattr(share, ends)
        assert (here is None) == (there is None)
        assert here is None or here == pytest.approx((-2 * there.high, -2 * there.low), abs=1e-9)
    assert brier.pvalue == pytest.approx(share.pvalue)
    assert (brier.method, brier.guaranteed) == (share.method, share.guaranteed)
    assert brier.seeds_needed == share.seeds_needed


@settings(derandomize=True, deadline=None, max_examples=60)
@given(tables, st.sampled_from(SCOPES))
def test_the_same_shares_of_another_name_give_the_same_numbers(pairs, scope):
    a, b = np.array(pairs).T
    accuracy, balanced, auc = (
        compare(a, b, metric=name, scope=scope, **SIZES)
        for name in ("accuracy", "balanced_accuracy", "roc_auc")
    )
    for other in (balanced, auc):
        assert (other.estimate, other.interval, other.bounded_interval, other.pvalue) == (
            accuracy.estimate,
            accuracy.interval,
            accuracy.bounded_interval,
            accuracy.pvalue,
        )
        assert (other.verdict, other.seeds_needed) == (accuracy.verdict, accuracy.seeds_needed)


def test_bounds_of_the_brier_score_are_those_of_its_differences():
    a, b = losses(30, gap=0.3)
    result = compare(a, b, metric="brier_score", margin=0.01, n_test=200)
    assert result.bounded_interval == pytest.approx(betting_interval(a - b, -2, 2))
    assert result.interval == score_t_interval(a, b, 0.05, None, 2 / 200, upper=2.0)
    assert result.step == 2 / 200
    assert result.interval.low <= paired_t_interval(a - b).low


def test_score_limits_scale_with_the_upper_bound():
    rng = np.random.default_rng(0)
    a, b = rng.beta(60, 1, (2, 8))
    one = score_t_interval(a, b, step=0.01)
    for upper in (0.5, 2.0, 30.0):
        scaled = score_t_interval(upper * a, upper * b, step=0.01 * upper, upper=upper)
        assert scaled == pytest.approx((upper * one.low, upper * one.high))
    assert score_t_interval(a, b, upper=None) == pytest.approx(paired_t_interval(a - b))
    for upper in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"upper is .*: a number above 0 is needed"):
            score_t_interval(a, b, upper=upper)
    with pytest.raises(ValueError, match=r"accuracies_a\[0\] is .*: score lies in \[0, 0.5\]"):
        score_t_interval(a, b, upper=0.5)


def test_what_one_test_sample_is_worth_may_be_told():
    a, b = [0.9, 0.905, 0.895, 0.9], [0.8] * 4
    told = compare(a, b, metric="balanced_accuracy", step=0.05, n_test=200)
    assert told.interval == score_t_interval(a, b, step=0.05)
    assert told.step == told.to_dict()["step"] == 0.05
    assert told.interval.low < compare(a, b, metric="balanced_accuracy", n_test=200).interval.low
    counts = compare([180, 181, 179, 180], [160] * 4, total=200, step=0.05)
    assert counts.interval == told.interval


DEGENERATE = {
    "one seed": ([0.9], [0.5]),
    "one tie": ([0.5], [0.5]),
    "all equal": ([0.4] * 10, [0.4] * 10),
    "all nothing": ([0.0] * 10, [0.0] * 10),
    "all at the most of a share": ([1.0] * 10, [1.0] * 10),
    "identical models": ([0.1, 0.8, 0.95] * 5, [0.1, 0.8, 0.95] * 5),
    "equal differences": ([0.9, 0.8, 0.95] * 5, [0.6, 0.5, 0.65] * 5),
    "opposite ends": ([1.0] * 10, [0.0] * 10),
    "hardly anything": ([0.0, 1e-200, 1e-12], [1e-160, 0.0, 0.0]),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_scores(name, scope, case):
    a, b = DEGENERATE[case]
    mask = np.ones(len(a), dtype=bool)
    options = {"metric": name, "margin": MARGINS[name], "scope": scope, **SIZES}
    for columns in ((a, b), (b, a)):
        result = compare(*columns, diverged_a=mask, majority=[0.5] * len(a), **options)
        assert_sound(result)
        assert result.model_a.failures.count == len(a)
        if len(set(np.round(np.subtract(a, b), 12))) == 1:
            assert result.standard_error is None
            if name == "log_loss":
                assert (result.interval, result.verdict) == (None, "inconclusive")
            else:
                assert result.interval == result.bounded_interval
    if len(a) >= 10:
        self_calibration(a, b, sizes=[1, 5], repetitions=5, **options)


def test_losses_as_large_as_can_be_compared():
    a, b = [1e100, 1.0, 3e99, 0.0], [1.0, 1e100, 0.0, 0.0]
    for scope in SCOPES:
        assert_sound(compare(a, b, metric="log_loss", margin=0.01, scope=scope, **SIZES))
    mixed = compare(np.array([3, 2, 1], np.float16), [1e9, 1e10, 5], metric="log_loss", margin=0.1)
    assert mixed.model_b.accuracy.maximum == pytest.approx(1e10, rel=1e-3)


def test_each_small_study_is_judged_as_compare_would():
    a, b = losses(6, gap=0.01)
    subsets = [[i, j, k] for i in range(6) for j in range(i) for k in range(j)]
    for name in LOWER:
        options = {"metric": name, "margin": 0.001}
        result = self_calibration(a, b, sizes=[3], repetitions=3000, **options)
        verdicts = [compare(a[s], b[s], **options).verdict for s in subsets]
        assert result.metric == result.to_dict()["metric"] == name
        assert f"in {METRICS[name].words}. Of studies of 3" in result.conclusion
        for verdict, share in result.studies[0].verdicts.items():
            expected = verdicts.count(verdict) / len(subsets)
            allowed = 4 * np.sqrt(expected * (1 - expected) / 3000)
            assert share == pytest.approx(expected, abs=allowed + 1e-9)


def test_several_models():
    a, b = losses()
    options = {"metric": "log_loss", "margin": 0.01}
    ab, ac, bc = compare_all({"a": a, "b": b, "c": b + 0.1}, majority=[0.693] * 64, **options)
    assert [one.verdict for one in (ab, ac)] == ["worse", "worse"]
    assert bc.interval is None
    assert bc.holm_pvalue < 0.01
    (pair,) = compare_all({"a": a, "b": b}, **options)
    assert pair == compare(b, a, names=("b", "a"), **options)


def test_every_sentence_keeps_to_its_test_set():
    a, b = losses(20)
    options = {"scope": "test_set", "first_metric": "accuracy", "earlier_looks": 1}
    for metric in ("log_loss", "brier_score"):
        said = compare(a, b, metric=metric, margin=0.01, majority=[0.5] * 20, **options).conclusion
        parts = re.split(r"(?<=\.) (?=[A-Z0-9])", said)
        assert len(parts) >= 6
        assert all(part.endswith(", on this test set only.") for part in parts)
        assert "new training runs with these settings on this data set" in parts[-1]
        assert "new data" not in said


def test_a_changed_metric_is_confessed_and_its_margin_is_not_compared():
    a, b = losses(20)
    looks = {"first_metric": "accuracy", "first_margin": 0.3, "first_alpha": 0.1}
    said = compare(a, b, metric="log_loss", margin=0.01, **looks).conclusion
    assert "The metric was changed after looking: it was accuracy at first. The conf" in said
    assert "margin was changed" not in said
    again = compare(
        a, b, metric="log_loss", margin=0.01, first_metric="log_loss", first_margin=1.5
    ).conclusion
    assert "The margin was changed after looking: it was 1.5 at first" in again
    assert "metric was changed" not in again
    back = compare([0.9, 0.8], [0.5, 0.6], first_metric="log_loss", first_margin=1.5).conclusion
    assert "The metric was changed after looking: it was log loss at first" in back
    crossed = compare_crossed([[0.9, 0.8]] * 2, [[0.5, 0.6]] * 2, first_metric="roc_auc")
    assert "The metric was changed after looking: it was ROC AUC at first" in crossed.conclusion


def test_margins_are_in_the_metrics_unit():
    assert Rules().margin == Rules(margin=None).margin == Rules(metric="roc_auc").margin == 0.01
    assert Rules(metric="log_loss", margin=3).margin == 3
    assert Rules(metric="brier_score", margin=2).margin == 2
    assert Rules(metric="log_loss", margin=0.1, references={"best": 1.7}).references == {
        "best": 1.7
    }


WRONG = [
    ({"metric": "log_loss", "margin": None}, "margin is None: log loss has no usual one; give the"),
    ({"metric": "brier_score"}, "margin is None: Brier score has no usual one"),
    ({"metric": "brier_score", "margin": 2.5}, r"margin is 2.5: a number in \[0, 2\] is needed"),
    ({"metric": "log_loss", "margin": np.inf}, "margin is inf: a finite number of at least 0"),
    ({"metric": "log_loss", "margin": -1}, "margin is -1: a finite number of at least 0"),
    ({"metric": "roc_auc", "margin": 2}, r"margin is 2: a number in \[0, 1\] is needed \(0.01 is"),
    ({"metric": "gini"}, "metric is 'gini'; it must be one of accuracy, balanced_accuracy"),
    ({"metric": None}, "metric is None; it must be one of"),
    ({"first_metric": "gini"}, "first_metric is 'gini'; it must be one of"),
    ({"first_metric": "log_loss", "first_margin": -1}, "first_margin is -1: a finite number"),
    ({"metric": "log_loss", "margin": 0.1, "step": 0.1}, "step is 0.1: one test sample can change"),
    ({"step": 1.5}, r"step is 1.5: a number in \[0, 1\] is needed"),
    ({"metric": "roc_auc", "failure_below": 0.5}, "failure_below is 0.5: it is an accuracy, and"),
    ({"metric": "brier_score", "margin": 0.1, "references": {"best": 3}}, r"references\['best'\]"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_rules_are_refused_in_one_line(change, message):
    for call in (Rules, lambda **change: compare([0.5, 0.6], [0.5, 0.7], **change)):
        with pytest.raises(ValueError, match=f"^{message}") as caught:
            call(**change)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metric", "column", "message"),
    [
        ("roc_auc", [0.5, 1.2], r"accuracies_a\[1\] is 1.2: ROC AUC lies in \[0, 1\]"),
        ("brier_score", [0.5, 2.1], r"accuracies_a\[1\] is 2.1: Brier score lies in \[0, 2\]"),
        ("log_loss", [0.5, -0.1], r"accuracies_a\[1\] is -0.1: log loss lies between 0 and"),
        ("log_loss", [0.5, np.inf], r"accuracies_a\[1\] is inf: finite numbers are needed"),
        ("log_loss", [0.5, np.nan], r"accuracies_a\[1\] is nan: finite numbers are needed"),
        ("log_loss", [0.5, 1e200], r"accuracies_a\[1\] is 1e\+200: log loss lies between"),
    ],
)
def test_scores_keep_to_their_bounds(metric, column, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        compare(column, [0.5, 0.5], metric=metric, margin=0.1)


def test_counts_are_of_accuracy_alone():
    for call in (compare, self_calibration):
        with pytest.raises(ValueError, match=r"^total is 5: counts tell the accuracy alone, and"):
            call([1] * 20, [2] * 20, total=5, metric="balanced_accuracy")
    with pytest.raises(ValueError, match=r"^rules have metric 'roc_auc': a crossed design is"):
        compare_crossed([[0.9, 0.8]] * 2, [[0.5, 0.6]] * 2, Rules(metric="roc_auc"))


def test_gains_say_better_where_they_are_plus():
    d = np.array([-0.5, 0.0, 0.25])
    assert METRICS["roc_auc"].gains(d).tolist() == [-0.5, 0.0, 0.25]
    assert METRICS["log_loss"].gains(d).tolist() == [0.5, 0.0, -0.25]
    assert METRICS["log_loss"].gain_interval(None) is None
    assert METRICS["roc_auc"].gain_interval(Interval(0.1, 0.2)) == (0.1, 0.2)


@pytest.mark.parametrize("sizes", [(7, 12), (5, 9, 20), (4, 4, 4, 30)])
@pytest.mark.parametrize("name", ["balanced_accuracy", "roc_auc", "f1_macro"])
def test_no_single_test_sample_changes_a_score_by_more_than_its_step(name, sizes):
    rng = np.random.default_rng(len(sizes))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.arange(len(sizes))

    def score(shares):
        predicted = shares.argmax(1)
        if name == "roc_auc":
            ranked = shares[:, 1] if len(sizes) == 2 else shares
            return roc_auc_score(truth, ranked, multi_class="ovr", labels=labels)
        if name == "f1_macro":
            return f1_score(truth, predicted, average="macro", zero_division=0.0)
        return balanced_accuracy_score(truth, predicted)

    changes = []
    for _ in range(150):
        shares = rng.dirichlet(np.ones(len(sizes)), len(truth))
        shares += rng.choice([0.0, 3.0]) * np.eye(len(sizes))[truth]
        shares /= shares.sum(1, keepdims=True)
        other = shares.copy()
        other[rng.integers(len(truth))] = rng.permutation(np.eye(len(sizes))[0])
        changes.append(abs(score(shares) - score(other)))
    step = named(name).step
    assert step is not None
    bound = step(np.array(sizes, float))
    assert max(changes) <= bound + 1e-12
    assert max(changes) > 0.2 * bound
