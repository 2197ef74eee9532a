"""What a run leaves in its folder besides the database: the one list of it.

Everything here is made from the database and can be made again. Needs neither torch nor matplotlib.
"""

from collections.abc import Iterable
from pathlib import Path

from functional_clf.record.names import params_name
from functional_clf.reports.pictures import NAMES

STUDY_FILE = "study.toml"
EXPORTS = ("results.json", "seeds.csv", "seeds.parquet", STUDY_FILE)
PAGE = "report.html"
PAPERS = ("table.tex", "table.md", "methods.md")


def plot_files(folder: Path) -> list[Path]:
    """Where a run folder's pictures are, or would be: all that any results have.

    Example:
        >>> [path.stem for path in plot_files(Path("out"))]
        ['data', 'classes', 'curves', 'accuracies', 'boundaries', 'confusion']
    """
    return [folder / "plots" / f"{name}.png" for name in NAMES]


def report_files(folder: Path) -> list[Path]:
    """Where a run folder's report is, or would be: the page, and what is for papers.

    Example:
        >>> [path.name for path in report_files(Path("out"))]
        ['report.html', 'table.tex', 'table.md', 'methods.md']
    """
    return [folder / name for name in (PAGE, *PAPERS)]


def params_files(folder: Path, models: Iterable[str]) -> list[Path]:
    """Where these models' exported weights are, or would be.

    Example:
        >>> [str(path) for path in params_files(Path("out"), ["model_1"])]
        ['out/params/model_1.safetensors']
    """
    return [folder / "params" / params_name(model) for model in models]


def derived_files(folder: Path, models: Iterable[str]) -> list[Path]:
    """Everything that a run may leave in its folder besides the database.

    Example:
        >>> len(derived_files(Path("out"), ["model_0", "model_1"]))
        16
    """
    exports = [folder / name for name in EXPORTS]
    made = [*report_files(folder), *plot_files(folder)]
    return [*exports, *made, *params_files(folder, models)]
