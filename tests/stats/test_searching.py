from hypothesis import given
from hypothesis import strategies as st

from functional_clf.stats.searching import smallest_enough


@given(st.integers(0, 300), st.integers(1, 50), st.integers(1, 400), st.integers(0, 500))
def test_it_is_the_first_that_is_enough(above, more, span, from_here):
    first, most = above + more, above + more + span
    found = smallest_enough(lambda n: n >= from_here, above=above, first=first, most=most)
    by_hand = next((n for n in range(above + 1, most + 1) if n >= from_here), None)
    assert found == by_hand


def test_few_numbers_are_asked_about():
    asked = []

    def is_enough(n):
        asked.append(n)
        return n >= 77_777

    assert smallest_enough(is_enough, above=0, first=1, most=100_000) == 77_777
    assert len(asked) < 40
