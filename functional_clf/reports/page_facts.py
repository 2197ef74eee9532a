"""How it was done, for the page: data, split, preparation, models, training, machine and rules."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from functional_clf.reports.findings import Findings
from functional_clf.reports.page_parts import Fact, listed, settings_of
from functional_clf.stats import Rules, wording
from functional_clf.stats.metrics import Metric, named

if TYPE_CHECKING:
    from functional_clf.score_tables.table import ScoreTable
    from functional_clf.study.results import Results

_OF_SPLIT = ("own_test", "stratify", "groups", "test_size")
_OF_PREPARATION = ("preparation", "prepare")


def facts_of_study(results: "Results", told: Mapping[str, Any]) -> tuple[Fact, ...]:
    """How a study was done.

    Args:
        results: of the study.
        told: from `tables.results_dict`.
    """
    study = results.study
    rules = results.rules
    config, (n_train, n_test) = told["config"], study.sizes
    facts = [
        *_data_facts(config, f"{n_train} training and {n_test} test samples a seed"),
        *_model_facts(config),
        Fact("Loss", _loss(results)),
        Fact("Seeds", _seeds(results)),
        *_engine_facts(config, told["engine"]["ran"], results.device),
        Fact("Rules", _rules(named(study.metric), rules, len(results.comparisons()))),
        Fact("Looks", _looks(results)),
    ]
    for place, (environment, seeds) in enumerate(results.environments):
        where = "Trained on"
        if len(results.environments) > 1:
            where = f"Trained on, {place + 1}: {len(seeds)} of the seeds"
        facts.append(Fact(where, settings=settings_of(environment, ("bits",))))
    return tuple(one for one in facts if one.text or one.settings)


def facts_of_scores(table: "ScoreTable", findings: Findings) -> tuple[Fact, ...]:
    """How scores came about that were not trained here, as far as that is known."""
    config = table.identity
    sizes = [
        wording.plural(count, f"{part} sample")
        for part, count in (("training", table.n_train), ("test", table.n_test))
        if count is not None
    ]
    what = "counts of correct predictions" if table.total is not None else "scores"
    facts = [Fact("Scores", f"{what} of {findings.replicates}, from {table.source}")]
    if config is None:
        facts += [
            Fact("Data", table.setting),
            Fact("Split", " and ".join(sizes)),
            Fact("Models and training", "not known: only their scores were given"),
        ]
    else:
        facts += _data_facts(config, " and ".join(sizes))
        facts += _model_facts(config)
        facts += _engine_facts(config, str(config.get("engine")), str(config.get("device")))
    rules = Rules(margin=findings.margin, alpha=findings.alpha)
    facts.append(Fact("Rules", _rules(findings.metric, rules, len(findings.comparisons))))
    return tuple(one for one in facts if one.text or one.settings)


def _data_facts(config: Mapping[str, Any], sizes: str) -> list[Fact]:
    data = config.get("dataset", {})
    apart = {key: data[key] for key in _OF_SPLIT if key in data}
    if "test_size" in config and not data.get("own_test"):
        apart["test_size"] = config["test_size"]
    prepared = {key: data[key] for key in _OF_PREPARATION if key in data}
    # Of one entry, its own entries say enough.
    inner = next(iter(prepared.values()), None)
    if len(prepared) == 1 and isinstance(inner, Mapping):
        prepared = dict(inner)
    facts = [
        Fact("Data", settings=settings_of(data, (*_OF_SPLIT, *_OF_PREPARATION))),
        Fact("Split", sizes, settings_of(apart)),
    ]
    if prepared:
        words = "Learned on the training part of each split, and applied to both parts."
        return [*facts, Fact("Preparation", words, settings_of(prepared))]
    return [*facts, Fact("Preparation", "None: samples are given as they are drawn.")]


def _model_facts(config: Mapping[str, Any]) -> list[Fact]:
    return [
        Fact(f"Model {name}", settings=settings_of(told, ("name",)))
        for name, told in config.get("models", {}).items()
    ]


def _engine_facts(config: Mapping[str, Any], engine: str, device: str) -> list[Fact]:
    told = {
        "engine": engine,
        "device": device,
        "seeds trained together": config.get("chunk_size"),
        "precision": config.get("dtype"),
        "TF32": config.get("tf32"),
    }
    return [Fact("Training ran on", settings=settings_of(told))]


def _loss(results: "Results") -> str:
    study = results.study
    words = str(study.task.loss_name)
    if study.class_weight:
        words += f", class weights {study.class_weight}"
    return words


def _seeds(results: "Results") -> str:
    study = results.study
    if study.design == "crossed":
        return (
            f"{study.data_seeds} data seeds, each with {study.init_seeds} initialisation seeds: "
            f"{len(study.seeds)} cells"
        )
    seeds = f"{study.seeds.start} to {study.seeds.stop - 1} ({len(study.seeds)} of them)"
    return seeds + ("" if results.stopping is None else f". {results.stopping.words}")


def _rules(metric: Metric, rules: Rules, n_comparisons: int) -> str:
    words = (
        f"compared by {metric.words}; a difference matters from "
        f"{wording.margin_size(rules.settled_margin, metric)} on; intervals of "
        f"{wording.threshold(1 - rules.alpha)} %"
    )
    if n_comparisons > 1:
        words += f", which hold for all {n_comparisons} comparisons together"
    return words


def _looks(results: "Results") -> str:
    if not (earlier := results.rules.earlier_looks):
        return ""
    return f"These results were looked at before, with fewer or other seeds: {earlier} times."


def failures_of_study(results: "Results") -> tuple[Fact, ...]:
    """Of each model, which of its seeds failed, diverged or warned."""
    facts = []
    seeds = list(results.study.seeds)
    for name in results.study.names:
        failed, diverged = results.failed_runs(name)
        lines = []
        if failed.any():
            of = [seed for seed, has in zip(seeds, failed, strict=True) if has]
            lines.append(("failed", f"{len(of)} of {len(seeds)}: {_numbered(of)}"))
        if diverged.any():
            of = [seed for seed, has in zip(seeds, diverged, strict=True) if has]
            lines.append(("diverged", f"{len(of)} of {len(seeds)}: {_numbered(of)}"))
        for text, count in results.warnings.get(name, {}).items():
            lines.append((f"{count} of {len(seeds)} fits", text))
        facts.append(
            Fact(name, "" if lines else f"none of {len(seeds)} seeds failed", tuple(lines))
        )
    return tuple(facts)


def failures_of_scores(findings: Findings) -> tuple[Fact, ...]:
    """Of each model, how many of its runs failed or diverged."""
    return tuple(
        Fact(
            model.name,
            f"{model.failed} of {model.n} failed"
            + (f", of which {model.diverged} diverged" if model.diverged else ""),
        )
        for model in findings.models
    )


def _numbered(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {listed(seeds)}"
