"""A network of your own against model_1: an `nn.Module` with a skip connection, as a recipe.

Run it with `python examples/own_network.py`, or with fewer seeds and epochs: `own_network.py 8 50`.
"""

import sys

import torch
from torch import nn

from functional_clf import Model, Recipe, Study, adam, model_1, moons

n_seeds, epochs = (int(text) for text in sys.argv[1:] or ("32", "300"))


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        return self.last(x + torch.tanh(self.second(x))).squeeze(-1)  # one logit a sample


def init(generator):  # the weights of one seed, all from its own generator
    like = net.state_dict()
    return {key: 0.5 * torch.randn(like[key].shape, generator=generator) for key in like}


def apply(params, x):  # the module with these weights in place of its own
    return torch.func.functional_call(net, params, (x,))


torch.manual_seed(0)  # what a function reads is part of its identity, also weights it replaces
net = Skip()
skip = Recipe("skip", Model(init, apply), adam(0.01), epochs)
print(Study(moons(500, noise=0.2), (model_1(epochs=epochs), skip), n_seeds).run().conclusion)
