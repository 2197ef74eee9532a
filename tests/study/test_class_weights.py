"""Balanced classes in the training loss, from the study's argument to the weights."""

import numpy as np
import pytest
import torch
from polars.testing import assert_frame_equal
from sklearn.utils.class_weight import compute_class_weight

from functional_clf import StoreError, Study, circles, from_arrays, mlp_recipe
from functional_clf.contestants.recipe import init_chunk

EPOCHS = 20
SIZES = {2: [70, 20], 3: [55, 25, 10]}


def uneven(n_classes):
    rng = np.random.default_rng(n_classes)
    y = rng.permutation(np.repeat(np.arange(n_classes), SIZES[n_classes]))
    return from_arrays(y[:, None] + rng.normal(0, 1.5, (len(y), 3)), y, name="uneven")


def study_of(data, seeds=3, **settings):
    model = mlp_recipe("m", None, "tanh", "sgd", 0.2, epochs=EPOCHS, hidden=(5,))
    return Study(data, (model,), seeds=seeds, engine="eager", **settings)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_balanced_classes_train_as_in_a_plain_loop(n_classes, class_weight, float64):
    data = uneven(n_classes)
    study = study_of(data, class_weight=class_weight)
    results = study.run()
    y = data.sample(0).y
    weights = compute_class_weight(class_weight, classes=np.arange(n_classes), y=y.astype(int))
    of_class = torch.from_numpy(weights)
    recipe = study.recipes[0]
    kept = results.params["m"][1]

    def loss_of(module, samples):
        logits, labels = module(torch.from_numpy(samples.x)), torch.from_numpy(samples.y).long()
        if n_classes == 2:
            each = torch.nn.functional.binary_cross_entropy_with_logits(
                logits.squeeze(-1), labels.double(), reduction="none"
            )
        else:
            each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        return (each * of_class[labels]).mean()

    for lane, row in enumerate(results.of("m").iter_rows(named=True)):
        train, test = data.prepared(data.sample(0), data.split(0.2, row["split_seed"]))
        start = init_chunk(recipe, [row["init_seed"]], torch.device("cpu")).params
        module = recipe.as_module().double()
        module.load_state_dict({key: value[0] for key, value in start.items()})
        optimizer = torch.optim.SGD(module.parameters(), lr=0.2)
        for _ in range(EPOCHS):
            optimizer.zero_grad()
            loss_of(module, train).backward()
            optimizer.step()
        for key, wanted in module.state_dict().items():
            np.testing.assert_allclose(kept[key][lane], wanted, rtol=1e-9, atol=1e-12)
        with torch.no_grad():
            found = [loss_of(module, part).item() for part in (train, test)]
        # The record keeps losses in float32.
        assert [row["train_loss"], row["test_loss"]] == pytest.approx(found, rel=1e-6)


def test_balanced_classes_bring_the_small_ones_forward():
    data = uneven(3)
    plain, balanced = (study_of(data, 6, class_weight=one).run() for one in (None, "balanced"))
    recall = [one.scores("m", "balanced_accuracy").mean() for one in (plain, balanced)]
    assert recall[1] > recall[0]
    named = [one.confusions("m").sum((0, 1))[-1] for one in (plain, balanced)]
    assert named[1] > named[0]  # predicted to be of the smallest class
    # How often each class is there is the same.
    np.testing.assert_array_equal(*(one.confusions("m").sum(2) for one in (plain, balanced)))


def test_classes_that_are_balanced_already_change_nothing_but_the_name():
    data = from_arrays(np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3)
    plain, balanced = (study_of(data, class_weight=one).run() for one in (None, "balanced"))
    for metric in ("accuracy", "log_loss", "roc_auc"):
        numbers = [one.scores("m", metric) for one in (plain, balanced)]
        np.testing.assert_allclose(*numbers, rtol=1e-5)


def test_weights_are_part_of_what_a_folder_is_told_apart_by(tmp_path):
    data = uneven(2)
    assert "class_weight" not in study_of(data).identity()
    assert study_of(data, class_weight="balanced").identity()["class_weight"] == "balanced"
    study_of(data).run(tmp_path)
    with pytest.raises(StoreError, match="class_weight is None there, 'balanced' asked"):
        study_of(data, class_weight="balanced").run(tmp_path)


def test_generators_have_weighted_classes_too():
    model = mlp_recipe("m", (2, 4, 1), "relu", "adam", 0.01, epochs=5)
    settings = {"seeds": 2, "engine": "eager"}
    plain, balanced = (
        Study(circles(80), (model,), class_weight=one, **settings).run()
        for one in (None, "balanced")
    )
    assert_frame_equal(plain.seeds, balanced.seeds, check_exact=True)  # their classes are even


@pytest.mark.parametrize("wrong", ["heavy", 2.0, {"a": 1.0}, True])
def test_other_weights_are_refused(wrong):
    with pytest.raises(ValueError, match=r"class_weight is .*; it must be 'balanced' or None"):
        Study(uneven(2), class_weight=wrong)


def test_test_rows_that_are_given_apart_weigh_nothing():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    rare = (np.arange(40) < 3).astype(int)
    for labels in (rare, 1 - rare):
        data = from_arrays(x, y, test=(x[:40], labels))
        assert study_of(data, class_weight="balanced").task.class_weights == (1.0, 1.0)


def test_the_curves_say_that_their_loss_is_weighted():
    from functional_clf.reports.plots import curves_figure

    results = study_of(uneven(2), class_weight="balanced").run()
    labels = [axes.get_ylabel() for axes in curves_figure(results).axes]
    assert "loss (binary cross-entropy, classes weighted)" in labels
