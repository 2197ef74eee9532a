"""Nothing is claimed beyond what the data can bear without a caution beside it."""

import numpy as np
import pytest

from functional_clf.stats import (
    Interval,
    betting_interval,
    clopper_pearson,
    compare,
    compare_all,
    compare_crossed,
)
from functional_clf.stats.cautions import look_words, seeds_to_settle, unseen_words
from functional_clf.stats.cautions import test_share_words as share_words
from functional_clf.stats.verdicts import settled

BOUNDED = "The bounded CI, which also allows for rare collapses"
UNSEEN = "The interval does not allow for rare collapses that these seeds may have missed"
COLLAPSED = 0.5


def collapsing(shape, rate, rng, collapses=None):
    """Two models that differ by what the collapses of the first cost, and by nothing else."""
    a, b = rng.normal(0.9, 0.005, (2, *shape))
    collapses = rng.random(shape) < rate if collapses is None else collapses
    return np.where(collapses, COLLAPSED, a), b


def claimed(result):
    """The claims that the words of a conclusion make, read from the words."""
    words = result.conclusion.split("Verdict: ")[1].split(". ")[0]
    claims = set()
    if "inconclusive, as" in words:
        return claims
    if "by more than" in words:
        claims.add("beyond the margin")
    if "by less than" in words or "equivalent" in words:
        claims.add("within the margin")
    for side in ("better", "worse"):
        if words.startswith(side) or f"being {side}" in words:
            claims.add(side)
    return claims


@pytest.mark.parametrize(("n", "scope"), [(5, "data"), (10, "init"), (64, "data"), (256, "data")])
@pytest.mark.parametrize("gain", [-0.01, 0.0, 0.01, 0.02])
def test_no_claim_goes_beyond_the_bounded_interval_without_caution(n, scope, gain):
    rng = np.random.default_rng(n)
    unsettled = 0
    for _ in range(20):
        a, b = collapsing((n,), 0.02, rng)
        result = compare(a + gain, b, scope=scope)
        beyond = claimed(result) - settled(result.bounded_interval, result.margin)
        assert (BOUNDED in result.conclusion) == bool(beyond)
        assert result.guaranteed == (not beyond)
        unsettled += bool(beyond)
    assert unsettled > 0


@pytest.mark.parametrize(("n", "rate"), [(5, 0.1), (15, 0.05), (64, 0.02)])
def test_every_claim_about_splits_that_a_collapse_could_overturn_has_its_caution(n, rate):
    rng = np.random.default_rng(n)
    limit = f"{100 * clopper_pearson(0, n).high:.1f} % of the splits of this data set ({n} seen)"
    unsettled = 0
    for _ in range(60):
        result = compare(*collapsing((n,), rate, rng), scope="split", n_train=8000, n_test=2000)
        words = f"{UNSEEN}: in at most {limit}, and in an unknown share of other data sets, as only"
        assert (words in result.conclusion) == bool(claimed(result))
        unsettled += bool(claimed(result))
    assert unsettled > 0


@pytest.mark.parametrize(("shape", "limits"), [((4, 4), (60.2, 60.2)), ((8, 5), (36.9, 52.2))])
def test_every_claim_of_a_crossed_design_names_what_either_kind_of_seed_could_hide(shape, limits):
    rng = np.random.default_rng(0)
    unsettled = 0
    for _ in range(60):
        collapses = np.broadcast_to(rng.random(shape[1]) < 0.1, shape)
        result = compare_crossed(*collapsing(shape, 0, rng, collapses))
        words = (
            f"{UNSEEN}, in at most {limits[0]} % of data seeds ({shape[0]} seen) or {limits[1]} % "
            f"of initialisation seeds ({shape[1]} seen)."
        )
        assert (words in result.conclusion) == bool(claimed(result))
        unsettled += bool(claimed(result))
    assert unsettled > 0


def test_what_even_the_worst_unseen_collapse_leaves_standing_needs_no_caution():
    # One seed in twenty may go unseen in 64: at a difference of -1 each it costs 5.6 pp and more.
    rate = clopper_pearson(0, 64).high
    for low, cautions in ((rate / (1 - rate), 1), (rate / (1 - rate) + 1e-9, 0)):
        said = unseen_words(Interval(low, 0.9), 0.5, {"seeds": 64}, 0.05)
        assert len(said) == cautions


