"""How often few seeds point to the wrong model: a line, a slider, and its few lines of script."""

from functional_clf.stats.lucky_seeds import LuckySeeds


def lucky_chart(lucky: LuckySeeds) -> str:
    """Stub."""
    return ""


def script() -> str:
    """Stub."""
    return ""
