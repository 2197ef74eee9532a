"""`functional-clf COMMAND ...`: the commands by name."""

import sys
from collections.abc import Callable, Sequence

import functional_clf
from functional_clf.cli.ending import ended
from functional_clf.cli.screen import complain
from functional_clf.registry import Registry

COMMANDS: Registry[Callable[..., int]] = Registry(
    "command",
    {
        "run": "functional_clf.cli.run:main",
        "compare": "functional_clf.cli.compare:main",
        "check": "functional_clf.cli.check:main",
        "plan": "functional_clf.cli.plan:main",
        "report": "functional_clf.cli.report:main",
    },
)

USAGE = """usage: functional-clf COMMAND ...

  run        train many seeds of two or more models and compare them; see run --help
  compare    compare scores from anywhere: a table, or a run folder; see compare --help
  check      a gate for pipelines: is a run worse than a baseline? see check --help
  plan       how many seeds a study needs, from a pilot; see plan --help
  report     one page to send on, of a run folder or of scores; see report --help
  --version  print the version"""


def main(args: Sequence[str] | None = None) -> int:
    """Hand the arguments to the command that the first of them names; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
    """
    return ended(lambda: _run(list(sys.argv[1:] if args is None else args)))


def _run(args: list[str]) -> int:
    name, *rest = args or ["--help"]
    if name in ("-h", "--help"):
        print(USAGE)
        return 0
    if name == "--version":
        print(functional_clf.__version__)
        return 0
    if name not in COMMANDS:
        complain(f"command is {name!r}; it must be one of {', '.join(COMMANDS)}")
        return 2
    return COMMANDS[name](rest, program=f"functional-clf {name}")
