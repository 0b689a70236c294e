"""Random views of training images and sounds.

What is drawn for an example depends on the seed, the pass, the view and the example's own row only:
not on the batch that it is in, nor on what else was drawn before.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, NamedTuple, Self, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator

from ssl_bench.schemas import Document

Fraction = Annotated[float, Field(ge=0, le=1)]
HalfFraction = Annotated[float, Field(ge=0, le=0.5)]

# Keys of the streams of random numbers; 2 is that of the sound bank.
_CROPS = 1
_COLOURS = 3
_SOUNDS = 4
_KEPT_DRAWS = 8
# How many times larger than the network's input a crop is before it is smoothed. The embedded
# world's pictures are no larger than 1.15 times.
_SMOOTHED_FROM = 1.5

_Drawn = TypeVar("_Drawn", bound="Crops | Colours | SoundChanges")


class Augmentation(Document):
    """How training images and sounds are varied; each part of it is off where it is 0.

    Examples
    --------
    >>> Augmentation(crop_area=(0.8, 0.4))
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Augmentation...
    """

    # Smallest and largest area of a crop, as a share of the picture; crops are resized to the
    # network's input.
    crop_area: tuple[Fraction, Fraction] = (0.4, 1.0)
    # Largest ratio of width to height of a crop, and of height to width, both as shares of the
    # picture's own.
    crop_aspect: Annotated[float, Field(ge=1)] = 4 / 3
    # Whether area and aspect are those of a square on the picture's short edge, as where that edge
    # is resized to a fixed length before a square is cut: the crop lies anywhere in the picture.
    crop_square: bool = False
    flip: Fraction = 0.5  # Probability that a crop is mirrored
    # Largest relative change of brightness, contrast and saturation, each drawn independently.
    colour: Fraction = 0.0
    greyscale: Fraction = 0.0  # Probability that a crop loses its colours
    # Largest shift of a sound, in either direction, as a share of the clip's length; what leaves
    # at one end comes in at the other.
    time_shift: HalfFraction = 0.0
    # time_mask, frequency_mask: Largest part of a spectrogram, along each axis, that is replaced
    # by its mean.
    time_mask: Fraction = 0.0
    frequency_mask: Fraction = 0.0

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not 0 < self.crop_area[0] <= self.crop_area[1]:
            raise ValueError("crop_area must rise and start above 0")
        return self


class Crops(NamedTuple):
    """One crop for each of N pictures, ``(N,)``, all in [0, 1], and if mirrored.

    Height and width are shares of the picture's sides; top and left are the crop's place in the
    room that it leaves, 0 at the top or left edge and 1 at the other.
    """

    top: NDArray[np.float64]
    left: NDArray[np.float64]
    height: NDArray[np.float64]
    width: NDArray[np.float64]
    mirrored: NDArray[np.bool_]


class Colours(NamedTuple):
    """One change of colours for each of N pictures, ``(N,)``: factors around 1, and if grey."""

    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    saturation: NDArray[np.float64]
    grey: NDArray[np.bool_]


class SoundChanges(NamedTuple):
    """One change for each of N sounds, ``(N,)`` float64.

    That is a shift in time, as a share of the clip in [-0.5, 0.5], and the masked parts, as shares
    of the spectrogram.
    """

    shift: NDArray[np.float64]
    time_start: NDArray[np.float64]
    time_width: NDArray[np.float64]
    frequency_start: NDArray[np.float64]
    frequency_width: NDArray[np.float64]


@lru_cache(maxsize=_KEPT_DRAWS)
def crops_of(augmentation: Augmentation, count: int, seed: int, epoch: int, view: int = 0) -> Crops:
    """Crops of all `count` pictures for one view in one pass; the arrays are read-only.

    Areas are uniform, aspects log-uniform, places uniform, and crops wholly inside the picture.

    Examples
    --------
    >>> whole = Augmentation(crop_area=(1, 1), crop_aspect=1, flip=0)
    >>> crops = crops_of(whole, 3, seed=0, epoch=0)
    >>> crops.height.tolist()
    [1.0, 1.0, 1.0]
    """
    generator = _generator(seed, _CROPS, epoch, view)
    side = np.sqrt(generator.uniform(*augmentation.crop_area, count))
    aspect = np.log(augmentation.crop_aspect)
    stretch = np.exp(0.5 * generator.uniform(-aspect, aspect, count))
    height = np.minimum(side / stretch, 1.0)
    width = np.minimum(side * stretch, 1.0)
    return _read_only(
        Crops(
            top=generator.uniform(0, 1, count),
            left=generator.uniform(0, 1, count),
            height=height,
            width=width,
            mirrored=generator.uniform(0, 1, count) < augmentation.flip,
        )
    )


@lru_cache(maxsize=_KEPT_DRAWS)
def colours_of(
    augmentation: Augmentation, count: int, seed: int, epoch: int, view: int = 0
) -> Colours:
    """Changes of the colours of all pictures for one view in one pass; read-only arrays."""
    generator = _generator(seed, _COLOURS, epoch, view)
    factors = generator.uniform(1 - augmentation.colour, 1 + augmentation.colour, (3, count))
    grey = generator.uniform(0, 1, count) < augmentation.greyscale
    return _read_only(Colours(factors[0], factors[1], factors[2], grey))


@lru_cache(maxsize=_KEPT_DRAWS)
def sound_changes_of(
    augmentation: Augmentation, count: int, seed: int, epoch: int, view: int = 0
) -> SoundChanges:
    """Changes of all sounds for one view in one pass; the arrays are read-only."""
    generator = _generator(seed, _SOUNDS, epoch, view)
    shift, time, time_start, frequency, frequency_start = generator.uniform(0, 1, (5, count))
    time_width = augmentation.time_mask * time
    frequency_width = augmentation.frequency_mask * frequency
    return _read_only(
        SoundChanges(
            shift=augmentation.time_shift * (2 * shift - 1),
            time_start=time_start * (1 - time_width),
            time_width=time_width,
            frequency_start=frequency_start * (1 - frequency_width),
            frequency_width=frequency_width,
        )
    )


def apply_crop(
    image: NDArray[Any],
    crops: Crops,
    row: int,
    size: int,
    *,
    square_of: tuple[int, ...] | None = None,
) -> NDArray[Any]:
    """Cut, resize and mirror one picture: the one of this row in `crops`.

    ``(height, width)`` float32 or ``(height, width, 3)`` uint8 becomes ``(size, size)`` or
    ``(size, size, 3)``. Where the crop's height and width are shares of the picture's short edge,
    `square_of` are height and width of that picture, which a map of it may not share.
    A crop that is much larger than `size` is smoothed (Pillow, bicubic, and bilinear for a map), as
    whole pictures are; a smaller one is resized bilinearly, which leaves no pixel out.
    """
    full = np.array(image.shape[:2])
    shares = np.array([crops.height[row], crops.width[row]])
    if square_of is not None:
        shares = shares * (min(square_of[:2]) / np.array(square_of[:2]))
    place = np.array([crops.top[row], crops.left[row]]) * (1 - shares)
    top, left = (
        min(round(a * b), b - 1) for a, b in zip(place.tolist(), full.tolist(), strict=True)
    )
    height, width = (
        max(1, round(a * b)) for a, b in zip(shares.tolist(), full.tolist(), strict=True)
    )
    cut = image[top : top + height, left : left + width]
    if max(cut.shape[:2]) > _SMOOTHED_FROM * size:
        kind = Image.Resampling.BICUBIC if image.dtype == np.uint8 else Image.Resampling.BILINEAR
        resized = np.asarray(Image.fromarray(cut).resize((size, size), kind))
    else:
        resized = cv2.resize(cut, (size, size))
    return resized[:, ::-1] if crops.mirrored[row] else resized


def apply_colours(image: NDArray[np.uint8], colours: Colours, row: int) -> NDArray[np.uint8]:
    """Change brightness, then contrast, then saturation of one picture ``(height, width, 3)``.

    Examples
    --------
    >>> twice = Colours(*(np.array([f]) for f in (2.0, 1.0, 1.0)), np.array([False]))
    >>> apply_colours(np.full((1, 1, 3), 100, np.uint8), twice, 0).ravel().tolist()
    [200, 200, 200]
    """
    pixels = np.clip(image.astype(np.float32) * colours.brightness[row], 0, 255)
    mean = _luminance(pixels).mean()
    pixels = np.clip(mean + (pixels - mean) * colours.contrast[row], 0, 255)
    saturation = 0.0 if colours.grey[row] else colours.saturation[row]
    grey = _luminance(pixels)
    changed = np.rint(np.clip(grey + (pixels - grey) * saturation, 0, 255))
    return np.asarray(changed, np.uint8)


def apply_masks(
    spectrogram: NDArray[np.float32], changes: SoundChanges, row: int
) -> NDArray[np.float32]:
    """Replace one stretch of time and one of frequency by the mean of the spectrogram.

    It is ``(C, F, T)``, all channels are masked alike, and `row` is its place in `changes`.
    """
    masked = spectrogram.copy()
    bands, frames = spectrogram.shape[1:]
    mean = spectrogram.mean()
    start = round(changes.frequency_start[row] * bands)
    masked[:, start : start + round(changes.frequency_width[row] * bands)] = mean
    start = round(changes.time_start[row] * frames)
    masked[:, :, start : start + round(changes.time_width[row] * frames)] = mean
    return masked


def _luminance(pixels: NDArray[Any]) -> NDArray[Any]:
    weights = np.array([0.299, 0.587, 0.114], pixels.dtype)
    grey: NDArray[Any] = (pixels @ weights)[..., None]
    return grey


def _generator(seed: int, stream: int, epoch: int, view: int) -> np.random.Generator:
    key = [seed, stream, epoch] if view == 0 else [seed, stream, epoch, view]
    return np.random.default_rng(np.random.SeedSequence(key))


def _read_only(arrays: _Drawn) -> _Drawn:
    for array in arrays:
        array.setflags(write=False)
    return arrays
