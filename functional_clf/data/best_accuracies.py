"""The best accuracy that known data allow: to any classifier, and to a straight line.

Two classes, equally frequent, each a curve of zero width plus Gaussian noise on both coordinates.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

Points = NDArray[np.float64]
Distances = NDArray[np.float64]


class References(NamedTuple):
    """Expected accuracies on new samples, in [0, 1]."""

    best_possible: float
    best_straight_line: float


@functools.lru_cache
def circles_references(noise: float, factor: float) -> References:
    """The references of concentric circles of radius 1 and `factor`.

    By symmetry only the distance from the centre tells the classes apart; it follows a Rice
    distribution, and the best accuracy is `1/2 * integral of max(p_0(r), p_1(r))`.

    Args:
        noise: standard deviation on each coordinate, at least 0.
        factor: radius of the inner circle, in [0, 1).

    Example:
        >>> best, line = circles_references(0.03, 0.8)
        >>> round(best, 5), round(line, 3)  # without noise, a line reaches 0.602
        (0.99957, 0.589)
    """
    radii = (1.0, factor)
    best = 1.0
    if noise > 0:
        r = np.linspace(max(0.0, factor - 12 * noise), 1 + 12 * noise, 200_001)
        densities = [rice_density(r, radius, noise) for radius in radii]
        best = 0.5 * float(np.trapezoid(np.maximum(*densities), r))
    turn = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1)
    line = _line_accuracy(ring, factor * ring, noise, angle=0.0)
    return References(min(best, 1.0), line)


@functools.lru_cache
def moons_references(noise: float) -> References:
    """The references of scikit-learn's two half circles.

    The densities are the half circles blurred by the noise, on a fine grid; the best accuracy is
    `1/2 * integral of max(p_0, p_1)`.

    Args:
        noise: standard deviation on each coordinate, at least 0.

    Example:
        >>> best, line = moons_references(0.3)
        >>> round(best, 2), round(line, 2)
        (0.91, 0.85)
    """
    turn = np.linspace(0, np.pi, 20_001)
    upper = np.stack([np.cos(turn), np.sin(turn)], 1)
    lower = np.stack([1 - np.cos(turn), 0.5 - np.sin(turn)], 1)
    angles = np.linspace(0, np.pi, 60, endpoint=False)
    thin = slice(None, None, 50)
    best_angle = max(
        angles, key=lambda angle: _line_accuracy(upper[thin], lower[thin], noise, angle)
    )
    refined = scipy.optimize.minimize_scalar(
        lambda angle: -_line_accuracy(upper[thin], lower[thin], noise, angle),
        bounds=(best_angle - 0.06, best_angle + 0.06),
        method="bounded",
    )
    return References(_blurred_accuracy(upper, lower, noise), -float(refined.fun))


def rice_density(distances: Distances, radius: float, noise: float) -> Distances:
    """The density of the distance from the centre of points at `radius`, with noise on both axes.

    With r and R for distance and radius in units of the noise, it is Rice's over the noise:

        r exp(-(r^2 + R^2) / 2) I_0(r R) / noise

    The Bessel function comes divided by exp(r R), as it would overflow where R is large.

    Args:
        distances: any shape, at least 0.
        radius: at least 0.
        noise: standard deviation on each coordinate, above 0.

    Example:
        >>> rice_density(np.array([0.9, 1.0]), radius=1.0, noise=0.1).round(3)
        array([2.299, 3.994])
    """
    r, away = distances / noise, radius / noise
    return r * np.exp(-((r - away) ** 2) / 2) * scipy.special.i0e(r * away) / noise


def _line_accuracy(one: Points, other: Points, noise: float, angle: float) -> float:
    """The best accuracy of a straight line whose normal points along `angle`."""
    normal = np.array([np.cos(angle), np.sin(angle)])
    scale = max(noise, 1e-6)  # a step is the limit of a steep slope
    heights = [points @ normal for points in (one, other)]
    low, high = min(map(np.min, heights)), max(map(np.max, heights))
    offsets = np.linspace(low - 4 * scale, high + 4 * scale, 801)
    below = [scipy.special.ndtr((offsets[:, None] - height) / scale).mean(1) for height in heights]
    return 0.5 + 0.5 * float(np.abs(below[0] - below[1]).max())


def _blurred_accuracy(one: Points, other: Points, noise: float) -> float:
    room = 6 * noise + 0.05
    points = np.concatenate([one, other])
    low, high = points.min(0) - room, points.max(0) + room
    step = max(noise / 8, float((high - low).max()) / 1500)
    if step > noise / 4:
        return 1.0  # so little noise that the half circles, 0.3 apart at least, never touch
    shape = np.ceil((high - low) / step).astype(int)
    edges = [low[axis] + step * np.arange(shape[axis] + 1) for axis in range(2)]
    densities = [
        scipy.ndimage.gaussian_filter(
            np.histogram2d(*points.T, bins=edges)[0] / len(points), noise / step, truncate=7
        )
        for points in (one, other)
    ]
    return min(1.0, 0.5 * float(np.maximum(*densities).sum()))
