"""What to cite: the sources of the methods that some findings were made by, and the software.

Each source is named by the docstring of the function that is made after it. A field of one that
could not be checked against another place is left out.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from functional_clf.reports.findings import AnyComparison, Findings
from functional_clf.stats import Comparison, CrossedComparison, cautions
from functional_clf.stats.scopes import CROSSED
from functional_clf.support.text import printable
from functional_clf.version import VERSION

if TYPE_CHECKING:
    from functional_clf.study.results import Results


@dataclass(frozen=True)
class Citation:
    """A source, and what it was used for.

    Attributes:
        key: of the BibTeX entry.
        text: the source as a list of references has it, in plain ASCII text.
        bibtex: the entry, without a line end.
        what_for: the methods that were used, as in "the t interval".
    """

    key: str
    text: str
    bibtex: str
    what_for: str


class _Use(NamedTuple):
    key: str
    what_for: str
    version: str = ""


@dataclass(frozen=True)
class _Source:
    """What is known of a source; `fields` are BibTeX's, braces around what keeps its capitals."""

    kind: str
    authors: tuple[str, ...]
    year: str
    fields: dict[str, str] = field(default_factory=dict)


def citations_of(findings: Findings, results: "Results | None" = None) -> tuple[Citation, ...]:
    """Return the sources of the methods that these findings used, and of no others.

    Args:
        findings: of a study, or of scores.
        results: of the study, whose software is then cited, too, with the versions on record.

    Returns:
        One a source, in the order of their use; this package is the last.

    Source:
        The "Source:" of the functions of `functional_clf.stats` that each method is made by.

    Example:
        >>> import numpy as np
        >>> from functional_clf.reports.findings import findings_of_scores
        >>> from functional_clf.score_tables.comparing import compare_table
        >>> from functional_clf.score_tables.table import ScoreTable
        >>> scores = {"flat": np.array([0.5, 0.6, 0.5]), "deep": np.array([0.9, 0.8, 0.9])}
        >>> table = ScoreTable(scores, np.arange(3), metric="log_loss", margin=0.1)
        >>> found = citations_of(findings_of_scores(table, compare_table(table)))
        >>> [one.key for one in found]  # doctest: +NORMALIZE_WHITESPACE
        ['student1908', 'fisher1935', 'clopper1934', 'vargha2000', 'schuirmann1987', 'walker2011',
         'functional_clf']
        >>> print(found[1].text)
        Fisher, R. A. (1935). The Design of Experiments. Oliver and Boyd, Edinburgh.
    """
    uses = [use for one in findings.comparisons for use in _of_comparison(one)]
    uses += [*_of_means(findings), *_of_data_sets(findings), *_of_software(results)]
    purposes: dict[str, list[str]] = {}
    versions: dict[str, str] = {}
    for use in uses:
        told = purposes.setdefault(use.key, [])
        if use.what_for not in told:
            told.append(use.what_for)
        versions.setdefault(use.key, use.version)
    return tuple(_citation(key, "; ".join(told), versions[key]) for key, told in purposes.items())


def keys_of_means(findings: Findings) -> tuple[str, ...]:
    """Return the sources of the intervals of the models' means; of scores there are none."""
    return tuple(use.key for use in _of_means(findings))


def _of_comparison(one: AnyComparison) -> Iterator[_Use]:
    if isinstance(one, CrossedComparison):
        yield from _of_crossed(one)
    else:
        yield from _of_paired(one)
    yield _Use("schuirmann1987", "equivalence within a margin")
    yield _Use("walker2011", "verdicts by the interval against a margin")


def _of_paired(one: Comparison) -> Iterator[_Use]:
    if not one.scope.independent:
        yield _Use("nadeau2003", "the corrected t interval and test for splits that overlap")
    elif one.method.startswith("paired t"):
        yield _Use("student1908", "the paired t interval")
    if one.method.endswith("score limits"):
        yield from _of_score_limits()
    if one.step is not None and " t" in one.method:
        yield _Use("johnson1978", "what one test sample can change, in the t interval")
    if one.sequential:
        yield _Use("waudbysmith2024", "time-uniform intervals, for seeds looked at as they came")
    elif one.bounded_interval is not None:
        yield _Use("waudbysmith2024", "the bounded interval, by betting")
    if one.sign_flip_pvalue is not None:
        yield _Use("fisher1935", "the sign-flip test")
        n_signs = one.superiority.wins + one.superiority.losses
        if n_signs and one.smallest_pvalue != 2.0 ** (1 - n_signs):  # not all signs were counted
            yield _Use("phipson2010", "its p value from random signs")
    if one.holm_pvalue is not None:
        yield _Use("holm1979", "p values adjusted for the number of comparisons")
    if not one.sequential:
        yield _Use("clopper1934", "limits of the rates of failures and of wins")
    yield _Use("vargha2000", "the probability of superiority")


