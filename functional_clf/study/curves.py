"""Learning curves of any number of seeds, summed up as bands."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

SHARES = (0.05, 0.5, 0.95)


class Band(NamedTuple):
    """The middle 90 % of seeds at each point, and their median: arrays `(point,)`."""

    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


def bands(blocks: Iterable[Mapping[str, np.ndarray]]) -> dict[str, Band]:
    """The band of each learning curve.

    A seed that diverged counts as worst, not as missing.

    Args:
        blocks: by name, arrays `(point, seed)` of consecutive points.

    Returns:
        By name, the values that 5 %, 50 % and 95 % of the seeds reach, each that of some seed.

    Example:
        >>> bands([{"loss": np.array([[3.0, 1.0, 2.0]])}, {"loss": np.array([[np.nan, 0.0, 1.0]])}])
        {'loss': Band(low=array([1., 0.]), median=array([2., 1.]), high=array([ 3., inf]))}
    """
    parts: dict[str, list[np.ndarray]] = {}
    for block in blocks:
        for name, values in block.items():
            worst = np.nan_to_num(values, nan=np.inf, posinf=np.inf)
            found = np.quantile(worst, SHARES, axis=1, method="nearest")
            parts.setdefault(name, []).append(found)
    return {name: Band(*np.concatenate(found, 1)) for name, found in parts.items()}
