"""Similarities of a few images with every sound, in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.models.contract import AnnotationLocalizer, Features, Localizer
from ssl_bench.trials.trial import TrialSet

# Sounds in one call of the model.
_BLOCK = 1024


def require_similarity(localizer: Localizer | AnnotationLocalizer, trials: TrialSet) -> None:
    """Do nothing where the localizer can answer the protocol.

    Raises
    ------
    ModelError
        If the protocol asks for a ranking, and the localizer has no similarity.
    """
    reason = no_answer(localizer, trials)
    if reason is not None:
        raise ModelError(
            reason,
            where=trials.protocol.label,
            remedy="choose a model with a similarity, or another protocol",
        )


def no_answer(localizer: Localizer | AnnotationLocalizer, trials: TrialSet) -> str | None:
    """Why the localizer cannot answer the protocol, as a sentence; None where it can."""
    if trials.protocol.answers != "retrieval":
        return None
    if isinstance(localizer, AnnotationLocalizer):
        return f"{localizer.name} neither looks nor listens, so it cannot rank sounds and images"
    return localizer.no_similarity


def similarity_rows(
    localizer: Localizer, images: Features, sounds: Features, columns: Sequence[int]
) -> NDArray[np.float32]:
    """Similarities of encoded images with encoded sounds.

    Each distinct sound is compared once.

    Parameters
    ----------
    images, sounds
        Features of b images and of any number of sounds.
    columns
        ``(n,)`` which sound belongs to each column.

    Returns
    -------
    ndarray
        ``(b, n)`` float32.

    Raises
    ------
    ModelError
        If the localizer breaks its contract.
    """
    used, place = np.unique(np.asarray(columns, np.intp), return_inverse=True)
    count = len(next(iter(images.values())))
    blocks = []
    for start in range(0, len(used), _BLOCK):
        chosen = used[start : start + _BLOCK]
        heard = {name: rows[chosen] for name, rows in sounds.items()}
        block = np.asarray(localizer.similarity(images, heard))
        if block.shape != (count, len(chosen)) or block.dtype.kind != "f":
            raise ModelError(
                f"{localizer.name} returned similarities of shape {block.shape} and type "
                f"{block.dtype} for {count} images and {len(chosen)} sounds",
                remedy="return one float for each image and sound, as an array (images, sounds)",
            )
        blocks.append(block.astype(np.float32, copy=False))
    found: NDArray[np.float32] = np.concatenate(blocks, axis=1)[:, place]
    return found
