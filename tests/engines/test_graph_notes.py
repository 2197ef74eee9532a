import json
import os
import stat
import subprocess
import sys

import torch
from torch.utils import _pytree as pytree

from functional_clf.contestants.mlp import model_0
from functional_clf.engines import graph_notes
from functional_clf.engines.cache import NAME
from functional_clf.engines.compiled import COMPILE
from functional_clf.engines.graph_notes import compile_seconds, is_cached

RECIPE = model_0(epochs=1000)


def test_more_graphs_and_missing_ones_cost_more():
    costs = [compile_seconds(*pair) for pair in ((1, 0), (2, 0), (1, 1), (2, 2))]
    assert costs == sorted(costs)


def test_a_damaged_note_does_no_harm(data, empty_cache):
    notes = empty_cache / NAME
    notes.mkdir()
    for name, text in {"a.json": "", "b.json": "[]", "c.json": '{"seconds": "long"}'}.items():
        (notes / name).write_text(text)
    assert compile_seconds(2, missing=1) > compile_seconds(2, missing=0)


def test_a_note_of_another_precision_is_another_note(data, empty_cache, steps):
    COMPILE.compile_one(RECIPE, data)
    assert is_cached(RECIPE, data)
    assert not is_cached(RECIPE, pytree.tree_map_only(torch.Tensor, torch.Tensor.double, data))


def test_notes_are_ours_alone_and_those_that_others_may_write_are_not_read(
    data, empty_cache, steps
):
    COMPILE.compile_one(RECIPE, data)
    (note,) = (empty_cache / NAME).iterdir()
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    note.write_text('{"seconds": 12345}')
    assert compile_seconds(1, missing=1) == 12345
    note.chmod(0o602)
    assert not is_cached(RECIPE, data)
    assert compile_seconds(1, missing=1) == graph_notes.COLD_SECONDS[0]


PARENT = """
import torch
from functional_clf.engines.compiled import COMPILE
from functional_clf.engines.graph_notes import is_cached
from functional_clf.data.batches import draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.contestants.mlp import model_0
from functional_clf.workers.threads import Workers

chunk = [replicate(seed, "data") for seed in range(16)]
data = draw_chunk(circles(100), chunk, 0.2, torch.device("cpu"))
assert is_cached(model_0(), data)
with Workers(threads=2) as workers:
    workers.call(lambda: COMPILE.prepare([model_0()], data))
counters = torch._dynamo.utils.counters["inductor"]
print(counters["fxgraph_cache_miss"], "misses")
"""


def test_a_child_fills_the_cache_for_its_parent(data, empty_cache):
    spec = json.dumps(graph_notes._spec(RECIPE, data))
    parent = str(os.getpid())
    command = [sys.executable, "-m", "functional_clf.engines.graph_notes", spec, parent]
    subprocess.run(command, check=True, timeout=240)
    parent = [sys.executable, "-c", PARENT]
    done = subprocess.run(parent, check=True, timeout=240, capture_output=True, text=True)
    assert done.stdout.strip() == "0 misses"
