"""What a gate leaves for a pipeline: JUnit XML, and a summary in Markdown."""

import xml.etree.ElementTree as ET

from functional_clf.score_tables.gate import GateResult
from functional_clf.stats import clauses, wording
from functional_clf.stats.metrics import named
from functional_clf.support.text import printable

MARKS = {"not worse": "passed", "worse": "failed", "undecided": "undecided"}


def junit_xml(result: GateResult) -> bytes:
    """A test suite of one case: a failure where the run is worse, skipped where undecided.

    Example:
        >>> import numpy as np
        >>> from functional_clf.score_tables.gate import Side, gate
        >>> from functional_clf.score_tables.table import ScoreTable
        >>> rise = np.arange(9) / 60
        >>> table = ScoreTable({"old": rise, "new": 0.8 + rise / 2}, np.arange(9), scope="data")
        >>> 'failures="0"' in junit_xml(gate(Side(table, "new"), Side(table, "old"))).decode()
        True
    """
    counts = {
        "tests": "1",
        "failures": str(int(result.outcome == "worse")),
        "errors": "0",
        "skipped": str(int(result.outcome == "undecided")),
    }
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": "functional-clf check", **counts})
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": "functional_clf.check",
            "name": printable(f"{result.run} is not worse than {result.baseline}"),
            "time": "0",
        },
    )
    line = printable(result.line)
    if result.outcome == "worse":
        ET.SubElement(case, "failure", {"message": line, "type": "worse"}).text = line
    elif result.outcome == "undecided":
        ET.SubElement(case, "skipped", {"message": line})
    told = [line, *(printable(f"Doubt: {doubt}.") for doubt in result.doubts)]
    ET.SubElement(case, "system-out").text = "\n".join(told)
    ET.indent(suites)
    return ET.tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n"


def markdown(result: GateResult) -> str:
    """A summary for a pull request.

    Example:
        >>> import numpy as np
        >>> from functional_clf.score_tables.gate import Side, gate
        >>> from functional_clf.score_tables.table import ScoreTable
        >>> rise = np.arange(9) / 60
        >>> table = ScoreTable({"old": rise, "new": 0.8 + rise / 2}, np.arange(9), scope="data")
        >>> markdown(gate(Side(table, "new"), Side(table, "old"))).splitlines()[0]
        '### passed: new against old'
    """
    metric = named(result.metric)
    least = None
    if result.interval is not None:
        least = wording.decimals(result.interval, result.margin, metric)
    shown = wording.decimals_shown(result.estimate, least, metric)
    unit = " pp" if metric.is_share else ""
    ends = "none"
    if result.interval is not None:
        ends = clauses.ends(result.interval, 0.0, result.margin, metric) + unit
    better = "more" if metric.higher_is_better else "less"
    rows = {
        "run": result.run,
        "baseline": result.baseline,
        "metric": f"{metric.words} ({better} is better)",
        "difference": f"{wording.amount(result.estimate, shown, metric)}{unit}",
        wording.confidence(result.alpha): ends,
        "margin": wording.margin_size(result.margin, metric),
        "seeds": f"{result.n_run} and {result.n_baseline}, "
        f"{'paired' if result.is_paired else 'not paired'}",
    }
    lines = [
        f"### {MARKS[result.outcome]}: {_plain(result.run)} against {_plain(result.baseline)}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {_plain(name)} | {_plain(value)} |" for name, value in rows.items()),
        "",
        f"{_plain(result.line)}",
    ]
    if result.doubts:
        lines += ["", "Doubts:", "", *(f"- {_plain(doubt)}" for doubt in result.doubts)]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """A text of which nothing is markup."""
    shown = printable(text)
    for mark in "\\`*_|<>[]#":
        shown = shown.replace(mark, f"\\{mark}")
    return shown
