import numpy as np
import pytest
from sklearn.datasets import make_blobs, make_circles, make_moons

from functional_clf.data.generators import blobs, circles, moons, spirals
from functional_clf.registry import DATASETS, made_again
from functional_clf.study.preflight import check_drawn


def test_data_sets_are_scikit_learns():
    for ours, theirs in (
        (circles(50, 0.1, 0.5), make_circles(50, noise=0.1, factor=0.5, random_state=3)),
        (moons(50, 0.1), make_moons(50, noise=0.1, random_state=3)),
    ):
        for drawn, expected in zip(ours.draw(3), theirs, strict=True):
            np.testing.assert_array_equal(drawn, expected)


def test_blobs_are_scikit_learns_around_centres_on_the_unit_circle():
    for n_classes, centers in (
        (2, [[1, 0], [-1, 0]]),
        (3, [[1, 0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]]),
        (4, [[1, 0], [0, 1], [-1, 0], [0, -1]]),
    ):
        x, y = blobs(50, 0.3, n_classes).draw(3)
        expected = make_blobs(50, centers=centers, cluster_std=0.3, random_state=3)
        np.testing.assert_allclose(x, expected[0], atol=1e-12)
        np.testing.assert_array_equal(y, expected[1])


def test_spirals_lie_on_arms_turned_by_equal_angles():
    x, y = spirals(600, noise=0.0, n_classes=4).draw(0)
    radius = np.hypot(*x.T)
    assert 0.1 <= radius.min() < 0.11
    assert 0.99 < radius.max() <= 1
    turned = np.arctan2(x[:, 1], x[:, 0]) - 1.5 * np.pi * (radius - 0.1) / 0.9 - y * np.pi / 2
    np.testing.assert_allclose(np.exp(1j * turned), 1, atol=1e-12)
    noisy, labels = spirals(600, noise=0.1, n_classes=4).draw(0)
    np.testing.assert_array_equal(labels, y)
    assert (noisy - x).std(0) == pytest.approx(0.1, rel=0.12)  # 4 standard errors


@pytest.mark.parametrize("make", [blobs, spirals])
@pytest.mark.parametrize("n_classes", [2, 3, 7, 100])
def test_draws_depend_on_the_seed_and_classes_are_as_equal_as_can_be(make, n_classes):
    dataset = make(2 * n_classes + 5, n_classes=n_classes)
    one, again, other = (dataset.sample(seed) for seed in (2**32 - 1, 2**32 - 1, 0))
    for ours, theirs in zip(one, again, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert not np.array_equal(one.x, other.x)
    assert not np.array_equal(one.y, other.y)  # the order, too, is drawn
    counts = np.bincount(one.y.astype(int))
    assert len(counts) == n_classes
    assert counts.max() - counts.min() <= 1


def test_without_noise_blobs_are_fixed_and_spirals_are_not():
    assert blobs(60, noise=0.0).is_fixed
    first, second = (np.column_stack(blobs(60, noise=0.0).draw(seed)) for seed in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist())
    assert not blobs(60).is_fixed
    for dataset in (blobs(60), spirals(60), spirals(60, noise=0.0)):
        assert not dataset.is_fixed
        assert check_drawn(dataset, (0, 1, 2)) == []


@pytest.mark.parametrize("make", [blobs, spirals])
def test_they_are_made_again_also_out_of_numbers_of_a_wrong_type(make):
    for arguments in (
        {},
        {"noise": 0.0, "n_classes": 2},
        {"n_samples": np.int64(50), "noise": np.float32(0.2), "n_classes": np.int8(5)},
    ):
        dataset = make(**arguments)
        again = made_again(DATASETS, dataset.describe())
        assert again.describe() == dataset.describe()
        assert again.references() == dataset.references()
        for ours, theirs in zip(dataset.sample(9), again.sample(9), strict=True):
            assert ours.tobytes() == theirs.tobytes()
    assert make(90, n_classes=2).describe() != make(90, n_classes=3).describe()


def test_the_number_of_many_classes_is_told():
    assert str(blobs()) == "blobs(1000, noise 0.5, n_classes 3)"
    assert str(spirals(80, n_classes=20)) == "spirals(80, noise 0.03, n_classes 20)"
    assert str(blobs(n_classes=2)) == "blobs(1000, noise 0.5)"
    assert str(circles()) == "circles(1000, noise 0.03, factor 0.8)"


@pytest.mark.parametrize("make", [blobs, spirals])
@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"n_classes": 1}, ValueError, "n_classes is 1; it must be at least 2"),
        ({"n_classes": 101}, ValueError, "n_classes is 101; it must be at most 100"),
        ({"n_classes": 3.0}, TypeError, "n_classes is 3.0; it must be a whole number, as in 2"),
        ({"n_classes": True}, TypeError, "n_classes is True; it must be a whole number, as in 2"),
        ({"n_samples": 5}, ValueError, "samples is 5; it must be at least 6, two for each class"),
        ({"n_samples": 9.5}, TypeError, "samples is 9.5; it must be a whole number, as in 1"),
        ({"noise": -0.1}, ValueError, "noise is -0.1; it must be at least 0 and at most 1e+36"),
        ({"noise": np.inf}, ValueError, "noise is inf; it must be at least 0 and at most 1e+36"),
        ({"noise": np.nan}, ValueError, "noise is nan; it must be at least 0 and at most 1e+36"),
        ({"noise": "much"}, TypeError, "noise is 'much'; it must be a number, as in 0.01"),
    ],
)
def test_arguments_of_a_wrong_type_or_range_are_told_in_one_line(make, arguments, kind, message):
    with pytest.raises(kind) as caught:
        make(**arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: circles(3), "samples"),
        (lambda: circles(noise=-1.0), "noise"),
        (lambda: circles(noise=float("nan")), "noise"),
        (lambda: circles(factor=1.0), "factor"),
        (lambda: moons(noise=float("inf")), "noise"),
    ],
)
def test_arguments_outside_their_range_are_refused(build, name):
    with pytest.raises(ValueError, match=f"^{name} is "):
        build()
