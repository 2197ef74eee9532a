"""How fast, beside every peer: `python -m bench.report` measures, and writes bench/results/.

The measurements are the pytest-benchmark files of this folder; REPORT.md, its pictures and
report.json (the raw numbers) are made from what they leave. A run of some sections (`--only`) keeps
what report.json has of the others.
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
from typing import Any, Literal, get_args

import torch
import tyro

from bench.contest import PROBE_SHARE
from bench.job import TOLERANCE
from bench.peers import JAX, MINIBATCH_PEERS, OURS, PEERS, Peer
from bench.peers.minibatches import JAX_RECORDED, UNRECORDED, WHOLE_STUDY
from bench.pictures import write_pictures
from bench.runs import Run, read_runs, with_new, write_runs
from bench.settings import Settings
from bench.summary import (
    OVERHEAD_STAGES,
    Line,
    PeerSpeed,
    Process,
    Record,
    Spread,
    arithmetic,
    break_even,
    line,
    minibatches,
    overhead_share,
    processes,
    recording,
    scaling,
    standard_job,
    steps,
    targets,
    whole_job,
)
from bench.works import WORKS
from functional_clf.engines.machine import environment

BENCH = Path(__file__).parent
Section = Literal["step", "standard_job", "minibatches", "recording", "scaling", "process"]
SECTIONS: tuple[Section, ...] = get_args(Section)
PACKAGES = ("jax", "optax", "scikit-learn", "pytest-benchmark")

AS_COMPILED = (
    "So nobody knows yet how long the fused engine's programs take on one, whether they are 500 "
    "times the classic loop's speed at 64 seeds and 1000 times at 4096, as they should be, and "
    "what share of the peak that is. What they are as compiled for three GPUs (registers, shared "
    "memory, multiplications) is in [DEVICE_CODE.md](DEVICE_CODE.md)."
)


@dataclass(frozen=True)
class Command(Settings):
    """Measure the engine beside every peer, and write the report.

    Args:
        quick: small sizes in place of all others: to see that everything works, not to quote.
        only: sections to measure; those of an earlier report in the same folder are kept.
        out: folder of the report; None for bench/results, and for a quick one for a new folder.
    """

    quick: bool = False
    only: tuple[Section, ...] = SECTIONS
    out: Path | None = None

    def settings(self) -> Settings:
        """The sizes to measure."""
        given = Settings(**{one.name: getattr(self, one.name) for one in fields(Settings)})
        return given.shrunk() if self.quick else given

    def folder(self) -> Path:
        """Where the report is written: no quick one stands in for the committed one by itself."""
        if self.out is None and self.quick:
            return Path(tempfile.mkdtemp(prefix="report-"))
        return self.out or BENCH / "results"


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


def render(runs: Sequence[Run], pictures: Iterable[str]) -> str:
    """REPORT.md as text.

    Args:
        runs: the newest first; none has a section of another.
        pictures: names of the picture files that there are.
    """
    pictures = set(pictures)
    records = [record for run in runs for record in run.records]
    run_of = {section: run for run in runs for section in run.sections}
    are_full = all(run.settings == Settings() for run in runs)
    parts = [
        "# How fast, beside every peer",
        *_made_by(runs),
        "Benchmarks run in turn (A B C A B C ...), so a ratio compares rounds that ran side by "
        "side. A figure is the median of its rounds, with the slowest and the fastest in brackets.",
        "## Targets",
        "Set for a 2-core CPU. A target is judged by the median."
        + ("" if are_full else " Not all sizes are those that they are set for."),
        _table(
            ("target", "measured", ""),
            ((one.promise, one.measured or "-", _verdict(one.met)) for one in targets(records)),
        ),
    ]
    if jobs := standard_job(records):
        settings = run_of["standard_job"].settings
        parts += _standard_job(jobs, settings, "standard_job" in pictures)
    if found := steps(records):
        parts += _steps(found)
    if jobs := minibatches(records):
        settings = run_of["minibatches"].settings
        parts += _minibatches(jobs, settings, "minibatches" in pictures)
    if points := scaling(records):
        epochs = run_of["scaling"].settings.scaling_epochs
        parts += [
            "## Scaling",
            f"`Study.run` of model_1 into a run folder, {epochs} epochs, at its "
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
    gpus = [run.machine["GPU"] for run in runs if run.settings.device == "cuda"]
    parts += [
        "## CUDA",
        f"Measured: {', '.join(gpus)}."
        if gpus
        else f"Not measured: no GPU was at hand. {AS_COMPILED}"
        if not torch.cuda.is_available()
        else "Not measured in this run; `python -m bench.report --device cuda` does.",
    ]
    return "\n\n".join(parts) + "\n"


def _made_by(runs: Sequence[Run]) -> list[str]:
    """Which command made the figures, when, in how long and on what; a column a run."""
    if len(runs) == 1:
        (run,) = runs
        return [
            f"Made by `{run.command}` in {run.minutes:.0f} minutes, {run.date}. Every figure is of "
            "that one run; the raw numbers are in report.json.",
            _table(("the machine", ""), run.machine.items()),
        ]
    names = dict.fromkeys(name for run in runs for name in run.machine)
    rows = [
        ("sections", *(", ".join(run.sections) for run in runs)),
        ("command", *(f"`{run.command}`" for run in runs)),
        ("date", *(run.date for run in runs)),
        ("minutes", *(f"{run.minutes:.0f}" for run in runs)),
        *((name, *(run.machine.get(name, "-") for run in runs)) for name in names),
    ]
    return [
        f"Made by {len(runs)} runs: a section's figures are all of one of them, and figures of two "
        "runs are not compared. The raw numbers are in report.json.",
        _table(("the runs", *(f"run {n}" for n in range(1, len(runs) + 1))), rows),
    ]


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
        f"against the package's own step in float64: after {WORKS['model_1'].check_epochs} "
        "epochs, three seeds in "
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
    return parts + _variants(jobs, PEERS)


def _variants(
    jobs: Mapping[str, Mapping[str, PeerSpeed]], all_peers: Mapping[str, Peer]
) -> list[str]:
    parts = ["### Variants tried\n\nMicroseconds a seed-epoch on the short job."]
    for name in all_peers:
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


def _minibatches(
    jobs: Mapping[str, Mapping[str, PeerSpeed]], settings: Settings, picture: bool
) -> list[str]:
    skipped = [
        f"- {peer.name}: skipped, {reason}."
        for peer in MINIBATCH_PEERS.values()
        if (reason := peer.missing(settings.device))
    ]
    parts = [
        "## Minibatches",
        "Tables, a fifth of whose rows is held out, others with every seed: two bundled ones "
        "(three pixels of digits never change, and are no features), and 'made', which is "
        "scikit-learn's "
        "`make_classification`. ReLU, AdamW with torch's defaults; the last batch of an epoch is a "
        "shorter one. Every peer starts from the same initial weights and takes the same batches "
        "in the same order, checked and timed as in the standard job: after one or two epochs "
        f"three seeds in four are within {TOLERANCE:g} of the distance that their weights moved "
        "('made' on a part of its rows: in JAX's arithmetic an epoch of all is steps enough for "
        "rounding to grow beyond that). All get prepared tensors; the others also get the order of "
        "batches, and return "
        "weights. Ours is the engine that `auto` takes, on chunks of 16 seeds, a thread a core, as "
        "a study trains them: it draws weights and order itself, and reads learning curves: loss "
        "and accuracy of all training and test samples, at about 20 epochs. "
        f"`{JAX_RECORDED.name}` reads the same curves; the classic loop and `{JAX.name}` do not, "
        f"and `{UNRECORDED.name}` reads both ends of the training alone. The targets compare like "
        f"with like. `{WHOLE_STUDY.name}` also prepares the table for each split, and stores the "
        "results. GFLOP are those of the products of training, three times those of a forward "
        "pass; those of learning curves are not counted.",
        *(["![Seconds of every peer](minibatches.png)"] if picture else []),
    ]
    for work, peers in jobs.items():
        rows = []
        for name, one in sorted(peers.items(), key=lambda item: -item[1].speed.median):
            record, seconds = one.record, whole_job(one)
            rows.append(
                (
                    f"**{name}**" if name == OURS.name else name,
                    _spread(seconds),
                    "" if name == OURS.name or not one.ours_is else _spread(one.ours_is),
                    _digits(arithmetic(record["job"]) / seconds.median / 1e9),
                    f"{record['first_call']:.1f}" if MINIBATCH_PEERS[name].compiles else "-",
                    f"engine {record['engine']}" if "engine" in record else record["variant"],
                    f"{record['seeds']} x {record['epochs']}",
                    f"{record['disagreement']:.0e}",
                )
            )
        job = next(iter(peers.values())).record["job"]
        parts += [
            f"### {work}",
            f"{job['samples']} training samples, {'-'.join(map(str, job['layer_sizes']))}, batch "
            f"{job['batch_size']}, {job['epochs']} epochs, {job['seeds']} splits: "
            f"{_digits(arithmetic(job) / 1e9)} GFLOP.",
            _table(
                ("peer", "seconds", "ours is ... times as fast", "GFLOP/s", "compile, s",
                 "best variant", "a round", "disagreement"),
                rows,
            ),
        ]  # fmt: skip
    parts += [
        "Seconds are those of all splits and epochs, from the speed on a round; compiling comes "
        "on top, once."
    ]
    if skipped:
        parts.append("\n".join(skipped))
    return parts + _variants(jobs, MINIBATCH_PEERS)


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
    folder = command.folder()
    try:
        earlier = read_runs(folder / "report.json")  # before anything is measured
        records = measure(settings, sections)
    except (RuntimeError, ValueError) as error:
        sys.exit(f"error: {error}")
    minutes = (time.monotonic() - started) / 60

    folder.mkdir(parents=True, exist_ok=True)
    line_typed = shlex.join(["python", "-m", "bench.report", *sys.argv[1:]])
    today, on = time.strftime("%Y-%m-%d", time.gmtime()), machine(settings.device)
    runs = with_new(Run(line_typed, today, minutes, on, settings, records), earlier)
    write_runs(folder / "report.json", runs)
    records = [record for run in runs for record in run.records]
    found = processes(records)
    drawn = write_pictures(
        folder,
        standard_job(records),
        minibatches(records),
        scaling(records),
        found,
        wall_lines(found),
    )
    text = render(runs, [path.stem for path in drawn])
    (folder / "REPORT.md").write_text(text, encoding="utf-8")
    print(f"written to {folder / 'REPORT.md'}")


if __name__ == "__main__":
    main()
