"""How far a study is, as whoever shows it is told."""

from typing import NamedTuple


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


def no_progress(progress: Progress) -> None:
    """Tell nobody."""
