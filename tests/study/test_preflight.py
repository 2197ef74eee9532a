"""Each of these studies would end in a number, or in a traceback, were it not looked at before."""

import itertools
import logging
import threading

import numpy as np
import pytest
import torch
from torch import nn

from functional_clf import Model, Optimizer, Recipe, Study, circles, mlp, mlp_recipe, model_1, sgd
from functional_clf.core.optim import adam
from functional_clf.data.dataset import Dataset

GOOD = mlp((2, 6, 1), torch.tanh)


def study_of(recipe, **changes):
    settings = {"dataset": circles(60), "seeds": 2, "engine": "eager"} | changes
    return Study(contestants=(recipe,), **settings)


def recipe_of(init=GOOD.init, apply=GOOD.apply, optimizer=None):
    return Recipe("own", Model(init, apply), optimizer or sgd(0.1), epochs=2)


def refusal(study, folder=None):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the callers look at the message
        study.run(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Models.


def weights(generator):
    return GOOD.init(generator)


def writing_into_x(params, x):
    x -= 0.05
    return GOOD.apply(params, x)


def writing_into_params(params, x):
    params["0.bias"].add_(0.1)
    return GOOD.apply(params, x)


def with_dropout(params, x):
    return GOOD.apply(params, nn.functional.dropout(x, 0.5))


def numpy_noise(params, x):
    return GOOD.apply(params, x) + np.random.normal()  # noqa: NPY002 - it is the fault


CALLS = []


def noting_calls(params, x):
    CALLS.append(1)
    return GOOD.apply(params, x)


NORM = nn.BatchNorm1d(2)


def normalised(params, x):
    return GOOD.apply(params, NORM(x))


@pytest.mark.parametrize(
    ("apply", "words"),
    [
        (writing_into_x, "model.apply changes its arguments in place"),
        (writing_into_params, "model.apply changes its arguments in place"),
        (with_dropout, "model.apply draws from a global random generator (a dropout"),
        (numpy_noise, "model.apply draws from a global random generator"),
        (noting_calls, "model.apply changes something outside of it (a counter"),
        (normalised, "model.apply changes something outside of it"),
        (lambda p, x: GOOD.apply(p, x)[:, None], "logits have shape (48, 1); for 48 samples"),
        (lambda p, x: GOOD.apply(p, x).mean(), "logits have shape ()"),
        (lambda p, x: GOOD.apply(p, x)[1:], "logits have shape (47,)"),
        (lambda p, x: (GOOD.apply(p, x),), "model.apply returned (tensor"),
        (lambda p, x: GOOD.apply(p, x @ torch.ones(3, 3)), "model.apply failed: mat1 and mat2"),
        (lambda p, x: p["nowhere"], "model.apply failed: KeyError: 'nowhere'"),
        (lambda p, x: GOOD.apply(p, x) if x.sum() > 0 else x[:, 0], "torch.func.vmap"),
    ],
)
@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_model_that_is_not_a_pure_function_of_its_samples_is_refused(apply, words, engine):
    message = refusal(study_of(recipe_of(apply=apply), engine=engine))
    assert message.startswith("recipe 'own': ")
    assert words.replace("returned (tensor", "returned") in message


@pytest.mark.parametrize(
    ("init", "words"),
    [
        (lambda g: {"w": torch.randn(2)}, "draws other weights when the same seed is drawn again"),
        (lambda g: [torch.zeros(2)], "returned [tensor([0., 0.])]; it must be a dict of tensors"),
        (lambda g: {}, "returned {}; it must be a dict"),
        (lambda g: {"a": {"w": torch.zeros(2)}}, "'a' is a dict; params are one flat dict"),
        (lambda g: {"a": 0.5}, "'a' is 0.5; it must be a tensor"),
        (lambda g: {0: torch.zeros(2)}, "one has the key 0; it must be a text"),
        (lambda g: {"seeds": torch.zeros(2)}, "one has the key 'seeds'"),
        (lambda g: {"__metadata__": torch.zeros(2)}, "one has the key '__metadata__'"),
        (lambda g: {"w": nn.Parameter(torch.zeros(2))}, "'w' requires grad; return it detached"),
        (lambda g: {"w": torch.zeros(2).double()}, "'w' is torch.float64; what is trained must be"),
        (lambda g: {"n": torch.zeros(2).long()}, "'n' is torch.int64; what is trained must be"),
        (lambda g: dict.fromkeys("ab", torch.zeros(2)), "one tensor as 'a' and as 'b'"),
        (lambda g: (w := torch.zeros(4)) is w and {"a": w, "b": w[1:3]}, "one tensor as 'a'"),
        (lambda g: {"w": torch.zeros(2 + g.initial_seed() % 2)}, "with one seed"),
    ],
)
def test_weights_that_cannot_be_kept_are_refused(init, words):
    message = refusal(study_of(recipe_of(init, lambda p, x: x[:, 0] * next(iter(p.values()))[0])))
    assert message.startswith("recipe 'own': model.init ")
    assert words in message


def test_parts_of_one_vector_are_weights_like_others():
    def init(generator):
        flat = torch.randn(6, generator=generator)
        return {"w": flat[:4].view(2, 2), "b": flat[4:]}

    def apply(params, x):
        return (x @ params["w"] + params["b"]).sum(-1)

    assert study_of(recipe_of(init, apply)).run().seeds.height == 2


def test_columns_of_one_matrix_are_weights_of_their_own():
    def init(generator):
        drawn = torch.randn(2, 3, generator=generator)
        return {"w": drawn[:, :2], "v": drawn[:, 2], "a": drawn[0, ::2].clone()}

    def apply(params, x):
        return (x @ params["w"]) @ params["v"]

    assert study_of(recipe_of(init, apply)).run().seeds.height == 2


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_weight_may_be_a_single_number(engine):
    def init(generator):
        return {"w": torch.randn(2, generator=generator), "b": torch.zeros(())}

    recipe = recipe_of(init, lambda p, x: x @ p["w"] + p["b"])
    assert study_of(recipe, engine=engine).run().seeds.height == 2


@pytest.mark.parametrize("activation", [nn.functional.dropout, nn.functional.rrelu])
def test_a_random_activation_is_refused(activation):
    message = refusal(study_of(Recipe("own", mlp((2, 3, 1), activation), sgd(0.1), 2)))
    assert "recipe 'own': " in message


def test_a_model_and_an_optimizer_are_not_taken_for_each_other():
    with pytest.raises(TypeError, match=r"it must be Model\(init, apply\), two functions"):
        Recipe("own", sgd(0.1), GOOD, epochs=2)


def test_a_counter_that_a_function_bears_is_refused():
    def update(grads, state, params):
        update.calls += 1
        return {key: -(0.1 if update.calls < 50 else 0.0) * g for key, g in grads.items()}, state

    update.calls = 0
    message = refusal(study_of(recipe_of(optimizer=Optimizer(lambda params: (), update))))
    assert "optimizer.update changes something outside of it" in message


# Optimizers.


def optimizer_of(init, update=None):
    plain = sgd(0.1)
    return Optimizer(init, update or plain.update)


def counting_schedule():
    count = itertools.count()
    steps = 0

    def update(grads, state, params):
        nonlocal steps
        steps += 1
        return {key: -0.1 / (1 + next(count)) * grad for key, grad in grads.items()}, state

    return Optimizer(lambda params: (), update)


def quiet_counter():
    steps = 0

    def update(grads, state, params):
        nonlocal steps
        steps += 1
        return {key: -(0.1 if steps < 100 else 0.01) * g for key, g in grads.items()}, state

    return Optimizer(lambda params: (), update)


def scaled(grads, state, params):
    return {key: -state["rate"] * grad for key, grad in grads.items()}, state


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (Optimizer(lambda p: {"rate": 0.1}, scaled), "torch.tensor(0.1)"),
        (Optimizer(lambda p: None, lambda g, s, p: (g, s)), "() for nothing"),
        (Optimizer(lambda p: nn.Parameter(torch.ones(1)), scaled), "requires grad; detach it"),
        (counting_schedule(), "returns other numbers when it is called again"),
        (quiet_counter(), "optimizer.update changes something outside of it (a counter"),
        (
            Optimizer(lambda p: {"rate": torch.tensor(0.1)}, lambda g, s, p: (g, {})),
            "returned a state of another form",
        ),
        (
            Optimizer(lambda p: (), lambda g, s, p: ({"w": 1}, s)),
            "the updates have the keys ['w']; the params have",
        ),
        (
            Optimizer(lambda p: torch.zeros(()), lambda g, s, p: (g, s + torch.ones(3))),
            "made of a torch.float32 tensor of shape () one of torch.float32 and (3,)",
        ),
        (
            Optimizer(lambda p: torch.zeros(()), lambda g, s, p: (g, s.add_(1))),
            "changes its arguments in place",
        ),
    ],
)
def test_optimizers_that_would_go_wrong_are_refused(optimizer, words):
    message = refusal(study_of(recipe_of(optimizer=optimizer)))
    assert message.startswith("recipe 'own': optimizer.")
    assert words in message


