"""The objective of an object classifier."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross-entropy of an object classifier, averaged over the batch.

    Parameters
    ----------
    logits
        ``(B, C)`` float.
    labels
        ``(B,)`` int64 in [0, C).

    Returns
    -------
    Tensor
        Scalar >= 0; ``ln C`` where all logits are equal.

    Examples
    --------
    >>> import torch
    >>> f"{classification_loss(torch.zeros(2, 4), torch.tensor([0, 3])).item():.4f}"  # ln 4
    '1.3863'
    """
    return functional.cross_entropy(logits, labels)
