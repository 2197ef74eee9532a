"""The fused engine beside a plain loop of torch.autograd, on random networks and optimizers.

Each case is a network in a few random lines of Python, an optimizer (every other one of one's own,
with leaves of its first state that share memory), a number of samples and a precision. The loop
takes one replicate at a time: no vmap, no engine of ours. Compared are the displacement of each
weight from its start, and the losses and counts of the curve. A network may be refused (with
`UnfusableError`), but few are; a wrong number is a failure, and its message holds the case's seed
and source.

By default some dozens of networks are tried, the same ones each time. For more, from other seeds:

    FUZZ_NETWORKS=1000 FUZZ_SEED=1 pytest -s tests/engines/fused/test_fuzz.py -k 64

tries 1000 on vectors of 64 bytes (or of 32, or 16), at about 0.7 seconds of a core each.
"""

import functools
import math
import os
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.optim import adam, sgd
from functional_clf.core.tasks import Binary, MultiClass
from functional_clf.core.types import Batch, Model, Optimizer
from functional_clf.data.batches import ChunkData
from functional_clf.engines.fused import inputs, library
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.fused.trace import UnfusableError
from functional_clf.engines.machine import c_compiler

NETWORKS = int(os.environ.get("FUZZ_NETWORKS", "12"))
# The seeds from here on soon meet both faults that were once found so: leaves of a state that begin
# as one tensor, and sums over a single vector of samples.
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0")) * 10**6 + 8
EPOCHS, REPLICATES, AT_ONCE = 4, 2, 32
CPU = torch.device("cpu")

# Networks: {0} and {1} are hidden values, (sample, feature); the rest is drawn by the writer.

