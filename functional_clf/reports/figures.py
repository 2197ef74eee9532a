"""Figures in a table: a table that is whole on any screen, and how its figures are written."""

from collections.abc import Iterator

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from functional_clf.stats import Comparison, CrossedComparison, wording
from functional_clf.stats.data_sets import MeanOverDataSets
from functional_clf.stats.metrics import Metric
from functional_clf.support.text import printable, shortened

NAME_CELLS = 8
"""A table does not cut names shorter; where it has less room, it becomes lines."""


class FigureTable:
    """A table for rich whose figures are whole on any screen: where it is narrow, names give way.

    Args:
        left: headings of what is named; the first column holds the models' names.
        right: headings of the figures.

    Example:
        >>> table = FigureTable(("model",), ("mean", "max"))
        >>> table.add_row("a_long_name_[1]", "50.79", "57.25")
        >>> Console(width=20).print(table)
        a_long_name_[1]
          mean 50.79, max
          57.25
    """

    def __init__(self, left: tuple[str, ...], right: tuple[str, ...]) -> None:
        self._left, self._right = left, right
        self._rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        """Add a row: a text a column; a first one that repeats the row above is shown once."""
        self._rows.append(cells)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        names = list(dict.fromkeys(row[0] for row in self._rows)) if self._left else []
        shown = [printable(name, options.encoding) for name in names]
        longest = max(map(cell_len, shown), default=0)
        excess = 0
        for gap in (1, 0):
            table = self._table(dict(zip(names, shown, strict=True)), gap)
            unlimited = options.update(max_width=2**15)
            excess = Measurement.get(console, unlimited, table).maximum - options.max_width
            if excess <= 0:
                yield table
                return
        ellipsis = "..." if options.ascii_only else "…"
        if longest - excess >= NAME_CELLS:
            short = shortened(shown, longest - excess, ellipsis)
            yield self._table(dict(zip(names, short, strict=True)), gap=0)
            return
        beside = max(len(", ".join(["", *row[1 : len(self._left)]])) for row in self._rows)
        short = shortened(shown, max(options.max_width - beside, NAME_CELLS), ellipsis)
        yield from self._lines(dict(zip(names, short, strict=True)), console, options.max_width)

    def _table(self, names: dict[str, str], gap: int) -> Table:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0))
        for heading in self._left:
            table.add_column(heading, no_wrap=True)
        for heading in self._right:
            table.add_column(heading, justify="right", no_wrap=True)
        above = None
        for row in self._rows:
            cells = list(row)
            if names:
                cells[0] = "" if row[0] == above else names[row[0]]
                above = row[0]
            table.add_row(*map(Text, cells))
        return table

    def _lines(self, names: dict[str, str], console: Console, width: int) -> Iterator[Text]:
        """Each row as its names and, below them, its figures with their headings."""
        n_left = len(self._left)
        for row in self._rows:
            if names:
                yield Text(", ".join([names[row[0]], *row[1:n_left]]))
            figures = zip(self._right, row[n_left:], strict=True)
            text = ", ".join(f"{heading} {figure}" for heading, figure in figures if figure)
            text = text.replace("\n", " ")
            for line in Text(text).wrap(console, max(width - 2, NAME_CELLS)):
                line.rstrip()
                yield Text.assemble("  ", line)


def difference_of(
    one: Comparison | CrossedComparison | MeanOverDataSets, metric: Metric
) -> tuple[str, str]:
    """A difference and its interval, with as many decimals as its conclusion has.

    >>> from functional_clf.stats import METRICS, compare
    >>> one = compare([0.9, 0.8, 0.9], [0.7, 0.7, 0.8])
    >>> difference_of(one, METRICS["accuracy"])
    ('+13.3', '-4.0 to +27.7')
    """
    return wording.signed_difference(one.estimate, one.interval, one.margin, metric)


def figure_of(score: float, metric: Metric) -> str:
    """A score in its metric's unit.

    >>> from functional_clf.stats import METRICS
    >>> figure_of(0.5, METRICS["accuracy"]), figure_of(0.5, METRICS["log_loss"])
    ('50.00', '0.5000')
    """
    return wording.score(score, metric)


def percent(share: float) -> str:
    """A share in percent.

    >>> percent(0.5)
    '50.00'
    """
    return wording.score(share)


def unit_of(metric: Metric) -> str:
    """What follows a metric's name where its figures are percentages.

    >>> from functional_clf.stats import METRICS
    >>> unit_of(METRICS["accuracy"])
    ', %'
    """
    return ", %" if metric.is_share else ""
