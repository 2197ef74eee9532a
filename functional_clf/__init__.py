"""Train many seeds of small classifiers at once, and compare the models soundly.

The public names stand in `__init__.pyi`, for type checkers and for this file alike. They are
imported when first used, so that `functional_clf.stats` needs no torch.
"""

import os
import sys
import time
import types

if (
    sys.argv[:1] == ["-m"]
    and any(
        f"functional_clf.{name}" in sys.orig_argv for name in ("run", "compare", "check", "plan")
    )
) or (
    os.path.basename((sys.argv or [""])[0]) == "functional-clf"
):  # nobody's library but the program itself, of which this is the first line
    from functional_clf.cli import interrupts

    interrupts.take_over()

import lazy_loader

from functional_clf.version import VERSION

COMMANDS = ("run", "compare", "check", "plan")
"""Names of the modules that are commands: `python -m functional_clf.run`."""

STARTED_AT = time.perf_counter()
"""When this process began to import the package, by `time.perf_counter`."""

# Else MKL sums in an order that depends on where in memory a matrix begins, and a replicate's bits
# hang on its place in a chunk. MKL reads this at its first use.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

__version__ = VERSION


class _Package(types.ModuleType):
    """The package, of which importing a command never puts a module where a function is.

    Whoever imports `functional_clf.compare`, as `python -m` and collectors of tests do, would else
    find the module under the function's name from then on.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in COMMANDS and name in __all__ and isinstance(value, types.ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
