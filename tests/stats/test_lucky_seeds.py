import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from functional_clf.stats import METRICS, Rules, compare, lucky_seeds
from functional_clf.stats.betting import betting_interval, constant_intervals
from functional_clf.stats.lucky_seeds import LARGEST_SIZE

NEAR_ONE = (
    np.array([200, 199, 200, 200, 198, 200, 197]),
    np.array([199, 199, 200, 199, 199, 200, 199]),
)
COUNTS = {"total": 200, "n_train": 800}
LOSSES = np.array([0.3, 0.5, 0.2, 0.9, 0.4, 0.7]), np.array([0.5, 0.5, 0.4, 0.3, 0.9, 0.9])
BRIER = {"metric": "brier_score", "margin": 0.1}
LOG = {"metric": "log_loss", "margin": 0.1}
SPLIT = {"scope": "split", "n_train": 80, "n_test": 20}


def columns(n=64, p=(0.97, 0.96), seed=0):
    rng = np.random.default_rng(seed)
    return rng.binomial(200, p[0], n), rng.binomial(200, p[1], n)


def of_all_subsets(a, b, size, **options):
    """What each subset of a study says, as `compare` would: the shares, and the median width."""
    seen = np.sign(compare(a, b, **options).estimate)
    sides, claims, widths = [], [], []
    for subset in map(list, itertools.combinations(range(len(a)), size)):
        found = compare(a[subset], b[subset], **options)
        sides.append(np.sign(found.estimate))
        low, high = found.interval or (-math.inf, math.inf)
        claims.append((low > 0) - (high < 0))
        widths.append(high - low)
    sides, claims = np.array(sides), np.array(claims)
    return {
        "wrong": np.mean((sides != seen) & (sides != 0)),
        "tied": np.mean(sides == 0),
        "undecided": np.mean(claims == 0),
        "misled": np.mean((claims != seen) & (claims != 0)),
    }, widths


