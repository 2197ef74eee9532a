"""The record of the report: what each section was last measured by, when, and on what machine.

A run of some sections replaces their numbers, and keeps those of all others, each with its own
machine and date: `report.json`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from bench.settings import Settings
from bench.summary import Record


@dataclass(frozen=True)
class Run:
    """One run of the benchmark.

    Args:
        command: as it was typed.
        date: when it ended, `2026-01-31`.
        minutes: that it took.
        machine: what ran it, as plain values by name.
        settings: what was measured.
        records: what was found, a record a benchmark.
    """

    command: str
    date: str
    minutes: float
    machine: Mapping[str, str]
    settings: Settings
    records: Sequence[Record]

    @property
    def sections(self) -> tuple[str, ...]:
        """What it measured, in order."""
        return tuple(dict.fromkeys(record["section"] for record in self.records))

    def without(self, sections: Collection[str]) -> Self:
        """The same run, less some sections."""
        kept = [record for record in self.records if record["section"] not in sections]
        return replace(self, records=kept)


def with_new(new: Run, earlier: Sequence[Run]) -> list[Run]:
    """A new run, and what earlier ones have of the sections that it did not measure.

    Example:
        >>> def run(*names):
        ...     return Run("it", "2026-01-31", 1, {}, Settings(), [{"section": n} for n in names])
        >>> [one.sections for one in with_new(run("step"), [run("step", "scaling"), run("step")])]
        [('step',), ('scaling',)]
    """
    kept = [one.without(new.sections) for one in earlier]
    return [new, *(one for one in kept if one.records)]


def read_runs(path: Path) -> list[Run]:
    """What a report's JSON file holds, the newest run first; nothing where there is no file.

    Raises:
        ValueError: when it is not of this form.
    """
    if not path.exists():
        return []
    try:
        return [_run(one) for one in json.loads(path.read_text(encoding="utf-8"))["runs"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a report's record ({error!r}); move it away, or give another --out"
        ) from error


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    """Keep runs in a report's JSON file."""
    text = json.dumps({"runs": [asdict(one) for one in runs]}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def _run(plain: Mapping[str, Any]) -> Run:
    known = {one.name for one in fields(Settings)}
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in plain["settings"].items()
        if name in known
    }
    return Run(**{**plain, "settings": Settings(**settings)})
