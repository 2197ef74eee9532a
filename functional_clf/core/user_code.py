"""The functions that users bring: what they read, as a digest, and the lock under which they run.

A model, an optimizer or a data set is a few functions, and what these compute is decided by their
code and by all that they read from outside: closures, defaults, globals, and the functions that
they call. The digest covers all of it. It identifies a study in its run folder, tells that a
program made from the functions is still the one to run, and tells that a call has changed
something outside itself.
"""

import collections
import copyreg
import dis
import functools
import hashlib
import logging
import sys
import threading
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from functional_clf.core.homes import (
    PACKAGE_NAME,
    home_of,
    installed_package,
    is_own_file,
    module_home,
)

ONE_AT_A_TIME = threading.RLock()
"""Held while a user's function runs in a worker thread: it may share objects with other threads."""

_ACTIVATIONS = (
    *(torch.relu, torch.tanh, torch.sigmoid, functional.silu, functional.gelu),
    *(functional.leaky_relu, functional.elu),
)
_LOOKS_UP = ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME")
_LOCK = type(threading.Lock())
_TYPE_CHECKERS = ("jaxtyping", "beartype", "typeguard")
_HEAP_TYPE = 1 << 9  # CPython's flag of a class that was made while Python ran
_IN_C = (
    *(types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType),
    *(types.MethodWrapperType, types.ClassMethodDescriptorType),
)
_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented)),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size),
)


class UnreadableError(Exception):
    """What a function reads cannot be told; the message says of what kind it is."""


class Reading(NamedTuple):
    """What some functions read.

    digest: of their code and of every value that they reach.
    is_own: whether all of their code is this package's or one of torch's plain activations, which
        are pure.
    """

    digest: str
    is_own: bool


def reading_of(*functions: Callable[..., Any]) -> Reading:
    """What functions read: their code, closures, defaults, globals, and so on from there.

    Functions of this package, of Python's own modules and of the libraries that it builds on are
    known by name, with their closures; those of other installed packages by their compiled code,
    too; all others by their code and by the globals that it names. Compiled code differs between
    versions of Python. What a function looks up by a text that it puts together is not seen.

    Args:
        functions: any callables.

    Raises:
        UnreadableError: when they reach an object whose content cannot be told.

    Example:
        >>> def power_of(exponent):
        ...     return lambda x: x**exponent
        >>> square, cube, again = map(power_of, (2, 3, 2))
        >>> reading_of(square).digest == reading_of(again).digest
        True
        >>> reading_of(square).digest == reading_of(cube).digest
        False
    """
    with ONE_AT_A_TIME:  # another thread may be about to change what is read here
        reader = _Reader()
        try:
            for function in functions:
                reader.read(function)
            reader.read_modules()
        except RecursionError:
            raise UnreadableError("values that are nested too deeply") from None
    return Reading(reader.hash.hexdigest(), reader.is_own)


