"""A study: its options and plan, the checks before it, its execution and results."""
