"""Operations that are done as simpler ones, beside torch's own, also where NaN and infinity are.

All of them are one program. A replicate is a row of features (eight times, as so many samples),
and the gradient of a weight that multiplies what an operation makes of it is just that. An
optimizer that puts gradients into its state hands them out.
"""

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from torch.nn import functional

from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.types import Batch, Model, Optimizer
from functional_clf.data.batches import ChunkData
from functional_clf.engines.fused.engine import FUSED

CPU = torch.device("cpu")
INF, NAN = math.inf, math.nan
VALUES = (-INF, -200.0, -1.0, -0.3, 0.0, -0.0, 0.5, 1.0, 3.0, 200.0, INF, NAN)
ROWS = [
    (*row, row[(k * 7) % 3] / 2 - 0.25) for k, row in enumerate(itertools.product(VALUES, repeat=3))
]


def gradient_of(function):
    """The gradient of a function, each of whose results weighs something else."""

    shape = function(torch.ones(2, 4)).shape[1:]

    def made(x):
        def total(x):
            weights = torch.arange(1, shape.numel() + 1, dtype=x.dtype).view(shape)
            return (function(x) * weights).sum()

        return torch.func.grad(total)(x)

    return made


def scaled(x):
    return x * 0.5 + 0.25


def weights_for(x):
    return torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=x.dtype)


