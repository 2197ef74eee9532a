import json
import logging
import math
from dataclasses import replace
from fractions import Fraction
from itertools import chain

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from functional_clf import mlp
from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import Recipe
from functional_clf.core.optim import sgd
from functional_clf.data.dataset import Dataset
from functional_clf.data.generators import circles
from functional_clf.data.seeds import MAX_SEED
from functional_clf.engines import machine
from functional_clf.record.database import StoreError
from functional_clf.registry import ENGINES
from functional_clf.reports import tables as report
from functional_clf.study.study import Study

RECIPES = (model_0(epochs=12), model_1(epochs=12))


def study_of(seeds, **changes):
    settings = {"dataset": circles(80), "contestants": RECIPES, "engine": "eager"} | changes
    return Study(seeds=seeds, **settings)


def assert_same_bits(some, all_seeds):
    """The rows of `some` are, bit for bit, among those of `all_seeds`."""
    wanted = all_seeds.filter(pl.col("seed").is_in(some["seed"].unique()))
    assert_frame_equal(some, wanted, check_exact=True)
    for column in ("train_loss", "test_loss"):
        assert some[column].to_numpy().tobytes() == wanted[column].to_numpy().tobytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_seed_is_itself_whatever_was_run_beside_it(engine):
    runs = [
        study_of(seeds, engine=engine, threads=threads).run().seeds
        for seeds, threads in ((40, 1), (7, 1), (range(30, 40), 1), (40, 2))
    ]
    for rows in runs[1:]:
        assert_same_bits(rows, runs[0])
    assert runs[0].height == 80
    assert runs[0]["test_loss"].n_unique() == 80  # and seeds differ from one another


def test_torch_threads_change_no_bit_and_are_left_as_they_were():
    before = torch.get_num_threads()
    try:
        runs = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            runs.append(study_of(5).run().seeds)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert_same_bits(*runs)


def test_more_seeds_later_train_only_the_new_ones(tmp_path, monkeypatch):
    from functional_clf.study.chunks import ChunkTrainer

    trained = []
    original = ChunkTrainer.train

    def counting(self, engine, seeds, *rest):
        trained.append(list(seeds))
        return original(self, engine, seeds, *rest)

    monkeypatch.setattr(ChunkTrainer, "train", counting)
    first = study_of(20).run(tmp_path).seeds
    assert sorted(chain.from_iterable(trained)) == list(range(20))
    trained.clear()
    again = study_of(20).run(tmp_path).seeds
    assert trained == []
    assert_frame_equal(first, again)
    more = study_of(range(10, 37)).run(tmp_path).seeds
    assert sorted(chain.from_iterable(trained)) == list(range(20, 37))
    assert_same_bits(more, study_of(40).run().seeds)


def test_both_models_meet_the_same_data(monkeypatch):
    for vary, columns in (
        ("data", {"data_seed", "split_seed", "init_seed"}),
        ("split", {"split_seed", "init_seed"}),
        ("init", {"init_seed"}),
    ):
        table = study_of(3, vary=vary).run().seeds
        a, b = (table.filter(model=recipe.name).drop("model") for recipe in RECIPES)
        seeds = ["data_seed", "split_seed", "init_seed"]
        assert_frame_equal(a.select(seeds), b.select(seeds))
        assert {name for name in seeds if a[name].n_unique() == 3} == columns


