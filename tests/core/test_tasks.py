import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from functional_clf.core.losses import (
    bce_with_logits,
    count_correct,
    count_correct_of_classes,
    cross_entropy,
)
from functional_clf.core.tasks import Binary, MultiClass, Task, task_of


def labels_and_logits(n_classes, n, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(n_classes, (n,), generator=generator)


@given(
    st.integers(2, 6), st.integers(1, 20), st.integers(0, 2**32), st.sampled_from([1e-3, 1.0, 1e3])
)
def test_several_classes_agree_with_torchs_loss_and_argmax(n_classes, n, seed, scale):
    logits, labels = labels_and_logits(n_classes, n, seed, scale)
    expected = nn.functional.cross_entropy(logits, labels)
    ours = cross_entropy(logits, labels.double(), n_classes)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    correct = count_correct_of_classes(logits, labels.double(), n_classes)
    assert correct == (logits.argmax(-1) == labels).sum()
    assert correct.dtype == torch.int64


@given(st.integers(2, 5), st.integers(1, 9), st.integers(0, 2**32))
def test_the_gradient_is_torchs(n_classes, n, seed):
    logits, labels = labels_and_logits(n_classes, n, seed, scale=5.0)
    ours, theirs = (
        torch.func.grad(loss)(logits)
        for loss in (
            lambda z: cross_entropy(z, labels.double(), n_classes),
            lambda z: nn.functional.cross_entropy(z, labels),
        )
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=9))
def test_of_equal_logits_the_first_counts(rows):
    logits = torch.tensor(rows, dtype=torch.float64)
    for label in range(3):
        y = torch.full((len(rows),), float(label), dtype=torch.float64)
        expected = (logits.argmax(-1) == label).sum()
        assert count_correct_of_classes(logits, y, 3) == expected


def test_nan_names_no_class():
    for place in range(3):
        logits = torch.tensor([[0.0, 1.0, 2.0]] * 3)
        logits[:, place] = torch.nan
        assert count_correct_of_classes(logits, torch.tensor([0.0, 1.0, 2.0]), 3) == 0


@pytest.mark.parametrize("size", [1e4, 1e30, torch.finfo(torch.float32).max])
def test_huge_logits_stay_finite(size):
    logits = torch.tensor([[size, -size, 0.0], [0.0, 0.0, size]])
    labels = torch.tensor([0, 2])
    loss = cross_entropy(logits, labels.float(), 3)
    assert loss == 0
    assert torch.isfinite(torch.func.grad(cross_entropy)(logits, labels.float(), 3)).all()
    assert count_correct_of_classes(logits, labels.float(), 3) == 2


def test_what_is_sure_of_the_wrong_class_has_a_loss_as_large_as_its_logit():
    logits, labels = torch.tensor([[1e4, 0.0, 0.0]]), torch.tensor([2])
    loss = cross_entropy(logits, labels.float(), 3)
    assert loss == nn.functional.cross_entropy(logits, labels) == 1e4


def test_two_classes_of_one_logit_are_those_of_two():
    logits, labels = labels_and_logits(2, 50, seed=0)
    one = logits[:, 1] - logits[:, 0]
    y = labels.double()
    torch.testing.assert_close(
        cross_entropy(logits, y, 2), bce_with_logits(one, y), rtol=1e-12, atol=0
    )
    assert count_correct_of_classes(logits, y, 2) == count_correct(one, y)


def test_a_task_is_its_loss_and_its_score():
    logits, labels = labels_and_logits(4, 9, seed=1)
    y = labels.double()
    four = MultiClass(4)
    assert four.n_classes == 4
    assert torch.equal(four.loss(logits, y), cross_entropy(logits, y, 4))
    assert torch.equal(four.count_correct(logits, y), count_correct_of_classes(logits, y, 4))
    two, y = Binary(), (labels % 2).double()
    assert two.n_classes == 2
    assert torch.equal(two.loss(logits[:, 0], y), bce_with_logits(logits[:, 0], y))
    assert torch.equal(two.count_correct(logits[:, 0], y), count_correct(logits[:, 0], y))


