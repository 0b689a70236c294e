"""One-dimensional sound networks, and the samples that SoundNet reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attention_cases import SEED, recipe_input, vectors
from recipe_weights import recipe_tensor
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.soundnet import SoundLayer, SoundNet, SoundNetArchitecture, WaveformAudio


@pytest.mark.slow
def test_it_is_soundnet_as_its_public_conversion_runs_it() -> None:
    network = SoundNet(SoundNetArchitecture()).eval()
    network.load_state_dict(
        {
            key: recipe_tensor(SEED, key, tuple(value.shape))
            for key, value in network.state_dict().items()
        }
    )
    waves = recipe_input("wave", (2, 300000), 256.0)
    with torch.inference_mode():
        found = network(waves[:, None, None])
    np.testing.assert_allclose(found.numpy(), vectors()["soundnet"], rtol=1e-4, atol=0.05)


def test_by_hand() -> None:
    architecture = SoundNetArchitecture(
        rows=2, layers=(SoundLayer(channels=1, kernel=1),), last=SoundLayer(channels=1, kernel=2)
    )
    network = SoundNet(architecture).eval()
    weights = {
        "conv1.0.weight": torch.tensor([1.0, -1.0]).view(
            1, 2, 1, 1
        ),  # the first row less the second
        "conv1.0.bias": torch.zeros(1),
        "conv2.0.weight": torch.tensor([1.0, 10.0]).view(1, 1, 2, 1),
        "conv2.0.bias": torch.tensor([0.5]),
    }
    network.load_state_dict({**network.state_dict(), **weights})
    table = torch.tensor([[[[3.0, 1.0, 2.0], [1.0, 2.0, 0.0]]]])
    # Differences 2, -1 and 2, of which ReLU leaves 2, 0 and 2: 2 + 0 and 0 + 20, and 0.5 each.
    expected = (2.5 + 20.5) / 2
    with torch.inference_mode():
        torch.testing.assert_close(network(table), torch.tensor([[expected]]), rtol=1e-4, atol=0)


def test_short_sounds_are_repeated_channels_mixed_and_full_scale_is_256() -> None:
    sound = Waveform(np.array([[16384, 0], [-16384, -16384]], np.int16), 22050)
    table = WaveformAudio(samples=5).table(sound)
    np.testing.assert_allclose(table, [[64, -128, 64, -128, 64]], rtol=1e-3)


def test_of_a_long_sound_the_start_is_heard() -> None:
    sound = Waveform(np.arange(8, dtype=np.float32)[:, None] / 256, 22050)
    np.testing.assert_allclose(WaveformAudio(samples=3).table(sound), [[0, 1, 2]])


def test_another_rate_is_refused() -> None:
    with refused("E_SOUND_RATE", kind=DataError):
        WaveformAudio().taken(Waveform(np.zeros((9, 1), np.int16), 16000))
