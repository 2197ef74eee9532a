import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from functional_clf.core.models import ACTIVATIONS, affine, mlp, sequential

sizes = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda layers: (*layers, 1))
activations = st.sampled_from([None, *ACTIVATIONS])


def function_of(activation):
    return None if activation is None else ACTIVATIONS[activation][0]


@given(sizes, activations, st.integers(0, 2**32))
def test_init_draws_the_bits_of_nn_linear(layer_sizes, activation, seed):
    params = mlp(layer_sizes, function_of(activation)).init(torch.Generator().manual_seed(seed))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = sequential(layer_sizes, activation)
    expected = module.state_dict()
    assert list(params) == list(expected)
    assert all(torch.equal(params[key], expected[key]) for key in expected)


@given(sizes, activations, st.integers(0, 2**32), st.integers(1, 7))
def test_apply_equals_the_module_with_weights_swapped_both_ways(layer_sizes, activation, seed, n):
    model, module = mlp(layer_sizes, function_of(activation)), sequential(layer_sizes, activation)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, layer_sizes[0], generator=generator).double()
    params = {key: value.double() for key, value in model.init(generator).items()}

    module.double().load_state_dict(params)  # functional -> module
    torch.testing.assert_close(model.apply(params, x), module(x).squeeze(-1), rtol=0, atol=1e-12)

    other = sequential(layer_sizes, activation).double()  # module -> functional
    logits = model.apply(dict(other.state_dict()), x)
    torch.testing.assert_close(logits, other(x).squeeze(-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("fan_in", [1, 2, 4, 5, 16])
@pytest.mark.parametrize("fan_out", [1, 2, 16])
def test_affine_equals_nn_linear_forward_and_backward(fan_in, fan_out):
    generator = torch.Generator().manual_seed(fan_in)
    shapes = (fan_out, fan_in), (fan_out,), (fan_in, 30)
    inputs = [torch.randn(s, generator=generator).double().requires_grad_() for s in shapes]
    seen = torch.randn(fan_out, 30, generator=generator).double()
    results = []
    for layer in (affine, lambda w, b, columns: nn.functional.linear(columns.mT, w, b).mT):
        output = layer(*inputs)
        grads = torch.autograd.grad((output * seen).sum(), inputs)
        results.append((output, *grads))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_several_logits_a_sample_are_those_of_the_module():
    model, module = mlp((2, 5, 3), torch.tanh), sequential((2, 5, 3), "tanh").double()
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)).double()
    logits = model.apply(dict(module.state_dict()), x)
    assert logits.shape == (7, 3)
    torch.testing.assert_close(logits, module(x), rtol=0, atol=1e-12)


def test_init_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    mlp((2, 3, 1)).init(torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("layer_sizes", [(), (2,), (2, 0, 1), (2, -1, 1)])
def test_sizes_that_make_no_network_are_refused(layer_sizes):
    with pytest.raises(ValueError, match="layer_sizes is"):
        mlp(layer_sizes)
