"""`functional-clf plan runs/pilot`: how many seeds a study needs, from a pilot."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from functional_clf.cli import interrupts
from functional_clf.cli.compare_arguments import NEGATED, SCOPES
from functional_clf.cli.ending import ended
from functional_clf.cli.imports import uncollected
from functional_clf.cli.parsing import one_of, parsed
from functional_clf.cli.screen import consoles
from functional_clf.stats.metrics import METRICS
from functional_clf.support.arguments import real_number, whole_number
from functional_clf.support.text import printable

PROGRAM = "python -m functional_clf.plan"
CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class PlanArguments:
    """How many seeds a study needs: from a pilot's run folder or scores, or from a pilot run now.

    Give a run folder or a table of scores. Or give a study's TOML file, or arguments of run: then
    the first seeds of that study are run, into its folder, where the real run goes on.

    Args:
        pilot_seeds: seeds of the pilot that is run, where none is given.
        half_width: the half-width of the interval that is wanted, in the metric's unit. Default:
            the margin.
        power: share of studies that shall tell a difference of one margin from none.
        margin: the smallest difference that matters, in the metric's unit. Default: 0.01 of a
            share.
        alpha: one minus the confidence of the intervals. Default: 0.05.
        baseline: the model that all others are compared with. Default: every pair is compared.
        metric: what the scores are.
        scope: of a table of scores, what each row redrew.
        n_train: of a table of scores, training samples of each row.
        n_test: of a table of scores, test samples of each row.
        plot: PNG file to draw to. Default: plan.png in the run folder; none of a table of scores.
        json: print the plan as JSON on standard output, and nothing else there.
    """

    pilot_seeds: int = 16
    half_width: float | None = None
    power: float = 0.8
    margin: float | None = None
    alpha: float | None = None
    baseline: str | None = None
    metric: Annotated[str | None, one_of([*METRICS, *NEGATED])] = None
    scope: Annotated[str | None, one_of(SCOPES)] = None
    n_train: int | None = None
    n_test: int | None = None
    plot: Path | None = None
    json: tyro.conf.FlagCreatePairsOff[bool] = False

    def __post_init__(self) -> None:
        whole_number("pilot_seeds", self.pilot_seeds, 2)
        for name in ("half_width", "power", "margin", "alpha"):
            if (value := getattr(self, name)) is not None:
                real_number(name, value)
        # Here, as a pilot may be run before anybody else looks at them.
        for name in ("power", "alpha"):
            if (value := getattr(self, name)) is not None and not 0 < value < 1:
                raise ValueError(f"{name} is {value}; it must be above 0 and below 1")
        if self.power <= (self.alpha or 0.05):
            raise ValueError(f"power is {self.power}; it must be above alpha, as in 0.8")
        if self.half_width is not None and not self.half_width > 0:
            raise ValueError(f"half_width is {self.half_width}; it must be above 0, as in 0.01")
        if self.margin is not None and self.margin < 0:
            raise ValueError(f"margin is {self.margin}; it must be at least 0, as in 0.01")
        if self.margin == 0 and self.half_width is None:
            raise ValueError("half_width is None; with a margin of 0 it must be given")

    @property
    def settings(self) -> dict[str, Any]:
        """Those of `plans_of`, by name."""
        names = (
            "half_width", "power", "margin", "alpha", "baseline", "scope", "n_train", "n_test",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


def main(args: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Plan a study from a pilot, and print what it needs; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
        program: what the help calls the command.
    """
    return ended(lambda: _run(list(sys.argv[1:] if args is None else args), program))


def _run(args: list[str], program: str) -> int:
    stdout, stderr = consoles()
    config = {"config": (tyro.conf.FlagCreatePairsOff,), "return_unknown_args": True}
    found: Any = parsed(PlanArguments, args, program, **config)
    arguments, rest = found
    is_given = len(rest) == 1 and not rest[0].startswith("-") and not rest[0].endswith(".toml")
    if is_given:
        with uncollected():
            from functional_clf.score_tables.folders import is_run_folder
        source = Path(rest[0])
        command = None
        seconds, told = _told_seconds(source) if is_run_folder(source) else (None, "")
    else:
        source, command, seconds, told = _piloted(arguments, rest, stderr)
    interrupts.take_over_again()
    with interrupts.raising():
        return _plan(arguments, source, command, seconds, told, stdout)