def _of_crossed(one: CrossedComparison) -> Iterator[_Use]:
    yield from _of_crossed_mean()
    if one.interval is not None:
        yield from _of_score_limits()
    if one.components_difference.data.interval is not None:
        yield _Use("williams1962", "the intervals of the variance components")
    seen = {"data seeds": one.n_data_seeds, "initialisation seeds": one.n_init_seeds}
    if cautions.unseen_words(one.interval, one.margin, seen, one.alpha):
        yield _Use("clopper1934", "how rare a collapse may be and unseen")


def _of_crossed_mean() -> Iterator[_Use]:
    yield _Use("burdick1992", "the variance components of a crossed design and its standard error")
    yield _Use("mickey1966", "its degrees of freedom")


def _of_score_limits() -> Iterator[_Use]:
    yield _Use("wilson1927", "score limits of a mean score near its bounds")
    yield _Use("newcombe1998", "score limits of a paired difference")
    yield _Use("zou2008", "limits of a difference from those of both means (MOVER)")
    yield _Use("korn1998", "the effective number of samples of a score limit")


def _of_means(findings: Findings) -> Iterator[_Use]:
    """What the intervals of the models' means are made by; as of differences from nothing."""
    if all(model.interval is None for model in findings.models):
        return
    if any(getattr(one, "sequential", False) for one in findings.comparisons):
        yield _Use("waudbysmith2024", "the intervals of the models' means")
        return
    if findings.scope == CROSSED:
        yield from _of_crossed_mean()
        return
    splits = not findings.scope.independent
    yield _Use("nadeau2003" if splits else "student1908", "the t intervals of the models' means")
    if findings.metric.upper is not None:
        yield _Use("wilson1927", "score limits of a mean score near its bounds")
        yield _Use("korn1998", "the effective number of samples of a score limit")
        yield _Use("johnson1978", "what one test sample can change, in the t interval")


def _of_data_sets(findings: Findings) -> Iterator[_Use]:
    if findings.mean is None:
        return
    if findings.mean.method == "bounded":
        yield _Use("waudbysmith2024", "the bounded interval of the mean over data sets")
    elif findings.mean.interval is not None or findings.mean.pvalue is not None:
        yield _Use("student1908", "the t interval of the mean over data sets")


def _of_software(results: "Results | None") -> Iterator[_Use]:
    if results is None:
        yield _Use("functional_clf", "all statistics", VERSION)
        return
    study, environment = results.study, results.environment
    if study.recipes:
        yield _Use("ansel2024", "training of networks", str(environment.get("torch", "")))
    told: dict[str, str] = {}
    for one in study.contestants:
        with suppress(ValueError):  # what cannot describe itself may be studied, too
            told |= one.describe().get("versions", {})
    if "scikit-learn" in told:
        yield _Use("pedregosa2011", "classifiers", str(told["scikit-learn"]))
    if study.dataset.is_table:
        yield _Use("pedregosa2011", "preparation of the data")
    if not study.dataset.has_own_test:
        yield _Use("pedregosa2011", "splits of the data")
    own = str(environment.get("functional_clf", VERSION))
    yield _Use("functional_clf", "training, comparison and report", own)


def _citation(key: str, what_for: str, version: str) -> Citation:
    source = _SOURCES[key]
    version = printable(version)
    fields = {"author": " and ".join(source.authors), **source.fields, "year": source.year}
    if version:
        fields["note"] = "Version " + _bibtex_text(version)
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    bibtex = ",\n".join([f"@{source.kind}{{{key}", *lines]) + "\n}"
    return Citation(key, _reference(source, version), bibtex, what_for)


