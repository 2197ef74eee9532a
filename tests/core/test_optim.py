import math
import warnings
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from functional_clf.contestants.recipe import Recipe
from functional_clf.core.models import mlp
from functional_clf.core.optim import (
    adam,
    adamw,
    apply_updates,
    chain,
    clip_by_global_norm,
    rmsprop,
    sgd,
)
from functional_clf.core.schedules import (
    constant,
    cosine,
    linear_warmup,
    one_cycle,
    step_decay,
)
from functional_clf.core.train import stack
from functional_clf.core.types import Optimizer
from functional_clf.core.user_code import reading_of

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


# Methods beside torch's on a loss that is not convex: ours, and what makes torch's of leaves. With
# larger rates torch's own end elsewhere when the start is changed by a rounding.
METHODS = {
    "sgd": (sgd(0.05, 0.9), lambda leaves: torch.optim.SGD(leaves, 0.05, 0.9)),
    "nesterov": (
        sgd(0.05, 0.9, nesterov=True),
        lambda leaves: torch.optim.SGD(leaves, 0.05, 0.9, nesterov=True),
    ),
    "sgd with decay": (
        sgd(0.1, weight_decay=0.03),
        lambda leaves: torch.optim.SGD(leaves, 0.1, weight_decay=0.03),
    ),
    "nesterov with decay": (
        sgd(0.05, 0.8, nesterov=True, weight_decay=0.03),
        lambda leaves: torch.optim.SGD(leaves, 0.05, 0.8, nesterov=True, weight_decay=0.03),
    ),
    "adam": (adam(0.02), lambda leaves: torch.optim.Adam(leaves, 0.02)),
    "adam with decay": (
        adam(0.02, 0.8, 0.99, 1e-6, weight_decay=0.1),
        lambda leaves: torch.optim.Adam(leaves, 0.02, (0.8, 0.99), 1e-6, weight_decay=0.1),
    ),
    "adamw": (adamw(0.02), lambda leaves: torch.optim.AdamW(leaves, 0.02)),
    "adamw with more": (
        adamw(0.02, 0.8, 0.99, 1e-6, weight_decay=0.3),
        lambda leaves: torch.optim.AdamW(leaves, 0.02, (0.8, 0.99), 1e-6, weight_decay=0.3),
    ),
    "adamw without": (
        adamw(0.02, weight_decay=0.0),
        lambda leaves: torch.optim.AdamW(leaves, 0.02, weight_decay=0.0),
    ),
    "rmsprop": (rmsprop(0.01), lambda leaves: torch.optim.RMSprop(leaves, 0.01)),
    "rmsprop with momentum": (
        rmsprop(0.001, 0.95, momentum=0.7),
        lambda leaves: torch.optim.RMSprop(leaves, 0.001, 0.95, momentum=0.7),
    ),
    "rmsprop centered": (
        rmsprop(0.001, 0.97, 1e-3, 0.02, 0.5, centered=True),
        lambda leaves: torch.optim.RMSprop(leaves, 0.001, 0.97, 1e-3, 0.02, 0.5, centered=True),
    ),
}
SCHEDULES = {
    "constant": (constant(0.05), lambda one: lr_scheduler.ConstantLR(one, 1.0)),
    "cosine": (cosine(0.05, 200), lambda one: lr_scheduler.CosineAnnealingLR(one, 200)),
    "cosine to a floor": (
        cosine(0.05, 230, floor=0.002),
        lambda one: lr_scheduler.CosineAnnealingLR(one, 230, eta_min=0.002),
    ),
    "warm-up": (
        linear_warmup(0.05, 17, start_factor=0.1),
        lambda one: lr_scheduler.LinearLR(one, 0.1, total_iters=17),
    ),
    "warm-up and cosine": (
        linear_warmup(cosine(0.05, 183), 17, start_factor=1 / 3),
        lambda one: _sequential(
            one,
            lr_scheduler.LinearLR(one, total_iters=17),
            lr_scheduler.CosineAnnealingLR(one, 183),
        ),
    ),
    "steps": (step_decay(0.05, 30, 0.5), lambda one: lr_scheduler.StepLR(one, 30, 0.5)),
    "one cycle": (
        one_cycle(0.05, 200),
        lambda one: lr_scheduler.OneCycleLR(one, 0.05, 200, cycle_momentum=False),
    ),
    "another cycle": (
        one_cycle(0.05, 203, 0.45, 10.0, 100.0),
        lambda one: lr_scheduler.OneCycleLR(
            one,
            0.05,
            203,
            None,
            None,
            0.45,
            cycle_momentum=False,
            div_factor=10.0,
            final_div_factor=100.0,
        ),
    ),
}


