"""VGGish: patches of a sound, against the public code and by hand, and the network's order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from refusals import refused
from sspl_cases import given, vectors

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.vggish import (
    RATE,
    VGGish,
    VGGishArchitecture,
    VGGishAudio,
    log_mel_patches,
    mel_bands,
    stretched,
)


def wave() -> np.ndarray:
    return given("wave", (1, 50000), 0.4).numpy()[0]


@pytest.mark.parametrize(("name", "length"), [("long", 50000), ("short", 20001)])
def test_patches_are_those_of_the_public_code(name: str, length: int) -> None:
    sound = Waveform(wave()[:length, None], RATE)
    found = VGGishAudio().table(sound)
    assert found.shape == (3, 96, 64)
    np.testing.assert_allclose(found[:, ::4], vectors()[f"{name}_patches"], atol=1e-4)


def test_the_first_patch_begins_where_the_segment_does() -> None:
    samples = np.zeros(48000)
    samples[:160] = 1.0
    [first, second, third] = log_mel_patches(samples)
    assert first[0].max() > 0
    np.testing.assert_allclose([first[3:], second[3:], third[3:]], np.log(0.01), rtol=1e-6)


def test_bands_are_straight_on_the_mel_scale() -> None:
    bands = mel_bands()
    frequency = np.arange(257) * RATE / 512
    assert not bands[:, (frequency < 125) | (frequency > 7500)].any()
    # Between two centres, the falling and the rising edge of neighbours add up to 1.
    inside = (frequency > 200) & (frequency < 7200)
    np.testing.assert_allclose(bands.sum(axis=0)[inside], 1, rtol=1e-9)


def test_a_sound_is_stretched_to_its_own_range() -> None:
    found = stretched(np.array([2.0, 4.0, 3.0]))
    np.testing.assert_allclose(found, [-1, 2 * (2 / 2.001 - 0.5), 2 * (1 / 2.001 - 0.5)])
    assert (stretched(np.full(3, 0.2)) == -1).all()


def test_channels_are_averaged() -> None:
    left, right = wave(), wave()[::-1]
    stereo = VGGishAudio().table(Waveform(np.stack([left, right], axis=1), RATE))
    mono = VGGishAudio().table(Waveform(((left.astype(np.float64) + right) / 2)[:, None], RATE))
    np.testing.assert_allclose(stereo, mono, atol=1e-6)


def test_another_rate_is_refused_unless_it_is_to_be_converted() -> None:
    sound = Waveform(np.zeros((22050, 1), np.int16), 22050)
    with refused("E_SOUND_RATE", kind=DataError):
        VGGishAudio().taken(sound)
    assert VGGishAudio(resample=True).taken(sound).rate == RATE


def test_a_segment_holds_at_least_one_patch() -> None:
    assert VGGishAudio(seconds=0.975).table(Waveform(wave()[:, None], RATE)).shape[0] == 1
    with pytest.raises(ValueError, match="greater than or equal"):
        VGGishAudio(seconds=0.97)


def test_the_channels_of_a_cell_lie_side_by_side() -> None:
    network = VGGish(VGGishArchitecture(hidden=3, dimension=2)).eval()
    maps = torch.rand(1, 512, 6, 4, generator=torch.Generator().manual_seed(0))
    network.features = torch.nn.Sequential(torch.nn.Identity())
    first = network.embeddings[0]
    assert isinstance(first, torch.nn.Linear)
    with torch.no_grad():
        first.weight.zero_()
        first.weight[0, (2 * 4 + 1) * 512 + 7] = 1.0
        first.bias.zero_()
        seen: list[torch.Tensor] = []
        first.register_forward_hook(lambda _module, _given, found: seen.append(found.clone()))
        network(maps)
    assert seen[0][0].tolist() == [maps[0, 7, 2, 1].item(), 0.0, 0.0]