def _reference(source: _Source, version: str) -> str:
    """The source in one line of plain text."""
    fields = {name: _plain(value) for name, value in source.fields.items()}
    authors = list(source.authors)
    if authors[-1:] == ["others"]:
        authors = [", ".join(authors[:-1]) + ", et al."]
    elif len(authors) > 1:
        authors = [", ".join(authors[:-1]) + " and " + authors[-1]]
    who = _plain("".join(authors))
    parts = [f"{who} ({source.year})" if who and source.year else who or ""]
    parts.append(fields.get("title", ""))
    place = fields.get("journal") or fields.get("booktitle") or fields.get("publisher", "")
    if "volume" in fields:
        place += f" {fields['volume']}"
    if "number" in fields:
        place += f"({fields['number']})"
    if "pages" in fields:
        place += f", {fields['pages'].replace('--', '-')}"
    if "address" in fields:
        place += f", {fields['address']}"
    parts += [place, fields.get("howpublished", ""), f"Version {version}" if version else ""]
    text = ". ".join(part for part in parts if part)
    return f"{text}. doi:{fields['doi']}" if "doi" in fields else f"{text}."


def _plain(text: str) -> str:
    return text.replace("{", "").replace("}", "").replace("\\_", "_")


def _bibtex_text(text: str) -> str:
    """A version, which a record tells and so may be anybody's text, as BibTeX can hold it."""
    return "".join(letter if letter.isalnum() or letter in ".+- " else "?" for letter in text)


