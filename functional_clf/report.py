"""What a study leaves for people and for programs: tables, results.json, seeds.csv and .parquet."""

import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table

from functional_clf.folder import write_whole
from functional_clf.stats import CrossedComparison, SelfCalibration
from functional_clf.study import Results

FORMAT = 1
"""Of results.json; raised when a field changes its meaning or goes."""


def results_dict(results: Results, calibration: SelfCalibration | None = None) -> dict[str, Any]:
    """All of a study as plain values, ready for JSON: no NaN, no infinity."""
    study = results.study
    return {
        "format": FORMAT,
        "config": {
            **study.identity(),
            "seeds": [study.seeds.start, study.seeds.stop],
            "data_seeds": study.data_seeds if study.design == "crossed" else None,
            "margin": study.margin,
            "alpha": study.alpha,
            "failure_below": study.failure_below,
            "chunk": results.chunk,
            "tf32": study.tf32,
        },
        "engine": results.engine._asdict(),
        "device": results.device,
        "environment": dict(results.environment),
        "timings": {stage: round(seconds, 4) for stage, seconds in results.timings.items()},
        "models": {recipe.name: _model_dict(results, recipe.name) for recipe in study.recipes},
        "comparisons": [comparison.to_dict() for comparison in results.comparisons()],
        "self_calibration": None if calibration is None else calibration.to_dict(),
        "conclusion": results.conclusion,
    }


def models_table(results: Results) -> Group:
    """Accuracy on train and test of each model, over seeds, in percent."""
    confidence = f"{100 * (1 - results.study.alpha):g} % CI"
    table = _table("model", "on", right=("mean", confidence, "min", "median", "max", "failed"))
    for recipe in results.study.recipes:
        summary = _model_dict(results, recipe.name)
        for part in ("train", "test"):
            accuracy = summary[f"{part}_accuracy"]
            interval = accuracy["interval"]
            table.add_row(
                recipe.name if part == "train" else "",
                part,
                _percent(accuracy["mean"]),
                "-" if interval is None else " to ".join(map(_percent, interval)),
                *(_percent(accuracy[key]) for key in ("min", "median", "max")),
                f"{summary['failed']} of {summary['seeds']}" if part == "test" else "",
            )
    return Group(_title(results), table)


def references_line(results: Results) -> str:
    """What accuracy the data allow at best, where that is known; else empty."""
    references = results.study.dataset.references()
    known = [f"{name.replace('_', ' ')} {_percent(best)} %" for name, best in references.items()]
    return f"Reference accuracies: {', '.join(known)}." if known else ""


def components_table(results: Results) -> Group:
    """Where the variance of a crossed study comes from, for each model and for the difference."""
    comparison = results.comparisons()[0]
    if not isinstance(comparison, CrossedComparison):
        raise ValueError("design is 'paired'; only a crossed design tells the components apart")
    level = f"{100 * (1 - comparison.alpha):g} % CI"
    table = _table("of", "from", right=("sd", level, "share"))
    spreads = {
        comparison.model_b.name: comparison.components_b,
        comparison.model_a.name: comparison.components_a,
        "difference": comparison.components_difference,
    }
    for name, spread in spreads.items():
        for source, component in spread._asdict().items():
            interval = component.interval
            table.add_row(
                name if source == "data" else "",
                "interaction + residual" if source == "interaction" else source,
                _percent(math.sqrt(component.variance)),
                "-" if interval is None else " to ".join(_root(end) for end in interval),
                "-" if component.share is None else f"{100 * component.share:.0f} %",
            )
    return Group("Test accuracy varies by source (sd in percentage points)", table)


def calibration_table(calibration: SelfCalibration) -> Group:
    """How often smaller studies would have ended with another verdict."""
    table = _table(right=("seeds", "same verdict", "another", "of these conclusive"))
    for study in calibration.studies:
        shares = (1 - study.another, study.another, study.contradicting)
        table.add_row(str(study.size), *(f"{100 * share:.1f} %" for share in shares))
    title = (
        f"Had you run fewer seeds: {calibration.repetitions} smaller studies of each size, against "
        f"the verdict of all {calibration.n_pairs} seeds, {calibration.verdict!r}"
    )
    return Group(title, table)


def write_tables(results: Results, folder: Path) -> None:
    """Write seeds.csv and seeds.parquet; each appears whole or not at all."""
    write_whole(folder / "seeds.csv", results.seeds.write_csv)
    write_whole(folder / "seeds.parquet", results.seeds.write_parquet)


def write_results(
    results: Results, folder: Path, calibration: SelfCalibration | None = None
) -> None:
    """Write results.json; it appears whole or not at all."""
    text = json.dumps(results_dict(results, calibration), indent=2, allow_nan=False)
    write_whole(folder / "results.json", lambda path: path.write_text(text + "\n", "utf-8"))


def _model_dict(results: Results, model: str) -> dict[str, Any]:
    table = results.of(model)
    failed, diverged = results.failures(model)
    losses = {part: table[f"{part}_loss"].drop_nulls().drop_nans() for part in ("train", "test")}
    return {
        "seeds": table.height,
        "train_accuracy": _accuracy_dict(results, model, "train"),
        "test_accuracy": _accuracy_dict(results, model, "test"),
        "train_loss": _finite(losses["train"].mean()),
        "test_loss": _finite(losses["test"].mean()),
        "failed": failed,
        "diverged": len(diverged),
        "diverged_seeds": diverged,
    }


def _accuracy_dict(results: Results, model: str, part: Literal["train", "test"]) -> dict[str, Any]:
    accuracies = results.accuracies(model, part)
    interval = results.mean_interval(model, part)
    return {
        "mean": float(accuracies.mean()),
        "interval": None if interval is None else list(interval),
        "min": float(accuracies.min()),
        "median": float(np.median(accuracies)),
        "max": float(accuracies.max()),
    }


def _finite(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _table(*left: str, right: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _title(results: Results) -> str:
    study = results.study
    seeds = f"{len(study.seeds)} seeds"
    if study.design == "crossed":
        seeds = f"{study.data_seeds} data seeds x {study.init_seeds} init seeds"
    return f"Accuracy over {seeds} on {study.dataset}, in percent"


def _root(variance: float | None) -> str:
    """A variance as a standard deviation in percentage points."""
    return "-" if variance is None else _percent(math.sqrt(max(variance, 0.0)))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
