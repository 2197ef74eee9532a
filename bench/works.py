"""What is trained for the clock: which recipe, on which data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sklearn.datasets import make_classification

from functional_clf.contestants.mlp import mlp_recipe, model_0, model_1
from functional_clf.contestants.recipe import Recipe
from functional_clf.data.bundled import breast_cancer, digits
from functional_clf.data.dataset import Dataset
from functional_clf.data.generators import circles
from functional_clf.data.seeds import Vary
from functional_clf.data.tables import from_arrays

WorkName = Literal["model_0", "model_1", "breast_cancer", "digits", "made"]

RECIPES = {"model_0": model_0, "model_1": model_1}
"""Of the standard job: full batch."""

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-2
"""Of AdamW: the defaults of `torch.optim.AdamW`."""


@dataclass(frozen=True)
class Work:
    """One kind of training.

    Args:
        dataset: what every replicate draws its samples from.
        vary: what is redrawn from seed to seed.
        recipe: of numbers of epochs, features and classes, and of a learning rate; None for its
            own.
        check_epochs: epochs after which outputs are compared: few, so that rounding has had no time
            to grow.
        check_samples: training samples of that comparison, the first ones; None for all of them.
    """

    dataset: Callable[[], Dataset]
    vary: Vary
    recipe: Callable[[int, int, int, float | None], Recipe]
    check_epochs: int
    check_samples: int | None = None


def _full_batch(name: str) -> Work:
    def recipe(epochs: int, features: int, classes: int, learning_rate: float | None) -> Recipe:
        del features, classes
        if learning_rate is None:
            return RECIPES[name](epochs=epochs)
        return RECIPES[name](epochs=epochs, learning_rate=learning_rate)

    return Work(circles, "data", recipe, check_epochs=20)


def _in_batches(
    dataset: Callable[[], Dataset],
    hidden: tuple[int, ...],
    batch_size: int,
    check_epochs: int,
    check_samples: int | None = None,
) -> Work:
    def recipe(epochs: int, features: int, classes: int, learning_rate: float | None) -> Recipe:
        template = mlp_recipe(
            "mlp",
            hidden=hidden,
            optimizer="adamw",
            learning_rate=learning_rate or LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            epochs=epochs,
            batch_size=batch_size,
        )
        sized = template.sized(features, classes)
        assert isinstance(sized, Recipe)
        return sized

    return Work(lru_cache(dataset), "split", recipe, check_epochs, check_samples)


def _made() -> Dataset:
    """A table of 20 000 rows of 20 columns, made by scikit-learn."""
    x, y = make_classification(20_000, 20, n_informative=10, random_state=0)
    return from_arrays(x, y, name="made")


MINIBATCH_WORKS: Mapping[str, Work] = {
    "breast_cancer": _in_batches(breast_cancer, (64, 64), batch_size=64, check_epochs=2),
    "digits": _in_batches(digits, (64,), batch_size=128, check_epochs=2),
    "made": _in_batches(
        _made, (128, 128), batch_size=256, check_epochs=1, check_samples=7 * 256 + 128
    ),
}
"""Two bundled tables and one of more rows, each redrawn by its split, trained by AdamW. In each the
last batch of an epoch is a shorter one. An epoch over all rows of the last table is steps enough
for rounding to grow to where it tells nothing, so it is checked on a part of them."""

WORKS: Mapping[str, Work] = {**{name: _full_batch(name) for name in RECIPES}, **MINIBATCH_WORKS}
"""All of them by name."""
