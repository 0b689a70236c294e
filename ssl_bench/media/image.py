"""Reading images."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ssl_bench.errors import DataError, Problem, first_few
from ssl_bench.files import CappedReader
from ssl_bench.media.find import require_content
from ssl_bench.plots import SOURCE

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""File names that are looked for, in this order."""

MAX_PIXELS = 50_000_000
"""Pixels that are decoded at most: a small file can claim any size."""

MAX_SIDE = 16_384
"""Pixels of the longer side, at most: readers need memory for each row, however short."""

TINY = 32
"""Pixels of the shorter side below which an image is remarked on."""

JPEG_MARGIN = 48  # reached at quality 75
"""How far a level of a JPEG or lossy WebP may lie from black or white to stand for it in a mask."""

MaskRule = Literal["two-valued", "nonzero", "half", "alpha", "dither"]
"""What is inside a mask; see :func:`read_mask`."""

# A fixed list keeps Pillow from trying readers that run other programs, such as Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
# Formats that are named where they are found under another's name.
_NAMED = ("GIF", "TIFF", "AVIF", "JPEG2000", "PPM")
_ORIENTATION = 0x0112
# Steps between the darkest and the brightest pixel of a picture of one colour, at most.
_FLAT = 3
# Warnings of libjpeg that mean wrong pixels; others are about headers.
_JPEG_DAMAGE = ("Corrupt JPEG data", "Premature end", "Inconsistent progression")
# Bytes at the end of WebP data without which a whole picture cannot be decoded; encoders pad by
# fewer.
_WEBP_TAIL = 16
_WEBP_LOSSY = b"VP8 "

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's readers raise on damaged files."""

