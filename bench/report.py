"""How fast, beside every peer: `python -m bench.report` measures, and writes bench/results/.

The measurements are the pytest-benchmark files of this folder; REPORT.md, its pictures and
report.json (the raw numbers) are made from what they leave.
"""

import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from bench.contest import CHECK_EPOCHS, PROBE_SHARE
from bench.job import TOLERANCE
from bench.peers import OURS, PEERS
from bench.pictures import write_pictures
from bench.settings import Settings
from bench.summary import (
    OVERHEAD_STAGES,
    Line,
    PeerSpeed,
    Process,
    Record,
    Spread,
    break_even,
    line,
    overhead_share,
    processes,
    recording,
    scaling,
    standard_job,
    steps,
    targets,
)
from functional_clf.engines.machine import environment

BENCH = Path(__file__).parent
Section = Literal["step", "standard_job", "recording", "scaling", "process"]
SECTIONS: tuple[Section, ...] = ("step", "standard_job", "recording", "scaling", "process")
PACKAGES = ("jax", "optax", "scikit-learn", "pytest-benchmark")


@dataclass(frozen=True)
class Command(Settings):
    """Measure the engine beside every peer, and write the report.

    Args:
        quick: small sizes in place of all others: to see that everything works, not to quote.
        only: sections to measure.
        out: folder of the report.
    """

    quick: bool = False
    only: tuple[Section, ...] = SECTIONS
    out: Path = BENCH / "results"

    def settings(self) -> Settings:
        """The sizes to measure."""
        given = Settings(**{one.name: getattr(self, one.name) for one in fields(Settings)})
        return given.shrunk() if self.quick else given


