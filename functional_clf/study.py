"""A study: a frozen description of what to train, and its way through chunks to results."""

import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import polars as pl
import torch

from functional_clf.data import (
    MAX_SEED,
    ChunkData,
    Dataset,
    Replicate,
    Vary,
    circles,
    draw_chunk,
    replicate,
    split_sizes,
)
from functional_clf.ensemble import (
    Engine,
    EngineName,
    Trained,
    collect,
    init_chunk,
    make_engine,
    why_not_compile,
)
from functional_clf.recipes import Recipe, model_0, model_1
from functional_clf.stats import (
    Comparison,
    Interval,
    compare_all,
    corrected_t_test,
    paired_t_interval,
)
from functional_clf.store import ChunkRecord, Store
from functional_clf.train import curve_epochs

logger = logging.getLogger("functional_clf")

EngineChoice = Literal["auto", "eager", "compile"]

CPU_CHUNK = 16
CUDA_CHUNK = 1024
PICTURED_SEEDS = 256
"""Weights are kept of this many seeds even where nobody asks: the pictures are drawn from them."""


class Progress(NamedTuple):
    """How far the training is; a chunk's seeds count once all its models are trained."""

    seeds_done: int
    seeds_total: int
    steps_done: int
    steps_total: int
    stage: str


class EngineReport(NamedTuple):
    """The engine that was asked for, the one that ran, and why."""

    requested: EngineChoice
    ran: EngineName
    reason: str


class Interrupted(Exception):  # noqa: N818 - a signal to the worker threads, not an error
    """Raised inside a worker to end its chunk early."""


