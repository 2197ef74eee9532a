"""What is studied: the data, the contestants, the seeds; checked, and told from any other study."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from functional_clf.contestants.base import Contestant, Template, described
from functional_clf.contestants.estimators import EstimatorContestant, check_metric
from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.contestants.recipe import Recipe
from functional_clf.contestants.settings import LESSON_HIDDEN, TABLE_HIDDEN
from functional_clf.core.tasks import Task, task_of
from functional_clf.data.dataset import Dataset, floating_dtype
from functional_clf.data.generators import circles
from functional_clf.data.seeds import Replicate, Vary, as_seeds, crossed_replicate, replicate
from functional_clf.stats import metrics, scopes, wording
from functional_clf.stats.metrics import ACCURACY
from functional_clf.stats.validation import alpha_level
from functional_clf.study.options import STANDARD_SEEDS, Options, check_choice
from functional_clf.support.arguments import name_text, short, whole_number
from functional_clf.support.notebook import Table, panel

if TYPE_CHECKING:

    class Seeds:
        """To a type checker: given as a count or a range, a range from then on."""

        def __get__(self, plan: Any, kind: Any) -> range: ...

        def __set__(self, plan: Any, seeds: int | range) -> None: ...

    class Contestants:
        """To a type checker: given with templates among them, contestants from then on."""

        def __get__(self, plan: Any, kind: Any) -> tuple[Contestant, ...]: ...

        def __set__(self, plan: Any, contestants: Sequence[Contestant | Template]) -> None: ...

else:
    Seeds, Contestants = range, tuple


@dataclass(frozen=True)
class Plan(Options):
    """A frozen description of what to train; `Study` runs it.

    Args:
        dataset: what every replicate draws its samples from.
        contestants: the models to compare, recipes above all, or templates whose sizes follow the
            data; names differ. Default: model_0 and model_1, for a table multinomial logistic
            regression and a network.
        seeds: the replicates to train: a count, or a range of seeds.
        chunk: the former name of `chunk_size`.
    """

    dataset: Dataset = field(default_factory=circles)
    contestants: Contestants = field(default=cast(Any, None))
    seeds: Seeds = field(default=cast(Any, STANDARD_SEEDS))
    chunk: InitVar[int | None] = field(default=None, kw_only=True)

    def __post_init__(self, chunk: int | None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if chunk is not None:
            whole_number("chunk", chunk, 1)
            if self.chunk_size is not None:
                raise ValueError(f"chunk is {chunk}, the former name of chunk_size; give one")
            self._set("chunk_size", chunk)
        if not isinstance(self.dataset, Dataset):
            raise TypeError(
                f"dataset is {short(self.dataset)}; it must be a Dataset, as circles() makes one"
            )
        if self.contestants is None:
            self._set("contestants", _standard_models(self.dataset))
        self._set("contestants", _as_contestants(self.contestants, self.dataset))
        self._set("seeds", as_seeds(self.seeds))
        # Names that differ in case only may stand in a record: the command line takes no new ones.
        if len(set(self.names)) < len(self.names) or any("/" in name for name in self.names):
            raise ValueError(
                f"contestants are named {self.names}; names must differ and hold no '/'"
            )
        super().__post_init__()
        if self.baseline is not None:
            check_choice("baseline", self.baseline, self.names)
        if (n_others := len(self.names) - 1) > 0:
            n_pairs = n_others if self.baseline is not None else n_others * (n_others + 1) // 2
            alpha_level(self.alpha, n_pairs)
        n_train, _ = self.dataset.sizes(self.test_size)
        fitted = (
            one.for_samples(n_train) if isinstance(one, Recipe) else one for one in self.contestants
        )
        self._set("contestants", tuple(fitted))
        self._set("seeds", self._check_design(self.seeds))
        if self.design == "crossed" and len(self.contestants) != 2:
            raise ValueError(
                f"contestants holds {len(self.contestants)}; a crossed design compares two"
            )
        for one in self.contestants:
            check_metric(one, self.metric)
        self._check_scope()
        if self.until_decided:
            self._check_until_decided()  # once more: now it is known what varies
            if len(self.contestants) < 2:
                raise ValueError("until_decided is True, but one contestant is compared with none")

    def _check_scope(self) -> None:
        """Claim nothing of new data where there are none."""
        fixed, has_own_test = self.dataset.is_fixed, self.dataset.has_own_test
        if self.vary == "auto":
            of_fixed = "init" if has_own_test else "split"
            self._set("vary", of_fixed if fixed and self.design == "paired" else "data")
        if has_own_test and self.vary == "split":
            raise ValueError(
                f"vary is 'split', but the test samples of {self.dataset} are given apart; it must "
                "be 'init'"
            )
        if fixed and self.vary == "data":
            asked = "design is 'crossed'" if self.design == "crossed" else "vary is 'data'"
            raise ValueError(
                f"{asked}, but {self.dataset} is one fixed data set, of which nothing new is "
                "drawn; it must be split or init, as in vary='split'"
            )

    def _repr_html_(self) -> str:
        """What would be run, for a notebook."""
        n_train, n_test = self.sizes
        metric = metrics.named(self.metric)
        if self.design == "crossed":
            scope = scopes.CROSSED
            seeds = f"{self.data_seeds} data seeds x {self.init_seeds} initialisation seeds"
        else:
            scope = scopes.named("test_set" if self.dataset.has_own_test else self.varies)
            seeds = f"{self.seeds.start} to {self.seeds.stop - 1}"
        rows = [
            ("data", f"{self.dataset}, {n_train} samples to train on, {n_test} to test on"),
            ("seeds", f"{seeds}; {scope.replicate}"),
            ("engine", f"{self.engine}, device {self.device}"),
        ]
        reach = []
        if len(self.names) > 1:
            margin = wording.margin_size(cast(float, self.margin), metric)
            level = wording.confidence(self.alpha)
            rows.append(("compared by", f"test {metric.words}, margin {margin}, {level}"))
            rows.append(("compared with", self.baseline or "each other"))
            claim = scope.sentence(scope.claim(str(self.dataset)))
            reach = [f"What is found will reach: {claim}"]
        models = [(one.name, _how(one)) for one in self.contestants]
        at_most = "at most " if self.until_decided else ""
        return panel(
            f"Study of {', '.join(self.names)}",
            f"To be trained: {len(self.names)} x {at_most}{len(self.seeds)} seeds.",
            [*reach, Table(("", ""), rows), Table(("model", "how"), models)],
        )

    @property
    def names(self) -> list[str]:
        """Of the contestants, in order."""
        return [one.name for one in self.contestants]

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Those of the contestants that an engine trains."""
        return tuple(one for one in self.contestants if isinstance(one, Recipe))

    @property
    def is_own(self) -> bool:
        """Whether data and contestants are all of this package's making, and so what they say."""
        return self.dataset.is_own and all(
            isinstance(one, Recipe | EstimatorContestant) and one.is_own for one in self.contestants
        )

    def replicate(self, seed: int) -> Replicate:
        """The named seeds that one seed of this study fixes."""
        if self.design == "crossed":
            return crossed_replicate(seed, self.init_seeds)
        return replicate(seed, self.varies)

    @property
    def varies(self) -> Vary:
        """`vary`, which is "auto" no more."""
        return cast(Vary, self.vary)

    @property
    def sizes(self) -> tuple[int, int]:
        """`(n_train, n_test)`: samples of one replicate."""
        return self.dataset.sizes(self.test_size)

    @property
    def has_metrics(self) -> bool:
        """Whether predictions are scored by more than accuracy: always of a table."""
        return self.dataset.is_table or self.metric != ACCURACY.name

    @property
    def records_more(self) -> bool:
        """Whether more is recorded of a seed than its row and curves."""
        return self.has_metrics or any(one.stop is not None for one in self.recipes)

    @functools.cached_property
    def task(self) -> Task:
        """What the labels are, and how classes weigh in the loss."""
        if self.class_weight is None:
            return self.dataset.task
        y = self.dataset.sample(0).y
        if self.dataset.has_own_test:  # whose labels nothing may learn from
            y = y[
                self.dataset.split(self.test_size, self.replicate(self.seeds[0]).split_seed).train
            ]
        from sklearn.utils.class_weight import compute_class_weight

        weights = compute_class_weight(self.class_weight, classes=np.unique(y), y=y)
        return task_of(self.dataset.n_classes, weights.tolist())

    @functools.cached_property
    def failure_threshold(self) -> float | None:
        """`failure_below`, or where it is not given what fits the data, as a share.

        None where a seed is held against always predicting the largest class.
        """
        if self.failure_below is not None:
            return self.failure_below
        if self.has_metrics:
            return None
        if self.dataset.references():
            guessing = 1 / self.dataset.n_classes
            return (guessing + 1) / 2
        _, counts = np.unique(self.dataset.sample(0).y, return_counts=True)
        return float(counts.max() / counts.sum())

    def identity(self) -> dict[str, Any]:
        """What its results are results of, as plain values; not how many seeds, nor how fast.

        Every part describes itself, its code and its fixed data by their digests.

        Raises:
            TypeError: when a contestant does not describe itself by plain values.
            ValueError: as `Dataset.sample`.
        """
        # Rows may be added to a crossed grid later; another number of columns renames its cells.
        crossed = {"init_seeds": self.init_seeds} if self.design == "crossed" else {}
        # What is new is named where it is not as it always was: older folders go on.
        asked = {} if self.class_weight is None else {"class_weight": self.class_weight}
        if self.has_metrics and not self.dataset.is_table:
            asked["metrics"] = "recorded"
        return {
            "design": self.design,
            **crossed,
            "dataset": self.dataset.describe(),
            "models": {one.name: described(one) for one in self.contestants},
            "vary": self.vary,
            "test_size": self.test_size,
            "dtype": floating_dtype().name,
            **asked,
        }


