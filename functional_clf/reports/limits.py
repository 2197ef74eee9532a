"""What a report may not be used for, in plain words: by what its seeds did and did not redraw."""

from functional_clf.reports.findings import Findings
from functional_clf.stats.scopes import CROSSED, DATA, INIT, SPLIT, TEST_SET, UNSAID

_REACHES = {
    DATA.name: "Each seed drew data, split and initial weights anew.",
    SPLIT.name: "Each seed drew the split and the initial weights anew, out of one data set.",
    INIT.name: "Each seed drew the initial weights anew; data and split were the same for all.",
    TEST_SET.name: "Each seed drew the initial weights anew; the test set was the same for all.",
    CROSSED.name: "Each draw of the data was trained with each draw of the initial weights.",
    UNSAID.name: "Nobody said what each run redrew.",
}
_NOT_FOR = {
    DATA.name: (
        "Data from another source: with more noise, other sizes or other classes, the models may "
        "rank otherwise.",
    ),
    SPLIT.name: (
        "Data from another source: only one data set was looked at, and its splits share most of "
        "their samples.",
        "Exact error rates: how splits that overlap vary is an approximation.",
    ),
    INIT.name: (
        "New data: not one sample was drawn anew, so this says nothing about how either model does "
        "on another split, let alone on other data.",
    ),
    TEST_SET.name: (
        "New data: all runs were tested on the same samples, so this says nothing about how either "
        "model does on others.",
    ),
    CROSSED.name: (
        "Data from another source: with more noise, other sizes or other classes, the models may "
        "rank otherwise.",
    ),
    UNSAID.name: (
        "New data, new splits or new initial weights: as nobody said which of them the runs "
        "redrew, this may speak of none of them.",
    ),
}
_OTHER_SETTINGS = (
    "Other settings: more epochs, another learning rate or another width make another model, which "
    "was not tried here."
)


def reach_of(findings: Findings) -> str:
    """What the runs redrew, in a sentence.

    Example:
        >>> from functional_clf.stats import METRICS
        >>> nothing = Findings("x", "2 runs", METRICS["accuracy"], 0.01, 0.05, (), (), "")
        >>> reach_of(nothing)
        'Nobody said what each run redrew.'
    """
    return _REACHES[findings.scope.name]


def limits_of(findings: Findings) -> tuple[str, ...]:
    """What these findings may not be used for, a line each.

    Example:
        >>> from functional_clf.stats import METRICS
        >>> nothing = Findings("x", "2 runs", METRICS["accuracy"], 0.01, 0.05, (), (), "")
        >>> [line.split(":")[0] for line in limits_of(nothing)]
        ['New data, new splits or new initial weights', 'Other settings']
    """
    lines = [*_NOT_FOR[findings.scope.name], _OTHER_SETTINGS]
    if findings.comparisons:
        lines.append(
            "One run: the verdict is about means over many. A single run of the better model may "
            "well do worse than one of the other."
        )
        if any(one.verdict == "inconclusive" for one in findings.comparisons):
            lines.append(
                "A claim that models are equally good: inconclusive means that these runs do not "
                "tell, not that there is no difference."
            )
        if findings.margin == 0:
            lines.append("What matters in practice: the margin is 0, so any difference counts.")
    if findings.mean is not None:
        lines.append(
            "Data sets unlike these: the mean over data sets speaks of others only where these may "
            "count as drawn at random from them."
        )
    return tuple(lines)