def test_the_number_of_classes_tells_the_task_and_no_wrong_type_does():
    assert task_of(2) == Binary()
    assert task_of(3) == MultiClass(3) != MultiClass(4)
    assert len({task_of(3), task_of(3), task_of(5), task_of(2)}) == 3  # programs are found by it
    for wrong, error in ((1, ValueError), (0, ValueError), (2.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match=f"n_classes is {wrong}"):
            task_of(wrong)


@pytest.mark.parametrize("function", [cross_entropy, count_correct_of_classes])
@pytest.mark.parametrize(
    ("logits", "y", "words"),
    [
        ((4,), (4,), "the logits have shape (4,); for 4 samples of 3 classes they must be (4, 3)"),
        ((4, 2), (4,), "the logits have shape (4, 2); "),
        ((4, 1), (4,), "the logits have shape (4, 1); "),
        ((3, 4), (4,), "the logits have shape (3, 4); "),
        ((5, 3), (4,), "the logits have shape (5, 3); "),
        ((4, 3), (4, 1), "the labels have shape (4, 1); they must be (sample,)"),
        ((4, 3), (4, 3), "the labels have shape (4, 3); "),
    ],
)
def test_wrong_types_of_shape_are_refused_in_one_line(function, logits, y, words):
    with pytest.raises(ValueError, match=r"^the (logits|labels) have shape ") as caught:
        function(torch.zeros(logits), torch.zeros(y), 3)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_weighted_losses_are_torchs_and_move_as_its_gradient(n_classes):
    generator = torch.Generator().manual_seed(n_classes)
    weights = tuple(0.3 + 0.7 * number for number in range(n_classes))
    shape = (40,) if n_classes == 2 else (40, n_classes)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(n_classes, (40,), generator=generator)
    task = task_of(n_classes, weights)
    if n_classes == 2:
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, labels.double(), reduction="none"
        )
    else:
        each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    wanted = (each * torch.tensor(weights, dtype=torch.float64)[labels]).mean()
    found = task.loss(logits, labels.double())
    torch.testing.assert_close(found, wanted, rtol=1e-13, atol=0)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-16)
    assert task.loss_name.endswith("classes weighted")


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, float("nan"))])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match=r"class_weights is .*; it must be 2 numbers above 0"):
        task_of(2, weights)


@given(
    st.integers(2, 6),
    st.integers(1, 20),
    st.integers(0, 2**32),
    st.floats(1e-6, 0.99),
    st.booleans(),
    st.sampled_from([1e-3, 1.0, 100.0]),
)
def test_smoothed_labels_are_torchs(n_classes, n, seed, smoothing, is_weighted, scale):
    logits, labels = labels_and_logits(n_classes, n, seed, scale)
    weights = tuple(0.3 + 0.7 * k for k in range(n_classes)) if is_weighted else None
    of_class = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    task = MultiClass(n_classes, weights).smoothed(smoothing)

    def by_torch(logits):
        # Each sample's loss: torch's own mean divides by the sum of the weights.
        return nn.functional.cross_entropy(
            logits, labels, weight=of_class, label_smoothing=smoothing, reduction="none"
        ).mean()

    def ours(logits):
        return task.loss(logits, labels.double())

    torch.testing.assert_close(ours(logits), by_torch(logits), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        *(torch.func.grad(loss)(logits) for loss in (ours, by_torch)), rtol=1e-11, atol=1e-14
    )
    if n_classes == 2:  # the same as one logit
        binary = Binary(weights, smoothing)
        one = logits[:, 1] - logits[:, 0]
        torch.testing.assert_close(
            binary.loss(one, labels.double()), by_torch(logits), rtol=1e-11, atol=1e-11
        )


@given(st.integers(1, 20), st.integers(0, 2**32), st.floats(1e-6, 0.99))
def test_smoothed_labels_of_two_classes_are_moved_towards_one_half(n, seed, smoothing):
    logits, labels = labels_and_logits(2, n, seed, 3.0)
    y = labels.double()
    targets = y * (1 - smoothing) + smoothing / 2
    wanted = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], targets)
    found = Binary(label_smoothing=smoothing).loss(logits[:, 0], y)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("task", [Binary(), Binary((1.0, 2.0)), MultiClass(3)])
def test_smoothing_is_part_of_a_task_and_none_changes_nothing(task):
    assert task.smoothed(0.0) is task
    smoothed = task.smoothed(0.2)
    assert smoothed != task
    assert smoothed.loss_name == f"{task.loss_name}, labels smoothed by 0.2"
    assert smoothed.smoothed(0.0) == task
    assert smoothed.class_weights == task.class_weights
    assert len({task, smoothed, task.smoothed(0.2), task.smoothed(0.3)}) == 3
    assert isinstance(smoothed, Task)
    assert repr(smoothed) != repr(task)  # by which programs in the cache are found


@pytest.mark.parametrize("size", [1e4, torch.finfo(torch.float32).max])
def test_smoothed_losses_of_huge_logits_are_no_nan(size):
    one = torch.tensor([size, -size])
    several = torch.tensor([[size / 4, 0.0, 0.0], [0.0, 0.0, -size / 4]])
    y = torch.tensor([1.0, 0.0])
    for task, logits in ((Binary((1.0, 2.0), 0.1), one), (MultiClass(3, None, 0.1), several)):
        assert not torch.isnan(task.loss(logits, y))
        assert not torch.isnan(torch.func.grad(task.loss)(logits, y)).any()


@pytest.mark.parametrize("wrong", [-0.1, 1.0, float("nan")])
def test_smoothing_outside_its_range_is_refused(wrong):
    for build in (Binary().smoothed, MultiClass(3).smoothed, lambda it: Binary(None, it)):
        with pytest.raises(ValueError, match=f"^label_smoothing is {wrong}; it must be at least 0"):
            build(wrong)


def test_smoothing_by_a_wrong_type_is_refused():
    with pytest.raises(TypeError, match=r"^label_smoothing is 'a bit'"):
        Binary().smoothed("a bit")
