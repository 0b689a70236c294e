"""VGG-SS (Chen et al. 2021): boxes around what sounds in clips of VGG-Sound.

The annotation is one JSON list of ``{"file", "class", "bbox"}``, with boxes relative to the whole
frame at second 5 of the clip. Its known oddities are kept as they were published and reported by
``data verify``: corrupt coordinates near -2.88e16 (drawn clipped, so their box is often empty) and
two entries that are left without any truth pixel (they stay in the denominator).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.files import sha256_of_file
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import (
    Finding,
    Sample,
    SilentPair,
    TestSet,
    corrupt,
)
from ssl_bench.testsets.folder import (
    FolderDefinition,
    FolderTestSet,
    verify_media,
    verify_revision,
)
from ssl_bench.testsets.listing import duplicates, id_problem, read_id_list, read_json_file
from ssl_bench.testsets.silent import read_silent_pairs, verify_silent_pairs
from ssl_bench.testsets.truth import render

KNOWN_REVISIONS = {
    "ae300b4a259267e6fe839970d495862edd70bfe3da63d925bcdb34054ed3b15e": "public-0f5102ca",
}
"""Published annotation files by SHA-256; named after the MD5 that repositories quote."""

_ANNOTATION = "vggss.json"
_SILENT_PAIRS = "vggss_test_plus_silent.csv"
_SPLIT_LISTS = {"heard": "vggss_heard_test.txt", "unheard": "vggss_unheard_test.txt"}
_REMEDY = "get the official file; 'ssl-bench data layout vggss' says where"
_ID = re.compile(r"(?P<video>.+)_(?P<second>\d+)", re.ASCII)
_FAR = 1.0  # a coordinate this far outside the frame is no annotator's box
_SCORING_GRID = 224

_LAYOUT = """\
DATA/vggss/
  vggss.json                  the annotation, one list of {"file", "class", "bbox"}
  frames/<id>.jpg             one image per clip (.jpg, .jpeg, .png, .webp, .bmp)
  audio/<id>.wav              one sound per clip (.wav, .flac, .ogg, or a video such as .mp4)
  vggss_heard_test.txt        only for vggss-heard: one id per line
  vggss_unheard_test.txt      only for vggss-unheard: one id per line
  vggss_test_plus_silent.csv  only for vggss-extended: pairs of an image and a sound that
                              nothing in it makes (video,audio,label)

<id> is the "file" of the annotation, such as zYf0pcZ5q3M_000030: video and start second.

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

Baselines that neither look nor listen need vggss.json alone.
"""


def read_annotation(path: Path) -> tuple[Sample, ...]:
    """Read the annotation file.

    Parameters
    ----------
    path
        The JSON file.

    Returns
    -------
    tuple of Sample
        In the order of the file; the group of a sample is its video.

    Raises
    ------
    AnnotationError
        With every problem of every entry.
    DataError
        If the file cannot be read as text.

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
    content = read_json_file(path, remedy=_REMEDY)
    if not isinstance(content, list) or not content:
        raise AnnotationError(["the file is not a list of entries"], where=path, remedy=_REMEDY)
    problems: list[str] = []
    samples: list[Sample] = []
    for index, entry in enumerate(content):
        found = _entry_problems(entry)
        if found:
            problems += [f"entry {index} ({_name(entry)}): {problem}" for problem in found]
        else:
            samples.append(_sample(entry))
    problems += [
        f"{identifier} is annotated more than once"
        for identifier in duplicates(sample.id for sample in samples)
    ]
    if problems:
        raise AnnotationError(problems, where=path, remedy=_REMEDY)
    return tuple(samples)


def _name(entry: object) -> str:
    name = entry.get("file") if isinstance(entry, dict) else None
    return repr(name[:40]) if isinstance(name, str) else "no id"


def _entry_problems(entry: object) -> list[str]:
    if not isinstance(entry, dict):
        return ["an entry must be an object with the keys file, class and bbox"]
    missing = [key for key in ("file", "class", "bbox") if key not in entry]
    if missing:
        return [f"the key {key!r} is missing" for key in missing]
    problems = []
    identifier, category, boxes = entry["file"], entry["class"], entry["bbox"]
    if problem := id_problem(identifier):
        problems.append(problem)
    elif not _ID.fullmatch(identifier):
        problems.append("an id must be a video, '_' and a start second")
    if not isinstance(category, str) or not category.strip() or not category.isprintable():
        problems.append("the class must be a printable text")
    if not isinstance(boxes, list):
        problems.append("bbox must be a list of boxes")
    else:
        problems += [
            f"box {number}: {problem}"
            for number, box in enumerate(boxes)
            if (problem := _box_problem(box))
        ]
    return problems


