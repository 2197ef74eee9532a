"""Random networks, each from one seed, and their training in a plain loop of torch.autograd.

A network is a few random lines of Python, `apply(p, x)` of one replicate, so that one that fails
can be read and tried alone. The plain loop takes one replicate at a time through `torch.autograd`
and `torch.optim`: no vmap, and neither engine nor optimizer of ours. It runs in float64, and once
more from weights that are off by a rounding (in float32: computed in float32): by how far the
second run is apart from the first it is known how much of a difference tells nothing.

    python tests/engines/fused/fuzzing.py 1234        # what network 1234 is, and how it does
"""

import dataclasses
import functools
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
from typing import Any

import torch
from torch.nn import functional
from torch.utils import _pytree as pytree

from functional_clf.contestants.recipe import Recipe, init_chunk
from functional_clf.core.optim import adam, sgd
from functional_clf.core.tasks import Binary, MultiClass
from functional_clf.core.types import Batch, Model
from functional_clf.data.batches import ChunkData
from functional_clf.engines.fused import library
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.fused.trace import UnfusableError

CPU = torch.device("cpu")
WIDEST = 17
TAME = 1e3
"""Losses and weights beyond this one are not compared: float32 has no digits left to agree on."""

# Lines of a network. {0} is what came last, of shape (sample, k); {1} something else of that shape,
# {2} something else of any width, j. Letters are weights: w (k, m), t (m, k), b (m,) for a new
# width m; g (k,), v (k,), s (), u (k, k), q (c, c). a and c are two factors of k, i and e places
# below it.

