"""What the page shows besides its pictures: sentences, tables and facts, as plain texts."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from functional_clf.reports.figures import difference_of, figure_of, percent, unit_of
from functional_clf.reports.findings import AnyComparison, Findings
from functional_clf.stats import Comparison, CrossedComparison, clauses, wording
from functional_clf.stats.data_sets import MeanOverDataSets
from functional_clf.stats.metrics import METRICS, Metric
from functional_clf.stats.scopes import CROSSED
from functional_clf.stats.verdicts import verdict_words

LISTED_SEEDS = 40
"""So many are named one by one; of more, how many there are."""
LISTED_VALUES = 24
"""Of a setting that is a list, likewise."""
NONE = "-"
LARGEST_CLASS = "largest class, always"


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        caption: what it shows.
        head: a heading a column.
        rows: a cell a column.
        named: how many columns at the left name the row.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    named: int = 1


class Verdict(NamedTuple):
    """A verdict in a sentence, and the figures that it is made by."""

    sentence: str
    figures: str
    kind: str


class Fact(NamedTuple):
    """Something that is known of how it was done: a text, or settings by name."""

    name: str
    text: str = ""
    settings: tuple[tuple[str, str], ...] = ()


def verdicts_of(findings: Findings) -> tuple[Verdict, ...]:
    """The verdicts, each in a sentence that says no more than its scope allows.

    Example:
        >>> import numpy as np
        >>> from functional_clf.reports.findings import findings_of_scores
        >>> from functional_clf.score_tables.comparing import compare_table
        >>> from functional_clf.score_tables.table import ScoreTable
        >>> deep = np.array([0.9, 0.8, 0.9, 0.9, 0.8, 0.9])
        >>> table = ScoreTable({"flat": deep - 0.4, "deep": deep}, np.arange(6), scope="data")
        >>> print(verdicts_of(findings_of_scores(table, compare_table(table)))[0].sentence)
        deep is better than flat, by more than the 1 pp margin.
    """
    metric = findings.metric
    if findings.mean is not None:
        mean = findings.mean
        sentence = _sentence(*mean.names, mean, metric)
        return (Verdict(f"Over data sets, {sentence}.", _figures(mean, metric), mean.verdict),)
    return tuple(
        Verdict(
            _scope_of(one).sentence(_sentence(one.model_a.name, one.model_b.name, one, metric)),
            _figures(one, metric),
            one.verdict,
        )
        for one in findings.comparisons
    )


def models_of_scores(findings: Findings) -> Table:
    """Each model over all its runs, by the metric of the report."""
    metric = findings.metric
    rows = []
    for model in findings.models:
        figures = [NONE] * 6
        if (found := model.scores) is not None:
            spread = found.standard_deviation
            figures = [
                figure_of(found.mean, metric),
                NONE if spread is None else figure_of(spread, metric),
                *(figure_of(one, metric) for one in (found.minimum, found.median, found.maximum)),
            ]
        failed = f"{model.failed} of {model.n}"
        rows.append((model.name, *figures, failed, str(model.diverged)))
    head = ("model", "mean", "sd", "min", "median", "max", "failed", "diverged")
    return Table(f"Test {metric.words}{unit_of(metric)}, of each model", head, tuple(rows))


def models_of_study(told: Mapping[str, Any]) -> Table:
    """Accuracy on training and test samples of each model, as results.json has it.

    Args:
        told: from `tables.results_dict`.
    """
    level = wording.confidence(told["config"]["alpha"])
    rows = []
    for name, model in told["models"].items():
        for part in ("train", "test"):
            found = model[f"{part}_accuracy"]
            ends = found["interval"]
            is_test = part == "test"
            rows.append(
                (
                    *(name, part, percent(found["mean"])),
                    NONE if ends is None else " to ".join(map(percent, ends)),
                    *(percent(found[key]) for key in ("min", "median", "max")),
                    NONE if (loss := model[f"{part}_loss"]) is None else f"{loss:.4f}",
                    f"{model['failed']} of {model['seeds']}" if is_test else "",
                    str(model["diverged"]) if is_test else "",
                )
            )
    head = ("model", "on", "mean", level, "min", "median", "max", "loss", "failed", "diverged")
    return Table("Accuracy of each model over all its runs, in percent", head, tuple(rows), 2)


def metrics_of_study(told: Mapping[str, Any]) -> Table | None:
    """Each model's test scores by every metric; None where only accuracy is recorded."""
    level = wording.confidence(told["config"]["alpha"])
    rows = []
    for metric in METRICS.values():
        words = f"{metric.words}{unit_of(metric)}"
        for name, model in told["models"].items():
            if (found := model.get("test_scores", {}).get(metric.name)) is None:
                continue
            ends, undefined = found["interval"], found["undefined"]
            rows.append(
                (
                    words,
                    f"{name} ({undefined} runs undefined)" if undefined else name,
                    figure_of(found["mean"], metric),
                    NONE if ends is None else " to ".join(figure_of(end, metric) for end in ends),
                    figure_of(found["min"], metric),
                    figure_of(found["max"], metric),
                )
            )
        guess = told.get("data", {}).get("largest_class", {}).get(metric.name)
        if guess is not None:
            rows.append((words, LARGEST_CLASS, figure_of(guess, metric), "", "", ""))
    if not any(row[1] != LARGEST_CLASS for row in rows):
        return None
    caption = "Test scores by every metric; of log loss and Brier score less is better"
    return Table(caption, ("metric", "of", "mean", level, "min", "max"), tuple(rows), 2)


