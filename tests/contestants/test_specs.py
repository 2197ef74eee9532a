"""Models said in a text: what it is split into, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functional_clf.contestants.specs import ModelSpec, as_plain, literal, named_spec, spec_of


@pytest.mark.parametrize(
    ("text", "target", "values", "settings"),
    [
        ("mlp:64,64", "mlp", (64, 64), {}),
        ("mlp:", "mlp", (), {}),
        ("mlp", "mlp", None, {}),
        ("mlp:8,epochs=5,activation=None", "mlp", (8,), {"epochs": 5, "activation": None}),
        ("mlp,hidden=[8, 8]", "mlp", None, {"hidden": [8, 8]}),
        ("a.b:c", "a.b:c", None, {}),
        ("a.b:c, x = 1e-3 , y=true", "a.b:c", None, {"x": 0.001, "y": True}),
        ("dir/f.py:net", "dir/f.py:net", None, {}),
        ("C:\\dir\\f.py:net,x=1", "C:\\dir\\f.py:net", None, {"x": 1}),
        ("f.py:net,x='a,b',y=[1,[2]],z={a=1, b=2}", "f.py:net", None,
         {"x": "a,b", "y": [1, [2]], "z": {"a": 1, "b": 2}}),
        ("f.py:net,x=a=b", "f.py:net", None, {"x": "a=b"}),
        ("f.py:net,date=2020-01-01", "f.py:net", None, {"date": "2020-01-01"}),
    ],
)  # fmt: skip
def test_a_text_is_split_into_target_values_and_settings(text, target, values, settings):
    assert spec_of("m", text) == ModelSpec("m", target, values, settings)
    assert named_spec(f"m={text}") == ModelSpec("m", target, values, settings)


@pytest.mark.parametrize(
    ("text", "gist"),
    [
        ("mlp:64", "model is 'mlp:64'; it must begin with a name"),
        ("mlp:64,epochs=3", "it must begin with a name, as in wide=mlp:64,64"),
        ("=mlp:64", "it must begin with a name"),
        ("a=", "it must begin with a name"),
        ("a/b=mlp:64", "name is 'a/b'; a model's name holds no '/'"),
        ("a =mlp:64", "no space at either end"),
        ("a=mlp:[8", "model 'a': a closing ] is missing"),
        ("a=m:f,x='b", "model 'a': a closing ' is missing"),
        ("a=mlp:8,,8", "nothing stands between two commas"),
        ("a=mlp:8,x=1,x=2", "model 'a': x is given twice"),
        ("a=m:f,8", "'8' is no setting; of m:f they are given by name"),
        ("a=mlp,8", "'8' is no setting; of mlp they are given by name"),
    ],
)
def test_what_says_no_model_is_refused_in_one_line(text, gist):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        named_spec(text)
    assert gist in str(caught.value)


def test_settings_beside_the_text_are_added_and_never_override_it():
    found = spec_of("m", "f.py:net,x=1", {"y": "None", "z": "text"})
    assert found.settings == {"x": 1, "y": None, "z": "text"}
    with pytest.raises(ValueError, match="x is given twice"):
        spec_of("m", "f.py:net,x=1", {"x": 2})
    with pytest.raises(TypeError, match="spec is 3; it must be a text"):
        spec_of("m", 3)  # type: ignore[arg-type]


def test_a_literal_never_smuggles_in_a_second_value():
    assert literal("1\nother = 2") == "1\nother = 2"
    assert math.isnan(literal("nan"))
    assert literal("'64'") == "64"
    assert literal(" adam ") == "adam"


@given(st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False)
    | st.text(alphabet="abcXYZ019_-. ", min_size=1).map(str.strip).filter(bool),
    lambda inner: st.lists(inner, max_size=3), max_leaves=5,
))  # fmt: skip
def test_a_plain_value_comes_back_from_a_text_as_it_was(value):
    import tomli_w

    written = tomli_w.dumps({"value": as_plain(value)}).removeprefix("value = ")
    again = spec_of("m", f"f.py:net,x={written}").settings["x"]
    assert again == value
    assert type(again) is type(value)


def test_what_toml_cannot_hold_is_no_plain_value():
    assert as_plain((1, None, {"a": (2,)})) == [1, "None", {"a": [2]}]
    for value in ({1: 2}, object(), "None", [b"x"]):
        with pytest.raises(TypeError):
            as_plain(value)
