"""The composition for retrieval: each sample is one pair of an image and a sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_bench.testsets.base import Sample
from ssl_bench.trials.compositions import refuse_parameters, single
from ssl_bench.trials.trial import Trial


def compose(
    samples: Sequence[Sample], *, seed: int = 0, parameters: Mapping[str, Any] | None = None
) -> list[Trial]:
    """One trial per sample: a query with its sound and one with its image.

    All images together are the gallery of the sounds, and all sounds that of the images. Samples of
    one video stay in it as distractors of each other, unless they share a picture or a sound: then
    each is as right as the other.

    Parameters
    ----------
    samples
        The test set's samples.
    seed
        Not used: nothing is random.
    parameters
        None are known.

    Raises
    ------
    ProtocolError
        If a parameter is given.
    """
    refuse_parameters("retrieval", parameters)
    return single.compose(samples, seed=seed)
