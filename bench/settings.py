"""What a run of the benchmark measures, and how much of it."""

from dataclasses import dataclass, replace
from typing import Literal, Self


@dataclass(frozen=True)
class Settings:
    """The size of every measurement; the defaults are those of the committed report.

    Args:
        seeds: replicates of the standard job.
        epochs: full-batch training steps of the standard job.
        rounds: times that each peer runs the standard job, in turn with the others.
        device: where to train: cpu or cuda.
        scaling_seeds: numbers of seeds whose time per seed is measured.
        scaling_epochs: training steps of each of those.
        scaling_rounds: times that each of those is run, in turn.
        process_seeds: seeds of the whole process, from the start of Python to the conclusion.
        process_rounds: times that each warm process is run, in turn.
        large_seeds: seeds of the one large process, whose stages are compared.
        recording_epochs: training steps of a chunk with and without recording.
        recording_rounds: times that a chunk is trained with and without recording, in turn.
        minibatch_seeds: replicates of each job in minibatches, in the order of `MINIBATCH_WORKS`.
        minibatch_epochs: epochs of each of them.
        minibatch_rounds: times that each peer runs each of them, in turn with the others.
        minibatch_variants: of each peer, try at most so many, the likeliest first; 0 for all.
    """

    seeds: int = 64
    epochs: int = 1000
    rounds: int = 5
    device: Literal["cpu", "cuda"] = "cpu"
    scaling_seeds: tuple[int, ...] = (1, 8, 64, 512, 4096)
    scaling_epochs: int = 200
    scaling_rounds: int = 3
    process_seeds: int = 64
    process_rounds: int = 3
    large_seeds: int = 4096
    recording_epochs: int = 1000
    recording_rounds: int = 41
    minibatch_seeds: tuple[int, ...] = (64, 64, 32)
    minibatch_epochs: tuple[int, ...] = (50, 30, 10)
    minibatch_rounds: int = 5
    minibatch_variants: int = 0

    def shrunk(self) -> Self:
        """The same measurements, small: to see that everything works, not to quote.

        Example:
            >>> Settings(device="cuda").shrunk().device
            'cuda'
        """
        return replace(
            self,
            seeds=32,
            epochs=60,
            rounds=2,
            scaling_seeds=(1, 8, 64, 256),
            scaling_epochs=20,
            scaling_rounds=2,
            process_seeds=32,
            process_rounds=1,
            large_seeds=128,
            recording_rounds=3,
            minibatch_seeds=(16, 16, 4),
            minibatch_epochs=(4, 2, 1),
            minibatch_rounds=1,
            minibatch_variants=1,
        )
