"""The notebooks of `examples/`: kept without outputs, run as they stand, true to their words."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples"
NAMES = ("lesson", "own_network", "table")
LONGEST_SECONDS = 300

CLAIMS = {
    "lesson": [
        ("`model_1` is **better**", r"^'better'$"),
        ("`model_0` fails with every seed", r"model_0 failed 16 of 16"),
        ("A few say that it is no better", r"\n[34]\d seeds say that wide is better, \d+ do"),
        ("or that `narrow` is", r" [1-9]\d? loss"),
        ("The verdict is **better**", r"wide against narrow\|Verdict: better"),
        ("new data from these circles", r"Scope: new data from circles\(400, noise 0.15"),
        ("A single seed is wrong now and then", r"to narrow point [1-9]\S* % of single seeds"),
        ("nearly\nalways", r"and 0 % of draws of 20|\|20\|0\|"),
    ],
    "own_network": [
        ("Three variants make three pairs", r"over all 3 comparisons together"),
        ("adjusted by\nHolm's method", r"Holm p"),
        ("keeps every finished chunk", r"on spirals\(600"),
        ("in LaTeX", r"\\begin\{tabular\}"),
        ("the trained network of one seed", r"<All keys matched|the network of seed 3"),
    ],
    "table": [
        ("logistic regression", r"LogisticRegression"),
        ("so they are not independent", r"on new splits of this one data set only"),
        ("new data\nsets of this size", r"Scope: new data sets of this size from breast_cancer"),
        ("no number of splits can decide", r"No number is known to be enough"),
        ("it says that it was chosen after looking", r"The metric was changed after looking"),
        ("only more rows help", r"only more data would help"),
    ],
}  # fmt: skip
"""What the text of each says, and what its outputs then hold."""


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def text_of(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def outputs_of(notebook):
    """All that the cells show, as lines of text."""
    shown = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            told = data.get("text/html") or data.get("text/plain") or output.get("text", "")
            shown.append(re.sub(r"<[^>]+>", "|", told))
    return re.sub(r"\|+", "|", "\n".join(shown))


def test_every_notebook_is_tried():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)
    assert sorted(CLAIMS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 20_000


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_short_and_says_that_its_seeds_are_few(name):
    notebook = read(name)
    text = text_of(notebook)
    assert text.startswith("# ")
    assert re.search("seeds and epochs are few|seeds are few", text, re.IGNORECASE)
    assert all(len(cell.source.splitlines()) <= 15 for cell in notebook.cells)
    for words, _ in CLAIMS[name]:
        assert words in text


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_shows_what_its_text_says(name, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = read(name)
    strict, lenient = (
        nbformat.v4.new_code_cell(f"import warnings; warnings.simplefilter('{action}')")
        for action in ("error", "ignore")  # what ends a kernel warns of its own ways
    )
    notebook.cells = [strict, *notebook.cells, lenient]
    client = NotebookClient(
        notebook,
        timeout=LONGEST_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    shown = outputs_of(notebook)
    for _, wanted in CLAIMS[name]:
        assert re.search(wanted, shown, re.MULTILINE), wanted
    errors = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.get("name") == "stderr"
    ]
    assert errors == []
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == (2 if name == "lesson" else 0)