ELEMENTWISE = [
    *("torch.relu({0})", "torch.tanh({0})", "torch.sigmoid({0})", "functional.silu({0})"),
    *("functional.gelu({0})", "functional.gelu({0}, approximate='tanh')", "functional.elu({0})"),
    *("functional.softplus({0})", "functional.leaky_relu({0}, 0.1)", "functional.elu({0}, 0.5)"),
    *("torch.exp({0}.clamp(-2, 2))", "torch.exp(-{0}.square())", "{0}.abs()", "{0}.square()"),
    *("torch.sin(2 * {0})", "torch.cos({0})", "{0}.clamp(-0.7, 0.9)", "{0}.clamp_min(-0.2)"),
    *("torch.where({0} > 0.1, {0}, 0.1 * {0} - 0.5)", "{0} * ({0} > 0)", "0.2 * {0} ** 3"),
    *("torch.pow({0}.abs() + 0.1, 1.5)", "{0}.square().add(0.1) ** -0.5", "{0} ** 2", "-{0}"),
    *("torch.sqrt(1 + {0} * {0})", "1 / (1 + {0}.square())", "torch.log1p({0}.abs())"),
    *("functional.logsigmoid({0})", "torch.erf({0})", "torch.expm1(0.3 * {0})", "1.5 - 2 * {0}"),
    *("functional.relu6(3 * {0})", "functional.hardtanh({0})", "functional.selu({0})"),
    *("functional.mish({0})", "functional.softsign({0})", "functional.hardswish({0})"),
    *("functional.celu({0})", "functional.hardsigmoid(2 * {0})", "functional.tanhshrink({0})"),
    *("torch.atan({0})", "torch.masked_fill({0}, {0} < -0.3, -0.3)", "torch.sinh(0.5 * {0})"),
    *("{0}.detach() * torch.sigmoid({0})", "({0} * 2).add_(1).tanh_()", "{0} / 3", "{0} * len(x)"),
    *("functional.softshrink({0}, 0.2)", "torch.log2(1 + {0}.abs())", "torch.exp2(0.5 * {0})"),
    *("{0}.nan_to_num()", "torch.cosh({0} / 2)", "functional.threshold({0}, 0.1, 0.05)"),
]
OF_TWO = [
    *("{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / (1 + {1}.abs())", "torch.maximum({0}, {1})"),
    *("torch.minimum({0}, {1})", "torch.where({0} > {1}, {0}, 0.5 * {1})", "{0} * ({1} > 0)"),
    *("{0} * torch.sigmoid({1})", "{0} + 0.5 * torch.tanh({1})", "torch.lerp({0}, {1}, 0.3)"),
    *("torch.addcmul({0}, {1}, {0}, value=0.5)", "torch.logaddexp({0}, {1})"),
    *("torch.hypot({0}, {1} + 1)", "({0} + {1}) / 2", "torch.sub({0}, {1}, alpha=0.5)"),
]
WITH_WEIGHTS = [
    *("{0} + {g}", "{0} * {g}", "{0} * (1 + {g}[None])", "{0} * {s}", "{0} + {s}"),
    *("torch.where({g} > 0, {0}, 0.2 * {0})", "{0} / (1 + {g}.square())", "{g} - {0}"),
    *("functional.prelu({0}, {g})", "{0} * torch.softmax({g}, 0)", "{0} + {g}.mean()"),
    *("{0} * torch.sigmoid({g} * {0})", "{0} + {g}.expand(len(x), {k})", "{0} * {u}.diagonal()"),
]
LINEAR = [
    *("{0} @ {w} + {b}", "{0} @ {w}", "{0} @ {t}.T + {b}", "{0} @ {t}.mT", "torch.mm({0}, {w})"),
    *("functional.linear({0}, {t}, {b})", "functional.linear({0}, {t})"),
    *("({t} @ {0}.mT).mT + {b}", "({t} @ {0}.T + {b}[:, None]).T", "torch.matmul({0}, {w}) + {b}"),
    *("torch.addmm({b}, {0}, {w})", "torch.addmm({b}, {0}, {t}.T, beta=0.5, alpha=2)"),
    *("torch.einsum('ni,oi->no', {0}, {t}) + {b}", "torch.einsum('ni,io->no', {0}, {w})"),
    *("({0}[:, None] * {t}).sum(-1)", "({0}[:, :, None] * {w}).sum(1) + {b}"),
    *("({0}.unsqueeze(1) * {t}[None]).sum(2) + {b}", "{0}.matmul({w}).add({b})"),
    *("torch.inner({0}, {t}) + {b}", "torch.tensordot({0}, {w}, dims=1)"),
    *("{0} @ ({w} * {s}.exp())", "{0} @ functional.normalize({w}, dim=0)", "{b} - {0} @ {w}"),
    *("{0} @ torch.softmax({w}, 0)", "({t} @ {0}[:, :, None]).squeeze(-1) + {b}"),
    *("torch.func.vmap(lambda row: {t} @ row + {b})({0})", "{0} @ torch.tanh({t}).T + {b}"),
]
# Width, what the width must be, text.
OF_FEATURES = [
    *(
        ("k", "True", text)
        for text in (
            *("torch.softmax({0}, 1)", "torch.softmax({0}, -1)", "torch.log_softmax({0}, 1)"),
            *("{0} * torch.softmax(2 * {0}, -1)", "{0} - torch.logsumexp({0}, 1, keepdim=True)"),
            *("{0} - {0}.logsumexp(-1)[:, None]", "functional.softmin({0}, 1)"),
            *("functional.layer_norm({0}, ({k},))", "functional.layer_norm({0}, ({k},), {g}, {v})"),
            *("functional.layer_norm({0}, ({k},), {g})", "functional.layer_norm({0}, [{k}])"),
            *("{0} * torch.rsqrt({0}.square().mean(1, keepdim=True) + 0.1)",),
            *("{0} / ({0}.pow(2).mean(-1, keepdim=True) + 0.1).sqrt() * {g}",),
            *("functional.rms_norm({0}, ({k},), {g}, eps=0.1)",),
            *("functional.normalize({0} + 0.1, dim=1)", "{0} - {0}.mean(1, keepdim=True)"),
            *("{0} * {0}.sum(1, keepdim=True)", "{0} - {0}.amax(1, keepdim=True)"),
            *("{0} * {0}.amin(1)[:, None]", "{0} - {0}.max(1, keepdim=True).values"),
            *(
                "{0} / (1 + {0}.var(1, unbiased=False, keepdim=True))",
                "{0}.flip(1)",
                "{0}.flip(-1)",
            ),
            *("{0} / torch.sqrt({0}.var(1, correction=0, keepdim=True) + 0.1)",),
            *("{0}.cumsum(1)", "{0}.cumsum(-1) / {k}", "{0}.roll(1, 1)", "torch.roll({0}, -2, -1)"),
            *("{0} + {0}[:, [{i}]]", "{0} + {0}[:, 0, None]", "{0} * {0}[:, -1:]", "{0}.fliplr()"),
            *("{0} * ({0} > 0).any(1, keepdim=True)", "{0} * ({0} > -0.3).all(1, keepdim=True)"),
            *("{0} / (1 + ({0} > 0).sum(1, keepdim=True))", "{0} * {0}.norm(dim=1, keepdim=True)"),
            *(
                "{0} + 0.1 * torch.arange({k}, dtype={0}.dtype)",
                "{0} + {0}.select(1, {i})[:, None]",
            ),
            *("{0} * torch.linalg.vector_norm({0} + 0.2, dim=-1, keepdim=True)",),
            *("{0}.T.softmax(0).T", "{0}.transpose(0, 1).transpose(1, 0)", "{0}.reshape(-1, {k})"),
            *(
                "{0}.unsqueeze(1).squeeze(1)",
                "{0}[:, [{i}, *range(1, {k})]]",
                "{0}[:, list(range({k}))]",
            ),
            *(
                "torch.where(torch.arange({k}) < {e}, {0}, 0.5 * {0})",
                "{0} * {0}.prod(1).tanh()[:, None]",
            ),
            *("{0} @ ({u} + {u}.T) / {k}", "{0} @ torch.tril({u})", "{0} @ torch.triu({u}, 1)"),
            *(
                "{0} + 0.1 * torch.tensor([0.5] * {k}, dtype={0}.dtype)",
                "{0}.mul({0}.std(1)[:, None])",
            ),
            *("{0} + {0} @ {u}", "{0} + torch.tanh(functional.linear({0}, {u}, {g}))"),
            *("{0} * functional.cosine_similarity({0} + 0.3, {1} - 0.2, dim=1)[:, None]",),
            *(
                "{0} * functional.pad({0}, (1, 0))[:, :-1]",
                "{0} - functional.pad({0}[:, 1:], (0, 1))",
            ),
        )
    ),
    ("k + j", "k + j <= 17", "torch.cat([{0}, {2}], 1)"),
    ("k + j", "k + j <= 17", "torch.cat(({2}, torch.tanh({0})), dim=-1)"),
    ("2 * k", "k <= 8", "torch.cat([{0}, -{0}], 1).relu()"),
    ("2 * k", "k <= 8", "torch.hstack([torch.sin({0}), torch.cos({0})])"),
    ("2 * k", "k <= 8", "torch.stack([{0}, {1}], 2).flatten(1)"),
    ("2 * k", "k <= 8", "torch.stack([{0}, {1}], 1).reshape(-1, 2 * {k})"),
    ("2 * k", "k <= 8", "{0}.repeat(1, 2)"),
    ("2 * k", "k <= 8", "{0}.repeat_interleave(2, dim=1)"),
    ("k", "True", "torch.stack([{0}, {1}]).mean(0)"),
    ("k", "True", "torch.stack([{0}, {1}], -1).amax(-1)"),
    ("k // 2", "k % 2 == 0", "(lambda a, b: a * torch.sigmoid(b))(*{0}.chunk(2, 1))"),
    ("k // 2", "k % 2 == 0", "functional.glu({0}, 1)"),
    ("k // 2", "k % 2 == 0", "torch.maximum(*{0}.split({k} // 2, dim=1))"),
    ("k // 2", "k % 2 == 0", "{0}.unflatten(1, (2, {k} // 2)).amax(1)"),
    ("k // 2", "k % 2 == 0", "{0}.reshape(-1, {k} // 2, 2).mean(2)"),
    ("(k + 1) // 2", "True", "{0}[:, ::2]"),
    ("k // 2", "k > 1", "{0}[:, 1::2]"),
    ("k - 1", "k > 1", "{0}[:, 1:] - {0}[:, :-1]"),
    ("k - 1", "k > 1", "{0}.diff(dim=1)"),
    ("k - 1", "k > 1", "{0}[:, -{k} + 1:]"),
    ("e", "k > 1", "{0}[:, :{e}]"),
    ("e", "k > 1", "{0}.narrow(1, 0, {e})"),
    ("2", "True", "{0}[:, [{i}, 0]]"),
    ("2", "True", "{0}.index_select(1, torch.tensor([0, {i}]))"),
    ("3", "True", "torch.stack([{0}.mean(1), {0}.amax(1), {0}.sum(-1)], 1)"),
    ("2", "True", "torch.cat([{0}.mean(1, keepdim=True), {0}.var(1, False, True)], 1)"),
    ("2", "k > 1", "torch.stack([{0}.var(1), {0}[:, 0] * {0}[:, {i}]], -1)"),
    ("a", "a > 1 and c > 1", "{0}.view(len(x), {a}, {c}).sum(2)"),
    ("c", "a > 1 and c > 1", "{0}.unflatten(1, ({a}, {c})).mean(1)"),
    ("k", "a > 1 and c > 1", "{0}.reshape(len(x), {a}, {c}).transpose(1, 2).flatten(1)"),
    ("k", "a > 1 and c > 1", "{0}.view(-1, {a}, {c}).softmax(-1).flatten(1)"),
    ("k", "a > 1 and c > 1", "functional.group_norm({0}, {a})"),
    ("k", "a > 1 and c > 1", "functional.layer_norm({0}.view(-1, {a}, {c}), ({c},)).view(-1, {k})"),
    ("a * c", "a > 1 and c > 1", "torch.matmul({0}.view(-1, {a}, {c}), {q}).flatten(1)"),
    ("a * c", "a > 1 and c > 1", "functional.linear({0}.view(-1, {a}, {c}), {q}).flatten(1)"),
    (
        "a * c",
        "a > 1 and c > 1",
        "torch.einsum('nai,ij->naj', {0}.view(-1, {a}, {c}), {q}).flatten(1)",
    ),
    (
        "k",
        "a > 1 and c > 1",
        "functional.scaled_dot_product_attention(*[{0}.view(-1, {a}, {c})] * 3).flatten(1)",
    ),
    (
        "a * a",
        "a > 1 and c > 1 and a < 5",
        "({0}.view(-1, {a}, {c}) @ {0}.view(-1, {a}, {c}).mT).flatten(1)",
    ),
    ("k * k", "k <= 4", "({0}[:, :, None] * {0}[:, None]).flatten(1)"),
    ("k * j", "k * j <= 17", "torch.einsum('ni,nj->nij', {0}, {2}).reshape(len(x), -1)"),
    ("k", "True", "sum({0}[:, [i]] for i in range({k})) * {0}"),
    ("k", "True", "torch.stack([one * 2 for one in {0}.unbind(1)], 1)"),
    ("k", "k > 1", "torch.cat([{0}[:, :{e}], torch.zeros(len(x), {k} - {e}, dtype=x.dtype)], 1)"),
    ("k", "k > 1", "torch.cat([{0}[:, {e}:], {0}[:, :{e}]], 1)"),
]
STRANGE = [  # that cannot be fused as it is, or not for all numbers of samples
    *("{0} - {0}.mean(0)", "{0} * torch.rand_like({0})", "{0} / (1 + {0}.var(0))", "{0} * OUTSIDE"),
    *("{0} * {0}.argmax(1, keepdim=True)", "{0}.sort(1).values", "torch.softmax({0}, 0)"),
    *("({0}.unsqueeze(1) @ {u}).squeeze(1)", "{0}.cumprod(1)", "{0}.logcumsumexp(1)"),
    *("torch.bmm({0}[:, None], {u}.expand(len(x), {k}, {k}))[:, 0]", "{0}.topk(1, 1).values * {0}"),
]
LOGIT = [  # one of each sample; r (1, k), d (1,)
    *("{0} @ {v} + {s}", "({0} @ {r}.mT + {d}).squeeze(-1)", "({0} * {v}).sum(1)"),
    *("functional.linear({0}, {r}, {d}).squeeze(-1)", "({r} @ {0}.T).squeeze(0) + {s}"),
    *("({0} @ {v}.unsqueeze(1))[:, 0] + {d}", "{0} @ {r}[0]", "torch.mv({0}, {v})"),
    *("{0}.mean(1) * {s} + {0} @ {v}", "torch.einsum('ni,i->n', {0}, {v})", "{0}.sum(-1) * {s}"),
]
OUTSIDE = torch.tensor(0.5)


