"""Contestants by name: a kind of the registry, or an object in a module or a file of one's own.

What the name turns out to be decides what is made of it: a classifier with `fit` and `predict`, a
factory of networks, or a contestant that is taken as it is.
"""

import contextlib
import dataclasses
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from torch import nn

from functional_clf.contestants.base import Contestant, Template
from functional_clf.contestants.estimators import estimator
from functional_clf.contestants.methods import said_of_method, training_of
from functional_clf.contestants.settings import TrainingSettings
from functional_clf.contestants.specs import ModelSpec, as_plain, near, spec_of
from functional_clf.registry import CONTESTANTS
from functional_clf.support.arguments import short
from functional_clf.support.errors import one_line

EXAMPLES = "mlp:64,64, sklearn.svm:SVC or my_models.py:net"


MOST_NAMES = 24
"""Of more settings than these, only those like a wrong one are told."""


class Named(NamedTuple):
    """A contestant, and what says it: a target, and plain settings with all defaults."""

    contestant: Contestant | Template
    target: str
    settings: dict[str, Any]


def contestant_of(name: str, spec: str, /, **settings: Any) -> Contestant | Template:
    """The contestant that a name stands for, as on the command line.

    Args:
        name: what tables and pictures call it.
        spec: `TARGET[,value...][,key=value...]`. TARGET is a kind of the registry (`mlp:64,64` has
            these hidden widths, `mlp:` none), `package.module:name` or `path/to/file.py:name`. The
            name is a classifier (its class or an object, with fit and predict), a factory that is
            called with (n_features, n_classes) and returns a `torch.nn.Module`, or a contestant.
        settings: more of them by name: a classifier's arguments, or how a network is trained; what
            else the factory takes by name is given to it.

    Returns:
        The contestant; a template where its sizes follow the data.

    Raises:
        ValueError: when there is none such, or it takes no such settings; in one line.
        TypeError: when name or spec is no text.

    Example:
        >>> wide = contestant_of("wide", "mlp:64,64", epochs=50)
        >>> wide.sized(n_features=4, n_classes=3).describe()["layer_sizes"]
        [4, 64, 64, 3]
    """
    return made(spec_of(name, spec, settings)).contestant


def made(spec: ModelSpec, epochs: int | None = None) -> Named:
    """The contestant of a spec, and its settings with all defaults.

    Args:
        spec: which one.
        epochs: in place of its own, where it is trained by epochs.

    Raises:
        ValueError: when there is none such, or it takes no such settings; in one line.
    """
    try:
        if spec.target in CONTESTANTS:
            return _of_kind(spec, epochs)
        return _of_object(spec, _found(spec.target), epochs)
    except (ValueError, TypeError) as error:
        raise ValueError(f"model {spec.name!r}: {one_line(error)}") from error


