import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.datasets import make_circles, make_moons
from sklearn.linear_model import LogisticRegression

from functional_clf.data.best_accuracies import (
    FINEST,
    blobs_references,
    circles_references,
    moons_references,
    rice_density,
    spiral,
    spirals_references,
)
from functional_clf.data.generators import blobs, spirals

N = 200_000


def five_standard_errors(share):
    return 5 * np.sqrt(share * (1 - share) / N)


def test_the_standard_circles_have_their_known_ceiling():
    assert circles_references(0.03, 0.8).best_possible == pytest.approx(0.99957, abs=5e-6)
    assert circles_references(0.0, 0.8).best_straight_line == pytest.approx(0.6024, abs=1e-3)
    assert circles_references(0.0, 0.8).best_possible == 1.0


@pytest.mark.parametrize(("noise", "factor"), [(0.03, 0.8), (0.1, 0.8), (0.3, 0.5)])
def test_circles_against_drawn_samples(noise, factor):
    best, line = circles_references(noise, factor)
    x, y = make_circles(N, noise=noise, factor=factor, random_state=0)
    radius, right = np.hypot(*x.T), x[:, 0]
    for found, score in ((best, radius), (line, right)):
        cuts = np.quantile(score, np.linspace(0.001, 0.999, 400))
        drawn = max(np.mean((score > cut) == (y == 0)) for cut in cuts)
        assert drawn == pytest.approx(found, abs=five_standard_errors(found) + 1e-3)


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_moons_against_drawn_samples(noise):
    best, line = moons_references(noise)
    x, y = make_moons(N, noise=noise, random_state=0)
    linear = LogisticRegression().fit(x, y).score(x, y)
    assert linear <= line + five_standard_errors(line)
    assert linear >= line - 0.01  # logistic regression maximises another thing, nearby
    turn = np.linspace(0, np.pi, 300)
    arcs = [(np.cos(turn), np.sin(turn)), (1 - np.cos(turn), 0.5 - np.sin(turn))]
    few = x[:4000]
    densities = [
        np.exp(-((few[:, :1] - a) ** 2 + (few[:, 1:] - b) ** 2) / (2 * noise**2)).mean(1)
        for a, b in arcs
    ]
    bayes = np.mean((densities[1] > densities[0]) == y[:4000])
    assert bayes == pytest.approx(best, abs=5 * np.sqrt(best * (1 - best) / 4000) + 1e-3)


def densest_share(x, y, noise, curves):
    """How often the densest of some curves, each given by equally likely points, is a sample's."""
    densities = [
        np.concatenate(
            [
                np.exp(-cdist(part, curve, "sqeuclidean") / (2 * noise**2)).sum(1)
                for part in np.array_split(x, 40)
            ]
        )
        for curve in curves
    ]
    return np.mean(np.argmax(densities, 0) == y)


@pytest.mark.parametrize(
    ("noise", "n_classes"), [(0.5, 2), (0.5, 3), (0.3, 7), (0.02, 100), (3.0, 4)]
)
def test_blobs_against_drawn_samples(noise, n_classes):
    best = blobs_references(noise, n_classes).best_possible
    x, y = blobs(N, noise, n_classes).draw(0)
    turn = 2 * np.pi / n_classes
    nearest = np.round(np.arctan2(x[:, 1], x[:, 0]) / turn) % n_classes
    assert np.mean(nearest == y) == pytest.approx(best, abs=five_standard_errors(best))


@pytest.mark.parametrize("noise", [1e-200, 0.2, 0.5, 1.0, 30.0])
def test_two_blobs_are_parted_by_a_line(noise):
    best, line = blobs_references(noise, 2)
    assert best == line == pytest.approx(stats.norm.cdf(1 / noise), abs=1e-9)


@pytest.mark.parametrize("noise", [0.3, 0.5, 2.0])
def test_four_blobs_are_two_tests_at_once(noise):
    alone = stats.norm.cdf(np.sqrt(0.5) / noise)  # sectors of a quarter turn, seen at 45 degrees
    assert blobs_references(noise, 4).best_possible == pytest.approx(alone**2, abs=1e-9)