UNARY = [
    *("torch.tanh({0})", "torch.sigmoid({0})", "torch.relu({0})", "nn.functional.silu({0})"),
    *("nn.functional.gelu({0})", "nn.functional.gelu({0}, approximate='tanh')"),
    *("nn.functional.leaky_relu({0}, 0.2)", "nn.functional.softplus({0})"),
    *("nn.functional.logsigmoid({0})", "torch.sin(2 * {0})", "torch.cos({0})", "torch.erf({0})"),
    *("torch.exp(-{0}.square())", "torch.log1p({0}.square())", "torch.expm1(0.3 * {0})"),
    *("0.2 * {0} ** 3", "torch.sqrt(1 + {0}.square())", "1 / (1 + {0} * {0})", "{0}.abs()", "-{0}"),
    *("{0}.clamp(-0.5, 0.5)", "{0}.clamp_min(-0.2)", "{0}.clamp_max(0.3)", "1.5 - {0}"),
    *("torch.where({0} > 0.1, {0}, 0.1 * {0} - 0.5)", "{0} * ({0} > 0).to({0}.dtype)"),
    *("{0}.detach() * torch.sigmoid({0})", "({0} * 2).add_(1).tanh_()", "{0} * len(x) / 40"),
    *("{0} * torch.rsqrt({0}.square() + 0.5)", "torch.masked_fill({0}, {0} < -0.3, -0.3)"),
    *("torch.rsub({0}, 0.5, alpha=2)", "torch.log(1 + {0}.exp())", "{0}.reciprocal().tanh()"),
]
OF_TWO = [
    *("{0} + {1}", "{0} - {1}", "{0} * torch.sigmoid({1})", "torch.maximum({0}, {1})"),
    *("torch.minimum({0}, 0.5 - {1})", "torch.where({0} > {1}, {0}, 0.5 * {1})", "{0} * {1}"),
    *("{0} / (1 + {1}.abs())", "torch.sub({0}, {1}, alpha=0.5)", "{0} + 0.5 * torch.tanh({1})"),
    "torch.where(torch.logical_and({0} > 0, {1} > 0), {0}, {1})",
]
WITH_WEIGHTS = [  # one a feature (w), or one of all (s)
    *("{0} + {w}", "{0} - {w}", "{w} - {0}", "{0} * {w}", "{0} * torch.sigmoid({w})", "{0} + {s}"),
    *("{0} * {s}", "torch.where({w} > 0, {0}, 0.2 * {0})", "{0} / (1 + {w}.square())"),
    *("{0} + {w}[None]", "{0} * (1 + {w}).unsqueeze(0)", "torch.maximum({0}, {w})"),
    *("{0} + {w} * {w}", "{0} * {w} + {s}", "{0} + {w}.mean()", "{0} + {w}.expand(len(x), {k})"),
]
OF_FEATURES = [
    *("{0} - {0}.mean(1, keepdim=True)", "{0} * {0}.sum(1, keepdim=True)"),
    *("{0} * torch.rsqrt({0}.square().mean(1, keepdim=True) + 0.1)", "{0} + {0}[:, 0, None]"),
    *(
        "{0} * {0}[:, -1, None]",
        "{0} - {0}.mean(-1).unsqueeze(1)",
        "{0}.select(1, 0)[:, None] * {0}",
    ),
]
STRANGE = [  # some of these are refused
    *("torch.softmax({0}, 1)", "{0} - {0}.mean(0)", "{0} * torch.rand_like({0})", "{0}.cumsum(1)"),
    *(
        "{0}.flip(1)",
        "nn.functional.elu({0})",
        "{0} * {0}[:, :1]",
        "{0} - {0}.detach().mean(0)",
        "{0} * OUTSIDE",
    ),
]
PRODUCTS = [  # w is (fan_in, fan_out), t its transpose, b one number for each of fan_out
    *("{0} @ {w} + {b}", "{0} @ {w}", "{0} @ {t}.T + {b}", "{0} @ {t}.mT", "torch.mm({0}, {w})"),
    *("nn.functional.linear({0}, {t}, {b})", "nn.functional.linear({0}, {t})"),
    *("torch.addmm({b}, {0}, {w})", "({t} @ {0}.T).T + {b}", "({t} @ {0}.mT + {b}[:, None]).mT"),
    *("{0}.matmul({w}).add({b})", "torch.tanh({t} @ {0}.permute(1, 0)).permute(1, 0)"),
    *("{0} @ ({w} * {s}.exp()) + {b}", "{0} @ ({w} / (1 + {w}.square().sum(0, keepdim=True)))"),
    *("{0} @ torch.tanh({t}).T + {b}", "{b} - {0} @ {w}"),
]
LOGITS = [  # v is (feature,), r is (1, feature)
    *("{0} @ {v} + {s}", "({0} @ {r}.mT + {c}).squeeze(-1)", "({0} * {v}).sum(1)"),
    *("nn.functional.linear({0}, {r}, {c}).squeeze(-1)", "({r} @ {0}.T).squeeze(0) + {s}"),
    *("({0} @ {v}.unsqueeze(1))[:, 0] + {c}", "({0} @ {v}[:, None]).squeeze(1)", "{0} @ {r}[0]"),
    *("{0}.mean(1) * {s} + {0} @ {v}", "torch.mv({0}, {v})"),
]
OF_CLASSES = [  # drawn in networks with several classes only
    *("torch.softmax({0}, 1)", "torch.log_softmax({0}, -1)", "{0} * torch.softmax(2 * {0}, 1)"),
    *("{0} - {0}.logsumexp(1, keepdim=True)", "{0} - {0}.amax(1, keepdim=True)"),
    *("{0} * {0}.amin(1)[:, None]", "{0} * ({0} > 0).any(1, keepdim=True)", "{0}.T.softmax(0).T"),
    *("{0} * ({0} > -0.3).all(1, keepdim=True)", "{0} / (1 + ({0} > 0).sum(1, keepdim=True))"),
    *("{0} + 0.1 * torch.arange({k}, dtype={0}.dtype)", "{0} * {w}.softmax(0)"),
    *("{0} * {0}.detach().prod(1, keepdim=True).tanh()", "{0} * torch.logsumexp({w}, 0)"),
    "{0} - {0}.max(1, keepdim=True).values.detach()",
]
OUTSIDE = torch.tensor(0.5)


@dataclass
class Writer:
    """Writes a network, line by line."""

    rng: random.Random
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    hidden: list[tuple[str, int]] = field(default_factory=list)

    def weight(self, *shape: int) -> str:
        """One of these weights, now and then the one that another line has, too."""
        same = [name for name, other in self.shapes.items() if other == shape]
        if same and self.rng.random() < 0.1:
            return f"p['{self.rng.choice(same)}']"
        name = f"w{len(self.shapes)}"
        self.shapes[name] = shape
        return f"p['{name}']"

    def write(self, text: str, width: int) -> None:
        name = f"h{len(self.hidden)}"
        self.lines.append(f"{name} = {text}")
        self.hidden.append((name, width))

    def use(self, templates: list[str], width: int, **also: str) -> None:
        name, fan_in = self.hidden[-1]
        same = [name for name, k in self.hidden if k == fan_in]
        template = self.rng.choice(templates)
        makers = {
            "w": (fan_in, width) if templates is PRODUCTS else (fan_in,),
            "t": (width, fan_in),
            "b": (width,),
            "s": (),
            "c": (1,),
            "v": (fan_in,),
            "r": (1, fan_in),
        }
        words = {
            key: self.weight(*shape) for key, shape in makers.items() if f"{{{key}}}" in template
        }
        self.write(template.format(name, self.rng.choice(same), k=fan_in, **words), width)

    def width(self) -> int:
        return self.rng.choice((1, 2, 3, 4, 5, 7, 8, 8, 8, 9, 16, 16, 17))