def _box_problem(box: object) -> str | None:
    if not isinstance(box, list) or len(box) != 4:
        return "a box must be a list of 4 coordinates"
    for value in box:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"the coordinate {value!r:.40} is not a number"
        if not _is_finite(value):
            return "a coordinate is not finite"
    return None


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def _sample(entry: Mapping[str, Any]) -> Sample:
    identifier: str = entry["file"]
    corners = np.array(entry["bbox"], dtype=np.float64).reshape(-1, 4)
    category: str = entry["class"]
    return Sample(identifier, _video(identifier), category, Boxes(corners), categories=(category,))


class VggSs(FolderDefinition):
    """VGG-SS, all of it or the categories heard or not heard in open-set training."""

    name = "vggss"
    title = "VGG-SS"
    splits = ("all", "heard", "unheard")
    truth_convention: TruthConvention = "union"
    description = _LAYOUT

    def open_folder(self, folder: Path, split: str) -> TestSet:
        """Open one split; raises DataError where the annotation or list is unusable."""
        samples = read_annotation(folder / _ANNOTATION)
        if split != "all":
            samples = _select(samples, folder / _SPLIT_LISTS[split])
        return FolderTestSet(
            name=self.name,
            split=split,
            truth_convention=self.truth_convention,
            revision=KNOWN_REVISIONS.get(sha256_of_file(folder / _ANNOTATION)),
            folder=folder,
            samples=samples,
            silent_pairs=lambda: _silent_pairs(folder, samples),
        )

    def verify_folder(self, folder: Path) -> list[Finding]:
        """What is there, what is missing, what is corrupt, by name."""
        path = folder / _ANNOTATION
        if not path.exists():
            return [Finding("missing", _ANNOTATION, f"no annotation; {_REMEDY}")]
        try:
            samples = read_annotation(path)
        except DataError as error:
            return corrupt(_ANNOTATION, error)
        findings = [_verify_annotation(path, samples), *_verify_truth(samples)]
        for split, name in _SPLIT_LISTS.items():
            findings += _verify_split(folder / name, split, samples)
        annotated = {sample.id: sample for sample in samples}
        found, further = verify_silent_pairs(
            folder / _SILENT_PAIRS, lambda: _silent_pairs(folder, samples), annotated
        )
        return [*findings, *found, *verify_media(folder, [*annotated, *further])]


def _video(identifier: str) -> str:
    return identifier.rpartition("_")[0]


def _silent_pairs(folder: Path, samples: Sequence[Sample]) -> tuple[SilentPair, ...]:
    path = folder / _SILENT_PAIRS
    return read_silent_pairs(path, samples, remedy=_REMEDY, group_of=_video)


def _select(samples: Sequence[Sample], path: Path) -> tuple[Sample, ...]:
    """The listed samples, in the order of the annotation; every listed id must be annotated."""
    listed = set(read_id_list(path, remedy=_REMEDY))
    unknown = sorted(listed - {sample.id for sample in samples})
    if unknown:
        problems = [f"{identifier} is listed but not annotated" for identifier in unknown]
        raise AnnotationError(problems, where=path, remedy=_REMEDY)
    return tuple(sample for sample in samples if sample.id in listed)


def _boxes(sample: Sample) -> Boxes:
    return cast(Boxes, sample.annotation)  # read_annotation makes no masks


def _verify_annotation(path: Path, samples: Sequence[Sample]) -> Finding:
    revision = KNOWN_REVISIONS.get(sha256_of_file(path))
    boxes = sum(len(_boxes(sample)) for sample in samples)
    categories = len({sample.category for sample in samples})
    videos = len({sample.group for sample in samples})
    counts = (
        f"{len(samples):,} entries, {boxes:,} boxes, {categories:,} categories, {videos:,} videos"
    )
    return verify_revision(_ANNOTATION, counts, revision)


def _verify_truth(samples: Sequence[Sample]) -> list[Finding]:
    findings = []
    for sample in samples:
        boxes = _boxes(sample)
        outside = (boxes.corners < -_FAR) | (boxes.corners > 1 + _FAR)
        if outside.any():
            value = boxes.corners[outside][0]
            message = f"a coordinate of {value:.4g} lies far outside the frame; it is drawn clipped"
            findings.append(Finding("note", sample.id, message))
        if not render(boxes, "union", _SCORING_GRID, _SCORING_GRID).any():
            message = "no truth pixel is left; the sample stays in the list and cannot be found"
            findings.append(Finding("note", sample.id, message))
    return findings


def _verify_split(path: Path, split: str, samples: Sequence[Sample]) -> list[Finding]:
    if not path.exists():
        return [Finding("note", path.name, f"not there; needed for the split {split!r} only")]
    try:
        chosen = _select(samples, path)
    except DataError as error:
        return corrupt(path.name, error)
    return [Finding("ok", path.name, f"{len(chosen):,} of {len(samples):,} entries")]


TEST_SET = VggSs()
