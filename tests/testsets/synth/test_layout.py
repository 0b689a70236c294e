from __future__ import annotations

import math

import numpy as np
import pytest

from ssl_bench.testsets.synth.categories import SOUNDING, categories
from ssl_bench.testsets.synth.layout import SIZE, Placed, Sizes, draw_layout, draw_single
from ssl_bench.testsets.synth.streams import stream

KINDS = categories()
NORMAL = Sizes()
Box = tuple[float, float, float, float]


def layouts(kind: str, count: int, number: int, sizes: Sizes = NORMAL) -> list[tuple[Placed, ...]]:
    return [draw_layout(stream(3, index), KINDS, kind, count, sizes) for index in range(number)]


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) / SIZE**2


def shared(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0) / SIZE**2


def capable(objects: tuple[Placed, ...]) -> list[Placed]:
    return [placed for placed in objects if placed.category < SOUNDING]


@pytest.mark.slow
def test_box_areas_of_single_objects_are_log_normal() -> None:
    areas = np.array([area(capable(o)[0].extent) for o in layouts("single", 1, 1500)])
    assert abs(np.median(areas) - 0.30) < 0.02
    quarter, half, three = np.log(np.quantile(areas, [0.159, 0.5, 0.7]))
    assert abs((half - quarter) - 0.65) < 0.08  # one sigma below the median
    assert abs((three - half) - 0.65 * 0.524) < 0.08
    assert areas.min() >= 0.0399
    assert areas.max() <= 0.86


def test_small_sizes_give_small_objects() -> None:
    small = Sizes(median=0.18, smallest=0.02, fill=(0.5, 0.9))
    areas = [area(capable(o)[0].extent) for o in layouts("single", 1, 800, small)]
    assert abs(np.median(areas) - 0.18) < 0.02


@pytest.mark.slow
def test_objects_that_never_sound_are_none_one_or_two_and_smaller() -> None:
    drawn = layouts("single", 1, 1500)
    silent = [[o for o in objects if o.category >= SOUNDING] for objects in drawn]
    shares = np.bincount([len(objects) for objects in silent]) / len(drawn)
    # 0.30, 0.45 and 0.25 are drawn; where no room is left, fewer stand there.
    assert len(shares) == 3
    np.testing.assert_allclose(shares, [0.33, 0.44, 0.23], atol=0.05)
    assert 0.08 < np.median([area(o.extent) for objects in silent for o in objects]) < 0.17


def test_objects_that_never_sound_leave_the_others_alone() -> None:
    for objects in layouts("all-sound", 2, 300):
        for placed in objects:
            if placed.category >= SOUNDING:
                for other in objects:
                    if other is not placed:
                        limit = 0.15 * min(area(placed.extent), area(other.extent))
                        assert shared(placed.extent, other.extent) <= limit + 1e-9


@pytest.mark.parametrize(("kind", "count"), [("single", 1), ("all-sound", 2), ("one-sounds", 3)])
def test_objects_lie_inside_the_image(kind: str, count: int) -> None:
    for objects in layouts(kind, count, 200):
        for placed in objects:
            x0, y0, x1, y1 = placed.extent
            assert 0 < x0 < x1 < SIZE
            assert 0 < y0 < y1 < SIZE


@pytest.mark.parametrize("count", [2, 3])
def test_several_objects_are_of_different_categories_and_stand_apart(count: int) -> None:
    overlaps = []
    for objects in layouts("all-sound", count, 200):
        chosen = capable(objects)
        assert len({placed.category for placed in chosen}) == count
        overlaps.append(
            max(
                shared(a.extent, b.extent) / min(area(a.extent), area(b.extent))
                for a in chosen
                for b in chosen
                if a is not b
            )
        )
    assert np.median(overlaps) < 0.2


def test_all_capable_objects_sound_or_exactly_one_does() -> None:
    assert all(
        o.sounding == (o.category < SOUNDING) for s in layouts("all-sound", 3, 50) for o in s
    )
    for objects in layouts("one-sounds", 3, 50):
        assert sum(placed.sounding for placed in objects) == 1
        assert all(placed.category < SOUNDING for placed in objects if placed.sounding)


def test_any_of_several_objects_may_be_the_one_that_sounds() -> None:
    larger = 0
    for objects in layouts("one-sounds", 2, 400):
        by_size = sorted(capable(objects), key=lambda placed: area(placed.extent))
        larger += by_size[-1].sounding
    assert 160 <= larger <= 240


def test_positions_are_not_biased_towards_a_side() -> None:
    centres = np.array(
        [
            [(o.extent[0] + o.extent[2]) / 2, (o.extent[1] + o.extent[3]) / 2]
            for objects in layouts("single", 1, 1000)
            for o in capable(objects)
        ]
    )
    np.testing.assert_allclose(centres.mean(axis=0), [SIZE / 2, SIZE / 2], atol=2.5)


def test_instances_vary_within_the_stated_ranges() -> None:
    drawn = [draw_single(stream(5, index), KINDS, 4, Sizes())[0] for index in range(300)]
    kind = KINDS[4]
    hues = np.array([placed.hue - kind.hue for placed in drawn])
    assert np.abs(hues).max() <= 0.05
    assert np.abs(hues).max() > 0.04
    frequencies = np.array([placed.frequency / kind.frequency for placed in drawn])
    assert 0.85 <= frequencies.min() < 0.9
    assert 1.1 < frequencies.max() <= 1.15
    aspects = np.array([o.half_sides[0] / o.half_sides[1] / kind.aspect for o in drawn])
    assert 0.79 < aspects.min() < 0.85
    assert 1.2 < aspects.max() < 1.26
    turns = np.array([math.atan2(placed.sine, placed.cosine) for placed in drawn])
    assert 0.45 < np.abs(turns).max() <= 0.5001
