"""Recipes out of nn.Modules, held against plain training loops of the modules themselves."""

import functools
import inspect

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from functional_clf import Study, adam, blobs, module_recipe, sgd
from functional_clf.contestants.recipe import init_chunk
from functional_clf.core import random
from functional_clf.core.tasks import task_of
from functional_clf.core.train import NOISE, ORDER
from functional_clf.core.types import Batch
from functional_clf.data.batches import ChunkData
from functional_clf.engines.machine import one_torch_thread
from functional_clf.registry import ENGINES

CPU = torch.device("cpu")
N_FEATURES, N_TRAIN, BATCH = 64, 22, 8  # two whole batches and a rest of 6


class Fed(nn.Module):
    """A dropout whose noise is drawn from the key that the reference's loop gives it."""

    def __init__(self, p, key_of):
        super().__init__()
        self.p, self.key_of = p, key_of

    def forward(self, x):
        if not self.training:
            return x
        keep = random.bernoulli(self.key_of(), 1 - self.p, x.shape).to(x.dtype)
        return x * (keep / (1 - self.p))


def mlp_with_batch_norm(n_features, n_classes):
    return nn.Sequential(
        nn.Linear(n_features, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(16, 8),
        nn.Dropout(0.4),
        nn.BatchNorm1d(8, momentum=None, affine=False),
        nn.Linear(8, n_classes),
    )


class Images(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 6, 3, groups=2)
        self.pool, self.mean = nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2)
        self.out = nn.Linear(24, n_classes)

    def forward(self, x):
        hidden = self.pool(self.norm(self.first(x.view(-1, 1, 8, 8))).relu())
        return self.out(self.mean(self.second(hidden)).flatten(1))


class Signals(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 8, 3, stride=2), nn.GroupNorm(2, 8)
        self.pool, self.last = nn.AvgPool1d(2), nn.LayerNorm(24)
        self.out = nn.Linear(24, n_classes)

    def forward(self, x):
        hidden = self.norm(self.conv(x.reshape(-1, 4, 16))).tanh()
        return self.out(self.last(self.pool(hidden).flatten(1)))


