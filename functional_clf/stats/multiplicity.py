"""Several p values at once."""

import numpy as np
from numpy.typing import ArrayLike

from functional_clf.stats import validation
from functional_clf.stats.types import FloatArray


def holm(pvalues: ArrayLike) -> FloatArray:
    """Adjust p values so that the chance of any false alarm among them stays below alpha.

    The i-th smallest of m becomes max over j <= i of min(1, (m - j + 1) p_(j)).

    Args:
        pvalues: (m,) p values in [0, 1], in any order and however they depend on each other.

    Returns:
        (m,) adjusted p values in the same order.

    Raises:
        ValueError: for empty or non-finite p values, or any outside [0, 1].

    Source:
        Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian
        Journal of Statistics 6, 65-70.

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005]).tolist()
        [0.03, 0.06, 0.06, 0.02]
    """
    p = validation.numbers("pvalues", pvalues)
    wrong = p[(p < 0) | (p > 1)]
    if wrong.size:
        raise ValueError(f"pvalues hold {wrong[0]}: p values lie in [0, 1]")
    order = np.argsort(p, kind="stable")
    weighted = p[order] * np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(weighted), 1)
    return adjusted
