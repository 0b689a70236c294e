"""Random views of training images and sounds.

What is drawn for an example depends on the seed, the pass, the view and the example's own row only:
not on the batch that it is in, nor on what else was drawn before.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, Self, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ssl_bench.schemas import Document

Fraction = Annotated[float, Field(ge=0, le=1)]
HalfFraction = Annotated[float, Field(ge=0, le=0.5)]

# Keys of the streams of random numbers; 2 is that of the sound bank.
_CROPS = 1
_COLOURS = 3
_SOUNDS = 4
_KEPT_DRAWS = 8

Drawn = TypeVar("Drawn", "Crops", "Colours", "SoundChanges")


class Augmentation(Document):
    """How training images and sounds are varied; each part of it is off where it is 0.

    Attributes
    ----------
    crop_area
        Smallest and largest area of a crop, as a share of the picture; crops are resized to the
        network's input.
    crop_aspect
        Largest ratio of width to height of a crop, and of height to width, both as shares of the
        picture's own.
    flip
        Probability that a crop is mirrored.
    colour
        Largest relative change of brightness, contrast and saturation, each drawn on its own.
    greyscale
        Probability that a crop loses its colours.
    time_shift
        Largest shift of a sound, in either direction, as a share of the clip's length; what leaves
        at one end comes in at the other.
    time_mask, frequency_mask
        Largest part of a spectrogram, along each axis, that is replaced by its mean.

    Examples
    --------
    >>> Augmentation(crop_area=(0.8, 0.4))
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Augmentation...
    """

    crop_area: tuple[Fraction, Fraction] = (0.4, 1.0)
    crop_aspect: Annotated[float, Field(ge=1)] = 4 / 3
    flip: Fraction = 0.5
    colour: Fraction = 0.0
    greyscale: Fraction = 0.0
    time_shift: HalfFraction = 0.0
    time_mask: Fraction = 0.0
    frequency_mask: Fraction = 0.0

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not 0 < self.crop_area[0] <= self.crop_area[1]:
            raise ValueError("crop_area must rise and start above 0")
        return self


@dataclass(frozen=True)
class Crops:
    """One crop for each of N pictures.

    Attributes
    ----------
    top, left, height, width
        ``(N,)`` float64, as shares of the picture's height and width, in [0, 1].
    mirrored
        ``(N,)`` bool.
    """

    top: NDArray[np.float64]
    left: NDArray[np.float64]
    height: NDArray[np.float64]
    width: NDArray[np.float64]
    mirrored: NDArray[np.bool_]


@dataclass(frozen=True)
class Colours:
    """One change of colours for each of N pictures.

    Attributes
    ----------
    brightness, contrast, saturation
        ``(N,)`` float64, factors around 1.
    grey
        ``(N,)`` bool.
    """

    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    saturation: NDArray[np.float64]
    grey: NDArray[np.bool_]


@dataclass(frozen=True)
class SoundChanges:
    """One change for each of N sounds; all are ``(N,)`` float64.

    Attributes
    ----------
    shift
        Shift in time, as a share of the clip, in [-0.5, 0.5].
    time_start, time_width, frequency_start, frequency_width
        The masked parts, as shares of the spectrogram.
    """

    shift: NDArray[np.float64]
    time_start: NDArray[np.float64]
    time_width: NDArray[np.float64]
    frequency_start: NDArray[np.float64]
    frequency_width: NDArray[np.float64]


def draw_crops(
    generator: np.random.Generator,
    count: int,
    *,
    area: tuple[float, float],
    aspect: float,
    flip: float,
) -> Crops:
    """Draw crops of uniform area and log-uniform aspect, wholly inside the picture.

    Parameters
    ----------
    generator
        Source of randomness.
    count
        Number of pictures.
    area
        Smallest and largest share of the picture, in (0, 1].
    aspect
        Largest ratio of width to height, and of height to width, >= 1.
    flip
        Probability of mirroring.

    Examples
    --------
    >>> crops = draw_crops(np.random.default_rng(0), 3, area=(1, 1), aspect=1, flip=0)
    >>> crops.height.tolist(), crops.left.tolist()
    ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    """
    side = np.sqrt(generator.uniform(area[0], area[1], count))
    stretch = np.exp(0.5 * generator.uniform(-np.log(aspect), np.log(aspect), count))
    height = np.minimum(side / stretch, 1.0)
    width = np.minimum(side * stretch, 1.0)
    return Crops(
        top=generator.uniform(0, 1, count) * (1 - height),
        left=generator.uniform(0, 1, count) * (1 - width),
        height=height,
        width=width,
        mirrored=generator.uniform(0, 1, count) < flip,
    )


@lru_cache(maxsize=_KEPT_DRAWS)
def crops_of(augmentation: Augmentation, count: int, seed: int, epoch: int, view: int = 0) -> Crops:
    """Crops of all `count` pictures for one view in one pass; the arrays are read-only."""
    return _read_only(
        draw_crops(
            _generator(seed, _CROPS, epoch, view),
            count,
            area=augmentation.crop_area,
            aspect=augmentation.crop_aspect,
            flip=augmentation.flip,
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
    shift, time, time_start, frequency, frequency_start = _generator(
        seed, _SOUNDS, epoch, view
    ).uniform(0, 1, (5, count))
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


def apply_crop(image: NDArray[Any], crops: Crops, row: int, size: int) -> NDArray[Any]:
    """Cut, resize (bilinear) and mirror one picture.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, C)``, uint8 or float32.
    crops
        Crops of all pictures.
    row
        The picture's place in `crops`.
    size
        Side of the result, in pixels.

    Returns
    -------
    ndarray
        ``(size, size)`` or ``(size, size, C)``, as `image`.
    """
    full_height, full_width = image.shape[:2]
    top = min(round(crops.top[row] * full_height), full_height - 1)
    left = min(round(crops.left[row] * full_width), full_width - 1)
    bottom = min(full_height, top + max(1, round(crops.height[row] * full_height)))
    right = min(full_width, left + max(1, round(crops.width[row] * full_width)))
    resized = cv2.resize(image[top:bottom, left:right], (size, size))
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

    Parameters
    ----------
    spectrogram
        ``(C, F, T)``; all channels are masked alike.
    changes
        Changes of all sounds.
    row
        The sound's place in `changes`.
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


def _read_only(drawn: Drawn) -> Drawn:
    for field in fields(drawn):
        getattr(drawn, field.name).setflags(write=False)
    return drawn
