"""Recipes in a form that can be pickled.

Their functions are made inside others, as `adam(0.1)` makes an update: pickle finds a function by
its module and name, and those have none. Here such a function is the place of its code, in a
function that has a name, and the values that it holds.
"""

import importlib
import io
import pickle
from collections.abc import Callable
from functools import reduce
from types import CellType, CodeType, FunctionType
from typing import Any, NamedTuple

from functional_clf.contestants.base import Template
from functional_clf.contestants.recipe import Recipe
from functional_clf.registry import CONTESTANTS, made_again

INSIDE = ".<locals>."


class Described(NamedTuple):
    """A recipe as its description, of which it can be made again."""

    description: dict[str, Any]


class Placed(NamedTuple):
    """A recipe, pickled with the places of its functions' code."""

    pickled: bytes


def packed(value: Any) -> Any:
    """A recipe or template in a form that can be pickled; any other value, and what cannot, as is.

    Example:
        >>> from functional_clf.contestants.mlp import model_1
        >>> packed(model_1()).description["name"], packed(3)
        ('model_1', 3)
    """
    if type(value) is Recipe and value.kind in CONTESTANTS:
        return Described(value.describe())
    if not isinstance(value, Recipe | Template):
        return value
    file = io.BytesIO()
    try:
        _Pickler(file).dump(value)
    except Exception:  # whoever pickles the rest may know how, or will say what is wrong
        return value
    return Placed(file.getvalue())


def unpacked(value: Any) -> Any:
    """What was packed.

    Raises:
        ValueError: when a recipe would compute something else than before.

    Example:
        >>> from functional_clf.contestants.mlp import model_1
        >>> unpacked(packed(model_1())).name
        'model_1'
    """
    if isinstance(value, Described):
        return made_again(CONTESTANTS, value.description)
    # It is part of a file that its reader trusts: it is being unpickled.
    return pickle.loads(value.pickled) if isinstance(value, Placed) else value


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - its name is private
        if not isinstance(value, FunctionType) or INSIDE not in value.__qualname__:
            return NotImplemented
        if _code(value.__module__, value.__qualname__) is not value.__code__:
            raise pickle.PicklingError(f"{value.__qualname__} is not found by its place")
        held = tuple(cell.cell_contents for cell in value.__closure__ or ())
        place = value.__module__, value.__qualname__
        return _function, (*place, value.__defaults__, value.__kwdefaults__, held)


def _function(
    module: str, name: str, defaults: Any, named_defaults: Any, held: tuple[Any, ...]
) -> Callable[..., Any]:
    """The function whose code is at a place, holding these values."""
    code, names = _code(module, name), vars(importlib.import_module(module))
    cells = tuple(CellType(value) for value in held)
    made = FunctionType(code, names, code.co_name, defaults, cells)
    made.__kwdefaults__, made.__qualname__ = named_defaults, name
    return made


def _code(module: str, name: str) -> CodeType:
    """The code of a function made inside another, which must be the only one of its name there."""
    outer, *inner = name.split(INSIDE)
    found: Any = reduce(getattr, outer.split("."), importlib.import_module(module))
    code: CodeType = found.__code__
    for part in inner:
        parts = [one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == part]
        if len(parts) != 1:
            raise pickle.PicklingError(f"{name} is not found by its place in {module}")
        code = parts[0]
    return code
