import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from functional_clf.core.optim import adam, apply_updates, sgd

rates = st.floats(1e-5, 1.0)
decays = st.floats(0.0, 0.9999)


def displacements(optimizer, make_reference, steps=60):
    """How far params moved from their start, by ours and by torch.optim, in float64."""
    generator = torch.Generator().manual_seed(0)
    start = {
        key: torch.randn(shape, generator=generator, dtype=torch.float64)
        for key, shape in {"a": (3, 2), "b": (4,)}.items()
    }
    # Gradients that change sign, size and sometimes vanish.
    scale = torch.logspace(-6, 3, steps, dtype=torch.float64)
    grads = [
        {
            key: scale[t]
            * (t % 7 != 3)
            * torch.randn(value.shape, generator=generator, dtype=value.dtype)
            for key, value in start.items()
        }
        for t in range(steps)
    ]
    params, state = start, optimizer.init(start)
    for grad in grads:
        updates, state = optimizer.update(grad, state, params)
        params = apply_updates(params, updates)

    leaves = {key: value.clone().requires_grad_() for key, value in start.items()}
    reference = make_reference(leaves.values())
    for grad in grads:
        for key, leaf in leaves.items():
            leaf.grad = grad[key].clone()
        reference.step()
    ours = torch.cat([(params[key] - start[key]).ravel() for key in start])
    theirs = torch.cat([(leaves[key].detach() - start[key]).ravel() for key in start])
    return ours, theirs


@given(rates, decays)
def test_sgd_moves_as_torch_optim_does(learning_rate, momentum):
    ours, theirs = displacements(
        sgd(learning_rate, momentum),
        lambda leaves: torch.optim.SGD(leaves, lr=learning_rate, momentum=momentum),
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12 * theirs.abs().max().item())


@given(rates, decays, decays, st.sampled_from([1e-8, 1e-3]))
def test_adam_moves_as_torch_optim_does(learning_rate, b1, b2, eps):
    ours, theirs = displacements(
        adam(learning_rate, b1, b2, eps),
        lambda leaves: torch.optim.Adam(leaves, lr=learning_rate, betas=(b1, b2), eps=eps),
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10 * theirs.abs().max().item())


def test_adam_corrects_its_bias_to_float32_precision():
    # 1 - 0.999^t, taken as a difference in float32, would be off by 3e-5 in the first steps.
    params = {"w": torch.zeros(1)}
    optimizer = adam(learning_rate=1.0, eps=0.0)
    updates, _ = optimizer.update({"w": torch.tensor([3.0])}, optimizer.init(params), params)
    assert updates["w"].item() == pytest.approx(-1.0, abs=3e-7)


def test_updates_change_nothing_in_place():
    params, grads = {"w": torch.ones(2)}, {"w": torch.ones(2)}
    for optimizer in (sgd(0.1, 0.9), adam(0.1)):
        state = optimizer.init(params)
        before = [leaf.clone() for leaf in torch.utils._pytree.tree_leaves(state)]
        apply_updates(params, optimizer.update(grads, state, params)[0])
        after = torch.utils._pytree.tree_leaves(state)
        assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))
    assert torch.equal(params["w"], torch.ones(2))
    assert torch.equal(grads["w"], torch.ones(2))


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: sgd(0.0), "learning_rate"),
        (lambda: sgd(float("nan")), "learning_rate"),
        (lambda: sgd(0.1, momentum=1.0), "momentum"),
        (lambda: adam(float("inf")), "learning_rate"),
        (lambda: adam(0.1, b1=-0.1), "b1"),
        (lambda: adam(0.1, b2=1.0), "b2"),
        (lambda: adam(0.1, eps=-1e-8), "eps"),
    ],
)
def test_hyperparameters_outside_their_range_are_refused(build, name):
    with pytest.raises(ValueError, match=f"^{name} is "):
        build()
