"""The arguments of the main job, parsed without importing torch: a wrong one is told at once."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from functional_clf.cli.parsing import one_of, parsed
from functional_clf.cli.study_file import StudyFile, read_study
from functional_clf.contestants.settings import MODEL_0, MODEL_1, MlpSettings
from functional_clf.contestants.specs import ModelSpec, named_spec, spec_of
from functional_clf.data.seeds import MAX_SEED
from functional_clf.record.names import check_place
from functional_clf.registry import DATASETS, ENGINES
from functional_clf.stats.metrics import ACCURACY, METRICS
from functional_clf.study.options import MAX_SEEDS, STANDARD_SEEDS, Options
from functional_clf.support.arguments import names_differ, path_of, whole_number

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
    match = re.fullmatch(r"(?:([0-9]{1,19}):)?([0-9]{1,19})", text)
    seeds = range(int(match[1] or 0), int(match[2])) if match else range(0)
    if not seeds:
        raise ValueError(
            f"seeds is {text if len(text) < 60 else _cut(text)}; it must be a count of at least 1, "
            "as in 64, or a rising range, as in 100:200"
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


def _model(
    metavar: str, read: Callable[[str], ModelSpec]
) -> tyro.constructors.PrimitiveConstructorSpec[ModelSpec | None]:
    """An argument that says a model; what a file said before under its name, it replaces."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda texts: replace(read(texts[0]), is_given_later=True),
        is_instance=lambda value: value is None or isinstance(value, ModelSpec),
        str_from_instance=lambda spec: [spec.name if spec else "None"],
    )


