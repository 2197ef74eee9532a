"""Train many seeds of small classifiers at once, and compare the models soundly.

The names below are imported when first used, so that `functional_clf.stats` needs no torch.
"""

import importlib
import time
from typing import Any

STARTED_AT = time.perf_counter()
"""When this process began to import the package, by `time.perf_counter`."""

_HOMES = {
    "types": (
        "Batch",
        "Curves",
        "Metrics",
        "Model",
        "Optimizer",
        "Params",
        "CurvePoint",
        "Record",
        "TrainState",
    ),
    "models": ("mlp", "sequential"),
    "losses": ("bce_with_logits", "count_correct"),
    "optim": ("adam", "apply_updates", "sgd"),
    "contestants.base": ("Contestant", "Trained", "Training"),
    "contestants.mlp": ("mlp_recipe", "model_0", "model_1"),
    "contestants.recipe": ("Recipe",),
    "train": ("fit", "init_state", "make_eval_step", "make_train_step", "stepwise"),
    "data": ("Dataset",),
    "generators": ("circles", "moons"),
    "results": ("Results",),
    "study": ("Study",),
    "tasks": ("Binary", "MultiClass", "Task"),
    "params": ("load_seed",),
    "database": ("StoreError",),
    "stats": ("Comparison", "compare"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll] - one list, not two


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
