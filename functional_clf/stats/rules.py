"""What is settled before anyone looks: the rules that every comparison of a study is held to."""

import dataclasses
from collections.abc import Mapping
from typing import TypedDict, cast

from functional_clf.stats import metrics, scopes, validation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """What is the same for every pair of models of a study, checked once.

    Whoever compares one pair may give these as arguments of `compare` instead. What belongs to a
    pair stays an argument of the call: the columns, their `total`, who diverged, the names.

    Attributes:
        scope: "data", "split", "init" or "test_set": what each pair redrew, the last two the
            initialisation alone, and "test_set" where the test set was given apart. A crossed
            design has one scope only, for which this stays "data".
        n_train: training samples a run; needed for the split scope.
        n_test: test samples a run; needed for the split scope (a `total` that is one number, or
            the same for all, will do). Where neither is known, the interval cannot tell that the
            models differ on few samples only.
        margin: the smallest difference that matters, in the metric's own unit: of shares in
            [0, 1], where 0.01 is one percentage point and stands where none is given. Log loss and
            Brier score have no usual one. Rules replaced by those of another metric keep it.
        alpha: share of intervals that may miss, in (0, 1): of all that `compare_all` gives
            together, the chance that any does.
        failure_below: accuracy in [0, 1] below which a run counts as failed; None counts only
            runs that diverged, or what `compare` is told by its `majority`. Of accuracy alone.
        references: scores to hold the models against, such as {"best possible": 0.99957}.
        setting: where the data come from, for the scope sentence, such as "circles(1000)".
        seed: of the random signs, where the sign-flip test is not exact.
        first_margin: the margin of the first look at these results; where it differs from
            `margin`, the conclusion says that the margin was changed after looking.
        first_alpha: the alpha of the first look, likewise.
        earlier_looks: how often results of this study were looked at before with fewer or other
            seeds; the conclusion says so, since looking until it is significant raises false
            alarms.
        metric: what the scores are, a name in `METRICS`.
        step: how much one test sample can change a score, at most; where None, the metric's upper
            bound over `n_test`, where that is known. A metric that averages over classes changes by
            more with a sample of a small class, which has to be given. None for log loss, of which
            one sample can change anything.
        sequential: whether the number of pairs hangs on what was seen on the way, as where one
            stops at a verdict. All intervals then hold at every number of pairs at once, the
            verdict is decided on the time-uniform one, and there is no p value. Pairs come in the
            order they were drawn. Of independent replicates and bounded metrics alone.
        first_metric: the metric of the first look; where it differs from `metric`, the conclusion
            says that the metric was changed after looking, and nothing of a changed margin.

    Raises:
        ValueError: for a value out of range; the message names it and the value.
        TypeError: for a value of the wrong type.

    Example:
        >>> rules = Rules(margin=0.02, failure_below=0.75)
        >>> dataclasses.replace(rules, alpha=0.01).margin
        0.02
    """

    scope: str = "data"
    n_train: int | None = None
    n_test: int | None = None
    margin: float | None = None
    alpha: float = 0.05
    failure_below: float | None = None
    references: Mapping[str, float] | None = dataclasses.field(default=None, hash=False)
    setting: str = ""
    seed: int = 0
    first_margin: float | None = None
    first_alpha: float | None = None
    earlier_looks: int = 0
    metric: str = metrics.ACCURACY.name
    step: float | None = None
    first_metric: str | None = None
    sequential: bool = False

    def __post_init__(self) -> None:
        optional = validation.optional
        metric = metrics.named(self.metric)
        first = metric if self.first_metric is None else _first_metric(self.first_metric)
        checked = {
            "scope": scopes.named(self.scope).name,
            "alpha": validation.alpha_level(self.alpha),
            "margin": validation.margin_size("margin", self.margin, metric),
            "failure_below": optional(validation.fraction, "failure_below", self.failure_below),
            "n_train": optional(validation.positive_integer, "n_train", self.n_train),
            "n_test": optional(validation.positive_integer, "n_test", self.n_test),
            "seed": validation.integer("seed", self.seed, 0),
            "setting": validation.text("setting", self.setting),
            "first_alpha": validation.first_alpha(self.first_alpha),
            "earlier_looks": validation.integer("earlier_looks", self.earlier_looks, 0),
        }
        if self.references is not None:
            checked["references"] = validation.references("references", self.references, metric)
        if self.first_margin is not None:
            first_margin = validation.margin_size("first_margin", self.first_margin, first)
            checked["first_margin"] = first_margin
        if self.step is not None:
            checked["step"] = validation.fraction("step", self.step, metric.upper)
            if metric.upper is None:
                raise ValueError(
                    f"step is {self.step}: one test sample can change a {metric.words} by any "
                    "amount, so leave it out"
                )
        if self.failure_below is not None and metric != metrics.ACCURACY:
            raise ValueError(
                f"failure_below is {self.failure_below}: it is an accuracy, and the metric is "
                f"{metric.words}; say by majority= of compare what a failed run is"
            )
        if not isinstance(self.sequential, bool):
            raise TypeError(f"sequential is {validation.shown(self.sequential)}: True or False")
        if self.sequential and not scopes.named(self.scope).independent:
            raise ValueError(
                f"scope is {self.scope!r}: splits of one data set are no independent draws, so "
                "no interval holds at every number of them; leave sequential out"
            )
        if self.sequential and metric.upper is None:
            raise ValueError(
                f"metric is {self.metric!r}: {metric.words} has no upper bound, so no interval "
                "holds at every number of pairs; leave sequential out"
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def settled_margin(self) -> float:
        """The margin, which is a number since these rules were made."""
        return cast(float, self.margin)

    def for_each_of(self, n_comparisons: int) -> "Rules":
        """Return the rules of one of several comparisons that share alpha, by Bonferroni.

        Raises:
            ValueError: where too little of alpha is left for one.
        """
        alpha = validation.alpha_level(self.alpha, n_comparisons)
        return dataclasses.replace(self, alpha=alpha / n_comparisons)


class VerdictSettings(TypedDict, total=False):
    """The rules that any verdict needs."""

    margin: float | None
    alpha: float


class PairedSettings(VerdictSettings, total=False):
    """The rules that `self_calibration` and `lucky_seeds` take one by one: those of verdicts."""

    scope: str
    n_train: int | None
    n_test: int | None
    metric: str
    step: float | None


class CrossedSettings(VerdictSettings, total=False):
    """The rules that `compare_crossed` takes one by one."""

    failure_below: float | None
    references: Mapping[str, float] | None
    setting: str
    first_margin: float | None
    first_alpha: float | None
    earlier_looks: int
    first_metric: str | None


class RuleSettings(PairedSettings, CrossedSettings, total=False):
    """All rules as arguments, so that a type checker knows them: the fields of `Rules`."""

    seed: int
    sequential: bool


def _first_metric(name: str) -> metrics.Metric:
    try:
        return metrics.named(name)
    except ValueError as error:
        raise ValueError(f"first_{error}") from None


def chosen(
    caller: str,
    rules: Rules | None,
    settings: Mapping[str, object],
    known: frozenset[str] = RuleSettings.__optional_keys__,
) -> Rules:
    """Return the rules of a call, which were given as one value or one by one.

    Args:
        caller: the function that was called, for the messages.
        rules: the one value, or None.
        settings: rules by name.
        known: the names that the function takes.

    Returns:
        The one value, or the settings as one.

    Raises:
        ValueError: for a rule out of range.
        TypeError: for both at once, an unknown name, or a value of the wrong type.

    Example:
        >>> chosen("compare", None, {"margin": 0.02}).margin
        0.02
    """
    for name in settings:
        if name not in known:
            fields = [field.name for field in dataclasses.fields(Rules) if field.name in known]
            raise TypeError(
                f"{caller}() got an unexpected keyword argument {name!r}; its rules are "
                f"{', '.join(fields)}"
            )
    if rules is None:
        return Rules(**cast(RuleSettings, settings))
    if not isinstance(rules, Rules):
        raise TypeError(f"rules is {validation.shown(rules)}: a Rules value is needed")
    if settings:
        name = next(iter(settings))
        raise TypeError(
            f"rules and {name} are both given: {name} belongs in the rules, as by "
            f"dataclasses.replace(rules, {name}=...)"
        )
    return rules
