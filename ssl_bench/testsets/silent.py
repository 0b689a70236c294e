"""Pairs of an image and a sound that nothing in it makes: released lists, and pairs drawn by seed.

The extended test sets of Mo and Morgado (2022, section 4) add such pairs to VGG-SS and to
Flickr-SoundNet, as files with the columns ``video`` (the image's clip), ``audio`` (the sound's
clip) and ``label`` (always ``non-sounding``). Some of their clips are not annotated samples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel

from ssl_bench.errors import DataError
from ssl_bench.testsets.base import UNLABELLED, Sample, SilentPair
from ssl_bench.testsets.identifiers import Name
from ssl_bench.testsets.tables import read_table


class _Pair(BaseModel):
    video: Name
    audio: Name
    label: Literal["non-sounding"]


def read_silent_pairs(
    path: Path,
    samples: Sequence[Sample],
    *,
    remedy: str,
    group_of: Callable[[str], str] = lambda identifier: identifier,
) -> tuple[SilentPair, ...]:
    r"""Read a released list of pairs.

    Categories are those of the annotated samples; `group_of` gives the video of a clip.

    Raises
    ------
    DataError
        If the file cannot be read; an AnnotationError with every line that is not a pair, and
        every pair that is listed twice.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pairs.csv"
    >>> _ = path.write_text("video,audio,label\na,b,non-sounding\n")
    >>> pair, = read_silent_pairs(path, [], remedy="get the file")
    >>> pair.image, pair.audio, pair.same_category
    ('a', 'b', None)
    """
    rows = read_table(
        path,
        _Pair,
        ("video", "audio", "label"),
        remedy=remedy,
        key=lambda row: f"{row.video},{row.audio}",
    )
    categories = {sample.id: sample.category for sample in samples}
    pairs = []
    for row in rows:
        shown, heard = (categories.get(clip, UNLABELLED) for clip in (row.video, row.audio))
        same = None if UNLABELLED in (shown, heard) else shown == heard
        pairs.append(SilentPair(row.video, row.audio, group_of(row.video), heard, same))
    return tuple(pairs)


def unannotated(pairs: Sequence[SilentPair], annotated: Collection[str]) -> list[str]:
    """Clips of pairs that are not among the annotated ids, each once, in order."""
    clips = dict.fromkeys(clip for pair in pairs for clip in (pair.image, pair.audio))
    return [clip for clip in clips if clip not in annotated]


def off_screen_partners(
    samples: Sequence[Sample], *, seed: int, sides: Sequence[object] | None = None
) -> list[Sample]:
    """For each sample another one whose sound nothing in its picture can make.

    Partners come from another group and share no category that can sound in the picture; where
    the data set names no categories, another group is all that is asked. The samples are put in
    a seeded circle, in which each takes the next one that fits; their order in the list does not
    matter.

    Partners are in the order of `samples`; where `sides` has a label for each, theirs are equal.

    Raises
    ------
    DataError
        If there is no partner for a sample.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> samples = open_test_set("synth", options={"count": 20}).samples
    >>> partners = off_screen_partners(samples, seed=0)
    >>> any(one.audible & other.audible for one, other in zip(samples, partners))
    False
    """
    labels = [None] * len(samples) if sides is None else list(sides)
    by_id = sorted(range(len(samples)), key=lambda number: samples[number].id)
    order = np.random.default_rng(np.random.SeedSequence([seed])).permutation(len(samples))
    circle = [by_id[int(number)] for number in order]
    partners: dict[int, Sample] = {}
    for place, number in enumerate(circle):
        sample = samples[number]
        following = (circle[(place + step) % len(circle)] for step in range(1, len(circle)))
        partner = next(
            (
                samples[other]
                for other in following
                if labels[other] == labels[number] and _cannot_show(sample, samples[other])
            ),
            None,
        )
        if partner is None:
            raise DataError(
                f"no sound of another group and category can be paired with {sample.id!r}",
                code="E_NO_PARTNER",
                remedy="use a test set with more source videos or more categories",
            )
        partners[number] = partner
    return [partners[number] for number in range(len(samples))]


def _cannot_show(sample: Sample, heard: Sample) -> bool:
    return sample.group != heard.group and not sample.audible & heard.audible


def off_screen_pairs(samples: Sequence[Sample], *, seed: int) -> list[SilentPair]:
    """Each image with the sound of its partner in :func:`off_screen_partners`, ``(n,)``."""
    pairs = []
    for sample, partner in zip(samples, off_screen_partners(samples, seed=seed), strict=True):
        same = None if UNLABELLED in (sample.category, partner.category) else False
        pairs.append(SilentPair(sample.id, partner.sound, sample.group, partner.category, same))
    return pairs
