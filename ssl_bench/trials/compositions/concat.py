"""Concat-and-localize: two images side by side, the sound of one of them (Oya et al. 2020, sec. 5).

The paper publishes neither its pairs nor their seed. Here each sample is used in at most one pair,
both sounds of a pair are played in turn (twins), and the two images of a pair come from different
groups and share no category that can sound, so that exactly one half sounds. Where a test
set has no categories, only the groups are kept apart, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.trials.trial import LEFT, RIGHT, ImageRecipe, Target, Trial


def seeded_pairs(samples: Sequence[Sample], seed: int) -> list[tuple[Sample, Sample]]:
    """Seeded pairs (left, right) of samples that can share a picture; each sample at most once.

    The samples are shuffled (in the order of their ids, so that their order in the list does not
    matter) and each is paired with the next one that fits. Samples that find no partner are
    left out, which the number of trials shows.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> found = seeded_pairs(open_test_set("synth", options={"count": 20}).samples, seed=0)
    >>> all(left.group != right.group for left, right in found)
    True
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    shuffled = np.random.default_rng(np.random.SeedSequence([seed])).permutation(len(ordered))
    waiting: list[Sample] = []
    found: list[tuple[Sample, Sample]] = []
    for number in shuffled:
        sample = ordered[int(number)]
        partner = next((other for other in waiting if _fit(other, sample)), None)
        if partner is None:
            waiting.append(sample)
        else:
            waiting.remove(partner)
            found.append((partner, sample))
    return found


def _fit(one: Sample, other: Sample) -> bool:
    return one.group != other.group and not one.audible & other.audible


def joined_groups(found: Iterable[Sequence[Sample]]) -> dict[str, str]:
    """Name of the connected component of each group: a picture links the groups of its samples.

    Parameters
    ----------
    found
        The samples of each picture.

    Returns
    -------
    dict
        From each group to the first one (by name) of its component.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> one, two, three = open_test_set("synth", options={"count": 3}).samples
    >>> joined = joined_groups([(one, three), (two,)])
    >>> joined[three.group] == one.group, joined[two.group] == two.group
    (True, True)
    """
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent.setdefault(group, group) != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for members in found:
        first, *others = sorted({root(member.group) for member in members})
        for other in others:
            parent[other] = first
    return {group: root(group) for group in list(parent)}


def compose(
    test_set: TestSet, seed: int = 0, *, pairs: Annotated[int, Field(ge=1)] | None = None
) -> list[Trial]:
    """Two trials (twins) per pair: same picture, the sound of the left or of the right half.

    Trial ids are ``LEFT|RIGHT#left`` and ``LEFT|RIGHT#right``.

    Parameters
    ----------
    seed
        Chooses the pairs and their sides.
    pairs
        At most this many are used; None for all.
    """
    found = seeded_pairs(test_set.samples, seed)[:pairs]
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
