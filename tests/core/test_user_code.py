import abc
import enum
import functools
import logging
import re
import subprocess
import sys
import threading
import types
import warnings
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import functional_clf
from functional_clf import adam, mlp, sgd
from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.core.user_code import UnreadableError, reading_of

SCALE = 1.0


def helper(x):
    return x * SCALE


def through_a_helper(x):
    return helper(x)


def closure_over(value):
    return lambda x: (x, value)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.norm = nn.BatchNorm1d(1)
        self.scale = 1.0

    def forward(self, x):
        return self.norm(self.linear(x)) * self.scale


class Slotted:
    __slots__ = ("value",)


def test_other_code_is_another_digest():
    one, same, other = (lambda x: x + 1), (lambda x: x + 1), (lambda x: x + 2)
    assert reading_of(one) == reading_of(same)
    assert reading_of(one).digest != reading_of(other).digest
    assert reading_of(one).digest != reading_of(lambda x: x - 1).digest
    assert reading_of(lambda x: torch.tanh(x)) != reading_of(lambda x: torch.relu(x))


def test_a_global_that_a_helper_reads_is_read(monkeypatch):
    before = reading_of(through_a_helper)
    assert before == reading_of(through_a_helper)
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    assert reading_of(through_a_helper).digest != before.digest


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (1, 2),
        (1, 1.0),
        (0.0, -0.0),
        ("a", "b"),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (torch.zeros(2), torch.zeros(3)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.tensor([1.0]), torch.tensor([2.0], requires_grad=True)),
        (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
        (np.arange(3), np.arange(3) + 1),
        (torch.relu, torch.tanh),
        (nn.functional.silu, nn.functional.gelu),
        (functools.partial(pow, 2), functools.partial(pow, 3)),
        (closure_over(1), closure_over(2)),
        (torch.func.vmap(closure_over(1)), torch.func.vmap(closure_over(2))),
        (np.random.default_rng(0), np.random.default_rng(1)),
        (torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)),
        (nn.ReLU(), nn.Tanh()),
        (torch.ops.aten.relu, torch.ops.aten.tanh),
        (np.tanh, np.sin),
        (torch.float32, torch.float64),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-fA-F]+", "", str(value)),
)
def test_what_a_closure_holds_is_read(value, other):
    one, another = closure_over(value), closure_over(other)
    assert reading_of(one).digest == reading_of(closure_over(value)).digest
    assert reading_of(one).digest != reading_of(another).digest


def test_what_objects_hold_is_read():
    module, slotted = Scaled(), Slotted()
    for change in (
        lambda: setattr(module, "scale", 2.0),
        lambda: module.linear.weight.data.add_(1),
        lambda: module(torch.randn(8, 2)),  # running statistics
        lambda: module.eval(),
    ):
        before = reading_of(closure_over(module))
        change()
        assert reading_of(closure_over(module)).digest != before.digest
    slotted.value = 1
    before = reading_of(closure_over(slotted))
    slotted.value = 2
    assert reading_of(closure_over(slotted)).digest != before.digest


def test_a_counter_is_seen_to_count():
    count = 0

    def counting():
        nonlocal count
        count += 1

    before = reading_of(counting)
    counting()
    assert reading_of(counting).digest != before.digest


def scaled(scale):
    @functools.wraps(torch.relu)
    def relu(x):
        return scale * torch.relu(x) * SCALE

    return relu


def test_names_that_a_function_bears_say_nothing(monkeypatch):
    assert scaled(1).__name__ == "relu"
    assert reading_of(scaled(1)) == reading_of(scaled(1))
    assert not reading_of(scaled(1)).is_own
    assert reading_of(scaled(1)).digest != reading_of(scaled(2)).digest
    before = reading_of(scaled(1))
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    assert reading_of(scaled(1)).digest != before.digest
    made = []
    for number in (1, 2):
        names = {}
        exec(f"def own(x): return x * {number}\nclass Own:\n  number = {number}", names)
        made.append(names)
    for name in ("own", "Own"):
        one, other = (names[name] for names in made)
        assert one.__module__ in (None, "builtins")
        assert reading_of(one).digest != reading_of(other).digest
        assert not reading_of(one).is_own


class Base(abc.ABC):
    scale = 1.0

    @abc.abstractmethod
    def apply(self, x): ...


