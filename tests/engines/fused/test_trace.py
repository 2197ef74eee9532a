import functools
import math

import pytest
import torch
from torch import nn

from functional_clf.core.models import mlp
from functional_clf.core.optim import adam
from functional_clf.core.train import init_state, make_eval_step, make_train_step
from functional_clf.core.types import Batch
from functional_clf.engines.fused import trace as tracing
from functional_clf.engines.fused.trace import SAMPLES, Node, UnfusableError

trace = functools.partial(tracing.trace, samples=11)  # it runs on 11 samples and on 13


def samples_of(*shape):
    """Arguments: a tensor with so many samples, the further axes given."""
    return lambda n: (torch.zeros(n, *shape),)


def with_weights(*shape):
    return lambda n: (torch.zeros(n, 3), torch.zeros(*shape))


def ops_of(graph):
    return [node.op for node in graph.nodes]


def test_an_axis_of_samples_is_told_from_axes_that_only_look_like_one():
    graph = trace(lambda x, w: x @ w, lambda n: (torch.zeros(n, 11), torch.zeros(11, 13)))
    assert [node.shape for node in graph.inputs] == [(SAMPLES, 11), (11, 13)]
    assert [(node.op, node.shape) for node in graph.nodes] == [("mm.default", (SAMPLES, 13))]


def test_a_number_that_follows_the_samples_is_told_from_a_constant():
    graph = trace(lambda x: x.sum() / len(x) * 11, samples_of())
    assert ops_of(graph) == ["sum.default", "div.Tensor", "mul.Tensor"]
    assert graph.nodes[1].args[1] == SAMPLES
    assert graph.nodes[2].args[1] == 11


def test_a_float_may_be_the_number_of_samples():
    graph = trace(lambda x: x * float(len(x)), samples_of(2))
    assert graph.nodes[0].args[1] == SAMPLES


def test_samples_are_found_in_the_shapes_that_an_operation_is_given():
    graph = trace(lambda x: x[:1].expand(len(x), 2), samples_of(2))
    assert graph.outputs[0].shape == (SAMPLES, 2)
    assert list(graph.outputs[0].args[1]) == [SAMPLES, 2]


def test_types_are_recorded():
    graph = trace(lambda x: (x > 0).sum(), samples_of())
    assert [node.dtype for node in graph.nodes] == [torch.bool, torch.int64]


def test_what_is_computed_twice_is_there_once():
    graph = trace(lambda x: torch.tanh(2 * x) + torch.tanh(2 * x), samples_of())
    assert ops_of(graph) == ["mul.Tensor", "tanh.default", "add.Tensor"]
    assert graph.nodes[2].args == (graph.nodes[1], graph.nodes[1])


def test_what_differs_in_a_number_or_its_type_is_not_the_same():
    graph = trace(lambda x: (2 * x, 2.0 * x, 3 * x, 0.0 * x, -0.0 * x), samples_of())
    assert len(set(graph.outputs)) == 5


def test_inputs_of_the_same_form_stay_apart():
    graph = trace(lambda x, y: x - y, lambda n: (torch.zeros(n), torch.zeros(n)))
    assert len(graph.inputs) == 2
    assert graph.nodes[0].args[:2] == tuple(graph.inputs)


@pytest.mark.parametrize(
    "pair_of",
    [
        lambda one: (one, one),
        lambda one: (one, one[:]),
        lambda one: (one, one.view(2, 2)),
        lambda one: (one[:1].expand(4), one[:1].expand(4)),
        lambda one: (one.requires_grad_(), one.detach()),
    ],
    ids=["one tensor", "an alias", "a view", "expanded", "detached"],
)
def test_inputs_that_share_memory_stay_apart(pair_of):
    pair = pair_of(torch.zeros(4))
    graph = trace(lambda a, b: a.sum() - 2 * b.sum(), lambda n: pair)
    sums = [node.args for node in graph.nodes if node.op == "sum.default"]
    assert sums == [(graph.inputs[0],), (graph.inputs[1],)]


def test_data_that_are_one_tensor_stay_apart():
    graph = trace(lambda x, y: x - y, lambda n: (torch.zeros(n),) * 2)
    assert graph.nodes[0].args == tuple(graph.inputs)


def test_a_tensor_of_a_closure_is_refused_also_where_it_is_an_argument():
    start = torch.zeros(4)
    with pytest.raises(UnfusableError, match="reads a tensor that is not among its arguments"):
        trace(lambda w: w - start, lambda n: (start,))


def test_arguments_are_not_written_into_and_it_is_told_which_are_meant_to_be():
    weights = torch.ones(3)

    def function(x, w):
        w.mul_(2)
        return x * w

    graph = trace(function, lambda n: (torch.zeros(n, 3), weights))
    assert graph.written == {graph.inputs[1]}
    assert weights.tolist() == [1, 1, 1]
    assert graph.outputs[0].args == (graph.inputs[0], graph.nodes[0])