_SOURCES = {
    "student1908": _Source(
        "article", ("Student",), "1908",
        {
            "title": "The probable error of a mean", "journal": "Biometrika", "volume": "6",
            "number": "1", "pages": "1--25", "doi": "10.1093/biomet/6.1.1",
        },
    ),
    "wilson1927": _Source(
        "article", ("Wilson, E. B.",), "1927",
        {
            "title": "Probable inference, the law of succession, and statistical inference",
            "journal": "Journal of the American Statistical Association", "volume": "22",
            "number": "158", "pages": "209--212", "doi": "10.1080/01621459.1927.10502953",
        },
    ),
    "newcombe1998": _Source(
        "article", ("Newcombe, R. G.",), "1998",
        {
            "title": "Improved confidence intervals for the difference between binomial "
            "proportions based on paired data",
            "journal": "Statistics in Medicine", "volume": "17", "number": "22",
            "pages": "2635--2650",
        },
    ),
    "zou2008": _Source(
        "article", ("Zou, G. Y.", "Donner, A."), "2008",
        {
            "title": "Construction of confidence limits about effect measures: a general approach",
            "journal": "Statistics in Medicine", "volume": "27", "number": "10",
            "pages": "1693--1702", "doi": "10.1002/sim.3095",
        },
    ),
    "korn1998": _Source(
        "article", ("Korn, E. L.", "Graubard, B. I."), "1998",
        {
            "title": "Confidence intervals for proportions with small expected number of positive "
            "counts estimated from survey data",
            "journal": "Survey Methodology", "volume": "24", "number": "2", "pages": "193--201",
        },
    ),
    "johnson1978": _Source(
        "article", ("Johnson, N. J.",), "1978",
        {
            "title": "Modified t tests and confidence intervals for asymmetrical populations",
            "journal": "Journal of the American Statistical Association", "volume": "73",
            "pages": "536--544",
        },
    ),
    "waudbysmith2024": _Source(
        "article", ("Waudby-Smith, Ian", "Ramdas, Aaditya"), "2024",
        {
            "title": "Estimating means of bounded random variables by betting",
            "journal": "Journal of the Royal Statistical Society Series {B}: Statistical "
            "Methodology",
            "volume": "86", "number": "1", "pages": "1--27", "doi": "10.1093/jrsssb/qkad009",
        },
    ),
    "nadeau2003": _Source(
        "article", ("Nadeau, C.", "Bengio, Y."), "2003",
        {
            "title": "Inference for the generalization error", "journal": "Machine Learning",
            "volume": "52", "number": "3", "pages": "239--281", "doi": "10.1023/A:1024068626366",
        },
    ),
    "burdick1992": _Source(
        "book", ("Burdick, Richard K.", "Graybill, Franklin A."), "1992",
        {
            "title": "Confidence Intervals on Variance Components",
            "publisher": "Marcel Dekker", "address": "New York",
        },
    ),
    "mickey1966": _Source(  # title and initials were not to be checked anywhere
        "article", ("Mickey", "Brown"), "1966",
        {
            "journal": "Annals of Mathematical Statistics", "volume": "37", "pages": "639--642",
        },
    ),
    "williams1962": _Source(
        "article", ("Williams",), "1962",
        {
            "title": "A confidence interval for variance components", "journal": "Biometrika",
            "volume": "49", "pages": "278--281",
        },
    ),
    "fisher1935": _Source(
        "book", ("Fisher, R. A.",), "1935",
        {
            "title": "The Design of Experiments", "publisher": "Oliver and Boyd",
            "address": "Edinburgh",
        },
    ),
    "phipson2010": _Source(
        "article", ("Phipson, Belinda", "Smyth, Gordon K."), "2010",
        {
            "title": "Permutation {P}-values should never be zero: calculating exact {P}-values "
            "when permutations are randomly drawn",
            "journal": "Statistical Applications in Genetics and Molecular Biology",
            "volume": "9", "number": "1", "pages": "39", "doi": "10.2202/1544-6115.1585",
        },
    ),
    "holm1979": _Source(
        "article", ("Holm, S.",), "1979",
        {
            "title": "A simple sequentially rejective multiple test procedure",
            "journal": "Scandinavian Journal of Statistics", "volume": "6", "number": "2",
            "pages": "65--70",
        },
    ),
    "clopper1934": _Source(
        "article", ("Clopper, C. J.", "Pearson, E. S."), "1934",
        {
            "title": "The use of confidence or fiducial limits illustrated in the case of the "
            "binomial",
            "journal": "Biometrika", "volume": "26", "number": "4", "pages": "404--413",
            "doi": "10.1093/biomet/26.4.404",
        },
    ),
    "vargha2000": _Source(
        "article", ("Vargha, A.", "Delaney, H. D."), "2000",
        {
            "title": "A critique and improvement of the {CL} common language effect size "
            "statistics of {McGraw} and {Wong}",
            "journal": "Journal of Educational and Behavioral Statistics", "volume": "25",
            "number": "2", "pages": "101--132", "doi": "10.3102/10769986025002101",
        },
    ),
    "schuirmann1987": _Source(
        "article", ("Schuirmann, D. J.",), "1987",
        {
            "title": "A comparison of the two one-sided tests procedure and the power approach for "
            "assessing the equivalence of average bioavailability",
            "journal": "Journal of Pharmacokinetics and Biopharmaceutics", "volume": "15",
            "number": "6", "pages": "657--680", "doi": "10.1007/BF01068419",
        },
    ),
    "walker2011": _Source(
        "article", ("Walker, E.", "Nowacki, A. S."), "2011",
        {
            "title": "Understanding equivalence and noninferiority testing",
            "journal": "Journal of General Internal Medicine", "volume": "26", "number": "2",
            "pages": "192--196", "doi": "10.1007/s11606-010-1513-8",
        },
    ),
    "ansel2024": _Source(
        "inproceedings",
        (
            "Ansel, Jason", "Yang, Edward", "He, Horace", "Gimelshein, Natalia", "Jain, Animesh",
            "Voznesensky, Michael", "others",
        ),
        "2024",
        {
            "title": "{PyTorch} 2: Faster machine learning through dynamic {Python} bytecode "
            "transformation and graph compilation",
            "booktitle": "Proceedings of the 29th {ACM} International Conference on Architectural "
            "Support for Programming Languages and Operating Systems, Volume 2",
            "pages": "929--947", "doi": "10.1145/3620665.3640366",
        },
    ),
    "pedregosa2011": _Source(
        "article",
        (
            "Pedregosa, F.", "Varoquaux, G.", "Gramfort, A.", "Michel, V.", "Thirion, B.",
            "Grisel, O.", "Blondel, M.", "Prettenhofer, P.", "Weiss, R.", "Dubourg, V.",
            "Vanderplas, J.", "Passos, A.", "Cournapeau, D.", "Brucher, M.", "Perrot, M.",
            "Duchesnay, E.",
        ),
        "2011",
        {
            "title": "Scikit-learn: Machine learning in {Python}",
            "journal": "Journal of Machine Learning Research", "volume": "12",
            "pages": "2825--2830",
        },
    ),
    "functional_clf": _Source(  # names no author and no year
        "misc", (), "",
        {
            "key": "functional\\_clf", "title": "{functional\\_clf}",
            "howpublished": "Python package",
        },
    ),
}  # fmt: skip
