"""Random crops: inside the picture, of the asked size, the same for the same seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.training.augmentation import (
    Augmentation,
    Colours,
    Crops,
    SoundChanges,
    apply_colours,
    apply_crop,
    apply_masks,
    colours_of,
    crops_of,
    sound_changes_of,
)


@given(
    seed=st.integers(0, 999),
    smallest=st.floats(0.05, 1.0),
    aspect=st.floats(1.0, 3.0),
)
def test_crops_lie_inside_the_picture_and_keep_to_area_and_aspect(seed, smallest, aspect):
    crops = crops_of(Augmentation(crop_area=(smallest, 1.0), crop_aspect=aspect), 50, seed, 0)
    for share in crops[:4]:
        assert ((share >= 0) & (share <= 1)).all()
    ratio = crops.width / crops.height
    assert ((ratio <= aspect + 1e-9) & (ratio >= 1 / aspect - 1e-9)).all()
    assert (crops.height * crops.width >= smallest / aspect - 1e-9).all()


def test_half_of_the_crops_are_mirrored_none_or_all_if_asked():
    def share(flip):
        return crops_of(Augmentation(flip=flip), 2000, seed=1, epoch=0).mirrored.mean()

    assert share(0.0) == 0
    assert share(1.0) == 1
    assert 0.45 < share(0.5) < 0.55


def crop(top: float, left: float, height: float, width: float, mirrored: bool = False) -> Crops:
    shares = (np.array([share]) for share in (top, left, height, width))
    return Crops(*shares, np.array([mirrored]))


def test_a_crop_shows_the_part_that_it_names():
    image = np.zeros((8, 8, 3), np.uint8)
    image[4:, :4] = 200  # lower left quarter
    assert (apply_crop(image, crop(1.0, 0.0, 0.5, 0.5), 0, 6) == 200).all()
    assert (apply_crop(image, crop(1.0, 1.0, 0.5, 0.5), 0, 6) == 0).all()


def test_a_square_of_the_short_edge_is_a_square_wherever_it_lies() -> None:
    # As of 246 pixels on the short edge a square of 224: here 182 of 200.
    image = np.zeros((200, 400, 3), np.uint8)
    image[80:120, 180:220] = 255  # 40 x 40
    for across in (0.2, 0.5, 0.8):
        cut = apply_crop(image, crop(0.5, across, 0.91, 0.91), 0, 91, square_of=image.shape)
        inside = cut[..., 0] > 127
        assert [inside.any(axis=axis).sum() for axis in (0, 1)] == pytest.approx([20, 20], abs=1)
    # A map of the whole picture on a grid of its own is cut at the same place.
    grid = np.zeros((50, 50), np.float32)
    grid[20:30, 22:28] = 1
    shown = apply_crop(grid, crop(0.5, 0.5, 1.0, 1.0), 0, 40, square_of=image.shape)
    rows, columns = np.nonzero(shown > 0.5)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (8, pytest.approx(9.6, abs=1))


def test_a_large_crop_is_smoothed_and_a_small_one_keeps_its_bits() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    whole = crop(0, 0, 1, 1)
    assert apply_crop(noise, whole, 0, 224).std() < 25  # 49 where pixels are left out
    stripes = np.zeros((720, 1280, 3), np.uint8)
    stripes[:, ::2] = 255
    assert apply_crop(stripes, whole, 0, 224).std() < 5
    small = noise[:128, :128]
    np.testing.assert_array_equal(apply_crop(small, whole, 0, 112), cv2.resize(small, (112, 112)))


def test_a_map_is_cut_as_its_picture_is():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    chosen = crop(0.1, 0.2, 0.7, 0.6, mirrored=True)
    channel = np.ascontiguousarray(image[..., 1]).astype(np.float32)
    cut = apply_crop(channel, chosen, 0, 12)
    assert cut.shape == (12, 12)
    assert np.abs(cut - apply_crop(image, chosen, 0, 12)[..., 1]).max() <= 1


def test_mirroring_swaps_left_and_right():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, :4] = 255
    plain = apply_crop(image, crop(0, 0, 1, 1), 0, 8)
    mirrored = apply_crop(image, crop(0, 0, 1, 1, mirrored=True), 0, 8)
    assert np.array_equal(mirrored, plain[:, ::-1])
    assert mirrored[0, 0, 0] == 0


VARIED = Augmentation(colour=0.4, greyscale=0.3, time_shift=0.2, time_mask=0.3, frequency_mask=0.5)


@pytest.mark.parametrize("draw", [crops_of, colours_of, sound_changes_of])
def test_draws_differ_between_seeds_passes_and_views_and_are_the_same_again(draw):
    def values(**changes) -> list[np.ndarray]:
        drawn = draw(VARIED, 40, **{"seed": 0, "epoch": 0, "view": 0, **changes})
        return list(drawn)

    first = values()
    draw.cache_clear()
    assert all(map(np.array_equal, first, values()))
    for change in ({"seed": 1}, {"epoch": 1}, {"view": 1}, {"view": 2}):
        assert not any(map(np.array_equal, first, values(**change)))


def test_sounds_are_shifted_and_masked_within_the_limits():
    drawn = sound_changes_of(VARIED, 500, 0, 0)
    assert 0.15 < np.abs(drawn.shift).max() <= 0.2
    assert (drawn.shift < 0).any()
    assert 0.25 < drawn.time_width.max() <= 0.3
    assert (drawn.time_start + drawn.time_width <= 1).all()
    assert 0.4 < drawn.frequency_width.max() <= 0.5
    assert (drawn.frequency_start + drawn.frequency_width <= 1).all()


def test_masks_replace_one_stretch_of_time_and_one_of_frequency_by_the_mean():
    table = np.arange(2 * 4 * 10, dtype=np.float32).reshape(2, 4, 10)
    shares = (np.array([share]) for share in (0.0, 0.3, 0.2, 0.5, 0.25))
    masked = apply_masks(table, SoundChanges(*shares), 0)
    expected = table.copy()
    expected[:, :, 3:5] = table.mean()
    expected[:, 2:3] = table.mean()
    assert np.array_equal(masked, expected)


def colour(brightness: float, contrast: float, saturation: float, grey: bool = False) -> Colours:
    factors = (np.array([factor]) for factor in (brightness, contrast, saturation))
    return Colours(*factors, np.array([grey]))


def test_colours_change_as_the_factors_say():
    image = np.array([[[100, 100, 100], [50, 50, 50]]], np.uint8)
    assert apply_colours(image, colour(1.5, 1, 1), 0)[0, :, 0].tolist() == [150, 75]
    assert apply_colours(image, colour(1, 0.2, 1), 0)[0, :, 0].tolist() == [80, 70]
    assert np.array_equal(apply_colours(image, colour(1, 1, 0.3), 0), image)
    red = np.array([[[200, 0, 0]]], np.uint8)
    assert apply_colours(red, colour(1, 1, 1, grey=True), 0).ravel().tolist() == [60, 60, 60]
