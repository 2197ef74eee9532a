"""Findings for a paper: a table in LaTeX and in Markdown, and a paragraph of methods with BibTeX.

Figures have the digits that tables and conclusions have, and are those of results.json.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from functional_clf.reports.citations import Citation, citations_of, keys_of_means
from functional_clf.reports.figures import difference_of, figure_of, unit_of
from functional_clf.reports.findings import AnyComparison, Findings, ModelFigures, findings_of
from functional_clf.reports.markup import UNICODE_MACRO, latex, markdown
from functional_clf.stats import Comparison, CrossedComparison, cautions, wording
from functional_clf.stats.metrics import Metric
from functional_clf.stats.types import Interval
from functional_clf.support.text import printable
from functional_clf.version import VERSION

if TYPE_CHECKING:
    from functional_clf.study.results import Results

TABLE_TEX, TABLE_MD, METHODS_MD = "table.tex", "table.md", "methods.md"

_UNSETTLED = "*"
_UNSETTLED_WORDS = (
    f"{_UNSETTLED}: no interval settles this that allows for failures rarer than these runs can "
    "show"
)
_NO_SETTINGS = ("kind", "name", "code")
_SIGNED = re.compile(r"(?<![\w.])[+-](?:\d[\d.]*(?:e[+-]?\d+)?)")
_ENGINES = (
    "Letters for which LaTeX has no command are printed by XeLaTeX and LuaLaTeX in a font that has",
    "them. In another, and by pdfLaTeX, their numbers stand for them. To have pdfLaTeX print them,",
    r"load what it needs, as \usepackage[T2A]{fontenc} for Cyrillic, and then say",
    r"\newcommand{\unicodeor}[3]{#2} before this.",
)


class _Table(NamedTuple):
    """Cells as plain text.

    headings: of the columns.
    align: of the columns, l or r.
    rows: of cells.
    end: rows that are set apart, at the end.
    """

    headings: tuple[str, ...]
    align: str
    rows: list[tuple[str, ...]]
    end: tuple[tuple[str, ...], ...] = ()


def table_tex(findings: Findings) -> str:
    r"""Return the models and their differences as a LaTeX table, which needs booktabs alone.

    A model's row has its mean score, the interval of it and its failures; a difference's its
    interval, its p value and the verdict. Of several data sets there is a row each, and the mean
    over them. The caption says what all of it reaches.

    Args:
        findings: of a study, or of scores.

    Returns:
        A `table` environment below a comment that says what made it.

    Example:
        >>> import numpy as np
        >>> from functional_clf.reports.findings import findings_of_scores
        >>> from functional_clf.score_tables.comparing import compare_table
        >>> from functional_clf.score_tables.table import ScoreTable
        >>> scores = {"flat": np.array([0.5, 0.6, 0.5]), "deep": np.array([0.9, 0.8, 0.9])}
        >>> table = ScoreTable(scores, np.arange(3), source="scores.csv")
        >>> tex = table_tex(findings_of_scores(table, compare_table(table)))
        >>> print(tex.splitlines()[-4].strip())
        deep & flat & $+33.3$ & $-0.1$ to $+62.0$ & .250 & inconclusive \\
    """
    tables = [_tex_rows(table) for table in _tables(findings)]
    title, caption = latex(next(_sentences(findings))), latex(_caption(findings))
    body = "\n\n  \\medskip\n".join(tables)
    comment = [
        f"Made by functional_clf {VERSION} from {findings.replicates}: {findings.title}.",
        r"It needs \usepackage{booktabs}.",
    ]
    needs_letters = r"\unicodeor" in caption + body
    comment += _ENGINES if needs_letters else ()
    lines = [f"% {printable(line)}" for line in comment]
    lines += [UNICODE_MACRO] if needs_letters else []
    # A caption belongs above a table, where article leaves no room below it.
    lines += [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption[{title}]{{{caption}}}",
        r"  \medskip",
    ]
    # Eight columns fit on a page of article's.
    lines += [r"  \small", *([r"  \setlength{\tabcolsep}{4pt}"] * bool(findings.data_sets))]
    return "\n".join([*lines, body, r"\end{table}"]) + "\n"


def table_md(findings: Findings) -> str:
    """Return the same as tables in Markdown, of GitHub's kind.

    Example:
        >>> import numpy as np
        >>> from functional_clf.reports.findings import findings_of_scores
        >>> from functional_clf.score_tables.comparing import compare_table
        >>> from functional_clf.score_tables.table import ScoreTable
        >>> scores = {"flat": np.array([0.5, 0.6, 0.5]), "deep": np.array([0.9, 0.8, 0.9])}
        >>> table = ScoreTable(scores, np.arange(3))
        >>> print(table_md(findings_of_scores(table, compare_table(table))).splitlines()[0])
        | model | accuracy, % | failed |
    """
    tables = [_md_rows(table) for table in _tables(findings)]
    return "\n\n".join([*tables, markdown(_caption(findings))]) + "\n"


def methods_md(findings: Findings, results: "Results | None" = None) -> str:
    """Return methods and results in prose, and the BibTeX entries of what they cite.

    Every figure is one of the conclusions or tables, and every claim ends where its scope does.
    Citations are pandoc's, as in [@holm1979].

    Args:
        findings: of a study, or of scores.
        results: of the study, for what was trained, on what, and in which software.

    Returns:
        Markdown.

    Example:
        >>> import numpy as np
        >>> from functional_clf.reports.findings import findings_of_scores
        >>> from functional_clf.score_tables.comparing import compare_table
        >>> from functional_clf.score_tables.table import ScoreTable
        >>> scores = {"flat": np.array([0.5, 0.6, 0.5]), "deep": np.array([0.9, 0.8, 0.9])}
        >>> table = ScoreTable(scores, np.arange(3))
        >>> text = methods_md(findings_of_scores(table, compare_table(table)))
        >>> [line for line in text.splitlines() if line.startswith("#")]
        ['# Methods', '# Results', '# Doubts', '# References']
    """
    citations = citations_of(findings, results)
    cite = _citing(citations)
    material = _material(findings) if results is None else _training(findings, results, cite)
    paragraphs = [" ".join(filter(None, part)) for part in (material, _statistics(findings, cite))]
    told = "\n".join(paragraphs)
    others = [f"{one.what_for}{cite(one.key)}" for one in citations if f"@{one.key}" not in told]
    if others:
        paragraphs[-1] += f" Further methods: {'; '.join(others)}."
    entries = "\n\n".join(one.bibtex for one in citations)
    found = "\n".join(f"- {markdown(line)}" for line in _found(findings))
    parts = ["# Methods", *paragraphs, "# Results", found]
    if findings.doubts:
        parts += ["# Doubts", "\n".join(f"- {markdown(line)}" for line in findings.doubts)]
    return "\n\n".join([*parts, "# References", f"```bibtex\n{entries}\n```"]) + "\n"


def paper_files(findings: Findings, results: "Results | None" = None) -> dict[str, str]:
    """Return all files for papers: a name and its text each.

    Args:
        findings: of a study, or of scores.
        results: of the study.

    Example:
        >>> from functional_clf import Study, circles, model_0
        >>> results = Study(circles(60), [model_0(epochs=2)], 2, engine="eager").run()
        >>> list(paper_files(findings_of(results), results))
        ['table.tex', 'table.md', 'methods.md']
    """
    return {
        TABLE_TEX: table_tex(findings),
        TABLE_MD: table_md(findings),
        METHODS_MD: methods_md(findings, results),
    }


def to_latex(results: "Results") -> str:
    r"""Return the models and comparisons of a study as a LaTeX table; see `table_tex`.

    Args:
        results: of a study.

    Raises:
        ValueError: when a score that models are compared by is not defined in some seed.

    Example:
        >>> from functional_clf import Study, circles, model_0
        >>> results = Study(circles(60), [model_0(epochs=2)], 2, engine="eager").run()
        >>> r"\begin{table}" in to_latex(results)
        True
    """
    return table_tex(findings_of(results))


# The tables


def _tables(findings: Findings) -> list[_Table]:
    if findings.data_sets:
        return [_by_data_set(findings)]
    differences = [_differences(findings)] if findings.comparisons else []
    return [_models(findings), *differences]


def _models(findings: Findings) -> _Table:
    metric = findings.metric
    has_intervals = any(model.interval is not None for model in findings.models)
    level = (wording.confidence(findings.alpha),) if has_intervals else ()
    rows = []
    for model in findings.models:
        mean = "-" if model.scores is None else figure_of(model.scores.mean, metric)
        interval = (_ends(model.interval, metric),) if has_intervals else ()
        rows.append((model.name, mean, *interval, _failures(model)))
    headings = ("model", f"{metric.words}{unit_of(metric)}", *level, "failed")
    return _Table(headings, "l" + "r" * (len(headings) - 1), rows)


def _differences(findings: Findings) -> _Table:
    rows = [
        (one.model_a.name, one.model_b.name, *_difference(one, findings))
        for one in findings.comparisons
    ]
    return _Table(("model", "minus", *_headings(findings)), _aligned("ll", findings), rows)


def _by_data_set(findings: Findings) -> _Table:
    metric = findings.metric
    rows = [
        (
            name,
            str(one.n_pairs) if isinstance(one, Comparison) else "",
            figure_of(one.model_a.accuracy.mean, metric),
            figure_of(one.model_b.accuracy.mean, metric),
            *_difference(one, findings),
        )
        for name, one in zip(findings.data_sets, findings.comparisons, strict=True)
    ]
    unit = unit_of(metric)
    headings = ("data set", "pairs", f"A{unit}", f"B{unit}", *_headings(findings))
    end = ()
    if (mean := findings.mean) is not None:
        p = (_p_cell(mean.pvalue),) if _has_p(findings) else ()
        difference = difference_of(mean, metric)
        end = ((f"mean over {mean.n_data_sets}", "", "", "", *difference, *p, mean.verdict),)
    return _Table(headings, _aligned("lrrr", findings), rows, end)


def _aligned(left: str, findings: Findings) -> str:
    return left + "rr" + "r" * _has_p(findings) + "l"


def _headings(findings: Findings) -> tuple[str, ...]:
    unit = ", pp" if findings.metric.is_share else ""
    p = ("p" if len(findings.comparisons) == 1 else "Holm p",) if _has_p(findings) else ()
    return f"difference{unit}", wording.confidence(findings.alpha), *p, "verdict"


def _difference(one: AnyComparison, findings: Findings) -> tuple[str, ...]:
    difference, ends = difference_of(one, findings.metric)
    if one.method == "bounded":
        ends += " (bounded)"
    holm = one.holm_pvalue if isinstance(one, Comparison) else None
    p = one.pvalue if holm is None else holm
    cells = (_p_cell(None if one.pvalue is None else p),) if _has_p(findings) else ()
    verdict = f"{one.verdict}{_UNSETTLED}" if _is_unsettled(one) else one.verdict
    return difference, ends, *cells, verdict


def _has_p(findings: Findings) -> bool:
    return any(not _is_sequential(one) for one in findings.comparisons)


def _is_sequential(one: AnyComparison) -> bool:
    return isinstance(one, Comparison) and one.sequential


def _is_unsettled(one: AnyComparison) -> bool:
    """Whether a failure too rare to be seen could overturn a verdict that is none of doubt."""
    if one.verdict == "inconclusive":
        return False
    return not one.guaranteed if isinstance(one, Comparison) else bool(_unseen(one))


def _unseen(one: CrossedComparison) -> list[str]:
    seen = {"data seeds": one.n_data_seeds, "initialisation seeds": one.n_init_seeds}
    return cautions.unseen_words(one.interval, one.margin, seen, one.alpha)


def _p_cell(p: float | None) -> str:
    return "-" if p is None else wording.p_value(p).removeprefix("p ").removeprefix("= ")


def _ends(interval: Interval | None, metric: Metric) -> str:
    return "-" if interval is None else " to ".join(figure_of(end, metric) for end in interval)


def _failures(model: ModelFigures) -> str:
    diverged = f" ({model.diverged} diverged)" if model.diverged else ""
    return f"{model.failed} of {model.n}{diverged}"


def _caption(findings: Findings) -> str:
    return " ".join(f"{sentence}." for sentence in _sentences(findings) if sentence)


def _sentences(findings: Findings) -> Iterator[str]:
    metric, level = findings.metric, wording.confidence(findings.alpha)
    mean = f"Mean {metric.words} of test samples"
    if metric.name == "score":
        mean = "Mean score"
    source, several = findings.source, len(findings.comparisons) > 1
    yield f"{mean}: {source}, {findings.replicates} ({findings.scope.replicate})"
    if not metric.higher_is_better:
        yield "Less is better"
    if any(model.interval is not None for model in findings.models):
        yield f"A model's {level} is for its own mean alone" if several else ""
    if findings.data_sets:
        a, b = (model.name for model in _pair(findings))
        yield f"A is {a}, B is {b}; differences are A minus B"
        failed = [f"{model.name} {_failures(model)}" for model in findings.models]
        yield f"Failed runs: {', '.join(failed)}"
    yield findings.failure or "Failed means diverged"
    if not findings.comparisons:
        yield f"Scope: {_claim(findings)}"
        return
    yield _intervals_words(findings, level)
    if any(one.method == "bounded" for one in findings.comparisons):
        yield "Bounded intervals stand where differences show no spread"
    if findings.mean is not None:
        yield (
            f"The mean over data sets counts each as one, and has a {level} and a p of its own, "
            "for new data sets like these, if they may count as drawn at random from such"
        )
    yield f"Verdicts are against a margin of {wording.margin_size(findings.margin, metric)}"
    if any(map(_is_unsettled, findings.comparisons)):
        yield _UNSETTLED_WORDS
    yield from _looks(findings)
    yield f"Scope: {findings.claim.removesuffix('.')}"


def _intervals_words(findings: Findings, level: str) -> str:
    first, n = findings.comparisons[0], len(findings.comparisons)
    if _is_sequential(first):
        kind = "time-uniform, so that they hold at every number of seeds at once"
    elif isinstance(first, CrossedComparison):
        kind = "of the crossed t"
    elif not first.scope.independent:
        kind = "of the corrected t for splits that overlap"
    else:
        kind = "of the paired t"
    words = f"Intervals of differences are {kind}"
    if findings.metric.upper is not None and not _is_sequential(first):
        words += ", with score limits"
    if n > 1:
        words += f"; all {n} hold together ({level.removesuffix(' CI')})"
        words += "" if _is_sequential(first) else ", and p values are Holm-adjusted"
    return words


def _pair(findings: Findings) -> tuple[Any, Any]:
    first = findings.comparisons[0]
    return first.model_a, first.model_b


def _claim(findings: Findings) -> str:
    """What the interval of one model's mean reaches."""
    scope = findings.scope
    return scope.sentence(scope.claim(findings.source)).removesuffix(".")


