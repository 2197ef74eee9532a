"""What a study may be asked for besides its data and its contestants; needs no torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from functional_clf.data.seeds import Vary, as_seeds
from functional_clf.data.splits import check_test_size
from functional_clf.registry import ENGINES
from functional_clf.stats.metrics import ACCURACY, METRICS
from functional_clf.stats.validation import LARGEST_SCORE
from functional_clf.support.arguments import LARGEST, real_number, short, whole_number

Design = Literal["paired", "crossed"]

STANDARD_SEEDS = range(64)

MAX_SEEDS = 4096
"""Where a study stops that goes on until its verdict is settled, unless something else is asked."""

LEAST_ALPHA = 1e-9
"""Of still less no interval has finite ends."""

MOST_THREADS = 2**15
"""As many as a usual Linux machine starts of all processes together."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run a study, and by what rules to look at it.

    Args:
        vary: what a replicate redraws. data: data, split and initial weights; split: split and
            initial weights of one data set; init: the initial weights only; auto: data, or split
            for a data set that is fixed, or init where its test set is given apart.
        design: paired: each seed is a replicate of its own; crossed: every data seed (data and
            split) with every init seed, `data_seeds x init_seeds` cells instead of `seeds`.
        data_seeds: rows of a crossed grid, at least 2.
        init_seeds: columns of a crossed grid, at least 2.
        test_size: share of the samples held out for testing, in (0, 1).
        engine: eager; compile (torch's compiler); fused (one C program a model, on the CPU); or
            auto: fused where it can work, else the one of the others that ends first.
        device: cpu, cuda, cuda:N, or auto: cuda where there is one.
        tf32: allow TF32 matmuls on CUDA: faster, with about three digits.
        chunk_size: replicates trained together; part of a result's identity. Default: 16 on the
            CPU, 1024 on CUDA where its memory allows.
        threads: chunks trained at the same time on the CPU, each on one core; no result depends on
            it. Default: what torch would use (OMP_NUM_THREADS).
        metric: what the conclusion is about: accuracy, balanced_accuracy, log_loss, brier_score,
            roc_auc (one class against the rest) or f1_macro, of the test samples.
        margin: difference that matters in practice, in the metric's unit; of a share, 0.01 is one
            percentage point. Set it before you look. Default: 0.01 of a share; log loss and Brier
            score have none.
        baseline: the model that all others are compared with. Default: of more than two models
            every pair is compared, and each one with those before it.
        alpha: one minus the confidence of the intervals, at least 1e-9 and below 1.
        failure_below: test accuracy, as a share, below which a seed counts as failed. Default: half
            way from guessing to perfect for data whose best accuracy is known; for a table,
            and for other metrics, the score of always predicting the largest class of the
            training part; else the share of the largest class.
        class_weight: balanced: in the training loss every class weighs the same, and a sample what
            n / (n_classes * n_c) says of its class in all rows but those of a test set apart (of
            data that are drawn, in the first draw); None: every sample weighs the same.
        until_decided: train seeds in their order until the verdict is settled by an interval that
            may be looked at after each (at most all of them): how many that takes is a property
            of the study. Not of splits of one data set, nor of a crossed design.
        save_params: keep the weights of every seed, and export them; no result depends on it.
        other_environment: go on in a folder whose seeds were trained with another torch, processor
            or compiler, which round differently; each seed is marked by where it was trained.

    Raises:
        TypeError: when an argument is of the wrong type; the message names it.
        ValueError: when an argument is outside its range; the message names it.

    Example:
        >>> Options(margin=0.02).alpha
        0.05
    """

    vary: Vary | Literal["auto"] = "auto"
    design: Design = "paired"
    data_seeds: int = 16
    init_seeds: int = 16
    test_size: float = 0.2
    engine: str = "auto"
    device: str = "auto"
    tf32: bool = False
    chunk_size: int | None = None
    threads: int | None = None
    metric: str = ACCURACY.name
    margin: float | None = None
    baseline: str | None = None
    alpha: float = 0.05
    failure_below: float | None = None
    class_weight: Literal["balanced"] | None = None
    until_decided: bool = False
    save_params: bool = False
    other_environment: bool = False

    def __post_init__(self) -> None:
        check_choice("vary", self.vary, ("auto", *get_args(Vary)))
        check_choice("design", self.design, get_args(Design))
        check_choice("engine", self.engine, ("auto", *ENGINES))
        if not isinstance(self.device, str):
            raise TypeError(f"device is {short(self.device)}; it must be a text, as in 'cpu'")
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", self.device):
            raise ValueError(f"device is {self.device!r}; it must be auto, cpu, cuda or cuda:N")
        for name in ("tf32", "until_decided", "save_params", "other_environment"):
            if not isinstance(value := getattr(self, name), bool | np.bool_):
                raise TypeError(f"{name} is {short(value)}; it must be True or False")
            self._set(name, bool(value))
        for name in ("data_seeds", "init_seeds"):
            self._set(name, whole_number(name, getattr(self, name), 1))
        for name, most in (("chunk_size", LARGEST), ("threads", MOST_THREADS)):
            if (value := getattr(self, name)) is not None:
                self._set(name, whole_number(name, value, 1, most))
        for name in ("test_size", "alpha"):
            self._set(name, real_number(name, getattr(self, name)))
        check_test_size(self.test_size)
        if not LEAST_ALPHA <= self.alpha < 1:
            raise ValueError(
                f"alpha is {self.alpha}; it must be at least {LEAST_ALPHA} and below 1, as in 0.05"
            )
        check_choice("metric", self.metric, tuple(METRICS))
        self._set("margin", self._checked_margin())
        if self.class_weight not in (None, "balanced"):
            raise ValueError(
                f"class_weight is {short(self.class_weight)}; it must be 'balanced' or None"
            )
        if self.until_decided:
            self._check_until_decided()
        if self.failure_below is not None:
            self._set("failure_below", real_number("failure_below", self.failure_below))
            if not 0 <= self.failure_below <= 1:
                raise ValueError(
                    f"failure_below is {self.failure_below}; it must be between 0 and 1"
                )
            if self.metric != ACCURACY.name:
                raise ValueError(
                    f"failure_below is {self.failure_below}, an accuracy, and metric is "
                    f"{self.metric!r}; leave one out"
                )

    def _checked_margin(self) -> float:
        """The margin, or the usual one of the metric."""
        metric = METRICS[self.metric]
        if self.margin is None:
            if metric.default_margin is None:
                raise ValueError(
                    f"margin is None; {metric.words} has no usual one, so it must be the "
                    "difference that matters, as in 0.01"
                )
            return metric.default_margin
        margin = real_number("margin", self.margin)
        if metric.is_share and not 0 <= margin < 1:
            raise ValueError(f"margin is {margin}; it must be at least 0 and below 1")
        upper = LARGEST_SCORE if metric.upper is None else metric.upper
        if not 0 <= margin < upper:
            least = f"at least 0 and below {upper:g}"
            raise ValueError(f"margin is {margin}; of {metric.words} it must be {least}")
        return margin

    def _check_until_decided(self) -> None:
        """See that there is an interval that may be looked at after each seed."""
        why = ""
        if self.design == "crossed":
            why = "design is 'crossed', which has as many cells as were asked for"
        elif self.vary == "split":
            why = "vary is 'split', and splits of one data set are no independent draws"
        elif METRICS[self.metric].upper is None:
            why = f"metric is {self.metric!r}, which has no upper bound"
        if why:
            raise ValueError(
                f"until_decided is True, but {why}: no interval holds there at every number of "
                "seeds; leave until_decided out"
            )

    def _check_design(self, seeds: range) -> range:
        """The seeds of this design, where it is one."""
        if self.design == "paired":
            return seeds
        for name in ("data_seeds", "init_seeds"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} is {getattr(self, name)}; a crossed grid needs 2 or more")
        if self.metric != ACCURACY.name:
            raise ValueError(f"metric is {self.metric!r}; a crossed design compares accuracies")
        if self.vary not in ("auto", "data"):
            raise ValueError(f"vary is {self.vary!r}; a crossed design varies data and weights")
        cells = range(self.data_seeds * self.init_seeds)
        if seeds not in (STANDARD_SEEDS, cells):
            raise ValueError(
                f"seeds is {seeds.start}:{seeds.stop}; a crossed design takes data_seeds "
                "and init_seeds instead"
            )
        return as_seeds(cells)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """See that a value is one of some names.

    Raises:
        ValueError: when it is not; the message names the argument.

    Example:
        >>> check_choice("part", "test", ("train", "test"))
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
