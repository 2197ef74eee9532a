"""The benchmark's options, and what its files share.

    python -m pytest bench --benchmark-only --bench-rounds 3

Each round of each peer is a test of its own, in the order A B C A B C ..., so that what disturbs
the machine for a while disturbs all peers alike.
"""

import dataclasses
from typing import Any

import pytest

from bench.settings import Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "size of the benchmark")
    for one in dataclasses.fields(Settings):
        flag, default = f"--bench-{one.name.replace('_', '-')}", one.default
        kind = _whole_numbers if isinstance(default, tuple) else type(default)
        group.addoption(flag, type=kind, default=default, help=f"default: {default}")


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def settings_of(config: pytest.Config) -> Settings:
    given: dict[str, Any] = {
        one.name: config.getoption(f"--bench-{one.name.replace('_', '-')}")
        for one in dataclasses.fields(Settings)
    }
    return Settings(**given)


@pytest.fixture(scope="session")
def settings(pytestconfig: pytest.Config) -> Settings:
    return settings_of(pytestconfig)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Call a module's `cases(settings)` for the cases of its tests, in the order to run them."""
    cases = getattr(metafunc.module, "cases", None)
    if cases is not None and "case" in metafunc.fixturenames:
        found = cases(settings_of(metafunc.config))
        metafunc.parametrize("case", found, ids=["-".join(map(str, case)) for case in found])
