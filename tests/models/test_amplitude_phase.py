import numpy as np
import pytest
import torch
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.amplitude_phase import (
    AmplitudePhaseAudio,
    amplitude_and_phase,
    prepare_amplitude_phase,
)

PAPER = AmplitudePhaseAudio()


def noise(count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, channels))


def test_it_is_the_centred_transform_of_torch() -> None:
    samples = noise(9000)[:, 0]
    amplitude, phase = amplitude_and_phase(samples)
    transform = torch.stft(
        torch.from_numpy(samples),
        1022,
        511,
        window=torch.hann_window(1022, dtype=torch.float64),
        return_complex=True,
    ).numpy()
    np.testing.assert_allclose(amplitude * np.exp(1j * phase), transform, atol=1e-10)


def test_the_phase_of_a_tone_is_its_own() -> None:
    """A cosine that leads by 0.7 has that phase in each frame that starts with a whole period."""
    place = np.arange(64 * 20)
    _, phase = amplitude_and_phase(np.cos(2 * np.pi * place / 16 + 0.7), window=64, hop=32)
    # Frame t begins at 32 * t - 32, a whole number of periods of 16.
    np.testing.assert_allclose(phase[4, 2:-2], 0.7, atol=1e-9)


def test_silence_has_neither_amplitude_nor_phase() -> None:
    table = prepare_amplitude_phase(Waveform(np.zeros((30000, 1), np.int16), 22050), PAPER)
    assert not table.any()


@pytest.mark.parametrize(("seconds", "frames"), [(1, 44), (5, 216), (10, 432), (25, 432)])
def test_the_first_ten_seconds_are_heard(seconds: int, frames: int) -> None:
    sound = Waveform(noise(seconds * 22050), 22050)
    table = prepare_amplitude_phase(sound, PAPER)
    assert table.shape == (2, 512, frames)
    assert table.dtype == np.float32
    beginning = Waveform(sound.samples[:220500], 22050)
    np.testing.assert_array_equal(table, prepare_amplitude_phase(beginning, PAPER))


def test_channels_are_averaged() -> None:
    stereo = noise(22050, channels=2)
    mono = stereo.mean(axis=1, keepdims=True)
    np.testing.assert_array_equal(
        prepare_amplitude_phase(Waveform(stereo, 22050), PAPER),
        prepare_amplitude_phase(Waveform(mono, 22050), PAPER),
    )


@pytest.mark.parametrize("count", [1, 2, 700, 7664])
def test_a_short_sound_is_repeated_until_the_poolings_have_enough(count: int) -> None:
    samples = noise(count)
    table = prepare_amplitude_phase(Waveform(samples, 22050), PAPER)
    assert table.shape == (2, 512, 16)
    longer = np.tile(samples, (-(-7665 // count), 1))[:7665]
    np.testing.assert_array_equal(table, prepare_amplitude_phase(Waveform(longer, 22050), PAPER))


@pytest.mark.parametrize("rate", [11025, 16000, 44100])
def test_another_rate_is_refused_rather_than_resampled(rate: int) -> None:
    with refused("E_SOUND_RATE", where=f"{rate} Hz", kind=DataError) as caught:
        prepare_amplitude_phase(Waveform(noise(rate), rate), PAPER)
    assert "22050 Hz" in str(caught.value)


def test_a_sound_without_samples_is_refused() -> None:
    with refused("E_SOUND_EMPTY", where="(0, 1)", kind=DataError):
        prepare_amplitude_phase(Waveform(np.zeros((0, 1), np.int16), 22050), PAPER)


def test_a_sound_that_is_not_finite_is_refused() -> None:
    broken = noise(22050)
    broken[17] = np.nan
    with refused("E_SOUND_NOT_FINITE", kind=DataError):
        prepare_amplitude_phase(Waveform(broken, 22050), PAPER)
