"""Fused programs: one replicate's training as C, made from the graph of its own functions."""

from functional_clf.fusion.engine import compile_program, fused, is_compiled, why_not_fuse
from functional_clf.fusion.library import BuildError
from functional_clf.fusion.trace import UnfusableError

__all__ = [
    "BuildError",
    "UnfusableError",
    "compile_program",
    "fused",
    "is_compiled",
    "why_not_fuse",
]
