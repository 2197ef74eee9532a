"""What a label is: the loss and the score that go with it.

A task is carried through the training and the evaluation step, which know of neither. Another kind
of label is another class of the same form.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from functional_clf.core.losses import (
    bce_with_logits,
    count_correct,
    count_correct_of_classes,
    cross_entropy,
)
from functional_clf.support.arguments import whole_number


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


@dataclass(frozen=True)
class Binary:
    """Two classes, told apart by one logit: binary cross-entropy.

    Example:
        >>> import torch
        >>> Binary().count_correct(torch.tensor([-1.0, 2.0]), torch.tensor([0.0, 1.0]))
        tensor(2)
    """

    @property
    def n_classes(self) -> int:
        """Labels are 0 and 1."""
        return 2

    @property
    def loss_name(self) -> str:
        """What the loss is called."""
        return "binary cross-entropy"

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `bce_with_logits`."""
        return bce_with_logits(logits, y)

    def count_correct(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `losses.count_correct`."""
        return count_correct(logits, y)


@dataclass(frozen=True)
class MultiClass:
    """Several classes, a logit each: cross-entropy.

    Args:
        n_classes: how many, at least 2.

    Raises:
        TypeError: when it is not a whole number.
        ValueError: when it is below 2.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
        >>> MultiClass(3).count_correct(logits, torch.tensor([1.0, 2.0]))
        tensor(1)
    """

    n_classes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_classes", whole_number("n_classes", self.n_classes, 2))

    @property
    def loss_name(self) -> str:
        """What the loss is called."""
        return "cross-entropy"

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `cross_entropy`."""
        return cross_entropy(logits, y, self.n_classes)

    def count_correct(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `count_correct_of_classes`."""
        return count_correct_of_classes(logits, y, self.n_classes)


def task_of(n_classes: int) -> Task:
    """The task of telling so many classes apart: with one logit where they are two.

    Example:
        >>> task_of(2), task_of(3)
        (Binary(), MultiClass(n_classes=3))
    """
    return Binary() if n_classes == 2 else MultiClass(n_classes)
