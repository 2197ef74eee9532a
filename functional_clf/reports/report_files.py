"""The files of a report: the page, and what is for papers; made of results, and left if they hold.

The page's last line says what it was made of, so that a report that holds is not made again.
Jinja2 is not imported before a page is made.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functional_clf.reports.outputs import PAGE, PAPERS
from functional_clf.reports.pictures import NotPicturedError, reason_of
from functional_clf.support.arguments import path_of
from functional_clf.support.files import open_plain, write_whole
from functional_clf.version import VERSION

if TYPE_CHECKING:
    from functional_clf.reports.gathering import Gathered
    from functional_clf.study.results import Results

logger = logging.getLogger("functional_clf")

_SIGNED = b"<!-- functional_clf "
_PASSING = ("timings", "engine", "self_calibration")
"""Of results.json: what is of one run, and not of the results."""
_ASKED_NOW = ("plots = ", "report = ")
"""Of study.toml, likewise."""


def made_of(content: str, told: Mapping[str, Any], study_file: str) -> str:
    """A digest of all that a report is made of: the results, the study's file, and the code.

    Args:
        content: a digest of what the pictures show, from `plots.content_of`.
        told: from `tables.results_dict`.
        study_file: what stands in study.toml.
    """
    lasting = {key: value for key, value in told.items() if key not in _PASSING}
    said = [line for line in study_file.splitlines() if not line.startswith(_ASKED_NOW)]
    digest = hashlib.blake2b(digest_size=16)
    here = Path(__file__).parent
    sources = sorted([*here.rglob("*.py"), *here.rglob("page.*")])
    parts = [content, VERSION, json.dumps(lasting), *said]
    for part in [*(one.encode("utf-8", "backslashreplace") for one in parts), *map(_read, sources)]:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def report_of(
    gathered: "Gathered", told: Mapping[str, Any], study_file: str, mark: str
) -> dict[str, bytes]:
    """A study's report as contents of files by name.

    A report that cannot be made costs no results: a line of the log says why, and there is none.

    Args:
        gathered: what its pictures show, and its results.
        told: from `tables.results_dict`.
        study_file: what stands in its study.toml; empty where it has none.
        mark: from `made_of`.
    """
    try:
        page, pictures = _page_of(gathered, told, study_file)
        files = {PAGE: page, **papers_of(gathered.results)}
    except Exception as error:  # hours of training are not lost by it
        logger.warning("no report is made: %s", reason_of(error))
        return {}
    failed = [one for one in pictures.values() if isinstance(one, Exception)]
    if all(isinstance(one, NotPicturedError) for one in failed):
        files[PAGE] = _signed(files, mark)
    return files


def write_report(results: "Results", folder: str | Path, papers: bool = True) -> list[Path]:
    """Write report.html, one page to send on, and beside it what is for papers.

    Each file appears whole or not at all.

    Args:
        results: of a study.
        folder: where to; it is made where it is not there.
        papers: whether to write table.tex, table.md and methods.md, too.

    Returns:
        The files, the page first.

    Raises:
        OSError: when the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> from functional_clf import Study, circles, model_0
        >>> results = Study(circles(60), [model_0(epochs=2)], 2, engine="eager").run()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in write_report(results, folder)]
        ['report.html', 'table.tex', 'table.md', 'methods.md']
    """
    from functional_clf.reports.gathering import Gathered
    from functional_clf.reports.tables import results_dict

    folder = path_of("folder", folder)
    page, _ = _page_of(Gathered(results), results_dict(results), study_file="")
    files = {PAGE: page, **(papers_of(results) if papers else {})}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    return [folder / name for name in files]


def _page_of(
    gathered: "Gathered", told: Mapping[str, Any], study_file: str
) -> tuple[bytes, Mapping[str, Any]]:
    """The page of a study, and the pictures on it by name; in place of one what kept it away."""
    from functional_clf.reports.page import PICTURED, study_page

    pictures = {name: gathered(name) for name in gathered.names if name in PICTURED}
    return study_page(gathered.results, pictures, told, study_file).encode("utf-8"), pictures


def papers_of(results: Any) -> dict[str, bytes]:
    """The files for papers of a study, by name."""
    from functional_clf.reports.findings import findings_of
    from functional_clf.reports.papers import paper_files

    files = paper_files(findings_of(results), results)
    return {name: text.encode("utf-8") for name, text in files.items()}


def scores_files(table: Any, found: Any, page: str) -> dict[str, bytes]:
    """The files of a report of scores, by name.

    Args:
        table: the scores.
        found: `compare_table` of them.
        page: from `page.scores_page`.
    """
    from functional_clf.reports.findings import findings_of_scores
    from functional_clf.reports.papers import paper_files

    papers = paper_files(findings_of_scores(table, found))
    return {name: text.encode("utf-8") for name, text in {PAGE: page, **papers}.items()}


def named_files(page: Path, files: Mapping[str, bytes], papers: bool = True) -> dict[Path, bytes]:
    """Where the files of a report go: what is for papers beside the page, and named after it.

    Args:
        page: where the page goes.
        files: by their names in a run folder.
        papers: whether those for papers are wanted.

    Example:
        >>> [str(path) for path in named_files(Path("a.html"), {PAGE: b"", "table.md": b""})]
        ['a.html', 'a.table.md']
    """
    stem = page.stem.removesuffix("report").removesuffix(".")
    start = f"{stem}." if stem else ""
    return {
        page if name == PAGE else page.with_name(f"{start}{name}"): content
        for name, content in files.items()
        if papers or name == PAGE
    }


def is_standing(folder: Path, mark: str) -> bool:
    """Whether the report in a folder is just what would be made now.

    Example:
        >>> is_standing(Path("no such folder"), "0")
        False
    """
    try:
        files = {}
        for name in (PAGE, *PAPERS):
            with contextlib.suppress(FileNotFoundError), open_plain(folder / name) as file:
                files[name] = file.read()
    except OSError:
        return False
    if PAGE not in files:
        return False
    files[PAGE] = files[PAGE].rpartition(_SIGNED)[0]
    there = files.pop(PAGE)
    return bool(there) and _signed({PAGE: there, **files}, mark) == _whole(folder / PAGE)


def _signed(files: Mapping[str, bytes], mark: str) -> bytes:
    """The page with a last line that says what it was made of, and what else was made with it."""
    told = {name: hashlib.blake2b(files[name], digest_size=16).hexdigest() for name in files}
    return (
        files[PAGE]
        + _SIGNED
        + json.dumps({"of": mark, **told}, sort_keys=True).encode()
        + b" -->\n"
    )


def _whole(path: Path) -> bytes:
    with open_plain(path) as file:
        return file.read()


def _read(path: Path) -> bytes:
    return path.read_bytes()
