"""Cut-outs, sounds and photographs as arrays, brought to one form by whole numbers alone.

What comes from a decoder of PNG is exact; decoders of JPEG and Vorbis are those of the installed
Pillow and soundfile. All that follows is arithmetic of integers, the same on every machine.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.errors import DataError
from ssl_bench.media.audio import read_audio
from ssl_bench.media.image import DAMAGE, read_image
from ssl_bench.testsets.collage.layout import (
    ENLARGED,
    MOST,
    SIZE,
    SMALLEST,
    Placed,
    Shape,
    largest_scale,
    smallest_scale,
)
from ssl_bench.testsets.collage.rendering import shape_of

RATE = 16000
LONGEST = 200
"""Pixels of the longer side of a cut-out at most: files of what sounds seldom have more, and more
would tell others from it."""

SHORTER = 640
"""Pixels of the shorter side of a photograph as it is kept."""

_OPAQUE = 128  # Alpha from which a pixel belongs to a thing
_BEYOND = 10  # Pixels around a thing that take colours of its edge; farther ones, its mean
_QUANTUM = 8192  # Steps of a decoded sound from 0 to full scale, which some recordings exceed
_BITS = 15
_PHASES = 256
_LOBES = 12
_FRAME = RATE // 100

Samples = NDArray[np.int64]
Pixels = NDArray[np.uint8]


def read_cutout(path: Path) -> Pixels:
    """A cut-out ``(height, width, 4)``: colours, and 0 or 255 where it is not, or is.

    Cut to what is opaque. Colours at and beyond its edge are those of its inside, so that no rim
    of the place where it was photographed is left.

    Raises
    ------
    DataError
        If it is no PNG, or too small or too thin to be shown in every size that scenes ask for.
    """
    try:
        with Image.open(path, formats=["PNG"]) as opened:
            # Pillow would cut 16 bits off at 255.
            is_deep = opened.mode.startswith("I")
            image = (Image.fromarray(read_image(path)) if is_deep else opened).convert("RGBA")
            image.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
            whole = np.asarray(image)
    except DAMAGE as error:
        raise DataError(f"no readable PNG ({error})", code="E_IMAGE", where=path) from None
    inside = whole[..., 3] >= _OPAQUE
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        raise _unfit("nothing in it is opaque", path)
    cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = inside[cut]
    colours = _spread(whole[cut][..., :3], whole[cut][..., 3], inside)
    cutout = np.dstack([colours, np.where(inside, 255, 0).astype(np.uint8)])
    _require_room(cutout, path)
    return cutout


def _require_room(cutout: Pixels, path: Path) -> None:
    """Raise DataError unless a thing can stand among the most others, and is seen when smallest."""
    height, width = cutout.shape[:2]
    shape = Shape(width, height, np.count_nonzero(cutout[..., 3]) / (width * height))
    scale = smallest_scale(shape)
    if scale > largest_scale(shape, MOST):
        raise _unfit(
            f"it is too small or too thin to cover {SMALLEST:.1%} of a picture beside others, even "
            f"at {ENLARGED:g} times its size",
            path,
        )
    smallest = Placed(0, 0, 0, math.ceil(width * scale), math.ceil(height * scale), False, False)
    drawn = shape_of(cutout, smallest)
    if np.count_nonzero(drawn) < SMALLEST * SIZE * SIZE / 2:
        raise _unfit("its parts are so thin that they are lost where it is drawn small", path)


def _unfit(problem: str, path: Path) -> DataError:
    remedy = "take another picture of the thing"
    return DataError(problem, code="E_COLLAGE_CUTOUT", where=path, remedy=remedy)


def _spread(colours: Pixels, alpha: Pixels, inside: NDArray[np.bool_]) -> Pixels:
    """Colours of which those outside, at the rim and where it is translucent come from inside."""
    core = inside & (alpha >= 250)
    kept = core & (_sum_3x3(core.astype(np.int64)) == 9)
    # A thin part has no inside: there its own pixels have to do.
    near = kept
    for _ in range(2):
        near = _sum_3x3(near.astype(np.int64)) > 0
    kept = kept | (inside & ~near)
    values = np.where(kept[..., None], colours, 0).astype(np.int64)
    known = kept.astype(np.int64)
    result = values.copy()
    for _ in range(_BEYOND):
        counts = _sum_3x3(known)
        sums = np.dstack([_sum_3x3(result[..., channel] * known) for channel in range(3)])
        new = (known == 0) & (counts > 0)
        result[new] = (sums[new] + counts[new][:, None] // 2) // counts[new][:, None]
        known = known | new
    mean = colours[inside].sum(axis=0, dtype=np.int64) // np.count_nonzero(inside)
    result[known == 0] = mean
    return result.astype(np.uint8)


def _sum_3x3(values: NDArray[np.int64]) -> NDArray[np.int64]:
    padded = np.pad(values, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    total: NDArray[np.int64] = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return total


def read_photograph(path: Path) -> Pixels:
    """A photograph ``(height, width, 3)`` whose shorter side has `SHORTER` pixels."""
    image = Image.fromarray(read_image(path))
    shorter = min(image.size)
    width, height = (max(SHORTER, side * SHORTER // shorter) for side in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def read_sound(path: Path) -> Samples:
    """A recording at :data:`RATE`, one channel, without the silence at its ends."""
    sound = read_audio(path)
    decoded = np.rint(sound.as_float() * _QUANTUM).astype(np.int64)
    samples = resampled(decoded.sum(axis=1) // decoded.shape[1], sound.rate)
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = (frames * frames).sum(axis=1)
    loud = np.flatnonzero(power * 1000 > power.max(initial=0))
    if not len(loud) or not power.any():
        raise DataError("nothing is heard in it", code="E_COLLAGE_SOUND", where=path)
    heard: Samples = samples[loud[0] * _FRAME : (loud[-1] + 1) * _FRAME]
    return heard


def resampled(samples: Samples, rate: int) -> Samples:
    """Samples of another rate at :data:`RATE`, by a filter of whole numbers.

    Examples
    --------
    >>> resampled(np.full(80, 100, np.int64), 8000)[40:44].tolist()
    [100, 100, 100, 100]
    """
    if rate == RATE:
        return samples
    taps = _filter(rate)
    half = taps.shape[1] // 2
    padded = np.pad(samples, half)
    positions = np.arange(max(1, len(samples) * RATE // rate), dtype=np.int64) * rate
    first, phase = positions // RATE, positions % RATE * _PHASES // RATE
    result = np.empty(len(positions), np.int64)
    for start in range(0, len(positions), 4096):
        part = slice(start, start + 4096)
        window = padded[first[part, None] + np.arange(1, 2 * half + 1)]
        result[part] = (window * taps[phase[part]]).sum(axis=1) + (1 << (_BITS - 1)) >> _BITS
    return result


def _filter(rate: int) -> NDArray[np.int64]:
    """A windowed sinc for each phase; every row adds up to one, in steps of 2**-15."""
    cut = min(1.0, 0.94 * RATE / rate)
    half = math.ceil(_LOBES / cut)
    places = np.arange(1 - half, half + 1) - np.arange(_PHASES)[:, None] / _PHASES
    window = np.cos(np.pi / 2 * np.clip(places / (half + 1), -1, 1)) ** 2
    exact = np.sinc(places * cut) * window
    taps: NDArray[np.int64]
    taps = np.rint(exact / exact.sum(axis=1, keepdims=True) * (1 << _BITS)).astype(np.int64)
    taps[:, half - 1] += (1 << _BITS) - taps.sum(axis=1)
    return taps
