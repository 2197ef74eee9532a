"""A contestant that no engine trains, beside one that an engine does."""

import itertools
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from polars.testing import assert_frame_equal
from safetensors.numpy import load_file

from functional_clf import Contestant, Study, circles, load_seed, mlp_recipe, model_1
from functional_clf.contestants.base import Trained, described
from functional_clf.contestants.recipe import Recipe
from functional_clf.core.types import Curves, Metrics
from functional_clf.data.dataset import Dataset
from functional_clf.record.database import StoreError
from functional_clf.record.weights import write_params
from functional_clf.registry import ENGINES
from functional_clf.reports import tables as report
from functional_clf.reports.plots import write_plots
from functional_clf.study.replay import replay
from functional_clf.workers.ranks import Rank


def votes(y):
    """The larger class of each replicate; of equal ones class 1."""
    return (2 * y.sum(-1) >= y.shape[1]).float()


@dataclass(frozen=True)
class Majority:
    """Predicts the larger class of the training labels, whatever the features."""

    name: str = "majority"
    confidence: float = 0.75

    @property
    def curve_epochs(self):
        return (0,)

    def describe(self):
        return {"confidence": self.confidence}

    def train(self, data, replicates, training):
        predicted = votes(data.train.y)
        metrics = []
        for batch in (data.train, data.test):
            is_right = batch.y == predicted[:, None]
            sure = torch.tensor(self.confidence)
            loss = -torch.where(is_right, sure.log(), (1 - sure).log()).mean(-1)
            metrics.append(Metrics(loss[None], is_right.sum(-1)[None]))
        nothing_diverged = np.zeros(len(replicates), bool)
        return Trained({}, Curves((0,), *metrics), nothing_diverged)


