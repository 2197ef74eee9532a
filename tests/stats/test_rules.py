"""One frozen value in place of a dozen arguments: the same results, checks and messages."""

import dataclasses
import inspect
import pickle
from decimal import Decimal
from typing import get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_clf.stats import (
    Rules,
    compare,
    compare_all,
    compare_crossed,
    lucky_seeds,
    self_calibration,
)
from functional_clf.stats.rules import CrossedSettings, PairedSettings, RuleSettings, chosen

A, B, C = [0.9, 0.8, 0.75, 0.7] * 5, [0.5, 0.6, 0.55, 0.5] * 5, [0.8, 0.6, 0.5, 0.5] * 5
TABLES = np.reshape(A, (4, 5)), np.reshape(C, (4, 5))
PAIRED = {
    "scope": "split",
    "n_train": 80,
    "n_test": 20,
    "margin": 0.02,
    "alpha": 0.1,
    "metric": "accuracy",
    "step": 0.1,
}
CROSSED = {
    "margin": 0.02,
    "alpha": 0.1,
    "failure_below": 0.55,
    "references": {"best": 0.99},
    "setting": "moons(100)",
    "first_margin": 0.01,
    "first_alpha": 0.05,
    "earlier_looks": 2,
    "first_metric": "accuracy",
}
ALL = PAIRED | CROSSED | {"seed": 3, "sequential": False}

CALLS = {
    "compare": lambda *rules, **one_by_one: compare(A, B, *rules, **one_by_one),
    "compare_all": lambda *rules, **one_by_one: compare_all(
        {"a": A, "b": B, "c": C}, *rules, **one_by_one
    ),
    "compare_crossed": lambda *rules, **one_by_one: compare_crossed(*TABLES, *rules, **one_by_one),
    "self_calibration": lambda *rules, **one_by_one: self_calibration(
        A, C, *rules, repetitions=20, **one_by_one
    ),
    "lucky_seeds": lambda *rules, **one_by_one: lucky_seeds(
        A, C, *rules, repetitions=20, **one_by_one
    ),
}
SETTINGS = {
    "compare": ALL,
    "compare_all": ALL,
    "compare_crossed": CROSSED,
    "self_calibration": PAIRED,
    "lucky_seeds": PAIRED,
}


@pytest.mark.parametrize("name", CALLS)
def test_rules_say_what_their_fields_say_one_by_one(name):
    call, one_by_one = CALLS[name], SETTINGS[name]
    expected = call(**one_by_one)
    assert call(Rules(**one_by_one)) == call(rules=Rules(**one_by_one)) == expected
    assert call(Rules()) == call() != expected


@pytest.mark.parametrize("name", ["compare", "compare_all", "compare_crossed"])
def test_each_rule_is_heard(name):
    call, one_by_one = CALLS[name], SETTINGS[name]
    expected = call(Rules(**one_by_one))
    # Those left are looked at below (or in their own tests), and accuracy stands without a metric.
    for left_out in set(one_by_one) - {"seed", "n_train", "n_test", "metric", "sequential"}:
        fewer = {rule: value for rule, value in one_by_one.items() if rule != left_out}
        assert call(Rules(**fewer)) != expected, left_out
    if name != "compare_crossed":
        assert call(Rules(**one_by_one | {"n_train": 90})) != expected
        assert call(Rules(**one_by_one | {"n_test": 10})) != expected


def test_the_seed_of_random_signs_is_a_rule_and_that_of_draws_is_not():
    a, b = np.random.default_rng(0).normal(0.5, 0.01, (2, 60))
    pvalues = {compare(a, b, Rules(seed=seed)).pvalue for seed in range(5)}
    assert len(pvalues) > 1
    assert compare(a, b, Rules(seed=3)) == compare(a, b, seed=3)
    drawn = [
        self_calibration(a, b, Rules(seed=seed), sizes=5, repetitions=50, seed=1)
        for seed in range(3)
    ]
    assert drawn[0] == drawn[1] == drawn[2]
    assert drawn[0] != self_calibration(a, b, sizes=5, repetitions=50, seed=2)


def test_the_arguments_that_checkers_know_are_the_fields():
    hints = get_type_hints(Rules)
    assert get_type_hints(RuleSettings) == hints
    assert RuleSettings.__required_keys__ == frozenset()
    assert [field.name for field in dataclasses.fields(Rules)] == list(hints)
    for function in (compare, compare_all, compare_crossed, self_calibration, lucky_seeds):
        (parameters,) = [
            parameter
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is parameter.VAR_KEYWORD
        ]
        (kind,) = parameters.annotation.__args__
        assert set(SETTINGS[function.__name__]) == kind.__optional_keys__


@pytest.mark.parametrize("name", CALLS)
def test_an_unknown_name_is_refused_like_any_pythons(name):
    known = set(SETTINGS[name])
    for wrong in {"nonsense", *ALL} - known - {"seed"}:
        expected = rf"^{name}\(\) got an unexpected keyword argument '{wrong}'; its rules are "
        with pytest.raises(TypeError, match=expected) as caught:
            CALLS[name](**{wrong: 3})
        assert set(str(caught.value).split("its rules are ")[1].split(", ")) == known


