"""What can be chosen by name, and where it is: imported when it is first used.

So a command line offers the names without importing torch, what a run folder describes can be made
again, and a new data set, contestant or engine touches its own file and one line here.
"""

import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Things by name.

    Args:
        kind: what one of them is, for messages.
        places: by name, `module:attribute`.

    Example:
        >>> functions = Registry("function", {"sqrt": "math:sqrt"})
        >>> functions["sqrt"](9.0)
        3.0
    """

    def __init__(self, kind: str, places: Mapping[str, str]) -> None:
        self.kind = kind
        self._places = dict(places)

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._places[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._places  # a mapping's own would import the thing

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


DATASETS: Registry[Any] = Registry(
    "data set",
    {
        "circles": "functional_clf.data.generators:circles",
        "moons": "functional_clf.data.generators:moons",
        "blobs": "functional_clf.data.generators:blobs",
        "spirals": "functional_clf.data.generators:spirals",
        "iris": "functional_clf.data.bundled:iris",
        "wine": "functional_clf.data.bundled:wine",
        "breast_cancer": "functional_clf.data.bundled:breast_cancer",
        "digits": "functional_clf.data.bundled:digits",
    },
)
"""Factories of data sets, by the kind that their `describe()` names."""

CONTESTANTS: Registry[Any] = Registry(
    "model",
    {
        "mlp": "functional_clf.contestants.mlp:mlp_recipe",
        "estimator": "functional_clf.contestants.estimators:remade",
    },
)
"""Factories of contestants, by the kind that their `describe()` names."""

ENGINES: Registry[Any] = Registry(
    "engine",
    {
        "eager": "functional_clf.engines.vmapped:EAGER",
        "compile": "functional_clf.engines.compiled:COMPILE",
        "fused": "functional_clf.engines.fused.engine:FUSED",
    },
)
"""The engines by name; another one is an object of the same form (`engines.base.Engine`)."""


def made_again(registry: Registry[Any], description: Mapping[str, Any]) -> Any:
    """What a `describe()` described, made by the factory of the kind that it names.

    Args:
        registry: factories by kind, which take the settings by name.
        description: plain values, as a run folder holds them.

    Returns:
        The same again: it describes itself alike.

    Raises:
        ValueError: when no factory here makes it, or what is made is something else.

    Example:
        >>> from functional_clf.data.generators import circles
        >>> made_again(DATASETS, circles(100).describe()).n_samples
        100
    """
    kind, name = description.get("kind"), description.get("name")
    what = f"its {registry.kind}"
    if not isinstance(kind, str) or kind not in registry:
        raise ValueError(
            f"{what} {name!r} is of somebody's own making; only {', '.join(registry)} can be made "
            "again"
        )
    factory = registry[kind]
    known = inspect.signature(factory).parameters
    try:
        made = factory(**{key: value for key, value in description.items() if key in known})
    except (TypeError, ValueError) as error:
        raise ValueError(f"the settings of {what} {name!r} do not say it: {error}") from error
    recorded, again = (json.loads(json.dumps(dict(one))) for one in (description, made.describe()))
    # Name and digest are recorded also of a contestant that does not tell them itself.
    if {key: recorded[key] for key in ("name", "code") if key in recorded} | again != recorded:
        raise ValueError(f"{what} {name!r} computes something else than its settings say")
    return made