@dataclass
class Case:
    """A network, an optimizer and data, all from one seed.

    tied: weights that are drawn as another one of the same shape.
    classes: how many there are; None for a binary classifier of one logit.
    """

    seed: int
    dtype: torch.dtype
    features: int
    samples: tuple[int, int]
    source: str
    shapes: dict[str, tuple[int, ...]]
    tied: dict[str, str]
    optimizer: str
    classes: int | None = None

    def __str__(self) -> str:
        return (
            f"case {self.seed}: {self.dtype}, {self.features} features, samples {self.samples}, "
            f"{self.optimizer}, weights {self.shapes}, tied {self.tied}, classes {self.classes}\n"
            f"{self.source}"
        )

    @functools.cached_property
    def recipe(self) -> Recipe:
        names: dict[str, Any] = {"__name__": __name__, "torch": torch, "nn": nn, "OUTSIDE": OUTSIDE}
        exec(self.source, names)
        model = Model(drawing(self.shapes, self.tied, self.dtype), names["apply"])
        return Recipe(f"case {self.seed}", model, OPTIMIZERS[self.optimizer](), EPOCHS)

    @functools.cached_property
    def data(self) -> ChunkData:
        generator = torch.Generator().manual_seed(self.seed)

        def batch(samples: int) -> Batch:
            x = torch.randn(REPLICATES, samples, self.features, generator=generator)
            y = torch.rand(REPLICATES, samples, generator=generator)
            y = y > 0.5 if self.classes is None else (y * self.classes).floor()
            return Batch(x.to(self.dtype), y.to(self.dtype))

        task = Binary() if self.classes is None else MultiClass(self.classes)
        return ChunkData(*(batch(samples) for samples in self.samples), task)


def drawing(
    shapes: dict[str, tuple[int, ...]], tied: dict[str, str], dtype: torch.dtype
) -> Callable[[torch.Generator], dict[str, torch.Tensor]]:
    """The `init` of a model with weights of these shapes, some of which begin as one tensor."""

    def init(generator: torch.Generator) -> dict[str, torch.Tensor]:
        drawn = {
            name: torch.empty(shape, dtype=dtype).uniform_(-0.9, 0.9, generator=generator)
            for name, shape in shapes.items()
        }
        return drawn | {name: drawn[other] for name, other in tied.items()}

    return init


def draw(seed: int, vector_bytes: int, is_binary: bool = True) -> Case:
    rng = random.Random(seed)
    classes = None if is_binary else rng.choice((2, 3, 3, 4, 5, 10, 17))
    of_features = OF_FEATURES if is_binary else OF_FEATURES + OF_CLASSES * 2
    dtype = rng.choice((torch.float32, torch.float64))
    features = rng.choice((1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8))
    writer = Writer(rng, hidden=[("x", features)])
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        if rng.random() < 0.8:
            writer.use(PRODUCTS, writer.width())
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            kind = rng.choices(
                (UNARY, OF_TWO, WITH_WEIGHTS, of_features, STRANGE),
                (8, 3, 4, 2 if is_binary else 6, 0.7),
            )
            writer.use(kind[0], writer.hidden[-1][1])
        if rng.random() < 0.03:
            name, width = writer.hidden[-1]
            first, last = sorted(rng.choices(range(width), k=2))
            writer.write(f"{name}[:, {first}:{last + 1}]", last + 1 - first)
    if classes is None:
        writer.use(LOGITS, 1)
    else:
        writer.use(PRODUCTS, classes)
    lines = "".join(f"    {line}\n" for line in writer.lines)
    shapes, tied = writer.shapes, {}
    for name, shape in shapes.items():
        others = [other for other in shapes if other < name and shapes[other] == shape]
        if others and rng.random() < 0.2:
            tied[name] = rng.choice(others)
    lanes = vector_bytes // dtype.itemsize
    samples = rng.choice(
        (lanes, lanes, rng.randint(1, lanes), 2 * lanes, rng.randint(1, 40), rng.randint(1, 300))
    )
    return Case(
        *(seed, dtype, features, (samples, rng.randint(1, 20))),
        f"def apply(p, x):\n{lines}    return {writer.hidden[-1][0]}\n",
        *(shapes, tied, rng.choice(rng.choice((PLAIN, OWN))), classes),
    )


