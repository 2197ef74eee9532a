"""What a notebook shows of a result: a heading, sentences, and small tables of figures, as HTML.

It has no colours of its own, so that it is as legible in a dark notebook as in a light one.
"""

import html
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST_LETTERS = 4000
"""Of a sentence or a paragraph; the middle of a longer one is left out."""
MOST_PARAGRAPHS = 6
"""Of conclusions; of more comparisons than that, a table has the rest."""
MOST_ROWS = 30
"""Of a table or a list; a line more says how many were left out."""
_MOST_IN_CELLS = 200
_LEFT_OUT = " [...] "
_LEFT = ' style="text-align: left"'


class Table(NamedTuple):
    """A small table; the first cell of each row names the row.

    heads: a text a column; where all are empty there is no head, and cells hold words, not figures.
    rows: of as many texts.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


class Bullets(NamedTuple):
    """A list of sentences below a word that says what they are."""

    what: str
    lines: Sequence[str]


def panel(heading: str, about: str, parts: Iterable[str | Table | Bullets] = ()) -> str:
    """The HTML of a result; whatever is in its texts is shown as text, and its size is bounded.

    Args:
        heading: whom it is of.
        about: a line below it, such as the verdict; may be empty.
        parts: paragraphs, tables and lists, in order.

    Example:
        >>> told = panel("a against <b>", "", [Table(["", "a"], [["max", "0.9"]])])
        >>> "a against &lt;b&gt;" in told, "max</th><td>0.9</td>" in told
        (True, True)
    """
    # A notebook would set what stands between two dollar signs of a name as a formula.
    start = '<div class="tex2jax_ignore mathjax_ignore">'
    below = f"<br>{_shown(about)}" if about else ""
    return (
        f"{start}<p><strong>{_shown(heading)}</strong>{below}</p>{''.join(map(_part, parts))}</div>"
    )


def _part(part: str | Table | Bullets) -> str:
    if isinstance(part, str):
        return f"<p>{_shown(part)}</p>"
    if isinstance(part, Bullets):
        return _list(part)
    return _table(part) if part.rows else ""


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_LEFT * (not i)}>{_shown(text, _MOST_IN_CELLS)}</th>'
        for i, text in enumerate(table.heads)
    )
    has_head = any(table.heads)
    head, side = (f"<thead><tr>{head}</tr></thead>", "") if has_head else ("", _LEFT)
    rows = "".join(
        f'<tr><th scope="row"{_LEFT}>{_shown(name, _MOST_IN_CELLS)}</th>'
        + "".join(f"<td{side}>{_shown(text, _MOST_IN_CELLS)}</td>" for text in cells)
        + "</tr>"
        for name, *cells in table.rows[:MOST_ROWS]
    )
    more = f"<p>{_more(table.rows)}</p>" if len(table.rows) > MOST_ROWS else ""
    return f"<table>{head}<tbody>{rows}</tbody></table>{more}"


def _list(bullets: Bullets) -> str:
    lines = [_shown(line) for line in bullets.lines[:MOST_ROWS]]
    if len(bullets.lines) > MOST_ROWS:
        lines.append(_more(bullets.lines))
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f"<p>{_shown(bullets.what)}</p><ul>{items}</ul>" if lines else ""


def _more(all_of_them: Sequence[object]) -> str:
    return f"... and {len(all_of_them) - MOST_ROWS} more"


def _shown(text: str, most: int = MOST_LETTERS) -> str:
    from functional_clf.support.text import printable  # whose rich the statistics do without

    if len(text) > most:  # what a sentence ends with, as its scope, is left
        text = f"{text[: most // 2]}{_LEFT_OUT}{text[-most // 2 :]}"
    return html.escape(printable(text))
