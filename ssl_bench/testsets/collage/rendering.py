"""Painting a scene: cut-outs over a photograph, with soft edges and colours that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.testsets.collage.layout import SIZE, Placed

Pixels = NDArray[np.uint8]

_RIM = 2
_GRAIN = 5


def scaled(cutout: Pixels, thing: Placed) -> tuple[Pixels, NDArray[np.bool_]]:
    """Colours and mask of a thing as it is drawn, with a rim of two pixels around its box."""
    size = thing.width, thing.height
    image = Image.fromarray(cutout)
    # Pillow weighs colours by alpha where it resizes both together; those beyond the edge count.
    colours = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    alpha = np.asarray(image.getchannel("A").resize(size, Image.Resampling.BICUBIC))
    if thing.mirrored:
        colours, alpha = colours[:, ::-1], alpha[:, ::-1]
    rim = ((_RIM, _RIM), (_RIM, _RIM))
    return np.pad(colours, (*rim, (0, 0)), mode="edge"), np.pad(alpha >= 128, rim)


def label_map(things: Sequence[Placed], cutouts: Callable[[int], Pixels]) -> Pixels:
    """``(448, 448)`` uint8: 0 for the background, k + 1 where thing k is visible."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for number, thing in enumerate(things):
        _, mask = scaled(cutouts(thing.cutout), thing)
        labels[_window(thing)][mask] = number + 1
    return labels


def paint(
    rng: np.random.Generator,
    things: Sequence[Placed],
    cutouts: Callable[[int], Pixels],
    photograph: Pixels,
) -> Pixels:
    """The image ``(448, 448, 3)`` of a scene before a part of `photograph`."""
    enlarged = max(each.width / cutouts(each.cutout).shape[1] for each in things)
    image = _backdrop(rng, photograph, enlarged).astype(np.int16)
    for thing in things:
        colours, mask = scaled(cutouts(thing.cutout), thing)
        part = image[_window(thing)]
        weight = _soft(mask)[..., None]
        fitted = _fitted(rng, colours, mask, part)
        part += (weight * (fitted - part) + 64) >> 7
    grain = rng.integers(0, _GRAIN, (2, SIZE, SIZE), dtype=np.int8)
    image += (grain[0] - grain[1])[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def _window(thing: Placed) -> tuple[slice, slice]:
    return (
        slice(thing.y - _RIM, thing.y + thing.height + _RIM),
        slice(thing.x - _RIM, thing.x + thing.width + _RIM),
    )


def _backdrop(rng: np.random.Generator, photograph: Pixels, enlarged: float) -> Pixels:
    """A square part of a photograph, as sharp as things that were enlarged so many times."""
    height, width = photograph.shape[:2]
    side = int(rng.integers(min(height, width) * 6 // 10, min(height, width) + 1))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in (height, width))
    part = photograph[top : top + side, left : left + side]
    if rng.integers(2):
        part = part[:, ::-1]
    image = Image.fromarray(np.ascontiguousarray(part))
    sharp = int(SIZE / min(max(enlarged, 1.0), 1.6))
    if sharp < SIZE:
        image = image.resize((sharp, sharp), Image.Resampling.BICUBIC)
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def _soft(mask: NDArray[np.bool_]) -> NDArray[np.int16]:
    """A mask smoothed over two pixels on each side of its edge, from 0 to 128."""
    weights = mask.astype(np.int16)
    for axis in (0, 1, 0, 1):
        weights = 2 * weights + _shifted(weights, 1, axis) + _shifted(weights, -1, axis)
    return weights >> 1


def _shifted(values: NDArray[np.int16], step: int, axis: int) -> NDArray[np.int16]:
    moved: NDArray[np.int16] = np.roll(values, step, axis)  # the rim is empty
    return moved


def _fitted(
    rng: np.random.Generator, colours: Pixels, mask: NDArray[np.bool_], place: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Colours moved a quarter towards those of the place, at a brightness drawn at random."""
    inside = colours[mask].sum(axis=0, dtype=np.int64) // max(int(mask.sum()), 1)
    around = place.sum(axis=(0, 1), dtype=np.int64) // (place.shape[0] * place.shape[1])
    shift = (around - inside) // 4 + int(rng.integers(-12, 13))
    fitted: NDArray[np.int16] = np.clip(colours + shift.astype(np.int16), 0, 255)
    return fitted
