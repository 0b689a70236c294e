"""How much of a test set a training list already holds.

A list is a text file, or one compressed by gzip, with one clip on each line: an id such as
``zYf0pcZ5q3M_000030``, with or without a media suffix, and with or without further columns after a
comma; or a row of VGG-Sound's own table, ``VIDEO,START,...``. The video of a clip is its id without
the start second; an id without one is its own video.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.media.audio import AUDIO_SUFFIXES
from ssl_bench.media.image import IMAGE_SUFFIXES
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.listing import id_problem
from ssl_bench.trials.trial import Trial

Overlap = Literal["clip", "video", "none"]
"""A clip is listed itself, only another clip of its video is, or neither."""

LARGEST_LIST = 64 * 2**20
"""Most bytes of a list, after decompression: sixteen million clips would fit."""

_REMEDY = "give a text file with one clip id on each line, plain or compressed by gzip"
_GZIP = b"\x1f\x8b"
_CLIP = re.compile(r"(.+)_[0-9]{6}", re.ASCII)
_YOUTUBE = re.compile(r"(?=.*[^0-9])[A-Za-z0-9_-]{11}", re.ASCII)
_MEDIA_SUFFIXES = frozenset((*AUDIO_SUFFIXES, *IMAGE_SUFFIXES, ".mp4", ".mkv", ".webm", ".npy"))
_SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class TrainingList:
    """The clips of a training list.

    Attributes
    ----------
    clips
        Distinct ids, in order of first appearance.
    repeated
        How many further lines name a clip that came before.
    """

    clips: tuple[str, ...]
    repeated: int


@dataclass(frozen=True)
class Audit:
    """Overlap of a training list with a test set; the three tuples of ids make up the test set.

    Attributes
    ----------
    listed
        Number of distinct clips in the list.
    repeated
        Number of further lines that repeat one.
    without_start
        Number of listed ids that name no start second, and so are taken for whole videos.
    clips
        Samples that are listed themselves.
    videos
        Samples of which only another clip of the same video is listed.
    clean
        All other samples.
    """

    listed: int
    repeated: int
    without_start: int
    clips: tuple[str, ...]
    videos: tuple[str, ...]
    clean: tuple[str, ...]

    def overlap(self) -> dict[str, Overlap]:
        """What is listed of each sample, by id."""
        return {
            **dict.fromkeys(self.clips, "clip"),
            **dict.fromkeys(self.videos, "video"),
            **dict.fromkeys(self.clean, "none"),
        }


def video_of(identifier: str) -> str:
    """The video of a clip: its id without the start second.

    Examples
    --------
    >>> video_of("zYf0pcZ5q3M_000030"), video_of("10000130166")
    ('zYf0pcZ5q3M', '10000130166')
    """
    match = _CLIP.fullmatch(identifier)
    return match[1] if match else identifier


def read_training_list(path: Path) -> TrainingList:
    r"""Read a training list.

    Raises
    ------
    AnnotationError
        If a line names no clip, or there is none; it names the lines.
    DataError
        If the file is missing, damaged, not text, or larger than `LARGEST_LIST`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.csv"
    >>> _ = path.write_text("a_000010.mp4\nzYf0pcZ5q3M,30,dog barking,train\na_000010\n")
    >>> read_training_list(path)
    TrainingList(clips=('a_000010', 'zYf0pcZ5q3M_000030'), repeated=1)
    """
    lines = [line.strip() for line in _read(path).splitlines()]
    named = [(number, _clip(line)) for number, line in enumerate(lines, 1) if line]
    problems = [
        f"line {number} ({clip[:60]!r}): {problem}"
        for number, clip in named
        if (problem := id_problem(clip))
    ]
    if len(problems) > _SHOWN_PROBLEMS:
        more = len(problems) - _SHOWN_PROBLEMS
        problems = [*problems[:_SHOWN_PROBLEMS], f"and {more:,} more lines like these"]
    if not named:
        problems.append("there is no clip in this file")
    if problems:
        raise AnnotationError(problems, where=path, remedy=_REMEDY)
    clips = tuple(dict.fromkeys(clip for _, clip in named))
    return TrainingList(clips, repeated=len(named) - len(clips))


def read_clip_labels(path: Path) -> dict[str, str]:
    r"""Read the labels of a training list, by clip: what follows the clip on its line.

    That is the second column, or the third in rows of VGG-Sound's own table. A label that holds a
    comma stands in quotes. Lines without a label do not count.

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
    problems: dict[str, None] = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        clip = _clip(line.strip())
        try:
            fields = next(csv.reader([line.strip()], skipinitialspace=True), [])
        except csv.Error as error:
            problems[f"line {number} is no line of a CSV table ({error})"] = None
            continue
        place = 2 if clip != _without_ending(fields[0] if fields else "") else 1
        label = fields[place].strip() if len(fields) > place else ""
        if label and labels.setdefault(clip, label) != label:
            problems[f"{clip} is labelled {labels[clip]!r} and {label!r}"] = None
    if problems:
        shown = list(problems)[:_SHOWN_PROBLEMS]
        if len(problems) > _SHOWN_PROBLEMS:
            shown.append(f"and {len(problems) - _SHOWN_PROBLEMS:,} more like these")
        raise AnnotationError(shown, where=path, remedy="give each clip one line with one label")
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
    >>> from ssl_bench.testsets.annotations import Mask
    >>> drawn = Mask(np.ones((1, 1), np.bool_))
    >>> samples = [Sample(f"{video}_000010", video, "dog", drawn) for video in "abc"]
    >>> found = audit(TrainingList(("a_000010", "b_000070", "z_000000"), 0), samples)
    >>> found.clips, found.videos, found.clean
    (('a_000010',), ('b_000010',), ('c_000010',))
    """
    clips = set(training.clips)
    with_start = sum(_CLIP.fullmatch(clip) is not None for clip in clips)
    example = next((sample.id for sample in samples if _CLIP.fullmatch(sample.id)), None)
    if example is not None and with_start == 0:
        raise DataError(
            "no line of the training list names a start second, as the clips of the test set do",
            where=training.clips[0],
            remedy=f"write each clip like {example!r}",
        )
    videos = {video_of(clip) for clip in clips}
    found: dict[Overlap, list[str]] = {"clip": [], "video": [], "none": []}
    for sample in samples:
        if sample.id in clips:
            found["clip"].append(sample.id)
        elif sample.group in videos or video_of(sample.id) in videos:
            found["video"].append(sample.id)
        else:
            found["none"].append(sample.id)
    return Audit(
        listed=len(clips),
        repeated=training.repeated,
        without_start=len(clips) - with_start,
        clips=tuple(found["clip"]),
        videos=tuple(found["video"]),
        clean=tuple(found["none"]),
    )


def trial_overlap(trials: Sequence[Trial], found: Audit) -> NDArray[np.object_]:
    """What is listed of each trial ``(n,)``: the worst of the samples that it shows or plays."""
    of_sample = found.overlap()
    order: tuple[Overlap, ...] = ("clip", "video", "none")
    worst: list[Any] = []
    for trial in trials:
        held = {of_sample[name] for name in _samples_of(trial)}
        worst.append(next(level for level in order if level in held))
    return np.array(worst, dtype=object)


def _samples_of(trial: Trial) -> Iterator[str]:
    yield from (name for name, _ in trial.image.parts)
    if trial.audio.kind == "sounds":
        yield from trial.audio.samples


def _clip(line: str) -> str:
    """The id of the clip that one line names."""
    fields = [field.strip().strip('"') for field in line.split(",")]
    name = fields[0]
    if len(fields) > 1 and _YOUTUBE.fullmatch(name) and fields[1].isdecimal():
        return f"{name}_{int(fields[1][:12]):06d}"
    return _without_ending(name)


def _without_ending(name: str) -> str:
    suffix = PurePath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in _MEDIA_SUFFIXES else name


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            compressed = stream.read(2) == _GZIP
        # Nothing is held beyond the limit, however much a small file claims to hold.
        with gzip.open(path) if compressed else path.open("rb") as stream:
            content = stream.read(LARGEST_LIST + 1)
    except FileNotFoundError:
        raise DataError("this list does not exist", where=path, remedy=_REMEDY) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            "this compressed list is damaged or truncated", where=path, remedy="copy it again"
        ) from error
    except OSError as error:
        raise DataError(
            f"this list cannot be read ({error.strerror})", where=path, remedy=_REMEDY
        ) from error
    if len(content) > LARGEST_LIST:
        raise DataError(
            f"this list holds more than {LARGEST_LIST:,} bytes", where=path, remedy=_REMEDY
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"this list is not UTF-8 text (byte {error.start})", where=path, remedy=_REMEDY
        ) from error
