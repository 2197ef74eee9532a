"""Where a field of values on a grid passes through zero, as lines."""

import numpy as np
from numpy import ndarray

Edge = tuple[int, int, int]
"""Of the grid: row and column of its first point, and 0 where it goes across, 1 where up."""


def zero_lines(field: ndarray) -> list[list[tuple[float, float]]]:
    """Lines along which a field is zero, by linear interpolation on the edges of its cells.

    Args:
        field: `(row, column)`; where a value is not finite, no line is drawn.

    Returns:
        Lines of points `(column, row)`, in units of the grid.

    Source:
        Marching squares: Lorensen and Cline (1987), Computer Graphics 21, 163-169, in the plane.

    Example:
        >>> zero_lines(np.array([[-1.0, 3.0], [-1.0, 1.0]]))
        [[(0.25, 0.0), (0.5, 1.0)]]
    """
    field = np.asarray(field, float)
    is_finite = np.isfinite(field)
    above = np.where(is_finite, field, 0.0) > 0
    corners = [above[:-1, :-1], above[:-1, 1:], above[1:, 1:], above[1:, :-1]]
    whole = is_finite[:-1, :-1] & is_finite[:-1, 1:] & is_finite[1:, 1:] & is_finite[1:, :-1]
    count = sum(corner.astype(int) for corner in corners)
    nexts: dict[Edge, list[Edge]] = {}
    for row, column in zip(
        *map(np.ndarray.tolist, np.nonzero(whole & (count % 4 > 0))), strict=True
    ):
        for one, other in _crossings(field, above, row, column):
            nexts.setdefault(one, []).append(other)
            nexts.setdefault(other, []).append(one)
    return [[_point(field, edge) for edge in line] for line in _chains(nexts)]


def _crossings(field: ndarray, above: ndarray, row: int, column: int) -> list[tuple[Edge, Edge]]:
    """Pairs of edges of a cell that a line joins."""
    a, b = bool(above[row, column]), bool(above[row, column + 1])
    d, c = bool(above[row + 1, column]), bool(above[row + 1, column + 1])
    edges: dict[str, Edge] = {
        "bottom": (row, column, 0), "top": (row + 1, column, 0),
        "left": (row, column, 1), "right": (row, column + 1, 1),
    }  # fmt: skip
    is_crossed = {"bottom": a != b, "right": b != c, "top": c != d, "left": d != a}
    crossed = [name for name, one in is_crossed.items() if one]
    if len(crossed) == 2:
        return [(edges[crossed[0]], edges[crossed[1]])]
    # A saddle: the mean of its corners says which of them belong together.
    middle = field[row : row + 2, column : column + 2].mean() > 0
    pairs = (("bottom", "right"), ("top", "left")) if middle == a else (
        ("bottom", "left"), ("top", "right")
    )  # fmt: skip
    return [(edges[one], edges[other]) for one, other in pairs]


def _point(field: ndarray, edge: Edge) -> tuple[float, float]:
    row, column, is_up = edge
    first, second = field[row, column], field[row + is_up, column + 1 - is_up]
    share = float(first / (first - second))
    return (float(column), row + share) if is_up else (column + share, float(row))


def _chains(nexts: dict[Edge, list[Edge]]) -> list[list[Edge]]:
    """Edges in the order in which a line passes them: open lines first, then closed ones."""
    left = {edge: list(others) for edge, others in nexts.items()}
    starts = [edge for edge, others in nexts.items() if len(others) == 1] + list(nexts)
    found = []
    for start in starts:
        chain, here = [start], start
        while left[here]:
            there = left[here].pop()
            left[there].remove(here)
            chain.append(there)
            here = there
        if len(chain) > 1:
            found.append(chain)
    return found
