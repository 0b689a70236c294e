"""Painting a scene: cut-outs over a photograph, with soft edges and colours that fit.

What sounds and what never does are painted alike, and as like as can be: all that a picture shows
is as sharp as the softest thing in it, varies about as much near its edge, and is about as far
from grey.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.testsets.collage.layout import SIZE, Placed

Pixels = NDArray[np.uint8]

_RIM = 2
_GRAIN = 11
_NEAR = 4  # Pixels from the edge of a thing at which its colours are measured
# What things of one scene are brought to, mean deviations from and to: of a channel near the edge,
# and of channels from grey.
_VARIED, _COLOURED = (25, 46), (8, 19)
# How far, in 64ths: all of these, and from a thing's mean colour to that of the place.
_TO_VARIED, _TO_COLOURED, _TO_PLACE = 56, 48, 40
_LIGHT, _TINT = 12, 12  # Brightness and colour of the light on a thing differ so much at most


def shape_of(cutout: Pixels, thing: Placed) -> NDArray[np.bool_]:
    """Mask of a thing as it is drawn, with a rim of two pixels around its box."""
    alpha = Image.fromarray(cutout).getchannel("A")
    drawn = np.asarray(alpha.resize((thing.width, thing.height), Image.Resampling.BICUBIC))
    return np.pad((drawn[:, ::-1] if thing.mirrored else drawn) >= 128, _RIM)


def _colours_of(cutout: Pixels, thing: Placed, enlarged: float) -> Pixels:
    """Colours in the same window, as sharp as what was enlarged so many times."""
    # Pillow weighs colours by alpha where it resizes both together; those beyond the edge count.
    image = Image.fromarray(cutout).convert("RGB")
    colours = _as_sharp(image, (thing.width, thing.height), enlarged)
    if thing.mirrored:
        colours = colours[:, ::-1]
    return np.pad(colours, ((_RIM, _RIM), (_RIM, _RIM), (0, 0)), mode="edge")


def _as_sharp(image: Image.Image, size: tuple[int, int], enlarged: float) -> Pixels:
    """A picture at some size, of no more detail than one that was enlarged so many times."""
    width, height = (max(1, round(side / enlarged)) for side in size)
    if width < image.width:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def label_map(things: Sequence[Placed], cutouts: Callable[[int], Pixels]) -> Pixels:
    """``(448, 448)`` uint8: 0 for the background, k + 1 where thing k is visible."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for number, thing in enumerate(things):
        labels[_window(thing)][shape_of(cutouts(thing.cutout), thing)] = number + 1
    return labels


def paint_frames(
    rng: np.random.Generator,
    things: Sequence[Placed],
    cutouts: Callable[[int], Pixels],
    photograph: Pixels,
    ways: NDArray[np.int64],
) -> Pixels:
    """Images ``(n, 448, 448, 3)`` of things that move before one background, under one grain.

    `ways` ``(things, n, 2)`` say how far each is from its place in each: columns, rows. Colours
    are those that suit its place.
    """
    behind = _part(rng, photograph)
    times = [each.width / cutouts(each.cutout).shape[1] for each in things]
    enlarged = max(1.0, SIZE / behind.width, *times)
    empty = _as_sharp(behind, (SIZE, SIZE), enlarged).astype(np.int16)
    image = empty.copy()
    common = int(rng.integers(*_VARIED)), int(rng.integers(*_COLOURED))
    layers = []
    for thing in things:
        cutout = cutouts(thing.cutout)
        mask = shape_of(cutout, thing)
        colours = _colours_of(cutout, thing, enlarged)
        fitted = _fitted(rng, colours, mask, image[_window(thing)], common)
        layer = _Layer(_soft(mask)[..., None], fitted, thing.x - _RIM, thing.y - _RIM)
        layer.put(image, (0, 0))
        layers.append(layer)
    drawn = rng.integers(0, _GRAIN, (2, SIZE, SIZE), dtype=np.int8)
    grain = (drawn[0] - drawn[1])[..., None]
    painted = np.empty((ways.shape[1], SIZE, SIZE, 3), np.uint8)
    for frame, places in zip(painted, ways.swapaxes(0, 1), strict=True):
        moved = image
        if places.any():
            moved = empty.copy()
            for layer, place in zip(layers, places.tolist(), strict=True):
                layer.put(moved, place)
        np.clip(moved + grain, 0, 255, out=frame, casting="unsafe")
    return painted


