import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import functional_clf.stats
from functional_clf.reports import citations
from functional_clf.reports.citations import citations_of
from functional_clf.reports.findings import findings_of_scores
from functional_clf.score_tables.comparing import compare_table
from functional_clf.score_tables.table import ScoreTable

SCORE_LIMITS = {"wilson1927", "newcombe1998", "zou2008", "korn1998"}
VERDICTS = {"schuirmann1987", "walker2011"}
PAIRS = VERDICTS | {"clopper1934", "vargha2000"}
OF_PAIRS = PAIRS | SCORE_LIMITS | {"student1908", "waudbysmith2024", "fisher1935"}
ONE_MEAN = {"student1908", "wilson1927", "korn1998", "johnson1978"}
CROSSED = {"burdick1992", "mickey1966", "williams1962"}
NETWORKS = {"ansel2024", "pedregosa2011", "functional_clf"}
EXPECTED: Mapping[str, set[str]] = {
    "two models": OF_PAIRS | {"johnson1978"} | NETWORKS,
    "initialisations": OF_PAIRS | {"johnson1978"} | NETWORKS,
    "one model": ONE_MEAN | NETWORKS,
    "one of splits": ONE_MEAN - {"student1908"} | {"nadeau2003"} | NETWORKS,
    # One pair shows no spread, so the bounded interval decides, and no mean has one.
    "one seed": PAIRS | {"waudbysmith2024", "fisher1935"} | NETWORKS,
    "crossed": CROSSED | SCORE_LIMITS | VERDICTS | NETWORKS,
    "five models": PAIRS | SCORE_LIMITS | {"johnson1978", "nadeau2003", "holm1979"} | NETWORKS,
    "baseline": PAIRS | SCORE_LIMITS | {"johnson1978", "nadeau2003", "holm1979"} | NETWORKS,
    "log loss": PAIRS | {"nadeau2003"} | NETWORKS,
    "until decided": VERDICTS | {"waudbysmith2024", "vargha2000"} | NETWORKS,
    "score file": OF_PAIRS | {"functional_clf"},
    "scores of splits": PAIRS | SCORE_LIMITS | {"johnson1978", "nadeau2003", "functional_clf"},
    "several data sets": OF_PAIRS | {"holm1979", "functional_clf"},
    "two equal columns": PAIRS | {"waudbysmith2024", "fisher1935", "functional_clf"},
}


def entries(text):
    """The BibTeX entries of a text: a type, a key, and fields; fails where it is not BibTeX."""
    found, rest = [], text.strip()
    while rest:
        head = re.match(r"@([a-z]+)\{([a-z0-9_]+),\n", rest)
        assert head, rest[:80]
        rest, fields = rest[head.end() :], {}
        while not rest.startswith("}"):
            name = re.match(r"  ([a-z]+) = ", rest)
            assert name, rest[:80]
            value, rest = braced(rest[name.end() :])
            assert name[1] not in fields
            fields[name[1]] = value
            rest = rest.removeprefix(",").removeprefix("\n")
        found.append((head[1], head[2], fields))
        rest = rest[1:].strip()
    return found


def braced(text):
    assert text.startswith("{")
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[1:at], text[at + 1 :]
    raise AssertionError(f"no end of {text[:40]}")


@pytest.mark.parametrize("kind", EXPECTED)
def test_just_the_methods_that_were_used_are_cited(kind, made):
    findings, results = made(kind)
    assert {one.key for one in citations_of(findings, results)} == EXPECTED[kind]


def test_entries_are_bibtex_with_keys_of_their_own(each_kind):
    _, findings, results = each_kind
    cited = citations_of(findings, results)
    found = entries("\n\n".join(one.bibtex for one in cited))
    assert [key for _, key, _ in found] == [one.key for one in cited]
    assert len({key for _, key, _ in found}) == len(found)
    for (_, key, fields), one in zip(found, cited, strict=True):
        assert one.what_for
        assert one.text.isascii()
        assert one.text.count(". ") >= 1
        assert all(value and value.isascii() for value in fields.values())
        if key != "functional_clf":
            assert fields["year"] in one.text
            assert fields["author"].split(",")[0].split(" and ")[0] in one.text


def test_every_source_is_named_by_a_docstring_or_is_software():
    software = {"ansel2024", "pedregosa2011", "functional_clf"}
    named = ""
    for module in modules_of_stats():
        for block in re.findall(r"Source:\n(.*?)(?:\n\n|\"\"\")", module, re.S):
            named += re.sub(r"\s+", " ", block)
    for key, source in citations._SOURCES.items():
        if key not in software:
            assert source.authors[0].split(",")[0] in named
            assert f"({source.year})" in named


def modules_of_stats():
    folder = Path(functional_clf.stats.__file__).parent
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))]


def test_many_seeds_draw_random_signs_and_say_whose_p_that_is(made):
    rng = np.random.default_rng(0)
    scores = {name: rng.uniform(0.5, 0.9, 30) for name in "ab"}
    table = ScoreTable(scores, np.arange(30))
    keys = [one.key for one in citations_of(findings_of_scores(table, compare_table(table)))]
    assert "phipson2010" in keys
    assert "phipson2010" not in [one.key for one in citations_of(made("score file")[0])]


def test_software_has_the_versions_of_the_record(made):
    findings, results = made("five models")
    notes = {key: fields.get("note") for _, key, fields in bibliography(findings, results)}
    assert notes["ansel2024"] == f"Version {results.environment['torch']}"
    versions = results.study.contestants[0].describe()["versions"]
    assert notes["pedregosa2011"] == f"Version {versions['scikit-learn']}"
    assert notes["functional_clf"] == f"Version {results.environment['functional_clf']}"


def bibliography(findings, results):
    return entries("\n".join(one.bibtex for one in citations_of(findings, results)))


def test_a_version_cannot_break_out_of_its_entry(made):
    findings, results = made("two models")
    environment = {"torch": "2}\n@misc{evil, title={x}", "functional_clf": "\\input{x}"}
    forged = dataclasses.replace(results, environment=environment)
    notes = {key: fields.get("note") for _, key, fields in bibliography(findings, forged)}
    assert set(notes) == EXPECTED["two models"]
    assert not set("\\{}@\n") & set(notes["ansel2024"] + notes["functional_clf"])
