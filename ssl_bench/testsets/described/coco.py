"""Reading COCO instances: boxes, polygons and run-length codes.

What ``ssl-bench data export`` wrote is read as it was published, bit by bit. Of other files, each
annotation is an object; its sound is a field of it or of its image.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)

from ssl_bench.errors import AnnotationError, DataError, Problem
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.schemas import MAX_BYTES, code_of, in_words_of, parse_json
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.described.description import CocoForm
from ssl_bench.testsets.described.objects import Assembled, Object, assemble
from ssl_bench.testsets.described.table import facts_of
from ssl_bench.testsets.identifiers import FieldError, Name, RelativePath, duplicates
from ssl_bench.testsets.tables import (
    Category,
    Corners,
    Finite,
    check_box,
    problems_of,
    read_text,
    repeated,
)
from ssl_bench.testsets.truth import decode_rle

EXPORT = "ssl-bench-coco/1"
"""Format of the file that this project writes."""

_MAX_SIDE = 16384
_MOST_PROBLEMS = 1000
_OF_SAMPLE = ("id", "group", "category", "categories", "attributes", "sound_of")
_SINGULAR = {"images": "image", "annotations": "annotation", "categories": "category"}
_Side = Annotated[int, Field(ge=1, le=_MAX_SIDE)]


def _polygon(numbers: list[float]) -> list[float]:
    if len(numbers) < 6 or len(numbers) % 2:
        text = f"a polygon is three points at least, x, y of each: here are {len(numbers)} numbers"
        raise FieldError(text, "E_POLYGON")
    return numbers


_Polygon = Annotated[list[Finite], AfterValidator(_polygon)]


class _Open(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Boxes(BaseModel):
    corners: list[tuple[Finite, Finite, Finite, Finite]]
    frame: tuple[Annotated[Finite, Field(gt=0)], Annotated[Finite, Field(gt=0)]]
    annotators: Annotated[int, Field(ge=1)]


class _Published(BaseModel):
    """What an exported image says of its sample."""

    id: Name
    group: str
    category: Category
    categories: tuple[str, ...]
    attributes: dict[str, Any]
    kind: Literal["boxes", "mask"]
    boxes: _Boxes | None
    image: RelativePath | None = None
    sound: RelativePath | None = None
    sound_of: Name | None = None


class _Code(BaseModel):
    size: tuple[_Side, _Side]
    counts: str | list[Annotated[int, Field(ge=0)]]


_Shape = Annotated[
    Annotated[list[_Polygon], Tag("polygon")] | Annotated[_Code, Tag("code")],
    Discriminator(lambda shape: "polygon" if isinstance(shape, list) else "code"),
]


class _Image(_Open):
    id: int
    file_name: str
    width: _Side
    height: _Side
    ssl_bench: _Published | None = None


class _Annotation(_Open):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[Finite, Finite, Finite, Finite] | None = None
    segmentation: _Shape | None = None


class _CategoryName(_Open):
    id: int
    name: Category


class _Export(_Open):
    format: str = ""
    truth_convention: TruthConvention | None = None


class _Info(_Open):
    ssl_bench: _Export = _Export()


class _File(_Open):
    info: _Info = _Info()
    images: Annotated[list[_Image], Field(min_length=1)]
    annotations: list[_Annotation]
    categories: list[_CategoryName]


def read_coco(path: Path, form: CocoForm, *, remedy: str) -> Assembled:
    """The samples of a COCO file, and every problem; DataError where it cannot be read at all."""
    text = read_text(path, remedy=remedy, most_lines=MAX_BYTES)
    try:
        content = parse_json(text, TypeAdapter(_File), most=MAX_BYTES)
    except ValidationError as error:
        raise AnnotationError(_named(error, text), where=path, remedy=remedy) from None
    names = {each.id: each.name for each in content.categories}
    images = {each.id: each for each in content.images}
    problems = [
        Problem(f"{kind} {identifier} occurs in the list more than once", "E_ID_REPEATED")
        for kind, entries in (
            ("image", content.images),
            ("annotation", content.annotations),
            ("category", content.categories),
        )
        for identifier in duplicates(str(each.id) for each in entries)
    ]
    usable = []
    for number, one in enumerate(content.annotations):
        place = _place("annotation", number, one.id)
        if one.image_id not in images:
            text = f"{place}: there is no image {one.image_id}"
            problems.append(Problem(text, "E_IMAGE_UNKNOWN"))
        elif one.category_id not in names:
            text = f"{place}: there is no category {one.category_id}"
            problems.append(Problem(text, "E_CATEGORY"))
        else:
            usable.append((place, one, images[one.image_id]))
    if content.info.ssl_bench.format == EXPORT:
        return _published(content, usable, problems)
    repeated = duplicates(each.file_name for each in content.images)
    problems += [
        Problem(f"the image {name!r} is in the list more than once", "E_ID_REPEATED")
        for name in repeated
    ]
    return _objects(usable, names, form, problems)


def _place(kind: str, number: int, identifier: object) -> str:
    return f"{kind} {number} (id {identifier!r:.40})"


def _named(error: ValidationError, text: str) -> list[Problem]:
    """What is wrong with a file, by number and id of each image, annotation and category."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return problems_of(error)
    problems = []
    for fault in error.errors(include_url=False, include_input=False)[:_MOST_PROBLEMS]:
        kind, number = (*fault["loc"], None, None)[:2]
        if kind in _SINGULAR and isinstance(number, int):
            entry = raw[kind][number]
            identifier = entry.get("id") if isinstance(entry, dict) else None
            place = _place(_SINGULAR[str(kind)], number, identifier)
            fault["loc"] = (place, *fault["loc"][2:])
        problems.append(Problem(in_words_of(fault), code_of(fault)))
    return problems