class Derived(Base):
    def apply(self, x):
        return x * self.scale * self.offset

    @functools.cached_property
    def offset(self):
        return 3.0

    @property
    def twice(self):
        return 2 * SCALE


def test_classes_are_read_with_their_bases_and_globals(monkeypatch):
    model = Derived()
    before = reading_of(model.apply)
    assert reading_of(Derived().apply) == before
    isinstance(3, Base)  # fills a cache of the class
    assert reading_of(Derived().apply) == before
    monkeypatch.setattr(Base, "scale", 2.0)
    changed = reading_of(model.apply)
    assert changed.digest != before.digest
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    assert reading_of(model.apply).digest != changed.digest


def test_modules_of_ones_own_are_read_as_far_as_they_are_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").write_text("")
    (tmp_path / "own_package" / "constants.py").write_text("WIDTH = 3\nUNUSED = 1\n")
    (tmp_path / "use_it.py").write_text(
        "import own_package.constants\n"
        "def through_a_global(x): return x * own_package.constants.WIDTH\n"
        "def imports_within(x):\n"
        "    from own_package.constants import WIDTH\n"
        "    return x * WIDTH\n"
    )
    import use_it
    from own_package import constants

    for function in (use_it.through_a_global, use_it.imports_within):
        before = reading_of(function)
        constants.UNUSED += 1
        assert reading_of(function) == before
        constants.WIDTH += 1
        assert reading_of(function).digest != before.digest


def test_whether_equal_constants_are_one_object_says_nothing():
    one = (3, 4)
    other = tuple(one[place] for place in range(2))
    assert one is not other
    assert reading_of(closure_over([one, one])) == reading_of(closure_over([one, other]))


def test_what_holds_itself_is_read_to_an_end():
    circle = []
    circle.append(circle)
    assert reading_of(closure_over(circle)) == reading_of(closure_over(circle))


def test_what_cannot_be_read_is_named():
    with pytest.raises(UnreadableError, match=r"an object of type builtins\.generator"):
        reading_of(closure_over(one for one in range(3)))
    deep = None
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(UnreadableError, match="nested too deeply"):
        reading_of(closure_over(deep))


def test_what_decides_no_number_is_let_be():
    for value in (threading.Lock(), threading.RLock(), logging.getLogger("mine")):
        assert reading_of(closure_over(value)) == reading_of(closure_over(value))


class Named(NamedTuple):
    scale: float

    def apply(self, x):
        return x * self.scale * SCALE


class Table(dict):
    def __missing__(self, key):
        return SCALE


class Kind(enum.IntEnum):
    ONE = 1

    def apply(self, x):
        return x * SCALE


@pytest.mark.parametrize("value", [Named(1.0), Table(a=1), Kind.ONE], ids=repr)
def test_classes_that_add_to_plain_values_are_read(value, monkeypatch):
    before = reading_of(closure_over(value))
    assert before == reading_of(closure_over(value))
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    assert reading_of(closure_over(value)).digest != before.digest


def test_attributes_of_functions_and_of_what_wraps_them_are_read():
    def own(x):
        return x * own.scale

    class Wrapper:
        def __init__(self, function, scale):
            self.scale = scale
            functools.update_wrapper(self, function)

        def __call__(self, x):
            return self.scale * self.__wrapped__(x)

    digests = []
    for scale in (1, 2):
        own.scale = scale
        digests += [reading_of(own).digest, reading_of(Wrapper(helper, scale)).digest]
    assert len(set(digests)) == 4


def test_a_module_is_read_wherever_it_is_held():
    def by_closure(module):
        return lambda x: x * module.WIDTH

    class Holder:
        def __init__(self, module):
            self.module = module

        def apply(self, x):
            return x * self.module.WIDTH

    for function in (by_closure(constants_module()), Holder(constants_module()).apply):
        before = reading_of(function)
        constants_module().WIDTH += 1
        assert reading_of(function).digest != before.digest


@functools.cache
def constants_module():
    module = types.ModuleType("constants_of_mine")
    module.WIDTH = 1
    return module


def test_scripted_functions_are_read():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is on its way out
        one, other = torch.jit.script(double), torch.jit.script(triple)
    assert reading_of(one).digest != reading_of(other).digest


def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2.0


def triple(x: torch.Tensor) -> torch.Tensor:
    return x * 3.0


