import pytest
import torch

from functional_clf.data.batches import draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.engines import compiled
from functional_clf.engines.cache import VARIABLE


@pytest.fixture
def data():
    """A chunk of samples."""
    chunk = [replicate(seed, "data") for seed in range(16)]
    return draw_chunk(circles(100), chunk, 0.2, torch.device("cpu"))


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def steps(monkeypatch):
    """Compiled steps that take no time."""
    monkeypatch.setattr(compiled, "take_steps", lambda engine, recipe, data, steps: None)
