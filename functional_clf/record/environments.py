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
    old, new = there.get("bits", there), here.get("bits", {})
    if not isinstance(old, Mapping):
        return "what it depends on cannot be read there"
    different = [key for key in new if key in old and old[key] != new[key]]
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
    """Of each environment, the place of the first one whose bits are not other than its own.

    Example:
        >>> one, other = {"bits": {"torch": "1"}}, {"bits": {"torch": "2"}}
        >>> alike([one, other, one]).tolist()
        [0, 1, 0]
    """
    found: list[int] = []
    for place, here in enumerate(environments):
        earlier = (at for at in found if not other_bits(environments[at], here))
        found.append(next(earlier, place))
    return np.array(found, np.int64)


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    bits = environment.get("bits")
    return {
        **{key: value for key, value in environment.items() if key != "bits"},
        **(bits if isinstance(bits, Mapping) else {}),
    }


def _words(key: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    return f"{key} is {there.get(key)!r} there, {here.get(key)!r} here"
