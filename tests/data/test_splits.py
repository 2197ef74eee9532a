import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from functional_clf.data.splits import split, split_sizes


@pytest.mark.parametrize(("n", "test_size"), [(1000, 0.2), (10, 0.25), (7, 0.5), (33, 0.1)])
def test_splits_are_scikit_learns_and_cover_all_rows(n, test_size):
    rows = split(n, test_size, seed=5)
    train, test = train_test_split(np.arange(n), test_size=test_size, random_state=5)
    np.testing.assert_array_equal(rows.train, train)
    np.testing.assert_array_equal(rows.test, test)
    assert (len(train), len(test)) == split_sizes(n, test_size)
    assert sorted([*rows.train, *rows.test]) == list(range(n))


@pytest.mark.parametrize(("n", "test_size"), [(100, 0.0), (100, 1.5), (4, 0.99)])
def test_shares_that_leave_a_part_empty_are_refused(n, test_size):
    with pytest.raises(ValueError, match=r"^test_size is "):
        split_sizes(n, test_size)
