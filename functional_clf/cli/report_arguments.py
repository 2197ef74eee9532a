"""The arguments of `report`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from functional_clf.cli.compare_arguments import ScoreArguments
from functional_clf.cli.parsing import parsed
from functional_clf.support.arguments import path_of

PROGRAM = "python -m functional_clf.report"


@dataclass(frozen=True, kw_only=True)
class ReportArguments(ScoreArguments):
    """Make one page to send on: of a run folder out of its record, or of scores from anywhere.

    Nothing is trained. Beside the page lie a table and a paragraph of methods for papers.

    Args:
        source: a run folder, or a table of scores as compare takes it: CSV, TSV, Parquet or Arrow.
        out: the page. Default: report.html in the run folder, or beside the scores and named after
            them, as in scores.report.html.
        papers: write what is for papers, too; --no-papers skips it.
        model_column: which column names the models. Default: model, method, algorithm, classifier,
            estimator or learner.
        seed_column: which column says what rows belong together. Default: seed, split, fold, run,
            replicate, repeat, trial or iteration.
        score_column: which column holds the scores. Default: score, value, or a metric's name.
        dataset_column: which column names the data sets, where there are several.
        baseline: the model that all others are compared with. Default: that of the run; of scores
            every pair is compared, and each model with those before it.
        scope: what each row redrew. data: data, split and initialisation; split: splits or folds of
            one data set; init: the initialisation only; test_set: likewise, the test set given
            apart. Default: what a run folder says; of scores the least is claimed.
        metric: what the scores are, or what a run folder is compared by. Default: what their
            column's name or the run says, else shares in [0, 1] of which more is better.
        margin: the smallest difference that matters, in the metric's unit; of a share, 0.01 is one
            percentage point. Default: that of the run; 0.01 of a share; log loss and Brier score
            have none.
        alpha: one minus the confidence of the intervals. Default: that of the run, or 0.05.
        n_train: training samples of each row, which the split scope needs.
        n_test: test samples of each row, likewise.
        failure_below: accuracy, as a share, below which a run counts as failed.
        common_seeds: compare the seeds that all models have, where one lacks some.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER|FILE")] = field(
        default=tyro.MISSING
    )
    out: Path | None = None
    papers: bool = True
    dataset_column: str | None = None
    baseline: str | None = None
    common_seeds: tyro.conf.FlagCreatePairsOff[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        path_of("source", self.source)
        if self.out is not None:
            path_of("out", self.out)
            if self.out.suffix.lower() not in (".html", ".htm"):
                raise ValueError(f"out is {self.out}; it must be the path of a page, as in a.html")


def parse_report(args: Sequence[str], program: str = PROGRAM) -> ReportArguments:
    """The arguments of `report` out of a command line.

    Raises:
        ValueError: when an argument is wrong; the message is one line.
        SystemExit: after --help.

    Example:
        >>> parse_report(["runs/mine", "--out", "mine.html"]).out
        PosixPath('mine.html')
    """
    return parsed(ReportArguments, args, program, config=(tyro.conf.FlagCreatePairsOff,))
