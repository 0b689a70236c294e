"""BEATs: Kaldi's filter bank and classes of distances by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.beats import (
    DEVIATION,
    MEAN,
    SMALLEST_ENERGY,
    BEATsArchitecture,
    FilterBankAudio,
    distance_classes,
    kaldi_log_mel,
)
from ssl_bench.models.recipes import checked


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    times = np.arange(16000) / 16000
    bank = kaldi_log_mel(np.sin(2 * np.pi * 1000 * times), 16000, bands=20, window=400, hop=160)
    low, high, tone = (1127 * math.log(1 + each / 700) for each in (20, 8000, 1000))
    centres = np.linspace(low, high, 22)[1:-1]
    assert bank.shape == (98, 20)
    assert set(bank.argmax(axis=1)) == {int(np.abs(centres - tone).argmin())}


def test_a_constant_is_silence_and_zeros_follow_a_short_sound() -> None:
    front_end = FilterBankAudio(seconds=1.0)
    table = front_end.table(Waveform(np.full((800, 1), 9000, np.int16), 16000))
    silent = (math.log(SMALLEST_ENERGY) - MEAN) / (2 * DEVIATION)
    assert table.shape == (98, 128)
    # The first frames lie in the constant, the fourth and fifth hold its end.
    np.testing.assert_allclose(table[[0, 1, 2, *range(5, 98)]], silent)
    assert table[4].max() > silent


def test_near_distances_have_classes_of_their_own_and_far_ones_share() -> None:
    found = distance_classes(torch.tensor([0, 1, 2, -3, 4, 5, 7, 8, 15, 16, 99]), 16, 16)
    # Half of 16 classes each way: four exact ones, and four that grow up to 16.
    grown = [4 + int(math.log(each / 4) / math.log(4) * 4) for each in (4, 5, 7, 8, 15)]
    assert found.tolist() == [0, 9, 10, 3, *(8 + each for each in grown), 15, 15]


@pytest.mark.parametrize("rate", [8000, 44100])
def test_another_rate_is_refused(rate: int) -> None:
    with refused("E_SOUND_RATE"):
        FilterBankAudio().taken(Waveform(np.zeros((rate, 1), np.int16), rate))


@pytest.mark.parametrize("table", [{"farthest": 80}, {"buckets": 3}, {"buckets": 8, "farthest": 2}])
def test_the_farthest_distance_is_above_a_quarter_of_the_buckets(table: dict[str, int]) -> None:
    with refused("E_SCHEMA", where="farthest", kind=ModelError):
        checked(BEATsArchitecture, table, "recipe.toml")
