"""Several classes, from the steps to the study: iris, and blobs that are drawn anew."""

import itertools

import numpy as np
import pytest
import torch
from polars.testing import assert_frame_equal
from sklearn.datasets import load_iris, make_blobs
from torch import nn

from functional_clf import Recipe, Study, circles, load_seed, mlp, mlp_recipe, model_1, spirals
from functional_clf.contestants.recipe import init_chunk
from functional_clf.core.optim import adam, sgd
from functional_clf.data.batches import draw_chunk
from functional_clf.data.dataset import Dataset
from functional_clf.data.seeds import replicate
from functional_clf.data.splits import split
from functional_clf.registry import ENGINES

CPU = torch.device("cpu")
FLOWERS = load_iris()


def iris():
    x, y = FLOWERS.data, FLOWERS.target
    return Dataset("iris", 150, lambda seed: (x, y), is_fixed=True, n_classes=3)


def blobs(n_samples=90):
    def draw(seed):
        x, y = make_blobs(n_samples, centers=3, cluster_std=2.0, random_state=seed)[:2]
        return x / 10, y

    return Dataset("blobs", n_samples, draw, n_classes=3)


def module_of(layer_sizes):
    first, *rest = itertools.pairwise(layer_sizes)
    more = [part for sizes in rest for part in (nn.ReLU(), nn.Linear(*sizes))]
    return nn.Sequential(nn.Linear(*first), *more)


def plain_loop(module, optimizer, train, test, read_at):
    """Losses and counts on both parts after each of the epochs `read_at`."""
    criterion, points = nn.CrossEntropyLoss(), []
    for epoch in range(read_at[-1] + 1):
        if epoch in read_at:
            with torch.no_grad():
                points.append(
                    [
                        (criterion(logits, y).item(), (logits.argmax(-1) == y).sum().item())
                        for x, y in (train, test)
                        for logits in [module(x)]
                    ]
                )
        if epoch < read_at[-1]:
            optimizer.zero_grad()
            criterion(module(train[0]), train[1]).backward()
            optimizer.step()
    return points


