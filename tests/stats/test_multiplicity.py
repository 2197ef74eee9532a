import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_clf.stats import holm


def test_known_answer():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def step_down(p, alpha):
    """Holm's procedure as he put it: reject from the smallest p until one is too large."""
    rejected = np.zeros(len(p), dtype=bool)
    for rank, i in enumerate(np.argsort(p)):
        if p[i] > alpha / (len(p) - rank):
            break
        rejected[i] = True
    return rejected


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 1000).map(lambda k: (k + 0.5) / 1001), min_size=1, max_size=12))
def test_adjusted_p_below_alpha_is_what_the_procedure_rejects(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()
    for alpha in (0.01, 0.05, 0.2, 0.7):
        np.testing.assert_array_equal(adjusted <= alpha, step_down(p, alpha))


@pytest.mark.parametrize(
    ("p", "message"),
    [([], "pvalues is empty"), ([0.1, 1.2], "pvalues hold 1.2"), ([float("nan")], "is nan")],
)
def test_wrong_arguments_are_named(p, message):
    with pytest.raises(ValueError, match=message):
        holm(p)
