"""A study: a frozen description of what to train, and its way through chunks to results."""

import functools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import polars as pl
import torch

from functional_clf.arguments import real_number, short, whole_number
from functional_clf.cache import CacheError, cache_folder
from functional_clf.chunks import Chunks, ChunkTrainer
from functional_clf.compilation import Job, choose, compile_all, compile_one, why_none_fused
from functional_clf.curves import Band, bands
from functional_clf.data import (
    MAX_SEED,
    Dataset,
    Replicate,
    Vary,
    circles,
    crossed_replicate,
    draw_chunk,
    floating_dtype,
    replicate,
    split_sizes,
)
from functional_clf.ensemble import ENGINES, Engine, EngineName
from functional_clf.errors import one_line
from functional_clf.forks import use_threads
from functional_clf.fusion import BuildError
from functional_clf.machine import (
    chunk_width,
    environment,
    keep_freed_memory,
    one_torch_thread,
    resolve_device,
    why_not_compile,
)
from functional_clf.preflight import check_drawn, check_recipe, check_splits
from functional_clf.ranks import Helper, Leader, Rank, RankError, Work
from functional_clf.recipes import Recipe, model_0, model_1, recipe_again
from functional_clf.stats import (
    Comparison,
    CrossedComparison,
    Interval,
    SelfCalibration,
    compare_all,
    compare_crossed,
    crossed_interval,
    score_t_interval,
    self_calibration,
)
from functional_clf.stats.comparison import checked_references
from functional_clf.store import ChunkRecord, Looks, Store, differences
from functional_clf.text import printable, shortened
from functional_clf.train import curve_epochs
from functional_clf.user_code import UnreadableError
from functional_clf.workers import Workers

logger = logging.getLogger("functional_clf")

EngineChoice = Literal["auto", "eager", "compile", "fused"]
Design = Literal["paired", "crossed"]
AnyComparison = Comparison | CrossedComparison

COMPARED_DRAWS = 12
"""So many draws are compared before a study, to see whether they are new data."""

HALF_WAY = 0.75
"""The test accuracy half way from guessing between two balanced classes to perfect."""

LEAST_ALPHA = 1e-9
"""Of still less no interval has finite ends."""

PICTURED_SEEDS = 256
"""Weights are kept of this many seeds even where nobody asks: the pictures are drawn from them."""
REPR_LINES, REPR_CELLS = 5, 120
"""How large a `Results` may appear in a notebook; a line more says what was left out."""


class Progress(NamedTuple):
    """How far the training is.

    stage: "compiling" or "training".
    seeds_done: of finished chunks; seeds that an earlier run left are not counted.
    seeds_total: seeds this run has to train.
    share: of the training steps, in [0, 1].
    """

    stage: str
    seeds_done: int
    seeds_total: int
    share: float


class EngineReport(NamedTuple):
    """The engine that was asked for, the one that ran, and why."""

    requested: EngineChoice
    ran: EngineName
    reason: str


