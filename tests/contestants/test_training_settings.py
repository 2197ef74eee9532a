"""Recipes whose training is said by plain values: what they are, and how they describe it."""

import dataclasses
import inspect
import json
from typing import get_args

import pytest
import torch

from functional_clf import (
    Study,
    adamw,
    chain,
    circles,
    clip_by_global_norm,
    cosine,
    mlp_recipe,
    sgd,
)
from functional_clf.contestants.base import Template
from functional_clf.contestants.methods import needs_steps, optimizer_of, training_of
from functional_clf.contestants.mlp import model_0, model_1, of_settings
from functional_clf.contestants.recipe import init_chunk
from functional_clf.contestants.settings import ActivationName, MlpSettings, TrainingSettings
from functional_clf.core.models import ACTIVATIONS
from functional_clf.core.optim import adam, rmsprop
from functional_clf.core.schedules import linear_warmup, one_cycle, step_decay
from functional_clf.core.stopping import EarlyStopping
from functional_clf.core.tasks import task_of
from functional_clf.core.types import Batch, Optimizer
from functional_clf.core.user_code import reading_of
from functional_clf.data.batches import ChunkData
from functional_clf.registry import CONTESTANTS, ENGINES, made_again
from functional_clf.study.replay import replay

# What is asked for, and the method of 100 steps that it means.
ASKED = {
    "sgd": (
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        sgd(0.01, 0.9, True, 0.1),
    ),
    "plain sgd": ({"optimizer": "sgd", "learning_rate": 0.1}, sgd(0.1)),
    "adam": ({"weight_decay": 0.1}, adam(0.01, weight_decay=0.1)),
    "adamw": ({"optimizer": "adamw"}, adamw(0.01)),
    "adamw with decay": (
        {"optimizer": "adamw", "weight_decay": 0.2},
        adamw(0.01, weight_decay=0.2),
    ),
    "adamw without decay": ({"optimizer": "adamw", "weight_decay": 0.0}, adam(0.01)),
    "rmsprop": ({"optimizer": "rmsprop", "momentum": 0.5}, rmsprop(0.01, momentum=0.5)),
    "cosine": ({"schedule": "cosine"}, adam(cosine(0.01, 100))),
    "one_cycle": ({"schedule": "one_cycle"}, adam(one_cycle(0.01, 100))),
    "step": ({"schedule": "step"}, adam(step_decay(0.01, 34, 0.1))),
    "warm-up": ({"warmup": 0.1}, adam(linear_warmup(0.01, 10))),
    "warm-up and cosine": (
        {"schedule": "cosine", "warmup": 0.001},
        adam(linear_warmup(cosine(0.01, 99), 1)),
    ),
    "clip": ({"clip": 2.0}, chain(clip_by_global_norm(2.0), adam(0.01))),
}


@pytest.mark.parametrize("name", ASKED)
def test_plain_values_mean_a_method(name):
    values, wanted = ASKED[name]
    settings = TrainingSettings(**values)
    assert reading_of(*optimizer_of(settings, 100)) == reading_of(*wanted)
    one, other = (optimizer_of(settings, steps) for steps in (100, 200))
    assert needs_steps(settings) == (reading_of(*one) != reading_of(*other))


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_the_shortest_trainings_have_a_schedule_too(schedule, steps):
    settings = TrainingSettings(schedule=schedule, warmup=0.9)
    optimizer = optimizer_of(settings, steps)
    params = {"w": torch.zeros(1)}
    state = optimizer.init(params)
    for _ in range(steps):
        before, (updates, state) = state, optimizer.update({"w": torch.ones(1)}, state, params)
    assert updates["w"].item() < 0, before  # the last step is never one of the climb


def test_records_of_plain_recipes_say_what_they_always_said():
    assert model_0().describe() == {
        "kind": "mlp",
        "name": "model_0",
        "epochs": 1000,
        "layer_sizes": [2, 5, 1],
        "activation": None,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "momentum": 0.0,
        "code": "1281cd2b5d5f77194e8242f7",
    }
    assert model_1().describe()["code"] == "443b8e3715ba4b2851019393"
    assert list(model_1().describe()) == list(model_0().describe())
    gelu = mlp_recipe("m", (2, 5, 3), "gelu", "adam", 0.1)
    assert gelu.describe()["code"] == "de989e0e02d1a1b8214b340b"


ALL = {
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "momentum": 0.8,
    "nesterov": True,
    "weight_decay": 1e-3,
    "schedule": "cosine",
    "warmup": 0.1,
    "clip": 1.0,
    "label_smoothing": 0.1,
    "epochs": 6,
    "batch_size": 16,
    "drop_last": True,
    "patience": 4,
    "validation": 0.2,
    "min_delta": 1e-4,
}


