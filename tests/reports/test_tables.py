import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from functional_clf import Study, circles, model_0
from functional_clf.reports.tables import FigureTable, models_table

NAMES = {
    "markup": ("[old] proj", "[bold]new[/bold]:smile:"),
    "formulas": ("_base", r"$\foo$"),
    "long": ("m" * 60 + "_base", "m" * 60 + "_next"),
    "long Chinese": ("模型" * 30 + "一", "模型" * 30 + "二"),
    "controls": ("a\x1b[31mred", "b\u202eevil\n"),
    "combining and Hebrew": ("é\u0301", "אבג"),
}
FIGURES = ("45.70", "44.80 to 46.59", "34.50", "46.00", "155.00", "64 of 64")
HEADINGS = ("mean", "95 % CI", "min", "median", "max", "failed")


def shown(names, width, encoding="utf-8"):
    table = FigureTable(("model", "on"), HEADINGS)
    for name in names:
        table.add_row(name, "train", *FIGURES[:-1], "")
        table.add_row(name, "test", *FIGURES)
    return printed(table, width, encoding)


def printed(table, width, encoding="utf-8"):
    buffer = io.BytesIO()
    with io.TextIOWrapper(buffer, encoding=encoding) as file:
        Console(file=file, width=width).print(table)
        file.flush()
        return buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("width", [120, 80, 69, 40, 24])
def test_every_figure_is_whole_whatever_the_names_and_the_width(kind, width):
    text = shown(NAMES[kind], width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)
    words = " ".join(text.replace(",", " ").split())
    for figure in FIGURES[:-1]:
        assert words.count(figure) == 4
    assert words.count("64 of 64") == 2


@pytest.mark.parametrize("kind", ["markup", "formulas", "combining and Hebrew"])
def test_names_are_text_and_no_markup(kind):
    text = shown(NAMES[kind], 100)
    assert all(text.count(name) == 1 for name in NAMES[kind])


def test_long_names_are_cut_and_told_apart():
    assert re.findall(r"m+…m+_(\w+)", shown(NAMES["long"], 80)) == ["base", "next"]
    assert re.findall(r"…型模?型?(\w) ", shown(NAMES["long Chinese"], 69)) == ["一", "二"]


@pytest.mark.parametrize("width", [80, 40])
def test_what_a_screen_cannot_encode_is_escaped(width):
    text = shown(("réseau", "模型" * 30), width, "ascii")
    assert r"r\xe9seau" in text
    assert "..." in text
    assert max(map(len, text.splitlines())) <= width


def test_the_name_of_a_data_set_is_text_too():
    dataset = circles(20)
    object.__setattr__(dataset, "name", "[red]\x1b\n../x")  # as no check of names would let pass
    results = Study(dataset, [model_0(epochs=1)], seeds=2, engine="eager").run()
    assert r"on [red]\x1b\n../x(20" in printed(models_table(results), 80)


def test_a_table_without_names_becomes_lines_too():
    table = FigureTable((), ("seeds", "same verdict"))
    table.add_row("5", "100.0 %")
    assert printed(table, 12).split() == ["seeds", "5,", "same", "verdict", "100.0", "%"]