# Optimizers, most with leaves of their first state that share memory, or share it with weights.


def adamw(aliased: str):
    """AdamW under a cosine, by hand."""

    def init(params):
        zero = {name: torch.zeros_like(param) for name, param in params.items()}
        steps = torch.zeros((), dtype=torch.int64)
        if aliased == "tensors":
            return {"m": zero, "v": dict(zero), "steps": steps}
        if aliased == "views":
            size = sum(param.numel() for param in params.values())
            flat, ends = next(iter(params.values())).new_zeros(size), [0]
            for param in params.values():
                ends.append(ends[-1] + param.numel())
            cut = {
                name: flat[start:end].view(param.shape)
                for (name, param), start, end in zip(params.items(), ends, ends[1:], strict=False)
            }
            return {"m": cut, "v": {name: view[...] for name, view in cut.items()}, "steps": steps}
        one = next(iter(params.values())).new_zeros(())  # expanded
        wide = {name: one.expand(param.shape) for name, param in params.items()}
        return {"m": wide, "v": dict(wide), "steps": steps}

    def update(grads, state, params):
        steps = state["steps"] + 1
        m = {k: 0.9 * state["m"][k] + 0.1 * g for k, g in grads.items()}
        v = {k: 0.99 * state["v"][k] + 0.01 * g * g for k, g in grads.items()}
        wave = torch.cos(steps.to(next(iter(grads.values())).dtype) * (math.pi / 40))
        rate = 0.05 * (1 + wave)
        updates = {k: -rate * (m[k] / (v[k].sqrt() + 0.01) + 0.1 * params[k]) for k in grads}
        return updates, {"m": m, "v": v, "steps": steps}

    return Optimizer(init, update)


def averaging():
    """SGD that keeps a running average of the weights, which begins as the weights."""

    def update(grads, state, params):
        average = {k: 0.8 * state[k] + 0.2 * params[k] for k in grads}
        return {k: -0.2 * g + 0.1 * (average[k] - params[k]) for k, g in grads.items()}, average

    return Optimizer(lambda params: params, update)


def anchored():
    """SGD that is pulled to where the weights began."""

    def update(grads, state, params):
        return {k: -0.3 * g - 0.2 * (params[k] - state[k]) for k, g in grads.items()}, state

    return Optimizer(dict, update)


def paired():
    """Momentum, with a rate and a decay that begin as one number."""

    def init(params):
        zero = {name: torch.zeros_like(param) for name, param in params.items()}
        number = next(iter(params.values())).new_full((), 0.2)
        return {"v": zero, "rate": number, "decay": number, "last": zero}

    def update(grads, state, params):
        rate, decay = 0.9 * state["rate"], 0.5 + state["decay"]
        v = {k: decay * state["v"][k] + g - 0.1 * state["last"][k] for k, g in grads.items()}
        updates = {k: -rate * v[k] for k in grads}
        return updates, {"v": v, "rate": rate, "decay": state["decay"], "last": grads}

    return Optimizer(init, update)


def in_place():
    """Momentum that writes into its state."""

    def init(params):
        zero = {name: torch.zeros_like(param) for name, param in params.items()}
        return {"m": zero, "n": dict(zero)}

    def update(grads, state, params):
        for k, g in grads.items():
            state["m"][k].mul_(0.9).add_(g)
            state["n"][k].mul_(0.5).add_(torch.tanh(9 * g), alpha=0.1)
        return {k: -0.1 * state["m"][k] - 0.1 * state["n"][k] for k in grads}, state

    return Optimizer(init, update)


