"""What a study leaves for people and for programs: tables, results.json, seeds.csv and .parquet."""

import hashlib
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Group
from rich.text import Text

from functional_clf.record.folder import write_whole
from functional_clf.reports.figures import (
    FigureTable,
    difference_of,
    figure_of,
    percent,
    unit_of,
)
from functional_clf.stats import Comparison, CrossedComparison, SelfCalibration, wording
from functional_clf.stats.metrics import METRICS, Metric
from functional_clf.study.results import Results
from functional_clf.support.files import open_plain
from functional_clf.support.text import printable

FORMAT = 3
"""Of results.json; raised when a field changes its meaning or goes."""
LARGEST_CLASS = "largest class"


def results_dict(results: Results, calibration: SelfCalibration | None = None) -> dict[str, Any]:
    """All of a study as plain values, ready for JSON: no NaN, no infinity."""
    study = results.study
    return {
        "format": FORMAT,
        "config": {
            **study.identity(),
            "seeds": [study.seeds.start, study.seeds.stop],
            "data_seeds": study.data_seeds if study.design == "crossed" else None,
            "metric": study.metric,
            "baseline": study.baseline,
            "margin": study.margin,
            "alpha": study.alpha,
            "failure_below": study.failure_threshold,
            "chunk_size": results.chunk_size,
            "tf32": study.tf32,
        },
        "engine": results.engine._asdict(),
        "device": results.device,
        "environment": dict(results.environment),
        **_environments(results),
        "timings": {stage: round(seconds, 4) for stage, seconds in results.timings.items()},
        **({"data": _data_dict(results)} if study.dataset.is_table else {}),
        "models": {name: _model_dict(results, name) for name in study.names},
        "comparisons": [comparison.to_dict() for comparison in results.comparisons()],
        "self_calibration": None if calibration is None else calibration.to_dict(),
        "conclusion": results.conclusion,
    }


def _environments(results: Results) -> dict[str, Any]:
    """Where the seeds were trained, if in several places: their numbers stand in seeds.csv."""
    if not results.mixture:
        return {}
    found = [{"seeds": len(seeds), **told} for told, seeds in results.environments]
    return {"environments": found, "mixture": results.mixture}


def _data_dict(results: Results) -> dict[str, Any]:
    """What the models were given of a table."""
    dataset, (n_train, n_test) = results.study.dataset, results.study.sizes
    majority = {
        name: None if (scores := results.majority_scores(name)) is None else _finite(scores.mean())
        for name in METRICS
    }
    return {
        "classes": list(dataset.class_names),
        "columns": list(dataset.feature_names),
        "features": dataset.n_features,
        "n_train": n_train,
        "n_test": n_test,
        "notices": list(dataset.notices),
        "largest_class": majority,
    }


def models_table(results: Results) -> Group:
    """Accuracy on train and test of each model, over seeds, in percent."""
    confidence = wording.confidence(results.study.alpha)
    headings = ("mean", confidence, "min", "median", "max", "failed")
    table = FigureTable(("model", "on"), headings)
    for name in results.study.names:
        summary = _model_dict(results, name)
        for part in ("train", "test"):
            accuracy = summary[f"{part}_accuracy"]
            interval = accuracy["interval"]
            table.add_row(
                name,
                part,
                percent(accuracy["mean"]),
                "-" if interval is None else " to ".join(map(percent, interval)),
                *(percent(accuracy[key]) for key in ("min", "median", "max")),
                f"{summary['failed']} of {summary['seeds']}" if part == "test" else "",
            )
    return Group(_title(results), table)


