"""Fused programs: a recipe's training of one replicate as C, made from its own graph."""

from functional_clf.fusion.engine import fused, is_compiled, why_not_fuse
from functional_clf.fusion.library import BuildError
from functional_clf.fusion.trace import UnfusableError

__all__ = ["BuildError", "UnfusableError", "fused", "is_compiled", "why_not_fuse"]
