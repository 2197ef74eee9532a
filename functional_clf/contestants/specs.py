"""Models said in a text, as a command line and a study's file say them; needs no torch."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any

from functional_clf.registry import CONTESTANTS
from functional_clf.support.arguments import name_text, short

NONE = "None"
"""Stands for Python's None among settings: TOML has none."""

_KEY = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)
_BRACKETS = {"[": "]", "{": "}", "(": ")"}


@dataclass(frozen=True)
class ModelSpec:
    """A model by name: what it is, and its settings.

    Args:
        name: what tables and pictures call it.
        target: a kind of the registry, `package.module:name` or `path/to/file.py:name`.
        values: what follows a kind, such as hidden widths; None where nothing does.
        settings: plain values by name.
        is_given_later: whether it stands in for another of its name that was said before.
    """

    name: str
    target: str
    values: tuple[Any, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_given_later: bool = False


def spec_of(name: str, text: str, settings: Mapping[str, Any] | None = None) -> ModelSpec:
    """A model out of `TARGET[,value...][,key=value...]`.

    Values are TOML literals (numbers, true, lists, quoted text), else text; `None` is None.

    Args:
        name: what tables and pictures call it.
        text: what it is. `mlp:64,64` are hidden widths, `mlp:` is without any.
        settings: more of them, by name.

    Raises:
        ValueError: when the text says no model, or a setting twice.
        TypeError: when an argument is no text.

    Example:
        >>> spec_of("wide", "mlp:64,64,epochs=50", {"activation": "tanh"}).settings
        {'epochs': 50, 'activation': 'tanh'}
        >>> spec_of("net", "nets.py:net,widths=[8, 8],pool=max").settings
        {'widths': [8, 8], 'pool': 'max'}
    """
    name_text("a model", name)
    if "/" in name:
        raise ValueError(f"name is {name!r}; a model's name holds no '/'")
    if not isinstance(text, str):
        raise TypeError(f"spec is {short(text)}; it must be a text, as in 'mlp:64,64'")
    head, *items = _split(name, text)
    target, values = head.strip(), None
    kind, colon, first = target.partition(":")
    if kind in CONTESTANTS:
        target, values = kind, (() if colon else None)
        items = [first, *items] if first.strip() else items
    found: dict[str, Any] = {}
    for item in items:
        if match := _KEY.fullmatch(item):
            key, value = match.groups()
            if key in found:
                raise ValueError(f"model {name!r}: {key} is given twice; leave one out")
            found[key] = literal(value)
        elif not item.strip():
            raise ValueError(f"model {name!r}: nothing stands between two commas of {text!r}")
        elif kind not in CONTESTANTS or values is None:
            raise ValueError(
                f"model {name!r}: {item.strip()!r} is no setting; of {target} they are given by "
                "name, as in epochs=50"
            )
        else:
            values = (*values, literal(item))
    for key, value in (settings or {}).items():
        if key in found:
            raise ValueError(f"model {name!r}: {key} is given twice; leave one out")
        found[key] = None if value == NONE else value
    return ModelSpec(name, target, values, found)


def named_spec(text: str) -> ModelSpec:
    """A model out of `NAME=TARGET[,value...][,key=value...]`.

    Raises:
        ValueError: when the text says no model by name.

    Example:
        >>> named_spec("forest=sklearn.ensemble:RandomForestClassifier,max_depth=4").name
        'forest'
    """
    name, _, rest = text.partition("=")
    if not rest.strip() or not name.strip() or re.search(r"[:,]", name):
        raise ValueError(f"model is {text!r}; it must begin with a name, as in wide=mlp:64,64")
    return spec_of(name, rest)


def literal(text: str) -> Any:
    """A value as TOML writes it, where it is one, else the text; `None` is None.

    Example:
        >>> [literal(text) for text in ("64", "1e-3", "true", "[1, 2]", "adam", "None")]
        [64, 0.001, True, [1, 2], 'adam', None]
    """
    text = text.strip()
    if text == NONE:
        return None
    try:
        (value,) = tomllib.loads(f"value = {text}").values()
    except (tomllib.TOMLDecodeError, ValueError):  # the latter of a second value after a newline
        return text
    except RecursionError:
        raise ValueError(f"brackets in {short(text)} are nested too deeply") from None
    return text if isinstance(value, date | datetime | time) else value


def near(name: str, known: Iterable[str]) -> str:
    """Words about names like a wrong one, where there are any; else empty.

    Example:
        >>> near("epoch", ["epochs", "optimizer"]), near("c", ["C"]), near("x", ["epochs"])
        ('; did you mean epochs?', '; did you mean C?', '')
        >>> near("C", ["svc__C", "svc__degree"])  # of a pipeline
        '; did you mean svc__C?'
    """
    known = list(known)
    by_lower = {one.lower(): one for one in known}
    likely = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]
    likely += [one for one in known if one.endswith(f"__{name}") and one not in likely]
    return f"; did you mean {' or '.join(likely[:3])}?" if likely else ""


def as_plain(value: Any) -> Any:
    """A setting as TOML can hold it: None as text, a tuple as a list.

    Raises:
        TypeError: when it cannot be held.

    Example:
        >>> as_plain((16, None))
        [16, 'None']
    """
    if value is None:
        return NONE
    if isinstance(value, list | tuple):
        return [as_plain(one) for one in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: as_plain(one) for key, one in value.items()}
    # The text "None" would not come back as it is.
    if type(value) in (bool, int, float) or (type(value) is str and value != NONE):
        if isinstance(value, str):
            _as_utf8(value)
        return value
    raise TypeError(f"{short(value)} is no plain value")


def _as_utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # of a file name in another encoding
        raise TypeError(f"{short(text)} is not UTF-8") from None


def _split(name: str, text: str) -> Iterator[str]:
    """The parts between commas that are in no brackets and no quotes."""
    closing: list[str] = []
    quote, start = "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _BRACKETS:
            closing.append(_BRACKETS[letter])
        elif closing and letter == closing[-1]:
            closing.pop()
        elif letter == "," and not closing:
            yield text[start:place]
            start = place + 1
    if quote or closing:
        missing = quote or closing[-1]
        raise ValueError(f"model {name!r}: a closing {missing} is missing in {short(text)}")
    yield text[start:]
