"""The arguments of the main job, parsed without importing torch: a wrong one is told at once."""

import contextlib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from functional_clf.contestants.settings import MODEL_0, MODEL_1, MlpSettings
from functional_clf.registry import DATASETS, ENGINES
from functional_clf.stats.metrics import ACCURACY, METRICS
from functional_clf.study.options import STANDARD_SEEDS, Options
from functional_clf.support.arguments import whole_number

PROGRAM = "python -m functional_clf.run"

CALIBRATION_SEEDS = 10
"""The fewest that self-calibration takes: twice its smallest study."""


def parse_seeds(text: str) -> range:
    """Seeds out of `64` (0 to 63) or `100:200` (100 to 199).

    Raises:
        ValueError: when the text is neither.

    Example:
        >>> parse_seeds("64"), parse_seeds("100:200")
        (range(0, 64), range(100, 200))
    """
    match = re.fullmatch(r"(?:(\d+):)?(\d+)", text)
    seeds = range(int(match[1] or 0), int(match[2])) if match else range(0)
    if not seeds:
        raise ValueError(
            f"seeds is {text}; it must be a count of at least 1, as in 64, or a rising range, as "
            "in 100:200"
        )
    return seeds


SeedRange = Annotated[
    range,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="N|FROM:TO",
        instance_from_str=lambda texts: parse_seeds(texts[0]),
        is_instance=lambda value: isinstance(value, range),
        str_from_instance=lambda seeds: [
            f"{seeds.start}:{seeds.stop}" if seeds.start else str(seeds.stop)
        ],
    ),
]


def _one_of(names: Iterable[str]) -> tyro.constructors.PrimitiveConstructorSpec[str]:
    """An argument that is one of some names."""
    choices = tuple(names)
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(choices)}}}",
        instance_from_str=lambda texts: texts[0],
        is_instance=lambda value: value in choices,
        str_from_instance=lambda name: [name],
        choices=choices,
    )


@dataclass(frozen=True, kw_only=True)
class _SeedsFirst:
    """Has the help begin with what is asked for most."""

    seeds: SeedRange = STANDARD_SEEDS


@dataclass(frozen=True, kw_only=True)
class RunArguments(Options, _SeedsFirst):
    """Is model_1 better than model_0, or was it a lucky seed? Train many seeds of both; compare.

    Args:
        seeds: the replicates to train: a count, or a range of seeds.
        out: the run folder. Default: one under runs/, named after the settings.
        self_calibration: also show how often studies of fewer seeds, drawn from this one, would
            have ended with another verdict.
        fresh: start over: delete what earlier runs have left in the run folder.
        replay: train this one seed of the run folder's study again, and compare every bit.
        plots: draw the pictures; --no-plots skips them.
        json: print results.json on standard output, and nothing else there.
        data: what to learn: a data set that is drawn anew with each seed (circles, moons, blobs,
            spirals), one of scikit-learn's tables (iris, wine, breast_cancer, digits), or the path
            of a table of your own: CSV, TSV, Parquet or Arrow.
        target: the column of a table's labels, of any type.
        drop: columns of a table to leave out.
        groups: a column of a table; no group is on both sides of a split.
        stratify: have the classes alike in both parts of a table's splits: the default without
            groups.
        no_stratify: leave it to chance how many of a class are in either part.
        test: a table of test samples, apart; then only initial weights are redrawn.
        split_column: a column of a table that says train or test of each row, likewise.
        samples: samples in one draw, of data that are drawn. Default: 1000.
        noise: standard deviation of the Gaussian noise on each coordinate, of data that are drawn.
            Default: 0.03, of blobs 0.5.
        classes: how many, of blobs and spirals. Default: 3.
        epochs: full-batch training steps of both models; overrides each model's own.
        model_0: the baseline.
        model_1: the challenger.
    """

    engine: Annotated[str, _one_of(["auto", *ENGINES])] = "auto"
    chunk_size: Annotated[int | None, tyro.conf.arg(aliases=["--chunk"])] = None
    out: Path | None = None
    self_calibration: bool = False
    fresh: bool = False
    replay: int | None = None
    plots: bool = True
    json: bool = False
    metric: Annotated[str, _one_of(METRICS)] = ACCURACY.name
    data: Annotated[str, tyro.conf.arg(metavar="NAME|PATH")] = "circles"
    target: Annotated[str | None, tyro.conf.arg(aliases=["--label"])] = None
    drop: tuple[str, ...] = ()
    groups: str | None = None
    stratify: bool = False
    no_stratify: bool = False
    test: Path | None = None
    split_column: str | None = None
    samples: int | None = None
    noise: float | None = None
    classes: int | None = None
    epochs: int | None = None
    model_0: MlpSettings = field(default=MODEL_0)
    model_1: MlpSettings = field(default=MODEL_1)

    def __post_init__(self) -> None:
        super().__post_init__()
        seeds = self._check_design(self.seeds)
        for name, least in (("epochs", 1), ("samples", 1), ("classes", 2)):
            if (value := getattr(self, name)) is not None:
                whole_number(name, value, least)
        if self.stratify and self.no_stratify:
            raise ValueError("stratify is True and no_stratify is True; leave one out")
        for name in ("model_0", "model_1"):
            asked: MlpSettings = getattr(self, name)
            if asked.hidden is not None and asked.layer_sizes is not None:
                raise ValueError(
                    f"{name}.hidden is {asked.hidden} and {name}.layer_sizes is "
                    f"{asked.layer_sizes}; give one of them"
                )
        if self.data not in DATASETS and not Path(self.data).exists():
            raise ValueError(
                f"data is {self.data!r}; it must be one of {', '.join(DATASETS)}, or the path of a "
                "table, and there is no such file"
            )
        if self.self_calibration:
            self._check_calibration(seeds)
        if self.replay is not None:
            for name in ("fresh", "json", "self_calibration"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name} is True; it has no meaning with replay, leave one out"
                    )

    def _check_calibration(self, seeds: range) -> None:
        if self.design != "paired":
            raise ValueError(f"design is {self.design!r}; self_calibration needs a paired design")
        if len(seeds) < CALIBRATION_SEEDS:
            raise ValueError(
                f"seeds is {len(seeds)}; self_calibration needs at least {CALIBRATION_SEEDS}"
            )


def parse(args: Sequence[str] | None, program: str = PROGRAM) -> RunArguments:
    """The arguments of the main job out of a command line.

    Raises:
        ValueError: when an argument is wrong; the message is one line.
        SystemExit: after --help.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                RunArguments,
                prog=program,
                args=args,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if stop.code:
            raise ValueError(_one_line(complaint.getvalue())) from None
        raise


def _one_line(box: str) -> str:
    r"""The gist of tyro's boxed complaint: its text up to the first rule, without the frame.

    Example:
        >>> print(_one_line("╭ Value error ──╮\n│ Error parsing --samples: │\n│ not a number │"))
        --samples: not a number
        >>> print(_one_line(" Value error \n ---- \n  not a number \n  ---- \n  See --help"))
        not a number
    """
    lines = [line.strip("╭╮╰╯│ ") for line in box.splitlines()]
    text = []
    for line in lines[1:]:
        if line.strip("─-"):  # the latter where the encoding is ASCII
            text.append(line)
        elif line and text:
            break
    gist = " ".join(" ".join(text).split())
    # Where it was our own check that failed, its message already names the argument.
    return re.sub(r"^Error parsing (?:\S+: (?=[\w.]+ is ))?", "", gist)
