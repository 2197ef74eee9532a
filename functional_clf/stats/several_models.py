"""More than two models, with error rates that hold over all comparisons of them together."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Unpack

from numpy.typing import ArrayLike

from functional_clf.stats import validation
from functional_clf.stats.comparison import Comparison, compare
from functional_clf.stats.multiplicity import holm
from functional_clf.stats.rules import Rules, RuleSettings, chosen


def compare_all(
    accuracies: Mapping[str, ArrayLike],
    rules: Rules | None = None,
    *,
    total: ArrayLike | None = None,
    diverged: Mapping[str, ArrayLike] | None = None,
    majority: ArrayLike | None = None,
    baseline: str | None = None,
    **settings: Unpack[RuleSettings],
) -> list[Comparison]:
    """Compare several models, every pair or all with one, allowing for the number of comparisons.

    With m pairs, each interval (and so each verdict) is given at alpha / m, Bonferroni's level, so
    with probability 1 - alpha all of them hold together. The p values are Holm's, each on the p
    value that fits the scope (one that cannot be given counts as 1); they can be smaller than
    the intervals are narrow, as Holm's is the more powerful of the two.

    Args:
        accuracies: (J,) column of accuracies (or counts, or scores of `rules.metric`) of each model
            by name, two models at least, or a data frame with a column a model; each pair is
            compared in the order given, the later model minus the earlier.
        rules: what is the same for all pairs; its `alpha` is the chance that any interval misses.
        total: test samples a run, where the columns are counts.
        diverged: (J,) True where a run diverged, by model name.
        majority: (J,) scores of always predicting the majority class, as in `compare`.
        baseline: the model that all others are compared with, which makes fewer pairs; None for
            every pair. Choose it before you look.
        settings: in place of `rules`, its fields one by one, as in `compare`.

    Returns:
        One `Comparison` a pair, with `n_comparisons` set, and where there are p values, with
        `holm_pvalue` and `smallest_holm_pvalue`.

    Raises:
        ValueError: for fewer than two models, a baseline that is none of them, or as `compare`.
        TypeError: for accuracies that name no models, or as `compare`.

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6, 65-70; Bonferroni's inequality.

    Example:
        >>> columns = {"a": [0.5, 0.6, 0.5], "b": [0.9, 0.9, 0.8], "c": [0.9, 0.8, 0.9]}
        >>> [(c.model_a.name, c.model_b.name) for c in compare_all(columns)]
        [('b', 'a'), ('c', 'a'), ('c', 'b')]
        >>> [(c.model_a.name, c.model_b.name) for c in compare_all(columns, baseline="b")]
        [('a', 'b'), ('c', 'b')]
    """
    accuracies = validation.named_columns("accuracies", accuracies)
    diverged = {} if diverged is None else validation.named_columns("diverged", diverged)
    if len(accuracies) < 2:
        raise ValueError(f"accuracies holds {len(accuracies)} models: at least two are needed")
    unknown = set(diverged) - set(accuracies)
    if unknown:
        raise ValueError(f"diverged names {unknown.pop()!r}: it is not among accuracies")
    if baseline is None:
        pairs = list(itertools.combinations(accuracies, 2))
    elif baseline in accuracies:
        pairs = [(baseline, name) for name in accuracies if name != baseline]
    else:
        raise ValueError(f"baseline is {baseline!r}: it is not among accuracies")
    validation.alpha_level(settings.get("alpha", Rules.alpha), len(pairs))
    rules = chosen("compare_all", rules, settings).for_each_of(len(pairs))
    comparisons = [
        compare(
            accuracies[later],
            accuracies[earlier],
            rules,
            total=total,
            names=(later, earlier),
            diverged_a=diverged.get(later),
            diverged_b=diverged.get(earlier),
            majority=majority,
        )
        for earlier, later in pairs
    ]
    if len(pairs) == 1:
        return comparisons
    if rules.sequential:
        return [dataclasses.replace(c, n_comparisons=len(pairs)) for c in comparisons]
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
