"""Exchange of a test set's truth as COCO JSON.

What is written can be opened by any tool that reads COCO instance annotations: one image per
sample, one annotation per box or mask with ``bbox``, ``area`` and a run-length ``segmentation``.
COCO knows neither text ids nor fractional corners, so each image also carries the field
``ssl_bench`` with what the test set published: its id, group, corners and frame. Reading a file
back uses that field, checks that the drawn annotations agree with it, and therefore gives the same
truth maps, bit by bit.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.files import write_text
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.testsets.identifiers import duplicates
from ssl_bench.testsets.tables import read_text
from ssl_bench.testsets.truth import Rle, decode_rle, encode_rle, pixel_corners

GRID = 224
"""Side in pixels of the images that stand for samples with boxes: the grid of the field's scores.

Boxes are published relative to a frame whose size in pixels the annotation does not know.
"""

_REMEDY = "write it with 'ssl-bench data export'"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _StoredBoxes(_Strict):
    corners: list[Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]]
    frame: Annotated[list[Annotated[FiniteFloat, Field(gt=0)]], Field(min_length=2, max_length=2)]
    annotators: Annotated[int, Field(ge=1)]


class _StoredSample(_Strict):
    id: Annotated[str, Field(min_length=1)]
    group: str
    category: str
    categories: list[str]
    attributes: dict[str, Any]
    kind: Annotated[str, Field(pattern="^(boxes|mask)$")]
    boxes: _StoredBoxes | None


class _StoredImage(_Strict):
    id: int
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    ssl_bench: _StoredSample


class _StoredAnnotation(_Strict):
    image_id: int
    bbox: Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
    segmentation: dict[str, Any]


class _StoredFile(_Strict):
    images: list[_StoredImage]
    annotations: list[_StoredAnnotation]


def export_coco(test_set: TestSet, path: Path) -> None:
    """Write the truth of a test set as COCO JSON.

    The same test set gives the same bytes. Samples with boxes are drawn on a grid of `GRID`
    pixels, each box as one annotation (so that conventions that count boxes can be applied);
    samples with a mask have one annotation at the mask's own size.

    Parameters
    ----------
    test_set
        What to write; its images and sounds are not read.
    path
        The file, written whole or not at all.

    Raises
    ------
    DataError
        If a coordinate is not finite (JSON has no spelling for it), or the file cannot be written.
    """
    content = _content(test_set)
    try:
        text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except ValueError as error:
        raise DataError("a value of this test set is not finite", where=test_set.name) from error
    try:
        write_text(path, text + "\n")
    except OSError as error:
        raise DataError(
            f"the truth cannot be written ({error.strerror})",
            where=path,
            remedy="choose a file in a folder that can be written to",
        ) from error


def _content(test_set: TestSet) -> dict[str, Any]:
    """The whole file: categories by number, images, and what is drawn in each."""
    names = sorted({sample.category for sample in test_set.samples})
    category_ids = {name: number for number, name in enumerate(names, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, sample in enumerate(test_set.samples, 1):
        drawn, height, width = _drawn(sample)
        images.append(
            {
                "id": number,
                "file_name": f"{sample.id}.jpg",
                "width": width,
                "height": height,
                "ssl_bench": _stored(sample),
            }
        )
        for bbox, segmentation, area in drawn:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category_ids[sample.category],
                    "bbox": bbox,
                    "area": area,
                    "segmentation": segmentation,
                    "iscrowd": 0,
                }
            )
    return {
        "info": {
            "description": f"Truth of {test_set.name}, split {test_set.split}",
            "ssl_bench": {
                "format": "ssl-bench-coco/1",
                "test_set": test_set.name,
                "split": test_set.split,
                "revision": test_set.revision,
                "digest": test_set.digest,
                "truth_convention": test_set.truth_convention,
            },
        },
        "images": images,
        "annotations": annotations,
        "categories": [{"id": category_ids[name], "name": name} for name in names],
    }


def import_coco(path: Path) -> list[Sample]:
    """Read the samples of a file that :func:`export_coco` wrote.

    Parameters
    ----------
    path
        The file; entries and fields that other tools added are ignored.

    Returns
    -------
    list of Sample
        In the order of the file, with the published corners or the mask.

    Raises
    ------
    AnnotationError
        If the file is no such JSON, an id occurs twice, or annotations disagree with the published
        corners: each problem with the sample concerned.
    DataError
        If the file is missing or cannot be read as text.
    """
    stored = _parse(path)
    by_image: defaultdict[int, list[_StoredAnnotation]] = defaultdict(list)
    for annotation in stored.annotations:
        by_image[annotation.image_id].append(annotation)
    samples: list[Sample] = []
    problems = [
        f"the id {name!r} occurs more than once"
        for name in duplicates(image.ssl_bench.id for image in stored.images)
    ]
    problems += [
        f"the image number {number} occurs more than once"
        for number in duplicates(str(image.id) for image in stored.images)
    ]
    unknown = sorted(set(by_image) - {image.id for image in stored.images})
    problems += [f"annotations belong to image {number}, which is not there" for number in unknown]
    for image in stored.images:
        try:
            samples.append(_restore(image, by_image[image.id]))
        except DataError as error:
            problems.append(f"{image.ssl_bench.id}: {error.problem}")
    if problems:
        raise AnnotationError(problems, where=path, remedy=_REMEDY)
    return samples


def _stored(sample: Sample) -> dict[str, Any]:
    annotation = sample.annotation
    boxes = annotation.boxes if isinstance(annotation, Mask) else annotation
    return {
        "id": sample.id,
        "group": sample.group,
        "category": sample.category,
        "categories": list(sample.categories),
        "attributes": dict(sample.attributes),
        "kind": "mask" if isinstance(annotation, Mask) else "boxes",
        "boxes": None
        if boxes is None
        else {
            "corners": boxes.corners.tolist(),
            "frame": list(boxes.frame),
            "annotators": boxes.annotators,
        },
    }


_Drawn = tuple[list[int], Rle, int]


def _drawn(sample: Sample) -> tuple[list[_Drawn], int, int]:
    """Bounding box, run-length code and area of each annotation; height and width of the image."""
    annotation = sample.annotation
    if isinstance(annotation, Mask):
        height, width = annotation.pixels.shape
        return [_describe(annotation.pixels)], height, width
    return [_describe(pixels) for pixels in _fill(annotation, GRID, GRID)], GRID, GRID


def _fill(boxes: Boxes, height: int, width: int) -> list[NDArray[np.bool_]]:
    """One binary map for each box."""
    filled = []
    for x0, y0, x1, y1 in pixel_corners(boxes, height, width).tolist():
        pixels = np.zeros((height, width), dtype=np.bool_)
        pixels[y0:y1, x0:x1] = True
        filled.append(pixels)
    return filled


def _describe(pixels: NDArray[np.bool_]) -> _Drawn:
    rows = np.flatnonzero(pixels.any(axis=1))
    columns = np.flatnonzero(pixels.any(axis=0))
    bbox = [0, 0, 0, 0]
    if len(rows):
        left, top = int(columns[0]), int(rows[0])
        bbox = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
    return bbox, encode_rle(pixels), int(pixels.sum())


def _parse(path: Path) -> _StoredFile:
    text = read_text(path, remedy=_REMEDY)
    try:
        return _StoredFile.model_validate_json(text)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise AnnotationError(problems, where=path, remedy=_REMEDY) from error


def _restore(image: _StoredImage, annotations: Sequence[_StoredAnnotation]) -> Sample:
    stored = image.ssl_bench
    boxes = None
    if stored.boxes is not None:
        corners = np.array(stored.boxes.corners, dtype=np.float64).reshape(-1, 4)
        width, height = stored.boxes.frame
        boxes = Boxes(corners, (width, height), stored.boxes.annotators)
    masks = [_decode(image, annotation.segmentation) for annotation in annotations]
    if stored.kind == "mask":
        if len(masks) != 1:
            raise DataError(f"a mask needs exactly 1 annotation, and there are {len(masks)}")
        annotation: Boxes | Mask = Mask(masks[0], boxes)
    else:
        if boxes is None:
            raise DataError("the published boxes are missing")
        _require_agreement(boxes, image, masks)
        annotation = boxes
    _require_bounding_boxes(masks, annotations)
    return Sample(
        id=stored.id,
        group=stored.group,
        category=stored.category,
        annotation=annotation,
        categories=tuple(stored.categories),
        attributes=stored.attributes,
    )


def _decode(image: _StoredImage, segmentation: Mapping[str, Any]) -> NDArray[np.bool_]:
    mask = decode_rle(segmentation)
    if mask.shape != (image.height, image.width):
        raise DataError(f"a segmentation of shape {mask.shape} is not as large as its image")
    return mask


def _require_agreement(
    boxes: Boxes, image: _StoredImage, masks: Sequence[NDArray[np.bool_]]
) -> None:
    """Raise DataError where the annotations are not the published boxes, in the same order."""
    if len(masks) != len(boxes):
        raise DataError(
            f"{len(boxes)} boxes were published, and there are {len(masks)} annotations"
        )
    for number, expected in enumerate(_fill(boxes, image.height, image.width)):
        if not np.array_equal(expected, masks[number]):
            raise DataError(f"the segmentation of box {number} is not the published box")


def _require_bounding_boxes(
    masks: Sequence[NDArray[np.bool_]], annotations: Sequence[_StoredAnnotation]
) -> None:
    for number, (mask, annotation) in enumerate(zip(masks, annotations, strict=True)):
        if _describe(mask)[0] != annotation.bbox:
            raise DataError(f"the bbox of annotation {number} does not enclose its segmentation")
