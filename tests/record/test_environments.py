"""Which sessions were trained in the same environment, as far as they tell."""

import itertools

import pytest

from functional_clf.record.environments import alike, other_bits

OLD = {"torch": "2", "functional_clf": "0"}
"""As format 3 told it: no bits."""


def told(steps=None, torch="2"):
    return {"bits": {"torch": torch} | ({} if steps is None else {"first_steps": steps})}


@pytest.mark.parametrize("silent", [OLD, told()], ids=["format 3", "no steps"])
def test_who_says_nothing_joins_no_two_that_differ(silent):
    for order in itertools.permutations([silent, told("a"), told("b")]):
        places = dict(zip(map(str, order), alike(order).tolist(), strict=True))
        assert places[str(told("a"))] != places[str(told("b"))]
        assert len(set(places.values())) == 2  # and nobody is a place of its own for being silent


def test_sessions_go_with_the_first_that_they_do_not_contradict():
    old_elsewhere = OLD | {"torch": "1"}
    assert alike([OLD, told("a"), told("b"), told("a"), OLD]).tolist() == [0, 0, 2, 0, 0]
    assert alike([old_elsewhere, OLD, told("a")]).tolist() == [0, 1, 1]
    assert alike([OLD, told("b", torch="1"), told("a")]).tolist() == [0, 1, 0]
    fuller = {"bits": told("b")["bits"] | {"more": 1}}
    assert alike([OLD, told("a"), fuller]).tolist() == [0, 0, 2]
    assert alike([]).tolist() == []


def test_a_difference_is_told_from_either_side():
    assert other_bits(told("a"), OLD | {"torch": "1"}) == "torch is '2' there, '1' here"
    assert other_bits(OLD | {"torch": "1"}, told("a")) == "torch is '1' there, '2' here"
    assert not other_bits(OLD, OLD | {"functional_clf": "1"})


def test_bits_that_cannot_be_read_are_like_no_others():
    unreadable = {"bits": 5}
    assert alike([unreadable, told("a"), unreadable, OLD]).tolist() == [0, 1, 2, 1]
    assert "cannot be read here" in other_bits(told(), unreadable)
