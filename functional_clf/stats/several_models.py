"""More than two models: every pair, with error rates that hold over all pairs together."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from functional_clf.stats import validation
from functional_clf.stats.comparison import Comparison, compare
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
    failure_below: float | None = None,
    references: Mapping[str, float] | None = None,
    setting: str = "",
    seed: int = 0,
    first_margin: float | None = None,
    first_alpha: float | None = None,
    earlier_looks: int = 0,
) -> list[Comparison]:
    """Compare every pair of several models, allowing for the number of comparisons.

    With m pairs, each interval (and so each verdict) is given at alpha / m, Bonferroni's level, so
    with probability 1 - alpha all of them hold together. The p values are Holm's, each on the p
    value that fits the scope (one that cannot be given counts as 1); they can be smaller than
    the intervals are narrow, as Holm's is the more powerful of the two.

    Args:
        accuracies: (J,) column of accuracies (or counts) of each model by name, two models at
            least, or a data frame with a column a model; each pair is compared in the order
            given, the later model minus the earlier.
        scope: as in `compare`, like all arguments below.
        n_train: training samples a run.
        n_test: test samples a run.
        margin: the smallest difference that matters.
        alpha: the chance that any interval misses.
        total: test samples a run, where the columns are counts.
        diverged: (J,) True where a run diverged, by model name.
        failure_below: accuracy below which a run counts as failed; None counts only runs that
            diverged.
        references: accuracies to hold the models against, by name.
        setting: where the data come from.
        seed: of the random signs.
        first_margin: the margin of the first look at these results.
        first_alpha: the alpha of the first look, for all pairs together as `alpha` is.
        earlier_looks: how often results of this study were looked at before.

    Returns:
        One `Comparison` a pair, with `n_comparisons`, `holm_pvalue` and `smallest_holm_pvalue` set.

    Raises:
        ValueError: for fewer than two models, or as `compare`.
        TypeError: for accuracies that name no models, or as `compare`.

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6, 65-70; Bonferroni's inequality.

    Example:
        >>> columns = {"a": [0.5, 0.6, 0.5], "b": [0.9, 0.9, 0.8], "c": [0.9, 0.8, 0.9]}
        >>> [(c.model_a.name, c.model_b.name) for c in compare_all(columns)]
        [('b', 'a'), ('c', 'a'), ('c', 'b')]
    """
    accuracies = validation.named_columns("accuracies", accuracies)
    diverged = {} if diverged is None else validation.named_columns("diverged", diverged)
    if len(accuracies) < 2:
        raise ValueError(f"accuracies holds {len(accuracies)} models: at least two are needed")
    unknown = set(diverged) - set(accuracies)
    if unknown:
        raise ValueError(f"diverged names {unknown.pop()!r}: it is not among accuracies")
    pairs = list(itertools.combinations(accuracies, 2))
    alpha = validation.alpha_level(alpha, len(pairs))
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
            diverged_a=diverged.get(later),
            diverged_b=diverged.get(earlier),
            failure_below=failure_below,
            references=references,
            setting=setting,
            seed=seed,
            first_margin=first_margin,
            first_alpha=first_alpha,
            earlier_looks=earlier_looks,
        )
        for earlier, later in pairs
    ]
    if len(pairs) == 1:
        return comparisons
    adjusted = _holm([c.pvalue for c in comparisons])
    # Holm's p rises with each p it adjusts, so it is smallest where each of them is.
    smallest = _holm([c.smallest_pvalue for c in comparisons])
    return [
        dataclasses.replace(
            c,
            n_comparisons=len(pairs),
            holm_pvalue=p,
            smallest_holm_pvalue=None if c.smallest_pvalue is None else least,
        )
        for c, p, least in zip(comparisons, adjusted, smallest, strict=True)
    ]


def _holm(pvalues: Sequence[float | None]) -> list[float]:
    return holm([1.0 if p is None else p for p in pvalues]).tolist()
