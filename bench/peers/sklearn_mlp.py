"""scikit-learn's `MLPClassifier`, one seed after another."""

import os
import warnings
from collections.abc import Mapping

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from bench.job import Job
from bench.peers.base import Peer, Train, Variant
from functional_clf.core.optim import AdamState, adam
from functional_clf.core.train import stack
from functional_clf.core.types import Optimizer, Params


def estimator(job: Job) -> MLPClassifier:
    """The classifier whose `fit` is the job's training: full batch, no penalty, no early end.

    Its loss is the same log-loss. Its Adam places epsilon elsewhere, see `adam_epsilon_first`.
    """
    settings = job.settings
    return MLPClassifier(
        hidden_layer_sizes=tuple(settings["layer_sizes"][1:-1]),
        activation=settings["activation"] or "identity",
        solver=settings["optimizer"],
        learning_rate_init=settings["learning_rate"],
        momentum=settings["momentum"],
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=job.data.train.x.shape[1],  # pyright: ignore[reportArgumentType]
        shuffle=False,
        max_iter=job.recipe.epochs,
        tol=0.0,
        n_iter_no_change=np.inf,  # pyright: ignore[reportArgumentType]
        warm_start=True,
    )


def adam_epsilon_first(learning_rate: float, b1=0.9, b2=0.999, eps=1e-8) -> Optimizer:
    """Adam as scikit-learn has it: epsilon is added before the bias is corrected, not after.

    In the first steps that makes epsilon 30 times as large, which weights with small gradients
    feel: in the second digit. It is the form at the end of section 2 of Kingma and Ba 2015.
    """
    standard = adam(learning_rate, b1, b2, eps)

    def update(grads: Params, state: AdamState, params: Params) -> tuple[Params, AdamState]:
        _, state = standard.update(grads, state, params)
        count = state.count.double()
        step_size = learning_rate * (1 - b2**count).sqrt() / (1 - b1**count)
        moments = {key: (state.mu[key], state.nu[key]) for key in grads}
        updates = {key: -step_size * mu / (nu.sqrt() + eps) for key, (mu, nu) in moments.items()}
        return updates, state

    return Optimizer(standard.init, update)


def loop(threads: int) -> Variant:
    """The loop over the seeds of a job, with a number of BLAS threads."""

    def prepare(job: Job) -> Train:
        names = sorted({key.partition(".")[0] for key in job.start}, key=int)
        start = {key: value.cpu().numpy() for key, value in job.start.items()}
        x, y = (part.cpu().contiguous().numpy() for part in job.data.train)
        classifiers = []
        for lane in range(len(job.seeds)):
            classifier = estimator(job)
            # One step, undone below, makes what `fit` then finds and goes on from.
            classifier.partial_fit(x[lane], y[lane], classes=[0.0, 1.0])
            classifiers.append(classifier)

        def train_one(lane: int) -> Params:
            classifier = classifiers[lane]
            # scikit-learn keeps a weight as (fan_in, fan_out).
            classifier.coefs_ = [start[f"{name}.weight"][lane].T.copy() for name in names]
            classifier.intercepts_ = [start[f"{name}.bias"][lane].copy() for name in names]
            classifier.fit(x[lane], y[lane])
            params = {}
            for name, weight, bias in zip(
                names, classifier.coefs_, classifier.intercepts_, strict=True
            ):
                params[f"{name}.weight"] = torch.from_numpy(weight.T.copy())
                params[f"{name}.bias"] = torch.from_numpy(bias.copy())
            return params

        def train() -> Params:
            with threadpool_limits(threads), warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs were wanted
                return stack([train_one(lane) for lane in range(len(job.seeds))])

        return train

    return prepare


def _variants(device: str) -> Mapping[str, Variant]:
    del device
    return {f"{n} thread{'s' * (n > 1)}": loop(n) for n in sorted({1, os.cpu_count() or 1})}


SKLEARN = Peer(
    "scikit-learn MLPClassifier",
    _variants,
    missing=lambda device: None if device == "cpu" else "scikit-learn trains on the CPU only",
    seeds=4,
    optimizers={"adam": adam_epsilon_first},
)