def test_a_global_is_not_what_an_attribute_is_called(monkeypatch):
    def transposed(x):
        return x.WIDTH

    before = reading_of(transposed)
    monkeypatch.setitem(globals(), "WIDTH", 4.0)
    assert reading_of(transposed) == before


def test_whose_code_it_is_and_whether_it_shares_objects():
    for recipe in (model_0(), model_1()):
        assert recipe.reading().is_own
    assert reading_of(*mlp((2, 1), nn.functional.silu)).is_own
    users = reading_of(*mlp((2, 3, 1), lambda x: x.square()))
    assert not users.is_own
    for activation in (nn.functional.dropout, nn.Dropout(), nn.functional.rrelu, np.tanh):
        assert not reading_of(*mlp((2, 3, 1), activation)).is_own


def test_recipes_differ_by_what_they_compute():
    recipes = [
        model_1(),
        model_1(layer_sizes=(2, 8, 1)),
        model_1(activation="tanh"),
        model_1(learning_rate=0.02),
        model_1(optimizer="sgd"),
    ]
    codes = {recipe.describe()["code"] for recipe in recipes}
    assert len(codes) == len(recipes)
    assert reading_of(*adam(0.1)).digest != reading_of(*adam(0.1, b1=0.8)).digest
    assert reading_of(*sgd(0.1)).digest != reading_of(*sgd(0.1, momentum=0.9)).digest


def test_another_process_reads_the_same():
    script = (
        "import torch; from functional_clf.core.user_code import reading_of\n"
        "from functional_clf import model_1\n"
        "names = {'b', 'a', 'c'}\n"
        "def own(x, k=3): return [x, names, torch.relu, {'k': k}]\n"
        "print(model_1().describe()['code'], reading_of(own).digest)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_what_a_module_holds_is_read_whichever_function_meets_it_first():
    settings = types.ModuleType("some_settings")
    settings.width, settings.scale = 4, 1.0
    names = {"settings": settings}
    exec(
        "def init(x): return settings.width\n"
        "def apply(x): return helper(x, settings.width)\n"
        "def helper(x, width): return x * settings.scale",
        names,
    )
    for functions in ((names["init"], names["helper"]), (names["apply"],)):
        before = reading_of(*functions).digest
        assert reading_of(*functions).digest == before
        settings.scale += 1
        assert reading_of(*functions).digest != before


@pytest.mark.parametrize("file", ["<string>", "typed.py", "<stdin>"])
def test_code_that_lies_in_no_folder_is_a_users(file, monkeypatch):
    monkeypatch.chdir(Path(functional_clf.__file__).parent)
    found = []
    for number in (1, 2):
        names = {}
        exec(compile(f"def power(x): return x * {number}", file, "exec"), names)
        found.append(reading_of(names["power"]))
    assert found[0].digest != found[1].digest
    assert not found[0].is_own


def test_a_script_is_a_users_whatever_has_started_it(tmp_path):
    script = tmp_path / "script.py"
    found = []
    for number in (1, 2):
        script.write_text(
            "from functional_clf.core.user_code import reading_of\n"
            "class Part:\n"
            f"    def draw(self): return {number}\n"
            "print(reading_of(Part().draw).digest)\n"
        )
        command = [sys.executable, "-m", "cProfile", "-o", str(tmp_path / "p"), str(script)]
        found.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found[0] != found[1]


def test_a_folder_called_like_a_type_checker_hides_nothing(tmp_path):
    folder = tmp_path / "jaxtyping_of_mine"
    folder.mkdir()
    file = folder / "script.py"
    file.write_text(
        "import functools\n"
        "def times(k):\n"
        "    def decorate(function):\n"
        "        @functools.wraps(function)\n"
        "        def outer(x): return k * function(x)\n"
        "        return outer\n"
        "    return decorate\n"
    )
    names = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    one, other = (names["times"](k)(torch.relu) for k in (1, 100))
    assert reading_of(one).digest != reading_of(other).digest
    assert not reading_of(one).is_own


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.ma.array([1.0, 2.0], mask=[0, 1]), np.ma.array([1.0, 2.0], mask=[0, 0])),
        (defaultdict(int), defaultdict(list)),
    ],
)
def test_what_a_known_type_holds_beside_its_values_is_read(one, other):
    def read_of(value):
        return reading_of(lambda x: value).digest

    assert read_of(one) != read_of(other)
