"""Concat-and-localize: two images side by side, the sound of one of them (Oya et al. 2020, sec. 5).

The paper makes 1,000 trials of 250 clips, so it uses clips more than once, and publishes neither
its pairs nor their seed. Here each sample is used in at most one pair unless repeats are asked for,
both sounds of a pair are played in turn (twins), and the two images of a pair come from different
groups and share no category that can sound, so that exactly one half sounds. Where a test
set has no categories, only the groups are kept apart, as in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.trials.grouping import asked_for, joined_groups, seeded_groups
from ssl_bench.trials.recipes import LEFT, RIGHT, ImageRecipe, Target
from ssl_bench.trials.trial import Trial


def compose(
    test_set: TestSet,
    seed: int = 0,
    *,
    pairs: Annotated[int, Field(ge=1)] | None = None,
    repeats: bool = False,
) -> list[Trial]:
    """Two trials (twins) per pair: same picture, the sound of the left or of the right half.

    Trial ids are ``LEFT|RIGHT#left`` and ``LEFT|RIGHT#right``. The seed chooses the pairs and their
    sides: `pairs` of them, or as many as there are without any. With `repeats` the samples are
    paired again and again until there are enough, no two of them twice; the videos of all trials
    are then linked, so that scores have no interval. Trials take over what a user's own test set
    says of the sample that sounds. ProtocolError if there are too few samples.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed]))
    found = seeded_groups(test_set.samples, 2, _fit, rng)
    if pairs is not None and repeats:
        found = _repeated(test_set.samples, found, pairs, rng)
    more = "" if repeats else ", or write repeats = true beside pairs"
    found = asked_for(found, pairs, "pairs", more)
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
                attributes={**test_set.declared_of(sample), "sounding_half": side},
            )
            trials.append(trial)
    return trials


def _repeated(
    samples: Sequence[Sample], first: list[list[Sample]], pairs: int, rng: np.random.Generator
) -> list[list[Sample]]:
    """Add rounds of pairs to a first one until there are enough, or a round brings no new pair."""
    found = {frozenset((one.id, other.id)): [one, other] for one, other in first}
    known = 0
    while known < len(found) < pairs:
        known = len(found)
        for one, other in seeded_groups(samples, 2, _fit, rng):
            found.setdefault(frozenset((one.id, other.id)), [one, other])
    return list(found.values())


def _fit(one: Sample, other: Sample) -> bool:
    return one.group != other.group and not one.audible & other.audible