def _looks(findings: Findings) -> list[str]:
    first = findings.comparisons[0]
    return cautions.look_words(
        (findings.margin, findings.alpha),
        (first.first_margin, first.first_alpha),
        first.earlier_looks,
        findings.metric,
        first.first_metric,
    )


def _tex_rows(table: _Table) -> str:
    def row(cells: tuple[str, ...]) -> str:
        shown = [_tex_cell(cell, side) for cell, side in zip(cells, table.align, strict=True)]
        return f"    {' & '.join(shown)} \\\\"

    heading = f"    {' & '.join(map(latex, table.headings))} \\\\"
    lines = [f"  \\begin{{tabular}}{{{table.align}}}", r"    \toprule", heading, r"    \midrule"]
    lines += map(row, table.rows)
    if table.end:
        lines += [r"    \midrule", *map(row, table.end)]
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}"])


def _tex_cell(cell: str, side: str) -> str:
    """Figures are on the right, and have a minus in place of a hyphen."""
    shown = latex(cell)
    if cell == "-":
        return "--"
    return _SIGNED.sub(lambda found: f"${found.group()}$", shown) if side == "r" else shown


def _md_rows(table: _Table) -> str:
    rule = ["---:" if side == "r" else "---" for side in table.align]
    rows = [tuple(map(markdown, row)) for row in (table.headings, *table.rows, *table.end)]
    rows.insert(1, tuple(rule))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


