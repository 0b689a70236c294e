"""Mixtures: two samples sound together, and the source is asked for in the picture of each.

What papers call duets of single clips (Mo and Tian 2023: VGGSS-Duet, VGG-Instruments). Where the
samples name their ``partner``, an id of the test set, each makes a scene with it, as a published
list has them; else pairs of different groups and categories are drawn, each sample in at most one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from ssl_bench.errors import ProtocolError
from ssl_bench.testsets.base import UNLABELLED, Sample, TestSet
from ssl_bench.trials.grouping import asked_for, joined_groups, seeded_groups
from ssl_bench.trials.recipes import AudioRecipe
from ssl_bench.trials.trial import Trial

PARTNER = "partner"


def compose(
    test_set: TestSet, seed: int = 0, *, scenes: Annotated[int, Field(ge=1)] | None = None
) -> list[Trial]:
    """Two trials per scene, ``ONE+OTHER#one`` and ``ONE+OTHER#other``: a picture, both sounds.

    The seed draws the pairs that no sample names, and `scenes` keeps the first. Scenes that share a
    source video share a group. ProtocolError if no pair can be made, or a partner is unknown.
    """
    samples = test_set.samples
    if any(PARTNER in sample.attributes for sample in samples):
        pairs: Sequence[Sequence[Sample]] = _listed(samples)
    else:
        rng = np.random.default_rng(np.random.SeedSequence([seed]))
        pairs = seeded_groups(samples, 2, _fit, rng)
    if not pairs:
        raise ProtocolError(
            "no two of these samples can sound together",
            code="E_COMPOSITION_SAMPLES",
            remedy="it takes two samples of different videos and categories",
        )
    pairs = asked_for(pairs, scenes, "scenes")
    groups = joined_groups(pairs)
    trials = []
    for one, other in pairs:
        scene = f"{one.id}+{other.id}"
        for role, sample in (("one", one), ("other", other)):
            facts = {name: value for name, value in sample.attributes.items() if name != PARTNER}
            trials.append(
                Trial.of(
                    sample,
                    id=f"{scene}#{role}",
                    audio=AudioRecipe((one.sound, other.sound)),
                    group=groups[one.group],
                    attributes={**facts, "mixture": scene},
                    asked=None if sample.category == UNLABELLED else sample.category,
                )
            )
    return trials


def _listed(samples: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """Each sample with the partner that it names."""
    known = {sample.id: sample for sample in samples}
    pairs = []
    for sample in samples:
        partner = known.get(str(sample.attributes.get(PARTNER)))
        if partner is None or partner.id == sample.id:
            raise ProtocolError(
                f"its partner {sample.attributes.get(PARTNER)!r} is no other sample",
                code="E_COMPOSITION_SAMPLES",
                where=sample.id,
                remedy="name the partner of every sample by its id, or of none",
            )
        pairs.append((sample, partner))
    return pairs


def _fit(one: Sample, other: Sample) -> bool:
    return one.group != other.group and not one.audible & other.audible
