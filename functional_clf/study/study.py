"""A study: a frozen description of what to compare, and the way to its results."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from functional_clf.record.rows import ChunkResult
from functional_clf.study.execution import Execution
from functional_clf.study.notebook_bar import is_notebook, shown_in_notebook
from functional_clf.study.options import MAX_SEEDS
from functional_clf.study.plan import Plan
from functional_clf.study.progress import Progress
from functional_clf.study.results import Results
from functional_clf.support.arguments import LARGEST, whole_number
from functional_clf.workers.ranks import Rank


@dataclass(frozen=True)
class Study(Plan):
    """What to compare, over which seeds, and how to run it.

    Args:
        dataset: what every replicate draws its samples from.
        contestants: the models to compare, recipes above all; names differ.
        seeds: the replicates to train: a count, or a range of seeds.
        vary, design, ...: all other arguments are given by name; `Options` says what they mean.

    Raises:
        TypeError: when an argument is of the wrong type; the message names it.
        ValueError: when an argument is outside its range; the message names it.

    Example:
        >>> from functional_clf import circles, model_0, model_1
        >>> study = Study(circles(100), (model_0(epochs=5), model_1(epochs=5)), seeds=4)
        >>> study.run().seeds.shape  # a row a model and seed
        (8, 12)
    """

    def run(
        self,
        out: str | os.PathLike[str] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        rank: Rank | None = None,
        progress: bool = True,
    ) -> Results:
        """Train the seeds that are not there yet, chunk by chunk, and gather the results.

        Args:
            out: run folder that keeps every finished chunk; None keeps them in memory.
            on_progress: called about ten times a second from this thread.
            rank: of this process, rank 0, where others `assist`; None where it works alone.
            progress: show a bar in a notebook, where nobody gave `on_progress`; elsewhere nothing
                is shown.

        Returns:
            The results of `seeds`, also of those trained by an earlier run in the same folder.

        Raises:
            ValueError: when the data or a contestant are not what they say, or the device or the
                engine cannot be had here; nothing is written then.
            StoreError: when the run folder cannot be used.
            RuntimeError: in a process forked from one that has run a study.
            KeyboardInterrupt: after Ctrl-C, or a notebook's interrupt; in a run folder finished
                chunks are kept, and the same again goes on from them. What torch's compiler is at
                then ends in a thread of its own, which may take half a minute.
        """
        try:
            if on_progress is not None:
                return Execution(self, rank).run(out, on_progress)
            with shown_in_notebook(progress) as on_progress:
                return Execution(self, rank).run(out, on_progress)
        except KeyboardInterrupt as interrupt:
            if not is_notebook():
                raise
            # Where it waited just then says nothing to anybody, and takes a page to say it.
            raise interrupt.with_traceback(None) from None

    def run_until_decided(
        self,
        out: str | os.PathLike[str] | None = None,
        max_seeds: int = MAX_SEEDS,
        on_progress: Callable[[Progress], None] | None = None,
        rank: Rank | None = None,
        progress: bool = True,
    ) -> Results:
        """Train seeds, in their order from this study's first, until the verdict is settled.

        It is by an interval that holds at every number of seeds at once
        (`stats.time_uniform_interval`), so one may look after each. How many seeds that takes
        hangs neither on threads or chunks nor on where an earlier run was interrupted; of several
        comparisons all must be settled.

        Args:
            out: as of `run`; a folder that has seeds already goes on from them.
            max_seeds: where to stop if nothing settles it before, at least 1.
            on_progress: as of `run`.
            rank: as of `run`; the others `assist` a study of `range(max_seeds)` with
                `until_decided=True`.
            progress: as of `run`.

        Returns:
            The results of the seeds up to the stop, whose `stopping` says why.

        Raises:
            ValueError: for splits of one data set, a crossed design or a metric without an upper
                bound; and as `run`.

        Example:
            >>> from functional_clf import circles
            >>> results = Study(circles(200)).run_until_decided(max_seeds=32)
            >>> results.stopping.is_settled, results.stopping.max_seeds
            (True, 32)
        """
        first = self.seeds.start
        seeds = range(first, first + whole_number("max_seeds", max_seeds, 1, LARGEST))
        return replace(self, seeds=seeds, until_decided=True).run(out, on_progress, rank, progress)

    def assist(self, rank: Rank) -> int:
        """Train chunks of this study for rank 0, until it ends the job; returns its exit code.

        Args:
            rank: of this process, not 0.

        Raises:
            ValueError: when the device or the engine cannot be had here.
            RankError: when rank 0 runs another study, or does not answer.
            RuntimeError: in a process forked from one that has run a study.
        """
        return Execution(self, rank).assist()

    def retrain(self, seeds: Sequence[int]) -> tuple[ChunkResult, Mapping[str, Any]]:
        """Train some seeds of this study, at most a chunk, and return their result as it is.

        With `engine="auto"` fused programs run where they can, else eager: one chunk is not worth
        more compiling.

        Args:
            seeds: which ones.

        Returns:
            The result, weights and all, and the environment it was made in.

        Raises:
            ValueError: when the device or the engine cannot be had here.
            RuntimeError: in a process forked from one that has run a study.
        """
        return Execution(self).retrain(seeds)
