import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from functional_clf.stats import crossed_interval, crossed_t_test, variance_components

TABLE = np.array([[1.0, 2.0, 4.0], [3.0, 4.0, 5.0], [2.0, 4.0, 5.0]])
MS_ROWS, MS_COLUMNS, MS_ERROR = 7 / 3, 16 / 3, 1 / 6  # by hand


def test_components_by_hand():
    rows, columns, interaction = variance_components(TABLE)
    assert rows.variance == pytest.approx((MS_ROWS - MS_ERROR) / 3)
    assert columns.variance == pytest.approx((MS_COLUMNS - MS_ERROR) / 3)
    assert interaction.variance == pytest.approx(MS_ERROR)
    assert rows.share + columns.share + interaction.share == pytest.approx(1)


def test_component_intervals_by_hand():
    rows, _, interaction = variance_components(TABLE)
    chi = stats.chi2.ppf([0.975, 0.025], 4)
    assert interaction.interval == pytest.approx(tuple(4 * MS_ERROR / chi))
    f, chi = stats.f.ppf([0.975, 0.025], 2, 4), stats.chi2.ppf([0.975, 0.025], 2)
    expected = [(MS_ROWS - fi * MS_ERROR) / (3 * ci / 2) for fi, ci in zip(f, chi, strict=True)]
    assert rows.interval == pytest.approx((max(0, expected[0]), expected[1]))


def test_mean_by_hand():
    result = crossed_t_test(TABLE)
    combined = MS_ROWS + MS_COLUMNS - MS_ERROR
    assert result.standard_error == pytest.approx(np.sqrt(combined / 9))
    assert result.df == 2
    assert result.statistic == pytest.approx((10 / 3) / np.sqrt(combined / 9))
    half = stats.t.ppf(0.975, 2) * np.sqrt(combined / 9)
    assert crossed_interval(TABLE) == pytest.approx((10 / 3 - half, 10 / 3 + half))


def test_transposing_swaps_rows_and_columns():
    parts, swapped = variance_components(TABLE), variance_components(TABLE.T)
    assert parts.rows.interval == pytest.approx(swapped.columns.interval)
    assert parts.columns.share == pytest.approx(swapped.rows.share)
    assert crossed_interval(TABLE) == pytest.approx(crossed_interval(TABLE.T))


def test_an_effect_estimated_below_zero_counts_as_none():
    # A Latin square: rows and columns all have the same mean.
    result = crossed_t_test([[1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [3.0, 1.0, 2.0]])
    assert result.standard_error == pytest.approx(np.sqrt(1.5 / 9))
    assert result.df == 2


@pytest.mark.parametrize("shape", [(2, 2), (2, 9), (9, 2), (4, 7)])
def test_standard_error_is_made_of_the_components_and_df_of_the_fewer_levels(shape):
    table = np.random.default_rng(0).normal(size=shape)
    rows, columns, interaction = (part.variance for part in variance_components(table))
    result = crossed_t_test(table)
    expected = rows / shape[0] + columns / shape[1] + interaction / table.size
    assert result.standard_error**2 == pytest.approx(expected)
    assert result.df == min(shape) - 1


def test_a_lucky_grid_of_two_rows_does_not_pass_for_one_without_effects():
    # Rows alike, columns alike, and an interaction: two rows cannot show that rows do not differ.
    table = 0.01 * np.outer([1.0, -1.0], np.tile([1.0, -1.0], 8)) + 0.005
    low, high = crossed_interval(table)
    assert low < 0 < high


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_table_without_spread_has_no_interval(value):
    table = np.full((3, 4), value)
    assert crossed_interval(table) is None
    assert crossed_t_test(table).pvalue == (1.0 if value == 0 else None)
    for part in variance_components(table):
        assert part == (0.0, None, None)


@settings(derandomize=True, deadline=None)
@given(
    st.tuples(st.integers(2, 6), st.integers(2, 6)).flatmap(
        lambda shape: arrays(float, shape, elements=st.integers(-3, 3).map(lambda k: k / 200))
    )
)
def test_every_table_gives_ordered_finite_intervals(table):
    interval = crossed_interval(table)
    assert (interval is None) == (np.ptp(table) == 0)
    if interval is not None:
        assert interval.low <= table.mean() <= interval.high
        parts = variance_components(table)
        assert sum(part.share for part in parts) == pytest.approx(1)
        for part in parts:
            assert 0 <= part.interval.low <= part.interval.high < np.inf


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1.0, 2.0]], r"table has shape \(1, 2\): at least 2 rows and 2 columns"),
        ([1.0, 2.0], r"table has shape \(2,\)"),
        ([[1.0, 2.0], [3.0, float("nan")]], r"table\[1, 1\] is nan"),
        ([[1.0, 2.0], [3.0]], "table has rows of unlike lengths"),
        ([[], []], "table is empty"),
    ],
)
def test_wrong_tables_are_named(table, message):
    for function in (crossed_interval, variance_components):
        with pytest.raises(ValueError, match=message):
            function(table)