class _Layer(NamedTuple):
    """A thing as it is laid over a picture: weights from 0 to 128, colours, and its place."""

    weights: NDArray[np.int16]
    colours: NDArray[np.int16]
    x: int
    y: int

    def put(self, image: NDArray[np.int16], by: Sequence[int]) -> None:
        """Lay it over an image, so many columns and rows from its place; beyond it is cut off."""
        height, width = self.weights.shape[:2]
        x, y = self.x + by[0], self.y + by[1]
        part = image[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
        top, left = max(-y, 0), max(-x, 0)
        shown = slice(top, top + part.shape[0]), slice(left, left + part.shape[1])
        part += (self.weights[shown] * (self.colours[shown] - part) + 64) >> 7


def _window(thing: Placed) -> tuple[slice, slice]:
    return (
        slice(thing.y - _RIM, thing.y + thing.height + _RIM),
        slice(thing.x - _RIM, thing.x + thing.width + _RIM),
    )


def _part(rng: np.random.Generator, photograph: Pixels) -> Image.Image:
    """A square part of a photograph."""
    height, width = photograph.shape[:2]
    side = int(rng.integers(min(height, width) * 6 // 10, min(height, width) + 1))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in (height, width))
    part = photograph[top : top + side, left : left + side]
    if rng.integers(2):
        part = part[:, ::-1]
    return Image.fromarray(np.ascontiguousarray(part))


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
    rng: np.random.Generator,
    colours: Pixels,
    mask: NDArray[np.bool_],
    place: NDArray[np.int16],
    common: tuple[int, int],
) -> NDArray[np.int16]:
    """Colours that vary near the edge as those of the scene's other things, and suit the place.

    `common` is how much a channel varies, and how far channels are from grey. The light on the
    thing is drawn at random.
    """
    core = np.pad(mask, _NEAR)
    for _ in range(2 * _NEAR):
        core = core[1:] & core[:-1]
        core = core[:, 1:] & core[:, :-1]
    near = mask & ~core
    count = max(int(near.sum()), 1)
    values = colours.astype(np.int32)
    grey = values.sum(axis=2, keepdims=True) // 3
    coloured = int(np.abs(values - grey)[near].sum()) // (3 * count)
    # What is near to grey stays so.
    gain = min(_gain(coloured, common[1], _TO_COLOURED), 64)
    values = grey + ((values - grey) * gain >> 6)
    mean = (values[near].sum(axis=0) // count).astype(np.int32)
    varied = np.abs(values[near] - mean).sum(axis=0) // count
    # Much more would show the noise of the file.
    gains = [min(max(_gain(own, common[0], _TO_VARIED), 24), 96) for own in varied.tolist()]
    around = place.sum(axis=(0, 1), dtype=np.int64) // (place.shape[0] * place.shape[1])
    light = rng.integers(-_TINT, _TINT + 1, 3) + rng.integers(-_LIGHT, _LIGHT + 1)
    goal = (mean + ((around - mean) * _TO_PLACE >> 6) + light).astype(np.int32)
    moved = goal + ((values - mean) * np.array(gains, np.int32) >> 6)
    fitted: NDArray[np.int16] = np.clip(moved, 0, 255).astype(np.int16)
    return fitted


def _gain(own: int, common: int, part: int) -> int:
    """What brings a deviation a part of the way to another one; it and the part are in 64ths."""
    return 64 - part + part * common // (own + 1)