def comparisons_of(findings: Findings) -> Table | None:
    """Each difference with its interval, p value and counts; None of one model."""
    if not findings.comparisons:
        return None
    metric = findings.metric
    level = wording.confidence(findings.alpha)
    several = len(findings.comparisons) > 1
    heading = "data set" if findings.data_sets else "model minus baseline"
    rows = []
    for place, one in enumerate(findings.comparisons):
        name = f"{one.model_a.name} - {one.model_b.name}"
        if findings.data_sets:
            name = findings.data_sets[place]
        rows.append((name, *_compared(one, metric, several)))
    if (mean := findings.mean) is not None:
        p = NONE if mean.pvalue is None else wording.p_number(mean.pvalue)
        figures = difference_of(mean, metric)
        rows.append((f"mean over {mean.n_data_sets}", "", *figures, p, "", mean.verdict))
    unit = " in percentage points" if metric.is_share else ""
    together = f"; intervals hold for all {len(rows)} together" * (several and not findings.mean)
    head = (
        heading, "runs", "difference", level, "Holm p" if several else "p", "win / tie / loss",
        "verdict",
    )  # fmt: skip
    return Table(f"Differences of test {metric.words}{unit}{together}", head, tuple(rows))


def components_of(findings: Findings) -> Table | None:
    """Where the variance of a crossed study comes from; None of any other."""
    one = next(iter(findings.comparisons), None)
    if not isinstance(one, CrossedComparison):
        return None
    rows = []
    for name, spread in (
        (one.model_b.name, one.components_b),
        (one.model_a.name, one.components_a),
        ("their difference", one.components_difference),
    ):
        for source, part in spread._asdict().items():
            ends = part.interval
            rows.append(
                (
                    name,
                    "interaction and residual" if source == "interaction" else source,
                    percent(math.sqrt(part.variance)),
                    NONE if ends is None else " to ".join(map(_root, ends)),
                    NONE if part.share is None else f"{100 * part.share:.0f} %",
                )
            )
    caption = "Where test accuracy varies from (standard deviations in percentage points)"
    head = ("of", "from", "sd", wording.confidence(one.alpha), "share")
    return Table(caption, head, tuple(rows), 2)


def seeds_of(
    seeds: Sequence[object], names: Sequence[str], scores: Any, metric: Metric, called: str
) -> Table | None:
    """The score of each run, where they are few enough to be read.

    Args:
        seeds: what each run is called.
        names: of the models.
        scores: `(model, seed)`.
        metric: of the scores.
        called: what a run is, as in "seed".
    """
    if len(seeds) > LISTED_SEEDS * 2:
        return None
    rows = tuple(
        (str(seed), *(figure_of(float(one), metric) for one in column))
        for seed, column in zip(seeds, zip(*scores, strict=True), strict=True)
    )
    caption = f"Test {metric.words} of each {called}{unit_of(metric)}"
    return Table(caption, (called, *names), rows)