class Words(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.embedding = nn.Embedding(7, 5, padding_idx=0)
        self.out = nn.Linear(5, n_classes)

    def forward(self, x):
        return self.out(self.embedding(x.abs().clamp(0, 6).long()).mean(1))


class Attention(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, n_classes)

    def forward(self, x):
        hidden = self.layer(x.reshape(-1, 8, 8))
        hidden = hidden + self.attention(hidden, hidden, hidden)[0]
        return self.out(hidden.mean(1))


class ResidualAndTied(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.one, self.other = nn.Linear(n_features, n_features), nn.Linear(n_features, n_features)
        self.other.weight = self.one.weight
        self.frozen = nn.Linear(n_features, n_features).requires_grad_(False)
        self.out = nn.Linear(n_features, n_classes)

    def forward(self, x):
        hidden = x + self.other(self.one(x).relu())
        return self.out(hidden + self.frozen(hidden))


class Recurrent(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.lstm = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(12, 4, batch_first=True)
        self.out = nn.Linear(4, n_classes)

    def forward(self, x):
        return self.out(self.gru(self.lstm(x.reshape(-1, 8, 8))[0])[0][:, -1])


class InPlaceAndWithoutGradients(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.one, self.out = nn.Linear(n_features, 8), nn.Linear(8, n_classes)
        self.norm = nn.InstanceNorm1d(8, track_running_stats=True)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        with torch.no_grad():
            hidden = self.one(x)
            if self.training:
                self.mean = 0.9 * self.mean + 0.1 * hidden.mean(0)
        filled = torch.zeros(len(x), 8, dtype=x.dtype)
        filled += self.one(x).tanh()
        filled = self.norm(filled[:, :, None] * torch.ones(3, dtype=x.dtype).cumsum(0))[..., 0]
        return self.out(functional.relu(filled + hidden - self.mean, inplace=True))


FACTORIES = {
    one.__name__: one
    for one in (
        *(mlp_with_batch_norm, Images, Signals, Words, Attention, ResidualAndTied, Recurrent),
        InPlaceAndWithoutGradients,
    )
}


def data_of(n_replicates=2, n_classes=3, n_train=N_TRAIN):
    generator = torch.Generator().manual_seed(0)
    dtype = torch.get_default_dtype()

    def batch(n):
        x = torch.randn(n_replicates, n, N_FEATURES, generator=generator, dtype=torch.float64)
        y = torch.randint(n_classes, (n_replicates, n), generator=generator)
        # Features first, as chunks lie in memory.
        return Batch((2 * x).to(dtype).mT.contiguous().mT, y.to(dtype))

    return ChunkData(batch(n_train), batch(7), task_of(n_classes))


def recipe_of(factory, n_classes=3, optimizer=None, epochs=2, **settings):
    settings = {"batch_size": BATCH, **settings}
    optimizer = sgd(0.1, momentum=0.9) if optimizer is None else optimizer
    template = module_recipe("module", factory, optimizer, epochs, **settings)
    return template.sized(N_FEATURES, n_classes)


def trained(recipe, data, engine="eager", seeds=None):
    seeds = range(len(data.train.y)) if seeds is None else seeds
    state = init_chunk(recipe, seeds, CPU)
    with one_torch_thread():  # as a study; on several MKL splits a lone replicate's sums
        return state, ENGINES[engine].train(recipe, state, data, recipe.epochs)[0]


def reference(factory, batch, seed, n_classes=3, epochs=2):
    """A plain loop around the module itself: weights and buffers before and after."""
    torch.manual_seed(seed)
    module = factory(N_FEATURES, n_classes)
    key, place, number = random.key(seed), {"step": 0}, {"draw": 0}

    def next_key():
        step_key = random.fold_in(random.fold_in(key, NOISE), place["step"])
        number["draw"] += 1
        return random.fold_in(step_key, number["draw"] - 1)

    for name, part in list(module.named_children()):
        if isinstance(part, nn.Dropout):
            setattr(module, name, Fed(part.p, next_key))
    before = {name: value.detach().clone() for name, value in module.state_dict().items()}
    learned = [one for one in module.parameters() if one.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=0.1, momentum=0.9)
    for epoch in range(epochs):
        order = random.permutation(random.fold_in(random.fold_in(key, ORDER), epoch), len(batch.y))
        for rows in order.split(BATCH):
            module.train()
            number["draw"] = 0
            optimizer.zero_grad()
            loss = functional.cross_entropy(
                module(batch.x[rows].contiguous()), batch.y[rows].long()
            )
            loss.backward()
            optimizer.step()
            place["step"] += 1
    return before, module


def check_against_reference(name, engine):
    factory, data = FACTORIES[name], data_of()
    recipe = recipe_of(factory)
    start, end = trained(recipe, data, engine)
    logits = torch.func.vmap(recipe.model.apply)(end.params | end.buffers, data.test.x)
    for seed in range(2):
        batch = Batch(*(part[seed] for part in data.train))
        before, module = reference(factory, batch, seed)
        after = module.state_dict()
        for key, value in (end.params | end.buffers).items():
            first = (start.params | start.buffers)[key][seed]
            assert torch.equal(first, before[key]), key
            if not value.is_floating_point():
                assert torch.equal(value[seed], after[key]), key
                continue
            moved, wanted = value[seed] - first, after[key] - before[key]
            error = (moved - wanted).abs().max() if value.numel() else 0.0
            assert error <= 1e-9 * max(1.0, float(wanted.abs().max())), key
        with torch.no_grad():
            expected = module.eval()(data.test.x[seed].contiguous())
        torch.testing.assert_close(logits[seed], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", FACTORIES)
def test_eager_training_is_that_of_the_module(name, float64):
    check_against_reference(name, "eager")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp_with_batch_norm", "Images", "Attention"])
def test_compiled_training_is_that_of_the_module(name, float64):
    check_against_reference(name, "compile")


@pytest.mark.parametrize("name", ["mlp_with_batch_norm", "Attention", "Images"])
def test_a_seeds_bits_do_not_depend_on_its_place(name):
    recipe, data = recipe_of(FACTORIES[name]), data_of(4)
    _, end = trained(recipe, data)
    order = [2, 0, 3, 1]
    moved = data._replace(
        train=Batch(*(part[order] for part in data.train)),
        test=Batch(*(part[order] for part in data.test)),
    )
    _, other = trained(recipe, moved, seeds=order)
    for one, again in ((end.params, other.params), (end.buffers, other.buffers)):
        for key, value in one.items():
            assert torch.equal(value[order], again[key]), key


def test_a_seeds_bits_do_not_depend_on_the_width_with_batch_norm_and_dropout():
    recipe, data = recipe_of(mlp_with_batch_norm), data_of(16)
    _, wide = trained(recipe, data)
    for lanes in ([0], [5], [3, 9, 15]):
        some = data._replace(
            train=Batch(*(part[lanes] for part in data.train)),
            test=Batch(*(part[lanes] for part in data.test)),
        )
        _, narrow = trained(recipe, some, seeds=lanes)
        for key, value in (wide.params | wide.buffers).items():
            assert torch.equal(value[lanes], (narrow.params | narrow.buffers)[key]), key


def test_noise_is_the_keys_and_evaluation_has_none():
    recipe = recipe_of(mlp_with_batch_norm)
    params, buffers = recipe.model.init(torch.Generator().manual_seed(0))
    x = data_of(1).train.x[0]
    first, after = recipe.model.train_apply(params, buffers, x, random.key(3))
    again, _ = recipe.model.train_apply(params, buffers, x, random.key(3))
    other, _ = recipe.model.train_apply(params, buffers, x, random.key(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert int(after["1.num_batches_tracked"]) == 1
    assert int(buffers["1.num_batches_tracked"]) == 0
    weights = params | buffers
    assert torch.equal(recipe.model.apply(weights, x), recipe.model.apply(weights, x))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.Dropout1d(0.5),
        lambda: nn.AlphaDropout(0.5),
        lambda: nn.FeatureAlphaDropout(0.5),
    ],
)
def test_every_dropout_draws_from_the_key(layer):
    class Net(nn.Module):
        def __init__(self, n_features, n_classes):
            super().__init__()
            self.noise, self.out = layer(), nn.Linear(n_features, n_classes)

        def forward(self, x):
            return self.out(self.noise(x.view(-1, 4, 16)).flatten(1))

    recipe = recipe_of(Net)
    params, _ = recipe.model.init(torch.Generator().manual_seed(0))
    x = data_of(1).train.x[0]
    state = torch.get_rng_state()
    one, again, other = (
        recipe.model.train_apply(params, {}, x, random.key(seed))[0] for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_dropout_of_attention_draws_from_the_key():
    class Net(nn.Module):
        def __init__(self, n_features, n_classes):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)
            self.out = nn.Linear(8, n_classes)

        def forward(self, x):
            return self.out(self.layer(x.view(-1, 8, 8)).mean(1))

    recipe = recipe_of(Net)
    data = data_of()
    recipe.model.apply(recipe.model.init(torch.Generator())[0], data.train.x[0])  # checks it
    _, one = trained(recipe, data)
    _, again = trained(recipe, data)
    assert all(torch.equal(value, again.params[key]) for key, value in one.params.items())


@pytest.mark.parametrize("shape", ["pair", "column", "flat"])
def test_two_classes_take_two_logits_or_one(shape, float64):
    class Net(nn.Module):
        def __init__(self, n_features, n_classes):
            super().__init__()
            self.out = nn.Linear(n_features, 2 if shape == "pair" else 1)

        def forward(self, x):
            output = self.out(x)
            return output[:, 0] if shape == "flat" else output

    recipe, data = recipe_of(Net, n_classes=2), data_of(1, n_classes=2)
    params, _ = recipe.model.init(torch.Generator().manual_seed(0))
    x, y = data.train.x[0], data.train.y[0]
    logits = recipe.model.apply(params, x)
    output = functional.linear(x, params["out.weight"], params["out.bias"])
    if shape == "pair":
        wanted = functional.cross_entropy(output, y.long())
    else:
        wanted = functional.binary_cross_entropy_with_logits(output[:, 0], y)
    torch.testing.assert_close(data.task.loss(logits, y), wanted, rtol=1e-12, atol=0)


def test_initial_weights_are_the_factorys_under_the_seed_and_leave_no_trace():
    recipe = recipe_of(mlp_with_batch_norm)
    states = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    params, _ = recipe.model.init(torch.Generator().manual_seed(11))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tobytes() == states[1]  # noqa: NPY002
    torch.manual_seed(11)
    module = mlp_with_batch_norm(N_FEATURES, 3)
    assert all(torch.equal(params[name], value) for name, value in module.named_parameters())
    assert not any(value.requires_grad for value in params.values())


def test_the_identity_is_the_code_of_the_factory_and_what_it_reads():
    def factory_of(width):
        return lambda n_features, n_classes: nn.Sequential(
            nn.Linear(n_features, width), nn.Linear(width, n_classes)
        )

    def code(factory):
        return recipe_of(factory).describe()["code"]

    one = factory_of(4)
    first = recipe_of(one)
    before = first.describe()["code"]
    first.model.apply(first.model.init(torch.Generator())[0], data_of(1).train.x[0])
    assert first.describe()["code"] == before == code(factory_of(4)) is not None
    assert code(factory_of(5)) != before
    assert code(functools.partial(Scaled, factor=2.0)) != code(
        functools.partial(Scaled, factor=3.0)
    )
    assert code(Scaled) != code(Images)
    described = recipe_of(Images).describe()
    assert described["factory"] == f"{Images.__module__}:Images"
    assert described["batch_size"] == BATCH


class Scaled(nn.Linear):
    def __init__(self, n_features, n_classes, factor=1.0):
        super().__init__(n_features, n_classes)
        self.factor = factor

    def forward(self, x):
        return super().forward(x) * self.factor


def sequential(*parts):
    def factory(n_features, n_classes):
        return nn.Sequential(
            nn.Linear(n_features, 8), *(part() for part in parts), nn.Linear(8, n_classes)
        )

    return factory


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Item(nn.Module):
    def forward(self, x):
        return x * x.abs().max().item()


class Masked(nn.Module):
    def forward(self, x):
        return x + x[x > 0].mean()


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x) if self.training else x


class NoisyByNumPy(nn.Module):
    def forward(self, x):
        return x * np.random.uniform()  # noqa: NPY002


class AlwaysDropping(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5)


class Clamping(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(8))

    def forward(self, x):
        with torch.no_grad():
            self.weight.clamp_(0, 0.5)
        return x * self.weight


class ClampingData(Clamping):
    def forward(self, x):
        self.weight.data.clamp_(0, 0.5)
        return x * self.weight


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class StraightThrough(nn.Module):
    def forward(self, x):
        return _Sign.apply(x)


class ByNumPy(nn.Module):
    def forward(self, x):
        return torch.from_numpy(np.tanh(x.detach().numpy()))


REFUSED = {
    Branching: r"submodule '1' \(Branching\) asks for the value of a tensor in Python",
    Item: r"submodule '1' \(Item\) asks for the value of a tensor in Python",
    Masked: r"submodule '1' \(Masked\) makes a tensor whose shape depends on values",
    Noisy: r"submodule '1' \(Noisy\) draws random numbers of its own \(randn_like\)",
    NoisyByNumPy: r"draws random numbers of its own \(Python's random or numpy.random\)",
    nn.RReLU: r"submodule '1' \(RReLU\) draws random numbers of its own",
    AlwaysDropping: r"submodule '1' \(AlwaysDropping\) drops out in evaluation, too",
    Clamping: r"forward changes the parameter '1.weight' in place",
    ClampingData: r"forward changes the parameter '1.weight' in place",
    Counting: r"submodule '1' \(Counting\) changes its attribute 'calls' whenever it runs",
    StraightThrough: r"the gradient of the parameter '0.weight' is not that of the forward pass",
    ByNumPy: r"submodule '1' \(ByNumPy\)",
}


@pytest.mark.parametrize("part", REFUSED, ids=lambda part: part.__name__)
def test_what_cannot_work_is_one_line_that_names_the_submodule(part):
    template = module_recipe("odd", sequential(part), epochs=1, batch_size=8)
    study = Study(blobs(40, n_classes=3), (template,), seeds=2, engine="eager")
    with pytest.raises(ValueError, match=REFUSED[part]) as caught:
        study.run()
    assert "\n" not in str(caught.value)
    assert "recipe 'odd'" in str(caught.value)


def shared(n_features, n_classes, made=[]):  # noqa: B006
    made.append(nn.Linear(n_features, n_classes))
    return made[0]


def seeding_itself(n_features, n_classes):
    torch.manual_seed(0)
    return nn.Linear(n_features, n_classes)


class WithTensor(nn.Linear):
    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.scale = torch.rand(3)


ONE_LAYER = nn.Linear(2, 8)

BAD_FACTORIES = {
    "fails": (lambda a, b: nn.Linear(a, -b), "failed for 2 features and 3 classes"),
    "returns no module": (lambda a, b: None, "returned None; it must return an nn.Module"),
    "returns a class": (lambda a, b: nn.Linear, "it must return an nn.Module"),
    "the same module": (shared, "returned the same module twice"),
    "a shared layer": (
        lambda a, b: nn.Sequential(ONE_LAYER, nn.Linear(8, b)),
        "share the parameter '0.weight'",
    ),
    "its own seed": (seeding_itself, "made the same weights for two seeds"),
    "a tensor": (WithTensor, "drew the attribute 'scale' of the module .* anew"),
    "lazy": (lambda a, b: nn.LazyLinear(b), "has no size yet"),
    "nothing to train": (lambda a, b: nn.ReLU(), "without a parameter to train"),
    "complex": (lambda a, b: nn.Linear(a, b, dtype=torch.complex64), "real floating-point"),
}


@pytest.mark.parametrize("name", BAD_FACTORIES)
def test_a_factory_that_cannot_work_is_one_line(name):
    factory, wanted = BAD_FACTORIES[name]
    template = module_recipe("odd", factory)
    with pytest.raises(ValueError, match=wanted) as caught:
        template.sized(2, 3)
    assert "\n" not in str(caught.value)
    assert "recipe 'odd'" in str(caught.value)


@pytest.mark.parametrize(
    ("factory", "wanted"),
    [
        (None, "factory is None; it must be a function"),
        ("nets:mlp", "factory is 'nets:mlp'; it must be a function"),
        (nn.Linear(2, 2), "one module, whose weights all seeds would share"),
        (lambda n_features: None, r"takes \(n_features\); it must take two arguments"),
        (lambda: None, r"takes \(\); it must take two arguments"),
    ],
)
def test_what_is_no_factory_is_one_line(factory, wanted):
    with pytest.raises(TypeError, match=wanted):
        module_recipe("odd", factory)


@pytest.mark.parametrize(
    ("factory", "wanted"),
    [
        (lambda a, b: nn.Linear(a, b + 1), r"returned the shape \(\d+, 4\) for \d+ samples of 3"),
        (lambda a, b: nn.Sequential(nn.Linear(a, b), nn.Flatten(0)), r"it must be \(\d+, 3\)"),
        (lambda a, b: Pair(a, b), "returned a tuple; it must return one tensor of logits"),
        (lambda a, b: nn.Linear(a + 1, b), r"the module \(Linear\) failed"),
    ],
)
def test_a_wrong_output_is_one_line(factory, wanted):
    study = Study(blobs(40, n_classes=3), (module_recipe("odd", factory),), seeds=2)
    with pytest.raises(ValueError, match=wanted) as caught:
        study.run()
    assert "\n" not in str(caught.value)


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


def test_a_last_batch_of_one_sample_is_told():
    template = module_recipe("bn", sequential(lambda: nn.BatchNorm1d(8)), batch_size=31, epochs=1)
    study = Study(blobs(40, n_classes=3), (template,), seeds=2, engine="eager")  # 32 to train on
    with pytest.raises(ValueError, match=r"a batch of one sample .* drop_last=True"):
        study.run()


def test_probabilities_are_warned_of(caplog):
    template = module_recipe(
        "soft", lambda a, b: nn.Sequential(nn.Linear(a, b), nn.Softmax(-1)), epochs=2
    )
    Study(blobs(40, n_classes=3), (template,), seeds=2, engine="eager").run()
    assert "seems to return probabilities" in caplog.text


def test_a_study_of_modules_runs_resumes_and_keeps_its_weights(tmp_path):
    recipes = [
        module_recipe("bn", mlp_with_batch_norm, adam(1e-2), 3, batch_size=16),
        module_recipe("line", nn.Linear, adam(1e-2), 3, batch_size=16),
    ]
    data = blobs(80, n_classes=3)
    first = Study(data, recipes, seeds=3, engine="eager", chunk_size=2).run(tmp_path)
    more = Study(data, recipes, seeds=5, engine="eager", chunk_size=2).run(tmp_path)
    alone = Study(data, recipes, seeds=range(4, 5), engine="eager", chunk_size=2).run()
    columns = ["model", "seed", "test_loss", "test_correct"]
    assert (
        more.seeds.select(columns)
        .filter(more.seeds["seed"] < 3)
        .sort(columns)
        .equals(first.seeds.select(columns).sort(columns))
    )
    assert (
        more.seeds.select(columns)
        .filter(more.seeds["seed"] == 4)
        .sort(columns)
        .equals(alone.seeds.select(columns).sort(columns))
    )


def test_the_public_name_is_documented():
    assert inspect.getdoc(module_recipe)
