"""The comparison of scores from anywhere, as a table."""

from rich.console import Group
from rich.text import Text

from functional_clf.reports.figures import FigureTable, difference_of, figure_of, unit_of
from functional_clf.score_tables.comparing import ScoreComparison
from functional_clf.stats import Comparison, wording
from functional_clf.stats.data_sets import MeanOverDataSets
from functional_clf.stats.metrics import named
from functional_clf.support.text import printable


def scores_table(found: ScoreComparison) -> Group:
    """Each pair's mean scores and their difference; of several data sets a row each.

    Example:
        >>> from rich.console import Console
        >>> from functional_clf.score_tables.comparing import compare_scores
        >>> found = compare_scores({"seed": [1, 2, 3], "a": [0.5, 0.6, 0.5], "b": [0.9, 0.9, 0.8]})
        >>> Console(width=80).print(scores_table(found))  # doctest: +ELLIPSIS
        Mean score of the frame, %, and the difference (3 pairs)
        ...
    """
    first = found.comparisons[0]
    metric = named(first.metric)
    level = wording.confidence(first.alpha * first.n_comparisons)
    p = "p" if len(found.comparisons) == 1 else "Holm p"
    if found.data_sets is not None:
        table = FigureTable(("data set",), ("pairs", "diff", level, p, "verdict"))
        for name, one in found.data_sets.comparisons.items():
            table.add_row(name, str(one.n_pairs), *difference_of(one, metric), *_ending(one))
        mean = found.data_sets.mean
        of_sets = f"mean over {mean.n_data_sets}"
        table.add_row(of_sets, "", *_mean(mean), mean.verdict.replace(" but ", " but\n"))
        names = " minus ".join(mean.names)
        title = f"Mean {metric.words} of {found.source}{unit_of(metric)}: {names}, by data set"
        return Group(Text(printable(title)), table)
    table = FigureTable(("model", "minus"), ("mean", "mean", "diff", level, p, "verdict"))
    for one in found.comparisons:
        means = (figure_of(model.accuracy.mean, metric) for model in (one.model_a, one.model_b))
        names = (one.model_a.name, one.model_b.name)
        table.add_row(*names, *means, *difference_of(one, metric), *_ending(one))
    pairs = wording.plural(first.n_pairs, "pair")
    title = f"Mean {metric.words} of {found.source}{unit_of(metric)}, and the difference ({pairs})"
    return Group(Text(printable(title)), table)


def _ending(one: Comparison) -> tuple[str, str]:
    pvalue = one.pvalue if one.holm_pvalue is None else one.holm_pvalue
    words = "-" if one.pvalue is None else wording.p_value(pvalue)
    return words.removeprefix("p ").removeprefix("= "), one.verdict.replace(" but ", " but\n")


def _mean(mean: MeanOverDataSets) -> tuple[str, str, str]:
    difference, ends = difference_of(mean, named(mean.metric))
    words = "-" if mean.pvalue is None else wording.p_value(mean.pvalue)
    return difference, ends, words.removeprefix("p ").removeprefix("= ")
