"""Which version of the package this is; `functional_clf.__version__` to its users."""

VERSION = "0.1.0"
