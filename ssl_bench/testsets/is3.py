"""IS3 (Senocak et al. 2024): generated pictures of two objects, with the sound of each in turn.

The annotation has one box for each picture and sound, in whole pixels of the 224 grid,
end-exclusive. It is read in the released form, a JSON list of ``{"image", "audio", "gt_box"}``, or
as a table. Which samples show one picture is stored with them (attribute ``image``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import (
    Finding,
    Sample,
    TestSet,
    corrupt,
)
from ssl_bench.testsets.folder import (
    FolderDefinition,
    FolderTestSet,
    truth_digest,
    verify_media,
    verify_revision,
)
from ssl_bench.testsets.listing import duplicates, id_problem, read_json_file, read_table

GRID = 224
"""Width and height of the grid on which the boxes are given, in pixels."""

JSON_FORM = "synthetic3240_bbox.json"
CSV_FORM = "is3.csv"
HEADER = ("id", "image", "category", "xmin", "ymin", "xmax", "ymax")

KNOWN_REVISIONS: Mapping[str, str] = {
    "6d4f0a6e08c39f18bb43743b2a844698650eeb33d63b074aa5dfb74e65c3d58a": "sslalignment",
}
"""Published annotations by the digest of their ids and boxes."""

_REMEDY = "get the official file; 'ssl-bench data layout is3' says where"

_LAYOUT = """\
DATA/is3/
  synthetic3240_bbox.json     the annotation as released, one list of {"image", "audio", "gt_box"}
  is3.csv                     or the same as a table: id,image,category,xmin,ymin,xmax,ymax
  frames/<id>.jpg             one image per id (.jpg, .jpeg, .png, .webp, .bmp)
  audio/<id>.wav              one sound per id (.wav, .flac, .ogg, or a video such as .mp4)

<id> is the name of the released image and sound without its ending: two categories, a number and
the category that is heard, such as dog_banjo_2689_banjo. The two ids of a picture have equal
images; only the first, in alphabetical order, is shown. Where both annotations are there, the
JSON is read.

Where the files come from
  annotation      https://github.com/kaistmm/SSLalignment, folder metadata
                  6,480 boxes of 3,240 pictures
  images, sounds  as linked there, folders visual_frames and audio_wav

