"""How far a study is, as whoever shows it is told."""

import time
from datetime import timedelta
from typing import NamedTuple

MOST_SECONDS = 86400 * 999_999_999
"""As many as a timedelta holds; so long, and longer, a huge number of epochs would take."""


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


class Pace:
    """Seeds per second since training began, and the time left at that speed."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None

    def words(self, progress: Progress, now: float | None = None) -> str:
        """As `12.5 seeds/s, 0:01:20 left`; empty until there is something to say.

        Args:
            progress: how far the training is.
            now: seconds on any clock; None reads it.

        Example:
            >>> pace = Pace()
            >>> for now, share in ((100.0, 0.0), (110.0, 0.5)):
            ...     words = pace.words(Progress("training", 0, 1000, share), now)
            >>> words
            '50.0 seeds/s, 0:00:10 left'
        """
        now = time.monotonic() if now is None else now
        if progress.stage != "training" or self._start is None:
            self._start = (now, progress.share)
        start, share_then = self._start
        share = progress.share - share_then
        if now - start < 1 or share <= 0:
            return ""
        left = min(round((1 - progress.share) / share * (now - start)), MOST_SECONDS)
        speed = share * progress.seeds_total / (now - start)
        return f"{speed:.1f} seeds/s, {timedelta(seconds=max(left, 0))} left"
