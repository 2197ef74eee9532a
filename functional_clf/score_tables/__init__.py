"""Scores of models, from anywhere: read, doubted, compared; and the gate of a pipeline."""
