"""Reading images: what is kept, what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.image import MAX_PIXELS, probe_image, read_image


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def png_that_claims(width: int, height: int) -> bytes:
    """A valid PNG of a few bytes whose header announces any size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


def test_a_png_is_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(picture()).save(path)
    read = read_image(path)
    np.testing.assert_array_equal(read, picture())
    assert read.dtype == np.uint8
    assert probe_image(path) == (64, 48)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(picture()).convert(mode).save(path)
    assert read_image(path).shape == (48, 64, 3)


def test_an_orientation_tag_does_not_turn_the_image(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.fromarray(picture()).save(tmp_path / "a.jpg", exif=tags)
    assert read_image(tmp_path / "a.jpg").shape == (48, 64, 3)


@pytest.mark.parametrize("reader", [read_image, probe_image])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_image_is_refused_by_name(
    tmp_path: Path, reader: Callable[[Path], object], suffix: str, kept: float
) -> None:
    path = tmp_path / f"clip{suffix}"
    Image.fromarray(picture()).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with refused(kind=DataError, where=f"clip{suffix}"):
        reader(path)


@pytest.mark.parametrize("reader", [read_image, probe_image])
@pytest.mark.parametrize(
    "content", [b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", bytes(4096)]
)
def test_other_content_is_refused(
    tmp_path: Path, reader: Callable[[Path], object], content: bytes
) -> None:
    path = tmp_path / "clip.jpg"
    path.write_bytes(content)
    with refused("E_IMAGE_DAMAGED"):
        reader(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("reader", [read_image, probe_image])
@pytest.mark.parametrize("side", [7_100, 10_000, 60_000])
def test_an_image_that_claims_a_huge_size_is_not_decoded(
    tmp_path: Path, reader: Callable[[Path], object], side: int
) -> None:
    assert side * side > MAX_PIXELS
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_claims(side, side))
    with refused("E_IMAGE_TOO_LARGE", where="bomb.png"):
        reader(path)


@pytest.mark.parametrize("reader", [read_image, probe_image])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_one_pixel_is_no_frame(
    tmp_path: Path, reader: Callable[[Path], object], suffix: str
) -> None:
    Image.fromarray(picture(1, 1)).save(tmp_path / f"stand-in{suffix}")
    with refused("E_IMAGE_EMPTY", where=f"stand-in{suffix}"):
        reader(tmp_path / f"stand-in{suffix}")
    Image.fromarray(picture(1, 2)).save(tmp_path / f"narrow{suffix}")
    reader(tmp_path / f"narrow{suffix}")


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with refused("E_FILE_MISSING", where="gone.jpg"):
        read_image(tmp_path / "gone.jpg")


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for name in ("PNG", "JPEG", "WEBP", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(picture()).save(buffer, name)
        whole = np.frombuffer(buffer.getvalue(), np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            places = rng.integers(0, min(len(whole), 400), 3)
            damaged[places] = rng.integers(0, 256, 3)
            path = tmp_path / "damaged"
            path.write_bytes(damaged.tobytes())
            with suppress(DataError):
                assert read_image(path).ndim == 3
