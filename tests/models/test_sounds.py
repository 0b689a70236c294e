import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.audio import read_audio
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.segments import centre_segment, sixteen_bits
from ssl_bench.models.sounds import LogMelAudio, LogPowerAudio, prepare_sound
from ssl_bench.models.spectrograms import (
    log_mel_spectrogram,
    log_power_spectrogram,
    mel_filters,
)

Arrays = Mapping[str, NDArray[Any]]


def _sha(array: NDArray[Any]) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _spectrogram(sound: Waveform) -> NDArray[np.float64]:
    return log_power_spectrogram(np.clip(centre_segment(sound) / 32767.0, -1, 1), sound.rate)


def test_segments_and_spectrograms_equal_the_public_loaders(
    vectors: Path, golden_sounds: list[Waveform]
) -> None:
    with np.load(vectors / "ezvsl.parity.npz") as expected:
        for index, sound in enumerate(golden_sounds):
            segment, spectrogram = centre_segment(sound), _spectrogram(sound)
            assert len(segment) == expected["segment_len"][index]
            assert _sha(segment) == expected["segment_int16_sha256"][index]
            np.testing.assert_allclose(
                spectrogram[::16, ::20], expected["spec_slice"][index], rtol=0, atol=1e-9
            )
            assert spectrogram.shape == tuple(expected["spec_shape"][2:])


def test_short_stereo_and_low_rate_clips_equal_the_public_loaders(vectors: Path) -> None:
    with (
        np.load(vectors / "inputs.npz") as inputs,
        np.load(vectors / "preproc_variants.npz") as expected,
    ):
        for name in expected["names"]:
            samples, rate = inputs[f"audio_{name}"], int(inputs[f"rate_{name}"])
            sound = Waveform(samples.reshape(len(samples), -1), rate)
            segment, spectrogram = centre_segment(sound), _spectrogram(sound)
            assert [len(segment), rate] == expected[f"ezvsl_{name}_segment_len_rate"].tolist()
            assert segment[:64].tolist() == expected[f"ezvsl_{name}_segment_head"].tolist()
            assert _sha(segment) == str(expected[f"ezvsl_{name}_segment_int16_sha256"])
            assert spectrogram.shape == tuple(expected[f"ezvsl_{name}_shape"][1:])
            np.testing.assert_allclose(
                spectrogram[::16, ::20], expected[f"ezvsl_{name}_slice"], rtol=0, atol=1e-9
            )
            statistics = [f(spectrogram) for f in (np.min, np.max, np.mean, np.std)]
            np.testing.assert_allclose(
                statistics, expected[f"ezvsl_{name}_stats"], rtol=0, atol=1e-9
            )


@given(count=st.integers(1, 400), rate=st.integers(1, 100))
def test_a_segment_always_has_three_seconds(count: int, rate: int) -> None:
    sound = Waveform(np.arange(count, dtype=np.int16)[:, None], rate)
    assert len(centre_segment(sound)) == 3 * rate


def test_a_segment_is_cut_from_the_centre() -> None:
    sound = Waveform(np.arange(50, dtype=np.int16)[:, None], 10)
    assert centre_segment(sound).tolist() == list(range(10, 40))


def test_a_short_sound_is_repeated() -> None:
    sound = Waveform(np.array([[1], [2]], np.int16), 2)
    assert centre_segment(sound).tolist() == [1, 2, 1, 2, 1, 2]


def test_two_channels_are_averaged_with_halves_rounded_up() -> None:
    sound = Waveform(np.array([[1, 2], [-1, -2], [32767, 32767]], np.int16), 1)
    assert centre_segment(sound).tolist() == [2, -1, 32767]


def test_three_channels_are_refused_by_the_original_preset() -> None:
    with refused("E_SOUND_CHANNELS", where="3 channels", kind=DataError):
        centre_segment(Waveform(np.zeros((9, 3), np.int16), 3))


def test_floats_are_rounded_to_sixteen_bits_half_to_even_and_clipped() -> None:
    values = np.array([0.5, 1.5, 2.5, -40000.0, 40000.0], np.float32) / np.float32(32768)
    assert sixteen_bits(values).tolist() == [0, 2, 2, -32768, 32767]


def test_wider_integers_lose_their_lower_bits() -> None:
    values = np.array([0.5, 1.75, -0.25, -40000.0, 40000.0]) / 32768
    assert sixteen_bits(values).tolist() == [0, 1, -1, -32768, 32767]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_segments_of_every_kind_of_file_are_those_of_the_decoder_of_the_public_code(
    subtype: str, channels: int, tmp_path: Path
) -> None:
    """EZ-VSL asks FFmpeg for one channel of 16 bits; a file of 3 seconds is its own segment."""
    path = tmp_path / "sound.wav"
    noise = np.random.default_rng(0).normal(0, 0.2, (3 * 8000, channels))
    soundfile.write(path, np.clip(noise, -1, 1), 8000, subtype=subtype)
    resampler = av.AudioResampler(format="s16p", layout="mono", rate=8000)
    with av.open(str(path)) as container:
        frames = [part for each in container.decode(audio=0) for part in resampler.resample(each)]
    expected = np.concatenate([each.to_ndarray()[0] for each in frames])
    np.testing.assert_array_equal(centre_segment(read_audio(path)), expected)


