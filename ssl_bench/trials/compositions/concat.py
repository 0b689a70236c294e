"""Concat-and-localize: two images side by side, the sound of one of them (Oya et al. 2020, sec. 5).

The paper publishes neither its pairs nor their seed. Here each sample is used in at most one pair,
both sounds of a pair are played in turn (twins), and the two images of a pair come from different
groups and share no category that can sound, so that exactly one half sounds. Where a test
set has no categories, only the groups are kept apart, as in the paper.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.trials.grouping import joined_groups, seeded_groups
from ssl_bench.trials.trial import LEFT, RIGHT, ImageRecipe, Target, Trial


def compose(
    test_set: TestSet, seed: int = 0, *, pairs: Annotated[int, Field(ge=1)] | None = None
) -> list[Trial]:
    """Two trials (twins) per pair: same picture, the sound of the left or of the right half.

    Trial ids are ``LEFT|RIGHT#left`` and ``LEFT|RIGHT#right``. The seed chooses the pairs and their
    sides; at most `pairs` are used.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed]))
    found = seeded_groups(test_set.samples, 2, _fit, rng)[:pairs]
    components = joined_groups(found)
    trials = []
    for left, right in found:
        image = ImageRecipe(((left.id, LEFT), (right.id, RIGHT)))
        stem = f"{left.id}|{right.id}"
        for side, sample, placement, twin in (
            ("left", left, LEFT, "right"),
            ("right", right, RIGHT, "left"),
        ):
            trial = Trial.of(
                sample,
                id=f"{stem}#{side}",
                image=image,
                targets=(Target(sample.id, placement),),
                group=components[left.group],
                twins=(f"{stem}#{twin}",),
                attributes={"sounding_half": side},
            )
            trials.append(trial)
    return trials


def _fit(one: Sample, other: Sample) -> bool:
    return one.group != other.group and not one.audible & other.audible
