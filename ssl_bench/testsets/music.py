"""MUSIC-Synthetic (Hu et al. 2020): mosaics of four musicians, two of whom are heard.

The released annotation is one array file for each scene, ``box/<scene>.npy``, with a row
``x, y, w, h, category`` for each box around an instrument that sounds; corner and size are
relative to the frame, and categories are numbers. One sample is made for each category that sounds
in a scene; they share picture and sound. Instruments that are silent are not annotated.

The sounds were released as pickled spectrograms. Nothing here reads a pickle: waveforms are needed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from ssl_bench.arrays import read_array
from ssl_bench.errors import DataError, Problem
from ssl_bench.files import files_of
from ssl_bench.schemas import read_bytes
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import Finding, Sample, corrupt
from ssl_bench.testsets.folder import Contents, FolderDefinition, FolderTestSet
from ssl_bench.testsets.identifiers import ID_RULE, is_id
from ssl_bench.testsets.tables import GRID, SLACK, box_reading, refuse

CATEGORIES: Mapping[int, str] = {
    1: "cello",
    3: "acoustic guitar",
    8: "saxophone",
    10: "trumpet",
    11: "violin",
    12: "flute",
    13: "accordion",
}
"""Names of the annotated categories by their numbers (music-exp/eval.py)."""

BOXES = "box"
SCENES = 455
"""Scenes of the released test part (Lin et al. 2021, section 4.1)."""

_FAR = 2.0  # a box with a number beyond is no share of a frame
_MAX_BYTES = 2**16
_REMEDY = "get the official files; 'ssl-bench data layout music-synthetic' says where"

_LAYOUT = """\
DATA/music-synthetic/
  box/<scene>.npy       the boxes as released: an array of rows x, y, w, h, category
  frames/<scene>.jpg    one mosaic per scene (.jpg, .jpeg, .png, .webp, .bmp)
  audio/<scene>.wav     its sound, one second (.wav, .flac, .ogg, or a video such as .mp4)

x, y, w, h are relative to the frame; categories are 1 cello, 3 acoustic guitar, 8 saxophone,
10 trumpet, 11 violin, 12 flute, 13 accordion. Only instruments that sound are annotated.

Where the files come from
  https://github.com/DTaoo/Discriminative-Sounding-Objects-Localization, which links the test part
  (455 scenes, folders audio, video and box). What its loader and music-exp/eval.py read is what is
  described here. The folder video is to be renamed frames. Its sounds are pickled spectrograms,
  which are never opened here: cut the waveforms from the videos of MUSIC instead.

