"""Random crops: inside the picture, of the asked size, the same for the same seed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.training.augmentation import Crops, apply_crops, draw_crops


@given(
    seed=st.integers(0, 999),
    smallest=st.floats(0.05, 1.0),
    aspect=st.floats(1.0, 3.0),
)
def test_crops_lie_inside_the_picture_and_keep_to_area_and_aspect(seed, smallest, aspect):
    crops = draw_crops(
        np.random.default_rng(seed), 50, area=(smallest, 1.0), aspect=aspect, flip=0.5
    )
    assert (crops.top >= 0).all()
    assert (crops.left >= 0).all()
    assert (crops.top + crops.height <= 1 + 1e-12).all()
    assert (crops.left + crops.width <= 1 + 1e-12).all()
    ratio = crops.width / crops.height
    assert ((ratio <= aspect + 1e-9) & (ratio >= 1 / aspect - 1e-9)).all()
    assert (crops.height * crops.width >= smallest / aspect - 1e-9).all()


def test_half_of_the_crops_are_mirrored_none_or_all_if_asked():
    def share(flip):
        generator = np.random.default_rng(1)
        return draw_crops(generator, 2000, area=(1, 1), aspect=1, flip=flip).mirrored.mean()

    assert share(0.0) == 0
    assert share(1.0) == 1
    assert 0.45 < share(0.5) < 0.55


def test_a_crop_shows_the_part_that_it_names():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    image[0, 4:, :4] = 200  # lower left quarter
    quarter = Crops(*(np.array([value]) for value in (0.5, 0.0, 0.5, 0.5)), np.array([False]))
    assert (apply_crops(image, np.array([0]), quarter, 6) == 200).all()
    other = Crops(*(np.array([value]) for value in (0.5, 0.5, 0.5, 0.5)), np.array([False]))
    assert (apply_crops(image, np.array([0]), other, 6) == 0).all()


def test_mirroring_swaps_left_and_right():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    image[0, :, :4] = 255
    ones, zeros = np.ones(1), np.zeros(1)
    plain = apply_crops(image, np.array([0]), Crops(zeros, zeros, ones, ones, zeros > 0), 8)
    mirrored = apply_crops(image, np.array([0]), Crops(zeros, zeros, ones, ones, ones > 0), 8)
    assert np.array_equal(mirrored, plain[:, :, ::-1])
    assert mirrored[0, 0, 0, 0] == 0


def test_each_picture_keeps_its_own_crop_whatever_batch_it_is_in():
    generator = np.random.default_rng(2)
    images = generator.integers(0, 256, (5, 16, 16, 3), np.uint8)
    crops = draw_crops(generator, 5, area=(0.2, 0.6), aspect=1.5, flip=0.5)
    together = apply_crops(images, np.arange(5), crops, 12)
    alone = np.concatenate([apply_crops(images, np.array([row]), crops, 12) for row in range(5)])
    assert np.array_equal(together, alone)