def _path(name: str) -> tyro.constructors.PrimitiveConstructorSpec[Path | None]:
    """An argument that is a path; an empty text would be taken for the current folder."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda texts: path_of(name, texts[0]),
        is_instance=lambda value: value is None or isinstance(value, Path),
        str_from_instance=lambda path: [str(path)],
    )


def _cut(text: str) -> str:
    """A text in a message, shortened where it is long."""
    return repr(text) if len(text) <= 200 else f"{text[:60]!r}... ({len(text)} characters)"


@dataclass(frozen=True, kw_only=True)
class _SeedsFirst:
    """Has the help begin with what is asked for most."""

    seeds: SeedRange = STANDARD_SEEDS


@dataclass(frozen=True, kw_only=True)
class RunArguments(Options, _SeedsFirst):
    """Is model_1 better than model_0, or was it a lucky seed? Train many seeds of both; compare.

    Args:
        study: a TOML file that says the whole study; arguments beside it come before what it says.
        seeds: the replicates to train: a count, or a range of seeds.
        max_seeds: with --until-decided, where to stop if nothing settles the verdict before.
            Default: 4096.
        out: the run folder. Default: one under runs/, named after the settings.
        self_calibration: also show how often studies of fewer seeds, drawn from this one, would
            have ended with another verdict.
        fresh: start over: delete what earlier runs have left in the run folder.
        replay: train this one seed of the run folder's study again, and compare every bit.
        plots: draw the pictures; --no-plots skips them.
        report: make report.html, a page to send on, and what is for papers; --no-report skips them.
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
        epochs: full-batch training steps of all models; overrides each model's own.
        model: a model by name, in place of model_0 and model_1, as often as there are models. SPEC
            is mlp:64,64 (hidden widths), sklearn.svm:SVC (a classifier in a module, or in a file)
            or my_models.py:net (a function of n_features and n_classes that returns a
            torch.nn.Module), and settings after commas, as in wide=mlp:64,64,epochs=200.
        baseline: the model that all others are compared with. Default: the first.
        spec_0: in place of the options of model-0 below, the same as --model model_0=SPEC.
        spec_1: likewise of model-1, as in --model-1 my_models.py:net.
        model_0: the baseline.
        model_1: the challenger.
    """

    study: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[STUDY.TOML]")] = (
        None
    )
    engine: Annotated[str, one_of(["auto", *ENGINES])] = "auto"
    chunk_size: Annotated[int | None, tyro.conf.arg(aliases=["--chunk"])] = None
    until_decided: bool = False
    max_seeds: int | None = None
    out: Annotated[Path | None, _path("out")] = None
    self_calibration: bool = False
    fresh: tyro.conf.FlagCreatePairsOff[bool] = False
    replay: int | None = None
    plots: bool = True
    report: bool = True
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    metric: Annotated[str, one_of(METRICS)] = ACCURACY.name
    data: Annotated[str, tyro.conf.arg(metavar="NAME|PATH")] = "circles"
    target: Annotated[str | None, tyro.conf.arg(aliases=["--label"])] = None
    drop: tuple[str, ...] = ()
    groups: str | None = None
    stratify: tyro.conf.FlagCreatePairsOff[bool] = False
    no_stratify: tyro.conf.FlagCreatePairsOff[bool] = False
    test: Annotated[Path | None, _path("test")] = None
    split_column: str | None = None
    samples: int | None = None
    noise: float | None = None
    classes: int | None = None
    epochs: int | None = None
    model: Annotated[
        tuple[Annotated[ModelSpec, _model("NAME=SPEC", named_spec)], ...],
        tyro.conf.UseAppendAction,
    ] = ()
    baseline: str | None = None
    spec_0: Annotated[
        ModelSpec | None,
        _model("SPEC", lambda text: spec_of("model_0", text)),
        tyro.conf.arg(name="model-0"),
    ] = None
    spec_1: Annotated[
        ModelSpec | None,
        _model("SPEC", lambda text: spec_of("model_1", text)),
        tyro.conf.arg(name="model-1"),
    ] = None
    model_0: MlpSettings = field(default=MODEL_0)
    model_1: MlpSettings = field(default=MODEL_1)

    def __post_init__(self) -> None:
        if self.study is not None and self.study.suffix != ".toml":
            hint = "; say --model before each model" if "=" in str(self.study) else ""
            raise ValueError(
                f"study is {self.study}; it must be the path of a TOML file, as in study.toml{hint}"
            )
        super().__post_init__()
        seeds = self._check_design(self.seeds)
        if self.max_seeds is not None and not self.until_decided:
            raise ValueError(
                f"max_seeds is {self.max_seeds}; it has a meaning with until_decided alone"
            )
        if self.until_decided:
            seeds = self._check_until(seeds)
        for name, least in (("epochs", 1), ("samples", 1), ("classes", 2)):
            if (value := getattr(self, name)) is not None:
                whole_number(name, value, least)
        if self.replay is not None:
            whole_number("replay", self.replay, 0, MAX_SEED)
        for name in ("out", "test"):
            if (path := getattr(self, name)) is not None:
                path_of(name, path)
        if self.out is not None:
            check_place(self.out)
        if self.stratify and self.no_stratify:
            raise ValueError("stratify is True and no_stratify is True; leave one out")
        self._check_models()
        for name in ("model_0", "model_1"):
            asked: MlpSettings = getattr(self, name)
            if asked.hidden is not None and asked.layer_sizes is not None:
                raise ValueError(
                    f"{name}.hidden is {asked.hidden} and {name}.layer_sizes is "
                    f"{asked.layer_sizes}; give one of them"
                )
        if self.data not in DATASETS:
            path_of("data", self.data)
        if self.data not in DATASETS and not os.path.exists(self.data):
            raise ValueError(
                f"data is {_cut(self.data)}; it must be one of {', '.join(DATASETS)}, or the path "
                "of a table, and there is no such file"
            )
        if self.self_calibration:
            self._check_calibration(seeds)
        if self.replay is not None:
            for name in ("fresh", "json", "self_calibration"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name} is True; it has no meaning with replay, leave one out"
                    )

    @property
    def models(self) -> tuple[ModelSpec | tuple[str, MlpSettings], ...]:
        """What is compared, in order: specs, and what their own options say of the first two."""
        if self.model:
            return self.model
        return (self.spec_0 or ("model_0", self.model_0), self.spec_1 or ("model_1", self.model_1))

    @property
    def names(self) -> list[str]:
        """Of the models, in order."""
        return [one.name if isinstance(one, ModelSpec) else one[0] for one in self.models]

    def _check_until(self, seeds: range) -> range:
        """The seeds that there may be at most."""
        if seeds != STANDARD_SEEDS:
            raise ValueError(
                f"seeds is {seeds.start}:{seeds.stop} and until_decided is True; say by max_seeds "
                "how many there may be"
            )
        if self.self_calibration:
            raise ValueError("self_calibration is True; it needs a number of seeds that was fixed")
        most = MAX_SEEDS if self.max_seeds is None else self.max_seeds
        self._set("max_seeds", whole_number("max_seeds", most, 1, MAX_SEED + 1))
        return range(most)

    @property
    def all_seeds(self) -> range:
        """The seeds that there are, or may be."""
        return range(self.max_seeds or MAX_SEEDS) if self.until_decided else self.seeds

    def _check_models(self) -> None:
        own = {"model_0": (self.spec_0, self.model_0), "model_1": (self.spec_1, self.model_1)}
        for (name, (spec, asked)), standard in zip(own.items(), (MODEL_0, MODEL_1), strict=True):
            option = f"--{name.replace('_', '-')}"
            if spec is not None and asked != standard:
                raise ValueError(
                    f"{name} is {spec.target}; it takes none of the options {option}.*: its "
                    f"settings follow it, as in {option} {spec.target},epochs=50"
                )
            if self.model and (spec is not None or asked != standard):
                raise ValueError(
                    f"model is {', '.join(one.name for one in self.model)}, and {option} is given, "
                    f"too; say all models by --model, as in --model {name}=mlp:64,64"
                )
        self._set("model", _by_name(self.model))
        names = self.names
        names_differ("model", names)
        if len(names) < 2:
            raise ValueError(f"model is {names[0]}; a comparison needs two or more of them")
        if self.baseline is not None and self.baseline not in names:
            raise ValueError(f"baseline is {self.baseline!r}; it must be one of {', '.join(names)}")
        if len(names) > 2:
            for name, is_asked in (
                ("design is 'crossed'", self.design == "crossed"),
                ("self_calibration is True", self.self_calibration),
            ):
                if is_asked:
                    raise ValueError(f"{name}; it is of two models, and there are {len(names)}")

    def _check_calibration(self, seeds: range) -> None:
        if self.design != "paired":
            raise ValueError(f"design is {self.design!r}; self_calibration needs a paired design")
        if len(seeds) < CALIBRATION_SEEDS:
            raise ValueError(
                f"seeds is {len(seeds)}; self_calibration needs at least {CALIBRATION_SEEDS}"
            )


def _by_name(specs: Sequence[ModelSpec]) -> tuple[ModelSpec, ...]:
    """One spec a name, in the order in which the names were first given."""
    found: dict[str, ModelSpec] = {}
    for spec in specs:
        before = found.get(spec.name)
        if before is not None and before.is_given_later == spec.is_given_later:
            raise ValueError(f"model {spec.name} is given twice; names must differ")
        found[spec.name] = spec
    return tuple(found.values())


def parse(args: Sequence[str] | None, program: str = PROGRAM) -> RunArguments:
    """The arguments of the main job out of a command line, and of the file that it names.

    Raises:
        ValueError: when an argument is wrong; the message is one line.
        SystemExit: after --help.
    """
    file, args = _study_file(list(sys.argv[1:] if args is None else args))
    config = () if file else (tyro.conf.FlagCreatePairsOff,)
    defaults: dict[str, Any] = {"default": _said_by(file)} if file else {}
    arguments = parsed(RunArguments, args, program, config=config, **defaults)
    stratify = None if file is None else file.values.get("stratify")
    if stratify is None or arguments.stratify or arguments.no_stratify:
        return arguments
    return replace(arguments, stratify=stratify, no_stratify=not stratify)


def _study_file(args: list[str]) -> tuple[StudyFile | None, list[str]]:
    """The study that a TOML file among the arguments says, and the arguments with it in front.

    It comes first, or wherever nothing else can be meant by it, as options may take several values.
    """
    options = [one for one in fields(RunArguments) if isinstance(one.default, bool)]
    names = [one.name.replace("_", "-") for one in options]
    flags = {f"--{no}{name}" for name in names for no in ("", "no-")}
    places = [
        place
        for place, word in enumerate(args)
        if word.endswith(".toml") and not word.startswith("-")
        if place == 0 or not args[place - 1].startswith("-") or args[place - 1] in flags
    ]
    if len(places) > 1:
        raise ValueError(f"study is {args[places[0]]} and {args[places[1]]}; give one file")
    if not places:
        return None, args
    name = args[places[0]]
    return read_study(Path(name), RunArguments), [
        name, *args[: places[0]], *args[places[0] + 1 :]
    ]  # fmt: skip


def _said_by(file: StudyFile) -> RunArguments:
    """Defaults out of a file, unchecked: arguments beside it may change or complete them."""
    unchecked = object.__new__(RunArguments)
    for one in fields(RunArguments):
        standard = one.default if one.default_factory is MISSING else one.default_factory()
        is_said = one.name in file.values and one.name != "stratify"
        object.__setattr__(unchecked, one.name, file.values[one.name] if is_said else standard)
    object.__setattr__(unchecked, "model", file.models)
    return unchecked