def uneven(n_samples=60):
    """Data whose larger class is class 0, by a little that differs from seed to seed."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n_samples, 2))
        return x, (x[:, 0] + 0.3 * rng.normal(size=n_samples) > 0.2).astype(int)

    return Dataset("uneven", n_samples, draw)


CONTESTANTS = (Majority(), model_1(epochs=12))


def study_of(seeds, **changes):
    settings = {"dataset": uneven(), "contestants": CONTESTANTS, "engine": "eager"} | changes
    return Study(seeds=seeds, **settings)


def test_it_predicts_what_it_says():
    results = study_of(6).run()
    for row in results.of("majority").iter_rows(named=True):
        x, y = results.study.dataset.draw(row["data_seed"])
        from functional_clf.data.splits import split

        rows = split(len(x), 0.2, row["split_seed"])
        larger = 2 * y[rows.train].sum() >= len(rows.train)
        assert row["train_correct"] == (y[rows.train] == larger).sum()
        assert row["test_correct"] == (y[rows.test] == larger).sum()
        share = row["test_correct"] / row["n_test"]
        loss = -share * np.log(0.75) - (1 - share) * np.log(0.25)
        assert row["test_loss"] == pytest.approx(loss, rel=1e-6)


def test_it_is_kept_resumed_and_compared(tmp_path):
    class Interrupted(BaseException):
        pass

    def interrupt(progress):
        if progress.seeds_done >= 16:
            raise Interrupted

    with pytest.raises(Interrupted):
        study_of(40).run(tmp_path, interrupt)
    resumed = study_of(40).run(tmp_path)
    more = study_of(50).run(tmp_path)
    at_once = study_of(50).run()
    assert_frame_equal(more.seeds, at_once.seeds, check_exact=True)
    assert_frame_equal(resumed.seeds, study_of(40).run().seeds, check_exact=True)
    assert more.seeds.height == 100

    report.write_tables(more, tmp_path)
    table = (tmp_path / "seeds.csv").read_text().splitlines()
    assert sum(line.startswith("majority,") for line in table) == 50
    comparison = more.compare("model_1", "majority")
    differences = more.accuracies("model_1") - more.accuracies("majority")
    assert comparison.estimate == pytest.approx(differences.mean())
    assert [(one.model_a.name, one.model_b.name) for one in more.comparisons()] == [
        ("model_1", "majority")
    ]
    assert "majority" in more.conclusion
    report.write_results(more, tmp_path)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["models"]["majority"]["test_accuracy"]["mean"] == pytest.approx(
        more.accuracies("majority").mean()
    )
    assert written["config"]["models"]["majority"]["confidence"] == 0.75
    assert "majority" in repr(more)
    assert more.curve_epochs("majority") == (0,)
    assert more.curves["majority"]["test_correct"].median.shape == (1,)


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_pictures_are_drawn_on_any_engine(engine, tmp_path):
    if engine == "compile":
        pytest.skip("the engine is the other model's; compiling it takes long")
    results = study_of(4, engine=engine).run(tmp_path)
    write_plots(results, tmp_path / "plots")
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert drawn == {"data", "curves", "accuracies", "boundaries"}


def test_without_any_weights_there_are_no_boundaries(tmp_path):
    two = (Majority(), Majority("surer", 0.9))
    results = study_of(4, contestants=two).run(tmp_path)
    write_plots(results, tmp_path / "plots")
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert "boundaries" not in drawn
    assert "data" in drawn


def test_a_seed_is_itself_whatever_was_run_beside_it():
    table = study_of(23).run().seeds
    for changes in ({"chunk_size": 3}, {"chunk_size": 1}, {"threads": 2, "chunk_size": 4}):
        majority = study_of(23, **changes).run().of("majority")
        assert_frame_equal(majority, table.filter(model="majority"), check_exact=True)
    apart = study_of(range(9, 20)).run().seeds
    wanted = table.filter(table["seed"].is_between(9, 19))
    assert_frame_equal(apart, wanted, check_exact=True)
    crossed = study_of(64, design="crossed", data_seeds=3, init_seeds=2).run()
    assert crossed.of("majority").height == 6
    assert crossed.compare("model_1", "majority").n_data_seeds == 3


def test_where_no_recipe_is_auto_is_eager(tmp_path):
    two = (Majority(), Majority("surer", 0.9))
    results = study_of(4, contestants=two, engine="auto").run(tmp_path)
    assert results.engine == ("auto", "eager", "there is no recipe among the models")
    again = study_of(6, contestants=two, engine="auto").run(tmp_path)
    assert again.seeds.height == 12
    assert again.compare("surer", "majority").estimate == 0
    for engine in ENGINES:
        wanted = study_of(4, contestants=two, engine=engine).run().seeds
        assert_frame_equal(wanted, results.seeds, check_exact=True)


def test_where_there_are_no_weights_none_are_saved_and_it_is_said(tmp_path):
    results = study_of(5, save_params=True).run(tmp_path)
    assert results.params["majority"][1] == {}
    assert results.params["model_1"][1]["0.weight"].shape == (5, 16, 2)
    files = write_params(tmp_path, ["majority", "model_1"], range(5))
    assert [file.stem for file in files] == ["model_1"]
    assert load_file(files[0])["seeds"].tolist() == list(range(5))
    load_seed(tmp_path, "model_1", 0)
    with pytest.raises(ValueError, match="model is 'majority', which has no weights"):
        load_seed(tmp_path, "majority", 0)
    with pytest.raises(ValueError, match=r"cannot be replayed: its data set 'uneven'"):
        replay(tmp_path, 0)


def test_a_folder_refuses_the_same_name_with_another_description(tmp_path):
    before = study_of(3).run(tmp_path).seeds
    other = (Majority(confidence=0.9), CONTESTANTS[1])
    with pytest.raises(StoreError, match=r"majority\.confidence is 0\.75 there, 0\.9 asked"):
        study_of(3, contestants=other).run(tmp_path)
    assert_frame_equal(study_of(3).run(tmp_path).seeds, before)


@dataclass(frozen=True)
class Other(Majority):
    """A contestant with parts of the test's own."""

    description: Any = None
    made: Callable[[Trained], Any] = lambda trained: trained

    def describe(self):
        return {} if self.description is None else self.description

    def train(self, data, replicates, training):
        return self.made(super().train(data, replicates, training))


