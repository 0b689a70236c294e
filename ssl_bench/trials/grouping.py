"""Groups of samples that can share a picture, the source videos that they link, and seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from ssl_bench.errors import ProtocolError
from ssl_bench.testsets.base import Sample

Made = TypeVar("Made")


def asked_for(made: Sequence[Made], count: int | None, what: str, more: str = "") -> list[Made]:
    """The first `count` of what was made, or all; ProtocolError if there are fewer.

    `what` are they, and `more` says how there can be more, after "ask for fewer".
    """
    if count is not None and len(made) < count:
        raise ProtocolError(
            f"these samples give {len(made):,} {what}, and {count:,} are asked for",
            code="E_COMPOSITION_SAMPLES",
            remedy=f"ask for fewer{more}",
        )
    return list(made[:count])


def seeded_groups(
    samples: Sequence[Sample],
    size: int,
    fit: Callable[[Sample, Sample], bool],
    rng: np.random.Generator,
) -> list[list[Sample]]:
    """Groups of `size` samples each two of which fit; each sample is used at most once.

    The samples are shuffled (in the order of their ids, so that their order in the list does not
    matter) and each joins the first group in the making in which it fits all members. Groups that
    stay incomplete are left out, which the number of trials shows.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    making: list[list[Sample]] = []
    complete: list[list[Sample]] = []
    for number in rng.permutation(len(ordered)):
        sample = ordered[int(number)]
        group = next((each for each in making if all(fit(one, sample) for one in each)), None)
        if group is None:
            group = []
            making.append(group)
        group.append(sample)
        if len(group) == size:
            making.remove(group)
            complete.append(group)
    return complete


def joined_groups(found: Iterable[Sequence[Sample]]) -> dict[str, str]:
    """The connected components of groups: a picture links the groups of its samples.

    Leads from each group to the first one (by name) of its component.
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


def seed_of(seed: int, stream: int, identifier: str) -> int:
    """Seed of one sample or trial in a stream of a seed, whatever its place in a list."""
    key = np.random.SeedSequence([seed, stream, *identifier.encode()])
    return int(key.generate_state(1)[0])
