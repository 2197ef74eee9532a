import contextlib

from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import Recipe
from functional_clf.core.optim import sgd
from functional_clf.engines import choice, compiled, graph_notes
from functional_clf.engines.choice import Job, choose, forecast
from functional_clf.engines.compiled import COMPILE
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.graph_notes import is_cached

RECIPES = (model_0(epochs=1000), model_1(epochs=1000))


def test_short_work_runs_eager_and_long_work_compiles(data, empty_cache, monkeypatch):
    monkeypatch.setattr(choice, "_eager_step_seconds", lambda recipe, data: 3e-3)
    few, many = (forecast(Job(RECIPES, data, chunks, threads=2)) for chunks in (1, 100))
    assert few.engine.name == "eager"
    assert "2 of 2 graphs are new" in few.reason
    assert many.engine.name == "compile"


def test_cached_graphs_make_compiling_pay_earlier(data, empty_cache, steps, monkeypatch):
    monkeypatch.setattr(choice, "_eager_step_seconds", lambda recipe, data: 1.5e-3)
    monkeypatch.setattr(graph_notes, "children", contextlib.nullcontext)
    job = Job(RECIPES, data, chunks=3, threads=2)
    assert forecast(job).engine.name == "eager"
    for recipe in RECIPES:
        COMPILE.compile_one(recipe, data)
        assert is_cached(recipe, data)
    assert forecast(job).engine.name == "compile"
    other = data._replace(train=data.train._replace(x=data.train.x[:, :50]))
    assert not is_cached(RECIPES[0], other)
    assert not is_cached(model_0(learning_rate=0.2), data)


def own_recipe(apply):
    """A recipe that is not made from settings."""
    return Recipe("own", model_0().model._replace(apply=apply), sgd(0.1), epochs=1000)


def centred(params, x):
    columns = x - x.mean(0)  # needs the samples again after a sum over them
    return (columns @ params["0.weight"].T + params["0.bias"]) @ params["1.weight"][0]


def test_auto_takes_fused_programs_where_all_recipes_can_be_fused(data, empty_cache, monkeypatch):
    taken = choose(Job(RECIPES, data, chunks=1, threads=2))
    assert taken.engine is FUSED
    assert "2 of 2 programs are new" in taken.reason
    FUSED.prepare(RECIPES, data)
    assert "0 of 2 programs are new" in choose(Job(RECIPES, data, chunks=1, threads=2)).reason


def test_auto_chooses_among_the_others_where_one_recipe_cannot_be_fused(
    data, empty_cache, monkeypatch
):
    monkeypatch.setattr(choice, "_eager_step_seconds", lambda recipe, data: 3e-3)
    recipes = (RECIPES[0], own_recipe(centred))
    few, many = (choose(Job(recipes, data, chunks, threads=2)) for chunks in (1, 100))
    assert (few.engine.name, many.engine.name) == ("eager", "compile")
    assert few.reason.startswith("own cannot be fused (it needs the samples again")
    monkeypatch.setattr(compiled, "why_not_compile", lambda device: "no C++ compiler was found")
    lacking = choose(Job(recipes, data, 100, threads=2))
    assert lacking.engine.name == "eager"
    assert lacking.reason.endswith("over all of them); no C++ compiler was found")
