"""Test sets whose annotation is a table of boxes on the 224 grid, one for each image and sound.

SSLalignment (Senocak et al. 2023) evaluates AVSBench and VPO in this form: a picture, a sound, and
the corners of one box in whole pixels, end-exclusive. An empty box, 0, 0, 0, 0, stays in the table:
nothing can be found there, and the trial counts as a failure. Where the exact masks are at hand
too, the split ``masks`` takes them as truth, if they are black and one other level. Other masks are
read only by a rule that the split names: ``masks-nonzero``, ``masks-half``, ``masks-alpha`` or
``masks-dither`` (:func:`~ssl_bench.media.image.read_mask`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast, get_args

from pydantic import AfterValidator

from ssl_bench.errors import DataError
from ssl_bench.media.audio import AUDIO_SUFFIXES
from ssl_bench.media.image import IMAGE_SUFFIXES, MaskRule, read_mask
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.base import UNLABELLED, Finding, Sample, corrupt
from ssl_bench.testsets.folder import Contents, FolderDefinition, FolderTestSet, truth_notes
from ssl_bench.testsets.identifiers import ID_RULE, FieldError, is_id
from ssl_bench.testsets.tables import CORNERS, GridBox, grid_boxes, read_table

_MASKS = "masks"
_RULE_OF: dict[str, MaskRule] = {
    _MASKS if rule == "two-valued" else f"{_MASKS}-{rule}": rule for rule in get_args(MaskRule)
}
_MAX_NAME = 200
_MAX_MASK = 2048


def _checked(name: str) -> str:
    if len(name) > _MAX_NAME or not all(is_id(part) for part in name.split("/")):
        raise FieldError(f"in the path of a file, {ID_RULE}", "E_ID")
    return name


def _without(endings: Sequence[str]) -> Callable[[str], str]:
    return lambda name: next(
        (name.removesuffix(ending) for ending in endings if name.endswith(ending)), name
    )


class Row(GridBox):
    """One row of a table: the names of a picture and its sound, and the corners of one box."""

    image: Annotated[str, AfterValidator(_checked), AfterValidator(_without(IMAGE_SUFFIXES))]
    audio: Annotated[str, AfterValidator(_checked), AfterValidator(_without(AUDIO_SUFFIXES))]

    @property
    def id(self) -> str:
        """The image's name without its folders."""
        return self.image.rpartition("/")[2]


def read_box_table(path: Path, image_column: str, *, remedy: str) -> list[Row]:
    r"""Read a table ``IMAGE_COLUMN,audio,xmin,ymin,xmax,ymax`` with one row for each image.

    Raises
    ------
    DataError
        If the file cannot be read; an AnnotationError with every problem of every row.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "boxes.csv"
    >>> _ = path.write_text("frame,audio,xmin,ymin,xmax,ymax\na/b_1.png,a/b.wav,0,0,112,224\n")
    >>> row = read_box_table(path, "frame", remedy="")[0]
    >>> row.id, row.audio, row.corners
    ('b_1', 'a/b', (0.0, 0.0, 112.0, 224.0))
    """
    columns, header = ("image", "audio", *CORNERS), (image_column, "audio", *CORNERS)
    return read_table(path, Row, columns, header=header, remedy=remedy, key=lambda row: row.id)