def test_a_float_file_gives_the_segment_of_the_same_sixteen_bit_file(
    golden_sounds: list[Waveform],
) -> None:
    sound = golden_sounds[0]
    floats = Waveform(sound.as_float().astype(np.float32), sound.rate)
    np.testing.assert_array_equal(centre_segment(floats), centre_segment(sound))


def test_sixteen_bit_samples_are_divided_by_32767() -> None:
    loud = Waveform(np.full((48000, 1), 32767, np.int16), 16000)
    ramp = np.linspace(-1, 1, 48000)
    wave = Waveform((ramp * 32767).round().astype(np.int16)[:, None], 16000)
    silence = prepare_sound(loud, LogPowerAudio())
    np.testing.assert_allclose(silence, np.log(1e-7) / 12, atol=1e-6)  # a constant has no power
    expected = log_power_spectrogram((ramp * 32767).round() / 32767, 16000)
    np.testing.assert_array_equal(
        prepare_sound(wave, LogPowerAudio())[0], expected.astype(np.float32)
    )


def test_another_rate_is_an_error_in_the_original_preset_too() -> None:
    sound = Waveform(np.zeros((22050 * 4, 1), np.int16), 22050)
    with refused("E_SOUND_RATE", where="22050 Hz", kind=DataError) as caught:
        prepare_sound(sound, LogPowerAudio())
    assert "16000 Hz" in str(caught.value)


def test_it_is_taken_as_it_is_where_that_is_asked_for() -> None:
    sound = Waveform(np.zeros((22050 * 4, 1), np.int16), 22050)
    assert prepare_sound(sound, LogPowerAudio(any_rate=True)).shape == (1, 257, 276)


def test_another_rate_is_an_error_for_the_small_model_and_names_both() -> None:
    sound = Waveform(np.zeros((16000, 1), np.int16), 16000)
    with refused("E_SOUND_RATE", where="16000 Hz", kind=DataError) as caught:
        prepare_sound(sound, LogMelAudio())
    assert "11025 Hz" in str(caught.value)


@pytest.mark.parametrize("preprocessing", [LogPowerAudio(usual_rate=11025), LogMelAudio()])
class TestUnusableSounds:
    def test_no_samples(self, preprocessing: LogPowerAudio | LogMelAudio) -> None:
        with refused("E_SOUND_EMPTY", where="(0, 1)", kind=DataError):
            prepare_sound(Waveform(np.zeros((0, 1), np.int16), 11025), preprocessing)

    def test_values_that_are_no_numbers(self, preprocessing: LogPowerAudio | LogMelAudio) -> None:
        samples = np.zeros((11025, 1), np.float32)
        samples[7] = np.nan
        with refused("E_SOUND_NOT_FINITE", kind=DataError):
            prepare_sound(Waveform(samples, 11025), preprocessing)

    def test_a_single_sample_is_repeated(self, preprocessing: LogPowerAudio | LogMelAudio) -> None:
        spectrogram = prepare_sound(Waveform(np.ones((1, 1), np.int16), 11025), preprocessing)
        assert np.isfinite(spectrogram).all()


def test_a_rate_too_low_for_one_window_is_an_error() -> None:
    sound = Waveform(np.zeros((1000, 1), np.int16), 100)
    with refused("E_SOUND_SHORT", where="100 Hz", kind=DataError):
        prepare_sound(sound, LogPowerAudio(any_rate=True))


def test_a_tone_is_strongest_in_the_band_around_its_frequency() -> None:
    time = np.arange(22050) / 11025
    spectrogram = log_mel_spectrogram(np.sin(2 * np.pi * 1000 * time), 11025)
    band = int(spectrogram.mean(axis=1).argmax())
    filters = mel_filters(11025, 64, 512)
    assert abs(filters[band].argmax() * 11025 / 512 - 1000) < 40
    # A full-scale sine has a quarter in its bin and, under a Hann window, a sixteenth in each
    # neighbour; a triangle of height 1 sums at most all three.
    assert np.log(0.15) / 12 < spectrogram.max() < np.log(0.375) / 12


def test_every_mel_band_covers_a_frequency() -> None:
    filters = mel_filters(11025, 64, 512)
    assert (filters.max(axis=1) > 0).all()
    assert filters.max() <= 1


def test_log_mel_mixes_channels_and_takes_the_centre() -> None:
    left = np.random.default_rng(0).normal(0, 0.1, 44100)
    stereo = Waveform(np.stack([left, np.zeros(44100)], axis=1), 11025)
    mono = Waveform(left[11025:33075, None] / 2, 11025)
    np.testing.assert_array_equal(
        prepare_sound(stereo, LogMelAudio()), prepare_sound(mono, LogMelAudio())
    )
