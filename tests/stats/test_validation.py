"""What may come in from outside: whatever is meant is taken, anything else refused in one line."""

import decimal
import fractions
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import torch

from functional_clf.stats import (
    compare,
    compare_all,
    compare_crossed,
    score_t_interval,
    self_calibration,
    sign_flip_test,
)

A = [0.9, 0.8, 0.75, 0.7]
B = [0.5, 0.6, 0.55, 0.5]
COUNTS_A = [180, 160, 150, 140]
COUNTS_B = [100, 120, 110, 100]


class Labelled:
    """What the statistics may know of a pandas Series or data frame."""

    def __init__(self, values, *axes):
        self.values = np.asarray(values)
        self.axes = list(axes or (range(len(self.values)),))

    def __array__(self, dtype=None, copy=None):
        return self.values


class Coordinates:
    """What the statistics may know of an xarray DataArray."""

    def __init__(self, values, labels):
        self.values = np.asarray(values)
        self.indexes = {"seed": labels}

    def __array__(self, dtype=None, copy=None):
        return self.values


def decimals(values):
    return [decimal.Decimal(str(value)) for value in values]


TAKEN = {
    "a tuple": tuple(A),
    "float32": np.array(A, dtype=np.float32),
    "a tensor": torch.tensor(A, dtype=torch.float64),
    "a float32 tensor": torch.tensor(A),
    "a half tensor": torch.tensor(A).half(),
    "a tensor with gradients": torch.tensor(A, requires_grad=True),
    "a list of tensors with gradients": [torch.tensor(v, requires_grad=True) for v in A],
    "polars": pl.Series(A),
    "polars decimals": pl.Series(decimals(A)),
    "labelled": Labelled(A),
    "objects": np.array(A, dtype=object),
    "decimals": decimals(A),
    "fractions": [fractions.Fraction(str(value)) for value in A],
    "masked nowhere": np.ma.array(A),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_each_kind_of_column_gives_the_same_comparison(kind):
    assert compare(TAKEN[kind], B) == compare(A, B)
    assert compare(B, TAKEN[kind]) == compare(B, A)


@pytest.mark.parametrize(
    ("a", "total"),
    [
        (np.array(COUNTS_A, dtype=object), 200),
        (torch.tensor(COUNTS_A), torch.tensor(200)),
        (pl.Series(COUNTS_A), pl.Series([200] * 4)),
        (Labelled(COUNTS_A), Labelled([200] * 4)),
    ],
    ids=["objects", "tensors", "polars", "labelled"],
)
def test_counts_of_each_kind(a, total):
    result = compare(a, COUNTS_B, total=total, n_test=200)
    assert result == compare(COUNTS_A, COUNTS_B, total=200)


def test_bfloat16_is_taken_as_it_stands_and_not_held_against_finer_columns():
    rounded = [0.8984375, 0.80078125, 0.75, 0.69921875]
    assert compare(torch.tensor(A).bfloat16(), B).model_a.accuracy.mean == np.mean(rounded)
    # .995 is .99609375 in bfloat16: the same accuracies would seem to differ.
    same = [0.995, 0.985, 0.97]
    assert compare(torch.tensor(same).bfloat16(), same).superiority.ties == 3
    assert compare(same, torch.tensor(same).bfloat16()).superiority.ties == 3


def test_columns_of_unlike_precision_tie_where_they_are_meant_to():
    thirds = np.array([1, 2, 2]) / 3
    assert compare(thirds.astype(np.float32), thirds).superiority.ties == 3
    assert compare(thirds, thirds.astype(np.float16)).superiority.ties == 3


def test_what_left_the_unit_interval_by_rounding_alone_goes_back():
    above, below = 0.1 * 3 + 0.7 + 2**-52, 1 - (1 + 2**-52)
    assert above > 1
    assert below < 0
    result = compare([above] * 3, [below] * 3)
    assert result.estimate == 1
    assert result.model_a.accuracy.maximum == 1
    with pytest.raises(ValueError, match=r"accuracies_a\[0\] is 1.000000001"):
        compare([1.000000001], [0.5])


@pytest.mark.parametrize("kind", [Labelled, Coordinates])
def test_labels_in_another_order_are_never_paired_by_position(kind):
    a, b = kind(A, [3, 5, 7, 9]), kind(B, [9, 7, 5, 3])
    with pytest.raises(ValueError, match="accuracies_b has other labels than accuracies_a, or"):
        compare(a, b)
    with pytest.raises(ValueError, match="accuracies_b has other labels than accuracies_a, or"):
        compare_all({"b": b, "a": a})
    assert compare(a, kind(B, [3, 5, 7, 9])) == compare(A, B)
    assert compare(a, B) == compare(A, B)


def test_labels_hold_for_totals_masks_and_tables_too():
    labels, other = list("wxyz"), list("zyxw")
    a, b = Labelled(COUNTS_A, labels), Labelled(COUNTS_B, labels)
    with pytest.raises(ValueError, match="total has other labels than accuracies_a"):
        compare(a, b, total=Labelled([200, 199, 198, 197], other))
    with pytest.raises(ValueError, match="diverged_b has other labels than accuracies_a"):
        compare(a, b, total=200, diverged_b=Labelled([True, False, False, False], other))
    one, two = (Labelled([A, B], list("xy"), axis) for axis in (labels, other))
    with pytest.raises(ValueError, match="table_b has other labels than table_a"):
        compare_crossed(one, two)
    with pytest.raises(TypeError, match="table_a is a list of labelled columns"):
        compare_crossed([a, b], [A, B])


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (np.ma.array(A, mask=[0, 1, 0, 0]), ValueError, "accuracies_a has masked entries"),
        ([0.9, np.ma.masked, 0.7, 0.7], ValueError, "accuracies_a has masked entries"),
        (pl.Series([0.9, None, 0.7, 0.7]), ValueError, r"accuracies_a\[1\] is nan"),
        (decimals(["NaN"]) * 4, ValueError, r"accuracies_a\[0\] is nan"),
        (["0.9"] * 4, TypeError, "accuracies_a holds <U3 values: numbers are needed"),
        (np.array([0.9, "0.8", 0.7, 0.7], dtype=object), TypeError, r"\[1\] is '0.8': a number"),
        ([0.9, "0.8", 0.7, 0.7], TypeError, "accuracies_a holds <U32 values"),
        ([True] * 4, TypeError, "accuracies_a holds bool values"),
        ([True, 0.8, 0.7, 0.7], TypeError, "accuracies_a holds True or False among its numbers"),
        (np.array([0.9, True, 1, 1], dtype=object), TypeError, r"accuracies_a\[1\] is True"),
        ([0.9 + 0j] * 4, TypeError, "accuracies_a holds complex128 values"),
        (torch.tensor(A).cfloat(), TypeError, "accuracies_a holds complex64 values"),
        (np.zeros(4, dtype=[("x", "f8")]), TypeError, "accuracies_a holds .*'x'.* values"),
        (np.zeros(4, dtype="M8[s]"), TypeError, r"accuracies_a holds datetime64\[s\] values"),
        (set(A), TypeError, "accuracies_a is a set: a number"),
        ((value for value in A), TypeError, "accuracies_a is a generator"),
        (None, TypeError, "accuracies_a is None"),
        ([10**400] * 4, ValueError, "accuracies_a holds a number too large for a float"),
        ([A], ValueError, r"accuracies_a has shape \(1, 4\)"),
        ([[0.9], [0.8, 0.7]], ValueError, "accuracies_a has rows of unlike lengths"),
        (torch.tensor(A).to_sparse(), TypeError, "accuracies_a is a torch.sparse_coo tensor"),
        (torch.zeros(4, device="meta"), TypeError, "accuracies_a is a torch.strided tensor"),
    ],
)
def test_what_is_no_column_of_numbers_is_refused_in_one_line(column, error, message):
    for options in ({}, {"total": 200}):
        with pytest.raises(error, match=message) as caught:
            compare(column, B, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(error):
        sign_flip_test(column)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pl.Series([True, None, False, False]), r"diverged_a\[1\] is None: True or False"),
        (np.array([True, 1.0, False, 0], dtype=object), r"diverged_a\[1\] is 1.0: True or False"),
        (torch.zeros(4), "diverged_a holds float32 values: True or False"),
    ],
)
def test_masks_hold_true_and_false_alone(values, message):
    with pytest.raises(TypeError, match=message):
        compare(A, B, diverged_a=values)
    for mask in (
        torch.tensor([True] * 4),
        np.array([True] * 4, dtype=object),
        pl.Series([True] * 4),
    ):
        assert compare(A, B, diverged_a=mask).model_a.failures.diverged == 4


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        *((name, "0.01", TypeError) for name in ("margin", "alpha", "failure_below")),
        *((name, "8", TypeError) for name in ("n_train", "n_test", "seed", "earlier_looks")),
        ("first_margin", "0.01", TypeError),
        ("first_margin", 2, ValueError),
        ("earlier_looks", -1, ValueError),
        ("earlier_looks", 1.5, TypeError),
        ("margin", 10**400, ValueError),
        ("margin", np.True_, TypeError),
        ("margin", [0.01], TypeError),
        ("margin", decimal.Decimal("sNaN"), ValueError),
        ("margin", torch.tensor([0.01]), TypeError),
        ("first_alpha", "0.05", TypeError),
        ("first_alpha", 0, ValueError),
        ("references", [0.9], TypeError),
        ("names", None, TypeError),
        ("names", {"x", "y"}, TypeError),
        ("total", "200", TypeError),
    ],
)
def test_a_wrong_argument_is_named(argument, value, error):
    with pytest.raises(error, match=f"^{argument} "):
        compare(A, B, **{argument: value})
    shared = {"margin", "alpha", "failure_below", "earlier_looks", "references"}
    shared |= {"first_margin", "first_alpha"}
    if argument in shared:
        with pytest.raises(error, match=f"^{argument} "):
            compare_crossed([A, B], [B, A], **{argument: value})