def _standard_models(dataset: Dataset) -> tuple[Template, ...]:
    """The lesson's two models, or for a table its two, whose sizes follow the data."""
    hidden = TABLE_HIDDEN if dataset.is_table else LESSON_HIDDEN
    return model_0(hidden=hidden["model_0"]), model_1(hidden=hidden["model_1"])


def _as_contestants(contestants: Any, dataset: Dataset) -> tuple[Contestant, ...]:
    wanted = "it must be a tuple of contestants, as in (model_0(), model_1())"
    if isinstance(contestants, Contestant | Template | str) or not isinstance(
        contestants, Iterable
    ):
        raise TypeError(f"contestants is {short(contestants)}; {wanted}")
    given = tuple(contestants)
    if not given:
        raise ValueError("contestants is empty; it needs at least one")
    found = tuple(_sized(one, dataset) for one in given)
    for index, one in enumerate(found):
        if not isinstance(one, Contestant) or isinstance(one, type):
            raise TypeError(f"contestants[{index}] is {short(one)}; {wanted}")
        name_text("a contestant", one.name)
        _check_curve_epochs(one)
    return found


def _sized(one: Any, dataset: Dataset) -> Any:
    """A contestant whose sizes follow the data is made for them; any other one is as it is."""
    if isinstance(one, Template) and not isinstance(one, type):
        return one.sized(dataset.n_features, dataset.n_classes)
    return one


def _how(contestant: Contestant) -> str:
    """What a contestant is, and for how long it is trained, in a few words."""
    if isinstance(contestant, EstimatorContestant):
        return type(contestant.classifier).__name__
    if not isinstance(contestant, Recipe):
        return type(contestant).__name__
    words = wording.plural(contestant.epochs, "epoch")
    if contestant.batch_size is not None:
        words += f" in batches of {contestant.batch_size}"
    return words if contestant.stop is None else f"at most {words}, stopping early"


def _check_curve_epochs(contestant: Contestant) -> None:
    epochs = contestant.curve_epochs
    is_rising = (
        isinstance(epochs, tuple)
        and len(epochs) > 0
        and all(type(epoch) is int and epoch >= 0 for epoch in epochs)
        and all(before < after for before, after in pairwise(epochs))
    )
    if not is_rising:
        raise ValueError(
            f"contestant {contestant.name!r}: curve_epochs is {short(epochs)}; it must be rising "
            "whole numbers, as in (0, 50, 100), or (0,) where there are no epochs"
        )