class BoxTable(FolderDefinition):
    """A test set of this form: boxes, or masks where they are there too.

    Parameters
    ----------
    name, title
        Its names; that of the table follows from `name`.
    digest
        The :func:`~ssl_bench.testsets.folder.truth_digest` of SSLalignment's table.
    **facts
        What `template` has places for.
    """

    splits = ("boxes", *_RULE_OF)
    image_column: str  # the table's first
    template: str  # of the description

    def __init__(self, name: str, title: str, digest: str, **facts: object) -> None:
        self.name = name
        self.title = title
        self.annotation = f"{name.replace('-', '_')}.csv"
        self.description = self.template.format(name=name, table=self.annotation, **facts)
        self.revisions = {digest: "sslalignment"}

    @property
    def remedy(self) -> str:
        """What to do about a file that is missing or corrupt."""
        others = ", ".join(list(_RULE_OF)[1:])
        return (
            f"{super().remedy}; {self.name}:boxes needs no masks, and the splits {others} read "
            "masks by other rules"
        )

    @abstractmethod
    def group(self, row: Row) -> str:
        """Name of the source (video or photograph) of a row."""

    @abstractmethod
    def mask_name(self, row: Row) -> str:
        """Name of a row's mask file, without its ending."""

    def category(self, row: Row) -> str:
        """What sounds; unlabelled where the table does not name it."""
        del row
        return UNLABELLED

    def convention_of(self, split: str) -> TruthConvention:
        """Masks are drawn as they are."""
        return "mask" if split in _RULE_OF else self.truth_convention

    def revision_of(self, test_set: FolderTestSet) -> str | None:
        """Name of the published table; its boxes alone are known."""
        return None if test_set.split in _RULE_OF else super().revision_of(test_set)

    def read(self, folder: Path, split: str) -> Contents:
        """Read the table; equal sounds are shared, and masks stand beside their boxes."""
        rows = read_box_table(folder / self.annotation, self.image_column, remedy=self.remedy)
        first: dict[str, str] = {}
        for row in rows:
            first.setdefault(row.audio, row.id)
        samples = [self._sample(row, first[row.audio]) for row in rows]
        images = {row.id: row.image for row in rows}
        sounds = {row.id: row.audio for row in rows}
        if split not in _RULE_OF:
            return Contents(samples, images=images, sounds=sounds)
        with_masks: list[Sample] = []
        problems: list[Finding] = []
        for row, sample in zip(rows, samples, strict=True):
            item = f"{_MASKS}/{self.mask_name(row)}.png"
            if not (folder / item).is_file():
                problems.append(Finding("missing", item, "this file does not exist"))
                continue
            try:
                pixels = read_mask(folder / item, _RULE_OF[split])
                if max(pixels.shape) > _MAX_MASK:
                    problem = f"this mask is larger than {_MAX_MASK} pixels on a side"
                    raise DataError(problem, code="E_MASK_SIZE", where=folder / item)
            except DataError as error:
                problems += corrupt(item, error)
            else:
                boxes = cast(Boxes, sample.annotation)
                with_masks.append(replace(sample, annotation=Mask(pixels, boxes)))
        return Contents(with_masks, problems, images=images, sounds=sounds)

    def _sample(self, row: Row, sound_of: str) -> Sample:
        category = self.category(row)
        return Sample(
            id=row.id,
            group=self.group(row),
            category=category,
            annotation=grid_boxes(row.corners),
            categories=() if category == UNLABELLED else (category,),
            sound_of=None if sound_of == row.id else sound_of,
        )

    def counts(self, samples: Sequence[Sample]) -> str:
        """Boxes, sounds and sources."""
        sounds = len({sample.sound for sample in samples})
        groups = len({sample.group for sample in samples})
        return f"{len(samples):,} boxes, {sounds:,} sounds, {groups:,} sources"

    def notes(self, test_set: FolderTestSet) -> list[Finding]:
        """The masks of the other splits."""
        if not (test_set.folder / _MASKS).is_dir():
            message = "not there; needed for the split 'masks' only"
            return [Finding("note", f"{_MASKS}/", message)]
        masks = self.read(test_set.folder, _MASKS)
        usable = f"{len(masks.samples):,} of {len(test_set):,} masks are usable"
        if masks.problems:
            usable += f"; the splits {', '.join(list(_RULE_OF)[1:])} read others by these rules"
        level = Finding("note" if masks.problems else "ok", f"{_MASKS}/", usable)
        return [*truth_notes(masks.samples, "mask"), *masks.problems, level]
