"""Which of two models is better, from paired scores over seeds: NumPy and SciPy only.

`compare` does the whole job, by `Rules` set beforehand; the pieces work alone on plain arrays.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
