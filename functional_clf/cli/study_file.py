"""A whole study in a TOML file: what it may say, and how it is read; needs no torch."""

import dataclasses
import re
import stat
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from functional_clf.contestants.specs import ModelSpec, near, spec_of
from functional_clf.support.arguments import path_of, real_number, short
from functional_clf.support.errors import one_line

DATA = (
    "target", "drop", "groups", "stratify", "test", "split_column", "samples", "noise", "classes"
)  # fmt: skip
"""Arguments that `[data]` holds, besides `name` or `path`."""
COMPARE = ("baseline", "metric", "margin", "alpha", "failure_below")
"""Arguments that `[compare]` holds."""
ACTS = ("fresh", "json", "replay", "self_calibration")
"""Arguments that say what to do or show this time, and are no part of a study."""
_ELSEWHERE = (
    *("study", "data", "no_stratify", "model", "spec_0", "spec_1", "model_0", "model_1"),
    *DATA,
    *COMPARE,
    *ACTS,
)

MOST_BYTES = 2**24
"""Of a file: no study that somebody wrote is longer."""

TABLES = ("run", "data", "models", "compare")


@dataclass(frozen=True)
class StudyFile:
    """What a file says.

    Args:
        values: arguments by name.
        models: in their order.
    """

    values: Mapping[str, Any]
    models: tuple[ModelSpec, ...]


def run_keys(arguments: type[Any]) -> tuple[str, ...]:
    """The arguments that `[run]` holds: all that have no other table."""
    found = dataclasses.fields(arguments)
    return tuple(one.name for one in found if one.name not in _ELSEWHERE)


