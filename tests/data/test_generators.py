import numpy as np
import pytest
from sklearn.datasets import make_circles, make_moons

from functional_clf.data.generators import circles, moons


def test_data_sets_are_scikit_learns():
    for ours, theirs in (
        (circles(50, 0.1, 0.5), make_circles(50, noise=0.1, factor=0.5, random_state=3)),
        (moons(50, 0.1), make_moons(50, noise=0.1, random_state=3)),
    ):
        for drawn, expected in zip(ours.draw(3), theirs, strict=True):
            np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: circles(3), "samples"),
        (lambda: circles(noise=-1.0), "noise"),
        (lambda: circles(noise=float("nan")), "noise"),
        (lambda: circles(factor=1.0), "factor"),
        (lambda: moons(noise=float("inf")), "noise"),
    ],
)
def test_arguments_outside_their_range_are_refused(build, name):
    with pytest.raises(ValueError, match=f"^{name} is "):
        build()