@pytest.mark.parametrize(
    ("noise", "n_classes", "n"),
    [
        *[(0.1, 2, N), (0.3, 2, N), (0.03, 3, N), (0.1, 3, N), (0.06, 5, N), (1.0, 3, N)],
        *[(0.02, 20, 20_000), (0.004, 40, 2000), (0.0055, 60, 2000)],
    ],
)
def test_spirals_against_drawn_samples(noise, n_classes, n):
    best = spirals_references(noise, n_classes).best_possible
    x, y = spirals(n, noise, n_classes).draw(0)
    n_points = max(100, int(4 / noise))
    along = (np.arange(n_points) + 0.5) / n_points
    arms = [spiral(along, 2 * np.pi * c / n_classes) for c in range(n_classes)]
    share = densest_share(x, y, noise, arms)
    assert share == pytest.approx(best, abs=5 * np.sqrt(best * (1 - best) / n))


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.03, 0.1, 0.4])
def test_the_best_line_through_two_spirals_against_drawn_samples(noise):
    line = spirals_references(noise, 2)[1]
    x, y = spirals(N, noise, 2).draw(0)
    drawn = 0.0
    for angle in np.linspace(0, np.pi, 60, endpoint=False):
        height = x @ [np.cos(angle), np.sin(angle)]
        cuts = np.linspace(-1, 1, 401)
        classes = [np.sort(height[y == label]) for label in (0, 1)]
        below = [np.searchsorted(one, cuts) / len(one) for one in classes]
        drawn = max(drawn, 0.5 + 0.5 * np.abs(below[0] - below[1]).max())
    assert drawn == pytest.approx(line, abs=five_standard_errors(line))


@pytest.mark.parametrize("n_classes", [2, 3, 10, 100])
def test_both_ways_to_the_accuracy_of_spirals_meet(n_classes):
    below, above = (
        spirals_references(noise, n_classes).best_possible
        for noise in (np.nextafter(FINEST, 0), FINEST)
    )
    assert above == pytest.approx(below, abs=6e-4 if n_classes == 100 else 1e-5)


@pytest.mark.parametrize("n_classes", [2, 3, 100])
def test_more_noise_leaves_less_down_to_chance(n_classes):
    noises = [0.0, 1e-300, 1e-3, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0, 1e3, 1e6, 1e200]
    for references in (blobs_references, spirals_references):
        found = [references(noise, n_classes).best_possible for noise in noises]
        assert found[:2] == [1.0, 1.0]
        assert (np.diff(found) <= 1e-6).all()
        assert found[-1] == pytest.approx(1 / n_classes, abs=1e-5)


def test_only_two_classes_have_a_line():
    for references in (blobs_references, spirals_references):
        assert set(references(0.1, 2)._asdict()) == {"best_possible", "best_straight_line"}
        assert set(references(0.1, 3)._asdict()) == {"best_possible"}


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01, 0.03, 0.5, 2.0])
def test_accuracies_are_ordered_shares(noise):
    for best, line in (
        *(circles_references(noise, 0.8), moons_references(noise)),
        *(blobs_references(noise, 2), spirals_references(noise, 2)),
    ):
        assert 0.5 <= line <= best <= 1.0


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.floats(-6, 0).map(lambda e: 10**e), st.floats(0, 1), st.floats(-12, 12))
def test_distances_from_the_centre_follow_rices_law(noise, radius, away):
    distance = np.array([max(0.0, radius + away * noise), radius])
    found = rice_density(distance, radius, noise)
    expected = stats.rice.pdf(distance, radius / noise, scale=noise)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("radius", [0.0, 0.5, 1.0])
def test_rices_density_is_one(noise, radius):
    distance = np.linspace(max(0.0, radius - 12 * noise), radius + 12 * noise, 100_001)
    assert np.trapezoid(rice_density(distance, radius, noise), distance) == pytest.approx(1)


def test_the_circles_need_neither_scipys_stats_nor_its_optimisers():
    code = (
        "from functional_clf.data.best_accuracies import circles_references\n"
        "circles_references(0.03, 0.8)\n"
        "import sys\n"
        "heavy = {'torch', 'scipy.stats', 'scipy.optimize', 'scipy.ndimage'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