# The prose


def _citing(citations: tuple[Citation, ...]) -> Callable[..., str]:
    known = {one.key for one in citations}

    def cite(*keys: str) -> str:
        used = "; ".join(f"@{key}" for key in dict.fromkeys(keys) if key in known)
        return f" [{used}]" if used else ""

    return cite


def _names(findings: Findings) -> str:
    names = [markdown(model.name) for model in findings.models]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _material(findings: Findings) -> Iterator[str]:
    yield (
        f"Scores of {_names(findings)} ({markdown(findings.source)}, {findings.replicates}; "
        f"{findings.scope.replicate}) were analysed with functional\\_clf {VERSION} "
        "[@functional_clf]."
    )


def _training(findings: Findings, results: "Results", cite: Callable[..., str]) -> Iterator[str]:
    study, environment = results.study, results.environment
    (n_train, n_test), verb = study.sizes, "was" if len(findings.models) == 1 else "were"
    split = ", given apart" if study.dataset.has_own_test else cite("pedregosa2011")
    yield (
        f"{_names(findings)} {verb} trained on {markdown(findings.source)}, over "
        f"{findings.replicates} ({findings.scope.replicate}), each with {n_train} samples for "
        f"training and {n_test} for testing{split}."
    )
    if told := _preparation(study.dataset.describe):
        yield f"What each training part tells prepared the features ({markdown(told)})."
    for one in study.contestants:
        told = _plain_values(one.describe)
        yield f"{markdown(one.name)}: {markdown(_settings(told))}." if told else ""
    software = [f"functional\\_clf {_version(environment, 'functional_clf')} [@functional_clf]"]
    if study.recipes:
        software.append(f"torch {_version(environment, 'torch')}{cite('ansel2024')}")
    yield (
        f"All ran in {' and '.join(software)}, engine {results.engine.ran}, on "
        f"{markdown(results.device)}."
    )