def test_a_model_that_diverges_is_named_and_counted(tmp_path):
    wild = model_0(learning_rate=1e6, epochs=60)
    results = study_of(5, contestants=(wild, RECIPES[1])).run(tmp_path)
    assert results.of("model_0")["diverged"].all()
    assert results.of("model_0")["test_loss"].null_count() == 5
    assert results.failures("model_0") == (5, [0, 1, 2, 3, 4])
    assert not results.of("model_1")["diverged"].any()
    assert_frame_equal(results.of("model_1"), study_of(5).run().of("model_1"), check_exact=True)
    assert "diverged" in results.conclusion
    text = json.dumps(report.results_dict(results), allow_nan=False)
    assert json.loads(text)["models"]["model_0"]["diverged_seeds"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("vary", ["data", "split", "init"])
def test_one_or_two_seeds_have_a_conclusion_too(vary, seeds):
    results = study_of(seeds, vary=vary).run()
    assert "model_1" in results.conclusion
    found = json.dumps(report.results_dict(results), allow_nan=False)
    assert json.loads(found)["comparisons"][0]["verdict"]


def test_two_copies_of_one_model_tie():
    copies = (model_1(epochs=12), model_1(epochs=12))
    copies = tuple(
        type(one)(name, one.model, one.optimizer, one.epochs, one.settings)
        for name, one in zip(("one", "other"), copies, strict=True)
    )
    comparison = study_of(6, contestants=copies).run().compare("other", "one")
    assert comparison.estimate == 0
    assert (comparison.superiority.wins, comparison.superiority.ties) == (0, 6)


def test_three_models_are_compared_pairwise_and_one_with_none():
    three = (
        *RECIPES,
        type(RECIPES[0])("third", *_parts(model_1(layer_sizes=(2, 4, 1), epochs=12))),
    )
    assert len(study_of(4, contestants=three).run().comparisons()) == 3
    assert study_of(4, contestants=RECIPES[:1]).run().comparisons() == []


def _parts(recipe):
    return recipe.model, recipe.optimizer, recipe.epochs, recipe.settings


def test_auto_uses_eager_where_there_is_no_compiler_and_says_so(monkeypatch, caplog):
    monkeypatch.setenv("CC", "/nowhere/gcc")
    monkeypatch.setenv("CXX", "/nowhere/g++")
    with caplog.at_level(logging.INFO, "functional_clf"):
        results = study_of(2, engine="auto").run()
    assert results.engine.ran == "eager"
    assert caplog.messages == [
        "engine: eager, because no C compiler was found (CC is '/nowhere/gcc'); "
        "no C++ compiler was found (CXX is '/nowhere/g++')"
    ]
    assert report.results_dict(results)["engine"]["ran"] == "eager"


def test_compile_without_a_compiler_is_a_clear_error(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "/nowhere/g++")
    with pytest.raises(ValueError, match="engine is 'compile', but no C\\+\\+ compiler"):
        study_of(2, engine="compile").run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def centred(params, x):
    """A model that cannot be fused: it needs the samples again after a sum over them."""
    return (x - x.mean(0)) @ params["0.weight"][0] + params["0.bias"]


def test_what_cannot_be_fused_is_a_clear_error_or_another_engine(tmp_path):
    own = Recipe("own", model_0((2, 1)).model._replace(apply=centred), sgd(0.1), epochs=3)
    study = Study(circles(60), (model_0(epochs=3), own), seeds=2, engine="fused")
    with pytest.raises(ValueError, match="engine is 'fused', but own cannot be fused") as caught:
        study.run(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    results = replace(study, engine="auto").run()
    assert results.engine.ran == "eager"
    assert "own cannot be fused" in results.engine.reason


def test_a_failing_c_compiler_is_a_clear_error_or_the_eager_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="engine is 'fused', but compiling failed"):
        study_of(2, engine="fused").run(tmp_path / "out")
    results = study_of(2, engine="auto").run()
    assert (results.engine.ran, results.seeds.height) == ("eager", 4)


def test_fused_programs_are_compiled_once_a_model_whatever_is_trained(tmp_path, monkeypatch):
    """The regression check of compiling that needs no clock."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    for seeds, settings in ((3, {}), (range(5, 40), {"threads": 2}), (4, {"chunk_size": 3})):
        study_of(seeds, engine="fused", **settings).run()
    assert len(list(tmp_path.glob("functional-clf/fused/*.so"))) == 2
    assert not list(tmp_path.glob("functional-clf/fused/tmp*"))


def test_a_folder_goes_on_with_the_engine_it_has(tmp_path):
    study_of(2, engine="eager").run(tmp_path)
    assert study_of(4, engine="auto").run(tmp_path).engine.ran == "eager"
    with pytest.raises(StoreError, match="engine is 'eager' there, 'compile' asked"):
        study_of(4, engine="compile").run(tmp_path)


def test_a_crossed_design_trains_the_grid_and_grows_by_rows(tmp_path):
    grid = {"design": "crossed", "init_seeds": 3}
    small = study_of(64, **grid, data_seeds=2).run(tmp_path)
    large = study_of(64, **grid, data_seeds=4).run(tmp_path)
    assert_same_bits(small.seeds, large.seeds)
    table = large.of("model_1")
    assert table.height == 12
    assert table["data_seed"].to_list() == [3 * row for row in range(4) for _ in range(3)]
    assert table["init_seed"].to_list() == [2, 5, 8] * 4
    comparison = large.compare("model_1", "model_0")
    assert (comparison.n_data_seeds, comparison.n_init_seeds) == (4, 3)
    differences = large.accuracies("model_1") - large.accuracies("model_0")
    assert comparison.estimate == pytest.approx(differences.mean())
    json.dumps(report.results_dict(large), allow_nan=False)
    for row in small.seeds.filter(seed=4).iter_rows(named=True):  # row 1, column 1
        assert (row["data_seed"], row["split_seed"], row["init_seed"]) == (3, 4, 5)


def test_self_calibration_asks_smaller_studies(tmp_path):
    results = study_of(30).run()
    calibration = results.self_calibration("model_1", "model_0")
    assert calibration.n_pairs == 30
    assert calibration.verdict == results.compare("model_1", "model_0").verdict
    assert [study.size for study in calibration.studies] == [5, 10]
    json.dumps(report.results_dict(results, calibration), allow_nan=False)


def test_lucky_seeds_are_drawn_from_the_study():
    results = study_of(12).run()
    lucky = results.lucky_seeds("model_1", "model_0")
    assert (lucky.names, lucky.n_pairs, lucky.sizes) == (
        ("model_1", "model_0"),
        12,
        (1, 2, 3, 4, 5, 6),
    )
    found = results.compare("model_1", "model_0")
    assert (lucky.estimate, lucky.interval) == (found.estimate, found.interval)
    with pytest.raises(ValueError, match="'model_2'"):
        results.lucky_seeds("model_2", "model_0")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"vary": "init"}, "vary is 'data' there"),
        ({"dataset": circles(80, noise=0.1)}, "dataset.noise is 0.03 there"),
        ({"chunk_size": 8}, "chunk_size is 16 there"),
        ({"contestants": (RECIPES[0], model_1(epochs=13))}, "models.model_1.epochs is 12 there"),
    ],
)
def test_another_configuration_in_the_same_folder_is_refused(tmp_path, changes, difference):
    before = study_of(2).run(tmp_path).seeds
    with pytest.raises(StoreError, match=difference):
        study_of(2, **changes).run(tmp_path)
    assert_frame_equal(study_of(2).run(tmp_path).seeds, before)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"seeds": 0}, "seeds"),
        ({"seeds": range(3, 9, 2)}, "seeds"),
        ({"seeds": range(-3, 9)}, "seeds"),
        ({"seeds": range(MAX_SEED, MAX_SEED + 2)}, "seeds"),
        ({"vary": "weather"}, "vary"),
        ({"engine": "warp"}, "engine"),
        ({"test_size": 1.5}, "test_size"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"chunk": 0}, "chunk"),
        ({"chunk": 4, "chunk_size": 4}, "chunk"),
        ({"threads": 0}, "threads"),
        ({"margin": -0.1}, "margin"),
        ({"alpha": 1.0}, "alpha"),
        ({"alpha": 1e-300}, "alpha"),
        ({"failure_below": math.nan}, "failure_below"),
        ({"contestants": ()}, "contestants"),
        ({"design": "square"}, "design"),
        ({"design": "crossed", "data_seeds": 1}, "data_seeds"),
        ({"design": "crossed", "init_seeds": 0}, "init_seeds"),
        ({"design": "crossed", "seeds": 7}, "seeds"),
        ({"design": "crossed", "vary": "init"}, "vary"),
        ({"design": "crossed", "contestants": RECIPES[:1]}, "contestants"),
        ({"contestants": (RECIPES[0], RECIPES[0])}, "contestants"),
    ],
)
def test_arguments_outside_their_range_are_refused(settings, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        Study(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": [0, 1, 2]}, "seeds is [0, 1, 2]; it must be a count"),
        ({"seeds": "4"}, "seeds is '4'; "),
        ({"seeds": 4.0}, "seeds is 4.0; "),
        ({"seeds": True}, "seeds is True; "),
        ({"margin": "0.01"}, "margin is '0.01'; it must be a number"),
        ({"alpha": None}, "alpha is None; "),
        ({"test_size": True}, "test_size is True; "),
        ({"failure_below": "0.5"}, "failure_below is '0.5'; "),
        ({"threads": 1.5}, "threads is 1.5; it must be a whole number"),
        ({"chunk_size": 2.5}, "chunk_size is 2.5; "),
        ({"chunk": 2.5}, "chunk is 2.5; "),
        ({"chunk_size": np.bool_(True)}, "chunk_size is "),
        ({"data_seeds": 2.0, "design": "crossed"}, "data_seeds is 2.0; "),
        ({"tf32": 1}, "tf32 is 1; it must be True or False"),
        ({"save_params": "no"}, "save_params is 'no'; "),
        ({"device": 0}, "device is 0; "),
        ({"contestants": model_1()}, "contestants is a Recipe; it must be a tuple of contestants"),
        ({"contestants": (model_1(), "model_0")}, "contestants[1] is 'model_0'; "),
        ({"contestants": {"a": model_1()}}, "contestants[0] is 'a'; "),
        ({"dataset": "circles"}, "dataset is 'circles'; it must be a Dataset"),
        ({"dataset": circles}, "dataset is <function circles"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(settings, message):
    with pytest.raises(TypeError) as caught:
        Study(**settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": torch.nn.Linear(2, 1)}, "model is Linear(in_features=2, out_features=1"),
        ({"model": model_1()}, "model is a Recipe; it must be Model(init, apply)"),
        ({"model": (1, 2)}, "model is (1, 2); it must be Model(init, apply), two functions"),
        ({"optimizer": torch.optim.SGD}, "optimizer is <class 'torch.optim.sgd.SGD'>; it must be"),
        ({"optimizer": "adam"}, "optimizer is 'adam'; it must be Optimizer(init, update)"),
        ({"epochs": 2.0}, "epochs is 2.0; it must be a whole number"),
        ({"name": None}, "name is None; a recipe needs a text"),
        ({"settings": {"rate": torch.ones(1)}}, "settings is "),
    ],
)
def test_recipes_of_the_wrong_parts_are_refused(arguments, message):
    parts = {"name": "m", "model": mlp((2, 1)), "optimizer": sgd(0.1), "epochs": 2}
    with pytest.raises(TypeError) as caught:
        Recipe(**parts | arguments)
    assert str(caught.value).startswith(message)
    if isinstance(arguments.get("model"), torch.nn.Module):
        assert "module_recipe(name, factory)" in str(caught.value)


def test_whole_numbers_of_any_kind_are_taken():
    study = Study(
        circles(np.int64(60)),
        RECIPES,
        seeds=np.int64(4),
        chunk_size=np.int16(2),
        threads=torch.tensor(1),
        margin=np.float32(0.5),
        alpha=Fraction(1, 20),
    )
    assert (study.seeds, study.chunk_size, study.threads) == (range(4), 2, 1)
    assert (type(study.chunk_size), study.margin, study.alpha) == (int, 0.5, 0.05)
    assert study.run().seeds.height == 8


def test_the_former_name_of_the_chunk_size_goes_on_working():
    assert Study(chunk=4).chunk_size == 4
    assert replace(Study(chunk=4), seeds=range(3)).chunk_size == 4
    assert replace(Study(chunk=4), chunk_size=8).chunk_size == 8


def test_failed_is_worse_than_half_way_or_than_the_larger_class():
    x = np.random.default_rng(0).normal(size=(65, 2))
    y = np.arange(65) < 8  # 87.7 % of one class
    table = Dataset("table", 65, lambda seed: (x, y), is_fixed=True)
    assert Study(circles(60)).failure_threshold == 0.75
    assert Study(circles(60), failure_below=0.6).failure_threshold == 0.6
    results = study_of(6, dataset=table).run()
    assert results.study.failure_threshold == pytest.approx(57 / 65)
    assert "Failed means below 87.69" in results.conclusion
    assert results.failures("model_0")[0] == (results.accuracies("model_0") < 57 / 65).sum()


def test_the_first_margin_and_earlier_looks_are_kept_and_told(tmp_path):
    first = study_of(4).run(tmp_path)
    assert (first.looks.first_margin, first.looks.earlier) == (0.01, 0)
    again = study_of(4).run(tmp_path)
    assert again.conclusion == first.conclusion
    assert "looked at" not in first.conclusion
    moved = study_of(4, margin=0.2).run(tmp_path)
    assert "The margin was changed after looking: it was 1 pp at first" in moved.conclusion
    surer = study_of(4, alpha=0.4).run(tmp_path)
    assert "The confidence was changed after looking: it was 95 % at first" in surer.conclusion
    more = study_of(6).run(tmp_path)
    assert more.looks.earlier == 1
    assert "looked at" in more.conclusion
    assert study_of(4).run(tmp_path).conclusion == first.conclusion


@pytest.mark.parametrize("name", ["warp", "cpu:1", "cuda:x", "cuda", "cuda:0", "mps", "cuda:"])
def test_devices_that_are_not_here_are_refused(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device is"):
        machine.resolve_device(name)