def _sequential(optimizer, first, second):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        return lr_scheduler.SequentialLR(optimizer, [first, second], [17])


def start_of(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a": (5, 3), "b": (5,), "c": (2, 5), "d": ()}
    return {
        key: torch.randn(shape, generator=generator, dtype=torch.float64)
        for key, shape in shapes.items()
    }


def loss(params):
    """Of two layers, bent and uneven."""
    inputs = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(3, 4)
    hidden = torch.tanh(params["a"] @ inputs + params["b"][:, None])
    out = params["c"] @ hidden + params["d"].sin()
    return (out - torch.cos(3 * inputs[:2])).square().mean() + 0.01 * out.square().mean().sin()


def walked(optimizer, start, steps=200):
    params, state = start, optimizer.init(start)
    for _ in range(steps):
        updates, state = optimizer.update(torch.func.grad(loss)(params), state, params)
        params = apply_updates(params, updates)
    return params


def walked_by_torch(start, make_method, make_scheduler=None, max_norm=None, steps=200):
    leaves = {key: value.clone().requires_grad_() for key, value in start.items()}
    method = make_method(list(leaves.values()))
    scheduler = make_scheduler(method) if make_scheduler else None
    for _ in range(steps):
        method.zero_grad()
        loss(leaves).backward()
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_(leaves.values(), max_norm)
        method.step()
        if scheduler is not None:
            scheduler.step()
    return {key: leaf.detach() for key, leaf in leaves.items()}


def assert_moved_alike(ours, theirs, start, rtol=1e-9):
    for key, before in start.items():
        moved = theirs[key] - before
        assert moved.abs().max() > 1e-3
        torch.testing.assert_close(
            ours[key] - before, moved, rtol=rtol, atol=rtol * moved.abs().max().item()
        )


@pytest.mark.parametrize("name", METHODS)
def test_methods_move_as_torchs_do_over_200_steps(name):
    ours, make_reference = METHODS[name]
    start = start_of(1)
    assert_moved_alike(walked(ours, start), walked_by_torch(start, make_reference), start)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("method", ["sgd", "adamw"])
def test_scheduled_methods_move_as_torchs_do_over_200_steps(name, method):
    schedule, make_scheduler = SCHEDULES[name]
    ours, make_method = {
        "sgd": (
            sgd(schedule, 0.8, nesterov=True, weight_decay=0.01),
            lambda leaves: torch.optim.SGD(leaves, 0.05, 0.8, nesterov=True, weight_decay=0.01),
        ),
        "adamw": (adamw(schedule), lambda leaves: torch.optim.AdamW(leaves, 0.05)),
    }[method]
    start = start_of(2)
    theirs = walked_by_torch(start, make_method, make_scheduler)
    assert_moved_alike(walked(ours, start), theirs, start)


@pytest.mark.parametrize(
    ("build", "make_reference"),
    [
        (lambda rate: adam(rate, weight_decay=0.1), partial(torch.optim.Adam, weight_decay=0.1)),
        (lambda rate: rmsprop(rate, momentum=0.5), partial(torch.optim.RMSprop, momentum=0.5)),
    ],
)
def test_the_other_methods_take_schedules_too(build, make_reference):
    start = start_of(3)
    theirs = walked_by_torch(
        start,
        lambda leaves: make_reference(leaves, lr=0.02),
        lambda one: lr_scheduler.CosineAnnealingLR(one, 150 * 2),
    )
    assert_moved_alike(walked(build(cosine(0.02, 300)), start), theirs, start)


@pytest.mark.parametrize("max_norm", [1e-2, 0.3, 1e3])
def test_clipped_methods_move_as_torchs_do(max_norm):
    start = start_of(4)
    ours = walked(chain(clip_by_global_norm(max_norm), sgd(0.05, 0.9)), start)
    theirs = walked_by_torch(
        start, lambda leaves: torch.optim.SGD(leaves, 0.05, 0.9), None, max_norm
    )
    assert_moved_alike(ours, theirs, start)
    free = walked(sgd(0.05, 0.9), start)
    assert all(torch.equal(ours[key], free[key]) for key in start) == (max_norm == 1e3)


@settings(max_examples=40)
@given(
    st.lists(
        st.floats(allow_subnormal=False, width=64)
        | st.sampled_from([1e200, -1e200, 1e-200, math.inf, -math.inf, math.nan]),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 6),
    st.floats(1e-6, 1e6),
)
def test_clipping_is_torchs_whatever_the_gradients(numbers, cut, max_norm):
    grads = torch.tensor(numbers, dtype=torch.float64)
    parts = {"a": grads[:cut], "b": grads[cut:]}
    clip = clip_by_global_norm(max_norm)
    ours, _ = clip.update(parts, clip.init(parts), parts)
    leaves = [part.clone().requires_grad_() for part in parts.values()]
    for leaf, part in zip(leaves, parts.values(), strict=True):
        leaf.grad = part.clone()
    torch.nn.utils.clip_grad_norm_(leaves, max_norm, foreach=False)
    for found, leaf in zip(ours.values(), leaves, strict=True):
        torch.testing.assert_close(found, leaf.grad, rtol=1e-12, atol=0, equal_nan=True)


@settings(max_examples=40)
@given(rates, decays, st.floats(0, 1), st.booleans())
def test_sgd_with_all_it_takes_moves_as_torch_optim_does(rate, momentum, decay, nesterov):
    nesterov = nesterov and momentum > 0
    ours, theirs = displacements(
        sgd(rate, momentum, nesterov, decay),
        lambda leaves: torch.optim.SGD(
            leaves, lr=rate, momentum=momentum, nesterov=nesterov, weight_decay=decay
        ),
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10 * theirs.abs().max().item())


# Where params act back on their gradients, a quotient by hardly anything magnifies roundings.
calm_rates, calm_decays = st.floats(1e-4, 0.05), st.floats(0.5, 0.999)


@settings(max_examples=40)
@given(calm_rates, calm_decays, calm_decays, st.floats(0, 0.3), st.booleans())
def test_adams_with_decay_move_as_torch_optim_does(rate, b1, b2, decay, is_decoupled):
    build, reference = (adamw, torch.optim.AdamW) if is_decoupled else (adam, torch.optim.Adam)
    ours, theirs = displacements(
        build(rate, b1, b2, 1e-3, decay),
        lambda leaves: reference(leaves, rate, (b1, b2), 1e-3, weight_decay=decay),
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10 * theirs.abs().max().item())


@settings(max_examples=40)
@given(calm_rates, calm_decays, st.floats(0, 0.3), decays, st.booleans())
def test_rmsprop_moves_as_torch_optim_does(rate, alpha, decay, momentum, centered):
    eps = 1e-2 if centered else 1e-3  # a variance is a difference of near numbers
    ours, theirs = displacements(
        rmsprop(rate, alpha, eps, decay, momentum, centered),
        lambda leaves: torch.optim.RMSprop(leaves, rate, alpha, eps, decay, momentum, centered),
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9 * theirs.abs().max().item())


def test_a_variance_that_is_rounded_below_zero_is_none():
    params, optimizer = {"w": torch.zeros(64)}, rmsprop(0.01, alpha=0.9, centered=True)
    grads = {"w": torch.linspace(0.1, 7, 64)}  # the same ones for long: no variance is left
    state = optimizer.init(params)
    for _ in range(300):
        updates, state = optimizer.update(grads, state, params)
    assert updates["w"].isfinite().all()


@pytest.mark.parametrize("name", [*METHODS, "clipped", "scheduled", "all"])
def test_replicates_side_by_side_move_as_one_by_one(name):
    optimizer = {
        "clipped": chain(clip_by_global_norm(0.2), sgd(0.1, 0.9)),
        "scheduled": adam(linear_warmup(cosine(0.05, 30), 5)),
        "all": chain(clip_by_global_norm(0.2), rmsprop(one_cycle(0.02, 40), momentum=0.5)),
    }.get(name) or METHODS[name][0]
    starts = [start_of(seed) for seed in range(3)]
    starts[2] = {key: 20 * value for key, value in starts[2].items()}
    one_by_one = stack([walked(optimizer, start, 40) for start in starts])
    params = stack(starts)
    state = torch.func.vmap(optimizer.init)(params)
    step = torch.func.vmap(
        lambda state, params: optimizer.update(torch.func.grad(loss)(params), state, params)
    )
    for _ in range(40):
        updates, state = step(state, params)
        params = apply_updates(params, updates)
    for key, wanted in one_by_one.items():
        torch.testing.assert_close(params[key], wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [
        sgd(0.1, 0.9, nesterov=True, weight_decay=0.01),
        adamw(linear_warmup(cosine(0.05, 30), 5)),
        rmsprop(one_cycle(0.02, 40), momentum=0.5, centered=True),
        chain(clip_by_global_norm(0.2), adam(step_decay(0.1, 3, 0.5), weight_decay=0.1)),
    ],
)
def test_a_graph_is_made_once_whatever_the_step(optimizer):
    start = start_of(5)

    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return apply_updates(params, updates), state

    torch._dynamo.reset()  # the code of `step` is the same for each method
    counters = torch._dynamo.utils.counters
    before = counters["stats"]["unique_graphs"]
    compiled = torch.compile(step, backend="eager", fullgraph=True)
    params, state = start, optimizer.init(start)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(12):
            params, state = compiled(params, state, torch.func.grad(loss)(params))
    assert counters["stats"]["unique_graphs"] - before == 1
    wanted = walked(optimizer, start, 12)
    for key, value in params.items():
        torch.testing.assert_close(value, wanted[key], rtol=1e-12, atol=0)


def test_the_state_tells_the_step_and_the_rate():
    optimizer = adam(cosine(0.5, 4))
    params = {"w": torch.zeros(2)}
    state = optimizer.init(params)
    assert state.count.dtype == torch.int64
    assert state.count.shape == ()
    rates_used = []
    for _ in range(6):
        _, state = optimizer.update({"w": torch.ones(2)}, state, params)
        rates_used.append(state.method.learning_rate.item())
    assert state.count == 6
    assert rates_used == pytest.approx([0.5, 0.4268, 0.25, 0.0732, 0, 0], abs=1e-4)


def test_a_rate_is_of_the_params_type():
    for dtype in (torch.float32, torch.float64):
        params = {"w": torch.zeros(2, dtype=dtype)}
        for schedule in (
            cosine(0.1, 7),
            lambda step: torch.tensor(0.1),
            lambda step: 0.1 + 0 * step,
        ):
            optimizer = sgd(schedule)
            state = optimizer.init(params)
            updates, state = optimizer.update(params, state, params)
            assert state.method.learning_rate.dtype == updates["w"].dtype == dtype


def test_plain_methods_are_what_they_were():
    """Folders of studies know them by names and closures, and their states by their leaves."""
    if hasattr(adam, "__wrapped__"):
        pytest.skip("what checks types at run time wraps the functions")
    params = {"w": torch.zeros(2), "b": torch.zeros(())}
    for optimizer, leaves in ((sgd(0.1), 1), (sgd(0.1, 0.9), 3), (adam(0.1), 6)):
        assert len(torch.utils._pytree.tree_leaves(optimizer.init(params))) == leaves
    found = {
        function.__qualname__: (function.__code__.co_freevars, function.__closure__ is None)
        for optimizer in (sgd(0.1), adam(0.1))
        for function in optimizer
    }
    assert found == {
        "sgd.<locals>.init": (("learning_rate", "momentum"), False),
        "sgd.<locals>.update": (("momentum",), False),
        "adam.<locals>.init": (("learning_rate",), False),
        "adam.<locals>.update": (("b1", "b2", "eps"), False),
    }
    same = ((sgd(0.1, 0.5), sgd(0.1, 0.5, False, 0.0)), (adam(0.1), adam(0.1, weight_decay=0.0)))
    for one, other in same:
        assert reading_of(*one).digest == reading_of(*other).digest
    # Taken down before there were schedules and decay.
    assert reading_of(*sgd(0.1)).digest == "934504dc6e4d6840fe5ba0e9"
    assert reading_of(*adam(0.01)).digest == "dd865718b88c209166d3b6b6"


def test_methods_that_differ_read_differently():
    methods = [
        *(method for name, (method, _) in METHODS.items() if name != "adamw without"),
        *(sgd(schedule, 0.9) for schedule, _ in SCHEDULES.values()),
        chain(clip_by_global_norm(1.0), sgd(0.05, 0.9)),
        chain(clip_by_global_norm(2.0), sgd(0.05, 0.9)),
        chain(sgd(0.05, 0.9), clip_by_global_norm(2.0)),
        sgd(cosine(0.05, 201), 0.9),
        adamw(cosine(0.05, 200)),
    ]
    readings = [reading_of(*method) for method in methods]
    assert len({one.digest for one in readings}) == len(methods)
    assert all(one.is_own for one in readings)


@pytest.mark.parametrize("bad", [0.1, None, torch.ones(1), torch.ones(2)])
def test_a_schedule_that_returns_no_single_number_is_refused(bad):
    with pytest.raises(TypeError, match=r"^learning_rate is a schedule that returned .*0-d tensor"):
        sgd(lambda step: bad).init({"w": torch.zeros(2)})


def test_what_leads_uphill_is_no_chain():
    clip = clip_by_global_norm(1.0)
    for parts in ((), (clip,), (sgd(0.1), clip, adam(0.1))):
        with pytest.raises(
            ValueError, match=r"^parts holds [02] optimizers; a chain must have one"
        ):
            chain(*parts)
    assert not isinstance(clip, Optimizer)
    again = chain(clip, chain(clip_by_global_norm(2.0), sgd(0.1)))
    params = {"w": torch.zeros(1)}
    updates, _ = again.update({"w": torch.ones(1) * 9}, again.init(params), params)
    assert updates["w"].item() == pytest.approx(-0.1, rel=1e-5)


def test_a_part_of_wrong_type_is_refused():
    clip = clip_by_global_norm(1.0)
    for wrong in (0.1, sgd, (clip.init, clip.update)):
        with pytest.raises(TypeError, match=r"^parts holds .*; a part of a chain must be"):
            chain(wrong, sgd(0.1))
    with pytest.raises(TypeError, match=r"^optimizer is .* must be Optimizer\(init, update\)"):
        Recipe("uphill", mlp((2, 1)), clip, epochs=1)


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
        (lambda: sgd(0.1, nesterov=True), "nesterov"),
        (lambda: sgd(0.1, weight_decay=-0.1), "weight_decay"),
        (lambda: sgd(cosine(0.1, 9), momentum=1.5), "momentum"),
        (lambda: adam(0.1, weight_decay=float("inf")), "weight_decay"),
        (lambda: adamw(0.0), "learning_rate"),
        (lambda: adamw(0.1, b2=2.0), "b2"),
        (lambda: adamw(0.1, weight_decay=float("nan")), "weight_decay"),
        (lambda: rmsprop(-1.0), "learning_rate"),
        (lambda: rmsprop(0.1, alpha=1.0), "alpha"),
        (lambda: rmsprop(0.1, eps=-1.0), "eps"),
        (lambda: rmsprop(0.1, momentum=-0.1), "momentum"),
        (lambda: rmsprop(0.1, weight_decay=-1.0), "weight_decay"),
        (lambda: clip_by_global_norm(0.0), "max_norm"),
        (lambda: clip_by_global_norm(float("nan")), "max_norm"),
    ],
)
def test_hyperparameters_outside_their_range_are_refused(build, name):
    with pytest.raises(ValueError, match=f"^{name} is "):
        build()


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: sgd("fast"), "learning_rate"),
        (lambda: sgd(0.1, 0.9, nesterov=1), "nesterov"),
        (lambda: adam(0.1, weight_decay=None), "weight_decay"),
        (lambda: adamw(0.1, weight_decay="no"), "weight_decay"),
        (lambda: rmsprop(0.1, centered="yes"), "centered"),
        (lambda: clip_by_global_norm("1"), "max_norm"),
    ],
)
def test_hyperparameters_of_a_wrong_type_are_refused(build, name):
    with pytest.raises(TypeError, match=f"^{name} is "):
        build()