def _plain_values(describe: Callable[[], Any]) -> dict[str, Any]:
    """What something says of itself; nothing where it cannot, as in a study without a folder."""
    with suppress(ValueError):
        told = describe()
        return told if isinstance(told, dict) else {}
    return {}


def _preparation(describe: Callable[[], Any]) -> str:
    told = _plain_values(describe).get("preparation")
    if not isinstance(told, dict):
        return ""
    return "; ".join(f"{what}: {how}" for what, how in told.items() if isinstance(how, str))


def _version(environment: Mapping[str, Any], name: str) -> str:
    return markdown(str(environment.get(name, "of a version that was not recorded")))


def _settings(told: dict[str, Any]) -> str:
    """The plain values of what a contestant says of itself, in a line."""
    if isinstance(classifier := told.get("classifier"), dict):
        versions = told.get("versions") or {}
        beside = [f"{name} {version}" for name, version in versions.items()]
        return ", ".join([str(classifier.get("class", told.get("kind"))), *beside])
    parts = [str(told.get("kind"))]
    for name, value in told.items():
        words = name.replace("_", " ")
        if isinstance(value, list | tuple) and all(isinstance(one, int | float) for one in value):
            parts.append(f"{words} {'-'.join(map(str, value))}")
        elif value and isinstance(value, str | int | float) and name not in _NO_SETTINGS:
            parts.append(f"{words} {value}")
    return ", ".join(parts)


