import functools
import json
import stat
import subprocess
import sys
import tempfile

import pytest
import torch
from functional_clf.compilation import (
    Job,
    choose,
    compile_all,
    compile_seconds,
    forecast,
    is_cached,
)

from functional_clf import compilation, ensemble
from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.models import mlp
from functional_clf.core.optim import sgd
from functional_clf.data.batches import draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.engines.cache import VARIABLE
from functional_clf.registry import ENGINES

CPU = torch.device("cpu")
RECIPES = (model_0(epochs=1000), model_1(epochs=1000))


@pytest.fixture
def data():
    chunk = [replicate(seed, "data") for seed in range(16)]
    return draw_chunk(circles(100), chunk, 0.2, CPU)


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def steps(monkeypatch):
    """Steps that take no time, and are remembered."""
    taken = []
    monkeypatch.setattr(compilation, "_step", lambda *step, steps=0: taken.append(step[:2]))
    return taken


def test_short_work_runs_eager_and_long_work_compiles(data, empty_cache, monkeypatch):
    monkeypatch.setattr(compilation, "_eager_step_seconds", lambda recipe, data: 3e-3)
    few, many = (forecast(Job(RECIPES, data, chunks, threads=2)) for chunks in (1, 100))
    assert few.engine == "eager"
    assert "2 of 2 graphs are new" in few.reason
    assert many.engine == "compile"


def test_cached_graphs_make_compiling_pay_earlier(data, empty_cache, steps, monkeypatch):
    monkeypatch.setattr(compilation, "_eager_step_seconds", lambda recipe, data: 1.5e-3)
    monkeypatch.setattr(compilation, "_children", compilation.contextlib.nullcontext)
    job = Job(RECIPES, data, chunks=3, threads=2)
    assert forecast(job).engine == "eager"
    for recipe in RECIPES:
        compilation.compile_one(recipe, data)
        assert is_cached(recipe, data)
    assert forecast(job).engine == "compile"
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
    choice = choose(Job(RECIPES, data, chunks=1, threads=2))
    assert choice.engine == "fused"
    assert "2 of 2 programs are new" in choice.reason
    compile_all("fused", RECIPES, data)
    assert "0 of 2 programs are new" in choose(Job(RECIPES, data, chunks=1, threads=2)).reason


def test_auto_chooses_among_the_others_where_one_recipe_cannot_be_fused(
    data, empty_cache, monkeypatch
):
    monkeypatch.setattr(compilation, "_eager_step_seconds", lambda recipe, data: 3e-3)
    recipes = (RECIPES[0], own_recipe(centred))
    few, many = (choose(Job(recipes, data, chunks, threads=2)) for chunks in (1, 100))
    assert (few.engine, many.engine) == ("eager", "compile")
    assert few.reason.startswith("own cannot be fused (it needs the samples again")
    monkeypatch.setattr(compilation, "why_not_compile", lambda device: "no C++ compiler was found")
    lacking = choose(Job(recipes, data, 100, threads=2))
    assert lacking.engine == "eager"
    assert lacking.reason.endswith("over all of them); no C++ compiler was found")


def test_more_graphs_and_missing_ones_cost_more():
    costs = [compile_seconds(*pair) for pair in ((1, 0), (2, 0), (1, 1), (2, 2))]
    assert costs == sorted(costs)


def test_a_damaged_note_does_no_harm(data, empty_cache):
    notes = empty_cache / "functional_clf"
    notes.mkdir()
    for name, text in {"a.json": "", "b.json": "[]", "c.json": '{"seconds": "long"}'}.items():
        (notes / name).write_text(text)
    assert compile_seconds(2, missing=1) > compile_seconds(2, missing=0)


def test_a_note_of_another_precision_is_another_note(data, empty_cache, steps):
    compilation.compile_one(RECIPES[0], data)
    assert is_cached(RECIPES[0], data)
    assert not is_cached(RECIPES[0], torch.utils._pytree.tree_map(torch.Tensor.double, data))


