"""The report as one page of HTML that needs nothing else: no network, no other file.

What it says is gathered as plain texts by `page_parts` and `page_facts`; the template puts them
where they belong. A stranger's text comes into it through one place, which makes it harmless.
"""

import base64
import functools
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from functional_clf.reports import charts, page_facts, page_parts
from functional_clf.reports.citations import Citation, citations_of
from functional_clf.reports.figures import percent
from functional_clf.reports.findings import Findings, findings_of, findings_of_scores
from functional_clf.reports.limits import limits_of, reach_of
from functional_clf.reports.page_parts import Fact, Table, Verdict
from functional_clf.reports.pictures import NotPicturedError, Picture, reason_of
from functional_clf.support.text import printable
from functional_clf.version import VERSION

if TYPE_CHECKING:
    from jinja2 import Environment

    from functional_clf.score_tables.comparing import ScoreComparison
    from functional_clf.score_tables.table import ScoreTable
    from functional_clf.study.results import Results

logger = logging.getLogger("functional_clf")

PICTURED = {
    "curves": "Learning curves",
    "boundaries": "What the models decide",
    "confusion": "What each class is taken for",
    "data": "The data of the first seed",
    "classes": "The classes of the first seed",
}
"""The pictures that have a section of their own, in order; scores seed by seed have another."""


LEAST_SEEDS = 8
"""Of fewer there are no draws worth a picture."""


@dataclass(frozen=True)
class Chart:
    """A picture of the page: SVG that is harmless already, or the reason why there is none."""

    heading: str
    svg: str
    reason: str = ""


@dataclass(frozen=True)
class Again:
    """How it is done again.

    Attributes:
        words: what to know, before the commands.
        commands: to be typed, one a line.
        study: what the study's file says; empty where there is none.
    """

    words: str
    commands: tuple[str, ...] = ()
    study: str = ""


@dataclass(frozen=True)
class Page:
    """All that a page shows."""

    findings: Findings
    verdicts: tuple[Verdict, ...]
    intervals: str
    seeds: str
    seeds_table: Table | None
    lucky: str
    charts: tuple[Chart, ...]
    failures: tuple[Fact, ...]
    failed_means: str
    notices: tuple[str, ...]
    tables: tuple[Table, ...]
    references: str
    reach: str
    limits: tuple[str, ...]
    facts: tuple[Fact, ...]
    again: Again
    citations: tuple[Citation, ...]


def study_page(
    results: "Results",
    pictures: Mapping[str, Picture | Exception],
    told: Mapping[str, Any],
    study_file: str = "",
) -> str:
    """The page of a study.

    Args:
        results: of the study.
        pictures: what its pictures show by name, or why one cannot be had.
        told: from `tables.results_dict`.
        study_file: what stands in its study.toml; empty where it has none.

    Returns:
        HTML, whole.
    """
    study, findings = results.study, findings_of(results)
    names, metric = study.names, findings.metric
    scores = np.stack([results.scores(name, metric.name) for name in names])
    failed, diverged = (
        np.stack(found)
        for found in zip(*(results.failed_runs(name) for name in names), strict=True)
    )
    is_crossed = study.design == "crossed"
    called = "cell" if is_crossed else "seed"
    baseline = names.index(study.baseline) if study.baseline else 0
    notices = [*findings.doubts, *study.dataset.notices]
    found = [
        page_parts.models_of_study(told),
        page_parts.metrics_of_study(told) if study.has_metrics else None,
        page_parts.comparisons_of(findings),
        page_parts.components_of(findings),
    ]
    page = Page(
        findings=findings,
        verdicts=page_parts.verdicts_of(findings),
        intervals=charts.intervals_chart(findings) if findings.comparisons else "",
        seeds=charts.seeds_chart(
            names, scores, metric, intervals=[one.interval for one in findings.models],
            failed=failed, diverged=diverged, baseline=baseline, source=findings.source,
            replicate=called,
        ),
        seeds_table=page_parts.seeds_of(study.seeds, names, scores, metric, called),
        lucky=_lucky(results),
        charts=tuple(_charts(pictures)),
        failures=page_facts.failures_of_study(results),
        failed_means=page_parts.meaning_of_failure(findings),
        notices=tuple(notices),
        tables=tuple(one for one in found if one is not None),
        references=_references(findings),
        reach=reach_of(findings),
        limits=limits_of(findings),
        facts=page_facts.facts_of_study(results, told),
        again=_again(study_file),
        citations=citations_of(findings, results),
    )  # fmt: skip
    return rendered(page)


