"""Anybody's text as LaTeX and as Markdown: it shows what it says, and does nothing else."""

import re
import unicodedata

from functional_clf.support.text import printable

UNICODE_MACRO = r"\providecommand{\unicodeor}[2]{\ifx\Umathchar\undefined#2\else#1\fi}"
"""What `latex` needs where a text has letters for which LaTeX has no command."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # By number, as some languages of babel give these a meaning, and two of them make a quote.
    '"': r"{\char34}",
    "'": r"{\char39}",
    "`": r"{\char96}",
    # After the end of a row these are arguments of it.
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
    **{letter: "\\" + letter for letter in "{}$&#_%"},
}
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip
"""Combining marks that have a command in every encoding of LaTeX's."""

_LIGATURES = re.compile(r"(?<=-)-|(?<=,),")
_MARKDOWN = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    **{letter: "\\" + letter for letter in "\\`*_{}[]|~$^#@"},
}


def latex(text: str) -> str:
    r"""A text as LaTeX sets it, in any of its engines.

    Latin letters with accents become commands. Of other letters beyond ASCII XeLaTeX and LuaLaTeX
    take the letters themselves, pdfLaTeX how Python would escape them: `UNICODE_MACRO`, which has
    to stand before, chooses.

    Example:
        >>> print(latex("a_1 & [réseau] 50 %"))
        a\_1 \& {[}r\'{e}seau{]} 50 \%
        >>> print(latex("сеть 1"))
        \unicodeor{сеть}{\textbackslash{}u0441\textbackslash{}u0435\textbackslash{}u0442\textbackslash{}u044c} 1
    """  # noqa: E501
    parts = re.split(r"([^\x00-\x7f]+)", printable(text))
    shown = "".join(
        _beyond_ascii(part) if at % 2 else _ascii(part) for at, part in enumerate(parts)
    )
    # Of two spaces LaTeX would show one, and none at an end.
    shown = re.sub(r"(?:^| ) +| $", lambda found: r"\ " * len(found.group()), shown)
    return shown


def markdown(text: str) -> str:
    r"""A text as Markdown shows it, in a paragraph or in a cell of a table.

    Example:
        >>> print(markdown("a_1 | <b>"))
        a\_1 \| &lt;b&gt;
    """
    return "".join(_MARKDOWN.get(letter, letter) for letter in printable(text))


def _ascii(text: str) -> str:
    shown = "".join(_LATEX.get(letter, letter) for letter in text)
    return _LIGATURES.sub(lambda found: "{}" + found.group(), shown)


def _beyond_ascii(text: str) -> str:
    runs = [[_accented(letter), letter] for letter in text]
    shown, rest = "", ""
    for command, letter in runs:
        if command and rest:
            shown, rest = shown + _by_engine(rest), ""
        if command:
            shown += command
        else:
            rest += letter
    return shown + (_by_engine(rest) if rest else "")


def _accented(letter: str) -> str:
    r"""A letter of a to z with an accent, as in \'{e}; empty for any other."""
    base, *marks = unicodedata.normalize("NFD", letter)
    if len(marks) == 1 and base.isascii() and base.isalpha() and marks[0] in _ACCENTS:
        return f"\\{_ACCENTS[marks[0]]}{{{base}}}"
    return ""


def _by_engine(letters: str) -> str:
    return f"\\unicodeor{{{letters}}}{{{_ascii(printable(letters, encoding='ascii'))}}}"