@pytest.mark.parametrize("values", [*(values for values, _ in ASKED.values()), ALL])
def test_what_is_described_is_made_again(values):
    recipe = mlp_recipe("m", (2, 5, 1), **values)
    for one in (recipe, recipe.for_samples(80)):
        description = json.loads(json.dumps(one.describe()))
        assert made_again(CONTESTANTS, description).describe() == one.describe()
    assert recipe.for_samples(80).is_own
    fitted = recipe.for_samples(80)
    assert ("steps" in fitted.settings) == needs_steps(TrainingSettings(**values))
    assert fitted.for_samples(80) is fitted


def test_all_of_it_reaches_the_recipe():
    recipe = mlp_recipe("m", hidden=(5,), activation="elu", **ALL).sized(2, 2).for_samples(80)
    assert (recipe.epochs, recipe.batch_size, recipe.drop_last) == (6, 16, True)
    assert recipe.stop == EarlyStopping(4, 0.2, 1e-4)
    assert recipe.label_smoothing == 0.1
    assert recipe.settings["steps"] == 6 * (64 // 16)
    method = sgd(linear_warmup(cosine(0.05, 22), 2), 0.8, True, 1e-3)
    wanted = chain(clip_by_global_norm(1.0), method)
    assert reading_of(*recipe.optimizer) == reading_of(*wanted)
    of_values = of_settings("m", MlpSettings(hidden=(5,), activation="elu", **ALL))
    assert isinstance(of_values, Template)
    assert of_values.sized(2, 2).for_samples(80).describe() == recipe.describe()


def test_every_setting_is_an_argument_with_the_same_default():
    known = inspect.signature(mlp_recipe).parameters
    for field in dataclasses.fields(TrainingSettings):
        default = known[field.name].default
        assert default == field.default or (field.name, default) == ("learning_rate", None)
    assert get_args(ActivationName) == tuple(ACTIVATIONS)


def test_a_schedule_fits_the_data_and_is_replayed(tmp_path):
    recipes = mlp_recipe("m", hidden=(4,), **ALL), model_0(hidden=(), epochs=3)
    results = Study(circles(100), recipes, seeds=2, engine="eager").run(tmp_path / "run")
    assert results.study.contestants[0].settings["steps"] == 6 * (64 // 16)
    assert [one.differences for one in replay(tmp_path / "run", seed=1).models] == [(), ()]
    other = Study(circles(200), recipes, seeds=2)
    assert (
        other.identity()["models"]["m"]["code"] != results.study.identity()["models"]["m"]["code"]
    )


def test_an_optimizer_of_ones_own_will_do():
    recipe = mlp_recipe("m", hidden=(4,), optimizer=adamw(3e-3), batch_size=8, stop=EarlyStopping())
    assert isinstance(recipe, Template)
    made = recipe.sized(3, 2)
    assert made.describe()["kind"] is None
    assert made.settings == {"layer_sizes": [3, 4, 1], "activation": "relu"}
    assert (made.batch_size, made.stop) == (8, EarlyStopping())
    assert reading_of(*made.optimizer) == reading_of(*adamw(3e-3))
    scheduled = mlp_recipe(
        "m", (3, 1), optimizer=lambda steps: adamw(cosine(3e-3, steps)), epochs=7
    )
    fitted = scheduled.for_samples(50)
    assert isinstance(fitted.optimizer, Optimizer)
    assert reading_of(*fitted.optimizer).digest == reading_of(*adamw(cosine(3e-3, 7))).digest


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"optimizer": "adam", "momentum": 0.5}, ValueError, "momentum is 0.5; Adam takes none"),
        ({"optimizer": "adamw", "momentum": 0.5}, ValueError, "momentum is 0.5; AdamW takes none"),
        ({"optimizer": "rmsprop", "nesterov": True}, ValueError, "nesterov is True; RMSprop takes"),
        ({"optimizer": "sgd", "nesterov": True}, ValueError, "nesterov is True and momentum 0.0"),
        ({"weight_decay": -1.0}, ValueError, "weight_decay is -1.0"),
        ({"schedule": "cosinus"}, ValueError, "schedule is 'cosinus'; it must be one of constant,"),
        ({"schedule": "cosine", "learning_rate": 0.0}, ValueError, "learning_rate is 0.0"),
        (
            {"warmup": 1.0},
            ValueError,
            r"warmup is 1.0; it must be a share of the steps, in \[0, 1\)",
        ),
        ({"warmup": "short"}, TypeError, "warmup is 'short'"),
        ({"warmup": 0.1, "schedule": "one_cycle"}, ValueError, "warmup is 0.1; one_cycle climbs"),
        ({"clip": 0.0}, ValueError, "clip is 0.0"),
        ({"clip": "much"}, TypeError, "clip is 'much'"),
        ({"label_smoothing": 1.0}, ValueError, "label_smoothing is 1.0"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"drop_last": True}, ValueError, "drop_last is True, but there are no batches"),
        ({"patience": 0}, ValueError, "patience is 0"),
        ({"patience": 3, "validation": 1.0}, ValueError, "validation is 1.0"),
        ({"validation": 0.3}, ValueError, "validation is 0.3, but nothing stops early"),
        ({"min_delta": 0.1}, ValueError, "min_delta is 0.1, but nothing stops early"),
        ({"patience": 3, "stop": EarlyStopping()}, ValueError, "patience is 3 and stop is Early"),
        ({"stop": 3}, TypeError, "stop is 3"),
        ({"steps": 10}, ValueError, "steps is 10, but nothing here depends on it"),
        ({"steps": 0, "schedule": "cosine"}, ValueError, "steps is 0"),
        (
            {"optimizer": sgd(0.1), "learning_rate": 0.01},
            ValueError,
            "learning_rate is 0.01 beside",
        ),
        ({"optimizer": sgd(0.1), "clip": 1.0}, ValueError, "clip is 1.0 beside an optimizer"),
        ({"optimizer": sgd(0.1), "schedule": "step"}, ValueError, "schedule is 'step' beside"),
        ({"optimizer": clip_by_global_norm(1.0)}, TypeError, "optimizer is "),
        ({"optimizer": None}, TypeError, "optimizer is None"),
    ],
)
@pytest.mark.parametrize("network", [{"hidden": (3,)}, {"layer_sizes": (2, 3, 1)}])
def test_what_is_no_training_is_refused_at_once_and_in_one_line(network, values, error, words):
    with pytest.raises(error, match=f"^{words}") as caught:
        mlp_recipe("m", **network, **values)
    assert "\n" not in str(caught.value)


