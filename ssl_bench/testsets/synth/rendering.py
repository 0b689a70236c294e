"""Painting a scene: its exact label map and its image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.testsets.synth.categories import Category
from ssl_bench.testsets.synth.exact import Pixels, colour, smooth_noise
from ssl_bench.testsets.synth.layout import SIZE, Placed
from ssl_bench.testsets.synth.shapes import SHAPES
from ssl_bench.testsets.synth.textures import TEXTURES

_MARGIN = 9  # pixels around an object's box: its soft edge and its shadow
_SHADOW_SHIFT = (3, 4)  # columns, rows
_LIGHT = (-0.52, -0.62, 0.587)  # from the top left, towards the viewer


def label_map(objects: Sequence[Placed], kinds: Sequence[Category]) -> NDArray[np.uint8]:
    """Which object is visible at each pixel, ``(128, 128)`` uint8: k + 1 for object k, else 0.

    Objects are painted in their order: later ones hide earlier ones.
    """
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for number, placed in enumerate(objects):
        window, x, y = _frame(placed)
        inside = SHAPES[kinds[placed.category].shape](x, y) < 0
        labels[window][inside] = number + 1
    return labels


def paint(
    rng: np.random.Generator, objects: Sequence[Placed], kinds: Sequence[Category]
) -> NDArray[np.uint8]:
    """Image of a scene, ``(128, 128, 3)`` uint8 RGB; `rng` draws backdrop and grain."""
    image: NDArray[np.uint8] = paint_frames(rng, [objects], kinds)[0]
    return image


def paint_frames(
    rng: np.random.Generator,
    frames: Sequence[Sequence[Placed]],
    kinds: Sequence[Category],
) -> NDArray[np.uint8]:
    """Images of objects that move before one backdrop, under one grain.

    Gives ``(n, 128, 128, 3)`` uint8 RGB for the objects of n frames.
    """
    backdrop = _backdrop(rng)
    grain = rng.random((SIZE, SIZE, 3), dtype=np.float32)
    grain += rng.random((SIZE, SIZE, 1), dtype=np.float32)
    painted = np.empty((len(frames), SIZE, SIZE, 3), np.uint8)
    for image, objects in zip(painted, frames, strict=True):
        canvas = backdrop.copy()
        for placed in objects:
            _paint_object(canvas, placed, kinds[placed.category])
        canvas += (grain - 1.0) * 0.035
        canvas *= 255.0
        canvas += 0.5
        image[...] = np.clip(canvas, 0.0, 255.0).astype(np.uint8)
    return painted


def _backdrop(rng: np.random.Generator) -> Pixels:
    tint = np.array(
        colour(float(rng.random()), float(rng.uniform(0.05, 0.4)), float(rng.uniform(0.35, 0.8))),
        np.float32,
    )
    canvas = smooth_noise(rng, 3, SIZE, 4) * 0.13 + smooth_noise(rng, 9, SIZE, 4) * 0.05
    canvas = 0.45 * canvas[..., :3] + canvas[..., 3:] + tint
    for _ in range(int(rng.poisson(4.0))):
        width, height = rng.uniform(0.08, 0.5, 2) * SIZE
        left, top = rng.uniform(-0.1, 0.95, 2) * SIZE
        tone = np.array(
            colour(float(rng.random()), float(rng.uniform(0.0, 0.6)), float(rng.uniform(0.2, 1.0))),
            np.float32,
        )
        window = (
            slice(max(int(top), 0), max(int(top + height), 0)),
            slice(max(int(left), 0), max(int(left + width), 0)),
        )
        canvas[window] += (tone - canvas[window]) * np.float32(rng.uniform(0.12, 0.42))
    return canvas


def _frame(placed: Placed) -> tuple[tuple[slice, slice], Pixels, Pixels]:
    """The window of the image around an object, and its pixels in the object's own frame."""
    x0, y0, x1, y1 = placed.extent
    window = (
        slice(max(int(y0) - _MARGIN, 0), min(int(y1) + 1 + _MARGIN, SIZE)),
        slice(max(int(x0) - _MARGIN, 0), min(int(x1) + 1 + _MARGIN, SIZE)),
    )
    columns = np.arange(window[1].start, window[1].stop, dtype=np.float32) + 0.5
    rows = np.arange(window[0].start, window[0].stop, dtype=np.float32) + 0.5
    columns -= np.float32(placed.centre[0])
    rows -= np.float32(placed.centre[1])
    half_width, half_height = placed.half_sides
    x = columns[None, :] * (placed.cosine / half_width) + rows[:, None] * (placed.sine / half_width)
    y = rows[:, None] * (placed.cosine / half_height) - columns[None, :] * (
        placed.sine / half_height
    )
    return window, x, y


def _paint_object(canvas: Pixels, placed: Placed, category: Category) -> None:
    window, x, y = _frame(placed)
    target = canvas[window]
    surface = SHAPES[category.shape](x, y)
    across, along = np.zeros_like(surface), np.zeros_like(surface)
    across[:, 1:-1] = (surface[:, 2:] - surface[:, :-2]) * 0.5
    along[1:-1] = (surface[2:] - surface[:-2]) * 0.5
    # The outline's slope per pixel; bounded below, because it vanishes on ridges of the surface.
    nominal = 1.0 / max(placed.half_sides)
    slope = np.maximum(np.sqrt(across * across + along * along), 0.6 * nominal)
    depth = surface / -slope

    shift_x, shift_y = _SHADOW_SHIFT
    shadow = np.clip(depth[:-shift_y, :-shift_x] * 0.2 + 0.5, 0.0, 1.0) * 0.42
    target[shift_y:, shift_x:] *= (1.0 - shadow)[..., None]
    cover = np.clip(depth + 0.5, 0.0, 1.0)
    tone = TEXTURES[category.texture](x, y, placed.frequency, *placed.phases)
    light = np.array(colour(placed.hue, placed.saturation, placed.light), np.float32)
    dark = np.array(colour(placed.hue - 0.02, placed.saturation + 0.1, placed.dark), np.float32)
    painted = dark + (light - dark) * tone[..., None]

    bevel = 0.28 * min(placed.half_sides) + 2.0
    steep = np.clip(1.0 - depth / bevel, 0.0, 1.0) * 0.85
    facing = (across * _LIGHT[0] + along * _LIGHT[1]) / slope * steep
    facing += _LIGHT[2] * np.sqrt(1.0 - steep * steep)
    # A faint fall-off from the top left makes large flat faces look lit as well.
    fall_off = (np.arange(facing.shape[0], dtype=np.float32) / facing.shape[0])[:, None] + (
        np.arange(facing.shape[1], dtype=np.float32) / facing.shape[1]
    )
    brightness = 0.72 + 0.62 * facing - 0.11 * fall_off
    painted *= brightness[..., None]
    gloss = np.clip(facing - 0.78, 0.0, 0.3) * 1.3
    painted += gloss[..., None]
    rim = np.clip(1.9 - depth, 0.0, 1.0) * 0.72
    painted *= (1.0 - rim)[..., None]

    target += (np.clip(painted, 0.0, 1.0) - target) * cover[..., None]