@pytest.mark.parametrize(
    "number",
    [
        np.float32(0.01),
        np.float16(0.01),
        decimal.Decimal("0.01"),
        fractions.Fraction(1, 100),
        np.array(0.01),
        np.array(0.01, dtype=np.float32),
        torch.tensor(0.01),
        torch.tensor(0.01, dtype=torch.float64, requires_grad=True),
    ],
    ids=repr,
)
def test_each_kind_of_number_means_its_shortest_decimal(number):
    assert compare(A, B, margin=number, first_margin=0.01) == compare(
        A, B, margin=0.01, first_margin=0.01
    )
    result = compare(A, B, alpha=number, failure_below=number, first_alpha=0.01)
    assert (result.alpha, result.failure_below) == (0.01, 0.01)
    assert "changed after looking" not in result.conclusion


def test_half_precision_is_not_made_coarser_than_it_is():
    for total, a, b in [(400, 399, 398), (200, 199, 198), (1000, 999, 990)]:
        columns = [np.full(8, k / total, dtype=np.float16) for k in (a, b)]
        spacing = 2.0**-11  # of half precision below 1
        assert compare(*columns).estimate == pytest.approx((a - b) / total, abs=spacing)
    assert compare(np.float16([0.995] * 3), [0.5] * 3).model_a.accuracy.mean == 0.995


