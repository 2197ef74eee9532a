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

    Example:
        >>> bce_with_logits(torch.zeros(4), torch.tensor([0.0, 1.0, 0.0, 1.0]))
        tensor(0.6931)
    """
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

    Example:
        >>> count_correct(torch.tensor([-1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, 0.0]))
        tensor(2)
    """
    is_correct = torch.where(y > 0.5, logits > 0, logits <= 0)
    return is_correct.sum()