def test_other_code_is_another_contestant(tmp_path):
    assert described(Other()) == described(Other())
    assert described(Other())["code"] != described(Other(made=lambda trained: trained))["code"]
    assert described(Other())["code"] != described(Majority())["code"]
    study_of(2, contestants=(Other(),)).run(tmp_path)
    with pytest.raises(StoreError, match=r"models\.majority\.code is"):
        study_of(2, contestants=(Other(made=lambda trained: trained),)).run(tmp_path)


@pytest.mark.parametrize(
    "description", [[("a", 1)], "text", {"rate": torch.ones(1)}, {"rate": np.nan}, {3: object()}]
)
@pytest.mark.parametrize("has_folder", [True, False])
def test_a_description_that_is_not_plain_is_one_clear_error(description, has_folder, tmp_path):
    study = study_of(2, contestants=(Other(description=description),))
    with pytest.raises(TypeError, match=r"model 'majority': describe\(\) returned ") as caught:
        study.run(tmp_path / "run" if has_folder else None)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_told_apart_runs_in_memory_only(tmp_path):
    unread = (one for one in itertools.repeat(1.0))

    def made(trained):
        assert unread is not None
        return trained

    study = study_of(3, contestants=(Other(made=made), CONTESTANTS[1]))
    assert described(study.contestants[0])["code"] is None
    with pytest.raises(ValueError, match="model 'majority': what its train reads cannot be told"):
        study.run(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert_frame_equal(study.run().seeds, study_of(3).run().seeds, check_exact=True)


def with_metrics(change, part="test"):
    """Trained, but for the metrics of one part."""

    def made(trained):
        curves = trained.curves
        return trained._replace(curves=curves._replace(**{part: change(getattr(curves, part))}))

    return made


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (with_metrics(lambda m: m._replace(loss=m.loss[0])), "test loss has shape (16,); it must"),
        (
            with_metrics(lambda m: m._replace(loss=m.loss.mT)),
            "test loss has shape (16, 1); it",
        ),
        (with_metrics(lambda m: m._replace(correct=m.correct[:, :3])), "test correct has shape (1"),
        (
            with_metrics(lambda m: Metrics(*(part.repeat(2, 1) for part in m)), "train"),
            "train loss has shape (2, 16); it must be (point, replicate), (1, 16)",
        ),
        (with_metrics(lambda m: m._replace(correct=m.correct + 13)), "between 0 and 12"),
        (with_metrics(lambda m: m._replace(correct=-1 - m.correct)), "between 0 and 12"),
        (with_metrics(lambda m: m._replace(correct=m.correct / 12)), "between 0 and 12"),
        (lambda t: t._replace(diverged=t.diverged[:3]), "diverged is of bool and shape"),
        (lambda t: t._replace(diverged=False), "diverged is of bool and shape"),
        (
            lambda t: t._replace(params={"w": torch.ones(3, 2)}),
            "numbers with one entry",
        ),
        (
            lambda t: t._replace(params={"w": torch.ones(())}),
            "numbers with one entry",
        ),
        (lambda t: None, "train returned None; it must return Trained"),
        (lambda t: (1, 2, 3), "train returned (1, 2, 3); it must return Trained"),
        (lambda t: t._replace(curves=None), "train returned "),
        (with_metrics(lambda m: None), "train returned "),
    ],
)
def test_what_is_not_as_it_should_be_is_one_clear_error(made, words, tmp_path):
    study = study_of(2, contestants=(Other(made=made),))
    with pytest.raises(ValueError, match=r"^model 'majority': ") as caught:
        study.run(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_are_as_good_as_tensors():
    def as_arrays(trained):
        curves = trained.curves
        parts = (Metrics(*map(np.asarray, metrics)) for metrics in (curves.train, curves.test))
        return trained._replace(curves=Curves((0,), *parts), diverged=trained.diverged.tolist())

    study = study_of(3, contestants=(Other(made=as_arrays),))
    wanted = study_of(3, contestants=(Majority(),)).run().seeds
    assert_frame_equal(study.run().seeds, wanted, check_exact=True)


def test_what_it_raises_is_raised():
    def made(trained):
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        study_of(2, contestants=(Other(made=made),)).run()


def test_what_has_not_the_form_is_no_contestant():
    assert isinstance(Majority(), Contestant)
    for wrong in (Majority, object(), "majority"):
        with pytest.raises(TypeError, match=r"contestants\[0\] is .*; it must be a tuple of"):
            Study(contestants=(wrong,))
    for name in ("", "a/b", " x"):
        with pytest.raises(ValueError, match="name"):
            Study(contestants=(Majority(name),))
    with pytest.raises(ValueError, match="names must differ"):
        Study(contestants=(Majority(), replace(Majority(), confidence=0.9)))


def test_a_data_set_of_this_packages_own_and_three_kinds():
    wide = mlp_recipe("wide", (2, 32, 1), "tanh", "adam", 0.01, epochs=5)
    results = study_of(3, dataset=circles(60), contestants=(*CONTESTANTS, wide)).run()
    assert len(results.comparisons()) == 3


def test_several_ranks_train_it_to_the_same_bits(tmp_path):
    """Two ranks, one of them a thread: what a chunk leaves passes between them as it is."""
    store = dist.HashStore()
    leading, other = (Rank(index, 2, index, 2, store) for index in range(2))
    study = study_of(60, chunk_size=2, threads=1)
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(study.assist, other)
        results = study.run(tmp_path, rank=leading)
        assert code.result(60) == 0
    assert_frame_equal(results.seeds, study.run().seeds, check_exact=True)


class Vandal(Majority):
    """Changes the samples that it is given."""

    def train(self, data, replicates, training):
        found = super().train(data, replicates, training)
        for part in (*data.train, *data.test):
            part.zero_()
        return found


def test_what_it_does_to_its_samples_nobody_else_meets():
    model = model_1(epochs=12)
    alone = Study(uneven(), (model,), seeds=4, engine="eager").run()
    beside = Study(uneven(), (Vandal("vandal"), model), seeds=4, engine="eager").run()
    assert_frame_equal(beside.of("model_1"), alone.of("model_1"))


@pytest.mark.parametrize("epochs", [(), [0], (2, 1), (0, 0), (0.5,), (-1,), None, 3])
def test_epochs_that_are_none_are_one_clear_error(epochs):
    class Odd(Majority):
        curve_epochs = epochs

    with pytest.raises(ValueError, match=r"contestant 'odd': curve_epochs is .*; it must be ris"):
        study_of(3, contestants=(Odd("odd"),))


TRAINED = []


class Counted(Majority):
    def train(self, data, replicates, training):
        globals()["TRAINED"].append(len(replicates))
        return super().train(data, replicates, training)


def test_without_weights_nothing_is_trained_again_for_them(tmp_path):
    study = study_of(3, contestants=(Counted("counted"),), save_params=True)
    for _ in range(2):
        study.run(tmp_path)
    assert len(TRAINED) == 1


class Reordering(Majority):
    """Does what it likes with what it is given."""

    def train(self, data, replicates, training):
        torch.set_default_dtype(torch.float64)
        np.random.seed(replicates[0].init_seed)  # noqa: NPY002 - it is what is tested
        with pytest.raises(AttributeError):
            replicates.reverse()
        return super().train(data, replicates, training)


def test_neither_seeds_nor_modes_of_another_are_changed():
    model = model_1(epochs=12)
    alone = Study(uneven(), (model,), seeds=4, engine="eager").run()
    beside = Study(uneven(), (Reordering("other"), model), seeds=4, engine="eager").run()
    assert torch.get_default_dtype() == torch.float32
    assert_frame_equal(beside.of("model_1"), alone.of("model_1"))


def test_it_draws_from_global_generators_while_nobody_else_does():
    def draw(seed):
        np.random.seed(seed)  # noqa: NPY002
        time.sleep(0.002)
        x = np.random.randn(40, 2)  # noqa: NPY002
        return x, (x[:, 0] > 0).astype(int)

    class Random(Majority):
        def train(self, data, replicates, training):
            np.random.seed(replicates[0].init_seed)  # noqa: NPY002
            time.sleep(0.002)
            found = super().train(data, replicates, training)
            np.random.randint(9)  # noqa: NPY002
            return found

    contestants = Random("random"), model_1(epochs=3)
    one, two = (
        Study(
            Dataset("drawn", 40, draw), contestants, seeds=24, engine="eager", chunk_size=4,
            threads=threads,
        ).run().seeds
        for threads in (1, 2)
    )  # fmt: skip
    assert_frame_equal(one, two)


def changed(**parts):
    """A contestant whose outcome has some other parts; each is made out of what was there."""

    class Changed(Majority):
        def train(self, data, replicates, training):
            found = super().train(data, replicates, training)
            return found._replace(
                **{name: make(getattr(found, name)) for name, make in parts.items()}
            )

    return Changed("changed")


def other_loss(loss):
    return lambda curves: curves._replace(test=curves.test._replace(loss=loss(curves.test.loss)))


def test_a_loss_that_is_not_finite_is_a_seed_that_diverged():
    one = changed(curves=other_loss(lambda loss: loss * torch.nan))
    results = Study(uneven(), (one,), seeds=3, engine="eager").run()
    assert results.seeds["diverged"].all()
    assert results.failures("changed") == (3, [0, 1, 2])


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (changed(curves=lambda c: c._replace(epochs=(7,))), "its curves are of the epochs"),
        (changed(curves=lambda c: c._replace(epochs=7)), "train returned"),
        (changed(curves=other_loss(lambda loss: loss.to(torch.bfloat16))), "its test loss is"),
        (changed(curves=other_loss(lambda loss: loss.to(torch.complex64))), "of complex64"),
        (changed(curves=other_loss(lambda loss: np.array([["x"] * loss.shape[1]]))), "must be flo"),
        (changed(params=lambda p: {"seeds": np.zeros(16)}), "has the key 'seeds'"),
        (changed(params=lambda p: {"w": np.full(16, "x")}), "its param 'w' is of <U1"),
        (changed(diverged=lambda d: np.full(16, np.nan)), "diverged is of float64"),
        (changed(diverged=lambda d: np.full(16, "False")), "diverged is of <U5"),
    ],
)
def test_an_outcome_of_another_kind_is_one_line_that_names_the_model(one, words):
    with pytest.raises(ValueError, match=f"model 'changed': .*{words}") as caught:
        Study(uneven(), (one,), seeds=3, engine="eager").run()
    assert "\n" not in str(caught.value)