def metrics_table(results: Results) -> Group:
    """Each model's mean test score over seeds by every metric, and its interval."""
    confidence = wording.confidence(results.study.alpha)
    table = FigureTable(("metric", "of"), ("mean", confidence, "min", "max"))
    for metric in METRICS.values():
        for name in results.study.names:
            summary = _score_dict(results, name, metric)
            if summary is not None:
                interval = summary["interval"]
                figures = (summary[key] for key in ("mean", "min", "max"))
                mean, *others = (figure_of(figure, metric) for figure in figures)
                ends = "-"
                if interval is not None:
                    ends = " to ".join(figure_of(end, metric) for end in interval)
                undefined = summary["undefined"]
                of = f"{name}, {undefined} seeds undefined" if undefined else name
                table.add_row(f"{metric.words}{unit_of(metric)}", of, mean, ends, *others)
        if (majority := results.majority_scores(metric.name)) is not None and np.isfinite(
            majority
        ).all():
            table.add_row(
                f"{metric.words}{unit_of(metric)}", LARGEST_CLASS,
                figure_of(majority.mean(), metric), "", "", "",
            )  # fmt: skip
    title = (
        "Test scores; of log loss and Brier score less is better. Largest class: that of the "
        "training part, always predicted, the shares of the classes being the probabilities"
    )
    return Group(Text(title), table)


def comparisons_table(results: Results) -> Group:
    """Each model's mean test score, and its difference from the one that it is compared with."""
    metric = METRICS[results.study.metric]
    confidence = wording.confidence(results.study.alpha)
    comparisons = [one for one in results.comparisons() if isinstance(one, Comparison)]
    baselines = list(dict.fromkeys(one.model_b.name for one in comparisons))
    is_one = len(baselines) == 1
    left = ("model",) if is_one else ("model", "minus")
    p = "p" if len(comparisons) == 1 else "Holm p"
    table = FigureTable(left, ("mean", confidence, "diff", confidence, p, "verdict"))

    def mean_of(name: str) -> tuple[str, str]:
        interval = results.mean_interval(name, metric=metric.name)
        ends = "-" if interval is None else " to ".join(figure_of(end, metric) for end in interval)
        return figure_of(float(results.scores(name, metric.name).mean()), metric), ends

    if is_one:
        table.add_row(baselines[0], *mean_of(baselines[0]), "", "", "", "baseline")
    for one in comparisons:
        names = (one.model_a.name,) if is_one else (one.model_a.name, one.model_b.name)
        difference, ends = difference_of(one, metric)
        pvalue = one.pvalue if one.holm_pvalue is None else one.holm_pvalue
        words = "-" if one.pvalue is None else wording.p_value(pvalue)
        table.add_row(
            *names,
            *mean_of(one.model_a.name),
            difference,
            ends,
            words.removeprefix("p ").removeprefix("= "),
            one.verdict.replace(" but ", " but\n"),
        )
    against = f" from {baselines[0]}" if is_one else "s"
    together = f" (CI of all {len(comparisons)} together)" if len(comparisons) > 1 else ""
    title = f"Test {metric.words}{unit_of(metric)}, and its difference{against}{together}"
    return Group(Text(printable(title)), table)


def references_line(results: Results) -> str:
    """What accuracy the data allow at best, where that is known; else empty."""
    references = results.study.dataset.references()
    known = [f"{name.replace('_', ' ')} {percent(best)} %" for name, best in references.items()]
    return f"Reference accuracies: {', '.join(known)}." if known else ""


def components_table(results: Results) -> Group:
    """Where the variance of a crossed study comes from, for each model and for the difference."""
    comparison = results.comparisons()[0]
    if not isinstance(comparison, CrossedComparison):
        raise ValueError("design is 'paired'; only a crossed design tells the components apart")
    level = wording.confidence(comparison.alpha)
    table = FigureTable(("of", "from"), ("sd", level, "share"))
    spreads = {
        comparison.model_b.name: comparison.components_b,
        comparison.model_a.name: comparison.components_a,
        "difference": comparison.components_difference,
    }
    for name, spread in spreads.items():
        for source, component in spread._asdict().items():
            interval = component.interval
            table.add_row(
                name,
                "interaction + residual" if source == "interaction" else source,
                percent(math.sqrt(component.variance)),
                "-" if interval is None else " to ".join(_root(end) for end in interval),
                "-" if component.share is None else f"{100 * component.share:.0f} %",
            )
    return Group(Text("Test accuracy varies by source (sd in percentage points)"), table)