@pytest.mark.parametrize("n", [6, 64, 1000])
def test_however_many_the_splits_only_one_data_set_was_seen(n):
    # A model may collapse on one data set in three: no split of this one shows it.
    rng = np.random.default_rng(0)
    result = compare(
        rng.binomial(200, 0.995, n),
        rng.binomial(200, 0.1, n),
        total=200,
        scope="split",
        n_train=800,
    )
    assert result.verdict == "better"
    assert "an unknown share of other data sets, as only this one was seen." in result.conclusion
    equal = compare([0.9] * n, [0.5] * n, scope="split", n_train=80, n_test=20)
    assert UNSEEN not in equal.conclusion  # nor is anything claimed


def test_part_of_a_claim_may_be_settled():
    rng = np.random.default_rng(0)
    a, b = 0.9 + rng.normal(0, 0.005, (2, 64))
    sign = compare(a, b - 0.08, margin=0.06)
    assert sign.verdict == "better"
    assert sign.bounded_interval.low > 0
    assert (
        f"{BOUNDED} that these seeds may have missed, settles only the sign: for the rest it "
        in (sign.conclusion)
    )
    margin = compare(a, b - 0.02, margin=0.2)
    assert margin.verdict == "better but negligible"
    assert "settles only the margin: for the rest it would need" in margin.conclusion
    swapped = compare(b - 0.02, a, margin=0.2)
    assert swapped.verdict == "worse but negligible"
    assert "settles only the margin: for the rest it would need" in swapped.conclusion


def test_the_number_of_seeds_that_would_settle_it_does():
    rng = np.random.default_rng(0)
    d = rng.binomial(200, 0.995, 64) / 200 - rng.binomial(200, 0.96, 64) / 200
    claims = frozenset({"better", "beyond the margin"})
    n = seeds_to_settle(d, claims, 0.01, 0.05)
    assert not claims <= settled(betting_interval(np.resize(d, n - 1), -1, 1), 0.01)
    assert claims <= settled(betting_interval(np.resize(d, n), -1, 1), 0.01)
    assert seeds_to_settle(-d, frozenset({"worse", "beyond the margin"}), 0.01, 0.05) == n
    # No number of seeds lifts a mean of 0 above 0.
    assert seeds_to_settle(np.zeros(3), frozenset({"better"}), 0.01, 0.05) is None
    assert seeds_to_settle(np.zeros(3), frozenset({"within the margin"}), 0.01, 0.001) > 600


def test_equivalence_needs_hundreds_of_seeds_and_says_so():
    rng = np.random.default_rng(0)
    a = rng.binomial(200, 0.995, 64)
    spread = compare(a, rng.permutation(a), total=200)
    assert spread.verdict == "equivalent"
    assert "does not settle this: it would need about 430 seeds like these" in spread.conclusion
    equal = compare([1.0] * 64, [1.0] * 64)
    assert equal.verdict == "inconclusive"
    assert "which decides here, would need about 430 seeds like these" in equal.conclusion
    assert equal.seeds_needed == 423
    assert compare([1.0] * 423, [1.0] * 423).verdict == "equivalent"
    assert compare([1.0] * 422, [1.0] * 422).verdict == "inconclusive"
    assert "seeds like these" not in compare([1.0] * 423, [1.0] * 423).conclusion
    assert "seeds like these" not in compare([1.0], [1.0]).conclusion


def test_who_decides_is_not_told_by_equal_intervals():
    # Of two pairs t's interval, cut to what a difference can be, is the bounded one.
    result = compare([1, 0], [0, 1])
    assert result.interval == result.bounded_interval == (-1, 1)
    assert "which decides here" not in result.conclusion
    assert result.seeds_needed is None


def test_small_test_shares_are_warned_of_in_the_split_scope():
    rng = np.random.default_rng(0)
    a, b = rng.binomial(20, 0.9, (2, 15)) / 20
    words = "the Nadeau-Bengio interval can miss twice as often as it says, or more"
    for n_train, n_test, warned in [(80, 20, 0), (89, 11, 0), (90, 10, 1), (95, 5, 1)]:
        said = compare(a, b, scope="split", n_train=n_train, n_test=n_test).conclusion
        assert said.count(words) == warned
        assert (f"as small a test share as {n_test} %" in said) == bool(warned)
    assert words not in compare(a, b, n_train=95, n_test=5).conclusion
    equal = compare([0.9] * 15, [0.8] * 15, scope="split", n_train=95, n_test=5)
    assert words not in equal.conclusion  # there is no interval


