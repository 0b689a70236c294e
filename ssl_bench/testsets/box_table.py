"""Test sets whose annotation is a table of boxes on the 224 grid, one for each image and sound.

SSLalignment (Senocak et al. 2023) evaluates AVSBench and VPO in this form: a picture, a sound, and
the corners of one box in whole pixels, end-exclusive. An empty box, 0, 0, 0, 0, stays in the table:
nothing can be found there, and the trial counts as a failure. Where the exact masks are at hand
too, the split ``masks`` takes them as truth.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.media.image import read_mask
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.base import (
    UNLABELLED,
    Finding,
    Sample,
    TestSet,
    corrupt,
)
from ssl_bench.testsets.box_rows import GRID, Row, read_box_table
from ssl_bench.testsets.folder import (
    FolderDefinition,
    FolderTestSet,
    truth_digest,
    verify_media,
    verify_revision,
)

MASKS = "masks"
_LARGEST_MASK = 2048


class BoxTableTestSet(FolderTestSet):
    """A table's samples, with images ``frames/<image>`` and sounds ``audio/<audio>``.

    Parameters
    ----------
    rows
        The rows of the table, in the order of the samples.
    **facts
        As for :class:`~ssl_bench.testsets.folder.FolderTestSet`.
    """

    def __init__(self, *, rows: Sequence[Row], **facts: Any) -> None:
        super().__init__(**facts)
        self._rows = {row.id: row for row in rows}

    def image_name(self, sample_id: str) -> str:
        """The row's image."""
        return self._rows[self[sample_id].id].image

    def sound_name(self, sample_id: str) -> str:
        """The row's sound."""
        return self._rows[self[sample_id].id].audio


class BoxTable(FolderDefinition):
    """A test set of this form: boxes, or masks where they are there too.

    Parameters
    ----------
    name, title
        As for :class:`~ssl_bench.testsets.base.TestSetDefinition`.
    table
        Name of the CSV file.
    layout
        Description of the folder.
    revisions
        Names of published annotations by the digest of their ids and boxes.

    Attributes
    ----------
    image_column
        Name of the table's first column.
    """

    splits = ("boxes", "masks")
    truth_convention: TruthConvention = "union"
    image_column: str

    def __init__(
        self, name: str, title: str, table: str, layout: str, revisions: Mapping[str, str]
    ) -> None:
        self.name = name
        self.title = title
        self.table = table
        self.revisions = revisions
        self.description = layout

    @abstractmethod
    def group(self, row: Row) -> str:
        """Name of the source (video or photograph) of a row."""

    @abstractmethod
    def mask_name(self, row: Row) -> str:
        """Name of a row's mask file, without its ending."""

    def category(self, row: Row) -> str:
        """What sounds; unlabelled where the table does not say."""
        del row
        return UNLABELLED

    @property
    def _remedy(self) -> str:
        return f"get the file again; 'ssl-bench data layout {self.name}' says what it must hold"

    def samples(self, rows: Sequence[Row]) -> tuple[Sample, ...]:
        """Samples with boxes, in the order of the table; equal sounds are shared."""
        first: dict[str, str] = {}
        for row in rows:
            first.setdefault(row.audio, row.id)
        return tuple(
            Sample(
                id=row.id,
                group=self.group(row),
                category=self.category(row),
                annotation=Boxes(np.array([row.corners], np.float64), frame=(GRID, GRID)),
                categories=() if self.category(row) == UNLABELLED else (self.category(row),),
                sound_of=None if first[row.audio] == row.id else first[row.audio],
            )
            for row in rows
        )

    def open_folder(self, folder: Path, split: str) -> TestSet:
        """Open one split; raises DataError where the table or a mask is unusable."""
        rows = read_box_table(folder / self.table, self.image_column, remedy=self._remedy)
        samples = self.samples(rows)
        revision = self.revisions.get(truth_digest(samples))
        convention = self.truth_convention
        if split == "masks":
            samples = self._with_masks(folder, rows, samples)
            convention, revision = "mask", None
        return BoxTableTestSet(
            name=self.name,
            split=split,
            truth_convention=convention,
            revision=revision,
            folder=folder,
            samples=samples,
            rows=rows,
        )

    def _with_masks(
        self, folder: Path, rows: Sequence[Row], samples: Sequence[Sample]
    ) -> tuple[Sample, ...]:
        problems: list[str] = []
        found: list[Sample] = []
        for row, sample in zip(rows, samples, strict=True):
            try:
                found.append(_with_mask(sample, _read(folder, self.mask_name(row))))
            except DataError as error:
                problems.append(f"{self.mask_name(row)}.png: {error.problem}")
        if problems:
            raise AnnotationError(
                problems,
                where=folder / MASKS,
                remedy=f"mend them, or use {self.name}:boxes, which needs no masks",
            )
        return tuple(found)

    def verify_folder(self, folder: Path) -> list[Finding]:
        """What is there, what is missing, what is corrupt, by name."""
        path = folder / self.table
        if not path.exists():
            return [Finding("missing", self.table, f"no annotation; {self._remedy}")]
        try:
            rows = read_box_table(path, self.image_column, remedy=self._remedy)
        except DataError as error:
            return corrupt(self.table, error)
        sounds = list(dict.fromkeys(row.audio for row in rows))
        return [
            *self._verify_table(rows),
            *self._verify_masks(folder, rows),
            *verify_media(folder, [row.image for row in rows], sounds),
        ]

    def _verify_table(self, rows: Sequence[Row]) -> list[Finding]:
        samples = self.samples(rows)
        revision = self.revisions.get(truth_digest(samples))
        groups = len({sample.group for sample in samples})
        counts = (
            f"{len(rows):,} boxes, {len({row.audio for row in rows}):,} sounds, {groups:,} sources"
        )
        message = "its box is empty; the sample stays in the list and cannot be found"
        empty = [Finding("note", row.id, message) for row in rows if row.is_empty]
        return [verify_revision(self.table, counts, revision), *empty]

    def _verify_masks(self, folder: Path, rows: Sequence[Row]) -> list[Finding]:
        if not (folder / MASKS).is_dir():
            message = "not there; needed for the split 'masks' only"
            return [Finding("note", f"{MASKS}/", message)]
        findings: list[Finding] = []
        for row in rows:
            item = f"{MASKS}/{self.mask_name(row)}.png"
            if not (folder / item).is_file():
                findings.append(Finding("missing", item, "this file does not exist"))
                continue
            try:
                _read(folder, self.mask_name(row))
            except DataError as error:
                findings += corrupt(item, error)
        usable = f"{len(rows) - len(findings):,} of {len(rows):,} masks are usable"
        findings.append(Finding("note" if findings else "ok", f"{MASKS}/", usable))
        return findings


def _read(folder: Path, name: str) -> NDArray[np.bool_]:
    path = folder / MASKS / f"{name}.png"
    pixels = read_mask(path)
    if max(pixels.shape) > _LARGEST_MASK:
        raise DataError(f"this mask is larger than {_LARGEST_MASK} pixels on a side", where=path)
    return pixels


def _with_mask(sample: Sample, pixels: NDArray[np.bool_]) -> Sample:
    if not isinstance(sample.annotation, Boxes):
        raise DataError("a mask takes the place of boxes only", where=sample.id)
    return Sample(
        id=sample.id,
        group=sample.group,
        category=sample.category,
        annotation=Mask(pixels, sample.annotation),
        categories=sample.categories,
        sound_of=sample.sound_of,
    )
