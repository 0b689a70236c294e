from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ssl_bench.testsets.synth.categories import categories
from ssl_bench.testsets.synth.layout import SIZE, Placed, Sizes, draw_single
from ssl_bench.testsets.synth.rendering import label_map, paint
from ssl_bench.testsets.synth.streams import stream
from ssl_bench.testsets.synth.world import Scene, World

KINDS = categories()


def disc(x: float, y: float, radius: float, category: int = 0) -> Placed:
    """An object of the first category, an ellipse, made circular."""
    drawn = draw_single(stream(1), KINDS, category, Sizes())[0]
    unit = radius / 0.95
    return replace(
        drawn,
        centre=(x, y),
        half_sides=(unit, unit),
        cosine=1.0,
        sine=0.0,
        extent=(x - radius, y - radius, x + radius, y + radius),
    )


def test_a_label_map_is_the_shape_sampled_at_pixel_centres() -> None:
    assert KINDS[0].shape == "ellipse"
    labels = label_map([disc(60.0, 50.0, 20.0)], KINDS)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    expected = (columns - 60.0) ** 2 + (rows - 50.0) ** 2 < 20.0**2
    assert (labels == expected).mean() > 0.9999


def test_later_objects_hide_earlier_ones() -> None:
    behind, front = disc(60.0, 60.0, 25.0), disc(75.0, 60.0, 15.0)
    labels = label_map([behind, front], KINDS)
    alone = label_map([front], KINDS) == 1
    assert (labels[alone] == 2).all()
    assert (labels == 1).sum() == ((label_map([behind], KINDS) == 1) & ~alone).sum()


@pytest.mark.slow
def test_an_image_differs_from_its_background_where_objects_are_and_only_near_them(
    world: World, scenes: dict[str, list[Scene]]
) -> None:
    for scene in scenes["standard"][:30]:
        image = world.image(scene).astype(int)
        rng = stream(0, 0, 0, 0, scene.number, 3, 0)
        backdrop = paint(rng, (), world.kinds).astype(int)
        changed = np.abs(image - backdrop).max(axis=2) > 12
        shown = scene.labels > 0
        assert changed[shown].mean() > 0.75
        near = np.zeros_like(shown)
        for shift_y in range(-9, 10):
            for shift_x in range(-9, 10):
                near |= np.roll(shown, (shift_y, shift_x), (0, 1))
        assert not changed[~near].any()


def test_objects_are_lit_from_the_top_left(world: World) -> None:
    placed = replace(disc(64.0, 64.0, 40.0), saturation=0.0, light=0.7, dark=0.7)
    image = paint(stream(7), [placed], world.kinds).astype(float).mean(axis=2)
    top_left = image[38:48, 38:48].mean()
    bottom_right = image[80:90, 80:90].mean()
    assert top_left > bottom_right + 40


@pytest.mark.slow
def test_an_image_is_neither_dark_nor_washed_out(
    world: World, scenes: dict[str, list[Scene]]
) -> None:
    images = np.stack([world.image(scene) for scene in scenes["standard"][:60]])
    assert images.dtype == np.uint8
    assert 80 < images.mean() < 170
    assert (images == 255).mean() < 0.05
    assert (images == 0).mean() < 0.05