def meaning_of_failure(findings: Findings) -> str:
    """What counts as a failure; empty where nobody said it."""
    for one in findings.comparisons:
        if isinstance(one, Comparison) and one.majority is not None:
            return f"{clauses.failure_against_majority(findings.metric)}."
        return "".join(f"{words}." for words in clauses.failure_meaning(one.failure_below))
    return ""


def listed(values: Sequence[object], most: int = LISTED_SEEDS) -> str:
    """Values one after another, and how many more there are.

    Example:
        >>> listed(range(5), most=3)
        '0, 1, 2 and 2 more'
    """
    shown = ", ".join(map(str, values[:most]))
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def settings_of(
    told: Mapping[str, Any], without: Sequence[str] = ()
) -> tuple[tuple[str, str], ...]:
    """Plain values as lines of name and text, those of inner mappings by their whole path.

    Example:
        >>> settings_of({"layers": [2, 5, 1], "stop": {"patience": 3, "mode": None}})
        (('layers', '2, 5, 1'), ('stop.patience', '3'), ('stop.mode', 'none'))
    """
    return tuple(_settings(told, "", without))


def _settings(told: Mapping[str, Any], path: str, without: Sequence[str]) -> Iterator[Any]:
    for key, value in told.items():
        if key in without:
            continue
        if isinstance(value, Mapping):
            yield from _settings(value, f"{path}{key}.", ())
        else:
            yield f"{path}{key}", _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return listed([_plain(one) for one in value], LISTED_VALUES) or "none"
    if isinstance(value, Mapping):
        return listed([f"{key} {_plain(one)}" for key, one in value.items()], LISTED_VALUES)
    return str(value)


def _scope_of(one: AnyComparison) -> Any:
    return CROSSED if isinstance(one, CrossedComparison) else one.scope


def _sentence(
    name_a: str, name_b: str, one: AnyComparison | MeanOverDataSets, metric: Metric
) -> str:
    words = verdict_words(metric.gain_interval(one.interval), one.margin, name_a, name_b, metric)
    side, comma, rest = words.partition(",")
    if side in ("better", "worse"):
        return f"{name_a} is {side} than {name_b}{comma}{rest}"
    if words.startswith("equivalent"):
        return f"{name_a} and {name_b} are {words}"
    return f"{name_a} against {name_b}: {words}"


def _figures(one: AnyComparison | MeanOverDataSets, metric: Metric) -> str:
    difference, ends = difference_of(one, metric)
    unit = " pp" if metric.is_share else ""
    n_comparisons = getattr(one, "n_comparisons", 1)
    level = wording.confidence(one.alpha * n_comparisons)
    if n_comparisons > 1:
        level += f" of all {n_comparisons} together"
    interval = "no interval can be given" if one.interval is None else f"{level} {ends}{unit}"
    return f"Difference in test {metric.words}: {difference}{unit} ({interval})"


def _compared(one: AnyComparison, metric: Metric, several: bool) -> tuple[str, ...]:
    if isinstance(one, CrossedComparison):
        runs, counts = one.n_data_seeds * one.n_init_seeds, (one.wins, one.ties, one.losses)
        pvalue = one.pvalue
    else:
        s = one.superiority
        runs, counts = one.n_pairs, (s.wins, s.ties, s.losses)
        pvalue = one.holm_pvalue if several else one.pvalue
    p = NONE
    if pvalue is not None:
        p = wording.p_value(pvalue).removeprefix("p ").removeprefix("= ")
    return (
        str(runs), *difference_of(one, metric), p, " / ".join(map(str, counts)), one.verdict
    )  # fmt: skip


def _root(variance: float | None) -> str:
    return NONE if variance is None else percent(math.sqrt(max(variance, 0.0)))
