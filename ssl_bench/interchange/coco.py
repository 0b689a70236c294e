"""A test set's truth as COCO JSON, for any tool that reads COCO instance annotations.

There is one image for each sample, and one annotation for each box or mask with ``bbox``, ``area``
and a run-length ``segmentation``. COCO has neither text ids nor fractional corners, so each image
also carries the field ``ssl_bench`` with what the test set published: id, group, corners, frame.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.files import write_text
from ssl_bench.testsets.annotations import Mask, boxes_of
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.testsets.described.coco import EXPORT
from ssl_bench.testsets.folder import FolderTestSet
from ssl_bench.testsets.truth import Rle, encode_rle, pixel_corners

GRID = 224
"""Side in pixels of the images that stand for samples with boxes: the grid of the field's scores.

Boxes are published relative to a frame whose size in pixels the annotation does not give.
"""


def export_coco(test_set: TestSet, path: Path) -> None:
    """Write the truth of a test set as COCO JSON.

    The same test set gives the same bytes. Samples with boxes are drawn on a grid of `GRID`
    pixels, each box as one annotation (so that conventions that count boxes can be applied);
    samples with a mask have one annotation at the mask's own size.

    The file appears whole or not at all; images and sounds are not read.

    Raises
    ------
    DataError
        If a coordinate is not finite (JSON has no spelling for it), or the file cannot be written.
    """
    content = _content(test_set)
    try:
        text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except ValueError as error:
        raise DataError(
            "a value of this test set is not finite", code="E_NOT_FINITE", where=test_set.name
        ) from error
    try:
        write_text(path, text + "\n")
    except OSError as error:
        raise DataError(
            f"the truth cannot be written ({error.strerror})",
            code="E_FILE_UNWRITABLE",
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
                "file_name": _file_name(test_set, sample.id),
                "width": width,
                "height": height,
                "ssl_bench": {**_stored(sample), **_names(test_set, sample.id)},
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
                "format": EXPORT,
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


def _file_name(test_set: TestSet, sample_id: str) -> str:
    """Name of a sample's image with the ending that it really has; .jpg where there is none."""
    try:
        path = test_set.image_file(sample_id)
    except DataError:
        path = None
    return f"{test_set.image_name(sample_id)}{'.jpg' if path is None else path.suffix}"


def _names(test_set: TestSet, sample_id: str) -> dict[str, str]:
    """Names of a sample's image and sound in a folder, without endings."""
    if not isinstance(test_set, FolderTestSet):
        return {}
    return {"image": test_set.image_name(sample_id), "sound": test_set.sound_name(sample_id)}


def _stored(sample: Sample) -> dict[str, Any]:
    annotation = sample.annotation
    boxes = boxes_of(annotation)
    return {
        "id": sample.id,
        "group": sample.group,
        "category": sample.category,
        "categories": list(sample.categories),
        "attributes": dict(sample.attributes),
        "sound_of": sample.sound_of,
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
        height, width = annotation.shape
        return [_describe(annotation.pixels)], height, width
    drawn = []
    for x0, y0, x1, y1 in pixel_corners(annotation, GRID, GRID).tolist():
        pixels = np.zeros((GRID, GRID), dtype=np.bool_)
        pixels[y0:y1, x0:x1] = True
        drawn.append(_describe(pixels))
    return drawn, GRID, GRID


def _describe(pixels: NDArray[np.bool_]) -> _Drawn:
    rows = np.flatnonzero(pixels.any(axis=1))
    columns = np.flatnonzero(pixels.any(axis=0))
    bbox = [0, 0, 0, 0]
    if len(rows):
        left, top = int(columns[0]), int(rows[0])
        bbox = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
    return bbox, encode_rle(pixels), int(pixels.sum())
