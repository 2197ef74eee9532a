"""How often would a few lucky seeds have named the wrong model? Draws of few seeds from a study."""

import dataclasses

from functional_clf.stats.scopes import Scope
from functional_clf.stats.types import Verdict


@dataclasses.dataclass(frozen=True)
class LuckySeeds:
    """What n seeds out of this very study would have said, for each n from 1 on.

    All seeds of the study stand for the answer: a draw of n seeds is wrong where its mean
    difference points to one model and that of all seeds does not. So where the mean of all is
    exactly 0, every draw that points to a model is wrong. Where the verdict is inconclusive, the
    study itself does not know which model is better, and "wrong" only says that a draw disagrees
    with the study.

    Attributes:
        names: model and baseline.
        n_pairs: seeds of the study.
        estimate: mean of score_model - score_baseline over all of them, in the metric's unit; of a
            metric that is better when lower, a negative one speaks for the model.
        verdict: of all seeds, on the model against the baseline.
        metric: what the scores are, a name in `METRICS`.
        margin: of the verdict, as in `Rules`.
        alpha: of all intervals, as in `Rules`.
        scope: of the study and of the draws.
        repetitions: draws of each size.
        sizes: seeds a draw, growing from 1 on to at most half of all; all columns below have one
            entry for each.
        wrong: share of the draws whose mean difference points to another model than that of all
            seeds; ties do not count.
        tied: share whose mean difference is exactly 0.
        width: median full width of the interval that `compare` would decide on, in the metric's
            unit; None where half of the draws or more allow none.
        undecided: share whose interval holds 0, or that allow none.
        misled: share whose interval leaves out 0 on a side where the mean of all seeds is not.
    """

    names: tuple[str, str]
    n_pairs: int
    estimate: float
    verdict: Verdict
    metric: str
    margin: float
    alpha: float
    scope: Scope
    repetitions: int
    sizes: tuple[int, ...]
    wrong: tuple[float, ...]
    tied: tuple[float, ...]
    width: tuple[float | None, ...]
    undecided: tuple[float, ...]
    misled: tuple[float, ...]