def _statistics(findings: Findings, cite: Callable[..., str]) -> Iterator[str]:
    level = wording.confidence(findings.alpha).removesuffix(" CI")
    if findings.comparisons:
        first = findings.comparisons[0]
        if isinstance(first, CrossedComparison):
            yield from _crossing(first, level, cite)
        elif first.sequential:
            yield from _looking(level, cite)
        else:
            yield from _pairing(findings, first, level, cite)
        yield from _judging(findings, level, cite)
    if any(model.interval is not None for model in findings.models):
        each = ", for it alone" if len(findings.models) > 1 else ""
        yield f"The mean of a model has a {level} interval{cite(*keys_of_means(findings))}{each}."
    if findings.failure:
        yield f"{findings.failure}."


def _pairing(
    findings: Findings, first: Comparison, level: str, cite: Callable[..., str]
) -> Iterator[str]:
    words = findings.metric.words
    yield f"Models were compared by the mean of their paired differences in {words}."
    if first.scope.independent:
        interval = f"Its {level} interval is that of the paired t{cite('student1908')}"
    else:
        interval = (
            f"As splits of one data set overlap, its {level} interval is that of the corrected "
            f"resampled t{cite('nadeau2003')}, an approximation"
        )
    methods = [one.method for one in findings.comparisons if isinstance(one, Comparison)]
    if any(method.endswith("score limits") for method in methods):
        limits = cite("wilson1927", "newcombe1998", "zou2008", "korn1998")
        interval += f", widened by score limits near the bounds of the scale{limits}"
    if skewness := cite("johnson1978"):
        interval += f" and by what one test sample can change{skewness}"
    yield f"{interval}."
    if "bounded" in methods:
        yield "Where differences show no spread, a bounded interval takes its place."
    if "none" in methods:
        yield "Where differences show no spread, there is no interval, and so no verdict."
    if bounded := cite("waudbysmith2024"):
        yield (
            f"A bounded interval{bounded} also allows for failures too rare to have been seen, "
            "whatever the law of the differences."
        )
    if sign_flip := cite("fisher1935"):
        drawn = cite("phipson2010")
        signs = f", by random signs where there are too many to count all{drawn}" if drawn else ""
        yield f"Two-sided p values are of the sign-flip test{sign_flip}{signs}."
    else:
        yield "The p value is the smallest level at which this interval leaves out 0."
    yield f"Limits of rates are Clopper and Pearson's{cite('clopper1934')}."