def clipping():
    """Momentum on gradients of at most a given length, after a warm-up."""

    def init(params):
        zero = {name: torch.zeros_like(param) for name, param in params.items()}
        return {"v": zero, "before": zero, "steps": torch.zeros((), dtype=torch.int64)}

    def update(grads, state, params):
        steps = state["steps"] + 1
        length = sum(g.square().sum() for g in grads.values()).sqrt()
        scale = (
            torch.clamp(0.3 / (length + 1e-6), max=1.0) * (1 + (steps > 2).to(length.dtype)) * 0.2
        )
        v = {k: 0.8 * state["v"][k] + scale * g for k, g in grads.items()}
        before = {k: 0.5 * (state["before"][k] + v[k]) for k in grads}
        updates = {k: -v[k] - 0.1 * state["before"][k] for k in grads}
        return updates, {"v": v, "before": before, "steps": steps}

    return Optimizer(init, update)


OPTIMIZERS = {
    "sgd": lambda: sgd(0.3),
    "momentum": lambda: sgd(0.1, momentum=0.9),
    "adam": lambda: adam(0.05, eps=1e-3),
    "AdamW, of one tensor": lambda: adamw("tensors"),
    "AdamW, of views": lambda: adamw("views"),
    "AdamW, expanded": lambda: adamw("expanded"),
    "averaging": averaging,
    "anchored": anchored,
    "paired": paired,
    "in place": in_place,
    "clipping": clipping,
}
PLAIN, OWN = list(OPTIMIZERS)[:3], list(OPTIMIZERS)[3:]


@dataclass
class Path:
    """What a plain loop finds for one replicate: the weights at its start and end, the curve.

    loss, correct: by epoch, on train and test data; correct: the fewest and the most, since a
        logit that is 0 up to rounding may fall on either side.
    """

    start: dict[str, torch.Tensor]
    end: dict[str, torch.Tensor]
    loss: torch.Tensor
    correct: list[list[tuple[int, int]]]


