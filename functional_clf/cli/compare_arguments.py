"""The arguments of `compare`, and those that `check` has likewise."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from functional_clf.cli.parsing import one_of, parsed
from functional_clf.stats.metrics import METRICS
from functional_clf.support.arguments import path_of, real_number, whole_number

PROGRAM = "python -m functional_clf.compare"

SCOPES = ("data", "split", "init", "test_set")
NEGATED = ("neg_log_loss", "neg_brier_score")


@dataclass(frozen=True, kw_only=True)
class ScoreArguments:
    """What tells how scores are read and by what rules they are compared."""

    scope: Annotated[str | None, one_of(SCOPES)] = None
    metric: Annotated[str | None, one_of([*METRICS, *NEGATED])] = None
    margin: float | None = None
    alpha: float | None = None
    n_train: int | None = None
    n_test: int | None = None
    failure_below: float | None = None
    model_column: str | None = None
    seed_column: str | None = None
    score_column: str | None = None

    def __post_init__(self) -> None:
        for name in ("margin", "alpha", "failure_below"):
            if (value := getattr(self, name)) is not None:
                real_number(name, value)
        if self.alpha is not None and not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; it must be above 0 and below 1, as in 0.05")
        if self.margin is not None and not self.margin >= 0:
            raise ValueError(f"margin is {self.margin}; it must be at least 0, as in 0.01")
        if self.failure_below is not None and not 0 <= self.failure_below <= 1:
            raise ValueError(
                f"failure_below is {self.failure_below}; it must be between 0 and 1, as in 0.75"
            )
        for name in ("n_train", "n_test"):
            if (value := getattr(self, name)) is not None:
                whole_number(name, value, 1)

    @property
    def rules(self) -> dict[str, Any]:
        """Those that a comparison is held to, by name."""
        names = ("scope", "margin", "alpha", "n_train", "n_test", "failure_below")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class CompareArguments(ScoreArguments):
    """Compare the scores of two or more models, wherever they come from, and doubt them.

    Args:
        scores: a table of scores, CSV, TSV, Parquet or Arrow: a row a model and seed, or a column a
            model and a row a seed; or a run folder.
        model_column: which column names the models. Default: model, method, algorithm, classifier,
            estimator or learner.
        seed_column: which column says what rows belong together. Default: seed, split, fold, run,
            replicate, repeat, trial or iteration.
        score_column: which column holds the scores. Default: score, value, or a metric's name.
        dataset_column: which column names the data sets, where there are several.
        baseline: the model that all others are compared with. Default: every pair is compared, and
            each model with those before it.
        scope: what each row redrew. data: data, split and initialisation; split: splits or folds of
            one data set; init: the initialisation only; test_set: likewise, the test set given
            apart. Default: that is not known, and the least is claimed.
        metric: what the scores are. Default: what their column's name says, else shares in [0, 1]
            of which more is better.
        margin: the smallest difference that matters, in the metric's unit; of a share, 0.01 is one
            percentage point. Default: 0.01 of a share; log loss and Brier score have none.
        alpha: one minus the confidence of the intervals. Default: 0.05.
        n_train: training samples of each row, which the split scope needs.
        n_test: test samples of each row, likewise.
        failure_below: accuracy, as a share, below which a run counts as failed.
        common_seeds: compare the seeds that all models have, where one lacks some.
        json: print the comparison as JSON on standard output, and nothing else there.
    """

    scores: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE|FOLDER")] = field(
        default=tyro.MISSING
    )
    dataset_column: str | None = None
    baseline: str | None = None
    common_seeds: tyro.conf.FlagCreatePairsOff[bool] = False
    json: tyro.conf.FlagCreatePairsOff[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        path_of("scores", self.scores)


def parse_compare(args: Sequence[str], program: str = PROGRAM) -> CompareArguments:
    """The arguments of `compare` out of a command line.

    Raises:
        ValueError: when an argument is wrong; the message is one line.
        SystemExit: after --help.

    Example:
        >>> parse_compare(["scores.csv", "--scope", "data"]).rules["scope"]
        'data'
    """
    return parsed(CompareArguments, args, program, config=(tyro.conf.FlagCreatePairsOff,))
