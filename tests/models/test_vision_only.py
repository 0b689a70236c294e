"""Every baseline whose card says that it is blind to sound."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Localizer
from ssl_bench.models.registry import (
    list_baselines,
    list_ready_baselines,
    load_baseline,
    load_localizer,
)

VISION_ONLY = [
    name for name in list_baselines() if load_baseline(name).card.modality == "vision-only"
]
AUDIO_VISUAL = [
    name for name in list_baselines() if load_baseline(name).card.modality == "audio-visual"
]


def loaded(name: str) -> Localizer:
    localizer = load_localizer(name)
    assert isinstance(localizer, Localizer)
    return localizer


def test_there_are_such_baselines() -> None:
    assert {"gradcam", "ogl-cls", "ogl-l1", "unet"} <= set(VISION_ONLY)


@pytest.mark.parametrize("name", VISION_ONLY)
def test_swapping_the_sounds_changes_no_bit_of_the_maps(
    name: str, pictures: list[NDArray[np.uint8]], clips: list[Waveform]
) -> None:
    localizer = loaded(name)
    images = localizer.encode_image(pictures)
    heard = localizer.localize(images, localizer.encode_audio(clips))
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    np.testing.assert_array_equal(
        heard, localizer.localize(images, localizer.encode_audio(clips[::-1]))
    )
    np.testing.assert_array_equal(heard, localizer.localize(images, {}))
    np.testing.assert_array_equal(heard, localizer.vision_only(images))


@pytest.mark.parametrize("name", list_ready_baselines())
def test_a_localizer_is_blind_to_sound_as_its_card_says(name: str) -> None:
    localizer = load_localizer(name)
    if isinstance(localizer, Localizer):
        assert localizer.audio_blind == (name in VISION_ONLY)
    else:
        assert name not in VISION_ONLY + AUDIO_VISUAL


@pytest.mark.parametrize("name", VISION_ONLY)
def test_an_image_of_two_pixels_has_a_map_and_maps_do_not_depend_on_the_batch(
    name: str, pictures: list[NDArray[np.uint8]]
) -> None:
    localizer = loaded(name)
    assert (1, 2, 3) in [picture.shape for picture in pictures]
    together = localizer.vision_only(localizer.encode_image(pictures))
    for index, picture in enumerate(pictures):
        alone = localizer.vision_only(localizer.encode_image([picture]))
        np.testing.assert_allclose(alone[0], together[index], rtol=1e-4, atol=1e-5)
