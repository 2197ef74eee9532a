"""Measurements: speed against peers (`bench.report`), calibration of the statistics."""