def test_single_precision_goes_back_into_the_unit_interval_too():
    above = np.nextafter(np.float32(1), np.float32(2))
    columns = np.full(2, above), np.full(2, 0.5, dtype=np.float32)
    assert compare(*columns).model_a.accuracy.maximum == 1


@pytest.mark.parametrize("scope", ["data", "split", "init"])
def test_counts_say_how_many_test_samples_there_were(scope):
    options = {"scope": scope, "n_train": 800}
    for total in (200, [200] * 4, torch.tensor(200)):
        result = compare(COUNTS_A, COUNTS_B, total=total, **options)
        assert result.n_test == 200
        with pytest.raises(ValueError, match=r"^n_test is 20: counts of total=200 need n_test=200"):
            compare(COUNTS_A, COUNTS_B, total=total, n_test=20, **options)
    unlike = compare(COUNTS_A, COUNTS_B, total=[200, 200, 200, 190], n_test=198, **options)
    assert unlike.n_test == 198


@pytest.mark.parametrize(("alpha", "words"), [(1e-5, "99.999"), (1e-12, "99.9999999999")])
def test_small_alphas_are_printed_in_full_and_smaller_ones_refused(alpha, words):
    rng = np.random.default_rng(0)
    a, b = rng.binomial(200, 0.9, (2, 30))
    for scope in ("data", "split"):
        said = compare(a, b, total=200, alpha=alpha, scope=scope, n_train=800).conclusion
        assert f"({words} % CI" in said
        assert "nan" not in said
    many = compare_all({str(i): a + (i == 9) for i in range(10)}, total=250, alpha=45 * alpha)
    assert many[0].alpha == alpha
    for tiny in (1e-13, 1e-200):
        with pytest.raises(ValueError, match=f"^alpha is {tiny}: at least 1e-12 is needed$"):
            compare(a, b, total=200, alpha=tiny)
    with pytest.raises(ValueError, match=r"at least 4\.5e-11 is needed for 45 comparisons"):
        compare_all({str(i): a for i in range(10)}, total=200, alpha=4e-11)


