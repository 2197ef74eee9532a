import statistics
import subprocess
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, localcontext

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

from functional_clf.data.preparation import Column, OwnPreparation, Preparation
from functional_clf.data.splits import split

NAN = np.nan


def number(name, *values):
    return Column(name, "number", np.array(values, float))


def category(name, values, categories=None):
    codes = np.array(values, float)
    names = categories or [f"k{code}" for code in range(int(np.nanmax(codes)) + 1)]
    return Column(name, "category", codes, tuple(names))


def target_encoder():
    """One that is the same at every fit: scikit-learn 1.9 has moved its random state into cv."""
    is_new = getattr(TargetEncoder(), "random_state", None) == "deprecated"
    return TargetEncoder(cv=KFold(5)) if is_new else TargetEncoder(random_state=0)


def mixed_table(n, seed):
    """Numbers with and without missing values; categories with many rare ones, and missing ones."""
    random = np.random.default_rng(seed)
    columns = [number(f"n{one}", *random.normal(3 * one, 1 + one, n)) for one in range(3)]
    columns[1].values[random.random(n) < 0.1] = NAN
    columns.append(category("few", random.choice(4, n, p=[0.6, 0.3, 0.08, 0.02])))
    columns.append(category("many", random.geometric(0.15, n) - 1.0))
    columns[-1].values[random.random(n) < 0.05] = NAN
    # Every code has a row.
    columns[-1] = category("many", _consecutive(columns[-1].values))
    return columns


def _consecutive(codes):
    found = np.unique(codes[~np.isnan(codes)])
    return np.where(np.isnan(codes), NAN, np.searchsorted(found, codes))