def _looking(level: str, cite: Callable[..., str]) -> Iterator[str]:
    yield (
        "Models were compared by the mean of their paired differences, looked at seed by seed "
        f"until the verdict was settled. All {level} intervals are time-uniform"
        f"{cite('waudbysmith2024')}: they hold at every number of seeds at once. There are no p "
        "values."
    )


def _crossing(first: CrossedComparison, level: str, cite: Callable[..., str]) -> Iterator[str]:
    yield (
        "Every data seed was crossed with every initialisation seed. The mean difference in "
        f"accuracy has a standard error made of the variances between data seeds, between "
        f"initialisation seeds and of their interaction{cite('burdick1992')}, and a {level} t "
        f"interval with {first.df:g} degrees of freedom{cite('mickey1966')}"
    ) + (
        "."
        if first.interval is None
        else ", widened by score limits near the bounds of the scale"
        f"{cite('wilson1927', 'newcombe1998', 'zou2008', 'korn1998')}."
    )
    if components := cite("williams1962"):
        yield f"Intervals of the variances are Williams and Tukey's{components}."
    yield "The p value is the smallest level at which the interval leaves out 0."
    if rare := cite("clopper1934"):
        yield f"How rare an unseen failure may be is by Clopper and Pearson's limits{rare}."


def _judging(findings: Findings, level: str, cite: Callable[..., str]) -> Iterator[str]:
    n = len(findings.comparisons)
    if n > 1:
        adjusted = f"; p values are adjusted by Holm's method{cite('holm1979')}"
        yield (
            f"The intervals of all {n} comparisons hold together at {level}, as each has its "
            f"part of the error rate (Bonferroni){adjusted if _has_p(findings) else ''}."
        )
    if findings.mean is not None:
        own = "student1908" if findings.mean.method.startswith("t ") else "waudbysmith2024"
        yield (
            "The mean over data sets counts each as one, and has an interval over data sets"
            f"{cite(own)} at {level} of its own."
        )
    margin = wording.margin_size(findings.margin, findings.metric)
    yield (
        f"Verdicts hold the interval against a margin of {margin}{cite('walker2011')}: better or "
        "worse where all of it is beyond the margin, equivalent where all of it is within"
        f"{cite('schuirmann1987')} (better or worse but negligible where it leaves out 0, too), "
        "else inconclusive."
    )
    if _has_probability(findings):
        yield (
            "The probability of superiority is the share of pairs in which a model is the better "
            f"one, ties counting half{cite('vargha2000')}."
        )


def _has_probability(findings: Findings) -> bool:
    return any(isinstance(one, Comparison) for one in findings.comparisons)


def _found(findings: Findings) -> Iterator[str]:
    """What was found, a paragraph each, in plain text."""
    yield from (_model_words(model, findings) for model in findings.models)
    if not findings.comparisons:
        yield f"Scope: {_claim(findings)}."
        return
    if findings.mean is not None:
        yield findings.mean.conclusion
    sets = findings.data_sets or ("",) * len(findings.comparisons)
    for name, one in zip(sets, findings.comparisons, strict=True):
        on = f"On {name}: " if name else ""
        yield f"{on}{one.conclusion}{_superiority_words(one)}"
    told = "\n".join(one.conclusion for one in findings.comparisons)
    if findings.conclusion.startswith(told) and (more := findings.conclusion[len(told) :].strip()):
        yield more  # why it stopped where it did


def _model_words(model: ModelFigures, findings: Findings) -> str:
    metric = findings.metric
    if model.scores is None:
        return f"{model.name}: {metric.words} is not defined in any run."
    unit = " %" if metric.is_share else ""
    interval = ""
    if model.interval is not None:
        level = wording.confidence(findings.alpha)
        interval = f" ({level} {_ends(model.interval, metric)})"
    over = f" over {model.n} runs" + (" on all data sets" if findings.data_sets else "")
    failed = f"; failed {_failures(model)}" if findings.failure or model.failed else ""
    mean = figure_of(model.scores.mean, metric)
    text = f"{model.name}: mean {metric.words} {mean}{unit}{interval}{over}{failed}"
    return findings.scope.sentence(text)


def _superiority_words(one: AnyComparison) -> str:
    if isinstance(one, CrossedComparison):
        return ""
    found, level = one.superiority, wording.confidence(one.alpha)
    low, high = found.interval
    text = (
        f"Probability of superiority of {one.model_a.name}: {found.probability:.3f} ({level} "
        f"{low:.3f} to {high:.3f})"
    )
    reach = f", {one.scope.counts_reach}" if one.scope.counts_reach else ""
    return f" {one.scope.sentence(text + reach)}"
