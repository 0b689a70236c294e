"""MUSIC-Synthetic (Hu et al. 2020): mosaics of four musicians, two of whom are heard.

The released annotation is one array file for each scene, ``box/<scene>.npy``, with a row
``x, y, w, h, category`` for each box around an instrument that sounds; corner and size are
relative to the frame, and categories are numbers. One sample is made for each category that sounds
in a scene; they share picture and sound. Instruments that are silent are not annotated.

The sounds were released as pickled spectrograms. Nothing here reads a pickle: waveforms are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import Finding, Sample, TestSet, corrupt
from ssl_bench.testsets.folder import FolderDefinition, FolderTestSet, verify_media
from ssl_bench.testsets.listing import id_problem

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

_GRID = 224.0
_LARGEST_FILE = 2**16
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

    Parameters
    ----------
    path
        Array file ``(n, 5)`` of numbers; its name without the ending is the scene's.

    Raises
    ------
    AnnotationError
        With every problem of the file.

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
    if problem := id_problem(path.stem):
        raise AnnotationError([problem], where=path, remedy=_REMEDY)
    rows = _rows(path)
    problems = [
        f"row {number}: {problem}"
        for number, row in enumerate(rows)
        if (problem := _row_problem(row))
    ]
    if problems:
        raise AnnotationError(problems, where=path, remedy=_REMEDY)
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
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise AnnotationError(["the file is too large"], where=path, remedy=_REMEDY)
        # Mapped, so that a claimed size is compared with the file's before anything is allocated.
        content = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        problem = f"the file cannot be read ({error.strerror})"
        raise AnnotationError([problem], where=path, remedy=_REMEDY) from error
    except ValueError as error:
        problem = "the file is not an array of numbers, or truncated"
        raise AnnotationError([problem], where=path, remedy=_REMEDY) from error
    if content.dtype.kind not in "fiu" or content.ndim != 2 or content.shape[1:] != (5,):
        problem = f"the array is {content.shape} of {content.dtype}, not rows of five numbers"
        raise AnnotationError([problem], where=path, remedy=_REMEDY)
    if len(content) == 0:
        raise AnnotationError(["there is no box in this file"], where=path, remedy=_REMEDY)
    return content.astype(np.float64)


def _row_problem(row: NDArray[np.float64]) -> str | None:
    if not np.isfinite(row).all():
        return "a number is not finite"
    if row[2] < 0 or row[3] < 0:
        return "a box has a negative width or height"
    if row[4] not in CATEGORIES:
        return f"{row[4]:g} is no category; they are {', '.join(map(str, CATEGORIES))}"
    return None


def boxes_of_sizes(boxes: NDArray[np.float64]) -> Boxes:
    """Boxes given by corner and size, in pixels of the grid on which they were scored.

    The original evaluation scales a corner and a size to its grid before it adds them
    (music-exp/eval.py). The sum of relative numbers can truncate to another pixel: along the right
    edge of a frame of 640 pixels, in one box of nine.

    Parameters
    ----------
    boxes
        ``(n, 4)`` float64 rows of x, y, width, height, relative to the frame.

    Returns
    -------
    Boxes
        ``(n, 4)`` corners in a frame of (224, 224).

    Examples
    --------
    >>> boxes_of_sizes(np.array([[0.0, 0.5, 0.25, 0.5]])).corners.tolist()
    [[0.0, 112.0, 56.0, 224.0]]
    """
    x, y, width, height = _GRID * boxes.T
    corners = np.stack([x, y, x + width, y + height], axis=1)
    return Boxes(corners, frame=(_GRID, _GRID))


class MusicTestSet(FolderTestSet):
    """Samples of which those of one scene share its picture and its sound."""

    def image_name(self, sample_id: str) -> str:
        """Image and sound are named after the sample's scene."""
        return self[sample_id].group


class MusicSynthetic(FolderDefinition):
    """MUSIC-Synthetic, its test part."""

    name = "music-synthetic"
    title = "MUSIC-Synthetic"
    splits = ("all",)
    truth_convention: TruthConvention = "union"
    description = _LAYOUT

    def open_folder(self, folder: Path, split: str) -> TestSet:
        """Open it; raises DataError with every scene whose boxes are unusable."""
        paths = _scene_files(folder)
        if not paths:
            raise DataError("there is no scene here", where=folder / BOXES, remedy=_REMEDY)
        samples: list[Sample] = []
        problems: list[str] = []
        for path in paths:
            try:
                samples += read_scene(path)
            except AnnotationError as error:
                problems += [f"{path.name}: {problem}" for problem in error.problems]
        if problems:
            raise AnnotationError(problems, where=folder / BOXES, remedy=_REMEDY)
        return MusicTestSet(
            name=self.name,
            split=split,
            truth_convention=self.truth_convention,
            revision=None,
            folder=folder,
            samples=samples,
        )

    def verify_folder(self, folder: Path) -> list[Finding]:
        """What is there, what is missing, what is corrupt, by name."""
        paths = _scene_files(folder)
        if not paths:
            return [Finding("missing", f"{BOXES}/", f"no scene; {_REMEDY}")]
        findings: list[Finding] = []
        for path in paths:
            item = f"{BOXES}/{path.name}"
            try:
                sources = read_scene(path)
            except AnnotationError as error:
                findings += corrupt(item, error)
                continue
            if len(sources) == 1:
                findings.append(Finding("note", item, "one category sounds, not two"))
        count = f"{len(paths):,} of {SCENES:,} scenes"
        findings.append(Finding("ok" if len(paths) == SCENES else "note", f"{BOXES}/", count))
        return findings + verify_media(folder, [path.stem for path in paths])


def _scene_files(folder: Path) -> Sequence[Path]:
    return sorted((folder / BOXES).glob("*.npy"))


TEST_SET = MusicSynthetic()
