import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.models.images import ImagePreprocessing, prepare_images


def test_images_equal_the_public_loaders_bit_for_bit(
    vectors: Path, golden_images: list[NDArray[np.uint8]]
) -> None:
    prepared = prepare_images(golden_images, ImagePreprocessing())
    with np.load(vectors / "ezvsl.parity.npz") as expected:
        digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in prepared]
        assert digests == expected["image_sha256"].tolist()


@given(height=st.integers(1, 40), width=st.integers(1, 40), value=st.integers(0, 255))
def test_a_plain_image_of_any_size_stays_plain(height: int, width: int, value: int) -> None:
    image = np.full((height, width, 3), value, np.uint8)
    prepared = prepare_images([image], ImagePreprocessing(side=8))
    assert prepared.shape == (1, 3, 8, 8)
    assert prepared.dtype == np.float32
    assert (np.ptp(prepared, axis=(2, 3)) == 0).all()


def test_an_image_is_prepared_alike_alone_and_among_others(
    pictures: list[NDArray[np.uint8]],
) -> None:
    together = prepare_images(pictures, ImagePreprocessing(side=32))
    for index, picture in enumerate(pictures):
        alone = prepare_images([picture], ImagePreprocessing(side=32))
        np.testing.assert_array_equal(alone[0], together[index])


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
    with pytest.raises(DataError, match="uint8"):
        prepare_images([image], ImagePreprocessing())
