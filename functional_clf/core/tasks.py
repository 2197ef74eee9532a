"""What a label is: the loss and the score that go with it.

A task is carried through the training and the evaluation step, which know of neither. Another kind
of label is another class of the same form.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from functional_clf.core.losses import (
    bce_with_logits,
    count_correct,
    count_correct_of_classes,
    cross_entropy,
    smoothed_bce_with_logits,
    smoothed_cross_entropy,
    weighted_bce_with_logits,
    weighted_cross_entropy,
)
from functional_clf.support.arguments import real_number, whole_number


@runtime_checkable
class Task(Protocol):
    """What is learned: pure functions of one replicate's logits and labels.

    Frozen and hashable: programs are compiled for a task, and found again by it.
    """

    @property
    def n_classes(self) -> int:
        """Labels are the numbers 0 to `n_classes - 1`."""
        ...

    @property
    def loss_name(self) -> str:
        """What the loss is called."""
        ...

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """The mean loss over the samples, a 0-d tensor."""
        ...

    def count_correct(self, logits: Tensor, y: Tensor) -> Tensor:
        """How many samples are predicted correctly, a 0-d integer tensor."""
        ...

    def smoothed(self, label_smoothing: float) -> "Task":
        """The task of learning from smoothed labels; with 0, from the labels as they are."""
        ...


@dataclass(frozen=True)
class Binary:
    """Two classes, told apart by one logit: binary cross-entropy.

    Args:
        class_weights: what a sample of either class weighs in the loss; None for 1 each.
        label_smoothing: the share of each target that is spread evenly over the classes, in [0, 1).

    Raises:
        TypeError: when an argument is not of numbers.
        ValueError: when the weights are not two numbers above 0, or the share is out of its range.

    Example:
        >>> import torch
        >>> Binary().count_correct(torch.tensor([-1.0, 2.0]), torch.tensor([0.0, 1.0]))
        tensor(2)
    """

    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_weights", _weights(self.class_weights, 2))
        object.__setattr__(self, "label_smoothing", smoothing_share(self.label_smoothing))

    @property
    def n_classes(self) -> int:
        """Labels are 0 and 1."""
        return 2

    @property
    def loss_name(self) -> str:
        """What the loss is called."""
        return "binary cross-entropy" + _changed(self.class_weights, self.label_smoothing)

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `bce_with_logits`, `weighted_bce_with_logits` and `smoothed_bce_with_logits`."""
        if self.label_smoothing:
            weights = self.class_weights or (1.0, 1.0)
            return smoothed_bce_with_logits(logits, y, self.label_smoothing, weights)
        if self.class_weights is None:
            return bce_with_logits(logits, y)
        return weighted_bce_with_logits(logits, y, self.class_weights)

    def count_correct(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `losses.count_correct`."""
        return count_correct(logits, y)

    def smoothed(self, label_smoothing: float) -> "Binary":
        """The same task with such a share of smoothing.

        Example:
            >>> Binary().smoothed(0.1).loss_name
            'binary cross-entropy, labels smoothed by 0.1'
        """
        return _smoothed(self, label_smoothing)


@dataclass(frozen=True)
class MultiClass:
    """Several classes, a logit each: cross-entropy.

    Args:
        n_classes: how many, at least 2.
        class_weights: what a sample of each class weighs in the loss; None for 1 each.
        label_smoothing: the share of each target that is spread evenly over the classes, in [0, 1).

    Raises:
        TypeError: when n_classes is not a whole number, or another argument not of numbers.
        ValueError: when n_classes is below 2, the weights are not as many numbers above 0, or the
            share is out of its range.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
        >>> MultiClass(3).count_correct(logits, torch.tensor([1.0, 2.0]))
        tensor(1)
    """

    n_classes: int
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_classes", whole_number("n_classes", self.n_classes, 2))
        object.__setattr__(self, "class_weights", _weights(self.class_weights, self.n_classes))
        object.__setattr__(self, "label_smoothing", smoothing_share(self.label_smoothing))

    @property
    def loss_name(self) -> str:
        """What the loss is called."""
        return "cross-entropy" + _changed(self.class_weights, self.label_smoothing)

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `cross_entropy`, `weighted_cross_entropy` and `smoothed_cross_entropy`."""
        if self.label_smoothing:
            weights = self.class_weights or (1.0,) * self.n_classes
            return smoothed_cross_entropy(logits, y, self.label_smoothing, weights)
        if self.class_weights is None:
            return cross_entropy(logits, y, self.n_classes)
        return weighted_cross_entropy(logits, y, self.class_weights)

    def count_correct(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `count_correct_of_classes`."""
        return count_correct_of_classes(logits, y, self.n_classes)

    def smoothed(self, label_smoothing: float) -> "MultiClass":
        """The same task with such a share of smoothing.

        Example:
            >>> MultiClass(3).smoothed(0.1).loss_name
            'cross-entropy, labels smoothed by 0.1'
        """
        return _smoothed(self, label_smoothing)


_Task = TypeVar("_Task", Binary, MultiClass)


def task_of(n_classes: int, class_weights: Sequence[float] | None = None) -> Task:
    """The task of telling so many classes apart: with one logit where they are two.

    Args:
        n_classes: how many, at least 2.
        class_weights: what a sample of each class weighs in the loss; None for 1 each.

    Example:
        >>> task_of(3)
        MultiClass(n_classes=3, class_weights=None, label_smoothing=0.0)
    """
    weights = None if class_weights is None else tuple(class_weights)
    return Binary(weights) if n_classes == 2 else MultiClass(n_classes, weights)


def _weights(class_weights: Any, n_classes: int) -> tuple[float, ...] | None:
    if class_weights is None:
        return None
    found = tuple(real_number("class_weights", weight) for weight in class_weights)
    if len(found) != n_classes or not all(0 < weight < math.inf for weight in found):
        raise ValueError(
            f"class_weights is {class_weights}; it must be {n_classes} numbers above 0, one a class"
        )
    return found


def smoothing_share(label_smoothing: Any) -> float:
    """A share of smoothing, where it is one.

    Raises:
        TypeError: when it is not a number.
        ValueError: when it is not in [0, 1).

    Example:
        >>> smoothing_share(0.1)
        0.1
    """
    if not 0 <= (found := real_number("label_smoothing", label_smoothing)) < 1:
        raise ValueError(f"label_smoothing is {found}; it must be at least 0 and below 1")
    return found


def _smoothed(task: _Task, label_smoothing: float) -> _Task:
    found = smoothing_share(label_smoothing)
    return task if found == task.label_smoothing else replace(task, label_smoothing=found)


def _changed(class_weights: tuple[float, ...] | None, label_smoothing: float) -> str:
    weighted = "" if class_weights is None else ", classes weighted"
    return weighted + (f", labels smoothed by {label_smoothing:g}" if label_smoothing else "")
