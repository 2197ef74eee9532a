"""What the CUDA path decides, on tensors of a device that is not here."""

import contextlib
import importlib.util
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.utils import _pytree as pytree

from functional_clf.contestants.mlp import mlp_recipe, model_0, model_1
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.models import mlp
from functional_clf.core.optim import adam, sgd
from functional_clf.core.stopping import EarlyStopping
from functional_clf.core.types import Batch
from functional_clf.data.batches import ChunkData
from functional_clf.engines import compiled, machine
from functional_clf.engines.base import form_of
from functional_clf.engines.choice import Job, choose
from functional_clf.engines.fused import print_triton, triton_programs
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.fused.trace import UnfusableError
from functional_clf.engines.vmapped import EAGER

pytest.importorskip("triton")

RECIPES = (model_0(epochs=5), model_1(epochs=5))


@pytest.fixture
def on_cuda():
    """Samples on a GPU, as far as anybody looks at them."""
    with FakeTensorMode():

        def part(samples):
            x = torch.empty(4, samples, 2, device="cuda")
            return Batch(x, torch.empty(4, samples, device="cuda"))

        return ChunkData(part(80), part(20))


@pytest.fixture
def compiles(monkeypatch):
    """A compiler of which a test says how many numbers of a thread have no room, by layout."""
    spills, seen = {}, []

    def warmup(kernel, recipe, sizes, device):
        seen.append(kernel.layout)
        if spilled := spills.get((kernel.layout.block, kernel.layout.warps), 0):
            raise print_triton.TooLargeError(f"{spilled} have no room")

    triton_programs._loaded.cache_clear()
    monkeypatch.setattr(triton_programs, "_compile", warmup)
    yield SimpleNamespace(spills=spills, seen=seen)
    triton_programs._loaded.cache_clear()


def test_auto_takes_fused_programs_on_cuda(on_cuda, compiles):
    taken = choose(Job(RECIPES, on_cuda, chunks=1, threads=1))
    assert taken.engine is FUSED
    assert [(one.block, one.warps) for one in compiles.seen] == [(32, 4)] * 2


def test_the_first_layout_with_room_is_taken(on_cuda, compiles):
    compiles.spills.update({(32, 4): 9, (32, 8): 3})
    assert FUSED.why_not(RECIPES, on_cuda) is None
    kernel, _ = triton_programs._loaded_for(RECIPES[1], on_cuda)
    assert (kernel.layout.block, kernel.layout.warps) == (16, 8)


def test_what_has_no_room_in_any_layout_is_refused(on_cuda, compiles):
    compiles.spills.update(dict.fromkeys(print_triton.LAYOUTS, 7))
    assert FUSED.why_not(RECIPES, on_cuda) == "model_0 cannot be fused (7 have no room)"


def test_a_compiled_program_without_room_is_too_large(monkeypatch):
    recipe = RECIPES[1]
    sizes = triton_programs.sizes_of(recipe, recipe.initial_state(0), chunk_on_cpu())
    monkeypatch.setattr(triton_programs, "_on", lambda device: contextlib.nullcontext())
    asked = []

    def warmup(*types, grid, **options):
        asked.append((types, options))
        return SimpleNamespace(_init_handles=lambda: None, n_spills=3)

    kernel = triton_programs.Kernel(
        SimpleNamespace(warmup=warmup), print_triton.layouts("ieee")[0], ""
    )
    with pytest.raises(print_triton.TooLargeError, match="3 numbers of a thread have no room"):
        triton_programs._compile(kernel, recipe, sizes, torch.device("cuda"))
    (types, options), *_ = asked
    assert options == {"num_warps": 4, "num_stages": 1, "enable_fp_fusion": True}
    (make, *_) = triton_programs.kernels(recipe, chunk_on_cpu().task, sizes, 2, "ieee")
    assert len(types) == len(make().function.arg_names)


def chunk_on_cpu(dtype=torch.float32, samples=80):
    x = torch.zeros(2, samples, 2, dtype=dtype)
    y = torch.zeros(2, samples, dtype=dtype)
    return ChunkData(Batch(x, y), Batch(x, y))


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (mlp_recipe("net", (2, 8, 1), stop=EarlyStopping(patience=3)), "early stopping"),
        (mlp_recipe("net", (2, 128, 128, 1)), "products a thread"),
        (mlp_recipe("net", (2, 8, 1), batch_size=81), "a batch of 81"),
        (Recipe("own", mlp((2, 8, 1), torch.atan), sgd(0.1), 2), "atan is not known on the device"),
        (Recipe("own", mlp((2, 8, 1), lambda x: x.flip(0)), sgd(0.1), 2), "part of an axis"),
        (
            Recipe("own", mlp((2, 8, 1), lambda x: x - x.mean(1, keepdim=True)), sgd(0.1), 2),
            "needs the samples again",
        ),
    ],
)
def test_what_a_program_cannot_do_exactly_is_refused(recipe, reason):
    with pytest.raises(UnfusableError, match=reason):
        triton_programs._loaded_for(recipe, chunk_on_cpu())


