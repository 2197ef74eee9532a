"""The rows of a table that may be trained on, and the arrays that preparations take and give."""

from jaxtyping import Float, Int
from numpy import ndarray

from functional_clf.support.arguments import whole_number

Features = Float[ndarray, "_ _"]
RowNumbers = Int[ndarray, " _"]


def checked_trainable(trainable: int | None, n_rows: int) -> int:
    """How many rows of a table, from the first, may be trained on.

    Args:
        trainable: what was asked for; None for all.
        n_rows: of the table.

    Raises:
        TypeError: when it is not a whole number.
        ValueError: when it is below 1 or above the number of rows.

    Example:
        >>> checked_trainable(None, 10), checked_trainable(8, 10)
        (10, 8)
    """
    count = whole_number("trainable", n_rows if trainable is None else trainable, 1)
    if count > n_rows:
        raise ValueError(f"trainable is {count}; the table has {n_rows} rows")
    return count


def check_train_rows(train_rows: RowNumbers, trainable: int) -> None:
    """See that a training part has rows, none of which is for testing only.

    Args:
        train_rows: row numbers.
        trainable: rows, from the first, that may be trained on.

    Raises:
        ValueError: when there are none, or one outside 0 to `trainable - 1`.

    Example:
        >>> import numpy as np
        >>> check_train_rows(np.array([3, 0]), trainable=4)
    """
    if not len(train_rows):
        raise ValueError("the training part of a split has no rows")
    if train_rows.min() < 0 or train_rows.max() >= trainable:
        raise ValueError(
            f"the training part of a split has rows {train_rows.min()} to {train_rows.max()}; "
            f"rows 0 to {trainable - 1} may be trained on"
        )