def scores_page(
    table: "ScoreTable", found: "ScoreComparison", again: Again, lacking: Sequence[str] = ()
) -> str:
    """The page of scores that were not trained here, or whose study cannot be made again.

    Args:
        table: the scores.
        found: `compare_table` of them.
        again: how the page is made again.
        lacking: what a page of the study would show besides, and why this one does not.

    Returns:
        HTML, whole.
    """
    findings = findings_of_scores(table, found)
    scores = np.stack([table.shares(name) for name in table.models])
    nobody = np.zeros(len(table), bool)
    diverged = np.stack([table.diverged.get(name, nobody) for name in table.models])
    called = "seed" if table.has_seeds else "row"
    tables = (page_parts.models_of_scores(findings), page_parts.comparisons_of(findings))
    page = Page(
        findings=findings,
        verdicts=page_parts.verdicts_of(findings),
        intervals=charts.intervals_chart(findings),
        seeds=charts.seeds_chart(
            table.models, scores, findings.metric, diverged=diverged, source=findings.source,
            replicate=called,
        ),
        seeds_table=page_parts.seeds_of(
            table.keys.tolist(), table.models, scores, findings.metric, called
        ),
        lucky="",
        charts=(),
        failures=page_facts.failures_of_scores(findings),
        failed_means=page_parts.meaning_of_failure(findings),
        notices=(*(f"{doubt}." for doubt in findings.doubts), *lacking),
        tables=tuple(one for one in tables if one is not None),
        references="",
        reach=reach_of(findings),
        limits=limits_of(findings),
        facts=page_facts.facts_of_scores(table, findings),
        again=again,
        citations=citations_of(findings),
    )  # fmt: skip
    return rendered(page)


def rendered(page: Page) -> str:
    """A page as HTML."""
    from markupsafe import Markup

    css = f"{_source('page.css')}{charts.style()}"
    script = charts.script() if page.lucky else ""
    allowed = [
        "default-src 'none'",
        f"style-src '{_sha256(css)}'",
        *([f"script-src '{_sha256(script)}'"] if script else []),
        *(["img-src data:"] if any("data:image/" in one.svg for one in page.charts) else []),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            # These are made by this package, of names that it has escaped.
            css=Markup(css),
            script=Markup(script),
            policy=Markup("; ".join(allowed)),
            version=VERSION,
        )
    )


@functools.cache
def _environment() -> "Environment":
    """Jinja2, with every text made printable and escaped on its way into the page."""
    from jinja2 import BaseLoader, Environment, StrictUndefined
    from markupsafe import Markup

    class Loader(BaseLoader):
        def get_source(self, environment: Environment, template: str) -> Any:
            return _source(template), None, None

    def harmless(value: Any) -> Any:
        return value if isinstance(value, Markup) else printable(str(value))

    found = Environment(
        loader=Loader(), autoescape=True, finalize=harmless, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters["svg"] = Markup
    found.filters["lines"] = str.splitlines
    return found


@functools.cache
def _source(name: str) -> str:
    return resources.files("functional_clf.reports").joinpath("templates", name).read_text("utf-8")


def _sha256(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _charts(pictures: Mapping[str, Picture | Exception]) -> Iterator[Chart]:
    """The pictures there are, and of those that failed, why."""
    for name, heading in PICTURED.items():
        picture = pictures.get(name)
        if picture is None or isinstance(picture, NotPicturedError):
            continue
        if isinstance(picture, Exception):
            yield Chart(heading, "", reason_of(picture))
            continue
        try:
            yield Chart(heading, charts.chart_of(picture))
        except Exception as error:  # whatever it is, it costs no other part of the page
            logger.warning("the report has no picture of %s: %s", name, reason_of(error))
            yield Chart(heading, "", reason_of(error))


def _lucky(results: "Results") -> str:
    """The chart of what few seeds would have said; empty where a study is none for it."""
    study, comparisons = results.study, results.comparisons()
    if study.design == "crossed" or study.until_decided or not comparisons:
        return ""
    if len(study.seeds) < LEAST_SEEDS:
        return ""
    one = comparisons[0]
    return charts.lucky_chart(results.lucky_seeds(one.model_a.name, one.model_b.name))


def _references(findings: Findings) -> str:
    known = [f"{name} {percent(best)} %" for name, best in findings.best]
    return f"Reference accuracies: {', '.join(known)}." if known else ""


def _again(study_file: str) -> Again:
    if not study_file:
        return Again(
            "The study was made in Python: the same program, run again, finds its results in the "
            "run folder, and in another folder trains them again, bit by bit. In the run folder, "
            "this trains one seed again and compares every bit, where its data and models can be "
            "made out of the record:",
            ("python -m functional_clf.run --out . --replay 0",),
        )
    return Again(
        "In the run folder, or with the file below saved as study.toml; paths in it begin there. "
        "The first trains the whole study again, in another folder; the second trains one seed of "
        "a finished folder again and compares every bit.",
        (
            "python -m functional_clf.run study.toml --out again",
            "python -m functional_clf.run study.toml --replay 0",
        ),
        study_file,
    )
