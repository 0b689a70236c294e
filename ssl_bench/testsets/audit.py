"""How much of a test set a training list already holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssl_bench.errors import DataError
from ssl_bench.media.names import ClipNames, ReadNames, read_names
from ssl_bench.schemas import quoted
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.lists import ClipList

Overlap = Literal["clip", "video", "none"]
"""A clip is listed itself, only another clip of its video is, or neither; the worst first."""

_MAX_UNCLEAR = 0.01
_SHOWN = 3


@dataclass(frozen=True)
class Audit:
    """Overlap of a training list with a test set; the three tuples of ids make up the test set."""

    listed: int  # distinct clips of the list
    repeated: int  # further lines that repeat one
    without_start: int  # ids without a start second, taken for whole videos
    not_understood: tuple[str, ...]  # lines that name no clip in a form that can be compared
    marked_test: int  # rows that are marked as test clips, and do not count
    clips: tuple[str, ...]  # samples that are listed themselves
    videos: tuple[str, ...]  # samples of which another clip of the same video is listed
    clean: tuple[str, ...]

    def overlap(self) -> dict[str, Overlap]:
        """What is listed of each sample, by id."""
        return {
            **dict.fromkeys(self.clips, "clip"),
            **dict.fromkeys(self.videos, "video"),
            **dict.fromkeys(self.clean, "none"),
        }


def audit(training: ClipList, samples: Sequence[Sample]) -> Audit:
    """Compare a training list with the samples of a test set.

    Raises
    ------
    DataError
        If more than one line in a hundred cannot be understood as a clip of such a test set, or
        there is no training clip: finding nothing would then prove nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from ssl_bench.testsets.annotations import Mask
    >>> drawn = Mask(np.ones((1, 1), np.bool_))
    >>> samples = [Sample(f"{video}_000010", video, "dog", drawn) for video in "abc"]
    >>> found = audit(ClipList(("a_10", "b_000070", "z_000000")), samples)
    >>> found.clips, found.videos, found.clean
    (('a_000010',), ('b_000010',), ('c_000010',))
    """
    if not training.names:
        raise DataError(
            "every row of this list is marked as a test clip, so it names no training clip",
            code="E_LIST_TEST_ONLY",
            where=training.path,
            remedy="give the list of the training clips",
        )
    known = names_of(samples)
    read = read_names(training.names, known)
    require_understood(read, known, where=training.path)
    videos = {clip.video for clip in read.clips.values()}
    found: dict[Overlap, list[str]] = {"clip": [], "video": [], "none": []}
    for sample in samples:
        same_video = sample.group in videos
        level: Overlap = "clip" if sample.id in read.clips else "video" if same_video else "none"
        found[level].append(sample.id)
    return Audit(
        listed=len(read.clips),
        repeated=read.repeated,
        without_start=sum(clip.id == clip.video for clip in read.clips.values()),
        not_understood=read.not_understood,
        marked_test=len(training.tests),
        clips=tuple(found["clip"]),
        videos=tuple(found["video"]),
        clean=tuple(found["none"]),
    )


def names_of(samples: Sequence[Sample]) -> ClipNames:
    """The names of a test set's clips; the video of a sample is its group."""
    return ClipNames({sample.id: sample.group for sample in samples})


def require_understood(read: ReadNames, known: ClipNames, *, where: str | Path) -> str:
    """Raise DataError where too many names are of another form to be compared with known ones.

    Returns a note on those that are, without a full stop; empty where there are none.
    """
    unclear = len(read.not_understood)
    total = unclear + len(read.clips) + read.repeated
    if not unclear:
        return ""
    note = f"{unclear:,} of {total:,} clips are not understood, such as "
    note += shown(read.not_understood)
    if unclear > _MAX_UNCLEAR * total:
        raise DataError(
            f"{note}, so they cannot be compared with those at hand",
            code="E_LIST_FORM",
            where=where,
            remedy=f"write each clip in a form like {known.example!r}",
        )
    return note


def shown(names: Sequence[str]) -> str:
    """A few names from a list, safe and short for a message.

    Examples
    --------
    >>> shown(["a", "b", "c", "d"])
    "'a', 'b', 'c', ..."
    """
    listed = ", ".join(map(quoted, names[:_SHOWN]))
    return f"{listed}, ..." if len(names) > _SHOWN else listed