@pytest.mark.parametrize(
    "mode",
    [torch.inference_mode, torch.no_grad, torch.enable_grad, lambda: torch.autocast("cpu")],
    ids=["inference_mode", "no_grad", "enable_grad", "autocast"],
)
def test_the_callers_mode_changes_nothing(mode):
    model, optimizer = mlp((2, 5, 1), torch.tanh), adam(0.01)
    step = make_train_step(model, optimizer)

    def graph():
        state = init_state(model, optimizer, seed=0)
        return trace(step, lambda n: (state, Batch(torch.zeros(n, 2), torch.zeros(n))))

    plain = [(node.op, node.shape, node.dtype) for node in graph().nodes]
    with mode():
        assert [(node.op, node.shape, node.dtype) for node in graph().nodes] == plain


def test_only_what_the_outputs_need_is_kept():
    def function(x):
        torch.exp(x)
        return x + 1, torch.sin(x)

    graph = trace(function, samples_of())
    assert ops_of(graph) == ["add.Tensor", "sin.default"]
    first = graph.keep(graph.outputs[:1])
    assert ops_of(first) == ["add.Tensor"]
    assert first.inputs == graph.inputs


def test_a_tensor_of_which_only_the_shape_matters_is_not_computed():
    graph = trace(lambda x: torch.ones_like(torch.exp(x)), samples_of(2))
    assert ops_of(graph) == ["ones_like.default"]
    assert graph.nodes[0].inputs() == []


def test_an_input_may_be_an_output_and_an_output_may_be_there_twice():
    def function(x):
        y = x + 1
        return x, y, y

    graph = trace(function, samples_of())
    assert list(graph.outputs) == [graph.inputs[0], graph.nodes[0], graph.nodes[0]]


def test_nodes_stand_behind_what_they_read():
    model, optimizer = mlp((2, 5, 1), torch.tanh), adam(0.01)
    state = init_state(model, optimizer, seed=0)
    graph = trace(
        make_train_step(model, optimizer),
        lambda n: (state, Batch(torch.zeros(n, 2), torch.zeros(n))),
    )
    seen = set(graph.inputs)
    for node in graph.nodes:
        assert seen.issuperset(node.inputs())
        seen.add(node)
    assert seen.issuperset(graph.outputs)
    # state and metrics go out, state and batch come in
    assert len(graph.outputs) == len(graph.inputs)


def test_gradients_are_operations_like_others():
    graph = trace(torch.func.grad(lambda x: torch.tanh(x).sum()), samples_of())
    assert "tanh_backward.default" in ops_of(graph)
    assert graph.outputs[0].shape == (SAMPLES,)


def test_an_evaluation_returns_a_loss_and_a_count():
    model = mlp((2, 1))
    params = model.init(torch.Generator().manual_seed(0))
    graph = trace(
        make_eval_step(model), lambda n: (params, Batch(torch.zeros(n, 2), torch.zeros(n)))
    )
    assert [(node.shape, node.dtype) for node in graph.outputs] == [
        ((), torch.float32),
        ((), torch.int64),
    ]


@pytest.mark.parametrize("repeat", [1, 2])
def test_what_happens_in_place_is_recorded_as_if_it_did_not(repeat):
    def function(x):
        y = 2 * x
        for _ in range(repeat):
            y.add_(1)
        y.tanh_()
        return y

    graph = trace(function, samples_of())
    assert ops_of(graph) == ["mul.Tensor", *["add.Tensor"] * repeat, "tanh.default"]


def test_what_is_written_through_a_view_is_not_lost():
    def function(x):
        y = 2 * x
        y[:, 0].zero_()
        return y

    graph = trace(function, samples_of(3))
    names = ops_of(graph)
    assert graph.outputs[0].shape == (SAMPLES, 3)
    assert graph.outputs[0].op != "mul.Tensor"
    assert not any(name.partition(".")[0].endswith("_") for name in names)


def test_a_constant_may_be_nan():
    graph = trace(lambda x: torch.where(x > 0, x, math.nan), samples_of())
    assert len(graph.outputs) == 1


def test_a_tensor_of_a_closure_is_refused():
    scale = torch.tensor(2.0)
    with pytest.raises(UnfusableError, match="reads a tensor that is not among its arguments"):
        trace(lambda x: scale * x, samples_of())


def test_a_tensor_of_a_closure_that_is_returned_is_refused():
    scale = torch.tensor(2.0)
    with pytest.raises(UnfusableError, match="reads a tensor that is not among its arguments"):
        trace(lambda x: (x, scale), samples_of())


def test_a_module_that_holds_weights_is_refused():
    layer = nn.Linear(3, 1)
    with pytest.raises(UnfusableError, match="reads a tensor that is not among its arguments"):
        trace(layer, samples_of(3))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: sum(x[place] for place in range(len(x))),
        lambda x: x.exp() if len(x) > 12 else x.sin(),
        lambda x: x * 2 if len(x) > 12 else x,
    ],
)
def test_operations_that_depend_on_the_number_of_samples_are_refused(function):
    with pytest.raises(UnfusableError, match="operations depend on the number of samples"):
        trace(function, samples_of(2))


