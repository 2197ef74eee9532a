"""A study's way from its plan to finished chunks in the store."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from functional_clf.contestants.base import Training
from functional_clf.contestants.fitting import FAILED
from functional_clf.contestants.recipe import init_chunk
from functional_clf.data.batches import draw_chunk
from functional_clf.engines.base import Engine
from functional_clf.engines.cache import CacheError, cache_folder
from functional_clf.engines.choice import PLAIN, Job, choose, for_one_chunk
from functional_clf.engines.machine import (
    CPU_CHUNK,
    fitting_chunk_size,
    keep_freed_memory,
    one_torch_thread,
    resolve_device,
)
from functional_clf.record.environments import other_bits
from functional_clf.record.errors import StoreError
from functional_clf.record.names import FILE_NAME, check_place
from functional_clf.record.rows import ChunkResult, differences
from functional_clf.record.store import Store
from functional_clf.registry import ENGINES
from functional_clf.study.answers import answer_check
from functional_clf.study.chunks import Chunks, ChunkTrainer
from functional_clf.study.curves import bands
from functional_clf.study.estimates import check_room
from functional_clf.study.origins import origin, with_first_steps
from functional_clf.study.plan import Plan
from functional_clf.study.preflight import check_fits, check_plan
from functional_clf.study.progress import Progress, no_progress
from functional_clf.study.recorded import misfit
from functional_clf.study.results import (
    PICTURED_SEEDS,
    EngineReport,
    Results,
    with_environments,
    with_scores,
)
from functional_clf.study.until import Watch
from functional_clf.support.arguments import path_of, short
from functional_clf.support.errors import one_line
from functional_clf.support.forks import use_threads
from functional_clf.workers.helper import Helper
from functional_clf.workers.launch import RankError
from functional_clf.workers.leader import Leader
from functional_clf.workers.processes import Processes
from functional_clf.workers.ranks import Rank
from functional_clf.workers.threads import Work, Workers

logger = logging.getLogger("functional_clf")

TOLD_WARNINGS = 5
"""So many kinds of warning of each model are logged; results.json has all."""

EXPECTED_SEEDS = 512
"""About as many settle a small difference, where seeds are trained until a verdict is settled."""

UNKNOWN_WIDTH = 128
"""Taken for the width of a network whose params do not tell."""


@dataclass(frozen=True)
class Execution:
    """One run of a plan, in this process and those that help it.

    Args:
        plan: what to train.
        rank: of this process where there are several; None where it works alone.
    """

    plan: Plan
    rank: Rank | None = None

    def run(
        self,
        out: str | os.PathLike[str] | None = None,
        on_progress: Callable[[Progress], None] = no_progress,
    ) -> Results:
        """Train the seeds that are not there yet, and gather the results; see `Study.run`."""
        use_threads()
        folder = None if out is None else path_of("out", out)
        with _torch_modes(self.plan.tf32), ExitStack() as stack:
            identity = self.plan.identity()  # before a call could fill a cache that its code reads
            leader = None
            if self.rank is not None:  # first: whatever fails here, the others are told
                leader = stack.enter_context(Leader(self.rank))
            if folder is not None:
                check_place(folder)
            check_room(self.plan, n_missing=0)
            store = None
            if folder is not None and (folder / FILE_NAME).exists():
                store = stack.enter_context(Store(folder))
            watch = None
            if self.plan.until_decided and store is not None and store.configuration is not None:
                store.refuse_other({**store.configuration, **identity})
                watch = Watch(self.plan, store)
            is_complete = store is not None and self._is_complete(store, watch)
            if not is_complete:
                self._check_room(store, folder)
                with one_torch_thread():
                    check_plan(self.plan, has_folder=folder is not None)
                    self._check_room(store, folder, is_checked=True)
                    if store is None or store.configuration is None:
                        check_fits(self.plan)
            device = self._device(is_complete)
            store = store or stack.enter_context(Store(folder))
            if self.plan.until_decided:
                watch = watch or Watch(self.plan, store)
            return self._run(identity, device, store, on_progress, leader, watch)

    def _check_room(
        self, store: Store | None, folder: Path | None, is_checked: bool = False
    ) -> None:
        """See that what is still to be trained has room."""
        plan = self.plan
        n_missing = len(plan.seeds if store is None else store.missing_seeds(plan.seeds))
        if plan.until_decided:  # it may end with the first chunk
            n_missing = min(n_missing, plan.chunk_size or CPU_CHUNK)
        check_room(plan, n_missing, folder, is_checked)

    def _is_complete(self, store: Store, watch: Watch | None) -> bool:
        """Whether nothing is left to train, and there is nothing to warn of."""
        plan = self.plan
        has_warnings = not plan.is_own or bool(plan.dataset.notices)
        return not has_warnings and not len(self._missing(store, watch))

    def _missing(self, store: Store, watch: Watch | None) -> np.ndarray:
        """The seeds that are still to be trained, in order."""
        if watch is not None and watch.n_settled is not None:
            return np.empty(0, dtype=np.int64)
        return store.missing_seeds(self.plan.seeds)

    def _run(
        self,
        identity: Mapping[str, Any],
        device: torch.device,
        store: Store,
        on_progress: Callable[[Progress], None],
        leader: Leader | None,
        watch: Watch | None,
    ) -> Results:
        plan, timings = self.plan, dict[str, float]()
        trainer = self._trainer(device, store.configuration)
        engine = self._train_missing(identity, trainer, store, timings, on_progress, leader, watch)
        stopping = None
        if watch is not None:
            stopping = watch.end()
            plan = replace(plan, seeds=plan.seeds[: stopping.n_seeds])
        # Of all that there may be: a study of just those that it took would be another look.
        looks = store.look(self.plan.seeds, cast(float, plan.margin), plan.alpha, plan.metric)
        scores = {
            name: store.scores(name, plan.seeds) if plan.records_more else {} for name in plan.names
        }
        # An engine's training warns of nothing; to find that out would read every chunk again.
        silent = {one.name for one in plan.recipes}
        warnings = {
            name: {} if name in silent else store.warnings(name, plan.seeds) for name in plan.names
        }
        for name, found in warnings.items():
            _tell(name, found, len(plan.seeds))
        environments = tuple(store.environments(plan.seeds))
        rows = store.seeds(plan.seeds)
        curves = {name: bands(store.curve_blocks(name, plan.seeds)) for name in plan.names}
        params = {name: store.params(name, plan.seeds[:PICTURED_SEEDS]) for name in plan.names}
        if wrong := misfit(plan, rows, scores, curves, params):
            raise store.damaged(wrong)
        table = with_scores(rows, scores)
        results = Results(
            study=plan,
            _table=with_environments(table, environments),
            _scores=scores,
            curves=curves,
            params=params,
            engine=engine,
            device=str(device),
            chunk_size=trainer.chunk_size,
            environment=environments[0][0],
            environments=environments,
            timings=timings,
            looks=looks,
            warnings=warnings,
            stopping=stopping,
        )
        if results.mixture:
            logger.warning("%s", results.mixture)
        return results

    def assist(self) -> int:
        """Train chunks for rank 0, until it ends the job; returns its exit code."""
        use_threads()
        with _torch_modes(self.plan.tf32):
            identity = self.plan.identity()
            return self._assist(identity, self._device())

    def _assist(self, identity: Mapping[str, Any], device: torch.device) -> int:
        rank, plan = self.rank, self.plan
        if rank is None:
            raise ValueError("rank is None; who assists has one")
        with (
            Processes(self._processes()) as processes,
            Workers(self._threads(device)) as workers,
            Helper(rank, workers) as helper,
        ):
            job = helper.join()
            if job is None:
                return 0
            trainer = self._trainer(device, job)
            own = self._job(self._configuration(identity, trainer, str(job.get("engine"))))
            asked = {name: value for name, value in job.items() if name != "environment"}
            if (different := differences(asked, own)) or own["engine"] not in ENGINES:
                what = different or f"engine is {short(own['engine'])}"
                raise RankError(f"rank {rank.index} runs another study than rank 0: {what}")
            data, engine = trainer.draw(plan.seeds[:1]), ENGINES[own["engine"]]
            try:
                workers.call(lambda: engine.prepare(plan.recipes, data, alone=False))
            except Exception as error:
                reason = f"compiling failed ({one_line(error)})"
                raise RankError(f"rank {rank.index}: {reason}") from error
            here = origin(plan, engine, trainer.device)
            here = workers.call(lambda: self._with_first_steps(here, engine, trainer))
            if different := other_bits(job["environment"], here):
                raise RankError(
                    f"rank {rank.index} runs elsewhere than rank 0, where seeds end in other bits: "
                    f"{different}"
                )
            return helper.serve(self._work(trainer, engine, processes))

    def retrain(self, seeds: Sequence[int]) -> tuple[ChunkResult, Mapping[str, Any]]:
        """Train some seeds again, at most a chunk; see `Study.retrain`."""
        use_threads()
        with _torch_modes(self.plan.tf32), Workers(threads=1) as workers:
            check_room(self.plan, n_missing=len(seeds))
            check_plan(self.plan, has_folder=False)
            trainer = self._trainer(self._device())
            engine = self._asked() or for_one_chunk(self.plan.recipes, trainer.draw(seeds[:1]))
            result = workers.call(
                lambda: trainer.train(Training(engine), seeds, keep_params=True),
            )
            here = origin(self.plan, engine, trainer.device)
            here = workers.call(lambda: self._with_first_steps(here, engine, trainer))
        return result, here

    def _asked(self) -> Engine | None:
        """The engine that was asked for by name."""
        return None if self.plan.engine == "auto" else ENGINES[self.plan.engine]

    def _device(self, is_complete: bool = False) -> torch.device:
        """Where to train; sees that the engine that was asked for can work there."""
        plan = self.plan
        with suppress(CacheError):  # before torch, even to run eager, asks for its own
            cache_folder()
        device = resolve_device(plan.device if self.rank is None else self.rank.device(plan.device))
        engine = self._asked()
        if engine is None or is_complete:
            return device
        one = [plan.replicate(plan.seeds[0])]
        data = draw_chunk(plan.dataset, one, plan.test_size, device, plan.task)
        if lack := engine.why_not(plan.recipes, data):
            raise ValueError(f"engine is {plan.engine!r}, but {lack}; use another --engine")
        if engine.is_quick:
            try:  # while nothing is written yet
                engine.prepare(plan.recipes, data)
            except Exception as error:  # a compiler may fail in many ways
                raise ValueError(
                    f"engine is {plan.engine!r}, but compiling failed ({one_line(error)})"
                ) from error
        return device

    def _trainer(
        self, device: torch.device, recorded: Mapping[str, Any] | None = None
    ) -> ChunkTrainer:
        """Of the chunk size that a study began with, where nobody asks for another."""
        keep_freed_memory()
        plan, begun_with = self.plan, (recorded or {}).get("chunk_size")
        chunk_size = plan.chunk_size or (begun_with if isinstance(begun_with, int) else None)
        return ChunkTrainer(
            plan.dataset,
            plan.contestants,
            plan.replicate,
            plan.test_size,
            chunk_size or fitting_chunk_size(device, self._bytes_per_replicate(device)),
            device,
            plan.task,
            plan.has_metrics,
            plan.metric,
        )

    def _threads(self, device: torch.device) -> int:
        if device.type != "cpu":
            return 1
        asked = self.plan.threads
        return asked or (torch.get_num_threads() if self.rank is None else self.rank.threads())

    def _processes(self) -> int:
        """How many may work beside the threads: as many as there would be threads on the CPU."""
        return self._threads(torch.device("cpu"))

    def _work(
        self, trainer: ChunkTrainer, engine: Engine, processes: Processes
    ) -> Work[ChunkResult]:
        def train(seeds: Sequence[int], after_steps: Callable[[int], None]) -> ChunkResult:
            if len(seeds) > trainer.chunk_size:
                raise RankError(f"{len(seeds)} seeds are no chunk of {trainer.chunk_size}")
            training = Training(engine, after_steps, processes=processes)
            return trainer.train(training, seeds, self._keeps_params(seeds))

        return train

    def _keeps_params(self, seeds: Sequence[int]) -> bool:
        """Whether the weights of a chunk are kept: of all, or of those that the pictures show."""
        pictured = self.plan.seeds[:PICTURED_SEEDS]
        return self.plan.save_params or any(seed in pictured for seed in seeds)

    def _bytes_per_replicate(self, device: torch.device) -> int:
        """What one replicate's training step needs, roughly: its activations, a few times over."""
        if device.type == "cpu":  # where nobody asks
            return 0
        n_features = self.plan.dataset.n_features
        widths = []
        for recipe in self.plan.recipes:
            params = init_chunk(recipe, [0], torch.device("cpu")).params
            outputs = [param.shape[1] for param in params.values() if param.ndim > 2]
            widths.append(n_features + sum(outputs) if outputs else UNKNOWN_WIDTH)
        return 8 * 4 * self.plan.dataset.n_samples * max(widths, default=UNKNOWN_WIDTH)

    def _train_missing(
        self,
        identity: Mapping[str, Any],
        trainer: ChunkTrainer,
        store: Store,
        timings: dict[str, float],
        on_progress: Callable[[Progress], None],
        leader: Leader | None,
        watch: Watch | None,
    ) -> EngineReport:
        """Train the seeds that the store lacks, a transaction a chunk."""
        plan, known = self.plan, PLAIN.name
        if store.configuration is not None:  # before anything is compiled
            begun_with = store.configuration.get("engine")
            wanted = begun_with if plan.engine == "auto" else plan.engine
            known = str(wanted if wanted in ENGINES else PLAIN.name)
            store.refuse_other(self._configuration(identity, trainer, known))
        missing = self._missing(store, watch)
        bare = []
        if plan.save_params and self._has_weights(store):
            bare = store.chunks_without_params(plan.seeds)
        again = {seeds[0] for seeds in bare}
        chunks = Chunks(missing, trainer.chunk_size, bare)
        if chunks and store.is_read_only:
            raise StoreError(
                f"{store.folder} has not all of these seeds, and may not be written to; copy it, "
                "or give another --out"
            )
        if chunks and store.configuration is not None:  # likewise
            self._check_origin(store, origin(plan, ENGINES[known], trainer.device))
        steps = len(chunks) * sum(one.curve_epochs[-1] for one in plan.contestants)

        with (
            Processes(self._processes()) as processes,
            Workers(max(1, min(self._threads(trainer.device), len(chunks)))) as workers,
        ):
            team = workers
            if leader is not None:
                team = leader.team(workers, answer_check(plan, self._keeps_params))
            seeds_done = 0

            def keep(result: ChunkResult) -> int:
                if result.rows[0][1] in again:
                    store.add_params(result)
                    return 0
                store.write_chunk(result)
                return len(result.rows) // len(plan.contestants)

            def tick(stage: str) -> None:
                share = team.steps_done / max(steps, 1)
                on_progress(Progress(stage, seeds_done, len(missing), share))

            job = None
            if chunks:
                with timed(timings, "data"):  # of a chunk's shape; it is drawn while training
                    data = trainer.draw(chunks[0][:1])
                ranks = 1 if leader is None else leader.rank.size
                n_chunks = len(chunks)
                if watch is not None:  # most often they do not all come to be trained
                    n_chunks = min(n_chunks, -(-EXPECTED_SEEDS // trainer.chunk_size))
                job = Job(plan.recipes, data, -(-n_chunks // ranks), workers.threads)
            with timed(timings, "compile"):
                engine, report = self._prepared_engine(workers, store, job, tick)
            configuration = self._configuration(identity, trainer, report.ran)
            here = origin(plan, engine, trainer.device)
            if job is not None:
                here = workers.call(lambda: self._with_first_steps(here, engine, trainer))
                self._check_origin(store, here)
            store.adopt(configuration, here)
            if watch is not None:
                store.mark_sequential()
            if leader is not None:
                leader.start({**self._job(configuration), "environment": here})

            with timed(timings, "train"):
                work = self._work(trainer, engine, processes)
                for result in team.map(work, chunks, lambda: tick("training")):
                    seeds_done += keep(result)
                    if watch is not None:
                        watch.add(result)
                        if watch.n_settled is not None:
                            break
            if leader is not None:
                leader.end(0)
        return report

    def _check_origin(self, store: Store, here: Mapping[str, Any]) -> None:
        """See that what would be trained here can stand beside what is there, or may."""
        if not self.plan.other_environment:
            store.refuse_other_environment(here)

    def _with_first_steps(
        self, environment: dict[str, Any], engine: Engine, trainer: ChunkTrainer
    ) -> dict[str, Any]:
        """The environment with the bits of a few steps, always of seed 0 and as wide as a chunk."""
        plan = self.plan
        width = trainer.chunk_size if getattr(engine, "width_matters", True) else 1
        same = [plan.replicate(0)] * width
        data = draw_chunk(plan.dataset, same, plan.test_size, trainer.device, plan.task)
        return with_first_steps(environment, engine, plan.recipes, data)

    def _has_weights(self, store: Store) -> bool:
        """Whether there are weights of any contestant to keep, as far as is known."""
        plan = self.plan
        return bool(plan.recipes) or any(
            len(store.seeds_with_params(name, plan.seeds)) for name in plan.names
        )

    def _prepared_engine(
        self, workers: Workers, store: Store, job: Job | None, tick: Callable[[str], None]
    ) -> tuple[Engine, EngineReport]:
        """Choose the engine and have it ready; "auto" takes the plain one where that fails.

        A study that has begun goes on with the engine it has.
        """
        asked = self.plan.engine
        engine, reason = self._chosen_engine(workers, store, job)
        if job is None:
            return engine, EngineReport(asked, engine.name, reason)
        if asked == "auto":
            logger.info("engine: %s, because %s", engine.name, reason)
        try:
            workers.call(lambda: engine.prepare(job.recipes, job.data), lambda: tick("compiling"))
        except Exception as error:  # compilers fail in many ways; the plain one shows what is ours
            reason = f"compiling failed ({one_line(error)})"
            if asked != "auto" or store.configuration is not None:
                raise ValueError(f"engine is {engine.name!r}, but {reason}") from error
            engine = PLAIN
            logger.warning("engine: %s, because %s", engine.name, reason)
        return engine, EngineReport(asked, engine.name, reason)

    def _chosen_engine(self, workers: Workers, store: Store, job: Job | None) -> tuple[Engine, str]:
        if (asked := self._asked()) is not None:
            return asked, "it was asked for"
        if store.configuration is not None:
            return ENGINES[store.configuration["engine"]], "the study began with it"
        if job is None:
            return PLAIN, "there was nothing to train"
        return workers.call(lambda: choose(job))

    def _configuration(
        self, identity: Mapping[str, Any], trainer: ChunkTrainer, engine: str
    ) -> dict[str, Any]:
        """The study's identity, and what the bits of its results depend on besides."""
        return {
            **identity,
            "engine": engine,
            "device": trainer.device.type,
            "tf32": self.plan.tf32,
            "chunk_size": trainer.chunk_size,
        }

    def _job(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """What all ranks of a job must have been asked for alike."""
        seeds = self.plan.seeds
        asked = {"seeds": [seeds.start, seeds.stop], "save_params": self.plan.save_params}
        return {**configuration, **asked}


def _tell(model: str, warnings: Mapping[str, int], n_seeds: int) -> None:
    """Log what fits of a model warned of or failed by.

    Raises:
        ValueError: when all of them failed.
    """
    lines = [f"{count} of {n_seeds} fits {text}" for text, count in warnings.items()]
    failed = [text for text in warnings if text.startswith(FAILED)]
    if failed and sum(warnings[text] for text in failed) == n_seeds:
        raise ValueError(f"model {model!r}: all {n_seeds} fits {failed[0]}")
    for line in lines[:TOLD_WARNINGS]:
        logger.warning("model %r: %s", model, line)
    if (more := len(lines) - TOLD_WARNINGS) > 0:
        logger.warning("model %r: and %d more kinds of warning", model, more)


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
