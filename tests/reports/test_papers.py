import dataclasses
import html
import re
import shutil
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import functional_clf
from functional_clf.reports.citations import citations_of
from functional_clf.reports.markup import latex, markdown
from functional_clf.reports.papers import methods_md, paper_files, table_md, table_tex, to_latex
from functional_clf.reports.tables import results_dict
from functional_clf.support.text import printable

ENGINES = ("pdflatex", "xelatex", "lualatex")
COMMANDS = {
    "textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~", "textless": "<",
    "textgreater": ">", "textbar": "|",
}  # fmt: skip
ACCENTS = dict(zip("`'^~=u.\"rHvc", "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a"
                   "\u030b\u030c\u0327", strict=True))  # fmt: skip
TOKEN = re.compile(
    r"\\(?P<named>text[a-z]+)\{\}|\{\\char(?P<char>\d+)\}|\{(?P<kept>[*\[\]])\}|\{\}"
    r"|\\(?P<accent>[`'^~=.\"]|[urHvc](?=\{))\{(?P<base>[A-Za-z])\}"
    r"|\\unicodeor\{\d+\}\{(?P<letters>[^{}]*)\}\{(?:[^{}]|\{[^{}]*\})*\}"
    r"|\\(?P<plain>[{}$&#_% ])|(?P<other>[^\\{}$&#_%^~<>|\"'`*\[\]])"
)
"""All that `latex` may write; nothing else is taken, so that nothing else can be done."""

ANY_TEXT = st.text(max_size=40) | st.text(
    alphabet="\\{}$&#^_~%<>\"'`*|[]-,!? aé\u0436\n", max_size=40
)


def unlatex(text):
    """What a text of `latex` says; fails where it holds anything else than that writes."""
    shown, at = [], 0
    while at < len(text):
        found = TOKEN.match(text, at)
        assert found, f"{text[at:]!r} in {text!r}"
        at, part = found.end(), found.groupdict()
        if part["named"]:
            shown.append(COMMANDS[part["named"]])
        elif part["char"]:
            shown.append(chr(int(part["char"])))
        elif part["accent"]:
            shown.append(unicodedata.normalize("NFC", part["base"] + ACCENTS[part["accent"]]))
        else:
            shown.append(part["kept"] or part["letters"] or part["plain"] or part["other"] or "")
    return "".join(shown)


def body_of(tex):
    """A table without its comment and the definition of a macro."""
    lines = tex.splitlines()
    while lines[0].startswith(("%", r"\providecommand")):
        del lines[0]
    return lines


def check_syntax(tex):
    lines = body_of(tex)
    text = re.sub(r"\\[{}$&#_%]", "", "\n".join(lines))  # what is written as it is
    depth, opened = 0, []
    for found in re.finditer(r"\\begin\{(\w+)\}|\\end\{(\w+)\}|[{}]|(?<!\\)%|#", text):
        start, end = found.groups()
        assert found.group() not in ("%", "#")
        if start:
            opened.append(start)
        elif end:
            assert opened.pop() == end
        else:
            depth += 1 if found.group() == "{" else -1
            assert depth >= 0
    assert not opened
    assert depth == 0
    assert text.count("$") % 2 == 0
    for table in tabulars(tex):
        assert {len(row) for row in table} == {len(table.align)}


class Rows(list):
    align: str


def tabulars(tex):
    """The cells of each tabular, headings first, as LaTeX."""
    found = []
    for align, content in re.findall(
        r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\n *\\end\{tabular\}", "\n".join(body_of(tex)), re.S
    ):
        rows = Rows()
        rows.align = align
        for line in content.split("\n"):
            if line.strip() in (r"\toprule", r"\midrule", r"\bottomrule"):
                continue
            assert line.endswith(r" \\")
            cells = re.split(r"(?<!\\)&", line.removesuffix(r"\\"))
            rows.append([cell.strip(" ") for cell in cells])
        found.append(rows)
    return found


def figure(cell):
    return unlatex(re.sub(r"\$([+-][\d.e+]+)\$", r"\1", cell))


def ends(cell):
    low, high = cell.removesuffix(" (bounded)").split(" to ")
    return [low, high]


def as_printed(value, like):
    """A number with as many decimals as a printed one."""
    decimals = len(like.partition(".")[2])
    return f"{round(value, decimals) + 0.0:{'+' if like[0] in '+-' else ''}.{decimals}f}"


def same(printed, value, scale):
    assert printed.replace("-0.0", "+0.0") == as_printed(scale * value, printed)


def test_the_table_is_latex(each_kind):
    _, findings, _ = each_kind
    tex = table_tex(findings)
    check_syntax(tex)
    assert tex.count(r"\begin{table}") == 1
    assert r"\usepackage{booktabs}" in tex.splitlines()[1]
    assert findings.replicates in tex.splitlines()[0]
    assert all(line.isprintable() for line in tex.splitlines())


