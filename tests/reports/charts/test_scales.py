import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functional_clf.reports.charts.axes import overlap, spread_ticks
from functional_clf.reports.charts.contours import zero_lines
from functional_clf.reports.charts.scales import linear, logarithmic, ticks

values = st.floats(-1e100, 1e100, allow_nan=False)
positive = st.floats(1e-300, 1e300)


@given(st.lists(values, min_size=1, max_size=5))
def test_a_scale_holds_its_values_and_goes_back(found):
    scale = linear(found, 10.0, 300.0)
    assert scale.low < scale.high
    for value in found:
        assert scale.holds(value)
        place = scale.place(value)
        assert 10 <= place <= 300
        assert scale.value(place) == pytest.approx(value, abs=1e-6 * (scale.high - scale.low))


@given(st.lists(positive, min_size=1, max_size=5))
def test_so_does_one_of_ratios(found):
    scale = logarithmic(found, 300.0, 10.0)
    assert 0 < scale.low < scale.high < math.inf
    for value in found:
        assert scale.holds(value)
        assert 10 <= scale.place(value) <= 300


@given(st.lists(values, min_size=1, max_size=5), st.integers(2, 9))
@example([3.703703703703704e16], 2)  # between two multiples of the step that would be wide enough
def test_ticks_are_round_even_few_and_inside(found, most):
    scale = linear(found, 0.0, 300.0)
    marks = ticks(scale, most)
    assert 1 <= len(marks) <= most
    assert len({tick.words for tick in marks}) == len(marks)
    for tick in marks:
        assert scale.low <= tick.value <= scale.high
        assert float(tick.words) == pytest.approx(tick.value, rel=1e-3)
    if len(marks) > 1:
        step = marks[1].value - marks[0].value
        lead = float(f"{step:.6e}"[:8])
        assert round(lead, 3) in (1, 2, 5, 10)


@given(st.lists(positive, min_size=1, max_size=5), st.integers(2, 9))
def test_ticks_of_ratios_are_inside(found, most):
    scale = logarithmic(found, 0.0, 300.0)
    marks = ticks(scale, most)
    assert len(marks) <= most
    for tick in marks:
        assert scale.holds(tick.value)
        assert float(tick.words) == pytest.approx(tick.value, rel=1e-3)


@given(st.lists(values, min_size=1, max_size=5), st.floats(60, 300))
def test_labels_side_by_side_do_not_touch(found, wide):
    scale = linear(found, 0.0, wide)
    assert not overlap(spread_ticks(scale), scale)


def test_nothing_stands_between_whole_numbers():
    assert [tick.words for tick in ticks(linear([1, 3], 0, 100), is_whole=True)] == ["1", "2", "3"]


def test_no_value_at_all():
    assert linear([float("nan")], 0, 1).holds(0.5)
    assert logarithmic([], 0, 1).holds(0.5)


def test_a_circle_is_one_closed_line():
    side = np.linspace(-2, 2, 41)
    across, up = np.meshgrid(side, side)
    (line,) = zero_lines(1 - np.hypot(across, up))
    assert line[0] == line[-1]
    places = np.array(line) / 10 - 2
    np.testing.assert_allclose(np.hypot(*places.T), 1, atol=0.01)


def test_a_saddle_has_two_lines_that_do_not_cross():
    lines = zero_lines(np.array([[1.0, -1.0], [-1.0, 1.5]]))
    assert len(lines) == 2
    assert sorted(len(line) for line in lines) == [2, 2]


def test_a_field_without_a_sign_has_no_line():
    assert zero_lines(np.ones((4, 4))) == []
    assert zero_lines(np.full((4, 4), np.nan)) == []
    field = np.array([[-1.0, 1.0, 1.0], [-1.0, np.nan, 1.0], [-1.0, 1.0, 1.0]])
    assert zero_lines(field) == []
