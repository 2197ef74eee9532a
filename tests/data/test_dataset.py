import functools

import numpy as np
import polars as pl
import pytest
import torch

from functional_clf.data.batches import draw_chunk
from functional_clf.data.dataset import Dataset
from functional_clf.data.generators import circles, moons
from functional_clf.data.seeds import replicate

CPU = torch.device("cpu")


def test_a_data_set_of_ones_own():
    own = Dataset("own", 6, lambda seed: (np.full((6, 3), seed), np.arange(6) % 2), {"v": 2})
    assert draw_chunk(own, [replicate(1, "data")], 0.5, CPU).train.x.shape == (1, 3, 3)
    described = own.describe()
    assert described.pop("content") != Dataset("own", 6, circles(6).draw).describe()["content"]
    assert described.pop("code") == own.describe()["code"]
    rest = {"kind": None, "name": "own", "n_samples": 6, "v": 2, "n_classes": 2, "is_fixed": False}
    assert described == rest
    table = Dataset("own", 6, own.draw, is_fixed=True).describe()
    assert "content" in table  # which is all of it
    assert "code" not in table
    generated = circles(6).describe()
    assert "code" in generated  # which its settings complete
    assert "content" not in generated
    with pytest.raises(ValueError, match="settings holds 'content', which a data set says"):
        Dataset("own", 6, own.draw, {"content": "x"})


X, Y = np.random.default_rng(0).normal(size=(8, 2)), np.arange(8) % 2


def changed(array, place, value):
    copy = array.astype(float)
    copy[place] = value
    return copy


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ((X, Y + 1), "y holds 1, 2; the labels must be exactly 0 and 1"),
        ((X, 2 * Y - 1), "y holds -1, 1; "),
        ((X, np.arange(8) % 3.0), "y holds 0, 1, 2; "),
        ((X, np.arange(8)), "y holds 0, 1, 2, 3, 4 and 3 more; "),
        ((X, changed(Y, 3, np.nan)), "y holds 0, 1, nan; "),
        ((X, 0.5 * Y), "y holds 0, 0.5; "),
        ((X, np.ones(8)), "y holds only 1; "),
        ((X, np.where(Y, "yes", "no")), "y holds text, such as 'no'; "),
        ((X, np.where(Y, "yes", "no").astype(object)), "y holds objects, such as 'no'; "),
        ((X, Y[:, None]), "y has shape (8, 1); it must be (sample,)"),
        ((X, Y[:7]), "y has 7 rows; n_samples says 8"),
        ((np.vstack([X, X]), Y), "x has 16 rows; n_samples says 8"),
        ((X[:7], Y[:7]), "x has 7 rows; n_samples says 8"),
        ((X[:, 0], Y), "x has shape (8,); it must be (sample, feature)"),
        ((X[:, :0], Y), "x has shape (8, 0); it must be (sample, feature)"),
        ((X[None], Y), "x has shape (1, 8, 2); "),
        ((changed(X, (3, 1), np.nan), Y), "x holds nan at row 3, feature 1; "),
        ((changed(X, (3, 1), -np.inf), Y), "x holds -inf at row 3, feature 1; "),
        ((changed(X, (3, 1), 1e300), Y), "x holds 1e+300 at row 3, feature 1; it must be finite "
         "numbers within the range of float32"),
        ((X.astype(object), Y), "x holds objects"),
        ((X.astype(str), Y), "x holds text"),
        ((X.astype(complex), Y), "x holds values of type complex128"),
        (([[1.0], [1.0, 2.0]] * 4, Y), "x has rows of unlike lengths"),
        ((np.ma.masked_less(X, 0), Y), "x has masked entries"),
        (X, "draw returned"),
        ((X, Y, Y), "draw returned"),
        (None, "draw returned None; it must return (x, y)"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused_by_name(drawn, words):
    with pytest.raises(ValueError, match=r"^data set 'own', drawn with seed 5: ") as caught:
        Dataset("own", 8, lambda seed: drawn).sample(5)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "drawn",
    [
        (X.tolist(), Y.tolist()),
        (torch.tensor(X, requires_grad=True), torch.tensor(Y)),
        (torch.tensor(X).float(), torch.tensor(Y).bool()),
        (pl.DataFrame(X), pl.Series(Y)),
        [X.astype(np.float32), Y.astype(bool)],
        (X, Y.astype(np.int8)),
    ],
)
def test_numbers_in_any_form_are_taken(drawn):
    sample = Dataset("own", 8, lambda seed: drawn).sample(0)
    assert (sample.x.dtype, sample.y.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(sample.x, X.astype(np.float32))
    np.testing.assert_array_equal(sample.y, Y)


def test_whose_generator_it_is_is_told_by_its_code():
    @functools.wraps(circles(60).draw)
    def own(seed):
        return X, Y

    assert circles(60).is_own
    assert moons(60).is_own
    assert not Dataset("own", 8, own).is_own
    assert Dataset("own", 8, own).describe()["code"] is not None


def test_rows_of_unlike_indices_are_not_paired():
    class Frame:  # as pandas has them
        def __init__(self, values, index):
            self.values, self.index = values, Index(index)

        def to_numpy(self):
            return self.values

    class Index(list):
        def equals(self, other):
            return self == other

    pair = Frame(X, range(8)), Frame(Y, [*range(1, 8), 0])
    with pytest.raises(ValueError, match="x and y have different indices"):
        Dataset("own", 8, lambda seed: pair).sample(0)


@pytest.mark.parametrize(
    ("build", "kind", "words"),
    [
        (lambda: Dataset(3, 8, lambda seed: None), TypeError, "name is 3"),
        (lambda: Dataset(" ", 8, lambda seed: None), ValueError, "name is ' ', which is empty"),
        (lambda: Dataset("a\nb", 8, lambda seed: None), ValueError, "name is 'a"),
        (lambda: Dataset("own ", 8, lambda seed: None), ValueError, "name is 'own '"),
        (lambda: Dataset("\ud800", 8, lambda seed: None), ValueError, "name is '"),
        (lambda: Dataset("x" * 201, 8, lambda seed: None), ValueError, "name is a str"),
        (lambda: Dataset("own", 8.0, lambda seed: None), TypeError, "samples is 8.0"),
        (lambda: Dataset("own", True, lambda seed: None), TypeError, "samples is True"),
        (lambda: Dataset("own", 8, (X, Y)), TypeError, "draw is a tuple; it must be a function"),
        (lambda: Dataset("own", 8, lambda seed: None, {"x": X}), TypeError, "settings is"),
        (lambda: Dataset("own", 8, lambda seed: None, {"x": np.nan}), TypeError, "settings is"),
        (lambda: circles(noise="0.1"), TypeError, "noise is '0.1'"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(build, kind, words):
    with pytest.raises(kind) as caught:
        build()
    assert str(caught.value).startswith(words)


def test_data_follow_the_default_floating_point_type(float64):
    x, y = circles(20).sample(0)
    assert (x.dtype, y.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(x, circles(20).draw(0)[0])
    torch.set_default_dtype(torch.bfloat16)
    with pytest.raises(ValueError, match=r"default dtype is torch\.bfloat16"):
        circles(20).sample(0)