def by_hand(preparation, train_rows, test_rows):
    """The outcome of scikit-learn's transformers, its features put where the names say."""
    raw, n_train = np.ascontiguousarray(preparation.raw), len(train_rows)
    names = preparation.column_names
    numbers = [place for place, name in enumerate(names) if name.startswith("n")]
    categories = [place for place, name in enumerate(names) if not name.startswith("n")]
    encoder = OneHotEncoder(
        min_frequency=max(5, -(-n_train // 100)),
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    )
    transformer = ColumnTransformer(
        [
            ("value", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("missing", MissingIndicator(error_on_new=False), numbers),
            ("category", encoder, categories),
        ],
        sparse_threshold=0,
    ).fit(raw[train_rows])
    theirs = [names[place] for place in numbers]
    missing = transformer.named_transformers_["missing"].features_
    theirs += [f"{names[numbers[place]]}: missing" for place in missing]
    fitted = transformer.named_transformers_["category"]
    for place, codes, rare in zip(
        categories, fitted.categories_, fitted.infrequent_categories_, strict=True
    ):
        is_rare = [rare is not None and str(code) in map(str, rare) for code in codes]
        for code in codes[~np.array(is_rare)]:
            value = ": missing" if np.isnan(code) else f" = k{int(code)}"
            theirs.append(names[place] + value)
        theirs += [f"{names[place]}: rare or unknown"] if any(is_rare) else []
    parts = []
    for rows in (train_rows, test_rows):
        part = np.zeros((len(rows), preparation.n_features))
        part[:, [preparation.feature_names.index(name) for name in theirs]] = transformer.transform(
            raw[rows]
        )
        parts.append(part)
    varies = parts[0].min(0) < parts[0].max(0)
    return parts[0] * varies, parts[1] * varies


@pytest.mark.parametrize("n", [40, 300, 3000])
@pytest.mark.parametrize("test_size", [0.2, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_it_prepares_as_scikit_learn_does(n, test_size, seed):
    preparation = Preparation(mixed_table(n, seed))
    rows = split(n, test_size, seed)
    found = preparation.parts(*rows, np.zeros(n))
    for ours, theirs in zip(found, by_hand(preparation, *rows), strict=True):
        assert ours.shape == (len(theirs), preparation.n_features)
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)
    prepare = preparation.fitted(rows.train, np.zeros(n))
    for part, ours in zip(rows, found, strict=True):
        np.testing.assert_array_equal(prepare(preparation.raw[part]), ours)


def test_all_splits_have_the_layout_of_the_table():
    preparation = Preparation(mixed_table(200, 0))
    assert preparation.column_names == ("n0", "n1", "n2", "few", "many")
    assert preparation.feature_names[:9] == (
        *("n0", "n1", "n1: missing", "n2"),
        *("few = k0", "few = k1", "few = k2", "few: rare or unknown", "many = k0"),
    )
    assert preparation.feature_names[-2:] == ("many: rare or unknown", "many: missing")
    widths = {
        part.shape[1]
        for seed in range(30)
        for part in preparation.parts(*split(200, (seed + 1) / 32, seed), np.zeros(200))
    }
    assert widths == {preparation.n_features} == {len(preparation.feature_names)}


def test_no_frequent_category_of_half_the_rows_or_more_lacks_a_feature():
    n = 2000
    codes = np.repeat(np.arange(8.0), [9, 10, 11, 15, 20, 25, 910, 1000])
    preparation = Preparation([category("c", codes)])
    # In a training part of 1000 rows 10 make a category frequent.
    assert "c = k0" not in preparation.feature_names
    assert "c = k1" in preparation.feature_names
    train = np.arange(1000)
    x, _ = preparation.parts(train, np.arange(1000, n), np.zeros(n))
    expected = np.bincount(codes[train].astype(int), minlength=8)
    np.testing.assert_array_equal(x.sum(0), [*expected[1:7], 0, expected[0]])


@pytest.mark.parametrize("corrupt", [1e6, NAN])
def test_nothing_is_learned_from_the_test_rows(corrupt):
    columns, rows = mixed_table(300, 1), split(300, 0.3, 0)
    changed, spared = rows.test[::2], rows.test[1::2]
    twisted = [Column(one.name, one.kind, one.values.copy(), one.categories) for one in columns]
    for one in twisted:
        one.values[changed] = corrupt if one.kind == "number" else 0

    def features(columns, part):
        preparation = Preparation(columns)
        x = preparation.fitted(rows.train, None)(preparation.raw[part])
        # The layout may tell what the test rows have, but only by features that are 0.
        return {
            name: values.tolist()
            for name, values in zip(preparation.feature_names, x.T, strict=True)
            if values.any()
        }

    for part in (rows.train, spared):
        assert features(columns, part) == features(twisted, part)
    assert features(columns, changed) != features(twisted, changed)


def test_a_leak_of_the_labels_would_be_seen_and_there_is_none():
    # Each of 300 visitors came three times, with labels of chance: their mean label over all rows
    # tells of a test row's label, that over the training rows nothing.
    random = np.random.default_rng(0)
    y, visitor = random.integers(0, 2, 900), np.repeat(np.arange(300.0), 3)[:, None]
    rows = split(900, 0.4, 0)

    def accuracy(x_train, x_test):
        return LogisticRegression().fit(x_train, y[rows.train]).score(x_test, y[rows.test])

    leaky = target_encoder().fit(visitor, y).transform(visitor)
    assert accuracy(leaky[rows.train], leaky[rows.test]) > 0.7  # 3 / 4 is to be expected
    own = OwnPreparation(target_encoder(), visitor)
    assert accuracy(*own.parts(*rows, y)) == pytest.approx(0.5, abs=0.08)
    # The same by numbers alone: a sensor that drifts, fitted on all rows, tells the parts apart.
    drift = Preparation([number("n", *np.r_[random.normal(size=50), random.normal(9, 1, 50)])])
    x_train, x_test = drift.parts(np.arange(50), np.arange(50, 100), None)
    assert x_train.mean() == pytest.approx(0, abs=1e-12)
    assert x_train.std() == pytest.approx(1)
    assert x_test.mean() > 5


def test_what_is_constant_in_a_training_part_is_zero_in_both():
    columns = [
        number("flat", 2, 2, 2, 2, 2, 2, 7, 8),
        number("gaps", 1, 2, 3, 4, 5, 6, NAN, 8),
        number("full of gaps", NAN, NAN, NAN, NAN, NAN, NAN, 1, 2),
        number("flat with gaps", 3, NAN, 3, 3, 3, 3, 4, NAN),
        number("one value", 3, NAN, 3, 3, 3, 3, 3, NAN),
        category("colour", [0, 0, 0, 0, 0, 0, 1, NAN]),
    ]
    preparation = Preparation(columns)
    train, test = np.arange(6), np.arange(6, 8)
    parts = [
        dict(zip(preparation.feature_names, part.T.tolist(), strict=True))
        for part in preparation.parts(train, test, None)
    ]
    assert [name for name, values in parts[0].items() if any(values)] == [
        *("gaps", "flat with gaps: missing", "one value: missing")
    ]
    assert "one value" not in preparation.feature_names
    for x_train, x_test in zip(*(part.values() for part in parts), strict=True):
        assert any(x_train) or not any(x_test)
    assert parts[1]["one value: missing"] == [0, 1]
    assert parts[1]["gaps"][0] == 0  # the median, which is also the mean
    assert parts[1]["gaps"][1] == pytest.approx((8 - 3.5) / np.std([1, 2, 3, 4, 5, 6]))


def test_rare_and_unknown_categories_share_a_feature():
    # A given test part follows 40 rows; code 9 is of no trainable row.
    codes = [0] * 15 + [1] * 15 + [2] * 6 + [3, 4, 5, 5] + [0, 3, 9, NAN]
    preparation = Preparation([category("c", codes, [f"k{one}" for one in range(6)])], 40)
    assert preparation.feature_names == ("c = k0", "c = k1", "c = k2", "c: rare or unknown")
    _, x_test = preparation.parts(np.arange(40), np.arange(40, 44), None)
    np.testing.assert_array_equal(x_test.argmax(1), [0, 3, 3, 3])
    np.testing.assert_array_equal(x_test.sum(1), 1)
    # Without rare ones in the training part nothing is known of unknown ones.
    _, x_test = preparation.parts(np.arange(36), np.arange(40, 44), None)
    np.testing.assert_array_equal(x_test, [[1, 0, 0, 0], *[[0, 0, 0, 0]] * 3])
    # What the table has often enough is rare in this training part, but for red and green.
    x_train, x_test = preparation.parts(np.arange(32), np.arange(32, 44), None)
    np.testing.assert_array_equal(x_train.sum(0), [15, 15, 0, 2])
    assert x_test[:8, 3].all()


def test_a_given_test_part_decides_nothing():
    values = [1.0, 2.0, 3.0, 4.0] * 3
    columns = [
        number("n", *values, NAN, 100),
        number("flat", *[1.0] * 12, 2, 3),
        number("empty", *[NAN] * 12, 2, 3),
        category("c", [0, 1] * 6 + [7, NAN], ["red", "green"]),
    ]
    preparation = Preparation(columns, trainable=12)
    assert preparation.feature_names == ("n", "c = red", "c = green", "c: rare or unknown")
    assert preparation.dropped == {"flat": "constant", "empty": "all missing"}
    x_train, x_test = preparation.parts(np.arange(12), np.array([12, 13]), None)
    np.testing.assert_allclose(x_train[:, 0], StandardScaler().fit_transform(np.c_[values])[:, 0])
    np.testing.assert_allclose(x_test, [[0, 0, 0, 0], [97.5 / np.std(values), 0, 0, 0]], atol=1e-12)
    with pytest.raises(ValueError, match="has rows 1 to 12; rows 0 to 11 may be trained on"):
        preparation.parts(np.array([1, 12]), np.array([13]), None)
    with pytest.raises(ValueError, match="the training part of a split has no rows"):
        preparation.fitted(np.array([], int), None)


def test_what_says_nothing_is_dropped_by_name():
    columns = [
        number("n", *range(20)),
        number("flat", *[3.0] * 20),
        number("empty", *[NAN] * 20),
        category("id", range(20)),
        category("one", [0.0] * 20),
        category("none", [NAN] * 20, ["a"]),
        category("half", [0.0] * 10 + [NAN] * 10),
        category("id or none", [*range(10), *[NAN] * 10]),
    ]
    preparation = Preparation(columns)
    assert preparation.dropped == {
        "flat": "constant",
        "empty": "all missing",
        "id": "no value is frequent enough",
        "one": "constant",
        "none": "all missing",
    }
    assert preparation.column_names == ("n", "half", "id or none")
    assert preparation.feature_names == (
        *("n", "half = k0", "half: rare or unknown", "half: missing"),
        *("id or none: rare or unknown", "id or none: missing"),
    )
    assert preparation.raw.shape == (20, 3)
    with pytest.raises(
        ValueError, match=r"^no column tells .*: 'flat' \(constant\), 'empty' \(all"
    ):
        Preparation(columns[1:3])


def test_points_of_a_plane_are_known():
    x, y = number("x", 1, 2, 3), number("y", 3, 1, 2)
    assert Preparation([x, y]).is_plane
    assert Preparation([x, number("flat", 1, 1, 1), y]).is_plane
    assert Preparation([x, y]).n_features == 2
    assert not Preparation([x]).is_plane
    assert not Preparation([x, y, number("z", 1, 2, 5)]).is_plane
    assert not Preparation([x, number("y", 3, NAN, 2)]).is_plane
    assert not Preparation([x, number("y", 3, 1, NAN)], trainable=2).is_plane
    assert not Preparation([x, category("y", [0, 1, NAN] * 5)][1:]).is_plane


def exactly_standardised(values, has_gap):
    with localcontext(prec=2000):
        exact = [Decimal(value) for value in values]
        exact += [statistics.median(exact)] * has_gap
        mean = sum(exact) / len(exact)
        deviation = (sum((one - mean) ** 2 for one in exact) / len(exact)).sqrt()
        return [float((one - mean) / deviation) for one in exact], float(mean / deviation)


SPREAD = np.random.default_rng(0).normal(size=50)
gap = pytest.mark.parametrize("gap", [False, True])


def prepared(values, gap):
    """The value's feature, of rows that are all of them both trained and tested on."""
    preparation = Preparation([number("n", *values, *([NAN] if gap else []))])
    rows = np.arange(len(values) + gap)
    with np.errstate(all="raise"):  # whatever a user has set
        x, again = preparation.parts(rows, rows, None)
    np.testing.assert_array_equal(x, again)
    return x[:, 0]


@gap
@pytest.mark.parametrize(
    "values",
    [
        1e9 + 1e-3 * SPREAD,
        1e12 + SPREAD,
        1e150 * SPREAD,
        1e-150 * SPREAD,
        -1e-140 + 1e-150 * SPREAD,
        np.r_[1e100, 1e-100 * SPREAD],
        np.r_[1e150, [0.0] * 9],
        [1.0, 1 + 1e-12],
    ],
)
def test_large_and_small_numbers_are_standardised(values, gap):
    values = np.asarray(values)
    x = prepared(values, gap)
    expected, offset = exactly_standardised(values.tolist(), gap)
    # StandardScaler rounds the mean to a float.
    atol = 1e-9 + 4 * np.finfo(float).eps * abs(offset)
    assert atol < 1e-2
    np.testing.assert_allclose(x, expected, rtol=1e-3 if offset > 1e10 else 1e-9, atol=atol)


@gap
@pytest.mark.parametrize(
    "values",
    [
        1e15 + SPREAD,
        [1.1e300] * 7,
        [1.7e308] * 3,
        1e-300 * SPREAD,
        -1e-300 + 1e-312 * SPREAD,
        [0.0, 5e-324],
        [1.0, np.nextafter(1.0, 2)],
    ],
)
def test_what_scikit_learn_takes_for_a_constant_is_zero(values, gap):
    values = np.asarray(values)
    if np.ptp(values):
        assert StandardScaler().fit(values[:, None]).scale_ == 1  # not scaled
    columns = [number("n", *values, *([NAN] if gap else []), 3, -1.7e308)]
    preparation, rows = Preparation(columns), np.arange(len(values) + gap)
    for part in preparation.parts(rows, np.arange(len(rows) + 2), None):
        np.testing.assert_array_equal(part[:, 0], 0)


@gap
@pytest.mark.parametrize(
    ("values", "ends"),
    [
        (1e300 + 1e286 * SPREAD, r"1e\+300 and 1e\+300"),
        (1e300 * SPREAD, r"-[0-9.]+e\+300 and [0-9.]+e\+300"),
        (np.r_[-1.7e308, 1.7e308, SPREAD], r"-1.7e\+308 and 1.7e\+308"),
        (np.r_[1.7e308, [0.0] * 9], r"0 and 1.7e\+308"),
        (np.r_[1.7e308, 1.6e308], r"1.6e\+308 and 1.7e\+308"),
    ],
)
def test_numbers_too_large_to_be_standardised_are_told(values, ends, gap):
    words = (
        r"^column 'n' holds numbers too large to be standardised in its training rows, which lie "
        rf"between {ends}; take its logarithm, or leave it out$"
    )
    with pytest.raises(ValueError, match=words):
        prepared(values, gap)


@given(st.lists(st.floats(-1e100, 1e100) | st.just(NAN), min_size=2, max_size=30))
def test_training_parts_have_mean_0_and_deviation_1_or_are_0(values):
    known = [value for value in values if value == value]
    assume(len(set(known)) > 1)
    filled = [statistics.median(known) if value != value else value for value in values]
    x = prepared(values, gap=False)
    assert np.isfinite(x).all()
    deviation, mean = np.std(filled), abs(np.mean(filled))
    eps = np.finfo(float).eps
    if deviation < max(1e-150, len(values) * eps * mean / 2):
        return  # may be 0
    if not x.any():
        assert deviation < 2 * len(values) * eps * mean
    else:
        rounding = 1e-9 + 8 * eps * np.abs(filled).max() / deviation
        assert x.mean() == pytest.approx(0, abs=rounding)
        assert x.std() == pytest.approx(1, abs=rounding)


def test_a_value_too_far_from_the_training_rows_is_told():
    preparation = Preparation([number("n", 1, 2, 3), number("tiny", 1e-100, 2e-100, 1e300)])
    words = (
        r"^column 'tiny' holds 1e\+300, too far from its training rows, which lie between 1e-100 "
        "and 2e-100; take its logarithm, or leave it out$"
    )
    with pytest.raises(ValueError, match=words):
        preparation.parts(np.array([0, 1]), np.array([1, 2]), None)


def test_a_small_training_part_has_no_other_features():
    # Of 3000 rows, 15 make a feature; of 30, 5 make a category frequent to scikit-learn.
    codes = [0] * 10 + [1] * 8 + [2] * 12 + [2] * 1500 + [3] * 1470
    preparation = Preparation([category("c", codes)])
    assert preparation.feature_names == ("c = k2", "c = k3", "c: rare or unknown")
    x_train, x_test = preparation.parts(np.arange(30), np.array([0, 10, 20, 2999]), None)
    np.testing.assert_array_equal(x_train.sum(0), [12, 0, 18])
    np.testing.assert_array_equal(x_test, [[0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 0, 1]])
    # Where all are rare, that says nothing.
    for part in preparation.parts(np.arange(18), np.arange(3000), None):
        np.testing.assert_array_equal(part, 0)


def test_the_encoder_meets_no_unknown_category(monkeypatch):
    # It may warn of one; which versions do differs.
    met = []

    def transform(self, x):
        met.append(x)
        assert all(np.isin(x[~np.isnan(x)], self.categories_[0]))
        return original(self, x)

    original = OneHotEncoder.transform
    monkeypatch.setattr(OneHotEncoder, "transform", transform)
    codes = [0] * 15 + [1] * 15 + [2] * 6 + [3, 4, 5, 5] + [0, 3, 9, NAN, 6, 1e12]
    preparation = Preparation([category("c", codes, [f"k{one}" for one in range(6)])], 40)
    before = preparation.raw.copy()
    x_test = preparation.fitted(np.arange(40), None)(preparation.raw[40:])
    np.testing.assert_array_equal(x_test.argmax(1), [0, 3, 3, 3, 3, 3])
    assert len(met) == 2
    np.testing.assert_array_equal(preparation.raw, before)


def test_threads_prepare_at_once_and_leave_the_warnings_alone():
    n = 200
    preparation = Preparation(mixed_table(n, 0))
    splits = [split(n, 0.25, seed) for seed in range(20)]
    expected = [preparation.parts(*rows, None) for rows in splits]
    before = [*warnings.filters]
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda rows: preparation.parts(*rows, None), splits)]
    assert [*warnings.filters] == before
    for ours, theirs in zip(found, expected, strict=True):
        for part, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(part, other)


def test_how_scikit_learn_is_set_changes_nothing():
    preparation = Preparation(mixed_table(100, 0))
    rows = split(100, 0.25, 0)
    expected = preparation.parts(*rows, None)
    with config_context(transform_output="polars"):
        found = preparation.parts(*rows, None)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_no_points_have_features_of_no_rows():
    preparation = Preparation(mixed_table(100, 0))
    _, x_test = preparation.parts(np.arange(80), np.arange(0), None)
    assert x_test.shape == (0, preparation.n_features)


def test_it_needs_little_more_memory_than_its_outcome():
    n = 20_000
    preparation = Preparation(mixed_table(n, 0))
    rows = split(n, 0.2, 0)
    preparation.parts(*rows, None)  # with what is imported
    tracemalloc.start()
    try:
        parts = preparation.parts(*rows, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # scikit-learn's parts, and what it joins them to, or this and the outcome.
    assert peak < 2.5 * sum(part.nbytes for part in parts)
    assert parts[0].T.flags.c_contiguous  # rows along memory, as models take them


def test_scikit_learn_is_imported_only_for_a_fit():
    code = (
        "import numpy as np\n"
        "from functional_clf.data.preparation import Column, Preparation\n"
        "Preparation([Column('n', 'number', np.arange(4.0))])\n"
        "import sys\n"
        "sys.exit('sklearn' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Preparation([]), "the table has no columns"),
        (lambda: Preparation([number("n", 1, 2)] * 2), "two columns are called 'n'"),
        (lambda: Preparation([number("n", 1, 2), number("m", 1)]), "column 'm' has 1 rows, and"),
        (lambda: Preparation([number("n", 1, 2)], 3), "trainable is 3; the table has 2 rows"),
        (lambda: Preparation([number("n", 1, 2)], 0), "trainable is 0; it must be at least 1"),
        (lambda: number("n", 1, np.inf), "column 'n' holds inf at row 1; it must be finite"),
        (lambda: category("c", [0, 0.5], ["a"]), "column 'c' holds 0.5 at row 1; a category's"),
        (lambda: category("c", [0, -1], ["a"]), "column 'c' holds -1 at row 1; a category's"),
        (
            lambda: Preparation([category("c", [0, 2], ["a", "b"])]),
            "column 'c' has code 2 at row 1",
        ),
        (lambda: Column("n", "text", np.ones(2)), "kind is 'text'; it must be 'number' or"),
        (
            lambda: Preparation([number("n", 1, 2)]).fitted(np.arange(2), None)(np.ones((2, 3))),
            "the points have shape (2, 3); it must be (point, 1 columns)",
        ),
    ],
)
def test_tables_of_a_wrong_type_or_shape_are_refused(build, words):
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
        build()
    assert str(caught.value).startswith(words)


def test_columns_of_other_types_are_refused():
    with pytest.raises(TypeError, match=r"^column 'n' has values of type int64 and shape \(3,\)"):
        Column("n", "number", np.arange(3))


# ---- A transformer of one's own ----

N = 60
RANDOM = np.random.default_rng(5)
FRAME = pl.DataFrame(
    {
        "size": RANDOM.normal(size=N),
        "weight": [None if one % 7 == 0 else float(one) for one in range(N)],
        "town": RANDOM.choice(["Bern", "Genf", "Zug"], N),
    }
)
TABLE, LABELS = RANDOM.normal(size=(N, 4)), RANDOM.integers(0, 2, N)
ROWS = split(N, 0.25, 3)


def test_a_transformer_is_fitted_on_the_training_rows_of_a_data_frame():
    towns = OneHotEncoder(categories=[["Bern", "Genf", "Zug"]])
    own = ColumnTransformer(
        [
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["size", "weight"]),
            ("town", towns, ["town"]),
        ],
        sparse_threshold=1,  # sparse outcomes come as arrays
    )
    preparation = OwnPreparation(own, FRAME, y=LABELS)
    assert preparation.raw is FRAME
    assert preparation.column_names == ("size", "weight", "town")
    assert preparation.feature_names[-1] == "town__town_Zug"
    assert (preparation.n_features, preparation.dropped, preparation.is_plane) == (5, {}, False)
    x_train, x_test = preparation.parts(*ROWS, LABELS)
    for part, x in zip(ROWS, (x_train, x_test), strict=True):
        sizes = FRAME["size"].to_numpy()
        expected = (sizes[part] - sizes[ROWS.train].mean()) / sizes[ROWS.train].std()
        np.testing.assert_allclose(x[:, 0], expected, rtol=1e-12)
        np.testing.assert_array_equal(x[:, 4], (FRAME["town"] == "Zug").to_numpy()[part])
    prepare = preparation.fitted(ROWS.train, LABELS)
    np.testing.assert_array_equal(prepare(FRAME[ROWS.test]), x_test)
    assert not hasattr(own, "transformers_")  # the user's stays as it is


def test_a_transformer_that_works_in_place_leaves_the_table_as_it_is():
    table = TABLE.copy()
    preparation = OwnPreparation(StandardScaler(copy=False), table)
    x_train, _ = preparation.parts(*ROWS, LABELS)
    x = preparation.fitted(ROWS.train, LABELS)(table)
    np.testing.assert_array_equal(table, TABLE)
    np.testing.assert_array_equal(x[ROWS.train], x_train)


def test_a_frame_of_pandas_is_indexed_by_place():
    class Frame:  # as pandas has them
        columns = ("a", "b")

        def __init__(self, values):
            self.values, self.shape = values, values.shape

        def __array__(self, dtype=None, copy=None):
            return self.values

        def __getitem__(self, key):
            raise KeyError("rows by their names")

        @property
        def iloc(self):
            return Place(self.values)

    class Place:
        def __init__(self, values):
            self.values = values

        def __getitem__(self, rows):
            return Frame(self.values[rows])

    preparation = OwnPreparation(FunctionTransformer(np.asarray), Frame(TABLE[:, :2]))
    assert preparation.column_names == ("a", "b")
    np.testing.assert_array_equal(preparation.parts(*ROWS, LABELS)[1], TABLE[ROWS.test, :2])


def test_training_rows_are_those_of_fit_transform():
    towns = FRAME.select("town").to_numpy()
    preparation = OwnPreparation(target_encoder(), towns)
    x_train, x_test = preparation.parts(*ROWS, LABELS.astype(np.float32))
    by_hand = target_encoder()
    np.testing.assert_array_equal(
        x_train, by_hand.fit_transform(towns[ROWS.train], LABELS[ROWS.train])
    )
    np.testing.assert_array_equal(x_test, by_hand.transform(towns[ROWS.test]))
    seen = preparation.fitted(ROWS.train, LABELS)(towns[ROWS.train])
    assert not np.array_equal(seen, x_train)


class Shift(BaseEstimator):
    """Has no fit_transform, no names; `made` says what it returns."""

    def __init__(self, made=lambda x: x, fails=None):
        self.made, self.fails = made, fails

    def fit(self, x, y=None):
        if len(x) == self.fails:
            raise RuntimeError("no\nsuch thing")
        self.mean_ = x.mean(0)
        return self

    def transform(self, x):
        return self.made(x - self.mean_)


def test_a_transformer_may_have_the_least_of_methods():
    preparation = OwnPreparation(Shift(), TABLE)
    assert preparation.feature_names == tuple(f"feature {one}" for one in range(4))
    assert preparation.column_names == tuple(f"column {one}" for one in range(4))
    _, x_test = preparation.parts(*ROWS, LABELS)
    np.testing.assert_array_equal(x_test, TABLE[ROWS.test] - TABLE[ROWS.train].mean(0))
    assert OwnPreparation(Shift(lambda x: x > 0), TABLE.tolist()).parts(*ROWS, LABELS)[0].max() == 1


def test_settings_are_the_class_and_its_parameters():
    settings = OwnPreparation(make_pipeline(StandardScaler(with_mean=False)), TABLE).settings
    assert settings["class"] == "sklearn.pipeline.Pipeline"
    assert settings["parameters"]["standardscaler__with_mean"] == "False"
    texts = [
        OwnPreparation(FunctionTransformer(lambda x: x), TABLE).settings["parameters"]["func"]
        for _ in range(2)
    ]
    assert texts[0] == texts[1]  # and no address in memory


class Noise(TransformerMixin, BaseEstimator):
    def fit(self, x, y=None):
        return self

    def transform(self, x):
        return x + np.random.default_rng().normal(size=x.shape)


def some_rows(x):
    return x[1:]


@pytest.mark.parametrize(
    ("transformer", "words"),
    [
        (Noise(), "prepare gives another outcome when it is fitted again on the same rows; give"),
        (TargetEncoder(), "prepare gives another outcome when it is fitted again"),
        (Shift(fails=45), "prepare failed on the training rows of a split: no"),
        (Shift(fails=60), "prepare failed on the 60 rows that may be trained on: no"),
        (Shift(lambda x: x.astype(str)), "prepare makes of the 60 rows that may be trained"),
        (Shift(lambda x: x.astype(complex)), "prepare makes of the 60 rows that may be trained"),
        (Shift(lambda x: [["a", 1]] * len(x)), "prepare makes of the 60 rows that may be trained"),
        (Shift(some_rows), "prepare makes of the 60 rows that may be trained on an array of shape "
         "(59, 4); it must be (60, feature)"),
        (Shift(lambda x: x[:, 0]), "prepare makes of the 60 rows that may be trained on an array"),
        (Shift(lambda x: x[:, :0]), "prepare makes of the 60 rows that may be trained on an array"),
        (Shift(lambda x: np.where(x > 2, NAN, x)), "prepare makes of the 60 rows that may be "
         "trained on nan in feature "),
        (Shift(lambda x: x[:, : 4 - (len(x) == 45)]), "prepare makes 3 features of one split and "
         "4 of all 60 rows; a model needs as many of each"),
        (Shift(lambda x: x[:, : 4 - (len(x) == 15)]), "prepare makes 3 features of one split and "
         "4 of all 60 rows; a model needs as many of each"),
        (Shift(lambda x: x / (len(x) != 15) if len(x) != 15 else x * NAN), "prepare makes of the "
         "test rows of a split nan in feature 0; it must make finite numbers"),
        (OrdinalEncoder(), "prepare failed on the test rows of a split: Found unknown categories"),
    ],
)  # fmt: skip
def test_what_a_transformer_does_wrong_is_told_in_a_line(transformer, words):
    # Of rounded values few are in both parts.
    table = TABLE if not isinstance(transformer, TargetEncoder) else np.round(TABLE)
    table = np.where(np.abs(TABLE) > 2, 2.5 * np.sign(TABLE), table)
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
        OwnPreparation(transformer, table).parts(*ROWS, LABELS)
    assert str(caught.value).startswith(words)


def test_a_width_that_depends_on_the_split_is_refused_whichever_comes_first():
    towns = np.array([["Bern"], ["Genf"]] * 9 + [["Zug"]] * 2)
    few, all_of_them = np.arange(10), np.arange(20)
    words = "^prepare makes 2 features of one split and 3 of all 20 rows"
    for first in (few, all_of_them):
        preparation = OwnPreparation(OneHotEncoder(), towns)
        if first is all_of_them:
            preparation.parts(first, first, np.zeros(20))
        with pytest.raises(ValueError, match=words):
            preparation.parts(few, few, np.zeros(20))


def test_a_given_test_part_is_kept_from_the_transformer():
    table = np.r_[TABLE, 1e9 * np.ones((5, 4))]
    labels = np.r_[LABELS, [0] * 5]
    preparation = OwnPreparation(PCA(2, svd_solver="full"), table, trainable=N, y=labels)
    _, x_test = preparation.parts(np.arange(N), np.arange(N, N + 5), labels)
    expected = PCA(2, svd_solver="full").fit(TABLE).transform(table[N:])
    np.testing.assert_array_equal(x_test, expected)
    with pytest.raises(ValueError, match="rows 0 to 59 may be trained on"):
        preparation.fitted(np.arange(N + 1), labels)


@pytest.mark.parametrize(
    "given", [StandardScaler, LogisticRegression(), "scale", lambda x: x, object()]
)
def test_what_is_no_transformer_is_refused(given):
    with pytest.raises(
        TypeError, match=r"^prepare is .*; it must be a transformer of scikit-learn"
    ):
        OwnPreparation(given, TABLE)


def test_transformers_and_rows_must_be_whole():
    class Unclonable(Shift):
        def __init__(self, made=None):
            self.made = [made]

    with pytest.raises(TypeError, match=r"^prepare is .*, which cannot be cloned: "):
        OwnPreparation(Unclonable(3), TABLE)
    with pytest.raises(TypeError, match=r"^the rows have shape \(4,\); it must be \(row, column\)"):
        OwnPreparation(StandardScaler(), TABLE[0])