CASES = {
    "iris-adam": (iris(), (4, 16, 3), adam(0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
    "iris-sgd": (
        iris(),
        (4, 16, 3),
        sgd(0.05, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    ),
    "blobs-adam": (blobs(), (2, 8, 3), adam(0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ENGINES)
def test_several_classes_train_as_a_module_in_a_plain_loop(name, case, float64):
    dataset, layer_sizes, optimizer, make_optimizer = CASES[case]
    recipe, engine = Recipe("m", mlp(layer_sizes, torch.relu), optimizer, epochs=60), ENGINES[name]
    vary = "split" if dataset.is_fixed else "data"
    replicates = [replicate(seed, vary) for seed in range(4)]
    data = draw_chunk(dataset, replicates, 0.2, CPU)
    if name == "fused" and (reason := engine.why_not([recipe], data)):
        pytest.skip(reason)
    start = init_chunk(recipe, [one.init_seed for one in replicates], CPU)
    final, curves = engine.train(recipe, start, data, recipe.epochs)
    for lane, one in enumerate(replicates):
        x, y = dataset.draw(one.data_seed)
        rows = split(dataset.n_samples, 0.2, one.split_seed)
        train, test = (
            (torch.from_numpy(x[part]), torch.from_numpy(y[part]))
            for part in (rows.train, rows.test)
        )
        module = module_of(layer_sizes)
        before = {key: value[lane] for key, value in start.params.items()}
        module.load_state_dict(before)
        points = plain_loop(module, make_optimizer(module.parameters()), train, test, curves.epochs)
        theirs = module.state_dict()
        moved, apart = (
            torch.cat([(one_of[key] - other[key]).ravel() for key in before])
            for one_of, other in (
                (theirs, before),
                ({key: value[lane] for key, value in final.params.items()}, theirs),
            )
        )
        assert apart.norm() <= 1e-9 * moved.norm()
        for part, metrics in enumerate((curves.train, curves.test)):
            losses, correct = zip(*(point[part] for point in points), strict=True)
            assert metrics.loss[:, lane].tolist() == pytest.approx(losses, rel=1e-9)
            assert metrics.correct[:, lane].tolist() == list(correct)


def study_of(seeds, **changes):
    recipes = (
        mlp_recipe("linear", (4, 3), None, "sgd", 0.1, epochs=80),
        mlp_recipe("hidden", (4, 16, 3), "relu", "adam", 0.02, epochs=80),
    )
    settings = {"contestants": recipes, "engine": "eager"} | changes
    return Study(iris(), seeds=seeds, **settings)


def test_a_study_of_several_classes_is_kept_resumed_compared_and_loaded(tmp_path):
    study_of(5, save_params=True).run(tmp_path)
    results = study_of(12, save_params=True).run(tmp_path)
    assert_frame_equal(results.seeds, study_of(12).run().seeds, check_exact=True)
    assert results.study.vary == "split"  # of one table nothing new is drawn
    assert results.study.failure_threshold == pytest.approx(1 / 3)
    assert results.accuracies("hidden").mean() > 0.85
    comparison = results.compare("hidden", "linear")
    differences = results.accuracies("hidden") - results.accuracies("linear")
    assert comparison.estimate == pytest.approx(differences.mean())
    assert "hidden" in results.conclusion
    for name in ("linear", "hidden"):
        for row in results.of(name).iter_rows(named=True):
            module = load_seed(tmp_path, name, row["seed"])
            rows = split(150, 0.2, row["split_seed"])
            for part in ("train", "test"):
                of_part = getattr(rows, part)
                with torch.no_grad():
                    logits = module(torch.from_numpy(FLOWERS.data[of_part]).float())
                assert logits.shape == (len(of_part), 3)
                labels = torch.from_numpy(FLOWERS.target[of_part])
                assert (logits.argmax(-1) == labels).sum() == row[f"{part}_correct"]
                loss = nn.functional.cross_entropy(logits, labels).item()
                assert loss == pytest.approx(row[f"{part}_loss"], rel=1e-4)


def test_classes_are_part_of_what_a_folder_is_told_apart_by(tmp_path):
    study_of(2).run(tmp_path)
    x, y = FLOWERS.data[:100], FLOWERS.target[:100]
    two = Dataset("iris", 100, lambda seed: (x, y), is_fixed=True)
    of_two = mlp_recipe("linear", (4, 1), None, "sgd", 0.1, epochs=80)
    with pytest.raises(Exception, match="n_classes is 3 there, 2 asked"):
        Study(two, (of_two,), seeds=2, engine="eager").run(tmp_path)


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
@pytest.mark.parametrize(
    ("dataset", "layer_sizes", "words"),
    [
        (circles(40), (2, 5, 2), r"the logits have shape \(\d+, 2\); for \d+ samples they must be"),
        (iris(), (4, 1), r"the logits have shape \(\d+,\); for \d+ samples of 3 classes they must"),
        (iris(), (4, 5, 2), r"the logits have shape \(\d+, 2\); for \d+ samples of 3 classes"),
    ],
)
def test_logits_that_do_not_fit_the_labels_are_refused(
    engine, dataset, layer_sizes, words, tmp_path
):
    own = Recipe("own", mlp(layer_sizes, torch.tanh), sgd(0.1), epochs=2)
    named = mlp_recipe("ours", layer_sizes, "tanh", "sgd", 0.1, epochs=2)
    for recipe in (own, named):
        study = Study(dataset, (recipe,), seeds=2, engine=engine)
        with pytest.raises(ValueError, match=f"recipe '{recipe.name}': .*{words}") as caught:
            study.run(tmp_path / "run")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.arange(9) % 2, "y holds 0, 1; the labels must be exactly 0 to 2, all there"),
        (np.arange(9) % 4, "y holds 0, 1, 2, 3; "),
        (np.arange(9) % 3 + 1, "y holds 1, 2, 3; "),
        (np.arange(9) % 3 / 2, "y holds 0, 0.5, 1; "),
    ],
)
def test_labels_are_the_numbers_of_all_classes(y, words):
    table = np.eye(9), y
    with pytest.raises(ValueError, match=words):
        Dataset("own", 9, lambda seed: table, n_classes=3).sample(0)


def test_a_class_that_a_split_leaves_out_is_named(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = np.arange(40) % 2
    y[:2] = 2
    rare = Dataset("rare", 40, lambda seed: (x, y), is_fixed=True, n_classes=3)
    recipe = mlp_recipe("m", (2, 3), None, "sgd", 0.1, epochs=2)
    with pytest.raises(ValueError, match="none of the 32 training samples is of class 2"):
        Study(rare, (recipe,), seeds=200, engine="eager").run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_each_class_needs_two_samples():
    with pytest.raises(ValueError, match="samples is 5; it must be at least 6, two for each class"):
        Dataset("own", 5, lambda seed: None, n_classes=3)
    for wrong in (1, 2.5):
        with pytest.raises((TypeError, ValueError), match=f"n_classes is {wrong}"):
            Dataset("own", 8, lambda seed: None, n_classes=wrong)


def test_a_model_of_two_classes_beside_one_of_three_is_no_study():
    with pytest.raises(ValueError, match=r"layer_sizes is .*, made for 2 features"):
        study_of(2, contestants=(*study_of(2).contestants, model_1(epochs=2))).run()


def test_a_network_learns_spirals_and_a_linear_one_does_not():
    networks = (
        mlp_recipe("network", (2, 32, 32, 3), "relu", "adam", 0.01, epochs=500),
        mlp_recipe("linear", (2, 3), None, "adam", 0.01, epochs=500),
    )
    results = Study(spirals(600), networks, seeds=4, engine="eager").run()
    best = spirals(600).references()["best_possible"]
    assert results.accuracies("network").min() > best - 0.02
    assert results.accuracies("linear").max() < 0.6
