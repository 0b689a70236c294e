import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.models.images import ImagePreprocessing, normalize, prepare_images

RESIZINGS = ("full-pil", "crop-pil", "full-tensor", "full-tensor-antialiased")


def test_images_equal_the_public_loaders_bit_for_bit(
    vectors: Path, golden_images: list[NDArray[np.uint8]]
) -> None:
    prepared = prepare_images(golden_images, ImagePreprocessing())
    with np.load(vectors / "ezvsl.parity.npz") as expected:
        digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in prepared]
        assert digests == expected["image_sha256"].tolist()


@pytest.mark.parametrize("resize", RESIZINGS)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)).filter(lambda size: size != (1, 1)),
    value=st.integers(0, 255),
)
def test_a_plain_image_of_any_size_stays_plain(
    resize: Any, size: tuple[int, int], value: int
) -> None:
    image = np.full((*size, 3), value, np.uint8)
    prepared = prepare_images([image], ImagePreprocessing(resize=resize, side=8))
    assert prepared.shape == (1, 3, 8, 8)
    assert prepared.dtype == np.float32
    # Float filters round.
    assert (np.ptp(prepared, axis=(2, 3)) <= (1e-5 if "tensor" in resize else 0)).all()


@pytest.mark.parametrize("resize", RESIZINGS)
def test_an_image_is_prepared_alike_alone_and_among_others(
    pictures: list[NDArray[np.uint8]], resize: Any
) -> None:
    preprocessing = ImagePreprocessing(resize=resize, side=32)
    together = prepare_images(pictures, preprocessing)
    for index, picture in enumerate(pictures):
        alone = prepare_images([picture], preprocessing)
        np.testing.assert_array_equal(alone[0], together[index])


@pytest.mark.parametrize("shape", [(8, 24), (24, 8)])
def test_a_cropped_image_is_its_central_square(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    centre = tuple(slice((size - 8) // 2, (size + 8) // 2) for size in shape)
    image[centre] = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    cropped = prepare_images([image], ImagePreprocessing(resize="crop-pil", side=8))
    np.testing.assert_array_equal(cropped, normalize(image[centre])[None])


def test_an_odd_margin_is_rounded_to_the_even_pixel() -> None:
    image = np.zeros((2, 7, 3), np.uint8)  # margins of 2.5
    image[:, 2:4] = 255
    cropped = prepare_images([image], ImagePreprocessing(resize="crop-pil", side=2))
    np.testing.assert_array_equal(cropped, normalize(image[:, 2:4])[None])


def test_an_image_resized_as_a_tensor_may_leave_the_range_of_its_values() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 2:] = 255
    tensor = prepare_images([image], ImagePreprocessing(resize="full-tensor", side=16))
    pillow = prepare_images([image], ImagePreprocessing(side=16))
    assert tensor.max() > pillow.max()
    assert tensor.min() < pillow.min()


def test_only_the_antialiased_filter_sees_every_pixel_of_a_large_image() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[::4] = 255  # between the places that the plain filter reads
    plain, smooth = (
        prepare_images([image], ImagePreprocessing(resize=resize, side=4))
        for resize in ("full-tensor", "full-tensor-antialiased")
    )
    quarter = normalize(np.full((1, 1, 3), 64, np.uint8))[:, 0, 0]
    assert np.abs(smooth.mean(axis=(0, 2, 3)) - quarter).max() < 0.05
    assert np.abs(plain.mean(axis=(0, 2, 3)) - quarter).max() > 0.3


def test_the_centre_of_a_very_long_image_is_refused() -> None:
    image = np.zeros((1, 500, 3), np.uint8)
    with refused("E_IMAGE_ELONGATED", where="1x500", kind=DataError):
        prepare_images([image], ImagePreprocessing(resize="crop-pil"))
    assert prepare_images([image], ImagePreprocessing()).shape == (1, 3, 224, 224)


def test_one_pixel_is_refused() -> None:
    images = [np.zeros((4, 4, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)]
    for resize in RESIZINGS:
        with refused("E_IMAGE_ONE_PIXEL", kind=DataError):
            prepare_images(images, ImagePreprocessing(resize=resize))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_what_is_no_rgb_image_is_refused(image: NDArray[np.uint8]) -> None:
    for resize in RESIZINGS:
        with refused("E_IMAGE_FORM", where=f"{image.shape} {image.dtype}", kind=DataError):
            prepare_images([image], ImagePreprocessing(resize=resize))