def test_what_requires_grad_is_taken():
    one = changed(
        curves=other_loss(lambda loss: loss.clone().requires_grad_()),
        params=lambda p: {"w": torch.ones(16, 2, requires_grad=True)},
    )
    results = Study(uneven(), (one,), seeds=3, engine="eager").run()
    assert results.params["changed"][1]["w"].shape == (3, 2)


def test_a_kind_of_recipe_or_data_set_is_told_from_the_plain_one(tmp_path):
    class Zero(Recipe):
        def train(self, data, replicates, training):
            found = super().train(data, replicates, training)
            zero = found.curves.test._replace(correct=0 * found.curves.test.correct)
            return found._replace(curves=found.curves._replace(test=zero))

    class Flipped(Dataset):
        def sample(self, seed):
            found = super().sample(seed)
            return found._replace(y=1 - found.y)

    plain, data = model_1(epochs=5), circles(60)
    zero = Zero(**{one.name: getattr(plain, one.name) for one in fields(plain)})
    flipped = Flipped(**{one.name: getattr(data, one.name) for one in fields(data)})
    for other, same in ((zero, plain), (flipped, data)):
        assert not other.is_own
        assert other.describe() != same.describe()
    Study(data, (plain,), seeds=3, engine="eager").run(tmp_path)
    for study in (Study(data, (zero,), 5), Study(flipped, (plain,), 5)):
        with pytest.raises(StoreError, match="holds another study"):
            study.run(tmp_path)


def test_weights_of_what_is_no_recipe_are_added_later_too(tmp_path):
    one = changed(params=lambda params: {"w": torch.ones(16, 2)})
    study = Study(uneven(), (one,), seeds=300, engine="eager")
    study.run(tmp_path)
    replace(study, save_params=True).run(tmp_path)
    [path] = write_params(tmp_path, ["changed"], range(300))
    assert load_file(path)["seeds"].tolist() == list(range(300))
