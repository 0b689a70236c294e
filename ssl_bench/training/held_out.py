"""Test sets that training clips must not belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_bench.errors import DataError
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.audit import read_training_list
from ssl_bench.testsets.identifiers import video_of

_SHOWN = 5


@dataclass(frozen=True)
class HeldOut:
    """Clips that are kept for testing.

    Attributes
    ----------
    name
        For messages.
    clips, videos
        Their ids, and the videos that they come from.
    """

    name: str
    clips: frozenset[str]
    videos: frozenset[str]


def read_held_out(reference: str) -> HeldOut:
    """The clips of a protocol's test set, or of a list.

    Parameters
    ----------
    reference
        A file with one clip on each line, in any form that a training list may have; else a
        protocol, such as ``vggss``, whose test set is found as for an evaluation.

    Raises
    ------
    DataError, ProtocolError
        If there is neither such a file nor such a protocol, or it cannot be read.

    Examples
    --------
    >>> held_out = read_held_out("synth")
    >>> len(held_out.clips), min(held_out.clips)
    (500, 'standard-000000')
    """
    if Path(reference).is_file():
        clips = read_training_list(Path(reference)).clips
        return HeldOut(reference, frozenset(clips), frozenset(map(video_of, clips)))
    protocol = load_protocol(reference)
    table = protocol.test_set
    samples = open_test_set(table.name, table.split, options=table.options).samples
    videos = {video for sample in samples for video in (sample.group, video_of(sample.id))}
    return HeldOut(protocol.label, frozenset(sample.id for sample in samples), frozenset(videos))


def overlap(clips: Sequence[str], test_set: HeldOut) -> tuple[list[str], list[str]]:
    """Clips that belong to a test set themselves, and further ones that share a video with it.

    Examples
    --------
    >>> kept = HeldOut("vggss", frozenset({"a_000010"}), frozenset({"a"}))
    >>> overlap(["a_000010", "a_000030", "b_000010"], kept)
    (['a_000010'], ['a_000030'])
    """
    same = [clip for clip in clips if clip in test_set.clips]
    related = [
        clip
        for clip in clips
        if clip not in test_set.clips
        and (video_of(clip) in test_set.videos or clip in test_set.videos)
    ]
    return same, related


def refuse_overlap(clips: Sequence[str], test_set: HeldOut, *, where: str | Path) -> None:
    """Raise DataError where training clips belong to a test set, or share a video with it.

    Parameters
    ----------
    clips
        Ids of the training clips.
    test_set
        What is held out.
    where
        The list or folder of the training clips, for the message.

    Examples
    --------
    >>> kept = HeldOut("vggss", frozenset({"a_000010"}), frozenset({"a"}))
    >>> refuse_overlap(["a_000030", "b_000010"], kept, where="train.txt")
    Traceback (most recent call last):
    ...
    ssl_bench.errors.DataError: train.txt: 1 of 2 training clips belongs to vggss (0 themselves, ...
    """
    same, related = overlap(clips, test_set)
    if not same and not related:
        return
    found = [*same, *related]
    shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
    verb = "belongs" if len(found) == 1 else "belong"
    raise DataError(
        f"{len(found):,} of {len(clips):,} training clips {verb} to {test_set.name} "
        f"({len(same):,} themselves, {len(related):,} by their video): {shown}",
        where=where,
        remedy="take them off the training list, or leave them out with --skip-held-out",
    )
