"""The study that a run folder holds, written into it as a TOML file that runs it again."""

import inspect
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomli_w

from functional_clf.cli.run_arguments import RunArguments
from functional_clf.cli.study_file import COMPARE, run_keys
from functional_clf.contestants.named import Named
from functional_clf.contestants.specs import as_plain
from functional_clf.record.database import StoreError
from functional_clf.record.folder import remove, write_whole
from functional_clf.registry import CONTESTANTS, DATASETS
from functional_clf.reports.outputs import STUDY_FILE
from functional_clf.study.results import Results
from functional_clf.support.files import open_plain

HEADER = "# The whole study of this folder, written by functional_clf; a run of it continues here."


def check_study_file(folder: Path) -> None:
    """See that no study file of somebody's own would be written over.

    Raises:
        StoreError: when there is one in the run folder.
    """
    path = folder / STUDY_FILE
    try:
        with open_plain(path) as file:
            is_ours = file.readline(len(HEADER) + 2).strip() == HEADER.encode()
    except FileNotFoundError:
        return
    except OSError:
        is_ours = False
    if not is_ours:
        raise StoreError(
            f"{path} is not of this run, which writes one of its own; rename it, or give another "
            "--out"
        )


def write_study(text: str, folder: Path) -> None:
    """Write study.toml; it appears whole or not at all, and not where TOML cannot say the study.

    Args:
        text: from `study_text`.
        folder: the run folder.

    Raises:
        WriteError: when it cannot be written.
    """
    path = folder / STUDY_FILE
    if not text:
        remove(folder, [path])  # of an earlier run
        return
    write_whole(path, text.encode())


def study_text(
    results: Results, arguments: RunArguments, models: Mapping[str, Named], folder: Path
) -> str:
    """What study.toml says; empty where TOML cannot say the study.

    Args:
        results: what the study found, and what was resolved on the way.
        arguments: what it was asked by.
        models: by name, in order.
        folder: the run folder.
    """
    try:
        content = study_content(results, arguments, models, folder)
    except TypeError:
        return ""
    return f"{HEADER}\n\n{tomli_w.dumps(content)}"


def study_content(
    results: Results, arguments: RunArguments, models: Mapping[str, Named], folder: Path
) -> dict[str, Any]:
    """A study as plain values, with all that was left to it resolved; paths begin at the folder.

    Raises:
        TypeError: when TOML cannot hold it.
    """
    study = results.study
    seeds = study.seeds
    run: dict[str, Any] = {key: getattr(study, key, None) for key in run_keys(RunArguments)}
    run |= {
        "seeds": f"{seeds.start}:{seeds.stop}" if seeds.start else seeds.stop,
        "out": ".",
        "plots": arguments.plots,
        "report": arguments.report,
        "engine": results.engine.ran,
        "device": results.device.partition(":")[0] if study.device == "auto" else study.device,
        "chunk_size": results.chunk_size,
    }
    run["max_seeds"] = None
    if results.stopping is not None:
        run["max_seeds"] = results.stopping.max_seeds
        del run["seeds"]
    if study.design == "crossed":
        del run["seeds"]
    else:
        del run["data_seeds"], run["init_seeds"]
    compare = {key: getattr(study, key) for key in COMPARE}
    compare["baseline"] = study.baseline or study.names[0]
    tables = {"run": run, "data": _data(arguments, folder), "compare": compare}
    return {
        "run": _given(tables["run"]),
        "data": _given(tables["data"]),
        "models": {name: _model(one, folder) for name, one in models.items()},
        "compare": _given(tables["compare"]),
    }


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: as_plain(value) for key, value in table.items() if value is not None}


def _data(arguments: RunArguments, folder: Path) -> dict[str, Any]:
    if arguments.data not in DATASETS:
        return {
            "path": _from(folder, arguments.data),
            "target": arguments.target,
            "drop": list(arguments.drop),
            "groups": arguments.groups,
            "stratify": True if arguments.stratify else False if arguments.no_stratify else None,
            "test": None if arguments.test is None else _from(folder, arguments.test),
            "split_column": arguments.split_column,
        }
    known = inspect.signature(DATASETS[arguments.data]).parameters
    found: dict[str, Any] = {"name": arguments.data}
    for key, argument in (("samples", "n_samples"), ("noise", "noise"), ("classes", "n_classes")):
        if argument in known:
            given = getattr(arguments, key)
            found[key] = known[argument].default if given is None else given
    return found


def _model(one: Named, folder: Path) -> dict[str, Any]:
    place, colon, name = one.target.rpartition(":")
    is_file = colon and place.endswith(".py")
    spec = f"{_from(folder, place)}:{name}" if is_file else one.target
    settings = {key: as_plain(value) for key, value in one.settings.items()}
    if one.target in CONTESTANTS and "hidden" in settings:  # as short as on the command line
        spec = f"{spec}:{','.join(map(str, settings.pop('hidden')))}"
    return {"spec": as_plain(spec), **settings}


def _from(folder: Path, path: str | os.PathLike[str]) -> str:
    """A path as seen from the run folder, so that both can be moved together."""
    absolute = Path(path).resolve()
    with suppress(ValueError):  # of another drive
        return Path(os.path.relpath(absolute, folder.resolve())).as_posix()
    return absolute.as_posix()
