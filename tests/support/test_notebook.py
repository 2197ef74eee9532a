import re
from html.parser import HTMLParser

import numpy as np
import pytest

from functional_clf import Study, circles, compare, compare_scores, mlp_recipe, plan
from functional_clf.stats import compare_all, compare_crossed, lucky_seeds
from functional_clf.study.plan import Plan
from functional_clf.support.notebook import MOST_ROWS, Bullets, Table, panel

HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted\" & 'single'",
    "Модель 🦊",
    "x" * 200,
    "\u202etxt.exe",
    "$5 and $6",
    "line\nbreak\x1b[31m",
    "</p></div><img src=x onerror=alert(1)>",
]
LEVELS = {"a": 0.5, "b": 0.6, "c": 0.7}
TAGS = {"div", "p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}


class Reader(HTMLParser):
    """Sees that tags are known, closed in order, and carry no colour; keeps what is read."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS
        for name, value in attrs:
            allowed = {"scope", "class"} | ({"style"} if value == "text-align: left" else set())
            assert name in allowed
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def scores(level, seed=0, n=12):
    return np.clip(level + 0.02 * np.random.default_rng(seed).standard_normal(n), 0, 1)


def grid(level, seed):
    return scores(level, seed, n=20).reshape(5, 4)


def study_of(names, **options):
    contestants = [mlp_recipe(name, (2, 1), None, "sgd", 0.1, epochs=2) for name in names]
    return Study(circles(60), contestants, 3, engine="eager", threads=1, **options)


def shown_of(a, b):
    """All that a notebook shows of two models with such names."""
    names = (a, b)
    yield compare(scores(0.9), scores(0.8, 1), scope="data", names=names)
    yield compare(scores(0.9), scores(0.8, 1), scope="init", names=names)
    yield compare_crossed(grid(0.9, 0), grid(0.8, 1), names=names)
    yield lucky_seeds(scores(0.9), scores(0.8, 1), names=names)
    yield plan(scores(0.9) - scores(0.8, 1), names=names)
    yield compare_scores({a: scores(0.9), b: scores(0.8, 1)}, metric="accuracy")


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_a_hostile_name_is_shown_as_text(index):
    name = HOSTILE[index]
    visible = "".join(letter for letter in name if letter.isprintable())[:60]
    for one in shown_of(name, "plain & <simple>"):
        html = one._repr_html_()
        read = Reader(html).text
        assert visible[:20] in read or "\\" in read
        assert "plain & <simple>" in read
        assert not set(html) & set("\u202e\x1b\n")
        assert len(html) < 20_000
        assert "mathjax_ignore" in html


def test_a_study_and_its_results_show_names_as_text():
    names = [name for name in HOSTILE if name.isprintable() and "/" not in name]
    study = study_of([*names, "plain"], baseline="plain")
    before = study._repr_html_()
    results = study.run()
    for html in (before, results._repr_html_()):
        assert all(name in Reader(html).text for name in names)
        assert len(html) < 40_000


def test_a_comparison_shows_its_verdict_within_its_scope_and_its_figures():
    one = compare(
        [0.9, 0.95, 0.9, 0.85, 0.9, 0.95], [0.7] * 6, scope="init", names=("deep", "flat")
    )
    html = one._repr_html_()
    text = Reader(html).text
    assert "deep against flat" in text
    assert f"Verdict: {one.verdict}, by more than the 1 pp margin, on this split only." in text
    assert one.conclusion in text
    mean = ("mean", "90.83", "70.00", "+20.8")
    assert "</th>" + "".join(f"<td>{figure}</td>" for figure in mean[1:]) in html
    assert "<td>6, 0, 0</td>" in html
    assert ">bounded CI</th>" in html


def test_intervals_of_several_comparisons_are_said_to_hold_together():
    columns = {name: scores(level, seed) for seed, (name, level) in enumerate(LEVELS.items())}
    one = compare_all(columns)[0]
    assert "95 % CI (all together)" in Reader(one._repr_html_()).text


def test_scores_that_are_no_shares_have_their_own_unit():
    html = compare([0.5, 0.4, 0.6], [0.9, 0.8, 0.7], metric="log_loss", margin=0.1)._repr_html_()
    text = Reader(html).text
    assert "test log loss" in text
    assert "(%)" not in text
    assert ">0.5000<" in html


def test_a_crossed_comparison_speaks_of_its_grid():
    one = compare_crossed(grid(0.9, 0), grid(0.6, 1), names=("deep", "flat"))
    text = Reader(one._repr_html_()).text
    assert "Verdict: better" in text
    assert one.conclusion in text


def test_many_comparisons_become_a_table_that_still_says_its_scope():
    results = study_of([f"m{k}" for k in range(5)]).run()
    text = Reader(results._repr_html_()).text
    assert text.count(" - m") == 10
    assert "Scope: new data from circles(60" in text
    assert "Over 3 paired seeds" not in text
    few = Reader(study_of(["a", "b", "c"]).run()._repr_html_()).text
    assert few.count("Over 3 paired seeds") == 3
    assert "Holm p" in few


def test_one_model_has_its_figures_and_nothing_to_compare():
    text = Reader(study_of(["alone"]).run()._repr_html_()).text
    assert "One model: there is nothing to compare it with." in text
    assert text.count("alone") == 2  # the heading and the table


def test_a_study_says_what_would_be_run_and_what_it_could_say():
    text = Reader(study_of(["flat", "deep"])._repr_html_()).text
    assert "Study of flat, deep" in text
    assert "To be trained: 2 x 3 seeds." in text
    assert "What is found will reach: new data from circles(60" in text
    assert "margin 1 pp, 95 % CI" in text
    assert "2 epochs" in text
    crossed = Plan(circles(100), design="crossed", data_seeds=4, init_seeds=3)
    assert "4 data seeds x 3 initialisation seeds" in Reader(crossed._repr_html_()).text


def test_lucky_seeds_have_a_row_a_size():
    one = lucky_seeds(scores(0.6, 0, 40), scores(0.59, 1, 40), names=("deep", "flat"))
    html = one._repr_html_()
    text = Reader(html).text
    assert f"All 40 seeds say: {one.verdict}." in text
    assert one.conclusion in text
    assert re.findall(r'left">(\d+)</th>', html) == ["1", "2", "5", "10", "20"]
    assert f"<td>{100 * one.wrong[0]:.1f}</td>" in html


def test_a_plan_says_what_it_advises():
    found = plan(standard_deviation=0.02)
    assert f"Advised: {found.advised} seeds." in Reader(found._repr_html_()).text
    never = plan(standard_deviation=0.02, scope="split", n_train=80, n_test=20)
    assert "No number is known to be enough." in Reader(never._repr_html_()).text


def test_what_is_shown_is_bounded():
    rows = [(f"row {i}", "x" * 1000) for i in range(500)]
    html = panel(
        "h" * 9000, "", ["p" * 90_000, Table(("", "x"), rows), Bullets("All:", ["l"] * 99)]
    )
    text = Reader(html).text
    assert f"... and {500 - MOST_ROWS} more" in text
    assert f"... and {99 - MOST_ROWS} more" in text
    assert len(html) < 30_000
    assert re.search(r"p \[\.\.\.\] p", text)


def test_nothing_is_shown_of_an_empty_table_or_list():
    assert panel("a", "", [Table(("x",), []), Bullets("All:", [])]).endswith("</strong></p></div>")