def reordering_adam():
    """Adam that returns its moments in another order, as groups of params with decay do."""
    plain = adam(0.05)

    def update(grads, state, params):
        updates, after = plain.update(grads, state, params)
        turned = {key: after.mu[key] for key in reversed(after.mu)}
        return dict(reversed(updates.items())), after._replace(mu=turned)

    return Optimizer(plain.init, update)


@pytest.mark.parametrize("engine", ["eager", "compile", "fused"])
def test_a_state_in_another_order_is_the_same_state(engine):
    losses = [
        study_of(
            Recipe("m", mlp((2, 6, 6, 1), torch.tanh), optimizer, 8), seeds=2, engine=engine
        ).run().seeds["train_loss"].to_list()
        for optimizer in (adam(0.05), reordering_adam())
    ]  # fmt: skip
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


# Warnings.


def warnings_of(study, caplog):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="functional_clf"):
        study.run()
    return [record.getMessage() for record in caplog.records if "own" in record.getMessage()]


def test_probabilities_in_place_of_logits_are_told(caplog):
    softened = recipe_of(apply=lambda p, x: torch.sigmoid(GOOD.apply(p, x)))
    (line,) = warnings_of(study_of(softened), caplog)
    assert "model.apply seems to return probabilities" in line
    for apply in (lambda p, x: GOOD.apply(p, x), lambda p, x: torch.relu(GOOD.apply(p, x))):
        assert warnings_of(study_of(recipe_of(apply=apply)), caplog) == []
    zero = recipe_of(lambda g: {"w": torch.zeros(2)}, lambda p, x: x @ p["w"])
    assert [
        "same weights for every seed" in one for one in warnings_of(study_of(zero), caplog)
    ] == [True]