def test_figures_are_those_of_results_json_to_the_printed_digit(each_kind):
    _, findings, results = each_kind
    if results is None:
        return check_scores(findings)
    told, (models, *differences) = results_dict(results), tabulars(table_tex(findings))
    metric = findings.metric
    scale = 100 if metric.is_share else 1
    assert len(models) == 1 + len(told["models"])
    for (name, model), row in zip(told["models"].items(), models[1:], strict=True):
        cells = [figure(cell) for cell in row]
        part = "test_accuracy" if metric.name == "accuracy" else "test_scores"
        summary = model[part] if part == "test_accuracy" else model[part][metric.name]
        assert cells[0] == name
        same(cells[1], summary["mean"], scale)
        if len(cells) == 4 and summary["interval"] is not None:
            for end, value in zip(ends(cells[2]), summary["interval"], strict=True):
                same(end, value, scale)
        else:
            assert summary["interval"] is None
        assert cells[-1].startswith(f"{model['failed']} of {model['seeds']}")
        assert ("diverged" in cells[-1]) == bool(model["diverged"])
    if told["comparisons"]:
        check_differences(differences[0], told["comparisons"], scale)
    else:
        assert not differences


def check_scores(findings):
    told = [one.to_dict() for one in findings.comparisons]
    scale = 100 if findings.metric.is_share else 1
    table = tabulars(table_tex(findings))[-1]
    if findings.data_sets:
        mean = [figure(cell) for cell in table.pop()]
        assert mean[0] == f"mean over {len(findings.data_sets)}"
        same(mean[4], findings.mean.estimate, scale)
        for end, value in zip(ends(mean[5]), findings.mean.interval, strict=True):
            same(end, value, scale)
        for name, one, row in zip(findings.data_sets, told, table[1:], strict=True):
            cells = [figure(cell) for cell in row]
            assert cells[:2] == [name, str(one["n_pairs"])]
            same(cells[2], one["model_a"]["accuracy"]["mean"], scale)
            same(cells[3], one["model_b"]["accuracy"]["mean"], scale)
        table = [row[:1] + row[3:] for row in table]
    check_differences(table, told, scale, named=not findings.data_sets)


def check_differences(table, told, scale, named=True):
    heading, *rows = table
    has_p = len(heading) == 6
    for one, row in zip(told, rows, strict=True):
        cells = [figure(cell) for cell in row]
        if named:
            names = [one[model]["name"] for model in ("model_a", "model_b")]
            assert cells[:2] == [printable(name) for name in names]
        same(cells[2], one["estimate"], scale)
        if one["interval"] is None:
            assert cells[3] == "--"
        else:
            for end, value in zip(ends(cells[3]), one["interval"].values(), strict=True):
                same(end, value, scale)
        assert cells[-1].rstrip("*") == one["verdict"]
        assert has_p != one.get("sequential", False)
        if has_p:
            check_p(cells[4], one)


def check_p(cell, one):
    p = one["pvalue"] if one.get("holm_pvalue") is None else one["holm_pvalue"]
    if one["pvalue"] is None:
        assert cell == "--"
    elif cell.startswith("<"):
        assert cell == "< .001"
        assert p < 0.001
    elif cell.startswith(">"):
        assert 0.9995 <= p < 1
    else:
        assert cell == "1" if p == 1 else float(cell) == pytest.approx(p, abs=0.0005)


def test_a_verdict_that_rare_failures_could_overturn_is_marked(each_kind):
    _, findings, _ = each_kind
    marked = [row[-1].endswith("{*}") for row in tabulars(table_tex(findings))[-1][1:]]
    told = [one for one in findings.comparisons if one.verdict != "inconclusive"]
    unsettled = [one for one in told if not getattr(one, "guaranteed", True)]
    crossed = [one for one in told if "rare collapses" in one.conclusion]
    assert sum(marked) == len(unsettled) or sum(marked) == len(crossed)
    assert any(marked) == (r"{*}: no interval settles this" in table_tex(findings))


@pytest.mark.parametrize("kind", ["two models", "five models", "until decided"])
def test_the_caption_says_of_what_and_how_sure(kind, made):
    findings, _ = made(kind)
    caption = re.search(r"\\caption\[.*\]\{(.*)\}\n", table_tex(findings))
    words = unlatex(caption[1])
    assert findings.replicates in words
    assert findings.scope.replicate in words
    assert findings.claim in words
    assert "margin of 1 pp" in words
    assert ("Holm" in words) == (kind == "five models")
    assert ("hold together (95 %)" in words) == (kind == "five models")
    assert ("time-uniform" in words) == (kind == "until decided")
    assert "95 % CI" in [figure(cell) for cell in tabulars(table_tex(findings))[-1][0]]


