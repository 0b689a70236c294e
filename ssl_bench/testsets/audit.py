"""How much of a test set a training list already holds.

A list is a text file, or one compressed by gzip, with one clip on each line: an id such as
``zYf0pcZ5q3M_000030``, with or without a media suffix, and with or without further columns after a
comma; or a row of VGG-Sound's own table, ``VIDEO,START,...``. The video of a clip is its id without
the start second; an id without one is its own video.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssl_bench.errors import DataError, Problem
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.identifiers import clip_of_row, has_start, video_of
from ssl_bench.testsets.tables import bad_ids, read_bytes, refuse

Overlap = Literal["clip", "video", "none"]
"""A clip is listed itself, only another clip of its video is, or neither; the worst first."""

MAX_LIST_BYTES = 64 * 2**20
"""Most bytes of a list, after decompression: sixteen million clips would fit."""

_REMEDY = "give a text file with one clip id on each line, plain or compressed by gzip"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class TrainingList:
    """Distinct clips of a training list in its order, and how many further lines repeat one."""

    clips: tuple[str, ...]
    repeated: int


@dataclass(frozen=True)
class Audit:
    """Overlap of a training list with a test set; the three tuples of ids make up the test set."""

    listed: int  # distinct clips of the list
    repeated: int  # further lines that repeat one
    without_start: int  # ids without a start second, taken for whole videos
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


def read_training_list(path: Path) -> TrainingList:
    r"""Read a training list.

    Raises
    ------
    AnnotationError
        If a line names no clip, or there is none; it names the lines.
    DataError
        If the file is missing, damaged, not text, or larger than `MAX_LIST_BYTES`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.csv"
    >>> _ = path.write_text("a_000010.mp4\nzYf0pcZ5q3M,30,dog barking,train\na_000010\n")
    >>> read_training_list(path)
    TrainingList(clips=('a_000010', 'zYf0pcZ5q3M_000030'), repeated=1)
    """
    lines = enumerate(_read(path).splitlines(), 1)
    named = [(number, clip_of_row(line.split(","))[0]) for number, line in lines if line.strip()]
    problems = bad_ids(named)
    if not named:
        problems.append(Problem("there is no clip in this file", "E_FILE_EMPTY"))
    refuse(problems, path, _REMEDY)
    clips = tuple(dict.fromkeys(clip for _, clip in named))
    return TrainingList(clips, repeated=len(named) - len(clips))


def read_clip_labels(path: Path) -> dict[str, str]:
    r"""Read the labels of a training list, by clip: what follows the clip on its line.

    A label that holds a comma stands in quotes. Lines without a label do not count.

    Raises
    ------
    AnnotationError
        If a clip has two labels, or a line is no CSV; it names them.
    DataError
        As :func:`read_training_list`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.csv"
    >>> _ = path.write_text('a_000010,"speech, woman"\nzYf0pcZ5q3M,30,dog,train\nb_000010\n')
    >>> read_clip_labels(path)
    {'a_000010': 'speech, woman', 'zYf0pcZ5q3M_000030': 'dog'}
    """
    labels: dict[str, str] = {}
    problems: dict[Problem, None] = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        try:
            fields = next(csv.reader([line.strip()], skipinitialspace=True), [])
        except csv.Error as error:
            problems[Problem(f"line {number} is not CSV ({error})", "E_CSV")] = None
            continue
        clip, named_by = clip_of_row(fields)
        label = fields[named_by].strip() if len(fields) > named_by else ""
        if label and labels.setdefault(clip, label) != label:
            text = f"{clip} is labelled {labels[clip]!r} and {label!r}"
            problems[Problem(text, "E_LABELS_DIFFER")] = None
    refuse(list(problems), path, "give each clip one line with one label")
    return labels


def audit(training: TrainingList, samples: Sequence[Sample]) -> Audit:
    """Compare a training list with the samples of a test set.

    Raises
    ------
    DataError
        If the test set's ids name start seconds and not one listed id does: the list is then of
        another form, and finding nothing in it would prove nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from ssl_bench.testsets.annotations import Mask
    >>> drawn = Mask(np.ones((1, 1), np.bool_))
    >>> samples = [Sample(f"{video}_000010", video, "dog", drawn) for video in "abc"]
    >>> found = audit(TrainingList(("a_000010", "b_000070", "z_000000"), 0), samples)
    >>> found.clips, found.videos, found.clean
    (('a_000010',), ('b_000010',), ('c_000010',))
    """
    clips = set(training.clips)
    with_start = sum(map(has_start, clips))
    example = next((sample.id for sample in samples if has_start(sample.id)), None)
    if example is not None and with_start == 0:
        raise DataError(
            "no line of the training list names a start second, as the clips of the test set do",
            code="E_LIST_WITHOUT_START",
            where=training.clips[0],
            remedy=f"write each clip like {example!r}",
        )
    videos = {video_of(clip) for clip in clips}
    found: dict[Overlap, list[str]] = {"clip": [], "video": [], "none": []}
    for sample in samples:
        same_video = sample.group in videos or video_of(sample.id) in videos
        level: Overlap = "clip" if sample.id in clips else "video" if same_video else "none"
        found[level].append(sample.id)
    return Audit(
        listed=len(clips),
        repeated=training.repeated,
        without_start=len(clips) - with_start,
        clips=tuple(found["clip"]),
        videos=tuple(found["video"]),
        clean=tuple(found["none"]),
    )


def _read(path: Path) -> str:
    content = read_bytes(path, remedy=_REMEDY, limit=MAX_LIST_BYTES)
    try:
        if content.startswith(_GZIP):
            # Nothing is kept beyond the limit, however much a small file claims to hold.
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(MAX_LIST_BYTES + 1)
        if len(content) <= MAX_LIST_BYTES:
            return content.decode("utf-8-sig")
        problem, code = f"this list unpacks to more than {MAX_LIST_BYTES:,} bytes", "E_FILE_SIZE"
    except (EOFError, gzip.BadGzipFile, zlib.error):
        problem, code = "this compressed list is damaged or truncated", "E_FILE_DAMAGED"
    except UnicodeDecodeError as error:
        problem, code = f"this list is not UTF-8 text (byte {error.start})", "E_ENCODING"
    raise DataError(problem, code=code, where=path, remedy=_REMEDY)
