"""What needs a CUDA device; skipped where there is none."""

from types import SimpleNamespace

import pytest
import torch

from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.data.generators import circles
from functional_clf.engines import machine
from functional_clf.study.study import Study

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
RECIPES = (model_0(epochs=40), model_1(epochs=40))


def study_of(seeds, **settings):
    return Study(circles(100), RECIPES, seeds=seeds, chunk_size=16, **settings)


@needs_cuda
@pytest.mark.parametrize("engine", ["eager", "compile", "fused"])
def test_cuda_agrees_with_the_cpu(engine):
    on_cuda = study_of(8, engine=engine, device="cuda").run().seeds
    on_cpu = study_of(8, engine="eager", device="cpu").run().seeds
    for column in ("train_loss", "test_loss"):
        difference = (on_cuda[column] - on_cpu[column]).abs().max()
        assert difference < 1e-3


@needs_cuda
@pytest.mark.parametrize("engine", ["eager", "compile", "fused"])
def test_a_seed_is_itself_on_cuda(engine):
    many, few = (study_of(seeds, engine=engine, device="cuda").run() for seeds in (40, 7))
    head = many.seeds.filter(many.seeds["seed"] < 7)
    assert head.equals(few.seeds)


def a_gpu(monkeypatch, free, multiprocessors):
    """A device of such a kind, as far as torch is asked."""
    properties = SimpleNamespace(multi_processor_count=multiprocessors)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2**40))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return torch.device("cuda")


@pytest.mark.parametrize(
    ("multiprocessors", "width"), [(132, 1024), (148, 1024), (108, 512), (40, 256), (1, 16)]
)
def test_a_chunk_keeps_every_multiprocessor_busy(multiprocessors, width, monkeypatch):
    cuda = a_gpu(monkeypatch, 2**40, multiprocessors)
    assert machine.fitting_chunk_size(cuda, bytes_per_replicate=2**20) == width


@pytest.mark.parametrize(
    ("free", "width"), [(2**40, 1024), (2**31, 1024), (2**30, 512), (2**20, 16)]
)
def test_the_width_is_halved_where_memory_is_short(free, width, monkeypatch):
    cuda = a_gpu(monkeypatch, free, multiprocessors=132)
    assert machine.fitting_chunk_size(cuda, bytes_per_replicate=2**20) == width