def loss_of(case: Case, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if case.classes is None:
        return nn.functional.binary_cross_entropy_with_logits(logits, y)
    return nn.functional.cross_entropy(logits, y.long())


def margin_of(case: Case, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """By how much a sample's logits are away from another prediction of whether it is right."""
    if case.classes is None:
        return logits
    is_label = y.long()[:, None] == torch.arange(case.classes)
    others = torch.where(is_label, -torch.inf, logits).amax(1)
    return torch.where(is_label, logits, 0).sum(1) - others


def walk(case: Case, replicate: int, dtype: torch.dtype) -> Path:
    """The plain loop; a leaf of the state is a tensor of its own."""

    def own(leaf: torch.Tensor) -> torch.Tensor:
        leaf = leaf[replicate].clone(memory_format=torch.contiguous_format)
        return leaf.to(dtype) if leaf.is_floating_point() else leaf

    recipe = case.recipe
    state = pytree.tree_map(own, init_chunk(recipe, range(REPLICATES), CPU))
    batches = [Batch(*(part[replicate].to(dtype) for part in batch)) for batch in case.data[:2]]
    params, opt_state = dict(state.params), state.opt_state
    start = pytree.tree_map(torch.clone, params)
    losses, correct = [], []
    for epoch in range(EPOCHS + 1):
        leaves = {name: param.clone().requires_grad_() for name, param in params.items()}
        logits = [recipe.model.apply(leaves, batch.x) for batch in batches]
        loss = [loss_of(case, z, batch.y) for z, batch in zip(logits, batches, strict=True)]
        losses.append(torch.stack(loss).detach())
        rows = []
        for z, batch in zip(logits, batches, strict=True):
            margin = margin_of(case, z, batch.y)
            is_right = margin > 0 if case.classes else (z > 0) == (batch.y > 0.5)
            is_open = margin.abs() < (1e-4 if case.dtype == torch.float32 else 1e-11)
            rows.append((int((is_right & ~is_open).sum()), int((is_right | is_open).sum())))
        correct.append(rows)
        if epoch < EPOCHS:
            found = torch.autograd.grad(
                loss[0], list(leaves.values()), allow_unused=True, materialize_grads=True
            )
            with torch.no_grad():
                grads = dict(zip(leaves, found, strict=True))
                updates, opt_state = recipe.optimizer.update(grads, opt_state, params)
                params = {name: param + updates[name] for name, param in params.items()}
    return Path(start, params, torch.stack(losses), correct)


def is_tame(path: Path) -> bool:
    tensors = [path.loss, *path.end.values()]
    return all(bool(torch.isfinite(one).all()) and float(one.abs().max()) < 30 for one in tensors)


def wrong_parts(case: Case, paths: list[Path], rounded: list[Path]) -> list[str]:
    """What the fused engine finds that differs from the exact paths by more than rounding."""
    start = init_chunk(case.recipe, range(REPLICATES), CPU)
    state, curves = FUSED.train(case.recipe, start, case.data, EPOCHS)
    near, tiny = (2e-3, 3e-6) if case.dtype == torch.float32 else (1e-8, 1e-13)
    found = []
    for lane, (path, plain) in enumerate(zip(paths, rounded, strict=True)):
        for name, param in path.end.items():
            moved = param - path.start[name]
            apart = (state.params[name][lane] - param).double().norm()
            size = max(float(path.start[name].norm()), float(param.norm()), 1.0)
            # Adam makes much of a gradient that is 0 but for rounding, in the plain loop as well.
            noise = (plain.end[name] - param).norm()
            if not apart <= near * moved.norm() + tiny * size + 10 * noise:
                found.append(f"{name}, replicate {lane}: {apart:.2g} of {moved.norm():.2g}")
        for part, metrics in enumerate((curves.train, curves.test)):
            loss = metrics.loss[:, lane].double()
            if not torch.allclose(loss, path.loss[:, part].double(), rtol=near, atol=10 * tiny):
                found.append(f"loss {part}, replicate {lane}: {loss} for {path.loss[:, part]}")
            for count, rows in zip(metrics.correct[:, lane].tolist(), path.correct, strict=True):
                if not rows[part][0] <= count <= rows[part][1]:
                    found.append(f"count {part}, replicate {lane}: {count} outside {rows[part]}")
    return found


def force_width(monkeypatch: pytest.MonkeyPatch, vector_bytes: int) -> None:
    """Have programs made and compiled as on a machine with such vector registers."""
    if vector_bytes == library.vector_bytes():
        return
    flags = {32: "-march=haswell", 16: "-march=x86-64"}[vector_bytes]
    monkeypatch.setattr(library, "_options", lambda: [*library.OPTIONS, flags])
    monkeypatch.setattr(inputs, "vector_bytes", lambda: vector_bytes)


def try_all(seeds: range, vector_bytes: int, is_binary: bool) -> tuple[list[str], int, int]:
    """Failures, and how many cases were fused and refused."""
    failures, n_fused, n_refused = [], 0, 0
    cases = []
    for seed in seeds:
        case = draw(seed, vector_bytes, is_binary)
        torch.manual_seed(seed)
        paths = [walk(case, lane, torch.float64) for lane in range(REPLICATES)]
        rounded = [walk(case, lane, case.dtype) for lane in range(REPLICATES)]
        if all(is_tame(path) for path in (*paths, *rounded)):  # exp overflows sooner in float32
            cases.append((case, paths, rounded))

    def compiled(case: Case) -> bool:
        try:
            FUSED.prepare([case.recipe], case.data)
        except UnfusableError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        can = list(pool.map(compiled, [case for case, _, _ in cases]))
    for (case, paths, rounded), is_fusable in zip(cases, can, strict=True):
        if not is_fusable:
            n_refused += 1
            continue
        n_fused += 1
        if wrong := wrong_parts(case, paths, rounded):
            failures.append(f"{case}" + "\n".join(wrong))
    return failures, n_fused, n_refused


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "classes"])
@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
def test_random_networks_train_as_in_a_plain_loop(vector_bytes, is_binary, monkeypatch, tmp_path):
    if vector_bytes > library.vector_bytes():
        pytest.skip(f"this machine has no vectors of {vector_bytes} bytes")
    force_width(monkeypatch, vector_bytes)
    failures, n_fused, n_refused = [], 0, 0
    first = FIRST_SEED + vector_bytes * 10**7
    for start in range(first, first + NETWORKS, AT_ONCE):
        folder = tmp_path / str(start)
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
        more = try_all(
            range(start, min(start + AT_ONCE, first + NETWORKS)), vector_bytes, is_binary
        )
        failures, n_fused, n_refused = failures + more[0], n_fused + more[1], n_refused + more[2]
        shutil.rmtree(folder, ignore_errors=True)
        if more[0]:
            print(*more[0], sep="\n", flush=True)
    print(f"seeds from {first}: {n_fused} fused, {n_refused} refused, {len(failures)} wrong")
    assert not failures, "\n\n".join(failures)
    assert n_fused >= 0.5 * NETWORKS
    assert n_fused >= 3 * n_refused