@dataclass(frozen=True)
class Study:
    """What to compare, over which seeds, and how to run it.

    Args:
        dataset: what every replicate draws its samples from.
        recipes: the models to compare, with their optimizers and epochs; names differ.
        seeds: the replicates to train: a count, or a range of seeds.
        vary: what a replicate redraws. data: data, split and initial weights; split: split and
            initial weights of one data set; init: the initial weights only.
        test_size: share of the samples held out for testing, in (0, 1).
        engine: eager, compile, or auto: compile where it can work.
        device: cpu, cuda, cuda:N, or auto: cuda where there is one.
        tf32: allow TF32 matmuls on CUDA: faster, with about three digits.
        chunk: replicates trained together; part of a result's identity. Default: 16 on the CPU,
            1024 on CUDA.
        threads: chunks trained at the same time on the CPU, each on one core; no result depends on
            it. Default: what torch would use (OMP_NUM_THREADS).
        margin: accuracy difference that matters in practice, as a share: 0.01 is one percentage
            point. Set it before you look.
        alpha: one minus the confidence of the intervals, in (0, 1).
        failure_below: test accuracy, as a share, below which a seed counts as failed.

    Raises:
        ValueError: when an argument is outside its range; the message names it.

    Example:
        >>> from functional_clf.recipes import model_0, model_1
        >>> study = Study(circles(100), (model_0(epochs=5), model_1(epochs=5)), seeds=4)
        >>> study.run().seeds.shape  # a row a model and seed
        (8, 12)
    """

    dataset: Dataset = field(default_factory=circles)
    recipes: tuple[Recipe, ...] = field(default_factory=lambda: (model_0(), model_1()))
    seeds: range = range(64)
    vary: Vary = "data"
    test_size: float = 0.2
    engine: EngineChoice = "auto"
    device: str = "auto"
    tf32: bool = False
    chunk: int | None = None
    threads: int | None = None
    margin: float = 0.01
    alpha: float = 0.05
    failure_below: float = 0.75

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipes", tuple(self.recipes))
        object.__setattr__(self, "seeds", as_seeds(self.seeds))
        names = [recipe.name for recipe in self.recipes]
        if not names:
            raise ValueError("recipes is empty; it needs at least one Recipe")
        if len(set(names)) < len(names) or any("/" in name for name in names):
            raise ValueError(f"recipes are named {names}; names must differ and hold no '/'")
        _check_choice("vary", self.vary, Vary)
        _check_choice("engine", self.engine, EngineChoice)
        split_sizes(self.dataset.n_samples, self.test_size)
        for name in ("chunk", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; it must be above 0 and below 1, as in 0.05")
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin is {self.margin}; it must be at least 0 and below 1")
        if not 0 <= self.failure_below <= 1:
            raise ValueError(f"failure_below is {self.failure_below}; it must be between 0 and 1")

    def replicate(self, seed: int) -> Replicate:
        """The named seeds that one seed of this study fixes."""
        return replicate(seed, self.vary)

    def identity(self) -> dict[str, Any]:
        """What its results are results of, as plain values; not how many seeds, nor how fast."""
        return {
            "dataset": self.dataset.describe(),
            "models": {recipe.name: recipe.describe() for recipe in self.recipes},
            "vary": self.vary,
            "test_size": self.test_size,
        }

    def run(
        self,
        out: str | os.PathLike[str] | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> "Results":
        """Train the seeds that are not there yet, chunk by chunk, and gather the results.

        Args:
            out: run folder that keeps every finished chunk; None keeps them in memory.
            on_progress: called about ten times a second from this thread.

        Returns:
            The results of `seeds`, also of those trained by an earlier run in the same folder.

        Raises:
            ValueError: when the device or the engine cannot be had here.
            StoreError: when the run folder cannot be used.
            KeyboardInterrupt: after Ctrl-C; finished chunks are kept.
        """
        device = resolve_device(self.device)
        if self.engine == "compile" and (lack := why_not_compile(device)):
            raise ValueError(f"engine is 'compile', but {lack}; use --engine eager")
        chunk = self.chunk or (CPU_CHUNK if device.type == "cpu" else CUDA_CHUNK)
        with Store(None if out is None else Path(out)) as store:
            trainer = _Trainer(self, device, chunk, store, on_progress)
            engine = trainer.run()
            return Results.read(self, store, engine, device, chunk, trainer.timings)


class _Trainer:
    """Trains the missing seeds of one study into one store: the state of a run while it runs."""

    def __init__(
        self,
        study: Study,
        device: torch.device,
        chunk: int,
        store: Store,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.study = study
        self.device = device
        self.chunk = chunk
        self.store = store
        self.on_progress = on_progress
        self.timings: dict[str, float] = {}
        self.stop = threading.Event()
        self.steps_done = 0
        self.seeds_done = 0
        self.missing: list[int] = []

    def run(self) -> EngineReport:
        finished = self.store.finished_seeds()
        self.missing = [seed for seed in self.study.seeds if seed not in finished]
        chunks = [
            self.missing[start : start + self.chunk]
            for start in range(0, len(self.missing), self.chunk)
        ]
        threads = self.study.threads or torch.get_num_threads()
        if self.device.type != "cpu":
            threads = 1
        restore = torch.get_num_threads(), torch.get_float32_matmul_precision()
        torch.set_num_threads(1)  # a chunk is one core's work, and its bits one thread's
        torch.set_float32_matmul_precision("high" if self.study.tf32 else "highest")
        pool = ThreadPoolExecutor(max(1, min(threads, len(chunks))), initializer=_one_core)
        try:
            engine, report = self._prepare_engine(pool, chunks)
            self.store.adopt(
                {**self.study.identity(), "engine": report.ran, "device": self.device.type,
                 "chunk": self.chunk},
                environment(self.device),
            )  # fmt: skip
            with _timed(self.timings, "train"):
                for record in self._train(pool, engine, chunks):
                    self.store.write_chunk(record)
            return report
        finally:
            self.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            torch.set_num_threads(restore[0])
            torch.set_float32_matmul_precision(restore[1])

    def _prepare_engine(
        self, pool: ThreadPoolExecutor, chunks: Sequence[Sequence[int]]
    ) -> tuple[Engine, EngineReport]:
        """The engine to use, its graphs compiled; "auto" falls back to eager where that fails."""
        report = choose_engine(self.study.engine, self.device, self.store.configuration)
        engine = make_engine(report.ran)
        if report.ran == "compile" and chunks:
            try:
                with _timed(self.timings, "compile"):
                    warm_up = pool.submit(self._compile, engine, chunks[0])
                    while not wait([warm_up], timeout=0.1).done:
                        self._tell("compiling")
                    warm_up.result()
            except Exception as error:
                reason = f"torch.compile failed ({_first_line(error)})"
                if self.study.engine == "compile" or self.store.configuration is not None:
                    raise ValueError(f"engine is 'compile', but {reason}") from error
                report = EngineReport(self.study.engine, "eager", reason)
                engine = make_engine("eager")
        if report.requested == "auto" and report.reason:
            logger.warning("engine: %s, because %s", report.ran, report.reason)
        return engine, report

    def _compile(self, engine: Engine, seeds: Sequence[int]) -> None:
        """One step of each model, which compiles its graph."""
        data, replicates = self._draw(seeds)
        for recipe in self.study.recipes:
            engine(recipe, self._init(recipe, replicates), data, 1)

    def _train(
        self, pool: ThreadPoolExecutor, engine: Engine, chunks: Sequence[Sequence[int]]
    ) -> Iterator[ChunkRecord]:
        """Train the chunks on the pool's threads; yields each as it ends, here, in this thread."""
        waiting = iter(chunks)
        running: set[Future[ChunkRecord]] = set()
        while True:
            # A few ahead of the threads, so that none waits, and few results at a time.
            while len(running) < 2 * pool._max_workers and (seeds := next(waiting, None)):
                running.add(pool.submit(self._train_chunk, engine, seeds))
            if not running:
                return
            done, running = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in done:
                record = future.result()
                yield record
                self.seeds_done += len(record.rows) // len(self.study.recipes)
            self._tell("training")

    def _train_chunk(self, engine: Engine, seeds: Sequence[int]) -> ChunkRecord:
        data, replicates = self._draw(seeds)
        trained = {
            recipe.name: collect(
                *engine(
                    recipe, self._init(recipe, replicates), data, recipe.epochs, self._after_step
                )
            )
            for recipe in self.study.recipes
        }
        position = self.study.seeds.index(seeds[0])
        return _chunk_record(
            trained, replicates[: len(seeds)], data, keep_params=position < PICTURED_SEEDS
        )

    def _draw(self, seeds: Sequence[int]) -> tuple[ChunkData, list[Replicate]]:
        padded = [*seeds, *[seeds[-1]] * (self.chunk - len(seeds))]
        replicates = [self.study.replicate(seed) for seed in padded]
        data = draw_chunk(self.study.dataset, replicates, self.study.test_size, self.device)
        return data, replicates

    def _init(self, recipe: Recipe, replicates: Sequence[Replicate]):
        return init_chunk(recipe, [one.init_seed for one in replicates], self.device)

    def _after_step(self) -> None:
        self.steps_done += 1  # only for the progress bar: a lost update does no harm
        if self.stop.is_set():
            raise Interrupted

    def _tell(self, stage: str) -> None:
        epochs = sum(recipe.epochs for recipe in self.study.recipes)
        n_chunks = -(-len(self.missing) // self.chunk)
        self.on_progress(
            Progress(self.seeds_done, len(self.missing), self.steps_done, n_chunks * epochs, stage)
        )


@dataclass(frozen=True)
class Results:
    """What a study found.

    Attributes:
        study: the description that was run.
        seeds: one tidy row a (model, seed); see `functional_clf.store.SEED_COLUMNS`.
        curves: by model and name, arrays `(record, seed)`; losses are means, correct are counts.
        params: by model, the seeds whose weights are kept and their stacked params.
        engine: what ran, and why.
        environment: versions and machine.
        timings: seconds by stage, of this run.
    """

    study: Study
    seeds: pl.DataFrame
    curves: Mapping[str, Mapping[str, np.ndarray]]
    params: Mapping[str, tuple[list[int], dict[str, np.ndarray]]]
    engine: EngineReport
    device: str
    chunk: int
    environment: Mapping[str, Any]
    timings: Mapping[str, float]

    @classmethod
    def read(
        cls,
        study: Study,
        store: Store,
        engine: EngineReport,
        device: torch.device,
        chunk: int,
        timings: Mapping[str, float],
    ) -> "Results":
        """The results of a study's seeds, out of the store."""
        names = [recipe.name for recipe in study.recipes]
        return cls(
            study=study,
            seeds=store.seeds(study.seeds),
            curves={name: store.curves(name, study.seeds) for name in names},
            params={name: store.params(name, study.seeds[:PICTURED_SEEDS]) for name in names},
            engine=engine,
            device=str(device),
            chunk=chunk,
            environment=environment(device),
            timings=timings,
        )

    def of(self, model: str) -> pl.DataFrame:
        """The rows of one model, in order of seed.

        Raises:
            ValueError: when there is no such model.
        """
        names = [recipe.name for recipe in self.study.recipes]
        if model not in names:
            raise ValueError(f"model is {model!r}; it must be one of {', '.join(names)}")
        return self.seeds.filter(pl.col("model") == model)

    def curve_epochs(self, model: str) -> tuple[int, ...]:
        """The epochs at which the learning curves of one model were read."""
        return next(curve_epochs(one.epochs) for one in self.study.recipes if one.name == model)

    def accuracies(self, model: str, part: Literal["train", "test"] = "test") -> np.ndarray:
        """The accuracy of each seed of one model, in [0, 1], in order of seed."""
        table = self.of(model)
        return (table[f"{part}_correct"] / table[f"n_{part}"]).to_numpy()

    def compare(self, model: str, baseline: str) -> Comparison:
        """Compare two models seed by seed, as the difference `model - baseline` in test accuracy.

        Args:
            model: the challenger's name.
            baseline: whom it challenges.

        Returns:
            The comparison, whose claim reaches as far as the study's `vary` allows.

        Raises:
            ValueError: when there is no such model.
        """
        both = {name: self.of(name)["test_correct"].to_numpy() for name in (baseline, model)}
        return compare_all(both, **self._comparison_settings(both))[0]

    def comparisons(self) -> list[Comparison]:
        """Every pair of models, later minus earlier; with more than two, adjusted for their number.

        Empty where the study has one model.
        """
        names = [recipe.name for recipe in self.study.recipes]
        columns = {name: self.of(name)["test_correct"].to_numpy() for name in names}
        return compare_all(columns, **self._comparison_settings(columns)) if len(names) > 1 else []

    @property
    def conclusion(self) -> str:
        """The conclusion of each comparison, a line each."""
        lines = [comparison.conclusion for comparison in self.comparisons()]
        return "\n".join(lines) or "One model: there is nothing to compare it with."

    def mean_interval(self, model: str, part: Literal["train", "test"] = "test") -> Interval | None:
        """The t interval of one model's mean accuracy; None where its seeds show no spread."""
        accuracies = self.accuracies(model, part)
        if self.study.vary == "split":
            sizes = split_sizes(self.study.dataset.n_samples, self.study.test_size)
            return corrected_t_test(accuracies, *sizes, alpha=self.study.alpha).interval
        return paired_t_interval(accuracies, self.study.alpha)

    def failures(self, model: str) -> tuple[int, list[int]]:
        """How many seeds of one model failed or diverged, and which of them diverged."""
        diverged = self.of(model)["diverged"].to_numpy()
        failed = diverged | (self.accuracies(model) < self.study.failure_below)
        return int(failed.sum()), self.of(model)["seed"].to_numpy()[diverged].tolist()

    def _comparison_settings(self, names: Iterable[str]) -> dict[str, Any]:
        study = self.study
        n_train, n_test = split_sizes(study.dataset.n_samples, study.test_size)
        return {
            "scope": study.vary,
            "total": n_test,
            "n_train": n_train,
            "n_test": n_test,
            "margin": study.margin,
            "alpha": study.alpha,
            "diverged": {name: self.of(name)["diverged"].to_numpy() for name in names},
            "failure_below": study.failure_below,
            "setting": str(study.dataset),
        }


def as_seeds(seeds: int | range) -> range:
    """A range of replicate seeds out of a count or a range.

    Raises:
        ValueError: when it is empty, has gaps, or leaves 0 to `MAX_SEED`.

    Example:
        >>> as_seeds(64)
        range(0, 64)
    """
    as_range = range(seeds) if isinstance(seeds, int) else seeds
    if not as_range or as_range.step != 1:
        raise ValueError(
            f"seeds is {seeds}; it must be a count of at least 1, as in 64, or a rising range, "
            "as in 100:200"
        )
    if as_range.start < 0 or as_range.stop - 1 > MAX_SEED:
        raise ValueError(f"seeds is {seeds}; seeds lie between 0 and {MAX_SEED}")
    return as_range


def resolve_device(name: str) -> torch.device:
    """The torch device of a name: cpu, cuda, cuda:N, or auto (cuda where there is one).

    Raises:
        ValueError: when there is no such device here.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
        raise ValueError(f"device is {name!r}; it must be auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {name!r}, but torch finds no CUDA here; use --device cpu")
    if index and int(index) >= torch.cuda.device_count():
        raise ValueError(f"device is {name!r}, but there are {torch.cuda.device_count()} here")
    return torch.device(name)


def choose_engine(
    requested: EngineChoice, device: torch.device, configuration: Mapping[str, Any] | None
) -> EngineReport:
    """The engine that "auto" means here; an existing study goes on with the one it has.

    Example:
        >>> choose_engine("eager", torch.device("cpu"), None)
        EngineReport(requested='eager', ran='eager', reason='it was asked for')
    """
    if requested != "auto":
        return EngineReport(requested, requested, "it was asked for")
    if configuration is not None:
        return EngineReport(requested, configuration["engine"], "")
    if lack := why_not_compile(device):
        return EngineReport(requested, "eager", lack)
    return EngineReport(requested, "compile", "")


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and machine, for the record.

    Example:
        >>> environment(torch.device("cpu"))["python"] == platform.python_version()
        True
    """
    is_cuda = device.type == "cuda"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "device_name": torch.cuda.get_device_name(device) if is_cuda else platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _chunk_record(
    trained: Mapping[str, Trained],
    replicates: Sequence[Replicate],
    data: ChunkData,
    keep_params: bool,
) -> ChunkRecord:
    """What is kept of a trained chunk: its first `len(replicates)` lanes; the rest is padding."""
    n = len(replicates)
    n_train, n_test = data.train.y.shape[1], data.test.y.shape[1]
    rows: list[tuple[Any, ...]] = []
    curves: dict[str, np.ndarray] = {}
    params: dict[str, np.ndarray] = {}
    for name, (model_params, model_curves, diverged) in trained.items():
        by_name = {
            "train_loss": model_curves.train.loss,
            "train_correct": model_curves.train.correct.to(torch.int32),
            "test_loss": model_curves.test.loss,
            "test_correct": model_curves.test.correct.to(torch.int32),
        }
        kept = {key: values[:, :n].contiguous().numpy() for key, values in by_name.items()}
        last = {key: values[-1].tolist() for key, values in kept.items()}
        curves |= {f"{name}/{key}": values for key, values in kept.items()}
        if keep_params:
            params |= {f"{name}/{key}": value[:n].numpy() for key, value in model_params.items()}
        rows += [
            (
                name,
                *replicates[lane],
                last["train_correct"][lane],
                n_train,
                last["test_correct"][lane],
                n_test,
                last["train_loss"][lane],
                last["test_loss"][lane],
                bool(diverged[lane]),
            )
            for lane in range(n)
        ]
    return ChunkRecord(rows, curves, params)


def _one_core() -> None:
    torch.set_num_threads(1)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _check_choice(name: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(get_args(choices))}")
