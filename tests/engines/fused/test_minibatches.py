"""Minibatches, random orders and dropout in fused programs, beside the core's own definition."""

import ctypes

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

from functional_clf.contestants.mlp import mlp_recipe
from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core import random
from functional_clf.core.models import mlp
from functional_clf.core.optim import adam, sgd
from functional_clf.core.stopping import EarlyStopping
from functional_clf.core.tasks import Binary, MultiClass
from functional_clf.core.types import Batch, Model, StatefulModel
from functional_clf.data.batches import ChunkData
from functional_clf.data.tables import from_arrays
from functional_clf.engines.fused import c_programs, library
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.fused.form import Sizes
from functional_clf.engines.fused.print_c import _text
from functional_clf.engines.vmapped import EAGER
from functional_clf.study.study import Study

CPU = torch.device("cpu")


def chunk_of(width, samples, features, classes=2, n_test=20, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(features, classes, generator=generator, dtype=torch.float64)

    def batch(count):
        x = torch.randn(width, count, features, generator=generator, dtype=torch.float64)
        noise = torch.randn(width, count, classes, generator=generator, dtype=torch.float64)
        return Batch(x.to(dtype), (x @ weight + noise).argmax(-1).to(dtype))

    task = Binary() if classes == 2 else MultiClass(classes)
    return ChunkData(batch(samples), batch(n_test), task)


def assert_equivalent(recipe, data, tolerance=1e-9):
    """Both engines from the same start: params beside how far they went, counts exactly."""
    start = init_chunk(recipe, range(len(data.train.y)), CPU)
    assert FUSED.why_not([recipe], data) is None
    theirs, their_curves = EAGER.train(recipe, start, data, recipe.epochs)
    ours, our_curves = FUSED.train(recipe, start, data, recipe.epochs)
    for key, value in theirs.params.items():
        assert ours.params[key].dtype == value.dtype
        moved, apart = value - start.params[key], ours.params[key] - value
        for lane in range(len(value)):
            assert apart[lane].norm() <= tolerance * moved[lane].norm(), (key, lane)
    assert torch.equal(ours.step, theirs.step)
    assert torch.equal(ours.key, theirs.key)
    for our, their in (
        (our_curves.train, their_curves.train),
        (our_curves.test, their_curves.test),
    ):
        torch.testing.assert_close(our.loss, their.loss, rtol=tolerance, atol=0)
        if tolerance < 1e-8:
            assert torch.equal(our.correct, their.correct)
    for our, their in zip(
        *(pytree.tree_leaves(one.opt_state) for one in (ours, theirs)), strict=True
    ):
        torch.testing.assert_close(our, their, rtol=10 * tolerance, atol=1e-3 * tolerance)


@pytest.mark.parametrize(
    ("layer_sizes", "samples", "batch_size", "drop_last", "width"),
    [
        ((5, 7, 1), 23, 6, False, 3),
        ((5, 7, 1), 23, 6, True, 3),
        ((5, 7, 1), 23, 23, False, 1),
        ((5, 7, 1), 22, 7, False, 2),  # a rest of a single sample
        ((5, 7, 1), 9, 1, False, 2),  # batches of a single sample
        ((2, 1), 2, 1, False, 1),
        ((4, 5, 3), 40, 12, False, 3),
        ((4, 3), 33, 32, False, 2),
        ((30, 64, 64, 1), 455, 64, False, 2),
        ((64, 64, 10), 300, 128, False, 2),
        ((20, 128, 128, 1), 300, 256, False, 2),
        ((37, 70, 41, 3), 133, 50, False, 2),
        ((13, 1, 1), 50, 17, False, 1),
    ],
)
def test_batches_of_every_size_equal_the_eager_engine(
    layer_sizes, samples, batch_size, drop_last, width, float64
):
    recipe = Recipe(
        *("model", mlp(layer_sizes, torch.relu), adam(0.003), 7),
        batch_size=batch_size,
        drop_last=drop_last,
    )
    data = chunk_of(width, samples, layer_sizes[0], max(layer_sizes[-1], 2))
    assert_equivalent(recipe, data)


@pytest.mark.parametrize("optimizer", [sgd(0.05), sgd(0.05, momentum=0.9), adam(0.003)])
def test_large_weights_are_updated_as_small_ones(optimizer, float64):
    """From 512 weights on a leaf is written where it lies."""
    recipe = Recipe("model", mlp((9, 65, 33, 4), torch.tanh), optimizer, 6, batch_size=20)
    assert_equivalent(recipe, chunk_of(2, 51, 9, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batches_on_narrow_vectors_equal_the_eager_engine(dtype, monkeypatch):
    """On vectors of 16 bytes, which every machine has."""
    monkeypatch.setattr("functional_clf.engines.fused.inputs.vector_bytes", lambda: 16)
    recipe = Recipe("model", mlp((13, 50, 11, 3), torch.tanh), sgd(0.05), 5, batch_size=18)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        assert_equivalent(recipe, chunk_of(2, 77, 13, 3, dtype=dtype), tolerance)
    finally:
        torch.set_default_dtype(before)


def test_batches_in_float32_equal_the_eager_engine():
    recipe = Recipe("model", mlp((30, 64, 1), torch.relu), adam(0.003), 5, batch_size=16)
    assert_equivalent(recipe, chunk_of(3, 77, 30, dtype=torch.float32), tolerance=1e-4)


@pytest.mark.parametrize("layer_sizes", [(30, 64, 64, 1), (300, 128, 1), (37, 70, 41, 3)])
def test_large_matmuls_on_all_samples_equal_the_eager_engine(layer_sizes, float64):
    recipe = Recipe("model", mlp(layer_sizes, torch.relu), adam(0.003), 10)
    data = chunk_of(2, 211, layer_sizes[0], max(layer_sizes[-1], 2))
    start = init_chunk(recipe, range(2), CPU)
    theirs, _ = EAGER.train(recipe, start, data, 10)
    ours, _ = FUSED.train(recipe, start, data, 10)
    for key, value in theirs.params.items():
        assert (ours.params[key] - value).norm() <= 1e-9 * (value - start.params[key]).norm()


# The order of the samples.

MOST = 2000
_ORDER = """
#define REAL_IS_DOUBLE 0
#define VECTOR_BYTES {vector_bytes}
{kernels}
enum {{ FEATURES = 1, TRAIN_ROW = {most} }};
struct state {{ int leaf0[2]; long leaf1[1]; }};
struct take_batch {{ int none; }};
static void take_batch(struct take_batch *w, struct state *q, const real *x, const real *y) {{}}
static int samples, rounds;
#define TRAIN_SAMPLES samples
#define BATCH 1
#define BATCHES samples
#define REST 0
#define BATCH_ROW 8
#define REST_ROW 0
#define ORDER 0
#define ROUNDS rounds
#define KEY leaf0
#define STEP leaf1
{batches}
int draw(const int *key, int samples_, int rounds_, long epoch, unsigned *out)
{{
    struct take_step *w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);
    samples = samples_, rounds = rounds_;
    draw_order(w, key, epoch);
    memcpy(out, w->order, samples * sizeof *out);
    free(w);
    return 0;
}}
"""


def draw_order(most):
    """The orders of up to so many samples, as fused programs draw them."""
    source = _ORDER.format(
        most=most,
        vector_bytes=library.vector_bytes(),
        kernels="\n".join(map(_text, ("kernels.h", "large_matmuls.h", "random.h"))),
        batches=_text("batches.h").replace("[TRAIN_SAMPLES]", f"[{most}]"),
    )
    draw = library.load(source, entry="draw").draw

    def drawn(key, n, epoch):
        found = torch.empty(n, dtype=torch.int32)
        rounds = random.permutation_rounds(n)
        pointers = (ctypes.c_void_p(part.data_ptr()) for part in (key, found))
        key_at, found_at = pointers
        draw(key_at, n, rounds, ctypes.c_long(epoch), found_at)
        return found.long()

    return drawn


def the_core_s(key, n, epoch):
    return random.permutation(random.fold_in(random.fold_in(key, 0), epoch), n)


def test_the_order_is_the_core_s_own_for_every_number_of_samples():
    drawn, seeds = draw_order(MOST), (0, 7, 2**63 + 12345)
    for n in range(1, MOST + 1):
        key, epoch = random.key(seeds[n % 3]), n % 11
        assert torch.equal(drawn(key, n, epoch), the_core_s(key, n, epoch)), n


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**64 - 1])
def test_the_order_is_the_core_s_own_in_several_epochs_of_many_samples(seed):
    drawn, key = draw_order(70_000), random.key(seed)
    for epoch in (0, 1, 999, 2**31 + 5):
        assert torch.equal(drawn(key, 70_000, epoch), the_core_s(key, 70_000, epoch))


def test_each_replicate_has_an_order_of_its_own(float64):
    """The same samples and weights in each lane: what differs is drawn from the key."""
    recipe = Recipe("model", mlp((3, 4, 1), torch.tanh), sgd(0.1), 3, batch_size=5)
    data = chunk_of(1, 17, 3)
    data = pytree.tree_map_only(torch.Tensor, lambda part: part.expand(2, *part.shape[1:]), data)
    start = init_chunk(recipe, (0, 1), CPU)
    params = {key: value[:1].expand_as(value).contiguous() for key, value in start.params.items()}
    final, _ = FUSED.train(recipe, start._replace(params=params), data, 3)
    assert not torch.equal(*final.params["0.weight"])


# Dropout.


def dropout_mlp(layer_sizes, p):
    """A network with dropout behind its first layer, which draws as the core does."""
    whole = mlp(layer_sizes, torch.relu)

    def train_apply(params, buffers, x, key):
        hidden = torch.relu(x @ params["0.weight"].mT + params["0.bias"])
        kept = random.bernoulli(random.fold_in(key, 3), 1 - p, hidden.shape)
        hidden = torch.where(kept, hidden / (1 - p), 0.0)
        logits = hidden @ params["2.weight"].mT + params["2.bias"]
        return logits.squeeze(-1) if layer_sizes[-1] == 1 else logits, buffers

    return StatefulModel(lambda generator: (whole.init(generator), {}), whole.apply, train_apply)


@pytest.mark.parametrize(
    ("layer_sizes", "samples", "batch_size", "p"),
    [
        ((5, 16, 1), 45, 8, 0.5),
        ((5, 16, 1), 45, None, 0.3),
        ((5, 16, 1), 9, 2, 0.3),
        ((5, 7, 3), 1000, 300, 0.1),
        ((5, 300, 3), 900, 400, 0.25),  # several blocks
        ((5, 300, 3), 900, None, 0.25),
    ],
)
def test_dropout_draws_the_masks_of_the_core(layer_sizes, samples, batch_size, p, float64):
    """A single other bit would be a difference of the order of one."""
    recipe = Recipe("model", dropout_mlp(layer_sizes, p), adam(0.003), 4, batch_size=batch_size)
    assert_equivalent(recipe, chunk_of(2, samples, 5, max(layer_sizes[-1], 2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_masks_bit_for_bit(dtype, monkeypatch):
    """What is learned is how often each hidden place was kept: a sum of whole numbers, exact."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:

        def train_apply(params, buffers, x, key):
            kept = random.bernoulli(key, 0.7, (x.shape[0], 11))
            # The gradient of params["w"] is the mean of the logits' slopes times the mask.
            return (torch.where(kept, params["w"], 0.0)).sum(1) + x[:, 0] * 0, buffers

        model = StatefulModel(
            lambda generator: ({"w": torch.zeros(11)}, {}),
            lambda params, x: x[:, 0] * 0 + params["w"].sum(),
            train_apply,
        )
        recipe = Recipe("masks", model, sgd(1.0), 1)
        data = chunk_of(2, 64, 1, dtype=dtype)
        data = data._replace(train=data.train._replace(y=torch.zeros_like(data.train.y)))
        start = init_chunk(recipe, (3, 4), CPU)
        final, _ = FUSED.train(recipe, start, data, 1)
    finally:
        torch.set_default_dtype(before)
    for lane, seed in enumerate((3, 4)):
        noise = random.fold_in(random.fold_in(random.key(seed), 1), torch.tensor(0))
        kept = random.bernoulli(noise, 0.7, (64, 11)).sum(0)
        # Each sample's slope is sigmoid(0) / 64.
        assert torch.equal(final.params["w"][lane], -(kept * (0.5 / 64)).to(dtype))


# What must not matter.


def test_padding_never_leaks(float64, monkeypatch):
    """Whatever lies behind the last sample of a row of data."""
    recipe = Recipe("model", mlp((9, 40, 20, 3), torch.relu), adam(0.003), 4, batch_size=7)
    data = chunk_of(2, 45, 9, 3, n_test=11)
    start = init_chunk(recipe, range(2), CPU)
    clean, clean_curves = FUSED.train(recipe, start, data, 4)
    padded = c_programs._padded

    def poisoned(batch, sizes):
        x, y = padded(batch, sizes)
        n = batch.y.shape[1]
        x, y = x.clone(), y.clone()
        x[..., n:], y[..., n:] = torch.nan, torch.nan
        return Batch(x, y)

    monkeypatch.setattr(c_programs, "_padded", poisoned)
    dirty, dirty_curves = FUSED.train(recipe, start, data, 4)
    for one, other in zip(*map(pytree.tree_leaves, (clean, dirty)), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(clean_curves.test.loss, dirty_curves.test.loss)


@pytest.mark.parametrize("layer_sizes", [(5, 7, 1), (30, 64, 64, 1)])
def test_a_seed_s_bits_do_not_depend_on_its_neighbours(layer_sizes):
    recipe = Recipe("model", mlp(layer_sizes, torch.relu), adam(0.003), 5, batch_size=16)
    data = chunk_of(6, 77, layer_sizes[0], dtype=torch.float32)
    start = init_chunk(recipe, range(6), CPU)
    whole, curves = FUSED.train(recipe, start, data, 5)
    for lanes in ([0], [5], [1, 3], [4, 2, 0]):
        cut = lambda leaf: leaf[lanes]  # noqa: B023, E731
        part = data._replace(
            train=pytree.tree_map(cut, data.train), test=pytree.tree_map(cut, data.test)
        )
        alone, own_curves = FUSED.train(recipe, pytree.tree_map(cut, start), part, 5)
        for one, other in zip(*map(pytree.tree_leaves, (whole, alone)), strict=True):
            assert torch.equal(one[lanes], other)
        assert torch.equal(curves.train.loss[:, lanes], own_curves.train.loss)


def test_other_batches_are_another_program():
    data = chunk_of(1, 40, 3, dtype=torch.float32)
    sources = set()
    for batch_size, drop_last in ((None, False), (7, False), (7, True), (8, False), (40, False)):
        recipe = Recipe(
            *("model", mlp((3, 4, 1), torch.relu), sgd(0.1), 2),
            batch_size=batch_size,
            drop_last=drop_last,
        )
        sources.add(c_programs._source_for(recipe, data))
    assert len(sources) == 5


def test_a_plain_recipe_s_program_knows_no_batches():
    recipe = Recipe("model", mlp((3, 4, 1), torch.relu), sgd(0.1), 2)
    source = c_programs._source_for(recipe, chunk_of(1, 40, 3, dtype=torch.float32))
    assert "threefry" not in source
    assert "large_project" not in source


def test_sizes_tell_the_rest():
    assert Sizes(100, 50, torch.float32, 32).rest == 0
    assert Sizes(100, 50, torch.float32, 32, 32).rest == 4
    assert Sizes(100, 50, torch.float32, 32, 32, drop_last=True).rest == 0


# What is refused.


def test_early_stopping_is_refused():
    recipe = Recipe(
        *("model", mlp((3, 4, 1), torch.relu), sgd(0.1), 2), stop=EarlyStopping(patience=2)
    )
    assert "early stopping is not fused" in FUSED.why_not([recipe], chunk_of(1, 40, 3))


def test_a_batch_of_more_than_all_samples_is_refused(float64):
    recipe = Recipe("model", mlp((3, 4, 1), torch.relu), sgd(0.1), 2, batch_size=41)
    assert "a batch of 41 is more than 40 samples" in FUSED.why_not([recipe], chunk_of(1, 40, 3))


def test_a_model_that_treats_a_single_sample_in_another_way_is_refused(float64):
    whole = mlp((3, 4, 1), torch.relu)

    def apply(params, x):
        return whole.apply(params, x) if len(x) > 1 else whole.apply(params, 2 * x)

    recipe = Recipe("model", Model(whole.init, apply), sgd(0.1), 2, batch_size=3)
    assert "depend on the number of samples" in FUSED.why_not([recipe], chunk_of(1, 40, 3))


def test_a_stop_in_the_middle_is_obeyed(float64):
    recipe = Recipe("model", mlp((3, 4, 1), torch.relu), sgd(0.1), 300, batch_size=4)
    data = chunk_of(2, 40, 3)
    seen = []

    def after(steps):
        seen.append(steps)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FUSED.train(recipe, init_chunk(recipe, range(2), CPU), data, 300, after)
    assert seen


def test_epochs_are_what_is_counted(float64):
    recipe = Recipe("model", mlp((3, 4, 1), torch.relu), sgd(0.1), 300, batch_size=4)
    told = []
    final, _ = FUSED.train(
        recipe, init_chunk(recipe, range(2), CPU), chunk_of(2, 41, 3), 300, told.append
    )
    assert sum(told) == 300
    assert final.step.tolist() == [3300, 3300]


@pytest.mark.parametrize("hidden", [9, 11, 13])
def test_small_weights_of_odd_sizes_move_as_they_lie(hidden):
    """gcc 12 took vectors within such weights for aligned, and the process died."""
    data = from_arrays(*arrays(178, 12, 3), name="odd")
    recipe = mlp_recipe("odd", hidden=(hidden,), epochs=2, batch_size=37)
    rows = [
        Study(data, (recipe,), seeds=2, engine=engine, chunk_size=2).run().seeds["test_loss"]
        for engine in ("fused", "eager")
    ]
    np.testing.assert_allclose(*rows, rtol=1e-5)


def arrays(n_samples, n_features, n_classes):
    random = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    return random.normal(size=(n_samples, n_features)), y
