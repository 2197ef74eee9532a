"""Letters in pictures: which fonts have them, and what is drawn of a text for which none has."""

import matplotlib
from matplotlib.font_manager import fontManager, get_font

from functional_clf.support.text import escaped, printable

OWN_FONT = "DejaVu Sans"
"""The font that comes with matplotlib; it has Latin, Greek, Cyrillic, Hebrew and Arabic letters."""


def fonts_for(text: str) -> list[str]:
    """Font families that between them have the letters of a text, as far as any installed one has.

    Args:
        text: all that will be drawn.

    Returns:
        Their names; matplotlib looks a letter up in one after the other.

    Example:
        >>> fonts_for("réseau")
        ['DejaVu Sans']
    """
    families = [OWN_FONT]
    missing = _missing(text, families)
    for family in sorted(_regular_fonts()) if missing else ():
        if len(still := _missing(missing, [family])) < len(missing):
            families.append(family)
            missing = still
        if not missing:
            break
    return families


def drawable(text: str, families: list[str]) -> str:
    r"""A text with everything escaped that these fonts have no letter for.

    Args:
        text: any.
        families: the fonts it is drawn with.

    Example:
        >>> print(drawable("réseau 模", ["DejaVu Sans"]))
        réseau \u6a21
    """
    shown = printable(text)
    missing = _missing(shown, families)
    return "".join(escaped(letter) if letter in missing else letter for letter in shown)


def no_formula(text: str) -> str:
    r"""A text that matplotlib draws letter by letter.

    Example:
        >>> print(no_formula("$x$"))
        \$x\$
    """
    return text.replace("$", r"\$")


def _missing(text: str, families: list[str]) -> str:
    """The letters that none of these fonts has."""
    paths = _regular_fonts()
    fonts = [font for family in families if (font := _font(paths.get(family))) is not None]
    return "".join(
        letter
        for letter in dict.fromkeys(text)
        if not any(font.get_char_index(ord(letter)) for font in fonts)
    )


def _regular_fonts() -> dict[str, str]:
    """By family, the files of the fonts for text; matplotlib's own others are of symbols."""
    return {
        entry.name: entry.fname
        for entry in fontManager.ttflist
        if (entry.style, entry.weight, entry.stretch) == ("normal", 400, "normal")
        and (entry.name == OWN_FONT or not entry.fname.startswith(matplotlib.get_data_path()))
    }


def _font(path: str | None):
    try:
        return None if path is None else get_font(path)
    except (RuntimeError, OSError):  # gone, or of a kind that cannot be drawn
        return None
