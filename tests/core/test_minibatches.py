"""Minibatches against the loop as it is taught, over the same batches."""

import pytest
import torch
from torch import nn

from functional_clf.core import random
from functional_clf.core.minibatches import make_epoch_step, steps_per_epoch
from functional_clf.core.models import mlp, sequential
from functional_clf.core.optim import adam
from functional_clf.core.tasks import MultiClass
from functional_clf.core.train import NOISE, ORDER, init_state, make_train_step
from functional_clf.core.types import Batch, StatefulModel

EPOCHS = 8


def samples(n, n_classes=2):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return Batch(x, torch.randint(n_classes, (n,), generator=generator).double())


def double(state):
    params = {name: param.double() for name, param in state.params.items()}
    return state._replace(params=params)


def start_of(model, optimizer, seed=3):
    state = double(init_state(model, optimizer, seed, is_keyed=True))
    return state._replace(opt_state=optimizer.init(state.params))


@pytest.mark.parametrize(
    ("n", "batch_size", "drop_last"),
    [
        (50, 16, False),
        (50, 16, True),
        (48, 16, False),
        (17, 17, False),
        (9, 1, False),
        (7, 4, True),
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_an_epoch_is_the_classic_loop_over_the_same_batches(n, batch_size, drop_last, n_classes):
    sizes = (3, 8, 1 if n_classes == 2 else n_classes)
    model, optimizer, train = mlp(sizes, torch.tanh), adam(0.01), samples(n, n_classes)
    task = {} if n_classes == 2 else {"task": MultiClass(n_classes)}
    epoch_step = make_epoch_step(make_train_step(model, optimizer, **task), batch_size, drop_last)
    state = start = start_of(model, optimizer)

    module = sequential(sizes, "tanh").double()
    module.load_state_dict(start.params)
    classic = torch.optim.Adam(module.parameters(), lr=0.01)
    labels = train.y if n_classes == 2 else train.y.long()
    loss_of = nn.functional.binary_cross_entropy_with_logits
    loss_of = loss_of if n_classes == 2 else nn.functional.cross_entropy
    orders = []
    for epoch in range(EPOCHS):
        state = epoch_step(state, train)
        order = random.permutation(random.fold_in(random.fold_in(random.key(3), ORDER), epoch), n)
        orders.append(order.tolist())
        batches = order.split(batch_size)
        for rows in batches[: n // batch_size] if drop_last else batches:
            outputs = module(train.x[rows])
            loss = loss_of(outputs.squeeze(-1) if n_classes == 2 else outputs, labels[rows])
            classic.zero_grad()
            loss.backward()
            classic.step()

    theirs = module.state_dict()
    moved = torch.cat([(theirs[name] - start.params[name]).ravel() for name in theirs]).norm()
    apart = torch.cat([(state.params[name] - theirs[name]).ravel() for name in theirs]).norm()
    assert apart < 1e-9 * moved
    assert int(state.step) == EPOCHS * steps_per_epoch(n, batch_size, drop_last)
    assert len({tuple(order) for order in orders}) == (EPOCHS if n > 5 else len(orders))


def test_noise_is_drawn_from_the_key_of_the_step():
    """A dropout of the features, written out with the keys that the contract says."""
    inner, optimizer, train = mlp((3, 4, 1), torch.tanh), adam(0.01), samples(20)

    def train_apply(params, buffers, x, key):
        kept = random.bernoulli(key, 0.7, x.shape)
        return inner.apply(params, x * kept / 0.7), {"seen": buffers["seen"] + len(x)}

    model = StatefulModel(
        lambda generator: (inner.init(generator), {"seen": torch.zeros((), dtype=torch.int64)}),
        lambda weights, x: inner.apply({k: v for k, v in weights.items() if k != "seen"}, x),
        train_apply,
    )
    state = start = start_of(model, optimizer)
    step = make_train_step(model, optimizer)
    for _ in range(3):
        state, _ = step(state, train)

    plain = make_train_step(inner, optimizer)
    expected = start._replace(buffers={}, key=(), step=())
    for number in range(3):
        key = random.fold_in(random.fold_in(random.key(3), NOISE), number)
        x = train.x * random.bernoulli(key, 0.7, train.x.shape) / 0.7
        expected, _ = plain(expected, Batch(x, train.y))
    for name, param in expected.params.items():
        torch.testing.assert_close(state.params[name], param, rtol=1e-12, atol=1e-14)
    assert int(state.buffers["seen"]) == 60


def test_a_plain_state_has_no_key():
    model, optimizer = mlp((3, 1)), adam(0.1)
    with pytest.raises(ValueError, match="the state has no key and step"):
        make_epoch_step(make_train_step(model, optimizer), 4)(
            init_state(model, optimizer, 0), Batch(torch.zeros(8, 3), torch.zeros(8))
        )
