"""The arguments of `check`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from functional_clf.cli.compare_arguments import ScoreArguments
from functional_clf.cli.parsing import parsed
from functional_clf.support.arguments import path_of

PROGRAM = "python -m functional_clf.check"


@dataclass(frozen=True, kw_only=True)
class CheckArguments(ScoreArguments):
    """A gate for pipelines: is a run not worse than a baseline, by the margin?

    It ends with exit code 0 where the run is not worse by the margin, 1 where it is worse by more,
    3 where that is undecided, and 2 where something was asked wrongly.

    Args:
        run: a run folder, or a table of scores.
        against: the baseline: another, or the same with another model.
        model: which model of the run. Default: its only one.
        against_model: which model of the baseline. Default: the same, or its only one.
        margin: the smallest difference that matters, in the metric's unit; of a share, 0.01 is one
            percentage point. Default: 0.01 of a share; log loss and Brier score have none.
        metric: what the scores are. Default: what the run folder was last compared by, or what the
            column's name says.
        scope: what each row of a table redrew: data, split, init or test_set; a run folder says it.
        alpha: one minus the confidence of the interval. Default: 0.05.
        n_train: training samples of each row of a table, which the split scope needs.
        n_test: test samples of each row of a table, likewise.
        failure_below: accuracy, as a share, below which a seed counts as failed.
        model_column: which column of a table names the models.
        seed_column: which column says what rows belong together.
        score_column: which column holds the scores.
        json: print the result as JSON on standard output, and nothing else there.
        junit: write the result as JUnit XML to this file.
        markdown: write a summary in Markdown to this file.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = field(
        default=tyro.MISSING
    )
    against: Annotated[Path, tyro.conf.arg(metavar="BASELINE")] = field(default=tyro.MISSING)
    model: str | None = None
    against_model: str | None = None
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    junit: Path | None = None
    markdown: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("run", "against"):
            path_of(name, getattr(self, name))
        for name in ("junit", "markdown"):
            if (path := getattr(self, name)) is None:
                continue
            path_of(name, path)
            if path.is_dir():
                raise ValueError(f"{name} is {str(path)!r}, a folder; it must be a file")
            if not path.parent.is_dir():
                raise ValueError(f"{name} is {str(path)!r}; there is no folder {path.parent}")
        if self.junit is not None and self.junit == self.markdown:
            raise ValueError(f"junit and markdown are both {str(self.junit)!r}; name two files")


def parse_check(args: Sequence[str], program: str = PROGRAM) -> CheckArguments:
    """The arguments of `check` out of a command line.

    Raises:
        ValueError: when an argument is wrong; the message is one line.
        SystemExit: after --help.

    Example:
        >>> parse_check(["runs/new", "--against", "runs/old", "--margin", "0.02"]).margin
        0.02
    """
    return parsed(CheckArguments, args, program, config=(tyro.conf.FlagCreatePairsOff,))
