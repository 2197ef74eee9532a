import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_clf.stats.types import Interval
from functional_clf.stats.verdicts import decide, settled, verdict_words

MARGIN = 0.01


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.02, 0.03, "better", "better, by more than the 1 pp margin"),
        (-0.03, -0.02, "worse", "worse, by more than the 1 pp margin"),
        (-0.005, 0.005, "equivalent", "equivalent within the 1 pp margin"),
        (0.002, 0.008, "better but negligible", "better but negligible, by less than"),
        (-0.008, -0.002, "worse but negligible", "worse but negligible, by less than the 1 pp"),
        (-0.02, 0.005, "inconclusive", "both no difference and one as large as the 1 pp margin"),
        (0.002, 0.03, "inconclusive", "A being better than B but not surely by as much"),
        (-0.03, -0.002, "inconclusive", "A being worse than B but not surely by as much"),
        (0.01, 0.03, "inconclusive", "A being better than B"),
        (-0.01, 0.01, "inconclusive", "both no difference and one as large"),
        (0.0, 0.0, "equivalent", "equivalent within"),
    ],
)
def test_each_case(low, high, verdict, words):
    interval = Interval(low, high)
    assert decide(interval, MARGIN) == verdict
    assert words in verdict_words(interval, MARGIN, "A", "B")


def test_no_interval_is_inconclusive():
    assert decide(None, MARGIN) == "inconclusive"
    assert "no interval" in verdict_words(None, MARGIN, "A", "B")


ends = st.integers(-30, 30).map(lambda k: k / 1000)


@settings(derandomize=True, deadline=None)
@given(ends, ends, st.integers(0, 20).map(lambda k: k / 1000))
def test_every_verdict_is_true_of_every_difference_in_the_interval(one, other, margin):
    interval = Interval(min(one, other), max(one, other))
    verdict = decide(interval, margin)
    steps = [interval.low + (interval.high - interval.low) * i / 8 for i in range(9)]
    steps[-1] = interval.high
    claims = {
        "better": lambda d: d > margin,
        "worse": lambda d: d < -margin,
        "equivalent": lambda d: -margin < d < margin,
        "better but negligible": lambda d: 0 < d < margin,
        "worse but negligible": lambda d: -margin < d < 0,
    }
    if verdict == "inconclusive":
        assert not any(all(claim(d) for d in steps) for claim in claims.values())
    else:
        assert all(claims[verdict](d) for d in steps)


@settings(derandomize=True, deadline=None)
@given(ends, ends, st.integers(0, 20).map(lambda k: k / 1000))
def test_swapping_the_models_swaps_better_and_worse_and_nothing_else(one, other, margin):
    interval = Interval(min(one, other), max(one, other))
    mirror = Interval(-interval.high, -interval.low)
    swaps = {"better": "worse", "worse": "better"}

    def swapped(text):
        return re.sub("better|worse", lambda found: swaps[found[0]], text)

    assert decide(mirror, margin) == swapped(decide(interval, margin))
    assert verdict_words(mirror, margin, "B", "A") == swapped(
        verdict_words(interval, margin, "B", "A")
    )
    # A settled sign is in the words, whatever the label.
    said = verdict_words(interval, margin, "A", "B")
    assert ("better" in said) == (interval.low > 0) == ("better" in settled(interval, margin))
    assert ("worse" in said) == (interval.high < 0) == ("worse" in settled(interval, margin))
