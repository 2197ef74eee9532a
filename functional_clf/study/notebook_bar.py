"""A bar in a notebook that shows how far a study is; in any other place there is none."""

import html
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from functional_clf.study.progress import Pace, Progress, no_progress
from functional_clf.support.arguments import short

PATIENCE_SECONDS = 0.5
"""A study that has ended by then shows no bar."""
REFRESH_SECONDS = 0.2


def is_notebook() -> bool:
    """Whether this is the process of a notebook, told by what it has imported already.

    Example:
        >>> is_notebook()
        False
    """
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if get_ipython is None else get_ipython()
    # IPython on a terminal has another shell; what derives from this one, as Colab's, is a kernel.
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


@contextmanager
def shown_in_notebook(is_wanted: bool = True) -> Iterator[Callable[[Progress], None]]:
    """What to call with the progress of a study: it shows a bar in a notebook, else nothing.

    Args:
        is_wanted: False shows nothing anywhere.

    Raises:
        TypeError: when it is neither True nor False.

    Example:
        >>> with shown_in_notebook() as show:
        ...     show(Progress("training", 0, 64, 0.0))
    """
    if not isinstance(is_wanted, bool):
        raise TypeError(
            f"progress is {short(is_wanted)}; it must be True or False (a function that is called "
            "with the progress is on_progress)"
        )
    if not is_wanted or not is_notebook():
        yield no_progress
        return
    bar = Bar(importlib.import_module("IPython.display").display)
    try:
        yield bar.show
    except BaseException:
        bar.end("stopped")
        raise
    bar.end("done")


class Bar:
    """One output of a cell, updated in place; at the end a line is left of it.

    Args:
        display: IPython's, which returns a handle of what it shows.
        now: seconds on any clock.
    """

    def __init__(
        self, display: Callable[..., Any], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._display, self._now = display, now
        self._start = now()
        self._next = self._start + PATIENCE_SECONDS
        self._handle: Any = None
        self._pace = Pace()
        self._last: Progress | None = None

    def show(self, progress: Progress) -> None:
        """Show it, unless something was shown a moment ago."""
        now = self._now()
        self._last, pace = progress, self._pace.words(progress, now)
        if now < self._next:
            return
        self._next = now + REFRESH_SECONDS
        line = f"{_line(progress)}{pace and f', {pace}'}"
        # A front end without HTML takes the text.
        bundle = {"text/plain": line, "text/html": f"{_bar(progress)} {html.escape(line)}"}
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def end(self, how: str) -> None:
        """Leave a line in place of the bar, if there is one.

        Args:
            how: a word, done or stopped.
        """
        if self._handle is None or self._last is None:
            return
        seconds = self._now() - self._start
        line = f"{how} after {seconds:.0f} s"
        if how != "done":
            line = f"{_line(self._last)}, {line}"
        self._handle.update({"text/plain": line}, raw=True)


def _line(progress: Progress) -> str:
    return f"{progress.stage}: {progress.seeds_done} of {progress.seeds_total} seeds done"


def _bar(progress: Progress) -> str:
    """As the browser draws one, in its own colours; while it compiles nobody knows how long."""
    value = f' value="{progress.share:.4f}"' if progress.stage == "training" else ""
    label = html.escape(_line(progress), quote=True)
    return f'<progress max="1"{value} aria-label="{label}" style="width: 20em"></progress>'
