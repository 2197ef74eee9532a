"""The page to send on: whole, harmless and true, whatever the study and its names."""

import base64
import hashlib
import json
import os
import re
import shutil
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from functional_clf.cli.main import main
from functional_clf.reports import report_files
from functional_clf.reports.figures import difference_of, figure_of
from functional_clf.reports.findings import findings_of
from functional_clf.reports.outputs import PAGE
from functional_clf.reports.page import Again, scores_page
from functional_clf.reports.report_files import is_standing, named_files
from functional_clf.score_tables.comparing import compare_table
from functional_clf.score_tables.table import ScoreTable

sys.path.insert(0, str(Path(__file__).parent))
import report_pages
from report_pages import CYRILLIC, EMOJI, IMAGE, LONG, NAMES, STUDIES, TAG, files_of

VOID = {"meta", "input", "br", "img", "link", "hr"}
AXE = os.environ.get("FUNCTIONAL_CLF_AXE", "")


class Reader(HTMLParser):
    """What stands in a page: its elements with their attributes, and its text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.text, self.open, self.inside = [], [], [], {"script": [], "style": []}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        inner = self.open[-1] if self.open else ""
        if inner in self.inside:
            self.inside[inner].append(text)
        else:
            self.text.append(text)

    def all_of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def studies():
    return {name: study() for name, study in STUDIES.items()}


@pytest.fixture(scope="module")
def pages(studies, tmp_path_factory):
    found = {name: files_of(results)[PAGE].decode() for name, results in studies.items()}
    return found | {"scores": report_pages.scores(tmp_path_factory.mktemp("scores"))}


KINDS = [*STUDIES, "scores"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_and_asks_for_nothing_from_elsewhere(kind, pages):
    page = pages[kind]
    read = Reader(page)
    assert read.open == []
    for _, attributes in read.elements:
        assert not {name for name in attributes if name.startswith("on")}
        assert attributes.get("href", "#").startswith(("#", "data:image/png;base64,"))
        assert not {"src", "action", "srcset", "data"} & attributes.keys()
    styles = "".join(read.inside["style"])
    assert "@import" not in styles
    assert "url(" not in styles
    assert len(page.encode()) <= 2**20
    assert [tag for tag, _ in read.elements].count("h1") == 1
    headings = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(headings))
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {one["href"][1:] for one in read.all_of("a")} <= set(ids)
    assert read.all_of("html") == [{"lang": "en"}]
    assert len(read.all_of("caption")) == len(read.all_of("table"))
    assert all(one.get("scope") in ("col", "row") for one in read.all_of("th"))
    for one in read.all_of("svg"):
        assert one.get("role") == "img" or one.get("aria-hidden") == "true"


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_allows_what_is_in_the_page_and_nothing_else(kind, pages):
    read = Reader(pages[kind])
    (policy,) = [
        one["content"]
        for one in read.all_of("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy

    def digest(text):
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    for tag in ("script", "style"):
        allowed = re.findall(rf"{tag}-src 'sha256-([^']+)'", policy)
        assert allowed == [digest(text) for text in read.inside[tag]]
    assert len(read.inside["style"]) == 1
    assert not any("style" in attributes for _, attributes in read.elements)


def test_names_are_shown_and_do_nothing(pages):
    for kind, names in (("hostile", NAMES), ("scores", (TAG, EMOJI, LONG))):
        read = Reader(pages[kind])
        for name in names:
            assert name in read.words
        assert not read.all_of("img")
        assert not read.all_of("b")
        assert not any("alert" in text for text in read.inside["script"])
    for raw in ("\u202e", "\x07"):
        assert raw not in pages["scores"]
    assert r"\u202e\x07" in pages["scores"]
    assert CYRILLIC in pages["hostile"]
    assert IMAGE not in pages["hostile"]


@pytest.mark.parametrize("kind", STUDIES)
def test_figures_are_those_of_results_json(kind, studies, pages):
    results, words = studies[kind], Reader(pages[kind]).words
    findings = findings_of(results)
    for model in findings.models:
        assert figure_of(model.scores.mean, findings.metric) in words
    for one in findings.comparisons:
        difference, ends = difference_of(one, findings.metric)
        assert difference in words
        assert one.interval is None or ends in words
        assert " ".join(one.conclusion.split()) in words
    assert bool(findings.comparisons) == (kind != "one_model")


def test_each_kind_of_study_says_what_is_special_about_it(pages):
    words = {kind: Reader(page).words for kind, page in pages.items()}
    assert "model_1 is better than model_0, by more than the 1 pp margin." in words["main_job"]
    assert "lucky" in words["main_job"]
    assert "All 16 seeds" in words["main_job"] or "over all 16 seeds" in words["main_job"].lower()
    assert "What each class is taken for" in words["five_models"]
    assert "DecisionTreeClassifier" in words["five_models"]
    assert "Where test accuracy varies from" in words["crossed"]
    assert "One model: there is nothing to compare it with." in words["one_model"]
    assert re.search(r"wild failed [1-9] of 9: seeds? .*diverged [1-9] of 9", words["diverged"])
    assert "tame" in words["diverged"]
    assert "New data:" not in words["main_job"]
    assert (
        "Only one data set" in words["five_models"] or "only one data set" in words["five_models"]
    )
    assert "functional-clf report" in words["scores"]
    assert "Nobody said" not in words["scores"]


def test_a_page_of_many_seeds_stays_small():
    random = np.random.default_rng(0)
    scores = {name: random.binomial(200, 0.8, 100_000) for name in ("flat", "deep")}
    table = ScoreTable(scores, np.arange(100_000), total=200, scope="data", source="scores.csv")
    page = scores_page(table, compare_table(table), Again("Type:", ("again",)))
    assert len(page.encode()) <= 3 * 2**20
    assert Reader(page).open == []


SMALL = ["--samples", "80", "--epochs", "6", "--engine", "eager", "--seeds", "3", "--no-plots"]


def test_a_run_makes_it_and_report_makes_the_same_anew(tmp_path, capsys):
    out = tmp_path / "out"
    args = ["run", *SMALL, "--out", str(out)]
    assert main(args) == 0
    made = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".sqlite"}
    assert {"report.html", "table.tex", "table.md", "methods.md"} <= set(made)
    inode = (out / PAGE).stat().st_ino
    assert main(args) == 0  # what holds is not made again
    assert (out / PAGE).stat().st_ino == inode
    study_file = (out / "study.toml").read_text("utf-8")
    assert "--epochs" not in study_file
    assert "n_samples 80" in Reader(made[PAGE].decode()).words
    (out / PAGE).unlink()
    (out / "table.tex").write_text("stale")
    assert main(["report", str(out)]) == 0
    assert (out / PAGE).read_bytes() == made[PAGE]
    assert (out / "table.tex").read_bytes() == made["table.tex"]
    assert main(["report", str(out), "--out", str(tmp_path / "one.html"), "--no-papers"]) == 0
    assert (tmp_path / "one.html").read_bytes() == made[PAGE]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "out"]
    assert "Report: " in capsys.readouterr().out


def test_without_a_report_none_of_other_results_is_left(tmp_path):
    out = tmp_path / "out"
    args = ["run", *SMALL, "--out", str(out)]
    report = {"report.html", "table.tex", "table.md", "methods.md"}
    assert main(args) == 0
    assert main([*args, "--no-report"]) == 0
    assert report <= {path.name for path in out.iterdir()}  # of these very results
    assert "report = false" in (out / "study.toml").read_text()
    assert main([*args, "--no-report", "--margin", "0.02"]) == 0
    assert not report & {path.name for path in out.iterdir()}


def test_a_page_that_fails_costs_no_results(tmp_path, monkeypatch, capsys):
    def fail(*args):
        raise RuntimeError("no\ntemplate")

    monkeypatch.setattr("functional_clf.reports.page.study_page", fail)
    out = tmp_path / "out"
    assert main(["run", *SMALL, "--out", str(out)]) == 0
    assert capsys.readouterr().err == "no report is made: no template\n"
    assert json.loads((out / "results.json").read_text())["models"]["model_1"]["seeds"] == 3
    assert not (out / PAGE).exists()


def test_a_folder_that_cannot_be_made_again_gets_the_page_of_its_scores(tmp_path, capsys):
    from functional_clf import Dataset, Study, mlp_recipe

    def draw(seed):
        x = np.random.default_rng(seed).normal(size=(40, 2))
        return x, (x[:, 0] > 0).astype(int)

    models = [mlp_recipe(name, (2, 1), None, "adam", 0.1, epochs=3) for name in ("a", "b")]
    Study(Dataset("mine", 40, draw), models, seeds=3, engine="eager").run(tmp_path)
    assert main(["report", str(tmp_path), "--failure-below", "0.6"]) == 0
    captured = capsys.readouterr()
    assert "made of the scores alone" in captured.err
    words = Reader((tmp_path / PAGE).read_text("utf-8")).words
    assert "This page is made of the scores alone" in words
    assert "'mine' is of somebody's own making" in words
    assert "layer_sizes 2, 1" in words


def test_where_not_even_scores_make_a_page_the_line_says_what_does(tmp_path, capsys):
    from functional_clf import Dataset, Study, mlp_recipe, write_report

    def draw(seed):
        x = np.random.default_rng(seed).normal(size=(40, 2))
        return x, (x[:, 0] > 0).astype(int)

    alone = mlp_recipe("alone", (2, 1), None, "adam", 0.1, epochs=3)
    results = Study(Dataset("mine", 40, draw), [alone], seeds=3, engine="eager").run(tmp_path)
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'mine' is of somebody's own making" in error
    assert "functional_clf.write_report(results, folder)" in error
    assert not (tmp_path / PAGE).exists()

    written = write_report(results, tmp_path / "of" / "it")
    assert [path.name for path in written] == [PAGE, "table.tex", "table.md", "methods.md"]
    assert "layer_sizes 2, 1" in Reader(written[0].read_text("utf-8")).words
    assert [path.name for path in write_report(results, tmp_path, papers=False)] == [PAGE]


def test_a_metric_that_a_folder_does_not_record_is_refused(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", *SMALL, "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["report", str(out), "--metric", "roc_auc"]) == 2
    assert "metric is 'roc_auc'" in (error := capsys.readouterr().err)
    assert "records accuracy only" in error


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["no_such.csv"], "no_such.csv"),
        (["scores.csv", "--out", "scores.csv"], "out is scores.csv"),
        (["scores.csv", "--out", "a.pdf"], "out is a.pdf; it must be the path of a page"),
        (["scores.csv", "--scope", "split"], "scope is 'split'"),
        (["scores.csv", "--alpha", "2"], "alpha is 2.0"),
    ],
    ids=["no file", "itself", "no page", "sizes", "alpha"],
)
def test_what_is_asked_wrongly_is_one_line_and_leaves_nothing(
    args, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text("seed,a,b\n0,0.5,0.6\n1,0.7,0.9\n2,0.6,0.8\n")
    assert main(["report", *args]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert words in complaint
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_a_run_folder_says_its_scope_itself(tmp_path, capsys):
    assert main(["run", *SMALL, "--no-report", "--out", str(tmp_path)]) == 0
    assert main(["report", str(tmp_path), "--scope", "data"]) == 2
    assert "scope is data; a run folder says that by itself" in capsys.readouterr().err
    assert not (tmp_path / PAGE).exists()


def test_a_report_that_was_changed_does_not_hold(tmp_path, studies):
    files = files_of(studies["one_model"])
    mark = json.loads(files[PAGE].rpartition(b"<!-- functional_clf ")[2][:-5])["of"]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert is_standing(tmp_path, mark)
    assert not is_standing(tmp_path, "another")
    (tmp_path / "table.md").write_text("mine")
    assert not is_standing(tmp_path, mark)
    (tmp_path / "table.md").write_bytes(files["table.md"])
    (tmp_path / PAGE).write_bytes(files[PAGE].replace(b"Verdict", b"verdict"))
    assert not is_standing(tmp_path, mark)


def test_what_is_for_papers_is_named_after_the_page():
    found = named_files(Path("x/scores.report.html"), {PAGE: b"", "table.md": b""})
    assert [path.as_posix() for path in found] == ["x/scores.report.html", "x/scores.table.md"]
    assert list(named_files(Path(PAGE), {PAGE: b"", "table.md": b""})) == [
        Path(PAGE), Path("table.md")
    ]  # fmt: skip
    assert report_files.PAPERS == ("table.tex", "table.md", "methods.md")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_browser_shows_it_without_an_error(kind, scheme, pages, browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(pages[kind], "utf-8")
    context = browser.new_context(
        viewport={"width": 390, "height": 800}, color_scheme=scheme, bypass_csp=False
    )
    said, asked = [], []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    context.close()


@pytest.mark.skipif(not AXE, reason="FUNCTIONAL_CLF_AXE names no axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_to_object_to(kind, scheme, pages, browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(pages[kind], "utf-8")
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate(Path(AXE).read_text("utf-8"))
    found = page.evaluate("axe.run(document)")
    assert found["passes"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    context.close()