def test_weights_that_training_never_meets_are_not_held_against_a_model(caplog):
    def init(generator):
        return {"s": torch.eye(2) + 0.1 * torch.rand(2, 2, generator=generator)}

    def apply(params, x):
        return (x @ torch.linalg.cholesky(params["s"] @ params["s"].mT))[:, 0]

    assert warnings_of(study_of(recipe_of(init, apply)), caplog) == []


def test_weights_alike_for_every_seed_are_told_or_refused(caplog):
    alike = recipe_of(init=lambda generator: GOOD.init(torch.Generator().manual_seed(0)))
    (line,) = warnings_of(study_of(alike), caplog)
    assert "model.init gives the same weights for every seed" in line
    for changes in ({"vary": "init"},):
        assert "no seed differs from another" in refusal(study_of(alike, **changes))
    both = Study(circles(60), (alike, model_1(epochs=2)), design="crossed", data_seeds=2,
                 init_seeds=2, engine="eager")  # fmt: skip
    assert "no seed differs from another" in refusal(both)


# Data.


def test_a_table_that_calls_itself_redrawn_is_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(100, 2))
    y = np.arange(100) % 2

    def shuffled(seed):
        order = np.random.default_rng(seed).permutation(100)
        return x[order], y[order]

    recipe = mlp_recipe("m", (2, 1), None, "sgd", 0.1, epochs=2)
    for draw in (lambda seed: (x, y), shuffled):
        study = study_of(recipe, dataset=Dataset("bc", 100, draw))
        assert "it is one fixed table" in refusal(study, tmp_path / "run")
        assert not (tmp_path / "run").exists()
        two = (recipe, mlp_recipe("n", (2, 1), None, "sgd", 0.2, epochs=2))
        crossed = Study(Dataset("bc", 100, draw), two, design="crossed", engine="eager")
        assert "it is one fixed table" in refusal(crossed)
        assert study_of(recipe, dataset=Dataset("bc", 100, draw), vary="split").run().study
    fixed = Dataset("bc", 100, lambda seed: (x, y), is_fixed=True)
    assert study_of(recipe, dataset=fixed).vary == "split"
    assert "new data from" not in study_of(recipe, dataset=fixed).run().conclusion
    for changes in ({"vary": "data"}, {"contestants": two, "design": "crossed"}):
        with pytest.raises(ValueError, match="is one fixed data set, of which nothing new"):
            Study(**{"dataset": fixed, "contestants": (recipe,)} | changes)
    with pytest.raises(ValueError, match="vary is 'data', but circles"):
        Study(circles(60, noise=0), vary="data")
    assert Study(circles(60, noise=0)).vary == "split"


