"""Train many seeds of small classifiers at once, and compare the models soundly.

The public names stand in `__init__.pyi`, for type checkers and for this file alike. They are
imported when first used, so that `functional_clf.stats` needs no torch.
"""

import os
import time

import lazy_loader

STARTED_AT = time.perf_counter()
"""When this process began to import the package, by `time.perf_counter`."""

# Else MKL sums in an order that depends on where in memory a matrix begins, and a replicate's bits
# hang on its place in a chunk. MKL reads this at its first use.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