@dataclass(frozen=True)
class Study:
    """What to compare, over which seeds, and how to run it.

    Args:
        dataset: what every replicate draws its samples from.
        recipes: the models to compare, with their optimizers and epochs; names differ.
        seeds: the replicates to train: a count, or a range of seeds.
        vary: what a replicate redraws. data: data, split and initial weights; split: split and
            initial weights of one data set; init: the initial weights only; auto: data, or split
            for a data set that is fixed.
        design: paired: each seed is a replicate of its own; crossed: every data seed (data and
            split) with every init seed, `data_seeds x init_seeds` cells instead of `seeds`.
        data_seeds: rows of a crossed grid, at least 2.
        init_seeds: columns of a crossed grid, at least 2.
        test_size: share of the samples held out for testing, in (0, 1).
        engine: eager; compile (torch's compiler); fused (one C program a model, on the CPU); or
            auto: fused where it can work, else the one of the others that ends first.
        device: cpu, cuda, cuda:N, or auto: cuda where there is one.
        tf32: allow TF32 matmuls on CUDA: faster, with about three digits.
        chunk: replicates trained together; part of a result's identity. Default: 16 on the CPU,
            1024 on CUDA where its memory allows.
        threads: chunks trained at the same time on the CPU, each on one core; no result depends on
            it. Default: what torch would use (OMP_NUM_THREADS).
        margin: accuracy difference that matters in practice, as a share: 0.01 is one percentage
            point. Set it before you look.
        alpha: one minus the confidence of the intervals, at least 1e-9 and below 1.
        failure_below: test accuracy, as a share, below which a seed counts as failed. Default:
            0.75 for data whose best accuracy is known, else the share of the larger class.
        save_params: keep the weights of every seed, and export them; no result depends on it.

    Raises:
        TypeError: when an argument is of the wrong type; the message names it.
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
    vary: Vary | Literal["auto"] = "auto"
    design: Design = "paired"
    data_seeds: int = 16
    init_seeds: int = 16
    test_size: float = 0.2
    engine: EngineChoice = "auto"
    device: str = "auto"
    tf32: bool = False
    chunk: int | None = None
    threads: int | None = None
    margin: float = 0.01
    alpha: float = 0.05
    failure_below: float | None = None
    save_params: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.dataset, Dataset):
            raise TypeError(
                f"dataset is {short(self.dataset)}; it must be a Dataset, as circles() makes one"
            )
        self._set("recipes", _as_recipes(self.recipes))
        self._set("seeds", as_seeds(self.seeds))
        names = [recipe.name for recipe in self.recipes]
        if len(set(names)) < len(names) or any("/" in name for name in names):
            raise ValueError(f"recipes are named {names}; names must differ and hold no '/'")
        _check_choice("vary", self.vary, ("auto", *get_args(Vary)))
        _check_choice("design", self.design, get_args(Design))
        _check_choice("engine", self.engine, get_args(EngineChoice))
        if not isinstance(self.device, str):
            raise TypeError(f"device is {short(self.device)}; it must be a text, as in 'cpu'")
        for name in ("tf32", "save_params"):
            if not isinstance(value := getattr(self, name), bool | np.bool_):
                raise TypeError(f"{name} is {short(value)}; it must be True or False")
            self._set(name, bool(value))
        for name in ("data_seeds", "init_seeds"):
            self._set(name, whole_number(name, getattr(self, name), 1))
        for name in ("chunk", "threads"):
            if (value := getattr(self, name)) is not None:
                self._set(name, whole_number(name, value, 1))
        for name in ("test_size", "margin", "alpha"):
            self._set(name, real_number(name, getattr(self, name)))
        split_sizes(self.dataset.n_samples, self.test_size)
        if not LEAST_ALPHA <= self.alpha < 1:
            raise ValueError(
                f"alpha is {self.alpha}; it must be at least {LEAST_ALPHA} and below 1, as in 0.05"
            )
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin is {self.margin}; it must be at least 0 and below 1")
        if self.failure_below is not None:
            self._set("failure_below", real_number("failure_below", self.failure_below))
            if not 0 <= self.failure_below <= 1:
                raise ValueError(
                    f"failure_below is {self.failure_below}; it must be between 0 and 1"
                )
        self._check_design()
        self._check_scope()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_scope(self) -> None:
        """Claim nothing of new data where there are none."""
        fixed = self.dataset.is_fixed
        if self.vary == "auto":
            self._set("vary", "split" if fixed and self.design == "paired" else "data")
        if fixed and self.vary == "data":
            asked = "design is 'crossed'" if self.design == "crossed" else "vary is 'data'"
            raise ValueError(
                f"{asked}, but {self.dataset} is one fixed data set, of which nothing new is "
                "drawn; it must be split or init, as in vary='split'"
            )

    def _check_design(self) -> None:
        if self.design == "paired":
            return
        for name in ("data_seeds", "init_seeds"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} is {getattr(self, name)}; a crossed grid needs 2 or more")
        if self.vary not in ("auto", "data"):
            raise ValueError(f"vary is {self.vary!r}; a crossed design varies data and weights")
        if len(self.recipes) != 2:
            raise ValueError(f"recipes holds {len(self.recipes)}; a crossed design compares two")
        cells = range(self.data_seeds * self.init_seeds)
        if self.seeds not in (range(64), cells):
            raise ValueError(
                f"seeds is {self.seeds.start}:{self.seeds.stop}; a crossed design takes data_seeds "
                "and init_seeds instead"
            )
        self._set("seeds", as_seeds(cells))

    def replicate(self, seed: int) -> Replicate:
        """The named seeds that one seed of this study fixes."""
        if self.design == "crossed":
            return crossed_replicate(seed, self.init_seeds)
        return replicate(seed, self.varies)

    @property
    def varies(self) -> Vary:
        """`vary`, which is "auto" no more."""
        return cast(Vary, self.vary)

    @functools.cached_property
    def failure_threshold(self) -> float:
        """`failure_below`, or where it is not given what fits the data, as a share."""
        if self.failure_below is not None:
            return self.failure_below
        if self.dataset.references():
            return HALF_WAY
        y = self.dataset.sample(0).y
        return max(np.count_nonzero(y == label) for label in (0, 1)) / len(y)

    def identity(self) -> dict[str, Any]:
        """What its results are results of, as plain values; not how many seeds, nor how fast.

        Holds digests of what seed 0 draws and of the code of the recipes.
        """
        # Rows may be added to a crossed grid later; another number of columns renames its cells.
        crossed = {"init_seeds": self.init_seeds} if self.design == "crossed" else {}
        return {
            "design": self.design,
            **crossed,
            "dataset": self.dataset.describe(),
            "models": {recipe.name: recipe.describe() for recipe in self.recipes},
            "vary": self.vary,
            "test_size": self.test_size,
            "dtype": floating_dtype().name,
        }

    def run(
        self,
        out: str | os.PathLike[str] | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        rank: Rank | None = None,
    ) -> "Results":
        """Train the seeds that are not there yet, chunk by chunk, and gather the results.

        Args:
            out: run folder that keeps every finished chunk; None keeps them in memory.
            on_progress: called about ten times a second from this thread.
            rank: of this process, rank 0, where others `assist`; None where it works alone.

        Returns:
            The results of `seeds`, also of those trained by an earlier run in the same folder.

        Raises:
            ValueError: when the data or a recipe are not what they say, or the device or the
                engine cannot be had here; nothing is written then.
            StoreError: when the run folder cannot be used.
            RuntimeError: in a process forked from one that has run a study.
            KeyboardInterrupt: after Ctrl-C; finished chunks are kept.
        """
        use_threads()
        if not isinstance(out, str | os.PathLike | None):
            raise TypeError(f"out is {short(out)}; it must be the path of a folder, or None")
        with _torch_modes(self.tf32):
            identity = self.identity()  # before a call could fill a cache that its code reads
            with one_torch_thread():
                self._preflight(has_folder=out is not None)
            return self._run(identity, self._device(rank), out, on_progress, rank)

    def _run(
        self,
        identity: Mapping[str, Any],
        device: torch.device,
        out: str | os.PathLike[str] | None,
        on_progress: Callable[[Progress], None],
        rank: Rank | None,
    ) -> "Results":
        timings: dict[str, float] = {}
        with (
            nullcontext() if rank is None else Leader(rank) as leader,
            Store(None if out is None else Path(out)) as store,
        ):
            trainer = self._trainer(device, store.configuration)
            engine = self._train_missing(identity, trainer, store, timings, on_progress, leader)
            looks = store.look(self.seeds, self.margin, self.alpha)
            names = [recipe.name for recipe in self.recipes]
            return Results(
                study=self,
                _table=store.seeds(self.seeds),
                curves={name: bands(store.curve_blocks(name, self.seeds)) for name in names},
                params={name: store.params(name, self.seeds[:PICTURED_SEEDS]) for name in names},
                engine=engine,
                device=str(device),
                chunk=trainer.width,
                environment=environment(device),
                timings=timings,
                looks=looks,
            )

    def _preflight(self, has_folder: bool) -> None:
        """See that data and recipes are what they say, before anything is trained or written."""
        if has_folder and self.dataset.describe().get("code", "") is None:
            raise ValueError(
                f"data set {self.dataset.name!r}: what its draw reads cannot be told, so that a "
                "run folder could not tell it from another one; run it without a folder, or let "
                "it read plain values"
            )
        for recipe in self.recipes if has_folder else ():
            try:
                recipe.reading()
            except UnreadableError as error:
                raise ValueError(
                    f"recipe {recipe.name!r} reads {error}, so that a run folder could not tell it "
                    "from another one; run it without a folder, or let it read plain values"
                ) from error
        count = 2 if self.dataset.is_own else COMPARED_DRAWS
        rows = range(self.data_seeds) if self.design == "crossed" else self.seeds
        data_seeds = {replicate(row, self.varies).data_seed: None for row in rows[:count]}
        warnings = check_drawn(self.dataset, list(data_seeds))
        if self.varies != "data":
            split_seeds = {seed: self.replicate(seed).split_seed for seed in self.seeds}
            check_splits(self.dataset, self.test_size, split_seeds)
        checked_references(self.dataset.references())
        one = self.replicate(self.seeds.start)
        data = draw_chunk(self.dataset, [one, one], self.test_size, torch.device("cpu"))
        init_seeds = [one.init_seed, one.init_seed + 3]
        must_vary = self.varies == "init" or self.design == "crossed"
        for recipe in self.recipes:
            warnings += check_recipe(recipe, data, init_seeds, must_vary)
        for warning in warnings:
            logger.warning("%s", warning)

    def assist(self, rank: Rank) -> int:
        """Train chunks of this study for rank 0, until it ends the job; returns its exit code.

        Args:
            rank: of this process, not 0.

        Raises:
            ValueError: when the device or the engine cannot be had here.
            RankError: when rank 0 runs another study, or does not answer.
            RuntimeError: in a process forked from one that has run a study.
        """
        use_threads()
        with _torch_modes(self.tf32):
            identity = self.identity()
            return self._assist(identity, self._device(rank), rank)

    def _assist(self, identity: Mapping[str, Any], device: torch.device, rank: Rank) -> int:
        with (
            Workers(self._threads(device, rank)) as workers,
            Helper(rank, workers) as helper,
        ):
            job = helper.join()
            if job is None:
                return 0
            trainer = self._trainer(device, job["configuration"])
            own = self._configuration(identity, trainer, job["configuration"]["engine"])
            if different := differences(job["configuration"], own):
                raise RankError(f"rank {rank.index} runs another study than rank 0: {different}")
            data = trainer.draw(self.seeds[:1])
            try:
                if own["engine"] == "compile":
                    # One after another: where ranks share a cache, rank 0 has filled it.
                    workers.call(lambda: [compile_one(recipe, data) for recipe in self.recipes])
                else:
                    workers.call(lambda: compile_all(own["engine"], self.recipes, data))
            except Exception as error:
                reason = f"compiling failed ({one_line(error)})"
                raise RankError(f"rank {rank.index}: {reason}") from error
            return helper.serve(self._work(trainer, ENGINES[own["engine"]]))

    def retrain(self, seeds: Sequence[int]) -> tuple[ChunkRecord, Mapping[str, Any]]:
        """Train some seeds of this study, at most a chunk, and return their record as it is.

        With `engine="auto"` fused programs run where they can, else eager: one chunk is not worth
        more compiling.

        Args:
            seeds: which ones.

        Returns:
            The record, weights and all, and the environment it was made in.

        Raises:
            ValueError: when the device or the engine cannot be had here.
            RuntimeError: in a process forked from one that has run a study.
        """
        use_threads()
        with _torch_modes(self.tf32), Workers(threads=1) as workers:
            self._preflight(has_folder=False)
            trainer = self._trainer(self._device(None))
            name = self.engine
            if name == "auto":
                lack = why_none_fused(self.recipes, trainer.draw(seeds[:1]))
                name = "eager" if lack else "fused"
            record = workers.call(lambda: trainer.train(ENGINES[name], seeds, keep_params=True))
        return record, environment(trainer.device)

    def _device(self, rank: Rank | None) -> torch.device:
        with suppress(CacheError):  # before torch, even to run eager, asks for its own
            cache_folder()
        device = resolve_device(self.device if rank is None else rank.device(self.device))
        if self.engine == "compile" and (lack := why_not_compile(device)):
            raise ValueError(f"engine is 'compile', but {lack}; use --engine eager")
        if self.engine == "fused":
            one = [self.replicate(self.seeds[0])]
            data = draw_chunk(self.dataset, one, self.test_size, device)
            if lack := why_none_fused(self.recipes, data):
                raise ValueError(f"engine is 'fused', but {lack}; use another --engine")
            try:  # while nothing is written yet
                compile_all("fused", self.recipes, data)
            except (BuildError, OSError) as error:
                raise ValueError(
                    f"engine is 'fused', but compiling failed ({one_line(error)})"
                ) from error
        return device

    def _trainer(
        self, device: torch.device, recorded: Mapping[str, Any] | None = None
    ) -> ChunkTrainer:
        """Of the width that a study began with, where nobody asks for another."""
        keep_freed_memory()
        begun_with = (recorded or {}).get("chunk")
        width = self.chunk or (begun_with if isinstance(begun_with, int) else None)
        return ChunkTrainer(
            self.dataset,
            self.recipes,
            self.replicate,
            self.test_size,
            width or chunk_width(device, self._bytes_per_replicate()),
            device,
        )

    def _threads(self, device: torch.device, rank: Rank | None) -> int:
        if device.type != "cpu":
            return 1
        return self.threads or (torch.get_num_threads() if rank is None else rank.threads())

    def _work(self, trainer: ChunkTrainer, engine: Engine) -> Work:
        pictured = self.seeds[:PICTURED_SEEDS]

        def train(seeds: Sequence[int], after_steps: Callable[[int], None]) -> ChunkRecord:
            keep_params = self.save_params or any(seed in pictured for seed in seeds)
            return trainer.train(engine, seeds, keep_params, after_steps)

        return train

    def _bytes_per_replicate(self) -> int:
        """What one replicate's training step needs, roughly: its activations, a few times over."""
        widths = []
        for recipe in self.recipes:
            try:
                widths.append(sum(recipe_again(recipe.describe()).settings["layer_sizes"]))
            except ValueError:  # its settings do not say
                widths.append(128)
        return 8 * 4 * self.dataset.n_samples * max(widths)

    def _train_missing(
        self,
        identity: Mapping[str, Any],
        trainer: ChunkTrainer,
        store: Store,
        timings: dict[str, float],
        on_progress: Callable[[Progress], None],
        leader: Leader | None,
    ) -> EngineReport:
        """Train the seeds that the store lacks, a transaction a chunk."""
        if store.configuration is not None:  # before anything is compiled
            begun_with = store.configuration.get("engine")
            wanted = begun_with if self.engine == "auto" else self.engine
            known: list[EngineName] = [name for name in ENGINES if name == wanted]
            asked = self._configuration(identity, trainer, known[0] if known else "eager")
            store.refuse_other(asked)
        missing = store.missing_seeds(self.seeds)
        bare = store.chunks_without_params(self.seeds) if self.save_params else []
        again = {seeds[0] for seeds in bare}
        chunks = Chunks(missing, trainer.width, bare)
        steps = len(chunks) * sum(recipe.epochs for recipe in self.recipes)
        threads = self._threads(trainer.device, leader and leader.rank)

        with Workers(max(1, min(threads, len(chunks)))) as workers:
            team = workers if leader is None else leader.team(workers)
            seeds_done = 0

            def keep(record: ChunkRecord) -> int:
                if record.rows[0][1] in again:
                    store.add_params(record)
                    return 0
                store.write_chunk(record)
                return len(record.rows) // len(self.recipes)

            def tick(stage: str) -> None:
                share = team.steps_done / max(steps, 1)
                on_progress(Progress(stage, seeds_done, len(missing), share))

            job = None
            if chunks:
                with timed(timings, "data"):  # of a chunk's shape; it is drawn while training
                    data = trainer.draw(chunks[0][:1])
                ranks = 1 if leader is None else leader.rank.size
                job = Job(self.recipes, data, -(-len(chunks) // ranks), workers.threads)
            with timed(timings, "compile"):
                report = self._prepare_engine(workers, store, job, tick)
            configuration = self._configuration(identity, trainer, report.ran)
            store.adopt(configuration, environment(trainer.device))
            if leader is not None:
                leader.start({"configuration": configuration})

            with timed(timings, "train"):
                work = self._work(trainer, ENGINES[report.ran])
                for record in team.map(work, chunks, lambda: tick("training")):
                    seeds_done += keep(record)
            if leader is not None:
                leader.end(0)
        return report

    def _prepare_engine(
        self, workers: Workers, store: Store, job: Job | None, tick: Callable[[str], None]
    ) -> EngineReport:
        """Choose the engine and compile its graphs; "auto" takes eager where that fails.

        A study that has begun goes on with the engine it has.
        """
        report = self._choose_engine(workers, store, job)
        if job is None:
            return report
        if report.requested == "auto":
            logger.info("engine: %s, because %s", report.ran, report.reason)
        if report.ran != "eager":
            try:
                workers.call(
                    lambda: compile_all(report.ran, job.recipes, job.data),
                    lambda: tick("compiling"),
                )
            except Exception as error:  # compilers fail in many ways; eager shows what is ours
                reason = f"compiling failed ({one_line(error)})"
                if self.engine != "auto" or store.configuration is not None:
                    raise ValueError(f"engine is {report.ran!r}, but {reason}") from error
                logger.warning("engine: eager, because %s", reason)
                return EngineReport(self.engine, "eager", reason)
        return report

    def _choose_engine(self, workers: Workers, store: Store, job: Job | None) -> EngineReport:
        if self.engine != "auto":
            return EngineReport(self.engine, self.engine, "it was asked for")
        if store.configuration is not None:
            return EngineReport("auto", store.configuration["engine"], "the study began with it")
        if job is None:
            return EngineReport("auto", "eager", "there was nothing to train")
        return EngineReport("auto", *workers.call(lambda: choose(job)))

    def _configuration(
        self, identity: Mapping[str, Any], trainer: ChunkTrainer, engine: EngineName
    ) -> dict[str, Any]:
        """The study's identity, and what the bits of its results depend on besides."""
        return {
            **identity,
            "engine": engine,
            "device": trainer.device.type,
            "tf32": self.tf32,
            "chunk": trainer.width,
        }


@dataclass(frozen=True)
class Results:
    """What a study found.

    Attributes:
        study: the description that was run.
        curves: by model and name, the band of all seeds; losses are means, correct are counts.
        params: by model, the seeds whose weights are kept and their stacked params.
        engine: what ran, and why.
        environment: versions and machine.
        timings: seconds by stage, of this run.
        looks: how the results were looked at before.
    """

    study: Study
    _table: pl.DataFrame
    curves: Mapping[str, Mapping[str, Band]]
    params: Mapping[str, tuple[list[int], dict[str, np.ndarray]]]
    engine: EngineReport
    device: str
    chunk: int
    environment: Mapping[str, Any]
    timings: dict[str, float]
    looks: Looks = field(default_factory=Looks)

    @property
    def seeds(self) -> pl.DataFrame:
        """One tidy row a (model, seed); see `functional_clf.store.SEED_COLUMNS`.

        Raises:
            RuntimeError: in a process forked from one that has run a study.
        """
        use_threads()  # polars waits for them for ever where they are missing
        return self._table

    def __repr__(self) -> str:
        """A few lines: what was run, over which seeds, and the verdicts."""
        study = self.study
        seeds = f"seeds {study.seeds.start} to {study.seeds.stop - 1}"
        if study.design == "crossed":
            seeds = f"{study.data_seeds} data seeds x {study.init_seeds} init seeds"
        lines = [
            f"Results of {', '.join(recipe.name for recipe in study.recipes)}",
            f"on {study.dataset}, {seeds}, vary {study.vary}, engine {self.engine.ran}",
        ]
        with suppress(ValueError, RuntimeError):  # no verdict can be had, or not in this process
            found = self.comparisons()
            lines += [f"{one.model_a.name} - {one.model_b.name}: {one.verdict}" for one in found]
        if len(lines) > REPR_LINES:
            lines[REPR_LINES:] = [f"... and {len(lines) - REPR_LINES} more comparisons"]
        return "\n".join(shortened([printable(line)], REPR_CELLS)[0] for line in lines)

    def of(self, model: str) -> pl.DataFrame:
        """The rows of one model, in order of seed.

        Raises:
            ValueError: when there is no such model.
            RuntimeError: in a process forked from one that has run a study.
        """
        names = [recipe.name for recipe in self.study.recipes]
        if model not in names:
            raise ValueError(f"model is {model!r}; it must be one of {', '.join(names)}")
        return self.seeds.filter(pl.col("model") == model)

    def curve_epochs(self, model: str) -> tuple[int, ...]:
        """The epochs at which the learning curves of one model were read.

        Raises:
            ValueError: when there is no such model.
        """
        self.of(model)
        return next(curve_epochs(one.epochs) for one in self.study.recipes if one.name == model)

    def accuracies(self, model: str, part: Literal["train", "test"] = "test") -> np.ndarray:
        """The accuracy of each seed of one model, in [0, 1], in order of seed."""
        _check_choice("part", part, ("train", "test"))
        table = self.of(model)
        return (table[f"{part}_correct"] / table[f"n_{part}"]).to_numpy()

    def compare(self, model: str, baseline: str) -> AnyComparison:
        """Compare two models seed by seed, as the difference `model - baseline` in test accuracy.

        Args:
            model: the challenger's name.
            baseline: whom it challenges.

        Returns:
            The comparison, whose claim reaches as far as the study's `vary` or `design` allows.

        Raises:
            ValueError: when there is no such model.
        """
        return self._compare((baseline, model))[0]

    def comparisons(self) -> Sequence[AnyComparison]:
        """Every pair of models, later minus earlier; with more than two, adjusted for their number.

        Empty where the study has one model.
        """
        return self._comparisons

    @functools.cached_property
    def _comparisons(self) -> Sequence[AnyComparison]:
        names = [recipe.name for recipe in self.study.recipes]
        return self._compare(names) if len(names) > 1 else []

    @property
    def conclusion(self) -> str:
        """The conclusion of each comparison, a line each."""
        lines = [comparison.conclusion for comparison in self.comparisons()]
        return "\n".join(lines) or "One model: there is nothing to compare it with."

    def self_calibration(self, model: str, baseline: str) -> SelfCalibration:
        """How often smaller studies of these models would have ended with another verdict.

        Draws many studies of fewer seeds from this one, whose verdict stands for the answer.

        Raises:
            ValueError: when there is no such model, the design is crossed, or seeds are few.
        """
        if self.study.design == "crossed":
            raise ValueError("design is 'crossed'; self-calibration needs a paired design")
        columns = [self._column(name, "test_correct") for name in (model, baseline)]
        return self_calibration(*columns, scope=self.study.varies, **self._sizes(), **self._rules())

    def mean_interval(self, model: str, part: Literal["train", "test"] = "test") -> Interval | None:
        """The interval of one model's mean accuracy, in [0, 1]; None without any spread."""
        accuracies, alpha = self.accuracies(model, part), self.study.alpha
        if self.study.design == "crossed":
            interval = crossed_interval(self._grid(accuracies), alpha)
        else:
            sizes = self._sizes()
            overlap = sizes["n_test"] / sizes["n_train"] if self.study.varies == "split" else 0
            interval = score_t_interval(  # of its difference from 0
                accuracies,
                np.zeros_like(accuracies),
                alpha,
                variance_factor=1 / len(accuracies) + overlap,
                step=1 / sizes[f"n_{part}"],
            )
        return interval and Interval(max(interval.low, 0.0), min(interval.high, 1.0))

    def failures(self, model: str) -> tuple[int, list[int]]:
        """How many seeds of one model failed or diverged, and which of them diverged."""
        diverged = self._column(model, "diverged")
        # Rounded, as 1 - 16 / 50 is not .68 to the last bit.
        lacking = np.round(self.study.failure_threshold - self.accuracies(model), 12) > 0
        failed = diverged | lacking
        return int(failed.sum()), self._column(model, "seed")[diverged].tolist()

    def _compare(self, names: Sequence[str]) -> Sequence[AnyComparison]:
        correct = {name: self._column(name, "test_correct") for name in names}
        diverged = {name: self._column(name, "diverged") for name in names}
        about = {
            **self._rules(),
            "failure_below": self.study.failure_threshold,
            "first_margin": self.looks.first_margin,
            "first_alpha": self.looks.first_alpha,
            "earlier_looks": self.looks.earlier,
            "references": {
                name.replace("_", " "): accuracy
                for name, accuracy in self.study.dataset.references().items()
            },
            "setting": str(self.study.dataset),
        }
        if self.study.design == "paired":
            scope = self.study.varies
            return compare_all(correct, diverged=diverged, scope=scope, **self._sizes(), **about)
        baseline, model = names
        crossed = compare_crossed(
            self._grid(correct[model]),
            self._grid(correct[baseline]),
            names=(model, baseline),
            diverged_a=self._grid(diverged[model]),
            diverged_b=self._grid(diverged[baseline]),
            **about,
        )
        return [crossed]

    def _column(self, model: str, column: str) -> np.ndarray:
        return self.of(model)[column].to_numpy()

    def _grid(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(self.study.data_seeds, self.study.init_seeds)

    def _sizes(self) -> dict[str, Any]:
        n_train, n_test = split_sizes(self.study.dataset.n_samples, self.study.test_size)
        return {"n_train": n_train, "n_test": n_test}

    def _rules(self) -> dict[str, Any]:
        _, n_test = split_sizes(self.study.dataset.n_samples, self.study.test_size)
        return {"total": n_test, "margin": self.study.margin, "alpha": self.study.alpha}


def _as_recipes(recipes: Any) -> tuple[Recipe, ...]:
    wanted = "it must be a tuple of recipes, as in (model_0(), model_1())"
    if isinstance(recipes, Recipe | str) or not isinstance(recipes, Iterable):
        raise TypeError(f"recipes is {short(recipes)}; {wanted}")
    found = tuple(recipes)
    if not found:
        raise ValueError("recipes is empty; it needs at least one Recipe")
    for index, recipe in enumerate(found):
        if not isinstance(recipe, Recipe):
            raise TypeError(f"recipes[{index}] is {short(recipe)}; {wanted}")
    return found


def as_seeds(seeds: int | range) -> range:
    """A range of replicate seeds out of a count or a range.

    Raises:
        TypeError: when it is neither.
        ValueError: when it is empty, has gaps, or leaves 0 to `MAX_SEED`.

    Example:
        >>> as_seeds(64)
        range(0, 64)
    """
    wanted = "it must be a count of at least 1, as in 64, or a rising range, as in 100:200"
    as_range = seeds
    if not isinstance(as_range, range):
        try:
            as_range = range(whole_number("seeds", seeds, 0))
        except TypeError:
            raise TypeError(f"seeds is {short(seeds)}; {wanted}") from None
    if not as_range or as_range.step != 1:
        raise ValueError(f"seeds is {seeds}; {wanted}")
    if as_range.start < 0 or as_range.stop - 1 > MAX_SEED:
        raise ValueError(f"seeds is {seeds}; seeds lie between 0 and {MAX_SEED}")
    return as_range


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds that a block takes to those of its stage."""
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start


@contextmanager
def _torch_modes(tf32: bool) -> Iterator[None]:
    """Have torch as a study needs it, whatever modes the caller is in."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        on_cpu = torch.get_default_device().type == "cpu"
        with (
            torch.inference_mode(False),  # tensors made in it take part in no gradient
            torch.autocast("cpu", enabled=False),
            nullcontext() if on_cpu else torch.device("cpu"),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
