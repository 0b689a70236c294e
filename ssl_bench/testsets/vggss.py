"""VGG-SS (Chen et al. 2021): boxes around what sounds in clips of VGG-Sound.

The annotation is one JSON list of ``{"file", "class", "bbox"}``, with boxes relative to the whole
frame at second 5 of the clip. Its known oddities are kept as they were published and reported by
``data verify``: corrupt coordinates near -2.88e16 (drawn clipped, so their box is often empty) and
two entries that are left without any truth pixel (they stay in the denominator).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import numpy as np
from pydantic import AfterValidator, BaseModel, Field

from ssl_bench.errors import DataError, Problem
from ssl_bench.files import sha256_of_file
from ssl_bench.media.names import video_of
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.audit import names_of
from ssl_bench.testsets.base import Finding, Sample, corrupt
from ssl_bench.testsets.folder import Contents, FolderDefinition, FolderTestSet
from ssl_bench.testsets.identifiers import FieldError, Id
from ssl_bench.testsets.lists import read_id_list
from ssl_bench.testsets.tables import SLACK, Category, RelativeCorners, read_entries, refuse

KNOWN_REVISIONS = {
    "ae300b4a259267e6fe839970d495862edd70bfe3da63d925bcdb34054ed3b15e": "public-0f5102ca",
}
"""Published annotation files by SHA-256; named after the MD5 that repositories quote."""

_SPLIT_LISTS = {"heard": "vggss_heard_test.txt", "unheard": "vggss_unheard_test.txt"}

_LAYOUT = """\
DATA/vggss/
  vggss.json                  the annotation, one list of {"file", "class", "bbox"}
  frames/<id>.jpg             one image per clip (.jpg, .jpeg, .png, .webp, .bmp)
  audio/<id>.wav              one sound per clip (.wav, .flac, .ogg, or a video such as .mp4)
  vggss_heard_test.txt        only for vggss-heard: one id per line
  vggss_unheard_test.txt      only for vggss-unheard: one id per line
  vggss_test_plus_silent.csv  only for vggss-extended: pairs of an image and a sound that
                              nothing in it makes (video,audio,label)

<id> is the "file" of the annotation, such as zYf0pcZ5q3M_000030: video and start second. Files
in other spellings are found too: ID_30.JPG, ID_30000_40000.mp4.wav, YID_000030.png, a folder ID/
of frames (its middle one).

Where the files come from
  vggss.json   https://github.com/hche11/Localizing-Visual-Sounds-the-Hard-Way
               project page: https://www.robots.ox.ac.uk/~vgg/research/lvs/
               5,158 entries; MD5 0f5102ca24c510d49a94990b8090c2e5
  *_test.txt   https://github.com/stoneMo/EZ-VSL, folder metadata (2,564 and 2,575 ids)
  *_silent.csv https://github.com/stoneMo/SLAVC, folder metadata (5,158 pairs); 379 of their
               clips are not annotated, and need an image and a sound like the others
  clips        VGG-Sound: 10 seconds of a YouTube video from its start second,
               https://www.robots.ox.ac.uk/~vgg/data/vggsound/

How to extract them
  The boxes were drawn on frame 125 at 25 frames per second (second 5). Keep the whole frame:
    ffmpeg -i CLIP.mp4 -vf "fps=25,select=eq(n\\,125)" -frames:v 1 -q:v 2 frames/ID.jpg
  Keep the whole sound, uncompressed; models take their own window from it:
    ffmpeg -i CLIP.mp4 -vn -ac 1 -ar 16000 -c:a pcm_s16le audio/ID.wav
  'ssl-bench data prepare vggss --clips DIR' does both, for all clips.
  Oya at full size takes 22,050 Hz. --resample converts other rates.

