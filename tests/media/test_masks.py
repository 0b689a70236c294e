"""Masks: what is inside one square, however it is stored; and what no rule may guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from refusals import refused

from ssl_bench.media.image import MaskRule, read_mask

SQUARE = np.zeros((16, 24), np.bool_)
SQUARE[4:12, 6:18] = True


def two(inside: Any, outside: Any = 0, dtype: type = np.uint8) -> NDArray[Any]:
    """The square in two values, each a level or a colour."""
    values = np.stack([np.broadcast_to(outside, np.shape(inside)), inside]).astype(dtype)
    return values[SQUARE.astype(int)]


def with_alpha(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    return np.dstack([colour, alpha])


def palette(colours: list[int], index: int) -> Image.Image:
    image = Image.fromarray(two(index)).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(colours)
    return image


def soft() -> NDArray[np.uint8]:
    return np.outer(np.linspace(0, 255, 16), np.linspace(0, 1, 24)).astype(np.uint8)


def stored(folder: Path, content: NDArray[Any] | Image.Image, **options: Any) -> Path:
    image = content if isinstance(content, Image.Image) else Image.fromarray(content)
    image.save(folder / "mask.png", **options)
    return folder / "mask.png"


LABEL = [0, 0, 0] * 38 + [128, 64, 64]
GREY_RAMP = [level for level in range(256) for _ in range(3)]
WHITE, GREEN = two((255, 255, 255)), two((0, 255, 0))
OPAQUE = np.full(SQUARE.shape, 255, np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        two(255),
        two(200),
        two(128),
        two(38),
        two(1),
        two(65535, dtype=np.uint16),
        two(1, dtype=np.uint16),
        two(256, dtype=np.uint16),
        Image.fromarray(SQUARE),
        WHITE,
        two((7, 7, 7)),
        palette([0, 0, 0, 255, 255, 255], 1),
        palette(GREY_RAMP, 38),
        with_alpha(WHITE, OPAQUE),
        np.dstack([two(255), OPAQUE]),
    ],
)
def test_black_and_one_other_level_are_a_mask_whatever_the_level(
    tmp_path: Path, content: NDArray[Any] | Image.Image
) -> None:
    np.testing.assert_array_equal(read_mask(stored(tmp_path, content)), SQUARE)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_level_is_all_outside_or_all_inside(tmp_path: Path, value: int) -> None:
    mask = read_mask(stored(tmp_path, np.full((4, 6), value, np.uint8)))
    assert mask.shape == (4, 6)
    assert mask.mean() == (value > 0)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (soft(), "E_MASK_LEVELS"),
        (two(255, 1), "E_MASK_LEVELS"),
        (np.array([[0, 1, 2]], np.uint8), "E_MASK_LEVELS"),
        (np.array([[0, 300, 65535]], np.uint16), "E_MASK_LEVELS"),
        (GREEN, "E_MASK_COLOUR"),
        (two((255, 0, 0)), "E_MASK_COLOUR"),
        (two((128, 64, 64)), "E_MASK_COLOUR"),
        (palette(LABEL, 38), "E_MASK_COLOUR"),
        (with_alpha(np.full_like(WHITE, 255), two(255)), "E_MASK_ALPHA"),
        (with_alpha(np.zeros_like(WHITE), two(255)), "E_MASK_ALPHA"),
        (np.dstack([OPAQUE, two(255)]), "E_MASK_ALPHA"),
    ],
)
def test_what_needs_a_rule_is_refused_without_one(
    tmp_path: Path, content: NDArray[Any] | Image.Image, code: str
) -> None:
    with refused(code, where="mask.png"):
        read_mask(stored(tmp_path, content))


@pytest.mark.parametrize(
    ("rule", "content"),
    [
        ("nonzero", GREEN),
        ("nonzero", palette(LABEL, 38)),
        ("nonzero", two(1)),
        ("half", two((0, 128, 0), (127, 127, 127))),
        ("half", two(200, 90)),
        ("half", two(32768, 32767, np.uint16)),
        ("alpha", with_alpha(np.full_like(WHITE, 255), two(255))),
        ("alpha", with_alpha(np.zeros_like(WHITE), two(9))),
        ("dither", two(255)),
    ],
)
def test_a_named_rule_reads_them(
    tmp_path: Path, rule: MaskRule, content: NDArray[Any] | Image.Image
) -> None:
    np.testing.assert_array_equal(read_mask(stored(tmp_path, content), rule), SQUARE)


def test_dithering_is_that_of_pillow(tmp_path: Path) -> None:
    expected = np.asarray(Image.fromarray(soft()).convert("1"))
    np.testing.assert_array_equal(read_mask(stored(tmp_path, soft()), "dither"), expected)


@pytest.mark.parametrize(
    ("rule", "content", "code"),
    [
        ("alpha", two(255), "E_MASK_ALPHA"),
        ("alpha", with_alpha(WHITE, soft()), "E_MASK_LEVELS"),
        ("nonzero", with_alpha(np.full_like(WHITE, 255), two(255)), "E_MASK_ALPHA"),
        ("half", two(38), "E_MASK_LEVELS"),
        ("dither", two(1), "E_MASK_LEVELS"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(
    tmp_path: Path, rule: MaskRule, content: NDArray[Any], code: str
) -> None:
    with refused(code, where="mask.png"):
        read_mask(stored(tmp_path, content), rule)


def test_a_webp_with_loss_is_not_read_by_what_is_not_quite_black(tmp_path: Path) -> None:
    big = np.kron(two(255), np.ones((16, 16), np.uint8))
    path = stored(tmp_path, big, format="WEBP", lossless=True)
    np.testing.assert_array_equal(read_mask(path, "nonzero"), big > 0)
    path = stored(tmp_path, big, format="WEBP", quality=80)
    with refused("E_MASK_LEVELS", where="mask.png"):
        read_mask(path, "nonzero")
    np.testing.assert_array_equal(read_mask(path, "half"), big > 0)


def test_a_jpeg_may_be_nearly_black_and_white_and_no_more(tmp_path: Path) -> None:
    big = np.kron(two(255), np.ones((16, 16), np.uint8))
    path = stored(tmp_path, big, format="JPEG", quality=90)
    np.testing.assert_array_equal(read_mask(path), big > 0)
    with refused("E_MASK_LEVELS", where="mask.png"):
        read_mask(path, "nonzero")
    np.testing.assert_array_equal(read_mask(path, "half"), big > 0)
    for level in (38, 128):
        with refused("E_MASK_LEVELS", where="mask.png"):
            read_mask(stored(tmp_path, (big > 0) * np.uint8(level), format="JPEG", quality=90))