def _objects(
    usable: Sequence[tuple[str, _Annotation, _Image]],
    names: Mapping[int, str],
    form: CocoForm,
    problems: list[Problem],
) -> Assembled:
    """The samples of a file that somebody else wrote."""
    masks = form.truth == "masks" or (
        form.truth is None and all(one.segmentation is not None for _, one, _ in usable)
    )
    given = [
        (one.model_extra or {}).get(form.sound) or (image.model_extra or {}).get(form.sound)
        for _, one, image in usable
    ]
    objects = []
    for (place, one, image), sound in zip(usable, given, strict=True):
        try:
            if not isinstance(sound, str | None):
                raise FieldError(f"{form.sound} is the name of a sound", "E_SCHEMA")
            told = {"image": image.file_name, "category": names[one.category_id]}
            facts = facts_of(told if sound is None else {**told, "sound": sound}, form.derive)
            if any(given) and not sound:
                facts["sound"] = ""
            extra = {**(image.model_extra or {}), **(one.model_extra or {})}
            objects.append(
                Object(
                    place=place,
                    corners=_corners(one, image, needed=not masks),
                    frame=(float(image.width), float(image.height)),
                    sized=True,
                    drawn=Mask(_pixels(one, image)) if masks else None,
                    attributes={name: extra[name] for name in form.attributes},
                    **facts,
                )
            )
        except KeyError as error:
            problems.append(Problem(f"{place}: {error.args[0]} is missing", "E_SCHEMA"))
        except (FieldError, DataError) as error:
            problems.append(Problem(f"{place}: {error}".rstrip("."), error.code))
    made = assemble(objects, never_heard=form.never_heard)
    return replace(made, problems=[*problems, *made.problems])


def _corners(one: _Annotation, image: _Image, *, needed: bool) -> list[Corners]:
    if one.bbox is None:
        if needed:
            raise FieldError("there is no bbox", "E_BOX")
        return []
    x, y, width, height = one.bbox
    return [check_box((x, y, x + width, y + height), 0, image.width, image.height)]


def _pixels(one: _Annotation, image: _Image) -> NDArray[np.bool_]:
    """The mask of an object; raises FieldError or DataError where it does not fit the picture."""
    from pycocotools import mask as coco_mask

    shape = one.segmentation
    if isinstance(shape, _Code):
        if tuple(shape.size) != (image.height, image.width):
            size = "its run-length code is of {} x {} pixels, and the picture has {} x {}"
            text = size.format(*reversed(shape.size), image.width, image.height)
            raise FieldError(text, "E_RLE_SIZE")
        if isinstance(shape.counts, str):
            return decode_rle({"size": list(shape.size), "counts": shape.counts})
        if sum(shape.counts) != image.height * image.width:
            raise FieldError("its run lengths do not add up to the picture", "E_RLE_COVER")
        code = coco_mask.frPyObjects(shape.model_dump(), image.height, image.width)
        return np.asarray(coco_mask.decode(code), np.bool_)
    if not shape:
        raise FieldError("there is no segmentation, and masks are the truth", "E_MASK_MISSING")
    for polygon in shape:
        x, y = polygon[::2], polygon[1::2]
        check_box((min(x), min(y), max(x), max(y)), 0, image.width, image.height)
    codes = coco_mask.frPyObjects(shape, image.height, image.width)
    return np.asarray(coco_mask.decode(coco_mask.merge(codes)), np.bool_)


def _published(
    content: _File,
    usable: Sequence[tuple[str, _Annotation, _Image]],
    problems: list[Problem],
) -> Assembled:
    """The samples of a file that this project wrote."""
    drawn = defaultdict[int, list[_Annotation]](list)
    for _, one, _ in usable:
        drawn[one.image_id].append(one)
    samples = []
    images, sounds = dict[str, str](), dict[str, str]()
    for number, image in enumerate(content.images):
        place, known = _place("image", number, image.id), image.ssl_bench
        try:
            if known is None:
                raise FieldError("ssl_bench is missing, which says what was published", "E_SCHEMA")
            boxes = None
            if known.boxes is not None:
                corners = np.array(known.boxes.corners, np.float64).reshape(-1, 4)
                boxes = Boxes(corners, known.boxes.frame, known.boxes.annotators)
            annotation: Annotation | None = boxes
            if known.kind == "mask":
                if len(drawn[image.id]) != 1:
                    raise FieldError("a mask is one annotation", "E_MASK_MISSING")
                annotation = Mask(_pixels(drawn[image.id][0], image), boxes)
            if annotation is None:
                raise FieldError("there are no boxes", "E_BOX")
        except (FieldError, DataError) as error:
            problems.append(Problem(f"{place}: {error}".rstrip("."), error.code))
            continue
        facts = {name: getattr(known, name) for name in _OF_SAMPLE}
        samples.append(Sample(annotation=annotation, **facts))
        images[known.id], sounds[known.id] = known.image or known.id, known.sound or known.id
    problems += repeated([sample.id for sample in samples])
    convention = content.info.ssl_bench.truth_convention
    return Assembled(samples, problems, {}, images, sounds, convention)
