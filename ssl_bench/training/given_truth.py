"""Where a user's clips sound, for supervised training: boxes in a table, or a file for each clip.

A file is a table of boxes, and the truth is 1 inside any box of a clip:

- ``.csv`` with the heading ``id,x0,y0,x1,y1``: one box on each line, relative to the whole image,
  from 0 (left, top) to 1 (right, bottom). A clip may have several.
- ``.csv`` with the heading of the box tables of the test sets, ``image,audio,xmin,ymin,xmax,ymax``
  (the first column may have any name): one box for each image, on the 224 grid.
- ``.json`` in the form of VGG-SS.

A folder holds ``ID.png``, a mask of black and one other level (not black: it sounds there) or one
that a named rule reads (:func:`~ssl_bench.media.image.read_mask`), or ``ID.xml``, boxes in the form
of Flickr-SoundNet, whose truth is the share of annotators that cover a place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from ssl_bench.errors import DataError
from ssl_bench.files import sha256_of_json
from ssl_bench.media.find import MediaFiles
from ssl_bench.media.image import MaskRule, read_mask
from ssl_bench.media.names import ClipNames, bare, clip_names
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets import definitions, flickr
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.described.test_set import Described
from ssl_bench.testsets.identifiers import FieldError, Id
from ssl_bench.testsets.tables import CORNERS, GRID, read_table, read_text
from ssl_bench.testsets.truth import render

COLUMNS = ("id", "x0", "y0", "x1", "y1")
"""Heading of a table of relative boxes."""

HOW_TO_GIVE_TRUTH = (
    "give --truth BOXES.csv (one box on each line, "
    + ",".join(COLUMNS)
    + ", from 0 to 1 of the image) or --truth DIR (a mask ID.png for each clip)"
)
"""What to do where an objective needs the truth and there is none."""


_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _RelativeBox(BaseModel):
    id: Id
    x0: _Share
    y0: _Share
    x1: _Share
    y1: _Share

    @model_validator(mode="after")
    def _check_area(self) -> _RelativeBox:
        if not (self.x0 < self.x1 and self.y0 < self.y1):
            raise FieldError("the box has no area, or its end lies before its start", "E_BOX_ORDER")
        return self


@dataclass(frozen=True, eq=False)
class GivenTruth:
    """Where clips sound, by id."""

    path: Path  # The table, or the folder
    # Boxes of each clip of a table; None for a folder, whose files are read when needed.
    boxes: Mapping[str, Boxes] | None = field(repr=False)
    masks: MaskRule = "two-valued"  # How masks are read

    def check(self, clip: str) -> None:
        """Raise DataError where the truth of a clip is missing or unusable."""
        self._annotation(clip)

    def map(self, clip: str) -> NDArray[np.float32]:
        """Where a clip sounds, ``(224, 224)`` float32 in [0, 1]; raises as :meth:`check`."""
        annotation, convention = self._annotation(clip)
        return render(annotation, convention, GRID, GRID)

    @cached_property
    def _files(self) -> MediaFiles:
        return MediaFiles([self.path], (".png", ".xml"), bare)

    @cached_property
    def _names(self) -> ClipNames:
        return clip_names(self._files.clips if self.boxes is None else self.boxes)

    def _own(self, clip: str) -> str:
        """The table's or folder's name of a clip, which may be spelled in another way."""
        found = self._names.read(clip)
        return clip if found is None else found.id

    def fingerprint(self, clip: str) -> str:
        """Identifies the truth of a clip: its boxes, or name and size of its file."""
        if self.boxes is not None:
            return sha256_of_json(self.boxes[self._own(clip)].corners.tolist())
        path = self._file(clip)
        rule = "" if self.masks == "two-valued" else f"\t{self.masks}"
        return f"{path.name}\t{path.stat().st_size}{rule}"

    def _annotation(self, clip: str) -> tuple[Annotation, TruthConvention]:
        if self.boxes is not None:
            name = self._own(clip)
            if name not in self.boxes:
                raise DataError(
                    "the table of boxes does not name this clip",
                    code="E_TRUTH_MISSING",
                    where=self.path,
                )
            return self.boxes[name], "union"
        path = self._file(clip)
        if path.suffix.lower() == ".xml":
            return flickr.read_annotation(path).boxes, "annotator-mean"
        return Mask(read_mask(path, self.masks)), "mask"

    def _file(self, clip: str) -> Path:
        path = self._files.find(self._own(clip))
        if path is not None:
            return path
        raise DataError(
            "there is neither a mask nor an annotation of this clip",
            code="E_TRUTH_MISSING",
            where=self.path,
        )


def open_truth(path: Path, masks: MaskRule = "two-valued") -> GivenTruth:
    r"""Read a table of boxes, or take note of a folder of masks or annotations.

    Raises
    ------
    AnnotationError
        With every problem of every line of a table.
    DataError
        If there is no such file or folder, or it is of no known form.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "boxes.csv"
    >>> _ = path.write_text("id,x0,y0,x1,y1\nme,0,0,0.5,1\nme,0.5,0,1,0.5\n")
    >>> open_truth(path).map("me").mean()
    np.float32(0.75)
    """
    if path.is_dir():
        return GivenTruth(path, None, masks)
    if masks != "two-valued":
        raise DataError(
            f"masks are read by the rule {masks!r}, and this is not a folder of masks",
            code="E_MASK_RULE",
            where=path,
            remedy="leave the rule out, or name the folder",
        )
    if not path.is_file():
        raise DataError(
            "there is no such table of boxes or folder of masks",
            code="E_FILE_MISSING",
            where=path,
            remedy=HOW_TO_GIVE_TRUTH,
        )
    if path.suffix == ".json":
        return GivenTruth(path, _read_published(path, "vggss"))
    first = read_text(path, remedy=HOW_TO_GIVE_TRUTH).partition("\n")[0]
    heading = [name.strip('" \r') for name in first.split(",")]
    if heading[1:] == ["audio", *CORNERS]:
        name = "avsbench-ms3" if heading[0] == "frame" else "vpo-ms"
        return GivenTruth(path, _read_published(path, name))
    return GivenTruth(path, _read_relative_boxes(path))


def _read_published(path: Path, name: str) -> dict[str, Boxes]:
    """The boxes of a file in the form of a published test set."""
    declared = definitions()[name]
    assert isinstance(declared, Described)
    drawn = {sample.id: sample.annotation for sample in declared.read_file(path)}
    return {clip: boxes for clip, boxes in drawn.items() if isinstance(boxes, Boxes)}


def _read_relative_boxes(path: Path) -> dict[str, Boxes]:
    corners: dict[str, list[list[float]]] = {}
    for row in read_table(path, _RelativeBox, COLUMNS, remedy=HOW_TO_GIVE_TRUTH):
        corners.setdefault(row.id, []).append([row.x0, row.y0, row.x1, row.y1])
    return {clip: Boxes(np.array(boxes, np.float64)) for clip, boxes in corners.items()}
