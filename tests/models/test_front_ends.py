"""Front ends of public code, by themselves: what they take, refuse and give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.sounds import (
    AudioPreprocessing,
    FixedSamplesAudio,
    LogMelAudio,
    LogPowerAudio,
    MelDecibelAudio,
    PublishedFrontEnd,
    RolledAudio,
    WholeClipAudio,
    prepare_sound,
    taking_any_rate,
)

PUBLISHED: list[PublishedFrontEnd] = [
    LogPowerAudio(),
    FixedSamplesAudio(),
    WholeClipAudio(),
    RolledAudio(),
    MelDecibelAudio(),
]


@pytest.mark.parametrize(
    ("front_end", "shape"),
    [
        (LogPowerAudio(), (257, 200)),
        (FixedSamplesAudio(), (257, 299)),
        (WholeClipAudio(), (257, 671)),
        (RolledAudio(), (257, 200)),
        (MelDecibelAudio(), (257, 670)),
    ],
)
def test_a_clip_of_ten_seconds_at_16_kHz_has_the_published_shape(
    front_end: PublishedFrontEnd, shape: tuple[int, int]
) -> None:
    sound = Waveform(np.zeros((160000, 1), np.int16), 16000)
    assert prepare_sound(sound, front_end).shape == (1, *shape)


def test_only_the_left_channel_is_heard_where_the_authors_take_it() -> None:
    generator = np.random.default_rng(0)
    left = generator.integers(-9000, 9000, 160000).astype(np.int16)
    stereo = Waveform(np.stack([left, np.zeros_like(left)], axis=1), 16000)
    np.testing.assert_array_equal(
        FixedSamplesAudio().table(stereo), FixedSamplesAudio().table(Waveform(left[:, None], 16000))
    )


@pytest.mark.parametrize("front_end", [WholeClipAudio(), MelDecibelAudio()])
def test_two_channels_are_an_error_where_the_authors_loader_fails(
    front_end: PublishedFrontEnd,
) -> None:
    with refused("E_SOUND_CHANNELS", where="2 channels", kind=DataError):
        prepare_sound(Waveform(np.zeros((160000, 2), np.int16), 16000), front_end)


@pytest.mark.parametrize("front_end", PUBLISHED)
class TestEveryPublishedFrontEnd:
    def test_three_channels_are_refused(self, front_end: PublishedFrontEnd) -> None:
        with refused("E_SOUND_CHANNELS", where="3 channels", kind=DataError):
            prepare_sound(Waveform(np.zeros((160000, 3), np.int16), 16000), front_end)

    def test_another_rate_is_refused_unless_any_is_taken(
        self, front_end: PublishedFrontEnd
    ) -> None:
        sound = Waveform(np.zeros((220500, 1), np.int16), 22050)
        with refused("E_SOUND_RATE", where="22050 Hz", kind=DataError) as caught:
            prepare_sound(sound, front_end)
        assert "16000 Hz" in str(caught.value)
        assert np.isfinite(prepare_sound(sound, taking_any_rate(front_end))).all()

    def test_no_samples_are_refused(self, front_end: PublishedFrontEnd) -> None:
        with refused("E_SOUND_EMPTY", where="(0, 1)", kind=DataError):
            prepare_sound(Waveform(np.zeros((0, 1), np.int16), 16000), front_end)

    def test_a_single_sample_is_repeated(self, front_end: PublishedFrontEnd) -> None:
        sound = Waveform(np.ones((1, 1), np.int16), 16000)
        assert np.isfinite(prepare_sound(sound, front_end)).all()

    def test_a_rate_too_low_for_the_segment_is_an_error(self, front_end: PublishedFrontEnd) -> None:
        with refused("E_SOUND_SHORT", where="50 Hz", kind=DataError):
            prepare_sound(Waveform(np.zeros((50, 1), np.int16), 50), taking_any_rate(front_end))

    def test_a_recipe_can_name_it(self, front_end: PublishedFrontEnd) -> None:
        read: TypeAdapter[Any] = TypeAdapter(AudioPreprocessing)
        assert read.validate_python(front_end.model_dump()) == front_end


def test_ez_vsl_as_printed_takes_11025_hz_in_steps_of_25_ms() -> None:
    printed = load_baseline("ezvsl").variant("full").preprocessing_of("printed")["audio"]
    read: TypeAdapter[Any] = TypeAdapter(AudioPreprocessing)
    front_end = read.validate_python(printed)
    sound = Waveform(np.zeros((10 * 11025, 1), np.int16), 11025)
    assert prepare_sound(sound, front_end).shape == (1, 257, 118)
    with refused("E_SOUND_RATE", where="16000 Hz", kind=DataError):
        prepare_sound(Waveform(np.zeros((48000, 1), np.int16), 16000), front_end)


def test_an_unknown_spectrogram_is_no_front_end() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AudioPreprocessing).validate_python({"spectrogram": "log-pawer"})
    (problem,) = caught.value.errors()
    assert problem["type"] == "union_tag_invalid"
    assert "log-power-fixed" in problem["ctx"]["expected_tags"]


def test_a_front_end_for_one_rate_never_takes_another() -> None:
    sound = Waveform(np.zeros((16000, 1), np.int16), 16000)
    with refused("E_SOUND_RATE", where="16000 Hz", kind=DataError) as caught:
        prepare_sound(sound, taking_any_rate(LogMelAudio()))
    assert "11025 Hz" in str(caught.value)
