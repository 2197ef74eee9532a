"""What a study leaves for people and for programs: tables, results.json, seeds.csv and .parquet."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich import box
from rich.table import Table

from functional_clf.folder import write_whole
from functional_clf.study import Results

FORMAT = 1
"""Of results.json; raised when a field changes its meaning or goes."""


def results_dict(results: Results) -> dict[str, Any]:
    """All of a study as plain values, ready for JSON: no NaN, no infinity."""
    study = results.study
    return {
        "format": FORMAT,
        "config": {
            **study.identity(),
            "seeds": [study.seeds.start, study.seeds.stop],
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
        "conclusion": results.conclusion,
    }


def models_table(results: Results) -> Table:
    """Accuracy on train and test of each model, over seeds, in percent."""
    confidence = f"{100 * (1 - results.study.alpha):g} % CI"
    table = Table(
        box=box.SIMPLE_HEAD, title=_title(results), title_justify="left", padding=(0, 1, 0, 0)
    )
    for heading in ("model", "on", "mean", confidence, "min", "median", "max", "failed"):
        justify = "left" if heading in ("model", "on") else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
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
    return table


def write_exports(results: Results, folder: Path) -> list[Path]:
    """Write results.json, seeds.csv and seeds.parquet; each appears whole or not at all."""
    text = json.dumps(results_dict(results), indent=2, allow_nan=False)
    writers: Mapping[str, Callable[[Path], Any]] = {
        "results.json": lambda path: path.write_text(text + "\n", encoding="utf-8"),
        "seeds.csv": results.seeds.write_csv,
        "seeds.parquet": results.seeds.write_parquet,
    }
    return [write_whole(folder / name, write) for name, write in writers.items()]


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


def _title(results: Results) -> str:
    study = results.study
    return f"Accuracy over {len(study.seeds)} seeds on {study.dataset}, in percent"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