def said(factory: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say all that a factory is given.

    Left out are the name, and defaults that are None or that TOML cannot hold.

    Example:
        >>> def net(n_features, n_classes, width=8, pool=None): ...
        >>> said(net, {"n_features": 2, "n_classes": 2, "pool": "max"})
        {'n_features': 2, 'n_classes': 2, 'width': 8, 'pool': 'max'}
    """
    found = {}
    for key, default in _defaults(factory).items():
        value = settings.get(key, default)
        if key == "name" or (value is None and default is None):
            continue
        with contextlib.suppress(TypeError):
            found[key] = value if key in settings else as_plain(value)
    # One that takes anything by name may know more than it tells.
    return found | {key: value for key, value in settings.items() if key not in _defaults(factory)}


def _of_kind(spec: ModelSpec, epochs: int | None) -> Named:
    """By a factory of the registry, which takes plain settings."""
    factory, settings = CONTESTANTS[spec.target], dict(spec.settings)
    known = _defaults(factory)
    known.pop("name", None)
    if spec.values is not None:
        if "hidden" not in known:
            raise ValueError(f"{spec.target} takes no values; give its settings by name")
        if "hidden" in settings:
            raise ValueError("hidden is given twice; leave one out")
        settings["hidden"] = list(spec.values)
    _check_known(spec.target, settings, known)
    if "hidden" in known and not {"hidden", "layer_sizes"} & set(settings):
        raise ValueError(
            f"{spec.target} has no hidden widths; give them as in {spec.target}:64,64 "
            f"({spec.target}: is without any)"
        )
    if epochs is not None and "epochs" in known:
        settings["epochs"] = epochs
    contestant = _called(spec.target, factory, spec.name, **settings)
    return Named(contestant, spec.target, said(factory, _own_words(contestant, known) | settings))


def _own_words(contestant: Any, known: Iterable[str]) -> dict[str, Any]:
    """The settings that a contestant itself tells, where a factory's defaults stand for others."""
    told = getattr(contestant, "settings", {})
    if dataclasses.is_dataclass(told) and not isinstance(told, type):
        told = dataclasses.asdict(told)
    return {key: told[key] for key in known if key in told} if isinstance(told, Mapping) else {}


def _of_object(spec: ModelSpec, found: Any, epochs: int | None) -> Named:
    """By what a name turned out to be."""
    target, settings = spec.target, dict(spec.settings)
    if isinstance(found, nn.Module):
        raise ValueError(
            f"{target} is a module, a {type(found).__name__}; name a function of "
            "(n_features, n_classes) that returns a new one, as each seed begins with its own"
        )
    if isinstance(found, type):
        if inspect.isabstract(found):
            lacking = ", ".join(sorted(found.__abstractmethods__))
            raise ValueError(f"{target} is an abstract class, without {lacking}; name one of its "
                             "subclasses")  # fmt: skip
        if _has(found, "fit", "predict"):
            return _of_classifier_class(spec, found)
        if _has(found, "describe", "train") and not issubclass(found, nn.Module):
            _check_settings(target, settings, found)
            own_name = {"name": spec.name} if "name" in _defaults(found) else {}
            contestant = _called(target, found, **{**settings, **own_name})
            return _as_it_is(spec, contestant, None)._replace(settings=settings)
    elif _has(found, "fit", "predict"):
        return _of_classifier(spec, found)
    elif isinstance(found, Contestant | Template):
        for key in settings:
            if key != "epochs":
                raise ValueError(
                    f"{target} is a contestant, which is taken as it is; leave {key} out"
                )
        return _as_it_is(spec, found, settings.get("epochs") if epochs is None else epochs)
    if not callable(found):
        raise ValueError(
            f"{target} is {short(found)}; it must be a classifier with fit and predict, a function "
            "of (n_features, n_classes) that returns a torch.nn.Module, or a contestant"
        )
    return _of_factory(spec, found, epochs)


def _of_factory(spec: ModelSpec, factory: Callable[..., Any], epochs: int | None) -> Named:
    """By a function that makes a network for so many features and classes."""
    # Here, since it takes long and most models need it not.
    from functional_clf.contestants.modules import module_recipe

    target, given = spec.target, dict(spec.settings)
    standard = TrainingSettings(learning_rate=1e-3, epochs=100)  # module_recipe's
    if epochs is not None:
        given["epochs"] = epochs
    of_training = [one.name for one in dataclasses.fields(standard)]
    of_factory, takes_any = _own_settings(target, factory)
    for key in given:
        if key in of_training and key in of_factory:
            raise ValueError(
                f"{key} is an argument of {target} and a setting of its training; rename the "
                "function's own"
            )
    if not takes_any:
        _check_known(target, given, [*of_factory, *of_training])
    own = {key: value for key, value in given.items() if key not in of_training}
    asked = {key: value for key, value in given.items() if key in of_training}
    settings = dataclasses.replace(standard, **asked)
    told = said_of_method(settings) | ({"arguments": own} if own else {})
    template = module_recipe(
        spec.name,
        functools.partial(factory, **own) if own else factory,
        **training_of(settings),
        settings=told,
    )
    everything = {**dataclasses.asdict(settings), **own}
    return Named(template, target, {k: v for k, v in everything.items() if v is not None})


def _own_settings(target: str, factory: Callable[..., Any]) -> tuple[list[str], bool]:
    """What a factory takes besides the two numbers, by name, and whether it takes any name.

    Raises:
        ValueError: when it does not take the two numbers, or does not say what it takes.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        raise ValueError(
            f"what {target} takes cannot be told; name a function of (n_features, n_classes)"
        ) from None
    parameters = list(signature.parameters.values())
    by_place = [
        one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    takes_more = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    if len(by_place) < 2 and not takes_more:
        raise ValueError(
            f"{target} takes {signature}; it must take two arguments, (n_features, n_classes)"
        )
    rest = [*by_place[2:], *(one for one in parameters if one.kind is one.KEYWORD_ONLY)]
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    return [one.name for one in rest], takes_any


def _of_classifier_class(spec: ModelSpec, found: type[Any]) -> Named:
    settings = dict(spec.settings)
    own = {} if "raw" in _defaults(found) else {"raw": settings.pop("raw", False)}
    _check_settings(spec.target, settings, found)
    instance = _called(spec.target, found, **settings)
    return Named(
        _estimator(spec, instance, **own),
        spec.target,
        said(found, settings) | {key: value for key, value in own.items() if value},
    )


def _of_classifier(spec: ModelSpec, found: Any) -> Named:
    """By an object, of which it is a copy with other parameters."""
    settings = dict(spec.settings)
    raw = settings.pop("raw", False)
    if settings:
        if not _has(found, "get_params", "set_params"):
            raise ValueError(f"{spec.target} takes no settings; leave {next(iter(settings))} out")
        from sklearn.base import clone

        _check_known(spec.target, settings, found.get_params(deep=True))
        copy: Any = clone(found)
        found = _called(spec.target, copy.set_params, **settings)
    return Named(_estimator(spec, found, raw), spec.target, dict(spec.settings))


def _estimator(spec: ModelSpec, instance: Any, raw: bool = False) -> Contestant | Template:
    from sklearn.base import is_regressor

    if _is_so(is_regressor, instance):
        kind = type(instance)
        likely = kind.__name__.replace("Regressor", "Classifier").replace("SVR", "SVC")
        has_one = likely != kind.__name__ and hasattr(sys.modules.get(kind.__module__), likely)
        raise ValueError(
            f"{spec.target} predicts numbers, as a regressor does; it must be a classifier"
            + (f", as {likely} is one" if has_one else "")
        )
    return estimator(spec.name, instance, raw)


def _is_so(test: Callable[[Any], bool], value: Any) -> bool:
    try:
        return test(value)
    except Exception:  # of a class that scikit-learn knows nothing of
        return False


def _as_it_is(spec: ModelSpec, found: Any, epochs: int | None) -> Named:
    """A contestant under the name that it is asked for by, and for so many epochs."""
    if not isinstance(found, Contestant | Template):
        raise ValueError(f"{spec.target} is {short(found)}; it is no whole contestant")
    fields = set()
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        fields = {one.name for one in dataclasses.fields(found)}
    if epochs is not None and "epochs" not in fields:
        if isinstance(found, Template):
            raise ValueError(
                f"{spec.target} is taken as it is, and epochs of another number cannot be given to "
                "it; leave epochs out"
            )
        epochs = None  # it is trained by none
    if found.name != spec.name and "name" not in fields:
        raise ValueError(f"{spec.target} calls itself {found.name!r}; give it that name")
    changed = {"name": spec.name} if found.name != spec.name else {}
    settings = {} if epochs is None else {"epochs": epochs}
    if changed or settings:
        replace: Callable[..., Any] = dataclasses.replace
        found = _called(spec.target, replace, found, **changed, **settings)
    return Named(found, spec.target, settings)


def _has(value: Any, *methods: str) -> bool:
    return all(callable(getattr(value, method, None)) for method in methods)


def _defaults(factory: Callable[..., Any]) -> dict[str, Any]:
    """What a factory takes by name, and its defaults; None where there is none.

    Raises:
        ValueError: when it does not say what it takes.
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        raise ValueError("what it takes cannot be told; name a function that calls it") from None
    return {
        one.name: None if one.default is one.empty else one.default
        for one in parameters
        if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)
    }