def test_a_margin_that_was_changed_after_looking_is_told(made):
    findings, results = made("two models")
    looked = dataclasses.replace(findings.comparisons[0], first_margin=0.05, earlier_looks=2)
    changed = dataclasses.replace(findings, comparisons=(looked,))
    assert "The margin was changed after looking: it was 5 pp at first" in table_tex(changed)
    assert "The margin was changed after looking" in methods_md(changed, results)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_compiles_all_tables_in_one_document(engine, made, tmp_path):
    program = shutil.which(engine)
    if program is None:
        pytest.skip(f"{engine} is not installed")
    kinds = ("five models", "crossed", "log loss", "several data sets", "hostile names")
    tables = "\n".join(table_tex(made(kind)[0]) for kind in kinds)
    document = (
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        f"\\listoftables\n{tables}\\end{{document}}\n"
    )
    (tmp_path / "paper.tex").write_text(document, encoding="utf-8")
    options = ("-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape")
    for _ in range(2):  # once more, with the list of tables that the first run wrote
        done = subprocess.run(
            [program, *options, "paper.tex"],
            cwd=tmp_path,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 5000


def test_markdown_shows_each_cell_and_nothing_more(each_kind):
    _, findings, _ = each_kind
    page = MarkdownIt("commonmark").enable("table").render(table_md(findings))
    tables = re.findall(r"<table>(.*?)</table>", page, re.S)
    expected = tabulars(table_tex(findings))
    assert len(tables) == len(expected)
    for table, rows in zip(tables, expected, strict=True):
        found = [
            [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
            for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)
        ]
        plain = [[figure(cell).replace("--", "-") if cell == "--" else figure(cell) for cell in row]
                 for row in rows]  # fmt: skip
        assert found == plain
    tags = set(re.findall(r"<(/?[a-z]+)", page))
    assert tags <= {f"{end}{tag}" for end in ("", "/") for tag in
                    ("table", "thead", "tbody", "tr", "th", "td", "p")}  # fmt: skip


def test_methods_cite_what_was_used_and_end_where_the_scope_does(each_kind):
    kind, findings, results = each_kind
    text = methods_md(findings, results)
    prose, _, bibliography = text.partition("# References\n")
    keys = {one.key for one in citations_of(findings, results)}
    cited = set(re.findall(r"@([a-z_0-9]+)", re.sub(r"\\@", "", prose)))
    assert cited == keys
    assert set(re.findall(r"^@\w+\{(\w+),", bibliography, re.M)) == keys
    assert "Further methods" not in prose
    for one in findings.comparisons:
        assert markdown(one.conclusion) in prose
    for model in findings.models:
        assert markdown(model.name) in prose
    assert ("was trained" in prose) == (results is not None and len(findings.models) == 1)
    if kind == "initialisations":
        found = prose.partition("# Results")[2]
        for paragraph in found.strip().splitlines():
            assert paragraph.endswith("on this split only.")
    if kind == "until decided":
        assert results.stopping.words in prose
    for doubt in findings.doubts:
        assert markdown(doubt) in prose


def test_methods_are_markdown_without_a_tag_from_a_name(made):
    findings, _ = made("hostile names")
    page = MarkdownIt("commonmark").render(methods_md(findings))
    assert "<script" not in page
    tags = set(re.findall(r"<([a-z0-9]+)", page))
    assert tags <= {"h1", "p", "ul", "li", "pre", "code"}
    assert page.count("<code") == 1
    assert page.count("<h1>") == 4


def test_paper_files_are_the_three_texts(made):
    findings, results = made("two models")
    files = paper_files(findings, results)
    assert files == {
        "table.tex": table_tex(findings),
        "table.md": table_md(findings),
        "methods.md": methods_md(findings, results),
    }
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in files.values())


def test_results_become_latex_by_a_public_function(made):
    findings, results = made("two models")
    assert functional_clf.to_latex is to_latex
    assert functional_clf.to_latex(results) == table_tex(findings)


@given(ANY_TEXT)
def test_latex_says_what_a_text_says_and_does_nothing(text):
    written = latex(text)
    assert unlatex(written) == unicodedata.normalize("NFC", printable(text)) or unlatex(
        written
    ) == printable(text)
    assert "--" not in written
    assert "  " not in written.replace("\\ ", "")


@given(ANY_TEXT)
def test_markdown_shows_a_text_in_a_cell_and_does_nothing(text):
    page = MarkdownIt("commonmark").enable("table").render(
        f"| a | b |\n| --- | --- |\n| {markdown(text)} | end |\n"
    )  # fmt: skip
    cells = re.findall(r"<td>(.*?)</td>", page, re.S)
    assert [html.unescape(cell).strip() for cell in cells] == [printable(text).strip(), "end"]


@given(ANY_TEXT)
def test_markdown_shows_a_text_in_a_sentence(text):
    page = MarkdownIt("commonmark").render(f"Of {markdown(text)}.")
    assert html.unescape(page) == f"<p>Of {printable(text)}.</p>\n"
    page = MarkdownIt("commonmark").render(f"- {markdown(text)}: x")
    assert html.unescape(page) == f"<ul>\n<li>{printable(text)}: x</li>\n</ul>\n"