def test_weights_of_double_precision_are_refused():
    recipe, data = RECIPES[1], chunk_on_cpu(torch.float64)
    state = pytree.tree_map_only(
        torch.Tensor,
        lambda leaf: leaf.double() if leaf.is_floating_point() else leaf,
        recipe.initial_state(0),
    )
    sizes = triton_programs.sizes_of(recipe, state, data)
    with pytest.raises(UnfusableError, match=r"its weights are torch.float64"):
        triton_programs.kernels(recipe, data.task, sizes, 2, "ieee")


def test_without_triton_it_is_told(on_cuda, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert FUSED.why_not(RECIPES, on_cuda) == "the triton package was not found"


def test_an_old_triton_is_told(on_cuda, monkeypatch):
    import triton

    monkeypatch.setattr(triton, "__version__", "3.3.1")
    told = FUSED.why_not(RECIPES, on_cuda)
    assert told == "triton is 3.3.1, which is older than 3.4"


@pytest.mark.parametrize(("tf32", "precision"), [("highest", "ieee"), ("high", "tf32")])
def test_matmuls_are_as_exact_as_torch_is_told(tf32, precision, monkeypatch):
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: tf32)
    kernel, _ = triton_programs._loaded_for(RECIPES[1], chunk_on_cpu())
    assert f"input_precision='{precision}'" in kernel.source


def test_the_bits_of_cuda_name_the_version_of_triton(monkeypatch):
    told = {**machine.environment(torch.device("cpu")), "device_name": "a GPU"}
    monkeypatch.setattr(machine, "environment", lambda device: told)
    bits = machine.bits_of_torch(torch.device("cuda"))
    assert bits["triton"] == machine.triton_version()
    assert "triton" not in machine.bits_of_torch(torch.device("cpu"))


def test_where_no_tf32_program_has_room_one_of_float32_may():
    found = print_triton.layouts("tf32")
    assert [one.precision for one in found] == ["tf32"] * 3 + ["ieee"] * 3
    assert found[3:] == print_triton.layouts("ieee")


class Replayed:
    """A CUDA graph in plain Python: a step on fixed memory, run again at each replay."""

    def __init__(self, step, inputs):
        self.step, self.inputs = step, inputs
        self.outputs = pytree.tree_map_only(torch.Tensor, torch.clone, step(*inputs))

    def replay(self):
        new = pytree.tree_leaves(self.step(*self.inputs))
        for kept, now in zip(pytree.tree_leaves(self.outputs), new, strict=True):
            kept.copy_(now)


def test_a_captured_step_is_a_pure_function_of_its_state_and_batch(monkeypatch):
    def capture(step, state, batch):
        inputs = pytree.tree_map_only(torch.Tensor, torch.clone, (state, batch))
        graph = Replayed(step, inputs)
        return graph, inputs, graph.outputs

    monkeypatch.setattr(compiled, "_compile", lambda function, for_cpu: function)
    monkeypatch.setattr(compiled, "_capture", capture)
    recipe = Recipe("net", mlp((2, 4, 1), torch.tanh), adam(0.1), epochs=4)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(3, 30, 2, generator=generator), torch.ones(3, 30)
    data = ChunkData(Batch(x, y), Batch(x, y))
    start = init_chunk(recipe, range(3), torch.device("cpu"))
    step = compiled._captured_step(
        recipe, data.task, "this test", form_of((start, data.train)), "highest"
    )
    first, _ = step(start, data.train)
    kept = pytree.tree_map_only(torch.Tensor, torch.clone, first)
    state = first
    for _ in range(3):
        state, _ = step(state, data.train)
    theirs, _ = EAGER.train(recipe, start, data, 4)
    for our, their in zip(pytree.tree_leaves(state), pytree.tree_leaves(theirs), strict=True):
        torch.testing.assert_close(our, their)
    # An earlier result is not written over, and a step begins again where it is told.
    again, _ = step(start, data.train)
    for now, before in zip(
        pytree.tree_leaves((first, again)), pytree.tree_leaves((kept, kept)), strict=True
    ):
        assert torch.equal(now, before)
