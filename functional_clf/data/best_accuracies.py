"""The best accuracy that known data allow: to any classifier, and to a straight line.

Classes, equally frequent, each a curve of zero width or a point, plus Gaussian noise on both
coordinates. Where a number of samples is no multiple of the classes, some have one sample more than
others; that is neglected.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

Points = NDArray[np.float64]
Distances = NDArray[np.float64]

FINEST = 0.006
"""The smallest noise for which the densities of spirals are computed, point by point."""

_TURN = 1.5 * np.pi
"""By which an arm of a spiral turns from end to end."""


class References(NamedTuple):
    """Expected accuracies on new samples, in [0, 1]."""

    best_possible: float
    best_straight_line: float


class BestPossible(NamedTuple):
    """The same of more than two classes, which no one straight line parts."""

    best_possible: float


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
    few = upper[::50], lower[::50]
    angle = _refined_angle(*few, noise, _rough_angle(*few, noise))
    line = _line_accuracy(*few, noise, angle)
    return References(_blurred_accuracy(upper, lower, noise), line)


@functools.lru_cache
def blobs_references(noise: float, n_classes: int) -> References | BestPossible:
    """The references of Gaussian clusters around centres evenly on the unit circle.

    The best guess is the nearest centre, which is wrong in a share of

        1/pi * integral from 0 to pi - pi/k of exp(-(sin(pi/k) / sin(t))^2 / (2 noise^2)) dt

    for k classes. Of two, the straight line between the centres is as good as anything.

    Args:
        noise: standard deviation on each coordinate, at least 0.
        n_classes: at least 2.

    Source:
        Craig (1991), A new, simple and exact result for calculating the probability of error for
        two-dimensional signal constellations, MILCOM. The centres are those of phase-shift keying.

    Example:
        >>> round(blobs_references(0.5, 3).best_possible, 4)
        0.9262
    """
    best = 1.0
    if noise > 0:
        t = np.linspace(0, np.pi - np.pi / n_classes, 200_001)
        with np.errstate(divide="ignore", over="ignore"):  # where the integrand is 0
            away = np.sin(np.pi / n_classes) / noise / np.sin(t)
            wrong = float(np.trapezoid(np.exp(-(away**2) / 2), t)) / np.pi
        best = min(1.0, 1 - wrong)
    return References(best, best) if n_classes == 2 else BestPossible(best)


@functools.lru_cache
def spirals_references(noise: float, n_classes: int) -> References | BestPossible:
    """The references of `spiral` arms, each turned by a share of a full turn.

    The density of a class is its arm blurred by the noise, and the best accuracy is
    `1/k * integral of max_c p_c` for k classes. Noise below `FINEST` is as good as added to
    straight parallel lines, as far apart as each arm is from the next ones; with 100 classes this
    is 0.0005 too low at the most, with 10 or fewer not visibly. The line is good to 0.001.

    Args:
        noise: standard deviation on each coordinate, at least 0.
        n_classes: at least 2.

    Example:
        >>> best, line = spirals_references(0.1, 2)
        >>> round(best, 3), round(line, 2)
        (0.985, 0.73)
        >>> round(spirals_references(0.1, 3).best_possible, 3)
        0.927
    """
    is_fine = noise < FINEST
    best = (_parallel_accuracy if is_fine else _turned_accuracy)(noise, n_classes)
    if n_classes > 2:
        return BestPossible(best)
    few, more, many = (spiral((np.arange(n) + 0.5) / n) for n in (50, 400, 4000))
    angle = _rough_angle(few, -few, max(noise, 0.04))  # with less noise, few points are no curve
    angle = _refined_angle(more, -more, noise, angle)
    line = _line_accuracy(many, -many, noise, angle)
    return References(max(best, line), line)  # alike but for rounding where all is noise


def spiral(along: NDArray[np.float64], turn: NDArray[np.float64] | float = 0.0) -> Points:
    """Points of an arm of a spiral: from near the origin to the unit circle, in 3/4 of a turn.

    Args:
        along: places on the arm, in [0, 1], to which radius and angle are proportional.
        turn: angle by which the arm is turned, in radians; one for all, or one a point.

    Returns:
        `(point, 2)`.

    Example:
        >>> spiral(np.array([0.0, 1.0])).round(3) + 0.0
        array([[ 0.1,  0. ],
               [ 0. , -1. ]])
    """
    radius, angle = 0.1 + 0.9 * along, _TURN * along + turn
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


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


def _rough_angle(one: Points, other: Points, noise: float) -> float:
    """The angle along which the normal of the best straight line points, to 3 degrees."""
    angles = np.linspace(0, np.pi, 60, endpoint=False)
    return max(angles, key=lambda angle: _line_accuracy(one, other, noise, angle))


def _refined_angle(one: Points, other: Points, noise: float, angle: float) -> float:
    refined = scipy.optimize.minimize_scalar(
        lambda angle: -_line_accuracy(one, other, noise, angle),
        bounds=(angle - 0.06, angle + 0.06),
        method="bounded",
    )
    return float(refined.x)


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


def _turned_accuracy(noise: float, n_classes: int) -> float:
    """The best accuracy for spiral arms, from their densities on circles about the origin.

    There the densities of all arms are that of the first, shifted, so that it alone is computed
    and one sector is enough to look at. What is 5 noises away counts as nothing.
    """
    step, far = noise / 3, 5 * noise
    n_points = int(np.ceil(10 / noise)) + 50
    along = (np.arange(n_points) + 0.5) / n_points
    x, y = spiral(along).T
    from_origin = np.hypot(x, y)
    n_angles = max(8, int(np.ceil(2 * np.pi * (1 + far) / step / n_classes)))  # of a sector
    angles = 2 * np.pi / (n_classes * n_angles) * np.arange(n_classes * n_angles)
    radii = np.arange(0, 1 + far, step)
    masses = np.zeros((2, len(radii)))  # of the densest arm in the sector, and of the first in all
    for place, radius in enumerate(radii):
        near = slice(*np.searchsorted(from_origin, [radius - far, radius + far]))
        if radius == 0 or near.start == near.stop:
            continue
        # The arm turns while it is near, and noise of `far` is seen under an angle, too.
        first, last = _TURN * along[near][[0, -1]]
        seen = np.pi / 2 * far / radius
        first, last = max(first - seen, last - 2 * np.pi), last + seen
        chosen = np.arange(first // angles[1], last // angles[1], dtype=int) % len(angles)
        across = (radius * np.cos(angles[chosen])[:, None] - x[near]) / noise
        up = (radius * np.sin(angles[chosen])[:, None] - y[near]) / noise
        density = np.zeros(len(angles))
        density[chosen] = np.exp(-(across**2 + up**2) / 2).sum(1)
        densest = density.reshape(n_classes, n_angles).max(0)
        masses[:, place] = radius * densest.sum(), radius * density.sum()
    of_densest, of_first = scipy.integrate.simpson(masses)
    return min(1.0, float(of_densest / of_first))


def _parallel_accuracy(noise: float, n_classes: int) -> float:
    """The best accuracy for spiral arms to which so little noise is added that they look straight.

    A sample is told wrongly when its noise carries it half way to the next arm, on either side.
    """
    if noise == 0:
        return 1.0
    arm = spiral(np.linspace(0, 1, 1001))
    wrong = 0.0
    for turn in (2 * np.pi / n_classes, -2 * np.pi / n_classes):
        next_arm = scipy.spatial.KDTree(spiral(np.linspace(0, 1, 20_001), turn))
        away = next_arm.query(arm, distance_upper_bound=20 * noise)[0]  # infinite beyond
        wrong += float(np.trapezoid(scipy.special.ndtr(-away / 2 / noise), dx=1 / 1000))
    return 1 - wrong