class _Reader:
    """Walks over what values reach, and digests it."""

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=12)
        self.is_own = True
        self._names: set[str] = set()  # that the code read so far looks up
        self._modules: list[tuple[types.ModuleType, set[str]]] = []  # and what was read of them
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # else an id could be used twice

    def read(self, value: Any) -> None:
        if type(value) in _PLAIN:
            self._add(type(value).__name__, repr(value))
            return
        # Whether equal constants are one object differs from one start of Python to the next.
        if type(value) not in (tuple, frozenset, types.CodeType):
            if id(value) in self._seen:  # also ends circles
                self._add("seen", self._seen[id(value)])
                return
            self._seen[id(value)] = len(self._seen)
            self._alive.append(value)
        if isinstance(value, Tensor):
            self._read_tensor(value)
            # What torch itself notes there, such as for its compiler, decides no number.
            own = {key: item for key, item in vars(value).items() if not key.startswith("_")}
            if own:
                self.read(own)
        elif isinstance(value, np.ndarray | np.generic):
            self._read_array(np.asarray(value))
            self._read_rest(value, np.ndarray, np.generic, np.memmap)
        elif isinstance(value, list | tuple | set | frozenset | dict | types.MappingProxyType):
            self._read_container(value)
            self._read_rest(value, list, tuple, set, frozenset, dict, types.MappingProxyType)
        elif isinstance(value, _PLAIN):  # a subclass, such as an enum's member
            self._add(type(value).__name__, repr(value))
            self._read_rest(value)
        elif isinstance(value, types.FunctionType):
            self._read_function(value)
        elif isinstance(value, types.CodeType):
            self._read_code(value)
        elif isinstance(value, types.CellType):
            self._read_cell(value)
        elif isinstance(value, types.ModuleType):
            self._read_module(value)
        elif isinstance(value, type):
            self._read_class(value)
        else:
            self._read_object(value)

    def _add(self, *words: object) -> None:
        for word in words:
            content = word if isinstance(word, bytes) else str(word).encode("utf-8", "replace")
            self.hash.update(len(content).to_bytes(8, "little") + content)

    def _read_rest(self, value: Any, *plain: type) -> None:
        """What a subclass adds to a value that was read: its code, and its own attributes."""
        if type(value) in plain:
            return
        if isinstance(value, collections.defaultdict):
            self.read(value.default_factory)
        if module_home(type(value).__module__) != "known":
            self.read(type(value))
        self.read(getattr(value, "__dict__", None))

    def _read_module(self, module: types.ModuleType) -> None:
        self._add("module", module.__name__)
        if module_home(module.__name__) == "user":
            self._modules.append((module, set()))

    def read_modules(self) -> None:
        """Of a user's modules, what all the code that was read may look up in them.

        At the end, since code that is read later may look up more in a module that was met before.
        """
        is_done = False
        while not is_done:
            is_done = True
            for module, known in list(self._modules):
                for name in sorted((self._names & set(vars(module))) - known):
                    is_done = False
                    known.add(name)
                    self._add("attribute", module.__name__, name)
                    self.read(vars(module)[name])

    def _read_tensor(self, tensor: Tensor) -> None:
        try:
            plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            content = plain.numpy().tobytes()
        except (RuntimeError, TypeError, NotImplementedError) as error:
            raise UnreadableError("a tensor whose numbers are out of reach") from error
        self._add("tensor", tensor.dtype, tuple(tensor.shape), content)

    def _read_array(self, array: np.ndarray) -> None:
        self._add("array", array.dtype, array.shape)
        if array.dtype.hasobject:
            self.read(array.tolist())
        else:
            self._add(array.tobytes())

    def _read_container(self, value: Any) -> None:
        self._add(type(value).__qualname__, len(value))
        if isinstance(value, dict | types.MappingProxyType):
            for key, item in value.items():
                self.read(key)
                self.read(item)
        elif isinstance(value, set | frozenset):
            for item in sorted(value, key=repr):
                self.read(item)
        else:
            for item in value:
                self.read(item)

    def _read_function(self, function: types.FunctionType) -> None:
        wrapped = vars(function).get("__wrapped__")
        if wrapped is not None and _is_type_check(function):
            self.read(wrapped)
            return
        home = home_of(function.__code__.co_filename)
        if is_own_file(function.__code__.co_filename):
            self._add("own", function.__qualname__)  # whichever module it may move to
        elif home != "user":  # a decorator may have given it the name of what it wraps
            self._add("library", function.__module__, function.__qualname__)
        self.is_own &= home == "known" and _is_pure(function)
        if home != "known":
            self._read_code(function.__code__)
        if home == "user":
            self._read_globals(function)
        self.read(function.__defaults__)
        self.read(tuple((function.__kwdefaults__ or {}).items()))
        self.read(tuple(function.__closure__ or ()))
        self.read(vars(function))  # attributes, also `__wrapped__`

    def _read_code(self, code: types.CodeType) -> None:
        self._add("code", code.co_code, code.co_exceptiontable, code.co_names, code.co_freevars)
        self._add(code.co_flags, code.co_argcount, code.co_kwonlyargcount)
        self._names |= set(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._read_code(constant)
            else:
                self.read(constant)

    def _read_globals(self, function: types.FunctionType) -> None:
        for name in _globals_of(function.__code__):
            if name in function.__globals__:  # else it is a builtin, or imported within
                self._add("global", name)
                self.read(function.__globals__[name])
            elif name in sys.modules:
                self.read(sys.modules[name])

    def _read_cell(self, cell: types.CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:
            self._add("empty cell")
        else:
            self.read(content)

    def _read_class(self, cls: type) -> None:
        is_made_in_python = cls.__flags__ & _HEAP_TYPE  # by exec, it may name any module
        if module_home(cls.__module__) != "user" and not (
            cls.__module__ == "builtins" and is_made_in_python
        ):
            module = str(cls.__module__)  # no text, of some classes that are made in C
            is_own = module.partition(".")[0] == PACKAGE_NAME
            self._add("own" if is_own else "library", "" if is_own else module)
            self._add(cls.__qualname__)
            return
        self.is_own = False
        self._add("class", cls.__qualname__)
        for base in (type(cls), *cls.__bases__):
            self.read(base)
        for name, value in sorted(vars(cls).items()):
            # What Python itself puts there says nothing, and some of it changes by being looked at.
            if name.startswith("__") and not callable(getattr(value, "__func__", value)):
                continue
            if name in ("__weakref__", "__dict__", "__subclasshook__", "__init_subclass__"):
                continue
            if name == "_abc_impl":  # caches of an abstract base class
                continue
            self._add("member", name)
            if isinstance(value, staticmethod | classmethod):
                self.read(value.__func__)
            elif isinstance(value, property):
                self.read((value.fget, value.fset))
            elif isinstance(value, functools.cached_property):
                self.read(value.func)
            elif isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
                continue
            else:
                self.read(value)

    def _read_object(self, value: Any) -> None:
        if isinstance(value, types.MethodType):
            self.read(value.__func__)
            self.read(value.__self__)
        elif isinstance(value, functools.partial):
            self.read((value.func, value.args, tuple(value.keywords.items())))
        elif isinstance(value, functools._lru_cache_wrapper):
            self.read(value.__wrapped__)
        elif isinstance(value, _IN_C):  # such as torch.relu
            self.is_own &= _is_pure(value)
            self._add("builtin", getattr(value, "__module__", None), value.__qualname__)
            owner = getattr(value, "__self__", None)
            if not isinstance(owner, types.ModuleType | type):
                self.read(owner)
        elif isinstance(value, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
            self._add("operation", str(value))
        elif isinstance(value, torch.jit.ScriptFunction):
            self._add("scripted", str(value.graph))
        elif isinstance(value, logging.Logger | _LOCK | type(threading.RLock())):
            self._add("object", type(value).__name__)  # decides no number
        else:
            self.is_own = False
            self.read(type(value))
            self._read_state(value)

    def _read_state(self, value: Any) -> None:
        if isinstance(value, torch.Generator):
            self.read(value.get_state())
        elif hasattr(value, "__dict__") and type(value).__reduce_ex__ is object.__reduce_ex__:
            for name, item in vars(value).items():
                self._add("field", name)
                self.read(item)
            for name in _slots(type(value)):
                if hasattr(value, name):
                    self._add("field", name)
                    self.read(getattr(value, name))
        else:  # what it would be copied by
            reduce = copyreg.dispatch_table.get(type(value))
            try:
                state = reduce(value) if reduce else value.__reduce_ex__(2)
            except Exception as error:
                kind = f"{type(value).__module__}.{type(value).__qualname__}"
                raise UnreadableError(f"an object of type {kind}") from error
            self._read_reduced(state)

    def _read_reduced(self, state: Any) -> None:
        if isinstance(state, str):
            self._add("global object", state)
            return
        made_by, args, *rest = state
        if made_by is not copyreg.__newobj__:  # pyright: ignore[reportAttributeAccessIssue]
            self.read(made_by)
        self.read(args)
        for part in rest:
            self.read(list(part) if isinstance(part, Iterable) and not _is_sized(part) else part)


def _is_type_check(function: types.FunctionType) -> bool:
    """Whether a function only checks the types of what passes to and from another."""
    file = function.__code__.co_filename
    return file.startswith("<@beartype(") or installed_package(file) in _TYPE_CHECKERS


def _is_sized(value: Any) -> bool:
    return hasattr(value, "__len__")


@functools.lru_cache(maxsize=4096)
def _globals_of(code: types.CodeType) -> tuple[str, ...]:
    """The global names, and modules, that code and the functions within it look up, in order."""
    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname in _LOOKS_UP}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(_globals_of(constant))
    return tuple(sorted(names))


def _is_pure(function: Any) -> bool:
    """Whether a function is this package's or one of torch's plain activations."""
    if any(function is one for one in _ACTIVATIONS):
        return True
    code = getattr(function, "__code__", None)
    return code is not None and is_own_file(code.co_filename)


def _slots(cls: type) -> list[str]:
    found: list[str] = []
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        found += [slots] if isinstance(slots, str) else list(slots)
    return [name for name in found if name not in ("__dict__", "__weakref__")]
