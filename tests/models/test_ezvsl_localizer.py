from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from refusals import unsupported

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.ezvsl import EZVSL

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]


def test_features_do_not_depend_on_the_batch(
    small_ezvsl: EZVSL, pictures: Pictures, clips: Clips
) -> None:
    images, sounds = small_ezvsl.encode_image(pictures), small_ezvsl.encode_audio(clips)
    for index in range(len(pictures)):
        image = small_ezvsl.encode_image([pictures[index]])["visual"]
        sound = small_ezvsl.encode_audio([clips[index]])["audio"]
        np.testing.assert_allclose(image[0], images["visual"][index], atol=1e-5)
        np.testing.assert_allclose(sound[0], sounds["audio"][index], atol=1e-5)


def test_sounds_keep_their_order_whatever_their_lengths(small_ezvsl: EZVSL, clips: Clips) -> None:
    forward = small_ezvsl.encode_audio(clips)["audio"]
    backward = small_ezvsl.encode_audio(clips[::-1])["audio"]
    np.testing.assert_allclose(backward[::-1], forward, atol=1e-5)


def test_a_map_is_the_cosine_over_tau(small_ezvsl: EZVSL) -> None:
    visual = np.zeros((1, 2, 1, 3), np.float32)
    visual[0, :, 0] = [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]]
    maps = small_ezvsl.localize({"visual": visual}, {"audio": np.array([[1, 0]], np.float32)})
    np.testing.assert_allclose(maps, [[[1 / 0.03, 0, 0.6 / 0.03]]], rtol=1e-6)


def test_similarity_is_the_largest_cosine(small_ezvsl: EZVSL) -> None:
    visual = np.zeros((1, 2, 1, 2), np.float32)
    visual[0, :, 0] = [[1.0, 0.6], [0.0, 0.8]]
    sounds = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    similarity = small_ezvsl.similarity({"visual": visual}, {"audio": sounds})
    np.testing.assert_allclose(similarity, [[1.0, 0.8, -0.6]], rtol=1e-6)


def test_another_sound_gives_another_map(
    small_ezvsl: EZVSL, pictures: Pictures, clips: Clips
) -> None:
    images = small_ezvsl.encode_image(pictures[:2])
    sounds = small_ezvsl.encode_audio(clips[1:3])
    swapped = {key: rows[::-1] for key, rows in sounds.items()}
    maps, others = small_ezvsl.localize(images, sounds), small_ezvsl.localize(images, swapped)
    assert np.abs(maps - others).max() > 1e-3


def test_the_audio_blind_map_is_the_maximum_over_the_sound_bank(
    make_small_ezvsl: Callable[..., EZVSL], pictures: Pictures, clips: Clips
) -> None:
    bank = make_small_ezvsl().encode_audio(clips)["audio"]
    model = make_small_ezvsl(sound_bank=bank)
    images = model.encode_image(pictures)
    maps = [
        model.localize(images, {"audio": np.repeat(sound[None], len(pictures), axis=0)})
        for sound in bank
    ]
    np.testing.assert_allclose(model.vision_only(images), np.max(maps, axis=0), atol=1e-4)


def test_weights_without_a_sound_bank_have_no_audio_blind_map(
    small_ezvsl: EZVSL, pictures: Pictures
) -> None:
    with unsupported(small_ezvsl, "vision_only", naming="bank"):
        small_ezvsl.vision_only(small_ezvsl.encode_image(pictures))
