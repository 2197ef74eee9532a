import pytest
import torch

from functional_clf import mlp_recipe
from functional_clf.contestants.recipe import init_chunk
from functional_clf.core.tasks import task_of
from functional_clf.core.types import Batch
from functional_clf.data.batches import ChunkData
from functional_clf.registry import ENGINES


@pytest.fixture(autouse=True)
def _in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("n_classes", [2, 3, 12])
def test_weighted_classes_train_as_in_the_eager_engine_and_in_torch(n_classes):
    weights = tuple(0.4 + 0.5 * number for number in range(n_classes))
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(3, 53, 4, generator=generator)
    y = torch.randint(n_classes, (3, 53), generator=generator)
    outputs = 1 if n_classes == 2 else n_classes
    recipe = mlp_recipe("m", (4, 6, outputs), "tanh", "sgd", 0.1, epochs=25)
    batch = Batch(x, y.double())
    data = ChunkData(batch, batch, task_of(n_classes, weights))
    start = init_chunk(recipe, range(3), torch.device("cpu"))
    assert ENGINES["fused"].why_not([recipe], data) is None
    eager, fused = (ENGINES[name].train(recipe, start, data, 25)[0] for name in ("eager", "fused"))

    for lane in range(3):
        module = recipe.as_module()
        module.load_state_dict({key: value[lane] for key, value in start.params.items()})
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        of_class = torch.tensor(weights)
        for _ in range(25):
            logits = module(x[lane])
            if n_classes == 2:
                each = torch.nn.functional.binary_cross_entropy_with_logits(
                    logits.squeeze(-1), y[lane].double(), reduction="none"
                )
            else:
                each = torch.nn.functional.cross_entropy(logits, y[lane], reduction="none")
            optimizer.zero_grad()
            (each * of_class[y[lane]]).mean().backward()
            optimizer.step()
        for key, wanted in module.state_dict().items():
            moved = wanted - start.params[key][lane]
            assert moved.abs().max() > 1e-4
            for found in (eager, fused):
                torch.testing.assert_close(
                    found.params[key][lane] - start.params[key][lane], moved, rtol=1e-9, atol=1e-12
                )
