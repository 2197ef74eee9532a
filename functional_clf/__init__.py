"""Train many seeds of small classifiers at once, and compare the models soundly."""
