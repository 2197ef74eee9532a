"""The noise of dropout layers, drawn from a replicate's own key.

Every draw of one forward pass has a number, from 0 on in the order in which the layers run, and a
key of its own: the step's key with that number folded in. So the noise depends on the replicate and
its step alone, never on who else is trained beside it.
"""

from torch import Tensor, dtype

from functional_clf.core import random

DROPOUTS = frozenset(
    {
        *("dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d"),
        *("feature_dropout", "feature_dropout_"),
        *("alpha_dropout", "alpha_dropout_", "feature_alpha_dropout", "feature_alpha_dropout_"),
        *("scaled_dot_product_attention", "multi_head_attention_forward"),
        *("lstm", "gru", "rnn_tanh", "rnn_relu"),
    }
)
"""Functions of torch whose noise is which numbers are kept: it is drawn from the key."""


def kept(key: Tensor, number: int, share: float, shape: tuple[int, ...], dtype: dtype) -> Tensor:
    """Which numbers a dropout keeps: 1 with probability `share`, else 0.

    Args:
        key: of this step, `(2,)`.
        number: of this draw within the forward pass, from 0 on.
        share: the probability of being kept, `1 - p` of a dropout, in [0, 1].
        shape: of the noise.
        dtype: of the result, a floating-point one.

    Returns:
        `bernoulli(fold_in(key, number), share, shape)`, as numbers.

    Reference:
        Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    Example:
        >>> import torch
        >>> noise = kept(random.key(0), 0, 0.5, (1000,), torch.float32)
        >>> 400 < int(noise.sum()) < 600
        True
        >>> noise.unique()
        tensor([0., 1.])
    """
    return random.bernoulli(random.fold_in(key, number), share, shape).to(dtype)
