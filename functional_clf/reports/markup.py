"""Anybody's text as LaTeX and as Markdown: it shows what it says, and does nothing else."""

import itertools
import re
import unicodedata

from functional_clf.support.text import printable

UNICODE_MACRO = (
    r"\providecommand{\unicodeor}[3]"
    r"{\ifx\Umathchar\undefined#3\else\iffontchar\font#1 #2\else#3\fi\fi}"
)
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
_AT_START = re.compile(r"^(\d*)([-+=.)])|^ ")
"""What begins a list, a rule, or code where a line does."""


def latex(text: str) -> str:
    r"""A text as LaTeX sets it, in any of its engines.

    Latin letters with accents become commands. Of other letters beyond ASCII XeLaTeX and LuaLaTeX
    take the letters themselves where their font has the first of a word, else, and pdfLaTeX always,
    how Python would escape them: `UNICODE_MACRO`, which has to stand before, chooses. So no letter
    is left out without a word.

    Example:
        >>> print(latex("a_1 & [réseau] 50 %"))
        a\_1 \& {[}r\'{e}seau{]} 50 \%
        >>> print(latex("сл_1"))
        \unicodeor{1089}{сл}{\textbackslash{}u0441\textbackslash{}u043b}\_1
    """
    parts = re.split(r"([^\x00-\x7f]+)", printable(text))
    shown = "".join(
        _beyond_ascii(part) if at % 2 else _ascii(part) for at, part in enumerate(parts)
    )
    # Of two spaces LaTeX would show one, and none at an end.
    shown = re.sub(r"(?:^| ) +| $", lambda found: r"\ " * len(found.group()), shown)
    return shown


def markdown(text: str) -> str:
    r"""A text as Markdown shows it: in a paragraph, at its beginning or not, or in a table's cell.

    Example:
        >>> print(markdown("a_1 | <b>"))
        a\_1 \| &lt;b&gt;
    """
    shown = "".join(_MARKDOWN.get(letter, letter) for letter in printable(text))
    return _AT_START.sub(lambda found: f"{found[1]}\\{found[2]}" if found[2] else "&#32;", shown)


def _ascii(text: str) -> str:
    shown = "".join(_LATEX.get(letter, letter) for letter in text)
    return _LIGATURES.sub(lambda found: "{}" + found.group(), shown)


def _beyond_ascii(text: str) -> str:
    commands = ((_accented(letter), letter) for letter in text)
    # Letters of one script are in a font together, and are all that is asked for at once.
    runs = itertools.groupby(commands, lambda found: "" if found[0] else _script(found[1]))
    return "".join(
        _by_engine("".join(letter for _, letter in run))
        if script
        else "".join(command for command, _ in run)
        for script, run in runs
    )


def _script(letter: str) -> str:
    """As in CYRILLIC; what Unicode gives no name is by itself."""
    return unicodedata.name(letter, letter).split()[0]


def _accented(letter: str) -> str:
    r"""A letter of a to z with an accent, as in \'{e}; empty for any other."""
    base, *marks = unicodedata.normalize("NFD", letter)
    if len(marks) == 1 and base.isascii() and base.isalpha() and marks[0] in _ACCENTS:
        return f"\\{_ACCENTS[marks[0]]}{{{base}}}"
    return ""


def _by_engine(letters: str) -> str:
    instead = _ascii(printable(letters, encoding="ascii"))
    return f"\\unicodeor{{{ord(letters[0])}}}{{{letters}}}{{{instead}}}"
