import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ssl_bench.models.spectrograms import mel_decibel_spectrogram


def _with_torch(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """The same from torch's transform and the formula of HTK's mel scale."""
    window = torch.hann_window(512, dtype=torch.float64)
    transform = torch.stft(
        torch.from_numpy(samples),
        512,
        hop_length=239,
        window=window,
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = (transform / window.square().sum().sqrt()).abs().square().numpy()
    frequencies = np.linspace(0, rate // 2, 257)
    edges = np.linspace(0, 2595 * np.log10(1 + (rate // 2) / 700), 259)
    edges = 700 * (10 ** (edges / 2595) - 1)
    filters = np.array(
        [
            np.interp(frequencies, edges[band : band + 3], [0.0, 1.0, 0.0], left=0, right=0)
            for band in range(257)
        ]
    )
    return 10 * np.log10(np.maximum(filters @ power, 1e-10))


@pytest.mark.parametrize("rate", [16000, 11025, 44100])
def test_mel_decibels_are_those_of_another_implementation(rate: int) -> None:
    samples = np.random.default_rng(rate).normal(0, 0.1, rate)
    found = mel_decibel_spectrogram(samples, rate)
    assert found.shape == (257, rate // 239 + 1)
    np.testing.assert_allclose(found, _with_torch(samples, rate), rtol=0, atol=1e-6)


@given(gain=st.floats(0.1, 10))
def test_a_louder_sound_has_as_many_decibels_more_in_every_band_with_power(gain: float) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 2000)
    quiet, loud = (mel_decibel_spectrogram(x, 16000) for x in (samples, gain * samples))
    heard = (quiet > -70) & (loud > -70)
    assert heard.any()
    np.testing.assert_allclose((loud - quiet)[heard], 20 * np.log10(gain), atol=1e-6)


def test_silence_is_at_the_floor() -> None:
    assert (mel_decibel_spectrogram(np.zeros(1000), 16000) == -100).all()