def measure(settings: Settings, sections: Sequence[str]) -> list[Record]:
    """Run the benchmark files of some sections; one record a benchmark.

    Raises:
        RuntimeError: when one of them fails, as where outputs disagree.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "benchmarks.json"
        options = []
        for name, value in asdict(settings).items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            options.append(f"--bench-{name.replace('_', '-')}={text}")
        command = [sys.executable, "-m", "pytest", "-q", "--benchmark-only", "--benchmark-quiet"]
        command += ["-p", "no:cacheprovider", f"--benchmark-json={raw}", *options]
        command += [str(BENCH / f"test_{section}.py") for section in sections]
        # Nothing is compiled yet, so first calls show what compiling costs.
        caches = {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}
        finished = subprocess.run(command, cwd=BENCH.parent, env={**os.environ, **caches})
        if finished.returncode:
            raise RuntimeError(
                "a measurement failed, see above; there is no report of part of them"
            )
        benchmarks = json.loads(raw.read_text(encoding="utf-8"))["benchmarks"]
    return [{**one["extra_info"], "wall": one["stats"]["median"]} for one in benchmarks]


def machine(device: str) -> dict[str, str]:
    """What ran it, as plain values by name."""
    found = environment(torch.device(device))
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    gpu = {"GPU": found["device_name"]} if device == "cuda" else {}
    return {
        "CPU": _cpu_name(),
        "cores": str(found["cores"]),
        "CPU capability": found["cpu_capability"],
        **gpu,
        "platform": found["platform"],
        "Python": found["python"],
        "torch": found["torch"],
        "NumPy": found["numpy"],
        **versions,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    named = re.search(r"model name\s*:\s*(.+)", text)
    return named[1] if named else platform.processor() or platform.machine()


def render(
    records: Sequence[Record],
    settings: Settings,
    on: Mapping[str, str],
    command: str,
    minutes: float,
    pictures: Iterable[str],
) -> str:
    """REPORT.md as text.

    Args:
        records: from `measure`.
        settings: what was measured.
        on: the machine.
        command: that made it.
        minutes: that it took.
        pictures: names of the picture files that there are.
    """
    pictures = set(pictures)
    parts = [
        "# How fast, beside every peer",
        f"Made by `{command}` in {minutes:.0f} minutes. Every figure is of that one run; the raw "
        "numbers are in report.json. Benchmarks run in turn (A B C A B C ...), so a ratio compares "
        "rounds that ran side by side. A figure is the median of its rounds, with the slowest and "
        "the fastest in brackets.",
        _table(("the machine", ""), on.items()),
        "## Targets",
        "Set for a 2-core CPU. A target is judged by the median."
        + ("" if settings == Settings() else " This run's sizes are not those they are set for."),
        _table(
            ("target", "measured", ""),
            ((one.promise, one.measured or "-", _verdict(one.met)) for one in targets(records)),
        ),
    ]
    jobs = standard_job(records)
    if jobs:
        parts += _standard_job(jobs, settings, "standard_job" in pictures)
    if found := steps(records):
        parts += _steps(found)
    if points := scaling(records):
        parts += [
            "## Scaling",
            f"`Study.run` of model_1 into a run folder, {settings.scaling_epochs} epochs, at its "
            "default settings, in a fresh process for each number of seeds. The time is taken "
            "once warm; "
            "peak memory is the high-water mark of that process, with all it has imported and "
            "compiled. A chunk is always full, so few seeds pay for the padding.",
            _table(
                ("seeds", "ms a seed", "peak memory, MiB"),
                (
                    (seeds, _spread(one.seconds_per_seed, 1e3), _spread(one.peak_memory, 2**-20))
                    for seeds, one in points.items()
                ),
            ),
            *(
                ["![Time and memory by number of seeds](scaling.png)"]
                if "scaling" in pictures
                else []
            ),
        ]
    if found := processes(records):
        parts += _processes(found, pictures)
    if cost := recording(records):
        parts += [
            "## Recording the learning curves",
            "A chunk trained as always, and with only its end result read, in turn: what the rest "
            "of the learning curve adds to the training time.",
            _table(
                ("model", "added"),
                ((model, _spread(one, 100, "%")) for model, one in cost.items()),
            ),
        ]
    parts += [
        "## CUDA",
        f"Measured: this report is of {on['GPU']}."
        if settings.device == "cuda"
        else "Not measured: no GPU was at hand."
        if not torch.cuda.is_available()
        else "Not measured in this run; `python -m bench.report --device cuda` does.",
    ]
    return "\n\n".join(parts) + "\n"


def _standard_job(
    jobs: Mapping[str, Mapping[str, PeerSpeed]], settings: Settings, picture: bool
) -> list[str]:
    skipped = [
        f"- {peer.name}: skipped, {reason}."
        for peer in PEERS.values()
        if (reason := peer.missing(settings.device))
    ]
    parts = [
        "## The standard job",
        f"{settings.seeds} seeds x {settings.epochs} epochs, 800 training samples, full batch, on "
        f"{settings.device}. model_0 is 2-5-1, linear, SGD; model_1 is 2-16-16-1, ReLU, Adam. "
        "Every peer starts from the same initial weights and data. Its variants are first checked "
        f"against the package's own step in float64: after {CHECK_EPOCHS} epochs, three seeds in "
        f"four are within {TOLERANCE:g} of the distance that their weights moved. Then they are "
        f"timed on {PROBE_SHARE:.0%} of a round's epochs, and the fastest is quoted. A loop's time "
        "is proportional to its seeds and epochs, so the slow peers train some of them (column "
        '"a round") and the speed is compared. Ours is `Study.run` at its default settings, which '
        "also draws data and weights, records the learning curves and stores the results, and "
        "which takes fused programs on the CPU; with another engine it is `vmap compiled` and "
        "`vmap eager`. The others get tensors and return weights.",
        *(["![Speed of every peer](standard_job.png)"] if picture else []),
    ]
    for model, peers in jobs.items():
        rows = []
        for name, one in sorted(peers.items(), key=lambda item: -item[1].speed.median):
            record = one.record
            compiles = PEERS[name].compiles
            rows.append(
                (
                    f"**{name}**" if name == OURS.name else name,
                    _spread(one.speed, 1e-3),
                    "" if name == OURS.name or not one.ours_is else _spread(one.ours_is),
                    f"{record['first_call']:.1f}" if compiles else "-",
                    record["variant"],
                    f"{record['seeds']} x {record['epochs']}",
                    f"{record['disagreement']:.0e}",
                )
            )
        parts += [
            f"### {model}",
            _table(
                ("peer", "1000 seed-epochs a second", "ours is ... times as fast", "compile, s",
                 "best variant", "a round", "disagreement"),
                rows,
            ),
        ]  # fmt: skip
    parts += [
        "Compile: the first call less a later one, from an empty cache, apart from all the other "
        "figures; the first peer to compile C++ also pays for the toolchain's one-off checks."
    ]
    if skipped:
        parts.append("\n".join(skipped))
    parts.append("### Variants tried\n\nMicroseconds a seed-epoch on the short job.")
    for name in PEERS:
        columns = {
            model: peers[name].record["probes"] for model, peers in jobs.items() if name in peers
        }
        variants = dict.fromkeys(variant for probes in columns.values() for variant in probes)
        if len(variants) > 1:
            rows = [
                (variant, *(f"{1e6 * probes[variant]:.1f}" for probes in columns.values()))
                for variant in variants
            ]
            parts.append(_table((name, *columns), rows))
    return parts


def _steps(found: Mapping[tuple[str, str], float]) -> list[str]:
    return [
        "### One step of one replicate, eager",
        "What `torch.func` costs where it gains nothing: a single seed, microseconds.",
        _table(
            ("model", "way", "median"),
            ((model, way, f"{1e6 * wall:.0f}") for (model, way), wall in found.items()),
        ),
    ]


def wall_lines(found: Mapping[tuple[str, str], Process]) -> dict[str, Line]:
    """The wall times that are compared for the break-even, by name, where they were measured."""
    wanted = {
        "eager": ("warm", "eager"),
        "auto, warm": ("warm", "auto"),
        "auto, cold": ("cold", "auto"),
        "compile, warm": ("warm", "compile"),
        "compile, cold": ("cold", "compile"),
    }
    lines = {name: line(found[key]) for name, key in wanted.items() if key in found}
    return {name: one for name, one in lines.items() if one is not None}


def _processes(found: Mapping[tuple[str, str], Process], pictures: set[str]) -> list[str]:
    stages = dict.fromkeys(stage for one in found.values() for stage in one.stages)
    stages = [*(stage for stage in stages if stage != "other"), "other"]
    seeds = next(iter(found.values())).seeds
    rows = [
        ("engine that ran", *(one.ran for one in found.values())),
        ("seeds", *(str(one.seeds) for one in found.values())),
        *(
            (stage, *(_seconds(one.stages.get(stage)) for one in found.values()))
            for stage in stages
        ),
        ("**total**", *(f"**{_spread(one.wall)}**" for one in found.values())),
    ]  # fmt: skip
    parts = [
        "## The whole process",
        f"`python -m functional_clf.run --seeds {seeds}`, both models, from starting Python to its "
        "end, timed from outside; the stages are those of its results.json, in seconds, and "
        '"other" is what they leave of the total. Cold: no compiled code in the cache. Warm: '
        "compiled by an earlier run, in a fresh run folder.",
        _table(("stage", *(f"{state}, {engine}" for state, engine in found)), rows),
        *(["![Where the time of a process goes](process.png)"] if "process" in pictures else []),
    ]
    reasons = [
        f"- {state}: auto ran {one.ran}{', because ' + one.reason if one.reason else ''}."
        for (state, engine), one in found.items()
        if engine == "auto"
    ]
    parts.append("\n".join(reasons))
    lines = wall_lines(found)
    if "eager" in lines and len(lines) > 1:
        parts.append("### From how many seeds compiling ends first")
        parts.append(
            "Computed, not run: the train stage is taken as proportional to the seeds and all else "
            "as fixed, each from the table above."
        )
        parts.append(
            _table(
                ("engine", "fixed, s", "ms a seed", "ends before eager from"),
                (
                    (
                        name,
                        f"{one.fixed:.1f}",
                        f"{1e3 * one.per_seed:.1f}",
                        "" if name == "eager" else _from_seeds(break_even(one, lines["eager"])),
                    )
                    for name, one in lines.items()
                ),
            )
        )
        if "break_even" in pictures:
            parts.append("![Wall time by number of seeds](break_even.png)")
    if large := found.get(("large", "auto")):
        share = overhead_share(large)
        missing = [stage for stage in OVERHEAD_STAGES if stage not in large.stages]
        parts.append(
            f"At {large.seeds} seeds, {', '.join(OVERHEAD_STAGES)} together take {share:.1%} of "
            "the process."
            if share is not None
            else f"The share of {', '.join(OVERHEAD_STAGES)} at {large.seeds} seeds was not "
            f"measured: results.json does not time {', '.join(missing)}."
        )
    return parts


def _from_seeds(seeds: float | None) -> str:
    return "never" if seeds is None else f"{int(seeds) + 1} seeds"


def _verdict(met: bool | None) -> str:
    return {True: "met", False: "**not met**", None: "not measured"}[met]


def _spread(spread: Spread, scale: float = 1.0, unit: str = "") -> str:
    middle, low, high = (_digits(scale * value) for value in spread)
    gap = " " if unit else ""
    return f"{middle} ({low} to {high}){gap}{unit}" if low != high else f"{middle}{gap}{unit}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def _table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def main() -> None:
    """Measure, and write the report."""
    command = tyro.cli(Command, prog="python -m bench.report")
    settings, started = command.settings(), time.monotonic()
    if settings.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: device is 'cuda', but torch finds no CUDA here")
    sections = [section for section in SECTIONS if section in command.only]
    try:
        records = measure(settings, sections)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    minutes = (time.monotonic() - started) / 60

    command.out.mkdir(parents=True, exist_ok=True)
    found = processes(records)
    drawn = write_pictures(
        command.out, standard_job(records), scaling(records), found, wall_lines(found)
    )
    line_typed = shlex.join(["python", "-m", "bench.report", *sys.argv[1:]])
    on = machine(settings.device)
    text = render(records, settings, on, line_typed, minutes, [path.stem for path in drawn])
    (command.out / "REPORT.md").write_text(text, encoding="utf-8")
    raw = {"command": line_typed, "machine": on, "settings": asdict(settings), "records": records}
    (command.out / "report.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    print(f"written to {command.out / 'REPORT.md'}")


if __name__ == "__main__":
    main()
