"""Arguments out of a command line: what is wrong with them is one line."""

import contextlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import tyro

T = TypeVar("T")


def parsed(kind: type[T], args: Sequence[str], program: str, **more: Any) -> T:
    """The arguments of a command, as a value of the dataclass that declares them.

    Args:
        kind: the dataclass.
        args: command-line arguments.
        program: what the help calls the command.
        more: for `tyro.cli`.

    Raises:
        ValueError: when an argument is wrong; the message is one line.
        SystemExit: after --help.
    """
    complaint = io.StringIO()
    try:
        is_help = not {"-h", "--help"}.isdisjoint(args)
        columns = {} if is_help else {"COLUMNS": "100000"}  # else it would break a long word in two
        with contextlib.redirect_stderr(complaint), _set(columns):
            return tyro.cli(kind, prog=program, args=list(args), **more)
    except SystemExit as stop:
        if stop.code:
            raise ValueError(_one_line(complaint.getvalue())) from None
        raise


def one_of(names: Iterable[str]) -> tyro.constructors.PrimitiveConstructorSpec[Any]:
    """An argument that is one of some names; None, where it may be left out, is none of them."""
    choices = tuple(names)
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(choices)}}}",
        instance_from_str=lambda texts: texts[0],
        is_instance=lambda value: value is None or value in choices,
        str_from_instance=lambda name: [str(name)],
        choices=choices,
    )


@contextlib.contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _one_line(box: str) -> str:
    r"""The gist of tyro's boxed complaint: its text up to the first rule, without the frame.

    Example:
        >>> print(_one_line("╭ Value error ──╮\n│ Error parsing --samples: │\n│ not a number │"))
        --samples: not a number
        >>> print(_one_line(" Value error \n ---- \n  not a number \n  ---- \n  See --help"))
        not a number
    """
    lines = [line.strip("╭╮╰╯│ ") for line in box.splitlines()]
    text = []
    for line in lines[1:]:
        if line.strip("─-"):  # the latter where the encoding is ASCII
            text.append(line)
        elif line and text:
            break
    gist = " ".join(" ".join(text).split())
    # Where it was our own check that failed, its message already names the argument.
    return re.sub(r"^Error parsing (?:\S+: (?=[\w.]+ is |model '))?", "", gist)
