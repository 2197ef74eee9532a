"""What a chunk was trained in, and whether another one trained elsewhere can stand beside it.

An environment is plain values for a reader. What the bits of results depend on stands under "bits"
in it; format 3 had no such entry, and there all of it is taken for that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FIRST_STEPS = "first_steps"
"""Among the bits: a digest of a few steps of training, where this machine's compiler made them."""

_TOLD_BESIDE = ("functional_clf", "numpy", "libc", "platform")


def other_bits(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In words, why training here may end in other bits than there; empty where nothing is known.

    Example:
        >>> other_bits({"bits": {"torch": "2.8.0"}}, {"bits": {"torch": "2.9.0"}})
        "torch is '2.8.0' there, '2.9.0' here"
    """
    old, new = there.get("bits", there), here.get("bits", here)
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return (
            f"what it depends on cannot be read {'here' if isinstance(old, Mapping) else 'there'}"
        )
    keys = here.get("bits", there.get("bits", {}))
    different = [key for key in keys if key in old and key in new and old[key] != new[key]]
    words = [_words(key, old, new) for key in different if key != FIRST_STEPS]
    if FIRST_STEPS in different and not words:
        beside = [
            _words(key, there, here) for key in _TOLD_BESIDE if there.get(key) != here.get(key)
        ]
        told = f" ({'; '.join(beside)})" if beside else ", though it calls itself the same"
        words = [f"the compiler here makes programs that end in other bits{told}"]
    return "; ".join(words)


def all_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In words, in what two environments differ that both tell of."""
    old, new = (_flat(one) for one in (there, here))
    return "; ".join(_words(key, old, new) for key in old if key in new and old[key] != new[key])


def alike(environments: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Of each environment, the place of the first one that it is taken for the same as.

    Those that tell the most come first. One that tells less goes with the first that it does not
    contradict, and joins no two that contradict each other.

    Example:
        >>> one, other = {"bits": {"torch": "1"}}, {"bits": {"torch": "2"}}
        >>> alike([one, other, one]).tolist()
        [0, 1, 0]
        >>> silent = {"bits": {}}
        >>> alike([silent, one, other]).tolist()
        [0, 0, 2]
    """
    groups: dict[int, Mapping[str, Any]] = {}  # by a member's place, what its members tell together
    found = np.zeros(len(environments), np.int64)
    # Of equals the earlier one comes first: sorting is stable, also in reverse.
    order = sorted(
        range(len(environments)), key=lambda at: _how_much(environments[at]), reverse=True
    )
    for at in order:
        here = environments[at]
        near = sorted(groups, key=lambda place: ("bits" not in groups[place], place))
        fitting = (place for place in near if not other_bits(groups[place], here))
        found[at] = place = next(fitting, at)
        groups[place] = _together(groups.get(place, here), here)
    _, first, group = np.unique(found, return_index=True, return_inverse=True)
    return first[group]


def fullest(environments: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first of those that tell the most of what bits depend on.

    Example:
        >>> fullest([{"torch": "1"}, {"bits": {"torch": "1"}}])
        {'bits': {'torch': '1'}}
    """
    return max(environments, key=_how_much)


def _how_much(environment: Mapping[str, Any]) -> tuple[bool, int]:
    bits = environment.get("bits")
    return (FIRST_STEPS in bits, len(bits)) if isinstance(bits, Mapping) else (False, 0)


def _together(group: Mapping[str, Any], here: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a group tells, and one more of it; what format 3 told of itself is not only bits."""
    known, more = group.get("bits"), here.get("bits")
    if not (isinstance(known, Mapping) and isinstance(more, Mapping)):
        return group
    return {**group, "bits": {**more, **known}}


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    bits = environment.get("bits")
    return {
        **{key: value for key, value in environment.items() if key != "bits"},
        **(bits if isinstance(bits, Mapping) else {}),
    }


def _words(key: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    return f"{key} is {there.get(key)!r} there, {here.get(key)!r} here"
