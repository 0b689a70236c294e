"""Things of one picture are alike in what does not tell them apart: sharpness, contrast, colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.testsets.collage.layout import Placed
from ssl_bench.testsets.collage.rendering import label_map, paint_frames

Pixels = NDArray[np.uint8]


def noisy(side: int, colour: Sequence[int], deviation: float) -> Pixels:
    """A square cut-out of one colour, varied."""
    rng = np.random.default_rng(side)
    grey = rng.normal(0, deviation, (side, side, 1)) + np.array(colour)
    return np.dstack([np.clip(grey, 0, 255), np.full((side, side), 255)]).astype(np.uint8)


def painted(first: Pixels, second: Pixels, sides: tuple[int, int]) -> list[Pixels]:
    """Pixels inside of two cut-outs that are drawn at some sizes before a grey photograph."""
    cutouts = [first, second]
    things = [
        Placed(number, 20 + 210 * number, 100, side, side, mirrored=False, sounding=False)
        for number, side in enumerate(sides)
    ]
    photograph = np.full((640, 640, 3), 110, np.uint8)
    rng, still = np.random.default_rng(0), np.zeros((2, 1, 2), np.int64)
    [image] = paint_frames(rng, things, cutouts.__getitem__, photograph, still)
    labels = label_map(things, cutouts.__getitem__)
    parts = [np.argwhere(labels == number) for number in (1, 2)]
    return [
        image[part.min(axis=0)[0] : part.max(axis=0)[0], part.min(axis=0)[1] : part.max(axis=0)[1]]
        for part in parts
    ]


def test_what_is_enlarged_less_is_no_sharper_than_the_rest() -> None:
    reduced, enlarged = painted(
        noisy(200, (110, 110, 110), 60), noisy(95, (110, 110, 110), 60), (190, 190)
    )
    likeness = [
        np.corrcoef(each[:, 1:, 1].ravel(), each[:, :-1, 1].ravel())[0, 1]
        for each in (reduced, enlarged)
    ]
    assert abs(likeness[0] - likeness[1]) < 0.1


def test_what_varies_little_and_much_come_nearer_to_each_other() -> None:
    flat, varied = painted(
        noisy(100, (110, 110, 110), 20), noisy(101, (110, 110, 110), 70), (150, 150)
    )
    assert varied.std() / flat.std() < 2  # 3.5 in their files


def test_what_is_far_from_grey_comes_nearer_to_it_and_to_the_place() -> None:
    red, grey = painted(noisy(100, (220, 40, 40), 15), noisy(101, (90, 90, 90), 15), (150, 150))
    colours = [each.reshape(-1, 3).mean(axis=0) for each in (red, grey)]
    # Channels of the red thing are 180 apart in its file.
    assert [np.ptp(each) < most for each, most in zip(colours, (40, 25), strict=True)] == [True] * 2
    assert all(np.abs(each - 110).max() < 25 for each in colours)
