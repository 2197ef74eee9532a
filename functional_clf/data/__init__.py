"""Data sets, their splits, and a chunk's tensors out of replicate seeds."""