def test_a_share_of_a_tenth_is_warned_of_also_where_it_was_rounded_up():
    for n in range(10, 1200):
        tenth, fifth = (-(-n * share // 10) for share in (1, 2))
        assert share_words(n - tenth, tenth)
        assert not share_words(n - fifth, fifth)
    assert share_words(512, 57)


def test_looks_and_changed_margins_are_confessed():
    rules = (0.01, 0.05)
    assert look_words(rules, (None, None), 0) == look_words(rules, rules, 0) == []
    first = "The margin was changed after looking: it was 2 pp at first"
    assert look_words(rules, (0.02, None), 0) == [first]
    level = "The confidence was changed after looking: it was 99.9 % at first"
    assert look_words(rules, (0.01, 0.001), 0) == [level]
    once, often = look_words(rules, (0.02, None), 1)[1], look_words(rules, (None, None), 3)[0]
    assert once.startswith("Results of this study were looked at once before")
    assert often.startswith("Results of this study were looked at 3 times before")
    assert "raises false alarms" in once


def test_looks_reach_the_words_and_the_record_of_every_design():
    rng = np.random.default_rng(0)
    a, b = rng.binomial(200, 0.9, (2, 6, 6)) / 200
    looks = {"first_margin": 0.02, "first_alpha": 0.1, "earlier_looks": 2}
    for result in (
        compare(a[0], b[0], **looks),
        *compare_all({"a": a[0], "b": b[0], "c": b[1]}, **looks),
        compare_crossed(a, b, **looks),
    ):
        assert (
            "it was 2 pp at first. The confidence was changed after looking: it was 90 % at first. "
            "Results of this study were looked at 2"
        ) in result.conclusion
        kept = result.to_dict()
        assert {name: kept[name] for name in looks} == looks
    plain = compare(a[0], b[0])
    assert "look" not in plain.conclusion
    assert (plain.to_dict()["first_margin"], plain.to_dict()["earlier_looks"]) == (None, 0)


@pytest.mark.parametrize("n_models", [2, 3, 4, 10])
def test_an_alpha_shared_by_many_comparisons_was_not_changed(n_models):
    rng = np.random.default_rng(0)
    models = {f"m{i}": rng.binomial(200, 0.9, 6) / 200 for i in range(n_models)}
    for alpha in (0.05, 0.001, 0.1):
        for result in compare_all(models, alpha=alpha, first_alpha=alpha):
            assert "confidence was changed" not in result.conclusion
            assert result.first_alpha == alpha


def test_the_least_p_is_named_where_it_is_above_alpha():
    a, b = np.array([0.95, 0.96, 0.97, 0.94, 0.95]), np.array([0.9] * 5)
    result = compare(a, b)
    assert result.verdict == "better"
    assert (result.sign_flip_pvalue, result.smallest_pvalue) == (0.0625, 0.0625)
    assert "sign-flip p = .062, the least that 5 non-zero differences can give" in result.conclusion
    tied = compare(a, [0.95, 0.9, 0.9, 0.99, 0.95])
    assert tied.smallest_pvalue == 0.25
    assert "and 3 non-zero differences can give no less than .250" in tied.conclusion
    for enough in (compare(np.append(a, 0.96), [0.9] * 6), compare(a, b, alpha=0.1)):
        assert "non-zero" not in enough.conclusion
    assert "non-zero" not in compare(a, a).conclusion
    assert compare(a, b, scope="split", n_train=80, n_test=20).smallest_pvalue is None


def test_random_signs_have_a_least_p_too():
    rng = np.random.default_rng(0)
    a, b = rng.binomial(200, 0.995, 30) / 200, rng.binomial(200, 0.9, 30) / 200
    assert "non-zero" not in compare(a, b).conclusion
    result = compare(a, b, alpha=0.00005)
    assert "sign-flip p < .001, the least that random signs can give" in result.conclusion
    assert result.smallest_pvalue == 1 / 10_000


def test_holms_least_p_is_named_for_all_comparisons_together():
    rng = np.random.default_rng(0)
    models = {f"m{i}": 0.5 + i / 10 + rng.normal(0, 0.01, 6) for i in range(3)}
    for result in compare_all(models):
        assert result.smallest_pvalue == 2 / 2**6
        assert result.smallest_holm_pvalue == 3 * 2 / 2**6
        assert "Holm-adjusted p = .094, the least that 6 non-zero differences" in result.conclusion
    more = {name: np.tile(column, 2) for name, column in models.items()}
    assert all("non-zero" not in result.conclusion for result in compare_all(more))


def tiled(columns, n):
    """Columns of n splits with the means, spreads and correlation of the given ones."""
    size = columns.shape[1]
    drawn = np.stack([np.resize(c, n) for c in columns - columns.mean(1, keepdims=True)])
    assert n % size == 0
    drawn *= np.sqrt((n - 1) / n * size / (size - 1))
    return columns.mean(1, keepdims=True) + drawn


@pytest.mark.parametrize("metric", ["balanced_accuracy", "brier_score", "log_loss"])
@pytest.mark.parametrize("n_train", [80, 800])
def test_what_is_said_of_more_splits_is_true(metric, n_train):
    rng = np.random.default_rng(n_train)
    rules = {
        "scope": "split", "n_train": n_train, "n_test": 20, "margin": 0.02, "metric": metric,
    }  # fmt: skip
    seen = {"never": 0, "at some number": 0}
    for gain in np.linspace(-0.06, 0.06, 25):
        columns = rng.normal([[0.6 + gain], [0.6]], rng.choice([0.005, 0.02, 0.05]), (2, 10))
        result = compare(*columns, **rules)
        never = "More splits cannot decide this" in result.conclusion
        some = "More splits could decide this" in result.conclusion
        assert never + some == (result.verdict == "inconclusive")
        if never:
            assert f"with {n_train} samples for training and 20 for testing" in result.conclusion
            seen["never"] += 1
            for n in (100, 3000, 100_000):
                assert compare(*tiled(columns, n), **rules).verdict == "inconclusive"
        if some:
            seen["at some number"] += 1
            words = result.conclusion.split("mean and spread, ")[1].split(" would")[0]
            n = int(words.removeprefix("about "))  # two digits, rounded up
            assert compare(*tiled(columns, -(-n // 10) * 10), **rules).verdict != "inconclusive"
            fewer = int(0.85 * n) // 10 * 10
            assert fewer <= 10 or (
                compare(*tiled(columns, fewer), **rules).verdict == "inconclusive"
            )
    assert seen["never" if n_train == 80 else "at some number"]


def test_the_least_standard_error_has_the_unit_of_its_metric():
    columns = np.array([[0.5, 0.7, 0.6, 0.5], [0.6, 0.5, 0.6, 0.4]])
    rules = {"scope": "split", "n_train": 80, "n_test": 20, "margin": 0.01}
    least = np.diff(columns, axis=0).std(ddof=1) / 2
    share = compare(*columns, **rules).conclusion
    assert f"does not fall below {100 * least:.2g} pp, however many splits" in share
    loss = compare(*columns, metric="log_loss", **rules).conclusion
    assert f"does not fall below {least:.2g}, however many splits" in loss
    assert "only more data would help" in loss


def test_nothing_is_said_of_more_splits_where_there_are_none_or_no_spread():
    for columns in ([[0.5], [0.6]], [[0.5, 0.6], [0.6, 0.7]]):
        said = compare(*columns, scope="split", n_train=80, n_test=20).conclusion
        assert "More splits" not in said
    rng = np.random.default_rng(0)
    assert "More splits" not in compare(*rng.uniform(size=(2, 9)), scope="data").conclusion


def test_a_larger_test_share_does_not_lower_the_floor():
    # Two rules that err on their own tenth of all points, whatever they are trained on.
    rng = np.random.default_rng(0)
    wrong = rng.random((2, 1000)) < 0.1
    floors = []
    for n_test in (200, 500):
        tested = rng.permuted(np.tile(np.arange(1000), (2000, 1)), axis=1)[:, :n_test]
        d = wrong[1, tested].mean(1) - wrong[0, tested].mean(1)
        floors.append(np.sqrt(n_test / (1000 - n_test)) * d.std(ddof=1))
    assert floors[1] > floors[0]