_T = TypeVar("_T")


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a JPEG, PNG, WebP or BMP file whole.

    Converted to RGB as Pillow does, except for 16-bit grey, of which the upper 8 bits are kept, as
    Pillow does with 16-bit colour. An orientation tag is ignored, as in the field's loaders, so
    that boxes keep their place.

    Returns
    -------
    ndarray
        ``(height, width, 3)`` uint8 RGB.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated, damaged, of another format, has more than
        `MAX_PIXELS` pixels or `MAX_SIDE` in a row or column, or a single one.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.new("L", (4, 2), 7).save(path)
    >>> read_image(path)[0, 0]
    array([7, 7, 7], dtype=uint8)
    """
    return examine_image(path)[0]


def examine_image(path: Path) -> tuple[NDArray[np.uint8], tuple[Problem, ...]]:
    """Read an image file as :func:`read_image` does, and remark on what is unusual about it.

    The codes of the remarks begin with ``N_IMAGE_``: one colour all over, a tiny picture, an
    orientation tag, several pictures of which the first is taken, 16-bit grey that is all dark, a
    JPEG file that could not be searched for damage.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "black.png"
    >>> Image.new("RGB", (64, 64)).save(path)
    >>> examine_image(path)[1]
    ('it shows one colour all over',)
    """

    def decode(image: Image.Image) -> tuple[NDArray[np.uint8], list[Problem]]:
        notes: list[Problem] = []
        pixels = None
        if image.format in ("JPEG", "MPO"):
            pixels = _decode_jpeg(path, image.mode, notes)
        elif image.format == "WEBP":
            _require_whole_webp(path)
        if pixels is None and image.mode.startswith("I"):
            grey = np.asarray(image)
            if 0 < grey.max() < 2**12:
                text = "its 16-bit grey values stay below 4,096, so that it is nearly black"
                notes.append(Problem(text, "N_IMAGE_DARK"))
            pixels = np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2)
        elif pixels is None:
            pixels = np.array(image.convert("RGB"), dtype=np.uint8)
        if "exif" in image.info and image.getexif().get(_ORIENTATION, 1) > 1:
            text = "it has an orientation tag, which is ignored: it is read as it is stored"
            notes.append(Problem(text, "N_IMAGE_TURNED"))
        if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
            notes.append(Problem("it holds several pictures; the first is read", "N_IMAGE_SERIES"))
        return pixels, notes

    pixels, notes = _open(path, decode)
    _refuse_one_pixel(pixels.shape[:2], path)
    if min(pixels.shape[:2]) < TINY:
        size = f"it has {pixels.shape[1]} x {pixels.shape[0]} pixels"
        notes.append(Problem(size, "N_IMAGE_TINY"))
    # Few rows tell that most pictures are not of one colour.
    if all(int(np.ptp(part)) <= _FLAT for rows in (pixels[::16], pixels) for part in rows.T):
        notes.append(Problem("it shows one colour all over", "N_IMAGE_FLAT"))
    return pixels, tuple(notes)


def _decode_jpeg(path: Path, mode: str, notes: list[Problem]) -> NDArray[np.uint8] | None:
    """Decode a JPEG file and heed what libjpeg warns of, which Pillow does not pass on.

    The pixels are the same. None where Pillow has to decode it; DataError if it is damaged.
    """
    colours = "CMYK" if mode == "CMYK" else "RGB"
    try:
        import simplejpeg

        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(path.read_bytes(), colours)
    except (ModuleNotFoundError, ValueError) as error:
        if str(error).startswith(_JPEG_DAMAGE):
            raise _damaged(path) from error
        text = f"damage inside it could not be looked for ({error})"
        notes.append(Problem(text, "N_IMAGE_UNCHECKED"))
        return None
    return None if mode == "CMYK" else pixels


def _require_whole_webp(path: Path) -> None:
    """Raise DataError where a WebP picture can be decoded without the end of its data.

    Its data have no checksum; but behind damage, a decoder needs more bytes than there are, which
    libwebp refuses itself, or fewer.
    """
    for name, data in _webp_chunks(path.read_bytes()):
        if name in (_WEBP_LOSSY, b"VP8L") and len(data) > 4 * _WEBP_TAIL:
            start = data[: -_WEBP_TAIL - len(data) % 2]
            chunk = name + struct.pack("<I", len(start)) + start
            short = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
            try:
                with Image.open(io.BytesIO(short), formats=["WEBP"]) as image:
                    image.load()
            except DAMAGE:
                return
            raise _damaged(path)


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each chunk of a WebP file; of an animation, not those of its pictures."""
    place = 12
    while place + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, place)
        yield name, content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def source_of(png: bytes) -> str | None:
    """The digest that a picture keeps of what it shows; None where it has none, or is damaged."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            found = picture.info.get(SOURCE)
    except DAMAGE:
        return None
    return found if isinstance(found, str) else None


def read_mask(path: Path, rule: MaskRule = "two-valued") -> NDArray[np.bool_]:
    """Read a mask at its own size, ``(height, width)`` bool: True is inside.

    What the levels of a picture mean is for its owner to say, so that only a mask without doubt is
    read by itself:

    ``two-valued``
        One grey picture, opaque, of black and at most one other level, whatever its depth: black is
        outside. In a JPEG or lossy WebP, whose levels are inexact, within `JPEG_MARGIN` of black
        or of white.
    ``nonzero``
        Every pixel that is not black is inside, whatever its colour; no JPEG or lossy WebP,
        where black is inexact.
    ``half``
        Every pixel with a channel of at least half of full scale is inside.
    ``alpha``
        The alpha channel is the mask, two-valued.
    ``dither``
        As Pillow's mode "1", which dithers grey and colours: the loaders of AVSBench for S4 and of
        ACL.

    Raises
    ------
    DataError
        As :func:`read_image`; or if the rule cannot read this picture, or would leave nothing of
        it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
    >>> read_mask(path)
    array([[False,  True]])
    >>> Image.fromarray(np.array([[0, 9, 255]], np.uint8)).save(path)
    >>> read_mask(path, "nonzero")
    array([[False,  True,  True]])
    """

    def refused(problem: str, code: str) -> DataError:
        remedy = (
            "store what is inside as white and what is outside as black, or name the rule that "
            f"reads it: {', '.join(get_args(MaskRule)[1:])}"
        )
        return DataError(f"this mask {problem}", code=code, where=path, remedy=remedy)

    def decode(image: Image.Image) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] | None
        if image.format == "JPEG":
            _decode_jpeg(path, image.mode, [])  # refuses what is damaged inside
        lossy = image.format in ("JPEG", "MPO") or (
            image.format == "WEBP"
            and any(name == _WEBP_LOSSY for name, _ in _webp_chunks(path.read_bytes()))
        )
        levels, alpha, coloured = _levels_of(image)
        if rule == "dither":
            inside = np.array(image.convert("1"), np.bool_)
        elif rule == "alpha":
            if alpha is None:
                raise refused("has no alpha channel, or an opaque one", "E_MASK_ALPHA")
            levels, inside = alpha, _two_valued(alpha, lossy=False)
        elif alpha is not None:
            raise refused("is transparent in places, as if alpha were the mask", "E_MASK_ALPHA")
        elif rule == "nonzero":
            if lossy:
                raise refused(
                    "is compressed with loss, so that its black is inexact", "E_MASK_LEVELS"
                )
            inside = levels > 0
        elif rule == "half":
            full = np.iinfo(np.uint8 if image.mode[0] != "I" else np.uint16).max
            inside = levels > full / 2
        elif coloured:
            raise refused("has colours", "E_MASK_COLOUR")
        else:
            inside = _two_valued(levels, lossy=lossy)
        if inside is None:
            shown = first_few([str(level) for level in np.unique(levels)])
            raise refused(f"has other levels than black and one other: {shown}", "E_MASK_LEVELS")
        if levels.any() and not inside.any():
            raise refused(
                f"is not black, and the rule {rule!r} leaves nothing of it", "E_MASK_LEVELS"
            )
        return inside

    return _open(path, decode)


def _levels_of(
    image: Image.Image,
) -> tuple[NDArray[np.integer], NDArray[np.uint8] | None, bool]:
    """The brightest channel of each pixel, alpha where it is not opaque, and if there are colours.

    Grey levels are those of the file, 16-bit ones too.
    """
    if image.mode in ("L", "I", "I;16") and "transparency" not in image.info:
        return np.asarray(image), None, False
    pixels = np.asarray(image.convert("RGBA"))
    levels, alpha = pixels[..., :3].max(axis=2), pixels[..., 3]
    coloured = bool((pixels[..., :3].min(axis=2) != levels).any())
    return levels, None if alpha.min(initial=255) == 255 else alpha, coloured


def _two_valued(levels: NDArray[np.integer], *, lossy: bool) -> NDArray[np.bool_] | None:
    """What is inside, where all levels are black or one other; None where they are not."""
    if lossy:
        away = np.minimum(levels, 255 - levels)
        return levels > 127 if away.max(initial=0) <= JPEG_MARGIN else None
    others = np.flatnonzero(np.bincount(levels.ravel())[1:])
    return levels > 0 if len(others) <= 1 else None


def probe_image(path: Path) -> tuple[int, int]:
    """Width and height of an image file that is whole, at a fraction of the cost of reading it.

    Raises
    ------
    DataError
        As :func:`read_image`.
    """

    def decode(image: Image.Image) -> tuple[int, int]:
        size = image.size
        image.draft("RGB", (1, 1))  # JPEG: reads all of the file, computes an eighth of the pixels
        image.load()
        return size

    size = _open(path, decode)
    _refuse_one_pixel(size, path)
    return size


def image_size(path: Path) -> tuple[int, int]:
    """Width and height that the header of an image file states; raises as :func:`read_image`."""
    return _open(path, lambda image: image.size)


def _refuse_one_pixel(size: tuple[int, ...], path: Path) -> None:
    """Raise DataError where an image shows nothing: such files take the place of missing frames."""
    if max(size) == 1:
        remedy = "extract or download the frame again"
        message = "this image has one pixel only"
        raise DataError(message, code="E_IMAGE_EMPTY", where=path, remedy=remedy)


def _open(path: Path, use: Callable[[Image.Image], _T]) -> _T:
    require_content(path)
    try:
        with CappedReader(path) as stream, Image.open(stream, formats=_FORMATS) as image:
            if image.width * image.height <= MAX_PIXELS and max(image.size) <= MAX_SIDE:
                return use(image)
    except Image.DecompressionBombError:
        pass  # larger than Pillow's own limit, and so than this one
    except UnidentifiedImageError as error:
        raise _damaged(path, _format_of(path)) from error
    except (*DAMAGE, MemoryError) as error:
        raise _damaged(path) from error
    raise DataError(
        f"this image claims more than {MAX_PIXELS:,} pixels, or {MAX_SIDE:,} in a row or column",
        code="E_IMAGE_TOO_LARGE",
        where=path,
        remedy="extract the frame again at the size of the video",
    )


def _damaged(path: Path, found: str | None = None) -> DataError:
    known = "is damaged or in no known format"
    return DataError(
        f"this image {known if found is None else f'is in the format {found}, which is not read'}",
        code="E_IMAGE_DAMAGED" if found is None else "E_IMAGE_FORMAT",
        where=path,
        remedy="extract the frame again as JPEG or PNG",
    )


def _format_of(path: Path) -> str | None:
    """Name of another format, by its header; None for none that is known."""
    try:
        with Image.open(path, formats=_NAMED) as image:
            return image.format
    except (*DAMAGE, MemoryError):
        return None
