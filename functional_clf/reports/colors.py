"""Colours that all pictures share, whoever draws them, and what is said of names beside them.

They are Okabe and Ito's, distinct under every common colour blindness.
"""

import re
from collections.abc import Sequence

CLASS_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
OTHERS_COLOR = "#A8A8A8"
"""Of all classes that are not told apart."""
MODEL_COLORS = ("#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#000000")
NAME_CELLS = 24
"""Longer names of models and classes are cut; as wide as so many Latin letters."""
DRAWN_SEEDS = 500
"""Above this many seeds, a picture of them draws an evenly spaced selection."""


def named_classes(names: Sequence[str]) -> list[str]:
    """What classes are called where nothing around says that they are classes.

    Example:
        >>> named_classes(["0", "1"]), named_classes(["iris", "1"])
        (['class 0', 'class 1'], ['iris', '1'])
    """
    is_number = all(re.fullmatch(r"[-+]?\d+(\.\d+)?", name) for name in names)
    return [f"class {name}" if is_number else name for name in names]