@dataclasses.dataclass
class Writer:
    """Writes a network, line by line."""

    rng: random.Random
    shapes: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    lines: list[str] = dataclasses.field(default_factory=list)
    hidden: list[tuple[str, int]] = dataclasses.field(default_factory=list)

    def weight(self, *shape: int) -> str:
        """A weight of this shape; now and then the one that another line has, too."""
        same = [name for name, other in self.shapes.items() if other == shape]
        if same and self.rng.random() < 0.1:
            return f"p['{self.rng.choice(same)}']"
        name = f"w{len(self.shapes)}"
        self.shapes[name] = shape
        return f"p['{name}']"

    def use(self, template: str, width: int) -> None:
        """Write a line."""
        name, k = self.hidden[-1]
        words: dict[str, Any] = dict(self.drawn)
        makers: dict[str, tuple[int, ...]] = {
            "w": (k, width),
            "t": (width, k),
            "b": (width,),
            "u": (k, k),
            "g": (k,),
            "v": (k,),
            "s": (),
            "r": (1, k),
            "d": (1,),
            "q": (self.drawn["c"], self.drawn["c"]),
        }
        words |= {
            key: self.weight(*shape) for key, shape in makers.items() if f"{{{key}}}" in template
        }
        text = template.format(name, self.rng.choice(self.alike(k)), self.other, **words)
        self.lines.append(f"h{len(self.hidden)} = {text}")
        self.hidden.append((f"h{len(self.hidden)}", width))

    def draw_sizes(self) -> None:
        """Draw what a line may refer to, so that rules can ask for it."""
        k = self.hidden[-1][1]
        self.other, j = self.rng.choice(self.hidden)
        a = self.rng.choice([one for one in range(1, k + 1) if k % one == 0])
        i, e = self.rng.randrange(k), self.rng.randint(1, max(k - 1, 1))
        self.drawn = {"k": k, "j": j, "a": a, "c": k // a, "i": i, "e": e}

    def alike(self, k: int) -> list[str]:
        return [name for name, width in self.hidden if width == k]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network, an optimizer and data, all from one seed.

    classes: how many there are; None for a binary classifier of one logit.
    samples: to train on and to test.
    """

    seed: int
    dtype: torch.dtype
    features: int
    samples: tuple[int, int]
    replicates: int
    epochs: int
    shapes: dict[str, tuple[int, ...]]
    source: str
    optimizer: str
    classes: int | None

    def __str__(self) -> str:
        facts = dataclasses.asdict(self)
        source = facts.pop("source")
        return ", ".join(f"{key} {value}" for key, value in facts.items()) + f"\n{source}"

    @functools.cached_property
    def recipe(self) -> Recipe:
        names: dict[str, Any] = {"__name__": __name__, "torch": torch, "functional": functional}
        exec(self.source, names | {"OUTSIDE": OUTSIDE}, names)
        shapes, dtype = self.shapes, self.dtype

        def init(generator: torch.Generator) -> dict[str, torch.Tensor]:
            return {
                name: torch.empty(shape, dtype=dtype).uniform_(-0.9, 0.9, generator=generator)
                for name, shape in shapes.items()
            }

        model = Model(init, names["apply"])
        return Recipe(f"network {self.seed}", model, OPTIMIZERS[self.optimizer][0](), self.epochs)

    @functools.cached_property
    def data(self) -> ChunkData:
        generator = torch.Generator().manual_seed(self.seed)

        def batch(samples: int) -> Batch:
            x = torch.randn(self.replicates, samples, self.features, generator=generator)
            y = torch.rand(self.replicates, samples, generator=generator)
            y = y > 0.5 if self.classes is None else (y * self.classes).floor()
            return Batch(x.to(self.dtype), y.to(self.dtype))

        task = Binary() if self.classes is None else MultiClass(self.classes)
        return ChunkData(*(batch(samples) for samples in self.samples), task)


OPTIMIZERS: dict[str, tuple[Any, Any]] = {  # ours, and torch's
    "sgd": (lambda: sgd(0.2), lambda params: torch.optim.SGD(params, 0.2)),
    "momentum": (
        lambda: sgd(0.05, momentum=0.9),
        lambda params: torch.optim.SGD(params, 0.05, momentum=0.9),
    ),
    "adam": (
        lambda: adam(0.03, eps=1e-3),
        lambda params: torch.optim.Adam(params, 0.03, eps=1e-3),
    ),
}


def draw(seed: int, lanes: int = 8, share_of_strange: float = 0.03) -> Network:
    """The network of a seed.

    Args:
        seed: any whole number.
        lanes: numbers in a vector register: numbers of samples about it are drawn more often.
        share_of_strange: of lines that are not expected to be fused.
    """
    rng = random.Random(seed)
    classes = rng.choice((None, None, 2, 3, 3, 4, 5, 10))
    writer = Writer(rng, hidden=[("x", rng.choice((1, 2, 2, 2, 3, 4, 5, 7, 8, 13, 17)))])
    features = writer.hidden[0][1]
    width = functools.partial(rng.choice, (1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 12, 16, 17))
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        writer.draw_sizes()
        if rng.random() < 0.85:
            writer.use(rng.choice(LINEAR), width())
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            writer.draw_sizes()
            if rng.random() < share_of_strange:
                writer.use(rng.choice(STRANGE), writer.drawn["k"])
                continue
            kind = rng.choices((ELEMENTWISE, OF_TWO, WITH_WEIGHTS, OF_FEATURES), (4, 1.5, 1, 4))[0]
            if kind is OF_FEATURES:
                rules = [one for one in OF_FEATURES if eval(one[1], {}, writer.drawn)]
                size, _, text = rng.choice(rules)
                writer.use(text, eval(size, {}, writer.drawn))
            else:
                writer.use(rng.choice(kind), writer.drawn["k"])
    writer.draw_sizes()
    writer.use(*((rng.choice(LOGIT), 1) if classes is None else (rng.choice(LINEAR), classes)))
    lines = "".join(f"    {line}\n" for line in writer.lines)
    near = (lanes - 1, lanes, lanes + 1, 2 * lanes, rng.randint(2, lanes))
    samples = rng.choice((*near, rng.randint(1, 40), rng.randint(1, 40), rng.randint(1, 300)))
    return Network(
        *(seed, rng.choice((torch.float32, torch.float64)), features),
        *(
            (samples, rng.choice((rng.randint(1, 12), rng.randint(2, 40), rng.randint(2, 300)))),
            rng.choice((2, 2, 3)),
        ),
        *(rng.randint(5, 20), writer.shapes),
        f"def apply(p, x):\n{lines}    return {writer.hidden[-1][0]}\n",
        *(rng.choice(list(OPTIMIZERS)), classes),
    )


@dataclasses.dataclass(frozen=True)
class Path:
    """What a plain loop finds for one replicate.

    start, end: its weights.
    losses: (epoch, 2), on the training and the test data.
    margins: the same with an axis of samples: by how much a logit is on the right side.
    """

    start: dict[str, torch.Tensor]
    end: dict[str, torch.Tensor]
    losses: torch.Tensor
    margins: list[list[torch.Tensor]]

    @property
    def is_tame(self) -> bool:
        tensors = [self.losses, *self.end.values()]
        return all(bool((one.abs() < TAME).all()) for one in tensors)


def loss_of(network: Network, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if network.classes is None:
        return functional.binary_cross_entropy_with_logits(logits, y)
    return functional.cross_entropy(logits, y.long())


def margin_of(network: Network, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if network.classes is None:
        return torch.where(y > 0.5, logits, -logits)
    is_label = y.long()[:, None] == torch.arange(network.classes)
    others = torch.where(is_label, -torch.inf, logits).amax(1)
    return torch.where(is_label, logits, 0).sum(1) - others


def walk(
    network: Network, replicate: int, dtype: torch.dtype = torch.float64, off: float = 0.0
) -> Path:
    """The plain loop for one replicate, in some precision, from weights that are `off` by a bit."""
    state = init_chunk(network.recipe, range(network.replicates), CPU)
    generator = torch.Generator().manual_seed(replicate)

    def own(leaf: torch.Tensor) -> torch.Tensor:
        leaf = leaf[replicate].to(dtype, memory_format=torch.contiguous_format)
        noise = torch.rand(leaf.shape, generator=generator, dtype=torch.float64).to(dtype)
        return (leaf * (1 + off * (2 * noise - 1))).clone()

    batches = [Batch(own(batch.x), batch.y[replicate].to(dtype)) for batch in network.data[:2]]
    params = {name: own(leaf).requires_grad_() for name, leaf in state.params.items()}
    start = pytree.tree_map(lambda leaf: leaf.detach().clone(), params)
    optimizer = OPTIMIZERS[network.optimizer][1](list(params.values()))
    losses, margins = [], []
    for epoch in range(network.epochs + 1):
        optimizer.zero_grad()
        logits = [network.recipe.model.apply(params, batch.x) for batch in batches]
        pairs = list(zip(logits, batches, strict=True))
        loss = [loss_of(network, z, batch.y) for z, batch in pairs]
        losses.append(torch.stack(loss).detach())
        margins.append([margin_of(network, z.detach(), batch.y) for z, batch in pairs])
        if epoch < network.epochs and loss[0].requires_grad:
            found = torch.autograd.grad(
                loss[0], list(params.values()), allow_unused=True, materialize_grads=True
            )
            for param, grad in zip(params.values(), found, strict=True):
                param.grad = grad
            optimizer.step()
    return Path(start, pytree.tree_map(torch.Tensor.detach, params), torch.stack(losses), margins)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a network did.

    kind: "equal", "wrong", "refused", "wild" (its numbers leave the range in which they can be
        compared), "unsteady" (a rounding moves it as far as it moves itself) or "broken" (it is no
        network, for torch itself refuses it).
    told: what was wrong, or why it was refused.
    seconds: of the plain loops, and of the fused engine.
    """

    seed: int
    kind: str
    told: str = ""
    seconds: tuple[float, float] = (0.0, 0.0)


def compare(network: Network) -> Outcome:
    """Train a network on the fused engine, and hold it against the plain loop."""
    began = time.perf_counter()
    is_single, lanes = network.dtype == torch.float32, range(network.replicates)
    try:
        paths = [walk(network, lane) for lane in lanes]
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        return Outcome(network.seed, "broken", f"{error}")
    unit = torch.finfo(network.dtype).eps
    others = [walk(network, lane, network.dtype, 0.0 if is_single else 4 * unit) for lane in lanes]
    if not all(path.is_tame for path in (*paths, *others)):
        return Outcome(network.seed, "wild")
    middle = time.perf_counter()
    try:
        start = init_chunk(network.recipe, lanes, CPU)
        state, curves = FUSED.train(network.recipe, start, network.data, network.epochs)
    except UnfusableError as error:
        return Outcome(network.seed, "refused", f"{error}")
    except Exception:
        return Outcome(network.seed, "crashed", traceback.format_exc())
    seconds = (middle - began, time.perf_counter() - middle)
    wrong, worst = [], 0.0
    for lane, path, other in zip(lanes, paths, others, strict=True):
        for name, end in path.end.items():
            moved = end - path.start[name]
            noise = float((other.end[name].double() - other.start[name].double() - moved).norm())
            size = float(max(path.start[name].norm(), end.norm(), 1.0))
            ours = state.params[name][lane].double() - start.params[name][lane].double()
            apart = float((ours - moved).norm())
            room = 64 * unit * size + 256 * unit * float(moved.norm()) + 20 * noise
            if not apart <= room:
                wrong.append(f"{name}[{lane}]: {apart:.2g} apart of {float(moved.norm()):.2g}")
            if float(moved.norm()) > 1e3 * unit * size:
                worst = max(worst, room / float(moved.norm()))
        for part, metrics in enumerate((curves.train, curves.test)):
            loss, exact = metrics.loss[:, lane].double(), path.losses[:, part]
            room = 64 * unit * (1 + exact) + 20 * (other.losses[:, part].double() - exact).abs()
            # A loss on the way may be off by what only another replicate's noise shows.
            room = torch.maximum(room, room.mean().expand_as(room))
            if not bool(((loss - exact).abs() <= room).all()):
                wrong.append(f"loss {part} of replicate {lane}: {loss} for {exact}")
            for at, count in enumerate(metrics.correct[:, lane].tolist()):
                margin, near = path.margins[at][part], other.margins[at][part].double()
                slack = 256 * unit * (1 + margin.abs()) + 20 * (near - margin).abs()
                fewest = int((margin > slack).sum())
                most = int((margin > -slack).sum())
                if not fewest <= count <= most:
                    wrong.append(f"count {part} of replicate {lane}: {count} of {fewest} to {most}")
    if wrong:
        return Outcome(network.seed, "wrong", "\n".join(wrong), seconds)
    return Outcome(network.seed, "unsteady" if worst > 0.05 else "equal", "", seconds)


def try_one(seed: int, options: tuple[str, ...] | None = None, lanes: int = 8) -> Outcome:
    """The outcome of a seed's network, compiled with these options, in a cache of its own."""
    before = library.OPTIONS, os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        torch.set_num_threads(1)
        if options is not None:
            library.OPTIONS = options
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return compare(draw(seed, lanes))
        finally:
            library.OPTIONS = before[0]
            os.environ.pop("TORCHINDUCTOR_CACHE_DIR")
            if before[1] is not None:
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = before[1]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(draw(int(argument)), try_one(int(argument)), sep="\n")
