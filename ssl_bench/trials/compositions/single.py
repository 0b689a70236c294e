"""The plain composition: each sample's image with its own sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_bench.testsets.base import Sample
from ssl_bench.trials.compositions import refuse_parameters
from ssl_bench.trials.trial import WHOLE, AudioRecipe, ImageRecipe, Target, Trial


def compose(
    samples: Sequence[Sample], *, seed: int = 0, parameters: Mapping[str, Any] | None = None
) -> list[Trial]:
    """One trial per sample, under the sample's own id.

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
    del seed
    refuse_parameters("single", parameters)
    return [
        Trial(
            id=sample.id,
            image=ImageRecipe(((sample.id, WHOLE),)),
            audio=AudioRecipe.of(sample.sound),
            targets=(Target(sample.id, WHOLE),),
            group=sample.group,
            category=sample.category,
            attributes=dict(sample.attributes),
        )
        for sample in samples
    ]
