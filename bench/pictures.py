"""The report's pictures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bench.peers import OURS
from bench.summary import Line, PeerSpeed, Process, SeedPoint, whole_job

# Okabe and Ito's colours, told apart with any colour vision; order does not carry meaning.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY, SKY, PURPLE, YELLOW = "#8C8C8C", "#56B4E9", "#CC79A7", "#F0E442"
STAGE_COLOURS = (SKY, GREEN, ORANGE, BLUE, PURPLE, YELLOW, VERMILION)


def write_pictures(
    folder: Path,
    jobs: Mapping[str, Mapping[str, PeerSpeed]],
    in_batches: Mapping[str, Mapping[str, PeerSpeed]],
    points: Mapping[int, SeedPoint],
    processes: Mapping[tuple[str, str], Process],
    lines: Mapping[str, Line],
) -> list[Path]:
    """Draw what was measured; returns the files written.

    Args:
        folder: where to write.
        jobs: from `summary.standard_job`.
        in_batches: from `summary.minibatches`.
        points: from `summary.scaling`.
        processes: from `summary.processes`.
        lines: by name, wall times as functions of the number of seeds.
    """
    figures = {
        "standard_job": _standard_job(jobs) if jobs else None,
        "minibatches": _minibatches(in_batches) if in_batches else None,
        "scaling": _scaling(points) if points else None,
        "process": _process(processes) if processes else None,
        "break_even": _break_even(lines) if lines else None,
    }
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        path.unlink(missing_ok=True)  # none from an earlier run beside this run's figures
        if figure is not None:
            figure.savefig(path, dpi=150)
            paths.append(path)
    return paths


def _standard_job(jobs: Mapping[str, Mapping[str, PeerSpeed]]) -> Figure:
    figure = Figure(figsize=(11, 0.45 * max(map(len, jobs.values())) + 1.8), layout="constrained")
    panels = figure.subplots(1, len(jobs), squeeze=False)[0]
    figure.suptitle("The standard job: how many training steps of one seed a second")
    figure.supxlabel(
        "seed-epochs a second, log scale: median, slowest and fastest round", fontsize=10
    )
    for axes, (model, peers) in zip(panels, jobs.items(), strict=True):
        names = sorted(peers, key=lambda name: peers[name].speed.median)
        for row, name in enumerate(names):
            speed, colour = peers[name].speed, BLUE if name == OURS.name else GREY
            reach = [[speed.median - speed.low], [speed.high - speed.median]]
            axes.errorbar(speed.median, row, xerr=reach, fmt="o", color=colour, capsize=4, ms=8)
            axes.text(1.2 * speed.high, row, _thousands(speed.median), va="center", color=colour)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.5, len(names) - 0.5)
        axes.set_xscale("log")
        speeds = [one.speed for one in peers.values()]
        axes.set_xlim(min(s.low for s in speeds) / 2, 4 * max(s.high for s in speeds))
        axes.set_title(model)
        axes.grid(axis="x", color="#DDDDDD")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _minibatches(jobs: Mapping[str, Mapping[str, PeerSpeed]]) -> Figure:
    figure = Figure(figsize=(13, 0.45 * max(map(len, jobs.values())) + 1.8), layout="constrained")
    panels = figure.subplots(1, len(jobs), squeeze=False)[0]
    figure.suptitle("Training in minibatches: seconds for all splits")
    figure.supxlabel("seconds, log scale: median, slowest and fastest round", fontsize=10)
    for axes, (work, peers) in zip(panels, jobs.items(), strict=True):
        names = list(peers)[::-1]  # in one order in all panels, ours on top
        seconds = {name: whole_job(one) for name, one in peers.items()}
        for row, name in enumerate(names):
            one, colour = seconds[name], BLUE if name == OURS.name else GREY
            reach = [[one.median - one.low], [one.high - one.median]]
            axes.errorbar(one.median, row, xerr=reach, fmt="o", color=colour, capsize=4, ms=8)
            axes.text(1.2 * one.high, row, f"{one.median:.3g} s", va="center", color=colour)
        axes.set_yticks(range(len(names)), names if axes is panels[0] else [""] * len(names))
        axes.set_ylim(-0.5, len(names) - 0.5)
        axes.set_xscale("log")
        axes.set_xlim(
            min(one.low for one in seconds.values()) / 2,
            5 * max(one.high for one in seconds.values()),
        )
        axes.set_title(work)
        axes.grid(axis="x", color="#DDDDDD")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _scaling(points: Mapping[int, SeedPoint]) -> Figure:
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle("Scaling with the number of seeds (model_1, default settings, warm)")
    seeds = list(points)
    times = [point.seconds_per_seed for point in points.values()]
    memory = [point.peak_memory for point in points.values()]
    for axes, spreads, scale, label in (
        (left, times, 1e3, "milliseconds a seed, log scale"),
        (right, memory, 2**-20, "peak memory of the process, MiB"),
    ):
        middle = np.array([scale * one.median for one in spreads])
        reach = np.array([[s.median - s.low, s.high - s.median] for s in spreads]).T * scale
        axes.errorbar(seeds, middle, yerr=reach, color=BLUE, marker="o", capsize=3)
        for x, y in zip(seeds, middle, strict=True):
            axes.annotate(f"{y:.3g}", (x, y), (6, 8), textcoords="offset points")
        axes.set_xscale("log", base=2)
        axes.set_xticks(seeds, [str(x) for x in seeds])
        axes.xaxis.minorticks_off()
        axes.margins(x=0.08)
        axes.set_xlabel("seeds")
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_yscale("log", base=2)
    left.yaxis.set_major_formatter("{x:g}")
    right.set_ylim(0, 1.2 * max(one.high for one in memory) / 2**20)
    return figure


def _process(processes: Mapping[tuple[str, str], Process]) -> Figure:
    shown = {key: one for key, one in processes.items() if key[0] != "large"}
    figure = Figure(figsize=(11, 0.55 * len(shown) + 2), layout="constrained")
    axes = figure.subplots()
    seeds = next(iter(shown.values())).seeds
    axes.set_title(f"The whole process, {seeds} seeds of both models: where the time goes")
    stages = dict.fromkeys(stage for one in shown.values() for stage in one.stages)
    stages = [*(stage for stage in stages if stage != "other"), "other"]
    names = [_process_name(key, one) for key, one in shown.items()]
    ends = np.zeros(len(shown))
    for n, stage in enumerate(stages):
        widths = np.array([max(0.0, one.stages.get(stage, 0.0)) for one in shown.values()])
        colour = GREY if stage == "other" else STAGE_COLOURS[n % len(STAGE_COLOURS)]
        axes.barh(names, widths, left=ends, color=colour, label=stage, edgecolor="white")
        ends += widths
    for row, one in enumerate(shown.values()):
        axes.text(ends[row], row, f"  {one.wall.median:.1f} s", va="center")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * ends.max())
    axes.set_xlabel("seconds, medians")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _process_name(key: tuple[str, str], process: Process) -> str:
    state, engine = key
    return f"{state}, {engine}" + (f" (ran {process.ran})" if engine == "auto" else "")


def _break_even(lines: Mapping[str, Line]) -> Figure:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title("When compiling pays: the whole process by number of seeds")
    seeds = np.geomspace(1, 1024, 50)
    colours = {"eager": ORANGE, "auto": BLUE, "compile": GREEN}
    for name, one in lines.items():
        engine, _, state = name.partition(", ")
        wall = one.fixed + one.per_seed * seeds
        dashes = ":" if state == "cold" else "-"
        colour = colours.get(engine, GREY)
        axes.plot(seeds, wall, color=colour, linestyle=dashes, linewidth=2, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(2 ** np.arange(0, 11, 2), [str(2**n) for n in range(0, 11, 2)])
    seconds = [2, 5, 10, 20, 50, 100, 200, 500]
    axes.set_yticks(seconds, [str(one) for one in seconds])
    axes.set_ylim(0.8 * min(one.fixed for one in lines.values()))
    axes.minorticks_off()
    axes.set_xlabel("seeds of both models")
    axes.set_ylabel("seconds, from fixed cost and cost a seed")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _thousands(value: float) -> str:
    return f"{value / 1000:.1f} k" if value >= 1000 else f"{value:.0f}"
