import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import make_circles, make_moons
from sklearn.linear_model import LogisticRegression

from functional_clf.data.best_accuracies import circles_references, moons_references, rice_density

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


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01, 0.03, 0.5, 2.0])
def test_accuracies_are_ordered_shares(noise):
    for best, line in (circles_references(noise, 0.8), moons_references(noise)):
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