def test_arguments_of_a_recipe_for_any_network():
    training = training_of(TrainingSettings(schedule="cosine", epochs=3, batch_size=4))
    assert (training["epochs"], training["batch_size"], training["stop"]) == (3, 4, None)
    assert reading_of(*training["optimizer"](9)) == reading_of(*adam(cosine(0.01, 9)))


@pytest.mark.parametrize("engine", ["eager", "fused"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_it_trains_as_a_loop_over_modules_does(engine, n_classes, float64):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 41, 5, generator=generator)
    y = torch.randint(n_classes, (2, 41), generator=generator)
    batch = Batch(x, y.double())
    data = ChunkData(batch, batch, task_of(n_classes))
    template = mlp_recipe(
        "m", hidden=(7,), activation="elu", optimizer="adamw", learning_rate=0.03, epochs=30,
        schedule="cosine", warmup=0.2, clip=0.4, label_smoothing=0.2,
    )  # fmt: skip
    recipe = template.sized(5, n_classes).for_samples(41)
    assert ENGINES[engine].why_not([recipe], data) is None
    start = init_chunk(recipe, [3, 4], torch.device("cpu"))
    found, curves = ENGINES[engine].train(recipe, start, data, 30)
    for lane in range(2):
        module = recipe.as_module()
        module.load_state_dict({key: value[lane] for key, value in start.params.items()})
        method = torch.optim.AdamW(module.parameters(), 0.03)
        for step in range(30):
            rate = linear_warmup(cosine(0.03, 24), 6)(torch.tensor(float(step)))
            method.param_groups[0]["lr"] = rate.item()
            logits, targets = module(x[lane]), y[lane]
            if n_classes == 2:  # as two logits, of which the first is 0
                logits = torch.cat([torch.zeros_like(logits), logits], 1)
            method.zero_grad()
            torch.nn.functional.cross_entropy(logits, targets, label_smoothing=0.2).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 0.4)
            method.step()
        for key, wanted in module.state_dict().items():
            moved = wanted - start.params[key][lane]
            assert moved.abs().max() > 1e-2
            torch.testing.assert_close(
                found.params[key][lane] - start.params[key][lane], moved, rtol=1e-9, atol=1e-11
            )
        # What is looked at is the plain loss.
        logits = module(x[lane])
        if n_classes == 2:
            logits = torch.cat([torch.zeros_like(logits), logits], 1)
        plain = torch.nn.functional.cross_entropy(logits, y[lane])
        torch.testing.assert_close(curves.train.loss[-1, lane], plain, rtol=1e-9, atol=0)