def calibration_table(calibration: SelfCalibration) -> Group:
    """How often smaller studies would have ended with another verdict."""
    table = FigureTable((), ("seeds", "same verdict", "another", "of these conclusive"))
    for study in calibration.studies:
        shares = (1 - study.another, study.another, study.contradicting)
        table.add_row(str(study.size), *(f"{100 * share:.1f} %" for share in shares))
    title = (
        f"Had you run fewer seeds: {calibration.repetitions} smaller studies of each size, against "
        f"the verdict of all {calibration.n_pairs} seeds, {calibration.verdict!r}"
    )
    return Group(Text(title), table)


def write_tables(results: Results, folder: Path) -> bool:
    """Write seeds.csv and seeds.parquet; each appears whole or not at all.

    Returns:
        Whether what else lies in the folder is of other results than these.
    """
    path = folder / "seeds.csv"
    before = _digest(path)
    write_whole(path, results.seeds.write_csv)
    write_whole(folder / "seeds.parquet", results.seeds.write_parquet)
    # Both, since a run may have ended between the two files.
    return _digest(path) != before or not _is_reported(results, folder)


def write_results(
    results: Results, folder: Path, calibration: SelfCalibration | None = None
) -> None:
    """Write results.json; it appears whole or not at all."""
    write_whole(folder / "results.json", results_text(results, calibration).encode())


def results_text(results: Results, calibration: SelfCalibration | None = None) -> str:
    """What stands in results.json."""
    return json.dumps(results_dict(results, calibration), indent=2, allow_nan=False) + "\n"


def _digest(path: Path) -> bytes | None:
    """Of a file's content; None where there is none to read."""
    try:
        with open_plain(path) as file:
            return hashlib.file_digest(file, "blake2b").digest()
    except OSError:
        return None


def _is_reported(results: Results, folder: Path) -> bool:
    """Whether results.json is there, and of these seeds."""
    try:
        with open_plain(folder / "results.json") as file:
            there = json.loads(file.read())["config"]["seeds"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return there == [results.study.seeds.start, results.study.seeds.stop]


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
        **({"warnings": dict(told)} if (told := results.warnings.get(model)) else {}),
        **({"test_scores": _scores_dict(results, model)} if results.study.has_metrics else {}),
    }


def _scores_dict(results: Results, model: str) -> dict[str, Any]:
    found = {metric.name: _score_dict(results, model, metric) for metric in METRICS.values()}
    confusion = None
    with suppress(ValueError):  # a model that gives no logits has none
        # Over all seeds; rows are true classes.
        confusion = results.confusions(model).sum(0).tolist()
    return {**found, "confusion": confusion}


def _score_dict(results: Results, model: str, metric: Metric) -> dict[str, Any] | None:
    """One model's test scores over seeds; None where they are not recorded."""
    try:
        recorded = results.scores(model, metric.name)
    except ValueError:
        return None
    scores = recorded[np.isfinite(recorded)]
    if not len(scores):
        return None
    interval = results.mean_interval(model, metric=metric.name)
    return {
        "mean": float(scores.mean()),
        "interval": None if interval is None else list(interval),
        "min": float(scores.min()),
        "median": float(np.median(scores)),
        "max": float(scores.max()),
        "undefined": len(recorded) - len(scores),
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


def _title(results: Results) -> Text:
    study = results.study
    seeds = f"{len(study.seeds)} seeds"
    if study.design == "crossed":
        seeds = f"{study.data_seeds} data seeds x {study.init_seeds} init seeds"
    return Text(printable(f"Accuracy over {seeds} on {study.dataset}, in percent"))


def _root(variance: float | None) -> str:
    """A variance as a standard deviation in percentage points."""
    return "-" if variance is None else percent(math.sqrt(max(variance, 0.0)))
