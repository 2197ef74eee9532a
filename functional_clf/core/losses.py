"""The losses and the scores of classifiers, on one replicate's logits."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def bce_with_logits(
    logits: Float[Tensor, " sample"], y: Float[Tensor, " sample"]
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy of logits z: `mean(max(z, 0) - z y + log(1 + exp(-|z|)))`.

    Args:
        logits: log-odds of class 1, `(sample,)`.
        y: labels 0.0 or 1.0, `(sample,)`.

    Returns:
        The mean over the samples, a 0-d tensor.

    Raises:
        ValueError: when logits and labels are not of one shape `(sample,)`.

    Example:
        >>> bce_with_logits(torch.zeros(4), torch.tensor([0.0, 1.0, 0.0, 1.0]))
        tensor(0.6931)
    """
    _check_shapes(logits, y)
    # In terms of log sigmoid(z): one exponential a sample, also in the gradient.
    return ((1 - y) * logits - torch.nn.functional.logsigmoid(logits)).mean()


def weighted_bce_with_logits(
    logits: Float[Tensor, " sample"],
    y: Float[Tensor, " sample"],
    class_weights: Sequence[float],
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy in which a sample weighs what its class does: `mean(w_y loss)`.

    Args:
        logits: log-odds of class 1, `(sample,)`.
        y: labels 0.0 or 1.0, `(sample,)`.
        class_weights: of class 0 and of class 1, above 0.

    Returns:
        The mean over the samples, a 0-d tensor.

    Raises:
        ValueError: when logits and labels are not of one shape `(sample,)`.

    Example:
        >>> weighted_bce_with_logits(torch.zeros(2), torch.tensor([0.0, 1.0]), (0.5, 1.5))
        tensor(0.6931)
    """
    _check_shapes(logits, y)
    losses = (1 - y) * logits - torch.nn.functional.logsigmoid(logits)
    of_0, of_1 = class_weights
    return ((of_0 + (of_1 - of_0) * y) * losses).mean()


def smoothed_bce_with_logits(
    logits: Float[Tensor, " sample"],
    y: Float[Tensor, " sample"],
    label_smoothing: float,
    class_weights: Sequence[float] = (1.0, 1.0),
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy against targets that are moved towards one half.

    `mean(-w_1 t log sigmoid(z) - w_0 (1 - t) log sigmoid(-z))` with
    `t = (1 - label_smoothing) y + label_smoothing / 2`: the cross-entropy of two classes with as
    much smoothing.

    Args:
        logits: log-odds of class 1, `(sample,)`.
        y: labels 0.0 or 1.0, `(sample,)`.
        label_smoothing: the share of each target that is spread evenly over the classes, in [0, 1).
        class_weights: of class 0 and of class 1, above 0.

    Returns:
        The mean over the samples, a 0-d tensor.

    Raises:
        ValueError: when logits and labels are not of one shape `(sample,)`.

    Reference:
        Müller et al. 2019, "When does label smoothing help?", section 1.

    Example:
        >>> smoothed_bce_with_logits(torch.tensor([2.0]), torch.tensor([1.0]), 0.1)
        tensor(0.2269)
    """
    _check_shapes(logits, y)
    of_0, of_1 = class_weights
    target = (1 - label_smoothing) * y + label_smoothing / 2
    against = of_0 * (1 - target)
    # log sigmoid(-z) is log sigmoid(z) - z: one exponential a sample.
    losses = against * logits - (against + of_1 * target) * torch.nn.functional.logsigmoid(logits)
    return losses.mean()


def count_correct(logits: Float[Tensor, " sample"], y: Float[Tensor, " sample"]) -> Int[Tensor, ""]:
    """How many samples fall on their label's side of the decision boundary (logit 0).

    A logit that is NaN names no class and is never correct. A count, not an accuracy: floats break
    ties and zeros.

    Args:
        logits: log-odds of class 1, `(sample,)`; a logit above 0 predicts class 1.
        y: labels 0.0 or 1.0, `(sample,)`.

    Returns:
        A 0-d integer tensor between 0 and the number of samples.

    Raises:
        ValueError: when logits and labels are not of one shape `(sample,)`.

    Example:
        >>> count_correct(torch.tensor([-1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, 0.0]))
        tensor(2)
    """
    _check_shapes(logits, y)
    is_correct = torch.where(y > 0.5, logits > 0, logits <= 0)
    return is_correct.sum()


def cross_entropy(
    logits: Float[Tensor, "sample class"], y: Float[Tensor, " sample"], n_classes: int
) -> Float[Tensor, ""]:
    """Mean cross-entropy of logits z: `mean(log(sum over c of exp(z_c)) - z_y)`.

    Args:
        logits: unnormalised log-probabilities, `(sample, class)`.
        y: class numbers from 0 on, `(sample,)`, in the floating-point type of the logits.
        n_classes: how many classes there are.

    Returns:
        The mean over the samples, a 0-d tensor.

    Raises:
        ValueError: when the logits are not `(sample, n_classes)`, or the labels not `(sample,)`.

    Example:
        >>> cross_entropy(torch.zeros(2, 3), torch.tensor([0.0, 2.0]), n_classes=3)
        tensor(1.0986)
    """
    _check_class_shapes(logits, y, n_classes)
    log_shares = torch.log_softmax(logits, -1)
    return -torch.where(_is_label(y, n_classes), log_shares, 0.0).sum(-1).mean()


def weighted_cross_entropy(
    logits: Float[Tensor, "sample class"],
    y: Float[Tensor, " sample"],
    class_weights: Sequence[float],
) -> Float[Tensor, ""]:
    """Mean cross-entropy in which a sample weighs what its class does: `mean(w_y loss)`.

    Args:
        logits: unnormalised log-probabilities, `(sample, class)`.
        y: class numbers from 0 on, `(sample,)`, in the floating-point type of the logits.
        class_weights: of each class, above 0.

    Returns:
        The mean over the samples, a 0-d tensor.

    Raises:
        ValueError: when the logits are not `(sample, class)`, or the labels not `(sample,)`.

    Example:
        >>> weighted_cross_entropy(torch.zeros(2, 3), torch.tensor([0.0, 2.0]), (0.5, 1.0, 1.5))
        tensor(1.0986)
    """
    n_classes = len(class_weights)
    _check_class_shapes(logits, y, n_classes)
    log_shares = torch.log_softmax(logits, -1)
    weights = _weights_of_classes(y, class_weights)
    return -torch.where(_is_label(y, n_classes), weights * log_shares, 0.0).sum(-1).mean()


def smoothed_cross_entropy(
    logits: Float[Tensor, "sample class"],
    y: Float[Tensor, " sample"],
    label_smoothing: float,
    class_weights: Sequence[float],
) -> Float[Tensor, ""]:
    """Mean cross-entropy against targets a share of which is spread evenly over the classes.

    `mean(-sum over c of w_c t_c log softmax(z)_c)`, with t_c of `label_smoothing / n_classes`, and
    `1 - label_smoothing` more for the sample's own class.

    Args:
        logits: unnormalised log-probabilities, `(sample, class)`.
        y: class numbers from 0 on, `(sample,)`, in the floating-point type of the logits.
        label_smoothing: the share of each target that is spread, in [0, 1).
        class_weights: of each class, above 0; 1 each for none.

    Returns:
        The mean over the samples, a 0-d tensor: that of
        `torch.nn.CrossEntropyLoss(weight, label_smoothing=label_smoothing, reduction="none")`.
        Torch's own mean divides by the sum of the samples' weights instead of their number.

    Raises:
        ValueError: when the logits are not `(sample, class)`, or the labels not `(sample,)`.

    Reference:
        Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section 7.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
        >>> smoothed_cross_entropy(logits, torch.tensor([0.0]), 0.3, (1.0, 1.0, 1.0))
        tensor(0.6395)
    """
    n_classes = len(class_weights)
    _check_class_shapes(logits, y, n_classes)
    log_shares = torch.log_softmax(logits, -1)
    spread = label_smoothing / n_classes
    others = torch.full_like(log_shares, spread)
    targets = torch.where(_is_label(y, n_classes), 1 - label_smoothing + spread, others)
    if any(weight != 1 for weight in class_weights):
        targets = targets * _weights_of_classes(y, class_weights)
    return -(targets * log_shares).sum(-1).mean()


def count_correct_of_classes(
    logits: Float[Tensor, "sample class"], y: Float[Tensor, " sample"], n_classes: int
) -> Int[Tensor, ""]:
    """How many samples have their largest logit at their label.

    Of equal logits the first one counts, as in an argmax. Where a logit is NaN no class is named,
    and the sample is never correct.

    Args:
        logits: unnormalised log-probabilities, `(sample, class)`.
        y: class numbers from 0 on, `(sample,)`, in the floating-point type of the logits.
        n_classes: how many classes there are.

    Returns:
        A 0-d integer tensor between 0 and the number of samples.

    Raises:
        ValueError: when the logits are not `(sample, n_classes)`, or the labels not `(sample,)`.

    Example:
        >>> logits = torch.tensor([[0.0, 2.0, 2.0], [3.0, 0.0, torch.nan]])
        >>> count_correct_of_classes(logits, torch.tensor([1.0, 0.0]), n_classes=3)
        tensor(1)
    """
    _check_class_shapes(logits, y, n_classes)
    own = torch.where(_is_label(y, n_classes), logits, 0.0).sum(-1, keepdim=True)
    is_earlier = _classes(y, n_classes) < y[:, None]
    is_beaten = torch.where(is_earlier, logits < own, logits <= own)
    return is_beaten.all(-1).sum()


def _classes(y: Tensor, n_classes: int) -> Tensor:
    return torch.arange(n_classes, dtype=y.dtype, device=y.device)


def _weights_of_classes(y: Tensor, class_weights: Sequence[float]) -> Tensor:
    # Added up class by class, as a program holds numbers better than a tensor of them.
    classes = _classes(y, len(class_weights))
    weights = torch.zeros_like(classes)
    for number, weight in enumerate(class_weights):
        weights = torch.where(classes == number, weight, weights)
    return weights


def _is_label(y: Tensor, n_classes: int) -> Tensor:
    """`(sample, class)`: whether a class is the sample's own."""
    return y[:, None] == _classes(y, n_classes)


def _check_shapes(logits: Tensor, y: Tensor) -> None:
    # Other shapes would broadcast, and every sample be held against every label.
    if y.ndim != 1:
        raise ValueError(f"the labels have shape {tuple(y.shape)}; they must be (sample,)")
    if logits.shape != y.shape:
        raise ValueError(
            f"the logits have shape {tuple(logits.shape)}; for {len(y)} samples they must be "
            f"({len(y)},): one logit a sample, as by .squeeze(-1)"
        )


def _check_class_shapes(logits: Tensor, y: Tensor, n_classes: int) -> None:
    if y.ndim != 1:
        raise ValueError(f"the labels have shape {tuple(y.shape)}; they must be (sample,)")
    if logits.shape != (len(y), n_classes):
        raise ValueError(
            f"the logits have shape {tuple(logits.shape)}; for {len(y)} samples of {n_classes} "
            f"classes they must be ({len(y)}, {n_classes}): one logit a sample and class"
        )