def _plan(
    arguments: PlanArguments,
    source: Path,
    command: str | None,
    seconds: float | None,
    told: str,
    stdout: Console,
) -> int:
    with uncollected():
        from functional_clf.score_tables.folders import is_run_folder
        from functional_clf.score_tables.planning import plans_of
        from functional_clf.score_tables.reading import Names, Reading, read_scores
    metric = arguments.metric
    table = read_scores(source, Reading(Names(None, None, None, None), metric, False))
    plans, doubts = plans_of(table, **arguments.settings)
    path = arguments.plot
    if path is None and is_run_folder(source):
        path = source / "plan.png"
    advised = [one.advised for one in plans]
    most = None if None in advised else max(n for n in advised if n is not None)
    seeds = None if most is None else -(-most // CHUNK) * CHUNK
    is_drawn = _drawn(plans, path)
    following = None
    if seeds is not None and command is not None:
        following = f"python -m functional_clf.run {command} --seeds {seeds}".replace("  ", " ")
    if arguments.json:
        said = {
            "plans": [one.to_dict() for one in plans],
            "seeds": seeds,
            "seconds_per_seed": seconds,
            "seconds_from": told or None,
            "next": following,
            "doubts": doubts,
            "plot": str(path) if is_drawn else None,
        }
        print(json.dumps(said, indent=2, allow_nan=False))
        return 0
    stdout.print(_table(plans, seconds))
    is_long = not stdout.is_terminal
    for one in plans:
        stdout.print(printable(one.conclusion), soft_wrap=is_long)
    if seconds is not None:
        line = f"Time: {seconds:.3g} s a seed of all models together, {told}."
        stdout.print(printable(line), soft_wrap=True)
    for doubt in doubts:
        stdout.print(printable(f"Doubt: {doubt}."), soft_wrap=is_long)
    if following:
        stdout.print(printable(f"Next: {following}"), soft_wrap=True)
    elif seeds is not None:
        stdout.print(f"Next: run with --seeds {seeds}")
    if is_drawn:
        stdout.print(printable(f"Picture: {path}"), soft_wrap=True)
    return 0


def _drawn(plans: Any, path: Path | None) -> bool:
    if path is None:
        return False
    from functional_clf.record.folder import write_whole
    from functional_clf.reports.plan_drawing import plan_png

    content = plan_png(plans)
    if content is None:
        return False
    write_whole(path, content)
    return True


def _table(plans: Any, seconds: float | None) -> Any:
    from rich.table import Table

    table = Table(title="Seeds needed")
    for head in ("pair", "for", "seeds", "at the upper limit"):
        table.add_column(head)
    if seconds is not None:
        table.add_column("time")
    for one in plans:
        criteria = (one.for_half_width, one.for_power)
        for (goal, *numbers), needed in zip(one.rows(), criteria, strict=True):
            cells = [f"{one.names[0]} against {one.names[1]}", goal, *numbers]
            if seconds is not None:
                times = [_time(n, seconds) for n in needed if n is not None]
                cells.append(" to ".join(dict.fromkeys(times)))
            table.add_row(*(printable(cell) for cell in cells))
    return table


def _time(n_seeds: int, seconds: float) -> str:
    total = n_seeds * seconds
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if total >= 2 * size:
            return f"{total / size:.2g} {unit}"
    return f"{total:.2g} s"


def _told_seconds(folder: Path) -> tuple[float | None, str]:
    """Seconds a seed by what the folder's last run has written, where that trained all of them."""
    try:
        said = json.loads((folder / "results.json").read_text("utf-8"))
        seconds, seeds = float(said["timings"]["train"]), int(said["comparisons"][0]["n_pairs"])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None, ""
    told = f"by {folder / 'results.json'}, if its last run trained all {seeds} seeds"
    return (seconds / seeds, told) if seeds and seconds else (None, "")


def _piloted(
    arguments: PlanArguments, rest: list[str], stderr: Console
) -> tuple[Path, str, float | None, str]:
    """Run a pilot; its folder, the arguments it was asked by, and seconds a seed."""
    import shlex

    from functional_clf.cli.run_arguments import parse

    for option in ("--seeds", "--replay"):
        if any(word == option or word.startswith(f"{option}=") for word in rest):
            raise ValueError(f"{option} is given; a pilot has --pilot-seeds, leave it out")
    for name in ("margin", "alpha", "baseline", "metric"):
        if (value := getattr(arguments, name)) is not None:
            rest = [*rest, f"--{name}", str(value)]
    if arguments.scope is not None:
        raise ValueError(f"scope is {arguments.scope!r}; of a study that is run, --vary says it")
    asked = parse([*rest, "--seeds", str(arguments.pilot_seeds)], PROGRAM)
    with uncollected():
        from functional_clf.cli import job
        from functional_clf.cli.screen import shown_notices, shown_progress
    interrupts.take_over_again()
    with interrupts.raising():
        study = job.study_of(asked)
        folder = job.run_folder(study, asked.out)
        is_new = not folder.exists()
        with shown_notices(stderr), shown_progress(stderr) as on_progress:
            results = study.run(folder, on_progress)
        seconds = results.timings["train"] / arguments.pilot_seeds
    told = f"measured on the pilot of {arguments.pilot_seeds}, without its start and compiling"
    return folder, shlex.join(rest), seconds if is_new and seconds else None, told