def _check_settings(target: str, settings: Mapping[str, Any], factory: Callable[..., Any]) -> None:
    """Refuse a setting that a factory does not take."""
    known = _defaults(factory)
    if any(one.kind is one.VAR_KEYWORD for one in inspect.signature(factory).parameters.values()):
        return
    _check_known(target, settings, [name for name in known if name != "name"])


def _check_known(target: str, settings: Iterable[str], known: Iterable[str]) -> None:
    names = list(known)
    for key in settings:
        if key not in names:
            likely, takes = near(key, names), f"t takes {', '.join(names) or 'none'}"
            more = f"; i{takes}"
            if likely:
                more = likely if len(names) > MOST_NAMES else f"{likely} I{takes}"
            raise ValueError(f"{key} is no setting of {target}{more}")


def _called(target: str, function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """What somebody's function returns; whatever it raises is told in one line.

    Raises:
        ValueError: when it fails.
    """
    try:
        return function(*args, **settings)
    except Exception as error:
        told = one_line(error)
        raise ValueError(told if type(error) in (ValueError, TypeError) else
                         f"{target} fails: {type(error).__name__}: {told}") from error  # fmt: skip


def _found(target: str) -> Any:
    """What `package.module:name` or `path/to/file.py:name` names.

    Raises:
        ValueError: when it names nothing.
    """
    place, colon, names = target.rpartition(":")
    if not colon or not place or not names:
        if target.endswith(".py"):
            raise ValueError(f"{target} names a file alone; it must be {target}:NAME")
        raise ValueError(
            f"{target!r} is no model{near(target, list(CONTESTANTS))}; it must be like {EXAMPLES}"
        )
    module = _loaded(Path(place)) if place.endswith(".py") else _imported(place)
    found: Any = module
    for name in names.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            of = place if found is module else f"{place}:{found.__name__}"
            public = [one for one in dir(found) if not one.startswith("_")]
            raise ValueError(f"{of} has no {name!r}{near(name, public)}") from None
    return found


def _imported(name: str) -> ModuleType:
    """A module by its name, which may lie in the current folder."""
    _search(os.getcwd(), first=False)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(f"importing {name} fails: {one_line(error)}") from error
        hint = near(name, CONTESTANTS)
        if Path(f"{name}.py").is_file():
            hint = f"; of a file say {name}.py:..."
        raise ValueError(f"there is no module {error.name!r}{hint}") from error
    except Exception as error:
        raise ValueError(f"importing {name} fails: {_why(error)}") from error


def _loaded(path: Path) -> ModuleType:
    """The module that a file holds, under the file's own name, by which processes find it.

    It is read anew where the file has changed since. Its folder comes first on Python's path, as
    that of a script does.
    """
    if not path.is_file():
        there = _python_files(path.parent)
        raise ValueError(f"there is no file {str(path)!r}{near(path.name, there)}")
    path, name = path.resolve(), path.stem
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from error
    if not name.isidentifier():
        raise ValueError(
            f"{path.name} cannot be imported; its name must be letters, digits and '_', as in "
            "my_models.py"
        )
    before = sys.modules.get(name)
    if before is not None:
        if not _is_of(before, path):
            raise ValueError(
                f"{path.name} cannot be imported, as another module is called {name!r}; rename "
                "the file"
            )
        if getattr(before, "__functional_clf_source__", source) == source:
            return before
    _search(str(path.parent), first=True)
    spec = spec_from_file_location(name, path)
    assert spec is not None
    module = module_from_spec(spec)
    vars(module)["__functional_clf_source__"] = source
    sys.modules[name] = module
    try:
        # Not by its loader, which would keep compiled code in the user's folder.
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        if not isinstance(error, Exception | SystemExit):
            raise
        raise ValueError(f"importing {path.name} fails: {_why(error)}") from error
    return module


def _is_of(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path


def _search(folder: str, first: bool) -> None:
    """Have Python look for modules in a folder."""
    if folder not in sys.path:
        sys.path.insert(0 if first else len(sys.path), folder)


def _python_files(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.glob("*.py")]
    except OSError:
        return []


def _why(error: BaseException) -> str:
    """Of an exception in somebody's file: its kind, its line, and where."""
    told, kind = one_line(error), type(error).__name__
    where = ""
    if isinstance(error, SyntaxError):
        told = error.msg
        where = f" (line {error.lineno})"
    elif (trace := error.__traceback__) is not None:
        while trace.tb_next is not None:
            trace = trace.tb_next
        where = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})"
    return (kind if told == kind else f"{kind}: {told}") + where
