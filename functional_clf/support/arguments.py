"""Checks of single arguments: each failure is one line that names the argument and its value."""

import contextlib
import json
import operator
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsIndex, cast

import numpy as np

LARGEST = 2**63 - 1
"""The largest whole number that tensors, files and C programs hold."""


def whole_number(name: str, value: object, at_least: int, at_most: int = LARGEST) -> int:
    """A whole number of any kind (Python's, NumPy's, a tensor's) as Python's own.

    Args:
        name: the argument's, for the message.
        value: what was given; a bool, a float and a text are no whole numbers.
        at_least: the smallest that will do.
        at_most: the largest.

    Raises:
        TypeError: when it is not a whole number.
        ValueError: when it is too small or too large.

    Example:
        >>> whole_number("chunk", 16, at_least=1)
        16
    """
    number = None
    if not isinstance(value, bool | np.bool_):  # which would count as 0 or 1
        with contextlib.suppress(TypeError):
            number = operator.index(cast(SupportsIndex, value))
    if number is None:
        raise TypeError(f"{name} is {short(value)}; it must be a whole number, as in {at_least}")
    if number < at_least:
        raise ValueError(f"{name} is {short(number)}; it must be at least {at_least}")
    if number > at_most:
        raise ValueError(f"{name} is {short(number)}; it must be at most {at_most}")
    return number


def real_number(name: str, value: object) -> float:
    """A number of any kind as Python's float; a text or a bool is none.

    One of lower precision means the shortest decimal that it is nearest to: float32's .01 is .01.

    Raises:
        TypeError: when it is not a number.
        ValueError: when it is a whole number that no float holds.

    Example:
        >>> real_number("margin", 0)
        0.0
    """
    is_number = hasattr(value, "__float__") and not isinstance(value, bool | np.bool_ | str | bytes)
    try:
        if is_number:
            is_low = type(value).__name__ in ("float16", "float32")
            return float(str(value) if is_low else cast(Any, value))
    except (TypeError, ValueError, RuntimeError):
        pass
    except OverflowError:  # of a whole number
        raise ValueError(f"{name} is {short(value)}; it is too large for a number") from None
    raise TypeError(f"{name} is {short(value)}; it must be a number, as in 0.01")


def name_text(kind: str, value: object) -> str:
    """The name of a data set or a model: text that fits on a line.

    Args:
        kind: what bears it, as in "a recipe".
        value: what was given.

    Raises:
        TypeError: when it is not text.
        ValueError: when it is empty, longer than 200 characters, begins or ends with a space, or
            holds what cannot be printed.

    Example:
        >>> name_text("a recipe", "model_1")
        'model_1'
    """
    if not isinstance(value, str):
        raise TypeError(f"name is {short(value)}; {kind} needs a text, as in 'model_1'")
    if not value.strip():
        raise ValueError(f"name is {value!r}, which is empty; {kind} needs one, as in 'model_1'")
    if len(value) > 200 or not value.isprintable() or value != value.strip():
        raise ValueError(
            f"name is {short(value)}; {kind} needs at most 200 characters that can be printed, "
            "and no space at either end"
        )
    return value


def path_of(name: str, value: str | os.PathLike[str]) -> Path:
    """A path that every library here takes for the same file.

    Args:
        name: the argument's, for the message.
        value: what was given.

    Raises:
        TypeError: when it is no path.
        ValueError: when it is empty, holds what no file name can, or begins like the address of
            something elsewhere.

    Example:
        >>> path_of("out", "runs/first").parts
        ('runs', 'first')
    """
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise TypeError(f"{name} is {short(value)}; it must be a path, as in 'runs/first'")
    if not text:
        raise ValueError(f"{name} is '', which is empty; it must be a path, as in 'runs/first'")
    if "\0" in text:
        raise ValueError(f"{name} is {short(text)}; no path holds a zero byte")
    if match := re.match(r"file:|[A-Za-z][A-Za-z0-9+.-]+://", text, re.IGNORECASE):
        raise ValueError(
            f"{name} is {short(text)}; what begins with {match[0]!r} is an address and no path: "
            "give the path of a file or a folder here"
        )
    return Path(text)


def names_differ(what: str, names: Sequence[str]) -> None:
    """See that no two names are the same to a reader or to a file system.

    Args:
        what: what bears them, as in "model".
        names: which.

    Raises:
        ValueError: when two differ in nothing, or only in case or in how accents are written.

    Example:
        >>> names_differ("model", ["a", "b"])
        >>> names_differ("model", ["Wide", "wide"])
        Traceback (most recent call last):
        ValueError: model is named 'Wide' and 'wide'; names must differ in more than case or accents
    """
    seen: dict[str, str] = {}
    for one in names:
        plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", one).casefold())
        if plain in seen:
            more = "" if one == seen[plain] else " in more than case or accents"
            raise ValueError(
                f"{what} is named {seen[plain]!r} and {one!r}; names must differ{more}"
            )
        seen[plain] = one


def plain_settings(settings: Any) -> None:
    """See that settings are plain values that a run folder can keep.

    Raises:
        TypeError: when they are not a mapping from text to what JSON can hold.
    """
    try:
        if not isinstance(settings, Mapping) or not all(isinstance(key, str) for key in settings):
            raise TypeError("not a mapping from text")
        json.dumps(dict(settings), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"settings is {short(settings)}; it must be a dict of plain values (JSON): {error}"
        ) from error


def short(value: object) -> str:
    """A value in a message: its repr where that is short, else its type.

    Example:
        >>> short("4"), short(list(range(1000)))
        ("'4'", 'a list')
    """
    if type(value) is int and abs(value) >= 10**60:
        return "a number of more than 60 digits"
    try:
        text = repr(value)
    except Exception:  # of somebody's own class
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 and "\n" not in text else f"a {type(value).__name__}"
