"""Fused programs: one replicate's training as C, made from the graph of its own functions."""