Baselines that neither look nor listen need the annotation alone.
"""


def read_json(path: Path) -> tuple[Sample, ...]:
    """Read the annotation in its released form.

    Parameters
    ----------
    path
        The JSON file. Folders before the names of images and sounds do not matter; the part of a
        name after its last ``_`` is the category that is heard, the rest names the picture.

    Raises
    ------
    AnnotationError
        With every problem of every entry.
    DataError
        If the file cannot be read as text.

    Examples
    --------
    >>> import json, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "is3.json"
    >>> entry = {"image": "a/dog_harp_1_dog.jpg", "audio": "b/dog_harp_1_dog.wav"}
    >>> _ = path.write_text(json.dumps([{**entry, "gt_box": [0.0, 0.0, 112.0, 224.0]}]))
    >>> sample = read_json(path)[0]
    >>> sample.id, sample.attributes["image"], sample.category
    ('dog_harp_1_dog', 'dog_harp_1', 'dog')
    """
    content = read_json_file(path, remedy=_REMEDY)
    if not isinstance(content, list):
        raise AnnotationError(["the file is not a list of entries"], where=path, remedy=_REMEDY)
    rows = []
    problems = []
    for number, entry in enumerate(content):
        try:
            rows.append(_json_row(entry))
        except DataError as error:
            problems.append(f"entry {number}: {error.problem}")
    return _samples(rows, problems, path)


def read_csv(path: Path) -> tuple[Sample, ...]:
    """Read the annotation as a table ``id,image,category,xmin,ymin,xmax,ymax``.

    Raises
    ------
    AnnotationError
        With every problem of every line.
    DataError
        If the file cannot be read as text.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "is3.csv"
    >>> with path.open("w") as stream:
    ...     print(",".join(HEADER), "one,picture,dog,0,0,112,224", sep=chr(10), file=stream)
    >>> read_csv(path)[0].group
    'picture'
    """
    rows = []
    problems = []
    for number, fields in enumerate(read_table(path, HEADER, remedy=_REMEDY), 2):
        try:
            rows.append(_csv_row(fields))
        except DataError as error:
            problems.append(f"line {number}: {error.problem}")
    return _samples(rows, problems, path)


def _json_row(entry: object) -> Sample:
    if not isinstance(entry, dict) or not {"image", "audio", "gt_box"} <= set(entry):
        raise DataError("an entry must be an object with the keys image, audio and gt_box")
    names = [_stem(entry["image"]), _stem(entry["audio"])]
    if names[0] != names[1]:
        raise DataError("image and audio must have one name")
    box = entry["gt_box"]
    if not isinstance(box, list) or len(box) != 4:
        raise DataError("gt_box must be a list of 4 coordinates")
    picture, _, category = names[0].rpartition("_")
    return _sample(names[0], picture, category, [_pixel(value) for value in box])


def _stem(name: object) -> str:
    if not isinstance(name, str):
        raise DataError("the name of an image or sound must be a text")
    return PurePosixPath(name).stem


def _csv_row(fields: Sequence[str]) -> Sample:
    if len(fields) != len(HEADER):
        raise DataError(f"a line has {len(HEADER)} fields, not {len(fields)}")
    corners = []
    for text in fields[3:]:
        if not (text.isascii() and text.isdigit() and len(text) <= 3):
            raise DataError(f"{text[:20]!r} is not a whole number from 0 to {GRID}")
        corners.append(_pixel(int(text)))
    return _sample(fields[0], fields[1], fields[2], corners)


def _pixel(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"the coordinate {value!r:.40} is not a number")
    if not 0 <= value <= GRID or value != int(value):
        raise DataError(f"the coordinate {value!r:.40} is not a whole number from 0 to {GRID}")
    return int(value)


def _sample(identifier: str, picture: str, category: str, corners: Sequence[int]) -> Sample:
    for name in (identifier, picture):
        # Two published names hold blanks; a blank in the middle of a file name does no harm.
        if problem := id_problem(name.replace(" ", "_") if name == name.strip() else name):
            raise DataError(f"{name[:60]!r}: {problem}")
    if not category.strip() or not category.isprintable():
        raise DataError("the category must be a printable text")
    x0, y0, x1, y1 = corners
    if x1 < x0 or y1 < y0:
        raise DataError("the box is inside out: its end lies before its start")
    boxes = Boxes(np.array([corners], np.float64), frame=(GRID, GRID))
    return Sample(identifier, picture, category, boxes, attributes={"image": picture})


def _samples(rows: Sequence[Sample], problems: list[str], path: Path) -> tuple[Sample, ...]:
    problems += [
        f"{identifier} is annotated more than once"
        for identifier in duplicates(row.id for row in rows)
    ]
    if not rows and not problems:
        problems.append("there is no box in this file")
    if problems:
        raise AnnotationError(problems, where=path, remedy=_REMEDY)
    visible: dict[str, set[str]] = {}
    for row in rows:
        visible.setdefault(row.group, set()).add(row.category)
    return tuple(
        Sample(
            row.id,
            row.group,
            row.category,
            row.annotation,
            categories=tuple(sorted(visible[row.group])),
            attributes=row.attributes,
        )
        for row in rows
    )


def _read(folder: Path) -> tuple[Path, tuple[Sample, ...]]:
    """The annotation that is there, and its samples."""
    released = folder / JSON_FORM
    if released.exists():
        return released, read_json(released)
    return folder / CSV_FORM, read_csv(folder / CSV_FORM)


class Is3(FolderDefinition):
    """IS3, all of it."""

    name = "is3"
    title = "IS3"
    splits = ("all",)
    truth_convention: TruthConvention = "union"
    description = _LAYOUT

    def open_folder(self, folder: Path, split: str) -> TestSet:
        """Open it; raises DataError where the annotation is unusable."""
        _, samples = _read(folder)
        return FolderTestSet(
            name=self.name,
            split=split,
            truth_convention=self.truth_convention,
            revision=KNOWN_REVISIONS.get(truth_digest(samples)),
            folder=folder,
            samples=samples,
        )

    def verify_folder(self, folder: Path) -> list[Finding]:
        """What is there, what is missing, what is corrupt, by name."""
        if not any((folder / name).exists() for name in (JSON_FORM, CSV_FORM)):
            return [Finding("missing", JSON_FORM, f"no annotation; {_REMEDY}")]
        item = JSON_FORM if (folder / JSON_FORM).exists() else CSV_FORM
        try:
            _, samples = _read(folder)
        except DataError as error:
            return corrupt(item, error)
        media = verify_media(folder, [sample.id for sample in samples])
        return [*_verify_annotation(item, samples), *media]


def _verify_annotation(item: str, samples: Sequence[Sample]) -> list[Finding]:
    sounds = Counter(sample.group for sample in samples)
    counts = f"{len(samples):,} boxes of {len(sounds):,} pictures"
    revision = KNOWN_REVISIONS.get(truth_digest(samples))
    alone = [
        Finding("note", picture, "it has one sound only, so nothing can be swapped")
        for picture, count in sounds.items()
        if count == 1
    ]
    return [verify_revision(item, counts, revision), *alone]


TEST_SET = Is3()