def test_odd_arguments_are_refused_in_one_line():
    itself = [0.9, 0.8]
    itself.append(itself)
    for change, error, message in [
        ({"scope": pl.Series([True])}, ValueError, "^scope is shape: .*: one of data, split, init"),
        ({"setting": pl.Series(["a", "b"])}, TypeError, "^setting is shape: .*: a string"),
        ({"names": pl.Series(["a", "b"])}, TypeError, "^names is shape: .*: two strings"),
        ({"diverged_a": itself}, ValueError, "^diverged_a is a list that holds itself"),
        ({"margin": itself}, TypeError, "^margin is .*: a number is needed"),
    ]:
        with pytest.raises(error, match=message) as caught:
            compare(A, B, **change)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^accuracies_a is a list that holds itself"):
        compare(itself, B)
    with pytest.raises(ValueError, match=r"^accuracies_a holds a signalling nan"):
        compare([decimal.Decimal("sNaN"), 0.8, 0.75, 0.7], B)
    with pytest.raises(TypeError, match=r"^variance_factor is 'x': a number"):
        score_t_interval(A, B, variance_factor="x")
    studies = self_calibration(A * 4, B * 4, sizes=torch.tensor([2, 3]), repetitions=3).studies
    assert [study.size for study in studies] == [2, 3]


def test_several_models_come_as_a_mapping_or_a_data_frame():
    expected = compare_all({"b": B, "a": A}, diverged={"a": [True] * 4})
    frames = pl.DataFrame({"b": B, "a": A}), pl.DataFrame({"a": [True] * 4})
    assert compare_all(frames[0], diverged=frames[1]) == expected
    with pytest.raises(TypeError, match="accuracies is a list: a mapping from model name"):
        compare_all([A, B])
    with pytest.raises(TypeError, match="diverged is a list: a mapping from model name"):
        compare_all({"b": B, "a": A}, diverged=[[True] * 4])
    with pytest.raises(ValueError, match="accuracies holds 1 models"):
        compare_all(pl.DataFrame({"a": A}))


def loaded(code):
    """The modules that a fresh interpreter holds after running some code."""
    listed = f"{code}\nimport sys\nprint(*sys.modules)"
    command = [sys.executable, "-c", listed]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


HEAVY = {"torch", "pandas", "sklearn", "matplotlib", "scipy.stats", "scipy.optimize"}


def test_the_statistics_import_numpy_and_little_else():
    found = loaded("from functional_clf.stats import compare")
    assert "functional_clf.stats.comparison" in found
    assert not found & (HEAVY | {"scipy.special", "scipy.linalg"})


def test_no_comparison_needs_scipys_stats():
    found = loaded(
        "from functional_clf.stats import *\n"
        "a, b = [[0.9, 0.8], [0.7, 0.9]], [[0.5, 0.6], [0.6, 0.5]]\n"
        "compare_crossed(a, b)\n"
        "for scope in ('data', 'split', 'init'):\n"
        "    compare(a[0] * 9, b[0] * 9, scope=scope, n_train=80, n_test=20)\n"
        "    self_calibration(a[0] * 9, b[0] * 9, scope=scope, n_train=80, n_test=20)\n"
    )
    assert "scipy.special" in found
    assert not found & HEAVY