Baselines that neither look nor listen need the boxes alone.
"""


def read_scene(path: Path) -> tuple[Sample, ...]:
    """Read the boxes of one scene: a sample for each category, in the order of the rows.

    The file holds an array ``(n, 5)`` of numbers; its name without the ending is the scene's.

    Raises
    ------
    DataError
        If the file is no such array; an AnnotationError with every problem of its rows.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scene_1.npy"
    >>> np.save(path, np.array([[0.0, 0.5, 0.25, 0.5, 13], [0.5, 0.0, 0.5, 0.5, 1]]))
    >>> accordion, cello = read_scene(path)
    >>> accordion.id, accordion.annotation.corners.tolist()
    ('scene_1.accordion', [[0.0, 112.0, 56.0, 224.0]])
    >>> cello.id, cello.annotation.corners.tolist()
    ('scene_1.cello', [[112.0, 0.0, 224.0, 112.0]])
    """
    if not is_id(path.stem):
        raise DataError(ID_RULE, code="E_ID", where=path, remedy=_REMEDY)
    rows = _rows(path)
    problems = []
    for number, row in enumerate(rows.tolist()):
        if not all(map(math.isfinite, row)):
            problems.append(Problem(f"row {number}: a number is not finite", "E_SCHEMA"))
        elif row[2] < 0 or row[3] < 0:
            problems.append(Problem(f"row {number}: a side is negative", "E_BOX_ORDER"))
        elif max(map(abs, row[:4])) > _FAR:
            text = "the box is given in parts of the frame, and this looks like pixels"
            problems.append(Problem(f"row {number}: {text}", "E_BOX_RANGE"))
        elif row[4] not in CATEGORIES:
            known = ", ".join(map(str, CATEGORIES))
            problems.append(
                Problem(f"row {number}: {row[4]:g} is not one of {known}", "E_CATEGORY")
            )
    refuse(problems, path, _REMEDY)
    numbers = rows[:, 4].astype(int)
    heard = [CATEGORIES[number] for number in dict.fromkeys(numbers.tolist())]
    names = [f"{path.stem}.{category.replace(' ', '_')}" for category in heard]
    return tuple(
        Sample(
            id=name,
            group=path.stem,
            category=category,
            annotation=boxes_of_sizes(
                rows[[CATEGORIES[number] == category for number in numbers.tolist()], :4]
            ),
            categories=tuple(heard),
            attributes={"image": path.stem},
            sound_of=None if name == names[0] else names[0],
        )
        for name, category in zip(names, heard, strict=True)
    )


def _rows(path: Path) -> NDArray[np.float64]:
    """The array of a file, with five columns and at least one row."""
    stored = read_bytes(path, error=DataError, remedy=_REMEDY, limit=_MAX_BYTES)
    try:
        content = read_array(stored)
    except ValueError as error:
        problem = "the file is not an array of numbers, or truncated"
        raise DataError(problem, code="E_ARRAY", where=path, remedy=_REMEDY) from error
    if content.dtype.kind not in "fiu" or content.ndim != 2 or content.shape[1:] != (5,):
        problem = f"the array is {content.shape} of {content.dtype}, not rows of five numbers"
        raise DataError(problem, code="E_ARRAY", where=path, remedy=_REMEDY)
    if len(content) == 0:
        raise DataError(
            "there is no box in this file", code="E_FILE_EMPTY", where=path, remedy=_REMEDY
        )
    return content.astype(np.float64)


def boxes_of_sizes(boxes: NDArray[np.float64]) -> Boxes:
    """Boxes given by corner and size, in pixels of the grid on which they were scored.

    The original evaluation scales a corner and a size to its grid before it adds them
    (music-exp/eval.py). The sum of relative numbers can truncate to another pixel: along the right
    edge of a frame of 640 pixels, in one box of nine.

    Takes rows ``(n, 4)`` of x, y, width and height, relative to the frame.

    Examples
    --------
    >>> boxes_of_sizes(np.array([[0.0, 0.5, 0.25, 0.5]])).corners.tolist()
    [[0.0, 112.0, 56.0, 224.0]]
    """
    x, y, width, height = GRID * boxes.T
    corners = np.stack([x, y, x + width, y + height], axis=1)
    return Boxes(corners, frame=(GRID, GRID))


class MusicSynthetic(FolderDefinition):
    """MUSIC-Synthetic, its test part."""

    name = "music-synthetic"
    title = "MUSIC-Synthetic"
    description = _LAYOUT
    annotation = BOXES
    remedy = _REMEDY

    def read(self, folder: Path, split: str) -> Contents:
        """Read the boxes of all scenes; samples of a scene share its picture and its sound."""
        del split
        paths = files_of(folder / BOXES, ["*.npy"])
        if not paths:
            raise DataError(
                "there is no scene here", code="E_FILE_EMPTY", where=folder / BOXES, remedy=_REMEDY
            )
        samples: list[Sample] = []
        problems: list[Finding] = []
        unreadable: list[str] = []
        for path in paths:
            try:
                samples += read_scene(path)
            except DataError as error:
                problems += corrupt(f"{BOXES}/{path.name}", error)
                unreadable.append(path.stem)
        scenes = {sample.id: sample.group for sample in samples}
        ends = [cast(Boxes, sample.annotation).corners.max() for sample in samples]
        beyond = sum(end > (1 + SLACK) * GRID for end in ends)
        order = "corners x0, y0, x1, y1, not x, y, width, height"
        reading = box_reading(["E_BOX_ORDER"] * beyond, len(ends), order=order)
        if reading:
            problems.append(Finding("corrupt", f"{BOXES}/", Problem(reading, "E_BOX_READING")))
        return Contents(samples, problems, unreadable, images=scenes, sounds=scenes)

    def summary(self, test_set: FolderTestSet) -> Finding:
        """How many scenes there are; no published digest of them is known."""
        scenes = len({sample.group for sample in test_set.samples})
        level: Literal["ok", "note"] = "ok" if scenes == SCENES else "note"
        return Finding(level, f"{BOXES}/", f"{scenes:,} of {SCENES:,} scenes")

    def notes(self, test_set: FolderTestSet) -> list[Finding]:
        """Scenes in which one category sounds alone, and boxes that leave the frame."""
        sources = Counter(sample.group for sample in test_set.samples)
        alone = [
            Finding("note", f"{BOXES}/{scene}.npy", "one category sounds, not two")
            for scene, count in sources.items()
            if count == 1
        ]
        return alone + [
            Finding("note", sample.id, "a box reaches beyond the frame; it is drawn clipped")
            for sample in test_set.samples
            if (np.abs(cast(Boxes, sample.annotation).corners / GRID - 0.5) > 0.5 + SLACK).any()
        ]


TEST_SET = MusicSynthetic()