# Of a sample by 4 features; each gives one row of numbers for each sample.
PLACES = {
    "cat": lambda x: torch.cat([x, -x[:, :2]], 1),
    "cat of columns": lambda x: torch.cat([x.T, -2 * x.T]).T,
    "cat of three axes": lambda x: torch.cat([x.view(-1, 2, 2), x.view(-1, 2, 2) + 1], 2),
    "cat with weights": lambda x: torch.cat([x, torch.full((len(x), 2), 0.25, dtype=x.dtype)], 1),
    "stack": lambda x: torch.stack([x, 2 * x], 1),
    "stack of the last axis": lambda x: torch.stack([x[:, 0], x[:, 3] * 2], -1),
    "flip": lambda x: x.flip(1),
    "flip of two axes": lambda x: x.view(-1, 2, 2).flip(1, 2),
    "flip of what is computed": lambda x: (x + 1).fliplr(),
    "roll": lambda x: x.roll(1, 1),
    "roll back": lambda x: torch.roll(scaled(x), -2, -1),
    "roll by more": lambda x: torch.roll(x, 7, 1),
    "roll of two axes": lambda x: x.view(-1, 2, 2).roll((1, 1), (1, 2)),
    "unbind": lambda x: torch.stack(x.unbind(1)[::-1], 1),
    "chunk": lambda x: x.chunk(3, 1)[0] + x.chunk(3, 1)[1],
    "split": lambda x: x.split(3, 1)[1] * x.split(3, 1)[0],
    "split with sizes": lambda x: x.split([1, 3], 1)[1],
    "slices in steps": lambda x: x[:, 1::2],
    "slices from the end": lambda x: x[:, -3:-1],
    "a slice that is too long": lambda x: x[:, 2:9],
    "a list of places": lambda x: x[:, [2, 0, 0, -1]],
    "a tensor of places": lambda x: x.index_select(1, torch.tensor([3, 1])),
    "places of the middle": lambda x: x.view(-1, 2, 2)[:, [1, 0]],
    "pad": lambda x: functional.pad(x, (1, 2), value=0.5),
    "pad by less than nothing": lambda x: functional.pad(x, (-1, 1)),
    "pad of two axes": lambda x: functional.pad(x.view(-1, 2, 2), (1, 0, 0, 1)),
    "repeat": lambda x: x.repeat(1, 2),
    "repeat in a new axis": lambda x: x.T.repeat(2, 1, 1).permute(2, 0, 1),
    "repeat each": lambda x: x.repeat_interleave(2, 1),
    "diagonal": lambda x: torch.diagonal(x.view(-1, 2, 2), 0, 1, 2),
    "diagonal above": lambda x: torch.diagonal(x.view(-1, 2, 2), 1, 2, 1),
    "tril": lambda x: x.view(-1, 2, 2).tril(),
    "triu": lambda x: x.view(-1, 2, 2).triu(1),
    "unflatten": lambda x: scaled(x).unflatten(1, (2, 2)).transpose(1, 2).flatten(1),
    "view of a transpose": lambda x: x.view(-1, 2, 2).mT.reshape(-1, 4),
    "reshape in columns": lambda x: x.T.reshape(2, 2, -1).sum(1).T,
    "view of what is read twice": lambda x: (lambda h: h.view(-1, 2, 2) * h[:, :1, None])(x * 2),
    "constants": lambda x: x * torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=x.dtype),
    "one constant": lambda x: x * torch.tensor(0.1),
    "constant words": lambda x: torch.where(torch.tensor([True, False, True, False]), x, 0.5),
}
SUMS = {
    "cumsum": lambda x: x.cumsum(1),
    "cumsum of columns": lambda x: x.T.cumsum(0).T,
    "cumprod": lambda x: x.cumprod(1),
    "var": lambda x: x.var(1)[:, None],
    "var by all": lambda x: x.var(1, unbiased=False, keepdim=True),
    "var of one": lambda x: x[:, :1].var(1, keepdim=True),
    "var of as many as it lacks": lambda x: x[:, :2].var(1, correction=2, keepdim=True),
    "std": lambda x: x.std(-1, keepdim=True),
    "var_mean": lambda x: torch.stack(torch.var_mean(x, 1), 1),
    "norm": lambda x: x.norm(dim=1)[:, None],
    "norm of order 1": lambda x: torch.linalg.vector_norm(x, 1, 1, keepdim=True),
    "norm of order 3": lambda x: torch.linalg.vector_norm(x, 3, 1)[:, None],
    "the largest": lambda x: torch.linalg.vector_norm(x, INF, 1)[:, None],
    "the smallest": lambda x: torch.linalg.vector_norm(x, -INF, 1)[:, None],
    "normalize": lambda x: functional.normalize(x, dim=1),
    "layer norm": lambda x: functional.layer_norm(x, (4,)),
    "layer norm of weights": lambda x: functional.layer_norm(
        *(x, (4,), torch.full((4,), 2.0, dtype=x.dtype), torch.full((4,), -1.0, dtype=x.dtype))
    ),
    "layer norm of two axes": lambda x: functional.layer_norm(x.view(-1, 2, 2), (2, 2)),
    "group norm": lambda x: functional.group_norm(x, 2, eps=0.1),
    "rms norm": lambda x: functional.rms_norm(x, (4,)),
    "cosine similarity": lambda x: functional.cosine_similarity(x, x.flip(1))[:, None],
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "logsumexp": lambda x: x.logsumexp(1, keepdim=True),
    "prod": lambda x: x.prod(1, keepdim=True),
}
PRODUCTS = {
    "bmm": lambda x: torch.bmm(x.view(-1, 2, 2), x.view(-1, 2, 2).mT),
    "matmul": lambda x: (x.unsqueeze(1) @ x.view(-1, 2, 2).repeat(1, 2, 1)).squeeze(1),
    "einsum": lambda x: torch.einsum("ni,nj->nij", x, x[:, :2]),
    "einsum in heads": lambda x: torch.einsum("nhi,nhi->nh", x.view(-1, 2, 2), x.view(-1, 2, 2)),
    "einsum with weights": lambda x: torch.einsum(
        "nhi,ij->hnj", x.view(-1, 2, 2), weights_for(x)
    ).transpose(0, 1),
    "linear of many axes": lambda x: functional.linear(
        x.view(-1, 2, 2), weights_for(x), weights_for(x)[0]
    ),
    "linear beside samples": lambda x: functional.linear(
        x.T[:, :, None], weights_for(x)[1:, :1], weights_for(x)[0, 1:]
    ).transpose(0, 1),
    "matmul of many axes": lambda x: x.view(-1, 1, 2, 2) @ weights_for(x),
    "matmul from the left": lambda x: weights_for(x) @ x.view(-1, 2, 2),
    "matmul of stacks of stacks": lambda x: x.view(-1, 2, 2, 1) @ x.view(-1, 2, 1, 2),
    "attention": lambda x: functional.scaled_dot_product_attention(
        x.view(-1, 2, 2), scaled(x).view(-1, 2, 2), x.view(-1, 2, 2)
    ),
    "addmm of scaled": lambda x: torch.addmm(
        *(torch.ones(3, dtype=x.dtype), x, torch.ones(4, 3, dtype=x.dtype)), beta=0.5, alpha=2
    ),
}
TOPS = {
    "the largest value": lambda x: x.max(1, keepdim=True).values,
    "the smallest value": lambda x: x.min(1).values[:, None],
    "the place of the largest": lambda x: x * x.argmax(1, keepdim=True),
    "the place of the smallest": lambda x: x[:, :1] + x.argmin(1)[:, None],
    "the place beside the value": lambda x: x[:, :1] * x.max(1, keepdim=True).indices,
}
ELEMENTWISE = {
    "elu": functional.elu,
    "elu of another size": lambda x: functional.elu(x, 0.5),
    "selu": functional.selu,
    "celu": lambda x: functional.celu(x, 0.7),
    "hardtanh": functional.hardtanh,
    "relu6": functional.relu6,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "mish": functional.mish,
    "softshrink": functional.softshrink,
    "hardshrink": functional.hardshrink,
    "prelu": lambda x: functional.prelu(x, torch.tensor([0.25, -0.5, 1.0, 2.0], dtype=x.dtype)),
    "threshold": lambda x: functional.threshold(x, 0.1, 0.05),
    "lerp": lambda x: torch.lerp(x, x * x, 0.3),
    "lerp from the far end": lambda x: torch.lerp(x, scaled(x), 0.7),
    "lerp by a tensor": lambda x: torch.lerp(x, scaled(x), x.sigmoid()),
    "addcmul": lambda x: torch.addcmul(x, scaled(x), x, value=0.5),
    "addcdiv": lambda x: torch.addcdiv(x, x, x.square() + 1),
    "logaddexp": lambda x: torch.logaddexp(x, x.flip(1)),
    "nan_to_num": lambda x: x.nan_to_num(),
    "nan_to_num by words": lambda x: x.nan_to_num(0.5, 7.0, -7.0),
    "glu": functional.glu,
    "softsign": functional.softsign,
    "tanhshrink": functional.tanhshrink,
    "isnan": lambda x: x.isnan() + torch.zeros_like(x),
    "isfinite": lambda x: x.isfinite() * torch.ones_like(x),
    "both": lambda x: x * ((x > 0) & (x < 2)),
    "either": lambda x: torch.where((x < 0) | (x > 2), x, 0.5),
    "not": lambda x: torch.where(~(x > 0), x, 0.5),
}
TABLES = {
    "places": PLACES,
    "sums": SUMS,
    "products": PRODUCTS,
    "tops": TOPS,
    "elementwise": ELEMENTWISE,
}
WITHOUT_GRADIENT = {"isnan", "isfinite"}


