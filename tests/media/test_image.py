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
from ssl_bench.media.image import MAX_PIXELS, MAX_SIDE, examine_image, probe_image, read_image


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


class TestDamageInside:
    """Bytes that change within a file that keeps its beginning and its end."""

    @staticmethod
    def damaged(content: bytes) -> dict[str, bytes]:
        middle = len(content) // 2
        return {
            "zeros": content[:middle] + bytes(500) + content[middle + 500 :],
            "ones": content[:middle] + b"\xff" * 500 + content[middle + 500 :],
            "lost": content[:middle] + content[middle + 500 :],
            "half": content[:middle] + bytes(len(content) - middle),
            "cut, with an end": content[:middle] + content[-2:],
            "line ends": content.replace(b"\n", b"\r\n"),
        }

    @staticmethod
    def photograph() -> Image.Image:
        small = Image.fromarray(picture(12, 16)).resize((320, 240), Image.Resampling.BICUBIC)
        noise = np.random.default_rng(1).normal(0, 6, (240, 320, 3))
        return Image.fromarray(np.clip(np.asarray(small) + noise, 0, 255).astype(np.uint8))

    @pytest.mark.parametrize(
        ("mode", "settings"),
        [
            *(("RGB", {}), ("L", {}), ("CMYK", {}), ("RGB", {"progressive": True})),
            *(("RGB", {"optimize": True}), ("RGB", {"quality": 95, "subsampling": 0})),
        ],
    )
    def test_a_jpeg_is_refused(
        self, tmp_path: Path, mode: str, settings: dict[str, object]
    ) -> None:
        pytest.importorskip("simplejpeg")
        path = tmp_path / "clip.jpg"
        self.photograph().convert(mode).save(path, **settings)
        content = path.read_bytes()
        with Image.open(path) as image:
            np.testing.assert_array_equal(read_image(path), np.asarray(image.convert("RGB")))
        for kind, changed in self.damaged(content).items():
            path.write_bytes(changed)
            with refused("E_IMAGE_DAMAGED", where="clip.jpg"):
                pytest.fail(f"{kind}: {read_image(path).shape}")
        path.write_bytes(content + b"bytes behind the end")
        assert examine_image(path)[1] == ()

    @pytest.mark.parametrize("settings", [{}, {"quality": 95}, {"lossless": True}, {"exact": True}])
    def test_a_webp_is_refused(self, tmp_path: Path, settings: dict[str, object]) -> None:
        path = tmp_path / "clip.webp"
        self.photograph().save(path, **settings)
        content = path.read_bytes()
        assert examine_image(path)[1] == ()
        for kind, changed in self.damaged(content).items():
            path.write_bytes(changed)
            with refused(where="clip.webp", kind=DataError):
                pytest.fail(f"{kind}: {read_image(path).shape}")


def test_16_bit_grey_keeps_its_upper_8_bits(tmp_path: Path) -> None:
    grey = picture()[..., 0]
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    np.testing.assert_array_equal(read_image(tmp_path / "16.png"), read_image(tmp_path / "8.png"))
    assert examine_image(tmp_path / "16.png")[1] == ()
    Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "12.png")
    pixels, notes = examine_image(tmp_path / "12.png")
    np.testing.assert_array_equal(pixels[..., 0], grey >> 4)
    assert [note.code for note in notes] == ["N_IMAGE_DARK"]


def test_what_is_odd_about_a_picture_is_remarked_on(tmp_path: Path) -> None:
    def codes(image: Image.Image, name: str = "a.png", **settings: object) -> list[str]:
        image.save(tmp_path / name, **settings)
        return [note.code for note in examine_image(tmp_path / name)[1]]

    whole = Image.fromarray(picture())
    tags = Image.Exif()
    tags[0x0112] = 6
    assert codes(whole) == []
    assert codes(whole, "a.jpg", exif=tags)[-1] == "N_IMAGE_TURNED"
    assert codes(Image.new("RGB", (64, 48), (9, 200, 7))) == ["N_IMAGE_FLAT"]
    assert codes(Image.new("RGB", (64, 48)), "a.jpg")[-1] == "N_IMAGE_FLAT"
    assert codes(whole.crop((0, 0, 2, 2))) == ["N_IMAGE_TINY"]
    assert codes(whole, save_all=True, append_images=[whole.rotate(180)]) == ["N_IMAGE_SERIES"]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "AVIF", "JPEG2000"])
def test_another_format_under_a_known_name_is_named(tmp_path: Path, kind: str) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.jpg", kind)
    with refused("E_IMAGE_FORMAT", where=f"in the format {kind}"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("size", [(1, MAX_SIDE + 1), (50_000_000, 1)])
def test_a_row_or_column_of_a_huge_length_is_not_decoded(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    (tmp_path / "a.png").write_bytes(png_that_claims(*size))
    with refused("E_IMAGE_TOO_LARGE"):
        read_image(tmp_path / "a.png")