def test_fixed_designs_take_no_sequential_rules():
    for name in ("compare_crossed", "self_calibration", "lucky_seeds"):
        with pytest.raises(ValueError, match=r"rules are sequential: .* leave sequential out"):
            CALLS[name](Rules(sequential=True))


@pytest.mark.parametrize("name", CALLS)
def test_rules_and_one_of_them_beside_are_refused(name):
    with pytest.raises(TypeError, match="rules and alpha are both given: alpha belongs in"):
        CALLS[name](Rules(), alpha=0.05)
    for wrong in (0.05, {"alpha": 0.05}, Rules):
        with pytest.raises(TypeError, match=r"^rules is .*: a Rules value is needed$"):
            CALLS[name](wrong)


WRONG = [
    (
        {"scope": "world"},
        ValueError,
        "scope is 'world': one of data, split, init, test_set is needed",
    ),
    ({"scope": "crossed"}, ValueError, "needs compare_crossed"),
    ({"scope": None}, ValueError, "scope is None"),
    ({"n_train": 0}, ValueError, "n_train is 0: an integer of at least 1 is needed"),
    ({"n_test": 1.5}, TypeError, "n_test is 1.5: an integer is needed"),
    ({"margin": -0.01}, ValueError, r"margin is -0.01: a number in \[0, 1\] is needed"),
    ({"margin": "x"}, TypeError, "margin is 'x': a number is needed"),
    ({"alpha": 1}, ValueError, r"alpha is 1: a number in \(0, 1\)"),
    ({"alpha": 1e-13}, ValueError, "alpha is 1e-13: at least 1e-12 is needed$"),
    ({"failure_below": 75}, ValueError, r"failure_below is 75: a number in \[0, 1\] is needed"),
    ({"references": [0.9]}, TypeError, "references is .*: a mapping from name to accuracy"),
    ({"references": {"best": 99}}, ValueError, r"references\['best'\] is 99"),
    ({"references": {1: 0.9}}, TypeError, "a name in references is 1: a string is needed"),
    ({"setting": None}, TypeError, "setting is None: a string is needed"),
    ({"seed": -1}, ValueError, "seed is -1: an integer of at least 0"),
    ({"first_margin": 2}, ValueError, "first_margin is 2"),
    ({"first_alpha": 0}, ValueError, "first_alpha is 0"),
    ({"earlier_looks": True}, TypeError, "earlier_looks is True: an integer"),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG)
def test_each_rule_is_checked_when_it_is_made(change, error, message):
    with pytest.raises(error, match=message) as alone:
        Rules(**change)
    with pytest.raises(error, match=message) as called:
        compare(A, B, **change)
    assert str(alone.value) == str(called.value)
    assert "\n" not in str(alone.value)


def test_what_is_too_small_for_several_is_said_of_all_of_them():
    columns = {str(i): A for i in range(10)}
    for rules, one_by_one in (((Rules(alpha=4e-11),), {}), ((), {"alpha": 4e-11})):
        with pytest.raises(ValueError, match=r"at least 4\.5e-11 is needed for 45 comparisons"):
            compare_all(columns, *rules, **one_by_one)
    with pytest.raises(ValueError, match=r"alpha is 1e-13: at least 4\.5e-11 is needed for 45"):
        compare_all(columns, alpha=1e-13)


def test_numbers_are_kept_as_plain_ones():
    rules = Rules(
        margin=np.float32(0.02), alpha=Decimal("0.1"), n_test=np.int64(20), seed=np.uint8(2)
    )
    assert rules == Rules(margin=0.02, alpha=0.1, n_test=20, seed=2)
    assert [type(value) for value in (rules.margin, rules.alpha, rules.n_test)] == [
        float,
        float,
        int,
    ]


def test_rules_are_a_value():
    best = {"best": 0.99}
    rules = Rules(references=best, margin=0.02)
    best["best"] = 0.5
    assert rules.references == {"best": 0.99}
    assert hash(rules) == hash(Rules(references={"best": 0.99}, margin=0.02))
    assert pickle.loads(pickle.dumps(rules)) == dataclasses.replace(rules) == rules
    with pytest.raises(dataclasses.FrozenInstanceError):
        rules.margin = 0.1
    result = compare(A, B, rules)
    result.references["best"] = 0.1
    assert rules.references == {"best": 0.99}


@settings(derandomize=True, deadline=None)
@given(st.floats(1e-10, 0.99), st.integers(1, 45))
def test_alpha_is_shared_out_and_nothing_else_changes(alpha, n):
    rules = Rules(alpha=alpha, margin=0.02, setting="x")
    part = rules.for_each_of(n)
    assert part.alpha == alpha / n
    assert dataclasses.replace(part, alpha=alpha) == rules


@pytest.mark.parametrize("scope", ["split", "init"])
def test_a_crossed_design_has_its_own_scope(scope):
    with pytest.raises(ValueError, match=f"^rules have scope '{scope}': a crossed design speaks"):
        compare_crossed(*TABLES, Rules(scope=scope))


def test_chosen_takes_only_what_the_caller_takes():
    assert chosen("f", None, {"margin": 0.1}, CrossedSettings.__optional_keys__).margin == 0.1
    with pytest.raises(TypeError, match=r"^f\(\) got an unexpected keyword argument 'setting'"):
        chosen("f", None, {"setting": "x"}, PairedSettings.__optional_keys__)
