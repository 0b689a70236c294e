"""IS3 (Senocak et al. 2024): generated pictures of two objects, with the sound of each in turn.

The annotation has one box for each picture and sound, in whole pixels of the 224 grid,
end-exclusive. It is read in the released form, a JSON list of ``{"image", "audio", "gt_box"}``, or
as a table. Which samples show one picture is stored with them (attribute ``image``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, model_validator

from ssl_bench.testsets.base import Finding, Sample
from ssl_bench.testsets.folder import Contents, FolderDefinition, FolderTestSet
from ssl_bench.testsets.identifiers import ID_RULE, FieldError, is_id
from ssl_bench.testsets.tables import (
    CORNERS,
    Category,
    GridBox,
    GridCorners,
    checked_category,
    grid_boxes,
    read_entries,
    read_table,
)

JSON_FORM = "synthetic3240_bbox.json"
CSV_FORM = "is3.csv"
HEADER = ("id", "image", "category", *CORNERS)

KNOWN_REVISIONS = {
    "6d4f0a6e08c39f18bb43743b2a844698650eeb33d63b074aa5dfb74e65c3d58a": "sslalignment",
}
"""Published annotations by the digest of their ids and boxes."""

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


def _checked(name: str) -> str:
    # Two published names hold blanks; a blank in the middle of a file name does no harm.
    if name != name.strip() or not is_id(name.replace(" ", "_")):
        raise FieldError(ID_RULE, "E_ID")
    return name


_Name = Annotated[str, AfterValidator(_checked)]


class _Row(GridBox):
    id: _Name
    image: _Name
    category: Category


class _Entry(BaseModel):
    image: str
    audio: str
    gt_box: GridCorners

    @model_validator(mode="after")
    def _check_names(self) -> _Entry:
        if self.id != PurePosixPath(self.audio).stem:
            raise FieldError("image and audio must have one name", "E_NAMES_DIFFER")
        picture, _, category = self.id.rpartition("_")
        _checked(self.id), _checked(picture), checked_category(category)
        return self

    @property
    def id(self) -> str:
        return PurePosixPath(self.image).stem


def read_json(path: Path, *, remedy: str = "get the official file") -> tuple[Sample, ...]:
    """Read the annotation in its released form.

    Folders before the names of images and sounds do not matter; the part of a name after its last
    ``_`` is the category that is heard, the rest names the picture.

    Raises
    ------
    DataError
        If the file cannot be read; an AnnotationError with every problem of every entry.

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
    entries = read_entries(path, _Entry, remedy=remedy, key=lambda entry: entry.id)
    named = [(entry.id, *entry.id.rpartition("_")[::2], entry.gt_box) for entry in entries]
    return _samples(named)


def read_csv(path: Path, *, remedy: str = "get the official file") -> tuple[Sample, ...]:
    """Read the annotation as a table ``id,image,category,xmin,ymin,xmax,ymax``.

    Raises
    ------
    DataError
        If the file cannot be read; an AnnotationError with every problem of every line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "is3.csv"
    >>> with path.open("w") as stream:
    ...     print(",".join(HEADER), "one,picture,dog,0,0,112,224", sep=chr(10), file=stream)
    >>> read_csv(path)[0].group
    'picture'
    """
    rows = read_table(path, _Row, HEADER, remedy=remedy, key=lambda row: row.id)
    return _samples([(row.id, row.image, row.category, row.corners) for row in rows])


def _samples(rows: Sequence[tuple[str, str, str, Sequence[float]]]) -> tuple[Sample, ...]:
    heard: dict[str, set[str]] = {}
    for _, picture, category, _ in rows:
        heard.setdefault(picture, set()).add(category)
    return tuple(
        Sample(
            identifier,
            picture,
            category,
            grid_boxes(corners),
            categories=tuple(sorted(heard[picture])),
            attributes={"image": picture},
        )
        for identifier, picture, category, corners in rows
    )


class Is3(FolderDefinition):
    """IS3, all of it."""

    name = "is3"
    title = "IS3"
    description = _LAYOUT
    annotation = JSON_FORM
    revisions = KNOWN_REVISIONS

    def annotation_in(self, folder: Path) -> str:
        """The released form where it is there, else the table."""
        forms = [form for form in (JSON_FORM, CSV_FORM) if (folder / form).exists()]
        return forms[0] if forms else JSON_FORM

    def read(self, folder: Path, split: str) -> Contents:
        """Read the form that is there."""
        del split
        form = self.annotation_in(folder)
        read = read_json if form == JSON_FORM else read_csv
        return Contents(read(folder / form, remedy=self.remedy))

    def counts(self, samples: Sequence[Sample]) -> str:
        """Boxes and pictures."""
        return f"{len(samples):,} boxes of {len({sample.group for sample in samples}):,} pictures"

    def notes(self, test_set: FolderTestSet) -> list[Finding]:
        """Pictures of which nothing can be swapped."""
        message = "it has one sound only, so nothing can be swapped"
        sounds = Counter(sample.group for sample in test_set.samples)
        return [Finding("note", picture, message) for picture, n in sounds.items() if n == 1]


TEST_SET = Is3()
