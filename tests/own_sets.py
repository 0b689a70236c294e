"""Test sets of one's own, written for tests: a description, an annotation, images and sounds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from ssl_bench.errors import AnnotationError, Problem
from ssl_bench.testsets import definition, open_test_set
from ssl_bench.testsets.folder import FolderTestSet

TABLE = """
annotation.form = "table"
annotation.file = "boxes.csv"
annotation.columns.image = "image"
annotation.columns.sound = "sound"
annotation.columns.category = "category"
annotation.columns.box = ["x0", "y0", "x1", "y1"]
"""
HEADER = "image,sound,category,x0,y0,x1,y1"
COCO = """
annotation.form = "coco"
annotation.file = "instances.json"
"""


def describe(root: Path, description: str, files: Mapping[str, str | bytes]) -> Path:
    """Write the test set ``mine`` into a data folder; its own folder."""
    folder = root / "mine"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "testset.toml").write_text(f'title = "Mine"\n{description}', encoding="utf-8")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    return folder


def table(root: Path, rows: Iterable[str], more: str = "", header: str = HEADER) -> Path:
    """An own test set with a table of boxes."""
    return describe(root, TABLE + more, {"boxes.csv": "\n".join([header, *rows, ""])})


def coco(root: Path, content: Mapping[str, Any], more: str = "") -> Path:
    """An own test set with COCO instances."""
    return describe(root, COCO + more, {"instances.json": json.dumps(content)})


def instances(
    *objects: Mapping[str, Any], images: int = 1, size: tuple[int, int] = (40, 30)
) -> dict[str, Any]:
    """COCO's JSON: images ``1.png``, ``2.png``..., and objects of the categories dog, cat, tree."""
    width, height = size
    return {
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": width, "height": height}
            for n in range(1, images + 1)
        ],
        "annotations": [
            {"id": 100 + n, "image_id": 1, "category_id": 1, **one} for n, one in enumerate(objects)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(("dog", "cat", "tree"), 1)],
    }


def add_images(folder: Path, names: Iterable[str], size: tuple[int, int] = (40, 30)) -> None:
    """Pictures of noise of that width and height."""
    for number, name in enumerate(names):
        path = folder / "frames" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def add_sounds(folder: Path, names: Iterable[str]) -> None:
    """Short sounds of noise."""
    for number, name in enumerate(names):
        path = folder / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(-9999, 9999, 800).astype(np.int16)
        soundfile.write(path, noise, 16000)


def opened(folder: Path, split: str | None = None) -> FolderTestSet:
    """The test set in that folder."""
    found = open_test_set(folder.name, split, data=folder.parent)
    assert isinstance(found, FolderTestSet)
    return found


def scenes(count: int = 12) -> tuple[dict[str, Any], list[str], list[str]]:
    """COCO's JSON of pictures of two sounding things each, with names of images and sounds."""
    names = ("dog", "cat", "owl", "bus", "bell", "drum")
    content = instances(images=count)
    content["categories"] = [{"id": n, "name": name} for n, name in enumerate(names)]
    sounds = []
    for number in range(count):
        for side in (0, 1):
            category = (number + 3 * side) % len(names)
            sounds.append(f"{names[category]}{number}")
            content["annotations"].append(
                {
                    "id": len(sounds),
                    "image_id": number + 1,
                    "category_id": category,
                    "bbox": [20 * side + 2, 5, 12, 20],
                    "sound": f"{sounds[-1]}.wav",
                }
            )
    return content, [str(n + 1) for n in range(count)], sounds


def problems_of(folder: Path) -> tuple[str, ...]:
    """Every problem for which an own test set is refused; ``data verify`` lists the same."""
    with pytest.raises(AnnotationError) as caught:
        opened(folder)
    found = definition(folder.name, folder.parent).verify(folder)
    assert [each.message for each in found] == list(caught.value.problems)
    assert all(isinstance(each, Problem) for each in caught.value.problems)
    return caught.value.problems