@dataclass(frozen=True)
class Eighth:
    """A task whose loss is the sum of all logits by eight, so that eight samples make a whole."""

    def loss(self, logits, y):
        return logits.sum() / 8

    def count_correct(self, logits, y):
        return (y > 0.5).sum()


def handing_out():
    """An optimizer whose state is the last gradient."""

    def init(params):
        return {key: torch.zeros_like(param) for key, param in params.items()}

    return Optimizer(init, lambda grads, state, params: (params, grads))


def results_of(functions, rows, dtype):
    """What the fused engine makes of rows of features, by name."""
    shapes = {name: f(torch.ones(2, 4, dtype=dtype)).shape[1:] for name, f in functions.items()}

    def init(generator):
        return {name: torch.zeros(shape, dtype=dtype) for name, shape in shapes.items()}

    def apply(p, x):
        parts = [(f(x) * p[name]).flatten(1).sum(1) for name, f in functions.items()]
        return sum(parts[1:], parts[0])

    x = torch.tensor(rows, dtype=dtype)[:, None].expand(-1, 8, 4).contiguous()
    batch = Batch(x, torch.zeros(len(rows), 8, dtype=dtype))
    recipe = Recipe("operations", Model(init, apply), handing_out(), 1)
    start = init_chunk(recipe, range(len(rows)), CPU)
    state, _ = FUSED.train(recipe, start, ChunkData(batch, batch, Eighth()), 1)
    return state.opt_state


def wrong_of(functions, rows, dtype, times=1):
    """What differs from torch's by more than so many times some roundings, in a line each."""
    found, wrong = results_of(functions, rows, dtype), []
    near = times * {torch.float32: 4e-6, torch.float64: 1e-14}[dtype]
    for name, function in functions.items():
        x = torch.tensor(rows, dtype=dtype)
        exact = function(x)
        room = near * (1 + x.nan_to_num(0, 0, 0).abs().amax(1))
        room = room.view(-1, *(1 for _ in exact.shape[1:]))
        close = torch.isclose(found[name], exact, rtol=near, atol=0, equal_nan=True)
        close |= (found[name] - exact).abs() <= room
        for at in (~close.flatten(1).all(1)).nonzero()[:3, 0].tolist():
            wrong.append(f"{name} of {rows[at]}: {found[name][at]} for {exact[at]}")
    return wrong


MILD = [tuple(math.sin(3.7 * k + 1.3 * j * j) for j in range(4)) for k in range(100)]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom:UserWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("table", TABLES)
def test_what_is_made_of_simpler_operations_is_torchs(table, dtype):
    wrong = wrong_of(TABLES[table], ROWS, dtype)
    assert not wrong, "\n".join(wrong)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom:UserWarning")
@pytest.mark.parametrize("table", TABLES)
def test_so_are_their_gradients(table):
    functions = {
        f"{name}, gradient": gradient_of(f)
        for name, f in TABLES[table].items()
        if name not in WITHOUT_GRADIENT
    }
    rows = MILD if table in ("sums", "products") else [*MILD, *ROWS[::5]]
    wrong = wrong_of(functions, rows, torch.float64, 100)
    assert not wrong, "\n".join(wrong)
