"""Whose code is: this package's and what it builds on, another installed one's, or the user's."""

import functools
import os
import sys
import sysconfig
from typing import Any, Literal

Home = Literal["known", "installed", "user"]
"""Whose code is: of this package and what it builds on, of another installed one, or the user's."""

PACKAGE_NAME = __name__.partition(".")[0]
_PACKAGE = os.path.dirname(os.path.realpath(sys.modules[PACKAGE_NAME].__file__ or ""))
_KNOWN = ("torch", "numpy", "scipy", "sklearn")


def installed_package(file: str) -> str | None:
    """The installed package that a source file belongs to; None where it belongs to none."""
    parts = os.path.realpath(file).split(os.sep)
    for folder in ("site-packages", "dist-packages"):
        if folder in parts[:-1]:
            return parts[parts.index(folder) + 1].removesuffix(".py")
    return None


@functools.cache
def home_of(file: str) -> Home:
    """Whose a source file is."""
    if file.startswith("<frozen "):
        return "known"
    if not os.path.isabs(file):  # made by exec, or typed: it lies in no folder
        return "user"
    if _is_in(os.path.realpath(file), _PACKAGE):
        return "known"
    if (package := installed_package(file)) is not None:
        return "known" if package in _KNOWN else "installed"
    pythons = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
    is_pythons = any(_is_in(os.path.realpath(file), folder) for folder in pythons)
    return "known" if is_pythons else "user"


def is_own_file(file: str) -> bool:
    """Whether a source file is this package's."""
    return os.path.isabs(file) and _is_in(os.path.realpath(file), _PACKAGE)


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(os.path.realpath(folder) + os.sep)


@functools.cache
def module_home(name: Any) -> Home:
    """Whose a module is."""
    if not isinstance(name, str):  # of some classes that are made in C
        return "known"
    if name == "__main__":  # whatever started it, such as a profiler
        return "user"
    if name.partition(".")[0] in (*sys.builtin_module_names, "builtins"):
        return "known"
    file = getattr(sys.modules.get(name), "__file__", None)
    return "user" if file is None else home_of(file)