def test_a_part_of_a_table_for_each_seed_is_told(caplog):
    x = np.random.default_rng(0).normal(size=(100, 2))

    def part(seed):
        rows = np.random.default_rng(seed).choice(100, 80, replace=False)
        return x[rows], (x[rows, 0] > 0).astype(int)

    recipe = mlp_recipe("m", (2, 1), None, "sgd", 0.1, epochs=2)
    (line,) = warnings_of(study_of(recipe, dataset=Dataset("own", 80, part)), caplog)
    assert "of 80 samples of one draw are in another one, too" in line


def test_a_draw_that_its_seed_does_not_decide_is_refused():
    generator = np.random.default_rng(0)

    def draw(seed):
        return generator.normal(size=(40, 2)), np.arange(40) % 2

    for is_fixed, vary in itertools.product((False, True), ("auto", "data", "split", "init")):
        if (is_fixed, vary) != (True, "data"):
            study = study_of(
                model_1(), dataset=Dataset("wild", 40, draw, {}, dict, is_fixed), vary=vary
            )
            assert "drew other samples when the same seed" in refusal(study)


def test_a_few_tables_in_turn_are_told(caplog):
    def draw(seed):
        rng = np.random.default_rng(seed // 3 % 10)
        return rng.normal(size=(40, 2)), np.arange(40) % 2

    recipe = mlp_recipe("m", (2, 1), None, "sgd", 0.1, epochs=2)
    study = study_of(recipe, dataset=Dataset("own", 40, draw), seeds=64)
    (line,) = warnings_of(study, caplog)
    assert "40 of 40 samples of one draw are in another one, too" in line


def test_a_few_points_drawn_again_by_chance_are_new_data(caplog):
    def draw(seed):
        x = np.random.default_rng(seed).integers(0, 2, size=(10, 1))
        return x, np.arange(10) % 2

    recipe = mlp_recipe("m", (1, 1), None, "sgd", 0.1, epochs=2)
    assert warnings_of(study_of(recipe, dataset=Dataset("own", 10, draw), seeds=40), caplog) == []


def test_only_the_seeds_of_a_study_and_seed_0_are_drawn():
    asked = set()

    def draw(seed):
        asked.add(seed)
        return np.random.default_rng(seed).normal(size=(40, 2)), np.arange(40) % 2

    study_of(model_1(epochs=2), dataset=Dataset("own", 40, draw), seeds=range(7, 8)).run()
    assert asked == {0, 21}


def test_a_draw_that_fails_is_named():
    message = refusal(study_of(model_1(), dataset=Dataset("own", 40, lambda: 0)))
    assert message.startswith("data set 'own', drawn with seed 0: draw failed: ")


def test_a_network_for_other_data_is_refused_on_every_engine(tmp_path):
    for sizes, engine in itertools.product(
        ((1, 16, 1), (3, 16, 1), (8, 4, 1)), ("auto", "eager", "compile", "fused")
    ):
        recipe = model_1(sizes, epochs=2)
        message = refusal(study_of(recipe, engine=engine), tmp_path / "run")
        assert f"layer_sizes is {sizes}, made for {sizes[0]} features; the data have 2" in message
    assert not (tmp_path / "run").exists()


def test_a_training_part_of_one_class_is_refused_before_anything_is_written(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = np.zeros(40)
    y[:2] = 1
    rare = Dataset("rare", 40, lambda seed: (x, y), is_fixed=True)
    message = refusal(study_of(model_1(epochs=2), dataset=rare, seeds=200), tmp_path / "run")
    assert "training samples are of class 0" in message
    assert not (tmp_path / "run").exists()


# Threads.


def test_global_generators_give_every_seed_its_own_numbers():
    def draw(seed):
        np.random.seed(seed)  # noqa: NPY002 - what many do
        return np.random.normal(size=(40, 2)), np.arange(40) % 2  # noqa: NPY002

    def init(generator):
        torch.manual_seed(generator.initial_seed())
        return {"w": torch.randn(2), "b": torch.randn(1)}

    recipe = recipe_of(init, lambda p, x: x @ p["w"] + p["b"])
    data = Dataset("global", 40, draw)
    one, two = (
        study_of(recipe, dataset=data, seeds=96, chunk_size=1, threads=threads).run().seeds
        for threads in (1, 4)
    )
    assert one.equals(two)


def test_a_module_that_threads_share_gives_the_numbers_of_one_thread():
    net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    seen = []

    def apply(params, x):
        seen.append(threading.get_ident())
        return torch.func.functional_call(net, params, (x,)).squeeze(-1)

    recipe = recipe_of(mlp((2, 8, 1), torch.relu).init, apply)
    with pytest.raises(ValueError, match="changes something outside of it"):
        study_of(recipe).run()
    quiet = recipe_of(
        mlp((2, 8, 1), torch.relu).init,
        lambda p, x: torch.func.functional_call(net, p, (x,)).squeeze(-1),
    )
    wanted = study_of(quiet, seeds=60, chunk_size=1, threads=1).run().seeds
    for _ in range(5):
        assert study_of(quiet, seeds=60, chunk_size=1, threads=2).run().seeds.equals(wanted)


# What a folder is told apart by.


def test_a_folder_goes_on_with_the_same_data_and_models_only(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 2))
    tables = [Dataset("t", 60, lambda seed, y=y: (x, y), is_fixed=True)
              for y in (np.arange(60) % 2, np.arange(60) // 30)]  # fmt: skip
    recipes = [
        Recipe("m", mlp((2, h, 1), torch.tanh), optimizer, epochs=2)
        for h, optimizer in ((1, adam(0.1)), (64, adam(0.1)), (1, sgd(0.1)))
    ]
    study_of(recipes[0], dataset=tables[0]).run(tmp_path)
    assert study_of(recipes[0], dataset=tables[0], seeds=3).run(tmp_path).seeds.height == 3
    for recipe, table, words in (
        (recipes[1], tables[0], "models.m.code is"),
        (recipes[2], tables[0], "models.m.code is"),
        (recipes[0], tables[1], "dataset.content is"),
    ):
        with pytest.raises(Exception, match=f"holds another study: {words}"):
            study_of(recipe, dataset=table).run(tmp_path)


def test_a_generator_that_differs_only_beyond_seed_0_is_another(tmp_path):
    def drawn_with(factor):
        def draw(seed):
            rng = np.random.default_rng(seed * factor)
            return rng.normal(size=(40, 2)), np.arange(40) % 2

        return Dataset("own", 40, draw)

    study_of(model_1(epochs=2), dataset=drawn_with(1)).run(tmp_path)
    with pytest.raises(Exception, match=r"holds another study: dataset\.code is"):
        study_of(model_1(epochs=2), dataset=drawn_with(7)).run(tmp_path)


def test_what_a_function_remembers_does_not_make_it_another(tmp_path):
    def remembering():
        memo = {}

        def apply(params, x):
            if len(x) not in memo:
                memo[len(x)] = len(x) / 1000
            return GOOD.apply(params, x * memo[len(x)])

        return recipe_of(apply=apply)

    for engine in ("eager", "auto"):
        folder = tmp_path / engine
        study_of(remembering(), engine=engine).run(folder)
        assert study_of(remembering(), engine=engine, seeds=3).run(folder).seeds.height == 3


def test_threads_take_turns_with_torchs_default_dtype():
    def init(generator):
        return {"w": torch.randn(2, 64, generator=generator), "v": torch.ones(64)}

    def apply(params, x):
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            third = torch.tensor(1 / 3)
        finally:
            torch.set_default_dtype(before)
        return ((torch.tanh(x @ params["w"]) @ params["v"]) * third).to(x.dtype)

    recipe = Recipe("own", Model(init, apply), sgd(0.01), 20)
    one, two = (
        Study(
            circles(500), (recipe,), seeds=16, chunk_size=4, engine="eager", threads=threads
        ).run()
        for threads in (1, 2)
    )
    assert one.seeds.equals(two.seeds)


def test_a_folder_holds_one_floating_point_type(tmp_path, request):
    study_of(model_1(epochs=2)).run(tmp_path)
    request.getfixturevalue("float64")
    with pytest.raises(Exception, match="dtype is 'float32' there, 'float64' asked"):
        study_of(model_1(epochs=2), seeds=4).run(tmp_path)
    assert study_of(model_1(epochs=2)).run().params["model_1"][1]["0.weight"].dtype == np.float64


def test_what_cannot_be_told_apart_has_no_folder(tmp_path, caplog):
    endless = itertools.repeat(1.0)
    unread = (one for one in endless)

    def apply(params, x):
        assert unread is not None
        return GOOD.apply(params, x)

    study = study_of(recipe_of(apply=apply))
    (line,) = warnings_of(study, caplog)
    assert "model.apply reads an object of type builtins.generator, of which nobody" in line
    assert "reads an object of type builtins.generator" in refusal(study, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    fused = study_of(recipe_of(apply=apply), engine="fused")
    assert "which may change unseen" in refusal(fused)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_number_from_outside_is_todays(engine, monkeypatch):
    monkeypatch.setitem(globals(), "SCALE", 1.0)
    recipe = recipe_of(apply=lambda p, x: GOOD.apply(p, x * SCALE))
    assert SCALE == 1.0
    before = study_of(recipe, engine=engine).run().seeds["train_loss"].to_list()
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    after = study_of(recipe, engine=engine).run().seeds["train_loss"].to_list()
    plain = recipe_of(apply=lambda p, x: GOOD.apply(p, x * 4.0))
    assert after == study_of(plain, engine=engine).run().seeds["train_loss"].to_list() != before


SCALE = 1.0


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_weights_in_an_order_of_each_seeds_own_are_the_same_weights(engine):
    def init(generator):
        order = "ab" if generator.initial_seed() % 2 else "ba"
        drawn = {key: torch.randn(2, generator=generator) for key in "ab"}
        return {key: drawn[key] for key in order}

    def apply(params, x):
        return x @ params["a"] + x.square() @ params["b"]

    turned = recipe_of(init, apply)
    plain = recipe_of(lambda g: dict(sorted(init(g).items())), apply)
    some, all_of_them = (
        study_of(one, engine=engine, seeds=range(1, 9), chunk_size=3).run().seeds
        for one in (turned, plain)
    )
    assert some.equals(all_of_them)


def test_reference_accuracies_are_looked_at_before_training(tmp_path):
    data = Dataset("own", 40, circles(40).draw, references=lambda: {"best": 99.9})
    message = refusal(study_of(model_1(epochs=2), dataset=data), tmp_path / "run")
    assert "references['best'] is 99.9" in message
    assert not (tmp_path / "run").exists()


def test_inference_mode_and_autocast_change_nothing():
    for engine in ("eager", "fused"):
        wanted = study_of(model_1(epochs=3), engine=engine).run().seeds
        modes = (torch.inference_mode(), torch.no_grad(), torch.autocast("cpu"))
        for mode in (*modes, torch.device("meta")):
            with mode:
                assert study_of(model_1(epochs=3), engine=engine).run().seeds.equals(wanted)


def test_params_keep_one_order_from_run_to_run(tmp_path):
    def init(generator):
        return {key: torch.randn(2, generator=generator) for key in "zaqmfb"}

    recipe = recipe_of(init, lambda p, x: sum(x @ value for value in p.values()))
    orders = [list(study_of(recipe).run(folder).params["own"][1]) for folder in (None, tmp_path)]
    assert orders == [sorted("zaqmfb")] * 2