@pytest.mark.parametrize(
    ("pairs", "options"),
    [
        (NEAR_ONE, COUNTS),
        (NEAR_ONE, COUNTS | {"scope": "init", "alpha": 0.4}),
        (NEAR_ONE, COUNTS | {"scope": "split", "alpha": 0.4}),
        (LOSSES, LOG | {"alpha": 0.5}),
        (LOSSES, LOG | SPLIT | {"alpha": 0.5}),
        (LOSSES, BRIER | {"alpha": 0.5}),
        (LOSSES, BRIER | SPLIT),
        (LOSSES[::-1], {"metric": "roc_auc", "step": 0.1, "alpha": 0.3}),
    ],
)
def test_draws_say_what_all_subsets_say(pairs, options):
    a, b = pairs
    n = 4000
    lucky = lucky_seeds(a, b, repetitions=n, **options)
    assert lucky.sizes == tuple(range(1, len(a) // 2 + 1))
    assert lucky.interval == compare(a, b, **options).interval
    for k, size in enumerate(lucky.sizes):
        shares, widths = of_all_subsets(a, b, size, **options)
        for name, share in shares.items():
            error = math.sqrt(share * (1 - share) / n)
            assert getattr(lucky, name)[k] == pytest.approx(share, abs=4 * error + 1e-12), name
        # The median over draws lies among the widths about the median over subsets.
        near = np.quantile(widths, [0.46, 0.54], method="inverted_cdf")
        width = math.inf if lucky.width[k] is None else lucky.width[k]
        assert near[0] * (1 - 1e-6) <= width <= near[1] * (1 + 1e-6)


@pytest.mark.parametrize("effect", [0.2, -0.5])
def test_normal_differences_are_wrong_as_often_as_theory_says(effect):
    n, repetitions = 600, 10_000
    d = norm.ppf((np.arange(n) + 0.5) / n)
    d = 0.05 * (d / d.std(ddof=1) + effect)
    lucky = lucky_seeds(0.5 + d / 2, 0.5 - d / 2, repetitions=repetitions, metric="roc_auc")
    for size, wrong in zip(lucky.sizes, lucky.wrong, strict=True):
        # The mean of so many out of a finite number has a variance smaller by what was drawn.
        expected = norm.cdf(-abs(effect) * math.sqrt(size / (1 - size / n)))
        error = math.sqrt(expected * (1 - expected) / repetitions)
        assert wrong == pytest.approx(expected, abs=4.5 * error + 1e-3)


def test_one_seed_is_wrong_as_often_as_its_pairs_are():
    a, b = columns()
    lucky = lucky_seeds(a, b, total=200, repetitions=20_000)
    behind, ties = np.mean(a < b), np.mean(a == b)
    assert lucky.winner == "model"
    assert 0 < ties < behind
    assert lucky.wrong[0] == pytest.approx(behind, abs=4 * math.sqrt(behind / 20_000))
    assert lucky.tied[0] == pytest.approx(ties, abs=4 * math.sqrt(ties / 20_000))


def test_more_seeds_are_less_often_wrong_and_their_interval_narrower():
    lucky = lucky_seeds(*columns(1000), total=200, repetitions=500)
    assert len(lucky.sizes) <= 60
    assert lucky.sizes[:20] == tuple(range(1, 21))
    assert lucky.sizes[-1] == 500
    at = [lucky.sizes.index(size) for size in (1, 10, 500)]
    assert lucky.wrong[at[0]] > lucky.wrong[at[1]] > lucky.wrong[at[2]] == 0
    assert lucky.width[at[0]] > lucky.width[at[1]] > lucky.width[at[2]] > 0
    assert lucky.undecided[at[2]] == lucky.misled[at[2]] == 0


@pytest.mark.parametrize(
    ("n", "largest", "count"), [(2, 1, 1), (3, 1, 1), (64, 32, 32), (121, 60, 60), (123, 61, 60)]
)
def test_sizes_go_up_to_half(n, largest, count):
    sizes = lucky_seeds(*columns(n), total=200, repetitions=10).sizes
    assert sizes[0] == 1
    assert sizes[-1] == largest
    assert len(sizes) <= count
    assert list(sizes) == sorted(set(sizes))


def test_a_huge_study_is_drawn_from_up_to_a_thousand_seeds():
    lucky = lucky_seeds(*columns(5000), total=200, repetitions=300)
    assert lucky.sizes[-1] == LARGEST_SIZE
    assert len(lucky.sizes) <= 60
    assert 0.2 < lucky.wrong[0] < 0.6
    assert lucky.wrong[-1] == 0


def test_draws_are_determined_by_their_seed():
    first = lucky_seeds(*columns(), total=200)
    assert first == lucky_seeds(*columns(), total=200)
    assert first == lucky_seeds(*columns(), Rules(seed=7), total=200)
    assert first != lucky_seeds(*columns(), total=200, seed=1)


@pytest.mark.parametrize("metric", ["log_loss", "brier_score", "roc_auc"])
def test_the_other_model_wins_where_less_is_better(metric):
    a, b = LOSSES
    lucky = lucky_seeds(a, b, metric=metric, margin=0.1, names=("deep", "flat"))
    assert lucky.estimate < 0
    assert lucky.winner == ("flat" if metric == "roc_auc" else "deep")
    mirrored = lucky_seeds(b, a, metric=metric, margin=0.1, names=("flat", "deep"))
    assert mirrored.winner == lucky.winner
    assert mirrored.wrong == lucky.wrong
    assert mirrored.misled == lucky.misled
    assert mirrored.width == pytest.approx(lucky.width)


def test_where_no_model_is_ahead_each_draw_that_names_one_is_wrong():
    lucky = lucky_seeds([0.5, 0.6] * 5, [0.6, 0.5] * 5, names=("A", "B"))
    assert lucky.estimate == 0
    assert lucky.winner is None
    assert (lucky.wrong[0], lucky.tied[0]) == (1, 0)
    assert np.add(lucky.wrong, lucky.tied) == pytest.approx(np.ones(5))
    assert "Over all 10 seeds A and B are equal on average; to one of them as the better point" in (
        lucky.conclusion
    )


def test_no_draw_is_wrong_where_no_pair_differs():
    lucky = lucky_seeds([0.9] * 20, [0.9] * 20)
    assert set(lucky.tied) == set(lucky.undecided) == {1.0}
    assert set(lucky.wrong) == set(lucky.misled) == {0.0}
    low, high = betting_interval([0.0] * 10, -1, 1)
    assert lucky.width[-1] == pytest.approx(high - low)


def test_equal_differences_have_the_bounded_interval_or_none():
    a, b = [0.9] * 40, [0.5] * 40
    lucky = lucky_seeds(a, b)
    low, high = betting_interval([0.4] * 20, -1, 1)
    assert low > 0
    assert lucky.width[-1] == pytest.approx(high - low)
    assert (lucky.undecided[0], lucky.undecided[-1], lucky.misled[-1]) == (1, 0, 0)
    for none in ({"scope": "split", "n_train": 8, "n_test": 2}, LOG):
        lucky = lucky_seeds(a, b, **none)
        assert set(lucky.width) == {None}
        assert set(lucky.undecided) == {1.0}
        assert "5 seeds give no 95 % CI in half of the draws or more" in lucky.conclusion
        json.dumps(lucky.to_dict(), allow_nan=False)


def test_the_conclusion_says_what_was_counted():
    lucky = lucky_seeds(*columns(), total=200, names=("deep", "flat"))
    assert lucky.is_settled
    shares = [f"{100 * lucky.wrong[k]:.1f} % of" for k in (0, 4)]
    ties = [f"({100 * lucky.tied[k]:.2g} % tie)" for k in (0, 4)]
    words = lucky.conclusion
    assert words.startswith(
        f"Over all 64 seeds deep is better on average; to flat point {shares[0]} single seeds "
        f"{ties[0]}, {shares[1]} draws of 5 {ties[1]} and "
    )
    assert "The 95 % CI of 5 seeds is" in words
    assert f"{100 * lucky.width[4]:.1f} pp wide (median), holds 0 in" in words
    assert "do not settle" not in words
    assert json.loads(json.dumps(lucky.to_dict(), allow_nan=False))["conclusion"] == words


def test_a_study_that_does_not_know_says_so():
    lucky = lucky_seeds(*columns(p=(0.96, 0.96)), total=200)
    assert lucky.verdict == "equivalent"  # and yet nobody knows which is better
    assert not lucky.is_settled
    assert (
        "All 64 seeds do not settle which of the two is better, so that a draw which disagrees "
        "with them may be right." in lucky.conclusion
    )


@pytest.mark.parametrize(
    ("scope", "ending"),
    [
        ("init", ", on this split only."),
        ("test_set", ", on this test set only."),
        ("split", ", on new splits of this one data set only."),
    ],
)
def test_every_sentence_keeps_to_the_scope(scope, ending):
    lucky = lucky_seeds(*columns(), total=200, scope=scope, n_train=800)
    assert lucky.conclusion.count(ending) == 2 + (not lucky.is_settled)
    assert lucky.to_dict()["scope"] == scope


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (1, {}, "accuracies_a has 1 value: at least 2 are needed"),
        (20, {"repetitions": 0}, "repetitions is 0"),
        (20, {"seed": -1}, "seed is -1"),
        (20, {"scope": "world"}, "scope is 'world'"),
        (20, {"names": ("A", "A")}, "names is"),
    ],
)
def test_wrong_arguments_are_named(n, options, message):
    with pytest.raises(ValueError, match=message):
        lucky_seeds([0.5] * n, [0.6] * n, **options)


