"""Train many seeds of small classifiers at once, and compare the models soundly.

The public names stand in `__init__.pyi`, for type checkers and for this file alike. They are
imported when first used, so that `functional_clf.stats` needs no torch.
"""

import os
import sys
import time

if (sys.argv[:1] == ["-m"] and "functional_clf.run" in sys.orig_argv) or (
    os.path.basename((sys.argv or [""])[0]) == "functional-clf"
):  # nobody's library but the program itself, of which this is the first line
    from functional_clf.cli import interrupts

    interrupts.take_over()

import lazy_loader

from functional_clf.version import VERSION

STARTED_AT = time.perf_counter()
"""When this process began to import the package, by `time.perf_counter`."""

# Else MKL sums in an order that depends on where in memory a matrix begins, and a replicate's bits
# hang on its place in a chunk. MKL reads this at its first use.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

__version__ = VERSION

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
