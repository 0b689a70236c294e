from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.figures.contact_sheet import contact_sheet
from ssl_bench.media.waveform import Waveform
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.base import Sample, TestSet

YELLOW = np.array([0xFF, 0xE1, 0x4D])
TEAL = np.array([40, 120, 140], np.uint8)


class Plain(TestSet):
    """Teal images of 60 x 80 with a given annotation each."""

    name = "plain"
    split = "all"
    truth_convention = "union"
    revision = None

    def __init__(self, annotations: Sequence[Annotation]) -> None:
        self._samples = [
            Sample(f"s{number}", f"g{number}", "a+b", annotation)
            for number, annotation in enumerate(annotations)
        ]

    @property
    def samples(self) -> Sequence[Sample]:
        return self._samples

    @property
    def digest(self) -> str:
        return "0"

    def image(self, sample_id: str) -> NDArray[np.uint8]:
        if sample_id == "s13":
            raise DataError("unreadable", where=sample_id)
        return np.full((60, 80, 3), TEAL)

    def waveform(self, sample_id: str) -> Waveform:
        return Waveform(np.zeros((1, 1), np.int16), 1)


def boxes(x0: float, y0: float, x1: float, y1: float) -> Boxes:
    return Boxes(np.array([[x0, y0, x1, y1]]))


def yellow_part(path: Path) -> tuple[float, float, float, float]:
    """Extent of the outline colour, as shares of the image's extent in the sheet."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    image = np.argwhere(np.abs(pixels - TEAL).max(axis=2) < 4)
    marked = np.argwhere(np.abs(pixels - YELLOW).max(axis=2) < 30)
    (top, left), (bottom, right) = image.min(axis=0), image.max(axis=0)
    (y0, x0), (y1, x1) = marked.min(axis=0), marked.max(axis=0)
    width, height = right - left, bottom - top
    return (
        (x0 - left) / width,
        (y0 - top) / height,
        (x1 - left) / width,
        (y1 - top) / height,
    )


def test_boxes_are_drawn_where_they_are(tmp_path: Path) -> None:
    contact_sheet(Plain([boxes(0.25, 0.1, 0.75, 0.6)]), tmp_path / "sheet.png", 1)
    np.testing.assert_allclose(
        yellow_part(tmp_path / "sheet.png"), (0.25, 0.1, 0.75, 0.6), atol=0.03
    )


def test_masks_are_outlined_where_they_are_whatever_their_resolution(tmp_path: Path) -> None:
    pixels = np.zeros((20, 20), bool)
    pixels[4:10, 8:18] = True
    contact_sheet(Plain([Mask(pixels)]), tmp_path / "sheet.png", 1)
    np.testing.assert_allclose(yellow_part(tmp_path / "sheet.png"), (0.4, 0.2, 0.9, 0.5), atol=0.04)


def test_absurd_corners_and_empty_masks_do_not_stop_it(tmp_path: Path) -> None:
    sheet = Plain(
        [boxes(-3e16, -3e16, 0.5, 0.5), boxes(np.nan, 0, 1, 1), Mask(np.zeros((4, 4), bool))]
    )
    assert contact_sheet(sheet, tmp_path / "sheet.png") == ("s0", "s1", "s2")


def test_a_seed_draws_samples_and_none_takes_the_first(tmp_path: Path) -> None:
    plain = Plain([boxes(0, 0, 1, 1)] * 12)
    first = contact_sheet(plain, tmp_path / "a.png", 3)
    drawn = [contact_sheet(plain, tmp_path / "b.png", 3, seed=seed) for seed in (1, 1, 2)]
    assert first == ("s0", "s1", "s2")
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 3


def test_nothing_is_left_behind_when_it_fails(tmp_path: Path) -> None:
    plain = Plain([boxes(0, 0, 1, 1)] * 14)
    with pytest.raises(DataError):
        contact_sheet(plain, tmp_path / "sheet.png", 14)
    with refused("E_TEST_SET_EMPTY"):
        contact_sheet(Plain([]), tmp_path / "sheet.png")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    with refused("E_PICTURE_WRITE", where="file/sheet.png"):
        contact_sheet(plain, tmp_path / "file" / "sheet.png", 1)