def test_a_number_of_seeds_that_hung_on_what_was_seen_is_refused():
    with pytest.raises(ValueError, match="rules are sequential: draws of fixed sizes"):
        lucky_seeds([0.5] * 20, [0.6] * 20, Rules(sequential=True))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=30),
    st.sampled_from(["data", "split", "init"]),
    st.sampled_from([0.05, 0.3]),
)
def test_shares_add_up_whatever_the_study(pairs, scope, alpha):
    a, b = np.array(pairs).T
    lucky = lucky_seeds(a, b, total=20, n_train=80, scope=scope, alpha=alpha, repetitions=60)
    whole = compare(a, b, total=20, n_train=80, scope=scope, alpha=alpha)
    assert (lucky.estimate, lucky.verdict) == (whole.estimate, whole.verdict)
    assert lucky.sizes == tuple(range(1, len(a) // 2 + 1))
    for k in range(len(lucky.sizes)):
        assert 0 <= lucky.wrong[k] <= lucky.wrong[k] + lucky.tied[k] <= 1 + 1e-12
        assert 0 <= lucky.misled[k] <= lucky.misled[k] + lucky.undecided[k] <= 1 + 1e-12
        assert lucky.width[k] is None or 0 <= lucky.width[k] <= 2
        assert (lucky.width[k] is None) <= (scope == "split")
    json.dumps(lucky.to_dict(), allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 2), min_size=1, max_size=5),
    st.integers(1, 60),
    st.sampled_from([0.001, 0.05, 0.5]),
)
def test_intervals_of_constants_are_those_of_betting(values, n, alpha):
    low, high = constant_intervals(np.array(values), n, -2, 2, alpha)
    expected = [betting_interval([value] * n, -2, 2, alpha) for value in values]
    assert list(zip(low, high, strict=True)) == expected


def test_metrics_all_have_their_lucky_seeds():
    for name, metric in METRICS.items():
        lucky = lucky_seeds(*LOSSES, metric=name, margin=0.1)
        assert lucky.metric == name
        assert (metric.words in lucky.conclusion) == (name != "accuracy")