def test_notes_are_ours_alone_and_those_that_others_may_write_are_not_read(
    data, empty_cache, steps
):
    compilation.compile_one(RECIPES[0], data)
    (note,) = (empty_cache / "functional_clf").iterdir()
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    note.write_text('{"seconds": 12345}')
    assert compile_seconds(1, missing=1) == 12345
    note.chmod(0o602)
    assert not is_cached(RECIPES[0], data)
    assert compile_seconds(1, missing=1) == compilation.COLD_SECONDS[0]


def test_without_a_folder_to_trust_there_are_no_notes_and_nothing_is_compiled(
    data, tmp_path, steps, monkeypatch
):
    for name in (VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    compilation.compile_one(RECIPES[0], data)  # whose step is none here
    assert not is_cached(RECIPES[0], data)
    assert compile_seconds(1, missing=1) == compilation.COLD_SECONDS[0]
    monkeypatch.undo()
    for name in (VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OSError, match="compiled code can be kept nowhere"):
        ENGINES["compile"].train(model_0(), init_chunk(model_0(), range(16), CPU), data, 1)


@pytest.mark.parametrize("trusted", [True, False])
def test_torch_takes_no_headers_out_of_a_folder_that_others_may_write_to(trusted, monkeypatch):
    monkeypatch.setattr(ensemble, "torchs_default_is_trusted", lambda: trusted)
    assert ensemble._cpu_options().get("cpp_cache_precompile_headers", True) == trusted


@pytest.fixture
def graphs(monkeypatch):
    """Graphs that Dynamo makes, and nobody compiles, counted."""
    made = []

    def backend(graph, inputs):
        made.append(graph)
        return graph.forward

    compile_with = functools.partial(torch.compile, backend=backend)
    monkeypatch.setattr(
        ensemble.torch, "compile", lambda step, options, **more: compile_with(step, **more)
    )
    return made


def chunk_of(samples, dtype=torch.float32):
    chunk = [replicate(seed, "data") for seed in range(2)]
    data = draw_chunk(circles(samples), chunk, 0.2, CPU)
    return torch.utils._pytree.tree_map(lambda leaf: leaf.to(dtype), data)


def test_any_number_of_sample_sizes_and_types_are_compiled_in_one_process(graphs):
    """Dynamo gives up at the ninth graph of one code object."""
    recipe = Recipe("small", mlp((2, 1)), sgd(0.1), epochs=2)
    assert torch._dynamo.config.recompile_limit < 10
    for samples in range(20, 30):
        for _ in range(2):
            state, data = init_chunk(recipe, range(2), CPU), chunk_of(samples)
            ENGINES["compile"].train(recipe, state, data, recipe.epochs)
    assert len(graphs) == 10
    params = torch.utils._pytree.tree_map(
        lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, state
    )
    final, curves = ENGINES["compile"].train(
        recipe, params, chunk_of(20, torch.float64), recipe.epochs
    )
    assert len(graphs) == 11
    assert {leaf.dtype for leaf in final.params.values()} == {torch.float64}
    assert curves.test.loss.dtype == torch.float64


PARENT = """
import torch
from functional_clf.compilation import compile_all, is_cached
from functional_clf.data.batches import draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.contestants.mlp import model_0
from functional_clf.workers.threads import Workers

chunk = [replicate(seed, "data") for seed in range(16)]
data = draw_chunk(circles(100), chunk, 0.2, torch.device("cpu"))
assert is_cached(model_0(), data)
with Workers(threads=2) as workers:
    workers.call(lambda: compile_all("compile", [model_0()], data))
counters = torch._dynamo.utils.counters["inductor"]
print(counters["fxgraph_cache_miss"], "misses")
"""


def test_a_child_fills_the_cache_for_its_parent(data, empty_cache):
    spec = json.dumps(compilation._spec(RECIPES[0], data))
    command = [sys.executable, "-m", "functional_clf.compilation", spec]
    subprocess.run(command, check=True, timeout=240)
    parent = [sys.executable, "-c", PARENT]
    done = subprocess.run(parent, check=True, timeout=240, capture_output=True, text=True)
    assert done.stdout.strip() == "0 misses"
