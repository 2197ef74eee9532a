"""More than two models: every pair, with error rates that hold over all pairs together."""

import dataclasses
import itertools
from collections.abc import Mapping

from numpy.typing import ArrayLike

from functional_clf.stats import validation
from functional_clf.stats.comparison import FAILURE_BELOW, Comparison, compare
from functional_clf.stats.multiplicity import holm


def compare_all(
    accuracies: Mapping[str, ArrayLike],
    *,
    scope: str = "data",
    n_train: int | None = None,
    n_test: int | None = None,
    margin: float = 0.01,
    alpha: float = 0.05,
    total: ArrayLike | None = None,
    diverged: Mapping[str, ArrayLike] | None = None,
    failure_below: float = FAILURE_BELOW,
    references: Mapping[str, float] | None = None,
    setting: str = "",
    seed: int = 0,
) -> list[Comparison]:
    """Compare every pair of several models, allowing for the number of comparisons.

    With m pairs, each interval (and so each verdict) is given at alpha / m, Bonferroni's level, so
    with probability 1 - alpha all of them hold together. The p values are Holm's, each on the p
    value that fits the scope (one that cannot be given counts as 1); they can be smaller than
    the intervals are narrow, as Holm's is the more powerful of the two.

    Args:
        accuracies: (J,) column of accuracies (or counts) of each model by name, two models at
            least; each pair is compared in the order given, the later model minus the earlier.
        scope: as in `compare`, like all arguments below.
        n_train: training samples a run.
        n_test: test samples a run.
        margin: the smallest difference that matters.
        alpha: the chance that any interval misses.
        total: test samples a run, where the columns are counts.
        diverged: (J,) True where a run diverged, by model name.
        failure_below: accuracy below which a run counts as failed.
        references: accuracies to hold the models against, by name.
        setting: where the data come from.
        seed: of the random signs.

    Returns:
        One `Comparison` a pair, with `n_comparisons` and `holm_pvalue` set.

    Raises:
        ValueError: for fewer than two models, or as `compare`.

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6, 65-70; Bonferroni's inequality.

    Example:
        >>> columns = {"a": [0.5, 0.6, 0.5], "b": [0.9, 0.9, 0.8], "c": [0.9, 0.8, 0.9]}
        >>> [(c.model_a.name, c.model_b.name) for c in compare_all(columns)]
        [('b', 'a'), ('c', 'a'), ('c', 'b')]
    """
    alpha = validation.alpha_level(alpha)
    if len(accuracies) < 2:
        raise ValueError(f"accuracies holds {len(accuracies)} models: at least two are needed")
    unknown = set(diverged or {}) - set(accuracies)
    if unknown:
        raise ValueError(f"diverged names {unknown.pop()!r}: it is not among accuracies")
    pairs = list(itertools.combinations(accuracies, 2))
    comparisons = [
        compare(
            accuracies[later],
            accuracies[earlier],
            scope=scope,
            n_train=n_train,
            n_test=n_test,
            margin=margin,
            alpha=alpha / len(pairs),
            total=total,
            names=(later, earlier),
            diverged_a=(diverged or {}).get(later),
            diverged_b=(diverged or {}).get(earlier),
            failure_below=failure_below,
            references=references,
            setting=setting,
            seed=seed,
        )
        for earlier, later in pairs
    ]
    if len(pairs) == 1:
        return comparisons
    adjusted = holm([1.0 if c.pvalue is None else c.pvalue for c in comparisons])
    return [
        dataclasses.replace(c, n_comparisons=len(pairs), holm_pvalue=float(p))
        for c, p in zip(comparisons, adjusted, strict=True)
    ]