def read_study(path: Path, arguments: type[Any]) -> StudyFile:
    """The study that a TOML file says; paths in it begin at its folder.

    Args:
        path: of the file.
        arguments: a dataclass of all arguments, whose types the values must have.

    Raises:
        ValueError: when it cannot be read, or says what no study has; the line begins with its
            name.
    """
    try:
        try:
            content = tomllib.loads(_content(path).decode("utf-8-sig"))
        except OSError as error:
            raise ValueError(f"it cannot be read: {error.strerror}") from error
        except RecursionError:
            raise ValueError("it is no study: brackets in it are nested too deeply") from None
        except UnicodeDecodeError:
            raise ValueError("it cannot be read: it is not UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"it is no TOML: {error}") from error
        return _Reader(path.parent, arguments).study(content)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {one_line(error)}") from error


def _content(path: Path) -> bytes:
    # A pipe would be waited for, and a device may have no end.
    about = path.stat()
    if stat.S_ISDIR(about.st_mode):
        raise ValueError("it cannot be read: Is a directory")
    if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
        raise ValueError(f"it is no plain file of at most {MOST_BYTES >> 20} MiB")
    return path.read_bytes()


class _Reader:
    def __init__(self, folder: Path, arguments: type[Any]) -> None:
        self._folder = folder
        self._hints = get_type_hints(arguments, include_extras=True)
        self._run = run_keys(arguments)

    def study(self, content: Mapping[str, Any]) -> StudyFile:
        top = {key: value for key, value in content.items() if key not in TABLES}
        tables = {name: _table(f"[{name}]", content.get(name, {})) for name in TABLES}
        if both := set(top) & set(tables["run"]):
            raise ValueError(f"{both.pop()} is given at the top and in [run]; leave one out")
        values: dict[str, Any] = {}
        for key, value in {**top, **tables["run"]}.items():
            self._check_key(key, self._run, "at the top" if key in top else "[run]")
            values[key] = self._value(key, key, value)
        values |= self._data(tables["data"])
        for key, value in tables["compare"].items():
            self._check_key(key, COMPARE, "[compare]")
            values[key] = self._value(key, key, value)
        models = tuple(self._model(name, one) for name, one in tables["models"].items())
        return StudyFile(values, models)

    def _data(self, table: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if "name" in table and "path" in table:
            raise ValueError("data.name and data.path are both given; leave one out")
        for key, value in table.items():
            self._check_key(key, ("name", "path", *DATA), "[data]")
            if key in ("name", "path"):
                text = self._value("data", f"data.{key}", value)
                values["data"] = (
                    text if key == "name" else str(self._folder / path_of("data.path", text))
                )
            elif key == "stratify":  # of the command line's, half
                if not isinstance(value, bool):
                    raise ValueError(f"data.stratify is {short(value)}; it must be true or false")
                values[key] = value
            else:
                values[key] = self._value(key, f"data.{key}", value)
        return values

    def _model(self, name: str, table: Any) -> ModelSpec:
        shown = f"models.{name}"
        if isinstance(table, str):  # its settings, if any, are in the text
            table = {"spec": table}
        settings = dict(_table(f"[{shown}]", table))
        if "spec" not in settings:
            raise ValueError(
                f"[{shown}] holds no spec; it must say what the model is, as in spec = 'mlp:64,64'"
                + near_spec(settings)
            )
        for key, value in settings.items():
            if _holds_time(value):
                raise ValueError(f"{shown}.{key} is {value}; a setting is no date or time")
        spec = spec_of(name, settings.pop("spec"), settings)
        place, colon, what = spec.target.rpartition(":")
        if colon and place.endswith(".py"):
            spec = dataclasses.replace(spec, target=f"{self._folder / place}:{what}")
        return spec

    def _check_key(self, key: str, known: tuple[str, ...], where: str) -> None:
        if key in known:
            return
        where = f"in {where}" if where.startswith("[") else where
        for table, keys in (("data", DATA), ("compare", COMPARE), ("run", self._run)):
            if key in keys:
                raise ValueError(f"{key} stands {where}; it belongs in [{table}]")
        if key in ACTS:
            raise ValueError(f"{key} stands {where}; it is for the command line alone")
        tables = () if where.startswith("in") else tuple(f"[{name}]" for name in TABLES)
        likely = near(key, [*known, *TABLES] if tables else list(known))
        what = likely or f"; it must be one of {', '.join([*tables, *known])}"
        raise ValueError(f"{key} {where} is nothing that a study has{what}")

    def _value(self, name: str, shown: str, value: Any) -> Any:
        """A value in the type that the argument has."""
        hint, notes = self._hints[name], ()
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
        choices = [one for note in notes for one in getattr(note, "choices", None) or ()]
        options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        for option in options:
            if get_origin(option) is Literal:
                choices += get_args(option)
        if choices:
            if value not in choices:
                wanted = f"one of {', '.join(choices)}"
                raise ValueError(f"{shown} is {short(value)}; it must be {wanted}")
            return value
        if hint is range and type(value) in (int, str):
            return next(note.instance_from_str([str(value)]) for note in notes)
        kinds = [get_origin(option) or option for option in options]
        for kind in kinds:
            if type(value) is kind:
                return value
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                return real_number(shown, value)
            if kind is Path and isinstance(value, str):
                return self._folder / path_of(shown, value)
            if kind is tuple and isinstance(value, list) and _are_texts(value):
                return tuple(value)
        wanted = next(words for kind, words in _WORDS if kind in kinds)
        raise ValueError(f"{shown} is {short(value)}; it must be {wanted}")


_WORDS = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (range, "a count, as in 64, or a rising range, as in '100:200'"),
    (tuple, "a list of texts"),
    (Path, "the text of a path"),
    (str, "a text"),
)


def near_spec(settings: Mapping[str, Any]) -> str:
    """Words about another key that may be meant for `spec`."""
    meant = [key for key in settings if re.fullmatch(r"type|kind|model|target|class", key)]
    return f"; {meant[0]} may be meant for it" if meant else ""


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name.strip('[]')} is {short(value)}; it must be a table, {name}")
    return value


def _holds_time(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_time, value.values()))
    if isinstance(value, list):
        return any(map(_holds_time, value))
    return isinstance(value, date | time)


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(one, str) for one in values)
