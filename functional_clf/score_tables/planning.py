"""How many seeds each pair of models of a table needs."""

import itertools

from functional_clf.score_tables.comparing import rules_of
from functional_clf.score_tables.table import ScoreTable
from functional_clf.stats.planning import SeedPlan, plan


def plans_of(
    table: ScoreTable,
    *,
    baseline: str | None = None,
    half_width: float | None = None,
    power: float = 0.8,
    scope: str | None = None,
    margin: float | None = None,
    alpha: float | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
) -> tuple[tuple[SeedPlan, ...], list[str]]:
    """A plan for each pair that would be compared, and what has to be doubted of them.

    Raises:
        ValueError: for several data sets, a baseline that is no model, or as `rules_of` and `plan`.

    Example:
        >>> import numpy as np
        >>> table = ScoreTable({"a": np.array([0.8, 0.9]), "b": np.array([0.7, 0.9])}, np.arange(2))
        >>> plans_of(table, scope="data")[0][0].names
        ('b', 'a')
    """
    if table.dataset is not None:
        raise ValueError(f"{table.source} holds several data sets; a pilot is of one")
    if baseline is not None and baseline not in table.models:
        raise ValueError(f"baseline is {baseline!r}; it must be one of {', '.join(table.models)}")
    rules, doubts = rules_of(
        table, scope=scope, margin=margin, alpha=alpha, n_train=n_train, n_test=n_test
    )
    if baseline is None:
        pairs = [(a, b) for b, a in itertools.combinations(table.models, 2)]
    else:
        pairs = [(name, baseline) for name in table.models if name != baseline]
    if not pairs:
        raise ValueError(f"{table.source} has one model; two are needed")
    plans = tuple(
        plan(
            table.shares(a) - table.shares(b),
            rules,
            half_width=half_width,
            power=power,
            names=(a, b),
            n_comparisons=len(pairs),
        )
        for a, b in pairs
    )
    return plans, [*table.doubts, *doubts]
