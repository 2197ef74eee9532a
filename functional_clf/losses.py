"""The loss and the score of a binary classifier, on one replicate's logits."""

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


def _check_shapes(logits: Tensor, y: Tensor) -> None:
    # Other shapes would broadcast, and every sample be held against every label.
    if y.ndim != 1:
        raise ValueError(f"the labels have shape {tuple(y.shape)}; they must be (sample,)")
    if logits.shape != y.shape:
        raise ValueError(
            f"the logits have shape {tuple(logits.shape)}; for {len(y)} samples they must be "
            f"({len(y)},): one logit a sample, as by .squeeze(-1)"
        )
