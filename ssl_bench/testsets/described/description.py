"""The file that describes a test set: ``testset.toml`` in its folder.

It says where the annotation, the images and the sounds lie, and what the columns and names of the
annotation mean. ``ssl-bench data new`` writes one with comments; ``docs/how-to/own-data.md`` has
the rest.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from ssl_bench.errors import DataError
from ssl_bench.media.image import MaskRule
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.schemas import Strict, read_toml
from ssl_bench.testsets.identifiers import FieldError, Id, RelativePath

FILE = "testset.toml"

_MAX_PATTERN = 200


Fact = Literal["image", "sound", "id", "picture", "group", "category"]
"""What names and columns tell, in the order in which it is found."""


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise FieldError(f"this is no regular expression ({error})", "E_PATTERN") from error
    if not groups:
        raise FieldError("a pattern marks what is meant by brackets: (...)", "E_PATTERN")
    return text


class Derived(Strict):
    """A fact that a name tells: the groups of a pattern that has to match all of it, joined."""

    of: Fact
    pattern: Annotated[str, Field(max_length=_MAX_PATTERN), AfterValidator(_pattern)]
    required: bool = False  # whether a name that does not match is refused

    def value(self, text: str) -> str:
        """What a name tells; empty where it does not match.

        Examples
        --------
        >>> Derived(of="id", pattern="(.+)_[0-9]{6}").value("zYf0pcZ5q3M_000030")
        'zYf0pcZ5q3M'
        """
        found = re.fullmatch(self.pattern, text)
        return "" if found is None else "".join(each for each in found.groups() if each)


class Columns(Strict):
    """The columns of a table, or the fields of each entry of a JSON list."""

    image: str | None = None  # name of the image; else the id
    sound: str | None = None  # name of the sound; else that of the image
    id: str | None = None  # of the sample; else it is made of image and category
    picture: str | None = None  # what several images show; else the image, if it is shared
    group: str | None = None  # the source video; else the picture, or the id
    category: str | None = None
    mask: str | None = None  # name of the mask's file; else that of the image
    annotator: str | None = None  # who drew the box; without it, one person drew all
    # Four columns, or one field of four numbers; `boxes` is a field with a list of these.
    box: str | tuple[str, str, str, str] | None = None
    boxes: str | None = None
    size: tuple[str, str] | None = None  # width and height of the picture in pixels


class Derivations(Strict):
    """Facts that names tell; the later ones may be derived from the earlier ones."""

    image: Derived | None = None
    sound: Derived | None = None
    id: Derived | None = None
    picture: Derived | None = None
    group: Derived | None = None
    category: Derived | None = None
    mask: Derived | None = None

    @cached_property
    def steps(self) -> tuple[tuple[str, Derived | None], ...]:
        """Each fact with what it is derived from, in order."""
        return tuple(self)


class _Form(Strict):
    file: RelativePath
    derive: Derivations = Derivations()
    # Further columns, or fields of annotations and images, that break scores down.
    attributes: tuple[str, ...] = ()
    # Categories that are seen and never sound; any other without a sound is a mistake.
    never_heard: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> _Form:
        if "image" in self.attributes:
            raise FieldError("an attribute cannot be called 'image'", "E_SCHEMA")
        return self


class TableForm(_Form):
    """A table (CSV), or a JSON list of objects, with boxes or names of samples."""

    form: Literal["table"]
    columns: Columns
    units: Literal["shares", "pixels"] = "shares"
    frame: tuple[float, float] | None = None  # width and height; else of each picture
    corners: Literal["corners", "size"] = "corners"  # x0, y0, x1, y1 or x0, y0, width, height
    whole: bool = False  # whether numbers must be whole ones
    once: bool = False  # whether each sample has one row

    @model_validator(mode="after")
    def _check_columns(self) -> TableForm:
        if self.columns.id is None and self.columns.image is None and self.derive.id is None:
            raise FieldError("a column id or image is needed", "E_SCHEMA")
        if self.frame is not None and (self.units == "shares" or min(self.frame) <= 0):
            raise FieldError("a frame has positive sides, and boxes in pixels", "E_SCHEMA")
        if self.whole and (self.frame is None or self.frame[0] != self.frame[1]):
            raise FieldError("whole numbers need a square frame", "E_SCHEMA")
        return self


class CocoForm(_Form):
    """COCO instances as JSON: boxes, polygons or run-length codes."""

    form: Literal["coco"]
    # Field of annotations, or else of images, with the name of the sound; without it anywhere,
    # the sound of a picture has its name, and all of its objects sound.
    sound: str = "sound"
    truth: Literal["boxes", "masks"] | None = None  # else masks, where every object has one


class MasksForm(_Form):
    """A folder of masks, its `file`: each is a sample of its own, with its name."""

    form: Literal["masks"]


Form = Annotated[TableForm | CocoForm | MasksForm, Field(discriminator="form")]


class Masks(Strict):
    """Masks as files PNG, by the names of images unless a derivation says otherwise."""

    folder: RelativePath = "masks"
    rule: MaskRule = "two-valued"


class Description(Strict):
    """A test set in a folder, as its file describes it.

    Attributes
    ----------
    layout
        How the folder must look, as ``data layout`` prints it; made of the rest where it is empty.
    partial
        Whether images and sounds of some samples may be missing.
    truth
        How boxes become a map; by default ``mask`` for masks, ``consensus`` where several people
        drew, else ``union``.
    annotation
        One form, or several of which the first counts whose file is there.
    splits
        Names of parts, each with a list of ids, beside ``all``, the default; or beside ``boxes``,
        the default, and ``masks`` where both are there.
    silent
        A list of pairs ``video,audio,label`` of an image and a sound that nothing in it makes.
    revisions
        Names of published annotations, by the digest of their truth or of their file.
    """

    title: str
    licence: str = ""
    source: str = ""
    layout: str = ""
    images: RelativePath = "frames"
    sounds: RelativePath = "audio"
    videos: RelativePath = "videos"
    partial: bool = False
    truth: TruthConvention | None = None
    annotation: Annotated[
        Annotated[Form, Tag("one")]
        | Annotated[tuple[Form, ...], Field(min_length=1), Tag("several")],
        Discriminator(lambda given: "several" if isinstance(given, list | tuple) else "one"),
    ]
    masks: Masks | None = None
    splits: dict[Id, RelativePath] = Field(default_factory=dict)
    silent: RelativePath | None = None
    revisions: dict[str, str] = Field(default_factory=dict)

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms of the annotation, the first choice first."""
        return self.annotation if isinstance(self.annotation, tuple) else (self.annotation,)

    @model_validator(mode="after")
    def _check(self) -> Description:
        taken = [
            each for each in self.splits if each.partition("-")[0] in ("all", "boxes", "masks")
        ]
        if taken:
            raise FieldError(f"the name {taken[0]!r} is kept for a split of its own", "E_SCHEMA")
        for form in self.forms:
            of_masks = isinstance(form, MasksForm)
            if of_masks and (self.masks is None or self.masks.folder != form.file):
                raise FieldError("[masks] has to name the folder of [annotation]", "E_SCHEMA")
            boxes = not isinstance(form, TableForm) or form.columns.box or form.columns.boxes
            if not boxes and self.masks is None:
                raise FieldError("a table without boxes needs [masks]", "E_SCHEMA")
        return self


def read_description(path: Path) -> Description:
    """Read a description; raises DataError with every field that is wrong."""
    return read_toml(path, Description, error=DataError)