def test_an_argument_that_depends_on_the_number_of_samples_is_refused():
    def function(x):
        pair = x + 1, x - 1
        return pair[len(x) > 12]

    with pytest.raises(UnfusableError, match="operations depend on the number of samples"):
        trace(function, samples_of(2))


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda x: x.new_zeros(2 * len(x) + 1), "own .23 becomes 27."),
        (lambda x: x[: len(x) // 2], "own .5 becomes 6."),
        (lambda x: x * math.sqrt(len(x)), "follows the number of samples"),
        (lambda x: x.reshape(-1), "own .22 becomes 26."),
    ],
)
def test_a_size_or_number_that_is_not_the_number_of_samples_is_refused(function, told):
    with pytest.raises(UnfusableError, match=told):
        trace(function, samples_of(2))


def test_of_an_operation_with_several_results_each_is_a_node():
    graph = trace(lambda x: torch.sort(x, 1), samples_of(2))
    assert ops_of(graph) == ["sort[0].default", "sort[1].default"]
    assert [node.dtype for node in graph.nodes] == [torch.float32, torch.int64]
    assert graph.keep(graph.outputs[1:]).nodes == graph.nodes[1:]


def test_an_operation_with_any_number_of_results_is_refused():
    with pytest.raises(UnfusableError, match=r"unsafe_split\.Tensor does not return a tensor"):
        trace(lambda x: x.unsafe_chunk(2, 1)[0], samples_of(2))
    with pytest.raises(UnfusableError, match="depend on the number of samples"):
        trace(lambda x: x.unbind(0)[0], samples_of(2))


def test_a_number_read_from_a_tensor_is_refused():
    with pytest.raises(UnfusableError):
        trace(lambda x: x * x.sum().item(), samples_of())


def changed_constant(x):
    weights = torch.tensor([1.0, 2.0])
    weights[0] = 5.0
    return x * weights


def changed_seen_constant(x):
    weights = torch.tensor([1.0, 2.0])
    seen = weights[:1]
    weights.mul_(3.0)
    return x * weights + seen


@pytest.mark.parametrize("function", [changed_constant, changed_seen_constant])
def test_a_constant_that_is_written_into_is_what_it_became_or_refused(function):
    try:
        graph = trace(function, samples_of(2))
    except UnfusableError:
        return
    values = {}
    x = torch.randn(20, 2)
    for node in [*graph.inputs, *graph.nodes]:  # computed as it was recorded
        if node.op == "input":
            values[node] = x
        elif node.op == "constant":
            values[node] = torch.tensor(node.args[0]).reshape(node.shape)
        else:
            args = [values[arg] if isinstance(arg, Node) else arg for arg in node.args]
            name, overload = node.op.split(".")
            parts = [[values[one] for one in args[0]], *args[1:]] if name == "cat" else args
            values[node] = getattr(getattr(torch.ops.aten, name), overload)(*parts, **node.kwargs)
    torch.testing.assert_close(values[graph.outputs[0]], function(x))


def test_a_constant_is_known_by_its_numbers():
    graph = trace(lambda x: x * torch.tensor([1.0, 2.0]) + torch.tensor([1.0, 2.0]), samples_of(2))
    assert ops_of(graph) == ["constant", "mul.Tensor", "add.Tensor"]
    assert graph.nodes[0].args == ((1.0, 2.0),)
    with pytest.raises(UnfusableError, match="way of its own"):
        trace(lambda x: x * torch.tensor([1.0, 1.0 / len(x)]), samples_of(2))
    with pytest.raises(UnfusableError, match="a constant of 5000 numbers"):
        trace(lambda x: x.sum() * torch.tensor([1.0] * 5000), samples_of(2))


def test_what_torch_writes_into_what_it_holds_itself_is_recorded():
    def apply(x):
        normed = torch.nn.functional.rms_norm(x, (2,), torch.ones_like(x[0]), eps=0.1)
        return normed * torch.nn.functional.cosine_similarity(x, normed)[:, None]

    assert not any(node.name.endswith("_") for node in trace(apply, samples_of(2)).nodes)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.flip(0),
        lambda x: torch.stack(x.unbind(0)),
        lambda x: x[::2],
        lambda x: x.cumsum(0),
        lambda x: torch.func.grad(lambda h: h[1:].square().sum())(x),
        lambda x: torch.func.grad(lambda h: h[::3].square().sum())(x),
    ],
)
def test_many_samples_are_not_taken_one_by_one(function):
    try:
        graph = trace(function, lambda n: (torch.zeros(n, 2),), samples=300_000)
    except UnfusableError:
        return
    assert len(graph.nodes) < 10