Baselines that neither look nor listen need vggss.json alone.
"""


_CLIP = re.compile(r".+_[0-9]{6}")


def _with_start(clip: str) -> str:
    if not _CLIP.fullmatch(clip):
        raise FieldError("an id must be a video, '_' and a start second of six digits", "E_ID")
    return clip


class _Entry(BaseModel):
    file: Annotated[Id, AfterValidator(_with_start)]
    category: Category = Field(alias="class")
    bbox: list[RelativeCorners]


def read_annotation(path: Path, *, remedy: str = "get the official file") -> tuple[Sample, ...]:
    """Read the annotation, in the order of the file; the group of a sample is its video.

    Raises
    ------
    DataError
        If the file cannot be read; an AnnotationError with every problem of every entry.

    Examples
    --------
    >>> import json, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "vggss.json"
    >>> entry = {"file": "zYf0pcZ5q3M_000030", "class": "dog barking", "bbox": [[0, 0, 0.5, 1]]}
    >>> _ = path.write_text(json.dumps([entry]))
    >>> sample = read_annotation(path)[0]
    >>> sample.group, sample.category, sample.annotation.corners
    ('zYf0pcZ5q3M', 'dog barking', array([[0. , 0. , 0.5, 1. ]]))
    """
    entries = read_entries(path, _Entry, remedy=remedy, key=lambda entry: entry.file)
    # One array for all, of which each sample has some rows: an array of its own takes far more.
    corners = np.array([box for entry in entries for box in entry.bbox], np.float64).reshape(-1, 4)
    ends = np.cumsum([len(entry.bbox) for entry in entries]).tolist()
    return tuple(
        Sample(
            entry.file,
            video_of(entry.file),
            entry.category,
            Boxes(corners[end - len(entry.bbox) : end]),
            categories=(entry.category,),
        )
        for entry, end in zip(entries, ends, strict=True)
    )


class VggSs(FolderDefinition):
    """VGG-SS, all of it or the categories heard or not heard in open-set training."""

    name = "vggss"
    title = "VGG-SS"
    splits = ("all", *_SPLIT_LISTS)
    description = _LAYOUT
    annotation = "vggss.json"
    silent_list = "vggss_test_plus_silent.csv"

    def group_of(self, clip: str) -> str:
        """The video of a clip."""
        return video_of(clip)

    def revision_of(self, test_set: FolderTestSet) -> str | None:
        """Name of the published file."""
        return KNOWN_REVISIONS.get(sha256_of_file(test_set.folder / self.annotation))

    def read(self, folder: Path, split: str) -> Contents:
        """Read the annotation, and take the listed samples in its order."""
        samples = read_annotation(folder / self.annotation, remedy=self.remedy)
        if split == "all":
            return Contents(samples)
        path = folder / _SPLIT_LISTS[split]
        known = names_of(samples)
        names = {name: known.read(name) for name in read_id_list(path, remedy=self.remedy)}
        listed = {clip.id for clip in names.values() if clip is not None}
        unknown = sorted(name for name, clip in names.items() if not clip or clip.id not in known)
        problems = [
            Problem(f"{each} is listed but not annotated", "E_ID_UNKNOWN") for each in unknown
        ]
        refuse(problems, path, self.remedy)
        return Contents([sample for sample in samples if sample.id in listed])

    def counts(self, samples: Sequence[Sample]) -> str:
        """Entries, boxes, categories and videos."""
        boxes = sum(len(_boxes(sample)) for sample in samples)
        categories = len({sample.category for sample in samples})
        videos = len({sample.group for sample in samples})
        entries = f"{len(samples):,} entries, {boxes:,} boxes"
        return f"{entries}, {categories:,} categories, {videos:,} videos"

    def notes(self, test_set: FolderTestSet) -> list[Finding]:
        """Corrupt coordinates, and the lists of the splits."""
        findings = []
        for sample in test_set.samples:
            corners = _boxes(sample).corners
            outside = (corners < 0) | (corners > 1)
            if outside.any():
                first = corners[outside][0]
                far = "far " if abs(first) > 1 + SLACK else ""
                value = f"a coordinate of {first:.4g} lies {far}outside the frame"
                findings.append(Finding("note", sample.id, f"{value}; it is drawn clipped"))
        for split, name in _SPLIT_LISTS.items():
            if not (test_set.folder / name).exists():
                message = f"not there; needed for the split {split!r} only"
                findings.append(Finding("note", name, message))
                continue
            try:
                count = len(self.read(test_set.folder, split).samples)
            except DataError as error:
                findings += corrupt(name, error)
            else:
                findings.append(Finding("ok", name, f"{count:,} of {len(test_set):,} entries"))
        return findings


def _boxes(sample: Sample) -> Boxes:
    return cast(Boxes, sample.annotation)  # read_annotation makes no masks


TEST_SET = VggSs()
